# Single functions of BLAS and LAPACK, with every flag.

from scipy.linalg import blas, lapack

PREFIX = {"f4": "s", "f8": "d", "c8": "c", "c16": "z"}


class Call:
    """One function of one type, and options that are taken or left at random."""

    def __init__(self, random, module, name, dtype, hermitian=None):
        kind = PREFIX[np.dtype(dtype).str[1:]]
        if hermitian and np.dtype(dtype).kind == "c":
            name = hermitian
        random.said.append(kind + name)
        self.random, self.function, self.options = random, getattr(module, kind + name), {}

    def flags(self, *names):
        for name in names:
            if self.random.chance(0.7):
                self.options[name] = int(self.random.flag(name))
        return self

    def option(self, name, value):
        self.options[name] = value
        return self

    def trans(self, name="trans"):
        if self.random.chance(0.7):
            self.options[name] = self.random.pick(0, 1, 2)
        return self

    def __call__(self, *operands):
        return self.function(*operands, **self.options)


def scalar(random, dtype):
    value = random.pick(1, 1, 0, -1, 0.5, 2.5)
    return value * (1 + 0.25j) if np.dtype(dtype).kind == "c" and random.chance(0.5) else value


def real_scalar(random):
    return random.pick(1, 0, -1, 0.5)


@family
def blas_products(random, told):
    m, n, k, dtype = random.size(110), random.size(110), random.size(110), random.dtype()
    kind = random.pick("gemm", "symm", "trmm", "trsm", "syrk", "syr2k")
    # What is not told must not be read: c where beta is zero is full of what is no number.
    c = random.laid(random.values((m, n), dtype))
    alpha, beta = scalar(random, dtype), scalar(random, dtype)
    if beta == 0:
        c = np.full((m, n), np.nan, dtype, order="F")
    if kind == "gemm":
        ta, tb = random.pick(0, 1, 2), random.pick(0, 1, 2)
        a, b = random.matrix((k, m) if ta else (m, k), dtype), random.matrix((n, k) if tb else (k, n), dtype)
        call = Call(random, blas, "gemm", dtype).option("trans_a", ta).option("trans_b", tb)
        call.option("beta", beta).option("c", c).flags("overwrite_c")
        told.array(call(alpha, random.odd(a), random.odd(b)), norm(a) * norm(b) * 4 + norm(c) * 4)
    elif kind == "symm":
        side = int(random.flag("side"))
        a, b = random.matrix((n, n) if side else (m, m), dtype), random.matrix((m, n), dtype)
        call = Call(random, blas, "symm", dtype, random.pick(None, "hemm")).option("side", side)
        call.option("beta", beta).option("c", c).flags("lower", "overwrite_c")
        told.array(call(alpha, a, b), norm(a) * norm(b) * 4 + norm(c) * 4)
    elif kind in ("trmm", "trsm"):
        side = int(random.flag("side"))
        a, b = random.triangle(n if side else m, dtype), random.matrix((m, n), dtype)
        call = Call(random, blas, kind, dtype).option("side", side)
        call.trans("trans_a").flags("lower", "diag", "overwrite_b")
        told.array(call(alpha, a, b), norm(b), factor=20)
    else:
        rank_updates(random, told, kind, n, k, dtype)


def rank_updates(random, told, kind, n, k, dtype):
    """Of one triangle; the other one of what is answered is as it was."""
    hermitian = random.pick(None, {"syrk": "herk", "syr2k": "her2k"}[kind])
    # What is no choice of theirs is reported, and leaves the result as it was allocated.
    trans = random.pick(0, 2 if hermitian and np.dtype(dtype).kind == "c" else 1)
    shape = (k, n) if trans else (n, k)
    a, b, c = random.matrix(shape, dtype), random.matrix(shape, dtype), random.values((n, n), dtype)
    real = hermitian is not None
    call = Call(random, blas, kind, dtype, hermitian).option("trans", trans)
    call.option("beta", real_scalar(random) if real else scalar(random, dtype)).option("c", random.laid(c))
    call.flags("lower", "overwrite_c")
    alpha = real_scalar(random) if real else scalar(random, dtype)
    size = norm(a) * norm(b if kind == "syr2k" else a) * 8 + norm(c) * 4
    told.array(call(alpha, a) if kind == "syrk" else call(alpha, a, b), size)


@family
def blas_vectors(random, told):
    m, n, dtype = random.size(140), random.size(140), random.dtype()
    kind = random.pick("gemv", "symv", "ger", "syr2", "trsv", "trmv", "syr")
    alpha, beta = scalar(random, dtype), scalar(random, dtype)
    incx, incy = random.pick(1, 1, 2, 3, -1, -2), random.pick(1, 1, 2, -1)
    offx, offy = random.pick(0, 0, 1, 4), random.pick(0, 0, 2)

    def vector(length, step, offset):
        return random.values((max(0, length - 1) * abs(step) + 1 + offset if length else offset,), dtype)

    if kind == "gemv":
        trans = random.pick(0, 1, 2)
        a = random.matrix((m, n), dtype)
        x, y = vector(m if trans else n, incx, offx), vector(n if trans else m, incy, offy)
        call = Call(random, blas, kind, dtype).option("trans", trans).option("beta", beta).option("y", y)
        call.option("incx", incx).option("incy", incy).option("offx", offx).option("offy", offy).flags("overwrite_y")
        told.array(call(alpha, a, random.odd(x)), (norm(a) * norm(x) + norm(y)) * 4)
    elif kind == "symv":
        a, x, y = random.matrix((n, n), dtype), vector(n, incx, offx), vector(n, incy, offy)
        # SciPy has the symmetric one for real numbers and the Hermitian one for complex ones.
        call = Call(random, blas, "symv", dtype, "hemv").option("beta", beta).option("y", y)
        call.option("incx", incx).option("incy", incy).option("offx", offx).option("offy", offy)
        call.flags("lower", "overwrite_y")
        told.array(call(alpha, a, x), (norm(a) * norm(x) + norm(y)) * 4)
    elif kind == "ger":
        name = random.pick("geru", "gerc") if np.dtype(dtype).kind == "c" else "ger"
        x, y, a = vector(m, incx, 0), vector(n, incy, 0), random.values((m, n), dtype)
        call = Call(random, blas, name, dtype).option("incx", incx).option("incy", incy)
        if random.flag("a"):
            call.option("a", random.laid(a)).flags("overwrite_a")
        told.array(call(alpha, x, y), (norm(x) * norm(y) + norm(a)) * 4)
    elif kind in ("syr", "syr2"):
        x, y, a = vector(n, incx, offx), vector(n, incx, offx), random.values((n, n), dtype)
        call = Call(random, blas, kind, dtype, {"syr": "her", "syr2": "her2"}[kind])
        call.option("incx", incx).option("offx", offx).option("n", n).option("a", random.laid(a))
        call.flags("lower", "overwrite_a")
        if kind == "syr2":
            call.option("incy", incx).option("offy", offx)
        alpha = real_scalar(random)
        told.array(call(alpha, x, y) if kind == "syr2" else call(alpha, x), (norm(x) * norm(y) + norm(a)) * 4)
    else:
        a, x = random.triangle(n, dtype), vector(n, incx, offx)
        call = Call(random, blas, kind, dtype).option("incx", incx).option("offx", offx)
        call.trans().flags("lower", "diag", "overwrite_x")
        told.array(call(a, x), norm(x), factor=20)


@family
def lapack_calls(random, told):
    n, dtype, columns = random.size(130), random.dtype(), random.size(30)
    kind = random.pick("getrf", "getrs", "gesv", "getri", "potrf", "potrs", "potri", "posv", "trtri", "trtrs", "lauum")
    a, b = random.dominant(n, dtype), random.matrix((n, columns), dtype)
    factor = 10 * (n + 1)
    if kind == "getrf":
        a = random.matrix((random.size(130), n), dtype)
        factors, pivots, info = Call(random, lapack, kind, dtype).flags("overwrite_a")(a)
        told.exactly(f"{pivots.tolist()} {info}")
        told.array(factors, norm(a), factor=100 * (n + 1))
    elif kind in ("getrs", "getri"):
        factors, pivots, info = Call(random, lapack, "getrf", dtype)(a)
        call = Call(random, lapack, kind, dtype)
        found = call.trans().flags("overwrite_b")(factors, pivots, b) if kind == "getrs" else call(factors, pivots)
        told.array(found[0], factor=factor)
        told.exactly(f"{info} {found[1]}")
    elif kind == "gesv":
        factors, pivots, x, info = Call(random, lapack, kind, dtype).flags("overwrite_a", "overwrite_b")(a, b)
        told.exactly(f"{pivots.tolist()} {info}")
        told.array(x, factor=factor)
        told.array(factors, factor=factor)
    elif kind in ("trtri", "trtrs", "lauum"):
        triangles(random, told, kind, random.triangle(n, dtype), b)
    else:
        positive(random, told, kind, n, b)


def triangles(random, told, kind, a, b):
    call, factor = Call(random, lapack, kind, a.dtype), a.shape[0] + 1
    if kind == "lauum":
        # As a factor of Cholesky's has it: what becomes of another diagonal depends on the implementation.
        a = np.array(a)
        np.fill_diagonal(a, a.diagonal().real)
    if random.chance(0.1) and a.size:
        a = np.array(a)
        a[a.shape[0] // 2, a.shape[0] // 2] = 0
    if kind == "trtri":
        found, info = call.flags("lower", "unitdiag", "overwrite_c")(a)
    elif kind == "trtrs":
        found, info = call.trans().flags("lower", "unitdiag", "overwrite_b")(a, b)
    else:
        found, info = call.flags("lower", "overwrite_c")(a)
    told.exactly(info)
    told.strict = False
    if info == 0:
        told.array(found, factor=factor)


def positive(random, told, kind, n, b):
    dtype = b.dtype
    a = random.hermitian(n, dtype)
    if random.chance(0.15) and n:
        a = np.array(a)
        a[n // 2, n // 2] = random.pick(-1, 0, np.nan)
        told.strict = False
    lower, clean = int(random.flag("lower")), int(random.flag("clean"))
    if kind == "posv":
        factors, x, info = Call(random, lapack, kind, dtype).option("lower", lower)(a, b)
        told.exactly(info)
        if info == 0:
            told.array(x, factor=n + 1)
        return
    call = Call(random, lapack, "potrf", dtype).option("lower", lower).option("clean", clean).flags("overwrite_a")
    factors, info = call(a)
    told.exactly(info)
    if info:
        return
    told.array(factors, factor=n + 1)
    if not told.strict:
        return
    if kind == "potrs":
        x, info = Call(random, lapack, kind, dtype).option("lower", lower).flags("overwrite_b")(factors, b)
        told.array(x, factor=n + 1)
    elif kind == "potri":
        inverse, info = Call(random, lapack, kind, dtype).option("lower", lower)(factors)
        told.array(inverse, factor=n + 1)
    told.exactly(info)
