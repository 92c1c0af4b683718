"""bundle plan: what would a deploy do?"""

from __future__ import annotations

from pathlib import Path

import click

from bundler.cli.bundlefile import policy
from bundler.cli.deploying import prepared, show_plan
from bundler.cli.options import (
    app_option,
    file_argument,
    json_option,
    key_option,
    site_options,
    target_option,
    unsigned_option,
)
from bundler.cli.site import site_sources


@click.command("plan", short_help="Show what a deploy would do.")
@file_argument
@target_option
@site_options
@app_option
@key_option
@unsigned_option
@json_option
def command(
    file: Path,
    *,
    target: str | None,
    sites: tuple[Path, ...],
    assignments: tuple[str, ...],
    variant: str | None,
    app: str | None,
    key: Path | None,
    insecure_allow_unsigned: bool,
    as_json: bool,
) -> int:
    """Show what deploying the bundle FILE on TARGET would do, and change nothing: the steps, and of each feature that
    the graph asks for whether the target refuses it, adapts it (and how), or does exactly that.

    Exit status 6 when the target refuses something that the graph needs. Of a graph that is no bundle yet, bundle up
    --dry-run shows the same.
    """
    with prepared(
        file,
        target=target,
        sites=site_sources(sites, variant),
        assignments=assignments,
        app=app,
        trusted=policy(key, allow_unsigned=insecure_allow_unsigned),
    ) as (ready, _):
        return show_plan(ready, as_json=as_json)
