// Sums over sigmoid synapses and their gradients, in two layouts of the same work.
//
// BatchLanes puts one sequence in each lane of a vector: every synapse's parameters are scalars, so that work follows
// the synapses that exist. UnitLanes puts one neuron in each lane, so that a single sequence fills a vector; it works
// in blocks of (one source, a vector of targets) and skips those without any synapse. Both share this interface:
//
//     Layout::rows                       sequences handled at once
//     at(units, unit, row), size(units)  place of a value in a chunk of rows, and values of such a chunk
//     used(units, count)                 how many of them, the first, a chunk of fewer rows needs
//     Forward, Backward                  synapses in the order in which sums(), or pull(), reads them; a Backward that
//                                        is to read what sums() kept is made from the Forward
//     sums(): drive += sum w_erev * s, total += sum w * s, with s = sigmoid(sigma * (source - mu))
//     pull(): from gradients of drive and total to those of the source, and to sums from which those of the
//             parameters follow
//     gather(), scatter()                rows of an array into a chunk, and back
//     spread(), row_sums()               one value per row to all its units; sum of each row
//     kept_size(forward)                 values of s that sums() can keep for pull(), or 0 if it cannot
//     Weights                            one more number of each synapse, in the order of a Forward or a Backward
//     linear(): result = held + sum weight * source
//     pull_linear(): from the gradient of that result to the source's, and to each weight's own sum
//
// With a and b the gradients of drive and total, a synapse's four sums over rows and time are of s a, s b, h and h y,
// where y is the presynaptic value and h = s (1 - s) (a w_erev + b w).
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

#include "kernels.hpp"
#include "simd.hpp"

namespace liquid {
namespace LIQUID_ISA {

// Zeroed memory, aligned for vectors. The standard containers' functions would be shared between instruction sets.
template <class T>
class Buffer {
  public:
    explicit Buffer(std::int64_t size) : size_(size), data_(static_cast<T*>(::operator new(bytes(), kAlignment))) {
        __builtin_memset(data_, 0, bytes());
    }
    ~Buffer() { ::operator delete(data_, kAlignment); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    T* get() const { return data_; }
    T& operator[](std::int64_t i) const { return data_[i]; }
    std::int64_t size() const { return size_; }

  private:
    static constexpr std::align_val_t kAlignment{64};
    std::size_t bytes() const { return static_cast<std::size_t>(size_ < 1 ? 1 : size_) * sizeof(T); }
    std::int64_t size_;
    T* data_;
};

LIQUID_INLINE std::int64_t round_up(std::int64_t value, std::int64_t step) { return (value + step - 1) / step * step; }

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

template <class T>
LIQUID_INLINE Parameters<T> parameters(const Synapses<T>& synapses, std::int64_t s) {
    const T scale = static_cast<T>(-kLog2E) * synapses.sigma[s];
    return {scale, -scale * synapses.mu[s], synapses.w[s], synapses.w_erev[s]};
}

template <class T>
struct BatchLanes {
    static constexpr int width = Simd<T>::width;
    static constexpr int rows = width;
    using V = Vector<T>;

    static std::int64_t at(std::int64_t, std::int64_t unit, std::int64_t row) { return unit * width + row; }
    static std::int64_t size(std::int64_t units) { return units * width; }
    static std::int64_t used(std::int64_t units, std::int64_t) { return size(units); }

    static void gather(const T* from, std::int64_t stride, std::int64_t units, std::int64_t count, T* to) {
        to_columns(from, stride, units, count, to);
    }
    static void scatter(const T* from, std::int64_t stride, std::int64_t units, std::int64_t count, T* to) {
        from_columns(from, stride, units, count, to);
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
        Buffer<std::int32_t> others;
        Buffer<Parameters<T>> values;

        Order(const Synapses<T>& synapses, const std::int64_t* keys, const std::int64_t* opposite, std::int64_t groups_)
            : grouped(keys, synapses.count, groups_), groups(groups_), others(synapses.count), values(synapses.count) {
            for (std::int64_t e = 0; e < synapses.count; ++e) {
                const std::int64_t s = grouped.ids[e];
                others[e] = static_cast<std::int32_t>(opposite[s] * width);
                values[e] = parameters(synapses, s);
            }
        }
    };

    struct Forward : Order {
        explicit Forward(const Synapses<T>& s) : Order(s, s.post, s.pre, s.targets) {}
    };

    struct Backward : Order {
        Buffer<std::int64_t> kept;  // where sums() put a synapse's s

        explicit Backward(const Synapses<T>& s) : Order(s, s.pre, s.post, s.sources), kept(0) {}

        Backward(const Synapses<T>& s, const Forward& forward)
            : Order(s, s.pre, s.post, s.sources), kept(s.count) {
            Buffer<std::int64_t> place(s.count);
            for (std::int64_t e = 0; e < s.count; ++e) place[forward.grouped.ids[e]] = e * width;
            for (std::int64_t e = 0; e < s.count; ++e) kept[e] = place[this->grouped.ids[e]];
        }

        std::int64_t sums_size() const { return this->others.size() * 4 * width; }

        // Adds the four sums of each synapse, lanes taken together, to totals[4 * synapse].
        void collect(const T* sums, T* totals) const {
            for (std::int64_t e = 0; e < this->others.size(); ++e) {
                T* total = totals + 4 * this->grouped.ids[e];
                for (int k = 0; k < 4; ++k) total[k] += horizontal_sum<T>(load(sums + (4 * e + k) * width));
            }
        }
    };

    static std::int64_t kept_size(const Forward& order) { return order.others.size() * width; }

    template <bool Keep>
    static void sums_of(const Forward& order, const T* source, const T* held_drive, const T* held_total, T* drive,
                        T* total, T* kept) {
        const Parameters<T>* values = order.values.get();
        const std::int32_t* others = order.others.get();
        for (std::int64_t i = 0; i < order.groups; ++i) {
            V d = load(held_drive + i * width), g = load(held_total + i * width);
            const std::int64_t end = order.grouped.start[i + 1];
            for (std::int64_t e = order.grouped.start[i]; e < end; ++e) {
                const Parameters<T>& p = values[e];
                const V s = opened<T>(fma(load(source + others[e]), broadcast(p.scale), broadcast(p.shift)));
                if (Keep) store(kept + e * width, s);
                d = fma(s, broadcast(p.w_erev), d);
                g = fma(s, broadcast(p.w), g);
            }
            store(drive + i * width, d);
            store(total + i * width, g);
        }
    }

    static void sums(const Forward& order, std::int64_t, std::int64_t, std::int64_t, const T* source,
                     const T* held_drive, const T* held_total, T* drive, T* total, T* kept = nullptr) {
        (kept ? sums_of<true> : sums_of<false>)(order, source, held_drive, held_total, drive, total, kept);
    }

    template <bool Kept>
    static void pull_of(const Backward& order, const T* source, const T* a, const T* b, T* source_gradient, T* sums,
                        const T* kept) {
        const Parameters<T>* values = order.values.get();
        const std::int32_t* others = order.others.get();
        for (std::int64_t j = 0; j < order.groups; ++j) {
            const V y = load(source + j * width);
            V pulled = broadcast(T(0));
            const std::int64_t end = order.grouped.start[j + 1];
            for (std::int64_t e = order.grouped.start[j]; e < end; ++e) {
                const Parameters<T>& p = values[e];
                const V s = Kept ? load(kept + order.kept[e])
                                 : opened<T>(fma(y, broadcast(p.scale), broadcast(p.shift)));
                const V da = load(a + others[e]), db = load(b + others[e]);
                const V h = fnma(s, s, s) * fma(da, broadcast(p.w_erev), db * p.w);
                T* sum = sums + 4 * e * width;
                store(sum, fma(s, da, load(sum)));
                store(sum + width, fma(s, db, load(sum + width)));
                store(sum + 2 * width, load(sum + 2 * width) + h);
                store(sum + 3 * width, fma(h, y, load(sum + 3 * width)));
                pulled = fma(h, broadcast(p.scale), pulled);
            }
            T* gradient = source_gradient + j * width;
            store(gradient, fma(pulled, broadcast(static_cast<T>(-kLn2)), load(gradient)));
        }
    }

    static void pull(const Backward& order, std::int64_t, std::int64_t, std::int64_t, const T* source, const T* a,
                     const T* b, T* source_gradient, T* sums, const T* kept = nullptr) {
        (kept ? pull_of<true> : pull_of<false>)(order, source, a, b, source_gradient, sums, kept);
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
                       const T* source, const T* held, T* result) {
        const T* values = weights.values.get();
        const std::int32_t* others = order.others.get();
        for (std::int64_t i = 0; i < order.groups; ++i) {
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
                            const T* source, const T* gradient, T* source_gradient, T* sums) {
        const T* values = weights.values.get();
        const std::int32_t* others = order.others.get();
        for (std::int64_t j = 0; j < order.groups; ++j) {
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
    static std::int64_t size(std::int64_t units) { return rows * stride(units); }
    static std::int64_t used(std::int64_t units, std::int64_t count) { return count * stride(units); }

    static void gather(const T* from, std::int64_t from_stride, std::int64_t units, std::int64_t count, T* to) {
        for (std::int64_t row = 0; row < count; ++row) {
            copy(from + row * from_stride, units, to + row * stride(units));
        }
    }
    static void scatter(const T* from, std::int64_t to_stride, std::int64_t units, std::int64_t count, T* to) {
        for (std::int64_t row = 0; row < count; ++row) {
            copy(from + row * stride(units), units, to + row * to_stride);
        }
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
            : groups((units + width - 1) / width), start(groups + 1), places(count) {
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
    };

    struct Order : Blocks {
        Buffer<std::int32_t> others;  // by block
        Buffer<T> values;             // (block, 4, lane): scale, shift, w, w_erev; 0 where there is no synapse

        Order(const Synapses<T>& synapses, const std::int64_t* keys, const std::int64_t* opposite, std::int64_t units,
              std::int64_t others_)
            : Blocks(keys, opposite, synapses.count, units, others_),
              others(this->count()),
              values(this->count() * 4 * width) {
            for (std::int64_t s = 0; s < synapses.count; ++s) {
                const std::int64_t block = this->places[s] / width, lane = this->places[s] % width;
                const Parameters<T> p = parameters(synapses, s);
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
        explicit Forward(const Synapses<T>& s) : Order(s, s.post, s.pre, s.targets, s.sources) {}
    };

    struct Backward : Order {
        explicit Backward(const Synapses<T>& s) : Order(s, s.pre, s.post, s.sources, s.targets) {}
        Backward(const Synapses<T>& s, const Forward&) : Backward(s) {}

        std::int64_t sums_size() const { return this->values.size(); }

        void collect(const T* sums, T* totals) const {
            for (std::int64_t s = 0; s < this->places.size(); ++s) {
                const std::int64_t block = this->places[s] / width, lane = this->places[s] % width;
                for (int k = 0; k < 4; ++k) totals[4 * s + k] += sums[(4 * block + k) * width + lane];
            }
        }
    };

    template <int R>
    static void sums_of(const Forward& order, std::int64_t sources, std::int64_t units, const T* source,
                        const T* held_drive, const T* held_total, T* drive, T* total) {
        for (std::int64_t g = 0; g < order.groups; ++g) {
            V d[R], c[R];
            for (int r = 0; r < R; ++r) {
                d[r] = load(held_drive + r * units + g * width);
                c[r] = load(held_total + r * units + g * width);
            }
            for (std::int64_t e = order.start[g]; e < order.start[g + 1]; ++e) {
                const T* p = order.values.get() + e * 4 * width;
                const T* y = source + order.others[e];
                const V scale = load(p), shift = load(p + width), w = load(p + 2 * width), w_erev = load(p + 3 * width);
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) {
                    const V s = opened<T>(fma(broadcast(y[r * sources]), scale, shift));
                    d[r] = fma(s, w_erev, d[r]);
                    c[r] = fma(s, w, c[r]);
                }
            }
            for (int r = 0; r < R; ++r) {
                store(drive + r * units + g * width, d[r]);
                store(total + r * units + g * width, c[r]);
            }
        }
    }

    template <int R>
    static void pull_of(const Backward& order, std::int64_t sources, std::int64_t units, const T* source, const T* a,
                        const T* b, T* source_gradient, T* sums) {
        for (std::int64_t g = 0; g < order.groups; ++g) {
            V pulled[R];
            for (int r = 0; r < R; ++r) pulled[r] = broadcast(T(0));
            const T* y = source + g * width;
            for (std::int64_t e = order.start[g]; e < order.start[g + 1]; ++e) {
                const T* p = order.values.get() + e * 4 * width;
                T* sum = sums + e * 4 * width;
                const T *da = a + order.others[e], *db = b + order.others[e];
                const V scale = load(p), shift = load(p + width), w = load(p + 2 * width), w_erev = load(p + 3 * width);
                V sa = load(sum), sb = load(sum + width), h = load(sum + 2 * width), hy = load(sum + 3 * width);
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) {
                    const V at = load(y + r * sources);
                    const V s = opened<T>(fma(at, scale, shift));
                    const V ra = broadcast(da[r * units]), rb = broadcast(db[r * units]);
                    const V slope = fnma(s, s, s) * fma(ra, w_erev, rb * w);
                    sa = fma(s, ra, sa);
                    sb = fma(s, rb, sb);
                    h += slope;
                    hy = fma(slope, at, hy);
                    pulled[r] = fma(slope, scale, pulled[r]);
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

    // The two passes see blocks of different shape, so none can hand the other its values.
    static std::int64_t kept_size(const Forward&) { return 0; }

    static void sums(const Forward& order, std::int64_t sources, std::int64_t targets, std::int64_t count,
                     const T* source, const T* held_drive, const T* held_total, T* drive, T* total, T* = nullptr) {
        const std::int64_t from = stride(sources), to = stride(targets);
        for (std::int64_t row = 0; row < count;) {
            const std::int64_t left = count - row;
            auto* run = left >= 4 ? sums_of<4> : left >= 2 ? sums_of<2> : sums_of<1>;
            run(order, from, to, source + row * from, held_drive + row * to, held_total + row * to, drive + row * to,
                total + row * to);
            row += left >= 4 ? 4 : left >= 2 ? 2 : 1;
        }
    }

    static void pull(const Backward& order, std::int64_t sources, std::int64_t targets, std::int64_t count,
                     const T* source, const T* a, const T* b, T* source_gradient, T* sums, const T* = nullptr) {
        const std::int64_t from = stride(sources), to = stride(targets);
        for (std::int64_t row = 0; row < count;) {
            const std::int64_t left = count - row;
            auto* run = left >= 8 ? pull_of<8> : left >= 4 ? pull_of<4> : left >= 2 ? pull_of<2> : pull_of<1>;
            run(order, from, to, source + row * from, a + row * to, b + row * to, source_gradient + row * from, sums);
            row += left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        }
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

    template <int R>
    static void linear_of(const Forward& order, const T* values, std::int64_t sources, std::int64_t units,
                          const T* source, const T* held, T* result) {
        for (std::int64_t g = 0; g < order.groups; ++g) {
            V sum[R];
            for (int r = 0; r < R; ++r) sum[r] = load(held + r * units + g * width);
            for (std::int64_t e = order.start[g]; e < order.start[g + 1]; ++e) {
                const V weight = load(values + e * width);
                const T* y = source + order.others[e];
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) sum[r] = fma(broadcast(y[r * sources]), weight, sum[r]);
            }
            for (int r = 0; r < R; ++r) store(result + r * units + g * width, sum[r]);
        }
    }

    static void linear(const Forward& order, const Weights& weights, std::int64_t sources, std::int64_t targets,
                       std::int64_t count, const T* source, const T* held, T* result) {
        const std::int64_t from = stride(sources), to = stride(targets);
        for (std::int64_t row = 0; row < count;) {
            const std::int64_t left = count - row;
            auto* run = left >= 8 ? linear_of<8> : left >= 4 ? linear_of<4> : left >= 2 ? linear_of<2> : linear_of<1>;
            run(order, weights.values.get(), from, to, source + row * from, held + row * to, result + row * to);
            row += left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        }
    }

    template <int R>
    static void pull_linear_of(const Backward& order, const T* values, std::int64_t sources, std::int64_t units,
                               const T* source, const T* gradient, T* source_gradient, T* sums) {
        for (std::int64_t g = 0; g < order.groups; ++g) {
            V y[R], pulled[R];
            for (int r = 0; r < R; ++r) {
                y[r] = load(source + r * sources + g * width);
                pulled[r] = load(source_gradient + r * sources + g * width);
            }
            for (std::int64_t e = order.start[g]; e < order.start[g + 1]; ++e) {
                const V weight = load(values + e * width);
                const T* of = gradient + order.others[e];
                V sum = load(sums + e * width);
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) {
                    const V here = broadcast(of[r * units]);
                    sum = fma(here, y[r], sum);
                    pulled[r] = fma(here, weight, pulled[r]);
                }
                store(sums + e * width, sum);
            }
            for (int r = 0; r < R; ++r) store(source_gradient + r * sources + g * width, pulled[r]);
        }
    }

    static void pull_linear(const Backward& order, const Weights& weights, std::int64_t sources, std::int64_t targets,
                            std::int64_t count, const T* source, const T* gradient, T* source_gradient, T* sums) {
        const std::int64_t from = stride(sources), to = stride(targets);
        for (std::int64_t row = 0; row < count;) {
            const std::int64_t left = count - row;
            auto* run = left >= 8   ? pull_linear_of<8>
                        : left >= 4 ? pull_linear_of<4>
                        : left >= 2 ? pull_linear_of<2>
                                    : pull_linear_of<1>;
            run(order, weights.values.get(), from, to, source + row * from, gradient + row * to,
                source_gradient + row * from, sums);
            row += left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        }
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
