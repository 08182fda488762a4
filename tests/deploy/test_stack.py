"""The local stack, the topics and the dashboard: what their programs would make of them."""

import json
import pathlib
import re
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from typing import Any

import fakeredis
import pytest
import yaml

from engine import Scenario, presets
from engine.deploy import files, standin
from tests.deploy.conftest import Run, load, preset_files

COMPOSE = "compose/docker-compose.yml"


def stack(scenario: Scenario) -> dict[str, Any]:
    """Return the services of the local stack."""
    return yaml.safe_load(files(scenario)[COMPOSE])["services"]


# ---------------------------------------------------------------- compose


@pytest.mark.parametrize("name", presets())
def test_every_image_is_pinned_and_every_mounted_file_is_there(name: str) -> None:
    """A stack that pulls whatever is newest works today only."""
    made = preset_files(name)
    for service in stack(load(name)).values():
        assert re.fullmatch(r"[\w./-]+:v?\d[\w.-]*", service["image"])
        for volume in service.get("volumes", ()):
            path = (pathlib.PurePosixPath("compose") / volume.split(":")[0]).as_posix()
            assert re.sub(r"^compose/(\.\./)?", "compose/" * ("../" not in path), path) in made


def test_nginx_finds_every_server_of_the_stack() -> None:
    """An address that nobody has is a server that is always down."""
    made = preset_files("amazon")
    wanted = set(re.findall(r"server (10[\d.]+):8080", made["nginx/nginx.conf"]))
    services = stack(load("amazon"))
    has = {
        each["networks"]["strata"]["ipv4_address"]
        for each in services.values()
        if isinstance(each["networks"], dict)
    }
    assert wanted <= has
    assert len(has) == len([each for each in services.values() if "replicas" not in str(each)])


def test_a_stack_stays_small_enough_for_one_machine() -> None:
    """A thousand containers would bring the machine down, not the system."""
    scenario = load("amazon").change({"application.replicas": 1000, "asynchronous.workers": 500})
    assert len(stack(scenario)) < 80
    assert "more than 15 servers of a service" in files(scenario)[COMPOSE]


def test_hostile_names_neither_break_out_nor_are_replaced(hostile: Scenario) -> None:
    """Compose replaces $HOME in any value; YAML has anchors and tags."""
    services = stack(hostile)
    assert all(re.fullmatch(r"[a-z0-9.-]+", name) for name in services)
    titles = [each["labels"]["strata.title"] for each in services.values() if "labels" in each]
    assert "$$(reboot) set -x" in titles
    assert "!!python/object" in titles
    for each in services.values():
        environment = each.get("environment", {})
        assert all(re.fullmatch(r"[\w.:, =-]*", str(value)) for value in environment.values())


# ---------------------------------------------------------------- the stand-in


@pytest.fixture
def redis(monkeypatch) -> Iterator[fakeredis.FakeStrictRedis]:
    """A Redis on a port of its own, where the stand-in looks for one."""
    server = fakeredis.TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    connect, port = standin.socket.create_connection, server.server_address[1]

    def there(address: tuple[str, int], *more: Any) -> Any:
        return connect(("127.0.0.1", port) if address[1] == 6379 else address, *more)

    monkeypatch.setattr(standin.socket, "create_connection", there)
    client = fakeredis.FakeStrictRedis(server=server.fake_server)
    yield client
    client.close()
    server.shutdown()
    server.server_close()


def test_a_stand_in_looks_up_and_leaves_messages(redis: Any, monkeypatch) -> None:
    """A stack in which nothing happens behind the edge shows nothing."""
    monkeypatch.setattr(standin.Server, "lookups", {"buy": ["products"]})
    monkeypatch.setattr(standin.Server, "messages", {"buy": ["topic-email", "topic-payment"]})
    monkeypatch.setattr(standin.Server, "fresh", "max-age=60")
    server = ThreadingHTTPServer(("127.0.0.1", 0), standin.Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    with urllib.request.urlopen(f"{url}/buy?key=7", timeout=10) as answer:  # noqa: S310
        assert answer.read() == b"ok\n"
        assert answer.headers["Cache-Control"] == "max-age=60"
    with urllib.request.urlopen(f"{url}/health", timeout=10) as answer:  # noqa: S310
        assert answer.status == 200
    server.shutdown()
    server.server_close()
    assert redis.get("products:key=7") == b"1"
    assert redis.lrange("topic-email", 0, -1) == [b"key=7"]
    assert redis.llen("topic-payment") == 1


def test_the_environment_says_what_a_server_does(monkeypatch) -> None:
    """What one file writes the other has to read."""
    services = stack(load("amazon"))
    monkeypatch.setenv("CALLS", services["gateway.1"]["environment"]["CALLS"])
    monkeypatch.setenv("MESSAGES", services["gateway.1"]["environment"]["MESSAGES"])
    assert standin.told("CALLS")["buy"] == ["auth", "inventory"]
    assert standin.told("MESSAGES")["buy"][0] == "topic-payment"
    assert services["product.1"]["environment"]["LOOKUPS"] == "view:products search:searches"
    topics = {
        each["environment"].get("TOPIC") for name, each in services.items() if "worker" in name
    }
    assert set(standin.told("MESSAGES")["buy"]) == topics


# ---------------------------------------------------------------- topics


def test_kafka_topics_have_their_partitions_and_retention() -> None:
    """Fewer partitions than workers leave workers idle."""
    text = preset_files("amazon")["topics/kafka.sh"]
    assert text.startswith("#!/bin/sh\n#")
    assert "topic payment 24 604800000\ntopic payment-dead 1 604800000" in text


def test_the_list_of_topics_runs_and_says_no_more_than_topics(
    hostile: Scenario, tmp_path: pathlib.Path
) -> None:
    """A kind of worker called `x'; rm -rf ~ #` would be a command."""
    (tmp_path / "kafka.sh").write_text(files(hostile)["topics/kafka.sh"], "utf-8")
    tool = tmp_path / "kafka-topics.sh"
    tool.write_text('#!/bin/sh\necho "$@"\n')
    tool.chmod(0o755)
    ran = subprocess.run(
        [str(shutil.which("sh")), "kafka.sh", "there:1"],
        cwd=tmp_path,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    asked = ran.stdout.splitlines()
    assert len(asked) == 4
    assert asked[0] == (
        "--bootstrap-server there:1 --create --if-not-exists --topic x-rm-rf --partitions 24"
        " --replication-factor 3 --config retention.ms=604800000"
    )


def test_rabbitmqs_queues_have_their_bound_and_deliveries() -> None:
    """A queue without its bound grows until the broker stops."""
    scenario = load("worker_outage").change(
        {"asynchronous.bounded": True, "asynchronous.capacity": 50, "asynchronous.attempts": 3}
    )
    tree = json.loads(files(scenario)["topics/rabbitmq.json"])
    first, dead = tree["queues"][:2]
    assert first["arguments"]["x-max-length"] == 50
    assert first["arguments"]["x-delivery-limit"] == 2
    assert first["arguments"]["x-dead-letter-routing-key"] == dead["name"]


# ---------------------------------------------------------------- dashboard


@pytest.mark.parametrize("name", ["amazon", "monolith", "worker_outage"])
def test_prometheus_understands_every_query_of_the_dashboard(name: str, promtool: Run) -> None:
    """A panel whose query is wrong is empty, and nobody knows why."""
    board = json.loads(preset_files(name)["grafana/dashboard.json"])
    queries = [each["expr"] for panel in board["panels"] for each in panel.get("targets", ())]
    rules = [{"record": f"panel_{i}", "expr": query} for i, query in enumerate(queries)]
    text = yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]})
    checked = promtool({"panels.yml": text}, "check", "rules", "panels.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert next(iter(board)) == "description"
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_the_dashboard_shows_what_alerts_look_at() -> None:
    """Who is woken up looks at the dashboard first."""
    board = json.loads(preset_files("amazon")["grafana/dashboard.json"])
    panels = {panel["title"]: panel for panel in board["panels"]}
    steps = panels["Errors"]["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [step["value"] for step in steps] == [None, 0.01]
    assert "Messages that wait" in panels
    assert "Messages that wait" not in str(preset_files("monolith")["grafana/dashboard.json"])
