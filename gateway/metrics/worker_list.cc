#include "gateway/metrics/worker_list.h"

namespace torchfleet::gateway {

void ForEachWorker(const FleetSnapshot& fleet, const BackendTable::Table& backends, Instant now,
                   const std::function<void(const ListedWorker&)>& show) {
  for (const auto& [model, served] : fleet.models) {
    for (const auto& [version, workers] : served->versions) {
      for (const auto& [id, endpoint] : workers->endpoints) {
        const std::string& address = endpoint->worker().address();
        const auto backend = backends.find(address);
        if (backend == backends.end()) continue;
        show({.model = model,
              .version = version,
              .worker_id = id,
              .address = address,
              .ready = endpoint->state() == registry::v1::WORKER_STATE_READY,
              .figures = backend->second->health().figures(now)});
      }
    }
  }
  static const std::string kOther = "other", kNone;
  for (const std::string& address : fleet.fixed.ready) {
    const auto backend = backends.find(address);
    if (backend == backends.end()) continue;
    show({.model = kOther,
          .version = kNone,
          .worker_id = address,
          .address = address,
          .ready = true,
          .figures = backend->second->health().figures(now)});
  }
}

const char* StateWord(EjectionState state) {
  switch (state) {
    case EjectionState::kServing:
      return "serving";
    case EjectionState::kEjected:
      return "ejected";
    default:
      return "probed";
  }
}

const char* ReasonWord(OutlierVerdict why) {
  switch (why) {
    case OutlierVerdict::kNone:
      return "none";
    case OutlierVerdict::kSilent:
      return "silent";
    case OutlierVerdict::kFailing:
      return "failing";
    default:
      return "slow";
  }
}

}  // namespace torchfleet::gateway
