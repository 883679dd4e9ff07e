# NumPy and SciPy, imported and exercised: what a package does only once must be done when the image is made.
import numpy, numpy.fft, numpy.linalg, numpy.ma, numpy.polynomial, numpy.random
import scipy, scipy.constants, scipy.fft, scipy.integrate, scipy.interpolate, scipy.linalg, scipy.optimize
import scipy.signal, scipy.sparse, scipy.sparse.linalg, scipy.spatial, scipy.special, scipy.stats

if numpy.array([60000, 60000]).prod() != 3_600_000_000:
    raise RuntimeError("NumPy's default integer has 32 bits: the recipe's patches were not applied")

warmup.expect(
    warmup.rehearse(
        """
import numpy as np
from numpy.polynomial import Polynomial

K = np.array([[4.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 3.0]])
f = np.array([1, 2, 3])
u = np.linalg.solve(K, f)
w, v = np.linalg.eigh(K)
np.linalg.eig(K); np.linalg.eigvals(K); np.linalg.inv(K); np.linalg.det(K); np.linalg.svd(K); np.linalg.qr(K)
np.linalg.cholesky(K); np.linalg.lstsq(K, f, rcond=None); np.linalg.norm(u); np.linalg.cond(K); np.linalg.pinv(K)
np.linalg.matrix_rank(K)
x = np.linspace(0, 1, 11); y = np.sin(x) * np.exp(-x) + np.sqrt(x)
repr(K), str(K), repr(f), str(u[0]), f"{u[0]:.3e}", repr(u[0]), str(K > 0), repr(np.array(["a"]))
print(K, u)
np.trapezoid(y, x); np.gradient(y, x); np.interp(0.5, x, y); np.polyfit(x, y, 2); np.roots([1, -3, 2])
np.cumsum(y); np.diff(y); np.where(y > 0.5)[0]; np.argsort(y); np.unique(f); np.meshgrid(x, x); np.histogram(y)
np.mean(y); np.std(y); np.median(y); np.percentile(y, 90); np.maximum(y, 0); np.concatenate([x, y]); np.vstack([x, y])
np.outer(x, y); np.dot(K, u); K @ u; np.einsum("ij,j->i", K, u); np.kron(K, K); np.tensordot(K, K); np.cross([1, 0, 0], [0, 1, 0])
np.zeros((3, 3)); np.ones(3, dtype=int); np.eye(3); np.full(3, 2); np.arange(5); np.diag(f); np.tile(f, 2); np.round(y, 2)
np.fft.rfft(y); np.fft.ifft(np.fft.fft(y)); np.convolve(y, y); np.allclose(x, x); np.isclose(x, x); np.prod([60000, 60000])
Polynomial.fit(x, y, 3)(0.5); np.random.rand(3); np.random.default_rng().normal(size=3); np.random.default_rng(3).integers(0, 9, 4)
np.vectorize(lambda a: a + 1)(f); np.nan_to_num(y); np.clip(y, 0, 1); np.searchsorted(x, 0.3); np.bincount(f)
with np.errstate(all="ignore"):
    np.array([1.0]) / np.array([0.0])
np.float64(1.0) + np.int64(2); np.int64(3) * 2; float(np.float64(2)); int(np.int64(2)); np.array([1 + 2j]).conj()
np.array(["2026-01-01"], dtype="M8[D]") + np.timedelta64(1, "D")
np.array([(1, 2.0)], dtype=[("a", "i8"), ("b", "f8")])["a"]
result = {"u": u, "w": w, "v": v, "f": f, "flag": K > 0, "one": u[0], "n": f[0], "z": np.array([1 + 2j]), "f4": np.float32(1),
          "when": np.array(["2026-01-01"], dtype="M8[D]"), "masked": np.ma.array([1, 2], mask=[0, 1])}
"""
    ),
    "r",
)
warmup.expect(
    warmup.rehearse(
        """
import numpy as np
from scipy import constants, fft, integrate, interpolate, linalg, optimize, signal, sparse, spatial, special, stats
from scipy.sparse.linalg import cg, eigsh, spsolve, splu, factorized

K = np.array([[4.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 3.0]])
M = np.diag([1.0, 2.0, 3.0])
f = np.array([1.0, 2.0, 3.0])
linalg.solve(K, f); linalg.solve(K, f, assume_a="pos"); linalg.eigh(K, M); linalg.eig(K); linalg.lu_factor(K); linalg.lu_solve(linalg.lu_factor(K), f)
linalg.cho_solve(linalg.cho_factor(K), f); linalg.inv(K); linalg.det(K); linalg.expm(K); linalg.svd(K); linalg.qr(K); linalg.norm(K)
linalg.solve_banded((1, 1), np.array([[0, -1, -1], [4, 4, 3], [-1, -1, 0.0]]), f); linalg.block_diag(K, K); linalg.null_space(K); linalg.lstsq(K, f)
x = np.linspace(0.1, 2, 20)
y = 3.0 * np.exp(-1.5 * x)
optimize.brentq(lambda a: a * a - 2, 0, 2); optimize.fsolve(lambda a: a * a - 2, 1.0); optimize.newton(lambda a: a * a - 2, 1.0)
optimize.root(lambda a: a * a - 2, [1.0]); optimize.root_scalar(lambda a: a * a - 2, bracket=[0, 2]); optimize.bisect(lambda a: a - 1, 0, 2)
optimize.curve_fit(lambda t, a, b: a * np.exp(-b * t), x, y, p0=(1, 1)); optimize.minimize(lambda p: (p[0] - 1) ** 2 + p[1] ** 2, [0.0, 0.5])
optimize.minimize(lambda p: (p[0] - 1) ** 2, [0.0], method="Nelder-Mead"); optimize.minimize(lambda p: (p[0] - 1) ** 2, [0.0], bounds=[(0, 2)])
optimize.minimize(lambda p: (p[0] - 1) ** 2, [0.0], method="SLSQP", constraints={"type": "ineq", "fun": lambda p: 2 - p[0]})
optimize.minimize_scalar(lambda a: (a - 1) ** 2); optimize.least_squares(lambda p: p - f, f * 0); optimize.linprog([1, 1], A_ub=[[-1, -2]], b_ub=[-2])
integrate.quad(lambda a: a * a, 0, 1); integrate.solve_ivp(lambda t, s: [s[1], -s[0]], (0, 1), [1, 0]); integrate.odeint(lambda s, t: -s, 1.0, x)
integrate.solve_ivp(lambda t, s: [-50 * s[0]], (0, 1), [1], method="BDF"); integrate.simpson(y, x=x); integrate.trapezoid(y, x); integrate.cumulative_trapezoid(y, x)
integrate.dblquad(lambda a, b: a * b, 0, 1, 0, 1)
interpolate.CubicSpline(x, y)(1.0); interpolate.interp1d(x, y)(1.0); interpolate.PchipInterpolator(x, y)(1.0); interpolate.UnivariateSpline(x, y)(1.0)
interpolate.make_interp_spline(x, y)(1.0); interpolate.RegularGridInterpolator((x, x), np.outer(y, y))([1.0, 1.0]); interpolate.splev(1.0, interpolate.splrep(x, y))
A = sparse.csr_matrix(K); B = sparse.csc_array(K); C = sparse.coo_matrix(([1.0, 2.0], ([0, 1], [0, 1])), shape=(3, 3)).tocsr(); L = sparse.lil_matrix((3, 3)); L[0, 0] = 1.0
spsolve(A.tocsc(), f); splu(B).solve(f); factorized(B)(f); eigsh(sparse.diags(np.arange(1.0, 21.0)).tocsc(), k=2, sigma=0); cg(A, f); A @ f; (A + C).toarray(); sparse.eye(3); sparse.kron(A, A)
sparse.diags([-1.0, 2.0, -1.0], [-1, 0, 1], shape=(5, 5)).tocsr(); sparse.bmat([[A, None], [None, A]]); A[1:, :1]; sparse.vstack([A, A]); sparse.random(3, 3, 0.5)
signal.butter(2, 0.2); signal.lfilter([1], [1, 0.5], y); signal.filtfilt(*signal.butter(2, 0.2), y); signal.find_peaks(np.sin(9 * x)); signal.welch(y, nperseg=8); signal.savgol_filter(y, 5, 2)
special.erf(1.0); special.gamma(2.5); special.jv(0, 1.0); special.ellipk(0.5); special.comb(5, 2); special.factorial(5)
stats.norm.cdf(1.0); stats.norm.ppf(0.9); stats.linregress(x, y); stats.weibull_min.fit(y, floc=0); stats.ttest_ind(x, y); stats.norm.fit(x); stats.norm.rvs(size=2); stats.pearsonr(x, y); stats.t.ppf(0.9, 5)
spatial.distance.cdist(K, K); spatial.KDTree(K).query(f); spatial.ConvexHull(np.array([[0, 0], [1, 0], [0, 1], [1, 1.0]])).volume; spatial.Delaunay(np.array([[0, 0], [1, 0], [0, 1], [1, 1.0]])); spatial.transform.Rotation.from_euler("z", 90, degrees=True).as_matrix()
fft.rfft(y); fft.dct(y); constants.g
n = np.linalg.solve(K, f)
result = {"u": spsolve(A.tocsc(), f), "stats": stats.linregress(x, y), "opt": optimize.minimize_scalar(lambda a: (a - 1) ** 2)}
"""
    ),
    "r",
)
# A larger solve: OpenBLAS takes its buffers once.
warmup.expect(
    warmup.rehearse("import numpy as np\nA = np.random.default_rng(1).random((120, 120)) + 120 * np.eye(120)\nresult = np.linalg.solve(A, A @ np.ones(120))[:3]\n"),
    "r",
)
# A sparse system that is large enough for the host to be asked.
warmup.expect(
    warmup.rehearse(
        """
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu, spsolve
A = sparse.diags([-1.0, -1.0, 5.0, -1.0, -1.0], [-9, -1, 0, 1, 9], shape=(300, 300)).tocsc()
b = np.ones(300)
result = [spsolve(A, b)[:3], spsolve(A.tocsr(), np.array([b, b]).T)[0], splu(A).solve(b)[:3]]
"""
    ),
    "r",
)
warmup.expect(warmup.rehearse("import numpy as np\nnp.linalg.solve(np.zeros((2, 2)), [1, 2])\n"), "e")
warmup.expect(warmup.rehearse("import numpy as np\nresult = np.array([1.0, np.nan])\n"), "e")
warmup.expect(warmup.rehearse("import numpy as np\nresult = np.array([1.0, np.nan])\n", non_finite="null"), "r")
warmup.expect(warmup.rehearse("import numpy as np\nresult = np.zeros(3) + np.zeros(4)\n"), "e")
warmup.run_in_tasks += [
    ("import numpy as np\nK = np.array([[4.0, 1, 0], [1, 3, 1], [0, 1, 2]])\nresult = np.linalg.solve(K, np.array([1.0, 2, 3]))", "{}"),
    ("import numpy as np\ndef main(n):\n    x = np.linspace(0, 1, n)\n    return {'y': np.sin(x) * 2, 'sum': x.sum()}", '{"n": 10}'),
    ("from scipy import optimize\nresult = optimize.brentq(lambda x: x * x - 2, 0, 2)", "{}"),
]
