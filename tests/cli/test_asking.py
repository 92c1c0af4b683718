"""What a site must answer and does not is asked at a terminal, and nowhere else."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from bundler.cli.main import run
from tests.cli.conftest import write_layout
from tests.cli.terminal import away_from_one, talk

GRAPH = """\
bundle: shop
version: "1.0"
values: {rate: {type: number, maximum: 1, description: Share of the takings.}, size: {default: 3}}
secrets: {db: {generate: 24}, license: {}}
externals: {relay: {as: smtp}}
services:
  api:
    image: oci:./layout
    secrets: [license, db]
    connect: {mail: relay}
    environment: {RATE: "${values.rate}", MAIL: "${mail.host} ${mail.password}"}
"""


@pytest.fixture
def bundle(tmp_path: Path, kept_target: Path) -> Path:
    write_layout(tmp_path / "graph" / "layout")
    (tmp_path / "graph" / "bundle.yaml").write_text(GRAPH)
    file = tmp_path / "shop.tar"
    assert run(["build", str(tmp_path / "graph"), "-o", str(file)]) == 0
    return file


def test_what_is_missing_is_asked_and_a_second_deploy_asks_for_no_secret(bundle: Path) -> None:
    answers = [
        ("values.rate: ", "much\n"),
        ("values.rate: ", "2\n"),
        ("values.rate: ", "0.5\n"),
        ("secrets.license (not shown): ", "s3cret-license\n"),
        ("secrets.license (not shown), again: ", "s3cret-license\n"),
        ("externals.relay.host: ", "mail.example.org\n"),
        ("secrets.relay.password (not shown): ", "s3cret-relay\n"),
    ]
    status, seen = talk(answers, "deploy", str(bundle), "-t", "kept")
    assert status == 0, seen
    assert "shop needs to be told 4 things" in seen
    assert "Share of the takings." in seen
    assert 'values.rate is "much", expected a number' in seen
    assert "values.rate is 2, expected at most 1" in seen
    assert "relay lies outside and speaks smtp" in seen
    assert "bundle site init FILE writes one" in seen
    assert "s3cret" not in seen
    given = ("--set", "values.rate=0.5", "--set", "externals.relay.host=mail.example.org")
    again = away_from_one("deploy", str(bundle), "-t", "kept", *given)
    assert (again.returncode, again.stdout.splitlines()[0]) == (0, "no changes"), again.stderr
    status, seen = talk([], "deploy", str(bundle), "-t", "kept", *given)
    assert (status, "needs to be told" in seen) == (0, False)


def test_nobody_is_asked_where_nobody_is(bundle: Path) -> None:
    for words in (("plan", str(bundle)), ("up", str(bundle.parent / "graph"), "--dry-run")):
        done = away_from_one(*words, "-t", "kept")
        assert done.returncode == 2
        assert "values.rate: needs a value; the graph has no default\n    --set values.rate=…" in done.stderr


def test_what_a_dry_run_is_told_is_kept_nowhere(bundle: Path, kept_target: Path) -> None:
    given = ("--set", "values.rate=1", "--set", "externals.relay.host=a", "--set", "secrets.license.env=HOME")
    dry = ("up", str(bundle.parent / "graph"), "-t", "kept", *given, "--dry-run")
    status, seen = talk([("relay.password (not shown): ", "s3cret-relay\n")], *dry)
    assert status == 0, seen
    assert "new or changed: db, license, relay.password" in seen
    assert pickle.loads(kept_target.read_bytes()) == {}
    assert not [file for file in bundle.parent.rglob("*") if file.is_file() and b"s3cret-relay" in file.read_bytes()]


def test_yes_asks_nothing(bundle: Path) -> None:
    status, seen = talk([], "deploy", str(bundle), "-t", "kept", "--yes")
    assert status == 2
    assert ": needs a value; the graph has no default" in seen


def test_who_answers_no_more_has_changed_nothing(bundle: Path) -> None:
    status, seen = talk([("values.rate: ", "\x04")], "deploy", str(bundle), "-t", "kept")
    assert (status, "not done; nothing was changed" in seen) == (9, True)
    status, seen = talk([("values.rate: ", "\x03")], "plan", str(bundle), "-t", "kept")
    assert (status, "interrupted" in seen) == (130, True)


def test_an_empty_secret_is_asked_for_again(bundle: Path) -> None:
    given = ("--set", "values.rate=1", "--set", "externals.relay.host=a", "--set", "secrets.license.env=HOME")
    answers = [("relay.password (not shown): ", "\n"), ("relay.password (not shown): ", "x\n")]
    status, seen = talk(answers, "plan", str(bundle), "-t", "kept", *given)
    assert status == 0, seen
