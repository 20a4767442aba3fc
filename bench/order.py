"""How well the estimate of a head's effect predicts what replacing it alone does, and what the orders cost.

    python bench/order.py RUN [--heads 30] [--texts 12] [--fractions 0.1,0.25,0.5]

Exact passes on some heads, spread over the layers, against the estimate and against IoU: Spearman's rank correlation. Then the
divergence from the original on other texts (of `test`) as heads go in the order of the estimate (with half of what pairs do
together, with none, with all of it; estimated again once a quarter is in place) and in that of IoU.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence

from scipy.stats import spearmanr

from harness.commands.replace import program_sources
from harness.curve import Measurements, count
from harness.effect import effects
from harness.measure import Sample, make_sample, masker, readout_of
from harness.patterns import PROGRAMS, Sources
from harness.replace import Head
from harness.session import Session, open_run, outcome_of
from harness.summary import summarise
from search.domains import Domains


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--heads", type=int, default=30, help="heads that are measured one by one (default: 30)")
    parser.add_argument("--texts", type=int, default=12, help="texts of each measurement (default: 12)")
    parser.add_argument("--fractions", default="0.1,0.25,0.5")
    args = parser.parse_args()
    session = open_run(args.run)
    sources = program_sources(session)
    measurements = Measurements(session.target.model)
    select, test = (sample(session, split, args.texts) for split in ("select", "test"))

    started = time.monotonic()
    estimate = effects(measurements.model, select, sources, texts=args.texts)
    print(f"estimate of {len(sources)} heads on {args.texts} texts: {time.monotonic() - started:.0f} s")
    chosen = sorted(sources)[:: max(1, len(sources) // args.heads)][: args.heads]
    started = time.monotonic()
    exact = divergences(measurements, select, [{head: sources[head]} for head in chosen])
    print(f"exact passes for {len(chosen)} heads: {time.monotonic() - started:.0f} s")
    iou = {(r["layer"], r["head"]): r["iou"]["select"] for r in outcome_of(session)["heads"]}
    for name, values in (("the estimate", estimate.alone), ("1 - IoU", {head: 1 - iou[head] for head in chosen})):
        print(f"rank correlation with {name}: {spearmanr(exact, [values[head] for head in chosen]).statistic:.3f}")

    orders = {"pairs half": estimate.ordered(), "alone": estimate.ordered(0), "pairs whole": estimate.ordered(1)}
    first = orders["pairs half"][: count(0.25, len(sources))]
    rest = effects(measurements.model, select, sources, {head: sources[head] for head in first}, texts=args.texts)
    orders["again at 25%"] = first + rest.ordered()
    orders["IoU"] = sorted(sources, key=lambda head: -iou[head])
    shares = [float(share) for share in args.fractions.split(",")]
    cases = [{head: sources[head] for head in order[: count(share, len(order))]} for order in orders.values() for share in shares]
    found = divergences(measurements, test, cases)
    print(f"{'KL on test':<14}" + "".join(f"{share:>9.0%}" for share in shares))
    for i, name in enumerate(orders):
        print(f"{name:<14}" + "".join(f"{kl:>9.4f}" for kl in found[i * len(shares) : (i + 1) * len(shares)]))


def sample(session: Session, split: str, most: int) -> Sample:
    """At most `most` texts of a split, as many of each domain."""
    texts, names = session.texts(split), session.folder.domains(split)
    each = max(1, most // len(set(names)))
    chosen = [i for i, name in enumerate(names) if names[:i].count(name) < each]
    target = session.target
    readout = readout_of(target.model, target.tokenizer, target.causal)
    hide = masker(target.tokenizer, target.embed) if readout == "masked" else None
    domains = Domains(tuple(names[i] for i in chosen), session.folder.held_out)
    return make_sample([texts[i] for i in chosen], readout, hide, domains=domains)


def divergences(measurements: Measurements, of: Sample, cases: Sequence[Sources]) -> list[float]:
    """KL to the original (nats per token; without a language-model head the relative error) of each case."""
    asked: list[tuple[str, Mapping[Head, object]]] = [("", {}), *((PROGRAMS, case) for case in cases)]
    original, *measured = measurements.sums("order", of, asked)  # type: ignore[arg-type]
    figures = [summarise(sums, original, 0, of.domains) for sums in measured]
    return [f["relative_error"] if f["kl"] is None else f["kl"] for f in figures]


if __name__ == "__main__":
    main()
