// About how long a preview takes: learned from those that were made here, by what the shot has and by its lines.
import { hints } from "./state.js";
import { remembered } from "./dom.js";

/** Seconds until the first frame, and of each further one at 240 lines, until one was made: two cores, 480 lines. */
const USUAL = { none: [0.6, 0.005], style: [1, 0.012], painted: [1.4, 0.014] };
/** Fewer frames say too little. */
const FEWEST = 5;

/** What colors a shot: nothing given, points or other pictures, or a painted frame of its own. */
export function kindOf(shot) {
  const given = hints().filter((hint) => hint.enabled && hint.shots.includes(shot.start));
  return given.some((hint) => hint.kind === "painted") ? "painted" : given.length ? "style" : "none";
}

const nameOf = (kind, lines) => `pace-${kind}-${lines}`;

function known(kind, lines) {
  const kept = (remembered.get(nameOf(kind, lines)) ?? "").split(" ").map(Number);
  return kept.length === 2 && kept.every(Number.isFinite) ? kept : null;
}

/** Seconds that so many frames will take. */
export function estimate(kind, lines, frames) {
  const [first, each] = known(kind, lines) ?? [USUAL[kind][0], USUAL[kind][1] * Math.max(1, lines / 240)];
  return first + each * Math.max(0, frames - 1);
}

/** Learn from a preview that has ended: half of what is expected next. */
export function learn(kind, lines, { count, seconds, first_seconds: first }) {
  if (!(count >= FEWEST) || !(first > 0) || !(seconds >= first)) return;
  const now = [first, (seconds - first) / (count - 1)];
  const before = known(kind, lines) ?? now;
  remembered.set(nameOf(kind, lines), now.map((value, place) => ((value + before[place]) / 2).toFixed(5)).join(" "));
}
