"""Libraries in a real registry, and what others may have put beside them there."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from test_registry import HTTP, push_blob, push_image, push_index, registry, serving

from bundler import vendoring
from bundler.cli.main import run
from bundler.errors import BundleError, SourceError, TrustError, UsageError
from bundler.layout.archive import ArchiveReader
from bundler.model.oci import EMPTY, INDEX, MANIFEST, Digest
from bundler.trust.keys import KeyStore, PrivateKey
from bundler.trust.policy import Policy
from tests.http_server import Handle, answer

__all__ = ["registry"]  # a fixture
COMPONENTS = Path(__file__).parents[1] / "graphfile" / "libraries" / "components"
GRAPH = 'bundle: shop\nversion: "1.0"\n'


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PrivateKey:
    """A key, in a directory with a folder of components and a graph. Docker has no credentials."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    shutil.copytree(COMPONENTS, "components")
    Path("shop").mkdir()
    Path("shop/bundle.yaml").write_text(GRAPH)
    return KeyStore(tmp_path / "keys").default()


def pushed(key: PrivateKey, place: str, version: str = "1.0") -> str:
    """The digest."""
    return vendoring.push(vendoring.pack(Path("components"), "acme", version, key).path, place)[1].text


def pull(source: str, key: PrivateKey) -> vendoring.Pulled:
    return vendoring.pull(source, Path("shop/bundle.yaml"), Policy((key.public,)))


def put(base: str, name: str, document: dict[str, object], kind: str = MANIFEST) -> None:
    answer = HTTP.put(f"{base}/manifests/{name}", content=json.dumps(document), headers={"Content-Type": kind})
    answer.raise_for_status()


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.yaml")}


def test_it_comes_back_as_it_was_packed_by_tag_and_by_digest(registry: str, key: PrivateKey) -> None:
    place = f"{registry}/acme/round"
    digest = pushed(key, place)
    found = pull(f"{place}:1.0", key)
    assert (found.library.root.text, found.library.version) == (digest, "1.0"), "its version is the tag"
    assert [signer.fingerprint for signer in found.library.signers] == [key.public.fingerprint]
    assert files(Path("shop/libraries/acme")) == files(Path("components"))
    assert json.loads(Path("shop/libraries/acme/library.json").read_text())["source"] == f"{place}:1.0"
    again = pull(f"{place}@{digest}", key)
    assert (again.changes.added, again.changes.changed, again.changes.removed) == ((), (), ())


def test_the_commands_lead_from_a_folder_to_a_graph_elsewhere(
    registry: str, key: PrivateKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    place = f"{registry}/acme/commands"
    assert run(["components", "pack", "components", "acme:1.0", "--json"]) == 0
    digest = json.loads(capsys.readouterr().out)["digest"]
    assert run(["components", "push", "acme-1.0.library.tar", place]) == 0
    assert capsys.readouterr().out == f"pushed {place}:1.0: {digest}\n"
    for words in (["components", "pull", f"{place}@{digest}"], ["add", "acme/worker"], ["check"]):
        assert run([*words, "shop"]) == 0
    assert "shop 1.0 is valid: 2 services, 1 job" in capsys.readouterr().out
    assert run(["components", "push", "none.tar", place]) == 2
    assert run(["components", "push", "acme-1.0.library.tar", "127.0.0.1:1/acme"]) == 4
    assert "registry 127.0.0.1:1 cannot be reached" in capsys.readouterr().err


def test_a_tag_that_moved_brings_what_has_changed(registry: str, key: PrivateKey) -> None:
    place = f"{registry}/acme/moved:stable"
    first = pushed(key, place, "1.0")
    pull(place, key)
    queue = Path("components/queue@1.5.yaml")
    queue.write_text(queue.read_text() + "# new\n")
    assert pushed(key, place, "1.1") != first
    found = pull(place, key)
    assert (found.library.version, found.changes.changed) == ("1.1", ("queue@1.5.yaml",))


def test_either_form_of_signature_is_enough_and_none_is_not(registry: str, key: PrivateKey) -> None:
    place, base = f"{registry}/acme/forms", f"http://{registry}/v2/acme/forms"
    tag = pushed(key, place).replace(":", "-")
    listed = HTTP.get(f"{base}/manifests/{tag}", headers={"Accept": INDEX}).json()
    config = {"mediaType": EMPTY, **push_blob(base, b"{}")}
    put(base, tag, {**listed, "manifests": []}, INDEX)
    assert pull(f"{place}:1.0", key).library.signers
    put(base, f"{tag}.sig", {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [config]})
    with pytest.raises(TrustError, match=f"{place}:1.0: nobody signed it"):
        pull(f"{place}:1.0", key)
    put(base, tag, listed, INDEX)
    assert pull(f"{place}:1.0", key).library.signers


def test_what_others_put_beside_it_is_passed_over(registry: str, key: PrivateKey) -> None:
    place, base = f"{registry}/acme/beside", f"http://{registry}/v2/acme/beside"
    tag = pushed(key, place).replace(":", "-")
    signatures = HTTP.get(f"{base}/manifests/{tag}.sig", headers={"Accept": MANIFEST}).json()
    bare = {name: value for name, value in signatures["layers"][0].items() if name != "annotations"}
    put(base, f"{tag}.sig", {**signatures, "layers": [*signatures["layers"], bare]})  # as `cosign sign` adds another
    config = {"mediaType": EMPTY, **push_blob(base, b"{}")}
    report = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [config]}
    put(base, "report", report)
    listed = HTTP.get(f"{base}/manifests/{tag}", headers={"Accept": INDEX}).json()
    answer = HTTP.head(f"{base}/manifests/report", headers={"Accept": MANIFEST})
    entry = {"mediaType": MANIFEST, "digest": answer.headers["docker-content-digest"], "size": len(json.dumps(report))}
    put(base, tag, {**listed, "manifests": [entry, *listed["manifests"]]}, INDEX)
    assert [signer.trusted for signer in pull(f"{place}:1.0", key).library.signers] == [True]
    pushed(key, place)
    kept = HTTP.get(f"{base}/manifests/{tag}", headers={"Accept": INDEX}).json()["manifests"]
    assert [each["digest"] for each in kept] == [entry["digest"], listed["manifests"][0]["digest"]]


def test_what_is_no_library_is_named(registry: str, key: PrivateKey) -> None:
    base = f"http://{registry}/v2/acme/image"
    push_image(base, "amd64", docker=False, tag="one")
    push_index(base, "many", ("amd64", "arm64"))
    for tag, reason in (("one", "its artifact type is None"), ("many", "of media type")):
        with pytest.raises(
            SourceError, match=f"library {registry}/acme/image:{tag} is no library of components.*{reason}"
        ):
            pull(f"{registry}/acme/image:{tag}", key)
    with pytest.raises(SourceError, match=r"acme/none:1: not there, or not for everyone") as caught:
        pull(f"{registry}/acme/none:1", key)
    assert caught.value.hint == f"check the name; where it is private: docker login {registry}"
    assert not Path("shop/libraries").exists()


def test_another_key_and_other_bytes_are_refused(registry: str, key: PrivateKey, tmp_path: Path) -> None:
    place = f"{registry}/acme/refused"
    digest = pushed(key, place)
    other = KeyStore(tmp_path / "others").default()
    with pytest.raises(TrustError, match=f"{place}:1.0: signed by unknown key {key.public.fingerprint}"):
        pull(f"{place}:1.0", other)
    with pytest.raises(SourceError, match="not there"):
        pull(f"{place}@sha256:{'0' * 64}", key)
    with pytest.raises(UsageError, match="is pushed to a tag"):
        vendoring.push(Path("acme-1.0.library.tar"), f"{place}@{digest}")
    damaged = bytearray(Path("acme-1.0.library.tar").read_bytes())
    damaged[700] ^= 1
    Path("damaged.tar").write_bytes(damaged)
    with pytest.raises(TrustError):
        vendoring.push(Path("damaged.tar"), f"{place}:damaged")
    assert "damaged" not in HTTP.get(f"http://{registry}/v2/acme/refused/tags/list").json()["tags"]
    assert not Path("shop/libraries").exists()


def test_a_private_registry_asks_for_the_login_of_docker(key: PrivateKey, tmp_path: Path) -> None:
    (tmp_path / "users").write_text("pusher:$2b$04$Rs1VeNZOLZKM98B7gNAevOud4Chv2d59SxHivZuG//3yaks1eGmgW\n")
    with serving(tmp_path, auth={"htpasswd": {"realm": "test", "path": str(tmp_path / "users")}}) as host:
        place = f"{host}/acme/private"
        for error, act in ((SourceError, lambda: pushed(key, place)), (SourceError, lambda: pull(f"{place}:1.0", key))):
            with pytest.raises(error) as caught:
                act()
            assert isinstance(caught.value, BundleError)
            assert f"docker login {host}" in str(caught.value.hint)
        auth = base64.b64encode(b"pusher:push-me").decode()
        (tmp_path / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
        pushed(key, place)
        assert pull(f"{place}:1.0", key).changes.added


def test_a_registry_that_lists_referrers_itself_and_gives_tokens(
    server: Callable[[Handle], str], key: PrivateKey, tmp_path: Path
) -> None:
    """The signatures are found by `subject` alone. A blob with other bytes is refused."""
    made = vendoring.pack(Path("components"), "acme", "1.0", key)
    with ArchiveReader(made.path) as reader:
        blobs = {name[13:]: reader.read_member(name) for name in reader.members if name.startswith("blobs/")}
        entries = json.loads(reader.read_member("index.json"))["manifests"]
    listed = [entry for entry in entries if "sigstore" in entry.get("artifactType", "")]
    gone = {"mediaType": MANIFEST, "digest": f"sha256:{'0' * 64}", "size": 2}
    seen: list[str | None] = []

    def handle(handler: BaseHTTPRequestHandler) -> None:
        kind, name = handler.path.split("/")[-2:]
        if handler.path.startswith("/token?"):
            seen.append(handler.headers.get("Authorization"))
            answer(handler, 200, b'{"token": "canary"}')
        elif handler.headers.get("Authorization") != "Bearer canary":
            answer(handler, 401, WWW_Authenticate=f'Bearer realm="http://{handler.headers["Host"]}/token"')
        elif kind == "referrers":
            assert name == made.root.text
            answer(handler, 200, json.dumps({"schemaVersion": 2, "manifests": [gone, *listed]}).encode())
        elif (body := blobs.get((made.root.text if name == "1.0" else name).removeprefix("sha256:"))) is not None:
            answer(handler, 200, body, Content_Type=MANIFEST)
        else:
            answer(handler, 404)

    place = f"{server(handle)}/acme/listed:1.0"
    auth = base64.b64encode(b"puller:pull-me").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {place.partition("/")[0]: {"auth": auth}}}))
    assert pull(place, key).library.root == made.root
    assert seen == [f"Basic {auth}"]
    worker = Digest.of(Path("components/worker@1.yaml").read_bytes())
    blobs[worker.hex] = blobs[worker.hex].replace(b"image", b"imagf")
    with pytest.raises(SourceError, match=f"the registry's bytes for {worker} are others"):
        pull(place, key)
