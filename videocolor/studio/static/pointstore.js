// Saving points: one request after the other, again while the studio is away, together with what another tab has set.
import { ApiError, AWAY, change, complain, toast } from "./api.js";
import { later } from "./dom.js";
import { emit, hints, on } from "./state.js";

const AGAIN = 3000;
/** Answers that judge the points themselves: to ask again would not help. */
const REFUSED = new Set([400, 404, 409, 413, 422]);
/** Frame -> {points, base}: what is not with the server yet, and what was there when the first of it was set. */
const kept = new Map();
let running = null;
let told = false;

/** The hint of points on a frame. */
export const pointsHint = (frame) => hints().find((hint) => hint.kind === "points" && hint.frame === frame) ?? null;
const stored = (frame) => pointsHint(frame)?.points ?? [];

/** A text that is equal for equal points. */
export const valueOf = (p) => JSON.stringify([p.x, p.y, p.color, p.radius, p.reach ?? "thing", p.path ?? [], p.filled ?? false]);

/** Points of a frame that are not saved yet; null: there are none. */
export const unsavedPoints = (frame) => kept.get(frame)?.points ?? null;
export const anyUnsaved = () => kept.size > 0;

/** What one tab and another have made of the same points: what either added, without what either removed. */
function merged(base, theirs, mine) {
  const [known, seen, own] = [base, theirs, mine].map((points) => new Set(points.map(valueOf)));
  return [...theirs.filter((p) => own.has(valueOf(p)) || !known.has(valueOf(p))), ...mine.filter((p) => !known.has(valueOf(p)) && !seen.has(valueOf(p)))];
}

/** Points of a frame as they are to be saved, in their order where no other tab has changed them. */
function wanted(frame) {
  const { points, base } = kept.get(frame);
  const theirs = stored(frame);
  const same = base.map(valueOf).join() === theirs.map(valueOf).join();
  return same ? points : merged(base, theirs, points);
}

const soon = later(() => saveNow(), 500);
const again = later(() => saveNow(), AGAIN);
soon.now = () => (anyUnsaved() ? saveNow() : Promise.resolve()); // also those that the studio was away for

/** Keep the points of a frame, and save them soon. */
export function savePoints(frame, points) {
  kept.set(frame, { points, base: kept.get(frame)?.base ?? stored(frame) });
  soon();
  emit("saving");
}

/** Save what is not saved; resolves when that was tried. */
export function saveNow() {
  soon.cancel();
  again.cancel();
  running ??= run().finally(() => {
    running = null;
    emit("saving");
    emit("saved");
  });
  return running;
}

async function run() {
  while (anyUnsaved()) {
    const [frame, entry] = kept.entries().next().value;
    const points = wanted(frame);
    const id = pointsHint(frame)?.id;
    try {
      let answer = null;
      if (points.length) answer = await change("POST", "/api/hints/points", { json: { frame, points, ...(id ? { id } : {}) }, own: true });
      else if (id) answer = await change("DELETE", `/api/hints/${id}`, { own: true });
      if (kept.get(frame) === entry) kept.delete(frame);
      else kept.get(frame).base = entry.points; // more were set meanwhile
      told = false;
      if (answer) emit("changed");
    } catch (error) {
      if (error.kind === "stale") continue; // the project has been read again
      if (error instanceof ApiError && REFUSED.has(error.status)) {
        kept.delete(frame);
        complain(error);
        continue;
      }
      if (!told) toast(`${error.status === 0 ? AWAY : error.message} The points of frame ${frame} are kept on this page, and saved when that is possible again.`, { error: true });
      told = true;
      again();
      return;
    }
  }
}

export function startPointStore() {
  addEventListener("beforeunload", (event) => anyUnsaved() && event.preventDefault());
  on("connected", () => anyUnsaved() && saveNow());
}
