# Blocks of lines with 12 numbers -> rows seq,t,c1,...,c12,label. `sizes`: blocks of each speaker in turn.
BEGIN {
  n = split(sizes, size, " ")
  printf "seq,t"
  for (c = 1; c <= 12; c++) printf ",c%d", c
  print ",label"
  speaker = 1
}
NF == 12 {
  if (t == 0 && seq - first == size[speaker]) { first = seq; speaker++ }
  printf "%d,%d", seq, t++
  for (c = 1; c <= 12; c++) printf ",%s", $c
  print "," speaker
}
NF == 0 && t > 0 { seq++; t = 0 }
