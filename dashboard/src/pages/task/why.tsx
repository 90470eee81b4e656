// Why a task is not done, alike items in one row; or why it failed, with the first error.

import { useState } from "preact/hooks";
import type { Waiting, Task } from "../../api.ts";
import { now } from "../../live.ts";
import { Command, State, When } from "../../parts.tsx";
import { grouped, lookOfItem, lookOfTask, safe, since, together } from "../../words.ts";

const ROWS_MAX = 6;
const inWords = (word: string): string => word.replaceAll("_", " ");

interface Row { like: string; items: Waiting[]; count: number }

/** What is alike in one row: it helps alike, or, where only time helps, it says the same. */
export function folded(waiting: readonly Waiting[], reasons: Record<string, number>): Row[] {
  // What waits for another item, or is being worked on, is alike whichever that is.
  const groups = together(waiting, (each) => (each.reason === "dependency" || each.reason === "leased" ? each.reason : `${each.reason} ${each.fix ?? each.detail}`));
  const ofReason = new Map<string, number>();
  for (const [first] of groups.values()) ofReason.set(first!.reason, (ofReason.get(first!.reason) ?? 0) + 1);
  // The first 200 are listed, and all are counted by reason: where a reason has one row, its count is that of the reason.
  return [...groups].map(([like, items]) => ({ like, items, count: ofReason.get(items[0]!.reason) === 1 ? reasons[items[0]!.reason] ?? items.length : items.length }));
}

/** A subtask can be chosen; plans, reviews and the task itself are named. */
const Name = ({ item: { kind, key }, choose }: { item: { kind: string; key: string }; choose: (subtask: string) => void }) =>
  kind === "execute" ? <button type="button" class="link" onClick={() => choose(key)}>{safe(key)}</button> : <b>{safe(key || kind)}</b>;

export function Why({ task, choose }: { task: Task; choose: (subtask: string) => void }) {
  const [all, setAll] = useState(false);
  const { explanation, failure } = task;
  if (task.outcome !== null) {
    if (!failure) return null;
    const { cause } = failure;
    return (
      <section class="why bad" aria-labelledby="why-head">
        <h2 id="why-head">Why it failed: {inWords(failure.code)}</h2>
        {failure.detail && <p>{safe(failure.detail)}</p>}
        {cause && <p><Name item={cause} choose={choose} />{cause.attempt ? `, attempt ${cause.attempt}` : ""}{cause.bot && ` by ${safe(cause.bot)}`}: <span class="error">{safe(cause.message)}</span></p>}
        {failure.fix && <Command text={failure.fix} />}
      </section>
    );
  }
  if (!explanation?.waiting.length) return null;
  const rows = folded(explanation.waiting, explanation.reasons);
  return (
    <section class="why" aria-labelledby="why-head">
      <h2 id="why-head">Why it is not done: {Object.entries(explanation.reasons).map(([reason, count]) => `${grouped(count)} ${inWords(reason)}`).join(" · ")}</h2>
      <ul>
        {rows.slice(0, all ? rows.length : ROWS_MAX).map(({ like, items, count }) => {
          const first = items[0]!;
          return (
            <li key={like}>
              <span><Name item={first} choose={choose} />{count > 1 && ` and ${grouped(count - 1)} more`}</span>
              <State look={first.kind === "task" ? lookOfTask({ status: String(first.status), outcome: null, holds: [] }) : lookOfItem(first.status)} />
              <span>
                {safe(first.detail)}{first.since && <> · for {since(first.since, now.value)}</>}{first.until && <>, at most until <When time={first.until} /></>}
                {first.fix && <div><Command text={first.fix} /></div>}
              </span>
            </li>
          );
        })}
      </ul>
      {rows.length > ROWS_MAX && !all && (
        <p class="none">{grouped(rows.slice(ROWS_MAX).reduce((sum, row) => sum + row.count, 0))} more wait for other reasons. <button type="button" class="small" onClick={() => setAll(true)}>Show all</button></p>
      )}
    </section>
  );
}
