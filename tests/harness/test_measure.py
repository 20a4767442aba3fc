"""Measurements against naive loops over single texts: no batches, no padding, no stored numbers."""

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dsl.text import plain_text
from harness.attention import AttentionStore
from harness.curve import Measurements, baselines, count, replacement
from harness.errors import UsageError, UserError
from harness.measure import gathered, make_sample, masker, readout_of
from harness.measure import measure as measure_batch
from harness.ngram import Trigram
from harness.order import loss, order_heads
from harness.patterns import PROGRAMS, mean_attention, model_inputs, previous_token, uniform
from harness.replace import read_attention, run, served_heads
from harness.summary import agreement, bootstrap, summarise
from search.domains import one_domain

HEADS = [(layer, head) for layer in range(2) for head in range(4)]
SHARED = Path(__file__).parents[2].parent / "shared"


def sample_of(made, texts=None, **more):
    hide = masker(made.tokenizer) if made.readout == "masked" else None
    return make_sample(texts or made.texts, made.readout, hide, batch_size=3, **more)


def measure(model, sample, sources, **options):
    """The sums of one case by text."""
    parts = [next(measure_batch(model, sample.readout, batch, [sources], **options)) for batch in sample.batches]
    return gathered(sample.texts, parts)


@torch.no_grad()
def store_of(made, texts, folder):
    """The patterns of the texts as a store of single precision would have them."""
    layers = [read_attention(made.model, {"input_ids": torch.tensor([t.ids])})[1] for t in texts]
    cells = [torch.cat([layer[0].flatten(1) for layer in of_text.values()]) for of_text in layers]
    heads = layers[0][0].shape[1]
    np.save(folder / "patterns.npy", torch.cat(cells, 1).half().numpy())
    return AttentionStore(folder / "patterns.npy", len(layers[0]), heads, tuple(map(len, texts)))


def own_attention(model, head):
    """A pattern source that gives the head's own probabilities in the unchanged model."""

    def source(texts):
        with torch.no_grad():
            probs = read_attention(model, model_inputs(model, texts))[1][head[0]][:, head[1]].clone()
        for row, text in zip(probs, texts, strict=True):
            row[len(text) :] = 0
        return probs.numpy()

    return source


def previous_everywhere(text):
    """Previous-token patterns of one text for every head, by hand."""
    matrix = torch.zeros(1, len(text), len(text))
    for q in range(len(text)):
        matrix[0, q, max(q - 1, 0)] = 1
    return dict.fromkeys(HEADS, matrix)


@torch.no_grad()
def naive(made, seed=0, masked_per_text=16):
    """Sums over the reads of every text with all heads attending to the previous token, each text and read by itself."""
    result = []
    for owner, text in enumerate(made.texts):
        ids = torch.tensor([text.ids])
        if made.readout == "masked":
            positions = [i for i in range(len(text)) if not text.special[i]]
            chosen = np.random.default_rng([seed, owner]).choice(positions, min(masked_per_text, len(positions)), replace=False)
            reads = [(i, i, ids[0, i].item()) for i in sorted(chosen.tolist())]
        else:
            reads = [(i, i - 1, ids[0, i].item()) for i in range(1, len(text))]
        totals = {"tokens": 0.0, "nll": 0.0, "kl": 0.0, "agree": 0.0}
        for target, position, expected in reads:
            given = ids.clone()
            if made.readout == "masked":
                given[0, target] = made.tokenizer.mask_token_id
            p = run(made.model, {"input_ids": given}).logits[0, position].double().softmax(-1)
            q = run(made.model, {"input_ids": given}, previous_everywhere(text)).logits[0, position].double().softmax(-1)
            totals["tokens"] += 1
            totals["nll"] -= math.log(q[expected])
            totals["kl"] += (p * (p / q).log()).sum().item()
            totals["agree"] += p.argmax().item() == q.argmax().item()
        result.append(totals)
    return {name: [totals[name] for totals in result] for name in result[0]}


@pytest.mark.parametrize("readout", ["causal", "masked"])
def test_sums_equal_a_naive_loop(tiny, readout):
    made = tiny(readout)
    found = measure(made.model, sample_of(made), dict.fromkeys(HEADS, previous_token))
    expected = naive(made)
    assert set(found) == set(expected)
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-4, err_msg=name)


@torch.no_grad()
def test_hidden_states_equal_a_naive_loop(tiny):
    made = tiny("hidden")
    found = measure(made.model, sample_of(made), dict.fromkeys(HEADS, previous_token))
    for owner, text in enumerate(made.texts):
        inputs = {"input_ids": torch.tensor([text.ids])}
        before = run(made.model, inputs).last_hidden_state[0].numpy()
        after = run(made.model, inputs, previous_everywhere(text)).last_hidden_state[0].numpy()
        cosine = sum(a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(before, after, strict=True))
        error = sum(np.linalg.norm(b - a) / np.linalg.norm(a) for a, b in zip(before, after, strict=True))
        assert found["cosine"][owner] == pytest.approx(cosine, rel=1e-4)
        assert found["error"][owner] == pytest.approx(error, rel=1e-4)
        assert found["tokens"][owner] == len(text)


def test_own_attention_changes_nothing(any_tiny):
    sources = {head: own_attention(any_tiny.model, head) for head in HEADS}
    sample = sample_of(any_tiny)
    figures = summarise(measure(any_tiny.model, sample, sources), measure(any_tiny.model, sample, {}))
    if any_tiny.readout == "hidden":
        assert figures["perplexity"] is None and figures["increase_percent"] is None
        assert figures["cosine"] == pytest.approx(1) and figures["relative_error"] < 1e-4
    else:
        assert figures["increase_percent"] == pytest.approx(0, abs=1e-3)
        assert figures["kl"] == pytest.approx(0, abs=1e-5) and figures["agreement"] == 1


def test_readouts(tiny):
    for readout in ("causal", "masked", "hidden"):
        made = tiny(readout)
        assert readout_of(made.model, made.tokenizer, readout == "causal") == readout


def test_programs_see_the_masked_text(tiny):
    made = tiny("masked")
    seen = []

    def source(texts):
        seen.extend(texts)
        return uniform(texts)

    measure(made.model, sample_of(made, masked_per_text=3), {(0, 0): source})
    assert len(seen) == 3 * len(made.texts)
    for text in seen:
        (position,) = [i for i, token in enumerate(text.tokens) if token == "[MASK]"]
        assert text.ids[position] == made.tokenizer.mask_token_id and text.special[position]
        assert "[MASK]" in text.text
        for token, (start, end) in zip(text.tokens, text.offsets, strict=True):
            assert token in ("[CLS]", "[SEP]") or text.text[start:end] == token


def test_masked_text_has_no_words_of_the_original_and_its_own_embeddings(tiny):
    made = tiny("masked")
    text = replace(made.texts[0], annotated=True, alignment=((0,),) * len(made.texts[0]))
    masked = masker(made.tokenizer, lambda ids: np.array(ids, dtype=np.float32)[:, None])(text, 2)
    assert not masked.annotated and not masked.words and masked.alignment == ((),) * len(text)
    assert masked.embeddings[:, 0].tolist() == list(masked.ids)
    assert masker(made.tokenizer)(text, 2).embeddings is None


def test_masked_models_need_a_function_that_hides_tokens(tiny):
    with pytest.raises(ValueError, match="hide=masker"):
        make_sample(tiny("masked").texts, "masked")


def test_patterns_and_originals_are_computed_once(tiny):
    made = tiny("causal")
    calls, passes = [], []

    def source(texts):
        calls.append(len(texts))
        return uniform(texts)

    served_heads(made.model)  # tried before
    sample, cases = sample_of(made), [{(0, 0): source}, {(0, 0): source, (1, 1): source}, {}]
    hook = made.model.register_forward_pre_hook(lambda *_: passes.append(1))
    together = [list(measure_batch(made.model, "causal", batch, cases)) for batch in sample.batches]
    hook.remove()
    assert sum(calls) == len(made.texts)
    assert len(passes) == len(sample.batches) * 3  # the original and two cases: the empty case is the original
    for number, case in enumerate(cases):
        alone = measure(made.model, sample, case, memory=0)
        assert gathered(sample.texts, [found[number] for found in together]) == alone


def test_a_batch_is_small_where_texts_are_long(tiny):
    made = tiny("causal")
    long = plain_text(["x"] * 400)
    sizes = [len(batch.passages) for batch in make_sample([long] * 6 + made.texts, "causal", batch_size=8).batches]
    assert max(sizes) <= 8 and sizes[-1] == 1  # 400 squared is more than half of what a batch may have


def test_baselines_by_hand():
    texts = [plain_text(["a", "b", "c"]), plain_text(["a"])]
    third = 1 / 3
    np.testing.assert_allclose(uniform(texts)[0], [[third] * 3] * 3)
    np.testing.assert_allclose(uniform(texts)[1], [[1, 0, 0], [0, 0, 0], [0, 0, 0]])
    assert previous_token(texts)[0].tolist() == [[1, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert previous_token(texts)[1].tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]


@torch.no_grad()
def test_mean_attention_is_the_mean_over_texts(tiny, tmp_path):
    made = tiny("causal")
    mean = mean_attention(store_of(made, made.texts, tmp_path), HEADS)
    assert sorted(mean) == HEADS
    longest = max(map(len, made.texts))
    matrices = [
        np.stack([layer[0].numpy() for layer in read_attention(made.model, {"input_ids": torch.tensor([t.ids])})[1].values()])
        for t in made.texts
    ]
    for q in range(longest):
        rows = [m[1, 2, q] for m in matrices if m.shape[-1] > q]
        expected = sum(np.pad(row, (0, longest - len(row))) for row in rows) / len(rows)
        np.testing.assert_allclose(mean[1, 2].matrix[q], expected, atol=1e-3)  # a store has half precision
    short = made.texts[0]
    part = mean[1, 2]([short])[0]
    np.testing.assert_allclose(part.sum(-1), 1, atol=1e-6)
    np.testing.assert_allclose(part, mean[1, 2].matrix[: len(short), : len(short)], atol=1e-3)  # causal: nothing to rescale


def test_mean_attention_past_its_texts_goes_by_distance(tiny, tmp_path):
    made = tiny("causal")
    mean = mean_attention(store_of(made, made.texts[:1], tmp_path), [(0, 0)])[0, 0]
    n = len(made.texts[0])
    longer = mean([plain_text(["x"] * (n + 2))])[0]
    np.testing.assert_allclose(longer.sum(-1), 1, atol=1e-6)
    last = mean.matrix[-1]
    expected = np.concatenate([[last[0]], [0, 0], last[1:]])  # two places further back; position 0 stays
    np.testing.assert_allclose(longer[-1], expected / expected.sum(), atol=1e-6)


def test_cost_order_is_by_marginal_losses_with_none_half_and_all_of_the_others(tiny, tmp_path):
    made = tiny("causal")
    mean = mean_attention(store_of(made, made.texts, tmp_path), HEADS)
    programs = {head: [uniform, previous_token, mean[head]][number % 3] for number, head in enumerate(HEADS)}
    sample = sample_of(made)

    def of(heads):
        return loss(measure(made.model, sample, {head: programs[head] for head in heads}))

    def marginal(head, others):
        return of({*others, head}) - of({*others} - {head})

    alone = {head: marginal(head, []) for head in HEADS}
    last = {head: marginal(head, HEADS) for head in HEADS}
    half = sorted(HEADS, key=lambda head: alone[head] + last[head])[:4]
    total = {head: alone[head] + 4 * marginal(head, half) + last[head] for head in HEADS}
    assert order_heads(Measurements(made.model), sample, programs, "cost") == sorted(HEADS, key=total.__getitem__)


def test_iou_and_random_orders(tiny):
    measurements, programs = Measurements(tiny("causal").model), dict.fromkeys(HEADS, uniform)
    sample = sample_of(tiny("causal"))
    iou = {head: number for number, head in enumerate(HEADS)}
    assert order_heads(measurements, sample, programs, "iou", iou) == HEADS[::-1]
    orders = [order_heads(measurements, sample, programs, "random", seed=seed) for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2] and sorted(orders[2]) == HEADS
    assert not measurements.store  # neither needs a measurement


def test_result_holds_what_the_contract_names(any_tiny, tmp_path):
    kinds = baselines(store_of(any_tiny, any_tiny.texts[:2], tmp_path), HEADS)
    test = sample_of(any_tiny, any_tiny.texts[2:])
    result = replacement(Measurements(any_tiny.model), sample_of(any_tiny), test, kinds["mean"], [0.25], baseline=kinds, seed=3)
    assert json.loads(json.dumps(result)) == result
    assert [point["fraction"] for point in result["curve"]] == [0.05, 0.1, 0.25, 0.5, 0.75, 1.0]
    assert [point["heads"] for point in result["curve"]] == [1, 1, 2, 4, 6, 8]
    assert result["heads_replaced"] == result["heads_in_order"][:2] and len(set(result["heads_in_order"])) == 8
    here = result["curve"][2]
    assert here["baselines"]["mean"]["kl"] == here["kl"]  # the same sources
    assert set(here["baselines"]) == {"uniform", "previous", "mean"}
    if any_tiny.readout == "hidden":
        assert result["perplexity"] is None and result["increase_percent"] is None
        assert "not available" in result["notes"][0]
        low, high = result["relative_error_interval"]
        assert low <= result["relative_error"] == here["relative_error"] <= high
    else:
        before, after = result["perplexity"]["original"], result["perplexity"]["replaced"]
        assert result["increase_percent"] == pytest.approx(100 * (after / before - 1))
        sums = measure(any_tiny.model, test, {})
        assert before == pytest.approx(math.exp(sum(sums["nll"]) / sum(sums["tokens"])))
        low, high = result["increase_percent_interval"]
        assert low <= result["increase_percent"] <= high and result["kl"] > 0 and 0 <= result["agreement"] <= 1


def test_an_interrupted_run_goes_on_where_it_stopped(tiny, tmp_path):
    made = tiny("causal")
    kinds = baselines(store_of(made, made.texts[:2], tmp_path), HEADS)

    def go(store, progress):
        measurements = Measurements(made.model, store, progress)
        return replacement(measurements, sample_of(made), sample_of(made), kinds["mean"], [0.5], "cost", baseline=kinds)

    steps = []
    whole = go({}, lambda what, done, total: steps.append((done, total)))
    assert steps[-1][0] == steps[-1][1] and steps == sorted(steps)

    class Store(dict):
        """Goes down at a given measurement."""

        left = 20

        def __setitem__(self, name, value):
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            super().__setitem__(name, value)

    store = Store()
    with pytest.raises(KeyboardInterrupt):
        go(store, lambda what, done, total: None)
    kept = json.loads(json.dumps(store))
    assert len(kept) == 20
    full = dict(kept)
    assert go(full, lambda what, done, total: None) == whole
    assert {name: full[name] for name in kept} == kept

    passes = []
    hook = made.model.register_forward_pre_hook(lambda *_: passes.append(1))
    again = go(full, lambda what, done, total: None)
    hook.remove()
    assert again == whole and not passes


def test_a_store_is_not_taken_for_other_texts(tiny):
    made = tiny("causal")
    measurements = Measurements(made.model)
    case = (PROGRAMS, {(0, 0): uniform})
    (first,) = measurements.sums("test", sample_of(made, made.texts[:2]), [case])
    (second,) = measurements.sums("test", sample_of(made, made.texts[2:4]), [case])
    assert first["tokens"] != second["tokens"] and len(measurements.store) == 2


@torch.no_grad()
def test_a_trigram_reader_against_a_loop(tiny):
    made = tiny("causal")
    ids = [text.ids for text in made.texts]
    reader = Trigram(ids[:3])
    agree = []
    for text in ids:
        for i in range(1, len(text)):
            for n in (2, 1, 0):
                seen = text[max(i - n, 0) : i] if n else ()
                after = [t[j] for t in ids[:3] for j in range(len(seen), len(t)) if t[j - len(seen) : j] == seen]
                if len(seen) == n and after:
                    break
            guess = min(set(after), key=lambda token: (-after.count(token), token))
            agree.append(run(made.model, {"input_ids": torch.tensor([text[:i]])}).logits[0, -1].argmax().item() == guess)
    sums = Measurements(made.model).reader(sample_of(made), reader)
    assert sum(sums["tokens"]) == len(agree) and sum(sums["agree"]) == sum(agree)
    assert agreement(sums, one_domain(len(ids))) == pytest.approx(np.mean(agree))


@pytest.mark.parametrize("fraction", [-0.1, 1.01, float("nan")])
def test_fractions_outside_are_refused(tiny, fraction):
    made = tiny("causal")
    with pytest.raises(UsageError, match="from 0 to 1"):
        replacement(Measurements(made.model), sample_of(made), sample_of(made), {(0, 0): uniform}, [fraction])


def test_models_that_cannot_be_served_are_refused_before_anything_is_measured(tiny):
    import transformers

    made = tiny("causal")
    model = transformers.MambaForCausalLM(transformers.MambaConfig(vocab_size=50, hidden_size=32, num_hidden_layers=1))
    measurements = Measurements(model)
    with pytest.raises(UserError, match="MambaForCausalLM cannot"):
        replacement(measurements, sample_of(made), sample_of(made), {(0, 0): uniform}, [0.5])
    assert not measurements.store


def test_orders_that_cannot_be_made_are_refused(tiny):
    made = tiny("causal")
    for order in ("iou", "alphabetical"):
        with pytest.raises(UsageError, match=f"order {order}"):
            replacement(Measurements(made.model), sample_of(made), sample_of(made), {(0, 0): uniform}, [0.5], order)


def test_count_rounds_half_up_and_takes_one_at_least():
    assert [count(f, 40) for f in (0, 0.001, 0.05, 0.25, 1)] == [0, 1, 2, 10, 40]
    assert [count(0.25, n) for n in (1, 2, 6, 10)] == [1, 1, 2, 3]


def test_bootstrap_equals_drawing_texts_one_by_one():
    random = np.random.default_rng(0)
    values, tokens = random.random(12), random.integers(5, 20, 12).astype(float)
    value, low, high = bootstrap([values, tokens], lambda s: {"mean": s[0] / s[1]}, seed=1, resamples=4000)["mean"]
    drawn = []
    for _ in range(4000):
        texts = random.integers(0, 12, 12)
        drawn.append(values[texts].sum() / tokens[texts].sum())
    assert value == pytest.approx(values.sum() / tokens.sum())
    np.testing.assert_allclose([low, high], np.quantile(drawn, [0.025, 0.975]), rtol=0.05)
    assert bootstrap([values, tokens], lambda s: {"mean": s[0] / s[1]}, 1) == bootstrap(
        [values, tokens], lambda s: {"mean": s[0] / s[1]}, 1
    )


def test_intervals_compare_original_and_replaced_on_the_same_texts():
    random = np.random.default_rng(0)
    tokens, nll = random.integers(3, 90, 10).astype(float), random.random(10) * 100
    zeros = [0.0] * 10
    original = {"tokens": list(tokens), "nll": list(nll), "kl": zeros, "agree": list(tokens)}
    figures = summarise(original | {"nll": list(nll + 0.1 * tokens), "agree": list(tokens / 2)}, original)
    # Each token costs 0.1 nats more in every text: however the texts are drawn, the increase is the same.
    np.testing.assert_allclose(figures["increase_percent_interval"], 100 * math.expm1(0.1))
    np.testing.assert_allclose(figures["agreement_interval"], 0.5)
    low, high = figures["perplexity_interval"]
    assert high - low > 0.01


def test_stories260k_stands_mean_attention_better_than_uniform_attention(tmp_path):
    folder = SHARED / "models" / "stories260K"
    if not folder.is_dir():
        pytest.skip("shared/models/stories260K is not here")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from harness.tokens import view

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)

    def texts(part, number):
        lines = (SHARED / "data" / "tinystories" / f"{part}.jsonl").read_text().splitlines()[:number]
        return [view(tokenizer, json.loads(line)["text"], 96) for line in lines]

    heads = [(layer, head) for layer, number in served_heads(model).items() for head in range(number)]
    kinds = baselines(store_of(SimpleNamespace(model=model), texts("train", 20), tmp_path), heads)
    test = make_sample(texts("test", 10), "causal")
    before = measure(model, test, {})
    all_heads = {k: summarise(measure(model, test, sources), before) for k, sources in kinds.items()}
    assert summarise(before, before)["perplexity"] < 5  # a real language model
    assert 100 < all_heads["mean"]["increase_percent"] < 300
    assert 600 < all_heads["uniform"]["increase_percent"] < 1500
    assert all_heads["mean"]["kl"] < all_heads["uniform"]["kl"] and all_heads["mean"]["kl"] < all_heads["previous"]["kl"]
