"""bundle doctor: what is there, what is not and what it is needed for."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bundler.cli.main import run
from bundler.doctor.looks import Look, looked
from bundler.model.finding import Finding
from tests.cli.conftest import write_layout
from tests.cli.terminal import away_from_one

GRAPH = """\
bundle: shop
version: "1"
externals:
  store: {as: http}
  corpus: {as: s3}
  db: {as: postgres}
  spare: {as: smtp}
services:
  api:
    image: oci:./layout
    connect: {store: store, corpus: corpus, db: db, mail: spare}
    environment: {STORE: "${store.url}", BUCKET: "${corpus.endpoint}/${corpus.bucket}", DB: "${db.url}"}
"""
NOWHERE = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "KUBECONFIG": "/nowhere/kubeconfig"}


@pytest.fixture
def shop(tmp_path: Path, kept_target: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A graph's directory; there is neither an engine nor a cluster, only the target "kept"."""
    for name, value in NOWHERE.items():
        monkeypatch.setenv(name, value)
    write_layout(tmp_path / "graph" / "layout")
    (tmp_path / "graph" / "bundle.yaml").write_text(GRAPH)
    return tmp_path / "graph"


@pytest.fixture
def page() -> Iterator[str]:
    """HOST:PORT of a server, by an address of this machine that is not the loopback one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            pytest.skip("needs an address beside the loopback one: ip address add 192.0.2.2/24 dev …")
        host = asked.getsockname()[0]
    server = ThreadingHTTPServer((host, 0), SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"{host}:{server.server_port}"
    server.shutdown()
    server.server_close()


def findings(*words: str, status: int) -> dict[str, dict[str, Any]]:
    done = away_from_one("doctor", *words, "--json")
    assert done.returncode == status, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["well"] == (status == 0)
    return {one["what"]: one for one in told["findings"]}


def test_a_target_that_nobody_asked_for_may_lack_everything(shop: Path) -> None:
    seen = findings(status=0)
    assert seen["kept"]["ok"]
    assert (seen["docker"]["ok"], seen["docker"]["needed"]) == (False, False)
    assert (seen["k8s"]["ok"], seen["k8s"]["needed"]) == (False, False)
    assert "kubernetes" not in seen, "it is k8s by another name"
    assert seen["docker"]["hint"].startswith("start Docker")


def test_the_target_that_was_asked_for_may_not(shop: Path) -> None:
    seen = findings("-t", "docker", status=9)
    assert (seen["docker"]["ok"], seen["docker"]["needed"]) == (False, True)
    assert "k8s" not in seen
    done = away_from_one("doctor", "-t", "docker")
    assert (done.returncode, done.stderr) == (9, "missing: docker\n")
    line = next(line for line in done.stdout.splitlines() if line.startswith("  missing"))
    assert "no Docker engine answers at unix:///nowhere/docker.sock" in line


def test_keys_are_named_once_there_are_some(shop: Path) -> None:
    assert not findings(status=0)["keys"]["ok"]
    assert run(["keys", "generate", "mine"]) == 0
    assert findings(status=0)["keys"]["told"] == "trusted: mine; to sign with: mine"
    key = Path(os.environ["XDG_DATA_HOME"]) / "graphbundle/keys/mine.key"
    key.write_text("no key any more")
    broken = findings(status=9)["key mine"]
    assert (broken["ok"], broken["purpose"]) == (False, "signing bundles")


def test_a_graph_says_what_its_build_needs(shop: Path) -> None:
    text = GRAPH.replace("image: oci:./layout", "build: ./api")
    (shop / "bundle.yaml").write_text(text.replace("externals:", "externals:\n  unused: {as: tcp}"))
    seen = findings(str(shop), "-t", "kept", status=9)
    assert not seen["Docker engine"]["ok"]
    assert seen["unused (tcp)"]["ok"]


def test_externals_are_asked_where_the_site_says(shop: Path, page: str) -> None:
    site = shop / "site.yaml"
    host, _, port = page.partition(":")
    site.write_text(
        f"target: kept\nexternals:\n  store: {{url: 'http://{page}/shelf'}}\n  corpus: {{endpoint: 'https://{page}',"
        f" bucket: b}}\n  db: {{host: {host}, port: '{port}', user: u, database: d}}\n  spare: {{host: localhost}}\n"
        "secrets: {db.password: {env: NOBODY_SETS_IT}}\n"
    )
    seen = findings(str(shop), "--site", str(site), status=9)
    assert seen["store (http)"]["told"].startswith(f"{page} answers ")
    assert seen["store (http)"]["ok"]
    assert (seen["corpus (s3)"]["failure"], seen["db (postgres)"]["failure"]) == ("tls", "time")
    assert seen["corpus (s3)"]["hint"] == f"{site}:4: externals: {{corpus: {{endpoint: …}}}}, http://…"
    assert seen["spare (smtp)"]["hint"].startswith(f"{site}:6: externals: {{spare: {{host: …")
    elsewhere = findings(str(shop), "--site", str(site), "--set", "externals.spare.host=127.0.0.1", status=9)
    assert elsewhere["spare (smtp)"]["hint"].startswith("site file: externals: ")
    assert seen["spare (smtp)"]["told"] == "localhost is, inside the app, the app itself"
    text = away_from_one("doctor", str(shop), "--site", str(site)).stdout
    assert "externals, from this machine" in text


@pytest.mark.parametrize("given", ["url=http://{host}:{port}", "host={host} port={port}"])
def test_an_external_that_wants_tls_is_told_with_its_scheme(shop: Path, page: str, given: str) -> None:
    host = page.partition(":")[0]
    with socket.create_server((host, 0)) as listener:

        def alert() -> None:
            link, _ = listener.accept()
            with link:
                link.recv(4096)
                link.sendall(b"\x15\x03\x03\x00\x02\x02\x0a")

        threading.Thread(target=alert, daemon=True).start()
        said = given.format(host=host, port=listener.getsockname()[1]).split()
        sets = [word for one in said for word in ("--set", f"externals.store.{one}")]
        one = findings(str(shop), "-t", "kept", *sets, status=9)["store (http)"]
    assert one["hint"] == "site file: externals: {store: {url: …}}, https://…"


def test_a_name_that_only_a_cluster_knows_is_not_asked_here(shop: Path) -> None:
    given = ("--set", "externals.db.host=db.prod.svc.cluster.local")
    one = findings(str(shop), "-t", "kept", *given, status=9)["db (postgres)"]
    assert (one["ok"], one["needed"], one["failure"]) == (False, False, None)
    assert one["told"].startswith("not asked")


def test_what_the_site_does_not_say_is_missing(shop: Path) -> None:
    seen = findings(str(shop), "-t", "kept", status=9)
    assert seen["db (postgres)"]["hint"].startswith("site file: externals: {db: {host: …}}")
    assert seen["spare (smtp)"]["ok"], "the graph reads no address of it"


def test_an_external_that_nobody_uses_is_no_failure(shop: Path) -> None:
    text = "bundle: shop\nversion: '1'\nexternals: {old: {as: tcp}}\nservices: {api: {image: 'oci:./layout'}}\n"
    (shop / "bundle.yaml").write_text(text)
    given = ("--set", "externals.old.host=old.invalid", "--set", "externals.old.port=1")
    one = findings(str(shop), "-t", "kept", *given, status=0)["old (tcp)"]
    assert (one["ok"], one["needed"], one["failure"]) == (False, False, "name")


def test_an_address_that_is_a_secret_is_asked_and_not_shown_whole(
    shop: Path, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE", f"http://me:s3cret@{page}/")
    site = shop / "site.yaml"
    site.write_text("target: kept\nsecrets:\n  store.url: {env: STORE}\n")
    done = away_from_one("doctor", str(shop), "--site", str(site), "--json")
    one = next(one for one in json.loads(done.stdout)["findings"] if one["what"] == "store (http)")
    assert (one["ok"], one["told"].split()[0]) == (True, page)
    assert "s3cret" not in done.stdout + done.stderr


def test_a_secret_that_is_no_address_is_not_asked_and_not_shown(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "s3cret")
    given = ("--set", "externals.db.host=db.example", "--set", "secrets.db.port.env=PORT")
    one = findings(str(shop), "-t", "kept", *given, status=9)["db (postgres)"]
    assert (one["ok"], one["told"]) == (False, "not asked: db.port is no address that is known here")


def test_a_bundle_is_looked_at_as_its_graph_is(shop: Path, tmp_path: Path) -> None:
    assert run(["build", str(shop), "-o", str(tmp_path / "shop.tar")]) == 0
    seen = findings(str(tmp_path / "shop.tar"), "-t", "kept", "--set", "externals.db.host=nobody.invalid", status=9)
    assert (seen["db (postgres)"]["ok"], seen["store (http)"]["ok"]) == (False, False)


def test_answers_without_a_graph_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--set", "values.x=1"]) == 2
    assert "name its directory or bundle" in capsys.readouterr().err


def test_a_look_that_takes_too_long_is_left_and_told() -> None:
    def slow() -> Iterator[Finding]:
        yield Finding("first", "is there", "all")
        threading.Event().wait(60)

    began = time.monotonic()
    looks = [Look("there", "slow", "waiting", slow), Look("here", "quick", "all", lambda: [Finding("quick", "", "")])]
    found = looked(looks, timeout_s=0.2)
    assert time.monotonic() - began < 30
    assert [(part, one.what, one.ok) for part, one in found] == [
        ("there", "first", True),
        ("there", "slow", False),
        ("here", "quick", True),
    ]


def test_a_defect_of_a_look_is_no_finding() -> None:
    def broken() -> list[Finding]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        looked([Look("here", "broken", "all", broken)])


def test_a_key_whose_passphrase_nobody_has_given_is_no_failure(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nacl", reason="PyNaCl is missing: pip install 'graphbundle[passphrase]'")
    monkeypatch.setenv("BUNDLE_KEY_PASSWORD", "x")
    assert run(["keys", "generate", "mine"]) == 0
    monkeypatch.delenv("BUNDLE_KEY_PASSWORD")
    key = findings(status=0)["key mine"]
    assert (key["ok"], key["needed"]) == (False, False)
    assert "BUNDLE_KEY_PASSWORD" in key["hint"]


@pytest.mark.engine
def test_an_engine_and_its_compose_are_told_with_their_versions(
    tmp_path: Path, kept_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = findings("-t", "compose", status=0)
    assert "linux/" in seen["Docker engine"]["told"]
    assert seen["Docker Compose plugin"]["ok"]
    assert "Docker Compose plugin" not in findings("-t", "docker", status=0)
    program = tmp_path / "programs" / "docker"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 2.20.3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    old = findings("-t", "compose", status=9)["Docker Compose plugin"]
    assert old["told"] == "2.20.3, which is too old"
    assert "2.24" in old["hint"]


@pytest.mark.cluster
def test_a_cluster_is_told_with_its_nodes_and_the_way_to_them(kept_target: Path) -> None:
    seen = findings("-t", "k8s", status=0)
    assert seen["cluster"]["told"].startswith("Kubernetes ")
    assert seen["StorageClass"]["ok"]
    assert seen["images"]["told"] == f"into {os.environ['CONTAINERD_ADDRESS']}"
    asked = findings("-t", "k8s", "--registry", "127.0.0.1:9/site", status=9)["images"]
    assert asked["told"].endswith("127.0.0.1:9 cannot be reached: nothing listens there")
    assert not findings("-t", "k3s", status=0)["k3s"]["ok"]
    away = findings("-t", "k8s", "--containerd", "/nowhere.sock", status=9)
    assert away["cluster"]["ok"], "what was found before is told too"
    assert "/nowhere.sock" in away["k8s"]["told"]
