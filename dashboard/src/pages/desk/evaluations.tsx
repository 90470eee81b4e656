// What evaluators said: the decisions of reviews, the newest first; on the right all verdicts behind the one that is open.

import { useState } from "preact/hooks";
import { api, lists, type TaskEvent } from "../../api.ts";
import { useKeys } from "../../keys.ts";
import { useRead } from "../../live.ts";
import { Ago, Command, Key, NotDone, State, Trouble, When, useAct, Fact, Table } from "../../parts.tsx";
import { address, asked, go, put, route, written } from "../../route.ts";
import { safe, shortId, near, lookOfVerdict } from "../../words.ts";
import { desk } from "./calls.ts";
import { CALM, More, usePages } from "./kit.tsx";

const COUNTED_MAX = 30; // tasks whose verdicts are read to count by evaluator
const DECISIONS = ["accept", "rework", "reject"];

interface Review { id: string; at: string; task: string; key: string | null; round: number; decision: string; votes: Record<string, number> | null }

function review(event: TaskEvent): Review {
  const data = event.data as { task_id: string; key?: string; round: number; decision: string; votes?: Record<string, number> };
  return { id: event.id, at: event.time, task: data.task_id, key: data.key ?? null, round: data.round, decision: data.decision, votes: data.votes ?? null };
}
const total = (votes: Record<string, number>): number => Object.values(votes).reduce((sum, count) => sum + count, 0);
const unanimous = (votes: Record<string, number>): boolean => Object.values(votes).filter((count) => count > 0).length === 1;

export function Evaluations() {
  const pages = usePages("evaluations", desk.reviews, (event) => event.id, { ...CALM, every: 10_000, seldom: 10_000 });
  const reviews = pages.items.map(review), chosen = asked("review");
  const at = reviews.findIndex((each) => each.id === chosen), open = reviews[at];
  const step = (by: number) => { const next = near(reviews, at + by); if (next) put({ review: next.id }); };
  useKeys({
    j: { does: "next review", run: () => step(1) },
    k: { does: "previous review", run: () => step(-1) },
    Enter: { does: "open the task", run: () => { if (open) go(written(["tasks", open.task])); } },
    Escape: { does: "close the review", run: () => put({ review: null }) },
  });
  const voted = reviews.filter((each) => each.votes && total(each.votes) > 1), agreed = voted.filter((each) => unanimous(each.votes!));
  const count = (decision: string) => reviews.filter((each) => each.decision === decision).length;
  return (
    <div class={`split ${chosen ? "open" : ""}`}>
      <h1 class="hidden-text">Evaluations</h1>
      <div class="side">
        <Trouble read={pages.seen} what="the evaluations" />
        {pages.seen.data && !reviews.length && !pages.more && <div class="empty"><h2>No review has come to a decision yet.</h2><p>Evaluators judge what is submitted without <code>--no-review</code>: <Command text="swarmkeeper docs rework" /></p></div>}
        {reviews.length > 0 && (
          <div class="pad">
            <dl class="sums">
              {DECISIONS.map((each) => <div key={each}><dt><State look={lookOfVerdict(each)} /></dt><dd>{count(each)}</dd></div>)}
              {voted.length > 0 && <Fact name="all voted alike">{agreed.length} of {voted.length}</Fact>}
            </dl>
            <Evaluators reviews={reviews} />
          </div>
        )}
        <ol class="records reviews">
          {reviews.map((each) => (
            <li key={each.id}>
              <a class="record" href={address({ review: each.id })} aria-current={each.id === chosen ? "true" : undefined}>
                <State look={lookOfVerdict(each.decision)} /><b>{each.key === null ? "whole task" : safe(each.key)}</b><span>{shortId(safe(each.task))}</span>
                <span>{each.votes ? Object.entries(each.votes).filter(([, votes]) => votes > 0).map(([name, votes]) => `${votes} ${safe(name)}`).join(", ") : ""}{each.round > 1 ? ` · round ${each.round}` : ""}</span><When time={each.at} />
              </a>
            </li>
          ))}
        </ol>
        {reviews.length > 0 && <More pages={pages} what="reviews"> · <Key>j</Key> <Key>k</Key> open one</More>}
      </div>
      {chosen && <div class="detail">{open ? <Detail key={open.id} of={open} /> : pages.seen.data && <p class="none">It is not among those that are shown. <a href={address({ review: null })}>Close</a></p>}</div>}
    </div>
  );
}

function Detail({ of }: { of: Review }) {
  const reading = useRead(`verdicts ${of.id}`, async () => {
    const [page, task] = await Promise.all([desk.verdicts(of.task), api.task(of.task).catch(() => null)]);
    return { verdicts: page.items, title: task?.task.title ?? of.task };
  }, CALM);
  const seen = reading.state.value;
  const verdicts = seen.data?.verdicts.filter((each) => each.subject === of.key).sort((a, b) => b.round - a.round) ?? [];
  return (
    <article aria-labelledby="review">
      <p class="over"><a class="button small back" href={written(route.value.path)}>← Evaluations</a> <a href={written(["tasks", of.task])}>{seen.data ? safe(seen.data.title) : shortId(of.task)}</a></p>
      <h2 id="review">{of.key === null ? "Whole task" : safe(of.key)}: {lookOfVerdict(of.decision).word}</h2>
      <p class="none">Round {of.round}, decided <Ago time={of.at} /> ago.</p>
      <Trouble read={seen} what="the verdicts" />
      {seen.data && !verdicts.length && <p class="none">No verdict is kept of it any more.</p>}
      {verdicts.map((each) => (
        <section class="card" key={each.work_id}>
          <h3><State look={lookOfVerdict(each.decision ?? "too long to show")} /> {safe(each.evaluator ?? "–")}{each.score !== null && ` · score ${Number(each.score.toFixed(3))}`} · round {each.round}</h3>
          <ul class="said">
            {each.reasons.map((reason, at) => <li key={at}>{safe(reason)}</li>)}
            {each.findings.map((finding, at) => <li key={`f${at}`}><b>{safe(finding.severity ?? "finding")}</b> {safe(finding.text ?? "")}</li>)}
            {each.feedback.map((wish, at) => <li key={`w${at}`}><b>{safe(wish.subtask)}</b> {safe(wish.text)}</li>)}
            {!each.reasons.length && !each.findings.length && !each.feedback.length && <li class="none">Without reasons.</li>}
          </ul>
        </section>
      ))}
    </article>
  );
}

interface Counted { name: string; said: Record<string, number>; all: number; alike: number; gold: number; right: number }

/** Who said what, and who was right on gold items: tasks whose label `gold` says what is to be decided. Counted on
 * request, since it takes a call for each task. */
function Evaluators({ reviews }: { reviews: Review[] }) {
  const [found, setFound] = useState<{ rows: Counted[]; tasks: number; gold: number } | null>(null);
  const doing = useAct();
  async function count(): Promise<void> {
    const tasks = new Set([...new Set(reviews.map((each) => each.task))].slice(0, COUNTED_MAX));
    const decided = new Map(reviews.map((each) => [`${each.task} ${each.key} ${each.round}`, each.decision]));
    const rows = new Map<string, Counted>(), gold = new Map<string, string>();
    for (const known of DECISIONS) {
      for (const { id } of (await lists.rows({ status: [], outcome: [], label: [`gold:${known}`], skill: [], order_by: "" }, COUNTED_MAX, "")).items) gold.set(id, known);
    }
    for (const task of new Set([...tasks, ...gold.keys()])) {
      for (const { evaluator, subject, round, decision } of (await desk.verdicts(task)).items) {
        const name = evaluator ?? "–", row = rows.get(name) ?? { name, said: {}, all: 0, alike: 0, gold: 0, right: 0 };
        rows.set(name, row);
        if (!decision) continue;
        if (gold.has(task) && subject === null) {
          row.gold++;
          if (decision === gold.get(task)) row.right++;
        }
        if (!tasks.has(task)) continue;
        row.said[decision] = (row.said[decision] ?? 0) + 1;
        row.all++;
        if (decided.get(`${task} ${subject} ${round}`) === decision) row.alike++;
      }
    }
    setFound({ rows: [...rows.values()].sort((a, b) => b.all - a.all), tasks: tasks.size, gold: gold.size });
  }
  if (!found) return <>{doing.problem && <NotDone error={doing.problem} />}<p><button type="button" class="small" disabled={doing.busy} onClick={() => void doing.run(count, "Counted.")}>Count by evaluator</button></p></>;
  return (
    <>
      <Table name="By evaluator" columns={["Evaluator", ...[...DECISIONS, "verdicts", "as was decided", "right on gold"].map((each) => `#${each}`)]} caption={`Verdicts on the last ${found.tasks === 1 ? "reviewed task" : `${found.tasks} reviewed tasks`}, and on ${found.gold} gold ${found.gold === 1 ? "item" : "items"}`}>
        {found.rows.map((row) => (
          <tr key={row.name}>
            <th scope="row">{safe(row.name)}</th>{DECISIONS.map((each) => <td class="num" key={each}>{row.said[each] ?? 0}</td>)}<td class="num">{row.all}</td><td class="num">{row.alike}</td>
            <td class="num">{row.gold ? `${row.right} of ${row.gold}` : "–"}</td>
          </tr>
        ))}
      </Table>
      {!found.gold && <p class="none">To see who is right, submit tasks of which you know the decision: <Command text="swarmkeeper submit TITLE --label gold:accept" /> or rework, or reject.</p>}
    </>
  );
}
