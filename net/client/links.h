#pragma once
// One loop's HTTP/2 connections to servers: one for each address, made when a
// request needs it and again when it broke or said goodbye.
//
// Only on its loop's thread.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/http2/connection.h"
#include "net/loop/loop.h"
#include "net/socket/address.h"

namespace torchfleet::net {

class Links : private Http2Connection::Owner {
 public:
  Links(Loop& loop, const Http2Options& options) : loop_(loop), options_(options) {}

  // A connection that takes streams; null when no socket is to be had or the
  // kernel knows at once that nobody listens.
  Http2Connection* Find(const Address& address);

 private:
  StreamHandler* OnStream(Stream&) override { return nullptr; }
  void OnConnectionClosed(Connection& connection) override;

  Loop& loop_;
  const Http2Options options_;
  std::map<std::string, Http2Connection*, std::less<>> current_;
  std::vector<std::unique_ptr<Http2Connection>> all_;
};

}  // namespace torchfleet::net
