"""Words by which a question leans on what was said before it: closed classes, in the languages of most questions."""

# ruff: noqa: E501, RUF001  words in the letters that they have

import re

from worker.answer.question_words import ASKING


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


GOING_ON = _set(
    """and but also then so und aber sondern also dann denn et mais donc alors puis y pero entonces además e ma allora
    dunque mas então och men så og maar dus а но и да тогда peki ya ayrıca lalu dan còn vậy thế और तो फिर"""
)
"""Begin a question that goes on from an answer. Not those that are an article or a preposition elsewhere."""
GOING_ON_PHRASES = (
    "what about", "how about", "what if", "what else", "who else", "where else", "how so", "tell me more", "more detail",
    "go on", "why not", "why so", "in that case", "for example", "such as", "more about", "can you elaborate",
    "was ist mit", "wie ist es mit", "wie sieht es", "wie steht es", "was noch", "warum nicht", "mehr dazu", "genauer",
    "zum beispiel", "in dem fall", "qu'en est-il", "pourquoi pas", "quoi d'autre", "plus de détails", "par exemple",
    "dans ce cas", "qué pasa con", "qué hay de", "qué tal", "por qué no", "más detalles", "qué más", "en ese caso",
    "che ne dici", "perché no", "cos'altro", "più dettagli", "in quel caso", "e quanto", "e quando", "por que não",
    "mais detalhes", "nesse caso", "hoe zit het met", "en hoe", "en wat", "en in", "en voor", "en als", "en wanneer",
    "waarom niet", "wat nog", "a co", "a jak", "a w", "a kiedy", "a ile", "dlaczego nie", "co jeszcze", "hur är det med",
    "varför inte", "как насчет", "как насчёт", "что насчет", "что насчёт", "почему нет", "что ещё", "что еще",
    "ya da", "peki ya", "neden olmasın", "başka ne", "bagaimana dengan", "thế còn",
)  # fmt: skip
POINTING = _set(
    """they them he him she former latter these those otherwise instead
    er ihn ihm ihnen dies dieser dieses diesem diesen davon dafür damit dazu darüber dabei dort dagegen deswegen
    ils elles cela ça ceci celui celle ceux celles celui-ci celle-ci eux
    él ella ellos ellas eso esto aquello ahí allí
    esso essa essi esse ciò questo questa quello quella
    ele ela eles elas isso isto disso nisso aquilo dele dela deles delas
    hij hem daarvan daarvoor daarmee ervan ervoor hiervan
    detta dessa dem
    он она оно они него нее неё них ему ей им этот эта это эти этого этой этому этим этих том тот
    tego temu tym tych
    bu şu bunun bunlar bunları onlar onların onu bunu
    dia itu mereka tersebut nó đó họ
    यह वह वे उस उसका उसकी उसके इसका इसकी इसके उनका उनकी इन
    هذا هذه ذلك تلك هؤلاء لها له لهم"""
)
"""What stands for a thing that was named; beside another clause, for one of that."""
OWNING = _set(
    """its their theirs his her hers sein seine seinen seiner ihre ihren ihrer leur leurs su sus suoi sue seu sua seus suas
    zijn haar deras dess hans hennes его её ее их jego jej ich onun onların"""
)
"""Whose it is: of what was named, unless the question names it first."""
PREPOSITIONS = _set(
    """for in on at from by with without to about after before during since until under over between within as per
    für im in am bei aus mit ohne nach vor während seit bis unter über zwischen ab beim zum zur als
    pour dans en à au aux sans avec sur depuis pendant avant après chez par
    para con sin sobre desde hasta durante según
    per nel nella con senza dopo prima durante
    com sem até após no na nos nas
    voor met zonder na tijdens vanaf tot bij
    för med utan efter under från till
    в во на для с со без после до при за от из по через
    w na dla z ze bez po przed przy od do
    untuk di pada tanpa dengan cho với không ở trong
    में के लिए से في على من عن بدون مع"""
)
"""A question of few words that begins with one, and asks with none, is a piece of the one before."""
FILLING = _set(
    """a an the of to it that this there here not no do does did is are was were be been will would can could may might
    should shall must have has had if or one ones exactly really just please ok okay yes much many more most less long
    far often soon old ago about mean means cost costs take takes work works happen happens apply applies
    es das dies denn noch auch nur doch mal eigentlich genau bitte ja nein nicht kein keine man sich wird werden kostet
    dauert gilt geht
    ce cela ça y on pas ne n c que qu si bien aussi encore coûte dure
    lo que se no sí también cuesta dura
    o os as que não custa si costa dura anche
    het dat dit er ook niet kost duurt
    det den ett en är kostar
    ли же бы не это стоит и или
    to jest czy nie kosztuje
    mi mı mu mü ne var
    क्या है हैं का की के को था थे"""
)
"""Beside the words that ask, what says nothing of what is asked about."""
ASKING_ELSEWHERE = _set(
    """que quem quando onde como quanto quanta quantos quantas qual quais por porque quién cuando donde cuanto
    chi cosa dove quando perché vad var när hur vem vilken vilket hvad hvor hvornår
    что кто где когда как почему зачем сколько какой какая какие каков куда чем
    co kto gdzie kiedy jak dlaczego ile jaki jaka jakie
    ne kim nerede zaman nasıl neden niçin kaç hangi
    apa siapa mana kapan bagaimana mengapa berapa gì ai đâu nào sao bao nhiêu
    कौन कहाँ कब कैसे क्यों कितना कितने कितनी कौनसा
    ماذا من أين متى كيف لماذا كم أي هل ما"""
)
ASKS = frozenset(ASKING) | ASKING_ELSEWHERE
EMPTY = ASKS | FILLING | PREPOSITIONS | GOING_ON

EXPLETIVE = _set(
    """possible allowed necessary permitted true legal illegal required better best ok okay safe normal worth mandatory
    compulsory common likely easy hard difficult important cheaper enough take takes cost costs happen mean
    möglich erlaubt nötig notwendig verboten wahr sinnvoll wichtig üblich dauert kostet"""
)
"""Behind or around "it" and "es", with what follows them: they stand for no thing."""
GERMAN = _set("wie was wann wer wo warum ist kostet dauert hat kann muss wird gilt darf funktioniert und ob")
"""Beside "es", which is "is" in Spanish."""
INTRODUCING = _set("to that if when whether for zu dass ob wenn bis um für de que à")
DEFINING = ("what is", "what are", "what's", "what does", "was ist", "was sind", "was bedeutet", "qu'est-ce que", "qué es",
            "que es", "qué son", "che cos'è", "cos'è", "o que é", "wat is", "wat zijn", "vad är", "что такое", "co to jest",
            "nedir", "apa itu", "ما هو", "ما هي")  # fmt: skip
"""Ask what one word means, which is then all that they need."""
DEICTIC = _set(
    """year month week quarter morning evening summer winter season time jahr monat quartal woche sommer winter
    année mois semaine trimestre année año mes semana anno mese settimana ano mês semana jaar maand week
    год году месяц месяце неделе квартале"""
)
"""Behind "this": now, not what was said."""
JOINING = _set(
    """and or but if when because before after once while which who whose until unless wenn weil und oder nachdem bevor
    sobald falls si quand et ou lorsque cuando o se quando als omdat если когда и или"""
)
"""Between two clauses, the second of which may stand for something in the first."""
BEFORE_THAT = _set(
    "about for of with after before like than from to is was are does did do can will would if why how what"
)
"""Before "that" where it points: elsewhere it joins a clause."""
AFTER_DAS = _set("auch so nicht noch immer für bei mit in im am zu von wirklich genau dann")
"""Behind "das" where it is no article."""
IMPERSONAL = re.compile(r"\b(?:a-t-il|faut-il|est-il|s'agit-il|peut-il|y a)\b|\bما ه[وي]\b|\bمن هو\b")
UNSPACED_POINTING = (
    "它", "他们", "她们", "这个", "那个", "这些", "那些", "那么", "其中", "还有呢", "然后呢", "為什麼呢", "那如果",
    "それ", "その", "これ", "この", "あれ", "そこ", "彼", "では", "じゃあ", "그것", "그건", "그거", "이것", "그들", "그러면", "그럼",
    "그렇다면", "거기", "มัน", "แล้ว", "อันนี้", "อันนั้น",
)  # fmt: skip
UNSPACED_NOT_POINTING = (
    "それぞれ", "これから", "これまで", "その他", "それ以上", "この度", "这个月", "这个季度", "这个星期", "では何", "ではない",
    "ことでは", "其他", "では、どの",
)  # fmt: skip
UNSPACED_ENDINGS = ("呢", "は", "ล่ะ", "은요", "는요", "는", "은")
"""Behind a topic and nothing else: what of it?"""
UNSPACED_ASKING = (
    "为什么", "什么时候", "多少钱", "哪里", "谁", "怎么", "多久", "為什麼", "なぜ", "どうして", "いつ", "どこ", "誰", "いくら", "どうやって",
    "왜", "언제", "어디", "누구", "얼마", "어떻게", "ทำไม", "เมื่อไหร่", "ที่ไหน", "ใคร", "เท่าไหร่", "อย่างไร",
)  # fmt: skip
UNSPACED_LEFT_OUT = re.compile("[?？。.!！ ]+$")
UNSPACED_YEAR = re.compile("[年度のはや呢]+$")
"""Behind a number that is all of a question."""
