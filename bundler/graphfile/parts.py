"""The grammar of what services and jobs are made of: health checks, resources, connections and the like."""

from __future__ import annotations

from bundler.graphfile import elsewhere, forms
from bundler.graphfile.atoms import (
    ARGUMENTS,
    CONTAINER_PATH,
    DURATION,
    LABEL,
    PORT,
    SIZE,
    SOME_DURATION,
    TARGET,
    VARIABLE,
    list_of_pairs,
    no_shell,
    test_hint,
)
from bundler.graphfile.shapes import Either, Flag, Key, ListOf, MapOf, Number, Record, Text

_HEALTHCHECK_KEYS = (
    Key(
        "http",
        Text("a path such as /healthz", forms.URL_PATH, hint=forms.url_path_hint),
        "GET this path; any status from 200 to 399 is well.",
    ),
    Key("tcp", Flag(only=True), "Open a connection to the port."),
    Key(
        "test",
        ListOf("a list: a program of the container and its arguments", ARGUMENTS.items, min_items=1, hint=test_hint),
        "Run this in the container; status 0 is well.",
    ),
    Key("port", PORT, "The port to ask.", default="the first endpoint of expose"),
    Key("interval", SOME_DURATION, "Time between two checks.", default="10s"),
    Key("timeout", SOME_DURATION, "A check that takes longer has failed.", default="5s"),
    Key(
        "retries",
        Number("a number from 1 to 1000", minimum=1, maximum=1000),
        "So many failures in a row are one too many.",
        default="3",
    ),
    Key("start_period", DURATION, "Failures do not count for so long after the start.", default="30s"),
)
HEALTHCHECK = Record(
    "a health check",
    "When the service is ready to be used.",
    _HEALTHCHECK_KEYS,
    one_of=(("http", "tcp", "test"),),
    elsewhere=elsewhere.HEALTHCHECK,
    hint=lambda found: f"write {{http: {found}}}" if str(found).startswith("/") else test_hint(found),
)

GPUS = Either(
    "a number of GPUs, or {count, required}",
    (
        Number("a number of GPUs, at least 1", minimum=1, maximum=1024),
        Record(
            "gpus",
            "GPUs that the container sees.",
            (
                Key("count", Number("a number of GPUs, at least 1", minimum=1, maximum=1024), "How many.", True),
                Key("required", Flag(), "With false it also runs where there is none.", default="true"),
            ),
        ),
    ),
    hint=lambda found: "not every target can give all GPUs: say how many" if found == "all" else None,
)
RESOURCES = Record(
    "resources",
    "What each instance needs.",
    (
        Key(
            "cpus",
            Number(
                "a number of CPUs above 0, such as 0.5 or 2",
                integer=False,
                above=0,
                maximum=4096,
                hint=lambda found: f"write {found} without quotes" if isinstance(found, str) else None,
            ),
            "CPUs; a fraction is a share of one.",
        ),
        Key("memory", SIZE, "Memory; an instance that takes more is ended."),
        Key("shm", SIZE, "Size of /dev/shm; counts as memory.", default="the engine's (64MiB)"),
        Key("gpus", GPUS, "GPUs: a number, or {count: 1, required: false} where it also runs without."),
    ),
    elsewhere=elsewhere.RESOURCES,
)
SCALE = Record(
    "scale",
    "How many instances.",
    (
        Key("min", Number("a number from 1 to 1000", minimum=1, maximum=1000), "At least so many.", default="1"),
        Key("max", Number("a number from 1 to 1000", minimum=1, maximum=1000), "At most so many.", default="min"),
        Key(
            "cpu",
            Number("a percentage from 1 to 100", minimum=1, maximum=100),
            "Add instances when they use more than this percentage of resources.cpus on average.",
        ),
    ),
    hint=lambda found: f"write {{min: {found}, max: {found}}}" if isinstance(found, int) else None,
)
CONDITION = Text(
    "one of service_started, service_healthy and service_completed_successfully",
    choices=("service_started", "service_healthy", "service_completed_successfully"),
)

CONNECTION = Either(
    "node.endpoint, or the name of an external",
    (
        TARGET,
        Record(
            "a connection",
            "An edge in its long form.",
            (
                Key("to", TARGET, "The target: node.endpoint, or the name of an external.", True),
                Key("wait", Flag(), "With false this edge orders nothing; it breaks a cycle.", default="true"),
            ),
        ),
    ),
)
ENVIRONMENT = MapOf(
    "a map of variables",
    VARIABLE,
    Text("a text or a number", numbers=True, flags=True, placeholders=True, min_length=0, max_length=131072),
    hint=list_of_pairs,
    empty_hint=lambda name: no_shell(name),
)
DEPENDS_ON = Either(
    "a list of nodes, or a map of nodes to {condition}",
    (
        ListOf("a list of nodes", LABEL, unique=True),
        MapOf(
            "a map of nodes to {condition}",
            LABEL,
            Record(
                "a dependency",
                "What must hold first.",
                (Key("condition", CONDITION, "When to go on.", True),),
                elsewhere={"restart": "leave it out", "required": "leave it out"},
                hint=lambda found: f"write {{condition: {found}}}" if isinstance(found, str) else None,
            ),
        ),
    ),
)
TMPFS = ListOf(
    "a list of paths, or of {path, size}",
    Either(
        "a path, or {path, size}",
        (
            CONTAINER_PATH,
            Record(
                "a tmpfs",
                "A file system in memory.",
                (
                    Key("path", CONTAINER_PATH, "Where.", True),
                    Key("size", SIZE, "How much it can hold; counts as memory.", default="64MiB"),
                ),
            ),
        ),
    ),
    hint=lambda found: f"write a list: [{found}]" if isinstance(found, str) else None,
)
