// All heads as a list that sorts, filters and searches; a click on a row opens the head.

const COLUMNS = [
  ["head", (h) => h.layer * 10000 + h.head, (h) => name(h)],
  ["kind", (h) => h.kind, (h) => h.kind],
  ["IoU", (h) => h.iou.test, (h) => fixed(h.iou.test)],
  ["gain", (h) => h.iou.test - h.baseline.test, (h) => signed(h.iou.test - h.baseline.test)],
  ["size", (h) => h.size, (h) => whole(h.size)],
  ["gap", (h) => h.gap ?? 0, (h) => fixed(h.gap)],
  ...(DATA.heads.some((h) => h.effect) ? [["effect", (h) => h.effect ?? Infinity, (h) => whole(h.effect)]] : []),
  ["library", (h) => h.library, (h) => DATA.library[h.library].id],
];
const FALLING = new Set(["IoU", "gain", "size", "gap"]); // sorted from the largest at first
const TITLES = {
  gain: "IoU above the best simple pattern", gap: "IoU between the best and the worst kind of text", IoU: "of the own program, on test",
  effect: "place in the order of what each head's program does to the model's output when it takes the head's place: 1 does least",
};
const listed = { by: 0, down: false, words: "", kind: "", layer: "", library: "", low: 0, high: 1 };

function shownHeads() {
  const words = listed.words.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = (h) =>
    (!listed.kind || h.kind === listed.kind) && (listed.layer === "" || h.layer === Number(listed.layer)) &&
    (listed.library === "" || h.library === Number(listed.library)) && h.iou.test >= listed.low && h.iou.test <= listed.high &&
    words.every((w) => `${name(h)} ${h.kind} ${h.headline} ${DATA.programs[h.program].lines.join(" ")}`.toLowerCase().includes(w));
  const value = COLUMNS[listed.by][1];
  const order = (a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0) * (listed.down ? -1 : 1);
  return DATA.heads.filter(wanted).sort(order);
}

function drawList(open) {
  const found = shownHeads();
  $("list").parentElement.scrollTop = 0; // the first of them is what was asked for
  $("list-count").textContent = `${whole(found.length)} of ${plural(DATA.heads.length, "head")}`;
  $("list").replaceChildren(
    el("thead", {}, el("tr", {}, ...COLUMNS.map(([label], i) =>
      el("th", { scope: "col", "aria-sort": i !== listed.by ? null : listed.down ? "descending" : "ascending" },
        el("button", { type: "button", title: TITLES[label], onclick: () => { Object.assign(listed, { by: i, down: i === listed.by ? !listed.down : FALLING.has(COLUMNS[i][0]) }); drawList(open); $("list").querySelectorAll("th button")[i].focus(); } }, label))))),
    el("tbody", {}, ...found.map((h) => el("tr", { "data-listed": name(h) }, ...COLUMNS.map(([, , say], i) =>
      el("td", i === 1 ? { class: "kind", title: h.kind } : {}, i ? say(h) : el("button", { type: "button", class: "chip", tabindex: h === found[0] ? 0 : -1, onclick: () => open(HEADS.get(name(h))) }, say(h))))))));
}

// One row is in the tab order; the arrow keys move to the others.
function moveInList(event) {
  const rows = [...$("list").querySelectorAll("tbody button")], at = rows.indexOf(event.target);
  const next = rows[at + ({ ArrowDown: 1, ArrowUp: -1 }[event.key] || 0)];
  if (at < 0 || !next || next === event.target) return;
  event.preventDefault();
  for (const button of rows) button.tabIndex = button === next ? 0 : -1;
  next.focus();
}

function startList(open) {
  $("list").addEventListener("keydown", moveInList);
  const options = (all, rows) => [el("option", { value: "" }, all), ...rows.map(([value, label]) => el("option", { value }, label))];
  $("list-kind").replaceChildren(...options("any kind", DATA.kinds.map(([k]) => [k, k])));
  $("list-layer").replaceChildren(...options("any layer", [...new Set(DATA.heads.map((h) => h.layer))].map((l) => [l, `layer ${l}`])));
  $("list-library").replaceChildren(...options("any library program", DATA.library.map((p, i) => [i, p.id])));
  for (const key of ["words", "kind", "layer", "library"])
    $(`list-${key}`).addEventListener("input", (e) => { listed[key] = e.target.value; drawList(open); });
  for (const key of ["low", "high"])
    $(`list-${key}`).addEventListener("input", (e) => { const v = parseFloat(e.target.value); listed[key] = Number.isNaN(v) ? (key === "low" ? 0 : 1) : v; drawList(open); });
  drawList(open);
}

// The list of the heads whose programs have these words.
function searchFor(words) {
  $("list-words").value = words;
  $("list-words").dispatchEvent(new Event("input"));
  $("list-words").scrollIntoView({ block: "nearest" });
  $("list-words").focus();
}
