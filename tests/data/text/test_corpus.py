"""Corpora: which files hold which part, what is refused, and that parts come out as they were written."""

import io
import tarfile
import zipfile

import pytest
import torch

from archgrad.data.text import Corpus, Vocabulary, grammar_text, load_text, violations

TEXTS = {"train": "the cat\nthe dog\n", "valid": "a cat\n", "test": "the bird\n\n"}


def fill(folder, names):
    folder.mkdir(exist_ok=True)
    for name, text in names.items():
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def named(pattern):
    return {pattern.format(part): text for part, text in TEXTS.items()}


def pack(path, names):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in names.items():
                archive.writestr(name, text)
    else:
        with tarfile.open(path, f"w:{path.suffix[1:]}".replace("tar", "")) as archive:
            for name, text in names.items():
                member = tarfile.TarInfo(name)
                member.size = len(text.encode())
                archive.addfile(member, io.BytesIO(text.encode()))
    return path


def parts(corpus):
    decode = corpus.vocabulary.decode
    return decode(corpus.train), decode(corpus.validation), decode(corpus.test)


READ = ("the cat\nthe dog\n", "<unk> cat\n", "the <unk>\n\n")


@pytest.mark.parametrize("pattern", ["ptb.{}.txt", "wiki.{}.tokens", "{}.txt", "my-{}_01.raw", "{}", "PTB.{}.TXT"])
def test_folders(tmp_path, pattern):
    corpus = load_text(fill(tmp_path / "mine", {**named(pattern), "README.md": "latest evaluation", ".train": "x"}))
    assert parts(corpus) == READ
    assert corpus.name == "mine"
    assert corpus.vocabulary.tokens == ("<eos>", "the", "cat", "dog", "<unk>")
    assert corpus.unknown_shares == {"train": 0, "validation": 1 / 3, "test": 1 / 4}


@pytest.mark.parametrize(
    "names", [("training", "validation", "testing"), ("train", "dev", "test"), ("train", "val", "test")]
)
def test_names_of_the_parts(tmp_path, names):
    files = {f"{name}.txt": text for name, text in zip(names, TEXTS.values(), strict=True)}
    assert parts(load_text(fill(tmp_path / "mine", files))) == READ


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tar.xz", ".tar.bz2"])
@pytest.mark.parametrize("folder", ["", "deep/er/"])
def test_archives_are_read_without_being_unpacked(tmp_path, suffix, folder):
    names = {f"{folder}{name}": text for name, text in named("wiki.{}.tokens").items()}
    archive = pack(tmp_path / f"mine{suffix}", {**names, "__MACOSX/._wiki.train.tokens": "x"})
    corpus = load_text(str(archive))
    assert parts(corpus) == READ
    assert corpus.name == "mine"
    assert list(tmp_path.iterdir()) == [archive]


@pytest.mark.parametrize("count", [10, 11, 25, 99])
def test_one_file_is_split_by_lines_in_order(tmp_path, count):
    lines = [f"w{number}\n" for number in range(count)]
    (tmp_path / "mine.txt").write_text("".join(lines))
    corpus = load_text(tmp_path / "mine.txt", level="character")
    vocabulary = Vocabulary.build("".join(lines), "character")
    texts = parts(load_text(tmp_path / "mine.txt", level="character", vocabulary=vocabulary))
    assert "".join(texts) == "".join(lines)
    assert [text.count("\n") for text in texts] == [count * 8 // 10, count * 9 // 10 - count * 8 // 10, -(-count // 10)]
    assert corpus.name == "mine"


def test_byte_order_marks_and_carriage_returns_leave_no_trace(tmp_path):
    plain = fill(tmp_path / "plain", named("{}.txt"))
    other = {name: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() for name, text in named("{}.txt").items()}
    other = fill(tmp_path / "other", other)
    for level in ("word", "character"):
        first, second = load_text(plain, level=level), load_text(other, level=level)
        assert first.vocabulary == second.vocabulary
        assert parts(first) == parts(second)


def test_a_given_vocabulary_is_used(tmp_path):
    folder = fill(tmp_path / "mine", named("{}.txt"))
    vocabulary = Vocabulary.build("the bird\n")
    corpus = load_text(folder, vocabulary=vocabulary)
    assert corpus.vocabulary is vocabulary
    assert parts(corpus) == ("the <unk>\nthe <unk>\n", "<unk> <unk>\n", "the bird\n\n")


def test_the_size_of_the_vocabulary(tmp_path):
    folder = fill(tmp_path / "mine", named("{}.txt"))
    assert load_text(folder, vocabulary_size=3).vocabulary.tokens == ("<eos>", "<unk>", "the")
    assert load_text(folder, minimum_count=2).vocabulary.tokens == ("<eos>", "<unk>", "the")


@pytest.mark.parametrize("limit", [2, 15, 100])
def test_limits_keep_the_beginning_and_the_vocabulary(tmp_path, limit):
    texts = {f"{part}.txt": grammar_text(300, seed=seed) for seed, part in enumerate(TEXTS)}
    folder = fill(tmp_path / "mine", texts)
    whole, limited = load_text(folder), load_text(folder, limit=limit)
    few = max(-(-limit // 10), 2)
    assert torch.equal(limited.train, whole.train[:limit])
    assert torch.equal(limited.validation, whole.validation[:few])
    assert torch.equal(limited.test, whole.test[:few])
    assert limited.vocabulary == whole.vocabulary


def test_the_embedded_corpus():
    words, characters = load_text("grammar"), load_text("grammar", level="character", seed=1)
    assert [len(part) // 1000 for part in (words.train, words.validation, words.test)] == [100, 10, 10]
    assert max(words.unknown_shares.values()) == 0
    assert len(characters.vocabulary) < 45 < 150 < len(words.vocabulary)
    texts = (*parts(words), *parts(characters))
    assert len({text[:2000] for text in texts}) == 6
    assert not any(violations(line) for text in texts for line in text.splitlines()[:200])


def test_a_missing_source_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="source: 'grammer' is neither 'grammar' nor a file or folder"):
        load_text("grammer")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.txt"):
        load_text(tmp_path / "nowhere.txt")


def test_missing_parts_are_named_with_what_is_there(tmp_path):
    folder = fill(tmp_path / "mine", {"train.txt": "a", "test.txt": "a", "latest.txt": "a"})
    with pytest.raises(
        ValueError, match=r"no file for the validation part; .* valid, .*found: latest.txt, test.txt, train.txt\."
    ):
        load_text(folder)
    with pytest.raises(ValueError, match=r"no file for the training part; .*found: no files"):
        load_text(fill(tmp_path / "empty", {}))
    many = fill(tmp_path / "many", {f"{number}.jpg": "a" for number in range(13)})
    with pytest.raises(ValueError, match="and 3 more"):
        load_text(many)
    with pytest.raises(ValueError, match="no file for the training part"):
        load_text(pack(tmp_path / "mine.zip", {"test.txt": "a"}))


def test_several_corpora_in_a_folder_are_ambiguous(tmp_path):
    folder = fill(tmp_path / "mine", {**named("ptb.{}.txt"), **named("wiki.{}.tokens")})
    with pytest.raises(ValueError, match=r"has 2 files for the training part, ptb.train.txt, wiki.train.tokens"):
        load_text(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"test.txt: is empty"),
        (b" \n\t\r\n", r"test.txt: has nothing but whitespace"),
        (b"\xef\xbb\xbf", r"test.txt: has nothing but whitespace"),
        (b"one\ntw\xf6\n", r"test.txt: line 2, byte offset 6: cannot be read, 0xf6 is not UTF-8; expected is text in"),
        (b"\xef\xbb\xbfa\xff", r"test.txt: line 1, byte offset 4: .*0xff"),
        ("räu".encode("utf-16"), r"test.txt: line 1, byte offset 0: .*0xff"),
        (b"a\nb\n\x00c", r"test.txt: line 3, byte offset 4: has a NUL byte"),
    ],
)
@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_files_that_are_no_text(tmp_path, content, message, kind):
    folder = fill(tmp_path / "mine", {**named("{}.txt"), "test.txt": content})
    source = folder
    if kind == "archive":
        source = tmp_path / "mine.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for file in folder.iterdir():
                archive.write(file, file.name)
    with pytest.raises(ValueError, match=message):
        load_text(source)


def test_files_that_cannot_be_split(tmp_path):
    folder = fill(tmp_path, {"short.txt": "a\n" * 9, "blank.txt": "a\n" * 8 + "\n" * 12, "empty.txt": ""})
    with pytest.raises(ValueError, match=r"short.txt: has 9 lines; .*needs at least 10"):
        load_text(folder / "short.txt")
    with pytest.raises(
        ValueError, match=r"blank.txt: lines 17 to 18, its validation part, have nothing but whitespace"
    ):
        load_text(folder / "blank.txt")
    with pytest.raises(ValueError, match=r"empty.txt: is empty"):
        load_text(folder / "empty.txt")


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tar.xz", ".tar.bz2"])
@pytest.mark.parametrize("damage", ["no archive", "cut"])
def test_broken_archives(tmp_path, suffix, damage):
    content = pack(tmp_path / f"mine{suffix}", dict.fromkeys(named("{}.txt"), grammar_text(1_000, seed=0))).read_bytes()
    half = content.rindex(b"the") if suffix == ".tar" else len(content) // 2  # within the last member, as it is padded
    (tmp_path / f"mine{suffix}").write_bytes(b"no archive" if damage == "no archive" else content[:half])
    with pytest.raises(ValueError, match=f"mine{suffix}: cannot be read as an archive"):
        load_text(tmp_path / f"mine{suffix}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level": "byte"}, "level: 'byte' is unknown"),
        ({"limit": 1}, "limit: must be at least 2, got 1"),
        ({"minimum_count": 0}, "minimum_count: must be at least 1"),
        ({"vocabulary_size": 2}, "vocabulary_size: must be at least 3"),
        (
            {"level": "character", "vocabulary": Vocabulary.build("a")},
            "level: 'character', but the given vocabulary is",
        ),
        ({"minimum_count": 2, "vocabulary": Vocabulary.build("a")}, "vocabulary: is given, so that none is built"),
        ({"vocabulary_size": 9, "vocabulary": Vocabulary.build("a")}, "leave out minimum_count and vocabulary_size"),
    ],
)
def test_impossible_requests(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_text("grammar", **arguments)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (torch.zeros(3), r"test: must be int64 \[tokens\], got torch.float32 \[3\]"),
        (torch.zeros(0).long(), r"test: must be int64 \[tokens\], got torch.int64 \[0\]"),
        (torch.zeros(2, 2).long(), r"got torch.int64 \[2, 2\]"),
        (torch.tensor([0, 3]), "test: 3 is no token; allowed is 0 to 2"),
        (torch.tensor([0, -1]), "test: -1 is no token"),
    ],
)
def test_impossible_corpora(tokens, message):
    good = torch.tensor([0, 1])
    with pytest.raises(ValueError, match=message):
        Corpus("mine", good, good, tokens, Vocabulary.build("a"))
