/*
 * Replies to messages: from the octets of whole lines to the octets of their replies, as docs/protocol.rst has them.
 *
 * Some messages are left to Python: one that needs a dictionary or is not UTF-8, and one that is not ASCII where case is
 * to be ignored.
 *
 * Two calls share nothing, and the module has no state.
 */
#ifndef WITHOUT_PYTHON /* the fuzzer is */
#ifndef Py_GIL_DISABLED /* for which there is no stable ABI */
#define Py_LIMITED_API 0x030A0000
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#endif

#include <stdlib.h>
#include <string.h>

#include "words.h"

/* A unique word of a message: where it stands in the keys, and how often. Its length is 0 where it is no new one. */
struct word {
    uint32_t start, length, count;
};

/* A mark that waits to be put in order among its neighbours. */
struct mark {
    int32_t code;
    uint8_t combining_class;
};

/* A slot of the table of unique words: a part of a word's hash, and the word's number from 1 on; 0 in a free slot. */
struct slot {
    uint32_t hash, word;
};

/* After a line that is left to Python, or several together. */
struct run {
    size_t replies; /* octets of replies that come before them */
    size_t start, end;
};

/*
 * A word is looked for in so many slots at the most. At least half of the slots are free, so one in four thousand
 * million words finds none, unless somebody knows the seed and has chosen the words. Then the message has the table made
 * anew with a seed of its own, which depends on all of it; should a word find no slot again, its words are sorted.
 */
enum { MOST_PROBES = 32 };

#ifndef COUNT_PROBE /* as the fuzzer does */
#define COUNT_PROBE (void)0
#endif

/* What a short read takes no memory for. */
enum { FEW_SLOTS = 64, FEW_WORDS = FEW_SLOTS / 2, FEW_RUNS = 4, FEW_OCTETS = 16384, FEW_MARKS = 32 };

/*
 * What answering takes. All but the output and the runs is of one message.
 *
 * keys: what its words are compared by: the message; or made_keys, which are that in lower case, or its words decomposed
 * readable: octets that may be read from there on
 * spellings: where the keys are words decomposed, the words as they stand in the message
 * words: its unique words in order of appearance
 * own_seed: the seed for this message; has_own_seed: it is not the one for all messages
 * has_overflowed: the words are to be sorted in the end, and every one is added to them
 */
struct answers {
    uint64_t seed, own_seed;
    bool ignore_case, counts;
    const uint8_t *message;
    size_t length;
    const uint8_t *keys;
    size_t readable;
    struct word *words;
    size_t used_words, room_words;
    bool has_own_seed, has_overflowed;
    struct slot *slots;
    size_t used_slots;
    uint8_t *made_keys;
    size_t used_keys, room_keys;
    bool is_decomposed;
    struct word *spellings;
    size_t room_spellings;
    struct mark *marks;
    size_t used_marks, room_marks;
    uint8_t *output;
    size_t used_output, room_output;
    struct run *runs;
    size_t used_runs, room_runs;
    struct slot few_slots[FEW_SLOTS];
    struct word few_words[FEW_WORDS];
    struct run few_runs[FEW_RUNS];
    struct mark few_marks[FEW_MARKS];
    uint8_t few_octets[FEW_OCTETS];
};

enum answered { ANSWERED, LEFT_TO_PYTHON, OUT_OF_MEMORY };

static void begin(struct answers *answers, bool ignore_case, bool counts, uint64_t seed) {
    answers->seed = seed;
    answers->ignore_case = ignore_case;
    answers->counts = counts;
    answers->words = answers->few_words;
    answers->room_words = FEW_WORDS;
    answers->slots = answers->few_slots;
    answers->made_keys = NULL;
    answers->room_keys = 0;
    answers->spellings = NULL;
    answers->room_spellings = 0;
    answers->marks = answers->few_marks;
    answers->used_marks = 0;
    answers->room_marks = FEW_MARKS;
    answers->output = answers->few_octets;
    answers->used_output = 0;
    answers->room_output = FEW_OCTETS;
    answers->runs = answers->few_runs;
    answers->used_runs = 0;
    answers->room_runs = FEW_RUNS;
}

static void finish(struct answers *answers) {
    if (answers->words != answers->few_words) free(answers->words);
    if (answers->slots != answers->few_slots) free(answers->slots);
    if (answers->output != answers->few_octets) free(answers->output);
    if (answers->runs != answers->few_runs) free(answers->runs);
    if (answers->marks != answers->few_marks) free(answers->marks);
    free(answers->made_keys);
    free(answers->spellings);
}

/*
 * Returns room for at least so many things of a size, where the used ones of old now are; NULL where there is no memory
 * for them. Old is few, or what this has returned, or both are NULL.
 */
static void *with_room(void *old, void *few, size_t used, uint64_t wanted, size_t size, size_t *room) {
    uint64_t new_room = *room > 0 ? (uint64_t)*room * 2 : 64;
    if (new_room < wanted) new_room = wanted;
    if (new_room > SIZE_MAX / size) return NULL;
    void *grown = realloc(old == few ? NULL : old, (size_t)new_room * size);
    if (grown == NULL) return NULL;
    if (old == few && few != NULL) memcpy(grown, few, used * size);
    *room = (size_t)new_room;
    return grown;
}

/* The unique words of a message */

/* The product of two numbers, the upper half of it laid over the lower, so that each bit depends on most of theirs. */
static inline uint64_t mix(uint64_t a, uint64_t b) {
#ifdef __SIZEOF_INT128__
    __extension__ typedef unsigned __int128 product;
    product whole = (product)a * b;
    return (uint64_t)whole ^ (uint64_t)(whole >> 64);
#else
    uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
    uint64_t inner = a1 * b0 + (a0 * b0 >> 32), outer = a0 * b1 + (uint32_t)inner;
    return (a * b) ^ (a1 * b1 + (inner >> 32) + (outer >> 32));
#endif
}

/* One to eight octets as a number that no others of the same length have. */
static inline uint64_t number_of(const uint8_t *octets, size_t length, size_t readable) {
    uint64_t number = 0;
    if (readable < 8) {
        memcpy(&number, octets, length);
        return number;
    }
    memcpy(&number, octets, 8);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return number & UINT64_MAX << (64 - 8 * length);
#else
    return number & UINT64_MAX >> (64 - 8 * length);
#endif
}

/* A keyed hash of the kind of wyhash: a multiplication for each eight octets. The constants have no meaning. */
static inline uint64_t hash_of(const uint8_t *octets, size_t length, size_t readable, uint64_t seed) {
#ifdef HASH_FOR_TESTS
    (void)octets, (void)length, (void)readable, (void)seed;
    return HASH_FOR_TESTS;
#else
    uint64_t hash = seed ^ 0x9E3779B97F4A7C15u, key = seed ^ 0xD1B54A32D192ED03u;
    size_t left = length;
    for (; left > 8; left -= 8, octets += 8, readable -= 8) {
        uint64_t number;
        memcpy(&number, octets, 8);
        hash = mix(hash ^ number, key);
    }
    return mix(hash ^ number_of(octets, left, readable), key + length);
#endif
}

static inline bool is_same(const uint8_t *one, const uint8_t *other, size_t length, size_t readable) {
    if (length > 8) return memcmp(one, other, length) == 0;
    return number_of(one, length, readable) == number_of(other, length, readable);
}

static inline void clear_table(struct answers *answers) {
    if (answers->slots != answers->few_slots) free(answers->slots);
    answers->slots = answers->few_slots;
    answers->used_slots = FEW_SLOTS;
    memset(answers->slots, 0, FEW_SLOTS * sizeof(struct slot));
}

static inline void clear_words(struct answers *answers) {
    clear_table(answers);
    answers->own_seed = answers->seed;
    answers->has_own_seed = false;
    answers->used_words = 0;
    answers->has_overflowed = false;
}

static bool add_word(struct answers *answers, uint32_t start, uint32_t length, uint32_t count) {
    if (answers->used_words == answers->room_words) {
        struct word *words = with_room(answers->words, answers->few_words, answers->used_words,
                                       (uint64_t)answers->used_words + 1, sizeof(struct word), &answers->room_words);
        if (words == NULL) return false;
        answers->words = words;
    }
    answers->words[answers->used_words++] = (struct word){start, length, count};
    return true;
}

static inline uint64_t hash_of_word(const struct answers *answers, uint32_t start, uint32_t length) {
    return hash_of(answers->keys + start, length, answers->readable - start, answers->own_seed);
}

/* Makes the table anew, of so many slots. Returns false where there is no memory for it. */
static bool make_table(struct answers *answers, size_t used) {
    struct slot *slots = used <= SIZE_MAX / sizeof(struct slot) ? calloc(used, sizeof(struct slot)) : NULL;
    if (slots == NULL) return false;
    for (size_t number = 1; number <= answers->used_words; number++) {
        const struct word *word = &answers->words[number - 1];
        uint64_t hash = hash_of_word(answers, word->start, word->length);
        size_t at = hash & (used - 1), probe = 1;
        for (; slots[at].word != 0 && probe <= MOST_PROBES; at = (at + probe++) & (used - 1)) COUNT_PROBE;
        if (probe > MOST_PROBES) {
            free(slots);
            answers->has_overflowed = true;
            return true;
        }
        slots[at] = (struct slot){(uint32_t)(hash >> 32), (uint32_t)number};
    }
    if (answers->slots != answers->few_slots) free(answers->slots);
    answers->slots = slots;
    answers->used_slots = used;
    return true;
}

static bool count_word_elsewhere(struct answers *answers, uint32_t start, uint32_t length, uint32_t count);

/* Counts a word that occurs so often. Returns false where there is no memory for it. */
static inline bool count_word(struct answers *answers, uint32_t start, uint32_t length, uint32_t count) {
    if (answers->has_overflowed) return add_word(answers, start, length, count);
    uint64_t hash = hash_of_word(answers, start, length);
    size_t mask = answers->used_slots - 1, at = hash & mask;
    for (size_t probe = 1; probe <= MOST_PROBES; probe++) {
        COUNT_PROBE;
        struct slot *slot = &answers->slots[at];
        if (slot->word == 0) {
            if (!add_word(answers, start, length, count)) return false;
            *slot = (struct slot){(uint32_t)(hash >> 32), (uint32_t)answers->used_words};
            return answers->used_words * 2 <= answers->used_slots || make_table(answers, answers->used_slots * 2);
        }
        if (slot->hash == (uint32_t)(hash >> 32)) {
            struct word *word = &answers->words[slot->word - 1]; /* which comes before this one */
            if (word->length == length && is_same(answers->keys + word->start, answers->keys + start, length,
                                                  answers->readable - start)) {
                word->count += count;
                return true;
            }
        }
        at = (at + probe) & mask;
    }
    return count_word_elsewhere(answers, start, length, count);
}

/* Counts a word that has found no slot. */
static bool count_word_elsewhere(struct answers *answers, uint32_t start, uint32_t length, uint32_t count) {
    if (answers->has_own_seed) {
        answers->has_overflowed = true;
    } else {
        answers->has_own_seed = true;
        answers->own_seed = hash_of(answers->message, answers->length, answers->length, answers->seed);
        if (!make_table(answers, answers->used_slots)) return false;
    }
    return count_word(answers, start, length, count);
}

/* The unique words of a message, sorted */

/* So few words are sorted by comparing them. */
enum { FEW_TO_SORT = 32 };

static inline unsigned octet_or_end(const struct answers *answers, uint32_t number, size_t depth) {
    const struct word *word = &answers->words[number];
    return depth < word->length ? 1u + answers->keys[word->start + depth] : 0;
}

static int compare(const struct answers *answers, uint32_t one, uint32_t other, size_t depth) {
    const struct word *a = &answers->words[one], *b = &answers->words[other];
    size_t common = (a->length < b->length ? a->length : b->length) - depth;
    int order = memcmp(answers->keys + a->start + depth, answers->keys + b->start + depth, common);
    return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

/*
 * Sorts the numbers of words that are alike up to the octet at depth; those of the same words stay in order.
 *
 * It goes from octet to octet, so the time is linear in the octets of the words, whatever they are. Of the parts that
 * an octet makes the largest is done in the loop, so that it never calls itself deeper than there are bits in count.
 */
static void sort_words(const struct answers *answers, uint32_t *numbers, uint32_t *spare, size_t count, size_t depth) {
    while (count > FEW_TO_SORT) {
        size_t same = 1;
        while (same < count && compare(answers, numbers[0], numbers[same], depth) == 0) same++;
        if (same == count) return;
        uint32_t ends[257] = {0}, end = 0;
        unsigned largest = 0;
        for (size_t i = 0; i < count; i++) ends[octet_or_end(answers, numbers[i], depth)]++;
        for (unsigned octet = 1; octet < 257; octet++)
            if (ends[octet] > ends[largest]) largest = octet;
        if (ends[largest] < count) {
            for (unsigned octet = 0; octet < 257; octet++) ends[octet] = end += ends[octet];
            for (size_t i = count; i > 0; i--)
                spare[--ends[octet_or_end(answers, numbers[i - 1], depth)]] = numbers[i - 1];
            memcpy(numbers, spare, count * sizeof(uint32_t));
            /* What were the ends are the starts now. Who has ended at this octet is in order. */
            for (unsigned octet = 1; octet < 257; octet++) {
                size_t next = octet < 256 ? ends[octet + 1] : count;
                if (octet != largest)
                    sort_words(answers, numbers + ends[octet], spare, next - ends[octet], depth + 1);
            }
            size_t start = ends[largest];
            count = (largest < 256 ? ends[largest + 1] : count) - start;
            numbers += start;
        }
        if (largest == 0) return;
        depth++;
    }
    for (size_t i = 1; i < count; i++) {
        uint32_t number = numbers[i];
        size_t at = i;
        for (; at > 0 && compare(answers, numbers[at - 1], number, depth) > 0; at--) numbers[at] = numbers[at - 1];
        numbers[at] = number;
    }
}

/* Counts the words that are the same. Returns false where there is no memory for it. */
static bool sort_and_count(struct answers *answers) {
    size_t count = answers->used_words;
    if (count > SIZE_MAX / 2 / sizeof(uint32_t)) return false;
    uint32_t *numbers = malloc(2 * count * sizeof(uint32_t));
    if (numbers == NULL) return false;
    for (size_t i = 0; i < count; i++) numbers[i] = (uint32_t)i;
    sort_words(answers, numbers, numbers + count, count, 0);
    struct word *first = &answers->words[numbers[0]];
    for (size_t i = 1; i < count; i++) {
        struct word *word = &answers->words[numbers[i]];
        if (word->length == first->length &&
            memcmp(answers->keys + word->start, answers->keys + first->start, word->length) == 0) {
            first->count += word->count;
            word->length = 0;
        } else {
            first = word;
        }
    }
    free(numbers);
    return true;
}

/* Words decomposed */

/* What a character takes, and what may be read behind the last one. */
enum { MOST_OF_A_CHARACTER = 4, READABLE = 8 };

static inline bool add_key(struct answers *answers, int32_t code) {
    if (answers->room_keys < answers->used_keys + MOST_OF_A_CHARACTER + READABLE) {
        uint8_t *keys = with_room(answers->made_keys, NULL, 0, (uint64_t)answers->used_keys + MOST_OF_A_CHARACTER + READABLE,
                                  1, &answers->room_keys);
        if (keys == NULL) return false;
        answers->made_keys = keys;
    }
    uint8_t *out = answers->made_keys + answers->used_keys;
    if (code < 0x80) {
        *out++ = (uint8_t)code;
    } else if (code < 0x800) {
        *out++ = (uint8_t)(0xC0 | code >> 6);
        *out++ = (uint8_t)(0x80 | (code & 0x3F));
    } else {
        if (code < 0x10000) {
            *out++ = (uint8_t)(0xE0 | code >> 12);
        } else {
            *out++ = (uint8_t)(0xF0 | code >> 18);
            *out++ = (uint8_t)(0x80 | (code >> 12 & 0x3F));
        }
        *out++ = (uint8_t)(0x80 | (code >> 6 & 0x3F));
        *out++ = (uint8_t)(0x80 | (code & 0x3F));
    }
    answers->used_keys = (size_t)(out - answers->made_keys);
    return true;
}

/* Adds the marks to the keys in canonical order: by combining class, else as they came; in time linear in the marks. */
static bool add_marks_in_order(struct answers *answers) {
    struct mark *marks = answers->marks;
    size_t count = answers->used_marks;
    answers->used_marks = 0;
    if (count <= FEW_MARKS) {
        for (size_t i = 1; i < count; i++) {
            struct mark mark = marks[i];
            size_t at = i;
            for (; at > 0 && marks[at - 1].combining_class > mark.combining_class; at--) marks[at] = marks[at - 1];
            marks[at] = mark;
        }
        for (size_t i = 0; i < count; i++)
            if (!add_key(answers, marks[i].code)) return false;
        return true;
    }
    uint32_t ends[256] = {0}, end = 0;
    if (count > SIZE_MAX / sizeof(int32_t)) return false;
    int32_t *ordered = malloc(count * sizeof(int32_t));
    bool is_added = ordered != NULL;
    for (size_t i = 0; is_added && i < count; i++) ends[marks[i].combining_class]++;
    for (unsigned class = 0; class < 256; class++) ends[class] = end += ends[class];
    for (size_t i = count; is_added && i > 0; i--) ordered[--ends[marks[i - 1].combining_class]] = marks[i - 1].code;
    for (size_t i = 0; is_added && i < count; i++) is_added = add_key(answers, ordered[i]);
    free(ordered);
    return is_added;
}

/* Adds the canonical decomposition of a word, which is well-formed, to the keys. */
static bool add_decomposed(struct answers *answers, const uint8_t *at, const uint8_t *end) {
    while (at < end) {
        int32_t code = decode(&at), decomposed[MOST_PARTS] = {code};
        size_t count = code >= 0x80 && character(code)->facts & NOT_NFD ? decompose(code, decomposed) : 1;
        for (size_t i = 0; i < count; i++) {
            uint8_t combining_class = decomposed[i] < 0x80 ? 0 : character(decomposed[i])->combining_class;
            if (combining_class == 0) {
                if (answers->used_marks > 0 && !add_marks_in_order(answers)) return false;
                if (!add_key(answers, decomposed[i])) return false;
                continue;
            }
            if (answers->used_marks == answers->room_marks) {
                struct mark *marks = with_room(answers->marks, answers->few_marks, answers->used_marks,
                                               (uint64_t)answers->used_marks + 1, sizeof(struct mark),
                                               &answers->room_marks);
                if (marks == NULL) return false;
                answers->marks = marks;
            }
            answers->marks[answers->used_marks++] = (struct mark){decomposed[i], combining_class};
        }
    }
    return answers->used_marks == 0 || add_marks_in_order(answers);
}

/*
 * Counts the unique words of a message again, by their decompositions; what is left of the spellings goes with the words
 * that are left, one by one. Returns false where there is no memory for it.
 */
static bool join_equivalents(struct answers *answers, const uint8_t *message) {
    size_t count = answers->used_words, slots = answers->used_slots, left = 0;
    if (answers->room_spellings < count) {
        struct word *spellings = with_room(answers->spellings, NULL, 0, count, sizeof(struct word),
                                           &answers->room_spellings);
        if (spellings == NULL) return false;
        answers->spellings = spellings;
    }
    memcpy(answers->spellings, answers->words, count * sizeof(struct word));
    answers->is_decomposed = true;
    answers->used_keys = 0;
    clear_words(answers);
    if (slots > FEW_SLOTS && !make_table(answers, slots)) return false;
    for (size_t i = 0; i < count; i++) {
        struct word spelling = answers->spellings[i];
        const uint8_t *word = message + spelling.start;
        size_t start = answers->used_keys;
        if (spelling.length == 0) continue;
        if (!add_decomposed(answers, word, word + spelling.length) || answers->used_keys > UINT32_MAX) return false;
        answers->keys = answers->made_keys;
        answers->readable = answers->used_keys + READABLE;
        if (!count_word(answers, (uint32_t)start, (uint32_t)(answers->used_keys - start), spelling.count)) return false;
        if (answers->used_words > left) answers->spellings[left++] = spelling;
        else answers->used_keys = start;
    }
    return !answers->has_overflowed || sort_and_count(answers);
}

/* Writing */

/* What a reply takes besides its words and counts. */
enum { MOST_OF_A_FRAME = 128 };

/* A word of so many octets is written by copying so many, if they are there to be read. */
enum { SHORT_WORD = 16 };

/* What JSON makes of an octet that it escapes, at the most, as in \u001f. */
enum { MOST_OF_AN_ESCAPE = 6 };

/* The quotation marks of a word, and its count, each with a comma. */
enum { MOST_BESIDES_A_WORD = 3, MOST_OF_A_COUNT = 11 };

static inline uint8_t *write_text(uint8_t *out, const char *text, size_t length) {
    memcpy(out, text, length);
    return out + length;
}
#define WRITE(out, literal) write_text(out, literal, sizeof(literal) - 1)

static inline uint8_t *write_number(uint8_t *out, uint64_t number) {
    size_t digits = 1;
    for (uint64_t left = number; left >= 10; left /= 10) digits++;
    for (size_t i = digits; i > 0; number /= 10) out[--i] = (uint8_t)('0' + number % 10);
    return out + digits;
}

/* RFC 8259, section 7. */
static uint8_t *write_escaped(uint8_t *out, const uint8_t *octets, size_t length) {
    static const char short_escapes[] = "\bb\tt\nn\ff\rr\"\"\\\\";
    for (size_t i = 0; i < length; i++) {
        const char *escape = short_escapes;
        while (*escape != 0 && (uint8_t)*escape != octets[i]) escape += 2;
        if (*escape != 0) {
            *out++ = '\\';
            *out++ = (uint8_t)escape[1];
        } else if (octets[i] < 0x20) {
            out = WRITE(out, "\\u00");
            *out++ = (uint8_t)('0' + (octets[i] >> 4));
            *out++ = (uint8_t)"0123456789abcdef"[octets[i] & 15];
        } else {
            *out++ = octets[i];
        }
    }
    return out;
}

static inline bool is_escaped(uint8_t octet) { return octet < 0x20 || octet == '"' || octet == '\\'; }

static uint64_t room_for_escapes(const struct answers *answers, const uint8_t *message) {
    const struct word *words = answers->is_decomposed ? answers->spellings : answers->words;
    uint64_t room = 0;
    for (size_t i = 0; i < answers->used_words; i++)
        for (uint32_t at = 0; at < words[i].length; at++)
            room += is_escaped(message[words[i].start + at]) ? MOST_OF_AN_ESCAPE - 1 : 0;
    return room;
}

static size_t count_characters(const uint8_t *octets, size_t length) {
    size_t characters = 0;
    for (size_t i = 0; i < length; i++) characters += !is_continuation(octets[i]);
    return characters;
}

/* Writes the reply to a message that has been read; readable octets may be read from its start on. */
static bool write_reply(struct answers *answers, const uint8_t *message, size_t length, size_t readable,
                        size_t word_count, unsigned seen) {
    uint64_t wanted = (uint64_t)answers->used_output + MOST_OF_A_FRAME + SHORT_WORD;
    wanted += length; /* no two words overlap */
    if (seen & ESCAPED) wanted += room_for_escapes(answers, message);
    wanted += (uint64_t)answers->used_words * (MOST_BESIDES_A_WORD + (answers->counts ? MOST_OF_A_COUNT : 0));
    if (wanted > answers->room_output) {
        uint8_t *output = with_room(answers->output, answers->few_octets, answers->used_output, wanted, 1,
                                    &answers->room_output);
        if (output == NULL) return false;
        answers->output = output;
    }
    uint8_t *out = answers->output + answers->used_output;
    out = WRITE(out, "{\"unique_words\":[");
    uint8_t *first = out;
    for (size_t i = 0; i < answers->used_words; i++) {
        struct word word = answers->words[i];
        if (word.length == 0) continue;
        if (answers->is_decomposed) word = answers->spellings[i];
        const uint8_t *octets = message + word.start;
        *out++ = '"';
        if (seen & ESCAPED) {
            out = write_escaped(out, octets, word.length);
        } else {
            if (word.length <= SHORT_WORD && readable - word.start >= SHORT_WORD) memcpy(out, octets, SHORT_WORD);
            else memcpy(out, octets, word.length);
            out += word.length;
        }
        *out++ = '"';
        *out++ = ',';
    }
    out -= out > first; /* the last comma */
    out = WRITE(out, "],\"word_count\":");
    out = write_number(out, word_count);
    out = WRITE(out, ",\"length\":");
    out = write_number(out, seen & BEYOND_ASCII ? count_characters(message, length) : length);
    out = WRITE(out, ",\"bytes\":");
    out = write_number(out, length);
    if (answers->counts) {
        out = WRITE(out, ",\"counts\":[");
        first = out;
        for (size_t i = 0; i < answers->used_words; i++) {
            if (answers->words[i].length == 0) continue;
            out = write_number(out, answers->words[i].count);
            *out++ = ',';
        }
        out -= out > first;
        *out++ = ']';
    }
    *out++ = '}';
    answers->used_output = (size_t)(out - answers->output);
    return true;
}

/* Answering */

/* Has the words of a message, which is ASCII, compared in lower case. */
static bool fold(struct answers *answers, const uint8_t *message, size_t length) {
    if (answers->room_keys < length) {
        uint8_t *keys = with_room(answers->made_keys, NULL, 0, length, 1, &answers->room_keys);
        if (keys == NULL) return false;
        answers->made_keys = keys;
    }
    for (size_t i = 0; i < length; i++)
        answers->made_keys[i] = message[i] >= 'A' && message[i] <= 'Z' ? message[i] | 0x20 : message[i];
    answers->keys = answers->made_keys;
    answers->readable = length;
    return true;
}

static bool is_ascii(const uint8_t *octets, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (octets[i] >= 0x80) return false;
    return true;
}

/* Answers a message, from whose start on readable octets may be read. */
static enum answered answer_message(struct answers *answers, const uint8_t *message, size_t length, size_t readable) {
    if (length > UINT32_MAX) return LEFT_TO_PYTHON;
    answers->message = message;
    answers->length = length;
    answers->keys = message;
    answers->readable = readable;
    answers->is_decomposed = false;
    if (answers->ignore_case) {
        if (!is_ascii(message, length)) return LEFT_TO_PYTHON;
        if (!fold(answers, message, length)) return OUT_OF_MEMORY;
    }
    clear_words(answers);
    const uint8_t *at = message;
    struct piece word;
    unsigned seen = 0;
    size_t word_count = 0;
    enum found found;
    while ((found = next_word(&at, message + length, &word, &seen)) == A_WORD) {
        if (seen & NEEDS_DICTIONARY) return LEFT_TO_PYTHON;
        if (!count_word(answers, (uint32_t)(word.start - message), (uint32_t)(word.end - word.start), 1))
            return OUT_OF_MEMORY;
        word_count++;
    }
    if (found == NOT_UTF_8 || seen & NEEDS_DICTIONARY) return LEFT_TO_PYTHON;
    if (answers->has_overflowed && !sort_and_count(answers)) return OUT_OF_MEMORY;
    /* In text that is in neither normal form, words that differ may be equivalent. */
    bool is_in_one_form = !(seen & OUT_OF_ORDER) && !(seen & NOT_NFC && seen & NOT_NFD);
    if (!is_in_one_form && answers->used_words > 1 && !join_equivalents(answers, message)) return OUT_OF_MEMORY;
    if (answers->used_slots > FEW_SLOTS) clear_table(answers); /* the reply may need its room */
    return write_reply(answers, message, length, readable, word_count, seen) ? ANSWERED : OUT_OF_MEMORY;
}

static bool leave_to_python(struct answers *answers, size_t start, size_t end) {
    if (answers->used_runs > 0) {
        struct run *last = &answers->runs[answers->used_runs - 1];
        if (last->end == start) {
            last->end = end;
            return true;
        }
    }
    if (answers->used_runs == answers->room_runs) {
        struct run *runs = with_room(answers->runs, answers->few_runs, answers->used_runs,
                                     (uint64_t)answers->used_runs + 1, sizeof(struct run), &answers->room_runs);
        if (runs == NULL) return false;
        answers->runs = runs;
    }
    answers->runs[answers->used_runs++] = (struct run){answers->used_output, start, end};
    return true;
}

/* Answers lines, each of which ends with a line feed. Returns false where there is no memory for it. */
static bool answer_whole_lines(struct answers *answers, const uint8_t *lines, size_t length) {
    size_t start = 0;
    while (start < length) {
        const uint8_t *line = lines + start;
        size_t end = (size_t)((const uint8_t *)memchr(line, '\n', length - start) - lines);
        bool has_return = end > start && lines[end - 1] == '\r';
        switch (answer_message(answers, line, end - start - has_return, length - start)) {
        case ANSWERED: /* with room for this */
            if (has_return) answers->output[answers->used_output++] = '\r';
            answers->output[answers->used_output++] = '\n';
            break;
        case LEFT_TO_PYTHON:
            if (!leave_to_python(answers, start, end + 1)) return false;
            break;
        case OUT_OF_MEMORY:
            return false;
        }
        start = end + 1;
    }
    return true;
}

#ifndef WITHOUT_PYTHON

/* A text of so many octets takes long enough for others to have the interpreter meanwhile. */
enum { LONG_TEXT = 16384 };

/* A text and how to answer it, as the functions below are given them. */
struct question {
    const uint8_t *text;
    size_t length;
    bool ignore_case, counts;
    uint64_t seed;
};

static bool parse(PyObject *const *arguments, Py_ssize_t count, struct question *question) {
    char *text;
    Py_ssize_t length;
    int ignore_case, counts;
    if (count != 4) {
        PyErr_SetString(PyExc_TypeError, "takes bytes, ignore_case, counts and seed");
        return false;
    }
    if (PyBytes_AsStringAndSize(arguments[0], &text, &length) < 0) return false;
    if ((ignore_case = PyObject_IsTrue(arguments[1])) < 0) return false;
    if ((counts = PyObject_IsTrue(arguments[2])) < 0) return false;
    uint64_t seed = PyLong_AsUnsignedLongLong(arguments[3]);
    if (seed == UINT64_MAX && PyErr_Occurred()) return false;
    *question = (struct question){(const uint8_t *)text, (size_t)length, ignore_case, counts, seed};
    return true;
}

static PyObject *octets(const uint8_t *start, size_t length) {
    return PyBytes_FromStringAndSize((const char *)start, (Py_ssize_t)length);
}

PyDoc_STRVAR(answer_doc, "answer(message, ignore_case, counts, seed, /)\n--\n\n"
                         "Return the reply to a message, without an ending, or None where it is left to Python.");

static PyObject *answer(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    struct question question;
    struct answers answers;
    enum answered answered;
    (void)module;
    if (!parse(arguments, count, &question)) return NULL;
    begin(&answers, question.ignore_case, question.counts, question.seed);
    PyThreadState *state = question.length >= LONG_TEXT ? PyEval_SaveThread() : NULL;
    answered = answer_message(&answers, question.text, question.length, question.length);
    if (state != NULL) PyEval_RestoreThread(state);
    PyObject *reply;
    switch (answered) {
    case ANSWERED:
        reply = octets(answers.output, answers.used_output);
        break;
    case LEFT_TO_PYTHON:
        reply = Py_NewRef(Py_None);
        break;
    default:
        reply = PyErr_NoMemory();
    }
    finish(&answers);
    return reply;
}

/* The replies, and between them the runs of lines that are left to Python: pairs of replies and the run after them. */
static PyObject *parts_of(const struct answers *answers, const uint8_t *lines) {
    PyObject *parts = PyList_New(0);
    size_t written = 0;
    for (size_t i = 0; parts != NULL && i <= answers->used_runs; i++) {
        static const struct run none;
        bool is_last = i == answers->used_runs;
        const struct run *run = is_last ? &none : &answers->runs[i];
        size_t replies = is_last ? answers->used_output : run->replies;
        PyObject *part = Py_BuildValue("(NN)", octets(answers->output + written, replies - written),
                                       octets(lines + run->start, run->end - run->start));
        written = replies;
        if (part == NULL || PyList_Append(parts, part) < 0) Py_CLEAR(parts);
        Py_XDECREF(part);
    }
    return parts;
}

PyDoc_STRVAR(answer_lines_doc,
             "answer_lines(lines, ignore_case, counts, seed, /)\n--\n\n"
             "Return the replies to whole lines, each with the ending of its line.\n\n"
             "Where some are left to Python it is a list of pairs: replies, and the lines after them that are.");

static PyObject *answer_lines(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    struct question question;
    struct answers answers;
    (void)module;
    if (!parse(arguments, count, &question)) return NULL;
    if (question.length > 0 && question.text[question.length - 1] != '\n') {
        PyErr_SetString(PyExc_ValueError, "lines must end with a line feed");
        return NULL;
    }
    begin(&answers, question.ignore_case, question.counts, question.seed);
    PyThreadState *state = question.length >= LONG_TEXT ? PyEval_SaveThread() : NULL;
    bool is_done = answer_whole_lines(&answers, question.text, question.length);
    if (state != NULL) PyEval_RestoreThread(state);
    PyObject *replies;
    if (!is_done) replies = PyErr_NoMemory();
    else if (answers.used_runs == 0) replies = octets(answers.output, answers.used_output);
    else replies = parts_of(&answers, question.text);
    finish(&answers);
    return replies;
}

PyDoc_STRVAR(pieces_doc, "pieces(text, /)\n--\n\n"
                         "Cut UTF-8 by the default rules alone; return pairs of a piece and whether it is a word.");

static PyObject *pieces(PyObject *module, PyObject *text) {
    char *start;
    Py_ssize_t length;
    (void)module;
    if (PyBytes_AsStringAndSize(text, &start, &length) < 0) return NULL;
    PyObject *found = PyList_New(0);
    struct piece piece = {.start = (const uint8_t *)start};
    const uint8_t *end = piece.start + length;
    for (unsigned seen = 0; found != NULL && piece.start < end; piece.start = piece.end) {
        if (!read_piece(&piece, end, &seen)) {
            PyErr_SetString(PyExc_ValueError, "the text is not UTF-8");
            Py_CLEAR(found);
            break;
        }
        PyObject *pair = Py_BuildValue("(NO)", octets(piece.start, (size_t)(piece.end - piece.start)),
                                       piece.is_word ? Py_True : Py_False);
        if (pair == NULL || PyList_Append(found, pair) < 0) Py_CLEAR(found);
        Py_XDECREF(pair);
    }
    return found;
}

PyDoc_STRVAR(hash_doc, "hash(word, seed, /)\n--\n\nReturn the hash of a word in the table of unique words, for tests.");

static PyObject *hash(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    char *word;
    Py_ssize_t length;
    (void)module;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "takes a word and a seed");
        return NULL;
    }
    if (PyBytes_AsStringAndSize(arguments[0], &word, &length) < 0) return NULL;
    uint64_t seed = PyLong_AsUnsignedLongLong(arguments[1]);
    if (seed == UINT64_MAX && PyErr_Occurred()) return NULL;
    if (length == 0) return PyLong_FromLong(0);
    return PyLong_FromUnsignedLongLong(hash_of((const uint8_t *)word, (size_t)length, (size_t)length, seed));
}

static PyMethodDef methods[] = {
    {"answer", (PyCFunction)(void (*)(void))answer, METH_FASTCALL, answer_doc},
    {"answer_lines", (PyCFunction)(void (*)(void))answer_lines, METH_FASTCALL, answer_lines_doc},
    {"pieces", pieces, METH_O, pieces_doc},
    {"hash", (PyCFunction)(void (*)(void))hash, METH_FASTCALL, hash_doc},
    {NULL, NULL, 0, NULL},
};

static int execute(PyObject *module) {
    return PyModule_AddStringConstant(module, "UNICODE_VERSION", UNICODE_VERSION);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)execute},
#ifdef Py_GIL_DISABLED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "wordecho._native",
    .m_doc = "The native kernel: replies to whole lines in one pass, with no object of Python's for a message or a word.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&definition); }

#endif
