// src/pages/desk/audit.tsx
import { useState as useState2 } from "./app.js";
import { ApiError as ApiError2 } from "./app.js";
import { useKeys } from "./app.js";
import { say as say2, useRead as useRead2 } from "./app.js";
import { Act as Act2, Command, Glyph, Key, NotDone as NotDone2, Trouble, Value, When } from "./app.js";
import { session, utc as utc2 } from "./app.js";
import { safe, shortId } from "./app.js";

// src/pages/desk/calls.ts
import { act, call, get } from "./app.js";
var REVIEWED = ["task.judged", "work.accepted", "work.rework", "work.rejected", "work.rounds_exhausted"];
var id = encodeURIComponent;
var text = async (path) => (await call("GET", path, { text: true, headers: { accept: "text/plain, application/problem+json" } })).body;
var desk = {
  audit: (filter, pageToken, pageSize = 100) => get("audit", { ...filter, order: "desc", page_size: pageSize, page_token: pageToken }),
  record: async (index) => {
    const page = await get("audit", { page_size: 1, ...index > 0 ? { after: index - 1 } : {} });
    return page.items.find((each) => each.index === index) ?? null;
  },
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
  kills: () => get("kills", { page_size: 200 }),
  kill: async (body) => (await call("PUT", "kills", { body })).body,
  lift: async (kill) => (await call("DELETE", `kills/${id(kill)}`)).body,
  reviews: (pageToken) => get("events", { type: REVIEWED, order: "desc", page_size: 100, page_token: pageToken }),
  verdicts: (task) => get(`tasks/${id(task)}/verdicts`, { page_size: 500 }),
  redact: async (value) => (await call("POST", "redaction:test", { body: { value } })).body
};

// src/pages/desk/kit.tsx
import { useRef, useState } from "./app.js";
import { ApiError } from "./app.js";
import { say, useRead } from "./app.js";
import { Act, Dialog, NotDone } from "./app.js";
import { go, route, written } from "./app.js";
import { utc } from "./app.js";
import { jsx, jsxs } from "./app.js";
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
var More = ({ pages, what, children }) => /* @__PURE__ */ jsxs("p", { class: "foot", children: [
  pages.items.length,
  pages.more ? " and more" : "",
  " ",
  what,
  " ",
  pages.more && /* @__PURE__ */ jsx("button", { type: "button", class: "small", onClick: () => void pages.older(), children: "Older" }),
  children
] });
function useAct() {
  const [busy, setBusy] = useState(false), [problem, setProblem] = useState(null);
  async function run(what, done) {
    if (busy) return void 0;
    setBusy(true);
    setProblem(null);
    try {
      const answer = await what();
      say(done);
      return answer;
    } catch (thrown) {
      const error = thrown instanceof ApiError ? thrown : new ApiError(-1, "fault", String(thrown));
      setProblem(error);
      say(error.message);
      return void 0;
    } finally {
      setBusy(false);
    }
  }
  return { busy, problem, run };
}
function address(changes) {
  const query = new URLSearchParams(route.value.query);
  for (const [name, value] of Object.entries(changes)) if (value) query.set(name, value);
  else query.delete(name);
  return written(route.value.path, query);
}
var put = (changes, replace = false) => go(address(changes), replace);
var writtenTime = (iso) => {
  const at = new Date(iso);
  return Number.isNaN(at.getTime()) ? "" : new Date(at.getTime() - (utc.value ? 0 : at.getTimezoneOffset() * 6e4)).toISOString().slice(0, 16);
};
var timeOf = (written3) => written3 ? (/* @__PURE__ */ new Date(`${written3}${utc.value ? "Z" : ""}`)).toISOString() : "";
var zoneName = () => utc.value ? "UTC" : "local time";
var asked = (name) => route.value.query.get(name) ?? "";
var Field = ({ label, hint, children }) => /* @__PURE__ */ jsxs("label", { class: "field", children: [
  /* @__PURE__ */ jsx("span", { children: label }),
  children,
  hint && /* @__PURE__ */ jsx("small", { children: hint })
] });
function Confirm({ title, does, action, children, run, close }) {
  const doing = useAct();
  const go3 = () => void doing.run(async () => {
    await run();
    close();
  }, `${title} Done.`);
  return /* @__PURE__ */ jsxs(Dialog, { title, close, children: [
    children,
    doing.problem && /* @__PURE__ */ jsx(NotDone, { error: doing.problem }),
    /* @__PURE__ */ jsxs("p", { class: "acts", children: [
      /* @__PURE__ */ jsx(Act, { action, kind: "danger", busy: doing.busy, run: go3, children: does }),
      " ",
      /* @__PURE__ */ jsx("button", { type: "button", onClick: close, children: "Leave it" })
    ] })
  ] });
}
var Table = ({ name, columns, caption, children }) => /* @__PURE__ */ jsx("div", { class: "scroll-x", tabIndex: 0, role: "region", "aria-label": name, children: /* @__PURE__ */ jsxs("table", { children: [
  caption && /* @__PURE__ */ jsx("caption", { children: caption }),
  /* @__PURE__ */ jsx("thead", { children: /* @__PURE__ */ jsx("tr", { children: columns.map((each, at) => each ? /* @__PURE__ */ jsx("th", { scope: "col", class: each[0] === "#" ? "num" : "", children: each.replace("#", "") }, at) : /* @__PURE__ */ jsx("td", {}, at)) }) }),
  /* @__PURE__ */ jsx("tbody", { children })
] }) });

// src/pages/desk/proof.ts
var ROUND = new Uint32Array(64);
var BEGIN = new Uint32Array(8);
for (let found = 0, n = 2; found < 64; n++) {
  let prime = true;
  for (let by = 2; by * by <= n; by++) if (n % by === 0) prime = false;
  if (!prime) continue;
  const part = (root) => Math.floor((root - Math.floor(root)) * 2 ** 32);
  if (found < 8) BEGIN[found] = part(Math.sqrt(n));
  ROUND[found++] = part(Math.cbrt(n));
}
var turned = (word, by) => word >>> by | word << 32 - by;
function sha256(...parts) {
  const length = parts.reduce((sum2, part) => sum2 + part.length, 0);
  const data = new Uint8Array((length + 8 >> 6 << 6) + 64), view = new DataView(data.buffer);
  let end = 0;
  for (const part of parts) {
    data.set(part, end);
    end += part.length;
  }
  data[length] = 128;
  view.setUint32(data.length - 8, Math.floor(length / 2 ** 29));
  view.setUint32(data.length - 4, length << 3 >>> 0);
  const state = BEGIN.slice(), word = new Uint32Array(64);
  for (let block = 0; block < data.length; block += 64) {
    for (let at = 0; at < 64; at++) {
      if (at < 16) {
        word[at] = view.getUint32(block + 4 * at);
        continue;
      }
      const low = word[at - 15], high = word[at - 2];
      word[at] = word[at - 16] + word[at - 7] + (turned(low, 7) ^ turned(low, 18) ^ low >>> 3) + (turned(high, 17) ^ turned(high, 19) ^ high >>> 10);
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let at = 0; at < 64; at++) {
      const one = h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + (e & f ^ ~e & g) + ROUND[at] + word[at] | 0;
      const two = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + (a & b ^ a & c ^ b & c) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, d + one | 0, c, b, a, one + two | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((value, at) => {
      state[at] = state[at] + value;
    });
  }
  const sum = new Uint8Array(32), out = new DataView(sum.buffer);
  state.forEach((value, at) => out.setUint32(4 * at, value));
  return sum;
}
var utf8 = new TextEncoder();
var hex = (data) => Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
var leafHash = (data) => sha256(Uint8Array.of(0), data);
var nodeHash = (left, right) => sha256(Uint8Array.of(1), left, right);
function climb(leaf, index, size, path) {
  if (!(index >= 0 && index < size)) return null;
  let at = index, last = size - 1, found = leaf;
  const half = () => {
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  };
  const hops = [];
  for (const sibling of path) {
    if (last === 0) return null;
    const left = at % 2 === 1 || at === last;
    found = left ? nodeHash(sibling, found) : nodeHash(found, sibling);
    if (left) while (at % 2 === 0 && at) half();
    half();
    hops.push({ at: left ? "left" : "right", sibling: hex(sibling), result: hex(found) });
  }
  return last === 0 ? { hops, root: found } : null;
}
function bytes(text3) {
  try {
    const data = atob(text3);
    return btoa(data) === text3 ? Uint8Array.from(data, (sign) => sign.charCodeAt(0)) : null;
  } catch {
    return null;
  }
}
var whole = (text3) => /^(0|[1-9]\d{0,14})$/.test(text3) ? Number(text3) : null;
function parseNote(data) {
  const cut = data.lastIndexOf("\n\n");
  if (cut < 0 || !data.endsWith("\n")) return null;
  const text3 = data.slice(0, cut + 1), [origin = "", sizeText = "", rootText = ""] = text3.split("\n");
  const size = whole(sizeText), root = bytes(rootText);
  if (!origin || size === null || root?.length !== 32) return null;
  const signatures = [];
  for (const line of data.slice(cut + 2, -1).split("\n")) {
    const found = /^— ([^\s+]+) (\S+)$/.exec(line), signed2 = found && bytes(found[2]);
    if (!found || !signed2 || signed2.length < 5) return null;
    signatures.push({ name: found[1], id: hex(signed2.slice(0, 4)), signature: signed2.slice(4) });
  }
  return { text: text3, origin, size, root, signatures };
}
function parseProof(text3) {
  const cut = text3.indexOf("\n\n");
  const [name, extra = "", place = "", ...path] = text3.slice(0, Math.max(cut, 0)).split("\n");
  const record = extra.startsWith("extra ") ? bytes(extra.slice(6)) : null, index = place.startsWith("index ") ? whole(place.slice(6)) : null;
  const hashes = path.map(bytes);
  if (name !== "c2sp.org/tlog-proof@v1" || !record || index === null || hashes.some((each) => each?.length !== 32)) return null;
  return { record, index, path: hashes, note: text3.slice(cut + 2) };
}
function inOrder(value) {
  if (Array.isArray(value)) return value.map(inOrder);
  if (value === null || typeof value !== "object") return value;
  return Object.entries(value).filter(([, each]) => each !== null && each !== void 0).sort(([a], [b]) => a < b ? -1 : 1).map(([name, each]) => [name, inOrder(each)]);
}
var same = (one, other) => JSON.stringify(inOrder(one)) === JSON.stringify(inOrder(other));
function differing(shown, record, tenant) {
  let leaf;
  try {
    leaf = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(record));
  } catch {
    return ["everything: it is no record"];
  }
  const micros = Number(leaf.at), at = new Date(Math.floor(micros / 1e3));
  const time = Number.isNaN(at.getTime()) ? "" : `${at.toISOString().slice(0, 19)}.${String(micros % 1e6).padStart(6, "0")}Z`;
  const said = { ...leaf, trace: leaf.trace || null, timestamp: time, hash: hex(leafHash(record)) };
  const given = { ...shown, tenant };
  return ["tenant", "id", "action", "actor", "resource", "outcome", "decision", "task_id", "trace", "rules", "redacted_fields", "timestamp", "hash"].filter((name) => !same(said[name], given[name]));
}
async function check(shown, tenant, proofText, newest, keys) {
  const steps = [];
  const step = (name, holds, note2, hops) => {
    steps.push({ name, holds, note: note2, ...hops ? { hops } : {} });
    return holds !== false;
  };
  const proof = parseProof(proofText), note = proof && parseNote(proof.note);
  if (!proof || !note) {
    step("Proof", false, "the answer is no proof of a record");
    return steps;
  }
  if (!step("Proof", proof.index === shown.index, `it is of record ${proof.index}`)) return steps;
  const other = differing(shown, proof.record, tenant);
  if (!step("Record", !other.length, other.length ? `what is shown differs from what is proved in ${other.join(", ")}` : "each field above is that of the proved record")) return steps;
  const leaf = leafHash(proof.record);
  step("Leaf", true, hex(leaf));
  const way = climb(leaf, proof.index, note.size, proof.path);
  if (!way) {
    step("Path", false, `${proof.path.length} hashes do not lead from record ${proof.index} to the root of ${note.size}`);
    return steps;
  }
  const reached = hex(way.root) === hex(note.root);
  if (!step("Path", reached, reached ? `${way.hops.length} hashes lead to the root` : "it leads to another root than that of the checkpoint", way.hops)) return steps;
  step("Root", true, hex(note.root));
  const later = parseNote(newest);
  const goesOn = later !== null && later.origin === note.origin && later.size >= note.size && (later.size > note.size || hex(later.root) === hex(note.root));
  if (!step("Checkpoint", goesOn, goesOn ? `${note.origin}, ${note.size} records` : "the newest checkpoint is of another log, or of a shorter one")) return steps;
  step("Signature", ...await signed(note, keys));
  return steps;
}
async function signed(note, keys) {
  for (const text3 of keys) {
    const [, name = "", id2 = "", rest = ""] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(text3) ?? [], key = bytes(rest);
    if (!key || key.length !== 33 || key[0] !== 1 || hex(sha256(utf8.encode(`${name}
`), key)).slice(0, 8) !== id2) continue;
    const found = note.signatures.find((each) => each.name === name && each.id === id2);
    if (!found || name !== note.origin) continue;
    if (!globalThis.crypto?.subtle) return [null, `by ${name}: this browser checks signatures over HTTPS only`];
    try {
      const known = await crypto.subtle.importKey("raw", key.slice(1), { name: "Ed25519" }, false, ["verify"]);
      const holds = await crypto.subtle.verify("Ed25519", known, found.signature, utf8.encode(note.text));
      return [holds, holds ? `by ${name}, key ${id2}` : `it is not that of ${name}, key ${id2}`];
    } catch {
      return [null, `by ${name}: this browser does not know Ed25519`];
    }
  }
  return [false, "no key of this log has signed the checkpoint"];
}

// src/pages/desk/audit.tsx
import { Fragment, jsx as jsx2, jsxs as jsxs2 } from "./app.js";
var FILTERS = [
  { name: "action", label: "Action", hint: "Action: task.submit" },
  { name: "actor", label: "Actor", hint: "Actor’s id" },
  { name: "task", label: "Task", hint: "Task’s id" },
  { name: "since", label: "Since", hint: "" },
  { name: "until", label: "Until", hint: "" }
];
var tone = (record) => record.outcome === "accepted" ? "ok" : record.decision.effect === "deny" ? "bad" : "plain";
var who = (actor) => actor.id === actor.type || actor.id.startsWith(`${actor.type}_`) ? shortId(safe(actor.id)) : `${safe(actor.type)} ${shortId(safe(actor.id))}`;
function Audit() {
  const filter = { action: asked("action"), actor: asked("actor"), task_id: asked("task"), since: asked("since"), until: asked("until") };
  const used = FILTERS.filter((each) => asked(each.name));
  const pages = usePages(`audit ${JSON.stringify(filter)}`, (token) => desk.audit(filter, token), (each) => each.id);
  const { items, seen } = pages;
  const chosen = /^\d{1,15}$/.test(asked("record")) ? Number(asked("record")) : null;
  const at = items.findIndex((each) => each.index === chosen);
  const step = (by) => {
    const next = items[Math.max(0, Math.min(at + by, items.length - 1))];
    if (next) put({ record: String(next.index) }, true);
  };
  useKeys({
    j: { does: "next record", run: () => step(1) },
    k: { does: "previous record", run: () => step(-1) },
    "/": { does: "filter", run: () => document.getElementById("by-action")?.focus() },
    Escape: { does: "close the record", run: () => {
      if (document.activeElement instanceof HTMLInputElement) document.activeElement.blur();
      else put({ record: null }, true);
    } }
  });
  return /* @__PURE__ */ jsxs2("div", { class: `split ${chosen === null ? "" : "open"}`, children: [
    /* @__PURE__ */ jsx2("h1", { class: "hidden-text", children: "Audit" }),
    /* @__PURE__ */ jsxs2("div", { class: "side", children: [
      /* @__PURE__ */ jsxs2("form", { class: "narrow", role: "search", onSubmit: (event) => {
        event.preventDefault();
        const given = new FormData(event.currentTarget);
        put(Object.fromEntries([...FILTERS.map(({ name, hint }) => [name, hint ? String(given.get(name)).trim() : timeOf(String(given.get(name)))]), ["record", null]]));
        document.activeElement.blur();
      }, children: [
        FILTERS.map(({ name, label, hint }) => hint ? /* @__PURE__ */ jsxs2("label", { children: [
          /* @__PURE__ */ jsx2("span", { class: "hidden-text", children: label }),
          /* @__PURE__ */ jsx2("input", { id: `by-${name}`, name, type: "search", defaultValue: asked(name), placeholder: hint, spellcheck: false })
        ] }, name) : /* @__PURE__ */ jsxs2("label", { class: "field time", children: [
          /* @__PURE__ */ jsx2("span", { children: label }),
          /* @__PURE__ */ jsx2("input", { name, type: "datetime-local", defaultValue: writtenTime(asked(name)), title: `in ${zoneName()}` })
        ] }, name)),
        /* @__PURE__ */ jsx2("button", { type: "submit", children: "Filter" })
      ] }, JSON.stringify([filter, utc2.value])),
      /* @__PURE__ */ jsx2(Trouble, { read: seen, what: "the audit log" }),
      seen.data && !items.length && !pages.more && /* @__PURE__ */ jsxs2("div", { class: "empty", children: [
        /* @__PURE__ */ jsx2("h2", { children: used.length ? "No record fits." : "There is no record yet." }),
        /* @__PURE__ */ jsx2("p", { class: "acts", children: used.map(({ name, label }) => /* @__PURE__ */ jsxs2("button", { type: "button", class: "small", onClick: () => put({ [name]: null }), children: [
          "Drop ",
          label.toLowerCase(),
          " ",
          safe(asked(name))
        ] }, name)) })
      ] }),
      /* @__PURE__ */ jsx2("ol", { class: "records", children: items.map((each) => /* @__PURE__ */ jsx2("li", { children: /* @__PURE__ */ jsxs2("a", { class: "record", href: address({ record: String(each.index) }), "aria-current": each.index === chosen ? "true" : void 0, children: [
        /* @__PURE__ */ jsx2(Glyph, { tone: tone(each) }),
        /* @__PURE__ */ jsx2("span", { class: "num", children: each.index }),
        /* @__PURE__ */ jsx2("b", { children: safe(each.action) }),
        /* @__PURE__ */ jsx2("span", { children: who(each.actor) }),
        /* @__PURE__ */ jsx2("span", { class: "on", children: shortId(safe(each.resource)) }),
        /* @__PURE__ */ jsx2(When, { time: each.timestamp })
      ] }) }, each.id)) }),
      seen.data && /* @__PURE__ */ jsxs2(More, { pages, what: "records", children: [
        " · ",
        /* @__PURE__ */ jsx2(Key, { children: "j" }),
        " ",
        /* @__PURE__ */ jsx2(Key, { children: "k" }),
        " open one, ",
        /* @__PURE__ */ jsx2(Key, { children: "p" }),
        " proves it"
      ] })
    ] }),
    chosen !== null && /* @__PURE__ */ jsx2("div", { class: "detail", children: /* @__PURE__ */ jsx2(Detail, { index: chosen, known: items[at] }, chosen) })
  ] });
}
function Detail({ index, known }) {
  const reading = useRead2(`record ${index}`, async (before) => {
    if (before) return before;
    const record2 = known ?? await desk.record(index);
    if (!record2) throw new ApiError2(404, "not_found", "It is not in this log, or has left it.");
    const by = record2.erased && record2.task_id ? (await desk.audit({ action: "task.erase", task_id: record2.task_id }, "", 1)).items[0] : void 0;
    return { record: record2, erased: by?.index ?? null };
  }, CALM);
  const seen = reading.state.value, record = seen.data?.record;
  if (!record) return /* @__PURE__ */ jsx2(Trouble, { read: seen, what: "the record" });
  const signs = record.payload?.subject_hash;
  return /* @__PURE__ */ jsxs2("article", { "aria-labelledby": "record", children: [
    /* @__PURE__ */ jsxs2("p", { class: "over", children: [
      /* @__PURE__ */ jsx2("button", { type: "button", class: "small back", onClick: () => put({ record: null }, true), children: "← Audit" }),
      " Record ",
      record.index
    ] }),
    /* @__PURE__ */ jsx2("h2", { id: "record", children: safe(record.action) }),
    /* @__PURE__ */ jsxs2("dl", { class: "facts", children: [
      /* @__PURE__ */ jsxs2("div", { children: [
        /* @__PURE__ */ jsx2("dt", { children: "who" }),
        /* @__PURE__ */ jsxs2("dd", { children: [
          safe(record.actor.type),
          " ",
          /* @__PURE__ */ jsx2("code", { children: safe(record.actor.id) }),
          record.actor.person && /* @__PURE__ */ jsxs2(Fragment, { children: [
            " · person ",
            /* @__PURE__ */ jsx2("code", { children: safe(record.actor.person) })
          ] }),
          record.actor.key && record.actor.key !== record.actor.id && /* @__PURE__ */ jsxs2(Fragment, { children: [
            " · key ",
            /* @__PURE__ */ jsx2("code", { children: safe(record.actor.key) })
          ] })
        ] })
      ] }),
      /* @__PURE__ */ jsxs2("div", { children: [
        /* @__PURE__ */ jsx2("dt", { children: "on what" }),
        /* @__PURE__ */ jsxs2("dd", { children: [
          /* @__PURE__ */ jsx2("code", { children: safe(record.resource) }),
          record.task_id && /* @__PURE__ */ jsxs2(Fragment, { children: [
            " · ",
            /* @__PURE__ */ jsx2("a", { href: `#/tasks/${encodeURIComponent(record.task_id)}`, children: "the task" })
          ] })
        ] })
      ] }),
      /* @__PURE__ */ jsxs2("div", { children: [
        /* @__PURE__ */ jsx2("dt", { children: "when" }),
        /* @__PURE__ */ jsx2("dd", { children: /* @__PURE__ */ jsx2(When, { time: record.timestamp }) })
      ] }),
      /* @__PURE__ */ jsxs2("div", { children: [
        /* @__PURE__ */ jsx2("dt", { children: "decision" }),
        /* @__PURE__ */ jsxs2("dd", { children: [
          safe(record.decision.effect),
          ", by policy ",
          safe(record.decision.policy),
          record.decision.reasons.length > 0 && `: ${record.decision.reasons.map(safe).join("; ")}`,
          " · ",
          safe(record.outcome)
        ] })
      ] }),
      typeof signs === "string" && /* @__PURE__ */ jsxs2("div", { children: [
        /* @__PURE__ */ jsx2("dt", { children: "subject" }),
        /* @__PURE__ */ jsx2("dd", { children: /* @__PURE__ */ jsx2("code", { class: "hash", children: safe(signs) }) })
      ] }),
      /* @__PURE__ */ jsxs2("div", { children: [
        /* @__PURE__ */ jsx2("dt", { children: "record’s hash" }),
        /* @__PURE__ */ jsx2("dd", { children: /* @__PURE__ */ jsx2("code", { class: "hash", children: safe(record.hash) }) })
      ] }),
      record.redacted_fields.length > 0 && /* @__PURE__ */ jsxs2("div", { children: [
        /* @__PURE__ */ jsx2("dt", { children: "hidden" }),
        /* @__PURE__ */ jsx2("dd", { children: record.redacted_fields.map((each) => `${safe(each.pointer)} (${safe(each.rule)})`).join(", ") })
      ] })
    ] }),
    /* @__PURE__ */ jsx2(Prove, { record }),
    /* @__PURE__ */ jsxs2("section", { class: "card", children: [
      /* @__PURE__ */ jsx2("h3", { children: "Body" }),
      record.erased ? /* @__PURE__ */ jsxs2("p", { children: [
        seen.data.erased === null ? "It was erased." : /* @__PURE__ */ jsxs2(Fragment, { children: [
          "It was erased by ",
          /* @__PURE__ */ jsxs2("a", { href: `#/audit?record=${seen.data.erased}`, children: [
            "record ",
            seen.data.erased
          ] }),
          "."
        ] }),
        " The proof of the record holds all the same."
      ] }) : /* @__PURE__ */ jsx2(Value, { value: record.payload, name: "Body" })
    ] })
  ] });
}
function Prove({ record }) {
  const [proved, setProved] = useState2(null);
  const [problem, setProblem] = useState2(null);
  const [busy, setBusy] = useState2(false);
  async function prove() {
    setBusy(true);
    setProblem(null);
    try {
      const proof = await desk.proof(record.index);
      const [newest, log] = await Promise.all([desk.checkpoint(), desk.log()]);
      const steps = await check(record, session.value.tenant, proof, newest, log.keys);
      setProved({ steps, keys: log.keys });
      say2(verdict(steps, record.index).text);
    } catch (thrown) {
      setProved(null);
      setProblem(thrown instanceof ApiError2 ? thrown : new ApiError2(-1, "fault", String(thrown)));
    } finally {
      setBusy(false);
    }
  }
  const begin = () => {
    if (!busy) void prove();
  };
  useKeys({ p: { does: "prove the record", run: begin } });
  const said = proved && verdict(proved.steps, record.index), server = new URL("../", document.baseURI).href;
  return /* @__PURE__ */ jsxs2("section", { class: "card proof", children: [
    /* @__PURE__ */ jsx2("h3", { children: "Proof" }),
    /* @__PURE__ */ jsxs2("p", { class: "acts", children: [
      /* @__PURE__ */ jsx2(Act2, { action: "audit.read", kind: "main", busy, run: begin, keys: "p", children: "Prove" }),
      " ",
      /* @__PURE__ */ jsx2("span", { class: "none", children: "This browser follows the hashes from the record to the signed checkpoint." })
    ] }),
    problem && (problem.status === 404 && problem.message.includes("audit_key_file") ? /* @__PURE__ */ jsxs2("div", { class: "trouble forbidden", role: "alert", children: [
      /* @__PURE__ */ jsx2("strong", { children: "The log is not signed." }),
      " A server with a key signs it within seconds: ",
      /* @__PURE__ */ jsx2(Command, { text: "swarmkeeper audit key --name swarm.example.org --to audit.key" })
    ] }) : /* @__PURE__ */ jsx2(NotDone2, { error: problem })),
    said && /* @__PURE__ */ jsxs2(Fragment, { children: [
      /* @__PURE__ */ jsxs2("p", { class: `verdict tone-${said.tone}`, children: [
        /* @__PURE__ */ jsx2(Glyph, { tone: said.tone }),
        " ",
        said.text
      ] }),
      /* @__PURE__ */ jsx2("ol", { class: "steps", children: proved.steps.map((each) => /* @__PURE__ */ jsxs2("li", { children: [
        /* @__PURE__ */ jsx2(Glyph, { tone: each.holds ? "ok" : each.holds === null ? "plain" : "bad" }),
        /* @__PURE__ */ jsx2("b", { children: each.name }),
        /^[0-9a-f]{64}$/.test(each.note) ? /* @__PURE__ */ jsx2("code", { class: "hash", children: each.note }) : /* @__PURE__ */ jsx2("span", { children: safe(each.note) }),
        each.hops && each.hops.length > 0 && /* @__PURE__ */ jsx2("ol", { class: "hops", children: each.hops.map((hop, level) => /* @__PURE__ */ jsxs2("li", { children: [
          /* @__PURE__ */ jsxs2("span", { children: [
            "with ",
            hop.at
          ] }),
          /* @__PURE__ */ jsxs2("code", { title: hop.sibling, children: [
            hop.sibling.slice(0, 16),
            "…"
          ] }),
          /* @__PURE__ */ jsxs2("code", { title: hop.result, children: [
            "→ ",
            hop.result.slice(0, 16),
            "…"
          ] })
        ] }, level)) })
      ] }, each.name)) }),
      proved.keys.map((key) => /* @__PURE__ */ jsxs2("p", { class: "none", children: [
        "Compare the key with the one that you were given. This server says: ",
        /* @__PURE__ */ jsx2(Command, { text: key })
      ] }, key)),
      /* @__PURE__ */ jsxs2("p", { class: "none", children: [
        "The record binds its body by a salted hash; the salt stays in the store, where ",
        /* @__PURE__ */ jsx2("code", { children: "swarmkeeper audit verify" }),
        " checks bodies, too. The whole log from another machine: ",
        /* @__PURE__ */ jsx2(Command, { text: `swarmkeeper audit verify ${server} --key ${proved.keys[0] ?? "KEY"}` })
      ] })
    ] })
  ] });
}
function verdict(steps, index) {
  const bad = steps.find((each) => each.holds === false);
  if (bad) return { tone: "bad", text: `NOT proved: the step “${bad.name}” fails.` };
  if (steps.some((each) => each.holds === null)) return { tone: "hold", text: `Record ${index} is in the log of the checkpoint. The signature is not checked here: swarmkeeper audit verify checks it.` };
  return { tone: "ok", text: `Proved: record ${index} is in the signed log.` };
}

// src/pages/desk/costs.tsx
import { useState as useState3 } from "./app.js";
import { useRead as useRead3 } from "./app.js";
import { Command as Command2, Trouble as Trouble2 } from "./app.js";
import { grouped, money, safe as safe2 } from "./app.js";
import { Fragment as Fragment2, jsx as jsx3, jsxs as jsxs3 } from "./app.js";
var BY = ["day", "bot", "skill", "label"];
var SHOWN = 25;
var DAY_MS = 864e5;
var day = (ms) => new Date(ms).toISOString().slice(0, 10);
var isDay = (text3) => /^\d{4}-\d\d-\d\d$/.test(text3) && !Number.isNaN(Date.parse(text3));
var amount = (sum, unit) => unit === "tokens" ? grouped(sum.tokens) : money(sum.cost_micro_usd);
function Costs() {
  const by = BY.find((each) => each === asked("by")) ?? "day", unit = asked("unit") === "tokens" ? "tokens" : "cost_micro_usd";
  const from = isDay(asked("from")) ? asked("from") : "", to = isDay(asked("to")) ? asked("to") : "";
  const reading = useRead3(`costs ${by} ${from} ${to}`, () => desk.costs(by, from, to), CALM);
  const seen = reading.state.value, report = seen.data;
  const last = (days) => put({ from: days === 30 ? null : day(Date.now() - (days - 1) * DAY_MS), to: null });
  const length = report ? (Date.parse(report.last_day) - Date.parse(report.first_day)) / DAY_MS + 1 : 0;
  return /* @__PURE__ */ jsxs3("div", { class: "page", children: [
    /* @__PURE__ */ jsx3("h1", { class: "hidden-text", children: "Costs" }),
    /* @__PURE__ */ jsxs3("div", { class: "choices", children: [
      /* @__PURE__ */ jsx3(Choice, { name: "Costs by", values: BY.map((each) => [each, each]), chosen: by, choose: (each) => put({ by: each === "day" ? null : each }) }),
      /* @__PURE__ */ jsx3(Choice, { name: "Days", values: [["7", "7 days"], ["30", "30 days"], ["90", "90 days"]], chosen: to ? "" : String(length), choose: (days) => last(Number(days)) }),
      /* @__PURE__ */ jsx3(Choice, { name: "Unit", values: [["cost_micro_usd", "money"], ["tokens", "tokens"]], chosen: unit, choose: (each) => put({ unit: each === "tokens" ? each : null }) }),
      /* @__PURE__ */ jsx3(Field, { label: "from", children: /* @__PURE__ */ jsx3("input", { type: "date", value: report?.first_day ?? from, onChange: (event) => put({ from: event.currentTarget.value, to: to || (report?.last_day ?? null) }) }) }),
      /* @__PURE__ */ jsx3(Field, { label: "to", children: /* @__PURE__ */ jsx3("input", { type: "date", value: report?.last_day ?? to, onChange: (event) => put({ to: event.currentTarget.value, from: from || (report?.first_day ?? null) }) }) })
    ] }),
    /* @__PURE__ */ jsx3(Trouble2, { read: seen, what: "the costs" }),
    report && /* @__PURE__ */ jsx3(Report, { report, unit }, by)
  ] });
}
function Choice({ name, values, chosen, choose }) {
  return /* @__PURE__ */ jsx3("div", { class: "chips", role: "group", "aria-label": name, children: values.map(([value, word]) => /* @__PURE__ */ jsx3("button", { type: "button", class: "chip", "aria-pressed": value === chosen, onClick: () => choose(value), children: word }, value)) });
}
function Report({ report, unit }) {
  const [all, setAll] = useState3(false);
  const { total: total2, items } = report, byDay = report.by === "day";
  if (!total2.attempts) return /* @__PURE__ */ jsxs3("div", { class: "empty", children: [
    /* @__PURE__ */ jsxs3("h2", { children: [
      "No attempt from ",
      report.first_day,
      " to ",
      report.last_day,
      " says what it used."
    ] }),
    /* @__PURE__ */ jsxs3("p", { children: [
      "Bots report it with ",
      /* @__PURE__ */ jsx3("code", { children: "context.use" }),
      ": ",
      /* @__PURE__ */ jsx3(Command2, { text: "swarmkeeper docs budgets" })
    ] })
  ] });
  const sorted = byDay ? [...items].reverse() : [...items].sort((a, b) => b[unit] - a[unit]);
  const most = Math.max(1, ...items.map((each) => each[unit]));
  const shown = all ? sorted : sorted.slice(0, SHOWN), left = sorted.length - shown.length;
  return /* @__PURE__ */ jsxs3(Fragment2, { children: [
    /* @__PURE__ */ jsxs3("dl", { class: "sums", children: [
      /* @__PURE__ */ jsxs3("div", { children: [
        /* @__PURE__ */ jsx3("dt", { children: "cost" }),
        /* @__PURE__ */ jsx3("dd", { children: money(total2.cost_micro_usd) })
      ] }),
      /* @__PURE__ */ jsxs3("div", { children: [
        /* @__PURE__ */ jsx3("dt", { children: "tokens" }),
        /* @__PURE__ */ jsx3("dd", { children: grouped(total2.tokens) })
      ] }),
      /* @__PURE__ */ jsxs3("div", { children: [
        /* @__PURE__ */ jsx3("dt", { children: "attempts" }),
        /* @__PURE__ */ jsx3("dd", { children: grouped(total2.attempts) })
      ] }),
      total2.unpriced_tokens > 0 && /* @__PURE__ */ jsxs3("div", { children: [
        /* @__PURE__ */ jsx3("dt", { children: "tokens without a price" }),
        /* @__PURE__ */ jsx3("dd", { children: grouped(total2.unpriced_tokens) })
      ] })
    ] }),
    byDay && /* @__PURE__ */ jsx3(Days, { items, first: report.first_day, last: report.last_day, unit, most }),
    /* @__PURE__ */ jsx3(Table, { name: "Costs as a table", columns: [byDay ? "Day (UTC)" : report.by, "", "#Cost", "#Tokens", "#Attempts"], children: shown.map((each) => /* @__PURE__ */ jsxs3("tr", { children: [
      /* @__PURE__ */ jsx3("th", { scope: "row", children: safe2(each.name) || "–" }),
      /* @__PURE__ */ jsx3("td", { class: "wide", children: /* @__PURE__ */ jsx3("svg", { class: "share", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true", children: /* @__PURE__ */ jsx3("rect", { width: 100 * each[unit] / most, height: "6" }) }) }),
      /* @__PURE__ */ jsx3("td", { class: "num", children: money(each.cost_micro_usd) }),
      /* @__PURE__ */ jsx3("td", { class: "num", children: grouped(each.tokens) }),
      /* @__PURE__ */ jsx3("td", { class: "num", children: grouped(each.attempts) })
    ] }, each.name)) }),
    /* @__PURE__ */ jsxs3("p", { class: "foot", children: [
      left > 0 && /* @__PURE__ */ jsxs3("button", { type: "button", class: "small", onClick: () => setAll(true), children: [
        "and ",
        left,
        " more"
      ] }),
      report.more && " The server tells the 500 most expensive.",
      !byDay && report.by !== "bot" && ` An attempt has any number of ${report.by}s: the rows need not add up to the total.`
    ] })
  ] });
}
function Days({ items, first, last, unit, most }) {
  const of = new Map(items.map((each) => [each.name, each])), begin = Date.parse(first);
  const count = Math.round((Date.parse(last) - begin) / DAY_MS) + 1;
  const top = items.find((each) => each[unit] === most);
  return /* @__PURE__ */ jsxs3("figure", { class: "days", "aria-hidden": "true", children: [
    /* @__PURE__ */ jsx3("figcaption", { children: top ? `${amount(top, unit)} at most` : "" }),
    /* @__PURE__ */ jsx3("svg", { viewBox: `0 0 ${count * 10} 100`, preserveAspectRatio: "none", children: Array.from({ length: count }, (_, at) => {
      const name = day(begin + at * DAY_MS), each = of.get(name), height = each && each[unit] ? Math.max(1, 100 * each[unit] / most) : 0;
      return /* @__PURE__ */ jsxs3("g", { children: [
        /* @__PURE__ */ jsx3("title", { children: `${name}: ${each ? amount(each, unit) : "nothing"}` }),
        /* @__PURE__ */ jsx3("rect", { class: "under", x: at * 10, width: "10", height: "100" }),
        /* @__PURE__ */ jsx3("rect", { x: at * 10 + 1, y: 100 - height, width: "8", height })
      ] }, name);
    }) }),
    /* @__PURE__ */ jsxs3("p", { children: [
      /* @__PURE__ */ jsx3("span", { children: first }),
      /* @__PURE__ */ jsx3("span", { children: last })
    ] })
  ] });
}

// src/pages/desk/settings.tsx
import { useState as useState4 } from "./app.js";
import { ofAlso } from "./app.js";
import { Act as Act3, Ago, Command as Command3, Dialog as Dialog2, NotDone as NotDone3, State, Trouble as Trouble3, Value as Value2, When as When2 } from "./app.js";
import { letters, may, session as session2, theme, utc as utc3 } from "./app.js";
import { moment, safe as safe3, shortId as shortId2 } from "./app.js";
import { Fragment as Fragment3, jsx as jsx4, jsxs as jsxs4 } from "./app.js";
var PARTS = {
  you: { name: "You", Part: You },
  keys: { name: "Keys", Part: Keys },
  persons: { name: "Persons", Part: Persons },
  stops: { name: "Kill switch", Part: Stops },
  redaction: { name: "Redaction", Part: Redaction }
};
var ROLES = ["client", "bot:planner", "bot:executor", "bot:evaluator", "operator", "approver", "viewer", "auditor", "admin"];
var listed = (text3) => {
  const found = text3.split(",").map((each) => each.trim()).filter(Boolean);
  return found.length ? found : void 0;
};
function Settings() {
  const chosen = PARTS[asked("part")] ? asked("part") : "you", { Part } = PARTS[chosen];
  return /* @__PURE__ */ jsxs4("div", { class: "page settings", children: [
    /* @__PURE__ */ jsx4("h1", { class: "hidden-text", children: "Settings" }),
    /* @__PURE__ */ jsx4("nav", { class: "choices", "aria-label": "Settings", children: Object.entries(PARTS).map(([path, { name }]) => /* @__PURE__ */ jsx4("a", { class: "tab", href: address({ part: path === "you" ? null : path }), "aria-current": path === chosen ? "page" : void 0, children: name }, path)) }),
    /* @__PURE__ */ jsx4(Part, {}, chosen)
  ] });
}
function You() {
  const who2 = session2.value, themes = ["system", "light", "dark"];
  return /* @__PURE__ */ jsxs4("div", { class: "columns", children: [
    /* @__PURE__ */ jsxs4("section", { children: [
      /* @__PURE__ */ jsx4("h2", { children: "How it looks" }),
      /* @__PURE__ */ jsxs4("fieldset", { children: [
        /* @__PURE__ */ jsx4("legend", { children: "Theme" }),
        themes.map((each) => /* @__PURE__ */ jsxs4("label", { class: "choice", children: [
          /* @__PURE__ */ jsx4("input", { type: "radio", name: "theme", checked: theme.value === each, onChange: () => {
            theme.value = each;
          } }),
          " ",
          each
        ] }, each))
      ] }),
      /* @__PURE__ */ jsxs4("fieldset", { children: [
        /* @__PURE__ */ jsx4("legend", { children: "Times" }),
        [false, true].map((each) => /* @__PURE__ */ jsxs4("label", { class: "choice", children: [
          /* @__PURE__ */ jsx4("input", { type: "radio", name: "zone", checked: utc3.value === each, onChange: () => {
            utc3.value = each;
          } }),
          " ",
          each ? "UTC" : "local"
        ] }, String(each)))
      ] }),
      /* @__PURE__ */ jsxs4("fieldset", { children: [
        /* @__PURE__ */ jsx4("legend", { children: "Keys" }),
        /* @__PURE__ */ jsxs4("label", { class: "choice", children: [
          /* @__PURE__ */ jsx4("input", { type: "checkbox", checked: letters.value, onChange: (event) => {
            letters.value = event.currentTarget.checked;
          } }),
          " single letters are keys"
        ] })
      ] }),
      /* @__PURE__ */ jsx4("p", { class: "none", children: "This browser keeps these three, and nothing else." })
    ] }),
    /* @__PURE__ */ jsxs4("section", { children: [
      /* @__PURE__ */ jsx4("h2", { children: "Your session" }),
      /* @__PURE__ */ jsxs4("dl", { class: "facts", children: [
        who2.person && /* @__PURE__ */ jsxs4("div", { children: [
          /* @__PURE__ */ jsx4("dt", { children: "person" }),
          /* @__PURE__ */ jsxs4("dd", { children: [
            safe3(who2.person_name ?? ""),
            " ",
            /* @__PURE__ */ jsx4("code", { children: who2.person })
          ] })
        ] }),
        who2.owner && /* @__PURE__ */ jsxs4("div", { children: [
          /* @__PURE__ */ jsx4("dt", { children: "owner" }),
          /* @__PURE__ */ jsx4("dd", { children: safe3(who2.owner) })
        ] }),
        /* @__PURE__ */ jsxs4("div", { children: [
          /* @__PURE__ */ jsx4("dt", { children: "role" }),
          /* @__PURE__ */ jsx4("dd", { children: who2.role })
        ] }),
        /* @__PURE__ */ jsxs4("div", { children: [
          /* @__PURE__ */ jsx4("dt", { children: "key" }),
          /* @__PURE__ */ jsx4("dd", { children: /* @__PURE__ */ jsx4("code", { children: safe3(who2.key_id) }) })
        ] }),
        /* @__PURE__ */ jsxs4("div", { children: [
          /* @__PURE__ */ jsx4("dt", { children: "session" }),
          /* @__PURE__ */ jsx4("dd", { children: /* @__PURE__ */ jsx4("code", { children: who2.session_id ?? "–" }) })
        ] }),
        /* @__PURE__ */ jsxs4("div", { children: [
          /* @__PURE__ */ jsx4("dt", { children: "tenant" }),
          /* @__PURE__ */ jsx4("dd", { children: safe3(who2.tenant) })
        ] }),
        /* @__PURE__ */ jsxs4("div", { children: [
          /* @__PURE__ */ jsx4("dt", { children: "may" }),
          /* @__PURE__ */ jsx4("dd", { class: "may", children: who2.may.map((each) => /* @__PURE__ */ jsx4("code", { children: each }, each)) })
        ] })
      ] }),
      /* @__PURE__ */ jsxs4("p", { class: "none", children: [
        "It ends after 12 hours without a call, and with its key. Limits of the tenant, and what of them is used, on the server’s machine: ",
        /* @__PURE__ */ jsx4(Command3, { text: `swarmkeeper tenant get ${who2.tenant}` })
      ] })
    ] })
  ] });
}
function keyLook(key) {
  if (key.revoked_at) return { tone: "bad", word: "revoked" };
  return key.expires_at && Date.parse(key.expires_at) < Date.now() ? { tone: "plain", word: "expired" } : { tone: "ok", word: "valid" };
}
function Keys() {
  const pages = usePages("keys", desk.keys, (key) => key.id, { ...CALM, on: ofAlso("key") });
  const [asking, setAsking] = useState4(null);
  const close = () => {
    setAsking(null);
    void pages.again();
  };
  const keys = [...pages.items].sort((a, b) => Number(Boolean(a.revoked_at)) - Number(Boolean(b.revoked_at)) || b.created_at.localeCompare(a.created_at));
  return /* @__PURE__ */ jsxs4(Fragment3, { children: [
    /* @__PURE__ */ jsx4(Head, { title: "Keys", act: "Create a key…", action: "key.manage", run: () => setAsking({ what: "new" }) }),
    /* @__PURE__ */ jsx4(Trouble3, { read: pages.seen, what: "the keys" }),
    keys.length > 0 && /* @__PURE__ */ jsx4(Table, { name: "Keys", columns: ["Key", "Role", "Whose", "Bounds", "State", "Last used", "Ends", ""], children: keys.map((key) => /* @__PURE__ */ jsxs4("tr", { children: [
      /* @__PURE__ */ jsxs4("th", { scope: "row", children: [
        /* @__PURE__ */ jsx4("code", { children: shortId2(key.id) }),
        key.id === session2.value.key_id && /* @__PURE__ */ jsx4("span", { class: "label", children: "yours" })
      ] }),
      /* @__PURE__ */ jsx4("td", { children: key.role }),
      /* @__PURE__ */ jsx4("td", { children: safe3([key.person_name ?? key.owner, key.bot && `bot ${key.bot}`].filter(Boolean).join(" · ")) || "–" }),
      /* @__PURE__ */ jsx4("td", { children: [key.scope && `${key.scope} tasks`, key.skills && `skills ${key.skills.join(", ")}`, key.networks && `from ${key.networks.join(", ")}`].filter(Boolean).map((each) => safe3(each)).join(" · ") || "–" }),
      /* @__PURE__ */ jsx4("td", { children: /* @__PURE__ */ jsx4(State, { look: keyLook(key) }) }),
      /* @__PURE__ */ jsx4("td", { children: key.last_used ? /* @__PURE__ */ jsxs4(Fragment3, { children: [
        /* @__PURE__ */ jsx4(Ago, { time: key.last_used }),
        " ago"
      ] }) : "never" }),
      /* @__PURE__ */ jsx4("td", { children: /* @__PURE__ */ jsx4(Dated, { time: key.revoked_at ?? key.expires_at }) }),
      /* @__PURE__ */ jsx4("td", { children: /* @__PURE__ */ jsx4("div", { class: "acts", children: !key.revoked_at && /* @__PURE__ */ jsxs4(Fragment3, { children: [
        /* @__PURE__ */ jsx4(Act3, { action: "key.manage", run: () => setAsking({ what: "rotate", key }), children: "Rotate…" }),
        /* @__PURE__ */ jsx4(Act3, { action: "key.manage", kind: "danger", run: () => setAsking({ what: "revoke", key }), children: "Revoke…" })
      ] }) }) })
    ] }, key.id)) }),
    pages.seen.data && /* @__PURE__ */ jsx4(More, { pages, what: "keys" }),
    asking?.what === "new" && /* @__PURE__ */ jsx4(NewKey, { close }),
    asking?.what === "rotate" && /* @__PURE__ */ jsx4(Rotate, { of: asking.key, close }),
    asking?.what === "revoke" && /* @__PURE__ */ jsx4(Confirm, { title: `Revoke ${shortId2(asking.key.id)}?`, does: "Revoke", action: "key.manage", run: () => desk.revokeKey(asking.key.id), close, children: /* @__PURE__ */ jsxs4("p", { children: [
      "The ",
      asking.key.role,
      " key of ",
      safe3(asking.key.person_name ?? asking.key.owner ?? asking.key.bot ?? "nobody named"),
      " counts no more, for good. Bots without another key lose their leases.",
      asking.key.id === session2.value.key_id && " It is yours: you are signed out with it."
    ] }) })
  ] });
}
var Fresh = ({ made, close }) => /* @__PURE__ */ jsxs4("div", { class: "fresh", children: [
  /* @__PURE__ */ jsxs4("p", { children: [
    /* @__PURE__ */ jsx4("strong", { children: "Copy the key now: it is shown once." }),
    " The server keeps only a hash of it."
  ] }),
  /* @__PURE__ */ jsx4("p", { children: /* @__PURE__ */ jsx4(Command3, { text: made.key ?? "The answer came twice, and has no key: rotate it." }) }),
  /* @__PURE__ */ jsxs4("p", { class: "none", children: [
    "Role ",
    made.role,
    ". It ends ",
    /* @__PURE__ */ jsx4(Dated, { time: made.expires_at }),
    "."
  ] }),
  /* @__PURE__ */ jsx4("p", { class: "acts", children: /* @__PURE__ */ jsx4("button", { type: "button", class: "main", onClick: close, children: "I have copied it" }) })
] });
function NewKey({ close }) {
  const doing = useAct();
  const [made, setMade] = useState4(null);
  const [role, setRole] = useState4("viewer");
  const persons = usePages("persons of keys", async (token) => may("person.read") ? desk.persons(token) : { items: [], next_page_token: "" }, (person) => person.id);
  const bot = role.startsWith("bot:") || role === "admin";
  async function send(form) {
    const given = new FormData(form), text3 = (name) => String(given.get(name) ?? "").trim() || void 0;
    const days = text3("days"), body = {
      role,
      person: text3("person"),
      owner: text3("owner"),
      scope: text3("scope"),
      bot: text3("bot"),
      skills: listed(text3("skills") ?? ""),
      networks: listed(text3("networks") ?? ""),
      expires_days: days === void 0 ? void 0 : Number(days)
    };
    const answer = await doing.run(() => desk.createKey(body), "The key was created. Copy it now.");
    if (answer) setMade(answer);
  }
  return /* @__PURE__ */ jsx4(Dialog2, { title: made ? "The new key" : "Create a key", close, children: made ? /* @__PURE__ */ jsx4(Fresh, { made, close }) : /* @__PURE__ */ jsxs4("form", { class: "form", onSubmit: (event) => {
    event.preventDefault();
    void send(event.currentTarget);
  }, children: [
    /* @__PURE__ */ jsx4(Field, { label: "Role", children: /* @__PURE__ */ jsx4("select", { value: role, onChange: (event) => setRole(event.currentTarget.value), children: ROLES.map((each) => /* @__PURE__ */ jsx4("option", { children: each }, each)) }) }),
    /* @__PURE__ */ jsx4(Field, { label: "Person", children: /* @__PURE__ */ jsxs4("select", { name: "person", children: [
      /* @__PURE__ */ jsx4("option", { value: "", children: "nobody" }),
      persons.items.filter((each) => !each.disabled_at).map((each) => /* @__PURE__ */ jsx4("option", { value: each.id, children: safe3(each.name) }, each.id))
    ] }) }),
    /* @__PURE__ */ jsx4(Field, { label: "Owner", hint: "who answers for it, such as a team", children: /* @__PURE__ */ jsx4("input", { name: "owner" }) }),
    role === "client" && /* @__PURE__ */ jsx4(Field, { label: "Sees", children: /* @__PURE__ */ jsxs4("select", { name: "scope", children: [
      /* @__PURE__ */ jsx4("option", { value: "own", children: "its own tasks" }),
      /* @__PURE__ */ jsx4("option", { value: "tenant", children: "all tasks of the tenant" })
    ] }) }),
    bot && /* @__PURE__ */ jsx4(Field, { label: "Bot", hint: "the only name it may act as", children: /* @__PURE__ */ jsx4("input", { name: "bot" }) }),
    bot && /* @__PURE__ */ jsx4(Field, { label: "Skills", hint: "parted by commas; none: any", children: /* @__PURE__ */ jsx4("input", { name: "skills" }) }),
    /* @__PURE__ */ jsx4(Field, { label: "Ends after days", hint: "0: never; nothing: as the server sets", children: /* @__PURE__ */ jsx4("input", { name: "days", type: "number", min: "0", max: "3650" }) }),
    /* @__PURE__ */ jsx4(Field, { label: "Networks", hint: "such as 10.1.0.0/16; none: from anywhere", children: /* @__PURE__ */ jsx4("input", { name: "networks" }) }),
    doing.problem && /* @__PURE__ */ jsx4(NotDone3, { error: doing.problem }),
    /* @__PURE__ */ jsx4("p", { class: "acts", children: /* @__PURE__ */ jsx4("button", { type: "submit", class: "main", disabled: doing.busy || !may("key.manage"), children: "Create" }) })
  ] }) });
}
function Rotate({ of, close }) {
  const doing = useAct();
  const [made, setMade] = useState4(null);
  const send = () => void doing.run(() => desk.rotateKey(of.id), "The key has a new secret. Copy it now.").then((answer) => {
    if (answer) setMade(answer);
  });
  return /* @__PURE__ */ jsx4(Dialog2, { title: made ? "The new secret" : `Rotate ${shortId2(of.id)}?`, close, children: made ? /* @__PURE__ */ jsx4(Fresh, { made, close }) : /* @__PURE__ */ jsxs4(Fragment3, { children: [
    /* @__PURE__ */ jsx4("p", { children: "It gets a new secret. The old one stays valid for a day, so that bots can change over." }),
    doing.problem && /* @__PURE__ */ jsx4(NotDone3, { error: doing.problem }),
    /* @__PURE__ */ jsx4("p", { class: "acts", children: /* @__PURE__ */ jsx4(Act3, { action: "key.manage", kind: "main", busy: doing.busy, run: send, children: "Rotate" }) })
  ] }) });
}
function Persons() {
  const pages = usePages("persons", desk.persons, (person) => person.id, { ...CALM, on: ofAlso("person") });
  const [asking, setAsking] = useState4(null);
  const doing = useAct();
  const close = () => {
    setAsking(null);
    void pages.again();
  };
  const enable = (person) => void doing.run(() => desk.onPerson(person.id, "enable"), `${person.name} is enabled.`).then(() => pages.again());
  return /* @__PURE__ */ jsxs4(Fragment3, { children: [
    /* @__PURE__ */ jsx4(Head, { title: "Persons", act: "Add a person…", action: "person.manage", run: () => setAsking({ what: "new" }) }),
    /* @__PURE__ */ jsx4(Trouble3, { read: pages.seen, what: "the persons" }),
    doing.problem && /* @__PURE__ */ jsx4(NotDone3, { error: doing.problem }),
    pages.seen.data && !pages.items.length && /* @__PURE__ */ jsxs4("div", { class: "empty", children: [
      /* @__PURE__ */ jsx4("h2", { children: "There is no person yet." }),
      /* @__PURE__ */ jsxs4("p", { children: [
        "Decisions name the person to whom a key belongs: ",
        /* @__PURE__ */ jsx4(Command3, { text: "swarmkeeper docs persons" })
      ] })
    ] }),
    pages.items.length > 0 && /* @__PURE__ */ jsx4(Table, { name: "Persons", columns: ["Name", "Id", "State", "Since", ""], children: pages.items.map((person) => /* @__PURE__ */ jsxs4("tr", { children: [
      /* @__PURE__ */ jsx4("th", { scope: "row", children: safe3(person.name) }),
      /* @__PURE__ */ jsx4("td", { children: /* @__PURE__ */ jsx4("code", { children: person.id }) }),
      /* @__PURE__ */ jsx4("td", { children: /* @__PURE__ */ jsx4(State, { look: person.disabled_at ? { tone: "hold", word: "disabled" } : { tone: "ok", word: "active" } }) }),
      /* @__PURE__ */ jsx4("td", { children: /* @__PURE__ */ jsx4(Dated, { time: person.disabled_at ?? person.created_at }) }),
      /* @__PURE__ */ jsx4("td", { children: /* @__PURE__ */ jsxs4("div", { class: "acts", children: [
        /* @__PURE__ */ jsx4(Act3, { action: "person.manage", run: () => setAsking({ what: "rename", person }), children: "Rename…" }),
        person.disabled_at ? /* @__PURE__ */ jsx4(Act3, { action: "person.manage", busy: doing.busy, run: () => enable(person), children: "Enable" }) : /* @__PURE__ */ jsx4(Act3, { action: "person.manage", kind: "danger", run: () => setAsking({ what: "disable", person }), children: "Disable…" })
      ] }) })
    ] }, person.id)) }),
    pages.items.length > 0 && /* @__PURE__ */ jsx4(More, { pages, what: "persons" }),
    asking && asking.what !== "disable" && /* @__PURE__ */ jsx4(Named, { person: asking.person, close }),
    asking?.what === "disable" && /* @__PURE__ */ jsx4(Confirm, { title: `Disable ${safe3(asking.person.name)}?`, does: "Disable", action: "person.manage", run: () => desk.onPerson(asking.person.id, "disable"), close, children: /* @__PURE__ */ jsx4("p", { children: "All keys, tokens and sessions of this person are refused, on every server within a second, until the person is enabled again." }) })
  ] });
}
function Named({ person, close }) {
  const doing = useAct();
  const send = (name) => void doing.run(async () => {
    await (person ? desk.onPerson(person.id, "rename", { name }) : desk.addPerson(name));
    close();
  }, person ? "Renamed." : "Added.");
  return /* @__PURE__ */ jsx4(Dialog2, { title: person ? `Rename ${safe3(person.name)}` : "Add a person", close, children: /* @__PURE__ */ jsxs4("form", { class: "form", onSubmit: (event) => {
    event.preventDefault();
    send(String(new FormData(event.currentTarget).get("name")).trim());
  }, children: [
    /* @__PURE__ */ jsx4(Field, { label: "Name", children: /* @__PURE__ */ jsx4("input", { name: "name", required: true, defaultValue: person?.name ?? "" }) }),
    doing.problem && /* @__PURE__ */ jsx4(NotDone3, { error: doing.problem }),
    /* @__PURE__ */ jsx4("p", { class: "acts", children: /* @__PURE__ */ jsx4("button", { type: "submit", class: "main", disabled: doing.busy || !may("person.manage"), children: person ? "Rename" : "Add" }) })
  ] }) });
}
function Stops() {
  const pages = usePages("kills", desk.kills, (kill) => kill.id, { ...CALM, on: ofAlso("kill") });
  const [asking, setAsking] = useState4(null);
  const close = () => {
    setAsking(null);
    void pages.again();
  };
  const kills = pages.seen.data?.items ?? [];
  return /* @__PURE__ */ jsxs4(Fragment3, { children: [
    /* @__PURE__ */ jsx4(Head, { title: "Kill switch", act: "Stop something…", action: "kill.manage", kind: "danger", run: () => setAsking("new") }),
    /* @__PURE__ */ jsx4(Trouble3, { read: pages.seen, what: "what is stopped" }),
    pages.seen.data && !kills.length && /* @__PURE__ */ jsxs4("div", { class: "empty", children: [
      /* @__PURE__ */ jsx4("h2", { children: "Nothing is stopped." }),
      /* @__PURE__ */ jsx4("p", { children: "Bots, owners, skills or the whole tenant can be stopped at once, with a reason." })
    ] }),
    kills.length > 0 && /* @__PURE__ */ jsx4(Table, { name: "Kills", columns: ["Stopped", "Reason", "By", "Since", "Until", ""], children: kills.map((kill) => /* @__PURE__ */ jsxs4("tr", { children: [
      /* @__PURE__ */ jsxs4("th", { scope: "row", children: [
        kill.kind,
        " ",
        safe3(kill.name)
      ] }),
      /* @__PURE__ */ jsx4("td", { class: "long", children: safe3(kill.reason) }),
      /* @__PURE__ */ jsx4("td", { children: /* @__PURE__ */ jsx4("code", { children: shortId2(safe3(kill.placed_by)) }) }),
      /* @__PURE__ */ jsx4("td", { children: /* @__PURE__ */ jsx4(When2, { time: kill.placed_at }) }),
      /* @__PURE__ */ jsx4("td", { children: kill.until ? /* @__PURE__ */ jsx4(When2, { time: kill.until }) : "it is lifted" }),
      /* @__PURE__ */ jsx4("td", { children: /* @__PURE__ */ jsx4("div", { class: "acts", children: /* @__PURE__ */ jsx4(Act3, { action: kill.kind === "tenant" ? "kill.tenant" : "kill.manage", run: () => setAsking(kill), children: "Lift…" }) }) })
    ] }, kill.id)) }),
    asking === "new" && /* @__PURE__ */ jsx4(Stop, { close }),
    asking && asking !== "new" && /* @__PURE__ */ jsx4(Confirm, { title: `Let ${asking.kind} ${safe3(asking.name)} work again?`, does: "Lift", action: asking.kind === "tenant" ? "kill.tenant" : "kill.manage", run: () => desk.lift(asking.id), close, children: /* @__PURE__ */ jsxs4("p", { children: [
      "It was stopped for: ",
      safe3(asking.reason)
    ] }) })
  ] });
}
function Stop({ close }) {
  const doing = useAct();
  const [kind, setKind] = useState4("bot");
  const allowed = may(kind === "tenant" ? "kill.tenant" : "kill.manage");
  async function send(form) {
    const given = new FormData(form), until = timeOf(String(given.get("until")));
    const body = {
      kind,
      name: kind === "tenant" ? session2.value.tenant : String(given.get("name")).trim(),
      reason: String(given.get("reason")).trim(),
      ...until ? { until } : {}
    };
    await doing.run(async () => {
      await desk.kill(body);
      close();
    }, "It is stopped.");
  }
  return /* @__PURE__ */ jsx4(Dialog2, { title: "Stop something", close, children: /* @__PURE__ */ jsxs4("form", { class: "form", onSubmit: (event) => {
    event.preventDefault();
    void send(event.currentTarget);
  }, children: [
    /* @__PURE__ */ jsx4("p", { children: "It gets no more work, at once and on every server. What it holds returns to its queue, and no crash is counted." }),
    /* @__PURE__ */ jsx4(Field, { label: "What", children: /* @__PURE__ */ jsx4("select", { value: kind, onChange: (event) => setKind(event.currentTarget.value), children: ["bot", "owner", "skill", "tenant"].map((each) => /* @__PURE__ */ jsx4("option", { value: each, disabled: each === "tenant" && !may("kill.tenant"), children: each === "tenant" ? "the whole tenant" : each }, each)) }) }),
    kind !== "tenant" && /* @__PURE__ */ jsx4(Field, { label: "Name", children: /* @__PURE__ */ jsx4("input", { name: "name", required: true }) }),
    /* @__PURE__ */ jsx4(Field, { label: "Reason", hint: "shown to all who wait for it", children: /* @__PURE__ */ jsx4("input", { name: "reason", required: true, maxLength: 1024 }) }),
    /* @__PURE__ */ jsx4(Field, { label: "Until", hint: `in ${zoneName()}; nothing: until it is lifted`, children: /* @__PURE__ */ jsx4("input", { name: "until", type: "datetime-local" }) }),
    doing.problem && /* @__PURE__ */ jsx4(NotDone3, { error: doing.problem }),
    /* @__PURE__ */ jsx4("p", { class: "acts", children: /* @__PURE__ */ jsx4("button", { type: "submit", class: "danger", disabled: doing.busy || !allowed, title: allowed ? void 0 : "Your role may not stop this.", children: "Stop it" }) })
  ] }) });
}
function Redaction() {
  const doing = useAct();
  const [found, setFound] = useState4(null);
  const [text3, setText] = useState4("");
  const test = () => void doing.run(() => desk.redact(asJson(text3)), "Redacted.").then((answer) => setFound(answer ?? null));
  return /* @__PURE__ */ jsxs4("div", { class: "columns", children: [
    /* @__PURE__ */ jsxs4("section", { children: [
      /* @__PURE__ */ jsx4("h2", { children: "What would be hidden?" }),
      /* @__PURE__ */ jsxs4("form", { class: "form", onSubmit: (event) => {
        event.preventDefault();
        if (text3.trim()) test();
      }, children: [
        /* @__PURE__ */ jsx4(Field, { label: "A text, or JSON", hint: "It is redacted as the evidence of this tenant would be. Nothing of it is stored.", children: /* @__PURE__ */ jsx4("textarea", { rows: 12, value: text3, spellcheck: false, placeholder: '{"note": "call 555 0100", "password": "…"}', onInput: (event) => setText(event.currentTarget.value) }) }),
        /* @__PURE__ */ jsx4("p", { class: "acts", children: /* @__PURE__ */ jsx4(Act3, { action: "redaction.test", kind: "main", busy: doing.busy || !text3.trim(), run: test, children: "Redact" }) })
      ] }),
      doing.problem && /* @__PURE__ */ jsx4(NotDone3, { error: doing.problem })
    ] }),
    found && /* @__PURE__ */ jsxs4("section", { "aria-live": "polite", children: [
      /* @__PURE__ */ jsx4("h2", { children: found.redacted_fields.length ? `${found.redacted_fields.length} hidden` : "Nothing is hidden." }),
      /* @__PURE__ */ jsx4(Value2, { value: found.value, name: "Redacted" }),
      found.redacted_fields.length > 0 && /* @__PURE__ */ jsx4(Table, { name: "What was hidden", columns: ["Where", "Rule", "How"], children: found.redacted_fields.map((each, at) => /* @__PURE__ */ jsxs4("tr", { children: [
        /* @__PURE__ */ jsxs4("th", { scope: "row", children: [
          /* @__PURE__ */ jsx4("code", { children: safe3(each.pointer) || "the whole text" }),
          each.in === "key" && " (its name)"
        ] }),
        /* @__PURE__ */ jsx4("td", { children: safe3(each.rule) }),
        /* @__PURE__ */ jsx4("td", { children: safe3(each.action) })
      ] }, at)) }),
      /* @__PURE__ */ jsxs4("p", { class: "none", children: [
        "Own rules: ",
        /* @__PURE__ */ jsx4(Command3, { text: "swarmkeeper docs redaction-rules" })
      ] })
    ] })
  ] });
}
function asJson(text3) {
  try {
    const value = JSON.parse(text3);
    return typeof value === "object" && value !== null ? value : text3;
  } catch {
    return text3;
  }
}
var Head = ({ title, act: act2, action, run, kind = "main" }) => /* @__PURE__ */ jsxs4("div", { class: "part-head", children: [
  /* @__PURE__ */ jsx4("h2", { children: title }),
  /* @__PURE__ */ jsx4(Act3, { action, kind, run, children: act2 })
] });
var Dated = ({ time }) => time ? /* @__PURE__ */ jsxs4("time", { dateTime: time, title: moment(time), children: [
  time.slice(0, 10),
  " UTC"
] }) : /* @__PURE__ */ jsx4(Fragment3, { children: "never" });

// src/pages/desk/evaluations.tsx
import { useState as useState5 } from "./app.js";
import { api } from "./app.js";
import { useKeys as useKeys2 } from "./app.js";
import { useRead as useRead4 } from "./app.js";
import { Ago as Ago2, Command as Command4, Key as Key2, NotDone as NotDone4, State as State2, Trouble as Trouble4, When as When3 } from "./app.js";
import { go as go2, route as route2, written as written2 } from "./app.js";
import { safe as safe4, shortId as shortId3 } from "./app.js";
import { Fragment as Fragment4, jsx as jsx5, jsxs as jsxs5 } from "./app.js";
var COUNTED_MAX = 30;
var LOOKS = { accept: { tone: "ok", word: "accept" }, rework: { tone: "hold", word: "rework" }, reject: { tone: "bad", word: "reject" } };
var look = (decision) => LOOKS[decision] ?? { tone: "plain", word: safe4(decision) };
function review(event) {
  const data = event.data;
  return { id: event.id, at: event.time, task: data.task_id, key: data.key ?? null, round: data.round, decision: data.decision, votes: data.votes ?? null };
}
var total = (votes) => Object.values(votes).reduce((sum, count) => sum + count, 0);
var unanimous = (votes) => Object.values(votes).filter((count) => count > 0).length === 1;
function Evaluations() {
  const pages = usePages("evaluations", desk.reviews, (event) => event.id, { ...CALM, every: 1e4, seldom: 1e4 });
  const reviews = pages.items.map(review), chosen = asked("review");
  const at = reviews.findIndex((each) => each.id === chosen), open = reviews[at];
  const step = (by) => {
    const next = reviews[Math.max(0, Math.min(at + by, reviews.length - 1))];
    if (next) put({ review: next.id }, true);
  };
  useKeys2({
    j: { does: "next review", run: () => step(1) },
    k: { does: "previous review", run: () => step(-1) },
    Enter: { does: "open the task", run: () => {
      if (open) go2(written2(["tasks", open.task]));
    } },
    Escape: { does: "close the review", run: () => put({ review: null }, true) }
  });
  const voted = reviews.filter((each) => each.votes && total(each.votes) > 1), agreed = voted.filter((each) => unanimous(each.votes));
  const count = (decision) => reviews.filter((each) => each.decision === decision).length;
  return /* @__PURE__ */ jsxs5("div", { class: `split ${chosen ? "open" : ""}`, children: [
    /* @__PURE__ */ jsx5("h1", { class: "hidden-text", children: "Evaluations" }),
    /* @__PURE__ */ jsxs5("div", { class: "side", children: [
      /* @__PURE__ */ jsx5(Trouble4, { read: pages.seen, what: "the evaluations" }),
      pages.seen.data && !reviews.length && !pages.more && /* @__PURE__ */ jsxs5("div", { class: "empty", children: [
        /* @__PURE__ */ jsx5("h2", { children: "No review has come to a decision yet." }),
        /* @__PURE__ */ jsxs5("p", { children: [
          "Evaluators judge what is submitted without ",
          /* @__PURE__ */ jsx5("code", { children: "--no-review" }),
          ": ",
          /* @__PURE__ */ jsx5(Command4, { text: "swarmkeeper docs rework" })
        ] })
      ] }),
      reviews.length > 0 && /* @__PURE__ */ jsxs5("div", { class: "pad", children: [
        /* @__PURE__ */ jsxs5("dl", { class: "sums", children: [
          Object.keys(LOOKS).map((each) => /* @__PURE__ */ jsxs5("div", { children: [
            /* @__PURE__ */ jsx5("dt", { children: /* @__PURE__ */ jsx5(State2, { look: look(each) }) }),
            /* @__PURE__ */ jsx5("dd", { children: count(each) })
          ] }, each)),
          voted.length > 0 && /* @__PURE__ */ jsxs5("div", { children: [
            /* @__PURE__ */ jsx5("dt", { children: "all voted alike" }),
            /* @__PURE__ */ jsxs5("dd", { children: [
              agreed.length,
              " of ",
              voted.length
            ] })
          ] })
        ] }),
        /* @__PURE__ */ jsx5(Evaluators, { reviews })
      ] }),
      /* @__PURE__ */ jsx5("ol", { class: "records reviews", children: reviews.map((each) => /* @__PURE__ */ jsx5("li", { children: /* @__PURE__ */ jsxs5("a", { class: "record", href: address({ review: each.id }), "aria-current": each.id === chosen ? "true" : void 0, children: [
        /* @__PURE__ */ jsx5(State2, { look: look(each.decision) }),
        /* @__PURE__ */ jsx5("b", { children: each.key === null ? "whole task" : safe4(each.key) }),
        /* @__PURE__ */ jsx5("span", { children: shortId3(safe4(each.task)) }),
        /* @__PURE__ */ jsxs5("span", { children: [
          each.votes ? Object.entries(each.votes).filter(([, votes]) => votes > 0).map(([name, votes]) => `${votes} ${safe4(name)}`).join(", ") : "",
          each.round > 1 ? ` · round ${each.round}` : ""
        ] }),
        /* @__PURE__ */ jsx5(When3, { time: each.at })
      ] }) }, each.id)) }),
      reviews.length > 0 && /* @__PURE__ */ jsxs5(More, { pages, what: "reviews", children: [
        " · ",
        /* @__PURE__ */ jsx5(Key2, { children: "j" }),
        " ",
        /* @__PURE__ */ jsx5(Key2, { children: "k" }),
        " open one"
      ] })
    ] }),
    chosen && /* @__PURE__ */ jsx5("div", { class: "detail", children: open ? /* @__PURE__ */ jsx5(Detail2, { of: open }, open.id) : pages.seen.data && /* @__PURE__ */ jsxs5("p", { class: "none", children: [
      "It is not among those that are shown. ",
      /* @__PURE__ */ jsx5("a", { href: address({ review: null }), children: "Close" })
    ] }) })
  ] });
}
function Detail2({ of }) {
  const reading = useRead4(`verdicts ${of.id}`, async () => {
    const [page, task] = await Promise.all([desk.verdicts(of.task), api.task(of.task).catch(() => null)]);
    return { verdicts: page.items, title: task?.task.title ?? of.task };
  }, CALM);
  const seen = reading.state.value;
  const verdicts = seen.data?.verdicts.filter((each) => each.subject === of.key).sort((a, b) => b.round - a.round) ?? [];
  return /* @__PURE__ */ jsxs5("article", { "aria-labelledby": "review", children: [
    /* @__PURE__ */ jsxs5("p", { class: "over", children: [
      /* @__PURE__ */ jsx5("a", { class: "button small back", href: written2(route2.value.path), children: "← Evaluations" }),
      " ",
      /* @__PURE__ */ jsx5("a", { href: written2(["tasks", of.task]), children: seen.data ? safe4(seen.data.title) : shortId3(of.task) })
    ] }),
    /* @__PURE__ */ jsxs5("h2", { id: "review", children: [
      of.key === null ? "Whole task" : safe4(of.key),
      ": ",
      look(of.decision).word
    ] }),
    /* @__PURE__ */ jsxs5("p", { class: "none", children: [
      "Round ",
      of.round,
      ", decided ",
      /* @__PURE__ */ jsx5(Ago2, { time: of.at }),
      " ago."
    ] }),
    /* @__PURE__ */ jsx5(Trouble4, { read: seen, what: "the verdicts" }),
    seen.data && !verdicts.length && /* @__PURE__ */ jsx5("p", { class: "none", children: "No verdict is kept of it any more." }),
    verdicts.map((each) => /* @__PURE__ */ jsxs5("section", { class: "card", children: [
      /* @__PURE__ */ jsxs5("h3", { children: [
        /* @__PURE__ */ jsx5(State2, { look: look(each.decision ?? "too long to show") }),
        " ",
        safe4(each.evaluator ?? "–"),
        each.score !== null && ` · score ${Number(each.score.toFixed(3))}`,
        " · round ",
        each.round
      ] }),
      /* @__PURE__ */ jsxs5("ul", { class: "said", children: [
        each.reasons.map((reason, at) => /* @__PURE__ */ jsx5("li", { children: safe4(reason) }, at)),
        each.findings.map((finding, at) => /* @__PURE__ */ jsxs5("li", { children: [
          /* @__PURE__ */ jsx5("b", { children: safe4(finding.severity ?? "finding") }),
          " ",
          safe4(finding.text ?? "")
        ] }, `f${at}`)),
        each.feedback.map((wish, at) => /* @__PURE__ */ jsxs5("li", { children: [
          /* @__PURE__ */ jsx5("b", { children: safe4(wish.subtask) }),
          " ",
          safe4(wish.text)
        ] }, `w${at}`)),
        !each.reasons.length && !each.findings.length && !each.feedback.length && /* @__PURE__ */ jsx5("li", { class: "none", children: "Without reasons." })
      ] })
    ] }, each.work_id))
  ] });
}
function Evaluators({ reviews }) {
  const [found, setFound] = useState5(null);
  const doing = useAct();
  async function count() {
    const tasks = [...new Set(reviews.map((each) => each.task))].slice(0, COUNTED_MAX);
    const decided = new Map(reviews.map((each) => [`${each.task} ${each.key} ${each.round}`, each.decision]));
    const rows = /* @__PURE__ */ new Map();
    for (const task of tasks) {
      for (const { evaluator, subject, round, decision } of (await desk.verdicts(task)).items) {
        const name = evaluator ?? "–", row = rows.get(name) ?? { name, said: {}, all: 0, alike: 0 };
        rows.set(name, row);
        if (!decision) continue;
        row.said[decision] = (row.said[decision] ?? 0) + 1;
        row.all++;
        if (decided.get(`${task} ${subject} ${round}`) === decision) row.alike++;
      }
    }
    setFound({ rows: [...rows.values()].sort((a, b) => b.all - a.all), tasks: tasks.length });
  }
  if (!found) return /* @__PURE__ */ jsxs5(Fragment4, { children: [
    doing.problem && /* @__PURE__ */ jsx5(NotDone4, { error: doing.problem }),
    /* @__PURE__ */ jsx5("p", { children: /* @__PURE__ */ jsx5("button", { type: "button", class: "small", disabled: doing.busy, onClick: () => void doing.run(count, "Counted."), children: "Count by evaluator" }) })
  ] });
  return /* @__PURE__ */ jsx5(Table, { name: "By evaluator", columns: ["Evaluator", ...[...Object.keys(LOOKS), "verdicts", "as was decided"].map((each) => `#${each}`)], caption: `Verdicts on the last ${found.tasks} reviewed tasks`, children: found.rows.map((row) => /* @__PURE__ */ jsxs5("tr", { children: [
    /* @__PURE__ */ jsx5("th", { scope: "row", children: safe4(row.name) }),
    Object.keys(LOOKS).map((each) => /* @__PURE__ */ jsx5("td", { class: "num", children: row.said[each] ?? 0 }, each)),
    /* @__PURE__ */ jsx5("td", { class: "num", children: row.all }),
    /* @__PURE__ */ jsx5("td", { class: "num", children: row.alike })
  ] }, row.name)) });
}

// src/pages/desk/simulate.tsx
import { useState as useState6 } from "./app.js";
import { say as say3 } from "./app.js";
import { Command as Command5, Glyph as Glyph2 } from "./app.js";
import { grouped as grouped2, head, safe as safe5, span } from "./app.js";
import { Fragment as Fragment5, jsx as jsx6, jsxs as jsxs6 } from "./app.js";
var SCENARIOS = ["standard", "research", "code-review"];
var FAULTS = {
  bot: "bots die, hang, repeat themselves",
  net: "requests and replies get lost, late, twice",
  store: "disk full, locked, slow; a crash around a commit",
  orch: "the server dies, pauses, is upgraded; clocks jump",
  broker: "hints get lost",
  human: "people decide late or twice",
  provider: "models refuse or cost a hundredfold"
};
var LEVELS = { core: "engine and store, virtual time", http: "the whole API and bots of the SDK, virtual time", process: "real processes, killed and restarted, real time" };
var FILE_MAX = 8 << 20;
var RUNS_SHOWN = 100;
var quoted = (word) => /^[\w./:,@%+=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
var number = (text3, max) => /^\d{1,15}(\.\d{1,6})?$/.test(text3) && Number(text3) <= max ? text3 : "";
var integer = (text3, max) => text3.includes(".") ? "" : number(text3, max);
function command(value) {
  const level = value("level") in LEVELS ? value("level") : "", real = level === "process";
  const flags = [
    ["--seeds", integer(value("seeds"), 1e5)],
    ["--start", integer(value("start"), 1e15)],
    ["--hours", number(value("hours"), 8760)],
    ["--faults", value("faults").split(",").filter((each) => each in FAULTS || each === "all" || each === "none").join(",")],
    ["--level", level],
    ["--bots", real || level === "core" ? "" : value("bots")],
    ["--report", real ? "" : value("report") && "report.json"]
  ];
  return [
    "swarmkeeper simulate",
    quoted(value("scenario") || "standard"),
    ...flags.filter(([, given]) => given).map(([flag, given]) => `${flag} ${quoted(given)}`),
    ...value("twice") && !real ? ["--check-determinism"] : []
  ].join(" ");
}
function Simulate() {
  const faults = asked("faults").split(",").filter(Boolean), real = asked("level") === "process";
  const toggle = (name) => {
    const next = faults.includes(name) ? faults.filter((each) => each !== name) : name in FAULTS ? [...faults.filter((each) => each in FAULTS), name] : [name];
    put({ faults: next.join(",") }, true);
  };
  const text3 = (name, more = {}) => /* @__PURE__ */ jsx6("input", { value: asked(name), onInput: (event) => put({ [name]: event.currentTarget.value.trim() }, true), ...more });
  return /* @__PURE__ */ jsxs6("div", { class: "page settings", children: [
    /* @__PURE__ */ jsx6("h1", { class: "hidden-text", children: "Simulate" }),
    /* @__PURE__ */ jsxs6("div", { class: "columns", children: [
      /* @__PURE__ */ jsxs6("section", { children: [
        /* @__PURE__ */ jsx6("h2", { children: "Rehearse your swarm" }),
        /* @__PURE__ */ jsxs6("form", { class: "form two", onSubmit: (event) => event.preventDefault(), children: [
          /* @__PURE__ */ jsxs6(Field, { label: "Scenario", hint: "a file of yours, or a shipped one", children: [
            /* @__PURE__ */ jsx6("input", { list: "scenarios", value: asked("scenario"), placeholder: "standard", onInput: (event) => put({ scenario: event.currentTarget.value.trim() }, true) }),
            /* @__PURE__ */ jsx6("datalist", { id: "scenarios", children: SCENARIOS.map((each) => /* @__PURE__ */ jsx6("option", { value: each }, each)) })
          ] }),
          /* @__PURE__ */ jsx6(Field, { label: "What is real", children: /* @__PURE__ */ jsx6("select", { value: asked("level") || "core", onChange: (event) => put({ level: event.currentTarget.value === "core" ? null : event.currentTarget.value }, true), children: Object.entries(LEVELS).map(([level, does]) => /* @__PURE__ */ jsxs6("option", { value: level, children: [
            level,
            ": ",
            does
          ] }, level)) }) }),
          /* @__PURE__ */ jsx6(Field, { label: "Seeds", hint: "how many runs", children: text3("seeds", { inputMode: "numeric", placeholder: "1" }) }),
          /* @__PURE__ */ jsx6(Field, { label: "First seed", hint: "the same seed, the same run", children: text3("start", { inputMode: "numeric", placeholder: "random" }) }),
          /* @__PURE__ */ jsx6(Field, { label: "Virtual hours", children: text3("hours", { inputMode: "decimal", placeholder: "the scenario’s" }) }),
          /* @__PURE__ */ jsx6(Field, { label: "Your bots", hint: "at level http", children: text3("bots", { placeholder: "mine.py:swarm", disabled: asked("level") !== "http" }) }),
          /* @__PURE__ */ jsxs6("fieldset", { class: "wide", children: [
            /* @__PURE__ */ jsx6("legend", { children: "Faults" }),
            /* @__PURE__ */ jsx6("div", { class: "chips", children: ["all", "none", ...Object.keys(FAULTS)].map((each) => /* @__PURE__ */ jsx6("button", { type: "button", class: "chip", "aria-pressed": faults.includes(each), title: FAULTS[each], onClick: () => toggle(each), children: each }, each)) })
          ] }),
          /* @__PURE__ */ jsxs6("label", { class: "choice", children: [
            /* @__PURE__ */ jsx6("input", { type: "checkbox", checked: Boolean(asked("report")) && !real, disabled: real, onChange: (event) => put({ report: event.currentTarget.checked ? "1" : null }, true) }),
            " write report.json, to open it here"
          ] }),
          /* @__PURE__ */ jsxs6("label", { class: "choice", children: [
            /* @__PURE__ */ jsx6("input", { type: "checkbox", checked: Boolean(asked("twice")) && !real, disabled: real, onChange: (event) => put({ twice: event.currentTarget.checked ? "1" : null }, true) }),
            " play each run twice, to see that it repeats"
          ] })
        ] }),
        /* @__PURE__ */ jsx6("p", { children: /* @__PURE__ */ jsx6(Command5, { text: command(asked) }) })
      ] }),
      /* @__PURE__ */ jsxs6("section", { children: [
        /* @__PURE__ */ jsx6("h2", { children: "What it proves" }),
        /* @__PURE__ */ jsx6("p", { children: "It plays a whole swarm with the real engine and store. After every commit it checks that each item has one accepted result, that nothing acknowledged is lost, that no secret is in the evidence, and that all that is open has a wake-up due. When the faults stop, everything must end." }),
        /* @__PURE__ */ jsx6("p", { children: "A run without a violation says only that these seeds found none. Exit codes: 0 none, 11 a violation, 12 not repeatable, 13 a target missed." }),
        /* @__PURE__ */ jsxs6("p", { class: "none", children: [
          "More: ",
          /* @__PURE__ */ jsx6(Command5, { text: "swarmkeeper docs simulator" })
        ] })
      ] })
    ] }),
    /* @__PURE__ */ jsx6(Report2, {})
  ] });
}
function readReport(text3) {
  try {
    const found = JSON.parse(text3);
    const runs = found.version === 1 && Array.isArray(found.runs) && found.runs.every((each) => Number.isSafeInteger(each?.seed));
    const whole2 = runs && typeof found.scenario?.name === "string" && [found.figures, found.faults].every((each) => each && typeof each === "object") && Array.isArray(found.targets);
    return whole2 ? found : null;
  } catch {
    return null;
  }
}
var replay = ({ level, scenario }, seed) => `swarmkeeper simulate ${quoted(scenario.name)} --hours ${Number(scenario.hours)} --level ${quoted(String(level))} --replay ${seed}`;
var text2 = (value) => safe5(head(value, 300).text);
var figure = (name, value) => name.endsWith("_seconds") ? span(value * 1e3) : name.endsWith("share") || name === "utilisation" ? `${Math.round(100 * value)} %` : Number(value).toFixed(value < 10 ? 2 : 0);
function Report2() {
  const [found, setFound] = useState6(null);
  async function open(file) {
    if (!file) return;
    const report = file.size <= FILE_MAX ? readReport(await file.text()) : null;
    setFound({ name: file.name, report });
    say3(report ? `${report.runs.length} runs.` : "It is no report.");
  }
  return /* @__PURE__ */ jsxs6("section", { children: [
    /* @__PURE__ */ jsxs6("div", { class: "part-head", children: [
      /* @__PURE__ */ jsx6("h2", { children: "A report" }),
      /* @__PURE__ */ jsxs6("label", { class: "button", children: [
        "Open report.json…",
        /* @__PURE__ */ jsx6("input", { class: "hidden-text", type: "file", accept: ".json,application/json", onChange: (event) => void open(event.currentTarget.files?.[0]) })
      ] })
    ] }),
    !found && /* @__PURE__ */ jsx6("p", { class: "none", children: "It is read in this browser, and sent nowhere." }),
    found && !found.report && /* @__PURE__ */ jsxs6("div", { class: "trouble", role: "alert", children: [
      /* @__PURE__ */ jsxs6("strong", { children: [
        safe5(found.name),
        " is no report."
      ] }),
      " One is made by ",
      /* @__PURE__ */ jsx6("code", { children: "--report report.json" }),
      ", and has at most 8 MiB here."
    ] }),
    found?.report && /* @__PURE__ */ jsx6(Shown, { report: found.report })
  ] });
}
function Shown({ report }) {
  const broken = report.runs.filter((each) => each.violation), unlike = report.runs.filter((each) => each.deterministic === false);
  const struck = Object.entries(report.faults).filter(([, each]) => each?.times > 0).sort(([, a], [, b]) => b.times - a.times);
  const runs = [...broken, ...report.runs.filter((each) => !each.violation)];
  return /* @__PURE__ */ jsxs6(Fragment5, { children: [
    /* @__PURE__ */ jsxs6("p", { class: `verdict tone-${broken.length ? "bad" : "ok"}`, children: [
      /* @__PURE__ */ jsx6(Glyph2, { tone: broken.length ? "bad" : "ok" }),
      " ",
      broken.length ? `${broken.length} of ${report.runs.length} runs broke an invariant.` : `No invariant was broken in ${report.runs.length} runs, ${Number(report.virtual_hours).toFixed(1)} virtual hours, of ${text2(report.scenario.name)}.`,
      unlike.length > 0 && ` ${unlike.length} could not be repeated.`
    ] }),
    broken.slice(0, 20).map(({ seed, violation }) => /* @__PURE__ */ jsxs6("div", { class: "trouble", children: [
      /* @__PURE__ */ jsxs6("strong", { children: [
        "Seed ",
        seed,
        ": ",
        text2(violation.invariant),
        ", ",
        text2(violation.words),
        "."
      ] }),
      " ",
      text2(violation.entity),
      ", after ",
      span(1e3 * Number(violation.at_seconds)),
      ": ",
      text2(violation.why),
      /* @__PURE__ */ jsxs6("p", { children: [
        "Play it again, with its own --faults, --bots and --invariants, if the first command had these: ",
        /* @__PURE__ */ jsx6(Command5, { text: replay(report, seed) })
      ] })
    ] }, seed)),
    /* @__PURE__ */ jsxs6("div", { class: "columns", children: [
      /* @__PURE__ */ jsxs6(Table, { name: "Figures", columns: ["Figure", "#Half of the runs", "#From", "#To"], children: [
        Object.entries(report.figures).map(([name, band]) => band && /* @__PURE__ */ jsxs6("tr", { children: [
          /* @__PURE__ */ jsx6("th", { scope: "row", children: text2(name.replaceAll("_", " ").replace(/ seconds$/, "")) }),
          /* @__PURE__ */ jsx6("td", { class: "num", children: figure(name, band.median) }),
          /* @__PURE__ */ jsx6("td", { class: "num", children: figure(name, band.low) }),
          /* @__PURE__ */ jsx6("td", { class: "num", children: figure(name, band.high) })
        ] }, name)),
        report.targets.map((each) => /* @__PURE__ */ jsxs6("tr", { children: [
          /* @__PURE__ */ jsxs6("th", { scope: "row", children: [
            "target: ",
            text2(each.name.replaceAll("_", " "))
          ] }),
          /* @__PURE__ */ jsx6("td", { class: "num", children: each.held ? "held" : "missed" }),
          /* @__PURE__ */ jsx6("td", { class: "num", children: each.value === null ? "–" : figure(each.name, each.value) }),
          /* @__PURE__ */ jsx6("td", { class: "num", children: figure(each.name, each.bound) })
        ] }, `t ${each.name}`))
      ] }),
      /* @__PURE__ */ jsx6(Table, { name: "Faults", columns: ["Fault that struck", "#Times", "#Runs"], children: struck.map(([kind, each]) => /* @__PURE__ */ jsxs6("tr", { children: [
        /* @__PURE__ */ jsx6("th", { scope: "row", children: text2(kind) }),
        /* @__PURE__ */ jsx6("td", { class: "num", children: grouped2(each.times) }),
        /* @__PURE__ */ jsx6("td", { class: "num", children: grouped2(each.runs) })
      ] }, kind)) })
    ] }),
    /* @__PURE__ */ jsx6(Table, { name: "Runs", columns: ["Seed", "Violation", "#Tasks", "#Faults", "#Commits", "#Starts", "#Virtual time"], children: runs.slice(0, RUNS_SHOWN).map((run) => /* @__PURE__ */ jsxs6("tr", { children: [
      /* @__PURE__ */ jsx6("th", { scope: "row", children: run.seed }),
      /* @__PURE__ */ jsx6("td", { children: run.violation ? text2(run.violation.invariant) : "none" }),
      [run.tasks, run.faults, run.commits, run.boots].map((each, at) => /* @__PURE__ */ jsx6("td", { class: "num", children: grouped2(Number(each)) }, at)),
      /* @__PURE__ */ jsx6("td", { class: "num", children: span(1e3 * Number(run.virtual_seconds)) })
    ] }, run.seed)) }),
    runs.length > RUNS_SHOWN && /* @__PURE__ */ jsxs6("p", { class: "foot", children: [
      "and ",
      runs.length - RUNS_SHOWN,
      " more"
    ] })
  ] });
}
export {
  Audit,
  Costs,
  Evaluations,
  Settings,
  Simulate
};
