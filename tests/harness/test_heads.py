"""Names of heads on the command line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.heads import early_heads, name, parse_heads
from harness.locate import Location

LAYERS, HEADS = 3, 4
EVERY = [(layer, head) for layer in range(LAYERS) for head in range(HEADS)]
heads = st.sampled_from(EVERY)


@given(st.lists(heads, min_size=1))
def test_names_name_themselves(chosen):
    assert parse_heads(",".join(map(name, chosen)), LAYERS, HEADS) == tuple(sorted(set(chosen)))


@given(heads, heads)
def test_a_range_has_what_lies_between(a, b):
    low, high = sorted((a, b))
    assert parse_heads(f"{name(low)}-{name(high)}", LAYERS, HEADS) == tuple(h for h in EVERY if low <= h <= high)
    assert parse_heads(f"L{low[0]}-L{high[0]}", LAYERS, HEADS) == tuple(h for h in EVERY if low[0] <= h[0] <= high[0])


@given(heads)
def test_what_is_left_out(head):
    rest = tuple(h for h in EVERY if h != head)
    assert parse_heads(f"not:{name(head)}", LAYERS, HEADS) == parse_heads(f"all, -{name(head)}", LAYERS, HEADS) == rest


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "H3",
        "L1-",
        "L2-L1",
        "L1H3-L1H0",
        "L3",
        "L0H4",
        "not:all",
        "not:L9",
        "worst",
        "worst:3",
        "worst:3:/no/such/run",
        "L1,,L2",
    ],
)
def test_what_names_no_head_is_wrong_usage(wrong):
    with pytest.raises(UsageError):
        parse_heads(wrong, LAYERS, HEADS)


def test_the_worst_heads_of_a_run(tmp_path):
    iou = {(0, 1): 0.9, (1, 2): 0.2, (2, 3): 0.4, (0, 0): 0.3}
    records = [{"layer": a, "head": b, "iou": {"select": v, "test": 1 - v}} for (a, b), v in iou.items()]
    (tmp_path / "result.json").write_text(json.dumps({"heads": records}))
    for spec, out in ((f"worst:2:{tmp_path}", None), ("worst:2", tmp_path)):
        assert parse_heads(spec, LAYERS, HEADS, out) == ((0, 0), (1, 2))
    with pytest.raises(UsageError, match="another model"):
        parse_heads(f"worst:9:{tmp_path}", 1, 1)


def test_the_configuration_alone_tells_a_head_that_is_not_there(tmp_path):
    where = Location(str(tmp_path), None, True)
    assert early_heads("L9", where, None) is None  # nothing is known
    (tmp_path / "config.json").write_text(json.dumps({"n_layer": 2, "n_head": 2}))
    assert early_heads("L1", where, None) == ((1, 0), (1, 1))
    with pytest.raises(UsageError, match="no head L9"):
        early_heads("L9", where, None)
