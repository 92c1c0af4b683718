"""The YAML of Compose -> plain data. The only other module that reads YAML; `graphfile.source` reads ours.

Compose files have anchors, aliases and merge keys, which a graph file has not. Every scalar but null, true and false
is a text: `22:22` and `no` as they stand, `0755` as what Compose makes of it (`scalars`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import yaml

from bundler.errors import Position, UsageError
from bundler.importing.keys import INTO_ONE
from bundler.importing.scalars import Unquoted

MAX_SIZE_BYTES = 1 << 20
MAX_VALUES = 100_000  # after aliases: a few lines of them can stand for billions
MAX_DEPTH = 64
# As in `graphfile.source`: what a graph cannot hold.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"
_UNQUOTED = "tag:yaml.org,2002:int"  # whatever begins as a number


class _Loader(yaml.SafeLoader):
    """With the types of Compose instead of YAML 1.1's eleven."""

    merged = 0  # keys that merge keys brought so far

    yaml_implicit_resolvers: dict[str, list[tuple[str, Any]]] = {}  # noqa: RUF012 - PyYAML's own way

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                key.tag = _TEXT
            if _name(key) in seen:
                told = f"the key {key.value} stands twice in one map: keep one of them"
                raise yaml.composer.ComposerError(None, None, told, key.start_mark)
            seen.add(_name(key))
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Each key of merged maps once. PyYAML's own takes hours for a few lines, and since 6.0.4 compares keys by
        their place in memory, so that one of a single letter has the wrong text."""
        own, merged = [], dict[object, Any]()
        for key, value in node.value:
            if key.tag != _MERGE:
                own.append((key, value))
                continue
            for each in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if not isinstance(each, yaml.MappingNode):
                    told = "<< takes a map, or a list of maps"
                    raise yaml.constructor.ConstructorError(None, None, told, each.start_mark)
                self.flatten_mapping(each)
                self.merged += len(each.value)
                if self.merged > MAX_VALUES:
                    told = f"its merge keys bring more than {MAX_VALUES} values"
                    raise yaml.constructor.ConstructorError(None, None, told, key.start_mark)
                for pair in each.value:
                    merged.setdefault(_name(pair[0]), pair)
        names = {_name(key) for key, _ in own}
        node.value = [pair for name, pair in merged.items() if name not in names] + own


def _name(key: yaml.Node) -> object:
    """A key as it is compared."""
    return key.value if isinstance(key, yaml.ScalarNode) else id(key)


for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", "~nN\0"),
    ("tag:yaml.org,2002:bool", r"true|false", "tf"),
    (_UNQUOTED, r"[-+.0-9].*|True|TRUE|False|FALSE", "-+.0123456789TF"),
    (_MERGE, r"<<", "<"),
):
    _Loader.add_implicit_resolver(_tag, re.compile(rf"^(?:{_pattern})$"), [c if c != "\0" else "" for c in _first])


def _unquoted(loader: _Loader, node: yaml.Node) -> str:
    return Unquoted.of(str(loader.construct_scalar(node)))  # type: ignore[arg-type]


def _unread(loader: _Loader, node: yaml.Node) -> None:
    told = f"{node.tag.replace('tag:yaml.org,2002:', '!!')} is not read here: write it as text"
    raise yaml.constructor.ConstructorError(None, None, told, node.start_mark)


for _tag in (_UNQUOTED, "tag:yaml.org,2002:float"):
    _Loader.add_constructor(_tag, _unquoted)
for _tag in ("binary", "timestamp", "set", "omap", "pairs"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _unread)


def read(text: str, file: str) -> dict[str, Any]:
    """The file's map. UsageError where it is no YAML, no map, or too large."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_SIZE_BYTES:
        raise _error(file, "the file is longer than 1 MiB")
    try:
        data = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        said = str(getattr(error, "problem", None) or error).split("\n")[0]
        said = f"not YAML: {said}"
        if tag := re.search(r"'(!reset|!override)'", said):
            said = f"{tag[1]} is not read here; {INTO_ONE} writes what it means into one file"
        raise _error(file, said, *((mark.line + 1, mark.column + 1) if mark else ())) from error
    except RecursionError as error:
        raise _error(file, f"nested more than {MAX_DEPTH} levels deep") from error
    if not isinstance(data, dict):
        raise _error(file, "a Compose file is a map with services in it")
    left = [MAX_VALUES]
    plain: dict[str, Any] = _plain(data, file, left, 0)
    return plain


def positions(text: str, file: str) -> Callable[[tuple[str, ...]], Position]:
    """Where the value at a path stands in a text that was read; the nearest around it where it came by a merge key."""

    @cache
    def top() -> Any:
        return yaml.compose(text, Loader=_Loader)

    def at(path: tuple[str, ...]) -> Position:
        node = top()
        for step in path:
            pairs = node.value if isinstance(node, yaml.MappingNode) else ()
            node = next((value for key, value in pairs if key.value == step), node)
        return Position(file, node.start_mark.line + 1, node.start_mark.column + 1)

    return at


def _plain(value: Any, file: str, left: list[int], depth: int) -> Any:
    """A copy without shared parts, keys as text."""
    left[0] -= 1 + (len(value) >> 10 if isinstance(value, str) else 0)
    if left[0] < 0:
        raise _error(file, f"with its aliases written out it has more than {MAX_VALUES} values, or KiB of text")
    if depth > MAX_DEPTH:
        raise _error(file, f"nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, str) and (found := _CONTROL.search(value)):
        raise _error(file, f"the control character U+{ord(found[0]):04X} stands in a text")
    if isinstance(value, dict):
        return {_plain(key, file, left, depth): _plain(part, file, left, depth + 1) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part, file, left, depth + 1) for part in value]
    assert value is None or isinstance(value, bool | str)  # noqa: S101 - of `_Loader`
    return value


def _error(file: str, message: str, line: int = 1, column: int = 1) -> UsageError:
    return UsageError(f"{Position(file, line, column)}: {message}")
