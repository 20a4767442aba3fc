"""Texts of odd kinds, and programs that were once lifted wrongly, validated on them."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from dsl import parse
from dsl.lift import Lifted
from dsl.text import Text
from harness.commands import run
from harness.odd import ODD, odd_texts
from harness.targets import Target, load_target
from harness.tokens import view
from sandbox import Sandbox
from search import validate
from search.validate import lift_and_validate

FAILURES = Path(__file__).parents[2].parent / "shared" / "failures"
NEEDS_FAILURES = pytest.mark.skipif(not FAILURES.is_dir(), reason="../shared/failures is not here")


@pytest.fixture(scope="module")
def target() -> Target:
    return load_target("demo")


def test_the_kinds_are_there(target: Target) -> None:
    texts = odd_texts(target, 96)
    assert len(texts) == len(ODD) and all(0 < len(t) <= 96 and t.embeddings is not None for t in texts)
    assert any(t.text.replace(" ", "").isalpha() and " " in t.text for t in texts)  # no punctuation
    assert any(t.text.isalpha() for t in texts)  # one word
    assert any("\n" in t.text for t in texts) and any(not t.text.isascii() for t in texts)
    assert all(len(t) <= 5 for t in odd_texts(target, 5))


@NEEDS_FAILURES
def test_programs_once_lifted_wrongly_are_right_or_refused_at_a_line(target: Target) -> None:
    lines = (FAILURES / "texts" / "odd.jsonl").read_text().splitlines()
    texts: list[Text] = [view(target.tokenizer, json.loads(line)["text"], 64) for line in lines]
    found = {}
    with Sandbox(weak=True) as sandbox:
        for file in sorted((FAILURES / "lift").glob("*.py")):
            record = lift_and_validate(file.read_text(), texts, target.causal, sandbox, odd=texts, timed=False)
            if not (record.status == "lifted" or (record.status == "refused" and record.line and record.line > 1)):
                found[file.name] = (record.status, record.line, record.reason)
    assert not found


def test_a_campaign_validates_on_odd_texts(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lift that is wrong only where the run's own texts have nothing of the kind."""
    source = """def program(sentence, tokenizer):
    n = len(tokenizer(sentence)["input_ids"])
    weights = np.ones((n, n))
    if "\\n" in sentence:
        weights[:, 0] += 1
    return "even", make_row_stochastic(weights)
"""
    monkeypatch.setattr(validate, "lift", lambda *_: Lifted(parse("add 1"), "even"))
    texts = [view(target.tokenizer, text, 32) for text in ("Tom saw a red ball.", "She ran home, and he did, too.")]
    odd = odd_texts(target, 32)
    session = SimpleNamespace(
        texts=lambda split: texts, description={"model": {"causal": True}}, folder=SimpleNamespace(path=tmp_path)
    )
    opened = SimpleNamespace(proposer=lambda folder, translate, note: SimpleNamespace(translate=translate, close=lambda: None))
    with ExitStack() as stack:
        assert run._proposer(session, opened, odd, stack).translate(source).status == "differs"
    with ExitStack() as stack:
        assert run._proposer(session, opened, (), stack).translate(source).status == "lifted"
