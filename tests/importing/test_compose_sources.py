"""bundle import compose: what a file includes, and what its services extend, in other files too."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from included_shop import EXPECTED, SHOP, ours, read, theirs, written

from bundler.errors import UsageError
from bundler.graphfile.check import check
from bundler.graphfile.source import parse
from bundler.importing.compose import Imported, imported
from bundler.importing.folder import Folder
from bundler.importing.report import Verdict
from bundler.importing.writing import graph_text


def brought(folder: Path, **files: str) -> Imported:
    """What becomes of compose.yaml with these beside it, each named as its path with __ for / and _ for a dot."""
    written(folder, {name.replace("__", "/").replace("_", "."): text for name, text in files.items()})
    found = imported([((folder / "compose.yaml").read_text(), "compose.yaml")], "shop", Folder(folder))
    check(parse(graph_text(found.graph, "compose.yaml", found.remarks), "bundle.yaml"))
    return found


def refused(found: Imported) -> list[str]:
    return [f"{each.where}: {each.message}" for each in found.report.of(Verdict.REFUSED)]


def test_what_is_included_and_extended_is_what_compose_makes_of_it(tmp_path: Path) -> None:
    assert ours(read(written(tmp_path, SHOP))) == EXPECTED


@pytest.mark.engine
def test_compose_itself_makes_that_of_it(tmp_path: Path) -> None:
    argv = ["docker", "compose", "config", "--format", "json"]
    made = subprocess.run(argv, cwd=written(tmp_path, SHOP), capture_output=True, check=True).stdout
    assert theirs(json.loads(made), tmp_path) == EXPECTED


def test_every_file_that_is_read_is_in_the_report_with_what_came_from_it(tmp_path: Path) -> None:
    written(tmp_path, SHOP)
    found = brought(tmp_path)
    assert refused(found) == []
    told = [f"{each.where}: {each.message}" for each in found.report]
    for line in (
        "include: shared/.env sets PG, DEEP for shared/compose.yaml",
        "include: shared/deep/.env sets ZED for shared/deep/compose.yaml",
        "include: shared/deep/compose.yaml: its services far",
        "include: shared/compose.yaml: its services far, db, its volumes dbdata, its configs c, its secrets s",
        "include: monitoring/m.env sets PROM_TAG for monitoring/compose.yaml",
        "include: monitoring/compose.yaml and monitoring/compose.prod.yaml: its services prom",
        "services.api.extends: what web of common/base.yaml says is written out",
        "services.api.extends: what base of common/base.yaml says is written out",
        "services.worker.extends: what api says is written out",
        "services.base.volumes: CACHE is decided now: ./cache:/cache, in common/base.yaml",
        "services.db.image: PG is decided now: postgres:17 (PG is set in shared/.env)",
    ):
        assert line in told
    assert found.site["secrets"] == {"s": {"file": "./shared/s.txt"}}
    assert found.graph["configs"]["c"] == {"file": "./shared/c.conf"}


def test_a_file_laid_over_one_that_includes_changes_what_was_included(tmp_path: Path) -> None:
    written(tmp_path, SHOP)
    (tmp_path / "over.yaml").write_text("services: {db: {image: postgres:18, volumes: [./other:/init]}}")
    db = ours(read(tmp_path, "compose.yaml", "over.yaml"))["db"]
    assert (db["image"], db["mounts"]) == ("postgres:18", ["dbdata:/var/lib/postgresql/data", "other:/init"])


@pytest.mark.parametrize(("key", "other"), [("command", "entrypoint"), ("entrypoint", "command")])
def test_a_program_or_its_arguments_without_a_text_are_those_of_the_image(key: str, other: str, tmp_path: Path) -> None:
    """As `docker compose config` (2.40.3) shows it; without a text, any other key leaves what was there."""
    written(
        tmp_path,
        {
            "compose.yaml": "services: {b: {image: b, user: u, command: [x], entrypoint: [x]}, "
            f"a: {{extends: b, {key}: }}}}",
            "over.yaml": f"services: {{b: {{{key}: , user: }}}}",
        },
    )
    found = read(tmp_path, "compose.yaml", "over.yaml").services
    for name in ("a", "b"):
        assert (key in found[name], found[name][other], found[name]["user"]) == (False, ["x"], "u")


def test_what_a_file_says_of_a_service_that_it_includes_is_laid_over_it_and_told(tmp_path: Path) -> None:
    found = brought(
        tmp_path,
        compose_yaml="include: [db.yaml]\nservices: {db: {image: postgres:18}, b: {extends: db}}",
        db_yaml="services: {db: {image: postgres, user: '70'}}",
    )
    assert found.graph["services"]["db"]["image"] == found.graph["services"]["b"]["image"] == "postgres:18"
    assert found.graph["services"]["db"]["user"] == "70"
    told = "db.yaml has it too, and this is laid over it, as newer Compose does; older ones refuse that"
    assert [each.message for each in found.report.of(Verdict.CHANGED) if each.where == "services.db"] == [told]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("include: [a.yaml]", "include: a file includes itself: compose.yaml > a.yaml > b.yaml > a.yaml"),
        ("include: [gone.yaml]", "include: gone.yaml is not there: what it holds is missing"),
        ("include: ['oci://far/x']", "include: oci://far/x lies elsewhere, and nothing is fetched: what it holds is"),
        ("include: ['${X}']", "include: . is not there: what it holds is missing"),
        ("include: a.yaml", "include: expected a list of texts and maps, in compose.yaml"),
        ("include: [{env_file: x}]", "include: expected the path of a file, or a map with path, project_directory"),
        ("include: [{path: ok.yaml, other: 1}]", "include.other: no key that this version of bundle knows"),
        ("include: [{path: ok.yaml, env_file: gone.env}]", "include: gone.env is not there, so its variables are"),
    ],
)
def test_what_cannot_be_included_is_refused(text: str, told: str, tmp_path: Path) -> None:
    found = brought(
        tmp_path,
        compose_yaml=f"{text}\nservices: {{x: {{image: x}}}}",
        a_yaml="include: [b.yaml]\nservices: {a: {image: a}}",
        b_yaml="include: [a.yaml]\nservices: {b: {image: b}}",
        ok_yaml="services: {ok: {image: ok}}",
    )
    (line,) = refused(found)
    assert line.startswith(told)
    assert ("X is decided now: nothing" in [each.message for each in found.report]) == ("X" in text)


@pytest.mark.parametrize(
    ("extends", "told"),
    [
        ("x", "there is no service x that it could extend"),
        ("{file: a.yaml, service: x}", "there is no service x of a.yaml that it could extend"),
        ("{file: gone.yaml, service: x}", "gone.yaml is not there: what x says there is missing"),
        (
            "{file: a.yaml, service: a}",
            "a service extends itself: c of compose.yaml > a of a.yaml > b of a.yaml > a of a",
        ),
        ("c", "a service extends itself: c of compose.yaml > c of compose.yaml"),
        ("{service: s70}", "more than 64 in a row: "),
        ("{file: a.yaml}", "there is no service None of a.yaml that it could extend"),
    ],
)
def test_what_cannot_be_extended_is_refused(extends: str, told: str, tmp_path: Path) -> None:
    row = "".join(f", s{number}: {{image: s, extends: s{number - 1}}}" for number in range(1, 71))
    found = brought(
        tmp_path,
        compose_yaml=f"services: {{c: {{image: c, extends: {extends}}}, s0: {{image: s}}{row}}}",
        a_yaml="services: {a: {extends: b}, b: {extends: {file: a.yaml, service: a}}}",
    )
    (line,) = (each for each in refused(found) if each.startswith("services.c."))
    assert line.startswith(f"services.c.extends: {told}")


def test_a_variable_that_an_included_file_has_otherwise_is_refused(tmp_path: Path) -> None:
    service = "services: {{{}: {{image: a, environment: {{TAG: '${{TAG:-none}}'}}}}}}"
    files = {"sub__compose_yaml": service.format("b"), "sub___env": "TAG=sub\n"}
    found = brought(tmp_path, compose_yaml=f"include: [sub/compose.yaml]\n{service.format('a')}", **files)
    told = "TAG is not the same in compose.yaml and sub/compose.yaml, by the env file beside one of them"
    assert refused(found) == [f"include: {told}: give it another name there"]
    found = brought(tmp_path, compose_yaml="include: [sub/compose.yaml]\nservices: {a: {image: a}}", **files)
    assert refused(found) == []
    assert found.graph["values"] == {"tag": {"default": "sub"}}
    found = brought(tmp_path, _env="TAG=main\n")
    assert found.graph["values"] == {"tag": {"default": "main"}}


@pytest.mark.timeout(10)
def test_many_variables_of_many_included_files_take_no_minutes(tmp_path: Path) -> None:
    places = [f"s{number}" for number in range(60)]
    names = {place: [f"V_{place}_{number}" for number in range(120)] for place in places}
    for place in places:
        text = "".join(f"${{{name}}}" for name in names[place])
        env = "".join(f"{name}=1\n" for name in names[place])
        service = f"services: {{{place}: {{image: 'a:{text}'}}}}"
        written(tmp_path, {f"{place}/compose.yaml": service, f"{place}/.env": env})
    included = ", ".join(f"{place}/compose.yaml" for place in places)
    (tmp_path / "compose.yaml").write_text(f"include: [{included}]\nservices: {{m: {{image: m}}}}")
    assert set(names["s59"]) < set(read(tmp_path).given)


def test_of_several_env_files_of_an_included_file_the_later_counts(tmp_path: Path) -> None:
    found = brought(
        tmp_path,
        compose_yaml="include: [{path: sub/c.yaml, env_file: [1.env, 2.env]}]\nservices: {m: {image: m}}",
        sub__c_yaml="services: {a: {image: 'a:${A}-${B}-${C}'}}",
        **{"1_env": "A=1\nB=${A}x\n", "2_env": "A=2\nC=${B}y${A}\n"},
    )
    assert found.graph["services"]["a"]["image"] == "a:2-1x-1xy2"


def test_what_is_set_further_out_holds_in_the_values_of_an_env_file(tmp_path: Path) -> None:
    found = brought(
        tmp_path,
        compose_yaml="include: [sub/c.yaml]\nservices: {m: {image: m}}",
        sub__c_yaml="services: {a: {image: 'a:${B}'}}",
        _env="A=main\n",
        sub___env="A=sub\nB=${A}-1\n",
    )
    assert found.graph["services"]["a"]["image"] == "a:main-1"


def test_nothing_from_outside_of_the_folder_is_packed_for_a_file_that_lies_there(tmp_path: Path) -> None:
    written(
        tmp_path, {"far/base.yaml": "services: {b: {image: b, volumes: ['./x.conf:/x.conf:ro']}}", "far/x.conf": "x"}
    )
    text = "services: {a: {extends: {file: ../far/base.yaml, service: b}}}"
    (tmp_path / "in").mkdir()
    found = brought(tmp_path / "in", compose_yaml=text)
    assert not found.copies
    assert [each for each in refused(found) if "../far/x.conf" in each]


def test_a_defect_of_another_file_is_told_with_its_place_there(tmp_path: Path) -> None:
    main = "include: [sub/a.yaml]\nservices: {x: {image: x}}"
    found = brought(tmp_path, compose_yaml=main, sub__a_yaml="services: {a: {image: a, ports: 5}}")
    assert refused(found) == ["services.a.ports: expected a list of texts and maps, at sub/a.yaml:1:33"]
    with pytest.raises(UsageError, match=r"^sub/a.yaml:1:1: a Compose file is a map"):
        brought(tmp_path, sub__a_yaml="[]")


def test_files_that_include_many_are_told_of(tmp_path: Path) -> None:
    for depth in range(9):
        names = ", ".join(f"{depth + 1}{letter}.yaml" for letter in "ab")
        for letter in "ab":
            (tmp_path / f"{depth}{letter}.yaml").write_text(f"include: [{names}]\nservices: {{x: {{image: x}}}}")
    with pytest.raises(UsageError, match="with it, more than 200 files are included"):
        brought(tmp_path, compose_yaml="include: [0a.yaml]")
