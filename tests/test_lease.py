"""One deploy of an app at a time: who gets the lease, who loses it, and that nobody has to unlock anything."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from bundler import lease
from bundler.edges import process
from bundler.errors import TargetError
from bundler.lease import STALE_S, leased
from targets.memory import MemoryTarget
from tests.test_run import Clockwork

ANOTHER_MACHINE = "elsewhere:1:1/token/"


def waited() -> None:
    """Told that somebody waits."""


def test_a_second_deploy_ends_while_the_first_renews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEW_S", 0.01)
    target, clock = MemoryTarget(), Clockwork()
    with leased(target, "shop", clock, waited) as proceed:
        with pytest.raises(TargetError, match="another deploy of shop is under way"):
            leased(target, "shop", SlowClock(), waited).__enter__()
        proceed()
    assert target.holder("shop") == ""


class SlowClock(Clockwork):
    def sleep(self, seconds: float) -> None:
        threading.Event().wait(0.05)


def test_of_two_who_see_nobody_one_goes_on() -> None:
    class Late(MemoryTarget):
        def holder(self, app: str) -> str:
            return ""

    target = Late()
    with (
        leased(target, "shop", Clockwork(), waited),
        pytest.raises(TargetError, match="another deploy of shop is under way"),
    ):
        leased(target, "shop", Clockwork(), waited).__enter__()


def test_the_lease_is_given_back_after_an_error() -> None:
    target = MemoryTarget()
    with pytest.raises(KeyboardInterrupt), leased(target, "shop", Clockwork(), waited):
        raise KeyboardInterrupt
    assert target.holder("shop") == ""


def test_one_that_nobody_renews_is_taken_over_after_a_while() -> None:
    target, clock = MemoryTarget(), Clockwork()
    target.lease("shop", ANOTHER_MACHINE + "7", "")
    told: list[float] = []
    with leased(target, "shop", clock, lambda: told.append(clock.now())) as proceed:
        proceed()
    assert clock.now() == STALE_S
    assert told


def test_that_of_a_process_of_this_machine_that_was_killed_is_taken_over_at_once() -> None:
    target, clock = MemoryTarget(), Clockwork()
    target.lease("shop", f"{ended()}/token/7", "")
    with leased(target, "shop", clock, waited):
        assert clock.now() == 0.0


def ended() -> str:
    told = "from bundler.edges import process; print(process.identity())"
    return subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout.strip()


def test_a_process_is_known_by_its_number_and_its_start() -> None:
    mine = process.identity()
    machine, pid, started = mine.rsplit(":", 2)
    assert not process.has_ended(mine)
    assert process.has_ended(f"{machine}:{pid}:1"), "another process had this number before"
    assert not process.has_ended(f"another{machine}:{pid}:1")
    assert not process.has_ended(f"{machine}:{pid}")
    assert not process.has_ended(f"{machine}:{pid}:{started}"), "and it runs still"
    assert process.has_ended(ended())


@pytest.mark.parametrize("now", ["", ANOTHER_MACHINE + "1"], ids=["app removed", "taken over"])
def test_who_has_lost_it_stops_and_takes_nobody_elses(now: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEW_S", 0.01)
    target = MemoryTarget()
    with leased(target, "shop", Clockwork(), waited) as proceed:
        while target.lease("shop", now, target.holder("shop")) != now:
            """A renewal came between."""
        with pytest.raises(TargetError, match="another command has taken over shop"):
            until_lost(proceed)
    assert target.holder("shop") == now


def until_lost(proceed: Callable[[], None]) -> None:
    for _ in range(200):
        proceed()
        threading.Event().wait(0.02)


def test_an_answer_that_was_lost_loses_no_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEW_S", 0.01)

    class Breaking(MemoryTarget):
        asked = 0

        def lease(self, app: str, holder: str, before: str) -> str:
            said = super().lease(app, holder, before)
            self.asked += 1
            if self.asked in (2, 3):
                raise TargetError("the connection broke")
            return said

    target = Breaking()
    with leased(target, "shop", Clockwork(), waited) as proceed:
        while target.asked < 6:
            threading.Event().wait(0.01)
        proceed()
    assert target.holder("shop") == ""


def test_a_target_without_leases_is_deployed_to_all_the_same() -> None:
    class Plain:
        name = "plain"

    with leased(Plain(), "shop", Clockwork(), waited) as proceed:  # type: ignore[arg-type]
        proceed()
