/*
 * Where the words of a text are: the default word boundaries of Unicode Standard Annex #29, section 4.1, over UTF-8.
 *
 * The rules are a table of states: the state is what the piece that is being read ends with, as far as the next
 * character's fate depends on it. A text is read from its start to its end, no character more than three times, and
 * nothing is kept of it.
 *
 * A text is followed by a line feed, a carriage return or a NUL that is not in it, which spares looking for its end
 * within a character or a word of ASCII.
 */
#ifndef WORDECHO_WORDS_H
#define WORDECHO_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tables.h"

/*
 * What else is seen of a text besides the facts of its characters: it is not all ASCII; its marks are out of order; a
 * word of it has to be escaped in JSON. A text whose characters are all in NFC, or all in NFD, is in that form if its marks are in order
 * (UAX #15, section 9).
 */
enum { BEYOND_ASCII = 16, OUT_OF_ORDER = 32, ESCAPED = 64 };

struct piece {
    const uint8_t *start, *end;
    bool is_word; /* it has a letter or a digit in it */
};

enum state {
    BOUNDARY, /* there is one before the character */
    AFTER_OTHER,
    AFTER_CR,
    AFTER_NEWLINE,
    AFTER_SPACE,
    AFTER_REGIONAL_INDICATOR, /* an odd number of them */
    AFTER_KATAKANA,
    AFTER_HEBREW_LETTER,
    AFTER_LETTER,
    AFTER_NUMERIC,
    AFTER_EXTENDNUMLET,
    AFTER_HEBREW_LETTER_AND_QUOTE,
    /* In these the boundary is before the last character but marks, unless the next character is of the right kind. */
    UNDECIDED,
    IN_LETTERS = UNDECIDED, /* between two letters */
    IN_HEBREW_LETTERS,
    IN_NUMBER,
    STATES
};

/* The first character of a piece. */
static const uint8_t first_state[CLASSES] = {
    [OTHER] = AFTER_OTHER,
    [CR] = AFTER_CR,
    [LF] = AFTER_NEWLINE,
    [NEWLINE] = AFTER_NEWLINE,
    [EXTEND] = AFTER_OTHER,
    [FORMAT] = AFTER_OTHER,
    [ZWJ] = AFTER_OTHER,
    [WSEGSPACE] = AFTER_SPACE,
    [REGIONAL_INDICATOR] = AFTER_REGIONAL_INDICATOR,
    [KATAKANA] = AFTER_KATAKANA,
    [HEBREW_LETTER] = AFTER_HEBREW_LETTER,
    [ALETTER] = AFTER_LETTER,
    [SINGLE_QUOTE] = AFTER_OTHER,
    [DOUBLE_QUOTE] = AFTER_OTHER,
    [MIDNUMLET] = AFTER_OTHER,
    [MIDLETTER] = AFTER_OTHER,
    [MIDNUM] = AFTER_OTHER,
    [NUMERIC] = AFTER_NUMERIC,
    [EXTENDNUMLET] = AFTER_EXTENDNUMLET,
    [PICTOGRAPHIC_OTHER] = AFTER_OTHER,
    [PICTOGRAPHIC_ALETTER] = AFTER_LETTER,
};

/* WB4: marks, format characters and joiners belong to what they follow, and change nothing. */
#define MARKS(state) [EXTEND] = state, [FORMAT] = state, [ZWJ] = state
#define LETTERS [HEBREW_LETTER] = AFTER_HEBREW_LETTER, [ALETTER] = AFTER_LETTER, [PICTOGRAPHIC_ALETTER] = AFTER_LETTER

/* The next character of a piece; where there is nothing, WB999: a boundary. */
static const uint8_t next_state[STATES][CLASSES] = {
    [AFTER_OTHER] = {MARKS(AFTER_OTHER)},
    [AFTER_CR] = {[LF] = AFTER_NEWLINE},                                    /* WB3 */
    [AFTER_NEWLINE] = {0},                                                  /* WB3a */
    [AFTER_SPACE] = {MARKS(AFTER_OTHER), [WSEGSPACE] = AFTER_SPACE},        /* WB3d */
    [AFTER_REGIONAL_INDICATOR] = {MARKS(AFTER_REGIONAL_INDICATOR),
                                  [REGIONAL_INDICATOR] = AFTER_OTHER},      /* WB15, WB16 */
    [AFTER_KATAKANA] = {MARKS(AFTER_KATAKANA), [KATAKANA] = AFTER_KATAKANA, /* WB13 */
                        [EXTENDNUMLET] = AFTER_EXTENDNUMLET},               /* WB13a */
    [AFTER_LETTER] = {MARKS(AFTER_LETTER), LETTERS,                         /* WB5 */
                      [MIDLETTER] = IN_LETTERS,                             /* WB6, WB7 */
                      [MIDNUMLET] = IN_LETTERS,
                      [SINGLE_QUOTE] = IN_LETTERS,
                      [NUMERIC] = AFTER_NUMERIC,                            /* WB9 */
                      [EXTENDNUMLET] = AFTER_EXTENDNUMLET},                 /* WB13a */
    [AFTER_HEBREW_LETTER] = {MARKS(AFTER_HEBREW_LETTER), LETTERS,           /* WB5 */
                             [MIDLETTER] = IN_LETTERS,                      /* WB6, WB7 */
                             [MIDNUMLET] = IN_LETTERS,
                             [SINGLE_QUOTE] = AFTER_HEBREW_LETTER_AND_QUOTE, /* WB7a */
                             [DOUBLE_QUOTE] = IN_HEBREW_LETTERS,            /* WB7b, WB7c */
                             [NUMERIC] = AFTER_NUMERIC,                     /* WB9 */
                             [EXTENDNUMLET] = AFTER_EXTENDNUMLET},          /* WB13a */
    [AFTER_HEBREW_LETTER_AND_QUOTE] = {MARKS(AFTER_HEBREW_LETTER_AND_QUOTE), LETTERS},
    [IN_LETTERS] = {MARKS(IN_LETTERS), LETTERS},
    [IN_HEBREW_LETTERS] = {MARKS(IN_HEBREW_LETTERS), [HEBREW_LETTER] = AFTER_HEBREW_LETTER},
    [AFTER_NUMERIC] = {MARKS(AFTER_NUMERIC), LETTERS,                       /* WB10 */
                       [NUMERIC] = AFTER_NUMERIC,                           /* WB8 */
                       [MIDNUM] = IN_NUMBER,                                /* WB11, WB12 */
                       [MIDNUMLET] = IN_NUMBER,
                       [SINGLE_QUOTE] = IN_NUMBER,
                       [EXTENDNUMLET] = AFTER_EXTENDNUMLET},                /* WB13a */
    [IN_NUMBER] = {MARKS(IN_NUMBER), [NUMERIC] = AFTER_NUMERIC},
    [AFTER_EXTENDNUMLET] = {MARKS(AFTER_EXTENDNUMLET), LETTERS,             /* WB13b */
                            [NUMERIC] = AFTER_NUMERIC,
                            [KATAKANA] = AFTER_KATAKANA,
                            [EXTENDNUMLET] = AFTER_EXTENDNUMLET},           /* WB13a */
};

#undef MARKS
#undef LETTERS

static inline bool is_continuation(uint8_t octet) { return (octet & 0xC0) == 0x80; }

/*
 * Decodes the character at *at and moves *at behind it.
 *
 * Returns its code point, or -1 where there is none in well-formed UTF-8 (The Unicode Standard, table 3-7).
 */
static inline int32_t decode(const uint8_t **at) {
    const uint8_t *octets = *at;
    uint8_t lead = octets[0];
    if (lead < 0x80) {
        *at += 1;
        return lead;
    }
    if (lead < 0xE0) {
        if (lead < 0xC2 || !is_continuation(octets[1])) return -1;
        *at += 2;
        return (lead & 0x1F) << 6 | (octets[1] & 0x3F);
    }
    if (lead < 0xF0) {
        if (!is_continuation(octets[1]) || !is_continuation(octets[2])) return -1;
        int32_t code = (lead & 0x0F) << 12 | (octets[1] & 0x3F) << 6 | (octets[2] & 0x3F);
        if (code < 0x800 || (code >= 0xD800 && code < 0xE000)) return -1;
        *at += 3;
        return code;
    }
    if (!is_continuation(octets[1]) || !is_continuation(octets[2]) || !is_continuation(octets[3])) return -1;
    int32_t code = (lead & 0x07) << 18 | (octets[1] & 0x3F) << 12 | (octets[2] & 0x3F) << 6 | (octets[3] & 0x3F);
    if (lead > 0xF4 || code < 0x10000 || code > 0x10FFFF) return -1;
    *at += 4;
    return code;
}

static inline const struct character *character(int32_t code) {
    if (code >= END_OF_LETTERS) {
        if (code < PLANE_14 || code >= END_OF_PLANE_14) return &characters[UNASSIGNED];
        code -= PLANE_14 - END_OF_LETTERS;
    }
    return &characters[stage_2[stage_1[code >> 6] << 6 | (code & 0x3F)]];
}

/*
 * Writes the canonical decomposition of a character that needs no dictionary (UAX #15; The Unicode Standard, section
 * 3.12, for Hangul) to parts, and returns how many characters it has.
 */
static inline size_t decompose(int32_t code, int32_t decomposed[MOST_PARTS]) {
    if (code >= 0xAC00 && code < 0xAC00 + 11172) {
        int32_t syllable = code - 0xAC00, trailing = syllable % 28;
        decomposed[0] = 0x1100 + syllable / (21 * 28);
        decomposed[1] = 0x1161 + syllable % (21 * 28) / 28;
        if (trailing == 0) return 2;
        decomposed[2] = 0x11A7 + trailing;
        return 3;
    }
    /* A binary search without a branch that could be mispredicted. */
    const uint32_t *found = decomposable;
    for (size_t left = sizeof(decomposable) / sizeof(*decomposable); left > 1; left -= left / 2)
        found += (found[left / 2 - 1] < (uint32_t)code) * (left / 2);
    if (*found != (uint32_t)code) {
        decomposed[0] = code;
        return 1;
    }
    size_t at = (size_t)(found - decomposable), start = at == 0 ? 0 : parts_end[at - 1], count = parts_end[at] - start;
    for (size_t i = 0; i < count; i++) decomposed[i] = (int32_t)parts[start + i];
    return count;
}

/*
 * Finds the end of the piece that starts at piece->start, and adds what is seen of it to *seen.
 *
 * Returns false where the next character is not UTF-8.
 */
static inline bool read_piece(struct piece *piece, const uint8_t *end_of_text, unsigned *seen) {
    const uint8_t *at = piece->start, *undecided_at = NULL;
    unsigned state = BOUNDARY, facts = 0, undecided_facts = 0;
    uint8_t last_class = OTHER, last_combining_class = 0; /* only what is no mark has another character before it */
    while (at < end_of_text) {
        const uint8_t *after = at;
        int32_t code = decode(&after);
        if (code < 0) return false;
        const struct character *read = character(code);
        unsigned next;
        if (state == BOUNDARY) {
            next = first_state[read->class];
        } else {
            next = next_state[state][read->class];
            if (next == BOUNDARY && last_class == ZWJ && state < UNDECIDED &&
                (read->class == PICTOGRAPHIC_OTHER || read->class == PICTOGRAPHIC_ALETTER))
                next = first_state[read->class]; /* WB3c */
            if (next == BOUNDARY) break;
            if (next >= UNDECIDED && state < UNDECIDED) {
                undecided_at = at;
                undecided_facts = facts;
            }
        }
        facts |= read->facts;
        if (code >= 0x80) facts |= BEYOND_ASCII;
        else if (code < 0x20 || code == '"' || code == '\\') facts |= ESCAPED;
        if (read->combining_class != 0 && read->combining_class < last_combining_class) facts |= OUT_OF_ORDER;
        last_combining_class = read->combining_class;
        last_class = read->class;
        state = next;
        at = after;
    }
    if (state >= UNDECIDED) {
        at = undecided_at;
        facts = undecided_facts;
    }
    piece->end = at;
    piece->is_word = facts & LETTER_OR_DIGIT;
    *seen |= piece->is_word ? facts : facts & ~(unsigned)ESCAPED;
    return true;
}

/* What an octet is to a word of ASCII. */
enum {
    LETTER = 1,
    DIGIT = 2,
    LOW_LINE = 4,
    IN_WORD = LETTER | DIGIT | LOW_LINE,
    NOT_ASCII = 8,
    JOINS_LETTERS = 16,
    JOINS_DIGITS = 32
};

/* clang-format off */
#define L LETTER
#define D DIGIT
#define X NOT_ASCII, NOT_ASCII, NOT_ASCII, NOT_ASCII, NOT_ASCII, NOT_ASCII, NOT_ASCII, NOT_ASCII
static const uint8_t kinds[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, JOINS_LETTERS | JOINS_DIGITS /* ' */,
    0, 0, 0, 0, JOINS_DIGITS /* , */, 0, JOINS_LETTERS | JOINS_DIGITS /* . */, 0,
    D, D, D, D, D, D, D, D, D, D, JOINS_LETTERS /* : */, JOINS_DIGITS /* ; */, 0, 0, 0, 0,
    0, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, 0, 0, 0, 0, LOW_LINE,
    0, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, 0, 0, 0, 0, 0,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
};
#undef X
#undef D
#undef L
/* clang-format on */

enum found { A_WORD, NO_MORE, NOT_UTF_8 };

/*
 * Finds the next word from *at on, moves *at behind it, and adds to *seen what is seen on the way.
 *
 * Words of ASCII are found here by the same rules, for less: between two characters of ASCII nothing but letters,
 * digits and low lines, and what may stand between two letters or two digits, is without a boundary.
 */
static inline enum found next_word(const uint8_t **at, const uint8_t *end_of_text, struct piece *word, unsigned *seen) {
    const uint8_t *here = *at;
    while (here < end_of_text) {
        unsigned kind = kinds[*here];
        word->start = here;
        if (!(kind & (IN_WORD | NOT_ASCII))) {
            const uint8_t *last = here;
            while (*last == ' ' && last[1] == ' ') last++; /* WB3d */
            if (last[1] < 0x80) {
                here = last + 1;
                continue;
            }
        }
        if (kind & IN_WORD) {
            unsigned kinds_in_word = 0, last;
            do {
                do {
                    kinds_in_word |= last = kind;
                    kind = kinds[*++here];
                } while (kind & IN_WORD);
                if (kind & JOINS_LETTERS && last & kinds[here[1]] & LETTER) kind = LETTER;
                else if (kind & JOINS_DIGITS && last & kinds[here[1]] & DIGIT) kind = DIGIT;
                else if (kind & (JOINS_LETTERS | JOINS_DIGITS)) kind |= kinds[here[1]] & NOT_ASCII;
            } while (kind & IN_WORD);
            if (!(kind & NOT_ASCII)) {
                if (!(kinds_in_word & (LETTER | DIGIT))) continue;
                word->end = *at = here;
                return A_WORD;
            }
        }
        if (!read_piece(word, end_of_text, seen)) return NOT_UTF_8;
        here = word->end;
        if (word->is_word) {
            *at = here;
            return A_WORD;
        }
    }
    return NO_MORE;
}

#endif
