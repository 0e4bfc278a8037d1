#include "auth/https_get.h"

#include <curl/curl.h>

#include <memory>
#include <mutex>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace beamline::auth {
namespace {

constexpr size_t kMaxBytes = 1 << 20;
constexpr long kConnectTimeoutMs = 5'000;
constexpr long kTimeoutMs = 10'000;

struct FreeCurl {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};

size_t Append(char* data, size_t size, size_t count, void* target) {
  auto& body = *static_cast<std::string*>(target);
  const size_t bytes = size * count;
  if (body.size() + bytes > kMaxBytes) return 0;
  body.append(data, bytes);
  return bytes;
}

// libcurl calls it while data comes, and else about every second; what is not 0 ends the transfer.
int Progress(void* stopped, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return (*static_cast<const std::function<bool()>*>(stopped))() ? 1 : 0;
}

}  // namespace

absl::StatusOr<std::string> HttpsGet(const std::string& url, const std::string& ca_file,
                                     const std::function<bool()>& stopped) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  const std::unique_ptr<CURL, FreeCurl> curl(curl_easy_init());
  if (curl == nullptr) return absl::InternalError("libcurl does not start");
  std::string body;
  char reason[CURL_ERROR_SIZE] = "";
  CURL* const handle = curl.get();
  curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "https");
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, kTimeoutMs);
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, reason);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, Append);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &body);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, Progress);
  curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &stopped);
  if (!ca_file.empty()) {
    curl_easy_setopt(handle, CURLOPT_CAINFO, ca_file.c_str());
    curl_easy_setopt(handle, CURLOPT_CAPATH, nullptr);
  }
  const CURLcode result = curl_easy_perform(handle);
  if (result == CURLE_WRITE_ERROR) {
    return absl::ResourceExhaustedError(absl::StrCat(url, " answers with more than 1 MiB"));
  }
  if (result != CURLE_OK) {
    return absl::UnavailableError(
        absl::StrCat(url, ": ", reason[0] != '\0' ? reason : curl_easy_strerror(result)));
  }
  long code = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &code);
  if (code != 200) return absl::UnavailableError(absl::StrCat(url, " answers with HTTP ", code));
  return body;
}

}  // namespace beamline::auth
