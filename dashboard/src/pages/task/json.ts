// Reads JSON as text: finds where values begin and end, and changes nothing of them. `JSON.parse` would round numbers
// beyond 2^53 and write others anew; here they stay as they were sent. It goes on at one character after the other
// without calling itself, so that any depth is read; what ends early is read as far as it goes.

export type Kind = "object" | "list" | "text" | "number" | "word" | "nothing";
/** Where a value is. `size`: how many entries an object or a list has; `whole`: whether it ends. */
export interface Found { kind: Kind; start: number; end: number; size: number; whole: boolean }
export interface Entry { key: string | null; value: Found }

const BLANK = /\s/;
const PLAIN_END = /[\s,\]}]/;

function skipped(text: string, at: number): number {
  while (at < text.length && BLANK.test(text[at]!)) at++;
  return at;
}

/** Where a text that begins at `at` ends: after its quote, or −1 if it has no end. */
function afterText(text: string, at: number): number {
  for (let quote = text.indexOf('"', at + 1); quote >= 0; quote = text.indexOf('"', quote + 1)) {
    let slashes = 0;
    while (text[quote - 1 - slashes] === "\\") slashes++;
    if (slashes % 2 === 0) return quote + 1;
  }
  return -1;
}

/** Find the value that begins at `from`. */
export function find(text: string, from = 0): Found {
  const start = skipped(text, from), first = text[start];
  const found = (kind: Kind, end: number, whole = true, size = 0): Found => ({ kind, start, end, size, whole });
  if (first === undefined) return found("nothing", start, false);
  if (first === '"') {
    const end = afterText(text, start);
    return end < 0 ? found("text", text.length, false) : found("text", end);
  }
  if (first !== "{" && first !== "[") {
    let end = start;
    while (end < text.length && !PLAIN_END.test(text[end]!)) end++;
    return found(/[-\d]/.test(first) ? "number" : "word", end);
  }
  const kind = first === "{" ? "object" : "list";
  let depth = 0, commas = 0, empty = true;
  for (let at = start; at < text.length; at++) {
    const sign = text[at]!;
    if (sign === "{" || sign === "[") {
      if (depth++ > 0) empty = false;
    } else if (sign === "}" || sign === "]") {
      if (--depth === 0) return found(kind, at + 1, true, empty ? 0 : commas + 1);
    } else if (sign === '"') {
      empty = false;
      at = afterText(text, at) - 1;
      if (at < 0) break;
    } else if (sign === ",") {
      if (depth === 1) commas++;
    } else if (!BLANK.test(sign)) {
      empty = false;
    }
  }
  return found(kind, text.length, false, empty ? 0 : commas + 1);
}

/** The entries of an object or a list. */
export function* entries(text: string, of: Found): Generator<Entry> {
  const last = of.whole ? of.end - 1 : of.end;
  for (let at = skipped(text, of.start + 1); at < last;) {
    let key: string | null = null;
    if (of.kind === "object") {
      const end = afterText(text, at);
      if (end < 0) return;
      key = plain(text, at, end);
      at = skipped(text, end) + 1; // the colon
    }
    const value = find(text, at);
    if (value.kind === "nothing") return;
    yield { key, value };
    at = skipped(text, value.end);
    if (text[at] === ",") at = skipped(text, at + 1);
  }
}

/** What a text says, without its quotes and escapes. */
export function plain(text: string, start: number, end: number): string {
  try {
    return JSON.parse(text.slice(start, end)) as string;
  } catch {
    return text.slice(start + 1, end); // it ends early
  }
}

/** The value at a path of keys. */
export function picked(text: string, path: readonly string[]): Found | undefined {
  let value = find(text);
  for (const key of path) {
    let next: Found | undefined;
    for (const each of entries(text, value)) if (each.key === key) { next = each.value; break; }
    if (!next) return undefined;
    value = next;
  }
  return value;
}

/** The first characters of a value, an entry in each line; numbers and texts are as they were sent. */
export function indented(text: string, of: Found, most: number): { text: string; cut: boolean } {
  const lines: string[] = [];
  let length = 0, depth = 0;
  const add = (piece: string) => { lines.push(piece); length += piece.length; };
  const line = () => add(`\n${"  ".repeat(depth)}`);
  let at = of.start;
  for (; at < of.end && length <= most; at++) {
    const sign = text[at]!;
    if (BLANK.test(sign)) continue;
    if (sign === "{" || sign === "[") {
      add(sign);
      const next = skipped(text, at + 1);
      if (text[next] === "}" || text[next] === "]") { add(text[next]!); at = next; } else { depth++; line(); }
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
      const { end } = find(text, at);
      add(text.slice(at, Math.min(end, at + most + 1)));
      at = end - 1;
    }
  }
  const whole = lines.join("");
  return { text: whole.slice(0, most), cut: whole.length > most || at < of.end || !of.whole };
}
