#pragma once
// A gateway of the simulation: the very policies of gateway/, carried out in
// virtual time as the path of a call carries them out in real time. Instead of
// its choice it may make a plainer one, to be measured beside.

#include <array>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "gateway/admit/waiting_room.h"
#include "gateway/balance/endpoint_health.h"
#include "gateway/balance/group_judge.h"
#include "gateway/forward/latency_quantile.h"
#include "gateway/forward/retry_budget.h"
#include "gateway/forward/retry_policy.h"
#include "tests/simulation/event_queue.h"
#include "tests/simulation/sim_worker.h"

namespace torchfleet::simulation {

enum class Choosing : uint8_t { kGateway, kRandom, kRoundRobin, kLeastOutstanding };

struct GatewayOptions {
  Choosing choosing = Choosing::kGateway;
  bool hedges = true;
  bool ejects = true;
  bool limits = true;
  absl::Duration deadline = absl::InfiniteDuration();
  // One way, to a worker; and to one in another zone.
  absl::Duration network = absl::Microseconds(100);
  absl::Duration cross_zone = absl::Microseconds(600);
};

// What became of the calls.
struct Tally {
  struct Call {
    Instant began;
    absl::Duration took;
    bool ok = false;
  };
  std::vector<Call> calls;
  // Attempts in the gateway's own zone, where there are zones.
  uint64_t at_home = 0;
  uint64_t attempts = 0, retries = 0, hedges = 0, refused = 0, ejections = 0;
};

class SimGateway {
 public:
  // `near`: how many of the workers, the first ones, are in its own zone; 0: there
  // are no zones.
  SimGateway(EventQueue& events, const GatewayOptions& options, std::vector<SimWorker*> workers,
             size_t near, Tally& tally, uint64_t seed);

  void Call();
  // Another process listens where `worker` was.
  void Renewed(const SimWorker& worker);

 private:
  struct Attempt {
    std::shared_ptr<Job> job;
    size_t worker = 0;
    Instant began;
    bool hedge = false;
    bool over = false;
  };
  struct Flight {
    Instant began, deadline;
    std::vector<size_t> tried;
    std::vector<std::shared_ptr<Attempt>> attempts;
    bool done = false, waiting = false;
  };
  using FlightPtr = std::shared_ptr<Flight>;
  using AttemptPtr = std::shared_ptr<Attempt>;

  gateway::BalanceChoice Choose(const Flight& flight);
  absl::Duration NetworkTo(size_t worker) const {
    return near_ == 0 || worker < near_ ? options_.network : options_.cross_zone;
  }
  void Launch(const FlightPtr& flight);
  void Wait(const FlightPtr& flight);
  void LetIn();
  void MindRoom();
  void Refuse(Flight& waiting);
  void Try(const FlightPtr& flight, size_t worker, bool hedge);
  void StartHedge(const FlightPtr& flight);
  void Hedge(const FlightPtr& flight);
  void Answered(const FlightPtr& flight, const AttemptPtr& attempt);
  void Failed(const FlightPtr& flight, const AttemptPtr& attempt,
              const gateway::AttemptFailure& failure);
  void GiveUp(Attempt& attempt);
  void End(const FlightPtr& flight, bool ok);
  void Judge();

  EventQueue& events_;
  const GatewayOptions options_;
  const std::vector<SimWorker*> workers_;
  const size_t near_;
  Tally& tally_;
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<gateway::EndpointHealth>> health_;
  std::vector<gateway::EndpointHealth*> group_;
  gateway::RetryBudget budget_;
  gateway::LatencyQuantile usual_;
  gateway::WaitingRoom<Flight> room_;
  // Those that have not ended.
  std::set<FlightPtr> open_;
  // Those in the room, to be found by what it knows of them.
  std::map<const Flight*, FlightPtr> waiting_;
  bool minding_ = false;
  size_t turn_ = 0;
};

}  // namespace torchfleet::simulation
