#pragma once
// Calls of the registry's catalogue, for the command line.
//
// Errors are the registry's own; UNAVAILABLE when nobody answers.

#include <grpcpp/grpcpp.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cli/catalogue/catalogue_options.h"
#include "cli/client/channel.h"
#include "torchfleet/registry/v1/catalogue.grpc.pb.h"

namespace torchfleet::cli {

class CatalogueClient {
 public:
  using Stub = torchfleet::registry::v1::CatalogueService::Stub;
  template <typename Request, typename Response>
  using Method = grpc::Status (Stub::*)(grpc::ClientContext*, const Request&, Response*);

  // How often a change is made from the latest state before somebody else's
  // changes are the caller's concern.
  static constexpr int kMaxTries = 8;

  // Of the registries that the options name. INVALID_ARGUMENT for what is no
  // address; UNAVAILABLE when none is named and no fleet runs here.
  static absl::StatusOr<CatalogueClient> Connect(const CatalogueOptions& options);

  // The first that answers is asked.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Ask(Method<Request, Response> method, const Request& request) const {
    absl::Status status;
    for (const std::string& address : addresses_) {
      const auto stub = torchfleet::registry::v1::CatalogueService::NewStub(OpenChannel(address));
      grpc::ClientContext context;
      context.set_deadline(absl::ToChronoTime(absl::Now() + timeout_));
      Response response;
      status = Readable((stub.get()->*method)(&context, request, &response), address);
      if (status.ok()) return response;
      if (!absl::IsUnavailable(status)) break;
    }
    return status;
  }

  // All pages of a list: `add` gets each.
  template <typename Request, typename Response, typename Add>
  absl::Status AskAll(Method<Request, Response> method, Request request, const Add& add) const {
    do {
      auto page = Ask(method, request);
      if (!page.ok()) return page.status();
      add(*page);
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    return absl::OkStatus();
  }

 private:
  CatalogueClient(std::vector<std::string> addresses, absl::Duration timeout)
      : addresses_(std::move(addresses)), timeout_(timeout) {}

  std::vector<std::string> addresses_;
  absl::Duration timeout_;
};

// What a client left to be demanded: the flag's revision, or the file's own.
template <typename Resource>
uint64_t DemandedRevision(const CatalogueOptions& options, const Resource& resource) {
  return options.revision != 0 ? options.revision : resource.revision();
}

}  // namespace torchfleet::cli
