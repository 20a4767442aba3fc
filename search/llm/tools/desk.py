"""The desk of one conversation: a head, the texts it is seen on, and the programs tried so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from search.llm.evidence import quote, share

if TYPE_CHECKING:
    import numpy as np

    from dsl.nodes import Concept, Program
    from search.problem import Problem

Arguments = Mapping[str, Any]


class BadArgument(ValueError):
    """What is wrong with the arguments of a tool, in one line for the model."""


@dataclass(frozen=True)
class Tried:
    """A program that was tried: as written, as fitted, and its IoU by domain. program is None where there is a problem."""

    number: int
    source: str
    form: str = "language"  # or python, or known: found before the conversation
    program: Program | None = None
    status: str = "parsed"  # as of a Proposal
    problem: str | None = None
    line: int | None = None
    size: int = 0
    fit: float = 0.0
    select: float = 0.0
    merit: float = 0.0  # select - parsimony x size


@dataclass(frozen=True)
class Other:
    """A program of another head."""

    name: str
    program: str


@dataclass(frozen=True, eq=False)
class Desk:
    """What tools read. They change nothing: `try` gives the programs it tried, for the next desk.

    fit, select: the texts shown and those that choose; row: the head's row in their targets. translate: Python to the language.
    """

    name: str
    row: int
    fit: Problem
    select: Problem
    translate: Callable[[str], Any]
    parsimony: float
    per_layer: int = 1
    others: Sequence[Other] = ()
    given: tuple[Tried, ...] = ()  # programs known before the conversation, the best first
    tried: tuple[Tried, ...] = ()
    concepts: Mapping[str, Concept] = field(default_factory=dict)  # at hand, by name
    cache: dict[str, Any] = field(default_factory=dict)  # of what the head alone decides, for all desks of the conversation

    def with_tried(self, more: Sequence[Tried]) -> Desk:
        return replace(self, tried=(*self.tried, *more))

    def with_concepts(self, concepts: Mapping[str, Concept]) -> Desk:
        return replace(self, concepts=concepts)

    @property
    def next_number(self) -> int:
        return len(self.given) + len(self.tried) + 1

    @cached_property
    def best(self) -> Tried | None:
        """The program of highest merit, given or tried, the first of equals."""
        able = [t for t in (*self.given, *self.tried) if t.program is not None]
        return max(able, key=lambda t: t.merit, default=None)

    def chosen(self, arguments: Arguments) -> tuple[str, Program | None]:
        """The program to compare with: the one asked for by number, else the last tried, else the best given."""
        number = whole(arguments, "program", 0)
        if number:
            found = next((t for t in (*self.given, *self.tried) if t.number == number and t.program is not None), None)
            if found is None:
                raise BadArgument(f"there is no program {number}")
            return f"#{number}", found.program
        last = next((t for t in reversed(self.tried) if t.program is not None), None)
        if last is not None:
            return f"#{last.number}", last.program
        return (f"#{self.given[0].number}", self.given[0].program) if self.given else ("no program yet", None)

    def head(self) -> np.ndarray:
        """(C) float32: the head's packed pattern on `fit`."""
        if "head" not in self.cache:
            self.cache["head"] = self.fit.target([self.row])[0]
        return self.cache["head"]

    def pattern(self, program: Program | None) -> np.ndarray | None:
        """(C): a program's packed pattern on `fit`; None without a program."""
        from dsl import evaluate

        return None if program is None else self.fit.pack(evaluate(program, self.fit.batch))

    @property
    def tokens(self) -> list[str]:
        """(N): the token of each row, counted through all texts."""
        if "tokens" not in self.cache:
            self.cache["tokens"] = [token for text in self.fit.texts_given for token in text.tokens]
        return self.cache["tokens"]

    @property
    def text_of(self) -> np.ndarray:
        """(N) int: the text of each row."""
        import numpy as np

        return np.repeat(np.arange(len(self.fit)), np.diff(self.fit.texts))

    @property
    def row_weights(self) -> np.ndarray:
        """(N) with sum 1: every domain the same, every text of a domain the same, every row of a text the same."""
        lengths = [len(t) for t in self.fit.texts_given]
        return (self.fit.weights / lengths)[self.text_of]

    def before(self, row: int) -> str:
        """The token before a row's in its text, "" at its start."""
        return self.tokens[row - 1] if self.fit.position[row] else ""


def row_sums(desk: Desk, values: np.ndarray) -> np.ndarray:
    """(N): sums of packed values (C) over each row."""
    import numpy as np

    return np.add.reduceat(values, desk.fit.rows[:-1])


def row_iou(desk: Desk, pattern: np.ndarray) -> np.ndarray:
    """(N): IoU of each row."""
    import numpy as np

    head = desk.head()
    union = row_sums(desk, np.maximum(head, pattern))
    return row_sums(desk, np.minimum(head, pattern)) / np.maximum(union, 1e-12)


def whole(arguments: Arguments, name: str, default: int) -> int:
    """A whole number among the arguments."""
    value = arguments.get(name, default)
    try:
        if isinstance(value, bool):
            raise ValueError
        return int(str(value).strip().lstrip("#t"))
    except ValueError:
        raise BadArgument(f"{name} must be a whole number, not {value!r}") from None


def span(arguments: Arguments, name: str, end: int) -> range:
    """Positions such as "10-20" or "7", or [10, 20]; all up to `end` where none are given."""
    value = arguments.get(name)
    if value is None or value == "":
        return range(end)
    parts = [str(v) for v in value] if isinstance(value, list | tuple) else str(value).replace("..", "-").split("-")
    try:
        first, last = int(parts[0]), int(parts[-1])
    except (ValueError, IndexError):
        raise BadArgument(f'{name} must look like "10-20", not {value!r}') from None
    if not 0 <= first <= last:
        raise BadArgument(f"{name}: {first} to {last} is no range of positions")
    return range(min(first, end), min(last + 1, end))


def domain(desk: Desk, arguments: Arguments) -> int | None:
    """The place of a domain among the names, None for all."""
    value = arguments.get("domain")
    if value in (None, "", "all"):
        return None
    if value not in desk.fit.domains.names:
        raise BadArgument(f"no domain {value!r}; there are {', '.join(desk.fit.domains.names)}")
    return desk.fit.domains.names.index(str(value))


def by_domain(desk: Desk, means: Mapping[str, Any]) -> str:
    """`stories .55, wiki .52`; one kind of text alone needs no name."""
    if len(means) == 1:
        return share(float(next(iter(means.values()))))
    return ", ".join(f"{name} {share(float(v))}" for name, v in means.items())


def number(value: float) -> str:
    """Three decimals without the zero in front, nor a sign before nothing."""
    text = f"{value:.3f}"
    if float(text) == 0:
        return "0"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


__all__ = ["Arguments", "BadArgument", "Desk", "Other", "Tried", "by_domain", "domain", "number", "quote", "row_iou", "row_sums",
           "share", "span", "whole"]  # fmt: skip
