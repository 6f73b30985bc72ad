#pragma once
// A TLS connection as a ByteStream, on OpenSSL, of a server or of a client.
//
//   handshaking ──done──► open ──close_notify came──► ended
//        └──── a broken rule, a lost socket ────┴──► broken
//
// OpenSSL never sees the socket. It reads from it through us, only while more
// can be there, so one readiness costs one recv and no second to learn that it
// was all. What it writes is gathered, so one Write is one send, of records that
// join small parts.
//
// Owns the socket. Only on its loop's thread. Its destruction says goodbye.

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>

#include "net/socket/byte_stream.h"
#include "net/tls/tls_context.h"

namespace torchfleet::net {

class TlsStream final : public ByteStream {
 public:
  static std::unique_ptr<TlsStream> ForServer(const TlsContext& context,
                                              std::unique_ptr<ByteStream> socket);
  // What a client is about to speak, and so offers. Any server may be taken to
  // speak HTTP/1.1; one that is to speak HTTP/2 has to say that it does.
  enum class Protocol { kHttp1, kHttp2 };

  // `host`, a name or an address, is what the server's certificate must be for.
  // The socket may be under way.
  static std::unique_ptr<TlsStream> ForClient(const TlsContext& context,
                                              std::unique_ptr<ByteStream> socket,
                                              const std::string& host,
                                              Protocol protocol = Protocol::kHttp2);
  ~TlsStream() override;

  int fd() const override { return socket_->fd(); }
  ssize_t Read(char* room, size_t size) override;
  ssize_t Write(const iovec* parts, int count) override;
  bool has_more() const override { return more_; }
  bool WantsToWrite(bool more) const override {
    return !unsent_.empty() || (more && state_ != State::kHandshaking);
  }

 private:
  enum class State { kHandshaking, kOpen, kEnded, kBroken };
  class Bio;

  TlsStream(SSL* ssl, std::unique_ptr<ByteStream> socket);
  // True when the handshake is done.
  bool Handshake();
  // What OpenSSL says after an error: the state follows it.
  void Failed(int result);
  ssize_t Idle() const;
  bool Encrypt(std::string_view bytes);
  void Gather(std::string_view records);
  void Send();

  const std::unique_ptr<ByteStream> socket_;
  SSL* const ssl_;
  // Clients only: a server that chose no protocol is gone on with.
  bool may_choose_none_ = false;
  State state_ = State::kHandshaking;
  // The socket may hold bytes that were not read in this Read.
  bool may_receive_ = false;
  // Bytes, or the end, are here that the last Read had no room for.
  bool more_ = false;
  // Records that the socket did not take.
  std::string unsent_;
};

}  // namespace torchfleet::net
