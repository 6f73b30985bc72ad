#include "registry/catalogue/rules/lists.h"

#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "registry/catalogue/rules/page.h"
#include "tests/unit/registry/catalogue/messages.h"

namespace torchfleet::registry {
namespace {

Item AModelItem(const std::string& name, uint64_t revision, const std::string& more = "") {
  const v1::Model model = AModel("name: '" + name + "' " + more);
  return {.key = "models/" + name,
          .value = std::make_shared<const std::string>(model.SerializeAsString()),
          .created = revision,
          .modified = revision};
}

Item AChangeItem(const std::string& id, const std::string& model, uint64_t created) {
  v1::Change change;
  change.set_action(v1::Change::ACTION_UPDATED);
  change.mutable_model()->set_name(model);
  return {.key = "changes/" + id,
          .value = std::make_shared<const std::string>(change.SerializeAsString()),
          .created = created,
          .modified = created};
}

// All pages, `between` after each.
template <typename Request, typename Between>
std::vector<std::string> Pages(CatalogueView& view, Request request, const Between& between) {
  std::vector<std::string> names;
  for (int pages = 0; pages < 100; ++pages) {
    const auto answer = AnswerTo(view, request);
    REQUIRE(answer.ok());
    CHECK(answer->models_size() <= 2);
    for (const auto& model : answer->models()) names.push_back(model.name());
    request.set_page_token(answer->next_page_token());
    if (request.page_token().empty()) break;
    between();
  }
  return names;
}

TEST_CASE("Lists: pages go on where they were, whatever comes and goes", "[registry][catalogue]") {
  CatalogueView view;
  for (const char* name : {"b", "d", "f", "h", "j"}) {
    const Item items[] = {AModelItem(name, 1)};
    view.Apply(items);
  }
  v1::ListModelsRequest request;
  request.set_page_size(2);
  int change = 0;
  const auto names = Pages(view, request, [&] {
    // What is behind shifts nothing; the last of a page may be gone.
    const Item items[] = {AModelItem("a", 2), {.key = "models/d", .modified = 3}};
    if (++change == 1) view.Apply(items);
  });
  CHECK(names == std::vector<std::string>{"b", "d", "f", "h", "j"});
}

TEST_CASE("Lists: by prefix and labels", "[registry][catalogue]") {
  CatalogueView view;
  const Item items[] = {AModelItem("cat", 1, "labels { key: 'team' value: 'x' }"),
                        AModelItem("catalogue", 1, "labels { key: 'team' value: 'y' }"),
                        AModelItem("dog", 1, "labels { key: 'team' value: 'x' }")};
  view.Replace(items);
  v1::ListModelsRequest request;
  request.set_page_size(2);
  request.set_name_prefix("cat");
  CHECK(Pages(view, request, [] {}) == std::vector<std::string>{"cat", "catalogue"});
  request.clear_name_prefix();
  (*request.mutable_labels())["team"] = "x";
  CHECK(Pages(view, request, [] {}) == std::vector<std::string>{"cat", "dog"});
  request.set_name_prefix("cat");
  CHECK(Pages(view, request, [] {}) == std::vector<std::string>{"cat"});
}

TEST_CASE("Lists: a token is of one request", "[registry][catalogue]") {
  CatalogueView view;
  const Item items[] = {AModelItem("a", 1), AModelItem("b", 1), AChangeItem("1", "a", 1),
                        AChangeItem("2", "a", 2)};
  view.Replace(items);
  v1::ListModelsRequest request;
  request.set_page_size(1);
  const std::string token = AnswerTo(view, request)->next_page_token();
  REQUIRE_FALSE(token.empty());

  v1::ListModelsRequest other = request;
  other.set_page_token(token);
  CHECK(AnswerTo(view, other).ok());
  other.set_name_prefix("b");
  CHECK(BadField(AnswerTo(view, other).status()) == "page_token");
  v1::ListRoutesRequest routes;
  routes.set_page_token(token);
  CHECK(BadField(AnswerTo(view, routes).status()) == "page_token");
  for (const char* wrong : {"x", "!!", "AAAA"}) {
    request.set_page_token(wrong);
    CHECK(BadField(AnswerTo(view, request).status()) == "page_token");
  }
  v1::ListChangesRequest changes;
  changes.set_page_token(PageToken("changes\n", "no place"));
  CHECK(BadField(AnswerTo(view, changes).status()) == "page_token");
}

TEST_CASE("Lists: a page ends by its bytes too, and has one at least", "[registry][catalogue]") {
  CatalogueView view;
  const std::string digest(64, 'a');
  std::string files;
  for (int i = 0; i < 2000; ++i) {
    if (i % 500 == 0) files += "versions { version: '" + std::to_string(i / 500 + 1) + "' ";
    files += "files { path: 'f" + std::to_string(i) + "' sha256: '" + digest + "' } ";
    if (i % 500 == 499) files += "} ";
  }
  std::vector<Item> items;
  for (int i = 0; i < 10; ++i) items.push_back(AModelItem("m" + std::to_string(i), 1, files));
  view.Replace(items);
  const auto answer = AnswerTo(view, v1::ListModelsRequest());
  REQUIRE(answer.ok());
  CHECK(answer->models_size() > 1);
  CHECK(answer->ByteSizeLong() < 2 * kMaxPageBytes);
  CHECK_FALSE(answer->next_page_token().empty());
}

TEST_CASE("Lists: changes come the latest first, of one model or of all", "[registry][catalogue]") {
  CatalogueView view;
  // Two of one revision: copied into this store together.
  const Item items[] = {AChangeItem("1", "a", 5), AChangeItem("2", "b", 5),
                        AChangeItem("3", "a", 8), AChangeItem("4", "a", 9)};
  view.Replace(items);
  v1::ListChangesRequest request;
  request.set_page_size(1);
  std::vector<std::string> seen;
  for (int pages = 0; pages < 100; ++pages) {
    const auto answer = AnswerTo(view, request);
    REQUIRE(answer.ok());
    REQUIRE(answer->changes_size() == 1);
    const v1::Change& change = answer->changes(0);
    CHECK(change.model().revision() == change.revision());
    seen.push_back(change.model().name() + std::to_string(change.revision()));
    request.set_page_token(answer->next_page_token());
    if (request.page_token().empty()) break;
    const Item gone[] = {{.key = "changes/4", .modified = 10}};
    view.Apply(gone);
  }
  CHECK(seen == std::vector<std::string>{"a9", "a8", "b5", "a5"});
  v1::ListChangesRequest of_b;
  of_b.set_model("b");
  CHECK(AnswerTo(view, of_b)->changes_size() == 1);
}

}  // namespace
}  // namespace torchfleet::registry
