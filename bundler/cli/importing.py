"""bundle import: what another tool has, as a graph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bundler.cli import output
from bundler.cli.graph import COMPOSE_NAMES, FILE_NAME, graph_file, read_text
from bundler.cli.options import json_option
from bundler.errors import GraphError, UsageError, typed

if TYPE_CHECKING:
    from bundler.importing.compose import Imported

SITE_NAME = "site.yaml"


class _Formats(click.Group):
    """A group that tells those who name a file at once how it is done."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = output.nearest(args[0], self.commands) if not Path(args[0]).exists() else None
            way = f"Did you mean {near!r}?" if near else f"To import it: bundle import compose {args[0]}"
            raise click.UsageError(f"{error.message} {way}", ctx) from error


@click.group("import", cls=_Formats, short_help="Make a graph of another tool's file.")
def command() -> None:
    """Make a graph of what another tool has.

    \b
    bundle import compose                          compose.yaml in this directory
    bundle import compose FILE -o DIR              writes DIR/bundle.yaml and DIR/site.yaml
    """


@command.command("compose", short_help="A Compose file.")
@click.argument("file", type=click.Path(path_type=Path), default=Path())
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where to write, with copies of what the graph packs; beside FILE unless given.",
)
@click.option("--profile", "profiles", multiple=True, metavar="NAME", help="Services of this profile too.")
@click.option("--force", is_flag=True, help="Write over a graph that is there.")
@click.option("--dry-run", is_flag=True, help="Report, and write nothing.")
@json_option
def compose(
    file: Path, *, out: Path | None, profiles: tuple[str, ...], force: bool, dry_run: bool, as_json: bool
) -> int:
    """Make bundle.yaml of a Compose FILE (or the one in a directory), and site.yaml with what is the site's.

    Ports are found in images, health checks and addresses; addresses become edges, passwords secrets, ${VARIABLES}
    values, config files are packed. Every decision is reported. What a graph cannot have is refused by name, in the
    report and as a comment, and the status is 3: the graph is right, and not yet the whole system. Variables are
    those of .env, not of this shell; compose.override.yaml is not read, nor is any other file but env files.

    \b
    bundle import compose docker-compose.yml -o ../shop
    bundle check ../shop
    bundle build ../shop
    """
    from bundler.graphfile.check import check
    from bundler.graphfile.source import parse
    from bundler.importing.compose import imported
    from bundler.importing.folder import Folder, site_from, write
    from bundler.importing.writing import graph_text, site_text

    path = _compose_file(file)
    folder = path.resolve().parent
    found = imported(read_text(path), str(path), folder.name, Folder(folder), profiles)
    graph = graph_text(found.graph, path.name, found.remarks)
    checked = check(parse(graph, FILE_NAME))
    texts = [(FILE_NAME, graph)]
    place = out or path.parent
    if found.site or found.site_remarks:
        site = site_from(found.site, folder, place)
        texts.append((SITE_NAME, site_text(site, path.name, found.site_remarks)))
    if not dry_run:
        write(place, folder, texts, found.copies, force=force)
    _tell(found, as_json=as_json, written=[] if dry_run else [str(place / name) for name, _ in texts])
    refused = found.report.of(_refused())
    if not as_json:
        output.note(
            f"{checked.name}: {output.count(len(checked.services), 'services')}, "
            f"{output.count(len(checked.jobs), 'jobs')}; "
            + ("nothing was written" if dry_run else f"see {place / FILE_NAME}, then: bundle build {typed(place)}")
        )
        if refused:
            output.note(f"refused: {len(refused)}; the graph is not the whole system without")
    return GraphError.exit_code if refused else 0


def _refused() -> Any:
    from bundler.importing.report import Verdict

    return Verdict.REFUSED


def _compose_file(file: Path) -> Path:
    if not file.is_dir():
        if file.name == FILE_NAME:
            raise UsageError(f"{graph_file(file)} is a graph already", hint="bundle check tells whether it is right")
        return file
    for name in COMPOSE_NAMES:
        if (file / name).is_file():
            return file / name
    raise UsageError(f"there is no Compose file in {file}", hint=f"one of {', '.join(COMPOSE_NAMES)}, or give its name")


def _tell(found: Imported, *, as_json: bool, written: list[str]) -> None:
    from bundler.importing.report import lines

    if as_json:
        decisions = [{"where": e.where, "verdict": str(e.verdict), "message": e.message} for e in found.report]
        output.answer_json({"whole": not found.report.of(_refused()), "written": written, "decisions": decisions})
        return
    for line in lines(found.report):
        output.answer(line)
