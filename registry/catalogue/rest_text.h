#pragma once
// The catalogue's messages as JSON over HTTP: proto3's JSON of catalogue.proto,
// parameters of the query by the names of the request's fields.
//
// Pure. Thread-safe.

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/operator_page.h"

namespace torchfleet::registry {

// Sets the request's plain fields by the query, but for the one that is `bound`
// to the path; `labels=team=vision` adds to a map. INVALID_ARGUMENT, with the
// field, for a parameter that is none or has a value that it cannot have.
absl::Status FillFromQuery(const OperatorRequest& from, std::string_view bound,
                           google::protobuf::Message& request);

// Reads the body. INVALID_ARGUMENT for what is no JSON of such a message.
absl::Status FillFromBody(const OperatorRequest& from, google::protobuf::Message& message);

// The revision that If-Match demands: "5" or 5; 0 for none and for *.
absl::Status FillFromIfMatch(const OperatorRequest& from, uint64_t& revision);

OperatorAnswer JsonAnswer(int code, const google::protobuf::Message& message);
// {"error":…,"code":"ABORTED","field":…}, with the code that goes with it.
OperatorAnswer ErrorAnswer(const absl::Status& status);
// The same for what is not about the catalogue.
OperatorAnswer HttpErrorAnswer(int code, std::string_view text);

}  // namespace torchfleet::registry
