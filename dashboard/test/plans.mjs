// Plans of chance for the tests of the layout.

/** A generator of chance that repeats: the same seed gives the same graph. */
export function chance(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A plan whose subtasks need earlier ones, at most `reach` before them. */
export function plan(seed, count, edgesEach, reach = count) {
  const draw = chance(seed);
  const ids = Array.from({ length: count }, (_, i) => `n${i}`);
  const edges = [];
  for (let to = 1; to < count; to++) {
    const from = new Set();
    for (let k = 0; k < edgesEach; k++) if (draw() < 0.8) from.add(Math.max(0, to - 1 - Math.floor(draw() * Math.min(to, reach))));
    for (const each of from) edges.push([ids[each], ids[to]]);
  }
  return { ids, edges };
}
