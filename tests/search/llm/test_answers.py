"""Programs in answers of every shape. The oracle for what was read is what the code does: it is run here, on trusted samples."""

import ast
import json
import textwrap

import pytest

from dsl.parser import parse
from search.llm.answers import read_answer

PYTHON = textwrap.dedent(
    """\
    import numpy as np

    def program(sentence, tokenizer):
        tokens = tokenizer(sentence)
        n = len(tokens)
        a = np.zeros((n, n))
        for i in range(n):
            if i > 0 and i < 9:
                a[i, i - 1] = 1.0
        return "previous", a
    """
)
RULES = 'when text(k) == "." add 0.5\nwhen dist == 1 add 0.6\n'


def same_code(source, expected=PYTHON):
    return ast.dump(ast.parse(source)) == ast.dump(ast.parse(expected))


def fenced(code, label="python", fence="```"):
    return f"{fence}{label}\n{code}{fence}"


WRAPPINGS = {
    "plain": PYTHON,
    "python fence": fenced(PYTHON),
    "capital label": fenced(PYTHON, "Python"),
    "no label": fenced(PYTHON, ""),
    "wrong label": fenced(PYTHON, "javascript"),
    "labelled as the language": fenced(PYTHON, "pattern"),
    "tildes": fenced(PYTHON, "py", "~~~"),
    "prose around": f"Here is my idea.\n\n{fenced(PYTHON)}\n\nIt attends to the previous token.",
    "prose around, no fence": f"Here is my idea:\n\n{PYTHON}\nIt attends to the previous token. I hope it helps!",
    "never closed": f"Sure!\n```python\n{PYTHON}",
    "indented in a list": "1. First:\n" + textwrap.indent(fenced(PYTHON), "   "),
    "tabs": fenced(PYTHON.replace("    ", "\t")),
    "tabs and spaces": fenced(PYTHON.replace("        ", "\t", 3)),
    "windows line ends": fenced(PYTHON).replace("\n", "\r\n"),
    "entities": fenced(PYTHON.replace(">", "&gt;").replace("<", "&lt;")),
    "html": "<html><body><p>Sure</p><pre><code>" + PYTHON.replace(">", "&gt;").replace("<", "&lt;") + "</code></pre></body></html>",
    "typographic quotes": fenced(PYTHON.replace('"previous"', "“previous”")),
    "no-break spaces": fenced(PYTHON.replace("    ", "\u00a0   ")),
    "session": fenced(
        "".join((">>> " if not line[:1].isspace() else "... ") + line + "\n" for line in PYTHON.splitlines() if line)
    ),
    "thinking first": f"<think>Maybe\n```python\ndef program(a, b):\n    return 1\n```\n</think>\n{fenced(PYTHON)}",
    "example of the output": f"{fenced(PYTHON)}\nwhich gives\n{fenced('[[0. 1.] [1. 0.]]', '')}",
    "JSON": json.dumps({"idea": "the previous token", "programs": [{"code": PYTHON}]}),
    "fence within a line": f"Program 1: ```python\n{PYTHON}```\nand that is it",
    "text after the closing fence": f"```python\n{PYTHON}``` which should do.",
    "a quoted block": "\n".join("> " + line for line in fenced(PYTHON).splitlines()),
    "byte order mark": "\ufeff" + fenced(PYTHON),
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_python_is_found_in_any_wrapping(wrapping):
    (only,) = read_answer(WRAPPINGS[wrapping])
    assert (only.form, only.problem) == ("python", None)
    assert same_code(only.source)


LANGUAGE_WRAPPINGS = {
    "plain": RULES,
    "labelled": fenced(RULES, "pattern"),
    "other label": fenced(RULES, "dsl"),
    "no label": fenced(RULES, ""),
    "wrong label": fenced(RULES, "text"),
    "labelled as Python": fenced(RULES, "python"),
    "prose around": f"The idea is simple.\n\n{fenced(RULES, 'pattern')}\nThat is all.",
    "no fence": f"The program:\n\n{RULES}\nThat is all.",
    "typographic quotes": fenced(RULES.replace('"."', "“.”"), "pattern"),
    "entities": fenced(RULES.replace('"', "&quot;"), "pattern"),
    "comments": fenced("# stops\n" + RULES, "pattern"),
}


@pytest.mark.parametrize("wrapping", LANGUAGE_WRAPPINGS)
def test_the_language_is_found_in_any_wrapping(wrapping):
    (only,) = read_answer(LANGUAGE_WRAPPINGS[wrapping])
    assert (only.form, only.problem, only.program) == ("language", None, parse(RULES))


def test_several_programs_of_both_forms_keep_their_order():
    second = PYTHON.replace("i - 1", "0")
    found = read_answer(f"{fenced(RULES, 'pattern')}\nor\n{fenced(PYTHON)}\nor\n{fenced(second)}")
    assert [c.form for c in found] == ["language", "python", "python"]
    assert same_code(found[1].source) and same_code(found[2].source, second)


def test_the_same_program_twice_counts_once():
    assert len(read_answer(fenced(PYTHON) + "\nagain\n" + fenced(PYTHON))) == 1


def run(source):
    """What the last function of two parameters gives for a text of three tokens."""
    names = {}
    exec(source, names)
    last = [f for f in ast.parse(source).body if isinstance(f, ast.FunctionDef) and len(f.args.args) == 2][-1]
    return names[last.name]("a b c", str.split)


def test_several_functions_in_a_block_are_several_programs_with_their_helpers():
    block = textwrap.dedent(
        """\
        SCALE = 3

        def double(x):
            return SCALE * 2 * x

        def distance(i, j):
            return abs(i - j)

        def first(sentence, tokenizer):
            return "first", double(len(tokenizer(sentence)))

        def second(text, tok):
            return "second", distance(0, len(tok(text)))
        """
    )
    found = read_answer(fenced(block))
    assert [run(c.source) for c in found] == [("first", 18), ("second", 3)]


def test_a_helper_in_a_block_of_its_own_joins_the_program_that_calls_it():
    helper = "def twice(x):\n    return 2 * x\n"
    program = "def pattern(sentence, tokenizer):\n    return 'x', twice(len(tokenizer(sentence)))\n"
    (only,) = read_answer(f"First a helper:\n{fenced(helper)}\nthen\n{fenced(program)}")
    assert run(only.source) == ("x", 6)


def test_other_names_and_annotations_do_not_matter():
    code = "def attention_head(text: str, tok=None):\n    return 'x', len(text)\n"
    (only,) = read_answer(fenced(code))
    assert only.problem is None and run(only.source) == ("x", 5)


@pytest.mark.parametrize("lines", range(2, 8))
def test_of_truncated_code_the_complete_functions_are_used(lines):
    second = "\n".join(PYTHON.replace("program", "another").splitlines()[2 : 2 + lines])
    found = read_answer(f"```python\n{PYTHON}\n\n{second}", cut_off=True)
    assert [c.problem for c in found] == [None, "the code is cut off"]
    assert same_code(found[0].source)


def test_truncated_in_the_only_function_is_worth_sending_back():
    (only,) = read_answer("```python\n" + PYTHON[: PYTHON.index("return")], cut_off=True)
    assert only.problem == "the code is cut off" and only.mendable


def test_a_syntax_error_names_its_line_in_the_kept_source():
    broken = PYTHON.replace("range(n):", "range(n)")
    (only,) = read_answer(fenced(broken))
    assert only.mendable and only.problem.startswith("syntax: expected ':'")
    assert "range(n)" in only.source.split("\n")[only.line - 1]


def test_a_broken_function_does_not_take_a_whole_one_with_it():
    broken = PYTHON.replace("range(n):", "range(n)").replace("program", "broken")
    found = read_answer(fenced(broken + "\n\n" + PYTHON))
    assert sorted(c.problem is None for c in found) == [False, True]
    (whole,) = [c for c in found if c.problem is None]
    assert ast.dump(ast.parse(whole.source).body[-1]) == ast.dump(ast.parse(PYTHON).body[-1])


def test_an_error_in_the_language_names_line_and_reason():
    (only,) = read_answer(fenced("add 0.1\nwhen dist === 1 add 0.5\n", "pattern"))
    assert (only.form, only.line, only.mendable) == ("language", 2, True)
    (only,) = read_answer(fenced("when punctation(k) add 1\n", "pattern"))
    assert "punctuation" in only.problem  # the nearest known word


@pytest.mark.parametrize(
    ("answer", "reason", "mendable"),
    [
        ("", "empty answer", False),
        ("  \n\t\n", "empty answer", False),
        ("I'm sorry, but I can't help with that.", "a refusal instead of a program", False),
        ("<!DOCTYPE html><html><body>502 Bad Gateway</body></html>", "an HTML page instead of a program", False),
        ("asdf 1234 \x00\x01 ☃", "no program in the answer", False),
        ("Set your expectations: the head is a mixture.", "no program in the answer", False),
        ("```python\nx = 1\n```", "no function in the code", True),
        ("```python\ndef program(sentence):\n    return 1\n```", "takes 1 arguments", True),
        ("```pattern\n# nothing\n```", "no rule in it", False),
        ("```pattern\nadd " + "(" * 5000 + "\n```", "syntax", True),
        ("```python\nx = " + "(" * 5000 + "\n```", "syntax", True),
        ("```python\n" + "x" * 500_000, "no function", True),
    ],
)
def test_what_holds_no_program_is_kept_with_its_reason(answer, reason, mendable):
    (only,) = read_answer(answer)
    assert only.program is None and reason in only.problem and only.mendable is mendable


def test_reading_takes_linear_time():
    import time

    begin = time.perf_counter()
    for text in ("```\n" * 20_000, "def f(a, b):\n" * 5_000, "when " * 30_000, "<think>" * 20_000, "`" * 100_000):
        read_answer(text)
    assert time.perf_counter() - begin < 20


def test_what_stands_beside_a_program_stays_with_it():
    """A class at the top level is not dropped: what cannot be lifted must be refused, not changed."""
    code = 'class Rule:\n    weight = 3\n\nRULE = Rule()\n\ndef program(sentence, tokenizer):\n    return "x", RULE.weight\n'
    shown = code + '\nif __name__ == "__main__":\n    print(program("a", str.split))\n'
    (only,) = read_answer(fenced(shown))
    assert "class Rule" in only.source and "__main__" not in only.source and run(only.source) == ("x", 3)
