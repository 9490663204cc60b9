"""The golden cases: seeded films, settings and hints in neutral words, kind after kind of path through the program."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from golden.films import length_of, name_of, starts_of, times_of

WEIGHTS = "network.safetensors"
"""The reference's packaged weights, so that other weights do not change the cases."""
SMALL = "small.onnx"
COARSE = "coarse.onnx"
QUICK = ("automatic", "painted", "loose", "assigned", "split", "small", "again", "deep")
"""Kinds whose first case belongs to the fast tier."""


@dataclass
class Case:
    """A film, what it is colored with, and what an earlier run was told.

    Settings are in the reference's words; the runner translates them.
    """

    id: str
    film: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)
    before: list[dict[str, Any]] = field(default_factory=list)
    """Changes to the settings for each earlier run to the same target."""
    pictures: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name of each hint picture -> its recipe."""
    films: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Further films, from which hints are taken."""
    shots: list[int] | None = None
    """First frames in a shot list of the case's own, `ID.yaml`."""

    @property
    def film_name(self) -> str:
        return name_of(self.film, "" if self.film.get("images") else ".mkv")

    def as_dict(self) -> dict[str, Any]:
        """What the runner reads."""
        return {"id": self.id, "film": self.film_name, "settings": self.settings, "before": self.before}

    def picture(self, index: int | None = None, scene: int | None = None, **recipe: Any) -> str:
        """Name of a picture of the film's frame `index`, or of another scene."""
        place = 0
        if scene is None:
            assert index is not None
            number = max(n for n, start in enumerate(starts_of(self.film)) if start <= index)
            scene, place = self.film["shots"][number][0], index - starts_of(self.film)[number]
        whole = {"scene": scene, "index": place, "size": self.film["size"], **recipe}
        name = name_of(whole, ".png")
        self.pictures[name] = whole
        return name

    def at(self, index: int) -> str:
        """Time of a frame as a hint names it."""
        return f"{float(times_of(self.film)[index]):.6f}"

    def painted(self, index: int, **recipe: Any) -> str:
        """A hint with the time of the frame that it shows."""
        return f"{self.at(index)}={self.picture(index, **recipe)}"


def _film(rng: random.Random, **changes: Any) -> dict[str, Any]:
    """A film of two to four shots, some of which return."""
    scenes = rng.sample(range(40), 3)
    order = rng.choice([(0, 1), (0, 1, 0), (0, 1, 2), (0, 1, 0, 2), (0,)])
    film = {
        "shots": [[scenes[i], rng.randint(6, 16)] for i in order],
        "size": rng.choice([[64, 48], [80, 60], [96, 64], [128, 96], [160, 120]]),
        "rate": rng.choice(["24", "25", "12", "30000/1001"]),
        "pix_fmt": rng.choice(["gray", "gray", "yuv420p", "yuv422p10le"]),
        # A painted frame is known by its BT.709 luma; in films of the other matrix it is a hint like others.
        "matrix": "bt601" if rng.random() < 0.1 else "bt709",
    }
    if rng.random() < 0.15:
        film["uneven"] = rng.randint(0, 99)
    return film | changes


def _slow(rng: random.Random, **changes: Any) -> dict[str, Any]:
    """A film of few frames a second with a long shot, in which shards end."""
    scenes = rng.sample(range(40), 2)
    shots = [[scenes[0], rng.randint(6, 16)], [scenes[1], rng.randint(40, 50)], [scenes[0], rng.randint(6, 12)]]
    return _film(rng, shots=shots[rng.randint(0, 1) :], rate=rng.choice(["4", "5"]), size=[80, 60], **changes)


def _split(rng: random.Random) -> dict[str, Any]:
    """Settings under which shards end inside shots."""
    return {
        "shots.shard": rng.choice([1, 2, 3]),
        "shots.max_shard": 4,
        "model.batch": 1,
        "model.anchor_every": rng.choice([4, 8]),
        "output.resume": True,
    }


def _middle(rng: random.Random, film: Mapping[str, Any], number: int | None = None) -> int:
    """A frame of a shot."""
    starts = [*starts_of(film), length_of(film)]
    number = rng.randrange(len(starts) - 1) if number is None else number
    return rng.randrange(starts[number], starts[number + 1])


Kind = Callable[[random.Random, str], Case]
KINDS: dict[str, Kind] = {}


def kind(make: Kind) -> Kind:
    """Register a maker of cases under its name."""
    KINDS[make.__name__.strip("_")] = make
    return make


@kind
def automatic(rng: random.Random, name: str) -> Case:
    return Case(name, _film(rng), {"smoothing.decay": rng.choice([0.93, 0.5, 0.0, 0.98])})


@kind
def painted(rng: random.Random, name: str) -> Case:
    case = Case(name, _film(rng))
    frames = sorted({_middle(rng, case.film) for _ in range(rng.randint(1, 2))})
    case.settings["hints.items"] = [case.painted(index, wide=rng.random() < 0.3) for index in frames]
    return case


@kind
def loose(rng: random.Random, name: str) -> Case:
    case = Case(name, _film(rng))
    case.settings["hints.items"] = [case.picture(_middle(rng, case.film))]
    case.settings["hints.min_likeness"] = rng.choice([0.0, 0.3, 0.5, 0.5, 0.8])
    return case


@kind
def style(rng: random.Random, name: str) -> Case:
    case = Case(name, _film(rng))
    case.settings["hints.items"] = [case.picture(scene=rng.randint(40, 60), size=[90, 70])]
    case.settings["hints.min_likeness"] = rng.choice([0.0, 0.0, 0.2])
    return case


@kind
def spots(rng: random.Random, name: str) -> Case:
    case = Case(name, _film(rng))
    index, again = _middle(rng, case.film), _middle(rng, case.film)
    case.settings["hints.items"] = [case.painted(index, spots=rng.randint(0, 99))]
    if rng.random() < 0.5:
        case.settings["hints.items"].append(case.painted(again, hue=1, spots=rng.randint(0, 99)))
    return case


@kind
def assigned(rng: random.Random, name: str) -> Case:
    case = Case(name, _film(rng))
    own, other = _middle(rng, case.film), _middle(rng, case.film)
    entries: list[dict[str, Any]] = [{"image": case.picture(own), "frame": own, "shots": [other]}]
    if rng.random() < 0.6:
        entries.append({"image": case.picture(scene=rng.randint(40, 60)), "shots": [other]})
    if rng.random() < 0.5:
        case.settings["hints.items"] = [case.painted(_middle(rng, case.film), hue=1)]
    case.settings["hints.assigned"] = entries[rng.randint(0, len(entries) - 1) :]
    return case


@kind
def split(rng: random.Random, name: str) -> Case:
    case = Case(name, _slow(rng), _split(rng))
    how = rng.choice(["nothing", "painted", "painted", "loose", "spots"]) if not name.endswith("-0") else "painted"
    index = _middle(rng, case.film, len(case.film["shots"]) - 2)
    if how != "nothing":
        recipe = {"spots": 5} if how == "spots" else {}
        hint = case.picture(index) if how == "loose" else case.painted(index, **recipe)
        case.settings["hints.items"] = [hint]
    case.settings["smoothing.enabled"] = rng.random() < 0.8
    return case


@kind
def listed(rng: random.Random, name: str) -> Case:
    case = Case(name, _film(rng))
    cuts = rng.sample(range(4, length_of(case.film)), rng.randint(1, 4))
    case.shots = sorted({0, *cuts})
    case.settings["shots.file"] = f"{name}.yaml"
    if rng.random() < 0.5:
        case.settings["hints.items"] = [case.painted(_middle(rng, case.film))]
    return case


@kind
def kept(rng: random.Random, name: str) -> Case:
    color = rng.choice(["full", "tint"])
    film = _film(rng, color=color, pix_fmt=rng.choice(["yuv420p", "yuv444p", "yuv422p10le"]))
    return Case(name, film, {"chroma.keep_source": rng.random() < 0.7})


@kind
def small(rng: random.Random, name: str) -> Case:
    return Case(name, _film(rng), {"model.name": rng.choice([SMALL, COARSE])})


@kind
def again(rng: random.Random, name: str) -> Case:
    """Runs before the last one left shards, some of which can be used again."""
    case = Case(name, _slow(rng), {**_split(rng), "output.keep_shards": True})
    first, second = _middle(rng, case.film, 0), _middle(rng, case.film)
    hints = [case.painted(first), case.painted(second, hue=1)]
    choices: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"hints.items": hints}, {"hints.items": hints[:1]}),
        ({"chroma.by_shot": [{"frame": second, "saturation": 0.4}]}, {"chroma.by_shot": []}),
        ({"chroma.saturation": 0.8}, {}),
        ({"shots.shard": 60}, {"shots.shard": 1}),
        ({"hints.assigned": [{"image": case.picture(first), "shots": [second]}]}, {"hints.assigned": []}),
    ]
    settings, before = choices[int(name.rpartition("-")[2]) % len(choices)]
    case.settings |= settings
    case.before = [before]
    return case


@kind
def deep(rng: random.Random, name: str) -> Case:
    """Depths, ranges, matrices, odd sizes."""
    size = rng.choice([[75, 53], [64, 47], [97, 64], [100, 62]])
    pix_fmt = rng.choice(["gray10le", "yuv420p10le", "yuv444p", "gray", "yuv420p"])
    film = _film(rng, size=size, pix_fmt=pix_fmt, matrix=rng.choice(["bt601", "bt709"]), full_range=rng.random() < 0.3)
    case = Case(name, film)
    if rng.random() < 0.5:
        case.settings["output.pix_fmt"] = rng.choice(["yuv444p10le", "yuv444p12le", "yuv444p16le"])
    if rng.random() < 0.6:
        case.settings["hints.items"] = [case.painted(_middle(rng, case.film))]
    return case


@kind
def many(rng: random.Random, name: str) -> Case:
    """More hints than a shot is given."""
    case = Case(name, _film(rng))
    items = [case.painted(_middle(rng, case.film), spots=n if n % 2 else None) for n in range(6)]
    items += [case.picture(_middle(rng, case.film), hue=1), case.picture(scene=rng.randint(40, 60))]
    case.settings["hints.items"] = items
    case.settings["hints.min_likeness"] = rng.choice([0.0, 0.5])
    return case


@kind
def folder(rng: random.Random, name: str) -> Case:
    case = Case(name, _film(rng))
    for number in range(rng.randint(1, 3)):
        index = _middle(rng, case.film)
        recipe = case.pictures.pop(case.picture(index))
        time = float(times_of(case.film)[index])
        case.pictures[f"{name}/shot{number:04d}_t{time:09.3f}s.png"] = recipe
    case.settings["hints.folder"] = name
    return case


@kind
def other(rng: random.Random, name: str) -> Case:
    """A hint that is a frame of another film, or of a colored copy of this one."""
    case = Case(name, _film(rng))
    index = _middle(rng, case.film)
    colored = case.film | {"color": "full", "pix_fmt": rng.choice(["yuv444p", "yuv420p"])}
    source = name_of(colored, ".mkv")
    case.films[source] = colored
    case.settings["hints.items"] = [f"{case.at(index)}={source}@{case.at(index)}"]
    if rng.random() < 0.3:
        case.settings["hints.items"] = [f"{source}@{case.at(index)}"]
    return case


@kind
def unsmoothed(rng: random.Random, name: str) -> Case:
    case = Case(name, _film(rng), {"smoothing.enabled": False})
    if rng.random() < 0.7:
        index = _middle(rng, case.film)
        case.settings["hints.items"] = [rng.choice([case.painted(index), case.picture(index)])]
    return case


@kind
def joined(rng: random.Random, name: str) -> Case:
    """The whole film is one shot, whatever it shows."""
    case = Case(name, _film(rng), {"shots.detector": "none"})
    if rng.random() < 0.7:
        case.settings["hints.items"] = [case.painted(_middle(rng, case.film))]
    return case


@kind
def trimmed(rng: random.Random, name: str) -> Case:
    case = Case(name, _film(rng))
    times = times_of(case.film)
    a, b = sorted(rng.sample(range(len(times)), 2))
    a, b = min(a, len(times) // 2), max(b, len(times) // 2 + 4)
    bounds = {"input.start": times[a], "input.end": times[min(b, len(times) - 1)]}
    case.settings |= {key: f"{float(value):.6f}" for key, value in bounds.items()}
    if rng.random() < 0.6:
        case.settings["hints.items"] = [case.painted(_middle(rng, case.film))]
    return case


@kind
def saturated(rng: random.Random, name: str) -> Case:
    case = Case(name, _film(rng), {"chroma.saturation": rng.choice([0.0, 0.5, 1.3, 2.0])})
    frame = _middle(rng, case.film)
    case.settings["chroma.by_shot"] = [{"frame": frame, "saturation": rng.choice([0.0, 0.7, 1.5])}]
    if rng.random() < 0.6:
        case.settings["hints.items"] = [case.painted(_middle(rng, case.film))]
    return case


@kind
def light(rng: random.Random, name: str) -> Case:
    case = Case(name, _film(rng), {"hints.take_off_light": rng.random() < 0.7})
    case.settings["hints.items"] = [case.painted(_middle(rng, case.film), leak=True)]
    return case


@kind
def constant(rng: random.Random, name: str) -> Case:
    slow = rng.random() < 0.5
    film = _slow(rng) if slow else _film(rng)
    return Case(name, film, {"model.name": "constant", **(_split(rng) if slow else {})})


@kind
def restored(rng: random.Random, name: str) -> Case:
    case = Case(name, _film(rng, flicker=0.15, dust=True))
    chosen = rng.choice([("deflicker",), ("dust",), ("deflicker", "dust")])
    case.settings |= {f"restoration.{step}": True for step in chosen}
    return case


@kind
def woven(rng: random.Random, name: str) -> Case:
    if int(name.rpartition("-")[2]) % 3:
        return restored(rng, name)
    return Case(name, _film(rng, comb=2), {"restoration.deinterlace": "on"})


@kind
def images(rng: random.Random, name: str) -> Case:
    case = Case(name, _film(rng, images=True, pix_fmt="gray", uneven=None, rate="12"), {"input.rate": "12"})
    if rng.random() < 0.5:
        case.settings["hints.items"] = [case.painted(_middle(rng, case.film))]
    return case


@kind
def large(rng: random.Random, name: str) -> Case:
    """A film of more pixels than the network wants to see: its working size depends on the hints."""
    film = _film(rng, size=[320, 200], pix_fmt="gray")
    film["shots"] = [[seed, min(length, 10)] for seed, length in film["shots"]]
    case = Case(name, film)
    index = _middle(rng, film)
    case.settings["hints.items"] = [case.painted(index) if rng.random() < 0.6 else case.picture(index)]
    return case


@kind
def default(rng: random.Random, name: str) -> Case:
    """What a run without settings does, with the packaged network of its own tree."""
    case = Case(name, _film(rng), {"model.name": "hint"})
    if rng.random() < 0.5:
        case.settings["hints.items"] = [case.painted(_middle(rng, case.film))]
    return case


def _common(rng: random.Random, case: Case) -> Case:
    """Settings that any case can have, where its kind has not said."""
    usual: dict[str, Any] = {
        "model.name": WEIGHTS,
        "model.batch": rng.choice([1, 1, 2, 3]),
        "model.anchor_every": rng.choice([1, 4, 8, 8, 16]),
        "model.anchor_every_painted": rng.choice([2, 4, 8]),
        "smoothing.motion": rng.choice(["auto", "auto", "auto", "fast", "fine"]),
        "chroma.upsample": rng.choice(["guided", "guided", "bilinear"]),
        "shots.shard": rng.choice([1, 1, 3, 60]),
        "shots.max_shard": rng.choice([4, 6, 120]),
        "output.resume": rng.random() < 0.7,
    }
    if case.settings.get("model.name") == "hint":
        usual = {}
    case.settings = usual | case.settings | {"output.codec": "ffv1", "output.overwrite": True, "output.sidecar": False}
    return case


def make_cases(count: int) -> list[Case]:
    """The first `count` cases; a case is the same however many are asked for."""
    made, kinds = [], list(KINDS.items())
    for number in range(count):
        name, make = kinds[number % len(kinds)]
        seed = f"{name}-{number // len(kinds)}"
        rng = random.Random(seed)
        made.append(_common(rng, make(rng, seed)))
    return made


def quick_cases() -> list[Case]:
    """One case of each kind of path that matters most."""
    return [case for case in make_cases(len(KINDS)) if case.id.rpartition("-")[0] in QUICK]
