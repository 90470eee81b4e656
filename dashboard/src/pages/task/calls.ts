// The calls of the API that only the page of a task makes, with the types of the answers.

import { act, api, call, get, whole, type Json, type Page, type Subtask, type SubtaskDetail, type Task, type TaskEvent } from "../../api.ts";

export interface Said {
  work_id: string; subject: string | null; round: number; evaluator: string | null; at: string | null; decision: string | null; score: number | null;
  reasons: string[]; findings: { text?: string; severity?: string; subtask?: string | null }[]; feedback: { subtask: string; text: string }[];
  targets: string[]; added: string[]; complete: boolean;
}
export interface AuditRecord {
  id: string; index: number; action: string; actor: { id: string; type: string; person: string | null }; resource: string | null; outcome: string;
  decision: { effect: string; policy: string; reasons: string[] } | null; hash: string; erased: boolean; payload: Json; timestamp: string;
}
export interface Message { id: string; from_bot: string; to_bot: string | null; payload: Json; timestamp: string }
export interface WholeSubtask extends SubtaskDetail { late_results?: { lease_id: string; bot: string; received_at: string; content: Json }[] }

const id = encodeURIComponent;
const LISTED_MAX = 1_000; // subtasks; of more, the page has states and edges alone

export const calls = {
  verdicts: (task: string, subtask?: string) => get<Page<Said>>(`tasks/${id(task)}/verdicts`, { page_size: 100, subtask }),
  events: (task: string, asked: { after?: string | undefined; page_token?: string }) =>
    get<Page<TaskEvent>>(`tasks/${id(task)}/events`, { order: "desc", page_size: 50, ...asked }),
  audit: (task: string, asked: { resource?: string | undefined; after?: string | undefined; page_token?: string }) =>
    get<Page<AuditRecord>>(`tasks/${id(task)}/audit`, { order: "desc", page_size: 50, ...asked }),
  messages: (task: string, after: string) => get<Page<Message>>(`tasks/${id(task)}/messages`, { page_size: 200, after }),
  send: (task: string, payload: Json, to: string) => act<Message>(`tasks/${id(task)}/messages`, { payload, ...(to ? { to_bot: to } : {}) }),
  change: async (task: string, changes: Json) => (await call<Task>("PATCH", `tasks/${id(task)}`, { body: changes })).body,
  subtask: api.subtask as (task: string, key: string) => Promise<WholeSubtask>,

  /** All subtasks of a task; of a long plan, those that the task does not list have their state and their edges. */
  subtasks: async (task: Task): Promise<Subtask[]> => {
    if (task.subtasks_total <= task.subtasks.length) return task.subtasks;
    if (task.subtasks_total > LISTED_MAX) return inShort(task);
    return (await whole<Subtask>(`tasks/${id(task.id)}/subtasks`, LISTED_MAX)).items;
  },
};

interface Graph { nodes: { key: string; status: string; attempt: number }[]; edges: { from: string; to: string; when: string }[] }

async function inShort(task: Task): Promise<Subtask[]> {
  const { nodes, edges } = await get<Graph>(`tasks/${id(task.id)}/graph`);
  const listed = new Map(task.subtasks.map((each) => [each.key, each]));
  const found = new Map(nodes.map((node) => [node.key, {
    id: "", kind: "execute", description: "", required_skills: [], round: 1, bot: null, started_at: null, ended_at: null, cause: null, progress: null,
    ...listed.get(node.key), ...node, depends_on: [],
  } as Subtask]));
  for (const { from, to, when } of edges) found.get(to)?.depends_on.push({ key: from, when });
  return [...found.values()];
}
