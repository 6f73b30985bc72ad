#include "tests/unit/cli/load/fake_caller.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

namespace torchfleet::cli {

void FakeCaller::Begin(uint32_t call, size_t request, std::string_view id) {
  record_.begun.push_back({call, request, std::string(id), MonotonicClock().Now()});
  record_.most_in_flight = std::max(record_.most_in_flight, ++record_.in_flight);
  const Begun begun = record_.begun.back();
  on_begin_(*this, begun);
}

void FakeCaller::EndLater(uint32_t call, CallEnd end, std::string answer) {
  loop_.Post([this, call, end = std::move(end), answer = std::move(answer)]() mutable {
    --record_.in_flight;
    end.answer = answer;
    owner_.OnEnd(call, end);
  });
}

std::unique_ptr<LoadThread> FakeLoad(LoadShare share, FakeCaller::Record& record,
                                     FakeCaller::OnBegin on_begin, FakeCaller** caller) {
  auto thread = LoadThread::Create(std::move(share), [&](net::Loop& loop, Caller::Owner& owner) {
    auto made = std::make_unique<FakeCaller>(loop, owner, record, on_begin);
    if (caller) *caller = made.get();
    return made;
  });
  REQUIRE(thread.ok());
  return *std::move(thread);
}

LoadTally RunFakeLoad(LoadShare share, FakeCaller::Record& record, FakeCaller::OnBegin on_begin) {
  const auto thread = FakeLoad(std::move(share), record, std::move(on_begin));
  thread->Start();
  thread->Join();
  return thread->tally();
}

}  // namespace torchfleet::cli
