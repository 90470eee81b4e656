import { Command, Glyph, grouped, head, safe, span, useRef, useState, say, useRead, Act, Dialog, NotDone, useAct, go, route, written, utc, jsx, jsxs, Fragment } from "./app.js";
// src/pages/desk/simulate.tsx

// src/pages/desk/kit.tsx
function address(changes) {
  const query = new URLSearchParams(route.value.query);
  for (const [name, value] of Object.entries(changes)) if (value) query.set(name, value);
  else query.delete(name);
  return written(route.value.path, query);
}
var put = (changes, replace = false) => go(address(changes), replace);
var asked = (name) => route.value.query.get(name) ?? "";
var Field = ({ label, hint, children }) => jsxs("label", { class: "field", children: [
  jsx("span", { children: label }),
  children,
  hint && jsx("small", { children: hint })
] });
var Table = ({ name, columns, caption, children }) => jsx("div", { class: "scroll-x", tabIndex: 0, role: "region", "aria-label": name, children: jsxs("table", { children: [
  caption && jsx("caption", { children: caption }),
  jsx("thead", { children: jsx("tr", { children: columns.map((each, at) => each ? jsx("th", { scope: "col", class: each[0] === "#" ? "num" : "", children: each.replace("#", "") }, at) : jsx("td", {}, at)) }) }),
  jsx("tbody", { children })
] }) });

// src/pages/desk/simulate.tsx
var SCENARIOS = ["standard", "research", "code-review"];
var FAULTS = {
  bot: "bots die, hang, repeat themselves",
  net: "requests and replies get lost, late, twice",
  store: "disk full, locked, slow; a crash around a commit",
  orch: "the server dies, pauses, is upgraded; clocks jump",
  broker: "hints get lost",
  human: "people decide late or twice",
  provider: "models refuse or cost a hundredfold"
};
var LEVELS = { core: "engine and store, virtual time", http: "the whole API and bots of the SDK, virtual time", process: "real processes, killed and restarted, real time" };
var FILE_MAX = 8 << 20;
var RUNS_SHOWN = 100;
var quoted = (word) => /^[\w./:,@%+=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
var number = (text2, max) => /^\d{1,15}(\.\d{1,6})?$/.test(text2) && Number(text2) <= max ? text2 : "";
var integer = (text2, max) => text2.includes(".") ? "" : number(text2, max);
function command(value) {
  const level = value("level") in LEVELS ? value("level") : "", real = level === "process";
  const flags = [
    ["--seeds", integer(value("seeds"), 1e5)],
    ["--start", integer(value("start"), 1e15)],
    ["--hours", number(value("hours"), 8760)],
    ["--faults", value("faults").split(",").filter((each) => each in FAULTS || each === "all" || each === "none").join(",")],
    ["--level", level],
    ["--bots", real || level === "core" ? "" : value("bots")],
    ["--report", real ? "" : value("report") && "report.json"]
  ];
  return [
    "swarmkeeper simulate",
    quoted(value("scenario") || "standard"),
    ...flags.filter(([, given]) => given).map(([flag, given]) => `${flag} ${quoted(given)}`),
    ...value("twice") && !real ? ["--check-determinism"] : []
  ].join(" ");
}
function Simulate() {
  const faults = asked("faults").split(",").filter(Boolean), real = asked("level") === "process";
  const toggle = (name) => {
    const next = faults.includes(name) ? faults.filter((each) => each !== name) : name in FAULTS ? [...faults.filter((each) => each in FAULTS), name] : [name];
    put({ faults: next.join(",") }, true);
  };
  const text2 = (name, more = {}) => jsx("input", { value: asked(name), onInput: (event) => put({ [name]: event.currentTarget.value.trim() }, true), ...more });
  return jsxs("div", { class: "page settings", children: [
    jsx("h1", { class: "hidden-text", children: "Simulate" }),
    jsxs("div", { class: "columns", children: [
      jsxs("section", { children: [
        jsx("h2", { children: "Rehearse your swarm" }),
        jsxs("form", { class: "form two", onSubmit: (event) => event.preventDefault(), children: [
          jsxs(Field, { label: "Scenario", hint: "a file of yours, or a shipped one", children: [
            jsx("input", { list: "scenarios", value: asked("scenario"), placeholder: "standard", onInput: (event) => put({ scenario: event.currentTarget.value.trim() }, true) }),
            jsx("datalist", { id: "scenarios", children: SCENARIOS.map((each) => jsx("option", { value: each }, each)) })
          ] }),
          jsx(Field, { label: "What is real", children: jsx("select", { value: asked("level") || "core", onChange: (event) => put({ level: event.currentTarget.value === "core" ? null : event.currentTarget.value }, true), children: Object.entries(LEVELS).map(([level, does]) => jsxs("option", { value: level, children: [
            level,
            ": ",
            does
          ] }, level)) }) }),
          jsx(Field, { label: "Seeds", hint: "how many runs", children: text2("seeds", { inputMode: "numeric", placeholder: "1" }) }),
          jsx(Field, { label: "First seed", hint: "the same seed, the same run", children: text2("start", { inputMode: "numeric", placeholder: "random" }) }),
          jsx(Field, { label: "Virtual hours", children: text2("hours", { inputMode: "decimal", placeholder: "the scenario’s" }) }),
          jsx(Field, { label: "Your bots", hint: "at level http", children: text2("bots", { placeholder: "mine.py:swarm", disabled: asked("level") !== "http" }) }),
          jsxs("fieldset", { class: "wide", children: [
            jsx("legend", { children: "Faults" }),
            jsx("div", { class: "chips", children: ["all", "none", ...Object.keys(FAULTS)].map((each) => jsx("button", { type: "button", class: "chip", "aria-pressed": faults.includes(each), title: FAULTS[each], onClick: () => toggle(each), children: each }, each)) })
          ] }),
          jsxs("label", { class: "choice", children: [
            jsx("input", { type: "checkbox", checked: Boolean(asked("report")) && !real, disabled: real, onChange: (event) => put({ report: event.currentTarget.checked ? "1" : null }, true) }),
            " write report.json, to open it here"
          ] }),
          jsxs("label", { class: "choice", children: [
            jsx("input", { type: "checkbox", checked: Boolean(asked("twice")) && !real, disabled: real, onChange: (event) => put({ twice: event.currentTarget.checked ? "1" : null }, true) }),
            " play each run twice, to see that it repeats"
          ] })
        ] }),
        jsx("p", { children: jsx(Command, { text: command(asked) }) })
      ] }),
      jsxs("section", { children: [
        jsx("h2", { children: "What it proves" }),
        jsx("p", { children: "It plays a whole swarm with the real engine and store. After every commit it checks that each item has one accepted result, that nothing acknowledged is lost, that no secret is in the evidence, and that all that is open has a wake-up due. When the faults stop, everything must end." }),
        jsx("p", { children: "A run without a violation says only that these seeds found none. Exit codes: 0 none, 11 a violation, 12 not repeatable, 13 a target missed." }),
        jsxs("p", { class: "none", children: [
          "More: ",
          jsx(Command, { text: "swarmkeeper docs simulator" })
        ] })
      ] })
    ] }),
    jsx(Report, {})
  ] });
}
function readReport(text2) {
  try {
    const found = JSON.parse(text2);
    const runs = found.version === 1 && Array.isArray(found.runs) && found.runs.every((each) => Number.isSafeInteger(each?.seed));
    const whole = runs && typeof found.scenario?.name === "string" && [found.figures, found.faults].every((each) => each && typeof each === "object") && Array.isArray(found.targets);
    return whole ? found : null;
  } catch {
    return null;
  }
}
var replay = ({ level, scenario }, seed) => `swarmkeeper simulate ${quoted(scenario.name)} --hours ${Number(scenario.hours)} --level ${quoted(String(level))} --replay ${seed}`;
var text = (value) => safe(head(value, 300).text);
var figure = (name, value) => name.endsWith("_seconds") ? span(value * 1e3) : name.endsWith("share") || name === "utilisation" ? `${Math.round(100 * value)} %` : Number(value).toFixed(value < 10 ? 2 : 0);
function Report() {
  const [found, setFound] = useState(null);
  async function open(file) {
    if (!file) return;
    const report = file.size <= FILE_MAX ? readReport(await file.text()) : null;
    setFound({ name: file.name, report });
    say(report ? `${report.runs.length} runs.` : "It is no report.");
  }
  return jsxs("section", { children: [
    jsxs("div", { class: "part-head", children: [
      jsx("h2", { children: "A report" }),
      jsxs("label", { class: "button", children: [
        "Open report.json…",
        jsx("input", { class: "hidden-text", type: "file", accept: ".json,application/json", onChange: (event) => void open(event.currentTarget.files?.[0]) })
      ] })
    ] }),
    !found && jsx("p", { class: "none", children: "It is read in this browser, and sent nowhere." }),
    found && !found.report && jsxs("div", { class: "trouble", role: "alert", children: [
      jsxs("strong", { children: [
        safe(found.name),
        " is no report."
      ] }),
      " One is made by ",
      jsx("code", { children: "--report report.json" }),
      ", and has at most 8 MiB here."
    ] }),
    found?.report && jsx(Shown, { report: found.report })
  ] });
}
function Shown({ report }) {
  const broken = report.runs.filter((each) => each.violation), unlike = report.runs.filter((each) => each.deterministic === false);
  const struck = Object.entries(report.faults).filter(([, each]) => each?.times > 0).sort(([, a], [, b]) => b.times - a.times);
  const runs = [...broken, ...report.runs.filter((each) => !each.violation)];
  return jsxs(Fragment, { children: [
    jsxs("p", { class: `verdict tone-${broken.length ? "bad" : "ok"}`, children: [
      jsx(Glyph, { tone: broken.length ? "bad" : "ok" }),
      " ",
      broken.length ? `${broken.length} of ${report.runs.length} runs broke an invariant.` : `No invariant was broken in ${report.runs.length} runs, ${Number(report.virtual_hours).toFixed(1)} virtual hours, of ${text(report.scenario.name)}.`,
      unlike.length > 0 && ` ${unlike.length} could not be repeated.`
    ] }),
    broken.slice(0, 20).map(({ seed, violation }) => jsxs("div", { class: "trouble", children: [
      jsxs("strong", { children: [
        "Seed ",
        seed,
        ": ",
        text(violation.invariant),
        ", ",
        text(violation.words),
        "."
      ] }),
      " ",
      text(violation.entity),
      ", after ",
      span(1e3 * Number(violation.at_seconds)),
      ": ",
      text(violation.why),
      jsxs("p", { children: [
        "Play it again, with its own --faults, --bots and --invariants, if the first command had these: ",
        jsx(Command, { text: replay(report, seed) })
      ] })
    ] }, seed)),
    jsxs("div", { class: "columns", children: [
      jsxs(Table, { name: "Figures", columns: ["Figure", "#Half of the runs", "#From", "#To"], children: [
        Object.entries(report.figures).map(([name, band]) => band && jsxs("tr", { children: [
          jsx("th", { scope: "row", children: text(name.replaceAll("_", " ").replace(/ seconds$/, "")) }),
          jsx("td", { class: "num", children: figure(name, band.median) }),
          jsx("td", { class: "num", children: figure(name, band.low) }),
          jsx("td", { class: "num", children: figure(name, band.high) })
        ] }, name)),
        report.targets.map((each) => jsxs("tr", { children: [
          jsxs("th", { scope: "row", children: [
            "target: ",
            text(each.name.replaceAll("_", " "))
          ] }),
          jsx("td", { class: "num", children: each.held ? "held" : "missed" }),
          jsx("td", { class: "num", children: each.value === null ? "–" : figure(each.name, each.value) }),
          jsx("td", { class: "num", children: figure(each.name, each.bound) })
        ] }, `t ${each.name}`))
      ] }),
      jsx(Table, { name: "Faults", columns: ["Fault that struck", "#Times", "#Runs"], children: struck.map(([kind, each]) => jsxs("tr", { children: [
        jsx("th", { scope: "row", children: text(kind) }),
        jsx("td", { class: "num", children: grouped(each.times) }),
        jsx("td", { class: "num", children: grouped(each.runs) })
      ] }, kind)) })
    ] }),
    jsx(Table, { name: "Runs", columns: ["Seed", "Violation", "#Tasks", "#Faults", "#Commits", "#Starts", "#Virtual time"], children: runs.slice(0, RUNS_SHOWN).map((run) => jsxs("tr", { children: [
      jsx("th", { scope: "row", children: run.seed }),
      jsx("td", { children: run.violation ? text(run.violation.invariant) : "none" }),
      [run.tasks, run.faults, run.commits, run.boots].map((each, at) => jsx("td", { class: "num", children: grouped(Number(each)) }, at)),
      jsx("td", { class: "num", children: span(1e3 * Number(run.virtual_seconds)) })
    ] }, run.seed)) }),
    runs.length > RUNS_SHOWN && jsxs("p", { class: "foot", children: [
      "and ",
      runs.length - RUNS_SHOWN,
      " more"
    ] })
  ] });
}
export {
  Simulate
};
