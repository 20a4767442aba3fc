"""Concept files that a user gives: `--concepts FILE`."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UserError

if TYPE_CHECKING:
    from dsl import Concept

HELP = "a file of concepts: lines such as concept clause_end(p) = clause_mark(p) or sentence_end(p)"


def concepts_option(parser: ArgumentParser, use: str) -> None:
    parser.add_argument("--concepts", metavar="FILE", help=f"{HELP}; {use}")


def read_concepts(name: str | None) -> dict[str, Concept]:
    """The concepts of a file by name; none without a file. Raises UserError, one line, with the place of the fault."""
    from dsl import LanguageError, parse_concepts
    from harness.commands.check import read

    if name is None:
        return {}
    try:
        found = parse_concepts(read(Path(name)))
    except LanguageError as error:
        raise UserError(f"{name}: {error}") from None
    if not found:
        raise UserError(f"{name}: defines no concept")
    return found
