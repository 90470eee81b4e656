import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";
import { built } from "./built.mjs";

process.env.TZ = "UTC";
const { filterWord, has, toggled, tokens, understood } = await built("query.ts");
const { parse, written } = await built("route.ts");
const examples = JSON.parse(await readFile(new URL("../../tests/cli/query_line.json", import.meta.url), "utf8"));

for (const { line, filter, problems } of examples) {
  test(`a line means the same as in the terminal: ${JSON.stringify(line)}`, () => {
    assert.deepEqual(understood(line), { filter, problems });
  });
}

test("a time without a zone is local", () => {
  process.env.TZ = "America/New_York";
  try {
    assert.equal(understood("after:2026-11-29").filter.created_after, "2026-11-29T05:00:00.000Z");
  } finally {
    process.env.TZ = "UTC";
  }
});

test("a word is put into a line and taken out again, however it is quoted", () => {
  assert.equal(toggled('label:team="big money"', "status:failed"), 'label:team="big money" status:failed');
  assert.equal(toggled('label:team="big money" status:failed', 'label:"team=big money"'), "status:failed");
  assert.equal(toggled("Status:Failed", "status:failed"), "");
  assert.equal(has("Status:Failed x", "status:failed"), true);
  assert.equal(has("x", "status:failed"), false);
  assert.equal(filterWord("label", "team=money"), "label:team=money");
  assert.deepEqual(understood(filterWord("label", "team=big money")).filter.label, ["team:big money"]);
});

test("any line survives the address, and nothing of it is lost by toggling twice", () => {
  let seed = 7;
  const next = (n) => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) % n;
  const parts = ["status:failed", "outcome:expired", 'label:"a=b c"', "after:2026-11-01", "sort:oldest", "invoice", '"two words"', "ü&=#?%+", "sort:priority"];
  for (let round = 0; round < 500; round++) {
    const line = Array.from({ length: next(6) }, () => parts[next(parts.length)]).join(" ");
    assert.equal(parse(written(["tasks"], new URLSearchParams({ q: line }))).query.get("q"), line);
    assert.deepEqual(understood(toggled(toggled(line, "status:archived"), "status:archived")), understood(line));
    assert.deepEqual(understood(tokens(line).join("  ")), understood(line));
  }
});
