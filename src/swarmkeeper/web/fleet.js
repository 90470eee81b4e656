import { Fragment, el, useEffect, useRef, useState } from "./runtime.js";
import { lists, Chips, useKeys, useRead, FIRST_TASK, Act, Ago, Command, Dialog, Key, Labels, NotDone, Progress, State, Trouble, When, useAct, Fact, NothingFits, asked, go, put, written, may, Windowed, grouped, money, safe, near, counted, worse } from "./app.js";
// src/pages/fleet.tsx

// src/pages/fleet/states.ts
var killOf = (bot, kills) => kills.find(({ kind, name }) => kind === "tenant" || kind === "bot" && name === bot.name || kind === "owner" && name === bot.owner);
function lookOfBot(bot, kills) {
  if (killOf(bot, kills)) return { tone: "bad", word: "killed" };
  if (bot.stuck.length) return { tone: "bad", word: "stuck" };
  if (bot.status === "away") return { tone: "bad", word: "away" };
  if (bot.status === "draining") return { tone: "hold", word: "drained" };
  if (bot.status !== "active") return { tone: "hold", word: bot.status.replaceAll("_", " ") };
  if (bot.held) return { tone: "run", word: "working" };
  return bot.asking ? { tone: "ok", word: "asking" } : { tone: "hold", word: "quiet" };
}
function lookOfQueue(queue, kills) {
  if (kills.some(({ kind, name }) => kind === "tenant" || kind === "skill" && queue.skills.includes(name))) return { tone: "bad", word: "killed" };
  if (queue.waiting && !queue.bots) return { tone: "bad", word: "nobody can" };
  if (queue.waiting && !queue.bots_asking) return { tone: "hold", word: "nobody asks" };
  if (queue.leased || queue.out_per_minute) return { tone: "run", word: "moving" };
  return queue.waiting ? { tone: "wait", word: "waits" } : { tone: "plain", word: "quiet" };
}
var inOrder = (look, weight, name) => (a, b) => worse(look(a).tone, look(b).tone) || weight(b) - weight(a) || name(a).localeCompare(name(b), "en");
var BARE = /^[\w.,:=/@%+-]+$/;
var word = (text) => BARE.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
var runBot = (queue) => ["swarmkeeper bot run FILE", ...queue.assign_to ? [`--name ${word(queue.assign_to)}`] : [], ...queue.skills.map((skill) => `--skill ${word(skill)}`)].join(" ");

// src/pages/fleet.tsx
var SELDOM_MS = 1e4;
var QUEUES_SHOWN = 300;
var KIND = { Planner: "plans", Executor: "executes", Evaluator: "reviews" };
var killsFor = async () => may("kill.read") ? (await lists.kills()).items : [];
function chipsOf(looks, pressed) {
  const found = /* @__PURE__ */ new Map();
  for (const look of looks) {
    const chip = found.get(look.word) ?? { ...look, id: look.word, number: 0, pressed: pressed === look.word };
    found.set(look.word, { ...chip, number: chip.number + 1 });
  }
  return [...found.values()];
}
function Bots() {
  const line = asked("q"), only = asked("state"), open = asked("bot");
  const field = useRef(null);
  const reading = useRead("bots", async () => {
    const [bots2, kills2, costs] = await Promise.all([lists.bots(), killsFor(), may("bot.read") ? lists.costsByBot().catch(() => null) : null]);
    return { ...bots2, kills: kills2, costs: new Map(costs?.items.map((each) => [each.name, each])) };
  }, { on: (change) => change.also.some((each) => each === "bot" || each === "kill") || change.tasks === "many" || change.tasks.length > 0, seldom: SELDOM_MS });
  const seen = reading.state.value, kills = seen.data?.kills ?? [];
  const all = [...seen.data?.items ?? []].sort(inOrder((bot) => lookOfBot(bot, kills), (bot) => bot.held, (bot) => bot.name));
  const words = line.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (bot) => words.every((word2) => [bot.name, bot.type, bot.owner ?? "", bot.id, ...bot.skills].some((text) => text.toLowerCase().includes(word2)));
  const named = all.filter(fits);
  const bots = named.filter((bot) => !only || lookOfBot(bot, kills).word === only);
  const chosen = bots.findIndex((bot) => bot.id === open);
  const shown = all.find((bot) => bot.id === open);
  const choose = (index) => {
    const bot = near(bots, index);
    if (bot) put({ bot: bot.id });
  };
  useKeys({
    j: { does: "next bot", run: () => choose(chosen + 1) },
    k: { does: "previous bot", run: () => choose(chosen - 1) },
    "/": { does: "search in names and skills", run: () => field.current.focus() },
    Escape: { does: "close the bot, then take back filters", run: () => {
      if (document.activeElement === field.current) field.current.blur();
      else if (open) put({ bot: "" });
      else put({ q: "", state: "" });
    } }
  });
  useEffect(() => {
    if (field.current && document.activeElement !== field.current) field.current.value = line;
  }, [line]);
  const row = (index) => {
    const bot = bots[index], on = index === chosen;
    return el("div", { key: bot.id, role: "row", "aria-rowindex": index + 2, class: `task-row bot-row ${on ? "chosen" : ""}`, "aria-current": on ? "true" : void 0, onClick: () => put({ bot: bot.id }) },
    el("span", { role: "cell", class: "c-state" },
    el(State, { look: lookOfBot(bot, kills) })),
    el("span", { role: "cell", class: "c-title" },
    el("a", { href: `#/bots?bot=${bot.id}`, tabIndex: index === Math.max(0, chosen) ? 0 : -1, onClick: (event) => event.preventDefault() }, safe(bot.name))),
    el("span", { role: "cell", class: "c-bot" }, KIND[bot.type] ?? safe(bot.type)),
    el("span", { role: "cell", class: "c-labels" }, bot.skills.map((skill) => el("span", { class: "label", key: skill }, safe(skill))), !bot.skills.length && el("span", { class: "none" }, "–")),
    el("span", { role: "cell", class: "c-progress" },
    el(Progress, { use: true, done: bot.held, total: bot.capacity })),
    el("span", { role: "cell", class: "c-cost" }, money(seen.data?.costs.get(bot.name)?.cost_micro_usd)),
    el("span", { role: "cell", class: "c-changed" }, bot.last_seen ? el(Fragment, null,
    el(Ago, { time: bot.last_seen }), " ago") : "–"));
  };
  return el("div", { class: `tasks fleet ${shown ? "open" : ""}` },
  el("h1", { class: "hidden-text" }, "Bots"),
  el("div", { class: "fleet-list" }, all.length > 0 && el("div", { class: "filters" },
  el("form", { role: "search", class: "line", onSubmit: (event) => {
    event.preventDefault();
    put({ q: field.current.value.trim() });
    field.current.blur();
  } },
  el("label", { class: "hidden-text", for: "bots-query" }, "Search bots"),
  el("input", { id: "bots-query", ref: field, type: "search", defaultValue: line, spellcheck: false, placeholder: "name, kind, skill or owner   ( / )" })),
  el(Chips, { chips: chipsOf(named.map((bot) => lookOfBot(bot, kills)), only), toggle: (id) => put({ state: only === id ? "" : id }) })),
  el(Trouble, { read: seen, what: "the bots" }), seen.data && !all.length && el("div", { class: "empty" },
  el("h2", null, "No bot is here yet."),
  el("p", null, "Start one, and it shows here: ",
  el(Command, { text: "swarmkeeper bot run FILE" }))), all.length > 0 && !bots.length && el(NothingFits, { title: "No bot fits.", drops: ["q", "state"].filter(asked).map((name) => ({ name: asked(name), drop: () => put({ [name]: null }) })) }), bots.length > 0 && el(
    Windowed,
    {
      count: bots.length,
      row,
      chosen,
      label: "Bots",
      total: bots.length,
      nearEnd: () => void 0,
      headRow: el("div", { role: "rowgroup", class: "head" },
      el("div", { role: "row", class: "task-row bot-row", "aria-rowindex": 1 },
      el("span", { role: "columnheader" }, "State"),
      el("span", { role: "columnheader" }, "Name"),
      el("span", { role: "columnheader", class: "c-bot" }, "Kind"),
      el("span", { role: "columnheader", class: "c-labels" }, "Skills"),
      el("span", { role: "columnheader" }, "Load"),
      el("span", { role: "columnheader", class: "c-cost" }, "30 days"),
      el("span", { role: "columnheader", class: "c-changed" }, "Seen")))
    }
  ), bots.length > 0 && el("p", { class: "foot" }, counted(bots.length, "bot"), seen.data?.more && ", and more that are not shown",
  el("span", { class: "hints" },
  el(Key, null, "j"), " ",
  el(Key, null, "k"), " choose"))), shown && el(Inspector, { key: shown.id, bot: shown, kills, cost: seen.data?.costs.get(shown.name), again: reading.again, close: () => put({ bot: "" }) }));
}
function Inspector({ bot, kills, cost, again, close }) {
  const leases = useRead(`leases ${bot.id}`, () => lists.leases(bot.id), { seldom: SELDOM_MS });
  const held = leases.state.value;
  const [killing, setKilling] = useState(false);
  const { busy, problem, run: once } = useAct();
  const kill = killOf(bot, kills), own = kill?.kind === "bot";
  const drained = bot.status === "draining" || bot.status === "disabled";
  const run = (what, done) => once(async () => {
    await what();
    setKilling(false);
    await again();
  }, done);
  const drain = () => void run(() => lists.steerBot(bot.id, drained ? "enable" : "drain"), drained ? "It gets work again." : "It gets no more work.");
  const stop = () => {
    if (own) void run(() => lists.lift(kill.id), "The kill is lifted.");
    else setKilling(true);
  };
  useKeys({ d: { does: drained ? "enable the bot" : "drain the bot", run: drain }, x: { does: own ? "lift the kill" : "kill the bot", run: stop } });
  return el("aside", { class: "inspector", "aria-label": `Bot ${safe(bot.name)}` },
  el("header", { class: "acts" },
  el("h2", null, safe(bot.name)),
  el("button", { type: "button", class: "small", onClick: close }, "Close")),
  el("p", null,
  el(State, { look: lookOfBot(bot, kills) }), " ",
  el("code", null, bot.id)), kill && el("p", { class: "trouble" }, "Killed", kill.kind === "bot" ? "" : ` with its ${kill.kind}`, " ",
  el(Ago, { time: kill.placed_at }), " ago: ", safe(kill.reason), kill.until && el(Fragment, null, " Until ",
  el(When, { time: kill.until }), ".")), bot.status === "away" && el("p", { class: "trouble" }, "It has not called for two minutes. What it held goes to others."),
  el("dl", { class: "facts" },
  el(Fact, { name: "Kind" }, bot.type, bot.dedicated && ", only what needs its skills"),
  el(Fact, { name: "Version" }, safe(bot.version)), bot.owner && el(Fact, { name: "Owner" }, safe(bot.owner)),
  el(Fact, { name: "Skills" }, bot.skills.length ? bot.skills.map(safe).join(", ") : "none: it takes what needs none"), Object.keys(bot.labels).length > 0 && el(Fact, { name: "Labels" },
  el(Labels, { labels: bot.labels })),
  el(Fact, { name: "Here since" },
  el(When, { time: bot.created_at })),
  el(Fact, { name: "Last seen" }, bot.last_seen ? el(Fragment, null,
  el(Ago, { time: bot.last_seen }), " ago") : "–"), cost && el(Fact, { name: "30 days" }, money(cost.cost_micro_usd), " in ", counted(cost.attempts, "attempt"), " that told their cost")),
  el("div", { class: "acts" },
  el(Act, { action: drained ? "bot.enable" : "bot.drain", keys: "d", busy, run: drain }, drained ? "Enable" : "Drain"),
  el(Act, { action: "kill.manage", kind: "danger", keys: "x", busy: busy || Boolean(kill && !own), run: stop }, own ? "Lift the kill" : "Kill")), problem && el(NotDone, { error: problem }),
  el("section", { class: "card" },
  el("h3", null, held.data ? `Works on ${grouped(held.data.items.length)}${held.data.next_page_token ? " and more" : ""}` : "Works on"),
  el(Trouble, { read: held, what: "its leases" }), held.data && !held.data.items.length && el("p", { class: "none" }, "It holds nothing."),
  el("ul", { class: "leases" }, held.data?.items.map((lease) => el("li", { key: lease.lease_id },
  el("a", { href: `#/tasks/${lease.task_id}?subtask=${encodeURIComponent(lease.key)}` }, safe(lease.task_title)),
  el("span", null, safe(lease.key), ", attempt ", lease.attempt, " · for ",
  el(Ago, { time: lease.granted_at }), lease.cancelled && " · told to stop"))))), bot.stuck.length > 0 && el("section", { class: "card" },
  el("h3", null, "Still running after its lease ended"),
  el("ul", { class: "leases" }, bot.stuck.map((work) => el("li", { key: work.work_id },
  el("code", null, work.work_id),
  el("span", null, "for ",
  el(Ago, { time: work.since }), " ", safe(work.where)))))), killing && el(KillDialog, { bot, busy, close: () => setKilling(false), run: (reason) => void run(() => lists.kill({ kind: "bot", name: bot.name, reason }), "Killed.") }));
}
function KillDialog({ bot, busy, close, run }) {
  const [reason, setReason] = useState("");
  return el(Dialog, { title: `Kill ${safe(bot.name)}`, close }, el("form", { class: "bulk ask", onSubmit: (event) => {
    event.preventDefault();
    if (reason.trim() && !busy) run(reason.trim());
  } },
  el("p", null, "It gets no more work, on every server, under this name. Its leases are revoked at once: that work returns to its queue."),
  el("label", { class: "reason" }, "Why?",
  el("input", { type: "text", autofocus: true, required: true, maxLength: 500, value: reason, onInput: (event) => setReason(event.currentTarget.value) })),
  el("div", { class: "acts" },
  el("button", { type: "submit", class: "danger", disabled: !reason.trim() || busy }, "Kill"),
  el("button", { type: "button", onClick: close }, "Leave it"))));
}
function Queues() {
  const only = asked("state");
  const [chosen, setChosen] = useState(-1);
  const reading = useRead("queues", async () => {
    const [queues2, kills2] = await Promise.all([lists.queues(), killsFor()]);
    return { ...queues2, kills: kills2 };
  }, { seldom: SELDOM_MS });
  const seen = reading.state.value, kills = seen.data?.kills ?? [];
  const all = [...seen.data?.items ?? []].sort(inOrder((queue) => lookOfQueue(queue, kills), (queue) => queue.waiting, (queue) => `${queue.kind} ${queue.skills.join(" ")}`));
  const queues = all.filter((queue) => !only || lookOfQueue(queue, kills).word === only).slice(0, QUEUES_SHOWN);
  const address = (index) => written(["bots"], { q: [...queues[index].skills, queues[index].assign_to ?? ""].join(" ").trim() });
  useKeys({
    j: { does: "next queue", run: () => setChosen((at) => Math.min(at + 1, queues.length - 1)) },
    k: { does: "previous queue", run: () => setChosen((at) => Math.max(at - 1, 0)) },
    Enter: { does: "show the bots that can do it", run: () => {
      if (queues[chosen]) go(address(chosen));
    } },
    Escape: { does: "take back the filter", run: () => put({ state: "" }) }
  });
  useEffect(() => document.querySelector(".queues tr.chosen")?.scrollIntoView({ block: "nearest" }), [chosen]);
  const number = (n, atLeast = false) => n ? `${grouped(n)}${atLeast ? "+" : ""}` : el("span", { class: "none" }, "0");
  return el("div", { class: "tasks queues" },
  el("h1", { class: "hidden-text" }, "Queues"), all.length > 0 && el("div", { class: "filters" },
  el(Chips, { chips: chipsOf(all.map((queue) => lookOfQueue(queue, kills)), only), toggle: (id) => put({ state: only === id ? "" : id }) })),
  el(Trouble, { read: seen, what: "the queues" }), seen.data && !all.length && el("div", { class: "empty" },
  el("h2", null, "Nothing waits, and nothing is worked on."),
  el("p", null, "The work of a task shows here: ",
  el(Command, { text: FIRST_TASK }))), all.length > 0 && !queues.length && el(NothingFits, { title: "No queue is like this now.", drops: [{ name: only, drop: () => put({ state: null }) }] }), queues.length > 0 && el("div", { class: "scroll-x" },
  el("table", null,
  el("thead", null,
  el("tr", null,
  el("th", null, "State"),
  el("th", null, "Work"),
  el("th", { class: "n" }, "Waiting"),
  el("th", { class: "n" }, "Oldest"),
  el("th", { class: "n" }, "Running"),
  el("th", { class: "n wide" }, "In a minute"),
  el("th", { class: "n wide" }, "Out a minute"),
  el("th", { class: "n wide" }, "Bots asking"))),
  el("tbody", null, queues.map((queue, index) => {
    const look = lookOfQueue(queue, kills), helps = look.word === "nobody can" || look.word === "nobody asks";
    const kill = look.word === "killed" && kills.find(({ kind, name }) => kind === "tenant" || kind === "skill" && queue.skills.includes(name));
    return el("tr", { key: `${queue.kind} ${queue.assign_to} ${queue.skills.join(" ")}`, class: index === chosen ? "chosen" : "", "aria-current": index === chosen ? "true" : void 0 },
    el("td", null,
    el(State, { look })),
    el("td", { class: "work" },
    el("a", { href: address(index) }, queue.kind), " ", queue.skills.map((skill) => el("span", { class: "label", key: skill }, safe(skill))), queue.assign_to && el("span", { class: "none" }, "only ", safe(queue.assign_to)), helps && el("div", { class: "help" }, look.word === "nobody can" ? "No bot can do this. Start one:" : "Bots that can are here, but ask for no work. Start another:", " ",
    el(Command, { text: runBot(queue) })), kill && el("div", { class: "help" }, safe(kill.reason), " ",
    el(Command, { text: `swarmkeeper kill lift ${kill.id}` }))),
    el("td", { class: "n", "data-name": "waiting" }, number(queue.waiting, queue.waiting_at_least)),
    el("td", { class: "n", "data-name": "oldest" }, queue.oldest_at ? el(Ago, { time: queue.oldest_at }) : el("span", { class: "none" }, "–")),
    el("td", { class: "n", "data-name": "running" }, number(queue.leased, queue.leased_at_least)),
    el("td", { class: "n wide" }, number(queue.in_per_minute)),
    el("td", { class: "n wide" }, number(queue.out_per_minute)),
    el("td", { class: "n wide" }, queue.bots_asking, " of ", queue.bots));
  })))), queues.length > 0 && el("p", { class: "foot" }, counted(queues.length, "queue"), (seen.data?.more || all.length > QUEUES_SHOWN) && ", and more that are not shown",
  el("span", { class: "hints" },
  el(Key, null, "j"), " ",
  el(Key, null, "k"), " ",
  el(Key, null, "Enter"), " its bots")));
}
export {
  Bots,
  Queues
};
