#include "cli/load/rest_caller.h"

#include <utility>

namespace torchfleet::cli {
namespace {

// Of an answer that is an error.
constexpr size_t kLongestMessage = 300;

}  // namespace

class RestCaller::Call final : private net::StreamHandler {
 public:
  Call(RestCaller& caller, uint32_t number)
      : caller_(caller), number_(number), timer_(caller.loop_, [this] { OnTime(); }) {}

  void Begin(net::ClientConnection* connection, const net::Headers& headers) {
    answer_.clear();
    status_.clear();
    whole_ = late_ = false;
    stream_ = connection ? connection->Open(headers, /*end=*/false, *this) : nullptr;
    timer_.Start(stream_ ? caller_.timeout_ : absl::ZeroDuration());
  }
  void Send(net::Slice body, bool end) {
    if (stream_) stream_->Send(std::move(body), end);
  }

 private:
  void OnTime() {
    late_ = true;
    if (stream_) return stream_->Reset(net::CloseCode::kCancel);
    OnClosed(net::CloseCode::kNeverSent);
  }
  void OnHeaders(net::Stream& stream, bool end) override {
    status_ = stream.headers().ValueOr(":status", "");
    whole_ = end;
  }
  void OnBody(net::Stream& stream, const net::Slice& bytes) override {
    const bool wanted = status_ != "200" ? answer_.size() < kLongestMessage : caller_.keep_answers_;
    if (wanted) answer_.append(bytes.bytes());
    stream.Consumed(bytes.size());
  }
  void OnEnd(net::Stream&) override { whole_ = true; }
  void OnSent(net::Stream&, size_t) override {}
  void OnClosed(net::Stream&, net::CloseCode code) override { OnClosed(code); }

  void OnClosed(net::CloseCode code) {
    timer_.Stop();
    CallEnd end;
    end.never_sent = code == net::CloseCode::kNeverSent;
    if (end.never_sent) {
      end.code = "no connection";
      end.message = "the server could not be reached";
    } else if (late_ && !whole_) {
      end.code = "timeout";
      end.message = "no answer came in time";
    } else if (!whole_) {
      end.code = "no answer";
      end.message = "the connection broke, or the server gave the call up";
    } else if (status_ == "200") {
      end.ok = true;
      end.answer = answer_;
    } else {
      end.code = status_;
      end.message = answer_.substr(0, kLongestMessage);
    }
    stream_ = nullptr;
    caller_.owner_.OnEnd(number_, end);
  }

  RestCaller& caller_;
  const uint32_t number_;
  net::Timer timer_;
  net::Stream* stream_ = nullptr;
  std::string status_;
  std::string answer_;
  bool whole_ = false;
  bool late_ = false;
};

RestCaller::RestCaller(net::Loop& loop, const net::Address& address,
                       net::ConnectionPool::Options options, std::string path,
                       const std::vector<std::string>& documents, absl::Duration timeout,
                       bool keep_answers, Owner& owner)
    : loop_(loop),
      path_(std::move(path)),
      documents_(documents),
      timeout_(timeout),
      keep_answers_(keep_answers),
      owner_(owner),
      connections_(loop, address, std::move(options)) {}

RestCaller::~RestCaller() = default;

void RestCaller::Begin(uint32_t number, size_t request, std::string_view id) {
  while (calls_.size() <= number) {
    calls_.emplace_back(*this, static_cast<uint32_t>(calls_.size()));
  }
  const std::string_view document = documents_[request];
  std::string beginning;
  size_t size = document.size();
  if (!id.empty()) {
    // Before the document's own first member.
    beginning = "{\"id\":\"" + std::string(id) + "\",";
    size += beginning.size() - 1;
  }
  headers_.Clear();
  headers_.Add(":method", "POST");
  headers_.Add(":scheme", connections_.scheme());
  headers_.Add(":path", path_);
  headers_.Add(":authority", connections_.authority());
  headers_.Add("content-type", "application/json");
  headers_.Add("content-length", std::to_string(size));
  Call& call = calls_[number];
  call.Begin(connections_.Choose(), headers_);
  if (!beginning.empty()) call.Send(net::Slice::Keep(std::move(beginning)), /*end=*/false);
  call.Send(net::Slice::Keep(std::shared_ptr<const void>(), document.substr(id.empty() ? 0 : 1)),
            /*end=*/true);
}

}  // namespace torchfleet::cli
