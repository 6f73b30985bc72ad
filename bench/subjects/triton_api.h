#pragma once
// The part of Triton's C interface that triton_backend.cc uses, as the wheel that
// brings the server has no headers. Handles are Triton's own; a TritonError is null
// where all is well.

#include <cstdint>

extern "C" {

struct TRITONSERVER_Error;
struct TRITONBACKEND_Input;
struct TRITONBACKEND_Model;
struct TRITONBACKEND_ModelInstance;
struct TRITONBACKEND_Output;
struct TRITONBACKEND_Request;
struct TRITONBACKEND_Response;

using TritonError = TRITONSERVER_Error*;

// Values of Triton's enums.
inline constexpr int kTritonInternal = 1;      // TRITONSERVER_ERROR_INTERNAL
inline constexpr int kTritonFp32 = 11;         // TRITONSERVER_TYPE_FP32
inline constexpr uint32_t kTritonFinal = 1;    // TRITONSERVER_RESPONSE_COMPLETE_FINAL
inline constexpr uint32_t kTritonRelease = 1;  // TRITONSERVER_REQUEST_RELEASE_ALL

TritonError TRITONSERVER_ErrorNew(int code, const char* message);

TritonError TRITONBACKEND_ModelRepository(TRITONBACKEND_Model* model, int* kind,
                                          const char** location);
TritonError TRITONBACKEND_ModelVersion(TRITONBACKEND_Model* model, uint64_t* version);
TritonError TRITONBACKEND_ModelInstanceModel(TRITONBACKEND_ModelInstance* instance,
                                             TRITONBACKEND_Model** model);
TritonError TRITONBACKEND_ModelInstanceSetState(TRITONBACKEND_ModelInstance* instance, void* state);
TritonError TRITONBACKEND_ModelInstanceState(TRITONBACKEND_ModelInstance* instance, void** state);

TritonError TRITONBACKEND_RequestInputByIndex(TRITONBACKEND_Request* request, uint32_t index,
                                              TRITONBACKEND_Input** input);
TritonError TRITONBACKEND_RequestRelease(TRITONBACKEND_Request* request, uint32_t flags);
TritonError TRITONBACKEND_InputProperties(TRITONBACKEND_Input* input, const char** name,
                                          int* datatype, const int64_t** shape,
                                          uint32_t* dimensions, uint64_t* bytes, uint32_t* buffers);
TritonError TRITONBACKEND_InputBuffer(TRITONBACKEND_Input* input, uint32_t index,
                                      const void** buffer, uint64_t* bytes, int* memory_kind,
                                      int64_t* memory_id);

TritonError TRITONBACKEND_ResponseNew(TRITONBACKEND_Response** response,
                                      TRITONBACKEND_Request* request);
TritonError TRITONBACKEND_ResponseOutput(TRITONBACKEND_Response* response,
                                         TRITONBACKEND_Output** output, const char* name,
                                         int datatype, const int64_t* shape, uint32_t dimensions);
TritonError TRITONBACKEND_OutputBuffer(TRITONBACKEND_Output* output, void** buffer, uint64_t bytes,
                                       int* memory_kind, int64_t* memory_id);
// Takes the response, and copies the error.
TritonError TRITONBACKEND_ResponseSend(TRITONBACKEND_Response* response, uint32_t flags,
                                       TritonError error);

// Nanoseconds of a clock that only goes forward.
TritonError TRITONBACKEND_ModelInstanceReportStatistics(TRITONBACKEND_ModelInstance* instance,
                                                        TRITONBACKEND_Request* request, bool ok,
                                                        uint64_t begun, uint64_t compute_begun,
                                                        uint64_t compute_ended, uint64_t ended);
TritonError TRITONBACKEND_ModelInstanceReportBatchStatistics(TRITONBACKEND_ModelInstance* instance,
                                                             uint64_t rows, uint64_t begun,
                                                             uint64_t compute_begun,
                                                             uint64_t compute_ended,
                                                             uint64_t ended);
}  // extern "C"
