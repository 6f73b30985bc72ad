#pragma once
// The metadata by which a gateway tells a worker whose call it passes on: any
// text, the same for all calls of one caller. Workers share themselves out among
// callers by it.

namespace torchfleet::wire {

inline constexpr char kCallerHeader[] = "torchfleet-caller";

}  // namespace torchfleet::wire
