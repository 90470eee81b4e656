// One task: what it is and why it is not done above, and below a tab of it: its plan, results, events, audit records or
// messages. A subtask that is chosen in the address is on the right.

import { useState } from "preact/hooks";
import { api, type Subtask, type Task } from "../api.ts";
import { useKeys, type Keys } from "../keys.ts";
import { connection, ofTask, useRead } from "../live.ts";
import { Act, Labels, NotDone, State, Trouble, When, useAct } from "../parts.tsx";
import { address, go, put as set, route, written, type Changes } from "../route.ts";
import { may } from "../state.ts";
import { grouped, lookOfTask, money, near, safe } from "../words.ts";
import { Ask, type Verb } from "./task/ask.tsx";
import { calls } from "./task/calls.ts";
import { AuditRecords, Events, Messages } from "./task/feeds.tsx";
import { Inspector } from "./task/inspector.tsx";
import { Plan } from "./task/plan.tsx";
import { Results } from "./task/results.tsx";
import { Why } from "./task/why.tsx";

const TABS = ["plan", "results", "events", "audit", "messages"];

interface Seen { task: Task; etag: string; subtasks: Subtask[] }
export type Put = (changes: Changes) => void;

export function TaskPage({ id }: { id: string }) {
  const reading = useRead<Seen>(`task ${id}`, async (before) => {
    const found = await api.task(id, before?.etag);
    return found === null ? before! : { ...found, subtasks: await calls.subtasks(found.task) };
  }, { on: ofTask(id), every: 2_000 });
  const seen = reading.state.value;
  const [asking, setAsking] = useState<Verb | null>(null);
  const { busy, problem, run: once } = useAct();
  const query = route.value.query;
  const chosen = query.get("subtask") ?? undefined, tab = query.get("tab") ?? "plan";
  const task = seen.data?.task, subtasks = seen.data?.subtasks ?? [];
  const step = (by: number) => {
    const at = subtasks.findIndex((each) => each.key === chosen);
    const next = near(subtasks, at + by);
    if (next) set({ subtask: next.key });
  };

  async function run(name: string, doIt: () => Promise<unknown>): Promise<void> {
    await once(async () => {
      try {
        await doIt();
      } finally {
        setAsking(null);
        await reading.again();
      }
    }, `Done: ${name}.`);
  }
  const steer = (verb: Exclude<Verb, "change">, reason = "") => void run(verb, () => api.steer(id, verb, reason));

  const open = task?.outcome === null, paused = task?.holds.includes("paused"), failed = task?.status === "FAILED";
  interface Offer { name: string; action: string; key: string; run: () => void; kind?: "main" | "danger" }
  const offers: Offer[] = [
    ...(open && !paused ? [{ name: "Pause", action: "task.pause", key: "p", run: () => steer("pause") }] : []),
    ...(open && paused ? [{ name: "Resume", action: "task.resume", key: "p", kind: "main" as const, run: () => steer("resume") }] : []),
    ...(failed ? [
      { name: "Retry", action: "task.retry", key: "r", kind: "main" as const, run: () => steer("retry") },
      { name: "Archive…", action: "task.archive", key: "e", run: () => setAsking("archive") },
    ] : []),
    ...(open ? [
      { name: "Change…", action: "task.update", key: "c", run: () => setAsking("change") },
      { name: "Cancel…", action: "task.cancel", key: "x", kind: "danger" as const, run: () => setAsking("cancel") },
    ] : []),
  ];
  const keys: Keys = {};
  for (const each of offers) {
    if (may(each.action) && connection.value.live && !busy) keys[each.key] = { does: each.name.replace("…", "").toLowerCase(), run: each.run };
  }
  useKeys({
    j: { does: "next subtask", run: () => step(1) },
    k: { does: "previous subtask", run: () => step(-1) },
    ...Object.fromEntries(TABS.map((each, at) => [`${at + 1}`, { does: each, run: () => set({ tab: at ? each : null }) }])),
    ...keys,
    Escape: { does: "close the subtask, or go back", run: () => { if (chosen) set({ subtask: null }); else go("#/tasks"); } },
  });
  // Both are read at the same time.
  const beside = chosen !== undefined && <Inspector key={chosen} task={id} subtask={chosen} close={() => set({ subtask: null })} />;
  if (!task) return <div class={`task ${chosen ? "with-subtask" : ""}`}><div class="whole pad"><h1 class="hidden-text">Task</h1><Trouble read={seen} what="the task" /></div>{!seen.error && beside}</div>;

  const approval = task.holds.find((hold) => hold.startsWith("apr_"));
  const { done, total } = task.progress;
  return (
    <div class={`task ${chosen ? "with-subtask" : ""}`}>
      <div class="whole">
        <header class="task-head">
          <div class="title"><h1 title={safe(task.title)}>{safe(task.title)}</h1> <State look={lookOfTask(task)} /></div>
          <div class="acts">
            {approval && <a class={may("approval.decide") ? "button main" : "button"} href={written(["inbox"], { approval })}>{may("approval.decide") ? "Decide…" : "See what is asked"}</a>}
            {offers.map((each) => <Act key={each.name} action={each.action} kind={each.kind} busy={busy} keys={each.key} run={each.run}>{each.name}</Act>)}
          </div>
          <p class="facts-line">
            {grouped(done)} of {grouped(total)} done{task.progress.failed > 0 && `, ${grouped(task.progress.failed)} failed`} · round {task.round} of {task.max_rounds}
            {task.usage.cost_micro_usd !== undefined && ` · ${money(task.usage.cost_micro_usd)}`} · {grouped(task.usage.tokens ?? 0)} tokens · priority {task.priority}
            {" "}· submitted <When time={task.created_at} /> · <code>{task.id}</code>
          </p>
          {Object.keys(task.labels).length > 0 && <p class="labels"><Labels labels={task.labels} /></p>}
          {task.description && <p class="description" tabIndex={0}>{safe(task.description.slice(0, 2_000))}</p>}
          {problem && <NotDone error={problem} />}
        </header>
        {seen.error && <Trouble read={seen} what="the task" />}
        <Why task={task} choose={(subtask) => set({ subtask })} />
        <nav class="tabs" aria-label="Of this task">
          {TABS.map((each, at) => <a key={each} class="tab" href={address({ tab: at ? each : null })} aria-current={each === tab ? "page" : undefined}>{each}</a>)}
        </nav>
        {tab === "results" ? <Results task={task} subtasks={subtasks} />
          : tab === "events" ? <Events id={id} />
          : tab === "audit" ? <AuditRecords id={id} />
          : tab === "messages" ? <Messages id={id} />
          : <Plan id={id} subtasks={subtasks} query={query} set={set} />}
      </div>
      {beside}
      {asking && <Ask verb={asking} task={task} close={() => setAsking(null)}
        run={(reason) => steer(asking as "cancel", reason)} change={(changes) => void run("change", () => calls.change(id, changes))} />}
    </div>
  );
}
