// What these pages share: lists that go on when one asks, things to do, and forms.

import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import type { Page } from "../../api.ts";
import { say, useRead, type Read, type ReadOptions } from "../../live.ts";
import { Act, Dialog, NotDone, useAct } from "../../parts.tsx";
import { utc } from "../../state.ts";

/** What changes seldom, or costs something to read: not with each change of a task. */
export const CALM: ReadOptions = { on: () => false, every: 30_000, seldom: 30_000 };

export interface Pages<T> { seen: Read<Page<T>>; items: T[]; more: boolean; older: () => Promise<void>; again: () => Promise<void> }

/** Read the first page again and again, and later ones on request. What was shown stays, if the pages still meet. */
export function usePages<T>(key: string, read: (token: string) => Promise<Page<T>>, of: (item: T) => string, options = CALM): Pages<T> {
  const reading = useRead(key, () => read(""), options);
  const seen = reading.state.value, first = seen.data;
  const kept = useRef<{ key: string; items: T[]; token: string; first?: Page<T> }>({ key, items: [], token: "" });
  const [, shown] = useState(0);
  if (kept.current.key !== key) kept.current = { key, items: [], token: "" };
  const here = kept.current;
  if (first && here.first !== first) {
    const there = new Set(first.items.map(of));
    const meets = here.items.some((item) => there.has(of(item))) || (!first.items.length && Boolean(first.next_page_token) && here.items.length > 0);
    if (!meets) here.token = first.next_page_token;
    here.items = [...first.items, ...(meets ? here.items.filter((item) => !there.has(of(item))) : [])];
    here.first = first;
  }
  async function older(): Promise<void> {
    const token = here.token;
    if (!token) return;
    try {
      const page = await read(token);
      if (here.token !== token) return; // asked for twice
      here.items = [...here.items, ...page.items];
      here.token = page.next_page_token;
      say(`${page.items.length} more.`);
      shown((times) => times + 1);
    } catch {
      await reading.again(); // it shows what is wrong
    }
  }
  return { seen, items: here.items, more: Boolean(here.token), older, again: reading.again };
}

/** How many there are, and a way to more. */
export const More = ({ pages, what, children }: { pages: Pages<any>; what: string; children?: ComponentChildren }) => (
  <p class="foot">{pages.items.length}{pages.more ? " and more" : ""} {pages.items.length === 1 ? what.slice(0, -1) : what} {pages.more && <button type="button" class="small" onClick={() => void pages.older()}>Older</button>}{children}</p>
);


// Times in forms are in the zone that the person chose; in the address they are in UTC.
export const writtenTime = (iso: string): string => {
  const at = new Date(iso);
  return Number.isNaN(at.getTime()) ? "" : new Date(at.getTime() - (utc.value ? 0 : at.getTimezoneOffset() * 60_000)).toISOString().slice(0, 16);
};
export const timeOf = (written: string): string => (written ? new Date(`${written}${utc.value ? "Z" : ""}`).toISOString() : "");
export const zoneName = (): string => (utc.value ? "UTC" : "local time");

export const Field = ({ label, hint, children }: { label: string; hint?: string; children: ComponentChildren }) => (
  <label class="field"><span>{label}</span>{children}{hint && <small>{hint}</small>}</label>
);

interface ConfirmProps { title: string; does: string; action: string; children: ComponentChildren; run: () => Promise<unknown>; close: () => void }

/** Ask before what cannot be taken back; it closes itself when it is done. */
export function Confirm({ title, does, action, children, run, close }: ConfirmProps) {
  const doing = useAct();
  const go = () => void doing.run(async () => { await run(); close(); }, `${title} Done.`);
  return (
    <Dialog title={title} close={close}>
      {children}
      {doing.problem && <NotDone error={doing.problem} />}
      <p class="acts"><Act action={action} kind="danger" busy={doing.busy} run={go}>{does}</Act> <button type="button" onClick={close}>Leave it</button></p>
    </Dialog>
  );
}

