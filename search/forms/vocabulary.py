"""What the search may say: conditions on the query, on the key, and relations of the two, from the words of the language.

Every entry is an expression of the language, evaluated by the language's own evaluator, so that a printed program means what was
scored. Words that look at what follows a token are left out for causal models, which have not read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dsl import parse_expression
from dsl.concepts import NO_CONCEPTS, Concepts
from dsl.nodes import Expr

CLASSES = (
    "article", "determiner", "pronoun", "preposition", "conjunction", "auxiliary", "copula", "negation", "wh_word", "number_word",
    "function_word", "content_word", "light", "clause_mark", "opening_bracket", "closing_bracket", "operator", "joining", "symbol",
    "digit", "blank", "capitalised", "sentence_end", "indentation", "line_start", "name_like", "continuation", "first_occurrence",
    "repeated", "newline", "word_start", "special", "boundary", "leaning", "clause_word", "inner", "given",
)  # fmt: skip
AHEAD = ("line_end", "opening_quote", "closing_quote")  # told from the token after
KEYS = ("start", "anchor", "first_the", "first_sign", "first_stop", "first_comma", "first_break")  # where attention rests
BEFORE_QUERY = ("determiner", "preposition", "newline", "sentence_end", "clause_mark", "capitalised")
BEFORE_KEY = (*BEFORE_QUERY, "blank", "symbol", "conjunction", "content_word")
LAST = (
    "newline",
    "sentence_end",
    "clause_mark",
    "content_word",
    "preposition",
    "determiner",
    "opening_bracket",
    "capitalised",
    "operator",
)


@dataclass(frozen=True)
class Vocabulary:
    """Conditions on the query, on the key, and relations of the two."""

    query: tuple[Expr, ...]
    key: tuple[Expr, ...]
    relation: tuple[Expr, ...]

    def with_conditions(
        self, templates: Sequence[str], relations: Iterable[str] = (), concepts: Concepts = NO_CONCEPTS
    ) -> Vocabulary:
        """More conditions, with {} for the position, in words of the language and concepts."""
        sides = {letter: [parse_expression(t.replace("{}", letter), concepts) for t in templates] for letter in "qk"}
        return Vocabulary(
            _unique((*self.query, *sides["q"])),
            _unique((*self.key, *sides["k"])),
            _unique((*self.relation, *(parse_expression(text, concepts) for text in relations))),
        )


def _unique(items: tuple[Expr, ...]) -> tuple[Expr, ...]:
    return tuple(dict.fromkeys(items))


def vocabulary(causal: bool) -> Vocabulary:
    """The words that every search has."""
    classes = CLASSES if causal else (*CLASSES, *AHEAD)
    query = [f"{name}(q)" for name in classes] + [f"{name}(q - 1)" for name in BEFORE_QUERY]
    key = [f"{name}(k)" for name in (*classes, *KEYS)] + [f"{name}(k - 1)" for name in BEFORE_KEY]
    key += [f"k <= {n}" for n in (1, 2, 4, 8)]
    if not causal:
        query += [f"{name}(q + 1)" for name in BEFORE_QUERY]
        key += [f"{name}(k + 1)" for name in BEFORE_KEY] + ["k == n - 1", "k >= n - 2"]
    return Vocabulary(*(tuple(map(parse_expression, side)) for side in (query, key, tuple(relations(causal)))))


def relations(causal: bool) -> Iterable[str]:
    """Relations of the query and the key."""
    others = "dist > 0" if causal else "k != q"
    yield from (f"dist == {d}" for d in (0, 1, 2, 3))
    if causal:
        yield from (f"dist <= {d}" for d in (2, 4, 8, 16, 32))
        yield "dist > 0"
    else:
        yield from (f"dist == -{d}" for d in (1, 2, 3))
        yield from (f"abs(dist) <= {d}" for d in (1, 2, 4, 8, 16, 32))
        yield from ("dist > 0", "dist < 0", "k != q")
    yield from ("same(text)", f"same(text) and {others}", f"same(strip) and {others}")
    yield from ("text(k - 1) == text(q)", "text(k - 1) == text(q) and text(k - 2) == text(q - 1)")
    yield from ("text(k) == text(q - 1) and dist > 1", "k == nearest(p < q: text(p) == text(q))")
    if not causal:
        yield from ("text(k + 1) == text(q)", "text(k) == text(q + 1)")
    low, high = ("k", "q") if causal else ("min(q, k)", "max(q, k)")
    yield f"not any(p in {low}..{high} - 1: sentence_end(p))"
    yield f"count(p in {low}..{high} - 1: sentence_end(p)) == 1"
    yield f"not any(p in {low}..{high} - 1: newline(p))"
    yield f"not any(p in {low} + 1..{high}: word_start(p))"
    yield from (f"k == nearest(p < q: {name}(p))" for name in LAST)
    if not causal:
        yield from (f"k == first(p > q: {name}(p))" for name in LAST)
    for limit in (0.3, 0.5):
        yield f"similarity(q, k) > {limit} and {others}"
        yield f"similarity(q, k - 1) > {limit}"
