"""Programs in English: one sentence per rule."""

import pytest
from hypothesis import given, settings

from dsl import english, parse, simplify
from dsl.nodes import Program
from dsl.vocabulary import VOCABULARY
from tests.dsl.strategies import programs

SENTENCES = [
    ("when dist == 1 add 0.6", "Each token attends with weight 0.6 to the previous token."),
    ("when dist == -1 add 0.6", "Each token attends with weight 0.6 to the next token."),
    ("when dist == 3 add 1", "Each token attends with weight 1 to the token 3 positions before it."),
    ("when k == 0 set 1", "Each token attends with weight exactly 1 to the first token."),
    ("when q == 0 and dist == 0 add 1", "The first token attends with weight 1 to itself."),
    ("when k == n - 1 add 1", "Each token attends with weight 1 to the last token."),
    ("when dist > 0 add 1", "Each token attends with weight 1 to every earlier token."),
    (
        "when same(text) and dist > 0 scale 3",
        "The attention of each token to every earlier token with the same text is multiplied by 3.",
    ),
    ("add 1", "Each token attends with weight 1 to every token."),
    ("when k == 0 add -0.5", "Each token attends with 0.5 less weight to the first token."),
    ("when isalpha(q) normalize", "The weights of each token that is all letters are divided by their sum."),
    (
        "when k == nearest(p < q: newline(p)) add 1",
        "Each token attends with weight 1 to the nearest token before the query that is a line break.",
    ),
    ('when text(k) in {".", "!"} add 1', 'Each token attends with weight 1 to every token that is "!" or ".".'),
    (
        'when pos(q) == "NOUN" and pos(k) == "DET" max 2.5',
        'Each token whose part of speech is "NOUN" attends with weight at least 2.5 to every token whose part of speech is "DET".',
    ),
    (
        "when not punctuation(q) and dist == 1 add 1",
        "Each token that is not punctuation attends with weight 1 to the previous token.",
    ),
    ("when word_start(k) and dist == 1 add 1", "Each token attends with weight 1 to the previous token, if it begins a word."),
    ("when row == 0 and k == q set 1", "Each token attends with weight exactly 1 to itself, where the sum of the row so far is 0."),
    ("when length(k) > 3 set 0", "Each token does not attend to every token whose length is greater than 3."),
]


@pytest.mark.parametrize(("program", "sentence"), SENTENCES)
def test_sentences(program: str, sentence: str) -> None:
    assert english(parse(program)) == [sentence]


def test_guards_of_blocks_and_names_are_part_of_every_sentence() -> None:
    program = parse(
        "let start = last(p <= q: word_start(p))\nwhen punctuation(q) { when k == start add 1 } else { when k == 0 add 2 }"
    )
    assert english(program) == [
        "Each token that is punctuation attends with weight 1 to the nearest token up to the query that begins a word.",
        "Each token that is not punctuation attends with weight 2 to the first token.",
    ]


@settings(max_examples=150)
@given(programs())
def test_one_sentence_per_rule(program: Program) -> None:
    for form in (program, simplify(program)):
        sentences = english(form)
        assert len(sentences) == len(form.rules())
        assert all((s[0].isupper() or s[0].isdigit()) and s.endswith(".") and "{" not in s for s in sentences)


@pytest.mark.parametrize(
    "name", [n for n, p in VOCABULARY.items() if p.result == "guard" and len(p.params) == 1 and p.domain != "cell"]
)
def test_every_feature_can_be_said_and_denied(name: str) -> None:
    (said,), (denied,) = (english(parse(f"when {no}{name}(k) add 1")) for no in ("", "not "))
    assert said != denied
    assert " not " in denied
