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

test("a moment names its zone, local or UTC", async (t) => {
  const { moment, utc } = await built("words.ts", "state.ts");
  const before = process.env.TZ;
  t.after(() => { if (before === undefined) delete process.env.TZ; else process.env.TZ = before; });
  const late = "2026-11-29T23:40:02Z";
  for (const [zone, local] of [["Asia/Kolkata", "30 Nov 05:10:02 UTC+5:30"], ["America/St_Johns", "29 Nov 20:10:02 UTC−3:30"], ["UTC", "29 Nov 23:40:02 UTC"]]) {
    process.env.TZ = zone;
    utc.value = false;
    assert.equal(moment(late), local);
    utc.value = true;
    assert.equal(moment(late), "29 Nov 23:40:02 UTC");
  }
  process.env.TZ = "Europe/Berlin";
  utc.value = false;
  assert.deepEqual([moment("2026-07-01T00:00:00Z"), moment(null), moment("x")], ["1 Jul 02:00:00 UTC+2", "–", "–"]);
});

test("integers of answers are never rounded, wherever they are", async () => {
  globalThis.document = { baseURI: "http://there/ui/" };
  const { exactly, head } = await built("api.ts", "words.ts");
  const text = `{"n": 9007199254740993, "m": -12345678901234567890, "s": "12345678901234567890 \\"9007199254740993", "f": 1234567890123456.5, "e": 1e30, "small": 42}`;
  const read = exactly(text);
  assert.equal(read.small, 42);
  assert.equal(read.s, '12345678901234567890 "9007199254740993');
  assert.equal(read.f, 1234567890123456.5);
  const shown = head(read).text;
  assert.match(shown, /"n": 9007199254740993,/);
  assert.match(shown, /"m": -12345678901234567890,/);
  assert.equal(exactly("[9007199254740991]")[0], 9007199254740991);
  assert.equal(head(exactly("9007199254740993")).text, "9007199254740993");
  assert.deepEqual(exactly("[0.9502711831228571, -0.9502711831228571, 1.5e-9502711831228571]"), [0.9502711831228571, -0.9502711831228571, 0]);
});
