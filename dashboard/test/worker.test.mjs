import assert from "node:assert/strict";
import test from "node:test";
import { built } from "./built.mjs";

// What a shared worker has around it.
let connect;
const asked = [];
globalThis.self = { location: new URL("http://there/ui/worker.js") };
globalThis.addEventListener = (_, listener) => { connect = listener; };
globalThis.fetch = (address, { headers, signal }) => {
  let controller;
  const body = new ReadableStream({ start(made) { controller = made; } });
  signal.addEventListener("abort", () => controller.error(new DOMException("stopped", "AbortError")));
  asked.push({ address, after: headers["last-event-id"] ?? "", ended: () => signal.aborted, say: (text) => controller.enqueue(new TextEncoder().encode(text)) });
  return Promise.resolve(new Response(body, { status }));
};
let status = 200;
setTimeout(() => process.exit(1), 20_000).unref(); // a stream that nobody ended would keep the process for ever
await built("worker.ts");

const turns = async () => { for (let turn = 0; turn < 40; turn++) await new Promise(setImmediate); };
function tab() {
  const heard = [];
  const port = { postMessage: (told) => heard.push(told) };
  connect({ ports: [port] });
  return { heard, ask: async (data) => { port.onmessage({ data }); await turns(); } };
}
const change = (cursor, tasks) => ({ cursor, counts: null, approvals_open: 1, tasks, also: [] });
const line = (each) => `data: ${JSON.stringify(each)}\n\n`;
const OUT = { live: false, status: 401, retryAt: 0 };

test("all tabs share one stream; who comes later is told how things are, and the last to leave ends it", async () => {
  const [one, two] = [tab(), tab()];
  await one.ask("begin");
  asked[0].say(line(change("c1", ["tsk_1"])));
  await turns();
  await two.ask("begin");
  assert.deepEqual(asked.map((each) => each.address), ["http://there/changes"]);
  assert.deepEqual(one.heard, [{ live: true }, { change: change("c1", ["tsk_1"]) }]);
  assert.deepEqual(two.heard, [{ live: true }, { change: change("c1", []) }]);
  await one.ask("bye");
  asked[0].say(line(change("c2", [])));
  await turns();
  assert.deepEqual([one.heard.length, two.heard.length, asked[0].ended()], [2, 3, false]);
  await two.ask("bye");
  assert.ok(asked[0].ended());
  const late = tab();
  await late.ask("begin");
  assert.deepEqual([asked[1].after, late.heard], ["", [{ live: true }]]);
  await late.ask("bye");
});

test("who signs out is out in all tabs, and a tab that follows ends nothing of who signs in then", async () => {
  const [one, two] = [tab(), tab()];
  await one.ask("begin");
  await two.ask("begin");
  const before = asked.at(-1);
  await one.ask("end");
  assert.ok(before.ended());
  assert.deepEqual(two.heard.at(-1), OUT);
  assert.notDeepEqual(one.heard.at(-1), OUT);
  await one.ask("begin");
  await two.ask("end");
  assert.equal(asked.at(-1).ended(), false);
  assert.deepEqual(one.heard.at(-1), { live: true });
  await one.ask("bye");
});

test("a session that the server has ended is over in all tabs, and not for who signs in next", async () => {
  const [one, two] = [tab(), tab()];
  status = 401;
  await one.ask("begin");
  assert.deepEqual(one.heard, [OUT]);
  status = 200;
  await two.ask("begin");
  assert.deepEqual(two.heard, [{ live: true }]);
  await two.ask("bye");
});
