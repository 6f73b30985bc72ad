#pragma once
// A Caller whose calls end as a test says, and what it was asked for.

#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cli/load/load_thread.h"

namespace torchfleet::cli {

class FakeCaller final : public Caller {
 public:
  struct Begun {
    uint32_t call;
    size_t request;
    std::string id;
    Instant at;
  };
  // What a test reads after Join.
  struct Record {
    std::vector<Begun> begun;
    int in_flight = 0;
    int most_in_flight = 0;
  };
  // Told of each call when it has begun, on the loop's thread.
  using OnBegin = std::function<void(FakeCaller&, const Begun&)>;

  FakeCaller(net::Loop& loop, Owner& owner, Record& record, OnBegin on_begin)
      : loop_(loop), owner_(owner), record_(record), on_begin_(std::move(on_begin)) {}

  void Begin(uint32_t call, size_t request, std::string_view id) override;
  // In a turn to come; from any thread.
  void EndLater(uint32_t call, CallEnd end = {.ok = true}, std::string answer = "");
  const Record& record() const { return record_; }

 private:
  net::Loop& loop_;
  Owner& owner_;
  Record& record_;
  const OnBegin on_begin_;
};

// A LoadThread with a FakeCaller, which `caller` is set to. `record` outlives it.
std::unique_ptr<LoadThread> FakeLoad(LoadShare share, FakeCaller::Record& record,
                                     FakeCaller::OnBegin on_begin, FakeCaller** caller = nullptr);
// The same, from its start to its end.
LoadTally RunFakeLoad(LoadShare share, FakeCaller::Record& record, FakeCaller::OnBegin on_begin);

}  // namespace torchfleet::cli
