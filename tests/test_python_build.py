"""`build: {python: ./app}`: a Python project becomes an image, with a real pip and real wheels, without a network."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bundler import pack
from bundler.errors import BundleError, SourceError
from bundler.layout.archive import ArchiveReader
from bundler.model.bundle import Bundle
from bundler.model.progress import Silent
from bundler.pack import BuildRequest, BuildResult
from bundler.trust.keys import PrivateKey
from bundler.trust.policy import Policy
from bundler.trust.verify import verify
from tests.python_project import AMD64, ARM64, GRAPH, HERE, MAIN, PYPROJECT, base, wheel, write


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel(tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def graph(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A graph with one Python project, its base and its wheel beside it, and no engine."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    folder = write(
        tmp_path / "graph",
        {
            "bundle.yaml": GRAPH,
            "app/pyproject.toml": PYPROJECT,
            "app/requirements.txt": "tiny-greeting==2.0\n",
            "app/src/hello/__init__.py": "",
            "app/src/hello/main.py": MAIN,
            "app/.env": "PASSWORD=x",
            "app/src/hello/__pycache__/main.cpython-311.pyc": "x",
            "app/venv/pyvenv.cfg": "",
            "app/venv/lib/x.py": "",
        },
    )
    (folder / "app/wheels").mkdir()
    (folder / "app/wheels" / tiny.name).write_bytes(tiny.read_bytes())
    base(folder / "base", Env=["PATH=/usr/bin", "LANG=C.UTF-8"], User="root", Cmd=["sh"], Labels={"a": "b"})
    return folder


@pytest.fixture
def request_(graph: Path, tmp_path: Path, key: PrivateKey) -> BuildRequest:
    (tmp_path / "out").mkdir()
    return BuildRequest(graph, tmp_path / "out/hello.tar", platforms=(AMD64,), key=key, cache=tmp_path / "cache")


def checked(result: BuildResult, key: PrivateKey) -> Bundle:
    with ArchiveReader(result.path) as reader:
        return verify(reader, Policy((key.public,))).bundle


def blob(result: BuildResult, digest: str) -> bytes:
    with tarfile.open(result.path) as bundle:
        body = bundle.extractfile(f"blobs/sha256/{digest.removeprefix('sha256:')}")
        assert body is not None
        return body.read()


def layers(result: BuildResult, key: PrivateKey, platform: int = 0) -> list[tarfile.TarFile]:
    manifest = checked(result, key).images[0].platforms[platform]
    return [tarfile.open(fileobj=io.BytesIO(blob(result, one.digest.text))) for one in manifest.layers]


def config(result: BuildResult, key: PrivateKey) -> dict[str, Any]:
    image = checked(result, key).images[0].platforms[0]
    found: dict[str, Any] = json.loads(blob(result, image.config.digest.text))
    return found


def refused(request: BuildRequest) -> tuple[str, str]:
    with pytest.raises(SourceError) as caught:
        pack.build(request, Silent())
    return caught.value.what, caught.value.hint or ""


def test_a_project_is_a_base_a_layer_of_wheels_and_a_layer_of_the_application(
    request_: BuildRequest, key: PrivateKey
) -> None:
    under, packages, app = layers(pack.build(request_, Silent()), key)
    assert under.getnames() == ["base-amd64"]
    site = f"opt/python/lib/python{HERE}/site-packages"
    assert {f"{site}/tiny_greeting/__init__.py", "opt/python/bin/greet", "opt/python/bin/old-style"} <= set(
        packages.getnames()
    )
    assert {member.name for member in app if member.isfile()} == {
        "app/pyproject.toml",
        "app/requirements.txt",
        "app/src/hello/__init__.py",
        "app/src/hello/main.py",
        "opt/python/bin/hello",
    }
    for archive in (packages, app):
        files = [member.name for member in archive if member.isfile()]
        assert files == sorted(files)
        assert {(m.uid, m.gid, m.mtime, m.uname) for m in archive} == {(0, 0, 0, "")}
        assert {m.mode for m in archive} <= {0o755, 0o644}
    old = packages.extractfile("opt/python/bin/old-style")
    assert old is not None
    assert old.readline() == f"#!/usr/bin/env python{HERE}\n".encode()


def test_what_is_packed_runs_its_script_with_its_wheels(
    request_: BuildRequest, key: PrivateKey, tmp_path: Path
) -> None:
    result = pack.build(request_, Silent())
    root = tmp_path / "root"
    for archive in layers(result, key):
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4
        archive.extractall(root)
    said = config(result, key)["config"]
    moved = {name: text.replace("/app", f"{root}/app").replace("/opt", f"{root}/opt") for name, _, text in
             (line.partition("=") for line in said["Env"]) if name.startswith("PYTHON")}  # fmt: skip
    program = [sys.executable, *(part.replace("/opt", f"{root}/opt") for part in said["Entrypoint"][1:])]
    assert said["Entrypoint"][0] == f"python{HERE}"
    system = getattr(sys, "_base_executable", sys.executable)  # a virtual environment has no user site
    done = subprocess.run([system, *program[1:]], env=moved, capture_output=True, text=True)
    assert done.stdout == "well met\n", done.stderr


def test_it_runs_as_nobody_in_particular_and_keeps_what_its_base_says(request_: BuildRequest, key: PrivateKey) -> None:
    result = pack.build(request_, Silent())
    document = config(result, key)
    assert document["config"]["User"] == "10001:10001"
    assert document["config"]["WorkingDir"] == "/app"
    assert document["config"]["Labels"] == {"a": "b"}
    assert "Cmd" not in document["config"]
    environment = dict(line.split("=", 1) for line in document["config"]["Env"])
    assert environment["LANG"] == "C.UTF-8"
    assert environment["PATH"] == "/opt/python/bin:/usr/bin"
    assert environment["PYTHONPATH"] == "/app/src"
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
    assert document["created"] == "1970-01-01T00:00:00Z"
    assert json.loads(checked(result, key).graph_document)["pins"]["users"] == {"web": "10001:10001"}


def test_two_builds_differ_in_no_bit_whatever_the_time_zone_hash_seed_umask_and_order_of_files(
    request_: BuildRequest, tmp_path: Path
) -> None:
    first = pack.build(replace(request_, key=None, cache=None), Silent())
    folder = tmp_path / "elsewhere"
    done = subprocess.run(["cp", "-r", f"{request_.source}/.", str(folder)], check=False)
    assert done.returncode == 0
    code = (
        "import os, sys, pathlib; os.umask(0o077)\n"
        "from bundler import pack; from bundler.model.oci import Platform; from bundler.model.progress import Silent\n"
        "made = pack.build(pack.BuildRequest(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]),"
        " platforms=(Platform('linux', 'amd64'),), key=None, cache=None), Silent())\n"
        "print(made.root)"
    )
    there = {**os.environ, "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "7", "SOURCE_DATE_EPOCH": "99"}
    argv = [sys.executable, "-c", code, str(folder), str(tmp_path / "other.tar")]
    done_there = subprocess.run(argv, env=there, capture_output=True, text=True)
    assert done_there.stdout.strip() == str(first.root), done_there.stderr
    assert (tmp_path / "other.tar").read_bytes() == first.path.read_bytes()


def test_another_platform_takes_no_emulation_and_shares_what_is_the_same(
    request_: BuildRequest, key: PrivateKey
) -> None:
    result = pack.build(replace(request_, platforms=(AMD64, ARM64)), Silent())
    amd64, arm64 = (part.layers for part in checked(result, key).images[0].platforms)
    assert amd64[0] != arm64[0]
    assert amd64[1:] == arm64[1:]  # a wheel for every platform


def test_a_rebuild_without_changes_starts_no_pip_and_reads_no_wheel(
    request_: BuildRequest, graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack.build(request_, Silent())
    with monkeypatch.context() as patch:
        patch.setattr("bundler.edges.pip.download", None)
        assert pack.build(request_, Silent()).unchanged
        write(graph, {"app/.cache/x": "1", "app/src/hello/__pycache__/y.pyc": "2"})
        assert pack.build(request_, Silent()).unchanged
    write(graph, {"app/src/hello/main.py": MAIN + "\n"})
    assert pack.build(request_, Silent()).changed == ("app",)


def test_an_edit_of_the_application_unpacks_no_wheel(
    request_: BuildRequest, graph: Path, monkeypatch: pytest.MonkeyPatch, key: PrivateKey
) -> None:
    before = checked(pack.build(request_, Silent()), key).images[0].platforms[0].layers
    write(graph, {"app/src/hello/main.py": MAIN + "\n"})
    with monkeypatch.context() as patch:
        patch.setattr("bundler.collect.wheels.unpack", None)
        after = checked(pack.build(request_, Silent()), key).images[0].platforms[0].layers
    assert after[:2] == before[:2]
    assert after[2] != before[2]
    assert request_.output is not None
    request_.output.unlink()
    assert checked(pack.build(request_, Silent()), key).images[0].platforms[0].layers == after


def test_wheels_of_a_lock_are_asked_for_once(
    request_: BuildRequest, graph: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    index = tmp_path / "index"
    (graph / "app/wheels").rename(index)  # what pip's settings name, instead
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    pack.build(request_, Silent())
    index.rename(tmp_path / "gone")
    write(graph, {"app/src/hello/main.py": MAIN + "\n"})
    assert not pack.build(request_, Silent()).unchanged
    write(graph, {"app/requirements.txt": "tiny-greeting==2.0 # again\n\n"})
    pack.build(request_, Silent())
    (tmp_path / "cache/wheels").chmod(0o777)  # somebody else's, for all we know
    write(graph, {"app/src/hello/main.py": MAIN})
    assert "has no tiny-greeting 2.0 for" in refused(request_)[0]


def test_what_a_build_leaves_behind_in_the_project_is_not_packed(request_: BuildRequest, graph: Path) -> None:
    inside = replace(request_, output=graph / "app/hello.tar")
    first = pack.build(inside, Silent())
    assert {path.name for path in (graph / "app").iterdir() if path.name.endswith(".part")} == set()
    assert pack.build(inside, Silent()).unchanged
    write(graph, {"bundle.yaml": GRAPH + "\n"})
    assert pack.build(inside, Silent()).root == first.root


def test_a_hash_that_is_given_is_checked(request_: BuildRequest, graph: Path, tiny: Path) -> None:
    right = hashlib.sha256(tiny.read_bytes()).hexdigest()
    write(graph, {"app/requirements.txt": f"tiny-greeting==2.0 \\\n    --hash=sha256:{right}\n    # via hello\n"})
    pack.build(request_, Silent())
    write(graph, {"app/requirements.txt": f"tiny-greeting==2.0 --hash=sha256:{'0' * 64}\n"})
    assert refused(request_)[0] == "web: build app: a wheel is not the one that requirements.txt pins by hash"


def test_what_is_there_as_source_alone_is_sent_to_a_dockerfile(
    request_: BuildRequest, graph: Path, tmp_path: Path
) -> None:
    for file in (graph / "app/wheels").iterdir():
        file.unlink()
    wheel(graph / "app/wheels", tmp_path / "tiny", sdist=True)
    write(graph, {"app/requirements.txt": "tiny-greeting==2.0.0\n"})
    what, hint = refused(request_)
    wanted = f"tiny-greeting==2.0.0 for Python {HERE} on linux/amd64"
    assert what == f"web: build app: the project's folder wheels has no wheel of {wanted}"
    assert "Dockerfile" in hint


def test_a_version_that_is_not_there_is_not_one_that_must_be_compiled(request_: BuildRequest, graph: Path) -> None:
    for pin, there in (("tiny-greeting==2.1", "2.0"), ("tiny-greating==2.0", "no other version")):
        write(graph, {"app/requirements.txt": f"{pin}\n"})
        called = pin.replace("==", " ")
        assert refused(request_) == (
            f"web: build app: the project's folder wheels has no {called} for Python {HERE} on linux/amd64, "
            "neither wheel nor source",
            f"mend the pin in requirements.txt; there is {there}",
        )


def test_a_lock_that_leaves_something_out_is_refused(request_: BuildRequest, graph: Path, tmp_path: Path) -> None:
    for file in (graph / "app/wheels").iterdir():
        file.unlink()
    needs = """dependencies = ["six>=1", "colorama; sys_platform == 'win32'"]"""
    wheel(graph / "app/wheels", tmp_path / "tiny", needs=needs)
    assert refused(request_) == (
        "web: build app: requirements.txt does not pin six>=1 (which tiny-greeting needs)",
        "write NAME==VERSION for every package, as uv does (pip install uv), in the project's folder:\n"
        f"uv pip compile --universal --generate-hashes --python-version {HERE} pyproject.toml requirements.txt"
        " -o requirements.txt",
    )
    write(graph, {"app/requirements.txt": ""})
    assert refused(request_)[0] == (
        "web: build app: requirements.txt does not pin tiny-greeting>=2 (which pyproject.toml needs)"
    )


def test_a_damaged_wheel_is_refused(request_: BuildRequest, graph: Path) -> None:
    path = next((graph / "app/wheels").iterdir())
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(BundleError, match="web: build app: "):
        pack.build(request_, Silent())


def test_a_base_of_another_python_is_refused(request_: BuildRequest, graph: Path) -> None:
    base(graph / "base", Env=["PYTHON_VERSION=3.9.1"])
    assert refused(request_)[0] == f"web: build app: its base has Python 3.9.1, not {HERE}"


def test_requires_python_is_held_against_the_very_python_of_the_base(request_: BuildRequest, graph: Path) -> None:
    text = PYPROJECT.replace("dependencies", f'requires-python = ">={HERE}.4"\ndependencies')
    write(graph, {"app/pyproject.toml": text})
    base(graph / "base", Env=[f"PYTHON_VERSION={HERE}.3"])
    assert refused(request_) == (
        f"web: build app: pyproject.toml requires Python >={HERE}.4, and the image has {HERE}.3",
        "write build: {python: FOLDER, base: …}, or mend requires-python",
    )
    shutil.rmtree(graph / "base")
    base(graph / "base", Env=[f"PYTHON_VERSION={HERE}.4"])
    pack.build(request_, Silent())


def test_markers_are_decided_by_the_very_python_that_a_base_says_it_has(
    request_: BuildRequest, graph: Path, tmp_path: Path
) -> None:
    shutil.rmtree(graph / "app/wheels")
    needs = f"dependencies = [\"odd; python_full_version < '{HERE}.3'\"]"
    wheel(graph / "app/wheels", tmp_path / "needy", needs=needs)
    assert "does not pin odd (which tiny-greeting needs)" in refused(request_)[0]

    def base_says(version: str) -> None:
        shutil.rmtree(graph / "base")
        base(graph / "base", Env=[f"PYTHON_VERSION={version}"])

    base_says(f"{HERE}.3-acme")
    assert "does not pin odd" in refused(request_)[0], "it is no version that markers know"
    base_says(f"{HERE}.3")
    pack.build(request_, Silent())


def test_a_base_may_be_what_docker_save_writes(request_: BuildRequest, graph: Path, key: PrivateKey) -> None:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("saved"))
    diff_id = f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"
    described = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
    parts = {
        "config.json": json.dumps(described).encode(),
        "layer.tar": layer.getvalue(),
        "manifest.json": json.dumps([{"Config": "config.json", "RepoTags": ["b:1"], "Layers": ["layer.tar"]}]).encode(),
    }
    with tarfile.open(graph / "base.tar", "w") as archive:
        for name, data in parts.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    write(graph, {"bundle.yaml": GRAPH.replace("oci:./base", "docker-archive:./base.tar")})
    result = pack.build(request_, Silent())
    assert layers(result, key)[0].getnames() == ["saved"]
    assert config(result, key)["rootfs"]["diff_ids"][0] == diff_id
    (graph / "base.tar").touch()
    assert not pack.build(request_, Silent()).unchanged


def test_a_base_may_be_the_root_of_a_file_system(request_: BuildRequest, graph: Path, key: PrivateKey) -> None:
    program = b"\x7fELF\2\1\1" + bytes(11) + (62).to_bytes(2, "little")
    with tarfile.open(graph / "base.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo(f"./usr/bin/python{HERE}")
        member.size = len(program)
        archive.addfile(member, io.BytesIO(program))
    write(graph, {"bundle.yaml": GRAPH.replace("oci:./base", "rootfs:./base.tar.gz")})
    result = pack.build(request_, Silent())
    digest = hashlib.sha256(gzip.decompress((graph / "base.tar.gz").read_bytes())).hexdigest()
    assert checked(result, key).images[0].platforms[0].layers[0].digest.hex == digest
    environment = dict(line.split("=", 1) for line in config(result, key)["config"]["Env"])
    assert environment["PATH"] == "/opt/python/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert pack.build(request_, Silent()).unchanged
    (graph / "base.tar.gz").touch()
    assert pack.build(request_, Silent()).changed == ("./base.tar.gz",)
    assert refused(replace(request_, platforms=(ARM64,)))[1] == "--platform linux/amd64"
    write(graph, {"bundle.yaml": GRAPH.replace("oci:./base", "rootfs:./gone.tar")})
    assert refused(request_)[0] == "web: image rootfs:./gone.tar: ./gone.tar is not there"
    inside = replace(request_, output=graph / "base.tar.gz")
    write(graph, {"bundle.yaml": GRAPH.replace("oci:./base", "rootfs:./base.tar.gz")})
    with pytest.raises(BundleError, match="writing it would destroy"):
        pack.build(inside, Silent())


def test_a_base_of_dockers_own_media_types_keeps_its_bytes(
    request_: BuildRequest, graph: Path, key: PrivateKey
) -> None:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("pulled"))
    pressed = gzip.compress(plain.getvalue(), mtime=0)
    diff_id = f"sha256:{hashlib.sha256(plain.getvalue()).hexdigest()}"
    shutil.rmtree(graph / "base")
    (graph / "base/blobs/sha256").mkdir(parents=True)

    def put(data: bytes, media_type: str) -> dict[str, Any]:
        name = hashlib.sha256(data).hexdigest()
        (graph / "base/blobs/sha256" / name).write_bytes(data)
        return {"mediaType": f"application/vnd.docker.{media_type}", "digest": f"sha256:{name}", "size": len(data)}

    described = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": put(json.dumps(described).encode(), "container.image.v1+json"),
        "layers": [put(pressed, "image.rootfs.diff.tar.gzip")],
    }
    top = put(json.dumps(manifest).encode(), "distribution.manifest.v2+json")
    write(graph, {"base/index.json": json.dumps({"schemaVersion": 2, "manifests": [top]})})
    write(graph, {"base/oci-layout": '{"imageLayoutVersion":"1.0.0"}'})
    result = pack.build(request_, Silent())
    under = checked(result, key).images[0].platforms[0].layers[0]
    assert under.media_type == "application/vnd.oci.image.layer.v1.tar+gzip"
    assert blob(result, under.digest.text) == pressed


def test_a_variant_may_put_it_on_another_base(request_: BuildRequest, graph: Path, key: PrivateKey) -> None:
    base(graph / "other", Env=["WHICH=other"])
    write(graph, {"variants/acme.yaml": "variant: acme\nof: hello\nservices: {web: {build: {base: 'oci:./other'}}}\n"})
    result = pack.build(replace(request_, variants=("acme",)), Silent())
    whole = checked(result, key)
    first, second = (bundle.images[0].platforms[0] for bundle in (whole, *whole.variants))
    assert first.layers == second.layers  # the bases have the same layer
    assert first.config != second.config


def test_who_says_no_command_needs_a_program_in_a_variant_too(request_: BuildRequest, graph: Path) -> None:
    write(graph, {"app/pyproject.toml": PYPROJECT.partition("[project.scripts]")[0]})
    write(graph, {"bundle.yaml": GRAPH.rstrip() + f"\n    command: [python{HERE}, x.py]\n"})
    pack.build(request_, Silent())
    write(graph, {"variants/acme.yaml": "variant: acme\nof: hello\nservices: {web: {command: null}}\n"})
    assert "nothing says what runs" in refused(replace(request_, variants=("acme",)))[0]
