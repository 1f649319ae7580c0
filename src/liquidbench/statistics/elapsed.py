"""Whether models use elapsed time: their scores where a task tells it against those where it does not."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from liquidbench.conditions import CONTRASTS, Contrast, named, parted
from liquidbench.statistics.inference import ALPHA, LEVEL, Interval
from liquidbench.statistics.pairs import FAMILIES_COMPARED, Pair, corrected_pairs, family_words
from liquidbench.statistics.task_results import TaskResults
from liquidbench.wording import listed, number, p_value, percent, significant

ELAPSED_RULE = (
    "Elapsed time: networks that are told the time between samples are compared, seed by seed, with networks of the "
    "same model that are trained anew, on the same samples and targets, without being told. “Uses elapsed time”: the "
    "score without it is shown to be worse by more than the smallest difference that counts. “Makes no use of it that "
    f"counts”: the difference is shown to be smaller. Shown means a p-value below {ALPHA:g} after Holm's correction "
    "for all models and conditions of one task; means of families are corrected for each other. Intervals are at "
    f"{percent(LEVEL)}, uncorrected. Tasks under a condition count in no other verdict, rank or test over tasks."
)

VERDICTS: Mapping[str, str] = {
    "better": "uses elapsed time",
    "worse": "better without elapsed time",
    "equivalent": "no use that counts",
    "no difference shown": "no use shown",
    "cannot say": "cannot say",
}
"""Verdicts by those of a pair of which the first is told the time."""


@dataclass(frozen=True)
class TimeUse:
    """What one model, or the mean of a family's models, loses on one task without elapsed time.

    Attributes:
        who: the model's name, or the name of a family.
        contrast: how the time is told and withheld.
        pair: its scores with the time (first) and without, p corrected.
        drop: mean score with the time minus that without (for errors the reverse), so that more is a larger use; None
            without a common run.
        interval: the interval of the drop; None if its error is unknown.
        verdict: a value of `VERDICTS`.
        metric: name of the score, in a sentence.
        higher: whether a higher score is better.
    """

    who: str
    contrast: Contrast
    pair: Pair
    drop: float | None
    interval: Interval | None
    verdict: str
    metric: str
    higher: bool

    @property
    def sentence(self) -> str:
        """The verdict in words, with its numbers."""
        who = family_words(self.who)
        many = self.who in FAMILIES_COMPARED
        if self.drop is None or self.verdict == "cannot say":
            return f"It cannot be said whether {who} {'use' if many else 'uses'} elapsed time: {self.pair.reason}."
        start = {
            "uses elapsed time": f"{who} {'use' if many else 'uses'} elapsed time",
            "better without elapsed time": f"{who} {'are' if many else 'is'} better without elapsed time",
            "no use that counts": f"{who} {'make' if many else 'makes'} no use of elapsed time that counts",
            "no use shown": f"No use of elapsed time is shown for {who}",
        }[self.verdict]
        places = significant([self.drop, *(self.interval or ())])
        rises = (self.drop > 0) != self.higher
        change = sorted(size * (1 if self.drop >= 0 else -1) for size in self.interval) if self.interval else None
        bounds = f" [{number(change[0], places)}, {number(change[1], places)}]" if change else ""
        moved = f"{self.metric} {'rises' if rises else 'falls'} by {number(abs(self.drop), places)}{bounds}"
        tested = f" ({p_value(self.pair.p)})" if self.pair.p is not None else ""
        text = f"{start}: {moved} {self.contrast.when}{tested}."
        return text[0].upper() + text[1:]


@dataclass(frozen=True)
class ElapsedTime:
    """Whether elapsed time is used on one task.

    Attributes:
        task: name of the base task.
        title: its title.
        contrasts: the contrasts that were run, in the order of `CONTRASTS`.
        uses: for each model and contrast, model by model.
        families: the same for the means of the models of the two families.
    """

    task: str
    title: str
    contrasts: tuple[Contrast, ...]
    uses: tuple[TimeUse, ...]
    families: tuple[TimeUse, ...]

    def verdict(self, who: str) -> str:
        """One verdict on a model or a family over all contrasts: what is shown under any of them counts."""
        found = Counter(use.verdict for use in (*self.uses, *self.families) if use.who == who)
        return next(verdict for verdict in _FIRST if found[verdict])

    @property
    def sentence(self) -> str:
        """Which models use elapsed time, and what is shown of the families."""
        models = {model: self.verdict(model) for model in dict.fromkeys(use.who for use in self.uses)}
        using = [model for model, verdict in models.items() if verdict == VERDICTS["better"]]
        without = [model for model, verdict in models.items() if verdict == VERDICTS["worse"]]
        undecided = [model for model, verdict in models.items() if verdict == VERDICTS["cannot say"]]
        parts = [
            f"elapsed time is shown to be used by {_named(using)}" if using else "no model is shown to use elapsed time"
        ]
        parts += [f"{_named(without)} {'is' if len(without) == 1 else 'are'} better without it"] if without else []
        parts += [f"this study cannot say for {_named(undecided)}"] if undecided else []
        if len(undecided) == len(models):
            return f"On {self.title}, this study cannot say whether elapsed time is used."
        told = [f"{family} networks {_FAMILY_WORDS[self.verdict(family)]}" for family in self._families]
        means = f" Means of families: {', '.join(told)}." if told else ""
        return f"On {self.title}, {', '.join(parts)}.{means}"

    @property
    def _families(self) -> list[str]:
        return list(dict.fromkeys(use.who for use in self.families))


_FIRST = ("uses elapsed time", "better without elapsed time", "no use shown", "cannot say", "no use that counts")
"""Which verdict counts if conditions give several: a use under one is a use, and that none counts takes all of them."""

_FAMILY_WORDS: Mapping[str, str] = {
    "uses elapsed time": "use elapsed time",
    "better without elapsed time": "are better without it",
    "no use that counts": "make no use of it that counts",
    "no use shown": "are not shown to use it",
    "cannot say": "remain undecided",
}


def elapsed_time(tasks: Sequence[TaskResults]) -> list[ElapsedTime]:
    """For each base task with a conditioned form, whether its matched models use elapsed time.

    Args:
        tasks: all tasks of a study, conditioned ones among them.
    """
    known = {task.name: task for task in tasks}
    bases = dict.fromkeys(parted(task.name)[0] for task in tasks)
    return [found for base in bases if (found := _on_task(base, known))]


def _on_task(base: str, known: Mapping[str, TaskResults]) -> ElapsedTime | None:
    forms = {
        one: (known[named(base, one.told)], known[named(base, one.withheld)])
        for one in CONTRASTS
        if named(base, one.told) in known and named(base, one.withheld) in known
    }
    models = {one: [model for model in told.models if model in other.models] for one, (told, other) in forms.items()}
    members = {
        (family, one): [model for model in models[one] if told.families.get(model) == family]
        for family in FAMILIES_COMPARED
        for one, (told, _) in forms.items()
    }
    singles = {(model, one): [model] for one in forms for model in models[one]}
    order = list(dict.fromkeys(model for found in models.values() for model in found))
    singles = dict(sorted(singles.items(), key=lambda item: order.index(item[0][0])))
    uses = _uses(singles, forms)
    if not uses:
        return None
    first = next(iter(forms.values()))[0]
    return ElapsedTime(
        task=base,
        title=known[base].title if base in known else first.title,
        contrasts=tuple(forms),
        uses=uses,
        families=_uses({key: found for key, found in members.items() if found}, forms),
    )


def _uses(
    sides: Mapping[tuple[str, Contrast], Sequence[str]], forms: Mapping[Contrast, tuple[TaskResults, TaskResults]]
) -> tuple[TimeUse, ...]:
    """The models of each side under its contrast, with p-values corrected for all of them."""
    told = [forms[one][0] for _, one in sides]
    pairs = [forms[one][0].against(forms[one][1], models) for (_, one), models in sides.items()]
    found = []
    for (who, one), task, pair in zip(sides, told, corrected_pairs(pairs, [one.higher for one in told]), strict=True):
        ends = sorted(map(task.lead, pair.interval)) if pair.interval else None
        found.append(
            TimeUse(
                who=who,
                contrast=one,
                pair=pair,
                drop=None if pair.difference is None else task.lead(pair.difference),
                interval=(ends[0], ends[1]) if ends else None,
                verdict=VERDICTS[pair.verdict],
                metric=task.words,
                higher=task.higher,
            )
        )
    return tuple(found)


def _named(models: Sequence[str]) -> str:
    return " and ".join(models) if len(models) == 2 else listed(models, most=6, quote=False)
