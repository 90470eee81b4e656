// One subtask, plan or review beside the page: its attempts, what evaluators said, its output, and its input on request.

import { useState } from "preact/hooks";
import { ofTask, useRead } from "../../live.ts";
import { Fact, State, Trouble, Value, When } from "../../parts.tsx";
import { may } from "../../state.ts";
import { grouped, lookOfEnding, lookOfItem, money, safe, span } from "../../words.ts";
import { calls } from "./calls.ts";
import { AuditRecords, OffLimits } from "./feeds.tsx";
import { Payload } from "./payload.tsx";
import { Trail } from "./trail.tsx";

const TEXT_MAX = 4_000;

export function Inspector({ task, subtask, close }: { task: string; subtask: string; close: () => void }) {
  const reading = useRead(`subtask ${task} ${subtask}`, async () => {
    // Of plans and reviews, which have a slash in their keys, there are no verdicts.
    const [found, said] = await Promise.all([calls.subtask(task, subtask), subtask.includes("/") ? null : calls.verdicts(task, subtask)]);
    return { found, said: said?.items ?? [] };
  }, { on: ofTask(task), every: 10_000 });
  const [input, setInput] = useState(false), [audit, setAudit] = useState(false);
  const seen = reading.state.value;
  if (!seen.data) {
    return (
      <aside class="inspector" aria-label="Subtask">
        <header><h2>{safe(subtask)}</h2><button type="button" class="small" onClick={close}>Close</button></header>
        <Trouble read={seen} what="the subtask" />
      </aside>
    );
  }
  const { found, said } = seen.data;
  const after = found.depends_on.map((each) => safe(typeof each === "string" ? each : each.when === "success" ? each.key : `${each.key} (${each.when})`));
  return (
    <aside class="inspector" aria-labelledby="inspected">
      <header><h2 id="inspected">{safe(found.key)}</h2><State look={lookOfItem(found.status)} /><button type="button" class="small" onClick={close}>Close</button></header>
      <Trouble read={seen} what="the subtask" />
      <p class="description" tabIndex={0}>{safe(found.description.slice(0, TEXT_MAX))}</p>
      <dl class="facts">
        <Fact name="needs">{found.required_skills.map(safe).join(", ") || "–"}</Fact>
        <Fact name="after">{after.join(", ") || "–"}</Fact>
        <Fact name="round">{found.round}</Fact>
        {found.progress?.message && <Fact name="says">{safe(found.progress.message)}</Fact>}
      </dl>
      <section class="card">
        <h3>Attempts</h3>
        {!found.attempts.length && <p class="none">None has ended yet.</p>}
        <ol class="attempts">
          {found.attempts.map((each) => (
            <li key={each.attempt}>
              <span>{each.attempt}</span><State look={lookOfEnding(each.ending)} /><span>{safe(each.bot_name ?? each.bot)}</span>
              <span>{span(Date.parse(each.ended_at) - Date.parse(each.started_at))}</span><span>{money(each.usage?.cost_micro_usd)}</span>
              {each.usage?.tokens !== undefined && <span>{grouped(each.usage.tokens)} tokens</span>}
              <small>from <When time={each.started_at} /></small>
              {(each.error?.message ?? each.reason) && <p class="error">{safe((each.error?.message ?? each.reason ?? "").slice(0, TEXT_MAX))}</p>}
            </li>
          ))}
        </ol>
      </section>
      {said.length > 0 && <section class="card"><h3>Verdicts</h3><Trail said={said} /></section>}
      {!said.length && found.verdict && <section class="card"><h3>Verdict: {safe(found.verdict.decision)}{found.verdict.score !== null && ` · ${found.verdict.score}`}</h3>{found.verdict.reasons.map((reason, at) => <p key={at}>{safe(reason)}</p>)}</section>}
      <section class="card">
        <h3>Output</h3>
        {!may("output.read") ? <OffLimits what="outputs" who="a client, an operator, an approver or an admin" />
          : found.output === null || found.output === undefined ? <p class="none">There is none.</p>
          : found.kind === "execute" ? <Payload key={found.ended_at} task={task} subtask={subtask} name="Output" /> : <Value value={found.output} name="Output" />}
      </section>
      {found.kind === "execute" && (
        <section class="card">
          <h3>Input</h3>
          {input ? <Payload task={task} subtask={subtask} pick="input" name="Input" /> : <button type="button" class="small" onClick={() => setInput(true)}>Show the input</button>}
        </section>
      )}
      <section class="card">
        <h3>Audit</h3>
        {audit || !may("audit.read") ? <AuditRecords id={task} item={found.id} /> : <button type="button" class="small" onClick={() => setAudit(true)}>Show its audit records</button>}
      </section>
      {found.late_results?.map((each) => (
        <section class="card" key={each.lease_id}><h3>Came too late: <When time={each.received_at} /></h3><Value value={each.content} name="A result that came too late" /></section>
      ))}
    </aside>
  );
}
