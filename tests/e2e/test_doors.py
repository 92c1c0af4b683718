"""Front doors of the command as a user types it, on a real engine."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from bundler.cli import main
from bundler.model.plan import Plan
from bundler.run import Runner

from .conftest import Bundle, get

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300), pytest.mark.xdist_group("small")]


@pytest.mark.parametrize("target", ["docker", "compose"])
@pytest.mark.parametrize("named", [False, True], ids=["the site leaves it open", "the site names it"])
def test_a_port_that_is_taken_after_the_plan_was_made_is_given_up_for_the_next(
    bundle: Bundle,
    small: Path,
    app: Callable[[str, str], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    target: str,
    named: bool,
) -> None:
    for variable, value in bundle.env.items():
        monkeypatch.setenv(variable, value)
    name, real, taken = app(f"moved-{target}", target), Runner.run, contextlib.ExitStack()

    def meanwhile(self: Runner, plan: Plan) -> None:
        monkeypatch.setattr(Runner, "run", real)
        (port,) = [port for step in plan.steps for _, port in dict(step.payload.get("doors") or {}).values()]  # type: ignore[call-overload]
        taken.enter_context(socket.create_server(("127.0.0.1", port)))
        real(self, plan)

    monkeypatch.setattr(Runner, "run", meanwhile)
    site = ["--set", "publish.front.port=8399"] if named else []
    with taken:
        status = main.run(["deploy", str(small), "--target", target, "--app", name, *site])
        said = capsys.readouterr()
        if named:
            assert status == 7
            assert "front door front at 127.0.0.1:8399: something else has taken the port meanwhile" in said.err
            assert "choose another: --set publish.front.port=" in said.err
        else:
            assert status == 0, said.err
            door = bundle("open", name, "--target", target, "--print").out.split()[-1]
            assert door in said.out
            assert get(f"{door}/healthz") == "ok\n"
            assert bundle("deploy", small, "--target", target, "--app", name).out.startswith("no changes\n")
