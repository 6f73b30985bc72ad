#include "registry/catalogue/rules/lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>

#include "absl/strings/numbers.h"
#include "base/status.h"
#include "registry/catalogue/rules/edits.h"
#include "registry/catalogue/rules/fields.h"
#include "registry/catalogue/rules/page.h"

namespace torchfleet::registry {
namespace {

// Adds to the page what `wanted` takes of `resources` from its beginning on, by
// `add`; the name that the page ends with where more follow, else nothing.
template <typename Resource, typename Wanted, typename Add>
std::string Fill(const std::map<std::string, Resource, std::less<>>& resources, const Page& page,
                 const std::string& prefix, const Wanted& wanted, const Add& add) {
  size_t count = 0, bytes = 0;
  std::string last;
  auto at = page.after < prefix ? resources.lower_bound(prefix) : resources.upper_bound(page.after);
  for (; at != resources.end() && at->first.starts_with(prefix); ++at) {
    if (!wanted(at->second)) continue;
    bytes += at->second.ByteSizeLong();
    if (count == page.size || (count > 0 && bytes > kMaxPageBytes)) return last;
    add(at->second);
    last = at->first;
    ++count;
  }
  return {};
}

bool HasLabels(const v1::Model& model, const Labels& labels) {
  return std::all_of(labels.begin(), labels.end(), [&](const auto& wanted) {
    const auto found = model.labels().find(wanted.first);
    return found != model.labels().end() && found->second == wanted.second;
  });
}

// A list's name for its page tokens.
std::string ListName(const v1::ListModelsRequest& request) {
  std::string name = fmt::format("models\n{}", request.name_prefix());
  const std::map<std::string, std::string> sorted(request.labels().begin(), request.labels().end());
  for (const auto& [key, value] : sorted) {
    name += fmt::format("\n{}:{}{}:{}", key.size(), key, value.size(), value);
  }
  return name;
}

std::string TextOf(const CatalogueView::Place& place) {
  return fmt::format("{} {}", place.first, place.second);
}

// Where TextOf's text says; false for another text.
bool PlaceOf(const std::string& text, CatalogueView::Place& place) {
  const size_t space = text.find(' ');
  if (space == text.npos || !absl::SimpleAtoi(text.substr(0, space), &place.first)) return false;
  place.second = text.substr(space + 1);
  return true;
}

}  // namespace

absl::StatusOr<v1::GetModelResponse> AnswerTo(const CatalogueView& view,
                                              const v1::GetModelRequest& request) {
  RETURN_IF_ERROR(CheckName("name", request.name()));
  const v1::Model* const model = view.FindModel(request.name());
  if (!model) return NoModel(request.name());
  v1::GetModelResponse response;
  *response.mutable_model() = *model;
  return response;
}

absl::StatusOr<v1::ListModelsResponse> AnswerTo(const CatalogueView& view,
                                                const v1::ListModelsRequest& request) {
  RETURN_IF_ERROR(CheckText("name_prefix", request.name_prefix()));
  RETURN_IF_ERROR(CheckLabels("labels", request.labels()));
  const std::string list = ListName(request);
  ASSIGN_OR_RETURN(const Page page, PageOf(request.page_size(), request.page_token(), list));
  v1::ListModelsResponse response;
  const std::string last = Fill(
      view.models(), page, request.name_prefix(),
      [&](const v1::Model& model) { return HasLabels(model, request.labels()); },
      [&](const v1::Model& model) { *response.add_models() = model; });
  if (!last.empty()) response.set_next_page_token(PageToken(list, last));
  return response;
}

absl::StatusOr<v1::GetRouteResponse> AnswerTo(const CatalogueView& view,
                                              const v1::GetRouteRequest& request) {
  RETURN_IF_ERROR(CheckName("model", request.model()));
  const v1::Route* const route = view.FindRoute(request.model());
  if (!route) return NoRoute(request.model());
  v1::GetRouteResponse response;
  *response.mutable_route() = *route;
  return response;
}

absl::StatusOr<v1::ListRoutesResponse> AnswerTo(const CatalogueView& view,
                                                const v1::ListRoutesRequest& request) {
  RETURN_IF_ERROR(CheckText("model_prefix", request.model_prefix()));
  const std::string list = fmt::format("routes\n{}", request.model_prefix());
  ASSIGN_OR_RETURN(const Page page, PageOf(request.page_size(), request.page_token(), list));
  v1::ListRoutesResponse response;
  const std::string last = Fill(
      view.routes(), page, request.model_prefix(), [](const v1::Route&) { return true; },
      [&](const v1::Route& route) { *response.add_routes() = route; });
  if (!last.empty()) response.set_next_page_token(PageToken(list, last));
  return response;
}

absl::StatusOr<v1::ListChangesResponse> AnswerTo(const CatalogueView& view,
                                                 const v1::ListChangesRequest& request) {
  RETURN_IF_ERROR(CheckText("model", request.model()));
  const std::string list = fmt::format("changes\n{}", request.model());
  ASSIGN_OR_RETURN(const Page page, PageOf(request.page_size(), request.page_token(), list));
  auto at = view.changes().end();
  if (!page.after.empty()) {
    CatalogueView::Place last;
    if (!PlaceOf(page.after, last)) {
      return FieldError("page_token", "names no change; expected next_page_token of an answer");
    }
    at = view.changes().lower_bound(last);
  }
  v1::ListChangesResponse response;
  size_t bytes = 0;
  CatalogueView::Place last;
  while (at != view.changes().begin()) {
    const auto& [place, kept] = *--at;
    if (!request.model().empty() && kept.model != request.model()) continue;
    const size_t count = static_cast<size_t>(response.changes_size());
    bytes += kept.value->size();
    if (count == page.size || (count > 0 && bytes > kMaxPageBytes)) {
      response.set_next_page_token(PageToken(list, TextOf(last)));
      break;
    }
    *response.add_changes() = CatalogueView::ChangeAt(place, kept);
    last = place;
  }
  return response;
}

}  // namespace torchfleet::registry
