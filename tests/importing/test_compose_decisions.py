"""bundle import compose: what each thing of a Compose file becomes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bundler.cli.main import run
from bundler.errors import UsageError
from bundler.graphfile.check import check
from bundler.graphfile.confidential import is_secret
from bundler.graphfile.source import parse
from bundler.importing import health, keys, yamltext
from bundler.importing.addresses import Addresses, Login
from bundler.importing.compose import Imported, imported
from bundler.importing.endpoints import Endpoints
from bundler.importing.folder import Folder
from bundler.importing.mounts import OUTSIDE
from bundler.importing.naming import Names, label
from bundler.importing.process import duration, size
from bundler.importing.report import Report, Verdict
from bundler.importing.variables import parse as variables_of
from bundler.importing.variables import read_env, settled
from bundler.importing.writing import graph_text


def compose(text: str, folder: Path | None = None, profiles: tuple[str, ...] = (), **more: Any) -> Imported:
    """Imported, and held against the checker."""
    found = imported([(text, "compose.yaml")], "shop", Folder(folder or Path("/nonexistent")), profiles, **more)
    check(parse(graph_text(found.graph, "compose.yaml", found.remarks), "bundle.yaml"))
    return found


def told(found: Imported, verdict: Verdict) -> str:
    return "\n".join(f"{each.where}: {each.message}" for each in found.report.of(verdict))


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("http://api:8000/x", "${api.url}/x"),
        ("http://api/x", "${api.url}/x"),
        ("grpc://api:8000", "grpc://${api.host}:${api.port}"),
        ("postgres://u:p@db:5432/app?ssl=no", "${db.url}?ssl=no"),
        ("postgresql+psycopg://u:p@db:5432/app", "postgresql+psycopg://u:p@${db.host}:${db.port}/app"),
        ("postgres://someone@db:5432/app", "postgres://someone@${db.host}:${db.port}/app"),
        ("jdbc:postgresql://db:5432/app", "jdbc:postgresql://${db.host}:${db.port}/app"),
        ("db:5432,db:5432", "${db.host}:${db.port},${db.host}:${db.port}"),
        ("tcp(db:5432)", "tcp(${db.host}:${db.port})"),
        ("host=db user=u", "host=${db.host} user=u"),
        ("wait-for db:5432 -- serve", "wait-for ${db.host}:${db.port} -- serve"),
        ("http://localhost:9000/in", "${publish.front.url}/in"),
        ("http://localhost:1234/in", "http://localhost:1234/in"),
        ("http://me:80/", "http://me:80/"),
        ("/data/db:5432", "/data/db:5432"),
        ("redis-db:5432", "redis-db:5432"),
        ("http://db.example:5432", "http://db.example:5432"),
        ("db", "db"),
    ],
)
def test_an_address_becomes_an_edge_and_its_text_says_the_same(text: str, made: str) -> None:
    ports = {"api": Endpoints({"http": (8000, "http")}), "db": Endpoints({"postgres": (5432, "postgres")})}
    addresses = Addresses({"api": "api", "db": "db", "me": "me"}, {**ports, "me": Endpoints()}, {9000: "front"})
    addresses.logins["db"] = Login("postgres", {"user": "u", "password": "p", "database": "app"})
    addresses.mine(text)
    assert addresses.rewritten("me", text, host_alone=False) == made


def test_a_host_and_its_port_in_two_variables_are_one_address() -> None:
    found = compose("services: {a: {image: a, environment: {DB_HOST: db, DB_PORT: 9999}}, db: {image: postgres}}")
    a = found.graph["services"]["a"]
    assert a["connect"] == {"db": "db.port-9999"}
    assert a["environment"] == {"DB_HOST": "${db.host}", "DB_PORT": "${db.port}"}


def test_a_name_alone_is_an_address_only_where_its_variable_says_so() -> None:
    found = compose("services: {a: {image: a, environment: {DB_NAME: db, CACHE_HOST: db}}, db: {image: redis}}")
    assert found.graph["services"]["a"]["environment"] == {"DB_NAME": "db", "CACHE_HOST": "${db.host}"}


@pytest.mark.parametrize("scheme", ["s3", "s3a", "gs", "gcs"])
def test_a_bucket_of_a_services_name_is_no_address(scheme: str) -> None:
    text = f"{scheme}://db/x"
    found = compose(
        f"services: {{a: {{image: a, environment: {{ROOT: '{text}'}}}}, db: {{image: db, expose: [5000]}}}}"
    )
    assert found.graph["services"]["a"]["environment"] == {"ROOT": text}
    assert "connect" not in found.graph["services"]["a"]
    assert list(found.graph["services"]["db"]["expose"].values()) == [5000]


def test_services_that_name_each_other_do_not_wait_for_each_other() -> None:
    found = compose(
        "services:\n  a: {image: a, environment: {B_URL: 'http://b:1080'}, depends_on: [b]}\n"
        "  b: {image: b, environment: {A_URL: 'http://a:1080'}}\n"
    )
    assert found.graph["services"]["a"]["connect"] == {"b": "b.http"}
    assert found.graph["services"]["b"]["connect"] == {"a": {"to": "a.http", "wait": False}}


def test_one_literal_is_one_secret_wherever_it_stands() -> None:
    found = compose(
        "services:\n"
        "  db: {image: postgres, environment: {POSTGRES_PASSWORD: opensesame}}\n"
        "  a: {image: a, environment: {PGPASSWORD: opensesame}, command: --pw opensesame}\n"
        "  b: {image: b, environment: {URL: 'postgresql://postgres:opensesame@db:5432/postgres'}}\n"
    )
    services = found.graph["services"]
    assert found.graph["secrets"] == {"postgres-password": {"generate": 24}}
    assert services["a"]["environment"]["PGPASSWORD"] == "${secrets.postgres-password}"
    assert services["a"]["command"] == ["--pw", "${secrets.postgres-password}"]
    url = "postgresql://postgres:${secrets.postgres-password.encoded}@${db.host}:${db.port}/postgres"
    assert services["b"]["environment"]["URL"] == url
    assert "opensesame" not in json.dumps(found.graph) + told(found, Verdict.TAKEN)


def test_a_password_in_the_default_of_a_variable_is_no_default_of_the_graph() -> None:
    found = compose("services: {a: {image: a, environment: {DSN: '${DSN:-https://me:longsecret@far.example/1}'}}}")
    assert found.graph["services"]["a"]["environment"] == {
        "DSN": "https://me:${secrets.dsn-password.encoded}@far.example/1"
    }
    assert "longsecret" not in json.dumps(found.graph)


def test_what_compose_would_lay_over_the_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "compose.override.yaml").write_text("services: {}")
    assert "compose.override.yaml: not read" in told(compose("services: {a: {image: a}}", tmp_path), Verdict.LEFT_OUT)


def test_a_password_that_nobody_else_is_told_may_be_built_in_so_the_site_gives_it() -> None:
    found = compose(
        "services:\n  db: {image: postgres, environment: {POSTGRES_PASSWORD: x1}}\n  a: {image: a, depends_on: [db]}\n"
    )
    assert found.graph["secrets"] == {"postgres-password": {}}
    assert "a may have it built in" in told(found, Verdict.TAKEN)


@pytest.mark.parametrize("name", ["DB_PASSWORD", "PGPASSWORD", "SECRET_KEY_BASE", "API_TOKEN", "S3_SECRET_ACCESS_KEY"])
def test_the_name_of_a_variable_says_that_it_is_secret(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name", ["PASSWORD_FILE", "MAX_TOKENS", "AWS_ACCESS_KEY_ID", "PUBLIC_KEY", "KEYSPACE", "TOKEN_TTL"]
)
def test_and_a_name_that_only_looks_like_it_does_not(name: str) -> None:
    assert not is_secret(name)


def test_a_variable_becomes_a_value_with_its_default_and_env_files_are_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text('LOG=debug # loud\nQUOTED="a b"\n')
    (tmp_path / "a.env").write_text("export FROM_FILE=x$LOG\nPRICE='$5'\n")
    found = compose(
        "services:\n  a:\n    image: a:${TAG:-1}\n    env_file: a.env\n"
        "    environment:\n    - 'LEVEL=${LOG:-info}'\n    - 'MODE=${MODE:-${OTHER:-fast}}'\n"
        "    - NEED=${NEED:?}\n    - GIVEN=${QUOTED}\n",
        tmp_path,
    )
    assert found.graph["values"] == {
        "log": {"default": "debug"}, "mode": {"default": "fast"}, "need": {}, "quoted": {"default": "a b"},
    }  # fmt: skip
    assert found.graph["services"]["a"]["environment"] == {
        "FROM_FILE": "xdebug", "PRICE": "$5", "LEVEL": "${values.log}", "MODE": "${values.mode}",
        "NEED": "${values.need}", "GIVEN": "${values.quoted}",
    }  # fmt: skip
    assert found.graph["services"]["a"]["image"] == "a:1"
    assert "TAG is decided now: a:1" in told(found, Verdict.CHANGED)


def test_what_looks_like_a_placeholder_of_a_graph_stays_what_it_is() -> None:
    found = compose("services: {a: {image: a, environment: {T: '$${user.name}', P: '$$5'}}}")
    assert found.graph["services"]["a"]["environment"] == {"T": "$${user.name}", "P": "$5"}


@pytest.mark.parametrize(
    ("text", "made"),
    [("$A", "1"), ("${A}b", "1b"), ("$$A", "$A"), ("${N:-x}", "x"), ("${E-x}", ""), ("${E:-x}", "x"), ("${A:+y}", "y"),
     ("${N:-${A}}", "1"), ("${N:-a}b}", "ab}"), ("$", "$"), ("${", "${"), ("${A b}", "${A b}")],
)  # fmt: skip
def test_variables_are_settled_as_compose_settles_them(text: str, made: str) -> None:
    assert settled(text, {"A": "1", "E": ""}) == made
    assert all(part for part in variables_of(text))


def test_an_env_file_is_read_as_compose_reads_it() -> None:
    text = "# c\nA=1\nB = two # c\nC='$A'\nD=\"x\\n$A\"\nE=\nF\nbad line\nG=a#b\n"
    assert read_env(text, {}) == {"A": "1", "B": "two", "C": "$A", "D": "x\n1", "E": "", "F": None, "G": "a#b"}


def test_what_is_set_outside_of_an_env_file_holds_in_its_values(tmp_path: Path) -> None:
    """As `docker compose config` (2.40.3) shows it."""
    (tmp_path / ".env").write_text("A=dot\n")
    (tmp_path / "a.env").write_text("A=file\nB=${A}\nS=file\nT=${S}\nC=1\n")
    (tmp_path / "b.env").write_text("C=2\nD=${C}-${B}-${A}-${S}\n")
    text = "services: {a: {image: a, env_file: [a.env, b.env], environment: {S: 'own-${A}'}}}"
    environment = compose(text, tmp_path).graph["services"]["a"]["environment"]
    assert environment == {"A": "file", "B": "dot", "S": "own-${values.a}", "T": "own-dot", "C": "2",
        "D": "2-dot-dot-own-dot",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("test", "made"),
    [
        ("curl -f http://localhost:8000/h || exit 1", {"http": "/h"}),
        (["CMD", "wget", "-q", "--spider", "http://127.0.0.1:8000"], {"http": "/"}),
        (["CMD", "curl", "-sSf", "-o", "/dev/null", "http://localhost:9/h"], {"http": "/h", "port": 9}),
        (["CMD-SHELL", "nc -z localhost 8000"], {"tcp": True}),
        (["CMD", "curl", "-H", "Host: x", "http://localhost:8000"], {"test": ["curl", "-H", "Host: x", "http://localhost:8000"]}),
        ("curl localhost:8000 | grep ok", {"test": ["sh", "-c", "curl localhost:8000 | grep ok"]}),
        (["CMD-SHELL", "pg_isready -U $${U}"], {"test": ["sh", "-c", "pg_isready -U ${U}"]}),
    ],
)  # fmt: skip
def test_a_health_check_that_asks_itself_needs_no_program_in_the_image(test: object, made: object) -> None:
    ports = Endpoints({"http": (8000, "http")})
    found, _ = health.healthcheck({"test": test}, "", ports, lambda raw: [settled(each, {}) for each in raw], Report())
    assert found == made


def test_a_test_that_would_show_a_secret_asks_the_port_instead() -> None:
    found = compose(
        "services: {db: {image: redis, command: '--requirepass ${REDIS_PASSWORD:-longsecret}',\n"
        "  healthcheck: {test: [CMD, redis-cli, -a, longsecret, ping], interval: 5s}}}"
    )
    assert found.graph["services"]["db"]["healthcheck"] == {"tcp": True, "interval": "5s"}


def test_settings_are_packed_and_data_becomes_a_volume(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "app.toml").write_text("x = 1\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.bin").write_bytes(b"\0" * 10)
    found = compose(
        "services: {a: {image: a, volumes: ['./conf:/etc/a:ro', './data:/data', /anonymous, 'named:/n', 'a:/same']}}\n"
        "volumes: {named: , a: }",
        tmp_path,
    )
    a = found.graph["services"]["a"]
    assert a["configs"] == ["a-conf:/etc/a"]
    assert a["volumes"] == ["a-data:/data", "a-anonymous:/anonymous", "named:/n", "a-a:/same"]
    assert found.graph["configs"] == {"a-conf": {"dir": "./conf"}}
    assert "what is in it now is not packed" in told(found, Verdict.CHANGED)


def test_settings_too_large_for_a_config_are_refused(tmp_path: Path) -> None:
    (tmp_path / "big.yaml").write_bytes(b"x" * (2 << 20))
    found = compose("services: {a: {image: a, volumes: ['./big.yaml:/etc/a.yaml:ro']}}", tmp_path)
    assert "1 MiB" in told(found, Verdict.REFUSED)
    assert "configs" not in found.graph


@pytest.mark.parametrize(
    "part",
    ["volumes: ['/var/run/docker.sock:/s']", "volumes: ['/etc/ssl:/x']", "volumes: ['~/.ssh:/x']", "network_mode: host",
     "privileged: true", "pid: host", "ipc: host", "devices: ['/dev/kvm']", "ports: ['53:53/udp']", "cap_add: [ALL]",
     "what_is_this: 1", "extends: {file: o.yaml, service: b}", "user: 'root:1000'", "external_links: [x]",
     "extra_hosts: ['ldap.example:10.0.0.1']", "env_file: [gone.env]", "volumes: ['./gone.conf:/etc/x.conf']"],
)  # fmt: skip
def test_what_is_the_machines_is_refused_by_name_and_marked_in_the_graph(part: str) -> None:
    found = compose(f"services: {{a: {{image: a, {part}}}}}")
    assert f"services.a.{part.partition(':')[0]}" in told(found, Verdict.REFUSED)
    assert "# NOT IMPORTED: services.a." in graph_text(found.graph, "f", found.remarks)


def test_every_key_has_a_decision_and_only_one() -> None:
    decided = [*keys.TRANSLATED, *keys.LEFT_OUT, *keys.REFUSED]
    assert len(decided) == len(set(decided))


def test_a_service_whose_end_is_waited_for_is_a_job() -> None:
    found = compose(
        "services:\n  a: {image: a, depends_on: {m: {condition: service_completed_successfully}}}\n"
        "  m: {image: a, command: migrate --now, restart: on-failure}\n"
    )
    assert found.graph["jobs"] == {"m": {"image": "a", "command": ["migrate", "--now"], "retries": 3, "run": "upgrade"}}
    assert found.graph["services"]["a"]["depends_on"] == ["m"]


def test_services_of_a_profile_stay_away_unless_it_is_asked_for() -> None:
    text = "services: {a: {image: a}, debug: {image: b, profiles: [dev]}}"
    assert "debug" not in compose(text).graph["services"]
    assert "debug" in compose(text, profiles=("dev",)).graph["services"]


def test_names_become_dns_labels_in_one_name_space() -> None:
    found = compose(
        "services: {My_App: {image: a, volumes: ['db:/d'], environment: {DB_HOST: The_DB}}, The_DB: {image: redis},"
        " db: {image: b}}\nvolumes: {db: }"
    )
    assert list(found.graph["services"]) == ["my-app", "the-db", "db"]
    assert found.graph["services"]["my-app"]["connect"] == {"the-db": "the-db.redis"}
    assert found.graph["volumes"] == {"db-data": {}}
    assert label("9-lives_") == "n-9-lives"
    assert Names(["a"]).take("A") == "a-2"


def test_resources_are_in_the_words_and_units_of_a_graph() -> None:
    found = compose(
        "services: {a: {image: a, shm_size: 1gb, scale: 3, deploy: {resources: {limits: {cpus: '1.50', memory: 512M},"
        " reservations: {devices: [{driver: nvidia, count: 2, capabilities: [gpu]}]}}}}}"
    )
    a = found.graph["services"]["a"]
    assert a["resources"] == {"cpus": 1.5, "memory": "512MiB", "shm": "1GiB", "gpus": 2}
    assert a["scale"] == {"min": 3, "max": 3}
    assert [size("1000"), size("0"), size("x"), size("1.5g")] == ["1KiB", None, None, "1536MiB"]
    assert [duration("1m30s"), duration("1.5s"), duration("5")] == ["1m30s", "1s500ms", None]


def test_a_limit_of_nothing_is_none_as_in_compose() -> None:
    none = "image: a, cpus: 0.0, mem_limit: 0, shm_size: 0b, deploy: {resources: {limits: {cpus: '0', memory: 0m}}}"
    found = compose(f"services: {{a: {{{none}}}}}")
    assert "resources" not in found.graph["services"]["a"]
    assert not found.report.of(Verdict.REFUSED)


def test_the_yaml_of_compose_is_read_with_anchors_and_without_surprises() -> None:
    found = yamltext.read("a: &x {p: 22:22, n: no, v: 1.50, t: true}\nb: {<<: *x, n: 012}\n", "f")
    assert found["b"] == {"p": "22:22", "n": "10", "v": "1.5", "t": True}


def test_an_alias_bomb_is_refused() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9))
    with pytest.raises(UsageError, match="100000 values"):
        yamltext.read(bomb, "f")


@pytest.mark.parametrize("text", ["services: {a: {image: !reset null}}", "[]", "a: b: c", "a: &a [*a]"])
def test_what_is_no_compose_file_is_said_with_its_place(text: str) -> None:
    with pytest.raises(UsageError, match=r"^f:1:\d+: "):
        yamltext.read(text, "f")


def test_a_file_without_services_makes_no_graph() -> None:
    with pytest.raises(UsageError, match="no service"):
        compose("volumes: {a: }")


def test_the_command_writes_beside_the_file_and_overwrites_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "compose.yaml").write_text("services: {a: {image: nginx, ports: ['8080:80']}}\n")
    assert run(["import", "compose", str(tmp_path)]) == 0
    assert "publish:\n  a: {port: 8080}\n" in (tmp_path / "site.yaml").read_text()
    assert run(["check", str(tmp_path)]) == 0
    assert run(["import", "compose", str(tmp_path)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert run(["import", "compose", str(tmp_path), "--force"]) == 0


def test_into_another_folder_goes_what_the_graph_packs(tmp_path: Path) -> None:
    source = tmp_path / "from"
    (source / "app").mkdir(parents=True)
    (source / "app" / "Dockerfile").write_text("FROM scratch\n")
    (source / "secret.txt").write_text("s")
    (source / "shared.conf").write_text("x\n")
    (source / "compose.yml").write_text(
        "services: {a: {build: ./app, secrets: [s], volumes: ['./shared.conf:/etc/shared.conf:ro']}}\n"
        "secrets: {s: {file: ./secret.txt}}\n"
    )
    assert run(["import", "compose", str(source / "compose.yml"), "-o", str(tmp_path / "to")]) == 0
    assert run(["check", str(tmp_path / "to")]) == 0
    assert (tmp_path / "to" / "shared.conf").read_text() == "x\n"
    assert "s: {file: ../from/secret.txt}" in (tmp_path / "to" / "site.yaml").read_text()


def test_a_file_outside_of_the_folder_is_not_packed_unasked(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "passwd.conf").write_text("x\n")
    (tmp_path / "from/link.conf").symlink_to(tmp_path / "passwd.conf")
    (tmp_path / "from/conf").mkdir()
    (tmp_path / "from/conf/own.conf").write_text("x\n")
    (tmp_path / "from/conf/more").symlink_to(tmp_path)
    outside = ("../passwd.conf", "./../from/../passwd.conf", "..", "./link.conf", f"{tmp_path}/passwd.conf", "./conf")
    for path in outside:
        mounted = f"services: {{a: {{image: a, volumes: ['{path}:/etc/p.conf:ro']}}}}"
        named = f"services: {{a: {{image: a, configs: [c]}}}}\nconfigs: {{c: {{file: '{path}'}}}}"
        for text in (mounted, named) if path.endswith(".conf") else (mounted,):
            found = compose(text, tmp_path / "from")
            assert f": {OUTSIDE}" in told(found, Verdict.REFUSED)
            assert not found.copies
            assert "configs" not in found.graph
    (tmp_path / "from/own.conf").write_text("x\n")
    own = f"services: {{a: {{image: a, volumes: ['{tmp_path}/from/own.conf:/etc/p.conf:ro']}}}}"
    assert [each.source for each in compose(own, tmp_path / "from").copies] == [f"{tmp_path}/from/own.conf"]


def test_a_folder_to_build_from_goes_into_another_one_without_links_that_lead_out(tmp_path: Path) -> None:
    (tmp_path / "from/app").mkdir(parents=True)
    (tmp_path / "secret").write_text("x\n")
    (tmp_path / "from/app/Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "from/app/same").symlink_to("Dockerfile")
    (tmp_path / "from/app/out").symlink_to(tmp_path / "secret")
    (tmp_path / "from/app/loop").symlink_to("loop")
    (tmp_path / "from/compose.yml").write_text("services: {a: {build: ./app}}\n")
    assert run(["import", "compose", str(tmp_path / "from"), "-o", str(tmp_path / "to")]) == 0
    assert {each.name for each in (tmp_path / "to/app").iterdir()} == {"Dockerfile", "same"}


def test_what_was_refused_shows_in_the_status_and_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("services: {a: {image: a, privileged: true}}\n")
    assert run(["import", "compose", str(file), "--dry-run", "--json"]) == 3
    said = json.loads(capsys.readouterr().out)
    assert said["whole"] is False
    assert said["decisions"][0]["where"] == "services.a.privileged"
    assert not (tmp_path / "bundle.yaml").exists()
    assert run(["import", str(file)]) == 2
    assert "bundle import compose" in capsys.readouterr().err
