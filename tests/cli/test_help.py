"""The help pages: every verb and exit status, and nothing that a verb has not."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from bundler.cli.main import EXIT_CODES, VERBS, run
from bundler.errors import BundleError


def test_every_verb_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    page = capsys.readouterr().out
    for verb in VERBS:
        assert re.search(rf"^  {verb} +\S", page, re.MULTILINE), verb
        assert run([verb, "--help"]) == 0
        assert capsys.readouterr().out.startswith(f"Usage: bundle {verb}")


def test_the_help_page_names_every_exit_status() -> None:
    codes = {error.exit_code for error in BundleError.__subclasses__()} | {0, 1, 129, 130, 141, 143}
    assert {int(code) for code in re.findall(r"(?:^|, )(\d+) ", EXIT_CODES)} == codes


@pytest.mark.parametrize("arguments", [[], ["keys"]])
def test_a_command_without_its_verb_shows_the_help_page(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("Usage: bundle")
    assert "Commands:" in said.err or "Build:" in said.err


def test_the_help_pages_name_only_what_their_verbs_have(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in VERBS:
        assert run([verb, "--help"]) == 0
        page = capsys.readouterr().out
        assert ("--site" in page) == ("what the site file" in page), verb
        assert "waiting for health" not in page or verb in ("deploy", "up")


def test_the_help_page_of_open_says_that_a_forward_stays(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["open", "--help"]) == 0
    page = " ".join(capsys.readouterr().out.split())
    assert "until the command is interrupted, also with --print" in page


def test_help_does_not_pay_for_the_engine_or_for_cryptography() -> None:
    code = "import sys; from bundler.cli.main import run; run(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    paid_for = {"docker", "requests", "httpx", "cryptography"} & set(done.stderr.split())
    assert paid_for == set()
