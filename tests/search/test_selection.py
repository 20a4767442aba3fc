"""Choosing a program by IoU and size, against the definition."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from search.selection import LEAST_STEP, elbow, front

programs = st.lists(st.tuples(st.floats(0, 1), st.integers(1, 300)), min_size=1, max_size=12)


@given(programs, st.floats(0, 0.01))
def test_no_program_is_worth_more_than_the_elbow(found, parsimony):
    iou, size = (np.array(column) for column in zip(*found, strict=True))
    (best,) = elbow(iou[:, None], size, parsimony)
    assert all(iou[best] - parsimony * size[best] >= i - parsimony * s for i, s in found)


@given(programs)
def test_a_higher_price_never_makes_the_choice_longer(found):
    iou, size = (np.array(column) for column in zip(*found, strict=True))
    chosen = [size[elbow(iou[:, None], size, price)[0]] for price in (1e-5, 1e-4, 1e-3, 1e-2)]
    assert chosen == sorted(chosen, reverse=True)


def test_each_head_chooses_for_itself_and_among_its_own():
    iou = np.array([[0.5, 0.3], [0.51, -np.inf], [0.1, 0.29]])
    assert elbow(iou, np.array([10, 11, 1]), 0.0005).tolist() == [1, 0]
    assert elbow(iou, np.array([10, 41, 1]), 0.0005).tolist() == [0, 0]
    assert elbow(iou, np.array([100, 110, 1]), 0.01).tolist() == [2, 2]


@given(programs)
def test_the_front_holds_what_no_shorter_program_matches(found):
    iou, size = (np.array(column) for column in zip(*found, strict=True))
    chosen = front(iou, size)
    assert [size[p] for p in chosen] == sorted(size[p] for p in chosen)
    for p in range(len(found)):  # whatever was left out is matched by one that is no longer
        assert p in chosen or any(size[c] <= size[p] and iou[c] >= iou[p] - LEAST_STEP for c in chosen)
    for a, b in pairwise(chosen):
        assert iou[b] > iou[a] and size[b] > size[a]
