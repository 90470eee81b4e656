import { act, call, get, say, useRead, Act, Dialog, NotDone, useAct, utc } from "./app.js";
import { el, useRef, useState } from "./runtime.js";
// src/pages/desk/calls.ts
var REVIEWED = ["task.judged", "work.accepted", "work.rework", "work.rejected", "work.rounds_exhausted"];
var id = encodeURIComponent;
var text = async (path) => (await call("GET", path, { text: true, headers: { accept: "text/plain, application/problem+json" } })).body;
var desk = {
  audit: (filter, pageToken, pageSize = 100) => get("audit", { ...filter, order: "desc", page_size: pageSize, page_token: pageToken }),
  record: async (index) => {
    const page = await get("audit", { page_size: 1, ...index > 0 ? { after: index - 1 } : {} });
    return page.items.find((each) => each.index === index) ?? null;
  },
  tile: async (path) => (await call("GET", `audit/tile/${path}`, { bytes: true })).body,
  body: (index) => get(`audit/${index}/body`),
  proof: (index) => text(`audit/${index}/proof`),
  checkpoint: () => text("audit/checkpoint"),
  log: () => get("audit/log"),
  costs: (by, from, to) => get("costs", { by, from, to }),
  keys: (pageToken) => get("keys", { page_size: 200, page_token: pageToken }),
  createKey: (body) => act("keys", body),
  rotateKey: (key) => act(`keys/${id(key)}:rotate`, { overlap_seconds: 86400 }),
  revokeKey: (key) => act(`keys/${id(key)}:revoke`),
  persons: (pageToken) => get("persons", { page_size: 200, page_token: pageToken }),
  addPerson: (name) => act("persons", { name }),
  onPerson: (person, verb, body = {}) => act(`persons/${id(person)}:${verb}`, body),
  sessions: () => get("sessions"),
  endSession: (session) => call("DELETE", `sessions/${id(session)}`),
  limits: () => get("limits"),
  reviews: (pageToken) => get("events", { type: REVIEWED, order: "desc", page_size: 100, page_token: pageToken }),
  verdicts: (task) => get(`tasks/${id(task)}/verdicts`, { page_size: 500 }),
  redact: async (value) => (await call("POST", "redaction:test", { body: { value } })).body
};

// src/pages/desk/kit.tsx
var CALM = { on: () => false, every: 3e4, seldom: 3e4 };
function usePages(key, read, of, options = CALM) {
  const reading = useRead(key, () => read(""), options);
  const seen = reading.state.value, first = seen.data;
  const kept = useRef({ key, items: [], token: "" });
  const [, shown] = useState(0);
  if (kept.current.key !== key) kept.current = { key, items: [], token: "" };
  const here = kept.current;
  if (first && here.first !== first) {
    const there = new Set(first.items.map(of));
    const meets = here.items.some((item) => there.has(of(item))) || !first.items.length && Boolean(first.next_page_token) && here.items.length > 0;
    if (!meets) here.token = first.next_page_token;
    here.items = [...first.items, ...meets ? here.items.filter((item) => !there.has(of(item))) : []];
    here.first = first;
  }
  async function older() {
    const token = here.token;
    if (!token) return;
    try {
      const page = await read(token);
      if (here.token !== token) return;
      here.items = [...here.items, ...page.items];
      here.token = page.next_page_token;
      say(`${page.items.length} more.`);
      shown((times) => times + 1);
    } catch {
      await reading.again();
    }
  }
  return { seen, items: here.items, more: Boolean(here.token), older, again: reading.again };
}
var More = ({ pages, what, children }) => el("p", { class: "foot" }, pages.items.length, pages.more ? " and more" : "", " ", pages.items.length === 1 ? what.slice(0, -1) : what, " ", pages.more && el("button", { type: "button", class: "small", onClick: () => void pages.older() }, "Older"), children);
var writtenTime = (iso) => {
  const at = new Date(iso);
  return Number.isNaN(at.getTime()) ? "" : new Date(at.getTime() - (utc.value ? 0 : at.getTimezoneOffset() * 6e4)).toISOString().slice(0, 16);
};
var timeOf = (written) => written ? (/* @__PURE__ */ new Date(`${written}${utc.value ? "Z" : ""}`)).toISOString() : "";
var zoneName = () => utc.value ? "UTC" : "local time";
var Field = ({ label, hint, children }) => el("label", { class: "field" }, el("span", null, label), children, hint && el("small", null, hint));
function Confirm({ title, does, action, children, run, close }) {
  const doing = useAct();
  const go = () => void doing.run(async () => {
    await run();
    close();
  }, `${title} Done.`);
  return el(Dialog, { title, close }, children, doing.problem && el(NotDone, { error: doing.problem }),
  el("p", { class: "acts" },
  el(Act, { action, kind: "danger", busy: doing.busy, run: go }, does), " ",
  el("button", { type: "button", onClick: close }, "Leave it")));
}
export {
  CALM,
  Confirm,
  Field,
  More,
  desk,
  timeOf,
  usePages,
  writtenTime,
  zoneName
};
