#pragma once
// Requests over a ConnectionPool, from a thread that may wait for their answers.

#include <functional>
#include <future>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/client/connection_pool.h"

namespace torchfleet::net {

// A pool on a loop and thread of its own.
class Requester {
 public:
  using Http = ConnectionPool::Http;

  explicit Requester(const Address& address, ConnectionPool::Options options)
      : pool_(std::make_unique<ConnectionPool>(*loop_, address, std::move(options))),
        thread_([this] { loop_->Run(); }) {}
  explicit Requester(const Address& address, Http http = Http::k1)
      : Requester(address, ConnectionPool::Options{.http = http, .connections = 1, .limits = {}}) {}
  ~Requester() {
    EndPool();
    loop_->Stop();
    thread_.join();
  }

  // One request, the requester's; Code and its like wait for its end, before
  // which the rest is the thread's.
  struct Request final : StreamHandler {
    void OnHeaders(Stream& stream, bool end) override {
      for (const auto [name, value] : stream.headers()) head.Add(name, value);
      whole = end;
      begun.count_down();
    }
    void OnBody(Stream& from, const Slice& bytes) override {
      body += bytes.bytes();
      if (reads) from.Consumed(bytes.size());
    }
    void OnEnd(Stream& from) override {
      for (const auto [name, value] : from.trailers()) trailers.Add(name, value);
      whole = true;
    }
    void OnSent(Stream&, size_t count) override { sent += count; }
    void OnClosed(Stream&, CloseCode closed) override {
      stream = nullptr;
      code = closed;
      done.count_down();
    }
    CloseCode Code() {
      done.wait();
      return code;
    }
    std::string Status() {
      done.wait();
      return std::string(head.ValueOr(":status", ""));
    }

    const std::string& Body() {
      done.wait();
      return body;
    }

    Stream* stream = nullptr;
    bool reads = true;  // gives the bytes that came back
    Headers head, trailers;
    std::string body;
    bool whole = false;
    size_t sent = 0;
    CloseCode code = CloseCode::kNoError;
    std::latch begun{1}, done{1};
  };

  struct Message {
    std::string method = "POST";
    std::string path = "/echo";
    std::string body = "";
    // Empty: in chunks. Of a request with a body.
    std::string length = "";
    bool ends = true;
  };

  Request* Begin(const Message& message, bool reads = true) {
    requests_.push_back(std::make_unique<Request>());
    Request* const request = requests_.back().get();
    request->reads = reads;
    loop_->Post([this, request, message] { Open(*request, message); });
    return request;
  }
  Request* Post(const std::string& body, const std::string& path = "/echo") {
    return Begin({.path = path, .body = body, .length = std::to_string(body.size())});
  }
  Request* Get(const std::string& path, const std::string& method = "GET") {
    return Begin({.method = method, .path = path});
  }
  // On the requester's thread; returns when it has been done.
  void Do(const std::function<void()>& work) {
    std::promise<void> done;
    loop_->Post([&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }
  void Reset(Request& request) {
    Do([&] { request.stream->Reset(CloseCode::kCancel); });
  }
  // Whatever runs on its connections ends.
  void EndPool() {
    Do([this] { pool_.reset(); });
  }

 private:
  void Open(Request& request, const Message& message) {
    Headers headers;
    headers.Add(":method", message.method);
    headers.Add(":scheme", pool_->scheme());
    headers.Add(":path", message.path);
    headers.Add(":authority", pool_->authority());
    if (!message.length.empty()) headers.Add("content-length", message.length);
    ClientConnection* const connection = pool_->Choose();
    if (!connection) {
      request.code = CloseCode::kNeverSent;
      return request.done.count_down();
    }
    const bool bodiless = message.ends && message.body.empty() && message.length.empty();
    request.stream = connection->Open(headers, bodiless, request);
    if (!bodiless) request.stream->SendCopy(message.body, message.ends);
  }

  std::vector<std::unique_ptr<Request>> requests_;
  const std::unique_ptr<Loop> loop_ = *Loop::Create();
  std::unique_ptr<ConnectionPool> pool_;
  std::thread thread_;
};

}  // namespace torchfleet::net
