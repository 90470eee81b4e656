// A list that draws only the rows in view: ten thousand scroll like ten. All rows are equally tall.

import type { ComponentChildren } from "preact";
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";

const ROW = 34, ROW_NARROW = 68;
const BEYOND = 8; // rows drawn above and below the view

interface Props {
  count: number;
  row: (index: number) => ComponentChildren;
  chosen: number;
  label: string;
  headRow: ComponentChildren;
  total: number; // rows of the whole list; −1: not known
  nearEnd: () => void;
  seen?: (begin: number) => void; // the first row in view
}

const screen = matchMedia("(max-width: 760px)"), narrow = signal(screen.matches);
screen.addEventListener("change", () => { narrow.value = screen.matches; });

export function Windowed({ count, row, chosen, label, headRow, total, nearEnd, seen }: Props) {
  const box = useRef<HTMLDivElement>(null), body = useRef<HTMLDivElement>(null);
  const [view, setView] = useState<[number, number]>([0, 40]);
  const rowHeight = narrow.value ? ROW_NARROW : ROW;

  function look(): void {
    const element = box.current;
    if (!element) return; // an observer may still tell of what is gone
    const top = Math.max(0, element.scrollTop - body.current!.offsetTop);
    const begin = Math.max(0, Math.floor(top / rowHeight) - BEYOND);
    const end = Math.ceil((top + element.clientHeight) / rowHeight) + BEYOND;
    setView((before) => (before[0] === begin && before[1] === end ? before : [begin, end]));
    seen?.(begin + BEYOND);
    if (end >= count - 20) nearEnd();
  }
  useEffect(() => {
    const resized = new ResizeObserver(look);
    resized.observe(box.current!);
    return () => resized.disconnect();
  });
  useEffect(look, [count, rowHeight]);
  useEffect(() => {
    const element = box.current!;
    if (chosen < 0) return;
    const top = body.current!.offsetTop + chosen * rowHeight, above = body.current!.offsetTop;
    if (top - above < element.scrollTop) element.scrollTop = top - above;
    else if (top + rowHeight > element.scrollTop + element.clientHeight) element.scrollTop = top + rowHeight - element.clientHeight;
  }, [chosen]);

  const begin = Math.min(view[0], count), end = Math.min(view[1], count);
  const rows = [];
  for (let index = begin; index < end; index++) rows.push(row(index));
  return (
    <div class="windowed" ref={box} onScroll={look} role="table" aria-label={label} aria-rowcount={total < 0 ? -1 : total + 1}>
      {headRow}
      <div role="rowgroup" ref={body} class="rows" style={{ height: `${count * rowHeight}px` }}>
        <div class="moved" role="presentation" style={{ transform: `translateY(${begin * rowHeight}px)` }}>{rows}</div>
      </div>
    </div>
  );
}
