// Every call of the dashboard to the API, with the types of the answers, in one place. Addresses are relative to the
// page, so that it works below any path. The browser sends the session's cookie by itself.

import { EXACT } from "./words.ts";

export type TaskStatus = "CREATED" | "PLANNED" | "IN_PROGRESS" | "COMPLETED" | "FAILED" | "ARCHIVED";
export type Json = unknown;

export interface Session {
  tenant: string; role: string; key_id: string; owner: string | null; person: string | null; person_name: string | null;
  session_id: string | null; may: string[];
}
export interface Page<T> { items: T[]; next_page_token: string }
export interface Budget { limit: Record<string, number>; spent: Record<string, number> }
export interface Usage { tokens?: number; cost_micro_usd?: number }
export interface Cause {
  message: string; class: string | null; work_id: string; kind: string; key: string; bot: string | null; attempt: number | null;
  at: string; retry_at: string | null;
}
export interface Failure { code: string; detail: string; cause: Cause | null; fix: string | null }
export interface Verdict { decision: string; score: number | null; reasons: string[]; findings: { text?: string; severity?: string }[] }
export interface Dependency { key: string; when: string }
export interface Subtask {
  id: string; key: string; kind: string; description: string; required_skills: string[]; status: string; attempt: number;
  round: number; depends_on: (string | Dependency)[]; bot: string | null; started_at: string | null; ended_at: string | null;
  cause: Cause | null; progress: { fraction?: number | null; message?: string | null } | null;
}
export interface Attempt {
  attempt: number; bot: string; bot_name: string | null; started_at: string; ended_at: string; ending: string;
  error: { message?: string; class?: string } | null; reason: string | null; usage: Usage | null;
}
export interface SubtaskDetail extends Subtask { input: Json; output: Json; verdict: Verdict | null; attempts: Attempt[] }
export interface Task {
  id: string; title: string; description: string; priority: number; status: TaskStatus; outcome: string | null;
  failure: Failure | null; holds: string[]; progress: { total: number; done: number; failed: number; cancelled: number };
  round: number; max_rounds: number; labels: Record<string, string>; subtasks: Subtask[]; subtasks_total: number;
  result: Record<string, Json> | null; verdict: Verdict | null; usage: Usage; budget?: Budget | null; explanation?: Explanation | null;
  created_at: string; updated_at: string; deadline_at: string | null;
}
export interface Waiting {
  work_id: string | null; kind: string; key: string; status: string; since: string | null; reason: string; detail: string;
  fix: string | null; until: string | null; bot: string | null;
}
export interface Explanation {
  summary: string; waiting: Waiting[]; waiting_total: number; reasons: Record<string, number>; failure: Failure | null;
}
export interface Approval {
  id: string; kind: "plan" | "final" | "rounds" | "question" | "budget"; state: string; task_id: string; work_id: string | null;
  asked_by: string; question: string; choices: string[]; schema: Record<string, Json> | null; subject: Json; subject_hash: string;
  opened_at: string; expires_at: string; at_expiry: Json; step_up: { max_age_seconds: number } | null;
  task_title?: string | null; asker?: string; // not of every server
  decision: { verb: string; by: string; person_name: string | null; at: string } | null;
}
export interface TaskEvent { id: string; type: string; time: string; sequence: number; subject: string; data: Record<string, Json> }
export interface TaskFilter { q?: string; status: string[]; outcome: string[]; label: string[]; skill: string[]; error?: string; order_by: string; created_after?: string; created_before?: string }

export interface QueueSeen {
  kind: string; skills: string[]; assign_to: string | null; waiting: number; waiting_at_least: boolean; oldest_at: string | null;
  oldest_seconds: number | null; leased: number; bots: number; bots_asking: number;
  why: { reason: string; detail: string; fix: string | null; until: string | null } | null;
}
/** A task as a row of a table: what has happened, without what was sent. */
export interface TaskFound {
  id: string; title: string; status: TaskStatus; outcome: string | null; holds: string[]; failure: { code: string; detail: string } | null;
  error: { message?: string; class?: string | null } | null; progress: { total: number; done: number; failed: number }; last_bot: string | null; created_at: string; updated_at: string; ended_at: string | null;
}

/** A refusal of the API, or no answer at all: then `status` is 0. */
export class ApiError extends Error {
  constructor(readonly status: number, readonly code: string, message: string, readonly retryAfter = 0) {
    super(message);
  }
  get signedOut(): boolean { return this.status === 401; }
  get forbidden(): boolean { return this.status === 403; }
  /** Whether the server, or the way to it, is in trouble: the same call may succeed later. */
  get disconnected(): boolean { return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504; }
}

const BASE = new URL("../", document.baseURI);
const TIMEOUT_MS = 20_000;
type Query = Record<string, string | number | boolean | readonly string[] | undefined>;

interface Asked { body?: Json; query?: Query; headers?: Record<string, string>; text?: boolean; bytes?: boolean }

async function call<T>(method: string, path: string, asked: Asked = {}): Promise<{ status: number; body: T; etag: string }> {
  const url = new URL(`./${path}`, BASE); // some paths have a colon, as the name of a scheme has
  for (const [name, value] of Object.entries(asked.query ?? {})) {
    if (value === undefined || value === "") continue;
    for (const each of Array.isArray(value) ? value : [value]) url.searchParams.append(name, String(each));
  }
  const headers: Record<string, string> = { accept: "application/json", ...asked.headers };
  if (method !== "GET") headers["content-type"] = "application/json";
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), TIMEOUT_MS);
  let response: Response;
  try {
    response = await fetch(url, {
      method, headers, cache: "no-store", credentials: "same-origin", redirect: "error", signal: stop.signal,
      ...(method === "GET" || method === "DELETE" ? {} : { body: JSON.stringify(asked.body ?? {}) }),
    });
  } catch {
    throw new ApiError(0, "unreachable", "The server does not answer.");
  } finally {
    clearTimeout(timer);
  }
  const etag = response.headers.get("etag") ?? "";
  if (response.status === 304 || response.status === 204) return { status: response.status, body: undefined as T, etag };
  let body: Json;
  try {
    if (asked.bytes && response.ok) return { status: response.status, body: new Uint8Array(await response.arrayBuffer()) as T, etag };
    const said = await response.text();
    body = asked.text && response.ok ? said : exactly(said);
  } catch {
    throw new ApiError(response.ok ? 0 : response.status, "unreadable", "The answer is not from this API: is a proxy in between?");
  }
  if (!response.ok) {
    const problem = body as { code?: string; detail?: string; title?: string };
    const after = Number(response.headers.get("retry-after")) || 0;
    throw new ApiError(response.status, problem.code ?? "error", problem.detail ?? problem.title ?? "The call was refused.", after);
  }
  return { status: response.status, body: body as T, etag };
}

/** Parse JSON without rounding: an integer that JavaScript cannot hold becomes EXACT and its digits; `head` shows them. */
export function exactly(text: string): Json {
  return JSON.parse(/\d{16}/.test(text) ? text.replace(/"(?:[^"\\]|\\.)*"|(?<![\d.eE+-])-?\d{16,}(?![\d.eE])/g, (found) =>
    found[0] === '"' || Number.isSafeInteger(Number(found)) ? found : `"${EXACT}${found}"`) : text);
}

const get = async <T>(path: string, query?: Query): Promise<T> => (await call<T>("GET", path, query ? { query } : {})).body;

/** Carry out something once, however often the network lets it be sent: not even where there is no `randomUUID`. */
async function act<T>(path: string, body: Json = {}): Promise<T> {
  const key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return (await call<T>("POST", path, { body, headers: { "idempotency-key": key } })).body;
}

const id = encodeURIComponent;

export const api = {
  session: () => get<Session>("session"),
  signIn: async (credential: string) => {
    // No key has a dot, and every token has.
    const headers: Record<string, string> = credential.includes(".") ? { authorization: `Bearer ${credential}` } : { "x-api-key": credential };
    return (await call<Session>("POST", "session", { headers })).body;
  },
  redeem: async (token: string) =>
    (await call<Session>("POST", "session:redeem", { headers: { authorization: `Bearer ${token}` } })).body,
  signOut: () => call<void>("DELETE", "session"),

  /** Return the task with its explanation; null if it has not changed since the answer with this ETag. */
  task: async (task: string, etag = ""): Promise<{ task: Task; etag: string } | null> => {
    const answer = await call<Task>("GET", `tasks/${id(task)}`, {
      query: { explain: true }, headers: etag ? { "if-none-match": etag } : {},
    });
    return answer.status === 304 ? null : { task: answer.body, etag: answer.etag };
  },
  subtask: (task: string, key: string) => get<SubtaskDetail>(`tasks/${id(task)}/subtasks/${id(key)}`),
  steer: (task: string, verb: "pause" | "resume" | "cancel" | "retry" | "archive", reason = "") =>
    act<Task>(`tasks/${id(task)}:${verb}`, reason ? { reason } : {}),

  approval: (approval: string) => get<Approval>(`approvals/${id(approval)}`),
  approve: (approval: Approval, comment: string) =>
    act<Approval>(`approvals/${id(approval.id)}:approve`, { subject_hash: approval.subject_hash, ...(comment ? { comment } : {}) }),
  reject: (approval: Approval, reason: string) => act<Approval>(`approvals/${id(approval.id)}:reject`, { reason }),
  answer: (approval: Approval, answer: Json) => act<Approval>(`approvals/${id(approval.id)}:answer`, { answer }),

  needed: () => get<Page<Approval> & { open: number; open_at_least: boolean }>("approvals", { order: "expires", page_size: 100 }),
  queuesSeen: () => get<Page<QueueSeen>>("queues", { page_size: 100 }),
  rows: (query: Query) => get<Page<TaskFound>>("tasks", { view: "row", ...query }),
  explain: (task: string) => get<Explanation>(`tasks/${id(task)}:explain`),
  searched: (q: string) => get<Page<TaskFound>>("tasks", { q, view: "row", page_size: 8 }),
};

// ---- Lists: tasks as rows, counts, labels, operations on many, bots, queues -------------------------------------------

export interface TaskRow {
  id: string; title: string; status: TaskStatus; outcome: string | null; failure: { code: string; detail: string } | null;
  error: { message?: string } | null; holds: string[]; labels: Record<string, string>; progress: Task["progress"]; round: number;
  last_bot: string | null; usage: Usage; created_at: string; started_at: string | null; ended_at: string | null; updated_at: string;
}
export interface Tally { number: number; at_least: boolean; statuses: Record<string, number> | null }
export interface LabelTally { key: string; value: string; tasks: number }
export type BulkAction = "retry" | "cancel" | "pause" | "resume" | "archive";
export interface OperationItem { task_id: string; outcome: string | null; code: string | null; detail: string | null }
export interface Operation extends Page<OperationItem> {
  id: string; action: BulkAction; dry_run: boolean; state: "running" | "ended";
  progress: { total: number; done: number; refused: number; left: number };
}
export interface Bot {
  id: string; type: string; name: string; version: string; owner: string | null; skills: string[]; capacity: number; held: number;
  status: string; asking: boolean | null; dedicated: boolean; labels: Record<string, string>; last_seen: string | null; created_at: string | null;
  stuck: { work_id: string; since: string; where: string }[];
}
export interface LeaseHeld {
  lease_id: string; task_id: string; task_title: string; kind: string; key: string; attempt: number; round: number;
  granted_at: string; expires_at: string; cancelled: boolean;
}
export interface Queue {
  kind: string; skills: string[]; assign_to: string | null; waiting: number; waiting_at_least: boolean; oldest_at: string | null;
  leased: number; leased_at_least: boolean; in_per_minute: number; out_per_minute: number; bots: number; bots_asking: number;
}
export interface KillState { id: string; kind: string; name: string; reason: string; placed_by: string; placed_at: string; until: string | null }
export interface CostReport { items: { name: string; cost_micro_usd: number; attempts: number }[]; more: boolean }

/** All pages of a list, to a bound: a page may be empty, and still not be the last. */
async function whole<T>(path: string, pages: number): Promise<{ items: T[]; more: boolean }> {
  const items: T[] = [];
  let token = "";
  for (let page = 0; page < pages; page++) {
    const found = await get<Page<T>>(path, { page_size: 500, page_token: token });
    items.push(...found.items);
    token = found.next_page_token;
    if (!token) break;
  }
  return { items, more: token !== "" };
}

export const lists = {
  rows: (filter: TaskFilter, pageSize: number, pageToken: string) =>
    get<Page<TaskRow>>("tasks", { ...filter, view: "row", page_size: pageSize, page_token: pageToken }),
  count: ({ order_by: _, ...filter }: TaskFilter) => get<Tally>("tasks:count", filter),
  labels: (key: string) => get<Page<LabelTally>>("tasks:labels", { key, page_size: 500 }),
  bulk: (action: BulkAction, of: { ids: string[] } | { filter: Partial<TaskFilter> }, dryRun: boolean, reason = "") =>
    act<Operation>("tasks:bulk", { action, ...of, dry_run: dryRun, ...(reason ? { reason } : {}) }),
  /** How far an operation is, and what was refused first. */
  operation: (operation: string) => get<Operation>(`operations/${id(operation)}`, { outcome: "refused", page_size: 100 }),
  bots: () => whole<Bot>("bots", 4),
  leases: (bot: string) => get<Page<LeaseHeld>>(`bots/${id(bot)}/leases`, { page_size: 200 }),
  steerBot: (bot: string, verb: "drain" | "enable") => act<Bot>(`bots/${id(bot)}:${verb}`),
  kills: () => get<Page<KillState>>("kills", { page_size: 500 }),
  kill: async (body: { kind: string; name: string; reason: string; until?: string }) => (await call<KillState>("PUT", "kills", { body })).body,
  lift: (kill: string) => call<void>("DELETE", `kills/${id(kill)}`),
  costsByBot: () => get<CostReport>("costs", { by: "bot" }),
  queues: () => whole<Queue>("queues", 4),
};
// For calls that a single page makes: they are in a module beside it, which is loaded with it.
export { act, call, get, whole, BASE };
