// The shared worker: one stream of changes for all tabs of a browser. A browser opens only six connections to a server
// over HTTP/1.1: with a stream for each tab, the seventh tab would hang.

import { Stream, type Change, type Told } from "./stream.ts";

export type Asked = "begin" | "end" | "bye";

const pages = new Set<MessagePort>();
let last: Told | undefined, change: Change | undefined;

const stream = new Stream(new URL("../changes", self.location.href).href, (told) => {
  if ("change" in told) change = told.change;
  else last = told;
  for (const page of pages) page.postMessage(told);
  if ("live" in told && !told.live && told.status === 401) end();
});

/** Nobody listens any more: who begins next may be somebody else. */
function end(): void {
  pages.clear();
  last = change = undefined;
  stream.end();
}

addEventListener("connect", (event) => {
  const page = (event as MessageEvent).ports[0]!;
  page.onmessage = ({ data }: MessageEvent<Asked>) => {
    if (data === "begin") {
      pages.add(page);
      // What the other pages were told already; a page that begins reads all it shows anyway.
      if (last) page.postMessage(last);
      if (change) page.postMessage({ change: { ...change, tasks: [], also: [] } } satisfies Told);
      stream.begin();
    } else if (!pages.delete(page)) {
      return; // it was told to sign out, and another tab may have signed in since
    } else if (data === "end") {
      // Somebody signed out: in all tabs.
      for (const other of pages) other.postMessage({ live: false, status: 401, retryAt: 0 } satisfies Told);
      end();
    } else if (!pages.size) {
      end();
    }
  };
});
