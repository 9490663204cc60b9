// Points: click things in the picture and say what color they were. By mouse, by finger or by keys.
// A chosen color is for the next point; it changes a set one only while that is picked.
import { call, complain, toast } from "./api.js";
import { clock, dress, el, find, keyed } from "./dom.js";
import { forgetLive, prepare, recolor } from "./live.js";
import { createPalettes } from "./palettes.js";
import { anyUnsaved, pointsHint, saveNow, savePoints, startPointStore, unsavedPoints, valueOf } from "./pointstore.js";
import { askRegions, contradicted, createChoice, drawPaths, drawRegion, follow, nameOf, pinned, REACHES, WAYS } from "./regions.js";
import { emit, goTo, on, secondsOf, setTool, state } from "./state.js";
import { createSwatches, lumaAt, readLuma, shadeOf, swatchKey, SWATCHES } from "./swatches.js";
import { placeOf } from "./viewer.js";
import { pause } from "./transport.js";

/** Share of the picture's height; measured, see docs/guides/hints.md. */
const RADIUS = 0.035;
/** The same of the outline of an area. */
const OUTLINE = 0.004;

const draft = { frame: null, points: [], picked: -1, newest: -1, fresh: -1, color: SWATCHES[0][0], radius: RADIUS, reach: "thing", way: "dot", over: -1, aim: null, hover: null };
const ui = {};

/** Take up the points of the frame that is shown; those that are not saved yet before those of the server. */
function load() {
  if (state.tool === "dropper") return;
  const points = unsavedPoints(state.frame) ?? pointsHint(state.frame)?.points ?? [];
  if (draft.frame === state.frame && draft.points.map(valueOf).join() === points.map(valueOf).join()) return;
  if (anyUnsaved()) saveNow();
  if (draft.frame === state.frame) forgetLive(); // undone, or changed elsewhere
  Object.assign(draft, { frame: state.frame, points, picked: -1, newest: -1, aim: null, hover: null });
}

function changed() {
  recolor(draft.frame, draft.points);
  askRegions(draft.frame, draft.points);
  savePoints(draft.frame, draft.points);
  show();
}

function add(x, y, more = {}) {
  draft.points = [...draft.points, { x: round(x), y: round(y), color: draft.color, radius: draft.radius, reach: draft.reach, ...more }];
  draft.picked = -1;
  draft.newest = draft.fresh = draft.points.length - 1; // its color is to be seen first, not its region
  changed();
}

function alter(index, fields) {
  draft.points = draft.points.map((point, place) => (place === index ? { ...point, ...fields } : point));
  changed();
}

/** Move a point, and its stroke with it. */
function moveTo(index, x, y) {
  const point = draft.points[index];
  const [across, down] = [round(x) - point.x, round(y) - point.y];
  alter(index, { x: round(x), y: round(y), ...(point.path?.length ? { path: point.path.map(([px, py]) => [round(px + across), round(py + down)]) } : {}) });
}

/** Put down a stroke, or an outline that is filled. */
function draw(event) {
  const filled = draft.way === "lasso";
  follow(ui.layer, event, (path) => drawPaths(ui.paths, [...draft.points, { x: path[0][0], y: path[0][1], path: path.slice(1), filled }]), (path) => {
    if (path.length > (filled ? 2 : 0)) {
      const [[x, y], ...rest] = path;
      add(x, y, { path: rest.map(([px, py]) => [round(px), round(py)]), ...(filled ? { filled, radius: OUTLINE } : {}) });
    } else show();
  });
}

function removePoint(index) {
  draft.points = draft.points.filter((_, place) => place !== index);
  draft.picked = draft.newest = -1;
  changed();
  (ui.layer.querySelectorAll(".point")[Math.min(index, draft.points.length - 1)] ?? ui.layer).focus();
}

const round = (value) => Math.round(Math.min(1, Math.max(0, value)) * 10000) / 10000;

function setColor(color) {
  draft.color = color;
  if (draft.picked >= 0) alter(draft.picked, { color });
  else show();
}

/** Pick a point, or let it go: while it is picked, a color or a size changes it. */
function pick(index) {
  draft.picked = index === draft.picked ? -1 : index;
  show();
}

/** How far the picked point reaches, or the next one. */
function setReach(reach) {
  draft.reach = reach;
  if (draft.picked >= 0) alter(draft.picked, { reach });
  else show();
}

function setWay(way) {
  draft.way = way;
  show();
}

function setRadius(radius) {
  draft.radius = radius;
  if (draft.picked >= 0) alter(draft.picked, { radius });
  else show();
}

/** The color of a frame where it is known: what was clicked in the picture becomes the color of the next point. */
async function dropAt(place) {
  const home = draft.frame;
  try {
    const found = await call("GET", "/api/color", { query: { frame: state.frame, x: round(place.x), y: round(place.y) } });
    goTo(home); // first, for the tool takes up the points of the frame that is shown
    setTool("points");
    setColor(found.color);
  } catch (error) {
    if (error.status === 404) toast("No color is known for this frame yet. Preview its shot first.", { error: true });
    else complain(error);
  }
}

function press(event) {
  if (event.button !== 0 || event.target.closest(".point")) return;
  const place = placeOf(event);
  if (!place) return;
  event.preventDefault();
  event.stopPropagation();
  ui.layer.focus();
  if (state.tool === "dropper") dropAt(place);
  else if (draft.way !== "dot") draw(event);
  else add(place.x, place.y);
}

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function keyLayer(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = STEPS[event.key];
  const index = event.target.classList.contains("point") ? [...ui.layer.querySelectorAll(".point")].indexOf(event.target) : -1;
  const size = event.shiftKey ? 0.05 : 0.01;
  if (step && index >= 0) {
    const point = draft.points[index];
    moveTo(index, point.x + step[0] * size, point.y + step[1] * size);
  } else if (step) {
    const from = draft.aim ?? { x: 0.5, y: 0.5 };
    draft.aim = { x: round(from.x + step[0] * size), y: round(from.y + step[1] * size) };
    show();
  } else if ((event.key === "Enter" || event.key === " ") && index < 0) {
    const aim = draft.aim ?? { x: 0.5, y: 0.5 };
    draft.aim = aim;
    if (state.tool === "dropper") dropAt(aim);
    else add(aim.x, aim.y);
  } else if (event.key === "Enter" || event.key === " ") pick(index);
  else if (event.key === "Escape" && draft.picked >= 0) pick(draft.picked);
  else if ((event.key === "Delete" || event.key === "Backspace") && index >= 0) removePoint(index);
  else return;
  event.preventDefault();
  event.stopPropagation();
}

function hoverPoint(index) {
  draft.over = index;
  showRegion();
}

/** Show what the point under the pointer, or the picked one, governs. */
function showRegion() {
  const index = state.tool === "points" ? (draft.over >= 0 ? draft.over : draft.picked) : -1;
  drawRegion(ui.region, draft.frame, draft.points, index);
}

function createPoint() {
  const button = el("button", { type: "button", class: "point" });
  const indexOf = () => Number(button.dataset.key);
  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || state.tool !== "points") return;
    event.stopPropagation();
    button.setPointerCapture(event.pointerId);
    const from = [event.clientX, event.clientY];
    let moved = false;
    const move = (at) => {
      moved ||= Math.hypot(at.clientX - from[0], at.clientY - from[1]) > 3;
      const place = moved ? placeOf(at) : null;
      if (place) moveTo(indexOf(), place.x, place.y);
    };
    button.addEventListener("pointermove", move);
    const end = () => (button.removeEventListener("pointermove", move), show());
    button.addEventListener("pointerup", () => (end(), moved || pick(indexOf())), { once: true });
    button.addEventListener("pointercancel", end, { once: true });
  });
  button.addEventListener("focus", () => {
    draft.newest = indexOf();
    if (button.matches(":focus-visible")) hoverPoint(indexOf());
    show();
  });
  button.addEventListener("blur", () => hoverPoint(-1));
  button.addEventListener("pointerenter", () => indexOf() !== draft.fresh && hoverPoint(indexOf()));
  button.addEventListener("pointerleave", () => hoverPoint(-1));
  return button;
}

function showLayer() {
  const active = state.tool === "points" || state.tool === "dropper";
  ui.layer.hidden = !active;
  find("stage").classList.toggle("aim", active);
  if (!active) return;
  const here = state.tool === "points";
  keyed(ui.marks, here ? draft.points : [], (point) => draft.points.indexOf(point), createPoint, (button, point, index) => {
    Object.assign(button.style, { left: `${point.x * 100}%`, top: `${point.y * 100}%`, backgroundColor: pinned(point) ? "" : shadeOf(point.color, lumaAt(point)) });
    button.classList.toggle("pin", pinned(point));
    button.classList.toggle("contrary", contradicted(draft.frame, draft.points, index).length > 0);
    button.setAttribute("aria-pressed", String(index === draft.picked));
    button.setAttribute("aria-label", `${nameOf(point, index)}: ${pinned(point) ? "keeps this thing as it is" : point.color}, ${Math.round(point.x * 100)} % from the left, ${Math.round(point.y * 100)} % from the top. Enter picks it, arrow keys move it, Delete removes it.`);
  });
  drawPaths(ui.paths, here ? draft.points : []);
  showRegion();
  const ring = draft.points[draft.picked >= 0 ? draft.picked : draft.newest];
  ui.ring.hidden = !here || !ring || Boolean(ring.path?.length);
  if (ring) {
    const height = ui.layer.clientHeight;
    Object.assign(ui.ring.style, { left: `${ring.x * 100}%`, top: `${ring.y * 100}%`, width: `${2 * ring.radius * height}px`, height: `${2 * ring.radius * height}px` });
  }
  ui.cross.hidden = !draft.aim;
  if (draft.aim) Object.assign(ui.cross.style, { left: `${draft.aim.x * 100}%`, top: `${draft.aim.y * 100}%` });
  ui.layer.setAttribute("aria-label", here ? "Points. Digits choose a color, arrow keys move the cross, Enter sets a point, Escape ends." : "Eyedropper. Arrow keys move the cross, Enter takes the color, Escape ends.");
}

function showEditor() {
  const active = state.tool === "points" || state.tool === "dropper";
  ui.toggle.setAttribute("aria-pressed", String(active));
  dress(ui.toggle, "points", active ? "End setting points" : "Set points in this frame", { text: active ? "Done" : "Set points" });
  ui.tools.hidden = !active;
  ui.dropper.setAttribute("aria-pressed", String(state.tool === "dropper"));
  const picked = draft.points[draft.picked];
  ui.picker.value = picked?.color ?? draft.color;
  const radius = picked?.radius ?? draft.radius;
  ui.reach.show(picked?.reach ?? (picked ? "thing" : draft.reach));
  ui.way.show(draft.way);
  ui.radius.value = radius * 100;
  ui.radius.setAttribute("aria-valuetext", `${(radius * 100).toFixed(1)} % of the height`);
  const place = picked ?? draft.hover ?? draft.aim;
  const luma = place ? lumaAt({ radius, ...place }) : null;
  ui.swatches.show(ui.picker.value, luma);
  ui.palettes.show(ui.picker.value, luma);
  ui.state.textContent =
    state.tool === "dropper"
      ? `Go to any frame in color and click what you want. The color is for frame ${draft.frame}.`
      : picked ? `Point ${draft.picked + 1} is picked: a color, a size or a reach changes it. Escape lets it go.`
      : draft.points.length ? `Points of frame ${draft.frame}, ${clock(secondsOf(draft.frame))}:` : "Choose a color, then click in the picture.";
  keyed(ui.list, draft.points, (point) => draft.points.indexOf(point), () => el("li", {}, el("span", { class: "chip" }), el("span", { class: "mono" }), el("button", { type: "button", class: "icon" }), el("button", { type: "button", class: "icon danger" })), (row, point, index) => {
    const [chip, text, edit, drop] = row.children;
    const shade = shadeOf(point.color, lumaAt(point));
    const contrary = contradicted(draft.frame, draft.points, index).map((other) => other + 1);
    chip.style.backgroundColor = pinned(point) ? "" : shade;
    chip.classList.toggle("pin", pinned(point));
    text.textContent = pinned(point) ? "kept as it is" : shade === point.color ? point.color : `${point.color}, here ${shade}`;
    if (contrary.length) text.append(el("span", { class: "contrary", text: `contradicts ${contrary.join(", ")}` }));
    row.onpointerenter = () => hoverPoint(index);
    row.onpointerleave = () => hoverPoint(-1);
    dress(edit, "points", `Pick point ${index + 1}, to change it`);
    edit.setAttribute("aria-pressed", String(index === draft.picked));
    edit.onclick = () => pick(index);
    dress(drop, "trash", `Remove point ${index + 1}`);
    drop.onclick = () => removePoint(index);
  });
}

function show() {
  if (state.tool === "points") readLuma();
  showLayer();
  showEditor();
}

export function togglePoints() {
  const active = state.tool === "points" || state.tool === "dropper";
  if (active) {
    setTool(null);
    return;
  }
  pause();
  emit("way", "points");
  setTool("points");
  ui.layer.focus();
}

function toggleDropper() {
  if (state.tool === "dropper") goTo(draft.frame);
  setTool(state.tool === "dropper" ? "points" : "dropper");
  ui.layer.focus();
}

function build() {
  const editor = find("points-editor");
  ui.toggle = el("button", { type: "button", id: "set-points", "aria-pressed": "false", "data-key": "O", on: { click: togglePoints } });
  ui.picker = el("input", { type: "color", value: draft.color, "aria-label": "Color of the point", on: { input: (event) => setColor(event.target.value) } });
  ui.dropper = dress(el("button", { type: "button", id: "dropper", "aria-pressed": "false", on: { click: toggleDropper } }), "dropper", "Take a color from any frame that has one", { text: "Eyedropper" });
  ui.swatches = createSwatches(setColor);
  ui.palettes = createPalettes(setColor);
  ui.radius = el("input", { type: "range", min: 1, max: 15, step: 0.5, "aria-label": "Size of the point", on: { input: (event) => setRadius(Number(event.target.value) / 100) } });
  ui.way = createChoice("What a click puts down", WAYS, setWay);
  ui.reach = createChoice("How far the color reaches", REACHES, setReach);
  ui.state = el("p", { class: "explain", role: "status" });
  ui.list = el("ul", { class: "pointlist" });
  ui.tools = el("div", { class: "pointtools" }, ui.swatches.row, ui.swatches.name, ui.palettes.node, el("div", { class: "row" }, ui.picker, ui.dropper), ui.way.node, el("label", { class: "inline" }, "Size ", ui.radius), ui.reach.node, ui.state, ui.list);
  editor.append(el("div", { class: "pointtools" }, el("div", { class: "row" }, ui.toggle), ui.tools));
  ui.layer = find("points-layer");
  ui.marks = el("div");
  ui.ring = el("div", { class: "pointring" });
  ui.cross = el("div", { class: "aimcross" });
  ui.region = el("canvas", { class: "region", hidden: true });
  ui.paths = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, value] of [["class", "paths"], ["viewBox", "0 0 100 100"], ["preserveAspectRatio", "none"], ["aria-hidden", "true"]]) ui.paths.setAttribute(name, value);
  ui.layer.append(ui.region, ui.paths, ui.ring, ui.marks, ui.cross);
  ui.layer.tabIndex = 0;
  ui.layer.setAttribute("role", "application");
}

/** While points are set, digits choose colors wherever nobody types. */
function keySwatch(event) {
  const color = state.tool === "points" && !document.querySelector("dialog[open]") ? swatchKey(event) : null;
  if (!color || (event.target instanceof Element && event.target.closest('input:not([type="range"], [type="color"]), textarea, select'))) return;
  event.preventDefault();
  event.stopPropagation();
  setColor(color);
}

export function startPoints() {
  build();
  startPointStore();
  ui.layer.addEventListener("pointerdown", press);
  ui.layer.addEventListener("keydown", keyLayer);
  ui.layer.addEventListener("pointermove", (event) => {
    if (!event.target.closest(".point")) draft.fresh = -1;
    draft.hover = placeOf(event);
    showEditor();
  });
  ui.layer.addEventListener("pointerleave", () => {
    draft.hover = null;
    showEditor();
  });
  document.addEventListener("keydown", keySwatch, { capture: true });
  on("shades regions", show);
  on("frame project saved", () => {
    load();
    show();
  });
  on("frame tool", () => {
    if (state.tool !== "points") return;
    prepare();
    askRegions(draft.frame, draft.points);
  });
  on("tool", () => {
    if (state.tool !== "points" && state.tool !== "dropper") {
      if (anyUnsaved()) saveNow();
      draft.picked = draft.newest = -1;
      draft.aim = draft.hover = null;
    }
    load();
    show();
  });
  on("drawn", showLayer);
  show();
}
