import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import test from "node:test";
import { built } from "./built.mjs";

const { check, climb, hex, leafHash, nodeHash, parseNote, parseProof, sha256 } = await built("pages/desk/proof.ts");
// Made by our own server: python -m tests.browser.proofs.
const made = JSON.parse(await readFile(new URL("./proofs.json", import.meta.url), "utf8"));
const bytes = (text) => new TextEncoder().encode(text);
const ofHex = (text) => Uint8Array.from(Buffer.from(text, "hex"));
const clone = (value) => JSON.parse(JSON.stringify(value));

/** Check a record's proof, after something was done to what the server said; return the steps. */
async function checked(index, { record, proof, newest, keys, tenant } = {}) {
  const shown = clone(made.records[index]);
  record?.(shown);
  return check(shown, tenant ?? made.tenant, proof?.(made.proofs[index]) ?? made.proofs[index], newest ?? made.checkpoint, keys ?? made.keys);
}
/** The name of the only step that does not hold, which is the last one. */
async function failing(index, forged) {
  const steps = await checked(index, forged), bad = steps.filter((step) => step.holds === false);
  assert.equal(bad.length, 1);
  assert.equal(bad[0], steps.at(-1));
  return bad[0].name;
}
const other = (sign) => (sign === "A" ? "B" : "A");
/** Change the first letter of a line that begins so. */
const turn = (text, line) => text.split("\n").map((each, at) => (at === line ? other(each[0]) + each.slice(1) : each)).join("\n");

test("SHA-256 gives the sums of NIST's examples", () => {
  assert.equal(hex(sha256(bytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  assert.equal(hex(sha256(bytes(""))), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  assert.equal(hex(sha256(bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  assert.equal(hex(sha256(new Uint8Array(1_000_000).fill(97))), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
});

test("SHA-256 agrees with another implementation at every length around a block", () => {
  for (let length = 0; length < 200; length++) {
    const data = Uint8Array.from({ length }, (_, at) => (at * 37 + length) % 256);
    assert.equal(hex(sha256(data.slice(0, length >> 1), data.slice(length >> 1))), createHash("sha256").update(data).digest("hex"));
  }
});

test("the tree of RFC 6962 that implementations are tested with has its hashes and paths", () => {
  const leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"].map(ofHex);
  assert.equal(hex(leafHash(leaves[0])), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
  assert.equal(hex(nodeHash(leafHash(leaves[0]), leafHash(leaves[1]))), "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
  const path = [
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  ].map(ofHex);
  assert.equal(hex(climb(leafHash(leaves[5]), 5, 8, path).root), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
});

test("in a tree of any size, a path of each leaf leads to the root, and to no other leaf or size", () => {
  const split = (size) => 2 ** (Math.ceil(Math.log2(size)) - 1);
  const root = (hashes) => (hashes.length === 1 ? hashes[0] : nodeHash(root(hashes.slice(0, split(hashes.length))), root(hashes.slice(split(hashes.length)))));
  const path = (hashes, at) => {
    if (hashes.length === 1) return [];
    const left = split(hashes.length);
    return at < left ? [...path(hashes.slice(0, left), at), root(hashes.slice(left))] : [...path(hashes.slice(left), at - left), root(hashes.slice(0, left))];
  };
  for (let size = 1; size < 34; size++) {
    const hashes = Array.from({ length: size }, (_, at) => leafHash(Uint8Array.of(at))), top = hex(root(hashes));
    for (let at = 0; at < size; at++) {
      const way = path(hashes, at), reached = (leaf, index, of) => { const found = climb(leaf, index, of, way); return found && hex(found.root); };
      assert.equal(reached(hashes[at], at, size), top);
      for (let wrong = 0; wrong < size; wrong++) if (wrong !== at) assert.notEqual(reached(hashes[wrong], wrong, size), top);
      assert.notEqual(reached(hashes[at], at, 4 * size + 1), top);
    }
  }
  assert.equal(climb(leafHash(bytes("")), 3, 3, []), null);
});

test("every proof that our server made holds, from the record to the signature", async () => {
  assert.ok(made.records.length > 8);
  for (const index of made.records.keys()) {
    const steps = await checked(index);
    assert.deepEqual(steps.map((step) => [step.name, step.holds]), ["Proof", "Record", "Leaf", "Path", "Root", "Checkpoint", "Signature"].map((name) => [name, true]));
    assert.equal(steps[2].note, made.records[index].hash);
  }
});

test("a record that is shown with any other field is not proved", async () => {
  const forgeries = {
    id: "aud_x", action: "task.cancel", actor: { type: "key", id: "key_x", key: "key_x", person: null }, resource: "tsk_x", outcome: "refused",
    decision: { effect: "deny", policy: "built-in", reasons: [] }, task_id: "tsk_x", trace: "00-0", rules: "0", hash: "0".repeat(64),
    redacted_fields: [{ pointer: "/x", rule: "x", action: "replaced", in: "value" }], timestamp: "2026-01-01T00:00:00.000001Z",
  };
  for (const [name, value] of Object.entries(forgeries)) {
    assert.equal(await failing(3, { record: (shown) => { shown[name] = value; } }), "Record", name);
  }
  assert.equal(await failing(3, { tenant: "other" }), "Record");
});

test("a proof of another record, or of other bytes, is not taken", async () => {
  assert.equal(await failing(3, { proof: () => made.proofs[4] }), "Proof");
  assert.equal(await failing(3, { proof: (text) => text.replace(/^extra .*$/m, /^extra .*$/m.exec(made.proofs[4])[0]) }), "Record");
  for (const broken of ["", "<html>", made.checkpoint, made.proofs[3].replace("tlog-proof@v1", "tlog-proof@v2"), made.proofs[3].replace("index 3", "index 03"), made.proofs[3].replace("extra ", "extra =")]) {
    assert.equal(await failing(3, { proof: () => broken }), "Proof");
  }
});

test("a forged path, root, size or signature fails at its step", async () => {
  const lines = made.proofs[3].split("\n"), size = lines.indexOf("9"), signature = lines.findIndex((line) => line.startsWith("— "));
  assert.equal(await failing(3, { proof: (text) => turn(text, 3) }), "Path");
  assert.equal(await failing(3, { proof: (text) => text.split("\n").filter((_, at) => at !== 4).join("\n") }), "Path");
  assert.equal(await failing(3, { proof: (text) => text.split("\n").flatMap((line, at) => (at === 4 ? [line, line] : [line])).join("\n") }), "Path");
  assert.equal(await failing(3, { proof: (text) => turn(text, size + 1) }), "Path");
  // A size of 10 has paths of the same length: what betrays it is that the newest checkpoint is shorter.
  assert.equal(await failing(3, { proof: (text) => text.replace("\n9\n", "\n10\n") }), "Checkpoint");
  assert.equal(await failing(3, { proof: (text) => text.replace("\n9\n", "\n10\n"), newest: made.checkpoint.replace("\n9\n", "\n10\n") }), "Signature");
  assert.equal(await failing(3, { proof: (text) => text.replace("\n9\n", "\n5\n") }), "Path");
  assert.equal(await failing(3, { proof: (text) => text.split("\n").map((line, at) => (at === signature ? line.slice(0, -6) + (line.at(-6) === "A" ? "B" : "A") + line.slice(-5) : line)).join("\n") }), "Signature");
});

test("a checkpoint of another log, or that nobody known has signed, is not taken", async () => {
  assert.equal(await failing(3, { newest: made.checkpoint.replace("swarm.example.org/default", "swarm.example.org/other") }), "Checkpoint");
  assert.equal(await failing(3, { newest: made.checkpoint.replace("\n9\n", "\n8\n") }), "Checkpoint");
  assert.equal(await failing(3, { newest: turn(made.checkpoint, 2) }), "Checkpoint");
  assert.equal(await failing(3, { newest: "" }), "Checkpoint");
  assert.equal(await failing(3, { keys: [] }), "Signature");
  assert.equal(await failing(3, { keys: [made.keys[0].replace("09870a93", "09870a94")] }), "Signature");
});

test("without crypto.subtle the signature is not checked, and nothing claims that it was", async () => {
  const whole = globalThis.crypto;
  Object.defineProperty(globalThis, "crypto", { value: {}, configurable: true });
  try {
    const steps = await checked(3);
    assert.deepEqual(steps.map((step) => step.holds), [true, true, true, true, true, true, null]);
    assert.match(steps.at(-1).note, /HTTPS only/);
  } finally {
    Object.defineProperty(globalThis, "crypto", { value: whole, configurable: true });
  }
});

test("what is no proof and no note is read as none", () => {
  assert.equal(parseProof("c2sp.org/tlog-proof@v1\nextra \nindex x\n\n"), null);
  for (const text of ["", "a\n1\n", "a\n1\nAAAA\n\n— a AAAA\n", `a\n01\n${"A".repeat(43)}=\n\n— a AAAAAAA=\n`]) assert.equal(parseNote(text), null);
});
