"""bundle components pack, pull: a library is one signed file, and plain files beside a graph."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bundler.cli.main import run
from bundler.layout.archive import ArchiveWriter
from bundler.layout.library import assemble
from bundler.layout.names import bundle_repository
from bundler.trust.keys import KeyStore
from bundler.trust.sign import sign_root

LIBRARY = Path(__file__).parents[1] / "graphfile" / "libraries" / "components"
GRAPH = """\
# ours
bundle: shop
version: "1.0"

services:
  api:
    image: a   # pinned later
    expose: {http: 80}

publish: {api: api.http}
"""
PULLED = Path("shop/libraries/acme")
Bundle = Callable[..., str]


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bundle:
    """Runs a command line in a directory with a folder of components and a graph; gives what it says. Its status is
    0 unless told."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    shutil.copytree(LIBRARY, tmp_path / "components")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/bundle.yaml").write_text(GRAPH)

    def bundle(*words: str, status: int = 0) -> str:
        found = run(list(words))
        said = capsys.readouterr()
        assert found == status, said.err
        return said.out + said.err

    return bundle


def packed(bundle: Bundle, version: str) -> str:
    bundle("components", "pack", "components", f"acme:{version}")
    return f"acme-{version}.library.tar"


def state(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_from_a_folder_to_a_graph_that_uses_it(bundle: Bundle) -> None:
    said = bundle("components", "pack", "components", "acme:1.0")
    assert "packed acme-1.0.library.tar: acme 1.0, 4 components," in said
    digest = re.search(r"root (sha256:\w+), signed by (\w{16})", said)
    assert digest is not None
    said = bundle("components", "pull", "acme-1.0.library.tar", "shop")
    assert f"acme 1.0 in {PULLED}: {digest[1]}, signed by default ({digest[2]})" in said
    assert "  added  queue@1.5\n" in said
    assert "shop/bundle.yaml says now: libraries: {acme: ./libraries/acme}" in said
    assert Path("shop/bundle.yaml").read_text() == f"{GRAPH}\nlibraries:\n  acme: ./libraries/acme\n"
    files = state(PULLED)
    origin = json.loads(files.pop("library.json"))
    assert files == state(Path("components"))
    assert (origin["source"], origin["digest"]) == ("acme-1.0.library.tar", digest[1])
    assert origin["signers"][0].startswith(digest[2])
    bundle("add", "acme/worker", "shop")
    assert "use: acme/worker@1" in Path("shop/bundle.yaml").read_text()
    assert "shop 1.0 is valid" in bundle("check", "shop")
    assert "acme/queue" in bundle("components", "--graph", "shop")


def test_a_pull_once_more_tells_what_is_new(bundle: Bundle) -> None:
    first = packed(bundle, "1.0")
    bundle("components", "pull", first, "shop")
    graph, before = Path("shop/bundle.yaml").read_text(), state(PULLED)
    assert "  unchanged  4 components\n" in bundle("components", "pull", first, "shop")
    assert state(PULLED) == before
    Path("components/worker@1.yaml").rename("components/worker@2.yaml")
    for name, old, new in (("worker@2", 'version: "1"', 'version: "2"'), ("queue@1.5", "1GiB", "2GiB")):
        file = Path(f"components/{name}.yaml")
        file.write_text(file.read_text().replace(old, new))
    own = PULLED / "mine@1.yaml"
    own.write_text("# no component yet")
    said = json.loads(bundle("components", "pull", packed(bundle, "1.1"), "shop", "--json"))
    assert (said["added"], said["changed"], said["removed"]) == (["worker@2"], ["queue@1.5"], ["worker@1"])
    files = state(PULLED)
    assert files.pop("mine@1.yaml") == b"# no component yet", "what is from no pull stays"
    assert json.loads(files.pop("library.json"))["version"] == "1.1"
    assert files == state(Path("components"))
    assert Path("shop/bundle.yaml").read_text() == graph
    assert "acme 1.0 (it was 1.1) in" in bundle("components", "pull", first, "shop")


def test_what_was_edited_by_hand_is_not_overwritten_unasked(bundle: Bundle, tmp_path: Path) -> None:
    bundle("components", "pull", packed(bundle, "1.0"), "shop")
    queue = Path("components/queue@1.5.yaml")
    queue.write_text(queue.read_text() + "# theirs\n")
    Path("components/worker@1.yaml").unlink()
    second = packed(bundle, "1.1")
    outside = tmp_path / "outside.yaml"
    outside.write_text("kept")
    (PULLED / "worker@1.yaml").write_text("ours")
    (PULLED / "queue@1.5.yaml").unlink()
    (PULLED / "queue@1.5.yaml").symlink_to(outside)
    (PULLED / "tracker@2.1.yaml").unlink()
    before = state(PULLED)
    said = bundle("components", "pull", second, "shop", status=2)
    assert f"{PULLED}: edited by hand since it was pulled, or from no pull: queue@1.5, worker@1" in said
    assert state(PULLED) == before
    said = bundle("components", "pull", second, "shop", "--overwrite")
    for line in (r"added +tracker@2.1", r"changed +queue@1.5 +was edited by hand", r"removed +worker@1 +was edited"):
        assert re.search(line, said)
    assert {name: data for name, data in state(PULLED).items() if name != "library.json"} == state(Path("components"))
    assert outside.read_text() == "kept"


def test_files_that_lay_there_before_the_first_pull_are_the_users(bundle: Bundle) -> None:
    first = packed(bundle, "1.0")
    PULLED.mkdir(parents=True)
    (PULLED / "queue@1.5.yaml").write_text("ours")
    shutil.copy("components/worker@1.yaml", PULLED)
    assert "or from no pull: queue@1.5\n" in bundle("components", "pull", first, "shop", status=2)
    assert sorted(state(PULLED)) == ["queue@1.5.yaml", "worker@1.yaml"]
    assert Path("shop/bundle.yaml").read_text() == GRAPH


def test_a_pull_that_was_interrupted_is_repeated(bundle: Bundle) -> None:
    bundle("components", "pull", packed(bundle, "1.0"), "shop")
    for file in Path("components").iterdir():
        file.write_text(file.read_text() + "# new\n")
    second = packed(bundle, "1.1")
    shutil.copy("components/queue@1.5.yaml", PULLED)  # as far as it came
    said = bundle("components", "pull", second, "shop")
    assert "queue@1.5" not in said
    assert "changed  worker@1" in said


def test_it_goes_where_the_graph_has_that_library_or_where_it_is_told(bundle: Bundle) -> None:
    first = packed(bundle, "1.0")
    graph = Path("shop/bundle.yaml")
    graph.write_text(f"{GRAPH}libraries: {{acme: ./theirs/}}\n")
    bundle("components", "pull", first, "shop")
    assert len(state(Path("shop/theirs"))) == 5
    assert "the graph's library acme is theirs" in bundle(
        "components", "pull", first, "shop", "--to", "shop/other", status=2
    )
    bundle("components", "pull", first, "shop", "--as", "two", "--to", "shop/other")
    assert "two: ./other" in graph.read_text()
    for place in ("elsewhere", "shop", "shop/../x"):
        said = bundle("components", "pull", first, "shop", "--as", "three", "--to", place, status=2)
        assert "is no folder below the graph's" in said
    assert "cannot name a library" in bundle("components", "pull", first, "shop", "--as", "../x", status=2)
    Path("shop/link").symlink_to("..")
    assert "is no folder below" in bundle(
        "components", "pull", first, "shop", "--as", "a", "--to", "shop/link/a", status=2
    )
    assert not Path("a").exists()


def test_without_a_graph_the_line_to_write_is_told(bundle: Bundle) -> None:
    first = packed(bundle, "1.0")
    Path("shop/bundle.yaml").unlink()
    said = bundle("components", "pull", first, "shop")
    assert "there is no graph; one beside it says: libraries: {acme: ./libraries/acme}" in said
    assert len(state(PULLED)) == 5


def test_another_library_does_not_take_its_place(bundle: Bundle) -> None:
    bundle("components", "pull", packed(bundle, "1.0"), "shop")
    bundle("components", "pack", "components", "other:1.0")
    before = state(PULLED)
    said = bundle("components", "pull", "other-1.0.library.tar", "shop", "--as", "acme", status=2)
    assert f"{PULLED} holds the library acme, not other" in said
    assert state(PULLED) == before


def test_a_note_of_the_origin_that_cannot_be_read_is_named(bundle: Bundle) -> None:
    first = packed(bundle, "1.0")
    bundle("components", "pull", first, "shop")
    note = PULLED / "library.json"
    whole = json.loads(note.read_text())
    for text in ("", "[]", "{}", json.dumps({**whole, "files": {"../x": whole["digest"]}})):
        note.write_text(text)
        assert f"{note}: " in bundle("components", "pull", first, "shop", status=2)


def test_nothing_comes_of_an_unknown_signer(bundle: Bundle, tmp_path: Path) -> None:
    first = packed(bundle, "1.0")
    bundle("keys", "generate", "other")
    Path("other.pub").write_text(bundle("keys", "export", "other"))
    Path("default.pub").write_text(bundle("keys", "export"))
    said = bundle("components", "pull", first, "shop", "--key", "other.pub", status=5)
    assert "signed by unknown key" in said
    assert not PULLED.exists()
    bundle("components", "pull", first, "shop", "--key", "default.pub")
    shutil.rmtree(PULLED)
    said = bundle("components", "pull", first, "shop", "--key", "other.pub", "--insecure-allow-unsigned")
    assert "NOT TRUSTED" in said
    assert json.loads((PULLED / "library.json").read_text())["signers"] == []


def test_a_signed_file_that_is_no_component_is_not_written(bundle: Bundle, tmp_path: Path) -> None:
    key = KeyStore(tmp_path / "data/graphbundle/keys").default()
    bad = {"queue@1.yaml": b"component: queue\nversion: 2\n", "text@1.yaml": b"\xff", "yaml@1.yaml": b"a: [\n"}
    assembly = assemble("acme", "1.0", {**bad, "worker@1.yaml": Path("components/worker@1.yaml").read_bytes()})
    with ArchiveWriter(Path("bad.tar")) as writer:
        writer.finish(assembly, sign_root(assembly.root, bundle_repository("acme"), key))
    said = bundle("components", "pull", "bad.tar", "shop", status=3)
    for where in ("queue@1.yaml:", "text@1.yaml: not UTF-8", "yaml@1.yaml:", "nothing was written"):
        assert where in said
    assert not PULLED.exists()
    assert Path("shop/bundle.yaml").read_text() == GRAPH


def test_what_is_no_library_is_not_packed(bundle: Bundle) -> None:
    for folder, name, status, reason in (
        ("components", "acme", 2, "NAME:VERSION"),
        ("components", "a/b:1", 2, "cannot name a library"),
        ("components", "acme:a/b", 2, "cannot name a library"),
        ("shop", "acme:1", 2, "no component is there"),
        ("none", "acme:1", 2, "there is no folder none"),
    ):
        assert reason in bundle("components", "pack", folder, name, status=status)
    queue = Path("components/queue@1.5.yaml")
    queue.write_text(queue.read_text() + "nonsense: 1\n")
    queue.rename("components/queue@1.6.yaml")
    said = bundle("components", "pack", "components", "acme:1", status=3)
    assert "components/queue@1.6.yaml:" in said
    assert "in the library\n" in said
    assert not list(Path().glob("*.tar"))


def test_a_file_that_is_called_otherwise_is_told_once_by_what_it_is_to_be_called(bundle: Bundle) -> None:
    Path("components/tracker@2.1.yaml").rename("components/other@2.1.yaml")
    said = bundle("components", "pack", "components", "acme:1", status=3)
    assert "call it tracker@2.1.yaml" in said
    assert "1 problem in the library" in said
    Path("components/other@2.1.yaml").rename("components/tracker.yml")
    said = bundle("components", "pack", "components", "acme:1")
    assert "not packed: tracker.yml; a component is a file NAME@VERSION.yaml" in said


def test_a_library_that_is_damaged_is_told_as_one(bundle: Bundle) -> None:
    file = Path(packed(bundle, "1.0"))
    file.write_bytes(file.read_bytes()[:-1])
    assert "fetch or copy it again" in bundle("components", "pull", str(file), "shop", status=5)
    file.write_bytes(b"library")
    assert "neither a bundle nor a library" in bundle("components", "pull", str(file), "shop", status=5)


def test_sources_that_are_none_are_named(bundle: Bundle) -> None:
    for source, reason in (
        ("none.tar", "there is no file none.tar"),
        ("../x", "neither a file nor a place in a registry"),
        ("HOST/Path", "neither a file nor a place in a registry"),
        ("registry.example/acme/components", "registry.example/acme/components:TAG, or registry.example"),
    ):
        assert reason in bundle("components", "pull", source, "shop", status=2)
