// The table of tasks: its head, and a row.

import type { TaskRow } from "../../api.ts";
import { Ago, Labels, Progress, State } from "../../parts.tsx";
import { lookOfTask, money, safe, span } from "../../words.ts";

const COLUMNS = ["Mark", "State", "Title", "Progress", "Labels", "Bot", "Cost", "Took", "Changed"];
export const Head = () => (
  <div role="rowgroup" class="head">
    <div role="row" class="task-row" aria-rowindex={1}>
      {COLUMNS.map((name) => <span role="columnheader" key={name} class={`c-${name.toLowerCase()}`}>{name === "Mark" ? <span class="hidden-text">Mark</span> : name}</span>)}
    </div>
  </div>
);

/** What went wrong first, on one line; none for a task that runs well. */
export const errorOf = (task: TaskRow): string => (task.error?.message ?? task.failure?.detail ?? "").split("\n", 1)[0]!;

interface Props { task: TaskRow; index: number; chosen: boolean; stop: boolean; marked: boolean; choose: (index: number) => void; mark: (index: number, range: boolean) => void }

export function Row({ task, index, chosen, stop, marked, choose, mark }: Props) {
  const error = errorOf(task);
  return (
    <div role="row" aria-rowindex={index + 2} class={`task-row ${chosen ? "chosen" : ""} ${marked ? "marked" : ""}`} aria-current={chosen ? "true" : undefined}>
      <span role="cell" class="c-mark">
        <input type="checkbox" tabIndex={-1} checked={marked} aria-label={`Mark ${safe(task.title)}`} onClick={(event) => { event.preventDefault(); mark(index, event.shiftKey); }} />
      </span>
      <span role="cell" class="c-state"><State look={lookOfTask(task)} /></span>
      <span role="cell" class="c-title">
        <a href={`#/tasks/${task.id}`} tabIndex={stop ? 0 : -1} onFocus={() => choose(index)} data-chosen={chosen}>{safe(task.title)}</a>
        {error && <small title={safe(error)}>{safe(error)}</small>}
      </span>
      <span role="cell" class="c-progress"><Progress {...task.progress} />{task.round > 1 && <small> round {task.round}</small>}</span>
      <span role="cell" class="c-labels"><Labels labels={task.labels} /></span>
      <span role="cell" class="c-bot">{task.last_bot === null ? "–" : safe(task.last_bot)}</span>
      <span role="cell" class="c-cost">{money(task.usage?.cost_micro_usd)}</span>
      <span role="cell" class="c-took">{!task.started_at ? "–" : task.ended_at ? span(Date.parse(task.ended_at) - Date.parse(task.started_at)) : <Ago time={task.started_at} />}</span>
      <span role="cell" class="c-changed"><Ago time={task.updated_at} /> ago</span>
    </div>
  );
}
