"""One self-contained page of an evaluation: means, then clip by clip, the worst first, with pictures to compare."""

from __future__ import annotations

from html import escape
from typing import Final

import numpy as np

from videocolor.evaluation.evaluate import Evaluation
from videocolor.evaluation.rows import TRUTH, Row
from videocolor.evaluation.table import COLUMNS, facts, line_name, mean_table, number, score
from videocolor.evaluation.tasks import luma_codes, matrix_for
from videocolor.reports.html import cells, data_url, document, read_still, scaled

__all__ = ["page_html", "worst_first"]

_GRAY: Final = "gray film"
_STYLE: Final = """
:root{color-scheme:light dark}
body{font:15px/1.45 system-ui,sans-serif;margin:1.5rem auto;padding:0 1rem;max-width:110rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;margin:.8rem 0;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:.2rem 0}
th,td{padding:.2rem .6rem;border-bottom:1px solid #8884;text-align:right;white-space:nowrap}
th[scope=row],thead th:first-child{text-align:left}
section{border-top:2px solid #8888;margin-top:2rem}
.strip{display:flex;flex-wrap:wrap;gap:.5rem;margin:.5rem 0}
figure{margin:0}
figcaption{font-size:13px}
.compare{margin:.8rem 0}
.stage{position:relative;width:fit-content;line-height:0;margin:.5rem 0}
.stage img{height:20rem;max-width:none}
.stage .over{position:absolute;left:0;top:0;clip-path:inset(0 0 0 50%)}
.stage .bar{position:absolute;top:0;bottom:0;left:50%;width:2px;background:#fff;outline:1px solid #000}
.compare label{display:inline-block;margin-right:1rem}
input[type=range]{display:block;width:28rem;max-width:100%}
:focus-visible{outline:3px solid #36f}
"""
_SCRIPT: Final = """
for (const box of document.querySelectorAll('.compare')) {
  const pictures = [...box.parentElement.querySelectorAll('.strip img')];
  const [under, over] = box.querySelectorAll('.stage img');
  const bar = box.querySelector('.bar'), range = box.querySelector('input');
  const [left, right] = box.querySelectorAll('select');
  for (const [list, wanted] of [[left, box.dataset.left], [right, box.dataset.right]]) {
    pictures.forEach((picture, index) => list.add(new Option(picture.alt, index)));
    list.selectedIndex = Math.max(0, pictures.findIndex(picture => picture.alt === wanted));
    list.addEventListener('change', show);
  }
  function show() {
    for (const [image, list] of [[under, left], [over, right]]) {
      image.src = pictures[list.value].src;
      image.alt = pictures[list.value].alt;
    }
  }
  function move() {
    over.style.clipPath = 'inset(0 0 0 ' + range.value + '%)';
    bar.style.left = range.value + '%';
  }
  range.addEventListener('input', move);
  show();
  move();
  box.hidden = false;
}
"""


def worst_first(evaluation: Evaluation) -> list[str]:
    """Units by the mean dE00 of the last method (all its cases), largest first; PSNR where dE00 was not measured."""
    last = evaluation.labels[-1]

    def badness(unit: str) -> float:
        rows = [row for row in evaluation.rows if row.unit == unit and row.method == last]
        for key, sign in (("ciede2000_mean", 1.0), ("psnr_rgb", -1.0)):
            values = [value for row in rows if (value := score(row, key, evaluation)) is not None]
            if values:
                return sign * float(np.mean(values))
        return 0.0

    return sorted(evaluation.units, key=lambda unit: (-badness(unit), unit))


def page_html(evaluation: Evaluation) -> str:
    """The page; its size follows `page.shown`, `page.stills` and `page.height`.

    Raises:
        InputError: a kept picture is missing from the output folder.
    """
    name = evaluation.config.protocol.name
    listed = "".join(f"<li>{escape(fact)}</li>" for fact in facts(evaluation))
    head, body = mean_table(evaluation)
    order = worst_first(evaluation)
    shown = evaluation.config.page.shown
    parts = [
        f"<h1>Evaluation, protocol {escape(name)}</h1><ul>{listed}</ul>",
        cells(head, body, "Means over clips"),
        f"<p>Clips from the worst to the best of {escape(evaluation.labels[-1])}, by dE00"
        + (f"; pictures of the first {shown}" if shown < len(order) else "")
        + ". The slider moves with the mouse and with the arrow keys.</p>",
    ]
    parts += [_clip(evaluation, unit, pictures=index < shown) for index, unit in enumerate(order)]
    return document(f"videocolor: protocol {name}", "\n".join(parts), _STYLE, _SCRIPT)


def _clip(evaluation: Evaluation, unit: str, *, pictures: bool) -> str:
    """A clip's scores, its strips, and the slider."""
    rows = [row for row in evaluation.rows if row.unit == unit]
    columns = [column for column in COLUMNS if column.on_page]
    body = [
        [line_name(r.method, r.case), *(number(score(r, c.key, evaluation), c.digits) for c in columns)] for r in rows
    ]
    parts = [f"<section><h2>{escape(unit)}</h2>", cells(["method", *(c.title for c in columns)], body, "Scores")]
    if pictures:
        for place in range(len(rows[0].stills)):
            parts.append(_strip(evaluation, rows, place))
        last = next(row for row in reversed(rows) if row.method == evaluation.labels[-1])
        parts.append(_slider(unit, line_name(last.method, last.case), rows[0].still_frames[0]))
    return "\n".join([*parts, "</section>"])


def _strip(evaluation: Evaluation, rows: list[Row], place: int) -> str:
    """One frame: truth, gray, each method."""
    height = evaluation.config.page.height
    truth = next(row for row in rows if row.method == TRUTH)
    frame = truth.still_frames[place]
    picture = read_still(evaluation.output / truth.stills[place])
    luma = luma_codes(picture, matrix_for(picture.shape[0]))
    shown = [(TRUTH, picture), (_GRAY, np.repeat(luma[..., None], 3, axis=2))]
    for row in rows:
        if row.method not in (TRUTH, "gray"):
            shown.append((line_name(row.method, row.case), read_still(evaluation.output / row.stills[place])))
    figures = "".join(
        f'<figure><img src="{data_url(scaled(rgb, height))}" alt="{escape(f"{name}, frame {frame}")}">'
        f"<figcaption>{escape(name)}</figcaption></figure>"
        for name, rgb in shown
    )
    return f'<h3>Frame {frame}</h3><div class="strip">{figures}</div>'


def _slider(unit: str, name: str, frame: int) -> str:
    left, right = (escape(f"{text}, frame {frame}") for text in (_GRAY, name))
    return (
        f'<div class="compare" data-left="{left}" data-right="{right}" hidden>'
        "<label>left <select></select></label><label>right <select></select></label>"
        '<div class="stage"><img alt=""><img class="over" alt=""><div class="bar"></div></div>'
        f'<input type="range" min="0" max="100" value="50" aria-label="{escape(unit)}: where the left ends">'
        "</div>"
    )
