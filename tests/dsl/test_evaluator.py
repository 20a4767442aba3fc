"""The evaluator against its specification, the naive double loop of oracle.py."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import Batch, evaluate, parse
from dsl.check import check
from dsl.nodes import Program
from dsl.text import Text
from tests.dsl import oracle
from tests.dsl.strategies import programs, texts


@settings(max_examples=250)
@given(programs(), st.lists(texts(), min_size=1, max_size=3), st.booleans())
def test_equals_the_oracle_on_every_text_of_a_batch(program: Program, several: list[Text], causal: bool) -> None:
    patterns = evaluate(program, Batch(several, causal))
    assert patterns.dtype == np.float32
    for pattern, text in zip(patterns, several, strict=True):
        n = len(text)
        np.testing.assert_allclose(pattern[:n, :n], oracle.pattern(program, text, causal), atol=1e-5)
        assert not pattern[n:].any() and not pattern[:, n:].any()


@settings(max_examples=100)
@given(programs(), texts(12), st.booleans())
def test_rows_sum_to_one_or_zero_and_nothing_lies_above_the_diagonal(program: Program, text: Text, causal: bool) -> None:
    (pattern,) = evaluate(program, Batch([text], causal))
    assert (pattern >= 0).all()
    sums = pattern.sum(1)
    assert (np.isclose(sums, 1, atol=1e-5) | (sums == 0)).all()
    if causal:
        assert not np.triu(pattern, 1).any()


@settings(max_examples=200)
@given(programs())
def test_printing_and_reading_are_inverse(program: Program) -> None:
    check(program)
    assert parse(str(program)) == program
