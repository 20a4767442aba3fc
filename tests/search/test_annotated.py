"""The conditions that an annotator gives: those that occur, told apart by the evaluator, and none without annotation."""

from dataclasses import replace

import numpy as np
import pytest

from dsl import parse_expression
from dsl.evaluator import value
from dsl.nodes import TRUE, And
from dsl.text import Word, plain_text
from search.annotated import LEAST, RELATIONS, annotated_guards
from search.problem import Problem

SENTENCE = (
    ("the", "DET", "det", 1),
    ("cat", "NOUN", "nsubj", 2),
    ("saw", "VERB", "ROOT", 2),
    ("Lily", "PROPN", "dobj", 2),
    (".", "PUNCT", "punct", 2),
)


def problem(repeats: int = LEAST, annotated: bool = True) -> Problem:
    text = plain_text(["<s>", *(word for word, *_ in SENTENCE), "x"])
    words = tuple(
        Word(w, i, pos=pos, dep=dep, head=head, ent_type="PERSON" if pos == "PROPN" else "", is_sent_start=i == 0, is_stop=i == 0)
        for i, (w, pos, dep, head) in enumerate(SENTENCE)
    )
    alignment = ((), *((i,) for i in range(len(words))), ())
    if annotated:
        text = replace(text, words=words, alignment=alignment, annotated=True)
    n = len(text)
    return Problem([text] * repeats, True, np.zeros((1, repeats * n * n), np.float16))


def test_every_class_that_occurs_is_a_condition_on_query_and_key():
    found = dict(annotated_guards(problem()))
    assert {f'pos({{}}) == "{pos}"' for _, pos, _, _ in SENTENCE} <= set(found.values())
    assert {f'dep({{}}) == "{dep}"' for _, _, dep, _ in SENTENCE} <= set(found.values())
    assert {'entity({}) == "PERSON"', 'entity({}) != ""', "is_stop({})", "sent_start({})", *RELATIONS} <= set(found.values())
    assert 'pos({}) == ""' not in found.values()


@pytest.mark.parametrize("place", ["q", "k"])
def test_every_condition_holds_somewhere_and_not_everywhere(place):
    given = problem()
    for name, expression in annotated_guards(given):
        holds = given.pack(value(And((TRUE, parse_expression(expression.format(place)))), given.batch))
        assert holds.dtype == bool and not holds.all(), name
        assert holds.any() or name in RELATIONS, name


def test_the_head_of_a_word_is_found():
    given = problem()
    holds = given.pack(value(parse_expression("head(k) == word(q)"), given.batch))
    pairs = {(int(given.position[q]), int(given.position[k])) for q, k in zip(given.q[holds], given.k[holds], strict=True)}
    assert {(2, 1), (3, 2)} <= pairs and (4, 3) not in pairs  # the cat saw Lily: cat -> the, saw -> cat


def test_rare_classes_and_texts_without_annotation_give_nothing():
    assert [text for _, text in annotated_guards(problem(LEAST - 1))] == list(RELATIONS)
    assert annotated_guards(problem(annotated=False)) == []
