#include "tests/unit/model-worker/archive_builder.h"

#include <zlib.h>

namespace torchfleet::worker {
namespace {

void Append16(std::string& to, uint64_t number) {
  to.append({static_cast<char>(number), static_cast<char>(number >> 8)});
}
void Append32(std::string& to, uint64_t number) {
  Append16(to, number);
  Append16(to, number >> 16);
}
void Append64(std::string& to, uint64_t number) {
  Append32(to, number);
  Append32(to, number >> 32);
}

std::string Deflate(const std::string& content) {
  z_stream stream = {};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, content.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

struct Written {
  const PlannedEntry& plan;
  uint64_t offset;
  uint64_t crc;
  uint64_t packed_size;
};

// Both headers from the flags on, up to the lengths of name and extra bytes.
void AppendFields(std::string& to, const Written& entry, bool follow, size_t extra_size) {
  const bool zeros = follow && entry.plan.sizes_follow;
  Append16(to, entry.plan.sizes_follow ? 0x808 : 0x800);
  Append16(to, entry.plan.deflated ? 8 : 0);
  Append32(to, 0);  // the time
  Append32(to, zeros ? 0 : entry.crc);
  const auto append_size = [&](uint64_t size) {
    Append32(to, zeros ? 0 : entry.plan.large ? 0xFFFFFFFF : size);
  };
  append_size(entry.packed_size);
  append_size(entry.plan.content.size());
  Append16(to, entry.plan.name.size());
  Append16(to, extra_size);
}

std::string Extra(const Written& entry, bool with_offset) {
  std::string extra;
  if (entry.plan.large) {
    Append16(extra, 1);
    Append16(extra, with_offset ? 24 : 16);
    Append64(extra, entry.plan.content.size());
    Append64(extra, entry.packed_size);
    if (with_offset) Append64(extra, entry.offset);
  }
  return extra + entry.plan.extra;
}

Written AppendEntry(std::string& archive, const PlannedEntry& plan) {
  const std::string packed = plan.deflated ? Deflate(plan.content) : plan.content;
  const Written entry = {plan, archive.size(),
                         crc32(0, reinterpret_cast<const Bytef*>(plan.content.data()),
                               static_cast<uInt>(plan.content.size())),
                         packed.size()};
  const std::string extra = Extra(entry, false);
  archive += "PK\3\4";
  Append16(archive, 20);
  AppendFields(archive, entry, true, extra.size());
  archive += plan.name + extra + packed;
  if (plan.sizes_follow) {
    archive += "PK\7\10";
    Append32(archive, entry.crc);
    Append32(archive, entry.packed_size);
    Append32(archive, plan.content.size());
  }
  return entry;
}

void AppendToDirectory(std::string& archive, const Written& entry) {
  const std::string extra = Extra(entry, true);
  archive += "PK\1\2";
  Append16(archive, 20);
  Append16(archive, 20);
  AppendFields(archive, entry, false, extra.size());
  archive.append(10, '\0');  // comment, disk, attributes
  Append32(archive, entry.plan.large ? 0xFFFFFFFF : entry.offset);
  archive += entry.plan.name + extra;
}

void AppendEnd64(std::string& archive, uint64_t entries, uint64_t size, uint64_t offset) {
  const uint64_t place = archive.size();
  archive += "PK\6\6";
  Append64(archive, 44);
  Append16(archive, 45);
  Append16(archive, 45);
  Append64(archive, 0);  // disks
  for (const uint64_t number : {entries, entries, size, offset}) Append64(archive, number);
  archive += "PK\6\7";
  Append32(archive, 0);
  Append64(archive, place);
  Append32(archive, 1);
}

}  // namespace

std::string BuildArchive(const ArchivePlan& plan) {
  std::string archive;
  std::vector<Written> written;
  for (const PlannedEntry& entry : plan.entries) written.push_back(AppendEntry(archive, entry));
  const uint64_t offset = archive.size();
  for (const Written& entry : written) AppendToDirectory(archive, entry);
  const uint64_t size = archive.size() - offset;
  if (plan.large) AppendEnd64(archive, written.size(), size, offset);
  archive += "PK\5\6";
  Append32(archive, 0);  // disks
  Append16(archive, plan.large ? 0xFFFF : written.size());
  Append16(archive, plan.large ? 0xFFFF : written.size());
  Append32(archive, plan.large ? 0xFFFFFFFF : size);
  Append32(archive, plan.large ? 0xFFFFFFFF : offset);
  Append16(archive, plan.comment.size());
  return archive + plan.comment;
}

}  // namespace torchfleet::worker
