"""What a site must answer and does not, asked of whoever sits at the terminal."""

from __future__ import annotations

from collections.abc import Callable, Collection

from bundler.cli import output
from bundler.cli.asking import answer
from bundler.errors import UsageError
from bundler.graphfile.site import Lack, SiteError, lacks, with_values
from bundler.graphfile.site_text import form
from bundler.model.graph import Graph
from bundler.model.site import Site
from bundler.release.secrets import within_limit


def asked(site: Site, graph: Graph, kept: Callable[[], Collection[str]]) -> tuple[Site, dict[str, bytes]]:
    """The site with what it lacked, and the bytes of the secrets that were typed, by name. `kept` names those that the
    target holds; it is only called where a secret is lacking. Raises DeclinedError where somebody answers no more."""
    wanted = lacks(site, graph)
    if any(lack.path[0] == "secrets" for lack in wanted):
        wanted = lacks(site, graph, kept())
    secrets: dict[str, bytes] = {}
    if wanted:
        output.note(f"{graph.name} needs to be told {output.count(len(wanted), 'things')}")
    for lack in wanted:
        if lack.path[0] == "secrets":
            secrets[lack.path[1]] = _secret(lack)
        else:
            site = _told(site, graph, lack)
    if len(wanted) > len(secrets):
        output.note("a site file answers this every time: bundle site init FILE writes one, --site takes it")
    return site, secrets


def _told(site: Site, graph: Graph, lack: Lack) -> Site:
    path = ".".join(lack.path)
    for line in _meaning(graph, lack):
        output.note(f"  {line}")
    while True:
        text = answer(path)
        try:
            return with_values(site, graph, [f"{path}={text}"])
        except SiteError as error:
            for problem in error.problems:
                output.note(f"  {problem.message}")


def _secret(lack: Lack) -> bytes:
    """Typed twice where nobody else would notice a slip: an external tells by itself whether its password is right."""
    name = lack.path[1]
    while True:
        typed = answer(f"secrets.{name} (not shown)", hidden=True, twice="." not in name)
        try:
            return within_limit(typed.encode(), name)
        except UsageError as error:
            output.note(f"  {error.what}")


def _meaning(graph: Graph, lack: Lack) -> list[str]:
    """What is known of a value or an external that is asked for."""
    if lack.path[0] == "externals":
        kind = next(one.type for one in graph.externals if one.name == lack.path[1])
        return [f"{lack.path[1]} lies outside and speaks {kind}"]
    schema = next(value.schema for value in graph.values if value.name == lack.path[1])
    return [str(schema[key]) for key in ("title", "description") if key in schema] + [form(schema)]
