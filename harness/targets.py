"""Target models: any encoder-only or decoder-only transformer of Hugging Face, by id or folder, ready to be read.

Models are loaded with eager attention (the only implementation that returns attention patterns), in float32, in
evaluation mode, with a tokenizer that pads and truncates on the right. Loading a folder never touches the network.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, redirect_stderr
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from harness import output
from harness.errors import UsageError, UserError
from harness.locate import Location, locate

if TYPE_CHECKING:
    import numpy as np

    from dsl.text import Text
    from harness.annotate import Annotator

MIN_TOKENS = 3  # a shorter text has no attention worth explaining
VOLATILE = {"_name_or_path", "transformers_version", "dtype", "torch_dtype", "use_cache"}  # say nothing of the model


@dataclass(frozen=True, eq=False)
class Target:
    """A model whose attention heads are to be explained, and what was measured of it."""

    name: str  # as the user gave it
    model: Any = field(repr=False)  # transformers.PreTrainedModel
    tokenizer: Any = field(repr=False)
    layers: int
    heads: int  # query heads per layer
    causal: bool  # no query attends to a later position, in any layer
    context: int | None  # the most tokens the model takes
    windows: tuple[int | None, ...]  # per layer: attention reaches |q - k| < window; None: everywhere
    lm_head: bool  # the model predicts tokens: the next one if causal, else masked ones
    device: str
    padding: bool  # right padding leaves the tokens' attention as it is (not so where convolutions mix neighbours)
    fingerprint: str  # of configuration, weights and vocabulary; the same wherever the files lie
    sinks: bool = False  # part of the attention goes to no token, so that the model's rows sum to less than 1
    notes: tuple[str, ...] = ()  # what the user should know of this model

    def embed(self, ids: Sequence[int]) -> np.ndarray:
        """(n, d) float32: the input embedding's rows of these tokens, each of length 1 (a row of zeros stays so)."""
        return unit_rows(self.model, ids)


def unit_rows(model: Any, ids: Sequence[int]) -> np.ndarray:
    """(n, d) float32: the rows of a model's input embedding of these tokens, each of length 1 (a row of zeros stays so)."""
    import torch

    with torch.no_grad():
        weight = model.get_input_embeddings().weight
        rows = weight[torch.tensor(ids, device=weight.device)].float()  # (n, d)
        return torch.nn.functional.normalize(rows, dim=-1).cpu().numpy()


def load_target(spec: str, device: str = "cpu") -> Target:
    """The target of a name that `locate` knows. Raises UserError, one line, for what cannot be used."""
    from harness.probe import check_ids, without_empty_windows

    _check_device(device)
    with quiet():
        location = locate(spec)
        config = _load(spec, "configuration", "AutoConfig", location)
        if getattr(config, "is_encoder_decoder", False):
            raise UserError(f"{spec}: an encoder-decoder model; give an encoder-only or a decoder-only one")
        notes = without_empty_windows(config)
        tokenizer = _load(spec, "tokenizer", "AutoTokenizer", location)
        _set_up(tokenizer, spec)
        model, lm_head, absent = _load_model(spec, location, config)
        check_ids(model, tokenizer, spec)
        model = (_plain(model) if location.gguf else model).float().eval().requires_grad_(False).to(device)
        model.config.use_cache = False  # whole texts in one pass
        return _measured(spec, model, tokenizer, device, notes, absent, lm_head)


@contextlib.contextmanager
def borrowed(model: Any, tokenizer: Any, name: str) -> Iterator[Target]:
    """A model that the caller has loaded, and perhaps changed (adapters, quantised weights), as a target.

    Inside the block it uses eager attention and evaluation mode; both are as before at the end, its weights are never touched.
    Raises UserError, one line, for a model that cannot be used.
    """
    from harness.probe import check_ids
    from harness.replace import implementation

    base = model.get_base_model() if hasattr(model, "get_base_model") else model  # of peft: the model with its adapters in place
    if getattr(base.config, "is_encoder_decoder", False):
        raise UserError(f"{name}: an encoder-decoder model; give an encoder-only or a decoder-only one")
    side = tokenizer.padding_side, tokenizer.truncation_side
    training = base.training
    try:
        base.eval()
        _set_up(tokenizer, name)
        check_ids(base, tokenizer, name)
        with implementation(base, "eager"), quiet():
            head = base.get_output_embeddings() is not None
            yield _measured(name, base, tokenizer, str(base.device), (), set(), head)
    finally:
        tokenizer.padding_side, tokenizer.truncation_side = side
        base.train(training)


def _measured(
    spec: str, model: Any, tokenizer: Any, device: str, notes: tuple[str, ...], absent: set[str], lm_head: bool
) -> Target:
    """The target of a model with eager attention, measured by running it."""
    import torch

    from harness.probe import PROBE, bears_padding, context_of, probed, windows_of
    from harness.replace import SINK

    context = context_of(model.config, model, tokenizer)
    probe = probed(model, spec, min(PROBE, context or PROBE))  # (layers, heads, n, n)
    mass = probe.sum(-1)  # (layers, heads, n)
    sinks = bool(mass.min() < 1 - SINK)
    if sinks:
        notes += (
            f"{1 - mass.mean():.0%} of the attention goes to sinks, which are no tokens: programs are compared with what is "
            "left, each row divided by its sum, and a replaced head keeps its sink",
        )
    return Target(
        name=spec,
        model=model,
        tokenizer=tokenizer,
        layers=probe.shape[0],
        heads=probe.shape[1],
        causal=not torch.triu(probe, diagonal=1).any().item(),
        context=context,
        windows=windows_of(model, spec, probe, context),
        lm_head=lm_head,
        device=device,
        padding=bears_padding(model, probe),
        fingerprint=_fingerprint(model, tokenizer, absent),
        sinks=sinks,
        notes=notes,
    )


def prepare(
    target: Target, raw_texts: Sequence[str], max_tokens: int, annotator: Annotator | None = None
) -> tuple[tuple[Text, ...], list[str]]:
    """Texts as the target reads them, with embeddings and, given an annotator, words; and notes of what was changed.

    A text is cut at `max_tokens`, and at the model's context where that is less; one of under three tokens, the special
    ones not counted, is dropped. Raises UserError where no text remains.
    """
    texts, _, notes = prepare_domains(target, raw_texts, [""] * len(raw_texts), max_tokens, annotator)
    return texts, notes


def prepare_domains(
    target: Target, raw_texts: Sequence[str], domains: Sequence[str], max_tokens: int, annotator: Annotator | None = None
) -> tuple[tuple[Text, ...], tuple[str, ...], list[str]]:
    """As `prepare`, for texts of several domains: also the domain of each text that remains.

    Raises UserError where of a domain no text remains; a domain without a name is all there is.
    """
    from harness.annotate import annotate
    from harness.tokens import view

    if max_tokens < MIN_TOKENS:
        raise UsageError(f"--max-tokens {max_tokens}: at least {MIN_TOKENS} tokens are needed")
    limit = min(max_tokens, target.context or max_tokens)
    viewed = [view(target.tokenizer, raw, limit) for raw in raw_texts]
    kept = [i for i, text in enumerate(viewed) if len(text) - sum(text.special) >= MIN_TOKENS]
    texts, names = [viewed[i] for i in kept], tuple(domains[i] for i in kept)
    for name in dict.fromkeys(domains):
        if name not in names:
            of = f"{name}: " if name else ""
            raise UserError(f"{of}no text of at least {MIN_TOKENS} tokens")
    notes = []
    if short := len(viewed) - len(texts):
        notes.append(f"{short} of {output.plural(len(raw_texts), 'text')} dropped: under {MIN_TOKENS} tokens")
    if cut := sum(text.text != raw_texts[i] for text, i in zip(texts, kept, strict=True)):
        reason = f"the context of {target.name}" if limit < max_tokens else "--max-tokens"
        notes.append(f"{cut} of {output.plural(len(texts), 'text')} cut at {limit} tokens ({reason})")
    if annotator is not None:
        texts = list(annotate(texts, annotator))
    return tuple(replace(text, embeddings=target.embed(text.ids)) for text in texts), names, notes


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps the loading libraries from writing progress bars, tables and warnings."""
    import huggingface_hub.utils as hub
    from transformers.utils import logging

    verbosity, bars, hub_bars = logging.get_verbosity(), logging.is_progress_bar_enabled(), hub.are_progress_bars_disabled()
    hub_verbosity = hub.logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    hub.logging.set_verbosity_error()
    hub.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        hub.logging.set_verbosity(hub_verbosity)
        if bars:
            logging.enable_progress_bar()
        if not hub_bars:
            hub.enable_progress_bars()


def _check_device(device: str) -> None:
    import torch

    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise UsageError(f"--device {device}: no such device; give cpu or cuda") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError(f"--device {device}: no CUDA device is available here; give cpu")


def _load(spec: str, what: str, auto: str, location: Location, **options: Any) -> Any:
    """transformers.<auto>.from_pretrained, with every failure as one line that says `what` failed."""
    import transformers

    try:
        with redirect_stderr(io.StringIO()) if location.gguf else nullcontext():  # a progress bar that no setting turns off
            return getattr(transformers, auto).from_pretrained(location.source, **location.options, **options)
    except Exception as error:  # OSError, ValueError, RuntimeError, SafetensorError, KeyError …: damage has many shapes
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(f"{spec}: the {what} cannot be loaded ({reason[:200]})") from error


def _set_up(tokenizer: Any, spec: str) -> None:
    """Right padding and truncation; refuses what transformers returns where a folder has no vocabulary."""
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise UserError(f"{spec}: the tokenizer is missing (no vocabulary); add its files, such as tokenizer.json")
    tokenizer.padding_side = tokenizer.truncation_side = "right"


def _load_model(spec: str, location: Location, config: Any) -> tuple[Any, bool, set[str]]:
    """The model, whether it predicts tokens, and the names of weights that the checkpoint lacks and attention ignores."""
    import torch

    options: dict[str, Any] = {
        "attn_implementation": "eager",
        "dtype": torch.float32,
        "output_loading_info": True,
        "config": config,
        **(_unpacked(config) if location.gguf else {}),
    }
    auto = _auto_class(config)
    if auto:
        model, info = _load(spec, "model", auto, location, **options)
        prefix = f"{model.base_model_prefix}."
        if not info["missing_keys"]:
            return model, True, set()
        if all(key.startswith(prefix) for key in info["missing_keys"]):
            raise _incomplete(spec, info["missing_keys"])
    model, info = _load(spec, "model", "AutoModel", location, **options)
    missing = {key for key in info["missing_keys"] if "pooler" not in key}  # a pooler comes after all attention
    if missing:
        raise _incomplete(spec, missing)
    return model, False, set(info["missing_keys"])


def _unpacked(config: Any) -> dict[str, Any]:
    """Options under which a GGUF file gives a plain model: its configuration, not read twice, and weights that are not packed."""
    import transformers

    known = getattr(transformers, "GgufConfig", None)  # before it, weights were always unpacked
    return {"config": config, **({"quantization_config": known(dequantize=True)} if known else {})}


def _plain(model: Any) -> Any:
    """The model of a GGUF file as it would be saved and loaded again, so that both have one fingerprint."""
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    model.config.architectures = model.config.architectures or [type(model).__name__]
    return model


def _auto_class(config: Any) -> str | None:
    """The class with a language-model head, by what the checkpoint names, else by what exists for the architecture."""
    from transformers.models.auto import modeling_auto

    causal = modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    masked = modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    named = (config.architectures or [""])[0]
    if named in causal.values() or (config.model_type in causal and config.model_type not in masked):
        return "AutoModelForCausalLM"
    if config.model_type in masked:
        return "AutoModelForCausalLM" if getattr(config, "is_decoder", False) else "AutoModelForMaskedLM"
    return None


def _incomplete(spec: str, missing: set[str]) -> UserError:
    return UserError(f"{spec}: the weights are incomplete ({len(missing)} missing, such as {min(missing)})")


def _fingerprint(model: Any, tokenizer: Any, absent: set[str]) -> str:
    """Hash of configuration, weights and vocabulary. `absent` weights are random, so they do not count."""
    config = {k: v for k, v in model.config.to_dict().items() if k not in VOLATILE}
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    for name, weight in sorted(model.state_dict().items()):
        if name not in absent:
            values = weight.detach().flatten()
            # Billions of weights would take minutes; a million of each tensor tell checkpoints apart.
            sample = values[:: -(-len(values) // 2**20) or 1].float().cpu().numpy()
            digest.update(f"{name} {tuple(weight.shape)}".encode())
            digest.update(sample.tobytes())
    digest.update(json.dumps(sorted(tokenizer.get_vocab().items())).encode())
    return digest.hexdigest()[:16]
