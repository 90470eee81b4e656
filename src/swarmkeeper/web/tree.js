// src/pages/task/json.ts
var BLANK = /\s/;
var PLAIN_END = /[\s,\]}]/;
function skipped(text2, at) {
  while (at < text2.length && BLANK.test(text2[at])) at++;
  return at;
}
function afterText(text2, at) {
  for (let quote = text2.indexOf('"', at + 1); quote >= 0; quote = text2.indexOf('"', quote + 1)) {
    let slashes = 0;
    while (text2[quote - 1 - slashes] === "\\") slashes++;
    if (slashes % 2 === 0) return quote + 1;
  }
  return -1;
}
function find(text2, from = 0) {
  const start = skipped(text2, from), first = text2[start];
  const found = (kind2, end, whole = true, size = 0) => ({ kind: kind2, start, end, size, whole });
  if (first === void 0) return found("nothing", start, false);
  if (first === '"') {
    const end = afterText(text2, start);
    return end < 0 ? found("text", text2.length, false) : found("text", end);
  }
  if (first !== "{" && first !== "[") {
    let end = start;
    while (end < text2.length && !PLAIN_END.test(text2[end])) end++;
    return found(/[-\d]/.test(first) ? "number" : "word", end);
  }
  const kind = first === "{" ? "object" : "list";
  let depth = 0, commas = 0, empty = true;
  for (let at = start; at < text2.length; at++) {
    const sign = text2[at];
    if (sign === "{" || sign === "[") {
      if (depth++ > 0) empty = false;
    } else if (sign === "}" || sign === "]") {
      if (--depth === 0) return found(kind, at + 1, true, empty ? 0 : commas + 1);
    } else if (sign === '"') {
      empty = false;
      at = afterText(text2, at) - 1;
      if (at < 0) break;
    } else if (sign === ",") {
      if (depth === 1) commas++;
    } else if (!BLANK.test(sign)) {
      empty = false;
    }
  }
  return found(kind, text2.length, false, empty ? 0 : commas + 1);
}
function* entries(text2, of) {
  const last = of.whole ? of.end - 1 : of.end;
  for (let at = skipped(text2, of.start + 1); at < last; ) {
    let key = null;
    if (of.kind === "object") {
      const end = afterText(text2, at);
      if (end < 0) return;
      key = plain(text2, at, end);
      at = skipped(text2, end) + 1;
    }
    const value = find(text2, at);
    if (value.kind === "nothing") return;
    yield { key, value };
    at = skipped(text2, value.end);
    if (text2[at] === ",") at = skipped(text2, at + 1);
  }
}
function plain(text2, start, end) {
  try {
    return JSON.parse(text2.slice(start, end));
  } catch {
    return text2.slice(start + 1, end);
  }
}
function picked(text2, path) {
  let value = find(text2);
  for (const key of path) {
    let next;
    for (const each of entries(text2, value)) if (each.key === key) {
      next = each.value;
      break;
    }
    if (!next) return void 0;
    value = next;
  }
  return value;
}
function indented(text2, of, most) {
  const lines = [];
  let length = 0, depth = 0;
  const add = (piece) => {
    lines.push(piece);
    length += piece.length;
  };
  const line = () => add(`
${"  ".repeat(depth)}`);
  let at = of.start;
  for (; at < of.end && length <= most; at++) {
    const sign = text2[at];
    if (BLANK.test(sign)) continue;
    if (sign === "{" || sign === "[") {
      add(sign);
      const next = skipped(text2, at + 1);
      if (text2[next] === "}" || text2[next] === "]") {
        add(text2[next]);
        at = next;
      } else {
        depth++;
        line();
      }
    } else if (sign === "}" || sign === "]") {
      depth--;
      line();
      add(sign);
    } else if (sign === ",") {
      add(sign);
      line();
    } else if (sign === ":") {
      add(": ");
    } else {
      const { end } = find(text2, at);
      add(text2.slice(at, Math.min(end, at + most + 1)));
      at = end - 1;
    }
  }
  const whole = lines.join("");
  return { text: whole.slice(0, most), cut: whole.length > most || at < of.end || !of.whole };
}

// src/tree.ts
var TREE_MAX = 1 << 20;
var HEAD_MAX = 64 << 10;
var VALUE_MAX = 300;
var text = "";
var nodes = [];
var focus = 0;
async function read(address, pick) {
  const response = await fetch(address, { headers: { accept: "application/json" }, cache: "no-store", credentials: "same-origin", redirect: "error" });
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    return { failed: problem.detail ?? "It was refused.", status: response.status };
  }
  const reader = response.body.getReader(), decoder = new TextDecoder();
  let bytes = 0, whole = false;
  text = "";
  while (bytes <= TREE_MAX) {
    const { done, value: value2 } = await reader.read();
    if (done) {
      whole = true;
      break;
    }
    bytes += value2.length;
    text += decoder.decode(value2, { stream: true });
  }
  if (!whole) void reader.cancel();
  const value = picked(text, pick) ?? find("");
  const head = indented(text, value, HEAD_MAX);
  nodes = value.whole ? [{ depth: 0, key: null, value, open: false, place: 1, of: 1 }] : [];
  focus = 0;
  if (nodes.length) toggle(0);
  return { head: head.text, cut: head.cut, bytes: value.whole ? value.end - value.start : bytes, whole: value.whole };
}
function toggle(at) {
  const node = nodes[at];
  if (!node.value.size) return;
  node.open = !node.open;
  if (node.open) {
    const within = [];
    for (const { key, value } of entries(text, node.value)) {
      within.push({ depth: node.depth + 1, key: key ?? within.length, value, open: false, place: within.length + 1, of: node.value.size });
    }
    nodes = nodes.slice(0, at + 1).concat(within, nodes.slice(at + 1));
  } else {
    let end = at + 1;
    while (end < nodes.length && nodes[end].depth > node.depth) end++;
    nodes.splice(at + 1, end - at - 1);
  }
}
function act(what) {
  const node = nodes[focus];
  if (what === "toggle" || node.value.size && node.open === (what === "close")) toggle(focus);
  else if (what === "open") focus += Number(node.open);
  else if (node.depth) do
    focus--;
  while (nodes[focus].depth >= node.depth);
}
function row({ depth, key, value, open, place, of }) {
  const { kind, start, end, size } = value;
  const shown = kind === "object" || kind === "list" ? "" : end - start > VALUE_MAX ? `${text.slice(start, start + VALUE_MAX)}…` : text.slice(start, end);
  return { depth, key, kind, text: shown, size, open, place, of };
}
addEventListener("message", ({ data }) => {
  const tell = (told) => postMessage(told);
  if ("read" in data) {
    read(data.read, data.pick).then(tell, () => tell({ failed: "The server does not answer.", status: 0 }));
  } else {
    focus = Math.max(0, Math.min(nodes.length - 1, data.to ?? focus + (data.by ?? 0)));
    if (data.act) act(data.act);
    let [first, last] = data.rows;
    const moved = data.act ?? data.to ?? data.by;
    if (moved !== void 0 && (focus < first || focus >= last)) [first, last] = [Math.max(0, focus - Math.floor((last - first) / 2)), focus + Math.ceil((last - first) / 2)];
    tell({ rows: nodes.slice(first, last).map(row), first, total: nodes.length, at: focus });
  }
});
