# pandas, matplotlib and sympy on top, and what is imported beside them.
import matplotlib, matplotlib.pyplot, mpmath, pandas, sympy
import networkx, openpyxl, tabulate, yaml

warmup.expect(
    warmup.rehearse(
        """
import io
import pandas as pd

df = pd.DataFrame({"part": ["a", "b", "a"], "load": [1.0, 2.0, 3.0], "n": [1, 2, 3], "when": pd.to_datetime(["2026-01-01"] * 3)})
df.describe(); df.groupby("part")["load"].mean(); df.sort_values("load"); df.merge(df, on="n"); df[df.load > 1]; df.pivot_table(index="part", values="load")
pd.read_csv(io.StringIO(df.to_csv(index=False))); str(df); repr(df["load"]); df.assign(x=df.load * 2); df.apply(lambda row: row["load"], axis=1); df.set_index("part"); pd.concat([df, df])
print(df)
result = {"df": df, "mean": df[["load", "n"]].mean(), "column": df["load"], "when": df["when"][0], "na": pd.NA}
"""
    ),
    "r",
)
warmup.expect(
    warmup.rehearse(
        """
import sympy as sp

x, a = sp.symbols("x a")
e = sp.diff(sp.sin(x) * x**2, x)
sp.integrate(x**2, x); sp.solve(x**2 - 2, x); sp.simplify(sp.sin(x) ** 2 + sp.cos(x) ** 2); sp.Matrix([[1, 2], [3, 4]]).det(); sp.lambdify(x, e)(1.0); str(e); sp.N(sp.pi); sp.series(sp.sin(x), x, 0, 4); sp.sympify("x + 1"); sp.latex(e); sp.factor(x**2 - 1); sp.expand((x + 1) ** 2)
result = {"e": e, "n": sp.Integer(2), "f": sp.Float(0.5), "m": sp.Matrix([[1, 2]])}
"""
    ),
    "r",
)
warmup.expect(
    warmup.rehearse(
        """
import matplotlib.pyplot as plt
import numpy as np

x = np.linspace(0.1, 10, 50)
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
left.plot(x, np.sin(x), "o-", label="measured"); left.set_xlabel("Strain [%]"); left.set_ylabel(r"Stress $\\sigma$ [MPa]"); left.set_title("Tensile test"); left.legend(); left.grid(True); left.annotate("yield", (1, 0.5)); left.axhline(0.0, color="k", ls="--"); left.fill_between(x, 0, np.sin(x), alpha=0.2)
right.loglog(x, x**2); right.scatter(x, x); right.bar([1, 2], [3, 4]); right.text(1, 1, "text")
plt.figure(); plt.contourf(np.outer(x, x)); plt.colorbar(); plt.hist(x); plt.tight_layout()
plt.show()
plt.plot([1, 2, 3])
result = 1
"""
    ),
    "r",
)
# Fonts are kept with their files open, which no task would find open.
matplotlib.font_manager._get_font.cache_clear()
matplotlib.mathtext.MathTextParser._parse_cached.cache_clear()
for _figure in range(1, 9):
    try:
        os.remove(f"/work/out/figure-{_figure}.png")
    except OSError:
        pass
