import { h, useState, Fragment as Fragment3, useEffect, useLayoutEffect, useRef, useMemo, Fragment as Fragment9 } from "./runtime.js";
import { connection, Labels, address, go, put as set, route, written, near, Dialog, money, act, api, call, get, ApiError, ofTask, pending, useRead, Act, NotDone, Trouble, Value, When, useAct, Fact, may, grouped, safe, shortId, lookOfEnding, lookOfItem, span, BASE, scriptUrl, SKELETON_AFTER_MS, Command, Refused, Skeleton, asked, put, State, lookOfVerdict, edgesOf, Graph, GRAPH_MAX, nodesOf, useKeys, later, Ago, counted, ranksOf, worse, now, lookOfTask, since, together } from "./app.js";
// src/pages/task.tsx

// src/pages/task/ask.tsx
function Ask({ verb, task, close, run, change }) {
  return verb === "change" ? h(Change, { task, close, change }) : h(Reason, { verb, close, run });
}
function Reason({ verb, close, run }) {
  const [reason, setReason] = useState("");
  const name = `${verb[0].toUpperCase()}${verb.slice(1)}`;
  return h(Dialog, { title: `${name} this task?`, close }, h("form", { class: "reason", onSubmit: (event) => {
    event.preventDefault();
    run(reason.trim());
  } }, h("label", { for: "why" }, "Reason (kept in the audit log)"), h("textarea", { id: "why", autofocus: true, rows: 3, value: reason, onInput: (event) => setReason(event.currentTarget.value) }), h("button", { type: "submit", class: "danger" }, name, " the task")));
}
var NAMES = { cost_micro_usd: "Money (millionths of a dollar)", tokens: "Tokens", attempts: "Attempts", subtasks: "Subtasks" };
function Change({ task, close, change }) {
  const limits = Object.entries(task.budget?.limit ?? {}).filter(([name]) => NAMES[name]);
  const was = { priority: String(task.priority), ...Object.fromEntries(limits.map(([name, limit]) => [name, String(limit)])) };
  const [now2, setNow] = useState(was);
  const changed = Object.keys(was).filter((name) => now2[name] !== was[name]);
  function send() {
    const budget = Object.fromEntries(changed.filter((name) => name !== "priority").map((name) => [name, Number(now2[name])]));
    change({ ...now2.priority === was.priority ? {} : { priority: Number(now2.priority) }, ...Object.keys(budget).length ? { budget } : {} });
  }
  const field = (name, label, least, most, note = "") => h("p", { key: name }, h("label", { for: `set-${name}` }, label), h("input", { id: `set-${name}`, autofocus: name === "priority", type: "number", required: true, min: least, max: most, step: 1, value: now2[name], onInput: (event) => setNow({ ...now2, [name]: event.currentTarget.value }) }), note && h("small", null, note));
  return h(Dialog, { title: "Change this task", close }, h("form", { class: "reason", onSubmit: (event) => {
    event.preventDefault();
    send();
  } }, field("priority", "Priority (0 to 9; 9 goes first)", 0, 9), limits.map(([name]) => field(name, `Limit: ${NAMES[name]}`, 1, Number.MAX_SAFE_INTEGER, `${name === "cost_micro_usd" ? `${money(Number(now2[name]) || 0)}; ` : ""}used ${name === "cost_micro_usd" ? money(task.budget?.spent[name] ?? 0) : task.budget?.spent[name] ?? 0}`)), !limits.length && h("p", { class: "none" }, "It has no budget that could be changed."), h("button", { type: "submit", class: "main", disabled: !changed.length }, "Change the task")));
}

// src/pages/task/calls.ts
var id = encodeURIComponent;
var LISTED_MAX = 1e3;
var calls = {
  verdicts: (task, subtask) => get(`tasks/${id(task)}/verdicts`, { page_size: 100, subtask }),
  events: (task, asked2) => get(`tasks/${id(task)}/events`, { order: "desc", page_size: 50, ...asked2 }),
  audit: (task, asked2) => get(`tasks/${id(task)}/audit`, { order: "desc", page_size: 50, ...asked2 }),
  messages: (task, after) => get(`tasks/${id(task)}/messages`, { page_size: 200, after }),
  send: (task, payload, to) => act(`tasks/${id(task)}/messages`, { payload, ...to ? { to_bot: to } : {} }),
  change: async (task, changes) => (await call("PATCH", `tasks/${id(task)}`, { body: changes })).body,
  subtask: api.subtask,
  /** All subtasks of a task; of a long plan, those that the task does not list have their state and their edges. */
  subtasks: async (task) => {
    if (task.subtasks_total <= task.subtasks.length) return task.subtasks;
    if (task.subtasks_total > LISTED_MAX) return inShort(task);
    const all = [];
    let token = "";
    do {
      const page = await api.subtasks(task.id, token);
      all.push(...page.items);
      token = page.next_page_token;
    } while (token);
    return all;
  }
};
async function inShort(task) {
  const { nodes, edges } = await get(`tasks/${id(task.id)}/graph`);
  const listed = new Map(task.subtasks.map((each) => [each.key, each]));
  const found = new Map(nodes.map((node) => [node.key, {
    id: "",
    kind: "execute",
    description: "",
    required_skills: [],
    round: 1,
    bot: null,
    started_at: null,
    ended_at: null,
    cause: null,
    progress: null,
    ...listed.get(node.key),
    ...node,
    depends_on: []
  }]));
  for (const { from, to, when } of edges) found.get(to)?.depends_on.push({ key: from, when });
  return [...found.values()];
}

// src/pages/task/feeds.tsx
var KEPT = 2e3;
function Feed({ name, id: id2, what, read, place, row }) {
  const reading = useRead(`${name} ${id2}`, async (before) => {
    const newest = before?.items[0];
    if (!newest) return read({});
    const fresh = [];
    let token2 = "";
    do {
      const page = await read({ after: place(newest), page_token: token2 });
      fresh.push(...page.items);
      token2 = page.next_page_token;
    } while (token2 && fresh.length < KEPT);
    return token2 ? read({}) : { ...before, items: [...fresh, ...before.items] };
  }, { on: ofTask(id2) });
  const [older, setOlder] = useState(null);
  const [problem, setProblem] = useState(null);
  const seen = reading.state.value;
  const token = (older ?? seen.data)?.next_page_token;
  async function more() {
    pending.value++;
    setProblem(null);
    try {
      const page = await read({ page_token: token });
      setOlder({ ...page, items: [...older?.items ?? [], ...page.items] });
    } catch (thrown) {
      setProblem(thrown);
    }
    pending.value--;
  }
  const items = [...seen.data?.items ?? [], ...older?.items ?? []];
  return h("section", { class: "feed", "aria-label": name }, h(Trouble, { read: seen, what }), seen.data && !items.length && h("p", { class: "none" }, "There are none yet."), h("ol", null, items.map(row)), problem && h(NotDone, { error: problem }), token && h("button", { type: "button", class: "small", onClick: () => void more() }, "Show older"));
}
var FOR_PROGRAMS = ["task_id", "audit_id", "work_id", "sha256", "bytes", "lease_id", "tries"];
function about(data) {
  return Object.entries(data).filter(([name, value]) => !FOR_PROGRAMS.includes(name) && value !== null && typeof value !== "object" && !(name === "actor" && value === data.bot)).map(([name, value]) => `${name.replaceAll("_", " ")} ${shortId(String(value).slice(0, 80))}`).join(" · ");
}
var Events = ({ id: id2 }) => h(Feed, { name: "Events", id: id2, what: "the events", read: (asked2) => calls.events(id2, asked2), place: (each) => each.id, row: (each) => h("li", { key: each.id }, h(When, { time: each.time }), h("b", null, safe(each.type.replace(/^io\.swarmkeeper\./, "").replace(/\.v\d+$/, ""))), h("span", null, safe(about(each.data)))) });
function AuditRecords({ id: id2, item }) {
  if (!may("audit.read")) return h(OffLimits, { what: "the audit log", who: "an auditor or an admin" });
  return h(Feed, { name: "Audit records", id: id2, what: "the audit log", read: (asked2) => calls.audit(id2, { ...asked2, resource: item }), place: (each) => String(each.index), row: (each) => h(Recorded, { key: each.index, record: each }) });
}
function Recorded({ record }) {
  const { actor, decision, payload, resource } = record;
  return h("li", null, h(When, { time: record.timestamp }), h("span", null, h("b", null, safe(record.action)), " ", record.outcome !== "accepted" && h("span", { class: "error" }, safe(record.outcome))), h("details", null, h("summary", null, [shortId(actor.person ?? actor.id), typeof payload === "object" && payload ? about(payload) : ""].filter(Boolean).map(safe).join(" · ")), h("dl", { class: "facts" }, h("div", null, h("dt", null, "record"), h("dd", { class: "num" }, grouped(record.index))), h(Fact, { name: "actor" }, safe(actor.type), " ", h("code", null, safe(actor.id))), resource && h(Fact, { name: "on" }, h("code", null, safe(resource))), decision && h(Fact, { name: "by rule" }, safe([decision.effect, decision.policy, ...decision.reasons].join(" · "))), h(Fact, { name: "hash" }, h("code", null, record.hash))), record.erased ? h("p", { class: "none" }, "What it said was erased.") : h(Value, { value: payload, name: `What record ${record.index} says` })));
}
var OffLimits = ({ what, who }) => h("div", { class: "trouble forbidden" }, h("strong", null, "Your role may not read ", what, "."), " Ask ", who, ".");
var MESSAGES_MAX = 2e3;
function Messages({ id: id2 }) {
  const reading = useRead(`messages ${id2}`, async (before) => {
    let items = before?.items ?? [];
    for (; ; ) {
      const page = await calls.messages(id2, items[items.length - 1]?.id ?? "");
      items = [...items, ...page.items].slice(-MESSAGES_MAX);
      if (!page.next_page_token) return { items };
    }
  }, { on: ofTask(id2) });
  const seen = reading.state.value;
  return h("section", { class: "feed", "aria-label": "Messages" }, h(Send, { id: id2, sent: reading.again }), h(Trouble, { read: seen, what: "the messages" }), seen.data && !seen.data.items.length && h("p", { class: "none" }, "There are none yet."), h("ol", null, [...seen.data?.items ?? []].reverse().map((each) => h("li", { key: each.id }, h(When, { time: each.timestamp }), h("span", null, safe(shortId(each.from_bot)), " to ", each.to_bot === null ? "all its bots" : safe(shortId(each.to_bot))), h(Value, { value: each.payload, name: `Message of ${each.timestamp}` })))));
}
function payloadOf(typed) {
  if (!typed.trim().startsWith("{")) return { text: typed };
  try {
    return JSON.parse(typed);
  } catch (error) {
    throw new ApiError(-1, "malformed", `This is no JSON object: ${error.message}`);
  }
}
function Send({ id: id2, sent }) {
  const [text, setText] = useState(""), [to, setTo] = useState("");
  const { busy, problem, run } = useAct();
  const send = () => void run(async () => {
    await calls.send(id2, payloadOf(text), to.trim());
    setText("");
    await sent();
  }, "Sent.");
  return h("form", { class: "send", onSubmit: (event) => {
    event.preventDefault();
    if (text.trim() && may("task.message")) send();
  } }, h("label", { for: "to" }, "To the bot (its name; empty: all that work on the task)"), h("input", { id: "to", type: "text", maxLength: 128, value: to, onInput: (event) => setTo(event.currentTarget.value) }), h("label", { for: "message" }, "Message (text, or a JSON object)"), h("textarea", { id: "message", rows: 2, value: text, onInput: (event) => setText(event.currentTarget.value) }), h("div", null, h(Act, { action: "task.message", busy: busy || !text.trim(), run: send }, "Send")), problem && h(NotDone, { error: problem }));
}

// src/pages/task/inspector.tsx

// src/pages/task/payload.tsx
function Payload({ task, subtask, pick, name }) {
  const worker = useRef(null);
  const [head, setHead] = useState(null);
  const [error, setError] = useState(null);
  const [rows, setRows] = useState(null);
  const [slow, setSlow] = useState(false);
  useEffect(() => {
    const made = new Worker(scriptUrl("tree.js"), { type: "module" });
    worker.current = made;
    const timer = setTimeout(() => setSlow(true), SKELETON_AFTER_MS);
    let reading = true;
    pending.value++;
    const read = () => {
      if (reading) {
        reading = false;
        pending.value--;
      }
    };
    made.onmessage = ({ data }) => {
      read();
      if ("failed" in data) setError(new ApiError(data.status, data.status ? "refused" : "unreachable", data.failed));
      else if ("head" in data) {
        setHead(data);
        ask({ rows: [0, 60] });
      } else setRows(data);
    };
    made.onerror = () => {
      read();
      setError(new ApiError(0, "unreadable", "The server's files are of another version: reload the page."));
    };
    const path = `tasks/${encodeURIComponent(task)}/subtasks/${encodeURIComponent(subtask)}${pick ? "" : "/output"}`;
    ask({ read: new URL(`./${path}`, BASE).href, pick: pick ? [pick] : [] });
    return () => {
      clearTimeout(timer);
      read();
      made.terminate();
    };
  }, []);
  const ask = (asked2) => worker.current.postMessage(asked2);
  if (error) return h(Refused, { error, what: pick ?? "the output", stale: false, at: 0 });
  if (!head) return slow ? h(Skeleton, { rows: 3 }) : null;
  const asTree = head.whole && asked("as") === "tree", show = (as) => put({ as });
  return h("div", { class: "value" }, h("p", { class: "as" }, head.whole && h(Fragment3, null, h("button", { type: "button", class: "tab", "aria-pressed": !asTree, onClick: () => show(null) }, "text"), h("button", { type: "button", class: "tab", "aria-pressed": asTree, onClick: () => show("tree") }, "tree")), h("span", null, head.whole ? `${grouped(head.bytes)} bytes` : "more than 1 MiB")), asTree ? rows && h(Tree, { name, rows, ask }) : h("pre", { tabIndex: 0, role: "region", "aria-label": name }, safe(head.head)), head.cut && !asTree && h("p", null, "This is the beginning. To read the whole: ", pick ? h(Command, { text: `swarmkeeper task get ${task} ${subtask} --json` }) : h(Command, { text: `swarmkeeper task result ${task} ${subtask}` })));
}
var ROW = 22;
var VIEW = 18;
var BEYOND = 20;
var MOVES = {
  ArrowDown: { by: 1 },
  ArrowUp: { by: -1 },
  PageDown: { by: VIEW },
  PageUp: { by: -VIEW },
  Home: { to: 0 },
  End: { to: Infinity },
  Enter: { act: "toggle" },
  " ": { act: "toggle" },
  ArrowRight: { act: "open" },
  ArrowLeft: { act: "close" }
};
function Tree({ name, rows, ask }) {
  const box = useRef(null);
  const [id2] = useState(() => `tree-${Math.random().toString(36).slice(2)}`);
  const range = () => {
    const first = Math.max(0, Math.floor((box.current?.scrollTop ?? 0) / ROW) - BEYOND);
    return [first, first + VIEW + 2 * BEYOND];
  };
  const { at } = rows;
  useLayoutEffect(() => {
    const element = box.current;
    if (at * ROW < element.scrollTop) element.scrollTop = at * ROW;
    else if ((at + 1) * ROW > element.scrollTop + element.clientHeight) element.scrollTop = (at + 1) * ROW - element.clientHeight;
  }, [at]);
  function press(event) {
    const move = MOVES[event.key];
    if (!move) return;
    event.preventDefault();
    ask({ rows: range(), ...move });
  }
  const here = rows.rows[at - rows.first];
  return h(
    "div",
    {
      class: "tree",
      ref: box,
      role: "tree",
      "aria-label": name,
      tabIndex: 0,
      "aria-activedescendant": here ? `${id2}-${at}` : void 0,
      onScroll: () => {
        if (Math.abs(range()[0] - rows.first) > BEYOND / 2) ask({ rows: range() });
      },
      onKeyDown: press
    },
    h("div", { role: "none", style: { height: `${rows.total * ROW}px` } }, h("div", { role: "none", style: { transform: `translateY(${rows.first * ROW}px)` } }, rows.rows.map((row, offset) => {
      const number = rows.first + offset;
      return h(
        "div",
        {
          key: number,
          id: `${id2}-${number}`,
          class: number === at ? "row chosen" : "row",
          role: "treeitem",
          "aria-level": row.depth + 1,
          "aria-posinset": row.place,
          "aria-setsize": row.of,
          "aria-expanded": row.size ? row.open : void 0,
          "aria-selected": number === at,
          style: { paddingInlineStart: `${Math.min(row.depth, 24) * 14 + 4}px` },
          onClick: () => ask({ rows: range(), to: number, act: "toggle" })
        },
        h("span", { class: "twist", "aria-hidden": "true" }, row.size ? row.open ? "▾" : "▸" : ""),
        row.key !== null && h("b", null, safe(String(row.key)), ": "),
        row.kind === "object" ? h("i", null, `{${grouped(row.size)}}`) : row.kind === "list" ? h("i", null, `[${grouped(row.size)}]`) : h("span", { class: `is-${row.kind}` }, safe(row.text))
      );
    })))
  );
}

// src/pages/task/trail.tsx
var Trail = ({ said }) => h("ol", { class: "trail" }, said.map((each) => h("li", { key: each.work_id }, h("p", null, h(State, { look: lookOfVerdict(each.decision ?? "too long to list") }), h("span", null, "round ", each.round), each.score !== null && h("span", { class: "num" }, each.score), h("span", null, safe(each.evaluator ?? "–")), h(When, { time: each.at })), each.reasons.map((reason, at) => h("p", { key: at }, safe(reason))), each.findings.map((finding, at) => h("p", { key: at }, h("b", null, safe(finding.severity ?? "finding")), finding.subtask && ` in ${safe(finding.subtask)}`, ": ", safe(finding.text ?? ""))), each.feedback.map((feedback, at) => h("p", { key: at }, "to do again in ", h("b", null, safe(feedback.subtask)), ": ", safe(feedback.text))), each.added.length > 0 && h("p", null, "added ", each.added.map(safe).join(", ")))));

// src/pages/task/inspector.tsx
var TEXT_MAX = 4e3;
function Inspector({ task, subtask, close }) {
  const reading = useRead(`subtask ${task} ${subtask}`, async () => {
    const [found2, said2] = await Promise.all([calls.subtask(task, subtask), subtask.includes("/") ? null : calls.verdicts(task, subtask)]);
    return { found: found2, said: said2?.items ?? [] };
  }, { on: ofTask(task), every: 1e4 });
  const [input, setInput] = useState(false), [audit, setAudit] = useState(false);
  const seen = reading.state.value;
  if (!seen.data) {
    return h("aside", { class: "inspector", "aria-label": "Subtask" }, h("header", null, h("h", null, safe(subtask)), h("button", { type: "button", class: "small", onClick: close }, "Close")), seen.error ? h(Refused, { error: seen.error, what: "the subtask", stale: false, at: 0 }) : seen.slow ? h(Skeleton, { rows: 6 }) : null);
  }
  const { found, said } = seen.data;
  const after = found.depends_on.map((each) => safe(typeof each === "string" ? each : each.when === "success" ? each.key : `${each.key} (${each.when})`));
  return h("aside", { class: "inspector", "aria-labelledby": "inspected" }, h("header", null, h("h", { id: "inspected" }, safe(found.key)), h(State, { look: lookOfItem(found.status) }), h("button", { type: "button", class: "small", onClick: close }, "Close")), seen.error && h(Refused, { error: seen.error, what: "the subtask", stale: true, at: seen.at }), h("p", { class: "description", tabIndex: 0 }, safe(found.description.slice(0, TEXT_MAX))), h("dl", { class: "facts" }, h(Fact, { name: "needs" }, found.required_skills.map(safe).join(", ") || "–"), h(Fact, { name: "after" }, after.join(", ") || "–"), h(Fact, { name: "round" }, found.round), found.progress?.message && h(Fact, { name: "says" }, safe(found.progress.message))), h("section", { class: "card" }, h("h", null, "Attempts"), !found.attempts.length && h("p", { class: "none" }, "None has ended yet."), h("ol", { class: "attempts" }, found.attempts.map((each) => h("li", { key: each.attempt }, h("span", null, each.attempt), h(State, { look: lookOfEnding(each.ending) }), h("span", null, safe(each.bot_name ?? each.bot)), h("span", null, span(Date.parse(each.ended_at) - Date.parse(each.started_at))), h("span", null, money(each.usage?.cost_micro_usd)), each.usage?.tokens !== void 0 && h("span", null, grouped(each.usage.tokens), " tokens"), h("small", null, "from ", h(When, { time: each.started_at })), (each.error?.message ?? each.reason) && h("p", { class: "error" }, safe((each.error?.message ?? each.reason ?? "").slice(0, TEXT_MAX))))))), said.length > 0 && h("section", { class: "card" }, h("h", null, "Verdicts"), h(Trail, { said })), !said.length && found.verdict && h("section", { class: "card" }, h("h", null, "Verdict: ", safe(found.verdict.decision), found.verdict.score !== null && ` · ${found.verdict.score}`), found.verdict.reasons.map((reason, at) => h("p", { key: at }, safe(reason)))), h("section", { class: "card" }, h("h", null, "Output"), !may("output.read") ? h(OffLimits, { what: "outputs", who: "a client, an operator, an approver or an admin" }) : found.output === null || found.output === void 0 ? h("p", { class: "none" }, "There is none.") : found.kind === "execute" ? h(Payload, { key: found.ended_at, task, subtask, name: "Output" }) : h(Value, { value: found.output, name: "Output" })), found.kind === "execute" && h("section", { class: "card" }, h("h", null, "Input"), input ? h(Payload, { task, subtask, pick: "input", name: "Input" }) : h("button", { type: "button", class: "small", onClick: () => setInput(true) }, "Show the input")), h("section", { class: "card" }, h("h", null, "Audit"), audit || !may("audit.read") ? h(AuditRecords, { id: task, item: found.id }) : h("button", { type: "button", class: "small", onClick: () => setAudit(true) }, "Show its audit records")), found.late_results?.map((each) => h("section", { class: "card", key: each.lease_id }, h("h", null, "Came too late: ", h(When, { time: each.received_at })), h(Value, { value: each.content, name: "A result that came too late" }))));
}

// src/pages/task/plan.tsx

// src/pages/task/stages.tsx
function ranked(keys, edges) {
  const number = new Map(keys.map((key, at) => [key, at]));
  return ranksOf(keys.length, edges.flatMap(({ from, to }) => number.has(from) && number.has(to) ? [[number.get(from), number.get(to)]] : []));
}
function Stages({ nodes, edges, choose }) {
  const columns = useMemo(() => {
    const ranks = ranked(nodes.map((each) => each.key), edges);
    const found = [];
    nodes.forEach((each, at) => {
      const column = found[ranks[at]] ??= /* @__PURE__ */ new Map();
      column.set(each.status, (column.get(each.status) ?? 0) + 1);
    });
    return found;
  }, [nodes, edges]);
  const tallest = Math.max(1, ...columns.map((column) => [...column.values()].reduce((sum, n) => sum + n, 0)));
  return h("div", { class: "stages", role: "group", "aria-label": "Stages of the plan", tabIndex: 0 }, columns.map((column, rank) => h("div", { class: "stage", key: rank }, h("span", { class: "rank", "aria-hidden": "true" }, rank + 1), [...column].sort(([a], [b]) => worse(lookOfItem(a).tone, lookOfItem(b).tone)).map(([status, count]) => {
    const look = lookOfItem(status);
    return h(
      "button",
      {
        type: "button",
        key: status,
        class: `block tone-${look.tone}`,
        style: { height: `${Math.max(22, 180 * count / tallest)}px` },
        "aria-label": `${grouped(count)} ${look.word} in stage ${rank + 1}`,
        title: `${grouped(count)} ${look.word}`,
        onClick: () => choose(status, rank)
      },
      grouped(count)
    );
  }))));
}

// src/pages/task/plan.tsx
var Timeline = later(() => import("./timeline.js"), "Timeline");
var VIEWS = ["graph", "table", "timeline"];
function Plan({ id: id2, subtasks, query, set: set2 }) {
  const nodes = useMemo(() => nodesOf(subtasks), [subtasks]), edges = useMemo(() => edgesOf(subtasks), [subtasks]);
  const only = query.get("only"), chosen = query.get("subtask") ?? void 0, fit = query.get("fit") === "1";
  const view = query.get("view") ?? (!edges.length && subtasks.length > 3 ? "table" : "graph");
  const asGraph = subtasks.length <= GRAPH_MAX;
  const show = (next) => set2({ view: next, only: null, rank: null });
  useKeys({
    v: { does: "next view of the plan", run: () => show(VIEWS[(VIEWS.indexOf(view) + 1) % VIEWS.length]) },
    "!": { does: "failed subtasks only", run: () => set2({ view: view === "graph" ? "table" : view, only: only === "FAILED" ? null : "FAILED", rank: null }) },
    ...view === "graph" && asGraph ? { 0: { does: "fit the graph into view", run: () => set2({ fit: fit ? null : "1" }) } } : {}
  });
  return h("section", { class: "plan", "aria-label": "Plan" }, h("div", { class: "views" }, VIEWS.map((each) => h("button", { key: each, type: "button", class: "tab", "aria-pressed": each === view, onClick: () => show(each) }, each === "graph" && !asGraph ? "stages" : each)), h("span", null, counted(subtasks.length, "subtask"), edges.length > 0 && `, ${counted(edges.length, "edge")}`), view === "graph" && asGraph && edges.length > 0 && h("span", { class: "legend" }, "solid: needs success · dashed: needs an end")), view === "timeline" ? h(Timeline, { id: id2, query, set: set2 }) : !subtasks.length ? h("p", { class: "none pad" }, "There is no plan yet.") : view === "table" ? h(Table, { subtasks, query, set: set2 }) : asGraph ? h(Graph, { nodes, edges, chosen, fit, choose: (key) => set2({ subtask: key }), label: "Graph of the plan" }) : h(Stages, { nodes, edges, choose: (status, rank) => set2({ view: "table", only: status, rank: String(rank + 1) }) }));
}
var SHOWN_MAX = 500;
function fitting(subtasks, only, rank) {
  const ranks = rank ? ranked(subtasks.map((each) => each.key), edgesOf(subtasks)) : [];
  return subtasks.filter((each, at) => (!only || each.status === only) && (!rank || String(ranks[at] + 1) === rank)).sort((a, b) => worse(lookOfItem(a.status).tone, lookOfItem(b.status).tone));
}
function Table({ subtasks, query, set: set2 }) {
  const only = query.get("only"), rank = query.get("rank"), chosen = query.get("subtask");
  const found = useMemo(() => fitting(subtasks, only, rank), [subtasks, only, rank]), shown = found.slice(0, SHOWN_MAX);
  return h("div", { class: "scroll-x", tabIndex: 0, role: "region", "aria-label": "Subtasks" }, (only || rank) && h("p", { class: "only" }, "Only ", only && h(State, { look: lookOfItem(only) }), rank && ` in stage ${rank}`, ": ", grouped(found.length), ".", " ", h("button", { type: "button", class: "small", onClick: () => set2({ only: null, rank: null }) }, "Show all")), h("table", { class: "subtasks" }, h("thead", null, h("tr", null, h("th", { scope: "col" }, "State"), h("th", { scope: "col" }, "Subtask"), h("th", { scope: "col" }, "Needs"), h("th", { scope: "col" }, "Bot"), h("th", { scope: "col" }, "Try"), h("th", { scope: "col" }, "Took"), h("th", { scope: "col" }, "Error"))), h("tbody", null, shown.map((each) => h("tr", { key: each.key, class: each.key === chosen ? "chosen" : "" }, h("td", null, h(State, { look: lookOfItem(each.status) })), h("th", { scope: "row" }, h("button", { type: "button", class: "link", onClick: () => set2({ subtask: each.key }) }, safe(each.key))), h("td", null, each.required_skills.map(safe).join(", ")), h("td", null, safe(each.bot ?? "–")), h("td", null, each.attempt || "–"), h("td", null, each.started_at && each.ended_at ? span(Date.parse(each.ended_at) - Date.parse(each.started_at)) : each.started_at && each.status === "LEASED" ? h(Ago, { time: each.started_at }) : "–"), h("td", { class: "error" }, safe((each.cause?.message ?? "").slice(0, 200))))))), found.length > shown.length && h("p", { class: "pad none" }, grouped(found.length - shown.length), " more are not shown."));
}

// src/pages/task/results.tsx
var LISTED_MAX2 = 200;
function Results({ task, subtasks }) {
  const reading = useRead(`verdicts ${task.id}`, () => calls.verdicts(task.id), { on: ofTask(task.id) });
  const seen = reading.state.value, said = (seen.data?.items ?? []).filter((each) => each.subject === null);
  const ready = task.result ? Object.keys(task.result) : subtasks.filter((each) => each.status === "SUCCEEDED").map((each) => each.key);
  return h("section", { class: "results", "aria-label": "Results" }, (said.length > 0 || seen.error) && h("section", { class: "card" }, h("h", null, "Verdicts on the task"), h(Trouble, { read: seen, what: "the verdicts" }), h(Trail, { said })), !may("output.read") ? h(OffLimits, { what: "outputs", who: "a client, an operator, an approver or an admin" }) : h("section", { class: "card" }, h("h", null, task.result ? "Result" : "Outputs so far: the result is there when all is done"), !ready.length && h("p", { class: "none" }, "There are none yet."), ready.slice(0, LISTED_MAX2).map((key, at) => h(Output, { key, task: task.id, subtask: key, open: at === 0 })), ready.length > LISTED_MAX2 && h("p", { class: "none" }, ready.length - LISTED_MAX2, " more: choose them in the plan.")));
}
function Output({ task, subtask, open: begins }) {
  const [open, setOpen] = useState(begins);
  return h("details", { open, onToggle: (event) => setOpen(event.currentTarget.open) }, h("summary", null, h("b", null, safe(subtask))), open && h(Payload, { task, subtask, name: `Output of ${subtask}` }));
}

// src/pages/task/why.tsx
var ROWS_MAX = 6;
var inWords = (word) => word.replaceAll("_", " ");
function folded(waiting, reasons) {
  const groups = together(waiting, (each) => each.reason === "dependency" || each.reason === "leased" ? each.reason : `${each.reason} ${each.fix ?? each.detail}`);
  const ofReason = /* @__PURE__ */ new Map();
  for (const [first] of groups.values()) ofReason.set(first.reason, (ofReason.get(first.reason) ?? 0) + 1);
  return [...groups].map(([like, items]) => ({ like, items, count: ofReason.get(items[0].reason) === 1 ? reasons[items[0].reason] ?? items.length : items.length }));
}
var Name = ({ item: { kind, key }, choose }) => kind === "execute" ? h("button", { type: "button", class: "link", onClick: () => choose(key) }, safe(key)) : h("b", null, safe(key || kind));
function Why({ task, choose }) {
  const [all, setAll] = useState(false);
  const { explanation, failure } = task;
  if (task.outcome !== null) {
    if (!failure) return null;
    const { cause } = failure;
    return h("section", { class: "why bad", "aria-labelledby": "why-head" }, h("h", { id: "why-head" }, "Why it failed: ", inWords(failure.code)), failure.detail && h("p", null, safe(failure.detail)), cause && h("p", null, h(Name, { item: cause, choose }), cause.attempt ? `, attempt ${cause.attempt}` : "", cause.bot && ` by ${safe(cause.bot)}`, ": ", h("span", { class: "error" }, safe(cause.message))), failure.fix && h(Command, { text: failure.fix }));
  }
  if (!explanation?.waiting.length) return null;
  const rows = folded(explanation.waiting, explanation.reasons);
  return h("section", { class: "why", "aria-labelledby": "why-head" }, h("h", { id: "why-head" }, "Why it is not done: ", Object.entries(explanation.reasons).map(([reason, count]) => `${grouped(count)} ${inWords(reason)}`).join(" · ")), h("ul", null, rows.slice(0, all ? rows.length : ROWS_MAX).map(({ like, items, count }) => {
    const first = items[0];
    return h("li", { key: like }, h("span", null, h(Name, { item: first, choose }), count > 1 && ` and ${grouped(count - 1)} more`), h(State, { look: first.kind === "task" ? lookOfTask({ status: String(first.status), outcome: null, holds: [] }) : lookOfItem(first.status) }), h("span", null, safe(first.detail), first.since && h(Fragment9, null, " · for ", since(first.since, now.value)), first.until && h(Fragment9, null, ", at most until ", h(When, { time: first.until })), first.fix && h("div", null, h(Command, { text: first.fix }))));
  })), rows.length > ROWS_MAX && !all && h("p", { class: "none" }, grouped(rows.slice(ROWS_MAX).reduce((sum, row) => sum + row.count, 0)), " more wait for other reasons. ", h("button", { type: "button", class: "small", onClick: () => setAll(true) }, "Show all")));
}

// src/pages/task.tsx
var TABS = ["plan", "results", "events", "audit", "messages"];
function TaskPage({ id: id2 }) {
  const reading = useRead(`task ${id2}`, async (before) => {
    const found = await api.task(id2, before?.etag);
    return found === null ? before : { ...found, subtasks: await calls.subtasks(found.task) };
  }, { on: ofTask(id2), every: 2e3 });
  const seen = reading.state.value;
  const [asking, setAsking] = useState(null);
  const { busy, problem, run: once } = useAct();
  const query = route.value.query;
  const chosen = query.get("subtask") ?? void 0, tab = query.get("tab") ?? "plan";
  const task = seen.data?.task, subtasks = seen.data?.subtasks ?? [];
  const step = (by) => {
    const at = subtasks.findIndex((each) => each.key === chosen);
    const next = near(subtasks, at + by);
    if (next) set({ subtask: next.key });
  };
  async function run(name, doIt) {
    await once(async () => {
      try {
        await doIt();
      } finally {
        setAsking(null);
        await reading.again();
      }
    }, `Done: ${name}.`);
  }
  const steer = (verb, reason = "") => void run(verb, () => api.steer(id2, verb, reason));
  const open = task?.outcome === null, paused = task?.holds.includes("paused"), failed = task?.status === "FAILED";
  const offers = [
    ...open && !paused ? [{ name: "Pause", action: "task.pause", key: "p", run: () => steer("pause") }] : [],
    ...open && paused ? [{ name: "Resume", action: "task.resume", key: "p", kind: "main", run: () => steer("resume") }] : [],
    ...failed ? [
      { name: "Retry", action: "task.retry", key: "r", kind: "main", run: () => steer("retry") },
      { name: "Archive…", action: "task.archive", key: "e", run: () => setAsking("archive") }
    ] : [],
    ...open ? [
      { name: "Change…", action: "task.update", key: "c", run: () => setAsking("change") },
      { name: "Cancel…", action: "task.cancel", key: "x", kind: "danger", run: () => setAsking("cancel") }
    ] : []
  ];
  const keys = {};
  for (const each of offers) {
    if (may(each.action) && connection.value.live && !busy) keys[each.key] = { does: each.name.replace("…", "").toLowerCase(), run: each.run };
  }
  useKeys({
    j: { does: "next subtask", run: () => step(1) },
    k: { does: "previous subtask", run: () => step(-1) },
    ...Object.fromEntries(TABS.map((each, at) => [`${at + 1}`, { does: each, run: () => set({ tab: at ? each : null }) }])),
    ...keys,
    Escape: { does: "close the subtask, or go back", run: () => {
      if (chosen) set({ subtask: null });
      else go("#/tasks");
    } }
  });
  const beside = chosen !== void 0 && h(Inspector, { key: chosen, task: id2, subtask: chosen, close: () => set({ subtask: null }) });
  if (!task) return h("div", { class: `task ${chosen ? "with-subtask" : ""}` }, h("div", { class: "whole pad" }, h("h1", { class: "hidden-text" }, "Task"), h(Trouble, { read: seen, what: "the task" })), !seen.error && beside);
  const approval = task.holds.find((hold) => hold.startsWith("apr_"));
  const { done, total } = task.progress;
  return h("div", { class: `task ${chosen ? "with-subtask" : ""}` }, h("div", { class: "whole" }, h("header", { class: "task-head" }, h("div", { class: "title" }, h("h1", null, safe(task.title)), " ", h(State, { look: lookOfTask(task) })), h("div", { class: "acts" }, approval && h("a", { class: "button main", href: written(["inbox"], { approval }) }, "Decide…"), offers.map((each) => h(Act, { key: each.name, action: each.action, kind: each.kind, busy, keys: each.key, run: each.run }, each.name))), h("p", { class: "facts-line" }, grouped(done), " of ", grouped(total), " done", task.progress.failed > 0 && `, ${grouped(task.progress.failed)} failed`, " · round ", task.round, " of ", task.max_rounds, task.usage.cost_micro_usd !== void 0 && ` · ${money(task.usage.cost_micro_usd)}`, " · ", grouped(task.usage.tokens ?? 0), " tokens · priority ", task.priority, " ", "· submitted ", h(When, { time: task.created_at }), " · ", h("code", null, task.id)), Object.keys(task.labels).length > 0 && h("p", { class: "labels" }, h(Labels, { labels: task.labels })), task.description && h("p", { class: "description", tabIndex: 0 }, safe(task.description.slice(0, 2e3))), problem && h(NotDone, { error: problem })), seen.error && h(Trouble, { read: seen, what: "the task" }), h(Why, { task, choose: (subtask) => set({ subtask }) }), h("nav", { class: "tabs", "aria-label": "Of this task" }, TABS.map((each, at) => h("a", { key: each, class: "tab", href: address({ tab: at ? each : null }), "aria-current": each === tab ? "page" : void 0 }, each))), tab === "results" ? h(Results, { task, subtasks }) : tab === "events" ? h(Events, { id: id2 }) : tab === "audit" ? h(AuditRecords, { id: id2 }) : tab === "messages" ? h(Messages, { id: id2 }) : h(Plan, { id: id2, subtasks, query, set })), beside, asking && h(
    Ask,
    {
      verb: asking,
      task,
      close: () => setAsking(null),
      run: (reason) => steer(asking, reason),
      change: (changes) => void run("change", () => calls.change(id2, changes))
    }
  ));
}
export {
  TaskPage
};
