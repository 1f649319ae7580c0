// Products of small matrices, with columns in the lanes of vectors and a block of rows and columns in registers.
//
// Every element is the sum start + a_0 b_0 + a_1 b_1 + ... in this order, whatever block it falls into: so a row has
// the same bits alone as among others.
#pragma once

#include "simd.hpp"

namespace liquid {
namespace LIQUID_ISA {

// The left factor: element (row, i) is data[row * rows + i * inner].
template <class T>
struct Left {
    const T* data;
    std::int64_t rows, inner;
};

// The right factor: columns of the v-th vector in row i start at data[v * vectors + i * inner].
template <class T>
struct Right {
    const T* data;
    std::int64_t vectors, inner;
};

// What a product starts from, or goes to: rows of vectors.
template <class T>
struct Rows {
    T* data;
    std::int64_t stride;
};

// Inlined: a call would pass its structs by way of memory, which the callee reads before it is there.
template <class T, int R, int C>
LIQUID_INLINE void product_block(std::int64_t inner, Left<T> a, Right<T> b, Rows<const T> start, Rows<T> to) {
    constexpr int width = Simd<T>::width;
    Vector<T> sums[R][C];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) sums[r][c] = load(start.data + r * start.stride + c * width);
    }
    // Operations that are not a sum's count where another thread shares the core.
#pragma GCC unroll 2
    for (std::int64_t i = 0; i < inner; ++i) {
        Vector<T> row[C];
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) row[c] = load(b.data + c * b.vectors + i * b.inner);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const Vector<T> value = broadcast(a.data[r * a.rows + i * a.inner]);
#pragma GCC unroll 8
            for (int c = 0; c < C; ++c) sums[r][c] = fma(value, row[c], sums[r][c]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) store(to.data + r * to.stride + c * width, sums[r][c]);
    }
}

// How many rows, and vectors of columns, a block has at most: as registers allow.
#if defined(__AVX512F__)
constexpr int kBlockRows = 8, kBlockColumns = 2;
#elif defined(__AVX2__)
constexpr int kBlockRows = 6, kBlockColumns = 3;
#else
constexpr int kBlockRows = 4, kBlockColumns = 2;
#endif

template <class T, int C>
void product_columns(std::int64_t rows, std::int64_t inner, const Left<T>& a, const Right<T>& b, const Rows<const T>& start,
                     const Rows<T>& to) {
    for (std::int64_t row = 0; row < rows;) {
        const Left<T> left{a.data + row * a.rows, a.rows, a.inner};
        const Rows<const T> from{start.data + row * start.stride, start.stride};
        const Rows<T> result{to.data + row * to.stride, to.stride};
        const std::int64_t remaining = rows - row;
        // Of 8 rows two blocks of 4 are faster than one of 6 and one of 2.
        if (C <= 2 && remaining >= kBlockRows && (kBlockRows != 6 || remaining != 8)) {
            product_block<T, kBlockRows, C <= 2 ? C : 1>(inner, left, b, from, result);
            row += kBlockRows;
        } else if (C <= kBlockColumns && remaining >= 4) {
            product_block<T, 4, C <= kBlockColumns ? C : 1>(inner, left, b, from, result);
            row += 4;
        } else if (C <= 4 && remaining >= 2) {
            product_block<T, 2, C <= 4 ? C : 1>(inner, left, b, from, result);
            row += 2;
        } else {
            product_block<T, 1, C>(inner, left, b, from, result);
            row += 1;
        }
    }
}

// to = start + a b over `vectors` vectors of columns.
template <class T>
void product(std::int64_t rows, std::int64_t vectors, std::int64_t inner, Left<T> a, Right<T> b, Rows<const T> start,
             Rows<T> to) {
    constexpr int width = Simd<T>::width;
    // With few rows it takes more columns to hide the latency of an addition.
    const int most = rows == 1 ? 8 : rows < 4 ? 4 : kBlockColumns;
    for (std::int64_t v = 0; v < vectors;) {
        const Right<T> right{b.data + v * b.vectors, b.vectors, b.inner};
        const Rows<const T> from{start.data + v * width, start.stride};
        const Rows<T> result{to.data + v * width, to.stride};
        const std::int64_t remaining = vectors - v;
        int columns = most;
        while (columns > remaining) columns = (columns + 1) / 2;
        if (columns == 3 && remaining == 4) columns = 2;  // 2 and 2 are faster than 3 and 1
        auto* run = columns == 8   ? product_columns<T, 8>
                    : columns == 4 ? product_columns<T, 4>
                    : columns == 3 ? product_columns<T, 3>
                    : columns == 2 ? product_columns<T, 2>
                                   : product_columns<T, 1>;
        run(rows, inner, a, right, from, result);
        v += columns;
    }
}

}  // namespace LIQUID_ISA
}  // namespace liquid
