// How unsure the network is of each shot: asked shot by shot, when somebody wants to know.
import { call, complain, toast } from "./api.js";
import { familyOf, hintsFor, signatureOf } from "./family.js";
import { currentShot, emit, goTo, shotIndexAt, shots, state } from "./state.js";

const LEAST = 5.5;
const SHARE = 2 / 3;
const REST = 400;
/** Start of a shot -> {signature, value: expected error of a*b*, null where it is unknown}. */
const found = new Map();
let loading = null;
let silent = false;
let learned = 0;

/** Expected error of a shot's colors; null while it is not known. */
export function doubtOf(shot) {
  const known = shot ? found.get(shot.start) : null;
  return known && known.signature === signatureOf(shot) ? known.value : null;
}

let listed = { project: null, count: -1, shots: [] };

/** Shots that nobody hinted and that the network is least sure of: a third of them at most. */
export function doubtful() {
  if (listed.project !== state.project || listed.count !== learned) listed = { project: state.project, count: learned, shots: leastSure() };
  return listed.shots;
}

function leastSure() {
  const open = shots().filter((shot) => !hintsFor(shot).length && doubtOf(shot) !== null);
  const values = open.map(doubtOf).sort((one, other) => one - other);
  const bound = Math.max(LEAST, values[Math.floor(SHARE * values.length)] ?? 0);
  return open.filter((shot) => doubtOf(shot) >= bound);
}

const isOpen = (shot) => shot.end !== null && found.get(shot.start)?.signature !== signatureOf(shot);

/** Learn all that is not known yet, in the background; "doubts" is told as it goes. */
export function learnDoubts() {
  if (!silent) loading ??= learn().finally(() => (loading = null));
  return loading;
}

async function learn() {
  let told = performance.now();
  for (let list = shots().filter(isOpen); list.length; list = shots().filter(isOpen)) {
    for (const shot of list) {
      if (isOpen(shot) && !(await ask(shot))) return;
      while ([...state.previews.values()].some((one) => one.state === "running")) await new Promise((done) => setTimeout(done, REST));
      if (performance.now() - told < REST) continue;
      told = performance.now();
      emit("doubts");
    }
  }
  emit("doubts");
}

/** Ask of one shot; false where asking of others is in vain. */
async function ask(shot) {
  const signature = signatureOf(shot);
  let value = null;
  try {
    ({ doubt: value } = await call("GET", `/api/shots/${shot.start}/doubt`));
  } catch (error) {
    silent = error.message.includes("how sure it is"); // no shot of this network will say more
    if (error.status === 0 || silent) return false;
    if (error.status !== 404) complain(error);
  }
  // A shot that returns to another one has the same colors to doubt.
  for (const one of value === null ? [] : familyOf(shot)) found.set(one.start, { signature: signatureOf(one), value });
  found.set(shot.start, { signature, value });
  learned += 1;
  return true;
}

/** Go to the next shot that is doubtful; the last one is followed by the first. */
export async function nextDoubtful() {
  if (shots().some(isOpen) && !silent) toast("Asking the network how sure it is of each shot…", { seconds: 3 });
  await learnDoubts();
  const list = doubtful();
  const next = list.find((shot) => shotIndexAt(shot.start) > shotIndexAt(state.frame)) ?? list[0];
  if (!next || next === currentShot()) toast(silent ? "This network does not say how sure it is." : "No other shot is doubtful.");
  else goTo(next.suggested?.[0] ?? next.start);
}
