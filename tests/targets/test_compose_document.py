"""The Compose document: what is in it, and that no text in it is taken for anything else."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import yaml
from engine_sample import HOST, Fixed, _containers, released

from bundler.model.release import ReleaseSecret
from targets import texts
from targets.compose import document
from targets.compose import text as compose_text
from targets.compose.target import ComposeTarget
from targets.sample import job


def test_every_dollar_is_doubled_and_secrets_are_variables() -> None:
    written = yaml.safe_load(ComposeTarget().render(released(), Fixed().blobs)["compose.yaml"])
    environment = written["services"]["web"]["environment"]
    assert environment["GREETING"] == "hello $$HOME $$$$x $${literal}"
    assert environment["STORE_URL"] == "http://user:${BUNDLE_SECRET_key_URL?}@store:8000"


NUMBERS = [
    "1234e56",
    "1e3",
    "0o17",
    "017",
    "1_000",
    ".5e3",
    "0X1f",
    "+1",
    "1:30",
    "~",
    "y",
    "No",
    "null",
    "TRUE",
    "2026-11-24",
    "=",
    "<<",
]
SIGNS = [
    "- a",
    "a: b",
    "#a",
    "a #b",
    "*a",
    "&a",
    "!a",
    "|",
    "'",
    '"',
    "'\"",
    "\\n",
    "a\nb",
    "a\t",
    " a",
    "ü",
    "",
    "\x7f",
]


@pytest.mark.parametrize("text", [*NUMBERS, *SIGNS, "x" * 5000, "/a", "a-b_c.d/e"])
def test_no_reader_of_yaml_takes_a_text_for_anything_else(text: str) -> None:
    written = compose_text.write({"key": text, text: "value"})
    scalar = written.splitlines()[0].removeprefix("key: ")
    assert yaml.safe_load(written) == {"key": text, text: "value"}
    assert scalar[0] in "'\"" or re.fullmatch(r"[A-Za-z/][\w./-]*", scalar)


def test_no_two_secrets_share_a_variable() -> None:
    secrets = tuple(ReleaseSecret(name, "r", stored=True) for name in ("a-b", "a.b", "a_b", "a_b_URL", "a.b_URL"))
    variables = texts.secret_variables(replace(released(), secrets=secrets))
    assert len(set(variables.values())) == len(variables) == 2 * 6


def test_the_document_names_the_jobs_under_their_profile() -> None:
    release = replace(released(), jobs=(job("train", "0", max_workers=2, ranked=True),))
    made = document.document(release, _containers(release), HOST)
    services = made["services"]
    assert isinstance(services, dict)
    assert list(services) == ["store", "web", "train-0", "train-1"]
    assert services["train-1"]["profiles"] == ["jobs"]
