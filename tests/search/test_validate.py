"""Validation: lifted programs against their originals in the sandbox, and the choice of texts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dsl.lift import lift
from dsl.parser import parse
from dsl.text import Text, prefix
from sandbox import Sandbox
from search.validate import differs_on, lift_and_validate, prefixes, validate, validation_texts
from tests.dsl.lift_cases import CASES
from tests.dsl.test_lift import SENTENCES, annotated
from tests.spelling import spelled

TEXTS = [
    spelled(s.split(" "))
    for s in (
        "<s> ▁Once ▁upon ▁a ▁time , ▁there ▁w as ▁a ▁little ▁g ir l .",
        "<s> ▁Hi .",
        "<s> ▁the ▁the ▁the ▁cat ▁the ▁cat",
        "<s> , . ! ? ; ▁so : , .",
        "<s> ▁He ▁ran . ▁She ▁sat . ▁They ▁ate . ▁Why ? ▁No !",
        "<s> ▁a ▁plain ▁text ▁of ▁some ▁words",
        "<s> ▁The ▁longest ▁of ▁them ▁all ▁is ▁this ▁one , ▁for ▁it ▁goes ▁on ▁and ▁on ▁and ▁on ▁for ▁ever .",
    )
]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(weak=True) as box:
        yield box


def tokens_of(texts: tuple[Text, ...]) -> list[str]:
    return [" ".join(t.tokens) for t in texts]


def test_texts_cover_the_kinds() -> None:
    chosen = validation_texts(TEXTS)
    assert len(chosen) == 5
    assert {TEXTS[i] for i in (1, 2, 3, 4, 6)} == set(chosen)
    assert validation_texts(TEXTS[:2]) != ()
    assert len(validation_texts(TEXTS[:2])) == 2


def test_right_and_wrong_program(sandbox: Sandbox) -> None:
    source = CASES["previous"][1]
    right = validate(source, lift(source).program, TEXTS, True, sandbox)
    assert right.status == "lifted" and right.max_abs_difference is not None and right.max_abs_difference < 1e-6
    assert right.seconds_python is not None and right.seconds_python > 0
    wrong = validate(source, parse("when dist == 2 set 1"), TEXTS, True, sandbox)
    assert wrong.status == "differs" and "differ by" in wrong.reason


def test_records(sandbox: Sandbox) -> None:
    lifted = lift_and_validate(CASES["counters_limited"][1], TEXTS, True, sandbox)
    assert lifted.status == "lifted" and lifted.program is not None and lifted.name == "name"
    assert lifted.seconds_python is not None and lifted.seconds_dsl is not None and lifted.seconds_dsl > 0
    source = "import numpy as np\ndef program(a, b):\n    return 'x', np.random.rand(3, 3)\n"
    refused = lift_and_validate(source, TEXTS, True, sandbox)
    assert (refused.status, refused.line) == ("refused", 3) and "random" in refused.reason
    failing = CASES["previous"][1].replace("out[0, 0] = 1", "out[0, 0] = tokens.index('none of these')")
    failed = lift_and_validate(failing, TEXTS, True, sandbox)
    assert failed.status == "failed" and "ValueError" in failed.reason
    unproved = lift_and_validate(CASES["previous"][1], TEXTS, True, None)
    assert unproved.status == "lifted" and unproved.max_abs_difference is None


def test_bidirectional(sandbox: Sandbox) -> None:
    source = CASES["np_minimum_clip"][1]
    assert validate(source, lift(source).program, TEXTS, False, sandbox).status == "lifted"


def test_needs_texts(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="at least one text"):
        validate(CASES["previous"][1], parse("set 1"), [], True, sandbox)


def test_an_internal_error_is_raised_by_the_lifter_and_reported_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("seven")

    monkeypatch.setattr("dsl.lift.emit.Emitter.statements", broken)
    with pytest.raises(KeyError):
        lift(CASES["previous"][1])
    found = lift_and_validate(CASES["previous"][1], TEXTS, True, None)
    assert found.status == "failed" and found.program is None
    assert found.reason.startswith("internal error in search/test_validate.py:") and "please report" in found.reason
    assert lift_and_validate("x = 1\n", TEXTS, True, None).status == "refused"


def test_prefixes_are_texts_of_their_own() -> None:
    text = annotated(SENTENCES[0])
    for size in (1, 2, 5, 9, len(text)):
        cut = prefix(text, size)
        assert len(cut) == size and cut.tokens == text.tokens[:size] and text.text.startswith(cut.text)
        assert all(0 <= w.head < len(cut.words) for w in cut.words)
        assert all(set(of) <= set(range(len(cut.words))) for of in cut.alignment)
        assert (cut.similarity == text.similarity[:size, :size]).all()
    assert [len(t) for t in prefixes([text])] == [1, 2, 3, 5, 9, 20]


def test_a_program_that_differs_on_the_first_few_tokens_alone_is_found(sandbox: Sandbox) -> None:
    source = CASES["previous"][1]
    assert differs_on(source, lift(source).program, prefixes(TEXTS), True, sandbox) is None
    program = parse(str(lift(source).program) + "\nwhen n == 3 set 1")
    assert validate(source, program, TEXTS[2:], True, sandbox).status == "lifted"
    found = differs_on(source, program, prefixes(TEXTS[2:]), True, sandbox)
    assert found is not None and len(found[1]) == 3


def test_texts_on_which_the_original_fails_are_left_out(sandbox: Sandbox) -> None:
    failing = CASES["previous"][1].replace("out[0, 0] = 1", "out[0, 0] = tokens.index('▁the') > 0")
    program = lift(failing).program
    assert differs_on(failing, program, TEXTS, True, sandbox) is None
    worse = parse("when dist == 2 set 1")
    assert differs_on(failing, worse, TEXTS, True, sandbox) is not None
    assert differs_on(failing, worse, TEXTS[:1], True, sandbox) is None
