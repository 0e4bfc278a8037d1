#include "pipeline/ingest/spill.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "pipeline/ingest/decompress.h"

namespace beamline::pipeline {
namespace {

[[noreturn]] void FailFile(const char* what, int error) {
  const std::string message =
      engine::Concat("cannot ", what, " a temporary file: ", std::strerror(error));
  if (error == ENOSPC || error == EDQUOT) throw LimitError(message);
  throw engine::Error(message);
}

}  // namespace

void SpillStore::Append(std::string_view bytes) {
  if (!fd_ && size_ + bytes.size() <= memory_bytes_) {
    memory_.Append(bytes);
  } else {
    if (!fd_) Open();
    Write(bytes);
  }
  size_ += bytes.size();
}

void SpillStore::Open() {
  std::string path = folder_ + "/ingest.XXXXXX";
  fd_ = UniqueFd(mkostemp(path.data(), O_CLOEXEC));
  if (!fd_) FailFile("create", errno);
  unlink(path.c_str());
  if (size_ == 0) return;
  const std::shared_ptr<const void> kept = memory_.Finish();
  Write({static_cast<const char*>(kept.get()), size_});
}

void SpillStore::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) FailFile("write", errno);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

std::shared_ptr<const void> SpillStore::Finish() {
  if (!fd_) return memory_.Finish();
  void* const data = mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd_.get(), 0);
  if (data == MAP_FAILED) FailFile("map", errno);
  return {data, [size = size_](const void* p) { munmap(const_cast<void*>(p), size); }};
}

}  // namespace beamline::pipeline
