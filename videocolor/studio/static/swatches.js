// Colors to choose from, and what becomes of a color at a place: the film's luma stays, so a dark one turns pale on bright things.
import { call } from "./api.js";
import { nameOfColor } from "./colornames.js";
import { el } from "./dom.js";
import { picture, sourceUrl } from "./frames.js";
import { currentShot, emit, saturationOf, state } from "./state.js";

/** Colors that things had, to begin with: skin, hair, wood, brick, cloth, grass, sky... */
export const SWATCHES = [
  ["#c99478", "fair skin"], ["#a06a4a", "tanned skin"], ["#6b4632", "dark skin"], ["#b0433f", "lips, red cloth"],
  ["#5b3d28", "brown hair"], ["#c2a36b", "fair hair, straw"], ["#8b5e3c", "wood"], ["#96503c", "brick"],
  ["#7a6a58", "earth"], ["#9aa05a", "dry grass"], ["#55743a", "leaves"], ["#2f5233", "dark green"],
  ["#7fa3c7", "sky"], ["#33507a", "blue cloth"], ["#3a4a5e", "navy"], ["#8a8a8a", "no color: gray"],
];
/** 1 to 8, then the same with Shift. */
const keyOf = (index) => (index < 8 ? String(index + 1) : `Shift ${index - 7}`);
const STEPS = 64;
/** Colors of one request. */
const MOST = 64;

/** Color and saturation -> what a film shows of it at 65 lumas, as the server says. */
const shades = new Map();
const asked = new Set();
const luma = { frame: null, data: null, width: 0, height: 0 };

/** Its name among the shades: the saturation of the shot changes what appears. */
const named = (color, saturation = saturationOf(currentShot()).toFixed(2)) => `${color} ${saturation}`;
const wanted = new Set();

/** Learn the shades of colors; "shades" is told when they are known. */
export function learn(colors) {
  if (!wanted.size) queueMicrotask(ask);
  for (const color of colors) wanted.add(color);
}

async function ask() {
  const saturation = saturationOf(currentShot()).toFixed(2);
  const fresh = [...wanted].filter((color) => !asked.has(named(color, saturation)));
  wanted.clear();
  while (fresh.length) {
    const some = fresh.splice(0, MOST);
    some.forEach((color) => asked.add(named(color, saturation)));
    try {
      const answer = await call("GET", "/api/shades", { query: { colors: some.map((color) => color.slice(1)).join(","), saturation } });
      for (const [color, list] of Object.entries(answer.shades)) shades.set(named(`#${color}`, saturation), list);
      emit("shades");
    } catch {
      some.forEach((color) => asked.delete(named(color, saturation))); // the plain color is shown until then
    }
  }
}

/** Read the luma of the frame that is shown. */
export async function readLuma() {
  const frame = state.frame;
  if (luma.frame === frame) return;
  const bitmap = await picture(sourceUrl(frame, 240)).catch(() => null);
  if (!bitmap || frame !== state.frame) return;
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  Object.assign(luma, { frame, width: bitmap.width, height: bitmap.height, data: context.getImageData(0, 0, bitmap.width, bitmap.height).data });
  emit("shades");
}

/** Mean luma, 0..1, of a disc on the frame that is shown; null where it is not known. */
export function lumaAt({ x, y, radius = 0.02 }) {
  if (luma.frame !== state.frame) return null;
  const { width, height, data } = luma;
  const [column, row, reach] = [x * width, y * height, Math.max(1, radius * height)];
  let [sum, count] = [0, 0];
  for (let line = Math.max(0, Math.floor(row - reach)); line < Math.min(height, row + reach); line += 1) {
    for (let place = Math.max(0, Math.floor(column - reach)); place < Math.min(width, column + reach); place += 1) {
      if (Math.hypot(place + 0.5 - column, line + 0.5 - row) > reach) continue;
      sum += data[4 * (line * width + place)];
      count += 1;
    }
  }
  return count ? sum / count / 255 : null;
}

/** What a color becomes at this luma; the color itself while that is not known. */
export function shadeOf(color, at) {
  const list = shades.get(named(color));
  if (!list) learn([color]);
  return list && at !== null ? list[Math.round(at * STEPS)] : color;
}

const nameOf = (color) => SWATCHES.find(([known]) => known === color)?.[1] ?? nameOfColor(color);

/** The row of swatches with the name of the one that is pointed at; `choose(color)` is called with the one that is chosen. */
export function createSwatches(choose) {
  const row = el("div", { class: "swatches", role: "group", "aria-label": "Common colors" });
  const name = el("p", { class: "swatchname" });
  let current = SWATCHES[0][0];
  const tell = (index) => {
    name.textContent = index === null ? `Next: ${nameOf(current)}` : `${SWATCHES[index][1]}, key ${keyOf(index)}`;
  };
  SWATCHES.forEach(([color, label], index) => {
    const text = `${label} (${keyOf(index)})`;
    const swatch = el("button", { type: "button", class: "swatch", title: text, "aria-label": text, "data-color": color, on: { click: () => choose(color) } });
    for (const event of ["pointerenter", "focus"]) swatch.addEventListener(event, () => tell(index));
    for (const event of ["pointerleave", "blur"]) swatch.addEventListener(event, () => tell(null));
    row.append(swatch);
  });
  row.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -8, ArrowDown: 8 }[event.key];
    const target = row.children[[...row.children].indexOf(document.activeElement) + step];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    target?.focus();
  });
  learn(SWATCHES.map(([color]) => color));
  /** Show which color is chosen, and all of them as they would be at a luma. */
  const show = (chosen, at) => {
    current = chosen;
    const pointed = [...row.children].findIndex((swatch) => swatch.matches(":hover, :focus-visible"));
    tell(pointed < 0 ? null : pointed);
    for (const swatch of row.children) {
      swatch.setAttribute("aria-pressed", String(swatch.dataset.color === chosen));
      swatch.tabIndex = swatch.dataset.color === chosen || (swatch === row.firstElementChild && !SWATCHES.some(([color]) => color === chosen)) ? 0 : -1;
      swatch.style.backgroundColor = shadeOf(swatch.dataset.color, at);
    }
  };
  return { row, name, show };
}

/** The color that a key chooses, or null. */
export function swatchKey(event) {
  const digit = /^Digit([1-8])$/.exec(event.code)?.[1];
  if (!digit || event.ctrlKey || event.metaKey || event.altKey) return null;
  return SWATCHES[Number(digit) - 1 + (event.shiftKey ? 8 : 0)][0];
}
