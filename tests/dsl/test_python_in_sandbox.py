"""Printed programs pass the sandbox's policy and mean the same inside it."""

import numpy as np
import pytest

from dsl import Batch, evaluate, parse, to_python
from sandbox import Sandbox
from tests.dsl.golden import GOLDEN, STORY, TAGGED

# Every helper function that a printed program may bring along.
PROGRAMS = r"""
when punctuation(k) or newline(k) or special(k) or word_start(k) add 1
when text(k - 1) == text(q) and text(q) != text(k + 1) add default(similarity(q, k - 1), 1)
add char_similarity(q, k) + 1 / k + q // k + q % k + 2 ** (1 / k)
add exp(dist) + log(k) + sqrt(q - k) + tanh(dist) + floor(q / 2) + round(q / 3) + abs(dist)
add min(q, k, 3) + max(5 / k, 1) + length(q) + occurrences(text(k), "a")
when startswith(k, " ", "c") or endswith(k, "at") or contains(k, "e") or lower(k) == "the" or slice(k, 0, 2) == " c" add 1
add sum(p < q: 1 / p) + default(min(p <= k: length(p) / p), 0) + default(max(p in k..q: p), 0) + count(p: isalpha(p))
when all(p < q: not punctuation(p)) and exists(last(p in k / 2..q: islower(p))) add 1\nscale weight(k, q) + 1\nnormalize
when any(w in words(k): pos(w) == "NOUN") or any(w in subtree(head(q)): is_stop(w)) add 1
when any(w in ancestors(k): lemma(w) == "run") or any(w in children(k): text(w) == "big") add 1
when k == first_token(head(q)) or k == last_token(nth_word(1)) or first(w in words(): is_punct(w)) == word(k) add 1
when sentence(q) == sentence(k) and (sent_start(q) or sent_end(k) or index(k) > 1 or dep(k) != "det" or tag(k) == "") add 1
when row == 0 { add 1 } else { let old = weight\nscale 2\nadd old }
""".strip().splitlines()


@pytest.fixture(scope="module")
def box():
    with Sandbox() as sandbox:
        yield sandbox


def test_golden_programs(box: Sandbox) -> None:
    for golden in GOLDEN:
        result = box.run(to_python(parse(golden.program), golden.causal), [golden.text], causal=golden.causal)
        assert result.outcome == "ok", (golden.name, result.reason)
        np.testing.assert_allclose(result.matrices[0], golden.expected, atol=1e-6, err_msg=golden.name)


@pytest.mark.parametrize("source", PROGRAMS)
def test_all_helper_functions(box: Sandbox, source: str) -> None:
    program = parse(source.replace("\\n", "\n"))
    printed = to_python(program, causal=False)
    for text in (TAGGED,) if "spacy_parse" in printed else (STORY, TAGGED):
        result = box.run(printed, [text], causal=False)
        assert result.outcome == "ok", result.reason
        np.testing.assert_allclose(result.matrices[0], evaluate(program, Batch([text], False))[0], atol=1e-5)
