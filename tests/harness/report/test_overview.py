"""What `show` prints, with and without a terminal; what a notebook shows."""

import io
import json
import re

import numpy as np
import pytest

from dsl import Batch, english, evaluate, parse
from harness import maps
from harness.cli import main
from harness.errors import UserError
from harness.notebook import Run
from harness.overview import head_page, run_table, with_time
from harness.session import open_run, outcome_of

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    return Terminal()


def test_the_table_has_every_head_and_the_means(run, capsys):
    assert main(["show", str(run.path)]) == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    for record in run.records:
        row = next(line for line in text.splitlines() if line.startswith(f"L{record['layer']}H{record['head']}"))
        values = [f"{record['iou'][s]:.3f}" for s in ("fit", "select", "test")]
        assert values == re.findall(r"\d\.\d{3}", row)[:3] and record["library_program"] in row and record["kind"] in row
        assert re.search(rf" {record['size']} ", row) and row.endswith(record["proposer"])
    outcome = run.folder.read("result.json")
    for figure in (outcome["mean_iou"]["test"], *outcome["interval"], outcome["library_mean_iou"]["test"]):
        assert f"{figure:.3f}" in text
    assert "12,345 programs" in text and "75.2 seconds: heads 60.0" in text and "6 heads" in text


@pytest.fixture(scope="module")
def several(make, tmp_path_factory):
    """A run on three kinds of text, one of them held out."""
    kinds = ["stories", "code", "laws"] * 2
    return make(tmp_path_factory.mktemp("runs") / "several", domains=kinds, held_out=("laws",))


def test_every_kind_of_text_has_a_column_and_the_held_out_one_is_marked(several, capsys):
    assert main(["show", str(several.path)]) == 0
    text = capsys.readouterr().out
    header = next(line for line in text.splitlines() if line.startswith("head"))
    assert header.split()[6:11] == ["test", "stories", "code", "laws*", "gap"] and "* held out" in text
    outcome = several.folder.read("result.json")
    for record in outcome["heads"]:
        row = next(line for line in text.splitlines() if line.startswith(f"L{record['layer']}H{record['head']}"))
        by_domain = [record["domains"][name]["test"] for name in ("stories", "code", "laws")]
        found = [float(x) for x in re.findall(r"\d\.\d{3}", row)]
        assert found[2:7] == pytest.approx([record["iou"]["test"], *by_domain, abs(by_domain[0] - by_domain[1])], abs=6e-4)
        assert record["iou"]["test"] == pytest.approx(sum(by_domain[:2]) / 2, abs=1e-6)
        assert set(record["domains"]["laws"]) == {"test"}
    assert main(["show", str(several.path), "L0H1"]) == 0
    assert "laws*" in capsys.readouterr().out


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_tables_fit_the_terminal_and_a_file_has_all(several, columns):
    outcome = several.folder.read("result.json")
    outcome["target"] = "someone/" + "a-very-long-name-" * 8
    record = {**outcome["heads"][0], "kind": "previous token, else first", "proposer": "exchange", "rules": 40}
    outcome["heads"] = [{**record, "layer": i // 12, "head": i % 12, "library_program": "P16"} for i in range(144)]
    whole = run_table(outcome)
    assert re.search(r"^L11H11 .* exchange$", whole, re.M)
    widest = max(map(len, whole.splitlines()))
    text = run_table(outcome, columns)
    assert max(len(line) for line in text.splitlines() if not line.startswith("someone/")) <= columns
    assert len(re.findall(r"^L\d+H\d+ ", text, re.M)) == 144
    for name in ("stories", "gap", "proposer") if columns >= widest else ("head", "test"):
        assert name in text


def test_a_head_without_a_terminal_is_plain(run, capsys):
    record = run.records[3]
    assert main(["show", str(run.path), "l1h0"]) == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    for line in record["program"].splitlines():
        assert line in text
    flat = " ".join(text.split())
    assert all(sentence in flat for sentence in english(parse(record["program"]))) and record["headline"] in flat
    assert all(f"+{gain:.3f}" in text for gain in record["rule_gains"])
    assert all(f"{f['select']:.3f}" in text for f in record["front"]) and "this program" in text
    tokens = run.folder.texts("test")[0].tokens[: maps.MOST_ROWS]
    drawn = text[text.index("model  ") :].splitlines()[1:]
    keys, rows = drawn[: maps.LETTERS], drawn[maps.LETTERS :]
    assert all(set(line[maps.LABEL :]) <= set(maps.SHADES) for line in rows)
    assert [line[: maps.LABEL].strip() for line in rows] == [maps.visible(t)[: maps.LABEL - 1] for t in tokens]
    for column, token in enumerate(tokens):  # above each column, the first letters of its key
        letters = "".join(line[maps.LABEL + column : maps.LABEL + column + 1] for line in keys)
        assert letters.rstrip() == maps.visible(token)[: maps.LETTERS].rstrip()


def test_the_largest_program_is_shown_on_demand(run, capsys):
    record = run.records[2]
    full = record["full_program"]
    assert full["program"] != record["program"]
    for more, expected in (([], record), (["--full"], full)):
        assert main(["show", str(run.path), "L0H2", "--json", *more]) == 0
        found = json.loads(capsys.readouterr().out)
        assert {k: found[k] for k in full} == {k: expected[k] for k in full}
        assert main(["export", str(run.path), "L0H2", "--json", *more]) == 0
        assert json.loads(capsys.readouterr().out)["program"] == expected["program"]
    assert main(["show", str(run.path), "--full", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mean_iou"] == run.folder.read("result.json")["full_program"]["mean_iou"]


def test_long_program_lines_are_wrapped(run, terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    session = open_run(run.path)
    words = ", ".join(f'" word{i}"' for i in range(40))
    record = {**run.records[0], "program": str(parse(f"when text(k) in {{{words}}} add 1"))}
    assert max(map(len, head_page(session, outcome_of(session), record, terminal).splitlines())) <= 80


def test_a_head_on_a_terminal_is_in_colour(run, terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    session = open_run(run.path)
    outcome = outcome_of(session)
    page = head_page(session, outcome, run.records[0], terminal)
    assert "\x1b[38;2;" in page and "▀" in page
    assert max(len(ESCAPE.sub("", line)) for line in page.splitlines()) <= 80
    monkeypatch.setenv("COLORTERM", "")
    assert "\x1b[38;5;" in head_page(session, outcome, run.records[0], terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in head_page(session, outcome, run.records[0], terminal)


@pytest.mark.parametrize("damage", [{"format": 1}, {"format": None}])
def test_a_run_of_another_version_is_one_clear_line(make, tmp_path, damage, capsys):
    run = make(tmp_path / "old")
    run.folder.write("result.json", {**run.folder.read("result.json"), **damage})
    for arguments in (["show"], ["report"], ["export", "L0H0"], ["cover", "--size", "2"], ["score"], ["replace"]):
        assert main([arguments[0], str(run.path), *arguments[1:]]) == 1
        said = capsys.readouterr().err
        assert "made by another version: run again with another --out" in said and len(said.splitlines()) == 1


def test_a_folder_of_an_older_version_is_one_clear_line(make, tmp_path, capsys):
    run = make(tmp_path / "old")
    run.folder.write("run.json", {**run.folder.read("run.json"), "format": 1})
    assert main(["show", str(run.path)]) == 1
    said = capsys.readouterr().err
    assert "made by an older version: run again with another --out" in said and len(said.splitlines()) == 1


def test_maps_show_two_rows_of_cells_in_a_line():
    matrix = np.eye(5)
    assert maps.plain(matrix)[2] == "  @  "
    lines = maps.coloured(matrix, "256")
    assert len(lines) == 3 and all(ESCAPE.sub("", line) == "▀" * 5 for line in lines)
    full, empty = (maps._code(38, maps.colours.at(maps.colours.sequential(True), v), "256") for v in (1, 0))
    assert lines[0].startswith(f"\x1b[{full};") and lines[0].count(f"[{empty};") == 4


def test_show_as_json_adds_the_time(run, capsys):
    assert main(["show", str(run.path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == {**run.folder.read("result.json"), "seconds": 75.25, "time": {"heads": 60.0, "cover": 15.25}}
    assert main(["show", str(run.path), "L1H2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == run.records[5]
    assert main(["show", str(run.path), "L9H9"]) == 2


def test_time_is_left_out_where_it_is_not_known(make, tmp_path):
    run = make(tmp_path / "untimed")
    (run.path / "timing.json").unlink()
    session = open_run(run.path)
    outcome = with_time(session, outcome_of(session))
    assert "seconds" not in outcome and "seconds:" not in run_table(outcome)


def test_a_run_in_a_notebook(run):
    found = Run(run.path)
    record = run.records[4]
    head = found.head("l1h1")
    assert head.scores == record["iou"] and str(head.program) == record["program"]
    text = found.session.texts("test")[2]
    n = len(text)
    attention, patterns = found.attention(2), found.patterns(2)
    assert [tuple(t.shape) for t in attention] == [tuple(t.shape) for t in patterns] == [(1, 3, n, n)] * 2
    assert np.array_equal(attention[1][0, 1].numpy(), found.session.store("test").matrix(1, 1, 2).astype(np.float32))
    assert np.array_equal(patterns[1][0, 1].numpy(), evaluate(parse(record["program"]), Batch([text]))[0])
    assert found.tokens(2) == list(text.tokens)
    assert set(found.library) == {"P1", "P2", "P3"}
    page = found._repr_html_()
    assert page.count("<td title=") == 6 and "tiny &lt;model&gt;" in page and f">{100 * record['iou']['test']:.0f}<" in page
    assert "<script" not in head._repr_html_() and english(head.program)[0].split('"')[0] in head._repr_html_()
    with pytest.raises(UserError, match="no head L7H7"):
        found.head("L7H7")
