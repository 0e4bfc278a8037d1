// CSV: the same table, or the same error, however it is cut into blocks and threads.
#include <optional>
#include <string>

#include "engine/core/error.h"
#include "engine/data/columnar.h"
#include "engine/data/csv.h"
#include "tests/fuzz/fuzz.h"

namespace beamline::fuzz {
namespace {

std::string Columnar(std::string_view text, const engine::data::CsvOptions& options) {
  std::string bytes;
  const std::string error = Thrown<engine::Error>([&] {
    const engine::data::Table table = engine::data::ReadCsv(text, options);
    WriteColumnar(table, [&](std::string_view piece) { bytes += piece; });
  });
  return error.empty() ? bytes : error;
}

}  // namespace

void Fuzz(std::string_view bytes) {
  Choices choices(bytes);
  engine::data::CsvOptions options;
  options.header = static_cast<engine::data::CsvHeader>(choices.Below(3));
  options.delimiter = "\0,;\t| "[choices.Below(6)];
  if (choices.Maybe()) options.float_type = engine::data::ColumnType::kFloat32;
  if (choices.Maybe()) options.types["a"] = engine::data::ColumnType::kInt64;
  options.max_columns = 1000;
  options.max_categories = 64;
  options.max_field_bytes = 256;
  const int64_t block = 1 + static_cast<int64_t>(choices.Below(40));
  const std::string once = Columnar(choices.rest(), options);
  options.threads = 3;
  options.block_bytes = block;
  Require(Columnar(choices.rest(), options) == once, "threads and blocks change nothing");
}

}  // namespace beamline::fuzz
