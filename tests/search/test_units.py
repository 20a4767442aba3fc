"""Units of work: budgets, what a head goes on from, and that campaigns do not depend on the workers."""

from dataclasses import asdict

import pytest

from search import finish, units, workspace
from search.campaign import Campaign, Plan
from search.executors import executor
from tests.search.campaigns import PLANTED, Here, begun

PLAN = Plan(heads=tuple(range(len(PLANTED))), seed=3, evaluations=1500, max_rules=4, library_size=2)
STARTS = [("add 0.9 ** dist\nwhen k == 0 add 1", "library"), ("when same(text) add 1", "library")]


@pytest.fixture
def folder(tmp_path):
    return begun(tmp_path / "run")


def outcome(folder, pool, workers):
    assert Campaign(folder, PLAN, pool, workers, lambda *_: None).run({"target": "planted"})
    return (folder.path / "result.json").read_bytes(), (folder.path / "programs.json").read_bytes()


def test_campaigns_do_not_depend_on_workers(tmp_path):
    here = outcome(begun(tmp_path / "here"), Here(), 1)
    with executor(None, 2) as pool:
        assert outcome(begun(tmp_path / "two"), pool, 2) == here


def test_the_fewest_evaluations_give_every_head_a_program(tmp_path):
    folder = begun(tmp_path / "run")
    plan = Plan(heads=PLAN.heads, evaluations=1)
    assert Campaign(folder, plan, Here(), 1, lambda *_: None).run({"target": "planted"})
    result = folder.read("result.json")
    assert len(result["heads"]) == len(PLAN.heads) == result["evaluations"]


def test_units_keep_to_their_budget(folder):
    path, plan = str(folder.path), {**asdict(PLAN), "evaluations": 2000 * len(PLAN.heads)}
    known = units.known(path, plan, 1)["counts"]["scored"]
    early = units.explore(path, plan, 1, STARTS)["counts"]["scored"]
    folder.write("units/others.json", [[0, *STARTS[0]]])
    late = units.refine(path, plan, 1, STARTS, "units/others.json")["counts"]["scored"]
    for scored, share in ((known, 1.0), (early, units.EARLY), (late, 1 - units.EARLY)):
        assert 0 < scored < 2000 * share + 600  # the move under way ends


def test_programs_keep_to_the_limits_of_the_plan(folder):
    from dsl import parse, size

    plan = {**asdict(PLAN), "evaluations": 10_000, "max_size": 25, "max_rules": 2}
    unit = units.explore(str(folder.path), plan, 0, STARTS)
    assert unit["candidates"]
    assert all(size(parse(c["program"])) <= 25 and c["rules"] <= 2 for c in unit["candidates"])


def test_a_planted_program_is_found(folder):
    """The patterns are programs of the language: the search comes close to them."""
    plan = {**asdict(PLAN), "evaluations": 40_000}
    for head in PLAN.heads:
        known = units.known(str(folder.path), plan, head)
        starts = [(c["program"], c["root"]) for c in known["candidates"]]
        assert max(c["fit"] for c in units.explore(str(folder.path), plan, head, starts)["candidates"]) > 0.9


def test_a_unit_leaves_no_values_of_expressions_behind(folder):
    path = str(folder.path)
    units.mean_scores(path, [p for p, _ in STARTS], "test", [0])
    assert all(not workspace.problem(path, split).batch.cache for split in ("test",))


def test_what_may_stand_in_a_library_is_short_and_among_the_best_of_its_head():
    long = "add 0.9 ** dist\n" + "\n".join(f"when k == {i} add 0.{i + 1}" for i in range(12))
    texts = ("add 1", "add 0.9 ** dist", "add 0.8 ** dist", long, "when k == 0 add 1")
    pool = finish.Pool(
        texts, ("grammar",) * 5, ("grammar",) * 5, ((0,), (0,), (0,), (0,), (0, 1)), ((0.2,), (0.5,), (0.4,), (0.9,), (0.1, 0.1))
    )
    assert finish.shareable(pool, PLAN).programs == ("add 0.9 ** dist", "add 0.8 ** dist", "when k == 0 add 1")


def test_the_run_s_concepts_are_guards_of_its_search(folder):
    """A head that attends to what a concept names is explained by its name."""
    import numpy as np

    from dsl import Batch, evaluate, parse, parse_concepts
    from search.forms import workplace

    concept = 'concept pet(p) = text(p) in {" cat", " dog", " saw"}'
    description = folder.description()
    folder.write("run.json", {**description, "settings": {**description["settings"], "concepts": {"pet": concept}}})
    program = parse("add 0.05 when pet(k) add 1", parse_concepts(concept))
    for split in ("fit", "select", "test"):
        texts = folder.texts(split)
        patterns = evaluate(program, Batch(texts))
        cells = np.concatenate([p[: len(t), : len(t)].ravel() for p, t in zip(patterns, texts, strict=True)])
        np.save(folder.read(f"attention/{split}.json")["path"], np.stack([cells] * len(PLANTED)).astype(np.float16))
    workspace.problem.cache_clear()
    workplace.candidates.cache_clear()
    workplace.whole.cache_clear()
    found = units.explore(str(folder.path), {**asdict(PLAN), "evaluations": 20_000}, 0, STARTS)["candidates"]
    assert any("pet(k)" in c["program"] and c["fit"] > 0.95 for c in found)
