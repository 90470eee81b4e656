import { el, useState, Fragment, useEffect, useLayoutEffect, useRef, useMemo } from "./runtime.js";
import { api, useKeys, connection, ofTask, useRead, Act, Labels, NotDone, State, Trouble, When, useAct, address, go, put as set, route, written, may, grouped, lookOfTask, money, near, safe, Dialog, act, call, get, whole, ApiError, pending, Value, useDraft, Fact, shortId, lookOfEnding, lookOfItem, span, BASE, scriptUrl, SKELETON_AFTER_MS, Command, Refused, Skeleton, asked, put, lookOfVerdict, edgesOf, Graph, GRAPH_MAX, nodesOf, later, Ago, counted, worse, ranksOf, now, since, together } from "./app.js";
// src/pages/task.tsx

// src/pages/task/ask.tsx
function Ask({ verb, task, close, run, change }) {
  return verb === "change" ? el(Change, { task, close, change }) : el(Reason, { verb, close, run });
}
function Reason({ verb, close, run }) {
  const [reason, setReason] = useState("");
  const name = `${verb[0].toUpperCase()}${verb.slice(1)}`;
  return el(Dialog, { title: `${name} this task?`, close }, el("form", { class: "reason", onSubmit: (event) => {
    event.preventDefault();
    run(reason.trim());
  } },
  el("label", { for: "why" }, "Reason (kept in the audit log)"),
  el("textarea", { id: "why", autofocus: true, rows: 3, value: reason, onInput: (event) => setReason(event.currentTarget.value) }),
  el("button", { type: "submit", class: "danger" }, name, " the task")));
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
  const field = (name, label, least, most, note = "") => el("p", { key: name },
  el("label", { for: `set-${name}` }, label),
  el("input", { id: `set-${name}`, autofocus: name === "priority", type: "number", required: true, min: least, max: most, step: 1, value: now2[name], onInput: (event) => setNow({ ...now2, [name]: event.currentTarget.value }) }), note && el("small", null, note));
  return el(Dialog, { title: "Change this task", close }, el("form", { class: "reason", onSubmit: (event) => {
    event.preventDefault();
    send();
  } }, field("priority", "Priority (0 to 9; 9 goes first)", 0, 9), limits.map(([name]) => field(name, `Limit: ${NAMES[name]}`, 1, Number.MAX_SAFE_INTEGER, `${name === "cost_micro_usd" ? `${money(Number(now2[name]) || 0)}; ` : ""}used ${name === "cost_micro_usd" ? money(task.budget?.spent[name] ?? 0) : task.budget?.spent[name] ?? 0}`)), !limits.length && el("p", { class: "none" }, "It has no budget that could be changed."),
  el("button", { type: "submit", class: "main", disabled: !changed.length }, "Change the task")));
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
    return (await whole(`tasks/${id(task.id)}/subtasks`, LISTED_MAX)).items;
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
  return el("section", { class: "feed", "aria-label": name },
  el(Trouble, { read: seen, what }), seen.data && !items.length && el("p", { class: "none" }, "There are none yet."),
  el("ol", null, items.map(row)), problem && el(NotDone, { error: problem }), token && el("button", { type: "button", class: "small", onClick: () => void more() }, "Show older"));
}
var FOR_PROGRAMS = ["task_id", "audit_id", "work_id", "sha256", "bytes", "lease_id", "tries"];
function about(data) {
  return Object.entries(data).filter(([name, value]) => !FOR_PROGRAMS.includes(name) && value !== null && typeof value !== "object" && !(name === "actor" && value === data.bot)).map(([name, value]) => `${name.replaceAll("_", " ")} ${shortId(String(value).slice(0, 80))}`).join(" · ");
}
var Events = ({ id: id2 }) => el(Feed, { name: "Events", id: id2, what: "the events", read: (asked2) => calls.events(id2, asked2), place: (each) => each.id, row: (each) => el("li", { key: each.id },
el(When, { time: each.time }),
el("b", null, safe(each.type.replace(/^io\.swarmkeeper\./, "").replace(/\.v\d+$/, ""))),
el("span", null, safe(about(each.data)))) });
function AuditRecords({ id: id2, item }) {
  if (!may("audit.read")) return el(OffLimits, { what: "the audit log", who: "an auditor or an admin" });
  return el(Feed, { name: "Audit records", id: id2, what: "the audit log", read: (asked2) => calls.audit(id2, { ...asked2, resource: item }), place: (each) => String(each.index), row: (each) => el(Recorded, { key: each.index, record: each }) });
}
function Recorded({ record }) {
  const { actor, decision, payload, resource } = record;
  return el("li", null,
  el(When, { time: record.timestamp }),
  el("span", null,
  el("b", null, safe(record.action)), " ", record.outcome !== "accepted" && el("span", { class: "error" }, safe(record.outcome))),
  el("details", null,
  el("summary", null, [shortId(actor.person ?? actor.id), typeof payload === "object" && payload ? about(payload) : ""].filter(Boolean).map(safe).join(" · ")),
  el("dl", { class: "facts" },
  el("div", null,
  el("dt", null, "record"),
  el("dd", { class: "num" }, grouped(record.index))),
  el(Fact, { name: "actor" }, safe(actor.type), " ",
  el("code", null, safe(actor.id))), resource && el(Fact, { name: "on" },
  el("code", null, safe(resource))), decision && el(Fact, { name: "by rule" }, safe([decision.effect, decision.policy, ...decision.reasons].join(" · "))),
  el(Fact, { name: "hash" },
  el("code", null, record.hash))), record.erased ? el("p", { class: "none" }, "What it said was erased.") : el(Value, { value: payload, name: `What record ${record.index} says` })));
}
var OffLimits = ({ what, who }) => el("div", { class: "trouble forbidden" }, el("strong", null, "Your role may not read ", what, "."), " Ask ", who, ".");
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
  return el("section", { class: "feed", "aria-label": "Messages" },
  el(Send, { id: id2, sent: reading.again }),
  el(Trouble, { read: seen, what: "the messages" }), seen.data && !seen.data.items.length && el("p", { class: "none" }, "There are none yet."),
  el("ol", null, [...seen.data?.items ?? []].reverse().map((each) => el("li", { key: each.id },
  el(When, { time: each.timestamp }),
  el("span", null, safe(shortId(each.from_bot)), " to ", each.to_bot === null ? "all its bots" : safe(shortId(each.to_bot))),
  el(Value, { value: each.payload, name: `Message of ${each.timestamp}` })))));
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
  const [text, setText] = useDraft(`message ${id2}`), [to, setTo] = useState("");
  const { busy, problem, run } = useAct();
  const send = () => void run(async () => {
    await calls.send(id2, payloadOf(text), to.trim());
    setText("");
    await sent();
  }, "Sent.");
  return el("form", { class: "send", onSubmit: (event) => {
    event.preventDefault();
    if (text.trim() && may("task.message")) send();
  } },
  el("label", { for: "to" }, "To the bot (its name; empty: all that work on the task)"),
  el("input", { id: "to", type: "text", maxLength: 128, value: to, onInput: (event) => setTo(event.currentTarget.value) }),
  el("label", { for: "message" }, "Message (text, or a JSON object)"),
  el("textarea", { id: "message", rows: 2, value: text, onInput: (event) => setText(event.currentTarget.value) }),
  el("div", null,
  el(Act, { action: "task.message", busy: busy || !text.trim(), run: send }, "Send")), problem && el(NotDone, { error: problem }));
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
  if (error) return el(Refused, { error, what: pick ?? "the output", stale: false, at: 0 });
  if (!head) return slow ? el(Skeleton, { rows: 3 }) : null;
  const asTree = head.whole && asked("as") === "tree", show = (as) => put({ as });
  return el("div", { class: "value" },
  el("p", { class: "as" }, head.whole && el(Fragment, null,
  el("button", { type: "button", class: "tab", "aria-pressed": !asTree, onClick: () => show(null) }, "text"),
  el("button", { type: "button", class: "tab", "aria-pressed": asTree, onClick: () => show("tree") }, "tree")),
  el("span", null, head.whole ? `${grouped(head.bytes)} bytes` : "more than 1 MiB")), asTree ? rows && el(Tree, { name, rows, ask }) : el("pre", { tabIndex: 0, role: "region", "aria-label": name }, safe(head.head)), head.cut && !asTree && el("p", null, "This is the beginning. To read the whole: ", pick ? el(Command, { text: `swarmkeeper task get ${task} ${subtask} --json` }) : el(Command, { text: `swarmkeeper task result ${task} ${subtask}` })));
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
  return el(
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
    el("div", { role: "none", style: { height: `${rows.total * ROW}px` } },
    el("div", { role: "none", style: { transform: `translateY(${rows.first * ROW}px)` } }, rows.rows.map((row, offset) => {
      const number = rows.first + offset;
      return el(
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
        el("span", { class: "twist", "aria-hidden": "true" }, row.size ? row.open ? "▾" : "▸" : ""),
        row.key !== null && el("b", null, safe(String(row.key)), ": "),
        row.kind === "object" ? el("i", null, `{${grouped(row.size)}}`) : row.kind === "list" ? el("i", null, `[${grouped(row.size)}]`) : el("span", { class: `is-${row.kind}` }, safe(row.text))
      );
    })))
  );
}

// src/pages/task/trail.tsx
var Trail = ({ said }) => el("ol", { class: "trail" }, said.map((each) => el("li", { key: each.work_id },
el("p", null,
el(State, { look: lookOfVerdict(each.decision ?? "too long to list") }),
el("span", null, "round ", each.round), each.score !== null && el("span", { class: "num" }, each.score),
el("span", null, safe(each.evaluator ?? "–")),
el(When, { time: each.at })), each.reasons.map((reason, at) => el("p", { key: at }, safe(reason))), each.findings.map((finding, at) => el("p", { key: at },
el("b", null, safe(finding.severity ?? "finding")), finding.subtask && ` in ${safe(finding.subtask)}`, ": ", safe(finding.text ?? ""))), each.feedback.map((feedback, at) => el("p", { key: at }, "to do again in ",
el("b", null, safe(feedback.subtask)), ": ", safe(feedback.text))), each.added.length > 0 && el("p", null, "added ", each.added.map(safe).join(", ")))));

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
    return el("aside", { class: "inspector", "aria-label": "Subtask" },
    el("header", null,
    el("h2", null, safe(subtask)),
    el("button", { type: "button", class: "small", onClick: close }, "Close")),
    el(Trouble, { read: seen, what: "the subtask" }));
  }
  const { found, said } = seen.data;
  const after = found.depends_on.map((each) => safe(typeof each === "string" ? each : each.when === "success" ? each.key : `${each.key} (${each.when})`));
  return el("aside", { class: "inspector", "aria-labelledby": "inspected" },
  el("header", null,
  el("h2", { id: "inspected" }, safe(found.key)),
  el(State, { look: lookOfItem(found.status) }),
  el("button", { type: "button", class: "small", onClick: close }, "Close")),
  el(Trouble, { read: seen, what: "the subtask" }),
  el("p", { class: "description", tabIndex: 0 }, safe(found.description.slice(0, TEXT_MAX))),
  el("dl", { class: "facts" },
  el(Fact, { name: "needs" }, found.required_skills.map(safe).join(", ") || "–"),
  el(Fact, { name: "after" }, after.join(", ") || "–"),
  el(Fact, { name: "round" }, found.round), found.progress?.message && el(Fact, { name: "says" }, safe(found.progress.message))),
  el("section", { class: "card" },
  el("h3", null, "Attempts"), !found.attempts.length && el("p", { class: "none" }, "None has ended yet."),
  el("ol", { class: "attempts" }, found.attempts.map((each) => el("li", { key: each.attempt },
  el("span", null, each.attempt),
  el(State, { look: lookOfEnding(each.ending) }),
  el("span", null, safe(each.bot_name ?? each.bot)),
  el("span", null, span(Date.parse(each.ended_at) - Date.parse(each.started_at))),
  el("span", null, money(each.usage?.cost_micro_usd)), each.usage?.tokens !== void 0 && el("span", null, grouped(each.usage.tokens), " tokens"),
  el("small", null, "from ",
  el(When, { time: each.started_at })), (each.error?.message ?? each.reason) && el("p", { class: "error" }, safe((each.error?.message ?? each.reason ?? "").slice(0, TEXT_MAX))))))), said.length > 0 && el("section", { class: "card" },
  el("h3", null, "Verdicts"),
  el(Trail, { said })), !said.length && found.verdict && el("section", { class: "card" },
  el("h3", null, "Verdict: ", safe(found.verdict.decision), found.verdict.score !== null && ` · ${found.verdict.score}`), found.verdict.reasons.map((reason, at) => el("p", { key: at }, safe(reason)))),
  el("section", { class: "card" },
  el("h3", null, "Output"), !may("output.read") ? el(OffLimits, { what: "outputs", who: "a client, an operator, an approver or an admin" }) : found.output === null || found.output === void 0 ? el("p", { class: "none" }, "There is none.") : found.kind === "execute" ? el(Payload, { key: found.ended_at, task, subtask, name: "Output" }) : el(Value, { value: found.output, name: "Output" })), found.kind === "execute" && el("section", { class: "card" },
  el("h3", null, "Input"), input ? el(Payload, { task, subtask, pick: "input", name: "Input" }) : el("button", { type: "button", class: "small", onClick: () => setInput(true) }, "Show the input")),
  el("section", { class: "card" },
  el("h3", null, "Audit"), audit || !may("audit.read") ? el(AuditRecords, { id: task, item: found.id }) : el("button", { type: "button", class: "small", onClick: () => setAudit(true) }, "Show its audit records")), found.late_results?.map((each) => el("section", { class: "card", key: each.lease_id },
  el("h3", null, "Came too late: ",
  el(When, { time: each.received_at })),
  el(Value, { value: each.content, name: "A result that came too late" }))));
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
  return el("div", { class: "stages", role: "group", "aria-label": "Stages of the plan", tabIndex: 0 }, columns.map((column, rank) => el("div", { class: "stage", key: rank },
  el("span", { class: "rank", "aria-hidden": "true" }, rank + 1), [...column].sort(([a], [b]) => worse(lookOfItem(a).tone, lookOfItem(b).tone)).map(([status, count]) => {
    const look = lookOfItem(status), says = `${grouped(count)} ${look.word} in stage ${rank + 1}`;
    return el(
      "button",
      {
        type: "button",
        key: status,
        class: `block tone-${look.tone}`,
        style: { height: `${Math.max(22, 180 * count / tallest)}px` },
        "aria-label": says,
        title: says,
        onClick: () => choose(status, rank)
      },
      grouped(count),
      " ",
      el("small", null, look.word)
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
  return el("section", { class: "plan", "aria-label": "Plan" },
  el("div", { class: "views" }, VIEWS.map((each) => el("button", { key: each, type: "button", class: "tab", "aria-pressed": each === view, onClick: () => show(each) }, each === "graph" && !asGraph ? "stages" : each)),
  el("span", null, counted(subtasks.length, "subtask"), edges.length > 0 && `, ${counted(edges.length, "edge")}`), view === "graph" && asGraph && edges.length > 0 && el("span", { class: "legend" }, "solid: needs success · dashed: needs an end")), view === "timeline" ? el(Timeline, { id: id2, query, set: set2 }) : !subtasks.length ? el("p", { class: "none pad" }, "There is no plan yet.") : view === "table" ? el(Table, { subtasks, query, set: set2 }) : asGraph ? el(Graph, { nodes, edges, chosen, fit, choose: (key) => set2({ subtask: key }), label: "Graph of the plan" }) : el(Stages, { nodes, edges, choose: (status, rank) => set2({ view: "table", only: status, rank: String(rank + 1) }) }));
}
var SHOWN_MAX = 500;
function fitting(subtasks, only, rank) {
  const ranks = rank ? ranked(subtasks.map((each) => each.key), edgesOf(subtasks)) : [];
  return subtasks.filter((each, at) => (!only || each.status === only) && (!rank || String(ranks[at] + 1) === rank)).sort((a, b) => worse(lookOfItem(a.status).tone, lookOfItem(b.status).tone));
}
function Table({ subtasks, query, set: set2 }) {
  const only = query.get("only"), rank = query.get("rank"), chosen = query.get("subtask");
  const found = useMemo(() => fitting(subtasks, only, rank), [subtasks, only, rank]), shown = found.slice(0, SHOWN_MAX);
  return el("div", { class: "scroll-x", tabIndex: 0, role: "region", "aria-label": "Subtasks" }, (only || rank) && el("p", { class: "only" }, "Only ", only && el(State, { look: lookOfItem(only) }), rank && ` in stage ${rank}`, ": ", grouped(found.length), ".", " ",
  el("button", { type: "button", class: "small", onClick: () => set2({ only: null, rank: null }) }, "Show all")),
  el("table", { class: "subtasks" },
  el("thead", null,
  el("tr", null,
  el("th", { scope: "col" }, "State"),
  el("th", { scope: "col" }, "Subtask"),
  el("th", { scope: "col" }, "Needs"),
  el("th", { scope: "col" }, "Bot"),
  el("th", { scope: "col" }, "Try"),
  el("th", { scope: "col" }, "Took"),
  el("th", { scope: "col" }, "Error"))),
  el("tbody", null, shown.map((each) => el("tr", { key: each.key, class: each.key === chosen ? "chosen" : "" },
  el("td", null,
  el(State, { look: lookOfItem(each.status) })),
  el("th", { scope: "row" },
  el("button", { type: "button", class: "link", onClick: () => set2({ subtask: each.key }) }, safe(each.key))),
  el("td", null, each.required_skills.map(safe).join(", ")),
  el("td", null, safe(each.bot ?? "–")),
  el("td", null, each.attempt || "–"),
  el("td", null, each.started_at && each.ended_at ? span(Date.parse(each.ended_at) - Date.parse(each.started_at)) : each.started_at && each.status === "LEASED" ? el(Ago, { time: each.started_at }) : "–"),
  el("td", { class: "error" }, safe((each.cause?.message ?? "").slice(0, 200))))))), found.length > shown.length && el("p", { class: "pad none" }, grouped(found.length - shown.length), " more are not shown."));
}

// src/pages/task/results.tsx
var LISTED_MAX2 = 200;
function Results({ task, subtasks }) {
  const reading = useRead(`verdicts ${task.id}`, () => calls.verdicts(task.id), { on: ofTask(task.id) });
  const seen = reading.state.value, said = (seen.data?.items ?? []).filter((each) => each.subject === null);
  const ready = task.result ? Object.keys(task.result) : subtasks.filter((each) => each.status === "SUCCEEDED").map((each) => each.key);
  return el("section", { class: "results", "aria-label": "Results" }, (said.length > 0 || seen.error) && el("section", { class: "card" },
  el("h3", null, "Verdicts on the task"),
  el(Trouble, { read: seen, what: "the verdicts" }),
  el(Trail, { said })), !may("output.read") ? el(OffLimits, { what: "outputs", who: "a client, an operator, an approver or an admin" }) : el("section", { class: "card" },
  el("h3", null, task.result ? "Result" : "Outputs so far: the result is there when all is done"), !ready.length && el("p", { class: "none" }, "There are none yet."), ready.slice(0, LISTED_MAX2).map((key, at) => el(Output, { key, task: task.id, subtask: key, open: at === 0 })), ready.length > LISTED_MAX2 && el("p", { class: "none" }, ready.length - LISTED_MAX2, " more: choose them in the plan.")));
}
function Output({ task, subtask, open: begins }) {
  const [open, setOpen] = useState(begins);
  return el("details", { open, onToggle: (event) => setOpen(event.currentTarget.open) },
  el("summary", null,
  el("b", null, safe(subtask))), open && el(Payload, { task, subtask, name: `Output of ${subtask}` }));
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
var Name = ({ item: { kind, key }, choose }) => kind === "execute" ? el("button", { type: "button", class: "link", onClick: () => choose(key) }, safe(key)) : el("b", null, safe(key || kind));
function Why({ task, choose }) {
  const [all, setAll] = useState(false);
  const { explanation, failure } = task;
  if (task.outcome !== null) {
    if (!failure) return null;
    const { cause } = failure;
    return el("section", { class: "why bad", "aria-labelledby": "why-head" },
    el("h2", { id: "why-head" }, "Why it failed: ", inWords(failure.code)), failure.detail && el("p", null, safe(failure.detail)), cause && el("p", null,
    el(Name, { item: cause, choose }), cause.attempt ? `, attempt ${cause.attempt}` : "", cause.bot && ` by ${safe(cause.bot)}`, ": ",
    el("span", { class: "error" }, safe(cause.message))), failure.fix && el(Command, { text: failure.fix }));
  }
  if (!explanation?.waiting.length) return null;
  const rows = folded(explanation.waiting, explanation.reasons);
  return el("section", { class: "why", "aria-labelledby": "why-head" },
  el("h2", { id: "why-head" }, "Why it is not done: ", Object.entries(explanation.reasons).map(([reason, count]) => `${grouped(count)} ${inWords(reason)}`).join(" · ")),
  el("ul", null, rows.slice(0, all ? rows.length : ROWS_MAX).map(({ like, items, count }) => {
    const first = items[0];
    return el("li", { key: like },
    el("span", null,
    el(Name, { item: first, choose }), count > 1 && ` and ${grouped(count - 1)} more`),
    el(State, { look: first.kind === "task" ? lookOfTask({ status: String(first.status), outcome: null, holds: [] }) : lookOfItem(first.status) }),
    el("span", null, safe(first.detail), first.since && el(Fragment, null, " · for ", since(first.since, now.value)), first.until && el(Fragment, null, ", at most until ",
    el(When, { time: first.until })), first.fix && el("div", null,
    el(Command, { text: first.fix }))));
  })), rows.length > ROWS_MAX && !all && el("p", { class: "none" }, grouped(rows.slice(ROWS_MAX).reduce((sum, row) => sum + row.count, 0)), " more wait for other reasons. ",
  el("button", { type: "button", class: "small", onClick: () => setAll(true) }, "Show all")));
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
  const beside = chosen !== void 0 && el(Inspector, { key: chosen, task: id2, subtask: chosen, close: () => set({ subtask: null }) });
  if (!task) return el("div", { class: `task ${chosen ? "with-subtask" : ""}` },
  el("div", { class: "whole pad" },
  el("h1", { class: "hidden-text" }, "Task"),
  el(Trouble, { read: seen, what: "the task" })), !seen.error && beside);
  const approval = task.holds.find((hold) => hold.startsWith("apr_"));
  const { done, total } = task.progress;
  return el("div", { class: `task ${chosen ? "with-subtask" : ""}` },
  el("div", { class: "whole" },
  el("header", { class: "task-head" },
  el("div", { class: "title" },
  el("h1", { title: safe(task.title) }, safe(task.title)), " ",
  el(State, { look: lookOfTask(task) })),
  el("div", { class: "acts" }, approval && el("a", { class: may("approval.decide") ? "button main" : "button", href: written(["inbox"], { approval }) }, may("approval.decide") ? "Decide…" : "See what is asked"), offers.map((each) => el(Act, { key: each.name, action: each.action, kind: each.kind, busy, keys: each.key, run: each.run }, each.name))),
  el("p", { class: "facts-line" }, grouped(done), " of ", grouped(total), " done", task.progress.failed > 0 && `, ${grouped(task.progress.failed)} failed`, " · round ", task.round, " of ", task.max_rounds, task.usage.cost_micro_usd !== void 0 && ` · ${money(task.usage.cost_micro_usd)}`, " · ", grouped(task.usage.tokens ?? 0), " tokens · priority ", task.priority, " ", "· submitted ",
  el(When, { time: task.created_at }), " · ",
  el("code", null, task.id)), Object.keys(task.labels).length > 0 && el("p", { class: "labels" },
  el(Labels, { labels: task.labels })), task.description && el("p", { class: "description", tabIndex: 0 }, safe(task.description.slice(0, 2e3))), problem && el(NotDone, { error: problem })), seen.error && el(Trouble, { read: seen, what: "the task" }),
  el(Why, { task, choose: (subtask) => set({ subtask }) }),
  el("nav", { class: "tabs", "aria-label": "Of this task" }, TABS.map((each, at) => el("a", { key: each, class: "tab", href: address({ tab: at ? each : null }), "aria-current": each === tab ? "page" : void 0 }, each))), tab === "results" ? el(Results, { task, subtasks }) : tab === "events" ? el(Events, { id: id2 }) : tab === "audit" ? el(AuditRecords, { id: id2 }) : tab === "messages" ? el(Messages, { id: id2 }) : el(Plan, { id: id2, subtasks, query, set })), beside, asking && el(
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
