"""Addresses: their fields, and how they are written."""

from __future__ import annotations

import pytest

from bundler.graphfile.types import TYPES, complete, fields_of, make_url, needed_fields, secret_fields, serves
from bundler.model.release import SecretPart, Text

AT: dict[str, Text] = {"host": ("db",), "port": ("1234",)}


@pytest.mark.parametrize(
    ("type", "fields", "url"),
    [
        ("http", {}, ("http://db:1234",)),
        ("https", {}, ("https://db:1234",)),
        ("tcp", {}, ("tcp://db:1234",)),
        ("s3", {}, ("http://db:1234",)),
        ("s3", {"endpoint": ("https://s3.example/",)}, ("https://s3.example",)),
        ("postgres", {}, ("postgres://db:1234",)),
        ("postgres", {"database": ("app",)}, ("postgres://db:1234/app",)),
        ("postgres", {"user": ("me@x",), "database": ("a/b c",)}, ("postgres://me%40x@db:1234/a%2Fb%20c",)),
        (
            "postgres",
            {"user": ("me",), "password": (SecretPart("pw"),), "database": ("app",)},
            ("postgres://me:", SecretPart("pw", encoded=True), "@db:1234/app"),
        ),
        ("redis", {"password": (SecretPart("pw"),)}, ("redis://:", SecretPart("pw", encoded=True), "@db:1234")),
        ("redis", {"database": ("0",)}, ("redis://db:1234/0",)),
        ("amqp", {"user": ("u",), "password": ("p:w",)}, ("amqp://u:p%3Aw@db:1234",)),
        ("http", {"host": ("::1",)}, ("http://[::1]:1234",)),
        ("http", {"host": (SecretPart("where"),)}, ("http://", SecretPart("where"), ":1234")),
    ],
)
def test_a_url_is_written_by_its_type(type: str, fields: dict[str, Text], url: Text) -> None:
    assert make_url(type, {**AT, **fields}) == url


def test_every_type_has_a_url_without_a_slash_at_its_end() -> None:
    for type in TYPES:
        (url,) = make_url(type, AT)
        assert isinstance(url, str)
        assert url.endswith("://db:1234")
        assert {"host", "port", "url"} <= fields_of(type)
        assert secret_fields(type) <= fields_of(type)


def test_an_external_that_gives_its_url_has_host_and_port_from_it() -> None:
    assert complete("https", {"url": ("https://api.example/v1",)}) == {
        "url": ("https://api.example/v1",),
        "host": ("api.example",),
        "port": ("443",),
    }


def test_an_external_that_gives_its_host_has_the_usual_port() -> None:
    assert complete("postgres", {"host": ("db",)})["url"] == ("postgres://db:5432",)
    assert "url" not in complete("tcp", {"host": ("db",)})


def test_an_s3_endpoint_is_its_url_and_the_other_way_round() -> None:
    assert complete("s3", {"endpoint": ("https://s3.example",)})["url"] == ("https://s3.example",)
    assert complete("s3", dict(AT))["endpoint"] == ("http://db:1234",)


@pytest.mark.parametrize("url", ["not a url", "http://[", "http://h:port", "http://h:99999", "//", "http://é:1"])
def test_a_strange_url_of_a_site_does_no_harm(url: str) -> None:
    assert complete("http", {"url": (url,)})["url"] == (url,)


def test_a_site_must_give_what_the_graph_reads() -> None:
    assert needed_fields("s3", frozenset({"bucket"})) == (frozenset({"bucket"}),)
    assert needed_fields("s3", frozenset({"url"})) == (frozenset({"endpoint", "url"}),)
    assert needed_fields("http", frozenset({"host"})) == (frozenset({"host", "url"}),)
    assert needed_fields("tcp", frozenset({"url"})) == (frozenset({"host", "url"}), frozenset({"port", "url"}))
    assert needed_fields("http", frozenset()) == ()


def test_an_address_is_of_its_type_by_its_scheme_whatever_the_driver() -> None:
    right = ("postgres://h", "postgresql+psycopg2://h", "POSTGRES://h", "jdbc:postgresql://h/d", " postgis://h\n")
    assert all(serves("postgres", url) for url in right)
    assert not any(serves("postgres", url) for url in ("http://h", "mysql://h", "post://h", "+postgres://h"))
    assert serves("tcp", "anything://h")
    assert serves("mysql", "jdbc:mysql:loadbalance://a,b/d")
    assert serves("kafka", "SASL_SSL://a:9092,SASL_SSL://b:9092")
    assert serves("redis", "redis-sentinel://h")
    assert not serves("redis", "rest-redis://h")
    assert all(serves(type, f"{about.url}://h") for type, about in TYPES.items())
