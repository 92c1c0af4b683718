"""bundle site: a site file to fill in, and what an editor needs to check one."""

from __future__ import annotations

from pathlib import Path

import click

from bundler.cli import output
from bundler.cli.graph import graph_at
from bundler.cli.options import variant_option
from bundler.errors import UsageError

place_argument = click.argument("place", type=click.Path(path_type=Path), default=Path(), metavar="[FILE|DIRECTORY]")


@click.group("site", short_help="Write a site file to fill in, or the schema of one.")
def command() -> None:
    """What a site may and must answer: of the graph in a directory, or of a bundle.

    \b
    bundle site init search.bundle.tar             site.yaml, with every knob and its meaning
    bundle site schema search.bundle.tar           what an editor needs to check it
    bundle explain site                            every key of a site file
    """


@command.command("init", short_help="Write a site file with every knob of a graph.")
@place_argument
@click.option(
    "--output",
    "-o",
    "file",
    type=click.Path(path_type=Path),
    default=Path("site.yaml"),
    show_default=True,
    help="Where to; - for standard output.",
)
@variant_option
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def init(place: Path, *, file: Path, variant: str | None, force: bool) -> int:
    """Write a site file for the bundle FILE, or the graph in DIRECTORY: every value, secret, front door, external and
    volume with its type, default and meaning. What must be answered stands open, the rest is commented out."""
    from bundler.edges.files import write_atomic
    from bundler.graphfile.site import lacks
    from bundler.graphfile.site_text import site_text
    from bundler.model.site import Site

    graph, variants = graph_at(place, variant or "")
    shown = "site.yaml" if str(file) == "-" else str(file)
    text = site_text(graph, file=output.clean(shown), variants=variants, variant=variant or "")
    if str(file) == "-":
        output.answer_text(text)
        return 0
    if file.is_dir():
        raise UsageError(f"{file} is a directory", hint=f"-o {file / 'site.yaml'}")
    if file.exists() and not force:
        raise UsageError(f"{file} is there already", hint="--force writes over it, -o FILE takes another name")
    write_atomic(file, text.encode())
    needed = [".".join(lack.path) for lack in lacks(Site(), graph)]
    output.note(f"wrote {file}: " + (f"to be answered: {', '.join(needed)}" if needed else "nothing must be answered"))
    return 0


@command.command("schema", short_help="Print the JSON Schema of a graph's site files.")
@place_argument
@variant_option
def schema(place: Path, *, variant: str | None) -> int:
    """Print the JSON Schema of site files for the bundle FILE, or the graph in DIRECTORY: its values, secrets, doors
    and externals by name, for editors."""
    from bundler.graphfile.schema import site_schema

    output.answer_json(site_schema(graph_at(place, variant or "")[0]))
    return 0
