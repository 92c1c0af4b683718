"""Pictures as text, SVG and pages; Graphviz is the real one."""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bundler.edges.graphviz import laid_out
from bundler.edges.raster import png
from bundler.model.graph import Graph
from bundler.pictures import texts
from bundler.pictures.html import html
from bundler.pictures.lettering import fitted, width
from bundler.pictures.of_graph import of_graph
from bundler.pictures.picture import Health, Kind, Node, Picture
from bundler.pictures.placing import Box, Placed, placed
from bundler.pictures.svg import svg

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"
EVIL = """</title></script><script>alert(1)</script><img src=x onerror="alert('2')">&lt;"];\\ \u202e\x1b[31m"""


def drawn(graph: Graph) -> Placed:
    return placed(of_graph(graph), laid_out)


def hostile() -> Picture:
    """Everything that others can write, where they can write it."""
    facts = (("image", EVIL), ("said", EVIL))
    node = Node("service/a", Kind.SERVICE, "a", EVIL, 1, facts=facts, health=Health.ILL, state=EVIL)
    return Picture(EVIL, EVIL, (node,), (), EVIL)


def test_json_names_every_node_and_edge(shop: Graph) -> None:
    data = json.loads(json.dumps(texts.data(of_graph(shop))))
    assert {node["id"] for node in data["nodes"]} == {node.id for node in of_graph(shop).nodes}
    assert {"from": "door/shop", "to": "service/web", "kind": "door", "labels": ["http"], "waits": False} in data[
        "edges"
    ]
    assert data["target"] is None


def test_mermaid_has_a_line_for_each_node_and_edge(shop: Graph) -> None:
    lines = texts.mermaid(of_graph(shop)).splitlines()
    assert lines[0] == "flowchart LR"
    assert '  service_api("api<br/>built from api"):::service' in lines
    assert '  service_api -->|"audit, store"| service_db' in lines
    assert "  service_db -.- volume_orders" in lines
    assert "  door_shop ==> service_web" in lines


def test_what_graphviz_warns_of_is_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    many = "; ".join(f"n{number}" for number in range(1001))
    tight = 'tight [label="a long label", width=0.1, height=0.1, fixedsize=true]'
    assert len(laid_out(f"digraph {{{tight}; {many}}}")["objects"]) == 1002
    print("the end", file=sys.stderr, flush=True)
    os.write(2, b"of it\n")
    assert capfd.readouterr().err == "the end\nof it\n"


def test_dot_is_read_by_graphviz_with_every_node(large: Graph) -> None:
    answer = laid_out(texts.dot(of_graph(large)))
    names = {one["name"] for one in answer["objects"]}
    assert {node.id for node in of_graph(large).nodes} <= names


def test_what_others_wrote_stays_one_text_in_dot_and_mermaid() -> None:
    answer = laid_out(texts.dot(hostile()))
    assert [one["name"] for one in answer["objects"] if one.get("shape")] == ["service/a"]
    mermaid = texts.mermaid(hostile())
    assert len(mermaid.splitlines()) == 3
    assert not re.search(r"[<>\"\\]", mermaid.splitlines()[1].replace("<br/>", "").replace('("', "").replace('")', ""))


def test_who_starts_earlier_stands_further_right_and_doors_at_the_left_of_their_service(large: Graph) -> None:
    where = drawn(large)
    columns = list(where.columns.values())
    assert columns == sorted(columns, reverse=True)
    assert len(columns) == len(large.waves)
    for node in where.picture.nodes:
        if node.start is not None:
            assert where.boxes[node.id].x == pytest.approx(where.columns[node.start], abs=1)
    for door in large.doors:
        assert where.boxes[f"door/{door.name}"].x < where.boxes[f"service/{door.node}"].x
    outside = [where.boxes[f"external/{external.name}"].x for external in large.externals]
    assert min(outside) > max(columns)


def test_nothing_covers_anything_in_a_graph_of_sixty_services(large: Graph) -> None:
    assert len(large.services) == 60
    where = drawn(large)
    assert not [pair for pair in itertools.combinations(where.boxes.items(), 2) if touch(pair[0][1], pair[1][1])]
    assert all(box.width / 2 <= box.x <= where.width - box.width / 2 + 1 for box in where.boxes.values())
    assert where.width < 3200
    assert where.height < 1800


def touch(one: Box, other: Box) -> bool:
    across = abs(one.x - other.x) < (one.width + other.width) / 2
    return across and abs(one.y - other.y) < (one.height + other.height) / 2


def test_a_large_graph_with_far_connections_is_drawn_with_straight_lines(read: Callable[[str], Graph]) -> None:
    def chain(count: int) -> Placed:
        text = ["bundle: far", 'version: "1"', "services:"]
        for one in range(count):
            to = ", ".join(f"n{other}: s{other}.http" for other in sorted({one - 1, one // 2}) if 0 <= other < one)
            text.append(f"  s{one}: {{image: nginx, expose: {{http: 80}}, connect: {{{to}}}}}")
        return drawn(read("\n".join(text)))

    large, small = chain(120), chain(60)
    assert len({box.x for box in large.boxes.values()}) == 120
    assert all(len(route.points) == 4 for route in large.routes)
    assert any(len(route.points) > 4 for route in small.routes)


def test_slots_are_written_at_edges_only_where_there_are_few(shop: Graph, large: Graph) -> None:
    assert any(route.label is not None for route in drawn(shop).routes)
    assert all(route.label is None for route in drawn(large).routes)


def test_an_svg_is_well_formed_and_refers_to_nothing_outside(shop: Graph) -> None:
    text = svg(drawn(shop))
    root = ElementTree.fromstring(text)
    ids = {one.get("data-id") for one in root.iter(f"{SVG}g") if one.get("data-id")}
    assert ids == {node.id for node in of_graph(shop).nodes}
    assert not re.search(r"href|url\(|@import|<script", text)
    assert re.findall(r"https?://[^\"<\s]+", text) == ["http://www.w3.org/2000/svg"]
    assert "prefers-color-scheme: dark" in text
    assert "prefers-color-scheme" not in svg(drawn(shop), dark=False)


def test_the_same_graph_gives_the_same_bytes(shop: Graph) -> None:
    assert html(drawn(shop)) == html(drawn(shop))


def test_what_others_wrote_is_text_in_svg_and_page() -> None:
    where = placed(hostile(), laid_out)
    root = ElementTree.fromstring(svg(where))
    assert not list(root.iter(f"{SVG}script"))
    assert not list(root.iter(f"{SVG}img"))
    page = html(where)
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    assert "<img" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    block = re.search(r'id="picture">(.*?)</script>', page)
    assert block is not None
    assert json.loads(block.group(1))["nodes"][0]["facts"]["image"] == EVIL


def test_a_page_runs_its_own_script_alone_and_opens_no_connection(shop: Graph) -> None:
    page = html(drawn(shop))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy.group(1).startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-")
    assert not re.search(r'(src|href)="', page)


def test_a_node_shows_its_state_where_that_is_known(shop: Graph) -> None:
    picture = of_graph(shop)
    nodes = tuple(
        replace(node, health=Health.ILL, state="unhealthy") if node.name == "api" else node for node in picture.nodes
    )
    text = svg(placed(replace(picture, nodes=nodes, place="docker"), laid_out))
    assert 'class="node service ill" data-id="service/api"' in text
    assert ">unhealthy</text>" in text
    assert ">not well</text>" in text


def test_a_graph_of_one_node_or_of_none_is_drawn(shop: Graph) -> None:
    alone = Picture("a", "", (Node("service/a", Kind.SERVICE, "a"),), ())
    ElementTree.fromstring(svg(placed(alone, laid_out)))
    ElementTree.fromstring(svg(placed(Picture("a", "", (), ()), laid_out)))


def test_a_volume_is_drawn_round_one_way_only_so_that_its_lid_is_no_hole() -> None:
    text = svg(placed(Picture("a", "", (Node("volume/a", Kind.VOLUME, "a"),), ()), laid_out))
    assert set(re.findall(r"A[\d.]+ [\d.]+ 0 0 (\d)", text)) == {"1"}


def test_a_long_title_has_room_in_a_broad_font() -> None:
    text = svg(placed(Picture("a" * 63, "", (Node("service/a", Kind.SERVICE, "a"),), ()), laid_out))
    wide = float(ElementTree.fromstring(text).get("width", "0"))
    assert wide > 63 * 0.675 * 19 + 28  # DejaVu Sans Bold


def test_a_png_is_twice_as_large_as_the_picture(shop: Graph) -> None:
    text = svg(drawn(shop), dark=False)
    data = png(text, 2.0)
    assert data.startswith(b"\x89PNG")
    wide = float(ElementTree.fromstring(text).get("width", "0"))
    assert int.from_bytes(data[16:20], "big") == pytest.approx(2 * wide, abs=2)


def test_a_text_that_has_no_room_ends_in_an_ellipsis() -> None:
    assert fitted("short", 13, 100) == "short"
    long = fitted("a-name-that-goes-on-and-on", 13, 100)
    assert long.endswith("…")
    assert width(long, 13) <= 100


def test_the_picture_in_the_readme_is_of_the_graph_in_fixtures_nlp(read: Callable[[str], Graph]) -> None:
    graph = read((ROOT / "fixtures" / "nlp" / "bundle.yaml").read_text())
    shown = ElementTree.fromstring((ROOT / "fixtures" / "pictures" / "nlp.svg").read_text())
    said = [one.text for one in shown.iter(f"{SVG}title")]
    assert said == [one.text for one in ElementTree.fromstring(svg(drawn(graph))).iter(f"{SVG}title")], (
        "draw it anew: bundle graph fixtures/nlp -o fixtures/pictures/nlp.svg"
    )
