"""A run as files: what there is of it, each kind by name, and all of it in one zip.

The same run gives the same bytes: nothing says when or where it was written.
"""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Callable, Iterable
from typing import NamedTuple

from engine.errors import ScenarioError, close_to
from engine.export.link import to_link
from engine.export.openmetrics import to_openmetrics
from engine.export.spans import to_jaeger, to_otlp
from engine.export.tables import TABLES, event_lines, plain, table, to_csv, to_parquet
from engine.result import Result
from engine.version import VERSION

BEGIN = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can name
README = "README.txt"
Files = dict[str, bytes]


class Kind(NamedTuple):
    """A kind of data that leaves Strata."""

    name: str
    title: str
    help: str
    make: Callable[[Result], Files]
    says: dict[str, str]  # what each file is, by name


def _scenario(result: Result) -> Files:
    scenario = result.scenario
    whole = json.dumps(scenario.model_dump(mode="json"), indent=1, ensure_ascii=False)
    head = f"# python -m engine run scenario.yaml --seed {result.seed}\n"
    found = {
        "scenario.yaml": (head + scenario.to_yaml()).encode(),
        "scenario.json": f"{whole}\n".encode(),
    }
    # One that is too large for an address has no link: the file says it all.
    with contextlib.suppress(ScenarioError):
        found["link.txt"] = f"{to_link(scenario, result.seed)}\n".encode()
    return found


def _summary(result: Result) -> Files:
    whole = {
        "strata": VERSION,
        "title": result.scenario.title,
        "seed": result.seed,
        "digest": result.scenario.digest(),
        "summary": plain(result.summary.model_dump()),
    }
    return {"summary.json": f"{json.dumps(whole, indent=1, ensure_ascii=False)}\n".encode()}


def _csv(result: Result) -> Files:
    return {f"csv/{name}.csv": to_csv(table(result, name)) for name in TABLES}


def _parquet(result: Result) -> Files:
    return {f"parquet/{name}.parquet": to_parquet(table(result, name)) for name in TABLES}


def _traces(result: Result) -> Files:
    kept = result.kept_traces()
    return {"traces/otlp.json": to_otlp(kept), "traces/jaeger.json": to_jaeger(kept)}


def _metrics(result: Result) -> Files:
    return {"metrics/openmetrics.txt": to_openmetrics(result)}


def _log(result: Result) -> Files:
    return {"events.jsonl": event_lines(result), "requests.jsonl": result.logs().encode()}


_ALL = (
    Kind(
        "scenario",
        "Scenario",
        "The system itself, to be opened again: a file, and a link.",
        _scenario,
        {
            "scenario.yaml": "what differs from the defaults; the same bytes of result come of it",
            "scenario.json": "the same with every default written out",
            "link.txt": "scenario and seed in one word, for an address (?s=…) or the shell",
        },
    ),
    Kind(
        "summary",
        "Headline figures",
        "Rates, errors, latency, cost as JSON.",
        _summary,
        {"summary.json": "the headline figures, without the warm-up"},
    ),
    Kind(
        "csv",
        "Tables as CSV",
        "Time series, stations, journeys and more, for spreadsheets; units in the columns' names.",
        _csv,
        {f"csv/{name}.csv": text for name, text in TABLES.items()},
    ),
    Kind(
        "parquet",
        "Tables as Parquet",
        "The same tables with types, for pandas, DuckDB, Spark.",
        _parquet,
        {f"parquet/{name}.parquet": text for name, text in TABLES.items()},
    ),
    Kind(
        "traces",
        "Traces",
        "The kept traces, for OpenTelemetry's and Jaeger's programs.",
        _traces,
        {
            "traces/otlp.json": "OTLP/JSON: POST it to a collector's /v1/traces",
            "traces/jaeger.json": "drop it on Jaeger's page, under Upload",
        },
    ),
    Kind(
        "metrics",
        "Metrics",
        "What a Prometheus that watched would have, as OpenMetrics text.",
        _metrics,
        {
            "metrics/openmetrics.txt": "OpenMetrics 1.0; promtool tsdb create-blocks-from"
            " openmetrics reads it"
        },
    ),
    Kind(
        "log",
        "Logs",
        "What happened, and what servers wrote down, as JSON lines.",
        _log,
        {
            "events.jsonl": "a line an event: faults, alerts, scaling, deployments",
            "requests.jsonl": "a line a logged call, joined to traces by trace_id",
        },
    ),
)


def kinds() -> tuple[Kind, ...]:
    """Return the kinds of data that a run leaves as."""
    return _ALL


def files(result: Result, only: Iterable[str] | None = None) -> Files:
    """Return a run as files, bytes by path; of all kinds, or only of some by name.

    Paths are plain and relative, whatever things in the scenario are called.  Raises
    ScenarioError for a kind that there is not.
    """
    known = {kind.name: kind for kind in _ALL}
    wanted = list(known) if only is None else list(only)
    for name in wanted:
        if name not in known:
            raise ScenarioError(f"there is no kind of data {name!r}{close_to(name, known)}")
    return {path: held for name in wanted for path, held in known[name].make(result).items()}


def bundle(result: Result, only: Iterable[str] | None = None) -> bytes:
    """Return a run as one zip, with a README.txt that says what each file is."""
    return zipped(with_readme(result, files(result, only)))


def with_readme(result: Result, found: Files) -> Files:
    """Return files with the one that says what each of them is."""
    says = {path: text for kind in _ALL for path, text in kind.says.items()}
    width = max(map(len, found), default=0)
    scenario = result.scenario
    lines = [
        (
            f"{scenario.title}: {scenario.duration_seconds:g} s simulated by Strata {VERSION},"
            f" seed {result.seed}"
        ),
        "",
        "Again, to the last bit:",
        f"  python -m engine run scenario.yaml --seed {result.seed}",
        "",
        (
            f"The first {scenario.warm_up_seconds:g} s are left out of all figures but what has a"
            " time of its own."
        ),
        "",
        *(f"{path:{width}}  {says.get(path, '')}".rstrip() for path in sorted(found)),
    ]
    return {README: ("\n".join(lines) + "\n").encode(), **found}


def zipped(found: Files) -> bytes:
    """Return files as a zip; the same files give the same bytes."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path in sorted(found):
            entry = zipfile.ZipInfo(path, BEGIN)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever it is written
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, found[path])
    return held.getvalue()
