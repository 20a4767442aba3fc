"""The words of the search: they are of the language, and a causal model's never look ahead."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import Batch, evaluate, parse_expression
from dsl.evaluator import value
from dsl.nodes import free_names
from dsl.text import plain_text, prefix
from search.forms.board import Board, features
from search.forms.known import forms
from search.forms.reading import read
from search.forms.vocabulary import vocabulary
from tests.search.forms.shapes import TOKENS, problem

CODE = ["\n", "\n", "def", " f", "(", "x", "):", "\n   ", ' """', " The", " end", ".", '"""', "\n", " x", " =", " 3", ".", "5", "]"]
WORDS = vocabulary(True)
EVERY = [*WORDS.query, *WORDS.key, *WORDS.relation]


@st.composite
def cut(draw):
    """A text and the length of a beginning of it."""
    tokens = draw(st.lists(st.sampled_from([*TOKENS, *CODE]), min_size=2, max_size=14))
    text = plain_text(tokens if draw(st.booleans()) else ["<s>", *tokens])
    return text, draw(st.integers(1, len(text) - 1))


def looks_ahead(expressions, text, n):
    """Those whose values at positions of the first n tokens differ when the rest is not there."""
    whole, begun = Batch([text], causal=True), Batch([prefix(text, n)], causal=True)
    lower = np.tril(np.ones((n, n), bool))
    for e in expressions:
        a, b = value(e, whole), value(e, begun)
        a, b = np.broadcast_to(a, (1, len(text), len(text)))[0, :n, :n], np.broadcast_to(b, (1, n, n))[0]
        if not np.array_equal(a[lower], b[lower]):
            yield str(e)


@settings(max_examples=30, deadline=None)
@given(cut())
def test_no_condition_of_a_causal_model_looks_ahead(given_cut):
    text, n = given_cut
    assert not list(looks_ahead(EVERY, text, n))


def test_what_looks_ahead_is_noticed():
    text = plain_text([" a", " b", "\n"])
    words = [parse_expression(t) for t in ("line_end(k)", "text(q + 1) == text(k)", "k == n - 1")]
    assert len(list(looks_ahead(words[:1], text, 2))) == 1
    assert len(list(looks_ahead(words[2:], text, 2))) == 1
    assert len(list(looks_ahead(words[1:2], plain_text([" a", " b", " a"]), 2))) == 1


@settings(max_examples=5, deadline=None)
@given(cut())
def test_no_known_form_of_a_causal_model_looks_ahead(given_cut):
    text, n = given_cut
    for form in forms(True):
        program = form.program(True)
        whole = evaluate(program, Batch([text], causal=True))[0, :n, :n]
        assert np.allclose(whole, evaluate(program, Batch([prefix(text, n)], causal=True))[0], atol=1e-6), form.name


@pytest.mark.parametrize("causal", [True, False])
def test_conditions_stand_on_the_side_that_they_look_at(causal):
    words = vocabulary(causal)
    assert all(free_names(g) & {"q", "k", "dist"} == {"q"} for g in words.query)
    assert all(free_names(g) & {"q", "k", "dist"} == {"k"} for g in words.key)
    board = Board(problem(1, causal))
    for kind, side in (("q", words.query), ("k", words.key), ("qk", words.relation)):
        assert len(set(side)) == len(side)
        assert all(board.mask(g)[0] == kind for g in side)


def test_more_conditions_stand_on_both_sides_once():
    more = WORDS.with_conditions(['text({}) == " the"', "newline({})"], ["q - k == 7"])
    assert [len(more.query) - len(WORDS.query), len(more.key) - len(WORDS.key)] == [1, 1]
    assert len(more.relation) - len(WORDS.relation) == 1


@pytest.mark.parametrize("causal", [True, False])
def test_known_forms_can_be_read_and_told(causal):
    known = forms(causal)
    assert len(known) >= 40
    assert len({f.name for f in known}) == len(known) == len({f.program(causal) for f in known})
    board = features(causal)
    for form in known:
        assert form.name
        assert form.sentence.endswith(".")
        assert read(form.program(causal), board) is not None, form.name
    assert all(f in forms(False) for f in forms(True))
    assert "{" not in "".join(str(f.program(causal)) for f in known)
