"""bundle import compose: nothing is decided, changed or left out without a line in the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundler.graphfile.check import check
from bundler.graphfile.source import parse
from bundler.importing import keys, report
from bundler.importing.compose import Imported, imported
from bundler.importing.folder import Folder
from bundler.importing.report import Verdict
from bundler.importing.writing import graph_text


def compose(text: str, folder: Path = Path("/nonexistent")) -> Imported:
    """Imported, and held against the checker."""
    found = imported([(text, "compose.yaml")], "shop", Folder(folder))
    check(parse(graph_text(found.graph, "compose.yaml", found.remarks), "bundle.yaml"))
    return found


def lines(found: Imported) -> list[str]:
    return [f"{each.verdict} {each.where}: {each.message}" for each in found.report]


@pytest.mark.parametrize(
    ("named", "host"),
    [
        ("container_name: pg", "pg"),
        ("hostname: pg", "pg"),
        ("networks: {back: {aliases: [pg]}}", "pg"),
        ("networks: {back: {ipv4_address: 10.0.0.9}}", "10.0.0.9"),
        ("links: ['The_C:c']", "c"),
    ],
)
def test_an_address_by_another_name_of_a_service_is_told_with_that_name(named: str, host: str) -> None:
    texts = f"environment: {{U: 'redis://{host}:6379/', C_HOST: {host}}}, command: 'wait {host}:6379'"
    found = compose(f"services: {{a: {{image: a, {texts}}}, The_C: {{image: redis, {named}}}}}")
    said = lines(found)
    for where in ("environment.U", "environment.C_HOST", "command"):
        assert f"taken services.a.{where}: {host} is the-c here: connect {{the-c: the-c.redis}}" in said
    where = f"left out services.The_C.{named.partition(':')[0]}"
    assert any(line.startswith(where) and f" {host}: its name is its node's, the-c" in line for line in said)


def test_another_name_within_a_word_is_not_the_one_that_was_written() -> None:
    found = compose(
        "services: {a: {image: a, environment: {U: 'redis://the-c:6379/'}}, the-c: {image: redis, hostname: c}}"
    )
    assert "taken services.a.environment.U: an address of the-c: connect {the-c: the-c.redis}" in lines(found)


def test_a_folder_that_one_service_writes_is_data_for_all(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/rows").write_bytes(b"x")
    for first, second in ((":ro", ""), ("", ":ro")):
        volumes = [f"volumes: ['./data:/data{mode}']" for mode in (first, second)]
        found = compose(f"services: {{a: {{image: a, {volumes[0]}}}, b: {{image: b, {volumes[1]}}}}}", tmp_path)
        made = {name: service["volumes"] for name, service in found.graph["services"].items()}
        assert made == {"a": [f"a-data:/data{first}"], "b": [f"a-data:/data{second}"]}


def test_both_ways_to_say_a_tmpfs_count() -> None:
    found = compose("services: {a: {image: a, tmpfs: /run, volumes: [{type: tmpfs, target: /t, tmpfs: {size: 2m}}]}}")
    assert found.graph["services"]["a"]["tmpfs"] == ["/run", {"path": "/t", "size": "2MiB"}]


@pytest.mark.parametrize(
    ("keys", "kept"),
    [
        ("tmpfs: [/d, '/d:size=1m']", "tmpfs"),
        ("tmpfs: /d, volumes: ['v:/d']", "volumes"),
        ("volumes: ['v:/d', './far:/d']", "volumes"),
        ("volumes: ['v:/d'], configs: [{source: c, target: /d}]", "configs"),
        ("tmpfs: /d, secrets: [{source: s, target: /d}]", "secrets"),
        ("secrets: [s, {source: t, target: s}]", "secrets"),
    ],
)
def test_of_two_mounts_at_a_path_the_later_counts_and_that_is_told(keys: str, kept: str) -> None:
    found = compose(
        f"services: {{a: {{image: a, {keys}}}}}\nvolumes: {{v: }}\nconfigs: {{c: {{content: x}}}}\n"
        "secrets: {s: {environment: S}, t: {environment: T}}"
    )
    assert [line for line in lines(found) if "mounted twice, and what comes later counts" in line]
    assert {"tmpfs", "volumes", "configs", "secrets"} & set(found.graph["services"]["a"]) == {kept}


def test_a_name_that_two_services_have_leads_to_one_node_and_that_is_told() -> None:
    both = "networks: {back: {aliases: [pool]}}"
    found = compose(f"services: {{a: {{image: a, {both}}}, b: {{image: b, {both}}}}}")
    assert "changed services.b.networks.back.aliases: pool is a here: a name leads to one node" in lines(found)


def test_every_name_that_is_another_one_here_is_told() -> None:
    found = compose(
        "name: My_Shop\n"
        "services: {A_b: {image: a, volumes: ['db.data:/d', 'a-b:/e'], configs: [C_d], secrets: [E_f]}}\n"
        "volumes: {db.data: , a-b: }\nconfigs: {C_d: {content: x}}\nsecrets: {E_f: {environment: E}}"
    )
    made = {
        "services.A_b": "a-b",
        "volumes.db.data": "db-data",
        "volumes.a-b": "a-b-data",
        "configs.C_d": "c-d",
        "secrets.E_f": "e-f",
    }
    changed = [f"{each.where}: {each.message}" for each in found.report.of(Verdict.CHANGED)]
    for where, name in made.items():
        assert any(line.startswith(f"{where}: is {name} here: ") for line in changed), where
    assert "name: the bundle is my-shop, version 1.0.0: My_Shop is no DNS label" in changed
    assert "taken name: the bundle is shop, version 1.0.0" in lines(compose("services: {a: {image: a}}"))


def test_a_packed_file_that_names_a_service_by_another_name_is_not_the_whole_system(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/web.conf").write_text("upstream x { server the_api:8000; }\nserver cache:6379;\n")
    services = "the_api: {image: a}, cache: {image: redis}"
    told = "names the_api, which is the-api here: write the-api there"
    for mount, where in (("./conf/web.conf:/w.conf", "conf/web.conf"), ("./conf:/conf", "conf/web.conf")):
        found = compose(f"services: {{web: {{image: w, volumes: ['{mount}']}}, {services}}}", tmp_path)
        assert [line for line in lines(found) if told in line] == [f"refused services.web.volumes: ./{where} {told}"]
    for held, where in (("file: conf/web.conf", "conf/web.conf"), ("content: 'http://the_api:1/'", "its text")):
        found = compose(
            f"services: {{web: {{image: w, configs: [c]}}, {services}}}\nconfigs: {{c: {{{held}}}}}", tmp_path
        )
        assert [line for line in lines(found) if told in line] == [f"refused configs.c: {where} {told}"]


@pytest.mark.parametrize("host", ["host.docker.internal", "legacy"])
def test_a_packed_file_that_names_a_host_outside_is_not_the_whole_system(host: str, tmp_path: Path) -> None:
    (tmp_path / "web.conf").write_text(f"push {host}:9091;\n")
    named = f"environment: {{U: 'http://{host}:9091/'}}, extra_hosts: ['legacy:10.0.0.9']"
    found = compose(f"services: {{web: {{image: w, {named}, volumes: ['./web.conf:/w.conf']}}}}", tmp_path)
    told = f"web.conf names {host}, which lies outside: no packed file is told where"
    assert f"refused services.web.volumes: ./{told}" in lines(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("${A:-${B:-c}}", 'A is the value a, "c" unless the site says otherwise (A and B are not set)'),
        ("${A:-${SET:-c}}", 'A is the value a, "of env" unless the site says otherwise (A is not set, SET is set in'),
        ("${SET:-${B:-c}}", 'SET is the value set, "of env" unless the site says otherwise (SET is set in .env)'),
        ("${A:-${B:-${C-x}-${SET}}}", 'A is the value a, "x-of env" unless the site says otherwise (A, B and C are'),
        ("${A:-c}", 'A is the value a, "c" unless the site says otherwise'),
        ("${SET:+${B:-c}}", "${SET:+…} is decided now: ${values.b} (B is not set, SET is set in .env)"),
        ("${A:-${B:-http://db:5432}}", "A is no value for a site to give: the address in it is the graph's own (A and"),
    ],
)  # fmt: skip
def test_a_variable_within_a_default_is_named_with_what_it_gave(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SET=of env\n")
    found = compose(f"services: {{a: {{image: a, environment: {{T: '{text}'}}}}, db: {{image: postgres}}}}", tmp_path)
    assert any(line.partition("environment.T: ")[2].startswith(said) for line in lines(found)), lines(found)


def test_variables_that_no_site_is_asked_for_are_named_wherever_they_stand(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TAG=2\nPLACE=here\n")
    (tmp_path / "here.env").write_text("X=${PLACE}\nY=${X}\nZ='${TAG}'\n")
    found = compose(
        "name: ${PLACE}\n"
        "services: {a: {image: 'a:${T:-${TAG}}', volumes: ['v:/$PLACE', 'w$TAG:/w'],\n"
        "    env_file: '${PLACE}.env', labels: {l: '${PLACE}'}, secrets: [s]}}\n"
        "secrets: {s: {file: './${PLACE}.txt'}}",
        tmp_path,
    )
    decided = [line for line in lines(found) if "decided now" in line]
    assert decided == [
        "changed services.a.env_file: here.env: PLACE is decided now",
        "changed secrets.s: PLACE is decided now: ./here.txt (PLACE is set in .env)",
        "changed services.a.image: T is decided now: a:2 (T is not set, TAG is set in .env)",
        "changed services.a.volumes: PLACE and TAG are decided now: v:/here, w2:/w (PLACE and TAG are set in .env)",
        "changed services.a.env_file: PLACE is decided now: here.env (PLACE is set in .env)",
    ]


def test_a_password_within_a_default_is_in_nothing_that_is_written(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ON=1\nAPI_PASSWORD=hidden-word\n")
    texts = "A: '${ON:+--pw=${API_PASSWORD}}', B: '${NONE:-${API_PASSWORD}}', C: '${C_PASSWORD:-${API_PASSWORD}}'"
    found = compose(f"services: {{a: {{image: a, environment: {{{texts}}}}}}}", tmp_path)
    assert found.graph["services"]["a"]["environment"] == {
        "A": "--pw=${secrets.api-password}",
        "B": "${secrets.api-password}",
        "C": "${secrets.api-password}",
    }
    told = [line for line in lines(found) if "the secret" in line]
    assert told == [
        "taken services.a.environment.A: the secret api-password, and in 2 more places; "
        "the site gives it: nothing in the graph is known to be opened by it, so it may be somebody else's "
        "(API_PASSWORD is set in .env)"
    ]
    assert "hidden-word" not in graph_text(found.graph, "f", found.remarks) + "".join(lines(found))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ports: [{target: 80, mode: host, app_protocol: http}]", "left out services.a.ports.app_protocol: "),
        ("ports: [{target: 80, odd: x}]", "refused services.a.ports.odd: no key"),
        ("networks: {n: {mac_address: x}}", "left out services.a.networks.n.mac_address: "),
        ("healthcheck: {test: x, odd: x}", "refused services.a.healthcheck.odd: no key"),
        ("healthcheck: {interval: 5s}", "left out services.a.healthcheck: there is no test, and that of the image"),
        ("depends_on: {db: {condition: ready}}", "refused services.a.depends_on.db.condition: ready is no condition"),
        ("volumes: ['v:/v:z,ro']", "left out services.a.volumes: z: a mount of a graph has no such option"),
        ("volumes: [{type: volume, source: v, target: /v, volume: {nocopy: true}}]", "left out services.a.volumes.vol"),
        ("volumes: [{type: bind, source: ./v, target: /v, bind: {propagation: x}}]", "left out services.a.volumes.bin"),
        ("volumes: [{type: image, source: i, target: /v}]", "refused services.a.volumes: image i at /v is no mount"),
        ("volumes: [{type: tmpfs, target: /v, tmpfs: {size: x}}]", "refused services.a.volumes: tmpfs at /v is no"),
        ("tmpfs: ['/t:size=x']", "refused services.a.tmpfs: x is no size"),
        ("expose: ['53/udp']", "refused services.a.expose: 53/udp is neither a TCP port nor a range"),
        ("entrypoint: [], command: [x]", "changed services.a.entrypoint: empty, so the command is the whole of it"),
        ("command: []", "left out services.a.command: empty: what the image says is run"),
        ("restart: sometimes", "refused services.a.restart: sometimes is no policy of Compose"),
        ("read_only: maybe", "refused services.a.read_only: maybe is neither true nor false"),
        ("cap_drop: [ALL]", "changed services.a.cap_drop: ALL: a graph takes nothing away"),
        ("security_opt: ['no-new-privileges:true']", "changed services.a.security_opt: no-new-privileges:true"),
        ("security_opt: ['seccomp:x']", "left out services.a.security_opt: what a program may do"),
        ("user: '1000', cap_drop: [ALL]", "left out services.a.cap_drop: what a program may do"),
        ("mem_limit: 0", "left out services.a.mem_limit: 0 is no limit"),
        ("gpus: [{driver: amd}]", "refused services.a.gpus: devices that are no GPUs of nvidia"),
        ("network_mode: none", "changed services.a.network_mode: none: every node has a network"),
        ("privileged: false", "left out services.a.privileged: it asks for nothing"),
        ("deploy: {resources: {limits: {pids: 9}}}", "left out services.a.deploy.resources.limits.pids: "),
        ("env_file: [{path: e, required: false, odd: x}]", "refused services.a.env_file.odd: no key"),
        ("image: acme/redis", "changed services: where no restart is said, a service that ends"),
        ("expose: [9, '10-11']", "taken services.a.expose: its endpoints: port-9 on 9, port-10 on 10, port-11 on 11"),
        ("x-y: 1", "taken services.db.environment: who connects to its postgres is told user, password and database"),
        ("healthcheck: {test: x}", "changed services: a health check that does not say them has the graph's interval,"),
        (
            "environment: {L: 'ldap://far.example:389'}, extra_hosts: ['far.example:10.0.0.9']",
            "changed services.a.extra_hosts: far.example lies outside, at 10.0.0.9 in the file: the site says where",
        ),
        ("ports: ['80:80']", "changed services: front doors open on this machine alone, where Compose opens them to"),
    ],
)  # fmt: skip
def test_what_is_decided_has_a_line(text: str, told: str) -> None:
    more = "" if text.startswith("image") else "image: a, "
    found = compose(
        f"services: {{a: {{{more}{text}}},\n"
        "  db: {image: postgres, environment: {POSTGRES_PASSWORD: x, D: 'postgres://db:5432'}},\n"
        "  c: {image: c, restart: always, environment: {DB_HOST: db}}}"
    )
    assert [line for line in lines(found) if line.startswith(told)], "\n".join(lines(found))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("volumes: {v: }", "left out volumes.v: nothing in the graph mounts it"),
        ("volumes: {v: {external: {name: w}}}", "changed volumes.v.external: the volume is a new one here"),
        ("volumes: {v: {driver_opts: {o: x}}}", "left out volumes.v.driver_opts: where and how"),
        ("volumes: {v: {odd: x}}", "refused volumes.v.odd: no key"),
        ("configs: {c: {content: x}}", "left out configs.c: nothing in the graph mounts it"),
        ("configs: {c: {name: d, content: x}}", "left out configs.c.name: "),
        ("secrets: {s: {file: x, labels: {a: b}}}", "left out secrets.s.labels: "),
        ("networks: {n: {external: true}}", "left out networks.n.external: what other projects have in it"),
        ("networks: {n: {internal: true}}", "left out networks.n.internal: "),
        ("networks: {n: {driver: x}}", "left out networks: there are no networks in a graph"),
    ],
)
def test_what_the_file_declares_has_a_line_too(text: str, told: str) -> None:
    found = compose(f"services: {{a: {{image: a}}}}\n{text}")
    assert [line for line in lines(found) if line.startswith(told)], "\n".join(lines(found))


def test_of_many_names_the_first_eight_are_told() -> None:
    many = ", ".join(f"s{index}: {{image: a}}" for index in range(12))
    (told,) = (line for line in lines(compose(f"services: {{{many}}}")) if "restart" in line)
    assert told.endswith("unless it is made a job: s0, s1, s2, s3, s4, s5, s6, s7 and 4 more")


def test_a_service_whose_end_is_waited_for_is_told_to_be_a_job() -> None:
    found = compose(
        "services: {m: {image: m, expose: [80]},\n"
        "  a: {image: a, depends_on: {m: {condition: service_completed_successfully}}}}"
    )
    said = lines(found)
    assert any(line.startswith("changed services.m: others wait for its end, so it is a job") for line in said)
    assert "refused services.m.expose: a job listens on no port" in said


def test_what_env_says_to_compose_itself_holds_and_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "COMPOSE_PROJECT_NAME=mine\nCOMPOSE_PROFILES=dev, more\nCOMPOSE_FILE=a.yaml:b.yaml\n"
    )
    text = "services: {a: {image: a, profiles: [dev]}, b: {image: b, profiles: [other]}}"
    found = compose(text, tmp_path)
    assert (found.graph["bundle"], list(found.graph["services"])) == ("mine", ["a"])
    assert "taken .env: COMPOSE_PROFILES: services of dev and more too" in lines(found)
    assert "left out .env: COMPOSE_FILE is not read: files that are not given are left out (a.yaml:b.yaml)" in lines(
        found
    )
    for profile, services in (("other", ["b"]), ("*", ["a", "b"])):
        asked = imported([(text, "compose.yaml")], "shop", Folder(tmp_path), [profile])
        assert list(asked.graph["services"]) == services


def test_a_part_s_key_has_one_decision_and_every_part_is_there() -> None:
    for part in keys.PARTS.values():
        assert not part.taken & {*part.left_out, *part.refused}
        assert not set(part.left_out) & set(part.refused)
        assert {*part.inner.values(), *part.named.values()} <= set(keys.PARTS)
        assert {*part.inner, *part.named} <= part.taken


def test_of_another_name_that_no_text_has_it_is_told_that_nobody_finds_it() -> None:
    found = compose("services: {a: {image: a, networks: {n: {aliases: [far]}}}}")
    told = "no text names far, and a program that has it built in does not find it here"
    assert any(told in line for line in lines(found))


def test_what_the_file_itself_says_of_a_variable_that_is_missing_is_told() -> None:
    text = "services: {a: {image: '${IMG:?name an image}', ports: ['18200-18202:8080']}}"
    said = lines(imported([(text, "compose.yaml")], "shop", Folder(Path("/nonexistent")), declared=lambda image: None))
    assert "changed services.a.image: IMG is decided now: nothing; the file asks for IMG: name an image" in said
    told = "18200-18202:8080: any free port of 18200-18202 in Compose, and one here: name it"
    assert f"refused services.a.ports: {told}" in said
    assert not any("docker pull" in each for each in said)


def test_the_report_tells_what_is_alike_in_one_line_below_the_part_that_it_is_of() -> None:
    found = compose(
        "services:\n"
        "  a: {image: a, labels: [x], tty: true, environment: {A: '${A:-1}', B: '${B:-1}', C: '${C:-2}'}}\n"
        "  b: {image: b, labels: [x], restart: always}\n"
        "volumes: {v: {driver: local}, w: {driver: local}}"
    )
    assert report.lines(found.report) == [
        "changed:",
        "  services: where no restart is said, a service that ends is started again, unless it is made a job: a",
        "left out:",
        "  volumes:",
        "    v.driver, w.driver: where and how a volume is kept is the site's: storage",
        "    v, w: nothing in the graph mounts it",
        "  services.a:",
        "    labels: labels are the target's",
        "    tty: nobody sits at a terminal",
        "  services.b.labels: labels are the target's",
        "taken:",
        "  services.a.environment:",
        '    A, B: the value of that name, "1" unless the site says otherwise',
        '    C: the value of that name, "2" unless the site says otherwise',
        "  name: the bundle is shop, version 1.0.0",
    ]
