// The hints that the current shot uses: see, switch off, use elsewhere, take away.
import { change, toast } from "./api.js";
import { clock, el, fill, find, iconButton, keyed, say } from "./dom.js";
import { shotsFed } from "./family.js";
import { hintUrl, sourceUrl } from "./frames.js";
import { forgetLive } from "./live.js";
import { currentShot, emit, goTo, hints, on, secondsOf, setTool, shotAt, shots, state } from "./state.js";
import { aspect } from "./viewer.js";

const KINDS = { painted: "Painted frame", loose: "Color photo", frame: "Frame of another shot", points: "Points" };

/** Hints that are listed for the shot: its own, on or off, and those that no shot uses any more (their shot was joined away). */
function hintsOf(shot) {
  const used = new Set(shot?.hints ?? []);
  return hints().filter((hint) => used.has(hint.id) || hint.shots.includes(shot?.start) || hint.shots.length === 0);
}

/** Change a hint; what is shown of its color is old then, and the preview follows. */
async function changeHint(method, path, what) {
  const done = await change(method, path, what);
  if (!done) return done;
  forgetLive();
  emit("changed");
  return done;
}

function create(hint) {
  const picture = el("div", { class: "shown" }, el("img", { alt: "", loading: "lazy", decoding: "async" }));
  const name = el("p", { class: "name" });
  const facts = el("p", { class: "facts" });
  const enabled = el("input", { type: "checkbox", on: { change: (event) => changeHint("PATCH", `/api/hints/${hint.id}`, { json: { enabled: event.target.checked } }) } });
  const tools = el("div", { class: "tools" }, iconButton("trash", "Remove this hint", () => remove(hint.id), { "data-role": "remove" }), el("label", { class: "check inline" }, enabled, "on"));
  const also = el("input", { type: "text", inputmode: "numeric", placeholder: "none", autocomplete: "off" });
  also.addEventListener("change", () => useIn(hint.id, also));
  const row = el("label", { class: "also" }, "Also in shots", also);
  return el("li", { class: "hint" }, picture, name, tools, facts, row);
}

function update(node, hint) {
  const [picture, name, tools, facts, row] = node.children;
  const image = picture.firstElementChild;
  const url = hint.kind === "points" ? sourceUrl(hint.frame, 144) : hintUrl(hint, 144);
  if (image.getAttribute("src") !== url) image.src = url;
  showPoints(picture, hint);
  const label = hint.label || KINDS[hint.kind] || hint.kind;
  say(name, label);
  name.title = label;
  image.alt = `${KINDS[hint.kind] ?? hint.kind}: ${label}`;
  node.classList.toggle("off", !hint.enabled);
  const enabled = tools.querySelector("input");
  enabled.checked = hint.enabled;
  enabled.setAttribute("aria-label", `Use “${label}”`);
  tools.querySelector("button").setAttribute("aria-label", `Remove “${label}”`);
  tools.querySelector("button").title = `Remove “${label}”`;
  showFacts(facts, hint);
  const others = otherShots(hint);
  row.querySelector("input").setAttribute("aria-label", `Also use “${label}” in shots, as 2, 5-7`);
  fill(row.querySelector("input"), ranges(others));
}

/** Points are too small to be seen in a small picture: they are drawn over it. */
function showPoints(picture, hint) {
  picture.style.aspectRatio = String(aspect());
  const signature = JSON.stringify(hint.points ?? []);
  if (picture.dataset.points === signature) return;
  picture.dataset.points = signature;
  picture.querySelectorAll("i").forEach((dot) => dot.remove());
  for (const point of hint.points ?? []) {
    const dot = el("i");
    Object.assign(dot.style, { left: `${point.x * 100}%`, top: `${point.y * 100}%`, backgroundColor: point.color });
    picture.append(dot);
  }
}

/** What a hint is, where it comes from, and what can be done with it there. */
function showFacts(facts, hint) {
  const kind = KINDS[hint.kind] ?? hint.kind;
  const lost = hint.shots.length === 0;
  const frame = hint.frame ?? (hint.kind === "frame" ? hint.origin?.frame ?? null : null);
  const fed = hint.enabled ? shotsFed(hint) : [];
  const signature = [kind, frame, lost, hint.origin?.moved, fed].join();
  if (facts.dataset.signature === signature) return;
  facts.dataset.signature = signature;
  facts.title = hint.origin?.moved ? `Laid onto its frame: ${hint.origin.moved}; similarity ${hint.origin.similarity}` : "";
  facts.replaceChildren(kind);
  const link = (text, title, run) => el("button", { type: "button", text, title, on: { click: run } });
  if (frame !== null) facts.append(", ", link(`frame ${frame}`, `To frame ${frame}, ${clock(secondsOf(frame))}`, () => goTo(frame)));
  if (hint.kind === "points") {
    const edit = () => {
      goTo(frame);
      emit("way", "points");
      setTool("points");
    };
    facts.append(", ", link("edit", "Change these points", edit));
  }
  if (fed.length > 1) facts.append(`; colors shots ${ranges(fed)}`);
  if (lost) facts.append(", in no shot: ", link("use it here", "Use this hint in the current shot", () => changeHint("PATCH", `/api/hints/${hint.id}`, { json: { shots: [currentShot().start] } })));
}

/** Numbers of the shots, other than its own and the current one, that a hint serves. */
function otherShots(hint) {
  const own = hint.frame === null ? currentShot()?.start : shotAt(hint.frame)?.start;
  const numbers = new Map(shots().map((shot) => [shot.start, shot.number]));
  return hint.shots.filter((start) => start !== own && numbers.has(start)).map((start) => numbers.get(start));
}

/** [1, 2, 3, 7] as "1-3, 7". */
export function ranges(numbers) {
  const sorted = [...numbers].sort((one, other) => one - other);
  const runs = [];
  for (const number of sorted) {
    const run = runs.at(-1);
    if (run && number === run[1] + 1) run[1] = number;
    else runs.push([number, number]);
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(", ");
}

/** "1-3, 7" as [1, 2, 3, 7]; null where it is not such a list or names a shot that is not there. */
export function numbersIn(text, most) {
  const numbers = new Set();
  for (const part of text.split(/[\s,;]+/).filter(Boolean)) {
    const match = /^(\d+)(?:[-–](\d+))?$/.exec(part);
    const [first, last] = match ? [Number(match[1]), Number(match[2] ?? match[1])] : [0, 0];
    if (first < 1 || last < first || last > most) return null;
    for (let number = first; number <= last; number += 1) numbers.add(number);
  }
  return [...numbers];
}

function useIn(id, field) {
  const hint = hints().find((one) => one.id === id);
  const numbers = numbersIn(field.value, shots().length);
  if (!hint || !numbers) {
    field.setAttribute("aria-invalid", "true");
    toast(`Shots are numbered 1 to ${shots().length}; write them as 2, 5-7.`, { error: true });
    return;
  }
  field.removeAttribute("aria-invalid");
  const own = hint.frame === null ? currentShot().start : null;
  const starts = new Set(numbers.map((number) => shots()[number - 1].start));
  if (own !== null && hint.shots.includes(own)) starts.add(own);
  changeHint("PATCH", `/api/hints/${id}`, { json: { shots: [...starts].sort((one, other) => one - other) } });
}

async function remove(id) {
  const list = find("hints");
  const place = [...list.children].findIndex((node) => node.dataset.key === id);
  const done = await changeHint("DELETE", `/api/hints/${id}`);
  if (!done) return;
  const next = list.children[Math.min(place, list.children.length - 1)]?.querySelector("[data-role=remove]") ?? find("hints-title");
  next.focus();
  toast("Hint removed.", { action: { label: "Undo", run: () => find("undo").click() } });
}

function show() {
  const shot = currentShot();
  const list = hintsOf(shot);
  keyed(find("hints"), list, (hint) => hint.id, create, update);
  find("no-hints").hidden = list.length > 0;
  const model = (state.project?.models ?? []).find((one) => one.name === state.project?.settings?.model);
  const blind = model && !model.hints;
  say(find("no-hints"), blind ? `The network “${model.name}” takes no hints; choose another in the film's settings.` : shot?.reuses ? `None of its own: it is colored as shot ${shot.reuses}.` : "None: the colors are the network's own proposal.");
}

export function startHints() {
  on("project shot", show);
}
