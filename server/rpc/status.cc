#include "server/rpc/status.h"

#include <map>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/random.h"
#include "base/strings.h"
#include "google/rpc/status.pb.h"

namespace beamline::server::rpc {
namespace {

constexpr std::string_view kTypePrefix = "type.googleapis.com/";
// gRPC sends messages and details as headers, which peers bound (8 KiB by default).
constexpr size_t kMaxMessageBytes = 2000;
constexpr size_t kMaxDetailsBytes = 5000;
constexpr size_t kMaxLoggedBytes = 500;

// As much of `text` as fits, cut between characters of UTF-8.
std::string Shorten(std::string_view text, size_t limit) {
  if (text.size() <= limit) return std::string(text);
  size_t end = limit;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return absl::StrCat(A(text.substr(0, end)), "...");
}

// Without characters that could end the line or steer a terminal.
std::string OneLine(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

// A serialised google.rpc.Status, empty if there are no details. Details that do not fit are left
// out: the message says the most important.
std::string Details(const absl::Status& status, const std::string& message) {
  std::map<std::string, std::string> payloads;
  status.ForEachPayload([&](absl::string_view type_url, const absl::Cord& payload) {
    if (S(type_url).substr(0, kTypePrefix.size()) == kTypePrefix) {
      payloads[std::string(type_url)] = std::string(payload);
    }
  });
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(message);
  for (auto& [type_url, payload] : payloads) {
    auto* const detail = details.add_details();
    detail->set_type_url(type_url);
    detail->set_value(std::move(payload));
    if (details.ByteSizeLong() > kMaxDetailsBytes) details.mutable_details()->RemoveLast();
  }
  return details.details_size() > 0 ? details.SerializeAsString() : std::string();
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status, std::string_view method, std::string_view caller,
                    std::string_view peer) {
  if (status.ok()) return grpc::Status::OK;
  const std::string logged = OneLine(Shorten(S(status.message()), kMaxLoggedBytes));
  const std::string who = caller.empty() ? std::string("anonymous") : std::string(caller);
  const auto code = static_cast<grpc::StatusCode>(status.code());
  if (absl::IsInternal(status) || absl::IsUnknown(status)) {
    const std::string id = HexEncode(SystemRandom().Bytes(6));
    log::Error("%s by %s from %s: %s [error %s]: %s", method, who, peer,
               absl::StatusCodeToString(status.code()), id, logged);
    return {code,
            absl::StrCat("the server made a mistake: its log has the details under error ", id)};
  }
  log::Info("%s by %s from %s: %s: %s", method, who, peer, absl::StatusCodeToString(status.code()),
            logged);
  const std::string message = Shorten(S(status.message()), kMaxMessageBytes);
  return {code, message, Details(status, message)};
}

}  // namespace beamline::server::rpc
