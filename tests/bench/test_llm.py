"""The comparison with recorded answers, on two heads of the demo, and what is kept of a run."""

import json
import sys

import pytest

from bench import llm, record

KINDS = {"plain": "the cat sat on the mat . the dog ran off .", "loud": "STOP ! GO ON ! NO MORE OF IT ! RUN !"}


@pytest.fixture
def texts(tmp_path):
    """Options for two kinds of text, some lines of each."""
    options = []
    for name, text in KINDS.items():
        path = tmp_path / f"{name}.txt"
        path.write_text("\n\n".join(f"{text} {i} {text}" for i in range(12)))
        options += ["--text", f"{name}={path}"]
    return options


def test_each_campaign_has_its_row(texts, tmp_path, monkeypatch, capsys):
    answers = tmp_path / "answers"
    answers.mkdir()
    (answers / "demo_L0H0.pattern").write_text("when dist == 1 add 1\nwhen k == 0 add 0.5\nadd 0.1\n")
    command = ["llm", "--target", "demo", *texts, "--heads", "L0H0", "--hold-out", "loud", "--evaluations", "300"]
    command += ["--answers", str(answers), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", [*command, "--", "--max-tokens", "24", "--workers", "1", "--library-size", "1"])
    assert llm.main() == 0
    header, _, *rows = [[c.strip() for c in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines() if "|" in line]
    found = [dict(zip(header, row, strict=True)) for row in rows]
    assert [r["campaign"] for r in found] == list(llm.ROWS) and [r["calls"] for r in found] == ["0", "1", "1"]
    assert found[2]["by model"] == "1 of 1" and found[0]["by model"] == "0 of 1"
    outcome = json.loads((tmp_path / "out" / "search-alone" / "result.json").read_text())
    assert outcome["held_out"] == ["loud"] and found[0]["mean"] == found[0]["plain"] == f"{outcome['mean_iou']['test']:.3f}"
    assert found[0]["loud"] == f"{outcome['domains']['loud']['test']:.3f}"


def test_what_was_never_asked_is_not_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["record", str(tmp_path), str(tmp_path / "kept")])
    assert record.main() == 1 and "no answers" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["record"])
    assert record.main() == 2
