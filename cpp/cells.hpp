// Cells of gated recurrences: what each does, elementwise, between the products that gated.hpp makes for it.
//
// Of every sample a cell has a row of `width` values. Maps from what is read of the sample fill its first columns, from a
// bias on. Then `links`, one after the other, add to columns what a map makes of the state, or of what the cell has made
// of the link before, and after each the cell advances: it activates those columns in place, which is what the backward
// pass finds, and gives what the next link reads, or the new state. The backward pass retreats through the links, the
// last first: from the gradient of what a link led to, the carry, to gradients of the columns that it filled, the slopes,
// and to that part of the carry which does not go through the link's map.
//
// Units are padded to whole vectors, gate by gate. Values of no unit are zeros, for NaN among them would spread.
#pragma once

#include "buffer.hpp"
#include "functions.hpp"
#include "kernels.hpp"

namespace liquid {
namespace LIQUID_ISA {

// The same for all instruction sets.
template <class T>
std::int64_t padded(std::int64_t count) {
    return round_up(count, 64 / static_cast<std::int64_t>(sizeof(T)));
}

// Weights of an affine map: at `at` as rows of outputs, each `stride` long, at `packed` as columns for the forward pass.
// Outputs are gates of `gate` columns, of which `used` are units.
struct Matrix {
    std::int64_t out, gate, used, source, stride, at, packed;
};

// A map to columns of a row of values, which start at others, from what is read of a sample, or from a state.
struct Link {
    Matrix matrix;
    std::int64_t from, start, to;
};

// A part of a state: its place in a row of our states, and in one of torch's.
struct StatePart {
    std::int64_t size, offset, outer;
};

// One sample of some sequences; arrays are rows.
template <class T>
struct Moment {
    std::int64_t rows;
    T* values;
    const T* spans;
    const T* before;  // states
    T* after;
    T* sources;  // what links after the first read: `apart` from link to link, `stride` from row to row
    std::int64_t apart, stride;
    T* scratch;  // two rows for each row, `stride` long
    // In the backward pass:
    T *slopes, *carry;
    T* gradient;   // of states, their parts after the first: of `after`, to become that of `before`
    T* span_sums;  // a vector for each row, to which gradients of spans are added
    T* sums;       // gradients of parameters

    T* source(int link, std::int64_t row) const { return sources + (link - 1) * apart + row * stride; }
};

// What all cells have.
template <class T>
struct Cell {
    using V = Vector<T>;
    static constexpr int lanes = Simd<T>::width;

    explicit Cell(const GatedProblem<T>& problem)
        : p(problem),
          n(padded<T>(p.units)),
          m(padded<T>(p.outputs)),
          stride(n > m ? n : m) {}

    const GatedProblem<T>& p;
    const std::int64_t n, m;    // padded: units, outputs
    const std::int64_t stride;  // of a row that holds either
    std::int64_t weights_size = 0, packed_size = 0;
    std::int64_t width = 0, biased = 0, bias_at = 0;  // `biased` columns start at a bias
    std::int64_t read_size = 0;                       // of what is read of a sample
    std::int64_t state_size = 0;
    Link into[2];
    int into_count = 0, links = 1, parts = 0;
    StatePart part[3];
    // Columns, if there are some, with the exponent -s of what the state is multiplied by before the sample; a negative s
    // counts as 0 where it is `clipped`.
    std::int64_t decay_at = -1;

    static constexpr bool timed = false;    // whether the cell's own equation reads spans
    static constexpr bool imputes = false;  // whether parts of the state, all but the first, follow from samples alone
    static constexpr bool clipped = false;

    Matrix matrix(std::int64_t gates, std::int64_t used, std::int64_t source) {
        const std::int64_t gate = padded<T>(used);
        const Matrix made{gates * gate, gate, used, source, padded<T>(source), weights_size, packed_size};
        weights_size += made.out * made.stride;
        packed_size += made.out * source;
        return made;
    }
    std::int64_t vector(std::int64_t size) {
        const std::int64_t at = weights_size;
        weights_size += padded<T>(size);
        return at;
    }
    // Of all columns, and how many of them start at a parameter.
    void columns(std::int64_t all, std::int64_t start) {
        width = all;
        biased = start;
        bias_at = vector(all);
    }
    void add_part(std::int64_t size) {
        const std::int64_t outer = parts ? part[parts - 1].outer + part[parts - 1].size : 0;
        part[parts++] = {size, state_size, outer};
        state_size += padded<T>(size);
    }
    // A map of what is read, `size` numbers, from their place among it to columns.
    void add_input(std::int64_t gates, std::int64_t used, std::int64_t size, std::int64_t to) {
        into[into_count++] = {matrix(gates, used, size), read_size, to, to};
        read_size += padded<T>(size);
    }

    // Inputs of torch's cells and of CT-RNNs: features, and the span after them if it is one; and, of a state that decays
    // with time, the span once more.
    void read_plainly(std::int64_t gates, std::int64_t decay) {
        add_input(gates, p.units, p.inputs + p.appends, 0);
        if (!p.parameters.rate) return;
        decay_at = decay;
        add_input(1, p.outputs, 1, decay);
    }
    void read(const T* input, const std::uint8_t*, T span, T*, T* to) const {
        for (std::int64_t j = 0; j < p.inputs; ++j) to[j] = input[j];
        if (p.appends) to[p.inputs] = span;
        if (p.parameters.rate) to[into[1].from] = span;
    }
    T unread(const T* gradient, const std::uint8_t*, const T*, const T*, T*, T* input_gradient, T*) const {
        for (std::int64_t j = 0; j < p.inputs; ++j) input_gradient[j] = gradient[j];
        return (p.appends ? gradient[p.inputs] : T(0)) + (p.parameters.rate ? gradient[into[1].from] : T(0));
    }

    // Rows of a gate's parameters, (units, columns), into a matrix's rows from `out` on, at a column.
    template <class P, class Visit>
    void rows(const Matrix& to, std::int64_t out, std::int64_t column, P from, std::int64_t count, std::int64_t columns,
              Visit visit) const {
        for (std::int64_t i = 0; i < count; ++i) {
            visit(to.at + (out + i) * to.stride + column, from + i * columns, columns);
        }
    }
    template <class P, class Visit>
    void torchs_input(const CellParameters<P>& q, std::int64_t gate, std::int64_t to, Visit visit) const {
        const std::int64_t columns = p.inputs + p.appends;
        rows(into[0].matrix, to, 0, q.weight_ih + gate * p.units * columns, p.units, columns, visit);
        if (q.bias_ih) visit(bias_at + to, q.bias_ih + gate * p.units, p.units);
    }
    template <class P, class Visit>
    void torchs_decay(const CellParameters<P>& q, Visit visit) const {
        if (q.rate) rows(into[1].matrix, 0, 0, q.rate, p.outputs, 1, visit);
    }

    // function(row, column) for each vector of the units' columns.
    template <class F>
    LIQUID_INLINE void each(const Moment<T>& now, std::int64_t columns, F function) const {
        each(now, columns, [](std::int64_t) { return 0; }, [&](std::int64_t row, std::int64_t k, int) { function(row, k); });
    }
    // The same with what a row's columns share: function(row, column, of_row(row)).
    template <class R, class F>
    LIQUID_INLINE void each(const Moment<T>& now, std::int64_t columns, R of_row, F function) const {
        for (std::int64_t row = 0; row < now.rows; ++row) {
            const auto shared = of_row(row);
            for (std::int64_t k = 0; k < columns; k += lanes) function(row, k, shared);
        }
    }
    // Columns become their sigmoids, in a loop of its own: that takes 5 % off a GRU's forward pass.
    void open(const Moment<T>& now, std::int64_t from, std::int64_t columns) const {
        each(now, columns, [&](std::int64_t row, std::int64_t k) {
            T* v = now.values + row * width + from + k;
            store(v, sigmoid<T>(load(v)));
        });
    }
    // Before the backward pass of a sample: what links after the first read, from values.
    void recall(const Moment<T>&) const {}
    // Weights as they are now; what no unit has may be set.
    void use(T* packed) { weights = packed; }
    const T* weights = nullptr;
};

// d tanh, d sigmoid, from their values: exactly 0 at the ends.
template <class T>
LIQUID_INLINE Vector<T> slope_of_tanh(Vector<T> value) {
    return fnma(value, value, broadcast(T(1)));
}
template <class T>
LIQUID_INLINE Vector<T> slope_of_sigmoid(Vector<T> value) {
    return fnma(value, value, value);
}

// torch.nn.RNN
template <class T>
struct RnnCell : Cell<T> {
    using V = Vector<T>;
    using Cell<T>::p;
    using Cell<T>::n;
    Matrix recurrent;

    explicit RnnCell(const GatedProblem<T>& problem) : Cell<T>(problem) {
        this->read_plainly(1, n);
        recurrent = this->matrix(1, p.units, p.units);
        this->columns(p.parameters.rate ? 2 * n : n, n);
        this->add_part(p.units);
    }
    template <class P, class Visit>
    void segments(const CellParameters<P>& q, Visit visit) const {
        this->torchs_input(q, 0, 0, visit);
        this->rows(recurrent, 0, 0, q.weight_hh, p.units, p.units, visit);
        if (q.bias_hh) visit(this->bias_at, q.bias_hh, p.units);
        this->torchs_decay(q, visit);
    }
    Link link(int) const { return {recurrent, 0, 0, 0}; }

    void advance(int, const Moment<T>& now) const {
        const bool relu = p.kind == CellKind::rnn_relu;
        this->each(now, n, [&](std::int64_t row, std::int64_t k) {
            T* v = now.values + row * this->width + k;
            const V sum = load(v), h = relu ? (sum < T(0) ? V{} : sum) : hyperbolic_tangent<T>(sum);
            store(v, h);
            store(now.after + row * this->state_size + k, h);
        });
    }
    void retreat(int, const Moment<T>& now) const {
        const bool relu = p.kind == CellKind::rnn_relu;
        this->each(now, n, [&](std::int64_t row, std::int64_t k) {
            T* carry = now.carry + row * this->stride + k;
            const V h = load(now.values + row * this->width + k), g = load(carry);
            store(now.slopes + row * this->width + k, relu ? (h > T(0) ? g : V{}) : g * slope_of_tanh<T>(h));
            store(carry, V{});
        });
    }
};

// torch.nn.LSTM, with a projection a second link. Gates i, f, g, o; then the projected state, and tanh of the cell.
template <class T>
struct LstmCell : Cell<T> {
    using V = Vector<T>;
    using Cell<T>::p;
    using Cell<T>::n;
    using Cell<T>::m;
    Matrix recurrent, projection{};
    const bool projects;
    std::int64_t shown;

    explicit LstmCell(const GatedProblem<T>& problem) : Cell<T>(problem), projects(problem.parameters.weight_hr) {
        shown = 4 * n + (projects ? m : 0);
        this->read_plainly(4, shown + n);
        recurrent = this->matrix(4, p.units, p.outputs);
        if (projects) projection = this->matrix(1, p.outputs, p.units);
        this->columns(shown + n + (p.parameters.rate ? m : 0), shown);
        this->links = projects ? 2 : 1;
        this->add_part(p.outputs);
        this->add_part(p.units);
    }
    template <class P, class Visit>
    void segments(const CellParameters<P>& q, Visit visit) const {
        for (std::int64_t gate = 0; gate < 4; ++gate) {
            this->torchs_input(q, gate, gate * n, visit);
            this->rows(recurrent, gate * n, 0, q.weight_hh + gate * p.units * p.outputs, p.units, p.outputs, visit);
            if (q.bias_hh) visit(this->bias_at + gate * n, q.bias_hh + gate * p.units, p.units);
        }
        if (projects) this->rows(projection, 0, 0, q.weight_hr, p.outputs, p.units, visit);
        this->torchs_decay(q, visit);
    }
    Link link(int number) const { return number ? Link{projection, 0, 4 * n, 4 * n} : Link{recurrent, 0, 0, 0}; }

    void advance(int link, const Moment<T>& now) const {
        const std::int64_t c = this->part[1].offset;
        if (link == 1) {
            return this->each(now, m, [&](std::int64_t row, std::int64_t k) {
                store(now.after + row * this->state_size + k, load(now.values + row * this->width + 4 * n + k));
            });
        }
        this->each(now, n, [&](std::int64_t row, std::int64_t k) {
            T *v = now.values + row * this->width + k, *after = now.after + row * this->state_size;
            const V write = sigmoid<T>(load(v)), forget = sigmoid<T>(load(v + n));
            const V candidate = hyperbolic_tangent<T>(load(v + 2 * n)), read = sigmoid<T>(load(v + 3 * n));
            const V cell = fma(load(now.before + row * this->state_size + c + k), forget, candidate * write);
            const V seen = hyperbolic_tangent<T>(cell);
            store(v, write);
            store(v + n, forget);
            store(v + 2 * n, candidate);
            store(v + 3 * n, read);
            store(v + shown, seen);
            store(after + c + k, cell);
            store(projects ? now.source(1, row) + k : after + k, seen * read);
        });
    }
    void recall(const Moment<T>& now) const {
        if (!projects) return;
        this->each(now, n, [&](std::int64_t row, std::int64_t k) {
            const T* v = now.values + row * this->width + k;
            store(now.source(1, row) + k, load(v + shown) * load(v + 3 * n));
        });
    }
    void retreat(int link, const Moment<T>& now) const {
        if (link == 1) {
            this->each(now, m, [&](std::int64_t row, std::int64_t k) {
                store(now.slopes + row * this->width + 4 * n + k, load(now.carry + row * this->stride + k));
            });
            return this->each(now, n, [&](std::int64_t row, std::int64_t k) { store(now.carry + row * this->stride + k, V{}); });
        }
        const std::int64_t c = this->part[1].offset;
        this->each(now, n, [&](std::int64_t row, std::int64_t k) {
            const T* v = now.values + row * this->width + k;
            T *d = now.slopes + row * this->width + k, *carry = now.carry + row * this->stride + k;
            T* of_after = now.gradient + row * this->state_size + c + k;
            const V write = load(v), forget = load(v + n), candidate = load(v + 2 * n), read = load(v + 3 * n);
            const V seen = load(v + shown), g = load(carry);
            const V of_cell = fma(g * read, slope_of_tanh<T>(seen), load(of_after));
            store(d, of_cell * candidate * slope_of_sigmoid<T>(write));
            store(d + n, of_cell * load(now.before + row * this->state_size + c + k) * slope_of_sigmoid<T>(forget));
            store(d + 2 * n, of_cell * write * slope_of_tanh<T>(candidate));
            store(d + 3 * n, g * seen * slope_of_sigmoid<T>(read));
            store(of_after, of_cell * forget);
            store(carry, V{});
        });
        if (m > n) {
            this->each(now, m, [&](std::int64_t row, std::int64_t k) { store(now.carry + row * this->stride + k, V{}); });
        }
    }
};

// torch.nn.GRU. Columns: the candidate's part from inputs, r, z, the candidate's part from the state. Inputs fill the
// first three, the state the last three.
template <class T>
struct GruCell : Cell<T> {
    using V = Vector<T>;
    using Cell<T>::p;
    using Cell<T>::n;
    Matrix recurrent;

    explicit GruCell(const GatedProblem<T>& problem) : Cell<T>(problem) {
        this->read_plainly(3, 4 * n);
        recurrent = this->matrix(3, p.units, p.units);
        this->columns(p.parameters.rate ? 5 * n : 4 * n, 4 * n);
        this->add_part(p.units);
    }
    template <class P, class Visit>
    void segments(const CellParameters<P>& q, Visit visit) const {
        for (std::int64_t gate = 0; gate < 3; ++gate) {  // r, z, candidate
            this->torchs_input(q, gate, (gate + 1) % 3 * n, visit);
            this->rows(recurrent, gate * n, 0, q.weight_hh + gate * p.units * p.units, p.units, p.units, visit);
            if (q.bias_hh) visit(this->bias_at + (gate + 1) * n, q.bias_hh + gate * p.units, p.units);
        }
        this->torchs_decay(q, visit);
    }
    Link link(int) const { return {recurrent, 0, n, n}; }

    void advance(int, const Moment<T>& now) const {
        this->open(now, n, 2 * n);
        this->each(now, n, [&](std::int64_t row, std::int64_t k) {
            T* v = now.values + row * this->width + k;
            const V r = load(v + n), z = load(v + 2 * n);
            const V candidate = hyperbolic_tangent<T>(fma(r, load(v + 3 * n), load(v)));
            store(v, candidate);
            const V h = load(now.before + row * this->state_size + k);
            store(now.after + row * this->state_size + k, fma(z, h - candidate, candidate));
        });
    }
    void retreat(int, const Moment<T>& now) const {
        this->each(now, n, [&](std::int64_t row, std::int64_t k) {
            const T* v = now.values + row * this->width + k;
            T *d = now.slopes + row * this->width + k, *carry = now.carry + row * this->stride + k;
            const V candidate = load(v), r = load(v + n), z = load(v + 2 * n), from_state = load(v + 3 * n);
            const V g = load(carry), kept = g * z;
            const V of_candidate = (g - kept) * slope_of_tanh<T>(candidate);
            store(d, of_candidate);
            store(d + n, of_candidate * from_state * slope_of_sigmoid<T>(r));
            store(d + 2 * n, g * (load(now.before + row * this->state_size + k) - candidate) * slope_of_sigmoid<T>(z));
            store(d + 3 * n, of_candidate * r);
            store(carry, kept);
        });
    }
};

// A continuous-time RNN: dx/dt = -x / tau + tanh(drive + W x). A link for each evaluation of the tanh, of which there are
// `stages` in each of `unfolds` steps. Columns: the drive, and that of each link.
template <class T>
struct CtRnnCell : Cell<T> {
    using V = Vector<T>;
    using Cell<T>::p;
    using Cell<T>::n;
    static constexpr bool timed = true;
    // An explicit method: what a stage's own slope weighs in the step, and in where the next stage is.
    struct Stage {
        double step, next;
    };
    Matrix recurrent;
    std::int64_t tau_at;
    int stages;
    Stage stage[4];

    explicit CtRnnCell(const GatedProblem<T>& problem) : Cell<T>(problem) {
        constexpr Stage euler[] = {{1, 0}}, heun[] = {{0.5, 1}, {0.5, 0}};
        constexpr Stage rk4[] = {{1.0 / 6, 0.5}, {1.0 / 3, 0.5}, {1.0 / 3, 1}, {1.0 / 6, 0}};
        stages = p.solver == Solver::rk4 ? 4 : p.solver == Solver::heun ? 2 : 1;
        const Stage* method = p.solver == Solver::rk4 ? rk4 : p.solver == Solver::heun ? heun : euler;
        for (int i = 0; i < stages; ++i) stage[i] = method[i];
        this->read_plainly(1, 0);
        recurrent = this->matrix(1, p.units, p.units);
        this->links = static_cast<int>(p.unfolds) * stages;
        this->columns((1 + this->links) * n, n);
        tau_at = this->vector(n);
        this->add_part(p.units);
    }
    template <class P, class Visit>
    void segments(const CellParameters<P>& q, Visit visit) const {
        this->torchs_input(q, 0, 0, visit);
        this->rows(recurrent, 0, 0, q.weight_hh, p.units, p.units, visit);
        visit(tau_at, q.tau, p.units);
    }
    // What is read is 1 / tau.
    void use(T* packed) {
        Cell<T>::use(packed);
        for (std::int64_t i = 0; i < n; ++i) packed[tau_at + i] = i < p.units ? T(1) / packed[tau_at + i] : T(1);
    }
    Link link(int number) const { return {recurrent, 0, 0, (number + 1) * n}; }

    // function(row, column, length of a solver step) for each vector of the units' columns.
    template <class F>
    LIQUID_INLINE void each(const Moment<T>& now, F function) const {
        Cell<T>::each(now, n, [&](std::int64_t row) { return solver_step(now.spans[row]); }, function);
    }
    T solver_step(T span) const {
        const T delta = span / static_cast<T>(p.unfolds), longest = longest_step<T>();
        return p.solver == Solver::semi_implicit && delta > longest ? longest : delta;
    }
    const T* found(int link, const Moment<T>& now, std::int64_t row) const {
        return link ? now.source(link, row) : now.before + row * this->state_size;
    }
    T* reached(int link, const Moment<T>& now, std::int64_t row) const {
        return link + 1 < this->links ? now.source(link + 1, row) : now.after + row * this->state_size;
    }

    // The semi-implicit solver's 1 / (1 + delta / tau) of all steps of a sample, which it keeps in `scratch`.
    void divide(const Moment<T>& now) const {
        if (p.solver != Solver::semi_implicit) return;
        each(now, [&](std::int64_t row, std::int64_t k, T delta) {
            store(now.scratch + row * 2 * this->stride + k, T(1) / (T(1) + delta * load(this->weights + tau_at + k)));
        });
    }
    // From where a link found the state to where the next finds it, by way of its tanh.
    void move(int link, const Moment<T>& now) const {
        const int i = link % stages;
        const bool implicit = p.solver == Solver::semi_implicit, last = i + 1 == stages;
        const T step = static_cast<T>(stage[i].step), next = static_cast<T>(stage[i].next);
        each(now, [&](std::int64_t row, std::int64_t k, T delta) {
            const V rate = load(this->weights + tau_at + k), x = load(found(link, now, row) + k);
            const V a = load(now.values + row * this->width + (link + 1) * n + k);
            T *to = reached(link, now, row) + k, *start = now.scratch + row * 2 * this->stride + k;
            if (implicit) return store(to, (x + delta * a) * load(start));
            T* sum = start + this->stride;
            const V slope = a - x * rate, before = i ? load(start) : x;
            const V whole = (i ? load(sum) : x) + delta * step * slope;
            store(start, before);
            store(sum, whole);
            store(to, last ? whole : before + delta * next * slope);
        });
    }
    void advance(int link, const Moment<T>& now) const {
        if (link == 0) divide(now);
        each(now, [&](std::int64_t row, std::int64_t k, T) {
            T* v = now.values + row * this->width + (link + 1) * n + k;
            store(v, hyperbolic_tangent<T>(load(v)));
        });
        move(link, now);
    }
    void recall(const Moment<T>& now) const {
        divide(now);
        for (int link = 0; link + 1 < this->links; ++link) move(link, now);
    }
    void retreat(int link, const Moment<T>& now) const {
        const int i = link % stages;
        const bool implicit = p.solver == Solver::semi_implicit, last = i + 1 == stages;
        const T step = static_cast<T>(stage[i].step), next = static_cast<T>(stage[i].next);
        each(now, [&](std::int64_t row, std::int64_t k, T delta) {
            const V rate = load(this->weights + tau_at + k), x = load(found(link, now, row) + k);
            const V a = load(now.values + row * this->width + (link + 1) * n + k);
            T *carry = now.carry + row * this->stride + k, *d = now.slopes + row * this->width + k;
            const V g = load(carry);
            V of_tanh, of_delta, of_tau;
            if (implicit) {
                const V above = load(now.scratch + row * 2 * this->stride + k), of_x = g * above;
                const V reached = (x + delta * a) * above;
                of_tanh = delta * of_x;
                of_delta = of_x * (a - reached * rate);
                of_tau = of_tanh * reached * (rate * rate);
                store(carry, of_x);
            } else {
                // The gradients of the whole step, and, as far as it is known, of where it began.
                T *of_step = now.scratch + row * 2 * this->stride + k, *of_start = of_step + this->stride;
                const V whole = last ? g : load(of_step), start = last ? g : load(of_start) + g;
                const V weighed = last ? whole * step : fma(g, broadcast(next), whole * step);
                of_tanh = delta * weighed;
                of_delta = weighed * (a - x * rate);
                of_tau = of_tanh * x * (rate * rate);
                store(of_step, whole);
                store(of_start, start);
                store(carry, i ? -of_tanh * rate : start - of_tanh * rate);
            }
            const V slope = of_tanh * slope_of_tanh<T>(a);
            store(d + (link + 1) * n, slope);
            store(d, link + 1 < this->links ? load(d) + slope : slope);
            T *sum = now.sums + tau_at + k, *span_sum = now.span_sums + row * Simd<T>::width;
            store(sum, load(sum) + of_tau);
            store(span_sum, fma(of_delta, broadcast(T(1) / static_cast<T>(p.unfolds)), load(span_sum)));
        });
    }
};

// GRU-D. Read of a sample are its values, imputed where they were not observed, which they were, and their ages; the
// state's second part is the last value of each feature above its mean, the third the time since it was observed.
// Columns: r, z, the candidate, and the state's decay.
template <class T>
struct GruDCell : Cell<T> {
    using V = Vector<T>;
    using Cell<T>::p;
    using Cell<T>::n;
    static constexpr bool imputes = true, clipped = true;
    Matrix of_gates, of_candidate;
    std::int64_t rate_at, rate_bias_at, mean_at;
    const bool remembers;
    const std::int64_t features;

    explicit GruDCell(const GatedProblem<T>& problem)
        : Cell<T>(problem),
          remembers(problem.parameters.decay_weight),
          features((problem.width - problem.units) / 2) {
        this->add_input(3, p.units, 2 * p.inputs, 0);
        this->add_input(1, p.units, p.inputs, 3 * n);
        of_gates = this->matrix(2, p.units, p.units);
        of_candidate = this->matrix(1, p.units, p.units);
        this->columns(4 * n, 4 * n);
        rate_at = this->vector(p.inputs);
        rate_bias_at = this->vector(p.inputs);
        mean_at = this->vector(p.inputs);
        this->links = 2;
        this->decay_at = 3 * n;
        this->add_part(p.units);
        this->add_part(features);
        this->add_part(features);
    }
    template <class P, class Visit>
    void segments(const CellParameters<P>& q, Visit visit) const {
        const std::int64_t units = p.units, inputs = p.inputs;
        for (std::int64_t gate = 0; gate < 3; ++gate) {
            const Matrix& values = this->into[0].matrix;
            this->rows(values, gate * n, 0, q.weight_ih + gate * units * inputs, units, inputs, visit);
            this->rows(values, gate * n, inputs, q.weight_mh + gate * units * inputs, units, inputs, visit);
            this->rows(gate < 2 ? of_gates : of_candidate, gate % 2 * n, 0, q.weight_hh + gate * units * units, units,
                       units, visit);
            visit(this->bias_at + gate * n, q.bias_ih + gate * units, units);
        }
        this->rows(this->into[1].matrix, 0, 0, q.state_decay_weight, units, inputs, visit);
        visit(this->bias_at + 3 * n, q.state_decay_bias, units);
        if (!q.decay_weight) return;
        visit(mean_at, q.mean, inputs);
        visit(rate_at, q.decay_weight, inputs);
        visit(rate_bias_at, q.decay_bias, inputs);
    }
    Link link(int number) const { return number ? Link{of_candidate, 0, 2 * n, 2 * n} : Link{of_gates, 0, 0, 0}; }

    // `memory` are the parts of the state after the first, in our order.
    void read(const T* input, const std::uint8_t* observed, T span, T* memory, T* to) const {
        const T *rate = this->weights + rate_at, *rate_bias = this->weights + rate_bias_at;
        const T* mean = this->weights + mean_at;
        T *last = memory, *elapsed = memory + padded<T>(features), *ages = to + this->into[1].from;
        for (std::int64_t j = 0; j < p.inputs; ++j) {
            const bool seen = !observed || observed[j];
            ages[j] = remembers ? elapsed[j] + span : span;
            to[j] = input[j];
            to[p.inputs + j] = seen ? T(1) : T(0);
            if (!remembers) continue;
            if (!seen) to[j] = mean[j] + keeps(rate[j] * ages[j] + rate_bias[j]) * last[j];
            last[j] = seen ? input[j] - mean[j] : last[j];
            elapsed[j] = seen ? T(0) : ages[j];
        }
    }
    // From gradients of what was read, and of memory after the sample, to those of memory before it, of the input and,
    // returned, of the span. `before` is memory as the sample found it.
    T unread(const T* gradient, const std::uint8_t* observed, const T* read, const T* before, T* of_memory,
             T* input_gradient, T* sums) const {
        const T *rate = this->weights + rate_at, *rate_bias = this->weights + rate_bias_at;
        const T *ages = read + this->into[1].from, *of_ages = gradient + this->into[1].from, *last = before;
        T *of_last = of_memory, *of_elapsed = of_memory + padded<T>(features), of_span = 0;
        for (std::int64_t j = 0; j < p.inputs; ++j) {
            const bool seen = !observed || observed[j];
            input_gradient[j] = seen || !remembers ? gradient[j] : T(0);
            T of_age = of_ages[j];
            if (remembers && seen) {
                input_gradient[j] += of_last[j];
                sums[mean_at + j] -= of_last[j];
                of_last[j] = 0;
                of_elapsed[j] = of_age;
            } else if (remembers) {
                const T slope = rate[j] * ages[j] + rate_bias[j], kept = keeps(slope);
                const T of_slope = slope > T(0) ? -gradient[j] * last[j] * kept : T(0);
                sums[mean_at + j] += gradient[j];
                sums[rate_at + j] += of_slope * ages[j];
                sums[rate_bias_at + j] += of_slope;
                of_age += of_slope * rate[j] + of_elapsed[j];
                of_last[j] += gradient[j] * kept;
                of_elapsed[j] = of_age;
            }
            of_span += of_age;
        }
        return of_span;
    }
    static T keeps(T slope) { return exponential<T>(broadcast(slope <= T(0) ? T(0) : -slope))[0]; }

    void advance(int link, const Moment<T>& now) const {
        this->each(now, n, [&](std::int64_t row, std::int64_t k) {
            T* v = now.values + row * this->width + k;
            const V h = load(now.before + row * this->state_size + k);
            if (link == 0) {
                const V r = sigmoid<T>(load(v));
                store(v, r);
                store(v + n, sigmoid<T>(load(v + n)));
                return store(now.source(1, row) + k, r * h);
            }
            const V candidate = hyperbolic_tangent<T>(load(v + 2 * n)), z = load(v + n);
            store(v + 2 * n, candidate);
            store(now.after + row * this->state_size + k, fma(z, candidate, fnma(z, h, h)));
        });
    }
    void recall(const Moment<T>& now) const {
        this->each(now, n, [&](std::int64_t row, std::int64_t k) {
            const V r = load(now.values + row * this->width + k);
            store(now.source(1, row) + k, r * load(now.before + row * this->state_size + k));
        });
    }
    void retreat(int link, const Moment<T>& now) const {
        this->each(now, n, [&](std::int64_t row, std::int64_t k) {
            const T* v = now.values + row * this->width + k;
            T *d = now.slopes + row * this->width + k, *carry = now.carry + row * this->stride + k;
            T* beside = now.scratch + row * 2 * this->stride + k;
            const V h = load(now.before + row * this->state_size + k), g = load(carry);
            const V r = load(v), z = load(v + n), candidate = load(v + 2 * n);
            if (link == 1) {
                const V through = g * z;
                store(d + 2 * n, through * slope_of_tanh<T>(candidate));
                store(d + n, g * (candidate - h) * slope_of_sigmoid<T>(z));
                store(beside, g - through);
                return store(carry, V{});
            }
            store(d, g * h * slope_of_sigmoid<T>(r));
            store(carry, fma(g, r, load(beside)));
        });
    }
};

}  // namespace LIQUID_ISA
}  // namespace liquid
