// What the gateway's judgement costs a call: choosing an endpoint, by where it waits
// least, by the zone or by a key, and counting what becomes of the attempt; by one
// thread and by several that share the endpoints. Nanoseconds of a thread's CPU time a call; the
// median of the rounds.

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "gateway/balance/endpoint_health.h"
#include "gateway/balance/hash_policy.h"
#include "gateway/balance/hash_ring.h"

namespace {

using namespace torchfleet;
using gateway::BalancePolicy;
using gateway::EndpointHealth;

constexpr int kCalls = 200'000;
constexpr int kRounds = 15;

using Endpoints = std::vector<std::unique_ptr<EndpointHealth>>;

double CpuSeconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Of these endpoints, at a time, by a random number.
using Choice = std::function<size_t(const Endpoints&, Instant, uint64_t)>;

size_t Least(const Endpoints& endpoints, Instant now, uint64_t random) {
  return *BalancePolicy::Choose(endpoints.size(), random, [&](size_t i) {
            return endpoints[i]->Candidate(now);
          }).index;
}

// A third of them near.
size_t Near(const Endpoints& endpoints, Instant now, uint64_t random) {
  const size_t near = endpoints.size() / 3;
  return *BalancePolicy::ChooseNear(endpoints.size(), near, /*leave=*/false, random, [&](size_t i) {
            return endpoints[i]->Candidate(now);
          }).index;
}

// One call of four has the same key, so that its owner is busy: then it goes by the
// mean load, and on.
Choice ByKey(size_t count) {
  uint64_t state = 7;
  std::vector<uint64_t> names;
  for (size_t i = 0; i < count; ++i) names.push_back(BalancePolicy::Next(state));
  return [ring = gateway::HashRing(names), mean_load = gateway::MeanLoad()](
             const Endpoints& endpoints, Instant now, uint64_t random) mutable {
    const auto read = [&](size_t i) { return endpoints[i]->Candidate(now); };
    const uint64_t key = random % 4 == 0 ? 0 : random;
    const auto owner = gateway::HashPolicy::Choose(
        ring, key, 1.25, read, [&] { return mean_load.Get(now, endpoints.size(), read); });
    return owner ? *owner : Least(endpoints, now, random);
  };
}

// Nanoseconds a call. 32 calls are under way at any time.
double Round(Endpoints& endpoints, const Choice& choose, size_t loop, uint64_t seed) {
  size_t under_way[32];
  std::fill(std::begin(under_way), std::end(under_way), endpoints.size());
  const double began = CpuSeconds();
  for (int call = 0; call < kCalls; ++call) {
    const Instant now = Instant::FromStart(absl::Seconds(1000) + absl::Microseconds(call));
    size_t& place = under_way[call % 32];
    if (place < endpoints.size()) {
      EndpointHealth& ended = *endpoints[place];
      ended.Answered(loop, now, absl::Microseconds(800 + call % 400));
      ended.Reported(now, 3, 8);
      ended.End(loop);
    }
    place = choose(endpoints, now, seed + static_cast<uint64_t>(call));
    endpoints[place]->Begin(loop);
  }
  for (const size_t place : under_way) endpoints[place]->End(loop);
  return 1e9 * (CpuSeconds() - began) / kCalls;
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + kRounds / 2, values.end());
  return values[kRounds / 2];
}

// A row of the table.
void Measure(const char* name, const std::function<Choice()>& choice, size_t count, size_t loops) {
  Endpoints endpoints;
  for (size_t i = 0; i < count; ++i) {
    endpoints.push_back(std::make_unique<EndpointHealth>(loops, Instant()));
  }
  const size_t threads = std::min<size_t>({loops, 2, std::thread::hardware_concurrency()});
  std::vector<std::vector<double>> taken(threads);
  {
    std::vector<std::jthread> running;
    for (size_t thread = 0; thread < threads; ++thread) {
      running.emplace_back([&, thread] {
        const Choice choose = choice();
        for (uint64_t round = 0; round < kRounds; ++round) {
          taken[thread].push_back(Round(endpoints, choose, thread, round * kCalls));
        }
      });
    }
  }
  std::printf("| %s | %zu | %zu | %zu | %.0f |\n", name, count, loops, threads, Median(taken[0]));
}

}  // namespace

int main() {
  std::puts("| choice | endpoints | loops | threads at once | ns a call |");
  std::puts("|---|---|---|---|---|");
  for (const size_t count : {3, 8, 100, 1000}) {
    for (const size_t loops : {1, 2, 16}) {
      Measure(
          "least wait", [] { return Choice(Least); }, count, loops);
      Measure(
          "own zone first", [] { return Choice(Near); }, count, loops);
      Measure(
          "by a key", [&] { return ByKey(count); }, count, loops);
    }
  }
}
