"""Whole builds, without an engine."""

from __future__ import annotations

import base64
import json
import os
import pkgutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from bundler import pack
from bundler.collect import record as records
from bundler.collect.finding import Finder
from bundler.collect.mirrors import Mirror
from bundler.collect.outside import Outside
from bundler.collect.paths import SourceTree
from bundler.collect.record import Record
from bundler.errors import GraphError, SourceError, StoppedError, UsageError
from bundler.layout.archive import ArchiveWriter
from bundler.model.oci import Platform
from bundler.model.progress import Silent
from bundler.pack import BuildRequest
from bundler.trust.keys import KeyStore, PrivateKey
from tests.packing import LONG_AGO, Watching, checked, edited_in_place, image_layout, replace_in, write

ROOT = Path(__file__).parent.parent


class Registry:
    """Serves a layout as an image of a registry on loopback, and counts what was asked for."""

    def __init__(self, layout: Path) -> None:
        self.asked: list[str] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                registry.asked.append(self.path)
                entry = json.loads((layout / "index.json").read_text())["manifests"][0]
                name = self.path.rsplit("/", 1)[1]
                digest = entry["digest"] if name == "1" else name
                file = layout / "blobs/sha256" / digest.removeprefix("sha256:")
                body = file.read_bytes() if file.is_file() else b""
                self.send_response(200 if file.is_file() else 404)
                self.send_header("Content-Type", entry["mediaType"] if digest == entry["digest"] else "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self._server.serve_forever, daemon=True).start()
        self.image = f"127.0.0.1:{self._server.server_address[1]}/acme/image:1"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


GRAPH = """
    bundle: tiny
    version: 1.0.0
    models:
      m: {from: ./w, license: apache-2.0}
    configs:
      c: {file: ./c.yaml}
      d: {dir: ./d}
      t: {content: "language: ${values.language}\\n"}
    values:
      language: {enum: [en, de], default: en}
    services:
      web:
        image: IMAGE
        command: [/x]
        expose: {http: 8080}
        models: [m:/m]
        configs: [c:/etc/c.yaml, d:/etc/d, t:/etc/t]
      other:
        image: IMAGE
        command: [/x]
        user: "12"
"""


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A registry with one image, and no engine."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    image_layout(tmp_path / "image")
    registry = Registry(tmp_path / "image")
    yield registry
    registry.close()


def graph_text(registry: Registry) -> str:
    return GRAPH.replace("IMAGE", registry.image)


@pytest.fixture
def graph(tmp_path: Path, registry: Registry) -> Path:
    """A graph whose image is a registry's."""
    files: dict[str, str | bytes] = {"w/model.bin": bytes(range(256)) * 20_000, "w/config.json": "{}\n"}
    return write(
        tmp_path / "graph",
        {"bundle.yaml": graph_text(registry), "c.yaml": "a: 1\n", "d/one": "1", "d/sub/two": "2", **files},
    )


@pytest.fixture
def request_(graph: Path, tmp_path: Path, key: PrivateKey) -> BuildRequest:
    (tmp_path / "out").mkdir()
    return BuildRequest(graph, tmp_path / "out/tiny.tar", key=key, cache=tmp_path / "cache")


def test_a_bundle_holds_what_the_graph_names(request_: BuildRequest, registry: Registry, key: PrivateKey) -> None:
    result = pack.build(request_, Silent())
    bundle = checked(result, key)
    assert [(i.name, i.source) for i in bundle.images] == [("other", registry.image)]
    assert dict(bundle.images_of) == {"other": "other", "web": "other"}
    assert [(f.path, f.size_bytes) for f in bundle.models[0].files] == [("config.json", 3), ("model.bin", 5_120_000)]
    assert {c.name: [f.path for f in c.files] for c in bundle.configs} == {
        "c": [""],
        "d": ["one", "sub/two"],
        "t": [""],
    }
    assert json.loads(bundle.graph_document)["pins"]["users"] == {"other": "12:0", "web": "70:71"}
    assert result.signers == (key.public.fingerprint,)
    assert result.size_bytes == result.path.stat().st_size
    assert {(part.kind, part.name) for part in result.parts} == {
        ("image", "other"),
        ("model", "m"),
        ("config", "c"),
        ("config", "d"),
        ("config", "t"),
    }


def test_a_registry_that_does_not_answer_is_told_with_node_and_image(
    request_: BuildRequest, graph: Path, registry: Registry
) -> None:
    registry.close()
    with pytest.raises(SourceError, match=rf"^other: image {registry.image}: .* cannot be reached"):
        pack.build(request_, Silent())


def test_the_output_is_named_by_the_graph(
    request_: BuildRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "out")
    result = pack.build(replace(request_, output=None), Silent())
    assert result.path == tmp_path / "out/tiny-1.0.0.bundle.tar"
    assert pack.build(replace(request_, output=None), Silent()).unchanged


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("bundle.yaml", "bundle.yaml is there and is no bundle"),
        ("d/one", "d/one lies in d, which is packed as config d"),
        ("w/x.tar", "w/x.tar lies in ./w, which is packed as model m"),
        ("w/sub/x.tar", "w/sub/x.tar lies in ./w, which is packed as model m"),
        ("inside/x.tar", "inside/x.tar lies in ./w, which is packed as model m"),
        ("c.yaml", "c.yaml: writing it would destroy c.yaml, which is packed as config c"),
        ("s", "s: writing it would destroy s.sig, which is packed as config s"),
        ("notes.txt", "notes.txt is there and is no bundle"),
        ("empty", "empty is there and is no bundle"),
        ("link", "link is there and is no bundle"),
        ("image/x.tar", "image/x.tar lies in ./image, which is packed as the image of other"),
    ],
)
def test_a_build_writes_over_nothing_but_a_bundle_and_into_none_of_its_sources(
    request_: BuildRequest, graph: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch, output: str, said: str
) -> None:
    image_layout(graph / "image")
    write(graph, {"notes.txt": "mine", "empty": b"", "s.sig": "mine", "w/sub/x": "x"})
    (graph / "link").symlink_to("notes.txt")
    (graph / "inside").symlink_to("w")
    text = (graph / "bundle.yaml").read_text().replace(registry.image, "oci:./image")
    write(graph, {"bundle.yaml": text.replace("configs:\n  c:", "configs:\n  s: {file: ./s.sig}\n  c:", 1)})
    before = {path: path.read_bytes() for path in graph.rglob("*") if path.is_file()}
    monkeypatch.chdir(graph)
    with pytest.raises(UsageError) as refused:
        pack.build(replace(request_, output=Path(output)), Silent())
    assert said in str(refused.value)
    assert "-o FILE" in str(refused.value.hint)
    assert {path: path.read_bytes() for path in graph.rglob("*") if path.is_file()} == before
    pack.build(replace(request_, output=Path("x.tar")), Silent())
    write(graph, {"c.yaml": "a: 2\n"})
    assert not pack.build(replace(request_, output=Path("x.tar")), Silent()).unchanged


def test_the_same_inputs_give_the_same_bytes_anywhere(graph: Path, tmp_path: Path, key: PrivateKey) -> None:
    """Another directory, umask, time zone, hash seed, order of files."""
    script = """
        import os, sys
        from pathlib import Path
        from bundler.model.progress import Silent
        from bundler.pack import BuildRequest, build
        from bundler.trust.keys import KeyStore
        os.umask(int(sys.argv[4], 8))
        key = KeyStore(Path(sys.argv[3])).load("default")
        build(BuildRequest(Path(sys.argv[1]), Path(sys.argv[2]), key=key), Silent())
    """
    keys = tmp_path / "keys"
    KeyStore(keys).default()
    other = tmp_path / "a different/place"
    names = sorted((p for p in graph.rglob("*") if p.is_file()), reverse=True)
    for path in names:
        target = other / path.relative_to(graph)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
        target.chmod(0o600)
    made = []
    for place, mask, zone, seed in ((graph, "022", "UTC", "1"), (other, "077", "Asia/Tokyo", "777")):
        output = tmp_path / f"{seed}.tar"
        env = {**os.environ, "TZ": zone, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        argv = [sys.executable, "-c", textwrap.dedent(script), str(place), str(output), str(keys), mask]
        subprocess.run(argv, env=env, check=True, cwd=place)
        made.append(output.read_bytes())
    assert made[0] == made[1]


def test_nothing_changed_nothing_is_read(request_: BuildRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    first = pack.build(request_, Silent())
    before = request_.output.stat()  # type: ignore[union-attr]
    monkeypatch.setattr("bundler.pack._Building", None)
    again = pack.build(request_, Silent())
    assert again == replace(first, unchanged=True)
    assert request_.output.stat() == before  # type: ignore[union-attr]


def test_another_state_of_the_tools_own_components_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bundler"
    write(program, {"collect/record.py": "", "library/web@1.yaml": "component: web"})
    monkeypatch.setattr("bundler.collect.record.__file__", str(program / "collect/record.py"))
    records.save(tmp_path / "cache/record.json", Record(asked={"graph": "x"}))
    assert records.load(tmp_path / "cache/record.json").asked
    write(program, {"library/web@1.yaml": "component: web, another"})
    assert not records.load(tmp_path / "cache/record.json").asked


@pytest.mark.parametrize(
    "change",
    [
        lambda g, o: write(g, {"c.yaml": "a: 2\n"}),
        lambda g, o: write(g, {"d/three": "3"}),
        lambda g, o: (g / "d/one").unlink(),
        lambda g, o: os.utime(g / "w/config.json", ns=(LONG_AGO, LONG_AGO + 1)),
        lambda g, o: replace_in(g / "bundle.yaml", "1.0.0", "1.0.1"),
        lambda g, o: (g / "c.yaml").rename(g / "x.yaml").rename(g / "c.yaml"),
        lambda g, o: edited_in_place(g / "w/model.bin"),
        lambda g, o: os.utime(o),
        lambda g, o: edited_in_place(o),
        lambda g, o: o.unlink(),
        lambda g, o: image_layout(g.parent / "image", user="0"),
    ],
    ids=[
        "config",
        "new file",
        "file gone",
        "weights touched",
        "graph",
        "moved and back",
        "weights edited",
        "bundle touched",
        "bundle edited",
        "bundle gone",
        "image",
    ],
)
def test_whatever_changed_is_noticed(
    request_: BuildRequest, graph: Path, key: PrivateKey, change: Callable[..., Any]
) -> None:
    pack.build(request_, Silent())
    change(graph, request_.output)
    result = pack.build(request_, Silent())
    assert not result.unchanged
    checked(result, key)
    assert pack.build(request_, Silent()).unchanged


@pytest.mark.parametrize("what", ["config", "weights", "image"])
def test_a_source_that_changes_while_it_is_packed_is_packed_again(
    request_: BuildRequest, graph: Path, key: PrivateKey, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right after it was looked at or read: what the next build compares with must be older than what was read."""
    image_layout(graph / "layout")
    text = (graph / "bundle.yaml").read_text()
    image = text.split("image: ")[1].split()[0]
    write(graph, {"bundle.yaml": text.replace(f"image: {image}", "image: oci:./layout")})
    name = {
        "config": "bundler.collect.configs.pack",
        "weights": "bundler.collect.weights.plan",
        "image": "bundler.collect.ondisk.find",
    }[what]
    real = pkgutil.resolve_name(name)
    change = {
        "config": lambda: write(graph, {"c.yaml": "a: 2\n"}),
        "weights": lambda: write(graph, {"w/late.bin": b"late"}),
        "image": lambda: image_layout(graph / "layout", user="0"),
    }[what]

    def changing(*arguments: Any) -> Any:
        found = real(*arguments)
        change()
        time.sleep(0.03)  # longer than files count as changing
        return found

    time.sleep(0.03)
    with monkeypatch.context() as patch:
        patch.setattr(name, changing)
        pack.build(request_, Silent())
    again = pack.build(request_, Silent())
    assert not again.unchanged
    fresh = pack.build(replace(request_, output=request_.output.with_name("fresh"), cache=None), Silent())  # type: ignore[union-attr]
    assert again.path.read_bytes() == fresh.path.read_bytes()
    checked(again, key)


def test_a_record_that_others_may_have_written_is_not_believed(request_: BuildRequest, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        pack.build(request_, Silent())
        assert pack.build(request_, Silent()).unchanged
        (record,) = (tmp_path / "cache/builds").iterdir()
        record.chmod(0o666)
        assert not pack.build(request_, Silent()).unchanged
        assert pack.build(request_, Silent()).unchanged
        record.parent.chmod(0o777)
        assert not pack.build(request_, Silent()).unchanged
    finally:
        os.umask(old)


def test_platforms_are_asked_for_in_any_order(request_: BuildRequest, tmp_path: Path) -> None:
    amd64 = Platform("linux", "amd64")
    result = pack.build(replace(request_, platforms=(amd64, Platform("linux", "amd64", "v1"), amd64)), Silent())
    assert result.platforms == (amd64,)
    with ExitStack() as stack:
        asked = (Platform("linux", "s390x"), Platform("linux", "arm64", "v8"), amd64)
        finder = Finder(SourceTree(tmp_path), asked, {}, Outside(stack), stack, Silent())
        assert [str(platform) for platform in finder._requested] == ["linux/amd64", "linux/arm64", "linux/s390x"]


def test_another_key_or_platform_is_another_build(request_: BuildRequest, tmp_path: Path) -> None:
    pack.build(request_, Silent())
    other = KeyStore(tmp_path / "other").default()
    result = pack.build(replace(request_, key=other), Silent())
    assert result.signers == (other.public.fingerprint,)
    assert not pack.build(replace(request_, key=None), Silent()).signers
    with pytest.raises(SourceError, match="for linux/amd64 only"):
        pack.build(replace(request_, platforms=(Platform("linux", "arm64"),)), Silent())


def test_a_changed_config_reads_no_weights_and_no_image(
    request_: BuildRequest, graph: Path, key: PrivateKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack.build(request_, Silent())
    write(graph, {"c.yaml": "a: 2222\n"})
    with monkeypatch.context() as patch:
        patch.setattr("bundler.collect.weights.pack", None)
        patch.setattr("bundler.collect.registry.Repository.layer", None)
        result = pack.build(request_, Silent())
    checked(result, key)
    fresh = pack.build(replace(request_, output=tmp_path / "out/fresh.tar", cache=None), Silent())
    assert result.path.read_bytes() == fresh.path.read_bytes()


def test_a_damaged_previous_bundle_is_not_reused(request_: BuildRequest, graph: Path, key: PrivateKey) -> None:
    result = pack.build(request_, Silent())
    with result.path.open("r+b") as file:
        file.seek(result.size_bytes // 2)
        file.write(b"\xff\x00\xff\x00")
    write(graph, {"c.yaml": "a: 3\n"})
    watching = Watching()
    checked(pack.build(request_, watching), key)
    assert any("not reusing" in line for line in watching.lines)


def test_a_record_that_is_nonsense_costs_time_only(request_: BuildRequest, tmp_path: Path, key: PrivateKey) -> None:
    pack.build(request_, Silent())
    (record,) = (tmp_path / "cache/builds").iterdir()
    for nonsense in ("", "[]", '{"format": 1}', record.read_text()[:-5], '{"format":1,"tool":"x"}' * 2):
        record.write_text(nonsense)
        checked(pack.build(request_, Silent()), key)


@pytest.mark.parametrize("at", [0, 1, 3, 5, 6])
def test_an_interrupted_build_leaves_nothing_and_the_old_bundle(request_: BuildRequest, graph: Path, at: int) -> None:
    class Interrupting(Silent):
        def __init__(self) -> None:
            self.calls = 0

        def advance(self, size_bytes: int) -> None:
            self.calls += 1
            if self.calls > at:
                raise KeyboardInterrupt

    output = request_.output
    assert output is not None
    with pytest.raises(KeyboardInterrupt):
        pack.build(request_, Interrupting())
    assert list(output.parent.iterdir()) == []
    pack.build(request_, Silent())
    old = output.read_bytes()
    write(graph, {"w/model.bin": b"other" * 1_100_000})
    with pytest.raises(KeyboardInterrupt):
        pack.build(request_, Interrupting())
    assert list(output.parent.iterdir()) == [output]
    assert output.read_bytes() == old


def test_detached_signatures_lie_beside_and_go_when_they_no_longer_hold(
    request_: BuildRequest, graph: Path, key: PrivateKey
) -> None:
    request = replace(request_, detached=True)
    result = pack.build(request, Silent())
    assert [path.name for path in result.files] == ["tiny.tar", "tiny.tar.sig", "tiny.tar.sigstore.json"]
    assert pack.build(request, Silent()).unchanged
    result.files[1].unlink()
    assert not pack.build(request, Silent()).unchanged
    assert all(path.is_file() for path in result.files)
    write(graph, {"c.yaml": "a: 9\n"})
    assert pack.build(request_, Silent()).files == (result.path,)
    assert [path.name for path in result.path.parent.iterdir()] == ["tiny.tar"]


def test_what_is_signed_is_the_file_that_was_written(
    request_: BuildRequest, key: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not what somebody put in its place since."""
    finish = ArchiveWriter.finish
    genuine = []

    def swapped(writer: ArchiveWriter, *arguments: Any) -> None:
        finish(writer, *arguments)
        output = request_.output
        assert output is not None
        genuine.append(output.read_bytes())
        output.unlink()
        output.write_bytes(b"somebody else's")

    monkeypatch.setattr(ArchiveWriter, "finish", swapped)
    result = pack.build(replace(request_, detached=True), Silent())
    assert key.public.verifies(base64.b64decode(result.files[1].read_bytes()), genuine[0])


def test_problems_of_the_graph_are_all_told(request_: BuildRequest, graph: Path) -> None:
    replace_in(graph / "bundle.yaml", "m:/m", "n:/m")
    replace_in(graph / "bundle.yaml", "c:/etc/c.yaml", "z:/etc/c.yaml")
    with pytest.raises(GraphError) as refused:
        pack.build(request_, Silent())
    assert len(refused.value.problems) == 2


def test_problems_of_a_template_are_told_with_its_file(request_: BuildRequest, graph: Path) -> None:
    replace_in(graph / "bundle.yaml", "{file: ./c.yaml}", "{file: ./c.yaml, template: true}")
    write(graph, {"c.yaml": "a: ${values.nothing}\n"})
    with pytest.raises(GraphError) as refused:
        pack.build(request_, Silent())
    assert "c.yaml" in str(refused.value.problems[0].where)


@pytest.mark.parametrize(
    ("files", "links", "expected"),
    [
        ({}, {"c.yaml": "/etc/hostname"}, "config c: .*link out of"),
        ({}, {"d/passwd": "/etc/passwd"}, "config d: .*link out of"),
        ({}, {"w/shadow": "/etc/shadow"}, "model m: .*link out of"),
        ({"c.yaml": b"x" * (4 << 20) + b"x"}, {}, "config c: .*limit"),
    ],
)
def test_what_may_not_be_packed_is_refused(
    request_: BuildRequest, graph: Path, files: dict[str, str | bytes], links: dict[str, str], expected: str
) -> None:
    write(graph, files)
    for name, target in links.items():
        (graph / name).unlink(missing_ok=True)
        (graph / name).symlink_to(target)
    with pytest.raises(SourceError, match=expected):
        pack.build(request_, Silent())
    assert list(request_.output.parent.iterdir()) == []  # type: ignore[union-attr]


def test_a_place_that_cannot_be_written_is_told(request_: BuildRequest, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no directory"):
        pack.build(replace(request_, output=tmp_path / "nowhere/x.tar"), Silent())
    with pytest.raises(UsageError):
        pack.build(replace(request_, source=tmp_path / "nowhere"), Silent())


def test_weights_that_cannot_fit_stop_the_build_before_it_begins(request_: BuildRequest, graph: Path) -> None:
    with (graph / "w/huge.safetensors").open("wb") as file:
        file.truncate(8 << 40)
    with pytest.raises(StoppedError, match=r"need 8,796,\d+,\d+,\d+ bytes"):
        pack.build(request_, Silent())


def test_without_an_engine_names_are_the_registrys_and_builds_refused(
    request_: BuildRequest, graph: Path, registry: Registry
) -> None:
    watching = Watching()
    pack.build(request_, watching)
    assert f"{registry.image}: from the registry {registry.image.split('/')[0]}, as no engine answers" in watching.lines
    replace_in(
        graph / "bundle.yaml",
        f"image: {registry.image}\n    command: [/x]\n    expose",
        "build: ./w\n    command: [/x]\n    expose",
    )
    write(graph, {"w/Dockerfile": "FROM scratch\n"})
    with pytest.raises(SourceError, match="no Docker engine answers"):
        pack.build(request_, Silent())


def test_a_bundle_says_nothing_of_the_mirror_that_its_images_came_from(
    request_: BuildRequest, graph: Path, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = pack.build(replace(request_, output=tmp_path / "out/plain.tar"), Silent())
    elsewhere = Registry(tmp_path / "image")
    mirror = Mirror.parse(f"{registry.image.split('/')[0]}={elsewhere.image.split('/')[0]}/copies")
    try:
        watching = Watching()
        mirrored = pack.build(replace(request_, mirrors=(mirror,)), watching)
        registry.close()
        assert pack.build(replace(request_, mirrors=(mirror,)), Silent()).unchanged
    finally:
        elsewhere.close()
    assert f"{registry.image}: from the mirror {mirror.place}" in watching.lines
    assert elsewhere.asked
    assert all(path.startswith("/v2/copies/acme/image/") for path in elsewhere.asked)
    assert mirrored.path.read_bytes() == plain.path.read_bytes()
    assert elsewhere.image.split("/")[0].encode() not in mirrored.path.read_bytes()


def test_an_image_that_its_mirror_has_not_is_told_with_both_names(request_: BuildRequest, registry: Registry) -> None:
    host = registry.image.split("/")[0]
    write(request_.source, {"bundle.yaml": GRAPH.replace("IMAGE", "postgres:17")})
    said = rf"^other: image docker.io/library/postgres:17 \(mirrored as {host}/hub/library/postgres:17\): .*answers 404"
    with pytest.raises(SourceError, match=said) as refused:
        pack.build(replace(request_, mirrors=(Mirror.parse(f"docker.io={host}/hub"),)), Silent())
    assert refused.value.hint == "put it into the mirror, or build without --mirror docker.io=…"
    registry.close()
    with pytest.raises(SourceError, match=rf"mirrored as {host}/hub/library/postgres:17\): .*cannot be reached"):
        pack.build(replace(request_, mirrors=(Mirror.parse(f"docker.io={host}/hub"),)), Silent())


def test_with_or_without_a_mirror_is_another_build(request_: BuildRequest, registry: Registry) -> None:
    host = registry.image.split("/")[0]
    pack.build(request_, Silent())
    again = pack.build(replace(request_, mirrors=(Mirror.parse(f"{host}={host}"),)), Silent())
    assert not again.unchanged
    assert again.changed == ("the mirrors",)


def test_a_gigabyte_of_weights_needs_little_memory(request_: BuildRequest, graph: Path, tmp_path: Path) -> None:
    with (graph / "w/large.safetensors").open("wb") as file:
        file.truncate(1 << 30)
    script = """
        import re, sys
        from pathlib import Path
        from bundler.model.progress import Silent
        from bundler.pack import BuildRequest, build
        build(BuildRequest(Path(sys.argv[1]), Path(sys.argv[2])), Silent())
        print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
    """
    argv = [sys.executable, "-c", textwrap.dedent(script), str(graph), str(tmp_path / "out/large.tar")]
    done = subprocess.run(argv, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True, text=True)
    assert int(done.stdout) < 150 * 1024
