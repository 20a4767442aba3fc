"""Recombination: what it finds is in its donors, each step raises the fit, and its budget holds."""

from itertools import pairwise

import numpy as np
import pytest

from dsl import Batch, evaluate, parse, parse_expression
from dsl.evaluator import value
from dsl.nodes import Member, Not, walk
from dsl.text import plain_text
from search.growth import Effort
from search.parts import Conjunction, Masks, Parts, conjunction, negated
from search.problem import Problem
from search.recombination import Recombination, recombine
from search.scoring import score

WORDS = [" a", " dog", "s", " ran", ".", " the", " cat", ",", " it"]
QUICK = Effort(trial_texts=8, steps=8, refined=(4,))


def problem_of(program, seed=0, texts=14, causal=True):
    rng = np.random.default_rng(seed)
    made = [plain_text(["<s>", *(WORDS[i] for i in rng.integers(0, len(WORDS), rng.integers(8, 20)))]) for _ in range(texts)]
    patterns = evaluate(parse(program), Batch(made, causal=causal))
    cells = [patterns[t, : len(text), : len(text)].ravel() for t, text in enumerate(made)]
    return Problem(made, causal, np.concatenate(cells)[None].astype(np.float16))


def iou(program, problem):
    return float(score([program], problem, [0]).mean())


def assemble(problem, donors, **options):
    options = {"max_rules": 4, "effort": QUICK, **options}
    return recombine(Masks(problem), [parse(d) for d in donors], [0], np.random.default_rng(0), **options)


FIRST = 'when text(q) == " dog" and k == 0 scale 30'
SECOND = 'when k == nearest(p < q: text(p) in {".", ","}) scale 20'


@pytest.mark.parametrize("causal", [True, False])
def test_a_head_that_does_what_two_answers_do_gets_the_rules_of_both(causal):
    problem = problem_of(f"add 1\n{FIRST}\n{SECOND}", causal=causal)
    donors = [
        f'add 0.3\nwhen dist == 1 and startswith(q, " ") add 0.5\n{FIRST}',
        f"when k == 1 and istitle(q) add 0.7\nadd 1\n{SECOND}",
    ]
    both = assemble(problem, donors).candidates[-1].program
    alone = [assemble(problem, [d]).candidates[-1].program for d in donors]
    assert iou(both, problem) > 0.99
    assert max(iou(p, problem) for p in alone) < 0.95


def test_each_further_rule_raises_the_fit_and_the_programs_mean_what_was_scored():
    problem = problem_of(f"add 1\n{FIRST}\n{SECOND}\nwhen same(text) scale 4")
    donors = ["add 0.3\nwhen same(text) and dist > 0 add 1", FIRST, SECOND]
    found = assemble(problem, donors, max_rules=5).candidates
    fits = [c.fit_iou for c in found]
    assert fits == sorted(fits)
    assert len(found) > 2
    for c in found:
        assert c.fit_iou == pytest.approx(iou(c.program, problem), abs=2e-3)
        assert len(c.program.rules()) <= 5


def test_growing_never_lowers_the_fit():
    problem = problem_of(f"add 1\n{FIRST}\n{SECOND}")
    parts = Parts(Masks(problem), [parse(f"{FIRST}\n{SECOND}\nwhen dist <= 3 add 1")])
    search = Recombination(parts, [0], np.random.default_rng(0), Effort(trial_texts=14))
    seen = [search.iou]
    while len(search.guards) < 6 and search.grow():
        seen.append(search.iou)
    assert len(seen) > 2
    assert all(b >= a - 1e-6 for a, b in pairwise(seen))


def test_a_set_of_tokens_gains_and_loses_what_the_head_asks_for():
    problem = problem_of('add 1\nwhen text(k) in {" dog", " cat"} scale 30')
    found = assemble(problem, ['add 1\nwhen text(k) in {" dog", " ran"} add 1'], max_rules=2)
    best = found.candidates[-1].program
    sets = [set(n.values) for n in walk(best) if isinstance(n, Member)]
    assert sets == [{" dog", " cat"}]
    assert iou(best, problem) > 0.98


def test_a_bound_moves():
    problem = problem_of("add 1\nwhen dist <= 4 scale 30")
    best = assemble(problem, ["add 1\nwhen dist <= 2 add 1"], max_rules=2).candidates[-1].program
    assert iou(best, problem) > 0.98


def test_pairs_of_parts_and_opposites_are_found_in_one_step():
    problem = problem_of('add 1\nwhen text(q) == " dog" and not k == 0 scale 0.01')
    donors = ['when text(q) == " dog" add 1', "when k == 0 add 1"]
    best = assemble(problem, donors, max_rules=2).candidates[-1].program
    assert iou(best, problem) > 0.98


def test_the_budget_holds_between_moves():
    problem = problem_of(f"add 1\n{FIRST}\n{SECOND}")
    donors = [FIRST, SECOND, "when dist <= 3 add 1"]
    free = assemble(problem, donors)
    short = assemble(problem, donors, budget=40)
    assert 40 <= short.evaluations < free.evaluations  # the move under way ends
    assert len(short.candidates) < len(free.candidates)


def test_the_same_seed_gives_the_same_programs():
    problem = problem_of(f"add 1\n{FIRST}\n{SECOND}")
    once, again = (assemble(problem, [FIRST, SECOND]) for _ in range(2))
    assert once == again


def test_donors_without_a_guard_or_that_read_weights_offer_nothing():
    problem = problem_of("add 1")
    assert not assemble(problem, ["add 1", "add 1\nwhen weight > 0.5 set 2"]).candidates


def test_masks_are_the_language_s_own_evaluation():
    problem = problem_of("add 1")
    masks = Masks(problem)
    for text in ("dist == 2", 'text(q - 1) == " a"', "k == nearest(p < q: text(p) == text(q))", "q > 3 or k == 0"):
        part = parse_expression(text)
        holds = problem.pack(value(part, problem.batch)).astype(bool)
        np.testing.assert_array_equal(masks(part), holds)
        np.testing.assert_array_equal(masks(Not(part)), ~holds)


def test_parts_are_the_parts_of_guards_once_each():
    problem = problem_of("add 1")
    donor = parse(
        'when (k == 0 or dist == 1) and not text(q) == "s" add 1\nwhen dist >= 0 and not k == 0 add 0.5 if dist == 2 else 0.1'
    )
    atoms = {str(a) for a in Parts(Masks(problem), [donor]).atoms}
    assert atoms == {"k == 0 or dist == 1", "k == 0", "dist == 1", 'text(q) == "s"', "dist == 2"}  # dist >= 0 holds everywhere


def test_values_depend_on_what_donors_values_depend_on():
    problem = problem_of("add 1")
    masks = Masks(problem)
    plain, decaying = (Parts(masks, [parse(f"when k == 0 add {v}")]).features for v in ("1", "exp(-0.1 * dist)"))
    assert not plain.any()
    assert decaying[0].any() and decaying[1].any() and not decaying[2:].any()


def test_conjunctions_are_flat_and_sorted():
    a, b, c = (parse_expression(t) for t in ("k == 0", "dist == 1", "q > 2"))
    both = parse_expression("dist == 1 and k == 0")
    assert conjunction([both, c, a]) == conjunction([c, b, a]) == Conjunction(tuple(sorted((a, b, c), key=str)))
    assert negated(negated(a)) == a
