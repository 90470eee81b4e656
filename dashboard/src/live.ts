// Keeps what a page shows up to date: each page names what it reads, and it is read again while the page is visible.
// Nothing is read while it is hidden. If the server does not answer, it is tried again after 1, 2, 4 … 30 seconds, and
// what was read last stays. A stream of changes can take the place of the pause without any page knowing.

import { signal, type Signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { ApiError } from "./api.ts";
import { session } from "./state.ts";

const EVERY_MS = 3_000;
const REFUSED_MS = 10_000; // what is refused now is seldom allowed soon
const PAUSES_S = [1, 2, 4, 8, 15, 30];
export const SKELETON_AFTER_MS = 150;

/** `live`: the last read was answered. `retry_at` is when the next try is. */
export const connection = signal<{ live: boolean; failures: number; retryAt: number }>({ live: true, failures: 0, retryAt: 0 });

export interface Read<T> { data: T | undefined; error: ApiError | undefined; slow: boolean; at: number }
export interface Reading<T> { state: Signal<Read<T>>; again: () => Promise<void> }

/** Read with `read` now and again until the page goes; `key` names what is read: with another one it begins anew. */
export function useRead<T>(key: string, read: (before: T | undefined) => Promise<T>, every = EVERY_MS): Reading<T> {
  const made = useMemo(() => reader(read, every), [key]);
  useEffect(() => {
    made.begin();
    return made.end;
  }, [made]);
  return made;
}

function reader<T>(read: (before: T | undefined) => Promise<T>, every: number) {
  const state = signal<Read<T>>({ data: undefined, error: undefined, slow: false, at: 0 });
  let timer = 0, ended = false, reading: Promise<void> | undefined;

  async function once(): Promise<void> {
    clearTimeout(timer);
    const slow = setTimeout(() => { state.value = { ...state.value, slow: true }; }, SKELETON_AFTER_MS);
    let pause = every;
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
      reading = undefined;
    }
    if (!ended) timer = setTimeout(again, pause) as unknown as number;
  }
  function again(): Promise<void> {
    if (document.hidden || ended) return Promise.resolve();
    reading ??= once();
    return reading;
  }
  const shown = () => { if (!document.hidden) void again(); };
  return {
    state,
    /** Read again, after what was done meanwhile. */
    again: async () => { await reading; await again(); },
    begin: () => { document.addEventListener("visibilitychange", shown); addEventListener("online", shown); void again(); },
    end: () => { ended = true; clearTimeout(timer); document.removeEventListener("visibilitychange", shown); removeEventListener("online", shown); },
  };
}

function answered(): void {
  if (!connection.peek().live) connection.value = { live: true, failures: 0, retryAt: 0 };
}

/** Return after how many milliseconds to try again. */
function failed(error: ApiError, every: number): number {
  if (!error.disconnected) return Math.max(every, REFUSED_MS, error.retryAfter * 1000);
  const failures = connection.peek().failures + 1;
  const pause = 1000 * Math.max(error.retryAfter, PAUSES_S[Math.min(failures, PAUSES_S.length) - 1]!);
  connection.value = { live: false, failures, retryAt: Date.now() + pause };
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

