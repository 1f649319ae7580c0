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

// Longest step of an implicit solver; longer ones are cut to it, as implicit_step() in kernels/loop.py does.
template <class T>
constexpr T longest_step() {
    return sizeof(T) == 8 ? T(1e290) : T(1e30);
}

enum class Layout : int { fastest, batch_lanes, unit_lanes };

// A batch of sequences and how to work on them; arrays are dense, in row-major order.
template <class T>
struct Sequences {
    std::int64_t batch, time, inputs, units, unfolds;
    const T* input;                // (batch, time, inputs)
    const T* initial;              // (batch, units)
    const T* timespans;            // (batch, time)
    const std::uint8_t* present;   // (batch, time), 0 where the state is held; or null
    const std::uint8_t* reset;     // (batch, time), 1 where the state starts anew, before the sample; or null
    int threads;
    Layout layout;
};

// A batch of sequences through an LTC.
template <class T>
struct LtcProblem {
    Sequences<T> sequences;
    std::int64_t kept_time;           // samples, the last, of which forward keeps its solver steps for backward
    const T *cm, *leak_drive, *leak;  // (units,)
    Synapses<T> internal, sensory;
};

template <class T>
struct LtcGradients {
    T *input, *initial, *timespans, *cm, *leak_drive, *leak;  // shaped as in LtcProblem
    SynapseGradients<T> internal, sensory;
};

// A batch of sequences through an LRC, LRCU or STC. Without elastance `bias` and the weights o are null, and with an
// asymmetric one `kappa` is.
template <class T>
struct LrcProblem {
    Sequences<T> sequences;
    const T *leak, *potential, *bias, *kappa;  // (units,)
    Synapses<T> internal, sensory;             // their w_erev is k
    const T *internal_o, *sensory_o;
    bool explicit_steps;
};

template <class T>
struct LrcGradients {
    T *input, *initial, *timespans, *leak, *potential, *bias, *kappa;  // shaped as in LrcProblem
    SynapseGradients<T> internal, sensory;
    T *internal_o, *sensory_o;
};

enum class CfcMode : int { gated, pure, no_gate };
enum class Activation : int { lecun_tanh, tanh, relu, gelu, silu };

// P is const T* for parameters, T* for their gradients; null for those that a form does not have. H heads per unit, 1
// in pure mode, else 4 (the first target, the second, slope and offset of the gate).
template <class P>
struct CfcParameters {
    P backbone;                // weight (backbone_units, width before) and bias of each layer, one after the other
    P weight, bias;            // of heads: (H units, width before), or wired (H or 2, connections); (H units,)
    P A, w_tau;                // (units,), in pure mode
    P gate_weight;             // (2, gate_connections), of a gate whose connections are its own
    P memory_ih, memory_hh, memory_bias;  // (4 units, inputs), (4 units, units), (4 units,)
};

// A batch of sequences through a CfC. With a memory cell a state is two, beside one another.
template <class T>
struct CfcProblem {
    std::int64_t batch, time, inputs, units, backbone_units, backbone_layers;
    CfcMode mode;
    Activation activation;
    const T* input;                // (batch, time, inputs)
    const T* initial;              // (batch, units or 2 units)
    const T* timespans;            // (batch, time)
    const std::uint8_t* present;   // (batch, time), 0 where the state is held; or null
    const std::uint8_t* reset;     // (batch, time), 1 where the state starts anew, before the sample; or null
    CfcParameters<const T*> parameters;
    // Of a wired network, else null: ends of its connections, sources being inputs and then units, and the layer of
    // each unit. Layers are updated in order.
    const std::int64_t *pre, *post, *layer, *gate_pre, *gate_post;
    std::int64_t connections, gate_connections;
    std::int64_t kept;  // values per sample that the forward pass keeps for the backward pass, as cfc_kept says; or 0
    int threads;

    bool remembers() const { return parameters.memory_ih != nullptr; }
    std::int64_t heads() const { return mode == CfcMode::pure ? 1 : 4; }
};

template <class T>
struct CfcGradients {
    T *input, *initial, *timespans;  // shaped as in CfcProblem
    CfcParameters<T*> parameters;
};

enum class CellKind : int { rnn_tanh, rnn_relu, lstm, gru, ct_rnn, gru_d };
enum class Solver : int { semi_implicit, euler, heun, rk4 };

// P is const T* for parameters, T* for their gradients; null for those that a cell does not have. Gates, G of them, come
// one after the other, in torch's order; `read` are the inputs, and one more where a span is appended to them.
template <class P>
struct CellParameters {
    P weight_ih, weight_hh;  // (G units, read), (G units, outputs)
    P bias_ih, bias_hh;      // (G units,)
    P weight_hr;             // (outputs, units), an LSTM's projection
    P rate;                  // (outputs,), at which the state of torch's cells decays
    P tau;                   // (units,), of a CT-RNN
    P weight_mh;             // (G units, inputs), as all that follow of a GRU-D
    P decay_weight, decay_bias;              // (inputs,), or null where no feature is ever missing
    P state_decay_weight, state_decay_bias;  // (units, inputs), (units,)
    P mean;                                  // (inputs,), or null where no feature is ever missing
};

// A batch of sequences through a gated cell. A state is one row of all its parts: what is handed on; an LSTM's cell; the
// last values and their ages of a GRU-D.
template <class T>
struct GatedProblem {
    std::int64_t batch, time, inputs, width, units, outputs;  // width: of a state
    CellKind kind;
    std::int64_t appends;  // 1 where the span is one more input, else 0
    Solver solver;
    std::int64_t unfolds;
    const T* input;                // (batch, time, inputs)
    const T* initial;              // (batch, width)
    const T* timespans;            // (batch, time)
    const std::uint8_t* present;   // (batch, time), 0 where the state is held; or null
    const std::uint8_t* reset;     // (batch, time), 1 where the state starts anew, before the sample; or null
    const std::uint8_t* observed;  // (batch, time, inputs), 0 where a feature was not; or null
    CellParameters<const T*> parameters;
    std::int64_t kept;  // values per sample that the forward pass keeps for the backward pass, as gated_kept says; or 0
    int threads;
};

template <class T>
struct GatedGradients {
    T *input, *initial, *timespans;  // shaped as in GatedProblem; the first and the last null where nobody asks
    CellParameters<T*> parameters;
};

// A recurrence prepared to take one sample after another of a batch: from the problem's input and timespans, which
// change between steps, as its state does.
struct Stepper {
    virtual ~Stepper() = default;
    virtual void step() = 0;
};

template <class T>
struct Table {
    // states: (batch, time, units); kept: 2 * batch * kept_time * unfolds * units numbers in an order of its own
    void (*ltc_forward)(const LtcProblem<T>&, T* states, T* kept);
    void (*ltc_backward)(const LtcProblem<T>&, const T* states, const T* kept, const T* state_gradients,
                         const LtcGradients<T>&);
    // kept: (batch, time, unfolds, 3, units), or 2 without elastance: sums of each solver step; null to keep none
    void (*lrc_forward)(const LrcProblem<T>&, T* states, T* kept);
    void (*lrc_backward)(const LrcProblem<T>&, const T* states, const T* kept, const T* state_gradients,
                         const LrcGradients<T>&);
    // states: (batch, time, units or 2 units); kept: (batch * time * p.kept,), aligned to 64 bytes
    void (*cfc_forward)(const CfcProblem<T>&, T* states, T* kept);
    void (*cfc_backward)(const CfcProblem<T>&, const T* states, const T* kept, const T* state_gradients,
                         const CfcGradients<T>&);
    std::int64_t (*cfc_kept)(const CfcProblem<T>&);
    // states: (batch, time, width); kept: (batch * time * p.kept,), aligned to 64 bytes
    void (*gated_forward)(const GatedProblem<T>&, T* states, T* kept);
    void (*gated_backward)(const GatedProblem<T>&, const T* states, const T* kept, const T* state_gradients,
                           const GatedGradients<T>&);
    std::int64_t (*gated_kept)(const GatedProblem<T>&);
    // The function of that name elementwise, for tests of its error; false if there is none.
    bool (*elementary)(const char* name, const T* x, T* result, std::int64_t size);
    // Of problems whose time is 1 and whose initial state is `state`, where each step leaves the new one
    Stepper* (*ltc_steps)(const LtcProblem<T>&, T* state);
    Stepper* (*lrc_steps)(const LrcProblem<T>&, T* state);
    Stepper* (*cfc_steps)(const CfcProblem<T>&, T* state);
    Stepper* (*gated_steps)(const GatedProblem<T>&, T* state);
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
