#include "net/loop/loop.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace torchfleet::net {
namespace {

std::unique_ptr<Loop> ALoop() {
  auto loop = Loop::Create();
  REQUIRE(loop.ok());
  return *std::move(loop);
}

TEST_CASE("Loop: timers come in the order of their times, whatever the order they began in",
          "[net][loop]") {
  const auto loop = ALoop();
  std::minstd_rand random(1);
  std::vector<int> came;
  std::vector<std::unique_ptr<Timer>> timers;
  std::vector<int> delays;
  for (int i = 0; i < 200; ++i) delays.push_back(static_cast<int>(random() % 20));
  for (const int delay : delays) {
    timers.push_back(std::make_unique<Timer>(*loop, [&came, delay] { came.push_back(delay); }));
    timers.back()->Start(absl::Milliseconds(delay));
  }
  // Some are stopped, some start again.
  for (size_t i = 0; i < timers.size(); i += 3) timers[i]->Stop();
  for (size_t i = 0; i < timers.size(); i += 6) timers[i]->Start(absl::Milliseconds(delays[i]));
  Timer end(*loop, [&] { loop->Stop(); });
  end.Start(absl::Milliseconds(25));
  loop->Run();
  size_t expected = 0;
  for (size_t i = 0; i < timers.size(); ++i) expected += i % 3 != 0 || i % 6 == 0;
  CHECK(came.size() == expected);
  CHECK(std::is_sorted(came.begin(), came.end()));
}

TEST_CASE("Loop: a timer may start itself and stop others", "[net][loop]") {
  const auto loop = ALoop();
  int count = 0;
  std::unique_ptr<Timer> other, self;
  other = std::make_unique<Timer>(*loop, [&] { FAIL("was stopped"); });
  self = std::make_unique<Timer>(*loop, [&] {
    other->Stop();
    if (++count == 5) return loop->Stop();
    self->Start(absl::Milliseconds(1));
  });
  other->Start(absl::Milliseconds(2));
  self->Start(absl::ZeroDuration());
  loop->Run();
  CHECK(count == 5);
}

TEST_CASE("Loop: work from other threads runs on the loop's, each once and in order",
          "[net][loop]") {
  const auto loop = ALoop();
  std::vector<int> ran[4];
  int left = 4 * 1000;
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 1000; ++i) {
        loop->Post([&, t, i] {
          ran[t].push_back(i);
          if (--left == 0) loop->Stop();
        });
      }
    });
  }
  loop->Run();
  for (const auto& numbers : ran) {
    REQUIRE(numbers.size() == 1000);
    CHECK(std::is_sorted(numbers.begin(), numbers.end()));
  }
}

struct Counter : TurnEnd {
  void OnTurnEnd() override { ++turns; }
  int turns = 0;
};

TEST_CASE("Loop: the end of a turn comes once a turn, and not to who has gone", "[net][loop]") {
  const auto loop = ALoop();
  Counter counter;
  auto gone = std::make_unique<Counter>();
  loop->Post([&] {
    for (int i = 0; i < 10; ++i) loop->AtTurnEnd(&counter);
    loop->AtTurnEnd(gone.get());
    loop->ForgetTurnEnd(gone.get());
    gone.reset();
    loop->Post([&] {
      loop->AtTurnEnd(&counter);
      loop->Stop();
    });
  });
  loop->Run();
  CHECK(counter.turns == 2);
}

struct Grave : Mortal {
  explicit Grave(std::vector<std::string>& log) : log(log) {}
  ~Grave() override { log.push_back("deleted"); }
  std::vector<std::string>& log;
};

TEST_CASE("Loop: what is to be deleted lives until the turn's end", "[net][loop]") {
  const auto loop = ALoop();
  std::vector<std::string> log;
  loop->Post([&] {
    loop->DeleteLater(std::make_unique<Grave>(log));
    log.push_back("turn");
    loop->Stop();
  });
  loop->Run();
  CHECK(log == std::vector<std::string>{"turn", "deleted"});
}

TEST_CASE("Loop: work that is posted ends its rest between turns", "[net][loop]") {
  const auto loop = ALoop();
  loop->SetRest(absl::Hours(1));
  std::vector<std::string> log;
  std::thread other;
  loop->Post([&] {
    log.push_back("first");
    other = std::thread([&] {
      loop->Post([&] {
        log.push_back("second");
        loop->Stop();
      });
    });
  });
  loop->Run();
  other.join();
  CHECK(log == std::vector<std::string>{"first", "second"});
}

struct Reader : Watcher {
  void OnEvents(uint32_t events) override {
    seen |= events;
    if (act) act();
  }
  uint32_t seen = 0;
  std::function<void()> act;
};

TEST_CASE("Loop: one watcher may take another's turn away", "[net][loop]") {
  const auto loop = ALoop();
  int a[2], b[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, a) == 0);
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, b) == 0);
  Reader first, second;
  loop->Watch(a[0], EPOLLIN, &first);
  loop->Watch(b[0], EPOLLIN, &second);
  // Whoever is told first unwatches the other, which was ready in the same turn.
  first.act = [&] {
    loop->Unwatch(b[0], &second);
    loop->Unwatch(a[0], &first);
    loop->Stop();
  };
  second.act = first.act;
  REQUIRE(write(a[1], "x", 1) == 1);
  REQUIRE(write(b[1], "x", 1) == 1);
  loop->Run();
  CHECK((first.seen == 0) != (second.seen == 0));
  for (const int fd : {a[0], a[1], b[0], b[1]}) close(fd);
}

}  // namespace
}  // namespace torchfleet::net
