"""Evolution on a head that does what a known program does."""

import numpy as np

from dsl import Batch, evaluate, parse
from dsl.text import plain_text
from search.evolution import evolve
from search.problem import Problem
from search.scoring import score

WORDS = [" a", " dog", "s", " ran", ".", " the", " cat", ",", " it"]


def problem_of(program, seed=0, texts=12):
    rng = np.random.default_rng(seed)
    made = [plain_text(["<s>", *(WORDS[i] for i in rng.integers(0, len(WORDS), rng.integers(8, 20)))]) for _ in range(texts)]
    patterns = evaluate(program, Batch(made, causal=True))
    cells = [patterns[t, : len(text), : len(text)].ravel() for t, text in enumerate(made)]
    return Problem(made, True, np.concatenate(cells)[None].astype(np.float16))


def test_descendants_come_nearer_to_the_head():
    truth = parse("when dist == 1 add 0.7\nwhen k == 0 add 0.3")
    problem = problem_of(truth)
    start = parse("when dist == 2 add 0.5\nwhen k == 0 add 0.5")
    evolved = evolve([start], [], problem, 0, np.random.default_rng(0), children=240, max_rules=4)
    before, after = (float(score([p], problem, [0]).mean()) for p in (start, evolved.programs[0]))
    assert before < 0.6
    assert after > 0.95
    assert set(evolved.roots) == {0}
    assert evolved.scored > 50
    assert evolved.same_text > 0


def test_crossover_takes_over_what_another_program_knows():
    truth = parse('when text(k) == " dog" and dist > 0 add 0.8\nwhen k == 0 add 0.2')
    problem = problem_of(truth, seed=1)
    parent, donor = parse("when k == 0 add 1"), parse('when text(k) == " dog" and dist > 0 add 1')
    alone = evolve([parent], [], problem, 0, np.random.default_rng(0), children=90, max_rules=3)
    crossed = evolve([parent], [donor], problem, 0, np.random.default_rng(0), children=90, max_rules=3)
    alone_iou, crossed_iou = (float(score([e.programs[0]], problem, [0]).mean()) for e in (alone, crossed))
    assert crossed_iou > 0.9
    assert crossed_iou > alone_iou


def test_no_program_has_more_rules_than_allowed():
    problem = problem_of(parse("when dist == 1 add 1"), seed=2)
    start = parse("when dist == 0 add 1\nwhen k == 0 add 0.5")
    evolved = evolve([start], [start], problem, 0, np.random.default_rng(0), children=90, max_rules=2)
    assert max(len(p.rules()) for p in evolved.programs) <= 2
