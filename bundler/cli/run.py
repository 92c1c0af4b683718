"""bundle run: run a job now."""

from __future__ import annotations

import click

from bundler import deploy
from bundler.cli import output
from bundler.cli.deploying import carry_out
from bundler.cli.options import app_argument, duration_s, end_timeout_option, open_target, same_place, target_option


@click.command("run", short_help="Run a job of a deployed app now.")
@app_argument
@click.argument("job")
@target_option
@end_timeout_option
@click.option("--detach", "-d", is_flag=True, help="Do not wait for it to end.")
def command(app: str, job: str, *, target: str | None, timeout: str | None, detach: bool) -> int:
    """Run JOB of APP now and wait until it has ended; its log is the answer. Exit status 8 when it fails."""
    place = open_target(target)
    ready = deploy.prepare_job(place, app, job)
    if not ready.plan.steps:
        output.note(f"{job} is running already" + ("" if detach else "; waiting for that run"))
    if detach:
        from dataclasses import replace

        ready = replace(ready, plan=replace(ready.plan, ready=()))
    carry_out(ready, duration_s(timeout))
    if detach:
        output.note(f"started; bundle logs {app} {job} --target {place.name}{same_place()} --follow")
        return 0
    for line in place.logs(app, job, follow=False, since=None, tail=None):
        output.answer(line.text)
    return 0
