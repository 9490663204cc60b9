// Standing in the film: steps, play, the scrub bar of the shot, time and frame number.
import { clock, dress, fill, find, rateOf, say } from "./dom.js";
import { covered } from "./frames.js";
import { startSound, stopSound } from "./sound.js";
import { currentShot, emit, endOf, film, frameCount, goTo, goToShot, on, secondsOf, shotIndexAt, shots, state } from "./state.js";

let loop = true;
let begun = null;
/** Times the film's own speed; below 0 it runs back. */
let speed = 1;
const FASTEST = 8;

export const step = (frames) => {
  pause();
  goTo(state.frame + frames);
};
export const stepSecond = (sign) => step(sign * Math.max(1, Math.round(rateOf(film().rate))));

/** The shot before or behind; from within a shot, "before" is its own first frame. */
export function stepShot(sign) {
  pause();
  const index = shotIndexAt(state.frame);
  if (sign < 0 && state.frame > shots()[index]?.start) goTo(shots()[index].start);
  else goToShot(index + sign);
}

export function toShotEdge(end) {
  const shot = currentShot();
  if (!shot) return;
  pause();
  goTo(end ? endOf(shot) - 1 : shot.start);
}

export const togglePlay = () => (state.playing ? pause() : play());

function play(at = 1) {
  if (!state.project) return;
  const idle = !state.playing;
  state.playing = true;
  speed = at;
  begin(performance.now(), state.frame);
  show();
  if (idle) requestAnimationFrame(tick);
}

function begin(at, frame) {
  begun = { at, frame };
  if (speed === 1) startSound(frame, at);
  else stopSound();
}

/** J and L: run back or on; pressed again, twice as fast. */
export function shuttle(sign) {
  const again = state.playing && Math.sign(speed) === sign;
  play(again ? sign * Math.min(FASTEST, 2 * Math.abs(speed)) : sign);
}

export function pause() {
  if (!state.playing) return;
  state.playing = false;
  stopSound();
  show();
  emit("frame");
}

/** Frames that play goes round in: what has a preview if the playhead is there, else the shot. */
function round() {
  const shot = currentShot();
  if (!shot) return [0, frameCount()];
  const part = covered(shot);
  return part && state.frame >= part[0] && state.frame < part[1] && part[1] - part[0] > 1 && state.mode !== "source" ? part : [shot.start, endOf(shot)];
}

function tick(now) {
  if (!state.playing) return;
  const target = begun.frame + Math.trunc(((now - begun.at) / 1000) * rateOf(film().rate) * speed);
  const [first, end] = round();
  if (loop && (target >= end || target < first)) {
    const from = speed > 0 ? first : end - 1;
    begin(now, from);
    goTo(from);
  } else if (target >= frameCount() || target < 0) {
    goTo(target < 0 ? 0 : frameCount() - 1);
    pause();
    return;
  } else goTo(target);
  requestAnimationFrame(tick);
}

function toggleLoop() {
  loop = !loop;
  show();
}

function show() {
  const play = find("play");
  dress(play, state.playing ? "pause" : "play", state.playing ? "Pause" : "Play");
  say(find("speed"), state.playing && speed !== 1 ? `${speed > 0 ? "" : "−"}${Math.abs(speed)}×` : "");
  find("loop").setAttribute("aria-pressed", String(loop));
}

function showFrame() {
  const shot = currentShot();
  say(find("timecode"), clock(secondsOf(state.frame)));
  const number = find("frame-number");
  number.max = frameCount() - 1;
  fill(number, state.frame);
  const scrub = find("scrub");
  const [first, end] = shot ? [shot.start, endOf(shot)] : [0, frameCount()];
  scrub.min = first;
  scrub.max = Math.max(first, end - 1);
  scrub.value = state.frame;
  scrub.setAttribute("aria-valuetext", `frame ${state.frame}, ${clock(secondsOf(state.frame))}`);
  find("prev-shot").disabled = state.frame === 0;
  find("prev-frame").disabled = state.frame === 0;
  find("next-frame").disabled = state.frame >= frameCount() - 1;
  find("next-shot").disabled = shotIndexAt(state.frame) >= shots().length - 1;
  showCoverage(shot, first, end);
}

function showCoverage(shot, first, end) {
  const part = covered(shot);
  const bar = find("coverage");
  if (!part) return bar.replaceChildren();
  const mark = bar.firstElementChild ?? bar.appendChild(document.createElement("i"));
  const length = Math.max(1, end - first);
  mark.style.left = `${((part[0] - first) / length) * 100}%`;
  mark.style.width = `${((part[1] - part[0]) / length) * 100}%`;
  return undefined;
}

export function startTransport() {
  dress(find("prev-shot"), "first", "To the shot before");
  dress(find("prev-frame"), "prev", "One frame back");
  dress(find("next-frame"), "next", "One frame on");
  dress(find("next-shot"), "last", "To the next shot");
  dress(find("loop"), "loop", "Play round and round");
  find("prev-shot").addEventListener("click", () => stepShot(-1));
  find("prev-frame").addEventListener("click", () => step(-1));
  find("next-frame").addEventListener("click", () => step(1));
  find("next-shot").addEventListener("click", () => stepShot(1));
  find("play").addEventListener("click", togglePlay);
  find("loop").addEventListener("click", toggleLoop);
  find("scrub").addEventListener("input", (event) => {
    pause();
    goTo(Number(event.target.value));
  });
  const number = find("frame-number");
  number.addEventListener("change", () => {
    pause();
    if (number.value !== "" && Number.isFinite(Number(number.value))) goTo(Number(number.value));
    number.value = state.frame;
  });
  document.addEventListener("visibilitychange", () => document.hidden && pause());
  on("frame shot project preview", showFrame);
  show();
}
