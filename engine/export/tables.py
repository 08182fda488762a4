"""Tables as CSV and Parquet, events and logs as JSON lines.

A CSV says numbers as short as they can be read back exactly.  Text that a spreadsheet would take
for a formula gets an apostrophe before it, as OWASP advises ("CSV Injection"); Parquet, which has
types, keeps text as it is.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from engine.result import Result

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
TABLES = {
    "timeseries": "each window of the run: rates, errors, latency quantiles, requests in flight",
    "station_series": "each window and station: rate, busyness, line, hits, failures",
    "flows": "each window and pair of stations: requests a second from one to the other",
    "stations": "each station: how busy, how long the wait, and what theory says of it",
    "journeys": "each journey: how many, and how long they took",
    "shares": "where time is spent, by journey, layer and kind, in the mean and at the P99",
    "latency": "the distribution of latency of all journeys, in log-spaced bins",
    "accounting": "started = answered + failed by reason + in flight, by journey",
    "messages": "every message of every topic: published = processed + dead + what is left",
    "figures": "what single layers know besides",
    "cost": "the bill, line by line",
    "events": "what happened, when, where",
    "on_call": "every alert that fired, its cause, and what users saw meanwhile",
    "scrapes": "what those on call saw: metrics as scraped, each scrape and station",
}


def table(result: Result, name: str) -> pd.DataFrame:
    """Return one of `TABLES` with everything in columns, and plain text where text is."""
    found = result.latency() if name == "latency" else getattr(result, name)
    if found.index.name:
        found = found.reset_index()
    kinds = {
        column: "str"
        for column in found.columns
        if isinstance(found[column].dtype, pd.CategoricalDtype) or not len(found)
    }
    return found.astype(kinds)


def to_csv(found: pd.DataFrame) -> bytes:
    """Return a table as CSV (RFC 4180, UTF-8); no cell of it begins a formula."""
    safe = found.copy()
    for column in found.columns:
        if not pd.api.types.is_numeric_dtype(found[column].dtype):
            safe[column] = [cell(value) for value in found[column]]
    safe.columns = pd.Index([cell(str(name)) for name in found.columns])
    text = safe.to_csv(index=False, lineterminator="\r\n")
    return str(text).encode()


def cell(value: Any) -> Any:
    """Return what may stand in a cell of a spreadsheet.

    >>> cell("=HYPERLINK(1)"), cell("  @x"), cell("Payment"), cell(-3.5)
    ("'=HYPERLINK(1)", "'  @x", 'Payment', -3.5)
    """
    if not isinstance(value, str):
        return value
    danger = value.startswith(FORMULA) or value.lstrip().startswith(FORMULA)
    return f"'{value}" if danger else value


def to_parquet(found: pd.DataFrame) -> bytes:
    """Return a table as Parquet; the same table gives the same bytes."""
    # It takes half a second to load, which those who export nothing need not wait for.
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    held = io.BytesIO()
    plain = pa.Table.from_pandas(found, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(plain, held, compression="snappy")
    return held.getvalue()


def event_lines(result: Result) -> bytes:
    """Return the event log as JSON lines, in order of time."""
    return "".join(f"{line}\n" for line in _events(result)).encode()


def _events(result: Result) -> Iterator[str]:
    for row in result.events.to_dict(orient="records"):
        yield json.dumps(plain(row), ensure_ascii=False)


def plain(value: Any) -> Any:
    """Return a value that JSON has: what was not measured is null."""
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
