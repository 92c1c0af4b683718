"""Secrets: what the site gives, what the target keeps, what is made now. Bytes never leave this mapping."""

from __future__ import annotations

import secrets as random
import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from bundler.errors import TargetError, UsageError
from bundler.model.graph import Graph
from bundler.model.observed import StoredSecret
from bundler.model.release import Release, ReleaseSecret, ReleaseWorkload, SecretPart, Text
from bundler.model.site import Site

LIMIT_BYTES = 512 << 10
_ALPHABET = string.ascii_letters + string.digits


def settle_secrets(
    graph: Graph,
    given: Mapping[str, bytes],
    stored: Mapping[str, StoredSecret],
    revision: Callable[[], str],
    app: str,
    target: str,
    used: Iterable[str] = (),
) -> tuple[tuple[ReleaseSecret, ...], dict[str, StoredSecret]]:
    """Every secret of the graph and its externals, with its bytes.

    A secret keeps its revision while its bytes are the same. `used` are those that something, such as a database, may
    have been made with: they are not made anew. Raises UsageError naming all that the site must give and did not, and
    TargetError naming those of `used` that the target has no more.
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
            kept[name] = StoredSecret(revision(), generated(length))
        else:
            missing.append(name)
    lost = sorted(set(used) & {name for name, length in made.items() if length is not None} - {*given, *stored})
    if lost:
        raise TargetError(
            f"the target has lost {', '.join(lost)}, kept there by an earlier deploy; "
            "what was made with the old bytes, such as a database, knows no others",
            hint="to keep the old ones again, from files of their names (--generate LENGTH instead of --from makes new "
            "ones, of which such a database must be told):\n  "
            + " && ".join(f"bundle secrets set {app} {name} --target {target} --from ./{name}.txt" for name in lost),
        )
    if missing:
        raise UsageError(
            f"the site must give {'these secrets' if len(missing) > 1 else 'a secret'}: {', '.join(missing)}",
            hint=f"in a site file (--site FILE):\n  secrets:\n    {missing[0]}: {{file: ./{missing[0]}.txt}}\n"
            f"or: --set secrets.{missing[0]}.file=FILE",
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


def with_origins(
    settled: Iterable[ReleaseSecret],
    graph: Graph,
    site: Site,
    given: Mapping[str, bytes],
    kept: Mapping[str, StoredSecret],
    before: Release | None,
) -> tuple[ReleaseSecret, ...]:
    """Each with where its bytes came from; what nobody gives this time has what the record says of the same bytes. Of
    what a deploy kept that was interrupted before its record, the bytes tell whether they were generated."""
    lengths = {secret.name: secret.generate for secret in graph.secrets}
    recorded = {secret.name: secret for secret in before.secrets} if before is not None else {}

    def origin(secret: ReleaseSecret) -> str:
        known = recorded.get(secret.name)
        if secret.name in given:
            return _source(site, secret.name)
        if secret.before is None:
            return "generated"
        if known is None:
            return "generated" if _is_generated(kept[secret.name].value, lengths.get(secret.name)) else ""
        return known.origin if known.revision == secret.revision else "set"

    return tuple(replace(secret, origin=origin(secret)) for secret in settled)


def users(release: Release) -> dict[str, tuple[str, ...]]:
    """The resources ("service/api") that each secret of a release goes into, by the secret's name."""
    found: dict[str, list[str]] = {secret.name: [] for secret in release.secrets}
    for workload in release.workloads:
        for name in sorted(names(workload)):
            found.setdefault(name, []).append(workload.resource)
    return {name: tuple(resources) for name, resources in found.items()}


def names(workload: ReleaseWorkload) -> set[str]:
    """Of all secrets that are part of its variables, arguments and files."""
    files = [file.content for file in workload.files if isinstance(file.content, tuple)]
    return {part.name for part in _parts([*_texts(workload), *files])}


def check_texts(release: Release, secrets: Mapping[str, StoredSecret]) -> None:
    """Raises UsageError for bytes that no environment variable and no argument holds and that go into one."""
    wrong: dict[str, list[str]] = {}
    for workload in release.workloads:
        for name in sorted({part.name for part in _parts(_texts(workload)) if not part.encoded}):
            if name in secrets and not _is_text(secrets[name].value):
                wrong.setdefault(name, []).append(workload.resource)
    if wrong:
        told = "; ".join(f"{name} in {', '.join(users)}" for name, users in sorted(wrong.items()))
        name = min(wrong)
        raise UsageError(
            f"an environment variable or argument holds UTF-8 text without NUL, and these secrets are none: {told}",
            hint=f"give {name} as text, such as base64, or let the graph mount it as a file: secrets: [{name}]",
        )


def _is_text(value: bytes) -> bool:
    try:
        return "\0" not in value.decode()
    except UnicodeDecodeError:
        return False


def _texts(workload: ReleaseWorkload) -> list[Text]:
    """Environment variables and arguments."""
    environment = [text for _, text in workload.environment]
    return [*environment, *(workload.entrypoint or ()), *(workload.command or ())]


def _parts(texts: Iterable[Text]) -> Iterator[SecretPart]:
    return (part for text in texts for part in text if isinstance(part, SecretPart))


def _source(site: Site, name: str) -> str:
    source = site.secrets.get(name)
    if source is None:
        return "typed"
    return "file" if source.file is not None else "env" if source.env is not None else "kubernetes"


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


def generated(length: int) -> bytes:
    return "".join(random.choice(_ALPHABET) for _ in range(length)).encode()


def _is_generated(value: bytes, length: int | None) -> bool:
    return len(value) == length and set(value) <= set(_ALPHABET.encode())


def new_revision() -> str:
    """Random, so that it tells nothing of the bytes."""
    return random.token_hex(8)
