// Pictures of frames: where they come from, and a small store of decoded ones.
import { endOf, film, saturationOf, shotAt, state } from "./state.js";

const HEIGHTS = [144, 240, 360, 480, 720, 1080];
const STORE_BYTES = 160e6;
const store = new Map();
let bytes = 0;

/** Height to ask for: the least step that fills `pixels`, not above the film's own. */
export function stepHeight(pixels, most = film().display_height ?? film().height ?? 1080) {
  const step = HEIGHTS.find((height) => height >= pixels) ?? HEIGHTS.at(-1);
  return Math.max(36, Math.min(step, most, 1080));
}

/** With the film's version in the address a browser may keep pictures for long: another film's studio has other addresses. */
const version = () => film().version ?? "";
export const sourceUrl = (frame, height) => `/api/frames/${frame}.jpg?height=${height}&v=${version()}`;
export const pngUrl = (frame) => `/api/frames/${frame}.png`;
export const thumbUrl = (shot) => `/api/shots/${shot.start}.jpg?v=${version()}.${shot.suggested?.[0] ?? ""}`;
/** The small picture of a shot: in color where the rendered film shows it as it is now. */
export function cardUrl(shot) {
  if (!rendered() || isChanged(shot) || state.render.state === "running" || !shot.suggested?.length) return thumbUrl(shot);
  return `/api/render/${shot.suggested[0]}.jpg?height=144&kind=after&v=${state.render.rendered}`;
}

/** The network's expected error of a frame, as a heat picture; it depends on the project's hints. */
export const doubtUrl = (frame, height) => `/api/doubt/${frame}.jpg?height=${height}&of=${state.project?.revision ?? 0}`;

/** A frame that is painted anew keeps its hint's id: where its picture came from tells the two apart. */
export const hintUrl = (hint, height = 240) => `/api/hints/${hint.id}.jpg?height=${height}&of=${mark(JSON.stringify(hint.origin ?? {}))}`;

/** A short number for a text (FNV-1a). */
function mark(text) {
  let hash = 0x811c9dc5;
  for (let place = 0; place < text.length; place += 1) hash = Math.imul(hash ^ text.charCodeAt(place), 0x01000193) >>> 0;
  return hash.toString(36);
}

/** The preview that holds a frame's color, if one does. */
export function previewOf(frame) {
  const shot = shotAt(frame);
  const preview = shot ? state.previews.get(shot.start) : null;
  return preview && frame >= preview.first && frame < preview.first + preview.done ? preview : null;
}

/** Whether the finished film can be looked into. */
export const rendered = () => (state.render?.rendered ?? null) !== null;

/** Whether a shot would look otherwise than in the rendered film. */
export const isChanged = (shot) => Boolean(shot && state.render?.changed?.includes(shot.number));

/** The frame that a click has just colored, unless a preview that was begun after it shows it too. */
function liveOf(frame, preview) {
  const { live } = state;
  if (live?.frame !== frame || state.colorFrom === "render") return null;
  return preview && !preview.stale && preview.id !== live.over ? null : live;
}

/**
 * Where a frame's color comes from: {from, old, url(kind, height), label}; null where it has none yet.
 * The newest wins: a click, a preview that is up to date, then the rendered film, then a preview that is not.
 */
export function colorOf(frame) {
  const shot = shotAt(frame);
  const preview = state.colorFrom === "render" ? null : previewOf(frame);
  const live = liveOf(frame, preview);
  if (live) {
    return {
      from: "live",
      old: false,
      label: "This frame at once",
      url: (kind) => `/api/live/${live.id}.jpg?kind=${kind}&saturation=${saturationOf(shot).toFixed(2)}`,
    };
  }
  const film = state.colorFrom === "preview" || !rendered() ? null : { old: isChanged(shot) };
  if (preview && !(film && preview.stale && !film.old)) {
    const saturation = saturationOf(shot);
    return {
      from: "preview",
      old: Boolean(preview.stale),
      label: `Preview${preview.lines ? `, ${preview.lines} lines` : ""}${preview.stale ? ", before your last change" : ""}`,
      url: (kind) => `/api/preview/${preview.id}/${frame}.jpg?kind=${kind}&saturation=${saturation.toFixed(2)}`,
    };
  }
  if (!film) return null;
  return {
    from: "render",
    old: film.old,
    label: `Rendered film${film.old ? ", before your changes" : ""}`,
    url: (kind, height) => `/api/render/${frame}.jpg?height=${height}&kind=${kind}&v=${state.render.rendered ?? ""}`,
  };
}

/** Frames of the current shot that have a preview: [first, behind the last] or null. */
export function covered(shot) {
  const preview = shot ? state.previews.get(shot.start) : null;
  if (!preview || !preview.done) return null;
  return [preview.first, Math.min(preview.first + preview.done, endOf(shot))];
}

/** A decoded picture; throws where the server has none. Pictures are kept while there is room. */
export function picture(url, get = load) {
  const known = store.get(url);
  if (known) {
    store.delete(url);
    store.set(url, known);
    return known.promise;
  }
  const entry = { size: 0, promise: get(url) };
  store.set(url, entry);
  entry.promise.then(
    (bitmap) => {
      entry.size = bitmap.width * bitmap.height * 4;
      bytes += entry.size;
      shrink();
    },
    () => store.get(url) === entry && store.delete(url),
  );
  return entry.promise;
}

/** Take in a picture that came with an answer, base64 of a JPEG: it need not be fetched. */
export function bring(url, jpeg) {
  const data = Uint8Array.from(atob(jpeg), (letter) => letter.charCodeAt(0));
  picture(url, () => createImageBitmap(new Blob([data], { type: "image/jpeg" })));
}

async function load(url) {
  const answer = await fetch(url, { credentials: "same-origin" });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return createImageBitmap(await answer.blob());
}

function shrink() {
  for (const [url, entry] of store) {
    if (bytes <= STORE_BYTES || store.size < 8) return;
    if (!entry.size) continue;
    store.delete(url);
    bytes -= entry.size; // Not closed: somebody may be about to draw it.
  }
}
