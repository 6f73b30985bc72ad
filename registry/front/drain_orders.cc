#include "registry/front/drain_orders.h"

#include <fmt/format.h>

#include <mutex>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "base/status.h"
#include "registry/state/keys.h"

namespace torchfleet::registry {
namespace {

// A worker may register anew between being found and being written to.
constexpr int kTries = 3;
constexpr size_t kLongestActor = 256;

absl::Status Check(const v1::DrainRequest& request) {
  if (request.worker_id().empty() == request.model().empty()) {
    return WithBadField(
        absl::InvalidArgumentError(request.model().empty()
                                       ? "neither worker_id nor model is set; expected one of them"
                                       : "worker_id and model are both set; expected one of them"),
        request.model().empty() ? "worker_id" : "model");
  }
  return absl::OkStatus();
}

absl::Status Nobody(const v1::DrainRequest& request) {
  return absl::NotFoundError(
      request.model().empty()
          ? fmt::format("no worker '{}' holds a lease", Clip(request.worker_id()))
          : fmt::format("no worker of model '{}' holds a lease", Clip(request.model())));
}

}  // namespace

// Those that are still written to, and how it went.
struct DrainOrders::Pending {
  v1::DrainRequest request;
  Value wish;
  Done done;
  std::mutex mu;
  size_t left ABSL_GUARDED_BY(mu) = 0;
  std::set<std::string> told ABSL_GUARDED_BY(mu);
  absl::Status worst ABSL_GUARDED_BY(mu);

  void Ended(const std::string& worker_id, const absl::Status& status) {
    v1::DrainResponse response;
    absl::Status result;
    {
      const std::lock_guard lock(mu);
      if (status.ok()) {
        told.insert(worker_id);
      } else if (!absl::IsNotFound(status)) {
        worst = status;
      }
      if (--left > 0) return;
      for (const std::string& id : told) response.add_worker_ids(id);
      result = !worst.ok() ? worst : told.empty() ? Nobody(request) : absl::OkStatus();
    }
    if (!result.ok()) return done(result);
    done(std::move(response));
  }
};

void DrainOrders::Order(const v1::DrainRequest& request, Done done) {
  if (absl::Status wrong = Check(request); !wrong.ok()) return done(wrong);
  const std::vector<Registration> workers = fleet_.Read([&](const FleetState& state) {
    if (!request.model().empty()) return state.OfModel(request.model());
    const auto found = state.Find(request.worker_id());
    return found ? std::vector<Registration>{*found} : std::vector<Registration>();
  });
  if (workers.empty()) return done(Nobody(request));
  auto order = std::make_shared<Pending>();
  order->request = request;
  order->request.set_actor(Clip(request.actor(), kLongestActor));
  order->wish = std::make_shared<const std::string>(order->request.SerializeAsString());
  order->done = std::move(done);
  {
    const std::lock_guard lock(order->mu);
    order->left = workers.size();
  }
  for (const Registration& worker : workers) Write(order, worker, kTries);
}

void DrainOrders::Write(const std::shared_ptr<Pending>& order, const Registration& worker,
                        int tries_left) {
  Transaction transaction{.space = Space::kLive,
                          .conditions = {{Key(kWorkers, worker.worker_id), worker.epoch}},
                          .writes = {{Key(kDrains, worker.worker_id), order->wish, worker.lease}}};
  store_.Commit(std::move(transaction), [this, order, worker,
                                         tries_left](const absl::StatusOr<uint64_t>& committed) {
    if (!absl::IsAborted(committed.status())) {
      return order->Ended(worker.worker_id, committed.status());
    }
    const auto now =
        fleet_.Read([&](const FleetState& state) { return state.Find(worker.worker_id); });
    if (!now) return order->Ended(worker.worker_id, absl::NotFoundError("gone"));
    if (tries_left == 0) return order->Ended(worker.worker_id, committed.status());
    Write(order, *now, tries_left - 1);
  });
}

}  // namespace torchfleet::registry
