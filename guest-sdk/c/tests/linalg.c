/* A task that calls every function of mecapy_linalg.h on systems whose solutions are known: check.py builds it natively, where
 * there are no kernels, the platform's tests as a module. */
#define MECAPY_IMPLEMENTATION
#include "../mecapy.h"
#include "../mecapy_linalg.h"

#include <stdlib.h>

/* The matrix's order. */
static int32_t n;

static double *numbers(size_t count) {
    double *made = calloc(count, sizeof(double));
    if (made == NULL) mecapy_fail("no memory");
    return made;
}

/* b = A x with x = 1, 2, 3, … */
static double *right_hand_side(const double *a) {
    double *b = numbers((size_t)n);
    for (int32_t col = 0; col < n; col++)
        for (int32_t row = 0; row < n; row++) b[row] += a[row + col * n] * (col + 1);
    return b;
}

static void put_answer(const char *name, int answer, const double *x) {
    double error = 0;
    for (int32_t row = 0; row < n; row++) error = fmax(error, fabs(x[row] - (row + 1)));
    if (answer != 0) mecapy_fail("%s: %s", name, mecapy_linalg_message(answer));
    mecapy_put_number(name, error);
}

static void put_dense(void) {
    size_t count = (size_t)n * (size_t)n;
    double *a = numbers(count), *product = numbers(count), error = 0;
    for (int32_t col = 0; col < n; col++)
        for (int32_t row = 0; row < n; row++)
            a[row + col * n] = (double)((row * 37 + col * 101) % 97) / 97 - 0.5 + (row == col ? n : 0);
    int answer = mecapy_dgemm(n, n, n, 1, a, n, 0, a, n, 1, 0, product, n);
    if (answer != 0) mecapy_fail("%s", mecapy_linalg_message(answer));
    for (int32_t col = 0; col < n; col++)
        for (int32_t row = 0; row < n; row++) {
            double sum = 0;
            for (int32_t step = 0; step < n; step++) sum += a[row + step * n] * a[col + step * n];
            error = fmax(error, fabs(product[row + col * n] - sum));
        }
    mecapy_put_number("product", error);
    double *b = right_hand_side(a), *c = right_hand_side(product);
    int32_t *pivots = calloc((size_t)n, sizeof(int32_t));
    put_answer("general", mecapy_dgesv(n, 1, a, n, pivots, b, n), b);
    put_answer("positive_definite", mecapy_dposv(n, 1, product, n, c, n), c);
}

static void put_refusals(void) {
    double singular[9] = {1, 0, 0, 0, 0, 0, 0, 0, 1}, indefinite[9] = {1, 0, 0, 0, 1, 0, 0, 0, -1}, b[3] = {1, 2, 3};
    int32_t pivots[3];
    mecapy_put_integer("singular", mecapy_dgesv(3, 1, singular, 3, pivots, b, 3));
    mecapy_put_integer("indefinite", mecapy_dposv(3, 1, indefinite, 3, b, 3));
    mecapy_put_integer("invalid", mecapy_dgemm(3, 3, 3, 1, singular, 2, 0, singular, 3, 0, 0, indefinite, 3));
}

/* The chain of springs: 2 on the diagonal and -1 beside it. */
static void put_sparse(void) {
    int32_t *starts = calloc((size_t)n + 1, sizeof(int32_t)), *rows = calloc(3 * (size_t)n, sizeof(int32_t)), nnz = 0;
    double *values = numbers(3 * (size_t)n), *b = numbers((size_t)n), *x = numbers((size_t)n);
    for (int32_t col = 0; col < n; col++) {
        for (int32_t row = col > 0 ? col - 1 : 0; row <= col + 1 && row < n; row++) {
            rows[nnz] = row;
            values[nnz] = row == col ? 2 : -1;
            b[row] += values[nnz] * (col + 1);
            nnz++;
        }
        starts[col + 1] = nnz;
    }
    int answer = mecapy_sparse_solve(n, nnz, starts, rows, values, 1, b, x);
    if (answer == MECAPY_NOT_AVAILABLE) {
        mecapy_put_null("sparse");
        return;
    }
    put_answer("sparse", answer, x);
}

int main(void) {
    n = (int32_t)mecapy_integer("/n");
    mecapy_require(n >= 1 && n <= 1000, "/n", "must be from 1 to 1000");
    put_dense();
    put_refusals();
    put_sparse();
    return mecapy_finish();
}
