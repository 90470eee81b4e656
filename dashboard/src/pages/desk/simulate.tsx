// The simulator is a command. This page writes it, and shows the report that it wrote: the file is read here, and sent
// nowhere.

import { useState } from "preact/hooks";
import { say } from "../../live.ts";
import { Command, Glyph, Table } from "../../parts.tsx";
import { asked, put } from "../../route.ts";
import { grouped, head, safe, span } from "../../words.ts";
import { Field } from "./kit.tsx";

const SCENARIOS = ["standard", "research", "code-review"];
const FAULTS: Record<string, string> = {
  bot: "bots die, hang, repeat themselves", net: "requests and replies get lost, late, twice", store: "disk full, locked, slow; a crash around a commit",
  orch: "the server dies, pauses, is upgraded; clocks jump", broker: "hints get lost", human: "people decide late or twice", provider: "models refuse or cost a hundredfold",
};
const LEVELS: Record<string, string> = { core: "engine and store, virtual time", http: "the whole API and bots of the SDK, virtual time", process: "real processes, killed and restarted, real time" };
const FILE_MAX = 8 << 20, RUNS_SHOWN = 100;

const quoted = (word: string): string => (/^[\w./:,@%+=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
const number = (text: string, max: number): string => (/^\d{1,15}(\.\d{1,6})?$/.test(text) && Number(text) <= max ? text : "");
const integer = (text: string, max: number): string => (text.includes(".") ? "" : number(text, max));

/** The command for what is in the address; what has no effect is left out. */
export function command(value: (name: string) => string): string {
  const level = value("level") in LEVELS ? value("level") : "", real = level === "process";
  const flags: [string, string][] = [
    ["--seeds", integer(value("seeds"), 100_000)], ["--start", integer(value("start"), 1e15)], ["--hours", number(value("hours"), 8_760)],
    ["--faults", value("faults").split(",").filter((each) => each in FAULTS || each === "all" || each === "none").join(",")],
    ["--level", level], ["--bots", real || level === "core" ? "" : value("bots")], ["--report", real ? "" : value("report") && "report.json"],
  ];
  return [
    "swarmkeeper simulate", quoted(value("scenario") || "standard"), ...flags.filter(([, given]) => given).map(([flag, given]) => `${flag} ${quoted(given)}`),
    ...(value("twice") && !real ? ["--check-determinism"] : []),
  ].join(" ");
}

export function Simulate() {
  const faults = asked("faults").split(",").filter(Boolean), real = asked("level") === "process";
  const toggle = (name: string) => {
    const next = faults.includes(name) ? faults.filter((each) => each !== name) : name in FAULTS ? [...faults.filter((each) => each in FAULTS), name] : [name];
    put({ faults: next.join(",") });
  };
  const text = (name: string, more: object = {}) => <input value={asked(name)} onInput={(event) => put({ [name]: event.currentTarget.value.trim() })} {...more} />;
  return (
    <div class="page settings">
      <h1 class="hidden-text">Simulate</h1>
      <div class="columns">
        <section>
          <h2>Rehearse your swarm</h2>
          <form class="form two" onSubmit={(event) => event.preventDefault()}>
            <Field label="Scenario" hint="a file of yours, or a shipped one"><input list="scenarios" value={asked("scenario")} placeholder="standard" onInput={(event) => put({ scenario: event.currentTarget.value.trim() })} /><datalist id="scenarios">{SCENARIOS.map((each) => <option key={each} value={each} />)}</datalist></Field>
            <Field label="What is real"><select value={asked("level") || "core"} onChange={(event) => put({ level: event.currentTarget.value === "core" ? null : event.currentTarget.value })}>{Object.entries(LEVELS).map(([level, does]) => <option key={level} value={level}>{level}: {does}</option>)}</select></Field>
            <Field label="Seeds" hint="how many runs">{text("seeds", { inputMode: "numeric", placeholder: "1" })}</Field>
            <Field label="First seed" hint="the same seed, the same run">{text("start", { inputMode: "numeric", placeholder: "random" })}</Field>
            <Field label="Virtual hours">{text("hours", { inputMode: "decimal", placeholder: "the scenario’s" })}</Field>
            <Field label="Your bots" hint="at level http">{text("bots", { placeholder: "mine.py:swarm", disabled: asked("level") !== "http" })}</Field>
            <fieldset class="wide"><legend>Faults</legend>
              <div class="chips">{["all", "none", ...Object.keys(FAULTS)].map((each) => <button type="button" class="chip" key={each} aria-pressed={faults.includes(each)} title={FAULTS[each]} onClick={() => toggle(each)}>{each}</button>)}</div>
            </fieldset>
            <label class="choice"><input type="checkbox" checked={Boolean(asked("report")) && !real} disabled={real} onChange={(event) => put({ report: event.currentTarget.checked ? "1" : null })} /> write report.json, to open it here</label>
            <label class="choice"><input type="checkbox" checked={Boolean(asked("twice")) && !real} disabled={real} onChange={(event) => put({ twice: event.currentTarget.checked ? "1" : null })} /> play each run twice, to see that it repeats</label>
          </form>
          <p><Command text={command(asked)} /></p>
        </section>
        <section>
          <h2>What it proves</h2>
          <p>It plays a whole swarm with the real engine and store. After every commit it checks that each item has one accepted result, that nothing acknowledged is lost, that no secret is in the evidence, and that all that is open has a wake-up due. When the faults stop, everything must end.</p>
          <p>A run without a violation says only that these seeds found none. Exit codes: 0 none, 11 a violation, 12 not repeatable, 13 a target missed.</p>
          <p class="none">More: <Command text="swarmkeeper docs simulator" /></p>
        </section>
      </div>
      <Report />
    </div>
  );
}

// ---- A report --------------------------------------------------------------------------------------------------------

interface Violation { invariant: string; words: string; entity: string; why: string; at_seconds: number }
interface Run { seed: number; violation: Violation | null; deterministic: boolean | null; tasks: number; faults: number; commits: number; boots: number; virtual_seconds: number }
interface Found { level: string; scenario: { name: string; hours: number }; runs: Run[]; figures: Record<string, Band | null>; faults: Record<string, { times: number; runs: number }>; targets: { name: string; bound: number; value: number | null; held: boolean }[]; virtual_hours: number }
interface Band { median: number; low: number; high: number }

/** Read a report; null if it is none. It is a file of somebody: nothing in it is taken on trust. */
export function readReport(text: string): Found | null {
  try {
    const found = JSON.parse(text) as Partial<Found> & { version?: unknown };
    const runs = found.version === 1 && Array.isArray(found.runs) && found.runs.every((each) => Number.isSafeInteger(each?.seed));
    const whole = runs && typeof found.scenario?.name === "string" && [found.figures, found.faults].every((each) => each && typeof each === "object") && Array.isArray(found.targets);
    return whole ? (found as Found) : null;
  } catch {
    return null;
  }
}

export const replay = ({ level, scenario }: Found, seed: number): string =>
  `swarmkeeper simulate ${quoted(scenario.name)} --hours ${Number(scenario.hours)} --level ${quoted(String(level))} --replay ${seed}`;

const text = (value: unknown): string => safe(head(value, 300).text);
const figure = (name: string, value: number): string =>
  name.endsWith("_seconds") ? span(value * 1000) : name.endsWith("share") || name === "utilisation" ? `${Math.round(100 * value)} %` : Number(value).toFixed(value < 10 ? 2 : 0);

function Report() {
  const [found, setFound] = useState<{ name: string; report: Found | null } | null>(null);
  async function open(file: File | undefined): Promise<void> {
    if (!file) return;
    const report = file.size <= FILE_MAX ? readReport(await file.text()) : null;
    setFound({ name: file.name, report });
    say(report ? `${report.runs.length} runs.` : "It is no report.");
  }
  return (
    <section>
      <div class="part-head"><h2>A report</h2>
        <label class="button">Open report.json…<input class="hidden-text" type="file" accept=".json,application/json" onChange={(event) => void open(event.currentTarget.files?.[0])} /></label>
      </div>
      {!found && <p class="none">It is read in this browser, and sent nowhere.</p>}
      {found && !found.report && <div class="trouble" role="alert"><strong>{safe(found.name)} is no report.</strong> One is made by <code>--report report.json</code>, and has at most 8 MiB here.</div>}
      {found?.report && <Shown report={found.report} />}
    </section>
  );
}

function Shown({ report }: { report: Found }) {
  const broken = report.runs.filter((each) => each.violation), unlike = report.runs.filter((each) => each.deterministic === false);
  const struck = Object.entries(report.faults).filter(([, each]) => each?.times > 0).sort(([, a], [, b]) => b.times - a.times);
  const runs = [...broken, ...report.runs.filter((each) => !each.violation)];
  return (
    <>
      <p class={`verdict tone-${broken.length ? "bad" : "ok"}`}><Glyph tone={broken.length ? "bad" : "ok"} /> {broken.length ? `${broken.length} of ${report.runs.length} runs broke an invariant.` : `No invariant was broken in ${report.runs.length} runs, ${Number(report.virtual_hours).toFixed(1)} virtual hours, of ${text(report.scenario.name)}.`}{unlike.length > 0 && ` ${unlike.length} could not be repeated.`}</p>
      {broken.slice(0, 20).map(({ seed, violation }) => (
        <div class="trouble" key={seed}>
          <strong>Seed {seed}: {text(violation!.invariant)}, {text(violation!.words)}.</strong> {text(violation!.entity)}, after {span(1000 * Number(violation!.at_seconds))}: {text(violation!.why)}
          <p>Play it again, with its own --faults, --bots and --invariants, if the first command had these: <Command text={replay(report, seed)} /></p>
        </div>
      ))}
      <div class="columns">
        <Table name="Figures" columns={["Figure", "#Half of the runs", "#From", "#To"]}>
          {Object.entries(report.figures).map(([name, band]) => band && <tr key={name}><th scope="row">{text(name.replaceAll("_", " ").replace(/ seconds$/, ""))}</th><td class="num">{figure(name, band.median)}</td><td class="num">{figure(name, band.low)}</td><td class="num">{figure(name, band.high)}</td></tr>)}
          {report.targets.map((each) => <tr key={`t ${each.name}`}><th scope="row">target: {text(each.name.replaceAll("_", " "))}</th><td class="num">{each.held ? "held" : "missed"}</td><td class="num">{each.value === null ? "–" : figure(each.name, each.value)}</td><td class="num">{figure(each.name, each.bound)}</td></tr>)}
        </Table>
        <Table name="Faults" columns={["Fault that struck", "#Times", "#Runs"]}>
          {struck.map(([kind, each]) => <tr key={kind}><th scope="row">{text(kind)}</th><td class="num">{grouped(each.times)}</td><td class="num">{grouped(each.runs)}</td></tr>)}
        </Table>
      </div>
      <Table name="Runs" columns={["Seed", "Violation", "#Tasks", "#Faults", "#Commits", "#Starts", "#Virtual time"]}>
        {runs.slice(0, RUNS_SHOWN).map((run) => <tr key={run.seed}><th scope="row">{run.seed}</th><td>{run.violation ? text(run.violation.invariant) : "none"}</td>{[run.tasks, run.faults, run.commits, run.boots].map((each, at) => <td class="num" key={at}>{grouped(Number(each))}</td>)}<td class="num">{span(1000 * Number(run.virtual_seconds))}</td></tr>)}
      </Table>
      {runs.length > RUNS_SHOWN && <p class="foot">and {runs.length - RUNS_SHOWN} more</p>}
    </>
  );
}
