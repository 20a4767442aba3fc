"""Kinds of text: every domain counts the same in every mean and every gradient, whatever its number of texts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsl import parse
from search.domains import Domains, one_domain
from search.fitting import fit_constants
from search.incremental import IncrementalEvaluator
from search.problem import Problem
from search.scoring import score


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=12), st.sets(st.sampled_from("abc"), max_size=3))
def test_the_mean_is_the_mean_of_the_domains_that_count(each, held_out):
    domains = Domains(tuple(each), tuple(held_out))
    values = np.random.default_rng(len(each)).random((2, len(each)))
    counted = [name for name in domains.names if name not in held_out] or list(domains.names)
    expected = np.mean([values[:, [i for i, n in enumerate(each) if n == name]].mean(1) for name in counted], 0)
    assert domains.mean(values) == pytest.approx(expected)
    assert domains.weights.sum() == pytest.approx(1)
    assert np.mean([domains.means(values)[name] for name in counted], 0) == pytest.approx(expected)


def test_one_kind_of_text_counts_as_ever():
    values = np.random.default_rng(0).random((3, 7))
    assert one_domain(7).mean(values) == pytest.approx(values.mean(1))
    low, high = one_domain(7).interval(values[0])
    assert low < values[0].mean() < high


def test_intervals_draw_within_domains():
    """Domains that are constant inside leave nothing to chance, however far apart they are."""
    domains = Domains(("a", "a", "a", "b", "c", "c"), ("c",))
    assert domains.interval(np.array([0.0, 0, 0, 1, 9, 5])) == pytest.approx((0.5, 0.5))


def twice(problem: Problem, many: int) -> tuple[Problem, Problem]:
    """A problem whose first text is a domain of its own, and one of the same objective in which it is written `many` times."""
    number = len(problem)
    each = ("alone", *["others"] * (number - 1))
    weighted = Problem(problem.texts_given, problem.causal, problem.targets, domains=Domains(each))
    return weighted, problem.part([0] * many + list(range(1, number)))


def test_weights_are_what_repeating_texts_would_do(planted):
    """The domain of one text counts as much as that of five: as if its text were there five times."""
    problem = planted("when dist == 1 add 0.7\nwhen k == 0 add 0.3", "add exp(-0.4 * dist)", number=6, dtype=np.float32)
    weighted, repeated = twice(problem, 5)
    program = parse("when dist == 1 add 0.2\nadd 0.1 * exp(-0.9 * dist)")
    expected = score([program], repeated, [0, 1]).mean(2)
    assert weighted.mean(score([program], weighted, [0, 1])) == pytest.approx(expected)
    assert IncrementalEvaluator(weighted, 0).iou(program) == pytest.approx(expected[0, 0], abs=1e-5)
    for heads in ([0], [0, 1]):
        fitted, same = fit_constants(program, weighted, heads), fit_constants(program, repeated, heads)
        assert score([fitted], repeated, heads).mean() == pytest.approx(score([same], repeated, heads).mean(), abs=2e-3)


def test_fits_of_forms_serve_the_domains_alike(planted):
    """The compiled loops weigh texts as repetition would."""
    from dsl import parse
    from search.forms.board import Board
    from search.forms.fitting import Fit
    from search.forms.reading import read

    weighted, repeated = twice(planted("when dist == 1 add 0.7\nwhen k == 0 add 0.3", number=6), 5)
    found = []
    for problem in (weighted, repeated):
        board = Board(problem)
        shape = read(parse("add 0.8 ** dist when start(k) share 0.3 when dist == 1 scale 3"), board.features)
        fit = Fit(board, shape.rules)
        found.append(fit.run(board.target([0]), fit.theta(shape.theta), np.array(shape.beta), slopes=True))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-5)
    assert found[0][2] == pytest.approx(found[1][2], abs=1e-4)
