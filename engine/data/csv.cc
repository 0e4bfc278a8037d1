#include "engine/data/csv.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/core/error.h"
#include "engine/data/csv_columns.h"
#include "engine/data/csv_head.h"
#include "engine/data/csv_piece.h"
#include "engine/data/text.h"

namespace beamline::engine::data {
namespace {

// A row that does not end within so many bytes is refused rather than buffered.
constexpr size_t kMaxRowBytes = size_t{256} << 20;

// Cells are put together when they take as much as so many blocks of text.
constexpr int64_t kStripeBlocks = 32;

// The source as a sequence of views, each starting where the previous one was used up.
class Waves {
 public:
  Waves(ByteSource& source, size_t wave_bytes, int64_t skip)
      : source_(source), wave_bytes_(wave_bytes), memory_(source.Memory()) {
    if (memory_.data() != nullptr) {
      memory_.remove_prefix(static_cast<size_t>(skip));
      return;
    }
    source_.Rewind();
    buffer_.resize(std::max(static_cast<size_t>(skip), size_t{1}));
    if (source_.Read(buffer_.data(), static_cast<size_t>(skip)) != static_cast<size_t>(skip)) {
      throw Error("the file became shorter while it was read");
    }
  }

  // Drops the first `used` bytes of the last view and extends the rest by wave_bytes.
  std::string_view Next(size_t used) {
    if (memory_.data() != nullptr) {
      memory_.remove_prefix(used);
      size_ = std::min(memory_.size(), size_ - used + wave_bytes_);
      last_ = size_ == memory_.size();
      return memory_.substr(0, size_);
    }
    size_ -= used;
    if (size_ > 0) std::memmove(buffer_.data(), buffer_.data() + used, size_);
    if (buffer_.size() < size_ + wave_bytes_) buffer_.resize(size_ + wave_bytes_);
    const size_t got = source_.Read(buffer_.data() + size_, wave_bytes_);
    size_ += got;
    last_ = got < wave_bytes_;
    return {buffer_.data(), size_};
  }
  // True if the view ends where the source does.
  bool last() const { return last_; }

 private:
  ByteSource& source_;
  const size_t wave_bytes_;
  std::string_view memory_;
  std::vector<char> buffer_;
  size_t size_ = 0;
  bool last_ = false;
};

// Cuts `text`, which starts a row, behind line ends that are not within quotes, into pieces of
// about `piece_bytes`. What follows the last such line end is left over, unless `last`. In a file
// without errors a byte is within quotes if the number of quotes before it is odd; at the first
// error it still is so before the error, which is then the first one reported.
std::vector<std::string_view> Cut(std::string_view text, size_t piece_bytes, bool last) {
  std::vector<std::string_view> pieces;
  const bool quotes = text.find('"') != std::string_view::npos;
  while (!text.empty()) {
    size_t cut = std::string_view::npos;
    if (text.size() > piece_bytes) {
      const std::string_view sure = text.substr(0, piece_bytes);
      bool inside = quotes && std::count(sure.begin(), sure.end(), '"') % 2 != 0;
      size_t at = piece_bytes;
      if (!quotes) at = std::min(text.find('\n', at), text.size());
      while (at < text.size() && (inside || text[at] != '\n')) inside ^= text[at++] == '"';
      if (at < text.size()) cut = at + 1;
    }
    if (cut == std::string_view::npos && !last) break;
    pieces.push_back(text.substr(0, cut));
    text.remove_prefix(pieces.back().size());
  }
  return pieces;
}

CsvPlan MakePlan(const CsvOptions& options, const CsvHead& head) {
  CsvPlan plan;
  plan.delimiter = head.delimiter;
  plan.max_field_bytes = options.max_field_bytes;
  for (const std::string& marker : options.missing) plan.missing.Add(marker);
  plan.columns.resize(head.names.size());
  for (const auto& [name, type] : options.types) {
    const auto found = std::find(head.names.begin(), head.names.end(), name);
    if (found == head.names.end()) {
      Fail("a type is given for column ", Quoted(name), ", which the file does not have");
    }
    CsvColumnPlan& column = plan.columns[static_cast<size_t>(found - head.names.begin())];
    column.fixed = true;
    column.type = type;
    column.start = CsvKind::kInteger;
    if (IsFloat(type)) column.start = CsvKind::kFloat;
    if (type == ColumnType::kCategorical) column.start = CsvKind::kText;
    if (type == ColumnType::kBool) column.most = 1;
    if (type == ColumnType::kUint8) column.most = UINT8_MAX;
    if (type == ColumnType::kInt32) column.most = INT32_MAX;
    if (type == ColumnType::kBool || type == ColumnType::kUint8) column.least = 0;
    if (type == ColumnType::kInt32) column.least = INT32_MIN;
  }
  return plan;
}

void CheckOptions(const CsvOptions& options) {
  if (options.delimiter == '"' || options.delimiter == '\n' || options.delimiter == '\r') {
    throw Error("the delimiter must not be a quote or a line end");
  }
  if (!IsFloat(options.float_type)) throw Error("float_type must be float32 or float64");
  if (options.block_bytes < 1 || options.max_field_bytes < 1 || options.max_columns < 1 ||
      options.max_rows < 1 || options.max_categories < 1) {
    throw Error("every limit of the CSV options must be at least 1");
  }
}

// One reading of the whole file.
class Pass {
 public:
  Pass(const CsvOptions& options, const CsvHead& head, CsvPlan& plan, Workspace& workspace)
      : options_(options),
        head_(head),
        plan_(plan),
        workspace_(workspace),
        columns_(plan, head.names, options.max_categories, options.block_bytes * kStripeBlocks,
                 workspace),
        lines_(head.data_line) {}

  void Run(ByteSource& source) {
    const auto block_bytes = static_cast<size_t>(options_.block_bytes);
    Waves waves(source, block_bytes * static_cast<size_t>(workspace_.threads()) * 8,
                head_.data_offset);
    size_t used = 0;
    do {
      const std::string_view wave = waves.Next(used);
      const std::vector<std::string_view> texts = Cut(wave, block_bytes, waves.last());
      used = 0;
      for (const std::string_view text : texts) used += text.size();
      if (used == 0 && wave.size() > kMaxRowBytes) {
        Fail("line ", lines_ + 1, ": a row does not end within ", kMaxRowBytes,
             " bytes: close its quote");
      }
      std::vector<CsvPiece> pieces(texts.size());
      workspace_.ForEach(static_cast<int64_t>(texts.size()), [&](int64_t tile, int) {
        const auto i = static_cast<size_t>(tile);
        pieces[i] = ParseCsvPiece(plan_, texts[i]);
      });
      for (CsvPiece& piece : pieces) Add(std::move(piece));
    } while (!waves.last());
  }

  CsvColumns& columns() { return columns_; }

 private:
  void Add(CsvPiece piece) {
    if (!piece.error.empty()) {
      const int64_t line = lines_ + piece.error_line + 1;
      const int64_t row = columns_.rows() + piece.rows + 1;
      const std::string column =
          piece.error_column < 0
              ? ""
              : Cat(", column ", Quoted(head_.names[static_cast<size_t>(piece.error_column)]));
      Fail("line ", line, " (row ", row, ")", column, ": ", piece.error);
    }
    lines_ += piece.lines;
    columns_.Add(std::move(piece));
    if (columns_.rows() > options_.max_rows) {
      Fail("the file has more than ", options_.max_rows, " rows: raise max_rows");
    }
  }

  const CsvOptions& options_;
  const CsvHead& head_;
  CsvPlan& plan_;
  Workspace& workspace_;
  CsvColumns columns_;
  int64_t lines_;
};

CsvHead ReadHead(ByteSource& source, const CsvOptions& options) {
  const std::string_view memory = source.Memory();
  if (memory.data() != nullptr) {
    return ReadCsvHead(memory.substr(0, kCsvHeadBytes), memory.size() <= kCsvHeadBytes, options);
  }
  source.Rewind();
  std::vector<char> head(kCsvHeadBytes);
  const size_t size = source.Read(head.data(), head.size());
  return ReadCsvHead({head.data(), size}, size < head.size(), options);
}

}  // namespace

Table ReadCsv(ByteSource& source, const CsvOptions& options, Workspace& workspace) {
  CheckOptions(options);
  const CsvHead head = ReadHead(source, options);
  CsvPlan plan = MakePlan(options, head);
  while (true) {
    Pass pass(options, head, plan, workspace);
    pass.Run(source);
    if (pass.columns().MustReadAgain()) continue;
    if (pass.columns().rows() == 0) throw Error("the file has a header but no data row");
    return pass.columns().Finish(options.float_type);
  }
}

Table ReadCsv(ByteSource& source, const CsvOptions& options) {
  Workspace workspace({.threads = options.threads});
  return ReadCsv(source, options, workspace);
}

Table ReadCsv(std::string_view bytes, const CsvOptions& options) {
  if (bytes.empty()) throw Error("the file is empty: it has no row");
  MemorySource source(bytes);
  return ReadCsv(source, options);
}

}  // namespace beamline::engine::data
