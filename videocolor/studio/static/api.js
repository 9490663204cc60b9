// Talking to the server: one change at a time, each with the revision that it was made for.
import { el, find, iconButton, runDelayed } from "./dom.js";
import { emit, setProject, state } from "./state.js";

export const AWAY = "The studio does not answer. Is it still running? What is typed here stays.";
export const ELSEWHERE = "Open the address that “videocolor studio” printed.";

export class ApiError extends Error {
  constructor(status, kind, message) {
    super(message);
    this.status = status;
    this.kind = kind;
  }
}

/** Ask the server; JSON both ways unless `body` is given. Throws ApiError with the server's own words. */
export async function call(method, path, { query = {}, json, body, headers = {}, signal } = {}) {
  const address = new URL(path, location.origin);
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== null) address.searchParams.set(name, value);
  const options = { method, headers: { Accept: "application/json", ...headers }, signal, credentials: "same-origin" };
  if (json !== undefined) {
    options.body = JSON.stringify(json);
    options.headers["Content-Type"] = "application/json";
  } else if (body !== undefined) options.body = body;
  let answer;
  try {
    answer = await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "offline", AWAY);
  }
  const text = await answer.text();
  let data = null;
  try {
    data = text ? JSON.parse(text) : null;
  } catch {
    data = null;
  }
  if (answer.ok) return data;
  const hint = answer.status === 403 ? ` ${ELSEWHERE}` : "";
  throw new ApiError(answer.status, data?.kind ?? "internal", (data?.error ?? `The server answered ${answer.status}.`) + hint);
}

/** Changes that this tab has made since it was opened. */
const mine = new Set();
const changeOf = (project) => `${project.position}: ${project.undo}`;

/** Whether undo would take back what another tab has done since this one was opened. */
export const isForeign = (project) => project.position > state.opened && !mine.has(changeOf(project));

let queue = Promise.resolve();
let pending = 0;

/** Run one after the other whatever changes or reads the project. */
function inTurn(work) {
  pending += 1;
  emit("saving");
  const result = queue.then(work).finally(() => {
    pending -= 1;
    emit("saving");
  });
  queue = result.catch(() => undefined);
  return result;
}

export const saving = () => pending > 0;

/** Resolves when all changes that were made so far are with the server, those too that wait for the typing to end. */
export async function settled() {
  await runDelayed();
  await queue;
}

/** Read the document again. */
export const refresh = () => inTurn(async () => setProject(await call("GET", "/api/project")));

/** Read it again if the server is further than the page. */
export const catchUp = (revision) =>
  inTurn(async () => {
    if (!state.project || revision > state.project.revision) setProject(await call("GET", "/api/project"));
  });

/**
 * Change the project. The revision travels in the JSON, or in the query of uploads and DELETE.
 * Where another tab was quicker, the document is read again and the change offered once more; nothing typed is lost.
 *
 * Returns the new document, or null where the change was refused (the reason was shown). With `own` refusals are thrown,
 * and nothing is shown; the document has been read again then, too.
 */
export function change(method, path, { json = {}, query = {}, body, headers, again = true, own = false } = {}) {
  return inTurn(async () => {
    const revision = state.project.revision;
    const inQuery = body !== undefined || method === "DELETE";
    try {
      const project = await call(method, path, {
        query: inQuery ? { ...query, revision } : query,
        json: inQuery ? undefined : { ...json, revision },
        body,
        headers,
      });
      mine.add(changeOf(project));
      setProject(project);
      return project;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const stale = error.status === 409 && error.kind === "stale";
      if (stale) setProject(await call("GET", "/api/project"));
      if (own) throw error;
      if (!stale) {
        complain(error);
        return null;
      }
      const repeat = again ? { label: "Do it again", run: () => change(method, path, { json, query, body, headers }) } : null;
      toast("This project was changed in another tab. It has been read again; your last change was not made.", { error: true, action: repeat });
      return null;
    }
  }).catch((error) => {
    if (own) throw error;
    complain(error);
    return null;
  });
}

/** Show an error in the server's words. */
export function complain(error) {
  if (error?.name === "AbortError") return;
  toast(error?.message ?? String(error), { error: true });
}

/** Messages stand in the dialog that is open: all around it is out of reach. */
function hostMessages() {
  const messages = find("toasts");
  const dialog = document.querySelector("dialog[open]");
  const host = dialog ?? document.body;
  if (messages.parentElement === host) return;
  host.append(messages);
  dialog?.addEventListener("close", () => document.body.append(messages), { once: true });
}

/** A message that is also read out; errors stay until they are closed. */
export function toast(text, { error = false, action = null, seconds = 5 } = {}) {
  hostMessages();
  const region = find(error ? "toasts-alert" : "toasts-polite");
  for (const old of region.children) if (old.querySelector("p")?.textContent === text) old.remove();
  const close = () => {
    const focused = note.contains(document.activeElement);
    note.remove();
    if (focused) find("stage").focus();
  };
  const note = el("div", { class: error ? "toast error" : "toast" }, el("p", { text }));
  if (action) note.append(el("button", { type: "button", text: action.label, on: { click: () => (close(), action.run()) } }));
  note.append(iconButton("close", "Close this message", close));
  region.append(note);
  while (region.children.length > 3) region.firstElementChild.remove();
  // A message that somebody has the pointer or the focus on stays until they leave it.
  const expire = () => {
    if (note.matches(":hover, :focus-within")) setTimeout(expire, 1500);
    else note.remove();
  };
  if (!error) setTimeout(expire, seconds * 1000);
  return note;
}
