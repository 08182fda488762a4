"""What the page Explain says of one run in words and tables."""

import html
import math

import pandas as pd
import streamlit as st

from engine import Explanation, ScenarioError, mser5
from pages.parts import palette, state, words
from pages.parts.edits import written
from pages.parts.state import Run

_HEADS = (
    ("Part", "", ""),
    ("Rate", "Calls a second that come here.", ""),
    ("Busy", "Share of its slots that are taken, on average.", ""),
    (
        "Waits",
        "Measured: how long a call stands in line here; ± half the 95 % interval by batch means.",
        "",
    ),
    ("Erlang C", "What the formula for such a queue (M/M/c) says of the wait.", ""),
    ("Inside", "Measured: how many calls are here at once, on average.", ""),
    ("Little's law", "Rate × stay: how many should be inside. It holds for any queue.", ""),
    ("How they compare", "", "says"),
)


def headline(found: Explanation) -> None:
    """Say what limits the run and why, in two sentences."""
    first, *rest = (html.escape(each) for each in found.sentences[:2])
    st.html(
        f"<div class='answer' data-bottleneck='{html.escape(found.bottleneck)}'>"
        f"<p><b>{first}</b> {' '.join(rest)}</p></div>"
    )


def stations(found: Explanation) -> None:
    """Draw each part's measured wait beside what theory says, and why they differ."""
    st.markdown("**Does theory agree?**")
    if found.stations.empty:
        st.info(
            "No part here has limits, so there is no line that a formula could be held against."
        )
        return
    heads = "".join(
        f"<th scope='col' class='{style}' title={_quoted(what)}>{html.escape(name)}</th>"
        for name, what, style in _HEADS
    )
    rows = "".join(_row(str(name), row) for name, row in found.stations.iterrows())
    st.html(
        f"<table class='facts-table' id='stations'><thead><tr>{heads}</tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )
    st.caption(
        "Little's law: calls inside = rate × time inside, for any queue that is not growing. "
        "Erlang C: the mean wait of a queue with random arrivals (Poisson) and random work "
        "(exponential). Where the measured wait is another, the last column says why."
    )


def _row(name: str, row: "pd.Series[object]") -> str:
    """Return one part's row."""
    number = {key: float(str(value)) for key, value in row.items() if key not in {"title", "says"}}
    layer = name.partition(".")[0]
    says = str(row["says"])
    differs = not says.startswith(("as ", "no formula"))
    cells = [
        words.per_second(number["rate_per_s"]),
        words.percent(number["utilisation"]),
        _wait(number["wait_ms_mean"], number["wait_half_width_ms"]),
        _ms(number["theory_wait_ms"]),
        words.figures(number["number_mean"]),
        words.figures(number["little_number"]),
    ]
    return (
        f"<tr data-station='{html.escape(name)}'><th scope='row' style='--seam:"
        f"{palette.LAYERS[layer].css() if layer in palette.LAYERS else 'none'}'>"
        f"{html.escape(str(row['title']))}</th>"
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + f"<td class='says{' differs' if differs else ''}'>{'≠ ' if differs else ''}"
        f"{html.escape(says)}</td></tr>"
    )


def _wait(value: float, half_width: float) -> str:
    """Return a measured wait, and how far off it may be."""
    if math.isnan(half_width) or value < 0.005:
        return _ms(value)
    return f"{_ms(value)}<small> ± {words.figures(half_width)}</small>"


def _ms(value: float) -> str:
    """Return a wait; "–" where there is none to tell."""
    return "–" if math.isnan(value) else words.milliseconds(value)


def _quoted(text: str) -> str:
    """Return an attribute's value."""
    return f'"{html.escape(text)}"'


# ---------------------------------------------------------------- warm-up


def warm_up(run: Run) -> None:
    """Say how long the run takes to settle, and offer to leave so much out."""
    left_out, length = run.scenario.warm_up_seconds, run.scenario.duration_seconds
    found = settled(run)
    text, button = st.columns([3, 1], vertical_alignment="center")
    with text:
        st.markdown(f"**Warm-up.** {warm_up_sentence(found, left_out, length)}")
    if problem := state.told("warm-up"):
        st.warning(problem, icon="⚠️")
    if found is not None and math.ceil(found) != left_out:
        seconds = float(math.ceil(found))
        with button:
            st.button(
                f"Leave out {seconds:g} s",
                key="set-warm-up",
                on_click=_leave_out,
                args=(seconds,),
                width="stretch",
                help="Becomes a scenario of your own; undo it on the Scenario page.",
            )


def settled(run: Run) -> float | None:
    """Return the seconds at the beginning that are unlike the rest; None if it never settles.

    By MSER-5, of the mean latency and of the requests in flight: the later of the two.
    """
    series = run.result.timeseries
    times = series["time_s"].tolist()
    cuts = [mser5(series[name].tolist()) for name in ("latency_ms_mean", "in_flight")]
    cut = max(cuts)
    if cut == 0:
        return 0.0
    return None if cut + 5 > len(times) // 2 else float(times[cut - 1])


def warm_up_sentence(found: float | None, left_out: float, length: float) -> str:
    """Return what there is to say about a run's warm-up.

    >>> print(warm_up_sentence(7.0, 10.0, 60.0))
    The first 7 s are warm-up by MSER-5; the scenario leaves out 10 s: enough.
    """
    if found is None:
        return (
            f"This run never settles: to the end of its {length:g} s it goes on changing (a line"
            " that grows, load that comes in waves, or a fault). Its averages depend on how long"
            " it lasts."
        )
    enough = "enough" if found <= left_out else "too little, its figures are coloured by the start"
    first = f"The first {found:.3g} s are warm-up" if found else "There is no warm-up to be seen"
    return f"{first} by MSER-5; the scenario leaves out {left_out:g} s: {enough}."


def _leave_out(seconds: float) -> None:
    """Leave so much of the beginning out of the figures: in a scenario of the session's own."""
    draft = state.viewed()
    try:
        text = written(draft.now.text, draft.now.base.scenario, {"warm_up_seconds": seconds})
        state.keep(draft.replaced(text, f"leave out {seconds:g} s"))
    except ScenarioError as error:
        state.refuse(str(error), where="warm-up")
