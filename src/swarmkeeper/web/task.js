// src/pages/task.tsx
import { useState as useState8 } from "./app.js";
import { api as api2, ApiError as ApiError3 } from "./app.js";
import { useKeys as useKeys4 } from "./app.js";
import { connection, ofTask as ofTask5, say as say2, useRead as useRead5 } from "./app.js";
import { Act as Act2, Labels, NotDone as NotDone2, State as State5, Trouble as Trouble4, When as When5 } from "./app.js";
import { go as go2, route as route2, written as written2 } from "./app.js";
import { may as may4 } from "./app.js";
import { grouped as grouped7, lookOfTask as lookOfTask2, money as money3, safe as safe9 } from "./app.js";

// src/pages/task/ask.tsx
import { useState } from "./app.js";
import { useKeys } from "./app.js";
import { Dialog } from "./app.js";
import { money } from "./app.js";
import { jsx, jsxs } from "./app.js";
function Ask({ verb, task, close, run, change }) {
  useKeys({ Escape: { does: "", run: close } }, true);
  return verb === "change" ? /* @__PURE__ */ jsx(Change, { task, close, change }) : /* @__PURE__ */ jsx(Reason, { verb, close, run });
}
function Reason({ verb, close, run }) {
  const [reason, setReason] = useState("");
  const name = `${verb[0].toUpperCase()}${verb.slice(1)}`;
  return /* @__PURE__ */ jsx(Dialog, { title: `${name} this task?`, close, children: /* @__PURE__ */ jsxs("form", { class: "reason", onSubmit: (event) => {
    event.preventDefault();
    run(reason.trim());
  }, children: [
    /* @__PURE__ */ jsx("label", { for: "why", children: "Reason (kept in the audit log)" }),
    /* @__PURE__ */ jsx("textarea", { id: "why", autofocus: true, rows: 3, value: reason, onInput: (event) => setReason(event.currentTarget.value) }),
    /* @__PURE__ */ jsxs("button", { type: "submit", class: "danger", children: [
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
  const field = (name, label, least, most, note = "") => /* @__PURE__ */ jsxs("p", { children: [
    /* @__PURE__ */ jsx("label", { for: `set-${name}`, children: label }),
    /* @__PURE__ */ jsx("input", { id: `set-${name}`, autofocus: name === "priority", type: "number", required: true, min: least, max: most, step: 1, value: now2[name], onInput: (event) => setNow({ ...now2, [name]: event.currentTarget.value }) }),
    note && /* @__PURE__ */ jsx("small", { children: note })
  ] }, name);
  return /* @__PURE__ */ jsx(Dialog, { title: "Change this task", close, children: /* @__PURE__ */ jsxs("form", { class: "reason", onSubmit: (event) => {
    event.preventDefault();
    send();
  }, children: [
    field("priority", "Priority (0 to 9; 9 goes first)", 0, 9),
    limits.map(([name]) => field(name, `Limit: ${NAMES[name]}`, 1, Number.MAX_SAFE_INTEGER, `${name === "cost_micro_usd" ? `${money(Number(now2[name]) || 0)}; ` : ""}used ${name === "cost_micro_usd" ? money(task.budget?.spent[name] ?? 0) : task.budget?.spent[name] ?? 0}`)),
    !limits.length && /* @__PURE__ */ jsx("p", { class: "none", children: "It has no budget that could be changed." }),
    /* @__PURE__ */ jsx("button", { type: "submit", class: "main", disabled: !changed.length, children: "Change the task" })
  ] }) });
}

// src/pages/task/calls.ts
import { act, api, call, get } from "./app.js";
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
  subtask: (task, key) => get(`tasks/${id(task)}/subtasks/${id(key)}`),
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
import { useState as useState2 } from "./app.js";
import { ApiError } from "./app.js";
import { ofTask, pending, say, useRead } from "./app.js";
import { Act, NotDone, Trouble, Value, When } from "./app.js";
import { may } from "./app.js";
import { grouped, safe, shortId } from "./app.js";
import { jsx as jsx2, jsxs as jsxs2 } from "./app.js";
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
  const [older, setOlder] = useState2(null);
  const [problem, setProblem] = useState2(null);
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
  return /* @__PURE__ */ jsxs2("section", { class: "feed", "aria-label": name, children: [
    /* @__PURE__ */ jsx2(Trouble, { read: seen, what }),
    seen.data && !items.length && /* @__PURE__ */ jsx2("p", { class: "none", children: "There are none yet." }),
    /* @__PURE__ */ jsx2("ol", { children: items.map(row) }),
    problem && /* @__PURE__ */ jsx2(NotDone, { error: problem }),
    token && /* @__PURE__ */ jsx2("button", { type: "button", class: "small", onClick: () => void more(), children: "Show older" })
  ] });
}
var FOR_PROGRAMS = ["task_id", "audit_id", "work_id", "sha256", "bytes", "lease_id", "tries"];
function about(data) {
  return Object.entries(data).filter(([name, value]) => !FOR_PROGRAMS.includes(name) && value !== null && typeof value !== "object" && !(name === "actor" && value === data.bot)).map(([name, value]) => `${name.replaceAll("_", " ")} ${shortId(String(value).slice(0, 80))}`).join(" · ");
}
var Events = ({ id: id2 }) => /* @__PURE__ */ jsx2(Feed, { name: "Events", id: id2, what: "the events", read: (asked) => calls.events(id2, asked), place: (each) => each.id, row: (each) => /* @__PURE__ */ jsxs2("li", { children: [
  /* @__PURE__ */ jsx2(When, { time: each.time }),
  /* @__PURE__ */ jsx2("b", { children: safe(each.type.replace(/^io\.swarmkeeper\./, "").replace(/\.v\d+$/, "")) }),
  /* @__PURE__ */ jsx2("span", { children: safe(about(each.data)) })
] }, each.id) });
function AuditRecords({ id: id2 }) {
  if (!may("audit.read")) return /* @__PURE__ */ jsx2(OffLimits, { what: "the audit log", who: "an auditor or an admin" });
  return /* @__PURE__ */ jsx2(Feed, { name: "Audit records", id: id2, what: "the audit log", read: (asked) => calls.audit(id2, asked), place: (each) => String(each.index), row: (each) => /* @__PURE__ */ jsx2(Recorded, { record: each }, each.index) });
}
function Recorded({ record }) {
  const { actor, decision, payload, resource } = record;
  return /* @__PURE__ */ jsxs2("li", { children: [
    /* @__PURE__ */ jsx2(When, { time: record.timestamp }),
    /* @__PURE__ */ jsxs2("span", { children: [
      /* @__PURE__ */ jsx2("b", { children: safe(record.action) }),
      " ",
      record.outcome !== "accepted" && /* @__PURE__ */ jsx2("span", { class: "error", children: safe(record.outcome) })
    ] }),
    /* @__PURE__ */ jsxs2("details", { children: [
      /* @__PURE__ */ jsx2("summary", { children: [shortId(actor.person ?? actor.id), typeof payload === "object" && payload ? about(payload) : ""].filter(Boolean).map(safe).join(" · ") }),
      /* @__PURE__ */ jsxs2("dl", { class: "facts", children: [
        /* @__PURE__ */ jsxs2("div", { children: [
          /* @__PURE__ */ jsx2("dt", { children: "record" }),
          /* @__PURE__ */ jsx2("dd", { class: "num", children: grouped(record.index) })
        ] }),
        /* @__PURE__ */ jsxs2("div", { children: [
          /* @__PURE__ */ jsx2("dt", { children: "actor" }),
          /* @__PURE__ */ jsxs2("dd", { children: [
            safe(actor.type),
            " ",
            /* @__PURE__ */ jsx2("code", { children: safe(actor.id) })
          ] })
        ] }),
        resource && /* @__PURE__ */ jsxs2("div", { children: [
          /* @__PURE__ */ jsx2("dt", { children: "on" }),
          /* @__PURE__ */ jsx2("dd", { children: /* @__PURE__ */ jsx2("code", { children: safe(resource) }) })
        ] }),
        decision && /* @__PURE__ */ jsxs2("div", { children: [
          /* @__PURE__ */ jsx2("dt", { children: "by rule" }),
          /* @__PURE__ */ jsx2("dd", { children: safe([decision.effect, decision.policy, ...decision.reasons].join(" · ")) })
        ] }),
        /* @__PURE__ */ jsxs2("div", { children: [
          /* @__PURE__ */ jsx2("dt", { children: "hash" }),
          /* @__PURE__ */ jsx2("dd", { children: /* @__PURE__ */ jsx2("code", { children: record.hash }) })
        ] })
      ] }),
      record.erased ? /* @__PURE__ */ jsx2("p", { class: "none", children: "What it said was erased." }) : /* @__PURE__ */ jsx2(Value, { value: payload, name: `What record ${record.index} says` })
    ] })
  ] });
}
var OffLimits = ({ what, who }) => /* @__PURE__ */ jsxs2("div", { class: "trouble forbidden", children: [
  /* @__PURE__ */ jsxs2("strong", { children: [
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
  return /* @__PURE__ */ jsxs2("section", { class: "feed", "aria-label": "Messages", children: [
    /* @__PURE__ */ jsx2(Send, { id: id2, sent: reading.again }),
    /* @__PURE__ */ jsx2(Trouble, { read: seen, what: "the messages" }),
    seen.data && !seen.data.items.length && /* @__PURE__ */ jsx2("p", { class: "none", children: "There are none yet." }),
    /* @__PURE__ */ jsx2("ol", { children: [...seen.data?.items ?? []].reverse().map((each) => /* @__PURE__ */ jsxs2("li", { children: [
      /* @__PURE__ */ jsx2(When, { time: each.timestamp }),
      /* @__PURE__ */ jsxs2("span", { children: [
        safe(shortId(each.from_bot)),
        " to ",
        each.to_bot === null ? "all its bots" : safe(shortId(each.to_bot))
      ] }),
      /* @__PURE__ */ jsx2(Value, { value: each.payload, name: `Message of ${each.timestamp}` })
    ] }, each.id)) })
  ] });
}
function payloadOf(typed) {
  if (!typed.trim().startsWith("{")) return { text: typed };
  return JSON.parse(typed);
}
function Send({ id: id2, sent }) {
  const [text, setText] = useState2(""), [to, setTo] = useState2("");
  const [problem, setProblem] = useState2(null);
  const [busy, setBusy] = useState2(false);
  async function send() {
    setBusy(true);
    setProblem(null);
    try {
      await calls.send(id2, payloadOf(text), to.trim());
      say("Sent.");
      setText("");
      await sent();
    } catch (thrown) {
      setProblem(thrown instanceof ApiError ? thrown : new ApiError(-1, "malformed", `This is no JSON object: ${thrown.message}`));
    }
    setBusy(false);
  }
  return /* @__PURE__ */ jsxs2("form", { class: "send", onSubmit: (event) => {
    event.preventDefault();
    if (text.trim() && may("task.message")) void send();
  }, children: [
    /* @__PURE__ */ jsx2("label", { for: "to", children: "To the bot (its name; empty: all that work on the task)" }),
    /* @__PURE__ */ jsx2("input", { id: "to", type: "text", maxLength: 128, value: to, onInput: (event) => setTo(event.currentTarget.value) }),
    /* @__PURE__ */ jsx2("label", { for: "message", children: "Message (text, or a JSON object)" }),
    /* @__PURE__ */ jsx2("textarea", { id: "message", rows: 2, value: text, onInput: (event) => setText(event.currentTarget.value) }),
    /* @__PURE__ */ jsx2("div", { children: /* @__PURE__ */ jsx2(Act, { action: "task.message", busy: busy || !text.trim(), run: () => void send(), children: "Send" }) }),
    problem && /* @__PURE__ */ jsx2(NotDone, { error: problem })
  ] });
}

// src/pages/task/inspector.tsx
import { useState as useState4 } from "./app.js";
import { ofTask as ofTask2, useRead as useRead2 } from "./app.js";
import { Refused as Refused2, Skeleton as Skeleton2, State as State2, Value as Value2, When as When3 } from "./app.js";
import { may as may2 } from "./app.js";
import { grouped as grouped3, lookOfEnding, lookOfItem, money as money2, safe as safe4, span } from "./app.js";

// src/pages/task/payload.tsx
import { useEffect, useLayoutEffect, useRef, useState as useState3 } from "./app.js";
import { ApiError as ApiError2, BASE } from "./app.js";
import { scriptUrl } from "./app.js";
import { Command, Refused, Skeleton } from "./app.js";
import { go, route, written } from "./app.js";
import { grouped as grouped2, safe as safe2 } from "./app.js";
import { Fragment, jsx as jsx3, jsxs as jsxs3 } from "./app.js";
function Payload({ task, subtask, pick, name }) {
  const worker = useRef(null);
  const [head, setHead] = useState3(null);
  const [error, setError] = useState3(null);
  const [rows, setRows] = useState3(null);
  useEffect(() => {
    const made = new Worker(scriptUrl("tree.js"), { type: "module" });
    worker.current = made;
    made.onmessage = ({ data }) => {
      if ("failed" in data) setError(new ApiError2(data.status, data.status ? "refused" : "unreachable", data.failed));
      else if ("head" in data) {
        setHead(data);
        ask({ rows: [0, 60] });
      } else setRows(data);
    };
    made.onerror = () => setError(new ApiError2(0, "unreadable", "The server's files are of another version: reload the page."));
    const path2 = `tasks/${encodeURIComponent(task)}/subtasks/${encodeURIComponent(subtask)}${pick ? "" : "/output"}`;
    ask({ read: new URL(`./${path2}`, BASE).href, pick: pick ? [pick] : [] });
    return () => made.terminate();
  }, []);
  const ask = (asked) => worker.current.postMessage(asked);
  if (error) return /* @__PURE__ */ jsx3(Refused, { error, what: pick ?? "the output", stale: false, at: 0 });
  if (!head) return /* @__PURE__ */ jsx3(Skeleton, { rows: 3 });
  const { path, query } = route.value, asTree = head.whole && query.get("as") === "tree";
  const show = (as) => {
    const next = new URLSearchParams(query);
    if (as) next.set("as", as);
    else next.delete("as");
    go(written(path, next), true);
  };
  return /* @__PURE__ */ jsxs3("div", { class: "value", children: [
    /* @__PURE__ */ jsxs3("p", { class: "as", children: [
      head.whole && /* @__PURE__ */ jsxs3(Fragment, { children: [
        /* @__PURE__ */ jsx3("button", { type: "button", class: "tab", "aria-pressed": !asTree, onClick: () => show(null), children: "text" }),
        /* @__PURE__ */ jsx3("button", { type: "button", class: "tab", "aria-pressed": asTree, onClick: () => show("tree"), children: "tree" })
      ] }),
      /* @__PURE__ */ jsx3("span", { children: head.whole ? `${grouped2(head.bytes)} bytes` : "more than 1 MiB" })
    ] }),
    asTree ? rows && /* @__PURE__ */ jsx3(Tree, { name, rows, ask }) : /* @__PURE__ */ jsx3("pre", { tabIndex: 0, role: "region", "aria-label": name, children: safe2(head.head) }),
    head.cut && !asTree && /* @__PURE__ */ jsxs3("p", { children: [
      "This is the beginning. To read the whole: ",
      pick ? /* @__PURE__ */ jsx3(Command, { text: `swarmkeeper task get ${task} ${subtask} --json` }) : /* @__PURE__ */ jsx3(Command, { text: `swarmkeeper task result ${task} ${subtask}` })
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
  const [id2] = useState3(() => `tree-${Math.random().toString(36).slice(2)}`);
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
  return /* @__PURE__ */ jsx3(
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
      children: /* @__PURE__ */ jsx3("div", { role: "none", style: { height: `${rows.total * ROW}px` }, children: /* @__PURE__ */ jsx3("div", { role: "none", style: { transform: `translateY(${rows.first * ROW}px)` }, children: rows.rows.map((row, offset) => {
        const number = rows.first + offset;
        return /* @__PURE__ */ jsxs3(
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
              /* @__PURE__ */ jsx3("span", { class: "twist", "aria-hidden": "true", children: row.size ? row.open ? "▾" : "▸" : "" }),
              row.key !== null && /* @__PURE__ */ jsxs3("b", { children: [
                safe2(String(row.key)),
                ": "
              ] }),
              row.kind === "object" ? /* @__PURE__ */ jsx3("i", { children: `{${grouped2(row.size)}}` }) : row.kind === "list" ? /* @__PURE__ */ jsx3("i", { children: `[${grouped2(row.size)}]` }) : /* @__PURE__ */ jsx3("span", { class: `is-${row.kind}`, children: safe2(row.text) })
            ]
          },
          number
        );
      }) }) })
    }
  );
}

// src/pages/task/trail.tsx
import { When as When2 } from "./app.js";
import { State } from "./app.js";
import { safe as safe3 } from "./app.js";
import { jsx as jsx4, jsxs as jsxs4 } from "./app.js";
var LOOKS = { accept: { tone: "ok", word: "accept" }, rework: { tone: "hold", word: "rework" }, reject: { tone: "bad", word: "reject" } };
var Trail = ({ said: said2 }) => /* @__PURE__ */ jsx4("ol", { class: "trail", children: said2.map((each) => /* @__PURE__ */ jsxs4("li", { children: [
  /* @__PURE__ */ jsxs4("p", { children: [
    /* @__PURE__ */ jsx4(State, { look: LOOKS[each.decision ?? ""] ?? { tone: "plain", word: each.decision ?? "too long to list" } }),
    /* @__PURE__ */ jsxs4("span", { children: [
      "round ",
      each.round
    ] }),
    each.score !== null && /* @__PURE__ */ jsx4("span", { class: "num", children: each.score }),
    /* @__PURE__ */ jsx4("span", { children: safe3(each.evaluator ?? "–") }),
    /* @__PURE__ */ jsx4(When2, { time: each.at })
  ] }),
  each.reasons.map((reason, at) => /* @__PURE__ */ jsx4("p", { children: safe3(reason) }, at)),
  each.findings.map((finding, at) => /* @__PURE__ */ jsxs4("p", { children: [
    /* @__PURE__ */ jsx4("b", { children: safe3(finding.severity ?? "finding") }),
    finding.subtask && ` in ${safe3(finding.subtask)}`,
    ": ",
    safe3(finding.text ?? "")
  ] }, at)),
  each.feedback.map((feedback, at) => /* @__PURE__ */ jsxs4("p", { children: [
    "to do again in ",
    /* @__PURE__ */ jsx4("b", { children: safe3(feedback.subtask) }),
    ": ",
    safe3(feedback.text)
  ] }, at)),
  each.added.length > 0 && /* @__PURE__ */ jsxs4("p", { children: [
    "added ",
    each.added.map(safe3).join(", ")
  ] })
] }, each.work_id)) });

// src/pages/task/inspector.tsx
import { jsx as jsx5, jsxs as jsxs5 } from "./app.js";
var TEXT_MAX = 4e3;
function Inspector({ task, subtask, close }) {
  const reading = useRead2(`subtask ${task} ${subtask}`, async () => {
    const found2 = await calls.subtask(task, subtask);
    return { found: found2, said: found2.kind === "execute" ? (await calls.verdicts(task, found2.key)).items : [] };
  }, { on: ofTask2(task), every: 1e4 });
  const [input, setInput] = useState4(false);
  const seen = reading.state.value;
  if (!seen.data) {
    return /* @__PURE__ */ jsxs5("aside", { class: "inspector", "aria-label": "Subtask", children: [
      /* @__PURE__ */ jsxs5("header", { children: [
        /* @__PURE__ */ jsx5("h2", { children: safe4(subtask) }),
        /* @__PURE__ */ jsx5("button", { type: "button", class: "small", onClick: close, children: "Close" })
      ] }),
      seen.error ? /* @__PURE__ */ jsx5(Refused2, { error: seen.error, what: "the subtask", stale: false, at: 0 }) : seen.slow ? /* @__PURE__ */ jsx5(Skeleton2, { rows: 6 }) : null
    ] });
  }
  const { found, said: said2 } = seen.data;
  const after = found.depends_on.map((each) => safe4(typeof each === "string" ? each : each.when === "success" ? each.key : `${each.key} (${each.when})`));
  return /* @__PURE__ */ jsxs5("aside", { class: "inspector", "aria-labelledby": "inspected", children: [
    /* @__PURE__ */ jsxs5("header", { children: [
      /* @__PURE__ */ jsx5("h2", { id: "inspected", children: safe4(found.key) }),
      /* @__PURE__ */ jsx5(State2, { look: lookOfItem(found.status) }),
      /* @__PURE__ */ jsx5("button", { type: "button", class: "small", onClick: close, children: "Close" })
    ] }),
    seen.error && /* @__PURE__ */ jsx5(Refused2, { error: seen.error, what: "the subtask", stale: true, at: seen.at }),
    /* @__PURE__ */ jsx5("p", { class: "description", tabIndex: 0, children: safe4(found.description.slice(0, TEXT_MAX)) }),
    /* @__PURE__ */ jsxs5("dl", { class: "facts", children: [
      /* @__PURE__ */ jsxs5("div", { children: [
        /* @__PURE__ */ jsx5("dt", { children: "needs" }),
        /* @__PURE__ */ jsx5("dd", { children: found.required_skills.map(safe4).join(", ") || "–" })
      ] }),
      /* @__PURE__ */ jsxs5("div", { children: [
        /* @__PURE__ */ jsx5("dt", { children: "after" }),
        /* @__PURE__ */ jsx5("dd", { children: after.join(", ") || "–" })
      ] }),
      /* @__PURE__ */ jsxs5("div", { children: [
        /* @__PURE__ */ jsx5("dt", { children: "round" }),
        /* @__PURE__ */ jsx5("dd", { children: found.round })
      ] }),
      found.progress?.message && /* @__PURE__ */ jsxs5("div", { children: [
        /* @__PURE__ */ jsx5("dt", { children: "says" }),
        /* @__PURE__ */ jsx5("dd", { children: safe4(found.progress.message) })
      ] })
    ] }),
    /* @__PURE__ */ jsxs5("section", { class: "card", children: [
      /* @__PURE__ */ jsx5("h3", { children: "Attempts" }),
      !found.attempts.length && /* @__PURE__ */ jsx5("p", { class: "none", children: "None has ended yet." }),
      /* @__PURE__ */ jsx5("ol", { class: "attempts", children: found.attempts.map((each) => /* @__PURE__ */ jsxs5("li", { children: [
        /* @__PURE__ */ jsx5("span", { children: each.attempt }),
        /* @__PURE__ */ jsx5(State2, { look: lookOfEnding(each.ending) }),
        /* @__PURE__ */ jsx5("span", { children: safe4(each.bot_name ?? each.bot) }),
        /* @__PURE__ */ jsx5("span", { children: span(Date.parse(each.ended_at) - Date.parse(each.started_at)) }),
        /* @__PURE__ */ jsx5("span", { children: money2(each.usage?.cost_micro_usd) }),
        each.usage?.tokens !== void 0 && /* @__PURE__ */ jsxs5("span", { children: [
          grouped3(each.usage.tokens),
          " tokens"
        ] }),
        /* @__PURE__ */ jsxs5("small", { children: [
          "from ",
          /* @__PURE__ */ jsx5(When3, { time: each.started_at })
        ] }),
        (each.error?.message ?? each.reason) && /* @__PURE__ */ jsx5("p", { class: "error", children: safe4((each.error?.message ?? each.reason ?? "").slice(0, TEXT_MAX)) })
      ] }, each.attempt)) })
    ] }),
    said2.length > 0 && /* @__PURE__ */ jsxs5("section", { class: "card", children: [
      /* @__PURE__ */ jsx5("h3", { children: "Verdicts" }),
      /* @__PURE__ */ jsx5(Trail, { said: said2 })
    ] }),
    !said2.length && found.verdict && /* @__PURE__ */ jsxs5("section", { class: "card", children: [
      /* @__PURE__ */ jsxs5("h3", { children: [
        "Verdict: ",
        safe4(found.verdict.decision),
        found.verdict.score !== null && ` · ${found.verdict.score}`
      ] }),
      found.verdict.reasons.map((reason, at) => /* @__PURE__ */ jsx5("p", { children: safe4(reason) }, at))
    ] }),
    /* @__PURE__ */ jsxs5("section", { class: "card", children: [
      /* @__PURE__ */ jsx5("h3", { children: "Output" }),
      !may2("output.read") ? /* @__PURE__ */ jsx5(OffLimits, { what: "outputs", who: "a client, an operator, an approver or an admin" }) : found.output === null || found.output === void 0 ? /* @__PURE__ */ jsx5("p", { class: "none", children: "There is none." }) : found.kind === "execute" ? /* @__PURE__ */ jsx5(Payload, { task, subtask, name: "Output" }, found.ended_at) : /* @__PURE__ */ jsx5(Value2, { value: found.output, name: "Output" })
    ] }),
    found.kind === "execute" && /* @__PURE__ */ jsxs5("section", { class: "card", children: [
      /* @__PURE__ */ jsx5("h3", { children: "Input" }),
      input ? /* @__PURE__ */ jsx5(Payload, { task, subtask, pick: "input", name: "Input" }) : /* @__PURE__ */ jsx5("button", { type: "button", class: "small", onClick: () => setInput(true), children: "Show the input" })
    ] }),
    found.late_results?.map((each) => /* @__PURE__ */ jsxs5("section", { class: "card", children: [
      /* @__PURE__ */ jsxs5("h3", { children: [
        "Came too late: ",
        /* @__PURE__ */ jsx5(When3, { time: each.received_at })
      ] }),
      /* @__PURE__ */ jsx5(Value2, { value: each.content, name: "A result that came too late" })
    ] }, each.lease_id))
  ] });
}

// src/pages/task/plan.tsx
import { useMemo as useMemo3 } from "./app.js";
import { edgesOf, Graph, GRAPH_MAX, nodesOf } from "./app.js";
import { useKeys as useKeys3 } from "./app.js";
import { Ago, State as State3 } from "./app.js";
import { grouped as grouped5, lookOfItem as lookOfItem4, safe as safe6, span as span3, worse as worse2 } from "./app.js";

// src/pages/task/stages.tsx
import { useMemo } from "./app.js";
import { ranksOf } from "./app.js";
import { grouped as grouped4, lookOfItem as lookOfItem2, worse } from "./app.js";
import { jsx as jsx6, jsxs as jsxs6 } from "./app.js";
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
  return /* @__PURE__ */ jsx6("div", { class: "stages", role: "group", "aria-label": "Stages of the plan", tabIndex: 0, children: columns.map((column, rank) => /* @__PURE__ */ jsxs6("div", { class: "stage", children: [
    /* @__PURE__ */ jsx6("span", { class: "rank", "aria-hidden": "true", children: rank + 1 }),
    [...column].sort(([a], [b]) => worse(lookOfItem2(a).tone, lookOfItem2(b).tone)).map(([status, count]) => {
      const look = lookOfItem2(status);
      return /* @__PURE__ */ jsx6(
        "button",
        {
          type: "button",
          class: `block tone-${look.tone}`,
          style: { height: `${Math.max(22, 180 * count / tallest)}px` },
          "aria-label": `${grouped4(count)} ${look.word} in stage ${rank + 1}`,
          title: `${grouped4(count)} ${look.word}`,
          onClick: () => choose(status, rank),
          children: grouped4(count)
        },
        status
      );
    })
  ] }, rank)) });
}

// src/pages/task/timeline.tsx
import { useEffect as useEffect2, useLayoutEffect as useLayoutEffect2, useMemo as useMemo2, useRef as useRef2, useState as useState5 } from "./app.js";
import { useKeys as useKeys2 } from "./app.js";
import { now as clockNow, ofTask as ofTask3, useRead as useRead3 } from "./app.js";
import { Glyph, Trouble as Trouble2 } from "./app.js";
import { lookOfEnding as lookOfEnding2, lookOfItem as lookOfItem3, moment, safe as safe5, span as span2 } from "./app.js";

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
    const at = clock2(time), rest = Math.floor((time % S + S) % S);
    const [hours, minutes] = at.time.split(":");
    const clockTime = step < S || exact && all.length > 1 && rate * S > room ? `${at.time}${rest ? `.${String(rest).padStart(3, "0").replace(/0+$/, "")}` : ""}` : step < M || exact ? at.time : `${hours}:${minutes}`;
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
import { Fragment as Fragment2, jsx as jsx7, jsxs as jsxs7 } from "./app.js";
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
var toneOf = (lane, bar) => bar.ending === null ? "run" : bar.ending === "succeeded" && lane.kind !== "execute" ? "eye" : lookOfEnding2(bar.ending).tone;
var nameOf = (lane) => lane.kind === "execute" ? lane.key : lane.work_id;
function Timeline({ id: id2, query, set }) {
  const wanted = useRef2({ pages: 1, first: 0, last: 0 });
  const reading = useRead3(`timeline ${id2}`, async (before) => {
    const { pages: count, first, last } = wanted.current;
    const pages2 = [...before?.pages ?? []];
    for (let at = 0; at < count; at++) {
      const token = at ? pages2[at - 1].next_page_token : "";
      if (at && !token) break;
      if (at >= pages2.length || at >= first && at <= last || at === pages2.length - 1) pages2[at] = await calls.timeline(id2, token);
    }
    const newest = Math.max(...pages2.map((each) => ms(each.now)));
    return { pages: pages2, ahead: newest - Date.now() };
  }, { on: ofTask3(id2) });
  const seen = reading.state.value;
  if (!seen.data) return /* @__PURE__ */ jsx7(Trouble2, { read: seen, what: "the timeline" });
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
  return /* @__PURE__ */ jsxs7(Fragment2, { children: [
    /* @__PURE__ */ jsx7(Trouble2, { read: seen, what: "the timeline" }),
    query.get("only") === "FAILED" && /* @__PURE__ */ jsxs7("p", { class: "only", children: [
      "Only failed: ",
      lanes.length,
      ". ",
      /* @__PURE__ */ jsx7("button", { type: "button", class: "small", onClick: () => set({ only: null }), children: "Show all" })
    ] }),
    lanes.length ? /* @__PURE__ */ jsx7(Chart, { lanes, begun: ms(pages[0].created_at), updated: ms(pages[0].updated_at), ahead, more, query, set, inView }) : /* @__PURE__ */ jsx7("p", { class: "none pad", children: "There are no lanes." })
  ] });
}
function Chart({ lanes, begun, updated, ahead, more, query, set, inView }) {
  const box = useRef2(null), side = useRef2(null);
  const [width, setWidth] = useState5(600);
  const [view, setView] = useState5([0, 40]);
  const [drag, setDrag] = useState5(null);
  const [active, setActive] = useState5(0);
  const runs = lanes.some((each) => each.bars.some((bar) => bar.end === null) || each.waits.some((wait) => wait.end === null));
  const now2 = runs ? Math.max(clockNow.value + ahead, updated) : updated;
  const ends = lanes.flatMap((each) => each.bars.map((bar) => bar.end ? ms(bar.end) : now2));
  const whole = [begun, Math.max(begun + LEAST_MS, runs ? now2 : Math.max(...ends, begun))];
  const asked = [query.get("from"), query.get("to")].map((each) => ms(each ?? ""));
  const zoomed = asked.every((each) => !Number.isNaN(each)) && asked[0] < asked[1];
  const [from, to] = zoomed ? asked : whole;
  const all = useMemo2(() => pieces(lanes.flatMap((each) => each.bars.map((bar) => ({ start: ms(bar.start), end: bar.end ? ms(bar.end) : now2 }))), from, to, width), [lanes, from, to, width, now2]);
  const chosen = query.get("subtask"), chosenAt = lanes.findIndex((each) => nameOf(each) === chosen);
  function look() {
    const element = box.current;
    if (!element) return;
    const first2 = Math.max(0, Math.floor(element.scrollTop / ROW2) - BEYOND2), last2 = Math.ceil((element.scrollTop + element.clientHeight) / ROW2) + BEYOND2;
    setView((before) => before[0] === first2 && before[1] === last2 ? before : [first2, last2]);
    setWidth(Math.max(80, element.clientWidth - side.current.offsetWidth - 12));
    inView(first2, last2);
  }
  useLayoutEffect2(look, [lanes.length]);
  useEffect2(() => {
    const resized = new ResizeObserver(look);
    resized.observe(box.current);
    return () => resized.disconnect();
  });
  const bring = (at) => {
    const element = box.current;
    if (at * ROW2 < element.scrollTop) element.scrollTop = at * ROW2;
    else if ((at + 1) * ROW2 > element.scrollTop + element.clientHeight) element.scrollTop = (at + 1) * ROW2 - element.clientHeight;
  };
  useEffect2(() => {
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
  useKeys2({
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
  return /* @__PURE__ */ jsxs7("div", { class: "timeline", children: [
    /* @__PURE__ */ jsxs7("div", { class: "axis", children: [
      /* @__PURE__ */ jsxs7("span", { children: [
        begins.day,
        ", ",
        begins.zone
      ] }),
      /* @__PURE__ */ jsx7("svg", { width, height: "22", "aria-hidden": "true", children: marks(all, 84, clock).map((mark) => /* @__PURE__ */ jsxs7("g", { transform: `translate(${mark.x} 0)`, children: [
        /* @__PURE__ */ jsx7("path", { d: "M0 15v7", class: "tick" }),
        /* @__PURE__ */ jsx7("text", { x: "0", y: "12", children: mark.label })
      ] }, mark.time)) })
    ] }),
    /* @__PURE__ */ jsxs7("div", { class: "lanes", ref: box, onScroll: look, children: [
      /* @__PURE__ */ jsx7("div", { class: "side", ref: side, style: { height: `${lanes.length * ROW2}px` }, children: /* @__PURE__ */ jsx7("ul", { "aria-label": "Lanes", style: { transform: `translateY(${first * ROW2}px)` }, children: shown.map((lane, offset) => {
        const at = first + offset, name = nameOf(lane), look2 = lookOfItem3(lane.status);
        return /* @__PURE__ */ jsx7("li", { "aria-setsize": more ? -1 : lanes.length, "aria-posinset": at + 1, children: /* @__PURE__ */ jsxs7(
          "button",
          {
            type: "button",
            class: "lane",
            "data-lane": at,
            tabIndex: at === stop ? 0 : -1,
            "aria-pressed": name === chosen,
            "aria-label": said(lane, look2.word),
            title: safe5(lane.key),
            onFocus: () => setActive(at),
            onClick: () => set({ subtask: name }),
            onKeyDown: (event) => move(event, at),
            children: [
              /* @__PURE__ */ jsx7(Glyph, { tone: look2.tone }),
              /* @__PURE__ */ jsx7("span", { class: lane.kind === "execute" ? "" : "aside", children: safe5(lane.key) })
            ]
          }
        ) }, lane.work_id);
      }) }) }),
      /* @__PURE__ */ jsxs7(
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
            /* @__PURE__ */ jsx7("defs", { children: /* @__PURE__ */ jsx7("pattern", { id: "fold", width: "6", height: "6", patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)", children: /* @__PURE__ */ jsx7("path", { d: "M0 0v6", class: "hatch" }) }) }),
            folds.map((each) => /* @__PURE__ */ jsx7("rect", { x: each.x, width: each.width, y: first * ROW2, height: shown.length * ROW2, fill: "url(#fold)", children: /* @__PURE__ */ jsx7("title", { children: `Nothing happened for ${span2(each.to - each.from)}.` }) }, each.from)),
            shown.map((lane, offset) => /* @__PURE__ */ jsx7(Drawn, { lane, y: (first + offset) * ROW2, all, from, to, now: now2, width, chosen: nameOf(lane) === chosen }, lane.work_id)),
            drag && /* @__PURE__ */ jsx7("rect", { class: "brush", x: Math.min(...drag), width: Math.abs(drag[1] - drag[0]), y: first * ROW2, height: shown.length * ROW2 })
          ]
        }
      )
    ] }),
    /* @__PURE__ */ jsxs7("p", { class: "foot", children: [
      span2(to - from),
      folds.length > 0 && `, of which ${span2(folds.reduce((sum, each) => sum + each.to - each.from, 0))} without work folded`,
      zoomed && /* @__PURE__ */ jsxs7(Fragment2, { children: [
        " · ",
        /* @__PURE__ */ jsx7("button", { type: "button", class: "small", onClick: () => set({ from: null, to: null }), children: "Show all the time" })
      ] }),
      /* @__PURE__ */ jsx7("span", { class: "legend", children: ["ok", "bad", "eye", "hold", "run"].map((tone) => /* @__PURE__ */ jsxs7("span", { class: `tone-${tone}`, children: [
        /* @__PURE__ */ jsx7("i", {}),
        LEGEND[tone]
      ] }, tone)) })
    ] })
  ] });
}
var LEGEND = { ok: "done", bad: "failed", eye: "plan, review", hold: "asked or put off", run: "running" };
function said(lane, status) {
  const count = lane.bars.length + lane.bars_left_out, error = errorOf(lane);
  return `${safe5(lane.key)}: ${status}, ${count} ${count === 1 ? "attempt" : "attempts"}${error && `, ${error}`}`;
}
function errorOf(lane) {
  const last = lane.bars.filter((bar) => bar.ending !== null).pop();
  return last && last.ending !== "succeeded" ? safe5(last.error?.message ?? "") : "";
}
function inWords(bar, now2) {
  const took = span2((bar.end ? ms(bar.end) : now2) - ms(bar.start));
  return safe5(`Attempt ${bar.attempt}, round ${bar.round}${bar.bot ? ` by ${bar.bot}` : ""}: ${bar.ending === null ? "running" : lookOfEnding2(bar.ending).word}, ${took}, from ${moment(bar.start)}${bar.error?.message ? `: ${bar.error.message}` : ""}`);
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
  return /* @__PURE__ */ jsxs7("g", { transform: `translate(0 ${y})`, children: [
    /* @__PURE__ */ jsx7("rect", { class: chosen ? "row chosen" : "row", width, height: ROW2 }),
    lane.waits.map((wait) => {
      const x = placeOf(all, ms(wait.start)), end = placeOf(all, wait.end ? ms(wait.end) : now2);
      return end > x && /* @__PURE__ */ jsx7("path", { class: `wait ${wait.after === "asked" ? "tone-hold" : "tone-wait"}`, d: `M${x} ${ROW2 / 2}H${end}` }, wait.start);
    }),
    visible.map((bar, at) => /* @__PURE__ */ jsx7("rect", { class: `attempt tone-${toneOf(lane, bar)} ${bar.round < newest ? "before" : ""}`, x: boxes[at].x, width: boxes[at].width, y: (ROW2 - BAR) / 2, height: BAR, rx: "2", children: /* @__PURE__ */ jsx7("title", { children: inWords(bar, now2) }) }, bar.attempt)),
    room && /* @__PURE__ */ jsx7("svg", { x: room.x, width: room.width, height: ROW2, class: chosen ? "chosen" : "", children: /* @__PURE__ */ jsx7("text", { class: "why-not", y: ROW2 / 2 + 4, children: error.length > letters ? `${error.slice(0, letters - 1)}…` : error }) })
  ] });
}

// src/pages/task/plan.tsx
import { jsx as jsx8, jsxs as jsxs8 } from "./app.js";
var VIEWS = ["graph", "table", "timeline"];
function Plan({ id: id2, subtasks, query, set }) {
  const nodes = useMemo3(() => nodesOf(subtasks), [subtasks]), edges = useMemo3(() => edgesOf(subtasks), [subtasks]);
  const only = query.get("only"), chosen = query.get("subtask") ?? void 0, fit = query.get("fit") === "1";
  const view = query.get("view") ?? (!edges.length && subtasks.length > 3 ? "table" : "graph");
  const asGraph = subtasks.length <= GRAPH_MAX;
  const show = (next) => set({ view: next, only: null, rank: null });
  useKeys3({
    v: { does: "next view of the plan", run: () => show(VIEWS[(VIEWS.indexOf(view) + 1) % VIEWS.length]) },
    "!": { does: "failed subtasks only", run: () => set({ view: view === "graph" ? "table" : view, only: only === "FAILED" ? null : "FAILED", rank: null }) },
    ...view === "graph" && asGraph ? { 0: { does: "fit the graph into view", run: () => set({ fit: fit ? null : "1" }) } } : {}
  });
  return /* @__PURE__ */ jsxs8("section", { class: "plan", "aria-label": "Plan", children: [
    /* @__PURE__ */ jsxs8("div", { class: "views", children: [
      VIEWS.map((each) => /* @__PURE__ */ jsx8("button", { type: "button", class: "tab", "aria-pressed": each === view, onClick: () => show(each), children: each === "graph" && !asGraph ? "stages" : each }, each)),
      /* @__PURE__ */ jsxs8("span", { children: [
        grouped5(subtasks.length),
        " ",
        subtasks.length === 1 ? "subtask" : "subtasks",
        edges.length > 0 && `, ${grouped5(edges.length)} ${edges.length === 1 ? "edge" : "edges"}`
      ] }),
      view === "graph" && asGraph && edges.length > 0 && /* @__PURE__ */ jsx8("span", { class: "legend", children: "solid: needs success · dashed: needs an end" })
    ] }),
    view === "timeline" ? /* @__PURE__ */ jsx8(Timeline, { id: id2, query, set }) : !subtasks.length ? /* @__PURE__ */ jsx8("p", { class: "none pad", children: "There is no plan yet." }) : view === "table" ? /* @__PURE__ */ jsx8(Table, { subtasks, query, set }) : asGraph ? /* @__PURE__ */ jsx8(Graph, { nodes, edges, chosen, fit, choose: (key) => set({ subtask: key }), label: "Graph of the plan" }) : /* @__PURE__ */ jsx8(Stages, { nodes, edges, choose: (status, rank) => set({ view: "table", only: status, rank: String(rank + 1) }) })
  ] });
}
var SHOWN_MAX = 500;
function fitting(subtasks, only, rank) {
  const ranks = rank ? ranked(subtasks.map((each) => each.key), edgesOf(subtasks)) : [];
  return subtasks.filter((each, at) => (!only || each.status === only) && (!rank || String(ranks[at] + 1) === rank)).sort((a, b) => worse2(lookOfItem4(a.status).tone, lookOfItem4(b.status).tone));
}
function Table({ subtasks, query, set }) {
  const only = query.get("only"), rank = query.get("rank"), chosen = query.get("subtask");
  const found = useMemo3(() => fitting(subtasks, only, rank), [subtasks, only, rank]), shown = found.slice(0, SHOWN_MAX);
  return /* @__PURE__ */ jsxs8("div", { class: "scroll-x", tabIndex: 0, role: "region", "aria-label": "Subtasks", children: [
    (only || rank) && /* @__PURE__ */ jsxs8("p", { class: "only", children: [
      "Only ",
      only && /* @__PURE__ */ jsx8(State3, { look: lookOfItem4(only) }),
      rank && ` in stage ${rank}`,
      ": ",
      grouped5(found.length),
      ".",
      " ",
      /* @__PURE__ */ jsx8("button", { type: "button", class: "small", onClick: () => set({ only: null, rank: null }), children: "Show all" })
    ] }),
    /* @__PURE__ */ jsxs8("table", { class: "subtasks", children: [
      /* @__PURE__ */ jsx8("thead", { children: /* @__PURE__ */ jsxs8("tr", { children: [
        /* @__PURE__ */ jsx8("th", { scope: "col", children: "State" }),
        /* @__PURE__ */ jsx8("th", { scope: "col", children: "Subtask" }),
        /* @__PURE__ */ jsx8("th", { scope: "col", children: "Needs" }),
        /* @__PURE__ */ jsx8("th", { scope: "col", children: "Bot" }),
        /* @__PURE__ */ jsx8("th", { scope: "col", children: "Try" }),
        /* @__PURE__ */ jsx8("th", { scope: "col", children: "Took" }),
        /* @__PURE__ */ jsx8("th", { scope: "col", children: "Error" })
      ] }) }),
      /* @__PURE__ */ jsx8("tbody", { children: shown.map((each) => /* @__PURE__ */ jsxs8("tr", { class: each.key === chosen ? "chosen" : "", children: [
        /* @__PURE__ */ jsx8("td", { children: /* @__PURE__ */ jsx8(State3, { look: lookOfItem4(each.status) }) }),
        /* @__PURE__ */ jsx8("th", { scope: "row", children: /* @__PURE__ */ jsx8("button", { type: "button", class: "link", onClick: () => set({ subtask: each.key }), children: safe6(each.key) }) }),
        /* @__PURE__ */ jsx8("td", { children: each.required_skills.map(safe6).join(", ") }),
        /* @__PURE__ */ jsx8("td", { children: safe6(each.bot ?? "–") }),
        /* @__PURE__ */ jsx8("td", { children: each.attempt || "–" }),
        /* @__PURE__ */ jsx8("td", { children: each.started_at && each.ended_at ? span3(Date.parse(each.ended_at) - Date.parse(each.started_at)) : each.started_at && each.status === "LEASED" ? /* @__PURE__ */ jsx8(Ago, { time: each.started_at }) : "–" }),
        /* @__PURE__ */ jsx8("td", { class: "error", children: safe6((each.cause?.message ?? "").slice(0, 200)) })
      ] }, each.key)) })
    ] }),
    found.length > shown.length && /* @__PURE__ */ jsxs8("p", { class: "pad none", children: [
      grouped5(found.length - shown.length),
      " more are not shown."
    ] })
  ] });
}

// src/pages/task/results.tsx
import { useState as useState6 } from "./app.js";
import { ofTask as ofTask4, useRead as useRead4 } from "./app.js";
import { Trouble as Trouble3 } from "./app.js";
import { may as may3 } from "./app.js";
import { safe as safe7 } from "./app.js";
import { jsx as jsx9, jsxs as jsxs9 } from "./app.js";
var LISTED_MAX2 = 200;
function Results({ task, subtasks }) {
  const reading = useRead4(`verdicts ${task.id}`, () => calls.verdicts(task.id), { on: ofTask4(task.id) });
  const seen = reading.state.value, said2 = (seen.data?.items ?? []).filter((each) => each.subject === null);
  const ready = task.result ? Object.keys(task.result) : subtasks.filter((each) => each.status === "SUCCEEDED").map((each) => each.key);
  return /* @__PURE__ */ jsxs9("section", { class: "results", "aria-label": "Results", children: [
    (said2.length > 0 || seen.error) && /* @__PURE__ */ jsxs9("section", { class: "card", children: [
      /* @__PURE__ */ jsx9("h3", { children: "Verdicts on the task" }),
      /* @__PURE__ */ jsx9(Trouble3, { read: seen, what: "the verdicts" }),
      /* @__PURE__ */ jsx9(Trail, { said: said2 })
    ] }),
    !may3("output.read") ? /* @__PURE__ */ jsx9(OffLimits, { what: "outputs", who: "a client, an operator, an approver or an admin" }) : /* @__PURE__ */ jsxs9("section", { class: "card", children: [
      /* @__PURE__ */ jsx9("h3", { children: task.result ? "Result" : "Outputs so far: the result is there when all is done" }),
      !ready.length && /* @__PURE__ */ jsx9("p", { class: "none", children: "There are none yet." }),
      ready.slice(0, LISTED_MAX2).map((key, at) => /* @__PURE__ */ jsx9(Output, { task: task.id, subtask: key, open: at === 0 }, key)),
      ready.length > LISTED_MAX2 && /* @__PURE__ */ jsxs9("p", { class: "none", children: [
        ready.length - LISTED_MAX2,
        " more: choose them in the plan."
      ] })
    ] })
  ] });
}
function Output({ task, subtask, open: begins }) {
  const [open, setOpen] = useState6(begins);
  return /* @__PURE__ */ jsxs9("details", { open, onToggle: (event) => setOpen(event.currentTarget.open), children: [
    /* @__PURE__ */ jsx9("summary", { children: /* @__PURE__ */ jsx9("b", { children: safe7(subtask) }) }),
    open && /* @__PURE__ */ jsx9(Payload, { task, subtask, name: `Output of ${subtask}` })
  ] });
}

// src/pages/task/why.tsx
import { useState as useState7 } from "./app.js";
import { now } from "./app.js";
import { Command as Command2, State as State4, When as When4 } from "./app.js";
import { grouped as grouped6, lookOfItem as lookOfItem5, lookOfTask, safe as safe8, since } from "./app.js";
import { Fragment as Fragment3, jsx as jsx10, jsxs as jsxs10 } from "./app.js";
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
function Why({ task, choose }) {
  const [all, setAll] = useState7(false);
  const { explanation, failure } = task;
  if (task.outcome !== null) {
    if (!failure) return null;
    const { cause } = failure;
    return /* @__PURE__ */ jsxs10("section", { class: "why bad", "aria-labelledby": "why-head", children: [
      /* @__PURE__ */ jsxs10("h2", { id: "why-head", children: [
        "Why it failed: ",
        inWords2(failure.code)
      ] }),
      failure.detail && /* @__PURE__ */ jsx10("p", { children: safe8(failure.detail) }),
      cause && /* @__PURE__ */ jsxs10("p", { children: [
        cause.kind === "execute" ? /* @__PURE__ */ jsx10("button", { type: "button", class: "link", onClick: () => choose(cause.key), children: safe8(cause.key) }) : /* @__PURE__ */ jsx10("b", { children: safe8(cause.key) }),
        cause.attempt ? `, attempt ${cause.attempt}` : "",
        cause.bot && ` by ${safe8(cause.bot)}`,
        ": ",
        /* @__PURE__ */ jsx10("span", { class: "error", children: safe8(cause.message) })
      ] }),
      failure.fix && /* @__PURE__ */ jsx10(Command2, { text: failure.fix })
    ] });
  }
  if (!explanation?.waiting.length) return null;
  const rows = folded(explanation.waiting, explanation.reasons);
  return /* @__PURE__ */ jsxs10("section", { class: "why", "aria-labelledby": "why-head", children: [
    /* @__PURE__ */ jsxs10("h2", { id: "why-head", children: [
      "Why it is not done: ",
      Object.entries(explanation.reasons).map(([reason, count]) => `${grouped6(count)} ${inWords2(reason)}`).join(" · ")
    ] }),
    /* @__PURE__ */ jsx10("ul", { children: rows.slice(0, all ? rows.length : ROWS_MAX).map(({ like, items, count }) => {
      const first = items[0];
      return /* @__PURE__ */ jsxs10("li", { children: [
        /* @__PURE__ */ jsxs10("span", { children: [
          first.kind === "execute" ? /* @__PURE__ */ jsx10("button", { type: "button", class: "link", onClick: () => choose(first.key), children: safe8(first.key) }) : /* @__PURE__ */ jsx10("b", { children: first.kind === "task" ? "task" : safe8(first.key) }),
          count > 1 && ` and ${grouped6(count - 1)} more`
        ] }),
        /* @__PURE__ */ jsx10(State4, { look: first.kind === "task" ? lookOfTask({ status: String(first.status), outcome: null, holds: [] }) : lookOfItem5(first.status) }),
        /* @__PURE__ */ jsxs10("span", { children: [
          safe8(first.detail),
          first.since && /* @__PURE__ */ jsxs10(Fragment3, { children: [
            " · for ",
            since(first.since, now.value)
          ] }),
          first.until && /* @__PURE__ */ jsxs10(Fragment3, { children: [
            ", at most until ",
            /* @__PURE__ */ jsx10(When4, { time: first.until })
          ] }),
          first.fix && /* @__PURE__ */ jsx10("div", { children: /* @__PURE__ */ jsx10(Command2, { text: first.fix }) })
        ] })
      ] }, like);
    }) }),
    rows.length > ROWS_MAX && !all && /* @__PURE__ */ jsxs10("p", { class: "none", children: [
      grouped6(rows.slice(ROWS_MAX).reduce((sum, row) => sum + row.count, 0)),
      " more wait for other reasons. ",
      /* @__PURE__ */ jsx10("button", { type: "button", class: "small", onClick: () => setAll(true), children: "Show all" })
    ] })
  ] });
}

// src/pages/task.tsx
import { jsx as jsx11, jsxs as jsxs11 } from "./app.js";
var TABS = ["plan", "results", "events", "audit", "messages"];
function TaskPage({ id: id2 }) {
  const reading = useRead5(`task ${id2}`, async (before) => {
    const found = await api2.task(id2, before?.etag);
    return found === null ? before : { ...found, subtasks: await calls.subtasks(found.task) };
  }, { on: ofTask5(id2), every: 2e3 });
  const seen = reading.state.value;
  const [asking, setAsking] = useState8(null);
  const [problem, setProblem] = useState8(null);
  const [busy, setBusy] = useState8(false);
  const query = route2.value.query;
  const chosen = query.get("subtask") ?? void 0, tab = query.get("tab") ?? "plan";
  const to = (changes) => {
    const next = new URLSearchParams(query);
    for (const [name, value] of Object.entries(changes)) if (value === null) next.delete(name);
    else next.set(name, value);
    return written2(["tasks", id2], next);
  };
  const set = (changes) => go2(to(changes), true);
  const task = seen.data?.task, subtasks = seen.data?.subtasks ?? [];
  const step = (by) => {
    const at = subtasks.findIndex((each) => each.key === chosen);
    const next = subtasks[Math.max(0, Math.min(at + by, subtasks.length - 1))];
    if (next) set({ subtask: next.key });
  };
  async function run(name, doIt) {
    setBusy(true);
    setProblem(null);
    try {
      await doIt();
      say2(`Done: ${name}.`);
    } catch (thrown) {
      setProblem(thrown instanceof ApiError3 ? thrown : new ApiError3(-1, "fault", String(thrown)));
    }
    setAsking(null);
    await reading.again();
    setBusy(false);
  }
  const steer = (verb, reason = "") => void run(verb, () => api2.steer(id2, verb, reason));
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
    if (may4(each.action) && connection.value.live && !busy) keys[each.key] = { does: each.name.replace("…", "").toLowerCase(), run: each.run };
  }
  useKeys4({
    j: { does: "next subtask", run: () => step(1) },
    k: { does: "previous subtask", run: () => step(-1) },
    ...Object.fromEntries(TABS.map((each, at) => [`${at + 1}`, { does: each, run: () => set({ tab: at ? each : null }) }])),
    ...keys,
    Escape: { does: "close the subtask, or go back", run: () => {
      if (chosen) set({ subtask: null });
      else go2("#/tasks");
    } }
  });
  if (!task) return /* @__PURE__ */ jsxs11("div", { class: "pad", children: [
    /* @__PURE__ */ jsx11("h1", { class: "hidden-text", children: "Task" }),
    /* @__PURE__ */ jsx11(Trouble4, { read: seen, what: "the task" })
  ] });
  const approval = task.holds.find((hold) => hold.startsWith("apr_"));
  const { done, total } = task.progress;
  return /* @__PURE__ */ jsxs11("div", { class: `task ${chosen ? "with-subtask" : ""}`, children: [
    /* @__PURE__ */ jsxs11("div", { class: "whole", children: [
      /* @__PURE__ */ jsxs11("header", { class: "task-head", children: [
        /* @__PURE__ */ jsxs11("div", { class: "title", children: [
          /* @__PURE__ */ jsx11("h1", { children: safe9(task.title) }),
          " ",
          /* @__PURE__ */ jsx11(State5, { look: lookOfTask2(task) })
        ] }),
        /* @__PURE__ */ jsxs11("div", { class: "acts", children: [
          approval && /* @__PURE__ */ jsx11("a", { class: "button main", href: written2(["inbox"], new URLSearchParams({ approval })), children: "Decide…" }),
          offers.map((each) => /* @__PURE__ */ jsx11(Act2, { action: each.action, kind: each.kind, busy, keys: each.key, run: each.run, children: each.name }, each.name))
        ] }),
        /* @__PURE__ */ jsxs11("p", { class: "facts-line", children: [
          grouped7(done),
          " of ",
          grouped7(total),
          " done",
          task.progress.failed > 0 && `, ${grouped7(task.progress.failed)} failed`,
          " · round ",
          task.round,
          " of ",
          task.max_rounds,
          task.usage.cost_micro_usd !== void 0 && ` · ${money3(task.usage.cost_micro_usd)}`,
          " · ",
          grouped7(task.usage.tokens ?? 0),
          " tokens · priority ",
          task.priority,
          " ",
          "· submitted ",
          /* @__PURE__ */ jsx11(When5, { time: task.created_at }),
          " · ",
          /* @__PURE__ */ jsx11("code", { children: task.id })
        ] }),
        Object.keys(task.labels).length > 0 && /* @__PURE__ */ jsx11("p", { class: "labels", children: /* @__PURE__ */ jsx11(Labels, { labels: task.labels }) }),
        task.description && /* @__PURE__ */ jsx11("p", { class: "description", tabIndex: 0, children: safe9(task.description.slice(0, 2e3)) }),
        problem && /* @__PURE__ */ jsx11(NotDone2, { error: problem })
      ] }),
      seen.error && /* @__PURE__ */ jsx11(Trouble4, { read: seen, what: "the task" }),
      /* @__PURE__ */ jsx11(Why, { task, choose: (subtask) => set({ subtask }) }),
      /* @__PURE__ */ jsx11("nav", { class: "tabs", "aria-label": "Of this task", children: TABS.map((each, at) => /* @__PURE__ */ jsx11("a", { class: "tab", href: to({ tab: at ? each : null }), "aria-current": each === tab ? "page" : void 0, children: each }, each)) }),
      tab === "results" ? /* @__PURE__ */ jsx11(Results, { task, subtasks }) : tab === "events" ? /* @__PURE__ */ jsx11(Events, { id: id2 }) : tab === "audit" ? /* @__PURE__ */ jsx11(AuditRecords, { id: id2 }) : tab === "messages" ? /* @__PURE__ */ jsx11(Messages, { id: id2 }) : /* @__PURE__ */ jsx11(Plan, { id: id2, subtasks, query, set })
    ] }),
    chosen !== void 0 && /* @__PURE__ */ jsx11(Inspector, { task: id2, subtask: chosen, close: () => set({ subtask: null }) }, chosen),
    asking && /* @__PURE__ */ jsx11(
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
