#pragma once
// POST /v2/models/…/infer, as JSON over HTTP/1.1 or HTTP/2, on net/'s client.

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "cli/load/caller.h"
#include "net/client/connection_pool.h"

namespace torchfleet::cli {

class RestCaller final : public Caller {
 public:
  // `documents`: JSON objects without an id; they outlive it. `keep_answers`:
  // CallEnd has them.
  RestCaller(net::Loop& loop, const net::Address& address, net::ConnectionPool::Options options,
             std::string path, const std::vector<std::string>& documents, absl::Duration timeout,
             bool keep_answers, Owner& owner);

  ~RestCaller() override;

  void Begin(uint32_t call, size_t request, std::string_view id) override;

 private:
  class Call;

  net::Loop& loop_;
  const std::string path_;
  const std::vector<std::string>& documents_;
  const absl::Duration timeout_;
  const bool keep_answers_;
  Owner& owner_;
  net::Headers headers_;
  std::deque<Call> calls_;  // by number
  // Last, so that calls that it ends find the rest.
  net::ConnectionPool connections_;
};

}  // namespace torchfleet::cli
