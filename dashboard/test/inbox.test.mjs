import assert from "node:assert/strict";
import test from "node:test";
import { built } from "./built.mjs";

const { diff, folded } = await built("pages/inbox/diff.ts");
const { stuck, paused, longest, failures, alike } = await built("pages/inbox/causes.ts");

/** Pseudo-random numbers below `below`. */
function chance(seed) {
  let state = seed;
  return (below) => ((state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) >>> 8) % below;
}

test("a difference has all of both texts, in order, and calls nothing changed that is not", () => {
  const random = chance(3);
  for (let round = 0; round < 500; round++) {
    const text = () => Array.from({ length: random(9) }, () => "abc"[random(3)]);
    const [before, after] = [text(), text()];
    const lines = diff(before, after);
    assert.deepEqual(lines.filter(({ sign }) => sign !== "+").map(({ text: line }) => line), before);
    assert.deepEqual(lines.filter(({ sign }) => sign !== "-").map(({ text: line }) => line), after);
    assert.equal(lines.filter(({ sign }) => sign === " ").length, longestCommon(before, after));
  }
});

function longestCommon(a, b) {
  if (!a.length || !b.length) return 0;
  if (a[0] === b[0]) return 1 + longestCommon(a.slice(1), b.slice(1));
  return Math.max(longestCommon(a.slice(1), b), longestCommon(a, b.slice(1)));
}

test("of a long text only what changed is shown, with what is around it", () => {
  const before = Array.from({ length: 1000 }, (_, line) => `line ${line}`);
  const after = before.map((line, at) => (at === 500 ? "other" : line));
  assert.deepEqual(folded(diff(before, after), 1), [
    499, { sign: " ", text: "line 499" }, { sign: "-", text: "line 500" }, { sign: "+", text: "other" }, { sign: " ", text: "line 501" }, 498]);
  assert.deepEqual(folded(diff(before, before)), []);
});

test("texts that are too long to compare are replaced as a whole", () => {
  const [before, after] = ["a", "b"].map((sign) => Array.from({ length: 3000 }, (_, line) => `${sign}${line}`));
  assert.equal(diff(before, after).length, 6000);
});

const queue = (skill, reason, more = {}) => ({
  kind: "execute", skills: [skill], assign_to: null, waiting: 1, waiting_at_least: false, oldest_at: "2026-11-29T08:00:00Z", oldest_seconds: 5, leased: 0,
  bots: 0, bots_asking: 0, why: { reason, detail: "why", fix: `fix ${skill}`, until: null }, ...more,
});
const task = (id, more = {}) => ({
  id, title: `title of ${id}`, status: "IN_PROGRESS", outcome: null, holds: [], failure: null, error: null, last_bot: null,
  progress: { total: 2, done: 1, failed: 0 }, created_at: "2026-11-29T08:00:00Z", updated_at: "2026-11-29T09:00:00Z", ended_at: null, ...more,
});

test("queues with the same cause are one row, and the cause that most waits for is first", () => {
  const causes = stuck([
    queue("ocr", "no_capable_bot", { waiting: 3 }),
    queue("pdf", "bot_not_asking", { waiting: 10, waiting_at_least: true, why: { reason: "bot_not_asking", detail: "d", fix: "same", until: null } }),
    queue("ink", "bot_not_asking", { waiting: 1, oldest_at: "2026-11-29T07:00:00Z", why: { reason: "bot_not_asking", detail: "d", fix: "same", until: null } }),
  ]);
  assert.deepEqual(causes.map(({ title, count, fix, since }) => [title, count, fix, since]), [
    ["No bot asks for work for pdf", "11 or more wait", "same", "2026-11-29T07:00:00Z"],
    ["No bot can ocr", "3 wait", "fix ocr", "2026-11-29T08:00:00Z"]]);
});

test("a row leads to the open tasks that need the one skill that is lacking, and else to the queues", () => {
  const one = stuck([queue("ocr", "no_capable_bot")])[0].more, [two] = stuck([queue("ocr", "draining"), queue("pdf", "draining")].map((each) => ({ ...each, why: { ...each.why, fix: "same" } })));
  assert.equal(new URLSearchParams(one.href.split("?")[1]).get("q"), "status:created status:planned status:in_progress status:completed skill:ocr");
  assert.equal(two.more.href, "#/queues");
});

test("what ends by itself soon is no cause, unless it lasts", () => {
  for (const [reason, seconds] of [["bots_at_capacity", 60], ["queued", 300], ["rate_limited", 60]]) {
    assert.deepEqual(stuck([queue("ocr", reason, { oldest_seconds: seconds - 1 })]), []);
    assert.equal(stuck([queue("ocr", reason, { oldest_seconds: seconds })]).length, 1);
  }
  assert.deepEqual(stuck([queue("ocr", "no_capable_bot", { waiting: 0, why: null })]), []);
});

test("a reason of a newer server is a row as well, in its own words", () => {
  assert.equal(stuck([queue("ocr", "moon_phase")])[0].title, "Moon phase for ocr");
});

test("each reason has a title of its own", () => {
  const reasons = ["no_capable_bot", "assigned_bot_away", "bot_not_asking", "draining", "bots_at_capacity", "killed", "budget", "rate_limited", "overloaded"];
  const titles = reasons.map((reason) => stuck([queue("ocr", reason, { oldest_seconds: 999, assign_to: "scribe" })])[0].title);
  assert.equal(new Set(titles).size, reasons.length);
  assert.equal(stuck([queue("x", "no_bot_registered", { kind: "plan", skills: [] })])[0].title, "No planner is here");
});

test("paused tasks are one row, and what a person holds is not among the open ones", () => {
  const open = [task("t1", { holds: ["paused"] }), task("t2", { holds: ["apr_1"] }), task("t3", { holds: ["budget"] }), task("t4", { progress: { total: 3, done: 1, failed: 1 } })];
  assert.deepEqual(paused(open).map(({ title, fix, tasks }) => [title, fix, tasks.length]), [["Paused: title of t1", "swarmkeeper task resume t1", 1]]);
  assert.equal(paused([...open, task("t5", { holds: ["paused", "budget"] })])[0].title, "2 tasks are paused");
  assert.deepEqual(longest(open).map(({ key, tone, count }) => [key, tone, count]), [["t3", "hold", "1 of 2 done"], ["t4", "bad", "1 of 3 done, 1 failed"]]);
});

test("failures of a day are grouped by what their errors begin with", () => {
  const now = Date.parse("2026-11-29T10:00:00Z");
  const failed = (id, message, ended_at) => task(id, { status: "FAILED", outcome: "failed", ended_at, error: message && { message }, failure: { code: "subtask_failed", detail: "a subtask failed" } });
  const rows = failures([
    failed("t1", "HTTP 503: try later (request 1) and so on and on", "2026-11-29T09:00:00Z"),
    failed("t2", "HTTP 503: try later (request 22) and so on, differently", "2026-11-29T09:30:00Z"),
    failed("t3", "", "2026-11-29T09:10:00Z"),
    failed("t4", "HTTP 503: old", "2026-11-27T09:10:00Z"),
  ], now - 86_400_000);
  assert.deepEqual(rows.map(({ title, count, since, fix }) => [title, count, since, fix]), [
    ["HTTP …: try later (request …)", "2 tasks", "2026-11-29T09:30:00Z", null],
    ["a subtask failed", "title of t3", "2026-11-29T09:10:00Z", "swarmkeeper task retry t3"]]);
  const lines = rows.map(({ more }) => new URLSearchParams(more.href.split("?")[1]).get("q"));
  assert.deepEqual(lines, ['status:failed error:"HTTP try later request" after:2026-11-28T10:00Z', "status:failed error:subtask_failed after:2026-11-28T10:00Z"]);
  assert.equal(alike(failed("t", "one\ntwo", "")), "one");
});
