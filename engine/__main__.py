"""The command line: run, faults, postmortem, explain, export, report, deploy and more."""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import sys
from typing import TYPE_CHECKING, Any

from engine import ScenarioError, catalogue, deploy, load, presets, ready, simulate, warm_up
from engine.export import commands as exports
from engine.export import from_link
from engine.postmortem import RERUNS, postmortem
from engine.reading import values
from engine.reference import reference
from engine.report import commands as reports
from engine.scenario import Scenario
from engine.study import commands as studies

if TYPE_CHECKING:
    from engine import Result

BAD_INPUT = 2
FIRST_SEED = 7
EVENTS_MAX = 20  # that the summary tells
LINK = re.compile(r"s\d+\.[\w-]|https?://")  # how a link begins, alone or within an address


def main(arguments: list[str] | None = None) -> int:
    """Do what the arguments ask for; return the exit code, 2 for input that cannot be used."""
    options = parser().parse_args(arguments)
    try:
        return int(options.do(options) or 0)
    except ScenarioError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except BrokenPipeError:
        return 0
    except OSError as error:
        print(f"error: {error.filename or 'a file'}: {error.strerror}", file=sys.stderr)
        return BAD_INPUT


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(
        prog="python -m engine", description="Simulate a seven-layer system."
    )
    commands = top.add_subparsers(required=True, metavar="command")
    run = commands.add_parser("run", help="simulate a preset or a file and print a summary")
    _asks(run)
    run.add_argument(
        "--json", metavar="FILE", help="write all figures to a file; - for standard output"
    )
    run.set_defaults(do=_run)
    after = commands.add_parser(
        "postmortem", help="simulate, and say what happened, why, and what would have helped"
    )
    _asks(after)
    after.add_argument(
        "--reruns", type=int, default=RERUNS, help=f"at most so many runs; default: {RERUNS}"
    )
    after.set_defaults(do=_postmortem)
    faults = commands.add_parser("faults", help="list what can go wrong")
    faults.add_argument("scenario", nargs="?", default="amazon", help="default: amazon")
    faults.set_defaults(do=_faults)
    out = commands.add_parser(
        "deploy", help="write configuration for nginx, Kubernetes, Prometheus and others"
    )
    _asks(out)
    out.add_argument("--out", metavar="DIR", required=True, help="the folder that files go to")
    out.add_argument("--force", action="store_true", help="replace files that are not ours")
    out.add_argument(
        "--no-run", action="store_true", help="leave out unit tests of alerts, which need a run"
    )
    out.set_defaults(do=_deploy)
    studies.add(commands, change)
    exports.add(commands, _asks, _meant, _played)
    reports.add(commands, _asks, _played, _opened)
    commands.add_parser("presets", help="list the presets").set_defaults(do=_presets)
    check = commands.add_parser("validate", help="check a scenario file")
    check.add_argument("scenario")
    check.set_defaults(do=_validate)
    commands.add_parser("schema", help="print the JSON schema of a scenario").set_defaults(
        do=_schema
    )
    commands.add_parser("reference", help="print the component reference").set_defaults(
        do=_reference
    )
    commands.add_parser("warm-up", help="compile the kernel once").set_defaults(do=_warm_up)
    return top


def _asks(run: argparse.ArgumentParser) -> None:
    """Add what says which run is meant."""
    run.add_argument("scenario", help="a preset's name, a path to YAML or JSON, or a link")
    run.add_argument("--seed", type=int, help=f"default: the link's, or {FIRST_SEED}")
    run.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        dest="changes",
        help="turn a knob, such as application.replicas=6; may be repeated",
    )
    run.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="FAULT",
        dest="faults",
        help="let something go wrong, such as 'kill_server at=30 for=60 service=product';"
        " may be repeated",
    )


def change(text: str) -> tuple[str, Any]:
    """Return the (path, value) that PATH=VALUE says; values are read as YAML.

    >>> change("application.replicas=6")
    ('application.replicas', 6)
    """
    path, sign, value = text.partition("=")
    if not sign or not path:
        raise ScenarioError(f"--set {text} has no PATH=VALUE; write application.replicas=6")
    return path.strip(), values(value, f"--set {path.strip()}")


def fault(text: str) -> dict[str, Any]:
    """Return the fault that "KIND at=SECONDS for=SECONDS NAME=VALUE …" says.

    >>> fault("kill_server at=30 for=60 service=product")
    {'do': 'kill_server', 'at_seconds': 30, 'length_seconds': 60, 'service': 'product'}
    """
    kind, *rest = text.split() or [""]
    said: dict[str, Any] = {"do": kind}
    for word in rest:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise ScenarioError(f"--fault {text}: {word} is no NAME=VALUE; write at=30")
        path = {"at": "at_seconds", "for": "length_seconds"}.get(name, name)
        if path in said:
            raise ScenarioError(f"--fault {text} says {name} a second time; leave one out")
        said[path] = values(value, f"--fault {text}: {name}")
    return said


def figures(result: Result) -> dict[str, Any]:
    """Return all figures of a result as plain values."""

    def table(frame: Any) -> Any:
        return json.loads(frame.to_json(orient="records", double_precision=15))

    return {
        "scenario": result.scenario.model_dump(mode="json"),
        "seed": result.seed,
        "summary": result.summary.model_dump(),
        "journeys": table(result.journeys.reset_index()),
        "stations": table(result.stations.reset_index()),
        "timeseries": table(result.timeseries),
        "shares": table(result.shares),
        "accounting": table(result.accounting.reset_index()),
        "messages": table(result.messages.reset_index()),
        "figures": table(result.figures.reset_index()),
        "cost": table(result.cost),
        "events": table(result.events),
    }


def _played(options: argparse.Namespace) -> Result:
    """Return what comes out of the run that is meant."""
    scenario, seed = _meant(options)
    if not ready():
        print("Compiling the simulator, once: about a minute …", file=sys.stderr)
        warm_up()
    return simulate(scenario, seed)


def _opened(text: str) -> tuple[Scenario, int]:
    """Return the scenario and the seed that a preset's name, a file or a link says."""
    return from_link(text) if LINK.match(text) else (load(text), FIRST_SEED)


def _meant(options: argparse.Namespace) -> tuple[Scenario, int]:
    """Return the scenario and the seed of the run that is meant."""
    scenario, seed = _opened(options.scenario)
    scenario = scenario.change(dict(change(text) for text in options.changes))
    if options.faults:
        planned = scenario.model_dump(mode="json")["faults"]
        scenario = scenario.change({"faults": planned + [fault(text) for text in options.faults]})
    return scenario, seed if options.seed is None else options.seed


def _deploy(options: argparse.Namespace) -> None:
    scenario, _ = _meant(options)
    runs = deploy.needs_run(scenario) and not options.no_run
    made = deploy.files(scenario, _played(options) if runs else None)
    deploy.write(made, pathlib.Path(options.out), force=options.force)
    for kind in deploy.kinds():
        names = [path for path in made if path.startswith(f"{kind.name}/")]
        if names:
            print(f"{kind.title:17} {', '.join(names)}")
    print(f"{len(made)} files in {options.out}; each says at its beginning what it carries.")


def _postmortem(options: argparse.Namespace) -> None:
    result = _played(options)

    def tell(done: int, total: int, what: str) -> None:
        print(f"  {done + 1} of {total}: {what}", file=sys.stderr)

    print(postmortem(result, reruns=options.reruns, progress=tell).text(), end="")


def _run(options: argparse.Namespace) -> int:
    result = _played(options)
    if options.json != "-":
        print(readable(result))
    if options.json:
        text = json.dumps(figures(result), indent=1) + "\n"
        if options.json == "-":
            sys.stdout.write(text)
        else:
            pathlib.Path(options.json).write_text(text, encoding="utf-8")
    return 0


def readable(result: Result) -> str:
    """Return the summary as a person reads it."""
    s = result.summary

    def ms(value: float | None) -> str:
        return "–" if value is None else f"{value:,.1f} ms"

    def share(value: float | None) -> str:
        return "–" if value is None else f"{value:.1%}"

    per_million = s.cost_usd_per_million_requests
    bill = f"${s.cost_usd_per_hour:.2f} an hour"
    if per_million:
        bill += f", ${per_million:.2f} a million requests"
    lines = [f"{result.scenario.title}: {s.simulated_seconds:g} s simulated, seed {result.seed}"]
    if result.scenario.warm_up_seconds:
        lines[0] += f"; the first {result.scenario.warm_up_seconds:g} s are left out of the figures"
    rows = {
        "requests": f"{s.requests_per_second:,.0f} /s asked, {s.answered_per_second:,.0f} /s"
        f" answered, errors {share(s.error_ratio)}",
        "latency": f"mean {ms(s.latency_ms_mean)}, P50 {ms(s.latency_ms_p50)},"
        f" P95 {ms(s.latency_ms_p95)}, P99 {ms(s.latency_ms_p99)}",
        "hits": f"CDN {share(s.cdn_hit_ratio)}, cache {share(s.cache_hit_ratio)};"
        f" stale reads {share(s.stale_read_ratio)}",
        "cost": bill,
        "accounts": f"{s.started:,} started = {s.answered:,} answered + {s.failed:,} failed"
        f" + {s.in_flight:,} in flight",
    }
    lines += [f"  {name:10} {text}" for name, text in rows.items()]
    lines += [f"  failed     {count:,} {text}" for text, count in s.failures.items()]
    busiest = result.stations.dropna(subset=["utilisation"]).nlargest(5, "utilisation")
    lines.append(
        "  busiest    " + ", ".join(f"{r.title} {r.utilisation:.0%}" for r in busiest.itertuples())
    )
    events = result.events
    told = events[events["kind"].isin(("fault", "fault_over", "refused"))]
    lines += [f"  {f'{e.time_s:g} s':10} {e.text}" for e in told.head(EVENTS_MAX).itertuples()]
    if len(told) > EVENTS_MAX:
        lines.append(f"  …          and {len(told) - EVENTS_MAX} more")
    return "\n".join(lines)


def _faults(options: argparse.Namespace) -> None:
    print("Each takes at=SECONDS, and for=SECONDS where it lasts; then what is below it.\n")
    for info in catalogue(load(options.scenario)):
        print(f"{info.do:16} {info.help}")
        for field in info.fields:
            if field.path in {"at_seconds", "length_seconds"}:
                continue
            value = "–" if field.value is None else field.value
            unit = f" {field.unit}" if field.unit and field.value is not None else ""
            name = field.path
            print(f"{'':16}   {name}={value}{unit}  {field.help}")
        if info.why_not:
            print(f"{'':16}   cannot be here: {info.why_not}")


def _presets(options: argparse.Namespace) -> None:
    for name, info in presets().items():
        print(f"{name:22} {info.title}. {info.blurb}")


def _validate(options: argparse.Namespace) -> None:
    scenario = load(options.scenario)
    steps = sum(1 for _ in scenario.walk())
    size = f"{len(scenario.journeys)} journeys, {steps} steps"
    print(f"{options.scenario} is a scenario: {scenario.title}, {size}")


def _reference(_: argparse.Namespace) -> None:
    print(reference(), end="")


def _schema(options: argparse.Namespace) -> None:
    print(json.dumps(Scenario.model_json_schema(), indent=1))


def _warm_up(options: argparse.Namespace) -> None:
    if not ready():
        print("Compiling the simulator, once: about a minute …", flush=True)
    warm_up()
    print("The simulator is ready.")


if __name__ == "__main__":
    sys.exit(main())
