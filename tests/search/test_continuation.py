"""What a second command may add to a run, and what it may not."""

import json

import pytest

from search import continuation
from search.folder import FolderError, RunFolder

KNOWN = {
    "target": "abc",
    "text": "def",
    "heads": [[0, 0], [0, 1]],
    "seed": 0,
    "library_size": 4,
    "evaluations": 100,
    "focus": None,
    "proposers": ["library", "grammar"],
}


def growth(**changed):
    return continuation.growth(KNOWN, {**KNOWN, **changed})


def test_the_same_settings_add_nothing():
    assert growth().added == () and growth().again is None


@pytest.mark.parametrize(
    ("changed", "said", "again"),
    [
        ({"evaluations": 101}, ("1 more evaluation",), continuation.LATER),
        ({"heads": [[0, 0], [0, 1], [1, 2]]}, ("1 more head (L1H2)",), continuation.LATER),
        ({"proposers": ["library", "grammar", "llm"], "llm": {"models": ["x"]}}, ("a language model",), continuation.LATER),
        ({"library_size": 9}, ("library size 9",), None),
    ],
)
def test_more_is_said_in_words(changed, said, again):
    found = growth(**changed)
    assert (found.added, found.again) == (said, again)
    assert found.settings == {**KNOWN, **changed}


def test_another_way_of_searching_alone_looks_at_each_head_again():
    narrow = {**KNOWN, "proposers": ["library"]}
    assert continuation.growth(narrow, KNOWN).again == ("heads", *continuation.LATER)


def test_fewer_heads_with_more_evaluations_are_gone_on_with_alone():
    wanted = {"heads": [[0, 1]], "evaluations": 150}
    found = growth(**wanted)
    assert found.settings["heads"] == KNOWN["heads"] and found.settings["focus"] == [[0, 1]]
    again = continuation.growth(found.settings, {**KNOWN, **wanted})  # the same command once more, as after an interruption
    assert again.added == () and again.settings == found.settings


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"evaluations": 99}, "evaluations: 100, now only 99"),
        ({"heads": [[0, 1]]}, "L0H0, which --heads leaves out"),
        ({"heads": [[0, 1], [1, 1]], "evaluations": 500}, "lacks L1H1"),
        ({"seed": 7}, "seed: 0, now 7"),
        ({"target": "xyz"}, "another model"),
        ({"text": "xyz"}, "other texts"),
        ({"proposers": ["grammar"]}, "proposer library"),
    ],
)
def test_less_or_something_else_is_refused_without_a_hash(changed, said):
    with pytest.raises(continuation.Contradiction, match=said) as refused:
        growth(**changed)
    assert "xyz" not in str(refused.value) and "abc" not in str(refused.value)


def test_a_folder_that_grows_loses_nothing(tmp_path):
    folder = RunFolder(tmp_path)
    folder.start({"settings": KNOWN})
    units = {"heads/0": 1, "heads/1": 2, "refine/0": 3, "refine/10": 4, "share/0": 5}
    for name, value in units.items():
        folder.write(f"units/{name}.json", value)
    folder.write("result.json", {"heads": []})
    assert folder.start({"settings": {**KNOWN, "evaluations": 300}}) == ("200 more evaluations",)
    assert not folder.has("result.json") and folder.has("earlier/1/result.json")
    assert [folder.read(n) for n in folder.units("heads")] == [1, 2]
    assert [folder.read(n) for n in folder.units("refine")] == [3, 4] == [folder.read(n) for n in folder.units("refine", False)]
    folder.write("units/refine/0.json", 6)
    assert [folder.read(n) for n in folder.units("refine")] == [3, 4, 6]
    assert folder.start({"settings": {**KNOWN, "evaluations": 300}}) == ()
    with pytest.raises(FolderError, match="now only 100"):
        folder.start({"settings": KNOWN})


def test_growing_may_be_cut_short_and_done_again(tmp_path):
    folder = RunFolder(tmp_path)
    folder.start({"settings": KNOWN})
    folder.write("units/share/0.json", 1)
    folder.write("units/refine/0.json", 2)
    continuation.archive(tmp_path, 1, ("share",))  # killed here: run.json still has the old settings
    folder.start({"settings": {**KNOWN, "evaluations": 300}})
    assert [folder.read(n) for n in (*folder.units("share"), *folder.units("refine"))] == [1, 2]
    assert json.loads((tmp_path / "run.json").read_text())["earlier"] == [KNOWN]
