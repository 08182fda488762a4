"""How property tests search, and what is left to CI.

In CI every test runs, property tests on the same examples every time.  Everywhere else they search
anew, and tests marked `thorough` are left out unless THOROUGH is set: each proves on a long run, or
by many clicks, what shorter neighbours say already.
"""

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import backends, nobody_s_servers, postgres_url, redis_url
from tests.truth import summary

__all__ = ["backends", "nobody_s_servers", "postgres_url", "redis_url"]

# A run takes as long as its scenario says, so there is no deadline; building a scenario draws
# more than most examples do.
COMMON = settings(
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("ci", COMMON, derandomize=True)
settings.register_profile("here", COMMON)
settings.load_profile("ci" if os.environ.get("CI") else "here")
ALL = bool(os.environ.get("CI") or os.environ.get("THOROUGH"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave thorough tests to CI, unless they are asked for."""
    left = [item for item in items if item.get_closest_marker("thorough")]
    if left and not ALL and not any("::" in argument for argument in config.args):
        items[:] = [item for item in items if not item.get_closest_marker("thorough")]
        config.hook.pytest_deselected(items=left)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many cases of truth passed, failed, or could not be said, each by name."""
    reports = (report for some in terminalreporter.stats.values() for report in some)
    told = list(summary.lines(reports))
    if told:
        terminalreporter.section("truth")
        for line in told:
            terminalreporter.write_line(line)
