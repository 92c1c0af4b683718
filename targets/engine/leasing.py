"""An app's lease: an empty volume whose label names the holder. Labels never change, so each holder's volume has the
next number. Whoever makes it first is the holder, and those before go.
"""

from __future__ import annotations

from targets import ownership
from targets.engine.api import Engine

RESOURCE = "lease"


def holder(engine: Engine, target: str, app: str) -> str:
    found = _found(engine, target, app)
    return found[max(found)] if found else ""


def lease(engine: Engine, target: str, app: str, new: str, before: str) -> str:
    """As `contract.Leasing`."""
    there = _found(engine, target, app)
    last = max(there, default=0)
    if there.get(last, "") != before:
        return there[last] if there else ""
    if new:
        engine.create_volume(ownership.lease_volume(app, last + 1), ownership.labels(target, app, RESOURCE, new))
    for number in sorted(there):
        engine.remove_volume(ownership.lease_volume(app, number))
    return holder(engine, target, app)


def _found(engine: Engine, target: str, app: str) -> dict[int, str]:
    """Holders by number."""
    found = {}
    for volume in engine.volumes():
        labels, number = volume.get("Labels") or {}, volume["Name"].removeprefix(ownership.lease_volume(app, 0)[:-1])
        if ownership.ours(labels, target, app) and labels.get(ownership.RESOURCE) == RESOURCE and number.isdecimal():
            found[int(number)] = labels[ownership.SPEC]
    return found
