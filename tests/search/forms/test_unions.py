"""Concepts of the search's own: what joins what, which serve the heads best, and programs put in terms of them."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import parse, parse_concepts, parse_expression, simplify, size
from dsl.evaluator import value
from search.forms import unions
from search.forms.board import Board
from search.forms.candidates import Candidates
from search.forms.fitting import score
from search.forms.growth import Effort, Growth
from search.forms.moves.joining import widen
from search.forms.places import alternatives, places, settled
from search.forms.reading import read
from search.forms.shapes import program
from search.forms.vocabulary import vocabulary
from tests.search.forms.shapes import problem

NAMES = ("article", "blank", "content_word", "digit", "joining", "boundary", "pronoun")


@given(st.sets(st.sampled_from(NAMES), min_size=1, max_size=4), st.sampled_from("qk"))
def test_a_union_is_read_back_as_the_classes_that_made_it(names, place):
    condition = unions.any_of(names, place)
    assert unions.classes(condition) == tuple(sorted(names))
    assert unions.side(condition) == place
    written = parse(f"{'' if len(names) == 1 else str(unions.concept(names))}\nwhen {condition} add 1")
    assert unions.made(written) == ({tuple(sorted(names))} if len(names) > 1 else set())
    assert size(written) == size(parse(f"when boundary({place}) add 1"))  # a name counts one


@pytest.mark.parametrize(
    "text",
    ["concept a(p) = boundary(p) and digit(p)", "concept a(p) = boundary(p) or digit(p - 1)", "concept a(p) = boundary(p) or p < 3",
     "concept a(r, p) = boundary(r) or boundary(p)"],
)  # fmt: skip
def test_what_says_anything_else_joins_no_classes(text):
    (concept,) = parse_concepts(text).values()
    assert unions.members(concept) == ()


def test_a_users_concept_is_not_one_of_the_search():
    own = parse("concept stop(p) = boundary(p) or digit(p)\nwhen stop(k) add 1")
    assert unions.made(own) == set()
    assert unions.classes(parse_expression("stop(q)", {c.name: c for c in own.concepts})) == ("boundary", "digit")


def total(uses, chosen, price):
    singles = [max((v for n, v in use.items() if len(n) == 1), default=0.0) for use in uses]
    best = [max(s, *(use.get(n, 0.0) for n in chosen), 0.0) for use, s in zip(uses, singles, strict=True)]
    return sum(best) - sum(price * size(unions.concept(n)) for n in chosen)


@settings(max_examples=60)
@given(st.integers(0, 10_000))
def test_each_concept_chosen_pays_and_no_other_would(seed):
    rng = np.random.default_rng(seed)
    pairs = [tuple(p) for p in combinations(NAMES, 2)][:6]
    uses = []
    for _ in range(12):
        offered = [(NAMES[rng.integers(len(NAMES))],), *(pairs[i] for i in rng.choice(6, 3, replace=False))]
        uses.append({n: float(rng.random() * 0.05) for n in offered})
    price = 0.0015
    found = unions.chosen(uses, price)
    assert len(set(found)) == len(found)
    worth = [total(uses, found[:i], price) for i in range(len(found) + 1)]
    assert worth == sorted(worth)
    for other in pairs:
        gain = total(uses, [*found, other], price) - worth[-1]
        better = sum(total([use], [*found, other], 0) > total([use], found, 0) for use in uses)
        assert other in found or gain <= 1e-12 or better < unions.HEADS
    assert unions.chosen(uses, price=1.0) == []


def test_a_concept_of_few_uses_has_to_pay_in_each():
    use = {("digit",): 0.5, ("boundary", "digit"): 0.51}
    cost = size(unions.concept(("boundary", "digit")))
    assert unions.chosen([use] * 3, 0.02 / cost) == [("boundary", "digit")]  # .03 in all for .02
    assert unions.chosen([use] * 2, 0.015 / cost) == []  # .02 in all, but .01 in each
    assert unions.chosen([use] * 2, 0.005 / cost) == [("boundary", "digit")]


@pytest.fixture(scope="module")
def candidates():
    return Candidates(Board(problem(3, number=6)), vocabulary(True))


def grown(candidates, concepts=None):
    words = candidates
    if concepts is not None:
        words = candidates.extended(*([unions.any_of(n, place) for n in concepts] for place in "qk"))
    made = Growth(words, [0], Effort(), settled=concepts)
    text = (
        f"{unions.concept(('boundary', 'digit'))}\nadd 0.5\nwhen boundary_or_digit(k) add 2\nwhen start(k) add 3 if digit(q) else 1"
    )
    shape = read(parse(text), made.board.features)
    assert shape is not None
    made.take(score(made.board, shape, made.targets), shape)
    return made


def test_masks_of_joined_classes_are_those_of_the_language(candidates):
    board = candidates.board
    batch = board.problem.batch
    for names in combinations(NAMES, 3):
        for place in "qk":
            condition = unions.any_of(names, place)
            side, mask = board.mask(condition)
            found = np.broadcast_to(value(condition, batch), (len(board.problem), batch.size, batch.size))
            rows = found[:, :, 0] if place == "q" else found[:, 0]
            assert side == place and (mask > 0).tolist() == rows[batch.valid].tolist()


def test_classes_are_joined_while_nothing_is_settled_and_concepts_chosen_after(candidates):
    free = grown(candidates)
    before = free.iou
    while widen(free, 0.0, 80):
        assert free.iou > before
        before = free.iou
    assert all(len(names) <= unions.MOST for names in unions.made(program(free.shape)))
    concepts = [("article", "boundary"), ("boundary", "digit", "newline")]
    bound = grown(candidates, concepts)
    bound.take(*bound.settle(settled(bound, bound.shape), 8))
    assert unions.made(program(bound.shape)) <= set(concepts)
    while widen(bound, 0.0, 80):
        assert unions.made(program(bound.shape)) <= set(concepts)


def test_the_alternatives_of_a_place_change_it_alone(candidates):
    made = grown(candidates)
    offered = [("article", "boundary"), ("boundary", "digit")]
    (options,) = alternatives(made, made.shape, offered)  # one place has classes joined
    assert ("boundary", "digit") in dict(options) and ("boundary",) in dict(options)
    for names, shape in options:
        used = [unions.classes(place.of(rule)) for rule in shape.rules for place in places(rule)]
        assert used == [names, ("start",), ("digit",)]
        assert shape.theta == made.shape.theta


def test_a_program_in_concepts_survives_the_canonical_form():
    text = f"{unions.concept(('boundary', 'digit'))}\nadd 0.5\nwhen boundary_or_digit(k) add 2"
    assert unions.made(simplify(parse(text))) == {("boundary", "digit")}
