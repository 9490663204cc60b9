// The panel's head, saturation, cuts and note of the current shot.
import { change, toast } from "./api.js";
import { clock, dress, fill, find, later, plural, say } from "./dom.js";
import { borrowersOf } from "./family.js";
import { ranges } from "./hints.js";
import { currentShot, emit, endOf, filmSaturation, on, saturationOf, shotAt, shotIndexAt, shots, state } from "./state.js";

/** Notes that were typed and are not saved yet, by the start of their shot: no answer of the server overwrites them. */
const drafts = new Map();

function showHead() {
  const shot = currentShot();
  const panel = find("panel");
  panel.toggleAttribute("data-empty", !shot);
  if (!shot) {
    say(find("shot-title"), state.scan?.state === "failed" ? "No shots" : "Looking for shots…");
    say(find("shot-times"), "");
    say(find("shot-returns"), "");
    return;
  }
  say(find("shot-title"), `Shot ${shot.number} of ${shots().length}${state.scan?.state === "running" ? "+" : ""}`);
  const end = shot.end_seconds === null || shot.end_seconds === undefined ? "…" : clock(shot.end_seconds);
  say(find("shot-times"), `${clock(shot.start_seconds)} – ${end} · ${plural(endOf(shot) - shot.start, "frame")} (${shot.start}–${endOf(shot) - 1})`);
  const returns = find("shot-returns");
  const others = borrowersOf(shot).map((one) => one.number);
  const also = others.length ? `Its colors also go to shot${others.length > 1 ? "s" : ""} ${ranges(others)}.` : "Its colors are for no other shot.";
  say(returns, shot.reuses ? `Takes its colors from shot ${shot.reuses}, while it has no hint.` : also);
  returns.title = returns.textContent;
}

function showSaturation() {
  const shot = currentShot();
  const value = saturationOf(shot);
  const own = shot && shot.saturation !== null && shot.saturation !== undefined;
  const slider = find("saturation");
  slider.max = value > 2 ? 4 : 2;
  slider.value = value;
  slider.setAttribute("aria-valuetext", `${value.toFixed(2)} times`);
  if (document.activeElement !== find("saturation-number")) fill(find("saturation-number"), value.toFixed(2));
  find("saturation-reset").disabled = !own;
  say(find("saturation-state"), own ? `This shot's own; the film has ${filmSaturation().toFixed(2)}.` : "As the whole film.");
}

const saveSaturation = later(async (start, value) => {
  await change("PATCH", `/api/shots/${start}`, { json: { saturation: value } });
  if (!saveSaturation.waiting()) state.saturations.delete(start);
  emit("saturation");
}, 350);

/** Show a saturation at once, save it when the hand rests. */
export function setSaturation(value) {
  const shot = currentShot();
  if (!shot || !Number.isFinite(value)) return;
  const limited = Math.round(Math.min(4, Math.max(0, value)) * 100) / 100;
  state.saturations.set(shot.start, limited);
  emit("saturation");
  saveSaturation(shot.start, limited);
}

export const nudgeSaturation = (step) => setSaturation(saturationOf(currentShot()) + step);

async function resetSaturation() {
  const shot = currentShot();
  saveSaturation.cancel();
  state.saturations.delete(shot.start);
  await change("PATCH", `/api/shots/${shot.start}`, { json: { saturation: null } });
  find("saturation").focus();
}

/** The cut that is nearest to the playhead, within the current shot: [its place now, its index among the shots] or null. */
function nearestCut() {
  const index = shotIndexAt(state.frame);
  const shot = shots()[index];
  if (!shot || state.frame === shot.start) return null;
  const behind = shots()[index + 1];
  const own = index > 0 ? shot.start : null;
  const next = behind ? behind.start : null;
  if (own === null && next === null) return null;
  if (own === null || (next !== null && next - state.frame < state.frame - own)) return next;
  return own;
}

function showCuts() {
  const shot = currentShot();
  const index = shotIndexAt(state.frame);
  const open = state.scan?.state === "running";
  const inside = shot && state.frame > shot.start && state.frame < endOf(shot);
  const near = nearestCut();
  find("cut-here").disabled = !inside || open;
  find("join").disabled = !shot || index < 1 || open;
  find("move-here").disabled = near === null || open;
  find("cut-earlier").disabled = !shot || index < 1 || open || shots()[index - 1].start >= shot.start - 1;
  find("cut-later").disabled = !shot || index < 1 || open || shot.start + 1 >= endOf(shot);
  let text = "Go to where the new shot begins.";
  if (open) text = "Cuts can be changed when the film has been scanned.";
  else if (inside) text = `Here, at frame ${state.frame}${near === null ? "." : `; the nearest cut is at ${near}.`}`;
  say(find("cuts-state"), shot ? text : "");
}

/** Change the cuts; the playhead goes to `to` where it is given. */
async function changeCuts(path, json, to = null) {
  const done = await change("POST", `/api/shots/${path}`, { json });
  if (!done) return;
  if (to !== null) emit("go", to);
  emit("changed");
}

export function cutHere() {
  if (!find("cut-here").disabled) changeCuts("cut", { frame: state.frame });
  else if (currentShot()?.start === state.frame) toast("A shot begins with this frame already. Go to the frame that the new shot shall begin with.");
}

export function join() {
  if (find("join").disabled) return;
  const [one, other] = [shots()[shotIndexAt(state.frame) - 1], currentShot()];
  const differ = one.saturation !== other.saturation && one.saturation !== null && other.saturation !== null;
  changeCuts("merge", { start: other.start });
  if (differ) toast(`Saturation of shot ${one.number}, ${one.saturation}, is kept; that of the other was ${other.saturation}.`, { action: { label: "Undo", run: () => find("undo").click() } });
}

/** Move the nearest cut to the playhead. */
export function moveCutHere() {
  const start = nearestCut();
  if (start !== null && !find("move-here").disabled) changeCuts("move", { start, to: state.frame });
}

/** Move the cut that begins this shot by a frame; the playhead goes with it. */
export function nudgeCut(step) {
  if (find(step < 0 ? "cut-earlier" : "cut-later").disabled) return;
  const start = currentShot().start;
  changeCuts("move", { start, to: start + step }, start + step);
}

const saveNote = later((start) => storeNote(start), 900);

async function storeNote(start) {
  const text = drafts.get(start);
  if (text === undefined || !shots().some((shot) => shot.start === start)) return;
  const saved = await change("PATCH", `/api/shots/${start}`, { json: { note: text } });
  if (saved && drafts.get(start) === text) drafts.delete(start);
}

/** Where another tab has moved or taken away a cut, what was typed belongs to the shot that holds its frames now. */
function followCuts() {
  for (const [start, text] of [...drafts]) {
    const holder = shotAt(start);
    if (!holder || holder.start === start) continue;
    drafts.delete(start);
    if (!drafts.has(holder.start)) drafts.set(holder.start, holder.note && !text.includes(holder.note) ? `${holder.note}\n${text}` : text);
  }
}

function showNote() {
  followCuts();
  const shot = currentShot();
  const field = find("note");
  field.disabled = !shot;
  if (!shot) return;
  const changedShot = field.dataset.start !== String(shot.start);
  if (changedShot && field.dataset.start && drafts.has(Number(field.dataset.start))) storeNote(Number(field.dataset.start));
  field.dataset.start = shot.start;
  const text = drafts.get(shot.start) ?? shot.note ?? "";
  if (field.value !== text && (changedShot || !drafts.has(shot.start))) field.value = text;
}

export function startShot() {
  const slider = find("saturation");
  slider.addEventListener("input", () => setSaturation(Number(slider.value)));
  const number = find("saturation-number");
  number.addEventListener("change", () => setSaturation(Number(number.value)));
  number.addEventListener("blur", showSaturation);
  dress(find("saturation-reset"), "reset", "As the whole film");
  find("saturation-reset").addEventListener("click", resetSaturation);
  dress(find("cut-here"), "cut", "Begin a new shot at this frame", { text: "Cut here" });
  dress(find("join"), "join", "Remove the cut that begins this shot", { text: "Join with the one before" });
  dress(find("move-here"), "move", "Move the nearest cut to this frame", { text: "Move cut here" });
  dress(find("cut-earlier"), "prev", "Its cut one frame earlier");
  dress(find("cut-later"), "next", "Its cut one frame later");
  find("cut-here").addEventListener("click", cutHere);
  find("join").addEventListener("click", join);
  find("move-here").addEventListener("click", moveCutHere);
  find("cut-earlier").addEventListener("click", () => nudgeCut(-1));
  find("cut-later").addEventListener("click", () => nudgeCut(1));
  const note = find("note");
  note.addEventListener("input", () => {
    drafts.set(Number(note.dataset.start), note.value);
    saveNote(Number(note.dataset.start));
  });
  note.addEventListener("blur", () => storeNote(Number(note.dataset.start)));
  addEventListener("beforeunload", (event) => drafts.size && event.preventDefault());
  on("project shot scan", () => (showHead(), showSaturation(), showNote()));
  on("saturation", showSaturation);
  on("connected", () => [...drafts.keys()].forEach((start) => storeNote(start)));
  on("project shot frame scan", showCuts);
  showHead();
}
