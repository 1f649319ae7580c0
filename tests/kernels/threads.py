"""Numbers of threads."""

from contextlib import contextmanager

import torch

from liquidrnn import kernels


@contextmanager
def on(threads):
    """So many threads for a while, as if there were as many cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    if kernels.cpu is not None:
        kernels.cpu.suppose_cores(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        if kernels.cpu is not None:
            kernels.cpu.suppose_cores(0)
