import { Fragment, el, useState } from "./runtime.js";
import { say, Command, Glyph, Table, asked, put, grouped, head, safe, span } from "./app.js";
import { Field } from "./kit.js";
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
    put({ faults: next.join(",") });
  };
  const text2 = (name, more = {}) => el("input", { value: asked(name), onInput: (event) => put({ [name]: event.currentTarget.value.trim() }), ...more });
  return el("div", { class: "page settings" },
  el("h1", { class: "hidden-text" }, "Simulate"),
  el("div", { class: "columns" },
  el("section", null,
  el("h2", null, "Rehearse your swarm"),
  el("form", { class: "form two", onSubmit: (event) => event.preventDefault() },
  el(Field, { label: "Scenario", hint: "a file of yours, or a shipped one" },
  el("input", { list: "scenarios", value: asked("scenario"), placeholder: "standard", onInput: (event) => put({ scenario: event.currentTarget.value.trim() }) }),
  el("datalist", { id: "scenarios" }, SCENARIOS.map((each) => el("option", { key: each, value: each })))),
  el(Field, { label: "What is real" },
  el("select", { value: asked("level") || "core", onChange: (event) => put({ level: event.currentTarget.value === "core" ? null : event.currentTarget.value }) }, Object.entries(LEVELS).map(([level, does]) => el("option", { key: level, value: level }, level, ": ", does)))),
  el(Field, { label: "Seeds", hint: "how many runs" }, text2("seeds", { inputMode: "numeric", placeholder: "1" })),
  el(Field, { label: "First seed", hint: "the same seed, the same run" }, text2("start", { inputMode: "numeric", placeholder: "random" })),
  el(Field, { label: "Virtual hours" }, text2("hours", { inputMode: "decimal", placeholder: "the scenario’s" })),
  el(Field, { label: "Your bots", hint: "at level http" }, text2("bots", { placeholder: "mine.py:swarm", disabled: asked("level") !== "http" })),
  el("fieldset", { class: "wide" },
  el("legend", null, "Faults"),
  el("div", { class: "chips" }, ["all", "none", ...Object.keys(FAULTS)].map((each) => el("button", { type: "button", class: "chip", key: each, "aria-pressed": faults.includes(each), title: FAULTS[each], onClick: () => toggle(each) }, each)))),
  el("label", { class: "choice" },
  el("input", { type: "checkbox", checked: Boolean(asked("report")) && !real, disabled: real, onChange: (event) => put({ report: event.currentTarget.checked ? "1" : null }) }), " write report.json, to open it here"),
  el("label", { class: "choice" },
  el("input", { type: "checkbox", checked: Boolean(asked("twice")) && !real, disabled: real, onChange: (event) => put({ twice: event.currentTarget.checked ? "1" : null }) }), " play each run twice, to see that it repeats")),
  el("p", null,
  el(Command, { text: command(asked) }))),
  el("section", null,
  el("h2", null, "What it proves"),
  el("p", null, "It plays a whole swarm with the real engine and store. After every commit it checks that each item has one accepted result, that nothing acknowledged is lost, that no secret is in the evidence, and that all that is open has a wake-up due. When the faults stop, everything must end."),
  el("p", null, "A run without a violation says only that these seeds found none. Exit codes: 0 none, 11 a violation, 12 not repeatable, 13 a target missed."),
  el("p", { class: "none" }, "More: ",
  el(Command, { text: "swarmkeeper docs simulator" })))),
  el(Report, null));
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
  return el("section", null,
  el("div", { class: "part-head" },
  el("h2", null, "A report"),
  el("label", { class: "button" }, "Open report.json…",
  el("input", { class: "hidden-text", type: "file", accept: ".json,application/json", onChange: (event) => void open(event.currentTarget.files?.[0]) }))), !found && el("p", { class: "none" }, "It is read in this browser, and sent nowhere."), found && !found.report && el("div", { class: "trouble", role: "alert" },
  el("strong", null, safe(found.name), " is no report."), " One is made by ",
  el("code", null, "--report report.json"), ", and has at most 8 MiB here."), found?.report && el(Shown, { report: found.report }));
}
function Shown({ report }) {
  const broken = report.runs.filter((each) => each.violation), unlike = report.runs.filter((each) => each.deterministic === false);
  const struck = Object.entries(report.faults).filter(([, each]) => each?.times > 0).sort(([, a], [, b]) => b.times - a.times);
  const runs = [...broken, ...report.runs.filter((each) => !each.violation)];
  return el(Fragment, null,
  el("p", { class: `verdict tone-${broken.length ? "bad" : "ok"}` },
  el(Glyph, { tone: broken.length ? "bad" : "ok" }), " ", broken.length ? `${broken.length} of ${report.runs.length} runs broke an invariant.` : `No invariant was broken in ${report.runs.length} runs, ${Number(report.virtual_hours).toFixed(1)} virtual hours, of ${text(report.scenario.name)}.`, unlike.length > 0 && ` ${unlike.length} could not be repeated.`), broken.slice(0, 20).map(({ seed, violation }) => el("div", { class: "trouble", key: seed },
  el("strong", null, "Seed ", seed, ": ", text(violation.invariant), ", ", text(violation.words), "."), " ", text(violation.entity), ", after ", span(1e3 * Number(violation.at_seconds)), ": ", text(violation.why),
  el("p", null, "Play it again, with its own --faults, --bots and --invariants, if the first command had these: ",
  el(Command, { text: replay(report, seed) })))),
  el("div", { class: "columns" },
  el(Table, { name: "Figures", columns: ["Figure", "#Half of the runs", "#From", "#To"] }, Object.entries(report.figures).map(([name, band]) => band && el("tr", { key: name },
  el("th", { scope: "row" }, text(name.replaceAll("_", " ").replace(/ seconds$/, ""))),
  el("td", { class: "num" }, figure(name, band.median)),
  el("td", { class: "num" }, figure(name, band.low)),
  el("td", { class: "num" }, figure(name, band.high)))), report.targets.map((each) => el("tr", { key: `t ${each.name}` },
  el("th", { scope: "row" }, "target: ", text(each.name.replaceAll("_", " "))),
  el("td", { class: "num" }, each.held ? "held" : "missed"),
  el("td", { class: "num" }, each.value === null ? "–" : figure(each.name, each.value)),
  el("td", { class: "num" }, figure(each.name, each.bound))))),
  el(Table, { name: "Faults", columns: ["Fault that struck", "#Times", "#Runs"] }, struck.map(([kind, each]) => el("tr", { key: kind },
  el("th", { scope: "row" }, text(kind)),
  el("td", { class: "num" }, grouped(each.times)),
  el("td", { class: "num" }, grouped(each.runs)))))),
  el(Table, { name: "Runs", columns: ["Seed", "Violation", "#Tasks", "#Faults", "#Commits", "#Starts", "#Virtual time"] }, runs.slice(0, RUNS_SHOWN).map((run) => el("tr", { key: run.seed },
  el("th", { scope: "row" }, run.seed),
  el("td", null, run.violation ? text(run.violation.invariant) : "none"), [run.tasks, run.faults, run.commits, run.boots].map((each, at) => el("td", { class: "num", key: at }, grouped(Number(each)))),
  el("td", { class: "num" }, span(1e3 * Number(run.virtual_seconds)))))), runs.length > RUNS_SHOWN && el("p", { class: "foot" }, "and ", runs.length - RUNS_SHOWN, " more"));
}
export {
  Simulate,
  command,
  readReport,
  replay
};
