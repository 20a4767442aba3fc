"""Programs printed as Python mean the same when they are run."""

import warnings

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import Batch, evaluate, parse, simplify, to_module, to_python
from dsl.nodes import Program
from dsl.text import Text, plain_text
from tests.dsl import facades
from tests.dsl.strategies import programs, texts


@settings(max_examples=120)
@given(programs(), texts(), st.booleans())
def test_a_printed_module_gives_the_same_pattern(program: Program, text: Text, causal: bool) -> None:
    expected = evaluate(program, Batch([text], causal))[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for form in (program, simplify(program)):
            np.testing.assert_allclose(facades.run_module(to_module(form, "head", causal), text), expected, atol=1e-5)


@settings(max_examples=120)
@given(programs(), texts().map(facades.with_plain_word_starts), st.booleans())
def test_a_printed_function_gives_the_same_pattern(program: Program, text: Text, causal: bool) -> None:
    expected = evaluate(program, Batch([text], causal))[0]
    np.testing.assert_allclose(facades.run_python(to_python(program, causal), text), expected, atol=1e-5)


def test_only_the_helpers_that_are_used_are_printed() -> None:
    source = to_python(parse("when dist == 1 add 0.5"))
    assert source.count("def ") == 1
    assert "spacy" not in source
    assert "def punctuation" in to_python(parse("when punctuation(k) add 0.5"))


def test_a_module_needs_the_token_strings_alone() -> None:
    tokens = ("<s>", " the", " c", "at", ".", " the")
    program = parse("when word_start(k) and not special(k) add 1\nwhen similarity(q, k) > 0.5 add 1")
    scope: dict = {}
    exec(to_module(program, "head"), scope)
    np.testing.assert_allclose(scope["head"](list(tokens)), evaluate(program, Batch([plain_text(tokens)]))[0], atol=1e-6)
    assert "when word_start(k)" in scope["head"].__doc__
