#include "net/server/greeting.h"

#include <sys/epoll.h>

#include <algorithm>
#include <utility>

namespace torchfleet::net {
namespace {

// The first line of HTTP/2's preface; no HTTP/1 request begins so.
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n";

}  // namespace

Greeting::Greeting(Loop& loop, std::unique_ptr<ByteStream> bytes, absl::Duration limit,
                   Owner& owner)
    : loop_(loop),
      bytes_(std::move(bytes)),
      owner_(owner),
      limit_(loop, [this] { Close(); }),
      events_(EPOLLIN) {
  loop_.Watch(bytes_->fd(), events_, this);
  limit_.Start(limit);
}

Greeting::~Greeting() {
  Close();
  loop_.ForgetTurnEnd(this);
}

void Greeting::Close() {
  if (!bytes_) return;
  limit_.Stop();
  loop_.Unwatch(bytes_->fd(), this);
  bytes_.reset();
  loop_.AtTurnEnd(this);
}

void Greeting::OnTurnEnd() {
  if (!std::exchange(told_, true)) owner_.OnConnectionClosed(*this);
}

void Greeting::OnEvents(uint32_t events) {
  if (!bytes_) return;
  if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return Write();
  const BlockPool::Room room = loop_.blocks().ReadRoom();
  const ssize_t count = bytes_->Read(room.at, room.size);
  if (count == ByteStream::kWait) return Write();
  if (count <= 0) return Close();
  const std::string_view came(room.at, static_cast<size_t>(count));
  const size_t had = begun_.size();
  const size_t compared = std::min(kPreface.size() - had, came.size());
  const bool same = came.substr(0, compared) == kPreface.substr(had, compared);
  if (same && had + compared < kPreface.size()) {
    begun_ += came;
    return Write();
  }
  Slice begun;
  if (had == 0) {
    loop_.blocks().Filled(static_cast<size_t>(count));
    begun = Slice(room.block, came);
  } else {
    begun = Slice::Keep(begun_.append(came));
  }
  limit_.Stop();
  loop_.Unwatch(bytes_->fd(), this);
  told_ = true;
  owner_.OnGreeted(*this, std::move(bytes_), same, std::move(begun));
}

void Greeting::Write() {
  if (bytes_->WantsToWrite(false) && bytes_->Write(nullptr, 0) == ByteStream::kBroken) {
    return Close();
  }
  const uint32_t events =
      bytes_->WantsToWrite(false) ? uint32_t{EPOLLIN} | uint32_t{EPOLLOUT} : uint32_t{EPOLLIN};
  if (events != std::exchange(events_, events)) loop_.ChangeEvents(bytes_->fd(), events, this);
}

}  // namespace torchfleet::net
