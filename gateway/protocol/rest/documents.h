#pragma once
// REST's answers that are not inference: health, metadata, status, the index of
// the repository. Off the path of a call.
//
// Pure functions; thread-safe. What they give is JSON, content type
// application/json.

#include <span>
#include <string>
#include <string_view>

#include "gateway/protocol/rest/model_spec.h"

namespace torchfleet::gateway::rest {

// GET /v2.
std::string ServerMetadataDocument(std::string_view name, std::string_view version,
                                   std::span<const std::string> extensions);
// GET /v2/health/live and /v2/health/ready; the code is 200 or 503 by `yes`.
std::string LiveDocument(bool yes);
std::string ReadyDocument(bool yes);
// GET /v2/models/{m}/ready.
std::string ModelReadyDocument(std::string_view model, bool yes);
// GET /v2/models/{m}.
std::string ModelMetadataDocument(const ModelSpec& spec);

struct ModelIndexEntry {
  std::string name;
  std::string version;
  // READY, UNAVAILABLE, …
  std::string state;
  std::string reason;
};

// POST /v2/repository/index.
std::string RepositoryIndexDocument(std::span<const ModelIndexEntry> models);

struct V1VersionStatus {
  std::string version;
  // START, LOADING, AVAILABLE, UNLOADING or END, and "OK" unless it failed.
  std::string state;
  std::string error_code;
  std::string error_message;
};

// GET /v1/models/{m}.
std::string V1StatusDocument(std::span<const V1VersionStatus> versions);
// GET /v1/models/{m}/metadata: one signature, serving_default.
std::string V1MetadataDocument(const ModelSpec& spec, std::string_view version);

}  // namespace torchfleet::gateway::rest
