#include "gateway/forward/quarantine.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "wire/wire_reader.h"

namespace torchfleet::gateway {
namespace {

constexpr size_t kGrpcPrefix = 5;
constexpr uint32_t kIdField = 3;
// Nobody needs to know of more.
constexpr size_t kMostDead = 64;

// Eight bytes at a time, each mixed into all bits (the finalizer of MurmurHash3).
uint64_t Mix(uint64_t hash, std::string_view bytes) {
  const auto stir = [&hash](uint64_t word) {
    hash = (hash ^ word) * 0xFF51AFD7ED558CCDU;
    hash = (hash ^ (hash >> 33)) * 0xC4CEB9FE1A85EC53U;
    hash ^= hash >> 33;
  };
  stir(bytes.size());
  while (!bytes.empty()) {
    uint64_t word = 0;
    const size_t size = std::min(bytes.size(), sizeof word);
    std::memcpy(&word, bytes.data(), size);
    stir(word);
    bytes.remove_prefix(size);
  }
  return hash;
}

}  // namespace

std::optional<uint64_t> Fingerprint(std::string_view body) {
  if (body.size() < kGrpcPrefix) return std::nullopt;
  body.remove_prefix(kGrpcPrefix);
  wire::BasicWireReader reader{wire::ContiguousBytes(body)};
  uint64_t hash = 0;
  while (!reader.AtEnd()) {
    const char* const begin = reader.bytes().at();
    uint32_t tag;
    if (!reader.ReadTag(tag) || !reader.SkipField(tag, wire::kMaxNesting)) return std::nullopt;
    if (tag >> 3 == kIdField) continue;
    hash = Mix(hash, {begin, static_cast<size_t>(reader.bytes().at() - begin)});
  }
  return hash;
}

Quarantine::Verdict Quarantine::Died(uint64_t fingerprint, std::string_view model,
                                     const Process& worker, Instant now) {
  const std::lock_guard lock(mu_);
  Expire(now);
  auto known = Find(fingerprint);
  if (known == suspects_.end()) {
    if (suspects_.size() >= kMost) Erase(suspects_.begin());
    known = suspects_.emplace(suspects_.end());
    known->entry.fingerprint = fingerprint;
    known->entry.model = model;
    known->entry.since = now;
  }
  auto& dead = known->dead;
  if (std::find(dead.begin(), dead.end(), worker) == dead.end()) {
    if (dead.size() < kMostDead) {
      dead.push_back(worker);
      known->entry.workers.push_back(worker.address);
    }
    if (std::exchange(known->tried, false)) known->trial.reset();
  }
  if (!known->held && dead.size() > 1) {
    known->held = now;
    held_.fetch_add(1, std::memory_order_relaxed);
  }
  if (NoteDeath(model, worker, now)) Doubt(model, now);
  return Of(*known);
}

bool Quarantine::NoteDeath(std::string_view model, const Process& worker, Instant now) {
  while (!deaths_.empty() && now - deaths_.front().at > kTogether) deaths_.pop_front();
  size_t dead = 0;
  bool again = false;
  for (const Death& death : deaths_) {
    if (death.model != model) continue;
    ++dead;
    again = again || death.worker == worker;
  }
  if (!again && deaths_.size() < kMost) {
    deaths_.push_back({.model = std::string(model), .worker = worker, .at = now});
    ++dead;
  }
  return dead >= kCrowd;
}

// Whoever was tried came in earlier.
void Quarantine::Doubt(std::string_view model, Instant now) {
  for (Suspect& suspect : suspects_) {
    const bool came = suspect.held && now - *suspect.held <= kTogether;
    if (came && suspect.entry.model == model) suspect.trial = now + kTrialAfter;
  }
}

Quarantine::Verdict Quarantine::Of(const Suspect& suspect) {
  if (!suspect.held) return Verdict::kFree;
  return suspect.trial ? Verdict::kDoubted : Verdict::kHeld;
}

void Quarantine::Cleared(uint64_t fingerprint) {
  const std::lock_guard lock(mu_);
  if (const auto known = Find(fingerprint); known != suspects_.end()) Erase(known);
}

Quarantine::Verdict Quarantine::Ask(uint64_t fingerprint, Instant now) {
  const std::lock_guard lock(mu_);
  Expire(now);
  const auto known = Find(fingerprint);
  if (known == suspects_.end()) return Verdict::kFree;
  if (known->trial && now >= *known->trial) {
    known->trial = now + kTrialAfter;
    known->tried = true;
    return Verdict::kTrial;
  }
  if (known->held) ++known->entry.refused;
  return Of(*known);
}

bool Quarantine::Release(uint64_t fingerprint) {
  const std::lock_guard lock(mu_);
  const auto known = Find(fingerprint);
  if (known == suspects_.end() || !known->held) return false;
  Erase(known);
  return true;
}

std::vector<Quarantine::Entry> Quarantine::List(Instant now) {
  const std::lock_guard lock(mu_);
  Expire(now);
  std::vector<Entry> entries;
  for (const Suspect& suspect : suspects_) {
    if (!suspect.held) continue;
    entries.push_back(suspect.entry);
    entries.back().doubted = suspect.trial.has_value();
  }
  return entries;
}

Quarantine::Suspects::iterator Quarantine::Find(uint64_t fingerprint) {
  return std::find_if(suspects_.begin(), suspects_.end(), [&](const Suspect& suspect) {
    return suspect.entry.fingerprint == fingerprint;
  });
}

void Quarantine::Expire(Instant now) {
  while (!suspects_.empty() && now - suspects_.front().entry.since >= kLasts) {
    Erase(suspects_.begin());
  }
}

void Quarantine::Erase(Suspects::iterator suspect) {
  if (suspect->held) held_.fetch_sub(1, std::memory_order_relaxed);
  suspects_.erase(suspect);
}

}  // namespace torchfleet::gateway
