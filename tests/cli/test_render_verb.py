"""bundle render: for the place, the platform and the variant that are named, without a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundler.cli.main import run
from tests.cli.conftest import GRAPH, write_layout


def test_rendering_says_what_is_wrong_with_its_place(
    bundle: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(directory: Path) -> str:
        capsys.readouterr()
        assert run(["render", str(bundle), "-t", "docker", "-o", str(directory)]) == 2
        return capsys.readouterr().err

    assert f"{bundle} is there and is no directory" in refused(bundle)
    assert "making the directory failed" in refused(bundle / "below")
    assert "making the directory failed" in refused(Path("/proc/nothing"))
    assert run(["render", str(bundle), "-t", "docker", "--platform", "linux"]) == 2
    assert "linux/arm64" in capsys.readouterr().err


def test_rendering_goes_where_the_site_says(
    bundle: Path, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("target: k8s\nnamespace: there\n")
    capsys.readouterr()
    assert run(["render", str(bundle), "--site", str(site)]) == 0
    assert "  namespace: there\n" in capsys.readouterr().out
    assert run(["render", str(bundle), "--site", str(site), "--namespace", "here"]) == 0
    assert "  namespace: here\n" in capsys.readouterr().out


@pytest.mark.parametrize("target", ["k8s", "docker", "compose"])
def test_a_variant_that_leaves_everything_out_can_be_read(
    home: Path, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    write_layout(home / "graph" / "layout")
    (home / "graph" / "bundle.yaml").write_text(GRAPH)
    (home / "graph" / "variants").mkdir()
    (home / "graph" / "variants" / "bare.yaml").write_text("variant: bare\nof: plain\nservices: {web: null}\n")
    file = str(home / "bare.tar")
    assert run(["build", str(home / "graph"), "-o", file, "--variant", "bare"]) == 0
    assert run(["render", file, "-t", target, "--variant", "bare"]) == 0
    assert "web" not in capsys.readouterr().out.partition("name:")[2]


@pytest.mark.parametrize("target", ["k8s", "docker", "compose"])
def test_rendering_is_for_the_platform_that_is_named(
    home: Path, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    write_layout(home / "graph" / "layout", ("amd64", "arm64"))
    (home / "graph" / "bundle.yaml").write_text(GRAPH)
    file, both = str(home / "both.tar"), ("--platform", "linux/amd64", "--platform", "linux/arm64")
    assert run(["build", str(home / "graph"), "-o", file, *both]) == 0
    pages = {}
    for architecture in ("amd64", "arm64"):
        capsys.readouterr()
        assert run(["render", file, "-t", target, "--platform", f"linux/{architecture}"]) == 0
        pages[architecture] = capsys.readouterr().out
    assert pages["amd64"] != pages["arm64"]
    if target == "k8s":
        for architecture, page in pages.items():
            assert f"kubernetes.io/arch: {architecture}\n" in page


def test_rendering_reads_no_secret(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And a target without Kubernetes Secrets says so before it is looked at."""
    write_layout(home / "graph" / "layout")
    (home / "graph" / "bundle.yaml").write_text(GRAPH.replace("services:", "secrets: {a: {}, b: {}, c: {}}\nservices:"))
    (home / "site.yaml").write_text("secrets: {a: {file: none}, b: {env: NONE}, c: {kubernetes: s/c}}\n")
    file, site = str(home / "plain.tar"), str(home / "site.yaml")
    assert run(["build", str(home / "graph"), "-o", file]) == 0
    assert run(["render", file, "-t", "k8s", "--site", site]) == 0
    assert run(["plan", file, "-t", "docker", "--site", site]) == 2
    assert "secret a: " in capsys.readouterr().err
    (home / "site.yaml").write_text("secrets: {c: {kubernetes: s/c}}\n")
    assert run(["plan", file, "-t", "docker", "--site", site]) == 2
    assert "target docker has no Kubernetes Secrets to take c from" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["k8s", "docker", "compose"])
def test_rendering_needs_no_secret_and_is_the_same_without(
    home: Path, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    write_layout(home / "graph" / "layout")
    reads = 'connect: {store: db}, environment: {A: "${secrets.a}", P: "${store.password}", U: "${store.url}"}'
    graph = GRAPH.replace("services:", "secrets: {a: {}}\nexternals: {db: {as: postgres}}\nservices:")
    (home / "graph" / "bundle.yaml").write_text(graph.replace("expose:", f"{reads}, expose:"))
    file, site = str(home / "plain.tar"), home / "site.yaml"
    assert run(["build", str(home / "graph"), "-o", file]) == 0
    site.write_text("externals: {db: {host: db.example.org}}\n")
    capsys.readouterr()
    assert run(["render", file, "-t", target, "--site", str(site)]) == 0
    without = capsys.readouterr().out
    site.write_text(site.read_text() + "secrets: {a: {env: A}, db.password: {env: P}}\n")
    assert run(["render", file, "-t", target, "--site", str(site)]) == 0
    assert capsys.readouterr().out == without
    assert "db.example.org" in without
