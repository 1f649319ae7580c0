// A batch is worked on in chunks, and chunks go to strands, each with memory of its own. How many strands there are
// depends on sizes alone, and what they have summed is added in their order at the end: so results have the same bits
// for any number of threads.
//
// Where there are more threads than strands, a team of them does a strand together: each member has a part of the
// neurons, and what belongs to a neuron is computed by one member, in the order in which one thread would. Members wait
// for each other where one reads what another has written. Where they wait for long, there are no teams for a second.
#pragma once

#include "buffer.hpp"
#include "threads.hpp"

namespace liquid {
namespace LIQUID_ISA {

inline std::int64_t strands_of(std::int64_t chunks) {
    constexpr std::int64_t most = 32;
    return chunks < most ? chunks : most;
}

// Neighbouring groups of lanes; what a group is, the layout of synapses says.
struct Part {
    std::int64_t first, last;
};

// What the members of a team have in common.
struct Meeting {
    Barrier barrier;
    void* memory = nullptr;
};

// A thread's place in a team; by default it is alone.
class Team {
  public:
    Team() = default;
    Team(Meeting& meeting, int member, int members) : meeting_(&meeting), member_(member), members_(members) {}

    bool first() const { return member_ == 0; }

    // Until all members are here.
    void wait() const {
        if (members_ > 1) liquid::wait_for_all(meeting_->barrier, members_);
    }

    // use(memory) with one Memory(arguments...) for all members.
    template <class Memory, class Use, class... Arguments>
    void with(const Use& use, const Arguments&... arguments) const {
        if (!first()) {
            wait();
            use(*static_cast<Memory*>(meeting_->memory));
            return wait();
        }
        Memory memory(arguments...);
        if (members_ > 1) meeting_->memory = &memory;
        wait();
        use(memory);
        wait();
    }

    // This member's part of the groups of an order of synapses: about as many blocks as any other's.
    template <class Order>
    Part part(const Order& order) const {
        const auto bound = [&](int member) {
            if (member == 0 || member == members_) return member ? order.groups : 0;
            std::int64_t group = 0;
            while (group < order.groups && order.before(group) * members_ < order.count() * member) ++group;
            return group;
        };
        return {bound(member_), bound(member_ + 1)};
    }

  private:
    Meeting* meeting_ = nullptr;
    int member_ = 0, members_ = 1;
};

// body(strand) for all of them; strand s is to take chunks s, s + strands, and so on.
template <class Body>
void each_strand(std::int64_t strands, int threads, const Body& body) {
    liquid::parallel(
        strands, threads,
        [](void* context, std::int64_t strand) { (*static_cast<const Body*>(context))(strand); },
        const_cast<Body*>(&body));
}

// body(strand, team), the same for each of a strand's team; a team has `most` members at most.
template <class Body>
void each_team(std::int64_t strands, int threads, std::int64_t most, const Body& body) {
    const std::int64_t there = strands ? threads / strands : 0, members = there < most ? there : most;
    if (members < 2 || liquid::crowded()) return each_strand(strands, threads, [&](std::int64_t strand) { body(strand, Team()); });
    struct Teams {
        const Body& body;
        const int strands, members;
        Buffer<Meeting> meetings;
    } teams{body, static_cast<int>(strands), static_cast<int>(members), Buffer<Meeting>(strands)};
    liquid::together(
        teams.strands * teams.members,
        [](void* context, int number, int numbers) {
            const Teams& all = *static_cast<Teams*>(context);
            if (numbers == all.strands * all.members) {
                const int strand = number % all.strands;
                return all.body(strand, Team(all.meetings[strand], number / all.strands, all.members));
            }
            for (int strand = number; strand < all.strands; strand += numbers) all.body(strand, Team());
        },
        &teams);
}

}  // namespace LIQUID_ISA
}  // namespace liquid
