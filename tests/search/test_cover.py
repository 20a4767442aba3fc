"""The cover against brute force on small cases."""

from itertools import combinations, pairwise
from math import e

import numpy as np
import pytest

from search.cover import curve, exact, greedy, held_out, limit, limits, value


def _cases():
    for seed in range(25):
        rng = np.random.default_rng(seed)
        programs, heads = int(rng.integers(1, 9)), int(rng.integers(1, 7))
        scores = rng.random((programs, heads))
        if seed % 5 == 0 and programs > 2:
            scores[1] = scores[0]  # equal programs
        if seed % 7 == 0:
            scores = np.round(scores, 1)  # ties
        yield pytest.param(scores, int(rng.integers(1, 5)), id=f"seed{seed}")


CASES = list(_cases())


def best_by_brute_force(scores, size):
    sets = [c for k in range(1, size + 1) for c in combinations(range(len(scores)), k)]
    return max(value(scores, c) for c in sets)


@pytest.mark.parametrize(("scores", "size"), CASES)
def test_exact_is_the_optimum(scores, size):
    cover = exact(scores, size)
    optimum = best_by_brute_force(scores, size)
    assert cover.value == pytest.approx(optimum)
    assert value(scores, cover.chosen) == pytest.approx(cover.value)
    assert len(cover.chosen) <= size
    assert cover.bound >= optimum - 1e-9
    assert cover.gap < 1e-6


@pytest.mark.parametrize(("scores", "size"), CASES)
def test_greedy_keeps_its_promise(scores, size):
    cover = greedy(scores, size)
    optimum = best_by_brute_force(scores, size)
    assert value(scores, cover.chosen) == pytest.approx(cover.value)
    assert cover.value >= (1 - 1 / e) * optimum - 1e-12
    assert cover.bound >= optimum - 1e-12
    assert len(set(cover.chosen)) == len(cover.chosen) <= size


@pytest.mark.parametrize(("scores", "size"), CASES)
def test_lazy_greedy_equals_plain_greedy(scores, size):
    chosen = []
    for _ in range(size):
        gains = [value(scores, (*chosen, p)) - value(scores, tuple(chosen)) for p in range(len(scores))]
        p = int(np.argmax(np.round(gains, 11)))
        if gains[p] <= 1e-12:
            break
        chosen.append(p)
    assert greedy(scores, size).value == pytest.approx(value(scores, tuple(chosen)))


def test_the_curve_grows_and_each_cover_begins_the_next():
    scores = np.random.default_rng(1).random((30, 10))
    covers = curve(scores, 6)
    assert [len(c.chosen) for c in covers] == [1, 2, 3, 4, 5, 6]
    for smaller, larger in pairwise(covers):
        assert larger.chosen[: len(smaller.chosen)] == smaller.chosen
        assert larger.value >= smaller.value


def test_among_equal_gains_the_cheaper_program_is_chosen():
    scores = np.array([[0.5, 0.5], [0.5, 0.5]])
    assert greedy(scores, 1, cost=np.array([3.0, 2.0])).chosen == (1,)


def test_no_program_is_chosen_that_adds_nothing():
    assert greedy(np.array([[0.5, 0.5], [0.4, 0.5]]), 2).chosen == (0,)


def test_held_out_keeps_the_assignment_made_on_select():
    select = np.array([[0.9, 0.1], [0.2, 0.8], [0.0, 0.0]])
    test = np.array([[0.5, 0.7], [0.6, 0.4], [1.0, 1.0]])
    assert held_out(select, test, (0, 1)) == pytest.approx((0.5 + 0.4) / 2)


@pytest.mark.parametrize("seed", range(20))
def test_limits_of_a_curve_rise_with_its_size_and_hold(seed):
    scores = np.random.default_rng(seed).random((9, 5)) ** 3
    covers = curve(scores, 6)
    found = limits(scores, covers)
    assert found == sorted(found) and all(a <= limit(scores, c.chosen) for a, c in zip(found, covers, strict=True))
    for most, c in zip(found, covers, strict=True):
        best = max(value(scores, chosen) for chosen in combinations(range(9), len(c.chosen)))
        assert best <= most + 1e-12
