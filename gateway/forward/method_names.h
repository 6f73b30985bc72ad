#pragma once
// gRPC methods that the path of a call names.

#include <string_view>

namespace torchfleet::gateway {

inline constexpr std::string_view kInferenceMethods = "/inference.GRPCInferenceService/";
inline constexpr std::string_view kInferMethod = "/inference.GRPCInferenceService/ModelInfer";
inline constexpr std::string_view kStreamInferMethod =
    "/inference.GRPCInferenceService/ModelStreamInfer";

}  // namespace torchfleet::gateway
