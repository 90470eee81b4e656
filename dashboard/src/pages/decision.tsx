// What is chosen in the inbox: a decision with its facts and what exactly is signed, or a cause with the command that helps.

import { useRef, useState } from "preact/hooks";
import { api, ApiError, type Approval, type Explanation, type Task, type Verdict, type Waiting } from "../api.ts";
import { edgesOf, Graph, nodesOf } from "../plan.ts";
import { useKeys } from "../keys.ts";
import { now, ofTask, useRead } from "../live.ts";
import { Act, Ago, Command, Fact, NotDone, Refused, Skeleton, State, Table, Trouble, Value, When, useAct, useDraft } from "../parts.tsx";
import { go } from "../route.ts";
import { may } from "../state.ts";
import { counted, grouped, head, lookOfTask, lookOfVerdict, money, safe, together, until } from "../words.ts";
import { KINDS, nameOf, type PaneProps } from "./inbox.tsx";
import type { Cause } from "./inbox/causes.ts";
import { diff, folded } from "./inbox/diff.ts";

export function Pane({ approval, cause, decided }: PaneProps) {
  if (approval) return <Decision id={approval} decided={decided} />;
  if (cause) return <Why cause={cause} />;
  return <p class="none"><a class="back" href="#/inbox">← Inbox</a> This waits no more.</p>;
}

// ---- A cause ---------------------------------------------------------------------------------------------------------

const TASKS_SHOWN = 20;

function Why({ cause }: { cause: Cause }) {
  const { tasks } = cause;
  return (
    <article aria-labelledby="cause">
      <p class="over"><a class="back" href="#/inbox">← Inbox</a> {cause.count} · {cause.key.startsWith("failed ") ? "newest" : "since"} <When time={cause.since} /></p>
      <h2 id="cause">{cause.title}</h2>
      {cause.detail && <p class="said">{safe(head(cause.detail, 2_000).text)}</p>}
      {cause.fix && <p class="helps"><span>What helps</span> <Command text={cause.fix} /></p>}
      {cause.explain && <Explained task={cause.explain} />}
      {!cause.explain && tasks.length > 0 && (
        <section class="card">
          <h3>{counted(tasks.length, "task")}</h3>
          <ul class="of-tasks">
            {tasks.slice(0, TASKS_SHOWN).map((task) => (
              <li key={task.id}><State look={lookOfTask(task)} /><a href={`#/tasks/${task.id}`}>{safe(task.title)}</a><Ago time={task.ended_at ?? task.updated_at} /></li>
            ))}
          </ul>
          {tasks.length > TASKS_SHOWN && <p class="none">and {tasks.length - TASKS_SHOWN} more</p>}
        </section>
      )}
      {cause.more && <p class="acts"><a class="button" href={cause.more.href}>{cause.more.name}</a></p>}
    </article>
  );
}

/** Why a task is not done: what it says of itself, alike items once. */
function Explained({ task }: { task: string }) {
  const reading = useRead<Explanation>(`explain ${task}`, () => api.explain(task), { on: ofTask(task), every: 10_000 });
  const seen = reading.state.value, found = seen.data;
  if (!found) return <Trouble read={seen} what="the explanation" />;
  const causes = together(found.waiting, (each: Waiting) => `${each.reason} ${each.fix ?? each.detail}`);
  return (
    <>
      {causes.size === 0 && <p class="said">{safe(found.summary)}</p>}
      <ul class="because">
        {[...causes].slice(0, 6).map(([like, [each, ...others]]) => each && (
          <li key={like}>
            <b>{safe(each.key) || "The task"}</b>{others.length > 0 && ` and ${others.length} more`}: {safe(each.detail)}{each.until && <> · at most until <When time={each.until} /></>}
            {each.fix && <p class="helps"><span>What helps</span> <Command text={each.fix} /></p>}
          </li>
        ))}
      </ul>
    </>
  );
}

// ---- A decision ------------------------------------------------------------------------------------------------------

interface Shown { hash: string; subject: unknown }

function Decision({ id, decided }: { id: string; decided: () => void }) {
  const reading = useRead(`approval ${id}`, async () => {
    const approval = await api.approval(id);
    // Whoever decides also wants to know of which task, and what it has cost so far.
    const found = may("task.read") ? await api.task(approval.task_id).catch(() => null) : null;
    return { approval, task: found?.task ?? null };
  }, { every: 10_000 });
  const seen = reading.state.value;
  const doing = useAct(), { busy, problem } = doing;
  const [reason, setReason] = useDraft(`reason ${id}`), [answer, setAnswer] = useDraft(`answer ${id}`);
  const [rejecting, setRejecting] = useState(Boolean(reason));
  // What was on the screen when the person began to read is what is decided on: a newer one shows its difference.
  // Noted while it is drawn, not after: the key that decides may come at once.
  const approval = seen.data?.approval;
  const read = useRef<Shown | undefined>(undefined);
  const [, lookAgain] = useState(0);
  if (approval) read.current ??= { hash: approval.subject_hash, subject: approval.subject };
  const changed = approval !== undefined && read.current!.hash !== approval.subject_hash;

  async function decide(run: (approval: Approval) => Promise<Approval>, done: string): Promise<void> {
    await doing.run(async () => {
      try {
        await run(approval!);
      } catch (refused) {
        await reading.again(); // never sent again by itself: the person looks at what it is now
        throw refused;
      }
      decided();
    }, done);
  }
  const decidable = Boolean(approval && approval.state === "open" && !changed && may("approval.decide"));
  const approve = () => { if (decidable) void decide((each) => api.approve(each, ""), "Approved."); };
  const choices = approval?.choices ?? [], asks = approval?.kind === "question" || approval?.kind === "rounds";
  const pick = (choice: string) => { if (decidable) void decide((each) => api.answer(each, choice), `Answered: ${choice}.`); };
  useKeys({
    ...(asks ? {} : { a: { does: "approve", run: approve } }),
    x: { does: "reject, with a reason", run: () => { if (decidable) setRejecting(true); } },
    ...Object.fromEntries(choices.slice(0, 9).map((choice, index) => [String(index + 1), { does: `answer: ${choice}`, run: () => pick(choice) }])),
    Escape: { does: "back to the list", run: () => { if (rejecting) setRejecting(false); else go("#/inbox", true); } },
  });
  if (!approval) return <Trouble read={seen} what="the decision" />;
  const task = seen.data!.task;
  return (
    <article aria-labelledby="question">
      <p class="over"><a class="back" href="#/inbox">← Inbox</a> {KINDS[approval.kind] ?? approval.kind} · <a href={`#/tasks/${approval.task_id}`}>{safe(task?.title ?? approval.task_title ?? approval.task_id)}</a></p>
      <h2 id="question">{safe(approval.question)}</h2>
      <dl class="facts">
        <Fact name="asked by">{safe(nameOf(approval.asker || approval.asked_by)) || "–"}</Fact>
        <Fact name="since"><When time={approval.opened_at} />, for <Ago time={approval.opened_at} /></Fact>
        <Fact name="ends">in {until(approval.expires_at, now.value)}; then it {atExpiry(approval.at_expiry)}</Fact>
        {task && <Fact name="spent so far">{spent(task)}</Fact>}
        {approval.step_up && <Fact name="needs">a sign-in of the last {Math.round(approval.step_up.max_age_seconds / 60)} minutes, with a token</Fact>}
        <Fact name="what you sign"><code class="hash">{approval.subject_hash}</code><br /><small>A change of it makes the decision void.</small></Fact>
      </dl>
      {changed && <Difference before={read.current!.subject} after={approval.subject} seen={() => { read.current = { hash: approval.subject_hash, subject: approval.subject }; lookAgain((times) => times + 1); }} />}
      <Subject approval={approval} task={task} />
      {problem && <NotDone error={problem} />}
      {approval.state !== "open" ? <p class="none">It is {approval.state}{approval.decision && `: ${approval.decision.verb} by ${safe(approval.decision.person_name ?? approval.decision.by)}`}.</p> : (
        <div class="acts">
          {asks ? choices.map((choice, index) => (
            <Act key={choice} action="approval.decide" kind={index ? "quiet" : "main"} busy={busy || changed} run={() => pick(choice)} {...(index < 9 ? { keys: String(index + 1) } : {})}>{safe(choice)}</Act>
          )) : <Act action="approval.decide" kind="main" busy={busy || changed} run={approve} keys="a">Approve</Act>}
          {asks && !choices.length && (
            <form class="reason" onSubmit={(event) => { event.preventDefault(); if (answer.trim() && decidable) void decide((each) => api.answer(each, asValue(each, answer)), "Answered."); }}>
              <label for="answer">Your answer</label>
              <textarea id="answer" rows={3} value={answer} onInput={(event) => setAnswer(event.currentTarget.value)} />
              <Act action="approval.decide" kind="main" busy={busy || changed || !answer.trim()} submits>Answer</Act>
            </form>
          )}
          {!rejecting && <Act action="approval.decide" kind="danger" busy={busy || changed} run={() => setRejecting(true)} keys="x">Reject…</Act>}
          <a class="button" href={`#/tasks/${approval.task_id}`}>Open the task</a>
        </div>
      )}
      {rejecting && approval.state === "open" && (
        <form class="reason" onSubmit={(event) => { event.preventDefault(); if (reason.trim() && decidable) void decide((each) => api.reject(each, reason.trim()), "Rejected."); }}>
          <label for="reason">Why not? The reason is kept in the audit log.</label>
          <textarea id="reason" rows={3} value={reason} ref={(element) => { if (element && document.activeElement?.tagName !== "TEXTAREA") element.focus(); }} onInput={(event) => setReason(event.currentTarget.value)} />
          <Act action="approval.decide" kind="danger" busy={busy || changed || !reason.trim()} submits>Reject</Act>
        </form>
      )}
    </article>
  );
}

const atExpiry = (decision: unknown): string => {
  const verb = (decision as { verb?: string; answer?: unknown } | null)?.verb;
  return !verb || verb === "reject" ? "counts as rejected" : verb === "approve" ? "counts as approved" : `is answered with ${head((decision as { answer?: unknown }).answer, 100).text}`;
};

function spent({ usage, budget }: Task): string {
  const limit = budget?.limit ?? {};
  const tokens = `${grouped(usage.tokens ?? 0)} tokens${limit.tokens ? ` of ${grouped(limit.tokens)}` : ""}`;
  if (usage.cost_micro_usd === undefined && !limit.cost_micro_usd) return tokens;
  return `${money(usage.cost_micro_usd ?? 0)}${limit.cost_micro_usd ? ` of ${money(limit.cost_micro_usd)}` : ""} · ${tokens}`;
}

/** What has changed since the person began to read, by lines. */
function Difference({ before, after, seen }: { before: unknown; after: unknown; seen: () => void }) {
  const lines = (value: unknown) => head(value, 1 << 20).text.split("\n");
  const changes = folded(diff(lines(before), lines(after)));
  return (
    <section class="trouble" role="alert">
      <strong>It has changed since you read it.</strong> Nothing was sent again.{changes.length > 0 ? " The difference:" : " What is shown of it is the same; what its hash also covers is not."}
      {changes.length > 0 && (
        <pre class="diff" tabIndex={0} role="region" aria-label="Difference">
          {changes.map((each, at) => typeof each === "number"
            ? <i key={at}>{`  … ${counted(each, "line")} alike\n`}</i>
            : each.sign === "+" ? <ins key={at}>{`+ ${each.text}\n`}</ins> : each.sign === "-" ? <del key={at}>{`- ${each.text}\n`}</del> : `  ${each.text}\n`)}
        </pre>
      )}
      <button type="button" class="small" onClick={seen}>I have read it</button>
    </section>
  );
}

type Parts = Parameters<typeof nodesOf>[0];
interface Signed { subtasks?: Parts; subtasks_total?: number; results?: { subtask: string; sha256: string }[]; results_total?: number; verdict?: Verdict }

function Subject({ approval, task }: { approval: Approval; task: Task | null }) {
  const subject = (approval.subject ?? {}) as Signed;
  const plan = approval.kind === "plan" && Array.isArray(subject.subtasks) ? subject.subtasks : null;
  const results = approval.kind === "final" && Array.isArray(subject.results) ? subject.results : null;
  const verdict = approval.kind === "final" || approval.kind === "rounds" ? task?.verdict ?? subject.verdict : undefined;
  const more = plan ? (subject.subtasks_total ?? 0) - plan.length : results ? (subject.results_total ?? 0) - results.length : 0;
  return (
    <>
      {verdict && <Judged verdict={verdict} />}
      {plan && <section class="card"><h3>The plan: {counted(plan.length, "subtask")}{more > 0 && ` and ${more} more`}</h3><Graph nodes={nodesOf(plan)} edges={edgesOf(plan)} label="The plan" /><PlanTable subtasks={plan} /></section>}
      {results && <section class="card"><h3>The result: {counted(results.length, "output")}{more > 0 && ` and ${more} more`}</h3>{results.map((each) => <Output key={each.subtask} task={approval.task_id} alone={results.length === 1} {...each} />)}</section>}
      {approval.kind === "question"
        ? null
        : plan || results
          ? <details class="card"><summary>All that you sign, as JSON</summary><Value value={approval.subject} name="All that you sign" /></details>
          : <section class="card"><h3>What you sign</h3><Value value={approval.subject} name="What you sign" /></section>}
    </>
  );
}

function Judged({ verdict }: { verdict: Verdict }) {
  return (
    <section class="card">
      <h3>Verdict</h3>
      <p><State look={lookOfVerdict(verdict.decision)} />{verdict.score !== null && ` · score ${verdict.score}`}</p>
      {verdict.reasons.length > 0 && <ul class="reasons">{verdict.reasons.map((reason) => <li key={reason}>{safe(reason)}</li>)}</ul>}
      {verdict.findings?.length > 0 && <ul class="reasons">{verdict.findings.map((each, at) => <li key={at}><b>{safe(each.severity ?? "finding")}</b> {safe(each.text ?? "")}</li>)}</ul>}
    </section>
  );
}

/** An output is read when somebody wants to see it; the only one, at once. */
function Output({ task, subtask, sha256, alone }: { task: string; subtask: string; sha256: string; alone: boolean }) {
  const [found, setFound] = useState<{ output: unknown } | ApiError | undefined>(undefined);
  const [open, setOpen] = useState(alone);
  const read = (event: Event) => {
    const wanted = (event.currentTarget as HTMLDetailsElement).open;
    setOpen(wanted);
    if (wanted && found === undefined) api.subtask(task, subtask).then(setFound, setFound);
  };
  return (
    <details open={open} onToggle={read}>
      <summary>{safe(subtask)} <code class="hash">{sha256.slice(0, 16)}…</code></summary>
      {found instanceof Error ? <Refused error={found} what="the output" stale={false} at={0} />
        : found === undefined ? open && <Skeleton rows={2} />
        : found.output === null && !may("output.read") ? <p class="none">Outputs are shown to whose role has output.read: client, operator, approver, admin.</p>
        : <Value value={found.output} name={`Output of ${safe(subtask)}`} />}
    </details>
  );
}

/** A bot that gave a schema wants a value of that kind; otherwise the answer is text. */
function asValue(approval: Approval, text: string): unknown {
  if (!approval.schema || approval.schema.type === "string") return text.trim();
  try {
    return JSON.parse(text);
  } catch {
    return text.trim();
  }
}

const PlanTable = ({ subtasks }: { subtasks: Parts }) => (
  <Table name="Subtasks of the plan" columns={["Subtask", "What it does", "Needs"]}>
    {subtasks.map((each) => <tr key={each.key}><th scope="row">{safe(each.key)}</th><td>{safe(each.description)}</td><td>{(each.required_skills ?? []).map(safe).join(", ")}</td></tr>)}
  </Table>
);
