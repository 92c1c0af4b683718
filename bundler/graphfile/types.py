"""Endpoint types: which fields an address has, and how its `url` is written.

The one table for services (`expose: {db: {port: 5432, as: postgres}}`) and externals (`as: s3`). Everything here
works on texts that may hold secrets not known yet (`model.release.Text`), so nothing looks into them: literal parts
are percent-encoded where they stand, secret parts are marked to be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote, urlsplit

from bundler.model.release import SecretPart, Text

DOOR_FIELDS = frozenset({"url", "host", "port"})  # of `${publish.DOOR.field}`
MADE_FIELDS = frozenset({"url", "host", "port"})  # every endpoint has them; no provider declares them


@dataclass(frozen=True, slots=True)
class Type:
    """`fields` beside host, port and url; `secret` are those whose bytes never stand in a site file.

    `port` is the usual one, taken for an external that gives none. `url` is the scheme before `host:port`;
    with `login`, `user:password@` goes before the host, and the value of `path` after the port. `also` are other
    schemes that an external's address may have; what follows a `+`, `-` or `:`, as a driver's name, is anybody's.
    """

    name: str
    doc: str
    fields: frozenset[str] = frozenset()
    secret: frozenset[str] = frozenset()
    port: int | None = None
    url: str = "tcp"
    login: bool = False
    path: str | None = None
    also: tuple[str, ...] = ()

    @property
    def schemes(self) -> tuple[str, ...]:
        """Those that serve; of type tcp all do, and none is named."""
        return () if self.name == "tcp" else (self.url, *self.also)


_LOGIN = frozenset({"user", "password"})
_PASSWORD = frozenset({"password"})
_S3 = frozenset({"endpoint", "bucket", "access_key", "secret_key", "region"})


def _with_login(name: str, doc: str, port: int, *also: str, path: str | None = "database") -> Type:
    fields = _LOGIN | ({path} if path else set())
    return Type(name, doc, fields, _PASSWORD, port, name, login=True, path=path, also=also)


TYPES: Mapping[str, Type] = {
    each.name: each
    for each in (
        Type("tcp", "any other address"),
        Type("http", "HTTP", port=80, url="http", also=("https", "ws", "wss")),
        Type("https", "HTTP over TLS", port=443, url="https", also=("wss",)),
        Type("grpc", "gRPC", port=443, url="grpc", also=("grpcs", "http", "https")),
        _with_login("postgres", "PostgreSQL", 5432, "postgresql", "pgsql", "psql", "postgis", "cockroachdb"),
        _with_login("mysql", "MySQL, MariaDB", 3306, "mariadb", "mysql2", "mysqlx"),
        _with_login("mongodb", "MongoDB", 27017),
        _with_login("redis", "Redis, Valkey", 6379, "rediss", "valkey", "valkeys"),
        _with_login("amqp", "AMQP 0.9.1 (RabbitMQ)", 5672, "amqps", "pyamqp", path="vhost"),
        _with_login("nats", "NATS", 4222, "tls", "ws", "wss", path=None),
        _with_login("smtp", "mail", 25, "smtps", "submission", "submissions", path=None),
        _with_login("ldap", "LDAP", 389, "ldaps", "ldapi", path=None),
        _with_login("clickhouse", "ClickHouse, native protocol", 9000, "clickhouses", "clickhousedb", "tcp"),
        Type(
            "kafka", "Kafka", _LOGIN, _PASSWORD, 9092, "kafka", also=("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")
        ),
        Type("memcached", "memcached", port=11211, url="memcached", also=("memcache", "pymemcache")),
        Type(
            "mqtt",
            "MQTT",
            _LOGIN,
            _PASSWORD,
            1883,
            "mqtt",
            login=True,
            also=("mqtts", "tcp", "ssl", "tls", "ws", "wss"),
        ),
        Type("otlp", "OpenTelemetry over HTTP", port=4318, url="http", also=("https",)),
        Type("s3", "S3 and what speaks it", _S3, frozenset({"secret_key"}), 443, "http", also=("https", "s3")),
    )
}


def fields_of(type: str) -> frozenset[str]:
    """Every field that an address of the type can have."""
    return MADE_FIELDS | TYPES[type].fields


def made_fields(type: str) -> frozenset[str]:
    """The fields that every endpoint of the type has without its provider declaring any."""
    return MADE_FIELDS | ({"endpoint"} if type == "s3" else set())


def secret_fields(type: str) -> frozenset[str]:
    """The fields that a site gives under `secrets`, never in plain sight."""
    return TYPES[type].secret


def needed_fields(type: str, used: frozenset[str]) -> tuple[frozenset[str], ...]:
    """What a site must give of an external whose fields `used` the graph reads: one of the fields of each set."""
    address = frozenset({"endpoint", "url"}) if type == "s3" else frozenset({"host", "url"})
    needs = [address] if used & (MADE_FIELDS | {"endpoint"}) else []
    if "port" in used and TYPES[type].port is None:
        needs.append(frozenset({"port", "url"}))
    needs.extend(frozenset({field}) for field in sorted(used - MADE_FIELDS - {"endpoint"}))
    if "url" in used and TYPES[type].port is None and frozenset({"port", "url"}) not in needs:
        needs.append(frozenset({"port", "url"}))
    return tuple(needs)


def complete(type: str, fields: Mapping[str, Text]) -> Mapping[str, Text]:
    """`fields` and those that follow from them: an external's host and port from its url, the type's usual port,
    s3's endpoint, and the url."""
    made = dict(fields)
    given = made.get("url") or made.get("endpoint")
    if given and "host" not in made and all(isinstance(part, str) for part in given):
        host, port = address("".join(part for part in given if isinstance(part, str)))
        if host:
            made["host"] = (host,)
        if port or TYPES[type].port:
            made.setdefault("port", (str(port or TYPES[type].port),))
    usual = TYPES[type].port
    if "port" not in made and "host" in made and usual is not None:
        made["port"] = (str(usual),)
    if "url" not in made and ((type == "s3" and "endpoint" in made) or ("host" in made and "port" in made)):
        made["url"] = make_url(type, made)
    if type == "s3" and "url" in made:
        made.setdefault("endpoint", made["url"])
    return made


def address(url: str) -> tuple[str | None, int | None]:
    """Host and port of a url; None for what it does not say."""
    try:
        parts = urlsplit(url)
        return parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None, None


def serves(type: str, url: str) -> bool:
    """Whether the scheme of an address is one of the type's."""
    scheme = url.strip().partition("://")[0].lower().removeprefix("jdbc:")
    return not TYPES[type].schemes or re.split("[+:-]", scheme)[0] in TYPES[type].schemes


def expected_schemes(type: str) -> str:
    """In words: "postgres:// or postgresql://"."""
    return " or ".join(f"{scheme}://" for scheme in TYPES[type].schemes)


def make_url(type: str, fields: Mapping[str, Text]) -> Text:
    """The address in one text, without a slash at the end. Needs host and port (s3: or endpoint); user, password
    and the path go in where they are given. A part with a secret in it is marked to be percent-encoded."""
    about = TYPES[type]
    if type == "s3" and fields.get("endpoint"):
        *start, end = fields["endpoint"]
        return joined([*start, end.rstrip("/") if isinstance(end, str) else end])
    parts: list[str | SecretPart] = [f"{about.url}://"]
    if about.login and (fields.get("user") or fields.get("password")):
        parts += _encoded(fields.get("user", ()))
        if fields.get("password"):
            parts += [":", *_encoded(fields["password"])]
        parts.append("@")
    parts += [*_host(fields["host"]), ":", *fields["port"]]
    if about.path and fields.get(about.path):
        parts += ["/", *_encoded(fields[about.path])]
    return joined(parts)


def joined(parts: list[str | SecretPart]) -> Text:
    """A text in which no two literals stand side by side and none is empty."""
    text: list[str | SecretPart] = []
    for part in parts:
        if isinstance(part, str) and text and isinstance(text[-1], str):
            text[-1] += part
        elif part != "":
            text.append(part)
    return tuple(text)


def _encoded(text: Text) -> Text:
    return tuple(quote(part, safe="") if isinstance(part, str) else replace(part, encoded=True) for part in text)


def _host(text: Text) -> Text:
    """A literal IPv6 address goes into brackets."""
    if len(text) == 1 and isinstance(text[0], str) and re.fullmatch(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*", text[0]):
        return (f"[{text[0]}]",)
    return text
