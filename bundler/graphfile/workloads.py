"""The grammar of services and jobs."""

from __future__ import annotations

from bundler.graphfile import elsewhere, forms
from bundler.graphfile.atoms import (
    ARGUMENTS,
    CAPABILITIES,
    COMMAND,
    DURATION,
    FIELD,
    LABEL,
    PORT,
    SLOT,
    SOME_DURATION,
    TYPE,
    capability_hint,
    expose_hint,
    image_alone,
    mounts,
    port_hint,
)
from bundler.graphfile.parts import CONNECTION, DEPENDS_ON, ENVIRONMENT, HEALTHCHECK, RESOURCES, SCALE, TMPFS
from bundler.graphfile.shapes import Either, Flag, Key, ListOf, MapOf, Number, Patch, Record, Text

_IMAGE = Text(
    "the reference of an image, such as registry.example/acme/api:1.0",
    forms.IMAGE,
    max_length=255,
    hint=forms.image_hint,
)
_PYTHON = Record(
    "a Python project",
    "A Python project that becomes an image without a Dockerfile, from wheels alone.",
    (
        Key(
            "python",
            Text(
                "the path of a folder with a pyproject.toml or a requirements.txt, such as ./app",
                forms.RELATIVE_PATH,
                max_length=1024,
                read=forms.relative_path,
                hint=forms.path_hint,
            ),
            "The project's folder, relative to this file. Its requirements.txt pins every package that it needs.",
            True,
        ),
        Key(
            "base",
            Text(
                "the reference of an image, such as registry.example/acme/python:3.13, or rootfs:./FILE",
                forms.BASE,
                max_length=255,
                hint=forms.image_hint,
            ),
            "The image that it is put on, with this Python in it, pinned by digest when packed: as image, or the tar "
            "of a file system's root as rootfs:./FILE (docker export, mmdebstrap).",
            default="python:VERSION-slim",
        ),
        Key(
            "version",
            Text(
                'a version of Python from "3.9" on, in quotes',
                forms.PYTHON_VERSION,
                hint=lambda found: "quote it: YAML reads 3.10 as 3.1" if isinstance(found, float) else None,
            ),
            "The base's Python, which wheels are chosen for.",
            default='that of a base called python:X.Y, "3.13" without a base',
        ),
    ),
    elsewhere=elsewhere.BUILD,
)
_WORKLOAD_KEYS = (
    Key(
        "image",
        _IMAGE,
        "The image, pinned by digest when packed: a reference, or one on disk as oci:./DIR, oci-archive:./FILE or "
        "docker-archive:./FILE.",
        example="postgres:17",
    ),
    Key(
        "build",
        Either(
            "the path of a folder with a Dockerfile, or {python: ./folder}",
            (
                Text(
                    "the path of a folder with a Dockerfile, such as ./api",
                    forms.RELATIVE_PATH,
                    max_length=1024,
                    read=forms.relative_path,
                    hint=forms.path_hint,
                ),
                _PYTHON,
            ),
        ),
        "A folder with a Dockerfile, relative to this file, or {python: ./folder} for a Python project without one; "
        "built when packed.",
        example="./api",
    ),
    Key(
        "connect",
        MapOf(
            "a map of slots to node.endpoint",
            SLOT,
            CONNECTION,
            hint=lambda found: (
                "name each slot: connect: {SLOT: node.endpoint}" if isinstance(found, list | str) else None
            ),
        ),
        "The edges: my slot: their endpoint. Gives ${slot.host}, ${slot.port}, ${slot.url} and the type's fields; "
        "means: start after it is ready.",
        example="{store: db.sql, mail: relay}",
    ),
    Key(
        "depends_on",
        DEPENDS_ON,
        "Order without an address: a list, or Compose's map with a condition.",
        default="of a list: service_healthy where the target has a healthcheck, else service_started; "
        "service_completed_successfully for a job",
        example="[migrate]",
    ),
    Key(
        "environment",
        ENVIRONMENT,
        "Environment variables; the texts may hold ${slot.field}, ${values.x}, ${secrets.x} (in an address "
        "${secrets.x.encoded}, percent-encoded) and ${publish.door.url}.",
        example='{DATABASE_URL: "${store.url}", LANGUAGE: "${values.language}"}',
    ),
    Key("entrypoint", ARGUMENTS, "Replaces the image's ENTRYPOINT, and its CMD.", example="[python, -m, app]"),
    Key("command", COMMAND, "Replaces the image's CMD: the program's arguments.", example='[--port, "8080"]'),
    Key(
        "working_dir",
        Text("an absolute path", forms.DIRECTORY),
        "The directory the program starts in.",
        default="the image's",
    ),
    Key(
        "configs",
        mounts(forms.MOUNT, "name:/path"),
        "Config files to mount, read-only.",
        example="[prompts:/etc/prompts.yaml]",
    ),
    Key(
        "secrets",
        mounts(forms.SECRET_MOUNT, "name, or name:/path"),
        "Secrets to mount, readable by the user alone.",
        default="the path is /run/secrets/NAME",
        example="[api-key, certificate:/etc/tls/key.pem]",
    ),
    Key(
        "volumes",
        mounts(forms.MOUNT, "name:/path or name:/path:ro"),
        "Volumes to mount.",
        example="[documents:/data, shared:/in:ro]",
    ),
    Key(
        "models",
        mounts(forms.MOUNT, "name:/path"),
        "Weights to mount, always read-only.",
        example="[minilm:/models/minilm]",
    ),
    Key(
        "user",
        Either(
            "a uid, uid:gid, or a user of the image",
            (
                Text(
                    "a uid, uid:gid, or a user of the image",
                    forms.USER,
                    hint=lambda found: (
                        "write the user's name alone, or numbers such as 10001:10001" if ":" in str(found) else None
                    ),
                ),
                Number("a uid", minimum=0, maximum=4294967294),
            ),
        ),
        "Who the program runs as.",
        default="the image's",
        example='"10001:10001"',
    ),
    Key("read_only", Flag(), "The root file system cannot be written; see tmpfs.", default="false"),
    Key("tmpfs", TMPFS, "Directories in memory.", example="[/tmp, {path: /scratch, size: 1GiB}]"),
    Key("resources", RESOURCES, "What each instance needs.", example="{cpus: 2, memory: 4GiB}"),
    Key("init", Flag(), "Put a small init before the program; it reaps what the program leaves.", default="false"),
    Key(
        "cap_add",
        ListOf(
            "a list of capabilities",
            Text("a Linux capability such as NET_BIND_SERVICE", choices=CAPABILITIES, hint=capability_hint),
            unique=True,
        ),
        "Linux capabilities on top of the default ones.",
        example="[NET_BIND_SERVICE]",
    ),
    Key(
        "stop_signal",
        Text(
            "a signal such as SIGTERM",
            forms.SIGNAL,
            hint=lambda found: f"write SIG{found}" if str(found).isupper() else None,
        ),
        "The signal that asks the program to end.",
        default="the image's, else SIGTERM",
    ),
    Key("stop_grace_period", DURATION, "How long it may take to end before it is killed.", default="30s"),
)
SERVICE = Record(
    "a service",
    "A program that keeps running.",
    (
        Key(
            "use",
            Text(
                "NAME, NAME@VERSION or LIBRARY/NAME@VERSION of a component",
                forms.USE,
                max_length=255,
                read=forms.use,
                hint=forms.use_hint,
            ),
            "A component, to be this service (and what comes with it); every other key overrides what it says, and "
            "connect gives it what it needs.",
            example="postgres@17",
        ),
        Key(
            "parts",
            Patch("a map of changes such as {volumes: {data: {size: 20GiB}}}"),
            "Changes to the component's other nodes, under the names that they have in it.",
            example="{volumes: {data: {size: 100GiB}}}",
        ),
        *_WORKLOAD_KEYS,
        Key(
            "expose",
            MapOf(
                "a map of endpoint names to ports",
                LABEL,
                Either(
                    "a port, or {port, as}",
                    (
                        PORT,
                        Record(
                            "an endpoint",
                            "A port the program listens on.",
                            (Key("port", PORT, "The port.", True), Key("as", TYPE, "What it speaks.")),
                            elsewhere={"type": "write as: TYPE"},
                        ),
                    ),
                    hint=port_hint,
                ),
                hint=expose_hint,
            ),
            "Ports the program listens on, by name: {http: 8080}, or {db: {port: 5432, as: postgres}}. Nothing is "
            "published; see publish.",
            default="the type is the name where that is a known type, else tcp",
            example="{http: 8080, db: {port: 5432, as: postgres}}",
        ),
        Key("healthcheck", HEALTHCHECK, "When the service is ready: http, tcp or test.", example="{http: /healthz}"),
        Key(
            "liveness",
            HEALTHCHECK,
            "When an instance is beyond help and is started anew; only if asked for.",
            example="{http: /alive, interval: 30s}",
        ),
        Key("scale", SCALE, "How many instances.", default="one", example="{min: 2, max: 6, cpu: 70}"),
        Key(
            "outputs",
            MapOf(
                "a map of endpoints to fields",
                LABEL,
                MapOf(
                    "a map of fields to texts",
                    FIELD,
                    Text("a text or a number", numbers=True, placeholders=True, min_length=0),
                ),
            ),
            "Further fields of an endpoint, such as {db: {user: app, password: '${secrets.db}'}}.",
            example='{sql: {user: app, password: "${secrets.db}", database: app}}',
        ),
    ),
    one_of=(("image", "build"),),
    elsewhere=elsewhere.SERVICE,
    completed_by="use",
    hint=image_alone,
)
JOB = Record(
    "a job",
    "A program that ends.",
    (
        *_WORKLOAD_KEYS,
        Key(
            "run",
            Text(
                'manual, install, upgrade, or a cron line such as "0 3 * * *"',
                forms.RUN,
                max_length=200,
                hint=forms.run_hint,
            ),
            "When: manual (bundle run), install (once per app), upgrade (at install and whenever the job changed), "
            "or a cron line.",
            default="manual",
            example='"0 3 * * *"',
        ),
        Key(
            "workers",
            Either(
                'a number, {min, max}, or "${values.x}"',
                (
                    Number("a number of workers, at least 1", minimum=1, maximum=99999),
                    Text('a number, or "${values.x}"', forms.WORKERS, placeholders=True),
                    Record(
                        "workers",
                        "How many run side by side.",
                        (
                            Key(
                                "min",
                                Either(
                                    'a number, or "${values.x}"',
                                    (
                                        Number("a number of workers, at least 1", minimum=1, maximum=99999),
                                        Text('a number, or "${values.x}"', forms.WORKERS, placeholders=True),
                                    ),
                                ),
                                "At least.",
                                default="1",
                            ),
                            Key(
                                "max",
                                Either(
                                    'a number, or "${values.x}"',
                                    (
                                        Number("a number of workers, at least 1", minimum=1, maximum=99999),
                                        Text('a number, or "${values.x}"', forms.WORKERS, placeholders=True),
                                    ),
                                ),
                                "At most.",
                                True,
                            ),
                        ),
                    ),
                ),
            ),
            "Processes side by side; each is told its rank, the world size and the master's address.",
            default="one, without a rank",
            example="{min: 2, max: 8}",
        ),
        Key(
            "retries",
            Number("a number from 0 to 1000", minimum=0, maximum=1000),
            "How often a failed run is repeated.",
            default="0",
        ),
        Key(
            "timeout",
            SOME_DURATION,
            "A run that takes longer, its retries included, is ended and has failed.",
            default="none",
        ),
    ),
    one_of=(("image", "build"),),
    elsewhere=elsewhere.JOB,
    later={"elastic": "elastic trainers are"},
    hint=image_alone,
)
