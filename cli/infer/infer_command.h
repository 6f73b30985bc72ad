#pragma once
// `torchfleet infer`: one call, its answer as a table or as JSON.

#include <string>
#include <vector>

#include "absl/time/time.h"

namespace torchfleet::cli {

struct InferOptions {
  std::string model;
  std::string version;
  // NAME=JSON, NAME=@FILE.npy, NAME=@FILE.json, or without NAME= for a model
  // with one input.
  std::vector<std::string> inputs;
  // A PNG file for the model's only input.
  std::string image;
  std::vector<std::string> outputs;
  // host:port; empty: the fleet that runs here.
  std::string gateway;
  // A PEM file with who may have signed the gateway's certificate; empty: no TLS.
  std::string tls_ca;
  std::string format = "table";
  absl::Duration timeout = absl::Seconds(10);
};

// The process's exit code.
int RunInfer(const InferOptions& options);

}  // namespace torchfleet::cli
