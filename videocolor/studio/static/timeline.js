// The strip of shots. Only the cards that are seen exist: 2,000 shots scroll like twenty.
import { calm, clock, el, find, keyed, span } from "./dom.js";
import { cardUrl, isChanged, rendered, thumbUrl } from "./frames.js";
import { doubtful } from "./doubts.js";
import { familyOf } from "./family.js";
import { endOf, goTo, goToShot, on, secondsOf, shotIndexAt, shots, state } from "./state.js";
import { aspect } from "./viewer.js";

const GAP = 4;
const BESIDES = 3;
const RETRY = 1500;
let asked = false;
let missing = 0;
let kin = new Set();
let doubts = new Set();

function cardWidth() {
  const height = find("reel").clientHeight < 110 ? 52 : 72;
  return Math.round(Math.min(168, Math.max(104, height * aspect()))) + 8;
}

function cards() {
  asked = false;
  const strip = find("strip");
  const list = shots();
  const pitch = cardWidth() + GAP;
  find("reel").style.width = `${Math.max(0, list.length * pitch - GAP)}px`;
  const first = Math.max(0, Math.floor(strip.scrollLeft / pitch) - BESIDES);
  const last = Math.min(list.length, Math.ceil((strip.scrollLeft + strip.clientWidth) / pitch) + BESIDES);
  const current = shotIndexAt(state.frame);
  const seen = list.slice(first, last).map((shot, offset) => ({ shot, index: first + offset }));
  if (current >= 0 && (current < first || current >= last)) seen.push({ shot: list[current], index: current });
  missing = 0;
  kin = new Set(familyOf(list[current]).map((shot) => shot.start));
  doubts = new Set(doubtful().map((shot) => shot.start));
  keyed(find("reel"), seen, (item) => item.shot.start, create, (node, item) => update(node, item, pitch, item.index === current, list.length));
  strip.setAttribute("aria-activedescendant", current >= 0 ? `card-${list[current].start}` : "");
  if (missing) setTimeout(ask, RETRY);
}

function create({ shot }) {
  const image = el("img", { class: "thumb missing", alt: "", decoding: "async", draggable: "false" });
  image.addEventListener("load", () => image.classList.remove("missing"));
  image.addEventListener("error", () => {
    image.classList.add("missing");
    image.dataset.refused = image.dataset.url;
    image.dataset.retry = performance.now() + RETRY;
    setTimeout(ask, RETRY + 20);
  });
  return el("div", { class: "card", role: "option", id: `card-${shot.start}` }, image, el("div", { class: "line" }), el("div", { class: "line" }));
}

function update(node, { shot, index }, pitch, selected, count) {
  node.style.transform = `translateX(${index * pitch}px)`;
  node.style.width = `${pitch - GAP}px`;
  node.setAttribute("aria-selected", String(selected));
  node.classList.toggle("kin", kin.size > 1 && kin.has(shot.start));
  node.setAttribute("aria-posinset", index + 1);
  node.setAttribute("aria-setsize", count);
  const [image, top, bottom] = node.children;
  // What the rendered film could not give, the film can.
  const colored = cardUrl(shot);
  const url = image.dataset.refused === colored ? thumbUrl(shot) : colored;
  const retry = Number(image.dataset.retry ?? 0);
  if (!shot.suggested?.length) {
    // Nobody has looked at it yet: its picture is told of when it is there.
  } else if (image.dataset.url !== url || (retry && retry < performance.now())) {
    delete image.dataset.retry;
    image.dataset.url = url;
    image.src = retry ? `${url}&again=${Math.round(retry)}` : url;
  } else if (retry) missing += 1;
  const frames = endOf(shot) - shot.start;
  const seconds = shot.end_seconds !== null && shot.end_seconds !== undefined ? shot.end_seconds - shot.start_seconds : null;
  const used = shot.hints?.length ?? 0;
  const changed = rendered() && isChanged(shot);
  const signature = [index, shot.start, shot.end, shot.start_seconds, shot.end_seconds, used, shot.reuses, shot.saturation, changed, shot.note, doubts.has(shot.start)].join();
  if (node.dataset.signature === signature) return;
  node.dataset.signature = signature;
  const marks = el("span", { class: "marks" });
  if (used) marks.append(el("span", { class: "mark-hint", text: `◆${used > 1 ? used : ""}`, title: `${used} hint${used > 1 ? "s" : ""}` }));
  if (shot.reuses) marks.append(el("span", { text: `↩${shot.reuses}`, title: `Takes its colors from shot ${shot.reuses}` }));
  if (shot.saturation !== null && shot.saturation !== undefined) marks.append(el("span", { text: `×${shot.saturation}`, title: "Its own saturation" }));
  if (doubts.has(shot.start)) marks.append(el("span", { class: "mark-hint", text: "?", title: "Nobody hinted it, and the network is not sure of it" }));
  if (shot.note) marks.append(el("span", { text: "✎", title: shot.note }));
  if (changed) marks.append(el("span", { class: "mark-changed", title: "Changed since the render" }));
  top.replaceChildren(el("b", { text: index + 1 }), marks);
  bottom.replaceChildren(el("span", { text: clock(shot.start_seconds ?? secondsOf(shot.start), "short") }), el("span", { class: "marks", text: seconds === null ? "…" : seconds < 90 ? `${seconds.toFixed(1)} s` : span(seconds) }));
  node.setAttribute("aria-label", `Shot ${index + 1}, ${clock(shot.start_seconds ?? 0)}, ${frames} frames${used ? `, ${used} hint${used > 1 ? "s" : ""}` : ""}${shot.reuses ? `, takes its colors from shot ${shot.reuses}` : ""}${changed ? ", changed since the render" : ""}`);
}

function ask() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(cards);
}

/** Scroll so that the current shot is seen; at once where the person wants no motion. */
function follow() {
  const strip = find("strip");
  const pitch = cardWidth() + GAP;
  const left = shotIndexAt(state.frame) * pitch;
  const [from, to] = [strip.scrollLeft, strip.scrollLeft + strip.clientWidth];
  if (left < from || left + pitch > to) {
    const target = Math.max(0, left - (strip.clientWidth - pitch) / 2);
    const near = Math.abs(target - from) < 2.5 * strip.clientWidth;
    strip.scrollTo({ left: target, behavior: near && !calm() && !state.playing ? "smooth" : "auto" });
  }
  ask();
}

export function startTimeline() {
  const strip = find("strip");
  strip.addEventListener("scroll", ask, { passive: true });
  strip.addEventListener("click", (event) => {
    const card = event.target.closest(".card");
    if (card) goTo(Number(card.dataset.key));
  });
  strip.addEventListener("wheel", (event) => {
    if (Math.abs(event.deltaY) <= Math.abs(event.deltaX) || strip.scrollWidth <= strip.clientWidth) return;
    event.preventDefault();
    strip.scrollLeft += event.deltaY;
  });
  strip.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const index = shotIndexAt(state.frame);
    const target = { ArrowLeft: index - 1, ArrowRight: index + 1, ArrowUp: index - 1, ArrowDown: index + 1, PageUp: index - 10, PageDown: index + 10, Home: 0, End: shots().length - 1 }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    goToShot(target);
  });
  new ResizeObserver(ask).observe(strip);
  on("project render scan doubts", ask);
  on("shot", follow);
  ask();
}
