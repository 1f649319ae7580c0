"""Names in a study, and the networks they stand for: all with one head, all told the elapsed time.

The layers with an equation in time take time spans natively; torch's read them as one more input
(``time="append"``), so no model is kept in the dark about the clock. Where single features can be missing,
models read the mask as further inputs, but for those that know what to do with it.

Which size a network has to be as large as the others is the affair of `liquidbench.matching`.
"""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

import liquidrnn as lr
from liquidbench import own
from liquidbench.models import READOUTS, Author, Count, ModelSpec, OwnModel, find
from liquidbench.own import CodeError
from liquidbench.tasks.task import Task
from liquidrnn import kernels
from liquidrnn.kernels import chosen
from liquidrnn.recurrence import FusedRecurrence
from liquidrnn.recurrent import RecurrentLayer


class SequenceModel(nn.Module):
    r"""A recurrent layer and a linear head: what every model of a study looks like from outside.

    Args:
        layer: built with ``batch_first=True``.
        outputs: outputs of the head, (batch, time, outputs) or (batch, outputs).
        per: ``"step"``: the head reads every output of the layer; ``"sequence"``: what `readout` makes of them.
        mask: what the layer is told of single features that are missing: "append", it reads ``[values, mask]``;
            "native", it is given the mask; None, nothing.
        generator: source of the head's initial values.
        operations: see `liquidbench.models.ModelSpec`.
        readout: of outputs :math:`h_t` at the observed steps, the last being :math:`h_T`: ``"last"``, :math:`h_T`;
            ``"mean"``, their mean; ``"attention"``, :math:`\sum_t a_t h_t` with weights
            :math:`a = \operatorname{softmax}(h_T^\top h_t / \sqrt{n})` for n units, the dot-product attention of
            Luong et al. (EMNLP 2015, arXiv 1508.04025). None has parameters of its own, so that a network is as large
            with any of them.

    Example:
        >>> layer = lr.GRU(5, 8, time="append", batch_first=True)
        >>> model = SequenceModel(layer, 2, "sequence", mask=None, generator=torch.Generator())
        >>> model(torch.randn(3, 20, 5), torch.ones(3, 20), None).shape
        torch.Size([3, 2])
    """

    def __init__(
        self,
        layer: RecurrentLayer,
        outputs: int,
        per: str,
        mask: Literal["append", "native"] | None,
        generator: torch.Generator,
        operations: Count | None = None,
        readout: str = "last",
    ):
        super().__init__()
        if readout not in READOUTS:
            raise ValueError(f"readout must be one of {', '.join(READOUTS)}; got {readout!r}")
        self.layer, self.per, self.mask, self.operations, self.readout = layer, per, mask, operations, readout
        self.head = nn.Linear(layer.output_size, outputs)
        bound = layer.output_size**-0.5
        for parameter in self.head.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    @property
    def backend(self) -> str:
        """What runs the layer: a name of `liquidrnn.backends`."""
        like = next(self.parameters())
        found = {
            chosen(recurrence.backend, like, recurrence.operator.kernels)
            if isinstance(recurrence, FusedRecurrence) and recurrence.fused()
            else "reference"
            for recurrence in self.layer.recurrences
        }
        return " and ".join(sorted(found))

    @property
    def instruction_set(self) -> str | None:
        """That of the compiled kernels which run the layer; None where none do."""
        return kernels.cpu.instruction_set() if kernels.cpu is not None and "cpu" in self.backend else None

    def forward(self, values: Tensor, timespans: Tensor, mask: Tensor | None) -> Tensor:
        """Predictions: logits, or values in the scale of the targets.

        Args:
            values: (batch, time, feature), 0 where nothing was observed.
            timespans: (batch, time), as in `liquidbench.tasks.task.Split`.
            mask: bool (batch, time, feature), True where observed; None where everything is.

        Returns:
            (batch, time, outputs) or, per sequence, (batch, outputs).
        """
        if self.mask == "append":
            observed = torch.ones_like(values) if mask is None else mask.to(values.dtype)
            values = torch.cat([values, observed], -1)
        if mask is not None and self.mask != "native":
            # Which steps are there is the layer's affair; what a missing feature means is for the model to learn.
            mask = mask.any(-1)
        output, _ = self.layer(values, timespans=timespans, mask=mask)
        if self.per == "step":
            return self.head(output)
        # An absent step repeats the output before it, so the last output is that of the last observed step.
        last = output[:, -1]
        if self.readout == "last":
            return self.head(last)
        there = output.new_ones(output.shape[:2], dtype=torch.bool) if mask is None else mask
        there = there.any(-1) if there.ndim == 3 else there
        # Of a sequence without any observed step, the last output.
        there = torch.where(there.any(1, keepdim=True), there, _only_last(there))
        if self.readout == "mean":
            weights = there / there.sum(1, keepdim=True)
        else:
            likeness = torch.einsum("btn,bn->bt", output, last) / output.shape[-1] ** 0.5
            weights = likeness.masked_fill(~there, -torch.inf).softmax(1)
        return self.head(torch.einsum("bt,btn->bn", weights.to(output.dtype), output))


def _only_last(steps: Tensor) -> Tensor:
    return torch.arange(steps.shape[1], device=steps.device) == steps.shape[1] - 1


def build(
    model: str | OwnModel | ModelSpec,
    task: Task,
    hidden_size: int,
    seed: int,
    variant: str = "matched",
    structure: Mapping[str, Any] | None = None,
    readout: str = "last",
) -> SequenceModel:
    """A network for a task, its wiring and initial values drawn from a seed.

    Args:
        model: see `liquidbench.models.find`.
        task: for the sizes of inputs and outputs; no data are read.
        hidden_size: units of the layer.
        seed: the same seed gives the same network.
        variant: ``"matched"``, or ``"author"`` for a layer built as its `liquidbench.models.Author` says.
        structure: arguments of the layer, one of `liquidbench.models.ModelSpec.combinations`; None for the first.
        readout: see `SequenceModel`.

    Raises:
        ValueError: for an unknown model, or a size at which it does not exist.
        CodeError: a user's layer cannot be loaded or built.
    """
    spec = find(model)
    generator = torch.Generator().manual_seed(seed)
    mask = spec.mask if task.missing else None
    inputs = len(task.features) * (1 + (mask == "append"))
    arguments = {**spec.arguments, **dict.fromkeys(spec.as_wide, hidden_size)}
    arguments |= spec.combinations[0] if structure is None else structure
    arguments |= author(spec).arguments if variant == "author" else {}
    if spec.time == "append":
        arguments["time"] = "append"
    size: Any = lr.wirings.AutoNCP(hidden_size, task.outputs, arguments.pop("sparsity")) if spec.wired else hidden_size
    make = own.load(spec.layer) if isinstance(spec.layer, str) else spec.layer
    if isinstance(model, str):
        layer = make(inputs, size, batch_first=True, generator=generator, **arguments)
    else:
        layer = _yours(spec, make, (inputs, size), {"batch_first": True, "generator": generator, **arguments})
    return SequenceModel(layer, task.outputs, task.per, mask, generator, spec.operations, readout)


def _yours(spec: ModelSpec, make: Any, sizes: tuple[Any, ...], arguments: Mapping[str, Any]) -> RecurrentLayer:
    """A user's layer, built and looked at."""
    named = getattr(make, "__qualname__", str(make))
    told = {name: value for name, value in arguments.items() if name != "generator"}
    words = ", ".join([*map(str, sizes), "generator=...", *(f"{name}={value!r}" for name, value in told.items())])
    try:
        layer = make(*sizes, **arguments)
    # Somebody else's code may fail in any way.
    except Exception as error:
        raise CodeError(
            f"{spec.name} cannot be built: {named}({words}) raises {type(error).__name__}: {error}"
        ) from error
    if not isinstance(layer, RecurrentLayer):
        raise CodeError(
            f"{spec.name} must be a liquidrnn.recurrent.RecurrentLayer; {named}({words}) returned one of type "
            f"{type(layer).__name__}"
        )
    if not layer.batch_first or layer.num_directions > 1:
        raise CodeError(
            f"{spec.name} must read (batch, time, feature), forward in time; {named}({words}) has "
            f"batch_first={layer.batch_first} and {layer.num_directions} directions"
        )
    if not all(recurrence.uses_timespans for recurrence in layer.recurrences):
        raise CodeError(
            f"{spec.name} must be told the time, as all models are, but {named} takes no notice of time spans: name a "
            "ModelSpec with time='append', or have its recurrences use them"
        )
    return layer


def author(model: str | OwnModel | ModelSpec) -> Author:
    """The published size and learning rate of a model.

    Raises:
        ValueError: for a model without such.
    """
    spec = find(model)
    if spec.author is None:
        raise ValueError(f"model must have a published size for variant 'author'; got {spec.name!r}")
    return spec.author
