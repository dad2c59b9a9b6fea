"""Whether a line follows the rules of the embedded grammar, found by reading it, without the generator.

The reader looks one word ahead and never goes back. A wrong form (number, gender, bracket, count) is noted and the
reading goes on; where no sentence could go on it stops.
"""

from typing import NamedTuple, NoReturn

from archgrad.data.text import lexicon

_NUMBER_OF_DETERMINER = {lexicon.DETERMINER: None} | dict.fromkeys(lexicon.SINGULAR_DETERMINERS, "singular")
_NUMBER_OF_DETERMINER |= dict.fromkeys(lexicon.PLURAL_DETERMINERS, "plural")
_GENDER = dict.fromkeys(lexicon.FEMALE, "female") | dict.fromkeys(lexicon.MALE, "male")


class _Noun(NamedTuple):
    number: str
    kind: str


class _Verb(NamedTuple):
    number: str
    kind: str


_NOUNS = {
    form: _Noun(number, kind)
    for kind, nouns in (("animate", lexicon.ANIMATE), ("inanimate", lexicon.INANIMATE))
    for noun in nouns
    for form, number in ((noun, "singular"), (lexicon.plural(noun), "plural"))
}
_VERBS = {
    form: _Verb(number, kind)
    for kind, verbs in (
        ("intransitive", lexicon.INTRANSITIVE),
        ("transitive", lexicon.TRANSITIVE),
        ("reporting", lexicon.REPORTING),
    )
    for verb in verbs
    for form, number in ((verb, "plural"), (lexicon.singular_verb(verb), "singular"))
}


def violations(line: str) -> list[str]:
    """What is wrong with a line as a sentence of the embedded grammar, in the order of the words; [] if nothing is.

    How deeply clauses and brackets may lie within each other is a property of `grammar_text`, not a rule.

    >>> violations("the dogs near the house sleep .")
    []
    >>> violations("the dogs near the house sleeps .")
    ["word 6: 'sleeps' is singular, its subject is plural"]
    >>> violations("count two : pen .")
    ["word 5: 'two' items are announced, there are 1"]
    >>> violations("the dogs near .")
    ["word 4: '.' where a noun phrase must begin"]
    """
    reader = _Reader(line.split())
    try:
        reader.sentence()
    except _Stop as stop:
        reader.found.append(str(stop))
    except RecursionError:
        reader.found.append(f"word {reader.place}: is nested too deeply to be read")
    return reader.found


class _Stop(Exception):
    """No sentence goes on like this."""


class _Reader:
    def __init__(self, words: list[str]) -> None:
        self.words, self.place = words, 0
        self.found: list[str] = []

    def ahead(self) -> str:
        return self.words[self.place] if self.place < len(self.words) else ""

    def take(self) -> str:
        word = self.ahead()
        self.place += 1
        return word

    def stop(self, wanted: str) -> NoReturn:
        word = repr(self.ahead()) if self.ahead() else "the line ends"
        raise _Stop(f"word {self.place + 1}: {word} where {wanted}")

    def expect(self, word: str) -> None:
        if self.ahead() != word:
            self.stop(f"{word!r} must stand")
        self.place += 1

    def note(self, message: str) -> None:
        """Note a fault of the word taken last."""
        self.found.append(f"word {self.place}: {message}")

    def sentence(self) -> None:
        match self.ahead():
            case "count":
                self.count()
            case "inside":
                self.take()
                self.expect(":")
                self.box()
                self.expect(".")
            case "hear":
                self.beat()
            case "do" | "does":
                self.question()
            case _:
                self.statement()
        if self.place < len(self.words):
            self.stop("the line must end")

    def statement(self) -> None:
        first = self.ahead()
        number = self.noun_phrase()
        self.verb_phrase(number)
        if self.ahead() == ";" and first in _GENDER:
            self.story(_GENDER[first])
            return
        if self.ahead() == "and":
            self.take()
            self.verb_phrase(number)
        self.expect(".")

    def story(self, gender: str) -> None:
        clauses = 0
        self.expect(";")
        while self.ahead() != "then":
            self.clause()
            self.expect(";")
            clauses += 1
        if not 1 <= clauses <= 2:
            self.found.append(f"word {self.place + 1}: {clauses} clauses before 'then', must be 1 or 2")
        self.take()
        if self.ahead() not in lexicon.PRONOUNS:
            self.stop("a pronoun must stand")
        pronoun = self.take()
        if lexicon.PRONOUNS[pronoun] != gender:
            self.note(f"{pronoun!r} is {lexicon.PRONOUNS[pronoun]}, {self.words[0]!r} is {gender}")
        self.verb_phrase("singular")
        self.expect(".")

    def question(self) -> None:
        auxiliary = self.take()
        asked, place = lexicon.AUXILIARIES[auxiliary], self.place
        number = self.noun_phrase()
        if number != asked:
            self.found.append(f"word {place}: {auxiliary!r} is {asked}, its subject is {number}")
        self.verb_phrase("plural")
        self.expect("?")

    def count(self) -> None:
        self.take()
        if self.ahead() not in lexicon.NUMBERS:
            self.stop("a number must stand")
        number = self.take()
        self.expect(":")
        start = self.place
        while self.ahead() in lexicon.GOODS:
            self.take()
        self.expect(".")
        if self.place - 1 - start != lexicon.NUMBERS.index(number) + 1:
            self.note(f"{number!r} items are announced, there are {self.place - 1 - start}")

    def beat(self) -> None:
        self.take()
        counts = {"tick": 0, "tock": 0}
        for word in counts:
            while self.ahead() == word:
                self.take()
                counts[word] += 1
        self.expect(".")
        if counts["tick"] != counts["tock"] or not 1 <= counts["tick"] <= lexicon.LONGEST_BEAT:
            self.note(
                f"{counts['tick']} ticks and {counts['tock']} tocks, must be as many, 1 to {lexicon.LONGEST_BEAT}"
            )

    def box(self) -> None:
        opening = self.opening()
        while self.ahead() in lexicon.GOODS or self.ahead() in lexicon.BRACKETS:
            if self.ahead() in lexicon.GOODS:
                self.take()
            else:
                self.box()
        self.close(opening)

    def opening(self) -> str:
        if self.ahead() not in lexicon.BRACKETS:
            self.stop("a bracket must open")
        return self.take()

    def close(self, opening: str) -> None:
        if self.ahead() not in lexicon.BRACKETS.values():
            self.stop(f"{opening!r} must close")
        closing = self.take()
        if closing != lexicon.BRACKETS[opening]:
            self.note(f"{closing!r} closes {opening!r}")

    def clause(self) -> None:
        self.verb_phrase(self.noun_phrase())

    def noun_phrase(self) -> str:
        """Read a noun phrase and all that follows its noun; return its number."""
        if self.ahead() in _GENDER:
            self.take()
            return "singular"
        noun = self.noun()
        if self.ahead() in lexicon.PREPOSITIONS:
            self.take()
            self.noun()
        elif self.ahead() in lexicon.RELATIVES:
            self.relative_clause(noun)
        elif self.ahead() in lexicon.BRACKETS:
            opening = self.opening()
            self.clause()
            self.close(opening)
        return noun.number

    def noun(self) -> _Noun:
        if self.ahead() not in _NUMBER_OF_DETERMINER:
            self.stop("a noun phrase must begin")
        determiner = self.take()
        if self.ahead() in lexicon.ADJECTIVES:
            self.take()
        if self.ahead() not in _NOUNS:
            self.stop("a noun must stand")
        word = self.take()
        asked, noun = _NUMBER_OF_DETERMINER[determiner], _NOUNS[word]
        if asked not in (None, noun.number):
            self.note(f"{word!r} is {noun.number}, {determiner!r} is {asked}")
        return noun

    def relative_clause(self, noun: _Noun) -> None:
        relative = self.take()
        if lexicon.RELATIVES[relative] != noun.kind:
            self.note(f"{relative!r} is {lexicon.RELATIVES[relative]}, its noun is {noun.kind}")
        if self.ahead() in _VERBS:
            self.verb_phrase(noun.number)
            return
        number = self.noun_phrase()
        if self.verb(number) != "transitive":
            self.note(f"{self.words[self.place - 1]!r} takes no object, as the verb of this relative clause must")

    def verb_phrase(self, number: str) -> None:
        match self.verb(number):
            case "transitive":
                self.noun_phrase()
            case "reporting":
                self.expect("that")
                self.clause()
            case _:
                if self.ahead() in lexicon.ADVERBS:
                    self.take()

    def verb(self, number: str) -> str:
        if self.ahead() not in _VERBS:
            self.stop("a verb must stand")
        word = self.take()
        verb = _VERBS[word]
        if verb.number != number:
            self.note(f"{word!r} is {verb.number}, its subject is {number}")
        return verb.kind
