"""A placed picture -> a page in one file: the SVG, and the details of a node on a click. Nothing comes from outside.

What others wrote is text in the SVG and in a block of JSON; a Content-Security-Policy runs the page's own script and no
other, and opens no connection.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files

from bundler.pictures.placing import Placed
from bundler.pictures.svg import svg, text
from bundler.pictures.texts import data


def html(placed: Placed) -> str:
    script, sheet = _part("page.js"), _part("page.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"
    lines = (
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{text(placed.picture.title)}</title>",
        f"<style>\n{sheet}</style>",
        "</head>",
        "<body>",
        f"<main>\n{svg(placed)}</main>",
        "<nav>",
        '<input type="search" placeholder="find  ( / )" aria-label="find a node">',
        '<button id="closer" aria-label="closer">+</button>',
        '<button id="further" aria-label="further away">−</button>',
        '<button id="all">all</button>',
        "</nav>",
        '<aside hidden aria-live="polite"></aside>',
        f'<script type="application/json" id="picture">{_block(data(placed.picture))}</script>',
        f"<script>{script}</script>",
        "</body>",
        "</html>",
    )
    return "\n".join(lines) + "\n"


def _part(name: str) -> str:
    return (files("bundler.pictures") / name).read_text(encoding="utf-8")


def _block(content: object) -> str:
    """JSON that cannot end the element it stands in."""
    return (
        json.dumps(content, ensure_ascii=True).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    )
