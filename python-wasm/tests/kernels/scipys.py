# SciPy's decompositions and solvers, dense and sparse.

import scipy.linalg as sl
import scipy.sparse as sp
import scipy.sparse.linalg as sla

ASSUMED = ("gen", "sym", "her", "pos", "upper triangular", "lower triangular", "diagonal", "tridiagonal", "banded")

FACTORS = ("lu", "ldl", "schur", "expm", "eigh", "general", "qr", "rq", "svd", "polar", "hessenberg", "sqrtm")


@family
def scipy_solves(random, told):
    n, dtype, columns = random.size(), random.dtype(), random.size(20)
    kind = random.pick("solve", "lu", "cho", "triangular", "inv", "det", "lstsq", "sylvester", "pinv")
    a, b = random.dominant(n, dtype), random.matrix((n, columns), dtype)
    if kind == "solve":
        assumed = random.pick(*ASSUMED)
        a = matrix_of(random, n, dtype, assumed)
        options = {"assume_a": assumed, "lower": random.flag("lower"), "transposed": random.flag("transposed")}
        told.array(sl.solve(a, b, overwrite_a=random.flag("overwrite_a"), **options), factor=10 * (n + 1))
    elif kind == "lu":
        factors = sl.lu_factor(a, overwrite_a=random.flag("overwrite_a") and a.flags.writeable)
        told.array(factors[0], factor=n + 1)
        told.exactly(factors[1].tolist())
        told.array(sl.lu_solve(factors, b, trans=random.pick(0, 1, 2)), factor=10 * (n + 1))
    elif kind == "cho":
        a = random.hermitian(n, dtype)
        factors = sl.cho_factor(a, lower=random.flag("lower"))
        told.exactly(factors[0].shape)
        told.array(sl.cho_solve(factors, b), factor=n + 1)
        told.array(sl.cholesky(a, lower=random.flag("lower")), factor=n + 1)
    elif kind == "triangular":
        a = random.triangle(n, dtype)
        options = {"trans": random.pick(0, 1, 2), "lower": random.flag("lower"), "unit_diagonal": random.flag("unit")}
        told.array(sl.solve_triangular(a, b, **options), factor=n + 1)
    elif kind == "inv":
        told.array(sl.inv(a), factor=n + 1)
    elif kind == "det":
        told.array(sl.det(a / (np.sqrt(n) + 1)), factor=10 * (n + 1))
    elif kind == "lstsq":
        tall, driver = random.matrix((2 * n + 5, n), dtype), random.pick("gelsd", "gelsy", "gelss")
        x, _, rank, _ = sl.lstsq(tall, random.matrix((2 * n + 5, columns), dtype), lapack_driver=driver)
        told.array(x, factor=100)
        told.exactly(rank)
    elif kind == "sylvester":
        n = min(n, 40)
        a, b = random.hermitian(n, dtype), random.hermitian(n, dtype)
        told.array(sl.solve_sylvester(a, b, random.matrix((n, n), dtype)), factor=10 * (n + 1))
    else:
        told.array(sl.pinvh(random.hermitian(n, dtype)), factor=n + 1)
        told.array(sl.pinv(random.matrix((2 * n + 5, n), dtype)), factor=100)


def matrix_of(random, n, dtype, assumed):
    if assumed == "pos" or assumed == "her":
        return random.hermitian(n, dtype, positive=True)
    if assumed == "sym":
        a = random.values((n, n), dtype)
        return random.laid(a + a.T + np.eye(n, dtype=dtype) * dtype.type(4 * np.sqrt(n) + 4))
    if assumed.endswith("triangular"):
        return random.triangle(n, dtype)
    if assumed == "gen":
        return random.dominant(n, dtype)
    a = random.values((n, n), dtype) + np.eye(n, dtype=dtype) * dtype.type(8)
    return random.laid(np.triu(np.tril(a, 1), -1) if assumed != "diagonal" else np.diag(np.diag(a)))


@family
def scipy_factors(random, told):
    n, dtype = random.size(80), random.dtype()
    kind = random.pick(*FACTORS)
    a = random.matrix((n, n), dtype)
    if kind == "lu":
        a = random.matrix((random.size(80), n), dtype)
        p, low, up = sl.lu(a, p_indices=random.pick(True))
        told.exactly(np.asarray(p).tolist())
        told.array(low, factor=100 * (n + 1))
        told.array((low @ up)[p], norm(a), factor=10)
    elif kind == "ldl":
        a = random.hermitian(n, dtype, positive=False)
        low, d, perm = sl.ldl(a, lower=random.flag("lower"), hermitian=True)
        told.exactly(perm.tolist())
        told.array(low @ d @ low.conj().T, norm(a), factor=10)
    elif kind == "schur":
        t, z = sl.schur(a, output=random.pick("real", "complex"))
        orthonormal(told, z)
        told.array(z @ t @ z.conj().T, norm(a))
    elif kind == "expm":
        a = a / (np.sqrt(n) + 1) * random.pick(0.1, 1, 4)
        told.array(sl.expm(a), factor=10 * (n + 1))
    elif kind == "eigh":
        a = random.hermitian(n, dtype, positive=False)
        subset = [n // 4, n // 2] if n > 1 else None
        driver = random.pick("evr", "evx") if subset else random.pick("ev", "evd")
        w, v = sl.eigh(a, lower=random.flag("lower"), subset_by_index=subset, driver=driver)
        told.array(w, norm(a))
        told.small(a @ v - v * w, norm(a), dtype, factor=n + 1)
    elif kind == "general":
        a, b = random.hermitian(n, dtype, positive=False), random.hermitian(n, dtype)
        w, v = sl.eigh(a, b, type=random.pick(1, 2, 3))
        told.array(w, (norm(a) + 1) * (norm(b) + 1))
        told.exactly(v.shape)
    elif kind == "qr":
        a, pivoting = random.matrix((random.size(80), n), dtype), random.flag("pivoting")
        q, r, *pivots = sl.qr(a, pivoting=pivoting, mode=random.pick("full", "economic"))
        told.array(q @ r, norm(a))
        told.exactly([p.tolist() for p in pivots])
    elif kind == "rq":
        r, q = sl.rq(random.matrix((random.size(60), n), dtype), mode="economic")
        told.exactly(f"{r.shape} {q.shape}")
        told.array(r @ q, factor=2)
    elif kind == "svd":
        u, s, v = sl.svd(a, full_matrices=False, lapack_driver=random.pick("gesdd", "gesvd"))
        told.array(s, norm(a))
        told.array((u * s) @ v, norm(a))
        told.exactly(sl.orth(random.matrix((2 * n + 5, n), dtype)).shape)
    elif kind == "polar":
        u, p = sl.polar(a)
        told.array(u @ p, norm(a))
    elif kind == "hessenberg":
        h, q = sl.hessenberg(a, calc_q=True)
        told.array(q @ h @ q.conj().T, norm(a))
    else:
        told.array(sl.sqrtm(random.hermitian(n, dtype)), factor=10 * (n + 1))


@family
def sparse_solves(random, told):
    kind = random.pick("grid", "random", "symmetric", "singular", "structural", "empty row", "arrow")
    dtype, n = random.dtype(), random.size(60) + 1
    a = sparse_of(random, kind, n, dtype)
    n = a.shape[0]
    a = a.asformat(random.pick("csc", "csr", "csc", "coo"))
    if random.chance(0.3) and a.format != "coo":
        a.sort_indices()
        a.indices[:], a.data[:] = a.indices.copy(), a.data.copy()
    b = random.matrix(random.pick((n,), (n, 1), (n, 3)), random.pick(dtype, "f8"))
    told.strict = False
    how = random.pick("spsolve", "spsolve", "splu", "factorized", "spilu", "refined")
    if how == "spsolve":
        order = random.pick("COLAMD", "NATURAL", "MMD_AT_PLUS_A", None)
        told.array(sla.spsolve(a, b, permc_spec=order, use_umfpack=random.flag("umfpack")), factor=100 * (n + 1))
    elif how == "splu":
        factors = sla.splu(a.tocsc(), permc_spec=random.pick("COLAMD", "NATURAL"))
        told.exactly(f"{factors.shape} {factors.perm_r.dtype}")
        told.array(factors.solve(b.astype(a.dtype), trans=random.pick("N", "T", "H")), factor=100 * (n + 1))
        told.small(factors.L @ factors.U - permuted(a, factors), norm(a.data) + 1, dtype, factor=100)
    elif how == "factorized":
        solve = sla.factorized(a.tocsc())
        told.array(solve(b[:, 0] if b.ndim > 1 else b), factor=100 * (n + 1))
    elif how == "spilu":
        told.array(sla.spilu(a.tocsc()).solve(b.astype(a.dtype)), factor=1000 * (n + 1))
    else:
        # The same matrix twice, another right side each time, and a changed matrix after it.
        for turn in range(3):
            told.array(sla.spsolve(a.tocsc() * (1 + turn // 2), b * (turn + 1)), factor=100 * (n + 1))


def permuted(a, factors):
    n = a.shape[0]
    ones = np.ones(n, a.dtype)
    rows = sp.csc_array((ones, (factors.perm_r, np.arange(n))))
    columns = sp.csc_array((ones, (np.arange(n), factors.perm_c)))
    return (rows @ a.tocsc() @ columns - sp.csc_array((n, n), dtype=a.dtype)).toarray()


def sparse_of(random, kind, n, dtype):
    if kind == "grid":
        second = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))
        eye = sp.eye_array(n)
        return (sp.kron(second, eye) + sp.kron(eye, second) + 0.1 * sp.eye_array(n * n)).astype(dtype).tocsc()
    dense = random.values((n, n), dtype)
    dense[random.generator.random((n, n)) > min(1.0, 4 / n)] = 0
    if kind == "singular":
        # Whatever is subtracted from it: a column that depends on others is only nearly singular once it is rounded.
        dense[:, n // 2] = 0
        dense[np.arange(n), (np.arange(n) + 1) % n] += 8
        found = sp.csc_array(dense)
        found.data[found.indptr[n // 2]:found.indptr[n // 2 + 1]] = 0
        return found
    if kind == "symmetric":
        dense = dense + dense.conj().T
    diagonal = np.arange(n)
    dense[diagonal, diagonal] += 8 if kind != "symmetric" else random.pick(8, -8)
    if kind == "structural":
        dense = dense[random.generator.permutation(n)]
    if kind == "empty row" and n > 1:
        dense[n // 3] = 0
    if kind == "arrow":
        dense[0], dense[:, 0] = 1, 1
        dense[0, 0] = n + 8
    return sp.csc_array(dense)


@family
def sparse_values(random, told):
    n = 30 + random.size(random.pick(60, 900))
    second = sp.diags_array([-1.0, 2.0 + random.generator.random(n), -1.0], offsets=[-1, 0, 1], shape=(n, n))
    start, k = random.values((n,), "f8"), random.pick(1, 3, 6)
    kind = random.pick("largest", "inverse", "general", "svds", "expm", "inv")
    a = second.tocsc()
    if kind == "largest":
        w, v = sla.eigsh(a, k, which=random.pick("LA", "SA"), v0=start, ncv=min(n - 1, 4 * k + 8))
        told.array(np.sort(w), 4, factor=1000)
        told.small(a @ v - v * w, 4, "f8", factor=1000)
    elif kind == "inverse":
        w, v = sla.eigsh(a, k, sigma=0, v0=start)
        told.array(np.sort(w), 4, factor=1000)
        told.small(a @ v - v * w, 4, "f8", factor=1000)
    elif kind == "general":
        mass = sp.diags_array(1 + random.generator.random(n)).tocsc()
        w, v = sla.eigsh(a, k, mass, sigma=0.01, v0=start)
        told.array(np.sort(w), 4, factor=1000)
        told.small(a @ v - mass @ v * w, 4, "f8", factor=1000)
    elif kind == "svds":
        told.array(np.sort(sla.svds(a, k, v0=start, return_singular_vectors=False)), 4, factor=1000)
    elif kind == "expm":
        told.array(sla.expm_multiply(-a, start), factor=1000)
    else:
        told.array(sla.inv(a[:200, :200].tocsc()).toarray(), factor=1000)
