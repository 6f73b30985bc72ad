// A process with a store of the registry's and nothing else, driven by lines on
// its standard input, for tests that kill it. Each line is `ID WORD …`, begun at
// once; each answer is a line `ID ok …` or `ID CODE text`, in any order.
//
//   put KEY,KEY… VALUE MODIFIED   writes all of them; if the first is at MODIFIED,
//                                 unless that is `-`; answers the revision
//   lease TTL KEY VALUE           a live key on a lease of its own: its revision,
//                                 the lease
//   renew LEASE
//   gone KEY                      when a live key that was there is gone
//   list                          position, then KEY=VALUE@MODIFIED of the catalogue

#include <condition_variable>
#include <cstdio>
#include <iostream>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "registry/store/open_store.h"

namespace torchfleet::registry {
namespace {

// One write, so that lines of several threads do not mix and none is kept back.
void Say(const std::string& id, const std::string& text) {
  static std::mutex mu;
  const std::lock_guard lock(mu);
  std::cout << id + " " + text + "\n" << std::flush;
}

void SayStatus(const std::string& id, const absl::Status& status, const std::string& text) {
  Say(id, status.ok()
              ? absl::StrCat("ok ", text)
              : absl::StrCat(absl::StatusCodeToString(status.code()), " ", status.message()));
}

class Driver : public StoreListener {
 public:
  explicit Driver(Store& store) : store_(store) { store_.Follow(*this); }
  ~Driver() override { store_.Unfollow(*this); }

  void OnItems(std::span<const Item> catalogue, std::span<const Item> live,
               const Position& position) override {
    const std::lock_guard lock(mu_);
    for (const Item& item : catalogue) items_[Space::kCatalogue][item.key] = item;
    for (const Item& item : live) items_[Space::kLive][item.key] = item;
    revision_ = position.revision;
  }

  void OnEvents(Space space, std::span<const Item> events, uint64_t revision) override {
    const std::lock_guard lock(mu_);
    revision_ = revision;
    for (const Item& event : events) {
      items_[space][event.key] = event;
      if (event.value != nullptr) continue;
      items_[space].erase(event.key);
      for (auto [at, end] = awaited_.equal_range(event.key); at != end;) {
        Say(at->second, "ok");
        at = awaited_.erase(at);
      }
    }
  }

  void OnAvailable(bool) override {}

  void Do(const std::string& line) {
    std::istringstream words(line);
    std::string id, word;
    words >> id >> word;
    if (word == "put") Put(id, words);
    if (word == "lease") Lease(id, words);
    if (word == "renew") Renew(id, words);
    if (word == "gone") Await(id, words);
    if (word == "list") List(id);
  }

 private:
  void Put(const std::string& id, std::istream& words) {
    std::string keys, value, modified;
    words >> keys >> value >> modified;
    Transaction transaction;
    for (const auto key : absl::StrSplit(keys, ',')) {
      transaction.writes.push_back(
          {.key = std::string(key), .value = std::make_shared<const std::string>(value)});
    }
    uint64_t demanded = 0;
    if (absl::SimpleAtoi(modified, &demanded)) {
      transaction.conditions.push_back({.key = transaction.writes[0].key, .modified = demanded});
    }
    store_.Commit(std::move(transaction), [id](absl::StatusOr<uint64_t> revision) {
      SayStatus(id, revision.status(), absl::StrCat(revision.value_or(0)));
    });
  }

  void Lease(const std::string& id, std::istream& words) {
    std::string ttl_text, key, value;
    words >> ttl_text >> key >> value;
    absl::Duration ttl;
    absl::ParseDuration(ttl_text, &ttl);
    store_.Grant(ttl, [this, id, key, value](absl::StatusOr<LeaseId> lease) {
      if (!lease.ok()) return SayStatus(id, lease.status(), "");
      store_.Commit({.space = Space::kLive,
                     .writes = {{.key = key,
                                 .value = std::make_shared<const std::string>(value),
                                 .lease = *lease}}},
                    [id, lease = *lease](absl::StatusOr<uint64_t> revision) {
                      SayStatus(id, revision.status(),
                                absl::StrCat(revision.value_or(0), " ", lease));
                    });
    });
  }

  void Renew(const std::string& id, std::istream& words) {
    LeaseId lease = 0;
    words >> lease;
    store_.Renew(lease, [id](const absl::Status& status) { SayStatus(id, status, ""); });
  }

  void Await(const std::string& id, std::istream& words) {
    std::string key;
    words >> key;
    const std::lock_guard lock(mu_);
    if (items_[Space::kLive].contains(key)) {
      awaited_.emplace(key, id);
    } else {
      Say(id, "ok");
    }
  }

  void List(const std::string& id) {
    const std::lock_guard lock(mu_);
    std::string text = absl::StrCat("ok ", revision_);
    for (const auto& [key, item] : items_[Space::kCatalogue]) {
      absl::StrAppend(&text, " ", key, "=", *item.value, "@", item.modified);
    }
    Say(id, text);
  }

  Store& store_;
  std::mutex mu_;
  std::map<Space, std::map<std::string, Item>> items_;
  std::multimap<std::string, std::string> awaited_;
  uint64_t revision_ = 0;
};

int Main(const std::string& store_text) {
  const MonotonicClock clock;
  const auto store = OpenStore(store_text, clock);
  SayStatus("start", store.status(), "");
  if (!store.ok()) return 1;
  Driver driver(**store);
  std::string line;
  while (std::getline(std::cin, line)) driver.Do(line);
  return 0;
}

}  // namespace
}  // namespace torchfleet::registry

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  return torchfleet::registry::Main(argv[1]);
}
