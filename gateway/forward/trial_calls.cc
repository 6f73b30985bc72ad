#include "gateway/forward/trial_calls.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "gateway/route/traffic_policy.h"

namespace torchfleet::gateway {
namespace {

namespace v1 = registry::v1;

// There is one writer, so nothing can come between.
void Raise(std::atomic<uint64_t>& counter) {
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

std::string VersionText(const FleetSnapshot& fleet, const v1::Route& route,
                        const v1::RouteTarget& target) {
  const auto resolved = TrafficPolicy::Resolve(fleet, route, target);
  return resolved ? fmt::format("{}/{}", resolved->model, resolved->version) : std::string();
}

std::string VersionsOf(const FleetSnapshot& fleet, const v1::Route& route,
                       const v1::RouteRule& rule) {
  std::string text = VersionText(fleet, route, rule.canary().target());
  for (const auto& target : rule.targets()) {
    text += fmt::format(" {}={}", VersionText(fleet, route, target), target.weight());
  }
  return text;
}

// The counters that go on, if there are any.
std::shared_ptr<TrialCalls> CallsOf(const std::vector<Trial>& before, const Trial& trial) {
  const auto found = std::find_if(before.begin(), before.end(), [&](const Trial& other) {
    return other.route->model() == trial.route->model() && other.rule == trial.rule &&
           other.versions == trial.versions;
  });
  return found == before.end() ? nullptr : found->calls;
}

}  // namespace

void TrialCalls::Counts::End(absl::StatusCode code, absl::Duration duration) {
  if (code == absl::StatusCode::kCancelled) return;
  if (code != absl::StatusCode::kOk) return Raise(failed_);
  Raise(answered_);
  Raise(latencies_[LatencyCounts::BucketOf(duration)]);
}

TrialFigures TrialCalls::Sum() const {
  TrialFigures sum;
  for (size_t i = 0; i < counts_.size(); ++i) {
    SideFigures& side = i % 2 == 1 ? sum.canary : sum.targets;
    const uint64_t failed = counts_[i].failed_.load(std::memory_order_relaxed);
    side.failed += failed;
    side.calls += failed + counts_[i].answered_.load(std::memory_order_relaxed);
    for (size_t bucket = 0; bucket < LatencyCounts::kBuckets; ++bucket) {
      side.latencies.AddTo(bucket, counts_[i].latencies_[bucket].load(std::memory_order_relaxed));
    }
  }
  return sum;
}

void TrialTable::Update(const FleetSnapshot& fleet) {
  const auto before = table_.Get();
  Table next;
  for (const auto& [model, route] : fleet.routes) {
    for (int i = 0; i < route->rules_size(); ++i) {
      const v1::RouteRule& rule = route->rules(i);
      if (!rule.has_canary()) continue;
      Trial trial{
          .route = route, .rule = i, .versions = VersionsOf(fleet, *route, rule), .calls = nullptr};
      trial.calls = CallsOf(before->trials, trial);
      if (!trial.calls) trial.calls = std::make_shared<TrialCalls>(loops_);
      next.by_rule[&rule] = trial.calls.get();
      next.trials.push_back(std::move(trial));
    }
  }
  if (!next.trials.empty() || !before->trials.empty()) table_.Set(std::move(next));
}

}  // namespace torchfleet::gateway
