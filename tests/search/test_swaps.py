"""Exchanging programs of a library, against brute force."""

from itertools import combinations

import numpy as np
import pytest

from search.cover import greedy, value
from search.swaps import improved


@pytest.mark.parametrize("seed", range(20))
def test_exchanges_never_lose_and_end_where_no_single_exchange_helps(seed):
    scores = np.random.default_rng(seed).random((9, 6))
    start = greedy(scores, 3).chosen
    found = improved(scores, start)
    assert len(set(found)) == len(start)
    assert value(scores, found) >= value(scores, start) - 1e-12
    for i in range(len(found)):
        for p in range(len(scores)):
            assert value(scores, (*found[:i], p, *found[i + 1 :])) <= value(scores, found) + 1e-9
    best = max(value(scores, c) for c in combinations(range(9), 3))
    assert value(scores, found) >= 0.95 * best
