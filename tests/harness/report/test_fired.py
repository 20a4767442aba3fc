"""Which rules act where, against their guards worked out by hand."""

import numpy as np

from dsl import Batch, parse
from dsl.text import plain_text
from harness.report.fired import fired

TEXT = plain_text(["<s>", " a", " b", " a", " c"])
Q, K = np.mgrid[:5, :5]


def where(program, causal=True):
    return fired(parse(program), Batch([TEXT], causal))[:, 0]


def test_plain_guards_and_masked_cells():
    found = where('when dist == 1 add 1\nadd 0.5\nwhen text(k) == " a" scale 2')
    causal = Q >= K
    assert np.array_equal(found[0], causal & (Q - K == 1))
    assert np.array_equal(found[1], causal)
    assert np.array_equal(found[2], causal & np.isin(K, [1, 3]))
    assert np.array_equal(where("when dist == -1 add 1", causal=False)[0], Q - K == -1)


def test_a_rule_that_changes_nothing_still_acts():
    assert np.array_equal(where("when k == 0 scale 1\nwhen k == 0 add 0"), [K == 0, K == 0])


def test_guards_on_weights_see_what_came_before():
    found = where("when k == 0 add 1\nwhen weight > 0.5 scale 3\nwhen row > 2 and dist == 0 set 7", causal=False)
    assert np.array_equal(found[1], K == 0)
    assert np.array_equal(found[2], Q == K)  # 3 > 2 in every row
    assert not where("when weight > 0.5 scale 3\nwhen k == 0 add 1")[0].any()


def test_blocks_are_decided_on_entry():
    found = where("when weight == 0 {\n    add 1\n    when k == 1 add 1\n} else {\n    set 9\n}\nnormalize", causal=False)
    assert found[0].all()
    assert np.array_equal(found[1], K == 1)
    assert not found[2].any()
    assert found[3].all()


def test_rules_without_a_value_or_a_sum_do_not_act():
    found = where("when k == 0 add 1 / q\nwhen q > 2 {\n    normalize\n}", causal=False)
    assert np.array_equal(found[0], (K == 0) & (Q > 0))
    assert np.array_equal(found[1], Q > 2)
    assert not where("normalize").any()
