// dagre, a well-known layout of graphs, says what a good picture is: ours has hardly more crossings. It takes seconds for
// large plans, and so is no part of what is served.

import assert from "node:assert/strict";
import test from "node:test";
import { Graph, layout as dagreLayout } from "@dagrejs/dagre";
import { built } from "./built.mjs";
import { chance, plan } from "./plans.mjs";

const { layout, SIZES } = await built("layout.ts");

/** Pairs of lines that cross elsewhere than at their ends, whoever drew them. Args: `lines` are lists of points. */
function crossingLines(lines) {
  const parts = lines.flatMap((points, line) => points.slice(1).map((to, at) => ({ line, from: points[at], to })));
  const side = (from, to, { x, y }) => Math.sign(Math.round(1e6 * ((to.x - from.x) * (y - from.y) - (to.y - from.y) * (x - from.x))));
  let sum = 0;
  for (let a = 0; a < parts.length; a++) {
    for (let b = a + 1; b < parts.length; b++) {
      const one = parts[a], other = parts[b];
      if (one.line === other.line || Math.min(one.to.x, other.to.x) <= Math.max(one.from.x, other.from.x)) continue;
      if (side(one.from, one.to, other.from) * side(one.from, one.to, other.to) < 0 && side(other.from, other.to, one.from) * side(other.from, other.to, one.to) < 0) sum++;
    }
  }
  return sum;
}

/** As dagre draws it. Lines begin and end in the middle of a node's side, as ours do. */
function ofDagre({ ids, edges }) {
  const graph = new Graph();
  graph.setGraph({ rankdir: "LR", nodesep: SIZES.gapY, ranksep: SIZES.gapX });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const id of ids) graph.setNode(id, { width: SIZES.width, height: SIZES.height });
  for (const [from, to] of edges) graph.setEdge(from, to);
  dagreLayout(graph);
  return graph.edges().map((edge) => {
    const from = graph.node(edge.v), to = graph.node(edge.w), half = SIZES.width / 2;
    const between = graph.edge(edge).points.slice(1, -1).filter((_, at) => at % 2 === 1); // the others are places for words
    return [{ x: from.x + half, y: from.y }, ...between, { x: to.x - half, y: to.y }];
  });
}

/** Columns of work, each of which needs some of the column before, and a few of earlier ones. */
function columns(seed) {
  const draw = chance(seed), wide = 3 + (seed % 6), deep = 3 + (seed % 5), ids = [], edges = [];
  for (let column = 0; column < deep; column++) for (let row = 0; row < wide; row++) {
    const id = `c${column}r${row}`;
    if (column) for (let k = 0; k < 1 + (draw() < 0.5); k++) {
      const back = draw() < 0.15 && column > 1 ? 2 : 1, from = `c${column - back}r${Math.floor(draw() * wide)}`;
      if (!edges.some(([a, b]) => a === from && b === id)) edges.push([from, id]);
    }
    ids.push(id);
  }
  return { ids, edges };
}

const KINDS = {
  "columns of work": columns,
  "wide plans": (seed) => plan(seed, 20 + seed, 2, 20 + seed),
  "long plans": (seed) => plan(seed, 12 + seed, 2, 12),
};

for (const [name, made] of Object.entries(KINDS)) {
  test(`${name} have at most a tenth more crossings than as dagre draws them`, () => {
    let ours = 0, theirs = 0;
    for (let seed = 0; seed < 20; seed++) {
      const graph = made(seed);
      ours += crossingLines(layout(graph.ids, graph.edges).edges.map(({ points }) => points));
      theirs += crossingLines(ofDagre(graph));
    }
    assert.ok(theirs > 50, `${theirs}: what crosses nowhere shows nothing`);
    assert.ok(ours <= theirs * 1.1, `${ours} instead of ${theirs}`);
  });
}

test("crossing lines are counted, and lines that meet at their ends are none", () => {
  const point = (x, y) => ({ x, y });
  assert.equal(crossingLines([[point(0, 0), point(9, 9)], [point(0, 9), point(9, 0)]]), 1);
  assert.equal(crossingLines([[point(0, 0), point(9, 9)], [point(0, 0), point(9, 0)]]), 0);
  assert.equal(crossingLines([[point(0, 0), point(9, 0)], [point(0, 1), point(9, 1)]]), 0);
});
