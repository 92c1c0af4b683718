"""One deploy of an app at a time: its lease on the target, renewed for as long as the deploy runs.

Reads    whom the lease names
Writes   whom it names now, through `contract.Leasing`
Next     `run` goes on for as long as it is held

Nobody ever unlocks anything. The lease is given back when the command ends, however it does; that of a process that was
killed is taken over, at once where this machine knows that it has ended, else when nobody has renewed it for a while.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from secrets import token_hex

from bundler.contract import Leasing, Target
from bundler.edges import process
from bundler.edges.clock import Clock
from bundler.errors import TargetError

RENEW_S = 2.0
STALE_S = 10.0
_LOOK_S = 0.25


@contextmanager
def leased(target: Target, app: str, clock: Clock, waiting: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Holds the lease; gives what raises TargetError once somebody else has it. `waiting` is called while it is not yet
    known whether its holder still runs. Raises TargetError where another deploy is under way."""
    if not isinstance(target, Leasing):
        yield lambda: None
        return
    lease = _Lease(target, app)
    lease.take(clock, waiting)
    try:
        yield lease.check
    finally:
        lease.give_back()


class _Lease:
    """A holder is this process, and how often it has renewed."""

    def __init__(self, target: Leasing, app: str) -> None:
        self._target, self._app = target, app
        self._me = f"{process.identity()}/{token_hex(4)}/"
        self._said, self._times = "", 0
        self._lost, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def take(self, clock: Clock, waiting: Callable[[], None]) -> None:
        seen, since = self._target.holder(self._app), clock.now()
        while seen and not process.has_ended(seen.partition("/")[0]) and clock.now() - since < STALE_S:
            waiting()
            clock.sleep(_LOOK_S)
            before, seen = seen, self._target.holder(self._app)
            if seen not in ("", before):
                raise self._under_way()
        self._said = seen
        self._renew()
        if self._lost.is_set():
            raise self._under_way()
        self._thread.start()

    def check(self) -> None:
        if self._lost.is_set():
            raise TargetError(
                f"another command has taken over {self._app}, as this one was silent for long, or has removed it",
                hint="see what is there (bundle status) before you run the same command again",
            )

    def give_back(self) -> None:
        self._over.set()
        self._thread.join(timeout=STALE_S)
        if not self._lost.is_set():
            with suppress(TargetError):  # it is nobody's when this process has ended
                self._target.lease(self._app, "", self._said)

    def _keep(self) -> None:
        while not self._lost.is_set() and not self._over.wait(RENEW_S):
            with suppress(TargetError):  # the target may be restarting
                self._renew()

    def _renew(self) -> None:
        self._times += 1
        said = self._target.lease(self._app, f"{self._me}{self._times}", self._said)
        if said.startswith(self._me):  # of an earlier time where the answer was lost
            self._said = said
        else:
            self._lost.set()

    def _under_way(self) -> TargetError:
        return TargetError(
            f"another deploy of {self._app} is under way",
            hint="wait until it has ended, then run the same command again",
        )
