// Small parts that all pages share.

import type { ComponentChildren, JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "./api.ts";
import { useKeys } from "./keys.ts";
import { connection, now, say, tryNow, type Read } from "./live.ts";
import { session, whyNot } from "./state.ts";
import { head, moment, safe, span, type Look, type Tone } from "./words.ts";

const GLYPHS: Record<Tone, JSX.Element> = {
  ok: <path d="M3 8.5 6.5 12 13 4.5" />,
  bad: <path d="M4 4l8 8M12 4l-8 8" />,
  run: <circle cx="8" cy="8" r="5" class="filled" />,
  wait: <circle cx="8" cy="8" r="5" />,
  hold: <path d="M5.5 3v10M10.5 3v10" />,
  eye: <><path d="M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8Z" /><circle cx="8" cy="8" r="1.8" /></>,
  plain: <path d="M4 8h8" />,
};

export const Glyph = ({ tone }: { tone: Tone }) => (
  <svg class={`glyph tone-${tone}`} viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">{GLYPHS[tone]}</svg>
);

/** A state: never by colour alone. */
export const State = ({ look }: { look: Look }) => (
  <span class={`state tone-${look.tone}`}><Glyph tone={look.tone} /> {look.word}</span>
);

/** What is done of something, or how much of it is used. */
export function Progress({ done, total, failed = 0, use }: { done: number; total: number; failed?: number; use?: boolean }) {
  const part = (n: number) => (total ? (100 * Math.min(n, total)) / total : 0);
  return (
    <span class="progress">
      <svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
        <rect class="track" width="100" height="6" />
        <rect class={use ? "load" : "done"} width={part(done)} height="6" />
        <rect class="failed" x={part(done)} width={part(failed)} height="6" />
      </svg>
      {total ? `${done}/${total}` : "–"}
    </span>
  );
}

export const Labels = ({ labels }: { labels: Record<string, string> }) => (
  <>{Object.entries(labels).map(([name, value]) => <span class="label" key={name}>{safe(name)}:{safe(value)}</span>)}</>
);

/** A command to copy. Without a secure context there is no clipboard: then the text is selected. */
export function Command({ text }: { text: string }) {
  const code = useRef<HTMLElement>(null);
  const [copied, setCopied] = useState(false);
  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      say("Copied.");
      setTimeout(() => setCopied(false), 1500);
    } catch {
      if (code.current) getSelection()?.selectAllChildren(code.current);
      say("Selected: copy it with the keys of your system.");
    }
  }
  return (
    <span class="command">
      <code ref={code}>{safe(text)}</code>
      <button type="button" class="small" onClick={() => void copy()} aria-label={`Copy: ${text}`}>{copied ? "copied" : "copy"}</button>
    </span>
  );
}

export const Key = ({ children }: { children: ComponentChildren }) => <kbd>{children}</kbd>;

export function When({ time }: { time: string | null }) {
  return time ? <time dateTime={time} title={time}>{moment(time)}</time> : <>–</>;
}

/** How long ago something was; the exact time is in the title. */
export function Ago({ time }: { time: string | null }) {
  return time ? <time dateTime={time} title={moment(time)}>{span(now.value - Date.parse(time))}</time> : <>–</>;
}

export const Skeleton = ({ rows }: { rows: number }) => (
  <div class="skeleton" aria-hidden="true">{Array.from({ length: rows }, (_, row) => <i key={row} class={`w${(row * 7) % 4}`} />)}</div>
);

/** What a read has to show besides its data: that it takes long, or was refused. The data that was read last stays. */
export function Trouble({ read, what }: { read: Read<unknown>; what: string }) {
  if (read.error) return <Refused error={read.error} what={what} stale={read.data !== undefined} at={read.at} />;
  if (read.data === undefined && read.slow) return <><p class="hidden-text" role="status">Reading {what}.</p><Skeleton rows={8} /></>;
  return null;
}

export function Refused({ error, what, stale, at }: { error: ApiError; what: string; stale: boolean; at: number }) {
  if (error.disconnected && stale) return null; // the bar above says it
  return (
    <div class={`trouble ${error.forbidden ? "forbidden" : ""}`} role="alert">
      <strong>{error.forbidden ? `You may not see ${what}.` : error.status === 404 ? `${what.replace("the ", "No such ").replace(/s$/, "")}.` : `${what[0]!.toUpperCase()}${what.slice(1)} cannot be read.`}</strong>{" "}
      {safe(error.message)} <code>{error.code}</code>
      {stale && <> What is below was read <When time={new Date(at).toISOString()} />.</>}
    </div>
  );
}

/** What somebody asked for was refused, or got no answer. */
export const NotDone = ({ error }: { error: ApiError }) => (
  <div class="trouble" role="alert"><strong>Not done.</strong> {safe(error.message)} <code>{error.code}</code></div>
);

/** While the server does not answer: until the next try, and that nothing can be done meanwhile. The frame tells it to
 * screen readers, once: not each second. */
export function Disconnected() {
  if (connection.value.live) return null;
  const left = Math.max(0, Math.ceil((connection.value.retryAt - now.value) / 1000));
  return (
    <div class="disconnected">
      <Glyph tone="bad" /> The server does not answer. {left > 0 ? `Next try in ${left} s.` : "Trying now."} Actions are off until then.{" "}
      <button type="button" class="small" onClick={tryNow}>Try now</button>
    </div>
  );
}

interface ActProps {
  action: string; // of the role
  run?: () => void;
  submits?: boolean; // the form around it
  children: ComponentChildren;
  kind?: "main" | "danger" | "quiet";
  busy?: boolean;
  keys?: string;
}

/** A button for something that a role allows: who may not, sees it, off, with who may. */
export function Act({ action, run, submits, children, kind, busy, keys }: ActProps) {
  const why = whyNot(action);
  return (
    <button type={submits ? "submit" : "button"} class={kind ?? "quiet"} disabled={Boolean(why || busy) || !connection.value.live} title={why} data-action={action} onClick={run} aria-keyshortcuts={keys?.toUpperCase()}>
      {children}{keys && <Key>{keys}</Key>}
    </button>
  );
}

/** A value as text: its head, and the rest on request. */
export function Value({ value, name }: { value: unknown; name: string }) {
  const [whole, setWhole] = useState(false);
  const shown = head(value, whole ? 1 << 20 : 16 * 1024);
  return (
    <div class="value">
      <pre tabIndex={0} role="region" aria-label={name}>{shown.text}</pre>
      {shown.cut && !whole && <button type="button" class="small" onClick={() => setWhole(true)}>Show more</button>}
    </div>
  );
}

/** A dialog on top of the page: it takes the focus and all keys, keeps them, and gives them back.
 *
 * Args: `bare` leaves out the head; `ahead` gets what is typed before there is a field. */
export function Dialog({ title, close, children, bare, ahead }: { title: string; close: () => void; children: ComponentChildren; bare?: boolean; ahead?: (sign: string) => void }) {
  const box = useRef<HTMLDialogElement>(null);
  useKeys({ Escape: { does: "", run: close } }, true);
  useLayoutEffect(() => { // at once: the next key is for the dialog
    const dialog = box.current!;
    const before = document.activeElement;
    dialog.showModal();
    return () => {
      dialog.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog ref={box} class={bare ? "bare" : ""} aria-label={title} onCancel={(event) => { event.preventDefault(); close(); }} onClick={(event) => { if (event.target === box.current) close(); }}
      onKeyDown={(event) => { if (ahead && event.target === box.current && event.key.length === 1 && !event.ctrlKey && !event.metaKey) ahead(event.key); }}>
      {!bare && <header><h2>{title}</h2><button type="button" class="small" onClick={close}>Close</button></header>}
      {children}
    </dialog>
  );
}

/** Do one thing at a time; what is refused is kept to be shown. */
export function useAct(): { busy: boolean; problem: ApiError | null; run: <T>(what: () => Promise<T>, done: string) => Promise<T | undefined> } {
  const [busy, setBusy] = useState(false), [problem, setProblem] = useState<ApiError | null>(null);
  async function run<T>(what: () => Promise<T>, done: string): Promise<T | undefined> {
    if (busy) return undefined;
    setBusy(true);
    setProblem(null);
    try {
      const answer = await what();
      if (done) say(done);
      return answer;
    } catch (thrown) {
      const error = thrown instanceof ApiError ? thrown : new ApiError(-1, "fault", String(thrown));
      setProblem(error);
      say(error.message);
      return undefined;
    } finally {
      setBusy(false);
    }
  }
  return { busy, problem, run };
}

/** A fact of a list of facts. */
export const Fact = ({ name, children }: { name: string; children: ComponentChildren }) => <div><dt>{name}</dt><dd>{children}</dd></div>;

/** A table that scrolls by itself where it is too wide. A column that begins with # has numbers, one without a name acts. */
export const Table = ({ name, columns, caption, children }: { name: string; columns: string[]; caption?: string; children: ComponentChildren }) => (
  <div class="scroll-x" tabIndex={0} role="region" aria-label={name}>
    <table>
      {caption && <caption>{caption}</caption>}
      <thead><tr>{columns.map((each, at) => (each ? <th scope="col" key={at} class={each[0] === "#" ? "num" : ""}>{each.replace("#", "")}</th> : <td key={at} />))}</tr></thead>
      <tbody>{children}</tbody>
    </table>
  </div>
);

/** What is said where nothing fits, with each filter that can be taken out. */
export const NothingFits = ({ title, drops, children }: { title: string; drops: { name: string; drop: () => void }[]; children?: ComponentChildren }) => (
  <div class="empty"><h2>{title}</h2>{children}
    <p class="acts">{drops.map(({ name, drop }) => <button type="button" class="small" key={name} onClick={drop}>Drop {safe(name)}</button>)}</p>
  </div>
);

const drafts = new Map<string, string>();

/** What somebody types: whoever signs in again with the same key, after the session has ended, goes on with it. */
export function useDraft(name: string): [string, (text: string) => void] {
  const key = `${session.value?.key_id} ${name}`;
  const [text, setText] = useState(drafts.get(key) ?? "");
  return [text, (next) => { drafts.set(key, next); setText(next); }];
}
