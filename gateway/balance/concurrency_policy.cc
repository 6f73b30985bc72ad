#include "gateway/balance/concurrency_policy.h"

#include <algorithm>
#include <cmath>

#include "gateway/balance/endpoint_judgement.h"

namespace torchfleet::gateway {
namespace {

// A baseline that rises does so slowly: it may be a queue that grows.
constexpr double kRise = 0.02;

// Microseconds that the model itself takes, by how many calls share the worker.
double Service(const ConcurrencyFigures& figures) {
  const double calls = static_cast<double>(figures.outstanding) + figures.others;
  if (figures.capacity == 0 || calls <= figures.capacity) return figures.latency;
  return figures.latency * figures.capacity / calls;
}

}  // namespace

double ConcurrencyPolicy::Allowed(double baseline) {
  return baseline + std::max(baseline, absl::ToDoubleMicroseconds(kWait));
}

int64_t ConcurrencyPolicy::Floor(const ConcurrencyFigures& figures) {
  if (figures.capacity == 0) return kLeastUnknown;
  const double capacity = figures.capacity;
  const double sent = figures.baseline > 0
                          ? capacity * absl::ToDoubleMicroseconds(kSending) / figures.baseline
                          : kMostSent;
  const double all = 2 * capacity + std::min(kMostSent, sent);
  const double ours = std::max<double>(1, static_cast<double>(figures.outstanding));
  return std::max<int64_t>(1, std::llround(all * ours / (ours + figures.others)));
}

int64_t ConcurrencyPolicy::Ceiling(const ConcurrencyFigures& figures) {
  if (figures.capacity == 0 || figures.baseline == 0) return kHighestLimit;
  const double in_time = figures.capacity * Allowed(figures.baseline) / figures.baseline;
  const double left = std::min<double>(kHighestLimit, in_time - figures.others);
  return std::max<int64_t>(Floor(figures), std::llround(left));
}

int64_t ConcurrencyPolicy::NextLimit(const ConcurrencyFigures& figures) {
  const int64_t floor = Floor(figures);
  const int64_t ceiling = Ceiling(figures);
  if (figures.latency > 0 && figures.baseline > 0) {
    const double gradient = Allowed(figures.baseline) / figures.latency;
    if (gradient < 1) {
      const auto used = static_cast<double>(std::min(figures.limit, figures.outstanding));
      const int64_t fewer = std::llround(used * std::max(0.5, gradient));
      return std::min({figures.limit, std::max(floor, fewer), ceiling});
    }
  }
  // Without answers nobody knows.
  if (figures.latency == 0 && figures.outstanding >= figures.limit) return figures.limit;
  return std::min(ceiling, figures.limit + figures.limit / 8 + 1);
}

double ConcurrencyPolicy::NextBaseline(const ConcurrencyFigures& figures) {
  if (figures.latency == 0) return figures.baseline;
  const double service = Service(figures);
  if (figures.baseline == 0) return service;
  if (figures.latency < figures.baseline) return figures.latency;
  // What takes longer than is allowed although few calls are there has become
  // slower; else there is a queue.
  const bool queue =
      figures.latency > Allowed(figures.baseline) && figures.outstanding > Floor(figures);
  if (queue || service <= figures.baseline) return figures.baseline;
  return figures.baseline + kRise * (service - figures.baseline);
}

}  // namespace torchfleet::gateway
