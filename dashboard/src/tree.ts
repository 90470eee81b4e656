// The worker that reads an output or input, however large: its text, and, up to a bound, a tree of which the page asks
// just the rows that it shows. It fetches by itself, so that the page never holds what would freeze it.

import { entries, find, indented, picked, type Found, type Kind } from "./pages/task/json.ts";

const TREE_MAX = 1 << 20, HEAD_MAX = 64 << 10; // bytes that become a tree; characters that are shown as text
const VALUE_MAX = 300; // characters of a value in a row

export interface Row { depth: number; key: string | number | null; kind: Kind; text: string; size: number; open: boolean; place: number; of: number }
export type TreeAsked =
  | { read: string; pick: string[] }
  | { rows: [number, number]; act?: Act; to?: number; by?: number };
export type Act = "toggle" | "open" | "close";
export type TreeTold =
  | { head: string; cut: boolean; bytes: number; whole: boolean }
  | { failed: string; status: number }
  | { rows: Row[]; first: number; total: number; at: number };

interface Node { depth: number; key: string | number | null; value: Found; open: boolean; place: number; of: number }

let text = "";
let nodes: Node[] = [];
let focus = 0; // kept here: keys may come faster than rows are drawn

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
  focus = 0;
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

/** Open or close the row with the focus. What is open already leads to its first entry, what is closed to its parent. */
function act(what: Act): void {
  const node = nodes[focus]!;
  if (what === "toggle" || (node.value.size && node.open === (what === "close"))) toggle(focus);
  else if (what === "open") focus += Number(node.open);
  else if (node.depth) do focus--; while (nodes[focus]!.depth >= node.depth);
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
    focus = Math.max(0, Math.min(nodes.length - 1, data.to ?? focus + (data.by ?? 0)));
    if (data.act) act(data.act);
    let [first, last] = data.rows;
    const moved = data.act ?? data.to ?? data.by; // else somebody scrolls
    if (moved !== undefined && (focus < first || focus >= last)) [first, last] = [Math.max(0, focus - Math.floor((last - first) / 2)), focus + Math.ceil((last - first) / 2)];
    tell({ rows: nodes.slice(first, last).map(row), first, total: nodes.length, at: focus });
  }
});
