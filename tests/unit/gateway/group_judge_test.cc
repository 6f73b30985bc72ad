#include "gateway/balance/group_judge.h"

#include <catch2/catch_test_macros.hpp>
#include <memory>

namespace torchfleet::gateway {
namespace {

// Endpoints that are judged ten times a second.
struct Group {
  explicit Group(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      endpoints.push_back(std::make_unique<EndpointHealth>(1, Instant()));
      all.push_back(endpoints.back().get());
    }
  }
  GroupJudge::Outcome Judge() { return GroupJudge::Judge(now = now + kJudgeEvery, all); }
  // Judges until something is to be probed; nothing within a while.
  std::optional<size_t> UntilProbe() {
    for (int i = 0; i < 1000; ++i) {
      if (const auto outcome = Judge(); !outcome.to_probe.empty()) return outcome.to_probe[0];
    }
    return std::nullopt;
  }
  void Mute(size_t i) {
    for (int k = 0; k < kSilentInARow; ++k) all[i]->Silent(now, absl::Milliseconds(50));
  }

  std::vector<std::unique_ptr<EndpointHealth>> endpoints;
  std::vector<EndpointHealth*> all;
  Instant now = Instant::FromStart(absl::Seconds(1000));
};

TEST_CASE("GroupJudge: ejects who is silent, has it probed, and lets it back as a newcomer",
          "[gateway][outlier]") {
  Group group(3);
  CHECK(group.Judge().ejections.empty());
  group.Mute(1);
  const auto outcome = group.Judge();
  REQUIRE(outcome.ejections.size() == 1);
  CHECK(outcome.ejections[0].endpoint == 1);
  CHECK(outcome.ejections[0].why == OutlierVerdict::kSilent);
  CHECK(outcome.ejections[0].lasts == absl::Seconds(1));
  const Instant ejected = group.now;
  CHECK(group.all[1]->Candidate(group.now).standing == Standing::kAside);
  CHECK(group.UntilProbe() == 1);
  CHECK(group.now - ejected == absl::Seconds(1));
  // One that does not answer is asked again a second later.
  GroupJudge::Probed(group.now, *group.all[1], false);
  CHECK(group.UntilProbe() == 1);
  CHECK(group.now - ejected == absl::Seconds(2));
  GroupJudge::Probed(group.now, *group.all[1], true);
  const BalanceCandidate back = group.all[1]->Candidate(group.now);
  CHECK(back.standing == Standing::kGood);
  CHECK(back.latency == 0);
  CHECK(back.weight < 0.2);
}

TEST_CASE("GroupJudge: each ejection takes twice as long, until there was peace",
          "[gateway][outlier]") {
  Group group(4);
  absl::Duration expected = absl::Seconds(1);
  for (int i = 0; i < 9; ++i) {
    group.Mute(2);
    const auto outcome = group.Judge();
    REQUIRE(outcome.ejections.size() == 1);
    CHECK(outcome.ejections[0].lasts == expected);
    expected = std::min(expected * 2, absl::Minutes(1));
    REQUIRE(group.UntilProbe() == 2);
    GroupJudge::Probed(group.now, *group.all[2], true);
  }
  for (int i = 0; i < 700; ++i) CHECK(group.Judge().ejections.empty());
  group.Mute(2);
  CHECK(group.Judge().ejections[0].lasts == absl::Seconds(1));
}

TEST_CASE("GroupJudge: finds the slow one within a second", "[gateway][outlier]") {
  Group group(8);
  std::optional<GroupJudge::Ejection> found;
  for (int tick = 0; tick < 10 && !found; ++tick) {
    for (size_t i = 0; i < 8; ++i) {
      for (int call = 0; call < 3; ++call) {
        group.all[i]->Answered(0, group.now, absl::Milliseconds(i == 3 ? 50 : 10));
      }
    }
    const auto outcome = group.Judge();
    if (!outcome.ejections.empty()) found = outcome.ejections[0];
  }
  REQUIRE(found);
  CHECK(found->endpoint == 3);
  CHECK(found->why == OutlierVerdict::kSlow);
  CHECK(group.all[3]->Candidate(group.now).standing == Standing::kSlow);
}

TEST_CASE("GroupJudge: a straggler now and then ejects nobody", "[gateway][outlier]") {
  Group group(8);
  for (int tick = 0; tick < 600; ++tick) {
    for (size_t i = 0; i < 8; ++i) {
      const bool straggles = (tick * 8 + static_cast<int>(i)) % 50 == 0;
      group.all[i]->Answered(0, group.now, absl::Milliseconds(straggles ? 200 : 10));
    }
    CHECK(group.Judge().ejections.empty());
  }
}

TEST_CASE("GroupJudge: when peers leave, who is ejected comes back rather than nobody",
          "[gateway][outlier]") {
  Group group(4);
  group.Mute(0);
  group.Mute(1);
  CHECK(group.Judge().ejections.size() == 2);
  group.all.resize(2);
  group.Judge();
  int serving = 0;
  for (EndpointHealth* endpoint : group.all) {
    serving += endpoint->judgement().state == EjectionState::kServing ? 1 : 0;
  }
  CHECK(serving == 1);
}

TEST_CASE("GroupJudge: another process in its place is not what the old one was",
          "[gateway][outlier]") {
  Group group(3);
  group.Mute(1);
  REQUIRE(group.Judge().ejections.size() == 1);
  group.all[1]->Renewed(group.now);
  group.Judge();
  CHECK(group.all[1]->judgement().state == EjectionState::kServing);
  CHECK(group.all[1]->Candidate(group.now).standing == Standing::kGood);
}

}  // namespace
}  // namespace torchfleet::gateway
