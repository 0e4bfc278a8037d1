#!/usr/bin/env python3
"""Writes HDF5 files by h5py for hdf5_test.cc.

Needs h5py (written with 3.x). The outputs are committed, so this is run only to widen them:
    tests/pipeline/ingest/hdf5/make_fixture.py tests/pipeline/ingest/hdf5
"""

import sys

import h5py
import numpy as np

folder = sys.argv[1]


def file(name, **options):
    return h5py.File(f"{folder}/{name}.h5", "w", **options)


rows = np.arange(7)
with file("plain") as f:
    f["double"] = rows * 0.5
    f["float"] = (rows * 0.25).astype("f4")
    f["half"] = rows.astype("f2")
    f["byte"] = rows.astype("u1")
    f["short"] = (-rows).astype("i2")
    f["long"] = rows.astype("i8") << 40
    f["flag"] = rows % 3 == 0
    f["deep/er/matrix"] = (rows[:, None] * 10 + np.arange(3)).astype("i4")
    f["scalar"] = 3.5
    f["group/text"] = np.array([f"t{i % 3}" for i in rows], dtype=object)
    f["fixed"] = np.array([b"ab", b"c", b"", b"dddd", b"e", b"f", b"g"])
    f.create_dataset("compact", data=rows * 3, dtype="i4")

rows = np.arange(53)
with file("chunked") as f:
    cube = (rows[:, None, None] * 100 + np.arange(5)[:, None] * 10 + np.arange(7)).astype("f4")
    f.create_dataset("cube", data=cube, chunks=(10, 2, 3), compression="gzip", shuffle=True,
                     fletcher32=True)
    f.create_dataset("line", data=rows * 1.5, chunks=(8,), shuffle=True)
    f.create_dataset("plain", data=rows, chunks=(16,), dtype="i8")
    f.create_dataset("summed", data=rows * 5, chunks=(20,), dtype="i4", fletcher32=True)
    holes = f.create_dataset("holes", shape=(53,), chunks=(10,), dtype="f8", fillvalue=-1)
    holes[20:30] = 7
    f.create_dataset("never", shape=(53,), dtype="i4", fillvalue=9)
    grown = f.create_dataset("grown", shape=(5,), maxshape=(None,), chunks=(4,), dtype="i4")
    grown.resize((53,))
    grown[:] = rows * 2
    f.create_dataset("texts", data=np.array([f"word {i}" for i in rows], dtype=object), chunks=(9,),
                     compression="gzip")
with file("many") as f:
    for i in range(60):  # more than one leaf of a group's tree
        f[f"c{i:03d}"] = np.full(2, i, "u1")

with file("newer", libver="latest") as f:
    f["x"] = np.arange(3)
with file("soft") as f:
    f["x"] = np.arange(3)
    f["y"] = h5py.SoftLink("/x")
with file("external") as f:
    f["y"] = h5py.ExternalLink("plain.h5", "/double")
with file("outside") as f:
    f.create_dataset("y", shape=(3,), dtype="f8", external=[("/etc/passwd", 0, 24)])
with file("compound") as f:
    f["y"] = np.zeros(3, dtype=[("a", "f4"), ("b", "i4")])
with file("big_endian") as f:
    f["y"] = np.arange(3).astype(">f8")
with file("lzf") as f:
    f.create_dataset("y", data=np.zeros(100), chunks=(50,), compression="lzf")
with file("ragged") as f:
    f["x"], f["y"] = np.arange(3), np.arange(4)
