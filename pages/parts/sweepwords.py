"""What a sweep says, in plain words."""

import math

from engine import Interval, Law
from pages.parts.axisform import said
from pages.parts.sweepcharts import View, fit_quality, knee_of

POOR = 0.95  # R² below which the law does not describe the system


def of_curve(view: View) -> str:
    """Say from where to where the metric goes, where it is best and where it breaks the limit."""
    knob, metric = view.knobs[0], view.metric
    cells = [c for c in view.found.cells if not math.isnan(c.interval(metric.name).mean)]
    if not cells:
        return "Nothing was measured yet."
    values = [cell.interval(metric.name) for cell in cells]
    places = [said(knob, cell.changes[knob.path]) for cell in cells]
    unit = f" {knob.unit or knob.title.lower()}"
    first, last = values[0], values[-1]
    text = (
        f"**{metric.title}** is {_sure(view, first)} at {places[0]}{unit} and"
        f" {_sure(view, last)} at {places[-1]}{unit}."
    )
    gap = abs(last.mean - first.mean)
    noise = math.hypot(_zero(first.half_width), _zero(last.half_width))
    if gap <= noise:
        text += " Between these ends there is no difference beyond noise."
    text += _crossing(view, places, unit)
    runs = {each.runs for each in values}
    count = f"{min(runs)}" if len(runs) == 1 else f"{min(runs)} to {max(runs)}"
    return (
        f"{text} The band holds the mean with 95 % certainty ({count} runs a point): where bands"
        " overlap, luck may be all the difference. Click a point to open it in the Playground."
    )


def _crossing(view: View, places: list[str], unit: str) -> str:
    """Say where the limit is crossed."""
    if math.isnan(view.limit):
        return ""
    cells = [c for c in view.found.cells if not math.isnan(view.value(c))]
    bad = [view.bad(view.value(cell)) for cell in cells]
    limit = view.metric.say(view.limit)
    if not any(bad):
        return f" It keeps the limit of {limit} everywhere."
    if all(bad):
        return f" It breaks the limit of {limit} everywhere (✕)."
    turns = [n for n in range(1, len(bad)) if bad[n] != bad[n - 1]]
    where = " and ".join(f"between {places[n - 1]} and {places[n]}{unit}" for n in turns[:3])
    return f" It crosses the limit of {limit} {where} (✕ is beyond it)."


def of_map(view: View) -> str:
    """Say what the colours and the line mean, and how much of the map keeps the limit."""
    known = [view.value(cell) for cell in view.found.cells]
    known = [each for each in known if not math.isnan(each)]
    text = (
        f"Each field is one system; its number is **{view.metric.title}** in"
        f" {_unit(view)}: green is better."
    )
    if not math.isnan(view.limit) and known:
        good = sum(not view.bad(each) for each in known)
        text += (
            f" The thick line is the limit of {view.metric.say(view.limit)}: {good} of"
            f" {len(known)} fields keep it, ✕ does not."
        )
    return text + " Click a field to open it in the Playground."


def _unit(view: View) -> str:
    return {"share": "percent", "$": "dollars"}.get(view.metric.unit, view.metric.unit)


def of_hockey(view: View) -> str:
    """Say where the knee is, and what it means."""
    bend = knee_of(view.found)
    if bend is None:
        return "As more is asked for, throughput grows to the right, and latency upwards."
    cell, knob = view.found.cells[bend], view.knobs[0]
    flow = cell.interval("answered_per_second").mean
    slow = cell.interval("latency_ms_mean").mean
    text = (
        f"The **knee** is at {said(knob, cell.changes[knob.path])}"
        f" {knob.unit or knob.title.lower()}: {flow:,.0f}/s answered in {slow:,.0f} ms on average."
        " Up to there more load brings more answers at little cost in time;"
        " beyond it, it mostly brings longer lines."
        " (The knee is where throughput / latency is greatest: Kleinrock’s power.)"
    )
    if bend == len(view.found.cells) - 1:
        text += " It is the last point: the system may take more; sweep further."
    return text


def of_law(view: View, found: Law) -> str:
    """Say what the fitted parameters mean for this system."""
    knob, fit = view.knobs[0], found.fit
    what = knob.unit or knob.title.lower()
    quality = fit_quality(view, fit)
    text = (
        f"The **Universal Scalability Law**: at low load {100 * fit.gamma:.3g} % of what is asked"
        " is answered."
        if knob.unit == "requests/s"
        else f"The **Universal Scalability Law**: each of few {what} gets {fit.gamma:,.3g}/s."
    )
    most = max(float(cell.changes[knob.path]) for cell in view.found.cells)
    if fit.alpha * most > 0.01:
        text += (
            " Waiting in line for what is shared (contention α ="
            f" {_about(fit.alpha, found.alpha)}) sets a ceiling of"
            f" {fit.gamma / fit.alpha:,.0f}/s, however much is asked."
        )
    if fit.beta * most * most > 0.01:
        peak = math.sqrt(max(0.0, 1 - fit.alpha) / fit.beta)
        text += (
            f" Getting in each other’s way (coherency β = {_about(fit.beta, found.beta)}) makes it"
            f" **fall** beyond {peak:,.0f} {what}: more load, fewer answers."
        )
    else:
        beta = _about(fit.beta, found.beta)
        text += f" Nothing gets worse by more load alone (coherency β = {beta})."
    if quality < POOR:
        text += (
            f" The law fits poorly here (R² {quality:.2f}): this system breaks at once rather than"
            " bend; trust the points."
        )
    else:
        text += f" It explains {100 * quality:.1f} % of what was measured (R²)."
    return text


def _sure(view: View, value: Interval) -> str:
    return view.metric.say(value.mean) + view.metric.half(value.half_width)


def _about(value: float, known: Interval) -> str:
    """Return a coefficient, and how far off it may be."""
    return f"{value:.2g}" + ("" if math.isnan(known.half_width) else f" ± {known.half_width:.2g}")


def _zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value
