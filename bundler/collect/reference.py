"""Names of images, as Docker reads them: `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`.

Grammar: distribution/reference (https://github.com/distribution/reference), without its deprecated forms.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from bundler.model.oci import Digest

DEFAULT_HOST = "docker.io"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*\Z")
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")


@dataclass(frozen=True, slots=True)
class Reference:
    """A complete name: the default registry, its `library/` and the tag `latest` are filled in."""

    host: str
    path: str
    tag: str | None
    digest: Digest | None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Raises ValueError where the text names no image."""
        rest, at, digest = text.partition("@")
        slash = rest.rfind("/")
        colon = rest.rfind(":")
        tag = None
        if colon > slash:
            rest, tag = rest[:colon], rest[colon + 1 :]
            if not _TAG.match(tag):
                raise ValueError(f"not a tag: {tag[:140]!r}")
        first, slashed, path = rest.partition("/")
        if slashed and _names_host(first):
            host = DEFAULT_HOST if first == f"index.{DEFAULT_HOST}" else first
        else:
            host, path = DEFAULT_HOST, rest
        if host == DEFAULT_HOST and "/" not in path:
            path = f"library/{path}"
        if not _is_host(host) or not is_path(path):
            raise ValueError(f"not the name of an image: {text[:300]!r}")
        return cls(host, path, tag or (None if at else "latest"), Digest(digest) if at else None)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.host}/{self.path}{tag}{digest}"


def registry_host(text: str) -> str | None:
    """The host of a registry as complete references have it; None where the text is none."""
    if not _names_host(text) or not _is_host(text):
        return None
    return DEFAULT_HOST if text == f"index.{DEFAULT_HOST}" else text


def is_path(text: str) -> bool:
    """Whether images can lie there: names without a tag or digest, with slashes between."""
    return _PATH.match(text) is not None and len(text) <= 255


def _names_host(first: str) -> bool:
    """Whether the first part of a name is a host, and not the beginning of a path."""
    return "." in first or ":" in first or first == "localhost"


def _is_host(text: str) -> bool:
    """Whether there can be such a HOST[:PORT]: ports end at 65535, and brackets hold an IPv6 address."""
    if not _HOST.match(text):
        return False
    host, bracket, rest = text.rpartition("]")
    port = rest.rpartition(":")[2] if ":" in rest else ""
    try:
        if bracket:
            ipaddress.IPv6Address(host.removeprefix("["))
    except ValueError:
        return False
    return int(port or 0) <= 65535
