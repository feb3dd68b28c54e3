// The map of a vocabulary or of concept vectors. Items are the points, then the concepts where panels place them.

const page = JSON.parse(document.getElementById("data").textContent);
const tree = page.tree, names = tree ? tree.names : [];
const placed = page.panels.map(({ low, step, places }) => {
  const steps = unpacked(places, Uint16Array), x = new Float64Array(steps.length / 2), y = x.slice();
  for (let item = 0; item < x.length; item++) {
    x[item] = low[0] + step[0] * steps[2 * item];
    y[item] = low[1] + step[1] * steps[2 * item + 1];
  }
  return { x, y };
});
const items = placed[0].x.length, points = page.points;
const textOf = (item) => item < points ? page.texts[item] : names[item - points];

// --- concepts: who is above whom, who holds which points -----------------------------------------
const children = names.map(() => []), parents = names.map(() => []), above = names.map(() => new Set());
const edges = tree ? unpacked(tree.edges, Uint32Array) : [];
for (let edge = 0; edge < edges.length; edge += 2) {
  if (!parents[edges[edge + 1]].length) children[edges[edge]].push(edges[edge + 1]);
  parents[edges[edge + 1]].push(edges[edge]);
}
const climb = (concept) => {
  for (const parent of parents[concept]) for (const one of [parent, ...climb(parent)]) above[concept].add(one);
  return above[concept];
};
names.forEach((_, concept) => climb(concept));
const weight = names.map((_, concept) => tree.sizes[concept]);  // what is labelled first and drawn largest
above.forEach((broader) => broader.forEach((concept) => weight[concept]++));
const members = [], holders = new Map();
if (tree) {
  const flat = unpacked(tree.members, Uint32Array);
  let start = 0;
  for (const size of tree.sizes) members.push(flat.subarray(start, start += size));
  members.forEach((held, concept) => held.forEach((point) => {
    if (!holders.has(point)) holders.set(point, []);
    holders.get(point).push(concept);
  }));
}
for (const [point, held] of holders) {  // the narrowest first
  held.sort((one, other) => above[other].size - above[one].size);
  const covered = new Set(held.flatMap((concept) => [...above[concept]]));
  holders.set(point, { held, narrowest: held.filter((concept) => !covered.has(concept)) });
}

// --- state ----------------------------------------------------------------------------------------
const ticked = names.map(() => true);
let colouring = page.colourings[0], layer = items > points, hovered = -1, chosen = -1, spotlit = -1;
let categories = [], drawn = [], background = [], base = 2;

const isHidden = (item) => item < points
  ? holders.has(item) && !holders.get(item).narrowest.some((concept) => ticked[concept])
  : !ticked[item - points];

function recolour() {
  const codes = new Int8Array(items).fill(-1);
  if (points) codes.set(unpacked(colouring.points, Int8Array));
  if (colouring.concepts && items > points) codes.set(unpacked(colouring.concepts, Int8Array), points);
  categories = colouring.categories.map(([name, [colour, shape]]) => ({ name, colour, shape, points: [], concepts: [] }));
  background = [];
  for (let item = 0; item < items; item++) {
    const category = isHidden(item) ? undefined : categories[codes[item]];
    if (category) category[item < points ? "points" : "concepts"].push(item);
    else if (item < points) background.push(item);
  }
  drawn = [...categories].sort((one, other) => other.points.length - one.points.length);  // small ones on top
  const coloured = drawn.reduce((sum, category) => sum + category.points.length, 1);
  base = Math.min(3.2, Math.max(1.5, 4.6 - 0.72 * Math.log10(coloured)));  // the more, the smaller
  views.forEach((view) => view.redraw());
}

// --- drawing --------------------------------------------------------------------------------------
const inside = (view, x, y, margin = 8) => x > -margin && y > -margin && x < view.width + margin && y < view.height + margin;
const radius = (view) => Math.min(6, base * Math.max(1, view.zoom) ** 0.3);

// Points are set pixel by pixel, which costs little however many they are. Grey ones are counted: crowds are darker.
function drawPoints(view, pen, { x, y }) {
  const { width, height } = view.base, ratio = devicePixelRatio || 1, scale = view.scale * ratio;
  const image = pen.createImageData(width, height), pixels = new Uint32Array(image.data.buffer).fill(0xffffffff);
  const place = (item, size) => [Math.round(width / 2 + (x[item] - view.x) * scale - size / 2),
    Math.round(height / 2 - (y[item] - view.y) * scale - size / 2)];
  const counts = new Uint8Array(width * height), dot = Math.round(ratio * Math.min(4, 1 + Math.log2(Math.max(1, view.zoom)) / 2));
  for (const item of background) {
    const [left, top] = place(item, dot);
    if (left < 0 || top < 0 || left + dot > width || top + dot > height) continue;
    for (let row = top; row < top + dot; row++)
      for (let at = row * width + left; at < row * width + left + dot; at++) if (counts[at] < 255) counts[at]++;
  }
  counts.forEach((count, at) => {
    const grey = count && Math.max(150, Math.round(212 - 16 * Math.log2(count)));
    if (count) pixels[at] = (255 << 24) | (grey << 16) | (grey << 8) | grey;
  });
  const seen = [];
  for (const { colour, shape, points: mine } of drawn) {
    const mark = stamp(shape, colour, radius(view), "#ffffff", base < 2 ? 0.3 : 0.6), size = mark.width;
    const ink = new Uint32Array(mark.getContext("2d").getImageData(0, 0, size, size).data.buffer);
    for (const item of mine) {
      const [left, top] = place(item, size);
      if (left < 0 || top < 0 || left + size > width || top + size > height) continue;
      for (let row = 0; row < size; row++)
        for (let from = row * size, to = (top + row) * width + left; from < (row + 1) * size; from++, to++)
          if (ink[from] >>> 24) pixels[to] = over(ink[from], pixels[to]);
      seen.push(item);
    }
  }
  pen.putImageData(image, 0, 0);
  return seen;
}

// One pixel of a marker laid over an opaque one.
function over(ink, paper) {
  const share = (ink >>> 24) / 255, mixed = (bit) => (((ink >>> bit) & 255) * share + ((paper >>> bit) & 255) * (1 - share)) << bit;
  return share === 1 ? ink : (255 << 24) | mixed(16) & 0xff0000 | mixed(8) & 0xff00 | mixed(0);
}

function drawPanel(which) {
  return (view, pen) => {
    const { x, y } = placed[which], taken = [], seen = drawPoints(view, pen, placed[which]);
    if (layer) drawConcepts(view, pen, placed[which], taken);
    if (seen.length <= 250) {
      if (view.zoom > 3) seen.push(...background.filter((item) => inside(view, view.across(x[item]), view.down(y[item]), 0)).slice(0, 250));
      for (const item of seen) label(pen, shown(textOf(item)), view.across(x[item]), view.down(y[item]), taken, view, "#555555");
    }
  };
}

function drawConcepts(view, pen, { x, y }, taken) {
  pen.lineWidth = 0.8;
  for (let edge = 0; edge < edges.length; edge += 2) {
    const [one, other] = [edges[edge], edges[edge + 1]];
    pen.strokeStyle = ticked[one] && ticked[other] ? "rgba(60,60,60,.3)" : "rgba(160,160,160,.15)";
    pen.beginPath();
    pen.moveTo(view.across(x[points + one]), view.down(y[points + one]));
    pen.lineTo(view.across(x[points + other]), view.down(y[points + other]));
    pen.stroke();
  }
  const looks = new Map(categories.flatMap((category) => category.concepts.map((item) => [item, category])));
  const stamps = new Map();
  const order = names.map((_, concept) => concept).sort((one, other) => weight[one] - weight[other]);
  for (const concept of order) {
    const item = points + concept, { colour = "#bdbdbd", shape = "o" } = looks.get(item) ?? {};
    const r = (points ? 4 : 3.6 + Math.min(4, Math.log10(1 + weight[concept]))) * (looks.has(item) ? 1 : 0.7);
    const key = `${colour} ${shape} ${r}`, ratio = devicePixelRatio || 1;
    if (!stamps.has(key)) stamps.set(key, stamp(shape, colour, r, points ? INK : "#ffffff", points ? 1 : 0.8));
    const mark = stamps.get(key), size = mark.width / ratio;
    pen.drawImage(mark, view.across(x[item]) - size / 2, view.down(y[item]) - size / 2, size, size);
  }
  pen.font = `${points ? "600 " : ""}11px system-ui, sans-serif`;
  let room = points ? 20 * Math.max(1, view.zoom) : Infinity;  // names must not hide the words
  for (const concept of order.reverse()) {
    if (room <= 0) break;
    const across = view.across(x[points + concept]), down = view.down(y[points + concept]);
    if (ticked[concept] && inside(view, across, down, 0)) room -= label(pen, shown(names[concept]), across, down, taken, view);
  }
  pen.font = "11px system-ui, sans-serif";
}

function drawMarks(which) {
  return (view, pen) => {
    const { x, y } = placed[which];
    const ring = (item, r, width) => {
      pen.beginPath();
      pen.arc(view.across(x[item]), view.down(y[item]), r, 0, 7);
      for (const [line, colour] of [[width + 2.5, "#ffffff"], [width, INK]]) Object.assign(pen, { lineWidth: line, strokeStyle: colour }), pen.stroke();
    };
    if (spotlit >= 0) {
      for (const item of members[spotlit]) if (inside(view, view.across(x[item]), view.down(y[item]))) ring(item, radius(view) + 1.5, 1);
      if (layer) ring(points + spotlit, 8, 2);
    }
    pen.font = "600 13px system-ui, sans-serif";
    for (const item of new Set([chosen, hovered])) {
      if (item < 0) continue;
      ring(item, 8, 2);
      label(pen, shown(textOf(item)), view.across(x[item]) + 5, view.down(y[item]), null, view);
    }
  };
}

// --- pointing, choosing, searching ----------------------------------------------------------------
const pick = (which) => (view, across, down, click) => {
  let best = -1, nearest = 14 ** 2;
  const { x, y } = placed[which], look = (item, weight) => {
    const distance = weight * ((view.across(x[item]) - across) ** 2 + (view.down(y[item]) - down) ** 2);
    if (distance < nearest) [nearest, best] = [distance, item];
  };
  for (const { points: mine } of drawn) for (const item of mine) look(item, 0.7);  // colour is easier to hit
  for (const item of background) look(item, 1);
  if (layer) for (let item = points; item < items; item++) look(item, 0.5);
  if (best !== hovered) { hovered = best; views.forEach((other) => other.mark()); }
  note(view, across, down, best < 0 ? "" : shown(textOf(best)), best < 0 ? [] : describe(best));
  if (click) choose(best, false);
};

function describe(item) {
  const listed = (all, most) => all.slice(0, most).join(", ") + (all.length > most ? `, … (${all.length})` : "");
  if (item < points) {
    const { held = [] } = holders.get(item) ?? {};
    return [held.length ? `in ${listed(held.map((concept) => shown(names[concept])), 12)}` : "in no concept shown here"];
  }
  const concept = item - points, words = [...members[concept]].map((point) => page.texts[point].trim());
  const lines = parents[concept].length ? [`below ${listed(parents[concept].map((parent) => shown(names[parent])), 4)}`] : [];
  return words.length ? [...lines, `${counted(words.length)}: ${listed(words, 12)}`] : lines;
}

function choose(item, centre = true) {
  chosen = item;
  said.textContent = item < 0 ? "" : [shown(textOf(item)), ...describe(item)].join(" – ");
  views.forEach((view, which) => centre ? view.centre(placed[which].x[item], placed[which].y[item], items > 3000 ? 4 : 1.6) : view.mark());
}

function find(query) {
  const ranked = [];
  for (let item = 0; item < items; item++) {
    const rank = fit(textOf(item), query);
    if (rank >= 0) ranked.push([rank, textOf(item).length, item]);
  }
  ranked.sort(byFit);
  const remark = (item) => item >= points ? "concept" : (holders.get(item)?.held ?? []).map((concept) => shown(names[concept]))[0] ?? "";
  return ranked.map(([, , item]) => [item, shown(textOf(item)), remark(item)]);
}

// --- controls -------------------------------------------------------------------------------------
const said = element("p", { id: "said", role: "status" });
const legend = element("ul", { id: "legend" });
const chooser = element("select", { id: "colouring", onchange: () => { colouring = page.colourings[chooser.selectedIndex]; recolour(); showLegend(); } },
  ...page.colourings.map(({ name }) => element("option", { textContent: name })));

function showLegend() {
  legend.replaceChildren(...[...colouring.categories, ["other", [GREY, "o"]]].map(([name, [colour, shape]]) =>
    element("li", {}, swatch(shape, colour), name)));
}

const boxes = [];
function branch(concept, depth) {
  const below = children[concept], list = element("ul", { hidden: depth > 1 });
  const fold = element("button", {
    type: "button", className: "fold", textContent: below.length ? (depth > 1 ? "▸" : "▾") : "",
    "aria-expanded": String(depth < 2), "aria-label": `show what is below ${names[concept]}`, disabled: !below.length,
    onclick: () => {
      list.hidden = !list.hidden;
      fold.textContent = list.hidden ? "▸" : "▾";
      fold.setAttribute("aria-expanded", String(!list.hidden));
    },
  });
  boxes[concept] = element("input", {
    type: "checkbox", checked: true, "aria-label": `colour ${names[concept]} and all below it`,
    onchange: () => { tick(concept, boxes[concept].checked); showTicks(); recolour(); },
  });
  const name = element("button", {
    type: "button", className: "name", textContent: shown(names[concept]), "aria-pressed": "false", title: "ring its words",
    onclick: () => {
      spotlit = spotlit === concept ? -1 : concept;
      for (const other of document.querySelectorAll(".name")) other.setAttribute("aria-pressed", String(other === name && spotlit >= 0));
      views.forEach((view) => view.mark());
    },
  });
  list.append(...below.map((child) => branch(child, depth + 1)));
  return element("li", {}, element("div", {}, fold, boxes[concept], name, element("small", { textContent: tree.sizes[concept] || "" })), list);
}

function tick(concept, on) {
  ticked[concept] = on;
  for (const child of children[concept]) tick(child, on);
}

function showTicks() {
  const uniform = (concept) => children[concept].map((child) => uniform(child) && ticked[child] === ticked[concept]).every(Boolean);
  boxes.forEach((box, concept) => Object.assign(box, { checked: ticked[concept], indeterminate: !uniform(concept) }));
}

// Of a map that moves, panels are where its points go, and the first is drawn (layers.js).
const views = page.panels.slice(0, page.moving === undefined ? undefined : 1)
  .map((panel, which) => new View(panel, drawPanel(which), drawMarks(which), pick(which)));
const sidebar = [searchBox(points ? "find a token or a concept" : "find a concept", find, choose), said,
  element("div", {}, element("h3", { textContent: "coloured by" }), chooser, legend)];
if (points && items > points) {
  sidebar.push(element("label", { className: "layer" }, element("input", {
    id: "layer", type: "checkbox", checked: true, onchange: (event) => { layer = event.target.checked; views.forEach((view) => view.redraw()); },
  }), " concept vectors and the tree's edges"));
}
if (tree) {
  const every = (on) => element("button", {
    type: "button", textContent: on ? "all" : "none", onclick: () => { ticked.fill(on); showTicks(); recolour(); },
  });
  sidebar.push(element("div", { className: "tree" },
    element("div", { className: "both" }, element("h3", { textContent: "concepts" }), every(true), every(false)),
    element("ul", {}, ...names.flatMap((_, concept) => parents[concept].length ? [] : [branch(concept, 0)]))));
}
compose(page, views, sidebar);
showLegend();
recolour();
