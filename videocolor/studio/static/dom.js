// Making and changing elements. Text only ever becomes a text node: names of films and files are anybody's words.

export const find = (id) => document.getElementById(id);

/** An element: `attributes` may hold `text`, `class`, `on` ({event: listener}), properties and attributes by name. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null) continue;
    if (name === "text") node.textContent = value;
    else if (name === "class") node.className = value;
    else if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (name === "hidden" || name === "disabled" || name === "checked" || name === "value") node[name] = value;
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false) node.setAttribute(name, String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** A picture of the sprite in index.html. */
export function glyph(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "glyph");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Give a button its picture, its name for those who do not see it, and its key in the tip. */
export function dress(button, name, label, { text = null } = {}) {
  const key = button.dataset.key ? ` (${button.dataset.key})` : "";
  const signature = `${name}|${label}|${text}`;
  if (button.dataset.dressed === signature) return button;
  button.dataset.dressed = signature;
  button.replaceChildren(glyph(name), ...(text ? [text] : []));
  button.title = label + key;
  if (text === null) button.setAttribute("aria-label", label);
  return button;
}

/** A button of a picture alone. */
export function iconButton(name, label, listener, attributes = {}) {
  const button = el("button", { type: "button", class: "icon", ...attributes, on: { click: listener } });
  return dress(button, name, label);
}

/**
 * Make the children of `container` follow `items`: nodes are kept by key, so that focus and half-typed text stay.
 * `create(item)` makes a node, `update(node, item, index)` fills it.
 */
export function keyed(container, items, key, create, update) {
  const old = new Map([...container.children].map((node) => [node.dataset.key, node]));
  let before = container.firstElementChild;
  items.forEach((item, index) => {
    const name = String(key(item));
    let node = old.get(name);
    if (node) old.delete(name);
    else {
      node = create(item);
      node.dataset.key = name;
    }
    if (node === before) before = before.nextElementSibling;
    else container.insertBefore(node, before);
    update(node, item, index);
  });
  for (const node of old.values()) node.remove();
}

/** Set text only where it differs: a live region must not speak twice. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Set the value of a field that nobody is typing in. */
export function fill(field, value) {
  const text = String(value ?? "");
  if (document.activeElement !== field && field.value !== text) field.value = text;
}

/** Call `listener` once, `wait` ms after the last call. */
export function later(listener, wait) {
  let timer = 0;
  let last = [];
  const run = () => {
    timer = 0;
    return listener(...last);
  };
  const call = (...values) => {
    last = values;
    clearTimeout(timer);
    timer = setTimeout(run, wait);
  };
  call.waiting = () => timer !== 0;
  call.cancel = () => {
    clearTimeout(timer);
    timer = 0;
  };
  /** Run it at once if it waits; resolves when what was begun is done. */
  call.now = async () => {
    if (!call.waiting()) return;
    call.cancel();
    await run();
  };
  delayed.add(call);
  return call;
}

const delayed = new Set();

/** Run at once whatever waits to be run. */
export const runDelayed = () => Promise.all([...delayed].map((call) => call.now()));

/** What the browser remembers of this person's choices; nothing where it keeps nothing. */
export const remembered = {
  get(name, fallback = null) {
    try {
      return localStorage.getItem(`videocolor.${name}`) ?? fallback;
    } catch {
      return fallback;
    }
  },
  set(name, value) {
    try {
      localStorage.setItem(`videocolor.${name}`, String(value));
    } catch {
      // A browser without storage: the choice holds until the page is closed.
    }
  },
};

const two = (value) => String(value).padStart(2, "0");

/** Film time for people: 00:01:02.345; `parts` "short": 1:02.3. */
export function clock(seconds, parts = "full") {
  if (!Number.isFinite(seconds)) return "–";
  const sign = seconds < 0 ? "-" : "";
  const digits = parts === "full" ? 1000 : 10;
  let rest = Math.round(Math.abs(seconds) * digits);
  const fraction = rest % digits;
  rest = (rest - fraction) / digits;
  const [hours, minutes, whole] = [Math.floor(rest / 3600), Math.floor(rest / 60) % 60, rest % 60];
  if (parts === "full") return `${sign}${two(hours)}:${two(minutes)}:${two(whole)}.${String(fraction).padStart(3, "0")}`;
  return `${sign}${hours ? `${hours}:${two(minutes)}` : minutes}:${two(whole)}.${fraction}`;
}

/** A time that is left, for people: "2 h 05 min", "3 min", "40 s". */
export function span(seconds) {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

export const plural = (count, word, more = `${word}s`) => `${count.toLocaleString("en")} ${count === 1 ? word : more}`;

/** Frames a second, from 25, 23.976 or "24000/1001". */
export function rateOf(rate) {
  if (typeof rate === "number") return rate;
  const [over, under = "1"] = String(rate ?? "").split("/");
  const value = Number(over) / Number(under);
  return Number.isFinite(value) && value > 0 ? value : 24;
}

const motion = matchMedia("(prefers-reduced-motion: reduce)");
export const calm = () => motion.matches;
