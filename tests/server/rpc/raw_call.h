// Calls without stubs: any method, any bytes.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/generic/generic_stub.h>

#include <memory>
#include <string>

namespace beamline::server::rpc {

// One unary call of any method with these bytes, whatever they are; `answer`, if not null, gets the
// bytes that come back.
inline grpc::Status RawCall(const std::shared_ptr<grpc::Channel>& channel,
                            grpc::ClientContext& context, const std::string& method,
                            const std::string& request, std::string* answer = nullptr) {
  grpc::GenericStub stub(channel);
  grpc::CompletionQueue queue;
  const grpc::Slice slice(request);
  const grpc::ByteBuffer out(&slice, 1);
  const auto call = stub.PrepareUnaryCall(&context, method, out, &queue);
  call->StartCall();
  grpc::ByteBuffer in;
  grpc::Status status;
  call->Finish(&in, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  grpc::Slice bytes;
  if (answer != nullptr && status.ok() && in.DumpToSingleSlice(&bytes).ok()) {
    answer->assign(reinterpret_cast<const char*>(bytes.begin()), bytes.size());
  }
  return status;
}

}  // namespace beamline::server::rpc
