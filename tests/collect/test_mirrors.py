"""Which images a mirror is asked for, and under which name."""

from __future__ import annotations

import pytest

from bundler.collect.mirrors import Mirror, Mirrors
from bundler.collect.reference import Reference


@pytest.mark.parametrize(
    ("mirror", "image", "expected"),
    [
        ("docker.io=m.example/hub", "postgres", "m.example/hub/library/postgres:latest"),
        ("docker.io=m.example/hub", "docker.io/postgres:17", "m.example/hub/library/postgres:17"),
        ("docker.io=m.example/hub", "index.docker.io/library/postgres:17", "m.example/hub/library/postgres:17"),
        ("index.docker.io=m.example/hub", "acme/web:1", "m.example/hub/acme/web:1"),
        ("docker.io=localhost:5000", "acme/web:1", "localhost:5000/acme/web:1"),
        ("docker.io=127.0.0.1:5000/a/b/", "acme/web:1", "127.0.0.1:5000/a/b/acme/web:1"),
        ("quay.io=docker.io/copies", "quay.io/a/b:1", "docker.io/copies/a/b:1"),
        ("localhost:5000=[::1]:6000/x", "localhost:5000/a", "[::1]:6000/x/a:latest"),
        ("a.example=b.example", "a.example/b:t@sha256:" + "0" * 64, "b.example/b:t@sha256:" + "0" * 64),
    ],
)
def test_a_mirror_has_an_image_under_the_registrys_path(mirror: str, image: str, expected: str) -> None:
    reference = Reference.parse(image)
    found = Mirrors([Mirror.parse(mirror)]).of(reference)
    assert found is not None
    assert str(found.of(reference)) == expected


@pytest.mark.parametrize("image", ["a.docker.io/x", "m.example/hub/library/postgres", "quay.io/docker.io/x"])
def test_a_mirror_is_of_its_registry_alone(image: str) -> None:
    assert Mirrors([Mirror.parse("docker.io=m.example/hub")]).of(Reference.parse(image)) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "written REGISTRY=HOST/PATH"),
        ("docker.io", "written REGISTRY=HOST/PATH"),
        ("=m.example", "not the host of a registry"),
        ("library=m.example", "not the host of a registry: 'library'"),
        ("docker.io/library=m.example", "not the host of a registry"),
        ("docker.io:99999=m.example", "not the host of a registry"),
        ("docker.io=", "begins with a host"),
        ("docker.io=mirror/hub", "begins with a host: 'mirror/hub'"),
        ("docker.io=/hub", "begins with a host"),
        ("docker.io=m.example/UPPER", "not a path that images can be below"),
        ("docker.io=m.example//hub", "not a path that images can be below"),
        ("docker.io=m.example/hub:1", "not a path that images can be below"),
        ("docker.io=m.example/hub@sha256:" + "0" * 64, "not a path that images can be below"),
        ("docker.io=https://m.example/hub", "without a scheme"),
        ("docker.io=user:secret@m.example/hub", "begins with a host"),
    ],
)
def test_what_is_no_mirror_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Mirror.parse(text)
