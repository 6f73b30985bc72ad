#include "cli/load/load_thread.h"

#include <algorithm>
#include <utility>

#include "base/status.h"

namespace torchfleet::cli {
namespace {

constexpr absl::Duration kLate = absl::Milliseconds(1);
// After nobody could be reached.
constexpr absl::Duration kPause = absl::Milliseconds(50);
constexpr absl::Duration kTick = absl::Milliseconds(100);

}  // namespace

absl::StatusOr<std::unique_ptr<LoadThread>> LoadThread::Create(LoadShare share,
                                                               const MakeCaller& make_caller) {
  ASSIGN_OR_RETURN(auto loop, net::Loop::Create());
  std::unique_ptr<LoadThread> made(new LoadThread(std::move(share), std::move(loop)));
  ASSIGN_OR_RETURN(made->pacer_,
                   Pacer::Create(*made->loop_, [thread = made.get()] { thread->BeginDue(); }));
  made->caller_ = make_caller(*made->loop_, *made);
  return made;
}

LoadThread::LoadThread(LoadShare share, std::unique_ptr<net::Loop> loop)
    : share_(std::move(share)),
      order_(share_.requests, share_.shuffle_seed),
      loop_(std::move(loop)),
      again_(*loop_, [this] { BeginAgain(); }),
      tick_(*loop_, [this] { TellProgress(); }),
      first_answers_(share_.requests) {}

LoadThread::~LoadThread() {
  if (thread_.joinable()) {
    Stop();
    thread_.join();
  }
}

void LoadThread::Start() {
  loop_->Post([this] { BeginAll(); });
  thread_ = std::thread([this] { Run(); });
}

void LoadThread::Stop() {
  loop_->Post([this] {
    stopping_ = true;
    StopWhenDone();
  });
}

void LoadThread::Run() {
  loop_->Run();
  tick_.Stop();
  if (share_.progress) TellProgress();
  tick_.Stop();
  // Its connections are this thread's.
  caller_.reset();
}

void LoadThread::BeginAll() {
  begin_ = clock_.Now();
  if (share_.progress) tick_.Start(kTick);
  if (share_.arrivals) {
    next_ = share_.arrivals->Next();
    return BeginDue();
  }
  places_.resize(share_.in_flight);
  for (uint32_t call = 0; call < share_.in_flight && MayBegin(begin_); ++call) {
    Begin(call, begin_);
  }
  StopWhenDone();
}

bool LoadThread::MayBegin(Instant at) {
  if (stopping_ || (share_.calls && counted_ >= *share_.calls)) return false;
  time_is_up_ = at - begin_ >= share_.warm_up + share_.duration;
  return !time_is_up_;
}

void LoadThread::BeginDue() {
  const Instant now = clock_.Now();
  for (; next_ && begin_ + *next_ <= now; next_ = share_.arrivals->Next()) {
    const Instant at = begin_ + *next_;
    if (!MayBegin(at)) break;
    if (free_.empty() && places_.size() >= share_.in_flight) {
      if (*next_ >= share_.warm_up) ++tally_.not_begun;
      continue;
    }
    if (free_.empty()) {
      free_.push_back(static_cast<uint32_t>(places_.size()));
      places_.emplace_back();
    }
    const uint32_t call = free_.back();
    free_.pop_back();
    const bool late = clock_.Now() - at > kLate;
    Begin(call, at);
    if (places_[call].counted && late) ++tally_.late;
  }
  if (next_ && !MayBegin(begin_ + *next_)) next_.reset();
  if (next_) pacer_->WakeAt(begin_ + *next_);
  StopWhenDone();
}

void LoadThread::BeginAgain() {
  const Instant now = clock_.Now();
  for (const uint32_t call : std::exchange(paused_, {})) {
    if (MayBegin(now)) Begin(call, now);
  }
  StopWhenDone();
}

void LoadThread::Begin(uint32_t call, Instant at) {
  Place& place = places_[call];
  place.begin = at;
  place.counted = at - begin_ >= share_.warm_up;
  place.request = order_.Next();
  if (share_.check) place.id = share_.id_prefix + std::to_string(tally_.all_calls);
  if (place.counted) ++counted_;
  ++tally_.all_calls;
  ++in_flight_;
  caller_->Begin(call, place.request, place.id);
}

void LoadThread::OnEnd(uint32_t call, const CallEnd& end) {
  const Instant now = clock_.Now();
  --in_flight_;
  const Place& place = places_[call];
  const CallEnd checked = Checked(place, end);
  if (place.counted) Count(place, checked, now);
  if (share_.progress) {
    if (checked.ok) interval_.Record(now - place.begin);
    if (!checked.ok) ++interval_failed_;
  }
  if (share_.arrivals) {
    free_.push_back(call);
  } else if (end.never_sent) {
    paused_.push_back(call);
    if (!again_.running()) again_.Start(kPause);
  } else if (MayBegin(now)) {
    return Begin(call, now);
  }
  StopWhenDone();
}

// The end, or what is wrong with its answer.
CallEnd LoadThread::Checked(const Place& place, const CallEnd& end) {
  if (!end.ok || !share_.check) return end;
  const absl::Status status =
      share_.check->Compare(end.answer, place.id, first_answers_[place.request]);
  if (status.ok()) return end;
  return {.code = "wrong answer", .message = std::string(status.message())};
}

void LoadThread::Count(const Place& place, const CallEnd& end, Instant now) {
  tally_.window_begin = begin_ + share_.warm_up;
  tally_.window_end = now;
  if (!end.ok) return tally_.AddFailure(end.code, 1, end.message);
  ++tally_.ok;
  tally_.latency.Record(now - place.begin);
}

void LoadThread::TellProgress() {
  share_.progress->Add(interval_, interval_failed_, in_flight_ - told_in_flight_);
  interval_.Clear();
  interval_failed_ = 0;
  told_in_flight_ = in_flight_;
  tick_.Start(kTick);
}

void LoadThread::StopWhenDone() {
  if (in_flight_ > 0 || (!stopping_ && (next_ || !paused_.empty()))) return;
  // Whoever was slow to end does not make it longer.
  if (time_is_up_ && counted_ > 0) tally_.window_end = tally_.window_begin + share_.duration;
  loop_->Stop();
}

}  // namespace torchfleet::cli
