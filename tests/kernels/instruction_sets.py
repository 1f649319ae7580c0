"""The instruction sets that this processor has, one after another."""

from contextlib import contextmanager

from liquidrnn import kernels

SETS = [] if kernels.cpu is None else kernels.cpu.instruction_sets()


@contextmanager
def using(name):
    """Another instruction set for a while, named by what fails there."""
    assert kernels.cpu is not None
    before = kernels.cpu.instruction_set()
    kernels.cpu.use(name)
    try:
        yield
    except AssertionError as error:
        error.add_note(f"instruction set: {name}")
        raise
    finally:
        kernels.cpu.use(before)
