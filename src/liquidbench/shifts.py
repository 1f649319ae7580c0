"""The registries of shifts: how the test split, or the world of a closed loop, can change, to see what still holds.

Here are names, levels and words, without NumPy: what studies, results and reports need.
`liquidbench.tasks.shifted` computes `SHIFTS`. `WORLDS` belong to tasks with a rollout, which simulate them.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

SPIKE = 5.0
"""Size of a spike of the shift "impulses", in standard deviations of the feature."""

STRONGEST_WARP = 5.0
"""Largest level of the shift "time_warp": the pace then varies by a factor of 200,000 in both directions."""


class Described(Protocol):
    """What decides whether a shift applies to a task: a `liquidbench.tasks.task.Task`, or its `Facts`."""

    @property
    def kind(self) -> str:
        """What is predicted, "classification" or "regression"."""
        ...

    @property
    def per(self) -> str:
        """Whether each "step" has a target, or each "sequence"."""
        ...

    @property
    def features(self) -> Collection[Any]:
        """The columns of its values."""
        ...

    @property
    def image(self) -> Any:
        """The form of its samples if they are images, else None."""
        ...

    @property
    def worlds(self) -> Collection[str]:
        """The names of the worlds of its closed loop."""
        ...


def _applies(task: Described) -> str:
    return ""


@dataclass(frozen=True)
class Shift:
    """One way in which the test split changes, at several levels; a level of 0 changes nothing.

    Attributes:
        name: what a study calls it; "a+b" for a after which b is applied.
        label: what its levels measure, for the axis of a chart.
        words: a level in words, with ``{n}`` for the number and ``{s}`` for a plural.
        levels: the default levels, from weak to strong; scores at 0 are those on unchanged data.
        limits: "at_least" and "below" or "at_most": which levels it takes.
        percent: whether levels are shares, written in percent.
        version: number of its definition. A transform that changes gets the next number, which is part of `key` from 2
            on, so that scores of two definitions are never taken for one.
        refuses: of a shift in `SHIFTS`, why it does not apply to a task; see `why_not`.
        parts: the shifts that are composed, in order; empty for one of `SHIFTS`.
    """

    name: str
    label: str
    words: str
    levels: tuple[float, ...]
    limits: Mapping[str, float] = field(hash=False)
    percent: bool = False
    version: int = 1
    refuses: Callable[[Described], str] = _applies
    parts: tuple["Shift", ...] = ()

    @property
    def key(self) -> str:
        """Its name in results, with its version where that is not 1.

        Example:
            >>> SHIFTS["noise"].key, replace(SHIFTS["noise"], version=2).key
            ('noise', 'noise@2')
        """
        if self.parts:
            return "+".join(part.key for part in self.parts)
        return self.name if self.version == 1 else f"{self.name}@{self.version}"

    @property
    def title(self) -> str:
        """Its name in reports.

        Example:
            >>> SHIFTS["time_warp"].title, find("bias+noise").title
            ('Time warp', 'Bias, then noise')
        """
        if self.parts:
            return ", then ".join(part.title for part in self.parts).capitalize()
        version = f" (version {self.version})" if self.version != 1 else ""
        return self.name.replace("_", " ").capitalize() + version

    def told(self, level: float) -> str:
        """A level in words.

        Example:
            >>> SHIFTS["noise"].told(0.5), SHIFTS["removed_steps"].told(0.3), SHIFTS["bias"].told(0.0)
            ('noise of 0.5 standard deviations', '30 % of steps removed', 'unchanged data')
        """
        if not level:
            return "the world of training" if self.is_world else "unchanged data"
        number = f"{100 * level:.3g} %" if self.percent else f"{level:g}"
        return self.words.format(n=number, s="" if level == 1 else "s")

    @property
    def is_world(self) -> bool:
        """Whether it changes the world of a closed loop; otherwise it changes the test split."""
        return self.name in WORLDS

    def why_not(self, task: Described) -> str:
        """Why it does not apply to a task, in words; "" where it does."""
        if self.is_world:
            return "" if self.name in task.worlds else "the task has no closed loop with this world"
        if task.image:
            return "the samples are images, whose shifts are worlds of the closed loop"
        return next(filter(None, (part.refuses(task) for part in self.parts or (self,))), "")

    def takes(self, level: float) -> bool:
        """Whether a level is within its limits."""
        below, most = self.limits.get("below", float("inf")), self.limits.get("at_most", float("inf"))
        return self.limits["at_least"] <= level < below and level <= most


def _several_sensors(task: Described) -> str:
    return "" if len(task.features) > 1 else "the task has a single feature, and one must remain"


def _classes_of_sequences(task: Described) -> str:
    if task.kind != "classification":
        return "the targets are values, so there are no shares of classes"
    return "" if task.per == "sequence" else "each step has a target, and sequences are kept whole"


_ANY = {"at_least": 0.0, "below": 1e6}
_SHARE = {"at_least": 0.0, "below": 1.0}
_WHOLE_SHARE = {"at_least": 0.0, "at_most": 1.0}
_FACTOR = {"at_least": 0.0, "below": 1e3}
_SIZES = (0.25, 0.5, 1.0)
_SHARES = (0.25, 0.5, 0.75)

SHIFTS: Mapping[str, Shift] = {
    shift.name: shift
    for shift in (
        Shift(
            "removed_steps",
            "Steps removed from each sequence",
            "{n} of steps removed",
            (0.1, 0.3, 0.5),
            _SHARE,
            percent=True,
        ),
        Shift(
            "noise",
            "Noise added to each feature, in its standard deviations",
            "noise of {n} standard deviation{s}",
            _SIZES,
            _ANY,
        ),
        Shift(
            "impulses",
            f"Values with a spike of {SPIKE:g} standard deviations",
            "spikes in {n} of values",
            (0.01, 0.05, 0.2),
            _WHOLE_SHARE,
            percent=True,
        ),
        Shift(
            "sensor_dropout",
            "Features lost in each sequence",
            "{n} of features lost",
            _SHARES,
            _SHARE,
            percent=True,
            refuses=_several_sensors,
        ),
        Shift(
            "bias",
            "Constant error of each feature, in its standard deviations",
            "a bias of {n} standard deviation{s}",
            _SIZES,
            _ANY,
        ),
        Shift(
            "drift",
            "Error of each feature at the end of its sequence, in its standard deviations",
            "a drift by {n} standard deviation{s}",
            _SIZES,
            _ANY,
        ),
        Shift(
            "sampling_rate",
            "Steps skipped after each one that is kept",
            "{n} step{s} skipped after each",
            (1.0, 3.0, 7.0),
            _ANY,
        ),
        Shift(
            "time_warp",
            "Standard deviation of the logarithm of the pace",
            "a pace whose logarithm varies by {n}",
            _SIZES,
            {"at_least": 0.0, "at_most": STRONGEST_WARP},
        ),
        Shift("frequency", "Rise of all frequencies", "frequencies higher by {n}", _SIZES, _FACTOR, percent=True),
        Shift("amplitude", "Rise of all amplitudes", "amplitudes larger by {n}", _SIZES, _FACTOR, percent=True),
        Shift(
            "label_shift",
            "Sequences left out of one class, and fewer of the others",
            "{n} of the sequences of one class left out",
            _SHARES,
            _SHARE,
            percent=True,
            refuses=_classes_of_sequences,
        ),
    )
}
"""The shifts by name. All but label_shift keep every target that is still scored as it was."""

WORLDS: Mapping[str, Shift] = {
    world.name: world
    for world in (
        *(
            Shift(
                season,
                f"Share of the way from summer to {words}",
                f"{{n}} of the way to {words}",
                levels,
                _WHOLE_SHARE,
                True,
            )
            for season, words, levels in (
                ("autumn", "autumn", (0.2, 0.35, 0.5)),
                ("winter", "winter", (0.2, 0.35, 0.5)),
                ("dusk", "dusk", (0.2, 0.35, 0.5)),
                ("urban", "a town", (0.25, 0.5, 0.75)),
            )
        ),
        Shift(
            "fog",
            "Fog: thirty metres over the distance of sight",
            "fog of density {n}",
            (0.5, 1.0, 1.5),
            {"at_least": 0.0, "at_most": 30.0},
        ),
        Shift(
            "sensor_noise",
            "Noise on each pixel, of 255",
            "pixel noise of {n}",
            (20.0, 40.0, 60.0),
            {"at_least": 0.0, "at_most": 255.0},
        ),
        Shift(
            "blur",
            "Blur, in pixels to each side",
            "a blur of {n} pixel{s}",
            (1.0, 2.0, 3.0),
            {"at_least": 0.0, "at_most": 8.0},
        ),
        Shift("contrast", "Contrast lost", "{n} of the contrast lost", (0.25, 0.5, 0.7), _WHOLE_SHARE, True),
        Shift(
            "hue",
            "Turn of hues, in degrees",
            "hues turned by {n} degree{s}",
            (20.0, 30.0, 40.0),
            {"at_least": 0.0, "at_most": 180.0},
        ),
        Shift(
            "occlusion",
            "Share of the picture covered",
            "{n} of the picture covered",
            (0.05, 0.1, 0.2),
            _WHOLE_SHARE,
            True,
        ),
        Shift(
            "blackout",
            "Seconds of black pictures in every 2.5",
            "{n} s of every 2.5 s black",
            (0.3, 0.6, 1.0),
            {"at_least": 0.0, "at_most": 2.4},
        ),
        Shift("dropped_frames", "Pictures dropped", "{n} of the pictures dropped", (0.7, 0.8, 0.9), _WHOLE_SHARE, True),
        Shift(
            "irregular_frames",
            "Longest delay of a picture, in seconds",
            "pictures up to {n} s late",
            (0.2, 0.4, 0.6),
            {"at_least": 0.0, "at_most": 1.9},
        ),
        Shift(
            "wind",
            "Wind, in metres per second",
            "a wind of {n} m/s",
            (2.0, 4.0, 6.0),
            {"at_least": 0.0, "at_most": 30.0},
        ),
        Shift(
            "range",
            "Metres added to the distance of the target",
            "a target {n} m farther away",
            (4.0, 8.0, 12.0),
            {"at_least": 0.0, "at_most": 30.0},
        ),
        Shift(
            "distractors",
            "Distractors beside the target",
            "{n} distractor{s} beside the target",
            (1.0, 2.0, 4.0),
            {"at_least": 0.0, "at_most": 4.0},
        ),
        Shift(
            "target_shape",
            "Shape of the target: 1 a crate, 2 a ball, 3 a post",
            "a target of shape {n}",
            (1.0, 2.0, 3.0),
            {"at_least": 0.0, "at_most": 3.0},
        ),
        Shift(
            "actuator_lag",
            "Time constant of commands, in seconds",
            "commands that lag by {n} s",
            (0.5, 1.0, 2.0),
            {"at_least": 0.0, "at_most": 5.0},
        ),
        Shift(
            "payload",
            "Payload, as a share of the drone's mass",
            "a payload of {n} of the drone's mass",
            (0.2, 0.4, 0.6),
            {"at_least": 0.0, "at_most": 2.0},
            True,
        ),
        Shift(
            "weak_motor",
            "Thrust that one motor has lost",
            "one motor without {n} of its thrust",
            (0.05, 0.1, 0.15),
            {"at_least": 0.0, "at_most": 0.9},
            True,
        ),
        Shift(
            "command_delay",
            "Delay of commands beyond those of training, in milliseconds",
            "commands {n} ms later",
            (10.0, 20.0, 30.0),
            {"at_least": 0.0, "at_most": 75.0},
        ),
        Shift(
            "uneven_control",
            "Variation of the time between commands, as a share of the usual time",
            "times between commands that vary by {n}",
            (0.4, 0.6, 0.8),
            _WHOLE_SHARE,
            True,
        ),
        Shift(
            "slow_control",
            "Milliseconds added to the time between commands",
            "{n} ms more between commands",
            (2.0, 4.0, 6.0),
            {"at_least": 0.0, "at_most": 100.0},
        ),
        Shift(
            "state_noise",
            "Errors of position in metres, and of all else in proportion",
            "errors of position of {n} m",
            (0.1, 0.2, 0.3),
            {"at_least": 0.0, "at_most": 1.0},
        ),
        Shift(
            "longer_gaps",
            "Rise of the time between observations",
            "{n} more time between observations",
            (0.25, 0.5, 1.0),
            _ANY,
            percent=True,
        ),
        Shift("angle_noise", "Noise on observed angles, in rad", "noise of {n} rad", (0.02, 0.05, 0.1), _ANY),
        Shift("added_mass", "Rise of all masses", "{n} more mass", (0.1, 0.25, 0.5), _ANY, percent=True),
        Shift("slippery", "Loss of friction", "{n} less friction", (0.25, 0.5, 0.75), _SHARE, percent=True),
        Shift("gravity", "Rise of gravity", "{n} more gravity", (0.1, 0.25, 0.5), _ANY, percent=True),
    )
}
"""Changes of the world in which policies act (`liquidbench.tasks.task.Task.elsewhere`), by name."""

KNOWN = f"{', '.join((*SHIFTS, *WORLDS))}, or several of the first {len(SHIFTS)} joined by '+'"
"""What `find` takes, in words."""

COMPOSED_LEVELS = (0.25, 0.5, 1.0)
"""Default levels of composed shifts, as shares of the strongest default level of each part."""


def find(name: str) -> Shift:
    """A shift as this version of liquidbench computes it.

    Args:
        name: a key of `SHIFTS` or `WORLDS`, or several of `SHIFTS` joined by "+", applied in this order. A composed
            shift has levels from 0 to 1, of which each part takes that share of its strongest default level.

    Raises:
        ValueError: for an unknown name.

    Example:
        >>> find("removed_steps+noise").levels
        (0.25, 0.5, 1.0)
    """
    if name in WORLDS:
        return WORLDS[name]
    if not set(name.split("+")) <= SHIFTS.keys():
        raise ValueError(f"a shift must be among {KNOWN}; got {name!r}")
    return _composed([SHIFTS[part] for part in name.split("+")])


def recorded(key: str) -> Shift:
    """A shift by its key in results, which may be of another version.

    Raises:
        ValueError: for a key that no version of a shift has.

    Example:
        >>> recorded("bias+noise@2").title
        'Bias, then noise (version 2)'
    """
    found, known = [], SHIFTS if "+" in key else {**SHIFTS, **WORLDS}
    for part in key.split("+"):
        name, mark, version = part.partition("@")
        if name not in known or (mark and not (version.isdecimal() and int(version) > 1)):
            raise ValueError(f"a shift must be among {KNOWN}; got {key!r}")
        # A key without a number is of the first version, whatever the present one is.
        found.append(replace(known[name], version=int(version or 1)))
    return _composed(found)


def place_of(key: str) -> tuple[int, list[int], str]:
    """Sort key of shifts by their key in results: in the order of `SHIFTS` and `WORLDS`, composed ones last."""
    names = [part.partition("@")[0] for part in key.split("+")]
    known = [*SHIFTS, *WORLDS]
    return len(names), [known.index(name) if name in known else len(known) for name in names], key


def _composed(parts: Sequence[Shift]) -> Shift:
    if len(parts) == 1:
        return parts[0]
    return Shift(
        name="+".join(part.name for part in parts),
        label=f"{', then '.join(part.title for part in parts).capitalize()}: share of the strongest level of each",
        words=f"{{n}} of the strongest {' and '.join(part.title.lower() for part in parts)}",
        levels=COMPOSED_LEVELS,
        limits=_WHOLE_SHARE,
        percent=True,
        parts=tuple(parts),
    )
