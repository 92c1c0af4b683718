"""bundle render: the files a person would read or keep."""

from __future__ import annotations

from pathlib import Path

import click

from bundler import release as releasing
from bundler.cli import output
from bundler.cli.bundlefile import policy, verified
from bundler.cli.options import (
    app_name,
    app_option,
    file_argument,
    key_option,
    open_target,
    parsed_platform,
    site_options,
    target_option,
    unsigned_option,
)
from bundler.cli.site import read_site, site_sources
from bundler.edges.files import failure, write_atomic
from bundler.errors import UsageError
from bundler.graphfile.site import lacks
from bundler.model.observed import Host, Observed


@click.command("render", short_help="Print the files a deploy stands for (manifests, compose document, script).")
@file_argument
@target_option
@site_options
@app_option
@key_option
@unsigned_option
@click.option("--platform", default="linux/amd64", show_default=True, help="The target's platform.")
@click.option(
    "--output", "-o", "directory", type=click.Path(path_type=Path), metavar="DIR", help="Write the files there."
)
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
    platform: str,
    directory: Path | None,
) -> int:
    """Print what a deploy of FILE on TARGET stands for, without looking at the target. No secret is in it, and none
    need be given."""
    with verified(file, policy(key, allow_unsigned=insecure_allow_unsigned)) as (checked, reader):
        site, chosen = read_site(site_sources(sites, variant), assignments, checked)
        graph = chosen.bundle.graph
        place = open_target(target, site)
        name = app_name(app, graph.name)
        wanted = parsed_platform(platform)
        nowhere = Observed(name, Host(wanted, "none", ""))
        lacking = [lack.path[1] for lack in lacks(site, graph) if lack.path[0] == "secrets"]
        unread = dict.fromkeys([*site.secrets, *lacking], b"")  # nothing that is shown holds a byte of them
        inputs = releasing.Inputs(name, chosen, reader, site, nowhere, unread, {}, revision=lambda: "0" * 16)
        files = place.render(releasing.release(inputs).release.of_platform(wanted), reader)
    if directory is None:
        for number, (path, text) in enumerate(files.items()):
            if len(files) > 1:
                output.answer(f"{'' if number == 0 else chr(10)}# --- {path}")
            output.answer_text(text if text.endswith("\n") else text + "\n")
        return 0
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UsageError(f"{directory} is there and is no directory", hint="-o takes a directory for files") from error
    except OSError as error:
        raise failure(error, directory, "making the directory") from error
    for path, text in files.items():
        write_atomic(directory / path, text.encode())
        output.note(f"wrote {directory / path}")
    return 0
