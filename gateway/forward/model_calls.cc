#include "gateway/forward/model_calls.h"

#include <algorithm>

namespace torchfleet::gateway {
namespace {

// A model of this very name shares the entry.
constexpr char kOther[] = "other";

// There is one writer, so nothing can come between.
void Raise(std::atomic<uint64_t>& counter, uint64_t by) {
  counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

}  // namespace

template <size_t kBounds>
void BucketCounts<kBounds>::Add(const std::array<double, kBounds>& bounds, double value,
                                uint64_t sum) {
  const auto bucket = std::lower_bound(bounds.begin(), bounds.end(), value) - bounds.begin();
  Raise(buckets_[static_cast<size_t>(bucket)], 1);
  Raise(sum_, sum);
}

void ModelCalls::Counts::Begin() { Raise(begun_, 1); }

void ModelCalls::Counts::End(const CallOutcome& outcome) {
  Raise(ended_[std::min(static_cast<size_t>(outcome.code), kCodes - 1)], 1);
  durations_.Add(kDurations, absl::ToDoubleSeconds(outcome.duration),
                 static_cast<uint64_t>(absl::ToInt64Nanoseconds(outcome.duration)));
  requests_.Add(kSizes, static_cast<double>(outcome.bytes_in), outcome.bytes_in);
  answers_.Add(kSizes, static_cast<double>(outcome.bytes_out), outcome.bytes_out);
}

void ModelCalls::Counts::Waited(absl::Duration duration) {
  waits_.Add(kDurations, absl::ToDoubleSeconds(duration),
             static_cast<uint64_t>(absl::ToInt64Nanoseconds(duration)));
}

uint64_t ModelCalls::ended(size_t code) const {
  uint64_t sum = 0;
  for (const Counts& counts : counts_) sum += counts.ended(code);
  return sum;
}

int64_t ModelCalls::in_flight() const {
  int64_t sum = 0;
  for (const Counts& counts : counts_) {
    // Ends first: what begins meanwhile counts too much rather than too little.
    uint64_t ended = 0;
    for (size_t code = 0; code < kCodes; ++code) ended += counts.ended(code);
    sum += static_cast<int64_t>(counts.begun() - ended);
  }
  return sum;
}

ModelCallsTable::ModelCallsTable(Instant now, size_t loops)
    : loops_(loops), other_(std::make_shared<ModelCalls>(now, loops)) {
  table_.Set(Table{{kOther, other_}});
}

void ModelCallsTable::Add(const std::set<std::string>& models, Instant now) {
  const auto table = table_.Get();
  Table next = *table;
  for (const std::string& model : models) {
    auto& entry = next[model];
    if (!entry) entry = std::make_shared<ModelCalls>(now, loops_);
  }
  if (next.size() != table->size()) table_.Set(std::move(next));
}

std::shared_ptr<ModelCalls> ModelCallsTable::Find(std::string_view model) const {
  const auto table = table_.Get();
  const auto found = table->find(model);
  return found == table->end() ? other_ : found->second;
}

}  // namespace torchfleet::gateway
