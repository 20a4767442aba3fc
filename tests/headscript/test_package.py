"""The Python package on a tiny model in memory: explain, load, look, replace, and the tools of others where they are installed."""

import copy
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

import headscript
from dsl import Batch, evaluate, parse
from tests.harness.conftest import make_tiny

WORDS = ("the", "a", "dog", "cat", "saw", "ran", "and", "bird", "tree")


def stories(count, seed):
    drawn = random.Random(seed)
    return [" ".join(drawn.choices(WORDS, k=drawn.randint(6, 14))) + " ." for _ in range(count)]


@pytest.fixture(scope="module")
def tiny():
    return make_tiny("causal")


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    before = copy.deepcopy(tiny.model.state_dict()), tiny.model.config._attn_implementation, tiny.tokenizer.padding_side
    with torch.no_grad():
        logits = tiny.model(torch.tensor([[1, 5, 6, 7]])).logits
    found = headscript.explain(
        tiny.model,
        tiny.tokenizer,
        {"first": stories(15, 1), "second": stories(15, 2)},
        heads="L0H1,L1",
        out=tmp_path_factory.mktemp("run") / "run",
        evaluations=1200,
        library_size=2,
    )
    with torch.no_grad():
        assert torch.equal(tiny.model(torch.tensor([[1, 5, 6, 7]])).logits, logits)
    assert before[1:] == (tiny.model.config._attn_implementation, tiny.tokenizer.padding_side)
    assert all(torch.equal(v, before[0][k]) for k, v in tiny.model.state_dict().items())
    return found


def test_importing_loads_nothing_heavy():
    heavy = {"torch", "numpy", "transformers", "lark", "litellm", "spacy"}
    code = f"import sys, headscript; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert set(headscript.__all__) <= set(dir(headscript))
    assert all(getattr(headscript, name) is not None for name in headscript.__all__)
    with pytest.raises(AttributeError, match="no attribute"):
        headscript.nothing  # noqa: B018


def test_explain_gives_a_run_of_the_heads_asked_for(run):
    assert list(run.heads) == ["L0H1", "L1H0", "L1H1", "L1H2", "L1H3"]
    assert run.session.description["settings"]["domains"] == ["first", "second"]
    assert str(headscript.load(run.session.folder.path).heads["L1H2"].program) == str(run.heads["L1H2"].program)


def test_a_head_has_its_pattern_attention_and_iou_on_any_text(run, tiny):
    head, text = run.heads["L1H3"], "the dog saw a cat ."
    ids = tiny.tokenizer(text, return_tensors="pt").input_ids
    tiny.model.set_attn_implementation("eager")
    with torch.no_grad():
        true = tiny.model(ids, output_attentions=True).attentions[1][0, 3].numpy()
    assert np.allclose(head.attention(text), true, atol=1e-3)
    pattern = head.pattern(text)
    (read,) = run.session.read([text])
    assert np.array_equal(pattern, evaluate(head.program, Batch([read]))[0])
    (iou,) = head.iou([text])
    assert iou == pytest.approx(np.minimum(true, pattern).sum() / np.maximum(true, pattern).sum(), abs=2e-3)
    held_out = run.session.texts("test")
    record = head.record["iou_per_text"]["test"]
    assert np.allclose(head.iou(held_out[:3]), record[:3], atol=2e-3)


@torch.no_grad()
def test_replace_runs_the_model_on_programs(run, tiny):
    inputs = tiny.tokenizer("the dog saw a cat .", return_tensors="pt")
    inputs = {k: inputs[k] for k in ("input_ids", "attention_mask")}
    plain = tiny.model(**inputs).logits
    with run.replace(tiny.model, heads=["L1H3"]) as model:
        changed = model(**inputs, output_attentions=True)
    assert np.allclose(changed.attentions[1][0, 3].numpy(), run.heads["L1H3"].pattern("the dog saw a cat ."), atol=1e-5)
    assert not torch.allclose(changed.logits, plain, atol=1e-3)
    assert torch.allclose(tiny.model(**inputs).logits, plain, atol=1e-6)
    tensors = run.pattern_tensors(inputs["input_ids"], "L1")
    assert sorted(tensors) == [(1, 0), (1, 1), (1, 2), (1, 3)]
    assert np.allclose(tensors[1, 3][0].numpy(), changed.attentions[1][0, 3].numpy(), atol=1e-5)


def test_a_model_that_was_changed_in_memory_is_the_one_explained(run, tiny, tmp_path):
    other = copy.deepcopy(tiny.model)
    with torch.no_grad():
        other.model.layers[0].self_attn.q_proj.weight.mul_(-1)
    found = headscript.explain(other, tiny.tokenizer, stories(10, 3), heads=["L0H0"], evaluations=400, library_size=1)
    assert not np.allclose(found.heads["L0H0"].attention("the cat ran ."), 0)
    assert found.session.settings["target"] != run.session.settings["target"]
    folder = found.session.folder.path
    assert folder.exists()
    del found
    assert not folder.exists()  # a temporary run goes with its object


def test_hooks_for_transformer_lens_exchange_the_heads_alone(run, tiny):
    ids = tiny.tokenizer("the dog saw a cat .", return_tensors="pt").input_ids
    hooks = dict(run.transformer_lens_hooks(ids, "L0H1,L1H2"))
    assert list(hooks) == ["blocks.0.attn.hook_pattern", "blocks.1.attn.hook_pattern"]
    before = torch.rand(1, 4, ids.shape[1], ids.shape[1])
    after = hooks["blocks.1.attn.hook_pattern"](before, None)
    assert torch.equal(after[:, [0, 1, 3]], before[:, [0, 1, 3]])
    assert np.allclose(after[0, 2].numpy(), run.heads["L1H2"].pattern("the dog saw a cat ."), atol=1e-6)


def test_a_notebook_shows_text_program_and_both_shadings(run):
    head = run.heads["L1H3"]
    page = head._repr_html_()
    assert "<script" not in page and str(head.program).splitlines()[0].split()[0] in page
    shown = head.show("the dog saw a cat .", queries=2)
    assert len(shown.chosen()) == 2 and 0 not in shown.chosen()
    row = shown.row(shown.chosen()[0])
    assert row.count("<span title=") == 2 * len(shown.tokens) and row.count("outline") == 2
    assert f'title="{shown.attention[shown.chosen()[0], 0]:.3f}"' in row


def test_evaluate_and_lift_without_a_run():
    assert headscript.evaluate(parse("when k == 0 add 1"), ["a", "b"]).tolist() == [[1, 0], [1, 0]]
    source = (
        "def p(sentence, tokenizer):\n"
        "    n = len(tokenizer.convert_ids_to_tokens(tokenizer(sentence).input_ids))\n"
        "    out = np.zeros((n, n))\n"
        "    for i in range(n):\n"
        "        out[i, 0] = 1\n"
        "    return 'first', out\n"
    )
    assert str(headscript.lift(source)) == str(headscript.parse("when k == 0 add 1"))


def test_circuitsvis_takes_tokens_and_patterns(run):
    attention = pytest.importorskip("circuitsvis.attention", reason="circuitsvis is not installed")
    drawn = attention.attention_patterns(tokens=run.tokens(0), attention=run.patterns(0)[1][0])
    assert run.tokens(0)[1] in str(drawn.local_src if hasattr(drawn, "local_src") else drawn)


def test_bertviz_takes_attention_and_tokens(run):
    bertviz = pytest.importorskip("bertviz", reason="bertviz is not installed")
    page = bertviz.model_view(run.attention(0), run.tokens(0), html_action="return")
    assert run.tokens(0)[1] in page.data


@torch.no_grad()
def test_nnsight_traces_a_model_with_replaced_heads(run, tiny):
    nnsight = pytest.importorskip("nnsight", reason="nnsight is not installed")
    ids = tiny.tokenizer("the dog saw a cat .", return_tensors="pt").input_ids
    with run.replace(tiny.model, "L1"):
        expected = tiny.model(ids).logits
        wrapped = nnsight.NNsight(tiny.model)
        with wrapped.trace(ids):
            logits = wrapped.output.logits.save()
    assert torch.allclose(logits, expected, atol=1e-5)


@torch.no_grad()
def test_transformer_lens_runs_on_programs_as_replace_does(run, tiny):
    lens = pytest.importorskip("transformer_lens", reason="transformer-lens is not installed")
    model = copy.deepcopy(tiny.model)
    bridge = lens.TransformerBridge.boot_transformers("tiny", hf_model=model, tokenizer=tiny.tokenizer)
    ids = tiny.tokenizer("the dog saw a cat .", return_tensors="pt").input_ids
    with run.replace(tiny.model, "L0H1,L1H2"):
        expected = tiny.model(ids).logits
    found = bridge.run_with_hooks(ids, fwd_hooks=run.transformer_lens_hooks(ids, "L0H1,L1H2"))
    assert torch.allclose(found, expected, atol=1e-4)
    assert not torch.allclose(bridge(ids), expected, atol=1e-3)
