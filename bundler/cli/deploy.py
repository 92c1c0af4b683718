"""bundle deploy: put a bundle on a target."""

from __future__ import annotations

from pathlib import Path

import click

from bundler import deploy as deploying_core
from bundler.cli.bundlefile import policy
from bundler.cli.deploying import carry_out, consent, prepared, report
from bundler.cli.options import (
    app_option,
    duration_s,
    file_argument,
    json_option,
    key_option,
    site_options,
    target_option,
    timeout_option,
    unsigned_option,
    yes_option,
)
from bundler.cli.site import site_sources


@click.command("deploy", short_help="Put a bundle on a target, or bring it up to date.")
@file_argument
@target_option
@site_options
@app_option
@key_option
@unsigned_option
@timeout_option
@yes_option
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
    timeout: str | None,
    yes: bool,
    as_json: bool,
) -> int:
    """Verify the bundle FILE, plan, and put it on TARGET; then wait until everything is healthy.

    What the site must answer and does not is asked on a terminal (unless with --yes); secrets typed there are kept on
    the target. A second deploy of the same bundle changes nothing. Exit status 8 when something is not healthy in time.
    """
    limit_s = duration_s(timeout)
    with prepared(
        file,
        target=target,
        sites=site_sources(sites, variant),
        assignments=assignments,
        app=app,
        trusted=policy(key, allow_unsigned=insecure_allow_unsigned),
        ask=not yes,
    ) as (ready, site_timeout_s):
        deploying_core.refuse(ready)
        consent(ready, yes=yes)
        observed = carry_out(ready, limit_s or site_timeout_s)
        return report(observed, ready.target.name, changes=len(ready.plan.steps), as_json=as_json)
