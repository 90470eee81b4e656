// src/pages/task.tsx
import { useMemo, useState } from "./app.js";
import { api, ApiError } from "./app.js";
import { edgesOf, Graph, GRAPH_MAX, nodesOf, Stages } from "./app.js";
import { useKeys } from "./app.js";
import { now, ofTask, say, useRead } from "./app.js";
import { Act, Ago, Command, Dialog, Labels, NotDone, Refused, Skeleton, State, Trouble, Value, When } from "./app.js";
import { go, route, written } from "./app.js";
import { may } from "./app.js";
import { grouped, lookOfEnding, lookOfItem, lookOfTask, money, safe, shortId, since, span, worse } from "./app.js";
import { Fragment, jsx, jsxs } from "./app.js";
async function whole(task) {
  if (task.subtasks_total <= task.subtasks.length) return task.subtasks;
  const all = [];
  let token = "";
  do {
    const page = await api.subtasks(task.id, token);
    all.push(...page.items);
    token = page.next_page_token;
  } while (token);
  return all;
}
function TaskPage({ id }) {
  const reading = useRead(`task ${id}`, async (before) => {
    const found = await api.task(id, before?.etag);
    return found === null ? before : { ...found, subtasks: await whole(found.task) };
  }, { on: ofTask(id), every: 2e3 });
  const seen = reading.state.value;
  const [asking, setAsking] = useState(null);
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const query = route.value.query;
  const chosen = query.get("subtask") ?? void 0;
  const set = (changes) => {
    const next = new URLSearchParams(query);
    for (const [name, value] of Object.entries(changes)) if (value === null) next.delete(name);
    else next.set(name, value);
    go(written(["tasks", id], next), true);
  };
  const task = seen.data?.task, subtasks = seen.data?.subtasks ?? [];
  const step = (by) => {
    const at = subtasks.findIndex((each) => each.key === chosen);
    const next = subtasks[Math.max(0, Math.min(at + by, subtasks.length - 1))];
    if (next) set({ subtask: next.key });
  };
  useKeys({
    j: { does: "next subtask", run: () => step(1) },
    k: { does: "previous subtask", run: () => step(-1) },
    "!": { does: "failed subtasks only", run: () => set({ view: "table", only: query.get("only") === "FAILED" ? null : "FAILED", rank: null }) },
    Escape: { does: "close the subtask, or go back", run: () => {
      if (chosen) set({ subtask: null });
      else go("#/tasks");
    } }
  });
  if (!task) return /* @__PURE__ */ jsxs("div", { class: "pad", children: [
    /* @__PURE__ */ jsx("h1", { class: "hidden-text", children: "Task" }),
    /* @__PURE__ */ jsx(Trouble, { read: seen, what: "the task" })
  ] });
  async function steer(verb, reason = "") {
    setBusy(true);
    setProblem(null);
    try {
      await api.steer(task.id, verb, reason);
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
  return /* @__PURE__ */ jsxs("div", { class: `task ${chosen ? "with-subtask" : ""}`, children: [
    /* @__PURE__ */ jsxs("div", { class: "whole", children: [
      /* @__PURE__ */ jsxs("header", { class: "task-head", children: [
        /* @__PURE__ */ jsxs("div", { class: "title", children: [
          /* @__PURE__ */ jsx("h1", { children: safe(task.title) }),
          " ",
          /* @__PURE__ */ jsx(State, { look: lookOfTask(task) })
        ] }),
        /* @__PURE__ */ jsxs("div", { class: "acts", children: [
          approval && /* @__PURE__ */ jsx("a", { class: "button main", href: written(["inbox"], new URLSearchParams({ approval })), children: "Decide…" }),
          open && !paused && /* @__PURE__ */ jsx(Act, { action: "task.pause", busy, run: () => void steer("pause"), children: "Pause" }),
          open && paused && /* @__PURE__ */ jsx(Act, { action: "task.resume", kind: "main", busy, run: () => void steer("resume"), children: "Resume" }),
          task.status === "FAILED" && /* @__PURE__ */ jsx(Act, { action: "task.retry", kind: "main", busy, run: () => void steer("retry"), children: "Retry" }),
          open && /* @__PURE__ */ jsx(Act, { action: "task.cancel", kind: "danger", busy, run: () => setAsking("cancel"), children: "Cancel…" })
        ] }),
        /* @__PURE__ */ jsxs("p", { class: "facts-line", children: [
          done,
          " of ",
          total,
          " done",
          failed > 0 && `, ${failed} failed`,
          " · round ",
          task.round,
          " of ",
          task.max_rounds,
          " ",
          task.usage.cost_micro_usd !== void 0 && ` · ${money(task.usage.cost_micro_usd)}`,
          " · ",
          grouped(task.usage.tokens ?? 0),
          " tokens · submitted ",
          /* @__PURE__ */ jsx(When, { time: task.created_at }),
          " · ",
          /* @__PURE__ */ jsx("code", { children: task.id })
        ] }),
        /* @__PURE__ */ jsx("p", { class: "labels", children: /* @__PURE__ */ jsx(Labels, { labels: task.labels }) }),
        task.description && /* @__PURE__ */ jsx("p", { class: "description", children: safe(task.description.slice(0, 2e3)) }),
        problem && /* @__PURE__ */ jsx(NotDone, { error: problem })
      ] }),
      seen.error && /* @__PURE__ */ jsx(Trouble, { read: seen, what: "the task" }),
      /* @__PURE__ */ jsx(Why, { task }),
      /* @__PURE__ */ jsx(Plan, { subtasks, view: query.get("view"), only: query.get("only"), rank: query.get("rank"), chosen, set }),
      /* @__PURE__ */ jsx(Happened, { id })
    ] }),
    chosen !== void 0 && /* @__PURE__ */ jsx(Inspector, { task: id, subtask: chosen, version: task.updated_at, close: () => set({ subtask: null }) }, chosen),
    asking && /* @__PURE__ */ jsx(Ask, { verb: asking, close: () => setAsking(null), run: (reason) => void steer(asking, reason) })
  ] });
}
function Ask({ verb, close, run }) {
  const [reason, setReason] = useState("");
  useKeys({ Escape: { does: "", run: close } }, true);
  return /* @__PURE__ */ jsx(Dialog, { title: `${verb[0].toUpperCase()}${verb.slice(1)} this task?`, close, children: /* @__PURE__ */ jsxs("form", { class: "reason", onSubmit: (event) => {
    event.preventDefault();
    run(reason.trim());
  }, children: [
    /* @__PURE__ */ jsx("label", { for: "why", children: "Reason (kept in the audit log)" }),
    /* @__PURE__ */ jsx("textarea", { id: "why", rows: 3, value: reason, onInput: (event) => setReason(event.currentTarget.value) }),
    /* @__PURE__ */ jsxs("button", { type: "submit", class: "danger", children: [
      verb[0].toUpperCase(),
      verb.slice(1),
      " the task"
    ] })
  ] }) });
}
function Why({ task }) {
  const explanation = task.explanation;
  if (task.outcome !== null) {
    if (!task.failure) return null;
    const { failure } = task;
    return /* @__PURE__ */ jsxs("section", { class: "why bad", "aria-labelledby": "why-head", children: [
      /* @__PURE__ */ jsxs("h2", { id: "why-head", children: [
        "Why it failed: ",
        failure.code.replaceAll("_", " ")
      ] }),
      /* @__PURE__ */ jsx("p", { children: safe(failure.detail) }),
      failure.cause && /* @__PURE__ */ jsxs("p", { children: [
        /* @__PURE__ */ jsx("b", { children: safe(failure.cause.key) }),
        failure.cause.attempt ? `, attempt ${failure.cause.attempt}` : "",
        ": ",
        /* @__PURE__ */ jsx("span", { class: "error", children: safe(failure.cause.message) })
      ] }),
      failure.fix && /* @__PURE__ */ jsx(Command, { text: failure.fix })
    ] });
  }
  if (!explanation?.waiting.length) return null;
  const groups = /* @__PURE__ */ new Map();
  for (const each of explanation.waiting) {
    const like = each.reason === "dependency" ? each.reason : `${each.reason} ${each.fix ?? each.detail}`;
    groups.set(like, [...groups.get(like) ?? [], each]);
  }
  return /* @__PURE__ */ jsxs("section", { class: "why", "aria-labelledby": "why-head", children: [
    /* @__PURE__ */ jsxs("h2", { id: "why-head", children: [
      "Why it is not done: ",
      Object.entries(explanation.reasons).map(([reason, count]) => `${grouped(count)} ${reason.replaceAll("_", " ")}`).join(" · ")
    ] }),
    /* @__PURE__ */ jsx("ul", { children: [...groups].slice(0, 6).map(([like, items]) => {
      const first = items[0];
      const alone = [...groups.values()].filter((each) => each[0].reason === first.reason).length === 1;
      const others = (alone ? explanation.reasons[first.reason] ?? items.length : items.length) - 1;
      return /* @__PURE__ */ jsxs("li", { children: [
        /* @__PURE__ */ jsxs("span", { children: [
          /* @__PURE__ */ jsx("b", { children: first.kind === "task" ? "task" : safe(first.key) }),
          others > 0 && ` and ${others} more`
        ] }),
        /* @__PURE__ */ jsx(State, { look: first.kind === "task" ? { tone: "hold", word: first.status.toLowerCase().replaceAll("_", " ") } : lookOfItem(first.status) }),
        /* @__PURE__ */ jsxs("span", { children: [
          safe(first.detail),
          first.since && /* @__PURE__ */ jsxs(Fragment, { children: [
            " · for ",
            since(first.since, now.value)
          ] }),
          first.fix && /* @__PURE__ */ jsx("div", { children: /* @__PURE__ */ jsx(Command, { text: first.fix }) })
        ] })
      ] }, like);
    }) })
  ] });
}
function Plan({ subtasks, view, only, rank, chosen, set }) {
  const nodes = useMemo(() => nodesOf(subtasks), [subtasks]), edges = useMemo(() => edgesOf(subtasks), [subtasks]);
  if (!subtasks.length) return /* @__PURE__ */ jsx("section", { class: "plan", children: /* @__PURE__ */ jsx("p", { class: "none pad", children: "There is no plan yet." }) });
  const asGraph = subtasks.length <= GRAPH_MAX;
  const table = view === "table" || view === null && !edges.length && subtasks.length > 3;
  const tab = (name, on, to) => /* @__PURE__ */ jsx("button", { type: "button", class: "tab", "aria-pressed": on, onClick: () => set({ view: to, only: null, rank: null }), children: name });
  return /* @__PURE__ */ jsxs("section", { class: "plan", "aria-label": "Plan", children: [
    /* @__PURE__ */ jsxs("div", { class: "tabs", children: [
      tab(asGraph ? "Graph" : "Stages", !table, "graph"),
      tab("Table", table, "table"),
      /* @__PURE__ */ jsxs("span", { children: [
        grouped(subtasks.length),
        " ",
        subtasks.length === 1 ? "subtask" : "subtasks",
        edges.length > 0 && `, ${grouped(edges.length)} ${edges.length === 1 ? "edge" : "edges"}`
      ] }),
      !table && asGraph && edges.length > 0 && /* @__PURE__ */ jsx("span", { class: "legend", children: "solid: needs success · dashed: needs an end" })
    ] }),
    table ? /* @__PURE__ */ jsx(Table, { subtasks, only, rank, chosen, set }) : asGraph ? /* @__PURE__ */ jsx(Graph, { nodes, edges, chosen, choose: (key) => set({ subtask: key }), label: "Graph of the plan" }) : /* @__PURE__ */ jsx(Stages, { nodes, edges, choose: (status) => set({ view: "table", only: status }) })
  ] });
}
var SHOWN_MAX = 500;
function Table({ subtasks, only, chosen, set }) {
  const fitting = subtasks.filter((each) => !only || each.status === only);
  const shown = [...fitting].sort((a, b) => worse(lookOfItem(a.status).tone, lookOfItem(b.status).tone)).slice(0, SHOWN_MAX);
  return /* @__PURE__ */ jsxs("div", { class: "scroll-x", tabIndex: 0, role: "region", "aria-label": "Subtasks", children: [
    only && /* @__PURE__ */ jsxs("p", { class: "pad", children: [
      "Only ",
      lookOfItem(only).word,
      ": ",
      fitting.length,
      ". ",
      /* @__PURE__ */ jsx("button", { type: "button", class: "small", onClick: () => set({ only: null }), children: "Show all" })
    ] }),
    /* @__PURE__ */ jsxs("table", { class: "subtasks", children: [
      /* @__PURE__ */ jsx("thead", { children: /* @__PURE__ */ jsxs("tr", { children: [
        /* @__PURE__ */ jsx("th", { scope: "col", children: "State" }),
        /* @__PURE__ */ jsx("th", { scope: "col", children: "Subtask" }),
        /* @__PURE__ */ jsx("th", { scope: "col", children: "Needs" }),
        /* @__PURE__ */ jsx("th", { scope: "col", children: "Bot" }),
        /* @__PURE__ */ jsx("th", { scope: "col", children: "Try" }),
        /* @__PURE__ */ jsx("th", { scope: "col", children: "Took" }),
        /* @__PURE__ */ jsx("th", { scope: "col", children: "Error" })
      ] }) }),
      /* @__PURE__ */ jsx("tbody", { children: shown.map((each) => /* @__PURE__ */ jsxs("tr", { class: each.key === chosen ? "chosen" : "", children: [
        /* @__PURE__ */ jsx("td", { children: /* @__PURE__ */ jsx(State, { look: lookOfItem(each.status) }) }),
        /* @__PURE__ */ jsx("th", { scope: "row", children: /* @__PURE__ */ jsx("button", { type: "button", class: "link", onClick: () => set({ subtask: each.key }), children: safe(each.key) }) }),
        /* @__PURE__ */ jsx("td", { children: each.required_skills.map(safe).join(", ") }),
        /* @__PURE__ */ jsx("td", { children: safe(each.bot ?? "–") }),
        /* @__PURE__ */ jsx("td", { children: each.attempt || "–" }),
        /* @__PURE__ */ jsx("td", { children: each.started_at && each.ended_at ? span(Date.parse(each.ended_at) - Date.parse(each.started_at)) : each.started_at && each.status === "LEASED" ? /* @__PURE__ */ jsx(Ago, { time: each.started_at }) : "–" }),
        /* @__PURE__ */ jsx("td", { class: "error", children: safe((each.cause?.message ?? "").slice(0, 200)) })
      ] }, each.key)) })
    ] }),
    fitting.length > shown.length && /* @__PURE__ */ jsxs("p", { class: "pad none", children: [
      grouped(fitting.length - shown.length),
      " more are not shown."
    ] })
  ] });
}
function Happened({ id }) {
  const reading = useRead(`events ${id}`, async (before) => {
    let { items: items2, after } = before ?? { items: [], after: "" };
    for (; ; ) {
      const page = await api.events(id, after);
      if (page.items.length) {
        items2 = [...items2, ...page.items].slice(-KEPT);
        after = page.items[page.items.length - 1].id;
      }
      if (page.items.length < 500) return { items: items2, after };
    }
  }, { on: ofTask(id) });
  const seen = reading.state.value;
  const [all, setAll] = useState(false);
  const items = [...seen.data?.items ?? []].reverse();
  return /* @__PURE__ */ jsxs("section", { class: "happened", "aria-labelledby": "happened", children: [
    /* @__PURE__ */ jsxs("h2", { id: "happened", children: [
      "What happened ",
      /* @__PURE__ */ jsx("span", { children: "newest first" })
    ] }),
    /* @__PURE__ */ jsx(Trouble, { read: seen, what: "the events" }),
    /* @__PURE__ */ jsx("ol", { children: items.slice(0, all ? KEPT : 30).map((each) => /* @__PURE__ */ jsxs("li", { children: [
      /* @__PURE__ */ jsx(When, { time: each.time }),
      /* @__PURE__ */ jsx("b", { children: each.type.replace(/^io\.swarmkeeper\./, "").replace(/\.v\d+$/, "") }),
      /* @__PURE__ */ jsx("span", { children: safe(about(each.data)) })
    ] }, each.id)) }),
    !all && items.length > 30 && /* @__PURE__ */ jsxs("button", { type: "button", class: "small", onClick: () => setAll(true), children: [
      "Show all ",
      items.length
    ] })
  ] });
}
var KEPT = 2e3;
var FOR_PROGRAMS = ["task_id", "audit_id", "work_id", "sha256", "bytes", "lease_id", "tries"];
function about(data) {
  return Object.entries(data).filter(([name, value]) => !FOR_PROGRAMS.includes(name) && value !== null && typeof value !== "object" && !(name === "actor" && value === data.bot)).map(([name, value]) => `${name.replaceAll("_", " ")} ${shortId(String(value).slice(0, 80))}`).join(" · ");
}
function Inspector({ task, subtask, version, close }) {
  const reading = useRead(`subtask ${task} ${subtask} ${version}`, () => api.subtask(task, subtask), { on: ofTask(task), every: 1e4 });
  const seen = reading.state.value, found = seen.data;
  if (!found) return /* @__PURE__ */ jsx("aside", { class: "inspector", "aria-label": "Subtask", children: seen.error ? /* @__PURE__ */ jsx(Refused, { error: seen.error, what: "the subtask", stale: false, at: 0 }) : seen.slow ? /* @__PURE__ */ jsx(Skeleton, { rows: 6 }) : null });
  return /* @__PURE__ */ jsxs("aside", { class: "inspector", "aria-labelledby": "inspected", children: [
    /* @__PURE__ */ jsxs("header", { children: [
      /* @__PURE__ */ jsx("h2", { id: "inspected", children: safe(found.key) }),
      /* @__PURE__ */ jsx(State, { look: lookOfItem(found.status) }),
      /* @__PURE__ */ jsx("button", { type: "button", class: "small", onClick: close, children: "Close" })
    ] }),
    /* @__PURE__ */ jsx("p", { class: "description", children: safe(found.description.slice(0, 4e3)) }),
    /* @__PURE__ */ jsxs("dl", { class: "facts", children: [
      /* @__PURE__ */ jsxs("div", { children: [
        /* @__PURE__ */ jsx("dt", { children: "needs" }),
        /* @__PURE__ */ jsx("dd", { children: found.required_skills.map(safe).join(", ") || "–" })
      ] }),
      /* @__PURE__ */ jsxs("div", { children: [
        /* @__PURE__ */ jsx("dt", { children: "after" }),
        /* @__PURE__ */ jsx("dd", { children: found.depends_on.map((each) => safe(typeof each === "string" ? each : each.key)).join(", ") || "–" })
      ] }),
      /* @__PURE__ */ jsxs("div", { children: [
        /* @__PURE__ */ jsx("dt", { children: "round" }),
        /* @__PURE__ */ jsx("dd", { children: found.round })
      ] }),
      found.progress?.message && /* @__PURE__ */ jsxs("div", { children: [
        /* @__PURE__ */ jsx("dt", { children: "says" }),
        /* @__PURE__ */ jsx("dd", { children: safe(found.progress.message) })
      ] })
    ] }),
    /* @__PURE__ */ jsxs("section", { class: "card", children: [
      /* @__PURE__ */ jsx("h3", { children: "Attempts" }),
      found.attempts.length === 0 && /* @__PURE__ */ jsx("p", { class: "none", children: "None has ended yet." }),
      /* @__PURE__ */ jsx("ol", { class: "attempts", children: found.attempts.map((each) => /* @__PURE__ */ jsxs("li", { children: [
        /* @__PURE__ */ jsx("span", { children: each.attempt }),
        /* @__PURE__ */ jsx(State, { look: lookOfEnding(each.ending) }),
        /* @__PURE__ */ jsx("span", { children: safe(each.bot_name ?? each.bot) }),
        /* @__PURE__ */ jsx("span", { children: span(Date.parse(each.ended_at) - Date.parse(each.started_at)) }),
        /* @__PURE__ */ jsx("span", { children: money(each.usage?.cost_micro_usd) }),
        (each.error?.message ?? each.reason) && /* @__PURE__ */ jsx("p", { class: "error", children: safe((each.error?.message ?? each.reason ?? "").slice(0, 4e3)) })
      ] }, each.attempt)) })
    ] }),
    found.verdict && /* @__PURE__ */ jsxs("section", { class: "card", children: [
      /* @__PURE__ */ jsxs("h3", { children: [
        "Verdict: ",
        found.verdict.decision,
        found.verdict.score !== null && ` · ${found.verdict.score}`
      ] }),
      /* @__PURE__ */ jsx("ul", { children: found.verdict.reasons.map((reason) => /* @__PURE__ */ jsx("li", { children: safe(reason) }, reason)) })
    ] }),
    /* @__PURE__ */ jsxs("section", { class: "card", children: [
      /* @__PURE__ */ jsx("h3", { children: "Output" }),
      found.output !== null && found.output !== void 0 ? /* @__PURE__ */ jsx(Value, { value: found.output, name: "Output" }) : /* @__PURE__ */ jsx("p", { class: "none", children: may("output.read") ? "None yet." : "Your role may not read outputs." })
    ] })
  ] });
}
export {
  TaskPage
};
