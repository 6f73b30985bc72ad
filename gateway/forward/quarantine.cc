#include "gateway/forward/quarantine.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "wire/wire_reader.h"

namespace torchfleet::gateway {
namespace {

constexpr size_t kGrpcPrefix = 5;
constexpr uint32_t kIdField = 3;

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

bool Quarantine::Died(uint64_t fingerprint, std::string_view model, const Process& worker,
                      Instant now) {
  const std::lock_guard lock(mu_);
  Expire(now);
  const auto known = Find(fingerprint);
  if (known == suspects_.end()) {
    if (suspects_.size() >= kMost) Erase(suspects_.begin());
    suspects_.push_back({.entry = {.fingerprint = fingerprint,
                                   .model = std::string(model),
                                   .workers = {worker.address},
                                   .since = now},
                         .worker = worker});
    return false;
  }
  if (!known->held && known->worker != worker) {
    known->held = true;
    known->entry.workers.push_back(worker.address);
    held_.fetch_add(1, std::memory_order_relaxed);
  }
  return known->held;
}

void Quarantine::Cleared(uint64_t fingerprint) {
  const std::lock_guard lock(mu_);
  if (const auto known = Find(fingerprint); known != suspects_.end()) Erase(known);
}

bool Quarantine::Holds(uint64_t fingerprint, Instant now) {
  const std::lock_guard lock(mu_);
  Expire(now);
  const auto known = Find(fingerprint);
  if (known == suspects_.end() || !known->held) return false;
  ++known->entry.refused;
  return true;
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
    if (suspect.held) entries.push_back(suspect.entry);
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
