// Who may call what. The rules are in the protos and nowhere else: the method option `permission`
// and the field option `resource` of beamline/v1/options.proto.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "auth/principal.h"
#include "beamline/v1/options.pb.h"

namespace google::protobuf {
class Descriptor;
class FieldDescriptor;
class Message;
class ServiceDescriptor;
}  // namespace google::protobuf

namespace beamline::auth {

// What one RPC declares.
struct Rule {
  v1::Permission permission = v1::PERMISSION_UNSPECIFIED;
  // The field that names the resource; null unless `permission` is a PERMISSION_PROJECT_*.
  const google::protobuf::FieldDescriptor* resource = nullptr;
  const google::protobuf::Descriptor* request = nullptr;
  // It does more than read, see options.proto.
  bool changes = false;
  // It is what workers do all the time: the audit has only refusals of it.
  bool routine = false;
};

// Immutable after construction, thread-safe.
class Policy {
 public:
  // The services of beamline.v1.
  Policy();
  // Only these. A method without a declaration, or a PERMISSION_PROJECT_* method whose request has
  // not exactly one string field marked `resource`, gets no rule and is refused to everyone.
  explicit Policy(const std::vector<const google::protobuf::ServiceDescriptor*>& services);

  // OK if `caller` may make this call. `full_method` as on the wire:
  // "/beamline.v1.RunService/GetRun".
  //
  // UNAUTHENTICATED: anonymous, and the method is not public.
  // NOT_FOUND: the caller is no member of the project (which need not exist: both read the same).
  // PERMISSION_DENIED: known to the caller, but not allowed; says which role or right is needed.
  // INVALID_ARGUMENT: the resource field is no resource name; with google.rpc.BadRequest details.
  // INTERNAL: no rule for the method, or `request` is not its type. Denied by default.
  absl::Status Allow(const Principal& caller, std::string_view full_method,
                     const google::protobuf::Message& request) const;

  // By full method. For tests and documentation.
  const std::map<std::string, Rule, std::less<>>& rules() const { return rules_; }

  // The services of beamline.v1, in the order of their files.
  static std::vector<const google::protobuf::ServiceDescriptor*> Services();

 private:
  std::map<std::string, Rule, std::less<>> rules_;
};

// P of "projects/P" or "projects/P/...". InvalidArgument if `name` does not begin so or P is no
// valid id.
absl::StatusOr<std::string> ProjectOf(std::string_view name);

}  // namespace beamline::auth
