// The module liquidrnn.kernels._cpu: the only file that knows Python.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <memory>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels.hpp"
#include "threads.hpp"

namespace nb = nanobind;
using namespace liquid;

namespace {

template <class T, int Rank>
using In = nb::ndarray<const T, nb::ndim<Rank>, nb::c_contig, nb::device::cpu>;
template <class T, int Rank>
using Out = nb::ndarray<T, nb::ndim<Rank>, nb::c_contig, nb::device::cpu>;
using Indices = In<std::int64_t, 1>;
using Observed = std::optional<In<bool, 2>>;
// sigma, mu, w, w_erev
template <class T>
using SynapseArrays = std::array<In<T, 1>, 4>;
template <class T>
using SynapseOutputs = std::array<Out<T, 1>, 4>;

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

void expect(bool right, const char* what) {
    if (!right) throw std::invalid_argument(what);
}

template <class T>
Synapses<T> synapses(std::size_t sources, std::size_t targets, const Indices& pre, const Indices& post,
                     const SynapseArrays<T>& arrays) {
    const std::size_t count = pre.shape(0);
    expect(post.shape(0) == count, "pre and post must have the same length");
    for (const auto& array : arrays) expect(array.shape(0) == count, "sigma, mu, w, w_erev must be as long as pre");
    for (std::size_t s = 0; s < count; ++s) {
        expect(static_cast<std::uint64_t>(pre.data()[s]) < sources, "pre must be indices of sources");
        expect(static_cast<std::uint64_t>(post.data()[s]) < targets, "post must be indices of units");
    }
    return {static_cast<std::int64_t>(sources), static_cast<std::int64_t>(targets), static_cast<std::int64_t>(count),
            pre.data(), post.data(), arrays[0].data(), arrays[1].data(), arrays[2].data(), arrays[3].data()};
}

template <class T>
struct LtcArguments {
    In<T, 3> input;
    In<T, 2> initial, timespans;
    Observed observed;
    std::array<In<T, 1>, 3> membrane;  // cm, leak_drive, leak
    Indices pre, post;
    SynapseArrays<T> internal;
    Indices sensory_pre, sensory_post;
    SynapseArrays<T> sensory;

    LtcProblem<T> problem(std::int64_t unfolds, std::size_t kept_time, int threads, int layout) const {
        const std::size_t batch = input.shape(0), time = input.shape(1), inputs = input.shape(2);
        const std::size_t units = initial.shape(1);
        expect(initial.shape(0) == batch, "initial must have the batch of input");
        expect(timespans.shape(0) == batch && timespans.shape(1) == time, "timespans must be (batch, time)");
        expect(!observed || (observed->shape(0) == batch && observed->shape(1) == time),
               "observed must be (batch, time)");
        for (const auto& array : membrane) expect(array.shape(0) == units, "cm, leak_drive, leak must be (units,)");
        expect(unfolds > 0, "unfolds must be positive");
        expect(kept_time <= time, "kept must have no more samples than input");
        expect(layout >= 0 && layout <= 2, "layout must be 0, 1 or 2");
        return {{static_cast<std::int64_t>(batch), static_cast<std::int64_t>(time), static_cast<std::int64_t>(inputs),
                 static_cast<std::int64_t>(units), unfolds, input.data(), initial.data(), timespans.data(),
                 observed ? reinterpret_cast<const std::uint8_t*>(observed->data()) : nullptr, threads,
                 static_cast<Layout>(layout)},
                static_cast<std::int64_t>(kept_time),
                membrane[0].data(),
                membrane[1].data(),
                membrane[2].data(),
                synapses(units, units, pre, post, internal),
                synapses(inputs, units, sensory_pre, sensory_post, sensory)};
    }
};

template <class T>
std::size_t kept_size(const LtcProblem<T>& p) {
    const Sequences<T>& s = p.sequences;
    return static_cast<std::size_t>(s.batch * p.kept_time * 2 * s.unfolds * s.units);
}

template <class T>
SynapseGradients<T> gradients_of(const SynapseOutputs<T>& outputs, const Indices& pre) {
    for (const auto& output : outputs) expect(output.shape(0) == pre.shape(0), "a gradient has the wrong length");
    return {outputs[0].data(), outputs[1].data(), outputs[2].data(), outputs[3].data()};
}

// Of any number of axes.
template <class T>
using InAny = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
template <class T>
using OutAny = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
// In the order of CfcParameters.
constexpr std::size_t kCfcParameters = 9;
template <class T>
using CfcArrays = std::array<std::optional<InAny<T>>, kCfcParameters>;
template <class T>
using CfcOutputs = std::array<std::optional<OutAny<T>>, kCfcParameters>;
// pre, post, layer, gate_pre, gate_post
using CfcWiring = std::array<std::optional<Indices>, 5>;
// mode, activation, backbone_units, backbone_layers, kept
using CfcSettings = std::array<std::int64_t, 5>;

template <class P, class Arrays>
CfcParameters<P> parameters_of(const Arrays& arrays, const std::array<std::size_t, kCfcParameters>& sizes) {
    std::array<P, kCfcParameters> found{};
    for (std::size_t i = 0; i < kCfcParameters; ++i) {
        if (!arrays[i]) continue;
        expect(arrays[i]->size() == sizes[i], "a parameter of a CfC, or its gradient, has the wrong size");
        // One that is empty is there all the same.
        static typename std::remove_const<typename std::remove_pointer<P>::type>::type nothing{};
        found[i] = arrays[i]->size() ? arrays[i]->data() : &nothing;
    }
    return {found[0], found[1], found[2], found[3], found[4], found[5], found[6], found[7], found[8]};
}

template <class T>
struct CfcArguments {
    In<T, 3> input;
    In<T, 2> initial, timespans;
    Observed observed;
    CfcArrays<T> parameters;
    CfcWiring wiring;
    CfcSettings settings;
    std::array<std::size_t, kCfcParameters> sizes{};

    CfcProblem<T> problem(int threads) {
        const auto [mode, activation, backbone_units, layers, kept] = settings;
        expect(mode >= 0 && mode <= 2 && activation >= 0 && activation <= 4, "mode and activation must be known ones");
        expect(layers >= 0 && (layers > 0 ? backbone_units > 0 : backbone_units == 0),
               "backbone_units must be positive with a backbone, else 0");
        const bool remembers = parameters[6].has_value(), wired = wiring[2].has_value();
        const bool pure = mode == static_cast<int>(CfcMode::pure), apart = parameters[5].has_value();
        expect(parameters[7].has_value() == remembers && parameters[8].has_value() == remembers,
               "a memory cell has all its parameters or none");
        expect(parameters[3].has_value() == pure && parameters[4].has_value() == pure, "A and w_tau belong to pure mode");
        expect(parameters[0].has_value() == (layers > 0) && !(wired && layers), "a backbone belongs to its layers");
        expect(wiring[0].has_value() == wired && wiring[1].has_value() == wired, "a wiring has pre, post and layer");
        expect(wiring[3].has_value() == apart && wiring[4].has_value() == apart && !(apart && (pure || !wired)),
               "a gate's own connections come with their weights, in a wired network with gates");
        expect(parameters[1] && parameters[2], "weight and bias must be there");
        const std::size_t batch = input.shape(0), time = input.shape(1), inputs = input.shape(2);
        const std::size_t heads = pure ? 1 : 4, states = initial.shape(1), units = remembers ? states / 2 : states;
        expect(!remembers || states % 2 == 0, "initial must have two states per unit with a memory cell");
        expect(initial.shape(0) == batch, "initial must have the batch of input");
        expect(timespans.shape(0) == batch && timespans.shape(1) == time, "timespans must be (batch, time)");
        expect(!observed || (observed->shape(0) == batch && observed->shape(1) == time),
               "observed must be (batch, time)");
        const auto z = static_cast<std::size_t>(backbone_units);
        std::size_t read = inputs + units;
        for (std::int64_t layer = 0; layer < layers; ++layer) {
            sizes[0] += z * (read + 1);
            read = z;
        }
        const std::size_t connections = wired ? wiring[0]->size() : 0, own = apart ? wiring[3]->size() : 0;
        sizes[1] = wired ? (apart ? 2 : heads) * connections : heads * units * read;
        sizes[2] = heads * units;
        sizes[3] = sizes[4] = units;
        sizes[5] = 2 * own;
        sizes[6] = 4 * units * inputs;
        sizes[7] = 4 * units * units;
        sizes[8] = 4 * units;
        if (wired) {
            expect(wiring[2]->size() == units, "layer must be (units,)");
            for (std::size_t i = 0; i < units; ++i) check_index(wiring[2]->data()[i], units);
            check_connections(*wiring[0], *wiring[1], inputs, units);
        }
        if (apart) check_connections(*wiring[3], *wiring[4], inputs, units);
        const auto data = [&](int i) { return wiring[i] ? wiring[i]->data() : nullptr; };
        return {static_cast<std::int64_t>(batch),
                static_cast<std::int64_t>(time),
                static_cast<std::int64_t>(inputs),
                static_cast<std::int64_t>(units),
                backbone_units,
                layers,
                static_cast<CfcMode>(mode),
                static_cast<Activation>(activation),
                input.data(),
                initial.data(),
                timespans.data(),
                observed ? reinterpret_cast<const std::uint8_t*>(observed->data()) : nullptr,
                parameters_of<const T*>(parameters, sizes),
                data(0),
                data(1),
                data(2),
                data(3),
                data(4),
                static_cast<std::int64_t>(connections),
                static_cast<std::int64_t>(own),
                kept,
                threads};
    }

    static void check_index(std::int64_t index, std::size_t size) {
        expect(static_cast<std::uint64_t>(index) < size, "pre, post and layer must be indices of sources and units");
    }
    static void check_connections(const Indices& pre, const Indices& post, std::size_t inputs, std::size_t units) {
        expect(pre.size() == post.size(), "pre and post must have the same length");
        for (std::size_t s = 0; s < pre.size(); ++s) {
            check_index(pre.data()[s], inputs + units);
            check_index(post.data()[s], units);
        }
    }
    static void check_kept(const CfcProblem<T>& problem, const T* kept, std::size_t size) {
        expect(problem.kept == 0 || problem.kept == table<T>().cfc_kept(problem), "kept must be what cfc keeps");
        expect(size == static_cast<std::size_t>(problem.batch * problem.time * problem.kept),
               "kept must be (batch * time * kept,)");
        expect(!size || reinterpret_cast<std::uintptr_t>(kept) % 64 == 0, "kept must be aligned to 64 bytes");
    }
};

template <class T>
void bind_cfc(nb::module_& module) {
    module.def(
        "cfc_forward",
        [](In<T, 3> input, In<T, 2> initial, In<T, 2> timespans, Observed observed, CfcArrays<T> parameters,
           CfcWiring wiring, CfcSettings settings, int threads, Out<T, 3> states, Out<T, 1> kept) {
            CfcArguments<T> arguments{input, initial, timespans, observed, parameters, wiring, settings};
            const CfcProblem<T> problem = arguments.problem(threads);
            expect(states.size() == input.shape(0) * input.shape(1) * initial.shape(1),
                   "states must be (batch, time, states)");
            arguments.check_kept(problem, kept.data(), kept.size());
            nb::gil_scoped_release release;
            table<T>().cfc_forward(problem, states.data(), kept.data());
        },
        nb::arg("input"), nb::arg("initial"), nb::arg("timespans"), nb::arg("observed").none(), nb::arg("parameters"),
        nb::arg("wiring"), nb::arg("settings"), nb::arg("threads"), nb::arg("states"), nb::arg("kept"));
    module.def(
        "cfc_backward",
        [](In<T, 3> input, In<T, 2> initial, In<T, 2> timespans, Observed observed, CfcArrays<T> parameters,
           CfcWiring wiring, CfcSettings settings, int threads, In<T, 3> states, In<T, 1> kept, In<T, 3> state_gradients,
           Out<T, 3> d_input, Out<T, 2> d_initial, Out<T, 2> d_timespans, CfcOutputs<T> d_parameters) {
            CfcArguments<T> arguments{input, initial, timespans, observed, parameters, wiring, settings};
            const CfcProblem<T> problem = arguments.problem(threads);
            expect(states.size() == input.shape(0) * input.shape(1) * initial.shape(1) &&
                       state_gradients.size() == states.size(),
                   "states must be (batch, time, states)");
            expect(problem.kept > 0, "the way back needs what the way forward keeps");
            arguments.check_kept(problem, kept.data(), kept.size());
            expect(d_input.size() == input.size() && d_initial.size() == initial.size() &&
                       d_timespans.size() == timespans.size(),
                   "a gradient must have the shape of its argument");
            for (std::size_t i = 0; i < kCfcParameters; ++i) {
                expect(d_parameters[i].has_value() == parameters[i].has_value(), "a parameter and its gradient go together");
            }
            const CfcGradients<T> gradients{d_input.data(), d_initial.data(), d_timespans.data(),
                                            parameters_of<T*>(d_parameters, arguments.sizes)};
            nb::gil_scoped_release release;
            table<T>().cfc_backward(problem, states.data(), kept.data(), state_gradients.data(), gradients);
        },
        nb::arg("input"), nb::arg("initial"), nb::arg("timespans"), nb::arg("observed").none(), nb::arg("parameters"),
        nb::arg("wiring"), nb::arg("settings"), nb::arg("threads"), nb::arg("states"), nb::arg("kept"),
        nb::arg("state_gradients"), nb::arg("d_input"), nb::arg("d_initial"), nb::arg("d_timespans"),
        nb::arg("d_parameters"));
    module.def(
        "elementary",
        [](const std::string& name, In<T, 1> x, Out<T, 1> result) {
            expect(x.size() == result.size(), "result must be as long as x");
            expect(table<T>().elementary(name.c_str(), x.data(), result.data(), static_cast<std::int64_t>(x.size())),
                   "name must be exp, sigmoid, tanh or normal");
        },
        nb::arg("name"), nb::arg("x"), nb::arg("result"), "A function elementwise, as the kernels compute it.");
}

template <class T>
using MaybeIn = std::optional<In<T, 1>>;
template <class T>
using MaybeOut = std::optional<Out<T, 1>>;

template <class Array>
auto data_or_null(const Array& array) {
    return array ? array->data() : nullptr;
}

template <class T>
struct LrcArguments {
    In<T, 3> input;
    In<T, 2> initial, timespans;
    Observed observed;
    std::array<MaybeIn<T>, 4> neurons;  // leak, potential, bias, kappa
    Indices pre, post;
    SynapseArrays<T> internal;
    MaybeIn<T> internal_o;
    Indices sensory_pre, sensory_post;
    SynapseArrays<T> sensory;
    MaybeIn<T> sensory_o;

    LrcProblem<T> problem(bool explicit_steps, std::int64_t unfolds, int threads, int layout) const {
        const std::size_t batch = input.shape(0), time = input.shape(1), inputs = input.shape(2);
        const std::size_t units = initial.shape(1);
        expect(initial.shape(0) == batch, "initial must have the batch of input");
        expect(timespans.shape(0) == batch && timespans.shape(1) == time, "timespans must be (batch, time)");
        expect(!observed || (observed->shape(0) == batch && observed->shape(1) == time),
               "observed must be (batch, time)");
        for (const auto& array : neurons) {
            expect(!array || array->shape(0) == units, "leak, potential, bias, kappa must be (units,)");
        }
        expect(neurons[0] && neurons[1], "leak and potential must be given");
        const bool elastic = neurons[2].has_value();
        expect(elastic || !neurons[3], "kappa goes with bias");
        expect(internal_o.has_value() == elastic && sensory_o.has_value() == elastic, "o goes with bias");
        expect(!elastic || (internal_o->shape(0) == pre.shape(0) && sensory_o->shape(0) == sensory_pre.shape(0)),
               "o must be as long as pre");
        expect(unfolds > 0, "unfolds must be positive");
        expect(layout >= 0 && layout <= 2, "layout must be 0, 1 or 2");
        return {{static_cast<std::int64_t>(batch), static_cast<std::int64_t>(time), static_cast<std::int64_t>(inputs),
                 static_cast<std::int64_t>(units), unfolds, input.data(), initial.data(), timespans.data(),
                 observed ? reinterpret_cast<const std::uint8_t*>(observed->data()) : nullptr, threads,
                 static_cast<Layout>(layout)},
                data_or_null(neurons[0]),
                data_or_null(neurons[1]),
                data_or_null(neurons[2]),
                data_or_null(neurons[3]),
                synapses(units, units, pre, post, internal),
                synapses(inputs, units, sensory_pre, sensory_post, sensory),
                data_or_null(internal_o),
                data_or_null(sensory_o),
                explicit_steps};
    }
};

template <class T>
std::size_t kept_size(const LrcProblem<T>& problem) {
    const Sequences<T>& s = problem.sequences;
    return static_cast<std::size_t>(s.batch * s.time * s.unfolds * (problem.bias ? 3 : 2) * s.units);
}

template <class T>
void bind_lrc(nb::module_& module) {
    using Neurons = std::array<MaybeIn<T>, 4>;
    module.def(
        "lrc_forward",
        [](In<T, 3> input, In<T, 2> initial, In<T, 2> timespans, Observed observed, Neurons neurons, Indices pre,
           Indices post, SynapseArrays<T> internal, MaybeIn<T> internal_o, Indices sensory_pre, Indices sensory_post,
           SynapseArrays<T> sensory, MaybeIn<T> sensory_o, bool explicit_steps, std::int64_t unfolds, int threads,
           int layout, Out<T, 3> states, std::optional<Out<T, 5>> kept) {
            const LrcArguments<T> arguments{input,    initial,    timespans,   observed,     neurons, pre,      post,
                                            internal, internal_o, sensory_pre, sensory_post, sensory, sensory_o};
            const LrcProblem<T> problem = arguments.problem(explicit_steps, unfolds, threads, layout);
            expect(states.size() == input.shape(0) * input.shape(1) * initial.shape(1),
                   "states must be (batch, time, units)");
            expect(!kept || kept->size() == kept_size(problem), "kept must be (batch, time, unfolds, sums, units)");
            nb::gil_scoped_release release;
            table<T>().lrc_forward(problem, states.data(), data_or_null(kept));
        },
        nb::arg("input"), nb::arg("initial"), nb::arg("timespans"), nb::arg("observed").none(), nb::arg("neurons"),
        nb::arg("pre"), nb::arg("post"), nb::arg("internal"), nb::arg("internal_o").none(), nb::arg("sensory_pre"),
        nb::arg("sensory_post"), nb::arg("sensory"), nb::arg("sensory_o").none(), nb::arg("explicit_steps"),
        nb::arg("unfolds"), nb::arg("threads"), nb::arg("layout"), nb::arg("states"), nb::arg("kept").none());
    module.def(
        "lrc_backward",
        [](In<T, 3> input, In<T, 2> initial, In<T, 2> timespans, Observed observed, Neurons neurons, Indices pre,
           Indices post, SynapseArrays<T> internal, MaybeIn<T> internal_o, Indices sensory_pre, Indices sensory_post,
           SynapseArrays<T> sensory, MaybeIn<T> sensory_o, bool explicit_steps, std::int64_t unfolds, int threads,
           int layout, In<T, 3> states, In<T, 5> kept, In<T, 3> state_gradients, Out<T, 3> d_input,
           Out<T, 2> d_initial, Out<T, 2> d_timespans, std::array<MaybeOut<T>, 4> d_neurons,
           SynapseOutputs<T> d_internal, MaybeOut<T> d_internal_o, SynapseOutputs<T> d_sensory,
           MaybeOut<T> d_sensory_o) {
            const LrcArguments<T> arguments{input,    initial,    timespans,   observed,     neurons, pre,      post,
                                            internal, internal_o, sensory_pre, sensory_post, sensory, sensory_o};
            const LrcProblem<T> problem = arguments.problem(explicit_steps, unfolds, threads, layout);
            const std::size_t size = input.shape(0) * input.shape(1) * initial.shape(1);
            expect(states.size() == size && state_gradients.size() == size, "states must be (batch, time, units)");
            expect(kept.size() == kept_size(problem), "kept must be (batch, time, unfolds, sums, units)");
            expect(d_input.size() == input.size() && d_initial.size() == initial.size() &&
                       d_timespans.size() == timespans.size(),
                   "a gradient must have the shape of its argument");
            const auto matches = [](const auto& gradient, const auto& argument) {
                return gradient.has_value() == argument.has_value() &&
                       (!gradient || gradient->shape(0) == argument->shape(0));
            };
            for (int kind = 0; kind < 4; ++kind) {
                expect(matches(d_neurons[kind], neurons[kind]), "a gradient must have the shape of its argument");
            }
            expect(matches(d_internal_o, internal_o) && matches(d_sensory_o, sensory_o),
                   "a gradient must have the shape of its argument");
            const LrcGradients<T> gradients{d_input.data(),
                                            d_initial.data(),
                                            d_timespans.data(),
                                            data_or_null(d_neurons[0]),
                                            data_or_null(d_neurons[1]),
                                            data_or_null(d_neurons[2]),
                                            data_or_null(d_neurons[3]),
                                            gradients_of<T>(d_internal, pre),
                                            gradients_of<T>(d_sensory, sensory_pre),
                                            data_or_null(d_internal_o),
                                            data_or_null(d_sensory_o)};
            nb::gil_scoped_release release;
            table<T>().lrc_backward(problem, states.data(), kept.data(), state_gradients.data(), gradients);
        },
        nb::arg("input"), nb::arg("initial"), nb::arg("timespans"), nb::arg("observed").none(), nb::arg("neurons"),
        nb::arg("pre"), nb::arg("post"), nb::arg("internal"), nb::arg("internal_o").none(), nb::arg("sensory_pre"),
        nb::arg("sensory_post"), nb::arg("sensory"), nb::arg("sensory_o").none(), nb::arg("explicit_steps"),
        nb::arg("unfolds"), nb::arg("threads"), nb::arg("layout"), nb::arg("states"), nb::arg("kept"),
        nb::arg("state_gradients"), nb::arg("d_input"), nb::arg("d_initial"), nb::arg("d_timespans"),
        nb::arg("d_neurons"), nb::arg("d_internal"), nb::arg("d_internal_o").none(), nb::arg("d_sensory"),
        nb::arg("d_sensory_o").none());
}

// One sample after another, with what a layer does to inputs and outputs; memory that a step reads and writes is the
// caller's, and as large as he said.
template <class T>
class Stream {
  public:
    using Map = std::array<MaybeIn<T>, 2>;  // scale and shift of each feature, or none

    Stream(std::unique_ptr<Stepper> stepper, In<T, 3> input, In<T, 2> state, In<T, 2> timespans, Map input_map, Map output_map,
           std::size_t outputs)
        : stepper_(std::move(stepper)), input_(input), state_(state), timespans_(timespans), input_map_(input_map),
          output_map_(output_map), outputs_(outputs) {
        expect(input.shape(1) == 1, "a step is of one sample");
        expect(outputs <= state.shape(1), "outputs are the first of the states");
        for (const auto& part : input_map) expect(!part || part->shape(0) == input.shape(2), "input_map must be (inputs,)");
        for (const auto& part : output_map) expect(!part || part->shape(0) == outputs, "output_map must be (outputs,)");
    }

    void step(std::uintptr_t from, double timespan, std::uintptr_t to) {
        const std::size_t batch = input_.shape(0), inputs = input_.shape(2);
        for (std::size_t row = 0; row < batch; ++row) writable(timespans_)[row] = static_cast<T>(timespan);
        map(input_map_, batch, inputs, reinterpret_cast<const T*>(from), inputs, writable(input_));
        stepper_->step();
        map(output_map_, batch, outputs_, state_.data(), state_.shape(1), reinterpret_cast<T*>(to));
    }

  private:
    // The arrays that a problem reads are this stream's to write.
    template <class Array>
    static T* writable(const Array& array) {
        return const_cast<T*>(array.data());
    }

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
    In<T, 3> input_;
    In<T, 2> state_, timespans_;
    Map input_map_, output_map_;
    std::size_t outputs_;
};

template <class T>
void bind_streams(nb::module_& module, const char* name) {
    using Map = typename Stream<T>::Map;
    nb::class_<Stream<T>>(module, name)
        .def("step", &Stream<T>::step, nb::arg("input"), nb::arg("timespan"), nb::arg("output"),
             "Reads a sample at an address, and writes the output to another.");
    module.def(
        "ltc_stream",
        [](In<T, 3> input, In<T, 2> state, In<T, 2> timespans, Observed observed, std::array<In<T, 1>, 3> membrane,
           Indices pre, Indices post, SynapseArrays<T> internal, Indices sensory_pre, Indices sensory_post,
           SynapseArrays<T> sensory, std::int64_t unfolds, Map input_map, Map output_map, std::size_t outputs) {
            const LtcArguments<T> arguments{input,    state,       timespans,    observed, membrane, pre, post,
                                            internal, sensory_pre, sensory_post, sensory};
            std::unique_ptr<Stepper> stepper(
                table<T>().ltc_steps(arguments.problem(unfolds, 0, 1, 0), const_cast<T*>(state.data())));
            return new Stream<T>(std::move(stepper), input, state, timespans, input_map, output_map, outputs);
        },
        nb::arg("input"), nb::arg("state"), nb::arg("timespans"), nb::arg("observed").none(), nb::arg("membrane"),
        nb::arg("pre"), nb::arg("post"), nb::arg("internal"), nb::arg("sensory_pre"), nb::arg("sensory_post"),
        nb::arg("sensory"), nb::arg("unfolds"), nb::arg("input_map"), nb::arg("output_map"), nb::arg("outputs"));
    module.def(
        "lrc_stream",
        [](In<T, 3> input, In<T, 2> state, In<T, 2> timespans, Observed observed, std::array<MaybeIn<T>, 4> neurons,
           Indices pre, Indices post, SynapseArrays<T> internal, MaybeIn<T> internal_o, Indices sensory_pre,
           Indices sensory_post, SynapseArrays<T> sensory, MaybeIn<T> sensory_o, bool explicit_steps,
           std::int64_t unfolds, Map input_map, Map output_map, std::size_t outputs) {
            const LrcArguments<T> arguments{input,    state,      timespans,   observed,     neurons, pre,      post,
                                            internal, internal_o, sensory_pre, sensory_post, sensory, sensory_o};
            std::unique_ptr<Stepper> stepper(
                table<T>().lrc_steps(arguments.problem(explicit_steps, unfolds, 1, 0), const_cast<T*>(state.data())));
            return new Stream<T>(std::move(stepper), input, state, timespans, input_map, output_map, outputs);
        },
        nb::arg("input"), nb::arg("state"), nb::arg("timespans"), nb::arg("observed").none(), nb::arg("neurons"),
        nb::arg("pre"), nb::arg("post"), nb::arg("internal"), nb::arg("internal_o").none(), nb::arg("sensory_pre"),
        nb::arg("sensory_post"), nb::arg("sensory"), nb::arg("sensory_o").none(), nb::arg("explicit_steps"),
        nb::arg("unfolds"), nb::arg("input_map"), nb::arg("output_map"), nb::arg("outputs"));
    module.def(
        "cfc_stream",
        [](In<T, 3> input, In<T, 2> state, In<T, 2> timespans, Observed observed, CfcArrays<T> parameters,
           CfcWiring wiring, CfcSettings settings, std::size_t outputs) {
            CfcArguments<T> arguments{input, state, timespans, observed, parameters, wiring, settings};
            std::unique_ptr<Stepper> stepper(
                table<T>().cfc_steps(arguments.problem(1), const_cast<T*>(state.data())));
            return new Stream<T>(std::move(stepper), input, state, timespans, Map{}, Map{}, outputs);
        },
        nb::arg("input"), nb::arg("state"), nb::arg("timespans"), nb::arg("observed").none(), nb::arg("parameters"),
        nb::arg("wiring"), nb::arg("settings"), nb::arg("outputs"));
}

template <class T>
void bind(nb::module_& module) {
    using Membrane = std::array<In<T, 1>, 3>;
    using MembraneOutputs = std::array<Out<T, 1>, 3>;
    module.def(
        "ltc_forward",
        [](In<T, 3> input, In<T, 2> initial, In<T, 2> timespans, Observed observed, Membrane membrane, Indices pre,
           Indices post, SynapseArrays<T> internal, Indices sensory_pre, Indices sensory_post,
           SynapseArrays<T> sensory, std::int64_t unfolds, int threads, int layout, Out<T, 3> states,
           Out<T, 3> kept) {
            const LtcArguments<T> arguments{input,    initial,     timespans,    observed, membrane, pre, post,
                                            internal, sensory_pre, sensory_post, sensory};
            const LtcProblem<T> problem = arguments.problem(unfolds, kept.shape(1), threads, layout);
            expect(states.size() == input.shape(0) * input.shape(1) * initial.shape(1),
                   "states must be (batch, time, units)");
            expect(kept.size() == kept_size(problem), "kept must be (batch, kept time, 2 * unfolds * units)");
            nb::gil_scoped_release release;
            table<T>().ltc_forward(problem, states.data(), kept.data());
        },
        nb::arg("input"), nb::arg("initial"), nb::arg("timespans"), nb::arg("observed").none(), nb::arg("membrane"),
        nb::arg("pre"), nb::arg("post"), nb::arg("internal"), nb::arg("sensory_pre"), nb::arg("sensory_post"),
        nb::arg("sensory"), nb::arg("unfolds"), nb::arg("threads"), nb::arg("layout"), nb::arg("states"),
        nb::arg("kept"));
    module.def(
        "ltc_backward",
        [](In<T, 3> input, In<T, 2> initial, In<T, 2> timespans, Observed observed, Membrane membrane, Indices pre,
           Indices post, SynapseArrays<T> internal, Indices sensory_pre, Indices sensory_post,
           SynapseArrays<T> sensory, std::int64_t unfolds, int threads, int layout, In<T, 3> states,
           In<T, 3> kept, In<T, 3> state_gradients, Out<T, 3> d_input, Out<T, 2> d_initial, Out<T, 2> d_timespans,
           MembraneOutputs d_membrane, SynapseOutputs<T> d_internal, SynapseOutputs<T> d_sensory) {
            const LtcArguments<T> arguments{input,    initial,     timespans,    observed, membrane, pre, post,
                                            internal, sensory_pre, sensory_post, sensory};
            const LtcProblem<T> problem = arguments.problem(unfolds, kept.shape(1), threads, layout);
            const std::size_t size = input.shape(0) * input.shape(1) * initial.shape(1);
            expect(states.size() == size && state_gradients.size() == size, "states must be (batch, time, units)");
            expect(kept.size() == kept_size(problem), "kept must be (batch, kept time, 2 * unfolds * units)");
            expect(d_input.size() == input.size() && d_initial.size() == initial.size() &&
                       d_timespans.size() == timespans.size(),
                   "a gradient must have the shape of its argument");
            for (const auto& output : d_membrane) {
                expect(output.size() == initial.shape(1), "a gradient has the wrong length");
            }
            const LtcGradients<T> gradients{d_input.data(),
                                            d_initial.data(),
                                            d_timespans.data(),
                                            d_membrane[0].data(),
                                            d_membrane[1].data(),
                                            d_membrane[2].data(),
                                            gradients_of<T>(d_internal, pre),
                                            gradients_of<T>(d_sensory, sensory_pre)};
            nb::gil_scoped_release release;
            table<T>().ltc_backward(problem, states.data(), kept.data(), state_gradients.data(), gradients);
        },
        nb::arg("input"), nb::arg("initial"), nb::arg("timespans"), nb::arg("observed").none(), nb::arg("membrane"),
        nb::arg("pre"), nb::arg("post"), nb::arg("internal"), nb::arg("sensory_pre"), nb::arg("sensory_post"),
        nb::arg("sensory"), nb::arg("unfolds"), nb::arg("threads"), nb::arg("layout"), nb::arg("states"),
        nb::arg("kept"), nb::arg("state_gradients"), nb::arg("d_input"), nb::arg("d_initial"), nb::arg("d_timespans"),
        nb::arg("d_membrane"), nb::arg("d_internal"), nb::arg("d_sensory"));
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
    module.def("threading", [] { return std::string(threading()); }, "Where threads come from.");
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
    bind<float>(module);
    bind<double>(module);
    bind_lrc<float>(module);
    bind_lrc<double>(module);
    bind_cfc<float>(module);
    bind_cfc<double>(module);
    bind_streams<float>(module, "Stream");
    bind_streams<double>(module, "WideStream");
}
