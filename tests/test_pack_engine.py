"""Whole builds with the engine that DOCKER_HOST or the default socket names, and one on the containerd store."""

from __future__ import annotations

import json
import subprocess
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bundler import pack
from bundler.collect.mirrors import Mirror
from bundler.edges import images
from bundler.errors import SourceError
from bundler.model.oci import Platform
from bundler.model.progress import Silent
from bundler.pack import BuildRequest
from bundler.trust.keys import PrivateKey
from tests.packing import Watching, checked, layer, write

ROOT = Path(__file__).parent.parent
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
        with pytest.raises(SourceError, match=r"localhost:1 cannot be reached: .*; the local engine has it for linux/"):
            pack.build(replace(built, platforms=(Platform("linux", "s390x"),)), watching)
    finally:
        docker("rmi", f"localhost:1/collect-dev/{name}")
    assert any("the engine has none for linux/s390x" in line for line in watching.lines)
