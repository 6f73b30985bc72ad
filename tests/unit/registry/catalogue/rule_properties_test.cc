// Random requests against rules and edits: whatever is asked in whatever order,
// what is stored is right.

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/status.h"
#include "registry/catalogue/rules/edits.h"
#include "registry/catalogue/rules/model_rules.h"
#include "registry/catalogue/rules/references.h"
#include "registry/catalogue/rules/route_rules.h"
#include "tests/unit/registry/catalogue/messages.h"

namespace torchfleet::registry {
namespace {

// Keys and revisions alone, as any store has them.
class PlainStore {
 public:
  explicit PlainStore(CatalogueView& view) : view_(view) {}

  bool Commit(const Edit& edit) {
    for (const Condition& condition : edit.transaction.conditions) {
      if (modified_[condition.key] != condition.modified) return false;
    }
    ++revision_;
    for (const Write& write : edit.transaction.writes) {
      modified_[write.key] = write.value ? revision_ : 0;
      const Item event[] = {
          {.key = write.key, .value = write.value, .created = revision_, .modified = revision_}};
      view_.Apply(event);
    }
    return true;
  }
  uint64_t revision() const { return revision_; }

 private:
  CatalogueView& view_;
  std::map<std::string, uint64_t> modified_;
  uint64_t revision_ = 0;
};

class Requests {
 public:
  explicit Requests(uint32_t seed) : random_(seed) {}

  int Below(int bound) { return std::uniform_int_distribution<int>(0, bound - 1)(random_); }

  // What one of them asks, checked against the view as it is.
  absl::StatusOr<Edit> Next(const CatalogueView& view) {
    const Stamp stamp{.now = absl::FromUnixSeconds(1), .id = std::to_string(++id_)};
    switch (Below(5)) {
      case 0: {
        v1::CreateModelRequest request;
        *request.mutable_model() = Model();
        return EditOf(view, request, stamp);
      }
      case 1: {
        v1::UpdateModelRequest request;
        *request.mutable_model() = Model();
        return EditOf(view, request, stamp);
      }
      case 2: {
        v1::DeleteModelRequest request;
        request.set_name(Name());
        return EditOf(view, request, stamp);
      }
      case 3: {
        v1::DeleteRouteRequest request;
        request.set_model(Name());
        return EditOf(view, request, stamp);
      }
      default: {
        v1::SetRouteRequest request;
        *request.mutable_route() = Route();
        return EditOf(view, request, stamp);
      }
    }
  }

 private:
  std::string Name() {
    static const std::vector<std::string> names = {"a", "b", "c", "../x"};
    return names[static_cast<size_t>(Below(20) == 0 ? 3 : Below(3))];
  }

  v1::Model Model() {
    v1::Model model;
    model.set_name(Name());
    for (int v = 1; v <= 3; ++v) {
      if (Below(3) == 0) continue;
      model.add_versions()->set_version(std::to_string(v));
      if (Below(2) == 0) (*model.mutable_aliases())["prod"] = std::to_string(v);
    }
    // Now and then wrong.
    if (Below(10) == 0) (*model.mutable_aliases())["canary"] = std::to_string(7);
    return model;
  }

  void Fill(v1::RouteTarget& target) {
    if (Below(2) == 0) target.set_model(Name());
    if (const int kind = Below(3); kind == 0) {
      target.set_version(std::to_string(Below(4)));
    } else if (kind == 1) {
      target.set_alias("prod");
    }
    target.set_weight(static_cast<uint32_t>(Below(3)));
  }

  v1::Route Route() {
    v1::Route route;
    route.set_model(Name());
    for (int r = Below(3); r > 0; --r) {
      v1::RouteRule& rule = *route.add_rules();
      if (Below(2) == 0) {
        rule.add_matches()->set_header("x-user");
        rule.mutable_matches(0)->set_exact("ann");
      }
      for (int t = Below(3); t >= 0; --t) Fill(*rule.add_targets());
      if (Below(4) == 0) {
        Fill(*rule.mutable_shadow()->mutable_target());
        rule.mutable_shadow()->set_percent(static_cast<uint32_t>(Below(102)));
      }
      if (Below(4) == 0) {
        Fill(*rule.mutable_canary()->mutable_target());
        for (int s = Below(3); s >= 0; --s) {
          rule.mutable_canary()->add_steps(static_cast<uint32_t>(Below(102)));
        }
      }
    }
    return route;
  }

  std::mt19937 random_;
  int id_ = 0;
};

void CheckAllIsRight(const CatalogueView& view) {
  for (const auto& [name, model] : view.models()) CHECK(CheckModel(model).ok());
  for (const auto& [name, route] : view.routes()) {
    CHECK(CheckRoute(route).ok());
    CHECK(CheckReferences(route, [&](std::string_view of) { return view.FindModel(of); }).ok());
  }
}

TEST_CASE("Edits: of changes checked at once none slips in that makes a route dangle",
          "[registry][catalogue]") {
  const uint32_t seed = GENERATE(range(0u, 20u));
  CAPTURE(seed);
  Requests requests(seed);
  CatalogueView view;
  PlainStore store(view);
  size_t committed = 0, refused_by_store = 0;
  for (int round = 0; round < 400; ++round) {
    // Checked against the same state, committed one after another.
    std::vector<Edit> edits;
    for (int i = requests.Below(4); i >= 0; --i) {
      auto edit = requests.Next(view);
      if (edit.ok()) {
        edits.push_back(*std::move(edit));
      } else {
        CHECK((!absl::IsInvalidArgument(edit.status()) || BadField(edit.status())));
      }
    }
    for (const Edit& edit : edits) store.Commit(edit) ? ++committed : ++refused_by_store;
    CheckAllIsRight(view);
  }
  // It has tried both.
  CHECK(committed > 50);
  CHECK(refused_by_store > 5);
  CHECK(view.changes().size() == committed);
  CHECK(view.changes().rbegin()->first.first == store.revision());
}

}  // namespace
}  // namespace torchfleet::registry
