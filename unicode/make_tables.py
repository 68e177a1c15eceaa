"""
Makes the tables of both engines from Unicode's own files, which lie in the folder beside this script.

It writes ``wordecho/native/tables.h`` and ``wordecho/text/characters.py``; in the project's folder::

    python unicode/make_tables.py
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import accumulate, groupby
from pathlib import Path
from typing import NamedTuple

VERSION = "17.0.0"
HERE = Path(__file__).parent
FILES = HERE / "17.0"
PACKAGE = HERE.parent / "wordecho"

BLOCK = 64  # as many characters as the last octet of UTF-8 tells apart

# All characters from here on are alike, but for the tags and variation selectors in plane 14. The tables end here, and
# those follow.
END_OF_LETTERS = 0x34000
PLANE_14, END_OF_PLANE_14 = 0xE0000, 0xE0200

# The values of Word_Break, UAX #29, table 3, in the order of the kernel's classes. Those that are Extended_Pictographic
# besides are a class of their own.
WORD_BREAK = [
    "Other",
    "CR",
    "LF",
    "Newline",
    "Extend",
    "Format",
    "ZWJ",
    "WSegSpace",
    "Regional_Indicator",
    "Katakana",
    "Hebrew_Letter",
    "ALetter",
    "Single_Quote",
    "Double_Quote",
    "MidNumLet",
    "MidLetter",
    "MidNum",
    "Numeric",
    "ExtendNumLet",
]
PICTOGRAPHIC = ["Other", "ALetter"]
CLASSES = [*map(str.upper, WORD_BREAK), *(f"PICTOGRAPHIC_{name.upper()}" for name in PICTOGRAPHIC)]

Codes = dict[int, str]  # the value that a property has for code points, where it is not the default


class Record(NamedTuple):
    """What the kernel has to know of a character."""

    class_name: str
    is_letter_or_digit: bool
    needs_dictionary: bool
    is_in_no_nfc: bool
    is_in_no_nfd: bool
    combining_class: int

    def __str__(self) -> str:
        flags = [
            name
            for name, holds in {
                "LETTER_OR_DIGIT": self.is_letter_or_digit,
                "NEEDS_DICTIONARY": self.needs_dictionary,
                "NOT_NFC": self.is_in_no_nfc,
                "NOT_NFD": self.is_in_no_nfd,
            }.items()
            if holds
        ]
        return f"{{{self.class_name}, {' | '.join(flags) or '0'}, {self.combining_class}}}"


def rows(name: str) -> Iterator[list[str]]:
    """Yield the fields of each line of the file ``name``."""
    for line in (FILES / name).read_text("utf-8").splitlines():
        if fields := line.partition("#")[0].strip():
            yield [field.strip() for field in fields.split(";")]


@cache
def property_of(name: str, *path: str) -> Codes:
    """
    Return the property that the file ``name`` has for code points.

    :param path: what the fields before the value are, where the file has several properties
    """
    values: Codes = {}
    for codes, *fields in rows(name):
        if tuple(fields[: len(path)]) == path:
            first, _, last = codes.partition("..")
            for code in range(int(first, 16), int(last or first, 16) + 1):
                values[code] = fields[len(path)] if len(fields) > len(path) else "Yes"
    return values


def unicode_data() -> Iterator[tuple[int, str, int]]:
    """Yield each assigned code point with its General_Category and its Canonical_Combining_Class."""
    first = 0
    for code, name, category, combining_class, *_ in rows("UnicodeData.txt"):
        number = int(code, 16)
        if name.endswith(", First>"):
            first = number
            continue
        for each in range(first if name.endswith(", Last>") else number, number + 1):
            yield each, category, int(combining_class)


def dictionary_characters() -> set[int]:
    """
    Return the characters whose words only a dictionary finds.

    Line_Break=SA are the scripts of South-East Asia that UAX #29 leaves to one, besides Han and the two kana; marks of
    kana that other scripts use too (the Katakana of Word_Break) are cut with the kana beside them.
    """
    word_break, script = property_of("WordBreakProperty.txt"), property_of("Scripts.txt")
    return {
        *(code for code, value in property_of("LineBreak.txt").items() if value == "SA"),
        *(code for code, value in script.items() if value in ("Han", "Hiragana", "Katakana")),
        *(code for code, value in word_break.items() if value == "Katakana"),
    }


def decompositions() -> dict[int, list[int]]:
    """Return the canonical decomposition of each character that has one, Hangul excepted: there it is arithmetic."""
    mapped = {
        int(code, 16): [int(each, 16) for each in mapping.split()]
        for code, _, _, _, _, mapping, *_ in rows("UnicodeData.txt")
        if mapping and not mapping.startswith("<")
    }

    def decompose(code: int) -> list[int]:
        return [part for each in mapped[code] for part in decompose(each)] if code in mapped else [code]

    return {code: decompose(code) for code in mapped}


def foldings() -> dict[int, list[int]]:
    """Return the full case folding of each character that has one."""
    return {
        int(code, 16): [int(each, 16) for each in mapping.split()]
        for code, status, mapping, *_ in rows("CaseFolding.txt")
        if status in ("C", "F")
    }


def combining() -> set[int]:
    """
    Return the characters that a normal form may join to what comes before them, or move before it, Hangul excepted.

    They are those of another combining class than 0, or whose decomposition begins with one, or that NFC may compose.
    """
    script = property_of("Scripts.txt")
    classes = {code: combining_class for code, _, combining_class in unicode_data()}
    return {
        *(code for code, combining_class in classes.items() if combining_class),
        *(code for code, parts in decompositions().items() if classes[parts[0]]),
        *(
            code
            for code, value in property_of("DerivedNormalizationProps.txt", "NFC_QC").items()
            if value == "M" and script[code] != "Hangul"
        ),
    }


@cache
def records() -> list[Record]:
    """Return what there is to know of each code point."""
    word_break = property_of("WordBreakProperty.txt")
    pictographic = property_of("emoji-data.txt", "Extended_Pictographic")
    alphabetic = property_of("DerivedCoreProperties.txt", "Alphabetic")
    nfc = property_of("DerivedNormalizationProps.txt", "NFC_QC")
    nfd = property_of("DerivedNormalizationProps.txt", "NFD_QC")
    in_dictionary = dictionary_characters()
    category = dict.fromkeys(range(0x110000), "Cn")
    combining_class = dict.fromkeys(range(0x110000), 0)
    for code, its_category, its_class in unicode_data():
        category[code], combining_class[code] = its_category, its_class

    class_name = {code: name.upper() for code, name in word_break.items()}
    class_name |= {code: f"PICTOGRAPHIC_{class_name.get(code, 'OTHER')}" for code in pictographic}
    record = cache(Record)  # few are distinct
    return [
        record(
            class_name.get(code, "OTHER"),
            category[code][0] == "N" or (code in alphabetic and category[code][0] != "M"),
            code in in_dictionary,
            code in nfc,
            code in nfd,
            combining_class[code],
        )
        for code in range(0x110000)
    ]


def numbers(name: str, kind: str, values: list[int]) -> str:
    """Return the C array ``name`` of ``values``, in lines that are not too long."""
    lines, line = [], ""
    for value in values:
        if len(line) > 112:
            lines.append(line)
            line = ""
        line += f"{value},"
    return "\n".join([f"static const {kind} {name}[{len(values)}] = {{", *lines, line, "};"])


def header() -> str:
    """Return the text of the header."""
    found = records()
    rest = found[END_OF_LETTERS]
    if any(record != rest for record in [*found[END_OF_LETTERS:PLANE_14], *found[END_OF_PLANE_14:]]):
        raise ValueError("characters beyond the end of the tables differ")
    found = [*found[:END_OF_LETTERS], *found[PLANE_14:END_OF_PLANE_14]]
    # The kernel takes it that a piece never begins with a mark that could be out of order.
    if wrong := {each.class_name for each in found if each.combining_class} - {"EXTEND", "FORMAT", "ZWJ"}:
        raise ValueError(f"there are marks among {wrong}")
    if unknown := {record.class_name for record in found} - set(CLASSES):
        raise ValueError(f"the kernel has no class for {unknown}")
    # The commonest have the shortest numbers.
    distinct = [record for record, _ in Counter(found).most_common()]
    number = {record: each for each, record in enumerate(distinct)}
    blocks: dict[tuple[int, ...], int] = {}
    stage_1 = [
        blocks.setdefault(tuple(number[record] for record in found[start : start + BLOCK]), len(blocks))
        for start in range(0, len(found), BLOCK)
    ]
    stage_2 = [each for block in blocks for each in block]
    classes = "\n".join(f"    {name}," for name in CLASSES)
    return "\n".join(
        [
            "/* Made by unicode/make_tables.py from files of Unicode, whose notice is in unicode/17.0/LICENSE. */",
            f'#define UNICODE_VERSION "{VERSION}"',
            f"#define END_OF_LETTERS {END_OF_LETTERS:#x}",
            f"#define PLANE_14 {PLANE_14:#x}",
            f"#define END_OF_PLANE_14 {END_OF_PLANE_14:#x}",
            f"#define UNASSIGNED {number[rest]}",
            "",
            f"enum character_class {{\n{classes}\n    CLASSES\n}};",
            "",
            "enum { LETTER_OR_DIGIT = 1, NEEDS_DICTIONARY = 2, NOT_NFC = 4, NOT_NFD = 8 };",
            "",
            "struct character {\n    uint8_t class, facts, combining_class;\n};",
            "",
            f"static const struct character characters[{len(distinct)}] = {{",
            *(f"    {record}," for record in distinct),
            "};",
            "",
            numbers("stage_1", "uint16_t", stage_1),
            "",
            numbers("stage_2", "uint8_t", stage_2),
            "",
            *decomposition_tables(),
            "",
        ]
    )


def decomposition_tables() -> Iterator[str]:
    """Yield the C arrays of the characters that have a canonical decomposition and need no dictionary, in order."""
    in_dictionary = dictionary_characters()
    found = {code: parts for code, parts in sorted(decompositions().items()) if code not in in_dictionary}
    yield f"#define MOST_PARTS {max(map(len, found.values()))}"
    yield ""
    yield numbers("decomposable", "uint32_t", list(found))
    yield ""
    yield numbers("parts_end", "uint16_t", list(accumulate(map(len, found.values()))))
    yield ""
    yield numbers("parts", "uint32_t", [part for parts in found.values() for part in parts])


def escape(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def spans(codes: Iterable[int]) -> Iterator[str]:
    """Yield ``codes`` as the spans of a character class, in order."""
    for _, group in groupby(enumerate(sorted(codes)), key=lambda pair: pair[1] - pair[0]):
        span = [code for _, code in group]
        yield escape(span[0]) if len(span) == 1 else f"{escape(span[0])}-{escape(span[-1])}"


def mappings(table: dict[int, list[int]]) -> Iterator[str]:
    """Yield each character of ``table`` with what it is mapped to after it, and a space."""
    for code, mapped in table.items():
        yield "".join(map(escape, [code, *mapped])) + " "


def combining_classes() -> Iterator[str]:
    """Yield each combining class with the characters that have it, and a space."""
    members: dict[int, list[int]] = {}
    for code, _, combining_class in unicode_data():
        members.setdefault(combining_class, []).append(code)
    del members[0]
    for combining_class, codes in sorted(members.items()):
        yield f"{combining_class}="
        yield from map(escape, codes)
        yield " "


def string(name: str, meaning: str, parts: Iterable[str]) -> str:
    """Return the Python string ``name`` of ``parts``, in lines that are not too long."""
    lines, line = [], ""
    for part in parts:
        if len(line) + len(part) > 110:
            lines.append(line)
            line = ""
        line += part
    text = "\n".join(f'    "{line}"' for line in [*lines, line])
    return f'{name} = (\n{text}\n)\n"""{meaning}"""\n'


def module() -> str:
    """Return the text of the Python module."""
    found = records()
    return "\n".join(
        [
            '"""',
            "What the Python engine knows of characters; sets of them are the insides of regular expressions' classes.",
            "",
            "Made by unicode/make_tables.py from files of Unicode, whose notice is in unicode/17.0/LICENSE.",
            '"""',
            "",
            f'UNICODE_VERSION = "{VERSION}"',
            "",
            string(
                "LETTERS_AND_DIGITS",
                "Those with the property Alphabetic, marks excepted, and those of General Category N, up to U+FFFF.",
                spans(code for code, record in enumerate(found[:0x10000]) if record.is_letter_or_digit),
            ),
            string(
                "SUPPLEMENTARY_LETTERS_AND_DIGITS",
                "Likewise from U+10000 on.",
                spans(code for code, record in enumerate(found) if record.is_letter_or_digit and code >= 0x10000),
            ),
            string(
                "DICTIONARY_CHARACTERS",
                "Those whose words only a dictionary finds.",
                spans(code for code, record in enumerate(found) if record.needs_dictionary),
            ),
            string(
                "COMBINING",
                "Those that a normal form may join to what comes before them, or move before it, Hangul excepted.",
                spans(combining()),
            ),
            string(
                "COMBINING_CLASSES",
                "Each Canonical_Combining_Class but 0, an equals sign, the characters that have it, and a space.",
                combining_classes(),
            ),
            string(
                "DECOMPOSITIONS",
                "Each character that has a canonical decomposition, Hangul excepted, with that after it, and a space.",
                mappings(decompositions()),
            ),
            string(
                "FOLDINGS",
                "Each character that has a full case folding, with that after it, and a space.",
                mappings(foldings()),
            ),
        ]
    )


FILES_MADE = {PACKAGE / "native" / "tables.h": header, PACKAGE / "text" / "characters.py": module}

if __name__ == "__main__":
    for path, make in FILES_MADE.items():
        path.write_text(make())
