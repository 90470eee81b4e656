// An output or input: the first 64 KiB as text, and up to 1 MiB as a tree. A worker reads it; see tree.ts.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ApiError, BASE } from "../../api.ts";
import { pending, scriptUrl, SKELETON_AFTER_MS } from "../../live.ts";
import { Command, Refused, Skeleton } from "../../parts.tsx";
import { asked, put } from "../../route.ts";
import { grouped, safe } from "../../words.ts";
import type { Act, Row, TreeAsked, TreeTold } from "../../tree.ts";

interface Props { task: string; subtask: string; pick?: "input"; name: string }
type Rows = Extract<TreeTold, { rows: Row[] }>;
type Head = Extract<TreeTold, { head: string }>;

export function Payload({ task, subtask, pick, name }: Props) {
  const worker = useRef<Worker | null>(null);
  const [head, setHead] = useState<Head | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [rows, setRows] = useState<Rows | null>(null);
  const [slow, setSlow] = useState(false);
  useEffect(() => {
    const made = new Worker(scriptUrl("tree.js") as string, { type: "module" });
    worker.current = made;
    const timer = setTimeout(() => setSlow(true), SKELETON_AFTER_MS);
    let reading = true;
    pending.value++;
    const read = () => { if (reading) { reading = false; pending.value--; } };
    made.onmessage = ({ data }: MessageEvent<TreeTold>) => {
      read();
      if ("failed" in data) setError(new ApiError(data.status, data.status ? "refused" : "unreachable", data.failed));
      else if ("head" in data) { setHead(data); ask({ rows: [0, 60] }); } else setRows(data);
    };
    made.onerror = () => {
      read();
      setError(new ApiError(0, "unreadable", "The server's files are of another version: reload the page."));
    };
    const path = `tasks/${encodeURIComponent(task)}/subtasks/${encodeURIComponent(subtask)}${pick ? "" : "/output"}`;
    ask({ read: new URL(`./${path}`, BASE).href, pick: pick ? [pick] : [] });
    return () => {
      clearTimeout(timer);
      read();
      made.terminate();
    };
  }, []);
  const ask = (asked: TreeAsked) => worker.current!.postMessage(asked);
  if (error) return <Refused error={error} what={pick ?? "the output"} stale={false} at={0} />;
  if (!head) return slow ? <Skeleton rows={3} /> : null;
  const asTree = head.whole && asked("as") === "tree", show = (as: string | null) => put({ as });
  return (
    <div class="value">
      <p class="as">
        {head.whole && <><button type="button" class="tab" aria-pressed={!asTree} onClick={() => show(null)}>text</button><button type="button" class="tab" aria-pressed={asTree} onClick={() => show("tree")}>tree</button></>}
        <span>{head.whole ? `${grouped(head.bytes)} bytes` : "more than 1 MiB"}</span>
      </p>
      {asTree ? rows && <Tree name={name} rows={rows} ask={ask} /> : <pre tabIndex={0} role="region" aria-label={name}>{safe(head.head)}</pre>}
      {head.cut && !asTree && <p>This is the beginning. To read the whole: {pick ? <Command text={`swarmkeeper task get ${task} ${subtask} --json`} /> : <Command text={`swarmkeeper task result ${task} ${subtask}`} />}</p>}
    </div>
  );
}

const ROW = 22, VIEW = 18, BEYOND = 20;
const MOVES: Record<string, { act?: Act; to?: number; by?: number }> = {
  ArrowDown: { by: 1 }, ArrowUp: { by: -1 }, PageDown: { by: VIEW }, PageUp: { by: -VIEW }, Home: { to: 0 }, End: { to: Infinity },
  Enter: { act: "toggle" }, " ": { act: "toggle" }, ArrowRight: { act: "open" }, ArrowLeft: { act: "close" },
};

/** A tree as of the ARIA practices: one stop of the tab key; arrows move, open and close. It has the rows in view only. */
function Tree({ name, rows, ask }: { name: string; rows: Rows; ask: (asked: TreeAsked) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const [id] = useState(() => `tree-${Math.random().toString(36).slice(2)}`);
  const range = (): [number, number] => {
    const first = Math.max(0, Math.floor((box.current?.scrollTop ?? 0) / ROW) - BEYOND);
    return [first, first + VIEW + 2 * BEYOND];
  };
  const { at } = rows;
  useLayoutEffect(() => { // what has the focus is in view
    const element = box.current!;
    if (at * ROW < element.scrollTop) element.scrollTop = at * ROW;
    else if ((at + 1) * ROW > element.scrollTop + element.clientHeight) element.scrollTop = (at + 1) * ROW - element.clientHeight;
  }, [at]);
  function press(event: KeyboardEvent): void {
    const move = MOVES[event.key];
    if (!move) return;
    event.preventDefault();
    ask({ rows: range(), ...move });
  }
  const here = rows.rows[at - rows.first];
  return (
    <div class="tree" ref={box} role="tree" aria-label={name} tabIndex={0} aria-activedescendant={here ? `${id}-${at}` : undefined}
      onScroll={() => { if (Math.abs(range()[0] - rows.first) > BEYOND / 2) ask({ rows: range() }); }} onKeyDown={press}>
      <div role="none" style={{ height: `${rows.total * ROW}px` }}>
        <div role="none" style={{ transform: `translateY(${rows.first * ROW}px)` }}>
          {rows.rows.map((row, offset) => {
            const number = rows.first + offset;
            return (
              <div key={number} id={`${id}-${number}`} class={number === at ? "row chosen" : "row"} role="treeitem" aria-level={row.depth + 1} aria-posinset={row.place} aria-setsize={row.of}
                aria-expanded={row.size ? row.open : undefined} aria-selected={number === at} style={{ paddingInlineStart: `${Math.min(row.depth, 24) * 14 + 4}px` }} onClick={() => ask({ rows: range(), to: number, act: "toggle" })}>
                <span class="twist" aria-hidden="true">{row.size ? (row.open ? "▾" : "▸") : ""}</span>
                {row.key !== null && <b>{safe(String(row.key))}: </b>}
                {row.kind === "object" ? <i>{`{${grouped(row.size)}}`}</i> : row.kind === "list" ? <i>{`[${grouped(row.size)}]`}</i> : <span class={`is-${row.kind}`}>{safe(row.text)}</span>}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}
