"""Concepts: hygienic, in any order, without recursion, and one meaning in every evaluator."""

import re
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import Batch, LanguageError, english, evaluate, parse, parse_concepts, parse_expression, simplify, size, to_module
from dsl.nodes import (
    DIST,
    Aggregate,
    And,
    Binary,
    Call,
    Compare,
    Concept,
    Find,
    K,
    N,
    Name,
    Not,
    Num,
    Program,
    Q,
    Range,
    Rule,
    Same,
    Use,
    rebuild,
    substitute,
)
from dsl.text import Text
from tests.dsl import facades, oracle
from tests.dsl.strategies import guards, scope, texts

PLACES = (Q, K, Binary("-", K, Num(1.0)), Binary("-", Q, Num(2.0)), Binary("+", Q, K), N, Num(0.0), Binary("/", Q, Num(2.0)))
VARIABLES = ("p", "r", "y0", "x")


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Programs of concepts in concepts, whose variables have the names of the program's own."""
    two = Concept("two", draw(st.sampled_from((("q", "k"), ("k", "q")))), draw(guards(scope(), 2)))
    var, param, outer = (draw(st.sampled_from(VARIABLES)) for _ in range(3))
    inner = next(v for v in VARIABLES if v != param) if var == param else var
    about = And((Use(two, (Name(param), Name(inner))), Not(Use(two, (Name(inner), Binary("-", Name(param), Num(1.0)))))))
    kind = draw(st.sampled_from(("any", "all")))
    one = Concept("one", (param,), Aggregate(kind, Range(inner, None, Name(param)), about))
    place = st.sampled_from(PLACES)
    found = Find(draw(st.sampled_from(("first", "last"))), Range(outer, None, Q), Use(one, (Name(outer),)))
    tests = [
        Use(one, (draw(place),)),
        Use(two, (draw(place), draw(place))),
        Not(Use(two, (K, draw(place)))),
        Compare("==", K, found),
        Use(one, (found,)),
        Aggregate("any", Range(outer, None, K), And((Use(one, (Name(outer),)), Use(two, (Name(outer), Q))))),
    ]
    chosen = draw(st.lists(st.sampled_from(tests), min_size=1, max_size=3))
    return Program(tuple(Rule("add", Num(2.0**i), g) for i, g in enumerate(chosen)))


def by_hand(program: Program) -> Program:
    """Definitions put in place of uses, every variable of a definition under a name of its own."""
    names = (f"fresh{i}" for i in count())

    def renamed(node):
        node = rebuild(node, renamed)
        if isinstance(node, Find | Aggregate):
            new = next(names)
            inside = {
                f: substitute(getattr(node, f), {node.range.var: Name(new)}) for f in ("guard", "value") if getattr(node, f, None)
            }
            return replace(node, range=replace(node.range, var=new), **inside)
        if node == DIST:
            return Binary("-", Q, K)
        return Compare("==", Call(node.feature, (Q,)), Call(node.feature, (K,))) if isinstance(node, Same) else node

    def within(node):
        node = rebuild(node, within)
        if not isinstance(node, Use):
            return node
        guard = renamed(within(node.concept.guard))
        there = (Call("exists", (Call("text", (a,)),)) for a in node.args)
        return And((*there, substitute(guard, dict(zip(node.concept.params, node.args, strict=True)))))

    return within(program)


@settings(max_examples=200)
@given(programs(), st.lists(texts(6), min_size=1, max_size=2), st.booleans())
def test_a_use_means_its_definition_with_the_positions_put_in(program: Program, several: list[Text], causal: bool) -> None:
    batch = Batch(several, causal)
    simple, bare = simplify(program), by_hand(program)
    for _ in range(2):
        for form in (program, simple, bare):
            for pattern, text in zip(evaluate(form, batch), several, strict=True):
                n = len(text)
                np.testing.assert_allclose(pattern[:n, :n], oracle.pattern(bare, text, causal), atol=1e-6)
    np.testing.assert_allclose(oracle.pattern(program, several[0], causal), oracle.pattern(bare, several[0], causal), atol=1e-6)


@settings(max_examples=100)
@given(programs(), texts(5))
def test_printed_python_and_english_know_concepts(program: Program, text: Text) -> None:
    for form in (program, simplify(program)):
        found = facades.run_module(to_module(form, "head", True), text)
        np.testing.assert_allclose(found, oracle.pattern(program, text, True), atol=1e-6)
        assert len(english(form)) == len(form.rules())


@settings(max_examples=150)
@given(programs(), st.randoms(use_true_random=False))
def test_text_is_identity_in_any_order_of_definitions(program: Program, random) -> None:
    for form in (program, simplify(program)):
        assert parse(str(form)) == form
        lines = str(form).split("\n")
        kept = [line for line in lines if line.startswith("concept ")]
        assert len(kept) == len(form.concepts)
        random.shuffle(kept)
        source = "\n".join([*kept, *lines[len(kept) :]])
        assert parse(source) == form
        assert parse("\n".join(lines[len(kept) :]), parse_concepts("\n".join(kept))) == form
    assert simplify(form) == form


def test_size_counts_a_use_and_not_the_definition() -> None:
    long = parse('concept stop(p) = text(p) in {".", "!", "?"} and not digit(p - 1)\nwhen stop(k) and dist == 1 add 2')
    short = parse("when digit(k) and dist == 1 add 2")
    assert size(long) == size(short)
    assert size(long.concepts[0]) == 26
    assert parse("concept never(p) = digit(p)\nadd 1") == parse("add 1")  # what is not used is not kept


def test_a_concept_is_simplified_and_equal_ones_become_one() -> None:
    program = simplify(
        parse(
            "concept b(x) = digit(x) or not not blank(x)\nconcept a(y) = blank(y) or digit(y) or digit(y)\n"
            "concept far(q, k) = q - k > 3\nconcept never(z) = z < 0\n"
            "when b(q) and a(k) add 1\nwhen far(q, k) add 2\nwhen never(k) add 3\nwhen b(k - 1) add 4"
        )
    )
    assert str(program) == (
        "concept a(p) = blank(p) or digit(p)\nconcept far(q, k) = dist > 3\n"
        "when a(q) and a(k) add 1\nwhen a(k - 1) add 4\nwhen far(q, k) add 2"
    )


def test_concepts_of_a_file_may_be_used_and_replaced() -> None:
    given_ = parse_concepts("# mine\nconcept stop(p) = clause_mark(p) or end(p)\nconcept end(p) = sentence_end(p)\n")
    assert list(given_) == ["stop", "end"]
    program = parse("when stop(k) add 1", given_)
    assert parse(str(program)) == program and [c.name for c in program.concepts] == ["end", "stop"]
    assert parse_expression("stop(q)", given_) == Use(given_["stop"], (Q,))
    own = parse("concept end(p) = digit(p)\nwhen end(k) add 1", given_)
    assert str(own) == "concept end(p) = digit(p)\nwhen end(k) add 1"


ERRORS = [
    ("concept a(p) = b(p)\nconcept b(p) = c(p)\nconcept c(p) = a(p)", 3, 1, "a -> b -> c -> a"),
    ("concept a(p) = digit(p) or a(p)", 1, 1, "a -> a"),
    ("concept digit(p) = blank(p)", 1, 1, "my_digit"),
    ("concept first(p) = blank(p)", 1, 1, "my_first"),
    ("concept a(p) = blank(p)\nconcept a(p) = digit(p)", 2, 1, "twice"),
    ("concept a(p) = blank(q)", 1, 22, "may read p and n, not q"),
    ("concept a(q) = dist > 1", 1, 16, "not dist"),
    ("concept a(p, r) = same(text)", 1, 19, "not same"),
    ("concept a(p) = weight > 1", 1, 16, "not weight"),
    ("concept a(p) = p + 1", 1, 16, "found a number"),
    ("concept a(p, p) = blank(p)", 1, 1, "own name"),
    ("concept a(p, r, s) = blank(p)", 1, 1, "one or two parameters"),
    ("concept a(n) = blank(n)", 1, 1, "my_n"),
    ("concept a(p) = any(p < n: blank(p))", 1, 20, "taken"),
    ("concept sink(p) = start(p)\nwhen snik(k) add 1", 2, 6, "did you mean 'sink'"),
    ("concept sink(p) = strat(p)", 1, 19, "did you mean 'start'"),
    ("concept sink(p) = start(p)\nwhen sink(q, k) add 1", 2, 6, "takes 1 argument"),
    ("concept sink(p) = start(p)\nwhen sink(text(k)) add 1", 2, 11, "a position as argument 1"),
    ("when start(k) add 1\nconcept sink(p) = start(p)", 2, 1, "concept"),
    ("concept sink = start(k)", 1, 14, "'('"),
]


@pytest.mark.parametrize(("source", "line", "column", "says"), ERRORS)
def test_errors_say_where_and_what(source: str, line: int, column: int, says: str) -> None:
    with pytest.raises(LanguageError, match=re.escape(says)) as error:
        parse(source)
    assert (error.value.line, error.value.column) == (line, column)


def test_a_definition_that_nests_too_deeply_is_refused() -> None:
    chain = ["concept c0(p) = digit(p)", *(f"concept c{i + 1}(p) = c{i}(p) or c{i}(p - 1)" for i in range(2000))]
    for lines in (chain, chain[::-1]):
        with pytest.raises(LanguageError, match="nested deeper"):
            parse("\n".join([*lines, "when c2000(k) add 1"]))


def test_two_concepts_of_one_name_are_no_program() -> None:
    from dsl.check import check

    uses = (Use(Concept("a", ("p",), Call(name, (Name("p"),))), (K,)) for name in ("digit", "blank"))
    with pytest.raises(LanguageError, match="two concepts that are called 'a'"):
        check(Program(tuple(Rule("add", Num(1.0), use) for use in uses)))


def test_a_definition_is_evaluated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from dsl.classes import OF_TOKEN
    from dsl.vocabulary import VOCABULARY

    calls = []
    digit = next(c for c in OF_TOKEN if c.name == "digit")
    monkeypatch.setitem(VOCABULARY, "digit", replace(VOCABULARY["digit"], evaluate=lambda s: calls.append(s) or digit.evaluate(s)))
    program = parse("concept a(p) = any(r < p: digit(r))\nwhen a(q) and a(k) add 1\nwhen a(q - 1) and any(p < k: a(p)) add 2")
    batch = Batch([Text(text="", tokens=("a", "1", "b", "2"), word_start=(True,) * 4, special=(False,) * 4, alignment=((),) * 4)])
    first = evaluate(program, batch)
    assert sorted(calls) == ["1", "2", "a", "b"]
    np.testing.assert_array_equal(evaluate(program, batch), first)
