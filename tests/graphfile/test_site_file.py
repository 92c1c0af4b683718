"""Site files: merged, held against their graph, and what `--set` puts on top."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bundler.graphfile.check import check
from bundler.graphfile.site import SiteError, missing, parse_site, read_document, read_site, site_document, with_values
from bundler.graphfile.source import parse
from bundler.model.graph import Graph
from bundler.model.site import SecretSource, Site, SiteDoor

SUITE = check(parse(Path(__file__).with_name("nlp_suite.yaml").read_text(encoding="utf-8"), "bundle.yaml"))
HOSPITAL = """
site: hospital
target: k3s
namespace: nlp
values: {language: de}
externals:
  corpus: {endpoint: "https://s3.hospital.example", bucket: notes}
secrets:
  corpus.access_key: {kubernetes: s3-creds/access}
  corpus.secret_key: {kubernetes: s3-creds/secret}
  vector-key: {file: ./vector.key}
  admin-password: {env: ADMIN}
publish:
  ui: {host: nlp.hospital.example, tls: nlp-cert}
storage: {runs: {class: nfs, shared: true}}
placement: {"services.embedder": {gpu_class: nvidia}}
timeout: 10m
"""


def site(*texts: str, graph: Graph = SUITE) -> Site:
    return parse_site([read_site(text, f"sites/{index}.yaml") for index, text in enumerate(texts)], graph)


def said(*texts: str, graph: Graph = SUITE) -> list[str]:
    with pytest.raises(SiteError) as caught:
        site(*texts, graph=graph)
    return [str(problem) for problem in caught.value.problems]


def test_no_site_file_says_nothing() -> None:
    assert parse_site([], SUITE) == site("") == Site()


def test_everything_a_site_can_say_is_read() -> None:
    assert site(HOSPITAL) == Site(
        name="hospital",
        target="k3s",
        namespace="nlp",
        values={"language": "de"},
        secrets={
            "admin-password": SecretSource(env="ADMIN"),
            "corpus.access_key": SecretSource(kubernetes="s3-creds/access"),
            "corpus.secret_key": SecretSource(kubernetes="s3-creds/secret"),
            "vector-key": SecretSource(file="sites/./vector.key"),
        },
        doors={"ui": SiteDoor(host="nlp.hospital.example", tls="nlp-cert")},
        externals={"corpus": {"bucket": "notes", "endpoint": "https://s3.hospital.example"}},
        storage={"runs": {"class": "nfs", "shared": True}},
        placement={"services.embedder": {"gpu_class": "nvidia"}},
        timeout_s=600.0,
    )


def test_a_secrets_file_is_beside_the_site_file_that_names_it() -> None:
    assert site("secrets: {vector-key: {file: a}}", "target: docker").secrets["vector-key"].file == "sites/a"
    assert site("secrets: {vector-key: {file: /run/a}}").secrets["vector-key"].file == "/run/a"


def test_later_site_files_are_merged_over_earlier_ones() -> None:
    merged = site(HOSPITAL, "values: {language: null, train_workers: 2}\npublish: {tensorboard: {port: 9000}}")
    assert merged.values == {"train_workers": 2}
    assert merged.doors == {"tensorboard": SiteDoor(port=9000), "ui": SiteDoor("nlp.hospital.example", tls="nlp-cert")}


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("valuse: {}", ['sites/0.yaml:1:1: "valuse" is no key of a site file\n    did you mean "values"?']),
        (
            "values: {langage: en}",
            ['sites/0.yaml:1:10: the graph has no value "langage"\n    did you mean "language"?'],
        ),
        ("values: {language: fr}", ['sites/0.yaml:1:20: values.language is "fr", expected one of "en", "de", "ja"']),
        ("values: {train_workers: '4'}", ['sites/0.yaml:1:25: values.train_workers is "4", expected an integer']),
        ("values: {train_workers: 33}", ["sites/0.yaml:1:25: values.train_workers is 33, expected at most 32"]),
        (
            "values: {train_workers: 3.0}",
            ["sites/0.yaml:1:25: values.train_workers is 3.0, expected an integer, written 3"],
        ),
        ("publish: {uii: {}}", ['sites/0.yaml:1:11: the graph has no front door "uii"\n    did you mean "ui"?']),
        (
            "publish: {ui: }",
            [
                "sites/0.yaml:1:15: publish.ui is empty, expected a map with the keys of a front door at a site\n"
                "    write {} to open it with its defaults"
            ],
        ),
        (
            "publish: {ui: {bind: localhost}}",
            [
                'sites/0.yaml:1:22: ui.bind is "localhost", expected an IP address such as 0.0.0.0\n'
                "    write 127.0.0.1",
            ],
        ),
        (
            'publish: {ui: {bind: "0.0.0.0:80"}}',
            [
                'sites/0.yaml:1:22: bind is "0.0.0.0:80", which is no IP address\n'
                "    write 0.0.0.0 for every address of the machine",
            ],
        ),
        ("publish: {ui: {bind: 300.1.1.1}}", ['sites/0.yaml:1:22: bind is "300.1.1.1", which is no IP address']),
        (
            "publish: {ui: {host: 'https://x:1'}}",
            [
                'sites/0.yaml:1:22: ui.host is "https://x:1", expected a host name such as app.example.org\n'
                "    the name alone, without scheme and port"
            ],
        ),
        (
            "secrets: {admin-pasword: {env: X}}",
            ['sites/0.yaml:1:11: the graph has no secret "admin-pasword"\n    did you mean "admin-password"?'],
        ),
        (
            "secrets: {admin-password: hunter2}",
            [
                "sites/0.yaml:1:27: secrets.admin-password is a text, expected a map with the keys of a secret's "
                "source\n    no secret stands in a site file: write {file: …}, {env: …} or {kubernetes: name/key}"
            ],
        ),
        (
            "secrets: {admin-password: {env: X, file: y}}",
            ["sites/0.yaml:1:36: secrets.admin-password has env and file; only one of them can hold"],
        ),
        (
            "externals: {corpus: {secret_key: x}}",
            [
                "sites/0.yaml:1:22: corpus.secret_key is a secret, which does not stand in a site file\n"
                "    write secrets: {corpus.secret_key: {file: …}}"
            ],
        ),
        (
            "externals: {corpus: {buckte: x}}",
            ['sites/0.yaml:1:22: an external of type s3 has no field "buckte"\n    did you mean "bucket"?'],
        ),
        (
            "externals: {corpus: {endpoint: 'https://me:pw@s3'}}",
            [
                "sites/0.yaml:1:32: corpus.endpoint holds a password, which does not stand in a site file\n"
                "    write host, port and user, and secrets: {corpus.password: {file: …}}"
            ],
        ),
        (
            "externals: {corpus: {port: 99999, url: s3}}",
            [
                'sites/0.yaml:1:28: corpus.port is "99999", expected a port number from 1 to 65535',
                'sites/0.yaml:1:40: corpus.url is "s3", expected an address such as https://host.example:8443',
            ],
        ),
        (
            "externals: {corpus: {url: 'postgres://db.example:5432/notes'}}",
            [
                'sites/0.yaml:1:27: corpus.url is "postgres://db.example:5432/notes", and corpus is of type s3\n'
                "    its address begins with http:// or https:// or s3://"
            ],
        ),
        ("storage: {run: {class: x}}", ['sites/0.yaml:1:11: the graph has no volume "run"\n    did you mean "runs"?']),
        (
            "placement: {services.embeder: {gpu_class: x}}",
            [
                'sites/0.yaml:1:13: the graph has no node "services.embeder"\n    did you mean "services.embedder"?',
            ],
        ),
        (
            "placement: {embedder: {gpu_class: x}}",
            ['sites/0.yaml:1:13: "embedder" is not services.NAME or jobs.NAME\n'
             "    write services.embedder, or jobs.embedder"],
        ),
        ("namespace: Foo_Bar", [
            'sites/0.yaml:1:12: namespace is "Foo_Bar", expected a name of lower-case letters, digits and dashes that '
            "begins with a letter, at most 63 characters long\n    write foo-bar"
        ]),
        ("contxt: x", ['sites/0.yaml:1:1: "contxt" is no key of a site file\n    did you mean "context"?']),
        (
            "storage: {runs: nfs}",
            ['sites/0.yaml:1:17: storage.runs is "nfs", expected a map with the keys of storage\n'
             "    write {class: nfs}"],
        ),
        (
            "storage: {runs: {class: Fast}}",
            ['sites/0.yaml:1:25: runs.class is "Fast", expected the name of a storage class'],
        ),
        (
            "secrets: {admin-password: {kubernetes: creds}}",
            ['sites/0.yaml:1:40: admin-password.kubernetes is "creds", expected name/key of a Kubernetes Secret\n'
             "    such as {kubernetes: database/password}"],
        ),
        (
            "registry: registry.example/site",
            ['sites/0.yaml:1:1: "registry" is no key of a site file\n'
             "    how images get to a cluster is said with the command: --registry HOST/PATH"],
        ),
        ("timeout: 600", [
            "sites/0.yaml:1:10: timeout is 600, expected a duration above zero, such as 30s, 2m, 1h30m or 500ms\n"
            "    say the unit: 600s"
        ]),
        ("- a", ["sites/0.yaml:1:1: a site file is a map of keys\n    such as target: docker"]),
        ("a: *b", None),
    ],
)  # fmt: skip
def test_every_problem_of_a_site_is_located_and_helped(text: str, problems: list[str] | None) -> None:
    assert said(text) == problems or problems is None


def test_problems_are_located_in_the_file_they_come_from() -> None:
    assert said(HOSPITAL, "values:\n  language: fr") == [
        'sites/1.yaml:2:13: values.language is "fr", expected one of "en", "de", "ja"'
    ]


def test_assignments_are_typed_by_the_graph_and_the_site_grammar() -> None:
    graph = check(
        parse(
            'bundle: b\nversion: "1"\nvalues: {tag: {}, on: {type: boolean}, part: {type: number}}\n'
            "services: {a: {image: a, expose: {http: 80}}}\npublish: {ui: a.http}\n"
            "externals: {db: {as: postgres}}\nsecrets: {pw: {}}\n",
            "f",
        )
    )
    given = with_values(
        Site(),
        graph,
        [
            "values.tag=1.10",
            "values.on=true",
            "values.part=2",
            "publish.ui.port=9000",
            "externals.db.database=007",
            "secrets.db.password.file=a/b",
            "secrets.pw.env=PW",
            "placement.services.a.gpu_class=x",
            "timeout=5m",
        ],
    )
    assert given.values == {"on": True, "part": 2, "tag": "1.10"}
    assert with_values(given, graph, ["values.tag=", "values.part=2.0"]).values == {"on": True, "part": 2.0, "tag": ""}
    assert with_values(given, graph, ["values.part=null"]).values == {"on": True, "tag": "1.10"}
    assert given.doors == {"ui": SiteDoor(port=9000)}
    assert given.externals == {"db": {"database": "007"}}
    assert given.secrets == {"db.password": SecretSource(file="a/b"), "pw": SecretSource(env="PW")}
    assert given.placement == {"services.a": {"gpu_class": "x"}}
    assert given.timeout_s == 300.0


def test_assignments_leave_the_places_of_secrets_as_they_were() -> None:
    graph = check(parse('bundle: b\nversion: "1"\nsecrets: {other: {}, pw: {}}\n', "f"))
    given = site("secrets:\n  pw: {file: a}\n  other: {env: A}\n", graph=graph)
    told = with_values(given, graph, ["secrets.other.env=B"])
    assert [str(one.where) for one in given.secrets.values()] == ["sites/0.yaml:3:16", "sites/0.yaml:2:14"]
    assert [str(one.where) for one in told.secrets.values()] == ["--set secrets.other.env=B", "sites/0.yaml:2:14"]


def test_a_value_that_is_written_with_a_point_is_a_number_without_being_called_one() -> None:
    graph = check(parse('bundle: b\nversion: "1"\nvalues: {share: {default: 1.0}, count: {default: 1}}\n', "f"))
    assert with_values(Site(), graph, ["values.share=0.5"]).values == {"share": 0.5}
    with pytest.raises(SiteError):
        with_values(Site(), graph, ["values.count=0.5"])


def test_assignments_go_on_top_of_the_site() -> None:
    given = with_values(site(HOSPITAL), SUITE, ["values.language=ja", "publish.ui.host=null", "values.train_workers=1"])
    assert given.values == {"language": "ja", "train_workers": 1}
    assert given.doors == {"ui": SiteDoor(tls="nlp-cert")}
    assert given.secrets == site(HOSPITAL).secrets


@pytest.mark.parametrize(
    ("assignment", "problem"),
    [
        (
            "language=de",
            "--set language=de: expected PATH=VALUE with a path of a site file, such as values.language=de\n"
            "    --set values.language=de",
        ),
        ("values.language", "--set values.language: expected PATH=VALUE with a path of a site file, such as "
                            "values.language=de\n    --set values.language=…"),
        ("secrets.vector-key.file", "--set secrets.vector-key.file: expected PATH=VALUE with a path of a site file, "
                                    "such as values.language=de\n    --set secrets.vector-key.file=…"),
        ("values.langage", "--set values.langage: expected PATH=VALUE with a path of a site file, such as "
                           'values.language=de\n    did you mean "values.language"?'),
        ("values.language=fr", '--set values.language=fr: values.language is "fr", expected one of "en", "de", "ja"'),
        ("namespce=x", "--set namespce=x: expected PATH=VALUE with a path of a site file, such as values.language=de\n"
                       '    did you mean "namespace"?'),
        ("storage.runs=nfs", "--set storage.runs=nfs: expected PATH=VALUE with a path of a site file, such as "
                             'values.language=de\n    did you mean "storage.runs.class"?'),
        ("values.x=1", '--set values.x=1: the graph has no value "x"\n    there is: language, train_workers'),
        ("values.train_workers=", '--set values.train_workers=: values.train_workers is "", expected an integer'),
        ("values.train_workers=5.0",
         "--set values.train_workers=5.0: values.train_workers is 5.0, expected an integer, written 5"),
        ("publish.ui.port=", '--set publish.ui.port=: ui.port is "", expected a port number from 1 to 65535'),
        ("publish.ui.port=http", '--set publish.ui.port=http: ui.port is "http", expected a port number from 1 to '
                                 "65535"),
        ("nothing.at=1", '--set nothing.at=1: "nothing" is no key of a site file\n    it has: context, externals, '
                         "namespace, placement, publish, secrets, site, storage, target, timeout, values, variant"),
    ],
)  # fmt: skip
def test_a_wrong_assignment_is_shown_as_it_was_given(assignment: str, problem: str) -> None:
    with pytest.raises(SiteError) as caught:
        with_values(Site(), SUITE, [assignment])
    assert [str(each) for each in caught.value.problems] == [problem]


@pytest.mark.parametrize(
    "path",
    [
        "secrets.vector-key",
        "secrets.vector-key.value",
        "secrets.vector-key.fil",
        "vector-key",
        "secrets.corpus.password",
    ],
)
def test_a_secret_given_by_its_value_is_refused_with_the_ways_to_give_it(path: str) -> None:
    with pytest.raises(SiteError) as caught:
        with_values(Site(), SUITE, [f"{path}=hunter2"])
    name = "corpus.password" if "corpus" in path else "vector-key"
    assert [str(each) for each in caught.value.problems] == [
        f"--set {path}: no secret stands in a command, where others see it\n"
        f"    --set secrets.{name}.file=FILE, or --set secrets.{name}.env=VARIABLE"
    ]


@pytest.mark.parametrize("path", ["secret.vector-key", "externals.corpus.password", "secrets", "admin-password"])
def test_what_may_be_a_secret_is_not_repeated(path: str) -> None:
    with pytest.raises(SiteError) as caught:
        with_values(Site(), SUITE, [f"{path}=hunter2"])
    assert f"--set {path}" in str(caught.value.problems[0])
    assert "hunter2" not in "".join(map(str, caught.value.problems))


def test_what_is_missing_is_named_with_the_way_to_give_it() -> None:
    assert missing(site(HOSPITAL), SUITE) == ()
    assert [str(problem) for problem in missing(Site(), SUITE)] == [
        "secrets.vector-key: needs a secret; the graph generates none\n"
        "    site file: secrets: {vector-key: {file: …}}",
        "externals.corpus: needs bucket\n    site file: externals: {corpus: {bucket: …}}",
    ]  # fmt: skip
    graph = check(parse('bundle: b\nversion: "1"\nvalues: {x: {}}\n', "f"))
    assert [problem.where for problem in missing(Site(), graph)] == ["values.x"]


def test_a_site_can_be_recorded_and_read_back() -> None:
    text = json.dumps(site_document(site(HOSPITAL)), sort_keys=True)
    assert read_document(json.loads(text), SUITE) == site(HOSPITAL)
