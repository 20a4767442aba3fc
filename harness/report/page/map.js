// The map of all heads: layers down, heads across. One cell is in the tab order; the arrow keys move it.

const HEADS = new Map(DATA.heads.map((h, i) => [name(h), i]));
const MAP_MODES = [["iou", "IoU"], ["kind", "Kind"], ["library", "Library"]];
const kindOf = new Map(DATA.kinds.map(([kind, letters, paint]) => [kind, { letters, paint }]));
const DENSE = 16; // heads in a layer beyond which cells have no room for numbers
let mapMode = "iou";

const describe = (h) =>
  `${name(h)}: IoU ${fixed(h.iou.test)}, ${h.kind}, ${plural(h.rules, "rule")}, library program ${DATA.library[h.library].id}`;

function drawMap(open) {
  const { layers, heads } = DATA.model;
  const grid = $("map");
  grid.style.setProperty("--columns", heads);
  grid.classList.toggle("dense", heads > DENSE);
  grid.classList.toggle("tall", layers > DENSE);
  const rows = [el("div", { role: "row" }, el("span", { class: "corner", role: "columnheader" }, "layer"),
    ...Array.from({ length: heads }, (_, h) => el("span", { role: "columnheader", class: "axis-label" }, String(h))))];
  for (let l = layers - 1; l >= 0; l--) {
    const cells = Array.from({ length: heads }, (_, h) => {
      const i = HEADS.get(`L${l}H${h}`);
      if (i === undefined) return el("span", { role: "gridcell", class: "none", "aria-label": `L${l}H${h}: not in this run` });
      return el("button", { type: "button", role: "gridcell", tabindex: -1, "data-head": name(DATA.heads[i]), "aria-label": describe(DATA.heads[i]),
        onclick: () => open(i), onfocus: (e) => hover(e.currentTarget, i), onmouseenter: () => ($("map-status").textContent = describe(DATA.heads[i])) });
    });
    rows.push(el("div", { role: "row" }, el("span", { role: "rowheader", class: "axis-label" }, String(l)), ...cells));
  }
  grid.replaceChildren(...rows);
  grid.addEventListener("keydown", moveInMap);
  paintMap();
}

function hover(cell, i) {
  for (const other of $("map").querySelectorAll("button[tabindex='0']")) other.tabIndex = -1;
  cell.tabIndex = 0;
  $("map-status").textContent = describe(DATA.heads[i]);
}

function moveInMap(event) {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, 0], ArrowDown: [-1, 0], Home: [0, -Infinity], End: [0, Infinity] }[event.key];
  const here = DATA.heads[HEADS.get(event.target.dataset.head)];
  if (!step || !here) return;
  event.preventDefault();
  const ahead = (h) => (step[0] ? (h.layer - here.layer) * step[0] : h.layer === here.layer ? (h.head - here.head) * Math.sign(step[1]) : 0);
  const others = DATA.heads.filter((h) => ahead(h) > 0 && (step[1] || h.head === here.head));
  if (!others.length) return;
  others.sort((a, b) => ahead(a) - ahead(b));
  const next = Math.abs(step[1]) === Infinity ? others.at(-1) : others[0];
  $("map").querySelector(`[data-head=${name(next)}]`).focus();
}

function paintMap() {
  for (const cell of $("map").querySelectorAll("button")) {
    const head = DATA.heads[HEADS.get(cell.dataset.head)];
    const program = DATA.library[head.library];
    const [paint, label] = {
      iou: () => [colour("seq", head.iou.test), String(Math.round(100 * head.iou.test))],
      kind: () => [kindOf.get(head.kind).paint, kindOf.get(head.kind).letters],
      library: () => [program.colour, program.id.replace(/^P/, "")],
    }[mapMode]();
    cell.style.background = paint;
    cell.style.color = inkOn(paint);
    cell.textContent = label;
  }
  $("map-legend").replaceChildren(...{
    iou: () => [ramp("seq", [0, 0.25, 0.5, 0.75, 1], (t) => t), el("span", { class: "unit" }, DATA.model.heads > DENSE ? "IoU on test" : "IoU on test; cells: × 100")],
    kind: () => DATA.kinds.map(([k, letters, paint]) => swatch(paint, `${letters} ${k}`)),
    library: () => DATA.library.filter((p) => p.heads.length).map((p) => swatch(p.colour, p.id)),
  }[mapMode]());
}

function selectInMap(i) {
  for (const cell of $("map").querySelectorAll("button")) {
    const chosen = cell.dataset.head === name(DATA.heads[i]);
    cell.setAttribute("aria-selected", String(chosen));
    cell.tabIndex = chosen ? 0 : -1;
  }
}
