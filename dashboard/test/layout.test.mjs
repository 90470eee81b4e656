import assert from "node:assert/strict";
import test from "node:test";
import { built } from "./built.mjs";
import { chance, plan } from "./plans.mjs";

const { layout, crossings, curve, beside, SIZES } = await built("layout.ts");

/** Crossings of a drawing: pairs of edges between the same two neighbouring ranks that change sides. */
function crossed(placed) {
  const parts = new Map();
  for (const { points } of placed.edges) {
    for (let at = 0; at + 1 < points.length; at += 2) {
      const key = points[at].x;
      if (!parts.has(key)) parts.set(key, []);
      parts.get(key).push([points[at].y, points[at + 1].y]);
    }
  }
  let sum = 0;
  for (const lines of parts.values()) {
    for (let a = 0; a < lines.length; a++) {
      for (let b = a + 1; b < lines.length; b++) {
        if ((lines[a][0] - lines[b][0]) * (lines[a][1] - lines[b][1]) < 0) sum++;
      }
    }
  }
  return sum;
}

test("every edge points to the right", () => {
  for (let seed = 0; seed < 40; seed++) {
    const { ids, edges } = plan(seed, 5 + seed * 3, 2);
    const placed = layout(ids, edges);
    for (const [from, to] of edges) assert.ok(placed.at.get(from).x + SIZES.width < placed.at.get(to).x + 1, `${seed}: ${from} -> ${to}`);
  }
});

test("no two nodes touch, and nothing lies outside of the picture", () => {
  for (let seed = 0; seed < 40; seed++) {
    const { ids, edges } = plan(seed, 40, 2);
    const placed = layout(ids, edges);
    for (const row of placed.ranks) {
      const tops = row.map((id) => placed.at.get(id).y);
      for (let at = 1; at < tops.length; at++) assert.ok(tops[at] - tops[at - 1] >= SIZES.height + SIZES.gapY - 1e-6);
    }
    for (const { x, y } of placed.at.values()) {
      assert.ok(x >= 0 && y >= -1e-6 && x + SIZES.width <= placed.width && y + SIZES.height <= placed.height + 1e-6);
    }
    for (const { points } of placed.edges) for (const { y } of points) assert.ok(y >= -1e-6 && y <= placed.height + 1e-6);
  }
});

test("a long edge passes between the nodes, not through them", () => {
  for (let seed = 0; seed < 20; seed++) {
    const { ids, edges } = plan(seed, 30, 2);
    const placed = layout(ids, edges);
    for (const { from, to, points } of placed.edges) {
      for (const { x, y } of points.slice(1, -1)) {
        for (const [id, at] of placed.at) {
          if (id === from || id === to || x < at.x || x > at.x + SIZES.width) continue;
          assert.ok(y < at.y || y > at.y + SIZES.height, `${seed}: ${from} -> ${to} through ${id}`);
        }
      }
    }
  }
});

test("a chain is one straight line", () => {
  const ids = ["a", "b", "c", "d"];
  const placed = layout(ids, [["a", "b"], ["b", "c"], ["c", "d"]]);
  assert.deepEqual(ids.map((id) => placed.at.get(id).y), [0, 0, 0, 0]);
  assert.equal(placed.height, SIZES.height);
});

test("what can be drawn without crossings is", () => {
  // Two pairs that are given crosswise; and a tree whose leaves come in any order.
  assert.equal(crossed(layout(["a", "b", "c", "d"], [["a", "d"], ["b", "c"]])), 0);
  const leaves = Array.from({ length: 12 }, (_, i) => `l${(i * 5) % 12}`);
  const roots = ["r0", "r1", "r2"];
  assert.equal(crossed(layout([...roots, ...leaves], leaves.map((leaf) => [roots[parseInt(leaf.slice(1)) % 3], leaf]))), 0);
});

test("sorting leaves less than half of the crossings of plans as they are given", () => {
  let before = 0, after = 0;
  for (let seed = 0; seed < 20; seed++) {
    const draw = chance(seed);
    const rows = Array.from({ length: 5 }, (_, rank) => Array.from({ length: 8 }, (_, i) => rank * 8 + i));
    const next = Array.from({ length: 40 }, () => []);
    for (let rank = 1; rank < 5; rank++) for (const node of rows[rank]) for (let k = 0; k < 1 + (draw() < 0.4); k++) {
      const from = rows[rank - 1][Math.floor(draw() * 8)];
      if (!next[from].includes(node)) next[from].push(node);
    }
    const place = new Int32Array(40);
    for (const row of rows) row.forEach((node, at) => { place[node] = at; });
    const given = crossings(rows, next, place);
    const left = crossed(layout(next.map((_, i) => `n${i}`), next.flatMap((ends, from) => ends.map((to) => [`n${from}`, `n${to}`]))));
    assert.ok(left <= given, `seed ${seed}: ${left} of ${given}`);
    before += given;
    after += left;
  }
  assert.ok(after < before / 2, `${after} of ${before}`);
});

test("crossings are counted as by looking at each pair", () => {
  for (let seed = 0; seed < 30; seed++) {
    const draw = chance(seed);
    const upper = Array.from({ length: 8 }, (_, i) => i), lower = Array.from({ length: 8 }, (_, i) => 8 + i);
    const next = Array.from({ length: 16 }, () => []);
    for (const a of upper) for (const b of lower) if (draw() < 0.3) next[a].push(b);
    const place = new Int32Array(16);
    for (const row of [upper, lower]) row.forEach((node, at) => { place[node] = at; });
    let pairs = 0;
    for (const a of upper) for (const b of upper) if (a < b) for (const c of next[a]) for (const d of next[b]) if (c > d) pairs++;
    assert.equal(crossings([upper, lower], next, place), pairs);
  }
});

test("the same plan is drawn in the same way", () => {
  const { ids, edges } = plan(7, 60, 3);
  assert.deepEqual([...layout(ids, edges).at], [...layout(ids, edges).at]);
});

test("edges to nodes that are not there, and nodes that wait for themselves, do no harm", () => {
  const placed = layout(["a", "b"], [["a", "b"], ["b", "a"], ["a", "a"], ["x", "b"]]);
  assert.equal(placed.at.size, 2);
  assert.deepEqual(layout([], []), { at: new Map(), edges: [], ranks: [], width: 0, height: 0 });
});

test("2,000 nodes are placed in less than 100 ms", () => {
  const wide = plan(1, 2000, 2, 80), deep = plan(2, 2000, 1, 10);
  layout(wide.ids, wide.edges); // as in a browser, the second picture counts: the first compiles the code
  for (const { ids, edges } of [wide, deep]) {
    const times = [1, 2, 3, 4, 5].map(() => {
      const began = process.cpuUsage(); // the processor's time: other programs may share the machine
      layout(ids, edges);
      const { user, system } = process.cpuUsage(began);
      return (user + system) / 1000;
    });
    assert.ok(Math.min(...times) < 100, `${Math.round(Math.min(...times))} ms`);
  }
});

test("a path of an edge has no more decimals than a screen shows", () => {
  assert.equal(curve([{ x: 0, y: 0 }, { x: 10, y: 0 }, { x: 20.123, y: 5.55 }]), "M0 0L10 0C15.1 0 15.1 5.6 20.1 5.6");
});

/** A plan, and the same with some subtasks more, which others that are there already do not need. */
function grown(seed) {
  const draw = chance(seed + 1000), { ids, edges } = plan(seed, 40, 2);
  const more = { ids: [...ids], edges: [...edges] };
  for (let n = 0; n < 8; n++) {
    more.ids.push(`x${n}`);
    if (draw() < 0.8) more.edges.push([ids[Math.floor(draw() * ids.length)], `x${n}`]);
  }
  return { ids, edges, more };
}

test("what is added to a plan moves nothing that is there to another column or another order", () => {
  for (let seed = 0; seed < 40; seed++) {
    const { ids, edges, more } = grown(seed);
    const first = layout(ids, edges), second = layout(more.ids, more.edges, SIZES, first);
    for (const id of ids) assert.equal(second.at.get(id).x, first.at.get(id).x);
    second.ranks.forEach((row, rank) => assert.deepEqual(row.filter((id) => first.at.has(id)), first.ranks[rank] ?? [], `seed ${seed}`));
  }
});

test("an earlier order is kept also where no edge tells one", () => {
  const earlier = { ...layout(["b", "a"], []) };
  assert.deepEqual(layout(["a", "b", "c"], [], SIZES, earlier).ranks, [["b", "a", "c"]]);
});

test("a plan that grew is drawn with hardly more crossings than if it were drawn anew", () => {
  let kept = 0, anew = 0;
  for (let seed = 0; seed < 40; seed++) {
    const { ids, edges, more } = grown(seed);
    kept += crossed(layout(more.ids, more.edges, SIZES, layout(ids, edges)));
    anew += crossed(layout(more.ids, more.edges));
  }
  assert.ok(kept <= anew * 1.15, `${kept} instead of ${anew}`);
});

test("the same plan drawn after itself keeps its places", () => {
  for (let seed = 0; seed < 20; seed++) {
    const { ids, edges } = plan(seed, 50, 2), first = layout(ids, edges);
    assert.deepEqual(layout(ids, edges, SIZES, first).ranks, first.ranks);
  }
});

test("arrow keys lead along edges and within columns, and back", () => {
  const placed = layout(["a", "b", "c", "d"], [["a", "b"], ["a", "c"], ["b", "d"], ["c", "d"]]);
  const [upper, lower] = placed.ranks[1];
  assert.equal(beside(placed, upper, "ArrowDown"), lower);
  assert.equal(beside(placed, lower, "ArrowUp"), upper);
  assert.equal(beside(placed, upper, "ArrowUp"), undefined);
  assert.equal(beside(placed, upper, "ArrowRight"), "d");
  assert.equal(beside(placed, lower, "ArrowLeft"), "a");
  assert.equal(beside(placed, "a", "ArrowLeft"), undefined);
  for (let seed = 0; seed < 10; seed++) {
    const { ids, edges } = plan(seed, 30, 2), all = layout(ids, edges), reached = new Set([ids[0]]), open = [ids[0]];
    for (const each of open) for (const way of ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]) {
      const next = beside(all, each, way);
      if (next !== undefined && !reached.has(next)) { reached.add(next); open.push(next); }
    }
    assert.equal(reached.size, ids.length, "each node is reached by arrow keys");
  }
});
