// Gated recurrences: torch's RNN, LSTM and GRU, CT-RNN and GRU-D; whole sequences, forward and backward.
//
// cells.hpp says what a cell is and what it does elementwise. Here are the products around that, and all that cells have
// in common: samples that are not there, episodes, states that decay with time, gradients.
//
// Rows are sequences, lanes of a vector are outputs of a map. What maps make of inputs is computed for a block of
// samples at once, and so are gradients of weights and inputs; a state's way through the cell is one sample at a time.
// Samples that are not there take no part: a block has those alone that are, in the order of time.
#pragma once

#include "buffer.hpp"
#include "cells.hpp"
#include "functions.hpp"
#include "kernels.hpp"
#include "product.hpp"
#include "strands.hpp"

#include <type_traits>

namespace liquid {
namespace LIQUID_ISA {

template <class T, class Kind>
class Gated {
    using V = Vector<T>;
    static constexpr int width = Simd<T>::width;
    static constexpr std::int64_t kRows = 8;      // sequences of a chunk
    static constexpr std::int64_t kSamples = 64;  // of a block: samples of a chunk, taken together

    struct Workspace;

  public:
    explicit Gated(const GatedProblem<T>& problem)
        : p(problem), cell(p), chunks((p.batch + kRows - 1) / kRows), strands(strands_of(chunks)), sequence(p.batch) {
        arrange_sequences();
    }

    std::int64_t kept() const { return cell.width; }

    void forward(T* states, T* kept) {
        pack();
        each_strand(strands, p.threads, [&](std::int64_t strand) {
            Workspace work(*this);
            for (std::int64_t chunk = strand; chunk < chunks; chunk += strands) {
                forward_chunk(chunk, work, states, kept);
            }
        });
    }

    void backward(const T* states, const T* kept, const T* state_gradients, const GatedGradients<T>& gradients) {
        pack();
        const std::int64_t size = cell.weights_size;
        Buffer<T> sums((strands ? strands : 1) * size);
        each_strand(strands, p.threads, [&](std::int64_t strand) {
            BackwardWorkspace work(*this);
            strand = strands - 1 - strand;  // what the forward pass wrote last is still in the cache
            for (std::int64_t chunk = strand; chunk < chunks; chunk += strands) {
                backward_chunk(chunk, work, states, kept, state_gradients, gradients, sums.get() + strand * size);
            }
        });
        T* total = sums.get();
        for (std::int64_t strand = 1; strand < strands; ++strand) {
            const T* more = total + strand * size;
            for (std::int64_t i = 0; i < size; i += width) store(total + i, load(total + i) + load(more + i));
        }
        cell.segments(gradients.parameters, [&](std::int64_t at, T* values, std::int64_t count) {
            copy(total + at, count, values);
        });
    }

    class Steps final : public Stepper {
      public:
        // Of the problem's arrays, those of the parameters are not read later: their owner may free them.
        Steps(const GatedProblem<T>& problem, T* state_) : p(problem), gated(p), work(gated), state(state_) {
            gated.pack();
        }
        void step() override {
            for (std::int64_t chunk = 0; chunk < gated.chunks; ++chunk) gated.forward_chunk(chunk, work, state, nullptr);
        }

      private:
        const GatedProblem<T> p;
        Gated gated;
        Workspace work;
        T* const state;
    };

  private:
    // The samples of a block that are there.
    struct Block {
        Buffer<std::int64_t> row, first;  // of each sample its sequence in the chunk; of each time its first sample
        Buffer<T> read, spans;
        Buffer<T> memory, memories;  // of cells that impute: of each sequence, and as each sample leaves it
        std::int64_t samples = 0;

        explicit Block(const Gated& self)
            : row(kSamples),
              first(kSamples + 1),
              read(kSamples * self.cell.read_size),
              spans(kSamples),
              memory(kRows * self.memory_size()),
              memories(kSamples * self.memory_size()) {}
    };

    struct Workspace {
        Block block;
        Buffer<T> values, state, before, after, sources, scratch;

        explicit Workspace(const Gated& self)
            : block(self),
              values(kSamples * self.cell.width),
              state(kRows * self.cell.state_size),
              before(kRows * self.cell.state_size),
              after(kRows * self.cell.state_size),
              sources(kRows * self.cell.stride),
              scratch(kRows * 2 * self.cell.stride) {}
    };

    struct BackwardWorkspace {
        Block block;
        Buffer<T> before, sources, slopes, read_gradient, span_sums, scratch;
        Buffer<T> unasked;  // where a gradient of the input goes that nobody asks for
        Buffer<T> state, moving, carry;  // gradients: of states, of those that a sample leads to, of what a link read

        explicit BackwardWorkspace(const Gated& self)
            : block(self),
              before(kSamples * self.cell.state_size),
              sources((self.cell.links - 1) * kSamples * self.cell.stride),
              slopes(kSamples * self.cell.width),
              read_gradient(kSamples * self.cell.read_size),
              span_sums(kSamples * width),
              scratch(kRows * 2 * self.cell.stride),
              unasked(self.p.inputs),
              state(kRows * self.cell.state_size),
              moving(kRows * self.cell.state_size),
              carry(kRows * self.cell.stride) {}
    };

    static void copy(const T* from, std::int64_t count, T* to) {
        __builtin_memcpy(to, from, static_cast<std::size_t>(count) * sizeof(T));
    }

    // Rows of states, which are whole vectors.
    static void move(const T* from, std::int64_t count, T* to) {
        for (std::int64_t k = 0; k < count; k += width) store(to + k, load(from + k));
    }

    std::int64_t memory_size() const { return Kind::imputes ? cell.state_size - cell.part[1].offset : 0; }

    void pack() {
        weights.renew(cell.weights_size);
        packed.renew(cell.packed_size);
        // Two biases of the same column are one.
        cell.segments(p.parameters, [&](std::int64_t at, const T* values, std::int64_t count) {
            for (std::int64_t i = 0; i < count; ++i) weights[at + i] += values[i];
        });
        cell.use(weights.get());
        const auto columns = [&](const Matrix& matrix) {
            for (std::int64_t o = 0; o < matrix.out; o += width) {
                to_columns(weights.get() + matrix.at + o * matrix.stride, matrix.stride, matrix.source, width,
                           packed.get() + matrix.packed + o * matrix.source);
            }
        };
        for (int i = 0; i < cell.into_count; ++i) columns(cell.into[i].matrix);
        std::int64_t done = -1;
        for (int i = 0; i < cell.links; ++i) {
            const Matrix matrix = cell.link(i).matrix;
            if (matrix.at > done) columns(matrix);
            done = matrix.at;
        }
    }

    // Sequences with about as many samples in a chunk, the longest first: then all its rows are there most of the time.
    void arrange_sequences() {
        if (!p.present) {
            for (std::int64_t i = 0; i < p.batch; ++i) sequence[i] = i;
            return;
        }
        Buffer<std::int64_t> there(p.batch), before(p.time + 2);
        for (std::int64_t i = 0; i < p.batch; ++i) {
            for (std::int64_t t = 0; t < p.time; ++t) there[i] += p.present[i * p.time + t] != 0;
            ++before[p.time - there[i] + 1];
        }
        for (std::int64_t count = 0; count < p.time; ++count) before[count + 1] += before[count];
        for (std::int64_t i = 0; i < p.batch; ++i) sequence[before[p.time - there[i]]++] = i;
    }

    std::int64_t rows_of(std::int64_t chunk) const {
        const std::int64_t left = p.batch - chunk * kRows;
        return left < kRows ? left : kRows;
    }

    // Rows of states as torch has them into ours, and back; parts from the first-th to the last-th.
    void spread(const T* from, T* to, int first, int last) const {
        for (int i = first; i < last; ++i) copy(from + cell.part[i].outer, cell.part[i].size, to + cell.part[i].offset);
    }
    void gather(const T* from, T* to) const {
        for (int i = 0; i < cell.parts; ++i) copy(from + cell.part[i].offset, cell.part[i].size, to + cell.part[i].outer);
    }
    static void add(const T* from, std::int64_t count, T* to) {
        for (std::int64_t i = 0; i < count; ++i) to[i] += from[i];
    }
    // Parts that the cell's update is of: all, or the first where the others follow from samples.
    int updated() const { return Kind::imputes ? 1 : cell.parts; }

    // Whether a sequence's state starts anew before its sample at t.
    bool begins(std::int64_t row, std::int64_t t) const { return p.reset && p.reset[row * p.time + t]; }

    // The state that a sequence has before its sample at t.
    const T* state_before(const T* states, std::int64_t row, std::int64_t t) const {
        return t ? states + (row * p.time + t - 1) * p.width : p.initial + row * p.width;
    }

    // Samples of a chunk from t0 on; memory is that of before.
    void read(std::int64_t first, std::int64_t rows, std::int64_t t0, std::int64_t count, Block& block) const {
        std::int64_t s = 0;
        for (std::int64_t step = 0; step < count; ++step) {
            block.first[step] = s;
            for (std::int64_t row = 0; row < rows; ++row) {
                const std::int64_t sample = sequence[first + row] * p.time + t0 + step;
                T* memory = &block.memory[row * memory_size()];
                if (Kind::imputes && begins(sequence[first + row], t0 + step)) clear(memory, memory_size());
                if (p.present && !p.present[sample]) continue;
                block.row[s] = row;
                block.spans[s] = p.timespans[sample];
                cell.read(p.input + sample * p.inputs, observed(sample), p.timespans[sample], memory,
                          &block.read[s * cell.read_size]);
                move(memory, memory_size(), &block.memories[s * memory_size()]);
                ++s;
            }
        }
        block.first[count] = block.samples = s;
    }

    const std::uint8_t* observed(std::int64_t sample) const {
        return p.observed ? p.observed + sample * p.inputs : nullptr;
    }

    void multiply(const Link& link, std::int64_t rows, const T* source, std::int64_t stride, Rows<const T> start,
                  T* values) const {
        const Matrix& m = link.matrix;
        product<T>(rows, m.out / width, m.source, {source + link.from, stride, 1},
                   {packed.get() + m.packed, m.source * width, width}, start, {values + link.to, cell.width});
        // What an infinity times the zeros of no unit has made.
        for (std::int64_t row = 0; m.used < m.gate && row < rows; ++row) {
            T* first = values + row * cell.width + link.to + m.used;
            for (std::int64_t gate = 0; gate < m.out; gate += m.gate) clear(first + gate, m.gate - m.used);
        }
    }

    // Columns of the block's samples before the state has a say.
    void project(const Block& block, T* values) const {
        const T* bias = weights.get() + cell.bias_at;
        const std::int64_t filled = cell.into[0].matrix.out, rest = cell.biased - filled;
        for (std::int64_t s = 0; rest && s < block.samples; ++s) copy(bias + filled, rest, values + s * cell.width + filled);
        for (int i = 0; i < cell.into_count; ++i) {
            multiply(cell.into[i], block.samples, block.read.get(), cell.read_size, {bias + cell.into[i].start, 0}, values);
        }
    }

    // States before the samples from s on, as the cell reads them.
    void decay(std::int64_t s, std::int64_t rows, const T* values, T* before) const {
        if (cell.decay_at < 0) return;
        const std::int64_t size = padded<T>(p.outputs);
        for (std::int64_t row = s; row < s + rows; ++row) {
            const T* rate = values + row * cell.width + cell.decay_at;
            T* h = before + (row - s) * cell.state_size;
            for (std::int64_t k = 0; k < size; k += width) {
                const V exponent = load(rate + k);
                store(h + k, load(h + k) * exponential<T>(Kind::clipped ? clipped(exponent) : -exponent));
            }
        }
    }
    static V clipped(V exponent) { return exponent <= T(0) ? V{} : -exponent; }

    void forward_chunk(std::int64_t chunk, Workspace& work, T* states, T* kept) const {
        const std::int64_t first = chunk * kRows, rows = rows_of(chunk), steps = kSamples / rows, n = cell.state_size;
        Block& block = work.block;
        for (std::int64_t row = 0; row < rows; ++row) {
            spread(p.initial + sequence[first + row] * p.width, &work.state[row * n], 0, cell.parts);
            copy(&work.state[row * n] + n - memory_size(), memory_size(), &block.memory[row * memory_size()]);
        }
        for (std::int64_t t0 = 0; t0 < p.time; t0 += steps) {
            const std::int64_t count = p.time - t0 < steps ? p.time - t0 : steps;
            T* values = p.kept ? kept + (first * p.time + t0 * rows) * cell.width : work.values.get();
            read(first, rows, t0, count, block);
            project(block, values);
            for (std::int64_t step = 0; step < count; ++step) {
                for (std::int64_t row = 0; row < rows; ++row) {
                    if (begins(sequence[first + row], t0 + step)) clear(&work.state[row * n], n);
                }
                update(block.first[step], block.first[step + 1], values, work);
                for (std::int64_t row = 0; row < rows; ++row) {
                    gather(&work.state[row * n], states + (sequence[first + row] * p.time + t0 + step) * p.width);
                }
            }
            if (p.kept) clear(values + block.samples * cell.width, (count * rows - block.samples) * cell.width);
        }
    }

    // States after samples from `first` to `last`, which are of one time, from those before.
    void update(std::int64_t first, std::int64_t last, T* values, Workspace& work) const {
        const std::int64_t rows = last - first, n = cell.state_size;
        const Block& block = work.block;
        for (std::int64_t s = first; s < last; ++s) move(&work.state[block.row[s] * n], n, &work.before[(s - first) * n]);
        decay(first, rows, values, work.before.get());
        Moment<T> now{};
        now.rows = rows;
        now.values = values + first * cell.width;
        now.spans = &block.spans[first];
        now.before = work.before.get();
        now.after = work.after.get();
        now.sources = work.sources.get();
        now.stride = cell.stride;
        now.scratch = work.scratch.get();
        for (int i = 0; i < cell.links; ++i) {
            const Link link = cell.link(i);
            multiply(link, rows, i ? now.sources : now.before, i ? now.stride : n,
                     {now.values + link.start, cell.width}, now.values);
            cell.advance(i, now);
        }
        for (std::int64_t s = first; s < last; ++s) {
            T *state = &work.state[block.row[s] * n], *after = &work.after[(s - first) * n];
            move(after, n - memory_size(), state);
            move(&block.memories[s * memory_size()], memory_size(), state + n - memory_size());
        }
    }

    void backward_chunk(std::int64_t chunk, BackwardWorkspace& work, const T* states, const T* kept,
                        const T* state_gradients, const GatedGradients<T>& gradients, T* sums) const {
        const std::int64_t first = chunk * kRows, rows = rows_of(chunk), steps = kSamples / rows, n = cell.state_size;
        Block& block = work.block;
        clear(work.state.get(), work.state.size());
        for (std::int64_t t0 = p.time ? (p.time - 1) / steps * steps : -1; t0 >= 0; t0 -= steps) {
            const std::int64_t count = p.time - t0 < steps ? p.time - t0 : steps;
            const T* values = kept + (first * p.time + t0 * rows) * cell.width;
            for (std::int64_t row = 0; Kind::imputes && row < rows; ++row) {
                T* memory = &block.memory[row * memory_size()];
                spread(state_before(states, sequence[first + row], t0), memory - cell.part[1].offset, 1, cell.parts);
            }
            read(first, rows, t0, count, block);
            for (std::int64_t step = 0; step < count; ++step) {
                for (std::int64_t s = block.first[step]; s < block.first[step + 1]; ++s) {
                    const std::int64_t row = sequence[first + block.row[s]], t = t0 + step;
                    T* before = &work.before[s * n];
                    clear(before, n);
                    if (!begins(row, t)) spread(state_before(states, row, t), before, 0, cell.parts);
                }
            }
            decay(0, block.samples, values, work.before.get());
            clear(work.span_sums.get(), work.span_sums.size());
            for (std::int64_t step = count - 1; step >= 0; --step) {
                for (std::int64_t row = 0; row < rows; ++row) {
                    const T* upstream = state_gradients + (sequence[first + row] * p.time + t0 + step) * p.width;
                    for (int i = 0; i < updated(); ++i) {
                        add(upstream + cell.part[i].outer, cell.part[i].size, &work.state[row * n + cell.part[i].offset]);
                    }
                }
                undo(block.first[step], block.first[step + 1], values, work, sums);
                for (std::int64_t row = 0; row < rows; ++row) {
                    if (begins(sequence[first + row], t0 + step)) clear(&work.state[row * n], n - memory_size());
                }
            }
            // Memory of inputs has gradients by way of what was read, in any case.
            const bool asked = Kind::imputes || gradients.input || gradients.timespans;
            accumulate(work, asked, sums);
            if (asked) hand_on(first, rows, t0, count, state_gradients, gradients, work, sums);
        }
        for (std::int64_t row = 0; row < rows; ++row) {
            gather(&work.state[row * n], gradients.initial + sequence[first + row] * p.width);
        }
    }

    // Through the samples from `first` to `last`, which are of one time, backwards: from gradients of states after them
    // to those of states before, and to slopes.
    void undo(std::int64_t first, std::int64_t last, const T* values, BackwardWorkspace& work, T* sums) const {
        const std::int64_t rows = last - first, n = cell.state_size, size = padded<T>(p.outputs);
        const Block& block = work.block;
        Moment<T> now{};
        now.rows = rows;
        now.values = const_cast<T*>(values) + first * cell.width;
        now.spans = &block.spans[first];
        now.before = &work.before[first * n];
        now.after = work.moving.get();  // written by no one
        now.sources = work.sources.get() + first * cell.stride;
        now.apart = kSamples * cell.stride;
        now.stride = cell.stride;
        now.scratch = work.scratch.get();
        now.slopes = &work.slopes[first * cell.width];
        now.carry = work.carry.get();
        now.gradient = work.moving.get();
        now.span_sums = &work.span_sums[first * width];
        now.sums = sums;
        cell.recall(now);
        for (std::int64_t s = first; s < last; ++s) {
            const T* gradient = &work.state[block.row[s] * n];
            move(gradient, n, &work.moving[(s - first) * n]);
            move(gradient, size, &work.carry[(s - first) * cell.stride]);
        }
        for (int i = cell.links - 1; i >= 0; --i) {
            const Link link = cell.link(i);
            const Matrix& m = link.matrix;
            cell.retreat(i, now);
            const Rows<T> carry{now.carry, now.stride};
            product<T>(rows, m.stride / width, m.out, {now.slopes + link.to, cell.width, 1},
                       {weights.get() + m.at, width, m.stride}, {carry.data, carry.stride}, carry);
            for (std::int64_t row = 0; m.source < m.stride && row < rows; ++row) {
                clear(now.carry + row * now.stride + m.source, m.stride - m.source);
            }
        }
        for (std::int64_t row = 0; row < rows; ++row) {
            const std::int64_t s = first + row;
            T *state = &work.state[block.row[s] * n], *carry = now.carry + row * now.stride;
            move(&work.moving[row * n], n, state);
            if (cell.decay_at >= 0) slow(now.values + row * cell.width, now.before + row * n, carry, now.slopes + row * cell.width);
            move(carry, size, state);
        }
    }

    // From the gradient of a state as the cell read it to that of the state, and of what it was multiplied by.
    void slow(const T* values, const T* before, T* carry, T* slopes) const {
        const std::int64_t size = padded<T>(p.outputs);
        for (std::int64_t k = 0; k < size; k += width) {
            const V exponent = load(values + cell.decay_at + k), g = load(carry + k), slope = -(g * load(before + k));
            store(slopes + cell.decay_at + k, Kind::clipped ? (exponent <= T(0) ? V{} : slope) : slope);
            store(carry + k, g * exponential<T>(Kind::clipped ? clipped(exponent) : -exponent));
        }
    }

    // Gradients of weights, and, where it is asked for, of what was read, from a block of samples.
    void accumulate(BackwardWorkspace& work, bool of_read, T* sums) const {
        const std::int64_t samples = work.block.samples;
        if (!samples) return;
        const T* slopes = work.slopes.get();
        T* of_bias = sums + cell.bias_at;
        for (std::int64_t s = 0; s < samples; ++s) {
            for (std::int64_t k = 0; k < cell.biased; k += width) {
                store(of_bias + k, load(of_bias + k) + load(slopes + s * cell.width + k));
            }
        }
        for (int i = 0; i < cell.links; ++i) {
            const T* source = i ? work.sources.get() + (i - 1) * kSamples * cell.stride : work.before.get();
            collect(cell.link(i), samples, slopes, source, i ? cell.stride : cell.state_size, sums);
        }
        if (of_read) clear(work.read_gradient.get(), samples * cell.read_size);
        for (int i = 0; i < cell.into_count; ++i) {
            const Link& link = cell.into[i];
            const Matrix& m = link.matrix;
            collect(link, samples, slopes, work.block.read.get(), cell.read_size, sums);
            if (!of_read) continue;
            const Rows<T> to{work.read_gradient.get() + link.from, cell.read_size};
            product<T>(samples, m.stride / width, m.out, {slopes + link.to, cell.width, 1},
                       {weights.get() + m.at, width, m.stride}, {to.data, to.stride}, to);
        }
    }

    void collect(const Link& link, std::int64_t samples, const T* slopes, const T* source, std::int64_t stride,
                 T* sums) const {
        const Matrix& m = link.matrix;
        const Rows<T> to{sums + m.at, m.stride};
        product<T>(m.out, m.stride / width, samples, {slopes + link.to, 1, cell.width}, {source + link.from, width, stride},
                   {to.data, to.stride}, to);
    }

    // Gradients of inputs and spans, and of memory, the last sample first.
    void hand_on(std::int64_t first, std::int64_t rows, std::int64_t t0, std::int64_t count, const T* state_gradients,
                 const GatedGradients<T>& gradients, BackwardWorkspace& work, T* sums) const {
        const Block& block = work.block;
        const std::int64_t n = cell.state_size, aside = n - memory_size();
        std::int64_t s = block.samples;
        for (std::int64_t step = count - 1; step >= 0; --step) {
            for (std::int64_t row = rows - 1; row >= 0; --row) {
                const std::int64_t sample = sequence[first + row] * p.time + t0 + step;
                T *memory = &work.state[row * n] + aside;
                T* to = gradients.input ? gradients.input + sample * p.inputs : work.unasked.get();
                T of_span = 0;
                for (int i = updated(); i < cell.parts; ++i) {
                    add(state_gradients + sample * p.width + cell.part[i].outer, cell.part[i].size,
                        &work.state[row * n + cell.part[i].offset]);
                }
                if (p.present && !p.present[sample]) {
                    clear(to, p.inputs);
                } else {
                    --s;
                    of_span = cell.unread(&work.read_gradient[s * cell.read_size], observed(sample),
                                          &block.read[s * cell.read_size], &work.before[s * n] + aside, memory, to, sums);
                    if (Kind::timed) of_span += horizontal_sum<T>(load(&work.span_sums[s * width]));
                }
                if (gradients.timespans) gradients.timespans[sample] = of_span;
                if (Kind::imputes && begins(sequence[first + row], t0 + step)) clear(memory, memory_size());
            }
        }
    }

    const GatedProblem<T>& p;
    Kind cell;
    const std::int64_t chunks, strands;
    Buffer<std::int64_t> sequence;  // in the order of chunks
    Buffer<T> weights{0}, packed{0};
};

// use(a kind of cell, as the type of a null pointer)
template <class T, class Use>
auto with_cell(const GatedProblem<T>& p, const Use& use) {
    switch (p.kind) {
        case CellKind::lstm:
            return use(static_cast<LstmCell<T>*>(nullptr));
        case CellKind::gru:
            return use(static_cast<GruCell<T>*>(nullptr));
        case CellKind::ct_rnn:
            return use(static_cast<CtRnnCell<T>*>(nullptr));
        case CellKind::gru_d:
            return use(static_cast<GruDCell<T>*>(nullptr));
        default:
            return use(static_cast<RnnCell<T>*>(nullptr));
    }
}

template <class T>
void gated_forward(const GatedProblem<T>& p, T* states, T* kept) {
    with_cell(p, [&](auto* kind) { Gated<T, std::remove_pointer_t<decltype(kind)>>(p).forward(states, kept); });
}

template <class T>
void gated_backward(const GatedProblem<T>& p, const T* states, const T* kept, const T* state_gradients,
                    const GatedGradients<T>& gradients) {
    with_cell(p, [&](auto* kind) {
        Gated<T, std::remove_pointer_t<decltype(kind)>>(p).backward(states, kept, state_gradients, gradients);
    });
}

template <class T>
std::int64_t gated_kept(const GatedProblem<T>& p) {
    return with_cell(p, [&](auto* kind) { return Gated<T, std::remove_pointer_t<decltype(kind)>>(p).kept(); });
}

template <class T>
Stepper* gated_steps(const GatedProblem<T>& p, T* state) {
    return with_cell(p, [&](auto* kind) -> Stepper* {
        return new typename Gated<T, std::remove_pointer_t<decltype(kind)>>::Steps(p, state);
    });
}

}  // namespace LIQUID_ISA
}  // namespace liquid
