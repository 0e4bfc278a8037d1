// audit: who changed what, and whether that is what was written.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/hash_chain.h"
#include "base/status_macros.h"
#include "clients/cli/format.h"
#include "clients/cli/invocation.h"
#include "clients/cli/json.h"
#include "clients/cli/references.h"
#include "clients/cli/rpc.h"
#include "clients/cli/table.h"
#include "clients/cli/verbs/verbs.h"

namespace beamline::cli {
namespace {

constexpr int64_t kDefaultLimit = 50;
constexpr int64_t kMostEntries = 1'000'000'000;

// Entries without a method only count calls: of one principal, of one address, or of several.
std::string Who(const v1::AuditEntry& entry) {
  if (!entry.principal().empty()) return entry.principal();
  return entry.method().empty() && entry.peer().empty() ? "several" : "-";
}

std::string Outcome(const v1::AuditEntry& entry) {
  std::string text = absl::StatusCodeToString(static_cast<absl::StatusCode>(entry.code()));
  if (entry.count() > 1) absl::StrAppend(&text, " (", entry.count(), " calls)");
  return text;
}

// Prints the entries that `method` lists as it asks for them.
template <class Method>
absl::Status List(Invocation& invocation, const Method& method, typename Method::Request request) {
  const Arguments& args = invocation.args();
  ASSIGN_OR_RETURN(const int64_t limit, args.Integer("limit", kDefaultLimit, 1, kMostEntries));
  if (args.Has("since")) {
    ASSIGN_OR_RETURN(const absl::Time since, ParsePast(args.Get("since"), invocation.Now()));
    *request.mutable_since() = TimestampOf(since);
  }
  if (const std::string by = args.Get("by"); !by.empty()) {
    request.set_principal(by.starts_with("workers/") ? by : UserName(by));
  }
  Table table({{"TIME"}, {"WHO"}, {"FROM"}, {"CALL"}, {"ABOUT"}, {"ANSWER"}, {"WHAT"}});
  RETURN_IF_ERROR(invocation.ForEachPage(
      method, std::move(request), limit, [&](const v1::ListAuditEntriesResponse& page) {
        for (const v1::AuditEntry& entry : page.entries()) {
          if (invocation.json()) {
            invocation.PrintJsonLine(entry);
            continue;
          }
          table.Add(
              {absl::FormatTime("%Y-%m-%d %H:%M:%S", TimeOf(entry.time()), absl::LocalTimeZone()),
               Who(entry), entry.peer(), entry.method(), entry.resource(), Outcome(entry),
               entry.summary()});
        }
        return page.entries_size();
      }));
  if (!invocation.json()) invocation.Print(table.Render(!invocation.quiet()));
  return absl::OkStatus();
}

absl::StatusOr<ExitCode> ListAudit(Invocation& invocation) {
  if (!invocation.args().Has("project")) {
    RETURN_IF_ERROR(List(invocation, kListAuditEntries, {}));
    return ExitCode::kOk;
  }
  v1::ListProjectAuditEntriesRequest request;
  ASSIGN_OR_RETURN(*request.mutable_parent(), invocation.Project());
  RETURN_IF_ERROR(List(invocation, kListProjectAuditEntries, std::move(request)));
  return ExitCode::kOk;
}

// Takes the links as far as the end that the first answer named: what is appended meanwhile is not
// waited for.
absl::Status Walk(Invocation& invocation, HashChain& chain) {
  v1::ReadAuditChainRequest request;
  ASSIGN_OR_RETURN(const v1::ReadAuditChainResponse first,
                   invocation.Call(kReadAuditChain, request));
  v1::ReadAuditChainResponse page = first;
  while (page.links_size() > 0 && chain.size() < first.head_sequence()) {
    for (const v1::AuditLink& link : page.links()) {
      if (chain.size() == first.head_sequence()) break;
      v1::AuditEntry entry;
      if (!entry.ParseFromString(link.record())) entry.set_sequence(chain.size() + 1);
      RETURN_IF_ERROR(chain.Take(entry.sequence(), link.record(), link.hash()));
    }
    request.set_after_sequence(chain.size());
    ASSIGN_OR_RETURN(page, invocation.Call(kReadAuditChain, request));
  }
  return chain.End(first.head_sequence(), first.head_hash());
}

absl::StatusOr<ExitCode> VerifyAudit(Invocation& invocation) {
  HashChain chain(invocation.args().Get("head"));
  RETURN_IF_ERROR(Walk(invocation, chain));
  if (invocation.json()) {
    v1::ReadAuditChainResponse answer;
    answer.set_head_sequence(chain.size());
    answer.set_head_hash(chain.head());
    invocation.PrintJson(answer);
    return ExitCode::kOk;
  }
  invocation.Print(absl::StrFormat("%d entries, all as they were written\nhead %s\n", chain.size(),
                                   chain.head()));
  invocation.Note("keep the head elsewhere: with --head it proves that nothing before was cut\n");
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> AuditCommands() {
  return {
      {.path = "audit list",
       .summary = "List who changed what, newest first",
       .positionals = {},
       .flags = {{"since", "WHEN", "Not what was before: 90s, 15m, 12h, 30d ago, or a time"},
                 {"by", "USER", "Only calls of this user, or of workers/W"},
                 {"limit", "N", absl::StrCat("At most so many (default ", kDefaultLimit, ")")}},
       .details = "With --project what was done to one project and what it has (for its admins); "
                  "else of the whole\ncluster (for operators).",
       .run = ListAudit},
      {.path = "audit verify",
       .summary = "Check that no entry was changed, taken out or put in (operators)",
       .positionals = {},
       .flags = {{"head", "HASH",
                  "A head printed earlier, or from the server's log: it must be "
                  "there still"}},
       .details = "Without a server: beamlined audit verify --state DIR, also of a backup.",
       .run = VerifyAudit},
  };
}

}  // namespace beamline::cli
