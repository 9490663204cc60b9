// What each point governs, as the engine computes it; points that contradict each other; strokes while they are drawn.
import { call } from "./api.js";
import { el } from "./dom.js";
import { emit } from "./state.js";
import { placeOf } from "./viewer.js";

/** How far a color reaches: value, label, what it means. */
export const REACHES = [
  ["here", "Here", "The place alone"],
  ["thing", "This thing", "The thing it is on, to its edges"],
  ["alike", "Everything alike", "Everything in this shot that looks alike"],
  ["keep", "Keep as it is", "A pin: this thing keeps the color it has without points"],
];
/** How a color is put down. */
export const WAYS = [["dot", "Point"], ["brush", "Brush"], ["lasso", "Lasso"]];
const LONGEST = 200;

export const pinned = (point) => point.reach === "keep";
export const nameOf = (point, index) => `${pinned(point) ? "Pin" : point.filled ? "Area" : point.path?.length ? "Stroke" : "Point"} ${index + 1}`;

const known = { key: "", answer: null };
const keyOf = (frame, points) => JSON.stringify([frame, points]);

async function ask(frame, points) {
  const key = keyOf(frame, points);
  const answer = await call("POST", "/api/live/regions", { json: { frame, points } }).catch(() => null); // the click complains
  if (!answer) return;
  Object.assign(known, { key, answer });
  emit("regions");
}

let waiting = 0;

/** Ask what these points govern, unless that is known; "regions" is told when it is. */
export function askRegions(frame, points) {
  clearTimeout(waiting);
  if (points.length && known.key !== keyOf(frame, points)) waiting = setTimeout(ask, 250, frame, points);
}

/** Numbers of the points that say another color of the same thing. */
export function contradicted(frame, points, index) {
  if (known.key !== keyOf(frame, points)) return [];
  return known.answer.contradictions.filter((pair) => pair.includes(index)).map(([a, b]) => (a === index ? b : a));
}

/** Darken everything that a point does not govern, and draw where it governs half. */
export function drawRegion(canvas, frame, points, index) {
  const data = index >= 0 && known.key === keyOf(frame, points) ? known.answer.regions[index] : "";
  canvas.hidden = !data;
  if (!data) return;
  const { width, height } = known.answer;
  Object.assign(canvas, { width, height });
  const picture = new ImageData(width, height);
  const shares = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const edge = (place, beside) => beside < shares.length && shares[place] >= 128 !== shares[beside] >= 128;
  for (let place = 0; place < shares.length; place += 1) {
    const line = edge(place, place + width) || ((place + 1) % width && edge(place, place + 1));
    picture.data.set(line ? [255, 207, 64, 255] : [0, 0, 0, Math.round(0.6 * (255 - shares[place]))], 4 * place);
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

/** Strokes and outlines of points, and of the one that is being drawn. */
export function drawPaths(svg, points) {
  const paths = points.filter((point) => point.path?.length).map((point) => {
    const steps = [[point.x, point.y], ...point.path].map(([x, y]) => `${(100 * x).toFixed(2)},${(100 * y).toFixed(2)}`);
    return `M${steps.join("L")}${point.filled ? "Z" : ""}`;
  });
  if (svg.dataset.paths === paths.join(" ")) return;
  svg.dataset.paths = paths.join(" ");
  svg.replaceChildren(...paths.flatMap((d) => ["under", "over"].map((name) => {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", d);
    path.setAttribute("class", name);
    return path;
  })));
}

/** Follow the pointer from `event` on; `done` gets the places, [x, y] each, thinned out to as many as are kept. */
export function follow(layer, event, moved, done) {
  const { x, y } = placeOf(event);
  const path = [[x, y]];
  layer.setPointerCapture(event.pointerId);
  const move = (at) => {
    const place = placeOf(at);
    const [lastX, lastY] = path.at(-1);
    if (!place || Math.hypot(place.x - lastX, place.y - lastY) < 0.004) return;
    path.push([place.x, place.y]);
    moved(path);
  };
  const end = (at) => {
    layer.removeEventListener("pointermove", move);
    layer.removeEventListener("pointerup", end);
    layer.removeEventListener("pointercancel", end);
    const step = Math.ceil(path.length / LONGEST);
    done(at.type === "pointerup" ? path.filter((_, index) => index % step === 0) : []);
  };
  layer.addEventListener("pointermove", move);
  layer.addEventListener("pointerup", end);
  layer.addEventListener("pointercancel", end);
}

/** A row of buttons of which one is pressed. */
export function createChoice(label, choices, chosen) {
  const buttons = choices.map(([value, text, title = text]) => el("button", { type: "button", title, "data-value": value, on: { click: () => chosen(value) } }, text));
  return {
    node: el("div", { class: "choice", role: "group", "aria-label": label }, ...buttons),
    show: (value) => buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.value === value))),
  };
}
