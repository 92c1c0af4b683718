"""Secrets of the namespace that a site's file refers to: read at each deploy, as files are."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from bundler.errors import TargetError
from targets.k8s.api import Api


def lent(api: Api, namespace: str, places: Mapping[str, str]) -> dict[str, bytes]:
    """The bytes by name of secret; `places` are NAME/KEY. Raises TargetError with all that are missing."""
    kept = {name: api.get("Secret", name, namespace) for name in {place.partition("/")[0] for place in places.values()}}
    found: dict[str, bytes] = {}
    missing: list[str] = []
    for secret, place in sorted(places.items()):
        name, _, key = place.partition("/")
        there = kept[name]
        data = (there or {}).get("data") or {}
        if there is None:
            missing.append(f"secret {secret}: there is no Secret {name}")
        elif key not in data:
            missing.append(f"secret {secret}: Secret {name} has no key {key}, only {', '.join(sorted(data)) or 'none'}")
        else:
            found[secret] = base64.b64decode(data[key])
    if missing:
        name, _, key = next(place for secret, place in sorted(places.items()) if secret not in found).partition("/")
        making = f"kubectl create secret generic {name} --namespace {namespace} --from-file={key}=FILE"
        if api.get("Namespace", namespace) is None:
            making = f"kubectl create namespace {namespace}, then {making}"
        elif kept[name] is not None:
            making = f"add the key to the Secret, or name another in the site file: {{kubernetes: {name}/KEY}}"
        raise TargetError(
            f"the site refers to what is not in namespace {namespace}\n  " + "\n  ".join(missing), hint=making
        )
    return found
