"""Where a text itself says that a word of it is a secret: `password=X`, `{"password": "X"}`, `PGPASSWORD=X pg_dump`,
`--api-key X`, `Authorization: Bearer X`, and what redis-cli has behind `-a`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bundler.graphfile.confidential import PLAIN

_PASSWORD = r"(?i:password|passwd|passphrase|pwd)"  # noqa: S105 - a pattern
_FLAG = (
    r"(?!-+(?:max|min|num)-)--?(?:[a-z0-9-]*(?:password|passwd|passphrase|token|secret|api-?key|secret-key)"
    r"|requirepass|masterauth|pass|pwd|pw)"
)
_HEADER = r"""(?i:authorization["']?\s*[:=]\s*["']?(?P<scheme>bearer|basic|token)\s+)"""
_CLI = r"(?:redis|valkey|keydb)-cli"
_SAID = re.compile(
    rf"""(?P<head>(?<![\w.-])(?P<key>[\w.-]*{_PASSWORD})(?:["']\s*:\s*["']|=["']?)"""
    r"""|(?<![\w.-])(?P<name>[A-Z0-9_]*(?:TOKEN|SECRET|API_?KEY|SECRET_KEY|SECRET_ACCESS_KEY|_PAT|_PW|PASS))=["']?"""
    rf"""|(?<![^\s\ue002])["']?(?P<flag>{_FLAG})(?:=|["']?\s+)["']?|{_CLI}\b[^|;&\n]{{0,200}}?\s-a\s+["']?|{_HEADER})"""
    r"""(?P<value>[^\s"'&;,|)}<$`\ue000-][^\s"'&;,|)}\ue000]*)"""
)


def said(text: str) -> Iterator[tuple[str, re.Match[str]]]:
    """What each is, such as PASSWORD or API_KEY, and where it stands: `head` and `value`."""
    for found in _SAID.finditer(text):
        if not PLAIN.fullmatch(found["value"]):
            yield _kind(found["name"] or found["flag"] or ("TOKEN" if found["scheme"] else "")), found


def options(words: Sequence[str]) -> Iterator[tuple[str, int]]:
    """The places of the arguments that stand behind an option for a secret, each with what it is."""
    cli = False
    for index, word in enumerate(words[:-1]):
        cli = cli or bool(re.search(rf"{_CLI}$", word))
        secret, after = re.fullmatch(_FLAG, word) or (cli and word == "-a"), words[index + 1]
        if secret and after and after[0] not in "-$<" and not PLAIN.fullmatch(after):
            yield _kind(word), index + 1


def _kind(name: str) -> str:
    name = name.strip("-").replace("-", "_").upper()
    return name if re.search("TOKEN|SECRET|KEY|PAT$", name) else "PASSWORD"
