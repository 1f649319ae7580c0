"""The compiled module; `cpp/bindings.cpp` has the shapes that it checks."""

from collections.abc import Sequence
from typing import Any, TypeAlias

Array: TypeAlias = Any
"""A dense array on the CPU, or a DLPack capsule of one."""

Rows: TypeAlias = tuple[Array, Array, Array, Array | None, Array | None]
"""Values, initial state, timespans, present, reset."""

Synapses: TypeAlias = tuple[Array, Array, Sequence[Array]]
"""Sources, targets, and four parameters of each synapse."""

ElasticSynapses: TypeAlias = tuple[Synapses, Array | None]
Map: TypeAlias = tuple[Array | None, Array | None]
Form: TypeAlias = tuple[int, int, int, int, int]
"""Mode, activation, backbone units, backbone layers, numbers kept of a sample."""
CellForm: TypeAlias = tuple[int, int, int, int, int, int]
"""Kind, units, whether the span is an input, solver, its steps, numbers kept of a sample."""

interface: int

class Stream:
    def step(self, input: int, timespan: float | None, output: int) -> None: ...

class WideStream:
    def step(self, input: int, timespan: float | None, output: int) -> None: ...

def instruction_sets() -> list[str]: ...
def instruction_set() -> str: ...
def use(instruction_set: str) -> None: ...
def use_layout(layout: int) -> None: ...
def threading() -> str: ...
def suppose_cores(cores: int) -> None: ...
def had_threads() -> bool: ...
def sigmoids_per_second(repeats: int = 10000) -> float: ...
def cycles_per_second() -> float: ...
def held_bytes() -> int: ...
def peak_bytes() -> int: ...
def forget_peak() -> None: ...
def elementary(name: str, x: Array, result: Array) -> None: ...
def opened(t: Array, result: Array) -> None: ...
def ltc_forward(
    rows: Rows,
    membrane: Sequence[Array],
    internal: Synapses,
    sensory: Synapses,
    unfolds: int,
    threads: int,
    states: Array,
    kept: Array,
    /,
) -> None: ...
def ltc_backward(
    rows: Rows,
    membrane: Sequence[Array],
    internal: Synapses,
    sensory: Synapses,
    unfolds: int,
    threads: int,
    states: Array,
    kept: Array,
    upstream: Array,
    of_rows: tuple[Array, Array, Array],
    of_membrane: Sequence[Array],
    of_internal: Sequence[Array],
    of_sensory: Sequence[Array],
    /,
) -> None: ...
def ltc_stream(
    rows: Rows,
    membrane: Sequence[Array],
    internal: Synapses,
    sensory: Synapses,
    unfolds: int,
    input_map: Map,
    output_map: Map,
    outputs: int,
    /,
) -> Stream | WideStream: ...
def lrc_forward(
    rows: Rows,
    neurons: Sequence[Array | None],
    internal: ElasticSynapses,
    sensory: ElasticSynapses,
    explicit: bool,
    unfolds: int,
    threads: int,
    states: Array,
    kept: Array | None,
    /,
) -> None: ...
def lrc_backward(
    rows: Rows,
    neurons: Sequence[Array | None],
    internal: ElasticSynapses,
    sensory: ElasticSynapses,
    explicit: bool,
    unfolds: int,
    threads: int,
    states: Array,
    kept: Array,
    upstream: Array,
    of_rows: tuple[Array, Array, Array],
    of_neurons: Sequence[Array | None],
    of_internal: tuple[Sequence[Array], Array | None],
    of_sensory: tuple[Sequence[Array], Array | None],
    /,
) -> None: ...
def lrc_stream(
    rows: Rows,
    neurons: Sequence[Array | None],
    internal: ElasticSynapses,
    sensory: ElasticSynapses,
    explicit: bool,
    unfolds: int,
    input_map: Map,
    output_map: Map,
    outputs: int,
    /,
) -> Stream | WideStream: ...
def cfc_forward(
    rows: Rows,
    parameters: Sequence[Array | None],
    wiring: Sequence[Array | None],
    form: Form,
    threads: int,
    states: Array,
    kept: Array,
    /,
) -> None: ...
def cfc_backward(
    rows: Rows,
    parameters: Sequence[Array | None],
    wiring: Sequence[Array | None],
    form: Form,
    threads: int,
    states: Array,
    kept: Array,
    upstream: Array,
    of_rows: tuple[Array, Array, Array],
    of_parameters: Sequence[Array | None],
    /,
) -> None: ...
def cfc_stream(
    rows: Rows,
    parameters: Sequence[Array | None],
    wiring: Sequence[Array | None],
    form: Form,
    input_map: Map,
    output_map: Map,
    outputs: int,
    /,
) -> Stream | WideStream: ...
def gated_forward(
    rows: Rows,
    observed: Array | None,
    parameters: Sequence[Array | None],
    form: CellForm,
    threads: int,
    states: Array,
    kept: Array,
    /,
) -> None: ...
def gated_backward(
    rows: Rows,
    observed: Array | None,
    parameters: Sequence[Array | None],
    form: CellForm,
    threads: int,
    states: Array,
    kept: Array,
    upstream: Array,
    of_rows: tuple[Array | None, Array, Array | None],
    of_parameters: Sequence[Array | None],
    /,
) -> None: ...
def gated_stream(
    rows: Rows,
    observed: Array | None,
    parameters: Sequence[Array | None],
    form: CellForm,
    input_map: Map,
    output_map: Map,
    outputs: int,
    /,
) -> Stream | WideStream: ...
