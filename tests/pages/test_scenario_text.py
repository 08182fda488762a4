"""What tables, typing and errors do to a scenario's text; no browser needed."""

import pytest
import yaml

from engine import ScenarioError, load, presets
from pages.parts import forms
from pages.parts.draft import SMALLEST, checked, opened, preset_text
from pages.parts.edits import edited, written
from pages.parts.lines import line_of, lines, problem_of

PRESETS = list(presets())
SOME = ["amazon", "monolith", "worker_outage"]  # of each sort one, where all would take minutes


def line_with(text: str, piece: str) -> int:
    """Return the number of the first line that has a piece of text."""
    return next(n for n, line in enumerate(text.splitlines(), 1) if piece in line)


def do(text: str, **edit: object) -> str:
    """Return a text after an edit."""
    return edited(text, checked(text), {**edit})[0]


# ---------------------------------------------------------------- lines


@pytest.mark.parametrize("preset", PRESETS)
def test_every_place_of_a_preset_has_its_line(preset: str) -> None:
    """An error that points at another line sends people looking where nothing is wrong."""
    text = preset_text(preset)
    for path, line in lines(text).items():
        shown = text.splitlines()[line - 1]
        assert str(path[-1]) in shown or isinstance(path[-1], int), path


@pytest.mark.parametrize(
    ("old", "new", "piece"),
    [
        ("replicas: 3", "replicas: many", "replicas: many"),
        ("replicas: 3", "replicas: 3]", "replicas: 3]"),
        ("service: product", "service: produkt", "service: produkt"),
        ("{do: search}", "{do: fly}", "{do: fly}"),
        ("{do: search}", "{do: search, fast: true}", "{do: search, fast"),
        ("share: 5", "share: -5", "share: -5"),
        ("{exponential: 10.0}", "{exponential: -1}", "{exponential: -1}"),
        ("policy: least_connections", "policy: best", "policy: best"),
        ("threads: 16", "threads: 16\n  threads: 8", "threads: 8"),
        ("ttl_seconds: 86400", "ttl: 86400", "ttl: 86400"),
        ("to: [payment,", "to: [pigeon,", "pigeon"),
        ("  products: {keys", "  two words: {}\n  products: {keys", "two words"),
    ],
)
def test_an_error_is_beside_its_line(old: str, new: str, piece: str) -> None:
    """The engine names a place; whoever types wants the line."""
    text = preset_text("amazon")
    assert old in text
    text = text.replace(old, new, 1)
    with pytest.raises(ScenarioError) as error:
        checked(text)
    problem = problem_of(error.value, text)
    assert problem.line == line_with(text, piece), problem
    assert "the text" not in problem.message
    assert "\n" not in problem.message


def test_what_has_no_place_has_no_line() -> None:
    """A line that is made up would be worse than none."""
    assert line_of("a scenario is a mapping of names to values; this is None", "") == 0
    assert line_of("journeys is missing; add it", "title: x") == 0


# ---------------------------------------------------------------- edits


@pytest.mark.parametrize("preset", PRESETS)
def test_a_change_leaves_all_other_lines_alone(preset: str) -> None:
    """Comments say where numbers are from; a click in a table must not cost them."""
    text = preset_text(preset)
    changed = do(text, op="set", path=["title"], kind="text", value="Another")
    before, after = text.splitlines(), changed.splitlines()
    assert [b for b, a in zip(before, after, strict=True) if b != a] == [
        line for line in before if line.startswith("title:")
    ]


@pytest.mark.thorough
@pytest.mark.parametrize("preset", SOME)
def test_every_kind_of_step_can_be_added_moved_and_removed(preset: str) -> None:
    """A new kind of step must work in the tables without a line of code there."""
    text = preset_text(preset)
    text = do(text, op="add", path=["datasets"], name="things")
    text = do(text, op="add", path=["asynchronous", "kinds"], name="helper")
    text = do(text, op="add", path=["journeys"], name="tour")
    start = checked(text)
    place = ["journeys", "tour", "steps"]
    for kind in forms.step_kinds():
        longer = do(text, op="add step", path=place, do=kind)
        assert checked(longer).journeys["tour"].steps[-1].do == kind  # type: ignore[attr-defined]
        upside = do(longer, op="move", path=[*place, 1], to="up")
        assert checked(upside).journeys["tour"].steps[0].do == kind  # type: ignore[attr-defined]
        inside = do(longer, op="move", path=[*place, 1], to="in")
        outside = do(inside, op="move", path=[*place, 0, "then", 0], to="out")
        assert checked(outside) == checked(longer)
        assert checked(do(longer, op="remove", path=[*place, 1])) == start


@pytest.mark.parametrize("preset", PRESETS)
def test_a_new_name_is_taken_over_everywhere(preset: str) -> None:
    """A service that is renamed in one place alone leaves journeys that call nobody."""
    text = preset_text(preset)
    scenario = checked(text)
    sections = {
        "service": (["application", "services"], scenario.application.services),
        "dataset": (["datasets"], scenario.datasets),
        "worker": (["asynchronous", "kinds"], scenario.asynchronous.kinds),
    }
    for path, names in sections.values():
        for name in names:
            renamed = do(text, op="rename", path=[*path, name], name="renamed_one")
            back = do(renamed, op="rename", path=[*path, "renamed_one"], name=name)
            assert checked(back) == scenario


PLAN = """
faults:
  - {do: kill_server, service: server, at_seconds: 5}   # the only one
changes:
  - {at_seconds: 7, set: {application.services.server.threads: 4, journeys.visit.weight: 2}}
  - {at_seconds: 8, set: {application.autoscaler.services: [server]}}
  - {at_seconds: 9, set: {"observability.alerts.rules.busy.station": application.server}}
  - {at_seconds: 9, set: {journeys.visit.steps.0.service: server, datasets: {records: {keys: 5}}}}
observability:
  alerts: {on: true, rules: {busy: {metric: utilisation, station: application.server}}}
expect:
  "application.server:waiting": {high: 10}
  busy: {of: "application.server:utilisation", high: 1}
"""


@pytest.mark.parametrize(
    ("path", "kinds"),
    [
        (["application", "services", "server"], ["KILL_SERVER", "Server"]),
        (["datasets", "records"], []),
        (["journeys", "visit"], ["Visit"]),
    ],
)
def test_a_plan_alerts_and_expectations_take_a_new_name_over(
    path: list[str], kinds: list[str]
) -> None:
    """A game day whose fault befalls nobody, or whose alert watches nothing, looks like success."""
    own = "  replicas: 1\n"
    text = SMALLEST.replace(own, f"{own}  autoscaler: {{services: [server]}}\n") + PLAN
    renamed = do(text, op="rename", path=path, name="another")
    others = renamed.replace("kill_server", "KILL_SERVER")
    assert path[-1] not in others
    assert all(word in others for word in kinds)
    assert "# the only one" in renamed
    back = do(renamed, op="rename", path=[*path[:-1], "another"], name=path[-1])
    assert checked(back) == checked(text)


def test_words_such_as_on_are_keys_in_tables_too() -> None:
    """YAML 1.1 reads `on` as true, and a switch would become a key that nobody knows."""
    text = SMALLEST + "observability:\n  alerts: {on: true}   # all of them\n"
    changed = do(text, op="set", path=["observability", "alerts", "on"], kind="bool", value=False)
    assert checked(changed).observability.alerts.on is False
    assert changed == text.replace("{on: true}", "{on: false}")
    path = ["observability", "alerts"]
    whole = do(SMALLEST, op="set", path=path, kind="value", value="{on: true}")
    assert checked(whole).observability.alerts.on is True


def test_what_the_text_leaves_to_defaults_can_be_changed() -> None:
    """Tables show everything, also what the text does not mention."""
    changed = do(SMALLEST, op="set", path=["edge", "cdn", "ttl_seconds"], kind="number", value="5")
    assert checked(changed).edge.cdn.ttl_seconds == 5
    cleared = do(changed, op="set", path=["edge", "cdn", "ttl_seconds"], kind="number", value="")
    assert checked(cleared) == checked(SMALLEST)


def test_sliders_can_be_written_into_the_text() -> None:
    """What one has found by dragging is worth keeping."""
    text = preset_text("amazon")
    changes = {"application.replicas": 9, "application.services.product.cpu_time.exponential": 4.0}
    found = written(text, checked(text), changes)
    assert checked(found) == load("amazon").change(changes)
    assert "HTTP Archive" in found


@pytest.mark.parametrize("name", ["", " ", "two words", "a.b", "<b>", "1st", "x" * 41, "a\nb: 1"])
def test_a_name_that_is_none_is_refused_in_one_line(name: str) -> None:
    """Names become paths and addresses; anything else in them breaks those."""
    with pytest.raises(ScenarioError, match="is no name; use letters") as error:
        do(SMALLEST, op="add", path=["datasets"], name=name)
    assert "\n" not in str(error.value)


def test_a_layout_that_cannot_be_kept_still_says_the_same() -> None:
    """Meaning comes before looks."""
    text = yaml.safe_dump(yaml.safe_load(SMALLEST), default_flow_style=True)
    changed = do(text, op="set", path=["application", "replicas"], kind="number", value="3")
    assert checked(changed) == checked(SMALLEST).change({"application.replicas": 3})


# ---------------------------------------------------------------- history


def test_while_a_text_makes_no_sense_the_last_that_did_stays_in_force() -> None:
    """Nothing may stop working because somebody is in the middle of a word."""
    draft = opened("amazon", None)
    wrong = draft.typed("title: [", 0.0)
    assert wrong.now.problem
    assert wrong.now.text == "title: ["
    assert wrong.now.base is draft.now.base
    assert wrong.undone().now == draft.now
    assert wrong.undone().redone().now == wrong.now


def test_typing_without_a_pause_is_one_step() -> None:
    """Nobody wants to undo letter by letter."""
    draft = opened("amazon", None)
    for at, text in enumerate(("a", "ab", "abc")):
        draft = draft.typed(text, at * 0.3)
    later = draft.typed("abcd", 10.0)
    assert later.undone().now.text == "abc"
    assert later.undone().undone().now.text == preset_text("amazon")
