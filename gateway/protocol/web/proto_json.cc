#include "gateway/protocol/web/proto_json.h"

#include <google/protobuf/message.h>

#include <nlohmann/json.hpp>

namespace torchfleet::gateway {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using Json = nlohmann::ordered_json;

Json MessageJson(const Message& message);

// The value of a field, or of one element of a repeated one.
Json ValueJson(const Message& message, const FieldDescriptor& field, int index) {
  const Reflection& read = *message.GetReflection();
  const bool one = index < 0;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return one ? read.GetInt32(message, &field) : read.GetRepeatedInt32(message, &field, index);
    case FieldDescriptor::CPPTYPE_INT64:
      return one ? read.GetInt64(message, &field) : read.GetRepeatedInt64(message, &field, index);
    case FieldDescriptor::CPPTYPE_UINT32:
      return one ? read.GetUInt32(message, &field) : read.GetRepeatedUInt32(message, &field, index);
    case FieldDescriptor::CPPTYPE_UINT64:
      return one ? read.GetUInt64(message, &field) : read.GetRepeatedUInt64(message, &field, index);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return one ? read.GetDouble(message, &field) : read.GetRepeatedDouble(message, &field, index);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return one ? read.GetFloat(message, &field) : read.GetRepeatedFloat(message, &field, index);
    case FieldDescriptor::CPPTYPE_BOOL:
      return one ? read.GetBool(message, &field) : read.GetRepeatedBool(message, &field, index);
    case FieldDescriptor::CPPTYPE_ENUM:
      return (one ? read.GetEnum(message, &field) : read.GetRepeatedEnum(message, &field, index))
          ->name();
    case FieldDescriptor::CPPTYPE_STRING:
      return one ? read.GetString(message, &field) : read.GetRepeatedString(message, &field, index);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return MessageJson(one ? read.GetMessage(message, &field)
                             : read.GetRepeatedMessage(message, &field, index));
  }
  return nullptr;
}

std::string KeyText(const Json& key) {
  return key.is_string() ? key.get<std::string>() : key.dump();
}

Json RepeatedJson(const Message& message, const FieldDescriptor& field) {
  const Reflection& read = *message.GetReflection();
  Json all = field.is_map() ? Json::object() : Json::array();
  for (int i = 0; i < read.FieldSize(message, &field); ++i) {
    if (field.is_map()) {
      const Message& entry = read.GetRepeatedMessage(message, &field, i);
      const auto& type = *field.message_type();
      all[KeyText(ValueJson(entry, *type.map_key(), -1))] = ValueJson(entry, *type.map_value(), -1);
    } else {
      all.push_back(ValueJson(message, field, i));
    }
  }
  return all;
}

Json MessageJson(const Message& message) {
  const Reflection& read = *message.GetReflection();
  const auto& type = *message.GetDescriptor();
  Json object = Json::object();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (field.is_repeated()) {
      object[field.name()] = RepeatedJson(message, field);
    } else if (!field.has_presence() || read.HasField(message, &field)) {
      object[field.name()] = ValueJson(message, field, -1);
    }
  }
  return object;
}

}  // namespace

std::string ToJson(const Message& message) {
  return MessageJson(message).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace torchfleet::gateway
