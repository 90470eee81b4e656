// Follows the server's stream of changes (`GET /changes`, Server-Sent Events), and begins again where it ended, for as
// long as somebody wants it. It is the same code in the shared worker and, where a browser has none, in a page.
// It is read by `fetch` and not by EventSource: that does not tell a page why it was refused.

export interface Change {
  cursor: string;
  counts: Record<string, number> | null; // what is open, and tasks by status; null for who sees only its own tasks
  approvals_open: number | null;
  tasks: string[] | "many";
  also: string[]; // what else changed: bot, key, kill …
}
/** `live`: the stream is open. Else: why not (0: no answer), and when it is tried again (0: not by itself). */
export type Told = { change: Change } | { live: true } | { live: false; status: number; retryAt: number };

const PAUSES_S = [1, 2, 4, 8, 15, 30];
const SILENT_MS = 45_000; // the server sends a comment each 15 s: after three that did not come, the way is cut
const ENDED = [401, 403]; // who asks must sign in first, or may not hear of changes

export class Stream {
  private cursor = "";
  private failures = 0;
  private timer = 0;
  private stop: AbortController | undefined;

  constructor(private readonly address: string, private readonly tell: (told: Told) => void) {}

  /** Begin, or try again at once. */
  begin(): void {
    clearTimeout(this.timer);
    if (!this.stop) void this.follow();
  }

  /** End; the next time begins with how things are then. */
  end(): void {
    clearTimeout(this.timer);
    this.stop?.abort();
    this.stop = undefined;
    this.cursor = "";
    this.failures = 0;
  }

  private async follow(): Promise<void> {
    const stop = (this.stop = new AbortController());
    let status = 0, silent = 0;
    const heard = () => {
      clearTimeout(silent);
      silent = setTimeout(() => stop.abort(), SILENT_MS) as unknown as number;
    };
    try {
      heard();
      const headers: Record<string, string> = { accept: "text/event-stream" };
      if (this.cursor) headers["last-event-id"] = this.cursor;
      const response = await fetch(this.address, { headers, cache: "no-store", credentials: "same-origin", redirect: "error", signal: stop.signal });
      status = response.status;
      if (response.ok && response.body && this.stop === stop) {
        this.tell({ live: true });
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        const messages = new Messages((data) => { if (this.stop === stop) this.changed(JSON.parse(data) as Change); });
        for (;;) {
          const { done, value } = await reader.read();
          if (done || this.stop !== stop) break; // what had come when it was ended is not for who begins it next
          heard();
          this.failures = 0;
          messages.add(value);
        }
      } else if (status === 400 && this.stop === stop) {
        this.cursor = ""; // it is no cursor of this server: another store is behind the address
      }
    } catch {
      // No answer, or the answer ended early: what follows is the same.
    } finally {
      clearTimeout(silent);
    }
    if (this.stop !== stop) return; // it was ended meanwhile
    this.stop = undefined;
    const ended = ENDED.includes(status);
    const pause = 1000 * PAUSES_S[Math.min(this.failures++, PAUSES_S.length - 1)]!;
    this.tell({ live: false, status: status < 400 ? 0 : status, retryAt: ended ? 0 : Date.now() + pause });
    if (!ended) this.timer = setTimeout(() => this.begin(), pause) as unknown as number;
  }

  private changed(change: Change): void {
    this.cursor = change.cursor;
    this.tell({ change });
  }
}

/** Cuts a stream of text into messages, wherever its pieces end; comments and other fields are left out. */
export class Messages {
  private rest = "";

  constructor(private readonly found: (data: string) => void) {}

  add(piece: string): void {
    const whole = (this.rest + piece).split(/\r?\n\r?\n/);
    this.rest = whole.pop()!;
    for (const message of whole) {
      const data = message.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).replace(/^ /, ""));
      if (data.length) this.found(data.join("\n"));
    }
  }
}
