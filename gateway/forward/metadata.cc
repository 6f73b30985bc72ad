#include "gateway/forward/metadata.h"

#include <grpc/grpc.h>

#include <string>
#include <string_view>

#include "gateway/forward/header_rules.h"
#include "gateway/forward/pushback.h"

namespace torchfleet::gateway {
namespace {

// As on the path of inference, and only what gRPC itself takes.
bool Travels(std::string_view key, std::string_view value) {
  if (!gateway::Travels(key)) return false;
  const auto slice = [](std::string_view text) {
    return grpc_slice_from_static_buffer(text.data(), text.size());
  };
  if (!grpc_header_key_is_legal(slice(key))) return false;
  return grpc_is_binary_header(slice(key)) || grpc_header_nonbin_value_is_legal(slice(value));
}

template <typename Add>
void CopyMetadata(const ReceivedMetadata& from, const Add& add) {
  for (const auto& [key, value] : from) {
    if (Travels({key.data(), key.size()}, {value.data(), value.size()})) {
      add(std::string(key.data(), key.size()), std::string(value.data(), value.size()));
    }
  }
}

}  // namespace

void CopyRequestMetadata(const ReceivedMetadata& from, grpc::ClientContext& to) {
  CopyMetadata(from, [&](const std::string& key, const std::string& value) {
    if (key != kPushbackHeader) to.AddMetadata(key, value);
  });
}

void CopyInitialMetadata(const ReceivedMetadata& from, grpc::CallbackServerContext& to) {
  CopyMetadata(from, [&](const std::string& key, const std::string& value) {
    to.AddInitialMetadata(key, value);
  });
}

void CopyTrailingMetadata(const ReceivedMetadata& from, grpc::CallbackServerContext& to) {
  CopyMetadata(from, [&](const std::string& key, const std::string& value) {
    to.AddTrailingMetadata(key, value);
  });
}

}  // namespace torchfleet::gateway
