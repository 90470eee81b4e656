import { signal, useEffect, useRef, useState, lists, Chips, useKeys, useRead, FIRST_TASK, Act, Ago, Command, Dialog, Key, Labels, NotDone, State, Trouble, When, useAct, go, route, written, may, Windowed, grouped, money, safe, worse, Fragment, jsx, jsxs } from "./app.js";
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
    return jsxs("div", { role: "row", "aria-rowindex": index + 2, class: `task-row bot-row ${on ? "chosen" : ""}`, "aria-current": on ? "true" : void 0, onClick: () => set({ bot: bot.id }), children: [
      jsx("span", { role: "cell", class: "c-state", children: jsx(State, { look: lookOfBot(bot, kills) }) }),
      jsx("span", { role: "cell", class: "c-title", children: jsx("a", { href: `#/bots?bot=${bot.id}`, tabIndex: index === Math.max(0, chosen) ? 0 : -1, onClick: (event) => event.preventDefault(), children: safe(bot.name) }) }),
      jsx("span", { role: "cell", class: "c-bot", children: KIND[bot.type] ?? safe(bot.type) }),
      jsxs("span", { role: "cell", class: "c-labels", children: [
        bot.skills.map((skill) => jsx("span", { class: "label", children: safe(skill) }, skill)),
        !bot.skills.length && jsx("span", { class: "none", children: "–" })
      ] }),
      jsx("span", { role: "cell", class: "c-progress", children: jsx(Load, { bot }) }),
      jsx("span", { role: "cell", class: "c-cost", children: money(seen.data?.costs.get(bot.name)?.cost_micro_usd) }),
      jsx("span", { role: "cell", class: "c-changed", children: bot.last_seen ? jsxs(Fragment, { children: [
        jsx(Ago, { time: bot.last_seen }),
        " ago"
      ] }) : "–" })
    ] }, bot.id);
  };
  return jsxs("div", { class: `tasks fleet ${shown ? "open" : ""}`, children: [
    jsx("h1", { class: "hidden-text", children: "Bots" }),
    jsxs("div", { class: "fleet-list", children: [
      all.length > 0 && jsxs("div", { class: "filters", children: [
        jsxs("form", { role: "search", class: "line", onSubmit: (event) => {
          event.preventDefault();
          set({ q: field.current.value.trim() });
          field.current.blur();
        }, children: [
          jsx("label", { class: "hidden-text", for: "bots-query", children: "Search bots" }),
          jsx("input", { id: "bots-query", ref: field, type: "search", defaultValue: line, spellcheck: false, placeholder: "name, kind, skill or owner   ( / )" })
        ] }),
        jsx(Chips, { chips: chipsOf(named.map((bot) => lookOfBot(bot, kills)), only), toggle: (id) => set({ state: only === id ? "" : id }) })
      ] }),
      jsx(Trouble, { read: seen, what: "the bots" }),
      seen.data && !all.length && jsxs("div", { class: "empty", children: [
        jsx("h2", { children: "No bot is here yet." }),
        jsxs("p", { children: [
          "Start one, and it shows here: ",
          jsx(Command, { text: "swarmkeeper bot run FILE" })
        ] })
      ] }),
      all.length > 0 && !bots.length && jsxs("div", { class: "empty", children: [
        jsx("h2", { children: "No bot fits." }),
        jsxs("p", { class: "acts", children: [
          line && jsxs("button", { type: "button", class: "small", onClick: () => set({ q: "" }), children: [
            "Drop ",
            safe(line)
          ] }),
          only && jsxs("button", { type: "button", class: "small", onClick: () => set({ state: "" }), children: [
            "Drop ",
            safe(only)
          ] })
        ] })
      ] }),
      bots.length > 0 && jsx(
        Windowed,
        {
          count: bots.length,
          rowHeight: narrow.value ? ROW_NARROW : ROW,
          row,
          chosen,
          label: "Bots",
          total: bots.length,
          nearEnd: () => void 0,
          headRow: jsx("div", { role: "rowgroup", class: "head", children: jsxs("div", { role: "row", class: "task-row bot-row", "aria-rowindex": 1, children: [
            jsx("span", { role: "columnheader", children: "State" }),
            jsx("span", { role: "columnheader", children: "Name" }),
            jsx("span", { role: "columnheader", class: "c-bot", children: "Kind" }),
            jsx("span", { role: "columnheader", class: "c-labels", children: "Skills" }),
            jsx("span", { role: "columnheader", children: "Load" }),
            jsx("span", { role: "columnheader", class: "c-cost", children: "30 days" }),
            jsx("span", { role: "columnheader", class: "c-changed", children: "Seen" })
          ] }) })
        }
      ),
      bots.length > 0 && jsxs("p", { class: "foot", children: [
        grouped(bots.length),
        " ",
        bots.length === 1 ? "bot" : "bots",
        seen.data?.more && ", and more that are not shown",
        jsxs("span", { class: "hints", children: [
          jsx(Key, { children: "j" }),
          " ",
          jsx(Key, { children: "k" }),
          " choose"
        ] })
      ] })
    ] }),
    shown && jsx(Inspector, { bot: shown, kills, cost: seen.data?.costs.get(shown.name), again: reading.again, close: () => set({ bot: "" }) }, shown.id)
  ] });
}
function Load({ bot }) {
  return jsxs("span", { class: "progress", children: [
    jsxs("svg", { class: "bar", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true", children: [
      jsx("rect", { class: "track", width: "100", height: "6" }),
      jsx("rect", { class: "load", width: Math.min(100, 100 * bot.held / bot.capacity), height: "6" })
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
  return jsxs("aside", { class: "inspector", "aria-label": `Bot ${safe(bot.name)}`, children: [
    jsxs("header", { class: "acts", children: [
      jsx("h2", { children: safe(bot.name) }),
      jsx("button", { type: "button", class: "small", onClick: close, children: "Close" })
    ] }),
    jsxs("p", { children: [
      jsx(State, { look: lookOfBot(bot, kills) }),
      " ",
      jsx("code", { children: bot.id })
    ] }),
    kill && jsxs("p", { class: "trouble", children: [
      "Killed",
      kill.kind === "bot" ? "" : ` with its ${kill.kind}`,
      " ",
      jsx(Ago, { time: kill.placed_at }),
      " ago: ",
      safe(kill.reason),
      kill.until && jsxs(Fragment, { children: [
        " Until ",
        jsx(When, { time: kill.until }),
        "."
      ] })
    ] }),
    bot.status === "away" && jsx("p", { class: "trouble", children: "It has not called for two minutes. What it held goes to others." }),
    jsxs("dl", { class: "facts", children: [
      jsxs("div", { children: [
        jsx("dt", { children: "Kind" }),
        jsxs("dd", { children: [
          bot.type,
          bot.dedicated && ", only what needs its skills"
        ] })
      ] }),
      jsxs("div", { children: [
        jsx("dt", { children: "Version" }),
        jsx("dd", { children: safe(bot.version) })
      ] }),
      bot.owner && jsxs("div", { children: [
        jsx("dt", { children: "Owner" }),
        jsx("dd", { children: safe(bot.owner) })
      ] }),
      jsxs("div", { children: [
        jsx("dt", { children: "Skills" }),
        jsx("dd", { children: bot.skills.length ? bot.skills.map(safe).join(", ") : "none: it takes what needs none" })
      ] }),
      Object.keys(bot.labels).length > 0 && jsxs("div", { children: [
        jsx("dt", { children: "Labels" }),
        jsx("dd", { children: jsx(Labels, { labels: bot.labels }) })
      ] }),
      jsxs("div", { children: [
        jsx("dt", { children: "Here since" }),
        jsx("dd", { children: jsx(When, { time: bot.created_at }) })
      ] }),
      jsxs("div", { children: [
        jsx("dt", { children: "Last seen" }),
        jsx("dd", { children: bot.last_seen ? jsxs(Fragment, { children: [
          jsx(Ago, { time: bot.last_seen }),
          " ago"
        ] }) : "–" })
      ] }),
      cost && jsxs("div", { children: [
        jsx("dt", { children: "30 days" }),
        jsxs("dd", { children: [
          money(cost.cost_micro_usd),
          " in ",
          grouped(cost.attempts),
          " ",
          cost.attempts === 1 ? "attempt" : "attempts",
          " that told their cost"
        ] })
      ] })
    ] }),
    jsxs("div", { class: "acts", children: [
      jsx(Act, { action: drained ? "bot.enable" : "bot.drain", keys: "d", busy, run: drain, children: drained ? "Enable" : "Drain" }),
      jsx(Act, { action: "kill.manage", kind: "danger", keys: "x", busy: busy || Boolean(kill && !own), run: stop, children: own ? "Lift the kill" : "Kill" })
    ] }),
    problem && jsx(NotDone, { error: problem }),
    jsxs("section", { class: "card", children: [
      jsx("h3", { children: held.data ? `Works on ${grouped(held.data.items.length)}${held.data.next_page_token ? " and more" : ""}` : "Works on" }),
      jsx(Trouble, { read: held, what: "its leases" }),
      held.data && !held.data.items.length && jsx("p", { class: "none", children: "It holds nothing." }),
      jsx("ul", { class: "leases", children: held.data?.items.map((lease) => jsxs("li", { children: [
        jsx("a", { href: `#/tasks/${lease.task_id}?subtask=${encodeURIComponent(lease.key)}`, children: safe(lease.task_title) }),
        jsxs("span", { children: [
          safe(lease.key),
          ", attempt ",
          lease.attempt,
          " · for ",
          jsx(Ago, { time: lease.granted_at }),
          lease.cancelled && " · told to stop"
        ] })
      ] }, lease.lease_id)) })
    ] }),
    bot.stuck.length > 0 && jsxs("section", { class: "card", children: [
      jsx("h3", { children: "Still running after its lease ended" }),
      jsx("ul", { class: "leases", children: bot.stuck.map((work) => jsxs("li", { children: [
        jsx("code", { children: work.work_id }),
        jsxs("span", { children: [
          "for ",
          jsx(Ago, { time: work.since }),
          " ",
          safe(work.where)
        ] })
      ] }, work.work_id)) })
    ] }),
    killing && jsx(KillDialog, { bot, busy, close: () => setKilling(false), run: (reason) => void run(() => lists.kill({ kind: "bot", name: bot.name, reason }), "Killed.") })
  ] });
}
function KillDialog({ bot, busy, close, run }) {
  const [reason, setReason] = useState("");
  useKeys({ Escape: { does: "", run: close } }, true);
  return jsx(Dialog, { title: `Kill ${safe(bot.name)}`, close, children: jsxs("form", { class: "bulk ask", onSubmit: (event) => {
    event.preventDefault();
    if (reason.trim() && !busy) run(reason.trim());
  }, children: [
    jsx("p", { children: "It gets no more work, on every server, under this name. Its leases are revoked at once: that work returns to its queue." }),
    jsxs("label", { class: "reason", children: [
      "Why?",
      jsx("input", { type: "text", autofocus: true, required: true, maxLength: 500, value: reason, onInput: (event) => setReason(event.currentTarget.value) })
    ] }),
    jsxs("div", { class: "acts", children: [
      jsx("button", { type: "submit", class: "danger", disabled: !reason.trim() || busy, children: "Kill" }),
      jsx("button", { type: "button", onClick: close, children: "Leave it" })
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
  const number = (n, atLeast = false) => n ? `${grouped(n)}${atLeast ? "+" : ""}` : jsx("span", { class: "none", children: "0" });
  return jsxs("div", { class: "tasks queues", children: [
    jsx("h1", { class: "hidden-text", children: "Queues" }),
    all.length > 0 && jsx("div", { class: "filters", children: jsx(Chips, { chips: chipsOf(all.map((queue) => lookOfQueue(queue, kills)), only), toggle: (id) => set({ state: only === id ? "" : id }) }) }),
    jsx(Trouble, { read: seen, what: "the queues" }),
    seen.data && !all.length && jsxs("div", { class: "empty", children: [
      jsx("h2", { children: "Nothing waits, and nothing is worked on." }),
      jsxs("p", { children: [
        "The work of a task shows here: ",
        jsx(Command, { text: FIRST_TASK })
      ] })
    ] }),
    all.length > 0 && !queues.length && jsxs("div", { class: "empty", children: [
      jsx("h2", { children: "No queue is like this now." }),
      jsxs("button", { type: "button", class: "small", onClick: () => set({ state: "" }), children: [
        "Drop ",
        safe(only)
      ] })
    ] }),
    queues.length > 0 && jsx("div", { class: "scroll-x", children: jsxs("table", { children: [
      jsx("thead", { children: jsxs("tr", { children: [
        jsx("th", { children: "State" }),
        jsx("th", { children: "Work" }),
        jsx("th", { class: "n", children: "Waiting" }),
        jsx("th", { class: "n", children: "Oldest" }),
        jsx("th", { class: "n", children: "Running" }),
        jsx("th", { class: "n wide", children: "In a minute" }),
        jsx("th", { class: "n wide", children: "Out a minute" }),
        jsx("th", { class: "n wide", children: "Bots asking" })
      ] }) }),
      jsx("tbody", { children: queues.map((queue, index) => {
        const look = lookOfQueue(queue, kills), helps = look.word === "nobody can" || look.word === "nobody asks";
        const kill = look.word === "killed" && kills.find(({ kind, name }) => kind === "tenant" || kind === "skill" && queue.skills.includes(name));
        return jsxs("tr", { class: index === chosen ? "chosen" : "", "aria-current": index === chosen ? "true" : void 0, children: [
          jsx("td", { children: jsx(State, { look }) }),
          jsxs("td", { class: "work", children: [
            jsx("a", { href: address(index), children: queue.kind }),
            " ",
            queue.skills.map((skill) => jsx("span", { class: "label", children: safe(skill) }, skill)),
            queue.assign_to && jsxs("span", { class: "none", children: [
              "only ",
              safe(queue.assign_to)
            ] }),
            helps && jsxs("div", { class: "help", children: [
              look.word === "nobody can" ? "No bot can do this. Start one:" : "Bots that can are here, but ask for no work. Start another:",
              " ",
              jsx(Command, { text: runBot(queue) })
            ] }),
            kill && jsxs("div", { class: "help", children: [
              safe(kill.reason),
              " ",
              jsx(Command, { text: `swarmkeeper kill lift ${kill.id}` })
            ] })
          ] }),
          jsx("td", { class: "n", "data-name": "waiting", children: number(queue.waiting, queue.waiting_at_least) }),
          jsx("td", { class: "n", "data-name": "oldest", children: queue.oldest_at ? jsx(Ago, { time: queue.oldest_at }) : jsx("span", { class: "none", children: "–" }) }),
          jsx("td", { class: "n", "data-name": "running", children: number(queue.leased, queue.leased_at_least) }),
          jsx("td", { class: "n wide", children: number(queue.in_per_minute) }),
          jsx("td", { class: "n wide", children: number(queue.out_per_minute) }),
          jsxs("td", { class: "n wide", children: [
            queue.bots_asking,
            " of ",
            queue.bots
          ] })
        ] }, `${queue.kind} ${queue.assign_to} ${queue.skills.join(" ")}`);
      }) })
    ] }) }),
    queues.length > 0 && jsxs("p", { class: "foot", children: [
      grouped(queues.length),
      " ",
      queues.length === 1 ? "queue" : "queues",
      (seen.data?.more || all.length > QUEUES_SHOWN) && ", and more that are not shown",
      jsxs("span", { class: "hints", children: [
        jsx(Key, { children: "j" }),
        " ",
        jsx(Key, { children: "k" }),
        " ",
        jsx(Key, { children: "Enter" }),
        " its bots"
      ] })
    ] })
  ] });
}
export {
  Bots,
  Queues
};
