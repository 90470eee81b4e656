import { Fragment, el, useRef, useState } from "./runtime.js";
import { api, edgesOf, Graph, nodesOf, useKeys, now, ofTask, useRead, Act, Ago, Command, Fact, NotDone, Refused, Skeleton, State, Table, Trouble, Value, When, useAct, useDraft, go, may, counted, grouped, head, lookOfTask, lookOfVerdict, money, safe, together, until, KINDS, nameOf } from "./app.js";
// src/pages/decision.tsx

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
function Pane({ approval, cause, decided }) {
  if (approval) return el(Decision, { id: approval, decided });
  if (cause) return el(Why, { cause });
  return el("p", { class: "none" }, el("a", { class: "back", href: "#/inbox" }, "← Inbox"), " This waits no more.");
}
var TASKS_SHOWN = 20;
function Why({ cause }) {
  const { tasks } = cause;
  return el("article", { "aria-labelledby": "cause" },
  el("p", { class: "over" },
  el("a", { class: "back", href: "#/inbox" }, "← Inbox"), " ", cause.count, " · ", cause.key.startsWith("failed ") ? "newest" : "since", " ",
  el(When, { time: cause.since })),
  el("h2", { id: "cause" }, cause.title), cause.detail && el("p", { class: "said" }, safe(head(cause.detail, 2e3).text)), cause.fix && el("p", { class: "helps" },
  el("span", null, "What helps"), " ",
  el(Command, { text: cause.fix })), cause.explain && el(Explained, { task: cause.explain }), !cause.explain && tasks.length > 0 && el("section", { class: "card" },
  el("h3", null, counted(tasks.length, "task")),
  el("ul", { class: "of-tasks" }, tasks.slice(0, TASKS_SHOWN).map((task) => el("li", { key: task.id },
  el(State, { look: lookOfTask(task) }),
  el("a", { href: `#/tasks/${task.id}` }, safe(task.title)),
  el(Ago, { time: task.ended_at ?? task.updated_at })))), tasks.length > TASKS_SHOWN && el("p", { class: "none" }, "and ", tasks.length - TASKS_SHOWN, " more")), cause.more && el("p", { class: "acts" },
  el("a", { class: "button", href: cause.more.href }, cause.more.name)));
}
function Explained({ task }) {
  const reading = useRead(`explain ${task}`, () => api.explain(task), { on: ofTask(task), every: 1e4 });
  const seen = reading.state.value, found = seen.data;
  if (!found) return el(Trouble, { read: seen, what: "the explanation" });
  const causes = together(found.waiting, (each) => `${each.reason} ${each.fix ?? each.detail}`);
  return el(Fragment, null, causes.size === 0 && el("p", { class: "said" }, safe(found.summary)),
  el("ul", { class: "because" }, [...causes].slice(0, 6).map(([like, [each, ...others]]) => each && el("li", { key: like },
  el("b", null, safe(each.key) || "The task"), others.length > 0 && ` and ${others.length} more`, ": ", safe(each.detail), each.until && el(Fragment, null, " · at most until ",
  el(When, { time: each.until })), each.fix && el("p", { class: "helps" },
  el("span", null, "What helps"), " ",
  el(Command, { text: each.fix }))))));
}
function Decision({ id, decided }) {
  const reading = useRead(`approval ${id}`, async () => {
    const approval2 = await api.approval(id);
    const found = may("task.read") ? await api.task(approval2.task_id).catch(() => null) : null;
    return { approval: approval2, task: found?.task ?? null };
  }, { every: 1e4 });
  const seen = reading.state.value;
  const doing = useAct(), { busy, problem } = doing;
  const [reason, setReason] = useDraft(`reason ${id}`), [answer, setAnswer] = useDraft(`answer ${id}`);
  const [rejecting, setRejecting] = useState(Boolean(reason));
  const approval = seen.data?.approval;
  const read = useRef(void 0);
  const [, lookAgain] = useState(0);
  if (approval) read.current ??= { hash: approval.subject_hash, subject: approval.subject };
  const changed = approval !== void 0 && read.current.hash !== approval.subject_hash;
  async function decide(run, done) {
    await doing.run(async () => {
      try {
        await run(approval);
      } catch (refused) {
        await reading.again();
        throw refused;
      }
      decided();
    }, done);
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
  if (!approval) return el(Trouble, { read: seen, what: "the decision" });
  const task = seen.data.task;
  return el("article", { "aria-labelledby": "question" },
  el("p", { class: "over" },
  el("a", { class: "back", href: "#/inbox" }, "← Inbox"), " ", KINDS[approval.kind] ?? approval.kind, " · ",
  el("a", { href: `#/tasks/${approval.task_id}` }, safe(task?.title ?? approval.task_title ?? approval.task_id))),
  el("h2", { id: "question" }, safe(approval.question)),
  el("dl", { class: "facts" },
  el(Fact, { name: "asked by" }, safe(nameOf(approval.asker || approval.asked_by)) || "–"),
  el(Fact, { name: "since" },
  el(When, { time: approval.opened_at }), ", for ",
  el(Ago, { time: approval.opened_at })),
  el(Fact, { name: "ends" }, "in ", until(approval.expires_at, now.value), "; then it ", atExpiry(approval.at_expiry)), task && el(Fact, { name: "spent so far" }, spent(task)), approval.step_up && el(Fact, { name: "needs" }, "a sign-in of the last ", Math.round(approval.step_up.max_age_seconds / 60), " minutes, with a token"),
  el(Fact, { name: "what you sign" },
  el("code", { class: "hash" }, approval.subject_hash),
  el("br", null),
  el("small", null, "A change of it makes the decision void."))), changed && el(Difference, { before: read.current.subject, after: approval.subject, seen: () => {
    read.current = { hash: approval.subject_hash, subject: approval.subject };
    lookAgain((times) => times + 1);
  } }),
  el(Subject, { approval, task }), problem && el(NotDone, { error: problem }), approval.state !== "open" ? el("p", { class: "none" }, "It is ", approval.state, approval.decision && `: ${approval.decision.verb} by ${safe(approval.decision.person_name ?? approval.decision.by)}`, ".") : el("div", { class: "acts" }, asks ? choices.map((choice, index) => el(Act, { key: choice, action: "approval.decide", kind: index ? "quiet" : "main", busy: busy || changed, run: () => pick(choice), ...index < 9 ? { keys: String(index + 1) } : {} }, safe(choice))) : el(Act, { action: "approval.decide", kind: "main", busy: busy || changed, run: approve, keys: "a" }, "Approve"), asks && !choices.length && el("form", { class: "reason", onSubmit: (event) => {
    event.preventDefault();
    if (answer.trim() && decidable) void decide((each) => api.answer(each, asValue(each, answer)), "Answered.");
  } },
  el("label", { for: "answer" }, "Your answer"),
  el("textarea", { id: "answer", rows: 3, value: answer, onInput: (event) => setAnswer(event.currentTarget.value) }),
  el(Act, { action: "approval.decide", kind: "main", busy: busy || changed || !answer.trim(), submits: true }, "Answer")), !rejecting && el(Act, { action: "approval.decide", kind: "danger", busy: busy || changed, run: () => setRejecting(true), keys: "x" }, "Reject…"),
  el("a", { class: "button", href: `#/tasks/${approval.task_id}` }, "Open the task")), rejecting && approval.state === "open" && el("form", { class: "reason", onSubmit: (event) => {
    event.preventDefault();
    if (reason.trim() && decidable) void decide((each) => api.reject(each, reason.trim()), "Rejected.");
  } },
  el("label", { for: "reason" }, "Why not? The reason is kept in the audit log."),
  el("textarea", { id: "reason", rows: 3, value: reason, ref: (element) => {
    if (element && document.activeElement?.tagName !== "TEXTAREA") element.focus();
  }, onInput: (event) => setReason(event.currentTarget.value) }),
  el(Act, { action: "approval.decide", kind: "danger", busy: busy || changed || !reason.trim(), submits: true }, "Reject")));
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
  return el("section", { class: "trouble", role: "alert" },
  el("strong", null, "It has changed since you read it."), " Nothing was sent again.", changes.length > 0 ? " The difference:" : " What is shown of it is the same; what its hash also covers is not.", changes.length > 0 && el("pre", { class: "diff", tabIndex: 0, role: "region", "aria-label": "Difference" }, changes.map((each, at) => typeof each === "number" ? el("i", { key: at }, `  … ${counted(each, "line")} alike
`) : each.sign === "+" ? el("ins", { key: at }, `+ ${each.text}
`) : each.sign === "-" ? el("del", { key: at }, `- ${each.text}
`) : `  ${each.text}
`)), el("button", { type: "button", class: "small", onClick: seen }, "I have read it"));
}
function Subject({ approval, task }) {
  const subject = approval.subject ?? {};
  const plan = approval.kind === "plan" && Array.isArray(subject.subtasks) ? subject.subtasks : null;
  const results = approval.kind === "final" && Array.isArray(subject.results) ? subject.results : null;
  const verdict = approval.kind === "final" || approval.kind === "rounds" ? task?.verdict ?? subject.verdict : void 0;
  const more = plan ? (subject.subtasks_total ?? 0) - plan.length : results ? (subject.results_total ?? 0) - results.length : 0;
  return el(Fragment, null, verdict && el(Judged, { verdict }), plan && el("section", { class: "card" },
  el("h3", null, "The plan: ", counted(plan.length, "subtask"), more > 0 && ` and ${more} more`),
  el(Graph, { nodes: nodesOf(plan), edges: edgesOf(plan), label: "The plan" }),
  el(PlanTable, { subtasks: plan })), results && el("section", { class: "card" },
  el("h3", null, "The result: ", counted(results.length, "output"), more > 0 && ` and ${more} more`), results.map((each) => el(Output, { key: each.subtask, task: approval.task_id, alone: results.length === 1, ...each }))), approval.kind === "question" ? null : plan || results ? el("details", { class: "card" },
  el("summary", null, "All that you sign, as JSON"),
  el(Value, { value: approval.subject, name: "All that you sign" })) : el("section", { class: "card" },
  el("h3", null, "What you sign"),
  el(Value, { value: approval.subject, name: "What you sign" })));
}
function Judged({ verdict }) {
  return el("section", { class: "card" },
  el("h3", null, "Verdict"),
  el("p", null,
  el(State, { look: lookOfVerdict(verdict.decision) }), verdict.score !== null && ` · score ${verdict.score}`), verdict.reasons.length > 0 && el("ul", { class: "reasons" }, verdict.reasons.map((reason) => el("li", { key: reason }, safe(reason)))), verdict.findings?.length > 0 && el("ul", { class: "reasons" }, verdict.findings.map((each, at) => el("li", { key: at },
  el("b", null, safe(each.severity ?? "finding")), " ", safe(each.text ?? "")))));
}
function Output({ task, subtask, sha256, alone }) {
  const [found, setFound] = useState(void 0);
  const [open, setOpen] = useState(alone);
  const read = (event) => {
    const wanted = event.currentTarget.open;
    setOpen(wanted);
    if (wanted && found === void 0) api.subtask(task, subtask).then(setFound, setFound);
  };
  return el("details", { open, onToggle: read },
  el("summary", null, safe(subtask), " ",
  el("code", { class: "hash" }, sha256.slice(0, 16), "…")), found instanceof Error ? el(Refused, { error: found, what: "the output", stale: false, at: 0 }) : found === void 0 ? open && el(Skeleton, { rows: 2 }) : found.output === null && !may("output.read") ? el("p", { class: "none" }, "Outputs are shown to whose role has output.read: client, operator, approver, admin.") : el(Value, { value: found.output, name: `Output of ${safe(subtask)}` }));
}
function asValue(approval, text) {
  if (!approval.schema || approval.schema.type === "string") return text.trim();
  try {
    return JSON.parse(text);
  } catch {
    return text.trim();
  }
}
var PlanTable = ({ subtasks }) => el(Table, { name: "Subtasks of the plan", columns: ["Subtask", "What it does", "Needs"] }, subtasks.map((each) => el("tr", { key: each.key },
el("th", { scope: "row" }, safe(each.key)),
el("td", null, safe(each.description)),
el("td", null, (each.required_skills ?? []).map(safe).join(", ")))));
export {
  Pane
};
