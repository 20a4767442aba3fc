"""A run folder keeps the concepts that the run was given."""

import pytest

from dsl import parse_concepts
from search.folder import GIVEN as FILE
from search.folder import FolderError, RunFolder

GIVEN = parse_concepts("concept stop(p) = clause_mark(p) or end(p)\nconcept end(p) = sentence_end(p)")


def begun(path, concepts):
    settings = {"seed": 0, "proposers": [], "evaluations": 1, "heads": []}
    if concepts:
        settings["concepts"] = {name: str(concept) for name, concept in concepts.items()}
    folder = RunFolder(path)
    folder.start({"settings": settings})
    return folder


def test_concepts_come_back_and_can_be_given_to_another_run(tmp_path):
    folder = begun(tmp_path / "a", GIVEN)
    assert folder.concepts() == GIVEN
    copy = folder.path / FILE
    assert parse_concepts(copy.read_text()) == GIVEN
    copy.write_text("concept other(p) = digit(p)\n")  # for another run: this one keeps its own
    assert folder.concepts() == GIVEN
    assert list(begun(tmp_path / "b", parse_concepts(copy.read_text())).concepts()) == ["other"]


def test_a_run_without_concepts_has_none(tmp_path):
    folder = begun(tmp_path / "a", {})
    assert folder.concepts() == {} and not folder.has(FILE)


def test_a_run_does_not_go_on_with_other_concepts(tmp_path):
    begun(tmp_path / "a", GIVEN)
    with pytest.raises(FolderError, match="concepts end"):
        begun(tmp_path / "a", {**GIVEN, **parse_concepts("concept end(p) = digit(p)")})
    with pytest.raises(FolderError, match="concepts"):
        begun(tmp_path / "a", {})
    assert begun(tmp_path / "a", GIVEN).concepts() == GIVEN


def test_the_copy_holds_what_the_search_made_until_someone_edits_it(tmp_path):
    folder = begun(tmp_path / "a", GIVEN)
    copy = folder.path / FILE
    one, two = "concept one(p) = boundary(p) or digit(p)", "concept two(p) = stop(p) or digit(p)"
    folder.keep_concepts([one])
    assert set(parse_concepts(copy.read_text())) == {*GIVEN, "one"}
    folder.keep_concepts([one, two, str(GIVEN["stop"])])
    assert set(parse_concepts(copy.read_text())) == {*GIVEN, "one", "two"}
    copy.write_text(copy.read_text() + "concept mine(p) = blank(p)\n")
    folder.keep_concepts([one])
    assert "mine" in parse_concepts(copy.read_text()) and folder.concepts() == GIVEN
    bare = begun(tmp_path / "b", {})
    bare.keep_concepts([])
    assert not bare.has(FILE)
