"""Records what pandas and NumPy say of expressions: python3 make_fixture.py > fixture.txt

Each line is one expression in our language, its type and its values in the rows of the table below
(tests/engine/expression/fixture_test.cc has the same), separated by tabs. "-" is a missing value.
"""

import numpy as np
import pandas as pd

NA = pd.NA
T = pd.DataFrame({
    "x": pd.array([1.5, -2.25, 0.0, NA, 1e300, -0.5, 7.0, 2.5], dtype="Float64"),
    "y": pd.array([2.0, 0.5, -3.0, 4.0, NA, -0.0, 7.0, 0.0], dtype="Float64"),
    "n": pd.array([3, -7, 0, NA, 9223372036854775807, 5, -1, 2], dtype="Int64"),
    "m": pd.array([2, 2, -3, 4, 1, 0, NA, -2], dtype="Int64"),
    "a": pd.array([True, False, True, NA, False, True, NA, False], dtype="boolean"),
    "b": pd.array([True, True, False, True, NA, NA, NA, False], dtype="boolean"),
    "s": pd.array(["Muon", "electron", "tau", NA, "Ärger ÿ", "muon", "12.5", "ΣΑΣ"], dtype="string"),
    "t": pd.array(["on", "e", NA, "tau", "rg", "Muon", "1", "Σ"], dtype="string"),
})
x, y, n, m, a, b, s, t = (T[c] for c in "xynmabst")
ROW = pd.Series(pd.array(range(8), dtype="Int64"))


def f(function, *columns):
    """A function of NumPy over columns; NaN is missing."""
    with np.errstate(all="ignore"):
        values = function(*(c.astype("Float64").to_numpy(float, na_value=np.nan) for c in columns))
    return pd.Series(pd.array([NA if np.isnan(v) else v for v in values], dtype="Float64"))


def texts(function, *columns):
    rows = []
    for values in zip(*columns):
        rows.append(NA if any(v is NA for v in values) else function(*values))
    return pd.Series(rows)


def kept(values):
    return values.where(values != "", NA)


CASES = {
    "x + y": x + y, "x - y": x - y, "x * y": x * y, "x / y": f(np.divide, x, y),
    "x % y": f(np.mod, x, y), "n % m": (n % m.replace(0, NA)), "n / m": f(np.divide, n, m),
    "x ^ 2": f(lambda v: v**2, x), "x ^ 3": f(lambda v: v**3, x), "x ^ y": f(np.power, x, y),
    "2 ^ -x": f(lambda v: 2.0**-v, x), "-x ^ 2": f(lambda v: -(v**2), x),
    "2 ^ 3 ^ 2": f(lambda v: 512 + 0 * v, y.fillna(0)),
    "m + m * m": m + m * m, "m - 10": m - 10, "-m": -m, "n + m * 1.5": n.astype("Float64") + m * 1.5,
    "(m - 1) * (m + 1)": (m - 1) * (m + 1), "m - m - m": m - m - m,
    "x < y": x < y, "x <= y": x <= y, "x > y": x > y, "x >= y": x >= y, "x == y": x == y,
    "x != y": x != y, "n < m": n < m, "n == m": n == m, "n > x": n.astype("Float64") > x,
    "a == b": a == b, "a != b": a != b,
    "s < t": texts(lambda p, q: p.encode() < q.encode(), s, t), "s == \"muon\"": s == "muon",
    "s != 'tau'": s != "tau",
    "a and b": a & b, "a or b": a | b, "not a": ~a, "not a and b": ~a & b, "not (a and b)": ~(a & b),
    "a or b and not a": a | (b & ~a),
    "x > 0 and y > 0": (x > 0) & (y > 0), "x > 0 or y > 0": (x > 0) | (y > 0),
    "n in (3, 5, -7)": n.isin([3, 5, -7]).where(n.notna(), NA),
    "n not in (3, 5, -7)": (~n.isin([3, 5, -7])).where(n.notna(), NA),
    "x in (1.5, 7)": x.isin([1.5, 7]).where(x.notna(), NA),
    "s in ('muon', \"tau\")": s.isin(["muon", "tau"]).where(s.notna(), NA),
    "a in (true)": a,
    "if(a, x, y)": x.where(a.fillna(False), y).where(a.notna(), NA),
    "if(x > 1, n, m)": n.where((x > 1).fillna(False), m).where(x.notna(), NA),
    "if(a, 1, 2.5)": pd.Series(pd.array([1, 2.5, 1, NA, 2.5, 1, NA, 2.5], dtype="Float64")),
    "if(x < 0, missing, x)": x.where(x >= 0, NA),
    "if(a, s, t)": s.where(a.fillna(False), t).where(a.notna(), NA),
    "is_missing(x)": x.isna(), "is_missing(n)": n.isna(), "is_missing(s)": s.isna(),
    "is_missing(a)": a.isna(), "is_missing(x / y)": f(np.divide, x, y).isna(),
    "coalesce(x, y)": x.fillna(y), "coalesce(n, m, 0)": n.fillna(m).fillna(0),
    "coalesce(t, s)": t.fillna(s), "coalesce(a, b)": a.fillna(b), "coalesce(n, x)":
        n.astype("Float64").fillna(x),
    "abs(x)": x.abs(), "abs(m)": m.abs(), "sign(x)": f(np.sign, x), "sign(n)": np.sign(n.astype("Float64")).astype("Int64"),
    "floor(x)": f(np.floor, x), "ceil(x)": f(np.ceil, x), "round(x)": f(np.round, x),
    "min(x, y)": f(np.minimum, x, y), "max(x, y)": f(np.maximum, x, y),
    "min(n, m)": n.where(n < m, m).where(n.notna() & m.notna(), NA),
    "max(n, m, 4)": n.where(n > m, m).clip(lower=4).where(n.notna() & m.notna(), NA),
    "sqrt(x)": f(np.sqrt, x), "exp(y)": f(np.exp, y), "log(x)": f(np.log, x),
    "log10(y)": f(np.log10, y), "sin(y)": f(np.sin, y), "cos(y)": f(np.cos, y),
    "tan(y)": f(np.tan, y), "asin(x)": f(np.arcsin, x), "acos(x)": f(np.arccos, x),
    "atan(x)": f(np.arctan, x), "atan2(y, x)": f(np.arctan2, y, x), "sinh(y)": f(np.sinh, y),
    "cosh(y)": f(np.cosh, y), "tanh(y)": f(np.tanh, y), "hypot(x, y)": f(np.hypot, x, y),
    "row()": ROW, "row() % 3 == 1": ROW % 3 == 1,
    "number(s)": texts(lambda v: 12.5 if v == "12.5" else NA, s).astype("Float64"),
    "number(a)": a.astype("Int64"), "integer(y)": pd.Series(pd.array([2, 0, -3, 4, NA, 0, 7, 0], dtype="Int64")),
    "integer(x)": pd.Series(pd.array([1, -2, 0, NA, NA, 0, 7, 2], dtype="Int64")),
    "text(m)": m.astype("string"), "text(a)": a.astype("string").str.lower(),
    "text(x)": pd.Series(["1.5", "-2.25", "0", NA, "1e+300", "-0.5", "7", "2.5"]),
    "lower(s)": s.str.lower().str.replace("ς", "σ"), "upper(s)": s.str.upper(),
    "length(s)": s.str.len(),
    "contains(s, t)": texts(lambda p, q: q in p, s, t), "contains(s, 'u')": s.str.contains("u"),
    "starts_with(s, 'M')": s.str.startswith("M"), "ends_with(s, 'on')": s.str.endswith("on"),
    "substring(s, 1, 2)": kept(s.str.slice(1, 3)), "substring(s, -2)": kept(s.str.slice(-2)),
    "substring(s, 3)": kept(s.str.slice(3)),
    "lower(substring(s, 0, 1)) == 'm'": s.str.slice(0, 1).str.lower() == "m",
    "length(s) * 2 + row()": s.str.len() * 2 + ROW,
}


def shown(value):
    if value is NA or value is None or (isinstance(value, float) and np.isnan(value)):
        return "-"
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        return repr(float(value))
    return str(value)


for text, values in CASES.items():
    print(text, *(shown(v) for v in values), sep="\t")
