"""What plan, deploy, up, run and remove have in common: consent, progress, the report afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bundler import deploy
from bundler.cli import output
from bundler.cli.answers import asked
from bundler.cli.asking import can_ask, require_yes
from bundler.cli.bundlefile import verified
from bundler.cli.options import app_name, open_target
from bundler.cli.progress import Steps
from bundler.cli.report import (
    app_json,
    app_lines,
    exact_lines,
    is_well,
    plan_json,
    plan_lines,
    replaced,
    value_lines,
)
from bundler.cli.site import read_secrets, read_site
from bundler.edges.clock import SystemClock
from bundler.errors import TargetError, UnhealthyError, UsageError
from bundler.model.observed import Observed
from bundler.model.plan import Action
from bundler.release.features import exact

if TYPE_CHECKING:
    from bundler.graphfile.source import Source
    from bundler.trust.policy import Policy


@contextmanager
def prepared(
    file: Path,
    *,
    target: str | None,
    sites: Sequence[Source],
    assignments: Sequence[str],
    app: str | None,
    trusted: Policy,
    otherwise: str | None = None,
    ask: bool = True,
) -> Iterator[tuple[deploy.Prepared, float | None]]:
    """The verified bundle, the site and the target brought together; the site's timeout in seconds.
    `otherwise` is the target where neither the command line nor the site names one. What the site must answer and does
    not is asked on a terminal, where `ask` allows it."""
    with verified(file, trusted) as (checked, reader):
        if checked.unsigned_allowed:
            output.note("warning: nobody trusted signed this bundle; accepted because of --insecure-allow-unsigned")
        site, chosen = read_site(sites, assignments, checked)
        graph = chosen.bundle.graph
        place = open_target(target or site.target or otherwise, site)
        name = app_name(app, graph.name)
        given = read_secrets(site)
        if ask and can_ask():
            site, typed = asked(site, graph, lambda: place.secrets(name))
            given = {**given, **typed}
        yield deploy.prepare(place, chosen, reader, site, given, name), site.timeout_s


def show_plan(prepared: deploy.Prepared, *, as_json: bool) -> int:
    """The plan as the answer, with what is exact; the exit status that this deserves."""
    plan, release, observed = prepared.plan, prepared.release, prepared.observed
    found = exact(release, plan) if release is not None else ()
    if as_json:
        output.answer_json(plan_json(plan, prepared.app, prepared.target.name, found, release, observed))
    else:
        planned = plan_lines(plan, prepared.app, prepared.target.name, release, observed)
        for line in (*planned, *value_lines(release, observed), *exact_lines(found, plan)):
            output.answer(line)
    return TargetError.exit_code if plan.refused else 0


def consent(prepared: deploy.Prepared, *, yes: bool) -> None:
    """Show the plan and ask on a terminal; off one, losing data needs --yes. Raises DeclinedError on a no."""
    plan = prepared.plan
    if not plan.steps:
        return
    release, observed = prepared.release, prepared.observed
    planned = plan_lines(plan, prepared.app, prepared.target.name, release, observed)
    for line in (*planned, *value_lines(release, observed)):
        output.note(line)
    if yes:
        return
    if release is not None and (there := replaced(release, observed)) is not None:
        require_yes(f"{prepared.app} is an app of bundle {there.bundle}. Replace it by {release.bundle}?")
        return
    harmless = all(step.action is not Action.REMOVE and not step.loses_data for step in plan.steps)
    if can_ask():
        if not harmless or any(step.action is Action.REPLACE for step in plan.steps):
            require_yes("Go on?")
    elif any(step.loses_data for step in plan.steps):
        raise UsageError("this loses data and nobody can be asked here", hint="read the plan above and add --yes")


def carry_out(prepared: deploy.Prepared, timeout_s: float | None) -> Observed:
    """Do it, with progress on stderr."""
    steps = Steps(prepared.release)
    try:
        return deploy.carry_out(prepared, steps, SystemClock(), timeout_s)
    finally:
        steps.close()


def report(observed: Observed, target: str, *, changes: int, as_json: bool) -> int:
    """What runs now and where its front doors are; the exit status that this deserves."""
    if as_json:
        output.answer_json({**app_json(observed, target), "changes": changes})
    else:
        if not changes:
            output.answer("no changes")
        for line in app_lines(observed, target):
            output.answer(line)
    return 0 if is_well(observed) else UnhealthyError.exit_code
