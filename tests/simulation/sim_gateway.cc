#include "tests/simulation/sim_gateway.h"

#include <algorithm>

#include "gateway/forward/hedge_policy.h"

namespace torchfleet::simulation {

using gateway::AttemptFailure;
using gateway::BalanceCandidate;
using gateway::BalanceChoice;
using gateway::BalancePolicy;
using gateway::EndpointHealth;
using gateway::FailureMeaning;
using gateway::FailureSource;
using gateway::GroupJudge;
using gateway::HedgePolicy;
using gateway::RetryPolicy;

// As a route has it that says nothing.
constexpr size_t kMostWaiting = 1024;

SimGateway::SimGateway(EventQueue& events, const GatewayOptions& options,
                       std::vector<SimWorker*> workers, size_t near, Tally& tally, uint64_t seed)
    : events_(events),
      options_(options),
      workers_(std::move(workers)),
      near_(near),
      tally_(tally),
      random_(seed),
      budget_({}, events.now()) {
  for (size_t i = 0; i < workers_.size(); ++i) {
    health_.push_back(std::make_unique<EndpointHealth>(1, Instant()));
    group_.push_back(health_.back().get());
  }
  events_.After(gateway::kJudgeEvery, [this] { Judge(); });
}

void SimGateway::Renewed(const SimWorker& worker) {
  const auto at = std::find(workers_.begin(), workers_.end(), &worker) - workers_.begin();
  health_[static_cast<size_t>(at)]->Renewed(events_.now());
}

void SimGateway::Judge() {
  events_.After(gateway::kJudgeEvery, [this] { Judge(); });
  if (!options_.ejects) return;
  const GroupJudge::Outcome outcome = GroupJudge::Judge(events_.now(), group_);
  tally_.ejections += outcome.ejections.size();
  for (const size_t worker : outcome.to_probe) {
    const bool well = workers_[worker]->answers_probes();
    events_.After(well ? 2 * options_.network : absl::Seconds(1), [this, worker, well] {
      GroupJudge::Probed(events_.now(), *group_[worker], well);
    });
  }
}

BalanceChoice SimGateway::Choose(const Flight& flight) {
  const auto tried = [&](size_t i) {
    return std::find(flight.tried.begin(), flight.tried.end(), i) != flight.tried.end();
  };
  const size_t count = workers_.size();
  if (options_.choosing == Choosing::kGateway) {
    const auto read = [&](size_t i) {
      BalanceCandidate candidate = group_[i]->Candidate(events_.now());
      candidate.full = candidate.full && options_.limits;
      candidate.tried = tried(i);
      return candidate;
    };
    const bool leave =
        !flight.tried.empty() && flight.tried.back() < near_ &&
        group_[flight.tried.back()]->Candidate(events_.now()).standing == gateway::Standing::kAside;
    return near_ > 0 ? BalancePolicy::ChooseNear(count, near_, leave, random_(), read)
                     : BalancePolicy::Choose(count, random_(), read);
  }
  BalanceChoice choice;
  const size_t start = options_.choosing == Choosing::kRandom ? random_() : turn_++;
  for (size_t step = 0; step < count; ++step) {
    const size_t i = (start + step) % count;
    if (tried(i)) continue;
    const bool better =
        !choice.index || (options_.choosing == Choosing::kLeastOutstanding &&
                          group_[i]->outstanding() < group_[*choice.index]->outstanding());
    if (better) choice.index = i;
  }
  return choice;
}

void SimGateway::Call() {
  auto flight = std::make_shared<Flight>();
  open_.insert(flight);
  flight->began = events_.now();
  flight->deadline = flight->began + options_.deadline;
  budget_.Deposit();
  if (options_.deadline != absl::InfiniteDuration()) {
    events_.At(flight->deadline, [this, flight] { End(flight, false); });
  }
  Launch(flight);
}

void SimGateway::Launch(const FlightPtr& flight) {
  const BalanceChoice choice = Choose(*flight);
  if (choice.full) return Wait(flight);
  if (!choice.index) return End(flight, false);
  Try(flight, *choice.index, /*hedge=*/false);
}

void SimGateway::Wait(const FlightPtr& flight) {
  flight->waiting = true;
  waiting_[flight.get()] = flight;
  if (Flight* const out =
          room_.Enter(*flight, {.full = room_.size() >= kMostWaiting}, events_.now()))
    Refuse(*out);
  if (!std::exchange(minding_, true)) {
    events_.After(absl::Milliseconds(1), [this] { MindRoom(); });
  }
}

void SimGateway::LetIn() {
  while (Flight* const next = room_.First()) {
    if (Choose(*next).full) return;
    room_.Leave(*next);
    const FlightPtr flight = waiting_.extract(next).mapped();
    flight->waiting = false;
    Launch(flight);
  }
}

void SimGateway::MindRoom() {
  LetIn();
  while (Flight* const overdue = room_.Overdue(events_.now())) Refuse(*overdue);
  minding_ = !room_.empty();
  if (minding_) events_.After(absl::Milliseconds(1), [this] { MindRoom(); });
}

void SimGateway::Refuse(Flight& waiting) {
  const FlightPtr flight = waiting_.extract(&waiting).mapped();
  flight->waiting = false;
  ++tally_.refused;
  End(flight, false);
}

void SimGateway::Try(const FlightPtr& flight, size_t worker, bool hedge) {
  ++tally_.attempts;
  if (worker < near_) ++tally_.at_home;
  auto attempt = std::make_shared<Attempt>();
  attempt->worker = worker;
  attempt->began = events_.now();
  attempt->hedge = hedge;
  attempt->job = std::make_shared<Job>();
  flight->tried.push_back(worker);
  flight->attempts.push_back(attempt);
  group_[worker]->Begin(0);
  const auto back = [this, network = NetworkTo(worker)](auto&& what) {
    return [this, network, what] { events_.After(network, what); };
  };
  // The worker's side owns neither: what comes after the end is for nobody.
  const auto reach = [of = std::weak_ptr(flight), by = std::weak_ptr(attempt)](const auto& act) {
    const FlightPtr still = of.lock();
    const AttemptPtr tried = by.lock();
    if (still && tried) act(still, tried);
  };
  const auto fail = [this, reach](FailureSource source) {
    reach([&](const FlightPtr& still, const AttemptPtr& tried) {
      Failed(still, tried, {.code = absl::StatusCode::kUnavailable, .source = source});
    });
  };
  attempt->job->answered = back([this, reach] {
    reach([&](const FlightPtr& still, const AttemptPtr& tried) { Answered(still, tried); });
  });
  attempt->job->lost = back([fail] { fail(FailureSource::kBroken); });
  attempt->job->refused = back([fail] { fail(FailureSource::kWorker); });
  events_.After(NetworkTo(worker), [this, job = attempt->job, worker, back, fail] {
    if (job->cancelled || workers_[worker]->Take(job)) return;
    back([fail] { fail(FailureSource::kNeverSent); })();
  });
  if (!hedge) StartHedge(flight);
}

void SimGateway::StartHedge(const FlightPtr& flight) {
  if (!options_.hedges) return;
  const auto delay = HedgePolicy::Delay(usual_.Get(), flight->deadline - events_.now(),
                                        workers_.size() - flight->tried.size());
  const AttemptPtr attempt = flight->attempts.back();
  if (delay) {
    events_.After(*delay, [this, flight, attempt] {
      if (!attempt->over) Hedge(flight);
    });
  }
}

void SimGateway::Hedge(const FlightPtr& flight) {
  if (flight->done || flight->tried.size() >= gateway::kMaxAttempts) return;
  const BalanceChoice choice = Choose(*flight);
  if (!HedgePolicy::MayGo(choice) || !budget_.Withdraw(events_.now())) return;
  ++tally_.hedges;
  Try(flight, *choice.index, /*hedge=*/true);
}

void SimGateway::Answered(const FlightPtr& flight, const AttemptPtr& attempt) {
  if (attempt->over) return;
  const Instant now = events_.now();
  const absl::Duration latency = now - attempt->began;
  EndpointHealth& health = *group_[attempt->worker];
  health.Answered(0, now, latency);
  health.Reported(now, workers_[attempt->worker]->requests(),
                  workers_[attempt->worker]->capacity());
  health.End(0);
  attempt->over = true;
  if (!attempt->hedge) usual_.Add(latency);
  End(flight, true);
}

void SimGateway::Failed(const FlightPtr& flight, const AttemptPtr& attempt,
                        const AttemptFailure& failure) {
  if (attempt->over) return;
  const Instant now = events_.now();
  EndpointHealth& health = *group_[attempt->worker];
  switch (RetryPolicy::Meaning(failure)) {
    case FailureMeaning::kUnreachable:
      health.Unreachable(now);
      break;
    case FailureMeaning::kLost:
      health.Lost(now);
      break;
    default:
      health.Refused(now, absl::Seconds(1));
  }
  health.End(0);
  attempt->over = true;
  for (const AttemptPtr& other : flight->attempts) {
    if (!other->over) return;
  }
  const BalanceChoice choice = Choose(*flight);
  const bool may = RetryPolicy::MayTryAnother(failure) &&
                   flight->tried.size() < gateway::kMaxAttempts && (choice.index || choice.full) &&
                   !(choice.aside && group_[*choice.index]->UnreachableLately(now));
  if (!may || !budget_.Withdraw(now)) return End(flight, false);
  ++tally_.retries;
  if (choice.full) return Wait(flight);
  Try(flight, *choice.index, /*hedge=*/false);
}

void SimGateway::GiveUp(Attempt& attempt) {
  const Instant now = events_.now();
  const absl::Duration elapsed = now - attempt.began;
  if (HedgePolicy::WasSilent(usual_.Get(), elapsed)) {
    group_[attempt.worker]->Silent(now, elapsed);
    if (!attempt.hedge) usual_.Add(elapsed);
  }
  group_[attempt.worker]->End(0);
  attempt.over = true;
  events_.After(NetworkTo(attempt.worker), [job = attempt.job] { job->cancelled = true; });
}

void SimGateway::End(const FlightPtr& flight, bool ok) {
  if (std::exchange(flight->done, true)) return;
  if (flight->waiting) {
    room_.Leave(*flight);
    waiting_.erase(flight.get());
  }
  for (const AttemptPtr& attempt : flight->attempts) {
    if (!attempt->over) GiveUp(*attempt);
  }
  flight->attempts.clear();
  tally_.calls.push_back({flight->began, events_.now() - flight->began, ok});
  open_.erase(flight);
  LetIn();
}

}  // namespace torchfleet::simulation
