/* A MecaPy task in C: inputs by JSON pointer, a result, progress and artifacts. C11, one header, no dependency.
 *
 *     #define MECAPY_IMPLEMENTATION          // in one source file of the program
 *     #include "mecapy.h"
 *
 *     int main(void) {
 *         double force = mecapy_number("/force");
 *         double diameter = mecapy_number("/diameter");
 *         mecapy_require(diameter > 0, "/diameter", "must be greater than zero, not %g", diameter);
 *         mecapy_put_number("stress", force / (3.141592653589793 * diameter * diameter / 4));
 *         return mecapy_finish();
 *     }
 *
 * Built for WASI (wasm32-wasip1), this is a module that MecaPy runs: inputs on stdin, result on stdout, log on stderr.
 *
 * An input that is missing or of another type ends the program with exit code 2 and a line on stderr that names its
 * JSON pointer, what was found and what is allowed; so does mecapy_require. Exit code 1 is that of mecapy_fail and of a
 * result with NaN or an infinity. Numbers cross exactly, in and out. Nothing that is handed out has to be freed. */
#ifndef MECAPY_H
#define MECAPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define MECAPY_FORMAT(text, first) __attribute__((format(printf, text, first)))

/* Inputs. A pointer is that of RFC 6901: "/bolt/pitch", "/loads/0/force", "" for the inputs as a whole. Those that end
 * in _or take `otherwise` where the value is left out. */
double mecapy_number(const char *pointer);
double mecapy_number_or(const char *pointer, double otherwise);
int64_t mecapy_integer(const char *pointer); /* from -2^53 to 2^53 */
int64_t mecapy_integer_or(const char *pointer, int64_t otherwise);
bool mecapy_boolean(const char *pointer);
bool mecapy_boolean_or(const char *pointer, bool otherwise);
const char *mecapy_text(const char *pointer); /* UTF-8, ended by a NUL; a text that holds a NUL is refused */
const char *mecapy_text_or(const char *pointer, const char *otherwise);
/* Which of the words, separated by blanks, the text is: from 0. */
size_t mecapy_choice(const char *pointer, const char *words);
/* A list of numbers; `count` gets how many there are. */
const double *mecapy_numbers(const char *pointer, size_t *count);
size_t mecapy_count(const char *pointer); /* items of a list */
bool mecapy_has(const char *pointer);
/* Ends the program where the object has a member, misspelt perhaps, that isn't among these words. */
void mecapy_only(const char *pointer, const char *names);
/* A pointer made as by printf: mecapy_number(mecapy_pointer("/loads/%zu/force", i)). Good until the 8th call after. */
const char *mecapy_pointer(const char *format, ...) MECAPY_FORMAT(1, 2);

/* Result: members of one object, in the order of the calls. In a list `key` is NULL. */
void mecapy_put_number(const char *key, double value);
void mecapy_put_integer(const char *key, int64_t value);
void mecapy_put_boolean(const char *key, bool value);
void mecapy_put_text(const char *key, const char *utf8);
void mecapy_put_null(const char *key);
void mecapy_put_numbers(const char *key, const double *values, size_t count);
void mecapy_open_object(const char *key);
void mecapy_open_list(const char *key);
void mecapy_close(void);
int mecapy_finish(void); /* `return mecapy_finish();` ends a task that went well */

/* Says how far the task is: from 0 to 1, with a short message (may be ""). */
void mecapy_progress(double fraction, const char *format, ...) MECAPY_FORMAT(2, 3);
/* Adds a warning to the answer: `code` is one word that programs may look for. */
void mecapy_warning(const char *code, const char *format, ...) MECAPY_FORMAT(2, 3);
/* Ends the program unless `holds`: an input can't be used. NaN makes a condition that is written positively false. */
void mecapy_require(bool holds, const char *pointer, const char *format, ...) MECAPY_FORMAT(3, 4);
/* Ends the program: the computation can't give a result. */
_Noreturn void mecapy_fail(const char *format, ...) MECAPY_FORMAT(1, 2);

/* Creates an artifact, which may lie in folders ("figures/one.svg"): write to it and close it. The path is that of
 * work/out/ in the current folder, which is / in the sandbox; files that were sent with the task are in work/in/. */
FILE *mecapy_artifact(const char *name);

#if defined(MECAPY_IMPLEMENTATION)
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* DEPTH: nested lists and objects. LINE: one line for the platform. SHOWN: what an error quotes of a text. */
enum { MECAPY_DEPTH_MAX = 128, MECAPY_LINE_BYTES_MAX = 4096, MECAPY_SHOWN_BYTES_MAX = 60 };
enum { MECAPY_POINTERS = 8, MECAPY_POINTER_BYTES_MAX = 1024, MECAPY_EXIT_FAILED = 1, MECAPY_EXIT_INPUT = 2 };

/* One line for the platform: "mecapy: <what> <about> <message>". */
static void mecapy_say(const char *what, const char *about, const char *format, va_list arguments) {
    char line[MECAPY_LINE_BYTES_MAX];
    int head = snprintf(line, sizeof line - 1, "mecapy: %s %.2000s%s", what, about, *about != '\0' ? " " : "");
    vsnprintf(line + head, sizeof line - 1 - (size_t)head, format, arguments);
    for (char *at = line; (at = strpbrk(at, "\r\n")) != NULL;) *at = ' ';
    size_t bytes = strlen(line);
    while (line[bytes - 1] == ' ') bytes--;
    line[bytes] = '\n';
    fwrite(line, 1, bytes + 1, stderr);
}

/* In a function with the parameters `format` and `...`. */
#define MECAPY_SAY(what, about)                 \
    va_list arguments;                          \
    va_start(arguments, format);                \
    mecapy_say(what, about, format, arguments); \
    va_end(arguments)

/* By _Exit, which drops what was written of the result and is still in a buffer. */
void mecapy_fail(const char *format, ...) {
    MECAPY_SAY("error exception", "");
    _Exit(MECAPY_EXIT_FAILED);
}

void mecapy_require(bool holds, const char *pointer, const char *format, ...) {
    if (holds) return;
    MECAPY_SAY("error invalid_input", *pointer != '\0' ? pointer : "the input");
    _Exit(MECAPY_EXIT_INPUT);
}
#define mecapy_refuse(...) (mecapy_require(false, __VA_ARGS__), abort())

void mecapy_progress(double fraction, const char *format, ...) {
    if (isnan(fraction)) return;
    MECAPY_SAY("progress", mecapy_pointer("%.6g", fmin(fmax(fraction, 0), 1)));
}

void mecapy_warning(const char *code, const char *format, ...) {
    MECAPY_SAY("warning", code);
}

static void *mecapy_grow(void *block, size_t bytes) {
    void *grown = realloc(block, bytes > 0 ? bytes : 1);
    if (grown == NULL) mecapy_fail("the computation needs more memory than it may have");
    return grown;
}

const char *mecapy_pointer(const char *format, ...) {
    static char ring[MECAPY_POINTERS][MECAPY_POINTER_BYTES_MAX];
    static size_t next;
    char *text = ring[next++ % MECAPY_POINTERS];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, MECAPY_POINTER_BYTES_MAX, format, arguments);
    va_end(arguments);
    return text;
}

/* The inputs: read and checked as a whole once. Each value is a node; the values in it follow it, in an object each
 * after its name. */
typedef struct {
    const char *at;
    size_t next;  /* the node after it and all that is in it */
    size_t count; /* items of a list, members of an object */
} mecapy_node;

static mecapy_node *mecapy_nodes;
static size_t mecapy_nodes_count;
static const char *mecapy_document;

static const char *mecapy_skip_space(const char *at) { return at + strspn(at, " \t\n\r"); }

static _Noreturn void mecapy_bad_json(const char *at, const char *wanted) {
    mecapy_refuse("the inputs", "are not JSON: %s should be at byte %zu", wanted, (size_t)(at - mecapy_document));
}

static size_t mecapy_add_node(const char *at) {
    mecapy_nodes[mecapy_nodes_count] = (mecapy_node){at, mecapy_nodes_count + 1, 0};
    return mecapy_nodes_count++;
}

static const char *mecapy_read_string(const char *at) {
    if (*at != '"') mecapy_bad_json(at, "a text");
    for (at++; *at != '"';) {
        if ((unsigned char)*at < 0x20) mecapy_bad_json(at, "the end of a text");
        if (*at++ != '\\') continue;
        if (*at == '\0' || strchr("\"\\/bfnrtu", *at) == NULL) mecapy_bad_json(at, "an escape");
        if (*at++ == 'u' && strspn(at, "0123456789abcdefABCDEF") < 4) mecapy_bad_json(at, "four digits");
    }
    return at + 1;
}

static const char *mecapy_read_digits(const char *at) {
    const char *end = at + strspn(at, "0123456789");
    if (end == at) mecapy_bad_json(at, "a digit");
    return end;
}

static const char *mecapy_read_number(const char *at) {
    if (*at == '-') at++;
    if (*at < '0' || *at > '9') mecapy_bad_json(at, "a value");
    at = *at == '0' ? at + 1 : mecapy_read_digits(at);
    if (*at == '.') at = mecapy_read_digits(at + 1);
    if (*at != 'e' && *at != 'E') return at;
    return mecapy_read_digits(at + (at[1] == '+' || at[1] == '-' ? 2 : 1));
}

static const char *mecapy_read_value(const char *at, int depth) {
    if (depth > MECAPY_DEPTH_MAX) mecapy_bad_json(at, "no further level of nesting");
    size_t node = mecapy_add_node(at);
    if (*at == '"') return mecapy_read_string(at);
    if (strncmp(at, "true", 4) == 0 || strncmp(at, "null", 4) == 0) return at + 4;
    if (strncmp(at, "false", 5) == 0) return at + 5;
    if (*at != '{' && *at != '[') return mecapy_read_number(at);
    bool object = *at == '{';
    const char close = object ? '}' : ']', *next = mecapy_skip_space(at + 1);
    while (*next != close) {
        if (mecapy_nodes[node].count++ > 0) {
            if (*next != ',') mecapy_bad_json(next, "a comma");
            next = mecapy_skip_space(next + 1);
        }
        if (object) {
            mecapy_add_node(next);
            next = mecapy_skip_space(mecapy_read_string(next));
            if (*next != ':') mecapy_bad_json(next, "a colon");
            next = mecapy_skip_space(next + 1);
        }
        next = mecapy_skip_space(mecapy_read_value(next, depth + 1));
    }
    mecapy_nodes[node].next = mecapy_nodes_count;
    return next + 1;
}

static void mecapy_read_inputs(void) {
    size_t bytes = 0, count, piece = 1 << 16;
    char *text = mecapy_grow(NULL, piece + 1);
    while ((count = fread(text + bytes, 1, piece, stdin)) > 0) text = mecapy_grow(text, (bytes += count) + piece + 1);
    text[bytes] = '\0';
    mecapy_document = text;
    /* A value begins the document, or follows one of these; so does a name. */
    for (count = 1; *text != '\0'; text++) count += strchr("[{,:", *text) != NULL;
    mecapy_nodes = mecapy_grow(NULL, count * sizeof *mecapy_nodes);
    const char *end = mecapy_skip_space(mecapy_read_value(mecapy_skip_space(mecapy_document), 0));
    if (end != mecapy_document + bytes) mecapy_bad_json(end, "the end");
}

/* One character of a text as UTF-8, 1 to 4 bytes; moves on. Half a surrogate pair becomes U+FFFD. */
static size_t mecapy_decode(const char **text, char out[4]) {
    const char *at = *text;
    *text = at + (*at != '\\' ? 1 : at[1] != 'u' ? 2 : 6);
    if (*at != '\\' || at[1] != 'u') {
        const char *escape = *at == '\\' ? strchr("b\bf\fn\nr\rt\t", at[1]) : NULL;
        out[0] = escape != NULL ? escape[1] : *at == '\\' ? at[1] : *at;
        return 1;
    }
    unsigned code = 0, low = 0;
    sscanf(at + 2, "%4x", &code);
    if (code - 0xd800 < 0x400 && sscanf(at + 6, "\\u%4x", &low) == 1 && low - 0xdc00 < 0x400) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        *text = at + 12;
    }
    if (code - 0xd800 < 0x800) code = 0xfffd;
    size_t bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t index = bytes - 1; index > 0; index--, code >>= 6) out[index] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)((const unsigned char[]){0, 0, 0xc0, 0xe0, 0xf0}[bytes] | code);
    return bytes;
}

/* Whether a name is the part of a pointer from `part` to `end`. */
static bool mecapy_is_part(const char *name, const char *part, const char *end) {
    for (name++; *name != '"';) {
        char utf8[4];
        size_t bytes = mecapy_decode(&name, utf8);
        for (size_t index = 0; index < bytes; index++) {
            if (part == end) return false;
            char wanted = *part++;
            if (wanted == '~' && part < end) wanted = *part++ == '1' ? '/' : '~';
            if (wanted != utf8[index]) return false;
        }
    }
    return part == end;
}

/* The value of a member or an item of a node, or NULL. */
static const mecapy_node *mecapy_inside(const mecapy_node *node, const char *part, const char *end) {
    bool object = *node->at == '{', list = *node->at == '[';
    unsigned long wanted = list && *part >= '0' && *part <= '9' ? strtoul(part, NULL, 10) : (unsigned long)-1;
    const mecapy_node *found = NULL, *value = node + 1;
    for (size_t index = 0; (object || list) && index < node->count; index++) {
        const mecapy_node *name = value;
        if (object) value++;
        if (object ? mecapy_is_part(name->at, part, end) : index == wanted) {
            if (found != NULL) mecapy_refuse("the inputs", "have \"%.*s\" twice in one object", (int)(end - part), part);
            found = value;
        }
        value = mecapy_nodes + value->next;
    }
    return found;
}

static const mecapy_node *mecapy_find(const char *pointer) {
    if (mecapy_document == NULL) mecapy_read_inputs();
    const mecapy_node *node = mecapy_nodes;
    while (node != NULL && *pointer == '/') {
        const char *part = pointer + 1;
        pointer = part + strcspn(part, "/");
        node = mecapy_inside(node, part, pointer);
    }
    return node;
}

static const mecapy_node *mecapy_take(const char *pointer) {
    const mecapy_node *node = mecapy_find(pointer);
    if (node == NULL) mecapy_refuse(pointer, "is missing");
    return node;
}

static _Noreturn void mecapy_refuse_type(const char *pointer, const mecapy_node *node, const char *wanted) {
    const char *at = node->at;
    bool object = *at == '{';
    if (object || *at == '[') mecapy_refuse(pointer, "must be %s, not %s", wanted, object ? "an object" : "a list");
    const char *end = *at == '"' ? mecapy_read_string(at) : at + strcspn(at, ",]} \t\n\r");
    int bytes = end - at > MECAPY_SHOWN_BYTES_MAX ? MECAPY_SHOWN_BYTES_MAX : (int)(end - at);
    while (bytes > 0 && (at[bytes] & 0xc0) == 0x80) bytes--;
    mecapy_refuse(pointer, "must be %s, not %s%.*s", wanted, *at == '"' ? "the text " : "", bytes, at);
}

static double mecapy_number_of(const char *pointer, const mecapy_node *node) {
    if (strchr("-0123456789", *node->at) == NULL) mecapy_refuse_type(pointer, node, "a number");
    double value = strtod(node->at, NULL);
    if (isinf(value)) mecapy_refuse(pointer, "is a number beyond what a double can hold");
    return value;
}

double mecapy_number(const char *pointer) { return mecapy_number_of(pointer, mecapy_take(pointer)); }

int64_t mecapy_integer(const char *pointer) {
    const mecapy_node *node = mecapy_take(pointer);
    double value = mecapy_number_of(pointer, node);
    bool fits = fabs(value) <= 9007199254740992.0 && value == floor(value);
    if (!fits) mecapy_refuse_type(pointer, node, "an integer from -2^53 to 2^53");
    return (int64_t)value;
}

bool mecapy_boolean(const char *pointer) {
    const mecapy_node *node = mecapy_take(pointer);
    if (*node->at != 't' && *node->at != 'f') mecapy_refuse_type(pointer, node, "true or false");
    return *node->at == 't';
}

const char *mecapy_text(const char *pointer) {
    const mecapy_node *node = mecapy_take(pointer);
    if (*node->at != '"') mecapy_refuse_type(pointer, node, "a text");
    const char *at = node->at + 1;
    char *text = mecapy_grow(NULL, (size_t)(mecapy_read_string(node->at) - at) + 4), *end = text;
    while (*at != '"') end += mecapy_decode(&at, end);
    *end = '\0';
    if (strlen(text) != (size_t)(end - text)) mecapy_refuse(pointer, "must be a text without the character U+0000");
    return text;
}

bool mecapy_has(const char *pointer) { return mecapy_find(pointer) != NULL; }
typedef const char *mecapy_string;
#define MECAPY_OR(type, take) \
    type take##_or(const char *pointer, type otherwise) { return mecapy_has(pointer) ? take(pointer) : otherwise; }
MECAPY_OR(double, mecapy_number)
MECAPY_OR(int64_t, mecapy_integer)
MECAPY_OR(bool, mecapy_boolean)
MECAPY_OR(mecapy_string, mecapy_text)

size_t mecapy_count(const char *pointer) {
    const mecapy_node *node = mecapy_take(pointer);
    if (*node->at != '[') mecapy_refuse_type(pointer, node, "a list");
    return node->count;
}

const double *mecapy_numbers(const char *pointer, size_t *count) {
    *count = mecapy_count(pointer);
    double *values = mecapy_grow(NULL, *count * sizeof *values);
    const mecapy_node *item = mecapy_find(pointer) + 1;
    for (size_t index = 0; index < *count; index++, item = mecapy_nodes + item->next) {
        values[index] = mecapy_number_of(mecapy_pointer("%s/%zu", pointer, index), item);
    }
    return values;
}

/* Which of the words a text is, or SIZE_MAX. */
static size_t mecapy_word(const char *words, const char *text) {
    for (size_t index = 0; *(words += strspn(words, " ")) != '\0'; index++) {
        const char *end = words + strcspn(words, " ");
        if (mecapy_is_part(text, words, end)) return index;
        words = end;
    }
    return SIZE_MAX;
}

size_t mecapy_choice(const char *pointer, const char *words) {
    const mecapy_node *node = mecapy_take(pointer);
    size_t found = *node->at == '"' ? mecapy_word(words, node->at) : SIZE_MAX;
    if (found == SIZE_MAX) mecapy_refuse_type(pointer, node, mecapy_pointer("one of %s", words));
    return found;
}

void mecapy_only(const char *pointer, const char *names) {
    const mecapy_node *object = mecapy_take(pointer), *name = object + 1;
    if (*object->at != '{') mecapy_refuse_type(pointer, object, "an object");
    for (size_t index = 0; index < object->count; index++, name = mecapy_nodes + name[1].next) {
        if (mecapy_word(names, name->at) != SIZE_MAX) continue;
        int bytes = (int)(mecapy_read_string(name->at) - name->at) - 2;
        pointer = mecapy_pointer("%s/%.*s", pointer, bytes, name->at + 1);
        mecapy_refuse(pointer, "is not known here; known: %s", names);
    }
}

/* The result: for each level that is open its end, how many values it has, and where its pointer ends in `path`. */
static struct {
    char path[MECAPY_POINTER_BYTES_MAX], close[MECAPY_DEPTH_MAX];
    size_t depth, count[MECAPY_DEPTH_MAX], path_bytes[MECAPY_DEPTH_MAX];
} mecapy_result = {.close = "}"};

static void mecapy_write_text(const char *text) {
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') putchar('\\');
        printf((unsigned char)*text < 0x20 ? "\\u%04x" : "%c", *text);
    }
    putchar('"');
}

/* Begins a value, and makes the path its pointer. */
static void mecapy_write_key(const char *key) {
    size_t depth = mecapy_result.depth, from = mecapy_result.path_bytes[depth];
    size_t index = mecapy_result.count[depth]++;
    bool list = mecapy_result.close[depth] == ']';
    if (list != (key == NULL)) mecapy_fail("the result is not built right: in an object, and only there, values have keys");
    const char *part = list ? mecapy_pointer("/%zu", index) : mecapy_pointer("/%s", key);
    snprintf(mecapy_result.path + from, sizeof mecapy_result.path - from, "%s", part);
    if (index > 0 || depth == 0) putchar(index > 0 ? ',' : '{');
    if (list) return;
    mecapy_write_text(key);
    putchar(':');
}

void mecapy_put_number(const char *key, double value) {
    char text[32] = "";
    mecapy_write_key(key);
    if (!isfinite(value)) {
        fprintf(stderr, "mecapy: error invalid_output %s of the result is %s, which JSON can't hold\n",
                mecapy_result.path, isnan(value) ? "NaN" : value > 0 ? "inf" : "-inf");
        _Exit(MECAPY_EXIT_FAILED);
    }
    for (int digits = 15; digits <= 17 && (digits == 15 || strtod(text, NULL) != value); digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
    }
    fputs(strcmp(text, "-0") == 0 ? "-0.0" : text, stdout);
}

static void mecapy_put(const char *key, const char *json) {
    mecapy_write_key(key);
    fputs(json, stdout);
}

void mecapy_put_null(const char *key) { mecapy_put(key, "null"); }
void mecapy_put_boolean(const char *key, bool value) { mecapy_put(key, value ? "true" : "false"); }
void mecapy_put_integer(const char *key, int64_t value) { mecapy_put(key, mecapy_pointer("%lld", (long long)value)); }

void mecapy_put_text(const char *key, const char *utf8) {
    mecapy_write_key(key);
    mecapy_write_text(utf8);
}

static void mecapy_open(const char *key, const char *open, char close) {
    mecapy_put(key, open);
    if (++mecapy_result.depth == MECAPY_DEPTH_MAX) mecapy_fail("the result is nested too deep");
    mecapy_result.close[mecapy_result.depth] = close;
    mecapy_result.count[mecapy_result.depth] = 0;
    mecapy_result.path_bytes[mecapy_result.depth] = strlen(mecapy_result.path);
}

void mecapy_open_object(const char *key) { mecapy_open(key, "{", '}'); }
void mecapy_open_list(const char *key) { mecapy_open(key, "[", ']'); }

void mecapy_close(void) {
    if (mecapy_result.depth == 0) mecapy_fail("the result is not built right: nothing is open to be closed");
    putchar(mecapy_result.close[mecapy_result.depth--]);
}

void mecapy_put_numbers(const char *key, const double *values, size_t count) {
    mecapy_open_list(key);
    for (size_t index = 0; index < count; index++) mecapy_put_number(NULL, values[index]);
    mecapy_close();
}

int mecapy_finish(void) {
    if (mecapy_result.depth > 0) mecapy_fail("the result is not built right: something is not closed");
    fputs(mecapy_result.count[0] > 0 ? "}\n" : "{}\n", stdout);
    if (fflush(stdout) != 0 || ferror(stdout)) mecapy_fail("the result can't be written: %s", strerror(errno));
    return 0;
}

FILE *mecapy_artifact(const char *name) {
    const char *path = mecapy_pointer("work/out/%s", name);
    bool outside = *name == '\0' || *name == '/' || strstr(mecapy_pointer("/%s/", name), "/../") != NULL;
    if (outside) mecapy_fail("\"%s\" can't be an artifact: give a relative path without \"..\"", name);
    for (const char *end = path; (end = strchr(end + 1, '/')) != NULL;) {
        mkdir(mecapy_pointer("%.*s", (int)(end - path), path), 0777);
    }
    FILE *file = fopen(path, "wb");
    if (file == NULL) mecapy_fail("the artifact \"%s\" can't be written: %s", name, strerror(errno));
    return file;
}
#endif
#endif
