// The list of tasks. The query line is in the address, and nothing else decides what is shown.

import { signal } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { api, type Task } from "../api.ts";
import { useKeys } from "../keys.ts";
import { ofTasks, useRead } from "../live.ts";
import { Ago, Command, Glyph, Key, Labels, Progress, State, Trouble } from "../parts.tsx";
import { FIRST_TASK, has, toggled, understood } from "../query.ts";
import { go, route, written } from "../route.ts";
import { Windowed } from "../windowed.tsx";
import { lookOfTask, money, safe, span } from "../words.ts";

const PAGE = 200;
const ROW = 34, ROW_NARROW = 68;
const FILTERS = [
  { word: "status:in_progress", name: "in progress", tone: "run" },
  { word: "status:planned", name: "planned", tone: "wait" },
  { word: "status:completed", name: "completed", tone: "eye" },
  { word: "status:failed", name: "failed", tone: "bad" },
  { word: "status:archived", name: "archived", tone: "ok" },
] as const;

const narrow = signal(matchMedia("(max-width: 760px)").matches);
matchMedia("(max-width: 760px)").addEventListener("change", (event) => { narrow.value = event.matches; });

export function Tasks() {
  const line = route.value.query.get("q") ?? "";
  const { filter, problems } = useMemo(() => understood(line), [line]);
  const field = useRef<HTMLInputElement>(null);
  // The pages after the first. A token is used once: it is replaced before anything else can ask for the next page.
  const later = useRef<{ line: string; tasks: Task[]; token: string | null }>({ line, tasks: [], token: null });
  const [, setPages] = useState(0);
  const [chosen, setChosen] = useState(-1);
  const loading = useRef(false);

  const reading = useRead(`tasks ${line}`, () => api.tasks(filter, PAGE), { on: ofTasks });
  const seen = reading.state.value;
  const first = seen.data?.items ?? [];
  if (later.current.line !== line) later.current = { line, tasks: [], token: null };
  const rest = later.current.tasks;
  const tasks = useMemo(() => {
    const there = new Set(first.map((task) => task.id));
    return [...first, ...rest.filter((task) => !there.has(task.id))];
  }, [seen.data, rest]);
  const nextPage = () => later.current.token ?? reading.state.peek().data?.next_page_token ?? "";
  const token = nextPage();

  async function nearEnd(): Promise<void> {
    const next = nextPage(), of = later.current;
    if (!next || loading.current) return;
    loading.current = true;
    try {
      const page = await api.tasks(filter, PAGE, next);
      of.tasks = [...of.tasks, ...page.items];
      of.token = page.next_page_token;
      setPages((pages) => pages + 1);
    } catch {
      // The next scroll tries again; whether the server answers is shown by the read above.
    } finally {
      loading.current = false;
    }
  }
  const show = (next: string) => { setChosen(-1); go(written(["tasks"], next ? new URLSearchParams({ q: next }) : undefined)); };
  useEffect(() => { if (field.current && document.activeElement !== field.current) field.current.value = line; }, [line]);
  useKeys({
    j: { does: "next task", run: () => setChosen((at) => Math.min(at + 1, tasks.length - 1)) },
    k: { does: "previous task", run: () => setChosen((at) => Math.max(at - 1, 0)) },
    Enter: { does: "open the task", run: () => { const task = tasks[chosen]; if (task) go(`#/tasks/${task.id}`); } },
    "/": { does: "write a query", run: () => field.current!.focus() },
    "!": { does: "failed only", run: () => show(toggled(line, "status:failed")) },
    Escape: { does: "", run: () => { if (document.activeElement === field.current) field.current!.blur(); else if (line) show(""); } },
  });
  const row = (index: number) => <Row key={tasks[index]!.id} task={tasks[index]!} index={index} chosen={index === chosen} />;
  return (
    <div class="tasks">
      <h1 class="hidden-text">Tasks</h1>
      <div class="filters">
        <div class="chips" role="group" aria-label="Filters">
          {FILTERS.map((each) => (
            <button type="button" key={each.word} class="chip" aria-pressed={has(line, each.word)} onClick={() => show(toggled(line, each.word))}>
              <Glyph tone={each.tone} /> {each.name}
            </button>
          ))}
        </div>
        <form role="search" onSubmit={(event) => { event.preventDefault(); show(field.current!.value.trim()); field.current!.blur(); }}>
          <label class="hidden-text" for="query">Query</label>
          <input id="query" ref={field} type="search" defaultValue={line} spellcheck={false} placeholder="status:failed label:team=money after:2026-11-01 sort:oldest   ( / )" aria-describedby={problems.length ? "query-problem" : undefined} />
        </form>
        {problems.length > 0 && <p id="query-problem" class="trouble" role="alert">Not understood, and left out: {problems.map(safe).join("; ")}.</p>}
      </div>
      <Trouble read={seen} what="the tasks" />
      {seen.data && !tasks.length && (line
        ? <div class="empty"><h2>No task fits.</h2><p class="acts">{line.split(/\s+/).map((word) => <button type="button" class="small" key={word} onClick={() => show(toggled(line, word))}>Drop {safe(word)}</button>)}</p></div>
        : <div class="empty"><h2>There is no task yet.</h2><p>Submit one, and it shows here: <Command text={FIRST_TASK} /></p></div>)}
      {tasks.length > 0 && (
        <Windowed count={tasks.length} rowHeight={narrow.value ? ROW_NARROW : ROW} row={row} chosen={chosen} label="Tasks" total={token ? -1 : tasks.length} nearEnd={() => void nearEnd()} headRow={<Head />} />
      )}
      {tasks.length > 0 && <p class="foot">{tasks.length}{token ? " and more" : ""} {tasks.length === 1 ? "task" : "tasks"} · <Key>j</Key> <Key>k</Key> <Key>Enter</Key></p>}
    </div>
  );
}

const COLUMNS = ["State", "Title", "Progress", "Labels", "Round", "Cost", "Took", "Changed"];
const Head = () => (
  <div role="rowgroup" class="head"><div role="row" class="task-row" aria-rowindex={1}>{COLUMNS.map((name) => <span role="columnheader" key={name} class={`c-${name.toLowerCase()}`}>{name}</span>)}</div></div>
);

function Row({ task, index, chosen }: { task: Task; index: number; chosen: boolean }) {
  return (
    <div role="row" aria-rowindex={index + 2} class={`task-row ${chosen ? "chosen" : ""}`} aria-current={chosen ? "true" : undefined}>
      <span role="cell" class="c-state"><State look={lookOfTask(task)} /></span>
      <span role="cell" class="c-title"><a href={`#/tasks/${task.id}`}>{safe(task.title)}</a></span>
      <span role="cell" class="c-progress"><Progress {...task.progress} /></span>
      <span role="cell" class="c-labels"><Labels labels={task.labels} /></span>
      <span role="cell" class="c-round">{task.round}</span>
      <span role="cell" class="c-cost">{money(task.usage?.cost_micro_usd)}</span>
      <span role="cell" class="c-took">{task.outcome ? span(Date.parse(task.updated_at) - Date.parse(task.created_at)) : <Ago time={task.created_at} />}</span>
      <span role="cell" class="c-changed"><Ago time={task.updated_at} /> ago</span>
    </div>
  );
}
