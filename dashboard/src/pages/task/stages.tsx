// A plan with too many subtasks to follow single ones: a column for each rank, with blocks by state, worst first.

import { useMemo } from "preact/hooks";
import type { Edge, Node } from "../../plan.ts";
import { ranksOf } from "../../ranks.ts";
import { grouped, lookOfItem, worse } from "../../words.ts";

/** The rank of each node: how many stand one after the other before it. */
export function ranked(keys: readonly string[], edges: readonly Edge[]): Int32Array {
  const number = new Map(keys.map((key, at) => [key, at]));
  return ranksOf(keys.length, edges.flatMap(({ from, to }) => (number.has(from) && number.has(to) ? [[number.get(from)!, number.get(to)!] as const] : [])));
}

/** How many of each state there are in each rank. A block shows these in the table. */
export function Stages({ nodes, edges, choose }: { nodes: Node[]; edges: Edge[]; choose: (status: string, rank: number) => void }) {
  const columns = useMemo(() => {
    const ranks = ranked(nodes.map((each) => each.key), edges);
    const found: Map<string, number>[] = [];
    nodes.forEach((each, at) => {
      const column = (found[ranks[at]!] ??= new Map());
      column.set(each.status, (column.get(each.status) ?? 0) + 1);
    });
    return found;
  }, [nodes, edges]);
  const tallest = Math.max(1, ...columns.map((column) => [...column.values()].reduce((sum, n) => sum + n, 0)));
  return (
    <div class="stages" role="group" aria-label="Stages of the plan" tabIndex={0}>
      {columns.map((column, rank) => (
        <div class="stage" key={rank}>
          <span class="rank" aria-hidden="true">{rank + 1}</span>
          {[...column].sort(([a], [b]) => worse(lookOfItem(a).tone, lookOfItem(b).tone)).map(([status, count]) => {
            const look = lookOfItem(status), says = `${grouped(count)} ${look.word} in stage ${rank + 1}`;
            return (
              <button type="button" key={status} class={`block tone-${look.tone}`} style={{ height: `${Math.max(22, (180 * count) / tallest)}px` }}
                aria-label={says} title={says} onClick={() => choose(status, rank)}>{grouped(count)} <small>{look.word}</small></button>
            );
          })}
        </div>
      ))}
    </div>
  );
}
