#include "registry/watch/encodings.h"

#include <string>

namespace torchfleet::registry {

void Encodings::KeepUpTo(const FleetState& state) {
  if (life_ == state.life() && revision_ == state.position().revision) return;
  life_ = state.life();
  revision_ = state.position().revision;
  news_.clear();
  snapshots_.clear();
}

std::optional<WatchMessage> Encodings::News(const FleetState& state, uint64_t from,
                                            const WatchFilter& filter) {
  KeepUpTo(state);
  const auto [found, is_new] = news_.try_emplace({from, filter});
  if (is_new) {
    if (std::optional<std::string> bytes = state.News(from, filter)) {
      found->second = {WatchMessage::Kind::kDelta, Encoded(*std::move(bytes))};
    }
  }
  return found->second;
}

WatchMessage Encodings::Snapshot(const FleetState& state, const WatchFilter& filter) {
  KeepUpTo(state);
  const auto [found, is_new] = snapshots_.try_emplace(filter);
  if (is_new) {
    found->second = {WatchMessage::Kind::kSnapshot, Encoded(state.Snapshot(filter))};
  }
  return found->second;
}

grpc::Slice Encodings::Encoded(std::string bytes) {
  ++encoded_;
  auto* kept = new std::string(std::move(bytes));
  return grpc::Slice(
      kept->data(), kept->size(), [](void* string) { delete static_cast<std::string*>(string); },
      kept);
}

}  // namespace torchfleet::registry
