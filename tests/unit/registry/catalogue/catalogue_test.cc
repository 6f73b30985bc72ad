#include "registry/catalogue/catalogue.h"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "registry/catalogue/rules/references.h"
#include "registry/store/memory_store.h"
#include "tests/unit/registry/catalogue/calls.h"
#include "tests/unit/registry/catalogue/messages.h"
#include "tests/unit/registry/catalogue/scripted_store.h"
#include "tests/unit/registry/store/store_kinds.h"

namespace torchfleet::registry {
namespace {

TEST_CASE("Catalogue: keeps models, routes and who changed them", "[registry][catalogue]") {
  const StoreKind kind = GENERATE(from_range(StoreKinds()));
  CAPTURE(kind.name);
  const auto opened = kind.open();
  const absl::Time date = absl::FromUnixSeconds(1800000000);
  Catalogue catalogue(opened->store(), [date] { return date; });

  const auto created = Create(catalogue, Mnist());
  REQUIRE(created.ok());
  CHECK(created->model().revision() > 0);
  CHECK(created->model().created_at().seconds() == 1800000000);
  CHECK(absl::IsAlreadyExists(Create(catalogue, Mnist()).status()));
  CHECK(Get(catalogue, "mnist")->model().SerializeAsString() ==
        Get(catalogue, "mnist", true)->model().SerializeAsString());
  CHECK(Get(catalogue, "mnist")->model().revision() == created->model().revision());
  CHECK(absl::IsNotFound(Get(catalogue, "cnn").status()));

  const auto updated = Update(catalogue, Mnist(), created->model().revision());
  REQUIRE(updated.ok());
  CHECK(updated->model().revision() > created->model().revision());
  CHECK(absl::IsAborted(Update(catalogue, Mnist(), created->model().revision()).status()));

  REQUIRE(Set(catalogue, ToProd()).ok());
  CHECK(absl::IsFailedPrecondition(Delete(catalogue, "mnist")));
  v1::DeleteRouteRequest route;
  route.set_model("mnist");
  REQUIRE(Ask<v1::DeleteRouteResponse>(catalogue, route).ok());
  CHECK(Delete(catalogue, "mnist").ok());
  CHECK(absl::IsNotFound(Delete(catalogue, "mnist")));

  const auto trail = Ask<v1::ListChangesResponse>(catalogue, v1::ListChangesRequest());
  REQUIRE(trail.ok());
  REQUIRE(trail->changes_size() == 5);
  CHECK(trail->changes(0).action() == v1::Change::ACTION_DELETED);
  CHECK(trail->changes(0).model().revision() == updated->model().revision());
  CHECK(trail->changes(4).revision() == created->model().revision());
  CHECK(trail->changes(4).actor() == "test");
}

TEST_CASE("Catalogue: what is durable is there after a restart, and goes on counting",
          "[registry][catalogue]") {
  const StoreKind kind = GENERATE(from_range(StoreKinds()));
  if (!kind.durable) return;
  CAPTURE(kind.name);
  const auto opened = kind.open();
  uint64_t revision = 0;
  {
    Catalogue catalogue(opened->store());
    revision = Create(catalogue, Mnist())->model().revision();
  }
  opened->Restart();
  Catalogue catalogue(opened->store());
  CHECK(Get(catalogue, "mnist")->model().revision() == revision);
  CHECK(Update(catalogue, Mnist(), revision)->model().revision() > revision);
}

TEST_CASE("Catalogue: of many writers nobody undoes another's change", "[registry][catalogue]") {
  const StoreKind kind = GENERATE(from_range(StoreKinds()));
  CAPTURE(kind.name);
  constexpr int kWriters = 8, kEach = 25;
  const auto opened = kind.open();
  // Two registries over one store.
  Catalogue one(opened->store()), other(opened->store());
  REQUIRE(Create(one, AModel("name: 'm' labels { key: 'count' value: '0' }")).ok());
  std::atomic<int> failures = 0;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      Catalogue& catalogue = writer % 2 == 0 ? one : other;
      for (int done = 0; done < kEach;) {
        const auto read = Get(catalogue, "m");
        if (!read.ok()) return void(++failures);
        v1::Model model = read->model();
        std::string& count = (*model.mutable_labels())["count"];
        count = std::to_string(std::stoi(count) + 1);
        const absl::Status status = Update(catalogue, model, model.revision()).status();
        if (status.ok()) ++done;
        if (!status.ok() && !absl::IsAborted(status)) return void(++failures);
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  CHECK(failures == 0);
  CHECK(Get(one, "m")->model().labels().at("count") == std::to_string(kWriters * kEach));
  v1::ListChangesRequest trail;
  trail.set_page_size(1000);
  CHECK(Ask<v1::ListChangesResponse>(other, trail)->changes_size() == kWriters * kEach + 1);
}

TEST_CASE("Catalogue: a route and the end of what it names do not pass each other",
          "[registry][catalogue]") {
  const StoreKind kind = GENERATE(from_range(StoreKinds()));
  CAPTURE(kind.name);
  const auto opened = kind.open();
  Catalogue one(opened->store()), other(opened->store());
  v1::Model without_prod = Mnist();
  without_prod.mutable_aliases()->clear();
  for (int round = 0; round < 50; ++round) {
    REQUIRE(Create(one, Mnist()).ok());
    absl::Status set, narrowed;
    std::thread setter([&] { set = Set(one, ToProd()).status(); });
    narrowed = Update(other, without_prod).status();
    setter.join();
    CAPTURE(set, narrowed);
    CHECK(set.ok() != narrowed.ok());
    CHECK(absl::IsFailedPrecondition(set.ok() ? narrowed : set));
    if (set.ok()) {
      v1::DeleteRouteRequest request;
      request.set_model("mnist");
      REQUIRE(Ask<v1::DeleteRouteResponse>(other, request).ok());
    }
    REQUIRE(Delete(other, "mnist").ok());
  }
}

// A catalogue over a script.
class Scripted {
 public:
  Scripted() { store.listener->OnItems({}, {}, {.incarnation = "i", .revision = 10}); }

  // Asks, and keeps the answer that comes.
  template <typename Response, typename Request>
  std::shared_ptr<std::optional<absl::StatusOr<Response>>> Begin(const Request& request) {
    const auto kept = std::make_shared<std::optional<absl::StatusOr<Response>>>();
    catalogue.Call(request, [kept](absl::StatusOr<Response> answer) { *kept = std::move(answer); });
    return kept;
  }
  auto BeginGet(bool allow_stale = false) {
    v1::GetModelRequest request;
    request.set_name("mnist");
    request.set_allow_stale(allow_stale);
    return Begin<v1::GetModelResponse>(request);
  }
  auto BeginUpdate() {
    v1::UpdateModelRequest request;
    *request.mutable_model() = Mnist();
    return Begin<v1::UpdateModelResponse>(request);
  }
  // News of mnist, at this revision of catalogue and position.
  void Hear(uint64_t revision) {
    const Item items[] = {
        {.key = "models/mnist",
         .value = std::make_shared<const std::string>(Mnist().SerializeAsString()),
         .created = revision,
         .modified = revision}};
    store.listener->OnEvents(Space::kCatalogue, items, revision);
  }

  ScriptedStore store;
  Catalogue catalogue = Catalogue(store);
};

TEST_CASE("Catalogue: a read waits for what was acknowledged elsewhere", "[registry][catalogue]") {
  Scripted scripted;
  const auto read = scripted.BeginGet();
  scripted.store.AnswerLatest(12);
  CHECK_FALSE(read->has_value());
  scripted.store.listener->OnEvents(Space::kLive, {}, 11);
  CHECK_FALSE(read->has_value());
  scripted.Hear(12);
  REQUIRE(read->has_value());
  CHECK((**read)->model().revision() == 12);
  // With allow_stale it asks nobody.
  CHECK(scripted.BeginGet(true)->value().ok());
  CHECK(scripted.store.latests.empty());
}

TEST_CASE("Catalogue: a refusal counts only when nothing was missed", "[registry][catalogue]") {
  Scripted scripted;
  const auto update = scripted.BeginUpdate();
  // Not there, as far as this registry knows.
  REQUIRE(scripted.store.latests.size() == 1);
  scripted.store.AnswerLatest(12);
  CHECK_FALSE(update->has_value());
  scripted.Hear(12);
  REQUIRE(scripted.store.commits.size() == 1);
  // Another was first: once more, from what is now.
  scripted.store.AnswerCommit(absl::AbortedError("models/mnist is at revision 13"));
  REQUIRE(scripted.store.latests.size() == 1);
  scripted.store.AnswerLatest(13);
  scripted.Hear(13);
  REQUIRE(scripted.store.commits.size() == 1);
  CHECK(scripted.store.commits[0].first.conditions[0].modified == 13);
  scripted.store.AnswerCommit(14);
  REQUIRE(update->has_value());
  CHECK((**update)->model().revision() == 14);
}

TEST_CASE("Catalogue: gives up when it never gets its turn", "[registry][catalogue]") {
  Scripted scripted;
  scripted.Hear(12);
  const auto update = scripted.BeginUpdate();
  for (int i = 1; i <= Catalogue::kMaxTries; ++i) {
    REQUIRE(scripted.store.commits.size() == 1);
    scripted.store.AnswerCommit(absl::AbortedError("changed"));
    if (i < Catalogue::kMaxTries) scripted.store.AnswerLatest(12);
  }
  REQUIRE(update->has_value());
  CHECK(absl::IsAborted(update->value().status()));
}

TEST_CASE("Catalogue: says what the store says", "[registry][catalogue]") {
  Scripted scripted;
  scripted.Hear(12);
  const auto full = scripted.BeginUpdate();
  scripted.store.AnswerCommit(absl::ResourceExhaustedError("the disk is full"));
  CHECK(full->value().status() == absl::ResourceExhaustedError("the disk is full"));
  // Reads go on.
  const auto read = scripted.BeginGet();
  scripted.store.AnswerLatest(12);
  CHECK(read->value().ok());

  const auto waits = scripted.BeginGet();
  scripted.store.AnswerLatest(13);
  scripted.store.listener->OnAvailable(false);
  CHECK(absl::IsUnavailable(waits->value().status()));
  const auto later = scripted.BeginGet();
  scripted.store.AnswerLatest(13);
  CHECK(absl::IsUnavailable(later->value().status()));
  const auto asked = scripted.BeginGet();
  scripted.store.AnswerLatest(absl::UnavailableError("away"));
  CHECK(absl::IsUnavailable(asked->value().status()));
  CHECK(scripted.BeginGet(true)->value().ok());
}

TEST_CASE("Catalogue: its end answers those who wait", "[registry][catalogue]") {
  ScriptedStore store;
  std::optional<absl::Status> read, late;
  {
    Catalogue catalogue(store);
    v1::GetModelRequest request;
    request.set_name("m");
    request.set_allow_stale(true);
    catalogue.Call(request, [&](auto answer) { read = answer.status(); });
    CHECK(absl::IsUnavailable(*read));  // nothing is known yet
    request.set_allow_stale(false);
    catalogue.Call(request, [&](auto answer) { read = answer.status(); });
    store.AnswerLatest(1);
    catalogue.Call(request, [&](auto answer) { late = answer.status(); });
  }
  CHECK(absl::IsCancelled(*read));
  // The store's answer may come after it.
  store.AnswerLatest(1);
  CHECK(absl::IsCancelled(*late));
}

}  // namespace
}  // namespace torchfleet::registry
