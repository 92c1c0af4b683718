"""Whole builds. What has `engine` runs against the engine that DOCKER_HOST or the default socket names."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import pkgutil
import subprocess
import sys
import tarfile
import textwrap
import threading
import time
import uuid
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
from bundler.edges import images
from bundler.errors import GraphError, SourceError, StoppedError, UsageError
from bundler.layout.archive import ArchiveReader, ArchiveWriter
from bundler.model.bundle import Bundle
from bundler.model.oci import Platform
from bundler.model.progress import Silent
from bundler.pack import BuildRequest, BuildResult
from bundler.trust.keys import KeyStore, PrivateKey
from bundler.trust.policy import Policy
from bundler.trust.verify import verify

ROOT = Path(__file__).parent.parent
LONG_AGO = 10**18


class Watching(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.lines: list[str] = []
        self.advanced = 0

    def phase(self, name: str, total_bytes: int | None = None) -> None:
        self.phases.append(name)

    def advance(self, size_bytes: int) -> None:
        self.advanced += size_bytes

    def line(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> PrivateKey:
    return KeyStore(tmp_path_factory.mktemp("keys") / "store").default()


def write(directory: Path, files: dict[str, str | bytes]) -> Path:
    """Files with a time in the past, as most files have."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(textwrap.dedent(content).encode() if isinstance(content, str) else content)
        os.utime(path, ns=(LONG_AGO, LONG_AGO))
    return directory


def replace_in(path: Path, old: str, new: str) -> None:
    """Change a file's text, and leave its time in the past."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    os.utime(path, ns=(LONG_AGO, LONG_AGO + path.stat().st_size))


def edited_in_place(path: Path) -> None:
    """Change a byte, and put size and time back to what they were."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(before.st_size // 2)
        file.write(bytes([file.read(1)[0] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def checked(result: BuildResult, key: PrivateKey) -> Bundle:
    """What a receiver finds, every byte verified."""
    with ArchiveReader(result.path) as reader:
        verified = verify(reader, Policy((key.public,)))
        assert verified.bundle.root.digest == result.root
        return verified.bundle


def layer(result: BuildResult, digest: str) -> dict[str, bytes]:
    """The files of an image's layer in a bundle."""
    with tarfile.open(result.path) as bundle:
        body = bundle.extractfile(f"blobs/sha256/{digest}")
        assert body is not None
        with tarfile.open(fileobj=io.BytesIO(body.read())) as archive:
            return {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}  # type: ignore[union-attr]


# --- without an engine ------------------------------------------------------------------------------------------------


def image_layout(directory: Path, user: str = "app") -> None:
    """An OCI layout for linux/amd64 with one layer."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in {"etc/passwd": b"app:x:70:71::/:\n", "etc/group": b"data:x:99:\n", "x": b"program"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    blob = buffer.getvalue()

    def put(data: bytes, media_type: str) -> dict[str, object]:
        hexadecimal = hashlib.sha256(data).hexdigest()
        (directory / "blobs/sha256").mkdir(parents=True, exist_ok=True)
        write(directory, {f"blobs/sha256/{hexadecimal}": data})
        return {"mediaType": media_type, "digest": f"sha256:{hexadecimal}", "size": len(data)}

    stored = put(blob, "application/vnd.oci.image.layer.v1.tar")
    config = {
        "os": "linux",
        "architecture": "amd64",
        "config": {"User": user},
        "rootfs": {"type": "layers", "diff_ids": [stored["digest"]]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": put(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
        "layers": [stored],
    }
    entry = put(json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")
    index = json.dumps({"schemaVersion": 2, "manifests": [entry]})
    write(directory, {"oci-layout": '{"imageLayoutVersion":"1.0.0"}', "index.json": index})


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


# --- with an engine ---------------------------------------------------------------------------------------------------

BUILT = """
    bundle: NAME
    version: 1.0.0
    services:
      web:
        build: ./web
        command: [/x]
        expose: {http: 8080}
      same:
        build: ./web
        command: [/x]
        user: app
      given:
        image: collect-dev/NAME
        command: [/x]
"""


def docker(*arguments: str, stdin: bytes = b"") -> str:
    done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True)
    if done.returncode:
        pytest.fail(f"docker {' '.join(arguments)}: {done.stderr.decode()} (scripts/engine up)")
    return done.stdout.decode().strip()


@pytest.fixture(scope="module", params=["machine", "containerd"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The store of the engine that DOCKER_HOST now names: the machine's, then a private one on the containerd store."""
    if request.param == "machine":
        yield request.param
        return
    root = str(tmp_path_factory.mktemp("engine"))
    up = subprocess.run(
        [str(ROOT / "scripts/engine"), "up", "--root", root, "--store", "containerd"], capture_output=True
    )
    if up.returncode:
        pytest.fail(f"no engine with the containerd store: {up.stderr.decode()}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", up.stdout.decode().strip())
        yield request.param
    subprocess.run([str(ROOT / "scripts/engine"), "down", "--root", root], capture_output=True)


@pytest.fixture
def built(engine: str, tmp_path: Path, key: PrivateKey) -> Iterator[BuildRequest]:
    """A graph with a Dockerfile, one image used twice, and an image that the engine has."""
    name = f"t{uuid.uuid4().hex[:8]}"
    dockerfile = f"FROM collect-dev/{name}\nLABEL collect-dev={name}\nCOPY x /x\nCOPY etc /etc/\nUSER 5\n"
    write(
        tmp_path / "graph",
        {
            "bundle.yaml": BUILT.replace("NAME", name),
            "web/Dockerfile": dockerfile,
            "web/x": f"program {name}",
            "web/etc/passwd": "app:x:5:6::/:\n",
            "base/Dockerfile": f"FROM scratch\nLABEL collect-dev={name}\nCOPY y /y\n",
            "base/y": f"base {name}",
        },
    )
    (tmp_path / "out").mkdir()
    docker("build", "-q", "--provenance=false", "-t", f"collect-dev/{name}", str(tmp_path / "graph/base"))
    yield BuildRequest(tmp_path / "graph", tmp_path / "out/built.tar", key=key, cache=tmp_path / "cache")
    docker("rmi", "-f", *docker("images", "-aq", "--filter", f"label=collect-dev={name}").split())


@pytest.mark.engine
def test_images_of_an_engine_are_packed_with_their_configs_and_plain_layers(
    built: BuildRequest, key: PrivateKey
) -> None:
    result = pack.build(built, Silent())
    bundle = checked(result, key)
    assert [image.name for image in bundle.images] == ["given", "same"]
    assert dict(bundle.images_of) == {"given": "given", "same": "same", "web": "same"}
    given, same = (image.platforms[0] for image in bundle.images)
    assert given.layers == same.layers[:1]
    assert b"base" in layer(result, given.layers[0].digest.hex)["y"]
    assert b"program" in layer(result, same.layers[1].digest.hex)["x"]
    users = json.loads(bundle.graph_document)["pins"]["users"]
    assert users == {"given": "0:0", "same": "5:6", "web": "5:6"}


@pytest.mark.engine
def test_an_unchanged_build_asks_the_engine_for_ids_and_calls_no_buildkit(
    built: BuildRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pack.build(built, Silent())
    monkeypatch.setattr("bundler.edges.images.build", None)
    monkeypatch.setattr("bundler.edges.images.Engine.save", None)
    assert pack.build(built, Silent()) == replace(first, unchanged=True)


@pytest.mark.engine
def test_a_changed_graph_takes_unchanged_images_out_of_the_bundle(
    built: BuildRequest, key: PrivateKey, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pack.build(built, Silent())
    text = (built.source / "bundle.yaml").read_text()
    write(built.source, {"bundle.yaml": text.replace("1.0.0", "1.0.1")})
    with monkeypatch.context() as patch:
        patch.setattr("bundler.edges.images.build", None)
        patch.setattr("bundler.edges.images.Engine.save", None)
        result = pack.build(built, Silent())
    checked(result, key)
    fresh = pack.build(replace(built, output=tmp_path / "out/fresh.tar", cache=None), Silent())
    assert fresh.path.read_bytes() == result.path.read_bytes()


@pytest.mark.engine
def test_a_changed_file_builds_again_and_a_changed_base_too(built: BuildRequest, key: PrivateKey) -> None:
    first = pack.build(built, Silent())
    write(built.source, {"web/x": "another program"})
    second = pack.build(built, Silent())
    assert b"another" in layer(second, checked(second, key).images[1].platforms[0].layers[1].digest.hex)["x"]
    write(built.source, {"base/y": "another base"})
    name = first.name
    docker("build", "-q", "--provenance=false", "-t", f"collect-dev/{name}", str(built.source / "base"))
    third = checked(pack.build(built, Silent()), key)
    assert third.images[0].platforms[0].layers == third.images[1].platforms[0].layers[:1]
    assert len({first.root, second.root, third.root.digest}) == 3


@pytest.mark.engine
def test_a_bundle_beside_its_dockerfile_is_no_part_of_the_next(
    built: BuildRequest, key: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = (built.source / "web/x").read_text().split()[1]
    text = f"bundle: {name}\nversion: 1.0.0\nservices:\n  web: {{build: ., command: [/x]}}\n"
    dockerfile = f"FROM scratch\nLABEL collect-dev={name}\nCOPY . /\n"
    files = {"bundle.yaml": text, "Dockerfile": dockerfile, ".dockerignore": "web/etc\n!*.tar", "other.tar": "data"}
    write(built.source, dict(files))
    monkeypatch.chdir(built.source)
    built = replace(built, output=None, source=Path(), detached=True)
    first = pack.build(built, Silent())
    assert pack.build(built, Silent()).unchanged
    write(built.source, {"bundle.yaml": text.replace("1.0.0", "1.0.1"), f".{name}-1.0.1.bundle.tar.0.part": "x"})
    second = pack.build(built, Silent())
    packed = layer(second, checked(second, key).images[0].platforms[0].layers[0].digest.hex)
    assert set(packed) >= {"bundle.yaml", "Dockerfile", "other.tar", "web/x"}
    assert [path for path in packed if name in path or path.startswith("web/etc")] == []
    assert second.path != first.path


@pytest.mark.engine
def test_a_build_that_fails_shows_its_last_lines(built: BuildRequest) -> None:
    write(built.source, {"web/Dockerfile": "FROM scratch\nCOPY missing-file /x\n"})
    watching = Watching()
    with pytest.raises(SourceError, match=r"the build of .* failed") as refused:
        pack.build(built, watching)
    assert "missing-file" in str(refused.value.hint)
    assert "build same" in watching.phases
    assert any("missing-file" in line for line in watching.lines)
    assert list(built.output.parent.iterdir()) == []  # type: ignore[union-attr]


@pytest.mark.engine
def test_the_image_is_the_one_that_was_built_whoever_has_its_tag_now(
    built: BuildRequest, key: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another checkout of the same graph is built at the same time, and was a moment later."""
    real = images.build

    def overtaken(builds: Any, line: Any) -> Any:
        ids = real(builds, line)
        for one in builds:
            docker("tag", f"collect-dev/{built.output.stem}", one.tag)  # type: ignore[union-attr]
        return ids

    name = (built.source / "web/x").read_text().split()[1]
    built = replace(built, output=built.output.with_name(name))  # type: ignore[union-attr]
    monkeypatch.setattr(images, "build", overtaken)
    result = pack.build(built, Silent())
    same = checked(result, key).images[1].platforms[0]
    assert b"program" in layer(result, same.layers[1].digest.hex)["x"]


@pytest.mark.engine
def test_several_dockerfiles_are_built_side_by_side_and_told_one_after_another(
    built: BuildRequest, key: PrivateKey
) -> None:
    name = (built.source / "web/x").read_text().split()[1]
    text = "bundle: NAME\nversion: 1.0.0\nservices:\n".replace("NAME", name)
    for place in "abcde":
        text += f"  s{place}: {{build: ./{place}, command: [/x]}}\n"
        dockerfile = f"FROM scratch\nLABEL collect-dev={name}\nCOPY x /x\n"
        write(built.source, {f"{place}/Dockerfile": dockerfile, f"{place}/x": f"program {place} {name}"})
    write(built.source, {"bundle.yaml": text})
    threads = set()

    class Threads(Watching):
        def line(self, text: str) -> None:
            super().line(text)
            threads.add(threading.get_ident())

    watching = Threads()
    result = pack.build(built, watching)
    for image in checked(result, key).images:
        (only,) = image.platforms[0].layers
        assert layer(result, only.digest.hex) == {"x": f"program {image.name[1:]} {name}".encode()}
    assert {f"build s{place}" for place in "abcde"} <= set(watching.phases)
    assert threads == {threading.get_ident()}
    for place in "db":
        write(built.source, {f"{place}/Dockerfile": f"FROM scratch\nCOPY missing-{place} /x\n"})
    with pytest.raises(SourceError, match=r"^sb: build b: the build of") as refused:
        pack.build(built, Silent())
    assert "missing-b" in str(refused.value.hint)


@pytest.mark.engine
def test_files_of_the_same_size_and_time_are_not_mixed_up(built: BuildRequest, key: PrivateKey) -> None:
    """BuildKit by itself does that: it takes a directory of the same name for the one it knows."""
    name = (built.source / "web/x").read_text().split()[1]
    text = f"bundle: {name}\nversion: 1.0.0\nservices:\n"
    for place in ("one", "two"):
        text += f"  {place}: {{build: ./{place}/app, command: [/x]}}\n"
        dockerfile = f"FROM scratch\nLABEL collect-dev={name}\nCOPY x /x\n"
        write(built.source, {f"{place}/app/Dockerfile": dockerfile, f"{place}/app/x": f"{place} {name}"})
    write(built.source, {"bundle.yaml": text})

    def contents() -> list[bytes]:
        result = pack.build(built, Silent())
        images = checked(result, key).images
        return [layer(result, image.platforms[0].layers[0].digest.hex)["x"] for image in images]

    assert contents() == [f"one {name}".encode(), f"two {name}".encode()]
    write(built.source, {"one/app/x": f"won {name}"})
    assert contents() == [f"won {name}".encode(), f"two {name}".encode()]


@pytest.mark.engine
def test_a_name_that_nobody_in_the_image_has_is_told_with_the_workload(built: BuildRequest) -> None:
    text = (built.source / "bundle.yaml").read_text()
    write(built.source, {"bundle.yaml": text.replace("user: app", "user: nobody")})
    with pytest.raises(SourceError, match=r"user of same: .*'nobody'"):
        pack.build(built, Silent())


@pytest.mark.engine
def test_a_mirror_is_asked_for_what_the_engine_has_too(built: BuildRequest) -> None:
    name = pack.build(built, Silent()).name
    said = rf"image docker.io/collect-dev/{name}:latest \(mirrored as localhost:1/collect-dev/{name}:latest\)"
    with pytest.raises(SourceError, match=said):
        pack.build(replace(built, mirrors=(Mirror.parse("docker.io=localhost:1"),)), Silent())


@pytest.mark.engine
def test_a_platform_that_the_engine_has_not_is_looked_for_in_the_registry(built: BuildRequest) -> None:
    name = pack.build(built, Silent()).name
    docker("tag", f"collect-dev/{name}", f"localhost:1/collect-dev/{name}")
    text = (built.source / "bundle.yaml").read_text().replace("build: ./web", "image: scratch-is-no-image")
    write(built.source, {"bundle.yaml": text.replace("image: collect-dev/", "image: localhost:1/collect-dev/")})
    watching = Watching()
    try:
        with pytest.raises(SourceError, match="localhost:1 cannot be reached"):
            pack.build(replace(built, platforms=(Platform("linux", "s390x"),)), watching)
    finally:
        docker("rmi", f"localhost:1/collect-dev/{name}")
    assert any("the engine has none for linux/s390x" in line for line in watching.lines)
