/* A task that does what its input `do` says: every part of mecapy.h once, for check.py. */
#define MECAPY_IMPLEMENTATION
#include "../mecapy.h"

#include <math.h>
#include <string.h>

static void read_each(void) {
    mecapy_only("", "do number integer boolean text choice numbers items table left_out nested");
    mecapy_put_number("number", mecapy_number("/number"));
    mecapy_put_integer("integer", mecapy_integer("/integer"));
    mecapy_put_boolean("boolean", mecapy_boolean("/boolean"));
    mecapy_put_text("text", mecapy_text("/text"));
    mecapy_put_integer("choice", (int64_t)mecapy_choice("/choice", "8.8 10.9 12.9"));
    size_t count = 0;
    const double *numbers = mecapy_numbers("/numbers", &count);
    mecapy_put_numbers("numbers", numbers, count);
    mecapy_open_list("items");
    for (size_t index = 0; index < mecapy_count("/items"); index++) {
        mecapy_open_object(NULL);
        mecapy_put_number("x", mecapy_number(mecapy_pointer("/items/%zu/x", index)));
        mecapy_close();
    }
    mecapy_close();
    mecapy_put_number("named", mecapy_number("/table/a~1b~0c"));
    mecapy_put_number("left_out", mecapy_number_or("/left_out", 7.5));
    mecapy_put_integer("left_out_integer", mecapy_integer_or("/left_out", -3));
    mecapy_put_boolean("left_out_boolean", mecapy_boolean_or("/left_out", true));
    mecapy_put_text("left_out_text", mecapy_text_or("/left_out", "other\n\"text\"\\"));
    mecapy_put_boolean("has", mecapy_has("/items/0") && !mecapy_has("/items/9") && !mecapy_has("/text/x"));
    mecapy_put_null("nothing");
}

static void read_and_leave_files(void) {
    char text[80] = "";
    FILE *sent = fopen(mecapy_pointer("work/in/%s", mecapy_text("/text")), "r");
    if (sent == NULL || fgets(text, sizeof text, sent) == NULL) mecapy_fail("the file can't be read");
    fclose(sent);
    mecapy_put_text("text", text);
    FILE *file = mecapy_artifact("figures/one.txt");
    fprintf(file, "one\n");
    fclose(file);
    mecapy_progress(0.25, "wrote %d file", 1);
    mecapy_progress(7, "%s", "");
    mecapy_progress(NAN, "never told");
    mecapy_warning("small", "of %d\nbytes", 4);
}

static void nest(int depth) {
    if (depth == 0) return;
    mecapy_open_list(depth == 200 ? "deep" : NULL);
    nest(depth - 1);
}

int main(void) {
    const char *what = mecapy_text("/do");
    if (strcmp(what, "read") == 0) read_each();
    if (strcmp(what, "echo") == 0) mecapy_put_number("number", mecapy_number("/number"));
    if (strcmp(what, "integer") == 0) mecapy_put_integer("integer", mecapy_integer("/number"));
    if (strcmp(what, "text") == 0) mecapy_put_text("text", mecapy_text("/text"));
    if (strcmp(what, "sum") == 0) {
        size_t count = 0;
        const double *numbers = mecapy_numbers("/numbers", &count);
        double sum = 0;
        for (size_t index = 0; index < count; index++) sum += numbers[index];
        mecapy_put_number("sum", sum);
    }
    if (strcmp(what, "files") == 0) read_and_leave_files();
    if (strcmp(what, "outside") == 0) mecapy_artifact(mecapy_text("/text"));
    if (strcmp(what, "require") == 0) {
        mecapy_put_number("before", 1);
        mecapy_require(mecapy_number("/number") > 0, "/number", "must be greater than %d", 0);
    }
    if (strcmp(what, "fail") == 0) mecapy_fail("it can't be computed: %s", mecapy_text("/text"));
    if (strcmp(what, "nan") == 0) {
        mecapy_open_object("safety");
        mecapy_open_list("yield");
        mecapy_put_null(NULL);
        mecapy_put_number(NULL, NAN);
    }
    if (strcmp(what, "infinite") == 0) mecapy_put_number("stress", -INFINITY);
    if (strcmp(what, "no key") == 0) mecapy_put_number(NULL, 1);
    if (strcmp(what, "open") == 0) mecapy_open_list("x");
    if (strcmp(what, "close") == 0) mecapy_close();
    if (strcmp(what, "deep") == 0) nest(200);
    return mecapy_finish();
}
