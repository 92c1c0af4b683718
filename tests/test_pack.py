"""Whole builds, without an engine: what is packed, and what is refused."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import textwrap
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bundler import pack
from bundler.collect.finding import Finder
from bundler.collect.mirrors import Mirror
from bundler.collect.outside import Outside
from bundler.collect.paths import SourceTree
from bundler.errors import GraphError, SourceError, StoppedError, UsageError
from bundler.layout.archive import ArchiveWriter
from bundler.model.oci import Platform
from bundler.model.progress import Silent
from bundler.pack import BuildRequest
from bundler.trust.keys import KeyStore, PrivateKey
from tests.packing import GRAPH, Registry, Watching, checked, image_layout, replace_in, write

ROOT = Path(__file__).parent.parent


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


def test_platforms_are_asked_for_in_any_order(request_: BuildRequest, tmp_path: Path) -> None:
    amd64 = Platform("linux", "amd64")
    result = pack.build(replace(request_, platforms=(amd64, Platform("linux", "amd64", "v1"), amd64)), Silent())
    assert result.platforms == (amd64,)
    with ExitStack() as stack:
        asked = (Platform("linux", "s390x"), Platform("linux", "arm64", "v8"), amd64)
        finder = Finder(SourceTree(tmp_path), asked, {}, Outside(stack), stack, Silent())
        assert [str(platform) for platform in finder._requested] == ["linux/amd64", "linux/arm64", "linux/s390x"]


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


@pytest.mark.parametrize(
    ("mirrors", "copy"), [((), "a copy"), ((Mirror.parse("127.0.0.1:1=127.0.0.1:1/hub"),), "another copy")]
)
def test_the_ways_on_without_a_registry_are_named(
    request_: BuildRequest, mirrors: tuple[Mirror, ...], copy: str
) -> None:
    write(request_.source, {"bundle.yaml": GRAPH.replace("IMAGE", "127.0.0.1:1/acme/web:1")})
    with pytest.raises(SourceError, match=r"127\.0\.0\.1:1 cannot be reached: nothing listens there") as refused:
        pack.build(replace(request_, mirrors=mirrors), Silent())
    hint = str(refused.value.hint)
    assert f"--mirror 127.0.0.1:1=HOST/PATH, {copy} of the registry; oci:./DIR" in hint
    assert ("docker load" in hint) is (copy == "a copy")


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
