"""Replacing the attention probabilities of chosen heads inside a running Hugging Face model.

    with replace_heads(model, {(layer, head): pattern}):      # pattern: (B or 1, query, key) probabilities
        logits = model(**inputs).logits

One function, registered with transformers' AttentionInterface, serves every architecture that uses the interface: it calls
the model's own eager attention and exchanges the chosen heads' probabilities before the values are mixed. Arrays are in
(batch, head, query, key) order. A model that cannot be served is refused by name before anything runs (`served_heads`).
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from harness.errors import UserError

if TYPE_CHECKING:
    import torch

Head = tuple[int, int]  # (layer, query head), both counted from 0
PatternMaker = Callable[[], "torch.Tensor"]
Patterns = Mapping[Head, "torch.Tensor | PatternMaker"]
PatternFunction = Callable[["torch.Tensor", "torch.Tensor | None"], Patterns]  # (input_ids, attention_mask) -> patterns

NAME = "headscript"  # under which attention and mask are registered with transformers
PROBE_TOKENS = 8
CACHES = ("past_key_values", "cache")  # what versions of transformers call the key/value cache
SINK = 0.01  # of a row's mass, at least, for what goes to a sink; less is rounding


@dataclass(frozen=True)
class Call:
    """One call of the attention function: the module it served and its probabilities (B, H, Q, K) as the model has them.

    allowed (B, H, Q, K) bool: what the model does not mask. value (B, H_kv, K, D): what the probabilities mix.
    """

    module: torch.nn.Module
    probabilities: torch.Tensor
    allowed: torch.Tensor
    value: torch.Tensor


@dataclass
class Running:
    """What is in force in one model: patterns by layer and head, and a list that takes down the calls where one is wanted."""

    patterns: dict[int, dict[int, torch.Tensor | PatternMaker]] = field(default_factory=dict)
    calls: list[Call] | None = None


_running: WeakKeyDictionary[torch.nn.Module, Running] = WeakKeyDictionary()
_served: WeakKeyDictionary[torch.nn.Module, dict[int, int]] = WeakKeyDictionary()


@contextmanager
def replace_heads(model: Any, patterns: Patterns | PatternFunction) -> Iterator[Any]:
    """Inside the `with` block `model` uses patterns[layer, head] as the probabilities of that head.

    patterns: tensors or arrays (B or 1, Q, K), or functions without arguments that give them when their layer runs (memory then
    holds the patterns of one layer), or a function of (input_ids, attention_mask), both (B, N), that gives them for
    every forward pass. `generate` may use a key/value cache: the function is asked for the whole text so far, and the rows of the
    new tokens alone are used, so that a row stays as it was when its token was new.
    Rows are used as given, with two exceptions: weight on keys that the model masks (future, padding, outside a sliding
    window) is taken away and the rest of the row divided by its sum; a row without weight attends to the first allowed key.
    Gradients reach the patterns. The attention implementation that the caller had is restored at the end.
    UserError: the model cannot be served, a head does not exist. ValueError: a pattern of a wrong shape or not of probabilities.
    """
    heads = served_heads(model)
    if not callable(patterns):
        with _in_force(model, Running(_by_layer(patterns, heads))):
            yield model
        return
    running = Running()
    with _whole_ids(model) as whole_ids:

        def compute(_model: Any, args: tuple, kwargs: dict) -> None:
            ids = kwargs.get("input_ids", args[0] if args else None)
            if ids is None:
                raise ValueError("patterns as a function of the batch need input_ids: call model(input_ids=…)")
            cache = next((kwargs[name] for name in CACHES if kwargs.get(name) is not None), None)
            found = patterns(whole_ids(ids, cache), kwargs.get("attention_mask"))
            running.patterns = _by_layer({head: _last_rows(pattern, ids.shape[1]) for head, pattern in found.items()}, heads)

        hook = model.register_forward_pre_hook(compute, with_kwargs=True)
        try:
            with _in_force(model, running):
                yield model
        finally:
            hook.remove()


@contextmanager
def _whole_ids(model: Any) -> Iterator[Callable[[torch.Tensor, Any], torch.Tensor]]:
    """A function that gives the whole text of a pass whose first tokens are in a key/value cache: what `generate` has so far."""
    given: list[torch.Tensor] = []

    def whole_ids(ids: torch.Tensor, cache: Any) -> torch.Tensor:
        before = cache.get_seq_length() if cache is not None else 0
        if not before:
            return ids
        if not given or given[-1].shape != (ids.shape[0], before + ids.shape[1]):
            raise ValueError(
                "patterns as a function need the whole text: with a key/value cache call generate, else use_cache=False"
            )
        return given[-1]

    prepare = getattr(model, "prepare_inputs_for_generation", None)
    if prepare is None:
        yield whole_ids
        return

    @wraps(prepare)
    def noted(input_ids: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        given[:] = [input_ids]
        return prepare(input_ids, *args, **kwargs)

    model.prepare_inputs_for_generation = noted
    try:
        yield whole_ids
    finally:
        del model.prepare_inputs_for_generation


def _last_rows(pattern: Any, rows: int) -> Any:
    """The last `rows` queries of a pattern (B, N, N), or of what is made later."""
    if callable(pattern):
        return lambda: _last_rows(pattern(), rows)
    return pattern[:, -rows:] if getattr(pattern, "ndim", 0) == 3 else pattern


def run(model: Any, inputs: Mapping[str, Any], patterns: Patterns | PatternFunction | None = None, **kwargs: Any) -> Any:
    """One forward pass with `patterns` in place of those heads; without any it equals eager attention bit for bit."""
    with replace_heads(model, patterns or {}):
        return model(**inputs, **kwargs)


@contextmanager
def noting(model: Any, patterns: Patterns) -> Iterator[list[Call]]:
    """As `replace_heads`, with a list that takes down every call of attention."""
    heads = served_heads(model)
    calls: list[Call] = []
    with _in_force(model, Running(_by_layer(patterns, heads), calls)):
        yield calls


def read_attention(model: Any, inputs: Mapping[str, Any], **kwargs: Any) -> tuple[Any, dict[int, torch.Tensor]]:
    """One forward pass of the unchanged model: its output, and the probabilities (B, H, Q, K) of every attention layer."""
    with noting(model, {}) as calls:
        output = model(**inputs, **kwargs)
    return output, {call.module.layer_idx: call.probabilities for call in calls}  # type: ignore[misc]


def served_heads(model: Any) -> dict[int, int]:
    """Query heads per attention layer: {layer: heads}. UserError names the model and says why it cannot be served.

    Decided by running it: a short probe under eager attention, then through our function, which must see every layer once, give
    the same output bit for bit, and change the output when all heads are replaced.
    """
    if model not in _served:
        reason = _refusal_by_kind(model)
        if not reason:
            try:
                heads, reason = _probe(model)
            except Exception as error:  # whatever a foreign model raises, the answer is that it cannot be served
                reason = f"a trial pass over {PROBE_TOKENS} tokens fails ({type(error).__name__}: {error})"
        if reason:
            raise UserError(f"{type(model).__name__} cannot have heads replaced: {reason}")
        _served[model] = heads
    return _served[model]


def attention(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **kwargs: Any) -> tuple[Any, Any]:
    """The model's own eager attention, except that replaced heads use their pattern as probabilities.

    query (B, H, Q, D); key, value (B, H_kv, K, D), where H is a multiple of H_kv (grouped queries);
    attention_mask None or broadcastable to (B, H, Q, K): the dtype's minimum (or False) where attention is forbidden.
    Returns the output (B, Q, H, D) and the probabilities (B, H, Q, K).
    """
    import torch

    output, probs = _eager_attention(module)(module, query, key, value, attention_mask, **kwargs)
    running = _running.get(module)
    if running is None:
        return output, probs
    patterns = running.patterns.get(getattr(module, "layer_idx", -1), {})
    if patterns or running.calls is not None:
        allowed = _allowed(attention_mask, probs)
        mass = probs.sum(-1, keepdim=True)  # (B, H, Q, 1): below 1 where a sink, which is no token, takes part
        sinks = bool((mass < 1 - SINK).any())
    if running.calls is not None:
        running.calls.append(Call(module, probs, allowed, value))
    if patterns and torch.is_grad_enabled():
        output, probs = output.clone(), probs.clone()  # autograd still needs the originals
    for head, given in patterns.items():
        pattern = _checked(given(), module.layer_idx, head) if callable(given) else given
        if pattern.shape[0] not in (1, len(query)) or pattern.shape[1:] != probs.shape[2:]:
            raise ValueError(
                f"the pattern of layer {module.layer_idx} head {head} has shape {tuple(pattern.shape)}, the pass needs "
                f"{(len(query), *probs.shape[2:])} (batch, query, key)"
            )
        weights = confine(pattern.to(value.device), allowed[:, head])
        if sinks:  # what the model's own row gives to its sink it still does
            weights = weights * mass[:, head]
        probs[:, head] = weights = weights.to(value.dtype)
        output[:, :, head] = weights @ value[:, head * value.shape[1] // query.shape[1]]
    return output, probs


def confine(pattern: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    """`pattern` (B or 1, Q, K) without weight where `allowed` (B, Q, K) is False -> (B, Q, K).

    A row that loses weight is divided by what is left, other rows stay as they are, bit for bit; a row without weight attends
    to its first allowed key; a row with no allowed key (padding) stays empty.
    """
    import torch

    kept = torch.where(allowed, pattern, 0)
    total, given = kept.sum(-1, keepdim=True), pattern.sum(-1, keepdim=True)
    scaled = kept / torch.where((total != given) & (total > 0), total, 1)
    if bool((total > 0).all()):
        return scaled
    first = torch.zeros_like(kept).scatter(-1, allowed.int().argmax(-1, keepdim=True), 1) * allowed
    return torch.where(total > 0, scaled, first)


def _allowed(attention_mask: torch.Tensor | None, probs: torch.Tensor) -> torch.Tensor:
    """(B, H, Q, K) bool: where attention is allowed. Biases that a model adds through its mask are not masks."""
    import torch

    if attention_mask is None:
        return torch.ones_like(probs, dtype=torch.bool)
    mask = attention_mask[..., : probs.shape[-1]]
    allowed = mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2
    return allowed.expand(probs.shape)


def _eager_attention(module: Any) -> Callable:
    for cls in type(module).__mro__:
        if function := getattr(sys.modules.get(cls.__module__), "eager_attention_forward", None):
            return function
    raise LookupError(f"{type(module).__name__} has no eager_attention_forward")


def _named(heads: Mapping[int, int]) -> str:
    """The heads per layer as a range of names."""
    last = max(heads)
    return f"L{min(heads)}H0 to L{last}H{heads[last] - 1}"


def _by_layer(patterns: Patterns, heads: Mapping[int, int]) -> dict[int, dict[int, torch.Tensor | PatternMaker]]:
    result: dict[int, dict[int, torch.Tensor | PatternMaker]] = defaultdict(dict)
    for (layer, head), values in patterns.items():
        if not 0 <= head < heads.get(layer, 0):
            raise UserError(f"no head L{layer}H{head}: the model has {_named(heads)}")
        result[layer][head] = values if callable(values) else _checked(values, layer, head)
    return dict(result)


def _checked(values: Any, layer: int, head: int) -> torch.Tensor:
    """The pattern of a head as a tensor. ValueError: it is not of probabilities, or not of three axes."""
    import torch

    pattern = torch.as_tensor(values)
    if pattern.ndim != 3:
        raise ValueError(f"the pattern of layer {layer} head {head} is not (batch, query, key): {tuple(pattern.shape)}")
    pattern = pattern if pattern.dtype == torch.float64 else pattern.float()
    low, high = pattern.detach().aminmax()  # both are nan where any number is
    if not 0 <= low.item() <= high.item() < float("inf"):
        raise ValueError(f"the pattern of layer {layer} head {head} is not of probabilities: negative or not finite")
    return pattern


@contextmanager
def _in_force(model: Any, running: Running) -> Iterator[None]:
    """`running` holds for `model`, under our implementation; what held before comes back at the end."""
    modules = list(model.modules())
    before = {module: _running[module] for module in modules if module in _running}
    with implementation(model, NAME):
        _running.update(dict.fromkeys(modules, running))
        try:
            yield
        finally:
            for module in modules:
                del _running[module]
            _running.update(before)


@contextmanager
def implementation(model: Any, name: str) -> Iterator[None]:
    """All parts of the model use attention implementation `name`; each part's own is restored afterwards.

    The field is set directly: `set_attn_implementation` cannot restore parts that differ, and refuses classes whose source it
    cannot read with a mere warning.
    """
    from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
    from transformers.masking_utils import eager_mask

    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, eager_mask)  # without it the model silently gets no mask and sees the future
    configs = [module.config for module in model.modules() if isinstance(module, PreTrainedModel)]
    for config in configs:  # the list grows while it is walked: parts of parts
        configs += [part for key in config.sub_configs if (part := getattr(config, key, None)) is not None]
    before = [(config, config._attn_implementation_internal) for config in configs]
    try:
        for config in configs:
            config._attn_implementation_internal = name
        yield
    finally:
        for config, implementation in before:
            config._attn_implementation_internal = implementation


def _refusal_by_kind(model: Any) -> str:
    from transformers import PreTrainedModel

    if not isinstance(model, PreTrainedModel):
        return "it is not a transformers PreTrainedModel"
    if model.config.is_encoder_decoder:
        return "it is an encoder-decoder; only encoder-only and decoder-only models are served"
    if model.main_input_name != "input_ids":
        return f"it reads {model.main_input_name}, not tokens"
    return ""


def _probe(model: Any) -> tuple[dict[int, int], str]:
    """Heads per layer, and the reason why the model cannot be served (empty if it can)."""
    import torch

    ids = torch.arange(PROBE_TOKENS, device=model.device)[None] % model.get_input_embeddings().num_embeddings
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    training = model.training
    model.eval()

    def first_output(running: Running | None) -> torch.Tensor:
        with torch.no_grad(), implementation(model, "eager"), _in_force(model, running) if running else nullcontext():
            return model(**inputs)[0]

    try:
        eager = first_output(None)
        again = first_output(None)
        noted = Running(calls=[])
        routed = first_output(noted)
        heads, reason = _layers(noted.calls or [])
        if reason:
            return {}, reason
        if torch.equal(eager, again) and not torch.equal(eager, routed):
            return {}, "its attention takes a way of its own: through AttentionInterface its output is not that of eager attention"
        start = torch.zeros(1, PROBE_TOKENS, PROBE_TOKENS, device=model.device)
        start[:, :, 0] = 1
        replaced = first_output(Running({layer: dict.fromkeys(range(count), start) for layer, count in heads.items()}))
        if torch.equal(eager, replaced):
            return {}, "replacing all its heads does not change its output"
        return heads, ""
    finally:
        model.train(training)


def _layers(calls: list[Call]) -> tuple[dict[int, int], str]:
    heads: dict[int, int] = {}
    for call in calls:
        name, layer = type(call.module).__name__, getattr(call.module, "layer_idx", None)
        if layer is None:
            return {}, f"its {name} has no layer number (layer_idx)"
        if getattr(call.module, "is_cross_attention", False):
            return {}, "it has cross-attention; only encoder-only and decoder-only models are served"
        if layer in heads:
            return {}, f"layer number {layer} is used by more than one call of attention, the last in {name}"
        if call.probabilities.shape[-2:] != (PROBE_TOKENS, PROBE_TOKENS):
            return {}, f"its {name} does not attend from every token to every token"
        heads[layer] = call.probabilities.shape[1]
    return heads, "" if heads else "its layers do not use transformers' AttentionInterface"
