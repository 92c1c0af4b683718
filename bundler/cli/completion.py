"""bundle completion: the shell completes verbs, options and names."""

from __future__ import annotations

import sys

import click
from click.shell_completion import ShellComplete, get_completion_class

from bundler.cli import output

_INTO = {
    "bash": 'into ~/.bashrc: eval "$(bundle completion bash)"',
    "zsh": 'into ~/.zshrc, behind compinit: eval "$(bundle completion zsh)"',
    "fish": "once: bundle completion fish > ~/.config/fish/completions/bundle.fish",
}


@click.command("completion", short_help="Print what makes a shell complete the words of bundle.")
@click.argument("shell", type=click.Choice(list(_INTO)))
@click.pass_context
def command(context: click.Context, shell: str) -> int:
    """Print the script by which SHELL completes verbs, options, targets, components, keys, variants, and the apps of a
    target that is named before them (bundle status -t docker …) and answers within a second. No other is asked.

    \b
    bash   eval "$(bundle completion bash)" in ~/.bashrc
    zsh    eval "$(bundle completion zsh)" in ~/.zshrc, behind compinit
    fish   bundle completion fish > ~/.config/fish/completions/bundle.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"this click knows no {shell}", context)
    script = kind(context.find_root().command, {}, "bundle", "_BUNDLE_COMPLETE")
    output.answer_text(ShellComplete.source(script).strip() + "\n")  # without bash's own, which starts a bash to ask
    if sys.stdout.isatty():
        output.note(_INTO[shell])
    return 0
