"""Which part of a shown program a language model proposed, told from what was said and what the search had before."""

import pytest

from dsl import parse
from harness.provenance import BOTH, LATER, MODEL, SEARCH, leaves, lines, provenance, users
from search.folder import RunFolder

CONCEPTS = "concept stop(p) = sentence_end(p) or newline(p)\nconcept rest(p) = not stop(p)\n"
SHOWN = (
    CONCEPTS
    + """when dist == 1 add 0.31
when stop(k) add 0.2
when start(k) add 2
when content_word(q) {
    when rest(k) scale 3
}
"""
)


def record(program, root="llm"):
    return {"layer": 0, "head": 1, "program": program, "rule_gains": [0.1] * len(parse(program).rules()), "root": root}


def proposal(program, head=(0, 1), merit=0.4):
    return {"head": list(head), "program": program, "merit": merit}


@pytest.fixture
def folder(tmp_path):
    run = RunFolder(tmp_path)
    run.write("run.json", {"format": 3, "settings": {}, "model": {"heads": 4}})
    unit = {"heads": [1], "counts": {}}
    run.write(
        "units/heads/1.json", {**unit, "candidates": [{"program": "when dist == 1 add 1\nwhen start(k) add 3", "root": "grammar"}]}
    )
    run.write("units/llm/1.json", {**unit, "candidates": [{"program": "when stop(k) add 9", "root": "llm"}]})
    said = [
        proposal(CONCEPTS + "when start(k) add 1\nwhen stop(k) add 0.7"),
        proposal(None, merit=None),
        proposal("add 1", (0, 2), 0.9),
    ]
    concepts = dict(zip(("stop", "rest"), CONCEPTS.splitlines(), strict=True))
    run.write("rounds/0.json", {"heads": [1, 2], "proposals": said, "state": {"concepts": concepts}})
    return run


def test_each_rule_has_its_origin_whatever_its_constants(folder):
    found = provenance(folder, record(SHOWN))
    assert [origin for _, origin, _ in found.rules] == [SEARCH, MODEL, BOTH, LATER]
    assert (found.tried, found.merit, found.adopted) == (1, 0.4, True)
    assert [at for _, at in found.concepts] == [(2, 4), (4,)]
    said = "\n".join(lines(found))
    assert "tried 1 program, the best with merit 0.400" in said and "in rules 2, 4" in said


def test_a_head_about_which_nothing_was_said_has_none(folder):
    assert provenance(folder, {**record("add 1"), "head": 3}) is None
    assert provenance(folder, {**record("add 1", "grammar"), "head": 2}).adopted is False


def test_numbers_are_left_out_of_a_shape_and_strings_are_not():
    one, two, three = (
        leaves(parse(f'when text(k) == "{s}" and dist <= {n} add {v}'))[0][1] for s, n, v in (("7", 3, 1), ("7", 9, 2), ("8", 3, 1))
    )
    assert one == two != three


def test_rules_within_blocks_carry_the_guards_around_them():
    found = [text for text, _ in leaves(parse(SHOWN))]
    assert len(found) == len(parse(SHOWN).rules()) and "content_word(q)" in found[3] and "rest(k)" in found[3]
    assert users(parse(SHOWN).concepts[0], parse("when dist == 1 add 1")) == ()
