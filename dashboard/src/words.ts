// What the words of the API look like, and how times, amounts and sizes are written. A word that is not known here is
// shown as it is, in a neutral tone: a newer server may have it.

import { utc } from "./state.ts";

export type Tone = "ok" | "bad" | "run" | "wait" | "hold" | "eye" | "plain";
export interface Look { tone: Tone; word: string }

const TASKS: Record<string, Look> = {
  CREATED: { tone: "wait", word: "created" },
  PLANNED: { tone: "wait", word: "planned" },
  IN_PROGRESS: { tone: "run", word: "in progress" },
  COMPLETED: { tone: "eye", word: "completed" },
  FAILED: { tone: "bad", word: "failed" },
  ARCHIVED: { tone: "ok", word: "archived" },
};
const ITEMS: Record<string, Look> = {
  BLOCKED: { tone: "wait", word: "blocked" },
  READY: { tone: "wait", word: "ready" },
  LEASED: { tone: "run", word: "running" },
  WAITING: { tone: "hold", word: "waits" },
  IN_REVIEW: { tone: "eye", word: "in review" },
  SUCCEEDED: { tone: "ok", word: "done" },
  FAILED: { tone: "bad", word: "failed" },
  CANCELLED: { tone: "plain", word: "cancelled" },
  SKIPPED: { tone: "plain", word: "skipped" },
};
const OUTCOMES: Record<string, Look> = {
  accepted: { tone: "ok", word: "accepted" },
  rejected: { tone: "bad", word: "rejected" },
  failed: { tone: "bad", word: "failed" },
  cancelled: { tone: "plain", word: "cancelled" },
  expired: { tone: "bad", word: "expired" },
};

const plain = (word: string): Look => ({ tone: "plain", word: word.toLowerCase().replaceAll("_", " ") });

export const lookOfItem = (status: string): Look => ITEMS[status] ?? plain(status);
export const lookOfEnding = (ending: string): Look =>
  ending === "succeeded" ? { tone: "ok", word: "succeeded" }
    : ["failed", "expired", "timed_out"].includes(ending) ? { tone: "bad", word: ending.replace("_", " ") }
    : ["deferred", "asked"].includes(ending) ? { tone: "hold", word: ending } : plain(ending);

/** The look of a task: what a person wants to know of it first. */
export function lookOfTask(task: { status: string; outcome: string | null; holds: string[] }): Look {
  if (task.outcome !== null) {
    const outcome = OUTCOMES[task.outcome] ?? plain(task.outcome);
    return task.status === "ARCHIVED" && task.outcome === "accepted" ? { tone: "ok", word: "archived" } : outcome;
  }
  if (task.holds.includes("paused")) return { tone: "hold", word: "paused" };
  if (task.holds.includes("budget")) return { tone: "hold", word: "at its budget" };
  if (task.holds.length) return { tone: "hold", word: "waits for a person" };
  return TASKS[task.status] ?? plain(task.status);
}

// How bad a state is: stages show the worst first.
const ORDER: Tone[] = ["bad", "hold", "run", "eye", "wait", "plain", "ok"];
export const worse = (a: Tone, b: Tone): number => ORDER.indexOf(a) - ORDER.indexOf(b);

export function span(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m ${String(Math.floor(seconds % 60)).padStart(2, "0")} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")} m`;
  return `${Math.floor(hours / 24)} d`;
}

export const since = (time: string | null, now: number): string => (time ? span(now - Date.parse(time)) : "–");
export const until = (time: string | null, now: number): string => (time ? span(Date.parse(time) - now) : "–");

/** A moment with its zone, local or UTC as the person wants it: `29 Nov 06:10:02 UTC+1`. */
export function moment(time: string | null): string {
  if (!time) return "–";
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return "–";
  const shown = inZone(at), two = (n: number) => String(n).padStart(2, "0");
  const month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][shown.getUTCMonth()];
  return `${shown.getUTCDate()} ${month} ${two(shown.getUTCHours())}:${two(shown.getUTCMinutes())}:${two(shown.getUTCSeconds())} ${zone(at)}`;
}

const minutesAhead = (at: Date): number => (utc.value ? 0 : -at.getTimezoneOffset());

/** A date whose fields in UTC are those that are shown. */
export const inZone = (at: Date): Date => new Date(at.getTime() + minutesAhead(at) * 60_000);

/** The zone in which a moment is shown: `UTC`, `UTC+1`, `UTC−3:30`. */
export function zone(at: Date): string {
  const minutes = minutesAhead(at);
  if (minutes === 0) return "UTC";
  const rest = Math.abs(minutes) % 60;
  return `UTC${minutes < 0 ? "−" : "+"}${Math.floor(Math.abs(minutes) / 60)}${rest ? `:${String(rest).padStart(2, "0")}` : ""}`;
}

/** Money is an integer of millionths of a dollar; it is cut into digits, never divided as a float. */
export function money(micro: number | undefined | null): string {
  if (micro === undefined || micro === null) return "–";
  const digits = String(Math.trunc(Math.abs(micro))).padStart(7, "0");
  const [whole, part] = [digits.slice(0, -6), digits.slice(-6)];
  const shown = whole === "0" ? part.slice(0, 4).replace(/0{1,2}$/, "") : part.slice(0, 2);
  return `${micro < 0 ? "−" : ""}$${grouped(whole)}.${shown.padEnd(2, "0")}`;
}

export const grouped = (digits: string | number): string => String(digits).replace(/\B(?=(\d{3})+(?!\d))/g, ",");

/** Characters that turn the direction of text, or cannot be seen, as escapes: a title must not disguise itself. */
export const safe = (text: string): string =>
  text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** An id that nobody reads as a whole: its kind and its end. */
export const shortId = (id: string): string => id.replace(/\b([a-z]{3})_[0-9A-Za-z]{14,}([0-9A-Za-z]{6})\b/g, "$1_…$2");

/** Begins a text that stands for an integer, as api.ts reads it: a sign for private use. */
export const EXACT = "\ue000";

const INTEGERS = new RegExp(`"${EXACT}(-?\\d+)"`, "g");

/** The first part of a value as text. */
export function head(value: unknown, max = 64 * 1024): { text: string; cut: boolean } {
  const text = typeof value === "string" ? value.replace(new RegExp(`^${EXACT}`), "") : (JSON.stringify(value, null, 2) ?? "null").replace(INTEGERS, "$1");
  return text.length > max ? { text: safe(text.slice(0, max)), cut: true } : { text: safe(text), cut: false };
}

/** A number with what is counted: `1 task`, `1,204 tasks`. */
export const counted = (n: number, what: string): string => `${grouped(n)} ${what}${n === 1 ? "" : "s"}`;

const VERDICTS: Record<string, Tone> = { accept: "ok", rework: "hold", reject: "bad" };
export const lookOfVerdict = (decision: string): Look => ({ tone: VERDICTS[decision] ?? "plain", word: safe(decision) });

/** What is alike together, in the order of the first of each. */
export function together<T>(items: readonly T[], like: (item: T) => string): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const each of items) {
    const name = like(each), there = found.get(name);
    if (there) there.push(each); else found.set(name, [each]);
  }
  return found;
}

/** The item at a place, or the one that is nearest to it. */
export const near = <T>(items: readonly T[], at: number): T | undefined => items[Math.max(0, Math.min(at, items.length - 1))];
