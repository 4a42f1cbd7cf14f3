"""Words that only ask, in the languages of most questions: closed classes of words, not a vocabulary."""

_ASKING = {
    "number": "many much wieviel viel viele combien cuánto cuánta cuántos cuántas quanto quanti quante hoeveel",
    "time": "when wann quand cuándo quando wanneer",
    "person": "who whom whose wer wem wen qui quién quiénes chi wie",
    "way": "how wie comment cómo come hoe",
    "what": """what which where welche welcher welches wo où quoi quel quelle que qué cuál dónde che dove quale wat
        waar""",
    "": """why please tell can could should would does did do is are was were may am be been must might need needs
        have has had mean means meant happen happens list name there any per i my me we our you
        your was warum ist sind hat haben darf muss kann wird werden lautet der die das den dem ein
        eine einen im in am zu von für mit auf
        quels quelles pourquoi est sont le la les l un une du de des d au aux il elle se
        cuáles por el los las una del es son cosa il lo gli welk het een""",
}
"""By what they ask for, the first of several: Dutch has "wie" for who, German for how."""
ASKING = {word: kind for kind, words in reversed(_ASKING.items()) for word in words.split()}


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


GERMAN = _set("wie wer was wann wo warum welche welcher welches wieviel ist sind der die das")
"""Who asks with these writes every noun with a capital letter: it marks no name."""
PREPOSITIONS = _set("for of in on at from by with to about für von im am bei aus mit pour dans à sur para en con")
BEING = _set("is are was were did ist sind war waren est sont était es son era")
"""After "how": it asks what was so, not what to do."""
PRONOUNS = _set("i we you they he she it one ich wir man je nous on")
"""Who does it: a verb follows them."""
SUBJECT = _set("does do did i we you my")
"""Who does what is asked about, or before it."""
DOING = _set("do must should can shall could may")
"""After "what", and with "do" to follow: it asks for a way, as "how do I" does."""
LIGHT = _set("get gets give gives given take takes bekomme bekommt")
"""They say little, but a heading may have them: Getting your money back, Giving up your plot."""
OF = _set("de d")
"""Between "combien" and what it asks for."""
