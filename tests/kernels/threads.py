"""Numbers of threads."""

from contextlib import contextmanager

import torch


@contextmanager
def on(threads):
    """So many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
