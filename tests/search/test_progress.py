"""What a campaign says of itself while it runs."""

import pytest

from tests.search.campaigns import Here, begun, run


class Enough(Exception):
    pass


def test_what_an_earlier_process_reached_counts_from_the_start(tmp_path):
    """The figure is the mean over heads of the best so far: a run that goes on cannot begin below where it was."""
    folder, before, after = begun(tmp_path), [], []

    def stop(phase, done, total, figures):
        before.append(dict(figures))
        if phase == "heads" and done == total:
            raise Enough

    with pytest.raises(Enough):
        run(folder, Here(), 1, stop)
    run(folder, Here(), 1, lambda phase, done, total, figures: after.append((phase, dict(figures))))
    reached = before[-1]["select"]
    told = [figures["select"] for phase, figures in after if "select" in figures and phase != "known"]
    assert told and min(told) >= reached > 0
