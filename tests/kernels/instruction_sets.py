"""The instruction sets that this processor has, and the layouts of a kernel, one after another."""

from contextlib import contextmanager

from liquidrnn import kernels

LAYOUTS = {"batch in lanes": 1, "units in lanes": 2}
"""A sequence in each lane of a vector, or a unit in each."""
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


@contextmanager
def laid_out(name):
    """Another layout for a while, named by what fails there."""
    assert kernels.cpu is not None
    kernels.cpu.use_layout(LAYOUTS[name])
    try:
        yield
    except AssertionError as error:
        error.add_note(f"layout: {name}")
        raise
    finally:
        kernels.cpu.use_layout(0)
