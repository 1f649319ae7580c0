"""From ncps to here: a trained network, weights and all.

ncps is not imported: a module is recognised by the names of its classes and parts, which are those of ncps 1.0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from liquidrnn.layers.cfc import ACTIVATIONS, CfC, LeCunTanh, gates_apart
from liquidrnn.layers.ltc import LTC
from liquidrnn.recurrent import MixedMemory, Recurrence, RecurrentLayer, State
from liquidrnn.wirings import Wiring


def from_ncps(module: Any, *, compat: bool = False) -> RecurrentLayer | NcpsCompatible:
    """Makes the layer here that computes what an ncps module computes.

    Any ``ncps.torch.LTC`` or ``CfC`` of ncps 1.0: full or wired, all modes, mixed memory, projection, softplus or
    clipped parameters. Weights are copied, outputs and gradients agree. A wired CfC's ``wiring`` afterwards says what
    ncps really computed, not what its wiring promised: all units of a layer connected, gates that ignore the wiring.

    The result has this library's contract: ``h_n`` has a leading axis for levels, the state of a wired CfC is in the
    order of neuron numbers, all outputs are returned (``return_sequences=False`` kept only the last), and where ncps
    has a bug it is right: batched time spans, zero time spans, negative conductances of a network whose constraints
    were never applied. ``docs/from_ncps.md`` lists every difference, each with its test.

    Args:
        module: an ``ncps.torch.LTC`` or ``ncps.torch.CfC``.
        compat: return a module that reproduces those bugs and ncps' calling convention instead: state (batch, units),
            ``timespans`` positional, ``return_sequences`` kept.

    Returns:
        An LTC or CfC, or with ``compat`` a :class:`NcpsCompatible` around one.

    Raises:
        TypeError: the module is none of those, or one that ncps itself cannot run.

    Example:
        >>> import ncps.torch
        >>> old = ncps.torch.LTC(4, 8)
        >>> layer = from_ncps(old)
        >>> x = torch.randn(2, 10, 4)
        >>> torch.allclose(layer(x)[0], old(x)[0], atol=1e-6)
        True
    """
    cell = getattr(module, "rnn_cell", None)
    kinds = {"LTCCell": _ltc, "CfCCell": _cfc, "WiredCfCCell": _wired_cfc}
    convert = kinds.get(type(cell).__name__)
    if convert is None or not hasattr(module, "use_mixed"):
        raise TypeError(
            f"module must be an ncps.torch.LTC or ncps.torch.CfC, but got {type(module).__name__}; "
            "wrap a single cell in one of them first"
        )
    with torch.no_grad():
        layer = convert(module, cell, compat)
        if module.use_mixed:
            memory = layer.recurrences[0]
            assert isinstance(memory, MixedMemory)
            order = _evaluation_order(cell)
            rows = torch.cat([k * memory.hidden_size + order for k in range(4)])
            memory.weight_ih[rows] = module.lstm.input_map.weight
            memory.bias[rows] = module.lstm.input_map.bias
            memory.weight_hh[rows.unsqueeze(1), order] = module.lstm.recurrent_map.weight
        if isinstance(getattr(module, "fc", None), nn.Linear):
            assert layer.readout is not None
            layer.readout.load_state_dict(module.fc.state_dict())
    layer.train(module.training)
    return NcpsCompatible(layer, module, _evaluation_order(cell)) if compat else layer


class NcpsCompatible(nn.Module):
    """A converted network that behaves as ncps does, bugs included; made by ``from_ncps(module, compat=True)``.

    - A (batch, time) ``timespans`` loses its batch axis at each sample and is broadcast over the *units*: an error
      where the batch is neither 1 nor the number of units, another unit's time where it is.
    - A zero time span makes an LTC's state NaN.
    - Conductances are used as stored, so those of a network that never called ``apply_weight_constraints`` may be
      negative.
    - A CfC with a wiring of a single layer returns all units, whatever its number of outputs.

    Args:
        layer: the converted layer.
        module: the ncps module, for its calling convention.
        order: (units,) neuron number at each place of ncps' state.
    """

    def __init__(self, layer: RecurrentLayer, module: Any, order: Tensor):
        super().__init__()
        self.layer = layer
        self.batch_first, self.return_sequences = module.batch_first, module.return_sequences
        self.order: Tensor
        self.register_buffer("order", order, persistent=False)

    def forward(self, input: Tensor, hx: Tensor | State | None = None, timespans: Tensor | None = None):
        """Input (batch, time, features) or (time, features) to (output, state), as ncps has it."""
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
            state = recurrence.update(coefficients, x[:, t], state, span)
            if isinstance(self.layer, LTC):
                state = (torch.where(span == 0, torch.nan, state[0]), *state[1:])
            output = recurrence.readout(state[0])
            outputs.append(output if self.layer.readout is None else self.layer.readout(output))
        output = torch.stack(outputs, 1 - axis) if self.return_sequences else outputs[-1]
        state = tuple(s[:, self.order] for s in state)
        if not batched:
            output = output.squeeze(axis) if self.return_sequences else output.squeeze(0)
            state = tuple(s.squeeze(0) for s in state)
        (first, *others) = state
        return output, (first, *others) if others else first


def _evaluation_order(cell: Any) -> Tensor:
    """Neuron number at each place of the state of an ncps cell: a wired CfC keeps layers in order of evaluation."""
    if type(cell).__name__ == "WiredCfCCell":
        layers = [cell._wiring.get_neurons_of_layer(i) for i in range(cell._wiring.num_layers)]
        return torch.tensor([neuron for layer in layers for neuron in layer])
    return torch.arange(cell.state_size if hasattr(cell, "state_size") else cell.hidden_size)


def _common(module: Any) -> dict[str, Any]:
    parameter = next(module.parameters())
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


def _ltc(module: Any, cell: Any, compat: bool) -> RecurrentLayer:
    wiring = _copy_wiring(cell._wiring)
    layer = LTC(
        cell.sensory_size,
        wiring,
        ode_unfolds=cell._ode_unfolds,
        input_mapping=cell._input_mapping if cell._input_mapping in ("affine", "linear") else None,
        output_mapping=cell._output_mapping if cell._output_mapping in ("affine", "linear") else None,
        constraint="softplus" if cell._implicit_param_constraints else None if compat else "clamp",
        epsilon=cell._epsilon,
        **_common(module),
    )
    ours, theirs = _inner(layer), cell._params
    ours.raw_gleak.copy_(theirs["gleak"])
    ours.vleak.copy_(theirs["vleak"])
    ours.raw_cm.copy_(theirs["cm"])
    for prefix, synapses in (("", ours.synapses), ("sensory_", ours.sensory_synapses)):
        exists = (synapses.pre, synapses.post)
        synapses.sigma.copy_(theirs[prefix + "sigma"][exists])
        synapses.mu.copy_(theirs[prefix + "mu"][exists])
        getattr(ours, f"raw_{prefix}w").copy_(theirs[prefix + "w"][exists])
        getattr(ours, f"{prefix}erev").copy_(theirs[prefix + "erev"][exists])
    for side in ("input", "output"):
        mapping = getattr(ours, f"{side}_map")
        for ours_name, name in (("weight", f"{side}_w"), ("bias", f"{side}_b")):
            if name in theirs:
                getattr(mapping, ours_name).copy_(theirs[name])
    return layer


def _activation(backbone: nn.Sequential) -> str:
    found = type(backbone[1])
    if found.__name__ == "LeCun":
        found = LeCunTanh
    return next(name for name, kind in ACTIVATIONS.items() if kind is found)


def _cfc(module: Any, cell: Any, compat: bool) -> RecurrentLayer:
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
    ours = _inner(layer)
    for mine, theirs in zip((m for m in ours.backbone if isinstance(m, nn.Linear)), linears, strict=True):
        mine.load_state_dict(theirs.state_dict())
    if dropouts:
        # ncps never drops after the first layer of a backbone.
        ours.backbone[2] = nn.Identity()
    heads = _heads(cell)
    ours.heads.weight.copy_(torch.cat([head.weight for head in heads]))
    ours.heads.bias.copy_(torch.cat([head.bias for head in heads]))
    if cell.mode == "pure":
        ours.A.copy_(cell.A.squeeze(0))
        ours.w_tau.copy_(cell.w_tau.squeeze(0))
    return layer


def _heads(cell: Any) -> list[nn.Linear]:
    return [cell.ff1] if cell.mode == "pure" else [cell.ff1, cell.ff2, cell.time_a, cell.time_b]


def _wired_cfc(module: Any, cell: Any, compat: bool) -> RecurrentLayer:
    theirs = cell._wiring
    units, inputs = theirs.units, theirs.input_dim
    layers = [np.asarray(theirs.get_neurons_of_layer(i)) for i in range(theirs.num_layers)]
    if len(layers) == 1 and getattr(module, "proj_size", None) is not None and theirs.output_dim != units:
        raise TypeError(
            "module is a CfC with a wiring of one layer, fewer outputs than units and a projection, "
            "which ncps cannot run"
        )
    # Rows: inputs, then units. Within a layer ncps connects all; its gates also read whole layers.
    connections = np.concatenate([theirs.sensory_adjacency_matrix, np.zeros((units, units), np.int32)])
    gates = np.zeros_like(connections)
    sources = np.arange(inputs)
    for neurons in layers:
        connections[np.ix_(sources, neurons)] = np.concatenate(
            [theirs.sensory_adjacency_matrix, theirs.adjacency_matrix]
        )[np.ix_(sources, neurons)]
        connections[np.ix_(inputs + neurons, neurons)] = 1
        gates[np.ix_(sources, neurons)] = gates[np.ix_(inputs + neurons, neurons)] = 1
        sources = inputs + neurons
    outputs = units if compat and len(layers) == 1 else None
    wiring = _copy_wiring(
        theirs, outputs=outputs, adjacency=connections[inputs:], sensory_adjacency=connections[:inputs]
    )
    mode = cell._layers[0].mode
    layer = CfC(inputs, wiring, mode=mode, **_common(module))
    ours = _inner(layer)
    if mode != "pure":
        gates_apart(ours, gates)
    sources = np.arange(inputs)
    for neurons, part in zip(layers, cell._layers, strict=True):
        place = np.full(inputs + units, -1)
        place[sources] = np.arange(len(sources))
        place[inputs + neurons] = len(sources) + np.arange(len(neurons))
        row = np.full(units, -1)
        row[neurons] = np.arange(len(neurons))
        for number, head in enumerate(_heads(part)):
            synapses, weight = (
                (ours.synapses, ours.weight[number])
                if number < 2
                else (ours.gate_synapses, ours.gate_weight[number - 2])
            )
            chosen = np.isin(synapses.post.cpu().numpy(), neurons)
            pre, post = place[synapses.pre.cpu().numpy()[chosen]], row[synapses.post.cpu().numpy()[chosen]]
            weight[torch.from_numpy(chosen)] = head.weight[post, pre]
            ours.bias[number, neurons] = head.bias
        if mode == "pure":
            ours.A[neurons] = part.A.squeeze(0)
            ours.w_tau[neurons] = part.w_tau.squeeze(0)
        sources = inputs + neurons
    return layer
