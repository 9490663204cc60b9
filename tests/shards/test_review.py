"""Promises of docs/concepts/shards.md that were broken once: changed shot lists, damaged memory and plans."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from batch.films import samples_of, write_reel

from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.errors import ConfigError, InputError
from videocolor.shards.planfile import read_plan
from videocolor.shards.records import load_state, state_path
from videocolor.shards.types import FilmJob
from videocolor.shards.work import plan_film
from videocolor.video import OutputOptions, VideoWriter, open_video, plan_output
from videocolor.video.shardfile import ShardFile

SETTINGS = ("output.codec=ffv1", "shots.shard=2", "shots.max_shard=4", "model.batch=1", "output.overwrite=true")


def config(*settings: str) -> ColorizeConfig:
    return ColorizeConfig.load(None, [*SETTINGS, *settings])


@pytest.fixture(scope="module")
def reel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With one shot, a shard of it ends inside before frame 56, where the second scene begins."""
    return write_reel(tmp_path_factory.mktemp("reel") / "in.mkv", ((1, 56), (2, 40)), audio=(), subtitles=())


@pytest.mark.slow
def test_another_shot_list_makes_another_plan(reel: Path, tmp_path: Path) -> None:
    target, kept = tmp_path / "out.mkv", "output.keep_shards=true"
    colorize_video(reel, target, config(kept, "shots.detector=none"))
    plan = read_plan(tmp_path / ".out.mkv.videocolor" / "plan.yaml")
    assert [shard.start for shard in plan.shards] == [0, 56] and plan.shards[0].closes_inside
    (tmp_path / "shots.yaml").write_text("shots:\n- {frame: 0}\n- {frame: 56}\n")
    listed = f"shots.file={tmp_path / 'shots.yaml'}"
    again = colorize_video(reel, target, config(kept, listed))
    assert [(shot.start, shot.end) for shot in again.shots] == [(0, 56), (56, 96)]
    colorize_video(reel, tmp_path / "whole.mkv", config("output.resume=false", listed))
    assert samples_of(target) == samples_of(tmp_path / "whole.mkv"), "no frame looks across the new cut"
    assert colorize_video(reel, target, config(listed)).resumed == 96


@pytest.mark.slow
def test_a_shard_whose_memory_is_damaged_is_colored_again(reel: Path, tmp_path: Path) -> None:
    target, once = tmp_path / "out.mkv", ("shots.detector=none", "output.keep_shards=true")
    colorize_video(reel, target, config(*once))
    before, folder = samples_of(target), tmp_path / ".out.mkv.videocolor"
    memory = state_path(folder, 0)
    whole = memory.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"PK"):
        memory.write_bytes(damaged)
        with pytest.raises(InputError, match="cannot be read"):
            load_state(memory)
    (folder / "shard-00002.json").unlink()
    assert colorize_video(reel, target, config(*once)).resumed == 0
    assert samples_of(target) == before


def test_a_plan_with_a_shard_behind_the_film_is_refused(reel: Path, tmp_path: Path) -> None:
    job = FilmJob("in", reel, tmp_path / "out.mkv", config().as_dict(), tmp_path / "work")
    plan_film(job)
    path = job.folder / "plan.yaml"
    text = path.read_text().replace("hints: []", '- {"shard": 9, "frame": 999, "pts": 9999, "inside": true}\nhints: []')
    path.write_text(text)
    with pytest.raises(ConfigError, match="up to the film's last frame"):
        read_plan(path)


@pytest.mark.slow
def test_what_a_run_killed_while_it_joined_has_left_goes(reel: Path, tmp_path: Path) -> None:
    target, settings = tmp_path / "[1] out.mkv", ("model.name=constant", "output.sidecar=false")
    colorize_video(reel, target, config(*settings, "output.keep_shards=true"))
    (tmp_path / ".[1] out.mkv.99999.part.mkv").write_bytes(b"half a film")
    (tmp_path / ".[1] out.mkv.notes").write_text("not ours")
    colorize_video(reel, target, config(*settings))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".[1] out.mkv.notes", "[1] out.mkv"]


def test_shards_of_machines_with_other_processors_go_together(reel: Path, tmp_path: Path) -> None:
    headers = set()
    for threads in ("1", "3"):
        options = {"x265-params": f"log-level=error:frame-threads={threads}:asm={threads != '1'}"}
        output = OutputOptions("libx265", options=options)
        path = tmp_path / f"{threads}.vcs"
        with open_video(reel, end=Fraction(1, 2)) as video:
            plan = plan_output(video.info, tmp_path / "out.mkv", output)
            writer, _ = VideoWriter.into_shard(video.info, plan, path)
            with writer:
                neutral = np.full((plan.chroma_size[1], plan.chroma_size[0]), 128, np.uint8)
                for frame in video:
                    writer.write(frame, neutral, neutral)
        headers.add(ShardFile.open(path).extradata)
    assert len(headers) == 1
