# Dates from 1900 to 2099 as people write them, and as ISO 8601 has them: `rows` of them, none twice. The same seed gives the
# same rows everywhere.
function below(n) {
  state = (state * 16807) % 2147483647  # Lewis, Goodman, Miller 1969
  return int(state / 2147483647 * n)
}
function ordinal(day) {
  if (day % 10 == 1 && day != 11) return day "st"
  if (day % 10 == 2 && day != 12) return day "nd"
  if (day % 10 == 3 && day != 13) return day "rd"
  return day "th"
}
function written(day, month, year, kind, name) {
  name = months[month]
  if (kind == 0) return day " " name " " year
  if (kind == 1) return name " " ordinal(day) " " year
  if (kind == 2) return "the " ordinal(day) " of " name " " year
  if (kind == 3) return substr(name, 1, 3) " " day " " year
  if (kind == 4) return day "." month "." year
  return year " " substr(name, 1, 3) " " day
}
BEGIN {
  split("january february march april may june july august september october november december", months, " ")
  split("31 28 31 30 31 30 31 31 30 31 30 31", days, " ")
  state = seed + 1
  for (i = 0; i < 10; i++) below(1)
  print "written,iso"
  for (i = 0; i < rows;) {
    month = 1 + below(12)
    day = 1 + below(days[month])
    year = 1900 + below(200)
    text = written(day, month, year, below(6))
    if (text in seen) continue
    seen[text] = 1
    printf "%s,%04d-%02d-%02d\n", text, year, month, day
    i++
  }
}
