"""Front doors of the command as a user types it, on a real engine."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bundler.cli import main
from bundler.model.plan import Plan
from bundler.run import Runner

from .conftest import Bundle, get

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300), pytest.mark.xdist_group("small")]

Deploy = Callable[..., int]
PORT = 8399

targets = pytest.mark.parametrize("target", ["docker", "compose"])


@pytest.fixture
def deploy(bundle: Bundle, small: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deploy]:
    """`bundle deploy`. After its plan was made something else takes the port of its one door: for the whole test, or
    until the deploy has met it."""
    for variable, value in bundle.env.items():
        monkeypatch.setenv(variable, value)
    real, held = Runner.run, ExitStack()

    def deploy(target: str, app: str, *arguments: str, briefly: bool = False) -> int:
        def meanwhile(self: Runner, plan: Plan) -> None:
            monkeypatch.setattr(Runner, "run", real)
            doors = [door for step in plan.steps for door in dict(step.payload.get("doors") or {}).values()]  # type: ignore[call-overload]
            ((_, port),) = doors
            held.enter_context(socket.create_server(("127.0.0.1", port)))
            try:
                real(self, plan)
            finally:
                if briefly:
                    held.close()

        monkeypatch.setattr(Runner, "run", meanwhile)
        return main.run(["deploy", str(small), "--target", target, "--app", app, *arguments])

    with held:
        yield deploy


@targets
def test_a_port_that_is_taken_meanwhile_is_given_up_for_the_next(
    bundle: Bundle,
    small: Path,
    app: Callable[[str, str], str],
    deploy: Deploy,
    capsys: pytest.CaptureFixture[str],
    target: str,
) -> None:
    name = app(f"moved-{target}", target)
    assert deploy(target, name) == 0
    said = capsys.readouterr()
    door = bundle("open", name, "--target", target, "--print").out.split()[-1]
    assert door in said.out
    assert f"front door front: port {door.rpartition(':')[2]}, as something else has taken" in said.err
    assert get(f"{door}/healthz") == "ok\n"
    assert bundle("deploy", small, "--target", target, "--app", name).out.startswith("no changes\n")


@targets
def test_a_port_that_the_site_names_is_waited_for_by_nobody(
    app: Callable[[str, str], str], deploy: Deploy, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    name = app(f"named-{target}", target)
    assert deploy(target, name, "--set", f"publish.front.port={PORT}") == 7
    said = capsys.readouterr().err
    assert f"front door front at 127.0.0.1:{PORT}: something else has taken the port meanwhile" in said
    assert "choose another: --set publish.front.port=" in said


@targets
def test_a_port_that_is_free_again_is_taken(
    app: Callable[[str, str], str], deploy: Deploy, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    name = app(f"again-{target}", target)
    assert deploy(target, name, "--set", f"publish.front.port={PORT}", briefly=True) == 0
    assert f"127.0.0.1:{PORT}" in capsys.readouterr().out
