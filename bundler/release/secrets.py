"""Secrets: what the site gives, what the target keeps, what is made now. Bytes never leave this mapping."""

from __future__ import annotations

import secrets as random
import string
from collections.abc import Callable, Mapping

from bundler.errors import UsageError
from bundler.model.graph import Graph
from bundler.model.observed import StoredSecret
from bundler.model.release import ReleaseSecret

LIMIT_BYTES = 512 << 10
_ALPHABET = string.ascii_letters + string.digits


def settle_secrets(
    graph: Graph, given: Mapping[str, bytes], stored: Mapping[str, StoredSecret], revision: Callable[[], str]
) -> tuple[tuple[ReleaseSecret, ...], dict[str, StoredSecret]]:
    """Every secret of the graph and its externals, with its bytes.

    A secret keeps its revision while its bytes are the same. Raises UsageError naming all that the site
    must give and did not.
    """
    made = {secret.name: secret.generate for secret in graph.secrets}
    made |= dict.fromkeys(external_secrets(graph, given, stored))
    kept: dict[str, StoredSecret] = {}
    missing: list[str] = []
    for name, length in sorted(made.items()):
        before = stored.get(name)
        if name in given:
            same = before is not None and before.value == given[name]
            kept[name] = before if before is not None and same else StoredSecret(revision(), given[name])
        elif before is not None:
            kept[name] = before
        elif length is not None:
            value = "".join(random.choice(_ALPHABET) for _ in range(length))
            kept[name] = StoredSecret(revision(), value.encode())
        else:
            missing.append(name)
    if missing:
        raise UsageError(
            f"the site must give {'these secrets' if len(missing) > 1 else 'a secret'}: {', '.join(missing)}",
            hint=f"in a site file (--site FILE):\n  secrets:\n    {missing[0]}: {{file: ./{missing[0]}.txt}}",
        )
    revisions = {name: secret.revision for name, secret in stored.items()}
    told = tuple(
        ReleaseSecret(
            name,
            secret.revision,
            stored=stored.get(name) == secret,
            before=revisions.get(name),
            size_bytes=len(secret.value),
        )
        for name, secret in kept.items()
    )
    return told, kept


def external_secrets(graph: Graph, *sources: Mapping[str, object]) -> set[str]:
    """The names `EXTERNAL.FIELD` of credentials among the names of `sources`."""
    externals = {external.name for external in graph.externals}
    return {name for source in sources for name in source if name.partition(".")[0] in externals}


def within_limit(value: bytes, name: str) -> bytes:
    """The bytes that a site gives. Raises UsageError for none, and for more than any target keeps."""
    if not value:
        raise UsageError(f"secret {name} is empty")
    if len(value) > LIMIT_BYTES:
        raise UsageError(f"secret {name} is larger than {LIMIT_BYTES >> 10} KiB")
    return value


def new_revision() -> str:
    """Random, so that it tells nothing of the bytes."""
    return random.token_hex(8)
