"""The page as one HTML file: markup, style, script and data together, and a policy that forbids every request."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.session import Session

# in the order they build on each other
SCRIPTS = ("base.js", "program.js", "chart.js", "map.js", "list.js", "matrix.js", "shaded.js", "examples.js", "page.js")


def write_report(session: Session, outcome: dict[str, Any], path: Path, texts: int | None = None) -> int:
    """Writes the report of a finished run to `path`, whole or not at all; returns its size in bytes.

    texts: how many texts to show matrices of; by default as many as keep the page small.
    """
    from harness.report.data import page_data
    from search.folder import write_atomically

    content = document(page_data(session, outcome, texts)).encode()
    write_atomically(path, content)
    return len(content)


def document(data: dict[str, Any]) -> str:
    """The HTML document that shows `data` (see harness.report.data). Needs nothing but itself."""
    folder = files("harness.report") / "page"
    style = (folder / "page.css").read_text(encoding="utf-8")
    script = "\n".join((folder / name).read_text(encoding="utf-8") for name in SCRIPTS)
    markup = (folder / "page.html").read_text(encoding="utf-8")
    return composed(markup, f"{data['target']}: attention heads as programs", style, script, data)


def composed(markup: str, title: str, style: str, script: str, data: dict[str, Any], may: str = "") -> str:
    """Markup with its title, style, script and data in place, and a policy that allows these alone and what `may` says besides."""
    # "<" never stands in the data, so no token can end the script element.
    payload = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    parts = {
        "title": escape(title),
        "policy": (
            f"default-src 'none'; {may}style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; "
            "base-uri 'none'; form-action 'none'"
        ),
        "style": style,
        "data": payload,
        "script": script,
    }
    pieces = markup.split("%%")  # text, name, text, name, …, text
    return "".join(parts[piece] if i % 2 else piece for i, piece in enumerate(pieces))


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
