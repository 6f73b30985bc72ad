#pragma once
// Models and routes as a test writes them, in the text format.

#include <google/protobuf/text_format.h>

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "torchfleet/registry/v1/catalogue.pb.h"

namespace torchfleet::registry {

template <typename Message>
Message Parsed(const std::string& text) {
  Message message;
  CAPTURE(text);
  REQUIRE(google::protobuf::TextFormat::ParseFromString(text, &message));
  return message;
}

inline v1::Model AModel(const std::string& text) { return Parsed<v1::Model>(text); }
inline v1::Route ARoute(const std::string& text) { return Parsed<v1::Route>(text); }

// Versions 1, 2 and 3; `prod` is 3.
inline v1::Model Mnist() {
  return AModel(
      "name: 'mnist' versions { version: '1' } versions { version: '2' } "
      "versions { version: '3' } aliases { key: 'prod' value: '3' }");
}

// Every call for mnist to `prod`.
inline v1::Route ToProd() { return ARoute("model: 'mnist' rules { targets { alias: 'prod' } }"); }

}  // namespace torchfleet::registry
