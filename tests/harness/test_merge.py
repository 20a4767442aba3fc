"""Two runs of one layer each, joined: a valid run of both layers with one library."""

import json
import subprocess

import pytest

from dsl import parse
from harness.commands.merge import joined
from harness.errors import UserError
from tests.harness.test_run import environment, headscript  # noqa: F401 (a fixture is used by its name)

RUN = ["run", "demo", "--evaluations", "1500", "--library-size", "2", "--max-tokens", "32", "--workers", "1"]
HEADS = ("L0H0,L0H2", "L1H1")


@pytest.fixture(scope="module")
def layers(tmp_path_factory, environment):  # noqa: F811
    """The folders of two finished runs, and their documents."""
    folders = [tmp_path_factory.mktemp("runs") / name for name in ("first", "second")]
    documents = [
        json.loads(headscript(*RUN, "--heads", heads, "--out", folder, "--json", environment=environment).stdout)
        for folder, heads in zip(folders, HEADS, strict=True)
    ]
    return folders, documents


@pytest.fixture(scope="module")
def whole(layers, tmp_path_factory, environment):  # noqa: F811
    folder = tmp_path_factory.mktemp("merged") / "whole"
    done = headscript("merge", *layers[0], "--out", folder, "--workers", 1, "--json", environment=environment)
    return folder, json.loads(done.stdout)


def test_the_joined_run_has_all_heads_and_one_library(layers, whole):
    _, document = whole
    assert [(h["layer"], h["head"]) for h in document["heads"]] == [(0, 0), (0, 2), (1, 1)]
    assert 1 <= len(document["library"]) <= 2
    assert sorted(h for p in document["library"] for h in p["heads"]) == [[0, 0], [0, 2], [1, 1]]
    assert document["evaluations"] == sum(d["evaluations"] for d in layers[1])
    for head in document["heads"]:
        parse(head["program"])


def test_no_head_does_worse_on_select_than_alone(layers, whole):
    """Each head chooses among its own programs and those of the other layer (rules are traded against IoU, hence the slack)."""
    alone = {(h["layer"], h["head"]): h for d in layers[1] for h in d["heads"]}
    for head in whole[1]["heads"]:
        before = alone[head["layer"], head["head"]]
        if head["rules"] >= before["rules"]:
            assert head["iou"]["select"] >= before["iou"]["select"] - 0.01
        if head["program"] == before["program"]:
            assert head["iou"] == before["iou"]


def test_the_joined_run_can_be_used_like_any_other(whole, environment):  # noqa: F811
    folder, document = whole
    shown = json.loads(headscript("show", folder, "--json", environment=environment).stdout)
    assert shown["heads"] == document["heads"]
    scored = json.loads(headscript("score", folder, "--text", "demo", "--json", environment=environment).stdout)
    assert scored["mean_iou"] == pytest.approx(document["mean_iou"]["test"], abs=1e-5)


def test_the_same_runs_in_another_order_give_the_same_heads(layers, whole, tmp_path, environment):  # noqa: F811
    done = headscript("merge", *reversed(layers[0]), "--out", tmp_path / "x", "--workers", 1, "--json", environment=environment)
    other = json.loads(done.stdout)
    assert [h["program"] for h in other["heads"]] == [h["program"] for h in whole[1]["heads"]]
    assert other["mean_iou"] == whole[1]["mean_iou"]


def test_the_same_head_twice_is_refused(layers, tmp_path, environment):  # noqa: F811
    first = layers[0][0]
    done = headscript("merge", first, first, "--out", tmp_path / "twice", environment=environment, expect=1)
    assert "head L0H0 is in an earlier run too" in done.stderr
    assert not (tmp_path / "twice").exists()


def test_an_unfinished_run_is_refused(layers, tmp_path, environment):  # noqa: F811
    unfinished = tmp_path / "unfinished"
    subprocess.run(["cp", "-r", layers[0][1], unfinished], check=True)
    (unfinished / "result.json").unlink()
    done = headscript("merge", layers[0][0], unfinished, "--out", tmp_path / "out", environment=environment, expect=1)
    assert "not finished" in done.stderr


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
