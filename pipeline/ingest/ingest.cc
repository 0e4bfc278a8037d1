#include "pipeline/ingest/ingest.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "engine/data/characters.h"
#include "engine/data/edge_list.h"
#include "engine/data/idx.h"
#include "engine/data/npy.h"
#include "engine/data/sparse_rows.h"
#include "engine/data/time_series.h"
#include "engine/data/workspace.h"
#include "pipeline/ingest/decompress.h"
#include "pipeline/ingest/hdf5.h"
#include "pipeline/ingest/spill.h"
#include "pipeline/ingest/zip.h"

namespace beamline::pipeline {
namespace {

using engine::Error;
using engine::Fail;
using engine::data::Table;
using engine::data::Workspace;

absl::Status FileError(std::string_view what, const std::string& path) {
  const int error = errno;
  const std::string message =
      absl::StrCat("cannot ", A(what), " ", path, ": ", std::strerror(error));
  if (error == ENOENT) return absl::NotFoundError(message);
  if (error == ENOSPC || error == EDQUOT) return absl::ResourceExhaustedError(message);
  return absl::InternalError(message);
}

// The bytes of a file in memory. Movable; not thread-safe.
class MappedFile {
 public:
  static absl::StatusOr<MappedFile> Open(const std::string& path) {
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return FileError("open", path);
    struct stat info;
    if (fstat(fd.get(), &info) != 0) return FileError("stat", path);
    if (!S_ISREG(info.st_mode)) return absl::InternalError(absl::StrCat(path, " is not a file"));
    MappedFile out;
    out.size_ = static_cast<size_t>(info.st_size);
    if (out.size_ == 0) return out;
    void* const data = mmap(nullptr, out.size_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
    if (data == MAP_FAILED) return FileError("map", path);
    out.data_ = data;
    madvise(out.data_, out.size_, MADV_SEQUENTIAL);
    return out;
  }
  MappedFile(MappedFile&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MappedFile& operator=(MappedFile&&) = delete;
  ~MappedFile() {
    if (data_ != nullptr) munmap(data_, size_);
  }

  std::string_view bytes() const { return {static_cast<const char*>(data_), size_}; }

 private:
  MappedFile() = default;
  void* data_ = nullptr;
  size_t size_ = 0;
};

// A new file that appears under its name only when it is complete. Not thread-safe.
class OutputFile {
 public:
  explicit OutputFile(std::string path)
      : path_(std::move(path)), temporary_(absl::StrCat(path_, ".tmp.", getpid())) {}
  ~OutputFile() {
    if (fd_) unlink(temporary_.c_str());
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  absl::Status Open() {
    fd_ = UniqueFd(open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    return fd_ ? absl::OkStatus() : FileError("create", temporary_);
  }
  absl::Status Write(std::string_view piece) {
    size_ += static_cast<int64_t>(piece.size());
    return WriteFully(fd_.get(), piece);
  }
  absl::Status Commit() {
    if (fsync(fd_.get()) != 0) return FileError("sync", temporary_);
    if (rename(temporary_.c_str(), path_.c_str()) != 0) return FileError("rename to", path_);
    fd_.Reset();
    return SyncDirectory(std::filesystem::absolute(path_).parent_path().string());
  }
  int64_t size() const { return size_; }

 private:
  const std::string path_;
  const std::string temporary_;
  UniqueFd fd_;  // open while the temporary file exists
  int64_t size_ = 0;
};

// "x" of "folder/x.npy.gz".
std::string Stem(std::string_view name) {
  const size_t slash = name.rfind('/');
  if (slash != std::string_view::npos) name.remove_prefix(slash + 1);
  const std::string stem(name.substr(0, name.find('.')));
  return stem.empty() ? "data" : stem;
}

// Refuses by name what is not a table of text, rather than reading it as one.
void RefuseKnownFormats(std::string_view head) {
  using std::string_view_literals::operator""sv;
  struct Row {
    std::string_view magic;
    const char* name;
  };
  constexpr Row kRows[] = {
      {"PAR1\x15"sv, "a Parquet file"},
      {"ARROW1\0"sv, "an Arrow file"},
      {"root\0"sv, "a ROOT file"},
      {"\xFD\x37zXZ"sv, "an xz file"},
      {"%PDF-"sv, "a PDF file"},
      {"\x7F\x45LF"sv, "a program"},
      {"BEAMCOL\n"sv, "a columnar file"},
      {"\x80\x04\x95"sv, "a Python pickle"},
      {"\xD0\xCF\x11\xE0"sv, "an Excel file"},
  };
  if (head.starts_with("BZh") && head.substr(4).starts_with("1AY&SY")) {
    throw Error("it is a bzip2 file: compress it by gzip or zstd instead");
  }
  for (const Row& row : kRows) {
    if (head.starts_with(row.magic)) {
      Fail("it is ", row.name,
           ": convert it to CSV, NPY, NPZ or IDX, plain or compressed by gzip or "
           "zstd");
    }
  }
}

FileFormat DetectFormat(std::string_view head) {
  if (head.starts_with("\x93NUMPY")) return FileFormat::kNpy;
  if (head.starts_with("PK\x03\x04") || head.starts_with("PK\x05\x06")) return FileFormat::kNpz;
  if (engine::data::IsIdx(head)) return FileFormat::kIdx;
  if (IsHdf5(head)) return FileFormat::kHdf5;
  if (engine::data::IsTimeSeries(head)) return FileFormat::kTimeSeries;
  RefuseKnownFormats(head);
  return FileFormat::kCsv;
}

// Formats that are made of lines of text, but not CSV.
Table ReadTextFormat(FileFormat format, std::string_view text, const IngestOptions& options,
                     Workspace& workspace) {
  const int64_t grown = std::max<int64_t>(
      int64_t{16} << 20, static_cast<int64_t>(text.size()) * options.max_expansion);
  const int64_t max_bytes = std::min(options.max_expanded_bytes, grown);
  if (format == FileFormat::kTimeSeries) {
    return engine::data::ReadTimeSeries(text, options.csv.names, max_bytes);
  }
  if (format == FileFormat::kEdgeList) {
    return engine::data::ReadEdgeList(text, options.csv, workspace);
  }
  if (!options.csv.names.empty()) {
    throw Error("column_names are not for LIBSVM files: their columns are label, f1, f2, ...");
  }
  return engine::data::ReadSparseRows(text, max_bytes);
}

// What may be taken of the disk; unknown is nothing. Unit: bytes.
int64_t ScratchBytes(const std::string& folder, int64_t most) {
  struct statvfs status {};
  if (statvfs(folder.c_str(), &status) != 0) return 0;
  return std::min(most, static_cast<int64_t>(status.f_bavail * status.f_frsize) / 2);
}

// `folder` is for temporary files.
Table ReadTable(std::string_view bytes, std::string_view name, const std::string& folder,
                const IngestOptions& options) {
  if (bytes.empty()) throw Error("the file is empty");
  const ExpansionLimit limit(static_cast<int64_t>(bytes.size()), options.max_expanded_bytes,
                             options.max_expansion);
  Workspace workspace({.threads = options.threads,
                       .memory_bytes = options.memory_bytes,
                       .folder = folder,
                       .disk_bytes = ScratchBytes(folder, options.max_scratch_bytes),
                       .remedy = "make room on the server's disk, or upload the file in parts",
                       .progress = {}});
  const auto store = [&] { return std::make_unique<SpillStore>(folder); };
  const auto source = Decompress(DetectCompression(bytes), bytes, limit);
  FileFormat format = options.format;
  if (format == FileFormat::kDetect) {
    // Comments may come before what tells a format.
    char head[4096];
    const size_t size = source->Read(head, sizeof head);
    if (size == 0) throw Error("the file is empty");
    format = DetectFormat({head, size});
    source->Rewind();
  }
  if (options.files > 1 && format != FileFormat::kIdx && format != FileFormat::kNpy) {
    Fail("the ", options.files,
         " files make no table together: only IDX and NPY files are joined, each an array "
         "that becomes a column; join the rows of other files into one file first");
  }
  if (format != FileFormat::kCsv && format != FileFormat::kEdgeList && !options.csv.types.empty()) {
    Fail("column_types is for CSV and edge lists: the values of this file have types of their own");
  }
  if (format == FileFormat::kIdx) {
    return engine::data::ReadIdx(*source, {.names = options.csv.names,
                                           .max_array_bytes = options.max_expanded_bytes,
                                           .store = store});
  }
  if (format == FileFormat::kText) {
    if (options.csv.names.size() > 1) throw Error("text has one column, of characters");
    engine::data::CharacterOptions characters;
    if (!options.csv.names.empty()) characters.name = options.csv.names.front();
    return engine::data::ReadCharacters(*source, characters);
  }
  if (format == FileFormat::kCsv) {
    return engine::data::ReadCsv(*source, options.csv, workspace);
  }
  Content expanded;
  std::string_view content = source->Memory();
  if (content.data() == nullptr) {
    expanded = ReadAll(*source, *store());
    content = expanded.bytes;
  }
  if (format == FileFormat::kLibsvm || format == FileFormat::kTimeSeries ||
      format == FileFormat::kEdgeList) {
    return ReadTextFormat(format, content, options, workspace);
  }
  if (format == FileFormat::kHdf5) return ReadHdf5(content, limit, workspace);
  if (format == FileFormat::kNpy) {
    return engine::data::ReadNpyFiles(Stem(name), options.csv.names, content, workspace);
  }
  return engine::data::ReadArrays(ReadNpz(content, limit, store), workspace);
}

absl::Status WriteTable(const Table& table, OutputFile& file, int threads) {
  absl::Status status = file.Open();
  if (!status.ok()) return status;
  try {
    engine::data::WriteColumnar(
        table,
        [&](std::string_view piece) {
          status = file.Write(piece);
          if (!status.ok()) throw Error(std::string(status.message()));
        },
        threads);
  } catch (const Error&) {
    if (!status.ok()) return status;
    throw;
  }
  return file.Commit();
}

}  // namespace

absl::StatusOr<Ingested> Ingest(const std::string& input, std::string_view name,
                                const std::string& output, const IngestOptions& options) {
  ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(input));
  const auto message = [&](const std::exception& error) {
    return absl::StrCat(A(name), ": ", error.what());
  };
  try {
    Ingested out;
    {
      const std::string folder = std::filesystem::absolute(output).parent_path().string();
      const Table table = ReadTable(file.bytes(), name, folder, options);
      OutputFile result(output);
      RETURN_IF_ERROR(WriteTable(table, result, options.threads));
      out.size_bytes = result.size();
    }
    // It was written a moment ago: its checksums say nothing that is not known.
    out.dataset = engine::data::OpenColumnar(output, {.verify = false});
    return out;
  } catch (const LimitError& error) {
    return absl::ResourceExhaustedError(message(error));
  } catch (const engine::data::NoRoom& error) {
    return absl::ResourceExhaustedError(message(error));
  } catch (const Error& error) {
    return absl::InvalidArgumentError(message(error));
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        absl::StrCat(A(name), ": not enough memory to read the file: upload it in parts"));
  }
}

}  // namespace beamline::pipeline
