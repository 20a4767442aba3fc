"""All faults of a text: each of several at its place, none invented."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import LanguageError, parse
from dsl.diagnose import MOST, faults
from tests.dsl.strategies import programs

# One statement each with one fault, and what is said of it.
FAULTY = [
    ("when dist == 1 add zebra", "unknown name 'zebra'"),
    ("when zebra(k) set 1", "unknown function 'zebra'"),
    ('add "x"', "found a text"),
    ("when text(k) == 3 { add 1 }", "compared"),
    ('when text(k) in {"a", zebra} add 1', "expected"),
    ("when k == 1 add )", "found ')'"),
    ("let zebra_ = q + text(k)", "found a text"),
    ("scale 1 $", "'$' has no meaning"),
]
SOUND = ["when dist == 1 add 0.5", "set 1", "when q == 0 { normalize } else { max 2 }", "min max(1, q)", "# nothing"]


@given(st.lists(st.sampled_from([*FAULTY, *((s, "") for s in SOUND)]), max_size=8))
@settings(deadline=None, max_examples=60)
def test_each_statement_is_judged_once(statements):
    found = faults("\n".join(s for s, _ in statements))
    wanted = [(line, said) for line, (_, said) in enumerate(statements, 1) if said]
    assert [e.line for e in found] == [line for line, _ in wanted]
    assert all(said in e.message for e, (_, said) in zip(found, wanted, strict=True))


@given(programs())
@settings(deadline=None, max_examples=50)
def test_a_sound_program_has_none(program):
    assert faults(str(program)) == ()


@given(st.text('when let add set max ( ) { } else k q 1 " \n zebra == in , #', max_size=60))
@settings(deadline=None, max_examples=150)
def test_any_text_ends_and_its_first_fault_is_the_parser_s(text):
    found = faults(text)
    try:
        parse(text)
    except LanguageError as error:
        assert str(error) in {str(e) for e in found}
        assert len(found) <= MOST
    else:
        assert found == ()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("let a = zebra\nwhen k == a add 1\nadd a", [1]),  # what a faulty `let` would have named is not unknown
        ("when zebra { add 1\nadd horse }\nadd 1", [1, 2]),  # a faulty guard does not hide its block
        ("when q == 1 {\nadd zebra\n", [2, 2]),  # nor does a bracket that is missing
        ("add zebra\nwhen q == 1 { add", [1, 2]),
        ("when k == (1 add 1\nwhen zebra(k) add 1", [1, 2]),
        ("add 1 }\nadd zebra", [1, 2]),
    ],
)
def test_one_fault_neither_hides_nor_makes_others(text, lines):
    assert [e.line for e in faults(text)] == lines
