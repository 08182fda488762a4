"""What leaves Strata is read by other programs, says the same as the screen, and does no harm."""

import base64
import csv
import fnmatch
import io
import json
import math
import pathlib
import zipfile
from typing import Any

import pandas as pd
import pytest
from google.protobuf import json_format
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from engine import Result, ScenarioError, load, read_text, simulate
from engine.__main__ import figures, main
from engine.export import bundle, files, from_link, kinds, to_link
from engine.export.tables import FORMULA, TABLES, table, to_csv


@pytest.fixture(scope="module")
def found(shop: Result) -> dict[str, bytes]:
    """Return the shop's files."""
    return files(shop)


# ---------------------------------------------------------------- the scenario, again


@pytest.mark.parametrize("path", ["scenario.yaml", "scenario.json", "link.txt"])
def test_an_exported_scenario_gives_the_same_bytes_of_result(
    shop: Result, found: dict[str, bytes], path: str
) -> None:
    """Whoever opens what was handed out would see another run."""
    text = found[path].decode()
    scenario, seed = from_link(text) if path == "link.txt" else (read_text(text), shop.seed)
    assert scenario == shop.scenario
    assert json.dumps(figures(simulate(scenario, seed))) == json.dumps(figures(shop))


def test_the_same_run_gives_the_same_zip(shop: Result) -> None:
    """Two exports of one run could not be compared, nor kept by their digest."""
    again = simulate(shop.scenario, shop.seed)
    assert bundle(shop) == bundle(again)


# ---------------------------------------------------------------- the zip


def test_the_zip_says_what_each_of_its_files_is(shop: Result, found: dict[str, bytes]) -> None:
    """Somebody who gets it by mail would have to guess."""
    with zipfile.ZipFile(io.BytesIO(bundle(shop))) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        readme = archive.read("README.txt").decode()
    assert set(names) == {"README.txt", *found}
    told = [line.split()[0] for line in readme.splitlines() if line.split()[1:]]
    for name in found:
        assert any(fnmatch.fnmatch(name, path) for path in told), f"nothing is said of {name}"


def test_every_kind_says_what_its_files_are(shop: Result) -> None:
    """The page that offers them would have nothing to say."""
    for kind in kinds():
        assert kind.title
        assert kind.help
        for path in kind.make(shop):
            assert any(fnmatch.fnmatch(path, said) for said in kind.says), path


def test_no_path_leaves_its_folder(hostile: Result) -> None:
    """A journey called ../../x would write over somebody's files."""
    for path in files(hostile):
        assert not pathlib.PurePosixPath(path).is_absolute()
        assert ".." not in path
        assert path.isascii()


def test_a_kind_that_there_is_not_is_refused_in_one_line(shop: Result) -> None:
    """A spelling mistake would give an empty zip."""
    with pytest.raises(ScenarioError, match="did you mean parquet"):
        files(shop, ["parkett"])


# ---------------------------------------------------------------- tables


@pytest.mark.parametrize("name", TABLES)
def test_csv_and_parquet_hold_the_same_figures_as_the_result(
    shop: Result, found: dict[str, bytes], name: str
) -> None:
    """A spreadsheet would show other figures than the screen."""
    expected = table(shop, name)
    packed = pd.read_parquet(io.BytesIO(found[f"parquet/{name}.parquet"]))
    read = pd.read_csv(io.BytesIO(found[f"csv/{name}.csv"]))
    assert list(read.columns) == list(packed.columns) == list(expected.columns)
    for column in expected.columns:
        if pd.api.types.is_numeric_dtype(expected[column].dtype):
            pd.testing.assert_series_equal(
                read[column].astype(float), expected[column].astype(float), check_exact=True
            )
            pd.testing.assert_series_equal(
                packed[column].astype(float), expected[column].astype(float), check_exact=True
            )
        else:
            assert packed[column].fillna("").tolist() == expected[column].fillna("").tolist()


def test_no_cell_of_a_csv_begins_a_formula(hostile: Result) -> None:
    """A spreadsheet would run what a stranger wrote into a name."""
    harmless = 0
    for path, held in files(hostile, ["csv"]).items():
        for row in csv.reader(io.StringIO(held.decode())):
            for cell in row:
                assert not cell.lstrip().startswith(FORMULA) or is_number(cell), (path, cell)
                harmless += cell.startswith("'=")
    assert harmless


def is_number(text: str) -> bool:
    """Return whether a cell is a plain number."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def test_text_before_which_somebody_put_blanks_is_made_harmless_too() -> None:
    """Spreadsheets drop blanks before they look for a formula."""
    made = to_csv(pd.DataFrame({"=a": [" =1+1", "\t@x", "fine"], "n": [-1.5, 2.0, 3.0]})).decode()
    assert made.splitlines()[0].startswith("'=a")
    assert "' =1+1,-1.5" in made


# ---------------------------------------------------------------- traces


def test_otlp_is_what_opentelemetry_reads(shop: Result, found: dict[str, bytes]) -> None:
    """A collector would refuse the file."""
    held = json.loads(found["traces/otlp.json"])
    spans = [s for r in held["resourceSpans"] for c in r["scopeSpans"] for s in c["spans"]]
    assert len(spans) == sum(len(trace.spans) for trace in shop.kept_traces())
    identities = {(span["traceId"], span["spanId"]) for span in spans}
    assert len(identities) == len(spans)
    for span in spans:
        assert len(bytes.fromhex(span["traceId"])) == 16
        assert len(bytes.fromhex(span["spanId"])) == 8
        assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
        if "parentSpanId" in span:
            assert (span["traceId"], span["parentSpanId"]) in identities
        # Of all there is, only the ids differ from protobuf's own JSON, which has them in base64.
        for name in ("traceId", "spanId", "parentSpanId"):
            if name in span:
                span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    read = json_format.ParseDict(held, TracesData(), ignore_unknown_fields=False)
    services = {
        attribute.value.string_value
        for resource in read.resource_spans
        for attribute in resource.resource.attributes
        if attribute.key == "service.name"
    }
    assert "application.product" in services


def test_jaeger_gets_the_same_traces_whole(shop: Result, found: dict[str, bytes]) -> None:
    """Jaeger's page would show broken trees, or other times than our own."""
    held = json.loads(found["traces/jaeger.json"])
    kept = {trace.trace_id: trace for trace in shop.kept_traces()}
    assert [trace["traceID"] for trace in held["data"]] == list(kept)
    for trace in held["data"]:
        known = {span["spanID"] for span in trace["spans"]}
        ours = kept[trace["traceID"]]
        for span, own in zip(trace["spans"], ours.spans, strict=True):
            assert span["processID"] in trace["processes"]
            assert all(reference["spanID"] in known for reference in span["references"])
            assert span["duration"] == round(own.duration_ms * 1e3)
        assert abs(trace["spans"][0]["duration"] / 1e3 - ours.latency_ms) < 1e-3


# ---------------------------------------------------------------- metrics


def parsed(held: bytes) -> dict[str, Any]:
    """Return metric families by name, as Prometheus's own parser reads them."""
    return {family.name: family for family in text_string_to_metric_families(held.decode())}


def test_openmetrics_is_what_prometheus_reads(shop: Result, found: dict[str, bytes]) -> None:
    """Prometheus would refuse the file, or count otherwise than the run did."""
    families = parsed(found["metrics/openmetrics.txt"])
    requests = families["strata_requests"].samples
    failed = sum(s.value for s in requests if s.labels["outcome"] == "failed")
    answered = sum(s.value for s in requests if s.labels["outcome"] == "answered")
    assert (answered, failed) == (shop.summary.answered, shop.summary.failed)
    reasons = sum(s.value for s in families["strata_failures"].samples) if failed else 0
    assert reasons == failed
    samples = families["strata_request_duration_seconds"].samples
    total = sum(s.value for s in samples if s.name.endswith("_sum"))
    count = sum(s.value for s in samples if s.name.endswith("_count"))
    assert total / count * 1e3 == pytest.approx(shop.summary.latency_ms_mean)
    bill = sum(s.value for s in families["strata_cost_usd_per_hour"].samples)
    assert bill == pytest.approx(shop.summary.cost_usd_per_hour)
    over_time = families["strata_answered_per_second"].samples
    assert [s.value for s in over_time] == shop.timeseries["answered_per_s"].tolist()
    assert [float(s.timestamp) for s in over_time] == pytest.approx(
        shop.timeseries["time_s"].tolist(), abs=1e-8
    )


def test_hostile_names_are_escaped_in_metrics(hostile: Result) -> None:
    """A quote in a name would break the file, or forge a metric."""
    families = parsed(files(hostile, ["metrics"])["metrics/openmetrics.txt"])
    journeys = {sample.labels["journey"] for sample in families["strata_requests"].samples}
    assert journeys == set(hostile.scenario.journeys)


# ---------------------------------------------------------------- the log


def test_the_event_log_is_a_line_an_event(shop: Result, found: dict[str, bytes]) -> None:
    """A line would be lost, or not be JSON."""
    lines = [json.loads(line) for line in found["events.jsonl"].decode().splitlines()]
    assert [line["text"] for line in lines] == shop.events["text"].tolist()
    assert any(line["kind"] == "fault" for line in lines)
    assert found["requests.jsonl"].decode() == shop.logs()


# ---------------------------------------------------------------- the shell


@pytest.mark.thorough
def test_the_shell_writes_folders_and_zips(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who has no browser could take nothing away."""
    short = ["--set", "duration_seconds=3", "--set", "warm_up_seconds=1"]
    whole = tmp_path / "run.zip"
    assert main(["export", "monolith", *short, "--out", str(whole)]) == 0
    with zipfile.ZipFile(whole) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    link = held["link.txt"].decode().strip()
    folder = tmp_path / "folder"
    assert main(["export", link, "--out", str(folder)]) == 0
    on_disk = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert on_disk == held
    capsys.readouterr()
    assert main(["link", "monolith", *short]) == 0
    assert capsys.readouterr().out.strip() == link


def test_the_shell_says_in_one_line_what_is_wrong_with_a_link(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A traceback tells nobody what to do."""
    assert main(["run", to_link(load("monolith"), 7)[:-9]]) == 2
    error = capsys.readouterr().err
    assert "cut or changed" in error
    assert error.count("\n") == 1
