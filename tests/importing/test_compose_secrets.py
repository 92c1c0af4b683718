"""bundle import compose: where a secret stands, and who makes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bundler.importing.compose import Imported, imported
from bundler.importing.folder import Folder
from bundler.importing.report import lines

_DB = "db: {image: 'postgres:17', environment: {POSTGRES_PASSWORD: pw12345}}"


def compose(services: str, folder: Path = Path("/nonexistent")) -> Imported:
    return imported([(f"services:\n  {_DB}\n  {services}", "compose.yaml")], "shop", Folder(folder))


@pytest.mark.parametrize(
    "text",
    [
        "environment: {DSN: 'host=db user=u password=pw12345 dbname=x'}",
        "environment: {JDBC: 'jdbc:postgresql://db:5432/x?user=u&password=pw12345'}",
        """environment: {JSON: '{"password": "pw12345"}'}""",
        "environment: {DB_PW: pw12345}",
        "command: sh -c 'PGPASSWORD=pw12345 pg_dump'",
        "command: [serve, --password, pw12345]",
        "command: serve --db-password=pw12345",
        "command: valkey-server --requirepass pw12345",
    ],
)
def test_the_literal_of_a_secret_is_it_wherever_it_stands(text: str) -> None:
    found = compose(f"a: {{image: a, {text}}}")
    assert found.graph["secrets"] == {"postgres-password": {"generate": 24}}
    assert "${secrets.postgres-password}" in json.dumps(found.graph["services"]["a"])
    assert "pw12345" not in json.dumps(found.graph) + "".join(lines(found.report))


def test_a_packed_file_that_holds_it_cannot_be_told_another_so_the_site_gives_it(tmp_path: Path) -> None:
    (tmp_path / "app.conf").write_text("db = pw12345\n")
    found = compose("a: {image: a, environment: {PGPASSWORD: pw12345}, volumes: ['./app.conf:/app.conf:ro']}", tmp_path)
    assert found.graph["secrets"] == {"postgres-password": {}}
    told = "what the file has for it is a word of services.a.volumes too, for all to read"
    assert any(line.endswith(told) for line in lines(found.report))


def test_a_user_of_the_same_name_is_not_replaced() -> None:
    found = compose("c: {image: postgres, environment: {POSTGRES_PASSWORD: samesame, POSTGRES_USER: samesame}}")
    assert found.graph["services"]["c"]["environment"]["POSTGRES_USER"] == "samesame"
    assert {} in found.graph["secrets"].values()


def test_a_secret_in_a_health_check_is_kept_out_of_it() -> None:
    found = compose("r: {image: redis, healthcheck: {test: [CMD, redis-cli, -a, pw2, ping]}}")
    assert found.graph["services"]["r"]["healthcheck"] == {"tcp": True}
    assert "r-password" in found.graph["secrets"]


def test_what_only_looks_like_an_option_for_a_secret_is_none() -> None:
    found = compose("a: {image: a, command: serve --max-token 4096 --password-file /p --token $$TOKEN password=}")
    assert set(found.graph["secrets"]) == {"postgres-password"}


@pytest.mark.parametrize(
    ("variable", "made"),
    [
        ("STRIPE_SECRET_KEY", {}),
        ("SLACK_BOT_TOKEN", {}),
        ("OPENAI_API_KEY", {}),
        ("GITHUB_PAT", {}),
        ("OAUTH_CLIENT_SECRET", {}),
        ("SMTP_PASSWORD", {}),
        ("SECRET_KEY_BASE", {"generate": 24}),
        ("SESSION_SECRET", {"generate": 24}),
        ("JWT_SECRET", {"generate": 24}),
    ],
)
def test_what_others_give_is_not_made_at_the_site(variable: str, made: object) -> None:
    told = f"environment: {{{variable}: sk-live-abc123}}"
    found = compose(f"a: {{image: a, {told}}}\n  b: {{image: a, {told}}}")
    (name,) = set(found.graph["secrets"]) - {"postgres-password"}
    assert found.graph["secrets"][name] == made
    assert made or any(name in remark for remark in found.site_remarks)


def test_a_password_that_one_service_alone_is_told_is_the_site_s_and_one_that_two_share_is_made() -> None:
    found = compose("a: {image: a, environment: {FAR_PASSWORD: longenough}}")
    assert found.graph["secrets"]["far-password"] == {}
    both = "environment: {FAR_PASSWORD: longenough}"
    found = compose(f"a: {{image: a, {both}}}\n  b: {{image: b, {both}}}")
    assert found.graph["secrets"]["far-password"] == {"generate": 24}


@pytest.mark.parametrize(
    "text",
    [
        "environment: {DSN: 'host=db user=u password=${DB:-foo} dbname=x'}",
        "environment: {URL: 'postgres://u:${DB:-foo}@db:5432/x'}",
        """environment: {JSON: '{"password": "${DB:-foo}"}'}""",
        "environment: {NESTED: 'password=${DB:-${OTHER:-foo}}'}",
        "environment: {MORE: 'postgres://u:x-${DB:-foo}-y@db:5432/x'}",
        "environment: {TWO: 'password=${DB:-foo}${OTHER:-bar}'}",
        "environment: {UNSET: 'host=db password=${DB} x'}",
        "environment: {UNSET: 'postgres://u:${DB}@db:5432/x'}",
        """command: 'sh -c "PGPASSWORD=${DB:-foo} pg_dump"'""",
        "command: 'serve --token ${DB:-foo}'",
        "command: [serve, --password, '${DB:-foo}']",
        "command: [serve, --password, '${DB}']",
        "entrypoint: [serve, '--api-key=${DB:-foo}']",
        "configs: [c]",
    ],
)
def test_the_default_of_a_variable_where_a_secret_stands_is_in_no_bundle_however_short_it_is(text: str) -> None:
    found = compose(f"a: {{image: a, {text}}}\nconfigs: {{c: {{content: 'password=${{DB:-foo}}'}}}}")
    (name,) = set(found.graph["secrets"]) - {"postgres-password"}
    assert f"${{secrets.{name}" in json.dumps([found.graph["services"]["a"], found.graph.get("configs")])
    told = "".join(lines(found.report))
    assert [each for each in ("foo", "bar") if each in json.dumps(found.graph) + told] == []
    assert f"DB is the secret {name}; " in told or f"part of the secret {name}" in told
    assert "values" not in found.graph


@pytest.mark.parametrize("name", ["TOKEN", "API_KEY", "SECRET", "PASS", "OPENAI_API_KEY"])
def test_what_a_text_sets_a_secret_to_is_one_whatever_stands_before_its_name(name: str) -> None:
    found = compose(f"a: {{image: a, command: [env, {name}=foofoo, serve], entrypoint: 'sh -c \"{name}=barbar x\"'}}")
    assert len(found.graph["secrets"]) == 3
    assert [each for each in ("foofoo", "barbar") if each in json.dumps(found.graph)] == []


@pytest.mark.parametrize("written", ["${DB:-foofoo}", "foofoo"])
def test_what_a_header_logs_in_with_is_a_secret(written: str) -> None:
    header = f"Authorization: Bearer {written}"
    found = compose(f"a: {{image: a, command: [get, -H, '{header}'], healthcheck: {{test: 'get -H \"{header}\" x'}}}}")
    (name,) = set(found.graph["secrets"]) - {"postgres-password"}
    assert found.graph["services"]["a"]["command"][2] == f"Authorization: Bearer ${{secrets.{name}}}"
    assert "foofoo" not in json.dumps(found.graph) + "".join(lines(found.report))


def test_an_option_for_a_secret_may_stand_behind_a_variable_without_a_text() -> None:
    found = compose("a: {image: a, environment: {OPTIONS: '${MORE}--token foofoo'}}")
    assert found.graph["services"]["a"]["environment"] == {"OPTIONS": "${values.more}--token ${secrets.options-token}"}


def test_a_variable_of_which_a_password_is_written_with_more_is_a_value_elsewhere() -> None:
    found = compose("a: {image: a, environment: {DSN: 'password=shop-${STAGE:-dev} x', STAGE: '${STAGE:-dev}'}}")
    environment = {"DSN": "password=${secrets.dsn-password} x", "STAGE": "${values.stage}"}
    assert found.graph["services"]["a"]["environment"] == environment
    told = "services.a.environment.DSN: STAGE is no value for a site to give: part of the secret dsn-password"
    assert f"  {told}" in lines(found.report)


def test_a_password_that_is_written_of_a_secret_and_more_is_no_second_secret() -> None:
    found = compose("a: {image: a, environment: {DSN: 'password=x-${DB_PASSWORD:-foofoo}'}}")
    assert set(found.graph["secrets"]) == {"postgres-password", "db-password"}
    assert found.graph["services"]["a"]["environment"] == {"DSN": "password=x-${secrets.db-password}"}


def test_what_a_variable_leaves_out_or_does_not_give_is_no_secret() -> None:
    found = compose("a: {image: a, environment: {A: 'password=${X:+foo}', B: 'password=${Y:-true}'}}")
    assert set(found.graph["secrets"]) == {"postgres-password"}
    assert found.graph["services"]["a"]["environment"] == {"A": "password=", "B": "password=${values.y}"}


@pytest.mark.timeout(20)
def test_passwords_of_many_variables_in_one_text_take_no_minutes() -> None:
    found = compose("a: {image: a, environment: {A: '" + "password=${X:-ab}${Y:-cd} " * 10_000 + "'}}")
    assert set(found.graph["secrets"]) == {"postgres-password", "a-password"}
