// The studio without a film: recent projects, and a chooser of films on this machine.
import { call } from "./api.js";
import { el, find } from "./dom.js";

const POLL = 250;
const PATIENCE = 120;
const NOT_BEGUN = "The studio has not begun. The terminal that it was started in says why.";
/** The project whose film is looked for, as it is not where it was. */
let wanting = null;

function tell(text, error = false) {
  find("lobby-state").textContent = text;
  find("lobby-state").classList.toggle("error", error);
}

const join = (folder, name) => (/[/\\]$/.test(folder) ? folder + name : `${folder}${folder.includes("\\") ? "\\" : "/"}${name}`);
const lastOf = (path) => path.split(/[/\\]/).at(-1);

function row(label, note, run) {
  return el("li", {}, el("button", { type: "button", on: { click: run } }, el("span", { text: label }), note ? el("span", { class: "soft", text: note }) : null));
}

/** Open a film; the studio answers at this very address as soon as it listens. */
async function open(film, project = wanting) {
  tell(`Opening ${lastOf(film)}…`);
  try {
    await call("POST", "/api/open", { json: project ? { film, project } : { film } });
  } catch (error) {
    tell(error.message, true);
    return;
  }
  for (let waited = 0; waited < PATIENCE; waited += POLL / 1000) {
    await new Promise((done) => setTimeout(done, POLL));
    const status = await fetch("/api/project").then((answer) => answer.status, () => 0);
    if (status === 200) return void location.replace("/");
    const back = status ? await call("GET", "/api/recent").catch(() => null) : null; // the chooser again
    if (back?.failed) return tell(back.failed, true);
  }
  tell(NOT_BEGUN, true);
}

async function list(path) {
  let found;
  try {
    found = await call("GET", "/api/folder", { query: { path } });
  } catch (error) {
    if (path && !wanting) return open(path); // a film, perhaps
    return tell(error.message, true);
  }
  find("path").value = found.path;
  if (!wanting) tell(found.films.length ? "" : "No film in this folder.");
  const rows = found.parent ? [row("..", "the folder above", () => list(found.parent))] : [];
  rows.push(...found.folders.map((name) => row(`${name}/`, "", () => list(join(found.path, name)))));
  rows.push(...found.films.map((name) => row(name, "film", () => open(join(found.path, name)))));
  find("places").replaceChildren(...rows);
  return undefined;
}

function seek(entry) {
  wanting = entry.project;
  tell(`${lastOf(entry.film)} is not where it was. Choose it where it is now.`);
  find("path").focus();
}

async function begin() {
  const { recent, failed } = await call("GET", "/api/recent");
  find("recent-part").hidden = recent.length === 0;
  find("recent").replaceChildren(...recent.map((entry) => row(lastOf(entry.film), entry.there ? entry.film : `${entry.film}: not there any more`, () => (entry.there ? open(entry.film, entry.project) : seek(entry)))));
  find("path-form").addEventListener("submit", (event) => {
    event.preventDefault();
    list(find("path").value.trim());
  });
  await list("");
  if (failed) tell(failed, true);
}

begin().catch((error) => tell(error.message, true));
