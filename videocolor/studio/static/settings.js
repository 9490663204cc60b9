// The film's settings: network, saturation, how the file is written.
import { change } from "./api.js";
import { el, find, iconButton } from "./dom.js";
import { emit, state } from "./state.js";

const CODECS = ["libx264", "libx265", "ffv1", "prores_ks"];
const CONTAINERS = ["mkv", "mp4", "mov"];
const PIXELS = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"];
const DELIVERIES = [["", "as set below"], ["master", "Preservation: FFV1, lossless (.mkv)"], ["editing", "Editing: ProRes 422 HQ (.mov)"], ["access", "Access: H.264 (.mp4)"], ["client", "Client: H.264, small (.mp4)"]];
const PRESETS = ["ultrafast", "veryfast", "fast", "medium", "slow", "veryslow"];

/** What a delivery sets. */
const DELIVERED = ["container", "codec", "crf", "preset", "pix_fmt"];

const box = () => el("input", { type: "checkbox" });
const number = (attributes) => el("input", { type: "number", ...attributes });

function choice(values, empty) {
  const options = values.map((value) => (typeof value === "string" ? [value, value] : value));
  if (empty) options.unshift(["", empty]);
  return el("select", {}, ...options.map(([value, text]) => el("option", { value, text })));
}

/** How each setting is asked for: its name, its words, its field, what to know. */
function fields() {
  const settings = state.project.settings ?? {};
  const models = (state.project.models ?? []).map((model) => [model.name, model.hints ? model.name : `${model.name} (takes no hints)`]);
  const all = [
    ["model", "Network", choice(models), "What colors the film."],
    ["saturation", "Saturation", number({ min: 0, max: 4, step: 0.05 }), "Of every shot that has none of its own."],
    ["keep_source", "Keep tints", box(), "Keep the color that the film already has: tints, toning."],
    ["smoothing", "Smoothing", box(), "Hold color still along motion; cuts reset it."],
    ["decay", "Weight of the past", number({ min: 0, max: 0.99, step: 0.01 }), "For smoothing: nearer to 1 is calmer, and slower to change."],
    ["container", "File", choice(CONTAINERS), ".mkv holds everything that the film has; browsers play .mp4."],
    ["codec", "Encoder", choice(CODECS, "what suits the file"), "ffv1 and prores_ks are for masters."],
    ["crf", "Quality (CRF)", number({ min: 0, max: 63, step: 1 }), "Smaller is better, and bigger; empty: the encoder's own."],
    ["preset", "Effort of the encoder", choice(PRESETS, "the encoder's own"), null],
    ["pix_fmt", "Pixel format", choice(PIXELS, "the least that holds the film's luma"), null],
  ];
  return all.filter(([name]) => name in settings);
}

/** What a field holds, as the server takes it. */
function valueOf(field) {
  if (field.type === "checkbox") return field.checked;
  if (field.value === "") return null;
  return field.type === "number" ? Number(field.value) : field.value;
}

function put(field, value) {
  if (field.type === "checkbox") {
    field.checked = Boolean(value);
    return;
  }
  const text = value === null || value === undefined ? "" : String(value);
  if (field.tagName === "SELECT" && ![...field.options].some((option) => option.value === text)) field.append(el("option", { value: text, text: text || "–" }));
  field.value = text;
}

/** Codec, quality and container in one choice; saved at once. */
function delivery(typed) {
  const field = el("select", { id: "setting-delivery", "aria-describedby": "about-delivery" }, ...DELIVERIES.map(([value, text]) => el("option", { value, text })));
  field.value = state.project.settings.delivery ?? "";
  field.addEventListener("change", async () => {
    if (field.value && (await change("PATCH", "/api/settings", { json: { delivery: field.value } }))) {
      emit("changed");
      openSettings(typed());
      find("setting-delivery").focus();
    }
  });
  return el("div", { class: "field" }, el("label", { for: field.id, text: "Made for" }), field, el("p", { class: "explain", id: "about-delivery", text: "Sets file, encoder, quality and pixel format below." }));
}

/** The dialog; `typed`: what a person had typed into it, by the name of the field. */
export function openSettings(typed = {}) {
  if (!state.project) return;
  const dialog = find("settings-dialog");
  const before = new Map();
  const form = el("form", { class: "dialogbody", method: "dialog" });
  const rows = fields();
  const altered = () => Object.fromEntries(rows.filter(([name, , field]) => valueOf(field) !== before.get(name)).map(([name, , field]) => [name, valueOf(field)]));
  form.append(delivery(altered));
  for (const [name, label, field, explain] of rows) {
    put(field, state.project.settings[name]);
    field.id = `setting-${name}`;
    before.set(name, valueOf(field));
    if (name in typed && !DELIVERED.includes(name)) put(field, typed[name]);
    const note = explain ? el("p", { class: "explain", id: `about-${name}`, text: explain }) : null;
    if (note) field.setAttribute("aria-describedby", note.id);
    form.append(el("div", { class: "field" }, el("label", { for: field.id, text: label }), field, note));
  }
  form.append(
    el("p", { class: "explain", text: `The result: ${state.project.target ?? ""}` }),
    el("div", { class: "dialogactions" }, el("button", { type: "button", text: "Cancel", on: { click: () => dialog.close() } }), el("button", { type: "submit", class: "primary", id: "save-settings", text: "Save" })),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const json = altered();
    const changed = Object.keys(json).length > 0;
    if (changed && !(await change("PATCH", "/api/settings", { json }))) return;
    dialog.close();
    if (changed) emit("changed");
  });
  dialog.replaceChildren(el("div", { class: "dialoghead" }, el("h2", { id: "settings-title", text: "Settings of the film" }), iconButton("close", "Close", () => dialog.close())), form);
  if (!dialog.open) dialog.showModal();
}
