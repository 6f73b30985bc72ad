#pragma once
// A model's answer for people and for programs. Pure.

#include <string>

#include "absl/status/statusor.h"
#include "inference/grpc_service.pb.h"

namespace torchfleet::cli {

// {"model_name","model_version","outputs":[{name,datatype,shape,data}]}
absl::StatusOr<std::string> AnswerAsJson(const inference::ModelInferResponse& response);

// Each output: a head line, then a line for each row; for rows of class
// probabilities also the likeliest class.
absl::StatusOr<std::string> AnswerAsTable(const inference::ModelInferResponse& response);

}  // namespace torchfleet::cli
