import assert from "node:assert/strict";
import test from "node:test";
import { built } from "./built.mjs";

const { Rows, PAGE } = await built("pages/tasks/rows.ts");
const { labelAsked, offers } = await built("pages/tasks/complete.ts");
const { inOrder, lookOfBot, lookOfQueue, runBot } = await built("pages/fleet/states.ts");

/** A server's list: a token names the row after which a page begins, as the API's do. */
function server(ids) {
  const list = { ids, reads: 0 };
  list.read = async (size, token) => {
    list.reads++;
    const rest = list.ids.filter((id) => !token || id < Number(token)).slice(0, size);
    const more = list.ids.some((id) => id < rest.at(-1));
    return { items: rest.map((id) => ({ id, status: list.status ?? "old" })), next_page_token: more ? String(rest.at(-1)) : "" };
  };
  return list;
}
const down = (from, to) => Array.from({ length: from - to + 1 }, (_, at) => from - at);
const shown = (rows) => rows.all.map((row) => row.id);

test("rows are read page by page, each once", async () => {
  const list = server(down(1000, 1)), rows = new Rows(list.read);
  await rows.renew(0);
  await Promise.all([rows.next(), rows.next()]);
  assert.deepEqual(shown(rows), down(1000, 1001 - 2 * PAGE));
  await rows.next(500);
  await rows.next();
  assert.deepEqual([shown(rows), rows.more], [down(1000, 1), false]);
  assert.equal(list.reads, 4);
});

test("new rows come first, none is lost or there twice, and what has left the list goes", async () => {
  const list = server(down(1000, 1)), rows = new Rows(list.read);
  await rows.renew(0);
  await rows.next();
  list.ids = [...down(1005, 991), ...down(980, 1)];
  await rows.renew(0);
  assert.deepEqual(shown(rows), [...down(1005, 991), ...down(980, 601)]);
  await rows.next();
  assert.equal(new Set(shown(rows)).size, rows.all.length);
  assert.deepEqual(shown(rows), [...down(1005, 991), ...down(980, 401)]);
});

test("the page that is in view is read anew, and the pages between are not", async () => {
  const list = server(down(1000, 1)), rows = new Rows(list.read);
  await rows.renew(0);
  await rows.next();
  await rows.next();
  list.status = "new";
  const before = list.reads;
  await rows.renew(2 * PAGE + 20);
  assert.equal(list.reads, before + 2);
  assert.deepEqual([0, PAGE, 2 * PAGE + 20].map((at) => rows.all[at].status), ["new", "old", "new"]);
});

test("a list that has got short is short, and one that has grown at its end goes on", async () => {
  const list = server(down(1000, 1)), rows = new Rows(list.read);
  await rows.renew(0);
  await rows.next();
  list.ids = down(1000, 900);
  await rows.renew(0);
  assert.deepEqual([shown(rows), rows.more], [down(1000, 900), false]);
  list.ids = down(1000, 500);
  await rows.renew(0);
  await rows.next();
  assert.deepEqual(shown(rows), down(1000, 1001 - 2 * PAGE));
});

test("a page may be empty, and still not be the last", async () => {
  const pages = { "": { items: [], next_page_token: "a" }, a: { items: [{ id: 1 }], next_page_token: "b" }, b: { items: [], next_page_token: "" } };
  const rows = new Rows(async (_, token) => pages[token]);
  await rows.renew(0);
  await rows.next();
  assert.deepEqual([shown(rows), rows.more], [[1], false]);
});

test("names and values are completed at the cursor", () => {
  const words = (line, at = line.length, labels = []) => offers(line, at, labels).map((each) => each.word);
  assert.deepEqual(words("sta"), ["status:"]);
  assert.deepEqual(words("x status:c"), ["status:created", "status:completed"]);
  assert.deepEqual(words("SORT:o"), ["sort:oldest"]);
  assert.deepEqual([words(""), words("x "), words('"sta'), words("status:failed")], [[], [], [], []]);
  assert.equal(offers("status:fa invoice", 9, [])[0].line, "status:failed invoice");
  assert.deepEqual(words("status invoice", 3), []); // inside a word
  const labels = [{ key: "team", value: "docs", tasks: 1 }, { key: "team", value: "big money", tasks: 1200 }];
  assert.deepEqual(words("label:t", 7, labels), ["label:team="]);
  assert.deepEqual(offers("label:team=", 11, labels).map((each) => [each.line, each.hint]), [["label:team=docs ", "1 task"], ['label:"team=big money" ', "1,200 tasks"]]);
  assert.deepEqual([labelAsked("label:te", 8), labelAsked("label:team=d", 12), labelAsked("status:", 7)], ["", "team", undefined]);
});

test("a bot and a queue are what is worst about them, and the worst comes first", () => {
  const bot = (more) => ({ id: "b", name: "writer", owner: "ann", skills: ["a"], capacity: 4, held: 0, status: "active", asking: true, stuck: [], ...more });
  const kill = (kind, name) => [{ kind, name }];
  const word = (more, kills = []) => lookOfBot(bot(more), kills).word;
  assert.deepEqual([word({}), word({ held: 1 }), word({ asking: false }), word({ status: "draining", held: 1 }), word({ status: "away" }), word({ stuck: [{}] }), word({ status: "odd_word" })],
    ["asking", "working", "quiet", "drained", "away", "stuck", "odd word"]);
  assert.deepEqual([word({}, kill("bot", "writer")), word({}, kill("owner", "ann")), word({}, kill("tenant", "t")), word({}, kill("bot", "reader"))], ["killed", "killed", "killed", "asking"]);
  const queue = (more) => ({ kind: "execute", skills: ["a"], assign_to: null, waiting: 1, leased: 0, out_per_minute: 0, bots: 1, bots_asking: 1, ...more });
  const queues = [queue({ waiting: 0 }), queue({}), queue({ leased: 1 }), queue({ bots_asking: 0 }), queue({ bots: 0, bots_asking: 0 })];
  const sorted = [...queues].sort(inOrder((each) => lookOfQueue(each, []), (each) => each.waiting, () => ""));
  assert.deepEqual(sorted.map((each) => lookOfQueue(each, []).word), ["nobody can", "nobody asks", "moving", "waits", "quiet"]);
  assert.equal(lookOfQueue(queue({}), kill("skill", "a")).word, "killed");
  assert.equal(runBot({ skills: ["a b", "it's"], assign_to: "x" }), "swarmkeeper bot run FILE --name x --skill 'a b' --skill 'it'\\''s'");
});
