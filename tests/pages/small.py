"""One server that plays in milliseconds, as a link: what studies say of it is known by theory."""

import functools

from engine.export import PARAMETER, to_link
from tests.study.small import small


@functools.cache
def link(requests_per_second: float) -> str:
    """Return the query that opens it; it takes 100 requests a second, 10 ms each."""
    return f"{PARAMETER}={to_link(small(client__requests_per_second=requests_per_second), 7)}"
