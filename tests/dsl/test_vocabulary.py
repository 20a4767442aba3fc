"""Every entry of the vocabulary can be used as it says."""

import pytest

from dsl import Batch, evaluate, parse
from dsl.text import plain_text
from dsl.vocabulary import SAME_FEATURES


@pytest.mark.parametrize("feature", SAME_FEATURES)
def test_same_takes_every_feature_of_one_position(feature):
    text = plain_text(["<s>", " a", " dog", "s", ".", " a"])
    pattern = evaluate(parse(f"when same({feature}) and dist >= 0 set 1"), Batch([text], causal=True))[0]
    assert set(pattern.sum(1).round(5)) <= {0.0, 1.0}


def test_a_feature_that_needs_more_arguments_is_no_relation():
    with pytest.raises(ValueError, match="unknown feature"):
        parse("when same(slice) set 1")
