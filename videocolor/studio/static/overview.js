// The whole film as one bar: shots, hints, what has changed since the render, the playhead.
import { clock, find } from "./dom.js";
import { covered, isChanged, rendered } from "./frames.js";
import { endOf, film, frameCount, goTo, hints, on, secondsOf, shotIndexAt, shots, state } from "./state.js";
import { rateOf } from "./dom.js";

let waiting = false;

function paint() {
  waiting = false;
  const canvas = find("overview-canvas");
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width || !state.project) return;
  const ratio = devicePixelRatio;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  const style = getComputedStyle(canvas);
  const color = (name) => style.getPropertyValue(name).trim();
  const total = Math.max(frameCount(), state.scan?.total ?? 0);
  const at = (frame) => (frame / total) * width;
  pen.clearRect(0, 0, width, height);
  pen.fillStyle = color("--shade-none");
  pen.fillRect(0, 0, width, height);
  const current = shotIndexAt(state.frame);
  shots().forEach((shot, index) => {
    const [left, right] = [at(shot.start), at(endOf(shot))];
    pen.fillStyle = color(index === current ? "--shade-current" : index % 2 ? "--shade-odd" : "--shade-even");
    pen.fillRect(left, 0, Math.max(0.5, right - left - (right - left > 4 ? 1 : 0)), height);
    const part = covered(shot);
    if (part) fillBand(pen, color("--shade-preview"), at(part[0]), at(part[1]), height - 4, 4);
    if (rendered() && isChanged(shot)) fillBand(pen, color("--shade-changed"), left, right - 1, 0, 3);
  });
  pen.fillStyle = color("--shade-changed");
  for (const hint of hints()) {
    if (!hint.enabled) continue;
    for (const frame of hint.frame === null ? hint.shots : [hint.frame]) {
      pen.beginPath();
      pen.arc(Math.min(width - 4, at(frame) + 3), height / 2, 3, 0, 7);
      pen.fill();
    }
  }
  pen.fillStyle = color("--shade-head");
  const head = Math.min(width - 2, Math.round(at(state.frame)));
  pen.fillRect(head, 0, 2, height);
  find("overview").setAttribute("aria-valuemax", frameCount() - 1);
  find("overview").setAttribute("aria-valuenow", state.frame);
  find("overview").setAttribute("aria-valuetext", `${clock(secondsOf(state.frame))}, shot ${current + 1} of ${shots().length}`);
}

function fillBand(pen, color, left, right, top, height) {
  pen.fillStyle = color;
  pen.fillRect(left, top, Math.max(1, right - left), height);
}

function ask() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(paint);
}

function seek(event) {
  const bar = find("overview");
  const box = bar.getBoundingClientRect();
  const total = Math.max(frameCount(), state.scan?.total ?? 0);
  goTo(((event.clientX - box.left) / box.width) * total);
}

export function startOverview() {
  const bar = find("overview");
  bar.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    bar.setPointerCapture(event.pointerId);
    seek(event);
    bar.addEventListener("pointermove", seek);
    const end = () => bar.removeEventListener("pointermove", seek);
    bar.addEventListener("pointerup", end, { once: true });
    bar.addEventListener("pointercancel", end, { once: true });
  });
  bar.addEventListener("keydown", (event) => {
    const second = Math.round(rateOf(film().rate));
    const step = { ArrowLeft: -second, ArrowRight: second, ArrowDown: -second, ArrowUp: second, PageDown: -10 * second, PageUp: 10 * second, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    goTo(step === -Infinity ? 0 : step === Infinity ? frameCount() - 1 : state.frame + step);
  });
  new ResizeObserver(ask).observe(bar);
  new MutationObserver(ask).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: light)").addEventListener("change", ask);
  on("frame project preview render scan", ask);
  ask();
}
