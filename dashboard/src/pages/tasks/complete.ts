// What could follow what is typed into the query line.

import type { LabelTally } from "../../api.ts";
import { filterWord, NAMES, OUTCOMES, SORTS, STATUSES } from "../../query.ts";
import { counted } from "../../words.ts";

export interface Offer { line: string; word: string; hint: string }
const MOST = 8;

/** The word of the line that ends here, in front of a blank or the end. */
function wordAt(line: string, at: number): string {
  return /^[ ]|^$/.test(line.slice(at)) ? /(?:"[^"]*"?|[^ "])*$/.exec(line.slice(0, at))![0] : "";
}

/** Of which label the values are asked for; "" for the names of all labels, undefined if no label is typed. */
export function labelAsked(line: string, at: number): string | undefined {
  const found = /^label:([^=]*)(=?)/i.exec(wordAt(line, at).replaceAll('"', ""));
  return found ? (found[2] ? found[1] : "") : undefined;
}

export function offers(line: string, at: number, labels: readonly LabelTally[]): Offer[] {
  const word = wordAt(line, at), typed = word.replaceAll('"', "").toLowerCase();
  if (!typed || word.startsWith('"')) return [];
  const colon = typed.indexOf(":"), name = typed.slice(0, colon), value = typed.slice(colon + 1);
  const found: [string, string][] =
    colon < 0 ? NAMES.map((each) => [`${each}:`, ""])
      : name === "status" ? STATUSES.map((each) => [`status:${each.toLowerCase()}`, ""])
      : name === "outcome" ? OUTCOMES.map((each) => [`outcome:${each}`, ""])
      : name === "sort" ? Object.keys(SORTS).map((each) => [`sort:${each}`, ""])
      : name !== "label" ? []
      : value.includes("=") ? labels.map(({ key, value: text, tasks }) => [filterWord("label", `${key}=${text}`), counted(tasks, "task")])
      : [...new Set(labels.map(({ key }) => key))].map((key) => [`label:${key}=`, ""]);
  return found
    .filter(([each]) => each.replaceAll('"', "").toLowerCase().startsWith(typed) && each !== word)
    .slice(0, MOST)
    .map(([each, hint]) => ({
      line: line.slice(0, at - word.length) + each + (/[:=]$/.test(each) ? "" : " ") + line.slice(at).trimStart(),
      word: each, hint,
    }));
}
