// What the gateway's judgement costs a call: choosing an endpoint and counting
// what becomes of the attempt, by one thread and by several that share the
// endpoints. Nanoseconds of a thread's CPU time a call; the median of the rounds.

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "gateway/balance/endpoint_health.h"

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

// Nanoseconds a call. 32 calls are under way at any time.
double Round(Endpoints& endpoints, size_t loop, uint64_t seed) {
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
    place =
        *BalancePolicy::Choose(endpoints.size(), seed + static_cast<uint64_t>(call), [&](size_t i) {
           return endpoints[i]->Candidate(now);
         }).index;
    endpoints[place]->Begin(loop);
  }
  for (const size_t place : under_way) endpoints[place]->End(loop);
  return 1e9 * (CpuSeconds() - began) / kCalls;
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + kRounds / 2, values.end());
  return values[kRounds / 2];
}

}  // namespace

int main() {
  std::puts("| endpoints | loops | threads at once | ns a call |");
  std::puts("|---|---|---|---|");
  for (const size_t count : {3, 8, 100, 1000}) {
    for (const size_t loops : {1, 2, 16}) {
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
            for (uint64_t round = 0; round < kRounds; ++round) {
              taken[thread].push_back(Round(endpoints, thread, round * kCalls));
            }
          });
        }
      }
      std::printf("| %zu | %zu | %zu | %.0f |\n", count, loops, threads, Median(taken[0]));
    }
  }
}
