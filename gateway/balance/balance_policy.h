#pragma once
// Picks the endpoint for a call's next attempt: of two taken at random the one
// where the call would wait less, by the calls it has, how long it takes for one
// and how many it runs at once. Two, not all: gateways that all saw the same best
// one would all send there.
//
// Source: M. Mitzenmacher, "The Power of Two Choices in Randomized Load
// Balancing", 2001; weighed by latency as in Finagle's peak EWMA.
//
// An endpoint that is aside (it failed lately, was ejected, or asked for a pause)
// is taken only when no other is there, one that is slow only when the others
// are full, one that this call has tried never.
//
// Where some endpoints are near, a call goes to one of these, and leaves them only
// where it would wait there and less elsewhere.
//
// Pure: randomness comes in as a value.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace torchfleet::gateway {

// How an endpoint is looked at, the best first.
enum class Standing : uint8_t { kGood, kSlow, kAside };

struct BalanceCandidate {
  Standing standing = Standing::kGood;
  // It has as many calls as it is to have.
  bool full = false;
  bool tried = false;
  // Calls it has, ours and others'.
  double load = 0;
  // Of a call, in any unit; 0 when nobody knows.
  double latency = 0;
  // Over 0: calls it can run at once, less of them for a newcomer.
  double weight = 1;
  // The calls it can run at once, at least 1.
  double capacity = 1;
};

struct BalanceChoice {
  // Nothing: all were tried, or those that work are full.
  std::optional<size_t> index = std::nullopt;
  bool full = false;
  // What was chosen is aside: an attempt there may well fail.
  bool aside = false;
};

class BalancePolicy {
 public:
  // `read(i)` gives candidate `i` of `count`. Reads two or a few; all of them
  // only when most are full or aside.
  template <typename Read>
  static BalanceChoice Choose(size_t count, uint64_t random, const Read& read);

  // The same where the first `near` are near. `leave`: one of these has failed the
  // call; what befell that may befall all that are in one place, so the others come
  // first.
  template <typename Read>
  static BalanceChoice ChooseNear(size_t count, size_t near, bool leave, uint64_t random,
                                  const Read& read);

  // One that takes a call as a matter of course.
  static bool WillDo(const BalanceCandidate& candidate) {
    return candidate.standing == Standing::kGood && !candidate.full && !candidate.tried;
  }

  // Another random number of the last (splitmix64).
  static uint64_t Next(uint64_t& state) {
    state += 0x9E3779B97F4A7C15U;
    uint64_t mixed = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9U;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBU;
    return mixed ^ (mixed >> 31);
  }

  // Whether a call waits less at `a`. One whose latency nobody knows is taken to
  // be like the other.
  static bool Better(const BalanceCandidate& a, const BalanceCandidate& b) {
    const double known = a.latency > 0 ? a.latency : b.latency > 0 ? b.latency : 1;
    const double latency_b = b.latency > 0 ? b.latency : known;
    return (a.load + 1) * known * b.weight < (b.load + 1) * latency_b * a.weight;
  }

 private:
  // Up to here all are looked at, and two of those that will do are compared.
  static constexpr size_t kFew = 8;
  static constexpr int kDraws = 8;

  // Of `count`, without a division.
  static size_t Draw(uint64_t& state, size_t count) {
    return static_cast<size_t>(((Next(state) >> 32) * count) >> 32);
  }

  template <typename Read>
  static std::optional<size_t> OfTwo(size_t count, uint64_t& state, const Read& read);
  template <typename Read>
  static BalanceChoice NearFirst(size_t count, size_t near, uint64_t random, const Read& read);
  template <typename Read>
  static BalanceChoice OfAll(size_t count, uint64_t& state, const Read& read);
};

template <typename Read>
BalanceChoice BalancePolicy::Choose(size_t count, uint64_t random, const Read& read) {
  if (count == 0) return {};
  if (const auto index = OfTwo(count, random, read)) return {.index = index};
  return OfAll(count, random, read);
}

template <typename Read>
BalanceChoice BalancePolicy::ChooseNear(size_t count, size_t near, bool leave, uint64_t random,
                                        const Read& read) {
  if (leave) {
    BalanceChoice away =
        Choose(count - near, Next(random), [&](size_t i) { return read(near + i); });
    if (away.index && !away.aside) {
      *away.index += near;
      return away;
    }
  }
  return NearFirst(count, near, random, read);
}

template <typename Read>
BalanceChoice BalancePolicy::NearFirst(size_t count, size_t near, uint64_t random,
                                       const Read& read) {
  BalanceChoice home;
  BalanceCandidate at_home;
  // Where a call would wait with one pair of those that are near, there is another.
  for (int look = 0; look < 2; ++look) {
    home = Choose(near, Next(random), read);
    if (!home.index || home.aside) break;
    at_home = read(*home.index);
    if (WillDo(at_home) && at_home.load < at_home.weight) return home;
  }
  BalanceChoice away = Choose(count - near, Next(random), [&](size_t i) { return read(near + i); });
  if (away.index) *away.index += near;
  const bool works = home.index && !home.aside;
  if (away.index && !away.aside) {
    if (!works) return away;
    const BalanceCandidate there = read(*away.index);
    const bool better = there.standing == at_home.standing ? Better(there, at_home)
                                                           : there.standing < at_home.standing;
    return better ? away : home;
  }
  if (works) return home;
  // What works is full: no reason to send to what does not.
  if (home.full || away.full) return {.index = std::nullopt, .full = true};
  return home.index ? home : away;
}

template <typename Read>
std::optional<size_t> BalancePolicy::OfTwo(size_t count, uint64_t& state, const Read& read) {
  std::array<size_t, kFew> will_do{};
  std::array<BalanceCandidate, kFew> candidates{};
  size_t found = 0;
  if (count <= kFew) {
    for (size_t i = 0; i < count; ++i) {
      candidates[found] = read(i);
      if (WillDo(candidates[found])) will_do[found++] = i;
    }
  } else {
    for (int draw = 0; draw < kDraws && found < 2; ++draw) {
      const size_t i = Draw(state, count);
      if (found == 1 && will_do[0] == i) continue;
      candidates[found] = read(i);
      if (WillDo(candidates[found])) will_do[found++] = i;
    }
  }
  if (found == 0) return std::nullopt;
  if (found == 1) return will_do[0];
  const size_t first = found == 2 ? Draw(state, 2) : Draw(state, found);
  const size_t second = (first + 1 + (found == 2 ? 0 : Draw(state, found - 1))) % found;
  // Of equals the first, which is random.
  return will_do[Better(candidates[second], candidates[first]) ? second : first];
}

template <typename Read>
BalanceChoice BalancePolicy::OfAll(size_t count, uint64_t& state, const Read& read) {
  const size_t start = Draw(state, count);
  BalanceChoice choice;
  BalanceCandidate best;
  bool full = false;
  for (size_t step = 0; step < count; ++step) {
    const size_t i = (start + step) % count;
    const BalanceCandidate candidate = read(i);
    if (candidate.tried) continue;
    if (candidate.full && candidate.standing != Standing::kAside) {
      full = true;
      continue;
    }
    if (choice.index && (candidate.standing > best.standing ||
                         (candidate.standing == best.standing && !Better(candidate, best)))) {
      continue;
    }
    choice.index = i;
    best = candidate;
  }
  choice.aside = choice.index && best.standing == Standing::kAside;
  // What works is full: no reason to send to what does not.
  if (full && (!choice.index || choice.aside)) return {.index = std::nullopt, .full = true};
  return choice;
}

}  // namespace torchfleet::gateway
