// Colors at hand while points are set: by name, recent ones, those of the film, palettes by subject, photographs.
import { call, complain, toast } from "./api.js";
import { colorOfText, nameOfColor, PALETTES } from "./colornames.js";
import { dress, el, find, iconButton, keyed, remembered } from "./dom.js";
import { hintUrl } from "./frames.js";
import { hints, on, state } from "./state.js";
import { learn, shadeOf } from "./swatches.js";

const RECENT = 8;
const FILM = 16;
const ui = {};
let choose = () => undefined;
let recent = [];
let counts = null;
let shown = { color: null, luma: null };

/** How often each color is set in the film's points. */
function counted() {
  const found = new Map();
  for (const hint of hints()) for (const point of hint.points ?? []) found.set(point.color, (found.get(point.color) ?? 0) + 1);
  return found;
}

/** A color that occurs more often than before was used just now. */
function follow() {
  const now = counted();
  const used = counts ? [...now].filter(([color, count]) => count > (counts.get(color) ?? 0)).map(([color]) => color) : [];
  counts = now;
  if (used.length) {
    recent = [...new Set([...used, ...recent])].slice(0, RECENT);
    remembered.set("colors", recent.join(","));
  }
  showRows();
}

function chip(color) {
  const button = el("button", { type: "button", class: "swatch", "data-color": color, on: { click: () => choose(color) } });
  button.title = nameOfColor(color);
  button.setAttribute("aria-label", nameOfColor(color));
  return button;
}

function named([color, name]) {
  return el("button", { type: "button", class: "named", "data-color": color, on: { click: () => choose(color) } }, el("span", { class: "chip" }), el("span", { text: name }));
}

function showRows() {
  if (!ui.node) return;
  const film = [...counts].sort((one, other) => other[1] - one[1]).map(([color]) => color).slice(0, FILM);
  for (const [row, colors] of [[ui.recent, recent], [ui.film, film]]) {
    row.parentElement.hidden = colors.length === 0;
    keyed(row, colors, (color) => color, chip, () => undefined);
  }
  learn([...recent, ...film]);
  tint();
}

function showPalette() {
  const [, colors] = PALETTES[Number(ui.subject.value)];
  remembered.set("palette", ui.subject.value);
  ui.palette.replaceChildren(...colors.map(named));
  learn(colors.map(([color]) => color));
  tint();
}

/** Show all colors as they would be at the place that is pointed at, and which one is chosen. */
function tint() {
  for (const button of ui.node.querySelectorAll("[data-color]")) {
    const face = button.querySelector(".chip") ?? button;
    face.style.backgroundColor = shadeOf(button.dataset.color, shown.luma);
    button.setAttribute("aria-pressed", String(button.dataset.color === shown.color));
  }
}

function useTyped() {
  const text = ui.typed.value;
  if (!text.trim()) return;
  const color = colorOfText(text);
  ui.typed.toggleAttribute("aria-invalid", !color);
  if (!color) return void toast(`“${text.slice(0, 40)}” is no color that is known here: type a name of the list, or six digits as in 96503c.`, { error: true });
  ui.typed.value = "";
  choose(color);
}

/** Hints whose picture has colors to take: photographs, painted frames, frames of other shots. */
const pictures = () => hints().filter((hint) => hint.kind !== "points");

/** Take a color from a photograph or a painted frame of the project. */
function openPhotos() {
  const all = pictures();
  if (!all.length) return void toast("There is no photograph yet: add one under “Photo”, and its colors can be taken from it.");
  const dialog = find("photo-dialog");
  const aim = { x: 0.5, y: 0.5 };
  let hint = all[0];
  const image = el("img", { alt: "", draggable: "false" });
  const cross = el("div", { class: "aimcross" });
  const board = el("div", { class: "photo", id: "photo", tabindex: "0", role: "application", "aria-label": "Photograph. Arrow keys move the cross, Enter takes the color." }, image, cross);
  const main = el("div", { class: "swatches", role: "group", "aria-label": "Main colors of the picture" });
  const list = el("select", { "aria-label": "Picture", hidden: all.length < 2 }, ...all.map((one, index) => el("option", { value: index, text: one.label || one.id })));
  const take = (color) => {
    dialog.close();
    choose(color);
  };
  const put = () => Object.assign(cross.style, { left: `${aim.x * 100}%`, top: `${aim.y * 100}%` });
  const takeAim = async () => {
    try {
      take((await call("GET", `/api/hints/${hint.id}/color`, { query: aim })).color);
    } catch (error) {
      complain(error);
    }
  };
  const showPicture = async () => {
    image.src = hintUrl(hint, 720);
    image.alt = hint.label || hint.id;
    main.replaceChildren();
    const of = hint.id;
    const found = await call("GET", `/api/hints/${of}/colors`).catch(complain);
    if (found && of === hint.id) {
      main.replaceChildren(...found.colors.map((color) => {
        const button = el("button", { type: "button", class: "swatch", title: color, "aria-label": `Main color ${color}`, on: { click: () => take(color) } });
        button.style.backgroundColor = color;
        return button;
      }));
    }
  };
  const follow = (event) => {
    const box = image.getBoundingClientRect();
    if (!box.width || !box.height) return;
    aim.x = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    aim.y = Math.min(1, Math.max(0, (event.clientY - box.top) / box.height));
    put();
  };
  for (const kind of ["pointermove", "pointerdown"]) board.addEventListener(kind, follow); // a finger does not hover
  board.addEventListener("click", takeAim);
  board.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "Enter") takeAim();
    else if (step) {
      const size = event.shiftKey ? 0.05 : 0.01;
      aim.x = Math.min(1, Math.max(0, aim.x + step[0] * size));
      aim.y = Math.min(1, Math.max(0, aim.y + step[1] * size));
      put();
    } else return;
    event.preventDefault();
  });
  list.addEventListener("change", () => {
    hint = all[Number(list.value)];
    showPicture();
  });
  dialog.replaceChildren(
    el("div", { class: "dialoghead" }, el("h2", { id: "photo-title", text: "Take a color from a picture" }), list, iconButton("close", "Close", () => dialog.close())),
    el("div", { class: "dialogbody" }, board, el("p", { class: "explain", text: "Click what you want, or one of its main colors:" }), main),
  );
  put();
  dialog.showModal();
  board.focus();
  showPicture();
}

/** Make the palettes; `take(color)` is called with what a person chooses. */
export function createPalettes(take) {
  choose = take;
  recent = remembered.get("colors", "").split(",").filter((color) => /^#[0-9a-f]{6}$/.test(color));
  ui.typed = el("input", { type: "text", id: "color-typed", class: "grow", list: "color-names", placeholder: "brick, 96503c…", autocomplete: "off", spellcheck: "false", maxlength: 40, "aria-label": "Color by name or number" });
  ui.typed.addEventListener("change", useTyped);
  ui.typed.addEventListener("keydown", (event) => event.key === "Enter" && useTyped());
  const names = el("datalist", { id: "color-names" }, ...PALETTES.flatMap(([, colors]) => colors.map(([, name]) => el("option", { value: name }))));
  ui.photos = dress(el("button", { type: "button", id: "from-photo", on: { click: openPhotos } }), "photo", "Take a color from a photograph", { text: "From a photo…" });
  ui.recent = el("div", { class: "swatches", role: "group", "aria-label": "Recent colors" });
  ui.film = el("div", { class: "swatches", role: "group", "aria-label": "Colors of this film" });
  ui.subject = el("select", { id: "palette-subject", "aria-label": "Palette", on: { change: showPalette } }, ...PALETTES.map(([subject], index) => el("option", { value: index, text: subject })));
  const kept = Number(remembered.get("palette", "0"));
  ui.subject.value = String(PALETTES[kept] ? kept : 0);
  ui.palette = el("div", { class: "namedcolors", role: "group", "aria-label": "Colors of the palette" });
  ui.node = el("div", { class: "pointtools" },
    el("div", { class: "row" }, ui.typed, ui.photos), names,
    el("div", { class: "row" }, ui.subject), ui.palette,
    el("div", { class: "colorrow", hidden: true }, el("span", { class: "explain", text: "Recent" }), ui.recent),
    el("div", { class: "colorrow", hidden: true }, el("span", { class: "explain", text: "This film" }), ui.film));
  on("project", follow);
  on("shades", tint);
  on("tool", () => state.tool === "points" && find("add").scrollIntoView({ block: "start" }));
  showPalette();
  return {
    node: ui.node,
    /** Which color is chosen, and the luma (0..1, or null) of the place that is pointed at. */
    show(color, luma) {
      if (shown.color === color && shown.luma === luma) return;
      shown = { color, luma };
      tint();
    },
  };
}
