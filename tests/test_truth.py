"""Truth: facts that this project did not write, each said as a scenario and measured.

A case that the product cannot say is skipped with its reason, and counted by name at the end
of the run and in docs/fidelity.md; it never counts as passed.  `TRUTH_DIR` names a folder with
more cases; `TRUTH_LONG=1` plays those that need minutes; `TRUTH_WRITE=1` writes the page anew.
"""

import os
import pathlib
from typing import Any

import pytest

from tests.truth import fidelity, summary
from tests.truth.case import Case, added, shipped
from tests.truth.verdict import judge, judged

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "fidelity.md"
OURS = shipped()
LONG = {  # millions of arrivals each; their neighbours differ in one number
    "queue.mm1.rho95",
    "queue.mm1.rho90",
    "queue.mm1.rho50",
    "queue.mmc.c100.rho95",
    "queue.mmc.c4.rho95",
    "queue.breakdown",
    "queue.forkjoin2.rho90",
    "queue.erlang_b.c100.a84.06",
    "tail.fanout.n2000.p0.0001",
    "lb.policies.n50.l0.9",
    "lb.policies.n10.l0.9",
    "queue.erlang_a",
    "queue.erlang_b.c190.a200",
    "retry.amp.p0.1.k3",
    "queue.erlang_b.c15.a8.108",
    "tail.hedge_mix.d100",
    "queue.ps.l4.m5",
    "nginx.ip_hash.down",
    "queue.dm1.rho90",
    "cache.lru.N100000.a0.9.f0.01",
    "queue.mm1.rho80",
    "queue.erlang_b.c10.a20",
    "meta.storm.l250.k1",
    "meta.storm.l280.k0",
    "lb.supermarket.l0.99",
    "chash.balance.n100.v100",
    "redis.real.allkeys-lru.s10.rps2000",
}

pytestmark = pytest.mark.xdist_group("truth")  # cases share runs, and the page shares the cases


def cases() -> list[Any]:
    """Return every case, those that take long marked so."""
    thorough = pytest.mark.thorough
    ours = [pytest.param(case, marks=thorough) if case.id in LONG else case for case in OURS]
    return [*ours, *added()]


@pytest.mark.parametrize("case", cases(), ids=str)
def test_truth(case: Case, request: pytest.FixtureRequest) -> None:
    """A figure outside of its case's tolerance: the engine says what is not so."""
    request.node.user_properties.append(("truth", "failed"))  # until shown otherwise
    verdict = judged(case.id) if case in OURS else judge(case)
    request.node.user_properties.extend(summary.properties(verdict))
    if verdict.word == "failed":
        pytest.fail("; ".join(verdict.wrong), pytrace=False)
    if verdict.word in summary.NOT_JUDGED:
        pytest.skip(f"{verdict.word}: {verdict.why}")


@pytest.mark.thorough
@pytest.mark.skipif("TRUTH_LONG" in os.environ, reason="the page leaves long runs out")
def test_the_page_says_what_was_measured() -> None:
    """A page that is not made from the cases could claim anything."""
    page = fidelity.page([judged(case.id) for case in OURS])
    if "TRUTH_WRITE" in os.environ:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page, (
        "docs/fidelity.md is not what the cases say; TRUTH_WRITE=1 pytest tests/test_truth.py"
        " writes it anew"
    )
