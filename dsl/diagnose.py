"""All that is wrong with a program's text, not only the first of it.

The parser stops at the first fault. Here the smallest statement around a fault is blanked and the rest is read again, so that every
statement is judged once. Names that a blanked statement would have given are not reported as unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dsl.concepts import NO_CONCEPTS, Concepts
from dsl.errors import LanguageError

MOST = 50  # faults that are reported of one text
STARTS = ("when", "let", "concept")  # no other word can begin where these stand
ACTIONS = ("set", "add", "scale", "share", "normalize", "max", "min")
GIVES = re.compile(r"(?:let|concept)\s+([A-Za-z_]\w*)")
UNKNOWN = re.compile(r"unknown \w+ '([^']*)'")
# Of a string that never ends, the rest of the line.
_WORD = re.compile(r'#[^\n]*|"(?:\\.|[^"\\\n])*"?|[A-Za-z_]\w*|[(){}]|\S')
ALWAYS = "0<1"  # a guard in place of a faulty one


@dataclass(frozen=True)
class Piece:
    """One stretch of the text that can be blanked by itself: a leaf statement, or the guard of a block (`header`)."""

    start: int
    end: int
    header: bool = False


def faults(source: str, concepts: Concepts = NO_CONCEPTS) -> tuple[LanguageError, ...]:
    """Every fault of a program's text in the order of the text, at most MOST; empty for a program that `parse` takes.

    >>> [str(e) for e in faults("when zzzz(k) add 1\\nset 2\\nadd zebra")]
    ["line 1, column 6: unknown function 'zzzz'", "line 3, column 5: unknown name 'zebra'"]
    """
    from dsl.parser import parse

    found: list[LanguageError] = []
    lost: set[str] = set()  # names whose definitions were blanked
    text, ended = source, False
    while len(found) < MOST:
        try:
            parse(text, concepts)
            break
        except LanguageError as error:
            at = _offset(text, error.line, error.column)
            end = "the program ends" in error.message or at >= len(source)
            name = UNKNOWN.match(error.message)
            if not (ended and end) and (name is None or name[1] not in lost):
                found.append(error)
            if not error.line:
                break
            mended = (_closed(text) if not ended else None) or _without_last(text) if end else _without(text, at, lost)
            ended |= end
            if mended is None or mended == text:
                break
            text = mended
    return tuple(sorted(found, key=lambda e: (e.line, e.column)))


def _without(text: str, at: int, lost: set[str]) -> str:
    """The text without the statement in which `at` lies, or the word where it lies in none."""
    piece = next((p for p in _pieces(text) if p.start <= at < p.end), None)
    if piece is None:  # between the statements: a bracket too many, a stray word
        word = next((m for m in _WORD.finditer(text) if m.start() <= at < m.end()), None)
        piece = Piece(at, word.end() if word else at + 1)
    lost.update(GIVES.findall(text[piece.start : piece.end]))
    return _blanked(text, piece)


def _without_last(text: str) -> str | None:
    pieces = list(_pieces(text))
    return _blanked(text, pieces[-1]) if pieces else None


def _blanked(text: str, piece: Piece) -> str:
    blank = re.sub(r"[^\n]", " ", text[piece.start : piece.end])
    if piece.header:
        blank = ALWAYS + blank[len(ALWAYS) :]
    return text[: piece.start] + blank + text[piece.end :]


def _closed(text: str) -> str | None:
    """The text with the brackets that are missing at its end; None where none is missing."""
    stack: list[str] = []
    for word, *_ in _words(text):
        if word in "({":
            stack.append({"(": ")", "{": "}"}[word])
        elif word in ")}" and stack and stack[-1] == word:
            stack.pop()
    return f"{text}\n{''.join(reversed(stack))}" if stack else None


def _pieces(text: str) -> Iterator[Piece]:
    """The statements of a text, as far as words alone tell them apart."""
    words = list(_words(text))
    begun: int | None = None  # where the statement at hand begins
    guard: int | None = None  # where its guard begins, if it has one
    acted = False  # its action was met
    end = 0
    for i, (word, start, stop, depth, first) in enumerate(words):
        call = i + 1 < len(words) and words[i + 1][0] == "("
        action = word in ACTIONS and depth == 0 and not (call and word in ("max", "min"))
        if word == "{":
            if begun is not None and guard is not None:
                yield Piece(guard, end, header=True)
            begun = guard = None
        elif word == "}" or word in STARTS or (action and (acted or begun is None or (first and guard is None))):
            if begun is not None:
                yield Piece(begun, end)
            begun = None if word == "}" else start
            guard = stop if word == "when" else None
            acted = action
        elif action:
            acted = True
        end = stop
    if begun is not None:
        yield Piece(begun, end)


def _words(text: str) -> Iterator[tuple[str, int, int, int, bool]]:
    """(word, start, end, depth in round brackets, first of its line); comments and the sets after `in` are left out."""
    depth, line, inside_set, before = 0, -1, False, ""
    for match in _WORD.finditer(text):
        word = match[0]
        if word.startswith("#"):
            continue
        if word in STARTS:
            depth, inside_set = 0, False  # a bracket left open does not swallow the statements after it
        if inside_set or (word == "{" and before == "in"):
            inside_set = word != "}"
            continue
        depth = max(0, depth + (word == "(") - (word == ")"))
        here = text.count("\n", 0, match.start())
        yield word, match.start(), match.end(), depth, here != line
        line, before = here, word


def _offset(text: str, line: int, column: int) -> int:
    lines = text.split("\n")
    return min(len(text), sum(len(each) + 1 for each in lines[: line - 1]) + column - 1)
