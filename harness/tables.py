"""A finished run in a terminal: one row for each head, then what holds over all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness import output

if TYPE_CHECKING:
    from harness.session import Session


def with_time(session: Session, outcome: dict[str, Any]) -> dict[str, Any]:
    """The outcome with the seconds the run took, in all and by phase."""
    if not session.folder.has("timing.json"):
        return outcome
    timing = session.folder.read("timing.json")
    return {**outcome, "seconds": timing["seconds"], "time": timing["phases"]}


def run_table(outcome: dict[str, Any]) -> str:
    """The table, at most 80 columns wide."""
    rows = []
    for h in outcome["heads"]:
        iou = [f"{h['iou'][s]:.3f}" for s in ("fit", "select", "test")]
        rows.append((f"L{h['layer']}H{h['head']}", h["kind"], h["rules"], *iou, h["library_program"], h["proposer"]))
    header = ("head", "resembles", "rules", "fit", "select", "test", "library", "found by")
    lines = [output.table(rows, header, (False, False, True, True, True, True, False, False)), ""]
    low, high = outcome["interval"]
    mean, library = outcome["mean_iou"], outcome["library_mean_iou"]
    baseline = sum(h["baseline"]["test"] for h in outcome["heads"]) / len(outcome["heads"])

    def row(name: str, figures: dict[str, float]) -> str:
        return f"{name:<28} fit {figures['fit']:.3f}  select {figures['select']:.3f}  test {figures['test']:.3f}"

    lines.append(row("mean IoU, program per head", mean) + f"  [{low:.3f}, {high:.3f}]")
    lines.append(row(f"mean IoU, library of {len(outcome['library'])}", library))
    lines.append(f"{'best simple pattern':<28} test {baseline:.3f}")
    made = outcome["proposals"]
    lines.append(
        f"{outcome['evaluations']:,} programs scored; of {made['made']:,} proposals {made['same_text']:,} had a known text, "
        f"{made['same_behaviour']:,} a known behaviour"
    )
    if "time" in outcome:
        lines.append("seconds: " + ", ".join(f"{name} {s:.0f}" for name, s in outcome["time"].items()))
    return "\n".join(lines)
