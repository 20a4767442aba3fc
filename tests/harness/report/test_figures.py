"""Static figures: well-formed, with the run's numbers in them."""

from xml.etree import ElementTree

import numpy as np
import pytest

from dsl import Batch, evaluate, parse
from harness.report import colours
from harness.report.figures import replacement, write_figures
from harness.report.svg import Axis
from harness.session import open_run, outcome_of

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def figures(run, tmp_path_factory):
    session = open_run(run.path)
    paths = write_figures(session, outcome_of(session), tmp_path_factory.mktemp("figures"))
    return {path.stem: ElementTree.parse(path).getroot() for path in paths}


def texts(root):
    return [e.text for e in root.iter(f"{SVG}text")]


def test_maps_show_every_head(run, figures):
    shown = texts(figures["heads"])
    for record in run.records:
        assert f"{100 * record['iou']['test']:.0f}" in shown
    assert {colours.kind(r["kind"]) for r in run.records} <= {e.get("fill") for e in figures["kinds"].iter(f"{SVG}rect")}
    assert {f"{colours.letters(r['kind'])} {r['kind']}" for r in run.records} <= set(texts(figures["kinds"]))


def test_a_head_is_drawn_cell_by_cell(run, figures):
    record = max(run.records, key=lambda r: r["iou"]["test"])
    name = f"L{record['layer']}H{record['head']}"
    text = run.folder.texts("test")[0]
    weights = evaluate(parse(record["program"]), Batch([text]))[0]
    fills = {e.get("fill") for e in figures[name].iter(f"{SVG}rect")}
    scale = colours.sequential(False)
    wanted = {colours.at(scale, float(np.sqrt(w))) for w in weights[np.tril_indices(len(text))]}
    assert wanted - {scale[0]} <= fills
    assert set(texts(figures[name])) >= {"<s>", "model", "program"}


def test_curves_rise_and_fall_with_their_values(figures):
    lines = [e.get("points").split() for e in figures["replacement"].iter(f"{SVG}polyline")]
    drawn = [[tuple(map(float, p.split(","))) for p in line] for line in lines]
    curves = [line for line in drawn if line[0][0] < line[-1][0] and line[0][1] != line[-1][1]]  # neither axes nor legend
    assert sorted(map(len, curves)) == [2, 2, 2, 6]  # three baselines at two shares, programs at all
    for curve in curves:
        assert curve == sorted(curve, key=lambda p: p[0]) and [p[1] for p in curve] == sorted((p[1] for p in curve), reverse=True)
    assert min(p[1] for p in curves[0]) > min(p[1] for p in curves[1])  # uniform attention costs more: higher up
    assert {"select", "test", "bound on select"} <= set(texts(figures["cover"]))


def test_hidden_states_stand_in_for_perplexity(hidden_states):
    drawn = ElementTree.fromstring(str(replacement(hidden_states)))
    shown = texts(drawn)
    assert "relative error of hidden states" in shown and "8" in shown and "300" not in shown


def test_axes_have_round_numbers_inside_their_range():
    assert Axis(0, 1, 0, 100).ticks() == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert Axis(1, 3, 0, 100, whole=True).ticks() == [1, 2, 3]
    assert Axis(0, 120, 0, 100, log=True).ticks() == [0, 1, 3, 10, 30, 100]
    assert Axis(0, 10, 50, 150)(5) == 100
