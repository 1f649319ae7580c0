// Liquid time-constant networks: whole sequences, forward and backward, all solver steps of a sample in one go.
//
// The recurrence is that of src/liquidrnn/kernels/ltc/reference.py, which defines it. One solver step is
//
//     v' = v + delta * change,    change = (drive - total * v) / (cm + delta * total)
//
// so with g the gradient of v' and a = g * delta / (cm + delta * total): that of drive is a, of total -a v', of cm
// -a * change, of delta g * change * keep and of v, synapses aside, g * keep, where keep = cm / (cm + delta * total).
//
// The way back needs change and 1 / (cm + delta * total) of each solver step. Forward keeps them for the last samples,
// as many as it is given memory for; before those, backward takes a sample's solver steps again from the states.
// Sequences are worked on in chunks of a layout's `rows`. Chunks go to a number of strands that depends on sizes alone,
// each with sums of its own, added in order at the end: so results have the same bits for any number of threads.
#pragma once

#include "synapses.hpp"
#include "threads.hpp"

namespace liquid {
namespace LIQUID_ISA {

constexpr std::int64_t kMostStrands = 32;

template <class T, class Layout>
class Ltc {
    using V = Vector<T>;
    static constexpr int width = Simd<T>::width;
    using Forward = typename Layout::Forward;
    using Backward = typename Layout::Backward;

    struct Workspace;

  public:
    explicit Ltc(const LtcProblem<T>& problem)
        : p(problem),
          size(Layout::size(p.units)),
          input_size(Layout::size(p.inputs)),
          chunks((p.batch + Layout::rows - 1) / Layout::rows),
          strands(chunks < kMostStrands ? chunks : kMostStrands),
          internal(p.internal),
          sensory(p.sensory),
          constants(3 * size) {
        for (std::int64_t k = 0; k < size; ++k) cm()[k] = T(1);
        for (std::int64_t row = 0; row < Layout::rows; ++row) {
            for (std::int64_t i = 0; i < p.units; ++i) {
                const std::int64_t k = Layout::at(p.units, i, row);
                cm()[k] = p.cm[i];
                leak_drive()[k] = p.leak_drive[i];
                leak()[k] = p.leak[i];
            }
        }
    }

    void forward(T* states, T* kept) {
        struct Call {
            Ltc& self;
            T *states, *kept;
        } call{*this, states, kept};
        liquid::parallel(
            strands, p.threads,
            [](void* call_, std::int64_t strand) {
                auto& call = *static_cast<Call*>(call_);
                Workspace work(call.self, Pass::forward);
                for (std::int64_t chunk = strand; chunk < call.self.chunks; chunk += call.self.strands) {
                    call.self.forward_chunk(chunk, work, call.states, call.kept);
                }
            },
            &call);
    }

    void backward(const T* states, const T* kept, const T* state_gradients, const LtcGradients<T>& gradients) {
        const Backward internal_back(p.internal), sensory_back(p.sensory);
        const std::int64_t internal_size = internal_back.sums_size(), sensory_size = sensory_back.sums_size();
        const std::int64_t strand_size = internal_size + sensory_size + 3 * size;
        Buffer<T> sums(strands * strand_size);
        struct Call {
            Ltc& self;
            const T *states, *kept, *state_gradients;
            const LtcGradients<T>& gradients;
            const Backward &internal, &sensory;
            T* sums;
            std::int64_t strand_size;
        } call{*this, states, kept, state_gradients, gradients, internal_back, sensory_back, sums.get(), strand_size};
        liquid::parallel(
            strands, p.threads,
            [](void* call_, std::int64_t strand) {
                auto& call = *static_cast<Call*>(call_);
                Workspace work(call.self, Pass::backward);
                T* sums = call.sums + strand * call.strand_size;
                for (std::int64_t chunk = strand; chunk < call.self.chunks; chunk += call.self.strands) {
                    call.self.backward_chunk(chunk, work, call.internal, call.sensory, call.states, call.kept,
                                             call.state_gradients, call.gradients, sums);
                }
            },
            &call);
        collect(internal_back, p.internal, sums.get(), strand_size, gradients.internal);
        collect(sensory_back, p.sensory, sums.get() + internal_size, strand_size, gradients.sensory);
        T* const units[3] = {gradients.cm, gradients.leak_drive, gradients.leak};
        for (int kind = 0; kind < 3; ++kind) {
            for (std::int64_t i = 0; i < p.units; ++i) {
                T sum = 0;
                for (std::int64_t strand = 0; strand < strands; ++strand) {
                    const T* values = sums.get() + (strand + 1) * strand_size - (3 - kind) * size;
                    for (std::int64_t row = 0; row < Layout::rows; ++row) sum += values[Layout::at(p.units, i, row)];
                }
                units[kind][i] = sum;
            }
        }
    }

    class Steps final : public Stepper {
      public:
        Steps(const LtcProblem<T>& problem, T* state_) : p(problem), ltc(p), work(ltc, Pass::forward), state(state_) {}
        void step() override {
            for (std::int64_t chunk = 0; chunk < ltc.chunks; ++chunk) ltc.forward_chunk(chunk, work, state, nullptr);
        }

      private:
        const LtcProblem<T> p;
        const Ltc ltc;
        Workspace work;
        T* const state;
    };

  private:
    // What one strand needs at a time. Values are laid out in chunks of rows.
    struct Workspace {
        Buffer<T> deltas;  // of each row: solver step, or its gradient
        Buffer<T> input, delta, held_drive, held_total, drive, total;
        Buffer<T> v;      // state before each solver step, and after the last
        Buffer<T> moves;  // of each solver step: change, and inverse = 1 / (cm + delta * total)
        Buffer<T> g, a, b, a_sum, b_sum, delta_gradient, input_gradient;
        Buffer<std::uint8_t> there;

        Workspace(const Ltc& self, Pass pass)
            : Workspace(self, self.size * self.p.unfolds, pass == Pass::backward ? self.size : 0,
                        pass == Pass::backward ? self.input_size : 0) {}

        Workspace(const Ltc& self, std::int64_t steps, std::int64_t back, std::int64_t input_back)
            : deltas(width > Layout::rows ? width : Layout::rows),
              input(self.input_size),
              delta(self.size),
              held_drive(self.size),
              held_total(self.size),
              drive(self.size),
              total(self.size),
              v(steps + self.size),
              moves(2 * steps),
              g(back),
              a(back),
              b(back),
              a_sum(back),
              b_sum(back),
              delta_gradient(back),
              input_gradient(input_back),
              there(Layout::rows) {}
    };

    T* cm() const { return constants.get(); }
    T* leak_drive() const { return constants.get() + size; }
    T* leak() const { return constants.get() + 2 * size; }

    std::int64_t rows_of(std::int64_t chunk) const {
        const std::int64_t left = p.batch - chunk * Layout::rows;
        return left < Layout::rows ? left : Layout::rows;
    }

    // Input, time and the sums over sensory synapses, all of which a sample's solver steps share. False if no sequence
    // of the chunk has a sample here.
    bool begin_sample(std::int64_t first, std::int64_t rows, std::int64_t t, Workspace& work) const {
        bool any = false, all = true;
        for (std::int64_t row = 0; row < rows; ++row) {
            const std::int64_t sample = (first + row) * p.time + t;
            const bool there = !p.observed || p.observed[sample];
            work.there[row] = there;
            any |= there;
            all &= there;
            // Over no time nothing happens: that is how a state is held.
            work.deltas[row] = there ? p.timespans[sample] / static_cast<T>(p.unfolds) : T(0);
        }
        Layout::spread(work.deltas.get(), p.units, rows, work.delta.get());
        Layout::gather(p.input + (first * p.time + t) * p.inputs, p.time * p.inputs, p.inputs, rows, work.input.get());
        if (!all) {
            for (std::int64_t row = 0; row < rows; ++row) {
                if (work.there[row]) continue;
                for (std::int64_t j = 0; j < p.inputs; ++j) work.input[Layout::at(p.inputs, j, row)] = T(0);
            }
        }
        if (any) {
            Layout::sums(sensory, p.inputs, p.units, rows, work.input.get(), leak_drive(), leak(),
                         work.held_drive.get(), work.held_total.get());
        }
        return any;
    }

    void forward_chunk(std::int64_t chunk, Workspace& work, T* states, T* kept) const {
        const std::int64_t first = chunk * Layout::rows, rows = rows_of(chunk), used = Layout::size(p.units, rows);
        T* v = work.v.get();
        Layout::gather(p.initial + first * p.units, p.units, p.units, rows, v);
        for (std::int64_t t = 0; t < p.time; ++t) {
            T* const to = place(first, rows, t, kept);
            T* const moves = direct(rows, to) ? to : work.moves.get();
            if (begin_sample(first, rows, t, work)) {
                for (std::int64_t step = 0; step < p.unfolds; ++step) take(v, v, moves + 2 * step * used, rows, work);
            } else if (to) {
                clear(moves, 2 * p.unfolds * used);
            }
            Layout::scatter(v, p.time * p.units, p.units, rows, states + (first * p.time + t) * p.units);
            if (to && moves != to) {
                for (std::int64_t n = 0; n < 2 * p.unfolds; ++n) {
                    Layout::pack(moves + n * used, p.units, rows, to + n * rows * p.units);
                }
            }
        }
    }

    // Where what a sample's solver steps leave for the way back is kept, or null.
    template <class Kept>
    Kept* place(std::int64_t first, std::int64_t rows, std::int64_t t, Kept* kept) const {
        const std::int64_t sample = t - (p.time - p.kept_time), numbers = 2 * p.unfolds * p.units;
        return sample < 0 ? nullptr : kept + (first * p.kept_time + sample * rows) * numbers;
    }

    // Whether kept memory can be used as it is: a chunk without padding, and aligned.
    bool direct(std::int64_t rows, const T* kept) const {
        return kept && Layout::size(p.units, rows) == rows * p.units && reinterpret_cast<std::uintptr_t>(kept) % 64 == 0;
    }

    // A solver step from v to next, which may be the same. It leaves its change, then its inverse.
    void take(const T* v, T* next, T* move, std::int64_t rows, Workspace& work) const {
        const std::int64_t used = Layout::size(p.units, rows);
        Layout::sums(internal, p.units, p.units, rows, v, work.held_drive.get(), work.held_total.get(),
                     work.drive.get(), work.total.get());
        for (std::int64_t k = 0; k < used; k += width) {
            const V delta = load(&work.delta[k]), total = load(&work.total[k]), old = load(v + k);
            const V inverse = T(1) / fma(delta, total, load(cm() + k));
            const V change = fnma(total, old, load(&work.drive[k])) * inverse;
            store(move + k, change);
            store(move + used + k, inverse);
            store(next + k, fma(delta, change, old));
        }
    }

    void backward_chunk(std::int64_t chunk, Workspace& work, const Backward& internal_back,
                        const Backward& sensory_back, const T* states, const T* kept, const T* state_gradients,
                        const LtcGradients<T>& gradients, T* sums) const {
        const std::int64_t first = chunk * Layout::rows, rows = rows_of(chunk), used = Layout::size(p.units, rows);
        T* sensory_sums = sums + internal_back.sums_size();
        T* cm_sum = sensory_sums + sensory_back.sums_size();
        T *leak_drive_sum = cm_sum + size, *leak_sum = leak_drive_sum + size;
        T* g = work.g.get();
        clear(g, used);
        for (std::int64_t t = p.time - 1; t >= 0; --t) {
            Layout::gather(state_gradients + (first * p.time + t) * p.units, p.time * p.units, p.units, rows,
                           work.a.get());
            for (std::int64_t k = 0; k < used; k += width) store(g + k, load(g + k) + load(&work.a[k]));
            clear(work.delta_gradient.get(), used);
            clear(work.input_gradient.get(), Layout::size(p.inputs, rows));
            if (begin_sample(first, rows, t, work)) {
                if (t > 0) {
                    Layout::gather(states + (first * p.time + t - 1) * p.units, p.time * p.units, p.units, rows, work.v.get());
                } else {
                    Layout::gather(p.initial + first * p.units, p.units, p.units, rows, work.v.get());
                }
                const T* moves = retake(place(first, rows, t, kept), rows, work);
                clear(work.a_sum.get(), used);
                clear(work.b_sum.get(), used);
                for (std::int64_t step = p.unfolds - 1; step >= 0; --step) {
                    const T* v = &work.v[step * used];
                    undo(v + used, moves + 2 * step * used, used, work, cm_sum);
                    Layout::pull(internal_back, p.units, p.units, rows, v, work.a.get(),
                                 work.b.get(), g, sums);
                }
                for (std::int64_t k = 0; k < used; k += width) {
                    store(leak_drive_sum + k, load(leak_drive_sum + k) + load(&work.a_sum[k]));
                    store(leak_sum + k, load(leak_sum + k) + load(&work.b_sum[k]));
                }
                Layout::pull(sensory_back, p.inputs, p.units, rows, work.input.get(), work.a_sum.get(),
                             work.b_sum.get(), work.input_gradient.get(), sensory_sums);
            }
            Layout::scatter(work.input_gradient.get(), p.time * p.inputs, p.inputs, rows,
                    gradients.input + (first * p.time + t) * p.inputs);
            Layout::row_sums(work.delta_gradient.get(), p.units, rows, work.deltas.get());
            for (std::int64_t row = 0; row < rows; ++row) {
                const T sum = work.deltas[row] / static_cast<T>(p.unfolds);
                gradients.timespans[(first + row) * p.time + t] = work.there[row] ? sum : T(0);
            }
        }
        Layout::scatter(g, p.units, p.units, rows, gradients.initial + first * p.units);
    }

    // A sample's solver steps again, from what forward kept of them if it did. Returns what they leave.
    const T* retake(const T* from, std::int64_t rows, Workspace& work) const {
        const std::int64_t used = Layout::size(p.units, rows);
        T *v = work.v.get(), *moves = work.moves.get();
        if (!from) {
            for (std::int64_t step = 0; step < p.unfolds; ++step, v += used) {
                take(v, v + used, moves + 2 * step * used, rows, work);
            }
            return moves;
        }
        if (!direct(rows, from)) {
            for (std::int64_t n = 0; n < 2 * p.unfolds; ++n) {
                Layout::unpack(from + n * rows * p.units, p.units, rows, moves + n * used);
            }
            from = moves;
        }
        for (std::int64_t step = 0; step < p.unfolds; ++step, v += used) {
            const T* change = from + 2 * step * used;
            for (std::int64_t k = 0; k < used; k += width) {
                store(v + used + k, fma(load(&work.delta[k]), load(change + k), load(v + k)));
            }
        }
        return from;
    }

    // Through a solver step backwards, synapses aside.
    void undo(const T* next, const T* move, std::int64_t used, Workspace& work, T* cm_sum) const {
        for (std::int64_t k = 0; k < used; k += width) {
            const V g = load(&work.g[k]), change = load(move + k), inverse = load(move + used + k);
            const V keep = load(cm() + k) * inverse;
            const V a = g * (load(&work.delta[k]) * inverse), b = -a * load(next + k);
            store(&work.a[k], a);
            store(&work.b[k], b);
            store(&work.a_sum[k], load(&work.a_sum[k]) + a);
            store(&work.b_sum[k], load(&work.b_sum[k]) + b);
            store(cm_sum + k, fnma(a, change, load(cm_sum + k)));
            store(&work.delta_gradient[k], fma(g * change, keep, load(&work.delta_gradient[k])));
            store(&work.g[k], g * keep);
        }
    }

    // Gradients of a synapse's parameters from its four sums, over all strands.
    void collect(const Backward& order, const Synapses<T>& synapses, const T* sums, std::int64_t strand_size,
                 const SynapseGradients<T>& gradients) const {
        Buffer<T> totals(4 * synapses.count);
        for (std::int64_t strand = 0; strand < strands; ++strand) {
            order.collect(sums + strand * strand_size, totals.get());
        }
        for (std::int64_t s = 0; s < synapses.count; ++s) {
            const T* total = totals.get() + 4 * s;
            gradients.w_erev[s] = total[0];
            gradients.w[s] = total[1];
            gradients.mu[s] = static_cast<T>(kLn2) * total[2];
            gradients.sigma[s] = (total[3] - synapses.mu[s] * total[2]) / scale_of(synapses, s);
        }
    }

    static void clear(T* values, std::int64_t count) {
        __builtin_memset(values, 0, static_cast<std::size_t>(count) * sizeof(T));
    }

    const LtcProblem<T>& p;
    const std::int64_t size, input_size, chunks, strands;
    const Forward internal, sensory;
    const Buffer<T> constants;
};

// Whether one sequence per lane takes fewer vectors of synapses than one neuron per lane.
template <class T>
bool batch_in_lanes(const LtcProblem<T>& p) {
    if (p.layout != Layout::fastest) return p.layout == Layout::batch_lanes;
    const auto cost = [&](auto price) {
        return static_cast<double>(p.unfolds) * price(p.internal, p.batch) + price(p.sensory, p.batch);
    };
    return cost(BatchLanes<T>::cost) < cost(UnitLanes<T>::cost);
}

template <class T>
void ltc_forward(const LtcProblem<T>& p, T* states, T* kept) {
    if (batch_in_lanes(p)) {
        Ltc<T, BatchLanes<T>>(p).forward(states, kept);
    } else {
        Ltc<T, UnitLanes<T>>(p).forward(states, kept);
    }
}

template <class T>
void ltc_backward(const LtcProblem<T>& p, const T* states, const T* kept, const T* state_gradients,
                  const LtcGradients<T>& gradients) {
    if (batch_in_lanes(p)) {
        Ltc<T, BatchLanes<T>>(p).backward(states, kept, state_gradients, gradients);
    } else {
        Ltc<T, UnitLanes<T>>(p).backward(states, kept, state_gradients, gradients);
    }
}

template <class T>
Stepper* ltc_steps(const LtcProblem<T>& p, T* state) {
    if (batch_in_lanes(p)) return new typename Ltc<T, BatchLanes<T>>::Steps(p, state);
    return new typename Ltc<T, UnitLanes<T>>::Steps(p, state);
}

}  // namespace LIQUID_ISA
}  // namespace liquid
