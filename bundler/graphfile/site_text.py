"""A site file to fill in: every knob of one graph, with its type, default and meaning.

Reads: a checked graph.
Writes: the text of a site file. What must be answered stands open; everything else is commented out, with no space
after its #, so that taking the # away is all there is to do.
Next: people, then `site`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bundler.graphfile import types, values
from bundler.graphfile.forms import written_size
from bundler.graphfile.site import lacks, used_fields
from bundler.graphfile.site_grammar import DOOR, SITE
from bundler.graphfile.source import scalar
from bundler.graphfile.walk import found
from bundler.model.graph import External, Graph, Value
from bundler.model.site import Site

_TYPES = {"string": "a text", "integer": "an integer", "number": "a number", "boolean": "true or false"}
_HEAD = """\
# The answers of one site for {name} {version}: what differs from place to place.
# Then: bundle deploy FILE --site {file}
#
# What stands open must be answered. What has a # right before it may be: it shows what holds without an answer, or what
# one looks like; take the # away to change it. Everywhere: bundle explain site
"""
_WORDS = {"target": "docker", "site": "here", "namespace": "", "context": "", "timeout": "15m"}


@dataclass(frozen=True, slots=True)
class _Knob:
    """A key of a section. `lines` are its YAML within the section; those of `open_lines` must be answered."""

    notes: tuple[str, ...]
    open_lines: tuple[str, ...]
    lines: tuple[str, ...]


def site_text(graph: Graph, *, file: str = "site.yaml", variants: Sequence[str] = (), variant: str = "") -> str:
    """`file` is what the text will be called; `variants` are those to choose from, `variant` the one it is for."""
    required = {lack.path: lack.fields for lack in lacks(Site(), graph)}
    parts = [_HEAD.format(name=graph.name, version=graph.version, file=file), *_words(graph, variants, variant)]
    sections: Mapping[str, Iterable[_Knob]] = {
        "values": [_value(value) for value in graph.values],
        "secrets": _secrets(graph, required),
        "publish": _doors(graph),
        "externals": [_external(each, graph, required) for each in graph.externals],
        "storage": _storage(graph),
        "placement": _placement(graph),
    }
    parts += ["\n".join(_section(name, list(knobs))) + "\n" for name, knobs in sections.items() if knobs]
    return "\n".join(parts)


def _words(graph: Graph, variants: Sequence[str], variant: str) -> Iterator[str]:
    texts = {**_WORDS, "namespace": graph.name, "context": "default"}
    if variant:
        yield f"# {_doc('variant')}\nvariant: {_plain(variant)}\n"
    elif variants:
        yield f"# {_doc('variant')} There is: {', '.join(variants)}.\n#variant: {_plain(variants[0])}\n"
    for key, text in texts.items():
        yield f"# {_doc(key)}\n#{key}: {_plain(text)}\n"


def _section(name: str, knobs: Sequence[_Knob]) -> Iterator[str]:
    is_open = any(knob.open_lines for knob in knobs)
    yield f"# {_doc(name)}"
    if name == "publish":
        yield from (f"# {key.name}: {_meaning(key.doc, key.default)}" for key in DOOR.keys)
    yield f"{'' if is_open else '#'}{name}:"
    for knob in knobs:
        yield from (f"  # {_one_line(note)}" for note in knob.notes)
        yield from (f"  {line}" for line in knob.open_lines)
        yield from (f"#  {line}" for line in knob.lines)


def _value(value: Value) -> _Knob:
    schema = value.schema
    meaning = [str(schema[key]).rstrip(".") for key in ("title", "description") if key in schema]
    what = form(schema)
    notes = (". ".join([*meaning, f"{what[0].upper()}{what[1:]}"]) + ".",)
    if value.default is None:
        return _Knob(notes, (f"{_plain(value.name)}:  # must be given",), ())
    return _Knob(notes, (), (f"{_plain(value.name)}: {_plain(value.default)}",))


def form(schema: Mapping[str, Any]) -> str:
    """What a value may be, in words."""
    if "enum" in schema:
        return "one of " + ", ".join(found(each) for each in schema["enum"])
    parts = [_TYPES[values.type_of(schema)]]
    for low, high, unit in (("minimum", "maximum", ""), ("minLength", "maxLength", " characters")):
        match schema.get(low), schema.get(high):
            case None, None:
                continue
            case least, None:
                parts.append(f"at least {least}{unit}")
            case None, most:
                parts.append(f"at most {most}{unit}")
            case least, most:
                parts.append(f"from {least} to {most}{unit}")
    if "pattern" in schema:
        parts.append(f"that matches {schema['pattern']}")
    return ", ".join(parts)


def _secrets(graph: Graph, required: Mapping[tuple[str, ...], object]) -> list[_Knob]:
    knobs = []
    for secret in graph.secrets:
        line = f"{_plain(secret.name)}: {{file: ./{secret.name}.txt}}"
        if ("secrets", secret.name) in required:
            notes = (f"Must be there: a file, or {{env: NAME}}, or on a cluster {{kubernetes: NAME/{secret.name}}}.",)
            knobs.append(_Knob(notes, (line,), ()))
        else:
            knobs.append(_Knob((f"Made at the site, once, {secret.generate} characters, unless given.",), (), (line,)))
    for external in graph.externals:
        for field in sorted(types.secret_fields(external.type)):
            name = f"{external.name}.{field}"
            line = f"{name}: {{file: ./{external.name}-{field}.txt}}"
            needed = ("secrets", name) in required
            note = f"The {field} for the external {external.name}" + ("." if needed else ", where it wants one.")
            knobs.append(_Knob((note,), (line,) if needed else (), () if needed else (line,)))
    return knobs


def _doors(graph: Graph) -> list[_Knob]:
    knobs = []
    for door in graph.doors:
        opens = "opens only where it is named here" if door.optional else "open everywhere"
        lines = (
            f"{_plain(door.name)}:",
            "  port: 8080",
            "  bind: 127.0.0.1",
            f"  host: {door.name}.example.org",
            f"  tls: {door.name}-cert",
        )
        knobs.append(_Knob((f"{door.node}.{door.endpoint}, {opens}.",), (), lines))
    return knobs


def _external(external: External, graph: Graph, required: Mapping[tuple[str, ...], tuple[str, ...]]) -> _Knob:
    about = types.TYPES[external.type]
    needed = {path[2]: fields for path, fields in required.items() if path[:2] == ("externals", external.name)}
    read = sorted(used_fields(graph).get(external.name, ()))
    notes = (f"{about.doc} ({external.type})" + (f"; the graph reads {', '.join(read)}." if read else "."),)
    given = [f"  {field}:  # must be given{_or(fields)}" for field, fields in needed.items()]
    spare = sorted(types.fields_of(external.type) - types.secret_fields(external.type) - needed.keys())
    lines = [f"  {field}: {_plain(_example(external, field))}" for field in spare]
    head = f"{_plain(external.name)}:"
    return _Knob(notes, (head, *given), tuple(lines)) if given else _Knob(notes, (), (head, *lines))


def _or(fields: Sequence[str]) -> str:
    return f", or {' or '.join(fields[1:])}" if fields[1:] else ""


def _example(external: External, field: str) -> str:
    about = types.TYPES[external.type]
    host, port = f"{external.name}.example.org", about.port or 1234
    match field:
        case "host":
            return host
        case "port":
            return str(port)
        case "url" | "endpoint":
            return f"{about.url}://{host}:{port}"
    return field.upper().replace("_", "-")


def _storage(graph: Graph) -> list[_Knob]:
    knobs = []
    for volume in graph.volumes:
        size = "any size" if volume.size_bytes is None else f"at least {written_size(volume.size_bytes)}"
        knobs.append(_Knob((f"A volume of {size}.",), (), (f"{_plain(volume.name)}: {{class: fast, shared: false}}",)))
    return knobs


def _placement(graph: Graph) -> list[_Knob]:
    knobs = []
    for section, nodes in (("services", graph.services), ("jobs", graph.jobs)):
        for node in nodes:
            words = "priority: high" if node.resources.gpus is None else "gpu_class: nvidia, priority: high"
            knobs.append(_Knob((), (), (f"{section}.{node.name}: {{{words}}}",)))
    return knobs


def _doc(key: str) -> str:
    known = SITE.key(key)
    return _meaning(known.doc, known.default) if known is not None else ""


def _meaning(doc: str, default: str | None) -> str:
    return doc if default is None else f"{doc} Default: {default}."


def _one_line(text: str) -> str:
    """A graph's own words as a comment: nothing of them may begin a line. (No graph holds other control characters.)"""
    return " ".join(text.split())


def _plain(value: object) -> str:
    """A scalar as YAML; in quotes where it would be read as something else."""
    if not isinstance(value, str):
        return json.dumps(value)
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]*", value) and scalar(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)
