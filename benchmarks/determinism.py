"""Does an encoder give the same samples twice? And what do options cost that make it so?

    python benchmarks/determinism.py FILM... [--seconds 2] [--runs 3] [--only NAME...] [--out FILE.json]

Each film is written by the package's own writer, its luma with a constant tint, RUNS times with each variant. Printed:
on how many films the decoded samples of two runs differ, bytes, and CPU time of writing and reading.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from videocolor.video import OutputOptions, VideoWriter, open_video

VARIANTS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "libx264": (".mkv", {}),
    "libx264 asm=AVX512": (".mkv", {"x264-params": "asm=AVX512"}),
    "libx264 asm=AVX512 threads=1": (".mkv", {"x264-params": "asm=AVX512:threads=1"}),
    "libx264 asm=AVX512 mbtree=0": (".mkv", {"x264-params": "asm=AVX512:mbtree=0"}),
    "prores_ks": (".mov", {}),
    "dnxhd": (".mov", {}),
    "libvpx-vp9": (".webm", {}),
    "ffv1": (".mkv", {}),
    "libx265": (".mkv", {}),
    "libsvtav1": (".mkv", {}),
}
"""Name, whose first word is the encoder -> suffix and options."""


def write(film: Path, target: Path, codec: str, options: Mapping[str, str], seconds: float) -> None:
    """Write a film's first seconds."""
    with open_video(film, end=seconds) as video:
        wanted = OutputOptions(codec=codec, options=options, overwrite=True)
        with VideoWriter.like(video, target, wanted, info=video.info) as out:
            width, height = out.plan.chroma_size
            base = 1 << (out.plan.layout.depth - 1)
            kind = np.uint8 if out.plan.layout.depth == 8 else np.uint16
            cb, cr = (np.full((height, width), base + shift * base // 128, kind) for shift in (-12, 9))
            for frame in video:
                out.write(frame, cb, cr)
            out.close()


def digest(path: Path) -> str:
    """Hash of all decoded samples."""
    found = hashlib.sha256()
    with open_video(path) as video:
        for frame in video:
            for plane in (frame.luma, *(frame.chroma or ())):
                found.update(np.ascontiguousarray(plane).tobytes())
    return found.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", nargs="+", type=Path)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=list(VARIANTS))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = json.loads(args.out.read_text()) if args.out is not None and args.out.is_file() else {}
    for name in args.only:
        suffix, options = VARIANTS[name]
        differ, sizes, began = [], [], time.process_time()
        for film in args.films:
            with tempfile.TemporaryDirectory() as folder:
                targets = [Path(folder) / f"{run}{suffix}" for run in range(args.runs)]
                for target in targets:
                    write(film, target, name.split()[0], options, args.seconds)
                differ += [film.stem] * (len({digest(target) for target in targets}) > 1)
                sizes.append(targets[0].stat().st_size)
        spent = round(time.process_time() - began, 1)
        facts = {"seconds": args.seconds, "runs": args.runs, "cpu_s": spent}
        rows[name] = {**facts, "films": len(sizes), "differ": differ, "bytes": sizes}
        print(f"{name:32} {len(differ):2} of {len(sizes)} differ {sum(sizes):10} bytes {spent:7.1f} s", flush=True)
    if args.out is not None:
        args.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
