"""Figures from sums per text: perplexity, KL, agreement, accuracy, each with a bootstrap interval over the texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.measure import Sums
from harness.tasks import Question, chosen
from search.domains import Domains, one_domain

if TYPE_CHECKING:
    import numpy as np

RESAMPLES = 1000
LEVEL = 0.95


def summarise(replaced: Sums, original: Sums, seed: int = 0, domains: Domains | None = None) -> dict[str, Any]:
    """What replacement costs, with 95% intervals (percentile bootstrap over texts, original and replaced resampled together).

    perplexity, increase_percent, kl (nats per token), agreement (share of tokens with the same top-1); without a language-model
    head these are None, and cosine and relative_error of the final hidden states stand there. Every domain counts the same
    (a held-out one in no mean), in a domain every token; with several, "domains" has the figures of each.
    """
    figures = _figures(replaced, original, seed, domains)
    if domains is not None and len(domains.names) > 1:
        figures["domains"] = {}
        for name in domains.names:
            chosen = [i for i, domain in enumerate(domains.each) if domain == name]
            own = [{key: [values[i] for i in chosen] for key, values in sums.items()} for sums in (replaced, original)]
            figures["domains"][name] = _figures(own[0], own[1], seed, None)
    return figures


def _figures(replaced: Sums, original: Sums, seed: int, domains: Domains | None) -> dict[str, Any]:
    figures: dict[str, Any] = {"perplexity": None, "increase_percent": None, "kl": None, "agreement": None}
    if "nll" in replaced:
        columns = [replaced["nll"], original["nll"], replaced["kl"], replaced["agree"], replaced["tokens"]]
        found = bootstrap(columns, _language_figures, seed, domains=domains)
    else:
        found = bootstrap([replaced["cosine"], replaced["error"], replaced["tokens"]], _hidden_figures, seed, domains=domains)
    for name, (value, low, high) in found.items():
        figures |= {name: value, f"{name}_interval": [low, high]}
    return figures


def _language_figures(means: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    import numpy as np

    replaced, original, kl, agree, _ = means
    return {
        "perplexity": np.exp(replaced),
        "increase_percent": 100 * np.expm1(replaced - original),
        "kl": kl,
        "agreement": agree,
    }


def _hidden_figures(means: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    cosine, error, _ = means
    return {"cosine": cosine, "relative_error": error}


def agreement(sums: Sums, domains: Domains) -> float:
    """Share of tokens that agree, every domain counted the same."""
    return bootstrap([sums["agree"], sums["tokens"]], lambda means: {"": means[0]}, 0, 1, domains)[""][0]


def accuracy(sums: Sums, original: Sums, questions: Sequence[Question], seed: int = 0) -> dict[str, Any]:
    """Shares of questions answered right, their 95% intervals over the questions, and the paired differences from the original.

    "acc" takes the likeliest option, "acc_norm" the likeliest per character; each with "_interval", "_difference" and
    "_difference_interval".
    """
    figures: dict[str, Any] = {}
    for name, per_character in (("acc", False), ("acc_norm", True)):
        right, before = (
            [float(answer == q.label) for answer, q in zip(chosen(s, questions, per_character), questions, strict=True)]
            for s in (sums, original)
        )
        found = bootstrap(
            (right, before, [1.0] * len(right)), lambda means: {"": means[0], "_difference": means[0] - means[1]}, seed
        )
        for what, (value, low, high) in found.items():
            figures |= {name + what: value, f"{name}{what}_interval": [low, high]}
    return figures


def bootstrap(
    columns: Sequence[Sequence[float]],
    figures: Callable[[Sequence[np.ndarray]], Mapping[str, np.ndarray]],
    seed: int,
    resamples: int = RESAMPLES,
    domains: Domains | None = None,
) -> dict[str, tuple[float, float, float]]:
    """(value, low, high) of every figure: a function of the columns' means over texts, and of those over resampled texts.

    The last column has the texts' weights (tokens): a mean is the sum of a column divided by that of the last. Texts are resampled
    within their domain, and means are means over domains. The same seed and texts give the same resamples, so that figures can be
    compared.
    """
    import numpy as np

    values = np.asarray(columns, dtype=np.float64)  # (columns, texts)
    random = np.random.default_rng(seed)
    of = domains or one_domain(values.shape[1])
    counted = [d for d, name in enumerate(of.names) if name not in of.held_out] or list(range(len(of.names)))
    means, drawn = np.zeros(len(values)), np.zeros((len(values), resamples))
    for domain in counted:
        own = values[:, of.index == domain]
        texts = own.shape[1]
        counts = random.multinomial(texts, np.full(texts, 1 / texts), size=resamples)  # (resamples, texts)
        sums = own @ counts.T  # (columns, resamples)
        means += own.sum(1) / own[-1].sum() / len(counted)
        drawn += sums / sums[-1] / len(counted)
    found = figures(list(drawn))
    tail = (1 - LEVEL) / 2
    return {
        name: (float(value), float(np.quantile(found[name], tail)), float(np.quantile(found[name], 1 - tail)))
        for name, value in figures(list(means)).items()
    }
