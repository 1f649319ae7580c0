// What a compiled instruction set offers: one table of functions, filled by kernels.cpp.
#pragma once

#include <cstdint>

namespace liquid {

// Sigmoid synapses, one entry per existing synapse; drive is a sum over weights w * erev, conductance over w.
template <class T>
struct Synapses {
    std::int64_t sources, targets, count;
    const std::int64_t *pre, *post;
    const T *sigma, *mu, *w, *w_erev;
};

template <class T>
struct SynapseGradients {
    T *sigma, *mu, *w, *w_erev;
};

enum class Layout : int { fastest, batch_lanes, unit_lanes };

// A batch of sequences through an LTC; arrays are dense, in row-major order.
template <class T>
struct LtcProblem {
    std::int64_t batch, time, inputs, units, unfolds;
    std::int64_t kept_time;        // samples, the last, of which forward keeps its solver steps for backward
    const T* input;                // (batch, time, inputs)
    const T* initial;              // (batch, units)
    const T* timespans;            // (batch, time)
    const std::uint8_t* observed;  // (batch, time), 0 where the state is held; or null
    const T *cm, *leak_drive, *leak;  // (units,)
    Synapses<T> internal, sensory;
    int threads;
    Layout layout;
};

template <class T>
struct LtcGradients {
    T *input, *initial, *timespans, *cm, *leak_drive, *leak;  // shaped as in LtcProblem
    SynapseGradients<T> internal, sensory;
};

template <class T>
struct Table {
    // states: (batch, time, units); kept: 2 * batch * kept_time * unfolds * units numbers in an order of its own
    void (*ltc_forward)(const LtcProblem<T>&, T* states, T* kept);
    void (*ltc_backward)(const LtcProblem<T>&, const T* states, const T* kept, const T* state_gradients,
                         const LtcGradients<T>&);
    // result[i] = 1 / (1 + 2^t[i]), for tests of its error
    void (*opened)(const T* t, T* result, std::int64_t size);
    // sum over a few thousand t, `repeats` times, and nothing else: how fast any kernel could be. Returns how many.
    std::int64_t (*sum_opened)(std::int64_t repeats, T* sum);
};

struct Kernels {
    const char* name;
    Table<float> single;
    Table<double> wide;
};

extern const Kernels portable_kernels;
#if defined(LIQUID_X86)
extern const Kernels avx2_kernels;
extern const Kernels avx512_kernels;
#endif

}  // namespace liquid
