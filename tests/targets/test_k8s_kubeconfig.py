"""A kubeconfig that is none: which file, what is wrong with it, and how to mend it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bundler.errors import TargetError
from targets.k8s.kubeconfig import client

NAMES = "contexts: [{name: x, context: {cluster: a, user: u}}]\nusers: [{name: u, user: {}}]\ncurrent-context: x\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a: [1, 2\nb: c", ":2:2 is no YAML: expected ',' or ']', but got ':'"),
        (b"just words", " is no kubeconfig: that is a map with the lists"),
        (b"- a\n- b\n", " is no kubeconfig: that is a map with the lists"),
        (b"clusters: 5\ncontexts: []\n", " is no kubeconfig: that is a map with the lists"),
        (NAMES.replace("{cluster: a, user: u}", "5").encode(), " is no kubeconfig: that is a map with the lists"),
        (b"a: 1\n", " has no contexts"),
        (b"", " is empty"),
        (b"\x91\xff", " is no text"),
    ],
)
def test_a_file_that_is_no_kubeconfig_is_named_with_what_is_wrong(tmp_path: Path, text: bytes, said: str) -> None:
    file = tmp_path / "kubeconfig"
    file.write_bytes(text)
    with pytest.raises(TargetError) as refused:
        client(None, file)
    assert refused.value.what.startswith(f"no cluster to talk to: {file}{said}")
    assert refused.value.hint == "mend it, or set KUBECONFIG to another file"


def test_of_several_files_the_wrong_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "right").write_text(f"clusters: [{{name: a, cluster: {{server: 'https://a.example'}}}}]\n{NAMES}")
    (tmp_path / "wrong").write_text("{")
    both = Path(os.pathsep.join(str(tmp_path / name) for name in ("right", "wrong")))
    with pytest.raises(TargetError, match=rf"{tmp_path}/wrong:1:2 is no YAML"):
        client(None, both)
    assert client(None, tmp_path / "right").configuration.host == "https://a.example"


def test_where_there_is_none_the_variable_is_to_name_one_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=f"there is no kubeconfig at {tmp_path}/none") as refused:
        client(None, tmp_path / "none")
    assert refused.value.hint == "set KUBECONFIG to one that is there, or write ~/.kube/config"
