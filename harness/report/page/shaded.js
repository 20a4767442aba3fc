// A text with each token shaded by what the query at the cursor looks at: in the model, and in the program.

const visible = (t) => t.replace(/\n/g, "↵") || "∅";

function drawShaded() {
  const { n, q } = view, tokens = DATA.texts[view.text].tokens;
  $("query-line").textContent = `From token ${q}, “${token(tokens[q])}”. Point at another token to look from there.`;
  for (const which of ["true", "program"]) {
    $(`text-${which}`).replaceChildren(...tokens.map((t, i) => {
      const ground = colour("seq", root(view[which][q * n + i]));
      return el("span", { "data-token": i, class: i === q ? "query" : null, title: fixed(view[which][q * n + i]), style: { background: ground, color: inkOn(ground) },
        onpointerenter: () => lookFrom(i) }, visible(t));
    }));
  }
}

// A query, and the key that it attends to most.
function lookFrom(q) {
  if (q === view.q) return;
  const row = view.true.subarray(q * view.n, (q + 1) * view.n);
  moveCell(q, row.indexOf(Math.max(...row)));
}
