"""Files that are taken away: what they are called and how large they are."""

import re

from engine import words

_LONGEST = 60


def stem(title: str) -> str:
    """Return a file's name for a title, without its end: letters, digits and hyphens.

    >>> stem("Amazon-like shop: ../../etc"), stem("ÄÖ")
    ('amazon-like-shop-etc', 'strata')
    """
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:_LONGEST].strip("-") or "strata"


def size(count: int) -> str:
    r"""Return a number of bytes as people read it.

    >>> size(890), size(20_600), size(1_384_143)
    ('890\xa0bytes', '21\xa0kB', '1.4\xa0MB')
    """
    if count < 1_000:
        return f"{count}{words.SPACE}bytes"
    if count < 999_500:
        return f"{count / 1e3:.0f}{words.SPACE}kB"
    return f"{count / 1e6:.1f}{words.SPACE}MB"
