// Closed-form continuous-time networks: whole sequences, forward and backward.
//
// The recurrence is that of src/liquidrnn/kernels/cfc/reference.py, which defines it. Here it is a chain of affine maps
// with something elementwise after each:
//
//     the memory cell, if there is one:  [input, state] -> gates -> state
//     layers of the backbone:            [input, state] -> z -> ... -> z
//     heads, layer by layer of a wiring: z, or without a backbone [input, state] -> new states of the layer's units
//
// A layer of a wiring reads states of the layers before it as they are after this sample and all others as they were:
// one array, updated in place. Its units stand together there, padded to whole vectors, and it reads the contiguous
// layers that hold its sources; weights of connections that do not exist are zeros within that range.
//
// So that an infinity or NaN reaches only what it is connected to, not all that a zero stands for, a product of a row
// with some is made without them, and they are added along the connections.
//
// Rows are sequences, lanes of a vector are outputs of a map. What maps make of inputs is computed for a block of
// samples at once, and so are gradients of weights and inputs; a state's way through the network is one sample at a
// time.
#pragma once

#include "buffer.hpp"
#include "functions.hpp"
#include "kernels.hpp"
#include "product.hpp"
#include "strands.hpp"

namespace liquid {
namespace LIQUID_ISA {

template <class T>
class Cfc {
    using V = Vector<T>;
    static constexpr int width = Simd<T>::width;
    static constexpr std::int64_t kRows = 8;      // sequences of a chunk
    static constexpr std::int64_t kSamples = 64;  // of a block: samples of a chunk, taken together
    // The same for all instruction sets.
    static constexpr std::int64_t kPad = 64 / static_cast<std::int64_t>(sizeof(T));

    struct Workspace;

  public:
    explicit Cfc(const CfcProblem<T>& problem)
        : p(problem),
          heads(p.heads()),
          depth(p.backbone_layers),
          chunks((p.batch + kRows - 1) / kRows),
          strands(strands_of(chunks)),
          inputs(padded(p.inputs)),
          hidden(padded(p.backbone_units)),
          width_of_states(p.remembers() ? 2 * p.units : p.units),
          stage_count(count_stages()),
          maps_count((p.remembers() ? 1 : 0) + depth + stage_count),
          place(p.units),
          stage_of(p.units),
          stages(stage_count),
          maps(maps_count) {
        arrange_units();
        arrange_maps();
    }

    std::int64_t kept() const { return kept_width; }

    void forward(T* states, T* kept) {
        pack();
        each_strand(strands, p.threads, [&](std::int64_t strand) {
            Workspace work(*this);
            for (std::int64_t chunk = strand; chunk < chunks; chunk += strands) {
                forward_chunk(chunk, work, states, kept);
            }
        });
    }

    void backward(const T* states, const T* kept, const T* state_gradients, const CfcGradients<T>& gradients) {
        pack();
        Buffer<T> sums(strands * weights_size);
        each_strand(strands, p.threads, [&](std::int64_t strand) {
            BackwardWorkspace work(*this);
            T* own = sums.get() + strand * weights_size;
            for (std::int64_t chunk = strand; chunk < chunks; chunk += strands) {
                backward_chunk(chunk, work, states, kept, state_gradients, gradients, own);
            }
        });
        Buffer<T> none(strands ? 0 : weights_size);
        T* total = strands ? sums.get() : none.get();
        for (std::int64_t strand = 1; strand < strands; ++strand) {
            const T* more = sums.get() + strand * weights_size;
            for (std::int64_t i = 0; i < weights_size; i += width) store(total + i, load(total + i) + load(more + i));
        }
        segments(gradients.parameters, [&](std::int64_t at, T* values, std::int64_t count) {
            copy(total + at, count, values);
        });
    }

    class Steps final : public Stepper {
      public:
        // Of the problem's arrays, those of the parameters and the wiring are not read later: their owner may free them.
        Steps(const CfcProblem<T>& problem, T* state_) : p(problem), cfc(p), work(cfc), state(state_) {
            cfc.pack();
            cfc.find_existing(work.mending);
        }
        void step() override {
            for (std::int64_t chunk = 0; chunk < cfc.chunks; ++chunk) cfc.forward_chunk(chunk, work, state, nullptr);
        }

      private:
        const CfcProblem<T> p;
        Cfc cfc;
        Workspace work;
        T* const state;
    };

  private:
    // A layer of a wiring; without one all units.
    struct Stage {
        std::int64_t units, padded, offset;  // offset within a row of states
        std::int64_t first, last;            // the stages that its sources are in; first > last if it has none
        bool reads_input;
    };

    // An affine map from inputs, if it reads them, and from `source` values that start at `from` in a row of states or
    // of the backbone. Its weights lie in `weights` as rows of outputs, and in `packed` as columns for the forward pass.
    struct Map {
        std::int64_t out, inputs, from, source, stride;  // stride of a row of weights: source, padded
        std::int64_t bias, from_input, from_source;      // in weights
        std::int64_t packed_input, packed_source;        // in packed
        std::int64_t before;                             // values per sample of the maps before this one
        std::int64_t kept, kept_stride;                  // its place among what is kept of a sample, and its size
    };

    // For products of rows with infinities or NaN; empty until there is one.
    struct Mending {
        Buffer<std::uint8_t> exists{0};  // of each place in weights, whether it is a parameter
        Buffer<T> clean{0};
    };

    struct Workspace {
        Buffer<T> input, projected, state, cell, held, source, new_cell, z, kept, spans;
        Buffer<std::uint8_t> there;
        Mending mending;

        explicit Workspace(const Cfc& self)
            : input(kSamples * self.inputs),
              projected(kSamples * self.out_of_maps),
              state(kRows * self.states_size),
              cell(kRows * self.states_size),
              held(kRows * 2 * self.states_size),
              source(kRows * self.states_size),
              new_cell(kRows * self.states_size),
              z(kRows * self.hidden),
              kept(kRows * self.kept_width),
              spans(kSamples),
              there(kSamples) {}
    };

    struct BackwardWorkspace {
        Buffer<T> input, input_gradient, before, cell_before, slopes, z, zeros, spans, span_sums;
        Buffer<T> state, cell, source, new_cell, z_gradient;  // gradients of what bears these names in Workspace
        Buffer<std::uint8_t> there;
        Buffer<std::uint8_t> odd;  // of each map, whether slopes of this block hold infinities or NaN
        Mending mending;

        explicit BackwardWorkspace(const Cfc& self)
            : input(kSamples * self.inputs),
              input_gradient(kSamples * self.inputs),
              before(kSamples * self.states_size),
              cell_before(kSamples * self.states_size),
              slopes(kSamples * self.out_of_maps),
              z(self.keeps_arguments() ? kSamples * self.hidden * self.depth : 0),
              zeros(self.states_size > self.hidden ? self.states_size : self.hidden),
              spans(kSamples),
              span_sums(kRows * width),
              state(kRows * self.states_size),
              cell(kRows * self.states_size),
              source(kRows * self.states_size),
              new_cell(kRows * self.states_size),
              z_gradient(kRows * self.hidden),
              there(kSamples),
              odd(self.maps_count) {}
    };

    // What a chunk keeps: each map's values of all its samples, one map after the other; or, where nothing is to be
    // kept, the values of one sample, over and over.
    template <class U>
    struct Kept {
        U* data;
        std::int64_t rows, samples;  // of the chunk; samples is 0 if nothing is kept

        U* at(const Map& map, std::int64_t sample) const {
            return samples ? data + samples * map.kept + sample * map.kept_stride : data + kRows * map.kept;
        }
    };

    template <class U>
    Kept<U> kept_of(std::int64_t first, std::int64_t rows, U* kept) const {
        return {kept + first * p.time * kept_width, rows, rows * p.time};
    }

    static std::int64_t padded(std::int64_t count) { return round_up(count, kPad); }

    static void copy(const T* from, std::int64_t count, T* to) {
        __builtin_memcpy(to, from, static_cast<std::size_t>(count) * sizeof(T));
    }

    // Activations whose slope follows from their value keep that, others their argument.
    bool keeps_arguments() const {
        return p.activation == Activation::gelu || p.activation == Activation::silu;
    }

    std::int64_t count_stages() const {
        std::int64_t count = 1;
        for (std::int64_t i = 0; p.layer && i < p.units; ++i) count = p.layer[i] >= count ? p.layer[i] + 1 : count;
        return count;
    }

    void arrange_units() {
        for (std::int64_t i = 0; i < p.units; ++i) {
            stage_of[i] = p.layer ? p.layer[i] : 0;
            place[i] = stages[stage_of[i]].units++;
        }
        for (std::int64_t l = 0; l < stage_count; ++l) {
            Stage& stage = stages[l];
            stage.padded = padded(stage.units);
            stage.offset = states_size;
            states_size += stage.padded;
            stage.first = p.layer ? stage_count : 0;
            stage.last = p.layer ? -1 : 0;
            stage.reads_input = !p.layer && p.inputs > 0;
        }
        for (std::int64_t i = 0; i < p.units; ++i) place[i] += stages[stage_of[i]].offset;
        if (p.layer) {
            find_sources(p.pre, p.post, p.connections);
            find_sources(p.gate_pre, p.gate_post, p.gate_connections);
        }
    }

    void find_sources(const std::int64_t* pre, const std::int64_t* post, std::int64_t count) {
        for (std::int64_t s = 0; s < count; ++s) {
            Stage& stage = stages[stage_of[post[s]]];
            if (pre[s] < p.inputs) {
                stage.reads_input = true;
            } else {
                const std::int64_t source = stage_of[pre[s] - p.inputs];
                stage.first = source < stage.first ? source : stage.first;
                stage.last = source > stage.last ? source : stage.last;
            }
        }
    }

    void arrange_maps() {
        std::int64_t number = 0;
        if (p.remembers()) maps[number++] = map_of(4 * states_size, p.inputs, 0, end_of(stage_count - 1), states_size);
        for (std::int64_t i = 0; i < depth; ++i) {
            maps[number++] = i ? map_of(hidden, 0, 0, p.backbone_units) : map_of(hidden, p.inputs, 0, p.units);
        }
        for (std::int64_t l = 0; l < stage_count; ++l) {
            const Stage& stage = stages[l];
            const bool reads = stage.first <= stage.last;
            const std::int64_t from = reads ? stages[stage.first].offset : 0;
            const std::int64_t source = reads ? end_of(stage.last) - from : 0;
            maps[number++] = depth ? map_of(heads * stage.padded, 0, 0, p.backbone_units)
                                   : map_of(heads * stage.padded, stage.reads_input ? p.inputs : 0, from, source);
        }
        A_at = weights_size;
        w_tau_at = A_at + states_size;
        if (p.mode == CfcMode::pure) weights_size += 2 * states_size;
    }

    std::int64_t end_of(std::int64_t stage) const { return stages[stage].offset + stages[stage].units; }

    // `extra` values are kept besides the map's own.
    Map map_of(std::int64_t out, std::int64_t from_inputs, std::int64_t from, std::int64_t source,
               std::int64_t extra = 0) {
        Map map{};
        map.out = out;
        map.inputs = from_inputs;
        map.from = from;
        map.source = source;
        map.stride = padded(source);
        map.bias = weights_size;
        map.from_input = map.bias + out;
        map.from_source = map.from_input + (from_inputs ? out * inputs : 0);
        weights_size = map.from_source + out * map.stride;
        map.packed_input = packed_size;
        map.packed_source = packed_size + out * from_inputs;
        packed_size = map.packed_source + out * source;
        map.before = out_of_maps;
        out_of_maps += out;
        map.kept = kept_width;
        map.kept_stride = out + extra;
        kept_width += map.kept_stride;
        return map;
    }

    const Map& memory() const { return maps[0]; }
    const Map& backbone(std::int64_t i) const { return maps[(p.remembers() ? 1 : 0) + i]; }
    const Map& head(std::int64_t stage) const { return maps[(p.remembers() ? 1 : 0) + depth + stage]; }

    // Calls visit(place in weights, place among the parameters, count) for all parameters.
    template <class P, class Visit>
    void segments(const CfcParameters<P>& q, Visit visit) const {
        P layer = q.backbone;
        for (std::int64_t i = 0; i < depth; ++i) {
            const Map& map = backbone(i);
            const std::int64_t columns = map.inputs + map.source;
            for (std::int64_t o = 0; o < p.backbone_units; ++o) dense_row(map, o, layer + o * columns, visit);
            visit(map.bias, layer + p.backbone_units * columns, p.backbone_units);
            layer += p.backbone_units * (columns + 1);
        }
        for (std::int64_t k = 0; k < heads; ++k) {
            for (std::int64_t i = 0; i < p.units; ++i) {
                const Map& map = head(stage_of[i]);
                const std::int64_t o = output_of(k, i), row = k * p.units + i;
                visit(map.bias + o, q.bias + row, 1);
                if (!p.layer) dense_row(map, o, q.weight + row * (map.inputs + map.source), visit);
            }
        }
        if (p.layer) {
            const std::int64_t apart = q.gate_weight ? 2 : heads;
            sparse(q.weight, p.pre, p.post, p.connections, 0, apart, visit);
            if (q.gate_weight) sparse(q.gate_weight, p.gate_pre, p.gate_post, p.gate_connections, 2, heads, visit);
        }
        if (q.memory_ih) {
            const Map& map = memory();
            for (std::int64_t k = 0; k < 4; ++k) {
                for (std::int64_t i = 0; i < p.units; ++i) {
                    const std::int64_t o = k * states_size + place[i], row = k * p.units + i;
                    visit(map.bias + o, q.memory_bias + row, 1);
                    visit(map.from_input + o * inputs, q.memory_ih + row * p.inputs, p.inputs);
                    for (std::int64_t j = 0; j < p.units; ++j) {
                        visit(map.from_source + o * map.stride + place[j], q.memory_hh + row * p.units + j, 1);
                    }
                }
            }
        }
        for (std::int64_t i = 0; q.A && i < p.units; ++i) {
            visit(A_at + place[i], q.A + i, 1);
            visit(w_tau_at + place[i], q.w_tau + i, 1);
        }
    }

    // Output of a unit's head among those of its stage.
    std::int64_t output_of(std::int64_t k, std::int64_t unit) const {
        const Stage& stage = stages[stage_of[unit]];
        return k * stage.padded + place[unit] - stage.offset;
    }

    template <class P, class Visit>
    void dense_row(const Map& map, std::int64_t o, P row, Visit visit) const {
        if (map.inputs) visit(map.from_input + o * inputs, row, map.inputs);
        visit(map.from_source + o * map.stride, row + map.inputs, map.source);
    }

    template <class P, class Visit>
    void sparse(P weight, const std::int64_t* pre, const std::int64_t* post, std::int64_t count, std::int64_t from_head,
                std::int64_t to_head, Visit visit) const {
        for (std::int64_t k = from_head; k < to_head; ++k) {
            for (std::int64_t s = 0; s < count; ++s) {
                const Map& map = head(stage_of[post[s]]);
                const std::int64_t o = output_of(k, post[s]);
                const std::int64_t at =
                    pre[s] < p.inputs ? map.from_input + o * inputs + pre[s]
                                      : map.from_source + o * map.stride + place[pre[s] - p.inputs] - map.from;
                visit(at, weight + (k - from_head) * count + s, 1);
            }
        }
    }

    void pack() {
        weights.renew(weights_size);
        packed.renew(packed_size);
        segments(p.parameters, [&](std::int64_t at, const T* values, std::int64_t count) {
            copy(values, count, weights.get() + at);
        });
        for (std::int64_t m = 0; m < maps_count; ++m) {
            const Map& map = maps[m];
            for (std::int64_t o = 0; o < map.out; o += width) {
                if (map.inputs) {
                    to_columns(weights.get() + map.from_input + o * inputs, inputs, map.inputs, width,
                               packed.get() + map.packed_input + o * map.inputs);
                }
                to_columns(weights.get() + map.from_source + o * map.stride, map.stride, map.source, width,
                           packed.get() + map.packed_source + o * map.source);
            }
        }
    }

    std::int64_t rows_of(std::int64_t chunk) const {
        const std::int64_t left = p.batch - chunk * kRows;
        return left < kRows ? left : kRows;
    }

    // Rows of units as torch has them into a row of states, and back.
    void spread(const T* from, T* to) const {
        if (!p.layer) return copy(from, p.units, to);
        for (std::int64_t i = 0; i < p.units; ++i) to[place[i]] = from[i];
    }
    void gather(const T* from, T* to) const {
        if (!p.layer) return copy(from, p.units, to);
        for (std::int64_t i = 0; i < p.units; ++i) to[i] = from[place[i]];
    }

    // Inputs, spans and whether they are there, sample by sample. An absent one is read as zeros, and so is the state it
    // finds: it is not to matter, and NaN would, even times nothing.
    template <class Work>
    void read(std::int64_t first, std::int64_t rows, std::int64_t t, std::int64_t steps, Work& work) const {
        for (std::int64_t step = 0; step < steps; ++step) {
            for (std::int64_t row = 0; row < rows; ++row) {
                const std::int64_t s = step * rows + row, sample = (first + row) * p.time + t + step;
                const bool there = !p.present || p.present[sample];
                work.there[s] = there;
                work.spans[s] = there ? p.timespans[sample] : T(0);
                if (there) {
                    copy(p.input + sample * p.inputs, p.inputs, &work.input[s * inputs]);
                } else {
                    clear(&work.input[s * inputs], p.inputs);
                }
            }
        }
    }

    static bool finite(T value) { return value - value == T(0); }

    // Place in weights of what connects the i-th of a row to a column of its product.
    struct Places {
        std::int64_t first, by_row, by_column;
    };

    void find_existing(Mending& mending) const {
        mending.exists.renew(weights_size);
        segments(p.parameters, [&](std::int64_t at, const T*, std::int64_t count) {
            for (std::int64_t i = at; i < at + count; ++i) mending.exists[i] = 1;
        });
    }

    // to = start + a row times b, where infinities and NaN of the row meet weights that exist and no other zeros.
    void mended_product(std::int64_t vectors, std::int64_t inner, const T* row, Right<T> b, const T* start, T* to,
                        Places places, Mending& mending) const {
        if (!mending.exists.size()) find_existing(mending);
        if (mending.clean.size() < inner) mending.clean.renew(inner);
        for (std::int64_t i = 0; i < inner; ++i) mending.clean[i] = finite(row[i]) ? row[i] : T(0);
        product<T>(1, vectors, inner, {mending.clean.get(), inner, 1}, b, {start, 0}, {to, 0});
        for (std::int64_t i = 0; i < inner; ++i) {
            if (finite(row[i])) continue;
            for (std::int64_t column = 0; column < vectors * width; ++column) {
                const std::int64_t at = places.first + i * places.by_row + column * places.by_column;
                if (mending.exists[at]) to[column] += row[i] * weights[at];
            }
        }
    }

    // A product whose start is not where it goes to. Any infinity or NaN in a row shows in all of what comes of it.
    void product_by_rows(std::int64_t rows, std::int64_t vectors, std::int64_t inner, Left<T> a, Right<T> b,
                         Rows<const T> start, Rows<T> to, Places places, Mending& mending) const {
        product<T>(rows, vectors, inner, a, b, start, to);
        for (std::int64_t row = 0; row < rows; ++row) {
            if (!vectors || finite(to.data[row * to.stride])) continue;
            mended_product(vectors, inner, a.data + row * a.rows, b, start.data + row * start.stride,
                           to.data + row * to.stride, places, mending);
        }
    }

    void project_inputs(std::int64_t samples, Workspace& work) const {
        for (std::int64_t m = 0; m < maps_count; ++m) {
            const Map& map = maps[m];
            if (!map.inputs) continue;
            product_by_rows(samples, map.out / width, map.inputs, {work.input.get(), inputs, 1},
                            {packed.get() + map.packed_input, map.inputs * width, width},
                            {weights.get() + map.bias, 0}, {work.projected.get() + kSamples * map.before, map.out},
                            {map.from_input, 1, inputs}, work.mending);
        }
    }

    // Outputs of a map for the samples from s on; what it makes of inputs is there already.
    void apply(const Map& map, std::int64_t s, std::int64_t rows, const T* source, std::int64_t stride,
               Workspace& work, T* to) const {
        const Rows<const T> start =
            map.inputs ? Rows<const T>{work.projected.get() + kSamples * map.before + s * map.out, map.out}
                       : Rows<const T>{weights.get() + map.bias, 0};
        product_by_rows(rows, map.out / width, map.source, {source + map.from, stride, 1},
                        {packed.get() + map.packed_source, map.source * width, width}, start, {to, map.kept_stride},
                        {map.from_source, 1, map.stride}, work.mending);
    }

    void forward_chunk(std::int64_t chunk, Workspace& work, T* states, T* kept_) const {
        const std::int64_t first = chunk * kRows, rows = rows_of(chunk), steps = kSamples / rows;
        const Kept<T> kept = p.kept ? kept_of(first, rows, kept_) : Kept<T>{work.kept.get(), rows, 0};
        for (std::int64_t row = 0; row < rows; ++row) {
            const T* initial = p.initial + (first + row) * width_of_states;
            spread(initial, &work.state[row * states_size]);
            if (p.remembers()) spread(initial + p.units, &work.cell[row * states_size]);
        }
        for (std::int64_t t0 = 0; t0 < p.time; t0 += steps) {
            const std::int64_t count = p.time - t0 < steps ? p.time - t0 : steps;
            read(first, rows, t0, count, work);
            project_inputs(count * rows, work);
            for (std::int64_t t = t0; t < t0 + count; ++t) {
                const std::int64_t s = (t - t0) * rows;
                for (std::int64_t row = 0; row < rows; ++row) {
                    if (begins(first + row, t)) clear_state(row, work);
                    if (!work.there[s + row]) set_aside(row, work);
                }
                update(rows, s, t * rows, kept, work);
                for (std::int64_t row = 0; row < rows; ++row) {
                    T *state = &work.state[row * states_size], *cell = &work.cell[row * states_size];
                    const T* held = &work.held[row * 2 * states_size];
                    const bool there = work.there[s + row];
                    copy(there ? &work.source[row * states_size] : held, states_size, state);
                    if (p.remembers()) {
                        copy(there ? &work.new_cell[row * states_size] : held + states_size, states_size, cell);
                    }
                    T* to = states + ((first + row) * p.time + t) * width_of_states;
                    gather(state, to);
                    if (p.remembers()) gather(cell, to + p.units);
                }
            }
        }
    }

    void set_aside(std::int64_t row, Workspace& work) const {
        T *state = &work.state[row * states_size], *cell = &work.cell[row * states_size];
        T* held = &work.held[row * 2 * states_size];
        copy(state, states_size, held);
        copy(cell, states_size, held + states_size);
        clear_state(row, work);
    }

    // Of states, or of their gradients.
    template <class Work>
    void clear_state(std::int64_t row, Work& work) const {
        clear(&work.state[row * states_size], states_size);
        clear(&work.cell[row * states_size], states_size);
    }

    // Whether a sequence's state starts anew before its sample at t.
    bool begins(std::int64_t sequence, std::int64_t t) const { return p.reset && p.reset[sequence * p.time + t]; }

    // New states in work.source, from those in work.state.
    void update(std::int64_t rows, std::int64_t s, std::int64_t sample, const Kept<T>& kept, Workspace& work) const {
        T* source = work.source.get();
        if (p.remembers()) {
            T* gates = kept.at(memory(), sample);
            apply(memory(), s, rows, work.state.get(), states_size, work, gates);
            remember(rows, gates, work.cell.get(), work.new_cell.get(), source);
        } else {
            copy(work.state.get(), rows * states_size, source);
        }
        const T* from = source;
        std::int64_t stride = states_size;
        for (std::int64_t i = 0; i < depth; ++i) {
            T* values = kept.at(backbone(i), sample);
            apply(backbone(i), s, rows, from, stride, work, values);
            activate(rows * hidden, values, work.z.get());
            from = work.z.get();
            stride = hidden;
        }
        for (std::int64_t l = 0; l < stage_count; ++l) {
            T* values = kept.at(head(l), sample);
            apply(head(l), s, rows, from, stride, work, values);
            combine(stages[l], rows, values, &work.spans[s], source + stages[l].offset);
        }
    }

    // The LSTM cell. Gates become what they open, and after them comes tanh of the new cell.
    void remember(std::int64_t rows, T* gates, const T* cell, T* new_cell, T* state) const {
        const std::int64_t n = states_size;
        for (std::int64_t row = 0; row < rows; ++row) {
            T* g = gates + row * memory().kept_stride;
            for (std::int64_t k = 0; k < n; k += width) {
                const V candidate = hyperbolic_tangent<T>(load(g + k)), write = sigmoid<T>(load(g + n + k));
                const V forget = sigmoid<T>(load(g + 2 * n + k) + T(1)), read = sigmoid<T>(load(g + 3 * n + k));
                const V c = fma(load(cell + row * n + k), forget, candidate * write), shown = hyperbolic_tangent<T>(c);
                store(g + k, candidate);
                store(g + n + k, write);
                store(g + 2 * n + k, forget);
                store(g + 3 * n + k, read);
                store(g + 4 * n + k, shown);
                store(new_cell + row * n + k, c);
                store(state + row * n + k, shown * read);
            }
        }
    }

    // Through the cell backwards: from gradients of the state that it hands on, and of the new cell, to those of gates
    // and of the old cell.
    void unremember(std::int64_t rows, const T* gates, const T* cell, const T* state_gradient, T* cell_gradient,
                    T* slopes) const {
        const std::int64_t n = states_size;
        for (std::int64_t row = 0; row < rows; ++row) {
            const T* g = gates + row * memory().kept_stride;
            T* d = slopes + row * 4 * n;
            for (std::int64_t k = 0; k < n; k += width) {
                const V candidate = load(g + k), write = load(g + n + k), forget = load(g + 2 * n + k);
                const V read = load(g + 3 * n + k), shown = load(g + 4 * n + k);
                const V of_state = load(state_gradient + row * n + k);
                const V of_cell =
                    fma(of_state * read, fnma(shown, shown, broadcast(T(1))), load(cell_gradient + row * n + k));
                store(d + k, of_cell * write * fnma(candidate, candidate, broadcast(T(1))));
                store(d + n + k, of_cell * candidate * fnma(write, write, write));
                store(d + 2 * n + k, of_cell * load(cell + row * n + k) * fnma(forget, forget, forget));
                store(d + 3 * n + k, of_state * shown * fnma(read, read, read));
                store(cell_gradient + row * n + k, of_cell * forget);
            }
        }
    }

    static constexpr double kOuter = 1.7159, kInner = 0.666;  // of LeCun's tanh

    // z = f(x); x becomes what is kept of it.
    void activate(std::int64_t size, T* x, T* z) const {
        switch (p.activation) {
            case Activation::lecun_tanh:
                return activate_by(size, x, z, true, [](V v) {
                    return static_cast<T>(kOuter) * hyperbolic_tangent<T>(static_cast<T>(kInner) * v);
                });
            case Activation::tanh:
                return activate_by(size, x, z, true, [](V v) { return hyperbolic_tangent<T>(v); });
            case Activation::relu:
                return activate_by(size, x, z, true, [](V v) { return v < T(0) ? broadcast(T(0)) : v; });
            case Activation::gelu:
                return activate_by(size, x, z, false, [](V v) { return v * Normal<T>(v).below; });
            case Activation::silu:
                return activate_by(size, x, z, false, [](V v) { return v * sigmoid<T>(v); });
        }
    }

    template <class F>
    static void activate_by(std::int64_t size, T* x, T* z, bool keeps_value, F function) {
        for (std::int64_t k = 0; k < size; k += width) {
            const V value = function(load(x + k));
            if (keeps_value) store(x + k, value);
            store(z + k, value);
        }
    }

    // slope = gradient * f'(x), from what was kept; and z again, where that is not what was kept.
    void deactivate(std::int64_t size, const T* kept, const T* gradient, T* slope, T* z) const {
        const auto each = [&](auto function) {
            for (std::int64_t k = 0; k < size; k += width) {
                store(slope + k, load(gradient + k) * function(load(kept + k), z + k));
            }
        };
        switch (p.activation) {
            case Activation::lecun_tanh:
                return each([](V v, T*) {
                    // Exactly 0 at the ends: less would still count times 1e38.
                    const V slope =
                        fnma(v * static_cast<T>(kInner / kOuter), v, broadcast(static_cast<T>(kInner * kOuter)));
                    return magnitude<T>(v) >= static_cast<T>(kOuter) ? V{} : slope;
                });
            case Activation::tanh:
                return each([](V v, T*) { return fnma(v, v, broadcast(T(1))); });
            case Activation::relu:
                return each([](V v, T*) { return v > T(0) ? broadcast(T(1)) : broadcast(T(0)); });
            case Activation::gelu:
                return each([](V v, T* z) {
                    const Normal<T> normal(v);
                    store(z, v * normal.below);
                    return fma(v, normal.density, normal.below);
                });
            case Activation::silu:
                return each([](V v, T* z) {
                    const V s = sigmoid<T>(v), value = v * s;
                    store(z, value);
                    return fma(value, T(1) - s, s);
                });
        }
    }

    // New states of a stage from its heads, which become what is kept of them: both targets as they are, the gate's
    // slope in time, the gate.
    void combine(const Stage& stage, std::int64_t rows, T* values, const T* spans, T* to) const {
        const std::int64_t n = stage.padded;
        for (std::int64_t row = 0; row < rows; ++row) {
            T *h = values + row * heads * n, *state = to + row * states_size;
            const V span = broadcast(spans[row]);
            if (p.mode == CfcMode::pure) {
                const T *A = weights.get() + A_at + stage.offset, *w_tau = weights.get() + w_tau_at + stage.offset;
                for (std::int64_t k = 0; k < n; k += width) {
                    const V f = load(h + k), a = load(A + k);
                    const V decay = exponential<T>(-span * (magnitude<T>(load(w_tau + k)) + magnitude<T>(f)));
                    store(state + k, fnma(a * decay, f, a));
                }
                continue;
            }
            for (std::int64_t k = 0; k < n; k += width) {
                const V first = hyperbolic_tangent<T>(load(h + k)), second = hyperbolic_tangent<T>(load(h + n + k));
                const V gate = sigmoid<T>(fma(load(h + 2 * n + k), span, load(h + 3 * n + k)));
                store(h + k, first);
                store(h + n + k, second);
                store(h + 3 * n + k, gate);
                store(state + k, fma(gate, second, p.mode == CfcMode::gated ? fnma(gate, first, first) : first));
            }
        }
    }

    // Through a stage backwards: from gradients of its new states, which are taken, to those of its heads, of spans
    // (added to a vector per row) and of A and w_tau.
    void separate(const Stage& stage, std::int64_t rows, const T* values, const T* spans, T* gradient, T* slopes,
                  T* span_sums, T* sums) const {
        const std::int64_t n = stage.padded;
        const V one = broadcast(T(1)), zero = broadcast(T(0));
        for (std::int64_t row = 0; row < rows; ++row) {
            const T* h = values + row * heads * n;
            T *g_row = gradient + row * states_size, *d = slopes + row * heads * n;
            const V span = broadcast(spans[row]);
            V span_sum = load(span_sums + row * width);
            if (p.mode == CfcMode::pure) {
                const T *A = weights.get() + A_at + stage.offset, *w_tau = weights.get() + w_tau_at + stage.offset;
                T *of_A = sums + A_at + stage.offset, *of_w_tau = sums + w_tau_at + stage.offset;
                for (std::int64_t k = 0; k < n; k += width) {
                    const V f = load(h + k), w = load(w_tau + k), g = load(g_row + k), a = load(A + k);
                    const V rate = magnitude<T>(w) + magnitude<T>(f);
                    const V decay = exponential<T>(-span * rate);
                    const V of_exponent = -(g * a * f * decay), of_rate = -span * of_exponent;
                    const V sign_f = f > T(0) ? one : f < T(0) ? -one : zero;
                    const V sign_w = w > T(0) ? one : w < T(0) ? -one : zero;
                    store(of_A + k, load(of_A + k) + g * fnma(decay, f, one));
                    store(of_w_tau + k, fma(of_rate, sign_w, load(of_w_tau + k)));
                    store(d + k, fma(of_rate, sign_f, -(g * a * decay)));
                    span_sum = fnma(of_exponent, rate, span_sum);
                    store(g_row + k, zero);
                }
            } else {
                for (std::int64_t k = 0; k < n; k += width) {
                    const V first = load(h + k), second = load(h + n + k), slope = load(h + 2 * n + k);
                    const V gate = load(h + 3 * n + k), g = load(g_row + k), part = g * gate;
                    const bool gated = p.mode == CfcMode::gated;
                    const V of_first = gated ? g - part : g, moved = gated ? second - first : second;
                    const V of_gate = part * (one - gate) * moved;
                    store(d + k, of_first * fnma(first, first, one));
                    store(d + n + k, part * fnma(second, second, one));
                    store(d + 2 * n + k, of_gate * span);
                    store(d + 3 * n + k, of_gate);
                    span_sum = fma(of_gate, slope, span_sum);
                    store(g_row + k, zero);
                }
            }
            store(span_sums + row * width, span_sum);
        }
    }

    // to = start + the gradients of what a map reads, from those of what it gives for the samples from s on.
    void pull(const Map& map, std::int64_t rows, std::int64_t s, BackwardWorkspace& work, Rows<const T> start,
              Rows<T> to) const {
        const T* d = slopes(map, s, work);
        const bool odd = !within(d, rows * map.out);
        work.odd[&map - maps.get()] |= odd;
        pull_through(odd, rows, map.stride, map.out, d, map.from_source, start, to, work.mending);
    }

    // to = start + slopes (rows, inner) times the weights (inner, columns) that begin at `from`.
    void pull_through(bool odd, std::int64_t rows, std::int64_t columns, std::int64_t inner, const T* slopes,
                      std::int64_t from, Rows<const T> start, Rows<T> to, Mending& mending) const {
        const Right<T> right{weights.get() + from, width, columns};
        if (!odd) return product<T>(rows, columns / width, inner, {slopes, inner, 1}, right, start, to);
        for (std::int64_t row = 0; row < rows; ++row) {
            mended_product(columns / width, inner, slopes + row * inner, right, start.data + row * start.stride,
                           to.data + row * to.stride, {from, columns, 1}, mending);
        }
    }

    void backward_chunk(std::int64_t chunk, BackwardWorkspace& work, const T* states, const T* kept_,
                        const T* state_gradients, const CfcGradients<T>& gradients, T* sums) const {
        const std::int64_t first = chunk * kRows, rows = rows_of(chunk), steps = kSamples / rows, n = states_size;
        const Kept<const T> kept = kept_of(first, rows, kept_);
        clear(work.state.get(), work.state.size());
        clear(work.cell.get(), work.cell.size());
        for (std::int64_t t0 = p.time ? (p.time - 1) / steps * steps : -1; t0 >= 0; t0 -= steps) {
            const std::int64_t count = p.time - t0 < steps ? p.time - t0 : steps;
            clear(work.odd.get(), work.odd.size());
            read(first, rows, t0, count, work);
            for (std::int64_t s = 0; s < count * rows; ++s) {
                const std::int64_t row = first + s % rows, t = t0 + s / rows;
                const T* before = (t ? states + (row * p.time + t - 1) * width_of_states
                                     : p.initial + row * width_of_states);
                if (!work.there[s] || begins(row, t)) {
                    clear(&work.before[s * n], n);
                    clear(&work.cell_before[s * n], n);
                    continue;
                }
                spread(before, &work.before[s * n]);
                if (p.remembers()) spread(before + p.units, &work.cell_before[s * n]);
            }
            for (std::int64_t t = t0 + count - 1; t >= t0; --t) {
                const std::int64_t s = (t - t0) * rows;
                for (std::int64_t row = 0; row < rows; ++row) {
                    const T* upstream = state_gradients + ((first + row) * p.time + t) * width_of_states;
                    receive(upstream, work.there[s + row], &work.state[row * n], &work.source[row * n]);
                    if (p.remembers()) {
                        receive(upstream + p.units, work.there[s + row], &work.cell[row * n], &work.new_cell[row * n]);
                    }
                }
                clear(work.span_sums.get(), work.span_sums.size());
                undo(rows, s, t * rows, kept, work, sums);
                for (std::int64_t row = 0; row < rows; ++row) {
                    const T sum = horizontal_sum<T>(load(&work.span_sums[row * width]));
                    gradients.timespans[(first + row) * p.time + t] = work.there[s + row] ? sum : T(0);
                    if (begins(first + row, t)) {
                        clear_state(row, work);
                        continue;
                    }
                    // A held state hands on what it got.
                    if (!work.there[s + row]) continue;
                    copy(&work.source[row * n], n, &work.state[row * n]);
                    if (p.remembers()) copy(&work.new_cell[row * n], n, &work.cell[row * n]);
                }
            }
            accumulate(first, rows, t0, count, kept, states, work, sums);
            for (std::int64_t s = 0; s < count * rows; ++s) {
                const std::int64_t sample = (first + s % rows) * p.time + t0 + s / rows;
                copy(&work.input_gradient[s * inputs], p.inputs, gradients.input + sample * p.inputs);
            }
        }
        for (std::int64_t row = 0; row < rows; ++row) {
            T* to = gradients.initial + (first + row) * width_of_states;
            gather(&work.state[row * n], to);
            if (p.remembers()) gather(&work.cell[row * n], to + p.units);
        }
    }

    // Adds a gradient from outside to that of a state, and hands it to the update if there was one.
    void receive(const T* upstream, bool there, T* gradient, T* to) const {
        if (p.layer) {
            for (std::int64_t i = 0; i < p.units; ++i) gradient[place[i]] += upstream[i];
        } else {
            for (std::int64_t i = 0; i < p.units; ++i) gradient[i] += upstream[i];
        }
        if (there) {
            copy(gradient, states_size, to);
        } else {
            clear(to, states_size);
        }
    }

    T* slopes(const Map& map, std::int64_t s, const BackwardWorkspace& work) const {
        return work.slopes.get() + kSamples * map.before + s * map.out;
    }

    // Through an update backwards: gradients in work.source, and work.new_cell, from those of new states to those of
    // old.
    void undo(std::int64_t rows, std::int64_t s, std::int64_t sample, const Kept<const T>& kept,
              BackwardWorkspace& work, T* sums) const {
        T* gradient = work.source.get();
        const Rows<const T> nothing{work.zeros.get(), 0};
        for (std::int64_t l = stage_count - 1; l >= 0; --l) {
            const Map& map = head(l);
            separate(stages[l], rows, kept.at(map, sample), &work.spans[s], gradient + stages[l].offset,
                     slopes(map, s, work), work.span_sums.get(), sums);
            if (!depth) {
                pull(map, rows, s, work, {gradient + map.from, states_size}, {gradient + map.from, states_size});
            }
        }
        const Map* after = &head(0);
        for (std::int64_t i = depth - 1; i >= 0; --i) {
            const Map& map = backbone(i);
            pull(*after, rows, s, work, nothing, {work.z_gradient.get(), hidden});
            deactivate(rows * hidden, kept.at(map, sample), work.z_gradient.get(), slopes(map, s, work),
                       work.z.get() + (keeps_arguments() ? (i * kSamples + s) * hidden : 0));
            after = &map;
        }
        if (depth) pull(*after, rows, s, work, nothing, {gradient, states_size});
        if (p.remembers()) {
            unremember(rows, kept.at(memory(), sample), &work.cell_before[s * states_size], gradient,
                       work.new_cell.get(), slopes(memory(), s, work));
            pull(memory(), rows, s, work, nothing, {gradient, states_size});
        }
    }

    // Gradients of weights and inputs, from a block of samples.
    void accumulate(std::int64_t first, std::int64_t rows, std::int64_t t0, std::int64_t count,
                    const Kept<const T>& kept, const T* states, BackwardWorkspace& work, T* sums) const {
        const std::int64_t samples = count * rows, n = states_size;
        clear(work.input_gradient.get(), samples * inputs);
        T* source = work.before.get();
        if (p.remembers()) {
            collect(memory(), samples, source, n, work, sums);
            const T* gates = kept.at(memory(), t0 * rows);
            for (std::int64_t s = 0; s < samples; ++s) {
                const T* g = gates + s * memory().kept_stride;
                for (std::int64_t k = 0; k < n; k += width) {
                    store(source + s * n + k, load(g + 4 * n + k) * load(g + 3 * n + k));
                }
            }
        }
        const T* from = source;
        std::int64_t stride = n;
        for (std::int64_t i = 0; i < depth; ++i) {
            collect(backbone(i), samples, from, stride, work, sums);
            from = keeps_arguments() ? work.z.get() + i * kSamples * hidden : kept.at(backbone(i), t0 * rows);
            stride = hidden;
        }
        for (std::int64_t l = 0; l < stage_count; ++l) {
            collect(head(l), samples, from, stride, work, sums);
            if (l + 1 == stage_count) break;
            // The layers that follow saw the new states of this one.
            for (std::int64_t i = 0; i < p.units; ++i) {
                if (stage_of[i] != l) continue;
                for (std::int64_t s = 0; s < samples; ++s) {
                    const std::int64_t sample = (first + s % rows) * p.time + t0 + s / rows;
                    source[s * n + place[i]] = work.there[s] ? states[sample * width_of_states + i] : T(0);
                }
            }
        }
    }

    void collect(const Map& map, std::int64_t samples, const T* source, std::int64_t stride, BackwardWorkspace& work,
                 T* sums) const {
        const T* d = slopes(map, 0, work);
        for (std::int64_t o = 0; o < map.out; o += width) {
            V sum = load(sums + map.bias + o);
            for (std::int64_t s = 0; s < samples; ++s) sum += load(d + s * map.out + o);
            store(sums + map.bias + o, sum);
        }
        add_product(map.out, map.stride, samples, {d, 1, map.out}, {source + map.from, width, stride},
                    sums + map.from_source, map.stride);
        if (!map.inputs) return;
        add_product(map.out, inputs, samples, {d, 1, map.out}, {work.input.get(), width, inputs}, sums + map.from_input,
                    inputs);
        T* to = work.input_gradient.get();
        pull_through(work.odd[&map - maps.get()], samples, inputs, map.out, d, map.from_input, {to, inputs}, {to, inputs},
                     work.mending);
    }

    static void add_product(std::int64_t rows, std::int64_t columns, std::int64_t inner, Left<T> a, Right<T> b, T* to,
                            std::int64_t stride) {
        product<T>(rows, columns / width, inner, a, b, {to, stride}, {to, stride});
    }

    const CfcProblem<T>& p;
    const std::int64_t heads, depth, chunks, strands;
    const std::int64_t inputs, hidden;  // padded
    const std::int64_t width_of_states, stage_count, maps_count;
    Buffer<std::int64_t> place, stage_of;  // of each unit: place in a row of states, stage
    Buffer<Stage> stages;
    Buffer<Map> maps;
    std::int64_t states_size = 0, out_of_maps = 0, kept_width = 0, weights_size = 0, packed_size = 0;
    std::int64_t A_at = 0, w_tau_at = 0;
    Buffer<T> weights{0}, packed{0};
};

template <class T>
void cfc_forward(const CfcProblem<T>& p, T* states, T* kept) {
    Cfc<T>(p).forward(states, kept);
}

template <class T>
void cfc_backward(const CfcProblem<T>& p, const T* states, const T* kept, const T* state_gradients,
                  const CfcGradients<T>& gradients) {
    Cfc<T>(p).backward(states, kept, state_gradients, gradients);
}

template <class T>
std::int64_t cfc_kept(const CfcProblem<T>& p) {
    return Cfc<T>(p).kept();
}

template <class T>
Stepper* cfc_steps(const CfcProblem<T>& p, T* state) {
    return new typename Cfc<T>::Steps(p, state);
}

}  // namespace LIQUID_ISA
}  // namespace liquid
