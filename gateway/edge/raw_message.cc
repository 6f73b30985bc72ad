#include "gateway/edge/raw_message.h"

#include <string>
#include <string_view>
#include <vector>

namespace torchfleet::gateway {
namespace {

std::string_view View(const grpc::Slice& slice) {
  return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
}

}  // namespace

absl::StatusOr<wire::InferRequestHead> ScanHead(const grpc::ByteBuffer& bytes) {
  // Small requests lie in one slice.
  grpc::Slice single;
  if (bytes.TrySingleSlice(&single).ok()) {
    const std::string_view piece = View(single);
    return wire::ScanInferRequest({&piece, 1});
  }
  std::vector<grpc::Slice> slices;
  if (!bytes.Dump(&slices).ok()) return absl::InternalError("the request could not be read");
  std::vector<std::string_view> pieces;
  pieces.reserve(slices.size());
  for (const grpc::Slice& slice : slices) pieces.push_back(View(slice));
  return wire::ScanInferRequest(pieces);
}

absl::Status ParseMessage(const grpc::ByteBuffer& bytes, google::protobuf::Message& message) {
  grpc::Slice slice;
  if (bytes.DumpToSingleSlice(&slice).ok()) {
    const std::string_view view = View(slice);
    if (message.ParseFromArray(view.data(), static_cast<int>(view.size()))) {
      return absl::OkStatus();
    }
  }
  return absl::InvalidArgumentError("the request is not a well-formed message");
}

void WriteMessage(const google::protobuf::Message& message, grpc::ByteBuffer& bytes) {
  const grpc::Slice slice(message.SerializeAsString());
  grpc::ByteBuffer written(&slice, 1);
  bytes.Swap(&written);
}

}  // namespace torchfleet::gateway
