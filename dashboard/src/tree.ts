// The worker that reads an output or input, however large: its text, and, up to a bound, a tree of which the page asks
// just the rows that it shows. It fetches by itself, so that the page never holds what would freeze it.

import { entries, find, indented, picked, type Found, type Kind } from "./pages/task/json.ts";

const TREE_MAX = 1 << 20, HEAD_MAX = 64 << 10; // bytes that become a tree; characters that are shown as text
const VALUE_MAX = 300; // characters of a value in a row

export interface Row { depth: number; key: string | number | null; kind: Kind; text: string; size: number; open: boolean; place: number; of: number }
export type TreeAsked =
  | { read: string; pick: string[] }
  | { rows: [number, number]; at: number; act?: "toggle" | "open" | "close" | undefined };
export type TreeTold =
  | { head: string; cut: boolean; bytes: number; whole: boolean }
  | { failed: string; status: number }
  | { rows: Row[]; first: number; total: number; at: number };

interface Node { depth: number; key: string | number | null; value: Found; open: boolean; place: number; of: number }

let text = "";
let nodes: Node[] = [];

async function read(address: string, pick: string[]): Promise<TreeTold> {
  const response = await fetch(address, { headers: { accept: "application/json" }, cache: "no-store", credentials: "same-origin", redirect: "error" });
  if (!response.ok) {
    const problem = await response.json().catch(() => ({})) as { detail?: string };
    return { failed: problem.detail ?? "It was refused.", status: response.status };
  }
  const reader = response.body!.getReader(), decoder = new TextDecoder();
  let bytes = 0, whole = false;
  text = "";
  while (bytes <= TREE_MAX) {
    const { done, value } = await reader.read();
    if (done) { whole = true; break; }
    bytes += value.length;
    text += decoder.decode(value, { stream: true });
  }
  if (!whole) void reader.cancel();
  const value = picked(text, pick) ?? find("");
  const head = indented(text, value, HEAD_MAX);
  nodes = value.whole ? [{ depth: 0, key: null, value, open: false, place: 1, of: 1 }] : [];
  if (nodes.length) toggle(0);
  return { head: head.text, cut: head.cut, bytes: value.whole ? value.end - value.start : bytes, whole: value.whole };
}

function toggle(at: number): void {
  const node = nodes[at]!;
  if (!node.value.size) return;
  node.open = !node.open;
  if (node.open) {
    const within: Node[] = [];
    for (const { key, value } of entries(text, node.value)) {
      within.push({ depth: node.depth + 1, key: key ?? within.length, value, open: false, place: within.length + 1, of: node.value.size });
    }
    nodes = nodes.slice(0, at + 1).concat(within, nodes.slice(at + 1));
  } else {
    let end = at + 1;
    while (end < nodes.length && nodes[end]!.depth > node.depth) end++;
    nodes.splice(at + 1, end - at - 1);
  }
}

/** Open or close a row; return where the focus goes: to the first entry of what is open, to the parent of what is closed. */
function act(at: number, what: "toggle" | "open" | "close"): number {
  const node = nodes[at]!;
  if (what === "toggle" || (node.value.size && node.open === (what === "close"))) {
    toggle(at);
    return at;
  }
  if (what === "open") return node.open ? at + 1 : at;
  let parent = at;
  while (parent > 0 && nodes[parent]!.depth >= node.depth) parent--;
  return parent;
}

function row({ depth, key, value, open, place, of }: Node): Row {
  const { kind, start, end, size } = value;
  const shown = kind === "object" || kind === "list" ? "" : end - start > VALUE_MAX ? `${text.slice(start, start + VALUE_MAX)}…` : text.slice(start, end);
  return { depth, key, kind, text: shown, size, open, place, of };
}

addEventListener("message", ({ data }: MessageEvent<TreeAsked>) => {
  const tell = (told: TreeTold) => postMessage(told);
  if ("read" in data) {
    read(data.read, data.pick).then(tell, () => tell({ failed: "The server does not answer.", status: 0 }));
  } else {
    const at = data.act ? act(data.at, data.act) : data.at;
    const [first, last] = data.rows;
    tell({ rows: nodes.slice(first, last).map(row), first, total: nodes.length, at });
  }
});
