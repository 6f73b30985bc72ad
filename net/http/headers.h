#pragma once
// A list of header fields, in order, in storage that is used again.
//
// Names are lower case, as HTTP/2 has them. Views stay true until the list is
// changed. Not thread-safe.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace torchfleet::net {

class Headers {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;
  };

  void Add(std::string_view name, std::string_view value) {
    fields_.push_back({static_cast<uint32_t>(text_.size()), static_cast<uint32_t>(name.size()),
                       static_cast<uint32_t>(value.size())});
    text_.append(name).append(value);
  }
  void Clear() {
    text_.clear();
    fields_.clear();
  }

  size_t size() const { return fields_.size(); }
  bool empty() const { return fields_.empty(); }
  Field operator[](size_t i) const {
    const Place& place = fields_[i];
    const char* const at = text_.data() + place.at;
    return {{at, place.name}, {at + place.name, place.value}};
  }
  // The first of that name.
  std::optional<std::string_view> Find(std::string_view name) const {
    for (size_t i = 0; i < size(); ++i) {
      if (const Field field = (*this)[i]; field.name == name) return field.value;
    }
    return std::nullopt;
  }
  std::string_view ValueOr(std::string_view name, std::string_view otherwise) const {
    return Find(name).value_or(otherwise);
  }

  class Iterator {
   public:
    Iterator(const Headers& headers, size_t at) : headers_(&headers), at_(at) {}
    Field operator*() const { return (*headers_)[at_]; }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return at_ != other.at_; }

   private:
    const Headers* headers_;
    size_t at_;
  };
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, size()}; }

 private:
  struct Place {
    uint32_t at, name, value;
  };
  std::string text_;
  std::vector<Place> fields_;
};

}  // namespace torchfleet::net
