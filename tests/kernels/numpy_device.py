"""A device whose memory is NumPy arrays, and a kernel for it: what a file for a new device has to hold.

Run by itself, since torch can be given one device of this kind in a process.
"""

import numpy as np
import torch
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from liquidrnn import kernels
from liquidrnn.kernels import cfc
from liquidrnn.kernels.operator import Kernel

_setup_privateuseone_for_python_backend("npy")


_arrays = {}  # by storage, which tensors share that torch makes of one another


def held(array):
    """A tensor whose numbers are in an array."""
    tensor = torch._C._acc.create_empty_tensor(array.shape, torch.from_numpy(np.empty(0, array.dtype)).dtype)
    storage = tensor.untyped_storage()
    _arrays[storage._cdata] = array, storage
    return tensor


def array_of(tensor):
    return _arrays[tensor.untyped_storage()._cdata][0]


def is_held(part):
    return isinstance(part, torch.Tensor) and part.device.type == "npy"


def implemented(name):
    return torch.library.impl(f"aten::{name}", "privateuseone")


@implemented("empty.memory_format")
def empty(size, *, dtype=None, layout=None, device=None, pin_memory=None, memory_format=None):
    return held(np.empty(size, torch.empty(0, dtype=dtype).numpy().dtype))


@implemented("empty_strided")
def empty_strided(size, stride, *, dtype=None, layout=None, device=None, pin_memory=None):
    return empty(size, dtype=dtype)


@implemented("as_strided")
def as_strided(tensor, size, stride, storage_offset=None):
    whole, each = array_of(tensor).reshape(-1)[storage_offset or 0 :], array_of(tensor).itemsize
    return held(np.lib.stride_tricks.as_strided(whole, size, [each * step for step in stride]))


@implemented("detach")
def detach(tensor):
    return held(array_of(tensor))


@implemented("zero_")
def zero(tensor):
    array_of(tensor)[...] = 0
    return tensor


@implemented("_copy_from")
def copy(source, target, non_blocking=False):
    if is_held(target):
        array_of(target)[...] = array_of(source) if is_held(source) else source.detach().numpy()
    else:
        target.copy_(torch.from_numpy(np.ascontiguousarray(array_of(source))))
    return target


# The kernel: it takes the reference's arithmetic on the same memory, and keeps a number for each sample to be seen.


def on_cpu(group):
    """The arrays of a group as tensors of the CPU, without a copy."""
    moved = [torch.from_numpy(array_of(part)) if is_held(part) else part for part in group]
    return type(group)(*moved)


def forward(inputs, initial, network, states, kept):
    found = cfc.reference.unroll(on_cpu(inputs), torch.from_numpy(array_of(initial)), on_cpu(network))
    array_of(states)[...] = found.detach().numpy()
    array_of(kept)[...] = 7


def backward(inputs, initial, network, states, kept, upstream, gradients):
    assert (array_of(kept) == 7).all() and array_of(kept).size
    inputs, start, network = on_cpu(inputs), torch.from_numpy(array_of(initial)), on_cpu(network)
    of = [inputs.values, start, inputs.timespans, *(p for p in network if isinstance(p, torch.Tensor))]
    of = [tensor.requires_grad_() for tensor in of if tensor.is_floating_point()]
    filled = [gradients.inputs.values, gradients.initial, gradients.inputs.timespans]
    filled += [part for part in gradients.equation if is_held(part)]
    with torch.enable_grad():
        states = cfc.reference.unroll(inputs, start, network)
        found = torch.autograd.grad(states, of, torch.from_numpy(array_of(upstream)), materialize_grads=True)
    for to, gradient in zip(filled, found, strict=True):
        array_of(to)[...] = gradient.numpy()


kernels.add_backend("npy", lambda: "NumPy arrays, for tests")
cfc.operator.register("npy", Kernel(lambda inputs, initial, network: 1, forward, backward, dtypes=(torch.float32,)))


def check():
    """The operator on this device against the operator on the CPU, with what is made of masks and episodes."""
    import liquidrnn as lr

    assert lr.backends()["npy"] == "NumPy arrays, for tests"
    layer = lr.CfC(3, 4, mode="pure", backbone_layers=2, backbone_units=5, generator=torch.Generator().manual_seed(0))
    network = layer.recurrences[0].coefficients()
    g = torch.Generator().manual_seed(1)
    flags = (torch.rand(2, 6, 1, generator=g) < share for share in (0.7, 0.3))
    inputs = kernels.loop.Inputs(torch.randn(2, 6, 3, generator=g), torch.rand(2, 6, 1, generator=g))
    inputs = inputs._replace(present=next(flags), reset=next(flags))
    initial, upstream = torch.randn(2, 4, generator=g), torch.randn(2, 6, 4, generator=g)

    def leaves(group):
        return [part for part in group if isinstance(part, torch.Tensor) and part.is_floating_point()]

    results = []
    for device in ("cpu", "npy"):

        def put(part, device=device):
            if not isinstance(part, torch.Tensor):
                return part
            part = part.detach().clone()
            part = part if device == "cpu" else held(part.numpy().copy())
            return part.requires_grad_() if part.is_floating_point() else part

        moved, start, changed = inputs.mapped(put), put(initial), type(network)(*map(put, network))
        states = cfc.operator(moved, start, changed, None if device == "cpu" else "npy")
        assert states.device.type == device
        states.backward(upstream if device == "cpu" else held(upstream.numpy()))
        gradients = [part.grad for part in (*leaves(moved), start, *leaves(changed))]
        results.append([array_of(t) if is_held(t) else t.detach().numpy() for t in (states, *gradients)])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-6)
    # A type of numbers that the kernel does not take is the reference's affair, or refused by name.
    double = held(np.zeros((2, 4)))
    assert cfc.operator._kernel(None, double) is None
    try:
        cfc.operator._kernel("npy", double)
    except RuntimeError as error:
        message = str(error)
    assert "backend='npy' needs" in message
    print("agree")


if __name__ == "__main__":
    check()
