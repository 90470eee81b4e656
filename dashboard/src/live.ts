// Keeps what a page shows up to date. A page names what it reads, and which changes concern it; it is read again when
// such a change is told, while the page is visible. Nothing is read while it is hidden. Where there is no stream of
// changes, it is read again after a pause. If the server does not answer, what was read last stays.

import { signal, type Signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { ApiError } from "./api.ts";
import { session } from "./state.ts";
import { Stream, type Change, type Told } from "./stream.ts";
import type { Asked } from "./worker.ts";

const EVERY_MS = 3_000; // without a stream
const SELDOM_MS = 60_000; // with one: for what no change tells of
const REFUSED_MS = 10_000; // what is refused now is seldom allowed soon
const GAP_MS = 500, LONG_GAP_MS = 2_000; // between two reads, whatever is told: long for what costs the server much
const SLOW_READ_MS = 100;
const BUSY_TASKS = 10; // a change of more of them is one of many: what shows them is read at most each LONG_GAP_MS
const TOGETHER_MS = 600; // more than between two changes: with the next one all pages read, and the server answers them as one
const PAUSES_S = [1, 2, 4, 8, 15, 30];
export const SKELETON_AFTER_MS = 150;

/** `live`: the last read was answered. `retryAt` is when the next try is, by the clock of this machine. */
export const connection = signal<{ live: boolean; failures: number; retryAt: number }>({ live: true, failures: 0, retryAt: 0 });
/** Whether changes are told as they happen; else pages read again and again. */
export const streaming = signal(false);
/** What is open, and tasks by status, of the last change; null for who may not know it. */
export const counts = signal<Record<string, number> | null>(null);
export const approvalsOpen = signal<number | null>(null);

// ---- The stream ------------------------------------------------------------------------------------------------------

const listeners = new Set<(change: Change | "all" | "live") => void>();
let ask: ((asked: Asked) => void) | undefined;
let lost = false; // the stream was open before, or should have been

function hear(told: Told): void {
  if ("change" in told) {
    const { change } = told;
    counts.value = change.counts;
    approvalsOpen.value = change.approvals_open;
    // The first message says how things are, and of no change: what is shown was read just now.
    if (change.tasks.length || change.also.length) for (const listener of [...listeners]) listener(change);
  } else if (told.live) {
    streaming.value = true;
    answered();
    // What no change tells of may be older than the loss: it is all read again.
    for (const listener of [...listeners]) listener(lost ? "all" : "live");
    lost = false;
  } else {
    streaming.value = false;
    lost = told.status !== 401;
    if (told.status === 401) session.value = null;
    // Whether the server is away is for the reads to say: a proxy may end streams and pass on all else.
    else for (const listener of [...listeners]) listener("all");
  }
}

/** Follow the server's changes, in the worker that all tabs share if the browser has such; begun once. */
export function followChanges(): void {
  if (!ask) {
    const worker = sharedWorker();
    if (worker) {
      worker.port.onmessage = ({ data }: MessageEvent<Told>) => hear(data);
      ask = (asked) => worker.port.postMessage(asked);
      addEventListener("pagehide", () => ask!("bye"));
      addEventListener("pageshow", (event) => { if (event.persisted) ask!("begin"); }); // back from the browser's memory
    } else {
      const stream = new Stream(new URL("../changes", document.baseURI).href, hear);
      ask = (asked) => (asked === "begin" ? stream.begin() : stream.end());
    }
  }
  ask("begin");
}

/** Who signs out hears nothing more, in no tab. */
export function stopFollowing(): void {
  ask?.("end");
  streaming.value = false;
  counts.value = approvalsOpen.value = null;
}

/** Try again now. */
export function tryNow(): void {
  ask?.("begin");
  for (const listener of [...listeners]) listener("all");
}

function sharedWorker(): SharedWorker | undefined {
  try {
    return new SharedWorker(scriptUrl("worker.js") as string, { type: "module", name: "swarmkeeper" });
  } catch {
    return undefined; // not every browser has it, and a policy may forbid it
  }
}

interface Policy { createScriptURL: (url: string) => unknown }
let policy: Policy | undefined;

/** The address of one of our own scripts, for a worker: the only text that becomes code, by the one named policy. */
export function scriptUrl(name: "worker.js" | "tree.js"): unknown {
  const url = new URL(name, document.baseURI).href;
  const types = (globalThis as { trustedTypes?: { createPolicy: (name: string, rules: Policy) => Policy } }).trustedTypes;
  policy ??= types?.createPolicy("swarmkeeper", { createScriptURL: (text) => text });
  return policy ? policy.createScriptURL(url) : url;
}

// ---- Reads -----------------------------------------------------------------------------------------------------------

/** How many things of the page are read for the first time now. */
export const pending = signal(0);

export interface Read<T> { data: T | undefined; error: ApiError | undefined; slow: boolean; at: number }
export interface Reading<T> { state: Signal<Read<T>>; again: () => Promise<void> }
export interface ReadOptions {
  /** Whether a change concerns what is read; every one does if it is left out. */
  on?: (change: Change) => boolean;
  every?: number; // ms between two reads without a stream
  seldom?: number; // ms between two reads with one, though nothing is told
  gap?: number; // ms between two reads at least, whatever is told
}

export const ofTask = (task: string) => (change: Change): boolean => change.tasks === "many" || change.tasks.includes(task);
export const ofTasks = (change: Change): boolean => change.tasks === "many" || change.tasks.length > 0;
export const ofAlso = (...kinds: string[]) => (change: Change): boolean => change.also.some((each) => kinds.includes(each));

/** Read with `read` now and again until the page goes; `key` names what is read: with another one it begins anew. */
export function useRead<T>(key: string, read: (before: T | undefined) => Promise<T>, options: ReadOptions = {}): Reading<T> {
  const made = useMemo(() => reader(read, options), [key]);
  useEffect(() => {
    made.begin();
    return made.end;
  }, [made]);
  return made;
}

function reader<T>(read: (before: T | undefined) => Promise<T>, { on = () => true, every = EVERY_MS, seldom = SELDOM_MS, gap: least = GAP_MS }: ReadOptions) {
  const state = signal<Read<T>>({ data: undefined, error: undefined, slow: false, at: 0 });
  let timer = 0, due = 0, ended = false, reading: Promise<void> | undefined;
  let busy = false; // much was happening at the last change
  let missed = false; // something changed while it was read, or while the page was hidden
  let gap = least, readAt = 0;

  /** Read again in so many ms, if nothing is planned before. */
  function plan(pause: number): void {
    const at = Date.now() + pause;
    if (ended || (timer && due <= at)) return;
    clearTimeout(timer);
    due = at;
    timer = setTimeout(() => { timer = 0; void again(); }, pause) as unknown as number;
  }
  async function once(): Promise<void> {
    clearTimeout(timer);
    timer = 0;
    missed = false;
    const begun = (readAt = Date.now()), first = state.peek().at === 0 && !state.peek().error;
    if (first) pending.value++;
    const slow = setTimeout(() => { state.value = { ...state.value, slow: true }; }, SKELETON_AFTER_MS);
    let pause = streaming.peek() ? seldom : every;
    try {
      const data = await read(state.peek().data);
      if (!ended) state.value = { data, error: undefined, slow: false, at: Date.now() };
      answered();
    } catch (thrown) {
      const error = thrown instanceof ApiError ? thrown : new ApiError(-1, "fault", String(thrown));
      if (error.signedOut) session.value = null;
      pause = failed(error, every);
      if (!ended) state.value = { ...state.value, error, slow: false };
    } finally {
      clearTimeout(slow);
      if (first) pending.value--;
      reading = undefined;
    }
    gap = Math.max(least, Date.now() - begun > SLOW_READ_MS ? LONG_GAP_MS : GAP_MS);
    plan(missed ? Math.min(pause, busy ? LONG_GAP_MS + TOGETHER_MS : gap) : pause);
  }
  function again(): Promise<void> {
    if (ended) return Promise.resolve();
    if (document.hidden) { missed = true; return Promise.resolve(); }
    reading ??= once();
    return reading;
  }
  function heard(change: Change | "all" | "live"): void {
    // What was read without a stream may be old, and is read again soon, as planned then: a page that opens with its
    // stream does not read twice at once. What failed may succeed now.
    if (change === "live" && !state.peek().error && (reading || (timer && due - Date.now() <= every))) return;
    const told = typeof change === "object";
    if (told && !on(change)) return;
    missed = true;
    busy = told && (change.tasks === "many" || change.tasks.length > BUSY_TASKS);
    if (busy) gap = Math.max(least, LONG_GAP_MS);
    // What happens after a quiet time shows at once; what goes on happening, after the gap.
    const left = readAt + gap - Date.now();
    if (!reading) plan(left <= 0 ? 0 : busy ? left + TOGETHER_MS : left);
  }
  const shown = () => { if (!document.hidden && (missed || !streaming.peek())) void again(); };
  const online = () => void again();
  return {
    state,
    /** Read again, after what was done meanwhile. */
    again: async () => { await reading; await again(); },
    begin: () => {
      listeners.add(heard);
      document.addEventListener("visibilitychange", shown);
      addEventListener("online", online);
      void again();
    },
    end: () => {
      ended = true;
      clearTimeout(timer);
      listeners.delete(heard);
      document.removeEventListener("visibilitychange", shown);
      removeEventListener("online", online);
    },
  };
}

function answered(): void {
  if (!connection.peek().live) connection.value = { live: true, failures: 0, retryAt: 0 };
}

/** Return after how many milliseconds to try again. */
function failed(error: ApiError, every: number): number {
  if (!error.disconnected) return Math.max(every, REFUSED_MS, error.retryAfter * 1000);
  const { failures, retryAt } = connection.peek();
  const left = retryAt - Date.now();
  if (left > 0) return left; // another read of the page has found it out
  const pause = 1000 * Math.max(error.retryAfter, PAUSES_S[Math.min(failures, PAUSES_S.length - 1)]!);
  connection.value = { live: false, failures: failures + 1, retryAt: Date.now() + pause };
  return pause;
}

/** The time, each second: ages and countdowns depend on it. */
export const now = signal(Date.now());
export function tick(): void {
  setInterval(() => { if (!document.hidden) now.value = Date.now(); }, 1000);
}

/** What a screen reader is told. */
export const said = signal("");
export function say(text: string): void {
  said.value = said.peek() === text ? `${text}\u00a0` : text;
}
