"""The main job as a user starts it: real processes, real folders, the demo model, two heads and a small budget."""

import json
import os
import re
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "harness" / "demo"
HEADSCRIPT = [sys.executable, "-m", "harness.cli"]
RUN = ["run", "demo", "--heads", "L0H0,L1H1", "--evaluations", "3000", "--library-size", "2", "--max-tokens", "40"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    return {**os.environ, "HEADSCRIPT_CACHE": str(tmp_path_factory.mktemp("cache"))}


def headscript(*arguments, environment, expect=0):
    done = subprocess.run([*HEADSCRIPT, *map(str, arguments)], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == expect, done.stderr
    return done


@pytest.fixture(scope="module")
def finished(tmp_path_factory, environment):
    folder = tmp_path_factory.mktemp("runs") / "one"
    done = headscript(*RUN, "--out", folder, "--workers", 1, "--json", environment=environment)
    return folder, json.loads(done.stdout)


def outcome_bytes(folder):
    return tuple((folder / name).read_bytes() for name in ("result.json", "programs.json", "scores.npy"))


def test_the_document_of_a_run(finished):
    _, document = finished
    assert [(h["layer"], h["head"]) for h in document["heads"]] == [(0, 0), (1, 1)]
    for head in document["heads"]:
        assert head["rules"] <= 12
        assert set(head["iou"]) == {"fit", "select", "test"}
        price, full = document["parsimony"], head["full_program"]
        worth = [f["select"] - price * f["size"] for f in head["front"]]  # the baselines are among the candidates
        assert head["iou"]["select"] - price * head["size"] == pytest.approx(max(worth), abs=1e-5)
        assert full["program"] == head["front"][-1]["program"] and full["iou"]["select"] >= head["baseline"]["select"] - 1e-5
        assert head["domains"] == {"demo": pytest.approx(head["iou"], abs=1e-6)} and head["gap"] == 0
        assert len(head["english"]) == len(head["rule_gains"]) == head["rules"] and head["headline"]
    assert 1 <= len(document["library"]) <= 2
    assert sorted(h for p in document["library"] for h in p["heads"]) == [[0, 0], [1, 1]]
    assert document["seconds"] > 0


def test_two_workers_give_the_same_bytes(finished, tmp_path, environment):
    headscript(*RUN, "--out", tmp_path / "two", "--workers", 2, environment=environment)
    assert outcome_bytes(tmp_path / "two") == outcome_bytes(finished[0])


def test_killed_at_any_time_and_continued_gives_the_same_bytes(finished, tmp_path, environment):
    folder = tmp_path / "killed"
    for round_ in range(6):
        process = subprocess.Popen(
            [*HEADSCRIPT, *RUN, "--out", str(folder), "--workers", "1"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        # Killed after some lines of progress, more in every round, so that each meets the run at another point.
        lines = (line for line in process.stderr if re.search(r" \d+/\d+", line))
        reached = sum(1 for _ in islice(lines, 2 + 5 * round_))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if reached < 2 + 5 * round_:
            break
    assert round_ > 1
    headscript(*RUN, "--out", folder, "--workers", 1, environment=environment)
    assert outcome_bytes(folder) == outcome_bytes(finished[0])


def test_a_finished_run_is_not_repeated(finished, environment):
    before = outcome_bytes(finished[0])
    stamps = {p: p.stat().st_mtime_ns for p in finished[0].glob("units/*/*.json")}
    headscript(*RUN, "--out", finished[0], environment=environment)
    assert outcome_bytes(finished[0]) == before
    assert {p: p.stat().st_mtime_ns for p in finished[0].glob("units/*/*.json")} == stamps


def test_a_changed_setting_is_refused_by_name(finished, environment):
    done = headscript(*RUN, "--seed", 1, "--out", finished[0], environment=environment, expect=1)
    assert "seed: 0, now 1" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture
def test_texts(tmp_path):
    """The demo texts that a run keeps for `test`, as a file."""
    lines = (DEMO / "texts" / "test.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "test.jsonl").write_text("".join(lines[:25]), encoding="utf-8")
    return tmp_path / "test.jsonl"


def test_score_repeats_the_run_s_own_figures(finished, test_texts, environment):
    folder, document = finished
    done = headscript("score", folder, "--text", test_texts, "--json", environment=environment)
    scored = json.loads(done.stdout)
    assert scored["texts"] == 25
    assert scored["mean_iou"] == pytest.approx(document["mean_iou"]["test"], abs=1e-5)
    assert scored["library_mean_iou"] == pytest.approx(document["library_mean_iou"]["test"], abs=1e-5)


def test_score_of_a_program_file(finished, test_texts, tmp_path, environment):
    _, document = finished
    file = tmp_path / "one.pattern"
    file.write_text(document["heads"][0]["program"])
    done = headscript("score", file, "--target", "demo", "--text", test_texts, "--heads", "L0H0", "--max-tokens", 40, "--json",
                      environment=environment)  # fmt: skip
    assert json.loads(done.stdout)["mean_iou"] == pytest.approx(document["heads"][0]["iou"]["test"], abs=1e-5)


def test_show_and_cover(finished, environment):
    folder, document = finished
    shown = json.loads(headscript("show", folder, "--json", environment=environment).stdout)
    assert shown["heads"] == document["heads"]
    page = headscript("show", folder, "L0H0", environment=environment).stdout
    assert document["heads"][0]["program"].splitlines()[0] in page
    for extra in ([], ["--exact"]):
        cover = json.loads(headscript("cover", folder, "--size", 2, "--json", *extra, environment=environment).stdout)
        assert [c["size"] for c in cover["curve"]] == [1, 2]
        assert cover["gap"] >= 0
        assert sorted(h for p in cover["library"] for h in p["heads"]) == [[0, 0], [1, 1]]
        assert cover["select"] <= cover["bound"] + 1e-9


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run", "no/such/folder/at/all"], 1, "no such model folder"),
        (["run", "demo", "--text", "missing.jsonl"], 1, "missing.jsonl"),
        (["run", "demo", "--heads", "L9H9"], 2, "no head L9H9"),
        (["run", "demo", "--annotator", "no_such_pipeline"], 1, "no_such_pipeline"),
        (["run", "demo", "--seed", "x"], 2, "--seed"),
        (["run", "demo", "--executor", "ftp://x"], 2, "dask://HOST:PORT"),
        (["show", "no_such_run"], 1, "not a run folder"),
        (["cover", "no_such_run", "--size", "0"], 2, "above zero"),
        (["check", "missing.pattern"], 1, "missing.pattern"),
        (["run", "demo", "--seed", "-1"], 2, "below zero"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_bad_input_gets_one_line(arguments, code, said, tmp_path, environment):
    extra = ["--out", str(tmp_path / "out")] if arguments[0] == "run" else []
    done = headscript(*arguments, *extra, environment=environment, expect=code)
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
    assert not (tmp_path / "out" / "run.json").exists()


def test_a_wrong_word_in_a_program_is_named_with_its_place(tmp_path, environment):
    file = tmp_path / "wrong.pattern"
    file.write_text("when dist == 1 add 0.5\nwhen lenght(k) == 2 add 1\n")
    done = headscript("check", file, environment=environment, expect=1)
    assert "line 2, column 6" in done.stderr
    assert "did you mean 'length'?" in done.stderr


def test_help_answers_without_the_heavy_libraries():
    heavy = {"torch", "numpy", "litellm", "lark"}
    code = f"import sys, harness.cli; harness.cli.main(['--help']); print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_importing_the_language_loads_neither_torch_nor_litellm():
    code = "import sys, dsl; print(sorted({'torch', 'litellm', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
