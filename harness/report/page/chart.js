// Line and dot charts in SVG: axes with numbers, a legend, and a title on every point.

const WIDTH = 560, HEIGHT = 320, LEFT = 58, RIGHT = 14, TOP = 12, BOTTOM = 46;

function ticksOf(low, high, about = 5) {
  const span = high - low || 1;
  const raw = span / about, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= raw);
  const ticks = [];
  for (let t = Math.ceil(low / step - 1e-9) * step; t <= high + step * 1e-9; t += step) ticks.push(Number(t.toPrecision(12)));
  return ticks;
}

// axis: {label, low, high, ticks?, format?, warp?}; series: {name, colour, points: [[x, y, title?]], line, dots, dash, band: [[x, low, high]]}
function chart(box, { label, x, y, series, pick }) {
  const place = (axis, from, to) => {
    const warp = axis.warp || ((v) => v);
    const low = warp(axis.low), span = warp(axis.high) - low || 1;
    return (v) => from + ((warp(v) - low) / span) * (to - from);
  };
  const px = place(x, LEFT, WIDTH - RIGHT), py = place(y, HEIGHT - BOTTOM, TOP);
  const drawn = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: pick ? "group" : "img", "aria-label": label });
  for (const t of y.ticks || ticksOf(y.low, y.high)) {
    drawn.append(svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: py(t), y2: py(t), class: "grid" }),
      svg("text", { x: LEFT - 8, y: py(t) + 4, class: "tick end" }, (y.format || String)(t)));
  }
  for (const t of x.ticks || ticksOf(x.low, x.high)) {
    drawn.append(svg("line", { x1: px(t), x2: px(t), y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM + 4, class: "axis" }),
      svg("text", { x: px(t), y: HEIGHT - BOTTOM + 18, class: "tick middle" }, (x.format || String)(t)));
  }
  drawn.append(
    svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM, class: "axis" }),
    svg("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 8, class: "label middle" }, x.label),
    svg("text", { x: 14, y: (TOP + HEIGHT - BOTTOM) / 2, class: "label middle", transform: `rotate(-90 14 ${(TOP + HEIGHT - BOTTOM) / 2})` }, y.label));
  for (const s of series) {
    if (s.band) {
      const edge = [...s.band.map(([v, low]) => [v, low]), ...s.band.toReversed().map(([v, , high]) => [v, high])];
      drawn.append(svg("polygon", { points: edge.map(([a, b]) => `${px(a)},${py(b)}`).join(" "), class: `band ${s.colour}` }));
    }
    if (s.line) {
      const points = s.points.map(([a, b]) => `${px(a)},${py(b)}`).join(" ");
      drawn.append(svg("polyline", { points, class: `line ${s.colour}${s.dash ? " dash" : ""}` }));
    }
  }
  for (const s of series.filter((s) => s.dots)) {
    s.points.forEach(([a, b, title], i) => {
      const dot = svg("circle", { cx: px(a), cy: py(b), r: s.pick ? 6 : 3.5, class: `dot ${s.colour}` });
      if (title) dot.append(svg("title", {}, title));
      if (s.pick && pick) {
        filled(dot, { tabindex: 0, role: "button", "aria-label": title, "data-point": i, onclick: () => pick(i),
          onkeydown: (e) => {
            const next = { Enter: i, " ": i, ArrowRight: i + 1, ArrowUp: i + 1, ArrowLeft: i - 1, ArrowDown: i - 1 }[e.key];
            const point = drawn.querySelector(`[data-point="${next}"]`);
            if (!point) return;
            e.preventDefault();
            point.focus();
            pick(next);
          } }, []);
      }
      drawn.append(dot);
    });
  }
  const legend = series.filter((s) => s.name).map((s) =>
    el("span", { class: "swatch" }, el("i", { class: `${s.colour} ${s.line ? "stroke" : "round"}${s.dash ? " dash" : ""}` }), s.name));
  box.replaceChildren(drawn, el("div", { class: "legend" }, ...legend));
  return drawn;
}
