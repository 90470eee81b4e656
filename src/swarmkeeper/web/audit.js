import { Fragment, el, useState } from "./runtime.js";
import { ApiError, exactly, useKeys, say, useRead, Act, Command, Glyph, Key, NotDone, Trouble, Value, When, useAct, Fact, NothingFits, address, asked, put, keep, kept, session, utc, near, safe, shortId } from "./app.js";
import { desk, CALM, Field, More, timeOf, usePages, writtenTime, zoneName } from "./kit.js";
// src/pages/desk/audit.tsx

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
var ofHex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
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
function bytes(text) {
  try {
    const data = atob(text);
    return btoa(data) === text ? Uint8Array.from(data, (sign) => sign.charCodeAt(0)) : null;
  } catch {
    return null;
  }
}
var whole = (text) => /^(0|[1-9]\d{0,14})$/.test(text) ? Number(text) : null;
function parseNote(data) {
  const cut = data.lastIndexOf("\n\n");
  if (cut < 0 || !data.endsWith("\n")) return null;
  const text = data.slice(0, cut + 1), [origin = "", sizeText = "", rootText = ""] = text.split("\n");
  const size = whole(sizeText), root = bytes(rootText);
  if (!origin || size === null || root?.length !== 32) return null;
  const signatures = [];
  for (const line of data.slice(cut + 2, -1).split("\n")) {
    const found = /^— ([^\s+]+) (\S+)$/.exec(line), signed2 = found && bytes(found[2]);
    if (!found || !signed2 || signed2.length < 5) return null;
    signatures.push({ name: found[1], id: hex(signed2.slice(0, 4)), signature: signed2.slice(4) });
  }
  return { text, origin, size, root, signatures };
}
function parseProof(text) {
  const cut = text.indexOf("\n\n");
  const [name, extra = "", place2 = "", ...path] = text.slice(0, Math.max(cut, 0)).split("\n");
  const record = extra.startsWith("extra ") ? bytes(extra.slice(6)) : null, index = place2.startsWith("index ") ? whole(place2.slice(6)) : null;
  const hashes = path.map(bytes);
  if (name !== "c2sp.org/tlog-proof@v1" || !record || index === null || hashes.some((each) => each?.length !== 32)) return null;
  return { record, index, path: hashes, note: text.slice(cut + 2) };
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
function verifierKey(text) {
  const [, name = "", id = "", rest = ""] = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(text) ?? [], key = bytes(rest);
  return key && key.length === 33 && key[0] === 1 && hex(sha256(utf8.encode(`${name}
`), key)).slice(0, 8) === id ? { name, id, key } : null;
}
async function signed(note, keys) {
  for (const text of keys) {
    const verifier = verifierKey(text);
    if (!verifier) continue;
    const { name, id, key } = verifier;
    const found = note.signatures.find((each) => each.name === name && each.id === id);
    if (!found || name !== note.origin) continue;
    if (!globalThis.crypto?.subtle) return [null, `by ${name}: this browser checks signatures over HTTPS only`];
    try {
      const known2 = await crypto.subtle.importKey("raw", key.slice(1), { name: "Ed25519" }, false, ["verify"]);
      const holds = await crypto.subtle.verify("Ed25519", known2, found.signature, utf8.encode(note.text));
      return [holds, holds ? `by ${name}, key ${id}` : `it is not that of ${name}, key ${id}`];
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

// src/pages/desk/audit.tsx
var FILTERS = [
  { name: "action", label: "Action", hint: "Action" },
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
    const next = near(items, at + by);
    if (next) put({ record: String(next.index) });
  };
  useKeys({
    j: { does: "next record", run: () => step(1) },
    k: { does: "previous record", run: () => step(-1) },
    "/": { does: "filter", run: () => document.getElementById("by-action")?.focus() },
    Escape: { does: "close the record", run: () => {
      if (document.activeElement instanceof HTMLInputElement) document.activeElement.blur();
      else put({ record: null });
    } }
  });
  return el("div", { class: `split ${chosen === null ? "" : "open"}` },
  el("h1", { class: "hidden-text" }, "Audit"),
  el("div", { class: "side" },
  el("form", { class: "narrow", role: "search", key: JSON.stringify([filter, utc.value]), onSubmit: (event) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    put(Object.fromEntries([...FILTERS.map(({ name, hint }) => [name, hint ? String(given.get(name)).trim() : timeOf(String(given.get(name)))]), ["record", null]]));
    document.activeElement.blur();
  } }, FILTERS.map(({ name, label, hint }) => hint ? el("label", { key: name },
  el("span", { class: "hidden-text" }, label),
  el("input", { id: `by-${name}`, name, type: "search", defaultValue: asked(name), placeholder: hint, spellcheck: false })) : el("label", { key: name, class: "field time" },
  el("span", null, label),
  el("input", { name, type: "datetime-local", defaultValue: writtenTime(asked(name)), title: `in ${zoneName()}` }))),
  el("button", { type: "submit" }, "Filter")),
  el(Trouble, { read: seen, what: "the audit log" }), seen.data && !items.length && !pages.more && el(NothingFits, { title: used.length ? "No record fits." : "There is no record yet.", drops: used.map(({ name, label }) => ({ name: `${label.toLowerCase()} ${asked(name)}`, drop: () => put({ [name]: null }, false) })) }),
  el("ol", { class: "records" }, items.map((each) => el("li", { key: each.id },
  el("a", { class: "record", href: address({ record: String(each.index) }), "aria-current": each.index === chosen ? "true" : void 0 },
  el(Glyph, { tone: tone(each) }),
  el("span", { class: "num" }, each.index),
  el("b", null, safe(each.action)),
  el("span", null, who(each.actor)),
  el("span", { class: "on" }, shortId(safe(each.resource))),
  el(When, { time: each.timestamp }))))), seen.data && el(More, { pages, what: "records" }, " · ",
  el(Key, null, "j"), " ",
  el(Key, null, "k"), " open one, ",
  el(Key, null, "p"), " proves it")), chosen !== null && el("div", { class: "detail" },
  el(Detail, { key: chosen, index: chosen, known: items[at] })));
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
  if (!record) return el(Trouble, { read: seen, what: "the record" });
  const signs = record.payload?.subject_hash;
  return el("article", { "aria-labelledby": "record" },
  el("p", { class: "over" },
  el("button", { type: "button", class: "small back", onClick: () => put({ record: null }) }, "← Audit"), " Record ", record.index),
  el("h2", { id: "record" }, safe(record.action)),
  el("dl", { class: "facts" },
  el(Fact, { name: "who" }, safe(record.actor.type), " ",
  el("code", null, safe(record.actor.id)), record.actor.person && el(Fragment, null, " · person ",
  el("code", null, safe(record.actor.person))), record.actor.key && record.actor.key !== record.actor.id && el(Fragment, null, " · key ",
  el("code", null, safe(record.actor.key)))),
  el(Fact, { name: "on what" },
  el("a", { href: `#/audit?on=${encodeURIComponent(record.resource)}` },
  el("code", null, safe(record.resource))), record.task_id && el(Fragment, null, " · ",
  el("a", { href: `#/tasks/${encodeURIComponent(record.task_id)}` }, "the task"))),
  el(Fact, { name: "when" },
  el(When, { time: record.timestamp })),
  el(Fact, { name: "decision" }, safe(record.decision.effect), ", by policy ", safe(record.decision.policy), record.decision.reasons.length > 0 && `: ${record.decision.reasons.map(safe).join("; ")}`, " · ", safe(record.outcome)), typeof signs === "string" && el(Fact, { name: "subject" },
  el("code", { class: "hash" }, safe(signs))),
  el(Fact, { name: "record’s hash" },
  el("code", { class: "hash" }, safe(record.hash))), record.redacted_fields.length > 0 && el(Fact, { name: "hidden" }, record.redacted_fields.map((each) => `${safe(each.pointer)} (${safe(each.rule)})`).join(", "))),
  el(Prove, { record }),
  el("section", { class: "card" },
  el("h3", null, "Body"), record.erased ? el("p", null, seen.data.erased === null ? "It was erased." : el(Fragment, null, "It was erased by ",
  el("a", { href: `#/audit?record=${seen.data.erased}` }, "record ", seen.data.erased), "."), " The proof of the record holds all the same.") : el(Value, { value: record.payload, name: "Body" })));
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
  return el("section", { class: "card proof" },
  el("h3", null, "Proof"),
  el("p", { class: "acts" },
  el(Act, { action: "audit.read", kind: "main", busy: doing.busy, run: begin, keys: "p" }, "Prove"), " ",
  el("span", { class: "none" }, "This browser follows the hashes from the record to the signed checkpoint.")), problem && (problem.status === 404 && problem.message.includes("audit_key_file") ? el("div", { class: "trouble forbidden", role: "alert" },
  el("strong", null, "The log is not signed."), " A server with a key signs it within seconds: ",
  el(Command, { text: "swarmkeeper audit key --name swarm.example.org --to audit.key" })) : el(NotDone, { error: problem })), said && el(Fragment, null,
  el("p", { class: `verdict tone-${said.tone}` },
  el(Glyph, { tone: said.tone }), " ", said.text),
  el("ol", { class: "steps" }, proved.steps.map((each) => el("li", { key: each.name },
  el(Glyph, { tone: each.holds ? "ok" : each.holds === null ? "plain" : "bad" }),
  el("b", null, each.name), /^[0-9a-f]{64}$/.test(each.note) ? el("code", { class: "hash" }, each.note) : el("span", null, safe(each.note)), each.hops && each.hops.length > 0 && el("ol", { class: "hops" }, each.hops.map((hop, level) => el("li", { key: level },
  el("span", null, "with ", hop.at),
  el("code", { title: hop.sibling }, hop.sibling.slice(0, 16), "…"),
  el("code", { title: hop.result }, "→ ", hop.result.slice(0, 16), "…"))))))), !proved.own && proved.keys.map((key) => el("p", { class: "none", key }, "Nobody but this server says that this is its key. Compare it with the one that you were given: ",
  el(Command, { text: key }))), said.tone === "ok" && (mine.note !== proved.note || !mine.key) && el("p", null,
  el("button", { type: "button", class: "small", onClick: () => doKeep({ key: mine.key ?? proved.keys[0], note: proved.note }) }, "Keep ", mine.key ? "" : "this key and ", "the checkpoint of ", parseNote(proved.note).size, " records in this browser"))),
  el(Keeping, { mine, keep: doKeep }), said && el("p", { class: "none" }, "The whole log, from another machine: ",
  el(Command, { text: `swarmkeeper audit verify ${server} --key ${proved.keys[0] ?? "KEY"}` })));
}
function Keeping({ mine, keep: doKeep }) {
  const [wrong, setWrong] = useState(false);
  function take(form) {
    const text = String(new FormData(form).get("known")).trim(), isKey = verifierKey(text) !== null, isNote = !isKey && parseNote(`${text}
`) !== null;
    setWrong(!isKey && !isNote);
    if (isKey) doKeep({ ...mine, key: text });
    if (isNote) doKeep({ ...mine, note: `${text}
` });
    if (isKey || isNote) form.reset();
  }
  const note = mine.note ? parseNote(mine.note) : null;
  return el("details", null,
  el("summary", null, mine.key || note ? `You keep ${[mine.key && "a key", note && `a checkpoint of ${note.size} records`].filter(Boolean).join(" and ")}` : "You keep no key and no checkpoint of your own"),
  el("form", { class: "form", onSubmit: (event) => {
    event.preventDefault();
    take(event.currentTarget);
  } },
  el(Field, { label: "A verifier key or a checkpoint that you were given", hint: "This browser keeps it, and holds against it what the server says." },
  el("textarea", { name: "known", rows: 3, spellcheck: false, required: true })), wrong && el("p", { class: "error", role: "alert" }, "This is neither a verifier key nor a signed checkpoint."),
  el("p", { class: "acts" },
  el("button", { type: "submit" }, "Keep"), " ", (mine.key || note) && el("button", { type: "button", class: "danger", onClick: () => doKeep({}) }, "Forget both"))), mine.key && el("p", null,
  el("code", { class: "hash" }, safe(mine.key))));
}
function verdict({ steps, own }, index) {
  const bad = steps.find((each) => each.holds === false);
  if (bad) return { tone: "bad", text: `NOT proved: the step “${bad.name}” fails.` };
  if (steps.some((each) => each.name === "Signature" && each.holds === null)) return { tone: "hold", text: `Record ${index} is in the log of the checkpoint. The signature is not checked here: swarmkeeper audit verify checks it.` };
  return { tone: "ok", text: `Proved: record ${index} is in the signed log${own ? ", by the key that you keep" : ""}.` };
}
export {
  Audit
};
