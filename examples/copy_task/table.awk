# Sequences to be copied: `train` of 1 to 10 symbols a to h, 100 of 20. A sequence is its symbols, "|", and as many
# steps "." at which the symbols must be said again, in order. The same seed gives the same rows everywhere.
function below(n) {
  state = (state * 16807) % 2147483647  # Lewis, Goodman, Miller 1969
  return int(state / 2147483647 * n)
}
function row(part, symbol, copy, weight) {
  print number "," part "," symbol "," copy "," weight
}
function sequence(part, length_, i, said) {
  number++
  for (i = 1; i <= length_; i++) {
    said[i] = substr("abcdefgh", below(8) + 1, 1)
    row(part, said[i], said[i], 0)
  }
  row(part, "|", "a", 0)
  for (i = 1; i <= length_; i++) row(part, ".", said[i], 1)
}
BEGIN {
  state = seed + 1
  for (i = 0; i < 10; i++) below(1)
  print "sequence,part,symbol,copy,weight"
  for (i = 0; i < train; i++) sequence("short", 1 + below(10))
  for (i = 0; i < 100; i++) sequence("long", 20)
}
