// Rendering the film, and what comes of it: the result, the comparison film, the report.
import { call, change, complain, settled, toast } from "./api.js";
import { clock, el, find, iconButton, plural, say, span } from "./dom.js";
import { rendered } from "./frames.js";

import { emit, hints, on, shots, state } from "./state.js";

const STAGES = { planning: "Planning…", coloring: "Coloring", merging: "Putting the film together", recoloring: "Coloring changed shots" };
let wasRunning = false;

async function start(onlyChanged) {
  await settled(); // the last change is rendered, too
  await change("POST", "/api/render", { json: { only_changed: onlyChanged } });
  await readStatus();
}

export const renderFilm = () => !find("render").disabled && start(false);

async function stop() {
  try {
    tookRender(await call("DELETE", "/api/render"));
    toast("The render was stopped. What is finished is kept; rendering again goes on from there.");
    find("render").focus();
  } catch (error) {
    complain(error);
  }
}

async function readStatus() {
  try {
    tookRender(await call("GET", "/api/render"));
  } catch (error) {
    complain(error);
  }
}

/** Take over the status of the render. */
export function tookRender(status) {
  if (!status?.state) return;
  state.render = { ...state.render, ...status };
  if (wasRunning && status.state === "done") toast("The film is rendered.", { action: { label: "Watch", run: watch }, seconds: 12 });
  wasRunning = status.state === "running";
  emit("render");
}

function stateText(render) {
  if (!render || render.state === "idle") {
    const used = hints().filter((hint) => hint.enabled).length;
    return shots().length ? `${plural(shots().length, "shot")}, ${plural(used, "hint")}. Not rendered yet.` : "";
  }
  if (render.state === "running") {
    const stage = STAGES[render.stage] ?? "";
    const parts = [render.total && render.frames ? `${stage} ${Math.floor((100 * render.frames) / render.total)} %`.trim() : stage || "Starting…"];
    if (render.frames && render.total) parts.push(`${render.frames.toLocaleString("en")} of ${render.total.toLocaleString("en")} frames`);
    if (render.fps) parts.push(`${render.fps.toFixed(1)} frames/s`);
    if (Number.isFinite(render.eta_s) && render.eta_s !== null) parts.push(`${span(render.eta_s)} left`);
    return parts.join(" · ");
  }
  if (render.state === "failed") return render.error || "The render failed.";
  if (render.state === "stopped") return "Stopped. Rendering again goes on from there.";
  const changed = render.changed?.length ?? 0;
  return changed ? `Rendered; ${plural(changed, "shot")} changed since.` : `Rendered: ${fileName(render.target ?? state.project.target)}`;
}

const fileName = (path) => String(path ?? "").split(/[\\/]/).at(-1);

function show() {
  const render = state.render;
  const running = render?.state === "running";
  const changed = rendered() ? render.changed?.length ?? 0 : 0;
  const ready = state.scan?.state === "done";
  const focus = document.activeElement;
  const main = find("render");
  main.hidden = running;
  main.disabled = !ready;
  say(main, render?.state === "stopped" ? "Go on rendering" : render?.state === "done" ? "Render again" : "Render film");
  main.title = ready ? "Color the whole film (R)" : "When the film has been scanned";
  main.classList.toggle("primary", !(render?.state === "done"));
  const part = find("render-changed");
  part.hidden = running || !changed;
  part.classList.add("primary");
  if (changed) say(part, `Render ${plural(changed, "changed shot")}`);
  find("render-stop").hidden = !running;
  if (running && (focus === main || focus === part)) find("render-stop").focus();
  if (!running && focus === find("render-stop")) main.focus();
  const bar = find("render-progress");
  bar.hidden = !running;
  if (running && render.total) [bar.max, bar.value] = [render.total, render.frames];
  else if (running) bar.removeAttribute("value");
  const words = find("render-state");
  words.classList.toggle("error", render?.state === "failed");
  const text = stateText(render);
  // A live region that counted frames would never be silent: the numbers are for the eye.
  words.setAttribute("aria-live", running ? "off" : "polite");
  say(words, text);
  words.title = render?.target ?? "";
  find("results").hidden = !rendered();
  find("color-from").disabled = !rendered();
  find("color-from-label").hidden = !rendered();
}

/** Head and body of a dialog; returns the body. */
export function dialogFrame(dialog, title, id) {
  const head = el("div", { class: "dialoghead" }, el("h2", { id, text: title }), iconButton("close", "Close", () => dialog.close()));
  const body = el("div", { class: "dialogbody" });
  dialog.replaceChildren(head, body);
  return body;
}

/** The finished film in a player, where the browser knows its codec; else what to do instead. */
function watch() {
  const dialog = find("watch-dialog");
  const body = dialogFrame(dialog, fileName(state.render?.target ?? state.project.target), "watch-title");
  fillPlayer(body, `/api/render/film?v=${state.render?.rendered ?? ""}`, "This browser cannot play the film's codec. Look at it frame by frame in the viewer (Color: rendered film), or make a comparison film, which every browser plays.");
  body.append(keeping("/api/render/film", state.render?.target ?? ""));
  dialog.showModal();
}

/** Where a result lies, a link that saves it elsewhere, and its folder. */
export function keeping(url, path, folder = "/api/folder") {
  const open = () => call("POST", folder).catch(complain);
  return el("div", { class: "dialogactions" }, el("p", { class: "explain grow", text: path }), el("a", { class: "button", href: url, download: true, text: "Save as…" }), el("button", { type: "button", text: "Open its folder", on: { click: open } }));
}

/** A player, and what is said where the browser cannot play the film. */
export function fillPlayer(body, url, failure) {
  const video = el("video", { controls: true, preload: "metadata", src: url });
  const note = el("p", { class: "explain", hidden: true, text: failure });
  video.addEventListener("error", () => {
    video.hidden = true;
    note.hidden = false;
  });
  body.append(video, note);
}

function openCompare() {
  const dialog = find("compare-dialog");
  const body = dialogFrame(dialog, "Comparison film", "compare-title");
  const kind = el("select", { id: "compare-kind" }, el("option", { value: "side", text: "Side by side" }), el("option", { value: "wipe", text: "A line that travels to and fro" }));
  const make = el("button", { type: "button", class: "primary", id: "compare-make", text: "Make the film", on: { click: () => makeCompare(kind.value) } });
  body.append(
    el("p", { class: "explain", text: "The film as it was and in color, with its sound, as H.264 that every browser and phone plays: for a client to look at." }),
    el("label", { class: "field" }, "Shown", kind),
    el("div", { class: "dialogactions" }, el("progress", { id: "compare-progress", max: 1, hidden: true, "aria-label": "Progress of the comparison film" }), el("p", { id: "compare-state", class: "explain grow", role: "status" }), make),
    el("div", { id: "compare-result" }),
  );
  dialog.showModal();
  showCompare();
  call("GET", "/api/compare").then(tookCompare, () => undefined);
}

async function makeCompare(kind) {
  find("compare-make").disabled = true;
  try {
    tookCompare(await call("POST", "/api/compare", { json: { kind } }));
  } catch (error) {
    complain(error);
    find("compare-make").disabled = false;
    say(find("compare-state"), error.message);
  }
}

/** Take over the status of the comparison film. */
export function tookCompare(status) {
  if (!status?.state) return;
  const before = state.compare?.state;
  state.compare = status;
  if (status.state === "failed" && before === "running") toast(status.error || "The comparison film failed.", { error: true });
  if (status.state === "done" && before === "running" && !find("compare-dialog").open) toast("The comparison film is ready.", { action: { label: "Watch", run: openCompare } });
  showCompare();
}

function showCompare() {
  const status = state.compare;
  const words = document.getElementById("compare-state");
  if (!words) return;
  const running = status?.state === "running";
  find("compare-make").disabled = running;
  const bar = find("compare-progress");
  bar.hidden = !running;
  if (running && status.total) [bar.max, bar.value] = [status.total, status.frames ?? status.done ?? 0];
  say(words, running ? `${status.frames ?? status.done ?? 0} of ${status.total ?? "?"} frames` : status?.state === "failed" ? status.error : "");
  const result = find("compare-result");
  const url = status?.state === "done" ? `/api/compare/film?v=${encodeURIComponent(status.revision ?? status.kind ?? clock(performance.now() / 1000))}` : "";
  if (result.dataset.url === url || (result.firstChild && status?.state === "done" && result.dataset.status === JSON.stringify(status))) return;
  result.dataset.url = url;
  result.dataset.status = JSON.stringify(status ?? null);
  result.replaceChildren();
  if (!url) return;
  fillPlayer(result, url, "This browser cannot play H.264; save the film and open it elsewhere.");
  result.append(keeping(url, ""));
}

export function startRender() {
  find("render").addEventListener("click", () => start(false));
  find("render-changed").addEventListener("click", () => start(true));
  find("render-stop").addEventListener("click", stop);
  find("watch").addEventListener("click", watch);
  find("open-folder").addEventListener("click", () => call("POST", "/api/folder").catch(complain));
  find("open-compare").addEventListener("click", openCompare);
  for (const name of ["watch-dialog", "compare-dialog"]) {
    find(name).addEventListener("close", () => find(name).querySelectorAll("video").forEach((video) => video.pause()));
  }
  on("render project scan", show);
  show();
}
