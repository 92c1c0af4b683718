"""The language of a component's file: nodes with good defaults, to be used in a graph by `use: NAME@VERSION`."""

from __future__ import annotations

from bundler.graphfile import forms
from bundler.graphfile.atoms import LABEL, SENTENCE
from bundler.graphfile.grammar import CONFIG, GRAPH, MODEL, SECRET, VERSION, VOLUME
from bundler.graphfile.shapes import Key, MapOf, Record, Text
from bundler.graphfile.types import TYPES
from bundler.graphfile.workloads import JOB, SERVICE

VOLUME_NEED = "volume"
SECTIONS = ("services", "jobs", "volumes", "configs", "secrets", "models")

NEED = Text(
    f"volume, or a type of endpoint: {', '.join(sorted(TYPES))}",
    choices=(VOLUME_NEED, *sorted(TYPES)),
)


def _nodes(kind: str, shape: Record) -> MapOf:
    return MapOf(f"a map of {kind} by name", LABEL, shape)


def _doc(section: str) -> str:
    key = GRAPH.key(section)
    return key.doc if key is not None else ""


COMPONENT = Record(
    "a component",
    "Nodes with good defaults, used in a graph by `use: NAME@VERSION`.",
    (
        Key("component", LABEL, "Its name; the service of this name becomes the node that uses it.", True),
        Key("version", VERSION, "Its version.", True),
        Key("summary", SENTENCE, "What it is, in one line.", True),
        Key("doc", Text("a text", placeholders=True, max_length=1 << 16), "What who uses it should know."),
        Key(
            "needs",
            MapOf("a map of slots to what they take", Text("a slot's name", forms.LABEL, max_length=63), NEED),
            "What whoever uses it must connect: {SLOT: volume}, or the type of an endpoint. A slot stands in this file "
            "where the node's name would.",
            example="{logs: volume, store: postgres}",
        ),
        Key("services", _nodes("services", SERVICE), _doc("services"), True),
        Key("jobs", _nodes("jobs", JOB), _doc("jobs")),
        Key("volumes", _nodes("volumes", VOLUME), _doc("volumes")),
        Key("configs", _nodes("configs", CONFIG), "Files of settings; their text stands here, as content."),
        Key("secrets", _nodes("secrets", SECRET), _doc("secrets")),
        Key("models", _nodes("models", MODEL), _doc("models")),
    ),
    elsewhere={
        "publish": "front doors are opened by the graph that uses it: publish: {DOOR: NODE.endpoint}",
        "values": "whoever uses it overrides its keys; there are no values of its own",
        "externals": "what it needs of others is a slot: needs: {SLOT: TYPE}",
        "bundle": "a component's file begins with component: NAME and version: VERSION",
    },
)
