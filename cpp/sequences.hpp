// A batch of sequences in chunks of a layout's rows: what recurrences over synapses (LTC, the LRC family) share besides
// those. Samples are read here, and gradients summed over rows and strands.
#pragma once

#include "synapses.hpp"

namespace liquid {
namespace LIQUID_ISA {

template <class T, class Layout>
class Chunks {
  public:
    static constexpr int width = Simd<T>::width;

    explicit Chunks(const Sequences<T>& sequences)
        : of(sequences),
          size(Layout::size(of.units)),
          input_size(Layout::size(of.inputs)),
          count((of.batch + Layout::rows - 1) / Layout::rows),
          strands(strands_of(count)) {}

    const Sequences<T> of;
    const std::int64_t size, input_size;  // values of a chunk's states, and inputs
    const std::int64_t count, strands;

    // A sample of every sequence in a chunk, in the layout's order.
    struct Sample {
        Buffer<T> deltas;        // of each row: a solver step's length
        Buffer<T> input, delta;  // delta: the same, for every unit
        Buffer<std::uint8_t> there;
        bool all = true;  // are there

        explicit Sample(const Chunks& chunks)
            : deltas(width > Layout::rows ? width : Layout::rows),
              input(chunks.input_size),
              delta(chunks.size),
              there(Layout::rows) {}
    };

    struct Rows {
        std::int64_t first, count;
    };

    Rows rows(std::int64_t chunk) const {
        const std::int64_t first = chunk * Layout::rows, left = of.batch - first;
        return {first, left < Layout::rows ? left : Layout::rows};
    }

    // What one of a team works on: a part of the units and of the inputs, and the samples as it reads them.
    struct Member {
        const Team& team;
        const Part units, inputs;
        Sample sample;

        template <class Order>
        Member(const Chunks& chunks, const Team& team_, const Order& internal, const Order& sensory)
            : team(team_), units(team.part(internal)), inputs(team.part(sensory)), sample(chunks) {}
    };

    // run(rows, member, work, strand) for all chunks, with one Work(arguments...) for each strand; strand s takes
    // chunks s, s + strands, and so on. More threads do a strand together where a solver step, all the blocks of the
    // internal synapses once, is worth the wait for each other.
    template <class Work, class Order, class Run, class... Arguments>
    void each_chunk(const Order& internal, const Order& sensory, const Run& run, const Arguments&... arguments) const {
        constexpr std::int64_t worth = 128;  // vectors of synapses
        const std::int64_t vectors = internal.count() * Layout::vectors(rows(0).count);
        const std::int64_t most = vectors / worth < internal.groups ? vectors / worth : internal.groups;
        each_team(strands, of.threads, most, [&](std::int64_t strand, const Team& team) {
            const auto use = [&](Work& work) {
                Member member(*this, team, internal, sensory);
                for (std::int64_t chunk = strand; chunk < count; chunk += strands) {
                    run(rows(chunk), member, work, strand);
                }
            };
            team.template with<Work>(use, arguments...);
        });
    }

    // run(place) for every vector of a part of the units, or of the inputs.
    template <class Run>
    void each_unit(Rows rows, Part part, const Run& run) const {
        Layout::each(of.units, rows.count, part, run);
    }
    template <class Run>
    void each_input(Rows rows, Part part, const Run& run) const {
        Layout::each(of.inputs, rows.count, part, run);
    }

    bool begins(Rows rows, std::int64_t row, std::int64_t t) const {
        return of.reset && of.reset[(rows.first + row) * of.time + t];
    }

    // Zeroes the part of states, or of gradients, of those sequences whose state starts anew before the sample at t.
    // True if there are any.
    bool begin(Rows rows, std::int64_t t, Part part, T* v) const {
        bool any = false;
        const auto [first, last] = Layout::columns(of.units, part);
        for (std::int64_t row = 0; of.reset && row < rows.count; ++row) {
            if (!begins(rows, row, t)) continue;
            any = true;
            for (std::int64_t i = first; i < last; ++i) v[Layout::at(of.units, i, row)] = T(0);
        }
        return any;
    }

    // The same in the forward pass, where members read each other's states.
    void begin(Rows rows, std::int64_t t, const Member& my, T* v) const {
        if (begin(rows, t, my.units, v)) my.team.wait();
    }

    // False if no sequence of the chunk has a sample here. Solver steps longer than `longest` are cut to it.
    bool read(Rows rows, std::int64_t t, Sample& sample, T longest = T(__builtin_huge_val())) const {
        bool any = false;
        sample.all = true;
        for (std::int64_t row = 0; row < rows.count; ++row) {
            const std::int64_t at = (rows.first + row) * of.time + t;
            const bool there = !of.present || of.present[at];
            sample.there[row] = there;
            any |= there;
            sample.all &= there;
            const T delta = there ? of.timespans[at] / static_cast<T>(of.unfolds) : T(0);
            sample.deltas[row] = delta > longest ? longest : delta;
        }
        if (!any) return false;
        // Lanes without a sequence, which may have had one in the chunk before.
        clear(&sample.deltas[rows.count], sample.deltas.size() - rows.count);
        Layout::spread(sample.deltas.get(), of.units, rows.count, sample.delta.get());
        gather(of.input, of.inputs, rows, t, {0, Layout::groups(of.inputs)}, sample.input.get());
        if (!sample.all) {
            for (std::int64_t row = 0; row < rows.count; ++row) {
                if (sample.there[row]) continue;
                for (std::int64_t j = 0; j < of.inputs; ++j) sample.input[Layout::at(of.inputs, j, row)] = T(0);
            }
        }
        return true;
    }

    // run(place, row, unit) for a part of the states of sequences that have no sample here. A kernel takes them along as
    // zeros, over no time, so that nothing in them can spread, and puts back what was set aside.
    template <class Run>
    void each_absent(Rows rows, Part part, const Sample& sample, const Run& run) const {
        const auto [first, last] = Layout::columns(of.units, part);
        for (std::int64_t row = 0; row < rows.count && !sample.all; ++row) {
            if (sample.there[row]) continue;
            for (std::int64_t i = first; i < last; ++i) run(Layout::at(of.units, i, row), row, i);
        }
    }
    void clear_absent(Rows rows, Part part, const Sample& sample, T* v) const {
        each_absent(rows, part, sample, [&](std::int64_t k, std::int64_t, std::int64_t) { v[k] = T(0); });
    }

    // Before and after a sample in the forward pass, where members read each other's states.
    void set_aside(Rows rows, const Member& my, T* v) const {
        if (my.sample.all) return;
        clear_absent(rows, my.units, my.sample, v);
        my.team.wait();
    }
    void put_back(const T* states, Rows rows, std::int64_t t, const Member& my, T* v) const {
        if (my.sample.all) return;
        each_absent(rows, my.units, my.sample, [&](std::int64_t k, std::int64_t row, std::int64_t i) {
            const std::int64_t at = (rows.first + row) * of.units + i;
            const T before = t ? states[((rows.first + row) * of.time + t - 1) * of.units + i] : of.initial[at];
            v[k] = begins(rows, row, t) ? T(0) : before;
        });
        my.team.wait();
    }

    // And of gradients g in the backward pass.
    void set_aside(Rows rows, const Member& my, T* g, T* aside) const {
        each_absent(rows, my.units, my.sample, [&](std::int64_t k, std::int64_t, std::int64_t) {
            aside[k] = g[k];
            g[k] = T(0);
        });
    }
    void put_back(Rows rows, const Member& my, const T* aside, T* g) const {
        each_absent(rows, my.units, my.sample, [&](std::int64_t k, std::int64_t, std::int64_t) { g[k] = aside[k]; });
    }

    // A sample's end in the backward pass: gradients of inputs, of which each member hands on its part, and of timespans,
    // from those of `delta` for every unit; `any` is what read() said. Members wait for each other, since the next
    // sample takes the memory. Changes `sample.deltas`.
    void hand_on(Rows rows, std::int64_t t, bool any, Member& my, const T* input_gradient, const T* delta_gradient,
                 T* of_input, T* of_timespans) const {
        scatter(input_gradient, of.inputs, rows, t, my.inputs, of_input);
        if (my.team.first()) {
            const Sample& sample = my.sample;
            if (any) Layout::row_sums(delta_gradient, of.units, rows.count, sample.deltas.get());
            for (std::int64_t row = 0; row < rows.count; ++row) {
                const T sum = sample.deltas[row] / static_cast<T>(of.unfolds);
                of_timespans[(rows.first + row) * of.time + t] = sample.there[row] ? sum : T(0);
            }
        }
        my.team.wait();
    }

    // A part of the rows of an array (batch, time, columns) at time t.
    void gather(const T* from, std::int64_t columns, Rows rows, std::int64_t t, Part part, T* to) const {
        Layout::gather(from + (rows.first * of.time + t) * columns, of.time * columns, columns, rows.count, part, to);
    }
    void scatter(const T* from, std::int64_t columns, Rows rows, std::int64_t t, Part part, T* to) const {
        Layout::scatter(from, of.time * columns, columns, rows.count, part, to + (rows.first * of.time + t) * columns);
    }

    // The state that a sample at time t finds, of all states or the initial one.
    void state_before(const T* states, Rows rows, std::int64_t t, Part part, T* to) const {
        if (t > 0) {
            gather(states, of.units, rows, t - 1, part, to);
        } else {
            Layout::gather(of.initial + rows.first * of.units, of.units, of.units, rows.count, part, to);
        }
        begin(rows, t, part, to);
    }

    // One value for each unit, the same in all rows of a chunk; nothing if there are none.
    void fill(const T* values, T* to) const {
        if (!values) return;
        for (std::int64_t row = 0; row < Layout::rows; ++row) {
            for (std::int64_t i = 0; i < of.units; ++i) to[Layout::at(of.units, i, row)] = values[i];
        }
    }

    // The backward pass: sums over rows and strands.
    void total(const T* sums, std::int64_t strand_size, T* gradient) const {
        if (!gradient) return;
        for (std::int64_t i = 0; i < of.units; ++i) {
            T sum = 0;
            for (std::int64_t strand = 0; strand < strands; ++strand) {
                const T* values = sums + strand * strand_size;
                for (std::int64_t row = 0; row < Layout::rows; ++row) sum += values[Layout::at(of.units, i, row)];
            }
            gradient[i] = sum;
        }
    }

    // Gradients of synapses' parameters from each one's four sums.
    void total(const typename Layout::Backward& order, const Synapses<T>& synapses, const T* sums,
               std::int64_t strand_size, const SynapseGradients<T>& gradients) const {
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
};

// Whether one sequence per lane takes fewer vectors of synapses than one neuron per lane.
template <class T, template <class> class Problem>
bool batch_in_lanes(const Problem<T>& p) {
    const Sequences<T>& sequences = p.sequences;
    if (sequences.layout != Layout::fastest) return sequences.layout == Layout::batch_lanes;
    const auto cost = [&](auto price) {
        return static_cast<double>(sequences.unfolds) * price(p.internal, sequences.batch) +
               price(p.sensory, sequences.batch);
    };
    return cost(BatchLanes<T>::cost) < cost(UnitLanes<T>::cost);
}

// run(kernel) with a problem's kernel in the layout that fits it.
template <template <class, class> class Kernel, class T, template <class> class Problem, class Run>
void in_best_layout(const Problem<T>& p, const Run& run) {
    if (batch_in_lanes(p)) {
        run(Kernel<T, BatchLanes<T>>(p));
    } else {
        run(Kernel<T, UnitLanes<T>>(p));
    }
}

// One sample after another, in the same layout as the whole sequence.
template <template <class, class> class Kernel, class T, template <class> class Problem>
Stepper* steps_in_best_layout(const Problem<T>& p, T* state) {
    if (batch_in_lanes(p)) return new typename Kernel<T, BatchLanes<T>>::Steps(p, state);
    return new typename Kernel<T, UnitLanes<T>>::Steps(p, state);
}

}  // namespace LIQUID_ISA
}  // namespace liquid
