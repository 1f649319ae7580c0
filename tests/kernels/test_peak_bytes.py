"""Memory that compiled recurrences hold for themselves."""

import gc

import pytest
import torch
from threads import on

import liquidrnn as lr
from liquidrnn import kernels

pytestmark = pytest.mark.skipif(kernels.cpu is None, reason="the compiled module is not here")
LAYERS = [lr.LTC, lr.STC, lr.LRC, lr.LRCU, lr.CfC]


@pytest.fixture(autouse=True)
def one_thread():
    """Several hold as much as happens to be at the same time."""
    with on(1):
        yield


def training_step(layer, batch, time):
    layer(torch.zeros(batch, time, 5))[0].sum().backward()


@pytest.mark.parametrize("kind", LAYERS)
def test_workspace_does_not_grow_with_time_and_is_freed(kind):
    layer = kind(5, 24, batch_first=True)
    before = kernels.cpu.held_bytes()
    short, long = (kernels.peak_bytes(lambda time=time: training_step(layer, 40, time)) for time in (20, 200))
    assert 0 < short == long
    assert kernels.cpu.held_bytes() == before


def test_peak_bytes_of_an_ltcs_gradients():
    """So few units have a sequence in each lane: four sums in a vector for each synapse and strand."""
    layer = lr.LTC(5, 9, batch_first=True)
    width = {"avx512": 16, "avx2": 8}.get(kernels.cpu.instruction_set(), 4)
    sums = 4 * width * layer.num_synapses * 4
    found = [kernels.peak_bytes(lambda batch=strands * width: training_step(layer, batch, 2)) for strands in (2, 8)]
    assert 6 * sums < found[1] - found[0] < 6 * 1.1 * sums


@pytest.mark.parametrize("kind", LAYERS)
def test_a_stream_holds_workspace_until_it_is_deleted(kind):
    layer = kind(5, 24, batch_first=True)
    gc.disable()  # What other tests left is not freed meanwhile, and a stream needs no collector.
    try:
        before = kernels.cpu.held_bytes()
        streams = [lr.Stream(layer)]
        assert kernels.cpu.held_bytes() > before
        assert kernels.peak_bytes(lambda: streams[0](torch.zeros(5))) == 0
        streams.clear()
        assert kernels.cpu.held_bytes() == before
    finally:
        gc.enable()
