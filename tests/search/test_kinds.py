"""A head is called after a known pattern only if its attention is like it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from search.finish import kind


@given(st.floats(0, 1), st.integers(2, 40), st.integers(0, 10**6))
def test_a_name_says_where_half_of_the_attention_goes(mass, n, seed):
    """A head with `mass` on the first token and the rest anywhere else is called "first token" where that is half of it or more."""
    rest = np.random.default_rng(seed).dirichlet(np.ones(n - 1), n) * (1 - mass)
    attention = np.concatenate([np.full((n, 1), mass), rest], 1)
    pattern = np.zeros_like(attention)
    pattern[:, 0] = 1
    iou = np.minimum(attention, pattern).sum() / np.maximum(attention, pattern).sum()
    if abs(mass - 0.5) > 1e-6:
        assert kind(np.array([0.0, iou]), ["self", "first token"]) == ("first token" if mass > 0.5 else "mixed")
