// The film's settings: network, saturation, how the file is written.
import { change } from "./api.js";
import { el, find, iconButton } from "./dom.js";
import { state } from "./state.js";

const CODECS = ["libx264", "libx265", "ffv1", "prores_ks"];
const CONTAINERS = ["mkv", "mp4", "mov"];
const PRESETS = ["ultrafast", "veryfast", "fast", "medium", "slow", "veryslow"];

/** How each setting is asked for: its words, its field, how its text becomes a value. */
function fields() {
  const settings = state.project.settings ?? {};
  const number = (attributes) => el("input", { type: "number", ...attributes });
  const choice = (values, empty) => el("select", {}, ...(empty ? [el("option", { value: "", text: empty })] : []), ...values.map((value) => (typeof value === "string" ? el("option", { value, text: value }) : el("option", { value: value[0], text: value[1] }))));
  const models = (state.project.models ?? []).map((model) => [model.name, `${model.name} (${{ none: "takes no hints", one: "one hint a shot", many: "hints and none" }[model.hints] ?? model.hints})`]);
  if (settings.model && !models.some(([name]) => name === settings.model)) models.push([settings.model, settings.model]);
  const all = [
    ["model", "Network", choice(models), null, String],
    ["saturation", "Saturation", number({ min: 0, max: 4, step: 0.05 }), "Of every shot that has none of its own.", Number],
    ["container", "File", choice(CONTAINERS, "as the film's"), "The result's container; .mkv holds everything.", String],
    ["codec", "Encoder", choice(CODECS, "what suits the file"), "ffv1 and prores_ks are for masters.", String],
    ["crf", "Quality (CRF)", number({ min: 0, max: 63, step: 1 }), "Smaller is better and bigger; empty: the encoder's own.", Number],
    ["preset", "Encoder's effort", choice(PRESETS, "the encoder's own"), null, String],
  ];
  return all.filter(([name]) => name in settings || name === "saturation" || name === "model");
}

export function openSettings() {
  if (!state.project) return;
  const dialog = find("settings-dialog");
  const before = new Map();
  const form = el("form", { class: "dialogbody", method: "dialog" });
  const rows = fields();
  for (const [name, label, field, explain] of rows) {
    const value = state.project.settings?.[name] ?? (name === "saturation" ? 1 : "");
    if (field.tagName === "SELECT" && ![...field.options].some((option) => option.value === String(value))) field.append(el("option", { value: String(value), text: String(value) }));
    field.value = String(value);
    field.id = `setting-${name}`;
    before.set(name, field.value);
    form.append(el("div", { class: "field" }, el("label", { for: field.id, text: label }), field, explain ? el("p", { class: "explain", text: explain }) : null));
  }
  form.append(
    el("p", { class: "explain", text: `The result: ${state.project.target ?? ""}` }),
    el("div", { class: "dialogactions" }, el("button", { type: "button", text: "Cancel", on: { click: () => dialog.close() } }), el("button", { type: "submit", class: "primary", id: "save-settings", text: "Save" })),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const json = {};
    for (const [name, , field, , parse] of rows) if (field.value !== before.get(name)) json[name] = field.value === "" ? null : parse(field.value);
    if (!Object.keys(json).length || (await change("PATCH", "/api/settings", { json }))) dialog.close();
  });
  dialog.replaceChildren(el("div", { class: "dialoghead" }, el("h2", { id: "settings-title", text: "Settings of the film" }), iconButton("close", "Close", () => dialog.close())), form);
  dialog.showModal();
}
