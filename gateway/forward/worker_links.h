#pragma once
// One loop's HTTP/2 connections to the workers: one for each address, made when
// a call needs it and again when it broke or said goodbye.
//
// A worker that owes a sign of life is pinged, so that a frozen one is noticed
// within kFrozenAfter. Only on its loop's thread.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/http2/connection.h"
#include "net/loop/loop.h"
#include "net/socket/address.h"

namespace torchfleet::gateway {

class WorkerLinks : private net::Http2Connection::Owner {
 public:
  explicit WorkerLinks(net::Loop& loop);
  ~WorkerLinks();

  // A connection that takes streams; null when no socket is to be had or the
  // kernel knows at once that nobody listens.
  net::Http2Connection* Find(const net::Address& address);

 private:
  net::StreamHandler* OnStream(net::Stream&) override { return nullptr; }
  void OnConnectionClosed(net::Connection& connection) override;

  net::Loop& loop_;
  const net::Http2Options options_;
  std::map<std::string, net::Http2Connection*, std::less<>> current_;
  std::vector<std::unique_ptr<net::Http2Connection>> all_;
};

}  // namespace torchfleet::gateway
