"""bundle up: build and deploy in one go, for the inner loop."""

from __future__ import annotations

import hashlib
from pathlib import Path

import click

from bundler import deploy
from bundler.cli import places
from bundler.cli.build import build, signing_key
from bundler.cli.deploying import carry_out, consent, prepared, report, show_plan
from bundler.cli.graph import graph_file
from bundler.cli.options import (
    app_option,
    duration_s,
    json_option,
    mirror_option,
    site_options,
    target_option,
    timeout_option,
    yes_option,
)
from bundler.cli.site import site_sources


@click.command("up", short_help="Build a graph and deploy it in one go.")
@click.argument("directory", type=click.Path(path_type=Path), default=Path())
@target_option
@site_options
@app_option
@timeout_option
@mirror_option
@click.option("--dry-run", is_flag=True, help="Build, show the plan as bundle plan does, and deploy nothing.")
@yes_option
@json_option
def command(
    directory: Path,
    *,
    target: str | None,
    sites: tuple[Path, ...],
    assignments: tuple[str, ...],
    variant: str | None,
    app: str | None,
    timeout: str | None,
    mirrors: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Build the graph in DIRECTORY into the cache and deploy it to TARGET (docker unless given)."""
    from bundler.graphfile import site
    from bundler.trust.policy import Policy

    limit_s = duration_s(timeout)
    key = signing_key(None)
    place = hashlib.sha256(str(graph_file(directory).resolve()).encode()).hexdigest()[:16]
    file = places.cache_dir() / "up" / f"{place}.bundle.tar"
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    sources = site_sources(sites, variant)
    asked = site.variant_of(sources)
    variants = (asked,) if asked else ()
    build(directory, to=file, platforms=(), variants=variants, mirrors=mirrors, key=key, detached=False)
    with prepared(
        file,
        target=target,
        otherwise="docker",
        sites=sources,
        assignments=assignments,
        app=app,
        trusted=Policy((key.public,)),
        ask=not yes,
    ) as (ready, site_timeout_s):
        if dry_run:
            return show_plan(ready, as_json=as_json)
        deploy.refuse(ready)
        consent(ready, yes=yes)
        observed = carry_out(ready, limit_s or site_timeout_s)
        return report(observed, ready.target.name, changes=len(ready.plan.steps), as_json=as_json)
