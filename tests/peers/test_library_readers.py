"""Other people's tools read our libraries, and check their signatures; what they copied elsewhere is still signed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parents[1] / name) for name in ("layout", "collect")]

import sample
from test_bundle_readers import OFFLINE, run, tool
from test_registry import serving

from bundler import vendoring
from bundler.trust.policy import Policy

pytestmark = pytest.mark.peers

KEY, OTHER = sample.key(1), sample.key(2)
COMPONENTS = Path(__file__).parents[1] / "graphfile" / "libraries" / "components"
NAMES = {path.name for path in COMPONENTS.iterdir()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`a.tar`, the same unpacked in `layout`, and two public keys."""
    place = tmp_path_factory.mktemp("library")
    sample.unpack(vendoring.pack(COMPONENTS, "acme", "1.0", KEY, place / "a.tar").path, place / "layout")
    (place / "key.pub").write_bytes(KEY.public.pem)
    (place / "other.pub").write_bytes(OTHER.public.pem)
    return place


@pytest.fixture(scope="module")
def registry(place: Path) -> Iterator[str]:
    """HOST:PORT of a registry that has it as acme/components:1.0."""
    with serving(place) as address:
        vendoring.push(place / "a.tar", f"{address}/acme/components")
        yield address


@pytest.mark.parametrize(("key", "fails"), [("key.pub", False), ("other.pub", True)])
def test_cosign_verifies_the_unpacked_layout(place: Path, key: str, *, fails: bool) -> None:
    run(tool("cosign"), "verify", "--key", key, *OFFLINE, "--local-image", "layout", cwd=place, fails=fails)


@pytest.mark.parametrize(("key", "fails"), [("key.pub", False), ("other.pub", True)])
def test_cosign_verifies_it_in_a_registry(place: Path, registry: str, key: str, *, fails: bool) -> None:
    there = (*OFFLINE, "--allow-http-registry", f"{registry}/acme/components:1.0")
    run(tool("cosign"), "verify", "--key", key, *there, cwd=place, fails=fails)


def test_oras_pulls_the_components(place: Path, registry: str, tmp_path: Path) -> None:
    for source in (("--oci-layout", "a.tar:1.0"), ("--plain-http", f"{registry}/acme/components:1.0")):
        out = tmp_path / source[0]
        run(tool("oras"), "pull", *source, "-o", str(out), cwd=place)
        assert {path.name: path.read_bytes() for path in out.iterdir()} == {
            path.name: path.read_bytes() for path in COMPONENTS.iterdir()
        }


def test_what_oras_copied_to_another_registry_is_still_signed(place: Path, registry: str, tmp_path: Path) -> None:
    copy = (tool("oras"), "copy", "-r", "--from-plain-http", "--to-plain-http", f"{registry}/acme/components:1.0")
    run(*copy, f"{registry}/elsewhere/components:x", cwd=place)
    found = vendoring.pull(f"{registry}/elsewhere/components:x", tmp_path / "bundle.yaml", Policy((KEY.public,)))
    assert set(found.changes.added) == NAMES
