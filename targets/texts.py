"""Texts with secrets in them: as JSON in a plan (names only), and as bytes while a step is applied."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote_from_bytes

from bundler.errors import TargetError
from bundler.model.observed import StoredSecret
from bundler.model.release import FileMount, Release, SecretPart, Text
from targets.descriptors import descriptor_json

TextJson = str | list[Any]


def text_json(text: Text) -> TextJson:
    """A string where no secret is in it, else a list of strings and {"secret": NAME, "encoded": bool}."""
    if not any(isinstance(part, SecretPart) for part in text):
        return "".join(part for part in text if isinstance(part, str))
    return [
        part if isinstance(part, str) else {"secret": part.name, "encoded": part.encoded} for part in text if part != ""
    ]


def content_json(file: FileMount) -> dict[str, object]:
    """A mounted file's content: the text, or the blob of the bundle that it is."""
    if isinstance(file.content, tuple):
        return {"text": text_json(file.content)}
    return {"blob": descriptor_json(file.content)}


def secret_names(texts: Iterable[Text]) -> Iterator[str]:
    for text in texts:
        for part in text:
            if isinstance(part, SecretPart):
                yield part.name


def secrets_in_texts(release: Release) -> frozenset[tuple[str, bool]]:
    """Each secret that is part of an environment variable or an argument, and whether percent-encoded. Others reach
    containers as files only, and may be of any bytes and size."""
    texts = [text for workload in release.workloads for _, text in workload.environment]
    for workload in release.workloads:
        texts += [*(workload.entrypoint or ()), *(workload.command or ())]
    return frozenset((part.name, part.encoded) for text in texts for part in text if isinstance(part, SecretPart))


def secret_variables(release: Release) -> dict[tuple[str, bool], str]:
    """The environment variable of each secret, plain and percent-encoded, in documents that a shell or Compose
    fills in. No two are the same."""
    names = sorted({*(secret.name for secret in release.secrets), *(name for name, _ in secrets_in_texts(release))})
    taken: set[str] = set()
    variables = {}
    for name in names:
        base = "BUNDLE_SECRET_" + re.sub(r"[^A-Za-z0-9]", "_", name)
        while base in taken or f"{base}_URL" in taken:
            base += "_"
        taken |= {base, f"{base}_URL"}
        variables[name, False], variables[name, True] = base, f"{base}_URL"
    return variables


def value(secrets: Mapping[str, StoredSecret], name: str) -> bytes:
    secret = secrets.get(name)
    if secret is None:
        raise TargetError(f"secret {name} has no value yet")
    return secret.value


def encoded(data: bytes) -> str:
    """Percent-encoded for a URL: everything but RFC 3986's unreserved characters."""
    return quote_from_bytes(data, safe="")


def reveal(text: TextJson, secrets: Mapping[str, StoredSecret]) -> bytes:
    """The text with the secrets' bytes in place."""
    if isinstance(text, str):
        return text.encode()
    pieces = []
    for part in text:
        if isinstance(part, str):
            pieces.append(part.encode())
        else:
            data = value(secrets, part["secret"])
            pieces.append(encoded(data).encode() if part["encoded"] else data)
    return b"".join(pieces)


def reveal_text(text: TextJson, secrets: Mapping[str, StoredSecret]) -> str:
    """The same for environment variables and arguments, which are text without NUL."""
    try:
        revealed = reveal(text, secrets).decode()
    except UnicodeDecodeError:
        revealed = "\0"
    if "\0" in revealed:
        names = ", ".join(sorted({part["secret"] for part in text if not isinstance(part, str)}))
        raise TargetError(
            f"secret {names} is no text and cannot be part of an environment variable or an argument",
            hint="mount it as a file instead",
        )
    return revealed
