"""A plan while it is made: steps as they are found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bundler.model.observed import Observed, Thing
from bundler.model.plan import Action, Ready, Step
from bundler.model.release import Release
from targets.k8s import edits
from targets.k8s.cluster import Cluster
from targets.k8s.objects import Object


@dataclass(slots=True)
class Draft:
    """Steps as they are found; ids by which later ones wait for earlier ones."""

    release: Release
    observed: Observed
    cluster: Cluster
    steps: list[Step] = field(default_factory=list)

    def add(
        self,
        resource: str,
        action: Action,
        cause: str,
        payload: Mapping[str, object],
        *,
        after: Sequence[str] = (),
        waits: Sequence[Ready] = (),
        moves_bytes: int = 0,
    ) -> str:
        known = {step.id for step in self.steps}
        ordered = tuple(dict.fromkeys(one for one in after if one in known))
        told = {"app": self.release.app, "namespace": self.cluster.namespace, **payload}
        step = Step(resource, action, cause, told, ordered, tuple(waits), moves_bytes=moves_bytes)
        self.steps.append(step)
        return step.id

    def thing(self, wanted: Object) -> Thing | None:
        """What is there of ours under an object's name."""
        things = self.observed.things
        return next((one for one in things if one.name == wanted.id and not one.foreign), None)

    def same(self, wanted: Object) -> bool:
        there = self.thing(wanted)
        same = there is not None and there.spec == wanted.spec and there.resource == wanted.resource
        return same and not self.edited(wanted)

    def edited(self, wanted: Object) -> str:
        """What somebody has set otherwise, in words; empty where nobody has."""
        there = self.thing(wanted)
        fields = edits.of(wanted.body, there.edits) if there is not None else []
        return f"edited: {', '.join(fields)}" if fields else ""
