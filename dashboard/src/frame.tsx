// The frame of all pages: rail, top bar, palette, help, and what screen readers are told.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { signal } from "@preact/signals";
import { api } from "./api.ts";
import { help, listed, useKeys, type KeyHelp } from "./keys.ts";
import { approvalsOpen, connection, now, pending, said, say, streaming } from "./live.ts";
import { Dialog, Disconnected, Key } from "./parts.tsx";
import { go } from "./route.ts";
import { letters, session, theme, utc, type Theme } from "./state.ts";
import { safe, zone } from "./words.ts";

/** All pages, in the order of the rail; main.tsx says what each shows. */
export const PAGES = [
  { path: "inbox", name: "Inbox", keys: "g i" },
  { path: "tasks", name: "Tasks", keys: "g t" },
  { path: "bots", name: "Bots", keys: "g b" },
  { path: "queues", name: "Queues", keys: "g q" },
  { path: "evaluations", name: "Evaluations", keys: "g e" },
  { path: "costs", name: "Costs", keys: "g c" },
  { path: "audit", name: "Audit", keys: "g a" },
  { path: "simulate", name: "Simulate", keys: "g m" },
  { path: "settings", name: "Settings", keys: "g s" },
];
const THEMES: Record<Theme, { next: Theme; sign: string }> = {
  system: { next: "light", sign: "◐" },
  light: { next: "dark", sign: "○" },
  dark: { next: "system", sign: "●" },
};
const CTRL = /Mac|iP/.test(navigator.platform) ? "⌘" : "Ctrl";

/** What the page could do when the palette was opened; null: it is closed. */
export const palette = signal<KeyHelp[] | null>(null);
/** What was typed while the palette was being loaded. */
export const ahead = signal("");

async function signOut(): Promise<void> {
  try {
    await api.signOut();
  } finally {
    session.value = null;
  }
}

interface Props { pages: typeof PAGES; page: string; id: string | undefined; children: ComponentChildren }

export function Frame({ pages, page, id, children }: Props) {
  const who = session.value!;
  const open = () => { ahead.value = ""; palette.value = listed().filter(({ keys }) => !/^(g |Ctrl|Escape)/.test(keys)); };
  useKeys({
    "Ctrl k": { does: "search, or run a command", run: open },
    ...Object.fromEntries(pages.map((each) => [each.keys, { does: `go to ${each.name}`, run: () => go(`#/${each.path}`) }])),
    "?": { does: "show the keys", run: () => { help.value = true; } },
  });
  const name = pages.find(({ path }) => path === page)?.name ?? "Not here";
  const count = approvalsOpen.value, { live } = connection.value;
  useTold(`${name}${id ?? ""}`, () => (id ? "" : name));
  useTold(live, () => (live ? "Live again." : "Connection lost. Actions are off."));
  useTold(count, (before) => (count === null || before === null ? "" : count === 0 ? "Nothing needs you." : `${needs(count)} you.`));
  useEffect(() => { document.title = `${count ? `(${count}) ` : ""}${name}${id ? ` ${id}` : ""} · swarmkeeper`; }, [count, name, id]);
  const here = useRef<HTMLAnchorElement>(null);
  useEffect(() => here.current?.scrollIntoView({ block: "nearest", inline: "nearest" }), [page]);
  const next = THEMES[theme.value];
  return (
    <div class="frame">
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById("main")!.focus(); }}>Skip to the content</a>
      <nav class="rail" aria-label="Pages">
        <a class="brand" href="#/inbox">swarmkeeper</a>
        <ul>
          {pages.map((each) => (
            <li key={each.path}>
              <a href={`#/${each.path}`} {...(page === each.path ? { "aria-current": "page", ref: here } : {})}>
                {each.name}
                {each.path === "inbox" && Boolean(count) && <span class="badge" aria-label={`${needs(count!)} you`}>{count}</span>}
              </a>
            </li>
          ))}
        </ul>
        <div class="who">
          <span>{safe(who.person_name ?? who.owner ?? `key …${who.key_id.slice(-5)}`)} · {who.role}</span>
          <span>tenant {safe(who.tenant)}</span>
          <button type="button" class="small" onClick={() => void signOut()}>Sign out</button>
        </div>
      </nav>
      <header class="top">
        <div class="crumb">{id ? <><a href={`#/${page}`}>{name}</a> / <code>{safe(id)}</code></> : name}</div>
        <button type="button" class="search" onClick={open} aria-keyshortcuts="Control+K" aria-haspopup="dialog">
          <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true"><circle cx="7" cy="7" r="4.5" /><path d="M10.5 10.5 14 14" /></svg>
          <span>Search or run a command</span><Key>{CTRL} K</Key>
        </button>
        <span class={`dot ${live ? "live" : "lost"}`}>{!live ? "no answer" : streaming.value ? "live" : "each 3 s"}</span>
        <button type="button" class="small zone" onClick={() => { utc.value = !utc.value; }} aria-label={`Times in ${utc.value ? "UTC" : "local time"}. Change to ${utc.value ? "local time" : "UTC"}`}>{utc.value ? "UTC" : zone(new Date(now.value))}</button>
        <button type="button" class="small" onClick={() => { help.value = true; }} aria-label="Keys">?</button>
        <button type="button" class="small" onClick={() => { theme.value = next.next; }} aria-label={`Theme: ${theme.value}. Change to ${next.next}`}>{next.sign}</button>
      </header>
      <main id="main" tabIndex={-1} aria-busy={pending.value > 0}>
        <Disconnected />
        {children}
      </main>
      <p class="hidden-text" role="status" aria-live="polite">{said}</p>
      {help.value && <Help />}
    </div>
  );
}

const needs = (count: number): string => (count === 1 ? "1 needs" : `${count} need`);

/** Tell screen readers politely when a value has changed. */
function useTold<T>(value: T, text: (before: T) => string): void {
  const before = useRef(value);
  useEffect(() => {
    const told = before.current !== value && text(before.current);
    before.current = value;
    if (told) say(told);
  }, [value]);
}

function Help() {
  const keys = listed();
  const close = () => { help.value = false; };
  return (
    <Dialog title="Keys" close={close}>
      <dl class="keys">
        {keys.map(({ keys: each, does }) => <div key={each}><dt>{each.split(" ").map((key) => <Key key={key}>{key}</Key>)}</dt><dd>{does}</dd></div>)}
      </dl>
      <label class="choice"><input type="checkbox" checked={letters.value} onChange={(event) => { letters.value = event.currentTarget.checked; }} /> single letters are keys</label>
      <label class="choice"><input type="checkbox" checked={utc.value} onChange={(event) => { utc.value = event.currentTarget.checked; }} /> times in UTC</label>
    </Dialog>
  );
}
