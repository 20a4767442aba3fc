"""Runs that are interrupted, and runs that go on with more, as a user starts them: real processes and folders, two heads."""

import functools
import json
import os
import signal
import subprocess
import sys
import time

import pytest

HEADSCRIPT = [sys.executable, "-m", "harness.cli"]
RUN = ["run", "demo", "--library-size", "2", "--max-tokens", "24", "--workers", "1", "--max-texts", "12,6,6"]
TWO = ["--heads", "L0H0,L1H1", "--evaluations", "600"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    return {**os.environ, "HEADSCRIPT_CACHE": str(tmp_path_factory.mktemp("cache"))}


def headscript(*arguments, environment, expect=0):
    done = subprocess.run([*HEADSCRIPT, *map(str, arguments)], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == expect, done.stderr
    return done


def test_a_run_goes_on_with_more_and_loses_nothing(tmp_path, environment):
    folder = tmp_path / "run"
    first = json.loads(headscript(*RUN, *TWO, "--out", folder, "--json", environment=environment).stdout)
    heads = {p.name: p.stat().st_mtime_ns for p in folder.glob("units/heads/*.json")}
    programs = set(json.loads((folder / "programs.json").read_text())["programs"])
    more = ["--heads", "L0H0-L0H1,L1H1", "--evaluations", "1200"]
    done = headscript(*RUN, *more, "--out", folder, "--json", environment=environment)
    assert "goes on from what is there, with 1 more head (L0H1), 600 more evaluations" in done.stderr
    second = json.loads(done.stdout)
    assert [(h["layer"], h["head"]) for h in second["heads"]] == [(0, 0), (0, 1), (1, 1)]
    assert heads.items() <= {p.name: p.stat().st_mtime_ns for p in folder.glob("units/heads/*.json")}.items()  # not done twice
    assert programs <= set(json.loads((folder / "programs.json").read_text())["programs"])
    assert second["evaluations"] > first["evaluations"]
    less = headscript(*RUN, *TWO, "--out", folder, environment=environment, expect=1)
    assert len(less.stderr.splitlines()) == 1 and "now only 600" not in less.stderr.replace("1,200, now only 600", "")


def test_ctrl_c_says_what_is_kept_and_how_to_go_on(tmp_path, environment):
    folder = tmp_path / "run"
    command = [*HEADSCRIPT, *RUN, "--heads", "all", "--evaluations", "60000", "--out", str(folder)]
    # A shell that runs the suite in the background has it ignore the signal.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True, preexec_fn=heed)
    deadline = time.monotonic() + 200
    while not list(folder.glob("units/heads/*.json")) and process.poll() is None and time.monotonic() < deadline:
        os.sched_yield()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=200)
    assert process.returncode == 130, said
    assert "of work" in said and f"go on with the same command and --out {folder}" in said
    assert (folder / "partial.json").exists() and not (folder / ".lock").exists()
