// Liquid time-constant networks: whole sequences, forward and backward, all solver steps of a sample in one go.
//
// The recurrence is that of src/liquidrnn/kernels/ltc/reference.py, which defines it. One solver step is
//
//     v' = v + delta * change,    change = (drive - total * v) / (cm + delta * total)
//
// so with g the gradient of v' and a = g * delta / (cm + delta * total): that of drive is a, of total -a v', of cm
// -a * change, of delta g * change * keep and of v, synapses aside, g * keep, where keep = cm / (cm + delta * total).
//
// The backward pass needs change and 1 / (cm + delta * total) of each solver step. Forward keeps them for the last samples,
// as many as it is given memory for; before those, backward takes a sample's solver steps again from the states.
#pragma once

#include "sequences.hpp"

namespace liquid {
namespace LIQUID_ISA {

template <class T, class Layout>
class Ltc {
    using V = Vector<T>;
    static constexpr int width = Simd<T>::width;
    using Forward = typename Layout::Forward;
    using Backward = typename Layout::Backward;
    using Chunked = Chunks<T, Layout>;
    using Rows = typename Chunked::Rows;
    using Member = typename Chunked::Member;

  public:
    explicit Ltc(const LtcProblem<T>& problem)
        : p(problem),
          chunks(p.sequences),
          size(chunks.size),
          units(chunks.of.units),
          inputs(chunks.of.inputs),
          unfolds(chunks.of.unfolds),
          internal(p.internal),
          sensory(p.sensory),
          constants(3 * size) {
        for (std::int64_t k = 0; k < size; ++k) cm()[k] = T(1);  // or padding would be divided by 0
        chunks.fill(p.cm, cm());
        chunks.fill(p.leak_drive, leak_drive());
        chunks.fill(p.leak, leak());
    }

    // What a strand needs at a time, its team in common. Values are laid out in chunks of rows.
    struct Workspace {
        Buffer<T> held_drive, held_total, drive, total;
        Buffer<T> v;      // state before each solver step, and after the last
        Buffer<T> moves;  // of each solver step: change, and inverse = 1 / (cm + delta * total)
        Buffer<T> g, upstream, a, b, a_sum, b_sum, delta_gradient, input_gradient;  // the backward pass

        Workspace(const Ltc& self, Pass pass)
            : Workspace(self, self.size * self.unfolds, pass == Pass::backward ? self.size : 0,
                        pass == Pass::backward ? self.chunks.input_size : 0) {}

      private:
        Workspace(const Ltc& self, std::int64_t steps, std::int64_t back, std::int64_t input_back)
            : held_drive(self.size),
              held_total(self.size),
              drive(self.size),
              total(self.size),
              v(steps + self.size),
              moves(2 * steps),
              g(back),
              upstream(back),
              a(2 * back),
              b(2 * back),
              a_sum(back),
              b_sum(back),
              delta_gradient(back),
              input_gradient(input_back) {}
    };

    void forward(T* states, T* kept) const {
        const auto run = [&](Rows rows, Member& member, Workspace& work, std::int64_t) {
            forward_chunk(rows, member, work, states, kept);
        };
        chunks.template each_chunk<Workspace>(internal, sensory, run, *this, Pass::forward);
    }

    void backward(const T* states, const T* kept, const T* state_gradients, const LtcGradients<T>& gradients) const {
        const Backward internal_back(p.internal), sensory_back(p.sensory);
        const std::int64_t internal_size = internal_back.sums_size(), sensory_size = sensory_back.sums_size();
        const std::int64_t of_units = internal_size + sensory_size, strand_size = of_units + 3 * size;
        Buffer<T> sums(chunks.strands * strand_size);
        const auto run = [&](Rows rows, Member& member, Workspace& work, std::int64_t strand) {
            backward_chunk(rows, member, work, internal_back, sensory_back, states, kept, state_gradients, gradients,
                           sums.get() + strand * strand_size);
        };
        chunks.template each_chunk<Workspace>(internal_back, sensory_back, run, *this, Pass::backward);
        chunks.total(internal_back, p.internal, sums.get(), strand_size, gradients.internal);
        chunks.total(sensory_back, p.sensory, sums.get() + internal_size, strand_size, gradients.sensory);
        T* const totals[3] = {gradients.cm, gradients.leak_drive, gradients.leak};
        for (int kind = 0; kind < 3; ++kind) {
            chunks.total(sums.get() + of_units + kind * size, strand_size, totals[kind]);
        }
    }

    void forward_chunk(Rows rows, Member& my, Workspace& work, T* states, T* kept) const {
        const std::int64_t used = Layout::size(units, rows.count);
        T *v = work.v.get(), *next = v + size;
        chunks.state_before(states, rows, 0, my.units, v);
        my.team.wait();
        for (std::int64_t t = 0; t < chunks.of.time; ++t) {
            T* const to = place(rows, t, kept);
            T* const moves = direct(rows, to) ? to : work.moves.get();
            chunks.begin(rows, t, my, v);
            if (chunks.read(rows, t, my.sample, longest_step<T>())) {
                chunks.set_aside(rows, my, v);
                sense(rows, my, work);
                for (std::int64_t step = 0; step < unfolds; ++step) {
                    take(v, next, moves + 2 * step * used, rows, my, work);
                    my.team.wait();
                    T* const old = v;
                    v = next;
                    next = old;
                }
                chunks.put_back(states, rows, t, my, v);
            } else if (to && my.team.first()) {
                clear(moves, 2 * unfolds * used);
            }
            chunks.scatter(v, units, rows, t, my.units, states);
            if (to && moves != to) {
                for (std::int64_t n = 0; n < 2 * unfolds && my.team.first(); ++n) {
                    Layout::pack(moves + n * used, units, rows.count, to + n * rows.count * units);
                }
                my.team.wait();
            }
        }
    }

    class Steps final : public Stepper {
      public:
        Steps(const LtcProblem<T>& problem, T* state_)
            : p(problem),
              ltc(p),
              member(ltc.chunks, alone, ltc.internal, ltc.sensory),
              work(ltc, Pass::forward),
              state(state_) {}
        void step() override {
            for (std::int64_t chunk = 0; chunk < ltc.chunks.count; ++chunk) {
                ltc.forward_chunk(ltc.chunks.rows(chunk), member, work, state, nullptr);
            }
        }

      private:
        const LtcProblem<T> p;
        const Ltc ltc;
        const Team alone;
        Member member;
        Workspace work;
        T* const state;
    };

  private:
    T* cm() const { return constants.get(); }
    T* leak_drive() const { return constants.get() + size; }
    T* leak() const { return constants.get() + 2 * size; }

    // Where what a sample's solver steps leave for the backward pass is kept, or null.
    template <class Kept>
    Kept* place(Rows rows, std::int64_t t, Kept* kept) const {
        const std::int64_t sample = t - (chunks.of.time - p.kept_time), numbers = 2 * unfolds * units;
        return sample < 0 ? nullptr : kept + (rows.first * p.kept_time + sample * rows.count) * numbers;
    }

    // Whether kept memory can be used as it is: a chunk without padding, and aligned.
    bool direct(Rows rows, const T* kept) const {
        return kept && Layout::size(units, rows.count) == rows.count * units &&
               reinterpret_cast<std::uintptr_t>(kept) % 64 == 0;
    }

    // The sums over sensory synapses, which a sample's solver steps share.
    void sense(Rows rows, const Member& my, Workspace& work) const {
        Layout::sums(sensory, inputs, units, rows.count, my.units, my.sample.input.get(), leak_drive(), leak(),
                     work.held_drive.get(), work.held_total.get());
    }

    // A solver step of this member's units, from v to next. It leaves its change, then its inverse.
    void take(const T* v, T* next, T* move, Rows rows, const Member& my, Workspace& work) const {
        const std::int64_t used = Layout::size(units, rows.count);
        Layout::sums(internal, units, units, rows.count, my.units, v, work.held_drive.get(), work.held_total.get(),
                     work.drive.get(), work.total.get());
        chunks.each_unit(rows, my.units, [&](std::int64_t k) {
            const V delta = load(&my.sample.delta[k]), total = load(&work.total[k]), old = load(v + k);
            const V inverse = T(1) / fma(delta, total, load(cm() + k));
            const V change = fnma(total, old, load(&work.drive[k])) * inverse;
            store(move + k, change);
            store(move + used + k, inverse);
            store(next + k, fma(delta, change, old));
        });
    }

    void backward_chunk(Rows rows, Member& my, Workspace& work, const Backward& internal_back,
                        const Backward& sensory_back, const T* states, const T* kept, const T* state_gradients,
                        const LtcGradients<T>& gradients, T* sums) const {
        const std::int64_t used = Layout::size(units, rows.count);
        const V zero = broadcast(T(0));
        T* sensory_sums = sums + internal_back.sums_size();
        T* cm_sum = sensory_sums + sensory_back.sums_size();
        T *leak_drive_sum = cm_sum + size, *leak_sum = leak_drive_sum + size;
        T* g = work.g.get();
        chunks.each_unit(rows, my.units, [&](std::int64_t k) { store(g + k, zero); });
        for (std::int64_t t = chunks.of.time - 1; t >= 0; --t) {
            chunks.gather(state_gradients, units, rows, t, my.units, work.upstream.get());
            chunks.each_unit(rows, my.units, [&](std::int64_t k) {
                store(g + k, load(g + k) + load(&work.upstream[k]));
                store(&work.delta_gradient[k], zero);
                store(&work.a_sum[k], zero);
                store(&work.b_sum[k], zero);
            });
            chunks.each_input(rows, my.inputs, [&](std::int64_t k) { store(&work.input_gradient[k], zero); });
            const bool any = chunks.read(rows, t, my.sample, longest_step<T>());
            if (any) {
                chunks.state_before(states, rows, t, my.units, work.v.get());
                chunks.clear_absent(rows, my.units, my.sample, work.v.get());
                chunks.set_aside(rows, my, g, work.upstream.get());
                const T* moves = retake(place(rows, t, kept), rows, my, work);
                for (std::int64_t step = unfolds - 1; step >= 0; --step) {
                    const T* v = &work.v[step * used];
                    // Two of each: others may still read those of the step before.
                    T *a = &work.a[step % 2 * size], *b = &work.b[step % 2 * size];
                    undo(v + used, moves + 2 * step * used, a, b, rows, my, work, cm_sum);
                    my.team.wait();
                    Layout::pull(internal_back, units, units, rows.count, my.units, v, a, b, g, sums);
                }
                chunks.each_unit(rows, my.units, [&](std::int64_t k) {
                    store(leak_drive_sum + k, load(leak_drive_sum + k) + load(&work.a_sum[k]));
                    store(leak_sum + k, load(leak_sum + k) + load(&work.b_sum[k]));
                });
                Layout::pull(sensory_back, inputs, units, rows.count, my.inputs, my.sample.input.get(),
                             work.a_sum.get(), work.b_sum.get(), work.input_gradient.get(), sensory_sums);
                chunks.put_back(rows, my, work.upstream.get(), g);
            }
            chunks.begin(rows, t, my.units, g);
            chunks.hand_on(rows, t, any, my, work.input_gradient.get(), work.delta_gradient.get(), gradients.input,
                           gradients.timespans);
        }
        Layout::scatter(g, units, units, rows.count, my.units, gradients.initial + rows.first * units);
    }

    // A sample's solver steps again, from what forward kept of them if it did. Returns what they leave.
    const T* retake(const T* from, Rows rows, const Member& my, Workspace& work) const {
        const std::int64_t used = Layout::size(units, rows.count);
        T *v = work.v.get(), *moves = work.moves.get();
        if (!from) {
            my.team.wait();
            sense(rows, my, work);
            for (std::int64_t step = 0; step < unfolds; ++step, v += used) {
                take(v, v + used, moves + 2 * step * used, rows, my, work);
                my.team.wait();
            }
            return moves;
        }
        if (!direct(rows, from)) {
            for (std::int64_t n = 0; n < 2 * unfolds && my.team.first(); ++n) {
                Layout::unpack(from + n * rows.count * units, units, rows.count, moves + n * used);
            }
            my.team.wait();
            from = moves;
        }
        for (std::int64_t step = 0; step < unfolds; ++step, v += used) {
            const T* change = from + 2 * step * used;
            chunks.each_unit(rows, my.units, [&](std::int64_t k) {
                store(v + used + k, fma(load(&my.sample.delta[k]), load(change + k), load(v + k)));
            });
        }
        return from;
    }

    // Through a solver step backwards, synapses aside: to gradients a of drive and b of total.
    void undo(const T* next, const T* move, T* a_, T* b_, Rows rows, const Member& my, Workspace& work,
              T* cm_sum) const {
        const std::int64_t used = Layout::size(units, rows.count);
        chunks.each_unit(rows, my.units, [&](std::int64_t k) {
            const V g = load(&work.g[k]), change = load(move + k), inverse = load(move + used + k);
            const V keep = load(cm() + k) * inverse;
            const V a = g * (load(&my.sample.delta[k]) * inverse), b = -a * load(next + k);
            store(a_ + k, a);
            store(b_ + k, b);
            store(&work.a_sum[k], load(&work.a_sum[k]) + a);
            store(&work.b_sum[k], load(&work.b_sum[k]) + b);
            store(cm_sum + k, fnma(a, change, load(cm_sum + k)));
            store(&work.delta_gradient[k], fma(g * change, keep, load(&work.delta_gradient[k])));
            store(&work.g[k], g * keep);
        });
    }

    const LtcProblem<T>& p;
    const Chunked chunks;
    const std::int64_t size, units, inputs, unfolds;
    const Forward internal, sensory;
    const Buffer<T> constants;  // cm, leak_drive and leak, each as large as a chunk
};

template <class T>
void ltc_forward(const LtcProblem<T>& p, T* states, T* kept) {
    in_best_layout<Ltc, T>(p, [&](const auto& ltc) { ltc.forward(states, kept); });
}

template <class T>
void ltc_backward(const LtcProblem<T>& p, const T* states, const T* kept, const T* state_gradients,
                  const LtcGradients<T>& gradients) {
    in_best_layout<Ltc, T>(p, [&](const auto& ltc) { ltc.backward(states, kept, state_gradients, gradients); });
}

template <class T>
Stepper* ltc_steps(const LtcProblem<T>& p, T* state) {
    return steps_in_best_layout<Ltc, T>(p, state);
}

}  // namespace LIQUID_ISA
}  // namespace liquid
