"""All that a target implements. A third party's adapter needs this module, `bundler.model`, `bundler.edges`
and `bundler.errors`, and passes `targets.conformance`.

No adapter loops until something is true, sleeps, retries, prompts or prints: the core does, once, for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, runtime_checkable

from bundler.edges.forward import Connection
from bundler.model.finding import Finding
from bundler.model.observed import AppSummary, LogLine, Observed, StoredSecret
from bundler.model.oci import Descriptor
from bundler.model.plan import Note, Plan, Step
from bundler.model.release import Release

CONTRACT_VERSION = 1


class BlobSource(Protocol):
    """Blobs of a verified bundle; size and digest are checked again at every read (TrustError)."""

    def read(self, blob: Descriptor) -> bytes:
        """The whole of a small blob (at most 4 MiB)."""

    def stream(self, blob: Descriptor) -> Iterator[bytes]:
        """The blob in pieces. The last piece is only handed out once the digest is known to be right."""


class Target(Protocol):
    """A place to deploy to. Every method may raise TargetError; no third-party exception leaves it."""

    name: str

    def render(self, release: Release, blobs: BlobSource) -> Mapping[str, str]:
        """The files a person would read or keep, by file name. No secret is in them. Looks at nothing but its
        arguments, and reads only those blobs that the files themselves hold."""

    def plan(self, release: Release | None, observed: Observed) -> Plan:
        """Pure: steps from `observed` to `release`; None means that nothing should be there.

        Steps of a removal that destroy data volumes, secrets or records have `loses_data`: without
        consent the core leaves them out. A release that is there already gives no steps.
        """

    def observe(self, app: str) -> Observed:
        """One snapshot of everything of `app`, and the host's facts."""

    def secrets(self, app: str) -> Mapping[str, StoredSecret]:
        """The secrets kept on the target for `app`; empty where there are none."""

    def apply(
        self,
        step: Step,
        blobs: BlobSource | None,
        secrets: Mapping[str, StoredSecret],
        progress: Callable[[int], None],
    ) -> None:
        """Do one step; the only method with an effect. Safe to repeat after an interruption.

        `blobs` is None for removals. `progress` is called with numbers of bytes sent; what it raises
        ends the step. A job's `run` step starts it and returns; the core waits for it through `observe`.
        """

    def logs(
        self, app: str, service: str | None, *, follow: bool, since: str | None, tail: int | None
    ) -> Iterator[LogLine]:
        """Lines of a service or job (all of them where None), oldest first.

        `since` is an RFC 3339 time in UTC: no line before it. `follow`: also what the instances there now go on to
        say, until they end; `bundler.follow` goes on with those that come after them.
        """

    def apps(self) -> tuple[AppSummary, ...]:
        """The apps of this adapter on the target, by name; of each part, where the target has parts."""


@runtime_checkable
class Dialing(Protocol):
    """What a target has beside `Target` where its front doors are not reached from here by themselves."""

    def dial(self, app: str, service: str, port: int) -> Connection:
        """A connection to a port of an instance of the service that is ready."""


@runtime_checkable
class Lending(Protocol):
    """What a target has beside `Target` where secrets may lie already that a site's file refers to."""

    def lent(self, app: str, places: Mapping[str, str]) -> Mapping[str, bytes]:
        """The bytes of secrets by name; `places` says where each is: NAME/KEY, beside the app's own things.

        Raises TargetError with all that are not there."""


@runtime_checkable
class Leasing(Protocol):
    """What a target has beside `Target` where several may deploy to it. An app's lease names who is deploying it; a
    holder is any text, the empty one nobody. `bundler.lease` says what is made of it."""

    def holder(self, app: str) -> str:
        """Whom the lease names."""

    def lease(self, app: str, holder: str, before: str) -> str:
        """Let the lease name `holder` where it names `before`; whom it names then, or the empty text where somebody is
        about to take it. Of several who ask at once, with one `before`, one is named. A plan does not wait for it, and
        a removal takes it along."""


@runtime_checkable
class Checking(Protocol):
    """What a target has beside `Target` where only asking tells whether it lets a plan be carried out."""

    def check(self, plan: Plan) -> tuple[Note, ...]:
        """What stands against the plan's steps, asked of the target for these alone and without an effect: rights,
        room, the way of images. Where a note refuses, no step is done."""


@runtime_checkable
class Examining(Protocol):
    """What a target has beside `Target` where more than its answer is needed to deploy to it."""

    def examine(self) -> Iterator[Finding]:
        """What it needs, whatever the app, looked for without an effect. Raises TargetError where nothing further can
        be told."""
