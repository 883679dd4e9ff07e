# Products and NumPy's decompositions.

EINSUMS = ("ij,jk->ik", "ij,kj->ik", "ji,jk->ki", "ij,ij->", "ij,jk,kl->il", "bij,bjk->bik", "ij,j->i", "i,j->ij")


@family
def products(random, told):
    mixed = random.pick(*DTYPES, *DTYPES, "f4 f8", "f8 c8", "f4 c16", "i4", "i8 f8", "i2 f4").split()
    one, other = mixed[0], mixed[-1]
    m, k, n = random.size(), random.size(), random.size()
    kind = random.pick("matmul", "matmul", "matmul", "dot", "inner", "tensordot", "stacked", "out", "gram", "vector")
    a, b = random.odd(random.matrix((m, k), one)), random.odd(random.matrix((k, n), other))
    size = norm(a) * norm(b)
    if kind == "matmul":
        told.array(a @ b, size)
    elif kind == "dot":
        told.array(np.dot(a, b), size)
    elif kind == "inner":
        told.array(np.inner(a, b.T), size)
    elif kind == "tensordot":
        cube = random.matrix((3, m, k), one)
        told.array(np.tensordot(cube, b, axes=1), norm(cube) * norm(b))
    elif kind == "stacked":
        many = random.matrix((random.pick(0, 1, 3), m, k), one)
        told.array(np.matmul(many, b), norm(many) * norm(b))
    elif kind == "out":
        out = random.matrix((m, n), np.result_type(a, b))
        if not out.flags.writeable:
            out = np.array(out)
        np.matmul(a, b, out=out)
        told.array(out, size)
    elif kind == "gram":
        told.array(a @ a.T if random.flag("rows") else a.T @ a, norm(a) ** 2)
    else:
        x, y = random.matrix((k,), one), random.matrix((m,), other)
        told.array(a @ x, norm(a) * norm(x))
        told.array(y @ a, norm(a) * norm(y))
        told.array(np.vdot(x, x), norm(x) ** 2)
        told.array(np.outer(x, y), norm(x) * norm(y))


@family
def overlaps(random, told):
    """The result lies where an operand does: a copy is made, whoever computes."""
    n, dtype = random.size(100), random.dtype()
    a, b = random.values((n, n), dtype), random.values((n, n), dtype)
    size = norm(a) * norm(b)
    kind = random.pick("first", "second", "square", "transposed", "shifted")
    if kind == "first":
        told.array(np.matmul(a, b, out=a), size)
    elif kind == "second":
        told.array(np.matmul(a, b, out=b), size)
    elif kind == "square":
        told.array(np.matmul(a, a, out=a), norm(a) ** 2 if n else 0)
    elif kind == "transposed":
        told.array(np.matmul(a.T, b, out=a), size)
    else:
        room = random.values((n + 1, n), dtype)
        size = norm(room) * norm(b)
        told.array(np.matmul(room[:-1], b, out=room[1:]), size)
        told.array(room[:1])


@family
def einsums(random, told):
    text, dtype = random.pick(*EINSUMS), random.dtype()
    sizes = {letter: random.size(60) for letter in sorted(set(text) - set(",->b"))} | {"b": 3}
    operands = [random.matrix([sizes[letter] for letter in part], dtype) for part in text.split("->")[0].split(",")]
    size = np.prod([norm(a) for a in operands])
    told.array(np.einsum(text, *operands, optimize=random.flag("optimize")), size)
    if text.count("ij,jk,kl"):
        told.array(np.linalg.multi_dot(operands), size)


@family
def numpy_solves(random, told):
    n, dtype = random.size(), random.dtype()
    kind = random.pick("solve", "vector", "stacked", "inv", "det", "singular", "power", "odd", "rectangle")
    a = random.dominant(n, dtype)
    if kind == "solve":
        told.array(np.linalg.solve(a, random.matrix((n, random.size(40)), dtype)), factor=n + 1)
    elif kind == "vector":
        told.array(np.linalg.solve(a, random.matrix((n,), dtype)), factor=n + 1)
    elif kind == "stacked":
        both = np.stack([a, random.dominant(n, dtype)])
        told.array(np.linalg.solve(both, random.matrix((2, n, 3), dtype)), factor=n + 1)
    elif kind == "inv":
        told.array(np.linalg.inv(a), factor=n + 1)
    elif kind == "det":
        sign, logarithm = np.linalg.slogdet(a)
        told.array(sign, 1, factor=n + 1)
        told.array(logarithm, n + 1)
        told.array(np.linalg.det(a / (np.sqrt(n) + 1)), factor=10 * (n + 1))
    elif kind == "singular":
        a = np.zeros((n, n), dtype) if random.chance(0.5) else np.ones((n, n), dtype)
        told.array(random.pick(np.linalg.inv, np.linalg.det)(a))
    elif kind == "power":
        told.array(np.linalg.matrix_power(a / (4 * np.sqrt(n) + 4), random.pick(-2, 0, 3, 5)), factor=10 * (n + 1))
    elif kind == "odd":
        told.strict = False
        a = np.array(a)
        if n:
            a[n // 2, n // 3] = random.pick(np.nan, np.inf)
        told.array(np.linalg.solve(a, random.matrix((n, 2), dtype)), factor=n + 1)
    else:
        np.linalg.solve(random.matrix((n, n + 1), dtype), a)


@family
def numpy_factors(random, told):
    n, dtype = random.size(90), random.dtype()
    kind = random.pick("cholesky", "not positive", "qr", "eigh", "eig", "svd", "lstsq", "pinv", "rank", "odd")
    if kind == "cholesky":
        told.array(np.linalg.cholesky(random.hermitian(n, dtype), upper=random.flag("upper")), factor=n + 1)
    elif kind == "not positive":
        told.array(np.linalg.cholesky(-random.hermitian(n, dtype)))
    elif kind == "qr":
        a, mode = random.matrix((random.size(90), n), dtype), random.pick("reduced", "complete", "r", "raw")
        if mode == "r":
            told.array(abs(np.linalg.qr(a, mode)), norm(a), factor=10 * (n + 1))
        elif mode == "raw":
            for part in np.linalg.qr(a, mode):
                told.exactly(part.shape)
        else:
            q, r = np.linalg.qr(a, mode)
            orthonormal(told, q)
            told.array(q @ r, norm(a))
            told.array(abs(r), norm(a), factor=10 * (n + 1))
    elif kind == "eigh":
        a = random.hermitian(n, dtype, positive=random.chance(0.5))
        w, v = np.linalg.eigh(a, random.pick("L", "U"))
        told.array(w, norm(a))
        told.array((v * w) @ v.conj().T, norm(a))
        orthonormal(told, v)
        told.array(np.linalg.eigvalsh(a), norm(a))
    elif kind == "eig":
        a = random.matrix((n, n), dtype)
        w, v = np.linalg.eig(a)
        told.bytes(w)
        told.exactly(f"{w.shape} {w.dtype} {v.shape} {v.dtype}")
        told.number(np.sum(w).real, SLACK * precision(dtype) * (norm(a) + 1))
        told.number(np.sum(np.linalg.eigvals(a)).real, SLACK * precision(dtype) * (norm(a) + 1))
        told.small(a @ v - v * w, norm(a), dtype, factor=n + 1)
    elif kind == "svd":
        a, full = random.matrix((random.size(90), n), dtype), random.flag("full")
        u, s, v = np.linalg.svd(a, full_matrices=full)
        told.array(s, norm(a))
        orthonormal(told, u)
        orthonormal(told, v.conj().T)
        told.array((u[:, : len(s)] * s) @ v[: len(s)], norm(a))
        told.array(np.linalg.svdvals(a), norm(a))
    else:
        numpy_ranks(random, told, kind, n, dtype)


def numpy_ranks(random, told, kind, n, dtype):
    if kind == "lstsq":
        a = random.matrix((2 * n + 5, n), dtype)
        x, residuals, rank, s = np.linalg.lstsq(a, random.matrix((2 * n + 5, random.size(9)), dtype))
        told.array(x, factor=100)
        told.array(residuals, factor=100)
        told.array(s, norm(a))
        told.exactly(rank)
    elif kind == "pinv":
        told.array(np.linalg.pinv(random.matrix((2 * n + 5, n), dtype)), factor=100)
    elif kind == "rank":
        a, b = random.values((2 * n + 5, n), dtype), random.values((n, n + 3), dtype)
        told.exactly(np.linalg.matrix_rank(a @ b))
        told.array(np.linalg.cond(a), factor=1000)
        told.array(np.linalg.norm(a, random.pick(1, 2, -2, "nuc", "fro", np.inf)), norm(a))
    else:
        told.strict = False
        a = random.matrix((n, n), dtype)
        if n:
            a = np.array(a)
            a[0, n // 2] = random.pick(np.nan, np.inf)
        of = random.pick("svdvals", "eigvalsh", "eigvals", "cholesky", "qr", "pinv")
        found = getattr(np.linalg, of)(a)
        for part in found if isinstance(found, tuple) else (found,):
            told.exactly(f"{part.shape} {np.isfinite(part).all()}")


def orthonormal(told, q):
    told.exactly(q.shape)
    told.bytes(q)
    told.small(q.conj().T @ q - np.eye(q.shape[1]), q.shape[1] + 1, q.dtype)
