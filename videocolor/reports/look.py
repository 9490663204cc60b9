"""How the page of a run's report looks and moves; `videocolor.reports.page` fills it."""

from __future__ import annotations

from typing import Final

__all__ = ["SCRIPT", "STYLE"]

STYLE: Final = """
:root{color-scheme:light dark;--page:#f4f4f4;--card:#fff;--text:#1c1c1c;--soft:#555;--line:#c9c9c9;--link:#0b4f9e;
--warn:#6b3f00;--warn-page:#fff3dc;--ring:#0b62d6}
@media (prefers-color-scheme:dark){:root{--page:#1e1e1e;--card:#2a2a2a;--text:#ececec;--soft:#b4b4b4;--line:#4a4a4a;
--link:#8ec1ff;--warn:#ffd79a;--warn-page:#3b2f1a;--ring:#8ec1ff}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;padding:1.5rem 1rem 4rem;max-width:96rem;background:var(--page);
color:var(--text);overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.25;margin:.2rem 0}
h2{font-size:1.2rem;margin:2.2rem 0 .6rem;padding-top:.6rem;border-top:2px solid var(--line)}
h3{font-size:1rem;margin:0}
main>h3{margin-top:1rem}
a{color:var(--link)}
.soft{color:var(--soft)}
.sum{font-size:1.05rem;margin:.3rem 0}
nav ul{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;padding:0;list-style:none}
.sheets{columns:26rem;column-gap:2.5rem}
.sheets>*{break-inside:avoid;padding-bottom:.4rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;margin:.8rem 0;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:.2rem 0}
th,td{padding:.25rem .8rem .25rem 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
th[scope=row]{font-weight:400;color:var(--soft);width:9.5rem;overflow-wrap:normal}
thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
.warnings{background:var(--warn-page);color:var(--warn);border-left:4px solid var(--warn);padding:.6rem 1rem}
.warnings h2{border:0;margin:0;padding:0}
.warnings ul,.warnings p{margin:.3rem 0}
.shots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,24rem),1fr));gap:1rem}
.shot,.hint{background:var(--card);border:1px solid var(--line);padding:.8rem;border-radius:4px}
.shot{content-visibility:auto;contain-intrinsic-size:auto 24rem}
.shot p,.hint p{margin:.2rem 0;font-size:.9rem}
.stage{display:grid;grid-template-columns:1fr 1fr;gap:2px;margin:.5rem 0;background:#808080}
.stage img{display:block;width:100%;height:auto}
.stage input,.stage i{display:none}
.js .stage{display:block;position:relative;overflow:hidden}
.js .stage .after{position:absolute;inset:0;height:100%;clip-path:inset(0 0 0 var(--at,50%))}
.js .stage i{display:block;position:absolute;top:0;bottom:0;left:var(--at,50%);width:2px;margin-left:-1px;
background:#fff;outline:1px solid #000;pointer-events:none}
.js .stage i::after{content:"\\2194";position:absolute;top:calc(50% - 14px);left:-13px;width:28px;height:28px;
border-radius:50%;background:#fff;border:1px solid #000;color:#000;font:bold 17px/24px system-ui,sans-serif;
text-align:center}
.js .stage input{display:block;position:absolute;inset:0;width:100%;height:100%;margin:0;opacity:0;cursor:ew-resize;
appearance:none;touch-action:pan-y}
.stage input::-webkit-slider-thumb{appearance:none;width:2px;height:100%}
.stage input::-moz-range-thumb{width:2px;height:100%;border:0}
.stage:focus-within{outline:3px solid var(--ring);outline-offset:2px}
.hints{display:flex;flex-wrap:wrap;gap:.4rem;list-style:none;padding:0;margin:.4rem 0;font-size:.9rem}
.hints a{display:flex;gap:.5rem;align-items:center}
.hints img{height:3rem;width:auto}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,16rem),1fr));gap:1rem}
.hint h3{margin-top:.5rem;font-size:.95rem}
.hint img{display:block;max-width:100%;height:auto;max-height:10rem;background:#808080}
:target{outline:3px solid var(--ring)}
:focus-visible{outline:3px solid var(--ring);outline-offset:2px}
@media print{
:root{color-scheme:light;--page:#fff;--card:#fff;--text:#000;--soft:#333;--line:#999;--warn:#000;--warn-page:#fff}
body{max-width:none;padding:0;font-size:10pt}
nav,.howto{display:none}
.shots,.cards{display:block}
.shot,.hint,table,tr{break-inside:avoid}
.shot,.hint{content-visibility:visible;margin-bottom:.8rem}
.js .stage,.stage{display:grid;position:static;max-width:16cm}
.js .stage .after{position:static;clip-path:none;height:auto}
.js .stage i,.js .stage input{display:none}
h2,h3{break-after:avoid}
}
"""
SCRIPT: Final = """
document.documentElement.classList.add('js');
document.addEventListener('input', event => {
  const stage = event.target.closest('.stage');
  if (stage) stage.style.setProperty('--at', event.target.value + '%');
});
const pictures = new Map([...document.querySelectorAll('.hint[id] img')].map(image =>
  [image.closest('.hint').id, image.src]));
const seen = new IntersectionObserver(entries => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    seen.unobserve(entry.target);
    for (const link of entry.target.querySelectorAll('.hints a')) {
      const source = pictures.get(link.hash.slice(1));
      if (source) link.prepend(Object.assign(new Image(), {src: source, alt: ''}));
    }
  }
}, {rootMargin: '600px'});
for (const shot of document.querySelectorAll('.shot')) seen.observe(shot);
"""
