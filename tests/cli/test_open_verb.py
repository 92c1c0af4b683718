"""bundle open: which front door, and how to name another."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from bundler.cli.main import run
from tests.cli.conftest import write_layout
from tests.cli.terminal import away_from_one

GRAPH = """\
bundle: shop
version: "1"
services: {web: {image: "oci:./layout", expose: {http: 80, admin: 81}}}
publish: {ui: web.http, admin: web.admin}
"""


@pytest.fixture(autouse=True)
def _shop(tmp_path: Path, kept_target: Path) -> None:
    write_layout(tmp_path / "graph" / "layout")
    (tmp_path / "graph" / "bundle.yaml").write_text(GRAPH)
    assert run(["build", str(tmp_path / "graph"), "-o", str(tmp_path / "shop.tar")]) == 0
    assert away_from_one("deploy", str(tmp_path / "shop.tar"), "-t", "kept", "--yes").returncode == 0


def test_the_first_of_several_front_doors_is_named_beside_the_others() -> None:
    first = away_from_one("open", "shop", "-t", "kept", "--print")
    assert first.stderr == "the front door admin; there is also ui: bundle open shop ui --target kept\n"
    other = away_from_one("open", "shop", "ui", "-t", "kept", "--print")
    assert (first.returncode, other.returncode, other.stderr) == (0, 0, "")
    assert first.stdout != other.stdout


def test_an_app_whose_first_deploy_did_not_end_is_told_so(kept_target: Path) -> None:
    apps = pickle.loads(kept_target.read_bytes())
    apps["shop"].records.clear()
    kept_target.write_bytes(pickle.dumps(apps))
    done = away_from_one("open", "shop", "-t", "kept", "--print")
    assert (done.returncode, "shop is not recorded yet" in done.stderr) == (2, True), done.stderr
