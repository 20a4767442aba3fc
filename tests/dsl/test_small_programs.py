"""The lifter on small programs of one construct each (bench/small_programs.py): right on every text, or refused.

The oracle is plain Python with the demo's tokenizer.
"""

from __future__ import annotations

import random

import numpy as np
import pytest
from differential import PLAIN, TOLERANCE, Reader, cut, default_annotator, run_plainly
from small_programs import TEMPLATES, filled

from dsl.batch import Batch
from dsl.evaluator import evaluate
from dsl.lift import Refusal, lift
from dsl.text import facts_of

DRAWS = 2


@pytest.fixture(scope="module")
def read():
    from harness.targets import load_target

    annotator = default_annotator()
    return Reader(load_target("demo"), annotator)


@pytest.fixture(scope="module")
def texts(read):
    story = read(PLAIN[0])
    short = [read(cut(story, n)) for n in (1, 2, 3, 5, 9)]
    return [*short, read(PLAIN[3]), read(PLAIN[4]), read(PLAIN[7]), read(PLAIN[13], 24), read("word"), read(PLAIN[10], 24)]


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_construct_is_lifted_right_or_refused(name, read, texts):
    if "#spacy" in TEMPLATES[name] and read.annotator is None:
        pytest.skip("no spaCy pipeline is here")
    rng = random.Random(name)
    for source in dict.fromkeys(filled(TEMPLATES[name], rng) for _ in range(DRAWS)):
        try:
            program = lift(source, facts_of(texts)).program
        except Refusal as refusal:
            assert refusal.line > 0 and refusal.reason
            continue
        for text, pattern in zip(texts, evaluate(program, Batch(texts, read.target.causal)), strict=True):
            try:
                plain = run_plainly(source, text, read.target.tokenizer, read.nlp, read.target.causal)
            except Exception:
                continue  # the original has no pattern here
            n = len(text)
            difference = np.abs(pattern[:n, :n] - plain).max()
            assert difference <= TOLERANCE, f"by {difference:.3g} on {text.text!r}\n{source}\n{program}"
