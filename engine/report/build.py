"""The report of one run: every section, from what the engine knows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from engine.charts import Picture, pictures, waterfalls
from engine.errors import ScenarioError
from engine.export.link import to_link
from engine.reading import load, presets
from engine.report import studies
from engine.report.document import (
    Block,
    Code,
    Document,
    Fact,
    Facts,
    Items,
    Section,
    Table,
    Words,
    numeric,
)
from engine.report.honest import assumptions, not_modelled, setting
from engine.report.pillars import pillars
from engine.result import Result
from engine.scenario import Scenario
from engine.study.compare import Comparison
from engine.study.explain import explain
from engine.study.figures import METRICS, Outcome
from engine.study.lab import Lab, differences, seeds, values_of
from engine.study.statistics import interval
from engine.study.sweep import Sweep
from engine.version import VERSION
from engine.words import (
    BILLS,
    SPACE,
    USUAL,
    Units,
    dollars,
    milliseconds,
    per_second,
    percent,
    running,
)

RUNS = 5
ROWS_MAX = 200  # of a table
SAME_WORDS = ("title", "blurb", "expect")  # differ without making another system


class Asked(NamedTuple):
    """What the person who wants a report has said."""

    question: str = ""
    note: str = ""
    author: str = ""
    name: str = ""  # of the preset or file, for the command
    preset: Scenario | None = None  # what the scenario was made from
    units: Units = USUAL  # of rates and running costs


def report(
    result: Result,
    asked: Asked | None = None,
    *,
    lab: Lab | None = None,
    runs: int = RUNS,
    comparison: Comparison | None = None,
    swept: Sweep | None = None,
) -> Document:
    """Return the report of a run.

    With a lab so many replications are played for the uncertainty of headline figures, and two
    runs for the score; without one nothing is played.  Raises StoppedError if it is called off.
    """
    said = asked or Asked()
    drawn = pictures(result)
    replications = lab.samples([result.scenario], seeds(runs))[0] if lab and runs > 1 else []
    sections = [
        _first(result, said, replications),
        Section("Architecture", (drawn["architecture"],)),
        _configuration(result, said),
        Section("Over time", tuple(drawn[n] for n in ("latency", "requests", "busy", "in_flight"))),
        Section("Latency", (drawn["distribution"], _journeys(result))),
        _where(result, drawn["shares"]),
        _stations(result, said.units),
        _events(result),
        Section("Traces", _traces(result)),
        *([studies.comparison(comparison)] if comparison else []),
        *([studies.swept(swept)] if swept else []),
        _score(result, lab),
        _cost(result, said.units),
        Section("Assumptions", (Items(assumptions(result)),)),
        Section("What is not modelled", (Table(("Of", "What is left out"), not_modelled(result)),)),
        _again(result, said),
        Section("The whole scenario", (Code(result.scenario.to_yaml()),)),
    ]
    scenario = result.scenario
    subtitle = (
        f"{scenario.duration_seconds:g} s simulated, seed {result.seed}, Strata {VERSION};"
        f" the first {scenario.warm_up_seconds:g} s are left out of the figures"
    )
    return Document(scenario.title, subtitle, said.author, tuple(sections))


def made_from(scenario: Scenario) -> Scenario | None:
    """Return the preset that a scenario was made from, by its journeys and the fewest changes."""
    known = [load(name) for name in presets()]
    alike = [each for each in known if each.journeys.keys() == scenario.journeys.keys()]
    return min(alike, key=lambda each: len(differences(each, scenario)), default=None)


# ---------------------------------------------------------------- at a glance


def headline(result: Result, units: Units = USUAL) -> tuple[Fact, ...]:
    """Return the key numbers, in the words of the screen."""
    s = result.summary
    million = s.cost_usd_per_million_requests
    per_million = "no answers" if million is None else f"{dollars(million)} / million"

    def ms(value: float | None) -> str:
        return milliseconds(math.nan if value is None else value)

    return (
        Fact(
            "Throughput",
            per_second(s.answered_per_second, units),
            f"{per_second(s.requests_per_second, units)} asked",
        ),
        Fact("Latency p50", ms(s.latency_ms_p50)),
        Fact("Latency p95", ms(s.latency_ms_p95)),
        Fact("Latency p99", ms(s.latency_ms_p99)),
        Fact("Errors", percent(s.error_ratio)),
        Fact("Cost", running(s.cost_usd_per_hour, units), per_million),
    )


def _first(result: Result, said: Asked, replications: Sequence[Outcome]) -> Section:
    """Return what one reads if one reads nothing else."""
    blocks: list[Block] = []
    if said.question:
        blocks.append(Words(f"The question: {said.question}"))
    if result.scenario.blurb:
        blocks.append(Words(result.scenario.blurb))
    if said.note:
        blocks.append(Words(f"The author's note: {said.note}"))
    blocks += [Facts(headline(result, said.units)), Items(explain(result).sentences)]
    blocks.append(_uncertainty(result, replications))
    s = result.summary
    blocks.append(
        Words(
            f"Since the start: {s.started:,} requests started = {s.answered:,} answered +"
            f" {s.failed:,} failed + {s.in_flight:,} in flight."
        )
    )
    return Section("At a glance", tuple(blocks))


def _uncertainty(result: Result, replications: Sequence[Outcome]) -> Block:
    """Return the figures of this run beside the means of runs with other seeds."""
    if len(replications) < 2:
        return Words(
            "These are figures of one run; how much they vary with the seed was not measured."
        )
    columns = ("Figure", "This run", "Mean", "95 % interval", "Runs")
    rows = []
    for name, metric in METRICS.items():
        found = interval(values_of(replications, name))
        value = getattr(result.summary, name)
        if found.runs < 2 or value is None:
            continue
        ends = f"{metric.say(found.low)} to {metric.say(found.high)}"
        rows.append(
            (metric.title, metric.say(float(value)), metric.say(found.mean), ends, str(found.runs))
        )
    caption = (
        "The same system with other seeds: Student's interval of the mean over independent"
        " replications (Law, Simulation Modeling and Analysis, 2015, section 9.4.1)."
    )
    return Table(columns, tuple(rows), caption, numeric(columns, "Figure"))


# ---------------------------------------------------------------- what was set


def _configuration(result: Result, said: Asked) -> Section:
    scenario = result.scenario
    blocks: list[Block] = []
    if said.preset is not None:
        differ = [
            row
            for row in differences(said.preset, scenario)
            if row[0].partition(".")[0] not in SAME_WORDS
        ]
        title = said.preset.title
        if differ:
            rows = tuple((path, setting(old), setting(new)) for path, old, new in differ[:ROWS_MAX])
            caption = f"What differs from “{title}” as it comes."
            blocks.append(Table(("Knob", "There", "Here"), rows, caption))
        else:
            blocks.append(Words(f"It is “{title}” as it comes: no knob was turned."))
    layers = ", ".join(name for name, layer in scenario.layers() if layer.enabled)
    blocks.append(Words(f"Layers that are on: {layers}. The whole scenario stands at the end."))
    return Section("Configuration", tuple(blocks))


# ---------------------------------------------------------------- what came out


def _journeys(result: Result) -> Table:
    columns = ("Journey", "Started", "Answered", "Failed", "Mean", "P50", "P95", "P99")
    rows = tuple(
        (
            str(row["title"]),
            *(f"{int(row[name]):,}" for name in ("started", "answered", "failed")),
            *(_ms(row[f"latency_ms_{name}"]) for name in ("mean", "p50", "p95", "p99")),
        )
        for _, row in result.journeys.iterrows()
    )
    return Table(columns, rows, "By journey, without the warm-up.", numeric(columns, "Journey"))


def _where(result: Result, drawn: Picture) -> Section:
    table = result.shares[result.shares["journey"] == "all"]
    columns = ("Layer", "Kind", "Mean", "Share", "In the slowest 1 %", "Share of these")
    held = {
        of: {(r.layer, r.kind): (r.ms, r.share) for r in table[table["of"] == of].itertuples()}
        for of in ("mean", "p99")
    }
    rows = []
    for place, (ms, share) in held["mean"].items():
        slow_ms, slow = held["p99"][place]
        if ms > 0 or slow_ms > 0:
            own = (_ms(ms), percent(share))
            slowest = (_ms(slow_ms), percent(slow))
            rows.append((place[0].capitalize(), place[1], *own, *slowest))
    caption = "Time a request spends, by layer: working, waiting in line, on the network."
    spent = Table(columns, tuple(rows), caption, numeric(columns, "Layer", "Kind"))
    return Section("Where the time goes", (drawn, spent))


def _stations(result: Result, units: Units) -> Section:
    columns = (
        "Part",
        "Layer",
        "×",
        "Rate",
        "Busy",
        "Wait",
        "Theory's wait",
        "Stay",
        "Stay P99",
        "Hits",
    )
    rows = tuple(
        (
            str(row["title"]),
            str(row["layer"]),
            str(row["instances"]),
            per_second(row["rate_per_s"], units),
            _share(row["utilisation"]),
            *(
                _ms(row[name])
                for name in (
                    "wait_ms_mean",
                    "theory_wait_ms",
                    "residence_ms_mean",
                    "residence_ms_p99",
                )
            ),
            _share(row["hit_ratio"]),
        )
        for _, row in result.stations.iterrows()
    )
    told = (
        "Theory's wait is Erlang C's for M/M/c at the measured rate and work: Poisson arrivals,"
        " exponential work, one line. Where the measured wait is far from it, one of these does not"
        " hold: bursts, limits on the line, work that is more even or more uneven."
    )
    return Section(
        "Stations, with theory beside them",
        (Table(columns, rows, "", numeric(columns, "Part", "Layer")), Words(told)),
    )


def _events(result: Result) -> Section:
    blocks: list[Block] = []
    events = result.events
    if len(events):
        rows = tuple(
            (f"{e.time_s:.1f} s", str(e.kind), str(e.station), str(e.text or e.kind))
            for e in events.head(ROWS_MAX).itertuples()
        )
        more = f"The first {ROWS_MAX} of {len(events):,}." if len(events) > ROWS_MAX else ""
        blocks.append(Table(("Time", "Kind", "Part", "What happened"), rows, more))
    else:
        blocks.append(Words("The log is empty: nothing broke, scaled or fired."))
    calls = result.on_call
    if len(calls):
        columns = ("Alert", "Part", "Severity", "Cause", "Fired", "After", "Resolved", "Failed")
        fired = tuple(
            (
                str(c.alert),
                str(c.station),
                str(c.severity),
                str(c.cause) or "–",
                _seconds(c.fired_s),
                _seconds(c.detected_after_s),
                _seconds(c.resolved_s),
                f"{c.requests_failed:,.0f}",
            )
            for c in calls.head(ROWS_MAX).itertuples()
        )
        blocks.append(Table(columns, fired, "Alerts that fired, and what users saw meanwhile."))
    else:
        blocks.append(Words("No alert fired."))
    return Section("Events and alerts", tuple(blocks))


def _ms(value: float) -> str:
    """Return a time, or a dash where nothing was measured."""
    return "–" if math.isnan(value) else milliseconds(value)


def _share(value: float) -> str:
    return "–" if math.isnan(value) else percent(value)


def _seconds(value: Any) -> str:
    return f"{value:.1f} s" if math.isfinite(value) else "–"


def _traces(result: Result) -> tuple[Block, ...]:
    found = waterfalls(result)
    if not found:
        return (Words("No trace was kept."),)
    none_failed = not any(picture.name.endswith("failed") for picture in found)
    return (*found, *([Words("No request whose trace is kept failed.")] if none_failed else []))


# ---------------------------------------------------------------- what it is worth


def _score(result: Result, lab: Lab | None) -> Section:
    columns = ("Pillar", "Score", "Measured", "How")
    rows = tuple(
        (p.name, "–" if p.score is None else f"{p.score}{SPACE}of{SPACE}100", p.measured, p.how)
        for p in pillars(result, lab)
    )
    marks = numeric(columns, "Pillar", "Measured", "How")
    return Section("Score on five pillars", (Table(columns, rows, "", marks),))


def _cost(result: Result, units: Units) -> Section:
    columns = ("Item", "Quantity", "Each an hour", "An hour")
    bill = result.bill()
    rows = [
        (b.item, f"{b.quantity:,.4g}", f"${b.usd_per_hour_each:,.4g}", f"${b.usd_per_hour:,.4f}")
        for b in bill
    ]
    total = sum(line.usd_per_hour for line in bill)
    rows.append(("In all", "", "", dollars(total)))
    if units.bill != USUAL.bill:
        hours = BILLS[units.bill][0]
        rows.append((f"In all, a {units.bill} of {hours:g} h", "", "", dollars(total * hours)))
    said = "List prices, as the scenario has them; of what was scaled, the mean number over time."
    return Section("Cost", (Table(columns, tuple(rows), said, numeric(columns, "Item")),))


def _again(result: Result, said: Asked) -> Section:
    """Return how to get the same: one command and one link."""
    blocks: list[Block] = [
        Words(
            f"Strata {VERSION}, seed {result.seed}, scenario {result.scenario.digest()}. The same"
            " scenario and seed give the same figures to the last bit, on any machine."
        )
    ]
    try:
        link = to_link(result.scenario, result.seed)
    except ScenarioError as error:
        blocks.append(Words(f"There is no link: {error}."))
        name = said.name or "scenario.yaml"
        return Section(
            "How to reproduce it",
            (*blocks, Code(f"python -m engine run {name} --seed {result.seed}")),
        )
    blocks += [
        Words("One command:"),
        Code(f"python -m engine run {link}"),
        Words("One link, behind the address of any Strata:"),
        Code(f"/?s={link}"),
    ]
    return Section("How to reproduce it", tuple(blocks))
