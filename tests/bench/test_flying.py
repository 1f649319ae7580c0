"""Kept networks looked at in flight: what is computed, its file, and what the report draws."""

import base64
import io
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
import safetensors.torch
import torch
from worlds_table import FLIGHT, SKILL, scores

from liquidbench import explanations, flown, flying, kept, networks, report, tasks
from liquidbench.folder import ModelFolder
from liquidbench.report import svg
from liquidbench.report.flights import flights
from liquidbench.statistics import compare
from liquidbench.study import Study
from liquidbench.system.storage import DamagedFileError
from liquidbench.tasks import flight
from liquidbench.tasks.flight import rendering, scenes
from liquidbench.tasks.flight.flights import Flights
from liquidbench.tasks.task import Recording
from liquidbench.training.policy import NetworkPolicy

PIXELS = flying.HEIGHT * flying.WIDTH


@pytest.fixture(scope="module")
def camera():
    try:
        return rendering.camera()
    except (ModuleNotFoundError, rendering.NoRendererError) as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def task():
    """The task of flight with noise for demonstrations, which take longer to make."""

    def recordings(split):
        draw = np.random.default_rng(len(split))
        first = 1000 * ("train", "validation", "test").index(split)
        return [
            Recording(
                f"{split} {number}",
                0.1 * np.arange(8),
                draw.integers(0, 256, (8, 3 * PIXELS), dtype=np.uint8),
                draw.normal(size=(8, 3)) * (1.0, 0.4, 0.5),
                first + 8 * number,
            )
            for number in range(3)
        ]

    return replace(tasks.load("flight"), recordings=recordings)


@pytest.fixture(scope="module")
def network(task):
    form = {"model": "CfC", "hidden_size": 6, "seed": 0}
    model = networks.build(task=task, **form)
    origin = {"run": "run-1", "seed": 0, "fold": 0}
    return kept.Kept(kept.describe(task, form, {}, origin), safetensors.torch.save(model.state_dict()))


def linear(weights):
    """Commands that are sums of pixels."""
    return lambda frames: frames @ weights.T


def test_attributions_of_a_sum_are_its_terms():
    draw = torch.Generator().manual_seed(0)
    image = torch.randint(256, (3 * PIXELS,), generator=draw).float()
    weights = torch.randn(3, 3 * PIXELS, generator=draw)
    mean = image.reshape(-1, 3).mean(0)
    terms = (weights * (image - mean.repeat(PIXELS))).reshape(3, flying.HEIGHT, flying.WIDTH, 3)
    found = flying._gradients(linear(weights), image)
    assert found == pytest.approx(terms.abs().sum(-1).numpy(), rel=1e-4, abs=1e-2)
    patches = flying._patches(linear(weights), image)
    assert patches.shape == (3, 6, 8)
    covered = terms[:, 8:16, 24:32].sum((1, 2, 3)).abs()
    assert patches[:, 1, 3] == pytest.approx(covered.numpy(), rel=1e-3, abs=1.0)


def test_shares_are_those_of_the_targets_pixels():
    target = np.zeros((flying.HEIGHT, flying.WIDTH), dtype=bool)
    target[8:12, 0:8] = True
    even = np.ones((3, flying.HEIGHT, flying.WIDTH), np.float32)
    assert flying._shares(even, target) == pytest.approx([target.mean()] * 4)
    only = even * target
    only[2] = even[2] * ~target
    # The last share is that of the sum, to which the third command gives the most.
    assert flying._shares(only, target) == pytest.approx([1, 1, 0, 2 * 32 / (2 * 32 + PIXELS - 32)])
    # Half of a patch is on the target.
    patches = np.zeros((3, 6, 8), np.float32)
    patches[:, 1, 0] = 2.0
    assert flying._shares(patches, target) == pytest.approx([0.5] * 4)
    patches[2] = 0.0
    assert flying._shares(patches, target) == pytest.approx([0.5, 0.5, np.nan, 0.5], nan_ok=True)


def test_the_share_is_a_mean_over_flights_with_their_interval():
    def frame(share):
        target = np.zeros((flying.HEIGHT, flying.WIDTH), dtype=bool)
        target[0, 0] = True
        sizes = np.full((3, flying.HEIGHT, flying.WIDTH), (1 - share) / (PIXELS - 1), np.float32)
        sizes[:, 0, 0] = share
        return flying._Looked(0.0, np.zeros(0, np.uint8), target, sizes, np.ones((3, 6, 8), np.float32))

    gradients, patches = flying._attention([[frame(0.1), frame(0.3)], [], [frame(0.5)]])
    assert (gradients.frames, gradients.flights, gradients.share) == (3, 2, pytest.approx(0.35, rel=1e-3))
    assert gradients.pixels == pytest.approx(1 / PIXELS) == patches.share
    # Two flights say little: Student's interval is wider than all there is.
    assert gradients.interval == (0.0, 1.0)
    nothing = replace(frame(0.1), gradients=np.zeros((3, flying.HEIGHT, flying.WIDTH), np.float32))
    assert [one.method for one in flying._attention([[nothing], []])] == ["effects of covered patches"]
    assert flying._attention([[], []]) == []


@pytest.mark.parametrize("season, fog", [("summer", 0.0), ("winter", 1 / 20)])
def test_the_targets_pixels_are_those_that_change_without_it(camera, season, fog):
    layout, look = scenes.draw([3], targets=2), scenes.look(season, 1.0, fog)
    yaw = np.arctan2(*layout.targets[0][::-1])
    turned = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    place = np.array([*(0.5 * layout.targets[0]), 1.3])
    for number in (0, 1):
        first = scenes.COUNT - scenes.PARTS * (scenes.MOST_TARGETS - number)
        positions = layout.positions.copy()
        positions[first : first + scenes.PARTS, 2] = -100.0
        gone = replace(layout, positions=positions)
        before, after = (camera.picture(one, look, place, turned) for one in (layout, gone))
        target = camera.target(layout, look, place, turned, number)
        assert (target == (before != after).any(-1)).all()
        assert target.any() == (number == 0) or number == 1
        # Segments leave nothing behind.
        assert (camera.picture(layout, look, place, turned) == before).all()


def test_what_is_looked_at_is_what_the_policy_answered(camera, task, network):
    """The commands that are attributed, from a state and one picture, are those that flew."""
    model = networks.unpack(network.description["network"], network.weights, task)
    answers = []

    class Told(NetworkPolicy):
        def __call__(self, observation, **told):
            answers.append(super().__call__(observation, **told))
            return answers[-1]

    flights_ = Flights(2, 5, replace(flight.MISSIONS["flight-lost"], seconds=1.5))
    watched = flying._Watched(Told(model, task), flights_)
    flight.run(watched, flights_)
    journey = watched.journey(1, task.timespan_unit)
    with torch.no_grad():
        scored = model(torch.as_tensor(journey.images)[None], journey.spans[None], None)[0]
    expected = task.target_scaler.restore(scored.double().numpy())
    assert expected == pytest.approx(np.stack(answers)[: len(expected), 1], abs=1e-4)
    assert np.diff(journey.ticks) == pytest.approx(journey.spans[1:].numpy() * task.timespan_unit / 0.1)


@pytest.fixture(scope="module")
def found(camera, task, network):
    with pytest.MonkeyPatch.context() as patched:
        for name, value in (("FLIGHTS", 2), ("MAPS", 2), ("FRAMES", 2), ("SHOWN", 2), ("STEPS", 4)):
            patched.setattr(flying, name, value)
        patched.setitem(flight.MISSIONS, "flight", replace(flight.MISSIONS["flight"], seconds=1.0))
        return flying.look(network, task, [("winter", 1.0)])


def test_a_network_is_looked_at_in_each_world(found):
    assert [(place.world, place.level) for place in found.places] == [("", 0.0), ("winter", 1.0)]
    home, winter = found.places
    assert set(home.outcomes) <= {"success", "crash", "missed"} and len(home.outcomes) == 2
    # The same layouts, in other colours.
    assert (home.maps[0].targets == winter.maps[0].targets).all()
    assert (home.maps[0].path[0] == winter.maps[0].path[0]).all()
    assert home.inside.states.shape == (10, 6)
    assert home.frames.pictures.shape[1:] == (flying.HEIGHT, flying.WIDTH, 3)
    assert home.frames.pictures.mean() < winter.frames.pictures.mean()
    assert [one.method for one in home.attention] == ["integrated gradients", "effects of covered patches"]
    for one in (*home.attention, *winter.attention):
        assert 0 < one.pixels < 0.2 and 0 <= one.share <= 1 and one.flights == 2
        assert set(one.commands) == set(flying.COMMANDS)
    assert home.film.tobytes().startswith(b"GIF89a")


def test_solids_on_a_map_are_those_of_the_layout(found):
    place = found.places[0].maps[0]
    assert set(place.kinds.tolist()) <= {0, 1, 2}
    assert np.linalg.norm(place.targets[0]) >= 7
    # Nothing that stands on the way.
    for spot, half in zip(place.places, place.halves, strict=True):
        assert np.linalg.norm(place.path - spot, axis=1).min() > half.max() / 2


def folder_of(network, folder):
    return kept.write(network, folder / "CfC")


def test_flights_are_read_as_they_were_written_and_for_no_other_network(tmp_path, network, found):
    folder = folder_of(network, tmp_path)
    path = flown.write(found, folder)
    assert path == ModelFolder(folder).flights
    again = flown.read(folder)
    assert (again.run, again.model, again.missing) == (found.run, found.model, found.missing)
    for one, other in zip(again.places, found.places, strict=True):
        assert (one.world, one.level, one.outcomes, one.near) == (other.world, other.level, other.outcomes, other.near)
        assert one.attention == other.attention
        assert (one.film == other.film).all()
        for part in ("frames", "inside"):
            for name, array in vars(getattr(other, part)).items():
                assert (getattr(getattr(one, part), name) == array).all()
        for mine, its in zip(one.maps, other.maps, strict=True):
            assert all((getattr(mine, name) == array).all() for name, array in vars(its).items())
    flown.write(replace(found, run="run-2"), folder)
    with pytest.raises(DamagedFileError, match="belongs to"):
        flown.read(folder)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedFileError):
        flown.read(folder)


def made_up():
    """Flights that nobody flew, for the report alone."""
    draw = np.random.default_rng(0)
    line = np.linspace(0, 6, 40)
    one = flown.Map(
        path=np.stack([line, 0 * line], axis=1).astype(np.float32),
        kinds=np.array([0, 1, 2]),
        places=np.array([[2, 2], [5, -3], [7, 1]], np.float32),
        halves=np.array([[1, 1], [2, 1], [0.3, 0.4]], np.float32),
        yaws=np.array([0, 0.5, 1], np.float32),
        targets=np.array([[9, 0]], np.float32),
    )
    shape = (2, flying.HEIGHT, flying.WIDTH)
    frames = flown.Frames(
        seconds=np.array([0, 1], np.float32),
        pictures=draw.integers(0, 256, (*shape, 3), dtype=np.uint8),
        targets=np.arange(PIXELS).reshape(1, *shape[1:]).repeat(2, 0) < 100,
        gradients=draw.random(shape).astype(np.float32),
        patches=draw.random((2, 6, 8)).astype(np.float32),
    )
    steps = np.arange(30.0)
    inside = flown.Inside(
        0.1 * steps,
        np.full(30, 0.1),
        draw.normal(size=(30, 5)).astype(np.float32),
        np.sort(draw.random((len(explanations.QUANTILES), 30)), axis=0).astype(np.float32),
    )
    attention = [
        flown.Attention("integrated gradients", 0.12, (0.1, 0.14), dict.fromkeys(flying.COMMANDS, 0.12), 0.03, 16, 4),
        flown.Attention("effects of covered patches", 0.3, None, dict.fromkeys(flying.COMMANDS, 0.3), 0.03, 16, 4),
    ]
    film = np.frombuffer(b"GIF89a...", np.uint8)
    outcomes = ("success", "crash", "missed")
    home = flown.Place("", 0.0, outcomes, 4.5, [one] * 3, attention, frames, inside, film)
    blank = replace(frames, **{name: array[:0] for name, array in vars(frames).items()})
    blind = flown.Place("blackout", 1.0, outcomes, 4.5, [one] * 3, [], blank, inside, film)
    return flown.Flown("run-1", "CfC <b>", [home, blind])


def test_the_report_shows_how_a_network_flies(tmp_path):
    told = {"name": "flight", "question": "?", "tasks": ["flight"], "models": list(SKILL), "parameters": 6000}
    study = Study.parse(told | {"seeds": 5, "training": {"steps": 100}})
    facts, frame = {"flight": FLIGHT}, scores()
    compared = compare(frame, facts, 0.02)
    path = report.write(study, frame, facts, compared, tmp_path / "r.html", None, {"flight": [made_up()]})
    page = path.read_text(encoding="utf-8")
    assert "How CfC &lt;b&gt; flies" in page and "<b>" not in re.sub(r"<b>[\d−]", "", page)
    assert 'src="data:image/gif;base64,R0lGODlhLi4u"' in page
    for words in (
        "3.0\u202f% of the pixels show the target",
        "12.0\u202f% [10.0, 14.0] of the integrated gradients, 4.0 times as much",
        "30.0\u202f% of the effects of covered patches, 10.0 times as much (16 frames of 4 flights",
        "Flight 2, the world of training: crashed, 3.9 s",
        "Blackout (1 s of every 2.5 s black)",
    ):
        assert words in page
    drawings = re.findall(r"<figure[^>]*>(<svg.*?</svg>)<figcaption", page, re.S)
    assert sum("from above" in one for one in drawings) == 1
    for one in drawings:
        ElementTree.fromstring(one)


def test_each_flight_is_marked_by_its_end():
    drawn = ElementTree.fromstring(flights(made_up(), "Flight", "t").maps.svg)
    marks = [one.get("class") for one in drawn.iter("g")]
    assert marks == [f"flight {outcome} at" for outcome in made_up().places[0].outcomes] * 2
    assert len(list(drawn.iter("image"))) == 0


def test_a_picture_is_a_png_of_the_same_pixels():
    image = pytest.importorskip("PIL.Image", reason="needs the extra flight")
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    kind, content = svg.picture(pixels).split(",")
    assert kind == "data:image/png;base64"
    assert (np.asarray(image.open(io.BytesIO(base64.b64decode(content))).convert("RGB")) == pixels).all()


def test_other_tasks_have_no_mission():
    assert flying.mission(tasks.load("flight-lost")) == flight.MISSIONS["flight-lost"]
    assert flying.mission(tasks.load("occupancy-excerpt")) is None
