// The inbox is home: what needs a person, soonest end first; what is stuck, by cause; what failed within a day, by error.
// On the right the decision that is open in the address.

import { useEffect, useRef, useState } from "preact/hooks";
import { api, ApiError, type Approval, type Page, type Skill, type Task } from "../api.ts";
import { Graph, edgesOf, nodesOf } from "../graph.tsx";
import { useKeys } from "../keys.ts";
import { approvalsOpen, now, say, useRead } from "../live.ts";
import { Act, Ago, Command, Glyph, Key, NotDone, Refused, Skeleton, Trouble, Value, When } from "../parts.tsx";
import { FIRST_TASK } from "../query.ts";
import { go, route, written } from "../route.ts";
import { may } from "../state.ts";
import { safe, shortId, span, until } from "../words.ts";

const DAY_MS = 86_400_000;
const KINDS: Record<string, string> = { plan: "Approve a plan", final: "Approve a result", rounds: "More rounds?", question: "A bot asks" };

interface Seen { approvals: Page<Approval>; skills: Page<Skill> | null; failed: Page<Task> | null; running: Page<Task> | null }

async function read(): Promise<Seen> {
  const filter = { status: [], outcome: [], label: [], order_by: "-created_at" };
  const day = new Date(Date.now() - DAY_MS).toISOString();
  const [approvals, skills, failed, running] = await Promise.all([
    api.approvals(),
    may("skill.read") ? api.skills() : null,
    may("task.read") ? api.tasks({ ...filter, status: ["FAILED"], created_after: day }, 100) : null,
    may("task.read") ? api.tasks({ ...filter, status: ["IN_PROGRESS"] }, 1) : null,
  ]);
  approvals.items.sort((a, b) => a.expires_at.localeCompare(b.expires_at));
  return { approvals, skills, failed, running };
}

interface Cause { title: string; wait: number; oldest: number; fix: string }

/** One row for each cause: a skill that no bot has, or whose bots do not take work. */
function stuck(skills: Skill[]): Cause[] {
  const found: Cause[] = [];
  for (const each of skills) {
    if (!each.waiting) continue;
    const oldest = each.oldest_seconds ?? 0, name = safe(each.skill);
    if (!each.bots) found.push({ title: `No bot can ${name}`, wait: each.waiting, oldest, fix: `swarmkeeper bot run FILE --skill ${each.skill}` });
    else if (!each.asking && oldest > 60) found.push({ title: `No bot takes work for ${name}`, wait: each.waiting, oldest, fix: "swarmkeeper bot list" });
  }
  return found.sort((a, b) => b.wait - a.wait);
}

function failures(tasks: Task[]): { code: string; tasks: Task[] }[] {
  const groups = new Map<string, Task[]>();
  for (const task of tasks) {
    const code = task.failure?.code ?? "failed";
    groups.set(code, [...(groups.get(code) ?? []), task]);
  }
  return [...groups].map(([code, of]) => ({ code, tasks: of })).sort((a, b) => b.tasks.length - a.tasks.length);
}

export function Inbox() {
  const reading = useRead("inbox", read);
  const seen = reading.state.value;
  const approvals = seen.data?.approvals.items ?? [];
  const told = useRef<number | undefined>(undefined);
  const chosen = route.value.query.get("approval");
  const at = approvals.findIndex((each) => each.id === chosen);
  const open = (approval: Approval | undefined, replace = true) => {
    if (approval) go(written(["inbox"], new URLSearchParams({ approval: approval.id })), replace);
  };
  useEffect(() => {
    if (!seen.data) return;
    if (told.current !== undefined && told.current !== approvals.length) say(`${approvals.length} need you.`);
    told.current = approvals.length;
    approvalsOpen.value ??= approvals.length; // without a stream of changes
  }, [seen.data]);
  useKeys({
    j: { does: "next decision", run: () => open(approvals[Math.min(at + 1, approvals.length - 1)]) },
    k: { does: "previous decision", run: () => open(approvals[Math.max(at - 1, 0)]) },
    Enter: { does: "open the task", run: () => { const task = approvals[at]?.task_id; if (task) go(`#/tasks/${task}`); } },
  });
  if (!seen.data) return <div class="pad"><h1 class="hidden-text">Inbox</h1><Trouble read={seen} what="the inbox" /></div>;
  const causes = stuck(seen.data.skills?.items ?? []), failed = failures(seen.data.failed?.items ?? []);
  const quiet = !approvals.length && !causes.length && !failed.length;
  return (
    <div class={`inbox ${chosen ? "with-decision" : ""}`}>
      <h1 class="hidden-text">Inbox</h1>
      <div class="list">
        {seen.error && <Trouble read={seen} what="the inbox" />}
        <section aria-labelledby="needs">
          <h2 id="needs">Needs you {approvals.length > 0 && <span>ends in</span>}</h2>
          {approvals.length === 0 && <p class="none">Nothing waits for a decision.</p>}
          <ul>
            {approvals.map((each) => (
              <li key={each.id}>
                <a href={written(["inbox"], new URLSearchParams({ approval: each.id }))} aria-current={each.id === chosen ? "true" : undefined} class="entry">
                  <Glyph tone="hold" />
                  <b>{safe(each.task_title ?? each.question)}</b>
                  <span class="num">{until(each.expires_at, now.value)}</span>
                  <small>{KINDS[each.kind] ?? each.kind}{each.task_title && `: ${safe(each.question)}`}{each.asked_by && ` · ${shortId(safe(each.asked_by))}`} · for <Ago time={each.opened_at} /></small>
                </a>
              </li>
            ))}
          </ul>
        </section>
        {seen.data.skills === null ? <p class="none">Who may read skills also sees here what is stuck.</p> : causes.length > 0 && (
          <section aria-labelledby="stuck">
            <h2 id="stuck">Stuck <span>oldest</span></h2>
            <ul>
              {causes.map((each) => (
                <li key={each.title} class="entry">
                  <Glyph tone="wait" /><b>{each.title}</b><span class="num">{span(each.oldest * 1000)}</span>
                  <small>{each.wait} wait · <Command text={each.fix} /></small>
                </li>
              ))}
            </ul>
          </section>
        )}
        {failed.length > 0 && (
          <section aria-labelledby="failed">
            <h2 id="failed">Failed within a day <span>newest</span></h2>
            <ul>
              {failed.map(({ code, tasks }) => (
                <li key={code}>
                  <a class="entry" href={tasks.length === 1 ? `#/tasks/${tasks[0]!.id}` : written(["tasks"], new URLSearchParams({ q: "status:failed" }))}>
                    <Glyph tone="bad" /><b>{tasks.length} {tasks.length === 1 ? "task" : "tasks"}: {code.replaceAll("_", " ")}</b>
                    <span class="num"><Ago time={tasks[0]!.updated_at} /></span>
                    <small>{tasks.slice(0, 3).map((task) => safe(task.title)).join(", ")}</small>
                  </a>
                </li>
              ))}
            </ul>
          </section>
        )}
        <section aria-labelledby="quiet">
          <h2 id="quiet">Quiet</h2>
          <p class="none">{quiet ? "Nothing needs you, nothing is stuck, nothing failed within a day." : seen.data.running?.items.length ? "Other tasks are in progress." : "No other task is in progress."}</p>
          {quiet && !seen.data.running?.items.length && <p class="none">A first task: <Command text={FIRST_TASK} /></p>}
        </section>
      </div>
      <div class="decision">
        {chosen
          ? <Decision key={chosen} id={chosen} decided={() => { void reading.again(); open(approvals.find((each) => each.id !== chosen)); if (approvals.length < 2) go("#/inbox", true); }} />
          : <p class="none">{approvals.length ? <>Choose what to decide: <Key>j</Key> <Key>k</Key></> : ""}</p>}
      </div>
    </div>
  );
}

function Decision({ id, decided }: { id: string; decided: () => void }) {
  const reading = useRead(`approval ${id}`, async () => {
    const approval = await api.approval(id);
    // Whoever decides also wants to know of which task, and what it has cost so far.
    const found = may("task.read") ? await api.task(approval.task_id).catch(() => null) : null;
    return { approval, task: found?.task ?? null };
  }, { every: 10_000 });
  const seen = reading.state.value;
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<ApiError | null>(null);
  const [rejecting, setRejecting] = useState(false);
  const [reason, setReason] = useState(""), [answer, setAnswer] = useState("");
  // What was on the screen when the person began to read is what is decided on: a newer one shows its difference.
  // Noted while it is drawn, not after: the key that decides may come at once.
  const approval = seen.data?.approval;
  const read = useRef<string | undefined>(undefined);
  const [, lookAgain] = useState(0);
  read.current ??= approval?.subject_hash;
  const changed = approval !== undefined && read.current !== approval.subject_hash;

  async function decide(run: (approval: Approval) => Promise<Approval>, done: string): Promise<void> {
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
      await reading.again(); // never sent again by itself: the person looks at what it is now
      setBusy(false);
    }
  }
  const decidable = Boolean(approval && approval.state === "open" && !changed);
  const approve = () => { if (decidable && may("approval.decide")) void decide((each) => api.approve(each, ""), "Approved."); };
  const choices = approval?.choices ?? [], asks = approval?.kind === "question" || (approval?.kind === "rounds");
  const pick = (choice: string) => { if (decidable && may("approval.decide")) void decide((each) => api.answer(each, choice), `Answered: ${choice}.`); };
  useKeys({
    ...(asks ? {} : { a: { does: "approve", run: approve } }),
    x: { does: "reject, with a reason", run: () => setRejecting(true) },
    ...Object.fromEntries(choices.slice(0, 9).map((choice, index) => [String(index + 1), { does: `answer: ${choice}`, run: () => pick(choice) }])),
    Escape: { does: "back to the list", run: () => { if (rejecting) setRejecting(false); else go("#/inbox", true); } },
  });
  if (!approval) return seen.error ? <Refused error={seen.error} what="the decision" stale={false} at={0} /> : seen.slow ? <Skeleton rows={6} /> : null;
  const subject = approval.subject as { subtasks?: Parameters<typeof nodesOf>[0] } | null;
  const plan = approval.kind === "plan" && Array.isArray(subject?.subtasks) ? subject.subtasks : null;
  const task = seen.data!.task;
  return (
    <article aria-labelledby="question">
      <p class="over"><a class="back" href="#/inbox">← Inbox</a> {KINDS[approval.kind] ?? approval.kind} · <a href={`#/tasks/${approval.task_id}`}>{task ? safe(task.title) : approval.task_id}</a></p>
      <h2 id="question">{safe(approval.question)}</h2>
      <dl class="facts">
        <div><dt>asked by</dt><dd>{safe(approval.asked_by) || "–"}</dd></div>
        <div><dt>since</dt><dd><When time={approval.opened_at} /></dd></div>
        <div><dt>ends</dt><dd>in {until(approval.expires_at, now.value)}; then it is {approval.at_expiry === null ? "rejected" : "decided as its terms say"}</dd></div>
        {task && <div><dt>spent so far</dt><dd>{task.usage.tokens ?? 0} tokens</dd></div>}
        <div><dt>what you sign</dt><dd><code class="hash">{approval.subject_hash}</code></dd></div>
      </dl>
      {plan
        ? <section class="card"><h3>The plan</h3><Graph nodes={nodesOf(plan)} edges={edgesOf(plan)} label="The plan" /><PlanTable subtasks={plan} /></section>
        : approval.kind !== "question" && <section class="card"><h3>What is decided</h3><Value value={approval.subject} name="What is decided" /></section>}
      {changed && (
        <div class="trouble" role="alert">
          <strong>It has changed since you read it.</strong> What you see is what it is now.{" "}
          <button type="button" class="small" onClick={() => { read.current = approval.subject_hash; lookAgain((times) => times + 1); }}>I have read it</button>
        </div>
      )}
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
              <button type="submit" class="main" disabled={busy || changed || !answer.trim() || !may("approval.decide")}>Answer</button>
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
          <button type="submit" class="danger" disabled={busy || changed || !reason.trim() || !may("approval.decide")}>Reject</button>
        </form>
      )}
    </article>
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

function PlanTable({ subtasks }: { subtasks: Parameters<typeof nodesOf>[0] }) {
  return (
    <div class="scroll-x" tabIndex={0} role="region" aria-label="Subtasks of the plan">
      <table>
        <thead><tr><th scope="col">Subtask</th><th scope="col">What it does</th><th scope="col">Needs</th></tr></thead>
        <tbody>{subtasks.map((each) => <tr key={each.key}><th scope="row">{safe(each.key)}</th><td>{safe(each.description)}</td><td>{(each.required_skills ?? []).map(safe).join(", ")}</td></tr>)}</tbody>
      </table>
    </div>
  );
}
