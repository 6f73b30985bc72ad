#include "gateway/forward/model_calls.h"

#include <algorithm>

namespace torchfleet::gateway {
namespace {

// A model of this very name shares the entry.
constexpr char kOther[] = "other";

}  // namespace

void ModelCalls::End(absl::StatusCode code, absl::Duration duration) {
  const auto index = std::min(static_cast<size_t>(code), kCodes - 1);
  calls_[index].fetch_add(1, std::memory_order_relaxed);
  const double seconds = absl::ToDoubleSeconds(duration);
  const auto bucket = std::lower_bound(kBounds.begin(), kBounds.end(), seconds) - kBounds.begin();
  buckets_[static_cast<size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  nanoseconds_.fetch_add(absl::ToInt64Nanoseconds(duration), std::memory_order_relaxed);
  in_flight_.fetch_sub(1, std::memory_order_relaxed);
}

ModelCallsTable::ModelCallsTable(Instant now) : other_(std::make_shared<ModelCalls>(now)) {
  table_.Set(Table{{kOther, other_}});
}

void ModelCallsTable::Add(const std::set<std::string>& models, Instant now) {
  const auto table = table_.Get();
  Table next = *table;
  for (const std::string& model : models) {
    auto& entry = next[model];
    if (!entry) entry = std::make_shared<ModelCalls>(now);
  }
  if (next.size() != table->size()) table_.Set(std::move(next));
}

std::shared_ptr<ModelCalls> ModelCallsTable::Find(std::string_view model) const {
  const auto table = table_.Get();
  const auto found = table->find(model);
  return found == table->end() ? other_ : found->second;
}

}  // namespace torchfleet::gateway
