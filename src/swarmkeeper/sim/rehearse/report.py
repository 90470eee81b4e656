"""Reports on many runs of one scenario: figures with bands over seeds, the bottleneck, and targets. Output formats:
JSON values, text, one self-contained HTML file, and JUnit XML.
"""

from __future__ import annotations

import base64
import hashlib
import html
import math
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template
from typing import Any

from swarmkeeper.sim.kernel.faults import KINDS
from swarmkeeper.sim.kernel.loop import SECOND
from swarmkeeper.sim.pool import Played
from swarmkeeper.sim.rehearse.measure import QUEUEING, TIMES, Measured
from swarmkeeper.sim.rehearse.scenario_files import Rehearsal

VERSION = 1
# A queue is no bottleneck if its items waited for less than this share of the tasks' time.
WAIT_SHARE_MIN = 0.02

_TEMPLATE = Path(__file__).with_name("report.html")


@dataclass(frozen=True, slots=True)
class Band:
    """Values over seeds: the median, and the range of eight in ten (of all, if there are few)."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    words: str
    unit: str
    of: Callable[[Measured], float | None]


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """Return the value that this share of the values does not exceed; None without values. `ordered`: ascending."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def band(values: Sequence[float | None]) -> Band | None:
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    middle = len(known) // 2
    median = known[middle] if len(known) % 2 else (known[middle - 1] + known[middle]) / 2
    if len(known) < 10:
        return Band(median, known[0], known[-1])
    low, high = quantile(known, 0.1), quantile(known, 0.9)
    assert low is not None
    assert high is not None
    return Band(median, low, high)


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def figures_of(rehearsal: Rehearsal) -> tuple[Figure, ...]:
    price = rehearsal.prices.usd_per_million_tokens / 1_000_000

    def usd(run: Measured) -> float | None:
        spent = run.tokens_priced * price + run.micro_usd / 1_000_000
        return spent / run.ended if spent and run.ended else None

    return (
        Figure("tasks_per_hour", "Tasks that end in an hour", "", lambda run: run.ended_in_time / run.hours),
        Figure("accepted_share", "Accepted, of those that end", "%", lambda run: _share(run.accepted, run.ended)),
        Figure("completion_p50_seconds", "Completion, half within", "s", lambda run: quantile(run.completions, 0.5)),
        Figure("completion_p95_seconds", "Completion, 95 % within", "s", lambda run: quantile(run.completions, 0.95)),
        Figure("completion_p99_seconds", "Completion, 99 % within", "s", lambda run: quantile(run.completions, 0.99)),
        Figure("queue_p95_seconds", "Wait for a bot, 95 % within", "s", lambda run: quantile(_waits(run), 0.95)),
        Figure("utilisation", "Busiest fleet's utilisation", "%", lambda run: max(run.utilisation.values())),
        Figure("tokens_per_task", "Tokens for each task", "", lambda run: _share(run.tokens, run.ended)),
        Figure("usd_per_task", "Cost of each task", "$", usd),
        Figure("rework_share", "Tokens that went to rework", "%", lambda run: _share(run.tokens_rework, run.tokens)),
        Figure("lost_share", "Tokens of failed attempts", "%", lambda run: _share(run.tokens_lost, run.tokens)),
    )


def _waits(run: Measured) -> list[float]:
    return sorted(wait for line in run.lines.values() for wait in line.waits)


# ---- the report ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TargetResult:
    name: str
    bound: float
    value: float | None  # median over seeds
    held: bool
    held_in: int  # number of runs in which it held


@dataclass(frozen=True, slots=True)
class Bottleneck:
    fleet: str
    share: float  # wait for this fleet, relative to the time of tasks; above 1 if several items of a task wait at once
    waiting: str  # the queue with the longest total wait


@dataclass(frozen=True, slots=True)
class Row:
    """One queue."""

    name: str
    items: int
    wait_p50_seconds: Band | None
    wait_p95_seconds: Band | None
    length: Band | None  # average over time
    utilisation: Band | None  # of the bots with its skills, including their other work


@dataclass(frozen=True, slots=True)
class Struck:
    """How often faults of one kind struck."""

    times: int
    runs: int  # with at least one


@dataclass(frozen=True, slots=True)
class RehearsalReport:
    rehearsal: Rehearsal
    runs: Sequence[Played]
    cpu_seconds: float | None  # used by all runs, in all processes
    figures: Mapping[str, Band | None]
    times: Mapping[str, Band | None]  # shares of the tasks' time
    lines: Sequence[Row]
    utilisation: Mapping[str, Band | None]
    bottleneck: Bottleneck | None
    targets: Sequence[TargetResult]
    faults: Mapping[str, Struck]  # by kind, for all kinds that could strike
    reached: Counter[str]  # situations and events
    one_more: Mapping[str, Band | None] | None = None  # the figures with one more bot at the bottleneck

    @property
    def violations(self) -> int:
        return sum(run.outcome.violation is not None for run in self.runs)

    @property
    def level(self) -> str:
        return self.runs[0].outcome.case.level

    @property
    def virtual_hours(self) -> float:
        return sum(run.outcome.seconds for run in self.runs) / 3600

    @property
    def hours_per_cpu_second(self) -> float | None:
        """Virtual hours per second of CPU; None if time is real or was not measured."""
        return self.virtual_hours / self.cpu_seconds if self.cpu_seconds and self.level != "process" else None

    @property
    def missed(self) -> list[TargetResult]:
        return [target for target in self.targets if not target.held]


def report_of(
    rehearsal: Rehearsal,
    runs: Sequence[Played],
    more: Sequence[Played] | None = None,
    *,
    cpu_seconds: float | None = None,
) -> RehearsalReport:
    """Make a report of at least one run. `more` are the same seeds with one more bot at the bottleneck."""
    all_measured = [run.measured for run in runs]
    reached: Counter[str] = Counter()
    for run in runs:
        reached.update({what: n for what, n in run.outcome.reached.items() if not what.startswith("fault ")})
    return RehearsalReport(
        rehearsal=rehearsal,
        runs=runs,
        cpu_seconds=cpu_seconds,
        figures=_figures(rehearsal, all_measured),
        times={
            what: band([_share(run.times[what], sum(run.times.values())) for run in all_measured]) for what in TIMES
        },
        lines=[_row(name, all_measured) for name in sorted({name for run in all_measured for name in run.lines})],
        utilisation={
            fleet: band([run.utilisation[fleet] for run in all_measured]) for fleet in all_measured[0].utilisation
        },
        bottleneck=bottleneck_of(all_measured),
        targets=_targets(rehearsal, all_measured),
        faults=_struck(rehearsal, runs),
        reached=reached,
        one_more=None if more is None else _figures(rehearsal, [run.measured for run in more]),
    )


def _struck(rehearsal: Rehearsal, runs: Sequence[Played]) -> dict[str, Struck]:
    kinds = [Counter(name.partition("@")[0] for name in run.outcome.faults) for run in runs]
    return {
        kind: Struck(sum(counts[kind] for counts in kinds), sum(kind in counts for counts in kinds))
        for kind in KINDS
        if kind in rehearsal.scenario.faults or any(kind in counts for counts in kinds)
    }


def _figures(rehearsal: Rehearsal, runs: Sequence[Measured]) -> dict[str, Band | None]:
    return {figure.name: band([figure.of(run) for run in runs]) for figure in figures_of(rehearsal)}


def _row(name: str, runs: Sequence[Measured]) -> Row:
    there = [(run, run.lines[name]) for run in runs if name in run.lines]
    return Row(
        name=name,
        items=sum(len(line.waits) for _, line in there),
        wait_p50_seconds=band([quantile(line.waits, 0.5) for _, line in there]),
        wait_p95_seconds=band([quantile(line.waits, 0.95) for _, line in there]),
        length=band([line.waited / (run.hours * 3600) for run, line in there]),
        utilisation=band([_share(line.able_busy, line.able) for _, line in there]),
    )


def bottleneck_of(runs: Sequence[Measured]) -> Bottleneck | None:
    """Return the fleet that work waits for most; None if it hardly waits."""
    waited: dict[str, float] = defaultdict(float)
    lines: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for run in runs:
        for name, line in run.lines.items():
            waited[line.fleet] += line.waited
            lines[line.fleet][name] += line.waited
    whole = sum(sum(run.times.values()) for run in runs)
    if not waited or not whole:
        return None
    fleet = max(sorted(waited), key=lambda name: waited[name])
    if waited[fleet] / whole < WAIT_SHARE_MIN:
        return None
    return Bottleneck(fleet, waited[fleet] / whole, max(sorted(lines[fleet]), key=lambda name: lines[fleet][name]))


def _targets(rehearsal: Rehearsal, runs: Sequence[Measured]) -> list[TargetResult]:
    figures = {figure.name: figure for figure in figures_of(rehearsal)}
    found = []
    for name, bound in asdict(rehearsal.targets).items():
        if bound is None:
            continue
        figure, _, side = name.rpartition("_")
        values = [figures[figure].of(run) for run in runs]
        middle = band(values)
        value = None if middle is None else middle.median
        held_in = sum(_holds(value, bound, side) for value in values)
        found.append(TargetResult(name, bound, value, _holds(value, bound, side), held_in))
    return found


def _holds(value: float | None, bound: float, side: str) -> bool:
    """Whether a value meets its bound. An unknown value does not, e.g. completion times without accepted tasks."""
    return value is not None and (value >= bound if side == "min" else value <= bound)


# ---- JSON ----------------------------------------------------------------------------------------------------------


def run_as_json(run: Played) -> dict[str, Any]:
    outcome, violation = run.outcome, run.outcome.violation
    return {
        "seed": run.seed,
        "trace_hash": outcome.trace_hash,
        "violation": None
        if violation is None
        else {
            "invariant": violation.invariant,
            "words": violation.words,
            "entity": violation.entity,
            "why": violation.why,
            "at_seconds": violation.at / SECOND,
        },
        "deterministic": run.same,
        "tasks": len(outcome.statuses),
        "faults": len(outcome.faults),
        "commits": outcome.commits,
        "boots": outcome.boots,
        "virtual_seconds": outcome.seconds,
    }


def as_json(report: RehearsalReport) -> dict[str, Any]:
    rehearsal = report.rehearsal
    return {
        "version": VERSION,
        "level": report.level,
        "scenario": asdict(rehearsal.scenario),
        "prices": asdict(rehearsal.prices),
        "violations": report.violations,
        "figures": _bands(report.figures),
        "time_shares": _bands(report.times),
        "lines": [asdict(row) for row in report.lines],
        "utilisation": _bands(report.utilisation),
        "bottleneck": None if report.bottleneck is None else asdict(report.bottleneck),
        "one_more_bot": None if report.one_more is None else _bands(report.one_more),
        "targets": [asdict(target) for target in report.targets],
        "faults": {kind: asdict(struck) for kind, struck in report.faults.items()},
        "reached": dict(sorted(report.reached.items())),
        "virtual_hours": report.virtual_hours,
        "cpu_seconds": report.cpu_seconds,
        "virtual_hours_per_cpu_second": report.hours_per_cpu_second,
        "runs": [run_as_json(run) for run in report.runs],
    }


def _bands(of: Mapping[str, Band | None]) -> dict[str, Any]:
    return {name: None if values is None else asdict(values) for name, values in of.items()}


# ---- text ----------------------------------------------------------------------------------------------------------


def number(value: float, unit: str) -> str:
    if unit == "%":
        return f"{100 * value:.0f} %"
    if unit == "s":
        return f"{value:.1f} s" if value < 100 else f"{value / 60:.1f} min" if value < 6000 else f"{value / 3600:.1f} h"
    if unit == "$":
        return f"${value:.4f}" if value < 1 else f"${value:.2f}"
    return f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def spread(values: Band | None, unit: str) -> str:
    if values is None:
        return "-"
    middle, low, high = (number(value, unit) for value in (values.median, values.low, values.high))
    return middle if low == high else f"{middle}  ({low} to {high})"


def verdict_lines(report: RehearsalReport) -> list[str]:
    """Return sentences that name the bottleneck and the missed targets."""
    lines = []
    tight = report.bottleneck
    if tight is None:
        lines.append("bottleneck: none; hardly anything waits for a bot")
    else:
        share = number(tight.share, "%")
        lines.append(
            f"bottleneck: {tight.fleet}; what waits for them, most in `{tight.waiting}`, is {share} of the time"
        )
    if report.one_more is not None and tight is not None:
        for name in ("tasks_per_hour", "completion_p50_seconds", "completion_p95_seconds", "usd_per_task"):
            figure = next(figure for figure in figures_of(report.rehearsal) if figure.name == name)
            before, after = report.figures[name], report.one_more[name]
            if before is not None and after is not None:
                change = f"{number(before.median, figure.unit)} -> {number(after.median, figure.unit)}"
                lines.append(f"  one more of the {tight.fleet}: {figure.words.lower()} {change}")
    for target in report.targets:
        held = "held" if target.held else "MISSED"
        value = "-" if target.value is None else f"{target.value:g}"
        lines.append(
            f"target {held}: {target.name} {target.bound:g}, is {value} (in {target.held_in} of the runs held)"
        )
    return lines


def as_text(report: RehearsalReport) -> list[str]:
    scenario = report.rehearsal.scenario
    runs = f"{_runs(report)} of {scenario.hours:g} virtual hours"
    lines = [f"{scenario.name}: {runs} at level {report.level}"]
    if report.level == "process":  # figures of wall time would be true of this machine only
        return lines + coverage_lines(report)
    table = [
        (figure.words, spread(report.figures[figure.name], figure.unit)) for figure in figures_of(report.rehearsal)
    ]
    table += [(f"Time of tasks: {what}", spread(share, "%")) for what, share in report.times.items()]
    table += [(f"Utilisation: {fleet}", spread(share, "%")) for fleet, share in report.utilisation.items()]
    width = max(len(words) for words, _ in table)
    lines += [f"  {words:<{width}}  {value}" for words, value in table if value != "-"]
    return lines + verdict_lines(report) + coverage_lines(report)


def coverage_lines(report: RehearsalReport) -> list[str]:
    """Return the faults and situations that the runs covered, so that a reader can judge a run without violations."""
    lines = []
    struck = [(kind, count) for kind, count in report.faults.items() if count.times]
    if struck:
        lines += ["", f"faults that struck, and in how many of the runs ({len(report.runs)}):"]
        lines += [f"  {kind:<20} {count.times:>7} {count.runs:>6}" for kind, count in struck]
        if never := [kind for kind, count in report.faults.items() if not count.times]:
            lines.append(f"  never: {', '.join(never)}")
    if situations := {what: n for what, n in report.reached.items() if " " in what}:
        lines += ["", "situations that were met:"]
        lines += [f"  {n:>7}  {what}" for what, n in sorted(situations.items())]
    if report.hours_per_cpu_second is not None:
        lines += ["", f"{report.virtual_hours:.1f} virtual hours, {report.hours_per_cpu_second:.2f} in a second of CPU"]
    return lines


# ---- HTML ----------------------------------------------------------------------------------------------------------


def as_html(report: RehearsalReport) -> str:
    """Return one page without scripts that loads nothing. Its policy allows only its own style."""
    page = Template(_TEMPLATE.read_text(encoding="utf-8"))
    style = page.template.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    scenario = report.rehearsal.scenario
    broken = report.violations
    return page.substitute(
        style_hash=f"sha256-{digest}",
        title=html.escape(scenario.name),
        runs=_runs(report),
        hours=f"{scenario.hours:g}",
        level=report.level,
        state_class="bad" if broken or report.missed else "good",
        state=f"{broken} of the runs broke an invariant" if broken else "No invariant was broken",
        verdict="".join(f"<li>{html.escape(line.strip())}</li>" for line in verdict_lines(report)),
        figures=_figure_rows(report),
        times=_bars(report.times),
        utilisation=_bars(report.utilisation),
        lines="".join(_line_row(row) for row in report.lines),
        faults=_table_rows((kind, str(count.times), str(count.runs)) for kind, count in report.faults.items()),
        reached=_table_rows((what, str(times)) for what, times in sorted(report.reached.items())),
        seeds=_table_rows(
            (
                str(run.seed),
                _broke(run),
                str(len(run.outcome.faults)),
                run.outcome.trace_hash,
            )
            for run in report.runs
        ),
    )


def _broke(run: Played) -> str:
    violation = run.outcome.violation
    return "held" if violation is None else f"{violation.invariant}: {violation.words}; {violation.why}"


def _runs(report: RehearsalReport) -> str:
    return f"{len(report.runs)} run{'s' if len(report.runs) > 1 else ''}"


def _table_rows(rows: Any) -> str:
    return "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)


def _figure_rows(report: RehearsalReport) -> str:
    rows = []
    for figure in figures_of(report.rehearsal):
        after = None if report.one_more is None else report.one_more[figure.name]
        rows.append((figure.words, spread(report.figures[figure.name], figure.unit), spread(after, figure.unit)))
    return _table_rows(rows)


def _line_row(row: Row) -> str:
    cells = (
        row.name,
        str(row.items),
        spread(row.wait_p50_seconds, "s"),
        spread(row.wait_p95_seconds, "s"),
        spread(row.length, ""),
        spread(row.utilisation, "%"),
    )
    return _table_rows([cells])


def _bars(of: Mapping[str, Band | None]) -> str:
    """Draw each share as a bar with its band. Sizes are SVG attributes: the page's policy forbids inline styles."""
    rows = []
    for name, share in of.items():
        if share is None:
            continue
        middle, low, high = (min(100.0, 100 * value) for value in (share.median, share.low, share.high))
        kind = "wait" if name == QUEUEING else "bar"
        rows.append(
            f'<tr><td>{html.escape(name)}</td><td><svg viewBox="0 0 100 8" preserveAspectRatio="none" '
            f'role="img" aria-label="{middle:.0f} percent"><rect class="back" width="100" height="8"/>'
            f'<rect class="{kind}" width="{middle:.2f}" height="8"/>'
            f'<rect class="band" x="{low:.2f}" y="3" width="{max(0.0, high - low):.2f}" height="2"/></svg></td>'
            f"<td>{html.escape(spread(share, '%'))}</td></tr>\n"
        )
    return "".join(rows)


# ---- JUnit ---------------------------------------------------------------------------------------------------------


def as_junit(report: RehearsalReport, replay: Callable[[Played], str]) -> str:
    """Return each seed and each target as a test. `replay` gives the command that plays a run again."""
    suite = ET.Element("testsuite", name=f"swarmkeeper simulate {report.rehearsal.scenario.name} {report.level}")
    failures = 0
    for run in report.runs:
        case = ET.SubElement(suite, "testcase", classname="seed", name=str(run.seed), time="0")
        violation = run.outcome.violation
        if violation is not None:
            words = f"{violation.invariant}: {violation.words}; {violation.entity}: {violation.why}"
        elif run.same is False:
            words = "not deterministic: two runs gave two traces"
        else:
            continue
        failures += 1
        ET.SubElement(case, "failure", message=_xml(words)).text = _xml(replay(run))
    for target in report.targets:
        case = ET.SubElement(suite, "testcase", classname="target", name=target.name, time="0")
        if not target.held:
            failures += 1
            ET.SubElement(case, "failure", message=_xml(f"{target.value} where {target.bound:g} was asked for"))
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(failures))
    return ET.tostring(suite, encoding="unicode", xml_declaration=True)


def _xml(text: str) -> str:
    """Escape text for XML, and replace characters that XML cannot hold."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
