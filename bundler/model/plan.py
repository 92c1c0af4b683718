"""A plan: the steps from what is to what should be. Its text form is stable and tested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    LOAD = "load"  # bring an image or weights to the target
    CREATE = "create"
    REPLACE = "replace"  # ends the old instance and starts the new one
    START = "start"  # start again what is there and stopped
    STOP = "stop"  # end what runs for too long
    RUN = "run"  # a job
    STORE = "store"  # secrets, release records
    REMOVE = "remove"


class Verdict(StrEnum):
    EXACT = "exact"
    ADAPTED = "adapted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Note:
    """How the target answers one feature of one resource. Targets note no exact ones: what a release asks for and no
    note is about is exact. So `feature` begins with the word that `release.features` has for it."""

    resource: str
    feature: str
    verdict: Verdict
    reason: str

    def __str__(self) -> str:
        return f"{self.verdict}: {self.resource} {self.feature}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Ready:
    """A step waits until `resource` ("service/api") is in at least this state.

    `steady`: and has been for a moment without ending, as nothing else tells that it works. A job that runs for longer
    than `within_s` has failed; `overdue` ends it, where the target does not by itself."""

    resource: str
    state: str  # "running", "healthy", "completed": see observed.State
    steady: bool = False
    within_s: float | None = None
    overdue: Step | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One effect, safe to repeat. `after` names the ids of steps that must be done first, `waits` what
    must be ready first. `payload` is JSON data, all that `apply` needs beside blobs and secrets.
    `cause` says why in a few words ("not there", "image changed", "config prompts changed").
    `moves_bytes` is what will be sent to the target, 0 where next to nothing."""

    resource: str
    action: Action
    cause: str
    payload: Mapping[str, object]
    after: tuple[str, ...] = ()
    waits: tuple[Ready, ...] = ()
    loses_data: bool = False
    moves_bytes: int = 0

    @property
    def id(self) -> str:
        return f"{self.action} {self.resource}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in an order in which they could be done one by one; `ready` is what must hold at the end."""

    steps: tuple[Step, ...]
    notes: tuple[Note, ...] = ()
    ready: tuple[Ready, ...] = ()

    @property
    def refused(self) -> tuple[Note, ...]:
        return tuple(note for note in self.notes if note.verdict is Verdict.REFUSED)
