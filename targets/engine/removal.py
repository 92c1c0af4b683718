"""What an app has that no release wants any more, to the steps that remove it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bundler.model.observed import Instance, Observed, State, Thing
from bundler.model.plan import Action, Note, Plan, Step, Verdict
from targets import ownership
from targets.engine.delivery import HELPER
from targets.engine.fill import INCOMPLETE
from targets.engine.observe import LEFTOVER
from targets.engine.workloads import Container

RECORDS_KEPT = 10
UP = frozenset({State.STARTING, State.RUNNING, State.HEALTHY, State.UNHEALTHY, State.RESTARTING})

_REMOVED = "the app is removed"
_INTERRUPTED = "left by an interruption"


def plan_removal(observed: Observed) -> Plan:
    """Everything goes; data volumes, records and secrets only with consent. Passwords and the ledger go after the data,
    which may be in use by something else and would be worth nothing without them."""
    steps: list[Step] = []
    app = observed.app
    gone: list[str] = []
    resources = dict.fromkeys(instance.resource for instance in observed.instances)
    for resource in resources:
        names = [instance.name for instance in observed.of(resource)]
        gone.append(_add(steps, resource, _REMOVED, "remove-containers", app, names))
    stray = [thing.name for thing in observed.things if thing.resource.startswith(LEFTOVER)]
    if stray:
        gone.append(_add(steps, "leftovers", _INTERRUPTED, "remove-containers", app, stray))
    if lone := _lone_marks(observed):
        _add(steps, "marks", _INTERRUPTED, "remove-volumes", app, lone, gone)
    mine = [t for t in observed.things if not t.foreign and not t.resource.startswith((INCOMPLETE, LEFTOVER))]
    images = [thing for thing in mine if thing.resource.startswith("image/") and thing.resource != HELPER]
    helpers = [thing.name for thing in mine if thing.resource == HELPER]  # of each version that was at it
    claims = [thing for thing in mine if thing.resource == "images"]
    unshared = [thing for thing in images if not thing.shared]
    unloaded = [
        _add(steps, f"image/{_short(thing.name)}", "only this app brought it", "remove-images", app, [thing.name], gone)
        for thing in unshared
    ]
    if claims:
        _let_go(steps, _REMOVED, app, claims, images, [*gone, *unloaded])
    for thing in mine:
        if thing.resource == "network":
            _add(steps, "network", _REMOVED, "remove-network", app, [thing.name], gone)
    if helpers:
        _add(steps, HELPER, "only this app uses it", "remove-helper", app, helpers, gone)
    kinds = dict.fromkeys(
        thing.resource for thing in mine if not thing.resource.startswith("image") and thing.resource != "network"
    )
    lost: list[str] = []
    for resource in sorted(kinds, key=ownership.going):
        names = _with_marks(observed, _names(thing for thing in mine if thing.resource == resource))
        loses = resource.startswith(ownership.LOSES_DATA)
        after = [*gone, *lost] if ownership.going(resource)[0] else gone
        step = _add(steps, resource, _REMOVED, "remove-volumes", app, names, after, loses_data=loses)
        lost += [step] if loses else []
    return Plan(tuple(steps), tuple(_left(thing for thing in images if thing.shared)))


def _left(images: Iterable[Thing]) -> Iterable[Note]:
    for thing in images:
        last = f"the last app that brought it takes it along, or: docker image rm {thing.name}"
        reason = f"it stays while something else uses it; {last}"
        yield Note(f"image/{_short(thing.name)}", "removal", Verdict.ADAPTED, reason)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a release uses: volumes by name, image references, containers by resource."""

    volumes: frozenset[str]
    images: frozenset[str]
    containers: Mapping[str, Container]


def cleanup(steps: list[Step], kept: Kept, observed: Observed, *, recording: bool) -> None:
    """Adds to a deploy the removal of what earlier releases left, after everything else."""
    app = observed.app
    after = [step.id for step in steps]
    removed = {step.resource for step in steps if step.action is Action.REMOVE}
    busy: set[str] = set()
    for resource in dict.fromkeys(instance.resource for instance in observed.instances):
        container = kept.containers.get(resource)
        touched = any(step.resource == resource for step in steps)
        extra = [i for i in observed.of(resource) if _superfluous(i, container, touched=touched)]
        if container is not None and container.job and not touched:
            busy |= {i.resource for i in observed.of(resource) if i.spec != container.spec and i not in extra}
        if extra and resource not in removed:
            cause = "of an earlier release" if container is not None else "not in this release"
            after.append(_add(steps, resource, cause, "remove-containers", app, [i.name for i in extra], after))
    stray = [thing.name for thing in observed.things if thing.resource.startswith(LEFTOVER)]
    if stray:
        after.append(_add(steps, "leftovers", _INTERRUPTED, "remove-containers", app, stray, after))
    made = {ownership.filling_volume(str(step.payload.get("volume"))) for step in steps}
    if lone := [mark for mark in _lone_marks(observed) if mark not in made]:
        _add(steps, "marks", _INTERRUPTED, "remove-volumes", app, lone, after)
    obsolete = _obsolete(observed, steps, kept, busy)
    for resource in dict.fromkeys(thing.resource for thing in obsolete if thing.resource != "images"):
        names = _with_marks(observed, _names(thing for thing in obsolete if thing.resource == resource))
        _add(steps, resource, "of an earlier release", "remove-volumes", app, names, after)
    claims = [thing for thing in obsolete if thing.resource == "images"]
    if claims and not busy:
        _images(steps, kept, observed, claims, after)
    if recording and (old := observed.records[: 1 - RECORDS_KEPT]):
        names = [ownership.record_volume(app, record.revision) for record in old]
        _add(steps, "records", f"the last {RECORDS_KEPT} are kept", "remove-volumes", app, names, after)


def _superfluous(instance: Instance, container: Container | None, *, touched: bool) -> bool:
    """One of a dropped workload, one too many, or a finished job of an earlier release."""
    if container is None or instance.index >= container.instances:
        return True
    return container.job and not touched and instance.spec != container.spec and instance.state not in UP


def _obsolete(observed: Observed, steps: Iterable[Step], kept: Kept, busy: set[str]) -> list[Thing]:
    """Volumes of ours that can be made anew, and that nothing in this release or still running uses."""
    kinds = ("files/", "model/", "helper", "images")
    still = {"files/" + resource.partition("/")[2] for resource in busy}
    made = {str(step.payload.get("volume")) for step in steps}
    return [
        thing
        for thing in observed.things
        if thing.resource.startswith(kinds)
        and not thing.foreign
        and thing.resource not in still
        and thing.name not in kept.volumes | made
    ]


def _images(steps: list[Step], kept: Kept, observed: Observed, claims: list[Thing], after: list[str]) -> None:
    """Images that this app brought for a release before this one, and no other app; then the claims that name them."""
    cause, app = "of an earlier release", observed.app
    obsolete = [
        thing
        for thing in observed.things
        if thing.resource.startswith("image/")
        and thing.resource != HELPER
        and not (thing.foreign or thing.name in kept.images)
    ]
    unloaded = [
        _add(steps, f"image/{_short(thing.name)}", cause, "remove-images", app, [thing.name], after)
        for thing in obsolete
        if not thing.shared
    ]
    _let_go(steps, cause, app, claims, obsolete, [*after, *unloaded])


def _let_go(
    steps: list[Step], cause: str, app: str, claims: Iterable[Thing], images: Iterable[Thing], after: Sequence[str]
) -> None:
    """Of several apps that let go of an image at once, the last takes it away: each claim goes before it is asked
    whether there is another. Also of images that have been taken away before: another app may have given one back,
    as this one's claim was still there."""
    payload = {"do": "let-go", "app": app, "names": _names(claims), "images": _names(images)}
    steps.append(Step("images", Action.REMOVE, cause, payload, tuple(after)))


def _add(
    steps: list[Step],
    resource: str,
    cause: str,
    do: str,
    app: str,
    names: Sequence[str],
    after: Sequence[str] = (),
    *,
    loses_data: bool = False,
) -> str:
    payload: Mapping[str, object] = {"do": do, "app": app, "names": list(names)}
    step = Step(resource, Action.REMOVE, cause, payload, tuple(after), loses_data=loses_data)
    steps.append(step)
    return step.id


def _with_marks(observed: Observed, volumes: Sequence[str]) -> list[str]:
    """Volumes, each followed by its mark: what is not complete must not look complete in between."""
    marks = {thing.name for thing in observed.things if thing.resource.startswith(INCOMPLETE)}
    return [
        name
        for volume in volumes
        for name in (volume, ownership.filling_volume(volume))
        if name == volume or name in marks
    ]


def _lone_marks(observed: Observed) -> list[str]:
    """Marks of volumes that are not there."""
    there = {INCOMPLETE + thing.name for thing in observed.things}
    return [t.name for t in observed.things if t.resource.startswith(INCOMPLETE) and t.resource not in there]


def _names(things: Iterable[Thing]) -> list[str]:
    return [thing.name for thing in things]


def _short(reference: str) -> str:
    """BUNDLE/NAME:TAG of bundle.local/BUNDLE/NAME:TAG."""
    return reference.partition("/")[2]
