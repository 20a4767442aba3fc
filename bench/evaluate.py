"""Programs evaluated per second by one core, plain and incremental. Run: python bench/evaluate.py

Programs of 8 rules, one head, 8 texts of 64 tokens. Each program differs from the one before in one rule: half of the time in
a constant, half of the time in a guard, as in evolution. `cold` counts the first use of every guard, `warm` does not.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from dsl import evaluate, parse
from dsl.nodes import Num, Program, Rule
from dsl.text import plain_text
from search.forms.vocabulary import vocabulary
from search.incremental import IncrementalEvaluator
from search.problem import Problem

WORDS = ["<s>", " the", " a", " cat", " dog", " ran", ".", ",", " b", "ig", " L", "ily", "s", " and", " was", "!", "ed", "ing"]
PROGRAM = """
add exp(-0.1 * dist)
when dist == 1 scale 3
when same(text) scale 2
when text(k) in {".", "!", ","} add 0.15 * exp(-0.1 * dist)
when k == nearest(p < q: punctuation(p)) set 0.4
when word_start(k) and text(q) in {"ed", "ing", "s"} scale 1.5
when k == 0 max 0.2
when dist > 8 scale 0.5
"""


def problem(texts: int = 8, tokens: int = 64, seed: int = 0) -> Problem:
    """Random texts, and one head that attends at random."""
    rng = np.random.default_rng(seed)
    given = [plain_text(["<s>", *rng.choice(WORDS, tokens - 1)]) for _ in range(texts)]
    weights = np.tril(rng.gamma(0.3, 1, (texts, tokens, tokens)) + 1e-3)
    target = (weights / weights.sum(-1, keepdims=True)).reshape(1, -1)
    return Problem(given, True, target.astype(np.float16))


def stream(number: int, given: Problem, seed: int = 1) -> list[Program]:
    """Programs that each change one rule of the best so far."""
    rng = np.random.default_rng(seed)
    guards = vocabulary(given.causal).relation
    current = list(parse(PROGRAM).statements)
    programs = []
    for _ in range(number):
        at = int(rng.integers(1, len(current)))
        rule = current[at]
        assert isinstance(rule, Rule)
        trial = list(current)
        if rng.random() < 0.5:
            trial[at] = Rule(rule.op, Num(float(f"{rng.uniform(0.1, 4):.3g}")), rule.guard)
        else:
            trial[at] = Rule(rule.op, rule.value, guards[int(rng.integers(len(guards)))])
        if rng.random() < 0.1:
            current = trial
        programs.append(Program(tuple(trial)))
    return programs


def main() -> None:
    given = problem()
    programs = stream(20_000, given)
    evaluator = IncrementalEvaluator(given, 0)
    evaluator.iou(parse("add 1\nwhen dist == 1 scale 1 + dist"))  # compiles the loops
    figures = {}
    for name in ("incremental, cold", "incremental, warm"):
        start = time.process_time()
        found = [evaluator.iou(p) for p in programs]
        figures[name] = len(programs) / (time.process_time() - start)
    some = programs[:400]
    for name in ("plain, cold", "plain, warm"):
        start = time.process_time()
        patterns = [evaluate(p, given.batch) for p in some]
        figures[name] = len(some) / (time.process_time() - start)
    plain = [evaluator.plain(p) for p in some]
    figures["largest difference in IoU"] = float(np.abs(np.array(plain) - found[: len(some)]).max())
    assert len(patterns) == len(some)
    print(json.dumps({k: round(v, 9) if v < 1 else round(v) for k, v in figures.items()}, indent=2))


if __name__ == "__main__":
    main()
