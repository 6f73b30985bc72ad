#pragma once
// A store's calls as functions that wait for the answer, and a follower that
// keeps what it hears.

#include <condition_variable>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "registry/store/store.h"

namespace torchfleet::registry {

// DEADLINE_EXCEEDED when the store says nothing for very long.
absl::StatusOr<uint64_t> Commit(Store& store, Transaction transaction);
absl::StatusOr<LeaseId> Grant(Store& store, absl::Duration ttl);
absl::Status Renew(Store& store, LeaseId lease);
absl::Status Revoke(Store& store, LeaseId lease);
absl::StatusOr<uint64_t> Latest(Store& store);

inline Value Text(std::string text) { return std::make_shared<const std::string>(std::move(text)); }
// A transaction that writes one catalogue key, if its `modified` is as given.
Transaction Put(const std::string& key, const std::string& text);
Transaction PutIf(const std::string& key, const std::string& text, uint64_t modified);
Transaction Remove(const std::string& key);
Transaction PutLive(const std::string& key, const std::string& text, LeaseId lease);

// What is in a space: key to text.
using Texts = std::map<std::string, std::string>;

// Keeps what a follower knows. Follows as long as it lives. Breaks of the
// store's promises (order, revisions) are kept as text.
class Follower : public StoreListener {
 public:
  // `on_event` is called with the last event of each news, after it is kept.
  using OnEvent = std::function<void(const Item&)>;
  explicit Follower(Store& store, OnEvent on_event = nullptr);
  ~Follower() override;

  void OnItems(std::span<const Item> catalogue, std::span<const Item> live,
               const Position& position) override;
  void OnEvents(Space space, std::span<const Item> events, uint64_t revision) override;
  void OnAvailable(bool available) override;

  // Waits until it is there, however long; false after very long.
  bool WaitFor(const std::function<bool(const Follower&)>& condition);
  bool WaitForRevision(uint64_t revision);

  // Only within WaitFor's condition, or where no change can come.
  std::map<std::string, Item> items(Space space) const;
  Texts texts(Space space) const;
  std::vector<std::pair<Space, Item>> events() const;
  Position position() const;
  int snapshots() const;
  bool available() const;
  std::string broken() const;

 private:
  void Keep(Space space, std::span<const Item> items);
  void CheckEvent(Space space, const Item& event);

  Store& store_;
  const OnEvent on_event_;
  mutable std::recursive_mutex mu_;
  std::condition_variable_any changed_;
  std::map<Space, std::map<std::string, Item>> items_;
  std::vector<std::pair<Space, Item>> events_;
  Position position_;
  std::map<Space, uint64_t> latest_;
  int snapshots_ = 0;
  bool available_ = true;
  std::string broken_;
};

}  // namespace torchfleet::registry
