import assert from "node:assert/strict";
import test, { mock } from "node:test";
import { built } from "./built.mjs";

const { Messages, Stream } = await built("stream.ts");

/** Pseudo-random numbers below `below`: another seed, other cuts; the same seed, the same. */
function chance(seed) {
  let state = seed;
  return (below) => ((state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) >>> 8) % below;
}

function read(pieces) {
  const found = [];
  const messages = new Messages((data) => found.push(data));
  for (const piece of pieces) messages.add(piece);
  return found;
}

test("comments and other fields are left out, and lines of data belong together", () => {
  assert.deepEqual(read([": alive\n\nid: 1\nevent: x\ndata: one\n\ndata:two\ndata:  three\n\n:\n\ndata: rest"]), ["one", "two\n three"]);
});

test("an empty line of data is data", () => {
  assert.deepEqual(read(["data:\n\ndata\n\n"]), [""]);
});

test("messages are the same wherever the pieces of a stream are cut, and however its lines end", () => {
  const random = chance(7);
  for (let round = 0; round < 500; round++) {
    const wanted = [], end = random(2) ? "\r\n" : "\n";
    let text = "";
    for (let count = random(6); count > 0; count--) {
      if (random(3) === 0) text += `: alive${end}${end}`;
      const lines = Array.from({ length: 1 + random(3) }, () => `{"n":${random(100)}, "é":"🐝"}`.slice(0, random(20)));
      wanted.push(lines.join("\n"));
      text += [...(random(2) ? ["id: 5"] : []), ...lines.map((line) => `data: ${line}`)].join(end) + end + end;
    }
    const pieces = [];
    for (let at = 0; at < text.length;) {
      const next = at + random(9);
      pieces.push(text.slice(at, next));
      at = next;
    }
    assert.deepEqual(read(pieces), wanted, JSON.stringify(pieces));
  }
});

const change = (cursor) => ({ cursor, counts: null, approvals_open: 0, tasks: [], also: [] });
const told = (cursor) => `id: ${cursor}\ndata: ${JSON.stringify(change(cursor))}\n\n`;
const turns = async (count = 40) => { for (let turn = 0; turn < count; turn++) await new Promise(setImmediate); };

/** A server that answers as told, and a stream that asks it; time moves only when the test moves it. */
function scene(t) {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
  const asked = [], heard = [], answers = [];
  const before = globalThis.fetch;
  globalThis.fetch = (address, { headers, signal }) => {
    asked.push(headers["last-event-id"] ?? "");
    const answer = answers.shift() ?? { status: 0 };
    if (!answer.status) return Promise.reject(new TypeError("no answer"));
    let controller;
    const body = new ReadableStream({ start(made) { controller = made; } });
    const error = new DOMException("stopped", "AbortError");
    signal.addEventListener("abort", () => { try { controller.error(error); } catch { /* it has ended */ } });
    answer.say = (text) => controller.enqueue(new TextEncoder().encode(text));
    answer.close = () => controller.close();
    if (answer.first) answer.say(answer.first);
    return Promise.resolve(new Response(body, { status: answer.status }));
  };
  t.after(() => { stream.end(); globalThis.fetch = before; mock.timers.reset(); });
  const stream = new Stream("http://there/changes", (each) => heard.push(each));
  const pass = async (ms) => { mock.timers.tick(ms); await turns(); };
  return { asked, heard, answers, stream, pass, now: () => Date.now() };
}
const open = (first) => ({ status: 200, first });
const states = (heard) => heard.map((each) => ("change" in each ? each.change.cursor : each.live ? "live" : each.status));

test("a stream that is cut goes on after the last message that was heard", async (t) => {
  const { asked, heard, answers, stream, pass } = scene(t);
  const first = open(told("c1") + told("c2") + "data: {\"cur"), second = open(told("c3"));
  answers.push(first, second);
  stream.begin();
  await turns();
  first.close();
  await turns();
  await pass(1_000);
  assert.deepEqual(asked, ["", "c2"]);
  assert.deepEqual(states(heard), ["live", "c1", "c2", 0, "live", "c3"]);
});

test("without an answer it tries again after 1, 2, 4, 8, 15 and then each 30 seconds, and says when", async (t) => {
  const { asked, heard, stream, pass, now } = scene(t);
  stream.begin();
  await turns();
  const pauses = [];
  for (let tries = 1; tries <= 8; tries++) {
    assert.equal(asked.length, tries);
    pauses.push(heard.at(-1).retryAt - now());
    await pass(pauses.at(-1) - 1);
    assert.equal(asked.length, tries);
    await pass(1);
  }
  assert.deepEqual(pauses, [1, 2, 4, 8, 15, 30, 30, 30].map((seconds) => 1000 * seconds));
});

test("who asks for it gets the next try at once, and only one", async (t) => {
  const { asked, heard, answers, stream, pass } = scene(t);
  stream.begin();
  await turns();
  answers.push(open(told("c1")));
  stream.begin();
  stream.begin();
  await turns();
  assert.deepEqual(asked, ["", ""]);
  await pass(40_000);
  assert.deepEqual(states(heard), [0, "live", "c1"]);
});

test("an answer ends the long pauses only once it has said something", async (t) => {
  const { heard, answers, stream, pass, now } = scene(t);
  answers.push({ status: 0 }, { status: 0 }, open(""), open(told("c1")));
  stream.begin();
  await turns();
  await pass(1_000);
  const empty = answers[0];
  await pass(2_000);
  empty.close();
  await turns();
  assert.equal(heard.at(-1).retryAt - now(), 4_000);
  const full = answers[0];
  await pass(4_000);
  full.close();
  await turns();
  assert.equal(heard.at(-1).retryAt - now(), 1_000);
});

for (const status of [401, 403]) {
  test(`who must not listen (${status}) does not try again by itself`, async (t) => {
    const { asked, heard, answers, stream, pass } = scene(t);
    answers.push({ status });
    stream.begin();
    await turns();
    await pass(600_000);
    assert.deepEqual([asked.length, heard], [1, [{ live: false, status, retryAt: 0 }]]);
    answers.push(open(told("c1")));
    stream.begin();
    await turns();
    assert.deepEqual(states(heard), [status, "live", "c1"]);
  });
}

test("a cursor that the server does not know is forgotten", async (t) => {
  const { asked, heard, answers, stream, pass } = scene(t);
  const first = open(told("c1"));
  answers.push(first, { status: 400 }, open(told("d1")));
  stream.begin();
  await turns();
  first.close();
  await turns();
  await pass(1_000);
  await pass(2_000);
  assert.deepEqual(asked, ["", "c1", ""]);
  assert.deepEqual(states(heard), ["live", "c1", 0, 400, "live", "d1"]);
});

test("a way that says nothing for 45 seconds is cut, and a comment keeps it", async (t) => {
  const { asked, heard, answers, stream, pass } = scene(t);
  const first = open(told("c1"));
  answers.push(first, open(told("c2")));
  stream.begin();
  await turns();
  await pass(40_000);
  first.say(": alive\n\n");
  await turns();
  await pass(44_999);
  assert.equal(asked.length, 1);
  await pass(1);
  await pass(1_000);
  assert.deepEqual(asked, ["", "c1"]);
  assert.deepEqual(states(heard), ["live", "c1", 0, "live", "c2"]);
});

test("what is no message of changes cuts the stream, and what was heard stays heard", async (t) => {
  const { asked, heard, answers, stream, pass } = scene(t);
  answers.push(open(told("c1") + "data: <html>\n\n"), open(told("c2")));
  stream.begin();
  await turns();
  await pass(1_000);
  assert.deepEqual(asked, ["", "c1"]);
  assert.deepEqual(states(heard), ["live", "c1", 0, "live", "c2"]);
});

test("who ends it hears nothing more, not even what has come already; the next time begins anew", async (t) => {
  const { asked, heard, answers, stream, pass } = scene(t);
  const first = open("");
  answers.push(first, open(told("d1")));
  stream.begin();
  await turns();
  first.say(told("c1") + told("c2"));
  stream.end();
  await turns();
  await pass(60_000);
  assert.deepEqual(states(heard), ["live"]);
  stream.begin();
  await turns();
  assert.deepEqual(asked, ["", ""]);
  assert.deepEqual(states(heard), ["live", "live", "d1"]);
});

test("who ends it because of a message hears none that came with it", async (t) => {
  const { asked, answers } = scene(t);
  answers.push(open(told("c1") + told("c2")), open(told("d1")));
  const heard = [];
  const stream = new Stream("http://there/changes", (each) => {
    heard.push(each);
    if ("change" in each && each.change.cursor === "c1") stream.end();
  });
  stream.begin();
  await turns();
  stream.begin();
  await turns();
  stream.end();
  assert.deepEqual(asked, ["", ""]);
  assert.deepEqual(states(heard), ["live", "c1", "live", "d1"]);
});

test("a try that is ended before its answer comes says nothing", async (t) => {
  const { heard, answers, stream, pass } = scene(t);
  answers.push(open(told("c1")));
  stream.begin();
  stream.end();
  await turns();
  await pass(60_000);
  assert.deepEqual(heard, []);
});
