"""Credentials that a site gives its nodes to pull with: of a docker config.json, what concerns the registry. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from bundler.errors import UsageError

KEY = ".dockerconfigjson"
TYPE = "kubernetes.io/dockerconfigjson"
OPTION = "--pull-secret-from"


def document(config: str, registry: str) -> bytes:
    """The content of a Secret for `registry` (HOST/PATH), with nothing of other registries. Raises UsageError where the
    config has no credentials for it."""
    host = registry.partition("/")[0]
    try:
        told = json.loads(config)
        entries = dict(told.get("auths") or {})
        found = {key: entry["auth"] for key, entry in entries.items() if _host(key) == host and _is_pair(entry)}
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{OPTION}: the file is no docker config.json", hint=_hint(host)) from error
    if not found:
        keeper = (told.get("credHelpers") or {}).get(host) or told.get("credsStore")
        where = f"; docker-credential-{keeper} keeps them elsewhere" if keeper else ""
        raise UsageError(f"{OPTION}: the file has no user and password for {host}{where}", hint=_hint(host))
    return json.dumps({"auths": {key: {"auth": found[key]} for key in sorted(found)}}).encode()


def _host(key: str) -> str:
    """Of `HOST`, `HOST/PATH` or `https://HOST/v1/`."""
    return key.rpartition("://")[2].partition("/")[0]


def _is_pair(entry: dict[str, Any]) -> bool:
    try:
        user, colon, password = base64.b64decode(entry.get("auth") or "", validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return False
    return bool(user and colon and password)


def _hint(host: str) -> str:
    return (
        f"an account that may only pull is best, in a file of its own: docker --config ./pull login {host}, "
        f"then {OPTION} ./pull/config.json"
    )
