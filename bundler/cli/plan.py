"""bundle plan: what would a deploy do?"""

from __future__ import annotations

from pathlib import Path

import click

from bundler.cli import output
from bundler.cli.bundlefile import policy
from bundler.cli.deploying import prepared
from bundler.cli.options import (
    app_option,
    file_argument,
    json_option,
    key_option,
    site_options,
    target_option,
    unsigned_option,
)
from bundler.cli.report import exact_lines, plan_json, plan_lines, value_lines
from bundler.errors import TargetError
from bundler.release.features import exact


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

    Exit status 6 when the target refuses something that the graph needs.
    """
    with prepared(
        file,
        target=target,
        sites=sites,
        assignments=assignments,
        variant=variant,
        app=app,
        trusted=policy(key, allow_unsigned=insecure_allow_unsigned),
    ) as (ready, _):
        found = exact(ready.release, ready.plan) if ready.release is not None else ()
        if as_json:
            told = plan_json(ready.plan, ready.app, ready.target.name, found, ready.release, ready.observed)
            output.answer_json(told)
        else:
            changed = value_lines(ready.release, ready.observed)
            planned = plan_lines(ready.plan, ready.app, ready.target.name, ready.release, ready.observed)
            for line in (*planned, *changed, *exact_lines(found, ready.plan)):
                output.answer(line)
        return TargetError.exit_code if ready.plan.refused else 0
