// Draws a plan: as a graph, or with many subtasks as stages: a column for each rank, with blocks by state, worst first.

import { useEffect, useMemo, useRef } from "preact/hooks";
import type { Subtask } from "./api.ts";
import { curve, layout, ranksOf, SIZES } from "./layout.ts";
import { Glyph } from "./parts.tsx";
import { lookOfItem, safe, worse, type Look } from "./words.ts";

export const GRAPH_MAX = 200;
const MARGIN = 12;
const TITLE_LENGTH = 20;

export interface Node { key: string; status: string; note: string }
export interface Edge { from: string; to: string; when: string }

export function edgesOf(subtasks: readonly Subtask[]): Edge[] {
  return subtasks.flatMap((subtask) => (subtask.depends_on ?? []).map((each) =>
    typeof each === "string" ? { from: each, to: subtask.key, when: "success" } : { from: each.key, to: subtask.key, when: each.when ?? "success" }));
}

export const nodesOf = (subtasks: readonly Subtask[]): Node[] => subtasks.map((each) => ({
  key: each.key, status: each.status ?? "", note: [each.attempt > 1 ? `try ${each.attempt}` : "", each.bot ?? (each.required_skills ?? []).join(", ")].filter(Boolean).join(" · "),
}));

const short = (text: string, max: number) => (text.length > max ? `${text.slice(0, max - 1)}…` : text);

interface Props { nodes: Node[]; edges: Edge[]; chosen?: string | undefined; choose?: (key: string) => void; label: string }

export function Graph({ nodes, edges, chosen, choose, label }: Props) {
  // Places depend on the plan alone, not on states: what is looked at does not jump.
  const shape = nodes.map((each) => each.key).join("\n") + "\0" + edges.map((each) => `${each.from}\n${each.to}`).join("\0");
  const placed = useMemo(() => layout(nodes.map((each) => each.key), edges.map((each) => [each.from, each.to] as const)), [shape]);
  const of = new Map(nodes.map((each) => [each.key, each]));
  const when = new Map(edges.map((each) => [`${each.from}\0${each.to}`, each.when]));
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const at = chosen === undefined ? undefined : placed.at.get(chosen), element = box.current;
    if (!at || !element) return;
    if (at.x < element.scrollLeft || at.x + SIZES.width > element.scrollLeft + element.clientWidth) element.scrollLeft = at.x - element.clientWidth / 2;
    if (at.y < element.scrollTop || at.y + SIZES.height > element.scrollTop + element.clientHeight) element.scrollTop = at.y - element.clientHeight / 2;
  }, [chosen, placed]);
  return (
    <div class="graph" ref={box} tabIndex={0} role="group" aria-label={label}>
      <svg width={placed.width + 2 * MARGIN} height={placed.height + 2 * MARGIN} role="presentation">
        <g transform={`translate(${MARGIN} ${MARGIN})`}>
          {placed.edges.map((edge) => (
            <path key={`${edge.from}\0${edge.to}`} d={curve(edge.points)} class={`edge ${when.get(`${edge.from}\0${edge.to}`) === "success" ? "" : "loose"} tone-${lookOfItem(of.get(edge.from)!.status).tone}`} />
          ))}
          {[...placed.at].map(([key, at]) => {
            const node = of.get(key)!, look: Look = node.status ? lookOfItem(node.status) : { tone: "wait", word: "planned" };
            return (
              <g key={key} transform={`translate(${at.x} ${at.y})`} class={`node tone-${look.tone} ${key === chosen ? "chosen" : ""}`}
                role={choose ? "button" : undefined} tabIndex={choose ? 0 : undefined} aria-pressed={choose ? key === chosen : undefined}
                onClick={() => choose?.(key)}
                onKeyDown={(event: KeyboardEvent) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose?.(key); } }}>
                {(key.length > TITLE_LENGTH || node.note.length > TITLE_LENGTH) && <title>{`${safe(key)} ${look.word} · ${safe(node.note)}`}</title>}
                <rect width={SIZES.width} height={SIZES.height} rx="4" class="box" />
                <rect width="3" height={SIZES.height} class="side" />
                <g transform="translate(10 7)"><Glyph tone={look.tone} /></g>
                <text x="30" y="18" class="name">{short(safe(key), TITLE_LENGTH)}</text>
                <text x="30" y="34" class="note">{short(`${look.word}${node.note ? ` · ${safe(node.note)}` : ""}`, TITLE_LENGTH + 5)}</text>
              </g>
            );
          })}
        </g>
      </svg>
    </div>
  );
}

/** Too many to follow single ones: how many of each state there are in each rank. A block shows these in the table. */
export function Stages({ nodes, edges, choose }: { nodes: Node[]; edges: Edge[]; choose: (status: string, rank: number) => void }) {
  const columns = useMemo(() => {
    const number = new Map(nodes.map((each, at) => [each.key, at]));
    const known = edges.flatMap((each) => {
      const from = number.get(each.from), to = number.get(each.to);
      return from === undefined || to === undefined ? [] : [[from, to] as const];
    });
    const ranks = ranksOf(nodes.length, known);
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
          <span class="rank">{rank + 1}</span>
          {[...column].sort(([a], [b]) => worse(lookOfItem(a).tone, lookOfItem(b).tone)).map(([status, count]) => {
            const look = lookOfItem(status);
            return (
              <button type="button" key={status} class={`block tone-${look.tone}`} style={{ height: `${Math.max(22, (180 * count) / tallest)}px` }}
                aria-label={`Stage ${rank + 1}: ${count} ${look.word}`} title={`${count} ${look.word}`} onClick={() => choose(status, rank)}>{count}</button>
            );
          })}
        </div>
      ))}
    </div>
  );
}
