"""Size: the number of tokens that the grammar's own lexer yields for a program's text."""

import pytest
from hypothesis import given

from dsl import parse, simplify, size
from dsl.nodes import Call, Compare, K, Member, Name, Num, Program, Rule, Str
from dsl.parser import _lark
from tests.dsl.strategies import programs


def lexed(text):
    return sum(1 for _ in _lark().lex(text))


@given(programs())
def test_size_is_what_the_lexer_counts(program):
    canonical = simplify(program)
    assert size(canonical) == lexed(str(canonical))
    assert size(program) == lexed(str(program))


@pytest.mark.parametrize(
    "value", ["", " ", '"', "\\", '\\"', "# not a comment", "a b, c", "\n", "\t", "“é”", "..", "\x00", "when k == 0 add 1"]
)
def test_a_string_is_one_token_whatever_it_holds(value):
    program = Program((Rule("add", Num(1.0), Member(Call("text", (K,)), (value, "x"))),))
    assert size(program) == lexed(str(program)) == size(Program((Rule("add", Num(1.0), Member(K, (1.0, 2.0))),))) + 3
    assert size(Program((Rule("add", Num(1.0), Compare("==", Call("text", (K,)), Str(value))),))) == 9


@pytest.mark.parametrize("number", [0.0, 7.0, 0.25, 1e-7, 2.5e-300, 1e16, 123456.789, 1e299])
def test_a_number_is_one_token_and_its_sign_another(number):
    assert size(Rule("add", Num(number))) == lexed(str(Rule("add", Num(number)))) == 2
    if number:
        assert size(Rule("add", Num(-number))) == 3


def test_names_however_long_count_one():
    assert size(Name("a_very_long_name")) == size(K) == 1


def test_comments_and_space_do_not_count():
    assert size(parse("# why\n\nwhen   dist==1\n  add 2 # two\n")) == size(parse("when dist == 1 add 2")) == 6
