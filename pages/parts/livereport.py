"""What there is to say when a live run is over: what happened, who noticed, what people saw."""

from engine import Result
from pages.parts import words

_ROUTINE = {"flush", "backup", "warm_up", "rebalance", "pause", "alert_pending"}  # of the log
LINES_MAX, REASONS_MAX = 40, 5


def report(result: Result, seconds: float) -> list[list[str]]:
    """Return headings and sentences, each as (kind, text); `seconds` is how long the run was."""
    lines = [["head", "What people saw"], ["text", _seen(result, seconds)]]
    worst = _worst(result)
    if worst:
        lines.append(["text", worst])
    failures = sorted(result.summary.failures.items(), key=lambda pair: -pair[1])[:REASONS_MAX]
    if failures:
        lines.append(["head", "Why requests failed"])
        lines += [["text", f"{count:,}: {reason}"] for reason, count in failures]
    noted = [
        ["text", f"{_clock(float(at))} {kind.replace('_', ' ')}: {text or kind}"]
        for at, kind, text in result.events[["time_s", "kind", "text"]].itertuples(index=False)
        if kind not in _ROUTINE
    ]
    lines.append(["head", "On call"])
    lines += noted[:LINES_MAX] or [["text", "Nothing was broken, changed or alerted."]]
    if len(noted) > LINES_MAX:
        lines.append(["text", f"… and {len(noted) - LINES_MAX} more in the log."])
    return lines


def _seen(result: Result, seconds: float) -> str:
    """Return the whole run in one sentence."""
    summary = result.summary
    return (
        f"In {_clock(seconds)} people asked {summary.started:,} times; {summary.answered:,} were"
        f" answered, {summary.failed:,} were not ({words.percent(summary.error_ratio)})."
    )


def _worst(result: Result) -> str:
    """Return when it was worst, or nothing."""
    series = result.timeseries
    if series.empty or not series["failed_per_s"].max() > 0:
        return ""
    row = series.loc[series["error_ratio"].idxmax()]
    return (
        f"It was worst around {_clock(float(row['time_s']))}: {words.percent(row['error_ratio'])}"
        " of requests got no answer."
    )


def _clock(seconds: float) -> str:
    """Return a moment as people say it."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
