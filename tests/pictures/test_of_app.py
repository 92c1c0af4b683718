"""What a picture of an app shows: the recorded release, and how it is."""

from __future__ import annotations

import msgspec

from bundler.model.observed import Host, Instance, Observed, Record, State, Thing
from bundler.model.oci import Platform
from bundler.model.release import Release
from bundler.pictures.of_app import of_app
from bundler.pictures.picture import Health, Picture, Tie
from bundler.release import read_record, release
from tests.test_release import inputs

HOST = Host(Platform("linux", "amd64"), "engine", "1")


def recorded() -> Release:
    """As a later run finds it on the target."""
    return read_record(Record(1, release(inputs()).release.record)).release


def instance(resource: str, state: State, index: int = 0, detail: str = "", restarts: int = 0) -> Instance:
    name = f"{resource}-{index}"
    return Instance(resource, name, name, index, "", state, detail, restarts=restarts)


def seen(*instances: Instance, things: tuple[Thing, ...] = ()) -> Picture:
    return of_app(recorded(), Observed("shop", HOST, instances, things), "docker")


def test_the_record_keeps_the_edges_for_people_to_see() -> None:
    ties = {(edge.source, edge.target): edge for edge in seen().edges if edge.tie is not Tie.DOOR}
    assert ties["service/web", "service/db"].labels == ("store",)
    assert ties["service/web", "external/corpus"].labels == ("docs",)
    assert ties["job/load", "service/db"].waits is True
    assert seen().node("external/corpus").caption == "s3"


def test_a_record_of_before_has_no_edges_and_is_drawn() -> None:
    document = msgspec.json.decode(release(inputs()).release.record)
    del document["release"]["edges"]
    old = read_record(Record(1, msgspec.json.encode(document).decode())).release
    picture = of_app(old, Observed("shop", HOST), "docker")
    assert [edge.source for edge in picture.edges] == ["door/web"]
    assert {node.name for node in picture.nodes} >= {"db", "web", "load"}


def test_the_start_order_is_that_of_the_graph() -> None:
    starts = {node.name: node.start for node in seen().nodes if node.id.startswith(("service/", "job/"))}
    assert starts == {"db": 1, "migrate": 1, "load": 2, "web": 2, "tidy": None}


def test_health_is_that_of_the_worst_instance_and_says_how_many_are_well() -> None:
    picture = seen(
        instance("service/web", State.HEALTHY),
        instance("service/web", State.UNHEALTHY, 1, "connection refused", 3),
        instance("service/db", State.RUNNING),
        instance("job/load", State.FAILED, 0, "exit status 1"),
    )
    web = picture.node("service/web")
    assert (web.health, web.state) == (Health.ILL, "unhealthy (1 of 2 well)")
    assert dict(web.facts)["said"] == "connection refused"
    assert dict(web.facts)["restarts"] == "3"
    assert picture.node("service/db").health is Health.WELL
    assert picture.node("job/load").health is Health.ILL
    assert picture.about == "1 of 2 services well; not well: load, web"


def test_a_service_without_an_instance_is_not_there_and_a_job_that_has_not_run_is_nothing() -> None:
    picture = seen()
    assert (picture.node("service/web").health, picture.node("service/web").state) == (Health.ABSENT, "not there")
    assert picture.node("job/tidy").health is None
    assert picture.title.startswith("shop: shop 1.2.0")
    assert picture.title.endswith(" on docker")
