"""An ONNX image colorizer (DDColor, DeOldify...) as a program for `--keyframes-by`; see README.md.

Reads lines {"in": PATH, "out": PATH} and answers {"out": PATH} or {"error": TEXT}; the network is loaded once.
"""

from __future__ import annotations

import argparse
import json
import sys

import cv2
import numpy as np

from videocolor import VideocolorError, __version__, color_picture, load_colorizer


def main() -> None:
    """Color the pictures that the lines of standard input name."""
    parser = argparse.ArgumentParser(description="Colors pictures named by lines of JSON with an ONNX network.")
    parser.add_argument(
        "model", help="FILE.onnx, with its card FILE.yaml beside it, or a network of `videocolor models`"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    options = parser.parse_args()
    try:
        network = load_colorizer(options.model, device=options.device)
    except VideocolorError as error:
        sys.exit(f"error: {error}")
    version = f"{network.card.sha256 or network.card.name} by videocolor {__version__}"
    print(json.dumps({"program": network.card.title, "version": version}), flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        gray = cv2.imread(job["in"], cv2.IMREAD_GRAYSCALE)
        if gray is None:
            answer = {"error": f"{job['in']} cannot be read"}
        else:
            rgb = color_picture(gray.astype(np.float32) / 255, network)
            written = cv2.imwrite(job["out"], rgb[..., ::-1])
            answer = {"out": job["out"]} if written else {"error": f"{job['out']} cannot be written"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
