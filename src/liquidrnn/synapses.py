"""Connections of a wiring as tensors: one number per synapse, never a dense matrix with a mask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Literal, TypedDict, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import unset_fake_temporarily

from liquidrnn.arguments import choice, described, positive_int, readable
from liquidrnn.wirings import FullyConnected, Recipe, Wiring

Module = TypeVar("Module", bound=nn.Module)
Mapping = Literal["affine", "linear"] | None
Constraint = Literal["softplus", "clamp"] | None


class Factory(TypedDict):
    """Random generator, device and dtype of new parameters."""

    generator: torch.Generator | None
    device: torch.device | str | None
    dtype: torch.dtype | None


class Synapses(nn.Module):
    """Connections from sources to neurons, with their polarity.

    The indices are buffers: they move with the module and are saved with it, but are not trained. A state dict may
    bring other ones, of the same number and in any order. A synapse's parameters are vectors of length
    ``len(synapses)`` in the order of ``pre`` and ``post``, at first row by row of the adjacency matrix.

    Args:
        adjacency: (sources, neurons), nonzero where there is a connection.
        device: device of the indices.
        polarity: (sources, neurons), -1, 0 or +1; None is ``adjacency``. A connection of polarity 0 is not a synapse.

    Attributes:
        pre: (synapses,) index of the source.
        post: (synapses,) index of the neuron.
        polarity: (synapses,) -1, 0 or +1.
    """

    OWN: tuple[str, ...] = ()
    pre: Tensor
    post: Tensor
    polarity: Tensor

    def __init__(
        self,
        adjacency: np.ndarray,
        device: torch.device | str | None = None,
        polarity: np.ndarray | None = None,
    ):
        super().__init__()
        self.sources, self.neurons = adjacency.shape
        pre, post = np.nonzero(adjacency)
        signs = adjacency if polarity is None else polarity
        for name, values in (("pre", pre), ("post", post), ("polarity", signs[pre, post].astype(np.int8))):
            self.register_buffer(name, torch.tensor(values, device=device))

    def __len__(self) -> int:
        return len(self.pre)

    def adjacency(self) -> np.ndarray:
        """Polarity of every synapse, (sources, neurons)."""
        matrix = np.zeros((self.sources, self.neurons), np.int8)
        matrix[self.pre.cpu().numpy(), self.post.cpu().numpy()] = self.polarity.cpu().numpy()
        return matrix

    def restrict(self, adjacency: np.ndarray, owner: nn.Module, names: tuple[str, ...]) -> None:
        """Keeps only the synapses that ``adjacency`` has, here and in the parameters ``names`` of ``owner``."""
        keep = torch.from_numpy(adjacency != 0).to(self.pre.device)[self.pre, self.post]
        for module, name in [*((owner, name) for name in names), *((self, name) for name in self.OWN)]:
            parameter = module._parameters.get(name)
            if parameter is None:
                raise TypeError(
                    f"the layer must hold {name!r} as a parameter, but it is computed from others, by pruning or a "
                    "parametrization: make that permanent first (prune.remove(), remove_parametrizations(), "
                    "remove_weight_norm())"
                )
            setattr(module, name, nn.Parameter(parameter.detach()[..., keep].clone(), parameter.requires_grad))
        self.pre, self.post, self.polarity = self.pre[keep], self.post[keep], self.polarity[keep]

    def extra_repr(self) -> str:
        """Numbers of existing and of possible connections."""
        return f"{len(self):,} of {self.sources:,} x {self.neurons:,}"

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        pre, post = (state_dict.get(prefix + name) for name in ("pre", "post"))
        if pre is not None and pre.shape != self.pre.shape:
            error_msgs.append(
                f"{prefix}pre: the saved wiring has {len(pre)} synapses, this layer's has {len(self)}; build the "
                "layer with the saved layer's wiring, which to_dict() and from_dict() write and read, or with the same "
                "generator seed"
            )
            return
        if pre is not None and post is not None and pre.shape == post.shape and readable(pre) and readable(post):
            pairs = list(zip(pre.tolist(), post.tolist(), strict=True))
            for what, wrong in (
                (
                    f"no synapse from {self.sources} sources to {self.neurons} neurons",
                    [pair for pair in pairs if not (0 <= pair[0] < self.sources and 0 <= pair[1] < self.neurons)],
                ),
                ("there more than once", [pair for pair, times in Counter(pairs).items() if times > 1]),
            ):
                if wrong:
                    error_msgs.append(f"{prefix}pre and post: synapse {wrong[0]} is {what}; is the file damaged?")
                    return
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


class SigmoidSynapses(Synapses):
    r"""Synapses that open with the presynaptic value, :math:`s = \sigma(\sigma_{ij}(y_j - \mu_{ij}))`.

    Calling the module returns its parameters, so that hooks which compute them, such as those of
    ``torch.nn.utils.prune``, run first.

    Attributes:
        sigma: (synapses,) steepness, initially uniform in [3, 8].
        mu: (synapses,) threshold, initially uniform in [0.3, 0.8].
    """

    OWN = ("sigma", "mu")

    def __init__(self, adjacency: np.ndarray, generator: torch.Generator | None, device=None, dtype=None):
        super().__init__(adjacency, device)
        self.sigma = uniform(len(self), 3.0, 8.0, generator, device, dtype)
        self.mu = uniform(len(self), 0.3, 0.8, generator, device, dtype)

    def forward(self) -> tuple[Tensor, Tensor]:
        """Steepness and threshold of each synapse."""
        return self.sigma, self.mu


class Affine(nn.Module):
    """A learned scale ("linear") and shift ("affine") of each feature, or nothing (None); starts as the identity."""

    def __init__(self, size: int, mapping: Mapping, name: str, device=None, dtype=None):
        super().__init__()
        choice(name, mapping, ("affine", "linear", None))
        self.mapping = mapping
        ones, zeros = (make(size, device=device, dtype=dtype) for make in (torch.ones, torch.zeros))
        self.weight = nn.Parameter(ones) if mapping else None
        self.bias = nn.Parameter(zeros) if mapping == "affine" else None

    def forward(self, values: Tensor) -> Tensor:
        """(..., size) to (..., size)."""
        values = values if self.weight is None else values * self.weight
        return values if self.bias is None else values + self.bias

    def parts(self) -> tuple[Tensor | None, Tensor | None]:
        """Scale and shift, without gradients."""
        weight, bias = (None if p is None else p.detach() for p in (self.weight, self.bias))
        return weight, bias

    def extra_repr(self) -> str:
        """The mapping's name."""
        return str(self.mapping)


def drawn(
    init: Callable[..., Tensor],
    *shape: int,
    generator: torch.Generator | None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """A tensor filled by a function of ``torch.nn.init``, drawn in single precision and then converted.

    So a seed gives the same layer in every dtype, and half precision works although torch cannot draw some matrices in
    it.
    """
    device = torch.get_default_device() if device is None else device
    # Numbers are drawn on the generator's device; a meta tensor has no numbers.
    source = device if torch.device(device).type == "meta" or generator is None else generator.device
    return init(torch.empty(shape, device=source, dtype=torch.float32), generator=generator).to(
        device, dtype or torch.get_default_dtype()
    )


def within(bound: float | Tensor, *shape: int, **factory: Any) -> nn.Parameter:
    """A parameter that starts uniform between -bound and bound; ``factory`` as for :func:`drawn`."""
    return nn.Parameter((2 * drawn(nn.init.uniform_, *shape, **factory) - 1) * bound)


def module_of_torch(
    kind: Callable[..., Module],
    *sizes: int,
    generator: torch.Generator | None,
    device: torch.device | str | None,
    dtype: torch.dtype | None,
    **options: Any,
) -> Module:
    """A module of ``torch.nn``: with torch's initial values, or uninitialised if a generator is to draw them.

    torch draws its values from the global random state, which a layer with its own generator must not change.
    """
    if generator is None:
        return kind(*sizes, device=device, dtype=dtype, **options)
    device = torch.get_default_device() if device is None else device
    return kind(*sizes, device="meta", dtype=dtype, **options).to_empty(device=device)


def uniform(
    size: int, low: float, high: float, generator: torch.Generator | None, device=None, dtype=None
) -> nn.Parameter:
    """A parameter (size,) drawn from [low, high]."""
    unit = drawn(nn.init.uniform_, size, generator=generator, device=device, dtype=torch.float32)
    return nn.Parameter((low + (high - low) * unit).to(dtype or torch.get_default_dtype()))


def conductance(
    size: int,
    low: float,
    high: float,
    constraint: Constraint,
    generator: torch.Generator | None,
    device=None,
    dtype=None,
) -> nn.Parameter:
    """The stored form of a conductance (size,) whose effective value is drawn from [low, high]."""
    stored = uniform(size, low, high, generator, device, torch.float32).detach()
    stored = stored.expm1().log() if constraint == "softplus" else stored
    return nn.Parameter(stored.to(dtype or torch.get_default_dtype()))


def effective(stored: Tensor, constraint: Constraint) -> Tensor:
    """The conductance from its stored form: not negative, unless ``constraint`` is None."""
    if constraint == "softplus":
        # The default threshold of 20, above which softplus() is linear, is too low for float64.
        return F.softplus(stored, threshold=50)
    if constraint == "clamp":
        # Negative values count as zero but keep their gradient, as if the optimiser step had been clipped.
        return stored + (stored.clamp(min=0) - stored).detach()
    return stored


def wire(wiring: int | Recipe | Wiring, input_size: int, generator: torch.Generator | None) -> Wiring:
    """The wiring of a layer: a given one, or one drawn from a recipe with a seed from ``generator``.

    Raises:
        TypeError: ``wiring`` is not a number of units, a recipe or a drawn wiring.
        ValueError: a drawn wiring is for another number of inputs.
    """
    if isinstance(wiring, Wiring):
        if wiring.input_size != input_size:
            raise ValueError(
                f"the wiring was drawn for {wiring.input_size} inputs, but this layer has {input_size}; "
                "a recipe is drawn anew for every layer"
            )
        return wiring
    if not isinstance(wiring, Recipe):
        if isinstance(wiring, bool) or not hasattr(wiring, "__index__"):
            raise TypeError(
                "hidden_size must be a number of units, a recipe such as wirings.AutoNCP(32, outputs=4), or a drawn "
                f"Wiring, but got {described(wiring)}"
            )
        wiring = FullyConnected(positive_int("hidden_size", wiring))
    where = "cpu" if generator is None else generator.device
    # Structure is drawn for real even in fake tensor mode.
    with unset_fake_temporarily():
        seed = int(torch.randint(2**31, (), generator=generator, device=where))
    return wiring.build(input_size, seed=seed)
