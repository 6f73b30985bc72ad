#include "registry/catalogue/rules/edits.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <string>

#include "base/status.h"
#include "registry/state/keys.h"
#include "tests/unit/registry/catalogue/messages.h"

namespace torchfleet::registry {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1800000000);
const Stamp kStamp = {.now = kNow, .id = "abcd"};

Item AnItem(const std::string& key, const std::string& value, uint64_t revision) {
  return {.key = key,
          .value = std::make_shared<const std::string>(value),
          .created = revision,
          .modified = revision};
}

// mnist at revision 5, its route to `prod` at 7.
CatalogueView AView() {
  CatalogueView view;
  const Item items[] = {AnItem("guards/routes", "mnist", 7),
                        AnItem("models/mnist", Mnist().SerializeAsString(), 5),
                        AnItem("routes/mnist", ToProd().SerializeAsString(), 7)};
  view.Replace(items);
  return view;
}

bool DemandsItem(const Edit& edit, const std::string& key, uint64_t modified) {
  return std::any_of(edit.transaction.conditions.begin(), edit.transaction.conditions.end(),
                     [&](const Condition& c) { return c.key == key && c.modified == modified; });
}

v1::UpdateModelRequest AnUpdate(const v1::Model& model, uint64_t revision = 0) {
  v1::UpdateModelRequest request;
  *request.mutable_model() = model;
  request.set_revision(revision);
  request.set_actor("ann");
  return request;
}

TEST_CASE("Edits: a change, its condition and its entry in the trail are one transaction",
          "[registry][catalogue]") {
  v1::CreateModelRequest request;
  *request.mutable_model() = AModel("name: 'new' revision: 99 updated_by: 'nobody'");
  request.set_actor("ann@host");
  const auto edit = EditOf(AView(), request, kStamp);
  REQUIRE(edit.ok());
  CHECK(DemandsItem(*edit, "models/new", 0));
  REQUIRE(edit->transaction.writes.size() == 2);
  CHECK(edit->transaction.space == Space::kCatalogue);
  CHECK(edit->transaction.writes[0].key == "models/new");
  v1::Model stored;
  REQUIRE(stored.ParseFromString(*edit->transaction.writes[0].value));
  CHECK(stored.revision() == 0);
  CHECK(stored.updated_by() == "ann@host");
  CHECK(stored.created_at().seconds() == 1800000000);
  CHECK(edit->transaction.writes[1].key.starts_with("changes/"));
  CHECK(edit->transaction.writes[1].key.ends_with("-abcd"));
  v1::Change change;
  REQUIRE(change.ParseFromString(*edit->transaction.writes[1].value));
  CHECK(change.action() == v1::Change::ACTION_CREATED);
  CHECK(change.actor() == "ann@host");
  CHECK(change.model().name() == "new");
}

TEST_CASE("Edits: a revision that is another is ABORTED and says which it is",
          "[registry][catalogue]") {
  CHECK(EditOf(AView(), AnUpdate(Mnist(), 5), kStamp).ok());
  const absl::Status status = EditOf(AView(), AnUpdate(Mnist(), 4), kStamp).status();
  CHECK(absl::IsAborted(status));
  CHECK(status.message().find("revision 5") != std::string::npos);
  CHECK(absl::IsNotFound(EditOf(AView(), AnUpdate(AModel("name: 'x'")), kStamp).status()));

  v1::SetRouteRequest set;
  *set.mutable_route() = ToProd();
  set.set_revision(6);
  CHECK(absl::IsAborted(EditOf(AView(), set, kStamp).status()));
  set.set_revision(7);
  CHECK(EditOf(AView(), set, kStamp).ok());
  set.set_create_only(true);
  CHECK(BadField(EditOf(AView(), set, kStamp).status()) == "revision");
  set.set_revision(0);
  CHECK(absl::IsAlreadyExists(EditOf(AView(), set, kStamp).status()));

  v1::DeleteRouteRequest remove;
  remove.set_model("mnist");
  remove.set_revision(1);
  CHECK(absl::IsAborted(EditOf(AView(), remove, kStamp).status()));
  remove.set_model("cnn");
  CHECK(absl::IsNotFound(EditOf(AView(), remove, kStamp).status()));
}

TEST_CASE("Edits: hold on to what was checked", "[registry][catalogue]") {
  SECTION("a route to the models that it names") {
    v1::SetRouteRequest set;
    *set.mutable_route() = ToProd();
    const auto edit = EditOf(AView(), set, kStamp);
    REQUIRE(edit.ok());
    CHECK(DemandsItem(*edit, "routes/mnist", 7));
    CHECK(DemandsItem(*edit, "models/mnist", 5));
    const auto& writes = edit->transaction.writes;
    CHECK(std::any_of(writes.begin(), writes.end(),
                      [](const Write& write) { return write.key == kRoutesGuard; }));
  }
  SECTION("a model that loses something to all routes, any other to none") {
    v1::Model fewer = Mnist();
    fewer.mutable_versions()->DeleteSubrange(0, 1);
    const auto edit = EditOf(AView(), AnUpdate(fewer), kStamp);
    REQUIRE(edit.ok());
    CHECK(DemandsItem(*edit, "models/mnist", 5));
    CHECK(DemandsItem(*edit, "guards/routes", 7));
    const auto same = EditOf(AView(), AnUpdate(Mnist()), kStamp);
    REQUIRE(same.ok());
    CHECK(same->transaction.conditions.size() == 1);
  }
}

TEST_CASE("Edits: what a route names does not go, unless by force", "[registry][catalogue]") {
  v1::Model without_prod = Mnist();
  without_prod.mutable_aliases()->clear();
  v1::UpdateModelRequest update = AnUpdate(without_prod);
  CHECK(absl::IsFailedPrecondition(EditOf(AView(), update, kStamp).status()));
  update.set_force(true);
  CHECK(EditOf(AView(), update, kStamp).ok());

  v1::DeleteModelRequest remove;
  remove.set_name("mnist");
  CHECK(absl::IsFailedPrecondition(EditOf(AView(), remove, kStamp).status()));
  remove.set_force(true);
  const auto edit = EditOf(AView(), remove, kStamp);
  REQUIRE(edit.ok());
  // As it was, and of what revision.
  CHECK(edit->change.model().revision() == 5);
  CHECK(edit->change.action() == v1::Change::ACTION_DELETED);

  v1::SetRouteRequest set;
  *set.mutable_route() = ARoute("model: 'mnist' rules { targets { version: '9' } }");
  CHECK(absl::IsFailedPrecondition(EditOf(AView(), set, kStamp).status()));
  set.set_force(true);
  const auto forced = EditOf(AView(), set, kStamp);
  REQUIRE(forced.ok());
  CHECK(forced->transaction.conditions.size() == 1);
}

TEST_CASE("Edits: the oldest entries leave a trail that is too long", "[registry][catalogue]") {
  std::vector<Item> items;
  v1::Change change;
  change.mutable_model()->set_name("m");
  for (size_t i = 1; i <= kMaxChanges + 2; ++i) {
    items.push_back(AnItem(Key(kChanges, std::to_string(i)), change.SerializeAsString(), i));
  }
  CatalogueView view;
  view.Replace(items);
  v1::CreateModelRequest request;
  request.mutable_model()->set_name("new");
  const auto edit = EditOf(view, request, kStamp);
  REQUIRE(edit.ok());
  REQUIRE(edit->transaction.writes.size() == 5);
  CHECK(edit->transaction.writes[2].key == "changes/1");
  CHECK(edit->transaction.writes[4].key == "changes/3");
  CHECK_FALSE(edit->transaction.writes[4].value);
}

TEST_CASE("Edits: an actor is bounded text", "[registry][catalogue]") {
  v1::CreateModelRequest request;
  request.mutable_model()->set_name("m");
  request.set_actor(std::string(257, 'a'));
  CHECK(BadField(EditOf(AView(), request, kStamp).status()) == "actor");
  request.set_actor("a\nb");
  CHECK(BadField(EditOf(AView(), request, kStamp).status()) == "actor");
}

TEST_CASE("CatalogueView: leaves out what is no model", "[registry][catalogue]") {
  CatalogueView view;
  const Item items[] = {AnItem("changes/1", "\xFF\xFF", 1), AnItem("models/a", "\xFF\xFF", 1),
                        AnItem("models/b", AModel("name: 'other'").SerializeAsString(), 2),
                        AnItem("models/mnist", Mnist().SerializeAsString(), 3),
                        AnItem("workers/w", "\xFF\xFF", 3)};
  view.Replace(items);
  CHECK(view.unreadable() == 3);
  CHECK(view.models().size() == 1);
  const Item gone[] = {{.key = "models/mnist", .modified = 4}};
  view.Apply(gone);
  CHECK(view.models().empty());
}

}  // namespace
}  // namespace torchfleet::registry
