"""The codec of a shot's state: what is stored is what is read, and what was one object is one again."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from videocolor.pipeline.state import from_arrays, to_arrays
from videocolor.types import Array


@dataclass(eq=False)
class Source:
    ab: Array
    mask: Array | None = None


@dataclass(eq=False)
class Track:
    source: Source
    age: int
    weight: float = 0.5
    open: bool = True


@dataclass(eq=False)
class Part:
    tracks: list[Track] = field(default_factory=list)
    pair: tuple[Track, ...] = ()
    planes: dict[int, Array] = field(default_factory=dict)
    levels: list[float] = field(default_factory=list)
    latest: Track | None = None


def stored(tmp_path: Path, **parts: object) -> dict[str, Array]:
    """Through a file, as shards store it."""
    np.savez(tmp_path / "state.npz", allow_pickle=False, **to_arrays(parts))
    with np.load(tmp_path / "state.npz", allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def test_a_state_comes_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    source = Source(rng.normal(size=(3, 4)).astype(np.float32))
    tracks = [Track(source, number, 1 / 3, open=number != 2) for number in range(12)]
    part = Part(tracks, (tracks[3],), {7: source.ab, 0: np.arange(3)}, [0.1, 2.0], Track(Source(np.eye(2)), 5))
    arrays = stored(tmp_path, first=part, second=Part())
    assert {"first.tracks.0.source.ab", "first.planes.7", "first.latest.age"} < set(arrays)
    assert not [name for name in arrays if name.startswith("second")], "what is empty takes no array"
    found = from_arrays({"first": Part, "second": Part}, arrays)
    first = found["first"]
    assert [(t.age, t.weight, t.open) for t in first.tracks] == [(n, 1 / 3, n != 2) for n in range(12)]
    assert all(t.source is first.tracks[0].source for t in first.tracks) and first.pair[0] is first.tracks[3]
    assert first.planes[7] is first.tracks[0].source.ab and first.tracks[0].source.mask is None
    np.testing.assert_array_equal(first.planes[7], source.ab)
    assert (first.levels, first.latest.age, list(first.planes)) == ([0.1, 2.0], 5, [7, 0])
    assert type(first.tracks[1].open) is bool and type(first.latest.age) is int
    assert vars(found["second"]) == vars(Part())


def test_one_object_is_stored_once(tmp_path: Path) -> None:
    source = Source(np.zeros((50, 50)))
    arrays = stored(tmp_path, part=Part([Track(source, n) for n in range(9)]))
    assert sum(array.size > 2000 for array in arrays.values()) == 1


def test_what_is_missing_or_unknown_is_an_error() -> None:
    arrays = to_arrays({"part": Part([Track(Source(np.zeros(3)), 1)])})
    del arrays["part.tracks.0.age"]
    with pytest.raises(KeyError, match=r"part\.tracks\.0\.age"):
        from_arrays({"part": Part}, arrays)
    with pytest.raises(TypeError, match="set cannot be part"):
        to_arrays({"part": Track({1, 2}, 3)})  # type: ignore[arg-type]
