import assert from "node:assert/strict";
import test from "node:test";
import { built } from "./built.mjs";

const { find, entries, indented, picked } = await built("pages/task/json.ts");

function chance(seed) {
  let state = Math.imul(seed + 1, 2654435761) >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const TEXTS = ["", "a", '"', "\\", "\\\\\"", "{[,:]}", "line\nbreak", "\u202e", "ü🐝", "x".repeat(50)];

function value(draw, depth) {
  const kind = Math.floor(draw() * (depth ? 7 : 5));
  if (kind === 0) return null;
  if (kind === 1) return draw() < 0.5;
  if (kind === 2) return Math.round((draw() - 0.5) * 1e6) / 1e3;
  if (kind <= 4) return TEXTS[Math.floor(draw() * TEXTS.length)];
  const count = Math.floor(draw() * 6);
  if (kind === 5) return Array.from({ length: count }, () => value(draw, depth - 1));
  return Object.fromEntries(Array.from({ length: count }, (_, at) => [TEXTS[Math.floor(draw() * TEXTS.length)] + at, value(draw, depth - 1)]));
}

/** What is read, as JavaScript has it. */
function read(text, found) {
  if (found.kind === "object") return Object.fromEntries([...entries(text, found)].map(({ key, value: each }) => [key, read(text, each)]));
  if (found.kind === "list") return [...entries(text, found)].map(({ value: each }) => read(text, each));
  return JSON.parse(text.slice(found.start, found.end));
}

test("any JSON is read as JSON.parse reads it, however it is spaced", () => {
  for (let seed = 0; seed < 300; seed++) {
    const draw = chance(seed), given = [value(draw, 4), value(draw, 4), value(draw, 4)];
    for (const text of [JSON.stringify(given), JSON.stringify(given, null, 3), ` ${JSON.stringify(given, null, "\t")}\n`]) {
      const found = find(text);
      assert.ok(found.whole);
      assert.deepEqual(read(text, found), given);
      if (found.kind === "list" || found.kind === "object") assert.equal(found.size, [...entries(text, found)].length);
    }
  }
});

test("it is indented as JSON.stringify indents it", () => {
  for (let seed = 0; seed < 300; seed++) {
    const given = { a: value(chance(seed), 4), b: value(chance(seed + 500), 4) };
    for (const text of [JSON.stringify(given), JSON.stringify(given, null, 1)]) {
      assert.deepEqual(indented(text, find(text), 1e6), { text: JSON.stringify(given, null, 2), cut: false });
    }
  }
});

test("numbers stay as they were sent", () => {
  const text = '{"id":9007199254740993,"list":[1.10,1e400,-0,12345678901234567890.5]}';
  assert.equal(indented(text, find(text), 1e3).text, '{\n  "id": 9007199254740993,\n  "list": [\n    1.10,\n    1e400,\n    -0,\n    12345678901234567890.5\n  ]\n}');
  const { value: id } = [...entries(text, find(text))][0];
  assert.equal(text.slice(id.start, id.end), "9007199254740993");
});

test("wherever a text ends early, it is read as far as it goes, and said not to be whole", () => {
  for (let seed = 0; seed < 60; seed++) {
    const text = JSON.stringify({ a: value(chance(seed), 4), b: [1, { c: "d\\\"" }] });
    for (let end = 1; end < text.length; end++) {
      const part = text.slice(0, end), found = find(part);
      assert.equal(found.whole, false);
      for (const each of entries(part, found)) assert.ok(each.value.end <= end);
      assert.equal(indented(part, found, 1e6).cut, true);
    }
  }
});

test("the head of a value is its beginning, and says that it is cut", () => {
  const text = JSON.stringify({ a: "x".repeat(1000), b: 1 });
  const whole = indented(text, find(text), 1e6).text;
  for (const most of [1, 5, 30, 900, 1010]) assert.deepEqual(indented(text, find(text), most), { text: whole.slice(0, most), cut: true });
});

test("a value is picked out of what surrounds it", () => {
  const text = '{"output":{"input":1},"input":{"a":[2, 3]},"x":0}';
  const found = picked(text, ["input"]);
  assert.equal(text.slice(found.start, found.end), '{"a":[2, 3]}');
  assert.equal(picked(text, ["nothing"]), undefined);
  const early = picked('{"input":{"a":[2, 3', ["input"]);
  assert.deepEqual([early.kind, early.whole], ["object", false]);
});

test("nesting of any depth, and a megabyte, are read at once", () => {
  const deep = "[".repeat(500_000) + "]".repeat(500_000), wide = JSON.stringify(Array.from({ length: 150_000 }, (_, at) => at));
  assert.equal(find(deep).whole, true);
  const began = process.cpuUsage();
  assert.equal([...entries(wide, find(wide))].length, 150_000);
  assert.equal(indented(wide, find(wide), 65_536).cut, true);
  assert.ok(process.cpuUsage(began).user < 2e6);
});
