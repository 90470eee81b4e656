import assert from "node:assert/strict";
import test from "node:test";
import { built } from "./built.mjs";

globalThis.document = { baseURI: "http://localhost/ui/" }; // of which the modules of a page want the address
const { folded } = await built("pages/task/why.tsx");
const { fitting } = await built("pages/task/plan.tsx");
const { ranked } = await built("pages/task/stages.tsx");
const { payloadOf } = await built("pages/task/feeds.tsx");

const waits = (key, reason, more = {}) => ({ key, reason, detail: "it waits", fix: null, ...more });

test("what helps alike is one row, with the count of its reason where the list ends early", () => {
  const items = [
    waits("a", "no_capable_bot", { fix: "run x", detail: "no bot has skill x" }), waits("b", "no_capable_bot", { fix: "run x", detail: "no bot has skill x" }),
    waits("c", "dependency", { detail: "it waits for a" }), waits("d", "dependency", { detail: "it waits for b" }),
    waits("e", "leased", { detail: "attempt 1 is in progress by one" }), waits("f", "leased", { detail: "attempt 2 is in progress by two" }),
  ];
  assert.deepEqual(folded(items, { no_capable_bot: 2, dependency: 1418, leased: 2 }).map(({ items: [first], count }) => [first.key, count]), [["a", 2], ["c", 1418], ["e", 2]]);
});

test("what needs different help is in different rows, and each counts its own", () => {
  const items = [waits("a", "no_capable_bot", { fix: "run x" }), waits("b", "no_capable_bot", { fix: "run y" }), waits("c", "no_capable_bot", { fix: "run x" })];
  assert.deepEqual(folded(items, { no_capable_bot: 3 }).map(({ items: [first], count }) => [first.key, count]), [["a", 2], ["b", 1]]);
});

test("what only time helps is one row if it says the same", () => {
  const items = [waits("a", "backoff", { detail: "until 6:00" }), waits("b", "backoff", { detail: "until 6:00" }), waits("c", "backoff", { detail: "until 7:00" })];
  assert.deepEqual(folded(items, { backoff: 3 }).map(({ count }) => count), [2, 1]);
});

const subtask = (key, status, ...after) => ({ key, status, depends_on: after.map((each) => ({ key: each, when: "success" })) });
const PLAN = [subtask("a", "SUCCEEDED"), subtask("b", "FAILED"), subtask("c", "FAILED", "a"), subtask("d", "BLOCKED", "a", "c"), subtask("e", "READY", "a")];

test("the table has those of a state in a stage, and the worst first", () => {
  const keys = (only, rank) => fitting(PLAN, only, rank).map((each) => each.key);
  assert.deepEqual(keys(null, null), ["b", "c", "d", "e", "a"]);
  assert.deepEqual(keys("FAILED", null), ["b", "c"]);
  assert.deepEqual(keys("FAILED", "2"), ["c"]);
  assert.deepEqual(keys(null, "1"), ["b", "a"]);
  assert.deepEqual(keys("FAILED", "9"), []);
});

test("a rank is the longest way to a subtask, and needs nothing that is not in the plan", () => {
  assert.deepEqual([...ranked(["a", "b", "c"], [{ from: "a", to: "b" }, { from: "b", to: "c" }, { from: "a", to: "c" }, { from: "gone", to: "a" }])], [0, 1, 2]);
});

test("a typed object is sent as it is, and any other text as text", () => {
  assert.deepEqual(payloadOf(' {"page": 12}'), { page: 12 });
  assert.deepEqual(payloadOf("[12] pages"), { text: "[12] pages" });
  assert.throws(() => payloadOf("{12}"), /This is no JSON object/);
});
