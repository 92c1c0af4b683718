"""bundle import compose: scalars without quotes are the texts that Compose hands to the container.

What is expected is what `docker compose config` (2.40.3) says of the same file.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from bundler.errors import UsageError
from bundler.graphfile.check import check
from bundler.graphfile.source import parse
from bundler.importing.compose import Imported, imported
from bundler.importing.folder import Folder
from bundler.importing.report import Verdict
from bundler.importing.writing import graph_text

CHANGED = {
    **{"1.10": "1.1", "1.0": "1", "5.": "5", ".5": "0.5", "0.50": "0.5", "-0.0": "-0", "1_000": "1000", "+10": "10"},
    **{"0644": "420", "-0644": "-420", "0o644": "420", "0O17": "15", "00": "0", "08": "8", "0899": "899"},
    **{"0777_0": "4088", "0xFF": "255", "-0x10": "-16", "0b101": "5", "-0b11": "-3", "!!int '0644'": "420"},
    **{"1e3": "1000", "1E10": "1e+10", "1e5": "100000", "1e6": "1e+06", "1e-4": "0.0001", "1e-5": "1e-05"},
    **{"1234567.5": "1.2345675e+06", "10000000.0": "1e+07", ".inf": "+Inf", "-.Inf": "-Inf", ".nan": "NaN"},
    **{"18446744073709551616": "1.8446744073709552e+19", "-9223372036854775809": "-9.223372036854776e+18"},
    **{"True": "true", "FALSE": "false"},
}
KEPT = (
    *("yes", "no", "On", "off", "y", "N", "tRUE", "22:22", "1:30:00", "1.2.3", "1.2.3.4", "10", "-5", "0", "123456.78"),
    *(
        "9223372036854775807",
        "18446744073709551615",
        "1e400",
        "0x",
        "0o8",
        "0b2",
        "2024-13-01",
        "2024-02-30",
        "2024-01",
    ),
    *("2024-01-01 10:00:00 +1", "2001-12-14T21:59:43.10", ".env", ".", "1-2", "0.1", "'0644'", "!!str 1.10", "true"),
)
DATES = ("2024-01-01", "2024-1-1", "2024-01-01T10:00:00Z", "2024-01-01 10:00:00")


def compose(keys: str, more: str = "") -> Imported:
    text = f"services: {{a: {{image: a, {keys}}}}}\n{more}"
    found = imported([(text, "compose.yaml")], "shop", Folder(Path("/nonexistent")))
    check(parse(graph_text(found.graph, "compose.yaml", found.remarks), "bundle.yaml"))
    return found


def told(found: Imported) -> dict[str, str]:
    return {each.where: each.message for each in found.report.of(Verdict.CHANGED) if "quotes" in each.message}


def plain(written: str) -> str:
    return written.removeprefix("!!str ").removeprefix("!!int ").strip("'")


@pytest.mark.parametrize(("written", "expected"), CHANGED.items())
def test_what_compose_makes_another_text_is_that_text_and_told(written: str, expected: str) -> None:
    found = compose(f"environment: {{V: {written}}}")
    assert found.graph["services"]["a"]["environment"] == {"V": expected}
    assert told(found) == {
        "services.a.environment.V": f"{plain(written)} without quotes is {expected}, to Compose and here"
    }


@pytest.mark.parametrize("written", KEPT)
def test_what_compose_leaves_as_it_stands_is_left_and_not_told(written: str) -> None:
    found = compose(f"environment: {{V: {written}}}")
    assert found.graph["services"]["a"]["environment"] == {"V": plain(written)}
    assert told(found) == {}


def test_in_a_list_of_variables_a_number_is_part_of_a_text() -> None:
    found = compose("environment: [A=1.10, B=0644]")
    assert found.graph["services"]["a"]["environment"] == {"A": "1.10", "B": "0644"}
    assert told(found) == {}


@pytest.mark.parametrize("written", DATES)
def test_a_date_that_compose_refuses_is_the_text_and_told(written: str) -> None:
    found = compose(f"environment: {{V: {written}}}")
    assert found.graph["services"]["a"]["environment"] == {"V": written}
    assert "Compose refuses" in told(found)["services.a.environment.V"]


def test_where_compose_takes_texts_alone_a_number_is_the_text_as_it_stands_and_told() -> None:
    found = compose(
        "command: [serve, 1.10, 0644, 10], entrypoint: 0x10, user: 0644, configs: [c],"
        " healthcheck: {test: [CMD, probe, 080]}",
        "configs: {c: {content: 1.10}}",
    )
    made = found.graph["services"]["a"]
    assert (made["command"], made["entrypoint"]) == (["serve", "1.10", "0644", "10"], ["0x10"])
    assert (made["user"], made["healthcheck"]["test"]) == ("0644", ["probe", "080"])
    assert found.graph["configs"]["c"] == {"content": "1.10"}
    places = ["command", "entrypoint", "user", "healthcheck.test"]
    assert set(told(found)) == {*(f"services.a.{each}" for each in places), "configs.c.content"}
    assert all("Compose refuses" in each for each in told(found).values())


def test_where_compose_takes_a_number_it_is_the_same_one_and_told_where_it_does_not_look_like_it() -> None:
    found = compose(
        "cpus: 0.50, read_only: True, privileged: False, expose: [0777], healthcheck: {test: x, retries: 010},"
        " ports: [{target: 0644, published: 0100}], deploy: {replicas: 03}, labels: {V: 1.10}"
    )
    made = found.graph["services"]["a"]
    assert made["resources"] == {"cpus": 0.5}
    assert made["read_only"] is True
    assert sorted(made["expose"].values()) == [420, 511]
    assert made["healthcheck"]["retries"] == 8
    assert made["scale"] == {"min": 3, "max": 3}
    assert found.site["publish"] == {"a": {"port": 64}}
    assert told(found) == {
        "services.a.expose": "0777 without quotes is 511, to Compose and here",
        "services.a.healthcheck.retries": "010 without quotes is 8, to Compose and here",
        "services.a.ports.target": "0644 without quotes is 420, to Compose and here",
        "services.a.ports.published": "0100 without quotes is 64, to Compose and here",
        "services.a.deploy.replicas": "03 without quotes is 3, to Compose and here",
    }


def test_a_secret_that_is_a_number_is_not_shown() -> None:
    found = compose("environment: {API_TOKEN: 0123456}, command: [serve, --password, 0123456]")
    assert set(told(found)) == {"services.a.environment.API_TOKEN", "services.a.command"}
    assert not [each for each in found.report if "0123456" in each.message or "42798" in each.message]


def test_names_of_variables_are_texts_and_other_tags_are_told() -> None:
    assert list(compose("environment: {A: 1, True: x}").graph["services"]["a"]["environment"]) == ["A", "True"]
    with pytest.raises(UsageError, match="!!binary is not read here: write it as text"):
        compose("environment: {A: !!binary YQ==}")


@pytest.mark.engine
def test_compose_itself_reads_them_so(tmp_path: Path) -> None:
    expected = {**CHANGED, **{written: plain(written) for written in KEPT}}
    lines = [f"      V{index}: {written}" for index, written in enumerate(expected)]
    head = ["name: shop", "services:", "  a:", "    image: a", "    environment:"]
    (tmp_path / "compose.yaml").write_text("\n".join([*head, *lines]))
    argv = ["docker", "compose", "config", "--format", "json"]
    made = json.loads(subprocess.run(argv, cwd=tmp_path, capture_output=True, check=True).stdout)
    assert made["services"]["a"]["environment"] == {f"V{index}": text for index, text in enumerate(expected.values())}
