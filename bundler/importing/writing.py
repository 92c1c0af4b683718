"""Data of a graph or site file -> its text, in the order and the way that people write one.

Proven: read again by our own parser it is the same data. Short maps and lists stand on one line, nodes apart.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bundler.graphfile.source import parse, scalar
from bundler.importing.project import Data

WIDTH = 100
_FLOW = re.compile(r"(?:[A-Za-z0-9_./]|--?[A-Za-z])[A-Za-z0-9_./@+=~:-]*")
_BLOCK = re.compile(r"(?:[A-Za-z0-9_./$(]|--?[A-Za-z])[A-Za-z0-9_./$@+=~{}()<>;,!?%&'\"|*\\^: -]*")
_OTHERS = re.compile(  # text to us, and something else to other readers of YAML
    r"(?i)y|yes|n|no|on|off|true|false|null|[-+]?[0-9][0-9_]*(?::[0-9_.]+)+|[-+.]?[0-9][0-9_]*(?:\.[0-9_]*)?(?:e[-+]?[0-9]+)?"
    r"|0[xob][0-9a-f_]+|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*"
)
_ORDER = (
    *("image", "build", "run", "expose", "connect", "depends_on", "environment", "outputs", "entrypoint", "command"),
    *("working_dir", "configs", "secrets", "volumes", "healthcheck", "user", "read_only", "tmpfs", "resources"),
    *("scale", "init", "cap_add", "stop_signal", "stop_grace_period", "retries"),
)
_ONE_BY_ONE = ("services", "jobs")  # sections whose nodes stand apart


def graph_text(graph: Data, origin: str, remarks: Mapping[str, Sequence[str]]) -> str:
    """`remarks`: node -> what is missing of it, as comments above it; "" for the whole graph."""
    lines = [*_comment(f"From {origin}, by `bundle import compose`."), *_missing(remarks.get("", ()))]
    lines += [f"bundle: {_plain(graph['bundle'])}", f"version: {_plain(graph['version'])}"]
    for section, nodes in graph.items():
        if section in ("bundle", "version"):
            continue
        lines += ["", f"{section}:"]
        for index, (name, node) in enumerate(nodes.items()):
            if section in _ONE_BY_ONE:
                lines += [""] if index else []
                lines += [f"  {line}" for line in _missing(remarks.get(name, ()))]
                ordered = {key: node[key] for key in sorted(node, key=_ORDER.index)}
                lines += _entry(name, ordered, 2, open_map=True)
            else:
                lines += _entry(name, node, 2)
    return _proven(lines, graph)


def site_text(site: Data, origin: str, remarks: Sequence[str]) -> str:
    lines = _comment(f"The site's answers that {origin} holds. bundle deploy FILE --site site.yaml")
    for each in remarks:
        lines += _comment(each)
    for section, entries in site.items():
        lines += [f"{section}:", *(line for name, each in entries.items() for line in _entry(name, each, 2))]
    return _proven(lines, site or None)


def _proven(lines: Sequence[str], data: object) -> str:
    text = "\n".join(lines) + "\n"
    if parse(text, "bundle.yaml").data != data:
        raise AssertionError("what was written does not read as what was meant")
    return text


def _missing(told: Sequence[str]) -> list[str]:
    return [line for each in told for line in _comment(f"NOT IMPORTED: {each}")]


def _comment(text: str) -> list[str]:
    one = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return [f"# {line}" for line in textwrap.wrap(one, WIDTH, break_long_words=False, break_on_hyphens=False)]


def _entry(key: str, value: Any, indent: int, *, open_map: bool = False) -> list[str]:
    """A key with its value, as lines."""
    lead = " " * indent + f"{_key(key)}:"
    if isinstance(value, dict) and value and (open_map or _wants_lines(key, value, lead)):
        return [lead, *(line for name, part in value.items() for line in _entry(name, part, indent + 2))]
    if isinstance(value, list) and len(f"{lead} {_flow(value)}") > WIDTH and value:
        return [lead, *(f"{' ' * (indent + 2)}- {_plain(part) if _is_scalar(part) else _flow(part)}" for part in value)]
    if isinstance(value, dict | list):
        return [f"{lead} {_flow(value)}"]
    if isinstance(value, str) and (block := list(_block(value, indent + 2))):
        return [f"{lead} |", *block]
    return [f"{lead} {_plain(value)}"]


def _wants_lines(key: str, value: Mapping[str, Any], lead: str) -> bool:
    """Whether a map is easier to read with a line for each key."""
    several = any(isinstance(part, str) and "\n" in part for part in value.values())
    return several or (key == "environment" and len(value) > 1) or len(f"{lead} {_flow(value)}") > WIDTH


def _block(text: str, indent: int) -> Iterator[str]:
    """Lines of a text in several that needs no quotes; none where it does."""
    lines = text.split("\n")
    if len(lines) < 3 or lines[-1] or not lines[-2] or lines[0][:1] in ("", " ", "\t"):
        return
    if any(not line.replace("\t", "").isprintable() or line != line.rstrip() for line in lines[:-1]):
        return
    yield from (" " * indent + line if line else "" for line in lines[:-1])


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)}: {_flow(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(part) for part in value) + "]"
    if isinstance(value, str):
        return value if _is_plain(value, _FLOW) else json.dumps(value, ensure_ascii=False)
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    return value if _is_plain(value, _BLOCK) else json.dumps(value, ensure_ascii=False)


def _is_plain(text: str, form: re.Pattern[str]) -> bool:
    """Whether a text needs no quotes."""
    if not form.fullmatch(text) or _OTHERS.fullmatch(text) or scalar(text) != text:
        return False
    return ": " not in text and not text.endswith((":", " "))


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _key(text: str) -> str:
    return text if _is_plain(text, _FLOW) else json.dumps(text)
