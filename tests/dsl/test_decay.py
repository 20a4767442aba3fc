"""The values that stand beside powers and exponentials are those of the program."""

import re

import pytest

from dsl import Batch, english, evaluate, parse
from dsl.decay import told
from dsl.text import plain_text

PLACES = {
    "at the token itself": 0,
    "one back": 1,
    "five back": 5,
    "twenty back": 20,
    "one away": 1,
    "five away": 5,
    "twenty away": 20,
}


def values(sentence):
    """{distance: number} in the brackets at the end of a sentence."""
    (inside,) = re.findall(r"\(([^()]*)\)\.$", sentence)
    found = {}
    for part in inside.removeprefix("by distance ").split(", "):
        most = re.fullmatch(r"at most (\S+) from (\d+) on", part)
        number, place = (most[1], int(most[2])) if most else (part.split(" ", 1)[0], PLACES[part.split(" ", 1)[1]])
        found[place] = float(number)
    return found


@pytest.mark.parametrize(
    ("value", "guard", "distances"),
    [
        ("exp(-0.3 * dist)", "", [0, 1, 5, 20]),
        ("(1 + dist) ** -1.5", "", [0, 1, 5, 20]),
        ("0.25 * (1 + dist) ** -0.7 * exp(-0.02 * dist)", "", [0, 1, 5, 20]),
        ("exp(-0.3 * abs(dist))", "", [0, 1, 5, 20]),
        ("exp(0.1 * dist)", "dist > 0", [1, 5, 20]),
        ("2 * dist ** -1", "dist >= 1 and dist <= 8", [1, 5]),
        ("exp(-0.3 * dist)", "k > 0 and dist <= 30", [0, 1, 5, 20]),
    ],
)
def test_the_numbers_are_those_of_the_weights(value, guard, distances):
    program = parse(f"when {guard} set {value}" if guard else f"set {value}")
    (sentence,) = english(program)
    found = values(sentence)
    assert sorted(found) == distances
    text = plain_text(["a"] * 40)
    weights = evaluate(parse(f"set {value}"), Batch([text], causal=True))[0]
    row = weights[-1] / weights[-1, -2]  # up to the row's sum: compare ratios with the value one back
    for d, number in found.items():
        if 1 in found:
            assert number / found[1] == pytest.approx(row[-1 - d], rel=0.11)


def test_a_falling_value_is_bounded_beyond_the_last_distance_and_no_other_is():
    assert "at most 0.0025 from 20 on" in english(parse("add exp(-0.3 * dist)"))[0]
    assert "from 20 on" not in english(parse("add exp(0.1 * dist)"))[0]
    assert "from 20 on" not in english(parse("when dist <= 30 add exp(-0.3 * dist)"))[0]


@pytest.mark.parametrize(
    "value", ["0.3", "dist", "0.3 * dist", "exp(similarity(q, k))", "(1 + q) ** 0.5", "exp(-0.3 * (dist + q))", "1 / dist"]
)
def test_where_there_is_nothing_to_tell_nothing_is_told(value):
    assert told(parse(f"add {value}").rules()[0].value) is None


def test_of_a_product_the_part_by_distance_is_told():
    (sentence,) = english(parse("add exp(-0.3 * dist) * exp(2 * similarity(q, k))"))
    assert "(by distance 1 at the token itself, 0.74 one back" in sentence
    assert english(parse("when dist == 1 add exp(-0.3 * dist)"))[0].endswith("to the previous token.")
