"""The page about exports says what there is."""

import pathlib
import re

from engine.export import kinds

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "exports.md").read_text(encoding="utf-8")


def test_the_page_lists_every_kind_of_data() -> None:
    """Somebody would not find what there is, or look for what there is not."""
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == [kind.name for kind in kinds()]
