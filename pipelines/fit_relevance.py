"""Fit the hint network's relevance gate on complete frames; everything else stays as it was trained.

    python pipelines/fit_relevance.py measure PACK WEIGHTS -o ROWS.npz
    python pipelines/fit_relevance.py fit     WEIGHTS ROWS.npz... -o MINE.safetensors [--graphs]

PACK is a folder of packed footage as `videocolor train` uses it (`data.pack`), WEIGHTS the network trained on it.
`measure` colors frames of it with right, similar and wrong hints; it takes minutes, and may be run again with another
--seed for more rows. `fit` takes seconds and any number of such files. It prints the gain over coloring without a hint,
in dB of RGB-PSNR, before and after; "after" is of folds whose sources the gate was not fitted to. --graphs also writes
the ONNX graphs (needs the package onnx).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click
import torch
from relevance_rows import DEGREES, KINDS, Rows, measure_relevance, one_thread
from torch import Tensor, nn

from videocolor.errors import InputError, VideocolorError
from videocolor.models.artifact import read_artifact, write_artifact
from videocolor.models.hint.export import write_graphs
from videocolor.models.hint.runtimes import network_of
from videocolor.training.hint.package import ARCHITECTURE, count_macs

_WEIGHT: Final = {"wrong": 2.0, "scribbles": 2.0}
"""Weight of a row by kind, where it is not 1."""
_LEAN: Final = 3.5
"""Log of the ratio of odds that a hint helps: in films over in the rows."""
_EPOCHS: Final = 60
_BATCH: Final = 512
_RATE: Final = 3e-3
_DECAY: Final = 1e-2
_FOLDS: Final = 4


def expected_gain(gain: Tensor, relevance: Tensor) -> Tensor:
    """Interpolate the gain linearly between the measured degrees of relevance.

    Args:
        gain: (n, len(DEGREES)) in dB.
        relevance: (n,) in 0..1.

    Returns:
        (n,) in dB; differentiable by relevance.
    """
    degrees = torch.tensor(DEGREES)
    upper = torch.searchsorted(degrees, relevance.detach().contiguous()).clamp(1, len(DEGREES) - 1)
    low, high = degrees[upper - 1], degrees[upper]
    share = (relevance - low) / (high - low)
    below = gain.gather(1, upper[:, None] - 1)[:, 0]
    above = gain.gather(1, upper[:, None])[:, 0]
    return below + share * (above - below)


def fit_gate(evidence: Tensor, gain: Tensor, weight: Tensor, seed: int, lean: float = 0.0) -> nn.Sequential:
    """Fit a gate like `HintNet.belief`.

    Args:
        evidence: (n, k), its input.
        gain: (n, len(DEGREES)) in dB.
        weight: (n,) of each row.
        seed: of the first weights and of the order; the same rows give the same gate.
        lean: added to its logit.

    Returns:
        Convolution 1x1, ReLU, convolution 1x1, before the sigmoid.
    """
    generator = torch.Generator().manual_seed(seed)
    mean, spread = evidence.mean(dim=0), evidence.std(dim=0, unbiased=False) + 1e-3
    scaled, n = (evidence - mean) / spread, len(evidence)
    first, last = nn.Linear(evidence.shape[1], 32), nn.Linear(32, 1)
    with torch.no_grad():
        first.weight.normal_(0, evidence.shape[1] ** -0.5, generator=generator)
        last.weight.normal_(0, 32**-0.5, generator=generator)
        first.bias.zero_()
        last.bias.zero_()
    parameters = [*first.parameters(), *last.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=_RATE, weight_decay=_DECAY)
    steps = _EPOCHS * -(-n // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
    with one_thread():
        for _ in range(_EPOCHS):
            order = torch.randperm(n, generator=generator)
            for start in range(0, n, _BATCH):
                rows = order[start : start + _BATCH]
                relevance = torch.sigmoid(last(torch.relu(first(scaled[rows])))[:, 0])
                loss = -(weight[rows] * expected_gain(gain[rows], relevance)).mean()
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
    head = nn.Sequential(nn.Conv2d(evidence.shape[1], 32, 1), nn.ReLU(), nn.Conv2d(32, 1, 1))
    weights = first.weight / spread
    state = {"0.weight": weights[:, :, None, None], "0.bias": first.bias - weights @ mean}
    state |= {"2.weight": last.weight[:, :, None, None], "2.bias": last.bias + lean}
    head.load_state_dict({name: value.detach() for name, value in state.items()})
    return head


def fit_relevance(
    rows: Rows, weights: Path, target: Path, *, seed: int = 5, lean: float = _LEAN, graphs: bool = False
) -> str:
    """Write a weights file with a fitted relevance gate; all other weights stay.

    Args:
        rows: of `measure_relevance`, for these weights.
        weights: the file they were measured with.
        target: the .safetensors file to write.
        seed: of the fit.
        lean: added to the fitted gate's logit: most hints of the rows are wrong, most hints of a film are not.
        graphs: also write the ONNX graphs beside the target.

    Returns:
        A table by kind of hint: gains in dB before and after, the latter on folds that the gate was not fitted to.

    Raises:
        InputError: the rows do not fit the network.
        ModelError: the weights cannot be read, or belong to another network.
    """
    artifact = read_artifact(weights)
    net = network_of(artifact)
    head = net.belief[0]
    assert isinstance(head, nn.Conv2d)
    if rows.evidence.ndim != 2 or rows.evidence.shape[1] != head.in_channels or not len(rows.evidence):
        raise InputError(f"rows of shape {rows.evidence.shape}, the relevance gate takes {head.in_channels} numbers")
    evidence, gain = torch.from_numpy(rows.evidence), torch.from_numpy(rows.gain)
    weight = torch.tensor([_WEIGHT.get(kind, 1.0) for kind in KINDS])[torch.from_numpy(rows.kind)]
    report = _report(rows, _unseen(rows, evidence, gain, weight, seed, lean))
    net.belief.load_state_dict(fit_gate(evidence, gain, weight, seed, lean).state_dict())
    card = replace(artifact.card, parameters=sum(p.numel() for p in net.parameters()), macs=count_macs(net))
    counts = {kind: int((rows.kind == n).sum()) for n, kind in enumerate(KINDS)}
    training: dict[str, Any] = artifact.training | {"relevance": {"rows": counts, "seed": seed, "lean": lean}}
    state = {name: value.numpy() for name, value in net.state_dict().items()}
    write_artifact(target, state, card, ARCHITECTURE, training)
    if graphs:
        write_graphs(net, target.parent, ARCHITECTURE)
    return report


def _unseen(rows: Rows, evidence: Tensor, gain: Tensor, weight: Tensor, seed: int, lean: float) -> Tensor:
    """Relevance of each row by a gate fitted without the sources of its fold."""
    folds = torch.from_numpy(rows.group) % _FOLDS
    relevance = torch.zeros(len(evidence))
    for fold in range(_FOLDS):
        fitted, kept = (folds != fold).all(dim=1), folds[:, 0] == fold
        if fitted.any() and kept.any():
            gate = fit_gate(evidence[fitted], gain[fitted], weight[fitted], seed, lean)
            with torch.inference_mode():
                relevance[kept] = torch.sigmoid(gate(evidence[kept][:, :, None, None]))[:, 0, 0, 0]
    return relevance


def _report(rows: Rows, after: Tensor) -> str:
    gain, before = torch.from_numpy(rows.gain), torch.from_numpy(rows.relevance)
    lines = ["| hint | rows | relevance before | gain dB | relevance after | gain dB | fully used | best degree |"]
    lines.append("| --- " * 8 + "|")
    for number, kind in enumerate(KINDS):
        chosen = torch.from_numpy(rows.kind == number)
        if not chosen.any():
            continue
        own = gain[chosen]
        pairs = [(b[chosen], expected_gain(own, b[chosen])) for b in (before, after)]
        figures = (*(part for pair in pairs for part in pair), own[:, -1], own.amax(dim=1))
        cells = " | ".join(f"{float(figure.mean()):.2f}" for figure in figures)
        lines.append(f"| {kind} | {int(chosen.sum())} | {cells} |")
    return "\n".join(lines)


@click.group(help=__doc__)
def main() -> None:
    pass


@main.command()
@click.argument("pack", type=click.Path(path_type=Path))
@click.argument("weights", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option("--frames", default=1, show_default=True, help="Targets a clip.")
@click.option("--images", default=150, show_default=True, help="Images that are targets.")
@click.option("--seed", default=5, show_default=True)
def measure(pack: Path, weights: Path, output: Path, frames: int, images: int, seed: int) -> None:
    """Measure what hints gain."""
    try:
        rows = measure_relevance(pack, weights, frames=frames, images=images, seed=seed)
        rows.save(output)
    except VideocolorError as error:
        raise SystemExit(f"error: {error}") from error
    click.echo(f"{output}: {len(rows.gain)} rows")


@main.command()
@click.argument("weights", type=click.Path(path_type=Path))
@click.argument("rows", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option("--seed", default=5, show_default=True)
@click.option("--lean", default=3.5, show_default=True, help="Added to the gate's logit: toward using a hint.")
@click.option("--graphs", is_flag=True, help="Write the ONNX graphs beside OUTPUT.")
def fit(weights: Path, rows: tuple[Path, ...], output: Path, seed: int, lean: float, graphs: bool) -> None:
    """Write a weights file with a fitted gate."""
    try:
        report = fit_relevance(
            Rows.joined([Rows.load(path) for path in rows]),
            weights,
            output,
            seed=seed,
            lean=lean,
            graphs=graphs,
        )
    except VideocolorError as error:
        raise SystemExit(f"error: {error}") from error
    click.echo(report)


if __name__ == "__main__":
    main()
