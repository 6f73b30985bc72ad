#include "cli/up/worker_plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"

namespace torchfleet::cli {
namespace {

namespace v1 = registry::v1;

// The first `count` workers of a version, those that take calls.
ScaleSignal SignalOf(const FleetMirror& fleet, const std::string& model, int64_t version,
                     int count) {
  ScaleSignal signal;
  for (int replica = 0; replica < count; ++replica) {
    const auto found = fleet.workers().find(PlannedWorker{model, version, replica}.worker_id());
    if (found == fleet.workers().end()) continue;
    const v1::Endpoint& worker = found->second;
    if (worker.state() != v1::WORKER_STATE_READY || worker.disconnected()) continue;
    ++signal.workers;
    signal.in_flight += uint64_t{worker.load().queued()} + worker.load().running();
    signal.capacity += worker.load().capacity();
  }
  return signal;
}

ScaleBounds BoundsOf(const v1::Placement& placement) {
  const int least = std::max(1, static_cast<int>(placement.min_replicas()));
  return {.least = least, .most = std::max(least, static_cast<int>(placement.max_replicas()))};
}

// The versions of a route's target that are `name`'s.
void AddTarget(const v1::RouteTarget& target, const std::string& route, const std::string& name,
               std::set<std::string>& named) {
  if ((target.model().empty() ? route : target.model()) != name) return;
  if (target.selector_case() == v1::RouteTarget::kVersion) named.insert(target.version());
}

// Of a model's catalogued versions those that its aliases and all routes name.
std::set<int64_t> NamedVersions(const v1::Model& model, const FleetMirror& fleet) {
  std::set<std::string> named;
  for (const auto& [alias, version] : model.aliases()) named.insert(version);
  for (const auto& [name, route] : fleet.routes()) {
    for (const v1::RouteRule& rule : route.rules()) {
      for (const v1::RouteTarget& target : rule.targets()) {
        AddTarget(target, name, model.name(), named);
      }
      if (rule.has_shadow()) AddTarget(rule.shadow().target(), name, model.name(), named);
      if (rule.has_canary()) AddTarget(rule.canary().target(), name, model.name(), named);
    }
  }
  std::set<int64_t> versions;
  for (const v1::ModelVersion& version : model.versions()) {
    int64_t number = 0;
    if (named.contains(version.version()) && absl::SimpleAtoi(version.version(), &number)) {
      versions.insert(number);
    }
  }
  return versions;
}

}  // namespace

WorkerPlan::WorkerPlan(const FleetPlan& plan, absl::Duration hold_down)
    : hold_down_(hold_down), replicas_(plan.replicas) {
  for (const auto& [model, versions] : plan.models) SetVersions(model, versions);
}

void WorkerPlan::SetVersions(const std::string& model, const std::vector<int64_t>& versions) {
  if (versions.empty()) {
    models_.erase(model);
  } else {
    models_[model].wanted = versions;
  }
}

std::vector<PlannedWorker> WorkerPlan::Decide(const FleetMirror& fleet, Instant now) {
  std::vector<PlannedWorker> workers;
  const v1::Model unknown;
  for (auto& [name, model] : models_) {
    const auto known = fleet.models().find(name);
    const v1::Model& catalogued = known == fleet.models().end() ? unknown : known->second;
    const bool unloaded = catalogued.placement().unloaded();
    model.named = NamedVersions(catalogued, fleet);
    std::set<int64_t> wanted = model.named;
    wanted.insert(model.wanted.begin(), model.wanted.end());
    if (unloaded) wanted.clear();
    std::set<int64_t> candidates = model.running;
    candidates.insert(wanted.begin(), wanted.end());
    std::map<int64_t, int> counts;
    std::set<int64_t> serving, complete;
    for (const int64_t version : candidates) {
      const int count = Count(name, model, version, catalogued.placement(), fleet, now);
      counts[version] = count;
      const int ready = SignalOf(fleet, name, version, count).workers;
      if (ready > 0) serving.insert(version);
      if (ready == count) complete.insert(version);
    }
    const std::set<int64_t> before = std::exchange(
        model.running, model.rollout.Decide({wanted.begin(), wanted.end()}, serving, complete));
    NoteRollout(name, model, before);
    std::erase_if(model.scales, [&running = model.running](const auto& scale) {
      return !running.contains(scale.first);
    });
    for (const int64_t version : model.running) {
      for (int replica = 0; replica < counts[version]; ++replica) {
        workers.push_back({name, version, replica, catalogued.revision()});
      }
    }
  }
  return workers;
}

int WorkerPlan::Begin(const std::string& name, const Model& model,
                      const v1::Placement& placement) const {
  if (placement.max_replicas() == 0 || model.scales.empty()) {
    const auto said = replicas_.find(name);
    return placement.replicas() > 0  ? static_cast<int>(placement.replicas())
           : said == replicas_.end() ? 1
                                     : said->second;
  }
  // As many as the version that it replaces: the same calls will come.
  int most = 0;
  for (const auto& [version, scale] : model.scales) most = std::max(most, scale.count());
  return most;
}

int WorkerPlan::Count(const std::string& name, Model& model, int64_t version,
                      const v1::Placement& placement, const FleetMirror& fleet, Instant now) {
  if (placement.max_replicas() == 0) {
    model.scales.clear();
    return Begin(name, model, placement);
  }
  const ScaleBounds bounds = BoundsOf(placement);
  const int first = std::clamp(Begin(name, model, placement), bounds.least, bounds.most);
  ScalePolicy& scale = model.scales.try_emplace(version, first, hold_down_).first->second;
  const int before = scale.count();
  const ScaleSignal signal = SignalOf(fleet, name, version, before);
  const int count = scale.Decide(signal, bounds, now);
  if (count != before) {
    notes_.push_back(fmt::format(
        "model {} version {}: from {} to {} workers, with {} calls in flight and room for {}", name,
        version, before, count, signal.in_flight, signal.capacity));
  }
  return count;
}

void WorkerPlan::NoteRollout(const std::string& name, const Model& model,
                             const std::set<int64_t>& before) {
  // Of the first versions nobody needs to hear.
  if (before.empty() || model.running.empty()) return;
  for (const int64_t version : model.running) {
    if (!before.contains(version)) {
      notes_.push_back(fmt::format("model {}: version {} starts", name, version));
    }
  }
  for (const int64_t version : before) {
    if (!model.running.contains(version)) {
      notes_.push_back(fmt::format("model {}: version {} goes; {} serves", name, version,
                                   fmt::join(model.running, ", ")));
    }
  }
}

std::map<std::string, std::vector<int64_t>> WorkerPlan::Versions() const {
  std::map<std::string, std::vector<int64_t>> all;
  for (const auto& [name, model] : models_) {
    std::set<int64_t> versions = model.running;
    versions.insert(model.wanted.begin(), model.wanted.end());
    versions.insert(model.named.begin(), model.named.end());
    all[name] = {versions.begin(), versions.end()};
  }
  return all;
}

std::vector<std::string> WorkerPlan::TakeNotes() { return std::exchange(notes_, {}); }

}  // namespace torchfleet::cli
