"""docs/language.md: it is current, it has every word, its examples parse, and what it states is what the specification gives."""

import re
from pathlib import Path

import pytest

from bench import language
from bench.language_examples import EDGES, EXAMPLES, HEADS, STATEMENTS, STORY, SYNTAX, WEIGHTS
from dsl import parse, parse_expression
from dsl.nodes import BUILTIN_NAMES, OPERATIONS
from dsl.parser import KEYWORDS, QUANTIFIERS
from dsl.text import plain_text
from dsl.vocabulary import ALIASES, VOCABULARY
from tests.dsl import oracle

PAGE = (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")


def by_specification(source, text, q, k):
    import numpy as np

    found = oracle.value(parse_expression(source), {"q": float(q), "k": float(k)}, np.zeros((len(text), len(text))), text)
    return text.words[found].text if isinstance(found, oracle.WordIndex) else found


def test_the_page_is_current():
    assert language.filled(PAGE) == PAGE, "bring it up to date: python bench/language.py --write docs/language.md"


def test_it_tells_when_the_vocabulary_has_changed(monkeypatch):
    from dataclasses import replace

    monkeypatch.setitem(VOCABULARY, "lower", replace(VOCABULARY["lower"], meaning="in small letters"))
    assert language.filled(PAGE) != PAGE


def test_a_page_without_a_place_for_a_part_is_refused():
    with pytest.raises(SystemExit, match="edges"):
        language.filled(PAGE.replace("<!-- edges -->", ""))


@pytest.mark.parametrize("word", sorted({*VOCABULARY, *KEYWORDS, *QUANTIFIERS, *BUILTIN_NAMES, *OPERATIONS, *ALIASES}))
def test_every_word_is_there(word):
    assert re.search(rf"`{word}(\(.*?\))?`", PAGE)


def test_every_example_is_of_its_word():
    assert EXAMPLES.keys() <= VOCABULARY.keys()
    for p in VOCABULARY.values():
        assert re.search(rf"\b{p.name}\(", language.example(p)), p.name
        assert f"`{language.example(p)}`" in PAGE
    for word, _, written in (*STATEMENTS, *SYNTAX):
        assert word in written, word


def test_every_program_of_the_page_parses():
    programs = re.findall(r"```pattern\n(.*?)```", PAGE, re.DOTALL)
    assert len(programs) == len(HEADS) + 1
    for program in programs:
        assert parse(program).rules()
    sources = [written for _, _, written in STATEMENTS] + [program for _, program in WEIGHTS]
    for source in sources:
        assert f"`{source}`" in PAGE or not source
        parse(source)


@pytest.mark.parametrize("edge", EDGES, ids=lambda e: f"{e.written} at {e.q} {e.k}")
def test_edges_are_as_the_specification_has_them(edge):
    stated = language.edge_value(edge)
    wanted = by_specification(edge.written, edge.text, edge.q, edge.k)
    assert stated == (pytest.approx(wanted) if isinstance(wanted, float) else wanted)
    assert f"| {edge.question} | {language.shown(stated)} |".replace("|", "") in PAGE.replace("|", "")


@pytest.mark.parametrize("source", [*(language.example(p) for p in VOCABULARY.values()), *(w for _, _, w in SYNTAX)])
def test_examples_are_as_the_specification_has_them(source):
    for text in language.text_of(parse_expression(source)):
        stated = language.values_of(parse_expression(source), text)
        for k in range(len(text)):
            wanted = by_specification(source, text, len(text) - 1, k)
            assert stated[-1][k] == (pytest.approx(wanted, abs=1e-6) if isinstance(wanted, float) else wanted)


@pytest.mark.parametrize("source", [*(p for _, p in WEIGHTS), *(p for _, _, p in STATEMENTS)])
def test_rows_are_as_the_specification_has_them(source):
    wanted = oracle.pattern(parse(source), plain_text(language.SHORT), causal=True)[-1]
    assert language.weights_row(source) == pytest.approx(wanted.tolist(), abs=1e-6)


def test_heads_look_where_the_page_says():
    for head in HEADS:
        pattern = oracle.pattern(parse(head.program), head.text, causal=True)
        for q in head.queries:
            k = int(pattern[q].argmax())
            assert re.search(re.escape(f"({q}) | {language.shown_token(head.text.tokens[k])} ({k}) {pattern[q, k]:.2f}"), PAGE), (
                head.title,
                q,
            )


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (Path(__file__).parents[2] / "docs" / target).exists(), target


def test_the_story_shows_what_edges_are_about():
    assert STORY.tokens[0] == "<s>" and STORY.tokens[1] == " Mia" and STORY.tokens[28] == " Mia"
