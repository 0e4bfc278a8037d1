# Writes OUTPUT, a C++ file with the digest of SOURCES (a list in a file, one a line, relative to ROOT): results that were
# computed by other code are not taken for those of this one.
file(STRINGS ${SOURCES} sources)
set(all "")
foreach(source ${sources})
  file(SHA256 ${ROOT}/${source} digest)
  string(APPEND all "${source} ${digest}\n")
endforeach()
string(SHA256 digest "${all}")
file(WRITE ${OUTPUT} "namespace beamline::server {\nextern const char kCodeDigest[];\n\
const char kCodeDigest[] = \"${digest}\";\n}  // namespace beamline::server\n")
