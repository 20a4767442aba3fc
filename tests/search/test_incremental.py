"""The incremental evaluator gives what the plain one gives, whatever came before."""

import numpy as np

from dsl import parse
from dsl.nodes import Program
from search.incremental import IncrementalEvaluator
from search.scoring import score

RULES = [
    "add exp(-0.2 * dist)",
    "when same(text) scale 3",
    "when dist == 1 set 0.7",
    "when k == 0 max 0.5 * exp(0.1 * q)",
    "when word_start(k) min 0.3",
    "when k == nearest(p < q: punctuation(p)) add 1 / (dist - 2)",
    "when text(k) == text(q - 1) add 0.4",
    "add -0.05",
    "when k == 0 share 0.4",
    "when same(text) share 0.3 if word_start(q) else 1 / (dist - 1)",
    "normalize",
    "when k == q set 0.1 * row",
    "when word_start(q) { scale 2 } else { set 0 }",
    "let s = last(p <= q: word_start(p))",
]


def test_a_stream_of_programs(planted):
    problem = planted("add exp(-0.3 * dist)\nwhen dist == 1 add 1", number=6)
    evaluator = IncrementalEvaluator(problem, 0)
    rng = np.random.default_rng(3)
    rules = [parse(r).statements[0] for r in RULES]
    plain = rules[:10]
    current: list = []
    programs = []
    for _ in range(150):
        pool = plain if rng.random() < 0.8 else rules
        at = int(rng.integers(len(current) + 1))
        if rng.random() < 0.6 or len(current) > 7:
            current = current[:at] + current[at + 1 :]
        current = [*current[:at], pool[int(rng.integers(len(pool)))], *current[at:]]
        programs.append(Program(tuple(current)))
    found = [evaluator.iou(p) for p in programs]
    expected = score(programs, problem, [0])[:, 0].mean(1)
    assert np.abs(np.array(found) - expected).max() < 1e-5
    assert np.ptp(expected) > 0.3
