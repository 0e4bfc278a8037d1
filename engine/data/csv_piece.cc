#include "engine/data/csv_piece.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "engine/data/csv_field.h"
#include "engine/data/number.h"
#include "engine/data/text.h"

namespace beamline::engine::data {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() &&
         std::equal(text.begin(), text.end(), lower.begin(), [](char a, char b) {
           return (a >= 'A' && a <= 'Z' ? static_cast<char>(a | 0x20) : a) == b;
         });
}

// 1 true, 0 false, -1 neither.
int BoolOf(std::string_view text) {
  if (EqualsIgnoringCase(text, "true")) return 1;
  return EqualsIgnoringCase(text, "false") ? 0 : -1;
}

class PieceParser {
 public:
  PieceParser(const CsvPlan& plan, std::string_view text)
      : plan_(plan),
        reader_(plan.delimiter, plan.max_field_bytes),
        p_(text.data()),
        end_(text.data() + text.size()),
        capacity_(std::count(text.begin(), text.end(), '\n') + 1) {
    piece_.columns.resize(plan.columns.size());
    for (size_t c = 0; c < plan.columns.size(); ++c) {
      if (plan.columns[c].start != CsvKind::kEmpty)
        Become(piece_.columns[c], plan.columns[c].start);
    }
  }

  CsvPiece Parse() && {
    while (p_ != end_ && piece_.error.empty()) {
      if (plan_.columns.size() > 1 && SkipEmptyLine()) continue;
      row_lines_ = 0;
      if (!Row()) {
        piece_.error_line = piece_.lines;
        break;
      }
      ++piece_.rows;
      piece_.lines += row_lines_ + 1;
    }
    return std::move(piece_);
  }

 private:
  bool SkipEmptyLine() {
    const char* p = p_;
    if (*p == '\r' && end_ - p >= 2) ++p;
    if (*p != '\n') return false;
    p_ = p + 1;
    ++piece_.lines;
    return true;
  }

  bool Row() {
    const size_t last = plan_.columns.size() - 1;
    CsvField field;
    for (size_t c = 0; c <= last; ++c) {
      if (NumberInPlace(c, c == last)) continue;
      p_ = reader_.Read(p_, end_, field);
      if (p_ == nullptr) return Failed(static_cast<int64_t>(c), reader_.error());
      row_lines_ += field.lines;
      if (!Store(c, field)) return false;
      if ((field.stop == CsvField::Stop::kDelimiter) == (c == last)) return Ragged(c + 1, field);
    }
    return true;
  }

  // The usual case, without looking for the end of the field first.
  bool NumberInPlace(size_t c, bool last) {
    CsvPieceColumn& column = piece_.columns[c];
    if (column.kind != CsvKind::kFloat && column.kind != CsvKind::kInteger) return false;
    const ScannedNumber number = ScanNumber(p_, end_);
    if (number.kind == ScannedNumber::Kind::kNone || number.end == end_) return false;
    const char* stop = number.end;
    if (last && *stop == '\r' && end_ - stop >= 2) ++stop;
    if (*stop != (last ? '\n' : plan_.delimiter)) return false;
    if (stop - p_ > plan_.max_field_bytes) return false;
    if (column.kind == CsvKind::kFloat) {
      column.cells[piece_.rows] = std::bit_cast<int64_t>(number.value);
    } else {
      const CsvColumnPlan& plan = plan_.columns[c];
      if (number.kind != ScannedNumber::Kind::kInteger || number.integer < plan.least ||
          number.integer > plan.most) {
        return false;
      }
      column.cells[piece_.rows] = number.integer;
    }
    p_ = stop + 1;
    return true;
  }

  bool Ragged(size_t fields, CsvField& field) {
    while (field.stop == CsvField::Stop::kDelimiter) {
      p_ = reader_.Read(p_, end_, field);
      if (p_ == nullptr) return Failed(-1, reader_.error());
      ++fields;
    }
    return Failed(-1, Cat("the row has ", fields, fields == 1 ? " field" : " fields",
                          ", but there are ", plan_.columns.size(), " columns"));
  }

  bool Failed(int64_t column, std::string message) {
    piece_.error = std::move(message);
    piece_.error_column = column;
    return false;
  }

  // Turns the cells stored so far into `kind`.
  void Become(CsvPieceColumn& column, CsvKind kind) {
    const CsvKind old = std::exchange(column.kind, kind);
    if (column.cells == nullptr) {
      column.cells = std::make_unique_for_overwrite<int64_t[]>(static_cast<size_t>(capacity_));
    }
    int64_t* const cells = column.cells.get();
    if (old == CsvKind::kEmpty) {
      std::fill(cells, cells + piece_.rows, MissingCell(kind));
    } else if (old == CsvKind::kInteger && kind == CsvKind::kFloat) {
      for (int64_t row = 0; row < piece_.rows; ++row) {
        const double value = cells[row] == kMissingInteger ? kNan : static_cast<double>(cells[row]);
        cells[row] = std::bit_cast<int64_t>(value);
      }
    } else {
      column.broken = true;
    }
  }

  bool Store(size_t c, const CsvField& field) {
    CsvPieceColumn& column = piece_.columns[c];
    if (field.text.empty() ||
        (!field.quoted && plan_.missing.Find(field.text) != StringPool::kAbsent)) {
      if (!field.text.empty() || field.quoted || MissingIfEmpty()) {
        if (column.kind != CsvKind::kEmpty) column.cells[piece_.rows] = MissingCell(column.kind);
        return true;
      }
    }
    if (plan_.columns[c].fixed && column.kind != CsvKind::kText) return StoreFixed(c, field.text);
    if (column.kind == CsvKind::kText) return StoreText(c, field.text);
    const ScannedNumber number = ParseNumber(field.text);
    const int boolean = BoolOf(field.text);
    CsvKind kind = CsvKind::kText;
    if (number.kind == ScannedNumber::Kind::kInteger) kind = CsvKind::kInteger;
    if (number.kind == ScannedNumber::Kind::kFraction) kind = CsvKind::kFloat;
    if (boolean >= 0) kind = CsvKind::kBool;
    const CsvKind joined = JoinKinds(column.kind, kind);
    if (joined != column.kind) Become(column, joined);
    int64_t& cell = column.cells[piece_.rows];
    switch (joined) {
      case CsvKind::kText:
        return StoreText(c, field.text);
      case CsvKind::kBool:
        cell = boolean;
        return true;
      case CsvKind::kInteger:
        cell = number.integer;
        return true;
      default:
        cell = std::bit_cast<int64_t>(number.value);
        return true;
    }
  }

  bool MissingIfEmpty() const { return plan_.missing.Find("") != StringPool::kAbsent; }

  bool StoreText(size_t c, std::string_view text) {
    CsvPieceColumn& column = piece_.columns[c];
    int32_t code = column.broken ? StringPool::kAbsent : column.categories.Find(text);
    if (code == StringPool::kAbsent) {
      if (!CheckText(c, text)) return false;
      if (!column.broken) code = column.categories.Add(text);
    }
    column.cells[piece_.rows] = code;
    return true;
  }

  // Text that goes into the table or into a message was seen here first.
  bool CheckText(size_t c, std::string_view text) {
    if (text.find('\0') != std::string_view::npos) {
      return Failed(static_cast<int64_t>(c), Cat(Quoted(text), " contains a NUL byte"));
    }
    if (IsValidUtf8(text)) return true;
    return Failed(static_cast<int64_t>(c),
                  Cat(Quoted(text), " is not valid UTF-8: convert the file to UTF-8"));
  }

  bool StoreFixed(size_t c, std::string_view text) {
    const CsvColumnPlan& plan = plan_.columns[c];
    const ScannedNumber number = ParseNumber(text);
    int64_t& cell = piece_.columns[c].cells[piece_.rows];
    if (IsFloat(plan.type)) {
      cell = std::bit_cast<int64_t>(number.value);
      if (number.kind != ScannedNumber::Kind::kNone) return true;
      return Failed(static_cast<int64_t>(c), Cat(Quoted(text), " is not a number"));
    }
    const int boolean = plan.type == ColumnType::kBool ? BoolOf(text) : -1;
    cell = boolean >= 0 ? boolean : number.integer;
    if (boolean >= 0) return true;
    const bool integer = number.kind == ScannedNumber::Kind::kInteger;
    if (integer && cell >= plan.least && cell <= plan.most) return true;
    std::string what = "not an integer";
    if (integer) what = Cat("out of range for ", TypeName(plan.type));
    if (plan.type == ColumnType::kBool) what = "not true, false, 1 or 0";
    return Failed(static_cast<int64_t>(c), Cat(Quoted(text), " is ", what));
  }

  const CsvPlan& plan_;
  CsvFieldReader reader_;
  const char* p_;
  const char* const end_;
  const int64_t capacity_;
  int64_t row_lines_ = 0;
  CsvPiece piece_;
};

}  // namespace

CsvKind JoinKinds(CsvKind a, CsvKind b) {
  if (a == b || b == CsvKind::kEmpty) return a;
  if (a == CsvKind::kEmpty) return b;
  const auto is_number = [](CsvKind kind) {
    return kind == CsvKind::kInteger || kind == CsvKind::kFloat;
  };
  return is_number(a) && is_number(b) ? CsvKind::kFloat : CsvKind::kText;
}

int64_t MissingCell(CsvKind kind) {
  if (kind == CsvKind::kFloat) return std::bit_cast<int64_t>(kNan);
  return kind == CsvKind::kText ? StringPool::kAbsent : kMissingInteger;
}

CsvPiece ParseCsvPiece(const CsvPlan& plan, std::string_view text) {
  return PieceParser(plan, text).Parse();
}

}  // namespace beamline::engine::data
