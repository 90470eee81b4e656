// The query line of the list of tasks: `status:failed label:team=money after:2026-11-01 sort:priority`. The same words
// are in the address. What is not understood is said, and not sent: the server would refuse it.

import type { TaskFilter } from "./api.ts";

const STATUSES = ["CREATED", "PLANNED", "IN_PROGRESS", "COMPLETED", "FAILED", "ARCHIVED"];
const OUTCOMES = ["accepted", "rejected", "failed", "cancelled", "expired"];
const SORTS: Record<string, string> = { newest: "-created_at", oldest: "created_at", priority: "priority" };

/** What somebody can type who has no task yet. */
export const FIRST_TASK = "swarmkeeper submit Hello --skill greeting --no-review";

export interface Understood { filter: TaskFilter; problems: string[] }

export function understood(line: string): Understood {
  const filter: TaskFilter = { status: [], outcome: [], label: [], order_by: "-created_at" };
  const problems: string[] = [];
  for (const word of words(line)) {
    const at = word.indexOf(":");
    const name = at < 0 ? "" : word.slice(0, at).toLowerCase(), value = word.slice(at + 1);
    if (name === "status" || name === "is") {
      const status = value.toUpperCase().replaceAll("-", "_");
      if (STATUSES.includes(status)) filter.status.push(status);
      else problems.push(`${word}: a status is one of ${STATUSES.map((each) => each.toLowerCase()).join(", ")}`);
    } else if (name === "outcome") {
      if (OUTCOMES.includes(value.toLowerCase())) filter.outcome.push(value.toLowerCase());
      else problems.push(`${word}: an outcome is one of ${OUTCOMES.join(", ")}`);
    } else if (name === "label") {
      const [label, text] = parted(value);
      if (label) filter.label.push(`${label}:${text}`);
      else problems.push(`${word}: a label is written as label:name=value`);
    } else if (name === "after" || name === "before") {
      const time = /^\d{4}-\d\d-\d\d([T ].*)?$/.test(value) ? new Date(value.length === 10 ? `${value}T00:00:00` : value) : null;
      if (time && !Number.isNaN(time.getTime())) filter[name === "after" ? "created_after" : "created_before"] = time.toISOString();
      else problems.push(`${word}: a time is written as 2026-11-29 or 2026-11-29T06:00Z`);
    } else if (name === "sort") {
      const order = SORTS[value.toLowerCase()];
      if (order) filter.order_by = order;
      else problems.push(`${word}: sort by ${Object.keys(SORTS).join(", ")}`);
    } else {
      problems.push(`${word}: write status:, outcome:, label:, after:, before: or sort:`);
    }
  }
  return { filter, problems };
}

/** Put a word into the line, or take it out if it is there. */
export function toggled(line: string, word: string): string {
  const all = words(line);
  const rest = all.filter((each) => each.toLowerCase() !== word.toLowerCase());
  return (rest.length < all.length ? rest : [...all, word]).map(quoted).join(" ");
}

export const has = (line: string, word: string): boolean => words(line).some((each) => each.toLowerCase() === word.toLowerCase());

/** Split at blanks; what is in double quotes belongs together. */
function words(line: string): string[] {
  return (line.match(/(?:"[^"]*"?|[^\s"])+/g) ?? []).map((word) => word.replaceAll('"', ""));
}

const quoted = (word: string): string => (/\s/.test(word) ? `"${word}"` : word);

function parted(value: string): [string, string] {
  const at = value.search(/[=:]/);
  return at < 1 ? ["", ""] : [value.slice(0, at), value.slice(at + 1)];
}
