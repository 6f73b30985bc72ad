#pragma once
// A sorted map by name that is never changed: another version of it is made, which
// shares with the old one all but the pieces that differ.
//
// For what many read and one replaces often: with ten thousand names a change
// copies a few pieces of at most kPiece names, and the end of an old version frees
// as little.
//
// T is cheap to copy, such as a shared_ptr. A value; copying one copies a pointer
// for each piece.

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace torchfleet {

template <typename T>
class SharedMap {
 public:
  using value_type = std::pair<std::string, T>;
  // What is to be there by these names; nothing: no longer.
  using Changes = std::map<std::string, std::optional<T>, std::less<>>;

  class const_iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = SharedMap::value_type;
    using difference_type = std::ptrdiff_t;
    using pointer = const value_type*;
    using reference = const value_type&;

    const_iterator() = default;
    reference operator*() const { return (**piece_)[at_]; }
    pointer operator->() const { return &**this; }
    const_iterator& operator++() {
      if (++at_ == (*piece_)->size()) {
        ++piece_;
        at_ = 0;
      }
      return *this;
    }
    const_iterator operator++(int) {
      const const_iterator before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const const_iterator&, const const_iterator&) = default;

   private:
    friend class SharedMap;
    const_iterator(const std::shared_ptr<const std::vector<value_type>>* piece, size_t at)
        : piece_(piece), at_(at) {}

    const std::shared_ptr<const std::vector<value_type>>* piece_ = nullptr;
    size_t at_ = 0;
  };

  const_iterator begin() const { return {pieces_.data(), 0}; }
  const_iterator end() const { return {pieces_.data() + pieces_.size(), 0}; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  const_iterator find(std::string_view name) const {
    // The last piece that begins at or before it.
    const auto after = std::upper_bound(
        pieces_.begin(), pieces_.end(), name,
        [](std::string_view n, const PiecePtr& piece) { return n < piece->front().first; });
    if (after == pieces_.begin()) return end();
    const PiecePtr& piece = *std::prev(after);
    const auto found =
        std::lower_bound(piece->begin(), piece->end(), name,
                         [](const value_type& item, std::string_view n) { return item.first < n; });
    if (found == piece->end() || found->first != name) return end();
    return {&piece, static_cast<size_t>(found - piece->begin())};
  }
  bool contains(std::string_view name) const { return find(name) != end(); }
  // It must be there.
  const T& at(std::string_view name) const { return find(name)->second; }

  SharedMap With(const Changes& changes) const {
    SharedMap next;
    auto change = changes.begin();
    for (size_t i = 0; i < pieces_.size(); ++i) {
      const auto until = i + 1 < pieces_.size() ? changes.lower_bound(pieces_[i + 1]->front().first)
                                                : changes.end();
      if (change == until) {
        next.Share(pieces_[i]);
      } else {
        next.Append(Merged(*pieces_[i], change, until));
      }
      change = until;
    }
    if (pieces_.empty()) next.Append(Merged({}, change, changes.end()));
    return next;
  }
  SharedMap With(std::string name, T value) const {
    return With(Changes{{std::move(name), std::move(value)}});
  }

 private:
  static constexpr size_t kPiece = 64;
  using Piece = std::vector<value_type>;
  using PiecePtr = std::shared_ptr<const Piece>;
  using Change = typename Changes::const_iterator;

  static Piece Merged(const Piece& piece, Change change, Change until) {
    Piece merged;
    merged.reserve(piece.size() + static_cast<size_t>(std::distance(change, until)));
    auto item = piece.begin();
    for (; change != until; ++change) {
      while (item != piece.end() && item->first < change->first) merged.push_back(*item++);
      if (item != piece.end() && item->first == change->first) ++item;
      if (change->second) merged.emplace_back(change->first, *change->second);
    }
    merged.insert(merged.end(), item, piece.end());
    return merged;
  }

  void Share(const PiecePtr& piece) {
    size_ += piece->size();
    pieces_.push_back(piece);
  }

  // In pieces that are not too large, and joined to the last one where both are
  // small.
  void Append(Piece items) {
    if (items.empty()) return;
    if (!pieces_.empty() && pieces_.back()->size() + items.size() <= kPiece / 2) {
      Piece joined = *pieces_.back();
      joined.insert(joined.end(), items.begin(), items.end());
      size_ -= pieces_.back()->size();
      pieces_.pop_back();
      items = std::move(joined);
    }
    const size_t count = (items.size() + kPiece - 1) / kPiece;
    for (size_t i = 0; i < count; ++i) {
      const auto first = items.begin() + static_cast<std::ptrdiff_t>(items.size() * i / count);
      const auto last = items.begin() + static_cast<std::ptrdiff_t>(items.size() * (i + 1) / count);
      Share(std::make_shared<const Piece>(std::make_move_iterator(first),
                                          std::make_move_iterator(last)));
    }
  }

  // None is empty.
  std::vector<PiecePtr> pieces_;
  size_t size_ = 0;
};

}  // namespace torchfleet
