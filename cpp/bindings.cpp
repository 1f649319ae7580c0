// The module liquidrnn.kernels._cpu: the only file that knows Python.
//
// Arrays come in groups, as tuples. What is wrong with their shapes or indices is said here, so that kernels can trust
// them.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels.hpp"
#include "memory.hpp"
#include "threads.hpp"

namespace nb = nanobind;
using namespace liquid;

namespace {

double cycles_per_second() {
    constexpr std::int64_t rounds = 1'000'000, additions = 8;
    std::uint64_t sum = 1, step = 3;
    const auto start = std::chrono::steady_clock::now();
    for (std::int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 8
        for (int n = 0; n < additions; ++n) {
            sum += step;
            asm volatile("" : "+r"(sum), "+r"(step));  // each waits for the one before; none is folded into another
        }
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    return rounds * additions / seconds.count();
}

template <class T, int... Rank>
using In = nb::ndarray<const T, nb::ndim<Rank>..., nb::c_contig, nb::device::cpu>;
template <class T, int... Rank>
using Out = nb::ndarray<T, nb::ndim<Rank>..., nb::c_contig, nb::device::cpu>;
template <class T>
using MaybeIn = std::optional<In<T, 1>>;
template <class T>
using MaybeOut = std::optional<Out<T, 1>>;
using Indices = In<std::int64_t, 1>;

// input, initial, timespans, present, reset
template <class T>
using Data = std::tuple<In<T, 3>, In<T, 2>, In<T, 3>, std::optional<In<bool, 3>>, std::optional<In<bool, 3>>>;
template <class T>
using DataGradients = std::tuple<Out<T, 3>, Out<T, 2>, Out<T, 3>>;
// pre, post, and sigma, mu, w, w_erev
template <class T>
using SynapseArrays = std::tuple<Indices, Indices, std::array<In<T, 1>, 4>>;
template <class T>
using SynapseOutputs = std::array<Out<T, 1>, 4>;

void expect(bool right, const char* what) {
    if (!right) throw std::invalid_argument(what);
}

constexpr const char* kWrongGradient = "a gradient must have the shape of its argument";

template <class Array>
auto data_or_null(const Array& array) {
    return array ? array->data() : nullptr;
}

// The layout that kernels take; tests choose one.
Layout layout = Layout::fastest;

template <class T>
Sequences<T> sequences(const Data<T>& data, std::int64_t unfolds, int threads) {
    const auto& [input, initial, timespans, present, reset] = data;
    const std::size_t batch = input.shape(0), time = input.shape(1);
    expect(initial.shape(0) == batch, "initial must have the batch of input");
    const auto of_samples = [&](const auto& array) {
        return array.shape(0) == batch && array.shape(1) == time && array.shape(2) == 1;
    };
    expect(of_samples(timespans) && (!present || of_samples(*present)) && (!reset || of_samples(*reset)),
           "timespans, present and reset must be (batch, time, 1)");
    expect(unfolds > 0, "unfolds must be positive");
    return {static_cast<std::int64_t>(batch),
            static_cast<std::int64_t>(time),
            static_cast<std::int64_t>(input.shape(2)),
            static_cast<std::int64_t>(initial.shape(1)),
            unfolds,
            input.data(),
            initial.data(),
            timespans.data(),
            reinterpret_cast<const std::uint8_t*>(data_or_null(present)),
            reinterpret_cast<const std::uint8_t*>(data_or_null(reset)),
            affordable(threads),
            layout};
}

// Of every sample a state as wide as the initial one.
template <class T, class States>
void expect_states(const Data<T>& data, const States& states) {
    const auto& [input, initial, timespans, present, reset] = data;
    expect(states.size() == timespans.size() * initial.shape(1), "states must be (batch, time, units)");
}

// The same where gradients of input and timespans may be left out.
template <class T>
using SomeDataGradients = std::tuple<std::optional<Out<T, 3>>, Out<T, 2>, std::optional<Out<T, 3>>>;

template <class T>
void expect_gradients(const Data<T>& data, const SomeDataGradients<T>& gradients) {
    const auto& [of_input, of_initial, of_timespans] = gradients;
    expect((!of_input || of_input->size() == std::get<0>(data).size()) &&
               of_initial.size() == std::get<1>(data).size() &&
               (!of_timespans || of_timespans->size() == std::get<2>(data).size()),
           kWrongGradient);
}

template <class T>
void expect_gradients(const Data<T>& data, const DataGradients<T>& gradients) {
    const auto& [of_input, of_initial, of_timespans] = gradients;
    expect_gradients(data, SomeDataGradients<T>{of_input, of_initial, of_timespans});
}

template <class T>
Synapses<T> synapses(std::int64_t sources, std::int64_t targets, const SynapseArrays<T>& synapses) {
    const auto& [pre, post, arrays] = synapses;
    const std::size_t count = pre.shape(0);
    expect(post.shape(0) == count, "pre and post must have the same length");
    for (const auto& array : arrays) expect(array.shape(0) == count, "sigma, mu, w, w_erev must be as long as pre");
    for (std::size_t s = 0; s < count; ++s) {
        expect(static_cast<std::uint64_t>(pre.data()[s]) < static_cast<std::uint64_t>(sources),
               "pre must be indices of sources");
        expect(static_cast<std::uint64_t>(post.data()[s]) < static_cast<std::uint64_t>(targets),
               "post must be indices of units");
    }
    return {sources,          targets,          static_cast<std::int64_t>(count), pre.data(), post.data(),
            arrays[0].data(), arrays[1].data(), arrays[2].data(),                 arrays[3].data()};
}

template <class T>
SynapseGradients<T> gradients_of(const SynapseOutputs<T>& outputs, const SynapseArrays<T>& synapses) {
    for (const auto& output : outputs) expect(output.shape(0) == std::get<0>(synapses).shape(0), kWrongGradient);
    return {outputs[0].data(), outputs[1].data(), outputs[2].data(), outputs[3].data()};
}

// The instruction sets this processor has, the fastest first.
std::vector<const Kernels*> available() {
    std::vector<const Kernels*> found;
#if defined(LIQUID_X86)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")) {
        found.push_back(&avx512_kernels);
    }
    if (avx2) found.push_back(&avx2_kernels);
#endif
    found.push_back(&portable_kernels);
    return found;
}

const Kernels* chosen = available().front();

template <class T>
const Table<T>& table() {
    if constexpr (std::is_same_v<T, float>) {
        return chosen->single;
    } else {
        return chosen->wide;
    }
}

// cm, leak_drive, leak
template <class T>
using Membrane = std::array<In<T, 1>, 3>;

template <class T>
LtcProblem<T> ltc_problem(const Data<T>& data, const Membrane<T>& membrane, const SynapseArrays<T>& internal,
                          const SynapseArrays<T>& sensory, std::int64_t unfolds, std::size_t kept_time, int threads) {
    const Sequences<T> s = sequences(data, unfolds, threads);
    for (const auto& array : membrane) {
        expect(array.size() == static_cast<std::size_t>(s.units), "cm, leak_drive, leak must be (units,)");
    }
    expect(kept_time <= static_cast<std::size_t>(s.time), "kept must have no more samples than input");
    return {s,
            static_cast<std::int64_t>(kept_time),
            membrane[0].data(),
            membrane[1].data(),
            membrane[2].data(),
            synapses(s.units, s.units, internal),
            synapses(s.inputs, s.units, sensory)};
}

template <class T>
void expect_kept(const LtcProblem<T>& problem, std::size_t size) {
    const Sequences<T>& s = problem.sequences;
    expect(size == static_cast<std::size_t>(s.batch * problem.kept_time * 2 * s.unfolds * s.units),
           "kept must be (batch, kept time, 2 * unfolds * units)");
}

template <class T>
void ltc_forward(const Data<T>& data, const Membrane<T>& membrane, const SynapseArrays<T>& internal,
                 const SynapseArrays<T>& sensory, std::int64_t unfolds, int threads,
                 const Out<T, 3>& states, const Out<T, 3>& kept) {
    const LtcProblem<T> problem =
        ltc_problem(data, membrane, internal, sensory, unfolds, kept.shape(1), threads);
    expect_states(data, states);
    expect_kept(problem, kept.size());
    nb::gil_scoped_release release;
    table<T>().ltc_forward(problem, states.data(), kept.data());
}

template <class T>
void ltc_backward(const Data<T>& data, const Membrane<T>& membrane, const SynapseArrays<T>& internal,
                  const SynapseArrays<T>& sensory, std::int64_t unfolds, int threads,
                  const In<T, 3>& states, const In<T, 3>& kept, const In<T, 3>& state_gradients,
                  const DataGradients<T>& d_data, const std::array<Out<T, 1>, 3>& d_membrane,
                  const SynapseOutputs<T>& d_internal, const SynapseOutputs<T>& d_sensory) {
    const LtcProblem<T> problem =
        ltc_problem(data, membrane, internal, sensory, unfolds, kept.shape(1), threads);
    expect_states(data, states);
    expect_states(data, state_gradients);
    expect_kept(problem, kept.size());
    expect_gradients(data, d_data);
    for (const auto& output : d_membrane) expect(output.size() == membrane[0].size(), kWrongGradient);
    const LtcGradients<T> gradients{std::get<0>(d_data).data(),
                                    std::get<1>(d_data).data(),
                                    std::get<2>(d_data).data(),
                                    d_membrane[0].data(),
                                    d_membrane[1].data(),
                                    d_membrane[2].data(),
                                    gradients_of(d_internal, internal),
                                    gradients_of(d_sensory, sensory)};
    nb::gil_scoped_release release;
    table<T>().ltc_backward(problem, states.data(), kept.data(), state_gradients.data(), gradients);
}

// leak, potential, bias, kappa
template <class T>
using Neurons = std::array<MaybeIn<T>, 4>;
// Synapses, and o.
template <class T>
using ElasticSynapses = std::tuple<SynapseArrays<T>, MaybeIn<T>>;
template <class T>
using ElasticOutputs = std::tuple<SynapseOutputs<T>, MaybeOut<T>>;

template <class T>
LrcProblem<T> lrc_problem(const Data<T>& data, const Neurons<T>& neurons, const ElasticSynapses<T>& internal,
                          const ElasticSynapses<T>& sensory, bool explicit_steps, std::int64_t unfolds, int threads) {
    const Sequences<T> s = sequences(data, unfolds, threads);
    for (const auto& array : neurons) {
        expect(!array || array->size() == static_cast<std::size_t>(s.units),
               "leak, potential, bias, kappa must be (units,)");
    }
    expect(neurons[0] && neurons[1], "leak and potential must be given");
    const bool elastic = neurons[2].has_value();
    expect(elastic || !neurons[3], "kappa goes with bias");
    for (const auto& [arrays, o] : {std::tie(std::get<0>(internal), std::get<1>(internal)),
                                    std::tie(std::get<0>(sensory), std::get<1>(sensory))}) {
        expect(o.has_value() == elastic, "o goes with bias");
        expect(!o || o->size() == std::get<0>(arrays).size(), "o must be as long as pre");
    }
    return {s,
            data_or_null(neurons[0]),
            data_or_null(neurons[1]),
            data_or_null(neurons[2]),
            data_or_null(neurons[3]),
            synapses(s.units, s.units, std::get<0>(internal)),
            synapses(s.inputs, s.units, std::get<0>(sensory)),
            data_or_null(std::get<1>(internal)),
            data_or_null(std::get<1>(sensory)),
            explicit_steps};
}

template <class T>
void expect_kept(const LrcProblem<T>& problem, std::size_t size) {
    const Sequences<T>& s = problem.sequences;
    expect(size == static_cast<std::size_t>(s.batch * s.time * s.unfolds * (problem.bias ? 3 : 2) * s.units),
           "kept must be (batch, time, unfolds * sums * units)");
}

template <class T>
void lrc_forward(const Data<T>& data, const Neurons<T>& neurons, const ElasticSynapses<T>& internal,
                 const ElasticSynapses<T>& sensory, bool explicit_steps, std::int64_t unfolds, int threads,
                 const Out<T, 3>& states, const std::optional<Out<T, 3>>& kept) {
    const LrcProblem<T> problem =
        lrc_problem(data, neurons, internal, sensory, explicit_steps, unfolds, threads);
    expect_states(data, states);
    if (kept) expect_kept(problem, kept->size());
    nb::gil_scoped_release release;
    table<T>().lrc_forward(problem, states.data(), data_or_null(kept));
}

template <class T>
void lrc_backward(const Data<T>& data, const Neurons<T>& neurons, const ElasticSynapses<T>& internal,
                  const ElasticSynapses<T>& sensory, bool explicit_steps, std::int64_t unfolds, int threads,
                  const In<T, 3>& states, const In<T, 3>& kept, const In<T, 3>& state_gradients,
                  const DataGradients<T>& d_data, const std::array<MaybeOut<T>, 4>& d_neurons,
                  const ElasticOutputs<T>& d_internal, const ElasticOutputs<T>& d_sensory) {
    const LrcProblem<T> problem =
        lrc_problem(data, neurons, internal, sensory, explicit_steps, unfolds, threads);
    expect_states(data, states);
    expect_states(data, state_gradients);
    expect_kept(problem, kept.size());
    expect_gradients(data, d_data);
    const auto expect_like = [](const MaybeOut<T>& gradient, const MaybeIn<T>& argument) {
        expect(gradient.has_value() == argument.has_value() && (!gradient || gradient->size() == argument->size()),
               kWrongGradient);
    };
    for (int kind = 0; kind < 4; ++kind) expect_like(d_neurons[kind], neurons[kind]);
    expect_like(std::get<1>(d_internal), std::get<1>(internal));
    expect_like(std::get<1>(d_sensory), std::get<1>(sensory));
    const LrcGradients<T> gradients{std::get<0>(d_data).data(),
                                    std::get<1>(d_data).data(),
                                    std::get<2>(d_data).data(),
                                    data_or_null(d_neurons[0]),
                                    data_or_null(d_neurons[1]),
                                    data_or_null(d_neurons[2]),
                                    data_or_null(d_neurons[3]),
                                    gradients_of(std::get<0>(d_internal), std::get<0>(internal)),
                                    gradients_of(std::get<0>(d_sensory), std::get<0>(sensory)),
                                    data_or_null(std::get<1>(d_internal)),
                                    data_or_null(std::get<1>(d_sensory))};
    nb::gil_scoped_release release;
    table<T>().lrc_backward(problem, states.data(), kept.data(), state_gradients.data(), gradients);
}

// In the order of CfcParameters.
constexpr std::size_t kCfcParameters = 9;
template <class T>
using CfcArrays = std::array<std::optional<In<T>>, kCfcParameters>;
template <class T>
using CfcOutputs = std::array<std::optional<Out<T>>, kCfcParameters>;
// pre, post, layer, gate_pre, gate_post
using CfcWiring = std::array<std::optional<Indices>, 5>;
// mode, activation, backbone_units, backbone_layers, kept
using CfcSettings = std::array<std::int64_t, 5>;

// How many numbers each parameter has, if it is there.
template <class T>
std::array<std::int64_t, kCfcParameters> sizes_of(const CfcProblem<T>& p) {
    std::int64_t backbone = 0, read = p.inputs + p.units;
    for (std::int64_t layer = 0; layer < p.backbone_layers; ++layer) {
        backbone += p.backbone_units * (read + 1);
        read = p.backbone_units;
    }
    const std::int64_t heads = p.heads() * p.units;
    const std::int64_t wired = (p.gate_pre ? 2 : p.heads()) * p.connections;
    return {backbone,
            p.layer ? wired : heads * read,
            heads,
            p.units,
            p.units,
            2 * p.gate_connections,
            4 * p.units * p.inputs,
            4 * p.units * p.units,
            4 * p.units};
}

// Parameters of these sizes, or null where there is none.
template <std::size_t Count, class Arrays>
auto checked(const std::array<std::int64_t, Count>& sizes, const Arrays& arrays, const char* wrong) {
    using P = decltype(arrays[0]->data());
    std::array<P, Count> found{};
    for (std::size_t i = 0; i < Count; ++i) {
        if (!arrays[i]) continue;
        expect(arrays[i]->size() == static_cast<std::size_t>(sizes[i]), wrong);
        // One that is empty is there all the same.
        static std::remove_const_t<std::remove_pointer_t<P>> nothing{};
        found[i] = arrays[i]->size() ? arrays[i]->data() : &nothing;
    }
    return found;
}

template <class Arrays, class Outputs>
void expect_alike(const Arrays& parameters, const Outputs& gradients) {
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        expect(gradients[i].has_value() == parameters[i].has_value(), "a parameter and its gradient go together");
    }
}

template <class P, class T, class Arrays>
CfcParameters<P> parameters_of(const CfcProblem<T>& problem, const Arrays& arrays) {
    const auto f = checked(sizes_of(problem), arrays, "a parameter of a CfC, or its gradient, has the wrong size");
    return {f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8]};
}

void expect_index(std::int64_t index, std::int64_t size) {
    expect(static_cast<std::uint64_t>(index) < static_cast<std::uint64_t>(size),
           "pre, post and layer must be indices of sources and units");
}

void expect_connections(const Indices& pre, const Indices& post, std::int64_t sources, std::int64_t units) {
    expect(pre.size() == post.size(), "pre and post must have the same length");
    for (std::size_t s = 0; s < pre.size(); ++s) {
        expect_index(pre.data()[s], sources);
        expect_index(post.data()[s], units);
    }
}

template <class T>
CfcProblem<T> cfc_problem(const Data<T>& data, const CfcArrays<T>& parameters, const CfcWiring& wiring,
                          const CfcSettings& settings, int threads) {
    const auto [mode, activation, backbone_units, layers, kept] = settings;
    expect(mode >= 0 && mode <= 2 && activation >= 0 && activation <= 4, "mode and activation must be known ones");
    expect(layers >= 0 && (layers > 0 ? backbone_units > 0 : backbone_units == 0),
           "backbone_units must be positive with a backbone, else 0");
    const auto given = [&](int parameter) { return parameters[parameter].has_value(); };
    const bool pure = mode == static_cast<int>(CfcMode::pure), remembers = given(6);
    const bool wired = wiring[2].has_value(), apart = given(5);
    expect(given(7) == remembers && given(8) == remembers, "a memory cell has all its parameters or none");
    expect(given(3) == pure && given(4) == pure, "A and w_tau belong to pure mode");
    expect(given(0) == (layers > 0) && !(wired && layers), "a backbone belongs to its layers");
    expect(wiring[0].has_value() == wired && wiring[1].has_value() == wired, "a wiring has pre, post and layer");
    expect(wiring[3].has_value() == apart && wiring[4].has_value() == apart && !(apart && (pure || !wired)),
           "a gate's own connections come with their weights, in a wired network with gates");
    expect(given(1) && given(2), "weight and bias must be there");
    const Sequences<T> s = sequences(data, 1, threads);
    expect(!remembers || s.units % 2 == 0, "initial must have two states per unit with a memory cell");
    const std::int64_t units = remembers ? s.units / 2 : s.units;
    if (wired) {
        expect(wiring[2]->size() == static_cast<std::size_t>(units), "layer must be (units,)");
        for (std::int64_t i = 0; i < units; ++i) expect_index(wiring[2]->data()[i], units);
        expect_connections(*wiring[0], *wiring[1], s.inputs + units, units);
    }
    if (apart) expect_connections(*wiring[3], *wiring[4], s.inputs + units, units);
    CfcProblem<T> problem{s.batch,
                          s.time,
                          s.inputs,
                          units,
                          backbone_units,
                          layers,
                          static_cast<CfcMode>(mode),
                          static_cast<Activation>(activation),
                          s.input,
                          s.initial,
                          s.timespans,
                          s.present,
                          s.reset,
                          {},
                          data_or_null(wiring[0]),
                          data_or_null(wiring[1]),
                          data_or_null(wiring[2]),
                          data_or_null(wiring[3]),
                          data_or_null(wiring[4]),
                          static_cast<std::int64_t>(wired ? wiring[0]->size() : 0),
                          static_cast<std::int64_t>(apart ? wiring[3]->size() : 0),
                          kept,
                          s.threads};
    problem.parameters = parameters_of<const T*>(problem, parameters);
    return problem;
}

// Of a CfC or a gated cell, which keeps so many numbers of a sample, if it keeps any.
template <class Problem, class Kept>
void expect_kept(const Problem& problem, const Kept& kept, std::int64_t numbers) {
    expect(problem.kept == 0 || problem.kept == numbers, "kept must be as many numbers as the kernel keeps");
    expect(kept.size() == static_cast<std::size_t>(problem.batch * problem.time * problem.kept),
           "kept must be (batch, time, kept)");
    expect(!kept.size() || reinterpret_cast<std::uintptr_t>(kept.data()) % 64 == 0,
           "kept must be aligned to 64 bytes");
}

template <class T>
void cfc_forward(const Data<T>& data, const CfcArrays<T>& parameters, const CfcWiring& wiring,
                 const CfcSettings& settings, int threads, const Out<T, 3>& states, const Out<T, 3>& kept) {
    const CfcProblem<T> problem = cfc_problem(data, parameters, wiring, settings, threads);
    expect_states(data, states);
    expect_kept(problem, kept, table<T>().cfc_kept(problem));
    nb::gil_scoped_release release;
    table<T>().cfc_forward(problem, states.data(), kept.data());
}

template <class T>
void cfc_backward(const Data<T>& data, const CfcArrays<T>& parameters, const CfcWiring& wiring,
                  const CfcSettings& settings, int threads, const In<T, 3>& states, const In<T, 3>& kept,
                  const In<T, 3>& state_gradients, const DataGradients<T>& d_data, const CfcOutputs<T>& d_parameters) {
    const CfcProblem<T> problem = cfc_problem(data, parameters, wiring, settings, threads);
    expect_states(data, states);
    expect_states(data, state_gradients);
    expect(problem.kept > 0, "the backward pass needs what the forward pass keeps");
    expect_kept(problem, kept, table<T>().cfc_kept(problem));
    expect_gradients(data, d_data);
    expect_alike(parameters, d_parameters);
    const CfcGradients<T> gradients{std::get<0>(d_data).data(), std::get<1>(d_data).data(),
                                    std::get<2>(d_data).data(), parameters_of<T*>(problem, d_parameters)};
    nb::gil_scoped_release release;
    table<T>().cfc_backward(problem, states.data(), kept.data(), state_gradients.data(), gradients);
}

// In the order of CellParameters.
constexpr std::size_t kCellParameters = 13;
template <class T>
using CellArrays = std::array<std::optional<In<T>>, kCellParameters>;
template <class T>
using CellOutputs = std::array<std::optional<Out<T>>, kCellParameters>;
// kind, units, appends, solver, unfolds, kept
using CellSettings = std::array<std::int64_t, 6>;

// How many numbers each parameter has, if it is there.
template <class T>
std::array<std::int64_t, kCellParameters> sizes_of(const GatedProblem<T>& p) {
    constexpr std::int64_t gates_of[] = {1, 1, 4, 3, 1, 3};
    const std::int64_t gates = gates_of[static_cast<int>(p.kind)] * p.units;
    return {gates * (p.inputs + p.appends), gates * p.outputs, gates,    gates,    p.outputs * p.units,
            p.outputs,                      p.units,           gates * p.inputs, p.inputs, p.inputs,
            p.units * p.inputs,             p.units,           p.inputs};
}

template <class P, class T, class Arrays>
CellParameters<P> parameters_of(const GatedProblem<T>& problem, const Arrays& arrays) {
    const auto f = checked(sizes_of(problem), arrays, "a parameter of a cell, or its gradient, has the wrong size");
    return {f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8], f[9], f[10], f[11], f[12]};
}

template <class T>
GatedProblem<T> gated_problem(const Data<T>& data, const std::optional<In<bool, 3>>& observed,
                              const CellArrays<T>& parameters, const CellSettings& settings, int threads) {
    const auto [kind, units, appends, solver, unfolds, kept] = settings;
    expect(kind >= 0 && kind <= 5 && solver >= 0 && solver <= 3, "kind and solver must be known ones");
    expect(units > 0 && (appends == 0 || appends == 1), "units must be positive, appends 0 or 1");
    const CellKind cell = static_cast<CellKind>(kind);
    const auto given = [&](int parameter) { return parameters[parameter].has_value(); };
    const bool gru_d = cell == CellKind::gru_d, ct_rnn = cell == CellKind::ct_rnn;
    expect(given(0) && given(1), "weights of inputs and of the state must be there");
    expect(given(3) ? given(2) && !gru_d && !ct_rnn : !given(2) || gru_d || ct_rnn, "biases go together");
    expect(given(2) || !(gru_d || ct_rnn), "bias must be there");
    expect(!given(4) || cell == CellKind::lstm, "a projection belongs to an LSTM");
    expect(!(given(5) || appends) || !(gru_d || ct_rnn), "a rate of decay, or a span as an input, belongs to torch's");
    expect(given(6) == ct_rnn, "tau belongs to a CT-RNN");
    for (int parameter : {7, 10, 11}) expect(given(parameter) == gru_d, "a GRU-D has all its parameters");
    expect(given(8) == given(9) && given(8) == given(12) && (gru_d || !given(8)),
           "a GRU-D has decay_weight, decay_bias and mean, or none of them");
    const Sequences<T> s = sequences(data, unfolds, threads);
    const std::int64_t projected = given(4) ? static_cast<std::int64_t>(parameters[4]->size()) / units : units;
    const std::int64_t more = s.units - projected;
    expect(more >= 0 && (gru_d ? more % 2 == 0 : more == (cell == CellKind::lstm ? units : 0)),
           "initial must have all parts of the cell's state");
    expect(!gru_d || !given(8) || more == 2 * s.inputs, "a GRU-D remembers a value and its age for each input");
    expect(!observed || (gru_d && observed->shape(0) == static_cast<std::size_t>(s.batch) &&
                         observed->shape(1) == static_cast<std::size_t>(s.time) &&
                         observed->shape(2) == static_cast<std::size_t>(s.inputs)),
           "observed must be of a GRU-D, and shaped as input");
    GatedProblem<T> problem{s.batch,
                            s.time,
                            s.inputs,
                            s.units,
                            units,
                            projected,
                            cell,
                            appends,
                            static_cast<Solver>(solver),
                            unfolds,
                            s.input,
                            s.initial,
                            s.timespans,
                            s.present,
                            s.reset,
                            reinterpret_cast<const std::uint8_t*>(data_or_null(observed)),
                            {},
                            kept,
                            s.threads};
    problem.parameters = parameters_of<const T*>(problem, parameters);
    return problem;
}

template <class T>
void gated_forward(const Data<T>& data, const std::optional<In<bool, 3>>& observed, const CellArrays<T>& parameters,
                   const CellSettings& settings, int threads, const Out<T, 3>& states, const Out<T, 3>& kept) {
    const GatedProblem<T> problem = gated_problem(data, observed, parameters, settings, threads);
    expect_states(data, states);
    expect_kept(problem, kept, table<T>().gated_kept(problem));
    nb::gil_scoped_release release;
    table<T>().gated_forward(problem, states.data(), kept.data());
}

template <class T>
void gated_backward(const Data<T>& data, const std::optional<In<bool, 3>>& observed, const CellArrays<T>& parameters,
                    const CellSettings& settings, int threads, const In<T, 3>& states, const In<T, 3>& kept,
                    const In<T, 3>& state_gradients, const SomeDataGradients<T>& d_data,
                    const CellOutputs<T>& d_parameters) {
    const GatedProblem<T> problem = gated_problem(data, observed, parameters, settings, threads);
    expect_states(data, states);
    expect_states(data, state_gradients);
    expect(problem.kept > 0, "the backward pass needs what the forward pass keeps");
    expect_kept(problem, kept, table<T>().gated_kept(problem));
    expect_gradients(data, d_data);
    expect_alike(parameters, d_parameters);
    const GatedGradients<T> gradients{data_or_null(std::get<0>(d_data)), std::get<1>(d_data).data(),
                                      data_or_null(std::get<2>(d_data)), parameters_of<T*>(problem, d_parameters)};
    nb::gil_scoped_release release;
    table<T>().gated_backward(problem, states.data(), kept.data(), state_gradients.data(), gradients);
}

// The arrays that a stream's problem reads are the stream's to write.
template <class Array>
auto* writable(const Array& array) {
    return const_cast<std::remove_const_t<std::remove_pointer_t<decltype(array.data())>>*>(array.data());
}

// One sample after another, with what a layer does to inputs and outputs. Memory that a step reads and writes is the
// caller's, and as large as he said.
template <class T>
class Stream {
  public:
    using Map = std::array<MaybeIn<T>, 2>;  // scale and shift of each feature, or none

    Stream(std::unique_ptr<Stepper> stepper, const Data<T>& data, const Map& input_map, const Map& output_map,
           std::size_t outputs, const std::optional<In<bool, 3>>& observed = {})
        : stepper_(std::move(stepper)),
          data_(data),
          observed_(observed),
          input_map_(input_map),
          output_map_(output_map),
          outputs_(outputs) {
        expect(input().shape(1) == 1, "a step is of one sample");
        expect(outputs <= state().shape(1), "outputs are the first of the states");
        for (const auto& part : input_map) {
            expect(!part || part->size() == input().shape(2), "input_map must be (inputs,)");
        }
        for (const auto& part : output_map) expect(!part || part->size() == outputs, "output_map must be (outputs,)");
    }

    void step(std::uintptr_t from, std::optional<double> timespan, std::uintptr_t to) {
        // A tensor that is not plain memory has no address.
        expect(from && to, "input and output must be memory");
        const std::size_t batch = input().shape(0), inputs = input().shape(2);
        if (timespan) {
            for (std::size_t row = 0; row < batch; ++row) writable(std::get<2>(data_))[row] = static_cast<T>(*timespan);
        }
        map(input_map_, batch, inputs, reinterpret_cast<const T*>(from), inputs, writable(input()));
        {
            const Flushing flushing;
            stepper_->step();
        }
        map(output_map_, batch, outputs_, state().data(), state().shape(1), reinterpret_cast<T*>(to));
    }

  private:
    const In<T, 3>& input() const { return std::get<0>(data_); }
    const In<T, 2>& state() const { return std::get<1>(data_); }

    static void map(const Map& map, std::size_t rows, std::size_t columns, const T* from, std::size_t stride, T* to) {
        const T *scale = data_or_null(map[0]), *shift = data_or_null(map[1]);
        for (std::size_t row = 0; row < rows; ++row) {
            for (std::size_t j = 0; j < columns; ++j) {
                T value = from[row * stride + j];
                if (scale) value *= scale[j];
                if (shift) value += shift[j];
                to[row * columns + j] = value;
            }
        }
    }

    std::unique_ptr<Stepper> stepper_;
    Data<T> data_;
    std::optional<In<bool, 3>> observed_;
    Map input_map_, output_map_;
    std::size_t outputs_;
};

template <class T>
std::unique_ptr<Stream<T>> ltc_stream(const Data<T>& data, const Membrane<T>& membrane,
                                      const SynapseArrays<T>& internal, const SynapseArrays<T>& sensory,
                                      std::int64_t unfolds, const typename Stream<T>::Map& input_map,
                                      const typename Stream<T>::Map& output_map, std::size_t outputs) {
    const LtcProblem<T> problem = ltc_problem(data, membrane, internal, sensory, unfolds, 0, 1);
    std::unique_ptr<Stepper> stepper(table<T>().ltc_steps(problem, writable(std::get<1>(data))));
    return std::make_unique<Stream<T>>(std::move(stepper), data, input_map, output_map, outputs);
}

template <class T>
std::unique_ptr<Stream<T>> lrc_stream(const Data<T>& data, const Neurons<T>& neurons,
                                      const ElasticSynapses<T>& internal, const ElasticSynapses<T>& sensory,
                                      bool explicit_steps, std::int64_t unfolds,
                                      const typename Stream<T>::Map& input_map,
                                      const typename Stream<T>::Map& output_map, std::size_t outputs) {
    const LrcProblem<T> problem = lrc_problem(data, neurons, internal, sensory, explicit_steps, unfolds, 1);
    std::unique_ptr<Stepper> stepper(table<T>().lrc_steps(problem, writable(std::get<1>(data))));
    return std::make_unique<Stream<T>>(std::move(stepper), data, input_map, output_map, outputs);
}

template <class T>
std::unique_ptr<Stream<T>> cfc_stream(const Data<T>& data, const CfcArrays<T>& parameters, const CfcWiring& wiring,
                                      const CfcSettings& settings, const typename Stream<T>::Map& input_map,
                                      const typename Stream<T>::Map& output_map, std::size_t outputs) {
    const CfcProblem<T> problem = cfc_problem(data, parameters, wiring, settings, 1);
    std::unique_ptr<Stepper> stepper(table<T>().cfc_steps(problem, writable(std::get<1>(data))));
    return std::make_unique<Stream<T>>(std::move(stepper), data, input_map, output_map, outputs);
}

template <class T>
std::unique_ptr<Stream<T>> gated_stream(const Data<T>& data, const std::optional<In<bool, 3>>& observed,
                                        const CellArrays<T>& parameters, const CellSettings& settings,
                                        const typename Stream<T>::Map& input_map,
                                        const typename Stream<T>::Map& output_map, std::size_t outputs) {
    const GatedProblem<T> problem = gated_problem(data, observed, parameters, settings, 1);
    std::unique_ptr<Stepper> stepper(table<T>().gated_steps(problem, writable(std::get<1>(data))));
    return std::make_unique<Stream<T>>(std::move(stepper), data, input_map, output_map, outputs, observed);
}

template <class T>
void bind(nb::module_& module, const char* stream) {
    module.def("ltc_forward", &ltc_forward<T>);
    module.def("ltc_backward", &ltc_backward<T>);
    module.def("lrc_forward", &lrc_forward<T>);
    module.def("lrc_backward", &lrc_backward<T>);
    module.def("cfc_forward", &cfc_forward<T>);
    module.def("cfc_backward", &cfc_backward<T>);
    module.def("gated_forward", &gated_forward<T>);
    module.def("gated_backward", &gated_backward<T>);
    nb::class_<Stream<T>>(module, stream)
        .def("step", &Stream<T>::step, nb::arg("input"), nb::arg("timespan").none(), nb::arg("output"),
             "Reads a sample at an address, and writes the output to another. None leaves timespans as they are.");
    module.def("ltc_stream", &ltc_stream<T>);
    module.def("lrc_stream", &lrc_stream<T>);
    module.def("cfc_stream", &cfc_stream<T>);
    module.def("gated_stream", &gated_stream<T>);
    module.def(
        "elementary",
        [](const std::string& name, In<T, 1> x, Out<T, 1> result) {
            expect(x.size() == result.size(), "result must be as long as x");
            expect(table<T>().elementary(name.c_str(), x.data(), result.data(), static_cast<std::int64_t>(x.size())),
                   "name must be exp, sigmoid, tanh or normal");
        },
        nb::arg("name"), nb::arg("x"), nb::arg("result"), "A function elementwise, as the kernels compute it.");
    module.def(
        "opened",
        [](In<T, 1> t, Out<T, 1> result) {
            expect(t.size() == result.size(), "result must be as long as t");
            table<T>().opened(t.data(), result.data(), static_cast<std::int64_t>(t.size()));
        },
        nb::arg("t"), nb::arg("result"), "result = 1 / (1 + 2**t), as the kernels compute it.");
}

}  // namespace

NB_MODULE(_cpu, module) {
    module.doc() = "Recurrences compiled for the CPU.";
    module.attr("interface") = 5;  // as src/liquidrnn/kernels/__init__.py has it
    module.def(
        "instruction_sets",
        [] {
            std::vector<std::string> names;
            for (const Kernels* kernels : available()) names.emplace_back(kernels->name);
            return names;
        },
        "Instruction sets this processor has, the fastest first.");
    module.def("instruction_set", [] { return std::string(chosen->name); }, "The one in use.");
    module.def(
        "use",
        [](const std::string& name) {
            for (const Kernels* kernels : available()) {
                if (name == kernels->name) {
                    chosen = kernels;
                    return;
                }
            }
            throw std::invalid_argument("this processor does not have " + name);
        },
        nb::arg("instruction_set"), "Chooses another instruction set than the fastest, for tests and measurements.");
    module.def(
        "use_layout",
        [](int of_vectors) {
            expect(of_vectors >= 0 && of_vectors <= 2, "layout must be 0, 1 or 2");
            layout = static_cast<Layout>(of_vectors);
        },
        nb::arg("layout"),
        "For tests: 1 for a sequence in each lane of a vector, 2 for a unit in each, 0 for what takes fewer vectors.");
    module.def("threading", [] { return std::string(threading()); }, "Where threads come from.");
    module.def("suppose_cores", &suppose_cores, nb::arg("cores"),
               "Takes this process to have so many cores, for tests; 0 for what it has.");
    module.def("had_threads", &had_threads, "Whether more than one was ever asked for.");
    module.def(
        "sigmoids_per_second",
        [](std::int64_t repeats) {
            nb::gil_scoped_release release;
            volatile float kept;  // or the compiler could leave the work out
            float sum;
            const auto start = std::chrono::steady_clock::now();
            const std::int64_t count = table<float>().sum_opened(repeats, &sum);
            const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
            kept = sum;
            (void)kept;
            return static_cast<double>(count) / seconds.count();
        },
        nb::arg("repeats") = 10000,
        "Single-precision sigmoids that one thread computes in a second if it does nothing else: a bound on kernels.");
    module.def("cycles_per_second", &cycles_per_second, nb::call_guard<nb::gil_scoped_release>(),
               "Clock of the processor as it is now: additions in a second that wait for one another, one a cycle.");
    module.def("held_bytes", &held_bytes, "Memory that kernels hold for themselves.");
    module.def("peak_bytes", &peak_bytes, "The most of it since forget_peak().");
    module.def("forget_peak", &forget_peak);
    bind<float>(module, "Stream");
    bind<double>(module, "WideStream");
}
