// src/pages/decision.tsx
import { useRef, useState } from "./app.js";
import { api, ApiError } from "./app.js";
import { edgesOf, Graph, nodesOf } from "./app.js";
import { useKeys } from "./app.js";
import { now, ofTask, say, useRead } from "./app.js";
import { Act, Ago, Command, NotDone, Refused, Skeleton, State, Value, When } from "./app.js";
import { go } from "./app.js";
import { may } from "./app.js";
import { grouped, head, lookOfTask, money, safe, until } from "./app.js";
import { KINDS, nameOf } from "./app.js";

// src/pages/inbox/diff.ts
var CELLS_MAX = 4e6;
function diff(before, after) {
  let begin = 0, end = 0;
  while (begin < before.length && begin < after.length && before[begin] === after[begin]) begin++;
  while (end < before.length - begin && end < after.length - begin && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  const lines = (sign, of) => of.map((text) => ({ sign, text }));
  const a = before.slice(begin, before.length - end), b = after.slice(begin, after.length - end);
  return [...lines(" ", before.slice(0, begin)), ...middle(a, b, lines), ...lines(" ", before.slice(before.length - end))];
}
function middle(a, b, lines) {
  const width = b.length + 1;
  if ((a.length + 1) * width > CELLS_MAX) return [...lines("-", a), ...lines("+", b)];
  const length = new Uint16Array((a.length + 1) * width);
  for (let i2 = a.length - 1; i2 >= 0; i2--) {
    for (let j2 = b.length - 1; j2 >= 0; j2--) {
      length[i2 * width + j2] = a[i2] === b[j2] ? length[(i2 + 1) * width + j2 + 1] + 1 : Math.max(length[(i2 + 1) * width + j2], length[i2 * width + j2 + 1]);
    }
  }
  const found = [];
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      found.push({ sign: " ", text: a[i] });
      i++;
      j++;
    } else if (j === b.length || i < a.length && length[(i + 1) * width + j] >= length[i * width + j + 1]) found.push({ sign: "-", text: a[i++] });
    else found.push({ sign: "+", text: b[j++] });
  }
  return found;
}
function folded(lines, around = 2) {
  const shown = /* @__PURE__ */ new Set();
  lines.forEach((line, at) => {
    if (line.sign !== " ") for (let near = at - around; near <= at + around; near++) shown.add(near);
  });
  const found = [];
  let left = 0;
  lines.forEach((line, at) => {
    if (!shown.has(at)) {
      left++;
      return;
    }
    if (left) found.push(left);
    left = 0;
    found.push(line);
  });
  return left && found.length ? [...found, left] : found;
}

// src/pages/decision.tsx
import { Fragment, jsx, jsxs } from "./app.js";
function Pane({ approval, cause, decided }) {
  if (approval) return /* @__PURE__ */ jsx(Decision, { id: approval, decided });
  if (cause) return /* @__PURE__ */ jsx(Why, { cause });
  return /* @__PURE__ */ jsxs("p", { class: "none", children: [
    /* @__PURE__ */ jsx("a", { class: "back", href: "#/inbox", children: "← Inbox" }),
    " This waits no more."
  ] });
}
var TASKS_SHOWN = 20;
function Why({ cause }) {
  const { tasks } = cause;
  return /* @__PURE__ */ jsxs("article", { "aria-labelledby": "cause", children: [
    /* @__PURE__ */ jsxs("p", { class: "over", children: [
      /* @__PURE__ */ jsx("a", { class: "back", href: "#/inbox", children: "← Inbox" }),
      " ",
      cause.count,
      " · ",
      cause.key.startsWith("failed ") ? "newest" : "since",
      " ",
      /* @__PURE__ */ jsx(When, { time: cause.since })
    ] }),
    /* @__PURE__ */ jsx("h2", { id: "cause", children: cause.title }),
    cause.detail && /* @__PURE__ */ jsx("p", { class: "said", children: safe(head(cause.detail, 2e3).text) }),
    cause.fix && /* @__PURE__ */ jsxs("p", { class: "helps", children: [
      /* @__PURE__ */ jsx("span", { children: "What helps" }),
      " ",
      /* @__PURE__ */ jsx(Command, { text: cause.fix })
    ] }),
    cause.explain && /* @__PURE__ */ jsx(Explained, { task: cause.explain }),
    !cause.explain && tasks.length > 0 && /* @__PURE__ */ jsxs("section", { class: "card", children: [
      /* @__PURE__ */ jsxs("h3", { children: [
        tasks.length,
        " ",
        tasks.length === 1 ? "task" : "tasks"
      ] }),
      /* @__PURE__ */ jsx("ul", { class: "of-tasks", children: tasks.slice(0, TASKS_SHOWN).map((task) => /* @__PURE__ */ jsxs("li", { children: [
        /* @__PURE__ */ jsx(State, { look: lookOfTask(task) }),
        /* @__PURE__ */ jsx("a", { href: `#/tasks/${task.id}`, children: safe(task.title) }),
        /* @__PURE__ */ jsx(Ago, { time: task.ended_at ?? task.updated_at })
      ] }, task.id)) }),
      tasks.length > TASKS_SHOWN && /* @__PURE__ */ jsxs("p", { class: "none", children: [
        "and ",
        tasks.length - TASKS_SHOWN,
        " more"
      ] })
    ] }),
    cause.more && /* @__PURE__ */ jsx("p", { class: "acts", children: /* @__PURE__ */ jsx("a", { class: "button", href: cause.more.href, children: cause.more.name }) })
  ] });
}
function Explained({ task }) {
  const reading = useRead(`explain ${task}`, () => api.explain(task), { on: ofTask(task), every: 1e4 });
  const seen = reading.state.value, found = seen.data;
  if (!found) return seen.error ? /* @__PURE__ */ jsx(Refused, { error: seen.error, what: "the explanation", stale: false, at: 0 }) : seen.slow ? /* @__PURE__ */ jsx(Skeleton, { rows: 3 }) : null;
  const causes = /* @__PURE__ */ new Map();
  for (const each of found.waiting) {
    const like = `${each.reason} ${each.fix ?? each.detail}`;
    causes.set(like, [...causes.get(like) ?? [], each]);
  }
  return /* @__PURE__ */ jsxs(Fragment, { children: [
    causes.size === 0 && /* @__PURE__ */ jsx("p", { class: "said", children: safe(found.summary) }),
    /* @__PURE__ */ jsx("ul", { class: "because", children: [...causes].slice(0, 6).map(([like, [each, ...others]]) => each && /* @__PURE__ */ jsxs("li", { children: [
      /* @__PURE__ */ jsx("b", { children: safe(each.key) || "The task" }),
      others.length > 0 && ` and ${others.length} more`,
      ": ",
      safe(each.detail),
      each.until && /* @__PURE__ */ jsxs(Fragment, { children: [
        " · at most until ",
        /* @__PURE__ */ jsx(When, { time: each.until })
      ] }),
      each.fix && /* @__PURE__ */ jsxs("p", { class: "helps", children: [
        /* @__PURE__ */ jsx("span", { children: "What helps" }),
        " ",
        /* @__PURE__ */ jsx(Command, { text: each.fix })
      ] })
    ] }, like)) })
  ] });
}
function Decision({ id, decided }) {
  const reading = useRead(`approval ${id}`, async () => {
    const approval2 = await api.approval(id);
    const found = may("task.read") ? await api.task(approval2.task_id).catch(() => null) : null;
    return { approval: approval2, task: found?.task ?? null };
  }, { every: 1e4 });
  const seen = reading.state.value;
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const [rejecting, setRejecting] = useState(false);
  const [reason, setReason] = useState(""), [answer, setAnswer] = useState("");
  const approval = seen.data?.approval;
  const read = useRef(void 0);
  const [, lookAgain] = useState(0);
  if (approval) read.current ??= { hash: approval.subject_hash, subject: approval.subject };
  const changed = approval !== void 0 && read.current.hash !== approval.subject_hash;
  async function decide(run, done) {
    if (!approval || busy) return;
    setBusy(true);
    setProblem(null);
    try {
      await run(approval);
      say(done);
      decided();
    } catch (thrown) {
      const error = thrown instanceof ApiError ? thrown : new ApiError(-1, "fault", String(thrown));
      setProblem(error);
      say(error.message);
      await reading.again();
      setBusy(false);
    }
  }
  const decidable = Boolean(approval && approval.state === "open" && !changed && may("approval.decide"));
  const approve = () => {
    if (decidable) void decide((each) => api.approve(each, ""), "Approved.");
  };
  const choices = approval?.choices ?? [], asks = approval?.kind === "question" || approval?.kind === "rounds";
  const pick = (choice) => {
    if (decidable) void decide((each) => api.answer(each, choice), `Answered: ${choice}.`);
  };
  useKeys({
    ...asks ? {} : { a: { does: "approve", run: approve } },
    x: { does: "reject, with a reason", run: () => {
      if (decidable) setRejecting(true);
    } },
    ...Object.fromEntries(choices.slice(0, 9).map((choice, index) => [String(index + 1), { does: `answer: ${choice}`, run: () => pick(choice) }])),
    Escape: { does: "back to the list", run: () => {
      if (rejecting) setRejecting(false);
      else go("#/inbox", true);
    } }
  });
  if (!approval) return seen.error ? /* @__PURE__ */ jsx(Refused, { error: seen.error, what: "the decision", stale: false, at: 0 }) : seen.slow ? /* @__PURE__ */ jsx(Skeleton, { rows: 6 }) : null;
  const task = seen.data.task;
  return /* @__PURE__ */ jsxs("article", { "aria-labelledby": "question", children: [
    /* @__PURE__ */ jsxs("p", { class: "over", children: [
      /* @__PURE__ */ jsx("a", { class: "back", href: "#/inbox", children: "← Inbox" }),
      " ",
      KINDS[approval.kind] ?? approval.kind,
      " · ",
      /* @__PURE__ */ jsx("a", { href: `#/tasks/${approval.task_id}`, children: safe(task?.title ?? approval.task_title ?? approval.task_id) })
    ] }),
    /* @__PURE__ */ jsx("h2", { id: "question", children: safe(approval.question) }),
    /* @__PURE__ */ jsxs("dl", { class: "facts", children: [
      /* @__PURE__ */ jsxs("div", { children: [
        /* @__PURE__ */ jsx("dt", { children: "asked by" }),
        /* @__PURE__ */ jsx("dd", { children: safe(nameOf(approval.asker || approval.asked_by)) || "–" })
      ] }),
      /* @__PURE__ */ jsxs("div", { children: [
        /* @__PURE__ */ jsx("dt", { children: "since" }),
        /* @__PURE__ */ jsxs("dd", { children: [
          /* @__PURE__ */ jsx(When, { time: approval.opened_at }),
          ", for ",
          /* @__PURE__ */ jsx(Ago, { time: approval.opened_at })
        ] })
      ] }),
      /* @__PURE__ */ jsxs("div", { children: [
        /* @__PURE__ */ jsx("dt", { children: "ends" }),
        /* @__PURE__ */ jsxs("dd", { children: [
          "in ",
          until(approval.expires_at, now.value),
          "; then it ",
          atExpiry(approval.at_expiry)
        ] })
      ] }),
      task && /* @__PURE__ */ jsxs("div", { children: [
        /* @__PURE__ */ jsx("dt", { children: "spent so far" }),
        /* @__PURE__ */ jsx("dd", { children: spent(task) })
      ] }),
      approval.step_up && /* @__PURE__ */ jsxs("div", { children: [
        /* @__PURE__ */ jsx("dt", { children: "needs" }),
        /* @__PURE__ */ jsxs("dd", { children: [
          "a sign-in of the last ",
          Math.round(approval.step_up.max_age_seconds / 60),
          " minutes, with a token"
        ] })
      ] }),
      /* @__PURE__ */ jsxs("div", { children: [
        /* @__PURE__ */ jsx("dt", { children: "what you sign" }),
        /* @__PURE__ */ jsxs("dd", { children: [
          /* @__PURE__ */ jsx("code", { class: "hash", children: approval.subject_hash }),
          /* @__PURE__ */ jsx("br", {}),
          /* @__PURE__ */ jsx("small", { children: "A change of it makes the decision void." })
        ] })
      ] })
    ] }),
    changed && /* @__PURE__ */ jsx(Difference, { before: read.current.subject, after: approval.subject, seen: () => {
      read.current = { hash: approval.subject_hash, subject: approval.subject };
      lookAgain((times) => times + 1);
    } }),
    /* @__PURE__ */ jsx(Subject, { approval, task }),
    problem && /* @__PURE__ */ jsx(NotDone, { error: problem }),
    approval.state !== "open" ? /* @__PURE__ */ jsxs("p", { class: "none", children: [
      "It is ",
      approval.state,
      approval.decision && `: ${approval.decision.verb} by ${safe(approval.decision.person_name ?? approval.decision.by)}`,
      "."
    ] }) : /* @__PURE__ */ jsxs("div", { class: "acts", children: [
      asks ? choices.map((choice, index) => /* @__PURE__ */ jsx(Act, { action: "approval.decide", kind: index ? "quiet" : "main", busy: busy || changed, run: () => pick(choice), ...index < 9 ? { keys: String(index + 1) } : {}, children: safe(choice) }, choice)) : /* @__PURE__ */ jsx(Act, { action: "approval.decide", kind: "main", busy: busy || changed, run: approve, keys: "a", children: "Approve" }),
      asks && !choices.length && /* @__PURE__ */ jsxs("form", { class: "reason", onSubmit: (event) => {
        event.preventDefault();
        if (answer.trim() && decidable) void decide((each) => api.answer(each, asValue(each, answer)), "Answered.");
      }, children: [
        /* @__PURE__ */ jsx("label", { for: "answer", children: "Your answer" }),
        /* @__PURE__ */ jsx("textarea", { id: "answer", rows: 3, value: answer, onInput: (event) => setAnswer(event.currentTarget.value) }),
        /* @__PURE__ */ jsx(Act, { action: "approval.decide", kind: "main", busy: busy || changed || !answer.trim(), submits: true, children: "Answer" })
      ] }),
      !rejecting && /* @__PURE__ */ jsx(Act, { action: "approval.decide", kind: "danger", busy: busy || changed, run: () => setRejecting(true), keys: "x", children: "Reject…" }),
      /* @__PURE__ */ jsx("a", { class: "button", href: `#/tasks/${approval.task_id}`, children: "Open the task" })
    ] }),
    rejecting && approval.state === "open" && /* @__PURE__ */ jsxs("form", { class: "reason", onSubmit: (event) => {
      event.preventDefault();
      if (reason.trim() && decidable) void decide((each) => api.reject(each, reason.trim()), "Rejected.");
    }, children: [
      /* @__PURE__ */ jsx("label", { for: "reason", children: "Why not? The reason is kept in the audit log." }),
      /* @__PURE__ */ jsx("textarea", { id: "reason", rows: 3, value: reason, ref: (element) => {
        if (element && document.activeElement?.tagName !== "TEXTAREA") element.focus();
      }, onInput: (event) => setReason(event.currentTarget.value) }),
      /* @__PURE__ */ jsx(Act, { action: "approval.decide", kind: "danger", busy: busy || changed || !reason.trim(), submits: true, children: "Reject" })
    ] })
  ] });
}
var atExpiry = (decision) => {
  const verb = decision?.verb;
  return !verb || verb === "reject" ? "counts as rejected" : verb === "approve" ? "counts as approved" : `is answered with ${head(decision.answer, 100).text}`;
};
function spent({ usage, budget }) {
  const limit = budget?.limit ?? {};
  const tokens = `${grouped(usage.tokens ?? 0)} tokens${limit.tokens ? ` of ${grouped(limit.tokens)}` : ""}`;
  if (usage.cost_micro_usd === void 0 && !limit.cost_micro_usd) return tokens;
  return `${money(usage.cost_micro_usd ?? 0)}${limit.cost_micro_usd ? ` of ${money(limit.cost_micro_usd)}` : ""} · ${tokens}`;
}
function Difference({ before, after, seen }) {
  const lines = (value) => head(value, 1 << 20).text.split("\n");
  const changes = folded(diff(lines(before), lines(after)));
  return /* @__PURE__ */ jsxs("section", { class: "trouble", role: "alert", children: [
    /* @__PURE__ */ jsx("strong", { children: "It has changed since you read it." }),
    " Nothing was sent again.",
    changes.length > 0 ? " The difference:" : " What is shown of it is the same; what its hash also covers is not.",
    changes.length > 0 && /* @__PURE__ */ jsx("pre", { class: "diff", tabIndex: 0, role: "region", "aria-label": "Difference", children: changes.map((each, at) => typeof each === "number" ? /* @__PURE__ */ jsx("i", { children: `  … ${each} ${each === 1 ? "line" : "lines"} alike
` }, at) : each.sign === "+" ? /* @__PURE__ */ jsx("ins", { children: `+ ${each.text}
` }, at) : each.sign === "-" ? /* @__PURE__ */ jsx("del", { children: `- ${each.text}
` }, at) : `  ${each.text}
`) }),
    /* @__PURE__ */ jsx("button", { type: "button", class: "small", onClick: seen, children: "I have read it" })
  ] });
}
function Subject({ approval, task }) {
  const subject = approval.subject ?? {};
  const plan = approval.kind === "plan" && Array.isArray(subject.subtasks) ? subject.subtasks : null;
  const results = approval.kind === "final" && Array.isArray(subject.results) ? subject.results : null;
  const verdict = approval.kind === "final" || approval.kind === "rounds" ? task?.verdict ?? subject.verdict : void 0;
  const more = plan ? (subject.subtasks_total ?? 0) - plan.length : results ? (subject.results_total ?? 0) - results.length : 0;
  return /* @__PURE__ */ jsxs(Fragment, { children: [
    verdict && /* @__PURE__ */ jsx(Judged, { verdict }),
    plan && /* @__PURE__ */ jsxs("section", { class: "card", children: [
      /* @__PURE__ */ jsxs("h3", { children: [
        "The plan: ",
        plan.length,
        " ",
        plan.length === 1 ? "subtask" : "subtasks",
        more > 0 && ` and ${more} more`
      ] }),
      /* @__PURE__ */ jsx(Graph, { nodes: nodesOf(plan), edges: edgesOf(plan), label: "The plan" }),
      /* @__PURE__ */ jsx(PlanTable, { subtasks: plan })
    ] }),
    results && /* @__PURE__ */ jsxs("section", { class: "card", children: [
      /* @__PURE__ */ jsxs("h3", { children: [
        "The result: ",
        results.length,
        " ",
        results.length === 1 ? "output" : "outputs",
        more > 0 && ` and ${more} more`
      ] }),
      results.map((each) => /* @__PURE__ */ jsx(Output, { task: approval.task_id, alone: results.length === 1, ...each }, each.subtask))
    ] }),
    approval.kind === "question" ? null : plan || results ? /* @__PURE__ */ jsxs("details", { class: "card", children: [
      /* @__PURE__ */ jsx("summary", { children: "All that you sign, as JSON" }),
      /* @__PURE__ */ jsx(Value, { value: approval.subject, name: "All that you sign" })
    ] }) : /* @__PURE__ */ jsxs("section", { class: "card", children: [
      /* @__PURE__ */ jsx("h3", { children: "What you sign" }),
      /* @__PURE__ */ jsx(Value, { value: approval.subject, name: "What you sign" })
    ] })
  ] });
}
function Judged({ verdict }) {
  const tone = verdict.decision === "accept" ? "ok" : verdict.decision === "reject" ? "bad" : "hold";
  return /* @__PURE__ */ jsxs("section", { class: "card", children: [
    /* @__PURE__ */ jsx("h3", { children: "Verdict" }),
    /* @__PURE__ */ jsxs("p", { children: [
      /* @__PURE__ */ jsx(State, { look: { tone, word: verdict.decision } }),
      verdict.score !== null && ` · score ${verdict.score}`
    ] }),
    verdict.reasons.length > 0 && /* @__PURE__ */ jsx("ul", { class: "reasons", children: verdict.reasons.map((reason) => /* @__PURE__ */ jsx("li", { children: safe(reason) }, reason)) }),
    verdict.findings?.length > 0 && /* @__PURE__ */ jsx("ul", { class: "reasons", children: verdict.findings.map((each, at) => /* @__PURE__ */ jsxs("li", { children: [
      /* @__PURE__ */ jsx("b", { children: safe(each.severity ?? "finding") }),
      " ",
      safe(each.text ?? "")
    ] }, at)) })
  ] });
}
function Output({ task, subtask, sha256, alone }) {
  const [found, setFound] = useState(void 0);
  const [open, setOpen] = useState(alone);
  const read = (event) => {
    const wanted = event.currentTarget.open;
    setOpen(wanted);
    if (wanted && found === void 0) api.subtask(task, subtask).then(setFound, setFound);
  };
  return /* @__PURE__ */ jsxs("details", { open, onToggle: read, children: [
    /* @__PURE__ */ jsxs("summary", { children: [
      safe(subtask),
      " ",
      /* @__PURE__ */ jsxs("code", { class: "hash", children: [
        sha256.slice(0, 16),
        "…"
      ] })
    ] }),
    found instanceof Error ? /* @__PURE__ */ jsx(Refused, { error: found, what: "the output", stale: false, at: 0 }) : found === void 0 ? open && /* @__PURE__ */ jsx(Skeleton, { rows: 2 }) : found.output === null && !may("output.read") ? /* @__PURE__ */ jsx("p", { class: "none", children: "Outputs are shown to whose role has output.read: client, operator, approver, admin." }) : /* @__PURE__ */ jsx(Value, { value: found.output, name: `Output of ${safe(subtask)}` })
  ] });
}
function asValue(approval, text) {
  if (!approval.schema || approval.schema.type === "string") return text.trim();
  try {
    return JSON.parse(text);
  } catch {
    return text.trim();
  }
}
function PlanTable({ subtasks }) {
  return /* @__PURE__ */ jsx("div", { class: "scroll-x", tabIndex: 0, role: "region", "aria-label": "Subtasks of the plan", children: /* @__PURE__ */ jsxs("table", { children: [
    /* @__PURE__ */ jsx("thead", { children: /* @__PURE__ */ jsxs("tr", { children: [
      /* @__PURE__ */ jsx("th", { scope: "col", children: "Subtask" }),
      /* @__PURE__ */ jsx("th", { scope: "col", children: "What it does" }),
      /* @__PURE__ */ jsx("th", { scope: "col", children: "Needs" })
    ] }) }),
    /* @__PURE__ */ jsx("tbody", { children: subtasks.map((each) => /* @__PURE__ */ jsxs("tr", { children: [
      /* @__PURE__ */ jsx("th", { scope: "row", children: safe(each.key) }),
      /* @__PURE__ */ jsx("td", { children: safe(each.description) }),
      /* @__PURE__ */ jsx("td", { children: (each.required_skills ?? []).map(safe).join(", ") })
    ] }, each.key)) })
  ] }) });
}
export {
  Pane
};
