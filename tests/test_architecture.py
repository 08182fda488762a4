"""The tree keeps its shape: imports point one way, files stay small, nothing strays.

The direction is written once, in `ROWS`: a module may import from its own row and from those
below it.  Anything else fails with a sentence.
"""

import ast
import functools
import graphlib
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

import pytest

import engine

ROOT = pathlib.Path(__file__).parents[1]

# Top to bottom.  The face is `engine` itself; whoever stands above it sees nothing deeper.
ROWS = [
    ("app", "pages", "benchmarks"),
    ("engine", "engine.__main__"),
    ("engine.*",),
    ("engine.layers",),
    (
        "engine.assembly",
        "engine.component",
        "engine.distribution",
        "engine.errors",
        "engine.hashing",
        "engine.layout",
        "engine.policy",
        "engine.program",
    ),
    ("engine.hashing", "engine.hpa", "engine.policy", "engine.promql", "engine.theory"),
    ("engine.kernel",),
]
FACE = 1
PURE = ("engine.hashing", "engine.hpa", "engine.policy", "engine.promql", "engine.theory")

LINES_MAX = 450
KERNEL_MAY_IMPORT = {"engine", "llvmlite", "numba", "numpy"} | set(sys.stdlib_module_names)
MACHINE_PATHS = r"(?<![\w.:-])/(?:work|root)/"  # at the start of a path, not within an address
TOP_LEVEL = {
    ".ci",
    ".editorconfig",
    ".gitattributes",
    ".gitignore",
    ".streamlit",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "app.py",
    "benchmarks",
    "docs",
    "engine",
    "pages",
    "presets",
    "pyproject.toml",
    "requirements-dev.txt",
    "requirements.txt",
    "static",
    "tests",
}


class Import(NamedTuple):
    """One import statement's target."""

    line: int
    module: str


@functools.cache
def tracked() -> tuple[pathlib.Path, ...]:
    """Return the project's files: those that git has, or would add."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
            cwd=ROOT,
            capture_output=True,
            check=True,
            text=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout, so the project's files are not known")
    paths = (ROOT / name for name in listed.split("\0") if name)
    return tuple(sorted(path for path in paths if path.is_file()))


@functools.cache
def sources() -> dict[str, pathlib.Path]:
    """Return our modules by name; tests stand outside of the order."""
    folders = (ROOT / name for name in ("engine", "pages", "benchmarks"))
    paths = [ROOT / "app.py", *(path for folder in folders for path in folder.rglob("*.py"))]
    return {module_name(path): path for path in sorted(paths) if path.is_file()}


def module_name(path: pathlib.Path) -> str:
    """Return a file's dotted name; a package goes by its folder's."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def row(module: str) -> int:
    """Return where in `ROWS` a module stands, by the longest name that fits."""
    places = {name: index for index, names in enumerate(ROWS) for name in names}
    if module in places:
        return places[module]
    inside = [name for name in places if module.startswith(name + ".") and name != "engine"]
    return places[max(inside, key=len)] if inside else places["engine.*"]


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what runs: everything but what only a type checker reads."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from statements(child)


def imports(path: pathlib.Path) -> Iterator[Import]:
    """Yield what a file imports; `from package import module` counts as the module.

    What the face offers counts as the face, even where a module has the same name.
    """
    for node in statements(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: name the whole module, from the top"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                deeper = whole in sources() and not (
                    node.module == "engine" and alias.name in engine.__all__
                )
                yield Import(node.lineno, whole if deeper else str(node.module))


def ours(path: pathlib.Path) -> Iterator[Import]:
    """Yield what a file imports of ours."""
    return (each for each in imports(path) if each.module in sources())


@pytest.mark.parametrize("module", sources())
def test_imports_point_one_way(module: str) -> None:
    """A page that reaches into the kernel, or a kernel that knows a layer, undoes the design."""
    here = row(module)
    for line, target in ours(sources()[module]):
        there = row(target)
        lowest = FACE if here < FACE else len(ROWS)
        assert here <= there <= lowest, f"{module}, line {line}: must not import {target}"


def test_imports_make_no_circle() -> None:
    """Two modules that need one another are one module in two files."""
    graph = {
        module: {each.module for each in ours(path)} - {module}
        for module, path in sources().items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


@pytest.mark.parametrize("module", [name for name in sources() if row(name) == len(ROWS) - 1])
def test_the_kernel_needs_only_numpy_and_numba(module: str) -> None:
    """A kernel with more imports could no longer be read, compiled or moved on its own."""
    for line, target in imports(sources()[module]):
        assert target.split(".")[0] in KERNEL_MAY_IMPORT, f"{module}, line {line}: imports {target}"


@pytest.mark.parametrize("module", PURE)
def test_pure_functions_need_nothing_of_ours(module: str) -> None:
    """Arithmetic that knows the engine could no longer be held against other programs alone."""
    for line, target in ours(sources()[module]):
        pytest.fail(f"{module}, line {line}: imports {target}")


@pytest.mark.parametrize("module", sources())
def test_files_fit_in_one_sitting(module: str) -> None:
    """A longer file holds more than one noun; split it."""
    count = len(sources()[module].read_text().splitlines())
    assert count <= LINES_MAX, f"{module} has {count} lines; the limit is {LINES_MAX}"


def test_the_top_of_the_tree_holds_only_what_was_agreed() -> None:
    """The tree is the architecture; a stray file at its top would hide it."""
    found = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert found <= TOP_LEVEL


def test_no_file_speaks_of_one_machine() -> None:
    """A path of somebody's machine is of no use to anyone else."""
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture
        found = re.findall(MACHINE_PATHS, text)
        assert not found, f"{path.relative_to(ROOT)} speaks of {found[0]}"


@pytest.mark.xdist_group("grouped")
def test_a_group_of_tests_shares_a_worker(request: pytest.FixtureRequest) -> None:
    """Otherwise every worker starts browsers and servers of its own, and nothing says so."""
    if getattr(request.config.option, "loadgroup", False):  # a worker of several
        assert request.node.nodeid.endswith("@grouped"), "pytest and pytest-xdist do not fit"
