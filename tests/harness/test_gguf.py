"""GGUF files as targets: the model is the one that was written, wherever the file is named from."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from harness import locate
from harness.errors import UserError
from harness.targets import load_target, prepare

gguf = pytest.importorskip("gguf", reason="needs the extra headscript[gguf]")
pytest.importorskip("accelerate", reason="needs the extra headscript[gguf]")

LETTERS = [*"abcdefghijklmnopqrstuvwxyz.Ġ"]
MERGES = ["t h", "th e", "Ġ the"]
VOCABULARY = ["<s>", "</s>", "<|endoftext|>", *LETTERS, "th", "the", "Ġthe"]
TEXT = "the cat sat on the mat. the dog ran."


def tiny_llama() -> transformers.LlamaForCausalLM:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=48,
        vocab_size=len(VOCABULARY),
        max_position_embeddings=64,
        tie_word_embeddings=False,
    )
    model = transformers.LlamaForCausalLM(config)
    for parameter in model.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def write_gguf(path: Path, model: transformers.LlamaForCausalLM, architecture: str = "llama") -> Path:
    """The model in single precision, as llama.cpp converts it: rows of query and key weights in pairs for its RoPE."""
    config = model.config
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("tiny")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(VOCABULARY)
    writer.add_token_types([3, 3, 3, *[1] * (len(VOCABULARY) - 3)])
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    names = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v"}
    names |= {"self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
    names |= {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
    whole = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    for name, weight in model.state_dict().items():
        name, values = name.removesuffix(".weight"), weight.numpy()
        if "q_proj" in name or "k_proj" in name:
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            values = values.reshape(heads, 2, -1, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
        if name in whole:
            writer.add_tensor(f"{whole[name]}.weight", np.ascontiguousarray(values))
        else:
            _, _, layer, part = name.split(".", 3)
            writer.add_tensor(f"blk.{layer}.{names[part]}.weight", np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def model():
    return tiny_llama()


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", model)


def test_a_gguf_file_is_the_model_that_was_written(file, model, capfd):
    target = load_target(str(file))
    assert capfd.readouterr() == ("", "")
    assert (target.layers, target.heads, target.causal, target.context, target.lm_head) == (2, 4, True, 64, True)
    ids = torch.arange(20)[None] % len(VOCABULARY)
    with torch.no_grad():
        torch.testing.assert_close(target.model(ids).logits, model(ids).logits)
    (text,), _ = prepare(target, [TEXT], 64)
    assert text.text == TEXT and "the" in {TEXT[a:b] for a, b in text.offsets}


def test_a_folder_with_one_gguf_file_is_that_file(file, tmp_path):
    assert load_target(str(file.parent)).fingerprint == load_target(str(file)).fingerprint
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(file.read_bytes())
    with pytest.raises(UserError, match="2 GGUF files; name one of them") as caught:
        load_target(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_saved_in_the_hugging_face_format_it_is_the_same_model(file, tmp_path):
    target = load_target(str(file))
    target.model.save_pretrained(tmp_path)
    target.tokenizer.save_pretrained(tmp_path)
    assert load_target(str(tmp_path)).fingerprint == target.fingerprint


def test_what_cannot_be_read_is_refused_in_one_line(file, model, tmp_path, monkeypatch):
    def complaint(path: object) -> str:
        with pytest.raises(UserError) as caught:
            load_target(str(path))
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)
        return str(caught.value)

    assert "no-such-architecture" in complaint(write_gguf(tmp_path / "new.gguf", model, "no-such-architecture"))
    (tmp_path / "cut.gguf").write_bytes(file.read_bytes()[:900])
    assert "cannot be loaded" in complaint(tmp_path / "cut.gguf")
    (tmp_path / "text.gguf").write_text("not a model")
    assert "cannot be loaded" in complaint(tmp_path / "text.gguf")
    assert "no such" in complaint(tmp_path / "nothing.gguf")
    monkeypatch.setattr(locate, "GGUF_PACKAGES", ("gguf", "a_package_that_is_missing"))
    assert "a_package_that_is_missing; pip install 'headscript[gguf]'" in complaint(file)


def test_a_file_of_a_hub_id_is_found_where_it_was_downloaded(file, monkeypatch):
    import httpx
    import huggingface_hub

    asked = []

    def unreachable(self, repo_id, timeout):
        asked.append(repo_id)
        raise httpx.ConnectError("no route")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda name, file: str(file) if file == "q/tiny.gguf" else None)
    assert locate.locate("someone/model:q/tiny.gguf") == locate.Location("someone/model", "q/tiny.gguf", True)
    with pytest.raises(UserError, match="cannot be reached"):
        locate.locate("someone/model:other.gguf")
    assert asked == ["someone/model"] * 2
