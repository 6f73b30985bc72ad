#include "registry/watch/publisher.h"

#include <chrono>

namespace torchfleet::registry {

Publisher::Publisher(Options options, const Fleet& fleet, const Clock& clock)
    : options_(options), fleet_(fleet), clock_(clock), rounds_(options.rounds) {
  thread_ = std::thread([this] { Run(); });
}

Publisher::~Publisher() {
  {
    const std::lock_guard lock(wake_mu_);
    stopping_ = true;
  }
  woken_.notify_all();
  thread_.join();
}

void Publisher::Add(const std::shared_ptr<WatchCursor>& cursor) {
  {
    const std::lock_guard lock(mu_);
    cursors_.insert(cursor);
  }
  Want(/*urgent=*/true);
}

void Publisher::Written(const std::shared_ptr<WatchCursor>& cursor) {
  bool behind = false, urgent = false;
  {
    const std::lock_guard lock(mu_);
    cursor->writing = false;
    fleet_.Read([&](const FleetState& state) {
      behind = cursor->position.revision != state.position().revision;
      urgent = cursor->position.revision < state.urgent() || cursor->life != state.life();
    });
  }
  if (behind || urgent) Want(urgent);
}

void Publisher::Remove(const std::shared_ptr<WatchCursor>& cursor) {
  const std::lock_guard lock(mu_);
  cursors_.erase(cursor);
  // It holds the stream, which holds it.
  cursor->sink.reset();
}

void Publisher::Forget(const std::shared_ptr<WatchCursor>& cursor) {
  {
    const std::lock_guard lock(mu_);
    if (cursor->told) return;
    cursor->position = {};
  }
  Want(/*urgent=*/true);
}

void Publisher::OnChange(bool urgent) { Want(urgent); }

void Publisher::OnAvailable(bool available) {
  const std::lock_guard lock(wake_mu_);
  away_since_ = available ? std::nullopt : std::optional(clock_.Now());
  woken_.notify_all();
}

void Publisher::Want(bool urgent) {
  const Wanted more = urgent ? kUrgent : kLoads;
  Wanted wanted = wanted_;
  do {
    if (wanted >= more) return;
  } while (!wanted_.compare_exchange_weak(wanted, more));
  // Whoever is about to wait has seen it, or waits when it is woken.
  { const std::lock_guard lock(wake_mu_); }
  woken_.notify_all();
}

PublisherFigures Publisher::figures() const {
  const std::lock_guard lock(mu_);
  PublisherFigures figures = figures_;
  figures.watchers = cursors_.size();
  figures.encoded = encodings_.encoded();
  return figures;
}

void Publisher::Run() {
  std::unique_lock lock(wake_mu_);
  while (!stopping_) {
    const Wanted wanted = wanted_;
    const absl::Duration until_round =
        wanted == kNothing ? absl::Hours(1) : rounds_.Next(wanted == kUrgent) - clock_.Now();
    const absl::Duration wait = std::min(until_round, UntilStreamsEnd());
    if (wait > absl::ZeroDuration()) {
      woken_.wait_for(lock, absl::ToChronoNanoseconds(wait));
      continue;
    }
    const bool give_up = UntilStreamsEnd() <= absl::ZeroDuration();
    if (give_up) away_since_.reset();
    lock.unlock();
    if (give_up) EndStreams();
    if (until_round <= absl::ZeroDuration()) Round();
    lock.lock();
  }
}

absl::Duration Publisher::UntilStreamsEnd() const {
  return away_since_ ? *away_since_ + options_.patience - clock_.Now() : absl::InfiniteDuration();
}

void Publisher::Round() {
  wanted_ = kNothing;
  const Instant began = clock_.Now();
  // Not under the lock: gRPC may run the next callback from in here.
  for (const Due& one : Collect()) one.sink->Write(one.message.bytes);
  rounds_.Ran(began, clock_.Now());
}

std::vector<Publisher::Due> Publisher::Collect() {
  std::vector<Due> due;
  const std::lock_guard lock(mu_);
  fleet_.Read([&](const FleetState& state) {
    if (state.position().incarnation.empty()) return;
    for (const auto& cursor : cursors_) {
      if (cursor->writing) continue;
      if (auto message = Advance(state, *cursor)) {
        cursor->writing = true;
        due.push_back({cursor->sink, *std::move(message)});
      }
    }
  });
  ++figures_.rounds;
  for (const Due& one : due) {
    ++(one.message.kind == WatchMessage::Kind::kSnapshot ? figures_.snapshots : figures_.deltas);
    figures_.bytes += one.message.bytes.size();
  }
  return due;
}

std::optional<WatchMessage> Publisher::Advance(const FleetState& state, WatchCursor& cursor) {
  const bool begins_anew =
      (cursor.told && cursor.life != state.life()) || !state.Resumable(cursor.position);
  const uint64_t from = cursor.position.revision;
  // Ahead, by what another registry said.
  if (!begins_anew && from > state.position().revision) return std::nullopt;
  cursor.position = state.position();
  cursor.life = state.life();
  const bool first = !std::exchange(cursor.told, true);
  if (begins_anew) return encodings_.Snapshot(state, cursor.filter);
  auto news = encodings_.News(state, from, cursor.filter);
  // The first message goes out even when it says nothing new: it tells a
  // watcher that resumed that it is up to date.
  if (!news && first) return WatchMessage{.bytes = grpc::Slice(state.NoNews())};
  return news;
}

void Publisher::EndStreams() {
  std::vector<std::shared_ptr<WatchSink>> sinks;
  {
    const std::lock_guard lock(mu_);
    for (const auto& cursor : cursors_) sinks.push_back(cursor->sink);
  }
  for (const auto& sink : sinks) {
    sink->End(absl::UnavailableError(
        "this registry's store is away; try another registry, or this one again"));
  }
}

}  // namespace torchfleet::registry
