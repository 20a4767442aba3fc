"""Sums over all conjunctions against masks written out, and boards of some rows against boards of all."""

import numpy as np
import pytest

from dsl.evaluator import value
from dsl.nodes import all_of
from search.forms.board import Board
from search.forms.candidates import Candidates
from search.forms.fitting import Fit
from search.forms.shapes import tokens
from search.forms.vocabulary import Vocabulary, vocabulary
from tests.search.forms.shapes import problem, random_shape


def some(causal):
    words = vocabulary(causal)
    return Vocabulary(words.query[::5], words.key[::6], words.relation[::5])


@pytest.fixture(scope="module", params=[(True, 1), (True, 3), (False, 1), (False, 2)], ids=str)
def candidates(request):
    causal, every = request.param
    return Candidates(Board(problem(11, causal), every), some(causal))


def naive(candidates, triple):
    """(C) bool: the cells of a conjunction, from the language."""
    board = candidates.board
    given = candidates.guard(triple)
    if not given:
        return np.ones(len(board.q), bool)
    return board.problem.pack(value(all_of(given), board.problem.batch))[board.source].astype(bool)


def test_sums_are_those_over_the_cells_of_each_guard(candidates):
    board = candidates.board
    rng = np.random.default_rng(0)
    A, W, P = (rng.random(len(board.q)).astype(np.float32) for _ in range(3))
    G = rng.normal(size=len(board.q)).astype(np.float32)
    sums = candidates.sums(candidates.attention(A), W, G, P)
    of_text = np.repeat(np.arange(len(board.problem)), np.diff(board.texts))[board.q]
    omega = board.omega[of_text] * len(board.row_position)
    row = np.bincount(board.q, W)[board.q]
    for triple in np.ndindex(sums.attention.shape):
        held = naive(candidates, triple)
        expected = (A * omega, P * omega, G * W, G * row)
        for found, values in zip((sums.attention, sums.mass, sums.slope, sums.lift), expected, strict=True):
            assert abs(found[triple] - values[held].sum()) < 1e-3 * (1 + np.abs(values[held]).sum())
        assert candidates.telling[triple] == held.sum()
        assert np.array_equal(board.cells(candidates.guard(triple))[0], np.flatnonzero(held))


def test_costs_are_the_tokens_of_the_guard(candidates):
    for triple in np.ndindex(candidates.cost.shape):
        parts = candidates.guard(triple)
        assert candidates.cost[triple] == (1 + sum(map(tokens, parts)) + len(parts) - 1 if parts else 0)


def test_ranked_guards_keep_to_the_limit_and_hold_somewhere(candidates):
    rng = np.random.default_rng(1)
    board = candidates.board
    arrays = [rng.random(len(board.q)).astype(np.float32) for _ in range(4)]
    sums = candidates.sums(candidates.attention(arrays[0]), *arrays[1:])
    found = candidates.ranked(sums, 5, 9)
    assert found
    assert len(set(found)) == len(found)
    worthy = [t for t in found if candidates.cost[t] <= 9 and naive(candidates, t).sum() > 8]
    assert len(worthy) > len(found) // 2


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("every", [2, 3, 50])
def test_a_board_of_some_rows_is_the_whole_one_on_them(causal, every):
    given = problem(13, causal)
    whole, part = Board(given), Board(given, every)
    assert all(np.diff(part.texts) > 0)
    chosen = np.isin(whole.q, part.row_position)
    assert np.array_equal(np.flatnonzero(chosen), part.source)
    assert np.array_equal(whole.target([0, 1])[:, chosen], part.target([0, 1]))
    assert np.array_equal(whole.k[chosen], part.k)
    assert np.array_equal(part.row_position[part.q], whole.q[chosen])
    rng = np.random.default_rng(5)
    for _ in range(10):
        shape = random_shape(rng, causal)
        patterns = []
        for board in (whole, part):
            fit = Fit(board, shape.rules)
            out = tuple(np.empty(len(board.q), np.float32) for _ in range(3))
            fit.run(board.target([0]), fit.theta(shape.theta), np.array(shape.beta), out=out)
            patterns.append(out[2])
        assert np.allclose(patterns[0][chosen], patterns[1], atol=1e-5)


def test_steps_are_the_first_condition_that_holds():
    board = Board(problem(17), 2)
    words = vocabulary(True).query[:6]
    masks = [board.mask(g)[1] for g in words]
    for row, step in enumerate(board.steps(words)):
        assert step == next((i for i, m in enumerate(masks) if m[row]), len(words))


def test_old_guards_are_forgotten_and_found_again(monkeypatch):
    import search.forms.board as module

    board = Board(problem(19))
    guards = [(g,) for g in vocabulary(True).key[:12]]
    before = [board.cells(g)[0] for g in guards]
    monkeypatch.setattr(module, "KEPT_CELLS", 40)
    less = Board(problem(19))
    assert all(np.array_equal(less.cells(g)[0], b) for g, b in zip(guards, before, strict=True))
    assert len(less._cells) < len(guards)
    assert all(np.array_equal(less.cells(g)[0], b) for g, b in zip(guards, before, strict=True))
