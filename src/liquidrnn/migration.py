"""Converts trained networks of ncps, with their weights.

ncps is not imported: modules are recognised by the names of classes and attributes in ncps 1.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from liquidrnn.kernels.loop import Inputs, State
from liquidrnn.kernels.lstm_cell import lstm_cell
from liquidrnn.layers.cfc import ACTIVATIONS, CfC, LeCunTanh, gates_apart
from liquidrnn.layers.ltc import LTC
from liquidrnn.recurrence import FusedRecurrence, MixedMemory, Recurrence
from liquidrnn.recurrent import RecurrentLayer
from liquidrnn.wirings import Wiring

Origins: TypeAlias = list[tuple[Tensor, list[Tensor]]]
"""Parameters of a layer, each with the ncps parameters whose values it was given."""


def from_ncps(module: Any, *, compat: bool = False) -> RecurrentLayer | NcpsCompatible:
    """Converts an ncps module to a layer that computes the same.

    It accepts any ``ncps.torch.LTC`` or ``CfC`` of ncps 1.0: full or wired, all modes, mixed memory, projection,
    softplus or clipped parameters. Weights are copied, outputs and gradients agree, and frozen parameters stay frozen.
    Synapses are those of the module's sparsity masks, which it computes with; a state dict that was loaded may have
    replaced those of the wiring that the module was built with. An LTC's ``wiring`` has the signs of the reversal
    potentials. A wired CfC's is what ncps really computes, not what its wiring specifies: all units of a layer are
    connected, and gates ignore the wiring.

    The result has this library's interface: ``h_n`` has a leading axis for layers, the state of a wired CfC is in the
    order of neuron numbers, and all outputs are returned (``return_sequences=False`` kept only the last). Bugs of ncps
    are fixed: batched time spans, zero time spans, and negative conductances of a network whose constraints were never
    applied. ``docs/from_ncps.md`` lists every difference with its test.

    Args:
        module: an ``ncps.torch.LTC`` or ``ncps.torch.CfC``.
        compat: return a module that reproduces those bugs and ncps' calling convention instead: state (batch, units),
            ``timespans`` positional, ``return_sequences`` kept.

    Returns:
        An LTC or CfC, or with ``compat`` a :class:`NcpsCompatible` around one.

    Raises:
        TypeError: the module is not one of these, was customised (overridden methods, hooks, replaced modules), or is
            one that ncps itself cannot run.
        ValueError: the module's parameters cannot be converted: it computes with others than it saves, only some of
            those that become one parameter here are frozen, or they are on the meta device.

    Example:
        >>> import ncps.torch
        >>> old = ncps.torch.LTC(4, 8)
        >>> layer = from_ncps(old)
        >>> x = torch.randn(2, 10, 4)
        >>> torch.allclose(layer(x)[0], old(x)[0], atol=1e-6)
        True
    """
    cell = getattr(module, "rnn_cell", None)
    convert = {"LTCCell": _ltc, "CfCCell": _cfc, "WiredCfCCell": _wired_cfc}.get(_of_ncps(cell).__name__)
    if convert is None or not hasattr(module, "use_mixed"):
        raise TypeError(
            f"module must be an ncps.torch.LTC or ncps.torch.CfC, but got {type(module).__name__}; "
            "wrap a single cell in one of them first"
        )
    for name, part in module.named_modules():
        _check_part(f"module.{name}" if name else "module", part)
    with torch.no_grad():
        layer, origins = convert(module, cell, compat)
        if module.use_mixed:
            memory = layer.recurrences[0]
            assert isinstance(memory, MixedMemory)
            order = _evaluation_order(cell).to(memory.bias.device)
            rows = torch.cat([k * memory.hidden_size + order for k in range(4)])
            memory.weight_ih[rows] = module.lstm.input_map.weight
            memory.bias[rows] = module.lstm.input_map.bias
            memory.weight_hh[rows.unsqueeze(1), order] = module.lstm.recurrent_map.weight
            origins += [
                (memory.weight_ih, [module.lstm.input_map.weight]),
                (memory.bias, [module.lstm.input_map.bias]),
                (memory.weight_hh, [module.lstm.recurrent_map.weight]),
            ]
        if isinstance(getattr(module, "fc", None), nn.Linear):
            assert layer.readout is not None
            origins += _copy_linear(layer.readout, module.fc)
    _freeze(layer, module, origins)
    layer.train(module.training)
    return NcpsCompatible(layer, module, _evaluation_order(cell)) if compat else layer


class NcpsCompatible(nn.Module):
    """A converted network that behaves as ncps does, bugs included; made by ``from_ncps(module, compat=True)``.

    - A (batch, time) ``timespans`` loses its batch axis at each sample and is broadcast over the *units*: an error
      unless the batch is 1 or the number of units, and wrong time spans in the latter case.
    - A zero time span makes an LTC's state NaN.
    - Conductances are used as stored, so they may be negative if ``apply_weight_constraints`` was never called.
    - A CfC with a wiring of a single layer returns all units, whatever its number of outputs.

    Args:
        layer: the converted layer.
        module: the ncps module, for its calling convention.
        order: (units,) neuron number at each index of ncps' state.
    """

    def __init__(self, layer: RecurrentLayer, module: Any, order: Tensor):
        super().__init__()
        self.layer = layer
        self.batch_first, self.return_sequences = module.batch_first, module.return_sequences
        self.order: Tensor
        self.register_buffer("order", order, persistent=False)

    def forward(self, input: Tensor, hx: Tensor | State | None = None, timespans: Tensor | None = None):
        """Input (batch, time, features) or (time, features) to (output, state), as in ncps."""
        batched = input.ndim == 3
        axis = 0 if self.batch_first else 1
        if not batched:
            input = input.unsqueeze(axis)
            timespans = None if timespans is None else timespans.unsqueeze(axis)
        x = input if self.batch_first else input.transpose(0, 1)
        recurrence = self.layer.recurrences[0]
        if hx is None:
            state: State = tuple(x.new_zeros(len(x), size) for size in recurrence.state_sizes)
        else:
            given = (hx,) if isinstance(hx, Tensor) else hx
            state = tuple((s if batched else s.unsqueeze(0))[:, self.order.argsort()] for s in given)
        coefficients = recurrence.coefficients()
        outputs = []
        for t in range(x.shape[1]):
            span = x.new_ones(()) if timespans is None else timespans.select(1 - axis, t).squeeze()
            inputs = Inputs(x[:, t], span)
            state = _updated(recurrence, coefficients, inputs, state)
            if isinstance(self.layer, LTC):
                state = (torch.where(span == 0, torch.nan, state[0]), *state[1:])
            output = recurrence.output(inputs, state)
            outputs.append(output if self.layer.readout is None else self.layer.readout(output))
        output = torch.stack(outputs, 1 - axis) if self.return_sequences else outputs[-1]
        state = tuple(s[:, self.order] for s in state)
        if not batched:
            output = output.squeeze(axis) if self.return_sequences else output.squeeze(0)
            state = tuple(s.squeeze(0) for s in state)
        (first, *others) = state
        return output, (first, *others) if others else first


def _updated(recurrence: Recurrence, coefficients: tuple[Any, ...], inputs: Inputs, state: State) -> State:
    """:meth:`Recurrence.update` with a span that broadcasts with the state, () or (units,)."""
    if isinstance(recurrence, FusedRecurrence) and recurrence.fused():
        values, span = recurrence.sense(inputs.values).unsqueeze(1), inputs.timespans.reshape(1, 1, -1)
        initial = torch.cat(state, -1)
        states = recurrence.operator.reference(Inputs(values, span), initial, coefficients)
        return tuple(states.squeeze(1).split(recurrence.state_sizes, -1))
    if isinstance(recurrence, MixedMemory):
        h, c = lstm_cell(recurrence.cell, inputs.values, *state)
        return *_updated(recurrence.inner, coefficients, inputs, (h,)), c
    return recurrence.update(coefficients, inputs, state)


def _evaluation_order(cell: Any) -> Tensor:
    """Neuron number at each index of an ncps cell's state; a wired CfC keeps layers in order of evaluation."""
    if type(cell).__name__ == "WiredCfCCell":
        layers = [cell._wiring.get_neurons_of_layer(i) for i in range(cell._wiring.num_layers)]
        return torch.tensor([neuron for layer in layers for neuron in layer])
    return torch.arange(cell.state_size if hasattr(cell, "state_size") else cell.hidden_size)


# Methods and properties that determine what an ncps module computes.
_COMPUTING = {"forward", "__call__", "_map_inputs", "_map_outputs", "_ode_solver", "_sigmoid"} | {
    "state_size", "sensory_size", "motor_size", "layer_sizes", "num_layers"
}  # fmt: skip
_NCPS = {"LTC", "CfC", "LTCCell", "CfCCell", "WiredCfCCell", "LSTMCell", "LeCun"}


def _of_ncps(part: object) -> type:
    """The class of ncps or torch that a module is an instance of; object if there is none."""
    ancestors = type(part).__mro__[::-1]
    known = (kind for kind in ancestors if kind.__name__ in _NCPS)
    torchs = [kind for kind in ancestors if kind.__module__.startswith("torch.nn.modules.") and kind is not nn.Module]
    return next(known, torchs[-1] if torchs else object)


def _check_part(name: str, part: nn.Module) -> None:
    """Raises unless a submodule computes what its class of ncps or torch does."""
    kind = _of_ncps(part)
    subclasses = type(part).__mro__[: type(part).__mro__.index(kind)]
    changed = sorted(_COMPUTING & {key for subclass in subclasses for key in vars(subclass)})
    changed += ["forward"] if "forward" in vars(part) else []
    hooks = (part._forward_hooks, part._forward_pre_hooks, part._backward_hooks, part._backward_pre_hooks)
    if is_parametrized(part):
        why = "has parametrizations, which the layer would not have (remove_parametrizations() leaves their values)"
    elif kind is object:
        why = f"is a {type(part).__name__}, of neither ncps nor torch.nn"
    elif changed:
        why = f"is a {type(part).__name__} with a {changed[0]} of its own"
    elif any(hooks):
        why = "has hooks, which the layer would not have (prune.remove() and the like leave their values)"
    else:
        return
    raise TypeError(
        f"{name} {why}, so what it computes cannot be told from ncps: convert a plain ncps.torch.LTC or CfC with its "
        "state dict, and add what is your own to the layer"
    )


def _freeze(layer: RecurrentLayer, module: nn.Module, origins: Origins) -> None:
    """Freezes the layer's parameters that are frozen in the module."""
    for parameter, sources in origins:
        trained = [source.requires_grad for source in sources]
        if any(trained) != all(trained):
            names = {id(value): name for name, value in module.named_parameters()}
            some = [names.get(id(sources[trained.index(wanted)]), "one") for wanted in (False, True)]
            (mine,) = (name for name, value in layer.named_parameters() if value is parameter)
            raise ValueError(
                f"{some[0]} of the module is frozen and {some[1]} is not, but in the layer they are one parameter, "
                f"{mine}: freeze both or none with requires_grad_()"
            )
        parameter.requires_grad_(all(trained))


def _copy_linear(ours: nn.Linear, theirs: nn.Linear) -> Origins:
    ours.weight.copy_(theirs.weight)
    ours.bias.copy_(theirs.bias)
    return [(ours.weight, [theirs.weight]), (ours.bias, [theirs.bias])]


def _common(module: Any) -> dict[str, Any]:
    parameter = next(module.parameters())
    if parameter.is_meta:
        raise ValueError(
            "module is on the meta device, where parameters have no values: load a state dict into a module on the CPU"
        )
    return {
        "batch_first": module.batch_first,
        "output_size": getattr(module, "proj_size", None),
        "mixed_memory": module.use_mixed,
        "device": parameter.device,
        "dtype": parameter.dtype,
    }


def _inner(layer: RecurrentLayer) -> Any:
    recurrence: Recurrence = layer.recurrences[0]
    return recurrence.inner if isinstance(recurrence, MixedMemory) else recurrence


def _copy_wiring(wiring: Any, *, outputs: int | None = None, **changes: Any) -> Wiring:
    layers = [np.asarray(wiring.get_neurons_of_layer(i)) for i in range(wiring.num_layers)]
    kinds = [wiring.get_type_of_neuron(i) for i in range(wiring.units)]
    arguments = {
        "adjacency": wiring.adjacency_matrix,
        "sensory_adjacency": wiring.sensory_adjacency_matrix,
    } | changes
    return Wiring(outputs=outputs or wiring.output_dim, kinds=kinds, layers=layers, **arguments)


def _ltc(module: Any, cell: Any, compat: bool) -> tuple[RecurrentLayer, Origins]:
    common, theirs = _common(module), cell._params
    for name, used in theirs.items():
        saved = getattr(cell, name, None)
        if saved is not used and not (isinstance(saved, Tensor) and not used.is_meta and torch.equal(saved, used)):
            raise ValueError(
                f"module computes with another {name} than its state dict has, since ncps holds parameters twice and "
                "load_state_dict(assign=True), to_empty() and the like change one: load into a module on the CPU, "
                "without assign"
            )
    adjacency = {
        prefix: _signed(f"{prefix}sparsity_mask", theirs[prefix + "sparsity_mask"], theirs[prefix + "erev"])
        for prefix in ("", "sensory_")
    }
    layer = LTC(
        cell.sensory_size,
        _copy_wiring(cell._wiring, adjacency=adjacency[""], sensory_adjacency=adjacency["sensory_"]),
        ode_unfolds=cell._ode_unfolds,
        input_mapping=cell._input_mapping if cell._input_mapping in ("affine", "linear") else None,
        output_mapping=cell._output_mapping if cell._output_mapping in ("affine", "linear") else None,
        constraint="softplus" if cell._implicit_param_constraints else None if compat else "clamp",
        epsilon=cell._epsilon,
        **common,
    )
    ours = _inner(layer)
    pairs = [(ours.raw_gleak, "gleak"), (ours.vleak, "vleak"), (ours.raw_cm, "cm")]
    for prefix, synapses in (("", ours.synapses), ("sensory_", ours.sensory_synapses)):
        pairs += [(synapses.sigma, prefix + "sigma"), (synapses.mu, prefix + "mu")]
        pairs += [(getattr(ours, f"raw_{prefix}w"), prefix + "w"), (getattr(ours, f"{prefix}erev"), prefix + "erev")]
    for side in ("input", "output"):
        mapping = getattr(ours, f"{side}_map")
        pairs += [(mapping.weight, f"{side}_w")] if f"{side}_w" in theirs else []
        pairs += [(mapping.bias, f"{side}_b")] if f"{side}_b" in theirs else []
    for parameter, name in pairs:
        values = theirs[name]
        if values.ndim == 2:
            synapses = ours.sensory_synapses if name.startswith("sensory_") else ours.synapses
            values = values[synapses.pre, synapses.post]
        parameter.copy_(values)
    return layer, [(parameter, [theirs[name]]) for parameter, name in pairs]


def _signed(name: str, mask: Tensor, signs: Tensor) -> np.ndarray:
    """The matrix of a wiring from a mask, with a sign for each synapse."""
    if not bool(((mask == 0) | (mask == 1)).all()):
        raise ValueError(f"{name} must be 0 or 1 everywhere, as ncps makes it, but holds other values")
    return torch.where(mask == 0, 0, torch.where(signs < 0, -1, 1)).cpu().numpy()


def _activation(backbone: nn.Sequential) -> str:
    found = type(backbone[1])
    if found.__name__ == "LeCun":
        found = LeCunTanh
    return next(name for name, kind in ACTIVATIONS.items() if kind is found)


def _cfc(module: Any, cell: Any, compat: bool) -> tuple[RecurrentLayer, Origins]:
    if cell.sparsity_mask is not None:
        raise TypeError(
            "module is a CfC without a wiring whose cell has a sparsity_mask: build ncps.torch.CfC with a wiring"
        )
    linears = [m for m in cell.backbone or [] if isinstance(m, nn.Linear)]
    dropouts = [m.p for m in cell.backbone or [] if isinstance(m, nn.Dropout)]
    backbone = {}
    if linears:
        backbone = {
            "activation": _activation(cell.backbone),
            "backbone_units": linears[0].out_features,
            "backbone_dropout": dropouts[0] if dropouts else None,
        }
    layer = CfC(
        module.input_size,
        cell.hidden_size,
        mode=cell.mode,
        backbone_layers=len(linears),
        **backbone,
        **_common(module),
    )
    ours, origins = _inner(layer), []
    for mine, theirs in zip((m for m in ours.backbone if isinstance(m, nn.Linear)), linears, strict=True):
        origins += _copy_linear(mine, theirs)
    if dropouts:
        # ncps has no dropout after the first layer of a backbone.
        ours.backbone[2] = nn.Identity()
    heads = _heads(cell)
    for name in ("weight", "bias"):
        theirs = [getattr(head, name) for head in heads]
        getattr(ours.heads, name).copy_(torch.cat(theirs))
        origins.append((getattr(ours.heads, name), theirs))
    for name in ("A", "w_tau") if cell.mode == "pure" else ():
        getattr(ours, name).copy_(getattr(cell, name).squeeze(0))
        origins.append((getattr(ours, name), [getattr(cell, name)]))
    return layer, origins


def _heads(cell: Any) -> list[nn.Linear]:
    return [cell.ff1] if cell.mode == "pure" else [cell.ff1, cell.ff2, cell.time_a, cell.time_b]


def _wired_cfc(module: Any, cell: Any, compat: bool) -> tuple[RecurrentLayer, Origins]:
    theirs, common = cell._wiring, _common(module)
    units, inputs = theirs.units, theirs.input_dim
    layers = [np.asarray(theirs.get_neurons_of_layer(i)) for i in range(theirs.num_layers)]
    if len(layers) == 1 and getattr(module, "proj_size", None) is not None and theirs.output_dim != units:
        raise TypeError(
            "module is a CfC with a wiring of one layer, fewer outputs than units and a projection, "
            "which ncps cannot run"
        )
    for number, part in enumerate(cell._layers):
        if getattr(cell, f"layer_{number}", None) is not part:
            raise ValueError(
                f"module computes with another layer_{number} than its state dict has, since ncps holds layers twice: "
                "replace it in rnn_cell._layers too"
            )
    # Rows: inputs, then units. ncps connects all units within a layer, and its gates read whole layers.
    signs = np.concatenate([theirs.sensory_adjacency_matrix, theirs.adjacency_matrix])
    connections, gates = np.zeros_like(signs), np.zeros_like(signs)
    for place, part in _places(cell, layers):
        connections[place] = np.where(part.sparsity_mask.cpu().numpy().T == 0, 0, np.where(signs[place] < 0, -1, 1))
        gates[place] = 1
    outputs = units if compat and len(layers) == 1 else None
    wiring = _copy_wiring(
        theirs, outputs=outputs, adjacency=connections[inputs:], sensory_adjacency=connections[:inputs]
    )
    mode = cell._layers[0].mode
    layer = CfC(inputs, wiring, mode=mode, **common)
    ours = _inner(layer)
    if mode != "pure":
        gates_apart(ours, gates)
    kinds = [(ours.synapses, ours.weight, slice(2))]
    kinds += [] if ours.gate_synapses is None else [(ours.gate_synapses, ours.gate_weight, slice(2, 4))]
    for synapses, weight, heads in kinds:
        for head in range(len(weight)):
            dense = weight.new_zeros(inputs + units, units)
            for place, part in _places(cell, layers):
                theirs = _heads(part)[heads][head].weight
                dense[place] = (theirs * part.sparsity_mask if weight is ours.weight else theirs).T
            weight[head] = dense[synapses.pre, synapses.post]
    for neurons, part in zip(layers, cell._layers, strict=True):
        for number, head in enumerate(_heads(part)):
            ours.bias[number, neurons] = head.bias
        for name in ("A", "w_tau") if mode == "pure" else ():
            getattr(ours, name)[neurons] = getattr(part, name).squeeze(0)
    heads = [_heads(part) for part in cell._layers]
    origins = [
        (ours.weight, [head.weight for some in heads for head in some[:2]]),
        (ours.bias, [head.bias for some in heads for head in some]),
    ]
    if ours.gate_weight is not None:
        origins.append((ours.gate_weight, [head.weight for some in heads for head in some[2:]]))
    for name in ("A", "w_tau") if mode == "pure" else ():
        origins.append((getattr(ours, name), [getattr(part, name) for part in cell._layers]))
    return layer, origins


def _places(cell: Any, layers: list[np.ndarray]) -> Iterator[tuple[tuple[np.ndarray, ...], Any]]:
    """The layers of a wired cell, each with the index of its weights in a matrix (inputs and units, units)."""
    inputs = cell._wiring.input_dim
    sources = np.arange(inputs)
    for neurons, part in zip(layers, cell._layers, strict=True):
        yield np.ix_(np.concatenate([sources, inputs + neurons]), neurons), part
        sources = inputs + neurons
