#include "registry/state/registration.h"

#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <string>

#include "base/status.h"
#include "tests/unit/registry/registrations.h"

namespace torchfleet::registry {
namespace {

using Register = v1::AnnounceRequest::Register;

absl::Status Check(const Register& registration) {
  return CheckRegistration(registration.worker(), registration.state());
}

TEST_CASE("CheckRegistration: takes what workers say of themselves", "[registry][state]") {
  Register registration = ARegistration("mnist-3/0");
  CHECK(Check(registration).ok());
  for (const std::string address : {"localhost:1", "10.0.0.1:65535", "[::1]:80", "a-b.c.d:9000"}) {
    CAPTURE(address);
    registration.mutable_worker()->set_address(address);
    CHECK(Check(registration).ok());
  }
  registration.mutable_worker()->clear_inputs();
  registration.mutable_worker()->set_version("9223372036854775807");
  registration.set_state(v1::WORKER_STATE_STARTING);
  CHECK(Check(registration).ok());
  registration.mutable_worker()->set_zone("Gebäude 3 / rack 12");
  CHECK(Check(registration).ok());
}

TEST_CASE("CheckRegistration: names the field that is wrong", "[registry][state]") {
  struct Row {
    std::string field;
    std::function<void(Register&)> spoil;
  };
  const auto id = [](std::string value) {
    return Row{"worker_id", [=](Register& r) { r.mutable_worker()->set_worker_id(value); }};
  };
  const auto address = [](std::string value) {
    return Row{"address", [=](Register& r) { r.mutable_worker()->set_address(value); }};
  };
  const auto model = [](std::string value) {
    return Row{"model", [=](Register& r) { r.mutable_worker()->set_model(value); }};
  };
  const auto version = [](std::string value) {
    return Row{"version", [=](Register& r) { r.mutable_worker()->set_version(value); }};
  };
  const auto zone = [](std::string value) {
    return Row{"zone", [=](Register& r) { r.mutable_worker()->set_zone(value); }};
  };
  const Row rows[] = {
      zone(std::string(65, 'x')),
      zone("a\nb"),
      zone("\xFF"),
      id(""),
      id(std::string(257, 'x')),
      address(""),
      address("localhost"),
      address(":80"),
      address("localhost:"),
      address("localhost:0"),
      address("localhost:65536"),
      address("localhost:8x"),
      address(std::string(300, 'a') + ":80"),
      model(""),
      model(std::string(10000, 'm')),
      version(""),
      version("0"),
      version("-1"),
      version("01"),
      version("1.0"),
      version("latest"),
      version("9223372036854775808"),
      {"inputs",
       [](Register& r) {
         for (int i = 0; i <= 1024; ++i) r.mutable_worker()->add_outputs();
       }},
      {"state", [](Register& r) { r.clear_state(); }},
      {"state", [](Register& r) { r.set_state(static_cast<v1::WorkerState>(77)); }},
  };
  for (const Row& row : rows) {
    Register registration = ARegistration("w");
    row.spoil(registration);
    const absl::Status status = Check(registration);
    CAPTURE(row.field, std::string(status.message()));
    CHECK(absl::IsInvalidArgument(status));
    CHECK(BadField(status) == row.field);
    CHECK(status.message().size() <= kMaxErrorText);
  }
}

TEST_CASE("CheckRegistration: an empty registration is refused", "[registry][state]") {
  CHECK(BadField(Check({})) == "worker_id");
}

}  // namespace
}  // namespace torchfleet::registry
