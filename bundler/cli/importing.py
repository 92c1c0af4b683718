"""bundle import: what another tool has, as a graph."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bundler.cli import output
from bundler.cli.graph import COMPOSE_NAMES, FILE_NAME, graph_file, read_text
from bundler.cli.options import json_option
from bundler.errors import BundleError, GraphError, UsageError, typed

if TYPE_CHECKING:
    from bundler.edges.images import Engine
    from bundler.graphfile.lints import Lint
    from bundler.importing.compose import Imported

SITE_NAME = "site.yaml"
_ENGINE_S = 5.0


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
    "-f",
    "--file",
    "laid",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Several, each laid over those before it, as Compose does; in place of FILE.",
)
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
    file: Path,
    *,
    laid: tuple[Path, ...],
    out: Path | None,
    profiles: tuple[str, ...],
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Make bundle.yaml of a Compose FILE (or the one in a directory), and site.yaml with what is the site's.

    Ports are found in images, those that the local engine has too, health checks and addresses; addresses become
    edges, passwords secrets, ${VARIABLES} values, config files are packed. Every decision is reported. What a graph
    cannot have is refused by name, in the report and as a comment, and the status is 3: the graph is right, and not yet
    the whole system. Variables are those of .env, not of this shell, COMPOSE_PROFILES and COMPOSE_PROJECT_NAME too;
    compose.override.yaml is read where -f names it, included files and those of extends where FILE does.
    Lints of the graph are counted; bundle check tells them.

    \b
    bundle import compose docker-compose.yml -o ../shop
    bundle import compose -f compose.yaml -f compose.prod.yaml
    bundle check ../shop
    bundle build ../shop
    """
    from bundler.graphfile import lints
    from bundler.graphfile.check import check
    from bundler.graphfile.source import parse
    from bundler.importing.compose import imported
    from bundler.importing.folder import Folder, site_from, write
    from bundler.importing.writing import graph_text, site_text

    if laid and file != Path():
        raise UsageError(f"FILE and -f are two ways to say it: -f {typed(file)} too, or one of them")
    paths = laid or (_compose_file(file),)
    path, folder = paths[0], paths[0].resolve().parent
    texts = [(read_text(each), str(each)) for each in paths]
    found = imported(texts, folder.name, Folder(folder), profiles, _Engine().ports)
    origin = ", ".join(each.name for each in paths)
    graph = graph_text(found.graph, origin, found.remarks)
    checked = check(source := parse(graph, FILE_NAME))
    told = lints.joined({"": lints.lints(checked, source)}, {"": checked}, {FILE_NAME})
    written = [(FILE_NAME, graph)]
    place = out or path.parent
    if found.site or found.site_remarks:
        site = site_from(found.site, folder, place)
        written.append((SITE_NAME, site_text(site, origin, found.site_remarks)))
    if not dry_run:
        write(place, folder, written, found.copies, force=force)
    _tell(found, told, as_json=as_json, written=[] if dry_run else [str(place / name) for name, _ in written])
    refused = found.report.of(_refused())
    if not as_json:
        output.note(
            f"{checked.name}: {output.count(len(checked.services), 'services')}, "
            f"{output.count(len(checked.jobs), 'jobs')}; "
            + ("nothing was written" if dry_run else f"see {place / FILE_NAME}, then: bundle build {typed(place)}")
        )
        if told:
            output.note(f"right and yet no good: {output.count(len(told), 'lints')}, which `bundle check` tells")
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


class _Engine:
    """The local engine, asked once there is something to ask; one that does not answer is asked no more."""

    def __init__(self) -> None:
        self._answers = True

    @cached_property
    def _images(self) -> Engine:
        from bundler.edges.images import Engine

        return Engine.connect(timeout_s=_ENGINE_S)

    def ports(self, image: str) -> tuple[int, ...] | None:
        """Those that an image declares; None where the engine does not answer, or has no such image."""
        try:
            found = self._images.inspect(image) if self._answers else None
        except BundleError:
            self._answers = False
            return None
        return found.ports if found is not None else None


def _tell(found: Imported, lints: Sequence[Lint], *, as_json: bool, written: list[str]) -> None:
    from bundler.importing.report import lines

    if as_json:
        from bundler.cli.linting import as_json as as_told

        decisions = [{"where": e.where, "verdict": str(e.verdict), "message": e.message} for e in found.report]
        whole, told = not found.report.of(_refused()), [as_told(one) for one in lints]
        output.answer_json({"whole": whole, "written": written, "decisions": decisions, "lints": told})
        return
    for line in lines(found.report):
        output.answer(line)
