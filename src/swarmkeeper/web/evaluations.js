import { Fragment, h, useState } from "./runtime.js";
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
  return h("div", { class: `split ${chosen ? "open" : ""}` }, h("h1", { class: "hidden-text" }, "Evaluations"), h("div", { class: "side" }, h(Trouble, { read: pages.seen, what: "the evaluations" }), pages.seen.data && !reviews.length && !pages.more && h("div", { class: "empty" }, h("h2", null, "No review has come to a decision yet."), h("p", null, "Evaluators judge what is submitted without ", h("code", null, "--no-review"), ": ", h(Command, { text: "swarmkeeper docs rework" }))), reviews.length > 0 && h("div", { class: "pad" }, h("dl", { class: "sums" }, DECISIONS.map((each) => h("div", { key: each }, h("dt", null, h(State, { look: lookOfVerdict(each) })), h("dd", null, count(each)))), voted.length > 0 && h(Fact, { name: "all voted alike" }, agreed.length, " of ", voted.length)), h(Evaluators, { reviews })), h("ol", { class: "records reviews" }, reviews.map((each) => h("li", { key: each.id }, h("a", { class: "record", href: address({ review: each.id }), "aria-current": each.id === chosen ? "true" : void 0 }, h(State, { look: lookOfVerdict(each.decision) }), h("b", null, each.key === null ? "whole task" : safe(each.key)), h("span", null, shortId(safe(each.task))), h("span", null, each.votes ? Object.entries(each.votes).filter(([, votes]) => votes > 0).map(([name, votes]) => `${votes} ${safe(name)}`).join(", ") : "", each.round > 1 ? ` · round ${each.round}` : ""), h(When, { time: each.at }))))), reviews.length > 0 && h(More, { pages, what: "reviews" }, " · ", h(Key, null, "j"), " ", h(Key, null, "k"), " open one")), chosen && h("div", { class: "detail" }, open ? h(Detail, { key: open.id, of: open }) : pages.seen.data && h("p", { class: "none" }, "It is not among those that are shown. ", h("a", { href: address({ review: null }) }, "Close"))));
}
function Detail({ of }) {
  const reading = useRead(`verdicts ${of.id}`, async () => {
    const [page, task] = await Promise.all([desk.verdicts(of.task), api.task(of.task).catch(() => null)]);
    return { verdicts: page.items, title: task?.task.title ?? of.task };
  }, CALM);
  const seen = reading.state.value;
  const verdicts = seen.data?.verdicts.filter((each) => each.subject === of.key).sort((a, b) => b.round - a.round) ?? [];
  return h("article", { "aria-labelledby": "review" }, h("p", { class: "over" }, h("a", { class: "button small back", href: written(route.value.path) }, "← Evaluations"), " ", h("a", { href: written(["tasks", of.task]) }, seen.data ? safe(seen.data.title) : shortId(of.task))), h("h2", { id: "review" }, of.key === null ? "Whole task" : safe(of.key), ": ", lookOfVerdict(of.decision).word), h("p", { class: "none" }, "Round ", of.round, ", decided ", h(Ago, { time: of.at }), " ago."), h(Trouble, { read: seen, what: "the verdicts" }), seen.data && !verdicts.length && h("p", { class: "none" }, "No verdict is kept of it any more."), verdicts.map((each) => h("section", { class: "card", key: each.work_id }, h("h3", null, h(State, { look: lookOfVerdict(each.decision ?? "too long to show") }), " ", safe(each.evaluator ?? "–"), each.score !== null && ` · score ${Number(each.score.toFixed(3))}`, " · round ", each.round), h("ul", { class: "said" }, each.reasons.map((reason, at) => h("li", { key: at }, safe(reason))), each.findings.map((finding, at) => h("li", { key: `f${at}` }, h("b", null, safe(finding.severity ?? "finding")), " ", safe(finding.text ?? ""))), each.feedback.map((wish, at) => h("li", { key: `w${at}` }, h("b", null, safe(wish.subtask)), " ", safe(wish.text))), !each.reasons.length && !each.findings.length && !each.feedback.length && h("li", { class: "none" }, "Without reasons.")))));
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
  if (!found) return h(Fragment, null, doing.problem && h(NotDone, { error: doing.problem }), h("p", null, h("button", { type: "button", class: "small", disabled: doing.busy, onClick: () => void doing.run(count, "Counted.") }, "Count by evaluator")));
  return h(Fragment, null, h(Table, { name: "By evaluator", columns: ["Evaluator", ...[...DECISIONS, "verdicts", "as was decided", "right on gold"].map((each) => `#${each}`)], caption: `Verdicts on the last ${found.tasks === 1 ? "reviewed task" : `${found.tasks} reviewed tasks`}, and on ${found.gold} gold ${found.gold === 1 ? "item" : "items"}` }, found.rows.map((row) => h("tr", { key: row.name }, h("th", { scope: "row" }, safe(row.name)), DECISIONS.map((each) => h("td", { class: "num", key: each }, row.said[each] ?? 0)), h("td", { class: "num" }, row.all), h("td", { class: "num" }, row.alike), h("td", { class: "num" }, row.gold ? `${row.right} of ${row.gold}` : "–")))), !found.gold && h("p", { class: "none" }, "To see who is right, submit tasks of which you know the decision: ", h(Command, { text: "swarmkeeper submit TITLE --label gold:accept" }), " or rework, or reject."));
}
export {
  Evaluations
};
