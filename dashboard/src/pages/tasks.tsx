// The list of tasks. The query line is in the address, and nothing else decides what is shown.

import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { lists, type TaskFilter, type TaskRow, type Tally } from "../api.ts";
import { useKeys } from "../keys.ts";
import { counts, ofTasks, say, useRead } from "../live.ts";
import { Chips } from "../chips.tsx";
import { Command, Key, NothingFits, Trouble } from "../parts.tsx";
import { FIRST_TASK, has, STATUSES, toggled, tokens, understood } from "../query.ts";
import { asked, go, put } from "../route.ts";
import { Windowed } from "../windowed.tsx";
import { counted, grouped, type Tone } from "../words.ts";
import { Bulk, BulkButton, Outcome } from "./tasks/bulk.tsx";
import { Line } from "./tasks/line.tsx";
import { Rows } from "./tasks/rows.ts";
import { errorOf, Head, Row } from "./tasks/table.tsx";

const MARKS_MAX = 10_000; // of an operation
const FILTERS: { status: string; tone: Tone }[] = [
  { status: "in_progress", tone: "run" }, { status: "planned", tone: "wait" }, { status: "created", tone: "wait" },
  { status: "completed", tone: "eye" }, { status: "failed", tone: "bad" }, { status: "archived", tone: "ok" },
];


const sum = (numbers: Record<string, number>, only: string[]) => Object.entries(numbers).reduce((all, [status, n]) => (!only.length || only.includes(status) ? all + n : all), 0);
const STATUS = /^[A-Z_]+$/; // other counts are of what is open

/** How many tasks fit: told by the stream if nothing but a status is asked for, else counted. */
function useTally(filter: TaskFilter): { by: Record<string, number> | null; number: number | null; atLeast: boolean } {
  const states = !filter.q && !filter.label.length && !filter.skill.length && !filter.error && !filter.created_after && !filter.created_before;
  const told = states && !filter.outcome.length ? counts.value : null;
  // Without a status, so that all counters have a number; with labels and words only the number of all is known.
  const asked = states ? { ...filter, status: [] } : filter;
  const reading = useRead<Tally | null>(`count ${told !== null} ${JSON.stringify(asked)}`, () => (told ? Promise.resolve(null) : lists.count(asked)), { on: (change) => told === null && ofTasks(change) });
  const found = reading.state.value.data;
  const by = told ? Object.fromEntries(Object.entries(told).filter(([name]) => STATUS.test(name))) : found?.statuses ?? null;
  return { by, number: by ? sum(by, filter.status) : found?.number ?? null, atLeast: !by && Boolean(found?.at_least) };
}

export function Tasks() {
  const line = asked("q"), operation = asked("op");
  const { filter, problems } = useMemo(() => understood(line), [line]);
  const field = useRef<HTMLInputElement | null>(null);
  const held = useRef<{ line: string; rows: Rows; marks: Set<string>; every: boolean; last: number }>(undefined);
  if (held.current?.line !== line) held.current = { line, rows: new Rows((size, token) => lists.rows(filter, size, token)), marks: new Set(), every: false, last: -1 };
  const { rows, marks, every } = held.current;
  const [chosen, setChosen] = useState(-1);
  const [, setChanged] = useState(0);
  const [asking, setAsking] = useState(false);
  const view = useRef(0);
  const drawn = useRef(new WeakMap<TaskRow, { of: readonly unknown[]; row: ComponentChildren }>());
  const changed = () => setChanged((n) => n + 1);

  const reading = useRead(`tasks ${line}`, async () => { await rows.renew(view.current); return true; }, { on: ofTasks });
  const seen = reading.state.value, tasks = rows.all;
  const tally = useTally(filter);

  const titles = (task: string) => rows.all.find((row) => row.id === task)?.title;
  const show = (next: string) => { setChosen(-1); put({ q: next }, false); };
  // The next scroll tries again; whether the server answers is shown by the read above.
  const nearEnd = () => { if (rows.more) rows.next().then(changed, () => undefined); };

  const markShown = () => { for (const { id } of rows.all) marks.add(id); };
  /** Who marks single tasks after all that fit begins with those that are shown. */
  function singly(): void {
    if (held.current!.every) markShown();
    held.current!.every = false;
  }
  function mark(index: number, range = false): void {
    const task = rows.all[index];
    if (!task) return;
    singly();
    const on = !marks.has(task.id);
    const [from, to] = range && held.current!.last >= 0 ? [Math.min(index, held.current!.last), Math.max(index, held.current!.last)] : [index, index];
    for (const { id } of rows.all.slice(from, to + 1)) if (range || on) marks.add(id); else marks.delete(id);
    held.current!.last = index;
    setChosen(index);
    changed();
  }
  /** Mark all that are shown; again: all that fit, also those that are not read yet. The server then gets the filter. */
  function markAll(): void {
    const all = rows.all.every(({ id }) => marks.has(id));
    if (all && rows.more) held.current!.every = true;
    markShown();
    say(all && rows.more ? "All that fit are marked." : `${grouped(marks.size)} marked.${rows.more ? " Again marks all that fit." : ""}`);
    changed();
  }
  /** Mark what failed like the chosen one; what is not read yet is read. */
  async function markAlike(error: string): Promise<void> {
    const of = held.current!;
    singly();
    try {
      while (rows.more && rows.all.length < MARKS_MAX && held.current === of) await rows.next(500);
    } catch {
      say("The server does not answer: only what was read is marked.");
    }
    for (const row of rows.all) if (errorOf(row) === error) marks.add(row.id);
    say(`${grouped(marks.size)} marked.${rows.more ? ` More than ${grouped(MARKS_MAX)} fit.` : ""}`);
    changed();
  }
  const move = (by: number, extend = false) => {
    const next = Math.max(0, Math.min(chosen + by, tasks.length - 1));
    if (extend) singly();
    if (extend) { if (chosen >= 0) marks.add(tasks[chosen]!.id); if (tasks[next]) marks.add(tasks[next].id); held.current!.last = next; }
    setChosen(next);
  };
  const alike = () => { const task = tasks[chosen]; if (task && errorOf(task)) void markAlike(errorOf(task)); };
  const unmark = () => { marks.clear(); held.current!.every = false; changed(); };
  const act = () => { if (marks.size) setAsking(true); };
  // The focus goes where the keys go, if it is in the table.
  useEffect(() => {
    if (document.activeElement?.closest(".task-row")) document.querySelector<HTMLElement>('.task-row a[data-chosen="true"]')?.focus({ preventScroll: true });
  }, [chosen]);
  useKeys({
    j: { does: "next task", run: () => move(1) },
    k: { does: "previous task", run: () => move(-1) },
    Enter: { does: "open the task", run: () => { const task = tasks[chosen]; if (task) go(`#/tasks/${task.id}`); } },
    m: { does: "mark the task, or unmark it", run: () => mark(chosen) },
    Space: { does: "the same", run: () => mark(chosen) },
    J: { does: "mark, and go on", run: () => move(1, true) },
    K: { does: "mark, and go back", run: () => move(-1, true) },
    "*": { does: "mark all that are shown; again: all that fit", run: markAll },
    "=": { does: "mark all that failed like this one", run: alike },
    b: { does: "act on all that is marked", run: act },
    "/": { does: "write a query", run: () => field.current!.focus() },
    "!": { does: "failed only", run: () => show(toggled(line, "status:failed")) },
    Escape: { does: "take back marks, then filters", run: () => { if (document.activeElement === field.current) field.current!.blur(); else if (marks.size) unmark(); else if (line) show(""); } },
  });
  // A row that has not changed is not drawn again: scrolling costs the rows that come into view.
  const row = (index: number) => {
    const task = tasks[index]!, of = [index, index === chosen, index === Math.max(0, chosen), every || marks.has(task.id)] as const;
    const before = drawn.current.get(task);
    if (before?.of.every((each, at) => each === of[at])) return before.row;
    const made = <Row key={task.id} task={task} index={of[0]} chosen={of[1]} stop={of[2]} marked={of[3]} choose={setChosen} mark={mark} />;
    drawn.current.set(task, { of, row: made });
    return made;
  };
  const number = tally.number !== null ? `${grouped(tally.number)}${tally.atLeast ? " or more" : ""}` : `${grouped(tasks.length)}${rows.more ? " and more" : ""}`;
  const many = `${number} that fit`;
  const { order_by: _, ...fits } = filter;
  return (
    <div class="tasks">
      <h1 class="hidden-text">Tasks</h1>
      <div class="filters">
        <Line line={line} show={show} field={field} problems={problems} />
        <Chips
          chips={FILTERS.map(({ status, tone }) => ({ id: `status:${status}`, word: status.replace("_", " "), tone, number: tally.by ? tally.by[status.toUpperCase()] ?? 0 : undefined, pressed: has(line, `status:${status}`) }))}
          toggle={(word) => show(toggled(line, word))}
        />
      </div>
      <Trouble read={{ ...seen, data: seen.data && rows }} what="the tasks" />
      {seen.data && !tasks.length && (line ? (
        <NothingFits title="No task fits." drops={tokens(line).map((name) => ({ name, drop: () => show(toggled(line, name)) }))}>
          {filter.q && <p>Words are looked for in titles: each whole, in any order; the last one may be the beginning of a word.</p>}
        </NothingFits>
      ) : <div class="empty"><h2>There is no task yet.</h2><p>Submit one, and it shows here: <Command text={FIRST_TASK} /></p></div>)}
      {tasks.length > 0 && (
        <Windowed count={tasks.length} row={row} chosen={chosen} label="Tasks" total={rows.more ? -1 : tasks.length} nearEnd={nearEnd} seen={(begin) => { view.current = begin; }} headRow={<Head />} />
      )}
      {tasks.length > 0 && (
        <p class="foot">
          {marks.size > 0
            ? <><b>{every ? `All ${many} marked` : `${grouped(marks.size)} marked`}</b>{!every && rows.more && rows.all.every(({ id }) => marks.has(id)) && <button type="button" class="quiet" onClick={markAll}>Mark all {many}<Key>*</Key></button>} <BulkButton run={act} /> <button type="button" class="quiet" onClick={unmark}>Unmark<Key>Esc</Key></button></>
            : `${number} ${tally.number === 1 ? "task" : "tasks"}`}
          <span class="hints"><Key>j</Key> <Key>k</Key> <Key>Enter</Key> open · <Key>m</Key> mark · <Key>*</Key> all{marks.size === 0 && <> · <Key>=</Key> failed alike</>}</span>
        </p>
      )}
      {asking && <Bulk of={every ? { filter: line ? fits : { status: STATUSES } } : { ids: [...marks] }} name={every ? `all ${many}` : counted(marks.size, "task")} titles={titles} close={() => setAsking(false)} begun={(id) => { setAsking(false); unmark(); put({ op: id }); }} />}
      {operation && <Outcome operation={operation} titles={titles} close={() => { put({ op: null }); void reading.again(); }} />}
    </div>
  );
}
