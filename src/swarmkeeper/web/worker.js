// src/stream.ts
var PAUSES_S = [1, 2, 4, 8, 15, 30];
var SILENT_MS = 45e3;
var ENDED = [401, 403];
var Stream = class {
  constructor(address, tell) {
    this.address = address;
    this.tell = tell;
  }
  address;
  tell;
  cursor = "";
  failures = 0;
  timer = 0;
  stop;
  /** Begin, or try again at once. */
  begin() {
    clearTimeout(this.timer);
    if (!this.stop) void this.follow();
  }
  /** End; the next time begins with how things are then. */
  end() {
    clearTimeout(this.timer);
    this.stop?.abort();
    this.stop = void 0;
    this.cursor = "";
    this.failures = 0;
  }
  async follow() {
    const stop = this.stop = new AbortController();
    let status = 0, silent = 0;
    const heard = () => {
      clearTimeout(silent);
      silent = setTimeout(() => stop.abort(), SILENT_MS);
    };
    try {
      heard();
      const headers = { accept: "text/event-stream" };
      if (this.cursor) headers["last-event-id"] = this.cursor;
      const response = await fetch(this.address, { headers, cache: "no-store", credentials: "same-origin", redirect: "error", signal: stop.signal });
      status = response.status;
      if (response.ok && response.body && this.stop === stop) {
        this.tell({ live: true });
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        const messages = new Messages((data) => {
          if (this.stop === stop) this.changed(JSON.parse(data));
        });
        for (; ; ) {
          const { done, value } = await reader.read();
          if (done || this.stop !== stop) break;
          heard();
          this.failures = 0;
          messages.add(value);
        }
      } else if (status === 400 && this.stop === stop) {
        this.cursor = "";
      }
    } catch {
    } finally {
      clearTimeout(silent);
    }
    if (this.stop !== stop) return;
    this.stop = void 0;
    const ended = ENDED.includes(status);
    const pause = 1e3 * PAUSES_S[Math.min(this.failures++, PAUSES_S.length - 1)];
    this.tell({ live: false, status: status < 400 ? 0 : status, retryAt: ended ? 0 : Date.now() + pause });
    if (!ended) this.timer = setTimeout(() => this.begin(), pause);
  }
  changed(change2) {
    this.cursor = change2.cursor;
    this.tell({ change: change2 });
  }
};
var Messages = class {
  constructor(found) {
    this.found = found;
  }
  found;
  rest = "";
  add(piece) {
    const whole = (this.rest + piece).split(/\r?\n\r?\n/);
    this.rest = whole.pop();
    for (const message of whole) {
      const data = message.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).replace(/^ /, ""));
      if (data.length) this.found(data.join("\n"));
    }
  }
};

// src/worker.ts
var pages = /* @__PURE__ */ new Set();
var last;
var change;
var stream = new Stream(new URL("../changes", self.location.href).href, (told) => {
  if ("change" in told) change = told.change;
  else last = told;
  for (const page of pages) page.postMessage(told);
  if ("live" in told && !told.live && told.status === 401) end();
});
function end() {
  pages.clear();
  last = change = void 0;
  stream.end();
}
addEventListener("connect", (event) => {
  const page = event.ports[0];
  page.onmessage = ({ data }) => {
    if (data === "begin") {
      pages.add(page);
      if (last) page.postMessage(last);
      if (change) page.postMessage({ change: { ...change, tasks: [], also: [] } });
      stream.begin();
    } else if (!pages.delete(page)) {
      return;
    } else if (data === "end") {
      for (const other of pages) other.postMessage({ live: false, status: 401, retryAt: 0 });
      end();
    } else if (!pages.size) {
      end();
    }
  };
});
