// The arithmetic of a timeline: which idle time is folded, where a moment is on the screen and what moment a place is,
// where the axis has its marks, and where bars and texts of a lane have room. Pure; it draws nothing. Times are
// milliseconds, places are pixels.

export interface Span { start: number; end: number }
/** A part of the time with its place. What is folded takes little room, however long it was. */
export interface Piece { from: number; to: number; x: number; width: number; folded: boolean }
export interface Box { x: number; width: number }
export interface Mark { time: number; x: number; label: string }

const FOLD_PX = 28;
const FOLDS_PART = 0.3; // of the width at most, for all folds together
const LONG_MS = 2_000; // idle time that is shorter is never folded
const LONG_PART = 1 / 8; // nor what is less than this part of the time in which something happened
export const LEAST_MS = 10; // that can be looked at

/** The times in which something happened, in order; what overlaps is one. */
export function joined(spans: readonly Span[]): Span[] {
  const found: Span[] = [];
  for (const { start, end } of [...spans].sort((a, b) => a.start - b.start)) {
    const last = found[found.length - 1];
    if (last && start <= last.end) last.end = Math.max(last.end, end);
    else found.push({ start, end });
  }
  return found;
}

/** Cut the time from `from` to `to` into pieces that fill the width. Where nothing happened for long, time is folded. */
export function pieces(spans: readonly Span[], from: number, to: number, width: number): Piece[] {
  const end = Math.max(to, from + LEAST_MS);
  const busy = joined(spans.filter((each) => each.end >= from && each.start <= end).map((each) => ({ start: Math.max(from, each.start), end: Math.min(end, Math.max(each.end, each.start + 1)) })));
  const worked = busy.reduce((sum, each) => sum + each.end - each.start, 0);
  const long = Math.max(LONG_MS, worked * LONG_PART);
  const folds: Span[] = [];
  let last = from;
  for (const each of [...busy, { start: end, end }]) {
    if (busy.length && each.start - last > long) folds.push({ start: last, end: each.start });
    last = each.end;
  }
  const fold = folds.length ? Math.min(FOLD_PX, (width * FOLDS_PART) / folds.length) : 0;
  const shown = end - from - folds.reduce((sum, each) => sum + each.end - each.start, 0);
  const rate = (width - fold * folds.length) / Math.max(shown, 1);
  const found: Piece[] = [];
  let x = 0;
  const add = (begin: number, until: number, folded: boolean) => {
    if (until <= begin) return;
    const wide = folded ? fold : (until - begin) * rate;
    found.push({ from: begin, to: until, x, width: wide, folded });
    x += wide;
  };
  last = from;
  for (const each of folds) {
    add(last, each.start, false);
    add(each.start, each.end, true);
    last = each.end;
  }
  add(last, end, false);
  return found;
}

/** Where a moment is; what is outside is at the edge. */
export function placeOf(all: readonly Piece[], time: number): number {
  const piece = all.find((each) => time <= each.to) ?? all[all.length - 1]!;
  return piece.x + piece.width * Math.min(1, Math.max(0, (time - piece.from) / (piece.to - piece.from)));
}

/** Which moment a place is. */
export function timeAt(all: readonly Piece[], x: number): number {
  const piece = all.find((each) => x <= each.x + each.width) ?? all[all.length - 1]!;
  return piece.from + (piece.to - piece.from) * Math.min(1, Math.max(0, (x - piece.x) / piece.width));
}

const S = 1_000, M = 60 * S, H = 60 * M, D = 24 * H;
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, S, 2 * S, 5 * S, 10 * S, 15 * S, 30 * S, M, 2 * M, 5 * M, 10 * M, 15 * M, 30 * M, H, 2 * H, 3 * H, 6 * H, 12 * H, D, 2 * D, 7 * D, 14 * D, 28 * D];

/**
 * The marks of the axis: round times, and the time after each fold, none nearer to another than `room`.
 *
 * Args:
 *   clock: the day and the time of a moment, as a person reads them, and how far that is from UTC in ms.
 */
export function marks(all: readonly Piece[], room: number, clock: (time: number) => { day: string; time: string; offset: number }): Mark[] {
  const end = all[all.length - 1]!.x + all[all.length - 1]!.width;
  const rate = Math.max(...all.map((each) => (each.folded ? 0 : each.width / (each.to - each.from))));
  const step = STEPS.find((each) => each * rate >= room) ?? STEPS[STEPS.length - 1]!;
  const found: Mark[] = [];
  let free = 0, day = "";
  const add = (time: number, exact: boolean) => {
    const x = placeOf(all, time);
    if (x < free || x + room * 0.7 > end) return;
    const at = clock(time), rest = (time % S) / S;
    const clockTime = step < S && rest ? `${at.time}${rest.toFixed(3).slice(1).replace(/0+$/, "")}` : step < M || exact ? at.time : at.time.slice(0, 5);
    const label = step >= D ? at.day : at.day !== day && found.length ? `${at.day} ${clockTime}` : clockTime;
    day = at.day;
    free = x + Math.max(room, label.length * 7);
    found.push({ time, x, label });
  };
  for (const piece of all) {
    if (piece.folded) continue;
    const offset = clock(piece.from).offset;
    let time = Math.ceil((piece.from + offset) / step) * step - offset;
    if (piece !== all[0] && (time > piece.to || placeOf(all, time) > piece.x + room)) add(piece.from, true);
    for (; time <= piece.to; time += step) add(time, false);
  }
  if (!found.length) add(all[0]!.from, true);
  return found;
}

/** Make each bar at least so wide that it is seen: in order, within the width, and none over another if all have room. */
export function packed(bars: readonly Box[], width: number, least: number): Box[] {
  const found: Box[] = [];
  let free = 0;
  for (const { x, width: wide } of bars) {
    const begin = Math.max(x, free);
    found.push({ x: begin, width: Math.max(least, x + wide - begin) });
    free = begin + found[found.length - 1]!.width;
  }
  free = width;
  for (let at = found.length - 1; at >= 0 && found[at]!.x + found[at]!.width > free; at--) {
    const box = found[at]!;
    box.width = Math.max(least, Math.min(box.width, free - box.x));
    box.x = Math.max(0, free - box.width);
    free = box.x;
  }
  return found;
}

/** Where a text of a lane goes: behind its last bar if it has room there, else where most is free; never over a bar. */
export function roomFor(bars: readonly Box[], width: number, wanted: number, gap = 6): Box | null {
  const free: Box[] = [];
  let last = 0;
  for (const bar of [...bars, { x: width, width: 0 }]) {
    const begin = last + (last ? gap : 0), end = bar.x - (bar.x < width ? gap : 0);
    free.push({ x: begin, width: end - begin });
    last = bar.x + bar.width;
  }
  const behind = free[free.length - 1]!;
  if (behind.width >= Math.min(wanted, 120)) return behind;
  const widest = free.reduce((a, b) => (b.width > a.width ? b : a));
  return widest.width >= 40 ? widest : null;
}
