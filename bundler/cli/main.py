"""The `bundle` command: finds the verb, runs it, turns every error into one message and one exit status."""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import click
from click.shell_completion import CompletionItem

from bundler import __version__
from bundler.cli import output
from bundler.errors import BundleError, DeclinedError, UsageError

# verb -> (module, group of the help page); a verb's module is imported only when it is used
VERBS: dict[str, tuple[str, str]] = {
    "init": ("init", "Write"),
    "explain": ("explain", "Write"),
    "add": ("add", "Write"),
    "components": ("components", "Write"),
    "check": ("check", "Write"),
    "diff": ("diff", "Write"),
    "graph": ("picture", "Write"),
    "import": ("importing", "Write"),
    "build": ("build", "Build"),
    "up": ("up", "Build"),
    "verify": ("verify", "Bundles"),
    "inspect": ("inspect", "Bundles"),
    "keys": ("keys", "Bundles"),
    "doctor": ("doctor", "Deploy"),
    "site": ("sites", "Deploy"),
    "plan": ("plan", "Deploy"),
    "deploy": ("deploy", "Deploy"),
    "render": ("render", "Deploy"),
    "list": ("list", "Apps"),
    "status": ("status", "Apps"),
    "logs": ("logs", "Apps"),
    "run": ("run", "Apps"),
    "open": ("open", "Apps"),
    "secrets": ("secrets", "Apps"),
    "remove": ("remove", "Apps"),
    "completion": ("completion", "Shell"),
}

EXIT_CODES = (
    "0 done, 1 a defect of bundle, 2 usage, 3 graph invalid, 4 source or registry, 5 trust, "
    "6 target refused, 7 stopped part-way (run it again), 8 not healthy, 9 not done (the answer was no), "
    "129 its terminal was closed, 130 interrupted, 141 nobody reads the output, 143 terminated"
)


_LEFT = "; nothing half-written is left, and the same command goes on from here"
_WATCHING = frozenset({"logs", "open"})  # they end when they are ended, and write nothing
_NO_ARGUMENTS: type[Exception] | tuple[()] = getattr(click.exceptions, "NoArgsIsHelpError", ())  # click 8.2 has it


class Terminated(BaseException):
    """Somebody asked the process to end (SIGTERM), or its terminal is gone (SIGHUP): it cleans up as after Ctrl-C."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.exit_code = 128 + signal_number


class Verbs(click.Group):
    """A group whose commands are loaded when they are asked for, listed by what they are for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"bundler.cli.{VERBS[cmd_name][0]}").command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Verbs with what they are for; loading all of them for their help would take a third of a second."""
        verbs = [CompletionItem(verb, help=group) for verb, (_, group) in VERBS.items() if verb.startswith(incomplete)]
        return [*verbs, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = output.nearest(args[0], VERBS)
            if near and args[0] not in VERBS:
                raise click.UsageError(f"{error.message} Did you mean {near!r}?", ctx) from error
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for group in dict.fromkeys(group for _, group in VERBS.values()):
            rows = []
            for verb in (name for name, (_, of) in VERBS.items() if of == group):
                command = self.get_command(ctx, verb)
                rows.append((verb, command.get_short_help_str(90) if command else ""))
            with formatter.section(group):
                formatter.write_dl(rows)


@click.command(
    cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]}, epilog=f"Exit status: {EXIT_CODES}."
)
@click.version_option(__version__, prog_name="bundle")
@click.option("--debug", is_flag=True, help="Show the stack trace of an error.")
def bundle(*, debug: bool) -> None:
    """Describe a system as one graph, pack it into one signed bundle, deploy it unchanged.

    The answer is on standard output, everything else on standard error.
    """


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the console script."""
    signal.signal(signal.SIGTERM, _terminated)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # nohup ignores it, and so do we then
        signal.signal(signal.SIGHUP, _terminated)
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run one command line; its exit status. Never raises."""
    debug = "--debug" in arguments[:1] or bool(os.environ.get("BUNDLE_DEBUG"))
    if not _all_streams():
        output.error("standard output is closed", "give the answer a place, such as >/dev/null")
        return UsageError.exit_code
    answers = sys.stdout
    left = "" if _WATCHING & {next((word for word in arguments if not word.startswith("-")), "")} else _LEFT
    try:
        result = bundle.main(arguments, prog_name="bundle", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except Terminated as ended:
        output.error(f"terminated{left}")
        return ended.exit_code
    except (KeyboardInterrupt, click.exceptions.Abort):
        output.error(f"interrupted{left}")
        return 130
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        if context is not None and isinstance(error, _NO_ARGUMENTS):
            output.note(context.get_help())
            return 2
        hint = f"{context.command_path} --help" if context else None
        if context and (context.command.name, getattr(error, "option_name", "")) == ("deploy", "--dry-run"):
            hint = "to see what it would do: bundle plan"
        output.error(error.format_message(), hint)
        return 2
    except BrokenPipeError:
        output.silence(answers)
        return 141
    except SystemExit:
        if sys.stdout is answers:
            raise
        output.silence(answers)  # click takes the stream away and ends the program where its reader has gone
        return 141
    except DeclinedError as error:
        output.note(error.what)
        return error.exit_code
    except BundleError as error:
        if debug:
            raise
        for problem in getattr(error, "problems", ()):
            output.problem(problem)
        output.error(error.what, error.hint)
        return error.exit_code
    except Exception as error:
        if debug:
            raise
        if of_file := _of_file(error):
            output.error(*of_file)
            return UsageError.exit_code
        output.error(
            f"a defect of bundle {__version__}: {type(error).__name__}: {error}",
            f"please report it with the output of: bundle --debug {' '.join(arguments)}",
        )
        return 1


def _of_file(error: Exception) -> tuple[str, str] | None:
    """What is wrong with a file, and what to do; None of an error that names no file, and so is the program's."""
    if isinstance(error, OSError) and error.filename:
        whose = "as another user, or with another place" if isinstance(error, PermissionError) else "name another place"
        return f"{os.fsdecode(error.filename)}: {error.strerror}", whose
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop from "):  # of Path.resolve
        path = str(error).removeprefix("Symlink loop from ").strip("'")
        return f"{path}: a link that leads to itself", "name another place"
    return None


def _terminated(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)  # a second one ends it at once
    raise Terminated(number)


def _all_streams() -> bool:
    """Open what the caller closed, so that no file gets its number; whether there is a standard output."""
    answered = sys.stdout is not None
    nowhere = Path(os.devnull)
    sys.stdin = nowhere.open(encoding="utf-8") if sys.stdin is None else sys.stdin
    sys.stdout = nowhere.open("w", encoding="utf-8") if sys.stdout is None else sys.stdout
    sys.stderr = nowhere.open("w", encoding="utf-8") if sys.stderr is None else sys.stderr
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")  # a terminal of another encoding lacks some characters
    return answered
