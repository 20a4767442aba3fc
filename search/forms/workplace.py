"""What a worker process keeps for the search over forms: boards of a run's texts, opened once."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from dsl import parse_expression
from dsl.concepts import Concepts
from search import workspace
from search.folder import CONCEPTS, RunFolder
from search.forms.board import Board
from search.forms.candidates import Candidates
from search.forms.token_sets import SIZES, TokenSets
from search.forms.unions import Names, any_of
from search.forms.vocabulary import Vocabulary, vocabulary
from search.llm.tools.concepts import at_hand
from search.problem import Problem
from search.rounds import learned, named

SMALL = 90_000  # cells on which moves are chosen
WHOLE = 360_000  # cells on which the constants of what is handed on are fitted


def words(problem: Problem, concepts: Concepts) -> Vocabulary:
    """The conditions of a search: the language's words, an annotator's classes where one ran, and the run's concepts."""
    from search.annotated import annotated_guards

    found = [text for _, text in annotated_guards(problem)]
    found += [f"{c.name}({{}})" if len(c.params) == 1 else f"{c.name}(q, k)" for c in concepts.values()]
    sides, relations = [t for t in found if "{}" in t], [t for t in found if "{}" not in t]
    return vocabulary(problem.causal).with_conditions(sides, relations, concepts)


@lru_cache(maxsize=2)
def candidates(path: str) -> Candidates:
    """The guards of a run on a sample of its `fit` texts' rows."""
    problem = workspace.problem(path, "fit")
    found = Candidates(_board(problem, SMALL), words(problem, RunFolder(Path(path)).concepts()))
    problem.batch.forget()
    return found


def concepts(path: str) -> tuple[Names, ...] | None:
    """The concepts that the search has made for the model; None before they are chosen."""
    folder = RunFolder(Path(path))
    return tuple(tuple(names) for names in folder.read(CONCEPTS)) if folder.has(CONCEPTS) else None


@lru_cache(maxsize=2)
def with_concepts(path: str, made: tuple[Names, ...] | None) -> Candidates:
    """The guards of a run, the concepts that the search has made among them."""
    if not made:
        return candidates(path)
    query, key = ([any_of(names, place) for names in made] for place in "qk")
    return candidates(path).extended(query, key)


@lru_cache(maxsize=2)
def informed(path: str, heads: tuple[int, ...], made: tuple[Names, ...] | None) -> Candidates:
    """The same with what language models have said: concepts they defined, and lists of tokens that they named for these heads."""
    folder = RunFolder(Path(path))
    known = at_hand(folder.concepts(), learned(folder))
    sides = [f"{c.name}({{}})" for c in known.values() if len(c.params) == 1] + named(folder, heads)
    if not sides:
        return with_concepts(path, made)
    query, key = ([parse_expression(t.replace("{}", side), known) for t in sides] for side in "qk")
    found = with_concepts(path, made).extended(query, key)
    workspace.problem(path, "fit").batch.forget()
    return found


@lru_cache(maxsize=2)
def token_sets(path: str, most: int | None) -> TokenSets:
    """The tokens of a run's `fit` texts that long programs may list, `most` of them in one set."""
    return TokenSets(candidates(path).board, most or max(SIZES))


@lru_cache(maxsize=2)
def whole(path: str, split: str) -> Board:
    """The rows of a split on which constants are fitted (`fit`) or programs compared (`select`)."""
    return _board(workspace.problem(path, split), WHOLE)


def _board(problem: Problem, cells: int) -> Board:
    return Board(problem, max(1, round(len(problem.q) / cells)))
