"""A workload's configs and secrets as ConfigMaps and one Secret, named by their content. Pure.

What is replaced when a config changes is exactly what mounts it: the new content has another name. A Secret's bytes are
not here: `content` says which secrets they are made of.
"""

from __future__ import annotations

import base64
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bundler.model.release import FileMount, Release, SecretPart, Workload
from targets import ownership, texts
from targets.k8s import names
from targets.k8s.names import Json

LIMIT_BYTES = 1 << 20  # what a ConfigMap or a Secret may hold (core/v1 validation, MaxSecretSize)

Content = Mapping[str, object]  # as texts.content_json has it; "variable": it is text for a process


@dataclass(frozen=True, slots=True)
class Placed:
    """A file as the key `key` of a ConfigMap, or of the Secret where it is secret."""

    path: str
    key: str
    volume: str  # the name of the pod's volume
    secret: bool


@dataclass(frozen=True, slots=True)
class Bundle:
    """One ConfigMap or Secret: its name, its pod volume's name and the content of each key."""

    kind: str
    name: str
    volume: str
    content: Mapping[str, Content]


@dataclass(frozen=True, slots=True)
class Files:
    bundles: tuple[Bundle, ...]
    placed: tuple[Placed, ...]
    secret: str | None  # the Secret's name
    environment: Mapping[str, str]  # its key of each variable with a secret in it, by name
    variables: Mapping[tuple[str, bool], str]  # its key of each secret in an argument, plain and percent-encoded


def files(release: Release, workload: Workload) -> Files:
    variables = texts.secret_variables(release)
    placed: list[Placed] = []
    groups: list[dict[str, Content]] = []
    secret: dict[str, Content] = {}
    room = 0
    for index, file in enumerate(workload.files):
        key = f"{index}-{re.sub(r'[^-._a-zA-Z0-9]', '_', posixpath.basename(file.path))}"[:253]
        if file.secret:
            secret[key] = texts.content_json(file)
            placed.append(Placed(file.path, key, "secret", secret=True))
            continue
        size = size_bytes(file)
        if not groups or size > room:
            groups.append({})
            room = LIMIT_BYTES
        room -= size
        groups[-1][key] = texts.content_json(file)
        placed.append(Placed(file.path, key, f"files-{len(groups) - 1}", secret=False))
    environment = {
        name: f"env-{index}-{name}"[:253]
        for index, (name, text) in enumerate(workload.environment)
        if any(isinstance(part, SecretPart) for part in text)
    }
    for variable, text in workload.environment:
        if variable in environment:
            secret[environment[variable]] = {"text": texts.text_json(text), "variable": True}
    for part in in_arguments(workload):
        secret[variables[part.name, part.encoded]] = {"text": texts.text_json((part,)), "variable": True}
    bundles = [
        Bundle("ConfigMap", names.hashed(workload.name, "files", ownership.digest(group)), f"files-{index}", group)
        for index, group in enumerate(groups)
    ]
    name = None
    if secret:
        revisions = {one.name: one.revision for one in release.secrets}
        used = sorted(_names(secret))
        name = names.hashed(workload.name, "secret", ownership.digest([secret, [[n, revisions.get(n)] for n in used]]))
        bundles.append(Bundle("Secret", name, "secret", secret))
    return Files(tuple(bundles), tuple(placed), name, environment, variables)


def size_bytes(file: FileMount) -> int:
    if isinstance(file.content, tuple):
        return sum(len(part.encode()) for part in file.content if isinstance(part, str))
    return file.content.size_bytes


def content_bytes(content: Content) -> int:
    """How many bytes of a ConfigMap it takes."""
    match content:
        case {"blob": {"size": int(size)}}:
            return size
        case {"text": str(text)}:
            return len(text.encode())
    return 0


def secret_bytes(content: Content, sizes: Mapping[str, int]) -> int:
    """How many bytes of a Secret it takes at least, with secrets of these sizes; percent-encoded ones take more."""
    text: Any = content["text"]
    parts = [text] if isinstance(text, str) else text
    return sum(len(part.encode()) if isinstance(part, str) else sizes[part["secret"]] for part in parts)


def manifest(bundle: Bundle) -> Json:
    """Without its data, which `apply` fills in."""
    made: Json = {"apiVersion": "v1", "kind": bundle.kind, "metadata": {"name": bundle.name}, "immutable": True}
    if bundle.kind == "Secret":
        made["type"] = "Opaque"
    return made


def store(body: Json, key: str, data: bytes) -> None:
    """Put a key's data into the object. ConfigMaps keep what is no text apart; Secrets are base64 throughout."""
    where = "data"
    if body["kind"] == "Secret":
        told = base64.b64encode(data).decode()
    else:
        try:
            told = data.decode()
        except UnicodeDecodeError:
            where, told = "binaryData", base64.b64encode(data).decode()
    body.setdefault(where, {})[key] = told


def in_arguments(workload: Workload) -> Iterator[SecretPart]:
    """Secrets in the program's words, which reach them by way of a variable."""
    for text in (*(workload.entrypoint or ()), *(workload.command or ())):
        yield from (part for part in text if isinstance(part, SecretPart))


def _names(content: Mapping[str, Content]) -> set[str]:
    found = set()
    for one in content.values():
        text = one.get("text")
        if isinstance(text, list):
            found |= {part["secret"] for part in text if not isinstance(part, str)}
    return found
