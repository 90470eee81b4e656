// Places the nodes of a plan: a column for each rank, few crossings, straight lines. Pure; it draws nothing.
//
// Theory (Sugiyama). 1. The rank of a node is the longest way to it, so every edge points to the right. 2. An edge that
// skips ranks is cut by a bend in each of them, so that it finds its way between nodes. 3. Within a rank, nodes are
// ordered by the mean place of their neighbours (barycentre), back and forth; then two that stand side by side change
// places as long as that removes crossings. The order with the fewest crossings is kept. 4. Each node moves to the
// median of its neighbours, as near as order and gaps allow: the best such heights follow from pooling those that
// violate the order (PAVA). Bends weigh more, so that long edges become straight.
//
// The same input gives the same places: nodes begin in the order in which they are given. If there is an earlier
// drawing, nodes begin in its order, and in each rank those that it has keep their order: what grows does not jump.

import { ranksOf } from "./ranks.ts";

export interface Point { x: number; y: number }
export interface Placed {
  /** By node: the left upper corner. */
  at: Map<string, Point>;
  /** From the right side of one node over bends to the left side of another. */
  edges: { from: string; to: string; points: Point[] }[];
  /** The nodes of each rank, from top to bottom. */
  ranks: string[][];
  width: number;
  height: number;
}
export interface Sizes { width: number; height: number; gapX: number; gapY: number }

export const SIZES: Sizes = { width: 168, height: 44, gapX: 56, gapY: 14 };
const BEND_HEIGHT = 8;
const BEND_WEIGHT = 8;
const SWEEPS = 8;
const BENDS_MAX = 4_000; // beyond, edges are drawn straight: nobody follows single ones in such a graph
const EXCHANGES_MAX = 120_000; // comparisons of neighbours: bounds the time

/** Count the crossings between neighbouring ranks, for `place` as the position of each node in its rank. */
export function crossings(order: readonly number[][], next: readonly number[][], place: Int32Array): number {
  let sum = 0;
  for (let rank = 0; rank + 1 < order.length; rank++) {
    const width = order[rank + 1]!.length;
    const tree = new Int32Array(width + 1); // a Fenwick tree of the ends seen so far
    let seen = 0;
    for (const node of order[rank]!) {
      const ends = next[node]!;
      for (const end of ends) {
        let notAfter = 0;
        for (let at = place[end]! + 1; at > 0; at -= at & -at) notAfter += tree[at]!;
        sum += seen - notAfter;
      }
      for (const end of ends) for (let at = place[end]! + 1; at <= width; at += at & -at) tree[at]!++;
      seen += ends.length;
    }
  }
  return sum;
}

export function layout(
  ids: readonly string[],
  edges: readonly (readonly [string, string])[],
  sizes: Sizes = SIZES,
  earlier?: Placed,
): Placed {
  const number = new Map(ids.map((id, index) => [id, index]));
  const known: [number, number][] = [];
  for (const [from, to] of edges) {
    const a = number.get(from), b = number.get(to);
    if (a !== undefined && b !== undefined && a !== b) known.push([a, b]);
  }
  const rank = Array.from(ranksOf(ids.length, known));
  const order: number[][] = Array.from({ length: Math.max(0, ...rank) + (ids.length ? 1 : 0) }, () => []);
  for (let node = 0; node < ids.length; node++) order[rank[node]!]!.push(node);
  const held = new Map<number, number>(); // where those are that have a place already
  if (earlier) {
    ids.forEach((id, node) => { if (earlier.at.has(id)) held.set(node, earlier.at.get(id)!.y); });
    for (const row of order) row.sort((a, b) => (held.get(a) ?? 1e9) - (held.get(b) ?? 1e9));
  }

  const { chains, next, before } = withBends(known, rank, order);
  sort(order, next, before, rank.length, held);
  const middle = heights(order, next, before, ids.length, rank.length, sizes);

  let top = Infinity, bottom = -Infinity;
  for (let node = 0; node < ids.length; node++) {
    top = Math.min(top, middle[node]! - sizes.height / 2);
    bottom = Math.max(bottom, middle[node]! + sizes.height / 2);
  }
  for (let node = ids.length; node < rank.length; node++) {
    top = Math.min(top, middle[node]!);
    bottom = Math.max(bottom, middle[node]!);
  }
  const x = (node: number) => rank[node]! * (sizes.width + sizes.gapX);
  const at = new Map<string, Point>();
  ids.forEach((id, node) => at.set(id, { x: x(node), y: middle[node]! - sizes.height / 2 - top }));
  return {
    at,
    edges: chains.map((chain) => {
      const from = chain[0]!, to = chain[chain.length - 1]!;
      const points = [{ x: x(from) + sizes.width, y: middle[from]! - top }];
      for (const bend of chain.slice(1, -1)) {
        points.push({ x: x(bend), y: middle[bend]! - top }, { x: x(bend) + sizes.width, y: middle[bend]! - top });
      }
      points.push({ x: x(to), y: middle[to]! - top });
      return { from: ids[from]!, to: ids[to]!, points };
    }),
    ranks: order.map((row) => row.filter((node) => node < ids.length).map((node) => ids[node]!)),
    width: ids.length ? order.length * (sizes.width + sizes.gapX) - sizes.gapX : 0,
    height: ids.length ? bottom - top : 0,
  };
}

/** Cut edges that skip ranks. Bends are nodes beyond the given ones: `rank` and `order` grow by them. */
function withBends(edges: readonly [number, number][], rank: number[], order: number[][]) {
  let bends = 0;
  for (const [from, to] of edges) bends += Math.max(0, rank[to]! - rank[from]! - 1);
  const cuts = bends <= BENDS_MAX;
  const chains: number[][] = [];
  const next: number[][] = rank.map(() => []);
  const before: number[][] = rank.map(() => []);
  const link = (a: number, b: number) => {
    next[a]!.push(b);
    before[b]!.push(a);
  };
  for (const [from, to] of edges) {
    const chain = [from];
    if (cuts) {
      for (let between = rank[from]! + 1; between < rank[to]!; between++) {
        const bend = rank.length;
        rank.push(between);
        next.push([]);
        before.push([]);
        order[between]!.push(bend);
        link(chain[chain.length - 1]!, bend);
        chain.push(bend);
      }
    }
    if (cuts || rank[to]! === rank[from]! + 1) link(chain[chain.length - 1]!, to);
    chain.push(to);
    chains.push(chain);
  }
  return { chains, next, before };
}

function sort(order: number[][], next: number[][], before: number[][], count: number, held: ReadonlyMap<number, number>): void {
  const place = new Int32Array(count);
  const number = (row: number[]) => row.forEach((node, index) => { place[node] = index; });
  order.forEach(number);
  let best = order.map((row) => [...row]);
  let fewest = crossings(order, next, place);
  let budget = EXCHANGES_MAX;
  const wanted = new Float64Array(count);
  for (let sweep = 0; sweep < SWEEPS && fewest > 0; sweep++) {
    const forth = sweep % 2 === 0;
    const neighbours = forth ? before : next;
    for (let step = 1; step < order.length; step++) {
      const row = order[forth ? step : order.length - 1 - step]!;
      for (const node of row) {
        const near = neighbours[node]!;
        let sum = 0;
        for (const other of near) sum += place[other]!;
        wanted[node] = near.length ? sum / near.length : place[node]!;
      }
      row.sort((a, b) => wanted[a]! - wanted[b]! || place[a]! - place[b]!);
      if (held.size) {
        const kept = row.filter((node) => held.has(node)).sort((a, b) => held.get(a)! - held.get(b)!);
        let turn = 0;
        row.forEach((node, at) => { if (held.has(node)) row[at] = kept[turn++]!; });
      }
      number(row);
    }
    if (sweep >= SWEEPS / 2 - 1) budget = exchange(order, next, before, place, budget, held); // once sorting has settled
    const now = crossings(order, next, place);
    if (now < fewest) {
      fewest = now;
      best = order.map((row) => [...row]);
    }
  }
  best.forEach((row, rank) => { order[rank] = row; });
}

/** Let neighbours change places where that removes crossings, until none can or the budget is spent. */
function exchange(order: number[][], next: number[][], before: number[][], place: Int32Array, budget: number, held: ReadonlyMap<number, number>): number {
  for (let again = true; again && budget > 0;) {
    again = false;
    for (const row of order) {
      for (let at = 0; at + 1 < row.length && budget > 0; at++) {
        const a = row[at]!, b = row[at + 1]!;
        if (held.has(a) && held.has(b)) continue;
        budget -= 1 + next[a]!.length * next[b]!.length + before[a]!.length * before[b]!.length;
        if (gain(next[a]!, next[b]!, place) + gain(before[a]!, before[b]!, place) > 0) {
          row[at] = b;
          row[at + 1] = a;
          place[b] = at;
          place[a] = at + 1;
          again = true;
        }
      }
    }
  }
  return budget;
}

/** How many crossings two neighbours would lose by changing places, for their ends in one of the ranks beside. */
function gain(ofUpper: readonly number[], ofLower: readonly number[], place: Int32Array): number {
  let lost = 0;
  for (const a of ofUpper) for (const b of ofLower) lost += Math.sign(place[a]! - place[b]!);
  return lost;
}

/** Return the middle of each node, from top to bottom. */
function heights(
  order: readonly number[][], next: number[][], before: number[][], nodes: number, count: number, sizes: Sizes,
): Float64Array {
  const tall = (node: number) => (node < nodes ? sizes.height : BEND_HEIGHT);
  const middle = new Float64Array(count);
  // How far each node is below the first of its rank at least.
  const offsets = order.map((row) => {
    const offset = new Float64Array(row.length);
    for (let at = 1; at < row.length; at++) {
      offset[at] = offset[at - 1]! + (tall(row[at - 1]!) + tall(row[at]!)) / 2 + sizes.gapY;
    }
    return offset;
  });
  order.forEach((row, rank) => {
    const offset = offsets[rank]!;
    const half = row.length ? offset[row.length - 1]! / 2 : 0;
    row.forEach((node, at) => { middle[node] = offset[at]! - half; });
  });
  for (let sweep = 0; sweep < SWEEPS + 2; sweep++) {
    const forth = sweep % 2 === 0;
    for (let step = 0; step < order.length; step++) {
      const rank = forth ? step : order.length - 1 - step;
      const row = order[rank]!, offset = offsets[rank]!;
      const last = sweep >= SWEEPS;
      const wanted = row.map((node) => {
        const near = last ? [...before[node]!, ...next[node]!] : (forth ? before : next)[node]!;
        return near.length ? median(near, middle) : middle[node]!;
      });
      const weight = row.map((node) => (node < nodes ? 1 : BEND_WEIGHT));
      pooled(wanted, weight, offset).forEach((height, at) => { middle[row[at]!] = height; });
    }
  }
  return middle;
}

function median(near: readonly number[], middle: Float64Array): number {
  const first = middle[near[0]!]!;
  if (near.length === 1) return first;
  if (near.length === 2) return (first + middle[near[1]!]!) / 2;
  const sorted = near.map((node) => middle[node]!).sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}

/** Return the heights that are nearest to the wanted ones (least squares) and keep order and gaps. */
function pooled(wanted: readonly number[], weight: readonly number[], offset: Float64Array): number[] {
  const sums: number[] = [], weights: number[] = [], counts: number[] = [];
  for (let at = 0; at < wanted.length; at++) {
    sums.push((wanted[at]! - offset[at]!) * weight[at]!);
    weights.push(weight[at]!);
    counts.push(1);
    for (let end = sums.length - 1; end > 0 && sums[end - 1]! / weights[end - 1]! > sums[end]! / weights[end]!; end--) {
      sums[end - 1]! += sums.pop()!;
      weights[end - 1]! += weights.pop()!;
      counts[end - 1]! += counts.pop()!;
    }
  }
  const heights: number[] = [];
  sums.forEach((sum, block) => {
    for (let n = counts[block]!; n > 0; n--) heights.push(sum / weights[block]! + offset[heights.length]!);
  });
  return heights;
}

/** Return the path of an SVG for the points of an edge. */
export function curve(points: readonly Point[]): string {
  let path = `M${round(points[0]!.x)} ${round(points[0]!.y)}`;
  for (let at = 1; at < points.length; at++) {
    const a = points[at - 1]!, b = points[at]!, half = (a.x + b.x) / 2;
    path += a.y === b.y
      ? `L${round(b.x)} ${round(b.y)}`
      : `C${round(half)} ${round(a.y)} ${round(half)} ${round(b.y)} ${round(b.x)} ${round(b.y)}`;
  }
  return path;
}

const round = (value: number) => Math.round(value * 10) / 10;

export type Way = "ArrowLeft" | "ArrowRight" | "ArrowUp" | "ArrowDown";

/** The node beside another: above or below it, or the nearest that it leads to or comes from, else of the next rank. */
export function beside(placed: Placed, key: string, way: Way): string | undefined {
  const rank = placed.ranks.findIndex((row) => row.includes(key)), row = placed.ranks[rank] ?? [];
  if (way === "ArrowUp" || way === "ArrowDown") return row[row.indexOf(key) + (way === "ArrowUp" ? -1 : 1)];
  const forth = way === "ArrowRight";
  const linked = placed.edges.filter((edge) => (forth ? edge.from : edge.to) === key).map((edge) => (forth ? edge.to : edge.from));
  const far = (node: string) => {
    const a = placed.at.get(node)!, b = placed.at.get(key)!;
    return Math.abs(a.x - b.x) * 1e3 + Math.abs(a.y - b.y);
  };
  return (linked.length ? linked : [...(placed.ranks[rank + (forth ? 1 : -1)] ?? [])]).sort((a, b) => far(a) - far(b))[0];
}
