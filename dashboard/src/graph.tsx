// Draws a plan as a graph.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { beside, curve, layout, SIZES, type Placed, type Way } from "./layout.ts";
import { Glyph } from "./parts.tsx";
import type { GraphProps } from "./plan.ts";
import { lookOfItem, safe, type Look } from "./words.ts";

const MARGIN = 12;
const TITLE_LENGTH = 20;
const SHRUNK = 0.75; // a little too wide a graph is drawn smaller; a wider one scrolls

const short = (text: string, max: number) => (text.length > max ? `${text.slice(0, max - 1)}…` : text);

/** Where it has `choose`, one stop of the tab key: arrows go to the node beside, Enter chooses. */
export function Graph({ nodes, edges, chosen, choose, fit = false, label }: GraphProps) {
  // Places depend on the plan alone, not on states, and what is added moves nothing to another order: nothing jumps.
  const shape = nodes.map((each) => each.key).join("\n") + "\0" + edges.map((each) => `${each.from}\n${each.to}`).join("\0");
  const earlier = useRef<Placed | undefined>(undefined);
  const placed = useMemo(() => (earlier.current = layout(nodes.map((each) => each.key), edges.map((each) => [each.from, each.to] as const), SIZES, earlier.current)), [shape]);
  const of = new Map(nodes.map((each) => [each.key, each]));
  const when = new Map(edges.map((each) => [`${each.from}\0${each.to}`, each.when]));
  const width = placed.width + 2 * MARGIN, height = placed.height + 2 * MARGIN;
  const box = useRef<HTMLDivElement>(null);
  const [pane, setPane] = useState<[number, number]>([width, height]);
  const [active, setActive] = useState<string | undefined>(undefined);
  const stop = active !== undefined && of.has(active) ? active : chosen !== undefined && of.has(chosen) ? chosen : nodes[0]?.key;
  const wide = Math.min(1, pane[0] / width), scale = fit ? Math.min(wide, pane[1] / height) : wide < SHRUNK ? 1 : wide;
  useLayoutEffect(() => {
    const element = box.current!;
    const measured = new ResizeObserver(() => setPane([element.clientWidth, element.clientHeight]));
    setPane([element.clientWidth, element.clientHeight]);
    measured.observe(element);
    return () => measured.disconnect();
  }, []);
  useEffect(() => {
    const at = chosen === undefined ? undefined : placed.at.get(chosen), element = box.current;
    if (!at || !element) return;
    const x = at.x * scale, y = at.y * scale;
    if (x < element.scrollLeft || x + SIZES.width * scale > element.scrollLeft + element.clientWidth) element.scrollLeft = x - element.clientWidth / 2;
    if (y < element.scrollTop || y + SIZES.height * scale > element.scrollTop + element.clientHeight) element.scrollTop = y - element.clientHeight / 2;
  }, [chosen, placed, scale]);
  function press(event: KeyboardEvent, key: string): void {
    if (event.key === "Enter" || event.key === " ") choose?.(key);
    else if (!event.key.startsWith("Arrow")) return;
    else {
      const next = beside(placed, key, event.key as Way);
      if (next !== undefined) {
        setActive(next);
        [...box.current!.querySelectorAll<SVGGElement>("[data-key]")].find((each) => each.dataset["key"] === next)?.focus();
      }
    }
    event.preventDefault();
  }
  return (
    <div class={fit ? "graph fit" : "graph"} ref={box} tabIndex={choose ? undefined : 0} role="group" aria-label={label}>
      <svg width={width * scale} height={height * scale} viewBox={`0 0 ${width} ${height}`} role="presentation">
        <g transform={`translate(${MARGIN} ${MARGIN})`}>
          {placed.edges.map((edge) => (
            <path key={`${edge.from}\0${edge.to}`} d={curve(edge.points)} class={`edge ${when.get(`${edge.from}\0${edge.to}`) === "success" ? "" : "loose"} tone-${lookOfItem(of.get(edge.from)!.status).tone}`} />
          ))}
          {[...placed.at].map(([key, at]) => {
            const node = of.get(key)!, look: Look = node.status ? lookOfItem(node.status) : { tone: "wait", word: "planned" };
            return (
              <g key={key} transform={`translate(${at.x} ${at.y})`} class={`node tone-${look.tone} ${key === chosen ? "chosen" : ""}`}
                {...(choose ? {
                  role: "button", "data-key": key, tabIndex: key === stop ? 0 : -1, "aria-pressed": key === chosen, onFocus: () => setActive(key),
                  onClick: () => choose(key), onKeyDown: (event: KeyboardEvent) => press(event, key),
                } : {})}>
                {(key.length > TITLE_LENGTH || node.note.length > TITLE_LENGTH) && <title>{`${safe(key)} ${look.word} · ${safe(node.note)}`}</title>}
                <rect width={SIZES.width} height={SIZES.height} rx="4" class="box" />
                <rect width="3" height={SIZES.height} class="side" />
                <g transform="translate(10 7)"><Glyph tone={look.tone} /></g>
                <text x="30" y="18" class="name">{short(safe(key), TITLE_LENGTH)}</text>
                <text x="30" y="34" class="note">{short(`${look.word}${node.note ? ` · ${safe(node.note)}` : ""}`, TITLE_LENGTH + 5)}</text>
              </g>
            );
          })}
        </g>
      </svg>
    </div>
  );
}
