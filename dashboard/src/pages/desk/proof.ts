// Checks in the browser that a record is in the signed audit log: hashes by RFC 6962, the note by C2SP signed-note. On
// plain http there is no `crypto.subtle`: SHA-256 is our own, and the signature is then not checked, which is said.

const ROUND = new Uint32Array(64), BEGIN = new Uint32Array(8);
for (let found = 0, n = 2; found < 64; n++) {
  let prime = true;
  for (let by = 2; by * by <= n; by++) if (n % by === 0) prime = false;
  if (!prime) continue;
  const part = (root: number) => Math.floor((root - Math.floor(root)) * 2 ** 32); // its first 32 bits after the point
  if (found < 8) BEGIN[found] = part(Math.sqrt(n));
  ROUND[found++] = part(Math.cbrt(n));
}
const turned = (word: number, by: number): number => (word >>> by) | (word << (32 - by));

export function sha256(...parts: Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const data = new Uint8Array(((length + 8) >> 6 << 6) + 64), view = new DataView(data.buffer);
  let end = 0;
  for (const part of parts) { data.set(part, end); end += part.length; }
  data[length] = 0x80;
  view.setUint32(data.length - 8, Math.floor(length / 2 ** 29));
  view.setUint32(data.length - 4, (length << 3) >>> 0);
  const state = BEGIN.slice(), word = new Uint32Array(64);
  for (let block = 0; block < data.length; block += 64) {
    for (let at = 0; at < 64; at++) {
      if (at < 16) { word[at] = view.getUint32(block + 4 * at); continue; }
      const low = word[at - 15]!, high = word[at - 2]!;
      word[at] = word[at - 16]! + word[at - 7]! + (turned(low, 7) ^ turned(low, 18) ^ (low >>> 3)) + (turned(high, 17) ^ turned(high, 19) ^ (high >>> 10));
    }
    let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number];
    for (let at = 0; at < 64; at++) {
      const one = (h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + ((e & f) ^ (~e & g)) + ROUND[at]! + word[at]!) | 0;
      const two = ((turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((value, at) => { state[at] = state[at]! + value; });
  }
  const sum = new Uint8Array(32), out = new DataView(sum.buffer);
  state.forEach((value, at) => out.setUint32(4 * at, value));
  return sum;
}

const utf8 = new TextEncoder();
export const hex = (data: Uint8Array): string => Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
const ofHex = (text: string): Uint8Array => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
export const leafHash = (data: Uint8Array): Uint8Array => sha256(Uint8Array.of(0), data);
export const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array => sha256(Uint8Array.of(1), left, right);

/** Args: `at`: where the sibling stands. */
export interface Hop { at: "left" | "right"; sibling: string; result: string }

/** Go from a leaf to the root of a tree of this size; null if the path has not the length that the tree wants. */
export function climb(leaf: Uint8Array, index: number, size: number, path: readonly Uint8Array[]): { hops: Hop[]; root: Uint8Array } | null {
  if (!(index >= 0 && index < size)) return null;
  let at = index, last = size - 1, found = leaf;
  const half = () => { at = Math.floor(at / 2); last = Math.floor(last / 2); };
  const hops: Hop[] = [];
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

/** Read base64 strictly: one text for the same bytes, as the server wants it. */
function bytes(text: string): Uint8Array | null {
  try {
    const data = atob(text);
    return btoa(data) === text ? Uint8Array.from(data, (sign) => sign.charCodeAt(0)) : null;
  } catch {
    return null;
  }
}

const whole = (text: string): number | null => (/^(0|[1-9]\d{0,14})$/.test(text) ? Number(text) : null);

export interface Note { text: string; origin: string; size: number; root: Uint8Array; signatures: { name: string; id: string; signature: Uint8Array }[] }

/** Read a signed checkpoint; null if it is none. Nobody has verified its signatures yet. */
export function parseNote(data: string): Note | null {
  const cut = data.lastIndexOf("\n\n");
  if (cut < 0 || !data.endsWith("\n")) return null;
  const text = data.slice(0, cut + 1), [origin = "", sizeText = "", rootText = ""] = text.split("\n");
  const size = whole(sizeText), root = bytes(rootText);
  if (!origin || size === null || root?.length !== 32) return null;
  const signatures = [];
  for (const line of data.slice(cut + 2, -1).split("\n")) {
    const found = /^— ([^\s+]+) (\S+)$/.exec(line), signed = found && bytes(found[2]!);
    if (!found || !signed || signed.length < 5) return null;
    signatures.push({ name: found[1]!, id: hex(signed.slice(0, 4)), signature: signed.slice(4) });
  }
  return { text, origin, size, root, signatures };
}

export interface Proof { record: Uint8Array; index: number; path: Uint8Array[]; note: string }

/** Read a proof (c2sp.org/tlog-proof) whose `extra` is the record; null if it is none. */
export function parseProof(text: string): Proof | null {
  const cut = text.indexOf("\n\n");
  const [name, extra = "", place = "", ...path] = text.slice(0, Math.max(cut, 0)).split("\n");
  const record = extra.startsWith("extra ") ? bytes(extra.slice(6)) : null, index = place.startsWith("index ") ? whole(place.slice(6)) : null;
  const hashes = path.map(bytes);
  if (name !== "c2sp.org/tlog-proof@v1" || !record || index === null || hashes.some((each) => each?.length !== 32)) return null;
  return { record, index, path: hashes as Uint8Array[], note: text.slice(cut + 2) };
}

/** What the list of the API shows of a record, as far as the log's hash covers it. */
export interface Shown {
  index: number; id: string; action: string; actor: Record<string, unknown>; resource: string; outcome: string; decision: unknown; task_id: string | null;
  trace: string | null; rules: string; hash: string; redacted_fields: unknown; timestamp: string;
}

/** Args: `whole`: what is null counts, too. */
function inOrder(value: unknown, whole: boolean): unknown {
  if (Array.isArray(value)) return value.map((each) => inOrder(each, whole));
  if (value === null || typeof value !== "object") return value;
  return { of: Object.entries(value).filter(([, each]) => whole || (each !== null && each !== undefined)).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, each]) => [name, inOrder(each, whole)]) };
}
const same = (one: unknown, other: unknown, whole = false): boolean => JSON.stringify(inOrder(one, whole)) === JSON.stringify(inOrder(other, whole));

/** Which fields of the record that is shown are not those of the proved one. */
export function differing(shown: Shown, record: Uint8Array, tenant: string): string[] {
  let leaf: Record<string, unknown>;
  try {
    leaf = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(record)) as Record<string, unknown>;
  } catch {
    return ["everything: it is no record"];
  }
  const micros = Number(leaf.at), at = new Date(Math.floor(micros / 1000));
  const time = Number.isNaN(at.getTime()) ? "" : `${at.toISOString().slice(0, 19)}.${String(micros % 1_000_000).padStart(6, "0")}Z`;
  const said: Record<string, unknown> = { ...leaf, trace: leaf.trace || null, timestamp: time, hash: hex(leafHash(record)) };
  const given: Record<string, unknown> = { ...shown, tenant };
  return ["tenant", "id", "action", "actor", "resource", "outcome", "decision", "task_id", "trace", "rules", "redacted_fields", "timestamp", "hash"]
    .filter((name) => !same(said[name], given[name]));
}

/** `holds` null: it is not checked here. */
export interface Step { name: string; holds: boolean | null; note: string; hops?: Hop[] }

/** Follow the proof step by step up to the first that does not hold. Args: `keys`: verifier keys, `name+id+key`. */
export async function check(shown: Shown, tenant: string, proofText: string, newest: string, keys: readonly string[]): Promise<Step[]> {
  const steps: Step[] = [];
  const step = (name: string, holds: boolean | null, note: string, hops?: Hop[]): boolean => {
    steps.push({ name, holds, note, ...(hops ? { hops } : {}) });
    return holds !== false;
  };
  const proof = parseProof(proofText), note = proof && parseNote(proof.note);
  if (!proof || !note) { step("Proof", false, "the answer is no proof of a record"); return steps; }
  if (!step("Proof", proof.index === shown.index, `it is of record ${proof.index}`)) return steps;
  const other = differing(shown, proof.record, tenant);
  if (!step("Record", !other.length, other.length ? `what is shown differs from what is proved in ${other.join(", ")}` : "each field above is that of the proved record")) return steps;
  const leaf = leafHash(proof.record);
  step("Leaf", true, hex(leaf));
  const way = climb(leaf, proof.index, note.size, proof.path);
  if (!way) { step("Path", false, `${proof.path.length} hashes do not lead from record ${proof.index} to the root of ${note.size}`); return steps; }
  const reached = hex(way.root) === hex(note.root);
  if (!step("Path", reached, reached ? `${way.hops.length} hashes lead to the root` : "it leads to another root than that of the checkpoint", way.hops)) return steps;
  step("Root", true, hex(note.root));
  const later = parseNote(newest);
  const goesOn = later !== null && later.origin === note.origin && later.size >= note.size && (later.size > note.size || hex(later.root) === hex(note.root));
  if (!step("Checkpoint", goesOn, goesOn ? `${note.origin}, ${note.size} records` : "the newest checkpoint is of another log, or of a shorter one")) return steps;
  step("Signature", ...(await signed(note, keys)));
  return steps;
}

/** Whether the record in the proof commits to the body that is shown. Args: `opened`: the body, and what opens the commitment. */
export function bodyStep(proofText: string, shown: { payload: unknown; events: unknown }, opened: { erased: boolean; alg: string; salt: string | null; body: string | null; rest: string | null }, read: (text: string) => unknown): Step {
  const step = (holds: boolean | null, note: string): Step => ({ name: "Body", holds, note });
  if (opened.erased) return step(true, "it was erased, and its salt with it");
  const { salt, body, rest } = opened;
  if (salt === null || body === null || rest === null) return step(null, `of this earlier version (${opened.alg}), swarmkeeper audit verify checks it in the store`);
  const { alg, commitment } = (JSON.parse(new TextDecoder().decode(parseProof(proofText)!.record)) as { body: { alg: string; commitment: string } }).body;
  if (alg !== "sha256-salted-parts" || salt.length !== 32 || hex(sha256(sha256(ofHex(salt), utf8.encode(body)), ofHex(rest))) !== commitment) return step(false, "the record commits to another body");
  const { payload, events } = read(body) as { payload: unknown; events: unknown };
  const other = [["its payload", payload, shown.payload], ["its events", events, shown.events]].filter(([, one, other]) => !same(one, other, true)).map(([name]) => name);
  return other.length ? step(false, `what is shown differs from what is proved in ${other.join(" and ")}`) : step(true, "the record commits to the body below");
}

/** Whether this is a verifier key: `name+id+key`, and the id is that of the key. */
export function verifierKey(text: string): { name: string; id: string; key: Uint8Array } | null {
  const [, name = "", id = "", rest = ""] = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(text) ?? [], key = bytes(rest);
  return key && key.length === 33 && key[0] === 1 && hex(sha256(utf8.encode(`${name}\n`), key)).slice(0, 8) === id ? { name, id, key } : null;
}

async function signed(note: Note, keys: readonly string[]): Promise<[boolean | null, string]> {
  for (const text of keys) {
    const verifier = verifierKey(text);
    if (!verifier) continue;
    const { name, id, key } = verifier;
    const found = note.signatures.find((each) => each.name === name && each.id === id);
    if (!found || name !== note.origin) continue;
    if (!globalThis.crypto?.subtle) return [null, `by ${name}: this browser checks signatures over HTTPS only`];
    try {
      const known = await crypto.subtle.importKey("raw", key.slice(1), { name: "Ed25519" }, false, ["verify"]);
      const holds = await crypto.subtle.verify("Ed25519", known, found.signature as BufferSource, utf8.encode(note.text));
      return [holds, holds ? `by ${name}, key ${id}` : `it is not that of ${name}, key ${id}`];
    } catch {
      return [null, `by ${name}: this browser does not know Ed25519`];
    }
  }
  return [false, "no key of this log has signed the checkpoint"];
}
