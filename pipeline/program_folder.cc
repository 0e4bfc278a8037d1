#include "pipeline/program_folder.h"

#include <fcntl.h>
#include <google/protobuf/util/json_util.h>

#include <cerrno>
#include <cstring>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/file.h"
#include "engine/core/error.h"
#include "pipeline/csv_writer.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::ColumnType;

// Of the program's own folder: nothing is there yet that a name could lead elsewhere.
void WriteNew(const std::string& path, std::string_view bytes, int mode = 0600) {
  const UniqueFd fd(
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd) engine::Fail("cannot write ", path, ": ", std::strerror(errno));
  const absl::Status status = WriteFully(fd.get(), bytes);
  if (!status.ok()) engine::Fail(path, ": ", std::string(status.message()));
}

const char* NumpyType(ColumnType type) {
  switch (type) {
    case ColumnType::kBool:
      return "|b1";
    case ColumnType::kUint8:
      return "|u1";
    case ColumnType::kInt64:
      return "<i8";
    case ColumnType::kFloat32:
      return "<f4";
    case ColumnType::kFloat64:
      return "<f8";
    case ColumnType::kInt32:
    case ColumnType::kCategorical:
      return "<i4";
  }
  return "<i4";
}

// The file's head: magic, version, length of the description, which is padded to a multiple of 64.
std::string NumpyHead(const Column& column) {
  std::string head =
      absl::StrCat("{'descr': '", NumpyType(column.type()), "', 'fortran_order': False, 'shape': (",
                   column.rows(), ", ", absl::StrJoin(column.item_shape(), ", "), ",), }");
  constexpr size_t kBefore = 10;
  head.append(63 - (kBefore + head.size()) % 64, ' ');
  head += '\n';
  const size_t size = head.size();
  const char length[] = {static_cast<char>(size & 0xff), static_cast<char>(size >> 8)};
  return absl::StrCat(std::string("\x93NUMPY\x01\x00", 8), std::string(length, 2), head);
}

}  // namespace

bool IsReservedName(const std::string& name) {
  static const std::set<std::string> kReserved = {
      "parameters.json", "metrics.jsonl", "inputs",    "outputs",  "model",
      "checkpoint",      "tmp",           "train.csv", "rows.csv", "validation.csv",
      "predictions.csv"};
  return kReserved.contains(name);
}

void WriteProgramFiles(const v1::Program& program, const std::string& folder) {
  for (const auto& [name, file] : program.files()) {
    WriteNew(absl::StrCat(folder, "/", name), file.text(), 0700);
  }
}

std::vector<std::string> ArgumentsOf(const v1::Program& program, const std::string& folder) {
  std::vector<std::string> arguments;
  for (const std::string& argument : program.arguments()) {
    arguments.push_back(absl::StrReplaceAll(argument, {{"{work}", folder}}));
  }
  return arguments;
}

void WriteParameters(const v1::Program& program, const google::protobuf::Struct& more,
                     const std::string& folder) {
  google::protobuf::Struct parameters = more;
  auto& fields = *parameters.mutable_fields();
  auto& numbers = *fields["numbers"].mutable_struct_value()->mutable_fields();
  for (const auto& [name, number] : program.numbers()) numbers[name].set_number_value(number);
  auto& texts = *fields["texts"].mutable_struct_value()->mutable_fields();
  for (const auto& [name, text] : program.texts()) texts[name].set_string_value(text);
  std::string json;
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  if (!google::protobuf::util::MessageToJsonString(parameters, &json, options).ok()) {
    engine::Fail("the program's parameters cannot be written as JSON");
  }
  WriteNew(folder + "/parameters.json", json);
}

void WriteInput(const engine::data::Table& table, const std::string& path) {
  std::vector<Column> plain;
  for (const Column& column : table.columns()) {
    if (column.item_shape().empty()) {
      plain.push_back(column);
      continue;
    }
    const auto bytes = column.bytes();
    WriteNew(
        absl::StrCat(path, ".", column.name(), ".npy"),
        NumpyHead(column) + std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }
  if (!plain.empty()) WriteCsv(engine::data::Table(std::move(plain)), path + ".csv");
}

}  // namespace beamline::pipeline
