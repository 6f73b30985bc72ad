#pragma once
// What a gateway tells a worker of a call that it passes on.

namespace torchfleet::wire {

// Whose it is: any text, the same for all calls of one caller. Workers share
// themselves out among callers by it.
inline constexpr char kCallerHeader[] = "torchfleet-caller";
// MODEL/VERSION that a rule chose for it, where the request names others: an alias,
// or a model that stands for this one.
inline constexpr char kRouteHeader[] = "torchfleet-route";

}  // namespace torchfleet::wire
