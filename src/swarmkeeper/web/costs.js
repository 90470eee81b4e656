import { Fragment, el, useState } from "./runtime.js";
import { useRead, Command, Fact, Table, Trouble, asked, put, grouped, money, safe } from "./app.js";
import { desk, CALM, Field } from "./kit.js";
// src/pages/desk/costs.tsx
var BY = ["day", "bot", "skill", "label"];
var SHOWN = 25;
var DAY_MS = 864e5;
var day = (ms) => new Date(ms).toISOString().slice(0, 10);
var isDay = (text) => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text));
var amount = (sum, unit) => unit === "tokens" ? grouped(sum.tokens) : money(sum.cost_micro_usd);
function Costs() {
  const by = BY.find((each) => each === asked("by")) ?? "day", unit = asked("unit") === "tokens" ? "tokens" : "cost_micro_usd";
  const from = isDay(asked("from")) ? asked("from") : "", to = isDay(asked("to")) ? asked("to") : "";
  const reading = useRead(`costs ${by} ${from} ${to}`, () => desk.costs(by, from, to), CALM);
  const seen = reading.state.value, report = seen.data;
  const last = (days) => put({ from: days === 30 ? null : day(Date.now() - (days - 1) * DAY_MS), to: null }, false);
  const length = report ? (Date.parse(report.last_day) - Date.parse(report.first_day)) / DAY_MS + 1 : 0;
  return el("div", { class: "page" },
  el("h1", { class: "hidden-text" }, "Costs"),
  el("div", { class: "choices" },
  el(Choice, { name: "Costs by", values: BY.map((each) => [each, each]), chosen: by, choose: (each) => put({ by: each === "day" ? null : each }, false) }),
  el(Choice, { name: "Days", values: [["7", "7 days"], ["30", "30 days"], ["90", "90 days"]], chosen: to ? "" : String(length), choose: (days) => last(Number(days)) }),
  el(Choice, { name: "Unit", values: [["cost_micro_usd", "money"], ["tokens", "tokens"]], chosen: unit, choose: (each) => put({ unit: each === "tokens" ? each : null }, false) }),
  el(Field, { label: "from" },
  el("input", { type: "date", value: report?.first_day ?? from, onChange: (event) => put({ from: event.currentTarget.value, to: to || (report?.last_day ?? null) }, false) })),
  el(Field, { label: "to" },
  el("input", { type: "date", value: report?.last_day ?? to, onChange: (event) => put({ to: event.currentTarget.value, from: from || (report?.first_day ?? null) }, false) }))),
  el(Trouble, { read: seen, what: "the costs" }), report && el(Report, { key: by, report, unit }));
}
function Choice({ name, values, chosen, choose }) {
  return el("div", { class: "chips", role: "group", "aria-label": name }, values.map(([value, word]) => el("button", { type: "button", key: value, class: "chip", "aria-pressed": value === chosen, onClick: () => choose(value) }, word)));
}
function Report({ report, unit }) {
  const [all, setAll] = useState(false);
  const { total, items } = report, byDay = report.by === "day";
  if (!total.attempts) return el("div", { class: "empty" },
  el("h2", null, "No attempt from ", report.first_day, " to ", report.last_day, " says what it used."),
  el("p", null, "Bots report it with ",
  el("code", null, "context.use"), ": ",
  el(Command, { text: "swarmkeeper docs budgets" })));
  const sorted = byDay ? [...items].reverse() : [...items].sort((a, b) => b[unit] - a[unit]);
  const most = Math.max(1, ...items.map((each) => each[unit]));
  const shown = all ? sorted : sorted.slice(0, SHOWN), left = sorted.length - shown.length;
  return el(Fragment, null,
  el("dl", { class: "sums" },
  el(Fact, { name: "cost" }, money(total.cost_micro_usd)),
  el(Fact, { name: "tokens" }, grouped(total.tokens)),
  el(Fact, { name: "attempts" }, grouped(total.attempts)), total.unpriced_tokens > 0 && el(Fact, { name: "tokens without a price" }, grouped(total.unpriced_tokens))), byDay && el(Days, { items, first: report.first_day, last: report.last_day, unit, most }),
  el(Table, { name: "Costs as a table", columns: [byDay ? "Day (UTC)" : report.by[0].toUpperCase() + report.by.slice(1), "", "#Cost", "#Tokens", "#Attempts"] }, shown.map((each) => el("tr", { key: each.name },
  el("th", { scope: "row" }, safe(each.name) || "–"),
  el("td", { class: "part" },
  el("svg", { class: "share", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
  el("rect", { width: 100 * each[unit] / most, height: "6" }))),
  el("td", { class: "num" }, money(each.cost_micro_usd)),
  el("td", { class: "num" }, grouped(each.tokens)),
  el("td", { class: "num" }, grouped(each.attempts))))),
  el("p", { class: "foot" }, left > 0 && el("button", { type: "button", class: "small", onClick: () => setAll(true) }, "and ", left, " more"), report.more && " The server tells the 500 most expensive.", !byDay && report.by !== "bot" && ` An attempt has any number of ${report.by}s: the rows need not add up to the total.`));
}
function Days({ items, first, last, unit, most }) {
  const of = new Map(items.map((each) => [each.name, each])), begin = Date.parse(first);
  const count = Math.round((Date.parse(last) - begin) / DAY_MS) + 1;
  const top = items.find((each) => each[unit] === most);
  return el("figure", { class: "days", "aria-hidden": "true" },
  el("figcaption", null, top ? `${amount(top, unit)} at most` : ""),
  el("svg", { viewBox: `0 0 ${count * 10} 100`, preserveAspectRatio: "none" }, Array.from({ length: count }, (_, at) => {
    const name = day(begin + at * DAY_MS), each = of.get(name), height = each && each[unit] ? Math.max(1, 100 * each[unit] / most) : 0;
    return el("g", { key: name },
    el("title", null, `${name}: ${each ? amount(each, unit) : "nothing"}`),
    el("rect", { class: "under", x: at * 10, width: "10", height: "100" }),
    el("rect", { x: at * 10 + 1, y: 100 - height, width: "8", height }));
  })), el("p", null, el("span", null, first), el("span", null, last)));
}
export {
  Costs,
  amount
};
