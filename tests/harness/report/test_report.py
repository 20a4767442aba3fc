"""The page's data and its file: what the matrices unpack to, how large it gets, what cannot leave it."""

import base64
import json
import random
import re
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest

from dsl import Batch, english, evaluate, parse
from harness.cli import main
from harness.report import document, write_report
from harness.report.data import page_data, rule_of
from harness.report.fired import fired
from harness.session import open_run, outcome_of


@pytest.fixture(scope="module")
def data(run):
    session = open_run(run.path)
    return page_data(session, outcome_of(session))


def unpacked(packed, n):
    """(weights (n, n), the bytes behind them), independent of the code that packs."""
    raw = zlib.decompress(base64.b64decode(packed))
    high, low = np.frombuffer(raw[: 2 * n * n], np.uint8).reshape(2, n, n).astype(int)
    return (256 * high + low) / 10_000, raw[2 * n * n :]


def test_matrices_are_those_of_the_model_and_of_the_programs(run, data):
    texts, store = run.folder.texts("test"), open_run(run.path).store("test")
    assert len(data["texts"]) == 4
    for shown in data["texts"]:
        text = texts[shown["index"]]
        n = len(text)
        assert list(shown["tokens"]) == list(text.tokens)
        for record, packed in zip(run.records, shown["heads"], strict=True):
            true = store.matrix(record["layer"], record["head"], shown["index"])
            assert np.abs(unpacked(packed, n)[0] - true).max() <= 0.5e-4 + 1e-9
        for described, packed in zip(data["programs"], shown["programs"], strict=True):
            program, batch = parse("\n".join(described["lines"])), Batch([text])
            weights, bits = unpacked(packed, n)
            assert np.abs(weights - evaluate(program, batch)[0]).max() <= 0.5e-4 + 1e-6
            rules = np.frombuffer(bits, np.uint8).reshape(len(program.rules()), -1)
            assert np.array_equal(np.unpackbits(rules, axis=1)[:, : n * n].reshape(-1, n, n), fired(program, batch)[:, 0])


def test_programs_are_shown_line_by_line_with_english(run, data):
    for record, head in zip(run.records, data["heads"], strict=True):
        program = data["programs"][head["program"]]
        assert "\n".join(program["lines"]) == record["program"]
        assert program["english"] == english(parse(record["program"]))
        assert [r for r in program["rule_of"] if r is not None] == list(range(record["rules"]))


def test_rules_are_found_among_blocks_names_and_braces():
    program = parse(
        'let start = nearest(p <= q: word_start(p))\nwhen text(k) in {"{", "}"} {\n    add 1\n} else when k == 0 {\n'
        '    when text(q) in {"let "} add 2\n} else {\n    normalize\n}\nwhen k == start set 3'
    )
    lines = str(program).splitlines()
    numbers = rule_of(lines)
    found = [lines[numbers.index(i)].strip() for i in range(len(program.rules()))]
    assert found == [str(rule) for rule in program.rules()]


class Scripts(HTMLParser):
    """What a browser would take for scripts, links and images."""

    def __init__(self):
        super().__init__()
        self.scripts, self.asked = [], []

    def handle_starttag(self, tag, attrs):
        if tag == "script":
            self.scripts.append("")
        self.asked += [v for k, v in attrs if k in ("src", "href", "action") and not v.startswith(("#", "data:"))]

    def handle_data(self, content):
        if self.lasttag == "script":
            self.scripts[-1] += content


def test_tokens_cannot_end_the_data_and_nothing_is_fetched(data):
    text = document(data)
    page = Scripts()
    page.feed(text)
    assert len(page.scripts) == 2 and not page.asked
    assert json.loads(page.scripts[0]) == json.loads(json.dumps(data))
    assert any("</script>" in t["tokens"] for t in data["texts"])  # else the test shows nothing
    assert "default-src 'none'" in text and "unsafe" not in text
    assert not re.search(r"https?://(?!www\.w3\.org/)", text)
    assert "<title>tiny &lt;model&gt;:" in text


def distinct(rng, rules):
    words = [" the", " cat", " dog", " ran", "."]
    lines = [f"when dist == 1 add {rng.random():.4f}", f"when k == 0 add {rng.random():.4f}"]
    while len(lines) < rules:
        word = rng.choice(words)
        lines.append(
            rng.choice(
                [
                    f'when text(k) in {{".", "{word}"}} add {rng.random():.4f} * exp(-{rng.random():.3f} * dist)',
                    f'when k == nearest(p < q: text(p) == "{word}") add {rng.random():.4f}',
                    f'when text(q) == "{word}" and dist < {rng.randint(2, 9)} scale {rng.random():.3f}',
                ]
            )
        )
    return "\n".join(lines)


def test_a_page_of_144_heads_stays_under_5_mb(make, tmp_path):
    run = make(tmp_path / "large", layers=12, heads=12, texts=2, tokens=(40, 42), causal=False)
    session, rng = open_run(run.path), random.Random(1)
    outcome = outcome_of(session)
    for record in outcome["heads"]:  # no program twice, long fronts
        record["program"], record["rules"] = distinct(rng, 6), 6
        record["front"] = [
            {**record["front"][0], "program": distinct(rng, i + 2), "rules": i + 2, "size": 12 * i} for i in range(20)
        ]
    size = write_report(session, outcome, tmp_path / "report.html")
    assert size == (tmp_path / "report.html").stat().st_size < 5_000_000
    assert len(page_texts(tmp_path / "report.html")) == 2


def test_fewer_texts_where_matrices_are_large(run, monkeypatch):
    session = open_run(run.path)
    monkeypatch.setattr("harness.report.data.MATRIX_BYTES", 1)
    assert len(page_data(session, outcome_of(session))["texts"]) == 1
    assert len(page_data(session, outcome_of(session), texts=3)["texts"]) == 3


def page_texts(path):
    page = Scripts()
    page.feed(path.read_text(encoding="utf-8"))
    return json.loads(page.scripts[0])["texts"]


def test_the_command(run, tmp_path, capsys):
    out = tmp_path / "page.html"
    assert main(["report", str(run.path), "--out", str(out), "--texts", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"report": str(out), "bytes": out.stat().st_size, "figures": []}
    assert len(page_texts(out)) == 2
    assert main(["report", str(run.path), "--figures", str(tmp_path / "figures")]) == 0
    assert (run.path / "report.html").exists() and len(list((tmp_path / "figures").glob("*.svg"))) == 4 + 6
    assert main(["report", str(tmp_path)]) == 1
    assert main(["report", str(run.path), "--texts", "0"]) == 2
