"""bundle plan, and bundle up --dry-run: what is exact is told beside what is not."""

from __future__ import annotations

import json
import pickle
import re
import shutil
from pathlib import Path

import pytest

from bundler.cli.main import run
from bundler.cli.report import exact_lines
from bundler.model.plan import Note, Plan, Verdict
from tests.cli.conftest import write_layout
from tests.cli.terminal import away_from_one

GRAPH = """\
bundle: shop
version: "1"
services:
  store:
    image: oci:./layout
    expose: {http: 8080}
    healthcheck: {http: /}
    resources: {memory: 1GiB}
  api: {image: "oci:./layout", connect: {store: store.http}, stop_signal: SIGINT}
publish: {store: store.http}
"""


def test_what_the_graph_asks_for_is_exact_on_the_target_that_notes_nothing(tmp_path: Path, kept_target: Path) -> None:
    write_layout(tmp_path / "graph" / "layout")
    (tmp_path / "graph" / "bundle.yaml").write_text(GRAPH)
    assert run(["build", str(tmp_path / "graph"), "-o", str(tmp_path / "shop.tar")]) == 0
    plan = ("plan", str(tmp_path / "shop.tar"), "-t", "kept")
    told = json.loads(away_from_one(*plan, "--json").stdout)
    assert told["notes"] == []
    assert {"resource": "service/api", "feature": "order"} in told["exact"]
    asked = {(one["resource"], one["feature"]) for one in told["exact"] if one["resource"].startswith("service/")}
    assert asked == {
        ("service/api", "order"),
        ("service/api", "stop_signal"),
        ("service/store", "healthcheck"),
        ("service/store", "memory"),
        ("service/store", "publish store"),
        *(("service/api", "user"), ("service/store", "user")),
    }
    *_, last = lines = away_from_one(*plan).stdout.splitlines()
    assert any("load    image/api (oci:./layout)  " in line for line in lines), "store runs it too"
    assert last == "  exact: healthcheck, memory, order, platform, publish, stop_signal, user"


def test_a_feature_that_is_adapted_somewhere_is_exact_where_it_is_named() -> None:
    exact = [Note("service/a", "scale", Verdict.EXACT, ""), Note("service/a", "user", Verdict.EXACT, "")]
    notes = (Note("service/b", "scale", Verdict.ADAPTED, "one instance"),)
    assert list(exact_lines(exact, Plan((), notes))) == ["  exact: scale (service/a), user"]
    assert list(exact_lines([], Plan((), notes))) == []


def test_a_value_that_was_given_once_does_not_fall_back_without_a_word(tmp_path: Path, kept_target: Path) -> None:
    write_layout(tmp_path / "graph" / "layout")
    valued = GRAPH.replace("services:", "values: {greeting: {type: string, default: hello}}\nservices:")
    valued = valued.replace("connect:", "environment: {HI: '${values.greeting}'}, connect:")
    (tmp_path / "graph" / "bundle.yaml").write_text(valued)
    assert run(["build", str(tmp_path / "graph"), "-o", str(tmp_path / "shop.tar")]) == 0
    file = (str(tmp_path / "shop.tar"), "-t", "kept")
    given = ("--set", "values.greeting=hi\n+ create service/x")
    first = away_from_one("deploy", *file, *given)
    assert (first.returncode, "value greeting" in first.stderr) == (0, False), first.stderr
    assert "value greeting" not in away_from_one("plan", *file, *given).stdout
    told = '  value greeting: "hi\\n+ create service/x" -> "hello"\n'
    as_json = json.loads(away_from_one("plan", *file, "--json").stdout)
    assert as_json["values"] == {"greeting": {"before": "hi\n+ create service/x", "after": "hello"}}
    assert told in away_from_one("plan", *file).stdout
    assert told in away_from_one("deploy", *file).stderr
    assert "value greeting" not in away_from_one("plan", *file).stdout


def test_another_bundle_in_an_apps_place_is_told_before_the_steps(tmp_path: Path, kept_target: Path) -> None:
    write_layout(tmp_path / "graph" / "layout")
    for name, graph in (("shop", GRAPH), ("cafe", GRAPH.replace("shop", "cafe").replace('"1"', '"2"'))):
        (tmp_path / "graph" / "bundle.yaml").write_text(graph)
        assert run(["build", str(tmp_path / "graph"), "-o", str(tmp_path / f"{name}.tar")]) == 0
    shop, cafe = ((str(tmp_path / f"{name}.tar"), "-t", "kept", "--app", "mine") for name in ("shop", "cafe"))
    first = away_from_one("deploy", *shop, "--yes")
    assert "ANOTHER BUNDLE" not in first.stderr
    other = r"  ANOTHER BUNDLE: shop 1 \([0-9a-f]{12}\) is there, cafe 2 \([0-9a-f]{12}\) takes its place"
    assert re.fullmatch(other, away_from_one("plan", *cafe).stdout.splitlines()[1])
    replaced = json.loads(away_from_one("plan", *cafe, "--json").stdout)["replaces"]
    assert (replaced["bundle"], replaced["version"]) == ("shop", "1")
    assert replaced["root"].startswith("sha256:")
    assert json.loads(away_from_one("plan", *shop, "--json").stdout)["replaces"] is None
    assert re.fullmatch(other, away_from_one("deploy", *cafe, "--yes").stderr.splitlines()[1])


def test_a_dry_run_of_a_graph_is_the_plan_of_its_bundle_and_deploys_nothing(tmp_path: Path, kept_target: Path) -> None:
    write_layout(tmp_path / "graph" / "layout")
    (tmp_path / "graph" / "bundle.yaml").write_text(GRAPH)
    there = ("-t", "kept", "--app", "mine", "--set", "publish.store.port=9000")
    plan, up = ("plan", str(tmp_path / "shop.tar"), *there), ("up", str(tmp_path / "graph"), *there)
    dry = {told: away_from_one(*up, "--dry-run", *told) for told in ((), ("--json",))}
    assert pickle.loads(kept_target.read_bytes()) == {}
    left = {*tmp_path.rglob("*")}
    assert run(["build", str(tmp_path / "graph"), "-o", str(tmp_path / "shop.tar")]) == 0
    for told, done in dry.items():
        assert (done.returncode, done.stdout) == (0, away_from_one(*plan, *told).stdout), done.stderr
        assert "service/api" in done.stdout
    (tmp_path / "shop.tar").unlink()
    shutil.rmtree(tmp_path / "XDG_CACHE_HOME")
    done = away_from_one(*up, "--yes")
    assert done.returncode == 0, done.stderr
    assert {*tmp_path.rglob("*")} == left, "what up itself leaves"
    assert away_from_one(*up, "--dry-run").stdout.startswith("mine on kept: no changes\n")


def test_what_is_refused_is_the_answer_of_a_dry_run_too(
    tmp_path: Path, kept_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_layout(tmp_path / "graph" / "layout")
    (tmp_path / "graph" / "bundle.yaml").write_text(GRAPH)
    assert run(["build", str(tmp_path / "graph"), "-o", str(tmp_path / "shop.tar")]) == 0
    monkeypatch.setenv("KEPT_FOREIGN", "service/api")
    for words in (("plan", str(tmp_path / "shop.tar")), ("up", str(tmp_path / "graph"), "--dry-run")):
        done = away_from_one(*words, "-t", "kept")
        assert (done.returncode, done.stdout.splitlines()[0]) == (6, "shop on kept: refused"), done.stderr
        assert "service/api is there and not this app's" in done.stdout


def test_a_dry_run_is_of_the_variant_that_the_site_file_names(tmp_path: Path, kept_target: Path) -> None:
    write_layout(tmp_path / "graph" / "layout")
    (tmp_path / "graph" / "bundle.yaml").write_text(GRAPH)
    (tmp_path / "graph" / "variants").mkdir()
    (tmp_path / "graph" / "variants" / "acme.yaml").write_text("variant: acme\nof: shop\nservices: {api: null}\n")
    (tmp_path / "site.yaml").write_text("target: kept\nvariant: acme\n")
    dry = ("up", str(tmp_path / "graph"), "--site", str(tmp_path / "site.yaml"), "--dry-run")
    for more, api in (((), False), (("--variant", ""), True)):
        done = away_from_one(*dry, *more)
        assert (done.returncode, "service/api" in done.stdout) == (0, api), done.stderr


def test_a_site_file_that_can_be_read_once_answers_all(tmp_path: Path, kept_target: Path) -> None:
    write_layout(tmp_path / "graph" / "layout")
    (tmp_path / "graph" / "bundle.yaml").write_text(GRAPH)
    done = away_from_one("up", str(tmp_path / "graph"), "--site", "/dev/stdin", "--dry-run", stdin="target: kept\n")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "shop on kept: 4 steps"), done.stderr
