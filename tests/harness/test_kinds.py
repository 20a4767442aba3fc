"""Several kinds of text from end to end: a run with one held out, its figures, scores on other kinds, limits on programs."""

import json
import re
import sys

import pytest

from dsl import parse, size
from harness.cli import main
from harness.texts import DEMO

HEADS = ["--heads", "L0H0,L1H1", "--max-tokens", "32"]
RUN = ["run", "demo", *HEADS, "--evaluations", "600", "--library-size", "2", "--workers", "1", "--json"]
LIMITS = ["--max-size", "40", "--max-rules", "3", "--max-set", "2"]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSCRIPT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """--text for stories, for the same stories in capitals, and for lists of numbers, as folders."""
    folder = tmp_path_factory.mktemp("texts")
    change = {
        "plain": str,
        "loud": lambda text: "LOUD " + text.upper(),
        "sums": lambda text: " ".join(f"{len(word)} + {i} =" for i, word in enumerate(text.split())),
    }
    options = []
    for name, changed in change.items():
        (folder / name).mkdir()
        for part, number in (("train", 6), ("validation", 4), ("test", 4)):
            rows = [json.loads(line)["text"] for line in (DEMO / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()]
            lines = [json.dumps({"text": changed(text)}) for text in rows[:number]]
            (folder / name / f"{part}.jsonl").write_text("\n".join(lines))
        options += ["--text", f"{name}={folder / name}"]
    return options


@pytest.fixture(scope="module")
def finished(kinds, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "kinds"
    assert main([*RUN, *kinds, "--hold-out", "sums", *LIMITS, "--out", str(folder)]) == 0
    return folder, json.loads((folder / "result.json").read_text(encoding="utf-8"))


def test_means_count_every_kind_once_and_the_held_out_one_never(finished):
    _, outcome = finished
    assert outcome["held_out"] == ["sums"] and list(outcome["domains"]) == ["plain", "loud", "sums"]
    for record in [outcome, *outcome["heads"]]:
        domains, mean = record["domains"], record.get("iou") or record["mean_iou"]
        assert set(domains["plain"]) == set(domains["loud"]) == {"fit", "select", "test"} and set(domains["sums"]) == {"test"}
        for split in ("fit", "select", "test"):
            assert mean[split] == pytest.approx((domains["plain"][split] + domains["loud"][split]) / 2, abs=2e-6)
        assert record["gap"] == pytest.approx(abs(domains["plain"]["test"] - domains["loud"]["test"]), abs=2e-6)


def test_no_program_goes_beyond_the_limits(finished):
    _, outcome = finished
    texts = [p["program"] for r in outcome["heads"] for p in (r, r["full_program"], *r["front"])]
    texts += [p["program"] for p in outcome["library"]]
    for text in texts:
        program = parse(text)
        assert size(program) <= 40 and len(program.rules()) <= 3
    assert all(f["size"] == size(parse(f["program"])) for r in outcome["heads"] for f in r["front"])


def test_score_gives_the_run_s_own_figures_for_every_kind(finished, kinds, capsys):
    folder, outcome = finished
    assert main(["score", str(folder), *kinds, "--json"]) == 0
    scored = json.loads(capsys.readouterr().out)
    for record, before in zip(scored["heads"], outcome["heads"], strict=True):
        for name in ("plain", "loud", "sums"):
            assert record["domains"][name] == pytest.approx(before["domains"][name]["test"], abs=1e-5)
            assert record["library_domains"][name] == pytest.approx(before["library_domains"][name]["test"], abs=1e-5)
        assert record["iou"] == pytest.approx(sum(record["domains"].values()) / 3)
    assert scored["domains"]["sums"] == pytest.approx(outcome["domains"]["sums"]["test"], abs=1e-5)
    assert scored["library_domains"]["loud"] == pytest.approx(outcome["library_domains"]["loud"]["test"], abs=1e-5)
    assert main(["score", str(folder), *kinds]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["head", "size", "IoU", "plain", "loud", "sums", "gap"]


def test_a_program_file_is_scored_on_every_kind(kinds, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HEADSCRIPT_CACHE", str(tmp_path / "cache"))  # nothing has been read yet
    (tmp_path / "previous.pattern").write_text("when dist == 1 add 1\nwhen k == 0 add 0.1\n")
    (tmp_path / "self.pattern").write_text("when dist == 0 add 1\n")
    files = [str(tmp_path / "previous.pattern"), str(tmp_path / "self.pattern")]
    assert main(["score", *files, "--target", "demo", *HEADS, *kinds, "--json"]) == 0
    shown = capsys.readouterr()
    reading = [line for line in shown.err.splitlines() if "reading attention" in line]
    assert reading and all(re.fullmatch(r"headscript: reading attention \d+/\d+", line) for line in reading)
    scored = json.loads(shown.out)
    assert set(scored["domains"]) == {"plain", "loud", "sums"} and {r["program"] for r in scored["heads"]} <= set(files)
    assert scored["mean_iou"] == pytest.approx(sum(scored["domains"].values()) / 3, abs=2e-6)


def test_other_kinds_are_another_run(finished, kinds, capsys):
    folder, _ = finished
    assert main([*RUN, *kinds, *LIMITS, "--out", str(folder)]) == 1
    said = capsys.readouterr().err.strip()
    assert "begun with other settings" in said and len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("extra", "code", "said"),
    [
        (["--hold-out", "laws"], 2, "--hold-out laws: no such kind of text; --text gives plain, loud, sums"),
        (["--hold-out", "plain", "--hold-out", "loud", "--hold-out", "sums"], 2, "every kind of text is held out"),
        (["--text", "plain=elsewhere.jsonl"], 2, "--text plain=: the name is given twice"),
        (["--text", "laws=/no/such/place"], 1, "--text laws=: /no/such/place: no such file or folder"),
        (["--text", "=x"], 2, "no name before the ="),
        (["--text", "laws="], 2, "nothing after the ="),
        (["--max-texts", "1,2"], 2, "expected three numbers above zero"),
        (["--parsimony", "-1"], 2, "below zero"),
        (["--column", "story"], 1, 'no column "story"'),
    ],
)
def test_what_cannot_be_used_is_one_line(kinds, extra, code, said, tmp_path, capsys):
    assert main([*RUN, *kinds, *extra, "--out", str(tmp_path / "out")]) == code
    captured = capsys.readouterr()
    assert said in captured.err and len(captured.err.splitlines()) == 1 and captured.out == ""
    assert not (tmp_path / "out").exists()


def test_short_texts_of_one_kind_are_one_line(kinds, tmp_path, capsys):
    (tmp_path / "short.txt").write_text("\n\n".join("abcdefghij"))
    assert main([*RUN, *kinds, "--text", f"short={tmp_path / 'short.txt'}", "--out", str(tmp_path / "out")]) == 1
    assert "short: no text of at least 3 tokens" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_leaving_out_one_kind_after_the_other(kinds, tmp_path, monkeypatch, capsys):
    from bench.leave_out import main as leave_out

    command = ["leave_out", "--target", "demo", *kinds[:4], "--heads", "L0H0", "--evaluations", "300", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", [*command, "--", "--max-tokens", "24", "--workers", "1", "--library-size", "1"])
    assert leave_out() == 0
    rows = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == "left out" and rows[2:] == ["plain", "loud"]
    held_out = [json.loads((tmp_path / f"without-{n}" / "result.json").read_text())["held_out"] for n in ("plain", "loud")]
    assert held_out == [["plain"], ["loud"]]
