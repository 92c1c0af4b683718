"""bundle graph: what does it look like?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bundler.cli import output
from bundler.cli.graph import is_graph, read_graphs
from bundler.cli.options import json_option, open_target, same_place, target_option, variant_option
from bundler.errors import UsageError

if TYPE_CHECKING:
    from bundler.pictures.picture import Picture

FORMATS = {
    "svg": (".svg",),
    "html": (".html", ".htm"),
    "png": (".png",),
    "mermaid": (".mmd", ".mermaid"),
    "dot": (".dot", ".gv"),
    "json": (".json",),
}
_PIXELS = 2.0  # of a png, for each of the picture's own: sharp on today's screens


@click.command("graph", short_help="Draw a graph, before it is built, in a bundle, or as it runs.")
@click.argument("what", metavar="[DIR|FILE|APP]", default=".")
@click.option(
    "--format",
    "-f",
    "form",
    type=click.Choice([*FORMATS]),
    help="What OUT's name says unless given, else mermaid. svg, html and png need the extra 'pictures', or Graphviz.",
)
@variant_option
@click.option(
    "--output", "-o", "file", type=click.Path(path_type=Path, dir_okay=False), metavar="OUT", help="Write it there."
)
@target_option
@json_option
def command(
    what: str, *, form: str | None, variant: str | None, file: Path | None, target: str | None, as_json: bool
) -> int:
    """Draw the graph of a directory, a graph file or a bundle; with --target, of the app of that name as it is there,
    coloured by its health.

    \b
    bundle graph                                     Mermaid, for a README
    bundle graph search.bundle.tar -o search.svg     a picture
    bundle graph search -t docker -o search.html     a page; a click on a node tells of it
    """
    if as_json and form not in (None, "json"):
        raise UsageError(f"--json is --format json, not {form}", hint="say one of them")
    chosen = "json" if as_json else form or _format_of(file)
    if chosen == "png" and file is None and sys.stdout.isatty():
        raise UsageError("a png is no text", hint="-o FILE.png")
    if file is not None and file.exists() and any(place.exists() and file.samefile(place) for place in _places(what)):
        raise UsageError(f"{file} is what is drawn", hint="name another file with -o")
    picture = _running(what, target, variant) if target is not None else _written(Path(what), variant or "")
    drawn = _drawn(picture, chosen)
    if file is not None:
        from bundler.edges.files import write_atomic

        write_atomic(file, drawn)
        output.note(f"wrote {file}")
    elif chosen == "png":
        output.answer_bytes(drawn)
    else:
        output.answer_text(drawn.decode())
    return 0


def _places(what: str) -> tuple[Path, ...]:
    from bundler.cli.graph import FILE_NAME

    return Path(what), Path(what) / FILE_NAME


def _format_of(file: Path | None) -> str:
    if file is None:
        return "mermaid"
    for form, suffixes in FORMATS.items():
        if file.suffix.lower() in suffixes:
            return form
    raise UsageError(f"{file}: no format has this name's end", hint=f"--format {' or --format '.join(FORMATS)}")


def _written(place: Path, variant: str) -> Picture:
    """Of a directory, a graph file or a bundle."""
    from bundler.pictures.of_graph import of_graph

    if is_graph(place):
        return of_graph(read_graphs(place, (variant,) if variant else ()).union.graphs[variant], variant)
    if not place.exists():
        raise UsageError(
            f"there is no directory or file {place}", hint="for an app that runs, say where: --target docker"
        )
    from bundler.cli.bundlefile import of_variant

    bundle = of_variant(place, variant)
    images = {image.name: image.descriptor.digest.short for image in bundle.images}
    return of_graph(bundle.graph, variant, {node: images[image] for node, image in bundle.images_of})


def _running(app: str, target: str | None, variant: str | None) -> Picture:
    """Of an app on a target."""
    if variant is not None:
        raise UsageError("an app is drawn as it was deployed, with its variant", hint="leave --variant out")
    from bundler.pictures.of_app import of_app
    from bundler.release import read_record

    place = open_target(target)
    observed = place.observe(app)
    if observed.record is None:
        if observed.instances or any(not thing.foreign for thing in observed.things):
            raise UsageError(f"the deploy of {app!r} was not finished", hint="bundle status shows what is there")
        raise UsageError(
            f"there is no app {app!r} on {place.name}", hint=f"bundle list --target {place.name}{same_place()}"
        )
    release = read_record(observed.record).release
    if not release.edges and len(release.workloads) > 1:
        output.note("the record of this app names no connections; a deploy writes it anew if it is of an older version")
    return of_app(release, observed, place.name)


def _drawn(picture: Picture, form: str) -> bytes:
    from bundler.pictures import texts

    match form:
        case "json":
            import json

            return (json.dumps(texts.data(picture), indent=2, ensure_ascii=True) + "\n").encode()
        case "dot":
            return texts.dot(picture).encode()
        case "mermaid":
            return texts.mermaid(picture).encode()
    from bundler.edges.graphviz import laid_out
    from bundler.pictures.placing import placed

    where = placed(picture, laid_out)
    if form == "html":
        from bundler.pictures.html import html

        return html(where).encode()
    from bundler.pictures.svg import svg

    if form == "png":
        from bundler.edges.raster import png

        return png(svg(where, dark=False), _PIXELS)
    return svg(where).encode()
