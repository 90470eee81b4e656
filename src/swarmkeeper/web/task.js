import { connection, Labels, useState, useKeys, Dialog, money, jsx, jsxs, act, api, call, get, ApiError, ofTask, pending, useRead, Act, NotDone, Trouble, Value, When, useAct, may, grouped, safe, shortId, lookOfEnding, lookOfItem, span, useEffect, useLayoutEffect, useRef, BASE, scriptUrl, SKELETON_AFTER_MS, Command, Refused, Skeleton, go, route, written, Fragment, State, edgesOf, Graph, GRAPH_MAX, nodesOf, Ago, useMemo, ranksOf, worse, now as clockNow, Glyph, moment, now, lookOfTask, since } from "./app.js";
// src/pages/task.tsx

// src/pages/task/ask.tsx
function Ask({ verb, task, close, run, change }) {
  useKeys({ Escape: { does: "", run: close } }, true);
  return verb === "change" ? jsx(Change, { task, close, change }) : jsx(Reason, { verb, close, run });
}
function Reason({ verb, close, run }) {
  const [reason, setReason] = useState("");
  const name = `${verb[0].toUpperCase()}${verb.slice(1)}`;
  return jsx(Dialog, { title: `${name} this task?`, close, children: jsxs("form", { class: "reason", onSubmit: (event) => {
    event.preventDefault();
    run(reason.trim());
  }, children: [
    jsx("label", { for: "why", children: "Reason (kept in the audit log)" }),
    jsx("textarea", { id: "why", autofocus: true, rows: 3, value: reason, onInput: (event) => setReason(event.currentTarget.value) }),
    jsxs("button", { type: "submit", class: "danger", children: [
      name,
      " the task"
    ] })
  ] }) });
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
  const field = (name, label, least, most, note = "") => jsxs("p", { children: [
    jsx("label", { for: `set-${name}`, children: label }),
    jsx("input", { id: `set-${name}`, autofocus: name === "priority", type: "number", required: true, min: least, max: most, step: 1, value: now2[name], onInput: (event) => setNow({ ...now2, [name]: event.currentTarget.value }) }),
    note && jsx("small", { children: note })
  ] }, name);
  return jsx(Dialog, { title: "Change this task", close, children: jsxs("form", { class: "reason", onSubmit: (event) => {
    event.preventDefault();
    send();
  }, children: [
    field("priority", "Priority (0 to 9; 9 goes first)", 0, 9),
    limits.map(([name]) => field(name, `Limit: ${NAMES[name]}`, 1, Number.MAX_SAFE_INTEGER, `${name === "cost_micro_usd" ? `${money(Number(now2[name]) || 0)}; ` : ""}used ${name === "cost_micro_usd" ? money(task.budget?.spent[name] ?? 0) : task.budget?.spent[name] ?? 0}`)),
    !limits.length && jsx("p", { class: "none", children: "It has no budget that could be changed." }),
    jsx("button", { type: "submit", class: "main", disabled: !changed.length, children: "Change the task" })
  ] }) });
}

// src/pages/task/calls.ts
var id = encodeURIComponent;
var LISTED_MAX = 1e3;
var calls = {
  timeline: (task, pageToken) => get(`tasks/${id(task)}/timeline`, { page_size: 200, page_token: pageToken }),
  verdicts: (task, subtask) => get(`tasks/${id(task)}/verdicts`, { page_size: 100, subtask }),
  events: (task, asked) => get(`tasks/${id(task)}/events`, { order: "desc", page_size: 50, ...asked }),
  audit: (task, asked) => get(`tasks/${id(task)}/audit`, { order: "desc", page_size: 50, ...asked }),
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
  return jsxs("section", { class: "feed", "aria-label": name, children: [
    jsx(Trouble, { read: seen, what }),
    seen.data && !items.length && jsx("p", { class: "none", children: "There are none yet." }),
    jsx("ol", { children: items.map(row) }),
    problem && jsx(NotDone, { error: problem }),
    token && jsx("button", { type: "button", class: "small", onClick: () => void more(), children: "Show older" })
  ] });
}
var FOR_PROGRAMS = ["task_id", "audit_id", "work_id", "sha256", "bytes", "lease_id", "tries"];
function about(data) {
  return Object.entries(data).filter(([name, value]) => !FOR_PROGRAMS.includes(name) && value !== null && typeof value !== "object" && !(name === "actor" && value === data.bot)).map(([name, value]) => `${name.replaceAll("_", " ")} ${shortId(String(value).slice(0, 80))}`).join(" · ");
}
var Events = ({ id: id2 }) => jsx(Feed, { name: "Events", id: id2, what: "the events", read: (asked) => calls.events(id2, asked), place: (each) => each.id, row: (each) => jsxs("li", { children: [
  jsx(When, { time: each.time }),
  jsx("b", { children: safe(each.type.replace(/^io\.swarmkeeper\./, "").replace(/\.v\d+$/, "")) }),
  jsx("span", { children: safe(about(each.data)) })
] }, each.id) });
function AuditRecords({ id: id2, item }) {
  if (!may("audit.read")) return jsx(OffLimits, { what: "the audit log", who: "an auditor or an admin" });
  return jsx(Feed, { name: "Audit records", id: id2, what: "the audit log", read: (asked) => calls.audit(id2, { ...asked, resource: item }), place: (each) => String(each.index), row: (each) => jsx(Recorded, { record: each }, each.index) });
}
function Recorded({ record }) {
  const { actor, decision, payload, resource } = record;
  return jsxs("li", { children: [
    jsx(When, { time: record.timestamp }),
    jsxs("span", { children: [
      jsx("b", { children: safe(record.action) }),
      " ",
      record.outcome !== "accepted" && jsx("span", { class: "error", children: safe(record.outcome) })
    ] }),
    jsxs("details", { children: [
      jsx("summary", { children: [shortId(actor.person ?? actor.id), typeof payload === "object" && payload ? about(payload) : ""].filter(Boolean).map(safe).join(" · ") }),
      jsxs("dl", { class: "facts", children: [
        jsxs("div", { children: [
          jsx("dt", { children: "record" }),
          jsx("dd", { class: "num", children: grouped(record.index) })
        ] }),
        jsxs("div", { children: [
          jsx("dt", { children: "actor" }),
          jsxs("dd", { children: [
            safe(actor.type),
            " ",
            jsx("code", { children: safe(actor.id) })
          ] })
        ] }),
        resource && jsxs("div", { children: [
          jsx("dt", { children: "on" }),
          jsx("dd", { children: jsx("code", { children: safe(resource) }) })
        ] }),
        decision && jsxs("div", { children: [
          jsx("dt", { children: "by rule" }),
          jsx("dd", { children: safe([decision.effect, decision.policy, ...decision.reasons].join(" · ")) })
        ] }),
        jsxs("div", { children: [
          jsx("dt", { children: "hash" }),
          jsx("dd", { children: jsx("code", { children: record.hash }) })
        ] })
      ] }),
      record.erased ? jsx("p", { class: "none", children: "What it said was erased." }) : jsx(Value, { value: payload, name: `What record ${record.index} says` })
    ] })
  ] });
}
var OffLimits = ({ what, who }) => jsxs("div", { class: "trouble forbidden", children: [
  jsxs("strong", { children: [
    "Your role may not read ",
    what,
    "."
  ] }),
  " Ask ",
  who,
  "."
] });
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
  return jsxs("section", { class: "feed", "aria-label": "Messages", children: [
    jsx(Send, { id: id2, sent: reading.again }),
    jsx(Trouble, { read: seen, what: "the messages" }),
    seen.data && !seen.data.items.length && jsx("p", { class: "none", children: "There are none yet." }),
    jsx("ol", { children: [...seen.data?.items ?? []].reverse().map((each) => jsxs("li", { children: [
      jsx(When, { time: each.timestamp }),
      jsxs("span", { children: [
        safe(shortId(each.from_bot)),
        " to ",
        each.to_bot === null ? "all its bots" : safe(shortId(each.to_bot))
      ] }),
      jsx(Value, { value: each.payload, name: `Message of ${each.timestamp}` })
    ] }, each.id)) })
  ] });
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
  return jsxs("form", { class: "send", onSubmit: (event) => {
    event.preventDefault();
    if (text.trim() && may("task.message")) send();
  }, children: [
    jsx("label", { for: "to", children: "To the bot (its name; empty: all that work on the task)" }),
    jsx("input", { id: "to", type: "text", maxLength: 128, value: to, onInput: (event) => setTo(event.currentTarget.value) }),
    jsx("label", { for: "message", children: "Message (text, or a JSON object)" }),
    jsx("textarea", { id: "message", rows: 2, value: text, onInput: (event) => setText(event.currentTarget.value) }),
    jsx("div", { children: jsx(Act, { action: "task.message", busy: busy || !text.trim(), run: send, children: "Send" }) }),
    problem && jsx(NotDone, { error: problem })
  ] });
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
    const path2 = `tasks/${encodeURIComponent(task)}/subtasks/${encodeURIComponent(subtask)}${pick ? "" : "/output"}`;
    ask({ read: new URL(`./${path2}`, BASE).href, pick: pick ? [pick] : [] });
    return () => {
      clearTimeout(timer);
      read();
      made.terminate();
    };
  }, []);
  const ask = (asked) => worker.current.postMessage(asked);
  if (error) return jsx(Refused, { error, what: pick ?? "the output", stale: false, at: 0 });
  if (!head) return slow ? jsx(Skeleton, { rows: 3 }) : null;
  const { path, query } = route.value, asTree = head.whole && query.get("as") === "tree";
  const show = (as) => {
    const next = new URLSearchParams(query);
    if (as) next.set("as", as);
    else next.delete("as");
    go(written(path, next), true);
  };
  return jsxs("div", { class: "value", children: [
    jsxs("p", { class: "as", children: [
      head.whole && jsxs(Fragment, { children: [
        jsx("button", { type: "button", class: "tab", "aria-pressed": !asTree, onClick: () => show(null), children: "text" }),
        jsx("button", { type: "button", class: "tab", "aria-pressed": asTree, onClick: () => show("tree"), children: "tree" })
      ] }),
      jsx("span", { children: head.whole ? `${grouped(head.bytes)} bytes` : "more than 1 MiB" })
    ] }),
    asTree ? rows && jsx(Tree, { name, rows, ask }) : jsx("pre", { tabIndex: 0, role: "region", "aria-label": name, children: safe(head.head) }),
    head.cut && !asTree && jsxs("p", { children: [
      "This is the beginning. To read the whole: ",
      pick ? jsx(Command, { text: `swarmkeeper task get ${task} ${subtask} --json` }) : jsx(Command, { text: `swarmkeeper task result ${task} ${subtask}` })
    ] })
  ] });
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
  return jsx(
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
      onKeyDown: press,
      children: jsx("div", { role: "none", style: { height: `${rows.total * ROW}px` }, children: jsx("div", { role: "none", style: { transform: `translateY(${rows.first * ROW}px)` }, children: rows.rows.map((row, offset) => {
        const number = rows.first + offset;
        return jsxs(
          "div",
          {
            id: `${id2}-${number}`,
            class: number === at ? "row chosen" : "row",
            role: "treeitem",
            "aria-level": row.depth + 1,
            "aria-posinset": row.place,
            "aria-setsize": row.of,
            "aria-expanded": row.size ? row.open : void 0,
            "aria-selected": number === at,
            style: { paddingInlineStart: `${Math.min(row.depth, 24) * 14 + 4}px` },
            onClick: () => ask({ rows: range(), to: number, act: "toggle" }),
            children: [
              jsx("span", { class: "twist", "aria-hidden": "true", children: row.size ? row.open ? "▾" : "▸" : "" }),
              row.key !== null && jsxs("b", { children: [
                safe(String(row.key)),
                ": "
              ] }),
              row.kind === "object" ? jsx("i", { children: `{${grouped(row.size)}}` }) : row.kind === "list" ? jsx("i", { children: `[${grouped(row.size)}]` }) : jsx("span", { class: `is-${row.kind}`, children: safe(row.text) })
            ]
          },
          number
        );
      }) }) })
    }
  );
}

// src/pages/task/trail.tsx
var LOOKS = { accept: { tone: "ok", word: "accept" }, rework: { tone: "hold", word: "rework" }, reject: { tone: "bad", word: "reject" } };
var Trail = ({ said: said2 }) => jsx("ol", { class: "trail", children: said2.map((each) => jsxs("li", { children: [
  jsxs("p", { children: [
    jsx(State, { look: LOOKS[each.decision ?? ""] ?? { tone: "plain", word: each.decision ?? "too long to list" } }),
    jsxs("span", { children: [
      "round ",
      each.round
    ] }),
    each.score !== null && jsx("span", { class: "num", children: each.score }),
    jsx("span", { children: safe(each.evaluator ?? "–") }),
    jsx(When, { time: each.at })
  ] }),
  each.reasons.map((reason, at) => jsx("p", { children: safe(reason) }, at)),
  each.findings.map((finding, at) => jsxs("p", { children: [
    jsx("b", { children: safe(finding.severity ?? "finding") }),
    finding.subtask && ` in ${safe(finding.subtask)}`,
    ": ",
    safe(finding.text ?? "")
  ] }, at)),
  each.feedback.map((feedback, at) => jsxs("p", { children: [
    "to do again in ",
    jsx("b", { children: safe(feedback.subtask) }),
    ": ",
    safe(feedback.text)
  ] }, at)),
  each.added.length > 0 && jsxs("p", { children: [
    "added ",
    each.added.map(safe).join(", ")
  ] })
] }, each.work_id)) });

// src/pages/task/inspector.tsx
var TEXT_MAX = 4e3;
function Inspector({ task, subtask, close }) {
  const reading = useRead(`subtask ${task} ${subtask}`, async () => {
    const [found2, said3] = await Promise.all([calls.subtask(task, subtask), subtask.includes("/") ? null : calls.verdicts(task, subtask)]);
    return { found: found2, said: said3?.items ?? [] };
  }, { on: ofTask(task), every: 1e4 });
  const [input, setInput] = useState(false), [audit, setAudit] = useState(false);
  const seen = reading.state.value;
  if (!seen.data) {
    return jsxs("aside", { class: "inspector", "aria-label": "Subtask", children: [
      jsxs("header", { children: [
        jsx("h2", { children: safe(subtask) }),
        jsx("button", { type: "button", class: "small", onClick: close, children: "Close" })
      ] }),
      seen.error ? jsx(Refused, { error: seen.error, what: "the subtask", stale: false, at: 0 }) : seen.slow ? jsx(Skeleton, { rows: 6 }) : null
    ] });
  }
  const { found, said: said2 } = seen.data;
  const after = found.depends_on.map((each) => safe(typeof each === "string" ? each : each.when === "success" ? each.key : `${each.key} (${each.when})`));
  return jsxs("aside", { class: "inspector", "aria-labelledby": "inspected", children: [
    jsxs("header", { children: [
      jsx("h2", { id: "inspected", children: safe(found.key) }),
      jsx(State, { look: lookOfItem(found.status) }),
      jsx("button", { type: "button", class: "small", onClick: close, children: "Close" })
    ] }),
    seen.error && jsx(Refused, { error: seen.error, what: "the subtask", stale: true, at: seen.at }),
    jsx("p", { class: "description", tabIndex: 0, children: safe(found.description.slice(0, TEXT_MAX)) }),
    jsxs("dl", { class: "facts", children: [
      jsxs("div", { children: [
        jsx("dt", { children: "needs" }),
        jsx("dd", { children: found.required_skills.map(safe).join(", ") || "–" })
      ] }),
      jsxs("div", { children: [
        jsx("dt", { children: "after" }),
        jsx("dd", { children: after.join(", ") || "–" })
      ] }),
      jsxs("div", { children: [
        jsx("dt", { children: "round" }),
        jsx("dd", { children: found.round })
      ] }),
      found.progress?.message && jsxs("div", { children: [
        jsx("dt", { children: "says" }),
        jsx("dd", { children: safe(found.progress.message) })
      ] })
    ] }),
    jsxs("section", { class: "card", children: [
      jsx("h3", { children: "Attempts" }),
      !found.attempts.length && jsx("p", { class: "none", children: "None has ended yet." }),
      jsx("ol", { class: "attempts", children: found.attempts.map((each) => jsxs("li", { children: [
        jsx("span", { children: each.attempt }),
        jsx(State, { look: lookOfEnding(each.ending) }),
        jsx("span", { children: safe(each.bot_name ?? each.bot) }),
        jsx("span", { children: span(Date.parse(each.ended_at) - Date.parse(each.started_at)) }),
        jsx("span", { children: money(each.usage?.cost_micro_usd) }),
        each.usage?.tokens !== void 0 && jsxs("span", { children: [
          grouped(each.usage.tokens),
          " tokens"
        ] }),
        jsxs("small", { children: [
          "from ",
          jsx(When, { time: each.started_at })
        ] }),
        (each.error?.message ?? each.reason) && jsx("p", { class: "error", children: safe((each.error?.message ?? each.reason ?? "").slice(0, TEXT_MAX)) })
      ] }, each.attempt)) })
    ] }),
    said2.length > 0 && jsxs("section", { class: "card", children: [
      jsx("h3", { children: "Verdicts" }),
      jsx(Trail, { said: said2 })
    ] }),
    !said2.length && found.verdict && jsxs("section", { class: "card", children: [
      jsxs("h3", { children: [
        "Verdict: ",
        safe(found.verdict.decision),
        found.verdict.score !== null && ` · ${found.verdict.score}`
      ] }),
      found.verdict.reasons.map((reason, at) => jsx("p", { children: safe(reason) }, at))
    ] }),
    jsxs("section", { class: "card", children: [
      jsx("h3", { children: "Output" }),
      !may("output.read") ? jsx(OffLimits, { what: "outputs", who: "a client, an operator, an approver or an admin" }) : found.output === null || found.output === void 0 ? jsx("p", { class: "none", children: "There is none." }) : found.kind === "execute" ? jsx(Payload, { task, subtask, name: "Output" }, found.ended_at) : jsx(Value, { value: found.output, name: "Output" })
    ] }),
    found.kind === "execute" && jsxs("section", { class: "card", children: [
      jsx("h3", { children: "Input" }),
      input ? jsx(Payload, { task, subtask, pick: "input", name: "Input" }) : jsx("button", { type: "button", class: "small", onClick: () => setInput(true), children: "Show the input" })
    ] }),
    jsxs("section", { class: "card", children: [
      jsx("h3", { children: "Audit" }),
      audit || !may("audit.read") ? jsx(AuditRecords, { id: task, item: found.id }) : jsx("button", { type: "button", class: "small", onClick: () => setAudit(true), children: "Show its audit records" })
    ] }),
    found.late_results?.map((each) => jsxs("section", { class: "card", children: [
      jsxs("h3", { children: [
        "Came too late: ",
        jsx(When, { time: each.received_at })
      ] }),
      jsx(Value, { value: each.content, name: "A result that came too late" })
    ] }, each.lease_id))
  ] });
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
  return jsx("div", { class: "stages", role: "group", "aria-label": "Stages of the plan", tabIndex: 0, children: columns.map((column, rank) => jsxs("div", { class: "stage", children: [
    jsx("span", { class: "rank", "aria-hidden": "true", children: rank + 1 }),
    [...column].sort(([a], [b]) => worse(lookOfItem(a).tone, lookOfItem(b).tone)).map(([status, count]) => {
      const look = lookOfItem(status);
      return jsx(
        "button",
        {
          type: "button",
          class: `block tone-${look.tone}`,
          style: { height: `${Math.max(22, 180 * count / tallest)}px` },
          "aria-label": `${grouped(count)} ${look.word} in stage ${rank + 1}`,
          title: `${grouped(count)} ${look.word}`,
          onClick: () => choose(status, rank),
          children: grouped(count)
        },
        status
      );
    })
  ] }, rank)) });
}

// src/pages/task/timeline.tsx

// src/pages/task/lanes.ts
var FOLD_PX = 28;
var FOLDS_PART = 0.3;
var LONG_MS = 2e3;
var LONG_PART = 1 / 8;
var LEAST_MS = 10;
function joined(spans) {
  const found = [];
  for (const { start, end } of [...spans].sort((a, b) => a.start - b.start)) {
    const last = found[found.length - 1];
    if (last && start <= last.end) last.end = Math.max(last.end, end);
    else found.push({ start, end });
  }
  return found;
}
function pieces(spans, from, to, width) {
  const end = Math.max(to, from + LEAST_MS);
  const busy = joined(spans.filter((each) => each.end >= from && each.start <= end).map((each) => ({ start: Math.max(from, each.start), end: Math.min(end, Math.max(each.end, each.start + 1)) })));
  const worked = busy.reduce((sum, each) => sum + each.end - each.start, 0);
  const long = Math.max(LONG_MS, worked * LONG_PART);
  const folds = [];
  let last = from;
  for (const each of [...busy, { start: end, end }]) {
    if (busy.length && each.start - last > long) folds.push({ start: last, end: each.start });
    last = each.end;
  }
  const fold = folds.length ? Math.min(FOLD_PX, width * FOLDS_PART / folds.length) : 0;
  const shown = end - from - folds.reduce((sum, each) => sum + each.end - each.start, 0);
  const rate = (width - fold * folds.length) / Math.max(shown, 1);
  const found = [];
  let x = 0;
  const add = (begin, until, folded2) => {
    if (until <= begin) return;
    const wide = folded2 ? fold : (until - begin) * rate;
    found.push({ from: begin, to: until, x, width: wide, folded: folded2 });
    x += wide;
  };
  last = from;
  for (const each of folds) {
    add(last, each.start, false);
    add(each.start, each.end, true);
    last = each.end;
  }
  add(last, end, false);
  return found;
}
function placeOf(all, time) {
  const piece = all.find((each) => time <= each.to) ?? all[all.length - 1];
  return piece.x + piece.width * Math.min(1, Math.max(0, (time - piece.from) / (piece.to - piece.from)));
}
function timeAt(all, x) {
  const piece = all.find((each) => x <= each.x + each.width) ?? all[all.length - 1];
  return piece.from + (piece.to - piece.from) * Math.min(1, Math.max(0, (x - piece.x) / piece.width));
}
var S = 1e3;
var M = 60 * S;
var H = 60 * M;
var D = 24 * H;
var STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, S, 2 * S, 5 * S, 10 * S, 15 * S, 30 * S, M, 2 * M, 5 * M, 10 * M, 15 * M, 30 * M, H, 2 * H, 3 * H, 6 * H, 12 * H, D, 2 * D, 7 * D, 14 * D, 28 * D];
function marks(all, room, clock2) {
  const end = all[all.length - 1].x + all[all.length - 1].width;
  const rate = Math.max(...all.map((each) => each.folded ? 0 : each.width / (each.to - each.from)));
  const step = STEPS.find((each) => each * rate >= room) ?? STEPS[STEPS.length - 1];
  const found = [];
  let free = 0, day = "";
  const add = (time, exact) => {
    const x = placeOf(all, time);
    if (x < free || x + room * 0.7 > end) return;
    const at = clock2(time), rest = time % S / S;
    const clockTime = step < S && rest ? `${at.time}${rest.toFixed(3).slice(1).replace(/0+$/, "")}` : step < M || exact ? at.time : at.time.slice(0, 5);
    const label = step >= D ? at.day : at.day !== day && found.length ? `${at.day} ${clockTime}` : clockTime;
    day = at.day;
    free = x + Math.max(room, label.length * 7);
    found.push({ time, x, label });
  };
  for (const piece of all) {
    if (piece.folded) continue;
    const offset = clock2(piece.from).offset;
    let time = Math.ceil((piece.from + offset) / step) * step - offset;
    if (piece !== all[0] && (time > piece.to || placeOf(all, time) > piece.x + room)) add(piece.from, true);
    for (; time <= piece.to; time += step) add(time, false);
  }
  if (!found.length) add(all[0].from, true);
  return found;
}
function packed(bars, width, least) {
  const found = [];
  let free = 0;
  for (const { x, width: wide } of bars) {
    const begin = Math.max(x, free);
    found.push({ x: begin, width: Math.max(least, x + wide - begin) });
    free = begin + found[found.length - 1].width;
  }
  free = width;
  for (let at = found.length - 1; at >= 0 && found[at].x + found[at].width > free; at--) {
    const box = found[at];
    box.width = Math.max(least, Math.min(box.width, free - box.x));
    box.x = Math.max(0, free - box.width);
    free = box.x;
  }
  return found;
}
function roomFor(bars, width, wanted, gap = 6) {
  const free = [];
  let last = 0;
  for (const bar of [...bars, { x: width, width: 0 }]) {
    const begin = last + (last ? gap : 0), end = bar.x - (bar.x < width ? gap : 0);
    free.push({ x: begin, width: end - begin });
    last = bar.x + bar.width;
  }
  const behind = free[free.length - 1];
  if (behind.width >= Math.min(wanted, 120)) return behind;
  const widest = free.reduce((a, b) => b.width > a.width ? b : a);
  return widest.width >= 40 ? widest : null;
}

// src/pages/task/timeline.tsx
var ROW2 = 26;
var BAR = 12;
var BEYOND2 = 6;
var PAGE = 200;
var LETTER_PX = 7;
var ms = (time) => Date.parse(time);
function clock(time) {
  const [date = "", month = "", at = "", zone = ""] = moment(new Date(time).toISOString()).split(" ");
  const [, sign, hours, minutes] = /UTC(?:([+−])(\d+)(?::(\d+))?)?/.exec(zone) ?? [];
  return { day: `${date} ${month}`, time: at, zone, offset: (sign === "−" ? -1 : 1) * (Number(hours ?? 0) * 60 + Number(minutes ?? 0)) * 6e4 };
}
var toneOf = (lane, bar) => bar.ending === null ? "run" : bar.ending === "succeeded" && lane.kind !== "execute" ? "eye" : lookOfEnding(bar.ending).tone;
var nameOf = (lane) => lane.kind === "execute" ? lane.key : lane.work_id;
function Timeline({ id: id2, query, set }) {
  const wanted = useRef({ pages: 1, first: 0, last: 0 });
  const reading = useRead(`timeline ${id2}`, async (before) => {
    const { pages: count, first, last } = wanted.current;
    const pages2 = [...before?.pages ?? []];
    for (let at = 0; at < count; at++) {
      const token = at ? pages2[at - 1].next_page_token : "";
      if (at && !token) break;
      if (at >= pages2.length || at >= first && at <= last || at === pages2.length - 1) pages2[at] = await calls.timeline(id2, token);
    }
    const newest = Math.max(...pages2.map((each) => ms(each.now)));
    return { pages: pages2, ahead: newest - Date.now() };
  }, { on: ofTask(id2) });
  const seen = reading.state.value;
  if (!seen.data) return jsx(Trouble, { read: seen, what: "the timeline" });
  const { pages, ahead } = seen.data, more = pages[pages.length - 1].next_page_token !== "";
  const lanes = pages.flatMap((each) => each.items).filter((each) => query.get("only") !== "FAILED" || each.status === "FAILED");
  function inView(first, last) {
    const page = Math.floor(last / PAGE);
    wanted.current = { pages: wanted.current.pages, first: Math.floor(first / PAGE), last: page };
    if (more && last >= lanes.length - 1 && wanted.current.pages === pages.length) {
      wanted.current.pages++;
      void reading.again();
    }
  }
  return jsxs(Fragment, { children: [
    jsx(Trouble, { read: seen, what: "the timeline" }),
    query.get("only") === "FAILED" && jsxs("p", { class: "only", children: [
      "Only failed: ",
      lanes.length,
      ". ",
      jsx("button", { type: "button", class: "small", onClick: () => set({ only: null }), children: "Show all" })
    ] }),
    lanes.length ? jsx(Chart, { lanes, begun: ms(pages[0].created_at), updated: ms(pages[0].updated_at), ahead, more, query, set, inView }) : jsx("p", { class: "none pad", children: "There are no lanes." })
  ] });
}
function Chart({ lanes, begun, updated, ahead, more, query, set, inView }) {
  const box = useRef(null), side = useRef(null);
  const [width, setWidth] = useState(600);
  const [view, setView] = useState([0, 40]);
  const [drag, setDrag] = useState(null);
  const [active, setActive] = useState(0);
  const runs = lanes.some((each) => each.bars.some((bar) => bar.end === null) || each.waits.some((wait) => wait.end === null));
  const now2 = runs ? Math.max(clockNow.value + ahead, updated) : updated;
  const ends = lanes.flatMap((each) => each.bars.map((bar) => bar.end ? ms(bar.end) : now2));
  const whole = [begun, Math.max(begun + LEAST_MS, runs ? now2 : Math.max(...ends, begun))];
  const asked = [query.get("from"), query.get("to")].map((each) => ms(each ?? ""));
  const zoomed = asked.every((each) => !Number.isNaN(each)) && asked[0] < asked[1];
  const [from, to] = zoomed ? asked : whole;
  const all = useMemo(() => pieces(lanes.flatMap((each) => each.bars.map((bar) => ({ start: ms(bar.start), end: bar.end ? ms(bar.end) : now2 }))), from, to, width), [lanes, from, to, width, now2]);
  const chosen = query.get("subtask"), chosenAt = lanes.findIndex((each) => nameOf(each) === chosen);
  function look() {
    const element = box.current;
    if (!element) return;
    const first2 = Math.max(0, Math.floor(element.scrollTop / ROW2) - BEYOND2), last2 = Math.ceil((element.scrollTop + element.clientHeight) / ROW2) + BEYOND2;
    setView((before) => before[0] === first2 && before[1] === last2 ? before : [first2, last2]);
    setWidth(Math.max(80, element.clientWidth - side.current.offsetWidth - 12));
    inView(first2, last2);
  }
  useLayoutEffect(look, [lanes.length]);
  useEffect(() => {
    const resized = new ResizeObserver(look);
    resized.observe(box.current);
    return () => resized.disconnect();
  });
  const bring = (at) => {
    const element = box.current;
    if (at * ROW2 < element.scrollTop) element.scrollTop = at * ROW2;
    else if ((at + 1) * ROW2 > element.scrollTop + element.clientHeight) element.scrollTop = (at + 1) * ROW2 - element.clientHeight;
  };
  useEffect(() => {
    if (chosenAt >= 0) {
      setActive(chosenAt);
      bring(chosenAt);
    }
  }, [chosenAt]);
  const zoom = (begin, end) => {
    const least = Math.max(whole[0], Math.min(begin, end)), most = Math.min(whole[1], Math.max(begin, end));
    if (most - least < LEAST_MS) return;
    set(least <= whole[0] && most >= whole[1] ? { from: null, to: null } : { from: new Date(least).toISOString(), to: new Date(most).toISOString() });
  };
  const nearer = (part) => zoom(timeAt(all, width * part), timeAt(all, width * (1 - part)));
  const farther = () => zoom(from - (to - from) / 2, to + (to - from) / 2);
  const along = (part) => {
    const by = Math.max(whole[0] - from, Math.min(whole[1] - to, (to - from) * part));
    if (zoomed) zoom(from + by, to + by);
  };
  useKeys({
    0: { does: "fit the timeline into view", run: () => set({ from: null, to: null }) },
    "+": { does: "zoom in", run: () => nearer(0.25) },
    "-": { does: "zoom out", run: farther },
    ArrowLeft: { does: "earlier", run: () => along(-0.25) },
    ArrowRight: { does: "later", run: () => along(0.25) }
  });
  function move(event, at) {
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: lanes.length - 1, PageDown: at + 10, PageUp: at - 10 }[event.key];
    if (next === void 0) return;
    event.preventDefault();
    const to2 = Math.max(0, Math.min(lanes.length - 1, next));
    setActive(to2);
    bring(to2);
    look();
    const focus = () => {
      const lane = box.current?.querySelector(`[data-lane="${to2}"]`);
      lane?.focus();
      return lane;
    };
    if (!focus()) requestAnimationFrame(focus);
  }
  const placeIn = (event) => event.clientX - event.currentTarget.getBoundingClientRect().left;
  const first = Math.min(view[0], lanes.length), last = Math.min(view[1], lanes.length);
  const shown = lanes.slice(first, last);
  const stop = active >= first && active < last ? active : first;
  const folds = all.filter((each) => each.folded);
  const begins = clock(from);
  return jsxs("div", { class: "timeline", children: [
    jsxs("div", { class: "axis", children: [
      jsxs("span", { children: [
        begins.day,
        ", ",
        begins.zone
      ] }),
      jsx("svg", { width, height: "22", "aria-hidden": "true", children: marks(all, 84, clock).map((mark) => jsxs("g", { transform: `translate(${mark.x} 0)`, children: [
        jsx("path", { d: "M0 15v7", class: "tick" }),
        jsx("text", { x: "0", y: "12", children: mark.label })
      ] }, mark.time)) })
    ] }),
    jsxs("div", { class: "lanes", ref: box, onScroll: look, children: [
      jsx("div", { class: "side", ref: side, style: { height: `${lanes.length * ROW2}px` }, children: jsx("ul", { "aria-label": "Lanes", style: { transform: `translateY(${first * ROW2}px)` }, children: shown.map((lane, offset) => {
        const at = first + offset, name = nameOf(lane), look2 = lookOfItem(lane.status);
        return jsx("li", { "aria-setsize": more ? -1 : lanes.length, "aria-posinset": at + 1, children: jsxs(
          "button",
          {
            type: "button",
            class: "lane",
            "data-lane": at,
            tabIndex: at === stop ? 0 : -1,
            "aria-pressed": name === chosen,
            "aria-label": said(lane, look2.word),
            title: safe(lane.key),
            onFocus: () => setActive(at),
            onClick: () => set({ subtask: name }),
            onKeyDown: (event) => move(event, at),
            children: [
              jsx(Glyph, { tone: look2.tone }),
              jsx("span", { class: lane.kind === "execute" ? "" : "aside", children: safe(lane.key) })
            ]
          }
        ) }, lane.work_id);
      }) }) }),
      jsxs(
        "svg",
        {
          class: "chart",
          width,
          height: lanes.length * ROW2,
          "aria-hidden": "true",
          onPointerDown: (event) => {
            if (event.button === 0) {
              event.currentTarget.setPointerCapture(event.pointerId);
              setDrag([placeIn(event), placeIn(event)]);
            }
          },
          onPointerMove: (event) => {
            if (drag) setDrag([drag[0], Math.max(0, Math.min(width, placeIn(event)))]);
          },
          onPointerCancel: () => setDrag(null),
          onPointerUp: (event) => {
            if (!drag) return;
            setDrag(null);
            if (Math.abs(drag[1] - drag[0]) > 4) {
              zoom(timeAt(all, drag[0]), timeAt(all, drag[1]));
              return;
            }
            const lane = lanes[Math.floor((event.clientY - event.currentTarget.getBoundingClientRect().top) / ROW2)];
            if (lane) set({ subtask: nameOf(lane) });
          },
          children: [
            jsx("defs", { children: jsx("pattern", { id: "fold", width: "6", height: "6", patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)", children: jsx("path", { d: "M0 0v6", class: "hatch" }) }) }),
            folds.map((each) => jsx("rect", { x: each.x, width: each.width, y: first * ROW2, height: shown.length * ROW2, fill: "url(#fold)", children: jsx("title", { children: `Nothing happened for ${span(each.to - each.from)}.` }) }, each.from)),
            shown.map((lane, offset) => jsx(Drawn, { lane, y: (first + offset) * ROW2, all, from, to, now: now2, width, chosen: nameOf(lane) === chosen }, lane.work_id)),
            drag && jsx("rect", { class: "brush", x: Math.min(...drag), width: Math.abs(drag[1] - drag[0]), y: first * ROW2, height: shown.length * ROW2 })
          ]
        }
      )
    ] }),
    jsxs("p", { class: "foot", children: [
      span(to - from),
      folds.length > 0 && `, of which ${span(folds.reduce((sum, each) => sum + each.to - each.from, 0))} without work folded`,
      zoomed && jsxs(Fragment, { children: [
        " · ",
        jsx("button", { type: "button", class: "small", onClick: () => set({ from: null, to: null }), children: "Show all the time" })
      ] }),
      jsx("span", { class: "legend", children: ["ok", "bad", "eye", "hold", "run"].map((tone) => jsxs("span", { class: `tone-${tone}`, children: [
        jsx("i", {}),
        LEGEND[tone]
      ] }, tone)) })
    ] })
  ] });
}
var LEGEND = { ok: "done", bad: "failed", eye: "plan, review", hold: "asked or put off", run: "running" };
function said(lane, status) {
  const count = lane.bars.length + lane.bars_left_out, error = errorOf(lane);
  return `${safe(lane.key)}: ${status}, ${count} ${count === 1 ? "attempt" : "attempts"}${error && `, ${error}`}`;
}
function errorOf(lane) {
  const last = lane.bars.filter((bar) => bar.ending !== null).pop();
  return last && last.ending !== "succeeded" ? safe(last.error?.message ?? "") : "";
}
function inWords(bar, now2) {
  const took = span((bar.end ? ms(bar.end) : now2) - ms(bar.start));
  return safe(`Attempt ${bar.attempt}, round ${bar.round}${bar.bot ? ` by ${bar.bot}` : ""}: ${bar.ending === null ? "running" : lookOfEnding(bar.ending).word}, ${took}, from ${moment(bar.start)}${bar.error?.message ? `: ${bar.error.message}` : ""}`);
}
function Drawn({ lane, y, all, from, to, now: now2, width, chosen }) {
  const visible = lane.bars.filter((bar) => ms(bar.start) <= to && (bar.end ? ms(bar.end) : now2) >= from);
  const boxes = packed(visible.map((bar) => {
    const x = placeOf(all, ms(bar.start));
    return { x, width: placeOf(all, bar.end ? ms(bar.end) : now2) - x };
  }), width, 3);
  const error = errorOf(lane), newest = Math.max(lane.round, ...lane.bars.map((bar) => bar.round));
  const room = error ? roomFor(boxes, width, error.length * LETTER_PX) : null;
  const letters = room ? Math.floor(room.width / LETTER_PX) : 0;
  return jsxs("g", { transform: `translate(0 ${y})`, children: [
    jsx("rect", { class: chosen ? "row chosen" : "row", width, height: ROW2 }),
    lane.waits.map((wait) => {
      const x = placeOf(all, ms(wait.start)), end = placeOf(all, wait.end ? ms(wait.end) : now2);
      return end > x && jsx("path", { class: `wait ${wait.after === "asked" ? "tone-hold" : "tone-wait"}`, d: `M${x} ${ROW2 / 2}H${end}` }, wait.start);
    }),
    visible.map((bar, at) => jsx("rect", { class: `attempt tone-${toneOf(lane, bar)} ${bar.round < newest ? "before" : ""}`, x: boxes[at].x, width: boxes[at].width, y: (ROW2 - BAR) / 2, height: BAR, rx: "2", children: jsx("title", { children: inWords(bar, now2) }) }, bar.attempt)),
    room && jsx("svg", { x: room.x, width: room.width, height: ROW2, class: chosen ? "chosen" : "", children: jsx("text", { class: "why-not", y: ROW2 / 2 + 4, children: error.length > letters ? `${error.slice(0, letters - 1)}…` : error }) })
  ] });
}

// src/pages/task/plan.tsx
var VIEWS = ["graph", "table", "timeline"];
function Plan({ id: id2, subtasks, query, set }) {
  const nodes = useMemo(() => nodesOf(subtasks), [subtasks]), edges = useMemo(() => edgesOf(subtasks), [subtasks]);
  const only = query.get("only"), chosen = query.get("subtask") ?? void 0, fit = query.get("fit") === "1";
  const view = query.get("view") ?? (!edges.length && subtasks.length > 3 ? "table" : "graph");
  const asGraph = subtasks.length <= GRAPH_MAX;
  const show = (next) => set({ view: next, only: null, rank: null });
  useKeys({
    v: { does: "next view of the plan", run: () => show(VIEWS[(VIEWS.indexOf(view) + 1) % VIEWS.length]) },
    "!": { does: "failed subtasks only", run: () => set({ view: view === "graph" ? "table" : view, only: only === "FAILED" ? null : "FAILED", rank: null }) },
    ...view === "graph" && asGraph ? { 0: { does: "fit the graph into view", run: () => set({ fit: fit ? null : "1" }) } } : {}
  });
  return jsxs("section", { class: "plan", "aria-label": "Plan", children: [
    jsxs("div", { class: "views", children: [
      VIEWS.map((each) => jsx("button", { type: "button", class: "tab", "aria-pressed": each === view, onClick: () => show(each), children: each === "graph" && !asGraph ? "stages" : each }, each)),
      jsxs("span", { children: [
        grouped(subtasks.length),
        " ",
        subtasks.length === 1 ? "subtask" : "subtasks",
        edges.length > 0 && `, ${grouped(edges.length)} ${edges.length === 1 ? "edge" : "edges"}`
      ] }),
      view === "graph" && asGraph && edges.length > 0 && jsx("span", { class: "legend", children: "solid: needs success · dashed: needs an end" })
    ] }),
    view === "timeline" ? jsx(Timeline, { id: id2, query, set }) : !subtasks.length ? jsx("p", { class: "none pad", children: "There is no plan yet." }) : view === "table" ? jsx(Table, { subtasks, query, set }) : asGraph ? jsx(Graph, { nodes, edges, chosen, fit, choose: (key) => set({ subtask: key }), label: "Graph of the plan" }) : jsx(Stages, { nodes, edges, choose: (status, rank) => set({ view: "table", only: status, rank: String(rank + 1) }) })
  ] });
}
var SHOWN_MAX = 500;
function fitting(subtasks, only, rank) {
  const ranks = rank ? ranked(subtasks.map((each) => each.key), edgesOf(subtasks)) : [];
  return subtasks.filter((each, at) => (!only || each.status === only) && (!rank || String(ranks[at] + 1) === rank)).sort((a, b) => worse(lookOfItem(a.status).tone, lookOfItem(b.status).tone));
}
function Table({ subtasks, query, set }) {
  const only = query.get("only"), rank = query.get("rank"), chosen = query.get("subtask");
  const found = useMemo(() => fitting(subtasks, only, rank), [subtasks, only, rank]), shown = found.slice(0, SHOWN_MAX);
  return jsxs("div", { class: "scroll-x", tabIndex: 0, role: "region", "aria-label": "Subtasks", children: [
    (only || rank) && jsxs("p", { class: "only", children: [
      "Only ",
      only && jsx(State, { look: lookOfItem(only) }),
      rank && ` in stage ${rank}`,
      ": ",
      grouped(found.length),
      ".",
      " ",
      jsx("button", { type: "button", class: "small", onClick: () => set({ only: null, rank: null }), children: "Show all" })
    ] }),
    jsxs("table", { class: "subtasks", children: [
      jsx("thead", { children: jsxs("tr", { children: [
        jsx("th", { scope: "col", children: "State" }),
        jsx("th", { scope: "col", children: "Subtask" }),
        jsx("th", { scope: "col", children: "Needs" }),
        jsx("th", { scope: "col", children: "Bot" }),
        jsx("th", { scope: "col", children: "Try" }),
        jsx("th", { scope: "col", children: "Took" }),
        jsx("th", { scope: "col", children: "Error" })
      ] }) }),
      jsx("tbody", { children: shown.map((each) => jsxs("tr", { class: each.key === chosen ? "chosen" : "", children: [
        jsx("td", { children: jsx(State, { look: lookOfItem(each.status) }) }),
        jsx("th", { scope: "row", children: jsx("button", { type: "button", class: "link", onClick: () => set({ subtask: each.key }), children: safe(each.key) }) }),
        jsx("td", { children: each.required_skills.map(safe).join(", ") }),
        jsx("td", { children: safe(each.bot ?? "–") }),
        jsx("td", { children: each.attempt || "–" }),
        jsx("td", { children: each.started_at && each.ended_at ? span(Date.parse(each.ended_at) - Date.parse(each.started_at)) : each.started_at && each.status === "LEASED" ? jsx(Ago, { time: each.started_at }) : "–" }),
        jsx("td", { class: "error", children: safe((each.cause?.message ?? "").slice(0, 200)) })
      ] }, each.key)) })
    ] }),
    found.length > shown.length && jsxs("p", { class: "pad none", children: [
      grouped(found.length - shown.length),
      " more are not shown."
    ] })
  ] });
}

// src/pages/task/results.tsx
var LISTED_MAX2 = 200;
function Results({ task, subtasks }) {
  const reading = useRead(`verdicts ${task.id}`, () => calls.verdicts(task.id), { on: ofTask(task.id) });
  const seen = reading.state.value, said2 = (seen.data?.items ?? []).filter((each) => each.subject === null);
  const ready = task.result ? Object.keys(task.result) : subtasks.filter((each) => each.status === "SUCCEEDED").map((each) => each.key);
  return jsxs("section", { class: "results", "aria-label": "Results", children: [
    (said2.length > 0 || seen.error) && jsxs("section", { class: "card", children: [
      jsx("h3", { children: "Verdicts on the task" }),
      jsx(Trouble, { read: seen, what: "the verdicts" }),
      jsx(Trail, { said: said2 })
    ] }),
    !may("output.read") ? jsx(OffLimits, { what: "outputs", who: "a client, an operator, an approver or an admin" }) : jsxs("section", { class: "card", children: [
      jsx("h3", { children: task.result ? "Result" : "Outputs so far: the result is there when all is done" }),
      !ready.length && jsx("p", { class: "none", children: "There are none yet." }),
      ready.slice(0, LISTED_MAX2).map((key, at) => jsx(Output, { task: task.id, subtask: key, open: at === 0 }, key)),
      ready.length > LISTED_MAX2 && jsxs("p", { class: "none", children: [
        ready.length - LISTED_MAX2,
        " more: choose them in the plan."
      ] })
    ] })
  ] });
}
function Output({ task, subtask, open: begins }) {
  const [open, setOpen] = useState(begins);
  return jsxs("details", { open, onToggle: (event) => setOpen(event.currentTarget.open), children: [
    jsx("summary", { children: jsx("b", { children: safe(subtask) }) }),
    open && jsx(Payload, { task, subtask, name: `Output of ${subtask}` })
  ] });
}

// src/pages/task/why.tsx
var ROWS_MAX = 6;
var inWords2 = (word) => word.replaceAll("_", " ");
function folded(waiting, reasons) {
  const groups = /* @__PURE__ */ new Map();
  for (const each of waiting) {
    const like = each.reason === "dependency" || each.reason === "leased" ? each.reason : `${each.reason} ${each.fix ?? each.detail}`;
    groups.set(like, [...groups.get(like) ?? [], each]);
  }
  const ofReason = /* @__PURE__ */ new Map();
  for (const [first] of groups.values()) ofReason.set(first.reason, (ofReason.get(first.reason) ?? 0) + 1);
  return [...groups].map(([like, items]) => ({ like, items, count: ofReason.get(items[0].reason) === 1 ? reasons[items[0].reason] ?? items.length : items.length }));
}
var Name = ({ item: { kind, key }, choose }) => kind === "execute" ? jsx("button", { type: "button", class: "link", onClick: () => choose(key), children: safe(key) }) : jsx("b", { children: safe(key || kind) });
function Why({ task, choose }) {
  const [all, setAll] = useState(false);
  const { explanation, failure } = task;
  if (task.outcome !== null) {
    if (!failure) return null;
    const { cause } = failure;
    return jsxs("section", { class: "why bad", "aria-labelledby": "why-head", children: [
      jsxs("h2", { id: "why-head", children: [
        "Why it failed: ",
        inWords2(failure.code)
      ] }),
      failure.detail && jsx("p", { children: safe(failure.detail) }),
      cause && jsxs("p", { children: [
        jsx(Name, { item: cause, choose }),
        cause.attempt ? `, attempt ${cause.attempt}` : "",
        cause.bot && ` by ${safe(cause.bot)}`,
        ": ",
        jsx("span", { class: "error", children: safe(cause.message) })
      ] }),
      failure.fix && jsx(Command, { text: failure.fix })
    ] });
  }
  if (!explanation?.waiting.length) return null;
  const rows = folded(explanation.waiting, explanation.reasons);
  return jsxs("section", { class: "why", "aria-labelledby": "why-head", children: [
    jsxs("h2", { id: "why-head", children: [
      "Why it is not done: ",
      Object.entries(explanation.reasons).map(([reason, count]) => `${grouped(count)} ${inWords2(reason)}`).join(" · ")
    ] }),
    jsx("ul", { children: rows.slice(0, all ? rows.length : ROWS_MAX).map(({ like, items, count }) => {
      const first = items[0];
      return jsxs("li", { children: [
        jsxs("span", { children: [
          jsx(Name, { item: first, choose }),
          count > 1 && ` and ${grouped(count - 1)} more`
        ] }),
        jsx(State, { look: first.kind === "task" ? lookOfTask({ status: String(first.status), outcome: null, holds: [] }) : lookOfItem(first.status) }),
        jsxs("span", { children: [
          safe(first.detail),
          first.since && jsxs(Fragment, { children: [
            " · for ",
            since(first.since, now.value)
          ] }),
          first.until && jsxs(Fragment, { children: [
            ", at most until ",
            jsx(When, { time: first.until })
          ] }),
          first.fix && jsx("div", { children: jsx(Command, { text: first.fix }) })
        ] })
      ] }, like);
    }) }),
    rows.length > ROWS_MAX && !all && jsxs("p", { class: "none", children: [
      grouped(rows.slice(ROWS_MAX).reduce((sum, row) => sum + row.count, 0)),
      " more wait for other reasons. ",
      jsx("button", { type: "button", class: "small", onClick: () => setAll(true), children: "Show all" })
    ] })
  ] });
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
  const to = (changes) => {
    const next = new URLSearchParams(query);
    for (const [name, value] of Object.entries(changes)) if (value === null) next.delete(name);
    else next.set(name, value);
    return written(["tasks", id2], next);
  };
  const set = (changes) => go(to(changes), true);
  const task = seen.data?.task, subtasks = seen.data?.subtasks ?? [];
  const step = (by) => {
    const at = subtasks.findIndex((each) => each.key === chosen);
    const next = subtasks[Math.max(0, Math.min(at + by, subtasks.length - 1))];
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
  const beside = chosen !== void 0 && jsx(Inspector, { task: id2, subtask: chosen, close: () => set({ subtask: null }) }, chosen);
  if (!task) return jsxs("div", { class: `task ${chosen ? "with-subtask" : ""}`, children: [
    jsxs("div", { class: "whole pad", children: [
      jsx("h1", { class: "hidden-text", children: "Task" }),
      jsx(Trouble, { read: seen, what: "the task" })
    ] }),
    !seen.error && beside
  ] });
  const approval = task.holds.find((hold) => hold.startsWith("apr_"));
  const { done, total } = task.progress;
  return jsxs("div", { class: `task ${chosen ? "with-subtask" : ""}`, children: [
    jsxs("div", { class: "whole", children: [
      jsxs("header", { class: "task-head", children: [
        jsxs("div", { class: "title", children: [
          jsx("h1", { children: safe(task.title) }),
          " ",
          jsx(State, { look: lookOfTask(task) })
        ] }),
        jsxs("div", { class: "acts", children: [
          approval && jsx("a", { class: "button main", href: written(["inbox"], new URLSearchParams({ approval })), children: "Decide…" }),
          offers.map((each) => jsx(Act, { action: each.action, kind: each.kind, busy, keys: each.key, run: each.run, children: each.name }, each.name))
        ] }),
        jsxs("p", { class: "facts-line", children: [
          grouped(done),
          " of ",
          grouped(total),
          " done",
          task.progress.failed > 0 && `, ${grouped(task.progress.failed)} failed`,
          " · round ",
          task.round,
          " of ",
          task.max_rounds,
          task.usage.cost_micro_usd !== void 0 && ` · ${money(task.usage.cost_micro_usd)}`,
          " · ",
          grouped(task.usage.tokens ?? 0),
          " tokens · priority ",
          task.priority,
          " ",
          "· submitted ",
          jsx(When, { time: task.created_at }),
          " · ",
          jsx("code", { children: task.id })
        ] }),
        Object.keys(task.labels).length > 0 && jsx("p", { class: "labels", children: jsx(Labels, { labels: task.labels }) }),
        task.description && jsx("p", { class: "description", tabIndex: 0, children: safe(task.description.slice(0, 2e3)) }),
        problem && jsx(NotDone, { error: problem })
      ] }),
      seen.error && jsx(Trouble, { read: seen, what: "the task" }),
      jsx(Why, { task, choose: (subtask) => set({ subtask }) }),
      jsx("nav", { class: "tabs", "aria-label": "Of this task", children: TABS.map((each, at) => jsx("a", { class: "tab", href: to({ tab: at ? each : null }), "aria-current": each === tab ? "page" : void 0, children: each }, each)) }),
      tab === "results" ? jsx(Results, { task, subtasks }) : tab === "events" ? jsx(Events, { id: id2 }) : tab === "audit" ? jsx(AuditRecords, { id: id2 }) : tab === "messages" ? jsx(Messages, { id: id2 }) : jsx(Plan, { id: id2, subtasks, query, set })
    ] }),
    beside,
    asking && jsx(
      Ask,
      {
        verb: asking,
        task,
        close: () => setAsking(null),
        run: (reason) => steer(asking, reason),
        change: (changes) => void run("change", () => calls.change(id2, changes))
      }
    )
  ] });
}
export {
  TaskPage
};
