"""Accuracies against those of the lm-eval harness itself, where it is installed: the same questions, equal to the digit."""

import json
from pathlib import Path

import pytest

from harness.commands._replace_tasks import load_tasks, prepared_tasks
from harness.curve import Measurements
from harness.summary import accuracy
from harness.targets import load_target

lm_eval = pytest.importorskip("lm_eval", reason="needs lm-eval")
SHARED = Path(__file__).parents[2].parent / "shared"
ODD = [
    {"context": "Once upon a time there was a ", "choices": ["dog.", " cat.", "girl named Lily. "], "label": 2},
    {"context": "Question: Who is sad?\nAnswer:", "choices": ["Tom", "Tom", "nobody at all"], "label": 1},
    {"context": "The bird flew away. " * 80, "choices": ["It was happy.", "It was not."], "label": 0},  # beyond the context
]


def theirs(target, file, cache):
    """acc and acc_norm of the unchanged model by simple_evaluate, on a file in our own form."""
    from lm_eval.models.huggingface import HFLM

    task = {
        "task": "ours",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(file)}, "cache_dir": str(cache)},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{context}}",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "{{label}}",
        "metric_list": [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in ("acc", "acc_norm")],
    }
    model = HFLM(pretrained=target.model, tokenizer=target.tokenizer, batch_size=4, max_length=target.context)
    found = lm_eval.simple_evaluate(model=model, tasks=[task], bootstrap_iters=0)["results"]["ours"]
    return {name: found[f"{name},none"] for name in ("acc", "acc_norm")}


def ours(target, file):
    questions = load_tasks([str(file)], 10**6)
    (choices,) = prepared_tasks(questions, target, None, None, "causal", None, 8).values()
    (sums,) = Measurements(target.model).sums("task", choices.sample, [("", {})])
    found = accuracy(sums, sums, choices.questions)
    return {name: found[name] for name in ("acc", "acc_norm")}


@pytest.mark.parametrize("name", ["odd", "hellaswag", "piqa", "sciq", "arc_easy", "social_iqa", "copa"])
def test_accuracies_are_those_of_the_harness(name, tmp_path):
    if not SHARED.exists():
        pytest.skip("needs the shared models and questions beside the repository")
    file = tmp_path / "questions.jsonl"
    lines = [json.dumps(row) for row in ODD]
    if name != "odd":
        lines = (SHARED / "data" / "tasks" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()[:20]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    target = load_target(str(SHARED / "models" / "stories260K"))
    assert ours(target, file) == theirs(target, file, tmp_path / "cache")
