"""Growing, pruning and finishing: no worth is lost, nothing is longer than said, the budget is kept."""

from dataclasses import replace

import numpy as np
import pytest

import dsl
from dsl import evaluate, parse
from search.forms.board import Board
from search.forms.candidates import Candidates
from search.forms.course import bases, begin, grown, nearest
from search.forms.finishing import DIGITS_MAY_COST, STEPS, anchored, finish, near_one, rounded, spread
from search.forms.fitting import fitted, score
from search.forms.growth import Effort, Found, Growth
from search.forms.moves.adding import grow
from search.forms.moves.joining import widen
from search.forms.moves.removing import prune, shorten
from search.forms.moves.values import bend, rebend, split, swap, weigh
from search.forms.shapes import program, size
from search.forms.vocabulary import Vocabulary, vocabulary
from search.problem import Problem
from tests.search.forms.shapes import means, problem, random_shape, texts

PLANTED = (
    "add 0.8 ** dist\nwhen start(k) add 3 if symbol(q) else 1",
    "add 0.05\nwhen dist == 1 add 1\nwhen content_word(q) and symbol(k) share 0.4",
)
EFFORT = Effort(candidates=3, steps=8, wide=2, shown=40, most=60, rules=5)


def planted():
    given = texts(6, 31, 8, 16)
    batch = problem_of(given, np.zeros((1, sum(len(t) ** 2 for t in given)))).batch
    rows = []
    for text in PLANTED:
        patterns = evaluate(parse(text), batch)
        rows.append(np.concatenate([p[: len(t), : len(t)].ravel() for p, t in zip(patterns, given, strict=True)]))
    return problem_of(given, np.array(rows))


def problem_of(given, targets):
    return Problem(given, True, targets)


@pytest.fixture(scope="module")
def candidates():
    words = vocabulary(True)
    wanted = ("symbol", "start", "content_word", "light", "digit")
    some = [tuple(g for g in side if any(w in str(g) for w in wanted)) for side in (words.query, words.key)]
    return Candidates(Board(planted()), Vocabulary(some[0], some[1], words.relation[:12]))


def growth(candidates, heads=(0,), **options):
    made = Growth(candidates, list(heads), options.pop("effort", EFFORT), **options)
    begin(made, list(bases(made.board)))
    return made


@pytest.mark.parametrize("heads", [(0,), (1,), (0, 1)])
def test_the_front_rises_and_says_what_it_is(candidates, heads):
    made = growth(candidates, heads)
    began = made.iou
    front = grown(made)
    assert [f.size for f in front] == sorted({f.size for f in front})
    assert [f.iou for f in front] == sorted({f.iou for f in front})
    assert front[-1].iou >= began
    for f in front:
        assert f.size <= EFFORT.most
        assert dsl.size(program(f.shape, 6)) <= f.size == size(f.shape)
        assert abs(score(made.board, f.shape, made.targets) - f.iou) < 1e-6
        assert abs(means_of(made.board, f.shape, heads) - f.iou) < 2e-3


def means_of(board, shape, heads):
    from search.scoring import score as iou

    return float(board.problem.mean(iou([program(shape, 9)], board.problem, heads)[0]).mean())


def test_what_is_planted_is_found(candidates):
    for head in (0, 1):
        assert grown(growth(candidates, (head,), effort=replace(EFFORT, steps=24)))[-1].iou > 0.93


def test_no_move_loses_worth_or_room(candidates):
    rng = np.random.default_rng(3)
    for _ in range(4):
        made = growth(candidates)
        shape = random_shape(rng, True, rules=3)
        made.take(score(made.board, shape, made.targets), shape)
        made.observe()
        limit = size(shape) + 6
        price = 0.0004
        for move, arguments in (
            (prune, ()),
            (grow, (limit,)),
            (split, (limit,)),
            (bend, (limit, (0,))),
            (rebend, (limit,)),
            (weigh, (limit,)),
            (widen, (limit,)),
            (swap, ()),
        ):
            before = made.worth(made.iou, made.shape, price)
            changed = move(made, price, *arguments)
            assert made.worth(made.iou, made.shape, price) >= before - 1e-9
            assert size(made.shape) <= limit
            assert changed or made.worth(made.iou, made.shape, price) == before
            assert abs(score(made.board, made.shape, made.targets) - made.iou) < 1e-6


def test_shortening_ends_at_a_rule(candidates):
    made = growth(candidates)
    while True:
        before = size(made.shape)
        if not shorten(made):
            break
        assert size(made.shape) < before
    assert len(made.shape.rules) == 1


def test_a_budget_is_kept_but_for_the_move_under_way(candidates):
    spent = []
    for budget in (1, 300, 600):
        made = growth(candidates, budget=budget)
        began = made.evaluations
        front = grown(made)
        assert front
        spent.append(made.evaluations)
        assert made.evaluations - max(began, budget) < 450
    assert spent == sorted(spent)


def test_the_same_search_gives_the_same(candidates):
    assert grown(growth(candidates)) == grown(growth(candidates))


def test_nearest_are_those_that_fit_best(candidates):
    made = growth(candidates)
    rng = np.random.default_rng(5)
    shapes = [random_shape(rng, True) for _ in range(6)]
    best = nearest(made, shapes, 2)
    scores = sorted((score(made.board, s, made.targets) for s in shapes), reverse=True)
    assert [score(made.board, s, made.targets) for s in best] == scores[:2]


def test_the_best_of_each_length_is_handed_on():
    shape = random_shape(np.random.default_rng(1), True)
    front = [Found(shape, 0.1 * i, s) for i, s in enumerate((3, 9, 14, 19, 33, 70), 1)]
    assert [f.size for f in spread(front, (12, 20, 40))] == [9, 19, 33]
    assert spread(front, (2,)) == []


def test_anchored_shapes_keep_the_pattern():
    board = Board(problem(37))
    rng = np.random.default_rng(7)
    for _ in range(40):
        shape = random_shape(rng, True)
        moved = anchored(shape)
        assert np.allclose(means(board, shape, 1)[1], means(board, moved, 1)[1], atol=1e-5)
        assert size(moved) <= size(shape)


def test_rounded_constants_are_near_and_read_as_they_are():
    board = Board(problem(41))
    rng = np.random.default_rng(9)
    for _ in range(30):
        shape = random_shape(rng, True)
        moved = rounded(shape, [3] * len(shape.rules))
        assert abs(means(board, shape, 1)[0] - means(board, moved, 1)[0]) < 0.01
        assert abs(means(board, moved, 1)[0] - score(board, moved, board.target([0]))) < 1e-3
        again = rounded(moved, [3] * len(shape.rules))
        assert all(np.allclose(a, b) for a, b in zip(moved.theta, again.theta, strict=True))


@pytest.mark.parametrize(
    ("x", "digits", "expected"), [(0.98342, 2, 0.983), (0.98342, 1, 0.98), (0.4567, 2, 0.46), (1.2345, 2, 1.2)]
)
def test_what_is_missing_to_one_keeps_its_digits(x, digits, expected):
    assert near_one(x, digits) == pytest.approx(expected)


def test_digits_cost_what_they_may(candidates):
    board = candidates.board
    rng = np.random.default_rng(11)
    for _ in range(6):
        shape = random_shape(rng, True, rules=3)
        target = board.target([0])
        exact, _ = fitted(board, anchored(shape), target, STEPS, rate=0.06)
        done = finish(board, shape, target)
        assert done.iou >= exact - 2 * DIGITS_MAY_COST
        assert done.iou == pytest.approx(score(board, done.shape, target))
        assert abs(means_of(board, done.shape, (0,)) - done.iou) < 2e-3
        again = problem_score(board, done.program)
        assert abs(again - done.iou) < 2e-3
        assert dsl.size(program(done.shape, 6)) <= size(done.shape)


def problem_score(board, found):
    from search.scoring import score as iou

    return float(board.problem.mean(iou([found], board.problem, (0,))[0]).mean())
