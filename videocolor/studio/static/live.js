// The frame that is shown, in color at once after a click; the preview of its shot follows.
import { call, complain } from "./api.js";
import { find, later } from "./dom.js";
import { bring, colorOf, stepHeight } from "./frames.js";
import { emit, saturationOf, shotAt, state } from "./state.js";

let wish = null;
let busy = false;

/** Color a frame with points that need not be saved yet; of several wishes the newest counts. */
export function recolor(frame, points) {
  wish = { frame, points, at: performance.now() };
  if (!busy) run();
}

export function forgetLive() {
  if (!state.live) return;
  state.live = null;
  emit("live");
}

const linesOf = () => Math.max(72, Math.min(stepHeight(find("stage").clientHeight * devicePixelRatio), 480));

/** Let the server compute what a click on the shown frame will need, while a color is being chosen. */
export const prepare = later(() => {
  if (busy || state.tool !== "points") return;
  call("POST", "/api/live/prepare", { json: { frame: state.frame, lines: linesOf() } }).catch(() => undefined); // the click will complain
}, 150);

async function run() {
  busy = true;
  while (wish) {
    const { frame, points, at } = wish;
    wish = null;
    const over = state.previews.get(shotAt(frame)?.start)?.id ?? null;
    try {
      const kind = state.mode === "chroma" ? "chroma" : "after";
      const saturation = Number(saturationOf(shotAt(frame)).toFixed(2));
      const { jpeg, ...made } = await call("POST", "/api/live", { json: { frame, points, lines: linesOf(), kind, saturation } });
      state.live = { ...made, at, over };
      const shown = colorOf(frame);
      const same = Number(saturationOf(shotAt(frame)).toFixed(2)) === saturation; // else it has another address now
      if (shown?.from === "live" && same) bring(shown.url(kind), jpeg);
      emit("live");
    } catch (error) {
      if (error.status !== 404) complain(error);
    }
  }
  busy = false;
}
