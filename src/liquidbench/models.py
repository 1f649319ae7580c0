"""The registry of models: everything that the harness knows about each, without importing torch.

A model is one `ModelSpec` in `MODELS`. `liquidbench.networks` builds its network, `liquidbench.search` draws from its
structures, `liquidbench.matching` counts its operations, and verdicts and reports use its family. A user's own model is
a layer or a `ModelSpec` in a module of theirs, which a study refers to as ``package.module:name``.
"""

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from typing import Any, Literal

from liquidbench import user_code
from liquidbench.user_code import CodeError, UserCode

Family = Literal["liquid", "recurrent", "other", "control", "yours"]
"""The family of a model. A verdict compares liquid with recurrent networks; other families are only listed."""


@dataclass(frozen=True)
class FamilyStyle:
    """How reports show the members of a family.

    Attributes:
        title: name of the family.
        light: colour on a light page.
        dark: colour on a dark page.
        glyphs: style of the marks.
    """

    title: str
    light: str
    dark: str
    glyphs: Literal["filled", "hollow", "strokes", "stars"]


FAMILIES: Mapping[Family, FamilyStyle] = {
    # Blue, orange and bluish green differ for every common colour blindness; grey is for models outside the verdict.
    "liquid": FamilyStyle("Liquid", "#0a62ad", "#62b4f6", "filled"),
    "recurrent": FamilyStyle("Recurrent", "#b24a06", "#f59f5b", "hollow"),
    "other": FamilyStyle("Other", "#5a6169", "#b3bac1", "strokes"),
    "control": FamilyStyle("Control", "#7d3c83", "#cf9bd6", "strokes"),
    "yours": FamilyStyle("Yours", "#00664b", "#4fd0ac", "stars"),
}
"""The families, in the order of legends."""


@dataclass(frozen=True)
class Author:
    """A published size and learning rate of a model, reported in addition to the matched size.

    Everything else (epochs, batches, clipping, splits) is the study's, so such a row shows the effect of size and
    learning rate; it does not reproduce a paper.

    Attributes:
        hidden_size: units.
        learning_rate: of Adam.
        source: citation of the publication.
        arguments: further arguments of the layer that differ from the matched one.
    """

    hidden_size: int
    learning_rate: float
    source: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


READOUTS = ("last", "mean", "attention")
"""How the outputs of a sequence with one target become one vector; see `liquidbench.networks.SequenceModel`."""

Count = Callable[[Any], tuple[int, int]]
"""Counts a recurrence's operations per sample: multiply-adds, synapse evaluations; see `matching.Operations`."""


def products(recurrence: Any) -> tuple[int, int]:
    """Operations of a recurrence that uses each of its weights in one multiplication per sample."""
    # Biases have one axis; a wired CfC's weights are (heads, connections).
    weights = (p for name, p in recurrence.named_parameters() if p.ndim == 2 and "bias" not in name)
    return sum(weight.numel() for weight in weights), 0


def _unfolded_products(recurrence: Any) -> tuple[int, int]:
    return recurrence.weight_ih.numel() + recurrence.ode_unfolds * recurrence.weight_hh.numel(), 0


def _flowing_products(recurrence: Any) -> tuple[int, int]:
    once, _ = products(recurrence)
    flow, _ = products(recurrence.flow)
    return once + (recurrence.evaluations - 1) * flow, 0


def _continuous_gru(recurrence: Any) -> tuple[int, int]:
    once, _ = products(recurrence)
    return once + (recurrence.solver.evaluations - 1) * recurrence.flow_hh.numel(), 0


def _synapses(recurrence: Any) -> tuple[int, int]:
    opened = recurrence.ode_unfolds * len(recurrence.synapses) + len(recurrence.sensory_synapses)
    return 3 * opened, opened


def _synapses_with_elastance(recurrence: Any) -> tuple[int, int]:
    _, opened = _synapses(recurrence)
    return 4 * opened, opened


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelSpec:
    """Everything that the harness knows about a model.

    Its layer is built as ``layer(inputs, hidden_size, batch_first=True, generator=generator, **arguments)``.

    Attributes:
        name: its name in studies, results and reports.
        layer: a `liquidrnn.recurrent.RecurrentLayer`, or a function that returns one; if given as
            ``"module:name"``, it is imported when a network is built.
        family: its side in verdicts, if any, and its colour in reports.
        time: "native" if the layer uses time spans itself; "append" to build it with ``time="append"``, so that it
            reads them as an additional input.
        mask: on tasks where single features can be missing, "append" makes the layer read the mask as additional
            inputs; "native" passes it to a layer that handles missing features itself.
        arguments: arguments of the layer, except sizes.
        as_wide: names of further arguments of the layer that are set to its hidden size.
        wired: pass ``AutoNCP(hidden_size, outputs, sparsity)`` in place of the hidden size: one motor neuron per
            output, as in the NCP paper. `arguments` must hold ``sparsity``.
        shuffled: with `wired`, move its synapses to random places.
        structures: choices that a search draws from, by argument of the layer; the first of each is the default without
            a search.
        operations: counts the operations of one recurrence of the layer per sample. None if unknown: the model cannot
            be matched by compute then.
        author: a published size and learning rate, if any.
    """

    name: str
    layer: str | Callable[..., Any]
    family: Family = "yours"
    time: Literal["native", "append"] = "native"
    mask: Literal["append", "native"] = "append"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    as_wide: tuple[str, ...] = ()
    wired: bool = False
    shuffled: bool = False
    structures: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    operations: Count | None = None
    author: Author | None = None

    def __post_init__(self) -> None:
        def refuse(argument: str, expected: str, got: object) -> None:
            raise ValueError(f"ModelSpec {self.name!r}: {argument} must be {expected}; got {got!r}")

        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"name of a ModelSpec must be text; got {self.name!r}")
        if not callable(self.layer):
            user_code.check_code(self.layer)
        if not isinstance(self.family, str) or self.family not in FAMILIES:
            refuse("family", f"one of {', '.join(FAMILIES)}", self.family)
        if self.time not in ("native", "append"):
            refuse("time", "native or append", self.time)
        if self.mask not in ("append", "native"):
            refuse("mask", "append or native", self.mask)
        for argument, choices in self.structures.items():
            if not isinstance(choices, tuple) or not choices:
                refuse(f"structures[{argument!r}]", "a tuple of choices", choices)
        if self.wired and "sparsity" not in self.arguments:
            refuse("arguments", "given a sparsity, since it is wired", dict(self.arguments))
        if self.shuffled and not self.wired:
            refuse("shuffled", "False, since it is not wired", self.shuffled)
        if self.operations is not None and not callable(self.operations):
            refuse("operations", "a function of a recurrence", self.operations)
        if self.author is not None and not isinstance(self.author, Author):
            refuse("author", "an Author", self.author)

    @property
    def combinations(self) -> list[dict[str, Any]]:
        """All combinations of structure choices; that of the defaults is the first."""
        return [dict(zip(self.structures, values, strict=True)) for values in product(*self.structures.values())]


_LTC_PAPER = "the LTC paper (Hasani et al., AAAI 2021, arXiv 2006.04439)"
_RIVALS = f"{_LTC_PAPER}, settings for LTC's rivals: 32 units, learning rate 0.001"
_CFC_SCRIPTS = "the repository raminmh/CfC, Walker2d script, the one on windows of a physical system"
_LRC_SCRIPTS = "the repository MoniFarsang/LRC, person activity script: 64 units, learning rate 0.001"

# One rule for all budgets: a single backbone layer as wide as the state. With ncps' fixed width of 128, small budgets
# could not be met; widths in the authors' scripts are 0.25 to 4 times the state's.
_CFC: Mapping[str, Any] = {
    "layer": "liquidrnn:CfC",
    "as_wide": ("backbone_units",),
    "structures": {"num_layers": (1, 2), "backbone_layers": (1, 2)},
    "operations": products,
}
_DEEP: Mapping[str, Any] = {"time": "append", "structures": {"num_layers": (1, 2, 3)}, "operations": products}
_ELASTIC = {"num_layers": (1, 2), "elastance": ("symmetric", "asymmetric")}

MODELS: Mapping[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            name="LTC",
            family="liquid",
            layer="liquidrnn:LTC",
            structures={"num_layers": (1, 2), "ode_unfolds": (6, 3)},
            operations=_synapses,
            author=Author(32, 0.01, f"{_LTC_PAPER}: 32 units, learning rate 0.01"),
        ),
        ModelSpec(
            name="LTC-NCP",
            family="liquid",
            layer="liquidrnn:LTC",
            wired=True,
            arguments={"sparsity": 0.5},
            structures={"sparsity": (0.5, 0.3), "ode_unfolds": (6, 3)},
            operations=_synapses,
        ),
        ModelSpec(
            name="CfC",
            family="liquid",
            **_CFC,
            arguments={"backbone_layers": 1},
            author=Author(
                64,
                0.02,
                f"{_CFC_SCRIPTS}: 64 units, backbone SiLU 256, learning rate 0.02",
                {"activation": "silu", "backbone_units": 256},
            ),
        ),
        ModelSpec(
            name="CfC-NCP",
            family="liquid",
            layer="liquidrnn:CfC",
            wired=True,
            arguments={"sparsity": 0.5},
            structures={"sparsity": (0.5, 0.3), "mode": ("default", "no_gate")},
            operations=products,
        ),
        ModelSpec(
            name="CfC-mm",
            family="liquid",
            **_CFC,
            arguments={"backbone_layers": 1, "mixed_memory": True},
            author=Author(
                128,
                0.005,
                f"{_CFC_SCRIPTS}: 128 units, backbone LeCun tanh 128 x 2, dropout 0.2, learning rate 0.005",
                {"backbone_units": 128, "backbone_layers": 2, "backbone_dropout": 0.2},
            ),
        ),
        ModelSpec(
            name="STC",
            family="liquid",
            layer="liquidrnn:STC",
            structures={"num_layers": (1, 2), "ode_unfolds": (1, 2)},
            operations=_synapses,
            author=Author(64, 0.001, _LRC_SCRIPTS),
        ),
        ModelSpec(
            name="LRC",
            family="liquid",
            layer="liquidrnn:LRC",
            structures=_ELASTIC,
            operations=_synapses_with_elastance,
            author=Author(64, 0.001, _LRC_SCRIPTS),
        ),
        ModelSpec(
            name="LRCU",
            family="liquid",
            layer="liquidrnn:LRCU",
            structures=_ELASTIC,
            operations=_synapses_with_elastance,
            author=Author(64, 0.001, _LRC_SCRIPTS),
        ),
        ModelSpec(
            name="CTRNN",
            family="other",
            layer="liquidrnn:CTRNN",
            structures={"num_layers": (1, 2), "ode_unfolds": (4, 2)},
            operations=_unfolded_products,
            author=Author(32, 0.001, _RIVALS),
        ),
        ModelSpec(
            name="ODE-RNN",
            family="other",
            layer="liquidrnn:ODERNN",
            structures={"num_layers": (1, 2), "ode_layers": (1, 2)},
            operations=_flowing_products,
        ),
        ModelSpec(
            name="ODE-LSTM",
            family="other",
            layer="liquidrnn:ODELSTM",
            structures={"num_layers": (1, 2), "ode_unfolds": (4, 2)},
            operations=_flowing_products,
        ),
        ModelSpec(
            name="GRU-ODE",
            family="other",
            layer="liquidrnn:GRUODE",
            structures={"num_layers": (1, 2), "jumps": (False, True)},
            operations=_continuous_gru,
        ),
        ModelSpec(
            name="CT-GRU",
            family="other",
            layer="liquidrnn:CTGRU",
            structures={"num_layers": (1, 2), "scales": (8, 4)},
            operations=products,
        ),
        ModelSpec(
            name="CT-LSTM",
            family="other",
            layer="liquidrnn:CTLSTM",
            structures={"num_layers": (1, 2, 3)},
            operations=products,
        ),
        ModelSpec(
            name="coRNN",
            family="other",
            layer="liquidrnn:CoRNN",
            structures={"num_layers": (1, 2), "dt": (0.042, 0.5)},
            operations=products,
        ),
        ModelSpec(name="RNN", family="recurrent", layer="liquidrnn:RNN", **_DEEP),
        ModelSpec(
            name="RNN-decay",
            family="recurrent",
            layer="liquidrnn:RNN",
            arguments={"time": "decay"},
            structures={"num_layers": (1, 2, 3)},
            operations=products,
        ),
        ModelSpec(
            name="LSTM",
            family="recurrent",
            layer="liquidrnn:LSTM",
            author=Author(32, 0.001, _RIVALS),
            **_DEEP,
        ),
        ModelSpec(
            name="PhasedLSTM",
            family="recurrent",
            layer="liquidrnn:PhasedLSTM",
            structures={"num_layers": (1, 2), "open_share": (0.05, 0.5)},
            operations=products,
        ),
        ModelSpec(name="minLSTM", family="recurrent", layer="liquidrnn:MinLSTM", **_DEEP),
        ModelSpec(name="minGRU", family="recurrent", layer="liquidrnn:MinGRU", **_DEEP),
        ModelSpec(
            name="GRU-D",
            family="recurrent",
            layer="liquidrnn:GRUD",
            mask="native",
            structures={"num_layers": (1, 2, 3)},
            operations=products,
        ),
        ModelSpec(
            name="GRU",
            family="recurrent",
            layer="liquidrnn:GRU",
            author=Author(32, 0.001, f"{_RIVALS} (there a CT-GRU)"),
            **_DEEP,
        ),
        ModelSpec(name="FeedForward", family="control", layer="liquidrnn:FeedForward", **_DEEP),
        ModelSpec(
            name="LTC-fixed",
            family="control",
            layer="liquidrnn:LTC",
            arguments={"time_constant": "fixed"},
            structures={"num_layers": (1, 2), "ode_unfolds": (6, 3)},
            operations=_synapses,
        ),
        ModelSpec(
            name="LTC-1-step",
            family="control",
            layer="liquidrnn:LTC",
            arguments={"ode_unfolds": 1},
            structures={"num_layers": (1, 2, 3)},
            operations=_synapses,
        ),
        ModelSpec(
            name="LTC-6-steps",
            family="control",
            layer="liquidrnn:LTC",
            arguments={"ode_unfolds": 6},
            structures={"num_layers": (1, 2, 3)},
            operations=_synapses,
        ),
        ModelSpec(
            name="LTC-random",
            family="control",
            layer="liquidrnn:LTC",
            wired=True,
            shuffled=True,
            arguments={"sparsity": 0.5},
            structures={"sparsity": (0.5, 0.3), "ode_unfolds": (6, 3)},
            operations=_synapses,
        ),
        ModelSpec(
            name="LSTM-NCP",
            family="control",
            layer="liquidrnn:StackedLSTM",
            time="append",
            wired=True,
            arguments={"sparsity": 0.5},
            # It has nothing to choose: widths do not depend on the sparsity.
            structures={"sparsity": (0.5, 0.4, 0.3)},
            operations=products,
        ),
        ModelSpec(name="CfC-append", family="control", **_CFC, time="append", arguments={"backbone_layers": 1}),
        ModelSpec(
            name="STC-rate",
            family="control",
            layer="liquidrnn:LRC",
            arguments={"elastance": "constant"},
            structures={"num_layers": (1, 2), "ode_unfolds": (1, 2)},
            operations=_synapses_with_elastance,
        ),
    )
}
"""The built-in models by name, in the order of reports."""


@dataclass(frozen=True)
class UserModel(UserCode):
    """A user-defined model as a study stores it.

    Attributes:
        family: the family of its `ModelSpec`.
        author: the publication of its size and learning rate; "" if there is none.
    """

    family: Family = "yours"
    author: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        module, _, last = self.code.rpartition(":")
        if self.name.lower() in _TAKEN and self.name == last.strip("_"):
            # mypackage.mymodule:LSTM is mymodule.LSTM.
            object.__setattr__(self, "name", f"{module.rpartition('.')[2].strip('_')}.{self.name}")
            super().__post_init__()
        if self.name.lower() in _TAKEN:
            raise CodeError(f"the name of {self.code} must not be that of a built-in model; got {self.name!r}")
        if not isinstance(self.family, str) or self.family not in FAMILIES:
            raise CodeError(f"the family of {self.code} must be one of {', '.join(FAMILIES)}; got {self.family!r}")
        if not isinstance(self.author, str):
            raise CodeError(f"author of {self.code} must be text; got {self.author!r}")

    @classmethod
    def from_code(cls, code: str, name: str = "", family: Family | None = None) -> "UserModel":
        """A user-defined model with the checksum of its current code.

        Args:
            code: ``"package.module:name"`` of a layer or a `ModelSpec`.
            name: its name; "" for the name of the layer or spec.
            family: its family; None for the family of the spec.

        Raises:
            CodeError: if it is missing, or neither a layer nor a `ModelSpec`.
        """
        spec = _to_spec(code, user_code.load(code))
        return cls(
            code=code,
            name=name or spec.name,
            checksum=user_code.checksum(code),
            family=family or spec.family,
            author=spec.author.source if spec.author else "",
        )


_TAKEN = {name.lower() for name in MODELS}


def find(model: "str | UserModel | ModelSpec") -> ModelSpec:
    """The spec of a model.

    Args:
        model: a key of `MODELS`, a user's model as a study stores it, or a spec, which is returned.

    Raises:
        ValueError: if there is no such model.
        CodeError: if a user's model is missing, or has changed since the study was planned.
    """
    if isinstance(model, ModelSpec):
        return model
    if isinstance(model, UserModel):
        return _load_spec(model)
    if model not in MODELS:
        raise ValueError(f"model must be one of {', '.join(MODELS)}; got {model!r}")
    return MODELS[model]


def model_name(model: "str | UserModel") -> str:
    """A model's name in results and reports."""
    return model if isinstance(model, str) else model.name


def family_of(model: "str | UserModel") -> Family:
    """The family of a model of a study."""
    return MODELS[model].family if isinstance(model, str) else model.family


def author_of(model: "str | UserModel") -> str:
    """The publication of a model's size and learning rate; "" if there is none."""
    if not isinstance(model, str):
        return model.author
    author = MODELS[model].author
    return author.source if author else ""


def families(models: "Iterable[str | UserModel]" = ()) -> dict[str, Family]:
    """The family of each built-in model and of a study's own models, by name."""
    known: dict[str, Family] = {name: spec.family for name, spec in MODELS.items()}
    known.update((model_name(model), family_of(model)) for model in models)
    return known


@cache
def _load_spec(model: UserModel) -> ModelSpec:
    return _to_spec(model.code, model.load())


def _to_spec(code: str, found: Any) -> ModelSpec:
    """The `ModelSpec` of a user's object."""
    if isinstance(found, ModelSpec):
        return found
    # If this module is not loaded, the object cannot be a layer; there is no need to import torch to find out.
    base = getattr(sys.modules.get("liquidrnn.recurrent"), "RecurrentLayer", None)
    if not isinstance(found, type) or base is None or not issubclass(found, base) or inspect.isabstract(found):
        raise CodeError(
            f"{code} must be a layer, that is a subclass of liquidrnn.recurrent.RecurrentLayer, or a "
            f"liquidbench.models.ModelSpec; it is {_described(found)}"
        )
    # A subclass of a built-in layer gets time spans and counts operations as that layer does.
    ours = {spec.layer: spec for spec in reversed(tuple(MODELS.values()))}
    parents = [
        (one, ours.get(f"liquidrnn:{one.__name__}")) for one in found.__mro__ if one.__module__.startswith("liquidrnn.")
    ]
    parent, like = next(((one, spec) for one, spec in parents if spec), (None, None))
    appends = "time" in inspect.signature(found).parameters
    if parent is not None and like is not None and "time" in inspect.signature(parent).parameters:
        # A CfC takes it too, but uses time spans itself.
        appends = like.time == "append"
    return ModelSpec(
        name=found.__name__.strip("_"),
        layer=found,
        time="append" if appends else "native",
        operations=like.operations if like else None,
    )


def _described(thing: Any) -> str:
    return f"the class {thing.__qualname__}" if isinstance(thing, type) else f"of type {type(thing).__name__}"
