// Any message to any method: the server answers each, says never that it is its own fault, and goes
// on. BEAMLINE_FUZZ_CALLS and BEAMLINE_FUZZ_SEED make more calls than the test does, or others.
#include <grpcpp/generic/generic_stub.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "base/strings.h"
#include "tests/server/rpc/populated.h"

namespace beamline::server::rpc {
namespace {

using grpc::StatusCode;

// The status of a call of any kind, with these messages; answers are read, `most` of them, and
// thrown away.
grpc::Status CallAnyway(const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext& context,
                        const std::string& method, const std::vector<std::string>& messages,
                        int most) {
  grpc::GenericStub stub(channel);
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareCall(&context, method, &queue);
  const auto done = [&] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  call->StartCall(nullptr);
  bool open = done();
  for (size_t i = 0; i < messages.size() && open; ++i) {
    const grpc::Slice slice(messages[i]);
    call->Write(grpc::ByteBuffer(&slice, 1), nullptr);
    open = done();
  }
  if (open) {
    call->WritesDone(nullptr);
    done();
  }
  for (int read = 0;; ++read) {
    if (read == most) context.TryCancel();
    grpc::ByteBuffer answer;
    call->Read(&answer, nullptr);
    if (!done()) break;
  }
  grpc::Status status;
  call->Finish(&status, nullptr);
  done();
  return status;
}

class AnyMessageTest : public PopulatedTest {
 protected:
  AnyMessageTest() {
    NewProject("one");
    dataset_ = Upload("one", kPoints, admin_);
    Call call(admin_);
    v1::CreateRunRequest request;
    request.set_parent("projects/one");
    request.mutable_source()->set_yaml(kTinyPipeline);
    (*request.mutable_inputs())["points"] = dataset_;
    v1::Run run;
    const grpc::Status status = v1::RunService::NewStub(channel_)->CreateRun(&call, request, &run);
    EXPECT_TRUE(status.ok()) << status.error_message();
    texts_ = {"",
              "projects/one",
              "projects/two",
              dataset_,
              run.name(),
              run.name() + "/tasks/fit",
              "projects/one/pipelines/tiny",
              "projects/one/models/m/versions/1",
              "projects/one/models/m/stages/production",
              "users/a",
              "workers/host",
              "one",
              "a",
              "fit",
              "../../etc/passwd",
              "projects//runs/",
              "x,y\n1,2\n",
              kTinyPipeline,
              "name: [",
              "\xff\xfe",
              std::string("a\0b", 3),
              std::string(3000, 'a'),
              "9223372036854775808",
              std::string(64, '0'),
              "steps.fit.train.network.epochs"};
  }

  size_t Below(size_t count) { return random_() % count; }
  bool OneIn(size_t count) { return Below(count) == 0; }

  double Number() {
    static constexpr double kNumbers[] = {0, 1, -1, 0.5, 1e-9, 1e300, -1e300, 2147483647, 1e15};
    if (OneIn(12)) return std::numeric_limits<double>::quiet_NaN();
    if (OneIn(12)) return std::numeric_limits<double>::infinity();
    return kNumbers[Below(std::size(kNumbers))];
  }
  int64_t Integer() {
    static constexpr int64_t kIntegers[] = {
        0, 1, 2, 3, 100, 1000, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, -1, 1 << 20};
    return kIntegers[Below(std::size(kIntegers))];
  }
  std::string Text() {
    std::string text = texts_[Below(texts_.size())];
    if (OneIn(10) && !text.empty()) text[Below(text.size())] = static_cast<char>(random_());
    return text;
  }

  void SetValue(pb::Message& message, const pb::FieldDescriptor* field, int depth) {
    const pb::Reflection* in = message.GetReflection();
    const bool many = field->is_repeated();
    using F = pb::FieldDescriptor;
    const auto integer = Integer();
    switch (field->cpp_type()) {
      case F::CPPTYPE_INT32: {
        const auto value = static_cast<int32_t>(integer);
        many ? in->AddInt32(&message, field, value) : in->SetInt32(&message, field, value);
        return;
      }
      case F::CPPTYPE_INT64:
        many ? in->AddInt64(&message, field, integer) : in->SetInt64(&message, field, integer);
        return;
      case F::CPPTYPE_UINT32: {
        const auto value = static_cast<uint32_t>(integer);
        many ? in->AddUInt32(&message, field, value) : in->SetUInt32(&message, field, value);
        return;
      }
      case F::CPPTYPE_UINT64: {
        const auto value = static_cast<uint64_t>(integer);
        many ? in->AddUInt64(&message, field, value) : in->SetUInt64(&message, field, value);
        return;
      }
      case F::CPPTYPE_DOUBLE:
        many ? in->AddDouble(&message, field, Number()) : in->SetDouble(&message, field, Number());
        return;
      case F::CPPTYPE_FLOAT: {
        const auto value = static_cast<float>(Number());
        many ? in->AddFloat(&message, field, value) : in->SetFloat(&message, field, value);
        return;
      }
      case F::CPPTYPE_BOOL:
        many ? in->AddBool(&message, field, OneIn(2)) : in->SetBool(&message, field, OneIn(2));
        return;
      case F::CPPTYPE_ENUM: {
        const int value =
            OneIn(8)
                ? static_cast<int>(integer)
                : static_cast<int>(Below(static_cast<size_t>(field->enum_type()->value_count())));
        many ? in->AddEnumValue(&message, field, value) : in->SetEnumValue(&message, field, value);
        return;
      }
      case F::CPPTYPE_STRING: {
        std::string text = Text();
        // What is no UTF-8 is no message: the bytes below try that.
        if (field->type() == F::TYPE_STRING) {
          std::erase_if(text, [](char c) { return static_cast<signed char>(c) < 0; });
        }
        many ? in->AddString(&message, field, text) : in->SetString(&message, field, text);
        return;
      }
      case F::CPPTYPE_MESSAGE:
        Fill(many ? *in->AddMessage(&message, field) : *in->MutableMessage(&message, field),
             depth + 1);
        return;
    }
  }

  void Fill(pb::Message& message, int depth = 0) {
    if (depth > 8) return;
    const pb::Descriptor* type = message.GetDescriptor();
    for (int i = 0; i < type->field_count(); ++i) {
      const pb::FieldDescriptor* field = type->field(i);
      // Deep messages get fewer fields.
      if (!OneIn(depth == 0 ? 2 : 2 + static_cast<size_t>(type->field_count()) / 3)) continue;
      const size_t count = field->is_repeated() ? Below(4) : 1;
      for (size_t n = 0; n < count; ++n) SetValue(message, field, depth);
    }
  }

  std::string Bytes(const pb::Descriptor* type) {
    const std::unique_ptr<pb::Message> message(factory_.GetPrototype(type)->New());
    Fill(*message);
    std::string bytes = message->SerializeAsString();
    if (OneIn(6) && !bytes.empty()) bytes[Below(bytes.size())] = static_cast<char>(random_());
    if (OneIn(20)) bytes.resize(Below(bytes.size() + 1));
    return bytes;
  }

  bool AreMessages(const std::vector<std::string>& messages, const pb::Descriptor* type) {
    const std::unique_ptr<pb::Message> message(factory_.GetPrototype(type)->New());
    return std::all_of(messages.begin(), messages.end(),
                       [&](const std::string& bytes) { return message->ParseFromString(bytes); });
  }

  pb::DynamicMessageFactory factory_;
  std::mt19937_64 random_;
  std::string dataset_;
  std::vector<std::string> texts_;
};

int64_t Setting(const char* name, int64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::atoll(text) : otherwise;
}

TEST_F(AnyMessageTest, IsAnswered) {
  std::vector<const pb::MethodDescriptor*> methods;
  for (const auto* service : auth::Policy::Services()) {
    for (int i = 0; i < service->method_count(); ++i) methods.push_back(service->method(i));
  }
  const auto worker = NewWorker();
  const std::string user = NewUser("reader");
  random_.seed(static_cast<uint64_t>(Setting("BEAMLINE_FUZZ_SEED", 1)));
  const int64_t calls = Setting("BEAMLINE_FUZZ_CALLS", 3000);
  // The server's own fault, or a method that does not come to an end.
  const std::set<StatusCode> faults = {StatusCode::INTERNAL, StatusCode::UNKNOWN,
                                       StatusCode::UNAVAILABLE, StatusCode::DEADLINE_EXCEEDED};
  std::map<std::string, std::set<StatusCode>> seen;
  for (int64_t i = 0; i < calls; ++i) {
    const pb::MethodDescriptor* method = methods[Below(methods.size())];
    const std::string name =
        absl::StrCat("/", A(method->service()->full_name()), "/", A(method->name()));
    // Held back answers would make this long.
    if (method->name() == "WatchRun" && !OneIn(10)) continue;
    std::vector<std::string> messages;
    const size_t count = method->client_streaming() ? Below(4) : 1;
    for (size_t n = 0; n < count; ++n) messages.push_back(Bytes(method->input_type()));
    const bool as_worker = method->service()->name() == "WorkerService" && !OneIn(8);
    const bool may_wait = method->server_streaming() || method->name() == "Synchronize";
    Call context(as_worker ? "" : OneIn(10) ? user : admin_);
    if (may_wait) {
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(200));
    }
    const grpc::Status status =
        CallAnyway(as_worker ? worker : channel_, context, name, messages, 100);
    const bool waited = may_wait && status.error_code() == StatusCode::DEADLINE_EXCEEDED;
    seen[name].insert(status.error_code());
    EXPECT_TRUE(waited || !faults.contains(status.error_code()))
        << "call " << i << " of " << name << ": " << status.error_code() << " "
        << status.error_message();
    // Of bytes that are no such message gRPC itself says this, and no more.
    const bool garbled = status.error_code() == StatusCode::UNIMPLEMENTED &&
                         !AreMessages(messages, method->input_type());
    EXPECT_TRUE(status.ok() || waited || garbled || !status.error_message().empty())
        << "call " << i << " of " << name << ": " << status.error_code() << " without a word";
  }
  // Both what is done and what is refused was among them.
  size_t done = 0;
  for (const auto& [name, codes] : seen) done += codes.contains(StatusCode::OK) ? 1 : 0;
  EXPECT_GT(done, methods.size() / 3);
  // And the server does its work.
  NewProject("after");
  EXPECT_NE(Upload("after", kPoints, admin_), "");
}

}  // namespace
}  // namespace beamline::server::rpc
