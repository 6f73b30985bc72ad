#pragma once
// Quarantine for operators, over HTTP:
//
//   GET /quarantine                  {"quarantine":[{"fingerprint":"00c0…","model":…,
//                                      "age_seconds":…,"refused":…,"workers":[…]}]}
//   DELETE /quarantine/FINGERPRINT   lets it out: 200; 404 when it is not in
//
// A fingerprint is 16 hexadecimal digits. `workers` are the addresses of those that
// died.

#include "base/clock.h"
#include "base/operator_page.h"
#include "gateway/forward/quarantine.h"

namespace torchfleet::gateway {

OperatorAnswer QuarantinePage(Quarantine& quarantine, const OperatorRequest& request, Instant now);

}  // namespace torchfleet::gateway
