// The module liquidrnn.kernels._cpu: the only file that knows Python.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
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
        return {static_cast<std::int64_t>(batch),
                static_cast<std::int64_t>(time),
                static_cast<std::int64_t>(inputs),
                static_cast<std::int64_t>(units),
                unfolds,
                static_cast<std::int64_t>(kept_time),
                input.data(),
                initial.data(),
                timespans.data(),
                observed ? reinterpret_cast<const std::uint8_t*>(observed->data()) : nullptr,
                membrane[0].data(),
                membrane[1].data(),
                membrane[2].data(),
                synapses(units, units, pre, post, internal),
                synapses(inputs, units, sensory_pre, sensory_post, sensory),
                threads,
                static_cast<Layout>(layout)};
    }
};

template <class T>
std::size_t kept_size(const LtcProblem<T>& p) {
    return static_cast<std::size_t>(p.batch * p.kept_time * 2 * p.unfolds * p.units);
}

template <class T>
SynapseGradients<T> gradients_of(const SynapseOutputs<T>& outputs, const Indices& pre) {
    for (const auto& output : outputs) expect(output.shape(0) == pre.shape(0), "a gradient has the wrong length");
    return {outputs[0].data(), outputs[1].data(), outputs[2].data(), outputs[3].data()};
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
            expect(states.size() == static_cast<std::size_t>(problem.batch * problem.time * problem.units),
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
            const auto size = static_cast<std::size_t>(problem.batch * problem.time * problem.units);
            expect(states.size() == size && state_gradients.size() == size, "states must be (batch, time, units)");
            expect(kept.size() == kept_size(problem), "kept must be (batch, kept time, 2 * unfolds * units)");
            expect(d_input.size() == input.size() && d_initial.size() == initial.size() &&
                       d_timespans.size() == timespans.size(),
                   "a gradient must have the shape of its argument");
            for (const auto& output : d_membrane) {
                expect(output.size() == static_cast<std::size_t>(problem.units), "a gradient has the wrong length");
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
}
