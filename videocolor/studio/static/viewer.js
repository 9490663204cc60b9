// The picture: the film as it is and in color, one over the other (wipe), beside each other, or alone.
import { dress, el, find, remembered, say } from "./dom.js";
import { colorOf, doubtUrl, picture, sourceUrl, stepHeight } from "./frames.js";
import { emit, film, frameCount, on, saturationOf, currentShot, setTool, state } from "./state.js";

export const MODES = [
  { name: "source", label: "Source", key: "1", tip: "The film as it is" },
  { name: "wipe", label: "Wipe", key: "2", tip: "The film as it is and in color, parted by a line" },
  { name: "side", label: "Side by side", key: "3", tip: "Both beside each other" },
  { name: "color", label: "Color", key: "4", tip: "In color" },
  { name: "chroma", label: "Chroma only", key: "5", tip: "Color alone, at one lightness" },
  { name: "doubt", label: "Doubt", key: "6", tip: "Where the network is unsure of its colors: the brighter, the less sure" },
];
const ZOOMS = [0, 1, 2, 4];
const SURROUNDS = ["dark gray", "black", "middle gray", "white"];

const view = { box: null, zoom: 0, panX: 0, panY: 0, drawing: false, dirty: false, shown: null };
const parts = {};

export function setMode(name) {
  if (state.mode === name) return;
  state.mode = name;
  remembered.set("mode", name);
  emit("mode");
}

export function setWipe(place) {
  state.wipe = Math.min(1, Math.max(0, place));
  layOut();
}

export function cycleZoom() {
  view.zoom = (view.zoom + 1) % ZOOMS.length;
  view.panX = view.panY = 0;
  layOut();
  redraw();
}

function cycleSurround() {
  const next = (Number(parts.stage.dataset.surround) + 1) % SURROUNDS.length;
  parts.stage.dataset.surround = next;
  remembered.set("surround", next);
  dressBar();
}

export function toggleFullscreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else parts.stage.requestFullscreen?.().catch(() => undefined);
}

function dressBar() {
  const zoom = ZOOMS[view.zoom];
  dress(find("zoom"), "zoom", zoom ? `Zoom: ${zoom * 100} %` : "Zoom: whole picture");
  find("zoom").setAttribute("aria-pressed", String(zoom > 0));
  dress(find("surround"), "surround", `Surround: ${SURROUNDS[Number(parts.stage.dataset.surround)]}`);
  dress(find("fullscreen"), "full", "Full screen");
}

export const aspect = () => (film().display_width || film().width || 4) / (film().display_height || film().height || 3);

/** Where a picture stands in the stage, in CSS pixels: {left, top, width, height} of the first and the second. */
function places() {
  const [width, height] = [parts.stage.clientWidth, parts.stage.clientHeight];
  const ratio = aspect();
  const side = state.mode === "side";
  const beside = side && fit(width / 2 - 3, height, ratio).width >= fit(width, height / 2 - 3, ratio).width;
  const [cellWidth, cellHeight] = side ? (beside ? [width / 2 - 3, height] : [width, height / 2 - 3]) : [width, height];
  const box = ZOOMS[view.zoom] ? zoomed() : fit(cellWidth, cellHeight, ratio);
  const keep = (room, size, pan) => (size > room ? Math.min((size - room) / 2, Math.max((room - size) / 2, pan)) : 0);
  view.panX = keep(cellWidth, box.width, view.panX);
  view.panY = keep(cellHeight, box.height, view.panY);
  const place = (x, y) => ({ cell: [x, y, cellWidth, cellHeight], left: (cellWidth - box.width) / 2 + view.panX, top: (cellHeight - box.height) / 2 + view.panY, ...box });
  return [place(0, 0), side ? (beside ? place(width / 2 + 3, 0) : place(0, height / 2 + 3)) : place(0, 0)];
}

const fit = (width, height, ratio) => (width / height > ratio ? { width: height * ratio, height } : { width, height: width / ratio });

function zoomed() {
  const scale = ZOOMS[view.zoom] / devicePixelRatio;
  const height = film().display_height || film().height || 480;
  return { width: height * aspect() * scale, height: height * scale };
}

/** Zoom one step in or out; what is under the pointer stays there. */
function wheelZoom(event) {
  event.preventDefault();
  const next = Math.min(ZOOMS.length - 1, Math.max(0, view.zoom + (event.deltaY < 0 ? 1 : -1)));
  if (next === view.zoom || Math.abs(event.deltaY) < 4) return;
  const at = reach(event);
  view.zoom = next;
  view.panX = view.panY = 0;
  layOut();
  const now = reach(event);
  [view.panX, view.panY] = [(now.x - at.x) * view.box.width, (now.y - at.y) * view.box.height];
  layOut();
  redraw();
}

/** Put panes, wipe line and points where they belong. */
export function layOut() {
  if (!parts.stage) return;
  parts.stage.dataset.mode = state.mode;
  parts.stage.style.setProperty("--aspect", String(aspect()));
  const [first, second] = places();
  const single = state.mode !== "side";
  const hasColor = Boolean(view.shown?.color);
  const both = state.mode === "wipe" && hasColor;
  putPane(parts.paneBefore, parts.before, first);
  putPane(parts.paneAfter, parts.after, second);
  parts.paneBefore.hidden = !(state.mode === "source" || state.mode === "side" || both || !hasColor);
  parts.paneAfter.hidden = state.mode === "source" || !hasColor;
  const x = first.left + first.width * state.wipe;
  parts.paneAfter.style.clipPath = both ? `inset(0 0 0 ${Math.max(0, x)}px)` : "none";
  parts.wipe.hidden = !both;
  if (both) {
    const [top, bottom] = [Math.max(0, first.top), Math.min(first.cell[3], first.top + first.height)];
    Object.assign(parts.wipe.style, { left: `${x}px`, top: `${top}px`, height: `${bottom - top}px` });
    parts.wipe.setAttribute("aria-valuenow", Math.round(state.wipe * 100));
    parts.wipe.setAttribute("aria-valuetext", `${Math.round(state.wipe * 100)} % as it is, the rest in color`);
  }
  const target = single || !hasColor ? first : second;
  view.box = { left: target.cell[0] + target.left, top: target.cell[1] + target.top, width: target.width, height: target.height };
  Object.assign(parts.points.style, { left: `${view.box.left}px`, top: `${view.box.top}px`, width: `${target.width}px`, height: `${target.height}px` });
  parts.stage.classList.toggle("pan", ZOOMS[view.zoom] > 0);
  parts.stage.classList.toggle("zoomed", ZOOMS[view.zoom] > 1);
  dressBar();
}

function putPane(pane, canvas, place) {
  const [x, y, width, height] = place.cell;
  Object.assign(pane.style, { left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` });
  Object.assign(canvas.style, { position: "absolute", left: `${place.left}px`, top: `${place.top}px`, width: `${place.width}px`, height: `${place.height}px` });
}

/** Load and draw the current frame; while one is on its way, the newest wish is remembered and the ones between are left out. */
export async function redraw() {
  view.dirty = true;
  if (view.drawing || !state.project) return;
  view.drawing = true;
  try {
    while (view.dirty) {
      view.dirty = false;
      await drawFrame(state.frame);
    }
  } finally {
    view.drawing = false; // whatever failed: the next frame is drawn again
  }
  prefetch();
}

/** Addresses that the current mode needs for a frame. */
function wanted(frame) {
  const box = places()[0];
  const pixels = box.height * devicePixelRatio;
  const height = stepHeight(state.playing ? Math.min(pixels, 360) : pixels);
  if (state.mode === "doubt") {
    const source = sourceUrl(frame, height);
    return { color: { from: "doubt", old: false, label: "Where the network is unsure: the brighter, the less sure" }, before: source, source, after: doubtUrl(frame, height) };
  }
  const color = state.mode === "source" ? null : colorOf(frame);
  const made = color?.from === "preview" || color?.from === "live"; // they bring the frame as it was along
  const source = made && state.mode !== "side" && state.mode !== "wipe" ? null : sourceUrl(frame, height);
  const before = made && (state.mode === "wipe" || state.mode === "side") ? color.url("before") : source;
  return { color, before, source: sourceUrl(frame, height), after: color?.url(state.mode === "chroma" ? "chroma" : "after", height) };
}

async function drawFrame(frame) {
  const want = wanted(frame);
  const needsBefore = !want.color || state.mode === "wipe" || state.mode === "side" || state.mode === "source";
  const [before, after] = await Promise.all([
    needsBefore ? picture(want.before).catch(() => picture(want.source).catch(() => null)) : null,
    want.after ? picture(want.after).catch(() => null) : null,
  ]);
  const plain = before ?? (after ? null : await picture(want.source).catch(() => null));
  if (plain) paint(parts.before, plain);
  if (after) paint(parts.after, after);
  view.shown = { frame, color: after ? want.color : null, lost: Boolean(want.after && !after) };
  parts.stage.dataset.frame = frame;
  parts.stage.dataset.color = view.shown.color?.from ?? "none";
  if (!view.first && plain) {
    view.first = true;
    performance.mark("studio-first-picture");
  }
  layOut();
  caption();
  if (view.shown.color?.from === "live" && state.live && !state.live.drawn) {
    state.live.drawn = true;
    performance.measure("studio-click", { start: state.live.at });
  }
  if (view.shown.lost && want.color.from === "live") state.live = null;
  if (view.shown.lost && want.color.from === "preview") emit("lost-preview", currentShot()?.start);
  emit("drawn");
}

function paint(canvas, bitmap) {
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
}

/** Fetch what will be asked for next: frames ahead while playing, both neighbors at rest. */
function prefetch() {
  const steps = state.playing ? [1, 2, 3, 4, 5, 6] : [1, -1];
  for (const step of steps) {
    const frame = state.frame + step;
    if (frame < 0 || frame >= frameCount()) continue;
    const want = wanted(frame);
    for (const url of new Set([want.after, !want.color || state.mode === "wipe" || state.mode === "side" ? want.before : null])) {
      if (url) picture(url).catch(() => undefined);
    }
  }
}

function caption() {
  const color = view.shown?.color;
  const shot = currentShot();
  const two = state.mode === "wipe" || state.mode === "side";
  say(find("caption-before"), state.mode === "source" || two || !color ? "Film as it is" : "");
  const saturation = color?.from === "preview" || color?.from === "live" ? `, saturation ${saturationOf(shot).toFixed(2)}` : "";
  say(find("caption-after"), state.mode === "source" || !color ? "" : `${state.mode === "chroma" ? "Chroma only. " : ""}${color.label}${saturation}`);
  find("caption-after").classList.toggle("old", Boolean(color?.old));
  parts.before.setAttribute("aria-label", `Frame ${state.frame} of the film as it is`);
  parts.after.setAttribute("aria-label", `Frame ${state.frame} in color: ${color?.label ?? "none yet"}`);
}

/** The picture's place under the pointer, from its left and top in its own widths and heights; may lie outside 0..1. */
function reach(event) {
  const stage = parts.stage.getBoundingClientRect();
  return { x: (event.clientX - stage.left - view.box.left) / view.box.width, y: (event.clientY - stage.top - view.box.top) / view.box.height };
}

/** The same, and null outside the picture. */
export function placeOf(event) {
  const { x, y } = reach(event);
  return x >= 0 && x <= 1 && y >= 0 && y <= 1 ? { x, y } : null;
}

function dragWipe(event) {
  event.preventDefault();
  parts.wipe.setPointerCapture(event.pointerId);
  parts.wipe.focus();
  const move = (at) => setWipe(reach(at).x);
  const end = () => {
    parts.wipe.removeEventListener("pointermove", move);
  };
  parts.wipe.addEventListener("pointermove", move);
  parts.wipe.addEventListener("pointerup", end, { once: true });
  parts.wipe.addEventListener("pointercancel", end, { once: true });
}

function keyWipe(event) {
  const step = { ArrowLeft: -0.02, ArrowRight: 0.02, ArrowDown: -0.02, ArrowUp: 0.02, PageUp: 0.1, PageDown: -0.1, Home: -1, End: 1 }[event.key];
  if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  setWipe(state.wipe + step * (event.shiftKey ? 5 : 1));
}

/** In a zoomed picture a drag moves it; in a whole one a click moves the wipe line there. */
function pressStage(event) {
  if (event.button !== 0 || state.tool === "points" || state.tool === "dropper" || event.target.closest("button, .wipe")) return;
  if (ZOOMS[view.zoom] === 0) {
    const place = state.mode === "wipe" && view.shown?.color ? placeOf(event) : null;
    if (place && event.pointerType === "mouse") setWipe(place.x);
    return;
  }
  const [x, y, panX, panY] = [event.clientX, event.clientY, view.panX, view.panY];
  parts.stage.setPointerCapture(event.pointerId);
  const move = (at) => {
    [view.panX, view.panY] = [panX + at.clientX - x, panY + at.clientY - y];
    layOut();
  };
  parts.stage.addEventListener("pointermove", move);
  const end = () => parts.stage.removeEventListener("pointermove", move);
  parts.stage.addEventListener("pointerup", end, { once: true });
  parts.stage.addEventListener("pointercancel", end, { once: true });
}

function modeButtons() {
  const choose = (name, focus) => {
    setMode(name);
    if (focus) find("modes").querySelector('[aria-checked="true"]').focus();
  };
  for (const mode of MODES) {
    const button = el("button", { type: "button", role: "radio", id: `mode-${mode.name}`, title: `${mode.tip} (${mode.key})`, text: mode.label, on: { click: () => choose(mode.name) } });
    find("modes").append(button);
  }
  find("modes").addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const index = MODES.findIndex((mode) => mode.name === state.mode);
    choose(MODES[(index + step + MODES.length) % MODES.length].name, true);
  });
  const show = () => {
    for (const button of find("modes").children) {
      const chosen = button.id === `mode-${state.mode}`;
      button.setAttribute("aria-checked", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
    }
  };
  on("mode", show);
  show();
}

export function startViewer() {
  Object.assign(parts, { stage: find("stage"), before: find("before"), after: find("after"), paneBefore: find("pane-before"), paneAfter: find("pane-after"), wipe: find("wipe"), points: find("points-layer") });
  parts.stage.dataset.surround = remembered.get("surround", "0");
  const mode = remembered.get("mode", "wipe");
  if (MODES.some((known) => known.name === mode)) state.mode = mode;
  modeButtons();
  parts.wipe.addEventListener("pointerdown", dragWipe);
  parts.wipe.addEventListener("keydown", keyWipe);
  parts.stage.addEventListener("pointerdown", pressStage);
  parts.stage.addEventListener("wheel", wheelZoom, { passive: false });
  find("zoom").addEventListener("click", cycleZoom);
  find("surround").addEventListener("click", cycleSurround);
  find("fullscreen").addEventListener("click", toggleFullscreen);
  find("color-from").addEventListener("change", (event) => {
    state.colorFrom = event.target.value;
    redraw();
  });
  new ResizeObserver(() => (layOut(), redraw())).observe(parts.stage);
  on("frame mode preview project saturation render live", redraw);
  on("mode", () => state.tool === "points" && state.mode === "side" && setTool(null));
  layOut();
}
