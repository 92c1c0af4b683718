"""What is known of well-known images: the ports that they listen on, and how they are told their login."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Known:
    """`ports`: endpoint name -> port, where the name is a type if there is one for it. `login`: field of the first
    endpoint -> variables that give it, the first one set; `usual`: what holds where none is."""

    ports: tuple[tuple[str, int], ...]
    login: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    usual: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


_POSTGRES = Known(
    (("postgres", 5432),),
    {"user": ("POSTGRES_USER",), "password": ("POSTGRES_PASSWORD",), "database": ("POSTGRES_DB", "POSTGRES_USER")},
    {"user": "postgres", "database": "postgres"},
)
_MYSQL = Known(
    (("mysql", 3306),),
    {
        "user": ("MYSQL_USER", "MARIADB_USER"),
        "password": ("MYSQL_PASSWORD", "MARIADB_PASSWORD"),
        "database": ("MYSQL_DATABASE", "MARIADB_DATABASE"),
    },
)
_MONGO = Known(
    (("mongodb", 27017),), {"user": ("MONGO_INITDB_ROOT_USERNAME",), "password": ("MONGO_INITDB_ROOT_PASSWORD",)}
)
_RABBITMQ = Known(
    (("amqp", 5672),),
    {
        "user": ("RABBITMQ_DEFAULT_USER",),
        "password": ("RABBITMQ_DEFAULT_PASS",),
        "vhost": ("RABBITMQ_DEFAULT_VHOST",),
    },
)
_CLICKHOUSE = Known(
    (("http", 8123), ("clickhouse", 9000)),
)
_REDIS = Known((("redis", 6379),))
_HTTP = Known((("http", 80),))

IMAGES: Mapping[str, Known] = {
    **dict.fromkeys(("postgres", "pgvector", "postgis", "postgresql", "timescaledb"), _POSTGRES),
    **dict.fromkeys(("mysql", "mariadb", "percona"), _MYSQL),
    **dict.fromkeys(("redis", "valkey", "keydb", "redis-stack-server"), _REDIS),
    **dict.fromkeys(("mongo", "mongodb"), _MONGO),
    **dict.fromkeys(("nginx", "httpd", "caddy", "wordpress"), _HTTP),
    "rabbitmq": _RABBITMQ,
    "clickhouse": _CLICKHOUSE,
    "clickhouse-server": _CLICKHOUSE,
    "minio": Known((("http", 9000),)),
    "elasticsearch": Known((("http", 9200),)),
    "opensearch": Known((("http", 9200),)),
    "memcached": Known((("memcached", 11211),)),
    "nats": Known((("nats", 4222),)),
    "milvus": Known((("grpc", 19530), ("http", 9091))),
    "etcd": Known((("http", 2379),)),
    "kafka": Known((("kafka", 9092),)),
    "cp-kafka": Known((("kafka", 9092),)),
    "zookeeper": Known((("client", 2181),)),
    "qdrant": Known((("http", 6333), ("grpc", 6334))),
    "chroma": Known((("http", 8000),)),
    "ollama": Known((("http", 11434),)),
    "grafana": Known((("http", 3000),)),
    "prometheus": Known((("http", 9090),)),
    "adminer": Known((("http", 8080),)),
    "keycloak": Known((("http", 8080),)),
    "eclipse-mosquitto": Known((("mqtt", 1883),)),
    "neo4j": Known((("http", 7474), ("bolt", 7687))),
}
_FPM = Known((("fpm", 9000),))  # PHP behind a web server, by FastCGI
_PHP = ("nextcloud", "wordpress", "php", "drupal")
_SCHEMES = {"postgresql": "postgres", "mariadb": "mysql", "rediss": "redis", "amqps": "amqp", "mongodb+srv": "mongodb"}


def known(image: str) -> Known | None:
    """By the last part of its name; `-fpm` in the tag is another program."""
    name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    if name in _PHP and re.search(r"(?:^|-)fpm", tag):
        return _FPM
    if name in ("nextcloud", "drupal"):
        return _HTTP
    return IMAGES.get(name)


def type_of_scheme(scheme: str) -> str:
    """The endpoint type that a URL's scheme speaks: postgresql+psycopg2 is postgres."""
    head = scheme.lower().partition("+")[0]
    return _SCHEMES.get(head, head)
