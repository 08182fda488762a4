"""A server that is not installed: skipped at home, a failure where every test must run."""

import pytest

from tests import servers


@pytest.mark.parametrize("program", ["redis-server", "postgresql"])
def test_a_missing_server_fails_in_ci_and_is_skipped_elsewhere(program, monkeypatch) -> None:
    """A conformance that is never run in CI would be a claim."""
    monkeypatch.setattr(servers.shutil, "which", lambda _: None)
    monkeypatch.setattr(servers, "DEBIAN", servers.DEBIAN / "nowhere")
    start = servers.redis_running if program == "redis-server" else servers.postgres_running
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=f"{program} is not installed"), start():
        pass
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match=f"{program} is not installed"), start():
        pass
