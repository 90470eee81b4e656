// Checks that the signed log goes on from a checkpoint that somebody kept: nothing before it was changed or taken out.
// The hashes come from the log's tiles (c2sp.org/tlog-tiles), which nobody has to trust: both roots are made of the same.

import { hex, nodeHash, type Note } from "./proof.ts";

const WIDTH = 256; // hashes of a tile
const HASH = 32;

/** The path of a tile. Args: `width`: how many hashes it has; `at`: its number within its level. */
export function tilePath(level: number, at: number, width: number): string {
  const parts = [String(at % 1000).padStart(3, "0")];
  for (let rest = Math.floor(at / 1000); rest > 0; rest = Math.floor(rest / 1000)) parts.unshift(`x${String(rest % 1000).padStart(3, "0")}`);
  return `${level}/${parts.join("/")}${width < WIDTH ? `.p/${width}` : ""}`;
}

/** Return the roots of the log when it had `old` records, and `size`; each hash below both is read once. */
export async function roots(old: number, size: number, tile: (path: string) => Promise<Uint8Array>): Promise<[Uint8Array, Uint8Array]> {
  const read = new Map<string, Promise<Uint8Array>>();
  async function hash(level: number, at: number): Promise<Uint8Array> {
    const number = Math.floor(at / WIDTH), width = Math.min(WIDTH, Math.floor(size / WIDTH ** level) - number * WIDTH), path = tilePath(level, number, width);
    if (!read.has(path)) read.set(path, tile(path));
    const data = await read.get(path)!, from = (at % WIDTH) * HASH;
    if (data.length !== width * HASH) throw new Error(`tile ${path} has ${data.length} bytes`);
    return data.slice(from, from + HASH);
  }
  /** A whole subtree: its size is a power of two, and a multiple of which is where it begins. */
  async function whole(begin: number, count: number): Promise<Uint8Array> {
    let level = 0, span = 1;
    while (span * WIDTH <= count) { span *= WIDTH; level++; }
    let hashes: Uint8Array[] = [];
    for (let at = 0; at < count / span; at++) hashes.push(await hash(level, begin / span + at));
    while (hashes.length > 1) hashes = hashes.flatMap((each, at) => (at % 2 ? [] : [nodeHash(each, hashes[at + 1]!)]));
    return hashes[0]!;
  }
  async function tree(begin: number, end: number): Promise<Uint8Array> {
    const count = end - begin, split = 2 ** Math.ceil(Math.log2(count) - 1);
    if (2 * split === count || count === 1) if (!(begin < old && old < end)) return whole(begin, count);
    return nodeHash(await tree(begin, begin + split), await tree(begin + split, end));
  }
  return [await tree(0, old), await tree(0, size)];
}

/** Whether `newer` is of the same log as `kept`, and goes on from it; else why not. */
export async function goesOn(kept: Note, newer: Note, tile: (path: string) => Promise<Uint8Array>): Promise<string | null> {
  if (kept.origin !== newer.origin) return `what you keep is of another log, ${kept.origin}`;
  if (kept.size > newer.size) return `the log has ${newer.size} records, and had ${kept.size}`;
  if (kept.size === 0) return null;
  const [before, now] = await roots(kept.size, newer.size, tile);
  if (hex(now) !== hex(newer.root)) return "the tiles of the log do not have the root of its checkpoint";
  return hex(before) === hex(kept.root) ? null : `its first ${kept.size} records are not those that you know`;
}
