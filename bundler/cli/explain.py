"""bundle explain: what does a key mean?"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from bundler.cli import completing, output
from bundler.cli.options import json_option
from bundler.errors import UsageError

if TYPE_CHECKING:
    from bundler.graphfile.explained import Topic
    from bundler.graphfile.shapes import Key
    from bundler.graphfile.types import Type

_WIDTH = 100  # of what is no terminal


@click.command("explain", short_help="Explain a key of a graph, a site file, a component or a variant.")
@click.argument("key", required=False, shell_complete=completing.keys)
@json_option
def command(key: str | None, *, as_json: bool) -> int:
    """Explain KEY: what it is, what it may hold, its default, its own keys and an example. Without KEY, the sections of
    every kind of file.

    \b
    bundle explain services.healthcheck
    bundle explain healthcheck             the same, by the end of its path
    bundle explain site.publish            of site files; component. and variant. of theirs
    bundle explain types                   what endpoints speak, and the fields that an address has
    bundle explain placeholders            what ${…} in a text stands for, and where it is read
    bundle explain lints                   what bundle check tells of a graph that is right, by code
    """
    from bundler.graphfile import explained
    from bundler.graphfile.lints import RULES

    first, _, rest = (key or "").partition(".")
    if first == explained.TYPES_TOPIC:
        _types(rest, as_json=as_json)
        return 0
    if first == explained.LINTS_TOPIC or first in RULES:
        _lints(rest if first == explained.LINTS_TOPIC else first, as_json=as_json)
        return 0
    if key == explained.PLACEHOLDERS_TOPIC:
        _placeholders(as_json=as_json)
        return 0
    found = explained.topics(key) if key else explained.documents()
    if as_json:
        output.answer_json([_json(topic) for topic in found])
        return 0
    if not key:
        for topic in found:
            output.answer(f"{topic.path}: {topic.doc}")
            for line in _rows([(key.name, key.doc, "") for key in topic.keys]):
                output.answer(line)
            output.answer()
        output.note("more of one: bundle explain KEY, such as services.healthcheck, types, placeholders or lints")
    elif len(found) > 1:
        output.answer(f"several keys are called {key}:")
        for line in _rows([(topic.path, topic.doc, "") for topic in found]):
            output.answer(line)
        output.note(f"more of one: bundle explain {found[0].path}")
    else:
        for line in _page(found[0]):
            output.answer(line)
    return 0


def _page(topic: Topic) -> Iterator[str]:
    yield topic.path
    yield from _wrapped(topic.doc, "  ")
    yield ""
    facts = [("what it is", topic.expected)]
    if topic.choices and not all(word in topic.expected for word in topic.choices):
        facts.append(("one of", ", ".join(topic.choices)))
    facts.append(("required", "yes" if topic.required else "no"))
    if topic.default is not None:
        facts.append(("default", topic.default))
    if len(topic.places) > 1:
        facts.append(("also at", ", ".join(topic.places[1:])))
    if topic.namesakes:
        facts.append(("not to be confused with", ", ".join(topic.namesakes)))
    for title, text in facts:
        yield from _wrapped(f"{title}: {text}", "  ", "    ")
    if topic.keys:
        yield ""
        groups = "; ".join(f"exactly one of {', '.join(group)}" for group in topic.one_of)
        yield f"its keys{f', {groups}' if groups else ''}:"
        yield from _keys(topic.keys)
    if topic.example is not None:
        yield ""
        yield "for example:"
        yield f"  {topic.path.rpartition('.')[2]}: {topic.example}"


def _keys(keys: tuple[Key, ...]) -> Iterator[str]:
    return _rows([(key.name, key.doc, _form(key)) for key in keys])


def _form(key: Key) -> str:
    told = [key.shape.expected]
    told += ["required"] if key.required else []
    told += [f"default: {key.default}"] if key.default is not None else []
    return "; ".join(told)


def _rows(rows: list[tuple[str, str, str]]) -> Iterator[str]:
    """A name, what it means, and below that what it may hold."""
    column = max((len(name) for name, _, _ in rows), default=0) + 4
    for name, doc, form in rows:
        yield from _wrapped(doc, f"  {name}".ljust(column), " " * column)
        if form:
            yield from _wrapped(form, " " * (column + 2))


def _wrapped(text: str, first: str, rest: str | None = None) -> list[str]:
    width = min(max(shutil.get_terminal_size((_WIDTH, 24)).columns, 60), 120)
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=first if rest is None else rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _types(name: str, *, as_json: bool) -> None:
    from bundler.graphfile import explained, types

    shown = [explained.type_named(name)] if name else list(types.TYPES.values())
    if as_json:
        output.answer_json([_type_json(one) for one in shown])
        return
    if not name:
        output.answer("What an endpoint speaks (expose: {db: {port: 5432, as: postgres}}), or an external (as: s3).")
        output.answer("Every address has ${slot.host}, ${slot.port} and ${slot.url}; more by type:")
        output.answer()
    rows = [("TYPE", "WHAT IT IS", "USUAL PORT", "FIELDS", "SECRET")]
    rows += [
        (
            one.name,
            one.doc,
            "" if one.port is None else str(one.port),
            ", ".join(sorted(one.fields - one.secret)),
            ", ".join(sorted(one.secret)),
        )
        for one in shown
    ]
    for line in output.table(rows, indent=""):
        output.answer(line)
    if name and shown[0].schemes:
        output.answer(f"\nan external's address begins with {types.expected_schemes(shown[0].name)}")
    output.note("\na service gives them under outputs; a site gives an external's, the secret ones under secrets")


def _lints(code: str, *, as_json: bool) -> None:
    from bundler.graphfile.lints import RULES

    if code and code not in RULES:
        raise UsageError(f"there is no lint {code}", hint="bundle explain lints names them")
    shown = {code: RULES[code]} if code else RULES
    if as_json:
        output.answer_json([{"code": each, "doc": doc} for each, doc in shown.items()])
        return
    for line in _rows([(each, doc, "") for each, doc in shown.items()]):
        output.answer(line)
    output.note(
        "\n# noqa: CODE at the end of the line that one is told at: it is meant so; none fails a check without --strict"
    )


def _placeholders(*, as_json: bool) -> None:
    from bundler.graphfile.placeholders import FORMS, READ_IN

    if as_json:
        output.answer_json({"forms": FORMS, "read_in": READ_IN})
        return
    output.answer("What a text of a graph may hold. It is put in once, at a deploy; what comes in is not read again.")
    for line in _rows([(form, doc, "") for form, doc in FORMS.items()]):
        output.answer(line)
    output.answer()
    output.answer("read in, and nowhere else:")
    for line in _rows([(place, which, "") for place, which in READ_IN.items()]):
        output.answer(line)


def _type_json(one: Type) -> dict[str, object]:
    from bundler.graphfile import types

    return {
        "type": one.name,
        "doc": one.doc,
        "port": one.port,
        "fields": sorted(types.fields_of(one.name)),
        "secret": sorted(one.secret),
        "schemes": list(one.schemes),
    }


def _json(topic: Topic) -> dict[str, object]:
    return {
        "path": topic.path,
        "doc": topic.doc,
        "expected": topic.expected,
        "choices": list(topic.choices),
        "required": topic.required,
        "default": topic.default,
        "example": topic.example,
        "also_at": list(topic.places[1:]),
        "one_of": [list(group) for group in topic.one_of],
        "keys": [
            {
                "name": key.name,
                "doc": key.doc,
                "expected": key.shape.expected,
                "required": key.required,
                "default": key.default,
            }
            for key in topic.keys
        ],
    }
