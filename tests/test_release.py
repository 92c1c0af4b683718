"""From a verified bundle and a site's answers to a release."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from bundler.errors import BundleError, TargetError, UsageError
from bundler.graphfile import check, site, source
from bundler.graphfile.written import written
from bundler.model.bundle import Bundle, BundleConfig, BundleImage, ConfigFile, PlatformImage, VerifiedBundle
from bundler.model.graph import Volume
from bundler.model.observed import Host, Observed, OpenDoor, Record, StoredSecret, Thing
from bundler.model.oci import IMAGE_CONFIG, MANIFEST, Descriptor, Digest, Platform
from bundler.model.release import Release, SecretPart
from bundler.model.site import Site
from bundler.release import Inputs, read_record, release
from bundler.release.record import write_record
from bundler.release.secrets import settle_secrets

AMD64 = Platform("linux", "amd64")
GRAPH = """
bundle: shop
version: 1.2.0
values:
  lang: {enum: [en, de], default: en}
  region: {type: string}
secrets:
  pw: {generate: 12}
externals:
  corpus: {as: s3}
configs:
  main: {content: "lang=${values.lang} db=${store.url} door=${publish.web.url}"}
services:
  db:
    image: db:1
    expose: {sql: {port: 5432, as: postgres}}
    outputs: {sql: {user: "u@x", password: "${secrets.pw}", database: d}}
    healthcheck: {tcp: true}
  web:
    image: web:1
    expose: {http: 80}
    connect: {store: db.sql, docs: corpus}
    environment:
      URL: ${store.url}
      KEY: ${docs.secret_key}
      BUCKET: ${docs.bucket}
      HERE: ${publish.web.url}
      SHUT: ${publish.side.url}
      ODBC: odbc://u:${secrets.pw.encoded}@h
      REGION: ${values.region}
    configs: [main:/etc/main]
    secrets: [pw]
jobs:
  load: {image: web:1, run: install, connect: {store: db.sql}}
  migrate: {image: web:1, run: upgrade, command: ["${values.lang}"]}
  tidy: {image: web:1, run: manual}
publish:
  web: web.http
  side: {to: web.http, optional: true}
"""
SITE = "{site: x, values: {region: eu}, externals: {corpus: {endpoint: 'http://s3:9000', bucket: b}}}"


def blob(data: bytes, media_type: str = MANIFEST) -> Descriptor:
    return Descriptor(media_type, Digest.of(data), len(data))


class Blobs:
    def __init__(self, *contents: bytes) -> None:
        self._by_digest = {Digest.of(data): data for data in contents}

    def read(self, blob: Descriptor) -> bytes:
        return self._by_digest[blob.digest]

    def stream(self, blob: Descriptor) -> Iterator[bytes]:
        yield self.read(blob)


def inputs(site_text: str = SITE, given: Mapping[str, bytes] | None = None, **changes: object) -> Inputs:
    graph = check.check(source.parse(GRAPH, "bundle.yaml"))
    document = written(graph)
    content = next(config.content for config in graph.configs) or ""
    images = tuple(
        BundleImage(
            name,
            f"bundle.local/shop/{name}:1.2.0-x",
            name,
            blob(name.encode()),
            (PlatformImage(AMD64, blob(name.encode()), blob(name.encode(), IMAGE_CONFIG), ()),),
        )
        for name in ("db", "web")
    )
    workloads = {"db": "db", "web": "web", "load": "web", "migrate": "web", "tidy": "web"}
    bundle = Bundle(
        blob(b"root"),
        graph,
        repr(document).encode(),
        images,
        tuple(workloads.items()),
        (("web", "1000:1000"),),
        (),
        (BundleConfig("main", (ConfigFile("", blob(content.encode())),), template=False),),
    )
    answers = site.parse_site([site.read_site(site_text, "site.yaml")], graph) if site_text else Site()
    nowhere = Observed("shop", Host(AMD64, "test", "1", taken_ports=frozenset({8080})))
    made = Inputs(
        "shop",
        VerifiedBundle(bundle, (), unsigned_allowed=False),
        Blobs(content.encode()),
        answers,
        nowhere,
        {"corpus.secret_key": b"k"} if given is None else given,
        {},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def environment(made: Release, service: str) -> dict[str, object]:
    return dict(next(one for one in made.services if one.name == service).environment)


def test_every_text_is_resolved_and_secrets_stay_names() -> None:
    made = release(inputs()).release
    assert environment(made, "web") == {
        "URL": ("postgres://u%40x:", SecretPart("pw", encoded=True), "@db:5432/d"),
        "KEY": (SecretPart("corpus.secret_key"),),
        "BUCKET": ("b",),
        "HERE": ("http://127.0.0.1:8081",),
        "SHUT": (),
        "ODBC": ("odbc://u:", SecretPart("pw", encoded=True), "@h"),
        "REGION": ("eu",),
    }


def test_inline_configs_are_templates_and_one_with_a_secret_is_owner_readable_only() -> None:
    made = release(inputs()).release
    web = next(one for one in made.services if one.name == "web")
    config, secret = web.files
    assert (config.path, config.secret) == ("/etc/main", True)
    assert config.content[0] == "lang=en db=postgres://u%40x:"  # type: ignore[index]
    assert (secret.path, secret.content, secret.secret) == ("/run/secrets/pw", (SecretPart("pw"),), True)


def test_a_door_takes_the_first_free_port_and_keeps_the_one_it_has() -> None:
    fresh = inputs()
    assert [door.host_port for door in release(fresh).release.doors] == [8081]
    open_now = replace(fresh.observed, doors=(OpenDoor("web", "127.0.0.1", 8097),))
    assert [door.host_port for door in release(replace(fresh, observed=open_now)).release.doors] == [8097]
    asked = inputs(SITE.replace("{site: x", "{site: x, publish: {web: {port: 9000}, side: {}}"), observed=open_now)
    assert [(door.name, door.host_port) for door in release(asked).release.doors] == [("side", 8081), ("web", 9000)]


def test_a_door_that_somebody_else_was_faster_to_take_gets_another_port_until_it_is_recorded() -> None:
    fresh = inputs()
    lost = replace(fresh.observed, doors=(OpenDoor("web", "127.0.0.1", 8080),))
    assert [door.host_port for door in release(replace(fresh, observed=lost)).release.doors] == [8081]
    recorded = release(inputs(SITE.replace("{site: x", "{site: x, publish: {web: {port: 8080}}")))
    observed = replace(lost, records=(Record(1, recorded.release.record),))
    kept = replace(fresh, observed=observed, stored=recorded.secrets)
    assert [door.host_port for door in release(kept).release.doors] == [8080]


def test_a_recorded_release_is_known_again_and_nothing_is_due_in_it() -> None:
    first = release(inputs())
    assert {job.name for job in first.release.jobs if job.due} == {"load", "migrate"}
    assert not first.release.recorded
    observed = replace(inputs().observed, records=(Record(1, first.release.record),))
    again = release(inputs(observed=observed, stored=first.secrets)).release
    assert again.recorded
    assert [job.name for job in again.jobs if job.due] == []
    assert again.waves == (("db",), ("web",))
    assert read_record(observed.records[0]).ledger.keys() == {"load", "migrate"}


def test_an_upgrade_job_runs_again_when_what_it_runs_has_changed_and_an_install_job_does_not() -> None:
    first = release(inputs())
    observed = replace(inputs().observed, records=(Record(1, first.release.record),))
    german = SITE.replace("region: eu", "region: eu, lang: de")
    changed = release(inputs(german, observed=observed, stored=first.secrets)).release
    assert [job.name for job in changed.jobs if job.due] == ["migrate"]


def test_an_upgrade_job_runs_again_when_its_image_was_built_anew_under_the_same_name() -> None:
    first = release(inputs())
    again = inputs(
        observed=replace(inputs().observed, records=(Record(1, first.release.record),)), stored=first.secrets
    )
    bundle = again.verified.bundle
    images = tuple(replace(one, descriptor=blob(b"rebuilt")) if one.name == "web" else one for one in bundle.images)
    rebuilt = VerifiedBundle(replace(bundle, images=images), (), unsigned_allowed=False)
    made = release(replace(again, verified=rebuilt)).release
    assert [job.name for job in made.jobs if job.due] == ["migrate"]


def test_a_secret_keeps_its_revision_while_its_bytes_are_the_same() -> None:
    first = release(inputs()).secrets
    same = release(inputs(stored=first))
    assert same.secrets == first
    assert all(secret.stored for secret in same.release.secrets)
    other = release(inputs(given={"corpus.secret_key": b"other"}, stored=first)).secrets
    assert other["corpus.secret_key"].revision != first["corpus.secret_key"].revision
    assert other["pw"] == first["pw"]


def test_a_generated_secret_has_the_length_asked_for_and_is_not_shown_by_repr() -> None:
    made = release(inputs()).secrets["pw"]
    assert len(made.value) == 12
    assert made.value.decode() not in repr(made)


@pytest.mark.parametrize("value", [b"\xff\xfe", b"a\0b"])
def test_bytes_that_no_variable_holds_are_refused_where_they_go_into_one_and_nowhere_else(value: bytes) -> None:
    with pytest.raises(UsageError, match=r"these secrets are none: corpus.secret_key in service/web$"):
        release(inputs(given={"corpus.secret_key": value}))
    given = {"pw": value, "corpus.secret_key": b"k"}  # percent-encoded in variables, as it is in a file
    assert release(inputs(given=given)).secrets["pw"].value == value


@pytest.mark.parametrize(
    ("site_text", "given", "expected"),
    [
        ("", None, "values.region: needs a value"),
        ("{values: {region: eu}}", None, "externals.corpus: needs"),
        (SITE, {}, "needs secret_key"),
        (
            SITE,
            {"corpus.secret_key": b"k", "corpus.url": b"redis://:pw@x:1"},
            "secrets.corpus.url: its scheme is not one",
        ),
    ],
)
def test_what_the_site_must_give_is_named(site_text: str, given: Mapping[str, bytes] | None, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        release(inputs(site_text, given))
    problems = [str(problem) for problem in getattr(caught.value, "problems", ())]
    assert any(expected in text for text in [*problems, str(caught.value)])


def test_a_bundle_without_an_image_for_the_platform_is_refused_with_what_it_has() -> None:
    there = replace(inputs().observed, host=Host(Platform("linux", "arm64"), "test", "1"))
    with pytest.raises(TargetError, match="no linux/arm64 image of db; it has linux/amd64"):
        release(inputs(observed=there))


@pytest.mark.parametrize("document", ["", "{", "[]", '{"schema": 2}', '{"schema": 1, "release": {}, "ledger": {}}'])
def test_a_record_that_cannot_be_read_is_a_target_error(document: str) -> None:
    with pytest.raises(BundleError, match="release record 3") as caught:
        read_record(Record(3, document))
    assert "use the one that deployed the app last" in (caught.value.hint or "")


def test_the_record_holds_no_secret() -> None:
    made = release(inputs(stored={"pw": StoredSecret("r", b"hunter2hunter2")}))
    assert "hunter2" not in made.release.record


def test_install_jobs_run_again_where_all_data_is_gone() -> None:
    first = release(inputs())
    record = read_record(Record(1, first.release.record))
    kept = replace(record.release, volumes=(Volume("data", None), Volume("more", None)))
    records = (Record(1, write_record(kept, record.ledger)),)
    gone = replace(inputs().observed, records=records)
    there = replace(gone, things=(Thing("volume/more", "shop_more", ""),))
    for observed, due in ((gone, {"load", "migrate"}), (there, set())):
        jobs = release(inputs(observed=observed, stored=first.secrets)).release.jobs
        assert {job.name for job in jobs if job.due} == due


def test_a_secret_that_was_made_and_is_gone_is_not_made_anew_while_data_may_know_it() -> None:
    before = release(inputs())
    observed = replace(inputs().observed, records=(Record(1, before.release.record),))
    kept = {name: one for name, one in before.secrets.items() if name != "pw"}
    with pytest.raises(TargetError, match="the target has lost pw, kept there by an earlier deploy") as caught:
        release(inputs(observed=observed, stored=kept, target="docker"))
    assert "bundle secrets set shop pw --target docker --from ./pw.txt" in (caught.value.hint or "")
    given = release(inputs(given={"pw": b"old", "corpus.secret_key": b"k"}, observed=observed, stored=kept))
    assert given.secrets["pw"].value == b"old"
    with_data = replace(before.release, volumes=(Volume("data", None),))
    gone = replace(observed, records=(Record(1, write_record(with_data, {})),))
    assert len(release(inputs(observed=gone, stored=kept)).secrets["pw"].value) == 12


def test_a_secret_that_the_site_must_give_is_told_with_both_ways_to_give_it() -> None:
    graph = check.check(source.parse('{bundle: b, version: "1", secrets: {key: {}}}', "f"))
    with pytest.raises(UsageError, match="the site must give a secret: key") as caught:
        settle_secrets(graph, {}, {}, lambda: "r", "b", "docker")
    hint = "in a site file (--site FILE):\n  secrets:\n    key: {file: ./key.txt}\nor: --set secrets.key.file=FILE"
    assert caught.value.hint == hint
