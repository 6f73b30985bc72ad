#include "registry/catalogue/rules/catalogue_view.h"

#include "registry/state/keys.h"

namespace torchfleet::registry {
namespace {

const std::string& NameIn(const v1::Model& model) { return model.name(); }
const std::string& NameIn(const v1::Route& route) { return route.model(); }

// Takes the item's word for what is called `name`; false when its value is
// nothing of that name.
template <typename Resource>
bool ApplyTo(std::map<std::string, Resource, std::less<>>& resources, std::string_view name,
             const Item& item) {
  if (const auto known = resources.find(name); known != resources.end()) resources.erase(known);
  if (!item.value) return true;
  Resource resource;
  if (!resource.ParseFromString(*item.value) || NameIn(resource) != name) return false;
  resource.set_revision(item.modified);
  resources.emplace(name, std::move(resource));
  return true;
}

}  // namespace

void CatalogueView::Replace(std::span<const Item> catalogue) {
  *this = CatalogueView();
  Apply(catalogue);
}

void CatalogueView::Apply(std::span<const Item> events) {
  for (const Item& item : events) ApplyOne(item);
}

void CatalogueView::ApplyOne(const Item& item) {
  bool readable = true;
  if (KeyIs(kModels, item.key)) {
    readable = ApplyTo(models_, NameOf(kModels, item.key), item);
  } else if (KeyIs(kRoutes, item.key)) {
    readable = ApplyTo(routes_, NameOf(kRoutes, item.key), item);
  } else if (KeyIs(kChanges, item.key)) {
    readable = ApplyChange(item);
  } else if (item.key == kRoutesGuard) {
    routes_guard_ = item.value ? item.modified : 0;
  }
  if (!readable) ++unreadable_;
}

bool CatalogueView::ApplyChange(const Item& item) {
  Forget(item.key);
  if (!item.value) return true;
  v1::Change change;
  if (!change.ParseFromString(*item.value)) return false;
  std::string model = change.has_model() ? change.model().name() : change.route().model();
  change_places_.emplace(item.key, item.created);
  change_bytes_ += item.value->size();
  changes_.emplace(Place(item.created, item.key),
                   KeptChange{.value = item.value, .model = std::move(model)});
  return true;
}

void CatalogueView::Forget(const std::string& change_key) {
  const auto place = change_places_.find(change_key);
  if (place == change_places_.end()) return;
  const auto change = changes_.find(Place(place->second, change_key));
  change_bytes_ -= change->second.value->size();
  changes_.erase(change);
  change_places_.erase(place);
}

const v1::Model* CatalogueView::FindModel(std::string_view name) const {
  const auto found = models_.find(name);
  return found == models_.end() ? nullptr : &found->second;
}

const v1::Route* CatalogueView::FindRoute(std::string_view model) const {
  const auto found = routes_.find(model);
  return found == routes_.end() ? nullptr : &found->second;
}

v1::Change CatalogueView::ChangeAt(const Place& place, const KeptChange& kept) {
  v1::Change change;
  change.ParseFromString(*kept.value);
  change.set_revision(place.first);
  // What was removed keeps the revision that it had.
  if (change.action() == v1::Change::ACTION_DELETED) return change;
  if (change.has_model()) change.mutable_model()->set_revision(place.first);
  if (change.has_route()) change.mutable_route()->set_revision(place.first);
  return change;
}

}  // namespace torchfleet::registry
