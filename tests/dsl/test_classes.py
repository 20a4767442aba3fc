"""Word classes on decoded tokens: what a reader of English and of code would say, and one meaning in every evaluator."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import Batch, english, parse, parse_expression, to_module
from dsl.classes import FUNCTION, NAMES, OF_POSITION, OF_TOKEN, WORDS
from dsl.evaluator import evaluate, value
from dsl.text import plain_text
from dsl.vocabulary import VOCABULARY

PROSE = ["Tom", " said", ":", ' "', "I", " will", " not", " go", " to", " the", " Big", " river", '."']
PROSE += [" Two", " men", " ran", "ner", "."]
CODE = ["\n", "\n", "def", " f", "(", "x", "):", "\n   ", " return", " np", ".", "array", "(", "["]
CODE += ["3", ".", "5", "]", ")", "\n", '"', "a", '"']


@pytest.mark.parametrize(
    ("tokens", "name", "expected"),
    [
        (PROSE, "article", [9]),
        (PROSE, "determiner", [9]),
        (PROSE, "pronoun", [4]),
        (PROSE, "preposition", [8]),
        (PROSE, "auxiliary", [5]),
        (PROSE, "negation", [6]),
        (PROSE, "number_word", [13]),
        (PROSE, "function_word", [4, 5, 6, 8, 9]),
        (PROSE, "content_word", [0, 1, 7, 10, 11, 13, 14, 15, 16]),
        (PROSE, "clause_mark", [2]),
        (PROSE, "opening_quote", [3]),
        (PROSE, "closing_quote", [12]),
        (PROSE, "sentence_end", [12, 17]),
        (PROSE, "capitalised", [0, 4, 10, 13]),
        (PROSE, "name_like", [10]),
        (PROSE, "continuation", [16]),
        (PROSE, "inner", [16]),
        (PROSE, "boundary", [2, 12, 17]),
        (PROSE, "leaning", [9]),
        (PROSE, "clause_word", [4, 5, 6]),
        (["a", " dog", " saw", " a", " dog", "\n", " is", " ("], "given", [4]),
        (["a", " dog", " saw", " a", " dog", "\n", " is", " ("], "leaning", [0, 3, 6, 7]),
        (["a", " dog", " saw", " a", " dog", "\n", " is", " ("], "boundary", [5]),
        (PROSE, "start", [0]),
        (PROSE, "anchor", [9]),
        (PROSE, "line_start", [0]),
        (PROSE, "first_the", [9]),
        (PROSE, "first_sign", [2]),
        (PROSE, "first_comma", [2]),
        (PROSE, "first_stop", [12]),
        (CODE, "first_break", [7]),
        (PROSE, "symbol", [2, 3, 12, 17]),
        (CODE, "start", [0, 1]),
        (CODE, "sentence_end", [10, 15]),  # told without what follows: np. and 3. may end a sentence
        (CODE, "opening_bracket", [4, 12, 13]),
        (CODE, "closing_bracket", [6, 17, 18]),
        (CODE, "indentation", [7]),
        (CODE, "line_start", [2, 8, 20]),
        (CODE, "line_end", [6, 18]),
        (CODE, "opening_quote", [20]),
        (CODE, "closing_quote", [22]),
        (CODE, "digit", [14, 16]),
        (["\n   ", ' """', "Add", ".", "\n   ", ' """', "\n", ' "', " a", ' "', " b"], "opening_quote", [1, 7]),
        (["\n   ", ' """', "Add", ".", "\n   ", ' """', "\n", ' "', " a", ' "', " b"], "closing_quote", [5, 9]),
        (CODE, "repeated", [1, 12, 15, 19, 22]),
        (["a", " =", " b", " ==", " -", "1", " ->", " !="], "operator", [1, 3, 4, 6, 7]),
        (["\\", "frac", "{", "x", "_", "1", "}", "'s", "("], "joining", [0, 2, 4, 8]),
        (["In", " the", " end", " ", ",", " ", " the"], "anchor", [1, 3]),
        (["x", " ", " y", " "], "start", [0, 1]),
        (["<s>", " ", " y"], "start", [0]),
        (["The", " cat", "\n\n", "  ", "It", " is", "\n", " ", "so"], "line_start", [0, 4, 8]),
        (["The", " cat", "\n\n", "  ", "It", " is", "\n", " ", "so"], "blank", [3, 7]),
        (["The", " cat", "\n\n", "  ", "It", " is", "\n", " ", "so"], "light", [0, 3, 4, 5, 7, 8]),
        (["who", " is", " what", "?", " it", " seems"], "copula", [1, 5]),
        (["who", " is", " what", "?", " and", " it"], "wh_word", [0, 2]),
        (["who", " is", " what", "?", " and", " it"], "conjunction", [4]),
    ],
)
def test_a_class_holds_what_a_reader_would_put_in_it(tokens, name, expected):
    held = value(parse_expression(f"{name}(k)"), Batch([plain_text(tokens)]))[0, 0]
    assert np.flatnonzero(held).tolist() == expected


def test_occurrences_are_counted_up_to_the_token():
    text = plain_text(["a", " b", " b", "a", " b"])
    assert value(parse_expression("occurrence(k)"), Batch([text]))[0, 0].tolist() == [1, 1, 2, 2, 3]


WORDLIKE = ("the", " the", " The", " of", "cat", " Cat", "s", "'s", " n't", "é", " that", "ǅ", "²", " 2nd", "7", "3.", "<s>")
SPACES = (" ", "", "\n", "\n  ", "  ", "\r", "\n\n")
SIGNS = ('"', ' "', '."', "”", " “", "(", ").", "...", ".", "_", "==", "-", "!", "$", "``", ":", "};")
TOKENS = st.sampled_from((*WORDLIKE, *SPACES, *SIGNS))


@settings(max_examples=60)
@given(st.lists(TOKENS, min_size=1, max_size=12))
def test_exported_python_decides_the_classes_alike(tokens):
    text = plain_text(tokens)
    for name in sorted(NAMES - {"occurrence"}):
        program = parse(f"when {name}(k) add 1\nwhen {name}(q - 1) add 2\nwhen any(p < k: {name}(p)) add 4")
        scope = {}
        exec(to_module(program, causal=False), scope)
        mine = scope["pattern"](tokens, word_starts=list(text.word_start), special_tokens=list(text.special))
        np.testing.assert_allclose(mine, evaluate(program, Batch([text], causal=False))[0], atol=1e-6, err_msg=name)


@given(st.lists(TOKENS, min_size=1, max_size=12))
def test_classes_agree_with_each_other(tokens):
    batch = Batch([plain_text(tokens)])
    held = {name: np.broadcast_to(value(parse_expression(f"{name}(k)"), batch)[0, 0], len(tokens)) for name in (*NAMES, "newline")}
    assert (held["function_word"] == np.any([held[name] for name in FUNCTION], 0)).all()
    assert (held["light"] == held["function_word"] | held["blank"] | held["symbol"]).all()
    assert (held["repeated"] == ~held["first_occurrence"]).all() and (held["repeated"] == (held["occurrence"] > 1)).all()
    assert (held["boundary"] == held["sentence_end"] | held["clause_mark"] | held["newline"]).all()
    assert (held["inner"] == held["digit"] | held["continuation"]).all()
    assert (held["given"] == held["content_word"] & held["repeated"]).all()
    for one, other in (
        ("function_word", "content_word"),
        ("opening_quote", "closing_quote"),
        ("opening_bracket", "closing_bracket"),
        ("start", "anchor"),
        ("blank", "symbol"),
        ("line_start", "continuation"),
    ):
        assert not (held[one] & held[other]).any(), (one, other)
    assert held["start"][0] and (held["name_like"] <= held["capitalised"]).all()


def test_lists_are_lower_case_and_bare():
    for name, words in WORDS.items():
        assert words and all(w == w.strip().lower() for w in words), name


@pytest.mark.parametrize("c", [*OF_TOKEN, *OF_POSITION], ids=lambda c: c.name)
def test_every_class_has_a_sentence(c):
    assert VOCABULARY[c.name].meaning == c.meaning
    if c.result == "guard":
        (said,) = english(parse(f"when {c.name}(k) add 1"))
        assert c.english.removeprefix("{0} ").removeprefix("is ") in said
        (said,) = english(parse(f"when not {c.name}(k - 1) and q > k add 1"))
        assert "the token before the key" in said and " not " in said


def test_a_variable_may_have_the_name_of_a_class():
    program = parse("let start = nearest(p <= q: start(p))\nwhen k == start and any(digit < q: digit(digit)) add 1")
    assert parse(str(program)) == program
