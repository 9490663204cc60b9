"""What the report of a run costs: seconds a shot to read its pictures, and the size of the page.

python benchmarks/report_page.py FILM [--every SECONDS]     # seeks in FILM, as source and as result
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from videocolor.reports.run import write_report
from videocolor.video import probe


def main() -> None:
    """Write the report of a film as if it were its own result, with shots of equal length, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", type=Path)
    parser.add_argument("--every", type=float, default=3.0, help="seconds of a shot; 3")
    words = parser.parse_args()
    info = probe(words.film)
    rate, length = float(info.rate or 25), float(info.duration or 0)
    step = round(words.every * rate)
    shots = [
        {"index": k + 1, "start": k * step, "end": (k + 1) * step, "start_seconds": k * step / rate}
        for k in range(max(1, int(length * rate / step)))
    ]
    color = {"matrix": info.color.matrix, "range": info.color.range}
    record = {
        **{"videocolor": "benchmark", "label": "benchmark", "source": {}, "model": {}, "output": {}},
        **{"assumed_color": color, "frames": info.frames or 0, "shots": shots},
    }
    with TemporaryDirectory() as folder:
        began = time.perf_counter()
        page = write_report(words.film, words.film, record, Path(folder) / "page.html")
        seconds, size = time.perf_counter() - began, page.stat().st_size
    film, each = f"{info.width}x{info.height} {info.codec}", seconds / len(shots)
    print(f"{film}, {len(shots)} shots: {seconds:.1f} s, {each:.2f} s a shot, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
