#include "gateway/discover/fleet_follower.h"

#include <utility>

#include "absl/time/clock.h"
#include "base/log.h"

namespace torchfleet::gateway {
namespace {

double Seconds(absl::Time time) { return absl::ToDoubleSeconds(time - absl::UnixEpoch()); }

}  // namespace

FleetFollower::FleetFollower(Options options, const Clock& clock, Publish publish)
    : options_(std::move(options)),
      clock_(clock),
      publish_(std::move(publish)),
      watcher_(options_.registry,
               {.on_change = [this](const auto& response) { OnChange(response); },
                .on_connection = [this](bool connected) { OnConnection(connected); }}) {}

FleetFollower::~FleetFollower() { Stop(); }

void FleetFollower::Start() {
  if (!options_.fleet_file.empty()) {
    file_ = std::make_unique<FleetFileWriter>(options_.fleet_file);
  }
  watcher_.Start();
  expiry_ = std::thread([this] { RunExpiry(); });
}

void FleetFollower::Stop() {
  {
    const std::lock_guard lock(mu_);
    stopped_ = true;
  }
  changed_.notify_all();
  watcher_.Stop();
  if (expiry_.joinable()) expiry_.join();
  file_.reset();
}

void FleetFollower::OnChange(const registry::v1::WatchResponse& response) {
  const std::lock_guard lock(mu_);
  if (file_ && !heard_) Recall(response.incarnation());
  const Fleet::Outcome outcome = fleet_.Apply(response, clock_.Now());
  heard_ = true;
  known_at_ = Seconds(absl::Now());
  if (outcome.new_incarnation) {
    LogWarning(
        "the registry came back without what it knew; workers that it does not name are "
        "kept for one lease more",
        {{"kept", outcome.kept}, {"revision", response.revision()}});
  }
  Tell(outcome.change);
  changed_.notify_all();
}

void FleetFollower::OnConnection(bool connected) {
  const std::lock_guard lock(mu_);
  if (stopped_ || connected_.exchange(connected) == connected) return;
  fleet_.SetHeard(connected, clock_.Now());
  changed_.notify_all();
  if (connected) {
    LogInfo("following the registry");
  } else {
    LogWarning("the registry is away; calls go on to the workers it named last");
  }
}

void FleetFollower::Tell(const FleetChange& change) {
  if (change.none) return;
  publish_(fleet_.Snapshot(), change);
  // What is kept is not the registry's word: it stays in the file of the
  // incarnation that knew it.
  if (file_ && heard_ && !fleet_.keeps()) file_->Set(fleet_.Snapshot(), fleet_.incarnation());
}

void FleetFollower::Recall(const std::string& incarnation) {
  if (known_at_ > 0) return;  // it has stood in already
  const auto filed = ReadFleetFile(options_.fleet_file);
  if (!filed.ok() || filed->fleet.incarnation() == incarnation) return;
  Tell(fleet_.Apply(filed->fleet, clock_.Now()).change);
}

void FleetFollower::StartFromFile() {
  const auto filed = ReadFleetFile(options_.fleet_file);
  if (!filed.ok()) {
    LogWarning("no registry answers, and there is no fleet on disk to start from",
               {{"status", std::string(filed.status().message())}});
    return;
  }
  const Fleet::Outcome outcome = fleet_.Apply(filed->fleet, clock_.Now());
  known_at_ = Seconds(filed->written);
  LogWarning("no registry answers; calls go to the workers of the fleet on disk",
             {{"file", options_.fleet_file},
              {"workers", filed->fleet.snapshot().endpoints_size()},
              {"written", absl::FormatTime(filed->written, absl::UTCTimeZone())}});
  Tell(outcome.change);
}

void FleetFollower::RunExpiry() {
  std::unique_lock lock(mu_);
  if (file_) {
    changed_.wait_for(lock, absl::ToChronoNanoseconds(kPatience),
                      [&] { return stopped_ || heard_; });
    if (!stopped_ && !heard_) StartFromFile();
  }
  while (!stopped_) {
    const Fleet::Expired expired = fleet_.Expire(clock_.Now());
    if (expired.gone > 0) {
      LogInfo("workers or versions that nobody announced again were let go",
              {{"number", expired.gone}});
      Tell(expired.change);
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
