#include "tests/fuzz/http1_check.h"

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "net/http1/http1_client.h"
#include "net/http1/http1_connection.h"
#include "net/http1/http1_reader.h"
#include "tests/fuzz/fed_connection.h"

namespace torchfleet::net {
namespace {

using Event = Http1Reader::Event;

// Sends every body back.
struct Echo final : StreamHandler {
  void OnHeaders(Stream& stream, bool end) override {
    Headers answer;
    answer.Add(":status", "200");
    stream.SendHeaders(answer, end);
  }
  void OnBody(Stream& stream, const Slice& bytes) override {
    stream.Send(Slice(bytes), /*end=*/false);
    stream.Consumed(bytes.size());
  }
  void OnEnd(Stream& stream) override { stream.Send(Slice(), /*end=*/true); }
  void OnSent(Stream&, size_t) override {}
  void OnClosed(Stream&, CloseCode) override { --open; }
  int open = 0;
};

std::string EchoFault(std::string_view bytes) {
  const Http2Options options;
  Echo echo;
  FedConnection fed(bytes, bytes.size(), [&](Stream&) {
    ++echo.open;
    return &echo;
  });
  fed.Run(
      std::make_unique<Http1Connection>(fed.loop(), fed.Socket(), options, fed.owner(), Slice()));
  return echo.open == 0 ? "" : "a stream was never closed";
}

void ListenAsServer(std::string_view bytes, size_t step, Heard& heard) {
  const Http2Options options;
  FedConnection fed(bytes, step, [&](Stream&) { return &heard.Next(); });
  fed.Run(
      std::make_unique<Http1Connection>(fed.loop(), fed.Socket(), options, fed.owner(), Slice()));
}

// One call: what comes behind its answer belongs to nobody.
void ListenAsClient(std::string_view bytes, size_t step, bool head, Heard& heard) {
  const Http2Options options;
  FedConnection fed(bytes, step, nullptr);
  auto connection = std::make_unique<Http1Client>(fed.loop(), fed.Socket(), options, fed.owner());
  Headers request;
  request.Add(":method", head ? "HEAD" : "GET");
  request.Add(":scheme", "http");
  request.Add(":path", "/");
  request.Add(":authority", "test");
  connection->Open(request, /*end=*/true, heard.Next());
  fed.Run(std::move(connection));
}

template <typename Listen>
std::string ListenFault(std::string_view bytes, std::string_view what, Listen listen,
                        const Headers& answer = {}) {
  Heard whole(answer), cut(answer);
  listen(bytes, bytes.size(), whole);
  listen(bytes, 1 + bytes.size() % 7, cut);
  const std::string side(what);
  if (whole.open() != 0 || cut.open() != 0) return "a stream was never closed by " + side;
  if (Heard::Agree(whole, cut)) return "";
  return side + " heard whole:" + whole.text() + "\nheard cut:" + cut.text();
}

// What a reader makes of the bytes, given `step` at a time.
std::string Read(std::string_view bytes, size_t step, Http1Reader::Role role) {
  Http1Reader reader(role, 512);
  reader.Begin();
  Headers head, trailers;
  std::string told;
  while (!bytes.empty()) {
    std::string_view piece = bytes.substr(0, step);
    bytes.remove_prefix(piece.size());
    while (true) {
      const Event event = reader.Next(piece, head, trailers);
      if (event == Event::kMore) break;
      if (event == Event::kError) return told + "!";
      if (event == Event::kBody) told += reader.body();
      if (event == Event::kHead) {
        for (const auto [name, value] : head) told.append(name).append("=").append(value);
      }
      const bool over =
          event == Event::kEnd || (event == Event::kHead && !reader.message().has_body);
      if (over) told += ".", reader.Begin();
    }
    if (!piece.empty()) return "a reader wants more, and left bytes";
  }
  return told;
}

std::string ReaderFault(std::string_view bytes) {
  for (const auto role : {Http1Reader::Role::kRequests, Http1Reader::Role::kAnswers}) {
    const std::string whole = Read(bytes, std::max<size_t>(bytes.size(), 1), role);
    for (const size_t step : {size_t{1}, size_t{5}}) {
      const std::string cut = Read(bytes, step, role);
      if (cut != whole) return "read whole: " + whole + "\nread cut: " + cut;
    }
  }
  return "";
}

}  // namespace

std::string Http1Fault(std::string_view bytes) {
  if (bytes.size() > 64 << 10) return "";
  if (std::string fault = ReaderFault(bytes); !fault.empty()) return fault;
  Headers done;
  done.Add(":status", "204");
  if (std::string fault = ListenFault(bytes, "a server", ListenAsServer, done); !fault.empty()) {
    return fault;
  }
  for (const bool head : {false, true}) {
    const auto listen = [head](std::string_view given, size_t step, Heard& heard) {
      ListenAsClient(given, step, head, heard);
    };
    if (std::string fault = ListenFault(bytes, "a client", listen); !fault.empty()) return fault;
  }
  return EchoFault(bytes);
}

}  // namespace torchfleet::net
