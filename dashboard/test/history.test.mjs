import assert from "node:assert/strict";
import test from "node:test";
import { built } from "./built.mjs";

const { goesOn, roots, tilePath } = await built("pages/desk/history.ts");
const { hex, leafHash, nodeHash } = await built("pages/desk/proof.ts");

const ofNumber = (at) => leafHash(Uint8Array.of(at >> 8, at & 255));
const splitOf = (size) => { let split = 1; while (split * 2 < size) split *= 2; return split; };
const rootOf = (hashes) => (hashes.length === 1 ? hashes[0] : nodeHash(rootOf(hashes.slice(0, splitOf(hashes.length))), rootOf(hashes.slice(splitOf(hashes.length)))));

/** The tiles of a log, as a server has them: by path, and only those that the size has. */
function tilesOf(leaves) {
  const tiles = new Map();
  for (let level = 0, hashes = leaves; hashes.length; level++) {
    const above = [];
    for (let at = 0; at * 256 < hashes.length; at++) {
      const part = hashes.slice(at * 256, at * 256 + 256);
      tiles.set(tilePath(level, at, part.length), Buffer.concat(part));
      if (part.length === 256) above.push(rootOf(part));
    }
    hashes = above;
  }
  return tiles;
}
const reader = (tiles) => async (path) => { assert.ok(tiles.has(path), path); return new Uint8Array(tiles.get(path)); };
const note = (size, root, origin = "log") => ({ origin, size, root });

test("tiles are named as C2SP names them", () => {
  assert.equal(tilePath(0, 0, 256), "0/000");
  assert.equal(tilePath(1, 7, 5), "1/007.p/5");
  assert.equal(tilePath(0, 1234067, 256), "0/x001/x234/067");
});

test("the roots of a log before and now are made of its tiles, at any two sizes", async () => {
  for (const size of [1, 2, 3, 7, 8, 100, 255, 256, 257, 511, 512, 700]) {
    const leaves = Array.from({ length: size }, (_, at) => ofNumber(at)), read = reader(tilesOf(leaves));
    for (const old of [1, 2, 3, 6, 64, 99, 255, 256, 257, 300, 512, size - 1, size].filter((each) => each >= 1 && each <= size)) {
      const [before, now] = await roots(old, size, read);
      assert.equal(hex(before), hex(rootOf(leaves.slice(0, old))), `${old} of ${size}`);
      assert.equal(hex(now), hex(rootOf(leaves)), `${size}`);
    }
  }
});

test("a log that goes on from what was kept does, and one in which an earlier record was changed does not", async () => {
  const leaves = Array.from({ length: 600 }, (_, at) => ofNumber(at)), kept = note(300, rootOf(leaves.slice(0, 300)));
  assert.equal(await goesOn(kept, note(600, rootOf(leaves)), reader(tilesOf(leaves))), null);
  const forged = leaves.with ? leaves.with(17, ofNumber(9999)) : leaves.map((leaf, at) => (at === 17 ? ofNumber(9999) : leaf));
  assert.match(await goesOn(kept, note(600, rootOf(forged)), reader(tilesOf(forged))), /not those that you know/);
  assert.match(await goesOn(kept, note(600, rootOf(forged)), reader(tilesOf(leaves))), /do not have the root/);
  assert.match(await goesOn(kept, note(200, rootOf(leaves.slice(0, 200))), reader(tilesOf(leaves))), /200 records, and had 300/);
  assert.match(await goesOn(kept, note(600, rootOf(leaves), "other"), reader(tilesOf(leaves))), /another log/);
  assert.equal(await goesOn(note(0, new Uint8Array(32)), note(600, rootOf(leaves)), reader(tilesOf(leaves))), null);
});

test("a tile that is too short is refused", async () => {
  await assert.rejects(roots(3, 5, async () => new Uint8Array(31)), /has 31 bytes/);
});
