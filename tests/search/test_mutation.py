"""Mutation: children are programs, differ from their parents, and can undo a change."""

import numpy as np
import pytest

from dsl import Batch, evaluate, parse
from dsl.check import check
from dsl.nodes import Block, Let, Program
from dsl.text import plain_text
from search.mutation import ALIKE, flat, mutated
from search.patterns import LIBRARY
from tests.dsl.golden import GOLDEN

TOKENS = [" a", " the", ".", "s"]
PROGRAMS = [parse(text) for text in LIBRARY.values()] + [parse(g.program) for g in GOLDEN]


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_children_are_checked_programs_that_differ(program):
    rng = np.random.default_rng(0)
    children = [mutated(program, PROGRAMS, TOKENS, rng) for _ in range(60)]
    made = [c for c in children if c is not None]
    if flat(program):
        assert made
    for child in made:
        check(child)
        assert parse(str(child)) == child
    assert not made or any(c != program for c in made)


def test_flat_keeps_the_meaning():
    text = plain_text(["<s>", " a", " dog", "s", " ran", ".", " a", " cat"])
    for program in PROGRAMS:
        rules = flat(program)
        if rules is None:
            continue
        assert not any(isinstance(s, Block | Let) for s in rules)
        batch = Batch([text], causal=True)
        np.testing.assert_array_equal(evaluate(Program(tuple(rules)), batch), evaluate(program, batch))


def test_blocks_that_depend_on_weights_are_not_flattened():
    assert flat(parse("add 1 when weight > 0.5 { set 2 scale 3 }")) is None
    assert flat(parse("add 1 let w = weight when k == 0 set w")) is None


def test_alike_primitives_have_one_signature():
    assert "isupper" in ALIKE["isalpha"]
    assert "isalpha" not in ALIKE["startswith"]


def test_the_same_seed_gives_the_same_children():
    program = parse(LIBRARY["induction"])
    first, second = ([str(mutated(program, PROGRAMS, TOKENS, np.random.default_rng(s))) for s in range(20)] for _ in range(2))
    assert first == second
