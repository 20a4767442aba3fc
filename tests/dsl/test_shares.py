"""share: rows are divided up as its definition says, and what does nothing beside a share goes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import Batch, english, evaluate, parse, simplify
from dsl.evaluator import value
from dsl.nodes import Num, Program, Rule
from dsl.text import Text, plain_text
from tests.dsl.strategies import guards, programs, texts
from tests.dsl.strategies import scope as no_scope

parts = st.sampled_from((0.0, 0.25, 0.5, 1.0))


@settings(max_examples=150)
@given(programs(), guards(no_scope(), 2), parts, texts(9), st.booleans(), st.none() | st.integers(1, 5))
def test_the_guard_gets_its_share_and_the_rest_keeps_its_proportions(
    program: Program, guard, part: float, text: Text, causal: bool, window: int | None
) -> None:
    batch = Batch([text], causal, window)
    (before,) = evaluate(program, batch)
    (after,) = evaluate(Program((*program.statements, Rule("share", Num(part), guard))), batch)
    seen = batch.allowed[0]
    held = np.broadcast_to(value(guard, batch), (1, *seen.shape))[0] & seen
    np.testing.assert_allclose(after.sum(1), 1, atol=1e-5)
    for q in range(len(text)):
        row = np.where(before[q].any(), before[q], seen[q] / seen[q].sum())
        here, there = held[q], seen[q] & ~held[q]
        if not here.any() or not there.any():
            np.testing.assert_allclose(after[q], row, atol=1e-5)
            continue
        for cells, mass in ((here, part), (there, 1 - part)):
            total = row[cells].sum()
            if total == 0 or total > 1e-4:  # between them float32 has few digits left
                expected = row[cells] / total if total > 0 else 1 / cells.sum()
                np.testing.assert_allclose(after[q][cells], mass * expected, atol=1e-4)


SAME = [
    ("add 2\nscale 3\nwhen k == 0 share 0.5", "when k == 0 share 0.5"),
    ("add 1 + k\nscale 3\nmax 0\nwhen k == 0 share 0.5", "add k + 1\nwhen k == 0 share 0.5"),
    ("when k == 0 share 0.25\nset 2\nwhen k == 1 add 1", "add 2\nwhen k == 1 add 1"),
    ("when k == 0 share 0.25\nwhen k == 0 share 0.5", "when k == 0 share 0.5"),
    ("when k == 0 share 0\nwhen k == 0 share 0.5", "when k == 0 share 0\nwhen k == 0 share 0.5"),  # no proportions are left
    ("when k == 0 share 2", "when k == 0 share 1"),
    ("when k == 0 share -0.5", "when k == 0 share 0"),
    ("share 0.3", "share 1"),
    ("add k\nshare 0.3\nwhen k == 0 share 0.5", "add k\nwhen k == 0 share 0.5"),
    ("when k == 0 share 0.5\nshare 0.3\nwhen dist == 0 add 1", "when k == 0 share 0.5\nwhen dist == 0 add 1"),
    ("add k\nwhen q < 0 share 0.3\nwhen k == 0 add 1", "add k\nshare 1\nwhen k == 0 add 1"),
    ("when k == 0 share 0.3\nwhen k == 0 scale 2", "when k == 0 share 0.3\nwhen k == 0 scale 2"),
    (
        "when punctuation(q) { when k == 0 share 0.7 } else { when k == 0 share 0.2 }",
        "when k == 0 share 0.2 if not punctuation(q) else 0.7",
    ),
    (
        "when punctuation(k) { share 0.7 } else { share 0.2 }",  # the first decides what is left to the second
        "when punctuation(k) share 0.7\nwhen not punctuation(k) share 0.2",
    ),
]


@pytest.mark.parametrize(("before", "after"), SAME)
def test_canonical_form(before: str, after: str) -> None:
    program = simplify(parse(before))
    assert program == simplify(parse(after)) == simplify(program)
    text = plain_text(["a", ".", " b", ",", " a"])
    for causal in (True, False):
        batch = Batch([text], causal)
        np.testing.assert_allclose(evaluate(parse(before), batch), evaluate(parse(after), batch), atol=1e-6)
        np.testing.assert_allclose(evaluate(parse(before), batch), evaluate(program, batch), atol=1e-6)


def test_order_matters_and_is_kept() -> None:
    one, two = "when k == 0 share 0.5", "when dist == 0 share 0.5"
    assert simplify(parse(f"{one}\n{two}")) != simplify(parse(f"{two}\n{one}"))


def test_programs_of_shares_alone_are_mixtures() -> None:
    """Whatever its guards, each row sums to 1, the last share is exact."""
    batch = Batch([plain_text(["a", " b", ".", " c", " a", "."])])
    (pattern,) = evaluate(parse("when k == 0 share 0.6\nwhen punctuation(k) share 0.2\nwhen dist == 1 share 0.3"), batch)
    np.testing.assert_allclose(pattern.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(np.diag(pattern, -1), 0.3, atol=1e-6)


def test_english() -> None:
    def said(text: str) -> str:
        (sentence,) = english(parse(text))
        return sentence

    assert said("when start(k) share 0.6") == "60% of each token's attention goes to the start."
    assert said("when dist == 1 share 0.125") == "12.5% of each token's attention goes to the previous token."
    assert (
        said("when start(k) and content_word(q) share 0.6")
        == "60% of the attention of each token that is a content word goes to the start."
    )
    assert (
        said("when start(k) share 0.6 if content_word(q) else 0.3")
        == "Of each token's attention, 60% where the query is a content word, else 30%, goes to the start."
    )
    assert (
        said("when start(k) set 5 if sentence_end(q) else 12 if clause_mark(q) else 20")
        == "Each token attends to the start with weight exactly 5 where the query is the end of a sentence, "
        "12 where it is a clause mark, else 20."
    )
    assert (
        said("when punctuation(k) scale 3 if digit(q) else 0.5")
        == "The attention of each token to every token that is punctuation is multiplied by 3 where the query holds a digit, "
        "else 0.5."
    )
    assert said("share 1") == "The weights of each token are divided by their sum."
