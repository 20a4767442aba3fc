"""The conversation about a whole model: kinds of heads, templates fitted to kinds, and what each head gets of them."""

from dataclasses import replace

import numpy as np
import pytest
from desks import OTHERS, TRUTH, desk, problem
from test_conversation import SPEAK, Scripted, proposer

from dsl import parse
from dsl.text import plain_text
from search.llm.proposer import MODEL
from search.llm.survey import SURVEY_TOOLS, Survey, chosen, kinds, overview
from search.llm.tools.table import run
from search.scoring import score

TEMPLATES = [
    "concept stop(p) = sentence_end(p) or newline(p)\nwhen dist == 1 add 1\nwhen k == 0 add 1\nwhen stop(k) add 0.1",
    "add 1",
]


NOTHING = ((0.0, "add 1"),) * 4  # known of each head


def survey(known=()):
    one = desk()
    values = {name: getattr(one, name) for name in ("name", "row", "fit", "select", "translate", "parsimony", "per_layer")}
    made = Survey(**values, rows=(0, 1, 2, 3), known=known)
    return replace(made, kinds=kinds(made))


def test_kinds_part_the_heads():
    found = survey().kinds
    assert sorted(i for places in found for i in places) == [0, 1, 2, 3]
    text = overview(survey())
    assert len(text.split("\n")) == len(found) and "previous token" in text


def test_heads_that_do_the_same_are_of_one_kind():
    texts = [plain_text(("<s>", *"abcdefgh"))]
    fit = problem(texts, ["text"])
    fit.targets = np.concatenate([fit.targets] * 4)
    made = replace(survey(), fit=fit, rows=tuple(range(16)), cache={})
    for places in kinds(made):
        assert len({i % 4 for i in places}) == 1


def test_templates_are_scored_on_all_heads():
    after, text = run(survey(NOTHING), "try", {"programs": TEMPLATES}, SURVEY_TOOLS)
    assert [len(iou[0]) for _, iou in after.fits] == [4, 4]
    best = after.fits[0][1].max(0)
    fits = after.fits[0][0]
    assert best == pytest.approx(after.fit.mean(score(fits, after.fit, range(4))).max(0))
    assert f"{best.mean():.3f}".replace("0.", ".", 1) in text and "better than what is known on 4 heads" in text


def test_each_head_gets_the_template_of_its_own():
    after, _ = run(survey(NOTHING), "try", {"programs": TEMPLATES}, SURVEY_TOOLS)
    got = {row: program for row, program, _ in chosen(after)}
    assert str(got[2]).strip() == "add 1" and "dist" in str(got[0]) and "dist" in str(got[1])
    assert set(got) == {0, 1, 2, 3} and chosen(survey()) == []


def test_looking_at_a_kind_is_looking_at_its_typical_head():
    made = survey()
    row = made.kinds[0][0]
    assert run(replace(desk(), row=row, cache={}), "queries", {})[1] in run(made, "kind", {"kind": 0}, SURVEY_TOOLS)[1]
    assert "there are kinds" in run(made, "kind", {"kind": 99}, SURVEY_TOOLS)[1]


@pytest.mark.parametrize("protocol", SPEAK)
def test_the_conversation_gives_programs_to_heads_and_keeps_its_concepts(protocol, tmp_path):
    plan = [
        [("kind", {"kind": 0}), ("concepts", {"define": "concept stop(p) = sentence_end(p) or newline(p)"})],
        [("try", {"programs": [TRUTH.replace("sentence_end", "stop"), OTHERS[1], "whne 1"]})],
    ]
    asking = proposer(Scripted(SPEAK[protocol], plan), tmp_path, protocol=protocol)
    proposals = asking.survey(survey(NOTHING))
    assert [p.head for p in proposals] == [MODEL, (0, 0), (0, 1), (0, 2), (0, 3)]
    assert "did you mean 'when'" in proposals[0].reason and "stop(k)" in str(proposals[1].program)
    assert parse(str(proposals[1].program)) == proposals[1].program
    assert set(asking.concepts) == {"stop"} and asking.summary()["heads"]["model"]["calls"] == 3
    assert asking.summary()["heads_asked"] == 0 and asking.served == {(0, 0), (0, 1), (0, 2), (0, 3)}
    restored = proposer(Scripted(SPEAK[protocol]), tmp_path, protocol=protocol)
    restored.restore(asking.state())
    assert restored.concepts == asking.concepts
