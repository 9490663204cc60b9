// All shots as a grid: groups that share their colors folded, filters, several chosen at once. Only cards that are seen exist.
import { change, toast } from "./api.js";
import { clock, el, find, iconButton, keyed, plural, remembered, say } from "./dom.js";
import { doubtful, doubtOf, learnDoubts } from "./doubts.js";
import { borrowersOf, hintsFor, lenderOf, ownHints, toPaint } from "./family.js";
import { cardUrl, isChanged, rendered, thumbUrl } from "./frames.js";
import { currentShot, emit, endOf, goTo, hints, on, secondsOf, shots, state } from "./state.js";
import { aspect } from "./viewer.js";

const [NARROWEST, GAP, TEXT] = [150, 10, 44];
const ROWS_BESIDE = 2;
const FILTERS = [
  ["all", "All", () => true],
  ["paint", "To paint", (shot) => !shot.reuses && !ownHints(shot).length],
  ["bare", "No hint", (shot) => !hintsFor(shot).length],
  ["doubt", "Doubtful", (shot, doubts) => doubts.has(shot.start)],
  ["changed", "Changed", (shot) => rendered() && isChanged(shot)],
  ["note", "With a note", (shot) => Boolean(shot.note)],
];
const view = { filter: "all", fold: true, open: new Set(), chosen: new Set(), cursor: 0, anchor: 0, items: [] };
const ui = {};

/** What is listed: shots that pass the filter; of a folded group its lender alone, with the number of those behind it. */
function collect() {
  const doubts = new Set(doubtful().map((shot) => shot.start));
  const passes = FILTERS.find(([name]) => name === view.filter)[2];
  const folded = view.fold && view.filter === "all";
  view.items = shots().filter((shot) => passes(shot, doubts) && !(folded && shot.reuses && !view.open.has(lenderOf(shot).start)));
  view.cursor = Math.max(0, Math.min(view.cursor, view.items.length - 1));
  view.doubts = doubts;
  for (const start of view.chosen) if (!shots().some((shot) => shot.start === start)) view.chosen.delete(start);
  for (const [name, label, test] of FILTERS) {
    const count = shots().filter((shot) => test(shot, doubts)).length;
    const button = ui.filters.querySelector(`[data-name="${name}"]`);
    say(button, `${label} ${count.toLocaleString("en")}`);
    button.setAttribute("aria-checked", String(name === view.filter));
    button.tabIndex = name === view.filter ? 0 : -1;
  }
}

const columns = () => Math.max(1, Math.floor((ui.reel.clientWidth + GAP) / (NARROWEST + GAP)));
const cardWidth = () => Math.floor((ui.reel.clientWidth + GAP) / columns()) - GAP;
const cardHeight = () => Math.round(cardWidth() / Math.min(2.4, Math.max(1.2, aspect()))) + TEXT;

function show() {
  if (!ui.dialog?.open) return;
  collect();
  draw();
  showFoot();
}

function draw() {
  const [across, pitch] = [columns(), cardHeight() + GAP];
  ui.reel.style.height = `${Math.ceil(view.items.length / across) * pitch}px`;
  const first = Math.max(0, (Math.floor(ui.body.scrollTop / pitch) - ROWS_BESIDE) * across);
  const last = (Math.ceil((ui.body.scrollTop + ui.body.clientHeight) / pitch) + ROWS_BESIDE) * across;
  const seen = view.items.slice(first, last).map((shot, offset) => ({ shot, place: first + offset }));
  if (view.cursor < first || view.cursor >= last) seen.push({ shot: view.items[view.cursor], place: view.cursor });
  keyed(ui.reel, seen.filter((item) => item.shot), (item) => item.shot.start, create, (node, item) => update(node, item, across, pitch));
  ui.reel.setAttribute("aria-activedescendant", view.items.length ? `grid-${view.items[view.cursor].start}` : "");
  ui.none.hidden = view.items.length > 0;
}

function create({ shot }) {
  const image = el("img", { class: "thumb", alt: "", decoding: "async", draggable: "false" });
  image.addEventListener("error", () => image.getAttribute("src") !== thumbUrl(shot) && (image.src = thumbUrl(shot)));
  return el("div", { class: "gridcard", role: "option", id: `grid-${shot.start}` }, image, el("div", { class: "line" }), el("div", { class: "line" }));
}

function update(node, { shot, place }, across, pitch) {
  const width = cardWidth();
  Object.assign(node.style, { width: `${width}px`, height: `${pitch - GAP}px`, transform: `translate(${(place % across) * (width + GAP)}px, ${Math.floor(place / across) * pitch}px)` });
  node.setAttribute("aria-selected", String(view.chosen.has(shot.start)));
  node.classList.toggle("cursor", place === view.cursor);
  node.setAttribute("aria-posinset", place + 1);
  node.setAttribute("aria-setsize", view.items.length);
  const [image, top, bottom] = node.children;
  if (shot.suggested?.length && image.dataset.url !== cardUrl(shot)) {
    image.dataset.url = cardUrl(shot);
    image.src = cardUrl(shot);
  }
  const [used, own, group, doubt] = [hintsFor(shot).length, ownHints(shot).length, borrowersOf(shot).length, doubtOf(shot)];
  const changed = rendered() && isChanged(shot);
  const doubted = view.doubts.has(shot.start);
  const signature = JSON.stringify([shot.number, endOf(shot), used, own, group, doubt, doubted, changed, shot.note, shot.reuses, shot.saturation, view.fold, view.open.has(shot.start)]);
  if (node.dataset.signature === signature) return;
  node.dataset.signature = signature;
  const marks = el("span", { class: "marks" });
  if (own) marks.append(el("span", { class: "mark-hint", text: `◆${own > 1 ? own : ""}`, title: plural(own, "hint") }));
  if (shot.reuses) marks.append(el("span", { text: `↩${shot.reuses}`, title: `Takes its colors from shot ${shot.reuses}` }));
  if (group) marks.append(el("button", { type: "button", class: "group", tabindex: "-1", "data-group": shot.start, text: `${view.open.has(shot.start) ? "−" : "+"}${group}`, title: `${plural(group, "shot")} with the colors of this one: show, hide`, "aria-label": `${plural(group, "shot")} with the colors of shot ${shot.number}: show, hide` }));
  if (shot.note) marks.append(el("span", { text: "✎", title: shot.note }));
  if (changed) marks.append(el("span", { class: "mark-changed", title: "Changed since the render" }));
  top.replaceChildren(el("b", { text: shot.number }), marks);
  const sure = doubt === null ? "" : `±${doubt.toFixed(1)}`;
  const words = used ? "" : doubted ? "doubtful" : "no hint";
  bottom.replaceChildren(el("span", { text: clock(shot.start_seconds ?? secondsOf(shot.start), "short") }), el("span", { class: doubted ? "marks doubted" : "marks", text: `${words} ${sure}`.trim(), title: sure ? "Error of the color (a*, b*) that the network expects of itself" : "" }));
  node.setAttribute("aria-label", `Shot ${shot.number}, ${clock(shot.start_seconds ?? 0)}, ${plural(endOf(shot) - shot.start, "frame")}, ${used ? plural(used, "hint") : "no hint"}${doubted ? ", doubtful" : ""}${shot.reuses ? `, takes its colors from shot ${shot.reuses}` : ""}${group ? `, its colors go to ${plural(group, "other shot")}` : ""}${changed ? ", changed since the render" : ""}${shot.note ? ", has a note" : ""}`);
}

function showFoot() {
  const count = view.chosen.size;
  const open = toPaint().length;
  say(ui.counts, `${plural(shots().length, "shot")}, ${open.toLocaleString("en")} to paint`);
  say(ui.state, count ? `${plural(count, "shot")} selected` : "Click selects a shot, Ctrl and Shift several; a double click opens it.");
  ui.actions.hidden = count === 0;
  const list = hints().map((hint) => [hint.id, hint.label || hint.id]);
  const signature = JSON.stringify(list);
  if (ui.hint.dataset.signature !== signature) {
    ui.hint.dataset.signature = signature;
    ui.hint.replaceChildren(...list.map(([id, label]) => el("option", { value: id, text: label })));
  }
  ui.hint.parentElement.hidden = list.length === 0;
}

/** Move the cursor, and select: that card alone, one more, or all from the anchor to it. */
function select(place, { toggle = false, range = false } = {}) {
  if (!view.items.length) return;
  view.cursor = Math.max(0, Math.min(view.items.length - 1, place));
  const start = view.items[view.cursor].start;
  if (range) {
    const [from, to] = [Math.min(view.anchor, view.cursor), Math.max(view.anchor, view.cursor)];
    view.chosen = new Set(view.items.slice(from, to + 1).map((shot) => shot.start));
  } else {
    view.anchor = view.cursor;
    if (!toggle) view.chosen = new Set([start]);
    else if (!view.chosen.delete(start)) view.chosen.add(start);
  }
  follow();
  show();
}

function follow() {
  const [across, pitch] = [columns(), cardHeight() + GAP];
  const top = Math.floor(view.cursor / across) * pitch;
  if (top < ui.body.scrollTop) ui.body.scrollTop = top;
  else if (top + pitch > ui.body.scrollTop + ui.body.clientHeight) ui.body.scrollTop = top + pitch - ui.body.clientHeight;
}

function openShot() {
  const shot = view.items[view.cursor];
  ui.dialog.close();
  if (shot) goTo(shot.suggested?.[0] ?? shot.start);
}

function unfold(start) {
  if (!view.open.delete(start)) view.open.add(start);
  show();
}

function press(event) {
  const across = columns();
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across, PageUp: -4 * across, PageDown: 4 * across, Home: -Infinity, End: Infinity }[event.key];
  if (event.key === "Enter") openShot();
  else if (event.key === " ") select(view.cursor, { toggle: true });
  else if (event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey)) {
    view.chosen = new Set(view.items.map((shot) => shot.start));
    show();
  } else if (event.key === "+" || event.key === "-") {
    const shot = view.items[view.cursor];
    if (shot) unfold(lenderOf(shot).start);
  } else if (step !== undefined) select(Number.isFinite(step) ? view.cursor + step : step < 0 ? 0 : view.items.length - 1, { range: event.shiftKey });
  else return;
  event.preventDefault();
}

const chosen = () => [...view.chosen].sort((one, other) => one - other);

async function setSaturation(value) {
  const done = await change("PATCH", "/api/shots", { json: { starts: chosen(), saturation: value } });
  if (!done) return;
  toast(`Saturation of ${plural(view.chosen.size, "shot")}: ${value === null ? "as the film" : value.toFixed(2)}.`);
  emit("saturation");
}

async function useHint() {
  const hint = hints().find((one) => one.id === ui.hint.value);
  if (!hint) return;
  const starts = [...new Set([...hint.shots, ...chosen()])].sort((one, other) => one - other);
  const done = await change("PATCH", `/api/hints/${hint.id}`, { json: { shots: starts } });
  if (!done) return;
  toast(`“${hint.label || hint.id}” colors ${plural(view.chosen.size, "more shot")}.`);
  emit("changed");
}

function build() {
  ui.dialog = find("grid-dialog");
  ui.counts = el("p", { class: "explain", role: "status" });
  ui.filters = el("div", { class: "segments", role: "radiogroup", "aria-label": "Shots that are listed" });
  for (const [name, label] of FILTERS) ui.filters.append(el("button", { type: "button", role: "radio", "data-name": name, text: label, on: { click: () => filter(name) } }));
  ui.filters.addEventListener("keydown", (event) => {
    const turn = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (!turn) return;
    event.preventDefault();
    const place = FILTERS.findIndex(([name]) => name === view.filter);
    filter(FILTERS[(place + turn + FILTERS.length) % FILTERS.length][0]);
    ui.filters.querySelector('[aria-checked="true"]').focus();
  });
  ui.fold = el("input", { type: "checkbox", id: "grid-fold", checked: view.fold, on: { change: (event) => fold(event.target.checked) } });
  ui.reel = el("div", { class: "gridreel", id: "grid", role: "listbox", tabindex: "0", "aria-multiselectable": "true", "aria-label": "Shots" });
  ui.none = el("p", { class: "explain", hidden: true, text: "No shot is like that." });
  ui.body = el("div", { class: "gridbody" }, ui.none, ui.reel);
  ui.state = el("p", { class: "explain grow", role: "status" });
  ui.saturation = el("input", { type: "number", min: 0, max: 4, step: 0.05, value: 1, id: "grid-saturation", "aria-label": "Saturation of the selected shots" });
  ui.hint = el("select", { id: "grid-hint", "aria-label": "Hint" });
  ui.actions = el("div", { class: "row wrap", hidden: true },
    el("span", { class: "inline" }, "Saturation", ui.saturation, el("button", { type: "button", id: "grid-set", text: "Set", on: { click: () => Number.isFinite(ui.saturation.valueAsNumber) && setSaturation(Math.min(4, Math.max(0, ui.saturation.valueAsNumber))) } }), el("button", { type: "button", text: "As the film", on: { click: () => setSaturation(null) } })),
    el("span", { class: "inline" }, "Hint", ui.hint, el("button", { type: "button", id: "grid-use", text: "Use for these", on: { click: useHint } })),
    el("button", { type: "button", class: "primary", text: "Open", on: { click: openShot } }));
  ui.reel.addEventListener("keydown", press);
  ui.reel.addEventListener("click", (event) => {
    const group = event.target.closest("[data-group]");
    if (group) return unfold(Number(group.dataset.group));
    const card = event.target.closest(".gridcard");
    if (card) select(view.items.findIndex((shot) => String(shot.start) === card.dataset.key), { toggle: event.ctrlKey || event.metaKey, range: event.shiftKey });
    return undefined;
  });
  ui.reel.addEventListener("dblclick", (event) => event.target.closest(".gridcard") && !event.target.closest("[data-group]") && openShot());
  ui.body.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  new ResizeObserver(() => ui.dialog.open && draw()).observe(ui.body);
  ui.dialog.append(
    el("div", { class: "dialoghead" }, el("h2", { id: "grid-title", text: "All shots" }), ui.counts, iconButton("close", "Close", () => ui.dialog.close())),
    el("div", { class: "gridbar" }, ui.filters, el("label", { class: "inline check" }, ui.fold, "Fold shots that share their colors")),
    ui.body, el("div", { class: "gridfoot" }, ui.state, ui.actions));
}

function filter(name) {
  view.filter = name;
  ui.body.scrollTop = 0;
  show();
}

function fold(on) {
  view.fold = on;
  view.open.clear();
  remembered.set("fold", on ? "yes" : "no");
  show();
}

/** Show all shots, with the current one under the cursor. */
export function openGrid() {
  if (!state.project || ui.dialog.open) return;
  view.chosen.clear();
  ui.dialog.showModal();
  collect();
  const current = currentShot();
  const place = view.items.findIndex((shot) => shot === current || shot === lenderOf(current));
  view.cursor = view.anchor = Math.max(0, place);
  show();
  follow();
  ui.reel.focus();
  learnDoubts();
}

export function startGrid() {
  view.fold = remembered.get("fold", "yes") === "yes";
  build();
  const button = find("open-grid");
  button.addEventListener("click", openGrid);
  on("project", () => {
    const open = toPaint().length;
    say(button, shots().length ? `All shots: ${open.toLocaleString("en")} to paint` : "All shots");
  });
  on("project render doubts", show);
}
