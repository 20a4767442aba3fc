"""Identity: a model with nothing replaced is the eager model; with something replaced exactly that is exchanged."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from harness.errors import UserError
from harness.patterns import previous_token, program_patterns, text_of
from harness.replace import confine, read_attention, replace_heads, run, served_heads

SIZES = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 37,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GPT2 = {"vocab_size": 60, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "bos_token_id": 1, "eos_token_id": 2}
MODELS = {
    "gpt2": GPT2,
    "gpt_bigcode": GPT2,
    "llama": SIZES | {"num_key_value_heads": 2},
    "mistral": SIZES | {"num_key_value_heads": 2, "sliding_window": 4},
    "qwen2": SIZES | {"num_key_value_heads": 2},
    "gemma": SIZES | {"num_key_value_heads": 1, "head_dim": 8},
    "gemma2": SIZES | {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 4},
    "gpt_neox": SIZES,
    "opt": {k: v for k, v in SIZES.items() if k != "intermediate_size"} | {"word_embed_proj_dim": 32, "ffn_dim": 37},
    "bert": SIZES,
    "roberta": SIZES,
    "modernbert": SIZES | {"cls_token_id": 1, "sep_token_id": 2},
}
ENCODERS = {"bert", "roberta", "modernbert"}
STORIES = Path(__file__).parents[2].parent / "shared" / "models" / "stories260K"


def build(name, **more):
    torch.manual_seed(0)
    auto = transformers.AutoModelForMaskedLM if name in ENCODERS else transformers.AutoModelForCausalLM
    model = auto.from_config(transformers.CONFIG_MAPPING[name](**MODELS[name], **more))
    torch.manual_seed(1)
    for parameter in model.parameters():  # the usual initialisation is so small that attention is almost uniform
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


@pytest.fixture(scope="module", params=[*MODELS, "stories260K"])
def model(request):
    if request.param != "stories260K":
        return build(request.param)
    if not STORIES.is_dir():
        pytest.skip("shared/models/stories260K is not here")
    return transformers.AutoModelForCausalLM.from_pretrained(STORIES).eval()


def batch(model, lengths=(9, 5), seed=0):
    """Random tokens, padded on the right."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, model.config.vocab_size, (len(lengths), max(lengths)), generator=generator)
    mask = torch.tensor([[int(i < n) for i in range(max(lengths))] for n in lengths])
    return {"input_ids": ids * mask, "attention_mask": mask}


def random_pattern(inputs, seed=0):
    """(B, Q, K), rows sum to 1, with weight on every key: also on the future and on padding."""
    b, n = inputs["input_ids"].shape
    return torch.rand(b, n, n, generator=torch.Generator().manual_seed(seed)).softmax(-1)


def eager(model, inputs, **options):
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            return model(**inputs, **options)
    finally:
        model.set_attn_implementation(before)


@torch.no_grad()
def test_nothing_replaced_is_eager_bit_for_bit(model):
    inputs = batch(model)
    assert torch.equal(run(model, inputs).logits, eager(model, inputs).logits)


@torch.no_grad()
def test_reading_gives_the_eager_probabilities(model):
    inputs = batch(model)
    attention = read_attention(model, inputs)[1]
    expected = eager(model, inputs, output_attentions=True).attentions
    assert list(attention) == list(range(len(expected)))
    assert all(torch.equal(attention[layer], probs) for layer, probs in enumerate(expected))


@torch.no_grad()
def test_own_matrices_leave_the_logits_equal(model):
    inputs = batch(model)
    attention = read_attention(model, inputs)[1]
    own = {(layer, head): probs[:, head] for layer, probs in attention.items() for head in range(probs.shape[1])}
    assert len(own) == sum(served_heads(model).values())
    real = inputs["attention_mask"].bool()
    torch.testing.assert_close(run(model, inputs, own).logits[real], run(model, inputs).logits[real], atol=2e-5, rtol=0)


@torch.no_grad()
def test_replaced_output_is_pattern_times_values_exactly(model, monkeypatch):
    inputs = batch(model, (7, 7))
    first = torch.zeros(1, 7, 7)
    first[:, :, 0] = 1  # allowed everywhere ... but in sliding windows, where it is confined
    first = first if model.config.model_type not in ("mistral", "gemma2") else torch.eye(7)[None]
    seen = []
    import harness.replace

    original = harness.replace.attention

    def spy(module, query, key, value, mask, **kwargs):
        output, probs = original(module, query, key, value, mask, **kwargs)
        seen.append((module.layer_idx, query.shape[1], value, output, probs))
        return output, probs

    served_heads(model)
    monkeypatch.setattr(harness.replace, "attention", spy)
    run(model, inputs, {(1, 2): first})
    layer, heads, value, output, probs = seen[1]
    assert layer == 1
    assert torch.equal(output[:, :, 2], first @ value[:, 2 * value.shape[1] // heads])
    assert torch.equal(probs[:, 2], first.expand(2, 7, 7))


@torch.no_grad()
def test_no_weight_where_the_model_masks(model):
    inputs = batch(model)
    pattern = random_pattern(inputs)
    heads = {(layer, head): pattern for layer, count in served_heads(model).items() for head in range(count)}
    own = eager(model, inputs, output_attentions=True).attentions
    replaced = run(model, inputs, heads, output_attentions=True).attentions
    for before, after in zip(own, replaced, strict=True):
        masked = (before == 0).all(1, keepdim=True).expand(after.shape)
        assert masked.any()
        assert (after[masked] == 0).all()
        real = after.sum(-1)[inputs["attention_mask"].bool()[:, None].expand(after.shape[:-1])]
        torch.testing.assert_close(real, torch.ones_like(real))
    if model.config.model_type not in ENCODERS:
        assert all((torch.triu(after, 1) == 0).all() for after in replaced)


@torch.no_grad()
def test_padded_batches_equal_single_texts(model):
    inputs = batch(model)
    pattern = random_pattern(inputs)
    together = run(model, inputs, {(0, 1): pattern, (1, 3): pattern}).logits
    for row, length in enumerate(inputs["attention_mask"].sum(1).tolist()):
        part = pattern[row : row + 1, :length, :length]
        single = {name: values[row : row + 1, :length] for name, values in inputs.items()}
        alone = run(model, single, {(0, 1): part / part.sum(-1, keepdim=True), (1, 3): part / part.sum(-1, keepdim=True)}).logits
        torch.testing.assert_close(together[row, :length], alone[0], atol=2e-5, rtol=1e-5)


def test_gradients_reach_the_pattern(model):
    inputs = batch(model)
    pattern = random_pattern(inputs).requires_grad_()
    run(model, inputs, {(0, 0): pattern}).logits[inputs["attention_mask"].bool()].square().sum().backward()
    assert pattern.grad.isfinite().all()
    assert pattern.grad[:, 2, :3].abs().sum() > 0


@torch.no_grad()
def test_rows_without_weight_attend_to_position_0(model):
    inputs = batch(model, (4, 4))
    zeros, first = torch.zeros(2, 4, 4), torch.zeros(2, 4, 4)
    first[:, :, 0] = 1
    assert torch.equal(run(model, inputs, {(0, 0): zeros}).logits, run(model, inputs, {(0, 0): first}).logits)


@torch.no_grad()
def test_the_callers_implementation_comes_back(model):
    inputs = batch(model)
    before, logits = model.config._attn_implementation, model(**inputs).logits
    with pytest.raises(ZeroDivisionError), replace_heads(model, {(0, 0): random_pattern(inputs)}):
        assert not torch.equal(model(**inputs).logits, logits)
        raise ZeroDivisionError
    assert model.config._attn_implementation == before
    assert torch.equal(model(**inputs).logits, logits)


def test_parts_with_different_implementations_get_their_own_back():
    model = build("llama")
    model.model.config = transformers.CONFIG_MAPPING["llama"](**MODELS["llama"])
    model.config._attn_implementation_internal, model.model.config._attn_implementation_internal = "eager", "sdpa"
    with replace_heads(model, {}):
        assert model.config._attn_implementation == model.model.config._attn_implementation == "headscript"
    assert (model.config._attn_implementation, model.model.config._attn_implementation) == ("eager", "sdpa")


@torch.no_grad()
def test_patterns_may_be_a_function_of_the_batch():
    model = build("gpt2")
    inputs = batch(model)
    pattern = random_pattern(inputs)
    seen = []

    def patterns(ids, mask):
        seen.append((ids, mask))
        return {(0, 0): pattern}

    with replace_heads(model, patterns):
        by_function = model(**inputs).logits
    assert torch.equal(by_function, run(model, inputs, {(0, 0): pattern}).logits)
    assert torch.equal(seen[0][0], inputs["input_ids"]) and torch.equal(seen[0][1], inputs["attention_mask"])
    model(**inputs)
    assert len(seen) == 1  # the hook is gone


def previous_rows(asked):
    """A function that gives the previous-token pattern for head 0 of both layers, and notes the texts that it is asked for."""

    def previous(ids, mask):
        asked.append(ids)
        pattern = torch.eye(ids.shape[1]).roll(-1, 1)[None]
        return {(0, 0): pattern, (1, 0): lambda: pattern}

    return previous


@torch.no_grad()
@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("options", [{"do_sample": False}, {"num_beams": 3, "do_sample": False}])
def test_generation_with_a_cache_is_generation_without(name, options):
    model, asked = build(name), {True: [], False: []}
    ids = torch.tensor([[5, 6, 7], [9, 4, 8]])
    length = {"max_new_tokens": 6, "min_new_tokens": 6, "pad_token_id": 0, **options}
    found = {}
    for cache in (True, False):
        with replace_heads(model, previous_rows(asked[cache])):
            found[cache] = model.generate(ids, attention_mask=torch.ones_like(ids), use_cache=cache, **length)
    assert torch.equal(found[True], found[False])
    assert [a.shape[1] for a in asked[True]] == [3, 4, 5, 6, 7, 8]
    assert all(torch.equal(a, b) for a, b in zip(asked[True], asked[False], strict=True))
    unchanged = model.generate(ids, attention_mask=torch.ones_like(ids), use_cache=True, **length)
    assert not torch.equal(found[True], unchanged)  # the heads matter, and everything is as before
    assert "prepare_inputs_for_generation" not in vars(model)


@torch.no_grad()
def test_a_cache_of_ones_own_without_generate_is_refused():
    model = build("llama")
    with replace_heads(model, previous_rows([])):
        first = model(torch.tensor([[5, 6, 7]]), use_cache=True)
        with pytest.raises(ValueError, match="use_cache=False"):
            model(torch.tensor([[8]]), past_key_values=first.past_key_values, use_cache=True)


@torch.no_grad()
@pytest.mark.parametrize("side", ["left", "right"])
def test_programs_run_on_whatever_goes_through_the_model(tiny, side):
    made = tiny("causal")
    made.tokenizer.padding_side = side
    inputs = made.tokenizer(["the cat sat", "a big dog ran by the tree ."], padding=True, return_tensors="pt")
    inputs.pop("token_type_ids", None)
    seen = []

    def source(texts):
        seen.extend(texts)
        return previous_token(texts)

    with replace_heads(made.model, program_patterns(made.tokenizer, {(0, 1): source}, lambda ids: np.array(ids)[:, None])):
        read = made.model(**inputs, output_attentions=True).attentions[0][:, 1]
    assert [text.tokens for text in seen] == [("[CLS]", *s.split()) for s in ("the cat sat", "a big dog ran by the tree .")]
    assert all(text.embeddings[:, 0].tolist() == list(text.ids) for text in seen)
    for matrix, text, mask in zip(read, seen, inputs["attention_mask"].bool(), strict=True):
        assert torch.equal(matrix[mask][:, mask], torch.from_numpy(previous_token([text])[0]))
        assert (matrix[:, ~mask] == 0).all()
    made.tokenizer.padding_side = "right"


def test_text_of_tokens_is_what_view_gives(tiny):
    made = tiny("masked")
    for text in made.texts:
        assert vars_of(text_of(made.tokenizer, text.ids)) == vars_of(text)
    middle = made.texts[1]
    part = text_of(made.tokenizer, middle.ids[2:5])  # no [CLS], no [SEP]: not what the tokenizer would make of it
    assert part.tokens == middle.tokens[2:5] and part.word_start == middle.word_start[2:5]
    assert [part.text[a:b] for a, b in part.offsets] == list(part.tokens)


def vars_of(text):
    return text.tokens, text.ids, text.offsets, text.special, text.word_start


@torch.no_grad()
def test_the_inner_block_holds_and_the_outer_comes_back():
    model = build("gpt2")
    inputs = batch(model)
    outer, inner = {(0, 0): random_pattern(inputs)}, {(1, 1): random_pattern(inputs, 1)}
    with replace_heads(model, outer):
        before = model(**inputs).logits
        assert torch.equal(run(model, inputs, inner).logits, run(model, inputs, inner).logits)
        assert torch.equal(model(**inputs).logits, before)


@pytest.mark.parametrize(
    ("name", "config", "reason"),
    [
        ("DistilBertForMaskedLM", {"vocab_size": 50, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 37}, "layer_idx"),
        ("AlbertForMaskedLM", SIZES | {"embedding_size": 16}, "layer_idx"),
        (
            "T5ForConditionalGeneration",
            {"vocab_size": 50, "d_model": 32, "num_layers": 1, "d_kv": 8, "d_ff": 37},
            "encoder-decoder",
        ),
        ("MambaForCausalLM", {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 1}, "AttentionInterface"),
        ("ViTModel", {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "image_size": 32}, "pixel_values"),
    ],
)
def test_models_that_cannot_be_served_are_refused_by_name(name, config, reason):
    torch.manual_seed(0)
    cls = getattr(transformers, name)
    model = cls(cls.config_class(**config))
    before = model.config._attn_implementation
    with pytest.raises(UserError, match=f"^{name} cannot have heads replaced: .*{reason}"):
        run(model, {"input_ids": torch.tensor([[1, 2]])}, {})
    assert model.config._attn_implementation == before and model.training


def test_a_model_that_is_not_eager_through_the_interface_is_refused():
    model = build("gpt2", reorder_and_upcast_attn=True).bfloat16()  # its own float32 attention, under "eager" alone
    with pytest.raises(UserError, match="a way of its own"):
        served_heads(model)


def test_a_model_whose_output_ignores_attention_is_refused():
    model = build("gpt2")
    for block in model.transformer.h:
        torch.nn.init.zeros_(block.attn.c_proj.weight)
    with pytest.raises(UserError, match="does not change"):
        served_heads(model)


def test_bad_patterns_are_refused():
    model = build("gpt2")
    inputs = batch(model)
    good = random_pattern(inputs)
    with pytest.raises(UserError, match="no head L0H4: the model has L0H0 to L"):
        run(model, inputs, {(0, 4): good})
    with pytest.raises(UserError, match="no head L2H0"):
        run(model, inputs, {(2, 0): good})
    with pytest.raises(ValueError, match="batch, query, key"):
        run(model, inputs, {(0, 0): good[0]})
    with pytest.raises(ValueError, match="the pass needs"):
        run(model, inputs, {(0, 0): good[:, :3, :3]})
    for wrong in (-good, good * float("nan"), good * float("inf")):
        with pytest.raises(ValueError, match="not of probabilities"):
            run(model, inputs, {(0, 0): wrong})


def test_confine_keeps_rows_that_lose_nothing_bit_for_bit():
    pattern = torch.tensor([[[0.3, 0.3, 0.3], [0.2, 0.2, 0.6], [0.0, 0.0, 1.0], [0.5, 0.5, 0.0]]])
    allowed = torch.tensor([[[True, True, True], [True, True, False], [False, True, True], [False, False, False]]])
    expected = torch.tensor([[[0.3, 0.3, 0.3], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]])
    assert torch.equal(confine(pattern, allowed)[0, 0], pattern[0, 0])
    torch.testing.assert_close(confine(pattern, allowed), expected)
    assert confine(torch.tensor([[[0.0, 0.0, 1.0]]]), torch.tensor([[[False, True, False]]])).tolist() == [[[0, 1, 0]]]


@torch.no_grad()
def test_a_replaced_head_keeps_the_mass_of_its_sink():
    model = transformers.AutoModelForCausalLM.from_config(
        transformers.CONFIG_MAPPING["gpt_oss"](
            **SIZES | {"intermediate_size": 32}, num_key_value_heads=2, head_dim=8, num_local_experts=2, num_experts_per_tok=1
        )
    ).eval()
    inputs = {"input_ids": torch.arange(2, 12)[None]}
    plain, attention = read_attention(model, inputs)
    own = attention[0][:, 1]  # (1, Q, K), rows below 1
    assert own.sum(-1).min() < 0.95
    again = run(model, inputs, {(0, 1): own / own.sum(-1, keepdim=True)})  # the head's own pattern without its sink changes nothing
    assert torch.allclose(again.logits, plain.logits, atol=1e-5)
    other = run(model, inputs, {(0, 1): torch.eye(10)[None]})
    assert not torch.allclose(other.logits, plain.logits, atol=1e-3)
