"""What a reader's answer is worth: rows read from it, scored against the head."""

import numpy as np
import pytest
from desks import STORY
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dsl.text import plain_text
from search.llm.simulate import ARMS, chosen_queries, interval, iou, predicted, question


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(st.integers(0, 20), min_size=6, max_size=6), min_size=2, max_size=2), st.booleans())
def test_rows_written_are_rows_read(weights, percent):
    queries = (5, 9)
    rows = np.zeros((2, 12))
    for i, q in enumerate(queries):
        rows[i, q - 5 : q + 1] = weights[i]
    unit = "%" if percent else ""
    lines = [f"{q}: " + ", ".join(f"{k} {rows[i, k]:g}.0{unit}" for k in range(12) if rows[i, k]) for i, q in enumerate(queries)]
    expected = rows / np.maximum(rows.sum(1, keepdims=True), 1e-12)
    assert predicted("\n".join(lines), queries, 12, True) == pytest.approx(expected)


@pytest.mark.parametrize(
    "answer",
    [
        "5: 0 .6, 4 .4",
        "- **q5**: 0 0.6, 4 0.4",
        '5 " down": 0 "<s>" .6, 4 " sat" .4',
        "query 5: 0 60%, 4 40%",
        "```\n5: 0: .6, 4: .4\n```",
        "<think>5: 3 1</think>\n5: 0=.6, 4=.4",
        "5: 3 1\n5: 0 .6, 4 .4",
        "5: 0 (0.6), 4 (0.4), 9 (0.5)",  # 9 is not seen yet
    ],
)
def test_answers_as_models_write_them(answer):
    assert predicted(answer, (5,), 12, True)[0, [0, 4]] == pytest.approx([0.6, 0.4])


def test_what_is_not_said_counts_as_nothing():
    assert predicted("I cannot know.", (5, 6), 8, True).sum() == 0
    assert predicted("7: 0 1", (5,), 8, True).sum() == 0


def test_iou_of_rows():
    head = np.array([[0.5, 0.5, 0], [0, 0.2, 0.8]])
    assert iou(head, head) == 1 and iou(head, np.zeros((2, 3))) == 0
    rows = np.array([[1.0, 0, 0], [0, 0.2, 0.8]])
    assert iou(head, rows) == pytest.approx((0.5 + 1) / (1.5 + 1))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 60), st.integers(1, 12))
def test_queries_are_in_the_text_and_spread(length, count):
    chosen = chosen_queries(length, count)
    assert chosen == sorted(set(chosen)) and len(chosen) <= count and all(0 <= q < length for q in chosen)
    assert len(chosen) == min(count, max(0, length - min(2, max(0, length - 1))))


def test_only_what_the_arm_tells_is_told():
    text = plain_text(STORY)
    said = {arm: question(arm, f"secret of {arm}", text, True, [5])[1][1] for arm in ARMS}
    assert all((f"secret of {arm}" in said[arm]) == (arm != "none") for arm in ARMS)
    assert all('5 "."' in s.split("Queries: ")[1] and '10 "."' in s for s in said.values())


def test_the_interval_holds_the_mean():
    low, high = interval([0.2, 0.4, 0.6, 0.8])
    assert 0.2 <= low < 0.5 < high <= 0.8 and interval([0.5]) == (0.5, 0.5)
