#include "pipeline/archive.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "engine/core/error.h"
#include "engine/data/text.h"

namespace beamline::pipeline {
namespace {

namespace fs = std::filesystem;

using engine::data::Quoted;

constexpr int64_t kBlock = 512;
constexpr size_t kNameBytes = 100;
constexpr size_t kPrefixBytes = 155;
constexpr int kMaxDepth = 32;

// The fields of a header: where each begins and how long it is.
struct Field {
  size_t at;
  size_t size;
};
constexpr Field kName{0, kNameBytes}, kMode{100, 8}, kOwner{108, 8}, kGroup{116, 8}, kSize{124, 12},
    kTime{136, 12}, kChecksum{148, 8}, kType{156, 1}, kMagic{257, 8}, kPrefix{345, kPrefixBytes};

using Header = std::array<char, kBlock>;

void Put(Header& header, Field field, std::string_view text) {
  std::copy(text.begin(), text.end(), header.begin() + static_cast<ptrdiff_t>(field.at));
}
void PutOctal(Header& header, Field field, int64_t value) {
  Put(header, field, absl::StrFormat("%0*o", field.size - 1, value));
}
std::string_view Get(const Header& header, Field field) {
  const std::string_view text(header.data() + field.at, field.size);
  return text.substr(0, text.find('\0'));
}
int64_t Checksum(Header header) {
  Put(header, kChecksum, "        ");
  int64_t sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  return sum;
}

Header MakeHeader(const std::string& path, int64_t size, bool executable) {
  Header header{};
  const size_t slash = path.rfind('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  const std::string prefix = slash == std::string::npos ? "" : path.substr(0, slash);
  if (name.size() > kNameBytes || prefix.size() > kPrefixBytes) {
    engine::Fail(Quoted(path), " is too long a name: at most ", kNameBytes,
                 " bytes, in folders of ", kPrefixBytes);
  }
  Put(header, kName, name);
  Put(header, kPrefix, prefix);
  PutOctal(header, kMode, executable ? 0755 : 0644);
  PutOctal(header, kOwner, 0);
  PutOctal(header, kGroup, 0);
  PutOctal(header, kSize, size);
  PutOctal(header, kTime, 0);
  Put(header, kType, "0");
  Put(header, kMagic, std::string_view("ustar\00000", 8));
  PutOctal(header, {kChecksum.at, 7}, Checksum(header));
  header[kChecksum.at + 7] = ' ';
  return header;
}

[[noreturn]] void FailAt(const std::string& path, const char* what) {
  engine::Fail("cannot ", what, " ", path, ": ", std::strerror(errno));
}

class Writer {
 public:
  Writer(const std::string& path, const ArchiveLimits& limits)
      : path_(path),
        limits_(limits),
        out_(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)) {
    if (!out_) FailAt(path, "write");
  }

  void AddBytes(const std::string& name, std::string_view bytes) {
    const Header header = MakeHeader(name, static_cast<int64_t>(bytes.size()), false);
    Write({header.data(), header.size()});
    Write(bytes);
    Pad(static_cast<int64_t>(bytes.size()));
  }

  // All that is in the folder `fd`, called `name`.
  void AddFolder(UniqueFd fd, const std::string& name, int depth) {
    if (depth > kMaxDepth)
      engine::Fail(Quoted(name), " lies too deep: at most ", kMaxDepth, " folders");
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(fdopendir(fd.get()), closedir);
    if (folder == nullptr) FailAt(Quoted(name), "read");
    const int at = fd.Release();  // closedir's
    std::vector<std::string> names;
    while (const dirent* entry = readdir(folder.get())) {
      const std::string_view child = entry->d_name;
      if (child != "." && child != "..") names.emplace_back(child);
    }
    std::sort(names.begin(), names.end());
    for (const std::string& child : names) AddEntry(at, child, name + "/" + child, depth);
  }

  void Finish() {
    const std::string end(2 * kBlock, '\0');
    Write(end);
    if (fsync(out_.get()) != 0) FailAt(path_, "write");
  }

  int64_t files() const { return files_; }

 private:
  void AddEntry(int folder, const std::string& child, const std::string& name, int depth) {
    UniqueFd fd(openat(folder, child.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat info;
    if (!fd && errno == ELOOP)
      engine::Fail(Quoted(name), " is a link: leave files and folders only");
    if (!fd || fstat(fd.get(), &info) != 0) FailAt(Quoted(name), "read");
    if (S_ISDIR(info.st_mode)) return AddFolder(std::move(fd), name, depth + 1);
    if (!S_ISREG(info.st_mode)) {
      engine::Fail(Quoted(name), " is neither file nor folder: remove it");
    }
    if (++files_ > limits_.files) {
      engine::Fail("there are more than ", limits_.files, " files: leave fewer");
    }
    bytes_ += info.st_size;
    if (bytes_ > limits_.bytes) {
      engine::Fail("its files take more than ", limits_.bytes >> 20, " MiB: leave less");
    }
    const Header header = MakeHeader(name, info.st_size, (info.st_mode & S_IXUSR) != 0);
    Write({header.data(), header.size()});
    Copy(fd.get(), name, info.st_size);
    Pad(info.st_size);
  }

  void Copy(int fd, const std::string& name, int64_t size) {
    std::vector<char> buffer(1 << 20);
    while (size > 0) {
      const ssize_t got =
          read(fd, buffer.data(), std::min<size_t>(buffer.size(), static_cast<size_t>(size)));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) FailAt(Quoted(name), "read");
      if (got == 0) engine::Fail(Quoted(name), " became shorter while it was read");
      Write({buffer.data(), static_cast<size_t>(got)});
      size -= got;
    }
  }
  void Pad(int64_t size) {
    const std::string zeros(static_cast<size_t>((kBlock - size % kBlock) % kBlock), '\0');
    Write(zeros);
  }
  void Write(std::string_view bytes) const {
    const absl::Status status = WriteFully(out_.get(), bytes);
    if (!status.ok()) engine::Fail(std::string(status.message()));
  }

  const std::string path_;
  const ArchiveLimits limits_;
  UniqueFd out_;
  int64_t files_ = 0;
  int64_t bytes_ = 0;
};

// The entries of an archive, one after the other.
class Reader {
 public:
  explicit Reader(const std::string& path)
      : path_(path), in_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (!in_) FailAt(path, "read");
  }
  // False at the end.
  bool Next() {
    offset_ += (size_ + kBlock - 1) / kBlock * kBlock;
    Header header;
    if (!ReadAt(header.data(), kBlock)) return Broken();
    offset_ += kBlock;
    size_ = 0;
    if (header == Header{}) return false;
    int64_t sum = 0;
    int64_t mode = 0;
    if (Get(header, {kMagic.at, 6}) != "ustar" || !Octal(Get(header, kChecksum), &sum) ||
        sum != Checksum(header) || !Octal(Get(header, kSize), &size_) ||
        !Octal(Get(header, kMode), &mode) || Get(header, kType) != "0") {
      return Broken();
    }
    const std::string prefix(Get(header, kPrefix));
    name_ = prefix.empty() ? std::string(Get(header, kName))
                           : prefix + "/" + std::string(Get(header, kName));
    executable_ = (mode & 0100) != 0;
    return true;
  }
  const std::string& name() const { return name_; }
  bool executable() const { return executable_; }
  int64_t size() const { return size_; }
  // Of this entry, from `at` on; nothing at its end.
  std::string_view Read(int64_t at, std::vector<char>& buffer) {
    const auto size =
        static_cast<size_t>(std::min<int64_t>(size_ - at, static_cast<int64_t>(buffer.size())));
    const ssize_t got = pread(in_.get(), buffer.data(), size, offset_ + at);
    if (got < static_cast<ssize_t>(size)) Broken();
    return {buffer.data(), size};
  }

 private:
  bool ReadAt(char* bytes, size_t size) const {
    return pread(in_.get(), bytes, size, offset_) == static_cast<ssize_t>(size);
  }
  static bool Octal(std::string_view text, int64_t* value) {
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    *value = 0;
    for (const char c : text) {
      if (c < '0' || c > '7') return false;
      *value = *value * 8 + (c - '0');
    }
    return !text.empty();
  }
  [[noreturn]] bool Broken() const {
    engine::Fail(path_, " is no archive of a folder, or damaged");
  }

  const std::string path_;
  UniqueFd in_;
  std::string name_;
  bool executable_ = false;
  int64_t offset_ = 0;
  int64_t size_ = 0;
};

// Where an entry goes: below the folder, and nowhere else.
fs::path PlaceOf(const fs::path& folder, const std::string& name) {
  fs::path place = folder;
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(name, '/'))) {
    if (part.empty() || part == "." || part == "..") {
      engine::Fail("an archive has a file ", Quoted(name),
                   ", which would lie outside of its folder");
    }
    place /= part;
  }
  return place;
}

}  // namespace

int64_t PackFolder(const std::string& folder, const std::string& name, const std::string& path,
                   const ArchiveLimits& limits, const std::string& first_name,
                   const std::string& first) {
  Writer writer(path, limits);
  if (!first_name.empty()) writer.AddBytes(first_name, first);
  UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) FailAt(name, "read");
  writer.AddFolder(std::move(fd), name, 0);
  writer.Finish();
  return writer.files();
}

void UnpackFolder(const std::string& path, const std::string& name, const std::string& folder) {
  Reader reader(path);
  std::vector<char> buffer(1 << 20);
  while (reader.Next()) {
    if (!reader.name().starts_with(name + "/")) continue;
    const fs::path place = PlaceOf(folder, reader.name().substr(name.size() + 1));
    std::error_code error;
    fs::create_directories(place.parent_path(), error);
    const UniqueFd out(open(place.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                            reader.executable() ? 0700 : 0600));
    if (!out) FailAt(Quoted(reader.name()), "write");
    for (int64_t at = 0; at < reader.size();) {
      const std::string_view bytes = reader.Read(at, buffer);
      const absl::Status status = WriteFully(out.get(), bytes);
      if (!status.ok()) engine::Fail(std::string(status.message()));
      at += static_cast<int64_t>(bytes.size());
    }
  }
}

std::string FirstFile(const std::string& path, const std::string& name) {
  constexpr int64_t kMost = int64_t{64} << 20;
  Reader reader(path);
  if (!reader.Next() || reader.name() != name || reader.size() > kMost) return "";
  std::vector<char> buffer(static_cast<size_t>(reader.size()));
  return std::string(reader.Read(0, buffer));
}

}  // namespace beamline::pipeline
