"""What somebody else has set in an object of ours since we applied it, as its managed fields tell. Pure.

https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from targets.k8s.names import MANAGER, Json


def told(there: Json) -> str:
    """Fields by their manager (JSON), but for ours and what has a way of its own, as status and scale; empty where
    there are none."""
    ours: Json = {}
    theirs: dict[str, Json] = {}
    for entry in there["metadata"].get("managedFields") or ():
        fields = entry.get("fieldsV1") or {}
        if entry.get("manager") == MANAGER:
            ours = _joined(ours, fields)
        elif not entry.get("subresource"):
            manager = str(entry.get("manager"))
            theirs[manager] = _joined(theirs.get(manager, {}), fields)
    left = {manager: alone for manager, fields in sorted(theirs.items()) if (alone := _without(fields, ours))}
    return json.dumps(left, sort_keys=True) if ours and left else ""


def of(wanted: Json, told: str) -> list[str]:
    """The fields of an object as it is wanted that somebody else has set: "spec.template.spec.containers[web].image
    (kubectl-edit)"."""
    theirs = json.loads(told) if told else {}
    return sorted(f"{path} ({manager})" for manager, fields in theirs.items() for path in _common(fields, wanted, ""))


def _joined(one: Json, other: Json) -> Json:
    return one | {key: _joined(one.get(key, {}), below) for key, below in other.items()}


def _without(theirs: Json, ours: Json) -> Json:
    """What both have set to the same is no edit."""
    left = {}
    for key, below in theirs.items():
        if key not in ours:
            left[key] = below
        elif below and (deeper := _without(below, ours[key])):
            left[key] = deeper
    return left


def _common(fields: Json, wanted: Any, path: str) -> Iterator[str]:
    for key, below in fields.items():
        kind, _, said = key.partition(":")
        if kind == "f" and isinstance(wanted, dict) and said in wanted:
            place, child = f"{path}.{said}" if path else said, wanted[said]
        elif kind in ("k", "v") and isinstance(wanted, list):
            asked = json.loads(said)
            found = [one for one in wanted if _is(one, asked)]
            if not found:
                continue
            name = "/".join(map(str, asked.values())) if isinstance(asked, dict) else asked
            place, child = f"{path}[{name}]", found[0]
        else:
            continue
        if below:
            yield from _common(below, child, place)
        else:
            yield place


def _is(item: Any, asked: Any) -> bool:
    """Keys that the cluster gives a default, as a port's protocol, may not be there."""
    if isinstance(item, dict) and isinstance(asked, dict):
        return all(item.get(key, value) == value for key, value in asked.items())
    return bool(item == asked)
