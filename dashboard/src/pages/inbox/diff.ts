// What has changed between two texts, by lines: a longest common subsequence, after what begins and ends alike is set
// aside. For what a person signs: some hundred lines; of more it only says that all was replaced.

export interface Line { sign: " " | "-" | "+"; text: string }

const CELLS_MAX = 4_000_000; // of the table of lengths: 2,000 lines against 2,000

export function diff(before: readonly string[], after: readonly string[]): Line[] {
  let begin = 0, end = 0;
  while (begin < before.length && begin < after.length && before[begin] === after[begin]) begin++;
  while (end < before.length - begin && end < after.length - begin && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  const lines = (sign: Line["sign"], of: readonly string[]): Line[] => of.map((text) => ({ sign, text }));
  const a = before.slice(begin, before.length - end), b = after.slice(begin, after.length - end);
  return [...lines(" ", before.slice(0, begin)), ...middle(a, b, lines), ...lines(" ", before.slice(before.length - end))];
}

function middle(a: readonly string[], b: readonly string[], lines: (sign: Line["sign"], of: readonly string[]) => Line[]): Line[] {
  const width = b.length + 1;
  if ((a.length + 1) * width > CELLS_MAX) return [...lines("-", a), ...lines("+", b)];
  const length = new Uint16Array((a.length + 1) * width); // of what the rests from here on have in common
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      length[i * width + j] = a[i] === b[j] ? length[(i + 1) * width + j + 1]! + 1 : Math.max(length[(i + 1) * width + j]!, length[i * width + j + 1]!);
    }
  }
  const found: Line[] = [];
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { found.push({ sign: " ", text: a[i]! }); i++; j++; }
    else if (j === b.length || (i < a.length && length[(i + 1) * width + j]! >= length[i * width + j + 1]!)) found.push({ sign: "-", text: a[i++]! });
    else found.push({ sign: "+", text: b[j++]! });
  }
  return found;
}

/** Only what has changed, with some lines around it; a number stands for so many lines that are the same. */
export function folded(lines: readonly Line[], around = 2): (Line | number)[] {
  const shown = new Set<number>();
  lines.forEach((line, at) => { if (line.sign !== " ") for (let near = at - around; near <= at + around; near++) shown.add(near); });
  const found: (Line | number)[] = [];
  let left = 0;
  lines.forEach((line, at) => {
    if (!shown.has(at)) { left++; return; }
    if (left) found.push(left);
    left = 0;
    found.push(line);
  });
  return left && found.length ? [...found, left] : found;
}
