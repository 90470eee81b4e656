// What attempts cost, by day, bot, skill or label, in the days that the address says.

import { useState } from "preact/hooks";
import { useRead } from "../../live.ts";
import { Command, Fact, Table, Trouble } from "../../parts.tsx";
import { asked, put } from "../../route.ts";
import { grouped, money, safe } from "../../words.ts";
import { desk, type CostReport, type CostSum } from "./calls.ts";
import { CALM, Field } from "./kit.tsx";

const BY = ["day", "bot", "skill", "label"] as const;
const SHOWN = 25, DAY_MS = 86_400_000;
type Unit = "cost_micro_usd" | "tokens";

const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
const isDay = (text: string): boolean => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text));
export const amount = (sum: { cost_micro_usd: number; tokens: number }, unit: Unit): string => (unit === "tokens" ? grouped(sum.tokens) : money(sum.cost_micro_usd));

export function Costs() {
  const by = BY.find((each) => each === asked("by")) ?? "day", unit: Unit = asked("unit") === "tokens" ? "tokens" : "cost_micro_usd";
  const from = isDay(asked("from")) ? asked("from") : "", to = isDay(asked("to")) ? asked("to") : "";
  const reading = useRead(`costs ${by} ${from} ${to}`, () => desk.costs(by, from, to), CALM);
  const seen = reading.state.value, report = seen.data;
  const last = (days: number) => put({ from: days === 30 ? null : day(Date.now() - (days - 1) * DAY_MS), to: null }, false);
  const length = report ? (Date.parse(report.last_day) - Date.parse(report.first_day)) / DAY_MS + 1 : 0;
  return (
    <div class="page">
      <h1 class="hidden-text">Costs</h1>
      <div class="choices">
        <Choice name="Costs by" values={BY.map((each) => [each, each])} chosen={by} choose={(each) => put({ by: each === "day" ? null : each }, false)} />
        <Choice name="Days" values={[["7", "7 days"], ["30", "30 days"], ["90", "90 days"]]} chosen={to ? "" : String(length)} choose={(days) => last(Number(days))} />
        <Choice name="Unit" values={[["cost_micro_usd", "money"], ["tokens", "tokens"]]} chosen={unit} choose={(each) => put({ unit: each === "tokens" ? each : null }, false)} />
        <Field label="from"><input type="date" value={report?.first_day ?? from} onChange={(event) => put({ from: event.currentTarget.value, to: to || (report?.last_day ?? null) }, false)} /></Field>
        <Field label="to"><input type="date" value={report?.last_day ?? to} onChange={(event) => put({ to: event.currentTarget.value, from: from || (report?.first_day ?? null) }, false)} /></Field>
      </div>
      <Trouble read={seen} what="the costs" />
      {report && <Report key={by} report={report} unit={unit} />}
    </div>
  );
}

function Choice({ name, values, chosen, choose }: { name: string; values: readonly (readonly [string, string])[]; chosen: string; choose: (value: string) => void }) {
  return (
    <div class="chips" role="group" aria-label={name}>
      {values.map(([value, word]) => <button type="button" key={value} class="chip" aria-pressed={value === chosen} onClick={() => choose(value)}>{word}</button>)}
    </div>
  );
}

function Report({ report, unit }: { report: CostReport; unit: Unit }) {
  const [all, setAll] = useState(false);
  const { total, items } = report, byDay = report.by === "day";
  if (!total.attempts) return <div class="empty"><h2>No attempt from {report.first_day} to {report.last_day} says what it used.</h2><p>Bots report it with <code>context.use</code>: <Command text="swarmkeeper docs budgets" /></p></div>;
  const sorted = byDay ? [...items].reverse() : [...items].sort((a, b) => b[unit] - a[unit]);
  const most = Math.max(1, ...items.map((each) => each[unit]));
  const shown = all ? sorted : sorted.slice(0, SHOWN), left = sorted.length - shown.length;
  return (
    <>
      <dl class="sums">
        <Fact name="cost">{money(total.cost_micro_usd)}</Fact>
        <Fact name="tokens">{grouped(total.tokens)}</Fact>
        <Fact name="attempts">{grouped(total.attempts)}</Fact>
        {total.unpriced_tokens > 0 && <Fact name="tokens without a price">{grouped(total.unpriced_tokens)}</Fact>}
      </dl>
      {byDay && <Days items={items} first={report.first_day} last={report.last_day} unit={unit} most={most} />}
      <Table name="Costs as a table" columns={[byDay ? "Day (UTC)" : report.by[0]!.toUpperCase() + report.by.slice(1), "", "#Cost", "#Tokens", "#Attempts"]}>
        {shown.map((each) => (
          <tr key={each.name}>
            <th scope="row">{safe(each.name) || "–"}</th>
            <td class="part"><svg class="share" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true"><rect width={(100 * each[unit]) / most} height="6" /></svg></td>
            <td class="num">{money(each.cost_micro_usd)}</td><td class="num">{grouped(each.tokens)}</td><td class="num">{grouped(each.attempts)}</td>
          </tr>
        ))}
      </Table>
      <p class="foot">
        {left > 0 && <button type="button" class="small" onClick={() => setAll(true)}>and {left} more</button>}
        {report.more && " The server tells the 500 most expensive."}
        {!byDay && report.by !== "bot" && ` An attempt has any number of ${report.by}s: the rows need not add up to the total.`}
      </p>
    </>
  );
}

/** A bar for each day, also those on which nothing was used. The table below says the same in numbers. */
function Days({ items, first, last, unit, most }: { items: CostSum[]; first: string; last: string; unit: Unit; most: number }) {
  const of = new Map(items.map((each) => [each.name, each])), begin = Date.parse(first);
  const count = Math.round((Date.parse(last) - begin) / DAY_MS) + 1;
  const top = items.find((each) => each[unit] === most);
  return (
    <figure class="days" aria-hidden="true">
      <figcaption>{top ? `${amount(top, unit)} at most` : ""}</figcaption>
      <svg viewBox={`0 0 ${count * 10} 100`} preserveAspectRatio="none">
        {Array.from({ length: count }, (_, at) => {
          const name = day(begin + at * DAY_MS), each = of.get(name), height = each && each[unit] ? Math.max(1, (100 * each[unit]) / most) : 0;
          return <g key={name}><title>{`${name}: ${each ? amount(each, unit) : "nothing"}`}</title><rect class="under" x={at * 10} width="10" height="100" /><rect x={at * 10 + 1} y={100 - height} width="8" height={height} /></g>;
        })}
      </svg>
      <p><span>{first}</span><span>{last}</span></p>
    </figure>
  );
}
