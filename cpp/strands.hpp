// A batch is worked on in chunks, and chunks go to strands, each with memory of its own. How many strands there are
// depends on sizes alone, and what they have summed is added in their order at the end: so results have the same bits for
// any number of threads.
#pragma once

#include "threads.hpp"

namespace liquid {
namespace LIQUID_ISA {

inline std::int64_t strands_of(std::int64_t chunks) {
    constexpr std::int64_t most = 32;
    return chunks < most ? chunks : most;
}

// body(strand) for all of them; strand s is to take chunks s, s + strands, and so on.
template <class Body>
void each_strand(std::int64_t strands, int threads, const Body& body) {
    liquid::parallel(
        strands, threads,
        [](void* context, std::int64_t strand) { (*static_cast<const Body*>(context))(strand); },
        const_cast<Body*>(&body));
}

}  // namespace LIQUID_ISA
}  // namespace liquid
