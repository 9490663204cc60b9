"""Read pictures of pairs, however they are stored: image files, or frames of the sources, decoded on demand."""

from __future__ import annotations

import logging
import os
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

from videocolor.datasets.pairs.frames import SUFFIX, decode_picture, picture_of, self_hint, shrink_to
from videocolor.datasets.pairs.manifest import PairRecord, frame_name, read_state, state_path
from videocolor.datasets.pairs.settings import PairsConfig
from videocolor.datasets.pairs.sources import Source
from videocolor.errors import InputError
from videocolor.presets import load_model
from videocolor.types import Array
from videocolor.video import open_video
from videocolor.video.seeking import SeekableVideo

__all__ = ["PairPictures", "locate", "read_film"]

log = logging.getLogger(__name__)

_OPEN: Final = 4
"""Films kept open at once."""
_CACHE: Final = 256 * 2**20
"""Bytes of decoded pictures kept."""

Which = Literal["original", "hint"]


def locate(folder: Path, record: PairRecord, root: Path | None = None) -> Path:
    """Find the file of a pair's source (the tar, for a picture in a tar).

    Tried in turn: the name under `root`, its last part under `root`, the name as it is, the place where the build
    found it.

    Raises:
        InputError: it is nowhere; names the places.
    """
    state = read_state(state_path(folder, record.source_sha256))
    built = None if state is None else Path(state.path)
    name = Path(record.source)
    if built is not None and built.suffix.lower() == ".tar":  # the name goes on inside the tar
        name = next((p for p in name.parents if p.name == built.name), name)
    places = [] if root is None else [root / name, root / name.name]
    places += [name] if built is None else [name, built]
    for place in places:
        if place.is_file():
            return place
    tried = ", ".join(str(place) for place in dict.fromkeys(places))
    raise InputError(f"{record.source}: the source is gone (looked for {tried}); say where it is with --root DIR")


def read_film(path: Path, short_side: int) -> Iterator[tuple[float, Array]]:
    """Read (seconds, (h, w, 3) uint8 R'G'B') of every frame of a film, the short side at most `short_side`."""
    with open_video(path) as video:
        for frame in video:
            yield float(frame.seconds), picture_of(frame, video.info, short_side)


class PairPictures:
    """Gives the two pictures of a pair.

    In the mode of references four films are kept open, decoding goes on where it is when the frame is near, and every
    frame on the way that some pair needs is kept (256 MB). So ask for pairs source by source, as `PairBatches` does.
    Picklable: another process opens its own films.
    """

    def __init__(self, folder: Path, records: Sequence[PairRecord], *, root: Path | None = None) -> None:
        """Prepare for reading.

        Args:
            folder: the data set.
            records: pairs that will be asked for.
            root: where to look for sources, before the places that the build noted.

        Raises:
            ConfigError: the settings of a pair are missing in the data set.
        """
        self.folder = folder
        self._root = root
        self.settings = {name: _settings(folder, name) for name in {record.settings for record in records}}
        wanted: dict[str, set[int]] = defaultdict(set)
        for record in records:
            if self.settings[record.settings].store.mode == "references" and not record.self_pair:
                wanted[record.source_sha256] |= {record.original_pts, record.hint_pts}
        self._wanted = dict(wanted)
        self._forget()

    def _forget(self) -> None:
        self._process = os.getpid()
        self._films: OrderedDict[str, SeekableVideo] = OrderedDict()
        self._cache: OrderedDict[tuple[str, int], Array] = OrderedDict()
        self._bytes = 0

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_films", "_cache")}

    def __setstate__(self, values: dict[str, object]) -> None:
        self.__dict__.update(values)
        self._forget()

    def close(self) -> None:
        """Close all films; they open again when asked for."""
        for film in self._films.values():
            film.close()
        self._forget()

    def get(self, record: PairRecord, which: Which) -> Array:
        """(h, w, 3) uint8 R'G'B' of the original or the hint.

        Raises:
            InputError: the file is missing or damaged, or the film no longer holds the frame.
        """
        if os.getpid() != self._process:  # forked: the parent's decoders must not be shared
            self._forget()
        store = self.settings[record.settings].store
        if store.mode == "frames":
            pts = record.original_pts if which == "original" else record.hint_pts
            warped = record.self_pair and which == "hint"
            name = frame_name(record.source_sha256, pts, warped=warped, suffix=SUFFIX[store.format])
            return decode_picture(_bytes(self.folder / name), str(self.folder / name))
        if record.self_pair:
            picture = self._cached((record.source_sha256, 0), lambda: self._image(record))
            return picture if which == "original" else self_hint(picture, record.pair_id)
        return self._film_frame(record, record.original_pts if which == "original" else record.hint_pts)

    def _image(self, record: PairRecord) -> Array:
        path = locate(self.folder, record, self._root)
        in_tar = path.suffix.lower() == ".tar"
        member = record.source.partition(f"{path.name}/")[2] if in_tar else None
        data = Source(record.source, path, "image", member).data()
        return shrink_to(decode_picture(data, record.source), self.settings[record.settings].store.short_side)

    def _cached(self, key: tuple[str, int], make: Callable[[], Array]) -> Array:
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        picture = make()
        self._keep(key, picture)
        return picture

    def _keep(self, key: tuple[str, int], picture: Array) -> None:
        if key in self._cache:
            return
        self._cache[key] = picture
        self._bytes += picture.nbytes
        while self._bytes > _CACHE and len(self._cache) > 1:
            self._bytes -= self._cache.popitem(last=False)[1].nbytes

    def _film_frame(self, record: PairRecord, pts: int) -> Array:
        return self._cached((record.source_sha256, pts), lambda: self._decode(record, pts))

    def _decode(self, record: PairRecord, pts: int) -> Array:
        """Decode up to a frame; keep what other pairs need on the way."""
        sha256, short_side = record.source_sha256, self.settings[record.settings].store.short_side
        film, wanted = self._film(record), self._wanted[sha256]
        for frame in film.until(pts, wanted.__contains__):
            key = (sha256, frame.pts)
            if key not in self._cache:
                self._keep(key, picture_of(frame, film.info, short_side))
            if frame.pts == pts:
                return self._cache[key]
        log.debug("%s: no frame at %s by seeking; reading it from the beginning", record.source, pts)
        self._films.pop(sha256).close()
        return self._read_through(record, pts)

    def _film(self, record: PairRecord) -> SeekableVideo:
        sha256 = record.source_sha256
        if sha256 in self._films:
            self._films.move_to_end(sha256)
            return self._films[sha256]
        while len(self._films) >= _OPEN:
            self._films.popitem(last=False)[1].close()
        self._films[sha256] = SeekableVideo(locate(self.folder, record, self._root))
        return self._films[sha256]

    def _read_through(self, record: PairRecord, pts: int) -> Array:
        """For films whose times had to be repaired: the reader repairs them the same way again."""
        path = locate(self.folder, record, self._root)
        with open_video(path) as video:
            for frame in video:
                if frame.pts == pts:
                    return picture_of(frame, video.info, self.settings[record.settings].store.short_side)
        raise InputError(f"{record.source}: has no frame at {pts} x {record.time_base} s; is it still the same film?")


def _settings(folder: Path, name: str) -> PairsConfig:
    path = folder / "settings" / f"{name}.yaml"
    return load_model(PairsConfig, "pairs", path)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}; `videocolor pairs verify`") from error
