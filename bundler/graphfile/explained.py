"""What a key means: found in the grammar by its path, by the end of it, or among the names of a real file.

Reads: the grammars of graphs, site files, components and variants; no file.
Writes: `Topic`s.
Next: `cli.explain` shows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bundler.errors import UsageError
from bundler.graphfile.component_grammar import COMPONENT
from bundler.graphfile.grammar import GRAPH
from bundler.graphfile.shapes import Either, Key, ListOf, MapOf, Record, Shape, Text
from bundler.graphfile.site_grammar import SITE
from bundler.graphfile.types import TYPES, Type
from bundler.graphfile.variants import VARIANT
from bundler.graphfile.walk import closest

# What a path begins with, and the file that it is of. A graph's own paths begin with its sections.
DOCUMENTS: Mapping[str, tuple[str, Record]] = {
    "graph": ("bundle.yaml", GRAPH),
    "site": ("site.yaml", SITE),
    "component": ("NAME@VERSION.yaml", COMPONENT),
    "variant": ("variants/NAME.yaml", VARIANT),
}
TYPES_TOPIC = "types"
LINTS_TOPIC = "lints"
PLACEHOLDERS_TOPIC = "placeholders"

_Steps = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Topic:
    """A key, or a whole file. `places` are all paths at which this same key stands, its own first; `keys` those of
    its own, of which exactly one of each group of `one_of` is given; `choices` all that it may be, where that is a
    list of words; `namesakes` the paths of other keys that end with the same name."""

    path: str
    doc: str
    expected: str
    required: bool
    default: str | None
    example: str | None
    places: tuple[str, ...]
    keys: tuple[Key, ...]
    one_of: tuple[tuple[str, ...], ...]
    choices: tuple[str, ...]
    namesakes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Entry:
    steps: _Steps
    key: Key

    @property
    def path(self) -> str:
        return ".".join(self.steps)


def documents() -> tuple[Topic, ...]:
    """The kinds of files, each with its sections."""
    return tuple(_document(name) for name in DOCUMENTS)


def topics(text: str) -> tuple[Topic, ...]:
    """What is meant by a path such as `services.healthcheck`, its end (`healthcheck`) or a path of a real file
    (`services.api.healthcheck`); several where several keys are called so. UsageError where none is."""
    steps = tuple(text.strip().strip(".").split("."))
    if len(steps) == 1 and steps[0] in DOCUMENTS:
        return (_document(steps[0]),)
    entries = tuple(_all())
    if steps[0] == "graph":
        steps = steps[1:]
    exact = [one for one in entries if one.steps == steps]
    ending = [one for one in entries if one.steps[-len(steps) :] == steps]
    among = [one for one in entries if _is_among(one.steps, steps)]
    longest = max((len(one.steps) for one in among), default=0)
    found = exact or ending or [one for one in among if len(one.steps) == longest]
    if not found:
        raise _unknown(text, steps, entries)
    return tuple(_topic(same, entries) for same in _grouped(found))


def names() -> tuple[str, ...]:
    """Every path there is to ask for, and the files and types."""
    paths = [*DOCUMENTS, TYPES_TOPIC, *(f"{TYPES_TOPIC}.{name}" for name in TYPES), LINTS_TOPIC, PLACEHOLDERS_TOPIC]
    return tuple(dict.fromkeys([*paths, *(one.path for one in _all())]))


def type_named(name: str) -> Type:
    """Raises UsageError where there is no endpoint type of that name."""
    if name not in TYPES:
        known = ", ".join(sorted(TYPES))
        raise UsageError(f"there is no endpoint type {name!r}", hint=closest(name, TYPES) or f"there is: {known}")
    return TYPES[name]


def records(shape: Shape) -> Iterator[Record]:
    """The maps with fixed keys that may stand in a shape, names and lists looked through."""
    match shape:
        case Record():
            yield shape
        case Either():
            for each in shape.shapes:
                yield from records(each)
        case ListOf():
            yield from records(shape.items)
        case MapOf():
            yield from records(shape.values)


def _document(name: str) -> Topic:
    file, record = DOCUMENTS[name]
    return Topic(
        path=name,
        doc=record.doc,
        expected=f"a file such as {file}",
        required=False,
        default=None,
        example=None,
        places=(name,),
        keys=record.keys,
        one_of=record.one_of,
        choices=(),
    )


def _topic(same: list[_Entry], entries: Iterable[_Entry]) -> Topic:
    key = same[0].key
    inner = list(records(key.shape))
    everywhere = [one.path for one in entries if one.key is key]
    places = [same[0].path, *(path for path in everywhere if path != same[0].path)]
    namesakes = [one for one in entries if one.key.name == key.name and one.key is not key]
    return Topic(
        path=same[0].path,
        doc=key.doc,
        expected=key.shape.expected,
        required=key.required,
        default=key.default,
        example=key.example,
        places=_told(places),
        keys=tuple(part for record in inner for part in record.keys),
        one_of=tuple(group for record in inner for group in record.one_of),
        choices=_choices(key.shape),
        namesakes=_told(one.path for one in namesakes),
    )


def _all() -> Iterator[_Entry]:
    for name, (_, record) in DOCUMENTS.items():
        yield from _entries(record, () if record is GRAPH else (name,))


def _entries(record: Record, path: _Steps) -> Iterator[_Entry]:
    for key in record.keys:
        steps = (*path, key.name)
        yield _Entry(steps, key)
        for inner in records(key.shape):
            yield from _entries(inner, steps)


def _grouped(found: Iterable[_Entry]) -> list[list[_Entry]]:
    """The same key at several places is one."""
    groups: dict[int, list[_Entry]] = {}
    for one in found:
        groups.setdefault(id(one.key), []).append(one)
    return list(groups.values())


def _is_among(path: _Steps, steps: _Steps) -> bool:
    """Whether `steps` is `path` with names of the user's own in between."""
    rest = iter(steps)
    ends = steps[:1] == path[:1] and steps[-1:] == path[-1:]
    return ends and len(path) < len(steps) and all(step in rest for step in path)


def _told(paths: Iterable[str]) -> tuple[str, ...]:
    """What a component has as a graph has it is not told twice."""
    listed = tuple(dict.fromkeys(paths))
    return tuple(path for path in listed if not (path.startswith("component.") and path.partition(".")[2] in listed))


def _choices(shape: Shape) -> tuple[str, ...]:
    match shape:
        case Text():
            return shape.choices
        case ListOf():
            return _choices(shape.items)
        case Either():
            return tuple(word for each in shape.shapes for word in _choices(each))
    return ()


def _unknown(text: str, steps: _Steps, entries: Iterable[_Entry]) -> UsageError:
    """With what to write instead, where it is a word of another tool."""
    word, above = steps[-1], steps[:-1]
    holders: list[tuple[_Steps, Record]] = [((), GRAPH)] if not above else []
    holders += [(one.steps, record) for one in entries for record in records(one.key.shape)]
    hints: dict[str, str] = {}
    for path, record in holders:
        if above and path[-len(above) :] != above:
            continue
        told = record.elsewhere.get(word)
        told = f"{record.later[word]} not yet supported in this version" if word in record.later else told
        if told:
            hints.setdefault(told, f"in {record.title}: {told}")
    if hints:
        return UsageError(f"{text} is no key of ours", hint="\n".join(list(hints.values())[:3]))
    known = (
        names()
        if above
        else {one.key.name for one in entries} | {*DOCUMENTS, TYPES_TOPIC, LINTS_TOPIC, PLACEHOLDERS_TOPIC}
    )
    near = closest(text, known) or closest(word, {one.key.name for one in entries})
    return UsageError(f"there is no key {text!r}", hint=near or "bundle explain names the sections")
