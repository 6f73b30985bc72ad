#include "registry/front/sessions.h"

#include <utility>

namespace torchfleet::registry {

void Sessions::Add(const std::string& worker_id, const std::shared_ptr<WorkerSession>& session) {
  const std::lock_guard lock(mu_);
  sessions_[worker_id] = session;
}

void Sessions::Remove(const std::string& worker_id, const WorkerSession& session) {
  const std::lock_guard lock(mu_);
  const auto found = sessions_.find(worker_id);
  // A later one of the same worker stays. One that ends can still be locked.
  if (found != sessions_.end() && found->second.lock().get() == &session) sessions_.erase(found);
}

void Sessions::PushDrains(const std::vector<std::string>& worker_ids) {
  std::vector<std::pair<std::shared_ptr<WorkerSession>, std::string>> here;
  {
    const std::lock_guard lock(mu_);
    for (const std::string& worker_id : worker_ids) {
      const auto found = sessions_.find(worker_id);
      if (found == sessions_.end()) continue;
      if (auto session = found->second.lock()) here.emplace_back(std::move(session), worker_id);
    }
  }
  for (const auto& [session, worker_id] : here) {
    const Value wish =
        fleet_.Read([&, id = worker_id](const FleetState& state) { return state.DrainWish(id); });
    v1::DrainRequest request;
    if (wish && request.ParseFromString(*wish)) session->PushDrain(request);
  }
}

}  // namespace torchfleet::registry
