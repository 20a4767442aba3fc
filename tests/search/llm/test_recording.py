"""Recorded answers find their place by conversation and turn, whatever has become of the questions."""

from dataclasses import replace

import pytest
from desks import OTHERS, TRUTH
from test_conversation import SPEAK, Scripted, proposer, tasks
from test_survey import survey

from search.llm.options import describe
from search.llm.proposer import LLMProposer
from search.llm.recording import MODEL, write
from search.llm.refine import Progress
from search.llm.replay import open_replay
from search.llm.settings import LLMSettings, Model
from search.validate import LiftRecord

CHANGED = {"parsimony": 0.004}  # stands in every prompt and in what `try` says


def refuse(source):
    return LiftRecord("refused", reason="no")


def replaying(folder, copy, **changes):
    backend, settings = open_replay(LLMSettings((Model(f"replay:{folder}"),)), "demo")
    return LLMProposer(replace(settings, **changes), backend, copy, refuse)


def tried(proposals):
    return [(p.head, p.source, p.status) for p in proposals]


@pytest.fixture(params=["run", "kept"])
def folder(request, tmp_path):
    """Makes a recording of what a proposer has stored in tmp_path / "llm": the folder itself, or what is kept of it."""

    def made():
        if request.param == "run":
            return tmp_path / "llm"
        write(tmp_path / "llm", tmp_path / "kept")
        return tmp_path / "kept"

    return made


@pytest.mark.parametrize("protocol", SPEAK)
def test_a_conversation_survives_a_change_of_everything_that_is_said_to_it(protocol, tmp_path, folder):
    recorded = proposer(Scripted(SPEAK[protocol]), tmp_path / "llm", protocol=protocol).converse(tasks(heads=2))
    again = replaying(folder(), tmp_path / "copy")
    found = again.converse(tasks(heads=2, **CHANGED))
    assert tried(found) == tried(recorded) and found != recorded
    summary = again.summary()
    assert summary["calls"] == summary["moved"] == 8 and summary["missing"] == []
    assert "what was asked has changed: 8 answers" in "\n".join(describe(summary))
    assert [e["ended"] for e in again.endings] == ["the model was done"] * 2


def test_an_answer_to_the_same_question_has_not_moved(tmp_path, folder):
    proposer(Scripted(SPEAK["text"]), tmp_path / "llm").converse(tasks())
    again = replaying(folder(), tmp_path / "copy")
    again.converse(tasks())
    assert (again.summary()["calls"], again.summary()["moved"]) == (4, 0)


def test_what_is_not_recorded_is_named(tmp_path, folder):
    proposer(Scripted(SPEAK["text"]), tmp_path / "llm", rounds=2).converse(tasks(heads=2))
    again = replaying(folder(), tmp_path / "copy", rounds=5)
    heads = [Progress((0, h), 0.0, None) for h in range(3)]
    assert sorted(again.plan(heads, 3)) == [(0, 0), (0, 1)] and not again.surveys()
    again.converse(tasks(heads=3, **CHANGED))
    assert again.summary()["missing"] == ["L0H2, answer 1", "L0H0, answer 3", "L0H1, answer 3"]
    assert {e["ended"] for e in again.endings} == {"cut: no recorded answer"} and again.failures() == []
    assert "not in the recording: L0H2, answer 1; L0H0, answer 3" in "\n".join(describe(again.summary()))


def test_it_goes_on_where_it_stopped_and_counts_the_same(tmp_path, folder):
    proposer(Scripted(SPEAK["text"]), tmp_path / "llm").converse(tasks())
    source = folder()
    whole = replaying(source, tmp_path / "a")
    whole.converse(tasks(**CHANGED))
    resumed = replaying(source, tmp_path / "a")  # all answers are in the run's folder by now
    resumed.converse(tasks(**CHANGED))
    assert resumed.summary() == whole.summary()
    restored = replaying(source, tmp_path / "b")
    restored.restore(whole.state())
    assert restored.summary() == whole.summary()


def test_the_conversation_about_the_model_is_one_of_them(tmp_path, folder):
    plan = [[("kind", {"kind": 0})], [("try", {"programs": [TRUTH, OTHERS[1]]})]]
    recorded = proposer(Scripted(SPEAK["text"], plan), tmp_path / "llm").survey(survey())
    again = replaying(folder(), tmp_path / "copy")
    assert again.surveys() and again.backend.holds() == "replay: 3 answers about model"
    found = again.survey(replace(survey(), parsimony=CHANGED["parsimony"]))
    assert [p.head for p in found] == [p.head for p in recorded] and again.summary()["moved"] == 3
    assert all(p.head != MODEL for p in found)


def test_single_questions_replay_by_number(tmp_path, folder):
    asked = proposer(Scripted(SPEAK["text"]), tmp_path / "llm", rounds=0, samples=2)
    recorded = asked.propose(tasks())
    again = replaying(folder(), tmp_path / "copy", prompt_tokens=700)
    assert tried(again.propose(tasks())) == tried(recorded) != []
    assert again.summary()["moved"] == again.summary()["calls"]


def test_what_is_kept_of_a_run_is_small_and_has_no_question(tmp_path):
    proposer(Scripted(SPEAK["native"]), tmp_path / "llm", protocol="native").converse(tasks(heads=2))
    files = write(tmp_path / "llm", tmp_path / "kept")
    assert [f.name for f in files] == ["settings.json", "L0H0.json", "L0H1.json"]
    assert sum(f.stat().st_size for f in files) < sum(p.stat().st_size for p in (tmp_path / "llm").iterdir()) / 4
    assert not any("Goal" in f.read_text() for f in files)
    with pytest.raises(ValueError, match="no answers"):
        write(tmp_path / "nothing", tmp_path / "kept2")
