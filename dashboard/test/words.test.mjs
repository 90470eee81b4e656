import assert from "node:assert/strict";
import test from "node:test";
import { built } from "./built.mjs";

const words = await built("words.ts");
const { parse, written } = await built("route.ts");

test("money is cut into digits, and never rounded", () => {
  assert.equal(words.money(0), "$0.00");
  assert.equal(words.money(910), "$0.0009");
  assert.equal(words.money(30_780), "$0.0307");
  assert.equal(words.money(1_999_999), "$1.99");
  assert.equal(words.money(9_007_199_254_740_991), "$9,007,199,254.74");
  assert.equal(words.money(-5_000_000), "−$5.00");
  assert.equal(words.money(null), "–");
});

test("spans are short, and never negative", () => {
  assert.deepEqual([-5, 12, 1_500, 59_400, 61_000, 3_600_000, 90_000_000, 5 * 86_400_000].map(words.span),
    ["0 ms", "12 ms", "1.5 s", "59 s", "1 m 01 s", "1 h 00 m", "25 h 00 m", "5 d"]);
});

test("signs that hide or turn text are shown as what they are", () => {
  assert.equal(words.safe("a\u202eb\u200bc\u0007"), "a\\u202eb\\u200bc\\u0007");
  assert.equal(words.safe("naïve 🐝\n\tok"), "naïve 🐝\n\tok");
});

test("a word of a newer server is shown as it is, in a neutral tone", () => {
  assert.deepEqual(words.lookOfItem("PONDERING_DEEPLY"), { tone: "plain", word: "pondering deeply" });
  assert.deepEqual(words.lookOfTask({ status: "NEW_WORD", outcome: null, holds: [] }), { tone: "plain", word: "new word" });
  assert.deepEqual(words.lookOfTask({ status: "FAILED", outcome: "vanished", holds: [] }), { tone: "plain", word: "vanished" });
});

test("a long value is cut, and says so", () => {
  assert.deepEqual(words.head("x".repeat(10), 4), { text: "xxxx", cut: true });
  assert.deepEqual(words.head({ a: 1 }), { text: '{\n  "a": 1\n}', cut: false });
  assert.deepEqual(words.head(undefined), { text: "null", cut: false });
});

test("an address is read as it was written, whatever is in it", () => {
  for (const text of ["a b", "ä/ö?#&=%", "100%", "<script>", "..", "\u202e"]) {
    const route = parse(written(["tasks", text], new URLSearchParams({ q: text })));
    assert.deepEqual(route.path, ["tasks", text]);
    assert.equal(route.query.get("q"), text);
  }
  assert.deepEqual(parse("#/%E0%A4%A").path, ["%E0%A4%A"]);
});
