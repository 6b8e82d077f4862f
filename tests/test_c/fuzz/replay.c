/* Runs a fuzz target on files, without libFuzzer: replay TARGET FILE...
 * Each target is compiled with its LLVMFuzzerTestOneInput named after it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fuzz_frame(const uint8_t *data, size_t size);
int fuzz_chunk(const uint8_t *data, size_t size);
int fuzz_streams(const uint8_t *data, size_t size);
int fuzz_round_trip(const uint8_t *data, size_t size);

static const struct {
    const char *name;
    int (*run)(const uint8_t *data, size_t size);
} targets[] = {{"frame", fuzz_frame},
               {"chunk", fuzz_chunk},
               {"streams", fuzz_streams},
               {"round_trip", fuzz_round_trip}};

static void replay(int target, const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    uint8_t *data = malloc(size ? size : 1);
    rewind(file);
    size_t got = fread(data, 1, size, file);
    fclose(file);
    if (got != size) exit(1);
    /* The last one named is the one that a sanitizer stopped at. */
    fprintf(stderr, "%s\n", path);
    targets[target].run(data, size);
    free(data);
}

int main(int argc, char **argv) {
    for (int t = 0; argc > 2 && t < (int)(sizeof targets / sizeof *targets); t++) {
        if (strcmp(argv[1], targets[t].name)) continue;
        for (int i = 2; i < argc; i++) replay(t, argv[i]);
        printf("%d replayed\n", argc - 2);
        return 0;
    }
    fprintf(stderr, "usage: replay frame|chunk|streams|round_trip FILE...\n");
    return 2;
}
