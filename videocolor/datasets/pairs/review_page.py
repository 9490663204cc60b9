"""The page of `pairs review`: no network, no framework; texts are set as text, never as HTML."""

from __future__ import annotations

from typing import Final

__all__ = ["PAGE"]

PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Doubtful pairs: @TITLE@</title>
<style>
 body { font: 16px/1.4 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 1rem; background: #1b1b1b;
        color: #eee; }
 .two { display: flex; flex-wrap: wrap; gap: .5rem; }
 figure { margin: 0; flex: 1 1 18rem; }
 img { width: 100%; max-height: 65vh; object-fit: contain; background: #000; }
 figcaption, #about { color: #bbb; overflow-wrap: anywhere; }
 button { font: inherit; padding: .4rem .9rem; margin: .2rem .3rem .2rem 0; }
 #state { font-weight: bold; }
 .accept { color: #7d7; } .reject { color: #f88; }
 textarea { width: 100%; height: 8rem; background: #111; color: #ddd; }
</style>
</head>
<body>
<h1 id="count"></h1>
<div class="two">
 <figure><img id="original" alt="original"><figcaption>original <span id="t0"></span></figcaption></figure>
 <figure><img id="hint" alt="hint"><figcaption>hint <span id="t1"></span></figcaption></figure>
</div>
<p id="about"></p>
<p>Decision: <span id="state" aria-live="polite">none</span></p>
<p>
 <button id="accept">accept (a)</button><button id="reject">reject (r)</button><button id="undo">undo (u)</button>
 <button id="back">previous (←)</button><button id="next">next (→)</button>
 <button id="save">save decisions (s)</button>
</p>
<details><summary>Decisions as text</summary><textarea id="text" readonly></textarea></details>
<p>Give the saved file back: <code>videocolor pairs review DIR --apply decisions.txt</code>. Do the two pictures show
one scene, so that one could lend its colours to the other? Then accept.</p>
<script type="application/json" id="pairs">@PAIRS@</script>
<script>
"use strict";
const pairs = JSON.parse(document.getElementById("pairs").textContent);
const decided = new Map();
let at = 0;
const el = (id) => document.getElementById(id);
function lines() {
  return pairs.map((p) => (decided.get(p.id) || "?") + " " + p.id).join("\\n") + "\\n";
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
</script>
</body>
</html>
"""
