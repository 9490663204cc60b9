"""Bad films and bad targets: a clear error, the source untouched, nothing under the final name, no hang."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from film_helpers import lumas, pass_through, times
from media import make_film, make_image, neutral_chroma, noise_planes

from videocolor.errors import InputError, NoVideoError, OutputError, UnsupportedVideoError, UsageError, VideocolorError
from videocolor.video import OutputOptions, VideoWriter, open_video, plan_output, probe


def test_bad_inputs_are_named(tmp_path: Path) -> None:
    empty, text, noise = tmp_path / "empty.mkv", tmp_path / "notes.txt", tmp_path / "noise.mp4"
    empty.touch()
    text.write_text("only words\n" * 50)
    noise.write_bytes(np.random.default_rng(0).bytes(5000))
    for path, word in ((tmp_path / "none.mkv", "no such file"), (empty, "empty"), (text, "text"), (noise, "film")):
        with pytest.raises(InputError, match=word) as caught:
            probe(path)
        assert str(path) in str(caught.value)
    with pytest.raises(NoVideoError, match="no PNG"):
        (tmp_path / "folder").mkdir()
        probe(tmp_path / "folder")
    with pytest.raises(NoVideoError, match="pattern"):
        probe(tmp_path / "img_%04d.png")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")
def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    film = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mkv"))  # Latin-1
    film.write_bytes(b"never looked at")
    with pytest.raises(InputError, match=r"caf\\xe9\.mkv: the name is not UTF-8 \(byte 0xe9\); rename it"):
        probe(film)


def test_sound_alone_and_no_frames_are_no_film(tmp_path: Path) -> None:
    sound = tmp_path / "sound.mkv"
    with av.open(str(sound), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.int16), format="s16", layout="stereo")
        frame.sample_rate = 48000
        out.mux(stream.encode(frame))
    with pytest.raises(NoVideoError, match="only audio"):
        probe(sound)
    bare = tmp_path / "bare.mkv"
    with av.open(str(bare), "w") as out:
        stream = out.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        out.start_encoding()
    with pytest.raises(InputError):
        probe(bare)


@pytest.mark.parametrize(
    ("tags", "word"),
    [
        ({"color_trc": 16, "colorspace": 9, "color_primaries": 9}, "PQ"),
        ({"color_trc": 18, "colorspace": 9, "color_primaries": 9}, "HLG"),
        ({"colorspace": 10}, "constant luminance"),
        ({"colorspace": 8}, "YCgCo"),
    ],
)
def test_what_would_come_out_wrong_is_refused(tmp_path: Path, tags: dict[str, int], word: str) -> None:
    film = tmp_path / "hdr.mkv"
    make_film(film, 1, pix_fmt="yuv420p10le", tags=tags)
    with pytest.raises(UnsupportedVideoError, match=word):
        probe(film)


def test_the_nearest_matrix_is_said(tmp_path: Path) -> None:
    film = tmp_path / "in.mkv"
    make_film(film, 1, tags={"colorspace": 7})
    info = probe(film)
    assert info.color.matrix == "bt709"
    assert any("240M" in warning for warning in info.warnings)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_cut_off_film_gives_what_it_has_and_says_so(tmp_path: Path, suffix: str) -> None:
    whole, cut = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    with_index = {"movflags": "faststart"} if suffix == ".mp4" else {}
    make_film(tmp_path / f"plain{suffix}", 48, "libx264", options={"bf": "0", "g": "12"})
    with (
        av.open(str(tmp_path / f"plain{suffix}")) as film,
        av.open(str(whole), "w", container_options=with_index) as out,
    ):
        stream = out.add_stream_from_template(film.streams.video[0], opaque=True)
        for packet in film.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    data = whole.read_bytes()
    cut.write_bytes(data[: len(data) * 6 // 10])
    with open_video(cut) as film:
        count = sum(1 for _ in film)
    assert 20 < count < 48
    assert film.losses
    _, report, _ = pass_through(cut, tmp_path / f"out{suffix}", codec="libx264")
    assert report.frames == count == len(times(tmp_path / f"out{suffix}"))
    plain_mp4 = (tmp_path / f"plain{suffix}").read_bytes()
    if suffix == ".mp4":
        cut.write_bytes(plain_mp4[: len(plain_mp4) // 2])
        with pytest.raises(InputError):
            probe(cut)


def test_lost_frames_are_counted_and_the_rest_keeps_its_time(tmp_path: Path) -> None:
    """Also the last frame, which a decoder with frame threads holds back behind the undecodable one."""
    source, bad = tmp_path / "in.mkv", tmp_path / "bad.mkv"
    make_film(source, 12, options={"slicecrc": "1", "level": "3", "g": "1"})
    lost = (4, 5, 6, 10)
    with av.open(str(source)) as film, av.open(str(bad), "w") as out:
        stream = out.add_stream_from_template(film.streams.video[0], opaque=True)
        for number, packet in enumerate(film.demux(video=0)):
            if packet.size:
                if number in lost:
                    packet.update(b"\xff" * packet.size)
                packet.stream = stream
                out.mux(packet)
    with open_video(bad) as film:
        stamps = [frame.pts for frame in film]
    assert stamps == [int(t * 1000) for i, t in enumerate(times(source)) if i not in lost]
    assert film.losses[0].startswith("frames 4-6 (0.167-0.250 s) could not")
    assert film.losses[1].startswith("frame 10 (0.417 s) could not")
    _, report, _ = pass_through(bad, tmp_path / "out.mkv")
    assert report.frames == 8


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("ffv1", ".mkv"),
        ("libx264", ".mp4"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (("libx264", ".mkv"), ("mpeg4", ".mkv"), ("ffv1", ".mp4"), ("mpeg4", ".mp4"))
        ),
    ],
)
def test_flipped_bits_never_crash_or_shorten_silently(tmp_path: Path, codec: str, suffix: str) -> None:
    source, bad = tmp_path / f"in{suffix}", tmp_path / f"bad{suffix}"
    make_film(source, 24, codec, audio=[{}], audio_codec="aac", options={"g": "6"})
    data = source.read_bytes()
    for seed in range(6):
        random = np.random.default_rng(seed)
        damaged = bytearray(data)
        for place in random.integers(0, len(data), 8):
            damaged[place] ^= 1 << int(random.integers(0, 8))
        bad.write_bytes(damaged)
        try:
            with open_video(bad) as film:
                count = sum(1 for _ in film)
            target = tmp_path / f"out{seed}.mkv"
            _, report, _ = pass_through(bad, target, codec="libx264", preset="ultrafast")
        except VideocolorError as error:
            assert str(bad) in str(error) or "out" in str(error)  # noqa: PT017  half of the files are read
            continue
        assert report.frames == count
        assert count == 24 or film.losses, (seed, count)


def test_a_change_of_size_is_refused(tmp_path: Path) -> None:
    small, big, both = tmp_path / "a.ts", tmp_path / "b.ts", tmp_path / "both.ts"
    make_film(small, 6, "mpeg4", options={"bf": "0"}, time_base=Fraction(1, 24))
    make_film(big, 6, "mpeg4", size=(96, 64), options={"bf": "0"}, time_base=Fraction(1, 24))
    both.write_bytes(small.read_bytes() + big.read_bytes())
    with open_video(both) as film, pytest.raises(UnsupportedVideoError, match="96x64"):
        list(film)


def test_bad_targets_are_refused_before_work(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    make_film(source, 1)
    info = probe(source)
    before = source.read_bytes()
    (tmp_path / "link.mkv").symlink_to(source)
    (tmp_path / "old.mkv").write_bytes(b"old")
    for name, word in (("in.mkv", "source itself"), ("link.mkv", "source itself"), ("none/out.mkv", "does not exist")):
        with pytest.raises(OutputError, match=word):
            plan_output(info, tmp_path / name, OutputOptions(overwrite=True))
    with pytest.raises(OutputError, match="exists already"):
        plan_output(info, tmp_path / "old.mkv")
    for options, word in (
        (OutputOptions(codec="nonsense"), "no such encoder"),
        (OutputOptions(codec="aac"), "not a video encoder"),
        (OutputOptions(pix_fmt="gray"), "cannot write it as planar color"),
        (OutputOptions(options={"color": "1"}), "no option color"),
        (OutputOptions(preset="quickly"), "preset"),
    ):
        with pytest.raises(UsageError, match=word):
            plan_output(info, tmp_path / "new.mkv", options)
    with pytest.raises(UsageError, match="cannot hold ffv1"):
        plan_output(info, tmp_path / "new.mov", OutputOptions(codec="ffv1"))
    with pytest.raises(UsageError, match="unknown kind"):
        plan_output(info, tmp_path / "new.xyz")
    assert source.read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    source, folder = tmp_path / "in.mkv", tmp_path / "locked"
    make_film(source, 1)
    folder.mkdir(mode=0o500)
    with pytest.raises(OutputError, match="not writable"):
        plan_output(probe(source), folder / "out.mkv")


def test_nothing_stays_after_a_failure_and_the_old_file_survives(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / "out" / "out.mkv"
    target.parent.mkdir()
    target.write_bytes(b"old")
    make_film(source, 6)
    options = OutputOptions(codec="ffv1", overwrite=True)
    with (
        pytest.raises(KeyboardInterrupt),
        open_video(source) as film,
        VideoWriter.like(film, target, options) as out,
    ):
        plane = neutral_chroma(out.plan.chroma_size, 8)
        for frame in film:
            out.write(frame, plane, plane)
            if frame.index == 3:
                assert len(list(target.parent.iterdir())) == 2
                raise KeyboardInterrupt
    assert [p.name for p in target.parent.iterdir()] == ["out.mkv"]
    assert target.read_bytes() == b"old"
    with pytest.raises(OutputError, match="not one frame"), open_video(source) as film:
        VideoWriter.like(film, tmp_path / "out" / "none.mkv").close()
    assert [p.name for p in target.parent.iterdir()] == ["out.mkv"]


def test_a_disk_that_is_full_is_said(tmp_path: Path) -> None:
    """A limit on file size stands in for a full disk: the kernel refuses the write in the same place."""
    source = tmp_path / "in.mkv"
    make_film(source, 40)
    code = f"""
import resource, signal, sys
sys.path[:0] = {[str(Path(__file__).parents[2]), str(Path(__file__).parents[1]), str(Path(__file__).parent)]!r}
from pathlib import Path
from film_helpers import pass_through
from videocolor.errors import OutputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60000, 60000))
try:
    pass_through(Path({str(source)!r}), Path({str(tmp_path / "out.mkv")!r}), codec="ffv1")
except OutputError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "cannot be written" in done.stdout or "disk is full" in done.stdout, done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mkv"]


def test_woven_fields_are_noticed_and_progressive_texture_is_not(tmp_path: Path) -> None:
    ramp = np.kron(np.random.default_rng(0).integers(40, 220, (24, 40)), np.ones((8, 8))).astype(np.uint8)
    still = np.ascontiguousarray(ramp[:96, :128])
    woven = still.copy()
    woven[1::2] = ramp[1:97:2, 12:140]
    chroma = [np.full((48, 64), 128, np.uint8)] * 2
    told = hasattr(av.VideoCodecContext, "field_order")
    for picture, order, expected in (
        (woven, 0, "woven"),
        (woven, 2, "flagged so"),
        (still, 0, None),
        (still, 2, "no combing"),
    ):
        film = tmp_path / "in.mkv"
        make_film(film, [[picture, *chroma]] * 4, size=(128, 96), field_order=order)
        if order and not told:
            continue
        said = " ".join(probe(film).warnings)
        assert expected in said if expected else "interlaced" not in said
    noise = tmp_path / "noise.mkv"
    make_film(noise, 3, size=(128, 96))
    assert not any("interlaced" in warning for warning in probe(noise).warnings)


def test_sequences_keep_depth_order_and_gaps(tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    folder.mkdir()
    planes = {n: noise_planes(32, 24, "gray16be", n)[0] for n in (8, 9, 10, 12)}
    for number, plane in planes.items():
        make_image(folder / f"frame_{number}.png", [plane], "gray16be")
    (folder / "notes.txt").write_text("x")
    info = probe(folder)
    assert (info.frames, info.layout.depth, info.color.range, info.rate) == (4, 16, "full", 24)
    assert any("1 images are missing (11)" in w for w in info.warnings)
    assert any("frame rate" in w for w in info.warnings)
    for path in (folder, folder / "frame_%d.png"):
        with open_video(path, rate=Fraction(18)) as film:
            frames = list(film)
        assert [f.pts for f in frames] == [0, 1, 2, 4]
        assert frames[0].time_base == Fraction(1, 18)
        for frame, plane in zip(frames, planes.values(), strict=True):
            np.testing.assert_array_equal(frame.luma, plane)
    target = tmp_path / "out.mkv"
    pass_through(folder, target, codec="ffv1")
    for after, plane in zip(lumas(target), planes.values(), strict=True):
        np.testing.assert_array_equal(after, plane)


@pytest.mark.parametrize(("suffix", "pix_fmt", "deep"), [(".png", "rgb24", False), (".tif", "rgb48le", True)])
def test_images_out_are_whole_or_absent(tmp_path: Path, suffix: str, pix_fmt: str, deep: bool) -> None:
    source, folder = tmp_path / "in.mkv", tmp_path / "out"
    folder.mkdir()
    written = make_film(source, 3, pix_fmt="gray16le" if deep else "gray")
    _, report, out = pass_through(source, folder / f"f_%03d{suffix}")
    assert out.plan.pix_fmt == pix_fmt
    assert report.frames == 3
    assert sorted(p.name for p in folder.iterdir()) == [f"f_{n:03d}{suffix}" for n in (1, 2, 3)]
    for after, before in zip(lumas(folder), written, strict=True):
        np.testing.assert_array_equal(after, before[0])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mkv", "out"]
    with pytest.raises(OutputError, match="already"):
        pass_through(source, folder / f"f_%03d{suffix}")
    with pytest.raises(UsageError, match="pattern"):
        plan_output(probe(source), tmp_path / f"one{suffix}")


def test_a_still_is_a_film_of_one_frame(tmp_path: Path) -> None:
    image, target = tmp_path / "100% sure:1.png", tmp_path / "out.png"
    plane = noise_planes(33, 21, "gray")[0]
    make_image(image, [plane], "gray")
    info = probe(image)
    assert (info.frames, info.width, info.height, info.warnings) == (1, 33, 21, ())
    pass_through(image, target)
    np.testing.assert_array_equal(lumas(target)[0], plane)
    with pytest.raises(OutputError, match="source itself"):
        plan_output(info, image, OutputOptions(overwrite=True))


def _scan(folder: Path, numbers: range = range(1, 4)) -> dict[Path, bytes]:
    folder.mkdir()
    for number in numbers:
        make_image(folder / f"f_{number:04d}.png", [noise_planes(32, 24, "gray", number)[0]], "gray")
    return {file: file.read_bytes() for file in folder.iterdir()}


def test_images_never_replace_the_images_they_come_from(tmp_path: Path) -> None:
    folder, link = tmp_path / "seq", tmp_path / "link"
    before = _scan(folder)
    link.symlink_to(folder)
    sources = (folder, folder / "f_%04d.png")
    targets = (folder / "f_%04d.png", link / "f_%04d.png", folder, link)
    for source, target in itertools.product(sources, targets):
        with pytest.raises(OutputError, match="never overwritten"):
            pass_through(source, target, overwrite=True)
    one = tmp_path / "one"
    _scan(one, range(1, 2))
    with pytest.raises(OutputError, match="never overwritten"):
        plan_output(probe(one), one / "f_0001.png", OutputOptions(overwrite=True))
    _, report, _ = pass_through(folder, folder / "color_%04d.png")
    assert report.frames == 3
    assert all(file.read_bytes() == data for file, data in before.items())


def test_other_files_of_the_run_are_protected(tmp_path: Path) -> None:
    source, hint, shots = tmp_path / "in.mkv", tmp_path / "hint_0001.png", tmp_path / "shots.mkv"
    make_film(source, 2)
    make_image(hint, [noise_planes(32, 24, "gray")[0]], "gray")
    shots.write_text("x")
    options = OutputOptions(overwrite=True)
    for target, named in ((shots, "shots.mkv"), (tmp_path / "hint_%04d.png", "hint_0001.png")):
        with pytest.raises(OutputError, match=named):
            plan_output(probe(source), target, options, protected=(hint, shots, tmp_path / "missing"))
    plan_output(probe(source), tmp_path / "new_%04d.png", options, protected=(hint, shots))
    with pytest.raises(UsageError, match="one number pattern"):
        plan_output(probe(source), tmp_path / "s%02d_%04d.png")


def test_images_of_another_size_are_refused_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "seq"
    _scan(folder)
    odd = folder / "f_0004.png"
    make_image(odd, [noise_planes(40, 24, "gray")[0]], "gray")
    with pytest.raises(UnsupportedVideoError, match="convert all images") as caught:
        probe(folder)
    assert str(odd) in str(caught.value)


@pytest.mark.parametrize("name", ["out.mkv", "f_%03d.png"])
def test_samples_of_another_type_are_never_wrapped(tmp_path: Path, name: str) -> None:
    source = tmp_path / "in.mkv"
    make_film(source, 1)
    with (
        pytest.raises(ValueError, match=r"cb\.dtype = uint16"),
        open_video(source) as film,
        VideoWriter.like(film, tmp_path / name) as out,
    ):
        plane = neutral_chroma(out.plan.chroma_size, 8).astype(np.uint16)
        for frame in film:
            out.write(frame, plane, plane)
    assert [p.name for p in tmp_path.iterdir()] == ["in.mkv"]


@pytest.mark.parametrize("pattern", ["f_%04d.png", ""])
def test_unfinished_images_lie_in_their_own_folder(tmp_path: Path, pattern: str) -> None:
    """It may be a disk of its own, and a rename cannot leave a disk."""
    source, folder = tmp_path / "in.mkv", tmp_path / "disk"
    make_film(source, 2)
    folder.mkdir()
    with open_video(source) as film, VideoWriter.like(film, folder / pattern) as out:
        plane = neutral_chroma(out.plan.chroma_size, out.plan.layout.depth)
        for frame in film:
            out.write(frame, plane, plane)
            assert sorted(p.name for p in tmp_path.iterdir()) == ["disk", "in.mkv"]
    assert len(list(folder.iterdir())) == 2


def test_names_with_a_colon_are_names(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / "12:30.mkv"
    make_film(source, 3)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            _COLON.format(paths=[str(p) for p in (Path(__file__).parent, Path(__file__).parents[1])]),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(times(source)) == sum(1 for _ in lumas(target))


_COLON = """
import sys
sys.path[:0] = {paths}
from pathlib import Path
from film_helpers import pass_through
pass_through(Path("in.mkv"), Path("12:30.mkv"))
"""


def test_a_bare_name_is_a_folder_for_images(tmp_path: Path) -> None:
    folder, target = tmp_path / "seq", tmp_path / "outseq"
    _scan(folder, range(7, 10))
    pass_through(folder, target)
    assert sorted(p.name for p in target.iterdir()) == [f"{n:05d}.png" for n in (7, 8, 9)]
    blocked = tmp_path / "blocked"
    blocked.write_text("x")
    with pytest.raises(OutputError, match="not a folder"):
        plan_output(probe(folder), blocked, OutputOptions(overwrite=True))
    film = tmp_path / "in.mkv"
    make_film(film, 1)
    with pytest.raises(UsageError, match="no suffix"):
        plan_output(probe(film), tmp_path / "other")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
def test_a_start_behind_the_end_is_said(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / f"in{suffix}"
    make_film(source, 72, "libx264", options={"g": "12"}, rate=Fraction(24))
    with (
        open_video(source, start=Fraction(10)) as film,
        pytest.raises(UsageError, match=r"ends at 3\.\d+ s; start is 10"),
    ):
        list(film)
    folder = tmp_path / "seq"
    _scan(folder)
    with (
        open_video(folder, start=Fraction(10)) as film,
        pytest.raises(UsageError, match=r"ends at 0\.125 s; start is 10"),
    ):
        list(film)


def test_an_unreadable_first_image_is_one_loss(tmp_path: Path) -> None:
    folder = tmp_path / "seq"
    _scan(folder)
    (folder / "f_0001.png").write_bytes(b"no picture")
    info = probe(folder)
    assert any("f_0001.png" in warning for warning in info.warnings)
    with open_video(folder) as film:
        assert [frame.pts for frame in film] == [1, 2]
    assert any("f_0001.png" in loss for loss in film.losses)
    for file in folder.iterdir():
        file.write_bytes(b"no picture")
    with pytest.raises(InputError, match="f_0001"):
        probe(folder)
