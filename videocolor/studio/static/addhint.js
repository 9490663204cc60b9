// Adding hints: painted frames brought back, color photos, frames of other shots. Points have a file of their own.
import { change, toast } from "./api.js";
import { clock, dress, el, find, glyph, keyed, later } from "./dom.js";
import { pngUrl, sourceUrl } from "./frames.js";
import { recolor } from "./live.js";
import { currentShot, emit, endOf, frameAt, goTo, on, secondsOf, setTool, shotAt, shots, state } from "./state.js";
import { aspect } from "./viewer.js";

const WAYS = [
  { name: "painted", label: "Painted", icon: "brush" },
  { name: "choices", label: "Choose", icon: "dropper" },
  { name: "loose", label: "Photo", icon: "photo" },
  { name: "frame", label: "Other shot", icon: "film" },
  { name: "points", label: "Points", icon: "points" },
];
let way = "painted";
let wantedFrame = null;

export function chooseWay(name, focus = false) {
  way = name;
  for (const one of WAYS) {
    const tab = find(`tab-${one.name}`);
    tab.setAttribute("aria-selected", String(one.name === name));
    tab.tabIndex = one.name === name ? 0 : -1;
    find(`way-${one.name}`).hidden = one.name !== name;
  }
  if (focus) find(`tab-${name}`).focus();
  if (name !== "points" && (state.tool === "points" || state.tool === "dropper")) setTool(null);
}

function tabs() {
  for (const one of WAYS) {
    const tab = el("button", { type: "button", role: "tab", id: `tab-${one.name}`, "aria-controls": `way-${one.name}`, on: { click: () => chooseWay(one.name) } }, glyph(one.icon), one.label);
    find("ways").append(tab);
  }
  find("ways").addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const index = WAYS.findIndex((one) => one.name === way);
    chooseWay(WAYS[(index + step + WAYS.length) % WAYS.length].name, true);
  });
}

/** Send a picture; the answer says whether it was laid onto its frame, or why not. */
async function upload(file, path, query, done) {
  const note = toast(`Reading ${file.name}…`, { seconds: 3600 });
  const answer = await change("POST", path, { query, body: file, headers: { "Content-Type": "application/octet-stream", "X-File-Name": encodeURIComponent(file.name).slice(0, 900) } });
  note.remove();
  if (answer) {
    toast(typeof done === "string" ? done : done(answer));
    recolor(state.frame, answer.hints.find((hint) => hint.kind === "points" && hint.frame === state.frame)?.points ?? []);
    emit("changed");
  }
  return answer;
}

export const addPainted = (file, frame) => upload(file, "/api/hints/painted", { frame }, (project) => {
  const origin = project.hints.find((hint) => hint.kind === "painted" && hint.frame === frame)?.origin;
  return `${file.name} was laid onto frame ${frame}${origin?.moved ? `: ${origin.moved}` : ""}.`;
});

/** What the sliders say of the proposals: factor on chroma, share of the cast that stays. */
const altered = () => `saturation=${find("choice-color").value}&cast=${(1 - find("choice-cast").value).toFixed(2)}`;

/** Show the proposals as the sliders have them. */
const alter = later(() => {
  for (const image of find("choices").querySelectorAll("img")) image.src = image.src.replace(/saturation=.*$/, altered());
}, 120);

/** Show the colors that the network proposes for the shown frame; a click makes one of them its painted frame. */
function propose() {
  const frame = state.frame;
  const made = Date.now(); // the network's settings may have changed since the last time
  const choices = [0, 1, 2].map((number) => {
    const name = number === 0 ? "likeliest" : `choice ${number + 1}`;
    const image = el("img", { src: `/api/proposals/${frame}/${number}.jpg?of=${made}&${altered()}`, alt: "", decoding: "async" });
    const use = el("button", { type: "button", class: "go", title: `Color frame ${frame} so`, "aria-label": `Use ${name} for frame ${frame}`, on: { click: () => useProposal(frame, number) } }, image);
    const node = el("li", { class: "suggest" }, use, el("p", { class: "number", text: name }));
    image.addEventListener("error", async () => {
      node.remove(); // a network may have fewer; none at all has a reason
      if (number === 0) toast((await (await fetch(image.src)).json()).error ?? "No colors could be proposed.");
    });
    return node;
  });
  find("choices").style.setProperty("--aspect", String(aspect()));
  find("choices").replaceChildren(...choices);
}

async function useProposal(frame, number) {
  const answer = await fetch(`/api/proposals/${frame}/${number}.png?${altered()}`);
  if (!answer.ok) return toast("The proposal could not be read; propose again.");
  return addPainted(new File([await answer.blob()], `proposal ${number + 1}.png`), frame);
}

export const addLoose = (file, shot) => upload(file, "/api/hints/loose", { shot: shot.start }, `${file.name} is a hint of shot ${shot.number}.`);

/** The frame that a painted picture belongs to: by the name it was saved under, else the one that is shown. */
function frameOfName(name) {
  const match = /_t(\d+(?:\.\d+)?)s/.exec(name);
  return match ? frameAt(Number(match[1])) : state.frame;
}

async function addFiles(files, frame = null, loose = false) {
  const shot = currentShot();
  const chosen = [...files].filter((file) => file.size > 0);
  if (!shot || !chosen.length) return;
  for (const file of chosen) {
    if (loose) await addLoose(file, shot);
    else await addPainted(file, frame ?? frameOfName(file.name));
  }
}

function suggestedFrames() {
  const shot = currentShot();
  const frames = (shot?.suggested ?? []).filter((frame) => frame >= shot.start && frame < endOf(shot));
  keyed(find("suggested"), frames, (frame) => `${shot.start}-${frame}`, createSuggested, updateSuggested);
  find("suggested").style.setProperty("--aspect", String(aspect()));
}

function createSuggested(frame) {
  const image = el("img", { src: sourceUrl(frame, 144), alt: "", loading: "lazy", decoding: "async" });
  const go = el("button", { type: "button", class: "go", title: `To frame ${frame}, ${clock(secondsOf(frame))}`, "aria-label": `To suggested frame ${frame}`, on: { click: () => goTo(frame) } }, image);
  const save = el("a", { class: "button", href: pngUrl(frame), download: true, title: `Save frame ${frame} as PNG for painting`, "aria-label": `Save frame ${frame} as PNG` }, glyph("save"));
  const bring = el("button", { type: "button", class: "icon", title: `Bring painted frame ${frame} back`, "aria-label": `Bring painted frame ${frame} back`, on: { click: () => askPainted(frame) } }, glyph("open"));
  const node = el("li", { class: "suggest" }, go, el("p", { class: "number" }), el("div", { class: "tools" }, save, bring));
  dropOn(node, (files) => addFiles(files, frame));
  return node;
}

function updateSuggested(node, frame, index) {
  node.children[1].textContent = `${index === 0 ? "best: " : ""}${frame}`;
}

function askPainted(frame) {
  wantedFrame = frame;
  find("file-painted").click();
}

/** Make an element take dropped files; `listener` gets them. */
function dropOn(node, listener) {
  node.addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    node.classList.add("over");
  });
  node.addEventListener("dragleave", () => node.classList.remove("over"));
  node.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    node.classList.remove("over");
    find("dropveil").hidden = true;
    listener(event.dataTransfer.files);
  });
}

/** The whole page takes files: painted ones, or photos where that kind is chosen. None may open in place of the page. */
function dropAnywhere() {
  const veil = find("dropveil");
  const kind = () => (way === "loose" ? "loose" : "painted");
  let depth = 0;
  addEventListener("dragenter", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    depth += 1;
    veil.hidden = false;
    veil.firstElementChild.textContent = kind() === "loose" ? `Drop a color photo for shot ${currentShot()?.number ?? ""}` : `Drop the painted frame ${state.frame}, or any by the name it was saved under`;
  });
  addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    if (!depth) veil.hidden = true;
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    veil.hidden = true;
    if (event.dataTransfer?.files.length) addFiles(event.dataTransfer.files, null, kind() === "loose");
  });
  addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) addFiles(event.clipboardData.files, state.frame, kind() === "loose");
  });
}

export function startPicking() {
  const shot = currentShot();
  if (!shot) return;
  setTool({ pick: shot.start });
  document.activeElement?.blur();
  find("stage").focus();
}

async function usePicked() {
  const wanting = shots().find((shot) => shot.start === state.tool?.pick);
  const giving = shotAt(state.frame);
  if (!wanting || !giving || giving.start === wanting.start) return;
  const frame = state.frame;
  const answer = await change("POST", "/api/hints/frame", { json: { frame, shot: wanting.start } });
  if (!answer) return;
  setTool(null);
  goTo(wanting.start);
  toast(`Frame ${frame} of shot ${giving.number} is a hint of shot ${wanting.number}.`);
  emit("changed");
}

/** The line over the picture while a frame of another shot is being picked. */
function showPicking() {
  const message = find("stage-message");
  const wanting = state.tool?.pick === undefined ? null : shots().find((shot) => shot.start === state.tool.pick);
  if (!wanting) {
    if (message.dataset.kind === "pick") message.hidden = true;
    return;
  }
  const own = shotAt(state.frame)?.start === wanting.start;
  const use = el("button", { type: "button", class: "primary", id: "use-picked", text: `Use frame ${state.frame}`, disabled: own, on: { click: usePicked } });
  const cancel = el("button", { type: "button", text: "Cancel", on: { click: () => (setTool(null), goTo(wanting.start)) } });
  const focused = message.contains(document.activeElement) ? document.activeElement.id || "cancel" : null;
  message.dataset.kind = "pick";
  message.hidden = false;
  message.classList.remove("quiet");
  message.replaceChildren(el("span", { text: own ? `Go to a frame of another shot that shall color shot ${wanting.number}.` : `For shot ${wanting.number}:` }), use, cancel);
  if (focused) (focused === "use-picked" && !own ? use : cancel).focus();
}

export const usePickedFrame = () => (state.tool?.pick !== undefined ? (usePicked(), true) : false);

export function startAddHint() {
  tabs();
  chooseWay("painted");
  dress(find("save-frame"), "save", "Save this frame as PNG, to be painted", { text: "Save this frame" });
  dress(find("choose-painted"), "open", "Choose the painted picture", { text: "Bring it back…" });
  dress(find("propose"), "dropper", "Let the network propose colors for this frame", { text: "Propose colors" });
  dress(find("choose-loose"), "photo", "Choose a color picture", { text: "Choose a color photo…" });
  dress(find("pick-frame"), "film", "Pick a frame of another shot", { text: "Pick a frame…" });
  find("choose-painted").addEventListener("click", () => askPainted(null));
  find("propose").addEventListener("click", propose);
  for (const name of ["choice-color", "choice-cast"]) find(name).addEventListener("input", alter);
  on("frame shot", () => find("choices").replaceChildren());
  find("choose-loose").addEventListener("click", () => find("file-loose").click());
  find("pick-frame").addEventListener("click", startPicking);
  for (const kind of ["painted", "loose"]) {
    find(`file-${kind}`).addEventListener("change", async (event) => {
      const [files, frame] = [[...event.target.files], wantedFrame];
      event.target.value = "";
      wantedFrame = null;
      await addFiles(files, frame, kind === "loose");
    });
  }
  dropAnywhere();
  on("project shot", suggestedFrames);
  const saved = () => (find("save-frame").href = `${pngUrl(state.frame)}${find("save-colored").checked ? "?color=true" : ""}`);
  find("save-colored").addEventListener("change", saved);
  on("frame project", saved);
  on("tool frame project", showPicking);
  on("way", (name) => chooseWay(name));
}
