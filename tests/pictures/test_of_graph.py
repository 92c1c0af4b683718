"""What a picture of a graph shows."""

from __future__ import annotations

from bundler.model.graph import Graph
from bundler.pictures.of_graph import of_graph
from bundler.pictures.picture import Edge, Kind, Tie


def test_every_service_job_volume_model_external_and_door_is_a_node(shop: Graph) -> None:
    kinds = {node.id: node.kind for node in of_graph(shop).nodes}
    assert kinds == {
        "door/shop": Kind.DOOR,
        "door/side": Kind.DOOR,
        "external/mail": Kind.EXTERNAL,
        "job/fill": Kind.JOB,
        "job/tidy": Kind.JOB,
        "model/words": Kind.MODEL,
        "service/api": Kind.SERVICE,
        "service/db": Kind.SERVICE,
        "service/web": Kind.SERVICE,
        "volume/orders": Kind.VOLUME,
    }


def test_the_start_order_is_counted_from_one_and_a_manual_job_has_none(shop: Graph) -> None:
    starts = {node.name: node.start for node in of_graph(shop).nodes if node.kind in (Kind.SERVICE, Kind.JOB)}
    assert starts == {"db": 1, "fill": 2, "api": 3, "web": 4, "tidy": None}


def test_connections_of_two_nodes_are_one_edge_with_both_slots(shop: Graph) -> None:
    edges = {(edge.source, edge.target, edge.tie): edge for edge in of_graph(shop).edges}
    both = edges["service/api", "service/db", Tie.CONNECT]
    assert both.labels == ("audit", "store")
    assert edges["service/api", "service/web", Tie.CONNECT].waits is False
    assert edges["service/api", "job/fill", Tie.ORDER].labels == ("once completed",)
    assert edges["service/api", "model/words", Tie.MOUNT].labels == ("/models/words",)
    assert edges["door/shop", "service/web", Tie.DOOR] == Edge("door/shop", "service/web", Tie.DOOR, ("http",), False)


def test_a_node_tells_its_image_ports_health_and_room(shop: Graph) -> None:
    picture = of_graph(shop, digests={"db": "0123456789ab"})
    facts = dict(picture.node("service/db").facts)
    assert facts["image"].startswith("registry.example/team/postgres:17@sha256:")
    assert facts["digest"] == "0123456789ab"
    assert facts["ports"] == "admin 8081 (tcp), sql 5432 (postgres)"
    assert facts["health"] == "answers on port 5432"
    assert facts["resources"] == "2 CPU, 512MiB of memory"
    assert picture.node("service/db").caption == "postgres:17"
    api = picture.node("service/api")
    assert (api.caption, api.many, dict(api.facts)["instances"]) == ("built from api", True, "1 to 3")
    assert dict(api.facts)["health"] == "GET /healthz on port 8000"


def test_a_variant_is_part_of_the_title(shop: Graph) -> None:
    assert of_graph(shop).title == "shop 1.2.0"
    assert of_graph(shop, "acme").title == "shop 1.2.0 acme"
