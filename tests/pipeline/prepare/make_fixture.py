"""Records what pandas makes of tables by the operations of prepare steps.

    python3 make_fixture.py

Writes events.csv, runs.csv and more.csv, and fixture.txt: for each case a line "# OPERATIONS",
which are YAML as in a definition, and the table that pandas makes as CSV.
"""

import pathlib

import numpy as np
import pandas as pd

HERE = pathlib.Path(__file__).resolve().parent
R = np.random.default_rng(5)
N = 60


def holes(values, share):
    return pd.Series(values).where(R.random(len(values)) >= share)


E = pd.DataFrame({
    "run": pd.array(R.integers(1, 6, N), dtype="Int64"),
    "pt": holes(np.round(R.exponential(30, N), 2), 0.1).astype("Float64"),
    "eta": pd.array(np.round(R.normal(0, 2, N), 3), dtype="Float64"),
    "hits": holes(R.integers(0, 20, N).astype(float), 0.15).astype("Int64"),
    "kind": holes(R.choice(["muon", "electron", "tau"], N), 0.1).astype("string"),
    "good": pd.array(R.random(N) < 0.7, dtype="boolean"),
})
# A run that no event has, one that is there twice, and none for run 2.
RUNS = pd.DataFrame({
    "run": pd.array([5, 1, 3, 7, 3, 4], dtype="Int64"),
    "kind": pd.array(["muon", "tau", "muon", "tau", "electron", "new"], dtype="string"),
    "lumi": pd.array([0.5, 1.25, 2, 3, 4, None], dtype="Float64"),
    "eta": pd.array([1, 2, 3, 4, 5, 6], dtype="Int64"),
})
MORE = E.sample(7, random_state=1).reset_index(drop=True)
MORE = MORE[["good", "kind", "hits", "eta", "pt", "run"]].copy()
MORE["hits"] = MORE["hits"].fillna(3)
MORE.loc[0, "kind"] = "photon"
MORE["eta"] = pd.array([1, 2, 3, 4, 5, 6, 7], dtype="Int64")

pt, eta, hits, kind, good = E.pt, E.eta, E.hits, E.kind, E.good


def grouped(by, **aggregates):
    """Groups in order of appearance, missing ones too."""
    out = E.groupby(by, sort=False, dropna=False, as_index=False).agg(**aggregates)
    return out[by + sorted(aggregates)]


def tokens(frame, column, take):
    rows = []
    for i, row in enumerate(frame.itertuples(index=False)):
        text = getattr(row, column)
        for token in [] if text is pd.NA else take(text):
            rows.append({**row._asdict(), column: token, "document": i})
    return pd.DataFrame(rows)


def left(on):
    out = E.merge(RUNS, on=on, how="left", suffixes=("", "_2"))
    return out


COUNTED = E.assign(
    n=E.groupby("run").run.transform("size"))
WIDE = pd.DataFrame({f"p{i}": E.eta for i in range(2)})

CASES = {
    "[{select: {columns: [eta, run]}}]": E[["eta", "run"]],
    "[{select: {drop: [eta, kind]}}]": E.drop(columns=["eta", "kind"]),
    "[{rename: {names: {pt: eta, eta: pt}}}]": E.rename(columns={"pt": "eta", "eta": "pt"}),
    "[{filter: {where: 'pt > 25 and abs(eta) < 2.4'}}]": E[((pt > 25) & (eta.abs() < 2.4)).fillna(False)],
    "[{filter: {where: 'kind in (\"muon\", \"tau\") or hits > 12'}}]":
        E[((kind == "muon") | (kind == "tau") | (hits > 12)).fillna(False)],
    "[{derive: {columns: {eta: 'eta ^ 2', px: 'pt * 2', a: 'hits + run', big: 'pt > 40', u: 'upper(kind)'}}}]":
        E.assign(eta=eta**2, a=hits + E.run, big=(pt > 40).astype("string").str.lower(), px=pt * 2, u=kind.str.upper()),
    "[{join: {with: runs, on: [run]}}]": E.merge(RUNS, on="run", suffixes=("", "_2")),
    "[{join: {with: runs, on: [run], how: left, suffix: _run}}]":
        E.merge(RUNS, on="run", how="left", suffixes=("", "_run")),
    "[{join: {with: runs, on: [run, kind]}}]":
        E[kind.notna()].merge(RUNS, on=["run", "kind"], suffixes=("", "_2")),
    "[{join: {with: runs, on: [kind, run], how: left}}]": left(["kind", "run"]),
    "[{append: {tables: [more, events]}}]":
        pd.concat([E, MORE.astype({"eta": "Float64"})[E.columns], E]),
    "[{append: {tables: [more], source_column: from}}]":
        pd.concat([E.assign(**{"from": "events"}),
                   MORE.astype({"eta": "Float64"})[E.columns].assign(**{"from": "more"})]),
    "[{sort: {by: [pt]}}]": E.sort_values("pt", kind="stable"),
    "[{sort: {by: [-kind, hits, -eta]}}]":
        E.sort_values("eta", ascending=False, kind="stable").sort_values("hits", kind="stable")
        .sort_values("kind", ascending=False, kind="stable"),
    "[{distinct: {columns: [kind, good]}}]": E.drop_duplicates(["kind", "good"]),
    "[{select: {columns: [run, kind]}}, {distinct: {}}]": E[["run", "kind"]].drop_duplicates(),
    "[{group: {by: [run], aggregates: {n: count(), present: count(hits), total: sum(hits), mean: mean(pt), "
    "low: min(pt), high: max(hits), spread: std(pt), first: first(kind), last: last(kind), "
    "middle: median(pt), share: 'mean(if(good, 1, 0))', words: max(kind)}}}]":
        grouped(["run"], n=("run", "size"), present=("hits", "count"), total=("hits", "sum"),
                mean=("pt", "mean"), low=("pt", "min"), high=("hits", "max"), spread=("pt", "std"),
                first=("kind", "first"), last=("kind", "last"), middle=("pt", "median"),
                share=("good", lambda g: g.astype(float).mean()), words=("kind", lambda g: g.dropna().max())),
    "[{group: {by: [kind, good], aggregates: {n: count(), total: sum(pt)}}}]":
        grouped(["kind", "good"], n=("run", "size"), total=("pt", "sum")),
    "[{fill: {number: -1}}]": E.fillna({"pt": -1, "hits": -1}),
    "[{fill: {number: 0.5}}]": E.fillna({"pt": 0.5}),
    "[{fill: {columns: [kind], text: unknown}}]": E.fillna({"kind": "unknown"}),
    "[{tokenise: {column: kind, unit: character, name: letter}}]":
        tokens(E, "kind", list).rename(columns={"kind": "letter"}),
    "[{derive: {columns: {kind: 'if(good, \"Ein Muon, 3!\", kind)'}}}, {tokenise: {column: kind}}]":
        tokens(E.assign(kind=kind.where(~good, "Ein Muon, 3!")), "kind",
               lambda t: ["ein", "muon", ",", "3", "!"] if t[0] == "E" else [t])
        .rename(columns={"kind": "token"}),
    "[{filter: {where: 'hits > 3'}}, {derive: {columns: {h: 'hits * eta'}}}, {join: {with: runs, on: [run]}}, "
    "{group: {by: [lumi], aggregates: {h: sum(h)}}}, {sort: {by: [-lumi]}}]":
        E[(hits > 3).fillna(False)].assign(h=lambda d: d.hits * d.eta).merge(RUNS, on="run", suffixes=("", "_2"))
        .groupby("lumi", sort=False, dropna=False, as_index=False).agg(h=("h", "sum"))
        .sort_values("lumi", ascending=False, kind="stable"),
}


def csv(frame):
    out = frame.copy()
    for name in out.columns:
        if name == "good":
            out[name] = out[name].astype("string").str.lower()
    return out.to_csv(index=False)


for name, frame in (("events", E), ("runs", RUNS), ("more", MORE)):
    (HERE / f"{name}.csv").write_text(csv(frame), encoding="utf-8")
with open(HERE / "fixture.txt", "w", encoding="utf-8") as file:
    for operations, frame in CASES.items():
        file.write(f"# {operations}\n{csv(frame)}")
