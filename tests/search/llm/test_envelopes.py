"""Any program in any wrapping is read back whole and unchanged, whatever marks stand in its own strings and comments."""

import ast
import json
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from dsl.parser import parse
from search.llm.answers import read_answer

MARKS = ["<think>", "</think>", "<thought>", "```", "````", "```python", "~~~", "]]>", "<|end|>", "<|channel|>final<|message|>",
         "[THINK]", "[/THINK]", "</answer>", "&lt;",
         "assistantfinal", "<<<<<<< SEARCH", "@@ -1 +1 @@", "def f(a, b):", "plain"]  # fmt: skip
DRAFT = 'def program(sentence, tokenizer):\n    n = len(tokenizer(sentence))\n    return "draft", np.ones((n, n))\n'


QUICK = (Phase.explicit, Phase.reuse, Phase.generate)  # a failing answer is short enough without shrinking


def fenced(code, label="python", fence="```"):
    return f"{fence}{label}\n{code.rstrip()}\n{fence}"


def longer(code):
    """A fence that no line of the code could close."""
    return "`" * 6 if "```" in code else "````"


@st.composite
def python_programs(draw):
    listed = ", ".join(repr(m) for m in draw(st.lists(st.sampled_from(MARKS), min_size=1, max_size=3)))
    inside = draw(st.sampled_from(MARKS))
    comment, name = draw(st.sampled_from(MARKS)), draw(st.sampled_from(["program", "head", "attention"]))
    doc = draw(st.sampled_from(["", f'    """Example:\n\n    {inside}\n    q -> q - 1\n    {inside}\n    """\n']))
    start = draw(st.sampled_from(["", "import numpy as np\n\n", f"MARKS = [{listed}]\n\n"]))
    return (
        f"{start}def {name}(sentence, tokenizer):\n{doc}"
        f"    tokens = tokenizer.tokenize(sentence)  # {comment}\n"
        f"    out = np.zeros((len(tokens), len(tokens)))\n"
        f"    for i, t in enumerate(tokens):\n"
        f"        if t in [{listed}] and i > 0:\n"
        f"            out[i, i - 1] = 1\n"
        f'    return "previous", make_row_stochastic(out)\n'
    )


@st.composite
def language_programs(draw):
    listed = ", ".join(json.dumps(m) for m in draw(st.lists(st.sampled_from(MARKS), min_size=1, max_size=3)))
    return f"when dist == 1 add 0.6\nwhen text(k) in {{{listed}}} add 0.25\n"


def kind(code):
    return "python" if "def " in code and "return" in code else "pattern"


ENVELOPES = {
    "fence": lambda c: fenced(c, kind(c)),
    "fence without label": lambda c: fenced(c, ""),
    "four backticks": lambda c: fenced(c, kind(c), longer(c)),
    "tildes": lambda c: fenced(c, kind(c), "~~~"),
    "prose around": lambda c: f"Sure, here it is.\n\n{fenced(c, kind(c))}\n\nIt looks one back. `<think>` is a sink.",
    "fence in a sentence": lambda c: f"The program: {fenced(c, kind(c))}",
    "never closed": lambda c: f"```{kind(c)}\n{c}",
    "json fence": lambda c: fenced(json.dumps({"why": "one back", "program": c}), "json"),
    "json of whole answers": lambda c: json.dumps([{"type": "text", "text": f"Here:\n{fenced(c, kind(c))}"}]),
    "parts with thoughts": lambda c: json.dumps(
        [{"type": "thinking", "thinking": fenced(DRAFT)}, {"type": "text", "text": fenced(c)}]
    ),
    "cdata": lambda c: f"<file name='a'><![CDATA[\n{c}\n]]></file>",
    "reasoning before": lambda c: f"<think>\nMaybe\n{fenced(DRAFT)}\n</think>\n{fenced(c, kind(c))}",
    "reasoning in a row": lambda c: f"<think>a</think>\n<thinking>{fenced(DRAFT)}</thinking>\n{fenced(c, kind(c))}",
    "reasoning after": lambda c: f"{fenced(c, kind(c))}\n<reasoning>\nOr rather\n{fenced(DRAFT)}\n</reasoning>",
    "reasoning between": lambda c: f"See <thought>{fenced(DRAFT)}</thought> So:\n{fenced(c, kind(c))}\n<think>Good.</think>",
    "nested reasoning": lambda c: f"<think>a<thought>\n{fenced(DRAFT)}\n</thought>\n{fenced(DRAFT)}</think>\n{fenced(c, kind(c))}",
    "only the closing tag": lambda c: f"Draft:\n{fenced(DRAFT)}\nNo.\n</think>\n\n{fenced(c, kind(c))}",
    "an open fence in the reasoning": lambda c: f"<think>\n```python\ndef program(a\n</think>\n{fenced(c, kind(c))}",
    "reasoning that never ends": lambda c: f"<think>\n{fenced(DRAFT)}\nbetter\n{fenced(c, kind(c))}",
    "square brackets": lambda c: f"[THINK]{fenced(DRAFT)}[/THINK]{fenced(c, kind(c))}",
    "channels": lambda c: (
        f"<|channel|>analysis<|message|>x\n{fenced(DRAFT)}<|end|><|start|>assistant<|channel|>final<|message|>"
        f"{fenced(c, kind(c))}<|return|>"
    ),
    "answer tags": lambda c: f"<answer>\n{fenced(c, kind(c))}\n</answer>",
    "windows": lambda c: fenced(c, kind(c)).replace("\n", "\r\n"),
    "a diff of a new file": lambda c: fenced(
        "--- /dev/null\n+++ b/p\n@@ -0,0 +1,9 @@\n" + "".join(f"+{line}\n" for line in c.splitlines()), "diff"
    ),
    "a draft taken back": lambda c: f"{fenced(DRAFT)}\nWait, that is wrong. Corrected:\n{fenced(c, kind(c))}",
}  # fmt: skip


@pytest.mark.parametrize("envelope", ENVELOPES)
@settings(max_examples=40, deadline=None, phases=QUICK)
@given(code=python_programs())
def test_python_is_read_whole_from_any_envelope(envelope, code):
    (only,) = read_answer(ENVELOPES[envelope](code))
    assert only.problem is None and ast.dump(ast.parse(only.source)) == ast.dump(ast.parse(code))


# a draft in Python and rules after it are two proposals, as far as the words between them go
LANGUAGE_ENVELOPES = [e for e in ENVELOPES if e != "a draft taken back"]


@pytest.mark.parametrize("envelope", LANGUAGE_ENVELOPES)
@settings(max_examples=20, deadline=None, phases=QUICK)
@given(code=language_programs())
def test_the_language_is_read_whole_from_any_envelope(envelope, code):
    (only,) = read_answer(ENVELOPES[envelope](code))
    assert (only.form, only.problem, only.program) == ("language", None, parse(code))


@settings(max_examples=30, deadline=None, phases=QUICK)
@given(code=python_programs())
def test_python_is_read_whole_without_any_fence(code):
    for answer in (code, f"<think>{DRAFT}</think>\n{code}", f"<answer>\n{code}</answer>", f"Draft\n{DRAFT}\n</think>\n{code}"):
        (only,) = read_answer(answer)
        assert ast.dump(ast.parse(only.source)) == ast.dump(ast.parse(code))


BASE = 'def program(sentence, tokenizer):\n    n = len(tokenizer(sentence))\n    out = {}\n    return "draft", out\n'
EDITED = BASE.replace('"draft"', '"previous"').replace("out = {}", "out = {1: 1}")
EDITS = {
    "a unified diff": fenced(
        "--- a/p.py\n+++ b/p.py\n@@ -2,3 +2,3 @@\n     n = len(tokenizer(sentence))\n-    out = {}\n-    return \"draft\", out\n"
        "+    out = {1: 1}\n+    return \"previous\", out\n",
        "diff",
    ),
    "two hunks with wrong numbers": fenced(
        "@@ -9,1 +9,1 @@\n-    out = {}\n+    out = {1: 1}\n"
        "@@ -90,1 +90,1 @@\n-    return \"draft\", out\n+    return \"previous\", out\n",
        "diff",
    ),
    "search and replace": (
        "<<<<<<< SEARCH\n    out = {}\n=======\n    out = {1: 1}\n>>>>>>> REPLACE\n\nand\n\n"
        '```python\n<<<<<<< SEARCH\n    return "draft", out\n=======\n    return "previous", out\n>>>>>>> REPLACE\n```'
    ),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_applied_to_what_it_is_of(edit):
    for answer, bases in (
        (f"Draft:\n{fenced(BASE)}\nNow\n{EDITS[edit]}", ()),
        (EDITS[edit], ("def other(a, b):\n    pass\n", BASE)),
    ):
        (only,) = read_answer(answer, bases=bases)
        assert only.problem is None and ast.dump(ast.parse(only.source)) == ast.dump(ast.parse(EDITED))


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_of_nothing_known_says_so(edit):
    (only,) = read_answer(EDITS[edit])
    assert only.mendable and "edit" in only.problem


def test_a_rule_of_the_language_is_edited_too():
    answer = fenced("@@ -1 +1 @@\n-when k == 0 add 1\n+when k == 1 add 2\n", "diff")
    (only,) = read_answer(answer, bases=["when dist == 1 add 3\nwhen k == 0 add 1\n"])
    assert only.program == parse("when dist == 1 add 3\nwhen k == 1 add 2\n")


def test_of_a_function_defined_twice_in_a_block_the_last_counts():
    (only,) = read_answer(fenced(DRAFT + "\n\n" + DRAFT.replace("draft", "previous")))
    assert "previous" in only.source and "draft" not in only.source


def test_ideas_side_by_side_are_all_kept():
    assert len(read_answer(f"One:\n{fenced(DRAFT)}\nAnother:\n{fenced(DRAFT.replace('draft', 'other'))}")) == 2


FAILURES = Path(__file__).parents[4] / "shared" / "failures" / "answers"


@pytest.mark.skipif(not FAILURES.is_dir(), reason="../shared/failures/answers is not here")
def test_answers_that_were_once_misread():
    for path in sorted(FAILURES.iterdir()):
        (only,) = read_answer(path.read_text(encoding="utf-8"))
        assert only.problem is None and '"previous"' in only.source and "draft" not in only.source, path.name
