// Sound while the film plays at its own speed, in parts of some seconds, each fetched when it is wanted.
import { dress, find, rateOf, remembered } from "./dom.js";
import { film, on, state } from "./state.js";

const PART = 20;
const KEPT = 6;
const parts = new Map();
let context = null;
let playing = null;
let wish = 0;

export const silent = () => remembered.get("sound", "on") === "off";

/** The decoded sound from a frame on; null where there is none. */
function part(frame) {
  if (!parts.has(frame)) {
    const load = fetch(`/api/sound.wav?frame=${frame}&seconds=${PART}&v=${film().version ?? ""}`, { credentials: "same-origin" })
      .then(async (answer) => (answer.ok ? context.decodeAudioData(await answer.arrayBuffer()) : null))
      .catch(() => null);
    parts.set(frame, load);
    if (parts.size > KEPT) parts.delete(parts.keys().next().value);
  }
  return parts.get(frame);
}

/** Play the sound of what is shown from `frame` on, which was shown at `since` (performance.now). */
export async function startSound(frame, since) {
  stopSound();
  if (!film().has_sound || silent()) return;
  const mine = (wish += 1);
  context ??= new AudioContext();
  context.resume();
  const buffer = await part(frame);
  const late = (performance.now() - since) / 1000;
  if (!buffer || mine !== wish || !state.playing || late >= buffer.duration) return;
  playing = context.createBufferSource();
  playing.buffer = buffer;
  playing.connect(context.destination);
  // The next part begins with a frame, and with its time: a part is not as long as its frames.
  const rate = rateOf(film().rate);
  const next = frame + Math.max(1, Math.floor(buffer.duration * rate));
  part(next);
  playing.onended = () => mine === wish && state.playing && startSound(next, since + ((next - frame) / rate) * 1000);
  playing.start(0, Math.max(0, late));
}

export function stopSound() {
  wish += 1;
  if (!playing) return;
  playing.onended = null;
  playing.stop();
  playing = null;
}

function show() {
  const button = find("sound");
  button.hidden = !film().has_sound;
  button.setAttribute("aria-pressed", String(!silent()));
  dress(button, silent() ? "mute" : "sound", silent() ? "Sound is off" : "Sound is on");
}

export function toggleSound() {
  remembered.set("sound", silent() ? "on" : "off");
  if (silent()) stopSound();
  show();
}

export function startSounds() {
  find("sound").addEventListener("click", toggleSound);
  on("project", show);
}
