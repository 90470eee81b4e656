// The plan of a task: as a graph (of many subtasks: stages), as a table, or over time.

import { useMemo } from "preact/hooks";
import type { Subtask } from "../../api.ts";
import { edgesOf, Graph, GRAPH_MAX, nodesOf } from "../../plan.ts";
import { useKeys } from "../../keys.ts";
import { later } from "../../later.tsx";
import { Ago, State } from "../../parts.tsx";
import { counted, grouped, lookOfItem, safe, span, worse } from "../../words.ts";
import type { Put } from "../task.tsx";
import { ranked, Stages } from "./stages.tsx";

const Timeline = later<{ id: string; query: URLSearchParams; set: Put }>(() => import("./timeline.tsx"), "Timeline");
const VIEWS = ["graph", "table", "timeline"];

interface PlanProps { id: string; subtasks: Subtask[]; query: URLSearchParams; set: Put }

export function Plan({ id, subtasks, query, set }: PlanProps) {
  const nodes = useMemo(() => nodesOf(subtasks), [subtasks]), edges = useMemo(() => edgesOf(subtasks), [subtasks]);
  const only = query.get("only"), chosen = query.get("subtask") ?? undefined, fit = query.get("fit") === "1";
  // Subtasks that wait for no other are a list, not a graph.
  const view = query.get("view") ?? (!edges.length && subtasks.length > 3 ? "table" : "graph");
  const asGraph = subtasks.length <= GRAPH_MAX;
  const show = (next: string) => set({ view: next, only: null, rank: null });
  useKeys({
    v: { does: "next view of the plan", run: () => show(VIEWS[(VIEWS.indexOf(view) + 1) % VIEWS.length]!) },
    "!": { does: "failed subtasks only", run: () => set({ view: view === "graph" ? "table" : view, only: only === "FAILED" ? null : "FAILED", rank: null }) },
    ...(view === "graph" && asGraph ? { 0: { does: "fit the graph into view", run: () => set({ fit: fit ? null : "1" }) } } : {}),
  });
  return (
    <section class="plan" aria-label="Plan">
      <div class="views">
        {VIEWS.map((each) => <button key={each} type="button" class="tab" aria-pressed={each === view} onClick={() => show(each)}>{each === "graph" && !asGraph ? "stages" : each}</button>)}
        <span>{counted(subtasks.length, "subtask")}{edges.length > 0 && `, ${counted(edges.length, "edge")}`}</span>
        {view === "graph" && asGraph && edges.length > 0 && <span class="legend">solid: needs success · dashed: needs an end</span>}
      </div>
      {view === "timeline" ? <Timeline id={id} query={query} set={set} />
        : !subtasks.length ? <p class="none pad">There is no plan yet.</p>
        : view === "table" ? <Table subtasks={subtasks} query={query} set={set} />
        : asGraph ? <Graph nodes={nodes} edges={edges} chosen={chosen} fit={fit} choose={(key) => set({ subtask: key })} label="Graph of the plan" />
        : <Stages nodes={nodes} edges={edges} choose={(status, rank) => set({ view: "table", only: status, rank: String(rank + 1) })} />}
    </section>
  );
}

const SHOWN_MAX = 500;

/** Of all, or those with a state, in a stage: worst first. */
export function fitting(subtasks: readonly Subtask[], only: string | null, rank: string | null): Subtask[] {
  const ranks = rank ? ranked(subtasks.map((each) => each.key), edgesOf(subtasks)) : [];
  return subtasks.filter((each, at) => (!only || each.status === only) && (!rank || String(ranks[at]! + 1) === rank))
    .sort((a, b) => worse(lookOfItem(a.status).tone, lookOfItem(b.status).tone));
}

function Table({ subtasks, query, set }: Omit<PlanProps, "id">) {
  const only = query.get("only"), rank = query.get("rank"), chosen = query.get("subtask");
  const found = useMemo(() => fitting(subtasks, only, rank), [subtasks, only, rank]), shown = found.slice(0, SHOWN_MAX);
  return (
    <div class="scroll-x" tabIndex={0} role="region" aria-label="Subtasks">
      {(only || rank) && (
        <p class="only">
          Only {only && <State look={lookOfItem(only)} />}{rank && ` in stage ${rank}`}: {grouped(found.length)}.{" "}
          <button type="button" class="small" onClick={() => set({ only: null, rank: null })}>Show all</button>
        </p>
      )}
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
      {found.length > shown.length && <p class="pad none">{grouped(found.length - shown.length)} more are not shown.</p>}
    </div>
  );
}
