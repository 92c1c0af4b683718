"""bundle doctor: is everything there?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bundler.cli import output, places
from bundler.cli.graph import graph_at, is_graph
from bundler.cli.options import json_option, open_target, site_options, target_option
from bundler.errors import DeclinedError, Position, UsageError

if TYPE_CHECKING:
    from bundler.doctor.externals import Where
    from bundler.doctor.looks import Look
    from bundler.model.finding import Finding
    from bundler.model.graph import Graph
    from bundler.model.site import Site


@click.command("doctor", short_help="Look whether everything is there that a deploy needs.")
@click.argument("place", type=click.Path(path_type=Path), required=False, metavar="[FILE|DIRECTORY]")
@target_option
@site_options
@json_option
def command(
    place: Path | None,
    *,
    target: str | None,
    sites: tuple[Path, ...],
    assignments: tuple[str, ...],
    variant: str | None,
    as_json: bool,
) -> int:
    """Look whether this machine and TARGET have all that a deploy needs: engine, cluster, plugins, room, keys. Where no
    target is named all are looked at, and one that has everything is enough.

    With a bundle FILE, or the graph in DIRECTORY, also whether its externals answer where the site says, each by its
    own protocol and without a login. They are asked from this machine: what the app may reach can be less, or more.

    \b
    bundle doctor
    bundle doctor -t k8s --context prod
    bundle doctor search.bundle.tar --site site.yaml

    Exit status 9 when something needed is not there.
    """
    from bundler import discovery
    from bundler.cli.keys import passphrase
    from bundler.doctor.looks import looked, of_target, one_will_do
    from bundler.doctor.machine import of_machine
    from bundler.trust.keys import KeyStore

    if place is None and (sites or assignments or variant is not None):
        raise UsageError("--site, --set and --variant say something of a graph", hint="name its directory or bundle")
    graph, site, where = None, None, None
    if place is not None:
        graph, site, where = _graph_and_site(place, sites, assignments, variant)
    chosen = target or (site.target if site is not None else None)
    kept = (Path(), places.data_dir(), places.cache_dir())
    built = graph if place is not None and is_graph(place) else None
    looks = of_machine(KeyStore(places.keys_dir()), passphrase(), kept, built)
    names = (chosen,) if chosen else discovery.distinct()
    looks += [of_target(name, open_target(name, site)) for name in names]
    if graph is not None and site is not None and where is not None:
        looks += _externals(graph, site, where)
    found = looked(looks)
    return _told(found if chosen else one_will_do(found), as_json=as_json)


def _graph_and_site(
    place: Path, sites: Sequence[Path], assignments: Sequence[str], variant: str | None
) -> tuple[Graph, Site, Where]:
    from bundler.cli.site import site_sources
    from bundler.graphfile import site
    from bundler.graphfile.source import merge

    sources = site_sources(sites, variant)
    graph, _ = graph_at(place, site.variant_of(sources) or "")
    written = site.parse_site(sources, graph)
    given = site.with_values(written, graph, assignments)

    def where(external: str, field: str) -> str | None:
        said = written.externals.get(external, {}).get(field)
        if said is None or said != given.externals[external].get(field):
            return None  # by `--set`, or by nobody
        at = merge(*sources).at(("externals", external, field), key=True)
        return f"{at.file}:{at.line}" if isinstance(at, Position) else at

    return graph, given, where


def _externals(graph: Graph, site: Site, where: Where) -> list[Look]:
    """Of the site's secrets only those are read that say where an external is."""
    from bundler.cli.site import read_secrets
    from bundler.doctor.externals import ADDRESS, of_externals

    secret = {name: one for name, one in site.secrets.items() if name.rpartition(".")[2] in ADDRESS and "." in name}
    return of_externals(graph, site, read_secrets(replace(site, secrets=secret)), where)


def _told(found: Sequence[tuple[str, Finding]], *, as_json: bool) -> int:
    lacking = [one for _, one in found if not one.ok and one.needed]
    if as_json:
        output.answer_json({"well": not lacking, "findings": [_json(part, one) for part, one in found]})
    else:
        for line in _lines(found):
            output.answer(line)
        if lacking:
            output.note(f"missing: {', '.join(dict.fromkeys(one.what for one in lacking))}")
    return DeclinedError.exit_code if lacking else 0


def _lines(found: Sequence[tuple[str, Finding]]) -> list[str]:
    lines = []
    rows = output.table([(_word(one), one.what, one.told) for _, one in found])
    before = None
    for (part, one), row in zip(found, rows, strict=True):
        lines += [part] if part != before else []
        before = part
        lines.append(row)
        if not one.ok:
            lines.append(f"           needed for: {one.purpose}")
            lines += [f"           {line}" for line in (one.hint or "").splitlines()]
    return lines


def _word(one: Finding) -> str:
    return "ok" if one.ok else "missing" if one.needed else "absent"


def _json(part: str, one: Finding) -> dict[str, object]:
    return {
        "part": part,
        "what": one.what,
        "ok": one.ok,
        "needed": one.needed,
        "told": one.told,
        "purpose": one.purpose,
        "hint": one.hint,
        "failure": one.failure or None,
    }
