// Keys for everything, and the list of them.
import { chooseWay, startPicking, usePickedFrame } from "./addhint.js";
import { nextDoubtful } from "./doubts.js";
import { openGrid } from "./grid.js";
import { openDeliver } from "./deliver.js";
import { el, find, iconButton, remembered } from "./dom.js";
import { cancelPreview, startPreview } from "./preview.js";
import { renderFilm } from "./render.js";
import { openSettings } from "./settings.js";
import { cutHere, join, moveCutHere, nudgeCut, nudgeSaturation } from "./shot.js";
import { setTool, state } from "./state.js";
import { toggleSound } from "./sound.js";
import { pause, shuttle, step, stepSecond, stepShot, togglePlay, toShotEdge } from "./transport.js";
import { cycleZoom, MODES, setMode, setWipe, toggleFullscreen } from "./viewer.js";
import { togglePoints } from "./points.js";

/** [keys as the event names them, what the list says, meaning, action]. Letters are small, whatever Caps Lock says; Shift is named. */
const KEYS = [
  ["Film", [
    [["Space"], "Space", "Play, pause", togglePlay],
    [["ArrowLeft"], "←", "One frame back", () => step(-1)],
    [["ArrowRight"], "→", "One frame on", () => step(1)],
    [["Shift+ArrowLeft"], "Shift ←", "One second back", () => stepSecond(-1)],
    [["Shift+ArrowRight"], "Shift →", "One second on", () => stepSecond(1)],
    [["ArrowUp", "PageUp"], "↑", "Shot before", () => stepShot(-1)],
    [["ArrowDown", "PageDown"], "↓", "Next shot", () => stepShot(1)],
    [["Home"], "Home", "First frame of the shot", () => toShotEdge(false)],
    [["End"], "End", "Last frame of the shot", () => toShotEdge(true)],
    [["t"], "T", "All shots, several at once", openGrid],
    [["d"], "D", "Next doubtful shot", nextDoubtful],
    [["j"], "J", "Play back; again: faster", () => shuttle(-1)],
    [["k"], "K", "Pause", pause],
    [["l"], "L", "Play on; again: faster", () => shuttle(1)],
    [["Shift+l"], "Shift L", "Play round and round", () => find("loop").click()],
    [["a"], "A", "Sound on, off", toggleSound],
  ]],
  ["Picture", [
    ...MODES.map((mode) => [[mode.key], mode.key, mode.label, () => setMode(mode.name)]),
    [[","], ",", "Wipe line to the left", () => setWipe(state.wipe - 0.05)],
    [["."], ".", "Wipe line to the right", () => setWipe(state.wipe + 0.05)],
    [["z"], "Z", "Zoom: whole, 100 %, 200 %, 400 %", cycleZoom],
    [["b"], "B", "Gray around the picture", () => find("surround").click()],
    [["f"], "F", "Full screen", toggleFullscreen],
  ]],
  ["Color", [
    [["p"], "P", "Preview the shot", () => startPreview()],
    [["Shift+p"], "Shift P", "Preview from this frame", () => startPreview(true)],
    [["h"], "H", "Add a hint", () => chooseWay("painted", true)],
    [["e"], "E", "Save this frame as PNG", () => find("save-frame").click()],
    [["g"], "G", "Bring a painted frame back", () => find("choose-painted").click()],
    [["Shift+k"], "Shift K", "Pick a frame of another shot", startPicking],
    [["o"], "O", "Set points", togglePoints],
    [["-", "_"], "−", "Less saturation", () => nudgeSaturation(-0.05)],
    [["+", "="], "+", "More saturation", () => nudgeSaturation(0.05)],
    [["n"], "N", "Write a note", () => find("note").focus()],
  ]],
  ["Cuts", [
    [["c"], "C", "Cut at this frame", cutHere],
    [["Shift+j"], "Shift J", "Join with the shot before", join],
    [["m"], "M", "Move the nearest cut to this frame", moveCutHere],
    [["["], "[", "Its cut one frame earlier", () => nudgeCut(-1)],
    [["]"], "]", "Its cut one frame later", () => nudgeCut(1)],
  ]],
  ["Project", [
    [["Ctrl+z"], "Ctrl Z", "Undo", () => find("undo").click()],
    [["Ctrl+Shift+z", "Ctrl+y"], "Ctrl Shift Z", "Redo", () => find("redo").click()],
    [["r"], "R", "Render the film", renderFilm],
    [["Shift+r"], "Shift R", "Deliver: the queue of exports", openDeliver],
    [["s"], "S", "Settings of the film", openSettings],
    [["?"], "?", "This list", () => openHelp()],
    [["Escape"], "Esc", "Cancel what is going on", escape],
  ]],
];
const actions = new Map();
for (const [, rows] of KEYS) for (const [names, , , action] of rows) for (const name of names) actions.set(name, action);

const single = () => remembered.get("keys", "on") !== "off";

function escape() {
  if (state.tool !== null) setTool(null);
  else if (document.activeElement?.matches(TYPED)) document.activeElement.blur();
  else cancelPreview();
}

function openHelp() {
  const dialog = find("help-dialog");
  const body = el("div", { class: "dialogbody" });
  for (const [title, rows] of KEYS) {
    const list = el("dl", { class: "shortcuts" });
    for (const [, shown, meaning] of rows) list.append(el("div", {}, el("dt", {}, ...shown.split(" ").map((part) => el("kbd", { text: part }))), el("dd", { text: meaning })));
    body.append(el("h3", { text: title }), list);
  }
  const box = el("input", { type: "checkbox", checked: single(), on: { change: (event) => remembered.set("keys", event.target.checked ? "on" : "off") } });
  body.append(el("label", { class: "inline check" }, box, "Keys without Ctrl work (switch them off where they get in the way)"));
  dialog.replaceChildren(el("div", { class: "dialoghead" }, el("h2", { id: "help-title", text: "Keys" }), iconButton("close", "Close", () => dialog.close())), body);
  dialog.showModal();
}

const TYPED = 'input:not([type="range"], [type="checkbox"], [type="color"], [type="file"]), textarea, select, [contenteditable]';

/** The button that was clicked last, until keys move the focus. */
let clicked = null;

/** Whether the element has a use of its own for the key. */
function taken(target, key) {
  if (!(target instanceof Element)) return false;
  if (target.closest(TYPED)) return key !== "Escape";
  if (key === "Space" && clicked?.contains(target)) return false; // the mouse has been there: Space plays
  if (key === "Space" || key === "Enter") return Boolean(target.closest("button, a, input, video, summary, [role=slider], [role=option]"));
  if (/^(Shift\+)?(Arrow|Page|Home|End)/.test(key)) return Boolean(target.closest('input[type="range"], [role=slider], [role=listbox], [role=radiogroup], [role=tablist], video'));
  return false;
}

/** A key as `KEYS` names it. Of signs that Shift makes ("?", "+") only the sign counts. */
function nameOf(event, key) {
  const letter = key.length === 1 && key.toLowerCase() !== key.toUpperCase();
  const shift = event.shiftKey && (letter || key.length > 1) ? "Shift+" : "";
  return `${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${shift}${letter ? key.toLowerCase() : key}`;
}

function pressed(event) {
  if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
  if (event.altKey) return;
  const control = event.ctrlKey || event.metaKey;
  const key = event.key === " " ? "Space" : event.key;
  const name = nameOf(event, key);
  const action = actions.get(name);
  if (!action || taken(event.target, name)) return;
  if (!control && key.length === 1 && !single() && key !== "?") return;
  if (key === "Escape" && document.fullscreenElement) return;
  event.preventDefault();
  action();
}

export function startKeys() {
  document.addEventListener("pointerdown", (event) => (clicked = event.target instanceof Element ? event.target.closest("button") : null), { capture: true });
  document.addEventListener("keydown", (event) => event.key === "Tab" && (clicked = null), { capture: true });
  document.addEventListener("keydown", pressed);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && state.tool?.pick !== undefined && !event.defaultPrevented && !(event.target instanceof Element && event.target.closest("button, a, input, textarea, select"))) usePickedFrame();
  });
  find("open-help").addEventListener("click", openHelp);
}
