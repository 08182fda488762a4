"""The studies' part of the command line: explain, next, compare, sweep, plan."""

from __future__ import annotations

import argparse
import functools
import json
import pathlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd

from engine.errors import ScenarioError
from engine.reading import load, values
from engine.run import simulate
from engine.study.compare import RUNS, compare
from engine.study.crew import Crew, Processes, crew
from engine.study.explain import explain
from engine.study.goal import ALLOWED, LENGTH_SECONDS, BadDay, Goal, bad_day
from engine.study.headroom import Objective, headroom
from engine.study.lab import Lab, metric_of
from engine.study.plan import plan
from engine.study.shelf import Shelf
from engine.study.sweep import Axis, Precision, axis, knee, law, ranged, sweep
from engine.study.trials import table, what_next

if TYPE_CHECKING:
    from engine.scenario import Scenario

AXIS = "PATH=2,4,8 or PATH=2..8 or PATH=10..1000:5:log"
Change = Callable[[str], tuple[str, Any]]


def add(commands: Any, change: Change) -> None:
    """Add the commands to a parser's; `change` reads a PATH=VALUE."""

    def command(name: str, what: str, do: Callable[[argparse.Namespace], int | None]) -> Any:
        made = commands.add_parser(name, help=what)
        made.add_argument("scenario", help="a preset's name or a path to YAML or JSON")
        made.add_argument(
            "--set", action="append", default=[], metavar="PATH=VALUE", dest="changes", type=change
        )
        made.add_argument("--scheduler", default="", metavar="tcp://…", help="of a Dask cluster")
        made.add_argument("--processes", type=int, help="default: one a core")
        made.add_argument("--fresh", action="store_true", help="play again what was kept")
        made.add_argument("--json", metavar="FILE", help="- for standard output")
        made.add_argument("--csv", metavar="FILE", help="- for standard output")
        made.set_defaults(do=functools.partial(_to_the_end, do))
        return made

    one = command("explain", "say what limits a system, and how much more it takes", _explain)
    one.add_argument("--seed", type=int, default=7)
    _promise(one)
    one = command("next", "try every lever one step up and down", _next)
    one.add_argument("--metric", default="latency_ms_p99")
    one.add_argument("--runs", type=int, default=4, help="seeds for each; default: 4")
    one = command("compare", "compare a scenario with others, by the same luck", _compare)
    one.add_argument("others", nargs="*", help="more presets or files")
    one.add_argument(
        "--with",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        dest="variants",
        type=change,
        help="the same scenario with a knob turned; may be repeated",
    )
    one.add_argument("--runs", type=int, default=RUNS, help=f"seeds for each; default: {RUNS}")
    one = command("sweep", "turn one or two knobs through a range", _sweep)
    one.add_argument("--knob", action="append", required=True, metavar=AXIS, dest="axes")
    one.add_argument("--metric", default="latency_ms_p99")
    one.add_argument("--runs", type=int, default=3, help="seeds for each; default: 3")
    one.add_argument(
        "--until",
        type=float,
        metavar="SHARE",
        help="0.05: more seeds until the metric is known to ± 5 %%",
    )
    one = command("plan", "find the cheapest configuration that keeps a promise", _plan)
    one.add_argument("--knob", action="append", required=True, metavar=AXIS, dest="axes")
    one.add_argument("--headroom", type=float, default=0.0, help="0.3: 30 %% more load than now")
    one.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="KIND[:SECONDS]",
        dest="faults",
        help="that it has to live through, such as kill_server:60; may be repeated",
    )
    one.add_argument(
        "--availability",
        type=float,
        default=1 - ALLOWED,
        metavar="SHARE",
        help=f"answered while a fault lasts; default: {1 - ALLOWED:g}",
    )
    one.add_argument("--runs", type=int, default=3, help="seeds for each; default: 3")
    _promise(one)


def _to_the_end(
    do: Callable[[argparse.Namespace], int | None], options: argparse.Namespace
) -> int | None:
    """Do what is asked for; processes that wait for more to play would keep the shell waiting."""
    try:
        return do(options)
    finally:
        if options.processes != 1 and not options.scheduler:
            Processes(options.processes).end()


def _promise(command: Any) -> None:
    command.add_argument("--p99", type=float, default=500.0, metavar="MS", help="default: 500")
    command.add_argument(
        "--errors", type=float, default=0.01, metavar="SHARE", help="default: 0.01"
    )


def read_axis(scenario: Scenario, text: str) -> Axis:
    """Return the axis that PATH=2,4,8 or PATH=10..1000:5:log says.  Raises ScenarioError."""
    path, sign, said = text.partition("=")
    if not sign or not said:
        raise ScenarioError(f"--knob {text} has no values; write {AXIS}")
    if ".." not in said:
        return axis(scenario, path, [values(each, f"--knob {path}") for each in said.split(",")])
    ends, _, rest = said.partition(":")
    count, _, scale = rest.partition(":")
    low, _, high = ends.partition("..")
    try:
        first, last = float(low), float(high)
        steps = int(count) if count else min(50, max(2, round(abs(last - first)) + 1))
    except ValueError:
        raise ScenarioError(f"--knob {text} is no range; write {AXIS}") from None
    if scale not in {"", "linear", "log"}:
        raise ScenarioError(f"--knob {text}: {scale!r} is no scale; use linear or log")
    return ranged(scenario, path, first, last, steps, "log" if scale == "log" else "linear")


def read_day(scenario: Scenario, text: str, error_ratio: float) -> BadDay:
    """Return the bad day that kill_server:60 says.  Raises ScenarioError."""
    do, _, said = text.partition(":")
    try:
        length = float(said) if said else LENGTH_SECONDS
    except ValueError:
        raise ScenarioError(f"--fault {text}: {said!r} is no number of seconds") from None
    return bad_day(scenario, do, error_ratio, length)


def _scenario(options: argparse.Namespace) -> Scenario:
    return load(options.scenario).change(dict(options.changes))


def _lab(options: argparse.Namespace) -> Lab:
    """Return where the runs are played, and a line that says how far it is."""

    def report(done: int, total: int) -> None:
        if sys.stderr.isatty():
            print(
                f"\r{done:,} of {total:,} runs", end="\n" if done == total else "", file=sys.stderr
            )

    shelf = None if options.fresh else Shelf()
    return Lab(_players(options), shelf, report)


def _players(options: argparse.Namespace) -> Crew:
    """Return who plays; where a cluster does not answer, ask whether to play here instead."""
    try:
        return crew(options.scheduler, options.processes)
    except ScenarioError as error:
        if not sys.stdin.isatty():
            raise
        print(error, file=sys.stderr)
        print("Play on this machine instead? [Y/n] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in {"", "y", "yes"}:
            raise
        options.scheduler = ""  # so that these processes are ended as well
        return crew("", options.processes)


def _give(options: argparse.Namespace, lines: list[str], frame: pd.DataFrame, **more: Any) -> None:
    """Print words, and write what was asked for; a file named - is standard output."""
    if "-" not in {options.json, options.csv}:
        print("\n".join(lines))
    rows = json.loads(frame.to_json(orient="records", double_precision=12))
    texts = {
        options.json: json.dumps({"says": lines, "rows": rows, **more}, indent=1) + "\n",
        options.csv: frame.to_csv(index=False),
    }
    for place, text in texts.items():
        if place == "-":
            sys.stdout.write(text)
        elif place:
            pathlib.Path(place).write_text(text, encoding="utf-8")


def _explain(options: argparse.Namespace) -> None:
    scenario = _scenario(options)
    found = explain(simulate(scenario, options.seed))
    promise = Objective(options.p99, options.errors)
    room = headroom(scenario, _lab(options), promise, options.seed)
    _give(options, [*found.sentences, room.sentence], found.stations.reset_index())


def _next(options: argparse.Namespace) -> None:
    metric_of(options.metric)
    trials = what_next(_scenario(options), _lab(options), options.metric, options.runs)
    _give(options, [trial.sentence for trial in trials], table(trials))


def _compare(options: argparse.Namespace) -> None:
    base = _scenario(options)
    scenarios = {options.scenario: base} | {name: load(name) for name in options.others}
    for path, value in options.variants:
        scenarios[f"{path}={value}"] = base.change({path: value})
    found = compare(scenarios, _lab(options), options.runs)
    lines = []
    for name in found.names[1:]:
        lines.append(f"{name} against {found.names[0]}, {found.runs} runs each:")
        lines += [f"  {path}: {old} → {new}" for path, old, new in found.differs[name]]
        lines += [f"  {v.sentence}" for v in found.verdicts if v.scenario == name]
    _give(options, lines, found.table)


def _sweep(options: argparse.Namespace) -> None:
    metric, scenario = metric_of(options.metric), _scenario(options)
    axes = [read_axis(scenario, text) for text in options.axes]
    until = Precision(metric.name, options.until) if options.until else None
    found = sweep(scenario, axes, _lab(options), options.runs, until)
    lines = []
    for row in found.curve(metric.name).to_dict("records"):
        at = ", ".join(f"{each.path} {row[each.path]}" for each in axes)
        half = (row["high"] - row["low"]) / 2
        lines.append(
            f"{at}: {metric.title} {row['problem'] or metric.say(row['value'])} ± {half:.3g}"
        )
    if len(axes) == 1:
        load, flow, slow = (
            found.table[name].tolist()
            for name in (axes[0].path, "answered_per_second", "latency_ms_mean")
        )
        if axes[0].path.startswith("client."):
            lines.append(f"knee at {axes[0].path} {load[knee(load, flow, slow)]}")
        fitted = law(found)
        if fitted:
            lines.append(
                f"universal scalability law: contention {fitted.fit.alpha:.3g}"
                f" ± {fitted.alpha.half_width:.2g}, coherency {fitted.fit.beta:.3g}"
                f" ± {fitted.beta.half_width:.2g}"
            )
    _give(options, lines, found.table)


def _plan(options: argparse.Namespace) -> None:
    scenario = _scenario(options)
    axes = [read_axis(scenario, text) for text in options.axes]
    days = tuple(read_day(scenario, text, 1 - options.availability) for text in options.faults)
    goal = Goal(Objective(options.p99, options.errors), options.headroom, days)
    found = plan(scenario, goal, axes, _lab(options), options.runs)
    lines = [found.sentence]
    lines += [f"  ${c.cost_usd_per_hour:,.2f}/h {c.changes}: {c.broken}" for c in found.cheaper]
    _give(options, lines, found.table)
