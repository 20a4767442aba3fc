"""Evidence, templates, refinement: what a model is told, and that it fits."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from chat_server import previous_token_evidence

from dsl import Batch, evaluate
from dsl.nodes import OPERATIONS
from dsl.parser import parse
from dsl.vocabulary import VOCABULARY
from search.llm import reference
from search.llm.answers import read_answer
from search.llm.compose import compose
from search.llm.evidence import HeadEvidence, hints, k_center, listing, relations, shares_of, strongest_cells, uniform
from search.llm.prompt import default_template, estimate_tokens, parse_template, read_template
from search.llm.refine import NearFit, Progress, RoundState, feedback, iou, plan, without

GOLDEN = Path(__file__).parent / "golden_prompt.md"


def state(evidence, **changes):
    even = [uniform(len(t), evidence.causal) for t in evidence.texts]
    near = (NearFit("L2H3", "when k == 0 add 1", 0.4),)
    best = parse("when dist == 1 add 0.6\nadd 0.1")
    values = {"round": 1, "baseline": 0.3, "score": 0.42, "best": best, "matrices": even, "near": near}
    return RoundState(**{**values, "scorer": lambda p: 0.1 * len(p.rules()), **changes})


def test_the_prompt_word_for_word():
    """The shipped template with evidence and feedback; what derives from the vocabulary is left out here, tested below."""
    evidence, template = previous_token_evidence(), default_template()
    values = {name: name.upper() for name in ("mask", "language", "environment", "example", "form")}
    told = feedback(evidence, state(evidence))
    values |= {"head": evidence.name, "hints": hints(evidence), "cells": listing(evidence, 2, 2, 6)}
    prompt = template.fill("propose", {**values, "feedback": template.fill("feedback", told)})
    assert prompt + "\n" == GOLDEN.read_text(encoding="utf-8")


def random_evidence(causal, n, n_texts=8, seed=0):
    """Long tokens, sharp random rows: as expensive to tell as evidence gets."""
    rng = np.random.default_rng(seed)
    texts = previous_token_evidence(n_texts=1).texts
    made = []
    for _ in range(n_texts):
        tokens = tuple(f" {chr(97 + rng.integers(26))}wordpiece{rng.integers(90)}" for _ in range(n))
        made.append(type(texts[0])(" ".join(tokens), tokens, word_start=(True,) * n, special=(False,) * n, alignment=((),) * n))
    matrices = [rng.dirichlet(np.full(n, 0.05), n) * (np.tri(n) if causal else 1) + 1e-9 * np.eye(n) for _ in made]
    matrices = [a / a.sum(axis=1, keepdims=True) for a in matrices]
    return HeadEvidence(3, 7, causal, made, matrices)


@pytest.mark.parametrize(("causal", "n"), [(True, 96), (False, 96), (True, 512)])
@pytest.mark.parametrize("budget", [4000, 2000])
def test_prompts_fit_their_budget_and_use_it(causal, n, budget):
    import litellm

    evidence = random_evidence(causal, n)
    for told in (None, feedback(evidence, state(evidence))):
        messages = compose(evidence, default_template(), budget, told)
        estimated = sum(estimate_tokens(content) for _, content in messages)
        assert 0.7 * budget < estimated <= budget
        shown = [{"role": role, "content": content} for role, content in messages]
        for model in ("gpt-4o", "claude-3-opus-20240229"):  # tokenizers that litellm carries with it
            assert litellm.token_counter(model=model, messages=shown) <= 1.1 * budget


def test_what_a_prompt_says_of_the_language_is_complete_and_true():
    told = reference.language()
    assert all(operation in told for operation in OPERATIONS)
    missing = [p.name for p in VOCABULARY.values() if p.name not in told or p.meaning.split()[0] not in told]
    assert missing == []
    assert "pos(" not in reference.language(annotated=False).split("Of a position")[1]
    rules = [line for line in reference.introduction().splitlines() if line.startswith("    ")]
    assert len(parse("\n".join(rules)).rules()) >= 3  # the grammar's own example
    for causal in (True, False):
        rules, python = read_answer(reference.example(causal))
        assert rules.program is not None and python.problem is None
        assert ("apply_causal_mask" in python.source) is causal


def test_both_forms_of_the_example_mean_the_same():
    """The Python of the example is run here, beside the language's evaluator."""

    def causal(a):
        return np.tril(a)

    def stochastic(a):
        return np.divide(a, a.sum(axis=1, keepdims=True), out=np.zeros_like(a), where=a.sum(axis=1, keepdims=True) > 0)

    text = previous_token_evidence().texts[0]
    rules, python = read_answer(reference.example(True))
    names = {"np": np, "apply_causal_mask": causal, "make_row_stochastic": stochastic}
    exec(python.source, names)

    class Tokenizer:
        def __call__(self, sentence, return_tensors):
            return type("Encoding", (), {"input_ids": [sentence]})

        def convert_ids_to_tokens(self, ids):
            return list(text.tokens)

    _, matrix = names["program"](text.text, Tokenizer())
    assert np.allclose(matrix, evaluate(rules.program, Batch([text], causal=True))[0], atol=1e-6)


def test_shares_are_parts_of_the_mass():
    evidence = previous_token_evidence()
    masks = relations(evidence.texts[0], True)
    found = shares_of(evidence.matrices[0], masks)
    assert found["previous token"] == pytest.approx((8 * 0.75 + 0.25) / 9)  # the second token's previous one is the first
    assert found["first token"] == pytest.approx((1 + 8 * 0.25 + 0.75) / 9)
    assert found["same token, elsewhere"] == 0
    q, k = np.indices(evidence.matrices[0].shape)
    distances = [masks[name] for name in ("self", "previous token", "distance 2-4", "distance 5-16", "distance above 16")]
    assert (sum(d.astype(int) for d in distances) == (k <= q)).all()  # every cell below the diagonal once


def test_the_strongest_cells_are_the_strongest_in_three_equal_parts():
    rng = np.random.default_rng(1)
    a = rng.random((60, 60))
    strata = strongest_cells(a, False, 1000)
    kept = [w for part in strata.values() for _, _, w in part]
    assert len(kept) == round(0.025 * 3600) and min(kept) >= np.sort(a.ravel())[-len(kept)]
    weights = [[w for _, _, w in part] for part in strata.values()]
    assert min(weights[0]) > max(weights[1]) and min(weights[1]) > max(weights[2])
    assert all(len(part) == 4 for part in strongest_cells(a, False, 4).values())
    assert all(k <= q for part in strongest_cells(np.tril(a), True, 9).values() for q, k, _ in part)
    assert all(len(cells) <= 1 for cells in strongest_cells(np.ones((1, 1)), True, 3).values())


def test_chosen_texts_differ_as_much_as_greedy_choice_can():
    rng = np.random.default_rng(2)
    points = rng.random((30, 4))
    chosen = k_center(points, 5)
    assert len(set(chosen)) == 5
    for i in range(1, 5):  # each is farthest from those before it
        gaps = np.linalg.norm(points[:, None] - points[chosen[:i]], axis=2).min(axis=1)
        assert gaps[chosen[i]] == pytest.approx(gaps.max())
    assert k_center(np.zeros((7, 3)), 5) == [0]


def test_feedback_names_what_is_wrong():
    evidence = previous_token_evidence()
    first = [np.eye(len(t))[[0] * len(t)] for t in evidence.texts]  # everything on the first token
    told = feedback(evidence, state(evidence, matrices=first, near=(), scorer=None))["details"]
    assert "previous token .69 against" in told and "first token .42 against 1" in told
    assert '" sat" -> " cat" at distance 1' in told.split("The program where")[0]
    assert '" sat" -> "<s>" at distance 3' in told.split("The program where")[1]
    assert feedback(evidence, RoundState()) is None
    expected = np.minimum(evidence.matrices[0], first[0]).sum() / np.maximum(evidence.matrices[0], first[0]).sum()
    assert iou(evidence.matrices[0], first[0]) == pytest.approx(expected) and f"{expected:.2f}" in told


def test_leaving_out_each_rule():
    program = parse("add 1\nwhen dist == 1 { set 2\nwhen k == 0 set 3 } else { set 4 }\nset 5")
    left = [without(program, i) for i in range(5)]
    assert [len(p.rules()) for p in left] == [4] * 5
    values = [{r.value.value for r in p.rules()} for p in left]
    assert values == [{1, 2, 3, 4, 5} - {i} for i in range(1, 6)]
    assert without(parse("when k == 0 { set 1 }\nadd 1"), 0) == parse("add 1")


def test_the_widest_gap_comes_first_and_spending_shifts_it():
    heads = [
        Progress((0, 0), 0.2, 0.6),
        Progress((0, 1), 0.3, None),
        Progress((1, 0), 0.1, 0.5, asked=1),
        Progress((1, 1), 0.9, 0.2),
    ]
    assert plan(heads, 4) == [(0, 1), (0, 0), (1, 0), (1, 1)]
    assert plan(heads, 1) == [(0, 1)]
    assert plan([Progress((0, 0), 0.5, 0.5, share=1), Progress((0, 1), 0.5, 0.5, share=3)], 1) == [(0, 1)]


def test_a_user_file_replaces_sections(tmp_path):
    path = tmp_path / "mine.md"
    path.write_text("Only this: {{cells}} and {{ head }}.\n")
    template = read_template(path)
    assert template.fill("propose", {"cells": "C {{head}}", "head": "H"}) == "Only this: C {{head}} and H."
    assert template.sections["system"] == default_template().sections["system"]
    path.write_text("=== system\nBe brief.\n=== correct\nFix: {{problems}}\n")
    assert compose(previous_token_evidence(), read_template(path), 4000)[0] == ("system", "Be brief.")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{{cells}}\n{{evidnce}}", r"mine, line 2: unknown placeholder \{\{evidnce\}\} in section 'propose'"),
        ("x\n{{cell}}", r"did you mean \{\{cells\}\}"),
        ("nothing to fill in", r"lacks \{\{cells\}\}"),
        ("=== propse\n{{cells}}", "no section is called 'propse'"),
        ("=== system\nx\n=== system\ny", "line 3: section 'system' occurs twice"),
        ("stray\n=== system\nx", "before the first section"),
        ("=== system\n\n", "is empty"),
    ],
)
def test_a_template_that_cannot_work_is_refused_with_its_line(text, says):
    with pytest.raises(ValueError, match=says):
        parse_template(text, "mine")


def test_a_template_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match=r"missing\.md: cannot be read"):
        read_template(tmp_path / "missing.md")


def test_estimates_grow_with_the_text():
    texts = ["", "a", "a word", "a word, 12 and\nmore", "x" * 50]
    estimates = [estimate_tokens(t) for t in texts]
    assert estimates[0] == 0 and all(a < b for a, b in itertools.pairwise(estimates))
