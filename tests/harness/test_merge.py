"""Two runs of one layer each, joined: a valid run of both layers with one library."""

import json
import shutil
from pathlib import Path

import pytest

from dsl import parse
from harness.cli import main
from harness.commands.merge import joined
from harness.errors import UserError
from search.folder import RunFolder

RUN = ["run", "demo", "--evaluations", "400", "--library-size", "1", "--max-tokens", "24", "--workers", "1"]
HEADS = ("L0H0", "L1H1")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSCRIPT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    """The folders of two finished runs."""
    folders = [tmp_path_factory.mktemp("runs") / heads for heads in HEADS]
    for heads, folder in zip(HEADS, folders, strict=True):
        assert main([*RUN, "--heads", heads, "--out", str(folder)]) == 0
    return folders


@pytest.fixture(scope="module")
def whole(layers, tmp_path_factory):
    """The folder of the joined run."""
    folder = tmp_path_factory.mktemp("merged") / "whole"
    assert main(["merge", *map(str, layers), "--out", str(folder), "--workers", "1"]) == 0
    return folder


def result(folder):
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))


def test_the_joined_run_has_all_heads_and_one_library(layers, whole):
    document = result(whole)
    assert [(h["layer"], h["head"]) for h in document["heads"]] == [(0, 0), (1, 1)]
    assert [p["heads"] for p in document["library"]] == [[[0, 0], [1, 1]]]
    assert document["evaluations"] == sum(result(f)["evaluations"] for f in layers)
    for head in document["heads"]:
        assert str(parse(head["program"])) == head["program"]


def test_no_head_is_left_worse_off(layers, whole):
    """Each head chooses among its own programs and those of the other layer; short programs may cost a little."""
    alone = [result(f)["heads"][0] for f in layers]
    for head, before in zip(result(whole)["heads"], alone, strict=True):
        assert head["iou"]["select"] >= before["iou"]["select"] - 0.01
        if head["program"] == before["program"]:
            assert head["iou"] == before["iou"]
            assert head["iou_per_text"] == before["iou_per_text"]


def test_the_joined_run_can_be_used_like_any_other(whole, tmp_path, capsys):
    assert main(["show", str(whole), "--json"]) == 0
    document = result(whole)
    assert json.loads(capsys.readouterr().out)["heads"] == document["heads"]
    text = tmp_path / "texts.jsonl"
    text.write_text("".join(json.dumps({"text": t.text}) + "\n" for t in RunFolder(Path(whole)).texts("test")))
    assert main(["score", str(whole), "--text", str(text), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mean_iou"] == pytest.approx(document["mean_iou"]["test"], abs=1e-5)


def test_the_same_head_twice_is_refused(layers, tmp_path, capsys):
    assert main(["merge", str(layers[0]), str(layers[0]), "--out", str(tmp_path / "twice")]) == 1
    assert "head L0H0 is in an earlier run too" in capsys.readouterr().err
    assert not (tmp_path / "twice").exists()


def test_an_unfinished_run_is_refused(layers, tmp_path, capsys):
    unfinished = tmp_path / "unfinished"
    shutil.copytree(layers[1], unfinished)
    (unfinished / "result.json").unlink()
    assert main(["merge", str(layers[0]), str(unfinished), "--out", str(tmp_path / "out")]) == 1
    assert "not finished" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("setting", "value"), [("seed", 1), ("max_tokens", 64), ("target", "other"), ("text", "other"), ("evaluations", 7)]
)
def test_runs_of_other_settings_are_refused_by_name(setting, value):
    settings = {"target": "t", "text": "x", "heads": [[0, 0]], "seed": 0, "max_tokens": 32, "library_size": 2, "evaluations": 9}
    first = {"format": 1, "settings": settings}
    second = {"format": 1, "settings": {**settings, "heads": [[1, 0]], setting: value}}
    with pytest.raises(UserError, match=f"b: does not belong to a \\({setting}: "):
        joined([first, second], ["a", "b"], None)


def test_heads_are_sorted_and_the_library_size_can_change():
    settings = {"heads": [[1, 0]], "library_size": 2}
    found = joined([{"format": 1, "settings": settings}, {"format": 1, "settings": {**settings, "heads": [[0, 1]]}}], ["a", "b"], 5)
    assert found["settings"] == {"heads": [[0, 1], [1, 0]], "library_size": 5}
