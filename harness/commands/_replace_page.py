"""What `headscript replace` prints: what the chosen share of heads costs, the curve beside the baselines, controls, tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from textwrap import fill as wrap
from typing import Any

from harness import output
from harness.controls import MEANINGS
from harness.losses import summary

NONE = "–"
SHOWN = 10  # heads of the largest effect


def page(result: Mapping[str, Any]) -> str:
    """The figures in at most 80 columns."""
    told = result["perplexity"] is not None
    of = f"{len(result['heads_replaced'])} of {output.plural(len(result['heads_in_order']), 'head')}"
    lines = [
        f"{of} replaced, programs {result['programs']}, order by {result['order']}, {output.plural(result['texts'], 'text')}",
        "",
    ]
    if told:
        before, after = result["perplexity"]["original"], result["perplexity"]["replaced"]
        name = "pseudo-perplexity" if result["readout"] == "masked" else "perplexity"
        more = f"{percent(result['increase_percent'])} {_span(result, 'increase_percent', percent)}"
        lines.append(f"{name:<22}{before:.3f} -> {after:.3f}  {more}")
        lines.append(f"{'KL to the original':<22}{result['kl']:.4f} nats per token  {_span(result, 'kl', '{:.4f}'.format)}")
        lines.append(f"{'top-1 agreement':<22}{result['agreement']:.1%}  {_span(result, 'agreement', '{:.1%}'.format)}")
    else:
        for figure, name in (("cosine", "cosine of states"), ("relative_error", "relative error")):
            lines.append(f"{name:<22}{result[figure]:.4f}  {_span(result, figure, '{:.4f}'.format)}")
    lines += ["", _curve(result, told)]
    if line := _context(result):
        lines += ["", line]
    if "domains" in result:
        lines += ["", _domains(result, told)]
    if any("second_round" in point for point in result["curve"]):
        lines += ["", _second_round(result, told)]
    if result.get("objective"):
        lines += ["", _objective(result["objective"])]
    if result.get("losses"):
        lines += ["", _losses(result["losses"])]
    if result["controls"]:
        lines += ["", _controls(result, told)]
    for name, task in result["tasks"].items():
        lines += ["", _task(name, task)]
    notes = (wrap(f"note: {line}", 80, subsequent_indent="  ") for line in result["notes"])
    return "\n".join([*lines, "", *notes])


def _shown(told: bool) -> tuple[str, Callable[[float], str]]:
    """The figure that compares, and how it is written."""
    return ("increase_percent", percent) if told else ("relative_error", "{:.4f}".format)


def _curve(result: Mapping[str, Any], told: bool) -> str:
    """Rows by share of heads: programs with their interval, then the same figure of each baseline."""
    figure, show = _shown(told)
    names = list(dict.fromkeys(name for point in result["curve"] for name in point["baselines"]))
    rows = []
    for point in result["curve"]:
        others = [show(point["baselines"][name][figure]) if name in point["baselines"] else NONE for name in names]
        fit = [f"{point['kl']:.3f}", f"{point['agreement']:.0%}"] if told else [f"{point['cosine']:.4f}"]
        rows.append((f"{100 * point['fraction']:.4g}%", show(point[figure]), _span(point, figure, show), *fit, *others))
    first = ("heads", "perplexity", "95% interval", "KL", "top-1") if told else ("heads", "error", "95% interval", "cosine")
    header = (*first, *names)
    return output.table(rows, header, (True,) * len(header))


def _context(result: Mapping[str, Any]) -> str:
    """How many of the original's choices are reproduced, and how many by a reader of three tokens."""
    if result.get("trigram_agreement") is None:
        return ""
    shares = {point["fraction"]: point["agreement"] for point in result["curve"]}
    said = [
        f"{shares[share]:.0%} with {name} heads replaced" for share, name in ((0.5, "half of the"), (1.0, "all")) if share in shares
    ]
    said.append(f"{result['trigram_agreement']:.0%} by a trigram reader of the fit texts")
    return wrap("the original's top-1 choices: " + ", ".join(said), 80, subsequent_indent="  ")


def _domains(result: Mapping[str, Any], told: bool) -> str:
    """The curve by kind of text."""
    figure, show = _shown(told)
    names = list(result["domains"])
    rows = [
        (f"{100 * point['fraction']:.4g}%", *(show(point["domains"][name][figure]) for name in names), show(point[figure]))
        for point in result["curve"]
    ]
    return output.table(rows, ("heads", *names, "mean"), (True,) * (len(names) + 2))


def _second_round(result: Mapping[str, Any], told: bool) -> str:
    """The curve with constants fitted in the model, beside the curve before."""
    figure, show = _shown(told)
    points = [point for point in result["curve"] if "second_round" in point]
    names = list(result.get("domains", {}))
    rows = []
    for point in points:
        found = point["second_round"]
        kinds = [show(found["domains"][name][figure]) for name in names]
        fit = [f"{found['kl']:.3f}"] if told else [f"{found['cosine']:.4f}"]
        rows.append(
            (f"{100 * point['fraction']:.4g}%", show(point[figure]), show(found[figure]), _span(found, figure, show), *fit, *kinds)
        )
    header = ("heads", "before", "after", "95% interval", "KL" if told else "cosine", *names)
    passes = points[0]["second_round"]["passes"]
    title = f"second round: constants fitted in the model, passes over the fit texts: {passes}"
    return f"{title}\n" + output.table(rows, header, (True,) * len(header))


def _objective(found: Mapping[str, Any]) -> str:
    """What choosing by effect did to the estimated effects."""
    before, after = (sum(own[i] for own in found["effects"].values()) for i in (0, 1))
    said = (
        f"programs by effect: alone in their places {output.plural(len(found['effects']), 'head')} cost {before:.3f} in sum with "
        f"the run's programs, {after:.3f} with these (estimated divergence on select texts); {found['fitted']} have constants "
        "fitted for it"
    )
    return wrap(said, 80, subsequent_indent="  ")


def _losses(found: Sequence[Mapping[str, Any]]) -> str:
    """The dearest heads, the start's mass in them, and the row where each costs most."""
    rows = []
    for record in found[:SHOWN]:
        start, row = record["start"], record["worst"][0]
        key = row["keys"][0]
        mass = (
            ("–", "–", "–") if start is None else (f"{start['attention']:.2f}", f"{start['program']:.2f}", f"{start['value']:.2f}")
        )
        where = f"{_word(row['token'])} to {_word(key['token'])}"
        told = f"{key['attention']:.2f} > {key['program']:.2f}"
        rows.append((record["head"], f"{record['effect']:.4f}", f"{record['dearest']:.0%}", *mass, output.cut(where, 24), told))
    header = ("head", "effect", "in 10%", "start", "program", "value", "dearest row: query to key", "mass")
    table = output.table(rows, header, (False, True, True, True, True, True, False, True))
    said = wrap(f"where programs cost most: {summary(found)}", 80, subsequent_indent="  ")
    return f"{said}\n\n{table}"


def _word(token: str) -> str:
    """A token on one line: without the space before it, or with its blanks written out."""
    return token.strip() or repr(token)


def _controls(result: Mapping[str, Any], told: bool) -> str:
    """The correct programs, then each control and baseline in the place of the same heads."""
    figure, show = _shown(told)
    rows = [("the heads' own programs", result)]
    rows += [(MEANINGS[name], figures) for name, figures in result["controls"].items()]
    rows += [(f"{name} attention", figures) for name, figures in result["baselines"].items()]
    title = f"controls: {len(result['heads_replaced'])} heads with …"
    header = (title, "perplexity" if told else "error", "95% interval")
    return output.table([(name, show(f[figure]), _span(f, figure, show)) for name, f in rows], header, (False, True, True))


def _task(name: str, task: Mapping[str, Any]) -> str:
    def cells(share: str, what: str, found: Mapping[str, Any]) -> Iterator[str]:
        yield from (share, what)
        for figure in ("acc", "acc_norm"):
            low, high = (100 * v for v in found[f"{figure}_interval"])
            yield from (f"{found[figure]:.1%}", f"{low:.0f}–{high:.0f}")
        change = found.get("acc_difference")
        yield "" if change is None else f"{100 * change:+.1f}"

    rows = [tuple(cells("0%", "original", task["original"]))]
    rows += [tuple(cells(f"{100 * p['fraction']:.4g}%", "programs", p)) for p in task["curve"]]
    rows += [tuple(cells("", kind, found)) for kind, found in task["others"].items()]
    rows.append(("", "guessing", f"{task['random']:.1%}", "", f"{task['random']:.1%}", "", ""))
    title = f"task {name}: {task['questions']} question" + "s" * (task["questions"] != 1)
    header = ("heads", "attention", "acc", "95%", "acc_norm", "95%", "change")
    return f"{title}\n" + output.table(rows, header, (True, False, True, True, True, True, True))


def _span(figures: Mapping[str, Any], name: str, show: Callable[[float], str]) -> str:
    low, high = figures[f"{name}_interval"]
    return f"[{show(low)}, {show(high)}]"


def percent(value: float) -> str:
    """A change in percent, short however large.

    >>> [percent(v) for v in (2.71, -0.04, 914.2, 123456.0)]
    ['+2.7%', '-0.0%', '+914%', '+1e+05%']
    """
    return f"{value:+.1f}%" if abs(value) < 100 else f"{value:+.0f}%" if abs(value) < 1e4 else f"{value:+.0e}%"
