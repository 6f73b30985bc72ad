#pragma once
// Which store a registry keeps, as its --store flag says:
//
//   memory        in this process
//   sqlite:PATH   the catalogue in that file, live keys in this process
//   etcd:HOST:PORT[,HOST:PORT…][/PREFIX]
//                 all of it in that cluster, shared by any number of registries

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "registry/store/store.h"

namespace torchfleet::registry {

inline constexpr std::string_view kDefaultStore = "sqlite:registry.db";

// INVALID_ARGUMENT for another text; else as the store's Open. Borrows the
// clock.
absl::StatusOr<std::unique_ptr<Store>> OpenStore(std::string_view text, const Clock& clock);

// The PATH of sqlite:PATH. INVALID_ARGUMENT for another store.
absl::StatusOr<std::string> SqlitePath(std::string_view text);

}  // namespace torchfleet::registry
