"""How an app, a plan and a step look to people and programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bundler.cli import output
from bundler.cli.options import same_place, where
from bundler.errors import BundleError
from bundler.model.observed import FORWARDED_DOORS, Instance, Observed, State
from bundler.model.plan import Action, Note, Plan
from bundler.model.release import Release, ReleaseDoor
from bundler.release import read_record

_WELL = frozenset({State.RUNNING, State.HEALTHY, State.COMPLETED})
_SIGN = {
    Action.REMOVE: "-",
    Action.CREATE: "+",
    Action.LOAD: "+",
    Action.REPLACE: "~",
    Action.START: "~",
    Action.STOP: "-",
    Action.STORE: "+",
    Action.RUN: ">",
}


def recorded(observed: Observed) -> Release | None:
    """The recorded release, or None where there is none that this version can read."""
    try:
        return read_record(observed.record).release if observed.record else None
    except BundleError:
        return None


def doors(observed: Observed) -> tuple[ReleaseDoor, ...]:
    """The recorded front doors."""
    release = recorded(observed)
    return release.doors if release else ()


def is_well(observed: Observed) -> bool:
    """Whether a deploy was finished, every service of it is there, and what is there is healthy, running or completed.
    How the runs ended that people or a schedule started does not count. Where records are hidden, the services that are
    there speak for all."""
    release = recorded(observed)
    if release is None and observed.record is None and not observed.hidden:
        return False
    there = {one.resource for one in observed.instances}
    wanted = {service.resource for service in release.services} if release else set()
    aside = {job.resource for job in release.jobs if job.run not in ("install", "upgrade")} if release else set()
    if observed.hidden:
        services = [one.state in _WELL for one in observed.instances if one.resource.startswith("service/")]
        return bool(services) and all(services)
    return wanted <= there and all(one.state in _WELL for one in observed.instances if one.resource not in aside)


def app_lines(observed: Observed, target: str) -> list[str]:
    """The app for people: what runs, front doors, where the logs are."""
    release = recorded(observed)
    unknown = "its record may not be read" if observed.hidden else "an unfinished deploy"
    title = f"{release.bundle} {release.version}" if release else unknown
    revision = f" (revision {observed.record.revision})" if observed.record else ""
    lines = [f"{observed.app} on {target}: {title}{revision}"]
    rows = [
        (one.resource, _state(one), one.detail.splitlines()[0] if one.detail and one.state not in _WELL else "")
        for one in sorted(observed.instances, key=lambda one: (one.resource, one.index))
    ]
    lines += [f"  {observed.hidden}"] if observed.hidden else []
    there = {one.resource for one in observed.instances}
    if release and rows:
        rows += [(service.resource, "not there", "") for service in release.services if service.resource not in there]
    lines += output.table(rows) or ["  nothing runs; data is kept"]
    if release and release.doors and observed.instances:
        doors = [(door.name, _reached(door, observed, target)) for door in release.doors]
        lines += ["front doors:", *output.table(doors)]
    if observed.instances:
        example = next(
            (one.resource.partition("/")[2] for one in observed.instances if one.resource.startswith("service/")), ""
        )
        lines.append(
            f"logs: bundle logs {observed.app}{' ' + example if example else ''} --target {target}{same_place()}"
        )
    return lines


def _reached(door: ReleaseDoor, observed: Observed, target: str) -> str:
    if door.host is None and FORWARDED_DOORS in observed.host.features:
        return f"bundle open {observed.app} {door.name} --target {target}{same_place()}"
    return door.url


def _state(one: Instance) -> str:
    restarts = f", restarted {output.count(one.restarts, 'times')}" if one.restarts else ""
    return f"{one.state}{restarts}"


def app_json(observed: Observed, target: str) -> dict[str, object]:
    release = recorded(observed)
    return {
        "app": observed.app,
        "target": target,
        "bundle": release.bundle if release else None,
        "version": release.version if release else None,
        "root": str(release.root) if release else None,
        "revision": observed.record.revision if observed.record else None,
        "well": is_well(observed),
        "instances": [
            {
                "resource": one.resource,
                "name": one.name,
                "index": one.index,
                "state": str(one.state),
                "detail": one.detail,
                "exit_code": one.exit_code,
                "started_at": one.started_at,
                "restarts": one.restarts,
            }
            for one in observed.instances
        ],
        "doors": {door.name: door.url for door in doors(observed)},
    }


def named(resource: str, release: Release | None) -> str:
    """With what the graph says of an image, which is called after the first alone of those that run it."""
    images = release.images if release is not None else ()
    name = resource.partition(" in ")[0]
    source = next((image.source for image in images if name == f"image/{image.name}"), "")
    return f"{resource} ({source})" if source else resource


def replaced(release: Release | None, observed: Observed) -> Release | None:
    """The recorded release of another bundle, whose place this release takes."""
    there = recorded(observed)
    return there if there is not None and release is not None and there.bundle != release.bundle else None


def plan_lines(plan: Plan, app: str, target: str, release: Release | None, observed: Observed) -> list[str]:
    """The plan for people; the same plan always gives the same text."""
    told = "refused" if plan.refused else output.count(len(plan.steps), "steps") if plan.steps else "no changes"
    lines = [f"{app} on {target}{where()}: {told}"]
    if release is not None and (there := replaced(release, observed)) is not None:
        lines.append(f"  ANOTHER BUNDLE: {_called(there)} is there, {_called(release)} takes its place")
    rows = []
    for step in plan.steps:
        moved = output.size(step.moves_bytes) if step.moves_bytes else ""
        danger = "LOSES DATA" if step.loses_data else ""
        resource = named(step.resource, release)
        rows.append((f"{_SIGN[step.action]} {step.action}", resource, step.cause, moved, danger))
    lines += output.table(rows)
    lines += [f"  {note}" for note in plan.notes]
    return lines


def _called(release: Release) -> str:
    return f"{release.bundle} {release.version} ({release.root.short})"


def changed_values(release: Release | None, observed: Observed) -> dict[str, tuple[str, str]]:
    """What each value that is another than at the last deploy was and is: what was said by `--set` then and is not now
    falls back."""
    before = recorded(observed)
    was = dict(before.values) if before is not None else {}
    now = release.values if release is not None else ()
    return {name: (was[name], text) for name, text in now if was.get(name, text) != text}


def value_lines(release: Release | None, observed: Observed) -> Iterator[str]:
    from bundler.graphfile.source import quoted

    for name, (before, after) in changed_values(release, observed).items():
        yield f"  value {name}: {quoted(before)} -> {quoted(after)}"


def exact_lines(exact: Sequence[Note], plan: Plan) -> Iterator[str]:
    """All features that the target does as asked, in a line; where it adapts one elsewhere, of which resources."""
    resources: dict[str, list[str]] = {}
    for note in exact:
        resources.setdefault(note.feature.split(" ")[0], []).append(note.resource)
    noted = {note.feature.split(" ")[0] for note in plan.notes}
    words = [f"{word} ({', '.join(of)})" if word in noted else word for word, of in sorted(resources.items())]
    if words:
        yield f"  exact: {', '.join(words)}"


def plan_json(
    plan: Plan, app: str, target: str, exact: Sequence[Note], release: Release | None, observed: Observed
) -> dict[str, object]:
    """`exact` beside `notes`, which say what is not; `values`: what each that changes was and is; `replaces`: another
    bundle that is there."""
    there, values = replaced(release, observed), changed_values(release, observed)
    return {
        "app": app,
        "target": target,
        "replaces": there and {"bundle": there.bundle, "version": there.version, "root": str(there.root)},
        "changes": len(plan.steps),
        "steps": [
            {
                "id": step.id,
                "resource": step.resource,
                "action": str(step.action),
                "cause": step.cause,
                "after": list(step.after),
                "waits": [{"resource": one.resource, "state": one.state} for one in step.waits],
                "loses_data": step.loses_data,
                "moves_bytes": step.moves_bytes,
            }
            for step in plan.steps
        ],
        "notes": [
            {"resource": note.resource, "feature": note.feature, "verdict": str(note.verdict), "reason": note.reason}
            for note in plan.notes
        ],
        "exact": [{"resource": note.resource, "feature": note.feature} for note in exact],
        "values": {name: {"before": before, "after": after} for name, (before, after) in values.items()},
    }
