"""The command line without an engine: exit statuses, messages, help."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bundler.cli import output
from bundler.cli.main import EXIT_CODES, VERBS, run
from bundler.errors import BundleError

ROOT = Path(__file__).parents[1]
GRAPH = "bundle: plain\nversion: 1.0.0\nservices:\n  web: {image: 'oci:./layout', expose: {http: 80}}\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def bundle(home: Path) -> Path:
    """A bundle of a graph with configs only, so that no engine is needed."""
    write_layout(home / "graph" / "layout")
    (home / "graph" / "bundle.yaml").write_text(GRAPH)
    file = home / "plain.tar"
    assert run(["build", str(home / "graph"), "-o", str(file), "--detached"]) == 0
    return file


def write_layout(directory: Path) -> None:
    """An OCI layout with one image of one empty layer."""
    import hashlib

    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes, media_type: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    layer = put(bytes(1024), "application/vnd.oci.image.layer.v1.tar")
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": put(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
        "layers": [layer],
    }
    entry = put(json.dumps(manifest).encode(), str(manifest["mediaType"]))
    index = {"schemaVersion": 2, "manifests": [entry | {"platform": {"os": "linux", "architecture": "amd64"}}]}
    (directory / "index.json").write_text(json.dumps(index))
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def test_every_verb_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    page = capsys.readouterr().out
    for verb in VERBS:
        assert re.search(rf"^  {verb} +\S", page, re.MULTILINE), verb
        assert run([verb, "--help"]) == 0
        assert capsys.readouterr().out.startswith(f"Usage: bundle {verb}")


def test_the_help_page_names_every_exit_status() -> None:
    codes = {error.exit_code for error in BundleError.__subclasses__()} | {0, 1, 130}
    assert {int(code) for code in re.findall(r"(?:^|, )(\d+) ", EXIT_CODES)} == codes


def test_a_build_verifies_and_a_second_one_has_nothing_to_do(
    bundle: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", str(bundle)]) == 0
    before = bundle.stat()
    capsys.readouterr()
    assert run(["build", str(home / "graph"), "-o", str(bundle), "--detached", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unchanged"] is True
    assert (bundle.stat().st_mtime_ns, bundle.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert bundle.with_name("plain.tar.sig").is_file()


def test_two_hundred_flipped_bits_are_all_refused(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, chance = bytearray(bundle.read_bytes()), random.Random(11)
    for _ in range(200):
        bit = chance.randrange(len(data) * 8)
        data[bit // 8] ^= 1 << bit % 8
        bundle.write_bytes(data)
        assert run(["verify", str(bundle)]) == 5
        said = capsys.readouterr()
        assert said.out == ""
        assert "Traceback" not in said.err
        data[bit // 8] ^= 1 << bit % 8


def test_another_machine_refuses_until_it_trusts_the_key(
    bundle: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run(["keys", "export"]) == 0
    (home / "maker.pub").write_text(capsys.readouterr().out)
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "elsewhere"))
    assert run(["verify", str(bundle)]) == 5
    assert run(["verify", str(bundle), "--insecure-allow-unsigned"]) == 0
    assert run(["verify", str(bundle), "--key", str(home / "maker.pub")]) == 0
    assert run(["keys", "trust", str(home / "maker.pub")]) == 0
    assert run(["verify", str(bundle)]) == 0


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["chek"], 2, "Did you mean 'check'?"),
        (["check", "/nowhere"], 2, "there is no graph at /nowhere"),
        (["verify", "/nowhere.tar"], 2, "there is no file /nowhere.tar"),
        (["verify", "/etc/passwd"], 5, "/etc/passwd: not a bundle"),
        (["deploy", "FILE"], 2, "no target named"),
        (["deploy", "FILE", "--target", "dokcer"], 2, "did you mean 'docker'?"),
        (["deploy", "FILE", "--target", "docker", "--timeout", "soon"], 2, "--timeout soon: not a duration"),
        (["build", "GRAPH", "--platform", "linux"], 2, "not a platform: 'linux'"),
        (["build", "GRAPH", "--platform", "linux/arm64"], 4, "arm64"),
        (["keys", "trust", "FILE"], 5, "not a public key in PEM"),
    ],
)
def test_a_wrong_call_says_what_and_how(
    bundle: Path, home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, said: str
) -> None:
    capsys.readouterr()
    named = {"FILE": str(bundle), "GRAPH": str(home / "graph")}
    assert run([named.get(one, one) for one in arguments]) == status
    assert said in capsys.readouterr().err


def test_an_engine_that_is_not_there_is_a_target_error(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    for arguments in (["list", "-t", "docker"], ["deploy", str(bundle), "-t", "compose"]):
        assert run(arguments) == 6
        assert "no Docker engine answers at unix:///nowhere.sock" in capsys.readouterr().err


def test_the_check_of_a_broken_graph_is_json_on_request(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "bundle.yaml").write_text(GRAPH.replace("expose", "expos"))
    assert run(["check", str(home), "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["valid"] is False
    assert told["problems"][0]["line"] == 4


def test_nothing_can_drive_the_terminal() -> None:
    assert output.clean("a\x1b]0;title\x07b\r\u202ec\n") == "a\\x1b]0;title\\x07b\\x0d\\u202ec\n"
    assert output.clean("ümläut → 語") == "ümläut → 語"


def test_help_does_not_pay_for_the_engine_or_for_cryptography() -> None:
    code = "import sys; from bundler.cli.main import run; run(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    paid_for = {"docker", "requests", "httpx", "cryptography"} & set(done.stderr.split())
    assert paid_for == set()
