"""Other people's tools read our bundles, and check our signatures. What each needs is in `layout.canonical`.

Tools are looked for on PATH: PATH="$(scripts/peers up):$PATH".
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "layout"))

import sample

from bundler.trust.sign import sign_file

pytestmark = [pytest.mark.peers, pytest.mark.xdist_group("small")]

KEY, OTHER = sample.key(1), sample.key(2)
OFFLINE = ("--insecure-ignore-tlog=true",)


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.fail(f'{name} is missing: PATH="$(scripts/peers up):$PATH"')
    return found


def run(*argv: str | Path, cwd: Path, fails: bool = False, stdin: bytes = b"") -> str:
    environment = {**os.environ, "HOME": str(cwd), "COSIGN_PASSWORD": "secret"}
    done = subprocess.run(argv, cwd=cwd, input=stdin, capture_output=True, timeout=120, env=environment)
    told = (done.stdout + done.stderr).decode(errors="replace")
    assert (done.returncode != 0) == fails, told
    return done.stdout.decode(errors="replace")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`b.tar` with detached signatures, the same unpacked in `layout`, and two public keys."""
    place = tmp_path_factory.mktemp("bundle")
    path = sample.whole().write(place / "b.tar", KEY)
    sample.unpack(path, place / "layout")
    (place / "key.pub").write_bytes(KEY.public.pem)
    (place / "other.pub").write_bytes(OTHER.public.pem)
    detached = sign_file([path.read_bytes()], KEY)
    (place / "b.tar.sig").write_bytes(detached.signature)
    (place / "b.tar.sigstore.json").write_bytes(detached.bundle)
    return place


def index(place: Path) -> list[dict[str, str]]:
    return json.loads((place / "layout" / "index.json").read_bytes())["manifests"]  # type: ignore[no-any-return]


def manifests(place: Path) -> list[bytes]:
    return [(place / "layout" / "blobs" / e["digest"].replace(":", "/")).read_bytes() for e in index(place)]


def docker_index(place: Path) -> list[dict[str, list[str]]]:
    return json.loads((place / "layout" / "manifest.json").read_bytes())  # type: ignore[no-any-return]


@pytest.mark.parametrize(("key", "fails"), [("key.pub", False), ("other.pub", True)])
def test_cosign_verifies_the_unpacked_layout(place: Path, key: str, *, fails: bool) -> None:
    run(tool("cosign"), "verify", "--key", key, *OFFLINE, "--local-image", "layout", cwd=place, fails=fails)


def test_cosign_verifies_either_of_two_signers(place: Path, tmp_path: Path) -> None:
    sample.unpack(sample.whole().write(tmp_path / "two.tar", KEY, OTHER), tmp_path / "layout")
    for key in ("key.pub", "other.pub"):
        run(tool("cosign"), "verify", "--key", place / key, *OFFLINE, "--local-image", "layout", cwd=tmp_path)


@pytest.mark.parametrize(("key", "fails"), [("key.pub", False), ("other.pub", True)])
@pytest.mark.parametrize(
    "form", [("--signature", "b.tar.sig"), ("--bundle", "b.tar.sigstore.json")], ids=lambda f: f[0]
)
def test_cosign_verifies_the_detached_signatures(place: Path, form: tuple[str, str], key: str, *, fails: bool) -> None:
    run(tool("cosign"), "verify-blob", "--key", key, *OFFLINE, *form, "b.tar", cwd=place, fails=fails)


@pytest.mark.parametrize(("key", "fails"), [("key.pub", False), ("other.pub", True)])
def test_openssl_verifies_the_detached_signature(place: Path, tmp_path: Path, key: str, *, fails: bool) -> None:
    (tmp_path / "der").write_bytes(base64.b64decode((place / "b.tar.sig").read_bytes()))
    verify = (tool("openssl"), "dgst", "-sha256", "-verify", key, "-signature", tmp_path / "der", "b.tar")
    run(*verify, cwd=place, fails=fails)


def test_cosign_signs_with_our_key_file_and_we_with_its(tmp_path: Path) -> None:
    pytest.importorskip("nacl", reason="PyNaCl is missing: pip install 'graphbundle[passphrase]'")
    from bundler.trust.keys import KeyStore, read_private

    store = KeyStore(tmp_path / "keys")
    ours = store.default(b"secret")
    (tmp_path / "blob").write_bytes(b"blob")
    sign = (tool("cosign"), "sign-blob", "--use-signing-config=false", "--tlog-upload=false", "--yes")
    run(*sign, "--key", "keys/default.key", "--bundle", "made.json", "blob", cwd=tmp_path)
    made = json.loads((tmp_path / "made.json").read_bytes())
    assert ours.public.verifies(base64.b64decode(made["messageSignature"]["signature"]), b"blob")
    run(tool("cosign"), "generate-key-pair", cwd=tmp_path)
    theirs = read_private((tmp_path / "cosign.key").read_bytes(), "cosign", b"secret")
    assert theirs.public.pem == (tmp_path / "cosign.pub").read_bytes()


@pytest.mark.parametrize("source", ["b.tar", "layout"])
def test_oras_copies_bundle_and_signatures(place: Path, tmp_path: Path, source: str) -> None:
    copy = (tool("oras"), "copy", "-r", "--from-oci-layout", f"{source}:1.0.0", "--to-oci-layout")
    run(*copy, f"{tmp_path}/out:1.0.0", cwd=place)
    ours = {path.name for path in (place / "layout" / "blobs" / "sha256").iterdir()}
    theirs = {path.name for path in (tmp_path / "out" / "blobs" / "sha256").iterdir()}
    simple = json.loads(next(raw for raw in manifests(place) if b"simplesigning" in raw))
    # The simple signature hangs on a tag and not on ROOT, so it is left behind.
    left = [simple["config"]["digest"], *(layer["digest"] for layer in simple["layers"])]
    assert {digest.removeprefix("sha256:") for digest in left} <= ours - theirs
    assert theirs <= ours
    assert len(ours - theirs) == len(left) + 1


def test_oras_reads_single_manifests_by_digest(place: Path) -> None:
    for entry in index(place):
        found = run(tool("oras"), "manifest", "fetch", "--oci-layout", f"b.tar@{entry['digest']}", cwd=place)
        assert json.loads(found)["mediaType"] == entry["mediaType"]


def test_oras_copies_an_image_by_its_tag(place: Path, tmp_path: Path) -> None:
    copy = (tool("oras"), "copy", "--from-oci-layout", "b.tar:web-1.0.0", "--to-oci-layout")
    run(*copy, f"{tmp_path}/out:web", cwd=place)


@pytest.mark.parametrize("name", ["web", "weights"])
def test_skopeo_copies_an_image_by_its_tag(place: Path, tmp_path: Path, name: str) -> None:
    """Not one with Docker's media types: skopeo looks for OCI's only in a layout. See the next test for those."""
    copy = (tool("skopeo"), "copy", "--all", "--preserve-digests")
    run(*copy, f"oci-archive:b.tar:{name}-1.0.0", f"oci:{tmp_path}/out:x", cwd=place)
    copied = json.loads((tmp_path / "out" / "index.json").read_bytes())["manifests"][0]["digest"]
    wanted = {e["digest"] for e in index(place) if f"{name}-1.0.0" in str(e.get("annotations", ""))}
    assert wanted == {copied}


def test_skopeo_reads_it_as_dockers_archive(place: Path, tmp_path: Path) -> None:
    for entry in docker_index(place):
        reference = entry["RepoTags"][0]
        run(tool("skopeo"), "copy", f"docker-archive:b.tar:{reference}", f"oci:{tmp_path}/out:x", cwd=place)


def docker_answers() -> bool:
    found = shutil.which("docker")
    return found is not None and subprocess.run([found, "version"], capture_output=True).returncode == 0


@pytest.mark.engine
def test_docker_loads_images_and_weights_under_our_names(place: Path) -> None:
    if not docker_answers():
        pytest.fail("no Docker engine answers: scripts/engine up")
    wanted = {entry["RepoTags"][0] for entry in docker_index(place)}
    try:
        told = run(tool("docker"), "load", "--input", "b.tar", cwd=place)
        assert wanted == {line.removeprefix("Loaded image: ") for line in told.splitlines() if "bundle.local" in line}
        run(tool("docker"), "image", "inspect", *sorted(wanted), cwd=place)
    finally:
        subprocess.run(["docker", "image", "rm", *sorted(wanted)], capture_output=True)


@pytest.fixture
def containerd(tmp_path: Path) -> Iterator[Path]:
    """The socket of a containerd of our own, without CRI."""
    if os.geteuid() != 0:
        pytest.skip("containerd needs root")
    binary, ctr = tool("containerd"), tool("ctr")
    socket = tmp_path / "s"
    config = tmp_path / "config.toml"
    config.write_text(
        f'version = 2\nroot = "{tmp_path}/root"\nstate = "{tmp_path}/state"\n'
        f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "{socket}"\n'
    )
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([binary, "--config", str(config)], stdout=log, stderr=log)
    try:
        for _ in range(100):
            if subprocess.run([ctr, "-a", str(socket), "version"], capture_output=True).returncode == 0:
                break
            time.sleep(0.1)
        else:
            pytest.fail(f"containerd does not start here: {(tmp_path / 'log').read_text()[-500:]}")
        yield socket
    finally:
        process.terminate()
        process.wait(30)


def test_containerd_imports_and_unpacks_every_name(place: Path, containerd: Path) -> None:
    ctr = (tool("ctr"), "-a", str(containerd), "images")
    run(*ctr, "import", "--local", "--snapshotter", "native", "b.tar", cwd=place)
    names = set(run(*ctr, "ls", "-q", cwd=place).split())
    annotations = [dict(entry.get("annotations", {})) for entry in index(place)]
    assert names == {one["io.containerd.image.name"] for one in annotations if "io.containerd.image.name" in one}
