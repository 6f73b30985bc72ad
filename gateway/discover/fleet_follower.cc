#include "gateway/discover/fleet_follower.h"

#include <utility>

#include "base/log.h"

namespace torchfleet::gateway {

FleetFollower::FleetFollower(const std::string& registry_address, const Clock& clock,
                             Publish publish)
    : clock_(clock),
      publish_(std::move(publish)),
      watcher_(registry_address,
               {.on_change = [this](const auto& response) { OnChange(response); },
                .on_connection = [this](bool connected) { OnConnection(connected); }}) {}

FleetFollower::~FleetFollower() { Stop(); }

void FleetFollower::Start() {
  watcher_.Start();
  expiry_ = std::thread([this] { ExpireLoop(); });
}

void FleetFollower::Stop() {
  {
    const std::lock_guard lock(mu_);
    stopped_ = true;
  }
  changed_.notify_all();
  watcher_.Stop();
  if (expiry_.joinable()) expiry_.join();
}

void FleetFollower::OnChange(const registry::v1::WatchResponse& response) {
  const std::lock_guard lock(mu_);
  const Fleet::Outcome outcome = fleet_.Apply(response, clock_.Now());
  if (outcome.new_incarnation) {
    LogWarning(
        "the registry came back without what it knew; workers that it does not name are "
        "kept for one lease more",
        {{"kept", outcome.kept}, {"revision", response.revision()}});
  }
  publish_(fleet_.Snapshot());
  changed_.notify_all();
}

void FleetFollower::OnConnection(bool connected) {
  const std::lock_guard lock(mu_);
  if (stopped_ || connected_.exchange(connected) == connected) return;
  if (connected) {
    LogInfo("following the registry");
  } else {
    LogWarning("the registry is away; calls go on to the workers it named last");
  }
}

void FleetFollower::ExpireLoop() {
  std::unique_lock lock(mu_);
  while (!stopped_) {
    if (const size_t gone = fleet_.Expire(clock_.Now()); gone > 0) {
      LogInfo("workers or versions that nobody announced again were let go", {{"number", gone}});
      publish_(fleet_.Snapshot());
    }
    const auto next = fleet_.NextExpiry();
    if (!next) {
      changed_.wait(lock);
    } else {
      changed_.wait_for(lock, absl::ToChronoNanoseconds(*next - clock_.Now()));
    }
  }
}

}  // namespace torchfleet::gateway
