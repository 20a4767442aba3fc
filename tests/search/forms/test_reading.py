"""Shapes as programs and back, and their length."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dsl
from dsl import parse, simplify
from dsl.nodes import all_of
from search.forms.board import Board, features
from search.forms.finishing import rounded
from search.forms.fitting import score
from search.forms.reading import read
from search.forms.shapes import program, size
from tests.search.forms.shapes import problem, random_shape

BOARDS = {causal: Board(problem(23, causal)) for causal in (True, False)}


@st.composite
def shapes(draw):
    """A rounded shape of any form, and the kind of model it is for."""
    causal = draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    shape = random_shape(rng, causal, first=draw(st.sampled_from(["add", None])))
    return causal, rounded(shape, [draw(st.integers(1, 3))] * len(shape.rules))


def close(a, b):
    return np.allclose(a, b, rtol=1e-4, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(shapes())
def test_a_printed_shape_is_read_as_itself(found):
    causal, shape = found
    again = read(parse(str(program(shape, 6))), features(causal))
    assert again is not None
    for a, b in zip(shape.rules, again.rules, strict=True):
        assert (a.op, all_of(a.guard), a.steps, a.feature) == (b.op, all_of(b.guard), b.steps, b.feature)
    assert all(close(a, b) for a, b in zip(shape.theta, again.theta, strict=True))
    assert close(shape.beta, again.beta)


@settings(max_examples=30, deadline=None)
@given(shapes())
def test_the_text_is_no_longer_than_said_and_the_canonical_one_means_the_same_when_read(found):
    causal, shape = found
    canonical = simplify(program(shape, 6))
    assert dsl.size(program(shape, 6)) <= size(shape)
    again = read(canonical, features(causal))
    if again is not None:
        board = BOARDS[causal]
        assert abs(score(board, again, board.target([0])) - score(board, shape, board.target([0]))) < 1e-3


def test_canonical_texts_can_be_read():
    """Simplification may give a program a form that is no shape; of what a search makes, hardly any."""
    rng = np.random.default_rng(29)
    lost = []
    for i in range(60):
        shape = random_shape(rng, bool(i % 2))
        if any(r.op == "share" and not r.guard for r in shape.rules):
            continue  # does nothing but normalize
        shape = rounded(shape, [2] * len(shape.rules))
        canonical = simplify(program(shape, 6))
        if read(canonical, features(bool(i % 2))) is None:
            lost.append(str(canonical))
    assert len(lost) <= 5, lost


@pytest.mark.parametrize(
    "text",
    ["add dist", "max 1", "when dist == 1 add -1", "let x = q\nwhen x == k add 1", "add 1\nnormalize", "share 1",
     "add 1 if k == 0 else 2",
     "when weight > 0 add 1", "share 0.5 ** dist", ""],
)  # fmt: skip
def test_what_is_no_shape_is_not_read(text):
    assert read(parse(text), features(True)) is None


def test_branches_are_read_as_guards():
    shape = read(parse("add 1\nwhen q == 1 { when k == 0 scale 3 } else { add 2 }"), features(True))
    assert shape is not None
    assert [str(all_of(r.guard)) for r in shape.rules] == ["None", "q == 1 and k == 0", "not q == 1"]


@pytest.mark.parametrize("value", ["3 if rests(q) else 1", "(3 if rests(q) else 1) * 0.9 ** dist"])
def test_classes_of_queries_may_be_concepts(value):
    concepts = "concept halt(p) = sentence_end(p) or newline(p)\nconcept rests(p) = halt(p) or clause_mark(p)\n"
    written = parse(f"{concepts}add 0.5\nwhen start(k) add {value}")
    assert program(read(written, features(True)), 3) == written
