"""What is taken back of a run when calls failed: the failed round, all after it, and what came of them; nothing else."""

import pytest

from search.continuation import LATER
from search.folder import RunFolder
from search.rounds import UNITS_A_ROUND, brought_nothing, forget_all, forget_failed

FAILURE = {"head": [0, 1], "kind": "key", "message": "no"}


@pytest.fixture
def folder(tmp_path):
    """Three rounds over heads 0 and 1, the second with a failure, and what came of them."""
    folder = RunFolder(tmp_path / "run")
    for number in range(3):
        folder.write(f"rounds/{number}.json", {"heads": [0, 1], "failures": [FAILURE] if number == 1 else []})
        for head in range(2):
            folder.write(f"units/llm/{number * UNITS_A_ROUND + head}.json", {})
    for name in ("units/heads/0", *(f"units/{phase}/0" for phase in LATER), "units/user/0", "result", "llm/aa", "llm/settings"):
        folder.write(f"{name}.json", {})
    return folder


def names(folder):
    return {str(p.relative_to(folder.path)) for p in folder.path.rglob("*.json")}


def test_what_came_before_the_failure_and_from_elsewhere_stays(folder):
    assert forget_failed(folder) == 1
    kept = {"rounds/0.json", "units/llm/0.json", "units/llm/1.json", "units/heads/0.json", "units/user/0.json"}
    assert names(folder) == kept | {"llm/aa.json", "llm/settings.json"}
    assert forget_failed(folder) == 0


def test_without_failures_nothing_is_touched(folder):
    folder.write("rounds/1.json", {"heads": [0, 1]})  # as runs of before wrote it
    before = names(folder)
    assert forget_failed(folder) == 0 and names(folder) == before


def test_asking_anew_puts_answers_aside(folder):
    forget_all(folder)
    aside = {"llm/before-1/aa.json", "llm/before-1/settings.json"}
    assert names(folder) == aside | {"units/heads/0.json", "units/user/0.json"}
    folder.write("llm/bb.json", {})
    forget_all(folder)
    assert "llm/before-2/bb.json" in names(folder) and aside <= names(folder)


def test_reasons_name_the_line_and_its_code():
    record = {"program": None, "line": 2, "source": "add 1\n  whne 1", "reason": "no word"}
    assert brought_nothing(record) == "line 2 (`whne 1`): no word"
    assert brought_nothing({**record, "line": None}) == "no word"
    assert brought_nothing({**record, "program": "add 1"}) is None
