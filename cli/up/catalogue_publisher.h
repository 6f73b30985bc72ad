#pragma once
// Tells the registry's catalogue what a repository holds, a model at a time.
//
// What owners wrote (labels, aliases, placement) is left as it is, but for
// replicas that the user asked for. Not thread-safe; each call blocks until it is
// answered or its deadline has passed.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "registry/client/registry_channel.h"
#include "torchfleet/registry/v1/catalogue.grpc.pb.h"

namespace torchfleet::cli {

class CataloguePublisher {
 public:
  // `registry_addresses`: as of RegistryChannel.
  CataloguePublisher(std::filesystem::path repository, const std::string& registry_addresses);

  // Adds the model, or brings its versions up to date; versions without a folder
  // are left out. `replicas`: what to wish for; 0 leaves that as it is. Errors:
  // the registry's, and those of FoundModel.
  absl::Status Publish(const std::string& name, const std::vector<int64_t>& versions, int replicas);

 private:
  absl::Status TryToPublish(const std::string& name, const std::vector<int64_t>& versions,
                            int replicas);

  const std::filesystem::path repository_;
  registry::RegistryChannel channel_;
  const std::unique_ptr<registry::v1::CatalogueService::Stub> catalogue_;
};

}  // namespace torchfleet::cli
