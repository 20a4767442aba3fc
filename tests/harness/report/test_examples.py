"""Where a program and its head agree least and most: against a loop over all queries."""

import base64
import zlib

import numpy as np
import pytest

from dsl import Batch, evaluate, parse
from harness.report.data import meanings, page_data, words
from harness.report.examples import examples
from harness.report.matrices import FEWEST_TOKENS
from harness.session import open_run, outcome_of
from search import workspace


def unpacked(packed):
    """(2, keys): the head's row and the program's."""
    raw = np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8).astype(int)
    size = len(raw) // 4
    return np.stack([256 * raw[a : a + size] + raw[a + size : a + 2 * size] for a in (0, 2 * size)]) / 10_000


def every_query(run, program, layer, head):
    """{(text, query): (agreement, the head's row, the program's)} of all test texts."""
    store, found = open_run(run.path).store("test"), {}
    for t, text in enumerate(run.folder.texts("test")):
        true = store.matrix(layer, head, t).astype(float)
        mine = evaluate(program, Batch([text], causal=run.folder.description()["model"]["causal"]))[0].astype(float)
        for q in range(len(text)):
            found[t, q] = np.minimum(true[q], mine[q]).sum() / np.maximum(true[q], mine[q]).sum(), true[q], mine[q]
    return found


@pytest.mark.parametrize("causal", [True, False])
def test_they_are_the_worst_and_the_best_of_their_texts(make, tmp_path, causal):
    run = make(tmp_path / "run", causal=causal)
    program = parse(run.records[1]["program"])
    problem = workspace.problem(str(run.path), "test")
    found = examples(program, problem, 1)
    known = every_query(run, program, 0, 1)
    able = {place: agreement for place, (agreement, *_) in known.items() if place[1] >= FEWEST_TOKENS}
    by_text = [[a for (t, _), a in able.items() if t == text] for text in range(len(run.folder.texts("test")))]
    for which, extreme, reverse in (("least", min, False), ("most", max, True)):
        wanted = sorted((extreme(a) for a in by_text if a), reverse=reverse)[:3]
        assert [a for _, _, a, _ in found[which]] == pytest.approx(wanted, abs=1e-3)
        assert len({t for t, *_ in found[which]}) == 3
        for t, q, agreement, packed in found[which]:
            stated, true, mine = known[t, q]
            assert agreement == pytest.approx(stated, abs=1e-3)
            size = q + 1 if causal else len(run.folder.texts("test")[t])
            assert np.allclose(unpacked(packed), [true[:size], mine[:size]], atol=1e-4)


def test_short_texts_have_examples_too(make, tmp_path):
    run = make(tmp_path / "run", texts=1, tokens=(4, 5))
    found = examples(parse("add 1"), workspace.problem(str(run.path), "test"), 0)
    for which in ("least", "most"):
        assert len({(t, q) for t, q, *_ in found[which]}) == len(found[which]) == 3


def test_the_page_has_them_for_every_head_with_their_tokens(run):
    session = open_run(run.path)
    data = page_data(session, outcome_of(session))
    for head, record in zip(data["heads"], run.records, strict=True):
        assert head["examples"] == examples(
            parse(record["program"]), workspace.problem(str(run.path), "test"), record["layer"] * 3 + record["head"]
        )
        for rows in head["examples"].values():
            for t, *_ in rows:
                assert data["example_texts"][t] == run.folder.texts("test")[t].tokens


def test_words_of_a_program_are_its_concepts_and_classes():
    rules = 'when odd(k) and not article(q) add 1\nwhen text(k) in {"light(", "blank(k)"} add 2'
    program = str(parse(f"concept odd(p) = digit(p) or p == 3\n{rules}"))
    assert words(program) == ["odd", "digit", "article"]
    told = meanings([program, "when start(k) add 1"])
    assert list(told) == ["odd", "digit", "article", "start"]
    assert "digit" in told["odd"] and told["article"] == "an article: the, a, an"


def test_the_place_by_effect_is_there_where_heads_were_replaced(run, make, tmp_path):
    measured = {**run.folder.read("replace.json"), "heads_in_order": ["L1H2", "L0H0"]}
    other = make(tmp_path / "run")
    other.folder.write("replace.json", measured)
    session = open_run(other.path)
    found = {f"L{h['layer']}H{h['head']}": h["effect"] for h in page_data(session, outcome_of(session))["heads"]}
    assert found["L1H2"] == 1 and found["L0H0"] == 2 and found["L0H1"] is None
