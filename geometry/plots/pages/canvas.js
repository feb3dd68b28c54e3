// What all interactive pages share: elements from text, packed numbers, markers, and a canvas to pan and zoom.

const GREY = "#c9c9c9", INK = "#222222";

// An element with properties, attributes (those in quotes) and children; strings become text, never markup.
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made && !name.startsWith("aria-")) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

const unpacked = (text, Numbers) => new Numbers(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);

const counted = (words) => `${words} ${words === 1 ? "word" : "words"}`;

// Spaces at the ends are part of a token, so they are drawn.
const shown = (text) => text.replace(/^ +| +$/g, (spaces) => "␣".repeat(spaces.length)) || "(empty)";

function trace(pen, shape, x, y, r) {
  if (shape === "o") { pen.moveTo(x + r, y); pen.arc(x, y, r, 0, 7); return; }
  const corners = {
    s: [[-0.86, -0.86], [0.86, -0.86], [0.86, 0.86], [-0.86, 0.86]],
    "^": [[0, -1.15], [1.1, 0.85], [-1.1, 0.85]],
    v: [[0, 1.15], [1.1, -0.85], [-1.1, -0.85]],
    D: [[0, -1.2], [1.2, 0], [0, 1.2], [-1.2, 0]],
    P: [[-0.4, -1.15], [0.4, -1.15], [0.4, -0.4], [1.15, -0.4], [1.15, 0.4], [0.4, 0.4],
        [0.4, 1.15], [-0.4, 1.15], [-0.4, 0.4], [-1.15, 0.4], [-1.15, -0.4], [-0.4, -0.4]],
  }[shape];
  corners.forEach(([a, b], place) => pen[place ? "lineTo" : "moveTo"](x + a * r, y + b * r));
  pen.closePath();
}

// A marker drawn once, as a small canvas: stamping it is much faster than tracing it thousands of times.
function stamp(shape, colour, r, edge, edgeWidth) {
  const ratio = devicePixelRatio || 1, half = Math.ceil((r * 1.25 + edgeWidth) * ratio);
  const made = element("canvas", { width: 2 * half, height: 2 * half });
  const pen = made.getContext("2d", { willReadFrequently: true });
  pen.scale(ratio, ratio);
  pen.beginPath();
  trace(pen, shape, half / ratio, half / ratio, r);
  pen.fillStyle = colour;
  pen.fill();
  pen.lineWidth = edgeWidth;
  pen.strokeStyle = edge;
  pen.stroke();
  return made;
}

function swatch(shape, colour) {
  const made = stamp(shape, colour, 5, "#ffffff", 0.5), ratio = devicePixelRatio || 1;
  made.style.width = `${made.width / ratio}px`;
  made.setAttribute("aria-hidden", "true");
  return made;
}

// Text with a white halo; false where it would cover what `taken` holds or leave the canvas.
function label(pen, text, x, y, taken, view, colour = INK) {
  const width = pen.measureText(text).width;
  for (const [left, top] of [[x + 6, y - 6], [x - 6 - width, y - 6], [x - width / 2, y - 18], [x - width / 2, y + 7]]) {
    const box = [left - 2, top - 1, left + width + 2, top + 13];
    if (box[0] < 0 || box[1] < 0 || box[2] > view.width || box[3] > view.height) continue;
    if (taken?.some((o) => box[0] < o[2] && o[0] < box[2] && box[1] < o[3] && o[1] < box[3])) continue;
    taken?.push(box);
    pen.lineWidth = 3;
    pen.lineJoin = "round";
    pen.strokeStyle = "rgba(255,255,255,.9)";
    pen.strokeText(text, left, top + 10);
    pen.fillStyle = colour;
    pen.fillText(text, left, top + 10);
    return true;
  }
  return false;
}

// One panel: a base that is redrawn when the view changes, and an overlay for what follows the pointer.
class View {
  constructor({ title, caption, window: [x0, y0, x1, y1] }, draw, overlay, pick) {
    this.home = { x: (x0 + x1) / 2, y: (y0 + y1) / 2, span: Math.max(x1 - x0, y1 - y0) };
    Object.assign(this, { draw, overlay, pick, title, width: 0, height: 0, zoom: 1, x: this.home.x, y: this.home.y });
    this.base = element("canvas", { "aria-hidden": "true" });
    this.top = element("canvas", {
      tabIndex: 0, role: "img", className: "top",
      "aria-label": `${title}. ${caption} Arrow keys move the map, plus and minus zoom, 0 shows all.`,
    });
    const button = (sign, means, act) =>
      element("button", { type: "button", textContent: sign, title: means, "aria-label": `${means}: ${title}`, onclick: act });
    const controls = element("div", { className: "zoom" },
      button("+", "zoom in", () => this.zoomBy(1.5)),
      button("−", "zoom out", () => this.zoomBy(1 / 1.5)),
      button("⌂", "show all", () => this.reset()));
    this.frame = element("div", { className: "frame" }, this.base, this.top, controls);
    this.figure = element("figure", {}, element("h2", { textContent: title }), this.frame,
      element("figcaption", { textContent: caption }));
    new ResizeObserver(() => this.resize()).observe(this.frame);
    this.listen();
  }

  get scale() { return (this.zoom * Math.min(this.width, this.height)) / this.home.span; }
  across(x) { return this.width / 2 + (x - this.x) * this.scale; }
  down(y) { return this.height / 2 - (y - this.y) * this.scale; }

  resize() {
    const { clientWidth, clientHeight } = this.frame, ratio = devicePixelRatio || 1;
    Object.assign(this, { width: clientWidth, height: clientHeight });
    for (const canvas of [this.base, this.top]) {
      canvas.width = Math.max(1, Math.round(clientWidth * ratio));
      canvas.height = Math.max(1, Math.round(clientHeight * ratio));
    }
    this.redraw(true);  // a resized canvas is blank until then
  }

  redraw(now = false) {
    if (now) { this.paint(); return; }
    if (!this.waiting) this.waiting = requestAnimationFrame(() => this.paint());
  }

  paint() {
    cancelAnimationFrame(this.waiting);
    this.waiting = 0;
    if (!this.width || !this.height) return;
    this.draw(this, this.pen(this.base));
    this.mark();
  }

  mark() { if (this.width && this.height) this.overlay(this, this.pen(this.top)); }

  pen(canvas) {
    const pen = canvas.getContext("2d"), ratio = devicePixelRatio || 1;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.font = "11px system-ui, sans-serif";
    return pen;
  }

  panBy(dx, dy) {
    this.x -= dx / this.scale;
    this.y += dy / this.scale;
    this.redraw();
  }

  zoomBy(factor, px = this.width / 2, py = this.height / 2) {
    const zoom = Math.min(4000, Math.max(0.4, this.zoom * factor));
    const shift = (1 - this.zoom / zoom) / this.scale;
    this.x += (px - this.width / 2) * shift;
    this.y -= (py - this.height / 2) * shift;
    this.zoom = zoom;
    this.redraw();
  }

  centre(x, y, zoom) {
    Object.assign(this, { x, y, zoom: Math.max(this.zoom, zoom) });
    this.redraw();
  }

  reset() {
    Object.assign(this, { zoom: 1, x: this.home.x, y: this.home.y });
    this.redraw();
  }

  listen() {
    const held = new Map();  // pointers that are down: one drags, two pinch
    let moved = 0;
    const apart = () => { const [a, b] = [...held.values()]; return Math.hypot(a[0] - b[0], a[1] - b[1]); };
    this.top.addEventListener("pointerdown", (event) => {
      this.top.setPointerCapture(event.pointerId);
      held.set(event.pointerId, [event.offsetX, event.offsetY]);
      moved = 0;
    });
    this.top.addEventListener("pointermove", (event) => {
      const before = held.get(event.pointerId), at = [event.offsetX, event.offsetY];
      if (!before) { this.pick(this, ...at, false); return; }
      const gap = held.size === 2 ? apart() : 0;
      held.set(event.pointerId, at);
      moved += Math.hypot(at[0] - before[0], at[1] - before[1]);
      if (gap) this.zoomBy(apart() / gap, ...at);
      else this.panBy(at[0] - before[0], at[1] - before[1]);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      this.top.addEventListener(end, (event) => {
        if (held.delete(event.pointerId) && end === "pointerup" && moved < 4) this.pick(this, event.offsetX, event.offsetY, true);
      });
    }
    this.top.addEventListener("pointerleave", () => this.pick(this, NaN, NaN, false));
    this.top.addEventListener("wheel", (event) => {
      event.preventDefault();
      const lines = event.deltaMode ? 16 : 1;
      this.zoomBy(2 ** (-event.deltaY * lines / 300), event.offsetX, event.offsetY);
    }, { passive: false });
    const keys = {
      ArrowLeft: () => this.panBy(60, 0), ArrowRight: () => this.panBy(-60, 0),
      ArrowUp: () => this.panBy(0, 60), ArrowDown: () => this.panBy(0, -60),
      "+": () => this.zoomBy(1.5), "=": () => this.zoomBy(1.5), "-": () => this.zoomBy(1 / 1.5), 0: () => this.reset(),
    };
    this.top.addEventListener("keydown", (event) => {
      if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      keys[event.key]();
    });
  }
}

// A note beside the pointer: a heading and lines of text.
const tip = element("div", { id: "tip", hidden: true });
function note(view, x, y, heading, lines) {
  tip.hidden = !heading;
  if (!heading) return;
  tip.replaceChildren(element("strong", { textContent: heading }), ...lines.map((line) => element("div", { textContent: line })));
  const frame = view.frame.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(frame.left + x + 14, innerWidth - tip.offsetWidth - 8))}px`;
  const above = frame.top + y + 16 + tip.offsetHeight > innerHeight;
  tip.style.top = `${Math.max(4, frame.top + y + (above ? -tip.offsetHeight - 12 : 16))}px`;
}

// How well a text fits a query: 0 exactly, then without case, without spaces, its beginning, its inside; -1 not at all.
function fit(text, query) {
  const low = text.toLowerCase(), core = low.trim(), sought = query.toLowerCase(), bare = sought.trim();
  return text === query ? 0 : low === sought ? 1 : bare && core === bare ? 2
    : low.startsWith(sought) ? 3 : bare && core.startsWith(bare) ? 4 : low.includes(sought) ? 5 : -1;
}

// [fit, length, place] order: the best first, of equals the shorter.
const byFit = (one, other) => one[0] - other[0] || one[1] - other[1] || one[2] - other[2];

// A box to search with: `find(query)` gives [index, text, remark] of what it finds, `choose(index)` takes one.
function searchBox(name, find, choose) {
  const list = element("ul", { id: "hits", role: "listbox", "aria-label": "hits", hidden: true });
  const field = element("input", {
    id: "search", type: "search", placeholder: name, autocomplete: "off", spellcheck: false, role: "combobox",
    "aria-label": name, "aria-controls": "hits", "aria-expanded": "false", "aria-autocomplete": "list",
  });
  const count = element("small", { id: "found", role: "status" });
  let hits = [], at = -1;
  const point = (to) => {
    list.children[at]?.setAttribute("aria-selected", "false");
    at = to;
    list.children[at]?.setAttribute("aria-selected", "true");
    list.children[at]?.scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", list.children[at]?.id ?? "");
  };
  const close = () => { list.hidden = true; field.setAttribute("aria-expanded", "false"); };
  const take = (place) => { if (hits[place]) { point(place); choose(hits[place][0]); } };
  field.addEventListener("input", () => {
    const query = field.value.replaceAll("␣", " ");
    hits = query.trim() || query === " " ? find(query) : [];
    list.replaceChildren(...hits.slice(0, 60).map(([, text, remark], place) => element("li", {
      id: `hit${place}`, role: "option", "aria-selected": "false", onclick: () => take(place),
    }, element("code", { textContent: text }), element("small", { textContent: remark }))));
    at = -1;
    count.textContent = field.value ? `${hits.length} found` : "";
    list.hidden = !hits.length;
    field.setAttribute("aria-expanded", String(!list.hidden));
    field.removeAttribute("aria-activedescendant");
  });
  field.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key], length = list.children.length;
    if (step && length) { event.preventDefault(); point((at + step + length + (at < 0 && step < 0 ? 1 : 0)) % length); }
    else if (event.key === "Enter") take(Math.max(at, 0));
    else if (event.key === "Escape") close();
  });
  return element("div", { className: "search" }, field, count, list);
}

function compose(page, views, sidebar) {
  document.body.append(
    element("header", {}, element("h1", { textContent: page.title }), element("p", { textContent: page.detail })),
    element("main", {}, ...views.map((view) => view.figure)),
    element("aside", { "aria-label": "controls" }, ...sidebar), tip);
}
