// The preview of a shot: start, progress, cancel; which previews are still true after a change.
import { call, complain, settled } from "./api.js";
import { dress, find, plural, rateOf, remembered, say } from "./dom.js";
import { covered } from "./frames.js";
import { estimate, kindOf, learn } from "./pace.js";
import { currentShot, emit, endOf, film, goTo, on, secondsOf, shotAt, state } from "./state.js";
import { aspect } from "./viewer.js";

const WAKE = 700;
/** As the server has them: previews.py. */
const [MOST_SECONDS, MOST_BYTES] = [60, 512 * 2 ** 20];
const LINES = [240, 480, 720];
let running = null;
let asking = false;
let watch = 0;
/** What each preview was asked with, by its id: {lines, kind}. */
const wishes = new Map();
/** Shots that a change is to be shown in -> {from: first frame}; the newest is filled first. */
const unfilled = new Map();

const current = () => state.previews.get(currentShot()?.start) ?? null;

/** Seconds and lines of a preview: the whole shot at the height of the stage, as far as the server's memory goes. */
function extent(shot, from) {
  const [length, height] = [find("preview-seconds").value, find("preview-lines").value];
  const seconds = length === "shot" ? Math.min(MOST_SECONDS, Math.max(0.1, secondsOf(endOf(shot)) - secondsOf(from))) : Number(length);
  if (height !== "stage") return { seconds, lines: Number(height) };
  const seen = find("stage").clientHeight * devicePixelRatio;
  const frames = seconds * rateOf(film().rate);
  const fits = LINES.filter((lines) => 3 * lines * lines * aspect() * frames <= MOST_BYTES);
  return { seconds, lines: fits.find((lines) => lines >= seen) ?? fits.at(-1) ?? LINES[0] };
}

/** Color the current shot for a look: from its first frame, or from the one that is shown. */
export async function startPreview(here = false) {
  const shot = currentShot();
  if (!shot || asking) return;
  await begin(shot, here ? state.frame : shot.start, true);
  const part = state.previews.get(shot.start);
  if (part && currentShot()?.start === shot.start && (state.frame < part.first || state.frame >= part.first + Math.max(1, part.count))) goTo(part.first);
}

async function begin(shot, start, asked) {
  asking = true;
  const json = { shot: shot.start, start, ...extent(shot, start) };
  show();
  try {
    await settled(); // else it would not show the last change
    const kind = kindOf(shot);
    const begun = await call("POST", "/api/preview", { json });
    wishes.set(begun.id, { lines: json.lines, kind });
    took(begun);
  } catch (error) {
    unfilled.delete(shot.start);
    if (asked || ![404, 409].includes(error.status)) complain(error); // a shot that is gone again by now
  } finally {
    asking = false;
    show();
  }
}

/** Show a change in the shot that is shown: in the background, before shots that changed earlier. */
function fill() {
  const shot = currentShot();
  if (!shot) return;
  unfilled.delete(shot.start);
  const beyond = secondsOf(state.frame) - secondsOf(shot.start) >= extent(shot, shot.start).seconds;
  unfilled.set(shot.start, { from: beyond ? state.frame : shot.start });
  fillNext();
}

async function fillNext() {
  const newest = [...unfilled].at(-1);
  if (!newest || asking || !find("preview-auto").checked) return;
  const shot = shotAt(newest[0]);
  if (shot?.start === newest[0]) await begin(shot, newest[1].from, false);
  else unfilled.delete(newest[0]);
  if ([...unfilled].at(-1)?.[1] !== newest[1]) fillNext(); // changed meanwhile
}

export async function cancelPreview() {
  if (!running) return false;
  const id = running;
  unfilled.clear();
  try {
    await call("DELETE", `/api/preview/${id}`);
    if (running === id) took({ ...[...state.previews.values()].find((one) => one.id === id), state: "cancelled" });
  } catch (error) {
    complain(error);
  }
  return true;
}

/** Take over a preview's status, from an answer or from an event. */
export function took(preview) {
  if (!preview?.id) return;
  const wish = wishes.get(preview.id);
  state.previews.set(preview.shot, { lines: wish?.lines, ...preview });
  if (preview.state === "running") running = preview.id;
  else if (running === preview.id) running = null;
  if (preview.state === "done" && wish && !preview.reused) learn(wish.kind, wish.lines, preview);
  if (["done", "failed"].includes(preview.state) && !preview.stale) {
    unfilled.delete(preview.shot);
    setTimeout(fillNext);
  }
  clearTimeout(watch);
  if (running) watch = setTimeout(check, WAKE * 4);
  emit("preview");
}

/** Events may be lost where a browser sleeps: ask when none came for long. */
async function check() {
  if (!running) return;
  try {
    took(await call("GET", `/api/preview/${running}`));
  } catch (error) {
    running = null;
    if (error.status !== 404) complain(error);
    emit("preview");
  }
}

/** Ask whether the preview of this shot still shows what the project says; gone ones are forgotten. */
let checked = "";
async function verify() {
  const preview = current();
  if (!preview || preview.state === "running") return;
  const mark = `${preview.id}@${state.project.revision}`;
  if (checked === mark) return;
  checked = mark;
  try {
    const now = await call("GET", `/api/preview/${preview.id}`);
    if (state.previews.get(preview.shot)?.id === preview.id) took({ ...preview, ...now });
  } catch (error) {
    if (error.status === 404) forget(preview.shot);
  }
}

function forget(start) {
  if (state.previews.delete(start)) emit("preview");
}

/** About how long the preview of a shot will take. */
function about(shot) {
  const part = extent(shot, shot.start);
  const frames = Math.min(endOf(shot) - shot.start, Math.ceil(part.seconds * rateOf(film().rate)));
  const seconds = estimate(kindOf(shot), part.lines, frames);
  return `about ${seconds < 10 ? Math.max(1, Math.round(seconds)) : 5 * Math.round(seconds / 5)} s`;
}

function stateText(preview, shot) {
  if (asking && !running) return `Takes ${about(shot)}…`;
  if (!preview) return shot ? `Takes ${about(shot)}.` : "";
  const seconds = Number.isFinite(preview.seconds) ? `, ${preview.seconds.toFixed(1)} s` : "";
  if (preview.state === "running") {
    if (!preview.done) return `Takes ${about(shot)}…`;
    return `${preview.done} of ${plural(preview.count, "frame")}${seconds}`;
  }
  if (preview.state === "failed") return preview.error || "The preview failed.";
  if (preview.state === "cancelled") return `Cancelled after ${plural(preview.done, "frame")}.`;
  if (preview.stale) return `Changed since: preview again, ${about(shot)}.`;
  return `${plural(preview.count, "frame")}${preview.reused ? ", nothing had to be colored again" : seconds}`;
}

function show() {
  const preview = current();
  const shot = currentShot();
  const active = Boolean(running) || asking;
  const mine = preview && preview.id === running;
  find("preview").disabled = !shot || asking;
  dress(find("preview"), "play", "Color this shot for a look", { text: preview?.stale ? "Preview again" : "Preview shot" });
  find("preview-here").disabled = !shot || asking;
  find("preview-cancel").hidden = !active;
  find("preview-here").hidden = active;
  const bar = find("preview-progress");
  bar.hidden = !mine;
  if (mine) {
    bar.max = Math.max(1, preview.count);
    bar.value = preview.done;
  }
  const other = running && !mine ? [...state.previews.values()].find((one) => one.id === running) : null;
  const words = find("preview-state");
  words.classList.toggle("error", preview?.state === "failed");
  words.title = words.textContent;
  say(words, other ? `Previewing shot ${shotAt(other.shot)?.number ?? ""}…` : stateText(preview, shot));
  message(preview, shot);
}

/** What stands over the picture where there is no color yet. */
function message(preview, shot) {
  const box = find("stage-message");
  if (box.dataset.kind === "pick" && !box.hidden) return;
  const stage = find("stage");
  const drawn = stage.dataset.frame === String(state.frame); // else it speaks of the frame before
  const needed = shot && drawn && state.mode !== "source" && stage.dataset.color === "none" && !asking && !state.playing;
  const part = covered(shot);
  const loading = part && state.frame >= part[0] && state.frame < part[1]; // its picture is being fetched
  const waits = loading || (preview?.state === "running" && (!part || state.frame >= part[1]));
  box.dataset.kind = "color";
  box.hidden = !needed || state.tool !== null;
  if (box.hidden) return;
  box.classList.add("quiet");
  const text = waits ? "Its color is on the way…" : part ? `Only frames ${part[0]}–${part[1] - 1} have a preview.` : "No color yet: preview the shot.";
  if (box.textContent !== text) {
    const words = document.createElement("span");
    words.textContent = text;
    box.replaceChildren(words);
  }
}

export function startPreviews() {
  for (const name of ["preview-seconds", "preview-lines"]) {
    const field = find(name);
    const kept = remembered.get(name);
    if ([...field.options].some((option) => option.value === kept)) field.value = kept;
    field.addEventListener("change", () => (remembered.set(name, field.value), show()));
  }
  const auto = find("preview-auto");
  auto.checked = remembered.get("preview-auto", "yes") === "yes";
  auto.addEventListener("change", () => remembered.set("preview-auto", auto.checked ? "yes" : "no"));
  find("preview").addEventListener("click", () => startPreview());
  find("preview-here").addEventListener("click", () => startPreview(true));
  find("preview-cancel").addEventListener("click", cancelPreview);
  on("changed", () => auto.checked && fill());
  on("lost-preview", forget);
  on("project shot preview mode drawn tool frame", show);
  on("project shot", verify);
  show();
}
