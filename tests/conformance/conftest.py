"""Both sides of each comparison: what is embedded, and the server that it stands for."""

from collections.abc import Callable, Iterator

import pytest

from engine.microscope import Backends
from engine.microscope.backends import Stores

Opened = Callable[[], tuple[Stores, Stores]]


@pytest.fixture
def both(redis_url: str, postgres_url: str) -> Iterator[Opened]:
    """Open embedded stores and real ones, empty; all are dropped after the test."""
    opened: list[Stores] = []

    def make() -> tuple[Stores, Stores]:
        for stores in opened:  # those of an example before
            stores.close()
        opened.clear()
        pair = Backends().open(), Backends(redis_url, postgres_url).open()
        opened.extend(pair)
        return pair

    yield make
    for stores in opened:
        stores.close()
