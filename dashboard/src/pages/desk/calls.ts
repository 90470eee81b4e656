// The calls of these pages, with the types of the answers.

import { act, call, get, type Json, type Page, type TaskEvent } from "../../api.ts";

export interface AuditRecord {
  id: string; index: number; task_id: string | null; action: string; actor: { type: string; id: string; key: string | null; person: string | null };
  resource: string; outcome: string; decision: { effect: string; policy: string; reasons: string[] }; events: string[]; trace: string | null;
  rules: string; hash: string; erased: boolean; payload: Json; redacted_fields: Redacted[]; timestamp: string;
}
export interface OpenedBody { index: number; erased: boolean; alg: string; salt: string | null; body: string | null; rest: string | null }
export interface Redacted { pointer: string; rule: string; action: string; in: "value" | "key" }
export interface CostAmounts { cost_micro_usd: number; tokens: number; unpriced_tokens: number; attempts: number }
export interface CostSum extends CostAmounts { name: string }
export interface CostReport { by: string; first_day: string; last_day: string; items: CostSum[]; total: CostAmounts; more: boolean }
export interface KeyRecord {
  id: string; key?: string | null; role: string; bot: string | null; owner: string | null; person: string | null; person_name: string | null; scope: string | null;
  skills: string[] | null; networks: string[] | null; created_at: string; expires_at: string | null; revoked_at: string | null; last_used: string | null;
}
export interface Person { id: string; name: string; created_at: string; disabled_at: string | null }
export interface Verdict {
  work_id: string; subject: string | null; round: number; evaluator: string | null; decision: string | null; score: number | null; reasons: string[];
  findings: { text?: string; severity?: string }[]; feedback: { subtask: string; text: string }[];
}
export interface AuditFilter { action?: string; actor?: string; task_id?: string; resource?: string; since?: string; until?: string }

export interface SignedIn { id: string; created_at: string; used_at: string; ends_at: string; current: boolean }
export interface Limits {
  items: { limit: string; scope: string; used: number; most: number | null }[];
  rates: { key: string; max: number | null; per_minute: number | null; tokens_per_minute: number | null }[];
  budget: { limit: Record<string, number>; spent: Record<string, number>; reserved: Record<string, number> } | null;
}

/** Events by which a review came to a decision: of a whole task, and of a subtask. */
const REVIEWED = ["task.judged", "work.accepted", "work.rework", "work.rejected", "work.rounds_exhausted"];

const id = encodeURIComponent;
const text = async (path: string): Promise<string> => (await call<string>("GET", path, { text: true, headers: { accept: "text/plain, application/problem+json" } })).body;

export const desk = {
  audit: (filter: AuditFilter, pageToken: string, pageSize = 100) =>
    get<Page<AuditRecord>>("audit", { ...filter, order: "desc", page_size: pageSize, page_token: pageToken }),
  record: async (index: number): Promise<AuditRecord | null> => {
    const page = await get<Page<AuditRecord>>("audit", { page_size: 1, ...(index > 0 ? { after: index - 1 } : {}) });
    return page.items.find((each) => each.index === index) ?? null;
  },
  tile: async (path: string): Promise<Uint8Array> => (await call<Uint8Array>("GET", `audit/tile/${path}`, { bytes: true })).body,
  body: (index: number) => get<OpenedBody>(`audit/${index}/body`),
  proof: (index: number) => text(`audit/${index}/proof`),
  checkpoint: () => text("audit/checkpoint"),
  log: () => get<{ begin: number; keys: string[] }>("audit/log"),

  costs: (by: string, from: string, to: string) => get<CostReport>("costs", { by, from, to }),

  keys: (pageToken: string) => get<Page<KeyRecord>>("keys", { page_size: 200, page_token: pageToken }),
  createKey: (body: Json) => act<KeyRecord>("keys", body),
  rotateKey: (key: string) => act<KeyRecord>(`keys/${id(key)}:rotate`, { overlap_seconds: 86_400 }),
  revokeKey: (key: string) => act<KeyRecord>(`keys/${id(key)}:revoke`),
  persons: (pageToken: string) => get<Page<Person>>("persons", { page_size: 200, page_token: pageToken }),
  addPerson: (name: string) => act<Person>("persons", { name }),
  onPerson: (person: string, verb: "rename" | "disable" | "enable", body: Json = {}) => act<Person>(`persons/${id(person)}:${verb}`, body),
  sessions: () => get<Page<SignedIn>>("sessions"),
  endSession: (session: string) => call<void>("DELETE", `sessions/${id(session)}`),
  limits: () => get<Limits>("limits"),
  reviews: (pageToken: string) => get<Page<TaskEvent>>("events", { type: REVIEWED, order: "desc", page_size: 100, page_token: pageToken }),
  verdicts: (task: string) => get<Page<Verdict>>(`tasks/${id(task)}/verdicts`, { page_size: 500 }),
  redact: async (value: Json) => (await call<{ value: Json; redacted_fields: Redacted[] }>("POST", "redaction:test", { body: { value } })).body,
};
