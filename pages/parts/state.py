"""The session's state, in one place: which scenario, which seed, which run, what can be undone.

Every control is a widget whose key is the path of its knob (`application.replicas`), bound to the
query parameter of the same name.  The URL is therefore the whole state: a screen is a link.  The
widgets live in the frame around the pages, so that all pages look at the same scenario.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import streamlit as st

from engine import (
    Knob,
    PresetInfo,
    Result,
    Scenario,
    ScenarioError,
    export,
    from_link,
    presets,
    simulate,
    to_link,
)
from pages.parts import limits, settings
from pages.parts.base import YOURS, Base, preset_base
from pages.parts.draft import Draft, opened
from pages.parts.words import plain

PRESET, SEED, STATION, JOURNEY, MORE = "preset", "seed", "station", "journey", "more"
FIRST_PRESET, FIRST_SEED = "amazon", 7
RUNS_MAX = 12  # kept for all sessions together; one holds about 24 MB
SEED_MAX = settings.SEED_MAX

NUMBERS = {"int", "float", "time"}  # kinds of knobs that are sliders

# Each session's own; the rest of the state are widgets.
_SHOWN = "_shown"  # set of paths: advanced knobs that this session has touched
_UNDO = "_undo"  # tuple of Step, newest last
_RANGE = "_range"  # dict of path to (low, high): sliders that a link or remedy has stretched
_LAST = "_last"  # (base, changes) of the last scenario that worked
_DESK = "_desk"  # Desk: the scenario that this session builds
LINK = "_link"  # (run id, lines): what was wrong with the link that opened the page
_OPENED = "_opened"  # Opened: the whole scenario that came by a link or as a file


class Run(NamedTuple):
    """One simulated scenario."""

    id: str
    base: Base
    scenario: Scenario
    result: Result


@dataclasses.dataclass
class Desk:
    """What a session builds on the page of scenarios.

    Streamlit may cut a callback short whenever it touches the session's state, so that what belongs
    together stands in one object and is changed in one go.
    """

    draft: Draft | None = None
    seen: tuple[str, int] = ("", 0)  # the newest edit taken over: of which tables, which number
    told: tuple[str, str] = ("", "")  # what was refused: where, and the sentence
    due: dict[str, Any] = dataclasses.field(default_factory=dict)  # controls moved: key to value
    gone: set[str] = dataclasses.field(default_factory=set)  # keys of what is no more
    undrawn: bool = False  # whether the controls have not been drawn since
    stamp: int = 0  # how often they have been moved


class Opened(NamedTuple):
    """A scenario that came from elsewhere."""

    key: str  # of its base: once it is edited, the base is another one
    link: str  # the word in the address, "" if it came otherwise


class Step(NamedTuple):
    """A remedy that was tried, and how things were before it."""

    label: str
    before: dict[str, Any]


# ---------------------------------------------------------------- shared by all sessions
# Pure functions of a preset's name are asked thirty times a run: a plain memo answers in a
# microsecond, Streamlit's cache in two hundred.


@functools.cache
def choices() -> dict[str, PresetInfo]:
    """Return the presets by name."""
    return dict(presets())


@functools.cache
def preset_draft(name: str) -> Draft:
    """Return a preset as the page of scenarios opens it."""
    return opened(name, None)


@st.cache_resource(max_entries=RUNS_MAX, show_spinner=False)
def simulated(digest: str, seed: int, key: str, _base: Base, _scenario: Scenario) -> Run:
    """Simulate; equal scenarios are computed once, whoever asks, and the cache stays bounded."""
    own = f"-{key[-4:]}" if _base.own else ""
    return Run(f"{digest[:8]}-{seed}{own}", _base, _scenario, simulate(_scenario, seed=seed))


# ---------------------------------------------------------------- this session


def preset() -> str:
    """Return the chosen preset's name; `YOURS` is the scenario that this session has built."""
    return str(st.session_state.get(PRESET, FIRST_PRESET))


def base() -> Base:
    """Return what the sliders start from, at the prices that are set.

    What was opened from a link or a file keeps its own: it has to give the same everywhere.
    """
    found, prices = _base(), settings.current().prices
    return settings.with_prices(found, prices) if prices and found.key != _opened().key else found


def _base() -> Base:
    """Return what the sliders start from, at the scenario's own prices."""
    name, mine = preset(), draft()
    if name == YOURS:
        return mine.now.base if mine else preset_base(FIRST_PRESET)
    return preset_base(name)


def own() -> bool:
    """Return whether this session looks at the scenario that it has built."""
    return preset() == YOURS and draft() is not None


def draft() -> Draft | None:
    """Return the scenario that this session has built, None before it has."""
    return desk().draft


def desk() -> Desk:
    """Return what this session builds."""
    found: Desk = st.session_state.setdefault(_DESK, Desk())
    return found


def changed() -> dict[str, Any]:
    """Return the knobs that stand elsewhere than in the preset, by path."""
    state = st.session_state.to_dict()  # asked once: three hundred questions take 4 ms
    return {
        path: state[path]
        for path, knob in base().knobs.items()
        if path in state and state[path] != knob.value
    }


def wanted() -> tuple[str, dict[str, Any], int] | None:
    """Return preset, changes and seed; None before the controls have been drawn once."""
    if PRESET not in st.session_state:
        return None
    return preset(), changed(), int(st.session_state.get(SEED, FIRST_SEED))


def current() -> tuple[Run, str]:
    """Return this session's run, and what is wrong with the scenario ("" when nothing is).

    While a scenario makes no sense, the last run that did stays on the screen.
    """
    start, changes = base(), changed()
    try:
        run = _simulate(start, changes)
    except ScenarioError as error:
        fallback = preset_base(FIRST_PRESET) if start.own else start
        return _simulate(*st.session_state.get(_LAST, (fallback, {}))), str(error)
    st.session_state[_LAST] = (start, changes)
    return run, ""


def _simulate(start: Base, changes: dict[str, Any]) -> Run:
    """Return the run of a base with some knobs turned.  Raises ScenarioError."""
    scenario = start.scenario.change(changes)
    seed = int(st.session_state.get(SEED, FIRST_SEED))
    limits.refuse_hours(scenario)
    return simulated(scenario.digest(), seed, start.key, start, scenario)


def said(run: Run) -> str:
    """Return in words which run is on the screen."""
    moved = len(changed())
    turned = f", {moved} knob{'s' if moved > 1 else ''} turned" if moved else ""
    return f"What is on the screen: {plain(run.scenario.title)}{turned}, seed {run.result.seed}"


def wants(path: str) -> bool:
    """Return whether an advanced knob is to be shown: a link or a remedy has touched it."""
    shown: set[str] = st.session_state.setdefault(_SHOWN, set())
    if path in st.query_params:
        shown.add(path)
    return path in shown


def show_knob() -> None:
    """Show the advanced knob that was picked from the list, and clear the list for the next."""
    path = st.session_state[MORE]
    if path is not None:
        st.session_state.setdefault(_SHOWN, set()).add(path)
    st.session_state[MORE] = None


def choose_preset() -> None:
    """Put every knob where the newly chosen preset has it."""
    settled()
    for path, knob in base().knobs.items():
        if path in st.session_state:
            st.session_state[path] = knob.value
    for name in (_SHOWN, _UNDO, _RANGE, STATION, JOURNEY):
        st.session_state.pop(name, None)


def range_of(knob: Knob) -> tuple[float, float]:
    """Return a slider's ends; a link or a remedy may have gone beyond what it usually shows."""
    low, high, value = (float(each or 0.0) for each in (knob.low, knob.high, knob.value))
    usual = (min(low, value), max(high, value, low + 1.0))
    found: tuple[float, float] = st.session_state.get(_RANGE, {}).get(knob.path, usual)
    return found


def stretch(knob: Knob, value: Any) -> None:
    """Make room on a knob's slider for a value that the engine takes."""
    if knob.kind in NUMBERS and not knob.optional:  # a field has no ends to move
        low, high = range_of(knob)
        ranges = st.session_state.setdefault(_RANGE, {})
        ranges[knob.path] = (min(low, float(value)), max(high, float(value)))


# ---------------------------------------------------------------- a scenario of one's own


def names() -> list[str]:
    """Return what the list of presets offers."""
    return [*choices(), YOURS] if draft() else list(choices())


def viewed() -> Draft:
    """Return the text that the page of scenarios shows: the chosen preset's, or one's own."""
    mine = draft()
    if mine and own():
        return mine
    return opened(preset(), mine) if mine else preset_draft(preset())


def keep(
    new: Draft, *, afresh: bool = False, told: str = "", seen: tuple[str, int] | None = None
) -> None:
    """Take over a changed draft, and what was refused of it; everything else then works on it.

    Sliders that stood elsewhere than the scenario stay there, the others follow it.  `afresh`: all
    follow it.  `seen`: the newest edit of which tables that it has.
    """
    mine, before, moved = desk(), _base(), {} if afresh else changed()
    after = new.now.base
    same = {
        path: value
        for path, value in moved.items()
        if path in after.knobs and after.knobs[path].kind == before.knobs[path].kind
    }
    drawn = {path for path in after.knobs if path in st.session_state}
    due = {path: after.knobs[path].value for path in drawn - same.keys()}
    gone = {*(before.knobs.keys() - after.knobs.keys()), _UNDO, _RANGE, STATION, JOURNEY}
    mine.draft, mine.seen, mine.told = new, seen or mine.seen, ("", told)
    mine.due = {PRESET: YOURS} if after is before else {PRESET: YOURS, **due}
    mine.gone = set() if after is before else gone
    mine.undrawn, mine.stamp = True, mine.stamp + 1
    settle()
    for path, value in same.items():
        stretch(after.knobs[path], value)


def hear(known: int) -> None:
    """Take note of the newest `stamp` that the browser has seen, before anything it asks for.

    Who has seen an older one has not heard yet where the controls are now: what the browser says
    about them is out of date.
    """
    mine = desk()
    if mine.draft and known != mine.stamp:
        mine.undrawn = True
    settle()


def settle() -> None:
    """Move the controls that have not been drawn since they were moved.

    A run that is cut short by the next click has not told the browser where they are.
    """
    mine = desk()
    if mine.undrawn:
        for key in mine.gone:
            st.session_state.pop(key, None)
        for key, value in mine.due.items():
            st.session_state[key] = value


def settled() -> None:
    """Note that every control has been drawn, or is to be drawn elsewhere."""
    desk().undrawn = False


def refuse(sentence: str, where: str = "", seen: tuple[str, int] | None = None) -> None:
    """Keep what was refused, to be said where it was asked for."""
    mine = desk()
    mine.told, mine.seen = (where, sentence), seen or mine.seen


def told(where: str) -> str:
    """Return what was refused there."""
    found, sentence = desk().told
    return sentence if found == where else ""


# ---------------------------------------------------------------- what comes from elsewhere


def _opened() -> Opened:
    found: Opened = st.session_state.get(_OPENED, Opened("", ""))
    return found


def open_scenario(scenario: Scenario, seed: int | None, what: str, link: str = "") -> None:
    """Make a scenario the session's own, as it came.  Raises ScenarioError if it cannot be."""
    new = viewed().replaced(scenario.to_yaml(), what)
    st.session_state[_OPENED] = Opened(new.now.base.key, link)
    keep(new, afresh=True)
    if seed is not None:
        st.session_state[SEED] = seed


def open_link() -> bool:
    """Open the scenario of the address, if this is a session's first look at one."""
    word = st.query_params.get(export.PARAMETER)
    if word is None or _OPENED in st.session_state:
        return False
    st.session_state[_OPENED] = Opened("", "")
    seed_said = SEED in st.query_params
    try:
        scenario, seed = from_link(word)
        open_scenario(scenario, None if seed_said else seed, "open a link", word)
    except ScenarioError as error:
        st.session_state[LINK] = ("", [str(error)])
    return True


def begin() -> None:
    """Put the seed where this person wants it, unless an address says what is to be seen."""
    seed = settings.current().seed
    if seed is not None and PRESET not in st.session_state and not st.query_params:
        st.session_state[SEED] = seed


def mind_address() -> None:
    """Have the address carry the scenario that came by it, until that is edited."""
    found = _opened()
    word = found.link if found.link and own() and _base().key == found.key else None
    if st.query_params.get(export.PARAMETER) == word:
        return
    if word is None:
        del st.query_params[export.PARAMETER]
    else:
        st.query_params[export.PARAMETER] = word


def whole_link() -> str:
    """Return the word that says the whole scenario as it stands, and the seed.

    Raises ScenarioError if it makes no sense, or is too large for an address.
    """
    return _linked(base(), tuple(changed().items()), int(st.session_state.get(SEED, FIRST_SEED)))


@functools.lru_cache(maxsize=256)
def _linked(start: Base, changes: tuple[tuple[str, Any], ...], seed: int) -> str:
    return to_link(start.scenario.change(dict(changes)), seed)


# ---------------------------------------------------------------- remedies


def turn(changes: dict[str, Any]) -> None:
    """Move knobs; their sliders follow."""
    known = base().knobs
    for path, value in changes.items():
        stretch(known[path], value)
        _into_address(known[path], value)
        st.session_state[path] = as_kind(value, known[path].kind)
        st.session_state.setdefault(_SHOWN, set()).add(path)


def _into_address(knob: Knob, value: Any) -> None:
    """Have the address say where a control stands that is about to be drawn for the first time.

    Streamlit writes what a control comes to later, but not what it begins with.
    """
    if knob.path not in st.session_state and value is not None and value != knob.value:
        kind = as_kind(value, knob.kind)
        st.query_params[knob.path] = str(kind).lower() if isinstance(kind, bool) else str(kind)


def attempt(label: str, changes: dict[str, Any]) -> None:
    """Try a remedy, and remember how to take it back."""
    known = base().knobs
    before = {path: st.session_state.get(path, known[path].value) for path in changes}
    st.session_state[_UNDO] = (*st.session_state.get(_UNDO, ()), Step(label, before))
    turn(changes)


def undo() -> None:
    """Take the newest remedy back."""
    *older, newest = st.session_state[_UNDO]
    st.session_state[_UNDO] = tuple(older)
    turn(newest.before)


def newest_step() -> Step | None:
    """Return what `undo` would take back."""
    steps = st.session_state.get(_UNDO, ())
    return steps[-1] if steps else None


def as_kind(value: Any, kind: str) -> Any:
    """Return a value in its widget's own type: a slider of whole numbers refuses 6.0."""
    if value is None:
        return None
    return int(value) if kind == "int" else float(value) if kind in NUMBERS else value
