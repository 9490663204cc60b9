"use strict";
const pairs = JSON.parse(document.getElementById("pairs").textContent);
const decided = new Map();
let at = 0;
const el = (id) => document.getElementById(id);
function lines() {
  return pairs.map((p) => (decided.get(p.id) || "?") + " " + p.id).join("\n") + "\n";
}
function show() {
  el("count").textContent = pairs.length
    ? `Pair ${at + 1} of ${pairs.length}, ${decided.size} decided` : "No pair to review";
  el("text").value = lines();
  const p = pairs[at];
  if (!p) return;
  el("original").src = p.pictures[0];
  el("hint").src = p.pictures[1];
  el("t0").textContent = p.times[0];
  el("t1").textContent = `${p.times[1]} (${p.offset > 0 ? "+" : ""}${p.offset} s)`;
  el("about").textContent = `distance ${p.distance}, shot ${p.shot}, ${p.source}`;
  const state = decided.get(p.id) || "none";
  el("state").textContent = state;
  el("state").className = state;
}
function move(by) { at = Math.max(0, Math.min(pairs.length - 1, at + by)); show(); }
function decide(word) { if (pairs[at]) { decided.set(pairs[at].id, word); move(1); } }
function undo() { if (pairs[at]) { decided.delete(pairs[at].id); show(); } }
function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([lines()], { type: "text/plain" }));
  link.download = "decisions.txt";
  link.click();
  URL.revokeObjectURL(link.href);
}
const keys = { a: () => decide("accept"), r: () => decide("reject"), u: undo, s: save,
               ArrowLeft: () => move(-1), ArrowRight: () => move(1) };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const act = keys[event.key];
  if (act) { event.preventDefault(); act(); }
});
el("accept").onclick = () => decide("accept");
el("reject").onclick = () => decide("reject");
el("undo").onclick = undo;
el("back").onclick = () => move(-1);
el("next").onclick = () => move(1);
el("save").onclick = save;
window.addEventListener("beforeunload", (event) => { if (decided.size) event.preventDefault(); });
show();
