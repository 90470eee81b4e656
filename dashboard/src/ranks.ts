// How deep the nodes of a plan are.

/** Return the rank of each node; nodes of a cycle, which no plan has, get those that they have when it is found. */
export function ranksOf(count: number, edges: readonly (readonly [number, number])[]): Int32Array {
  const rank = new Int32Array(count);
  const waits = new Int32Array(count);
  const next: number[][] = Array.from({ length: count }, () => []);
  for (const [from, to] of edges) {
    next[from]!.push(to);
    waits[to]!++;
  }
  const free: number[] = [];
  for (let node = 0; node < count; node++) if (waits[node] === 0) free.push(node);
  for (let at = 0; at < free.length; at++) {
    const from = free[at]!;
    for (const to of next[from]!) {
      if (rank[to]! <= rank[from]!) rank[to] = rank[from]! + 1;
      if (--waits[to]! === 0) free.push(to);
    }
  }
  return rank;
}
