/*
 * Coverage-guided fuzzing of the native kernel, by libFuzzer, with AddressSanitizer and UndefinedBehaviorSanitizer:
 *
 *     fuzz/build_kernel && fuzz/fuzz_kernel -max_len=4096 -max_total_time=60 [CORPUS_FOLDER]
 *
 * What is checked besides memory: each line is answered or left to Python, in order; replies are one line each, of
 * well-formed UTF-8, with the strings of JSON closed; the pieces of a text are the text. The first octets of an input
 * choose the options, the seed and how much memory there is. However the words collide, no more slots are looked at than
 * a small multiple of the octets; and the words are those of the pieces.
 */
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>

/* So many more allocations succeed. */
static unsigned allocations;

static void *rationed_malloc(size_t size) { return allocations-- > 0 ? malloc(size) : NULL; }
static void *rationed_calloc(size_t count, size_t size) { return allocations-- > 0 ? calloc(count, size) : NULL; }
static void *rationed_realloc(void *old, size_t size) { return allocations-- > 0 ? realloc(old, size) : NULL; }

/* How many slots of the table of unique words have been looked at. */
static size_t probes;

#define COUNT_PROBE (void)probes++
#define malloc rationed_malloc
#define calloc rationed_calloc
#define realloc rationed_realloc
#define WITHOUT_PYTHON
#include "../wordecho/native/replies.c"
#undef malloc
#undef calloc
#undef realloc

#define CHECK(condition) ((condition) ? (void)0 : __builtin_trap())

/* Checks a reply of the given length, which has no ending. */
static void check_reply(const uint8_t *reply, size_t length) {
    static const char begin[] = "{\"unique_words\":[";
    CHECK(length > sizeof(begin) && memcmp(reply, begin, sizeof(begin) - 1) == 0 && reply[length - 1] == '}');
    bool in_string = false;
    for (const uint8_t *at = reply, *end = reply + length; at < end;) {
        const uint8_t *here = at;
        int32_t code = decode(&at);
        CHECK(code >= 0x20);
        if (in_string && code == '\\') at++;
        else if (code == '"') in_string = !in_string;
        CHECK(at > here && at <= end);
    }
    CHECK(!in_string);
}

static void check_lines(const uint8_t *lines, size_t length, bool ignore_case, bool counts, uint64_t seed) {
    struct answers answers;
    begin(&answers, ignore_case, counts, seed);
    if (!answer_whole_lines(&answers, lines, length)) {
        CHECK(allocations == UINT_MAX);
        finish(&answers);
        return;
    }
    size_t line = 0, reply = 0;
    for (size_t i = 0; i <= answers.used_runs; i++) {
        bool is_last = i == answers.used_runs;
        size_t replies = is_last ? answers.used_output : answers.runs[i].replies;
        size_t lines_end = is_last ? length : answers.runs[i].start;
        while (reply < replies) {
            const uint8_t *start = answers.output + reply;
            const uint8_t *feed = memchr(start, '\n', replies - reply);
            const uint8_t *line_feed = memchr(lines + line, '\n', length - line);
            CHECK(feed != NULL && line_feed != NULL && line < lines_end);
            bool has_return = feed[-1] == '\r';
            CHECK(has_return == (line_feed > lines + line && line_feed[-1] == '\r'));
            check_reply(start, (size_t)(feed - start) - has_return);
            reply += (size_t)(feed - start) + 1;
            line = (size_t)(line_feed - lines) + 1;
        }
        CHECK(line == lines_end);
        if (!is_last) line = answers.runs[i].end;
    }
    CHECK(line == length && reply == answers.used_output);
    finish(&answers);
}

static void check_message(const uint8_t *message, size_t length, bool ignore_case, bool counts, uint64_t seed) {
    struct answers answers;
    begin(&answers, ignore_case, counts, seed);
    probes = 0;
    enum answered answered = answer_message(&answers, message, length, length);
    CHECK(probes <= 32 * (length + 64));
    CHECK(answered != OUT_OF_MEMORY || allocations == UINT_MAX);
    if (answered == ANSWERED) check_reply(answers.output, answers.used_output);
    finish(&answers);
}

static void check_pieces(const uint8_t *text, size_t length) {
    const uint8_t *at = text, *end = text + length;
    struct piece piece = {.start = text}, word;
    unsigned seen = 0, seen_of_words = 0;
    while (piece.start < end) {
        if (!read_piece(&piece, end, &seen)) return;
        CHECK(piece.end > piece.start && piece.end <= end);
        if (piece.is_word) {
            CHECK(next_word(&at, end, &word, &seen_of_words) == A_WORD);
            CHECK(word.start == piece.start && word.end == piece.end && at == piece.end);
        }
        piece.start = piece.end;
    }
    CHECK(next_word(&at, end, &word, &seen_of_words) == NO_MORE);
}

/* Before the first input: a message with more unique words than the fuzzer will find soon. */
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    enum { WORDS = 4096, OCTETS = 5 };
    static uint8_t message[WORDS * OCTETS + 1];
    (void)argc, (void)argv;
    for (size_t i = 0; i < WORDS; i++) {
        uint8_t *word = message + i * OCTETS;
        for (size_t at = 0; at < OCTETS - 1; at++) word[at] = (uint8_t)('a' + (i >> at * 3 & 7));
        word[OCTETS - 1] = ' ';
    }
    allocations = UINT_MAX - 1;
    check_message(message, WORDS * OCTETS, false, true, 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    bool ignore_case = data[0] & 1, counts = data[0] & 2;
    unsigned ration = data[0] & 4 ? data[0] >> 3 : UINT_MAX - 1;
    uint64_t seed = data[1];
    /* No octet more than there is, and what follows a text of Python's. */
    size_t length = size - 2;
    uint8_t *text = malloc(length + 1);
    if (text == NULL) return 0;
    memcpy(text, data + 2, length);
    text[length] = 0;
    allocations = ration;
    check_message(text, length, ignore_case, counts, seed);
    check_pieces(text, length);
    text[length] = '\n';
    allocations = ration;
    check_lines(text, length + 1, ignore_case, counts, seed);
    free(text);
    return 0;
}
