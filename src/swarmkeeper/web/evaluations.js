import { Fragment, el, useState } from "./runtime.js";
import { api, lists, useKeys, useRead, Ago, Command, Key, NotDone, State, Trouble, When, useAct, Fact, Table, address, asked, go, put, route, written, safe, shortId, near, lookOfVerdict } from "./app.js";
import { desk, CALM, More, usePages } from "./kit.js";
// src/pages/desk/evaluations.tsx
var COUNTED_MAX = 30;
var DECISIONS = ["accept", "rework", "reject"];
function review(event) {
  const data = event.data;
  return { id: event.id, at: event.time, task: data.task_id, key: data.key ?? null, round: data.round, decision: data.decision, votes: data.votes ?? null };
}
var total = (votes) => Object.values(votes).reduce((sum, count) => sum + count, 0);
var unanimous = (votes) => Object.values(votes).filter((count) => count > 0).length === 1;
function Evaluations() {
  const pages = usePages("evaluations", desk.reviews, (event) => event.id, { ...CALM, every: 1e4, seldom: 1e4 });
  const reviews = pages.items.map(review), chosen = asked("review");
  const at = reviews.findIndex((each) => each.id === chosen), open = reviews[at];
  const step = (by) => {
    const next = near(reviews, at + by);
    if (next) put({ review: next.id });
  };
  useKeys({
    j: { does: "next review", run: () => step(1) },
    k: { does: "previous review", run: () => step(-1) },
    Enter: { does: "open the task", run: () => {
      if (open) go(written(["tasks", open.task]));
    } },
    Escape: { does: "close the review", run: () => put({ review: null }) }
  });
  const voted = reviews.filter((each) => each.votes && total(each.votes) > 1), agreed = voted.filter((each) => unanimous(each.votes));
  const count = (decision) => reviews.filter((each) => each.decision === decision).length;
  return el("div", { class: `split ${chosen ? "open" : ""}` },
  el("h1", { class: "hidden-text" }, "Evaluations"),
  el("div", { class: "side" },
  el(Trouble, { read: pages.seen, what: "the evaluations" }), pages.seen.data && !reviews.length && !pages.more && el("div", { class: "empty" },
  el("h2", null, "No review has come to a decision yet."),
  el("p", null, "Evaluators judge what is submitted without ",
  el("code", null, "--no-review"), ": ",
  el(Command, { text: "swarmkeeper docs rework" }))), reviews.length > 0 && el("div", { class: "pad" },
  el("dl", { class: "sums" }, DECISIONS.map((each) => el("div", { key: each },
  el("dt", null,
  el(State, { look: lookOfVerdict(each) })),
  el("dd", null, count(each)))), voted.length > 0 && el(Fact, { name: "all voted alike" }, agreed.length, " of ", voted.length)),
  el(Evaluators, { reviews })),
  el("ol", { class: "records reviews" }, reviews.map((each) => el("li", { key: each.id },
  el("a", { class: "record", href: address({ review: each.id }), "aria-current": each.id === chosen ? "true" : void 0 },
  el(State, { look: lookOfVerdict(each.decision) }),
  el("b", null, each.key === null ? "whole task" : safe(each.key)),
  el("span", null, shortId(safe(each.task))),
  el("span", null, each.votes ? Object.entries(each.votes).filter(([, votes]) => votes > 0).map(([name, votes]) => `${votes} ${safe(name)}`).join(", ") : "", each.round > 1 ? ` · round ${each.round}` : ""),
  el(When, { time: each.at }))))), reviews.length > 0 && el(More, { pages, what: "reviews" }, " · ",
  el(Key, null, "j"), " ",
  el(Key, null, "k"), " open one")), chosen && el("div", { class: "detail" }, open ? el(Detail, { key: open.id, of: open }) : pages.seen.data && el("p", { class: "none" }, "It is not among those that are shown. ",
  el("a", { href: address({ review: null }) }, "Close"))));
}
function Detail({ of }) {
  const reading = useRead(`verdicts ${of.id}`, async () => {
    const [page, task] = await Promise.all([desk.verdicts(of.task), api.task(of.task).catch(() => null)]);
    return { verdicts: page.items, title: task?.task.title ?? of.task };
  }, CALM);
  const seen = reading.state.value;
  const verdicts = seen.data?.verdicts.filter((each) => each.subject === of.key).sort((a, b) => b.round - a.round) ?? [];
  return el("article", { "aria-labelledby": "review" },
  el("p", { class: "over" },
  el("a", { class: "button small back", href: written(route.value.path) }, "← Evaluations"), " ",
  el("a", { href: written(["tasks", of.task]) }, seen.data ? safe(seen.data.title) : shortId(of.task))),
  el("h2", { id: "review" }, of.key === null ? "Whole task" : safe(of.key), ": ", lookOfVerdict(of.decision).word),
  el("p", { class: "none" }, "Round ", of.round, ", decided ",
  el(Ago, { time: of.at }), " ago."),
  el(Trouble, { read: seen, what: "the verdicts" }), seen.data && !verdicts.length && el("p", { class: "none" }, "No verdict is kept of it any more."), verdicts.map((each) => el("section", { class: "card", key: each.work_id },
  el("h3", null,
  el(State, { look: lookOfVerdict(each.decision ?? "too long to show") }), " ", safe(each.evaluator ?? "–"), each.score !== null && ` · score ${Number(each.score.toFixed(3))}`, " · round ", each.round),
  el("ul", { class: "said" }, each.reasons.map((reason, at) => el("li", { key: at }, safe(reason))), each.findings.map((finding, at) => el("li", { key: `f${at}` },
  el("b", null, safe(finding.severity ?? "finding")), " ", safe(finding.text ?? ""))), each.feedback.map((wish, at) => el("li", { key: `w${at}` },
  el("b", null, safe(wish.subtask)), " ", safe(wish.text))), !each.reasons.length && !each.findings.length && !each.feedback.length && el("li", { class: "none" }, "Without reasons.")))));
}
function Evaluators({ reviews }) {
  const [found, setFound] = useState(null);
  const doing = useAct();
  async function count() {
    const tasks = new Set([...new Set(reviews.map((each) => each.task))].slice(0, COUNTED_MAX));
    const decided = new Map(reviews.map((each) => [`${each.task} ${each.key} ${each.round}`, each.decision]));
    const rows = /* @__PURE__ */ new Map(), gold = /* @__PURE__ */ new Map();
    for (const known of DECISIONS) {
      for (const { id } of (await lists.rows({ status: [], outcome: [], label: [`gold:${known}`], skill: [], order_by: "" }, COUNTED_MAX, "")).items) gold.set(id, known);
    }
    for (const task of /* @__PURE__ */ new Set([...tasks, ...gold.keys()])) {
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
  if (!found) return el(Fragment, null, doing.problem && el(NotDone, { error: doing.problem }),
  el("p", null,
  el("button", { type: "button", class: "small", disabled: doing.busy, onClick: () => void doing.run(count, "Counted.") }, "Count by evaluator")));
  return el(Fragment, null,
  el(Table, { name: "By evaluator", columns: ["Evaluator", ...[...DECISIONS, "verdicts", "as was decided", "right on gold"].map((each) => `#${each}`)], caption: `Verdicts on the last ${found.tasks === 1 ? "reviewed task" : `${found.tasks} reviewed tasks`}, and on ${found.gold} gold ${found.gold === 1 ? "item" : "items"}` }, found.rows.map((row) => el("tr", { key: row.name },
  el("th", { scope: "row" }, safe(row.name)), DECISIONS.map((each) => el("td", { class: "num", key: each }, row.said[each] ?? 0)),
  el("td", { class: "num" }, row.all),
  el("td", { class: "num" }, row.alike),
  el("td", { class: "num" }, row.gold ? `${row.right} of ${row.gold}` : "–")))), !found.gold && el("p", { class: "none" }, "To see who is right, submit tasks of which you know the decision: ",
  el(Command, { text: "swarmkeeper submit TITLE --label gold:accept" }), " or rework, or reject."));
}
export {
  Evaluations
};
