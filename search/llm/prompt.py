"""Prompts from template files.

A template file is plain text in sections that begin with a line `=== NAME`; {{name}} is filled in. prompts/default.md is the
template that ships with the project; in a file of the user's, sections that are missing are taken from it, and a file without any
section line is the `propose` section.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path

# by section: the placeholders it may have, and those it must have
SECTIONS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "system": (frozenset(), frozenset()),
    "propose": (
        frozenset({"head", "mask", "hints", "cells", "feedback", "language", "environment", "example", "form"}),
        frozenset({"cells"}),
    ),
    "feedback": (frozenset({"score", "baseline", "program", "details"}), frozenset({"program"})),
    "explainer": (frozenset({"language", "tools", "parsimony"}), frozenset({"tools"})),
    "explain": (frozenset({"head", "mask", "hints", "known", "rounds"}), frozenset({"hints"})),
    "survey": (frozenset({"mask", "kinds", "known", "rounds"}), frozenset({"kinds"})),
    "correct": (frozenset({"problems"}), frozenset({"problems"})),
}
_SECTION = re.compile(r"^=== *(\w+) *$", re.M)
_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_PIECE = re.compile(r"[A-Za-z]+|\d|\n+|[^\sA-Za-z\d]")


@dataclass(frozen=True)
class Template:
    """Sections by name; `source` is what error messages call the file."""

    sections: Mapping[str, str]
    source: str = "default.md"

    def fill(self, section: str, values: Mapping[str, str]) -> str:
        """The section with placeholders replaced; a value is never searched for placeholders. Empty values leave no gap."""
        text = _PLACEHOLDER.sub(lambda m: values.get(m[1], ""), self.sections[section])
        return re.sub(r"\n{3,}", "\n\n", text).strip()


@cache
def default_template() -> Template:
    text = files("search.llm").joinpath("prompts/default.md").read_text(encoding="utf-8")
    return Template(_sections(text, "default.md"))


def read_template(path: Path) -> Template:
    """A user's template. Raises ValueError with file, line and what is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise ValueError(f"{path}: cannot be read ({getattr(e, 'strerror', None) or e})") from None
    return parse_template(text, str(path))


def parse_template(text: str, source: str) -> Template:
    """The template in `text`, checked; sections that it lacks are those of the default."""
    return Template({**default_template().sections, **_sections(text, source)}, source)


def _sections(text: str, source: str) -> dict[str, str]:
    marks = list(_SECTION.finditer(text))
    if not marks:
        return {"propose": _checked("propose", text, source, 1)}
    if text[: marks[0].start()].strip():
        raise ValueError(f"{source}: text before the first section line ({marks[0][0]!r})")
    sections: dict[str, str] = {}
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        name, line = mark[1], text.count("\n", 0, mark.start()) + 1
        if name not in SECTIONS:
            raise ValueError(f"{source}, line {line}: no section is called {name!r}; sections are {', '.join(SECTIONS)}")
        if name in sections:
            raise ValueError(f"{source}, line {line}: section {name!r} occurs twice")
        body = text[mark.end() : following.start() if following else len(text)]
        sections[name] = _checked(name, body, source, line)
    return sections


def _checked(section: str, body: str, source: str, line: int) -> str:
    known, required = SECTIONS[section]
    for match in _PLACEHOLDER.finditer(body):
        if match[1] not in known:
            here = line + body.count("\n", 0, match.start())
            close = get_close_matches(match[1], known, 1)
            hint = f"did you mean {{{{{close[0]}}}}}?" if close else f"known here: {', '.join(sorted(known)) or 'none'}"
            raise ValueError(f"{source}, line {here}: unknown placeholder {match[0]} in section {section!r}; {hint}")
    missing = required - {m[1] for m in _PLACEHOLDER.finditer(body)}
    if missing:
        names = ", ".join(f"{{{{{name}}}}}" for name in sorted(missing))
        raise ValueError(f"{source}, line {line}: section {section!r} lacks {names}")
    if not body.strip():
        raise ValueError(f"{source}, line {line}: section {section!r} is empty")
    return body.strip("\n")


def estimate_tokens(text: str) -> int:
    """About as many tokens as usual tokenizers count, rather more than fewer; takes microseconds."""
    return sum(1 if not p[0].isalpha() else (len(p) + 5) // 6 for p in _PIECE.findall(text)) if text else 0
