"""bundle secrets: what a target keeps for an app or a site gives, and other bytes for one. No value is shown."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from bundler.cli.main import run
from bundler.cli.site import read_secrets
from bundler.deploy import prepare_removal
from bundler.model.site import SecretSource, Site
from targets.memory import MemoryTarget
from tests.cli.conftest import write_layout
from tests.cli.terminal import away_from_one, talk

GRAPH = """\
bundle: shop
version: "1"
secrets: {db: {generate: 24}, license: {}, token: {}, spare: {generate: 8}}
services:
  store: {image: "oci:./layout", secrets: [db]}
  api:
    image: oci:./layout
    environment: {DB: "${secrets.db}", LICENSE: "${secrets.license}"}
jobs:
  count: {image: "oci:./layout", run: manual, command: ["${secrets.token}"]}
"""


@pytest.fixture
def shop(tmp_path: Path, kept_target: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """The command that deployed the app "shop", its secrets from three places."""
    write_layout(tmp_path / "graph" / "layout")
    (tmp_path / "graph" / "bundle.yaml").write_text(GRAPH)
    (tmp_path / "license.txt").write_bytes(b"s3cret-license")
    monkeypatch.setenv("TOKEN", "s3cret-token")
    assert run(["build", str(tmp_path / "graph"), "-o", str(tmp_path / "shop.tar")]) == 0
    given = ("--set", f"secrets.license.file={tmp_path / 'license.txt'}", "--set", "secrets.token.env=TOKEN")
    deploy = ("deploy", str(tmp_path / "shop.tar"), "-t", "kept", "--yes")
    done = away_from_one(*deploy, *given)
    assert done.returncode == 0, done.stderr
    return deploy


def listed() -> dict[str, dict[str, object]]:
    done = away_from_one("secrets", "list", "shop", "-t", "kept", "--json")
    assert done.returncode == 0, done.stderr
    return {row["name"]: row for row in json.loads(done.stdout)}


def kept(file: Path, name: str) -> bytes:
    value: bytes = pickle.loads(file.read_bytes())["shop"].secrets[name].value
    return value


def test_they_are_listed_with_where_they_are_from_and_who_uses_them(shop: tuple[str, ...]) -> None:
    rows = listed()
    assert {name: row["from"] for name, row in rows.items()} == {
        "db": "generated",
        "license": "file",
        "token": "env",
        "spare": "generated",
    }
    assert {name: row["goes_into"] for name, row in rows.items()} == {
        "db": ["service/api", "service/store"],
        "license": ["service/api"],
        "token": ["job/count"],
        "spare": [],
    }
    done = away_from_one("secrets", "list", "shop", "-t", "kept")
    assert done.stdout.splitlines()[0].split() == ["SECRET", "FROM", "REVISION", "GOES", "INTO"]
    assert "made at the site" in done.stdout
    assert "s3cret" not in done.stdout + done.stderr
    assert not any("s3cret" in json.dumps(row) for row in rows.values())


def test_an_app_without_volumes_is_deployed_again_where_its_removal_was_cut_off_at_the_record(
    shop: tuple[str, ...], kept_target: Path
) -> None:
    target = MemoryTarget()
    target._apps = pickle.loads(kept_target.read_bytes())
    done: set[str] = set()
    for step in prepare_removal(target, "shop", volumes=True).plan.steps:
        if set(step.after) <= done and not step.resource.startswith("record/"):
            target.apply(step, None, {}, lambda size: None)
            done.add(step.id)
    assert "remove service/api" in done
    kept_target.write_bytes(pickle.dumps(target._apps))
    again = away_from_one(*shop)
    assert again.returncode == 0, again.stderr


def test_one_that_an_interrupted_first_deploy_generated_is_listed_as_that(
    shop: tuple[str, ...], kept_target: Path
) -> None:
    apps = pickle.loads(kept_target.read_bytes())
    apps["shop"].records.clear()
    kept_target.write_bytes(pickle.dumps(apps))
    assert away_from_one(*shop).returncode == 0
    assert {name: row["from"] for name, row in listed().items()} == {
        "db": "generated",
        "license": None,
        "token": None,
        "spare": "generated",
    }


def test_a_deploy_that_gives_none_keeps_where_they_were_from(shop: tuple[str, ...]) -> None:
    before = listed()
    again = away_from_one(*shop)
    assert (again.returncode, again.stdout.splitlines()[0]) == (0, "no changes"), again.stderr
    assert listed() == before


def test_other_bytes_are_kept_and_the_next_deploy_brings_them_in(shop: tuple[str, ...], kept_target: Path) -> None:
    before = listed()
    done = away_from_one("secrets", "set", "shop", "db", "--from", "-", "-t", "kept", stdin="s3cret-db")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "shop on kept keeps other bytes for db\n"
    assert "the next deploy brings them to service/api, service/store" in done.stderr
    assert kept(kept_target, "db") == b"s3cret-db"
    assert kept(kept_target, "license") == b"s3cret-license"
    row = listed()["db"]
    assert (row["from"], row["deployed"], row["revision"] != before["db"]["revision"]) == ("set", False, True)
    again = away_from_one(*shop)
    assert again.returncode == 0, again.stderr
    assert again.stderr.startswith("shop on kept: 3 steps\n  ~ replace  service/api ")
    assert "~ replace  service/store" in again.stderr
    row = listed()["db"]
    assert (row["from"], row["deployed"]) == ("set", True)
    assert {name: one for name, one in listed().items() if name != "db"} == {
        name: one for name, one in before.items() if name != "db"
    }
    assert away_from_one(*shop).stdout.startswith("no changes\n")


def test_the_same_bytes_change_nothing(shop: tuple[str, ...], tmp_path: Path) -> None:
    done = away_from_one("secrets", "set", "shop", "license", "--from", str(tmp_path / "license.txt"), "-t", "kept")
    assert (done.returncode, done.stdout.partition(":")[0]) == (0, "no changes")


def test_what_a_site_gives_would_come_back_and_that_is_said(shop: tuple[str, ...]) -> None:
    done = away_from_one("secrets", "set", "shop", "license", "--from", "-", "-t", "kept", stdin="s3cret-other\n")
    assert done.returncode == 0
    assert "license came from a file of the site, which would bring its own again" in done.stderr
    assert "ends with a newline" in done.stderr


def test_a_job_does_not_run_on_old_and_new_bytes_at_once(shop: tuple[str, ...]) -> None:
    assert away_from_one("secrets", "set", "shop", "db", "--from", "-", "-t", "kept", stdin="x").returncode == 0
    assert away_from_one("run", "shop", "count", "-t", "kept").returncode == 0
    assert away_from_one("secrets", "set", "shop", "token", "--from", "-", "-t", "kept", stdin="x").returncode == 0
    done = away_from_one("run", "shop", "count", "-t", "kept")
    assert done.returncode == 6
    assert "job/count uses token, which was changed after the last deploy" in done.stderr


def test_at_a_terminal_it_is_typed_twice_and_shown_never(shop: tuple[str, ...], kept_target: Path) -> None:
    answers = [("db (not shown): ", "s3cret-a\n"), ("again: ", "s3cret-a\n"), ("[y/N]: ", "y\n")]
    status, seen = talk(answers, "secrets", "set", "shop", "db", "-t", "kept")
    assert (status, "s3cret" in seen) == (0, False), seen
    assert kept(kept_target, "db") == b"s3cret-a"
    answers = [("db (not shown): ", "s3cret-b\n"), ("again: ", "s3cret-b\n"), ("[y/N]: ", "n\n")]
    assert talk(answers, "secrets", "set", "shop", "db", "-t", "kept")[0] == 9
    assert kept(kept_target, "db") == b"s3cret-a"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("set", "shop", "nothing", "--from", "-"), "shop has no secret 'nothing'\n  its secrets: db, license"),
        (("set", "shop", "db"), "no bytes for db\n  --from FILE, --from - for standard input"),
        (("set", "shop", "db", "--from", "/nowhere"), "secret db: /nowhere cannot be read"),
        (("set", "shop", "db", "--from", "-"), "secret db is empty"),
        (("set", "shop", "db", "--generate", "abc"), "'abc' is not a valid length: a number from 1 to 4096"),
        (("list", "other"), "no app 'other' is recorded here\n  to see those that are: bundle list --target kept"),
    ],
)
def test_what_cannot_be_is_said(shop: tuple[str, ...], arguments: tuple[str, ...], said: str) -> None:
    done = away_from_one("secrets", *arguments, "-t", "kept")
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_an_app_whose_first_deploy_did_not_end_is_told_apart_from_none(
    shop: tuple[str, ...], kept_target: Path
) -> None:
    apps = pickle.loads(kept_target.read_bytes())
    apps["shop"].records.clear()
    kept_target.write_bytes(pickle.dumps(apps))
    done = away_from_one("secrets", "list", "shop", "-t", "kept")
    said = "shop is not recorded yet: its first deploy did not come to its end\n  run that deploy again"
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_bytes_that_no_variable_holds_are_refused_where_they_would_go_into_one(
    shop: tuple[str, ...], tmp_path: Path, kept_target: Path
) -> None:
    (tmp_path / "raw").write_bytes(b"\xff\x00")
    for name, user in (("license", "service/api"), ("token", "job/count")):
        done = away_from_one("secrets", "set", "shop", name, "--from", str(tmp_path / "raw"), "-t", "kept")
        assert done.returncode == 2
        assert f"{name} in {user}\n  give {name} as text, such as base64" in done.stderr
        again = away_from_one(*shop, "--set", f"secrets.{name}.file={tmp_path / 'raw'}")
        assert (again.returncode, f"{name} in {user}" in again.stderr) == (2, True), again.stderr
    assert (kept(kept_target, "license"), kept(kept_target, "token")) == (b"s3cret-license", b"s3cret-token")
    other = away_from_one("secrets", "set", "shop", "spare", "--from", str(tmp_path / "raw"), "-t", "kept")
    assert other.returncode == 0, other.stderr


def lose(file: Path, *names: str) -> None:
    apps = pickle.loads(file.read_bytes())
    for name in names:
        del apps["shop"].secrets[name]
    file.write_bytes(pickle.dumps(apps))


def test_what_the_target_has_lost_is_set_one_by_one_and_then_the_deploy_goes_on(
    shop: tuple[str, ...], kept_target: Path
) -> None:
    old = kept(kept_target, "db")
    lose(kept_target, "db", "spare", "license", "token")
    refused = away_from_one(*shop)
    assert refused.returncode == 6
    assert "the target has lost db, spare, kept there by an earlier deploy" in refused.stderr
    again = [f"bundle secrets set shop {name} --target kept --from ./{name}.txt" for name in ("db", "spare")]
    assert f" {' && '.join(again)}\n" in refused.stderr
    assert away_from_one("run", "shop", "count", "-t", "kept").returncode == 6
    for name, given in {"db": old.decode(), "license": "a", "token": "b"}.items():
        done = away_from_one("secrets", "set", "shop", name, "--from", "-", "-t", "kept", stdin=given)
        assert done.returncode == 0, done.stderr
    assert away_from_one(*shop).returncode == 6
    status, seen = talk([], "secrets", "set", "shop", "spare", "--generate", "8", "-t", "kept")
    assert (status, "Go on?" in seen) == (0, False), "there are no bytes to lose"
    assert len(kept(kept_target, "spare")) == 8
    done = away_from_one(*shop)
    assert done.returncode == 0, done.stderr
    assert kept(kept_target, "db") == old
    twice = away_from_one("secrets", "set", "shop", "db", "--generate", "8", "--from", "-", "-t", "kept")
    assert (twice.returncode, kept(kept_target, "db")) == (2, old)


def test_a_secret_with_a_newline_at_its_end_is_warned_of(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(value: bytes) -> str:
        (home / "secret").write_bytes(value)
        assert read_secrets(Site(secrets={"s": SecretSource(file=str(home / "secret"))})) == {"s": value}
        return capsys.readouterr().err

    assert "secret s ends with a newline" in said(b"word\n")
    assert "printf '%s'" in said(b"word\r\n")
    assert said(b"word") == said(b"-----BEGIN\nAAAA\n-----END\n") == ""
