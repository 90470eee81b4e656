// src/pages/fleet.tsx
import { signal } from "./app.js";
import { useEffect, useRef, useState } from "./app.js";
import { ApiError, lists } from "./app.js";
import { Chips } from "./app.js";
import { useKeys } from "./app.js";
import { say, useRead } from "./app.js";
import { Act, Ago, Command, Dialog, Key, Labels, NotDone, State, Trouble, When } from "./app.js";
import { go, route, written } from "./app.js";
import { may } from "./app.js";
import { Windowed } from "./app.js";
import { grouped, money, safe } from "./app.js";

// src/pages/fleet/states.ts
import { worse } from "./app.js";
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
import { Fragment, jsx, jsxs } from "./app.js";
var ROW = 34;
var ROW_NARROW = 68;
var SELDOM_MS = 1e4;
var QUEUES_SHOWN = 300;
var KIND = { Planner: "plans", Executor: "executes", Evaluator: "reviews" };
var narrow = signal(matchMedia("(max-width: 760px)").matches);
matchMedia("(max-width: 760px)").addEventListener("change", (event) => {
  narrow.value = event.matches;
});
var killsFor = async () => may("kill.read") ? (await lists.kills()).items : [];
function useQuery(page) {
  const { query } = route.value;
  return [query, (changes, replace = true) => {
    const next = new URLSearchParams(query);
    for (const [name, value] of Object.entries(changes)) if (value) next.set(name, value);
    else next.delete(name);
    go(written([page], next), replace);
  }];
}
function chipsOf(looks, pressed) {
  const found = /* @__PURE__ */ new Map();
  for (const look of looks) {
    const chip = found.get(look.word) ?? { ...look, id: look.word, number: 0, pressed: pressed === look.word };
    found.set(look.word, { ...chip, number: chip.number + 1 });
  }
  return [...found.values()];
}
function Bots() {
  const [query, set] = useQuery("bots");
  const line = query.get("q") ?? "", only = query.get("state") ?? "", open = query.get("bot") ?? "";
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
    const bot = bots[Math.max(0, Math.min(index, bots.length - 1))];
    if (bot) set({ bot: bot.id });
  };
  useKeys({
    j: { does: "next bot", run: () => choose(chosen + 1) },
    k: { does: "previous bot", run: () => choose(chosen - 1) },
    "/": { does: "search in names and skills", run: () => field.current.focus() },
    Escape: { does: "close the bot, then take back filters", run: () => {
      if (document.activeElement === field.current) field.current.blur();
      else if (open) set({ bot: "" });
      else set({ q: "", state: "" });
    } }
  });
  useEffect(() => {
    if (field.current && document.activeElement !== field.current) field.current.value = line;
  }, [line]);
  const row = (index) => {
    const bot = bots[index], on = index === chosen;
    return /* @__PURE__ */ jsxs("div", { role: "row", "aria-rowindex": index + 2, class: `task-row bot-row ${on ? "chosen" : ""}`, "aria-current": on ? "true" : void 0, onClick: () => set({ bot: bot.id }), children: [
      /* @__PURE__ */ jsx("span", { role: "cell", class: "c-state", children: /* @__PURE__ */ jsx(State, { look: lookOfBot(bot, kills) }) }),
      /* @__PURE__ */ jsx("span", { role: "cell", class: "c-title", children: /* @__PURE__ */ jsx("a", { href: `#/bots?bot=${bot.id}`, tabIndex: index === Math.max(0, chosen) ? 0 : -1, onClick: (event) => event.preventDefault(), children: safe(bot.name) }) }),
      /* @__PURE__ */ jsx("span", { role: "cell", class: "c-bot", children: KIND[bot.type] ?? safe(bot.type) }),
      /* @__PURE__ */ jsxs("span", { role: "cell", class: "c-labels", children: [
        bot.skills.map((skill) => /* @__PURE__ */ jsx("span", { class: "label", children: safe(skill) }, skill)),
        !bot.skills.length && /* @__PURE__ */ jsx("span", { class: "none", children: "–" })
      ] }),
      /* @__PURE__ */ jsx("span", { role: "cell", class: "c-progress", children: /* @__PURE__ */ jsx(Load, { bot }) }),
      /* @__PURE__ */ jsx("span", { role: "cell", class: "c-cost", children: money(seen.data?.costs.get(bot.name)?.cost_micro_usd) }),
      /* @__PURE__ */ jsx("span", { role: "cell", class: "c-changed", children: bot.last_seen ? /* @__PURE__ */ jsxs(Fragment, { children: [
        /* @__PURE__ */ jsx(Ago, { time: bot.last_seen }),
        " ago"
      ] }) : "–" })
    ] }, bot.id);
  };
  return /* @__PURE__ */ jsxs("div", { class: `tasks fleet ${shown ? "open" : ""}`, children: [
    /* @__PURE__ */ jsx("h1", { class: "hidden-text", children: "Bots" }),
    /* @__PURE__ */ jsxs("div", { class: "fleet-list", children: [
      all.length > 0 && /* @__PURE__ */ jsxs("div", { class: "filters", children: [
        /* @__PURE__ */ jsxs("form", { role: "search", class: "line", onSubmit: (event) => {
          event.preventDefault();
          set({ q: field.current.value.trim() });
          field.current.blur();
        }, children: [
          /* @__PURE__ */ jsx("label", { class: "hidden-text", for: "bots-query", children: "Search bots" }),
          /* @__PURE__ */ jsx("input", { id: "bots-query", ref: field, type: "search", defaultValue: line, spellcheck: false, placeholder: "name, kind, skill or owner   ( / )" })
        ] }),
        /* @__PURE__ */ jsx(Chips, { chips: chipsOf(named.map((bot) => lookOfBot(bot, kills)), only), toggle: (id) => set({ state: only === id ? "" : id }) })
      ] }),
      /* @__PURE__ */ jsx(Trouble, { read: seen, what: "the bots" }),
      seen.data && !all.length && /* @__PURE__ */ jsxs("div", { class: "empty", children: [
        /* @__PURE__ */ jsx("h2", { children: "No bot is here yet." }),
        /* @__PURE__ */ jsxs("p", { children: [
          "Start one, and it shows here: ",
          /* @__PURE__ */ jsx(Command, { text: "swarmkeeper bot run FILE" })
        ] })
      ] }),
      all.length > 0 && !bots.length && /* @__PURE__ */ jsxs("div", { class: "empty", children: [
        /* @__PURE__ */ jsx("h2", { children: "No bot fits." }),
        /* @__PURE__ */ jsxs("p", { class: "acts", children: [
          line && /* @__PURE__ */ jsxs("button", { type: "button", class: "small", onClick: () => set({ q: "" }), children: [
            "Drop ",
            safe(line)
          ] }),
          only && /* @__PURE__ */ jsxs("button", { type: "button", class: "small", onClick: () => set({ state: "" }), children: [
            "Drop ",
            safe(only)
          ] })
        ] })
      ] }),
      bots.length > 0 && /* @__PURE__ */ jsx(
        Windowed,
        {
          count: bots.length,
          rowHeight: narrow.value ? ROW_NARROW : ROW,
          row,
          chosen,
          label: "Bots",
          total: bots.length,
          nearEnd: () => void 0,
          headRow: /* @__PURE__ */ jsx("div", { role: "rowgroup", class: "head", children: /* @__PURE__ */ jsxs("div", { role: "row", class: "task-row bot-row", "aria-rowindex": 1, children: [
            /* @__PURE__ */ jsx("span", { role: "columnheader", children: "State" }),
            /* @__PURE__ */ jsx("span", { role: "columnheader", children: "Name" }),
            /* @__PURE__ */ jsx("span", { role: "columnheader", class: "c-bot", children: "Kind" }),
            /* @__PURE__ */ jsx("span", { role: "columnheader", class: "c-labels", children: "Skills" }),
            /* @__PURE__ */ jsx("span", { role: "columnheader", children: "Load" }),
            /* @__PURE__ */ jsx("span", { role: "columnheader", class: "c-cost", children: "30 days" }),
            /* @__PURE__ */ jsx("span", { role: "columnheader", class: "c-changed", children: "Seen" })
          ] }) })
        }
      ),
      bots.length > 0 && /* @__PURE__ */ jsxs("p", { class: "foot", children: [
        grouped(bots.length),
        " ",
        bots.length === 1 ? "bot" : "bots",
        seen.data?.more && ", and more that are not shown",
        /* @__PURE__ */ jsxs("span", { class: "hints", children: [
          /* @__PURE__ */ jsx(Key, { children: "j" }),
          " ",
          /* @__PURE__ */ jsx(Key, { children: "k" }),
          " choose"
        ] })
      ] })
    ] }),
    shown && /* @__PURE__ */ jsx(Inspector, { bot: shown, kills, cost: seen.data?.costs.get(shown.name), again: reading.again, close: () => set({ bot: "" }) }, shown.id)
  ] });
}
function Load({ bot }) {
  return /* @__PURE__ */ jsxs("span", { class: "progress", children: [
    /* @__PURE__ */ jsxs("svg", { class: "bar", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true", children: [
      /* @__PURE__ */ jsx("rect", { class: "track", width: "100", height: "6" }),
      /* @__PURE__ */ jsx("rect", { class: "load", width: Math.min(100, 100 * bot.held / bot.capacity), height: "6" })
    ] }),
    bot.held,
    "/",
    bot.capacity
  ] });
}
function Inspector({ bot, kills, cost, again, close }) {
  const leases = useRead(`leases ${bot.id}`, () => lists.leases(bot.id), { seldom: SELDOM_MS });
  const held = leases.state.value;
  const [killing, setKilling] = useState(false);
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const kill = killOf(bot, kills), own = kill?.kind === "bot";
  const drained = bot.status === "draining" || bot.status === "disabled";
  async function run(what, done) {
    setBusy(true);
    setProblem(null);
    try {
      await what();
      say(done);
      setKilling(false);
      await again();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setProblem(error);
    } finally {
      setBusy(false);
    }
  }
  const drain = () => void run(() => lists.steerBot(bot.id, drained ? "enable" : "drain"), drained ? "It gets work again." : "It gets no more work.");
  const stop = () => {
    if (own) void run(() => lists.lift(kill.id), "The kill is lifted.");
    else setKilling(true);
  };
  useKeys({ d: { does: drained ? "enable the bot" : "drain the bot", run: drain }, x: { does: own ? "lift the kill" : "kill the bot", run: stop } });
  return /* @__PURE__ */ jsxs("aside", { class: "inspector", "aria-label": `Bot ${safe(bot.name)}`, children: [
    /* @__PURE__ */ jsxs("header", { class: "acts", children: [
      /* @__PURE__ */ jsx("h2", { children: safe(bot.name) }),
      /* @__PURE__ */ jsx("button", { type: "button", class: "small", onClick: close, children: "Close" })
    ] }),
    /* @__PURE__ */ jsxs("p", { children: [
      /* @__PURE__ */ jsx(State, { look: lookOfBot(bot, kills) }),
      " ",
      /* @__PURE__ */ jsx("code", { children: bot.id })
    ] }),
    kill && /* @__PURE__ */ jsxs("p", { class: "trouble", children: [
      "Killed",
      kill.kind === "bot" ? "" : ` with its ${kill.kind}`,
      " ",
      /* @__PURE__ */ jsx(Ago, { time: kill.placed_at }),
      " ago: ",
      safe(kill.reason),
      kill.until && /* @__PURE__ */ jsxs(Fragment, { children: [
        " Until ",
        /* @__PURE__ */ jsx(When, { time: kill.until }),
        "."
      ] })
    ] }),
    bot.status === "away" && /* @__PURE__ */ jsx("p", { class: "trouble", children: "It has not called for two minutes. What it held goes to others." }),
    /* @__PURE__ */ jsxs("dl", { class: "facts", children: [
      /* @__PURE__ */ jsxs("div", { children: [
        /* @__PURE__ */ jsx("dt", { children: "Kind" }),
        /* @__PURE__ */ jsxs("dd", { children: [
          bot.type,
          bot.dedicated && ", only what needs its skills"
        ] })
      ] }),
      /* @__PURE__ */ jsxs("div", { children: [
        /* @__PURE__ */ jsx("dt", { children: "Version" }),
        /* @__PURE__ */ jsx("dd", { children: safe(bot.version) })
      ] }),
      bot.owner && /* @__PURE__ */ jsxs("div", { children: [
        /* @__PURE__ */ jsx("dt", { children: "Owner" }),
        /* @__PURE__ */ jsx("dd", { children: safe(bot.owner) })
      ] }),
      /* @__PURE__ */ jsxs("div", { children: [
        /* @__PURE__ */ jsx("dt", { children: "Skills" }),
        /* @__PURE__ */ jsx("dd", { children: bot.skills.length ? bot.skills.map(safe).join(", ") : "none: it takes what needs none" })
      ] }),
      Object.keys(bot.labels).length > 0 && /* @__PURE__ */ jsxs("div", { children: [
        /* @__PURE__ */ jsx("dt", { children: "Labels" }),
        /* @__PURE__ */ jsx("dd", { children: /* @__PURE__ */ jsx(Labels, { labels: bot.labels }) })
      ] }),
      /* @__PURE__ */ jsxs("div", { children: [
        /* @__PURE__ */ jsx("dt", { children: "Here since" }),
        /* @__PURE__ */ jsx("dd", { children: /* @__PURE__ */ jsx(When, { time: bot.created_at }) })
      ] }),
      /* @__PURE__ */ jsxs("div", { children: [
        /* @__PURE__ */ jsx("dt", { children: "Last seen" }),
        /* @__PURE__ */ jsx("dd", { children: bot.last_seen ? /* @__PURE__ */ jsxs(Fragment, { children: [
          /* @__PURE__ */ jsx(Ago, { time: bot.last_seen }),
          " ago"
        ] }) : "–" })
      ] }),
      cost && /* @__PURE__ */ jsxs("div", { children: [
        /* @__PURE__ */ jsx("dt", { children: "30 days" }),
        /* @__PURE__ */ jsxs("dd", { children: [
          money(cost.cost_micro_usd),
          " in ",
          grouped(cost.attempts),
          " ",
          cost.attempts === 1 ? "attempt" : "attempts",
          " that told their cost"
        ] })
      ] })
    ] }),
    /* @__PURE__ */ jsxs("div", { class: "acts", children: [
      /* @__PURE__ */ jsx(Act, { action: drained ? "bot.enable" : "bot.drain", keys: "d", busy, run: drain, children: drained ? "Enable" : "Drain" }),
      /* @__PURE__ */ jsx(Act, { action: "kill.manage", kind: "danger", keys: "x", busy: busy || Boolean(kill && !own), run: stop, children: own ? "Lift the kill" : "Kill" })
    ] }),
    problem && /* @__PURE__ */ jsx(NotDone, { error: problem }),
    /* @__PURE__ */ jsxs("section", { class: "card", children: [
      /* @__PURE__ */ jsx("h3", { children: held.data ? `Works on ${grouped(held.data.items.length)}${held.data.next_page_token ? " and more" : ""}` : "Works on" }),
      /* @__PURE__ */ jsx(Trouble, { read: held, what: "its leases" }),
      held.data && !held.data.items.length && /* @__PURE__ */ jsx("p", { class: "none", children: "It holds nothing." }),
      /* @__PURE__ */ jsx("ul", { class: "leases", children: held.data?.items.map((lease) => /* @__PURE__ */ jsxs("li", { children: [
        /* @__PURE__ */ jsx("a", { href: `#/tasks/${lease.task_id}?subtask=${encodeURIComponent(lease.key)}`, children: safe(lease.task_title) }),
        /* @__PURE__ */ jsxs("span", { children: [
          safe(lease.key),
          ", attempt ",
          lease.attempt,
          " · for ",
          /* @__PURE__ */ jsx(Ago, { time: lease.granted_at }),
          lease.cancelled && " · told to stop"
        ] })
      ] }, lease.lease_id)) })
    ] }),
    bot.stuck.length > 0 && /* @__PURE__ */ jsxs("section", { class: "card", children: [
      /* @__PURE__ */ jsx("h3", { children: "Still running after its lease ended" }),
      /* @__PURE__ */ jsx("ul", { class: "leases", children: bot.stuck.map((work) => /* @__PURE__ */ jsxs("li", { children: [
        /* @__PURE__ */ jsx("code", { children: work.work_id }),
        /* @__PURE__ */ jsxs("span", { children: [
          "for ",
          /* @__PURE__ */ jsx(Ago, { time: work.since }),
          " ",
          safe(work.where)
        ] })
      ] }, work.work_id)) })
    ] }),
    killing && /* @__PURE__ */ jsx(KillDialog, { bot, busy, close: () => setKilling(false), run: (reason) => void run(() => lists.kill("bot", bot.name, reason), "Killed.") })
  ] });
}
function KillDialog({ bot, busy, close, run }) {
  const [reason, setReason] = useState("");
  useKeys({ Escape: { does: "", run: close } }, true);
  return /* @__PURE__ */ jsx(Dialog, { title: `Kill ${safe(bot.name)}`, close, children: /* @__PURE__ */ jsxs("form", { class: "bulk ask", onSubmit: (event) => {
    event.preventDefault();
    if (reason.trim() && !busy) run(reason.trim());
  }, children: [
    /* @__PURE__ */ jsx("p", { children: "It gets no more work, on every server, under this name. Its leases are revoked at once: that work returns to its queue." }),
    /* @__PURE__ */ jsxs("label", { class: "reason", children: [
      "Why?",
      /* @__PURE__ */ jsx("input", { type: "text", autofocus: true, required: true, maxLength: 500, value: reason, onInput: (event) => setReason(event.currentTarget.value) })
    ] }),
    /* @__PURE__ */ jsxs("div", { class: "acts", children: [
      /* @__PURE__ */ jsx("button", { type: "submit", class: "danger", disabled: !reason.trim() || busy, children: "Kill" }),
      /* @__PURE__ */ jsx("button", { type: "button", onClick: close, children: "Leave it" })
    ] })
  ] }) });
}
function Queues() {
  const [query, set] = useQuery("queues");
  const only = query.get("state") ?? "";
  const [chosen, setChosen] = useState(-1);
  const reading = useRead("queues", async () => {
    const [queues2, kills2] = await Promise.all([lists.queues(), killsFor()]);
    return { ...queues2, kills: kills2 };
  }, { seldom: SELDOM_MS });
  const seen = reading.state.value, kills = seen.data?.kills ?? [];
  const all = [...seen.data?.items ?? []].sort(inOrder((queue) => lookOfQueue(queue, kills), (queue) => queue.waiting, (queue) => `${queue.kind} ${queue.skills.join(" ")}`));
  const queues = all.filter((queue) => !only || lookOfQueue(queue, kills).word === only).slice(0, QUEUES_SHOWN);
  const address = (index) => `#/bots?${new URLSearchParams({ q: [...queues[index].skills, queues[index].assign_to ?? ""].join(" ").trim() })}`;
  useKeys({
    j: { does: "next queue", run: () => setChosen((at) => Math.min(at + 1, queues.length - 1)) },
    k: { does: "previous queue", run: () => setChosen((at) => Math.max(at - 1, 0)) },
    Enter: { does: "show the bots that can do it", run: () => {
      if (queues[chosen]) go(address(chosen));
    } },
    Escape: { does: "take back the filter", run: () => set({ state: "" }) }
  });
  useEffect(() => document.querySelector(".queues tr.chosen")?.scrollIntoView({ block: "nearest" }), [chosen]);
  const number = (n, atLeast = false) => n ? `${grouped(n)}${atLeast ? "+" : ""}` : /* @__PURE__ */ jsx("span", { class: "none", children: "0" });
  return /* @__PURE__ */ jsxs("div", { class: "tasks queues", children: [
    /* @__PURE__ */ jsx("h1", { class: "hidden-text", children: "Queues" }),
    all.length > 0 && /* @__PURE__ */ jsx("div", { class: "filters", children: /* @__PURE__ */ jsx(Chips, { chips: chipsOf(all.map((queue) => lookOfQueue(queue, kills)), only), toggle: (id) => set({ state: only === id ? "" : id }) }) }),
    /* @__PURE__ */ jsx(Trouble, { read: seen, what: "the queues" }),
    seen.data && !all.length && /* @__PURE__ */ jsxs("div", { class: "empty", children: [
      /* @__PURE__ */ jsx("h2", { children: "Nothing waits, and nothing is worked on." }),
      /* @__PURE__ */ jsx("p", { children: "Work shows here as soon as a task has some." })
    ] }),
    all.length > 0 && !queues.length && /* @__PURE__ */ jsxs("div", { class: "empty", children: [
      /* @__PURE__ */ jsx("h2", { children: "No queue is like this now." }),
      /* @__PURE__ */ jsxs("button", { type: "button", class: "small", onClick: () => set({ state: "" }), children: [
        "Drop ",
        safe(only)
      ] })
    ] }),
    queues.length > 0 && /* @__PURE__ */ jsx("div", { class: "scroll-x", children: /* @__PURE__ */ jsxs("table", { children: [
      /* @__PURE__ */ jsx("thead", { children: /* @__PURE__ */ jsxs("tr", { children: [
        /* @__PURE__ */ jsx("th", { children: "State" }),
        /* @__PURE__ */ jsx("th", { children: "Work" }),
        /* @__PURE__ */ jsx("th", { class: "n", children: "Waiting" }),
        /* @__PURE__ */ jsx("th", { class: "n", children: "Oldest" }),
        /* @__PURE__ */ jsx("th", { class: "n", children: "Running" }),
        /* @__PURE__ */ jsx("th", { class: "n wide", children: "In a minute" }),
        /* @__PURE__ */ jsx("th", { class: "n wide", children: "Out a minute" }),
        /* @__PURE__ */ jsx("th", { class: "n wide", children: "Bots asking" })
      ] }) }),
      /* @__PURE__ */ jsx("tbody", { children: queues.map((queue, index) => {
        const look = lookOfQueue(queue, kills), helps = look.word === "nobody can" || look.word === "nobody asks";
        const kill = look.word === "killed" && kills.find(({ kind, name }) => kind === "tenant" || kind === "skill" && queue.skills.includes(name));
        return /* @__PURE__ */ jsxs("tr", { class: index === chosen ? "chosen" : "", "aria-current": index === chosen ? "true" : void 0, children: [
          /* @__PURE__ */ jsx("td", { children: /* @__PURE__ */ jsx(State, { look }) }),
          /* @__PURE__ */ jsxs("td", { class: "work", children: [
            /* @__PURE__ */ jsx("a", { href: address(index), children: queue.kind }),
            " ",
            queue.skills.map((skill) => /* @__PURE__ */ jsx("span", { class: "label", children: safe(skill) }, skill)),
            queue.assign_to && /* @__PURE__ */ jsxs("span", { class: "none", children: [
              "only ",
              safe(queue.assign_to)
            ] }),
            helps && /* @__PURE__ */ jsxs("div", { class: "help", children: [
              look.word === "nobody can" ? "No bot can do this. Start one:" : "Bots that can are here, but ask for no work. Start another:",
              " ",
              /* @__PURE__ */ jsx(Command, { text: runBot(queue) })
            ] }),
            kill && /* @__PURE__ */ jsxs("div", { class: "help", children: [
              safe(kill.reason),
              " ",
              /* @__PURE__ */ jsx(Command, { text: `swarmkeeper kill lift ${kill.id}` })
            ] })
          ] }),
          /* @__PURE__ */ jsx("td", { class: "n", "data-name": "waiting", children: number(queue.waiting, queue.waiting_at_least) }),
          /* @__PURE__ */ jsx("td", { class: "n", "data-name": "oldest", children: queue.oldest_at ? /* @__PURE__ */ jsx(Ago, { time: queue.oldest_at }) : /* @__PURE__ */ jsx("span", { class: "none", children: "–" }) }),
          /* @__PURE__ */ jsx("td", { class: "n", "data-name": "running", children: number(queue.leased, queue.leased_at_least) }),
          /* @__PURE__ */ jsx("td", { class: "n wide", children: number(queue.in_per_minute) }),
          /* @__PURE__ */ jsx("td", { class: "n wide", children: number(queue.out_per_minute) }),
          /* @__PURE__ */ jsxs("td", { class: "n wide", children: [
            queue.bots_asking,
            " of ",
            queue.bots
          ] })
        ] }, `${queue.kind} ${queue.assign_to} ${queue.skills.join(" ")}`);
      }) })
    ] }) }),
    queues.length > 0 && /* @__PURE__ */ jsxs("p", { class: "foot", children: [
      grouped(queues.length),
      " ",
      queues.length === 1 ? "queue" : "queues",
      (seen.data?.more || all.length > QUEUES_SHOWN) && ", and more that are not shown",
      /* @__PURE__ */ jsxs("span", { class: "hints", children: [
        /* @__PURE__ */ jsx(Key, { children: "j" }),
        " ",
        /* @__PURE__ */ jsx(Key, { children: "k" }),
        " ",
        /* @__PURE__ */ jsx(Key, { children: "Enter" }),
        " its bots"
      ] })
    ] })
  ] });
}
export {
  Bots,
  Queues
};
