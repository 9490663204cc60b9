// What the page knows: the project document as the server gave it, and where the person stands in the film.
import { rateOf } from "./dom.js";

const listeners = new Map();

export const state = {
  /** The document of GET /api/project; null until it came. */
  project: null,
  /** Place in the history at which this tab was opened. */
  opened: 0,
  /** Current frame, counted from 0 in the film. */
  frame: 0,
  /** source, wipe, side, color or chroma. */
  mode: "wipe",
  /** Where the wipe line stands, 0..1 of the picture. */
  wipe: 0.5,
  /** auto, preview or render. */
  colorFrom: "auto",
  /** Previews by the start of their shot. */
  previews: new Map(),
  /** The frame that a click has just colored: {id, frame, over: the preview that it is newer than}. */
  live: null,
  /** Saturation that is being dragged, by the start of the shot; not yet saved. */
  saturations: new Map(),
  render: null,
  scan: null,
  compare: null,
  /** null, "points", "dropper" or {pick: start of the shot that wants a frame}. */
  tool: null,
  /** The studio does not answer. */
  away: false,
};

/** Hear of "project", "frame", "shot", "mode", "preview", "render", "scan", "compare", "saturation", "tool", "drawn", "live", "shades", "changed", "connected"... */
export function on(topics, listener) {
  for (const topic of topics.split(" ")) listeners.set(topic, [...(listeners.get(topic) ?? []), listener]);
}

export function emit(topic, detail) {
  for (const listener of listeners.get(topic) ?? []) listener(detail);
}

export const shots = () => state.project?.shots ?? [];
export const hints = () => state.project?.hints ?? [];
export const film = () => state.project?.film ?? {};

/** Frames that are known so far: all of them when the scan has ended. */
export function frameCount() {
  const known = state.project?.film.frames ?? state.scan?.frames ?? 0;
  const last = shots().at(-1);
  return Math.max(known, last ? (last.end ?? last.start + 1) : 0, 1);
}

/** Index in `shots()` of the shot that holds a frame; -1 while none is known. */
export function shotIndexAt(frame) {
  const list = shots();
  let [low, high] = [0, list.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (list[middle].start <= frame) low = middle;
    else high = middle - 1;
  }
  return list.length ? low : -1;
}

export const shotAt = (frame) => shots()[shotIndexAt(frame)] ?? null;
export const currentShot = () => shotAt(state.frame);
export const endOf = (shot) => shot.end ?? frameCount();

/** Film seconds of a frame; between the ends of its shot where the rate varies. */
export function secondsOf(frame) {
  const shot = shotAt(frame);
  if (shot && shot.end !== null && shot.end_seconds !== null && shot.end > shot.start) {
    const step = (shot.end_seconds - shot.start_seconds) / (shot.end - shot.start);
    return shot.start_seconds + (frame - shot.start) * step;
  }
  return (film().start_seconds ?? 0) + frame / rateOf(film().rate);
}

/** The frame that is shown at a film time, near enough for finding a picture's own frame by its name. */
export function frameAt(seconds) {
  let [low, high] = [0, frameCount() - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (secondsOf(middle) < seconds - 0.0006) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The saturation that a shot has on the screen now. */
export function saturationOf(shot) {
  if (!shot) return filmSaturation();
  return state.saturations.get(shot.start) ?? shot.saturation ?? filmSaturation();
}

export const filmSaturation = () => Number(state.project?.settings?.saturation ?? 1);

/** Stand on a frame. */
export function goTo(frame) {
  const target = Math.min(Math.max(0, Math.round(frame)), frameCount() - 1);
  if (target === state.frame) return;
  const before = currentShot()?.start;
  state.frame = target;
  emit("frame");
  if (currentShot()?.start !== before) emit("shot");
}

/** Stand on the first frame of the n-th shot (from 0). */
export function goToShot(index) {
  const shot = shots()[Math.min(Math.max(0, index), shots().length - 1)];
  if (shot) goTo(shot.start);
}

/** Take over a project document; older ones than the one shown are dropped. */
export function setProject(project) {
  if (!project || (state.project && project.revision < state.project.revision)) return;
  const before = currentShot()?.start;
  state.opened = state.project ? Math.min(state.opened, project.position) : project.position;
  state.project = project;
  if (project.scan) state.scan = { ...state.scan, ...project.scan };
  if (project.render) state.render = project.render;
  const preview = project.preview;
  if (preview) {
    const known = state.previews.get(preview.shot);
    state.previews.set(preview.shot, { ...(known?.id === preview.id ? known : {}), ...preview });
  }
  if (state.frame >= frameCount()) state.frame = frameCount() - 1;
  emit("project");
  if (currentShot()?.start !== before) emit("shot");
  emit("render");
  emit("preview");
}

/** Shots that the scan just found: added to the document, in order. */
export function addShots(found) {
  if (!state.project) return;
  const known = new Map(shots().map((shot) => [shot.start, shot]));
  for (const shot of found) known.set(shot.start, { ...known.get(shot.start), ...shot });
  const list = [...known.values()].sort((one, other) => one.start - other.start);
  list.forEach((shot, index) => {
    shot.number = index + 1;
  });
  const before = currentShot()?.start;
  state.project = { ...state.project, shots: list };
  emit("project");
  if (currentShot()?.start !== before) emit("shot");
}

export function setTool(tool) {
  if (state.tool === tool) return;
  state.tool = tool;
  emit("tool");
}
