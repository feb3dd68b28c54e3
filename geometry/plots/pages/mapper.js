// A Mapper graph: nodes are pies of their words' categories, edges join nodes that share words.

const page = JSON.parse(document.getElementById("data").textContent);
const { nodes, edges, categories, scale } = page;
const OTHER = "#d9d9d9";
const most = Math.max(...edges.map((edge) => edge[2]), 1), sizes = nodes.map(({ words }) => words.length);
const typical = [...sizes].sort((one, other) => one - other)[sizes.length >> 1] || 1;
const neighbours = nodes.map(() => []);
edges.forEach(([one, other], edge) => { neighbours[one].push(edge); neighbours[other].push(edge); });

let byPurity = false, hovered = null, chosen = null;  // a node or an edge: { node } or { edge }
const same = (one, other) => one?.node === other?.node && one?.edge === other?.edge;
const radius = (view, node) => Math.min(26, 7 * Math.sqrt(Math.max(1, sizes[node]) / typical)) * Math.min(3, view.zoom ** 0.5);
const place = (view, node) => [view.across(nodes[node].x), view.down(nodes[node].y)];
const width = (edge) => 0.8 + 5 * Math.sqrt(edges[edge][2] / most);
const largest = nodes.map((_, node) => node).sort((one, other) => sizes[other] - sizes[one]);
const shade = (purity) => scale[scale.length - 1 - Math.round(purity * (scale.length - 1))];  // the purer, the darker

// --- drawing --------------------------------------------------------------------------------------
function line(view, pen, edge, colour, thickness) {
  pen.beginPath();
  pen.moveTo(...place(view, edges[edge][0]));
  pen.lineTo(...place(view, edges[edge][1]));
  Object.assign(pen, { lineWidth: thickness, strokeStyle: colour }).stroke();
}

function pie(view, pen, node) {
  const [x, y] = place(view, node), r = radius(view, node), { shares, purity } = nodes[node];
  const parts = byPurity ? [[1, shade(purity)]] : shares.map((share, kind) => [share, categories[kind][1]]);
  const rest = 1 - parts.reduce((sum, [share]) => sum + share, 0);
  let turn = -Math.PI / 2;
  for (const [share, colour] of [...parts, [Math.max(0, rest), OTHER]]) {
    if (share < 1e-3) continue;
    pen.beginPath();
    pen.moveTo(x, y);
    pen.arc(x, y, r, turn, turn += 2 * Math.PI * share);
    pen.fillStyle = colour;
    pen.fill();
  }
  pen.beginPath();
  pen.arc(x, y, r, 0, 7);
  Object.assign(pen, { lineWidth: 1, strokeStyle: INK }).stroke();
}

function draw(view, pen) {
  edges.forEach((_, edge) => line(view, pen, edge, "#b4b4b4", width(edge)));
  for (const node of largest) pie(view, pen, node);
  const taken = nodes.map((_, node) => {
    const [x, y] = place(view, node), r = 0.7 * radius(view, node);
    return [x - r, y - r, x + r, y + r];
  });
  for (const node of largest) beside(view, pen, node, taken);
}

function beside(view, pen, node, taken) {
  const [x, y] = place(view, node), r = radius(view, node) - 3;
  const text = `${shown(nodes[node].label)} ${nodes[node].purity.toFixed(2)}`;
  return [[r, 0], [-r, 0], [0, r], [0, -r]].some(([dx, dy]) => label(pen, text, x + dx, y + dy, taken, view));
}

function marks(view, pen) {
  for (const one of [chosen, hovered]) {
    if (!one) continue;
    if (one.edge !== undefined) line(view, pen, one.edge, INK, width(one.edge) + 1.5);
    else for (const edge of neighbours[one.node]) line(view, pen, edge, "#555555", width(edge));
    for (const node of one.edge === undefined ? [one.node] : edges[one.edge].slice(0, 2)) {
      const [x, y] = place(view, node);
      pie(view, pen, node);
      pen.beginPath();
      pen.arc(x, y, radius(view, node) + 3, 0, 7);
      Object.assign(pen, { lineWidth: 2.5, strokeStyle: INK }).stroke();
      pen.font = "600 13px system-ui, sans-serif";
      beside(view, pen, node, null);
    }
  }
}

// --- pointing, choosing, searching ----------------------------------------------------------------
function under(view, x, y) {
  let best = null, nearest = 5;
  for (const node of largest) {
    const [a, b] = place(view, node), gap = Math.hypot(a - x, b - y) - radius(view, node);
    if (gap < nearest) [nearest, best] = [gap, { node }];
  }
  if (best) return best;
  edges.forEach(([one, other], edge) => {
    const [a, b] = place(view, one), [c, d] = place(view, other), length = (c - a) ** 2 + (d - b) ** 2 || 1;
    const along = Math.max(0, Math.min(1, ((x - a) * (c - a) + (y - b) * (d - b)) / length));
    const gap = Math.hypot(a + along * (c - a) - x, b + along * (d - b) - y) - width(edge) / 2;
    if (gap < nearest) [nearest, best] = [gap, { edge }];
  });
  return best;
}

const listed = (words, count) => words.slice(0, count).map(shown).join(", ") + (words.length > count ? `, … (${words.length})` : "");

function describe(one) {
  if (one.edge !== undefined) {
    const [left, right, shared, meaning] = edges[one.edge], names = [left, right].map((node) => shown(nodes[node].label));
    const held = new Set(nodes[left].words), both = nodes[right].words.filter((word) => held.has(word));
    return [names.join(" – "), [meaning, `${shared} shared: ${listed(both, 20)}`].filter(Boolean)];
  }
  const { label: name, purity, words } = nodes[one.node];
  return [shown(name), [`purity ${purity.toFixed(2)}, ${counted(words.length)}`, listed(words, 30)]];
}

function pick(view, x, y, click) {
  const found = Number.isNaN(x) ? null : under(view, x, y);
  if (!same(found, hovered)) { hovered = found; view.mark(); }
  note(view, x, y, ...(found ? describe(found) : ["", []]));
  if (click) choose(found);
}

function choose(one, centre = false) {
  chosen = one;
  const [heading, lines] = one ? describe(one) : ["", []];
  said.textContent = [heading, lines[0]].filter(Boolean).join(" – ");
  words.replaceChildren(...(one?.node === undefined ? lines.slice(1) : nodes[one.node].words.map(shown)).map((word) => element("li", { textContent: word })));
  for (const button of document.querySelectorAll(".name")) button.setAttribute("aria-pressed", String(button.dataset.node === String(one?.node)));
  if (centre) view.centre(nodes[one.node].x, nodes[one.node].y, 1.6);
  else view.mark();
}

function find(query) {
  const ranked = [];
  nodes.forEach(({ label: name, words: held }, node) => {
    const rank = fit(name, query);
    if (rank >= 0) ranked.push([rank, name.length, node, name, `${counted(held.length)}`]);
    for (const word of held) {
      const close = fit(word, query);
      if (close >= 0) ranked.push([close, word.length, node, word, name]);
    }
  });
  return ranked.sort(byFit).map(([, , node, text, remark]) => [node, shown(text), shown(remark)]);
}

// --- controls -------------------------------------------------------------------------------------
const view = new View({ title: "", caption: "The area of a node is its number of words, the width of an edge how many both ends share.", window: page.window }, draw, marks, pick);
const said = element("p", { id: "said", role: "status" });
const words = element("ul", { id: "words", "aria-label": "words" });
const legend = element("ul", { id: "legend" });
const chooser = element("select", {
  id: "colouring", onchange: () => { byPurity = chooser.selectedIndex === 1; showLegend(); view.redraw(); },
}, element("option", { textContent: "concepts of its words" }), element("option", { textContent: "purity" }));

function showLegend() {
  const entries = byPurity ? [0, 0.25, 0.5, 0.75, 1].map((purity) => [purity.toFixed(2), shade(purity)]) : [...categories, ["other", OTHER]];
  legend.replaceChildren(...entries.map(([name, colour]) => element("li", {}, swatch("o", colour), name)));
}

const list = element("ul", {}, ...largest.map((node) => {
  const button = element("button", { type: "button", className: "name", "aria-pressed": "false", onclick: () => choose({ node }, true) }, shown(nodes[node].label));
  button.dataset.node = node;
  return element("li", {}, element("div", {}, button, element("small", { textContent: `${nodes[node].purity.toFixed(2)}, ${counted(sizes[node])}` })));
}));
compose(page, [view], [searchBox("find a word or a concept", find, (node) => choose({ node }, true)), said, words,
  element("div", {}, element("h3", { textContent: "coloured by" }), chooser, legend),
  element("div", { className: "tree" }, element("h3", { textContent: "nodes and their purity" }), list)]);
showLegend();
