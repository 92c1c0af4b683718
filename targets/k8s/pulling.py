"""Credentials that a site gives its nodes to pull with: of a docker config.json, what concerns the registry. Pure."""

from __future__ import annotations

import base64
import json

from bundler.edges import credentials
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
        found, keeper = credentials.pairs(told, host), credentials.keeper(told, host)
    except ValueError as error:
        raise UsageError(f"{OPTION}: the file is no docker config.json", hint=_hint(host)) from error
    if not found:
        where = f"; docker-credential-{keeper} keeps them elsewhere" if keeper else ""
        raise UsageError(f"{OPTION}: the file has no user and password for {host}{where}", hint=_hint(host))
    auths = {key: {"auth": base64.b64encode(":".join(pair).encode()).decode()} for key, pair in found.items()}
    return json.dumps({"auths": auths}).encode()


def _hint(host: str) -> str:
    return (
        f"an account that may only pull is best, in a file of its own: docker --config ./pull login {host}, "
        f"then {OPTION} ./pull/config.json"
    )
