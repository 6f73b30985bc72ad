#pragma once
// Which web pages may call the gateway from a browser (CORS, WHATWG's Fetch
// standard, section 3.2).
//
// Pages from this machine's own loopback addresses may, and those of the origins
// that the operator names; "*" stands for every page. Pure; thread-safe.

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "net/http/headers.h"

namespace torchfleet::gateway {

class CrossOrigin {
 public:
  // Origins as browsers send them: "https://example.org", or "*".
  explicit CrossOrigin(std::vector<std::string> allowed) : allowed_(std::move(allowed)) {}
  // INVALID_ARGUMENT for what no browser would send.
  static absl::Status Check(const std::vector<std::string>& allowed);

  // A browser asks whether it may call.
  static bool IsPreflight(const net::Headers& request);
  // What an answer needs so that the page which asked may read it.
  void AddTo(const net::Headers& request, net::Headers& answer) const;
  // The whole answer to a preflight.
  void AnswerPreflight(const net::Headers& request, net::Headers& answer) const;

 private:
  bool Allows(std::string_view origin) const;

  const std::vector<std::string> allowed_;
};

}  // namespace torchfleet::gateway
