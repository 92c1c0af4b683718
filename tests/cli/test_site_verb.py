"""bundle site: a site file with every knob of a graph, to fill in."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from bundler.cli.main import run
from bundler.cli.site import read_secrets
from bundler.errors import UsageError
from bundler.graphfile.check import check
from bundler.graphfile.site import SiteError, lacks, parse_site, read_site
from bundler.graphfile.site_text import site_text
from bundler.graphfile.source import parse
from bundler.model.graph import Graph
from bundler.model.site import Site

SUITE = Path(__file__).parents[1] / "graphfile" / "nlp_suite.yaml"
GRAPH = """\
bundle: shop
version: "1.0"
values:
  language: {enum: [de, en], title: Language of the pages}
  rate: {type: number, minimum: 0, maximum: 1}
  results: {default: 5, minimum: 1, description: Results on a page.}
  tone: {default: "yes: friendly"}
secrets: {db: {generate: 24}, license: {}}
externals: {relay: {as: smtp}, other: {as: http}}
volumes: {data: {size: 1GiB}}
services:
  api:
    image: a
    expose: {http: 80}
    volumes: [data:/data]
    secrets: [license]
    connect: {mail: relay, back: other}
    environment: {MAIL: "${mail.host} ${mail.password}", BACK: "${back.url}"}
publish: {api: api.http, admin: {to: api.http, optional: true}}
"""


def graph_of(text: str) -> Graph:
    return check(parse(text, "bundle.yaml"))


def taken_in(text: str) -> str:
    """With everything that is commented out."""
    return re.sub(r"^#(?! \S|$)", "", text, flags=re.MULTILINE)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bundle.yaml").write_text(GRAPH)
    return tmp_path


def test_every_knob_is_there_with_its_meaning(directory: Path) -> None:
    assert run(["site", "init"]) == 0
    text = (directory / "site.yaml").read_text()
    assert '  # Language of the pages. One of "de", "en".\n  language:  # must be given\n' in text
    assert "  # A number, from 0 to 1.\n  rate:  # must be given\n" in text
    assert "  # Results on a page. An integer, at least 1.\n#  results: 5\n" in text
    assert '#  tone: "yes: friendly"\n' in text
    assert "\n  license: {file: ./license.txt}\n" in text
    assert "\n#  db: {file: ./db.txt}\n" in text
    assert "\n  relay.password: {file: ./relay-password.txt}\n" in text
    assert "  # api.http, opens only where it is named here.\n#  admin:\n" in text
    assert "    host:  # must be given, or url\n" in text
    assert "  # A volume of at least 1GiB.\n#  data: {class: fast, shared: false}\n" in text
    assert "#  services.api: {priority: high}\n" in text
    (directory / "bundle.yaml").write_text(GRAPH.replace("image: a\n", "image: a\n    resources: {gpus: 1}\n"))
    assert run(["site", "init", "--force"]) == 0
    assert "#  services.api: {gpu_class: nvidia, priority: high}\n" in (directory / "site.yaml").read_text()


def test_what_must_be_answered_is_named(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["site", "init", "-o", "here.yaml"]) == 0
    told = capsys.readouterr().err
    for path in ("values.language", "secrets.license", "secrets.relay.password", "externals.other.host"):
        assert path in told
    assert "secrets.db" not in told


def test_unedited_it_says_line_by_line_what_to_answer() -> None:
    graph = graph_of(GRAPH)
    with pytest.raises(SiteError) as caught:
        parse_site([read_site(site_text(graph), "site.yaml")], graph)
    told = [str(problem) for problem in caught.value.problems]
    assert [re.sub(r":\d+:\d+", "", one).partition(",")[0] for one in told] == [
        "site.yaml: values.language is empty",
        "site.yaml: values.rate is empty",
        "site.yaml: other.host is empty",
        "site.yaml: relay.host is empty",
    ]


@pytest.mark.parametrize("text", [GRAPH, SUITE.read_text(encoding="utf-8")], ids=["shop", "suite"])
def test_whatever_is_commented_out_is_right_as_it_stands(text: str) -> None:
    graph = graph_of(text)
    whole = taken_in(site_text(graph))
    for name, answer in (("language", "de"), ("rate", "0.5"), ("host", "a.example"), ("bucket", "b")):
        whole = whole.replace(f"{name}:  # must", f"{name}: {answer}  # must")
    site = parse_site([read_site(whole, "site.yaml")], graph)
    assert lacks(site, graph) == ()
    assert set(site.values) == {value.name for value in graph.values}
    assert set(site.doors) == {door.name for door in graph.doors}
    assert set(site.storage) == {volume.name for volume in graph.volumes}
    assert {secret.name for secret in graph.secrets} <= set(site.secrets)
    assert len(site.placement) == len(graph.services) + len(graph.jobs)
    for value in graph.values:
        assert value.default is None or site.values[value.name] == value.default


def test_a_graph_without_needs_gives_a_file_that_deploys_as_it_is(directory: Path) -> None:
    (directory / "bundle.yaml").write_text('bundle: b\nversion: "1"\nservices: {a: {image: a}}\n')
    assert run(["site", "init"]) == 0
    graph = graph_of((directory / "bundle.yaml").read_text())
    assert parse_site([read_site((directory / "site.yaml").read_text(), "site.yaml")], graph) == Site()


def test_words_of_a_graph_stay_in_their_comments() -> None:
    text = GRAPH.replace("Results on a page.", '"a\\nsecrets: {x: {env: HOME}}target: k8s"')
    text = text.replace('"yes: friendly"', '"a\\nbcd"')
    graph = graph_of(text)
    whole = site_text(graph)
    assert set(parse(whole, "f").data) == {"values", "secrets", "externals"}
    read = parse(taken_in(whole), "f").data
    assert read["values"]["tone"] == "a\nbcd"


def test_a_file_that_is_there_stays(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (directory / "site.yaml").write_text("target: docker\n")
    assert run(["site", "init"]) == 2
    assert "site.yaml is there already" in capsys.readouterr().err
    assert (directory / "site.yaml").read_text() == "target: docker\n"
    assert run(["site", "init", "--force"]) == 0
    assert "values:" in (directory / "site.yaml").read_text()
    assert run(["site", "init", "-o", "-"]) == 0
    assert capsys.readouterr().out == (directory / "site.yaml").read_text()


def test_a_variant_has_the_knobs_of_its_own_graph(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (directory / "variants").mkdir()
    (directory / "variants" / "acme.yaml").write_text(
        "variant: acme\nof: shop\nvalues: {language: null, rate: null, size: {type: integer}}\n"
    )
    assert run(["site", "init", "-o", "-"]) == 0
    plain = capsys.readouterr().out
    assert "There is: acme.\n#variant: acme\n" in plain
    assert run(["site", "init", "-o", "-", "--variant", "acme"]) == 0
    varied = capsys.readouterr().out
    assert "\nvariant: acme\n" in varied
    assert "  size:  # must be given\n" in varied
    assert "language" not in varied
    assert run(["site", "init", "-o", "-", "--variant", "other"]) == 2


def test_the_schema_knows_the_graph(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["site", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.validate({"values": {"language": "de"}, "publish": {"api": {"port": 80}}}, schema)
    for wrong in ({"values": {"language": "fr"}}, {"values": {"x": 1}}, {"publish": {"ui": {}}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_a_site_file_that_is_not_there_is_told_with_what_writes_one(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor", ".", "--site", "here too.yaml"]) == 2
    assert "there is no site file here too.yaml\n  bundle site init FILE -o 'here too.yaml'" in capsys.readouterr().err


def test_a_secret_that_is_not_there_is_told_with_the_line_that_names_it(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "here").mkdir()
    text = "values: {language: de, rate: 1}\nsecrets:\n  license: {file: my key.txt}\n"
    graph = graph_of(GRAPH)
    with pytest.raises(UsageError) as refused:
        read_secrets(parse_site([read_site(text, "here/site.yaml")], graph))
    said = "here/site.yaml:3:19: secret license: the file 'here/my key.txt' cannot be read: No such file or directory"
    assert refused.value.what == said
    assert "--set secrets.license.file=PATH" in str(refused.value.hint)
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(UsageError, match=r"site\.yaml:3:18: secret license: the environment variable MY_KEY"):
        read_secrets(parse_site([read_site(text.replace("file: my key.txt", "env: MY_KEY"), "site.yaml")], graph))


def test_a_site_file_for_another_target_is_told_with_the_ways_on(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "site.yaml").write_text("target: k8s\nnamespace: shop\nvalues: {language: de, rate: 1}\n")
    assert run(["doctor", ".", "-t", "docker", "--site", "site.yaml"]) == 2
    said = capsys.readouterr().err
    assert "target docker knows no namespace\n  the site file is for target k8s: leave --target out" in said
