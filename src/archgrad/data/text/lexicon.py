"""The words of the embedded grammar by their kinds; more frequent words come first, no word is of two kinds."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ANIMATE = _words(
    "dog farmer singer cat sailor doctor baker fox teacher horse painter bear miner tailor goat pilot weaver "
    "judge robin hunter monk badger potter clerk"
)
INANIMATE = _words(
    "house river garden bridge table window mill market boat tower village field ladder wagon cellar harbour "
    "orchard statue lantern barrel tunnel fountain chimney meadow"
)
GOODS = _words("pen coin ring apple rope cup nail bell plum sack jar key candle spoon drum")
SINGULAR_DETERMINERS = ("this", "every", "each")
PLURAL_DETERMINERS = ("these", "many", "several")
DETERMINER = "the"
ADJECTIVES = _words(
    "old small red tall quiet young dark heavy bright narrow gentle hollow proud wooden clever dusty pale broken "
    "lonely golden"
)
ADVERBS = _words("often here slowly again today alone quickly seldom")
PREPOSITIONS = _words("near behind above under beside beyond against before")
INTRANSITIVE = _words("sleep wait fall vanish return tremble wander smile shiver collapse rest linger yawn glow")
TRANSITIVE = _words("see follow know admire find help avoid paint remember greet forget visit draw surround")
REPORTING = _words("say think believe hope")
FEMALE = _words("anna clara edith freya greta iris")
MALE = _words("boris david frank henry oscar peter")
NUMBERS = _words("one two three four five six seven eight nine")

BRACKETS = {"(": ")", "[": "]", "{": "}"}
RELATIVES = {"who": "animate", "which": "inanimate"}
PRONOUNS = {"she": "female", "he": "male"}
AUXILIARIES = {"does": "singular", "do": "plural"}
MARKS = (".", "?", ";", ":")
JOINTS = ("and", "that", "then")
KEYWORDS = ("count", "inside", "hear", "tick", "tock")

LONGEST_BEAT = 12
"""The largest n of tick^n tock^n."""


def plural(noun: str) -> str:
    """The plural of a noun: fox, foxes.

    >>> plural("dog"), plural("fox")
    ('dogs', 'foxes')
    """
    return noun + ("es" if noun.endswith(("x", "s", "ch", "sh")) else "s")


def singular_verb(verb: str) -> str:
    """The form of a verb that follows a singular subject; the plural has the bare verb.

    >>> singular_verb("sleep"), singular_verb("vanish")
    ('sleeps', 'vanishes')
    """
    return verb + ("es" if verb.endswith(("x", "s", "ch", "sh")) else "s")
