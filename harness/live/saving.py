"""A program of the user's own in a run: one more unit of work, by the proposer "user"."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsl.nodes import Program
    from harness.session import Session


def save(session: Session, row: int, program: Program) -> dict[str, Any]:
    """Adds the program to the run for the head of this row and gives the new outcome, which is written too.

    What is known of other programs is not scored again. Raises UserError while another process is at work in the run.
    """

    from harness.commands.run import plan_of
    from harness.lock import locked
    from search.executors import Here
    from search.finish import Scores, outcome
    from search.units import collected

    folder = session.folder
    with locked(folder.path):
        plan, pool = plan_of(session), Here()
        scores = Scores(folder, plan, pool)
        if folder.has("programs.json") and folder.has("scores.npy"):
            scores.remember(folder.read("programs.json")["programs"], folder.read_array("scores.npy"))
        number = len(folder.units("user"))
        unit = collected(str(folder.path), asdict(plan), [row], [("user", "user", program)], 1)
        folder.write(f"units/user/{number}.json", unit)
        found = {**session.labels, "seed": session.settings["seed"], **outcome(folder, plan, pool, scores)}
        folder.write("result.json", found)
        return found
