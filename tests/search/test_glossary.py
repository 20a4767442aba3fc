"""What a run says of its concepts, against programs written out by hand."""

import json
from collections import Counter

import pytest

from dsl import parse
from search.folder import CONCEPTS
from search.forms.unions import concept, made
from search.glossary import entry, frequent, loss
from search.scoring import score
from tests.search import campaigns

ENDS = "concept closing(p) = word_start(p) or boundary(p)"
PROGRAM = "add 0.2\nwhen {}(k) add 1\nwhen dist == 1 add 2 if {}(q) else 1"


@pytest.fixture
def problem(planted):
    return planted(ENDS + "\n" + PROGRAM.format("closing", "closing"), number=6)


def test_the_loss_is_that_of_the_best_class_in_its_place(problem):
    program = parse(ENDS + "\n" + PROGRAM.format("closing", "closing"))
    (own,) = program.concepts
    without = [
        parse(PROGRAM.format("word_start", "word_start")),
        parse(PROGRAM.format("boundary", "boundary")),
        parse("add 0.2\nwhen dist == 1 add 1"),
    ]
    whole, *less = score([program, *without], problem, [0]).mean(2)[:, 0]
    assert loss(program, own, problem, 0) == pytest.approx(whole - max(less), abs=1e-6)


def test_a_concept_within_a_concept_is_missed_too(problem):
    program = parse(f"{ENDS}\nconcept far(p) = closing(p) and p > 2\nadd 0.2\nwhen far(k) add 1")
    inner = next(c for c in program.concepts if c.name == "closing")
    lost = [parse("add 0.2")] + [
        parse(f"concept far(p) = {c}(p) and p > 2\nadd 0.2\nwhen far(k) add 1") for c in ("word_start", "boundary")
    ]
    whole, *less = score([program, *lost], problem, [0]).mean(2)[:, 0]
    assert loss(program, inner, problem, 0) == pytest.approx(whole - max(less), abs=1e-6)


def test_members_are_the_tokens_it_holds_for(problem):
    own = concept(("boundary", "word_start"))
    counts = Counter()
    for text in problem.texts_given:
        for i, token in enumerate(text.tokens):
            counts[token] += bool(text.word_start[i] or token.strip() in {".", ","})
    expected = [t for t, n in sorted(counts.items(), key=lambda x: (-x[1], x[0])) if n][:12]
    (found,) = frequent(own, problem).values()
    assert found == expected
    pair = next(iter(parse("concept near(q, k) = q - k < 3\nwhen near(q, k) add 1").concepts))
    assert frequent(pair, problem) == {}
    assert entry(own, problem, [(0, 1)], [0.25])["gain"] == 0.25


def test_a_run_names_the_concepts_of_its_shown_programs_and_no_others(tmp_path):
    folder = campaigns.begun(tmp_path / "run")
    campaigns.run(folder, campaigns.Here(), 1)
    result = json.loads((folder.path / "result.json").read_text())
    known = {tuple(names) for names in folder.read(CONCEPTS)}
    used = {}
    for record in result["heads"]:
        assert made(parse(record["program"])) <= known
        for c in parse(record["program"]).concepts:
            used.setdefault(c.name, []).append([record["layer"], record["head"]])
    assert {c["name"]: c["heads"] for c in result["concepts"]} == used
    for c in result["concepts"]:
        assert parse(f"{c['definition']}\nwhen {c['name']}(k) add 1").concepts
