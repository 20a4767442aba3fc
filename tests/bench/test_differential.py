"""bench/differential.py finds what differs and its smallest text, and finds nothing on the golden programs."""

from __future__ import annotations

import differential
import numpy as np
import pytest
from differential import PLAIN, Original, Reader, compare, cut, default_annotator, default_targets, shrunk
from small_programs import OPENING, TEMPLATES, generated

from dsl import parse
from dsl.python import to_python
from harness.targets import load_target
from sandbox import Sandbox
from tests.dsl.golden import GOLDEN


@pytest.fixture(scope="module")
def box():
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module", params=default_targets())
def reader(request):
    return Reader(load_target(request.param), default_annotator())


@pytest.fixture(scope="module")
def demo():
    return Reader(load_target("demo"), None)


def test_golden_programs_are_the_same_every_way(reader, box):
    if reader.annotator is None:
        pytest.skip("no spaCy pipeline is here")
    texts = [reader(raw) for raw in (PLAIN[0], PLAIN[1], PLAIN[4], PLAIN[7], PLAIN[10], PLAIN[13], PLAIN[16])]
    texts += [reader(cut(texts[0], n)) for n in (1, 2, 3, 5)]
    for golden in GOLDEN:
        source = to_python(parse(golden.program), reader.target.causal)
        found = compare(Original(source, reader, box, own=True), texts)
        assert not found.differences and not found.failed, (golden.name, found)


def program(body: str) -> str:
    return OPENING + f'    out += 1\n    for j in range(n):\n        {body}\n    return "x", make_row_stochastic(out)\n'


def test_the_smallest_text_is_found(demo, box):
    """A lifted program that overlooks commas is shown by a comma alone."""
    original = Original(program("out[:, j] += ',' in tokens[j]"), demo, box, own=True)
    text = demo("Once upon a time there was a cat, and a dog, and they were happy.")
    assert shrunk(original, parse("when dist >= 0 add 1"), text, "the lifted program differs from the sandbox") == ","


def test_each_way_is_compared(demo, box, monkeypatch):
    source = program("out[:, j] += len(tokens[j])")
    texts = [demo(PLAIN[0])]
    assert not compare(Original(source, demo, box, own=True), texts).differences
    monkeypatch.setattr(differential, "run_plainly", lambda source, text, *_: np.eye(len(text)))
    found = compare(Original(source, demo, box, own=True), texts, shrink=False)
    assert [d.what for d in found.differences] == ["the sandbox differs from plain Python"]
    assert not compare(Original(source, demo, box, own=False), texts).differences  # nothing is run in this process
    refused = compare(Original(program("out[:, j] += np.random.rand()"), demo, box, own=False), texts)
    assert "random numbers" in refused.refused and not refused.failed
    failing = compare(Original(program("out[:, j] += {}['nothing']"), demo, box, own=False), texts)
    assert failing.failed == 1 and "line" in failing.stopped


def test_generated_programs_are_many_and_the_same_every_time():
    found = generated(200, 3)
    assert len({source for _, source in found}) == 200 and found == generated(200, 3) != generated(200, 4)
    assert {name.rsplit(" ", 1)[0] for name, _ in found} == set(TEMPLATES)
    for _, source in found:
        compile(source, "small", "exec")
        assert "<t:" not in source and "<w>" not in source
