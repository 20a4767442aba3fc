// Single queries on which a program and its head agree least and most: the text as each of them shades it.

async function showExamples(box, found, tokensOf) {
  const drawn = await Promise.all(Object.entries(found).map(async ([which, rows]) => el("div", {},
    el("h3", {}, `Where they agree ${which}`), ...(await Promise.all(rows.map((row) => oneExample(row, tokensOf(row[0]))))))));
  box.replaceChildren(...drawn);
}

async function oneExample([text, query, agreement, packed], tokens) {
  const bytes = await inflate(packed), size = bytes.length / 4;
  const rowOf = (at) => Float32Array.from({ length: size }, (_, i) => (256 * bytes[at + i] + bytes[at + size + i]) / DATA.scale);
  const shades = (row) => el("div", {}, ...tokens.slice(0, size).map((t, i) => {
    const span = el("span", { class: i === query ? "query" : null, title: fixed(row[i]) }, visible(t));
    span.dataset.weight = row[i];
    return span;
  }));
  const figure = el("div", { class: "example" },
    el("p", { class: "hint" }, `Text ${text}, from token ${query}, “${token(tokens[query])}”: agreement ${fixed(agreement)}`),
    el("div", { class: "shaded" }, el("small", {}, "head"), shades(rowOf(0))),
    el("div", { class: "shaded" }, el("small", {}, "program"), shades(rowOf(2 * size))));
  paintExample(figure);
  return figure;
}

// Colours belong to the theme.
function paintExample(box) {
  for (const span of box.querySelectorAll("[data-weight]")) {
    const ground = colour("seq", root(Number(span.dataset.weight)));
    span.style.background = ground;
    span.style.color = inkOn(ground);
  }
}
repaints.push(() => document.querySelectorAll(".example").forEach(paintExample));
