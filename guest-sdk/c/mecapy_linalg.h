/* Products and systems of equations in C, by MecaPy's native kernels. C11, one header, no dependency.
 *
 *     #include "mecapy_linalg.h"
 *
 *     int32_t pivots[N];
 *     int answer = mecapy_dgesv(N, 1, a, N, pivots, b, N);     // solves a x = b; b becomes x
 *     if (answer != 0) mecapy_fail("%s", mecapy_linalg_message(answer));
 *
 * Matrices are doubles by columns: element (i, j) is at a[i + j * lda], and lda is at least the number of rows. Numbers
 * are counted in elements, addresses are those of the program. Each function returns
 *
 *      0                          it is done
 *    > 0                          LAPACK's info: see the function
 *     MECAPY_INVALID       (-1)   a size, flag or distance that doesn't fit, an array beyond the memory or not aligned as its
 *                                 type, or one that is written and overlaps another; nothing was written
 *     MECAPY_NO_MEMORY     (-2)   the task may not have the memory that the work needs; what is written holds anything
 *     MECAPY_NOT_AVAILABLE (-3)   the host has no kernels for this task (mecapy_sparse_solve alone: the others then do it
 *                                 themselves, slowly); nothing was written
 *     MECAPY_UNRELIABLE    (-4)   a sparse system without a solution that could be relied on; nothing was written
 *
 * In a sandbox the work is the host's, for fuel by its arithmetic. Elsewhere (natively, in tests, with kernels "wasm")
 * there are no kernels. A module that calls these imports from `mecapy_linalg`, which other WASI runtimes don't have. */
#ifndef MECAPY_LINALG_H
#define MECAPY_LINALG_H

#include <math.h>
#include <stdint.h>

enum { MECAPY_INVALID = -1, MECAPY_NO_MEMORY = -2, MECAPY_NOT_AVAILABLE = -3, MECAPY_UNRELIABLE = -4 };

/* The imports themselves. */
#ifdef __wasm__
#define MECAPY_LINALG_IMPORT(name) \
    __attribute__((import_module("mecapy_linalg"), import_name(#name))) extern int32_t mecapy_linalg_##name
MECAPY_LINALG_IMPORT(dgemm)(int32_t m, int32_t n, int32_t k, double alpha, const double *a, int32_t lda, int32_t trans_a,
                            const double *b, int32_t ldb, int32_t trans_b, double beta, double *c, int32_t ldc);
MECAPY_LINALG_IMPORT(dgesv)(int32_t n, int32_t nrhs, double *a, int32_t lda, int32_t *pivots, double *b, int32_t ldb);
MECAPY_LINALG_IMPORT(dposv)(int32_t n, int32_t nrhs, double *a, int32_t lda, double *b, int32_t ldb);
MECAPY_LINALG_IMPORT(sparse_solve)(int32_t n, int32_t nnz, const int32_t *starts, const int32_t *rows,
                                   const double *values, int32_t nrhs, const double *b, double *x);
#define MECAPY_LINALG_HOST(call) mecapy_linalg_##call
#else
#define MECAPY_LINALG_HOST(call) MECAPY_NOT_AVAILABLE
#endif

/* What an answer other than 0 means, in words. */
static inline const char *mecapy_linalg_message(int answer) {
    if (answer > 0) return "the matrix is singular, or not positive definite";
    if (answer == MECAPY_NO_MEMORY) return "the computation needs more memory than it may have";
    if (answer == MECAPY_NOT_AVAILABLE) return "sparse systems are solved by native kernels, and there are none";
    if (answer == MECAPY_UNRELIABLE) return "the sparse system has no solution that could be relied on";
    return answer == 0 ? "done" : "an argument of a function of linear algebra doesn't fit";
}

/* Of one number in a matrix that may be used as its transpose. */
static inline double mecapy_linalg_at(const double *a, int32_t lda, int trans, int32_t row, int32_t col) {
    return trans ? a[col + (int64_t)row * lda] : a[row + (int64_t)col * lda];
}

/* Whether a matrix has these rows and columns; the host checks the rest. */
static inline int mecapy_linalg_fits(int32_t rows, int32_t cols, int32_t leading) {
    return rows >= 0 && cols >= 0 && leading >= 1 && leading >= rows;
}

/* C = alpha op(A) op(B) + beta C. op(A) is m by k: A itself, or its transpose where trans_a is 1; op(B) is k by n, C is m by
 * n. C is not read where beta is 0. A and B may be the same; C may be a block of the matrix that they are other blocks of. */
static inline int mecapy_dgemm(int32_t m, int32_t n, int32_t k, double alpha, const double *a, int32_t lda, int trans_a,
                               const double *b, int32_t ldb, int trans_b, double beta, double *c, int32_t ldc) {
    enum { BLOCK = 128 };
    int answer = MECAPY_LINALG_HOST(dgemm(m, n, k, alpha, a, lda, trans_a, b, ldb, trans_b, beta, c, ldc));
    if (answer != MECAPY_NOT_AVAILABLE) return answer;
    int are_flags = (trans_a == 0 || trans_a == 1) && (trans_b == 0 || trans_b == 1);
    if (!are_flags || !mecapy_linalg_fits(m, n, ldc) || !mecapy_linalg_fits(trans_a ? k : m, trans_a ? m : k, lda) ||
        !mecapy_linalg_fits(trans_b ? n : k, trans_b ? k : n, ldb))
        return MECAPY_INVALID;
    for (int32_t col = 0; col < n; col++) {
        double *column = c + (int64_t)col * ldc;
        for (int32_t row = 0; row < m; row++) column[row] = beta == 0 ? 0 : beta * column[row];
    }
    for (int32_t steps = 0; steps < k; steps += BLOCK)
        for (int32_t rows = 0; rows < m; rows += BLOCK)
            for (int32_t col = 0; col < n; col++) {
                double *column = c + (int64_t)col * ldc;
                for (int32_t step = steps; step < k && step - steps < BLOCK; step++) {
                    double factor = alpha * mecapy_linalg_at(b, ldb, trans_b, step, col);
                    for (int32_t row = rows; row < m && row - rows < BLOCK; row++)
                        column[row] += factor * mecapy_linalg_at(a, lda, trans_a, row, step);
                }
            }
    return 0;
}

/* Solves A X = B, A being n by n and B n by nrhs, by LU with partial pivoting. B becomes X, A its factors, and pivots (n of
 * them) the rows that rows were exchanged with, from 1. i > 0: pivot i is exactly zero, and B is as it was. */
static inline int mecapy_dgesv(int32_t n, int32_t nrhs, double *a, int32_t lda, int32_t *pivots, double *b, int32_t ldb) {
    int answer = MECAPY_LINALG_HOST(dgesv(n, nrhs, a, lda, pivots, b, ldb));
    if (answer != MECAPY_NOT_AVAILABLE) return answer;
    if (!mecapy_linalg_fits(n, n, lda) || !mecapy_linalg_fits(n, nrhs, ldb)) return MECAPY_INVALID;
#define MECAPY_A(row, col) a[(row) + (int64_t)(col) * lda]
    int info = 0;
    for (int32_t step = 0; step < n; step++) {
        int32_t pivot = step;
        for (int32_t row = step + 1; row < n; row++)
            if (fabs(MECAPY_A(row, step)) > fabs(MECAPY_A(pivot, step))) pivot = row;
        pivots[step] = pivot + 1;
        for (int32_t col = 0; col < n; col++) {
            double exchanged = MECAPY_A(step, col);
            MECAPY_A(step, col) = MECAPY_A(pivot, col);
            MECAPY_A(pivot, col) = exchanged;
        }
        if (MECAPY_A(step, step) == 0) {
            if (info == 0) info = step + 1;
            continue;
        }
        for (int32_t row = step + 1; row < n; row++) MECAPY_A(row, step) /= MECAPY_A(step, step);
        for (int32_t col = step + 1; col < n; col++)
            for (int32_t row = step + 1; row < n; row++) MECAPY_A(row, col) -= MECAPY_A(row, step) * MECAPY_A(step, col);
    }
    if (info > 0) return info;
    for (int32_t side = 0; side < nrhs; side++) {
        double *x = b + (int64_t)side * ldb;
        for (int32_t row = 0; row < n; row++) {
            double exchanged = x[row];
            x[row] = x[pivots[row] - 1];
            x[pivots[row] - 1] = exchanged;
        }
        for (int32_t col = 0; col < n; col++)
            for (int32_t row = col + 1; row < n; row++) x[row] -= MECAPY_A(row, col) * x[col];
        for (int32_t col = n - 1; col >= 0; col--) {
            x[col] /= MECAPY_A(col, col);
            for (int32_t row = 0; row < col; row++) x[row] -= MECAPY_A(row, col) * x[col];
        }
    }
    return 0;
}

/* Solves A X = B with a symmetric positive definite matrix, by Cholesky's factors. Of A the lower triangle alone is read, and
 * becomes the factor; B becomes X. i > 0: the leading minor of order i is not positive, and B is as it was. */
static inline int mecapy_dposv(int32_t n, int32_t nrhs, double *a, int32_t lda, double *b, int32_t ldb) {
    int answer = MECAPY_LINALG_HOST(dposv(n, nrhs, a, lda, b, ldb));
    if (answer != MECAPY_NOT_AVAILABLE) return answer;
    if (!mecapy_linalg_fits(n, n, lda) || !mecapy_linalg_fits(n, nrhs, ldb)) return MECAPY_INVALID;
    for (int32_t col = 0; col < n; col++) {
        for (int32_t before = 0; before < col; before++)
            for (int32_t row = col; row < n; row++) MECAPY_A(row, col) -= MECAPY_A(row, before) * MECAPY_A(col, before);
        if (!(MECAPY_A(col, col) > 0)) return col + 1;
        double root = sqrt(MECAPY_A(col, col));
        for (int32_t row = col; row < n; row++) MECAPY_A(row, col) /= root;
    }
    for (int32_t side = 0; side < nrhs; side++) {
        double *x = b + (int64_t)side * ldb;
        for (int32_t col = 0; col < n; col++) {
            x[col] /= MECAPY_A(col, col);
            for (int32_t row = col + 1; row < n; row++) x[row] -= MECAPY_A(row, col) * x[col];
        }
        for (int32_t col = n - 1; col >= 0; col--) {
            for (int32_t row = col + 1; row < n; row++) x[col] -= MECAPY_A(row, col) * x[row];
            x[col] /= MECAPY_A(col, col);
        }
    }
    return 0;
#undef MECAPY_A
}

/* Solves A X = B with a sparse n by n matrix by compressed columns: column j has the places starts[j] to starts[j + 1] (not
 * included) of rows (from 0, ascending) and values; starts has n + 1 numbers, the first 0 and the last nnz. B and X are n by
 * nrhs, their columns without gaps.
 *
 * The pattern is symmetric or nearly so, as those of structures, heat and flow are, and has every element of the diagonal;
 * values may be symmetric or not. A solution is refined until each equation holds to rounding error. */
static inline int mecapy_sparse_solve(int32_t n, int32_t nnz, const int32_t *starts, const int32_t *rows,
                                      const double *values, int32_t nrhs, const double *b, double *x) {
#ifndef __wasm__
    (void)n, (void)nnz, (void)starts, (void)rows, (void)values, (void)nrhs, (void)b, (void)x;
#endif
    return MECAPY_LINALG_HOST(sparse_solve(n, nnz, starts, rows, values, nrhs, b, x));
}

#endif
