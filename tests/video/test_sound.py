"""The sound of a part of a film."""

from __future__ import annotations

import io
import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from films import write_reel

from videocolor.errors import InputError
from videocolor.video.sound import SOUND_RATE, read_sound, wave_bytes


@pytest.fixture(scope="module")
def reel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reel(tmp_path_factory.mktemp("sound") / "reel.mkv", ((1, 30),))


def test_a_part_is_the_same_as_in_the_whole(reel: Path) -> None:
    whole = read_sound(reel, Fraction(0), Fraction(2))
    assert whole.shape == (2 * SOUND_RATE, 2) and np.abs(whole).max() > 1000
    part = read_sound(reel, Fraction(3, 2), Fraction(1, 4))
    assert part.shape == (SOUND_RATE // 4, 2)
    start, shift = 3 * SOUND_RATE // 2, SOUND_RATE // 1000  # the container's times are whole milliseconds
    inner = part[shift:-shift].astype(int)
    away = [np.abs(inner - whole[at : at + len(inner)]).mean() for at in range(start, start + 2 * shift)]
    assert min(away) < 0.02 * np.abs(inner).max()


def test_beyond_the_end_it_is_silent_and_a_wave_file_holds_it(reel: Path) -> None:
    sound = read_sound(reel, Fraction(60), Fraction(1, 10))
    assert sound.shape == (SOUND_RATE // 10, 2) and not sound.any()
    with wave.open(io.BytesIO(wave_bytes(sound))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (SOUND_RATE, 2, SOUND_RATE // 10)


def test_what_has_no_sound_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no film.mkv").write_bytes(b"x" * 100)
    with pytest.raises(InputError, match="cannot be read"):
        read_sound(tmp_path / "no film.mkv", Fraction(0), Fraction(1))
