"""Conditions that an annotator gives to the search: the classes that occur in the texts, and relations between words.

Each is the text of an expression, with {} for the position where it speaks of one: `pos({}) == "NOUN"` is a condition on the query
as pos(q) == "NOUN" and on the key as pos(k) == "NOUN".
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from search.problem import Problem

LEAST = 8  # tokens that must be of a class
LEAST_SHARE = 0.002  # of all annotated tokens, the same
MOST = {"pos": 17, "dep": 24, "entity": 8}  # classes of each kind, the most frequent ones
ATTRIBUTES = {"pos": "pos", "dep": "dep", "entity": "ent_type"}  # the word's attribute behind each word of the language
FLAGS = {"is_stop": "is_stop", "sent_start": "is_sent_start", "like_num": "like_num"}
RELATIONS = (
    "head(q) == word(k)",
    "head(k) == word(q)",
    "head(q) == head(k) and not same(word)",
    "same(word)",
    "same(sentence)",
    "same(pos)",
    "same(dep)",
    "same(lemma)",
)


def annotated_guards(problem: Problem) -> list[tuple[str, str]]:
    """(name, expression): classes of a position, most frequent first within each kind, then relations of query and key.

    Empty where the texts have no annotation. A class counts where it is told of at least LEAST tokens, by their first word.
    """
    words = [text.words[own[0]] for text in problem.texts_given if text.annotated for own in text.alignment if own and text.words]
    if not words:
        return []
    least = max(LEAST, LEAST_SHARE * len(words))
    found: list[tuple[str, str]] = []
    for name, attribute in ATTRIBUTES.items():
        counts = Counter(str(getattr(word, attribute)) for word in words)
        frequent = sorted((c for c in counts if c and least <= counts[c] < len(words)), key=lambda c: (-counts[c], c))
        found += [(f"{name} {value}", f"{name}({{}}) == {_quoted(value)}") for value in frequent[: MOST[name]]]
        if name == "entity" and least <= len(words) - counts[""] < len(words):
            found.append(("entity", 'entity({}) != ""'))
    for name, attribute in FLAGS.items():
        number = sum(bool(getattr(word, attribute)) for word in words)
        if least <= number < len(words):
            found.append((name, f"{name}({{}})"))
    return [*found, *((relation, relation) for relation in RELATIONS)]


def _quoted(value: str) -> str:
    from dsl.nodes import Str

    return str(Str(value))
