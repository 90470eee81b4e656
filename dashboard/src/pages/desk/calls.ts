// The calls of these pages, with the types of the answers.

import { act, call, get, type Json, type Page } from "../../api.ts";

export interface AuditRecord {
  id: string; index: number; task_id: string | null; action: string; actor: { type: string; id: string; key: string | null; person: string | null };
  resource: string; outcome: string; decision: { effect: string; policy: string; reasons: string[] }; events: string[]; trace: string | null;
  rules: string; hash: string; erased: boolean; payload: Json; redacted_fields: Redacted[]; timestamp: string;
}
export interface Redacted { pointer: string; rule: string; action: string; in: "value" | "key" }
export interface CostAmounts { cost_micro_usd: number; tokens: number; unpriced_tokens: number; attempts: number }
export interface CostSum extends CostAmounts { name: string }
export interface CostReport { by: string; first_day: string; last_day: string; items: CostSum[]; total: CostAmounts; more: boolean }
export interface AuditFilter { action: string; actor: string; task_id: string }

const id = encodeURIComponent;
const text = async (path: string): Promise<string> => (await call<string>("GET", path, { text: true, headers: { accept: "text/plain, application/problem+json" } })).body;

export const desk = {
  audit: (filter: AuditFilter, pageToken: string, pageSize = 100) =>
    get<Page<AuditRecord>>("audit", { ...filter, order: "desc", page_size: pageSize, page_token: pageToken }),
  record: async (index: number): Promise<AuditRecord | null> => {
    const page = await get<Page<AuditRecord>>("audit", { page_size: 1, ...(index > 0 ? { after: index - 1 } : {}) });
    return page.items.find((each) => each.index === index) ?? null;
  },
  proof: (index: number) => text(`audit/${index}/proof`),
  checkpoint: () => text("audit/checkpoint"),
  log: () => get<{ begin: number; keys: string[] }>("audit/log"),

  costs: (by: string, from: string, to: string) => get<CostReport>("costs", { by, from, to }),
};

export { act, id };
