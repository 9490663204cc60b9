// Begins the page: reads the project, hears of news, puts the parts to work.
import { startAddHint } from "./addhint.js";
import { ApiError, AWAY, call, catchUp, change, complain, ELSEWHERE, isForeign, refresh, saving, settled, toast } from "./api.js";
import { clock, dress, find, rateOf, remembered, say } from "./dom.js";
import { startDeliver, tookQueue } from "./deliver.js";
import { startFirstRun } from "./firstrun.js";
import { startGrid } from "./grid.js";
import { startHints } from "./hints.js";
import { startKeys } from "./keys.js";
import { startOverview } from "./overview.js";
import { startPoints } from "./points.js";
import { anyUnsaved } from "./pointstore.js";
import { startPreviews, took } from "./preview.js";
import { startRender, tookCompare, tookRender } from "./render.js";
import { forgetLive } from "./live.js";
import { openSettings } from "./settings.js";
import { startShot } from "./shot.js";
import { addShots, emit, film, frameCount, goTo, on, setProject, shots, state } from "./state.js";
import { startSounds } from "./sound.js";
import { startTimeline } from "./timeline.js";
import { startTransport } from "./transport.js";
import { redraw, startViewer } from "./viewer.js";

const THEMES = { dark: "light", light: "system", system: "dark" };
const THEME_NAMES = { dark: "dark", light: "light", system: "as the system" };

function showFilm() {
  const facts = film();
  say(find("film-name"), facts.name ?? "");
  find("film-name").title = facts.name ?? "";
  document.title = `${facts.name ?? "film"} – videocolor studio`;
  const length = facts.duration ?? (state.scan?.state === "done" ? frameCount() / rateOf(facts.rate) : null);
  const parts = [`${facts.display_width ?? facts.width}×${facts.display_height ?? facts.height}`, `${rateOf(facts.rate).toFixed(3).replace(/\.?0+$/, "")} fps`, facts.codec, facts.frames ? `${facts.frames.toLocaleString("en")} frames` : null, length ? clock(length) : null, facts.has_sound ? "sound" : null];
  say(find("film-facts"), parts.filter(Boolean).join(" · "));
}

function showScan() {
  const scan = state.scan;
  const line = find("scan-state");
  const ended = !scan || scan.state === "done";
  line.hidden = ended;
  line.classList.toggle("failed", scan?.state === "failed");
  if (ended) return;
  // Spoken once; the count is for the eye.
  line.setAttribute("aria-live", scan.state === "failed" ? "polite" : "off");
  const share = scan.total ? `${Math.min(99, Math.floor((100 * scan.frames) / scan.total))} %` : `${scan.frames ?? 0} frames`;
  say(line, scan.state === "failed" ? scan.error || "The film could not be scanned." : `Looking for shots: ${share}, ${shots().length} so far`);
}

function showHistory() {
  const project = state.project;
  for (const [name, label] of [["undo", "Undo"], ["redo", "Redo"]]) {
    const what = project?.[name];
    find(name).disabled = what === null || what === undefined;
    dress(find(name), name, what ? `${label}: ${what}` : label);
  }
  say(find("saved"), state.away ? (anyUnsaved() ? "Not connected: points are kept here" : "Not connected") : saving() || anyUnsaved() ? "Saving…" : project ? "Saved" : "");
  find("saved").classList.toggle("away", state.away);
}

async function history(direction, asked = false) {
  await settled(); // what waits to be saved is the last change
  const button = find(direction);
  if (button.disabled) return;
  const what = state.project[direction];
  if (direction === "undo" && !asked && isForeign(state.project)) {
    toast(`Another tab has made the last change (${what}).`, { error: true, action: { label: "Undo it", run: () => history("undo", true) } });
    return;
  }
  const done = await change("POST", `/api/${direction}`);
  if (done) {
    if (what) toast(`${direction === "undo" ? "Undone" : "Done again"}: ${what}.`, { seconds: 3 });
    forgetLive(); // it may be of a change that is undone
    emit("changed");
  }
  if (button.disabled && document.activeElement === button) find("stage").focus();
}

function showTheme() {
  const theme = document.documentElement.dataset.theme;
  dress(find("theme"), "theme", `Colors of the page: ${THEME_NAMES[theme]}`);
}

function listen() {
  const source = new EventSource("/api/events");
  const hear = (name, listener) => source.addEventListener(name, (event) => {
    let data = null;
    try {
      data = JSON.parse(event.data);
    } catch {
      return; // Half a line of a server that is ending.
    }
    listener(data);
  });
  hear("project", (data) => catchUp(data.revision).catch(complain));
  hear("scan", (data) => {
    const before = state.scan?.state;
    state.scan = { ...state.scan, ...data };
    emit("scan");
    if (data.state !== "running" && before === "running") refresh().catch(complain);
  });
  hear("shots", (data) => addShots(Array.isArray(data) ? data : data.shots ?? []));
  hear("preview", took);
  hear("render", tookRender);
  hear("compare", tookCompare);
  hear("queue", tookQueue);
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) toast(`This page belongs to a studio that has ended. ${ELSEWHERE}`, { error: true });
    else if (!state.away) setTimeout(() => state.away && toast(AWAY, { error: true }), 4000);
    state.away = true;
    emit("saving");
  });
  source.addEventListener("open", () => {
    state.away = false;
    // What happened before the stream was open was told to nobody here.
    refresh().then(() => emit("connected"), complain);
  });
}

/** Say once what is odd about the film; some of it is known only when it has been scanned. */
const warned = new Set();
function warn() {
  for (const text of film().warnings ?? []) if (!warned.has(text)) toast(text, { seconds: 20 });
  (film().warnings ?? []).forEach((text) => warned.add(text));
}

/** The place in the film survives a reload; the token leaves the address line, where others may look on. */
function keepPlace() {
  const place = /^#f(\d+)$/.exec(location.hash);
  let waiting = 0;
  const write = () => {
    waiting = 0;
    window.history.replaceState(null, "", `/#f${state.frame}`);
  };
  on("frame", () => {
    waiting ||= setTimeout(write, 400);
  });
  return place ? Number(place[1]) : 0;
}

async function begin() {
  showTheme();
  find("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = THEMES[document.documentElement.dataset.theme];
    remembered.set("theme", document.documentElement.dataset.theme);
    showTheme();
  });
  dress(find("open-settings"), "gear", "Settings of the film");
  dress(find("open-help"), "help", "Keys");
  find("undo").addEventListener("click", () => history("undo"));
  find("redo").addEventListener("click", () => history("redo"));
  find("open-settings").addEventListener("click", openSettings);
  on("project", showFilm);
  on("project scan", showScan);
  on("project saving", showHistory);
  on("go", goTo);
  for (const start of [startViewer, startTransport, startOverview, startTimeline, startShot, startHints, startAddHint, startPoints, startPreviews, startRender, startDeliver, startFirstRun, startGrid, startSounds, startKeys]) start();
  const place = keepPlace();
  try {
    setProject((await window.earlyProject) ?? (await call("GET", "/api/project")));
  } catch (error) {
    say(find("film-name"), error instanceof ApiError ? error.message : "The page could not begin.");
    complain(error);
    return;
  }
  window.history.replaceState(null, "", place ? `/#f${place}` : "/");
  goTo(place);
  emit("frame");
  emit("shot");
  emit("scan");
  redraw();
  on("project", warn);
  warn();
  call("GET", "/api/compare").then(tookCompare, () => undefined);
  call("GET", "/api/preview").then((kept) => kept.previews.forEach(took), () => undefined); // those of other shots, too
  performance.mark("studio-shown");
  listen();
}

begin();
