#include "model-worker/reload/reloader.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/status.h"

namespace torchfleet::worker {
namespace {

absl::Status Draining() { return absl::UnavailableError("the worker drains"); }

// The codes that a caller of a load meets.
absl::Status ForCaller(const absl::Status& status, const WatchedModel& files) {
  const std::string text = files.WithoutFolders(std::string(status.message()));
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnavailable:
      return ClipMessage(absl::Status(status.code(), text));
    default:
      return ClipMessage(absl::FailedPreconditionError(text));
  }
}

void Answer(const std::vector<Reloader::Done>& all, const absl::Status& status) {
  for (const auto& done : all) done(status);
}

}  // namespace

Reloader::Reloader(WatchedModel& files, Engines& engines, Snapshot<Engine>& serving,
                   absl::Duration interval)
    : files_(files), engines_(engines), serving_(serving), interval_(interval) {}

void Reloader::Start(ModelLoader loader, std::function<void(const Engine&)> taken_over) {
  loader_ = std::move(loader);
  taken_over_ = std::move(taken_over);
  thread_ = std::thread([this] { Run(); });
}

void Reloader::Ask(Done done) {
  {
    const std::lock_guard lock(mu_);
    if (!closed_) {
      asked_.push_back(std::move(done));
      changed_.notify_all();
      return;
    }
  }
  done(Draining());
}

void Reloader::Close() {
  std::vector<Done> left;
  {
    const std::lock_guard lock(mu_);
    closed_ = true;
    left = std::exchange(asked_, {});
    std::move(waiting_.begin(), waiting_.end(), std::back_inserter(left));
    waiting_.clear();
    changed_.notify_all();
  }
  Answer(left, Draining());
}

void Reloader::Stop() {
  Close();
  if (thread_.joinable()) thread_.join();
}

std::string Reloader::last_failure() const {
  const std::lock_guard lock(mu_);
  return last_failure_;
}

Reloader::Figures Reloader::figures() const {
  const std::lock_guard lock(mu_);
  return figures_;
}

void Reloader::Run() {
  while (AwaitCause()) Reload();
}

bool Reloader::AwaitCause() {
  const auto tick = absl::ToChronoNanoseconds(std::min(interval_, absl::Hours(24)));
  std::unique_lock lock(mu_);
  while (!closed_) {
    const auto called = [&] { return closed_ || !asked_.empty(); };
    if (interval_ > absl::ZeroDuration()) {
      changed_.wait_for(lock, tick, called);
    } else {
      changed_.wait(lock, called);
    }
    if (!closed_ && asked_.empty()) {
      lock.unlock();
      if (files_.Changed()) return true;
      lock.lock();
      continue;
    }
    waiting_ = std::exchange(asked_, {});
    if (!waiting_.empty()) return true;
  }
  return false;
}

void Reloader::Reload() {
  const absl::Status status = Noted(LoadAnew());
  std::vector<Done> waiting;
  {
    const std::lock_guard lock(mu_);
    waiting.swap(waiting_);
  }
  Answer(waiting, status);
}

absl::Status Reloader::LoadAnew() {
  const std::shared_ptr<const Engine> old = serving_.Get();
  ASSIGN_OR_RETURN(RepositoryModel model, files_.Read());
  const std::shared_ptr<Engine> engine = engines_.Make(std::move(model));
  RETURN_IF_ERROR(engine->Load(loader_));
  {
    const std::lock_guard lock(mu_);
    if (closed_) return Draining();
    serving_.Set(std::shared_ptr<const Engine>(engine));
  }
  old->Retire();
  taken_over_(*engine);
  return absl::OkStatus();
}

// What the caller gets of it.
absl::Status Reloader::Noted(const absl::Status& status) {
  const absl::Status told = status.ok() ? status : ForCaller(status, files_);
  const ModelSpec& spec = serving_.Get()->spec();
  if (status.ok()) {
    LogInfo("the model is loaded anew", {{"model", spec.name}, {"version", spec.version}});
  } else {
    LogWarning("the model could not be loaded anew; the one that was there serves on",
               {{"model", spec.name},
                {"version", spec.version},
                {"detail", std::string(status.message())}});
  }
  const std::lock_guard lock(mu_);
  ++(status.ok() ? figures_.ok : figures_.failed);
  last_failure_ = std::string(told.message());
  return told;
}

}  // namespace torchfleet::worker
