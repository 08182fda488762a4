"""What a session compares: the baseline that it has pinned, the system on screen, presets."""

import dataclasses
from typing import Literal

import streamlit as st

from engine import Scenario
from pages.parts import state
from pages.parts.base import Base, preset_base
from pages.parts.sidebar import label
from pages.parts.state import Run

NOW = "On screen now"
PINS_MAX = 12
_PINS = "_pins"
NAMED_MAX = 2  # knobs in a pin's name


@dataclasses.dataclass
class Pins:
    """A session's pinned systems, and what it compares; in one object, changed in one go."""

    kept: dict[str, tuple[Base, Scenario]] = dataclasses.field(default_factory=dict)
    baseline: str = ""
    others: tuple[str, ...] = (NOW,)


def pins() -> Pins:
    """Return what this session has pinned."""
    found: Pins = st.session_state.setdefault(_PINS, Pins())
    return found


def pin() -> None:
    """Keep the system on screen as the baseline."""
    run, _ = state.current()
    mine, name = pins(), name_of(run)
    same = [each for each, (_, old) in mine.kept.items() if old.digest() == run.scenario.digest()]
    if same:
        name = same[0]
    elif name in mine.kept:
        name = next(f"{name} ({n})" for n in range(2, 1000) if f"{name} ({n})" not in mine.kept)
    mine.kept[name] = (run.base, run.scenario)
    for old in list(mine.kept)[:-PINS_MAX]:
        del mine.kept[old]
    mine.baseline = name
    mine.others = tuple(each for each in mine.others if each != name) or (NOW,)


def unpin(name: str) -> None:
    """Forget a pinned system."""
    mine = pins()
    mine.kept.pop(name, None)
    mine.others = tuple(each for each in mine.others if each != name) or (NOW,)
    if mine.baseline == name:
        mine.baseline = next(reversed(mine.kept), "")


def name_of(run: Run) -> str:
    """Return a name for a system: its preset, and the first knobs that stand elsewhere."""
    moved = state.changed()
    said = [
        f"{label(run.base.knobs[path])} {_value(value)}"
        for path, value in list(moved.items())[:NAMED_MAX]
    ]
    more = f" and {len(moved) - NAMED_MAX} more" if len(moved) > NAMED_MAX else ""
    name = run.base.name.replace("_", " ").capitalize()
    return f"Pinned {name}" + (f": {', '.join(said)}{more}" if said else "")


def _value(value: object) -> str:
    """Return a knob's value in short."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:,.6g}" if isinstance(value, int | float) else str(value).replace("_", " ")


def preset_name(name: str) -> str:
    """Return what a preset is called in the lists."""
    return f"Preset {name.replace('_', ' ')}"


def sources(run: Run) -> dict[str, tuple[Base, Scenario]]:
    """Return everything that can be compared, by name."""
    return {
        NOW: (run.base, run.scenario),
        **pins().kept,
        **{preset_name(name): _preset(name) for name in state.choices()},
    }


def _preset(name: str) -> tuple[Base, Scenario]:
    """Return a preset as it comes."""
    base = preset_base(name)
    return base, base.scenario


def pin_button(key: str, style: Literal["secondary", "tertiary"] = "secondary") -> None:
    """Draw the button that pins the system on screen."""
    st.button(
        "Pin as baseline",
        key=key,
        on_click=pin,
        type=style,
        help="Keeps the system as it is now. Change something, and see on the Compare page what"
        " that did.",
    )
