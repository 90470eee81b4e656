import assert from "node:assert/strict";
import test from "node:test";
import { built } from "./built.mjs";

globalThis.document ??= { baseURI: "http://localhost/ui/" };
globalThis.matchMedia ??= () => ({ matches: false, addEventListener: () => undefined });
const { command, readReport, replay } = await built("pages/desk/simulate.tsx");
const written = (values) => command((name) => values[name] ?? "");

const run = (seed, violation = null) => ({ seed, trace_hash: "0", violation, deterministic: true, tasks: 2, faults: 1, commits: 40, boots: 1, virtual_seconds: 60 });
const report = {
  version: 1, level: "http", scenario: { name: "my swarm.yaml", hours: 0.5 }, figures: {}, faults: {}, targets: [], virtual_hours: 1, runs: [run(1), run(2)],
};

test("the command has what was chosen, and nothing that would be refused", () => {
  assert.equal(written({}), "swarmkeeper simulate standard");
  assert.equal(written({ scenario: "research", seeds: "20", start: "7", hours: "0.5", faults: "bot,net", level: "http", bots: "mine.py:swarm", report: "1", twice: "1" }),
    "swarmkeeper simulate research --seeds 20 --start 7 --hours 0.5 --faults bot,net --level http --bots mine.py:swarm --report report.json --check-determinism");
  assert.equal(written({ level: "process", bots: "mine.py:swarm", report: "1", twice: "1" }), "swarmkeeper simulate standard --level process");
  assert.equal(written({ level: "core", bots: "mine.py:swarm" }), "swarmkeeper simulate standard --level core");
});

test("what no shell should run is quoted, and what is no number or fault is left out", () => {
  assert.equal(written({ scenario: "a b; rm -rf ~ 'x'" }), "swarmkeeper simulate 'a b; rm -rf ~ '\\''x'\\'''");
  assert.equal(written({ seeds: "2; ls", start: "-1", hours: "1e9", faults: "bot,$(ls),", level: "moon" }), "swarmkeeper simulate standard --faults bot");
  assert.equal(written({ seeds: "100001", hours: "8761", start: "1.5" }), "swarmkeeper simulate standard");
});

test("a report is read, and nothing else is", () => {
  assert.equal(readReport(JSON.stringify(report)).runs.length, 2);
  for (const other of ["", "[]", "null", "{}", "{", JSON.stringify({ ...report, version: 2 }), JSON.stringify({ ...report, runs: [{}] }), JSON.stringify({ ...report, runs: [null] }), JSON.stringify({ ...report, scenario: null })]) {
    assert.equal(readReport(other), null, other);
  }
});

test("a seed of a report is played again with its scenario, hours and level", () => {
  assert.equal(replay(report, 2), "swarmkeeper simulate 'my swarm.yaml' --hours 0.5 --level http --replay 2");
});
