import assert from "node:assert/strict";
import test from "node:test";
import { built } from "./built.mjs";

const { joined, pieces, placeOf, timeAt, marks, packed, roomFor } = await built("pages/task/lanes.ts");

function chance(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const START = Date.UTC(2026, 10, 29, 6, 0, 0);
const near = (a, b, most = 1e-6) => assert.ok(Math.abs(a - b) <= most, `${a} is not ${b}`);

/** Attempts of some lanes, with long pauses between some. */
function swarm(seed) {
  const draw = chance(seed), spans = [];
  let at = START;
  for (let n = 0; n < 1 + draw() * 40; n++) {
    at += draw() < 0.2 ? draw() * 3_600_000 * 10 ** (draw() * 2) : draw() * 3_000;
    spans.push({ start: at, end: at + draw() ** 3 * 60_000 });
  }
  const end = Math.max(...spans.map((each) => each.end)) + draw() * 5_000;
  return { spans, from: START, to: end, width: 200 + draw() * 1200 };
}

const utc = (time) => {
  const text = new Date(time).toISOString();
  return { day: text.slice(5, 10), time: text.slice(11, 19), offset: 0 };
};

test("what overlaps is one, in order", () => {
  assert.deepEqual(joined([{ start: 5, end: 9 }, { start: 1, end: 3 }, { start: 2, end: 4 }, { start: 9, end: 10 }]), [{ start: 1, end: 4 }, { start: 5, end: 10 }]);
});

test("the pieces fill the width and the time, one after the other", () => {
  for (let seed = 0; seed < 300; seed++) {
    const { spans, from, to, width } = swarm(seed), all = pieces(spans, from, to, width);
    assert.equal(all[0].from, from);
    near(all[all.length - 1].to, to);
    near(all[0].x, 0);
    for (let at = 1; at < all.length; at++) {
      assert.equal(all[at].from, all[at - 1].to);
      near(all[at].x, all[at - 1].x + all[at - 1].width);
    }
    near(all[all.length - 1].x + all[all.length - 1].width, width);
  }
});

test("nothing that happened is folded, and equal times beside folds are equally wide", () => {
  for (let seed = 0; seed < 300; seed++) {
    const { spans, from, to, width } = swarm(seed), all = pieces(spans, from, to, width);
    for (const fold of all.filter((each) => each.folded)) {
      for (const { start, end } of spans) assert.ok(end <= fold.from || start >= fold.to, `seed ${seed}`);
      assert.ok(fold.width <= 28);
    }
    const rates = all.filter((each) => !each.folded).map((each) => each.width / (each.to - each.from));
    for (const rate of rates) near(rate / rates[0], 1, 1e-9);
  }
});

test("a long pause is folded, a short one is not, and work is then wide enough to be seen", () => {
  const hour = 3_600_000;
  const all = pieces([{ start: START, end: START + 10_000 }, { start: START + hour, end: START + hour + 10_000 }], START, START + hour + 10_000, 628);
  assert.deepEqual(all.map((each) => [each.folded, Math.round(each.width)]), [[false, 300], [true, 28], [false, 300]]);
  assert.equal(pieces([{ start: START, end: START + 10_000 }, { start: START + 11_000, end: START + 20_000 }], START, START + 20_000, 600).length, 1);
});

test("where nothing happened at all, nothing is folded", () => {
  assert.deepEqual(pieces([], START, START + 5_000, 100).map((each) => each.folded), [false]);
  assert.equal(pieces([], START, START, 100).length, 1);
});

test("a place leads back to its time, and later is farther right", () => {
  for (let seed = 0; seed < 200; seed++) {
    const { spans, from, to, width } = swarm(seed), all = pieces(spans, from, to, width), draw = chance(seed + 1);
    let last = -1;
    for (let step = 0; step <= 50; step++) {
      const x = (width * step) / 50;
      near(placeOf(all, timeAt(all, x)), x, 0.01);
    }
    for (const time of Array.from({ length: 50 }, () => from + draw() * (to - from)).sort((a, b) => a - b)) {
      const x = placeOf(all, time);
      assert.ok(x >= last && x >= 0 && x <= width + 1e-6);
      last = x;
    }
    assert.equal(placeOf(all, from - 1), 0);
    near(placeOf(all, to + 1e6), width);
  }
});

test("marks of the axis keep their distance, are within it, and are in order", () => {
  for (let seed = 0; seed < 300; seed++) {
    const { spans, from, to, width } = swarm(seed), found = marks(pieces(spans, from, to, width), 84, utc);
    assert.ok(found.length >= 1, `seed ${seed}`);
    for (let at = 0; at < found.length; at++) {
      assert.ok(found[at].x >= 0 && found[at].x <= width);
      if (at) assert.ok(found[at].x - found[at - 1].x >= 84 - 1e-6 && found[at].time > found[at - 1].time);
    }
  }
});

test("marks are at round times of the reader's zone", () => {
  const day = 86_400_000, offset = 5.5 * 3_600_000;
  const zoned = (time) => ({ ...utc(time + offset), offset });
  const found = marks(pieces([{ start: START, end: START + 6 * day }], START, START + 6 * day, 900), 84, zoned);
  for (const { time } of found) assert.equal((time + offset) % day, 0);
  const seconds = marks(pieces([{ start: START, end: START + 60_000 }], START, START + 60_000, 800), 84, utc);
  assert.deepEqual(seconds.slice(0, 3).map((each) => each.label), ["06:00:00", "06:00:10", "06:00:20"]);
});

test("packed bars are wide enough to be seen, in order, and never over another", () => {
  for (let seed = 0; seed < 300; seed++) {
    const draw = chance(seed), width = 100 + draw() * 500, bars = [];
    for (let at = 0, x = 0; at < 20; at++) {
      x = Math.min(width, x + (draw() < 0.5 ? 0 : draw() * 40));
      const wide = Math.min(width - x, draw() < 0.5 ? 0 : draw() * 30);
      bars.push({ x, width: wide });
      x += wide;
    }
    const found = packed(bars, width, 3);
    for (let at = 0; at < found.length; at++) {
      assert.ok(found[at].width >= 3 - 1e-9);
      assert.ok(found[at].x >= -1e-9 && found[at].x + found[at].width <= width + 1e-6, `seed ${seed}`);
      if (at) assert.ok(found[at].x >= found[at - 1].x + found[at - 1].width - 1e-6, `seed ${seed}`);
    }
  }
  assert.deepEqual(packed([{ x: 10, width: 20 }, { x: 50, width: 4 }], 100, 3), [{ x: 10, width: 20 }, { x: 50, width: 4 }]);
});

test("a text is behind the last bar if it has room there, and never over a bar", () => {
  assert.deepEqual(roomFor([{ x: 10, width: 20 }], 300, 100), { x: 36, width: 264 });
  assert.deepEqual(roomFor([{ x: 200, width: 95 }], 300, 100), { x: 0, width: 194 });
  assert.equal(roomFor([{ x: 0, width: 300 }], 300, 100), null);
  for (let seed = 0; seed < 300; seed++) {
    const draw = chance(seed), bars = packed(Array.from({ length: 6 }, () => draw() * 400).sort((a, b) => a - b).map((x) => ({ x, width: draw() * 40 })), 400, 3);
    const room = roomFor(bars, 400, draw() * 300);
    if (room) for (const bar of bars) assert.ok(room.x + room.width <= bar.x || room.x >= bar.x + bar.width, `seed ${seed}`);
  }
});
