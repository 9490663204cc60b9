// Delivering: the queue of exports, of this film and of others, and what has come of it.
import { call, complain, settled } from "./api.js";
import { el, find, iconButton, keyed, say, span } from "./dom.js";
import { rendered } from "./frames.js";
import { dialogFrame, fillPlayer, keeping } from "./render.js";
import { film, frameCount, on, state } from "./state.js";

const FORMS = [["film", "As in the settings"], ["master", "Preservation: FFV1, lossless (.mkv)"], ["editing", "Editing: ProRes 422 HQ (.mov)"], ["access", "Access: H.264 (.mp4)"], ["client", "Client: H.264, small (.mp4)"], ["comparison", "Comparison film, side by side (.mp4)"]];
const STATES = { waiting: "Waits", done: "Finished", failed: "Failed", stopped: "Stopped; what is finished is kept" };
let queue = { entries: [], projects: [] };

/** Take over the queue, from an answer or from an event. */
export function tookQueue(found) {
  if (!found?.entries) return;
  queue = { ...queue, ...found }; // progress comes without the projects
  show();
}

const ask = async (method, path, json) => {
  try {
    tookQueue(await call(method, path, json ? { json } : {}));
  } catch (error) {
    complain(error);
  }
};

const wordOf = (form) => FORMS.find(([name]) => name === form)?.[1] ?? form;
const sizeOf = (bytes) => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.max(0.1, bytes / 1e6).toFixed(1)} MB`);

function stateText(entry) {
  if (entry.state === "failed") return entry.error || STATES.failed;
  if (entry.state === "done") return entry.bytes === null ? "Finished; the file is not there any more" : `${sizeOf(entry.bytes)} · ${entry.target}`;
  if (entry.state !== "running") return STATES[entry.state];
  const share = entry.frames && entry.total ? `${Math.floor((100 * entry.frames) / entry.total)} %` : "Starting…";
  return entry.eta_s ? `${share}, ${span(entry.eta_s)} left` : share;
}

/** Play a result in the dialog, above the list. */
function watch(title, url, path, folder) {
  const body = dialogFrame(find("watch-dialog"), title, "watch-title");
  fillPlayer(body, url, "This browser cannot play the film's codec. Save a copy, or open its folder.");
  body.append(keeping(url, path, folder));
  find("watch-dialog").showModal();
}

function createRow() {
  return el("li", { class: "export" }, el("img", { class: "thumb", alt: "", width: 96, height: 64 }), el("div", { class: "grow" }, el("b"), el("p", { class: "explain" }), el("progress", { max: 1, hidden: true, "aria-label": "Progress" })), el("div", { class: "row wrap" }));
}

function button(text, run, label) {
  return el("button", { type: "button", text, "aria-label": `${text}: ${label}`, on: { click: run } });
}

function fillRow(row, entry) {
  const [thumb, words, buttons] = row.children;
  const [name, note, bar] = words.children;
  const label = `${entry.film}, ${wordOf(entry.form)}`;
  const done = entry.state === "done" && entry.bytes !== null;
  const url = `/api/queue/${entry.id}`;
  const source = done ? `${url}.jpg?of=${entry.bytes}` : entry.mine ? `/api/frames/${Math.floor(frameCount() / 3)}.jpg?height=144&v=${film().version ?? ""}` : "/static/icon.svg";
  if (thumb.getAttribute("src") !== source) thumb.src = source;
  say(name, `${entry.film} · ${wordOf(entry.form)}`);
  say(note, stateText(entry));
  note.classList.toggle("error", entry.state === "failed");
  bar.hidden = entry.state !== "running";
  if (entry.frames && entry.total) [bar.max, bar.value] = [entry.total, entry.frames];
  else bar.removeAttribute("value");
  const mark = `${entry.state} ${entry.bytes}`;
  if (row.dataset.mark === mark) return; // buttons keep the focus
  row.dataset.mark = mark;
  const remove = () => ask("DELETE", url);
  const made = done
    ? [button("Watch", () => watch(label, `${url}/film`, entry.target, `${url}/folder`), label), el("a", { class: "button", href: `${url}/film`, download: true, text: "Save as…", "aria-label": `Save as: ${label}` }), button("Folder", () => call("POST", `${url}/folder`).catch(complain), label)]
    : [];
  if (["stopped", "failed"].includes(entry.state) && entry.mine) made.push(button("Go on", () => ask("POST", "/api/queue", { form: entry.form }), label));
  made.push(entry.state === "running" ? button("Stop", remove, label) : iconButton("close", `Take off the list: ${label}`, remove));
  buttons.replaceChildren(...made);
}

function show() {
  const waiting = queue.entries.filter((entry) => ["waiting", "running"].includes(entry.state)).length;
  say(find("open-deliver"), waiting ? `Deliver… (${waiting})` : "Deliver…");
  const list = document.getElementById("exports");
  if (!list) return;
  keyed(list, queue.entries, (entry) => entry.id, createRow, fillRow);
  find("no-exports").hidden = queue.entries.length > 0;
  const others = find("export-of");
  const options = [["", film().name ?? "this film"], ...queue.projects.map(({ id, film: name }) => [id, name])];
  const kept = others.value;
  if (others.dataset.shown === JSON.stringify(options)) return; // an open list would close
  others.dataset.shown = JSON.stringify(options);
  others.replaceChildren(...options.map(([value, text]) => el("option", { value, text })));
  others.value = options.some(([value]) => value === kept) ? kept : "";
}

async function put() {
  await settled(); // the last change is exported, too
  const other = find("export-of").value;
  await ask("POST", "/api/queue", { form: find("export-form").value, ...(other ? { other } : {}) });
}

export function openDeliver() {
  const dialog = find("deliver-dialog");
  const body = dialogFrame(dialog, "Deliver", "deliver-title");
  const form = el("select", { id: "export-form" }, ...FORMS.map(([value, text]) => el("option", { value, text })));
  body.append(
    el("div", { class: "field" }, el("label", { for: "export-form", text: "Make" }), form, el("label", { for: "export-of", text: "Of" }), el("select", { id: "export-of" })),
    el("div", { class: "dialogactions" }, el("p", { class: "explain grow", text: "One after the other, in this order, with the colors as they are when its turn comes. The queue stays: a reload changes nothing; when the studio is closed, the running export goes on, and the others when this film is opened again." }), el("button", { type: "button", class: "primary", id: "export-add", text: "Put in the queue", on: { click: put } })),
    el("ol", { class: "exports", id: "exports", "aria-label": "Queue and results" }),
    el("p", { class: "empty", id: "no-exports", text: "Nothing in the queue yet." }),
  );
  if (rendered()) body.append(el("p", { class: "explain", text: "The film that “Render film” has made:" }), keeping("/api/render/film", state.render?.target ?? ""));
  show();
  if (!dialog.open) dialog.showModal();
  call("GET", "/api/queue").then(tookQueue, complain);
}

export function startDeliver() {
  find("open-deliver").addEventListener("click", openDeliver);
  on("connected", () => call("GET", "/api/queue").then(tookQueue, () => undefined));
}
