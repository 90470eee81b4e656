// Drawn plans: for a task, and for what somebody decides on.

export * from "../graph.tsx";
export { ranksOf } from "../layout.ts";
