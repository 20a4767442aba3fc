"""The golden programs, read, evaluated and rewritten in every way there is."""

import numpy as np
import pytest

from dsl import Batch, evaluate, parse, simplify, to_module, to_python
from tests.dsl import facades, oracle
from tests.dsl.golden import GOLDEN, Golden

EACH = pytest.mark.parametrize("golden", GOLDEN, ids=lambda g: g.name)


@EACH
def test_the_oracle_gives_the_expected_pattern(golden: Golden) -> None:
    np.testing.assert_allclose(oracle.pattern(parse(golden.program), golden.text, golden.causal), golden.expected, atol=1e-6)


@EACH
def test_the_evaluator_gives_the_expected_pattern(golden: Golden) -> None:
    (pattern,) = evaluate(parse(golden.program), Batch([golden.text], golden.causal))
    np.testing.assert_allclose(pattern, golden.expected, atol=1e-6)


@EACH
@pytest.mark.parametrize("cells", [0, 30])
def test_the_evaluator_gives_it_with_ranges_in_chunks(golden: Golden, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dsl.ranges.AXIS_CELLS", cells)
    (pattern,) = evaluate(parse(golden.program), Batch([golden.text], golden.causal))
    np.testing.assert_allclose(pattern, golden.expected, atol=1e-6)


@EACH
def test_the_canonical_form_gives_the_expected_pattern(golden: Golden) -> None:
    program = simplify(parse(golden.program))
    (pattern,) = evaluate(program, Batch([golden.text], golden.causal))
    np.testing.assert_allclose(pattern, golden.expected, atol=1e-6)
    assert parse(str(program)) == program == simplify(program)


@EACH
def test_the_printed_python_gives_the_expected_pattern(golden: Golden) -> None:
    program = parse(golden.program)
    printed = facades.run_python(to_python(program, golden.causal), golden.text)
    np.testing.assert_allclose(printed, golden.expected, atol=1e-6)
    module = facades.run_module(to_module(program, "head", golden.causal), golden.text)
    np.testing.assert_allclose(module, golden.expected, atol=1e-6)


def test_names_are_distinct() -> None:
    assert len({g.name for g in GOLDEN}) == len(GOLDEN)
