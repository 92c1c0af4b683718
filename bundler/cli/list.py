"""bundle list: which apps are on a target?"""

from __future__ import annotations

import click

from bundler.cli import output
from bundler.cli.options import json_option, open_target, target_option


@click.command("list", short_help="Name the apps on a target.")
@target_option
@json_option
def command(*, target: str | None, as_json: bool) -> int:
    """Name the apps on TARGET, also those of which only data is kept. On a cluster --namespace looks into one alone."""
    apps = open_target(target).apps()
    if as_json:
        output.answer_json(
            [
                {
                    "app": one.app,
                    "namespace": one.namespace or None,
                    "bundle": one.bundle,
                    "version": one.version,
                    "root": str(one.root) if one.root else None,
                    "instances": one.instances,
                }
                for one in apps
            ]
        )
        return 0
    if not apps:
        output.note(f"no apps on {target}")
        return 0
    rows: list[tuple[str, ...]] = [("APP", "NAMESPACE", "BUNDLE", "VERSION", "INSTANCES")]
    rows += [
        (one.app, one.namespace, one.bundle, one.version, str(one.instances) if one.instances else "none, data kept")
        for one in apps
    ]
    if not any(one.namespace for one in apps):
        rows = [(app, *rest) for app, _, *rest in rows]
    for line in output.table(rows, indent=""):
        output.answer(line)
    return 0
