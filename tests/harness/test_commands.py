"""lift, sandbox, check and export as a user starts them."""

import json
import os
import subprocess
import sys

import pytest

HEADSCRIPT = [sys.executable, "-m", "harness.cli"]

PREVIOUS = """
import numpy as np

def helper(x):
    return 0.25 * x

def anything(sentence, tokenizer):
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(sentence, return_tensors="pt").input_ids[0])
    n = len(tokens)
    out = np.zeros((n, n))
    for i in range(n):
        out[i, max(0, i - 1)] += helper(3)
        out[i, i] += 0.25
    return "previous", make_row_stochastic(apply_causal_mask(out))
"""
RANDOM = PREVIOUS.replace("out[i, i] += 0.25", "out[i, i] += np.random.rand()")
READS_A_FILE = PREVIOUS.replace("n = len(tokens)", "n = len(tokens); open('/etc/hostname').read()")


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    return {**os.environ, "HEADSCRIPT_CACHE": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture
def files(tmp_path):
    for name, source in (("previous", PREVIOUS), ("random", RANDOM), ("reads", READS_A_FILE), ("broken", "def f(a, b:\n")):
        (tmp_path / f"{name}.py").write_text(source)
    return tmp_path


def headscript(*arguments, environment):
    return subprocess.run([*HEADSCRIPT, *map(str, arguments)], capture_output=True, text=True, env=environment, timeout=120)


def test_lift_gives_a_record_for_each_file(files, environment):
    paths = [files / f"{n}.py" for n in ("previous", "random", "reads", "broken")]
    done = headscript("lift", *paths, "--json", environment=environment)
    document = json.loads(done.stdout)
    assert done.returncode == 1
    assert (document["lifted"], document["total"]) == (1, 4)
    by_name = {os.path.basename(r["file"]): r for r in document["files"]}
    good = by_name["previous.py"]
    assert good["status"] == "lifted"
    assert good["max_abs_difference"] <= 1e-6
    assert good["seconds_python"] > 0
    assert good["seconds_dsl"] > 0
    assert by_name["random.py"]["status"] == "refused"
    assert by_name["random.py"]["line"] == 13
    assert "random" in by_name["random.py"]["reason"]
    assert by_name["reads.py"]["status"] == "refused"
    assert by_name["broken.py"]["status"] == "refused"
    assert by_name["broken.py"]["line"] == 1


def test_lift_without_validation_runs_nothing(files, environment):
    done = headscript("lift", files / "previous.py", "--no-validate", "--json", environment=environment)
    (record,) = json.loads(done.stdout)["files"]
    assert record["status"] == "lifted"
    assert record["max_abs_difference"] is None
    check = files / "canonical.pattern"
    check.write_text(record["program"])
    checked = json.loads(headscript("check", check, "--json", environment=environment).stdout)
    assert checked["files"][0]["program"] == record["program"]  # what lift prints is canonical


def test_sandbox_says_how_each_program_ended(files, environment):
    (files / "slow.py").write_text(PREVIOUS.replace("n = len(tokens)", "n = len(tokens)\n    while True: pass"))
    paths = [files / f"{n}.py" for n in ("previous", "random", "reads", "broken", "slow")]
    done = headscript("sandbox", *paths, "--time", "1", "--json", environment=environment)
    outcomes = [r["outcome"] for r in json.loads(done.stdout)["files"]]
    assert outcomes[:2] == ["ok", "ok"]
    assert outcomes[2] in ("refused", "error")
    assert outcomes[3:] == ["refused", "time"]
    assert done.returncode == 1


def test_check_names_every_error_of_every_file(tmp_path, environment):
    (tmp_path / "bad.pattern").write_text("when dist == 1 add zebra\nset 1\nwhen lenght(k) == 2 add 1\n")
    (tmp_path / "good.pattern").write_text("add 1\n")
    (tmp_path / "bytes.pattern").write_bytes(b"\xff\xfe")
    names = [tmp_path / f"{n}.pattern" for n in ("bad", "missing", "bytes", "good")]
    done = headscript("check", *names, "--json", environment=environment)
    bad, missing, binary, good = json.loads(done.stdout)["files"]
    assert done.returncode == 1
    assert [(e["line"], e["column"]) for e in bad["errors"]] == [(1, 20), (3, 6)]
    assert "No such file" in missing["reason"] and "UTF-8" in binary["reason"]
    assert good["ok"] and good["program"] == "add 1" and good["english"]
    said = headscript("check", *names, environment=environment).stderr.splitlines()
    assert len(said) == 4 and "line 3, column 6" in said[1] and "missing.pattern" in said[2]


def test_check_knows_concepts(tmp_path, environment):
    (tmp_path / "mine.pattern").write_text("# mine\nconcept stop(x) = end(x) or clause_mark(x)\nconcept end(p) = sentence_end(p)\n")
    (tmp_path / "head.pattern").write_text("concept far(q, k) = q - k > 3\nwhen stop(k) and far(q, k) add 1\n")
    names = [tmp_path / f"{n}.pattern" for n in ("head", "mine")]
    alone = headscript("check", names[0], environment=environment)
    assert alone.returncode == 1 and "line 2, column 6: unknown function 'stop'" in alone.stderr
    done = headscript("check", *names, "--concepts", names[1], "--json", environment=environment)
    head, mine = json.loads(done.stdout)["files"]
    assert head["program"].splitlines() == [
        "concept end(p) = sentence_end(p)",
        "concept far(q, k) = dist > 3",
        "concept stop(p) = clause_mark(p) or end(p)",
        "when stop(k) and far(q, k) add 1",
    ]
    assert [c["name"] for c in head["concepts"]] == ["end", "far", "stop"] and all(c["used"] for c in head["concepts"])
    assert mine["program"] == "" and [c["name"] for c in mine["concepts"]] == ["stop", "end"]
    (tmp_path / "wrong.pattern").write_text("concept a(p) = b(p)\nconcept b(p) = a(p)\n")
    (tmp_path / "empty.pattern").write_text("# nothing\n")
    for name, said in (("wrong", "line 2, column 1"), ("empty", "no concept"), ("missing", "No such file"), ("head", "line 2")):
        refused = headscript("check", names[0], "--concepts", tmp_path / f"{name}.pattern", environment=environment)
        assert refused.returncode == 1 and said in refused.stderr and len(refused.stderr.splitlines()) == 1


def test_lift_and_sandbox_go_on_past_a_file_that_cannot_be_read(files, environment):
    paths = [files / "missing.py", files / "previous.py"]
    lifted = headscript("lift", *paths, "--no-validate", "--json", environment=environment)
    document = json.loads(lifted.stdout)
    assert lifted.returncode == 1 and (document["lifted"], document["total"]) == (1, 2)
    assert [r["status"] for r in document["files"]] == ["failed", "lifted"]
    assert set(document["files"][0]) == set(document["files"][1])
    assert "No such file" in document["files"][0]["reason"]
    run = headscript("sandbox", *paths, "--json", environment=environment)
    records = json.loads(run.stdout)["files"]
    assert run.returncode == 1 and [r["outcome"] for r in records] == ["error", "ok"]
