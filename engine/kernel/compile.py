"""How the kernel is compiled, and where the machine code is kept.

Everything private or delicate about numba lives in this file.

* `part` is inlined by LLVM into the loop, `aside` only if LLVM thinks it worth while: all
  inlined, the loop takes 150 s to compile instead of 50 and is 2 % faster; nothing, a quarter
  slower.  What a function calls inherits `forceinline` from it, so that `aside` has to say no.
* numba's cache does not notice when an *imported* compiled function changes, so the
  cache folder is named by a digest of all the kernel's sources.
"""

import hashlib
import os
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba import njit

F = TypeVar("F", bound=Callable[..., Any])

HERE = pathlib.Path(__file__).parent


def digest() -> str:
    """Return a short digest of the kernel's sources and of what compiles them."""
    seen = hashlib.sha256(
        f"{numba.__version__} {os.environ.get('STRATA_BOUNDSCHECK', '')}".encode()
    )
    for path in sorted(HERE.glob("*.py")):
        seen.update(path.read_bytes())
    return seen.hexdigest()[:16]


def cache_folder() -> pathlib.Path:
    """Return a writable folder for this kernel's machine code, made if need be."""
    roots = [
        pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"),
        pathlib.Path(tempfile.gettempdir()),
    ]
    for root in roots:
        folder = root / "strata" / f"kernel-{digest()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return HERE  # numba's own default; it reports a read-only folder itself


FOLDER = cache_folder()
numba.config.CACHE_DIR = str(FOLDER)

# An index out of range raises instead of ending the process, when asked for: the tests ask.
CHECKED = os.environ.get("STRATA_BOUNDSCHECK") == "1"


def part(function: F) -> F:
    """Compile a piece of the loop, to be inlined where it is called."""
    return njit(forceinline=True, boundscheck=CHECKED)(function)


def aside(function: F) -> F:
    """Compile a piece that is seldom walked, as a function of its own."""
    return njit(forceinline=False, boundscheck=CHECKED)(function)


def entry(function: F) -> F:
    """Compile the loop: cached on disk, without the interpreter's lock."""
    return njit(nogil=True, cache=True, boundscheck=CHECKED)(function)


def door(function: F) -> F:
    """Compile a small entry for the control plane, which is called seldom."""
    return njit(cache=True, boundscheck=CHECKED)(function)
