// The query line for tasks, the same as in the terminal: `status:failed label:team=money after:2026-11-01 invoice`. The
// address holds these words. What is not understood is said, and not sent: the server would refuse it. What it means is
// in docs/reference/query-line.md; the examples of tests/cli/query_line.json hold for both.

import type { TaskFilter } from "./api.ts";

export const STATUSES = ["CREATED", "PLANNED", "IN_PROGRESS", "COMPLETED", "FAILED", "ARCHIVED"];
export const OUTCOMES = ["accepted", "rejected", "failed", "cancelled", "expired"];
export const SORTS: Record<string, string> = { newest: "-created_at", oldest: "created_at", priority: "priority" };
export const NAMES = ["status", "outcome", "label", "skill", "error", "after", "before", "sort"];
const TOKEN = /(?:"[^"]*"?|[^ \t\r\n\u00a0"])+/g;
const TIME = /^((?:19|20)\d\d)-(\d\d)-(\d\d)(T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,3})?)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)?)?$/;

/** What somebody can type who has no task yet. */
export const FIRST_TASK = "swarmkeeper submit Hello --skill greeting --no-review";

export interface Understood { filter: TaskFilter; problems: string[] }

export function understood(line: string): Understood {
  const filter: TaskFilter = { q: "", status: [], outcome: [], label: [], skill: [], order_by: "-created_at" };
  const problems: string[] = [], words: string[] = [], seen = new Set<string>();
  for (const raw of tokens(line)) {
    const word = bare(raw), at = word.indexOf(":");
    if (raw.startsWith('"') || at < 0) words.push(word);
    else {
      const problem = take(filter, word.slice(0, at).toLowerCase(), word.slice(at + 1), seen);
      if (problem) problems.push(`${word}: ${problem}`);
    }
  }
  filter.q = words.filter(Boolean).join(" ");
  if (filter.q && filter.order_by === "priority") {
    problems.push("sort:priority: tasks with words in their titles are sorted by time");
    filter.order_by = "-created_at";
  }
  return { filter, problems };
}

/** Add a filter to what was understood; return what is wrong with it. */
function take(filter: TaskFilter, name: string, value: string, seen: Set<string>): string | undefined {
  if (["after", "before", "sort"].includes(name)) {
    if (seen.has(name)) return `${name}: is there already`;
    seen.add(name);
  }
  switch (name) {
    case "status": return anyOf(filter.status, value.toUpperCase().replaceAll("-", "_"), STATUSES, "a status");
    case "outcome": return anyOf(filter.outcome, value.toLowerCase(), OUTCOMES, "an outcome");
    case "label": {
      const sign = value.indexOf(value.includes("=") ? "=" : ":");
      if (sign < 1) return "a label is written as label:name=value";
      once(filter.label, `${value.slice(0, sign)}:${value.slice(sign + 1)}`);
      return undefined;
    }
    case "skill":
      if (!value) return "a skill is written as skill:name";
      once(filter.skill, value);
      return undefined;
    case "error":
      if (!value) return "words of an error are written as error:word";
      filter.error = filter.error ? `${filter.error} ${value}` : value;
      return undefined;
    case "after": case "before": {
      const time = moment(value);
      if (!time) return "a time is written as 2026-11-29 or 2026-11-29T06:00Z";
      filter[`created_${name}`] = time;
      return undefined;
    }
    case "sort": {
      const order = Object.hasOwn(SORTS, value.toLowerCase()) ? SORTS[value.toLowerCase()] : undefined;
      if (!order) return `sort by ${Object.keys(SORTS).join(", ")}`;
      filter.order_by = order;
      return undefined;
    }
    default: return `write ${NAMES.map((each) => `${each}:`).join(", ")} or, to search for it in titles, put it in quotes`;
  }
}

function anyOf(chosen: string[], value: string, allowed: string[], what: string): string | undefined {
  if (!allowed.includes(value)) return `${what} is one of ${allowed.join(", ").toLowerCase()}`;
  once(chosen, value);
  return undefined;
}

function once(values: string[], value: string): void {
  if (!values.includes(value)) values.push(value);
}

/** A time in UTC as the API takes it; a time without a zone is local. */
function moment(text: string): string | undefined {
  const found = TIME.exec(text);
  if (!found) return undefined;
  const [, year, month, day, rest] = found;
  const noon = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day), 12));
  if (noon.getUTCMonth() !== Number(month) - 1 || noon.getUTCDate() !== Number(day)) return undefined;
  return new Date(rest ? text : `${text}T00:00:00`).toISOString();
}

/** The words of a line as they are written; what is in double quotes belongs together. */
export const tokens = (line: string): string[] => line.match(TOKEN) ?? [];

const bare = (word: string): string => word.replaceAll('"', "");
const same = (a: string, b: string): boolean => bare(a).toLowerCase() === bare(b).toLowerCase();

/** Put a word into the line, or take it out if it is there. */
export function toggled(line: string, word: string): string {
  const all = tokens(line).map((each) => (each.split('"').length % 2 ? each : `${each}"`)), rest = all.filter((each) => !same(each, word));
  return (rest.length < all.length ? rest : [...all, word]).join(" ");
}

export const has = (line: string, word: string): boolean => tokens(line).some((each) => same(each, word));

/** A filter as it is written into a line: its value in quotes if it has blanks. */
export const filterWord = (name: string, value: string): string => `${name}:${/[ \t\r\n\u00a0]/.test(value) ? `"${value}"` : value}`;
