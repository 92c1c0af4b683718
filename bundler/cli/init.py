"""bundle init: the beginning of a graph."""

from __future__ import annotations

import os
from pathlib import Path

import click

from bundler.cli import output
from bundler.errors import UsageError, typed

TEMPLATES = Path(__file__).parents[1] / "templates"
_SUMMARIES = {
    "web": "a page that counts its visitors, and PostgreSQL",
    "nlp": "a search over your own texts: a job, a page, PostgreSQL",
    "train": "a training job, and TensorBoard",
    "empty": "a graph without anything in it",
}
_KEPT = ("README.md", ".gitignore")  # of a project that is there
_NAME = "my-system"  # what every template is called, and says of itself


@click.command("init", short_help="Begin a graph: a bundle.yaml that works, small and commented.")
@click.argument("directory", type=click.Path(path_type=Path), default=Path())
@click.option(
    "--template",
    type=click.Choice(list(_SUMMARIES)),
    default="web",
    show_default=True,
    help="; ".join(f"{name}: {summary}" for name, summary in _SUMMARIES.items()) + ".",
)
def command(directory: Path, *, template: str) -> int:
    """Begin a graph in DIRECTORY, which is made where it is not there: a commented bundle.yaml, a program of its own
    with all it is built of, a README and a .gitignore. Nothing that is there is written over: a README.md and a
    .gitignore are kept, and anything else of a name that is needed is an error.

    \b
    bundle init shop --template web
    bundle up shop
    """
    from bundler.edges.files import failure, write_atomic

    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory} is there and is no directory", hint="name another one")
    if directory.resolve() == Path(directory.resolve().anchor):
        raise UsageError(
            "/ is the root of the file system", hint="a graph wants a directory of its own: bundle init NAME"
        )
    called = _name(directory)
    files = _files(template, called or _NAME)
    there = [name for name in files if os.path.lexists(directory / name)]
    needed = dict.fromkeys(parent.as_posix() for name in files for parent in Path(name).parents[:-1])
    taken = [name for name in needed if os.path.lexists(directory / name) and not (directory / name).is_dir()]
    if taken := [*(name for name in there if name not in _KEPT), *taken]:
        raise UsageError(
            f"{directory} has {', '.join(taken)} already; nothing was written", hint="name an empty or a new directory"
        )
    for name, text in files.items():
        if name in there:
            continue
        try:
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise failure(error, (directory / name).parent, "making the directory") from error
        write_atomic(directory / name, text.encode())
        output.answer(str(directory / name))
    where = "" if directory == Path() else f" {typed(directory)}"
    output.note(f"made {_SUMMARIES[template]}")
    if called is None:
        output.note(f"  called {_NAME}, as a graph's name begins with a letter; to change it: `bundle:` in bundle.yaml")
    if there:
        output.note(f"  kept as it was: {', '.join(there)}")
    if template == "empty":
        output.note(f"  bundle add postgres{where}    a database; bundle components names all there is")
        output.note(f"  bundle explain{' ' * (len(where) + 5)}    what may stand in a graph")
    else:
        output.note(f"  bundle check{where}           is it right?")
        output.note(f"  bundle up{where}              builds it and runs it on this machine's Docker")
    return 0


def _files(template: str, name: str) -> dict[str, str]:
    """The texts of a template by path, .gitignore among them; the graph is called `name` in all of them."""
    folder = TEMPLATES / template
    texts = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8").replace(_NAME, name)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }
    return {**texts, ".gitignore": (TEMPLATES / "gitignore").read_text(encoding="utf-8")}


def _name(directory: Path) -> str | None:
    """The directory's, as far as a graph may be called so; None where nothing of it is of use."""
    from bundler.graphfile import forms

    return forms.as_name(directory.resolve().name, 40)
