"""Deep ensembles, trained and evaluated in one go."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils._pytree import tree_map

from liquidrnn.arguments import flag, whole


class Ensemble(nn.Module):
    r"""Networks of one architecture that differ in their initial values, as one module (Lakshminarayanan et al. 2017).

    .. math:: p(y \mid x) = \frac{1}{M} \sum_{m=1}^{M} p(y \mid x, \theta_m)

    Parameters and buffers are stacked along a new first axis, and `torch.vmap` runs all members at once. The layers of
    this library run their compiled kernels in it, except ODE-RNN, which has none and runs as the reference does.
    Kernels need ordinary autograd: in `torch.func.grad` around an ensemble, the reference runs.

    Train it as any module, with the *sum* of the members' losses: no parameter is shared, so each member gets its own
    gradient, and an elementwise optimiser such as Adam trains each as it would alone. Clipping by a global norm is not
    elementwise. Dropout draws differently for each member.

    Args:
        members: two or more modules of one class, with the same names, shapes and types of tensors and the same values
            of everything else. They are copied. Members with a wiring need the same one, or tensors of the same shapes.
        vectorised: False runs one member after another, for modules with operations that `torch.vmap` does not support.

    Raises:
        TypeError: if a member is no module, or not of the first one's class.
        ValueError: if there are fewer than two members, or their tensors have other names, shapes or types.

    Example:
        >>> ensemble = Ensemble(torch.nn.Linear(3, 2) for _ in range(5))
        >>> x, y = torch.randn(8, 3), torch.randint(2, (8,))
        >>> outputs = ensemble(x)
        >>> outputs.shape
        torch.Size([5, 8, 2])
        >>> losses = torch.stack([torch.nn.functional.cross_entropy(member, y) for member in outputs])
        >>> losses.sum().backward()
        >>> outputs.softmax(-1).mean(0).shape
        torch.Size([8, 2])
    """

    def __init__(self, members: Iterable[nn.Module], *, vectorised: bool = True):
        super().__init__()
        members = list(members)
        self.vectorised = flag("vectorised", vectorised)
        _check(members)
        self.size = len(members)
        states = [_tensors(member) for member in members]
        stacked = {name: torch.stack([state[name].detach() for state in states]) for name in states[0]}
        self.stacked = _with(members[0], stacked)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The members' outputs, along a new first axis.

        Args:
            *args: arguments of a member; all members get the same.
            **kwargs: its keyword arguments.

        Returns:
            What a member returns, with every tensor (members, ...).
        """
        state = _tensors(self.stacked)

        def member(tensors: Mapping[str, Tensor]) -> Any:
            return functional_call(self.stacked, dict(tensors), args, kwargs)

        if not self.vectorised:
            outputs = [member({name: tensor[m] for name, tensor in state.items()}) for m in range(self.size)]
            return tree_map(lambda *parts: torch.stack(parts), *outputs)
        try:
            return vmap(member, randomness="different")(state)
        except (RuntimeError, NotImplementedError) as error:
            error.add_note("If torch.vmap cannot run the members, build the ensemble with vectorised=False")
            raise

    def member(self, number: int) -> nn.Module:
        """A copy of one member, with its present weights.

        Raises:
            IndexError: if there is none of this number.
        """
        if not 0 <= (number := whole("number", number)) < self.size:
            raise IndexError(f"number must be 0 to {self.size - 1}, but got {number}")
        return _with(self.stacked, {name: tensor[number].detach() for name, tensor in _tensors(self.stacked).items()})

    def __len__(self) -> int:
        return self.size


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _with(module: nn.Module, tensors: Mapping[str, Tensor]) -> nn.Module:
    """A copy of a module with other parameters and buffers; tensors that modules share stay shared."""
    made = copy.deepcopy(module)
    named = {id(old): tensors[name] for name, old in _tensors(made).items()}
    new: dict[int, Tensor] = {}
    for part in made.modules():
        for of in (part._parameters, part._buffers):
            for leaf, old in of.items():
                if old is None:
                    continue
                if id(old) not in new:
                    value = named[id(old)].clone()
                    new[id(old)] = nn.Parameter(value, old.requires_grad) if isinstance(old, nn.Parameter) else value
                # setattr, which a torch.nn.LSTM listens to.
                setattr(part, leaf, new[id(old)])
    return made


def _check(members: list[nn.Module]) -> None:
    if len(members) < 2:
        raise ValueError(
            f"members must be at least two networks, for one has nobody to disagree with; got {len(members)}"
        )
    if len({id(member) for member in members}) < len(members):
        raise ValueError("members must be different modules, but one is there twice: build each with its own seed")
    for number, member in enumerate(members):
        if not isinstance(member, nn.Module) or type(member) is not type(members[0]):
            raise TypeError(
                f"members must all be modules of one class; member 0 is a {type(members[0]).__name__}, "
                f"member {number} a {type(member).__name__}"
            )
        if member.training != members[0].training:
            raise ValueError("members must all be in training mode or all in evaluation mode; call .train() or .eval()")
    if not _tensors(members[0]):
        raise ValueError(f"members must have parameters, to differ in, but {type(members[0]).__name__} has none")
    forms = [{name: (tuple(t.shape), t.dtype, t.device) for name, t in _tensors(member).items()} for member in members]
    for number, form in enumerate(forms):
        if form != forms[0]:
            odd = sorted(name for name in form.keys() | forms[0].keys() if form.get(name) != forms[0].get(name))[0]
            raise ValueError(
                f"members must have tensors of the same names, shapes, types and devices; {odd!r} is "
                f"{forms[0].get(odd)} in member 0 and {form.get(odd)} in member {number}. Members differ in seeds only"
            )
    for number, member in enumerate(members):
        for (name, one), (_, other) in zip(members[0].named_modules(), member.named_modules(), strict=False):
            if type(one) is not type(other) or _settings(one) != _settings(other):
                raise ValueError(
                    f"members must have the same configuration; {name or type(one).__name__!r} differs in member 0 "
                    f"and {number}: {_settings(one)} and {_settings(other)}"
                )


def _settings(module: nn.Module) -> dict[str, object]:
    """What of a module decides what it computes, beside its tensors: numbers, names and flags."""
    return {name: value for name, value in vars(module).items() if isinstance(value, bool | int | float | str)}
