"""Edits instead of whole programs: unified diffs, and blocks of SEARCH and REPLACE. They are applied to a program that is known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from search.llm.envelopes import outside_programs

_REPLACE = re.compile(
    r"^[ \t]*<{5,9} ?(?:SEARCH|ORIGINAL|HEAD)?[^\n]*\n(?P<old>(?:.*\n)*?)[ \t]*={5,9}[ \t]*\n"
    r"(?P<new>(?:.*\n)*?)[ \t]*>{5,9}[^\n]*$",
    re.M,
)
_HUNK = re.compile(r"^@@.*$", re.M)
_HEADER = re.compile(r"^(diff |index |--- |\+\+\+ |\\ No newline|new file|old mode|new mode|\*\*\* )")


@dataclass(frozen=True)
class Edit:
    """Lines to be found, and lines to stand in their place. No old lines: the whole is new."""

    old: tuple[str, ...]
    new: tuple[str, ...]


def replacements(text: str) -> tuple[list[Edit], str]:
    """The SEARCH/REPLACE blocks of an answer, and the answer without them."""
    edits, rest, at = [], [], 0
    for m in outside_programs(_REPLACE, text):
        edits.append(Edit(_lines(m["old"]), _lines(m["new"])))
        rest.append(text[at : m.start()])
        at = m.end()
    return edits, "".join([*rest, text[at:]])


def is_diff(label: str, body: str) -> bool:
    """Whether the body of a block is a unified diff."""
    if label in ("diff", "patch", "udiff"):
        return True
    lines = [line for line in body.split("\n") if line.strip()]
    return bool(lines) and bool(re.match(r"@@ |diff --git |--- \S+$", lines[0])) and any(line.startswith("+") for line in lines)


def hunks(body: str) -> list[Edit]:
    """The hunks of a unified diff. Line numbers are not trusted: what a hunk changes is found by its lines."""
    kept = "\n".join(line for line in body.split("\n") if not _HEADER.match(line))
    edits = []
    for hunk in _HUNK.split(kept):
        lines = hunk.strip("\n").split("\n")
        old = [line[1:] for line in lines if not line.startswith("+")]
        new = [line[1:] for line in lines if not line.startswith("-")]
        if any(line.strip() for line in (*old, *new)):
            edits.append(Edit(() if not any(line.strip() for line in old) else tuple(old), tuple(new)))
    return edits


def _lines(text: str) -> tuple[str, ...]:
    return tuple(text.rstrip("\n").split("\n")) if text.strip() else ()


def applied(edits: Sequence[Edit], bases: Iterable[str]) -> tuple[str, str | None] | None:
    """The edited text and the base that took every edit, the first such; None where none does.

    An edit without old lines is a text of its own, for which there is no base.
    """
    if edits and not edits[0].old:
        made = _applied(edits[1:], list(edits[0].new))
        return ("\n".join(made), None) if made is not None else None
    for base in bases:
        made = _applied(edits, base.split("\n"))
        if made is not None:
            return "\n".join(made), base
    return None


def _applied(edits: Sequence[Edit], lines: list[str]) -> list[str] | None:
    for edit in edits:
        for same in (str.rstrip, str.strip):
            at = _find([same(line) for line in lines], [same(line) for line in edit.old])
            if at is not None:
                break
        else:
            return None
        lines = [*lines[:at], *edit.new, *lines[at + len(edit.old) :]]
    return lines


def _find(lines: Sequence[str], wanted: Sequence[str]) -> int | None:
    """Where the wanted lines begin, blank ones at their ends aside."""
    return next((i for i in range(len(lines) - len(wanted) + 1) if list(lines[i : i + len(wanted)]) == list(wanted)), None)


def bare(edits: Sequence[Edit]) -> str:
    """What the edits write, without what they were made for."""
    return "\n".join("\n".join(edit.new) for edit in edits)
