// One task: what it is, why it is not done, its plan, what happened. A subtask that is chosen in the address is on the
// right, with its attempts and its output.

import { useMemo, useState } from "preact/hooks";
import { api, ApiError, type Subtask, type Task, type Waiting } from "../api.ts";
import { edgesOf, Graph, GRAPH_MAX, nodesOf, Stages } from "../graph.tsx";
import { useKeys } from "../keys.ts";
import { now, ofTask, say, useRead } from "../live.ts";
import { Act, Ago, Command, Dialog, Labels, NotDone, Refused, Skeleton, State, Trouble, Value, When } from "../parts.tsx";
import { go, route, written } from "../route.ts";
import { may } from "../state.ts";
import { grouped, lookOfEnding, lookOfItem, lookOfTask, money, safe, shortId, since, span, worse } from "../words.ts";

type Verb = "pause" | "resume" | "cancel" | "retry" | "archive";

async function whole(task: Task): Promise<Subtask[]> {
  if (task.subtasks_total <= task.subtasks.length) return task.subtasks;
  const all: Subtask[] = [];
  let token = "";
  do {
    const page = await api.subtasks(task.id, token);
    all.push(...page.items);
    token = page.next_page_token;
  } while (token);
  return all;
}

interface Seen { task: Task; etag: string; subtasks: Subtask[] }

export function TaskPage({ id }: { id: string }) {
  const reading = useRead<Seen>(`task ${id}`, async (before) => {
    const found = await api.task(id, before?.etag);
    return found === null ? before! : { ...found, subtasks: await whole(found.task) };
  }, { on: ofTask(id), every: 2_000 });
  const seen = reading.state.value;
  const [asking, setAsking] = useState<Verb | null>(null);
  const [problem, setProblem] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const query = route.value.query;
  const chosen = query.get("subtask") ?? undefined;
  const set = (changes: Record<string, string | null>) => {
    const next = new URLSearchParams(query);
    for (const [name, value] of Object.entries(changes)) if (value === null) next.delete(name); else next.set(name, value);
    go(written(["tasks", id], next), true);
  };
  const task = seen.data?.task, subtasks = seen.data?.subtasks ?? [];
  const step = (by: number) => {
    const at = subtasks.findIndex((each) => each.key === chosen);
    const next = subtasks[Math.max(0, Math.min(at + by, subtasks.length - 1))];
    if (next) set({ subtask: next.key });
  };
  useKeys({
    j: { does: "next subtask", run: () => step(1) },
    k: { does: "previous subtask", run: () => step(-1) },
    "!": { does: "failed subtasks only", run: () => set({ view: "table", only: query.get("only") === "FAILED" ? null : "FAILED", rank: null }) },
    Escape: { does: "close the subtask, or go back", run: () => { if (chosen) set({ subtask: null }); else go("#/tasks"); } },
  });
  if (!task) return <div class="pad"><h1 class="hidden-text">Task</h1><Trouble read={seen} what="the task" /></div>;

  async function steer(verb: Verb, reason = ""): Promise<void> {
    setBusy(true);
    setProblem(null);
    try {
      await api.steer(task!.id, verb, reason);
      say(`Done: ${verb}.`);
    } catch (thrown) {
      setProblem(thrown instanceof ApiError ? thrown : new ApiError(-1, "fault", String(thrown)));
    }
    setAsking(null);
    await reading.again();
    setBusy(false);
  }
  const open = task.outcome === null, paused = task.holds.includes("paused");
  const approval = task.holds.find((hold) => hold.startsWith("apr_"));
  const { done, failed, total } = task.progress;
  return (
    <div class={`task ${chosen ? "with-subtask" : ""}`}>
      <div class="whole">
        <header class="task-head">
          <div class="title"><h1>{safe(task.title)}</h1> <State look={lookOfTask(task)} /></div>
          <div class="acts">
            {approval && <a class="button main" href={written(["inbox"], new URLSearchParams({ approval }))}>Decide…</a>}
            {open && !paused && <Act action="task.pause" busy={busy} run={() => void steer("pause")}>Pause</Act>}
            {open && paused && <Act action="task.resume" kind="main" busy={busy} run={() => void steer("resume")}>Resume</Act>}
            {task.status === "FAILED" && <Act action="task.retry" kind="main" busy={busy} run={() => void steer("retry")}>Retry</Act>}
            {open && <Act action="task.cancel" kind="danger" busy={busy} run={() => setAsking("cancel")}>Cancel…</Act>}
          </div>
          <p class="facts-line">
            {done} of {total} done{failed > 0 && `, ${failed} failed`} · round {task.round} of {task.max_rounds} {task.usage.cost_micro_usd !== undefined && ` · ${money(task.usage.cost_micro_usd)}`} · {grouped(task.usage.tokens ?? 0)} tokens · submitted <When time={task.created_at} /> · <code>{task.id}</code>
          </p>
          <p class="labels"><Labels labels={task.labels} /></p>
          {task.description && <p class="description">{safe(task.description.slice(0, 2_000))}</p>}
          {problem && <NotDone error={problem} />}
        </header>
        {seen.error && <Trouble read={seen} what="the task" />}
        <Why task={task} />
        <Plan subtasks={subtasks} view={query.get("view")} only={query.get("only")} rank={query.get("rank")} chosen={chosen} set={set} />
        <Happened id={id} />
      </div>
      {chosen !== undefined && <Inspector key={chosen} task={id} subtask={chosen} version={task.updated_at} close={() => set({ subtask: null })} />}
      {asking && <Ask verb={asking} close={() => setAsking(null)} run={(reason) => void steer(asking, reason)} />}
    </div>
  );
}

function Ask({ verb, close, run }: { verb: Verb; close: () => void; run: (reason: string) => void }) {
  const [reason, setReason] = useState("");
  useKeys({ Escape: { does: "", run: close } }, true);
  return (
    <Dialog title={`${verb[0]!.toUpperCase()}${verb.slice(1)} this task?`} close={close}>
      <form class="reason" onSubmit={(event) => { event.preventDefault(); run(reason.trim()); }}>
        <label for="why">Reason (kept in the audit log)</label>
        <textarea id="why" rows={3} value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
        <button type="submit" class="danger">{verb[0]!.toUpperCase()}{verb.slice(1)} the task</button>
      </form>
    </Dialog>
  );
}

/** Why it is not done, alike items in one row; or why it failed, with the first error. */
function Why({ task }: { task: Task }) {
  const explanation = task.explanation;
  if (task.outcome !== null) {
    if (!task.failure) return null;
    const { failure } = task;
    return (
      <section class="why bad" aria-labelledby="why-head">
        <h2 id="why-head">Why it failed: {failure.code.replaceAll("_", " ")}</h2>
        <p>{safe(failure.detail)}</p>
        {failure.cause && <p><b>{safe(failure.cause.key)}</b>{failure.cause.attempt ? `, attempt ${failure.cause.attempt}` : ""}: <span class="error">{safe(failure.cause.message)}</span></p>}
        {failure.fix && <Command text={failure.fix} />}
      </section>
    );
  }
  if (!explanation?.waiting.length) return null;
  const groups = new Map<string, Waiting[]>();
  for (const each of explanation.waiting) {
    // What waits for another item is alike whichever that is; other reasons are alike if they help alike.
    const like = each.reason === "dependency" ? each.reason : `${each.reason} ${each.fix ?? each.detail}`;
    groups.set(like, [...(groups.get(like) ?? []), each]);
  }
  return (
    <section class="why" aria-labelledby="why-head">
      <h2 id="why-head">Why it is not done: {Object.entries(explanation.reasons).map(([reason, count]) => `${grouped(count)} ${reason.replaceAll("_", " ")}`).join(" · ")}</h2>
      <ul>
        {[...groups].slice(0, 6).map(([like, items]) => {
          const first = items[0]!;
          // The first 200 are listed, and all are counted by reason.
          const alone = [...groups.values()].filter((each) => each[0]!.reason === first.reason).length === 1;
          const others = (alone ? explanation.reasons[first.reason] ?? items.length : items.length) - 1;
          return (
            <li key={like}>
              <span><b>{first.kind === "task" ? "task" : safe(first.key)}</b>{others > 0 && ` and ${others} more`}</span>
              <State look={first.kind === "task" ? { tone: "hold", word: first.status.toLowerCase().replaceAll("_", " ") } : lookOfItem(first.status)} />
              <span>{safe(first.detail)}{first.since && <> · for {since(first.since, now.value)}</>}{first.fix && <div><Command text={first.fix} /></div>}</span>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

interface PlanProps { subtasks: Subtask[]; view: string | null; only: string | null; rank: string | null; chosen: string | undefined; set: (changes: Record<string, string | null>) => void }

function Plan({ subtasks, view, only, rank, chosen, set }: PlanProps) {
  const nodes = useMemo(() => nodesOf(subtasks), [subtasks]), edges = useMemo(() => edgesOf(subtasks), [subtasks]);
  if (!subtasks.length) return <section class="plan"><p class="none pad">There is no plan yet.</p></section>;
  const asGraph = subtasks.length <= GRAPH_MAX;
  // Subtasks that wait for no other are a list, not a graph.
  const table = view === "table" || (view === null && !edges.length && subtasks.length > 3);
  const tab = (name: string, on: boolean, to: string | null) => <button type="button" class="tab" aria-pressed={on} onClick={() => set({ view: to, only: null, rank: null })}>{name}</button>;
  return (
    <section class="plan" aria-label="Plan">
      <div class="tabs">
        {tab(asGraph ? "Graph" : "Stages", !table, "graph")}{tab("Table", table, "table")}
        <span>{grouped(subtasks.length)} {subtasks.length === 1 ? "subtask" : "subtasks"}{edges.length > 0 && `, ${grouped(edges.length)} ${edges.length === 1 ? "edge" : "edges"}`}</span>
        {!table && asGraph && edges.length > 0 && <span class="legend">solid: needs success · dashed: needs an end</span>}
      </div>
      {table ? <Table subtasks={subtasks} only={only} rank={rank} chosen={chosen} set={set} />
        : asGraph ? <Graph nodes={nodes} edges={edges} chosen={chosen} choose={(key) => set({ subtask: key })} label="Graph of the plan" />
        : <Stages nodes={nodes} edges={edges} choose={(status) => set({ view: "table", only: status })} />}
    </section>
  );
}

const SHOWN_MAX = 500;

function Table({ subtasks, only, chosen, set }: Omit<PlanProps, "view">) {
  const fitting = subtasks.filter((each) => !only || each.status === only);
  const shown = [...fitting].sort((a, b) => worse(lookOfItem(a.status).tone, lookOfItem(b.status).tone)).slice(0, SHOWN_MAX);
  return (
    <div class="scroll-x" tabIndex={0} role="region" aria-label="Subtasks">
      {only && <p class="pad">Only {lookOfItem(only).word}: {fitting.length}. <button type="button" class="small" onClick={() => set({ only: null })}>Show all</button></p>}
      <table class="subtasks">
        <thead><tr><th scope="col">State</th><th scope="col">Subtask</th><th scope="col">Needs</th><th scope="col">Bot</th><th scope="col">Try</th><th scope="col">Took</th><th scope="col">Error</th></tr></thead>
        <tbody>
          {shown.map((each) => (
            <tr key={each.key} class={each.key === chosen ? "chosen" : ""}>
              <td><State look={lookOfItem(each.status)} /></td>
              <th scope="row"><button type="button" class="link" onClick={() => set({ subtask: each.key })}>{safe(each.key)}</button></th>
              <td>{each.required_skills.map(safe).join(", ")}</td>
              <td>{safe(each.bot ?? "–")}</td>
              <td>{each.attempt || "–"}</td>
              <td>{each.started_at && each.ended_at ? span(Date.parse(each.ended_at) - Date.parse(each.started_at)) : each.started_at && each.status === "LEASED" ? <Ago time={each.started_at} /> : "–"}</td>
              <td class="error">{safe((each.cause?.message ?? "").slice(0, 200))}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {fitting.length > shown.length && <p class="pad none">{grouped(fitting.length - shown.length)} more are not shown.</p>}
    </div>
  );
}

function Happened({ id }: { id: string }) {
  const reading = useRead(`events ${id}`, async (before: { items: Event[]; after: string } | undefined) => {
    let { items, after } = before ?? { items: [], after: "" };
    for (;;) {
      const page = await api.events(id, after);
      if (page.items.length) { items = [...items, ...page.items].slice(-KEPT); after = page.items[page.items.length - 1]!.id; }
      if (page.items.length < 500) return { items, after };
    }
  }, { on: ofTask(id) });
  const seen = reading.state.value;
  const [all, setAll] = useState(false);
  const items = [...(seen.data?.items ?? [])].reverse();
  return (
    <section class="happened" aria-labelledby="happened">
      <h2 id="happened">What happened <span>newest first</span></h2>
      <Trouble read={seen} what="the events" />
      <ol>
        {items.slice(0, all ? KEPT : 30).map((each) => (
          <li key={each.id}><When time={each.time} /><b>{each.type.replace(/^io\.swarmkeeper\./, "").replace(/\.v\d+$/, "")}</b><span>{safe(about(each.data))}</span></li>
        ))}
      </ol>
      {!all && items.length > 30 && <button type="button" class="small" onClick={() => setAll(true)}>Show all {items.length}</button>}
    </section>
  );
}

type Event = Awaited<ReturnType<typeof api.events>>["items"][number];
const KEPT = 2_000;

// What helps nobody who reads what happened: ids and hashes that the event has for programs.
const FOR_PROGRAMS = ["task_id", "audit_id", "work_id", "sha256", "bytes", "lease_id", "tries"];

function about(data: Record<string, unknown>): string {
  return Object.entries(data)
    .filter(([name, value]) => !FOR_PROGRAMS.includes(name) && value !== null && typeof value !== "object" && !(name === "actor" && value === data.bot))
    .map(([name, value]) => `${name.replaceAll("_", " ")} ${shortId(String(value).slice(0, 80))}`).join(" · ");
}

function Inspector({ task, subtask, version, close }: { task: string; subtask: string; version: string; close: () => void }) {
  const reading = useRead(`subtask ${task} ${subtask} ${version}`, () => api.subtask(task, subtask), { on: ofTask(task), every: 10_000 });
  const seen = reading.state.value, found = seen.data;
  if (!found) return <aside class="inspector" aria-label="Subtask">{seen.error ? <Refused error={seen.error} what="the subtask" stale={false} at={0} /> : seen.slow ? <Skeleton rows={6} /> : null}</aside>;
  return (
    <aside class="inspector" aria-labelledby="inspected">
      <header><h2 id="inspected">{safe(found.key)}</h2><State look={lookOfItem(found.status)} /><button type="button" class="small" onClick={close}>Close</button></header>
      <p class="description">{safe(found.description.slice(0, 4_000))}</p>
      <dl class="facts">
        <div><dt>needs</dt><dd>{found.required_skills.map(safe).join(", ") || "–"}</dd></div>
        <div><dt>after</dt><dd>{found.depends_on.map((each) => safe(typeof each === "string" ? each : each.key)).join(", ") || "–"}</dd></div>
        <div><dt>round</dt><dd>{found.round}</dd></div>
        {found.progress?.message && <div><dt>says</dt><dd>{safe(found.progress.message)}</dd></div>}
      </dl>
      <section class="card">
        <h3>Attempts</h3>
        {found.attempts.length === 0 && <p class="none">None has ended yet.</p>}
        <ol class="attempts">
          {found.attempts.map((each) => (
            <li key={each.attempt}>
              <span>{each.attempt}</span><State look={lookOfEnding(each.ending)} /><span>{safe(each.bot_name ?? each.bot)}</span>
              <span>{span(Date.parse(each.ended_at) - Date.parse(each.started_at))}</span><span>{money(each.usage?.cost_micro_usd)}</span>
              {(each.error?.message ?? each.reason) && <p class="error">{safe((each.error?.message ?? each.reason ?? "").slice(0, 4_000))}</p>}
            </li>
          ))}
        </ol>
      </section>
      {found.verdict && (
        <section class="card"><h3>Verdict: {found.verdict.decision}{found.verdict.score !== null && ` · ${found.verdict.score}`}</h3><ul>{found.verdict.reasons.map((reason) => <li key={reason}>{safe(reason)}</li>)}</ul></section>
      )}
      <section class="card">
        <h3>Output</h3>
        {found.output !== null && found.output !== undefined ? <Value value={found.output} name="Output" /> : <p class="none">{may("output.read") ? "None yet." : "Your role may not read outputs."}</p>}
      </section>
    </aside>
  );
}
