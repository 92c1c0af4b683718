"""bundle import compose: odd and hostile Compose files, of which nothing is lost in silence and nothing ends in a
defect."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_curve
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from cryptography.x509 import CertificateBuilder, Name, NameAttribute
from cryptography.x509.oid import NameOID

from bundler.errors import UsageError
from bundler.graphfile.check import check
from bundler.graphfile.source import parse
from bundler.importing.compose import Imported, imported
from bundler.importing.folder import Folder
from bundler.importing.report import Verdict
from bundler.importing.variables import read_env, unread
from bundler.importing.writing import graph_text

DER, PEM = Encoding.DER, Encoding.PEM
KEY = "-----BEGIN RSA PRIVATE KEY-----\nx\n-----END RSA PRIVATE KEY-----\n"


def compose(keys: str, folder: Path = Path("/nonexistent")) -> Imported:
    """A service with these keys beside a database, imported and held against the checker."""
    text = f"services: {{a: {{image: a, {keys}}}, db: {{image: postgres}}}}"
    found = imported([(text, "compose.yaml")], "shop", Folder(folder))
    check(parse(graph_text(found.graph, "compose.yaml", found.remarks), "bundle.yaml"))
    return found


def refused(found: Imported) -> list[str]:
    return [f"{each.where}: {each.message}" for each in found.report.of(Verdict.REFUSED)]


@pytest.mark.parametrize("number", ["-1", "inf", "nan", "1e400", "99999999", "100000000000000000000", "²", "x"])
@pytest.mark.parametrize(
    "keys",
    [
        "cpus: {}",
        "scale: {}",
        "deploy: {{replicas: {}}}",
        "healthcheck: {{test: x, retries: {}}}",
        "ports: ['{}']",
        "ports: [{{target: 80, published: {}, host_ip: 127.0.0.1}}]",
        "stop_grace_period: {}h",
    ],
)
def test_a_number_that_no_graph_has_is_refused_by_name(keys: str, number: str) -> None:
    assert refused(compose(keys.format(number)))


@pytest.mark.parametrize("number", ["0", "99999", "100000000000000000000", "²"])
@pytest.mark.parametrize(
    "keys",
    [
        "environment: {{URL: 'http://db:{}/'}}",
        "environment: {{DB_HOST: db, DB_PORT: '{}'}}",
        "expose: ['{}']",
        "healthcheck: {{test: [CMD, nc, localhost, '{}']}}",
        "healthcheck: {{test: 'curl http://localhost:{}/'}}",
        "gpus: [{{count: '{}'}}]",
    ],
)
def test_a_number_that_is_no_port_and_no_count_makes_no_defect(keys: str, number: str) -> None:
    assert "a" in compose(keys.format(number)).graph["services"]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("tmpfs: [/]", "services.a.tmpfs: / is no path that a graph can mount at"),
        ("tmpfs: ['run:size=1m']", "services.a.tmpfs: run:size=1m is no path that a graph can mount at"),
        ("volumes_from: [a]", "services.a.volumes_from: a mounts what this one does"),
        ("volumes_from: [c]", "services.a.volumes_from: c is no service of the file"),
        ("ports: ['90-92:80']", "services.a.ports: 90-92:80: any free port of 90-92 in Compose, and one here: name it"),
        (
            "ports: [{target: 443, published: 8443-8444}]",
            "services.a.ports: 8443-8444:443: any free port of 8443-8444 in Compose, and one here: name it",
        ),
        ("cpus: 0.0001", "services.a: 0.0001 is no number of CPUs"),
        ("healthcheck: {test: [CMD]}", "services.a.healthcheck.test: it names no program"),
        ("healthcheck: {test: [CMD, NONE]}", "services.a.healthcheck.test: it names no program"),
        ("healthcheck: {test: [CMD-SHELL]}", "services.a.healthcheck.test: it names no program"),
        ("healthcheck: {test: [CMD-SHELL, ' ']}", "services.a.healthcheck.test: it names no program"),
        ("stop_grace_period: soon", "services.a.stop_grace_period: soon is no duration"),
        (
            "deploy: {resources: {reservations: {generic_resources: [{}]}}}",
            "services.a.deploy.resources.reservations.generic_resources: a graph asks for CPUs, memory and GPUs",
        ),
    ],
)
def test_what_has_no_place_in_a_graph_is_told_and_the_rest_is_a_graph(keys: str, said: str) -> None:
    assert said in refused(compose(keys))


def test_a_key_that_stands_twice_is_no_matter_of_the_last_one_and_merge_keys_stay_what_they_are() -> None:
    with pytest.raises(UsageError, match=r"^compose.yaml:1:46: not YAML: the key A stands twice in one map"):
        compose("environment: {A: x, A: y}")
    text = "x-a: &a {A: x, B: x}\nx-b: &b {<<: *a, B: y}\nservices: {a: {image: a, environment: {<<: *b, A: z}}}"
    found = imported([(text, "compose.yaml")], "shop", Folder(Path("/nonexistent")))
    assert found.graph["services"]["a"]["environment"] == {"A": "z", "B": "y"}


def test_merged_maps_cost_what_they_hold_and_a_map_of_itself_is_no_map() -> None:
    lines = ["x-0: &m0 {name: x}", *(f"x-{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 10)}]}}" for n in range(1, 30))]
    text = "\n".join([*lines, "services: {a: {image: a, environment: {<<: *m29}}}"])
    found = imported([(text, "compose.yaml")], "shop", Folder(Path("/nonexistent")))
    assert found.graph["services"]["a"]["environment"] == {"name": "x"}
    keys = ", ".join(f"k{n}: x" for n in range(400))
    with pytest.raises(UsageError, match=r"^compose.yaml:1:[0-9]+: not YAML: its merge keys bring more than 100000"):
        compose(f"environment: &b {{{keys}}}, x: [{', '.join(['{<<: *b}'] * 260)}]")
    for merged in ("*a", "x", "[x]"):
        with pytest.raises(UsageError, match=r"^compose.yaml:1:[0-9]+: "):
            compose(f"environment: &a {{<<: {merged}}}")


def test_an_env_file_may_have_texts_in_several_lines_and_colons_and_what_is_no_variable_is_told(tmp_path: Path) -> None:
    text = f'\ufeffNAME: "one\r\ntwo\\n"  # c\nPEM=\'{KEY}\'\nno variable\nOPEN="x\nLAST=1'
    assert read_env(text, {}) == {"NAME": "one\ntwo\n", "PEM": KEY, "LAST": "1"}
    assert unread(text) == (7, 8)
    (tmp_path / "a.env").write_text(text)
    assert refused(compose("env_file: [a.env]", tmp_path)) == [
        "services.a.env_file: a.env sets no variable in line 7, 8: write NAME=TEXT, a text of several in quotes"
    ]


@pytest.mark.timeout(10)
def test_an_env_file_is_read_in_time_that_grows_with_it_and_a_quote_left_open_is_told_of() -> None:
    text = "A=a b # c\nB= #c\nC=x#y \nD= \"open\nE= 'a' b\nF: 'a'#c\nG = 1\nH\nI=" + " " * 100_000 + "x"
    assert read_env(text, {}) == {"A": "a b", "B": "", "C": "x#y", "F": "a", "G": "1", "H": None, "I": "x"}
    assert unread(text) == (4, 5)


def test_variables_that_stand_for_too_much_are_told_of(tmp_path: Path) -> None:
    nested = "${A:-" * 3000 + "}" * 3000
    with pytest.raises(UsageError, match="a variable is nested more than 32 levels deep"):
        compose(f"environment: {{A: '{nested}'}}")
    (tmp_path / "a.env").write_text("A0=x\n" + "".join(f"A{n + 1}=${{A{n}}}${{A{n}}}\n" for n in range(60)))
    with pytest.raises(UsageError, match="with its variables written out this is longer than 1 MiB"):
        compose("env_file: [a.env]", tmp_path)


def test_a_secret_in_several_lines_is_not_made_at_the_site(tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text(f"SIGNING_KEY='{KEY}'\nAPI_KEY=0123456789abcdefghij\n")
    assert compose("env_file: [a.env]", tmp_path).graph["secrets"] == {"signing-key": {}, "api-key": {}}


@pytest.mark.parametrize(
    "keys",
    [
        "volumes: ['./{}:/x']",
        "env_file: ['{}']",
        "environment: {{'{}': x}}",
        "user: '{}'",
        "configs: ['{}']",
        "image: {}",
    ],
)
def test_what_is_too_long_for_a_disk_or_a_graph_makes_no_defect(keys: str, tmp_path: Path) -> None:
    text = f"services: {{a: {{{keys.format('a' * 300)}}}}}"
    found = imported([(text, "compose.yaml")], "shop", Folder(tmp_path))
    check(parse(graph_text(found.graph, "compose.yaml", found.remarks), "bundle.yaml"))


def test_what_is_missing_of_a_service_is_told_above_it_whatever_its_name() -> None:
    text = "services: {a.b: {image: a, privileged: true}, a: {image: a, devices: [x]}, '': {image: a}}"
    found = imported([(text, "compose.yaml")], "shop", Folder(Path("/nonexistent")))
    assert {node: len(told) for node, told in found.remarks.items()} == {"a-b": 1, "a": 1}


def test_a_variable_that_is_a_password_somewhere_is_one_everywhere() -> None:
    found = compose("environment: {URL: 'postgres://u:${PW:?}@db:5432/app', POSTGRES_PASSWORD: '${PW:?}'}")
    assert found.graph["secrets"] == {"pw": {}}
    assert "values" not in found.graph
    assert (
        found.graph["services"]["a"]["environment"]["URL"]
        == "postgres://u:${secrets.pw.encoded}@${db.host}:${db.port}/app"
    )


def test_a_password_of_an_address_is_made_only_where_the_other_side_is_told_it_too() -> None:
    text = "services: {{a: {{image: a, {0}}}, b: {{image: a, {0}}}, mq: {{image: 'rabbitmq:3', command: 'serve {1}'}}}}"
    for keys in (
        "environment: {Q: 'amqp://me:hidden-pw@mq:5672//'}",
        "command: [work, 'amqp://me:hidden-pw@mq:5672//']",
    ):
        made = {}
        for other in ("", "--password=hidden-pw"):
            found = imported([(text.format(keys, other), "compose.yaml")], "shop", Folder(Path("/nonexistent")))
            (made[other],) = found.graph["secrets"].values()
            assert "hidden-pw" not in graph_text(found.graph, "compose.yaml", found.remarks)
        assert made == {"": {}, "--password=hidden-pw": {"generate": 24}}


def test_a_private_key_is_a_secret_and_is_not_packed_with_the_settings_beside_it(tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls/site.key").write_text(KEY)
    (tmp_path / "tls/site.crt").write_text("certificate")
    found = compose("volumes: [./tls/site.key:/tls/site.key:ro, ./tls/site.crt:/tls/site.crt:ro]", tmp_path)
    assert found.graph["services"]["a"]["secrets"] == ["a-site:/tls/site.key"]
    assert found.site["secrets"] == {"a-site": {"file": "tls/site.key"}}
    assert [copy.source for copy in found.copies] == ["tls/site.crt"]
    found = compose("volumes: [./tls/site.key:/run/secrets/site.key:ro]", tmp_path)
    assert found.graph["services"]["a"]["secrets"] == ["a-site:/run/secrets/site.key"]
    assert not refused(found)
    found = compose("volumes: [./tls:/tls:ro]", tmp_path)
    assert refused(found) == [
        "services.a.volumes: tls: it holds a private key, site.key, which no bundle should: mount that file by itself"
    ]
    assert not found.copies
    for held in ("file: ./tls/site.key", f"content: {KEY!r}".replace("'", '"')):
        text = f"services: {{a: {{image: a, configs: [c]}}}}\nconfigs: {{c: {{{held}}}}}"
        found = imported([(text, "compose.yaml")], "shop", Folder(tmp_path))
        assert refused(found) == [
            "configs.c: it is a private key, which no bundle should hold: declare it under secrets"
        ]
        assert "configs" not in found.graph


@pytest.mark.parametrize("password", [None, b"x"])
def test_a_private_key_is_one_in_every_form_that_it_has(tmp_path: Path, password: bytes | None) -> None:
    rsa, curve = generate_rsa(65537, 2048), generate_curve(SECP256R1())
    hidden = BestAvailableEncryption(password) if password else NoEncryption()
    forms = [PrivateFormat.PKCS8] if password else [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL]
    held = [key.private_bytes(how, form, hidden) for key in (rsa, curve) for form in forms for how in (DER, PEM)]
    held += [serialize_key_and_certificates(b"site", rsa, None, None, hidden), b"# caf\xe9\n" + KEY.encode()]
    for index, data in enumerate(held):
        (tmp_path / f"{index}.key").write_bytes(data)
        found = compose(f"volumes: ['./{index}.key:/site.key:ro']", tmp_path)
        assert found.site["secrets"] == {f"a-{index}": {"file": f"{index}.key"}}
        assert not found.copies
    (tmp_path / "public.der").write_bytes(rsa.public_key().public_bytes(DER, PublicFormat.SubjectPublicKeyInfo))
    assert [copy.source for copy in compose("volumes: ['./public.der:/k:ro']", tmp_path).copies] == ["public.der"]


def test_a_certificate_is_a_config_in_each_of_its_forms(tmp_path: Path) -> None:
    name = Name([NameAttribute(NameOID.COMMON_NAME, "site.example")])
    start, key = datetime(2026, 1, 1, tzinfo=UTC), generate_curve(SECP256R1())
    made = CertificateBuilder(name, name, key.public_key(), 1, start, start + timedelta(1)).sign(key, SHA256())
    for how in (DER, PEM):
        (tmp_path / "site.crt").write_bytes(made.public_bytes(how))
        assert [copy.source for copy in compose("volumes: ['./site.crt:/c:ro']", tmp_path).copies] == ["site.crt"]


@pytest.mark.timeout(10)
def test_all_texts_together_have_room_for_what_a_graph_holds(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LONG=" + "x" * 500_000)
    (tmp_path / "a.env").write_text("A=" + "x" * 500_000)
    wants = r"^{}: with it, the texts of the whole file are longer than 1 MiB, which is all that a graph holds$"
    for keys, where in (
        ("env_file: [a.env, a.env, a.env]", "services.a.env_file: a.env"),
        ("command: ['$LONG', '$LONG', '$LONG']", "services.a"),
        ("environment: {A: $LONG, B: $LONG, C: $LONG}", "services.a"),
    ):
        with pytest.raises(UsageError, match=wants.format(where)):
            compose(keys, tmp_path)


def test_a_text_that_is_too_long_for_a_graph_is_told_of(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"LONG={'x' * 5000}\nSHORT={'x' * 4096}\n")
    found = compose("environment: {A: $LONG, B: $SHORT}", tmp_path)
    assert found.graph["services"]["a"]["environment"] == {"A": "x" * 5000, "B": "${values.short}"}
    (tmp_path / "a.env").write_text("D=" + "1" * 120_000 + "x\nTOO_LONG=" + "x" * 200_000)
    found = compose(f"env_file: [a.env], command: [{'x' * 70_000}], healthcheck: {{test: {'x' * 70_000}}}", tmp_path)
    assert list(found.graph["services"]["a"]["environment"]) == ["D"]
    assert refused(found) == [
        "services.a.environment.TOO_LONG: it has 200000 characters, and a variable of a graph 131072",
        "services.a.command: an argument of it has 70000 characters, and one of a graph 65536",
        "services.a.healthcheck.test: an argument of a graph has 65536 characters, and this one more",
    ]


def test_values_have_names_of_their_own_however_long_a_variable_is_and_whatever_its_defaults() -> None:
    long = "A_VERY_" + "LONG_" * 12
    told = {"A": f"{long}ONE:-1", "B": f"{long}TWO:-2", "C": "D_E:-1", "D": "D_E:-2", "E": "__:-3"}
    keys = ", ".join(f"{name}: '${{{one}}}'" for name, one in told.items())
    found = compose(f"environment: {{{keys}}}")
    assert [each["default"] for each in found.graph["values"].values()] == ["1", "2", "1", "2", "3"]


def test_what_compose_builds_is_taken_by_the_name_that_compose_gives_it() -> None:
    text = "name: nc_odd\nservices: {api_1: {build: {context: ., dockerfile_inline: FROM a}}}"
    found = imported([(text, "compose.yaml")], "Dir.x", Folder(Path("/nonexistent")))
    assert (found.graph["bundle"], found.graph["services"]["api-1"]["image"]) == ("nc-odd", "nc_odd-api_1")
    found = imported([(text.partition("\n")[2], "compose.yaml")], "nc_Dir.x", Folder(Path("/nonexistent")))
    assert found.graph["services"]["api-1"]["image"] == "nc_dirx-api_1"


def test_no_line_of_the_report_holds_a_password(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SMB_PASSWORD=hunter2x\nPIN_PASSWORD=ab12\n")
    mounted = "username=u,addr=${NAS:-nas},password="
    found = imported(
        [
            (
                "services: {a: {image: '${NAS:-a}', volumes: [n:/n, l:/l],"
                " environment: {X: '${Y:-pin ${PIN_PASSWORD}}'}}}\n"
                f"volumes: {{n: {{driver_opts: {{o: '{mounted}${{SMB_PASSWORD}}', device: '//n/${{SMB_PASSWORD}}'}}}},"
                f" l: {{driver_opts: {{o: '{mounted}literal', device: 'smb://u:literal@${{NAS}}/x'}}}}}}",
                "compose.yaml",
            )
        ],
        "shop",
        Folder(tmp_path),
    )
    text = graph_text(found.graph, "compose.yaml", found.remarks)
    told = "\n".join([text, *(f"{each.where}: {each.message}" for each in found.report)])
    assert [secret for secret in ("hunter2x", "ab12", "literal") if secret in told] == []
    assert "volumes.n: NAS and SMB_PASSWORD are decided now: username=u,addr=nas,password=…, " in told
    assert "pin ${secrets.pin-password}" in text


@pytest.mark.parametrize(
    "keys", ["depends_on: ['db=c']", "depends_on: ['db:c']", "networks: ['n:b']", "networks: [n=b]"]
)
def test_a_name_in_a_list_with_something_behind_it_makes_no_defect(keys: str) -> None:
    compose(keys)


def test_many_secrets_in_one_text_take_no_minutes() -> None:
    count = 4000
    found = compose("command: '" + "".join(f"${{P{index}_PASSWORD}}" for index in range(count)) + "'")
    assert len(found.graph["secrets"]) == count


def test_a_service_of_another_profile_takes_no_room_and_its_files_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text("X=1")
    long = f"command: [&long {'x' * (1 << 19)}, *long, *long]"
    text = f"services: {{a: {{image: a}}, b: {{image: b, profiles: [x], env_file: a.env, {long}}}}}"
    found = imported([(text, "compose.yaml")], "shop", Folder(tmp_path))
    assert [each.message for each in found.report if each.where.startswith("services.b")] == [
        "only with the profile x, as in Compose: --profile x"
    ]
