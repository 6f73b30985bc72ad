// Announcer against registries that do what a test says.

#include "registry/client/announcer.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <future>
#include <string>
#include <vector>

#include "tests/unit/registry/registrations.h"
#include "tests/unit/registry/scripted_registry.h"

namespace torchfleet::registry {
namespace {

using Said = std::vector<v1::AnnounceRequest>;

Announcer::Callbacks NoLoad() {
  return {.load = [] { return v1::Load(); }, .on_drain = nullptr};
}

// Of a registration or a renewal.
std::string ReasonOf(const v1::AnnounceRequest& said) {
  return said.has_register_() ? said.register_().reason() : said.renew().reason();
}

TEST_CASE("Announcer: an operator's wish to drain arrives although nobody asked",
          "[registry][announcer]") {
  ScriptedRegistry registry([](const auto& request, auto& stream) {
    v1::AnnounceResponse wish;
    wish.mutable_drain()->set_actor("somebody@somewhere");
    // Before an answer and after it.
    return stream.Write(wish) && ScriptedRegistry::AnswerAll(request, stream) && stream.Write(wish);
  });
  std::promise<std::string> wanted;
  std::atomic<bool> first = true;
  Announcer worker(registry.address(), AWorker("w"),
                   {.load = [] { return v1::Load(); },
                    .on_drain =
                        [&](const std::string& actor) {
                          if (first.exchange(false)) wanted.set_value(actor);
                        }});
  worker.Start(v1::WORKER_STATE_READY);
  CHECK(wanted.get_future().get() == "somebody@somewhere");
  worker.SetCondition(
      {.state = v1::WORKER_STATE_DRAINING, .drain_phase = v1::DRAIN_PHASE_ANNOUNCED});
  CHECK(worker.AwaitTold(absl::Seconds(30)));
  worker.SetCondition(
      {.state = v1::WORKER_STATE_DRAINING, .drain_phase = v1::DRAIN_PHASE_FINISHING});
  CHECK(worker.AwaitTold(absl::Seconds(30)));
  worker.Stop();
  CHECK(registry.Await([](const Said& said) {
    std::vector<v1::DrainPhase> phases;
    for (const auto& request : said) {
      if (request.has_renew() && request.renew().state() == v1::WORKER_STATE_DRAINING) {
        phases.push_back(request.renew().drain_phase());
      }
    }
    return phases == std::vector{v1::DRAIN_PHASE_ANNOUNCED, v1::DRAIN_PHASE_FINISHING} &&
           said.back().has_leave();
  }));
}

TEST_CASE("Announcer: one that fails says why, and ends without leaving", "[registry][announcer]") {
  ScriptedRegistry registry;
  {
    Announcer worker(registry.address(), AWorker("w"), NoLoad());
    worker.Start(v1::WORKER_STATE_STARTING);
    worker.SetCondition({.state = v1::WORKER_STATE_FAILED, .reason = "the model is corrupt"});
    REQUIRE(worker.AwaitTold(absl::Seconds(30)));
    worker.Abandon();
  }
  CHECK(registry.AwaitEnded(1));
  CHECK(registry.Await([](const Said& said) {
    return std::none_of(said.begin(), said.end(), [](const auto& r) { return r.has_leave(); }) &&
           ReasonOf(said.back()) == "the model is corrupt";
  }));
}

TEST_CASE("Announcer: goes to the next registry when one ends", "[registry][announcer]") {
  ScriptedRegistry one([](const auto& request, auto& stream) {
    v1::AnnounceResponse response;
    response.mutable_registered()->set_ttl_ms(500);
    return request.has_register_() ? stream.Write(response)
                                   : ScriptedRegistry::AnswerAll(request, stream);
  });
  ScriptedRegistry other;
  // It begins with either.
  Announcer worker(one.address() + "," + other.address() + ",127.0.0.1:1", AWorker("w"), NoLoad());
  worker.Start(v1::WORKER_STATE_READY);
  REQUIRE(worker.AwaitTold(absl::Seconds(30)));
  one.End();
  CHECK(other.Await([](const Said& said) { return !said.empty(); }));
}

TEST_CASE("Announcer: goes to the next registry when one answers no more",
          "[registry][announcer][faults]") {
  // Takes registrations and then says nothing.
  ScriptedRegistry frozen([](const auto& request, auto& stream) {
    v1::AnnounceResponse response;
    response.mutable_registered()->set_ttl_ms(500);
    return !request.has_register_() || stream.Write(response);
  });
  ScriptedRegistry other;
  Announcer worker(frozen.address() + "," + other.address(), AWorker("w"), NoLoad());
  worker.Start(v1::WORKER_STATE_READY);
  CHECK(other.Await([](const Said& said) { return !said.empty(); }));
}

TEST_CASE("Announcer: a registry that refuses it is asked again, and refused once is not for ever",
          "[registry][announcer]") {
  std::atomic<int> refused = 0;
  ScriptedRegistry registry([&](const auto& request, auto& stream) {
    return refused++ > 2 && ScriptedRegistry::AnswerAll(request, stream);
  });
  Announcer worker(registry.address(), AWorker("w"), NoLoad());
  worker.Start(v1::WORKER_STATE_READY);
  CHECK(worker.AwaitTold(absl::Seconds(30)));
}

}  // namespace
}  // namespace torchfleet::registry
