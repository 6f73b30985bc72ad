#include "cli/drain/drain_target.h"

#include <fmt/format.h>

#include <set>

#include "base/status.h"
#include "cli/status/fleet_text.h"

namespace torchfleet::cli {

namespace v1 = torchfleet::registry::v1;

absl::StatusOr<v1::DrainRequest> DrainTarget(const v1::WatchResponse& fleet,
                                             const std::string& name) {
  v1::DrainRequest request;
  for (const auto& endpoint : fleet.snapshot().endpoints()) {
    if (endpoint.worker().worker_id() == name) {
      request.set_worker_id(name);
      request.clear_model();
      return request;
    }
    if (endpoint.worker().model() == name) request.set_model(name);
  }
  if (!request.model().empty()) return request;
  return absl::NotFoundError(fmt::format(
      "there is no worker and no model with a worker of the name '{}'; torchfleet status shows "
      "which there are",
      Clip(name)));
}

DrainProgress::DrainProgress(const std::vector<std::string>& worker_ids,
                             const v1::WatchResponse& fleet) {
  for (const std::string& id : worker_ids) left_[id];
  for (const auto& endpoint : fleet.snapshot().endpoints()) {
    const auto found = left_.find(endpoint.worker().worker_id());
    if (found != left_.end()) found->second.epoch = endpoint.epoch();
  }
}

std::vector<std::string> DrainProgress::Apply(const v1::WatchResponse& response) {
  std::vector<std::string> lines;
  std::set<std::string> gone(response.delta().removed().begin(), response.delta().removed().end());
  if (response.has_snapshot()) {
    for (const auto& [id, left] : left_) gone.insert(id);
    for (const auto& endpoint : response.snapshot().endpoints()) {
      gone.erase(endpoint.worker().worker_id());
    }
  }
  for (const std::string& id : gone) Gone(id, lines);
  for (const auto* endpoints : {&response.snapshot().endpoints(), &response.delta().updated()}) {
    for (const auto& endpoint : *endpoints) {
      const std::string& id = endpoint.worker().worker_id();
      const auto found = left_.find(id);
      if (found == left_.end()) continue;
      if (found->second.epoch != 0 && endpoint.epoch() != found->second.epoch) {
        Gone(id, lines);
      } else {
        Note(id, endpoint, lines);
      }
    }
  }
  for (const auto& condition : response.delta().conditions()) {
    Note(condition.worker_id(), condition, lines);
  }
  return lines;
}

template <typename Said>
void DrainProgress::Note(const std::string& worker_id, const Said& said,
                         std::vector<std::string>& lines) {
  const auto found = left_.find(worker_id);
  if (found == left_.end()) return;
  Left& left = found->second;
  if (left.state == said.state() && left.phase == said.drain_phase()) return;
  left.state = said.state();
  left.phase = said.drain_phase();
  if (left.state != v1::WORKER_STATE_DRAINING) return;
  lines.push_back(fmt::format("{} drains: {}", worker_id, PhaseText(left.phase)));
}

void DrainProgress::Gone(const std::string& worker_id, std::vector<std::string>& lines) {
  if (left_.erase(worker_id) > 0) lines.push_back(fmt::format("{} is gone", worker_id));
}

std::vector<std::string> DrainProgress::left() const {
  std::vector<std::string> ids;
  for (const auto& [id, left] : left_) ids.push_back(id);
  return ids;
}

}  // namespace torchfleet::cli
