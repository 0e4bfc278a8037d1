#include "pipeline/csv_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "engine/core/error.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;

constexpr size_t kPieceBytes = 1 << 20;

std::string Quoted(std::string text) {
  const bool blank = !text.empty() && (text.front() == ' ' || text.back() == ' ');
  if (!blank && text.find_first_of(",\"\r\n\t") == std::string::npos) return text;
  for (size_t at = text.find('"'); at != std::string::npos; at = text.find('"', at + 2)) {
    text.insert(at, 1, '"');
  }
  return absl::StrCat("\"", text, "\"");
}

}  // namespace

void ToCsv(const engine::data::Table& table, const std::function<void(std::string_view)>& write,
           bool header) {
  std::string piece;
  const auto add_row = [&](const auto& text_of) {
    const char* separator = "";
    for (const Column& column : table.columns()) {
      absl::StrAppend(&piece, separator, Quoted(text_of(column)));
      separator = ",";
    }
    piece += "\n";
    if (piece.size() < kPieceBytes) return;
    write(piece);
    piece.clear();
  };
  if (header) add_row([](const Column& column) { return column.name(); });
  for (int64_t row = 0; row < table.rows(); ++row) {
    add_row([row](const Column& column) { return column.Text(row); });
  }
  write(piece);
}

std::string ToCsv(const engine::data::Table& table) {
  std::string csv;
  ToCsv(table, [&csv](std::string_view piece) { csv.append(piece); });
  return csv;
}

void WriteCsv(const engine::data::Table& table, const std::string& path,
              const std::function<void()>& between) {
  const UniqueFd fd(
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) engine::Fail("cannot write ", path, ": ", std::strerror(errno));
  ToCsv(table, [&](std::string_view piece) {
    if (between) between();
    const absl::Status status = WriteFully(fd.get(), piece);
    if (!status.ok()) engine::Fail(path, ": ", std::string(status.message()));
  });
  if (fsync(fd.get()) != 0) engine::Fail("cannot write ", path, ": ", std::strerror(errno));
}

}  // namespace beamline::pipeline
