"""The evaluator against its specification, the naive double loop of oracle.py."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import Batch, evaluate, parse, parse_expression
from dsl.check import check
from dsl.evaluator import value, weights_of
from dsl.kernels import row_sums
from dsl.nodes import Program
from dsl.text import Text, plain_text
from tests.dsl import oracle
from tests.dsl.strategies import TOKENS, programs, texts

# Each takes a way of its own through plans and inner loops.
WAYS = """
when k == 0 add 1 | when k == n - 1 add 0.5 | when k == 2.5 add 9 | when dist == 1 set 0.3
when dist <= 2.5 add 1 | when dist < 2 add 1 | when dist > -2 scale 2 | when dist >= 1.5 add 0.1 | when abs(dist) <= 2 add 1
when k <= q - 2 add 1 | when k < q / 2 add 1 | when k > q + 0.5 add 1 | when q - 1 <= k add 1 | when abs(dist) <= q - 2 add 0.5
when k == nearest(p < q: text(p) == "a") add 1 | when k > nearest(p < q: text(p) == "the") add 1 | when k == q / 0 add 1
when not k == 0 add 1 | when not (k == 0 or word_start(q)) add 1 | when not (dist > 1 and word_start(k)) add 1
when dist in {0, 2} and word_start(k) and same(punctuation) and not same(text) add 0.5 | add exp(-0.1 * dist)
add q * k + (1 if same(text) else dist / k) | when q * k > 3 max 2 | when exists(k / dist) min 0.5 | scale default(1 / dist, 3)
add -0.1 * abs(q - 2 * k) | add floor(k / 2) * sqrt(dist) | add min(q, 2 * k, 3) - max(k - q, 0.5) | set 2 if q < 2 * k else weight
add k | when row > 3 scale 0.5 | when weight > 1 set row / 4 | when weight(q, 0) < weight(q, q) add weight(q, k - 1)
add k + 1 | normalize | when word_start(k) normalize | when k == 1 scale row | when row == 1 and dist == 0 add 0.1
add k - q | add -max(p: weight(q, p)) | set exp(weight) | normalize
add q + 2 * k | when sum(p < n - 1: weight(q, p + 1)) < 9 set 1 | when any(p > q: weight(q, p) == 5) add min(p <= q: weight(q, p))
add k | when count(p < q: weight(q, p) > 1) > 1 add 1 | when all(p: weight(q, p) < 6) scale 2
add k | add weight(k, q) | scale max(p: weight(p, k)) | when sum(p: weight(n - 1, p)) > 3 add 1
let w = weight > 2 | add k | when w add 100 | let v = row + k | when v > 5 and not w set v
when word_start(q) { add k | when weight > 1 { set 0.5 } else { add 0.25 } } else { when k > 1 { add 2 } else { add 1 } }
add k | when weight > 1 { set 0 | add 1 } else when row > 3 { set 5 | let r = weight(q, 0) | add r } else { add 9 }
add count(k < p < q: word_start(p)) | when any(q < p <= k: text(p) == "a") add 1 | when all(k <= p <= q: not special(p)) add 0.5
add count(k <= p < q + 2: same(text)) | add 0.5 ** count(k < p < q: word_start(p)) | add sum(k < p < q: length(p))
when k == first(p: word_start(p) and count(r < p: word_start(r)) == q - 1) add 1 | add count(p: text(p) == text(k))
when any(p: length(p) == k and text(p) != "a") add 1 | when q == last(p: text(p) == text(k)) add 0.5 | add count(p: p / 2 == q)
add k - 2 | when k == 0 share 0.5 | when dist == 1 share 0.25 if word_start(q) else 0.75 | when same(text) share 1 / (dist + 2)
when text(k) == text(q - 1) share 0.5 | when k > nearest(p < q: text(p) == "the") share length(q) / 8 | when row > 1 share weight
add k | when q > 2 and abs(dist) <= q - 2 share row / 9 | when word_start(k) or k > q share 0.2 | when k <= q and q > 1 share 2 / q
when word_start(k) set 3 | when word_start(k) share 0 | when not word_start(k) share 0.5 / (q - 3) | when k == q + 1 share 0.5
when k == first(p: 3 - p == dist) add 1 | when any(p: word(p) == word(k)) add 2 | add count(p: 1 / p == q)
set 1e30 | scale 1e30 | when k == 1 add -1e30 | when k == 0 { scale 0 } else { scale -1 } | add 2e38
add 1e300 * 1e300 | add exp(1000) + log(0) | add 1 / dist | when 1e300 * 1e300 > 1 add 7 | add 1e-40 | scale 1e-5
""".strip().splitlines()
LONG = plain_text([TOKENS[(i * i + i // 5) % len(TOKENS)] for i in range(9)])


@settings(max_examples=250)
@given(programs(), st.lists(texts(), min_size=1, max_size=3), st.booleans())
def test_equals_the_oracle_on_every_text_of_a_batch(program: Program, several: list[Text], causal: bool) -> None:
    patterns = evaluate(program, Batch(several, causal))
    assert patterns.dtype == np.float32
    for pattern, text in zip(patterns, several, strict=True):
        n = len(text)
        np.testing.assert_allclose(pattern[:n, :n], oracle.pattern(program, text, causal), atol=1e-5)
        assert not pattern[n:].any() and not pattern[:, n:].any()


@settings(max_examples=100)
@given(programs(), texts(12), st.booleans())
def test_rows_sum_to_one_or_zero_and_nothing_lies_above_the_diagonal(program: Program, text: Text, causal: bool) -> None:
    (pattern,) = evaluate(program, Batch([text], causal))
    assert (pattern >= 0).all()
    sums = pattern.sum(1)
    assert (np.isclose(sums, 1, atol=1e-5) | (sums == 0)).all()
    if causal:
        assert not np.triu(pattern, 1).any()


@settings(max_examples=200)
@given(programs())
def test_printing_and_reading_are_inverse(program: Program) -> None:
    check(program)
    assert parse(str(program)) == program


@pytest.mark.parametrize("source", WAYS)
@pytest.mark.parametrize("causal", [True, False])
def test_each_way_through_the_loops_equals_the_oracle(source: str, causal: bool) -> None:
    program = parse(source.replace("|", "\n"))
    several = [LONG, plain_text(LONG.tokens[2:7]), plain_text(LONG.tokens[:1])]
    batch = Batch(several, causal)
    for _ in range(3):  # as a new program, as one met again, and as one whose operands are at hand
        for pattern, text in zip(evaluate(program, batch), several, strict=True):
            n = len(text)
            np.testing.assert_allclose(pattern[:n, :n], oracle.pattern(program, text, causal), atol=1e-6)


@settings(max_examples=150)
@given(st.lists(programs(), min_size=1, max_size=3), st.lists(texts(), min_size=1, max_size=3), st.booleans())
def test_a_pattern_does_not_depend_on_what_the_batch_has_met(several: list[Program], given: list[Text], causal: bool) -> None:
    batch = Batch(given, causal)
    for program in [*several, *reversed(several), *several]:
        np.testing.assert_array_equal(evaluate(program, batch), evaluate(program, Batch(given, causal)))


@settings(max_examples=60)
@given(programs(), st.integers(30, 70), st.booleans(), st.none() | st.integers(1, 40))
def test_masking_and_normalising_of_texts_longer_than_a_block(
    program: Program, size: int, causal: bool, window: int | None
) -> None:
    text = plain_text([TOKENS[(i * i + i // 7) % len(TOKENS)] for i in range(size)])
    batch = Batch([text, plain_text(text.tokens[: size // 2])], causal, window)
    weights = np.nan_to_num(weights_of(program, batch), nan=0, posinf=1e30, neginf=0).clip(0, 1e30) * batch.allowed
    total = weights.sum(-1, keepdims=True, dtype=np.float64)
    expected = np.divide(weights, total, out=np.zeros(weights.shape), where=total > 0)
    for _ in range(2):
        np.testing.assert_allclose(evaluate(program, batch), expected, atol=1e-6)


def test_a_batch_that_forgets_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    program = parse("add q * k\nlet w = weight > 2\nwhen w and same(text) scale 2\nset exp(weight - max(p: weight(p, q)))")
    expected = evaluate(program, Batch([LONG]))
    batch = Batch([LONG])
    monkeypatch.setattr("dsl.batch.KEPT_BYTES", 1)
    for _ in range(3):
        np.testing.assert_array_equal(evaluate(program, batch), expected)


CHUNKS = st.sampled_from((0, 1, 40, 300, 1 << 24))


def uneven(program: Program) -> Program:
    """The program with constants whose sums depend on the order of the terms."""
    return parse(re.sub(r"\b(0\.25|0\.5|0\.75|1\.5)\b", lambda m: str(round(float(m[0]) * 0.93, 3)), str(program)))


@settings(max_examples=250)
@given(programs(), st.lists(texts(9), min_size=1, max_size=2), st.booleans())
def test_comparisons_are_decided_as_in_double(program: Program, several: list[Text], causal: bool) -> None:
    program = uneven(program)
    for pattern, text in zip(evaluate(program, Batch(several, causal)), several, strict=True):
        n = len(text)
        np.testing.assert_allclose(pattern[:n, :n], oracle.pattern(program, text, causal), atol=1e-5)


BOUNDARIES = """
add 0.8 ** abs(dist) | when weight < 0.8 ** 5 set 0
add exp(-0.37 * abs(dist)) | when weight <= exp(-0.37 * 3) scale 2 | when weight(q, q - 2) == exp(-0.37 * 2) add 0.3
when k == 0 add 0.6 | when k == q add 0.3 | when dist == 1 add 0.1 | when row >= 1 and k == 0 add 2 | when k == q add 0.1
when k == 0 add 0.6 | when k == q add 0.3 | when dist == 1 add 0.1 | when sum(p: weight(q, p)) >= 1 add 0.5
add 0.1 | add 0.2 | when weight == 0.3 set 5 | when weight > 0.3 scale 3 | when weight - 0.1 == 0.2 add 1
add 0.1 * k | when weight == 0.3 set 5 | when row == 0.1 + 0.2 + 0.3 add 1 | let w = weight > 0.7 | add 0.1 | when w scale 2
add 1e35 | when k == 0 add 1e36 | when weight > 1e35 scale 2
add 0.7 + 0.1 * k | normalize | when weight == max(p <= q: weight(q, p)) add 0.1 | when row >= 1 scale 2
""".strip().splitlines()


@pytest.mark.parametrize("source", BOUNDARIES)
@pytest.mark.parametrize("causal", [True, False])
def test_boundaries_are_those_of_double(source: str, causal: bool) -> None:
    program = parse(source.replace("|", "\n"))
    text = plain_text([TOKENS[(i * i + i // 5) % len(TOKENS)] for i in range(21)])
    (pattern,) = evaluate(program, Batch([text], causal))
    np.testing.assert_allclose(pattern, oracle.pattern(program, text, causal), atol=1e-6)


def assert_same_bits(program: Program, several: list[Text], causal: bool, cells: int) -> None:
    """The batch, ranges chunked by `cells`, gives what each text alone gives without chunks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dsl.ranges.AXIS_CELLS", cells)
        together = Batch(several, causal)
        patterns = [evaluate(program, together) for _ in range(3)]  # new, met again, with all operands at hand
    for b, text in enumerate(several):
        (alone,) = evaluate(program, Batch([text], causal))
        n = len(text)
        for pattern in patterns:
            assert pattern[b, :n, :n].tobytes() == alone.tobytes()


@settings(max_examples=300)
@given(programs(), st.lists(texts(13), min_size=1, max_size=4), st.booleans(), CHUNKS)
def test_a_batch_gives_the_bits_of_text_by_text(program: Program, several: list[Text], causal: bool, cells: int) -> None:
    assert_same_bits(uneven(program), several, causal, cells)


@settings(max_examples=40)
@given(programs(), st.lists(st.integers(1, 70), min_size=2, max_size=3), st.booleans(), st.sampled_from((5000, 1 << 24)))
def test_long_texts_of_a_batch_give_their_own_bits(program: Program, sizes: list[int], causal: bool, cells: int) -> None:
    several = [plain_text([TOKENS[(i * i + i // 7 + n) % len(TOKENS)] for i in range(n)]) for n in sizes]
    assert_same_bits(uneven(program), several, causal, cells)


NESTED = """
when k == first(p: count(r < p: text(r) == text(q)) == 1 and text(p) == text(q)) add 1 | when dist == 0 add 0.5
when k == last(p < q: any(r < p: text(r) == text(k) and r > dist)) add 1 | add 0.3 * sum(p < q: 0.1 * sum(r < p: 0.7 / (r + k + 1)))
add 0.1 * max(p < q: sum(r <= p: 0.1 * k / (r + 1))) + 0.1 | add min(p: count(r > p: text(r) == text(q) and r != k))
when all(p < q: any(r <= p: lower(r) == lower(p) and r <= k)) add 0.7 | add 0.1 * count(p: all(r < p: r < q - 2 or not same(text)))
add 0.1 * sum(p <= q: length(p) / 7 if any(r < k: text(r) == text(p)) else 0.3) | when k == 0 add 0.1
add 0.1 * sum(p: 0.1 * length(p) if text(p) == text(k) and p < q else 0) + 0.01 * sum(p <= q: 0.1 * p + 0.1)
add 0.1 * count(p: count(r: count(s < r: text(s) == text(p)) == 1 and r < q) > 0 and p > k) | when dist == 0 add 1
""".strip().splitlines()


@pytest.mark.parametrize("source", NESTED)
@pytest.mark.parametrize("cells", [0, 1, 50, 400, 3000])
def test_chunked_ranges_within_ranges_equal_the_oracle(source: str, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    program = parse(source.replace("|", "\n"))
    several = [LONG, plain_text(LONG.tokens[2:7]), plain_text(LONG.tokens[:1])]
    monkeypatch.setattr("dsl.ranges.AXIS_CELLS", cells)
    for pattern, text in zip(evaluate(program, Batch(several)), several, strict=True):
        n = len(text)
        np.testing.assert_allclose(pattern[:n, :n], oracle.pattern(program, text, True), atol=1e-6)
    assert_same_bits(program, several, True, cells)


@settings(max_examples=150)
@given(programs(), st.lists(texts(), min_size=1, max_size=2), st.booleans(), st.sampled_from((0, 20, 100)))
def test_chunked_ranges_equal_the_oracle(program: Program, several: list[Text], causal: bool, cells: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dsl.ranges.AXIS_CELLS", cells)
        patterns = evaluate(program, Batch(several, causal))
    for pattern, text in zip(patterns, several, strict=True):
        n = len(text)
        np.testing.assert_allclose(pattern[:n, :n], oracle.pattern(program, text, causal), atol=1e-5)


def test_a_row_is_summed_as_numpy_sums_it() -> None:
    rng = np.random.default_rng(0)
    for n in (0, 1, 7, 8, 9, 17, 96, 127, 128, 129, 300, 520):
        rows = rng.random((3, n))
        out = np.zeros((1, 3, 1))
        row_sums(rows[None], np.array([n]), out)
        np.testing.assert_array_equal(out[0, :, 0], rows.sum(1))


@pytest.mark.parametrize("text", ["1 ** index(k)", "index(k) ** 0", "2 ** index(k)", "0 * index(k)", "1 + index(k)"])
def test_what_is_missing_stays_missing_in_arithmetic(text):
    """Also where the other operand alone would settle it."""
    expression = parse_expression(text.replace("index(k)", "nearest(p < k: newline(p))"))
    assert np.isnan(value(expression, Batch([plain_text([" a", " b"])], causal=True))).all()
