"""A good graph: what the checker makes of it, and that it can be written and read back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bundler.errors import GraphError, Problem
from bundler.graphfile.check import check, check_document, check_template
from bundler.graphfile.source import parse
from bundler.graphfile.written import written
from bundler.model.graph import (
    Condition,
    Connection,
    Dependency,
    Door,
    Endpoint,
    Gpus,
    Graph,
    Healthcheck,
    Job,
    Model,
    Mount,
    Scale,
    Service,
    Tmpfs,
    Workers,
)

SUITE = check(parse(Path(__file__).with_name("nlp_suite.yaml").read_text(encoding="utf-8"), "bundle.yaml"))


def graph(body: str) -> Graph:
    return check(parse('bundle: shop\nversion: "1.0"\n' + body, "bundle.yaml"))


def service(name: str, of: Graph = SUITE) -> Service:
    return next(each for each in of.services if each.name == name)


def job(name: str, of: Graph = SUITE) -> Job:
    return next(each for each in of.jobs if each.name == name)


def test_everything_named_is_sorted_by_name() -> None:
    assert [each.name for each in SUITE.services] == ["api", "embedder", "tensorboard", "ui", "vectordb"]
    assert [name for name, _ in service("api").environment] == sorted(name for name, _ in service("api").environment)
    assert SUITE.doors == (
        Door("tensorboard", "tensorboard", "http", optional=True),
        Door("ui", "ui", "http", optional=False),
    )


def test_waves_follow_connections_and_dependencies_and_leave_out_jobs_that_nobody_waits_for() -> None:
    assert SUITE.waves == (("embedder", "tensorboard", "vectordb"), ("api", "migrate"), ("ui",))


def test_defaults_are_filled_in() -> None:
    assert service("embedder").healthcheck == Healthcheck(
        http="/healthz", tcp=False, test=None, port=8080, start_period_s=120.0
    )
    assert service("ui").stop_grace_period_s == 30.0
    assert service("api").tmpfs == (Tmpfs("/tmp", 64 << 20), Tmpfs("/var/cache", 128 << 20))
    assert job("train").workers == Workers("1", "${values.train_workers}")


def test_the_port_of_a_health_check_is_the_first_endpoint_of_the_file() -> None:
    check = service("vectordb").healthcheck
    assert check is not None
    assert check.port == 6334
    assert service("vectordb").expose == (Endpoint("api", 6333, "http"), Endpoint("grpc", 6334, "grpc"))


def test_units_are_read() -> None:
    resources = service("embedder").resources
    assert (resources.cpus, resources.memory_bytes, resources.shm_bytes) == (2.0, 4 << 30, 1 << 30)
    assert resources.gpus == Gpus(1, required=False)
    assert job("train").resources.gpus == Gpus(1, required=True)
    assert job("nightly").timeout_s == 5400.0
    assert job("migrate").stop_grace_period_s == 0.5


def test_numbers_in_the_environment_are_kept_as_written() -> None:
    environment = dict(service("api").environment)
    assert environment["RATIO"] == "1.50"
    assert environment["DEBUG"] == "false"


def test_mounts_have_their_paths_and_only_volumes_can_be_written() -> None:
    assert service("api").secrets == (Mount("admin-password", "/run/secrets/admin-password", read_only=True),)
    assert service("embedder").models == (Mount("minilm", "/models/minilm", read_only=True),)
    assert service("tensorboard").volumes == (Mount("runs", "/logs", read_only=True),)
    assert job("train").volumes == (Mount("runs", "/runs", read_only=False),)


def test_paths_are_relative_and_plain_and_a_models_path_can_be_told_from_a_reference() -> None:
    assert SUITE.configs[0].file == "prompts.yaml"
    assert job("migrate").build == "migrate"
    assert SUITE.models[0].source == "./weights/minilm"
    models = graph("models: {a: {from: ./x//y/}, b: {from: hf.example/x:1.0}, c: {from: .}}\n").models
    assert [model.source for model in models] == ["./x/y", "hf.example/x:1.0", "."]
    assert Model("a", "./x/y") == models[0]


def test_a_list_in_depends_on_waits_for_health_where_there_is_a_check() -> None:
    of = graph(
        "services:\n"
        "  well: {image: a, expose: {http: 80}, healthcheck: {tcp: true}}\n"
        "  plain: {image: a}\n"
        "  last: {image: a, depends_on: [well, plain, prepare]}\n"
        "jobs:\n"
        "  prepare: {image: a, run: install}\n"
    )
    assert service("last", of).depends_on == (
        Dependency("plain", Condition.STARTED),
        Dependency("prepare", Condition.COMPLETED),
        Dependency("well", Condition.HEALTHY),
    )


def test_wait_false_keeps_an_edge_out_of_the_order() -> None:
    of = graph(
        "services:\n"
        "  a: {image: a, expose: {http: 80}, connect: {b: {to: b.http, wait: false}}}\n"
        "  b: {image: a, expose: {http: 80}, connect: {a: a.http}}\n"
    )
    assert of.waves == (("a",), ("b",))
    assert service("a", of).connect == (Connection("b", "b", "http", wait=False),)


def test_scale_without_a_maximum_is_a_number_of_instances() -> None:
    of = graph("services: {a: {image: a, scale: {min: 3}}, b: {image: a, scale: {max: 3}}}\n")
    assert [each.scale for each in of.services] == [Scale(3, 3), Scale(1, 3)]


def test_a_value_has_a_type_and_one_without_default_is_required() -> None:
    of = graph(
        "values: {a: {}, b: {enum: [1, 2]}, c: {default: false}, d: {minimum: 0.5, default: 1}, e: {minimum: 1}}\n"
    )
    assert [(each.schema["type"], each.default) for each in of.values] == [
        ("string", None),
        ("integer", None),
        ("boolean", False),
        ("number", 1),
        ("integer", None),
    ]


def test_a_graph_can_be_written_as_canonical_json_and_read_back() -> None:
    text = json.dumps(written(SUITE), sort_keys=True)
    assert check_document(json.loads(text)) == SUITE


def test_the_order_of_the_file_decides_nothing_but_the_port_of_health_checks() -> None:
    data = written(SUITE)
    turned = {key: dict(reversed(part.items())) if isinstance(part, dict) else part for key, part in data.items()}
    assert check_document(dict(reversed(turned.items()))) == SUITE


def test_problems_of_a_document_are_located_by_dotted_paths() -> None:
    data = written(SUITE)
    data["services"]["api"]["connect"]["embed"] = "embeder.http"
    del data["services"]["ui"]["image"]
    with pytest.raises(GraphError) as caught:
        check_document(data)
    assert caught.value.problems == (
        Problem("services.api.connect.embed", 'there is no service or external "embeder"', 'did you mean "embedder"?'),
        Problem("services.ui", "services.ui has none of image, build and use, and needs one"),
    )


def test_templates_are_held_against_every_workload_that_mounts_them() -> None:
    text = "a ${values.language}\nb ${vectors.url} ${embed.url}\n  c ${HOME} ${prompt.url} $${x.y} ${values.nix}\n"
    assert check_template("${vectors.url} ${secrets.vector-key} ${publish.ui.url}", SUITE, "start", "f") == ()
    assert [str(problem).split("\n")[0] for problem in check_template(text, SUITE, "start", "f")] == [
        'f:3:13: ${prompt.url}: api has no slot "prompt"',
        'f:3:35: there is no value "nix"',
    ]
    shared = replace(job("train"), configs=(Mount("start", "/start", read_only=True),))
    both = replace(SUITE, jobs=tuple(shared if each.name == "train" else each for each in SUITE.jobs))
    (problem,) = check_template("${embed.url}", both, "start", "f")
    assert problem.message == '${embed.url}: train has no slot "embed"'


def test_a_template_that_nobody_mounts_has_no_slots() -> None:
    of = graph("configs: {a: {file: ./a, template: true}}\nvalues: {x: {}}\n")
    (problem,) = check_template("${values.x} ${db.url}", of, "a", "a")
    assert problem.message == "${db.url}: no service or job mounts this config, so it has no slots"
