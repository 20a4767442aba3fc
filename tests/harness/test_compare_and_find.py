"""Runs side by side, and programs of runs by what they say and do."""

import json
import re

import pytest

from dsl import parse
from harness.cli import main
from tests.harness.report.conftest import PROGRAMS, make_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    first, second = (make_run(folder / name) for name in ("first", "second"))
    outcome = second.folder.read("result.json")
    changed = outcome["heads"][1]
    changed["iou"]["test"] += 0.25
    changed["program"] = "when k == q add 0.125"
    del outcome["heads"][5]
    second.folder.write("result.json", outcome)
    return first, second


def said(capsys, *arguments, code=0):
    assert main([*map(str, arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_heads_of_two_runs_side_by_side(runs, capsys, tmp_path):
    first, second = runs
    found = said(capsys, "compare", first.path, second.path, "--page", tmp_path / "page.html")
    rows = {row["head"]: row for row in found["heads"]}
    assert list(rows) == ["L0H0", "L0H1", "L0H2", "L1H0", "L1H1", "L1H2"]
    for record in first.records:
        row = rows[f"L{record['layer']}H{record['head']}"]
        assert row["iou"][0] == record["iou"]["test"]
    assert rows["L0H1"]["gain"] == pytest.approx(0.25) and rows["L0H1"]["programs"] == "differ"
    assert rows["L0H0"]["gain"] == 0 and rows["L0H0"]["programs"] == "same"
    assert rows["L1H2"]["gain"] is None and rows["L1H2"]["iou"][1] is None
    assert (
        "5 heads in both" in found["summary"]
        and "1 better, 0 worse" in found["summary"]
        and "4 programs the same" in found["summary"]
    )
    page = (tmp_path / "page.html").read_text()
    assert "<script" not in page and page.count("<tr>") == 7 and "+0.250" in page
    assert main(["compare", str(first.path), str(second.path)]) == 0
    assert re.search(r"^L0H1 .*\+0\.250", capsys.readouterr().out, re.M)
    assert main(["compare", str(first.path)]) == 2


@pytest.mark.parametrize(
    ("phrase", "kinds"),
    [
        ("same(text)", {"same token"}),
        ("exp(", {"mixed"}),
        ("dist == 1", {"previous token"}),
        ("scale", {"first token", "mixed"}),
        ("text(q)", {"same token"}),
        ("tex", set()),
        ("zebra", set()),
    ],
)
def test_programs_by_what_they_say(runs, capsys, phrase, kinds):
    found = said(capsys, "find", runs[0].path, phrase, code=0 if kinds else 1)
    assert {hit["program"] for hit in found["programs"]} == {str(parse(PROGRAMS[kind])) for kind in kinds}
    for hit in found["programs"]:
        shown = {f"L{r['layer']}H{r['head']}" for r in runs[0].records if r["program"] == hit["program"]}
        assert set(hit["heads"]) == shown


def test_what_heads_show_comes_before_what_stands_in_fronts_alone(runs, capsys):
    first = runs[0]
    hits = said(capsys, "find", first.path, "add", "--most", "99")["programs"]
    shown = [bool(hit["heads"]) for hit in hits]
    assert shown == sorted(shown, reverse=True)
    for group in (True, False):
        values = [hit["iou"] for hit in hits if bool(hit["heads"]) == group]
        assert values == sorted(values, reverse=True)


def test_a_program_to_be_like_may_be_a_file(runs, capsys, tmp_path):
    program = "when dist == 1 add 7\nwhen k == 0 add 3"
    for name in ("wanted.pattern", "wanted.txt"):
        (tmp_path / name).write_text(program)
        by_file = said(capsys, "find", runs[0].path, "--like", tmp_path / name)["programs"]
        assert by_file == said(capsys, "find", runs[0].path, "--like", program)["programs"]
    assert main(["find", str(runs[0].path), "--like", str(tmp_path / "missing.pattern")]) == 1
    assert capsys.readouterr().err == f"headscript: {tmp_path / 'missing.pattern'}: No such file or directory\n"


def test_programs_by_what_they_do(runs, capsys):
    found = said(capsys, "find", runs[0].path, runs[1].path, "--like", "when q - k == 1 add 7 when k == 0 add 3")["programs"]
    assert found[0]["program"] == str(parse(PROGRAMS["previous token"])) and found[0]["closeness"] > 0.999
    values = [hit["closeness"] for hit in found]
    assert values == sorted(values, reverse=True) and values[-1] < 0.5
