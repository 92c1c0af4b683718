"""The language of site files: every key, what it may hold, and what it means. See `grammar` for graphs."""

from __future__ import annotations

from bundler.graphfile import forms
from bundler.graphfile.atoms import FIELD, LABEL, PORT, SOME_DURATION
from bundler.graphfile.shapes import Flag, Key, MapOf, Record, Scalar, Text

_HOST = (
    r"(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_ADDRESS = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*"
_SECRET = rf"{forms.LABEL}(?:\.{forms.FIELD})?"
_PLACE = rf"(?:services|jobs)\.{forms.LABEL}"
_OBJECT = r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?"

SECRET = Record(
    "a secret's source",
    "Where the bytes are.",
    (
        Key("file", Text("the path of a file", max_length=4096), "A file's bytes; relative to the site file."),
        Key("env", Text("the name of an environment variable", forms.VARIABLE), "An environment variable of `bundle`."),
        Key(
            "kubernetes",
            Text(
                "name/key of a Kubernetes Secret",
                r"[a-z0-9][a-z0-9.-]{0,252}/[A-Za-z0-9._-]{1,253}",
                hint=lambda found: "such as {kubernetes: database/password}",
            ),
            "A key of a Secret in the namespace, written name/key.",
        ),
    ),
    one_of=(("file", "env", "kubernetes"),),
    elsewhere={
        "value": "no secret stands in a site file: write {file: …}, {env: …} or {kubernetes: name/key}",
        "path": "write file",
        "environment": "write env",
    },
    hint=lambda found: "no secret stands in a site file: write {file: …}, {env: …} or {kubernetes: name/key}",
    private=True,
)
DOOR = Record(
    "a front door at a site",
    "Where people find it.",
    (
        Key(
            "host",
            Text(
                "a host name such as app.example.org",
                _HOST,
                max_length=253,
                hint=lambda found: "the name alone, without scheme and port" if ":" in str(found) else None,
            ),
            "The name people use.",
        ),
        Key("port", PORT, "The port outside.", default="the recorded one, else the first free from 8080 up"),
        Key(
            "bind",
            Text("an IP address such as 0.0.0.0", _ADDRESS, hint=forms.address_hint),
            "The address to listen on.",
            default="127.0.0.1",
        ),
        Key("tls", Text("the name of a certificate", max_length=253), "The certificate, by the name it has there."),
    ),
    hint=lambda found: (
        "write {} to open it with its defaults"
        if found is None
        else f"write {{port: {found}}}"
        if isinstance(found, int)
        else None
    ),
)
_OPTION = Text("a text or a number", numbers=True, max_length=253)

SITE = Record(
    "a site file",
    "What differs from place to place.",
    (
        Key("site", LABEL, "The name of the site."),
        Key("target", LABEL, "What to deploy to, such as docker, compose, k8s or k3s."),
        Key(
            "variant",
            Text('the name of a variant, or "" for none', rf"(?:{forms.LABEL})?", min_length=0, max_length=63),
            "The variant of the bundle to deploy.",
            default="the graph itself",
        ),
        Key("namespace", LABEL, "The Kubernetes namespace.", default="the app's name"),
        Key("context", Text("the name of a context", max_length=253), "The Docker or kubectl context."),
        Key(
            "values",
            MapOf("a map of values", Text("a value's name", forms.SLOT), Scalar("a text, a number, true or false")),
            "Answers to the graph's values.",
            example="{results: 20}",
        ),
        Key(
            "secrets",
            MapOf("a map of secrets", Text("a secret, or external.field", _SECRET), SECRET),
            "Where secrets come from; an external's password as EXTERNAL.password.",
            example="{api-key: {file: ./api-key.txt}, relay.password: {env: RELAY_PASSWORD}}",
        ),
        Key(
            "publish",
            MapOf("a map of front doors", LABEL, DOOR),
            "Host name, port, address and TLS of front doors; an optional door opens by being named.",
            example="{api: {host: search.example.org, tls: search-cert}, admin: {port: 9000}}",
        ),
        Key(
            "externals",
            MapOf(
                "a map of externals", LABEL, MapOf("a map of fields", FIELD, Text("a text or a number", numbers=True))
            ),
            "Addresses of what lies outside: url, or host and port, and the type's fields.",
            example="{relay: {host: mail.example.org, port: 587, user: search}}",
        ),
        Key(
            "storage",
            MapOf(
                "a map of volumes",
                LABEL,
                Record(
                    "storage",
                    "Where a volume lies.",
                    (
                        Key("class", Text("the name of a storage class", _OBJECT), "The storage class."),
                        Key(
                            "shared",
                            Flag(),
                            "Whether pods of several nodes may mount it at once, which its class must offer.",
                            default="false",
                        ),
                    ),
                    hint=lambda found: f"write {{class: {found}}}" if isinstance(found, str) else None,
                ),
            ),
            "Storage classes of volumes, and which of them several nodes may mount.",
            example="{documents: {class: fast}}",
        ),
        Key(
            "placement",
            MapOf(
                "a map of services.NAME or jobs.NAME",
                Text(
                    "services.NAME or jobs.NAME", _PLACE, hint=lambda found: f"write services.{found}, or jobs.{found}"
                ),
                MapOf("a map of words to texts", FIELD, _OPTION),
            ),
            "Where nodes run, in the target's words, such as gpu_class.",
            example="{services.api: {gpu_class: large}}",
        ),
        Key("timeout", SOME_DURATION, "How long a deploy waits until everything is ready."),
    ),
    elsewhere={
        "bundle": "this is a key of a graph; a site file holds what differs between sites",
        "services": "this is a key of a graph; a site file holds what differs between sites",
        "ports": "write publish: {DOOR: {port: N}}",
        "doors": "write publish",
        "environment": "write values, for what the graph lets a site decide",
        "volumes": "write storage: {VOLUME: {class: …}}",
        "registry": "how images get to a cluster is said with the command: --registry HOST/PATH",
        "containerd": "how images get to a cluster is said with the command: --containerd SOCKET",
        "pull_secret": "how images get to a cluster is said with the command: --pull-secret NAME",
        "pull_secret_from": "how images get to a cluster is said with the command: --pull-secret-from FILE",
    },
)
