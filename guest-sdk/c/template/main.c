/* A cantilever beam under a force at its end: replace it by your own computation. */
#define MECAPY_IMPLEMENTATION
#include "mecapy.h"

static double positive(const char *pointer) {
    double size = mecapy_number(pointer);
    mecapy_require(size > 0, pointer, "must be greater than zero, not %g", size);
    return size;
}

/* The deflection at 101 places: w(x) = F x^2 (3 L - x) / (6 E I). */
static void write_line(double force, double length, double rigidity) {
    FILE *file = mecapy_artifact("line.csv");
    fprintf(file, "x_mm,w_mm\n");
    for (int step = 0; step <= 100; step++) {
        double x = length * step / 100;
        fprintf(file, "%.9g,%.9g\n", x, force * x * x * (3 * length - x) / (6 * rigidity));
        mecapy_progress(step / 100.0, "bending line");
    }
    if (fclose(file) != 0) mecapy_fail("line.csv can't be written");
}

int main(void) {
    mecapy_only("", "force length width height elastic_modulus line");
    double force = mecapy_number("/force"), length = positive("/length");
    double width = positive("/width"), height = positive("/height");
    double elastic_modulus = mecapy_has("/elastic_modulus") ? positive("/elastic_modulus") : 210000;

    double second_moment = width * height * height * height / 12;
    double rigidity = elastic_modulus * second_moment;
    if (mecapy_boolean_or("/line", false)) write_line(force, length, rigidity);

    mecapy_put_number("deflection", force * length * length * length / (3 * rigidity));
    mecapy_put_number("stress", force * length * height / 2 / second_moment);
    return mecapy_finish();
}
