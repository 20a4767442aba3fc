"""Figures from sums per text: perplexity, KL, agreement, accuracy, each with a bootstrap interval over the texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.measure import Sums
from harness.tasks import Question, chosen

if TYPE_CHECKING:
    import numpy as np

RESAMPLES = 1000
LEVEL = 0.95


def summarise(replaced: Sums, original: Sums, seed: int = 0) -> dict[str, Any]:
    """What replacement costs, with 95% intervals (percentile bootstrap over texts, original and replaced resampled together).

    perplexity, increase_percent, kl (nats per token), agreement (share of tokens with the same top-1); without a language-model
    head these are None, and cosine and relative_error of the final hidden states stand there.
    """
    figures: dict[str, Any] = {"perplexity": None, "increase_percent": None, "kl": None, "agreement": None}
    if "nll" in replaced:
        columns = [replaced["nll"], original["nll"], replaced["kl"], replaced["agree"], replaced["tokens"]]
        found = bootstrap(columns, _language_figures, seed)
    else:
        found = bootstrap([replaced["cosine"], replaced["error"], replaced["tokens"]], _hidden_figures, seed)
    for name, (value, low, high) in found.items():
        figures |= {name: value, f"{name}_interval": [low, high]}
    return figures


def _language_figures(sums: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    import numpy as np

    replaced, original, kl, agree, tokens = sums
    return {
        "perplexity": np.exp(replaced / tokens),
        "increase_percent": 100 * np.expm1((replaced - original) / tokens),
        "kl": kl / tokens,
        "agreement": agree / tokens,
    }


def _hidden_figures(sums: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    cosine, error, tokens = sums
    return {"cosine": cosine / tokens, "relative_error": error / tokens}


def accuracy(sums: Sums, questions: Sequence[Question], seed: int = 0) -> dict[str, Any]:
    """Share of questions answered right, with its 95% interval over the questions."""
    right = [float(answer == q.label) for answer, q in zip(chosen(sums, questions), questions, strict=True)]
    found = bootstrap((right, [1.0] * len(right)), lambda s: {"accuracy": s[0] / s[1]}, seed)
    value, low, high = found["accuracy"]
    return {"accuracy": value, "accuracy_interval": [low, high]}


def bootstrap(
    columns: Sequence[Sequence[float]],
    figures: Callable[[Sequence[np.ndarray]], Mapping[str, np.ndarray]],
    seed: int,
    resamples: int = RESAMPLES,
) -> dict[str, tuple[float, float, float]]:
    """(value, low, high) of every figure: a function of the columns' sums over texts, and of those over resampled texts.

    The same seed and number of texts give the same resamples, so that figures can be compared.
    """
    import numpy as np

    values = np.asarray(columns, dtype=np.float64)  # (columns, texts)
    texts = values.shape[1]
    counts = np.random.default_rng(seed).multinomial(texts, np.full(texts, 1 / texts), size=resamples)  # (resamples, texts)
    drawn = figures(list(values @ counts.T))
    tail = (1 - LEVEL) / 2
    return {
        name: (float(value), float(np.quantile(drawn[name], tail)), float(np.quantile(drawn[name], 1 - tail)))
        for name, value in figures(list(values.sum(1))).items()
    }
