"""bundle components: what is there to be used in a graph?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bundler.cli import completing, output, vendoring
from bundler.cli.graph import FILE_NAME, read_exactly
from bundler.cli.options import json_option
from bundler.errors import BundleError, GraphError

if TYPE_CHECKING:
    from bundler.graphfile.described import Described, EndpointOf
    from bundler.graphfile.library import Libraries, Library
    from bundler.graphfile.source import Source

_PAGE = 4  # how far a word is that only a page holds

graph_option = click.option(
    "--graph",
    "directory",
    type=click.Path(path_type=Path),
    default=Path(),
    metavar="DIRECTORY",
    help="The graph whose own libraries are read too; the one in this directory unless given.",
)


class _Components(click.Group):
    """A group that tells those who name a component how to see it."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise click.UsageError(f"{error.message} To see one: bundle components show {args[0]}", ctx) from error


@click.group(
    "components",
    cls=_Components,
    short_help="List components to use in a graph, and explain them.",
    invoke_without_command=True,
)
@click.option(
    "--search",
    metavar="TEXT",
    help="Only those that have all these words in their name, the types of their endpoints (redis, s3) or what they "
    "are, the nearest first; where there are none, those whose pages have them.",
)
@graph_option
@json_option
@click.pass_context
def command(context: click.Context, *, search: str | None, directory: Path, as_json: bool) -> int:
    """List the components of the tool's library, and those of the graph's own libraries as LIBRARY/NAME.

    \b
    bundle components --search vectors
    bundle components show postgres
    bundle add postgres
    bundle components pull registry.example/acme/components:1.0
    """
    if context.invoked_subcommand is not None:
        return 0
    rows = _nearest(list(_listed(*_graph(directory))), (search or "").lower().split())
    if as_json:
        output.answer_json([{key: row[key] for key in ("component", "version", "versions", "summary")} for row in rows])
        return 0
    if not rows:
        output.note(f"no component is about {search!r}" if search else "there are no components")
        return 0
    shown = [(str(row["component"]), str(row["version"]), str(row["summary"])) for row in rows]
    for line in output.table([("COMPONENT", "VERSION", "WHAT IT IS"), *shown], indent=""):
        output.answer(line)
    output.note("\nmore of one: bundle components show NAME   into the graph: bundle add NAME")
    return 0


@command.command("show", short_help="Show what a component is, needs, offers and brings along.")
@click.argument("component", shell_complete=completing.components)
@graph_option
@json_option
def show(component: str, *, directory: Path, as_json: bool) -> int:
    """Show COMPONENT, given as NAME, NAME@VERSION or LIBRARY/NAME: what it is, needs, offers and brings along."""
    from bundler.graphfile import adding, forms
    from bundler.graphfile.editing import Addition, snippet

    source, libraries = _graph(directory)
    entry, use = adding.found(source, libraries, component)
    what = adding.read(entry)
    versions = adding.named(source, libraries, forms.use(use).library).versions(what.name)
    connect = {slot: "VOLUME" if type == "volume" else "NODE.ENDPOINT" for slot, type in what.needs.items()}
    data: dict[str, str | dict[str, str]] = {"use": use, **({"connect": connect} if connect else {})}
    ready = [Addition("services", what.name, data)]
    if as_json:
        output.answer_json(_json(what, use, versions, snippet(ready)))
        return 0
    for line in _lines(what, versions):
        output.answer(line)
    given = "".join(f" --connect {slot}={target}" for slot, target in connect.items())
    output.answer(f"into a graph: bundle add {use.partition('@')[0]}{given}, or by hand:")
    output.answer()
    for line in snippet(ready).splitlines():
        output.answer(f"  {line}")
    return 0


for each in (vendoring.pack, vendoring.push, vendoring.pull):
    command.add_command(each)


def _graph(directory: Path) -> tuple[Source, Libraries]:
    """The graph there as far as it can be read; one without anything where there is none."""
    from bundler.graphfile.library import Libraries
    from bundler.graphfile.source import Source, parse

    path = directory / FILE_NAME if directory.is_dir() else directory
    if directory == Path() and not path.is_file():
        return Source(str(path), {}), Libraries(directory)
    libraries = Libraries(path.parent, str(path))
    try:
        return parse(read_exactly(path), str(path)), libraries
    except GraphError as error:
        output.note(f"warning: {path}: {error.what}, so its libraries are left out; bundle check tells which")
        return Source(str(path), {}), libraries


def _listed(source: Source, libraries: Libraries) -> Iterator[dict[str, object]]:
    from bundler.graphfile import adding, library
    from bundler.graphfile.scope import as_map

    places: list[tuple[str, Library]] = [("", libraries.own)]
    for name in library.folders(as_map(source.data)):
        try:
            places.append((f"{name}/", adding.named(source, libraries, name)))
        except BundleError as error:
            output.note(f"warning: {error.what}")
    for head, place in places:
        for name in place.names:
            entry = place.find(name, None)
            if entry is None:
                continue
            row: dict[str, object] = {"component": f"{head}{name}", "version": entry.version}
            row["versions"] = list(place.versions(name))
            try:
                what = adding.read(entry)
                types = " ".join(each.type for each in what.endpoints)
                yield {**row, "types": types, "summary": what.summary, "doc": what.doc}
            except BundleError as error:
                count = len(error.problems) if isinstance(error, GraphError) else 1
                told = f"warning: {entry.shown} has {output.count(count, 'mistakes')}"
                output.note(f"{told}; to see which: bundle components show {head}{name}")
                yield {**row, "types": "", "summary": "(not right)", "doc": ""}


def _nearest(rows: list[dict[str, object]], words: list[str]) -> list[dict[str, object]]:
    """Those that have all the words, by how far the farthest of them is; without what only pages hold, where more than
    pages hold them."""
    ranked = [(max((_distance(row, word) for word in words), default=0), row) for row in rows]
    limit = _PAGE if any(rank < _PAGE for rank, _ in ranked) else _PAGE + 1
    return [row for rank, row in sorted(ranked, key=lambda one: one[0]) if rank < limit]


def _distance(row: dict[str, object], word: str) -> int:
    """0: its name; more than `_PAGE`: nowhere. Short words begin one: "ai" is not in "explain"."""
    name, types, summary, page = (str(row[key]).lower() for key in ("component", "types", "summary", "doc"))
    begins = re.compile(rf"\b{re.escape(word)}")
    nearer = (
        word == name,
        word in types.split() or bool(begins.match(name)),
        bool(begins.search(summary)),
        len(word) > 2 and word in f"{name} {summary}",
        bool(begins.search(page)),
    )
    return nearer.index(True) if any(nearer) else _PAGE + 1


def _lines(what: Described, versions: tuple[str, ...]) -> Iterator[str]:
    from bundler.graphfile.described import need

    yield f"{what.name} {what.version}  {what.summary}"
    if len(versions) > 1:
        yield f"also there: {', '.join(version for version in versions if version != what.version)}"
    yield ""
    if what.doc:
        yield from what.doc.rstrip("\n").splitlines()
        yield ""
    sections = (
        ("needs", [(slot, need(type)) for slot, type in what.needs.items()]),
        ("endpoints", [_endpoint(what, each) for each in what.endpoints]),
        ("volumes", [(name, size or "") for name, size in what.volumes.items()]),
        ("secrets", [(name, _secret(length)) for name, length in what.secrets.items()]),
        ("models", list(what.models.items())),
        ("jobs", [(name, f"run: {run}") for name, run in what.jobs.items()]),
        ("images", list(what.images.items())),
        ("resources", [(name, _resources(part)) for name, part in what.resources.items()]),
    )
    for title, rows in sections:
        if rows:
            yield f"{title}:"
            yield from output.table(rows)
    yield ""
    if what.along:
        names = ", ".join(f"{what.name}-{name}" for name in what.along)
        yield f"with it come, called after the node: {names}"


def _endpoint(what: Described, each: EndpointOf) -> tuple[str, str, str]:
    name = each.name if each.service == what.name else f"{each.service} {each.name}"
    return name, f"{each.type} on port {each.port}", "${SLOT.…} gives " + ", ".join(each.fields)


def _secret(length: int | None) -> str:
    return "the site gives it" if length is None else f"made at the site, {length} characters"


def _resources(part: object) -> str:
    parts = part.items() if isinstance(part, dict) else ()
    return ", ".join(f"{key} {value}" for key, value in parts)


def _json(what: Described, use: str, versions: tuple[str, ...], snippet: str) -> dict[str, object]:
    return {
        "component": what.name,
        "version": what.version,
        "versions": list(versions),
        "summary": what.summary,
        "doc": what.doc,
        "needs": dict(what.needs),
        "endpoints": [
            {
                "service": each.service,
                "name": each.name,
                "port": each.port,
                "type": each.type,
                "fields": list(each.fields),
            }
            for each in what.endpoints
        ],
        "volumes": {name: {"size": size} for name, size in what.volumes.items()},
        "secrets": {name: {"generate": length} for name, length in what.secrets.items()},
        "models": {name: {"from": source} for name, source in what.models.items()},
        "jobs": {name: {"run": run} for name, run in what.jobs.items()},
        "along": list(what.along),
        "images": dict(what.images),
        "resources": {name: dict(part) for name, part in what.resources.items()},
        "use": use,
        "snippet": snippet + "\n",
    }
