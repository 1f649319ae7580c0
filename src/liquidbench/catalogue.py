"""Names in a study, and the networks they stand for: all with one head, all told the elapsed time.

The layers with an equation in time take time spans natively; torch's read them as one more input
(``time="append"``), so no model is kept in the dark about the clock. Where single features can be missing,
every model reads the mask as further inputs.

Which size a network has to be as large as the others is the affair of `liquidbench.matching`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

import liquidrnn as lr
from liquidbench.study import AUTHOR_MODELS
from liquidbench.tasks.task import Task
from liquidrnn.recurrent import RecurrentLayer


class Build(Protocol):
    """Makes a layer."""

    def __call__(
        self, inputs: int, units: int, outputs: int, generator: torch.Generator, **structure: Any
    ) -> RecurrentLayer:
        """Sizes of input and state, outputs of the task, source of randomness, and arguments of the layer."""
        ...


def _native(layer: Callable[..., RecurrentLayer]) -> Build:
    def build(inputs: int, units: int, outputs: int, generator: torch.Generator, **structure: Any) -> RecurrentLayer:
        return layer(inputs, units, batch_first=True, generator=generator, **structure)

    return build


def _appending(layer: Callable[..., RecurrentLayer]) -> Build:
    def build(inputs: int, units: int, outputs: int, generator: torch.Generator, **structure: Any) -> RecurrentLayer:
        return layer(inputs, units, time="append", batch_first=True, generator=generator, **structure)

    return build


def _wired(layer: Callable[..., RecurrentLayer]) -> Build:
    # One motor neuron per output, as in the NCP paper; the run's seed draws the wiring.
    def build(
        inputs: int, units: int, outputs: int, generator: torch.Generator, sparsity: float = 0.5, **structure: Any
    ) -> RecurrentLayer:
        recipe = lr.wirings.AutoNCP(units, outputs, sparsity)
        return layer(inputs, recipe, batch_first=True, generator=generator, **structure)

    return build


def _cfc(mixed_memory: bool) -> Build:
    # One rule for all budgets: a single backbone layer as wide as the state. The package's fixed width of 128
    # would put small budgets out of reach; widths in the authors' scripts are 0.25 to 4 times the state's.
    def build(
        inputs: int, units: int, outputs: int, generator: torch.Generator, backbone_layers: int = 1, **structure: Any
    ) -> RecurrentLayer:
        return lr.CfC(
            inputs,
            units,
            backbone_units=units,
            backbone_layers=backbone_layers,
            mixed_memory=mixed_memory,
            batch_first=True,
            generator=generator,
            **structure,
        )

    return build


MODELS: dict[str, Build] = {
    "LTC": _native(lr.LTC),
    "LTC-NCP": _wired(lr.LTC),
    "CfC": _cfc(mixed_memory=False),
    "CfC-NCP": _wired(lr.CfC),
    "CfC-mm": _cfc(mixed_memory=True),
    "STC": _native(lr.STC),
    "LRC": _native(lr.LRC),
    "LRCU": _native(lr.LRCU),
    "CTRNN": _native(lr.CTRNN),
    "RNN": _appending(lr.RNN),
    "LSTM": _appending(lr.LSTM),
    "GRU": _appending(lr.GRU),
}


@dataclass(frozen=True)
class Author:
    """A published size and learning rate of a model, to be shown beside the matched ones.

    Everything else (epochs, batches, clipping, splits) is the study's, so such a row shows what the sizes and
    rates do, and is no reproduction of a paper.

    Attributes:
        hidden_size: units.
        learning_rate: of Adam.
        source: where that is written.
        build: the layer, where it differs in more than size from the matched one.
    """

    hidden_size: int
    learning_rate: float
    source: str
    build: Build | None = None


def _walker_cfc(inputs: int, units: int, outputs: int, generator: torch.Generator, **structure: Any) -> RecurrentLayer:
    return lr.CfC(
        inputs,
        units,
        activation="silu",
        backbone_units=256,
        backbone_layers=1,
        batch_first=True,
        generator=generator,
        **structure,
    )


def _walker_cfc_mm(
    inputs: int, units: int, outputs: int, generator: torch.Generator, **structure: Any
) -> RecurrentLayer:
    return lr.CfC(
        inputs,
        units,
        backbone_units=128,
        backbone_layers=2,
        backbone_dropout=0.2,
        mixed_memory=True,
        batch_first=True,
        generator=generator,
        **structure,
    )


AUTHORS: dict[str, Author] = {
    "LTC": Author(32, 0.01, AUTHOR_MODELS["LTC"]),
    "LSTM": Author(32, 0.001, AUTHOR_MODELS["LSTM"]),
    "GRU": Author(32, 0.001, AUTHOR_MODELS["GRU"]),
    "CTRNN": Author(32, 0.001, AUTHOR_MODELS["CTRNN"]),
    "CfC": Author(64, 0.02, AUTHOR_MODELS["CfC"], _walker_cfc),
    "CfC-mm": Author(128, 0.005, AUTHOR_MODELS["CfC-mm"], _walker_cfc_mm),
    "STC": Author(64, 0.001, AUTHOR_MODELS["STC"]),
    "LRC": Author(64, 0.001, AUTHOR_MODELS["LRC"]),
    "LRCU": Author(64, 0.001, AUTHOR_MODELS["LRCU"]),
}


class SequenceModel(nn.Module):
    """A recurrent layer and a linear head: what every model of a study looks like from outside.

    Args:
        layer: built with ``batch_first=True``.
        outputs: outputs of the head, (batch, time, outputs) or (batch, outputs).
        per: ``"step"``: the head reads every output of the layer; ``"sequence"``: the last observed one.
        missing: the layer reads ``[values, mask]`` rather than ``values``.
        generator: source of the head's initial values.

    Example:
        >>> layer = lr.GRU(5, 8, time="append", batch_first=True)
        >>> model = SequenceModel(layer, 2, "sequence", missing=False, generator=torch.Generator())
        >>> model(torch.randn(3, 20, 5), torch.ones(3, 20), None).shape
        torch.Size([3, 2])
    """

    def __init__(self, layer: RecurrentLayer, outputs: int, per: str, missing: bool, generator: torch.Generator):
        super().__init__()
        self.layer, self.per, self.missing = layer, per, missing
        self.head = nn.Linear(layer.output_size, outputs)
        bound = layer.output_size**-0.5
        for parameter in self.head.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, values: Tensor, timespans: Tensor, mask: Tensor | None) -> Tensor:
        """Predictions: logits, or values in the scale of the targets.

        Args:
            values: (batch, time, feature), 0 where nothing was observed.
            timespans: (batch, time), as in `liquidbench.tasks.task.Split`.
            mask: bool (batch, time, feature), True where observed; None where everything is.

        Returns:
            (batch, time, outputs) or, per sequence, (batch, outputs).
        """
        if self.missing:
            observed = torch.ones_like(values) if mask is None else mask.to(values.dtype)
            values = torch.cat([values, observed], -1)
        # Which steps are there is the layer's affair; what a missing feature means is for the model to learn.
        output, _ = self.layer(values, timespans=timespans, mask=None if mask is None else mask.any(-1))
        # An absent step repeats the output before it, so the last output is that of the last observed step.
        return self.head(output if self.per == "step" else output[:, -1])


def build(
    model: str,
    task: Task,
    hidden_size: int,
    seed: int,
    variant: str = "matched",
    structure: Mapping[str, Any] | None = None,
) -> SequenceModel:
    """A network for a task, its wiring and initial values drawn from a seed.

    Args:
        model: a key of `MODELS`.
        task: for the sizes of inputs and outputs; no data are read.
        hidden_size: units of the layer.
        seed: the same seed gives the same network.
        variant: ``"matched"``, or ``"author"`` for a layer built as in `AUTHORS`.
        structure: arguments of the layer, as `liquidbench.search.STRUCTURES` has them; None for its defaults.

    Raises:
        ValueError: for an unknown model, or a size at which it does not exist.
    """
    if model not in MODELS:
        raise ValueError(f"model must be one of {', '.join(MODELS)}; got {model!r}")
    generator = torch.Generator().manual_seed(seed)
    inputs = len(task.features) * (1 + task.missing)
    make = (author(model).build if variant == "author" else None) or MODELS[model]
    layer = make(inputs, hidden_size, task.outputs, generator, **(structure or {}))
    return SequenceModel(layer, task.outputs, task.per, task.missing, generator)


def author(model: str) -> Author:
    """The published size and learning rate of a model.

    Raises:
        ValueError: for a model without such.
    """
    if model not in AUTHORS:
        raise ValueError(f"model must be one of {', '.join(AUTHORS)} for variant 'author'; got {model!r}")
    return AUTHORS[model]
