"""The language of `bundle.yaml`: every key, what it may hold, its default and what it means.

The single source for the checker, for `schemas/bundle.schema.json` and for `bundle explain`. Rules that hold between
keys (names that must exist, edges, cycles) are in `nodes`, `edges` and `references`.
"""

from __future__ import annotations

from bundler.graphfile import elsewhere, forms
from bundler.graphfile.atoms import ENDPOINT, LABEL, SENTENCE, SIZE, TYPE, empty_map
from bundler.graphfile.shapes import Either, Flag, Key, ListOf, MapOf, Number, Record, Scalar, Shape, Text
from bundler.graphfile.workloads import JOB, SERVICE

NODE_KINDS = ("services", "jobs", "volumes", "configs", "secrets", "models", "externals")


def _named(kind: str, values: Shape, example: str) -> MapOf:
    return MapOf(f"a map of {kind} by name", LABEL, values, hint=empty_map(f"{{}}, or {example}"))


VOLUME = Record(
    "a volume",
    "Data that outlives its containers.",
    (Key("size", SIZE, "How much it must hold."),),
    elsewhere=elsewhere.VOLUME,
    hint=empty_map("{} for a volume without a stated size"),
)
CONFIG = Record(
    "a config",
    "A file or folder of settings.",
    (
        Key(
            "file",
            Text(
                "the path of a file, such as ./prompts.yaml",
                forms.RELATIVE_PATH,
                max_length=1024,
                read=forms.relative_path,
                hint=forms.path_hint,
            ),
            "A file, relative to this one.",
        ),
        Key(
            "dir",
            Text(
                "the path of a folder, such as ./settings",
                forms.RELATIVE_PATH,
                max_length=1024,
                read=forms.relative_path,
                hint=forms.path_hint,
            ),
            "A folder, relative to this file.",
        ),
        Key(
            "content",
            Text("a text", placeholders=True, min_length=0, max_length=1 << 20),
            "The file's text itself; placeholders are read in it.",
        ),
        Key("template", Flag(), "Whether placeholders are read in the file or folder.", default="false"),
    ),
    one_of=(("file", "dir", "content"),),
    elsewhere=elsewhere.CONFIG,
    hint=lambda found: f"write {{file: {found}}}" if isinstance(found, str) else None,
)
SECRET = Record(
    "a secret",
    "Bytes that only the site has.",
    (
        Key(
            "generate",
            Number("a number of characters from 8 to 256", minimum=8, maximum=256),
            "Make so many characters (A-Z a-z 0-9) at the site, once, if it gives none.",
        ),
    ),
    elsewhere=elsewhere.SECRET,
    hint=lambda found: (
        "no secret stands in a graph: write {} for one that the site must give, or {generate: 24}"
        if isinstance(found, str)
        else "write {} for one that the site must give, or {generate: 24}"
    ),
    private=True,
)
MODEL = Record(
    "a model",
    "Weights, packed as OCI layers.",
    (
        Key(
            "from",
            Text(
                "a path such as ./weights/minilm, or a registry reference with a tag",
                forms.MODEL,
                max_length=1024,
                read=forms.model_source,
                hint=forms.model_hint,
            ),
            "A file, a folder, or a registry reference.",
            True,
        ),
        Key("license", SENTENCE, "Its licence, an SPDX identifier such as apache-2.0."),
    ),
    elsewhere=elsewhere.MODEL,
    hint=lambda found: f"write {{from: {found}}}" if isinstance(found, str) else None,
)
EXTERNAL = Record(
    "an external",
    "Something outside that the site gives the address of.",
    (Key("as", TYPE, "What it speaks; says which fields a site gives.", True),),
    elsewhere=elsewhere.EXTERNAL,
    hint=lambda found: f"write {{as: {found}}}" if isinstance(found, str) else None,
)
_BOUND = Number("a number", integer=False)
_LENGTH = Number("a number of characters, at least 0", minimum=0, maximum=4096)
VALUE = Record(
    "a value",
    "A knob that a site may turn.",
    (
        Key(
            "type",
            Text("string, integer, number or boolean", choices=("string", "integer", "number", "boolean")),
            "Its type.",
            default="that of enum or default, else string",
        ),
        Key(
            "enum",
            ListOf("a list of what it may be", Scalar("a text, a number, true or false"), min_items=1, unique=True),
            "What it may be.",
        ),
        Key("minimum", _BOUND, "The smallest number."),
        Key("maximum", _BOUND, "The largest number."),
        Key("minLength", _LENGTH, "At least so many characters."),
        Key("maxLength", _LENGTH, "At most so many characters."),
        Key("pattern", Text("a regular expression", max_length=256), "A regular expression that the text contains."),
        Key(
            "default",
            Scalar("a text, a number, true or false"),
            "What holds where a site says nothing; without it the site must.",
        ),
        Key("title", SENTENCE, "A short name for people."),
        Key("description", SENTENCE, "What it does, for people."),
    ),
    elsewhere=elsewhere.VALUE,
    hint=lambda found: (
        "write {} for a text that the site must give, or {default: …}"
        if found is None
        else f"write {{default: {found}}}"
        if isinstance(found, str | int | float)
        else None
    ),
)
DOOR = Either(
    "an endpoint, written service.endpoint",
    (
        ENDPOINT,
        Record(
            "a front door",
            "A published endpoint in its long form.",
            (
                Key("to", ENDPOINT, "The endpoint, written service.endpoint.", True),
                Key("optional", Flag(), "With true it only opens where the site asks for it.", default="false"),
            ),
            elsewhere=elsewhere.DOOR,
        ),
    ),
    hint=lambda found: "write service.endpoint; the port outside is the site's" if isinstance(found, int) else None,
)

VERSION = Text(
    'a version such as "1.2.0", at most 100 characters of letters, digits, . _ and -',
    forms.VERSION,
    max_length=100,
    hint=lambda found: (
        f'quote it: "{found}"'
        if isinstance(found, int | float)
        else "write - instead of +"
        if "+" in str(found)
        else None
        if found
        else 'for a first one: "0.1.0"'
    ),
)
LIBRARY = Text(
    "the path of a folder with components, such as ./components",
    forms.RELATIVE_PATH,
    max_length=1024,
    read=forms.relative_path,
    hint=forms.path_hint,
)
GRAPH = Record(
    "a graph",
    "A whole system: what runs, what flows between, what it needs.",
    (
        Key("bundle", LABEL, "The name of the system.", True),
        Key(
            "version",
            VERSION,
            'The version of the system, quoted where it is a number: "1.0".',
            True,
        ),
        Key(
            "libraries",
            MapOf("a map of folders by name", LABEL, LIBRARY),
            "Where components come from beside the tool's own: {acme: ./components}, then use: acme/NAME@VERSION.",
            example="{acme: ./components}",
        ),
        Key(
            "values",
            MapOf(
                "a map of values by name",
                Text("a value's name of letters, digits, - and _", forms.SLOT, max_length=63),
                VALUE,
            ),
            "The only knobs a site may turn.",
            example="{results: {type: integer, minimum: 1, default: 5, description: Results on a page}}",
        ),
        Key(
            "services",
            _named("services", SERVICE, "NAME: {image: …}"),
            "Programs that keep running.",
            example="{api: {build: ./api, expose: {http: 8080}}}",
        ),
        Key(
            "jobs",
            _named("jobs", JOB, "NAME: {image: …}"),
            "Programs that end.",
            example='{ingest: {image: "ingest:1", run: install}}',
        ),
        Key(
            "volumes",
            _named("volumes", VOLUME, "NAME: {}"),
            "Data that outlives its containers.",
            example="{documents: {size: 10GiB}}",
        ),
        Key(
            "configs",
            _named("configs", CONFIG, "NAME: {file: ./NAME}"),
            "Files of settings, packed.",
            example="{prompts: {file: ./prompts.yaml}}",
        ),
        Key(
            "secrets",
            _named("secrets", SECRET, "NAME: {}"),
            "Names of secrets; their bytes live at the site.",
            example="{db: {generate: 24}, api-key: {}}",
        ),
        Key(
            "models",
            _named("models", MODEL, "NAME: {from: ./NAME}"),
            "Weights, packed and mounted read-only.",
            example="{minilm: {from: ./weights/minilm, license: apache-2.0}}",
        ),
        Key(
            "externals",
            _named("externals", EXTERNAL, "NAME: {as: http}"),
            "What lies outside and is connected to.",
            example="{relay: {as: smtp}}",
        ),
        Key(
            "publish",
            MapOf("a map of front doors", LABEL, DOOR),
            "Front doors: {DOOR: service.endpoint}. Host name, port and TLS are the site's.",
            example="{api: api.http, admin: {to: admin.http, optional: true}}",
        ),
    ),
    elsewhere=elsewhere.ROOT,
)
