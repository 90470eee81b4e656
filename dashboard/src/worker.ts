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
});

addEventListener("connect", (event) => {
  const page = (event as MessageEvent).ports[0]!;
  page.onmessage = ({ data }: MessageEvent<Asked>) => {
    if (data === "begin") {
      pages.add(page);
      // What the other pages were told already; a page that begins reads all it shows anyway.
      if (last) page.postMessage(last);
      if (change) page.postMessage({ change: { ...change, tasks: [], also: [] } } satisfies Told);
      stream.begin();
    } else if (data === "end") {
      last = change = undefined;
      stream.end(); // somebody signed out: in all tabs
    } else {
      pages.delete(page);
      if (!pages.size) stream.end();
    }
  };
});
