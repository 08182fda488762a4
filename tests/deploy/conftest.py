"""Programs that read what is deployed, and a scenario whose names are meant to harm them."""

import functools
import os
import pathlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from types import MappingProxyType

import kubernetes_validate
import pytest

import engine
from engine import Scenario
from engine.deploy import files

HOSTILE = 'a"; return 200;'
TITLE = 'x\n"; }\n</script>*/ ${process.exit()} {{ .A }} $HOME `id` \u2028 \u202e'
Run = Callable[..., subprocess.CompletedProcess[str]]

load = functools.cache(engine.load)  # scenarios are frozen: all tests may share them


@functools.cache
def preset_files(name: str) -> MappingProxyType[str, str]:
    """Return the files of a preset as it comes, made once; those of a run are not among them."""
    return MappingProxyType(files(load(name)))


def program(name: str) -> str:
    """Return a program's path; where all tests have to run, a missing one is a failure."""
    found = shutil.which(name)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(f"{name} is not installed; .ci/run installs it")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return str(found)


@pytest.fixture
def nginx(tmp_path: pathlib.Path) -> Run:
    """Return what has nginx check a configuration; nothing is started."""
    path = program("nginx")

    def check(text: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "nginx.conf").write_text(text, "utf-8")
        words = [path, "-t", "-e", "stderr", "-p", str(tmp_path), "-c", "nginx.conf"]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    return check


@pytest.fixture
def promtool(tmp_path: pathlib.Path) -> Run:
    """Return what has promtool look at files; nothing is started."""
    path = program("promtool")

    def check(files: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
        for file, text in files.items():
            place = tmp_path / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, "utf-8")
        return subprocess.run(
            [path, *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    return check


@pytest.fixture(scope="session")
def hostile() -> Scenario:
    """A scenario in which every name and title tries to get out of its place."""
    return load("amazon").change(
        {
            "title": TITLE,
            "application.services": {
                HOSTILE: {"title": "one\n}\nevil on;\n#", "cpu_time": {"exponential": 1}},
                "a return 200": {"title": "{{ bad", "weights": [3, 1]},
                "nginx": {"title": "'; DROP TABLE"},
                "../../etc/passwd": {"title": "=cmd()"},
                "日本": {},
                "": {},
            },
            "asynchronous.kinds": {
                "x'; rm -rf ~ #": {"title": "$(reboot)\nset -x"},
                "&anchor *alias": {"title": "!!python/object"},
            },
            "datasets": {"d'\"; x": {"keys": 10}},
            "journeys": {
                "`j` ${1}": {
                    "title": "*/ process.exit(); /*\n\\",
                    "steps": [
                        {
                            "do": "call",
                            "service": HOSTILE,
                            "then": [
                                {"do": "call", "service": "a return 200"},
                                {
                                    "do": "lookup",
                                    "dataset": "d'\"; x",
                                    "then": [{"do": "call", "service": "日本"}],
                                },
                                {"do": "publish", "to": ["x'; rm -rf ~ #", "&anchor *alias"]},
                            ],
                        },
                    ],
                },
                '"""\nimport os\n"""': {
                    "title": '"""\n',
                    "steps": [
                        {"do": "call", "service": "nginx"},
                        {"do": "call", "service": "../../etc/passwd"},
                        {"do": "call", "service": ""},
                    ],
                },
                "__PLAN__": {"steps": [{"do": "fetch", "dataset": "d'\"; x"}]},
            },
            "observability.alerts": {
                "on": True,
                "evaluation_seconds": 5,
                "rules": {
                    'r"} or vector(1) #': {
                        "title": '{{ .Value }} "q"\n- alert: evil',
                        "metric": "requests_per_second",
                        "threshold": 1,
                        "for_seconds": 0,
                    },
                    "s": {
                        "title": "CPU",
                        "metric": "requests_per_second",
                        "station": f"application.{HOSTILE}",
                        "threshold": 1,
                        "for_seconds": 5,
                    },
                    "t": {
                        "metric": "requests_per_second",
                        "station": "application.*[!x]",
                        "threshold": 1,
                        "for_seconds": 10,
                    },
                },
            },
            "expect": {},
        }
    )


@pytest.fixture(autouse=True, scope="session")
def schemas_are_read_once() -> Iterator[None]:
    """Keep the schemas, megabytes that would be read again for each manifest."""
    with pytest.MonkeyPatch.context() as patch:
        read = functools.cache(kubernetes_validate.utils.schema_contents)
        patch.setattr(kubernetes_validate.utils, "schema_contents", read)
        yield
