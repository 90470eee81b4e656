import { Fragment, el, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./runtime.js";
import { useKeys, now as clockNow, ofTask, useRead, Glyph, Trouble, counted, lookOfEnding, lookOfItem, moment, safe, span, get } from "./app.js";
// src/pages/task/timeline.tsx

// src/pages/task/lanes.ts
var FOLD_PX = 28;
var FOLDS_PART = 0.3;
var LONG_MS = 2e3;
var LONG_PART = 1 / 8;
var LEAST_MS = 10;
function joined(spans) {
  const found = [];
  for (const { start, end } of [...spans].sort((a, b) => a.start - b.start)) {
    const last = found[found.length - 1];
    if (last && start <= last.end) last.end = Math.max(last.end, end);
    else found.push({ start, end });
  }
  return found;
}
function pieces(spans, from, to, width) {
  const end = Math.max(to, from + LEAST_MS);
  const busy = joined(spans.filter((each) => each.end >= from && each.start <= end).map((each) => ({ start: Math.max(from, each.start), end: Math.min(end, Math.max(each.end, each.start + 1)) })));
  const worked = busy.reduce((sum, each) => sum + each.end - each.start, 0);
  const long = Math.max(LONG_MS, worked * LONG_PART);
  const folds = [];
  let last = from;
  for (const each of [...busy, { start: end, end }]) {
    if (busy.length && each.start - last > long) folds.push({ start: last, end: each.start });
    last = each.end;
  }
  const fold = folds.length ? Math.min(FOLD_PX, width * FOLDS_PART / folds.length) : 0;
  const shown = end - from - folds.reduce((sum, each) => sum + each.end - each.start, 0);
  const rate = (width - fold * folds.length) / Math.max(shown, 1);
  const found = [];
  let x = 0;
  const add = (begin, until, folded) => {
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
function placeOf(all, time) {
  const piece = all.find((each) => time <= each.to) ?? all[all.length - 1];
  return piece.x + piece.width * Math.min(1, Math.max(0, (time - piece.from) / (piece.to - piece.from)));
}
function timeAt(all, x) {
  const piece = all.find((each) => x <= each.x + each.width) ?? all[all.length - 1];
  return piece.from + (piece.to - piece.from) * Math.min(1, Math.max(0, (x - piece.x) / piece.width));
}
var S = 1e3;
var M = 60 * S;
var H = 60 * M;
var D = 24 * H;
var STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, S, 2 * S, 5 * S, 10 * S, 15 * S, 30 * S, M, 2 * M, 5 * M, 10 * M, 15 * M, 30 * M, H, 2 * H, 3 * H, 6 * H, 12 * H, D, 2 * D, 7 * D, 14 * D, 28 * D];
function marks(all, room, clock2) {
  const end = all[all.length - 1].x + all[all.length - 1].width;
  const rate = Math.max(...all.map((each) => each.folded ? 0 : each.width / (each.to - each.from)));
  const step = STEPS.find((each) => each * rate >= room) ?? STEPS[STEPS.length - 1];
  const found = [];
  let free = 0, day = "";
  const add = (time, exact) => {
    const x = placeOf(all, time);
    if (x < free || x + room * 0.7 > end) return;
    const at = clock2(time), rest = time % S / S;
    const clockTime = step < S && rest ? `${at.time}${rest.toFixed(3).slice(1).replace(/0+$/, "")}` : step < M || exact ? at.time : at.time.slice(0, 5);
    const label = step >= D ? at.day : at.day !== day && found.length ? `${at.day} ${clockTime}` : clockTime;
    day = at.day;
    free = x + Math.max(room, label.length * 7);
    found.push({ time, x, label });
  };
  for (const piece of all) {
    if (piece.folded) continue;
    const offset = clock2(piece.from).offset;
    let time = Math.ceil((piece.from + offset) / step) * step - offset;
    if (piece !== all[0] && (time > piece.to || placeOf(all, time) > piece.x + room)) add(piece.from, true);
    for (; time <= piece.to; time += step) add(time, false);
  }
  if (!found.length) add(all[0].from, true);
  return found;
}
function packed(bars, width, least) {
  const found = [];
  let free = 0;
  for (const { x, width: wide } of bars) {
    const begin = Math.max(x, free);
    found.push({ x: begin, width: Math.max(least, x + wide - begin) });
    free = begin + found[found.length - 1].width;
  }
  free = width;
  for (let at = found.length - 1; at >= 0 && found[at].x + found[at].width > free; at--) {
    const box = found[at];
    box.width = Math.max(least, Math.min(box.width, free - box.x));
    box.x = Math.max(0, free - box.width);
    free = box.x;
  }
  return found;
}
function roomFor(bars, width, wanted, gap = 6) {
  const free = [];
  let last = 0;
  for (const bar of [...bars, { x: width, width: 0 }]) {
    const begin = last + (last ? gap : 0), end = bar.x - (bar.x < width ? gap : 0);
    free.push({ x: begin, width: end - begin });
    last = bar.x + bar.width;
  }
  const behind = free[free.length - 1];
  if (behind.width >= Math.min(wanted, 120)) return behind;
  const widest = free.reduce((a, b) => b.width > a.width ? b : a);
  return widest.width >= 40 ? widest : null;
}

// src/pages/task/timeline.tsx
var ROW = 26;
var BAR = 12;
var BEYOND = 6;
var PAGE = 200;
var LETTER_PX = 7;
var ms = (time) => Date.parse(time);
function clock(time) {
  const [date = "", month = "", at = "", zone = ""] = moment(new Date(time).toISOString()).split(" ");
  const [, sign, hours, minutes] = /UTC(?:([+−])(\d+)(?::(\d+))?)?/.exec(zone) ?? [];
  return { day: `${date} ${month}`, time: at, zone, offset: (sign === "−" ? -1 : 1) * (Number(hours ?? 0) * 60 + Number(minutes ?? 0)) * 6e4 };
}
var toneOf = (lane, bar) => bar.ending === null ? "run" : bar.ending === "succeeded" && lane.kind !== "execute" ? "eye" : lookOfEnding(bar.ending).tone;
var nameOf = (lane) => lane.kind === "execute" ? lane.key : lane.work_id;
function Timeline({ id, query, set }) {
  const wanted = useRef({ pages: 1, first: 0, last: 0 });
  const reading = useRead(`timeline ${id}`, async (before) => {
    const { pages: count, first, last } = wanted.current;
    const pages2 = [...before?.pages ?? []];
    for (let at = 0; at < count; at++) {
      const token = at ? pages2[at - 1].next_page_token : "";
      if (at && !token) break;
      if (at >= pages2.length || at >= first && at <= last || at === pages2.length - 1) pages2[at] = await get(`tasks/${encodeURIComponent(id)}/timeline`, { page_size: PAGE, page_token: token });
    }
    const newest = Math.max(...pages2.map((each) => ms(each.now)));
    return { pages: pages2, ahead: newest - Date.now() };
  }, { on: ofTask(id) });
  const seen = reading.state.value;
  if (!seen.data) return el(Trouble, { read: seen, what: "the timeline" });
  const { pages, ahead } = seen.data, more = pages[pages.length - 1].next_page_token !== "";
  const lanes = pages.flatMap((each) => each.items).filter((each) => query.get("only") !== "FAILED" || each.status === "FAILED");
  function inView(first, last) {
    const page = Math.floor(last / PAGE);
    wanted.current = { pages: wanted.current.pages, first: Math.floor(first / PAGE), last: page };
    if (more && last >= lanes.length - 1 && wanted.current.pages === pages.length) {
      wanted.current.pages++;
      void reading.again();
    }
  }
  return el(Fragment, null,
  el(Trouble, { read: seen, what: "the timeline" }), query.get("only") === "FAILED" && el("p", { class: "only" }, "Only failed: ", lanes.length, ". ",
  el("button", { type: "button", class: "small", onClick: () => set({ only: null }) }, "Show all")), lanes.length ? el(Chart, { lanes, begun: ms(pages[0].created_at), updated: ms(pages[0].updated_at), ahead, more, query, set, inView }) : el("p", { class: "none pad" }, "There are no lanes."));
}
function Chart({ lanes, begun, updated, ahead, more, query, set, inView }) {
  const box = useRef(null), side = useRef(null);
  const [width, setWidth] = useState(600);
  const [view, setView] = useState([0, 40]);
  const [drag, setDrag] = useState(null);
  const [active, setActive] = useState(0);
  const runs = lanes.some((each) => each.bars.some((bar) => bar.end === null) || each.waits.some((wait) => wait.end === null));
  const now = runs ? Math.max(clockNow.value + ahead, updated) : updated;
  const ends = lanes.flatMap((each) => each.bars.map((bar) => bar.end ? ms(bar.end) : now));
  const whole = [begun, Math.max(begun + LEAST_MS, runs ? now : Math.max(...ends, begun))];
  const asked = [query.get("from"), query.get("to")].map((each) => ms(each ?? ""));
  const zoomed = asked.every((each) => !Number.isNaN(each)) && asked[0] < asked[1];
  const [from, to] = zoomed ? asked : whole;
  const all = useMemo(() => pieces(lanes.flatMap((each) => each.bars.map((bar) => ({ start: ms(bar.start), end: bar.end ? ms(bar.end) : now }))), from, to, width), [lanes, from, to, width, now]);
  const chosen = query.get("subtask"), chosenAt = lanes.findIndex((each) => nameOf(each) === chosen);
  function look() {
    const element = box.current;
    if (!element) return;
    const first2 = Math.max(0, Math.floor(element.scrollTop / ROW) - BEYOND), last2 = Math.ceil((element.scrollTop + element.clientHeight) / ROW) + BEYOND;
    setView((before) => before[0] === first2 && before[1] === last2 ? before : [first2, last2]);
    setWidth(Math.max(80, element.clientWidth - side.current.offsetWidth - 12));
    inView(first2, last2);
  }
  useLayoutEffect(look, [lanes.length]);
  useEffect(() => {
    const resized = new ResizeObserver(look);
    resized.observe(box.current);
    return () => resized.disconnect();
  });
  const bring = (at) => {
    const element = box.current;
    if (at * ROW < element.scrollTop) element.scrollTop = at * ROW;
    else if ((at + 1) * ROW > element.scrollTop + element.clientHeight) element.scrollTop = (at + 1) * ROW - element.clientHeight;
  };
  useEffect(() => {
    if (chosenAt >= 0) {
      setActive(chosenAt);
      bring(chosenAt);
    }
  }, [chosenAt]);
  const zoom = (begin, end) => {
    const least = Math.max(whole[0], Math.min(begin, end)), most = Math.min(whole[1], Math.max(begin, end));
    if (most - least < LEAST_MS) return;
    set(least <= whole[0] && most >= whole[1] ? { from: null, to: null } : { from: new Date(least).toISOString(), to: new Date(most).toISOString() });
  };
  const nearer = (part) => zoom(timeAt(all, width * part), timeAt(all, width * (1 - part)));
  const farther = () => zoom(from - (to - from) / 2, to + (to - from) / 2);
  const along = (part) => {
    const by = Math.max(whole[0] - from, Math.min(whole[1] - to, (to - from) * part));
    if (zoomed) zoom(from + by, to + by);
  };
  useKeys({
    0: { does: "fit the timeline into view", run: () => set({ from: null, to: null }) },
    "+": { does: "zoom in", run: () => nearer(0.25) },
    "-": { does: "zoom out", run: farther },
    ArrowLeft: { does: "earlier", run: () => along(-0.25) },
    ArrowRight: { does: "later", run: () => along(0.25) }
  });
  function move(event, at) {
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: lanes.length - 1, PageDown: at + 10, PageUp: at - 10 }[event.key];
    if (next === void 0) return;
    event.preventDefault();
    const to2 = Math.max(0, Math.min(lanes.length - 1, next));
    setActive(to2);
    bring(to2);
    look();
    const focus = () => {
      const lane = box.current?.querySelector(`[data-lane="${to2}"]`);
      lane?.focus();
      return lane;
    };
    if (!focus()) requestAnimationFrame(focus);
  }
  const placeIn = (event) => event.clientX - event.currentTarget.getBoundingClientRect().left;
  const first = Math.min(view[0], lanes.length), last = Math.min(view[1], lanes.length);
  const shown = lanes.slice(first, last);
  const stop = active >= first && active < last ? active : first;
  const folds = all.filter((each) => each.folded);
  const begins = clock(from);
  return el("div", { class: "timeline" },
  el("div", { class: "axis" },
  el("span", null, begins.day, ", ", begins.zone),
  el("svg", { width, height: "22", "aria-hidden": "true" }, marks(all, 84, clock).map((mark) => el("g", { key: mark.time, transform: `translate(${mark.x} 0)` },
  el("path", { d: "M0 15v7", class: "tick" }),
  el("text", { x: "0", y: "12" }, mark.label))))),
  el("div", { class: "lanes", ref: box, onScroll: look },
  el("div", { class: "side", ref: side, style: { height: `${lanes.length * ROW}px` } },
  el("ul", { "aria-label": "Lanes", style: { transform: `translateY(${first * ROW}px)` } }, shown.map((lane, offset) => {
    const at = first + offset, name = nameOf(lane), look2 = lookOfItem(lane.status);
    return el("li", { key: lane.work_id, "aria-setsize": more ? -1 : lanes.length, "aria-posinset": at + 1 }, el(
      "button",
      {
        type: "button",
        class: "lane",
        "data-lane": at,
        tabIndex: at === stop ? 0 : -1,
        "aria-pressed": name === chosen,
        "aria-label": said(lane, look2.word),
        title: safe(lane.key),
        onFocus: () => setActive(at),
        onClick: () => set({ subtask: name }),
        onKeyDown: (event) => move(event, at)
      },
      el(Glyph, { tone: look2.tone }),
      el("span", { class: lane.kind === "execute" ? "" : "aside" }, safe(lane.key))
    ));
  }))), el(
    "svg",
    {
      class: "chart",
      width,
      height: lanes.length * ROW,
      "aria-hidden": "true",
      onPointerDown: (event) => {
        if (event.button === 0) {
          event.currentTarget.setPointerCapture(event.pointerId);
          setDrag([placeIn(event), placeIn(event)]);
        }
      },
      onPointerMove: (event) => {
        if (drag) setDrag([drag[0], Math.max(0, Math.min(width, placeIn(event)))]);
      },
      onPointerCancel: () => setDrag(null),
      onPointerUp: (event) => {
        if (!drag) return;
        setDrag(null);
        if (Math.abs(drag[1] - drag[0]) > 4) {
          zoom(timeAt(all, drag[0]), timeAt(all, drag[1]));
          return;
        }
        const lane = lanes[Math.floor((event.clientY - event.currentTarget.getBoundingClientRect().top) / ROW)];
        if (lane) set({ subtask: nameOf(lane) });
      }
    },
    el("defs", null,
    el("pattern", { id: "fold", width: "6", height: "6", patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    el("path", { d: "M0 0v6", class: "hatch" }))),
    folds.map((each) => el("rect", { key: each.from, x: each.x, width: each.width, y: first * ROW, height: shown.length * ROW, fill: "url(#fold)" },
    el("title", null, `Nothing happened for ${span(each.to - each.from)}.`))),
    shown.map((lane, offset) => el(Drawn, { key: lane.work_id, lane, y: (first + offset) * ROW, all, from, to, now, width, chosen: nameOf(lane) === chosen })),
    drag && el("rect", { class: "brush", x: Math.min(...drag), width: Math.abs(drag[1] - drag[0]), y: first * ROW, height: shown.length * ROW })
  )),
  el("p", { class: "foot" }, span(to - from), folds.length > 0 && `, of which ${span(folds.reduce((sum, each) => sum + each.to - each.from, 0))} without work folded`, zoomed && el(Fragment, null, " · ",
  el("button", { type: "button", class: "small", onClick: () => set({ from: null, to: null }) }, "Show all the time")),
  el("span", { class: "legend" }, ["ok", "bad", "eye", "hold", "run"].map((tone) => el("span", { key: tone, class: `tone-${tone}` },
  el("i", null), LEGEND[tone])))));
}
var LEGEND = { ok: "done", bad: "failed", eye: "plan, review", hold: "asked or put off", run: "running" };
function said(lane, status) {
  const count = lane.bars.length + lane.bars_left_out, error = errorOf(lane);
  return `${safe(lane.key)}: ${status}, ${counted(count, "attempt")}${error && `, ${error}`}`;
}
function errorOf(lane) {
  const last = lane.bars.filter((bar) => bar.ending !== null).pop();
  return last && last.ending !== "succeeded" ? safe(last.error?.message ?? "") : "";
}
function inWords(bar, now) {
  const took = span((bar.end ? ms(bar.end) : now) - ms(bar.start));
  return safe(`Attempt ${bar.attempt}, round ${bar.round}${bar.bot ? ` by ${bar.bot}` : ""}: ${bar.ending === null ? "running" : lookOfEnding(bar.ending).word}, ${took}, from ${moment(bar.start)}${bar.error?.message ? `: ${bar.error.message}` : ""}`);
}
function Drawn({ lane, y, all, from, to, now, width, chosen }) {
  const visible = lane.bars.filter((bar) => ms(bar.start) <= to && (bar.end ? ms(bar.end) : now) >= from);
  const boxes = packed(visible.map((bar) => {
    const x = placeOf(all, ms(bar.start));
    return { x, width: placeOf(all, bar.end ? ms(bar.end) : now) - x };
  }), width, 3);
  const error = errorOf(lane), newest = Math.max(lane.round, ...lane.bars.map((bar) => bar.round));
  const room = error ? roomFor(boxes, width, error.length * LETTER_PX) : null;
  const letters = room ? Math.floor(room.width / LETTER_PX) : 0;
  return el("g", { transform: `translate(0 ${y})` }, el("rect", { class: chosen ? "row chosen" : "row", width, height: ROW }), lane.waits.map((wait) => {
    const x = placeOf(all, ms(wait.start)), end = placeOf(all, wait.end ? ms(wait.end) : now);
    return end > x && el("path", { key: wait.start, class: `wait ${wait.after === "asked" ? "tone-hold" : "tone-wait"}`, d: `M${x} ${ROW / 2}H${end}` });
  }), visible.map((bar, at) => el("rect", { key: bar.attempt, class: `attempt tone-${toneOf(lane, bar)} ${bar.round < newest ? "before" : ""}`, x: boxes[at].x, width: boxes[at].width, y: (ROW - BAR) / 2, height: BAR, rx: "2" },
  el("title", null, inWords(bar, now)))), room && el("svg", { x: room.x, width: room.width, height: ROW, class: chosen ? "chosen" : "" },
  el("text", { class: "why-not", y: ROW / 2 + 4 }, error.length > letters ? `${error.slice(0, letters - 1)}…` : error)));
}
export {
  Timeline
};
