"""Units of work: what a head goes on from, budgets, and that campaigns without rule induction do not depend on the workers."""

from dataclasses import asdict

import numpy as np
import pytest

from search import units, workspace
from search.campaign import Campaign, Plan
from search.executors import executor
from search.finish import Pool
from tests.search.campaigns import PLANTED, Here, begun

WITHOUT_GRAMMAR = Plan(
    heads=tuple(range(len(PLANTED))), seed=3, evaluations=3000, max_rules=4, library_size=2, proposers=("library",)
)
DONORS = [("when dist == 1 add 1\nwhen k == 0 add 0.1", "llm"), ("when same(text) add exp(-0.1 * dist)", "library")]


@pytest.fixture
def folder(tmp_path):
    return begun(tmp_path / "run")


def outcome(folder, pool, workers):
    assert Campaign(folder, WITHOUT_GRAMMAR, pool, workers, lambda *_: None).run({"target": "planted"})
    return (folder.path / "result.json").read_bytes(), (folder.path / "programs.json").read_bytes()


def test_campaigns_without_induction_recombine_and_do_not_depend_on_workers(tmp_path):
    here = outcome(begun(tmp_path / "here"), Here(), 1)
    with executor(None, 2) as pool:
        assert outcome(begun(tmp_path / "two"), pool, 2) == here
    made = [path.read_text() for path in (tmp_path / "two/units/exchange").iterdir()]
    assert any('"proposer": "recombination"' in text for text in made)


def test_recombination_keeps_to_its_budget(folder):
    plan = asdict(WITHOUT_GRAMMAR)
    free, spent_free = units.recombined(str(folder.path), plan, [0], DONORS, (5, 0), 1000)
    short, spent_short = units.recombined(str(folder.path), plan, [0], DONORS, (5, 0), 20)
    assert free and short
    assert 20 <= spent_short < spent_free
    assert {root for _, root, _ in free} == {"llm"}  # the root of the first donor


def test_where_nothing_is_recombined_the_head_s_own_programs_evolve(folder):
    plan, path = asdict(WITHOUT_GRAMMAR), str(folder.path)
    start = [("add exp(-0.2 * dist)", "library")]
    unit = units.exchange(path, plan, 1, own=start, starts=[], donors=start)  # no guard to take
    assert {c["proposer"] for c in unit["candidates"]} == {"evolution"}
    assert unit["counts"]["scored"] > 1


def test_all_shared_programs_together_keep_to_half_of_the_evaluations(folder):
    plan, path = {**asdict(WITHOUT_GRAMMAR), "evaluations": 6000}, str(folder.path)
    group = {"heads": [0, 2], "starts": DONORS[:1], "donors": DONORS}
    few, many = (units.share(path, plan, 0, groups=n, **group)["counts"]["scored"] for n in (1, 40))
    assert many < 6000 / 2 / 40 + 100 < few  # the move under way ends


def test_a_unit_leaves_no_values_of_expressions_behind(folder):
    path = str(folder.path)
    units.exchange(path, asdict(WITHOUT_GRAMMAR), 1, own=[], starts=DONORS, donors=DONORS)
    units.mean_scores(path, [p for p, _ in DONORS], "test", [0])
    batches = [workspace.problem(path, split).batch for split in ("fit", "select", "test")]
    assert all(not batch.cache and not batch.met for batch in batches)


def test_donors_are_the_best_programs_of_every_head():
    pool = Pool(("a", "b", "c", "d", "e"), ("llm",) * 5, ("llm",) * 4 + ("library",), ((0,), (0,), (1,), (0, 1), (0,)))
    iou = np.array([[0.2, 0.1], [0.5, 0.2], [0.3, 0.4], [0.4, 0.3], [0.1, 0.1]])
    assert units.starts(pool, iou, 0, 0)["donors"] == [("b", "llm"), ("d", "llm"), ("c", "llm"), ("e", "library")]
    assert units.starts(pool, iou, 1, 1)["donors"] == [("c", "llm"), ("d", "llm"), ("b", "llm"), ("e", "library")]
