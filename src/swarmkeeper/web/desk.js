import { ApiError, exactly, useKeys, Command, Glyph, Key, Trouble, Value, When, keep, kept, session, safe, shortId, act, call, get, useRef, useState, say, useRead, Act, Dialog, NotDone, useAct, go, route, written, utc, jsx, jsxs, Fragment, grouped, money, lists, ofAlso, Ago, State, letters, may, theme, moment, api } from "./app.js";
// src/pages/desk/audit.tsx

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
  endSession: (session3) => call("DELETE", `sessions/${id(session3)}`),
  limits: () => get("limits"),
  reviews: (pageToken) => get("events", { type: REVIEWED, order: "desc", page_size: 100, page_token: pageToken }),
  verdicts: (task) => get(`tasks/${id(task)}/verdicts`, { page_size: 500 }),
  redact: async (value) => (await call("POST", "redaction:test", { body: { value } })).body
};

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
var ofHex = (text2) => Uint8Array.from(text2.match(/../g) ?? [], (pair) => parseInt(pair, 16));
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
  const [name, extra = "", place2 = "", ...path] = text2.slice(0, Math.max(cut, 0)).split("\n");
  const record = extra.startsWith("extra ") ? bytes(extra.slice(6)) : null, index = place2.startsWith("index ") ? whole(place2.slice(6)) : null;
  const hashes = path.map(bytes);
  if (name !== "c2sp.org/tlog-proof@v1" || !record || index === null || hashes.some((each) => each?.length !== 32)) return null;
  return { record, index, path: hashes, note: text2.slice(cut + 2) };
}
function inOrder(value, whole2) {
  if (Array.isArray(value)) return value.map((each) => inOrder(each, whole2));
  if (value === null || typeof value !== "object") return value;
  return { of: Object.entries(value).filter(([, each]) => whole2 || each !== null && each !== void 0).sort(([a], [b]) => a < b ? -1 : 1).map(([name, each]) => [name, inOrder(each, whole2)]) };
}
var same = (one, other, whole2 = false) => JSON.stringify(inOrder(one, whole2)) === JSON.stringify(inOrder(other, whole2));
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
  const goesOn2 = later !== null && later.origin === note.origin && later.size >= note.size && (later.size > note.size || hex(later.root) === hex(note.root));
  if (!step("Checkpoint", goesOn2, goesOn2 ? `${note.origin}, ${note.size} records` : "the newest checkpoint is of another log, or of a shorter one")) return steps;
  step("Signature", ...await signed(note, keys));
  return steps;
}
function bodyStep(proofText, shown, opened, read) {
  const step = (holds, note) => ({ name: "Body", holds, note });
  if (opened.erased) return step(true, "it was erased, and its salt with it");
  const { salt, body, rest } = opened;
  if (salt === null || body === null || rest === null) return step(null, `of this earlier version (${opened.alg}), swarmkeeper audit verify checks it in the store`);
  const { alg, commitment } = JSON.parse(new TextDecoder().decode(parseProof(proofText).record)).body;
  if (alg !== "sha256-salted-parts" || salt.length !== 32 || hex(sha256(sha256(ofHex(salt), utf8.encode(body)), ofHex(rest))) !== commitment) return step(false, "the record commits to another body");
  const { payload, events } = read(body);
  const other = [["its payload", payload, shown.payload], ["its events", events, shown.events]].filter(([, one, other2]) => !same(one, other2, true)).map(([name]) => name);
  return other.length ? step(false, `what is shown differs from what is proved in ${other.join(" and ")}`) : step(true, "the record commits to the body below");
}
function verifierKey(text2) {
  const [, name = "", id2 = "", rest = ""] = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(text2) ?? [], key = bytes(rest);
  return key && key.length === 33 && key[0] === 1 && hex(sha256(utf8.encode(`${name}
`), key)).slice(0, 8) === id2 ? { name, id: id2, key } : null;
}
async function signed(note, keys) {
  for (const text2 of keys) {
    const verifier = verifierKey(text2);
    if (!verifier) continue;
    const { name, id: id2, key } = verifier;
    const found = note.signatures.find((each) => each.name === name && each.id === id2);
    if (!found || name !== note.origin) continue;
    if (!globalThis.crypto?.subtle) return [null, `by ${name}: this browser checks signatures over HTTPS only`];
    try {
      const known2 = await crypto.subtle.importKey("raw", key.slice(1), { name: "Ed25519" }, false, ["verify"]);
      const holds = await crypto.subtle.verify("Ed25519", known2, found.signature, utf8.encode(note.text));
      return [holds, holds ? `by ${name}, key ${id2}` : `it is not that of ${name}, key ${id2}`];
    } catch {
      return [null, `by ${name}: this browser does not know Ed25519`];
    }
  }
  return [false, "no key of this log has signed the checkpoint"];
}

// src/pages/desk/history.ts
var WIDTH = 256;
var HASH = 32;
function tilePath(level, at, width) {
  const parts = [String(at % 1e3).padStart(3, "0")];
  for (let rest = Math.floor(at / 1e3); rest > 0; rest = Math.floor(rest / 1e3)) parts.unshift(`x${String(rest % 1e3).padStart(3, "0")}`);
  return `${level}/${parts.join("/")}${width < WIDTH ? `.p/${width}` : ""}`;
}
async function roots(old, size, tile) {
  const read = /* @__PURE__ */ new Map();
  async function hash(level, at) {
    const number = Math.floor(at / WIDTH), width = Math.min(WIDTH, Math.floor(size / WIDTH ** level) - number * WIDTH), path = tilePath(level, number, width);
    if (!read.has(path)) read.set(path, tile(path));
    const data = await read.get(path), from = at % WIDTH * HASH;
    if (data.length !== width * HASH) throw new Error(`tile ${path} has ${data.length} bytes`);
    return data.slice(from, from + HASH);
  }
  async function whole2(begin, count) {
    let level = 0, span = 1;
    while (span * WIDTH <= count) {
      span *= WIDTH;
      level++;
    }
    let hashes = [];
    for (let at = 0; at < count / span; at++) hashes.push(await hash(level, begin / span + at));
    while (hashes.length > 1) hashes = hashes.flatMap((each, at) => at % 2 ? [] : [nodeHash(each, hashes[at + 1])]);
    return hashes[0];
  }
  async function tree(begin, end) {
    const count = end - begin, split = 2 ** Math.ceil(Math.log2(count) - 1);
    if (2 * split === count || count === 1) {
      if (!(begin < old && old < end)) return whole2(begin, count);
    }
    return nodeHash(await tree(begin, begin + split), await tree(begin + split, end));
  }
  return [await tree(0, old), await tree(0, size)];
}
async function goesOn(kept2, newer, tile) {
  if (kept2.origin !== newer.origin) return `what you keep is of another log, ${kept2.origin}`;
  if (kept2.size > newer.size) return `the log has ${newer.size} records, and had ${kept2.size}`;
  if (kept2.size === 0) return null;
  const [before, now] = await roots(kept2.size, newer.size, tile);
  if (hex(now) !== hex(newer.root)) return "the tiles of the log do not have the root of its checkpoint";
  return hex(before) === hex(kept2.root) ? null : `its first ${kept2.size} records are not those that you know`;
}

// src/pages/desk/kit.tsx
var CALM = { on: () => false, every: 3e4, seldom: 3e4 };
function usePages(key, read, of, options = CALM) {
  const reading = useRead(key, () => read(""), options);
  const seen = reading.state.value, first = seen.data;
  const kept2 = useRef({ key, items: [], token: "" });
  const [, shown] = useState(0);
  if (kept2.current.key !== key) kept2.current = { key, items: [], token: "" };
  const here = kept2.current;
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
var More = ({ pages, what, children }) => jsxs("p", { class: "foot", children: [
  pages.items.length,
  pages.more ? " and more" : "",
  " ",
  pages.items.length === 1 ? what.slice(0, -1) : what,
  " ",
  pages.more && jsx("button", { type: "button", class: "small", onClick: () => void pages.older(), children: "Older" }),
  children
] });
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
var Field = ({ label, hint, children }) => jsxs("label", { class: "field", children: [
  jsx("span", { children: label }),
  children,
  hint && jsx("small", { children: hint })
] });
function Confirm({ title, does, action, children, run, close }) {
  const doing = useAct();
  const go3 = () => void doing.run(async () => {
    await run();
    close();
  }, `${title} Done.`);
  return jsxs(Dialog, { title, close, children: [
    children,
    doing.problem && jsx(NotDone, { error: doing.problem }),
    jsxs("p", { class: "acts", children: [
      jsx(Act, { action, kind: "danger", busy: doing.busy, run: go3, children: does }),
      " ",
      jsx("button", { type: "button", onClick: close, children: "Leave it" })
    ] })
  ] });
}
var Table = ({ name, columns, caption, children }) => jsx("div", { class: "scroll-x", tabIndex: 0, role: "region", "aria-label": name, children: jsxs("table", { children: [
  caption && jsx("caption", { children: caption }),
  jsx("thead", { children: jsx("tr", { children: columns.map((each, at) => each ? jsx("th", { scope: "col", class: each[0] === "#" ? "num" : "", children: each.replace("#", "") }, at) : jsx("td", {}, at)) }) }),
  jsx("tbody", { children })
] }) });

// src/pages/desk/audit.tsx
var FILTERS = [
  { name: "action", label: "Action", hint: "Action: task.submit" },
  { name: "actor", label: "Actor", hint: "Actor’s id" },
  { name: "task", label: "Task", hint: "Task’s id" },
  { name: "on", label: "Item", hint: "Item’s id" },
  { name: "since", label: "Since", hint: "" },
  { name: "until", label: "Until", hint: "" }
];
var tone = (record) => record.outcome === "accepted" ? "ok" : record.decision.effect === "deny" ? "bad" : "plain";
var who = (actor) => actor.id === actor.type || actor.id.startsWith(`${actor.type}_`) ? shortId(safe(actor.id)) : `${safe(actor.type)} ${shortId(safe(actor.id))}`;
function Audit() {
  const filter = { action: asked("action"), actor: asked("actor"), task_id: asked("task"), resource: asked("on"), since: asked("since"), until: asked("until") };
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
  return jsxs("div", { class: `split ${chosen === null ? "" : "open"}`, children: [
    jsx("h1", { class: "hidden-text", children: "Audit" }),
    jsxs("div", { class: "side", children: [
      jsxs("form", { class: "narrow", role: "search", onSubmit: (event) => {
        event.preventDefault();
        const given = new FormData(event.currentTarget);
        put(Object.fromEntries([...FILTERS.map(({ name, hint }) => [name, hint ? String(given.get(name)).trim() : timeOf(String(given.get(name)))]), ["record", null]]));
        document.activeElement.blur();
      }, children: [
        FILTERS.map(({ name, label, hint }) => hint ? jsxs("label", { children: [
          jsx("span", { class: "hidden-text", children: label }),
          jsx("input", { id: `by-${name}`, name, type: "search", defaultValue: asked(name), placeholder: hint, spellcheck: false })
        ] }, name) : jsxs("label", { class: "field time", children: [
          jsx("span", { children: label }),
          jsx("input", { name, type: "datetime-local", defaultValue: writtenTime(asked(name)), title: `in ${zoneName()}` })
        ] }, name)),
        jsx("button", { type: "submit", children: "Filter" })
      ] }, JSON.stringify([filter, utc.value])),
      jsx(Trouble, { read: seen, what: "the audit log" }),
      seen.data && !items.length && !pages.more && jsxs("div", { class: "empty", children: [
        jsx("h2", { children: used.length ? "No record fits." : "There is no record yet." }),
        jsx("p", { class: "acts", children: used.map(({ name, label }) => jsxs("button", { type: "button", class: "small", onClick: () => put({ [name]: null }), children: [
          "Drop ",
          label.toLowerCase(),
          " ",
          safe(asked(name))
        ] }, name)) })
      ] }),
      jsx("ol", { class: "records", children: items.map((each) => jsx("li", { children: jsxs("a", { class: "record", href: address({ record: String(each.index) }), "aria-current": each.index === chosen ? "true" : void 0, children: [
        jsx(Glyph, { tone: tone(each) }),
        jsx("span", { class: "num", children: each.index }),
        jsx("b", { children: safe(each.action) }),
        jsx("span", { children: who(each.actor) }),
        jsx("span", { class: "on", children: shortId(safe(each.resource)) }),
        jsx(When, { time: each.timestamp })
      ] }) }, each.id)) }),
      seen.data && jsxs(More, { pages, what: "records", children: [
        " · ",
        jsx(Key, { children: "j" }),
        " ",
        jsx(Key, { children: "k" }),
        " open one, ",
        jsx(Key, { children: "p" }),
        " proves it"
      ] })
    ] }),
    chosen !== null && jsx("div", { class: "detail", children: jsx(Detail, { index: chosen, known: items[at] }, chosen) })
  ] });
}
function Detail({ index, known: known2 }) {
  const reading = useRead(`record ${index}`, async (before) => {
    if (before) return before;
    const record2 = known2 ?? await desk.record(index);
    if (!record2) throw new ApiError(404, "not_found", "It is not in this log, or has left it.");
    const by = record2.erased && record2.task_id ? (await desk.audit({ action: "task.erase", task_id: record2.task_id }, "", 1)).items[0] : void 0;
    return { record: record2, erased: by?.index ?? null };
  }, CALM);
  const seen = reading.state.value, record = seen.data?.record;
  if (!record) return jsx(Trouble, { read: seen, what: "the record" });
  const signs = record.payload?.subject_hash;
  return jsxs("article", { "aria-labelledby": "record", children: [
    jsxs("p", { class: "over", children: [
      jsx("button", { type: "button", class: "small back", onClick: () => put({ record: null }, true), children: "← Audit" }),
      " Record ",
      record.index
    ] }),
    jsx("h2", { id: "record", children: safe(record.action) }),
    jsxs("dl", { class: "facts", children: [
      jsxs("div", { children: [
        jsx("dt", { children: "who" }),
        jsxs("dd", { children: [
          safe(record.actor.type),
          " ",
          jsx("code", { children: safe(record.actor.id) }),
          record.actor.person && jsxs(Fragment, { children: [
            " · person ",
            jsx("code", { children: safe(record.actor.person) })
          ] }),
          record.actor.key && record.actor.key !== record.actor.id && jsxs(Fragment, { children: [
            " · key ",
            jsx("code", { children: safe(record.actor.key) })
          ] })
        ] })
      ] }),
      jsxs("div", { children: [
        jsx("dt", { children: "on what" }),
        jsxs("dd", { children: [
          jsx("a", { href: `#/audit?on=${encodeURIComponent(record.resource)}`, children: jsx("code", { children: safe(record.resource) }) }),
          record.task_id && jsxs(Fragment, { children: [
            " · ",
            jsx("a", { href: `#/tasks/${encodeURIComponent(record.task_id)}`, children: "the task" })
          ] })
        ] })
      ] }),
      jsxs("div", { children: [
        jsx("dt", { children: "when" }),
        jsx("dd", { children: jsx(When, { time: record.timestamp }) })
      ] }),
      jsxs("div", { children: [
        jsx("dt", { children: "decision" }),
        jsxs("dd", { children: [
          safe(record.decision.effect),
          ", by policy ",
          safe(record.decision.policy),
          record.decision.reasons.length > 0 && `: ${record.decision.reasons.map(safe).join("; ")}`,
          " · ",
          safe(record.outcome)
        ] })
      ] }),
      typeof signs === "string" && jsxs("div", { children: [
        jsx("dt", { children: "subject" }),
        jsx("dd", { children: jsx("code", { class: "hash", children: safe(signs) }) })
      ] }),
      jsxs("div", { children: [
        jsx("dt", { children: "record’s hash" }),
        jsx("dd", { children: jsx("code", { class: "hash", children: safe(record.hash) }) })
      ] }),
      record.redacted_fields.length > 0 && jsxs("div", { children: [
        jsx("dt", { children: "hidden" }),
        jsx("dd", { children: record.redacted_fields.map((each) => `${safe(each.pointer)} (${safe(each.rule)})`).join(", ") })
      ] })
    ] }),
    jsx(Prove, { record }),
    jsxs("section", { class: "card", children: [
      jsx("h3", { children: "Body" }),
      record.erased ? jsxs("p", { children: [
        seen.data.erased === null ? "It was erased." : jsxs(Fragment, { children: [
          "It was erased by ",
          jsxs("a", { href: `#/audit?record=${seen.data.erased}`, children: [
            "record ",
            seen.data.erased
          ] }),
          "."
        ] }),
        " The proof of the record holds all the same."
      ] }) : jsx(Value, { value: record.payload, name: "Body" })
    ] })
  ] });
}
var place = () => `log.${session.value.tenant}`;
function known() {
  try {
    return JSON.parse(kept(place(), "{}"));
  } catch {
    return {};
  }
}
function Prove({ record }) {
  const [proved, setProved] = useState(null);
  const [mine, setMine] = useState(known);
  const doing = useAct();
  const doKeep = (next) => {
    keep(place(), JSON.stringify(next));
    setMine(next);
  };
  async function prove() {
    const proof = await desk.proof(record.index);
    const [newest, log, body] = await Promise.all([desk.checkpoint(), desk.log(), record.erased ? null : desk.body(record.index)]);
    const steps = await check(record, session.value.tenant, proof, newest, mine.key ? [mine.key] : log.keys);
    const last = steps.find((each) => each.name === "Signature");
    if (last?.holds) {
      last.note += mine.key ? ": the key that you keep" : ": the key that this server names";
      if (body) steps.push(bodyStep(proof, record, body, exactly));
    }
    const note = parseProof(proof)?.note ?? "", of = parseNote(note), before = mine.note && parseNote(mine.note);
    if (before && of && steps.every((each) => each.holds !== false)) {
      const why = await goesOn(before, of, desk.tile);
      steps.push({ name: "History", holds: why === null, note: why ?? `the log goes on from the ${before.size} records that you know` });
    }
    return { steps, note, keys: log.keys, own: Boolean(mine.key) };
  }
  const begin = () => void doing.run(prove, "").then((found) => {
    setProved(found ?? null);
    if (found) say(verdict(found, record.index).text);
  });
  useKeys({ p: { does: "prove the record", run: begin } });
  const { problem } = doing, said = proved && verdict(proved, record.index), server = new URL("../", document.baseURI).href;
  return jsxs("section", { class: "card proof", children: [
    jsx("h3", { children: "Proof" }),
    jsxs("p", { class: "acts", children: [
      jsx(Act, { action: "audit.read", kind: "main", busy: doing.busy, run: begin, keys: "p", children: "Prove" }),
      " ",
      jsx("span", { class: "none", children: "This browser follows the hashes from the record to the signed checkpoint." })
    ] }),
    problem && (problem.status === 404 && problem.message.includes("audit_key_file") ? jsxs("div", { class: "trouble forbidden", role: "alert", children: [
      jsx("strong", { children: "The log is not signed." }),
      " A server with a key signs it within seconds: ",
      jsx(Command, { text: "swarmkeeper audit key --name swarm.example.org --to audit.key" })
    ] }) : jsx(NotDone, { error: problem })),
    said && jsxs(Fragment, { children: [
      jsxs("p", { class: `verdict tone-${said.tone}`, children: [
        jsx(Glyph, { tone: said.tone }),
        " ",
        said.text
      ] }),
      jsx("ol", { class: "steps", children: proved.steps.map((each) => jsxs("li", { children: [
        jsx(Glyph, { tone: each.holds ? "ok" : each.holds === null ? "plain" : "bad" }),
        jsx("b", { children: each.name }),
        /^[0-9a-f]{64}$/.test(each.note) ? jsx("code", { class: "hash", children: each.note }) : jsx("span", { children: safe(each.note) }),
        each.hops && each.hops.length > 0 && jsx("ol", { class: "hops", children: each.hops.map((hop, level) => jsxs("li", { children: [
          jsxs("span", { children: [
            "with ",
            hop.at
          ] }),
          jsxs("code", { title: hop.sibling, children: [
            hop.sibling.slice(0, 16),
            "…"
          ] }),
          jsxs("code", { title: hop.result, children: [
            "→ ",
            hop.result.slice(0, 16),
            "…"
          ] })
        ] }, level)) })
      ] }, each.name)) }),
      !proved.own && proved.keys.map((key) => jsxs("p", { class: "none", children: [
        "Nobody but this server says that this is its key. Compare it with the one that you were given: ",
        jsx(Command, { text: key })
      ] }, key)),
      said.tone === "ok" && (mine.note !== proved.note || !mine.key) && jsx("p", { children: jsxs("button", { type: "button", class: "small", onClick: () => doKeep({ key: mine.key ?? proved.keys[0], note: proved.note }), children: [
        "Keep ",
        mine.key ? "" : "this key and ",
        "the checkpoint of ",
        parseNote(proved.note).size,
        " records in this browser"
      ] }) })
    ] }),
    jsx(Keeping, { mine, keep: doKeep }),
    said && jsxs("p", { class: "none", children: [
      "The whole log, from another machine: ",
      jsx(Command, { text: `swarmkeeper audit verify ${server} --key ${proved.keys[0] ?? "KEY"}` })
    ] })
  ] });
}
function Keeping({ mine, keep: doKeep }) {
  const [wrong, setWrong] = useState(false);
  function take(form) {
    const text2 = String(new FormData(form).get("known")).trim(), isKey = verifierKey(text2) !== null, isNote = !isKey && parseNote(`${text2}
`) !== null;
    setWrong(!isKey && !isNote);
    if (isKey) doKeep({ ...mine, key: text2 });
    if (isNote) doKeep({ ...mine, note: `${text2}
` });
    if (isKey || isNote) form.reset();
  }
  const note = mine.note ? parseNote(mine.note) : null;
  return jsxs("details", { children: [
    jsx("summary", { children: mine.key || note ? `You keep ${[mine.key && "a key", note && `a checkpoint of ${note.size} records`].filter(Boolean).join(" and ")}` : "You keep no key and no checkpoint of your own" }),
    jsxs("form", { class: "form", onSubmit: (event) => {
      event.preventDefault();
      take(event.currentTarget);
    }, children: [
      jsx(Field, { label: "A verifier key or a checkpoint that you were given", hint: "This browser keeps it, and holds against it what the server says.", children: jsx("textarea", { name: "known", rows: 3, spellcheck: false, required: true }) }),
      wrong && jsx("p", { class: "error", role: "alert", children: "This is neither a verifier key nor a signed checkpoint." }),
      jsxs("p", { class: "acts", children: [
        jsx("button", { type: "submit", children: "Keep" }),
        " ",
        (mine.key || note) && jsx("button", { type: "button", class: "danger", onClick: () => doKeep({}), children: "Forget both" })
      ] })
    ] }),
    mine.key && jsx("p", { children: jsx("code", { class: "hash", children: safe(mine.key) }) })
  ] });
}
function verdict({ steps, own }, index) {
  const bad = steps.find((each) => each.holds === false);
  if (bad) return { tone: "bad", text: `NOT proved: the step “${bad.name}” fails.` };
  if (steps.some((each) => each.name === "Signature" && each.holds === null)) return { tone: "hold", text: `Record ${index} is in the log of the checkpoint. The signature is not checked here: swarmkeeper audit verify checks it.` };
  return { tone: "ok", text: `Proved: record ${index} is in the signed log${own ? ", by the key that you keep" : ""}.` };
}

// src/pages/desk/costs.tsx
var BY = ["day", "bot", "skill", "label"];
var SHOWN = 25;
var DAY_MS = 864e5;
var day = (ms) => new Date(ms).toISOString().slice(0, 10);
var isDay = (text2) => /^\d{4}-\d\d-\d\d$/.test(text2) && !Number.isNaN(Date.parse(text2));
var amount = (sum, unit) => unit === "tokens" ? grouped(sum.tokens) : money(sum.cost_micro_usd);
function Costs() {
  const by = BY.find((each) => each === asked("by")) ?? "day", unit = asked("unit") === "tokens" ? "tokens" : "cost_micro_usd";
  const from = isDay(asked("from")) ? asked("from") : "", to = isDay(asked("to")) ? asked("to") : "";
  const reading = useRead(`costs ${by} ${from} ${to}`, () => desk.costs(by, from, to), CALM);
  const seen = reading.state.value, report = seen.data;
  const last = (days) => put({ from: days === 30 ? null : day(Date.now() - (days - 1) * DAY_MS), to: null });
  const length = report ? (Date.parse(report.last_day) - Date.parse(report.first_day)) / DAY_MS + 1 : 0;
  return jsxs("div", { class: "page", children: [
    jsx("h1", { class: "hidden-text", children: "Costs" }),
    jsxs("div", { class: "choices", children: [
      jsx(Choice, { name: "Costs by", values: BY.map((each) => [each, each]), chosen: by, choose: (each) => put({ by: each === "day" ? null : each }) }),
      jsx(Choice, { name: "Days", values: [["7", "7 days"], ["30", "30 days"], ["90", "90 days"]], chosen: to ? "" : String(length), choose: (days) => last(Number(days)) }),
      jsx(Choice, { name: "Unit", values: [["cost_micro_usd", "money"], ["tokens", "tokens"]], chosen: unit, choose: (each) => put({ unit: each === "tokens" ? each : null }) }),
      jsx(Field, { label: "from", children: jsx("input", { type: "date", value: report?.first_day ?? from, onChange: (event) => put({ from: event.currentTarget.value, to: to || (report?.last_day ?? null) }) }) }),
      jsx(Field, { label: "to", children: jsx("input", { type: "date", value: report?.last_day ?? to, onChange: (event) => put({ to: event.currentTarget.value, from: from || (report?.first_day ?? null) }) }) })
    ] }),
    jsx(Trouble, { read: seen, what: "the costs" }),
    report && jsx(Report, { report, unit }, by)
  ] });
}
function Choice({ name, values, chosen, choose }) {
  return jsx("div", { class: "chips", role: "group", "aria-label": name, children: values.map(([value, word]) => jsx("button", { type: "button", class: "chip", "aria-pressed": value === chosen, onClick: () => choose(value), children: word }, value)) });
}
function Report({ report, unit }) {
  const [all, setAll] = useState(false);
  const { total: total2, items } = report, byDay = report.by === "day";
  if (!total2.attempts) return jsxs("div", { class: "empty", children: [
    jsxs("h2", { children: [
      "No attempt from ",
      report.first_day,
      " to ",
      report.last_day,
      " says what it used."
    ] }),
    jsxs("p", { children: [
      "Bots report it with ",
      jsx("code", { children: "context.use" }),
      ": ",
      jsx(Command, { text: "swarmkeeper docs budgets" })
    ] })
  ] });
  const sorted = byDay ? [...items].reverse() : [...items].sort((a, b) => b[unit] - a[unit]);
  const most = Math.max(1, ...items.map((each) => each[unit]));
  const shown = all ? sorted : sorted.slice(0, SHOWN), left = sorted.length - shown.length;
  return jsxs(Fragment, { children: [
    jsxs("dl", { class: "sums", children: [
      jsxs("div", { children: [
        jsx("dt", { children: "cost" }),
        jsx("dd", { children: money(total2.cost_micro_usd) })
      ] }),
      jsxs("div", { children: [
        jsx("dt", { children: "tokens" }),
        jsx("dd", { children: grouped(total2.tokens) })
      ] }),
      jsxs("div", { children: [
        jsx("dt", { children: "attempts" }),
        jsx("dd", { children: grouped(total2.attempts) })
      ] }),
      total2.unpriced_tokens > 0 && jsxs("div", { children: [
        jsx("dt", { children: "tokens without a price" }),
        jsx("dd", { children: grouped(total2.unpriced_tokens) })
      ] })
    ] }),
    byDay && jsx(Days, { items, first: report.first_day, last: report.last_day, unit, most }),
    jsx(Table, { name: "Costs as a table", columns: [byDay ? "Day (UTC)" : report.by[0].toUpperCase() + report.by.slice(1), "", "#Cost", "#Tokens", "#Attempts"], children: shown.map((each) => jsxs("tr", { children: [
      jsx("th", { scope: "row", children: safe(each.name) || "–" }),
      jsx("td", { class: "wide", children: jsx("svg", { class: "share", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true", children: jsx("rect", { width: 100 * each[unit] / most, height: "6" }) }) }),
      jsx("td", { class: "num", children: money(each.cost_micro_usd) }),
      jsx("td", { class: "num", children: grouped(each.tokens) }),
      jsx("td", { class: "num", children: grouped(each.attempts) })
    ] }, each.name)) }),
    jsxs("p", { class: "foot", children: [
      left > 0 && jsxs("button", { type: "button", class: "small", onClick: () => setAll(true), children: [
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
  return jsxs("figure", { class: "days", "aria-hidden": "true", children: [
    jsx("figcaption", { children: top ? `${amount(top, unit)} at most` : "" }),
    jsx("svg", { viewBox: `0 0 ${count * 10} 100`, preserveAspectRatio: "none", children: Array.from({ length: count }, (_, at) => {
      const name = day(begin + at * DAY_MS), each = of.get(name), height = each && each[unit] ? Math.max(1, 100 * each[unit] / most) : 0;
      return jsxs("g", { children: [
        jsx("title", { children: `${name}: ${each ? amount(each, unit) : "nothing"}` }),
        jsx("rect", { class: "under", x: at * 10, width: "10", height: "100" }),
        jsx("rect", { x: at * 10 + 1, y: 100 - height, width: "8", height })
      ] }, name);
    }) }),
    jsxs("p", { children: [
      jsx("span", { children: first }),
      jsx("span", { children: last })
    ] })
  ] });
}

// src/pages/desk/settings.tsx
var PARTS = {
  you: { name: "You", Part: You },
  keys: { name: "Keys", Part: Keys },
  persons: { name: "Persons", Part: Persons },
  limits: { name: "Limits", Part: LimitsPart },
  stops: { name: "Kill switch", Part: Stops },
  redaction: { name: "Redaction", Part: Redaction }
};
var ROLES = ["client", "bot:planner", "bot:executor", "bot:evaluator", "operator", "approver", "viewer", "auditor", "admin"];
var listed = (text2) => {
  const found = text2.split(",").map((each) => each.trim()).filter(Boolean);
  return found.length ? found : void 0;
};
function Settings() {
  const chosen = PARTS[asked("part")] ? asked("part") : "you", { Part } = PARTS[chosen];
  return jsxs("div", { class: "page settings", children: [
    jsx("h1", { class: "hidden-text", children: "Settings" }),
    jsx("nav", { class: "choices", "aria-label": "Settings", children: Object.entries(PARTS).map(([path, { name }]) => jsx("a", { class: "tab", href: address({ part: path === "you" ? null : path }), "aria-current": path === chosen ? "page" : void 0, children: name }, path)) }),
    jsx(Part, {}, chosen)
  ] });
}
function You() {
  const who2 = session.value, themes = ["system", "light", "dark"];
  return jsxs("div", { class: "columns", children: [
    jsxs("section", { children: [
      jsx("h2", { children: "How it looks" }),
      jsxs("fieldset", { children: [
        jsx("legend", { children: "Theme" }),
        themes.map((each) => jsxs("label", { class: "choice", children: [
          jsx("input", { type: "radio", name: "theme", checked: theme.value === each, onChange: () => {
            theme.value = each;
          } }),
          " ",
          each
        ] }, each))
      ] }),
      jsxs("fieldset", { children: [
        jsx("legend", { children: "Times" }),
        [false, true].map((each) => jsxs("label", { class: "choice", children: [
          jsx("input", { type: "radio", name: "zone", checked: utc.value === each, onChange: () => {
            utc.value = each;
          } }),
          " ",
          each ? "UTC" : "local"
        ] }, String(each)))
      ] }),
      jsxs("fieldset", { children: [
        jsx("legend", { children: "Keys" }),
        jsxs("label", { class: "choice", children: [
          jsx("input", { type: "checkbox", checked: letters.value, onChange: (event) => {
            letters.value = event.currentTarget.checked;
          } }),
          " single letters are keys"
        ] })
      ] }),
      jsx("p", { class: "none", children: "This browser keeps these three, and what you ask it to keep of the audit log." })
    ] }),
    jsxs("section", { children: [
      jsx("h2", { children: "Your session" }),
      jsxs("dl", { class: "facts", children: [
        who2.person && jsxs("div", { children: [
          jsx("dt", { children: "person" }),
          jsxs("dd", { children: [
            safe(who2.person_name ?? ""),
            " ",
            jsx("code", { children: who2.person })
          ] })
        ] }),
        who2.owner && jsxs("div", { children: [
          jsx("dt", { children: "owner" }),
          jsx("dd", { children: safe(who2.owner) })
        ] }),
        jsxs("div", { children: [
          jsx("dt", { children: "role" }),
          jsx("dd", { children: who2.role })
        ] }),
        jsxs("div", { children: [
          jsx("dt", { children: "key" }),
          jsx("dd", { children: jsx("code", { children: safe(who2.key_id) }) })
        ] }),
        jsxs("div", { children: [
          jsx("dt", { children: "session" }),
          jsx("dd", { children: jsx("code", { children: who2.session_id ?? "–" }) })
        ] }),
        jsxs("div", { children: [
          jsx("dt", { children: "tenant" }),
          jsx("dd", { children: safe(who2.tenant) })
        ] }),
        jsxs("div", { children: [
          jsx("dt", { children: "may" }),
          jsx("dd", { class: "may", children: who2.may.map((each) => jsx("code", { children: each }, each)) })
        ] })
      ] }),
      jsx(SignedInList, {})
    ] })
  ] });
}
function SignedInList() {
  const reading = useRead("sessions", desk.sessions, CALM);
  const doing = useAct();
  const all = reading.state.value.data?.items ?? [], others = all.filter((each) => !each.current);
  const end = (what) => void doing.run(async () => {
    for (const each of what) await desk.endSession(each.id);
  }, "Signed out.").then(reading.again);
  return jsxs(Fragment, { children: [
    jsx("h2", { children: "Signed in with this key" }),
    jsx("p", { class: "none", children: "A session ends after 12 hours without a call, after a week, and with its key." }),
    jsx(Trouble, { read: reading.state.value, what: "your sessions" }),
    doing.problem && jsx(NotDone, { error: doing.problem }),
    all.length > 0 && jsx(Table, { name: "Sessions", columns: ["Since", "Last used", "Ends", ""], children: all.map((each) => jsxs("tr", { children: [
      jsx("th", { scope: "row", children: jsx(When, { time: each.created_at }) }),
      jsx("td", { children: each.current ? jsx("span", { class: "label", children: "this browser" }) : jsxs(Fragment, { children: [
        jsx(Ago, { time: each.used_at }),
        " ago"
      ] }) }),
      jsx("td", { children: jsx(When, { time: each.ends_at }) }),
      jsx("td", { children: jsx("div", { class: "acts", children: !each.current && jsx(Act, { action: "session.open", busy: doing.busy, run: () => end([each]), children: "Sign out" }) }) })
    ] }, each.id)) }),
    others.length > 1 && jsx("p", { class: "acts", children: jsxs(Act, { action: "session.open", kind: "danger", busy: doing.busy, run: () => end(others), children: [
      "Sign out all ",
      others.length,
      " others"
    ] }) })
  ] });
}
var LIMITS = { body_bytes: "bytes of calls at work", polls: "bots that wait for work", followers: "open streams", waits: "calls that wait for tasks" };
var sized = (bytes2) => bytes2 < 1 << 20 ? grouped(bytes2) : `${grouped(Math.floor(bytes2 / (1 << 20)))} MiB`;
function LimitsPart() {
  const reading = useRead("limits", desk.limits, { ...CALM, every: 1e4, seldom: 1e4 });
  const seen = reading.state.value, found = seen.data, budget = found?.budget;
  const row = (name, whose, used, most, shown = grouped) => jsxs("tr", { children: [
    jsx("th", { scope: "row", children: safe(name.replaceAll("_", " ")) }),
    jsx("td", { children: whose }),
    jsx("td", { class: "wide", children: most !== null && jsxs("svg", { class: `share ${used >= 0.8 * most ? "near" : ""}`, viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true", children: [
      jsx("rect", { class: "track", width: "100", height: "6" }),
      jsx("rect", { width: most ? Math.min(100, 100 * used / most) : 100, height: "6" })
    ] }) }),
    jsx("td", { class: "num", children: shown(used) }),
    jsx("td", { class: "num", children: most === null ? "no limit" : shown(most) })
  ] }, `${name} ${whose}`);
  return jsxs(Fragment, { children: [
    jsx("div", { class: "part-head", children: jsx("h2", { children: "Limits" }) }),
    jsx(Trouble, { read: seen, what: "the limits" }),
    found && jsxs(Fragment, { children: [
      jsxs(Table, { name: "Use", columns: ["Limit", "Of", "", "#Used", "#At most"], children: [
        budget && Object.entries(budget.limit).map(([name, most]) => row(name === "cost_micro_usd" ? "budget: cost" : `budget: ${name}`, "tenant", (budget.spent[name] ?? 0) + (budget.reserved[name] ?? 0), most, name === "cost_micro_usd" ? money : grouped)),
        found.items.map((each) => row(LIMITS[each.limit] ?? each.limit, each.scope === "key" ? "your key" : "tenant", each.used, each.most, each.limit.endsWith("bytes") ? sized : grouped))
      ] }),
      found.rates.length > 0 && jsx(Table, { name: "Rates of leases", columns: ["Leases of", "#At once", "#A minute", "#Tokens a minute"], children: found.rates.map((each) => jsxs("tr", { children: [
        jsx("th", { scope: "row", children: safe(each.key.replace(":", " ")) }),
        [each.max, each.per_minute, each.tokens_per_minute].map((most, at) => jsx("td", { class: "num", children: most === null ? "–" : grouped(most) }, at))
      ] }, each.key)) }),
      jsxs("p", { class: "foot", children: [
        "Who runs the server sets them: ",
        jsx(Command, { text: `swarmkeeper tenant set ${session.value.tenant} --max-backlog 5000` })
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
  const [asking, setAsking] = useState(null);
  const close = () => {
    setAsking(null);
    void pages.again();
  };
  const keys = [...pages.items].sort((a, b) => Number(Boolean(a.revoked_at)) - Number(Boolean(b.revoked_at)) || b.created_at.localeCompare(a.created_at));
  return jsxs(Fragment, { children: [
    jsx(Head, { title: "Keys", act: "Create a key…", action: "key.manage", run: () => setAsking({ what: "new" }) }),
    jsx(Trouble, { read: pages.seen, what: "the keys" }),
    keys.length > 0 && jsx(Table, { name: "Keys", columns: ["Key", "Role", "Whose", "Bounds", "State", "Last used", "Ends", ""], children: keys.map((key) => jsxs("tr", { children: [
      jsxs("th", { scope: "row", children: [
        jsx("code", { children: shortId(key.id) }),
        key.id === session.value.key_id && jsx("span", { class: "label", children: "yours" })
      ] }),
      jsx("td", { children: key.role }),
      jsx("td", { children: safe([key.person_name ?? key.owner, key.bot && `bot ${key.bot}`].filter(Boolean).join(" · ")) || "–" }),
      jsx("td", { children: [key.scope && `${key.scope} tasks`, key.skills && `skills ${key.skills.join(", ")}`, key.networks && `from ${key.networks.join(", ")}`].filter(Boolean).map((each) => safe(each)).join(" · ") || "–" }),
      jsx("td", { children: jsx(State, { look: keyLook(key) }) }),
      jsx("td", { children: key.last_used ? jsxs(Fragment, { children: [
        jsx(Ago, { time: key.last_used }),
        " ago"
      ] }) : "never" }),
      jsx("td", { children: jsx(Dated, { time: key.revoked_at ?? key.expires_at }) }),
      jsx("td", { children: jsx("div", { class: "acts", children: !key.revoked_at && jsxs(Fragment, { children: [
        jsx(Act, { action: "key.manage", run: () => setAsking({ what: "rotate", key }), children: "Rotate…" }),
        jsx(Act, { action: "key.manage", kind: "danger", run: () => setAsking({ what: "revoke", key }), children: "Revoke…" })
      ] }) }) })
    ] }, key.id)) }),
    pages.seen.data && jsx(More, { pages, what: "keys" }),
    asking?.what === "new" && jsx(NewKey, { close }),
    asking?.what === "rotate" && jsx(Rotate, { of: asking.key, close }),
    asking?.what === "revoke" && jsx(Confirm, { title: `Revoke ${shortId(asking.key.id)}?`, does: "Revoke", action: "key.manage", run: () => desk.revokeKey(asking.key.id), close, children: jsxs("p", { children: [
      "The ",
      asking.key.role,
      " key of ",
      safe(asking.key.person_name ?? asking.key.owner ?? asking.key.bot ?? "nobody named"),
      " counts no more, for good. Bots without another key lose their leases.",
      asking.key.id === session.value.key_id && " It is yours: you are signed out with it."
    ] }) })
  ] });
}
var Fresh = ({ made, close }) => jsxs("div", { class: "fresh", children: [
  jsxs("p", { children: [
    jsx("strong", { children: "Copy the key now: it is shown once." }),
    " The server keeps only a hash of it."
  ] }),
  jsx("p", { children: jsx(Command, { text: made.key ?? "The answer came twice, and has no key: rotate it." }) }),
  jsxs("p", { class: "none", children: [
    "Role ",
    made.role,
    ". It ends ",
    jsx(Dated, { time: made.expires_at }),
    "."
  ] }),
  jsx("p", { class: "acts", children: jsx("button", { type: "button", class: "main", onClick: close, children: "I have copied it" }) })
] });
function NewKey({ close }) {
  const doing = useAct();
  const [made, setMade] = useState(null);
  const [role, setRole] = useState("viewer");
  const persons = usePages("persons of keys", async (token) => may("person.read") ? desk.persons(token) : { items: [], next_page_token: "" }, (person) => person.id);
  const bot = role.startsWith("bot:") || role === "admin";
  async function send(form) {
    const given = new FormData(form), text2 = (name) => String(given.get(name) ?? "").trim() || void 0;
    const days = text2("days"), body = {
      role,
      person: text2("person"),
      owner: text2("owner"),
      scope: text2("scope"),
      bot: text2("bot"),
      skills: listed(text2("skills") ?? ""),
      networks: listed(text2("networks") ?? ""),
      expires_days: days === void 0 ? void 0 : Number(days)
    };
    const answer = await doing.run(() => desk.createKey(body), "The key was created. Copy it now.");
    if (answer) setMade(answer);
  }
  return jsx(Dialog, { title: made ? "The new key" : "Create a key", close, children: made ? jsx(Fresh, { made, close }) : jsxs("form", { class: "form", onSubmit: (event) => {
    event.preventDefault();
    void send(event.currentTarget);
  }, children: [
    jsx(Field, { label: "Role", children: jsx("select", { value: role, onChange: (event) => setRole(event.currentTarget.value), children: ROLES.map((each) => jsx("option", { children: each }, each)) }) }),
    jsx(Field, { label: "Person", children: jsxs("select", { name: "person", children: [
      jsx("option", { value: "", children: "nobody" }),
      persons.items.filter((each) => !each.disabled_at).map((each) => jsx("option", { value: each.id, children: safe(each.name) }, each.id))
    ] }) }),
    jsx(Field, { label: "Owner", hint: "who answers for it, such as a team", children: jsx("input", { name: "owner" }) }),
    role === "client" && jsx(Field, { label: "Sees", children: jsxs("select", { name: "scope", children: [
      jsx("option", { value: "own", children: "its own tasks" }),
      jsx("option", { value: "tenant", children: "all tasks of the tenant" })
    ] }) }),
    bot && jsx(Field, { label: "Bot", hint: "the only name it may act as", children: jsx("input", { name: "bot" }) }),
    bot && jsx(Field, { label: "Skills", hint: "parted by commas; none: any", children: jsx("input", { name: "skills" }) }),
    jsx(Field, { label: "Ends after days", hint: "0: never; nothing: as the server sets", children: jsx("input", { name: "days", type: "number", min: "0", max: "3650" }) }),
    jsx(Field, { label: "Networks", hint: "such as 10.1.0.0/16; none: from anywhere", children: jsx("input", { name: "networks" }) }),
    doing.problem && jsx(NotDone, { error: doing.problem }),
    jsx("p", { class: "acts", children: jsx(Act, { action: "key.manage", kind: "main", busy: doing.busy, submits: true, children: "Create" }) })
  ] }) });
}
function Rotate({ of, close }) {
  const doing = useAct();
  const [made, setMade] = useState(null);
  const send = () => void doing.run(() => desk.rotateKey(of.id), "The key has a new secret. Copy it now.").then((answer) => {
    if (answer) setMade(answer);
  });
  return jsx(Dialog, { title: made ? "The new secret" : `Rotate ${shortId(of.id)}?`, close, children: made ? jsx(Fresh, { made, close }) : jsxs(Fragment, { children: [
    jsx("p", { children: "It gets a new secret. The old one stays valid for a day, so that bots can change over." }),
    doing.problem && jsx(NotDone, { error: doing.problem }),
    jsx("p", { class: "acts", children: jsx(Act, { action: "key.manage", kind: "main", busy: doing.busy, run: send, children: "Rotate" }) })
  ] }) });
}
function Persons() {
  const pages = usePages("persons", desk.persons, (person) => person.id, { ...CALM, on: ofAlso("person") });
  const [asking, setAsking] = useState(null);
  const doing = useAct();
  const close = () => {
    setAsking(null);
    void pages.again();
  };
  const enable = (person) => void doing.run(() => desk.onPerson(person.id, "enable"), `${person.name} is enabled.`).then(() => pages.again());
  return jsxs(Fragment, { children: [
    jsx(Head, { title: "Persons", act: "Add a person…", action: "person.manage", run: () => setAsking({ what: "new" }) }),
    jsx(Trouble, { read: pages.seen, what: "the persons" }),
    doing.problem && jsx(NotDone, { error: doing.problem }),
    pages.seen.data && !pages.items.length && jsxs("div", { class: "empty", children: [
      jsx("h2", { children: "There is no person yet." }),
      jsxs("p", { children: [
        "Decisions name the person to whom a key belongs: ",
        jsx(Command, { text: "swarmkeeper docs persons" })
      ] })
    ] }),
    pages.items.length > 0 && jsx(Table, { name: "Persons", columns: ["Name", "Id", "State", "Since", ""], children: pages.items.map((person) => jsxs("tr", { children: [
      jsx("th", { scope: "row", children: safe(person.name) }),
      jsx("td", { children: jsx("code", { children: person.id }) }),
      jsx("td", { children: jsx(State, { look: person.disabled_at ? { tone: "hold", word: "disabled" } : { tone: "ok", word: "active" } }) }),
      jsx("td", { children: jsx(Dated, { time: person.disabled_at ?? person.created_at }) }),
      jsx("td", { children: jsxs("div", { class: "acts", children: [
        jsx(Act, { action: "person.manage", run: () => setAsking({ what: "rename", person }), children: "Rename…" }),
        person.disabled_at ? jsx(Act, { action: "person.manage", busy: doing.busy, run: () => enable(person), children: "Enable" }) : jsx(Act, { action: "person.manage", kind: "danger", run: () => setAsking({ what: "disable", person }), children: "Disable…" })
      ] }) })
    ] }, person.id)) }),
    pages.items.length > 0 && jsx(More, { pages, what: "persons" }),
    asking && asking.what !== "disable" && jsx(Named, { person: asking.person, close }),
    asking?.what === "disable" && jsx(Confirm, { title: `Disable ${safe(asking.person.name)}?`, does: "Disable", action: "person.manage", run: () => desk.onPerson(asking.person.id, "disable"), close, children: jsx("p", { children: "All keys, tokens and sessions of this person are refused, on every server within a second, until the person is enabled again." }) })
  ] });
}
function Named({ person, close }) {
  const doing = useAct();
  const send = (name) => void doing.run(async () => {
    await (person ? desk.onPerson(person.id, "rename", { name }) : desk.addPerson(name));
    close();
  }, person ? "Renamed." : "Added.");
  return jsx(Dialog, { title: person ? `Rename ${safe(person.name)}` : "Add a person", close, children: jsxs("form", { class: "form", onSubmit: (event) => {
    event.preventDefault();
    send(String(new FormData(event.currentTarget).get("name")).trim());
  }, children: [
    jsx(Field, { label: "Name", children: jsx("input", { name: "name", required: true, defaultValue: person?.name ?? "" }) }),
    doing.problem && jsx(NotDone, { error: doing.problem }),
    jsx("p", { class: "acts", children: jsx(Act, { action: "person.manage", kind: "main", busy: doing.busy, submits: true, children: person ? "Rename" : "Add" }) })
  ] }) });
}
function Stops() {
  const pages = usePages("kills", lists.kills, (kill) => kill.id, { ...CALM, on: ofAlso("kill") });
  const [asking, setAsking] = useState(null);
  const close = () => {
    setAsking(null);
    void pages.again();
  };
  const kills = pages.seen.data?.items ?? [];
  return jsxs(Fragment, { children: [
    jsx(Head, { title: "Kill switch", act: "Stop something…", action: "kill.manage", kind: "danger", run: () => setAsking("new") }),
    jsx(Trouble, { read: pages.seen, what: "what is stopped" }),
    pages.seen.data && !kills.length && jsxs("div", { class: "empty", children: [
      jsx("h2", { children: "Nothing is stopped." }),
      jsx("p", { children: "Bots, owners, skills or the whole tenant can be stopped at once, with a reason." })
    ] }),
    kills.length > 0 && jsx(Table, { name: "Kills", columns: ["Stopped", "Reason", "By", "Since", "Until", ""], children: kills.map((kill) => jsxs("tr", { children: [
      jsxs("th", { scope: "row", children: [
        kill.kind,
        " ",
        safe(kill.name)
      ] }),
      jsx("td", { class: "long", children: safe(kill.reason) }),
      jsx("td", { children: jsx("code", { children: shortId(safe(kill.placed_by)) }) }),
      jsx("td", { children: jsx(When, { time: kill.placed_at }) }),
      jsx("td", { children: kill.until ? jsx(When, { time: kill.until }) : "it is lifted" }),
      jsx("td", { children: jsx("div", { class: "acts", children: jsx(Act, { action: kill.kind === "tenant" ? "kill.tenant" : "kill.manage", run: () => setAsking(kill), children: "Lift…" }) }) })
    ] }, kill.id)) }),
    asking === "new" && jsx(Stop, { close }),
    asking && asking !== "new" && jsx(Confirm, { title: `Let ${asking.kind} ${safe(asking.name)} work again?`, does: "Lift", action: asking.kind === "tenant" ? "kill.tenant" : "kill.manage", run: () => lists.lift(asking.id), close, children: jsxs("p", { children: [
      "It was stopped for: ",
      safe(asking.reason)
    ] }) })
  ] });
}
function Stop({ close }) {
  const doing = useAct();
  const [kind, setKind] = useState("bot");
  async function send(form) {
    const given = new FormData(form), until = timeOf(String(given.get("until")));
    const body = {
      kind,
      name: kind === "tenant" ? session.value.tenant : String(given.get("name")).trim(),
      reason: String(given.get("reason")).trim(),
      ...until ? { until } : {}
    };
    await doing.run(async () => {
      await lists.kill(body);
      close();
    }, "It is stopped.");
  }
  return jsx(Dialog, { title: "Stop something", close, children: jsxs("form", { class: "form", onSubmit: (event) => {
    event.preventDefault();
    void send(event.currentTarget);
  }, children: [
    jsx("p", { children: "It gets no more work, at once and on every server. What it holds returns to its queue, and no crash is counted." }),
    jsx(Field, { label: "What", children: jsx("select", { value: kind, onChange: (event) => setKind(event.currentTarget.value), children: ["bot", "owner", "skill", "tenant"].map((each) => jsx("option", { value: each, disabled: each === "tenant" && !may("kill.tenant"), children: each === "tenant" ? "the whole tenant" : each }, each)) }) }),
    kind !== "tenant" && jsx(Field, { label: "Name", children: jsx("input", { name: "name", required: true }) }),
    jsx(Field, { label: "Reason", hint: "shown to all who wait for it", children: jsx("input", { name: "reason", required: true, maxLength: 1024 }) }),
    jsx(Field, { label: "Until", hint: `in ${zoneName()}; nothing: until it is lifted`, children: jsx("input", { name: "until", type: "datetime-local" }) }),
    doing.problem && jsx(NotDone, { error: doing.problem }),
    jsx("p", { class: "acts", children: jsx(Act, { action: kind === "tenant" ? "kill.tenant" : "kill.manage", kind: "danger", busy: doing.busy, submits: true, children: "Stop it" }) })
  ] }) });
}
function Redaction() {
  const doing = useAct();
  const [found, setFound] = useState(null);
  const [text2, setText] = useState("");
  const test = () => void doing.run(() => desk.redact(asJson(text2)), "Redacted.").then((answer) => setFound(answer ?? null));
  return jsxs("div", { class: "columns", children: [
    jsxs("section", { children: [
      jsx("h2", { children: "What would be hidden?" }),
      jsxs("form", { class: "form", onSubmit: (event) => {
        event.preventDefault();
        if (text2.trim()) test();
      }, children: [
        jsx(Field, { label: "A text, or JSON", hint: "It is redacted as the evidence of this tenant would be. Nothing of it is stored.", children: jsx("textarea", { rows: 12, value: text2, spellcheck: false, placeholder: '{"note": "call 555 0100", "password": "…"}', onInput: (event) => setText(event.currentTarget.value) }) }),
        jsx("p", { class: "acts", children: jsx(Act, { action: "redaction.test", kind: "main", busy: doing.busy || !text2.trim(), run: test, children: "Redact" }) })
      ] }),
      doing.problem && jsx(NotDone, { error: doing.problem })
    ] }),
    found && jsxs("section", { "aria-live": "polite", children: [
      jsx("h2", { children: found.redacted_fields.length ? `${found.redacted_fields.length} hidden` : "Nothing is hidden." }),
      jsx(Value, { value: found.value, name: "Redacted" }),
      found.redacted_fields.length > 0 && jsx(Table, { name: "What was hidden", columns: ["Where", "Rule", "How"], children: found.redacted_fields.map((each, at) => jsxs("tr", { children: [
        jsxs("th", { scope: "row", children: [
          jsx("code", { children: safe(each.pointer) || "the whole text" }),
          each.in === "key" && " (its name)"
        ] }),
        jsx("td", { children: safe(each.rule) }),
        jsx("td", { children: safe(each.action) })
      ] }, at)) }),
      jsxs("p", { class: "none", children: [
        "Own rules: ",
        jsx(Command, { text: "swarmkeeper docs redaction-rules" })
      ] })
    ] })
  ] });
}
function asJson(text2) {
  try {
    const value = JSON.parse(text2);
    return typeof value === "object" && value !== null ? value : text2;
  } catch {
    return text2;
  }
}
var Head = ({ title, act: act2, action, run, kind = "main" }) => jsxs("div", { class: "part-head", children: [
  jsx("h2", { children: title }),
  jsx(Act, { action, kind, run, children: act2 })
] });
var Dated = ({ time }) => time ? jsxs("time", { dateTime: time, title: moment(time), children: [
  time.slice(0, 10),
  " UTC"
] }) : jsx(Fragment, { children: "never" });

// src/pages/desk/evaluations.tsx
var COUNTED_MAX = 30;
var LOOKS = { accept: { tone: "ok", word: "accept" }, rework: { tone: "hold", word: "rework" }, reject: { tone: "bad", word: "reject" } };
var look = (decision) => LOOKS[decision] ?? { tone: "plain", word: safe(decision) };
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
  useKeys({
    j: { does: "next review", run: () => step(1) },
    k: { does: "previous review", run: () => step(-1) },
    Enter: { does: "open the task", run: () => {
      if (open) go(written(["tasks", open.task]));
    } },
    Escape: { does: "close the review", run: () => put({ review: null }, true) }
  });
  const voted = reviews.filter((each) => each.votes && total(each.votes) > 1), agreed = voted.filter((each) => unanimous(each.votes));
  const count = (decision) => reviews.filter((each) => each.decision === decision).length;
  return jsxs("div", { class: `split ${chosen ? "open" : ""}`, children: [
    jsx("h1", { class: "hidden-text", children: "Evaluations" }),
    jsxs("div", { class: "side", children: [
      jsx(Trouble, { read: pages.seen, what: "the evaluations" }),
      pages.seen.data && !reviews.length && !pages.more && jsxs("div", { class: "empty", children: [
        jsx("h2", { children: "No review has come to a decision yet." }),
        jsxs("p", { children: [
          "Evaluators judge what is submitted without ",
          jsx("code", { children: "--no-review" }),
          ": ",
          jsx(Command, { text: "swarmkeeper docs rework" })
        ] })
      ] }),
      reviews.length > 0 && jsxs("div", { class: "pad", children: [
        jsxs("dl", { class: "sums", children: [
          Object.keys(LOOKS).map((each) => jsxs("div", { children: [
            jsx("dt", { children: jsx(State, { look: look(each) }) }),
            jsx("dd", { children: count(each) })
          ] }, each)),
          voted.length > 0 && jsxs("div", { children: [
            jsx("dt", { children: "all voted alike" }),
            jsxs("dd", { children: [
              agreed.length,
              " of ",
              voted.length
            ] })
          ] })
        ] }),
        jsx(Evaluators, { reviews })
      ] }),
      jsx("ol", { class: "records reviews", children: reviews.map((each) => jsx("li", { children: jsxs("a", { class: "record", href: address({ review: each.id }), "aria-current": each.id === chosen ? "true" : void 0, children: [
        jsx(State, { look: look(each.decision) }),
        jsx("b", { children: each.key === null ? "whole task" : safe(each.key) }),
        jsx("span", { children: shortId(safe(each.task)) }),
        jsxs("span", { children: [
          each.votes ? Object.entries(each.votes).filter(([, votes]) => votes > 0).map(([name, votes]) => `${votes} ${safe(name)}`).join(", ") : "",
          each.round > 1 ? ` · round ${each.round}` : ""
        ] }),
        jsx(When, { time: each.at })
      ] }) }, each.id)) }),
      reviews.length > 0 && jsxs(More, { pages, what: "reviews", children: [
        " · ",
        jsx(Key, { children: "j" }),
        " ",
        jsx(Key, { children: "k" }),
        " open one"
      ] })
    ] }),
    chosen && jsx("div", { class: "detail", children: open ? jsx(Detail2, { of: open }, open.id) : pages.seen.data && jsxs("p", { class: "none", children: [
      "It is not among those that are shown. ",
      jsx("a", { href: address({ review: null }), children: "Close" })
    ] }) })
  ] });
}
function Detail2({ of }) {
  const reading = useRead(`verdicts ${of.id}`, async () => {
    const [page, task] = await Promise.all([desk.verdicts(of.task), api.task(of.task).catch(() => null)]);
    return { verdicts: page.items, title: task?.task.title ?? of.task };
  }, CALM);
  const seen = reading.state.value;
  const verdicts = seen.data?.verdicts.filter((each) => each.subject === of.key).sort((a, b) => b.round - a.round) ?? [];
  return jsxs("article", { "aria-labelledby": "review", children: [
    jsxs("p", { class: "over", children: [
      jsx("a", { class: "button small back", href: written(route.value.path), children: "← Evaluations" }),
      " ",
      jsx("a", { href: written(["tasks", of.task]), children: seen.data ? safe(seen.data.title) : shortId(of.task) })
    ] }),
    jsxs("h2", { id: "review", children: [
      of.key === null ? "Whole task" : safe(of.key),
      ": ",
      look(of.decision).word
    ] }),
    jsxs("p", { class: "none", children: [
      "Round ",
      of.round,
      ", decided ",
      jsx(Ago, { time: of.at }),
      " ago."
    ] }),
    jsx(Trouble, { read: seen, what: "the verdicts" }),
    seen.data && !verdicts.length && jsx("p", { class: "none", children: "No verdict is kept of it any more." }),
    verdicts.map((each) => jsxs("section", { class: "card", children: [
      jsxs("h3", { children: [
        jsx(State, { look: look(each.decision ?? "too long to show") }),
        " ",
        safe(each.evaluator ?? "–"),
        each.score !== null && ` · score ${Number(each.score.toFixed(3))}`,
        " · round ",
        each.round
      ] }),
      jsxs("ul", { class: "said", children: [
        each.reasons.map((reason, at) => jsx("li", { children: safe(reason) }, at)),
        each.findings.map((finding, at) => jsxs("li", { children: [
          jsx("b", { children: safe(finding.severity ?? "finding") }),
          " ",
          safe(finding.text ?? "")
        ] }, `f${at}`)),
        each.feedback.map((wish, at) => jsxs("li", { children: [
          jsx("b", { children: safe(wish.subtask) }),
          " ",
          safe(wish.text)
        ] }, `w${at}`)),
        !each.reasons.length && !each.findings.length && !each.feedback.length && jsx("li", { class: "none", children: "Without reasons." })
      ] })
    ] }, each.work_id))
  ] });
}
function Evaluators({ reviews }) {
  const [found, setFound] = useState(null);
  const doing = useAct();
  async function count() {
    const tasks = new Set([...new Set(reviews.map((each) => each.task))].slice(0, COUNTED_MAX));
    const decided = new Map(reviews.map((each) => [`${each.task} ${each.key} ${each.round}`, each.decision]));
    const rows = /* @__PURE__ */ new Map(), gold = /* @__PURE__ */ new Map();
    for (const known2 of Object.keys(LOOKS)) {
      for (const { id: id2 } of (await lists.rows({ status: [], outcome: [], label: [`gold:${known2}`], skill: [], order_by: "" }, COUNTED_MAX, "")).items) gold.set(id2, known2);
    }
    for (const task of /* @__PURE__ */ new Set([...tasks, ...gold.keys()])) {
      for (const { evaluator, subject, round, decision } of (await desk.verdicts(task)).items) {
        const name = evaluator ?? "–", row = rows.get(name) ?? { name, said: {}, all: 0, alike: 0, gold: 0, right: 0 };
        rows.set(name, row);
        if (!decision) continue;
        if (gold.has(task) && subject === null) {
          row.gold++;
          if (decision === gold.get(task)) row.right++;
        }
        if (!tasks.has(task)) continue;
        row.said[decision] = (row.said[decision] ?? 0) + 1;
        row.all++;
        if (decided.get(`${task} ${subject} ${round}`) === decision) row.alike++;
      }
    }
    setFound({ rows: [...rows.values()].sort((a, b) => b.all - a.all), tasks: tasks.size, gold: gold.size });
  }
  if (!found) return jsxs(Fragment, { children: [
    doing.problem && jsx(NotDone, { error: doing.problem }),
    jsx("p", { children: jsx("button", { type: "button", class: "small", disabled: doing.busy, onClick: () => void doing.run(count, "Counted."), children: "Count by evaluator" }) })
  ] });
  return jsxs(Fragment, { children: [
    jsx(Table, { name: "By evaluator", columns: ["Evaluator", ...[...Object.keys(LOOKS), "verdicts", "as was decided", "right on gold"].map((each) => `#${each}`)], caption: `Verdicts on the last ${found.tasks === 1 ? "reviewed task" : `${found.tasks} reviewed tasks`}, and on ${found.gold} gold ${found.gold === 1 ? "item" : "items"}`, children: found.rows.map((row) => jsxs("tr", { children: [
      jsx("th", { scope: "row", children: safe(row.name) }),
      Object.keys(LOOKS).map((each) => jsx("td", { class: "num", children: row.said[each] ?? 0 }, each)),
      jsx("td", { class: "num", children: row.all }),
      jsx("td", { class: "num", children: row.alike }),
      jsx("td", { class: "num", children: row.gold ? `${row.right} of ${row.gold}` : "–" })
    ] }, row.name)) }),
    !found.gold && jsxs("p", { class: "none", children: [
      "To see who is right, submit tasks of which you know the decision: ",
      jsx(Command, { text: "swarmkeeper submit TITLE --label gold:accept" }),
      " or rework, or reject."
    ] })
  ] });
}
export {
  Audit,
  Costs,
  Evaluations,
  Settings
};
