// Three steps for whoever opens the studio for the first time; gone when they are done, or closed.
import { dress, find, iconButton, remembered } from "./dom.js";
import { rendered } from "./frames.js";
import { hints, on, state } from "./state.js";

const KEPT = "first-steps";

function show() {
  const box = find("first-run");
  if (!state.project || remembered.get(KEPT) === "done") return void (box.hidden = true);
  const done = [hints().length > 0, [...state.previews.values()].some((one) => one.done > 0), rendered()];
  if (done.every(Boolean)) remembered.set(KEPT, "done");
  box.hidden = done[2];
  [...find("first-steps").children].forEach((step, index) => {
    step.classList.toggle("done", done[index]);
    if (done[index]) step.setAttribute("aria-label", `${step.textContent} (done)`);
  });
}

export function startFirstRun() {
  const close = iconButton("close", "Close these steps", () => {
    remembered.set(KEPT, "done");
    show();
    find("stage").focus();
  });
  find("first-run").append(close);
  dress(close, "close", "Close these steps");
  on("project preview render", show);
}
