"""Folder: files are written where nothing of anybody else's is lost."""

from __future__ import annotations

import hashlib
import json
import pathlib
from collections.abc import Mapping

from engine.errors import ScenarioError

LIST = ".strata-deploy.json"  # which files were written here, and what was in them


def write(files: Mapping[str, str], folder: pathlib.Path, *, force: bool = False) -> None:
    """Write files (relative path → text) into a folder, all of them or none.

    A file that is there already is replaced only if it is as it was written here before, or by
    force.  Raises ScenarioError for others, and for a folder that is a file; OSError as it comes.
    """
    if folder.exists() and not folder.is_dir():
        raise ScenarioError(f"--out {folder} is a file; name a folder")
    known = _known(folder)
    others = [
        path
        for path, text in files.items()
        if (folder / path).exists()
        and _digest((folder / path).read_bytes()) not in (known.get(path), _digest(text.encode()))
    ]
    if others and not force:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise ScenarioError(
            f"--out {folder} has {others[0]}{more}, which was not written by this command or was"
            " changed since; name another folder, or replace it with --force"
        )
    for path, text in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8", newline="\n")
    written = known | {path: _digest(text.encode()) for path, text in files.items()}
    (folder / LIST).write_text(json.dumps(written, indent=1, sort_keys=True) + "\n", "utf-8")


def _known(folder: pathlib.Path) -> dict[str, str]:
    """Return what was written here before, by path; a list that cannot be read knows nothing."""
    try:
        known = json.loads((folder / LIST).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
