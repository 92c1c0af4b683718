"""The command line without an engine: exit statuses, messages, help."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import pty
import random
import re
import select
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import pytest

from bundler.cli import output, progress
from bundler.cli.main import EXIT_CODES, VERBS, run
from bundler.cli.options import same_place, where
from bundler.cli.site import read_secrets
from bundler.errors import BundleError
from bundler.model.site import SecretSource, Site

ROOT = Path(__file__).parents[1]
BUNDLE = (sys.executable, "-c", "from bundler.cli.main import main; main()")
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


def write_layout(directory: Path, architectures: tuple[str, ...] = ("amd64",)) -> None:
    """An OCI layout with one image of one empty layer."""
    import hashlib

    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes, media_type: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    layer = put(bytes(1024), "application/vnd.oci.image.layer.v1.tar")
    entries = []
    for architecture in architectures:
        platform = {"os": "linux", "architecture": architecture}
        config = platform | {"rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": put(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
            "layers": [layer],
        }
        entry = put(json.dumps(manifest).encode(), str(manifest["mediaType"]))
        entries.append(entry | {"platform": platform})
    kind = "application/vnd.oci.image.index.v1+json"
    if len(entries) > 1:
        entries = [put(json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": entries}).encode(), kind)]
    index = {"schemaVersion": 2, "manifests": entries}
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
    codes = {error.exit_code for error in BundleError.__subclasses__()} | {0, 1, 129, 130, 141, 143}
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
        (["check", "/dev/null"], 2, "/dev/null is no regular file"),
        (["check", "/nowhere"], 2, "there is no graph at /nowhere"),
        (["verify", "/nowhere.tar"], 2, "there is no file /nowhere.tar"),
        (["verify", "/etc/passwd"], 5, "/etc/passwd: neither a bundle nor a library"),
        (["deploy", "FILE"], 2, "no target named"),
        (["deploy", "FILE", "--target", "dokcer"], 2, "did you mean 'docker'?"),
        (["deploy", "FILE", "--target", "docker", "--timeout", "soon"], 2, "--timeout soon: not a duration"),
        (["logs", "app", "-t", "docker", "--since", "yesterday"], 2, "how long ago: 10m"),
        (["logs", "app", "-t", "docker", "--since", ""], 2, "neither a time nor a duration"),
        (["logs", "app", "-t", "docker", "--since", "1795489200"], 2, "neither a time nor a duration"),
        (["logs", "app", "-t", "docker", "--since", "9999-12-31T23:59:59-23:59"], 2, "neither a time nor a duration"),
        (["build", "GRAPH", "--platform", "linux"], 2, "not a platform: 'linux'"),
        (["build", "GRAPH", "--platform", "linux/arm64"], 4, "arm64"),
        (["build", "GRAPH", "--mirror", "docker.io"], 2, "--mirror docker.io: it is written REGISTRY=HOST/PATH"),
        (["up", "GRAPH", "--mirror", "docker.io=mirror"], 2, "begins with a host: 'mirror'"),
        (
            ["build", "GRAPH", "--mirror", "docker.io=a.example", "--mirror", "index.docker.io=b.example/x"],
            2,
            "--mirror: docker.io has two, a.example and b.example/x",
        ),
        (["keys", "trust", "FILE"], 5, "FILE: not a public key in PEM\n  bundle keys export"),
        (["import", "compse"], 2, "Did you mean 'compose'?"),
    ],
)
def test_a_wrong_call_says_what_and_how(
    bundle: Path, home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, said: str
) -> None:
    capsys.readouterr()
    named = {"FILE": str(bundle), "GRAPH": str(home / "graph")}
    assert run([named.get(one, one) for one in arguments]) == status
    assert said.replace("FILE", str(bundle)) in capsys.readouterr().err


def program(*arguments: str, shell: str = '"$@"', **changes: Any) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own, run by a line of the shell."""
    argv = ["bash", "-c", shell, "bash", *BUNDLE, *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False, **changes)


@pytest.mark.parametrize(
    ("shell", "status", "said"),
    [
        ('"$@" >/dev/full', 7, "standard output: writing failed: No space left on device"),
        ('"$@" >&-', 2, "standard output is closed"),
        ('"$@" 2>/dev/full >/dev/null', 0, ""),
        ('"$@" 2>&- >/dev/null', 0, ""),
        ('"$@" <&- >/dev/null', 0, ""),
    ],
)
def test_an_output_that_takes_nothing_more_has_an_exit_status(
    bundle: Path, home: Path, shell: str, status: int, said: str
) -> None:
    done = program("inspect", str(bundle), "--json", shell=shell)
    assert (done.returncode, "Traceback" in done.stderr, "defect" in done.stderr) == (status, False, False)
    assert said in done.stderr


@pytest.mark.parametrize(
    "arguments", [["inspect", "FILE"], ["inspect", "FILE", "--json"], ["keys", "export"], ["--help"]]
)
def test_a_reader_that_has_gone_is_told_nothing(bundle: Path, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    argv = [*BUNDLE, *(str(bundle) if one == "FILE" else one for one in arguments)]
    done = subprocess.run(argv, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_an_error_has_its_status_though_nobody_can_be_told(home: Path) -> None:
    assert program("verify", "/nowhere.tar", shell='"$@" 2>/dev/full').returncode == 2
    assert program("verify", "/nowhere.tar", shell='"$@" 2>&-').returncode == 2


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP])
def test_a_build_that_is_terminated_cleans_up(bundle: Path, home: Path, ending: signal.Signals) -> None:
    text = GRAPH.replace("services:", "models: {m: {from: ./weights}}\nservices:").replace(
        "expose", "models: [m:/m], expose"
    )
    (home / "graph" / "bundle.yaml").write_text(text)
    (home / "graph" / "weights").mkdir()
    with (home / "graph" / "weights" / "w.safetensors").open("wb") as file:
        file.truncate(1 << 30)
    before = bundle.read_bytes()
    line = f"import signal; signal.signal({ending:d}, signal.SIG_DFL); from bundler.cli.main import main; main()"
    argv = [sys.executable, "-c", line, "build", str(home / "graph"), "-o", str(bundle)]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as building:
        while building.poll() is None and not list(home.glob(".plain.tar.*.part")):
            time.sleep(0.01)
        building.send_signal(ending)
        _, said = building.communicate()
    assert building.returncode == 128 + ending
    assert said == "error: terminated; nothing half-written is left, and the same command goes on from here\n"
    assert bundle.read_bytes() == before
    assert not list(home.glob(".plain.tar.*"))


def answering(answer: bytes, *arguments: str) -> tuple[int, str]:
    """Exit status, and all that is seen, of the command on a terminal at which somebody types `answer`."""
    child, terminal = pty.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever runs the tests may ignore it
        os.execv(sys.executable, [*BUNDLE, *arguments])
    seen = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while True:
            if select.select([terminal], [], [], 0.5)[0]:
                seen += os.read(terminal, 4096)
            elif b"[y/N]: " in seen:
                os.write(terminal, answer)  # once more, where it came before anybody listened
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), seen.decode()


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (b"n\n", 9, "not done; nothing was changed"),
        (b"\n", 9, "not done; nothing was changed"),
        (b"\x04", 9, "not done; nothing was changed"),
        (b"\x03", 130, "interrupted"),
        (b"y\n", 0, "removed default"),
    ],
    ids=["n", "enter", "ctrl-d", "ctrl-c", "y"],
)
def test_an_answer_of_no_is_no_interruption(bundle: Path, home: Path, answer: bytes, status: int, said: str) -> None:
    found, seen = answering(answer, "keys", "remove", "default")
    assert said in seen
    assert found == status
    assert (home / "data/graphbundle/keys/default.key").exists() == (status != 0)


def test_where_nobody_can_be_asked_the_way_on_is_named(bundle: Path, home: Path) -> None:
    done = program("keys", "remove", "default", stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "add --yes" in done.stderr
    assert (home / "data/graphbundle/keys/default.key").exists()


@pytest.mark.parametrize("arguments", [[], ["keys"]])
def test_a_command_without_its_verb_shows_the_help_page(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("Usage: bundle")
    assert "Commands:" in said.err or "Build:" in said.err


def test_rendering_says_what_is_wrong_with_its_place(
    bundle: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(directory: Path) -> str:
        capsys.readouterr()
        assert run(["render", str(bundle), "-t", "docker", "-o", str(directory)]) == 2
        return capsys.readouterr().err

    assert f"{bundle} is there and is no directory" in refused(bundle)
    assert "making the directory failed" in refused(bundle / "below")
    assert "making the directory failed" in refused(Path("/proc/nothing"))
    assert run(["render", str(bundle), "-t", "docker", "--platform", "linux"]) == 2
    assert "linux/arm64" in capsys.readouterr().err


def test_rendering_goes_where_the_site_says(
    bundle: Path, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("target: k8s\nnamespace: there\n")
    capsys.readouterr()
    assert run(["render", str(bundle), "--site", str(site)]) == 0
    assert "  namespace: there\n" in capsys.readouterr().out
    assert run(["render", str(bundle), "--site", str(site), "--namespace", "here"]) == 0
    assert "  namespace: here\n" in capsys.readouterr().out


@pytest.mark.parametrize("target", ["k8s", "docker", "compose"])
def test_a_variant_that_leaves_everything_out_can_be_read(
    home: Path, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    write_layout(home / "graph" / "layout")
    (home / "graph" / "bundle.yaml").write_text(GRAPH)
    (home / "graph" / "variants").mkdir()
    (home / "graph" / "variants" / "bare.yaml").write_text("variant: bare\nof: plain\nservices: {web: null}\n")
    file = str(home / "bare.tar")
    assert run(["build", str(home / "graph"), "-o", file, "--variant", "bare"]) == 0
    assert run(["render", file, "-t", target, "--variant", "bare"]) == 0
    assert "web" not in capsys.readouterr().out.partition("name:")[2]


def test_a_bundle_shows_also_what_only_variants_have(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_layout(home / "graph" / "layout")
    write_layout(home / "graph" / "another", ("arm64", "amd64"))
    (home / "graph" / "bundle.yaml").write_text(GRAPH)
    (home / "graph" / "variants").mkdir()
    for name in ("acme", "bob"):
        service = "more: {image: 'oci:./another'}"
        text = f"variant: {name}\nof: plain\nservices: {{{service}}}\nconfigs: {{own: {{content: {name}}}}}\n"
        (home / "graph" / "variants" / f"{name}.yaml").write_text(text)
    file = str(home / "both.tar")
    platforms = ("--platform", "linux/amd64")
    assert run(["build", str(home / "graph"), "-o", file, *platforms, "--variant", "acme", "--variant", "bob"]) == 0
    capsys.readouterr()
    assert run(["inspect", file]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-2:] for line in lines if line.startswith("  more ")] == [["acme,", "bob"]]
    assert [line.split()[-2:] for line in lines if line.startswith("  own ")] == [["only", "acme"], ["only", "bob"]]
    assert [line.split() for line in lines if "+config" in line] == [
        [one, "+more", "+config", "own"] for one in ("acme", "bob")
    ]
    assert run(["inspect", file, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["only_in"]) for one in told["images"]] == [("web", []), ("more", ["acme", "bob"])]
    assert [one["only_in"] for one in told["configs"]] == [["acme"], ["bob"]]


def test_a_bundle_shows_what_one_variant_has(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_layout(home / "graph" / "layout")
    write_layout(home / "graph" / "another", ("arm64", "amd64"))
    (home / "graph" / "bundle.yaml").write_text(GRAPH)
    (home / "graph" / "variants").mkdir()
    for name in ("acme", "bob"):
        text = f"variant: {name}\nof: plain\nservices: {{web: null, {name}s: {{image: 'oci:./another'}}}}\n"
        (home / "graph" / "variants" / f"{name}.yaml").write_text(text)
    file = str(home / "both.tar")
    assert run(["build", str(home / "graph"), "-o", file, "--variant", "acme", "--variant", "bob"]) == 0
    capsys.readouterr()
    assert run(["inspect", file, "--variant", "acme"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("plain 1.0.0, the variant acme  ")
    assert "  acmes  image acmes" in page
    assert "bob" not in page
    assert "web" not in page
    assert run(["inspect", file, "--variant", "acme", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["variant"], list(told["graph"]["services"]), told["variants"]) == ("acme", ["acmes"], {})
    assert [(one["name"], one["only_in"]) for one in told["images"]] == [("acmes", [])]
    assert run(["inspect", file, "--variant", "acne"]) == 2
    assert "holds no variant 'acne'\n  it holds: acme, bob\n" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["k8s", "docker", "compose"])
def test_rendering_is_for_the_platform_that_is_named(
    home: Path, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    write_layout(home / "graph" / "layout", ("amd64", "arm64"))
    (home / "graph" / "bundle.yaml").write_text(GRAPH)
    file, both = str(home / "both.tar"), ("--platform", "linux/amd64", "--platform", "linux/arm64")
    assert run(["build", str(home / "graph"), "-o", file, *both]) == 0
    pages = {}
    for architecture in ("amd64", "arm64"):
        capsys.readouterr()
        assert run(["render", file, "-t", target, "--platform", f"linux/{architecture}"]) == 0
        pages[architecture] = capsys.readouterr().out
    assert pages["amd64"] != pages["arm64"]
    if target == "k8s":
        for architecture, page in pages.items():
            assert f"kubernetes.io/arch: {architecture}\n" in page


def test_a_build_warns_of_lints_where_something_changed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_layout(home / "graph" / "layout")
    (home / "graph" / "bundle.yaml").write_text(GRAPH)
    (home / "graph" / "variants").mkdir()
    (home / "graph" / "variants" / "wrong.yaml").write_text("of no interest to a build without it: x\n")
    file = str(home / "plain.tar")
    assert run(["build", str(home / "graph"), "-o", file]) == 0
    assert "B107" not in capsys.readouterr().err  # what a variant may use is not known
    (home / "graph" / "variants" / "wrong.yaml").unlink()
    (home / "graph" / "bundle.yaml").write_text(GRAPH + "# changed\n")
    assert run(["build", str(home / "graph"), "-o", file]) == 0
    warning = f"warning: {home}/graph/bundle.yaml:4:3: B107 nothing reaches the service web\n"
    assert warning in capsys.readouterr().err
    assert run(["build", str(home / "graph"), "-o", file]) == 0
    assert "warning" not in capsys.readouterr().err


def test_rendering_reads_no_secret(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And a target without Kubernetes Secrets says so before it is looked at."""
    write_layout(home / "graph" / "layout")
    (home / "graph" / "bundle.yaml").write_text(GRAPH.replace("services:", "secrets: {a: {}, b: {}, c: {}}\nservices:"))
    (home / "site.yaml").write_text("secrets: {a: {file: none}, b: {env: NONE}, c: {kubernetes: s/c}}\n")
    file, site = str(home / "plain.tar"), str(home / "site.yaml")
    assert run(["build", str(home / "graph"), "-o", file]) == 0
    assert run(["render", file, "-t", "k8s", "--site", site]) == 0
    assert run(["plan", file, "-t", "docker", "--site", site]) == 2
    assert "secret a: " in capsys.readouterr().err
    (home / "site.yaml").write_text("secrets: {c: {kubernetes: s/c}}\n")
    assert run(["plan", file, "-t", "docker", "--site", site]) == 2
    assert "target docker has no Kubernetes Secrets to take c from" in capsys.readouterr().err


def test_a_lost_private_key_stops_the_build_before_anything_is_written(
    bundle: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = home / "data/graphbundle/keys"
    (keys / "default.key").unlink()
    other = home / "other.tar"
    for _ in range(2):
        capsys.readouterr()
        assert run(["build", str(home / "graph"), "-o", str(other)]) == 2
        said = capsys.readouterr().err
        assert "default.key is gone" in said
        assert [path.name for path in keys.iterdir()] == ["trusted"]
        assert not other.exists()
    command = said.splitlines()[-1].strip()
    assert command.startswith("mv ")
    subprocess.run(["bash", "-c", command], check=True)
    assert run(["build", str(home / "graph"), "-o", str(other)]) == 0
    assert run(["verify", str(other)]) == 0
    assert run(["verify", str(bundle)]) == 0


def test_a_private_key_that_nobody_trusts_signs_nothing_and_is_listed_as_it_is(
    bundle: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = home / "data/graphbundle/keys"
    old = json.loads(listed(capsys))[0]["fingerprint"]
    (keys / "trusted/default.pub").rename(home / "kept.pub")
    (keys / "default.key").unlink()
    assert run(["keys", "generate"]) == 0
    new = json.loads(listed(capsys))[0]["fingerprint"]
    (home / "kept.pub").replace(keys / "trusted/default.pub")
    other = home / "other.tar"
    assert run(["build", str(home / "graph"), "-o", str(other)]) == 2
    said = capsys.readouterr().err
    assert old[:16] in said
    assert new[:16] in said
    assert not other.exists()
    assert [(one["fingerprint"], one["signs"], one["trusted"]) for one in json.loads(listed(capsys))] == [
        (new, True, False),
        (old, False, True),
    ]
    subprocess.run(["bash", "-c", said.splitlines()[-1]], check=True)
    assert run(["build", str(home / "graph"), "-o", str(other)]) == 0
    (keys / "default.key").write_text("damaged")
    capsys.readouterr()
    assert run(["keys", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["default", "unknown", "signs"],
        ["default", new[:16], "trusted"],
        ["default-old1", old[:16], "trusted"],
    ]
    assert "cannot be read" in lines[0]


def listed(capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert run(["keys", "list", "--json"]) == 0
    return capsys.readouterr().out


def test_an_engine_that_is_not_there_is_a_target_error(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    for arguments in (["list", "-t", "docker"], ["deploy", str(bundle), "-t", "compose"]):
        assert run(arguments) == 6
        said = "no Docker engine answers at unix:///nowhere.sock: No such file or directory\n"
        assert said in capsys.readouterr().err


def test_the_check_of_a_broken_graph_is_json_on_request(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "bundle.yaml").write_text(GRAPH.replace("expose", "expos"))
    assert run(["check", str(home), "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["valid"] is False
    assert told["problems"][0]["line"] == 4


def test_a_check_tells_of_everything_that_is_not_there(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "empty").mkdir()
    (home / "there").write_text("x")
    (home / "bundle.yaml").write_text(
        """bundle: a
version: "1"
models:
  m: {from: ./weights}
  e: {from: ./empty}
configs:
  c: {file: ./c.yaml}
  d: {dir: ./there}
  f: {file: ./there}
services:
  web:
    build: ./empty
    models: [m:/m, e:/e]
    configs: [c:/c, d:/d, f:/f]
  disk: {image: "oci:./layout"}
jobs:
  seed: {build: ./nothing, run: manual}
"""
    )
    assert run(["check", str(home), "--json"]) == 3
    told = json.loads(capsys.readouterr().out)["problems"]
    assert [(one["line"], one["message"]) for one in told] == [
        (4, "model m: ./weights is not there"),
        (5, "model e: ./empty holds no file"),
        (7, "config c: c.yaml is not there"),
        (8, "config d: there is not a directory"),
        (12, "build of web: empty holds no Dockerfile"),
        (15, "image of disk: ./layout is not there"),
        (17, "build of seed: nothing is not there"),
    ]
    assert all(one["hint"] for one in told)
    assert all(one["file"] == str(home / "bundle.yaml") for one in told)


def test_a_compressed_bundle_is_told_to_be_one(bundle: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = home / "plain.tar.gz"
    packed.write_bytes(gzip.compress(bundle.read_bytes()))
    for verb in ("verify", "inspect"):
        assert run([verb, str(packed)]) == 5
        said = capsys.readouterr().err
        assert "plain.tar.gz is gzip-compressed; a bundle is a plain tar" in said
        assert f"gunzip -k {packed}" in said
    packed.write_bytes(bytes(range(128, 256)) * 8)
    assert run(["verify", str(packed)]) == 5
    said = capsys.readouterr().err
    assert "plain.tar.gz: neither a bundle nor a library" in said
    assert "\\x" not in said


def test_a_secret_with_a_newline_at_its_end_is_warned_of(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(value: bytes) -> str:
        (home / "secret").write_bytes(value)
        assert read_secrets(Site(secrets={"s": SecretSource(file=str(home / "secret"))})) == {"s": value}
        return capsys.readouterr().err

    assert "secret s ends with a newline" in said(b"word\n")
    assert "printf '%s'" in said(b"word\r\n")
    assert said(b"word") == said(b"-----BEGIN\nAAAA\n-----END\n") == ""


def test_a_rebuild_says_what_was_another(bundle: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "graph" / "c.yaml").write_text("a: 1")
    text = GRAPH.replace("services:", "configs: {c: {file: ./c.yaml}}\nservices:").replace(
        "expose", "configs: [c:/c], expose"
    )
    (home / "graph" / "bundle.yaml").write_text(text)

    def said() -> list[str]:
        capsys.readouterr()
        assert run(["build", str(home / "graph"), "-o", str(bundle), "--detached"]) == 0
        return [line for line in capsys.readouterr().err.splitlines() if line.startswith("changed")]

    assert said() == ["changed since the last build: the graph, c.yaml"]
    (home / "graph" / "c.yaml").write_text("a: 2")
    assert said() == ["changed since the last build: c.yaml"]
    assert said() == []


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


def test_a_command_that_is_proposed_leads_to_the_same_place() -> None:
    context = click.Context(click.Command("status"))
    context.meta["bundler.cli.options.told"] = {"context": "my cluster's", "containerd": "/run/a b.sock,docker://n2"}
    with context:
        words = shlex.split(same_place())
        assert (where(), "".join(shlex.split(where())[1:])) == (""" --context 'my cluster'"'"'s'""", "my cluster's")
    assert words == ["--context", "my cluster's", "--containerd", "/run/a b.sock", "--containerd", "docker://n2"]


def test_waiting_for_nothing_known_is_no_empty_line(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(progress.Line, "draw", lambda _, text, **__: shown.append(text))
    progress.Steps().waiting(())
    progress.Steps().waiting(("service/a", "job/b"))
    assert shown == ["waiting for the first look at what runs", "waiting for service/a, job/b"]


def test_nothing_can_drive_the_terminal() -> None:
    assert output.clean("a\x1b]0;title\x07b\r\u202ec\n") == "a\\x1b]0;title\\x07b\\x0d\\u202ec\n"
    assert output.clean("ümläut → 語") == "ümläut → 語"


def test_help_does_not_pay_for_the_engine_or_for_cryptography() -> None:
    code = "import sys; from bundler.cli.main import run; run(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    paid_for = {"docker", "requests", "httpx", "cryptography"} & set(done.stderr.split())
    assert paid_for == set()


def test_a_terminal_of_another_encoding_lacks_no_answer(home: Path, bundle: Path) -> None:
    (home / "graph" / "bundle.yaml").write_text(GRAPH + "  two: {image: 'oci:./layout', connect: {w: web.http}}\n")
    done = program("check", str(home / "graph"), env={**os.environ, "PYTHONIOENCODING": "latin-1"})
    assert (done.returncode, done.stdout.splitlines()[1]) == (0, r"starts in this order: web \u2192 two")


def test_what_may_not_be_read_is_no_defect(capsys: pytest.CaptureFixture[str]) -> None:
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "variants"
        folder.mkdir()
        (Path(name) / "bundle.yaml").write_text('bundle: a\nversion: "1"\n')
        assert run(["check", name]) == 0
        capsys.readouterr()
        Path(name).chmod(0o755)
        folder.chmod(0o000)
        if root:
            os.seteuid(65534)
        try:
            status = run(["check", name])
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)
        said = capsys.readouterr()
    assert (status, said.out) == (2, "")
    assert said.err.startswith(f"error: {folder}: Permission denied\n")


def test_without_a_home_directory_the_variable_to_set_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unknown(number: int) -> None:
        raise KeyError(number)

    for variable in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable)
    monkeypatch.setattr("pwd.getpwuid", unknown)  # of a user who is in no /etc/passwd
    assert run(["keys", "list"]) == 2
    assert "set HOME, or XDG_DATA_HOME" in capsys.readouterr().err


def test_a_folder_with_a_compose_file_alone_is_told_how_it_becomes_a_graph(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docker-compose.yml").write_text("services: {a: {image: b}}\n")
    assert run(["check", str(tmp_path)]) == 2
    assert f"bundle import compose {tmp_path}\n" in capsys.readouterr().err
    assert run(["import", "compose", str(tmp_path)]) == 0
    assert run(["check", str(tmp_path)]) == 0


def test_a_variant_whose_file_has_another_end_is_not_passed_over(
    home: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "graph" / "variants").mkdir()
    (home / "graph" / "variants" / "acme.yml").write_text("variant: acme\nof: plain\n")
    assert run(["check", str(home / "graph")]) == 2
    assert "a variant's file ends in .yaml\n  rename it acme.yaml\n" in capsys.readouterr().err


def test_two_bundles_with_other_variants_are_told_apart(
    home: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "graph" / "variants").mkdir()
    (home / "graph" / "variants" / "acme.yaml").write_text("variant: acme\nof: plain\n")
    other = str(home / "other.tar")
    assert run(["build", str(home / "graph"), "-o", other, "--variant", "acme"]) == 0
    capsys.readouterr()
    assert run(["diff", str(bundle), other]) == 0
    said = capsys.readouterr()
    assert said.out == "plain 1.0.0 → plain 1.0.0: no difference\n"
    assert said.err == f"only {other} has the variant acme\n"
    assert run(["diff", str(bundle), other, "--variant", "acme"]) == 2
    assert "bundle build --variant acme packs it" in capsys.readouterr().err
