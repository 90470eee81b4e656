// A task over time: a lane for each subtask, plan and review, with a bar for each attempt and a thin line while it waits.
// Time in which nothing happened is folded. Only the lanes in view are drawn, and read again.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { useKeys } from "../../keys.ts";
import { now as clockNow, ofTask, useRead } from "../../live.ts";
import { Glyph, Trouble } from "../../parts.tsx";
import { counted, lookOfEnding, lookOfItem, moment, safe, span, type Tone } from "../../words.ts";
import type { Put } from "../task.tsx";
import { get, type Page } from "../../api.ts";
import { LEAST_MS, marks, packed, pieces, placeOf, roomFor, timeAt, type Piece } from "./lanes.ts";

const ROW = 26, BAR = 12, BEYOND = 6, PAGE = 200;
const LETTER_PX = 7;

interface Bar {
  attempt: number; bot: string | null; start: string; end: string | null; ending: string | null; round: number;
  error: { class: string | null; message: string } | null;
}
interface Lane {
  work_id: string; kind: "execute" | "plan" | "review"; key: string; subject: string | null; status: string; round: number; created_at: string;
  bars: Bar[]; bars_left_out: number; waits: { start: string; end: string | null; after: string | null }[];
}
interface Lanes extends Page<Lane> { created_at: string; updated_at: string; now: string }
interface Seen { pages: Lanes[]; ahead: number } // ahead: of the server's clock, against this one

const ms = (time: string): number => Date.parse(time);
/** A moment as a person reads it. */
function clock(time: number): { day: string; time: string; zone: string; offset: number } {
  const [date = "", month = "", at = "", zone = ""] = moment(new Date(time).toISOString()).split(" ");
  const [, sign, hours, minutes] = /UTC(?:([+−])(\d+)(?::(\d+))?)?/.exec(zone) ?? [];
  return { day: `${date} ${month}`, time: at, zone, offset: (sign === "−" ? -1 : 1) * (Number(hours ?? 0) * 60 + Number(minutes ?? 0)) * 60_000 };
}

const toneOf = (lane: Lane, bar: Bar): Tone => (bar.ending === null ? "run" : bar.ending === "succeeded" && lane.kind !== "execute" ? "eye" : lookOfEnding(bar.ending).tone);

/** By what a lane is chosen: plans and reviews have an address by id alone. */
const nameOf = (lane: Lane): string => (lane.kind === "execute" ? lane.key : lane.work_id);

export function Timeline({ id, query, set }: { id: string; query: URLSearchParams; set: Put }) {
  const wanted = useRef({ pages: 1, first: 0, last: 0 });
  const reading = useRead<Seen>(`timeline ${id}`, async (before) => {
    const { pages: count, first, last } = wanted.current;
    const pages = [...(before?.pages ?? [])];
    for (let at = 0; at < count; at++) {
      const token = at ? pages[at - 1]!.next_page_token : "";
      if (at && !token) break;
      // Those in view, and the end of the list, to which lanes are added.
      if (at >= pages.length || (at >= first && at <= last) || at === pages.length - 1) pages[at] = await get<Lanes>(`tasks/${encodeURIComponent(id)}/timeline`, { page_size: PAGE, page_token: token });
    }
    const newest = Math.max(...pages.map((each) => ms(each.now)));
    return { pages, ahead: newest - Date.now() };
  }, { on: ofTask(id) });
  const seen = reading.state.value;
  if (!seen.data) return <Trouble read={seen} what="the timeline" />;
  const { pages, ahead } = seen.data, more = pages[pages.length - 1]!.next_page_token !== "";
  const lanes = pages.flatMap((each) => each.items).filter((each) => query.get("only") !== "FAILED" || each.status === "FAILED");
  function inView(first: number, last: number): void {
    const page = Math.floor(last / PAGE);
    wanted.current = { pages: wanted.current.pages, first: Math.floor(first / PAGE), last: page };
    if (more && last >= lanes.length - 1 && wanted.current.pages === pages.length) {
      wanted.current.pages++;
      void reading.again();
    }
  }
  return (
    <>
      <Trouble read={seen} what="the timeline" />
      {query.get("only") === "FAILED" && <p class="only">Only failed: {lanes.length}. <button type="button" class="small" onClick={() => set({ only: null })}>Show all</button></p>}
      {lanes.length ? <Chart lanes={lanes} begun={ms(pages[0]!.created_at)} updated={ms(pages[0]!.updated_at)} ahead={ahead} more={more} query={query} set={set} inView={inView} /> : <p class="none pad">There are no lanes.</p>}
    </>
  );
}

interface ChartProps { lanes: Lane[]; begun: number; updated: number; ahead: number; more: boolean; query: URLSearchParams; set: Put; inView: (first: number, last: number) => void }

function Chart({ lanes, begun, updated, ahead, more, query, set, inView }: ChartProps) {
  const box = useRef<HTMLDivElement>(null), side = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(600);
  const [view, setView] = useState<[number, number]>([0, 40]);
  const [drag, setDrag] = useState<[number, number] | null>(null);
  const [active, setActive] = useState(0);
  const runs = lanes.some((each) => each.bars.some((bar) => bar.end === null) || each.waits.some((wait) => wait.end === null));
  const now = runs ? Math.max(clockNow.value + ahead, updated) : updated;
  const ends = lanes.flatMap((each) => each.bars.map((bar) => (bar.end ? ms(bar.end) : now)));
  const whole: [number, number] = [begun, Math.max(begun + LEAST_MS, runs ? now : Math.max(...ends, begun))];
  const asked = [query.get("from"), query.get("to")].map((each) => ms(each ?? ""));
  const zoomed = asked.every((each) => !Number.isNaN(each)) && asked[0]! < asked[1]!;
  const [from, to] = zoomed ? (asked as [number, number]) : whole;
  const all = useMemo(() => pieces(lanes.flatMap((each) => each.bars.map((bar) => ({ start: ms(bar.start), end: bar.end ? ms(bar.end) : now }))), from, to, width), [lanes, from, to, width, now]);
  const chosen = query.get("subtask"), chosenAt = lanes.findIndex((each) => nameOf(each) === chosen);

  function look(): void {
    const element = box.current;
    if (!element) return;
    const first = Math.max(0, Math.floor(element.scrollTop / ROW) - BEYOND), last = Math.ceil((element.scrollTop + element.clientHeight) / ROW) + BEYOND;
    setView((before) => (before[0] === first && before[1] === last ? before : [first, last]));
    setWidth(Math.max(80, element.clientWidth - side.current!.offsetWidth - 12));
    inView(first, last);
  }
  useLayoutEffect(look, [lanes.length]);
  useEffect(() => {
    const resized = new ResizeObserver(look);
    resized.observe(box.current!);
    return () => resized.disconnect();
  });
  const bring = (at: number) => {
    const element = box.current!;
    if (at * ROW < element.scrollTop) element.scrollTop = at * ROW;
    else if ((at + 1) * ROW > element.scrollTop + element.clientHeight) element.scrollTop = (at + 1) * ROW - element.clientHeight;
  };
  useEffect(() => { if (chosenAt >= 0) { setActive(chosenAt); bring(chosenAt); } }, [chosenAt]);

  const zoom = (begin: number, end: number) => {
    const least = Math.max(whole[0], Math.min(begin, end)), most = Math.min(whole[1], Math.max(begin, end));
    if (most - least < LEAST_MS) return;
    set(least <= whole[0] && most >= whole[1] ? { from: null, to: null } : { from: new Date(least).toISOString(), to: new Date(most).toISOString() });
  };
  const nearer = (part: number) => zoom(timeAt(all, width * part), timeAt(all, width * (1 - part)));
  const farther = () => zoom(from - (to - from) / 2, to + (to - from) / 2);
  const along = (part: number) => {
    const by = Math.max(whole[0] - from, Math.min(whole[1] - to, (to - from) * part));
    if (zoomed) zoom(from + by, to + by);
  };
  useKeys({
    0: { does: "fit the timeline into view", run: () => set({ from: null, to: null }) },
    "+": { does: "zoom in", run: () => nearer(0.25) },
    "-": { does: "zoom out", run: farther },
    ArrowLeft: { does: "earlier", run: () => along(-0.25) },
    ArrowRight: { does: "later", run: () => along(0.25) },
  });

  function move(event: KeyboardEvent, at: number): void {
    const next = ({ ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: lanes.length - 1, PageDown: at + 10, PageUp: at - 10 } as Record<string, number>)[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const to = Math.max(0, Math.min(lanes.length - 1, next));
    setActive(to);
    bring(to);
    look();
    const focus = () => { const lane = box.current?.querySelector<HTMLElement>(`[data-lane="${to}"]`); lane?.focus(); return lane; };
    if (!focus()) requestAnimationFrame(focus); // it is drawn first
  }

  const placeIn = (event: PointerEvent) => event.clientX - (event.currentTarget as Element).getBoundingClientRect().left;
  const first = Math.min(view[0], lanes.length), last = Math.min(view[1], lanes.length);
  const shown = lanes.slice(first, last);
  const stop = active >= first && active < last ? active : first; // the one lane at which the tab key stops
  const folds = all.filter((each) => each.folded);
  const begins = clock(from);
  return (
    <div class="timeline">
      <div class="axis">
        <span>{begins.day}, {begins.zone}</span>
        <svg width={width} height="22" aria-hidden="true">
          {marks(all, 84, clock).map((mark) => <g key={mark.time} transform={`translate(${mark.x} 0)`}><path d="M0 15v7" class="tick" /><text x="0" y="12">{mark.label}</text></g>)}
        </svg>
      </div>
      <div class="lanes" ref={box} onScroll={look}>
        <div class="side" ref={side} style={{ height: `${lanes.length * ROW}px` }}>
          <ul aria-label="Lanes" style={{ transform: `translateY(${first * ROW}px)` }}>
            {shown.map((lane, offset) => {
              const at = first + offset, name = nameOf(lane), look = lookOfItem(lane.status);
              return (
                <li key={lane.work_id} aria-setsize={more ? -1 : lanes.length} aria-posinset={at + 1}>
                  <button type="button" class="lane" data-lane={at} tabIndex={at === stop ? 0 : -1} aria-pressed={name === chosen} aria-label={said(lane, look.word)} title={safe(lane.key)}
                    onFocus={() => setActive(at)} onClick={() => set({ subtask: name })} onKeyDown={(event) => move(event, at)}>
                    <Glyph tone={look.tone} /><span class={lane.kind === "execute" ? "" : "aside"}>{safe(lane.key)}</span>
                  </button>
                </li>
              );
            })}
          </ul>
        </div>
        <svg class="chart" width={width} height={lanes.length * ROW} aria-hidden="true"
          onPointerDown={(event) => { if (event.button === 0) { event.currentTarget.setPointerCapture(event.pointerId); setDrag([placeIn(event), placeIn(event)]); } }}
          onPointerMove={(event) => { if (drag) setDrag([drag[0], Math.max(0, Math.min(width, placeIn(event)))]); }}
          onPointerCancel={() => setDrag(null)}
          onPointerUp={(event) => {
            if (!drag) return;
            setDrag(null);
            if (Math.abs(drag[1] - drag[0]) > 4) { zoom(timeAt(all, drag[0]), timeAt(all, drag[1])); return; }
            const lane = lanes[Math.floor((event.clientY - event.currentTarget.getBoundingClientRect().top) / ROW)];
            if (lane) set({ subtask: nameOf(lane) });
          }}>
          <defs><pattern id="fold" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path d="M0 0v6" class="hatch" /></pattern></defs>
          {folds.map((each) => <rect key={each.from} x={each.x} width={each.width} y={first * ROW} height={shown.length * ROW} fill="url(#fold)"><title>{`Nothing happened for ${span(each.to - each.from)}.`}</title></rect>)}
          {shown.map((lane, offset) => <Drawn key={lane.work_id} lane={lane} y={(first + offset) * ROW} all={all} from={from} to={to} now={now} width={width} chosen={nameOf(lane) === chosen} />)}
          {drag && <rect class="brush" x={Math.min(...drag)} width={Math.abs(drag[1] - drag[0])} y={first * ROW} height={shown.length * ROW} />}
        </svg>
      </div>
      <p class="foot">
        {span(to - from)}{folds.length > 0 && `, of which ${span(folds.reduce((sum, each) => sum + each.to - each.from, 0))} without work folded`}
        {zoomed && <> · <button type="button" class="small" onClick={() => set({ from: null, to: null })}>Show all the time</button></>}
        <span class="legend">{(["ok", "bad", "eye", "hold", "run"] as const).map((tone) => <span key={tone} class={`tone-${tone}`}><i />{LEGEND[tone]}</span>)}</span>
      </p>
    </div>
  );
}

const LEGEND = { ok: "done", bad: "failed", eye: "plan, review", hold: "asked or put off", run: "running" };

/** A lane in words. */
function said(lane: Lane, status: string): string {
  const count = lane.bars.length + lane.bars_left_out, error = errorOf(lane);
  return `${safe(lane.key)}: ${status}, ${counted(count, "attempt")}${error && `, ${error}`}`;
}

/** The newest error that no later attempt made good. */
function errorOf(lane: Lane): string {
  const last = lane.bars.filter((bar) => bar.ending !== null).pop();
  return last && last.ending !== "succeeded" ? safe(last.error?.message ?? "") : "";
}

function inWords(bar: Bar, now: number): string {
  const took = span((bar.end ? ms(bar.end) : now) - ms(bar.start));
  return safe(`Attempt ${bar.attempt}, round ${bar.round}${bar.bot ? ` by ${bar.bot}` : ""}: ${bar.ending === null ? "running" : lookOfEnding(bar.ending).word}, ${took}, from ${moment(bar.start)}${bar.error?.message ? `: ${bar.error.message}` : ""}`);
}

interface DrawnProps { lane: Lane; y: number; all: readonly Piece[]; from: number; to: number; now: number; width: number; chosen: boolean }

function Drawn({ lane, y, all, from, to, now, width, chosen }: DrawnProps) {
  const visible = lane.bars.filter((bar) => ms(bar.start) <= to && (bar.end ? ms(bar.end) : now) >= from);
  const boxes = packed(visible.map((bar) => {
    const x = placeOf(all, ms(bar.start));
    return { x, width: placeOf(all, bar.end ? ms(bar.end) : now) - x };
  }), width, 3);
  const error = errorOf(lane), newest = Math.max(lane.round, ...lane.bars.map((bar) => bar.round));
  const room = error ? roomFor(boxes, width, error.length * LETTER_PX) : null;
  const letters = room ? Math.floor(room.width / LETTER_PX) : 0;
  return (
    <g transform={`translate(0 ${y})`}>
      <rect class={chosen ? "row chosen" : "row"} width={width} height={ROW} />
      {lane.waits.map((wait) => {
        const x = placeOf(all, ms(wait.start)), end = placeOf(all, wait.end ? ms(wait.end) : now);
        return end > x && <path key={wait.start} class={`wait ${wait.after === "asked" ? "tone-hold" : "tone-wait"}`} d={`M${x} ${ROW / 2}H${end}`} />;
      })}
      {visible.map((bar, at) => (
        <rect key={bar.attempt} class={`attempt tone-${toneOf(lane, bar)} ${bar.round < newest ? "before" : ""}`} x={boxes[at]!.x} width={boxes[at]!.width} y={(ROW - BAR) / 2} height={BAR} rx="2"><title>{inWords(bar, now)}</title></rect>
      ))}
      {room && <svg x={room.x} width={room.width} height={ROW} class={chosen ? "chosen" : ""}><text class="why-not" y={ROW / 2 + 4}>{error.length > letters ? `${error.slice(0, letters - 1)}…` : error}</text></svg>}
    </g>
  );
}
