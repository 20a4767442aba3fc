"""What `headscript replace` prints: what the chosen share of heads costs, the curve beside the baselines, the tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from textwrap import fill as wrap
from typing import Any

from harness import output


def page(result: Mapping[str, Any]) -> str:
    """The figures in at most 80 columns: what the chosen share costs, the curve beside the baselines, the tasks."""
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
    lines += ["", _curve(result, told), ""]
    for name, task in result["tasks"].items():
        lines += [_task(name, task), ""]
    return "\n".join([*lines, *(wrap(f"note: {line}", 80, subsequent_indent="  ") for line in result["notes"])])


def _curve(result: Mapping[str, Any], told: bool) -> str:
    """Rows by share of heads: programs with their interval, then the same figure of each baseline."""
    figure = "increase_percent" if told else "relative_error"
    show: Callable[[float], str] = percent if told else "{:.4f}".format
    rows = []
    for point in result["curve"]:
        others = [show(baseline[figure]) for baseline in point["baselines"].values()]
        fit = [f"{point['kl']:.3f}", f"{point['agreement']:.0%}"] if told else [f"{point['cosine']:.4f}"]
        rows.append((f"{100 * point['fraction']:.4g}%", show(point[figure]), _span(point, figure, show), *fit, *others))
    first = ("heads", "perplexity", "95% interval", "KL", "top-1") if told else ("heads", "error", "95% interval", "cosine")
    header = (*first, *result["curve"][0]["baselines"])
    return output.table(rows, header, (True,) * len(header))


def _task(name: str, task: Mapping[str, Any]) -> str:
    original = {"accuracy": task["original"], "accuracy_interval": task["original_interval"]}
    rows = [("0%", "original", original), *((f"{100 * p['fraction']:.4g}%", "programs", p) for p in task["curve"])]
    cells = [(share, what, f"{p['accuracy']:.1%}", _span(p, "accuracy", "{:.1%}".format)) for share, what, p in rows]
    cells.append(("", "guessing", f"{task['random']:.1%}", ""))
    title = f"task {name}: {task['questions']} question" + "s" * (task["questions"] != 1)
    return f"{title}\n" + output.table(cells, ("heads", "attention", "accuracy", "95% interval"), (True, False, True, True))


def _span(figures: Mapping[str, Any], name: str, show: Callable[[float], str]) -> str:
    low, high = figures[f"{name}_interval"]
    return f"[{show(low)}, {show(high)}]"


def percent(value: float) -> str:
    """A change in percent, short however large.

    >>> [percent(v) for v in (2.71, -0.04, 914.2, 123456.0)]
    ['+2.7%', '-0.0%', '+914%', '+1e+05%']
    """
    return f"{value:+.1f}%" if abs(value) < 100 else f"{value:+.0f}%" if abs(value) < 1e4 else f"{value:+.0e}%"
