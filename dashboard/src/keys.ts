// Keys. A page names what its keys do while it is shown; the help lists just these. Single letters do nothing while
// somebody types, and can be turned off: speech recognition types letters unasked (WCAG 2.1.4). `Ctrl k` is also that with
// the command key of a Mac.

import { useLayoutEffect, useRef } from "preact/hooks";
import { signal } from "@preact/signals";
import { letters } from "./state.ts";

export interface KeyHelp { keys: string; does: string; run: () => void }
export interface Keys { [key: string]: { does: string; run: () => void } }

const layers: { keys: Keys; alone: boolean }[] = [];
export const help = signal(false);
let pending = "";
let pendingTimer = 0;

/** Args: `alone` hides all other keys, as a dialog does. */
export function useKeys(keys: Keys, alone = false): void {
  // A layer keeps its place while its page is drawn again: else that would come on top of a dialog.
  const layer = useRef({ keys, alone }).current;
  layer.keys = keys;
  layer.alone = alone;
  useLayoutEffect(() => { // at once: the next key may come before the browser paints
    layers.push(layer);
    return () => { layers.splice(layers.indexOf(layer), 1); };
  }, []);
}

export function listed(): KeyHelp[] {
  const seen = new Map<string, KeyHelp>();
  for (const layer of [...layers].reverse()) {
    for (const [keys, each] of Object.entries(layer.keys)) if (each.does && !seen.has(keys)) seen.set(keys, { keys, ...each });
  }
  return [...seen.values()];
}

function find(keys: string): (() => void) | undefined {
  // Which layer came last says nothing of a dialog: a page may have been drawn again below it.
  const alone = layers.filter((layer) => layer.alone).at(-1);
  if (alone) return alone.keys[keys]?.run;
  return layers.filter((layer) => layer.keys[keys]).at(-1)?.keys[keys]!.run;
}

const typesInto = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || (/^(input|textarea|select)$/i.test(target.tagName) && !(target instanceof HTMLInputElement && target.type === "checkbox")));

export function listen(): void {
  addEventListener("keydown", (event) => {
    if (event.altKey || event.defaultPrevented) return;
    if (event.ctrlKey || event.metaKey) { if (!event.shiftKey) run(`Ctrl ${event.key}`, event); return; }
    const key = event.key === " " ? "Space" : event.key;
    if (key === "Escape") { run("Escape", event); return; }
    if (typesInto(event.target)) return;
    // A link or button that has the focus does what it says.
    if ((key === "Enter" || key === "Space") && event.target instanceof Element && event.target.closest("a, button, summary, input, [role=button]")) return;
    if (key.length === 1 && !letters.value) return;
    const keys = pending ? `${pending} ${key}` : key;
    pending = "";
    clearTimeout(pendingTimer);
    if (run(keys, event)) return;
    if (layers.some((layer) => Object.keys(layer.keys).some((each) => each.startsWith(`${key} `)))) {
      pending = key;
      pendingTimer = setTimeout(() => { pending = ""; }, 1500) as unknown as number;
    }
  });
}

function run(keys: string, event: KeyboardEvent): boolean {
  const action = find(keys);
  if (!action) return false;
  event.preventDefault();
  action();
  return true;
}
