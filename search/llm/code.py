"""Whether a piece of an answer is a program, and what only its wrapping put there."""

from __future__ import annotations

import ast
import html
import json
import re
import textwrap
import warnings
from typing import Any

from dsl.nodes import OPERATIONS

RULE = re.compile(rf"^\s*(when\b|let\s+\w+\s*=|concept\s+\w+\s*\(|normalize\b|(?:{'|'.join(OPERATIONS)})\s+[\w(.\"-]|\}}|#)")
DEFINITION = re.compile(r"^[ \t>]*def\s+\w+\s*\(", re.M)
TYPOGRAPHY = str.maketrans(
    {"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "‚": "'", "–": "-", "−": "-", "\u00a0": " ", "\u2009": " ", "\u202f": " ",
     "\u200b": None, "\ufeff": None, "…": "..."}
)  # fmt: skip
_NUMBERED = re.compile(r"^ *(\d+)(?:[|:]| [|:]|\t)? ?")


def parsed(source: str) -> ast.Module | tuple[str, int]:
    """The syntax tree, or what is wrong and in which line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in strings are no reason to print anything
            return ast.parse(source)
    except SyntaxError as e:
        return (e.msg or "invalid syntax", min(e.lineno or 1, source.count("\n") + 1))
    except (ValueError, RecursionError, MemoryError) as e:
        return (str(e) or type(e).__name__, 1)


def mended(body: str) -> str:
    """The code without what only its wrapping put there: tabs, indentation of the whole, line numbers, prompts, entities,
    typographic quotes. What parses as it stands is left as it is."""
    tree = parsed(body)
    if isinstance(tree, ast.Module) and not _holds_entities(body, tree):
        return body.strip("\n")
    plain = ""
    for width in (4, 8):
        source = textwrap.dedent("\n".join(_unprefixed(body.expandtabs(width).split("\n")))).strip("\n")
        plain = plain or source
        unescaped = html.unescape(source)
        for attempt in dict.fromkeys((source, unescaped, source.translate(TYPOGRAPHY), unescaped.translate(TYPOGRAPHY))):
            tree = parsed(attempt)
            if isinstance(tree, ast.Module) and not _holds_entities(attempt, tree):
                return attempt
        if "\t" not in body:
            break
    return plain


def _holds_entities(source: str, tree: ast.Module) -> bool:
    """Whether a name is the rest of an entity: `x = a &lt; b` is Python, too."""
    return "&" in source and any(isinstance(n, ast.Name) and n.id in ("lt", "gt", "amp", "quot") for n in ast.walk(tree))


def _unprefixed(lines: list[str]) -> list[str]:
    """The lines without marks of quotations, prompts of a session, or line numbers, where most of them have such."""
    filled = [line for line in lines if line.strip()]
    if filled and all(line.lstrip().startswith(">") and not line.lstrip().startswith(">>>") for line in filled):
        lines = [re.sub(r"^\s*> ?", "", line) for line in lines]
    if sum(line.startswith((">>> ", "... ")) for line in lines) * 2 > len(lines):
        lines = [line[4:] for line in lines if line.startswith((">>>", "..."))]
    numbers = [m and int(m[1]) for m in map(_NUMBERED.match, lines)]
    if len(lines) > 2 and None not in numbers and numbers == list(range(numbers[0] or 0, (numbers[0] or 0) + len(lines))):
        lines = [_NUMBERED.sub("", line) for line in lines]
    return lines


def json_data(body: str) -> Any:
    """The data of a body that is a JSON object or array; None for anything else. Line ends within strings are forgiven."""
    if not body.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(body, strict=False)
    except (ValueError, RecursionError):
        return None


def is_json(body: str) -> bool:
    return json_data(body) is not None


def has_rules(body: str) -> bool:
    """Whether most lines look like the language."""
    lines = [line for line in body.splitlines() if line.strip()]
    return sum(bool(RULE.match(line)) for line in lines) * 2 > len(lines)


def is_program(body: str, as_it_is: bool = False) -> bool:
    """Whether this is a whole program: Python with a function, or rules of the language. as_it_is: with nothing to be mended."""
    if DEFINITION.search(body):
        return isinstance(parsed(body if as_it_is else mended(body)), ast.Module)
    if not has_rules(body):
        return False
    from dsl.errors import LanguageError
    from dsl.parser import parse

    try:
        return bool(parse(textwrap.dedent(body.expandtabs(4)).strip("\n")).statements)
    except (LanguageError, RecursionError):
        return False
