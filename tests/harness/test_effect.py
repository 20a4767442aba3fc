"""Estimated effects of replacing heads against exact passes: what changes little changes to second order."""

import numpy as np
import pytest
import torch

from harness.curve import Measurements
from harness.effect import Effects, effects
from harness.measure import gathered, make_sample, masker, measure
from harness.order import order_heads
from harness.patterns import model_inputs, previous_token, uniform
from harness.replace import read_attention
from search.domains import Domains

HEADS = [(layer, head) for layer in range(2) for head in range(4)]
TEXTS = 4


def mixed(model, head, share, other):
    """A source: the head's own attention in the unchanged model, with `share` of another pattern."""

    def source(texts):
        with torch.no_grad():
            probs = read_attention(model, model_inputs(model, texts))[1][head[0]][:, head[1]].clone()
        allowed = np.tril(np.ones(probs.shape[1:])) if model.config.model_type == "llama" else np.ones(probs.shape[1:])
        pattern = other(texts) * allowed
        pattern /= np.maximum(pattern.sum(-1, keepdims=True), 1e-9)
        for row, text in zip(probs, texts, strict=True):
            row[len(text) :] = 0
        return ((1 - share) * probs.numpy() + share * pattern).astype(np.float32)

    return source


def sample_of(made):
    hide = masker(made.tokenizer) if made.readout == "masked" else None
    return make_sample(made.texts[:TEXTS], made.readout, hide, masked_per_text=3, batch_size=3)


def divergence(made, sources):
    """Nats per token, or the mean squared relative error, measured."""
    sample = sample_of(made)
    parts = [next(measure(made.model, sample.readout, batch, [sources])) for batch in sample.batches]
    sums = gathered(sample.texts, parts)
    return sum(sums["kl"]) / sum(sums["tokens"])


@pytest.mark.parametrize("readout", ["causal", "masked"])
def test_the_estimate_is_the_divergence_that_a_small_change_causes(tiny, readout):
    made = tiny(readout)
    sources = {head: mixed(made.model, head, 0.06, uniform) for head in HEADS}
    estimate = effects(made.model, sample_of(made), sources, samples=400, texts=TEXTS).alone
    exact = {head: divergence(made, {head: source}) for head, source in sources.items()}
    for head in HEADS:
        assert estimate[head] == pytest.approx(exact[head], rel=0.3, abs=1e-6)
    assert np.corrcoef(np.log(list(estimate.values())), np.log(list(exact.values())))[0, 1] > 0.98


def test_without_a_language_model_head_it_is_the_squared_relative_error(tiny):
    made = tiny("hidden")
    sources = {head: mixed(made.model, head, 0.06, uniform) for head in HEADS}
    sample = sample_of(made)
    estimate = effects(made.model, sample, sources, samples=400, texts=TEXTS).alone
    for head, source in sources.items():
        parts = [next(measure(made.model, "hidden", batch, [{head: source}])) for batch in sample.batches]
        sums = gathered(sample.texts, parts)
        error = sum(sums["error"]) / sum(sums["tokens"])
        assert 0.8 * error**2 < estimate[head] < 4 * error**2 + 1e-9  # a mean of squares is more than the square of a mean


def test_with_others_in_place_it_is_what_a_head_adds(tiny):
    made = tiny("causal")
    sources = {head: mixed(made.model, head, 0.06, uniform) for head in HEADS}
    first = {head: sources[head] for head in HEADS[2:5]}
    estimate = effects(made.model, sample_of(made), sources, first, samples=400, texts=TEXTS).alone
    assert sorted(estimate) == [head for head in HEADS if head not in first]
    before = divergence(made, first)
    exact = {head: divergence(made, {**first, head: sources[head]}) - before for head in estimate}
    scale = max(map(abs, exact.values()))
    for head in estimate:
        assert estimate[head] == pytest.approx(exact[head], rel=0.3, abs=0.1 * scale)


def test_heads_that_lose_nothing_go_first(tiny):
    made = tiny("causal")
    same = {(0, 2), (1, 1), (1, 3)}
    sources = {h: mixed(made.model, h, 0.0, uniform) if h in same else previous_token for h in HEADS}
    measurements = Measurements(made.model)
    order = order_heads(measurements, sample_of(made), sources, "effect")
    assert set(order[:3]) == same and sorted(order) == HEADS
    passes = []
    hook = made.model.register_forward_pre_hook(lambda *_: passes.append(1))
    assert order_heads(measurements, sample_of(made), sources, "effect") == order and not passes  # from the store
    hook.remove()


def test_heads_that_undo_each_other_go_together():
    """Two heads whose effects cancel cost nothing together; the third adds to neither and costs less than one of them."""
    heads = ((0, 0), (0, 1), (0, 2))
    values = np.array([[1.0, -1.05, 0.98], [1.0, -1.05, -0.98]])
    found = Effects(heads, values, np.array([0.5, 0.5]), np.zeros(3))
    assert list(found.alone.values()) == pytest.approx([0.5, 0.55125, 0.4802])
    assert found.ordered(shared=0) == [(0, 2), (0, 0), (0, 1)]  # by what each does alone
    values[:, 2] *= 1.03  # dearer than the first
    assert Effects(heads, values, found.weights, found.slope).ordered(shared=0) == [(0, 0), (0, 2), (0, 1)]
    assert Effects(heads, values, found.weights, found.slope).ordered(shared=1) == [(0, 0), (0, 1), (0, 2)]


def test_every_domain_counts_the_same(tiny):
    made = tiny("causal")
    texts = made.texts[:3]
    domains = ("a", "a", "b")
    sources = {head: mixed(made.model, head, 0.06, uniform) for head in HEADS}

    def estimate(chosen, named):
        sample = make_sample(chosen, "causal", domains=named and Domains(named))
        return effects(made.model, sample, sources, samples=600, texts=4).alone

    together, a, b = estimate(texts, domains), estimate(texts[:2], None), estimate(texts[2:], None)
    for head in HEADS:
        assert together[head] == pytest.approx((a[head] + b[head]) / 2, rel=0.3, abs=1e-6)


def test_weights_that_need_gradients_and_those_that_do_not_are_left_as_they_are(tiny):
    made = tiny("causal")
    sources = {HEADS[0]: uniform}
    before = [(p.requires_grad, p.grad) for p in made.model.parameters()]
    first = effects(made.model, sample_of(made), sources, samples=2).alone
    assert [(p.requires_grad, p.grad) for p in made.model.parameters()] == before
    made.model.requires_grad_(False)
    try:
        assert effects(made.model, sample_of(made), sources, samples=2).alone == pytest.approx(first)
    finally:
        made.model.requires_grad_(True)
