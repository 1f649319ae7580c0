// Liquid-resistance liquid-capacitance networks and their kin: whole sequences, forward and backward.
//
// The recurrence is that of src/liquidrnn/kernels/lrc/reference.py, which defines it. One solver step is
//
//     v' = v + rate * change,   change = potential * tanh(drive) - leak * v,   leak = sigmoid(total)
//     rate = length / (1 + length * leak), or the smaller of length and 1 if explicit
//     length = delta * e,   e = elastance(gate)
//
// where drive, total and gate are sums over synapses: of k s, w s, and o times the presynaptic value. With g the
// gradient of v', that of the product potential * tanh is a = g * rate, of leak -a v', or -a v if explicit, of length
// g * change * keep^2, or g * change unless cut, and of v, synapses aside, g * keep, where keep = 1 - rate * leak.
//
// Forward keeps the three sums of each solver step, so that the backward pass opens each synapse once.
#pragma once

#include "functions.hpp"
#include "sequences.hpp"

namespace liquid {
namespace LIQUID_ISA {

template <class T, class Layout>
class Lrc {
    using V = Vector<T>;
    static constexpr int width = Simd<T>::width;
    using Forward = typename Layout::Forward;
    using Backward = typename Layout::Backward;
    using Weights = typename Layout::Weights;
    using Chunked = Chunks<T, Layout>;
    using Rows = typename Chunked::Rows;
    using Member = typename Chunked::Member;
    struct Taken;
    template <class Order>
    struct Orders;

  public:
    explicit Lrc(const LrcProblem<T>& problem)
        : p(problem),
          chunks(p.sequences),
          size(chunks.size),
          units(chunks.of.units),
          inputs(chunks.of.inputs),
          unfolds(chunks.of.unfolds),
          gates(p.bias ? 3 : 2),
          constants(4 * size) {
        const T* const values[4] = {p.leak, p.potential, p.bias, p.kappa};
        for (int kind = 0; kind < 4; ++kind) chunks.fill(values[kind], constants.get() + kind * size);
    }

    void forward(T* states, T* kept) const {
        const Forward internal(p.internal), sensory(p.sensory);
        const Weights internal_o(internal, p.internal_o), sensory_o(sensory, p.sensory_o);
        const Orders<Forward> orders{internal, sensory, internal_o, sensory_o};
        const auto run = [&](Rows rows, Member& member, Taken& work, std::int64_t) {
            take(rows, orders, member, work, states, kept);
        };
        chunks.template each_chunk<Taken>(internal, sensory, run, *this);
    }

    void backward(const T* states, const T* kept, const T* state_gradients, const LrcGradients<T>& gradients) const {
        const Backward internal(p.internal), sensory(p.sensory);
        const Weights internal_o(internal, p.internal_o), sensory_o(sensory, p.sensory_o);
        const Orders<Backward> orders{internal, sensory, internal_o, sensory_o};
        // Of each strand: of internal synapses, of sensory ones, of their weights o, of leak, potential, bias, kappa.
        const std::int64_t sizes[5] = {internal.sums_size(), sensory.sums_size(), internal_o.sums_size(),
                                       sensory_o.sums_size(), 4 * size};
        std::int64_t starts[6] = {};
        for (int part = 0; part < 5; ++part) starts[part + 1] = starts[part] + sizes[part];
        const std::int64_t strand_size = starts[5];
        Buffer<T> sums(chunks.strands * strand_size);
        const auto run = [&](Rows rows, Member& member, Undone& work, std::int64_t strand) {
            T* own = sums.get() + strand * strand_size;
            const Sums parts{own + starts[0], own + starts[1], own + starts[2], own + starts[3], own + starts[4]};
            undo(rows, orders, member, work, states, kept, state_gradients, gradients, parts);
        };
        chunks.template each_chunk<Undone>(internal, sensory, run, *this);
        chunks.total(internal, p.internal, sums.get(), strand_size, gradients.internal);
        chunks.total(sensory, p.sensory, sums.get() + starts[1], strand_size, gradients.sensory);
        total(internal, internal_o, p.internal.count, sums.get() + starts[2], strand_size, gradients.internal_o);
        total(sensory, sensory_o, p.sensory.count, sums.get() + starts[3], strand_size, gradients.sensory_o);
        T* const of_units[4] = {gradients.leak, gradients.potential, gradients.bias, gradients.kappa};
        for (int kind = 0; kind < 4; ++kind) {
            chunks.total(sums.get() + starts[4] + kind * size, strand_size, of_units[kind]);
        }
    }

    class Steps final : public Stepper {
      public:
        Steps(const LrcProblem<T>& problem, T* state_)
            : p(problem),
              lrc(p),
              internal(p.internal),
              sensory(p.sensory),
              internal_o(internal, p.internal_o),
              sensory_o(sensory, p.sensory_o),
              member(lrc.chunks, alone, internal, sensory),
              work(lrc),
              state(state_) {}
        void step() override {
            const Orders<Forward> orders{internal, sensory, internal_o, sensory_o};
            for (std::int64_t chunk = 0; chunk < lrc.chunks.count; ++chunk) {
                lrc.take(lrc.chunks.rows(chunk), orders, member, work, state, nullptr);
            }
        }

      private:
        const LrcProblem<T> p;
        const Lrc lrc;
        const Forward internal, sensory;
        const Weights internal_o, sensory_o;
        const Team alone;
        Member member;
        Taken work;
        T* const state;
    };

  private:
    template <class Order>
    struct Orders {
        const Order &internal, &sensory;
        const Weights &internal_o, &sensory_o;
    };

    struct Sums {
        T *internal, *sensory, *internal_o, *sensory_o, *units;
    };

    // What a strand needs on its way forward, its team in common. Sums are (drive, total, gate), each as large as a
    // chunk.
    struct Taken {
        Buffer<T> v, next, held, sums;

        explicit Taken(const Lrc& self)
            : v(self.size), next(self.size), held(self.gates * self.size), sums(self.gates * self.size) {}
    };

    // And backward; of each solver step: its sums, the state before it, and what rates() found.
    struct Undone {
        Buffer<T> sums, v, rates;
        Buffer<T> g, upstream, pulled, all_pulled;  // the latter two: gradients of sums, twice, and all of a sample's
        Buffer<T> delta_gradient, input_gradient;

        explicit Undone(const Lrc& self)
            : sums(self.gates * self.size),
              v(self.unfolds * self.size),
              rates(self.unfolds * kRates * self.size),
              g(self.size),
              upstream(self.size),
              pulled(2 * self.gates * self.size),
              all_pulled(self.gates * self.size),
              delta_gradient(self.size),
              input_gradient(self.chunks.input_size) {}
    };

    static constexpr int kRates = 5;
    struct Rates {
        V leak, drive;                         // sigmoid and tanh
        V elastance, gate_slope, kappa_slope;  // and its derivatives; only with an elastance
    };

    LIQUID_INLINE const T* constant(int kind, std::int64_t k) const { return constants.get() + kind * size + k; }

    LIQUID_INLINE Rates rates(const T* sums, std::int64_t k) const {
        Rates found{sigmoid<T>(load(sums + size + k)), hyperbolic_tangent<T>(load(sums + k)), {}, {}, {}};
        if (p.kappa) {
            // Even in the gate; on the side where both sigmoids are small their difference does not cancel.
            const V gate = load(sums + 2 * size + k), kappa = load(constant(3, k));
            const V even = gate > T(0) ? -gate : gate;
            const V low = sigmoid<T>(even + kappa), high = sigmoid<T>(even - kappa);
            const V low_slope = fnma(low, low, low), high_slope = fnma(high, high, high);
            const V slope = low_slope - high_slope;
            found.elastance = low - high;
            found.gate_slope = gate > T(0) ? -slope : gate < T(0) ? slope : broadcast(T(0));
            found.kappa_slope = low_slope + high_slope;
        } else if (p.bias) {
            found.elastance = sigmoid<T>(load(sums + 2 * size + k));
            found.gate_slope = fnma(found.elastance, found.elastance, found.elastance);
        }
        return found;
    }

    struct Step {
        V length, change, rate;
    };

    LIQUID_INLINE Step step(V v, V delta, V potential, V leak, V drive, V elastance) const {
        const V length = p.bias ? delta * elastance : delta;
        const V change = fnma(leak, v, potential * drive);
        const V one = broadcast(T(1));
        const V rate = p.explicit_steps ? (length > one ? one : length) : length / fma(length, leak, one);
        return {length, change, rate};
    }

    void take(Rows rows, const Orders<Forward>& orders, Member& my, Taken& work, T* states, T* kept) const {
        T *v = work.v.get(), *next = work.next.get(), *held = work.held.get(), *sums = work.sums.get();
        const T* input = my.sample.input.get();
        chunks.state_before(states, rows, 0, my.units, v);
        my.team.wait();
        for (std::int64_t t = 0; t < chunks.of.time; ++t) {
            chunks.begin(rows, t, my, v);
            if (chunks.read(rows, t, my.sample)) {
                chunks.set_aside(rows, my, v);
                Layout::sums(orders.sensory, inputs, units, rows.count, my.units, input, constant(0, 0), constant(0, 0),
                             held, held + size);
                if (p.bias) {
                    Layout::linear(orders.sensory, orders.sensory_o, inputs, units, rows.count, my.units, input,
                                   constant(2, 0), held + 2 * size);
                }
                for (std::int64_t n = 0; n < unfolds; ++n) {
                    Layout::sums(orders.internal, units, units, rows.count, my.units, v, held, held + size, sums,
                                 sums + size);
                    if (p.bias) {
                        Layout::linear(orders.internal, orders.internal_o, units, units, rows.count, my.units, v,
                                       held + 2 * size, sums + 2 * size);
                    }
                    if (kept) keep(sums, rows, t, n, my.units, kept);
                    chunks.each_unit(rows, my.units, [&](std::int64_t k) {
                        const Rates r = rates(sums, k);
                        const V old = load(v + k), potential = load(constant(1, k));
                        const Step s = step(old, load(&my.sample.delta[k]), potential, r.leak, r.drive, r.elastance);
                        store(next + k, fma(s.rate, s.change, old));
                    });
                    my.team.wait();
                    T* const old = v;
                    v = next;
                    next = old;
                }
                chunks.put_back(states, rows, t, my, v);
            } else if (kept && my.team.first()) {
                for (std::int64_t row = 0; row < rows.count; ++row) {
                    clear(kept + kept_at(rows.first + row, t, 0), unfolds * gates * units);
                }
            }
            chunks.scatter(v, units, rows, t, my.units, states);
        }
    }

    // Place of a solver step's sums in an array (batch, time, unfolds, gates, units).
    std::int64_t kept_at(std::int64_t row, std::int64_t t, std::int64_t n) const {
        return ((row * chunks.of.time + t) * unfolds + n) * gates * units;
    }

    void keep(const T* sums, Rows rows, std::int64_t t, std::int64_t n, Part part, T* kept) const {
        const std::int64_t stride = kept_at(1, 0, 0);
        for (std::int64_t gate = 0; gate < gates; ++gate) {
            Layout::scatter(sums + gate * size, stride, units, rows.count, part,
                            kept + kept_at(rows.first, t, n) + gate * units);
        }
    }

    void recall(const T* kept, Rows rows, std::int64_t t, std::int64_t n, Part part, T* sums) const {
        const std::int64_t stride = kept_at(1, 0, 0);
        for (std::int64_t gate = 0; gate < gates; ++gate) {
            Layout::gather(kept + kept_at(rows.first, t, n) + gate * units, stride, units, rows.count, part,
                           sums + gate * size);
        }
    }

    void undo(Rows rows, const Orders<Backward>& orders, Member& my, Undone& work, const T* states, const T* kept,
              const T* state_gradients, const LrcGradients<T>& gradients, const Sums& sums) const {
        const V zero = broadcast(T(0));
        const T* input = my.sample.input.get();
        T *g = work.g.get(), *all = work.all_pulled.get();
        chunks.each_unit(rows, my.units, [&](std::int64_t k) { store(g + k, zero); });
        for (std::int64_t t = chunks.of.time - 1; t >= 0; --t) {
            chunks.gather(state_gradients, units, rows, t, my.units, work.upstream.get());
            chunks.each_unit(rows, my.units, [&](std::int64_t k) {
                store(g + k, load(g + k) + load(&work.upstream[k]));
                store(&work.delta_gradient[k], zero);
                for (std::int64_t gate = 0; gate < gates; ++gate) store(all + gate * size + k, zero);
            });
            chunks.each_input(rows, my.inputs, [&](std::int64_t k) { store(&work.input_gradient[k], zero); });
            const bool any = chunks.read(rows, t, my.sample);
            if (any) {
                chunks.state_before(states, rows, t, my.units, work.v.get());
                chunks.clear_absent(rows, my.units, my.sample, work.v.get());
                chunks.set_aside(rows, my, g, work.upstream.get());
                for (std::int64_t n = 0; n < unfolds; ++n) {
                    recall(kept, rows, t, n, my.units, work.sums.get());
                    retake(n, rows, my, work);
                }
                for (std::int64_t n = unfolds - 1; n >= 0; --n) {
                    const T* v = &work.v[n * size];
                    // Two of them: others may still read those of the step before.
                    T* pulled = &work.pulled[n % 2 * gates * size];
                    undo_step(n, rows, my, work, pulled, sums.units);
                    my.team.wait();
                    Layout::pull(orders.internal, units, units, rows.count, my.units, v, pulled, pulled + size, g,
                                 sums.internal);
                    if (p.bias) {
                        Layout::pull_linear(orders.internal, orders.internal_o, units, units, rows.count, my.units, v,
                                            pulled + 2 * size, g, sums.internal_o);
                    }
                }
                chunks.each_unit(rows, my.units, [&](std::int64_t k) {
                    T *leak = sums.units + k, *bias = sums.units + 2 * size + k;
                    store(leak, load(leak) + load(all + k) + load(all + size + k));
                    if (p.bias) store(bias, load(bias) + load(all + 2 * size + k));
                });
                Layout::pull(orders.sensory, inputs, units, rows.count, my.inputs, input, all, all + size,
                             work.input_gradient.get(), sums.sensory);
                if (p.bias) {
                    Layout::pull_linear(orders.sensory, orders.sensory_o, inputs, units, rows.count, my.inputs, input,
                                        all + 2 * size, work.input_gradient.get(), sums.sensory_o);
                }
                chunks.put_back(rows, my, work.upstream.get(), g);
            }
            chunks.begin(rows, t, my.units, g);
            chunks.hand_on(rows, t, any, my, work.input_gradient.get(), work.delta_gradient.get(), gradients.input,
                           gradients.timespans);
        }
        Layout::scatter(g, units, units, rows.count, my.units, gradients.initial + rows.first * units);
    }

    // A solver step again, from its sums.
    void retake(std::int64_t n, Rows rows, const Member& my, Undone& work) const {
        chunks.each_unit(rows, my.units, [&](std::int64_t k) {
            const Rates r = rates(work.sums.get(), k);
            T* to = &work.rates[n * kRates * size + k];
            store(to, r.leak);
            store(to + size, r.drive);
            if (p.bias) {
                store(to + 2 * size, r.elastance);
                store(to + 3 * size, r.gate_slope);
                store(to + 4 * size, r.kappa_slope);
            }
            if (n + 1 == unfolds) return;
            const V old = load(&work.v[n * size + k]), potential = load(constant(1, k));
            const Step s = step(old, load(&my.sample.delta[k]), potential, r.leak, r.drive, r.elastance);
            store(&work.v[(n + 1) * size + k], fma(s.rate, s.change, old));
        });
    }

    // Through a solver step backwards, synapses aside.
    void undo_step(std::int64_t n, Rows rows, const Member& my, Undone& work, T* pulled, T* unit_sums) const {
        const auto add = [](T* to, V value) { store(to, load(to) + value); };
        const V one = broadcast(T(1));
        chunks.each_unit(rows, my.units, [&](std::int64_t k) {
            const T* from = &work.rates[n * kRates * size + k];
            const V leak = load(from), drive = load(from + size), elastance = load(from + 2 * size);
            const V v = load(&work.v[n * size + k]), delta = load(&my.sample.delta[k]), g = load(&work.g[k]);
            const V potential = load(constant(1, k));
            const Step s = step(v, delta, potential, leak, drive, elastance);
            const V keep = p.explicit_steps ? fnma(s.rate, leak, one) : T(1) / fma(s.length, leak, one);
            const V a = g * s.rate;
            const V reached = p.explicit_steps ? v : fma(s.rate, s.change, v);
            const V total = -a * reached * fnma(leak, leak, leak);
            const V product = a * potential * fnma(drive, drive, one);
            V length = g * s.change;
            if (p.explicit_steps) {
                length = s.length > one ? broadcast(T(0)) : length;
            } else {
                length *= keep * keep;
            }
            store(&work.g[k], g * keep);
            store(pulled + k, product);
            store(pulled + size + k, total);
            add(&work.all_pulled[k], product);
            add(&work.all_pulled[size + k], total);
            add(unit_sums + size + k, a * drive);
            if (p.bias) {
                const V by_elastance = length * delta, gate = by_elastance * load(from + 3 * size);
                store(pulled + 2 * size + k, gate);
                add(&work.all_pulled[2 * size + k], gate);
                if (p.kappa) add(unit_sums + 3 * size + k, by_elastance * load(from + 4 * size));
                length *= elastance;
            }
            add(&work.delta_gradient[k], length);
        });
    }

    // Gradients of the weights o.
    void total(const Backward& order, const Weights& weights, std::int64_t count, const T* sums,
               std::int64_t strand_size, T* gradient) const {
        if (!gradient) return;
        for (std::int64_t s = 0; s < count; ++s) gradient[s] = 0;
        for (std::int64_t strand = 0; strand < chunks.strands; ++strand) {
            weights.collect(order, sums + strand * strand_size, gradient);
        }
    }

    const LrcProblem<T>& p;
    const Chunked chunks;
    const std::int64_t size, units, inputs, unfolds, gates;
    const Buffer<T> constants;  // leak, potential, bias and kappa, each as large as a chunk
};

template <class T>
void lrc_forward(const LrcProblem<T>& p, T* states, T* kept) {
    in_best_layout<Lrc, T>(p, [&](const auto& lrc) { lrc.forward(states, kept); });
}

template <class T>
void lrc_backward(const LrcProblem<T>& p, const T* states, const T* kept, const T* state_gradients,
                  const LrcGradients<T>& gradients) {
    in_best_layout<Lrc, T>(p, [&](const auto& lrc) { lrc.backward(states, kept, state_gradients, gradients); });
}

template <class T>
Stepper* lrc_steps(const LrcProblem<T>& p, T* state) {
    return steps_in_best_layout<Lrc, T>(p, state);
}

}  // namespace LIQUID_ISA
}  // namespace liquid
