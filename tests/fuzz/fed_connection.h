#pragma once
// A connection whose peer says given bytes, cut as a test wants them, and then
// closes; and what the handlers of its streams hear of it.
//
// Only on one thread.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/http/connection.h"
#include "net/http2/options.h"
#include "net/loop/loop.h"
#include "net/socket/byte_stream.h"

namespace torchfleet::net {

// What handlers are told, as a text, in order; pieces of one body are joined,
// so that the text is the same however the bytes were cut.
class Heard {
 public:
  // `answer`: what each stream is answered once its request is whole, without
  // a body; empty for none.
  explicit Heard(const Headers& answer = {});
  ~Heard();

  // The handler of a further stream.
  StreamHandler& Next();
  // Streams that began and were not closed.
  int open() const { return open_; }
  const std::string& text() const { return text_; }

  // A stream ended early of which no handler knew.
  void EndedEarly() { ended_early_ = true; }

  // Both heard the same. A stream that ends early ends sooner or later after
  // its fault as the bytes are cut, so from there on they are not compared.
  static bool Agree(const Heard& a, const Heard& b);

 private:
  class Listener;
  void Note(int stream, char what, std::string_view text);

  const Headers answer_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  int open_ = 0;
  std::string text_;
  int body_of_ = -1;
  bool ended_early_ = false;
};

class FedConnection : private Connection::Owner {
 public:
  using Handlers = std::function<StreamHandler*(Stream&)>;

  // The peer says `bytes`, `step` at a time, each in a turn of the loop of its
  // own. `handlers`: who handles the streams that it opens.
  FedConnection(std::string_view bytes, size_t step, Handlers handlers);
  ~FedConnection();

  Loop& loop() { return *loop_; }
  Connection::Owner& owner() { return *this; }
  // Our end; once.
  std::unique_ptr<ByteStream> Socket();
  // Until the connection is over, and gone. What it said, up to what a socket
  // holds.
  std::string Run(std::unique_ptr<Connection> connection);

 private:
  StreamHandler* OnStream(Stream& stream) override { return handlers_(stream); }
  void OnConnectionClosed(Connection&) override { loop_->Stop(); }
  void Give();

  const std::unique_ptr<Loop> loop_ = *Loop::Create();
  std::string_view left_;
  const size_t step_;
  const Handlers handlers_;
  int ends_[2];
};

}  // namespace torchfleet::net
