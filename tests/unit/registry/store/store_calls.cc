#include "tests/unit/registry/store/store_calls.h"

#include <chrono>

#include "absl/strings/str_cat.h"

namespace torchfleet::registry {
namespace {

// Long after anything that works is over.
constexpr std::chrono::seconds kVeryLong(60);

// The answer of a call that takes a callback.
template <typename Answer, typename Call>
Answer Await(Call call) {
  const auto promise = std::make_shared<std::promise<Answer>>();
  std::future<Answer> future = promise->get_future();
  call([promise](Answer answer) { promise->set_value(std::move(answer)); });
  if (future.wait_for(kVeryLong) != std::future_status::ready) {
    return absl::DeadlineExceededError("the store did not answer");
  }
  return future.get();
}

}  // namespace

absl::StatusOr<uint64_t> Commit(Store& store, Transaction transaction) {
  return Await<absl::StatusOr<uint64_t>>(
      [&](auto done) { store.Commit(std::move(transaction), std::move(done)); });
}

absl::StatusOr<LeaseId> Grant(Store& store, absl::Duration ttl) {
  return Await<absl::StatusOr<LeaseId>>([&](auto done) { store.Grant(ttl, std::move(done)); });
}

absl::Status Renew(Store& store, LeaseId lease) {
  return Await<absl::Status>([&](auto done) { store.Renew(lease, std::move(done)); });
}

absl::Status Revoke(Store& store, LeaseId lease) {
  return Await<absl::Status>([&](auto done) { store.Revoke(lease, std::move(done)); });
}

absl::StatusOr<uint64_t> Latest(Store& store) {
  return Await<absl::StatusOr<uint64_t>>([&](auto done) { store.Latest(std::move(done)); });
}

Transaction Put(const std::string& key, const std::string& text) {
  return {.writes = {{.key = key, .value = Text(text)}}};
}

Transaction PutIf(const std::string& key, const std::string& text, uint64_t modified) {
  return {.conditions = {{.key = key, .modified = modified}},
          .writes = {{.key = key, .value = Text(text)}}};
}

Transaction Remove(const std::string& key) { return {.writes = {{.key = key}}}; }

Transaction PutLive(const std::string& key, const std::string& text, LeaseId lease) {
  return {.space = Space::kLive, .writes = {{.key = key, .value = Text(text), .lease = lease}}};
}

Follower::Follower(Store& store, OnEvent on_event) : store_(store), on_event_(std::move(on_event)) {
  store_.Follow(*this);
}
Follower::~Follower() { store_.Unfollow(*this); }

void Follower::OnItems(std::span<const Item> catalogue, std::span<const Item> live,
                       const Position& position) {
  const std::lock_guard lock(mu_);
  if (position.incarnation == position_.incarnation && position.revision < position_.revision) {
    broken_ += absl::StrCat("position ", position.revision, " after ", position_.revision, "; ");
  }
  Keep(Space::kCatalogue, catalogue);
  Keep(Space::kLive, live);
  position_ = position;
  ++snapshots_;
  changed_.notify_all();
}

void Follower::Keep(Space space, std::span<const Item> items) {
  items_[space].clear();
  std::string last;
  for (const Item& item : items) {
    if (item.key <= last) broken_ += absl::StrCat(item.key, " after ", last, "; ");
    if (item.value == nullptr) broken_ += absl::StrCat(item.key, " has no value; ");
    last = item.key;
    items_[space][item.key] = item;
    latest_[space] = std::max(latest_[space], item.modified);
  }
}

void Follower::OnEvents(Space space, std::span<const Item> events, uint64_t revision) {
  std::unique_lock lock(mu_);
  if (snapshots_ == 0) broken_ += "events before any snapshot; ";
  if (events.empty()) broken_ += "no events; ";
  if (revision <= position_.revision) {
    broken_ += absl::StrCat("revision ", revision, " after ", position_.revision, "; ");
  }
  for (const Item& event : events) CheckEvent(space, event);
  position_.revision = revision;
  changed_.notify_all();
  lock.unlock();
  if (on_event_) on_event_(events.back());
}

void Follower::CheckEvent(Space space, const Item& event) {
  if (event.modified < latest_[space]) {
    broken_ += absl::StrCat(event.key, " at ", event.modified, " after ", latest_[space], "; ");
  }
  latest_[space] = event.modified;
  events_.emplace_back(space, event);
  auto& items = items_[space];
  if (event.value == nullptr) {
    if (items.erase(event.key) == 0) broken_ += absl::StrCat(event.key, " went twice; ");
    return;
  }
  const bool known = items.contains(event.key);
  if (known && items[event.key].created != event.created) {
    broken_ += absl::StrCat(event.key, " was made twice; ");
  }
  if (!known && event.created != event.modified) {
    broken_ += absl::StrCat(event.key, " was made before it came; ");
  }
  items[event.key] = event;
}

void Follower::OnAvailable(bool available) {
  const std::lock_guard lock(mu_);
  if (available == available_) broken_ += "available twice; ";
  available_ = available;
  changed_.notify_all();
}

bool Follower::WaitFor(const std::function<bool(const Follower&)>& condition) {
  std::unique_lock lock(mu_);
  return changed_.wait_for(lock, kVeryLong, [&] { return condition(*this); });
}

bool Follower::WaitForRevision(uint64_t revision) {
  return WaitFor([&](const Follower& self) {
    return self.snapshots() > 0 && self.position().revision >= revision;
  });
}

std::map<std::string, Item> Follower::items(Space space) const {
  const std::lock_guard lock(mu_);
  const auto found = items_.find(space);
  return found == items_.end() ? std::map<std::string, Item>() : found->second;
}

Texts Follower::texts(Space space) const {
  Texts texts;
  for (const auto& [key, item] : items(space)) texts[key] = *item.value;
  return texts;
}

std::vector<std::pair<Space, Item>> Follower::events() const {
  const std::lock_guard lock(mu_);
  return events_;
}

Position Follower::position() const {
  const std::lock_guard lock(mu_);
  return position_;
}

int Follower::snapshots() const {
  const std::lock_guard lock(mu_);
  return snapshots_;
}

bool Follower::available() const {
  const std::lock_guard lock(mu_);
  return available_;
}

std::string Follower::broken() const {
  const std::lock_guard lock(mu_);
  return broken_;
}

}  // namespace torchfleet::registry
