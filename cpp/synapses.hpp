// Sums over sigmoid synapses and their gradients, in two layouts of the same work.
//
// BatchLanes puts one sequence in each lane of a vector: every synapse's parameters are scalars, so that work follows
// the synapses that exist. UnitLanes puts one neuron in each lane, so that a single sequence fills a vector; it works
// in blocks of (one source, a vector of targets) and skips those without any synapse. Both share this interface:
//
//     Layout::rows                       sequences handled at once
//     at(units, unit, row)               place of a value in a chunk of rows
//     size(units, rows)                  values of a chunk, some of them padding
//     groups(units), vectors(rows)       groups of lanes, see below; vectors that a block is for so many rows
//     each(units, rows, part, run)       run(place) for every vector of a part's values
//     columns(units, part)               the units themselves
//     Forward, Backward                  synapses in the order in which sums(), or pull(), reads them
//     sums(): drive += sum w_erev * s, total += sum w * s, with s = sigmoid(sigma * (source - mu))
//     pull(): from gradients of drive and total to those of the source, and to sums from which those of the
//             parameters follow
//     gather(), scatter()                rows of an array into a part of a chunk, and back
//     spread(), row_sums()               one value per row to all its units; sum of each row
//     pack(), unpack()                   a chunk's existing values in some dense order, and back
//     Weights                            one more number of each synapse, in the order of a Forward or a Backward
//     linear(): result = held + sum weight * source
//     pull_linear(): from the gradient of that result to the source's, and to each weight's own sum
//
// A Part is of the groups of an order, which are the lanes of UnitLanes' vectors and BatchLanes' units: of targets in
// sums() and linear(), of sources in pull() and pull_linear(). before(group) is how many blocks come before a group's.
//
// With a and b the gradients of drive and total, a synapse's four sums over rows and time are of s a, s b, h and h y,
// where y is the presynaptic value and h = s (1 - s) (a w_erev + b w) scale.
//
// Both kernels are compiled twice: where no source can bring a synapse near the ends of what opened() computes, as is
// usual, comparisons are spared. So are those of UnitLanes that keep infinities and NaN where they belong: lanes of a
// block without a synapse hold zeros, but 0 times infinity is NaN.
#pragma once

#include <cstdint>
#include <type_traits>

#include "buffer.hpp"
#include "kernels.hpp"
#include "simd.hpp"
#include "strands.hpp"

namespace liquid {
namespace LIQUID_ISA {

// Synapses sorted by one of their ends: those of group g are ids[start[g]] to ids[start[g + 1]].
struct Grouped {
    Buffer<std::int64_t> start, ids;

    Grouped(const std::int64_t* keys, std::int64_t count, std::int64_t groups) : start(groups + 1), ids(count) {
        for (std::int64_t s = 0; s < count; ++s) ++start[keys[s] + 1];
        for (std::int64_t g = 0; g < groups; ++g) start[g + 1] += start[g];
        Buffer<std::int64_t> next(groups);
        for (std::int64_t g = 0; g < groups; ++g) next[g] = start[g];
        for (std::int64_t s = 0; s < count; ++s) ids[next[keys[s]]++] = s;
    }
};

// A synapse's argument as opened() wants it: scale * source + shift = -log2(e) * sigma * (source - mu).
template <class T>
struct Parameters {
    T scale, shift, w, w_erev;
};

constexpr double kLog2E = 1.44269504088896340735992468100;
constexpr double kLn2 = 0.693147180559945309417232121458;

// pull() divides by the scale in the end. A steepness of 0 is one so small that no sigmoid shows it.
template <class T>
LIQUID_INLINE T scale_of(const Synapses<T>& synapses, std::int64_t s) {
    const T sigma = synapses.sigma[s], least = static_cast<T>(1e-20);
    return static_cast<T>(-kLog2E) * (sigma < least && -sigma < least ? least : sigma);
}

enum class Pass { forward, backward };

// For pull() the weights are times the scale.
template <class T>
LIQUID_INLINE Parameters<T> parameters(const Synapses<T>& synapses, std::int64_t s, Pass pass) {
    const T scale = scale_of(synapses, s), factor = pass == Pass::forward ? T(1) : scale;
    return {scale, -scale * synapses.mu[s], synapses.w[s] * factor, synapses.w_erev[s] * factor};
}

// How large sources may be for the argument of every synapse to be within bounds.
template <class T>
T reach(const Synapses<T>& synapses) {
    T steepest = 0, furthest = 0;
    bool known = true;
    for (std::int64_t s = 0; s < synapses.count; ++s) {
        const T scale = scale_of(synapses, s), shift = scale * synapses.mu[s];
        known &= scale - scale == 0 && shift - shift == 0;
        steepest = scale > steepest ? scale : -scale > steepest ? -scale : steepest;
        furthest = shift > furthest ? shift : -shift > furthest ? -shift : furthest;
    }
    return known && synapses.count ? (Simd<T>::bound - furthest) / steepest : T(-1);
}

template <class T>
struct BatchLanes {
    static constexpr int width = Simd<T>::width;
    static constexpr int rows = width;
    using V = Vector<T>;

    static std::int64_t at(std::int64_t, std::int64_t unit, std::int64_t row) { return unit * width + row; }
    static std::int64_t size(std::int64_t units, std::int64_t = rows) { return units * width; }
    static std::int64_t groups(std::int64_t units) { return units; }
    static std::int64_t vectors(std::int64_t) { return 1; }  // of a block, for so many rows

    template <class Run>
    static void each(std::int64_t, std::int64_t, Part part, const Run& run) {
        for (std::int64_t i = part.first; i < part.last; ++i) run(i * width);
    }
    static Part columns(std::int64_t, Part part) { return part; }
    static void gather(const T* from, std::int64_t stride, std::int64_t, std::int64_t count, Part part, T* to) {
        to_columns(from + part.first, stride, part.last - part.first, count, to + part.first * width);
    }
    static void scatter(const T* from, std::int64_t stride, std::int64_t, std::int64_t count, Part part, T* to) {
        from_columns(from + part.first * width, stride, part.last - part.first, count, to + part.first);
    }
    static void pack(const T* from, std::int64_t units, std::int64_t count, T* to) {
        for (std::int64_t i = 0; i < units; ++i) {
            __builtin_memcpy(to + i * count, from + i * width, static_cast<std::size_t>(count) * sizeof(T));
        }
    }
    static void unpack(const T* from, std::int64_t units, std::int64_t count, T* to) {
        for (std::int64_t i = 0; i < units; ++i) {
            for (std::int64_t row = count; row < width; ++row) to[i * width + row] = T(0);
            __builtin_memcpy(to + i * width, from + i * count, static_cast<std::size_t>(count) * sizeof(T));
        }
    }
    static void spread(const T* values, std::int64_t units, std::int64_t, T* to) {
        for (std::int64_t i = 0; i < units; ++i) store(to + i * width, load(values));
    }
    static void row_sums(const T* values, std::int64_t units, std::int64_t, T* to) {
        V sum = broadcast(T(0));
        for (std::int64_t i = 0; i < units; ++i) sum += load(values + i * width);
        store(to, sum);
    }

    struct Order {
        Grouped grouped;
        std::int64_t groups;
        T reach;
        Buffer<std::int32_t> others;
        Buffer<Parameters<T>> values;

        Order(const Synapses<T>& synapses, const std::int64_t* keys, const std::int64_t* opposite, std::int64_t groups_,
              Pass pass)
            : grouped(keys, synapses.count, groups_),
              groups(groups_),
              reach(LIQUID_ISA::reach(synapses)),
              others(synapses.count),
              values(synapses.count) {
            for (std::int64_t e = 0; e < synapses.count; ++e) {
                const std::int64_t s = grouped.ids[e];
                others[e] = static_cast<std::int32_t>(opposite[s] * width);
                values[e] = parameters(synapses, s, pass);
            }
        }

        std::int64_t count() const { return others.size(); }
        std::int64_t before(std::int64_t group) const { return grouped.start[group]; }
    };

    struct Forward : Order {
        explicit Forward(const Synapses<T>& s) : Order(s, s.post, s.pre, s.targets, Pass::forward) {}
    };

    struct Backward : Order {
        explicit Backward(const Synapses<T>& s) : Order(s, s.pre, s.post, s.sources, Pass::backward) {}

        std::int64_t sums_size() const { return this->others.size() * 4 * width; }

        // Adds the four sums of each synapse, lanes taken together, to totals[4 * synapse].
        void collect(const T* sums, T* totals) const {
            for (std::int64_t e = 0; e < this->others.size(); ++e) {
                T* total = totals + 4 * this->grouped.ids[e];
                for (int k = 0; k < 4; ++k) total[k] += horizontal_sum<T>(load(sums + (4 * e + k) * width));
            }
        }
    };

    // run(some, first): a group's synapses, some at a time, whose latencies then hide each other; a number, as a type.
    template <int Most, class Run>
    static void by_synapses(const Order& order, std::int64_t group, const Run& run) {
        const std::int64_t end = order.grouped.start[group + 1];
        std::int64_t first = order.grouped.start[group];
        for (; first + Most <= end; first += Most) run(std::integral_constant<int, Most>(), first);
        for (; first < end; ++first) run(std::integral_constant<int, 1>(), first);
    }

    template <bool Bounded>
    static void sums_of(const Forward& order, Part part, const T* source, const T* held_drive, const T* held_total,
                        T* drive, T* total) {
        const Parameters<T>* values = order.values.get();
        const std::int32_t* others = order.others.get();
        for (std::int64_t i = part.first; i < part.last; ++i) {
            V d = load(held_drive + i * width), g = load(held_total + i * width);
            by_synapses<4>(order, i, [&](auto some, std::int64_t first) {
                V s[some];
                for (int n = 0; n < some; ++n) {
                    const Parameters<T>& p = values[first + n];
                    s[n] = fma(load(source + others[first + n]), broadcast(p.scale), broadcast(p.shift));
                }
                open<T, Bounded, some>(s);
                for (int n = 0; n < some; ++n) {
                    d = fma(s[n], broadcast(values[first + n].w_erev), d);
                    g = fma(s[n], broadcast(values[first + n].w), g);
                }
            });
            store(drive + i * width, d);
            store(total + i * width, g);
        }
    }

    static void sums(const Forward& order, std::int64_t sources, std::int64_t, std::int64_t, Part part,
                     const T* source, const T* held_drive, const T* held_total, T* drive, T* total) {
        auto* run = within(source, size(sources), order.reach) ? sums_of<true> : sums_of<false>;
        run(order, part, source, held_drive, held_total, drive, total);
    }

    template <bool Bounded>
    static void pull_of(const Backward& order, Part part, const T* source, const T* a, const T* b, T* source_gradient,
                        T* sums) {
        const Parameters<T>* values = order.values.get();
        const std::int32_t* others = order.others.get();
        for (std::int64_t j = part.first; j < part.last; ++j) {
            const V y = load(source + j * width);
            V pulled = broadcast(T(0));
            by_synapses<2>(order, j, [&](auto some, std::int64_t first) {
                V s[some];
                for (int n = 0; n < some; ++n) {
                    s[n] = fma(y, broadcast(values[first + n].scale), broadcast(values[first + n].shift));
                }
                open<T, Bounded, some>(s);
                for (int n = 0; n < some; ++n) {
                    const Parameters<T>& p = values[first + n];
                    const std::int32_t other = others[first + n];
                    const V sa = s[n] * load(a + other), sb = s[n] * load(b + other);
                    const V weighted = fma(sa, broadcast(p.w_erev), sb * p.w), h = fnma(s[n], weighted, weighted);
                    T* sum = sums + 4 * (first + n) * width;
                    store(sum, load(sum) + sa);
                    store(sum + width, load(sum + width) + sb);
                    store(sum + 2 * width, load(sum + 2 * width) + h);
                    store(sum + 3 * width, fma(h, y, load(sum + 3 * width)));
                    pulled += h;
                }
            });
            T* gradient = source_gradient + j * width;
            store(gradient, fma(pulled, broadcast(static_cast<T>(-kLn2)), load(gradient)));
        }
    }

    static void pull(const Backward& order, std::int64_t sources, std::int64_t, std::int64_t, Part part,
                     const T* source, const T* a, const T* b, T* source_gradient, T* sums) {
        auto* run = within(source, size(sources), order.reach) ? pull_of<true> : pull_of<false>;
        run(order, part, source, a, b, source_gradient, sums);
    }

    struct Weights {
        Buffer<T> values;

        // None at all if of_synapses is null.
        Weights(const Order& order, const T* of_synapses) : values(of_synapses ? order.others.size() : 0) {
            for (std::int64_t e = 0; e < values.size(); ++e) values[e] = of_synapses[order.grouped.ids[e]];
        }

        std::int64_t sums_size() const { return values.size() * width; }

        static void collect(const Order& order, const T* sums, T* totals) {
            for (std::int64_t e = 0; e < order.others.size(); ++e) {
                totals[order.grouped.ids[e]] += horizontal_sum<T>(load(sums + e * width));
            }
        }
    };

    static void linear(const Forward& order, const Weights& weights, std::int64_t, std::int64_t, std::int64_t,
                       Part part, const T* source, const T* held, T* result) {
        const T* values = weights.values.get();
        const std::int32_t* others = order.others.get();
        for (std::int64_t i = part.first; i < part.last; ++i) {
            // Two sums, as each addition waits for the one before.
            V even = load(held + i * width), odd = broadcast(T(0));
            std::int64_t e = order.grouped.start[i];
            const std::int64_t end = order.grouped.start[i + 1];
            for (; e + 1 < end; e += 2) {
                even = fma(load(source + others[e]), broadcast(values[e]), even);
                odd = fma(load(source + others[e + 1]), broadcast(values[e + 1]), odd);
            }
            if (e < end) even = fma(load(source + others[e]), broadcast(values[e]), even);
            store(result + i * width, even + odd);
        }
    }

    static void pull_linear(const Backward& order, const Weights& weights, std::int64_t, std::int64_t, std::int64_t,
                            Part part, const T* source, const T* gradient, T* source_gradient, T* sums) {
        const T* values = weights.values.get();
        const std::int32_t* others = order.others.get();
        for (std::int64_t j = part.first; j < part.last; ++j) {
            const V y = load(source + j * width);
            V pulled = load(source_gradient + j * width);
            const std::int64_t end = order.grouped.start[j + 1];
            for (std::int64_t e = order.grouped.start[j]; e < end; ++e) {
                const V g = load(gradient + others[e]);
                store(sums + e * width, fma(g, y, load(sums + e * width)));
                pulled = fma(g, broadcast(values[e]), pulled);
            }
            store(source_gradient + j * width, pulled);
        }
    }

    static double cost(const Synapses<T>& synapses, std::int64_t batch) {
        return static_cast<double>(synapses.count) * static_cast<double>((batch + rows - 1) / rows);
    }
};

template <class T>
struct UnitLanes {
    static constexpr int width = Simd<T>::width;
    static constexpr int rows = 8;
    using V = Vector<T>;

    static std::int64_t stride(std::int64_t units) { return round_up(units, width); }
    static std::int64_t at(std::int64_t units, std::int64_t unit, std::int64_t row) {
        return row * stride(units) + unit;
    }
    static std::int64_t size(std::int64_t units, std::int64_t count = rows) { return count * stride(units); }
    static std::int64_t groups(std::int64_t units) { return (units + width - 1) / width; }
    static std::int64_t vectors(std::int64_t count) { return count; }

    template <class Run>
    static void each(std::int64_t units, std::int64_t count, Part part, const Run& run) {
        for (std::int64_t row = 0; row < count; ++row) {
            for (std::int64_t g = part.first; g < part.last; ++g) run(row * stride(units) + g * width);
        }
    }
    static Part columns(std::int64_t units, Part part) {
        return {part.first * width, part.last * width < units ? part.last * width : units};
    }
    static void gather(const T* from, std::int64_t from_stride, std::int64_t units, std::int64_t count, Part part,
                       T* to) {
        const auto [first, last] = columns(units, part);
        for (std::int64_t row = 0; row < count; ++row) {
            copy(from + row * from_stride + first, last - first, to + row * stride(units) + first);
        }
    }
    static void scatter(const T* from, std::int64_t to_stride, std::int64_t units, std::int64_t count, Part part,
                        T* to) {
        const auto [first, last] = columns(units, part);
        for (std::int64_t row = 0; row < count; ++row) {
            copy(from + row * stride(units) + first, last - first, to + row * to_stride + first);
        }
    }
    static void pack(const T* from, std::int64_t units, std::int64_t count, T* to) {
        for (std::int64_t row = 0; row < count; ++row) copy(from + row * stride(units), units, to + row * units);
    }
    static void unpack(const T* from, std::int64_t units, std::int64_t count, T* to) {
        for (std::int64_t row = 0; row < count; ++row) copy(from + row * units, units, to + row * stride(units));
    }
    // In whole vectors first, for which the compiler needs no call.
    static void copy(const T* from, std::int64_t count, T* to) {
        std::int64_t i = 0;
        for (; i + width <= count; i += width) __builtin_memcpy(to + i, from + i, width * sizeof(T));
        if (i < count) __builtin_memcpy(to + i, from + i, static_cast<std::size_t>(count - i) * sizeof(T));
    }
    static void spread(const T* values, std::int64_t units, std::int64_t count, T* to) {
        for (std::int64_t row = 0; row < count; ++row) {
            for (std::int64_t i = 0; i < units; i += width) store(to + row * stride(units) + i, broadcast(values[row]));
        }
    }
    static void row_sums(const T* values, std::int64_t units, std::int64_t count, T* to) {
        for (std::int64_t row = 0; row < count; ++row) {
            V sum = broadcast(T(0));
            for (std::int64_t i = 0; i < units; i += width) sum += load(values + row * stride(units) + i);
            to[row] = horizontal_sum<T>(sum);
        }
    }

    // Blocks of one vector of units on one side (lanes) and one unit on the other, those that hold a synapse.
    struct Blocks {
        std::int64_t groups;
        Buffer<std::int64_t> start;
        Buffer<std::int64_t> places;  // of each synapse: block * width + lane

        // Synapses sorted by their other end come to each group in ascending order of it, so a block is new when its
        // group last saw another.
        Blocks(const std::int64_t* keys, const std::int64_t* opposite, std::int64_t count, std::int64_t units,
               std::int64_t others)
            : groups(UnitLanes::groups(units)), start(groups + 1), places(count) {
            const Grouped by_other(opposite, count, others);
            Buffer<std::int64_t> last(groups), next(groups);
            for (int pass = 0; pass < 2; ++pass) {
                for (std::int64_t g = 0; g < groups; ++g) {
                    last[g] = -1;
                    next[g] = start[g];
                }
                for (std::int64_t n = 0; n < count; ++n) {
                    const std::int64_t s = by_other.ids[n], g = keys[s] / width;
                    if (last[g] != opposite[s]) {
                        last[g] = opposite[s];
                        ++next[g];
                    }
                    places[s] = (next[g] - 1) * width + keys[s] % width;
                }
                if (pass == 0) {
                    for (std::int64_t g = 0; g < groups; ++g) start[g + 1] = start[g] + next[g];
                }
            }
        }

        std::int64_t count() const { return start[groups]; }
        std::int64_t before(std::int64_t group) const { return start[group]; }
    };

    struct Order : Blocks {
        T reach;
        Buffer<std::int32_t> others;  // by block
        Buffer<T> values;             // (block, 4, lane): scale, shift, w, w_erev; 0 where there is no synapse

        Order(const Synapses<T>& synapses, const std::int64_t* keys, const std::int64_t* opposite, std::int64_t units,
              std::int64_t others_, Pass pass)
            : Blocks(keys, opposite, synapses.count, units, others_),
              reach(LIQUID_ISA::reach(synapses)),
              others(this->count()),
              values(this->count() * 4 * width) {
            for (std::int64_t s = 0; s < synapses.count; ++s) {
                const std::int64_t block = this->places[s] / width, lane = this->places[s] % width;
                const Parameters<T> p = parameters(synapses, s, pass);
                T* value = values.get() + block * 4 * width + lane;
                value[0] = p.scale;
                value[width] = p.shift;
                value[2 * width] = p.w;
                value[3 * width] = p.w_erev;
                others[block] = static_cast<std::int32_t>(opposite[s]);
            }
        }
    };

    struct Forward : Order {
        explicit Forward(const Synapses<T>& s) : Order(s, s.post, s.pre, s.targets, s.sources, Pass::forward) {}
    };

    struct Backward : Order {
        explicit Backward(const Synapses<T>& s) : Order(s, s.pre, s.post, s.sources, s.targets, Pass::backward) {}

        std::int64_t sums_size() const { return this->values.size(); }

        void collect(const T* sums, T* totals) const {
            for (std::int64_t s = 0; s < this->places.size(); ++s) {
                const std::int64_t block = this->places[s] / width, lane = this->places[s] % width;
                for (int k = 0; k < 4; ++k) totals[4 * s + k] += sums[(4 * block + k) * width + lane];
            }
        }
    };

    // Lanes of a block without a synapse; scale_of() is never 0.
    static LIQUID_INLINE auto absent(V scale) { return scale == T(0); }

    // run(block, row): all rows, in blocks that load what they share once; `block` is the number of rows, as a type.
    template <int Most, class Run>
    static void by_rows(std::int64_t count, const Run& run, std::int64_t row = 0) {
        for (; count - row >= Most; row += Most) run(std::integral_constant<int, Most>(), row);
        if constexpr (Most > 1) by_rows<Most / 2>(count, run, row);
    }

    template <bool Bounded, int R>
    static void sums_of(const Forward& order, Part part, std::int64_t sources, std::int64_t units, const T* source,
                        const T* held_drive, const T* held_total, T* drive, T* total) {
        for (std::int64_t g = part.first; g < part.last; ++g) {
            V d[R], c[R];
            for (int r = 0; r < R; ++r) {
                d[r] = load(held_drive + r * units + g * width);
                c[r] = load(held_total + r * units + g * width);
            }
            for (std::int64_t e = order.start[g]; e < order.start[g + 1]; ++e) {
                const T* p = order.values.get() + e * 4 * width;
                const T* y = source + order.others[e];
                const V scale = load(p), shift = load(p + width), w = load(p + 2 * width), w_erev = load(p + 3 * width);
                V s[R];
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) {
                    s[r] = fma(broadcast(y[r * sources]), scale, shift);
                    if (!Bounded) s[r] = absent(scale) ? V{} : s[r];
                }
                open<T, Bounded, R>(s);
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) {
                    d[r] = fma(s[r], w_erev, d[r]);
                    c[r] = fma(s[r], w, c[r]);
                }
            }
            for (int r = 0; r < R; ++r) {
                store(drive + r * units + g * width, d[r]);
                store(total + r * units + g * width, c[r]);
            }
        }
    }

    template <bool Bounded, int R>
    static void pull_of(const Backward& order, Part part, std::int64_t sources, std::int64_t units, const T* source,
                        const T* a, const T* b, T* source_gradient, T* sums) {
        constexpr int N = R < 4 ? R : 4;
        for (std::int64_t g = part.first; g < part.last; ++g) {
            V pulled[R];
            for (int r = 0; r < R; ++r) pulled[r] = broadcast(T(0));
            const T* y = source + g * width;
            for (std::int64_t e = order.start[g]; e < order.start[g + 1]; ++e) {
                const T* p = order.values.get() + e * 4 * width;
                T* sum = sums + e * 4 * width;
                const T *da = a + order.others[e], *db = b + order.others[e];
                const V scale = load(p), shift = load(p + width), w = load(p + 2 * width), w_erev = load(p + 3 * width);
                V sa = load(sum), sb = load(sum + width), h = load(sum + 2 * width), hy = load(sum + 3 * width);
#pragma GCC unroll 2
                for (int from = 0; from < R; from += N) {
                    V s[N];
#pragma GCC unroll 4
                    for (int n = 0; n < N; ++n) s[n] = fma(load(y + (from + n) * sources), scale, shift);
                    open<T, Bounded, N>(s);
#pragma GCC unroll 4
                    for (int n = 0; n < N; ++n) {
                        const int r = from + n;
                        const V ra = s[n] * da[r * units], rb = s[n] * db[r * units];
                        const V weighted = fma(ra, w_erev, rb * w);
                        V slope = fnma(s[n], weighted, weighted);
                        if (!Bounded) slope = absent(scale) ? V{} : slope;
                        sa += ra;
                        sb += rb;
                        h += slope;
                        hy = fma(slope, load(y + r * sources), hy);
                        pulled[r] += slope;
                    }
                }
                store(sum, sa);
                store(sum + width, sb);
                store(sum + 2 * width, h);
                store(sum + 3 * width, hy);
            }
            for (int r = 0; r < R; ++r) {
                T* gradient = source_gradient + r * sources + g * width;
                store(gradient, fma(pulled[r], broadcast(static_cast<T>(-kLn2)), load(gradient)));
            }
        }
    }

    static void sums(const Forward& order, std::int64_t sources, std::int64_t targets, std::int64_t count, Part part,
                     const T* source, const T* held_drive, const T* held_total, T* drive, T* total) {
        auto* run = within(source, count * stride(sources), order.reach) ? sums_by<true> : sums_by<false>;
        run(order, sources, targets, count, part, source, held_drive, held_total, drive, total);
    }

    template <bool Bounded>
    static void sums_by(const Forward& order, std::int64_t sources, std::int64_t targets, std::int64_t count,
                        Part part, const T* source, const T* held_drive, const T* held_total, T* drive, T* total) {
        const std::int64_t from = stride(sources), to = stride(targets);
        // Rows at once, as many as there are registers for.
        constexpr int most = kVectorBytes == 64 ? 4 : 2;
        by_rows<most>(count, [&](auto block, std::int64_t row) {
            sums_of<Bounded, block>(order, part, from, to, source + row * from, held_drive + row * to,
                                    held_total + row * to, drive + row * to, total + row * to);
        });
    }

    static void pull(const Backward& order, std::int64_t sources, std::int64_t targets, std::int64_t count, Part part,
                     const T* source, const T* a, const T* b, T* source_gradient, T* sums) {
        const std::int64_t upstream = count * stride(targets);
        const bool ordinary = within(source, count * stride(sources), order.reach) &&
                              within(a, upstream) && within(b, upstream);
        auto* run = ordinary ? pull_by<true> : pull_by<false>;
        run(order, sources, targets, count, part, source, a, b, source_gradient, sums);
    }

    template <bool Bounded>
    static void pull_by(const Backward& order, std::int64_t sources, std::int64_t targets, std::int64_t count,
                        Part part, const T* source, const T* a, const T* b, T* source_gradient, T* sums) {
        const std::int64_t from = stride(sources), to = stride(targets);
        by_rows<8>(count, [&](auto block, std::int64_t row) {
            pull_of<Bounded, block>(order, part, from, to, source + row * from, a + row * to, b + row * to,
                                    source_gradient + row * from, sums);
        });
    }

    struct Weights {
        Buffer<T> values;

        Weights(const Order& order, const T* of_synapses) : values(of_synapses ? order.count() * width : 0) {
            if (!of_synapses) return;
            for (std::int64_t s = 0; s < order.places.size(); ++s) values[order.places[s]] = of_synapses[s];
        }

        std::int64_t sums_size() const { return values.size(); }

        static void collect(const Order& order, const T* sums, T* totals) {
            for (std::int64_t s = 0; s < order.places.size(); ++s) totals[s] += sums[order.places[s]];
        }
    };

    template <bool Finite, int R>
    static void linear_of(const Forward& order, Part part, const T* values, std::int64_t sources, std::int64_t units,
                          const T* source, const T* held, T* result) {
        for (std::int64_t g = part.first; g < part.last; ++g) {
            V sum[R];
            for (int r = 0; r < R; ++r) sum[r] = load(held + r * units + g * width);
            for (std::int64_t e = order.start[g]; e < order.start[g + 1]; ++e) {
                const V weight = load(values + e * width), scale = load(order.values.get() + e * 4 * width);
                const T* y = source + order.others[e];
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) {
                    const V more = fma(broadcast(y[r * sources]), weight, sum[r]);
                    sum[r] = Finite ? more : absent(scale) ? sum[r] : more;
                }
            }
            for (int r = 0; r < R; ++r) store(result + r * units + g * width, sum[r]);
        }
    }

    static void linear(const Forward& order, const Weights& weights, std::int64_t sources, std::int64_t targets,
                       std::int64_t count, Part part, const T* source, const T* held, T* result) {
        auto* run = within(source, count * stride(sources)) ? linear_by<true> : linear_by<false>;
        run(order, weights, sources, targets, count, part, source, held, result);
    }

    template <bool Finite>
    static void linear_by(const Forward& order, const Weights& weights, std::int64_t sources, std::int64_t targets,
                          std::int64_t count, Part part, const T* source, const T* held, T* result) {
        const std::int64_t from = stride(sources), to = stride(targets);
        by_rows<8>(count, [&](auto block, std::int64_t row) {
            linear_of<Finite, block>(order, part, weights.values.get(), from, to, source + row * from, held + row * to,
                             result + row * to);
        });
    }

    template <bool Finite, int R>
    static void pull_linear_of(const Backward& order, Part part, const T* values, std::int64_t sources,
                               std::int64_t units, const T* source, const T* gradient, T* source_gradient, T* sums) {
        for (std::int64_t g = part.first; g < part.last; ++g) {
            V y[R], pulled[R];
            for (int r = 0; r < R; ++r) {
                y[r] = load(source + r * sources + g * width);
                pulled[r] = load(source_gradient + r * sources + g * width);
            }
            for (std::int64_t e = order.start[g]; e < order.start[g + 1]; ++e) {
                const V weight = load(values + e * width), scale = load(order.values.get() + e * 4 * width);
                const T* of = gradient + order.others[e];
                V sum = load(sums + e * width);
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) {
                    const V here = broadcast(of[r * units]);
                    sum = fma(here, y[r], sum);
                    const V more = fma(here, weight, pulled[r]);
                    pulled[r] = Finite ? more : absent(scale) ? pulled[r] : more;
                }
                store(sums + e * width, sum);
            }
            for (int r = 0; r < R; ++r) store(source_gradient + r * sources + g * width, pulled[r]);
        }
    }

    static void pull_linear(const Backward& order, const Weights& weights, std::int64_t sources, std::int64_t targets,
                            std::int64_t count, Part part, const T* source, const T* gradient, T* source_gradient,
                            T* sums) {
        auto* run = within(gradient, count * stride(targets)) ? pull_linear_by<true>
                                                                             : pull_linear_by<false>;
        run(order, weights, sources, targets, count, part, source, gradient, source_gradient, sums);
    }

    template <bool Finite>
    static void pull_linear_by(const Backward& order, const Weights& weights, std::int64_t sources,
                               std::int64_t targets, std::int64_t count, Part part, const T* source, const T* gradient,
                               T* source_gradient, T* sums) {
        const std::int64_t from = stride(sources), to = stride(targets);
        by_rows<8>(count, [&](auto block, std::int64_t row) {
            pull_linear_of<Finite, block>(order, part, weights.values.get(), from, to, source + row * from,
                                  gradient + row * to, source_gradient + row * from, sums);
        });
    }

    static double cost(const Synapses<T>& synapses, std::int64_t batch) {
        const std::int64_t groups = (synapses.targets + width - 1) / width;
        const std::int64_t blocks =
            synapses.count == synapses.sources * synapses.targets
                ? groups * synapses.sources
                : Blocks(synapses.post, synapses.pre, synapses.count, synapses.targets, synapses.sources).count();
        return static_cast<double>(blocks) * static_cast<double>(batch);
    }
};

}  // namespace LIQUID_ISA
}  // namespace liquid
