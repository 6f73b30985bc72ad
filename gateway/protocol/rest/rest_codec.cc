#include "gateway/protocol/rest/rest_codec.h"

#include "gateway/protocol/rest/answer_writer.h"
#include "gateway/protocol/rest/request_reader.h"

namespace torchfleet::gateway::rest {

RestCodec::RestCodec(const RestLimits& limits)
    : reader_(std::make_unique<RequestReader>(limits)), writer_(std::make_unique<AnswerWriter>()) {}

RestCodec::~RestCodec() = default;

bool RestCodec::IsRaw(const RestCall& call) {
  return call.inference_header_length && !call.inference_header_length->empty() &&
         call.inference_header_length->find_first_not_of('0') == std::string_view::npos;
}

absl::StatusOr<RestRequest> RestCodec::ReadInfer(const RestCall& call, const ModelSpec* spec) {
  return reader_->ReadInfer(call, spec);
}

absl::StatusOr<RestRequest> RestCodec::ReadV1Predict(const RestCall& call, const ModelSpec& spec) {
  return reader_->ReadV1Predict(call, spec);
}

absl::StatusOr<RestRequest> RestCodec::ReadPlainPredict(const RestCall& call,
                                                        const ModelSpec& spec) {
  return reader_->ReadPlainPredict(call, spec);
}

absl::StatusOr<RestRequest> RestCodec::ReadGenerate(const RestCall& call, const ModelSpec& spec) {
  return reader_->ReadGenerate(call, spec, AnswerForm::Kind::kGenerate);
}

absl::StatusOr<RestRequest> RestCodec::ReadGenerateStream(const RestCall& call,
                                                          const ModelSpec& spec) {
  return reader_->ReadGenerate(call, spec, AnswerForm::Kind::kEvent);
}

absl::StatusOr<RestAnswer> RestCodec::WriteAnswer(std::string_view response,
                                                  const AnswerForm& form) {
  return writer_->Write(response, form);
}

}  // namespace torchfleet::gateway::rest
