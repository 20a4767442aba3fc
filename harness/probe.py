"""What a model's attention is like, measured by running it: heads, causality, windows, padding, and how much text it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.errors import UserError

if TYPE_CHECKING:
    import torch

PROBE = 32  # tokens of the probe that measures heads, causality and windows
PROBE_WINDOW = 512  # windows up to this size are measured; wider ones are taken from the configuration


def attentions(model: Any, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Per layer (B, H, Q, K): the attention patterns of right-padded ids (B, Q), where mask (B, Q) is 1 for tokens.

    The model's body alone is run: the logits over the vocabulary would often be larger than the patterns.
    """
    import torch

    with torch.inference_mode():
        return model.base_model(input_ids=ids, attention_mask=mask, output_attentions=True).attentions


def probed(model: Any, spec: str, n: int) -> torch.Tensor:
    """(layers, heads, n, n): attention on n arbitrary tokens; refuses a model that returns no such thing."""
    import torch

    kind = model.config.model_type
    ids = _arbitrary_ids(model, n)
    try:
        found = attentions(model, ids, torch.ones_like(ids))
    except (TypeError, AttributeError, KeyError):  # an argument or a result that only models with attention have
        found = None
    except Exception as error:
        raise UserError(f"{spec}: the model cannot be run ({str(error).splitlines()[0]})") from error
    layers = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    if not found or any(a is None for a in found) or len(found) != (layers or len(found)):
        raise UserError(f"{spec}: no attention in every layer ({kind}); give a transformer with attention")
    if len({a.shape for a in found}) > 1 or found[0].ndim != 4 or found[0].shape[-2:] != (n, n):
        raise UserError(f"{spec}: {kind} does not return one attention matrix for each head")
    stacked = torch.stack([a[0].float() for a in found]).cpu()
    if not stacked.isfinite().all():
        raise UserError(f"{spec}: the attention is not finite; the weights are damaged")
    if stacked.min() < 0 or stacked.sum(-1).max() > 1.001:
        raise UserError(f"{spec}: {kind} returns scores, not attention probabilities")
    return stacked


def _arbitrary_ids(model: Any, n: int) -> torch.Tensor:
    """(1, n): token ids spread over the vocabulary."""
    import torch

    return (torch.arange(1, n + 1) * 7919 % model.get_input_embeddings().weight.shape[0])[None].to(model.device)


def bears_padding(model: Any, probe: torch.Tensor) -> bool:
    """Whether the first half of the probe's tokens has the same attention with the other half masked as alone."""
    import torch

    ids = _arbitrary_ids(model, probe.shape[-1])
    n = ids.shape[1] // 2
    mask = (torch.arange(ids.shape[1], device=ids.device) < n).long()[None]
    padded, alone = attentions(model, ids, mask), attentions(model, ids[:, :n], mask[:, :n])
    return all(torch.allclose(a[..., :n, :n], b, atol=1e-4) for a, b in zip(padded, alone, strict=True))


def check_ids(model: Any, tokenizer: Any, spec: str) -> None:
    """Raises UserError where the tokenizer knows tokens that the model has no embedding for.

    Tokens added for padding and the like may lie beyond: texts do not hold them.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    special = set(tokenizer.all_special_ids)
    beyond = [(i, token) for token, i in tokenizer.get_vocab().items() if i >= rows and i not in special]
    if beyond:
        last, token = max(beyond)
        raise UserError(
            f"{spec}: the tokenizer does not fit the model: {token!r} is token {last}, the model has embeddings for 0 to {rows - 1}"
        )


def without_empty_windows(config: Any) -> tuple[str, ...]:
    """Makes a sliding window of 0, which some configurations write for none, no window; returns what to tell the user."""
    text = config.get_text_config()
    if getattr(text, "sliding_window", None) != 0:
        return ()
    text.sliding_window = None
    if kinds := getattr(text, "layer_types", None):
        text.layer_types = ["full_attention"] * len(kinds)
    return ("sliding_window 0 is taken for no window",)


def context_of(config: Any, model: Any, tokenizer: Any) -> int | None:
    """The most tokens that model and tokenizer take; None without a limit."""
    import torch

    text = config.get_text_config()
    names = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length")
    limit = next((value for name in names if isinstance(value := getattr(text, name, None), int) and value > 0), None)
    if limit is not None:
        # RoBERTa and its kin count positions from padding_idx + 1, so that many rows are never reached.
        for name, module in model.named_modules():
            if name.endswith("position_embeddings") and isinstance(module, torch.nn.Embedding):
                limit = min(limit, module.num_embeddings - (module.padding_idx + 1 if module.padding_idx is not None else 0))
    limits = [n for n in (limit, tokenizer.model_max_length) if n is not None and n < 10**9]
    return min(limits, default=None)


def windows_of(model: Any, spec: str, probe: torch.Tensor, context: int | None) -> tuple[int | None, ...]:
    """Per layer the sliding window w, where attention reaches |q - k| < w only; None without one."""
    import torch

    config = model.config.get_text_config()
    names = ("sliding_window", "window_size", "attention_chunk_size")
    told = next((value for name in names if isinstance(value := getattr(config, name, None), int)), None)
    if told is not None and told <= PROBE_WINDOW:
        probe = probed(model, spec, min(told + 8, context or told + 8))
    n = probe.shape[-1]
    distance = (torch.arange(n)[:, None] - torch.arange(n)).abs()  # (n, n)
    reach = ((probe > 0).any(1) * distance).flatten(1).amax(1).tolist()  # (layers,)
    windows = [r + 1 if r < n - 6 else None for r in reach]  # a single distance without mass may be chance
    if told is not None and told > PROBE_WINDOW and getattr(config, "use_sliding_window", True) is not False:
        kinds = getattr(config, "layer_types", None) or ["sliding_attention"] * len(windows)
        windows = [told if kind != "full_attention" else w for kind, w in zip(kinds, windows, strict=True)]
    return tuple(windows)
