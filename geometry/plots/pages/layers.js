// A map that moves from layer to layer: a slider, buttons and keys, and between two layers the way that each point goes.

const stops = placed.map(({ x, y }) => ({ x: x.slice(), y: y.slice() }));
const here = placed[0], only = views[0];  // what is drawn: its places are set anew on the way
const still = matchMedia("(prefers-reduced-motion: reduce)");
const LASTS = 600;  // milliseconds from layer to layer
let at = -1, going = 0, playing = 0;

function place(from, goal, share) {
  for (let item = 0; item < points; item++) {
    here.x[item] = from.x[item] + share * (goal.x[item] - from.x[item]);
    here.y[item] = from.y[item] + share * (goal.y[item] - from.y[item]);
  }
  only.redraw(true);
}

function go(to, moves = true) {
  to = Math.min(stops.length - 1, Math.max(0, to));
  if (to === at) return;
  at = to;
  say();
  cancelAnimationFrame(going);
  going = 0;
  if (!moves || still.matches) { place(stops[to], stops[to], 1); return; }
  const from = { x: here.x.slice(), y: here.y.slice() }, begun = performance.now();
  const step = (now) => {
    const share = Math.min(1, Math.max(0, now - begun) / LASTS);
    going = share < 1 ? requestAnimationFrame(step) : 0;
    if (share < 1) place(from, stops[to], share * share * (3 - 2 * share));
    else place(stops[to], stops[to], 1);
  };
  going = requestAnimationFrame(step);
}

function say() {
  const { title, caption } = page.panels[at];
  slider.value = at;
  slider.setAttribute("aria-valuetext", title);
  number.textContent = title;
  quality.textContent = caption;
  only.figure.querySelector("h2").textContent = title;
  only.figure.querySelector("figcaption").textContent = caption;
  only.top.setAttribute("aria-label", `${title}. ${caption} Arrow keys move the map, plus and minus zoom, 0 shows all.`);
}

function play(on) {
  clearInterval(playing);
  playing = on ? setInterval(() => { if (at < stops.length - 1) go(at + 1); else play(false); }, LASTS + 250) : 0;
  player.textContent = on ? "pause" : "play";
  player.setAttribute("aria-pressed", String(on));
}

const slider = element("input", {
  id: "slider", type: "range", min: 0, max: stops.length - 1, step: 1, "aria-label": "layer", oninput: () => { play(false); go(Number(slider.value)); },
});
const number = element("strong", { id: "where" }), quality = element("p", { id: "quality", role: "status" });
const button = (text, means, act) => element("button", { type: "button", textContent: text, title: means, "aria-label": means, onclick: act });
const back = () => { play(false); go(at - 1); }, on = () => { play(false); go(at + 1); };
const player = button("play", "play through the layers", () => { if (!playing && at === stops.length - 1) go(0, false); play(!playing); });
document.querySelector("aside").prepend(element("div", { className: "layers" },
  element("h3", { textContent: "layer: slide, or press [ and ]" }), slider,
  element("div", { className: "both" }, number, button("[", "one layer back", back), player, button("]", "one layer on", on)), quality));
document.addEventListener("keydown", (event) => {
  const act = { "[": back, "]": on }[event.key];
  if (!act || event.target.matches("input:not([type=range], [type=checkbox])") || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  act();
});
const field = document.getElementById("search");
field.placeholder = "find a word or phrase";
field.setAttribute("aria-label", field.placeholder);
go(page.moving, false);
