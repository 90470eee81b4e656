// A plan as nodes and edges, with the rank of each node. What draws it is loaded when a graph is first shown.

import type { Subtask } from "./api.ts";
import { later } from "./later.tsx";

export const GRAPH_MAX = 200;

export interface Node { key: string; status: string; note: string }
export interface Edge { from: string; to: string; when: string }

export function edgesOf(subtasks: readonly Subtask[]): Edge[] {
  return subtasks.flatMap((subtask) => (subtask.depends_on ?? []).map((each) =>
    typeof each === "string" ? { from: each, to: subtask.key, when: "success" } : { from: each.key, to: subtask.key, when: each.when ?? "success" }));
}

export const nodesOf = (subtasks: readonly Subtask[]): Node[] => subtasks.map((each) => ({
  key: each.key, status: each.status ?? "", note: [each.attempt > 1 ? `try ${each.attempt}` : "", each.bot ?? (each.required_skills ?? []).join(", ")].filter(Boolean).join(" · "),
}));

export interface GraphProps { nodes: Node[]; edges: Edge[]; chosen?: string | undefined; choose?: (key: string) => void; fit?: boolean; label: string }
export const Graph = later<GraphProps>(() => import("./graph.tsx"), "Graph");
