"""Builds the network of a model: its recurrent layer and a linear head, behind an encoder where samples are images.

Every model is given the elapsed time: continuous-time layers use time spans in their equations, torch's layers read
them as an additional input (``time="append"``). On tasks where single features can be missing, models read the mask as
additional inputs, unless their layer handles missing features itself.

Where targets continue features (`liquidbench.tasks.task.Task.carried`), every network predicts the change since their
last observed values, as NLinear does (Zeng et al., Are Transformers Effective for Time Series Forecasting?, AAAI 2023,
arXiv 2205.13504): a forecast then begins near the trivial one, and follows a level that training has not seen.

`liquidbench.matching` chooses the hidden size at which models are equally large.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

import liquidrnn as lr
from liquidbench import encoder, user_code
from liquidbench.models import READOUTS, Author, Count, ModelSpec, UserModel, find
from liquidbench.tasks.task import Task
from liquidbench.user_code import CodeError
from liquidrnn import kernels
from liquidrnn.kernels import chosen
from liquidrnn.recurrence import FusedRecurrence
from liquidrnn.recurrent import RecurrentLayer


class SequenceModel(nn.Module):
    r"""A recurrent layer and a linear head: the form of every network in a study.

    Args:
        layer: the recurrent layer, with ``batch_first=True``.
        outputs: number of outputs of the head.
        per: with ``"step"`` the head reads the layer's output at each step; with ``"sequence"`` it reads the one vector
            that `readout` computes.
        mask: how the layer learns about missing features: with "append" it reads ``[values, mask]``, with "native" it
            is given the mask, with None it is not told.
        generator: random generator for the head's initial values.
        operations: see `liquidbench.models.ModelSpec`.
        carried: for each output the number of the feature that it continues, on the same scale. The network then
            predicts the change: the feature's last observed value is added to the head's output. Empty if the head's
            output is the prediction.
        readout: how the outputs :math:`h_1 \ldots h_T` at the observed steps become one vector: ``"last"``,
            :math:`h_T`; ``"mean"``, their mean; ``"attention"``, :math:`\sum_t a_t h_t` with weights
            :math:`a = \operatorname{softmax}(h_T^\top h_t / \sqrt{n})` for n units, the dot-product attention of
            Luong et al. (EMNLP 2015, arXiv 1508.04025). No readout has parameters, so it does not change the size of
            the network.
        encoder: makes the layer's inputs of the samples (`liquidbench.encoder`); None where these are the inputs.

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
        carried: Sequence[int] = (),
        encoder: nn.Module | None = None,
    ):
        super().__init__()
        if readout not in READOUTS:
            raise ValueError(f"readout must be one of {', '.join(READOUTS)}; got {readout!r}")
        self.layer, self.per, self.mask, self.operations, self.readout = layer, per, mask, operations, readout
        self.carried, self.encoder = tuple(carried), encoder
        self.head = nn.Linear(layer.output_size, outputs)
        bound = layer.output_size**-0.5
        for parameter in self.head.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    @property
    def backend(self) -> str:
        """The backend that runs the layer: a name of `liquidrnn.backends`."""
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
        """The instruction set of the compiled kernels that run the layer; None without compiled kernels."""
        return kernels.cpu.instruction_set() if kernels.cpu is not None and "cpu" in self.backend else None

    def forward(
        self,
        values: Tensor,
        timespans: Tensor,
        mask: Tensor | None,
        features: Literal["", "readout", "states"] = "",
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Compute predictions: logits, or values on the scale of the targets.

        Args:
            values: (batch, time, feature), 0 where unobserved; with an encoder, what it reads.
            timespans: (batch, time), as in `liquidbench.tasks.task.Split`.
            mask: bool (batch, time, feature), True where observed; None if everything is observed.
            features: what else to return (`liquidrnn.objectives.Objective.features`): "" for nothing, "readout" for
                what the head reads, "states" for the layer's outputs, (batch, time, units).

        Returns:
            (batch, time, outputs) if ``per`` is "step", else (batch, outputs); with features, a pair.
        """
        if self.encoder is not None:
            values = self.encoder(values)
        base = last_observed(values, mask)[..., self.carried] if self.carried else None
        if self.mask == "append":
            observed = torch.ones_like(values) if mask is None else mask.to(values.dtype)
            values = torch.cat([values, observed], -1)
        if mask is not None and self.mask != "native":
            # The layer skips steps without any observation. What a missing feature means, the model must learn.
            mask = mask.any(-1)
        output, _ = self.layer(values, timespans=timespans, mask=mask)
        read = output if self.per == "step" else self._read(output, mask)
        predictions = self.head(read) if base is None else base + self.head(read)
        return predictions if not features else (predictions, read if features == "readout" else output)

    def _read(self, output: Tensor, mask: Tensor | None) -> Tensor:
        """The one vector that the head reads of each sequence, (batch, units)."""
        # A skipped step repeats the previous output, so the last output is that of the last observed step.
        last = output[:, -1]
        if self.readout == "last":
            return last
        observed = output.new_ones(output.shape[:2], dtype=torch.bool) if mask is None else mask
        observed = observed.any(-1) if observed.ndim == 3 else observed
        # For a sequence without any observed step, use the last output.
        observed = torch.where(observed.any(1, keepdim=True), observed, _last_step(observed))
        if self.readout == "mean":
            weights = observed / observed.sum(1, keepdim=True)
        else:
            similarity = torch.einsum("btn,bn->bt", output, last) / output.shape[-1] ** 0.5
            weights = similarity.masked_fill(~observed, -torch.inf).softmax(1)
        return torch.einsum("bt,btn->bn", weights.to(output.dtype), output)


def last_observed(values: Tensor, mask: Tensor | None) -> Tensor:
    """The last observed value of each feature at each step, (batch, time, feature); 0 before there is one.

    Example:
        >>> last_observed(torch.tensor([[[0.0], [2.0], [0.0]]]), torch.tensor([[[False], [True], [False]]])).flatten()
        tensor([0., 2., 2.])
    """
    if mask is None:
        return values
    steps = torch.arange(values.shape[1], device=values.device)[:, None]
    return values.gather(1, torch.where(mask, steps, 0).cummax(1).values)


def _last_step(steps: Tensor) -> Tensor:
    return torch.arange(steps.shape[1], device=steps.device) == steps.shape[1] - 1


def build(
    model: str | UserModel | ModelSpec,
    task: Task,
    hidden_size: int,
    seed: int,
    variant: str = "matched",
    structure: Mapping[str, Any] | None = None,
    readout: str = "last",
) -> SequenceModel:
    """Build a network for a task; its wiring and initial values depend on the seed.

    Args:
        model: see `liquidbench.models.find`.
        task: the task, for the number of inputs and outputs; no data are read.
        hidden_size: number of units of the layer.
        seed: the same seed gives the same network.
        variant: ``"matched"``, or ``"author"`` for a layer with the arguments of its `liquidbench.models.Author`.
        structure: arguments of the layer, one of `liquidbench.models.ModelSpec.combinations`; None for the first.
        readout: see `SequenceModel`.

    Raises:
        ValueError: if the model is unknown or cannot have this size.
        CodeError: if a user-defined layer cannot be loaded or built.
    """
    spec = find(model)
    generator = torch.Generator().manual_seed(seed)
    mask = spec.mask if task.missing else None
    reader = None if task.image is None else encoder.ImageEncoder(task.image, generator)
    # An image is one feature, seen or not.
    inputs = (encoder.OUTPUTS if reader else len(task.features)) + len(task.features) * (mask == "append")
    arguments = {**spec.arguments, **dict.fromkeys(spec.as_wide, hidden_size)}
    arguments |= spec.combinations[0] if structure is None else structure
    arguments |= published(spec).arguments if variant == "author" else {}
    if spec.time == "append":
        arguments["time"] = "append"
    size: Any = lr.wirings.AutoNCP(hidden_size, task.outputs, arguments.pop("sparsity")) if spec.wired else hidden_size
    size = lr.wirings.Shuffled(size) if spec.shuffled else size
    make = user_code.load(spec.layer) if isinstance(spec.layer, str) else spec.layer
    if isinstance(model, str):
        layer = make(inputs, size, batch_first=True, generator=generator, **arguments)
    else:
        arguments |= {"batch_first": True, "generator": generator}
        layer = _build_user_layer(spec, make, (inputs, size), arguments)
    return SequenceModel(
        layer, task.outputs, task.per, mask, generator, spec.operations, readout, task.continued, reader
    )


def pack(form: Mapping[str, Any], model: SequenceModel) -> tuple[dict[str, Any], bytes]:
    """A trained network as text and bytes.

    Args:
        form: arguments of `build` other than the task.
        model: the network.

    Returns:
        The form, of what JSON can represent, and the weights in the format of safetensors.
    """
    named = form["model"]
    # Sorted and contiguous: the same weights have the same bytes.
    state = {name: tensor.contiguous().cpu() for name, tensor in sorted(model.state_dict().items())}
    return {**form, "model": asdict(named) if isinstance(named, UserModel) else named}, safetensors.torch.save(state)


def unpack(form: Mapping[str, Any], weights: bytes, task: Task) -> SequenceModel:
    """The network that `pack` was given, ready to predict.

    Raises:
        CodeError: if a user-defined model is missing or has changed.
        KeyError, TypeError, ValueError: if the form is none, or the weights are not its.
    """
    named = form["model"]
    model = build(task=task, **{**form, "model": UserModel(**named) if isinstance(named, Mapping) else named})
    try:
        model.load_state_dict(safetensors.torch.load(weights))
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise ValueError(f"the weights are not those of the network described ({error})") from error
    return model.eval()


def _build_user_layer(
    spec: ModelSpec, make: Any, sizes: tuple[Any, ...], arguments: Mapping[str, Any]
) -> RecurrentLayer:
    """Build a user-defined layer and check that it has the interface that a study needs."""
    named = getattr(make, "__qualname__", str(make))
    told = {name: value for name, value in arguments.items() if name != "generator"}
    words = ", ".join([*map(str, sizes), "generator=...", *(f"{name}={value!r}" for name, value in told.items())])
    try:
        layer = make(*sizes, **arguments)
    # User code may raise anything.
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
            f"{spec.name} must use the elapsed time, as all models do, but {named} ignores time spans: give a "
            "ModelSpec with time='append', or use time spans in its recurrences"
        )
    return layer


def published(model: str | UserModel | ModelSpec) -> Author:
    """The published size and learning rate of a model.

    Raises:
        ValueError: if nothing was published for it.
    """
    spec = find(model)
    if spec.author is None:
        raise ValueError(f"model must have a published size for variant 'author'; got {spec.name!r}")
    return spec.author
