"""Fewer digits: never more than the allowed loss, never more digits than before, as few as one where that is enough."""

import re

import numpy as np
import pytest

from dsl import parse, simplify
from search.rounding import _constants, shortened
from search.scoring import score


def digits(program):
    return [len(re.sub(r"e.*|\.", "", f"{abs(c):.12g}").strip("0")) for c in _constants(program)]


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(
    "text",
    [
        "when dist == 1 add 0.7123\nwhen k == 0 add 0.2987",
        "add 1.234 * exp(-0.4321 * abs(dist))\nwhen same(text) scale 3.456\nwhen k == 0 add 123.4",
        'add (1 + abs(dist)) ** -1.2345\nwhen text(k) == "." and dist > 12 { scale 0.0123 } else { scale 1.987 }',
    ],
)
def test_digits_are_dropped_within_the_allowed_loss(planted, text, causal):
    problem = planted(text, number=8, causal=causal)
    program = parse(text)
    before = problem.mean(score([program], problem, [0]))[0, 0]
    last = None
    for allowed in (0.0, 0.0005, 0.02, 1.0):
        found = shortened(program, problem, [0], allowed)
        assert problem.mean(score([found], problem, [0]))[0, 0] >= before - allowed - 1e-6
        assert sum(digits(found)) <= sum(digits(program))
        assert last is None or sum(digits(found)) <= last
        last = sum(digits(found))
    assert max(digits(found), default=0) <= 1  # at any price one digit does


def test_constants_that_are_round_already_stay(planted):
    problem = planted("when dist == 1 add 0.7\nwhen k == 0 add 0.3")
    program = simplify(parse("when dist == 12 add 0.7\nwhen k == 0 add 0.3"))
    assert shortened(program, problem, [0]) == program
    assert shortened(parse("when dist == 1 add 1"), problem, [0]) == parse("when dist == 1 add 1")


def test_every_head_and_every_kind_of_text_counts(planted):
    """A constant that only some heads need precisely keeps its digits for them."""
    problem = planted("add exp(-0.1234 * dist)", "when dist == 1 add 1", number=8)
    program = parse("add exp(-0.1234 * dist)")
    alone, together = (shortened(program, problem, heads, 0.002) for heads in ([1], [0, 1]))
    value = problem.mean(score([alone, together], problem, [0, 1]))
    assert value[1].mean() >= problem.mean(score([program], problem, [0, 1])).mean() - 0.002 - 1e-6
    assert np.isfinite(value).all() and digits(alone) <= digits(program)
