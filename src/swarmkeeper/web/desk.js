// src/pages/desk/audit.tsx
import { useState as useState2 } from "./app.js";
import { ApiError as ApiError2 } from "./app.js";
import { useKeys } from "./app.js";
import { say as say2, useRead as useRead2 } from "./app.js";
import { Act as Act2, Command, Glyph, Key, NotDone as NotDone2, Trouble, Value, When } from "./app.js";
import { session } from "./app.js";
import { safe, shortId } from "./app.js";

// src/pages/desk/calls.ts
import { act, call, get } from "./app.js";
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
  costs: (by, from, to) => get("costs", { by, from, to })
};

// src/pages/desk/kit.tsx
import { useRef, useState } from "./app.js";
import { ApiError } from "./app.js";
import { say, useRead } from "./app.js";
import { Act, Dialog, NotDone } from "./app.js";
import { go, route, written } from "./app.js";
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
function address(changes) {
  const query = new URLSearchParams(route.value.query);
  for (const [name, value] of Object.entries(changes)) if (value) query.set(name, value);
  else query.delete(name);
  return written(route.value.path, query);
}
var put = (changes, replace = false) => go(address(changes), replace);
var asked = (name) => route.value.query.get(name) ?? "";
var Field = ({ label, hint, children }) => /* @__PURE__ */ jsxs("label", { class: "field", children: [
  /* @__PURE__ */ jsx("span", { children: label }),
  children,
  hint && /* @__PURE__ */ jsx("small", { children: hint })
] });

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
function bytes(text2) {
  try {
    const data = atob(text2);
    return btoa(data) === text2 ? Uint8Array.from(data, (sign) => sign.charCodeAt(0)) : null;
  } catch {
    return null;
  }
}
var whole = (text2) => /^(0|[1-9]\d{0,14})$/.test(text2) ? Number(text2) : null;
function parseNote(data) {
  const cut = data.lastIndexOf("\n\n");
  if (cut < 0 || !data.endsWith("\n")) return null;
  const text2 = data.slice(0, cut + 1), [origin = "", sizeText = "", rootText = ""] = text2.split("\n");
  const size = whole(sizeText), root = bytes(rootText);
  if (!origin || size === null || root?.length !== 32) return null;
  const signatures = [];
  for (const line of data.slice(cut + 2, -1).split("\n")) {
    const found = /^— ([^\s+]+) (\S+)$/.exec(line), signed2 = found && bytes(found[2]);
    if (!found || !signed2 || signed2.length < 5) return null;
    signatures.push({ name: found[1], id: hex(signed2.slice(0, 4)), signature: signed2.slice(4) });
  }
  return { text: text2, origin, size, root, signatures };
}
function parseProof(text2) {
  const cut = text2.indexOf("\n\n");
  const [name, extra = "", place = "", ...path] = text2.slice(0, Math.max(cut, 0)).split("\n");
  const record = extra.startsWith("extra ") ? bytes(extra.slice(6)) : null, index = place.startsWith("index ") ? whole(place.slice(6)) : null;
  const hashes = path.map(bytes);
  if (name !== "c2sp.org/tlog-proof@v1" || !record || index === null || hashes.some((each) => each?.length !== 32)) return null;
  return { record, index, path: hashes, note: text2.slice(cut + 2) };
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
  for (const text2 of keys) {
    const [, name = "", id = "", rest = ""] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(text2) ?? [], key = bytes(rest);
    if (!key || key.length !== 33 || key[0] !== 1 || hex(sha256(utf8.encode(`${name}
`), key)).slice(0, 8) !== id) continue;
    const found = note.signatures.find((each) => each.name === name && each.id === id);
    if (!found || name !== note.origin) continue;
    if (!globalThis.crypto?.subtle) return [null, `by ${name}: this browser checks signatures over HTTPS only`];
    try {
      const known = await crypto.subtle.importKey("raw", key.slice(1), { name: "Ed25519" }, false, ["verify"]);
      const holds = await crypto.subtle.verify("Ed25519", known, found.signature, utf8.encode(note.text));
      return [holds, holds ? `by ${name}, key ${id}` : `it is not that of ${name}, key ${id}`];
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
  { name: "task", label: "Task", hint: "Task’s id" }
];
var tone = (record) => record.outcome === "accepted" ? "ok" : record.decision.effect === "deny" ? "bad" : "plain";
var who = (actor) => actor.id === actor.type || actor.id.startsWith(`${actor.type}_`) ? shortId(safe(actor.id)) : `${safe(actor.type)} ${shortId(safe(actor.id))}`;
function Audit() {
  const filter = { action: asked("action"), actor: asked("actor"), task_id: asked("task") };
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
        put(Object.fromEntries([...FILTERS.map(({ name }) => [name, String(given.get(name)).trim()]), ["record", null]]));
        document.activeElement.blur();
      }, children: [
        FILTERS.map(({ name, label, hint }) => /* @__PURE__ */ jsxs2("label", { children: [
          /* @__PURE__ */ jsx2("span", { class: "hidden-text", children: label }),
          /* @__PURE__ */ jsx2("input", { id: `by-${name}`, name, type: "search", defaultValue: asked(name), placeholder: hint, spellcheck: false })
        ] }, name)),
        /* @__PURE__ */ jsx2("button", { type: "submit", children: "Filter" })
      ] }, JSON.stringify(filter)),
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
    const by = record2.erased && record2.task_id ? (await desk.audit({ action: "task.erase", actor: "", task_id: record2.task_id }, "", 1)).items[0] : void 0;
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
var isDay = (text2) => /^\d{4}-\d\d-\d\d$/.test(text2) && !Number.isNaN(Date.parse(text2));
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
  const { total, items } = report, byDay = report.by === "day";
  if (!total.attempts) return /* @__PURE__ */ jsxs3("div", { class: "empty", children: [
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
        /* @__PURE__ */ jsx3("dd", { children: money(total.cost_micro_usd) })
      ] }),
      /* @__PURE__ */ jsxs3("div", { children: [
        /* @__PURE__ */ jsx3("dt", { children: "tokens" }),
        /* @__PURE__ */ jsx3("dd", { children: grouped(total.tokens) })
      ] }),
      /* @__PURE__ */ jsxs3("div", { children: [
        /* @__PURE__ */ jsx3("dt", { children: "attempts" }),
        /* @__PURE__ */ jsx3("dd", { children: grouped(total.attempts) })
      ] }),
      total.unpriced_tokens > 0 && /* @__PURE__ */ jsxs3("div", { children: [
        /* @__PURE__ */ jsx3("dt", { children: "tokens without a price" }),
        /* @__PURE__ */ jsx3("dd", { children: grouped(total.unpriced_tokens) })
      ] })
    ] }),
    byDay && /* @__PURE__ */ jsx3(Days, { items, first: report.first_day, last: report.last_day, unit, most }),
    /* @__PURE__ */ jsx3("div", { class: "scroll-x", tabIndex: 0, role: "region", "aria-label": "Costs as a table", children: /* @__PURE__ */ jsxs3("table", { class: "costs", children: [
      /* @__PURE__ */ jsx3("thead", { children: /* @__PURE__ */ jsxs3("tr", { children: [
        /* @__PURE__ */ jsx3("th", { scope: "col", children: report.by === "day" ? "Day (UTC)" : report.by === "bot" ? "Bot" : report.by === "skill" ? "Skill" : "Label" }),
        /* @__PURE__ */ jsx3("th", {}),
        /* @__PURE__ */ jsx3("th", { scope: "col", class: "num", children: "Cost" }),
        /* @__PURE__ */ jsx3("th", { scope: "col", class: "num", children: "Tokens" }),
        /* @__PURE__ */ jsx3("th", { scope: "col", class: "num", children: "Attempts" })
      ] }) }),
      /* @__PURE__ */ jsx3("tbody", { children: shown.map((each) => /* @__PURE__ */ jsxs3("tr", { children: [
        /* @__PURE__ */ jsx3("th", { scope: "row", children: safe2(each.name) || "–" }),
        /* @__PURE__ */ jsx3("td", { children: /* @__PURE__ */ jsx3("svg", { class: "share", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true", children: /* @__PURE__ */ jsx3("rect", { width: 100 * each[unit] / most, height: "6" }) }) }),
        /* @__PURE__ */ jsx3("td", { class: "num", children: money(each.cost_micro_usd) }),
        /* @__PURE__ */ jsx3("td", { class: "num", children: grouped(each.tokens) }),
        /* @__PURE__ */ jsx3("td", { class: "num", children: grouped(each.attempts) })
      ] }, each.name)) })
    ] }) }),
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
export {
  Audit,
  Costs
};
