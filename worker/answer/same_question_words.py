"""Words by which an English question may differ from another that asks the same: closed classes, each with why."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


ENGLISH = _set("what which when where who whom whose why how does did should would could")
"""Words of no other language that is written in the same letters alone."""
BEGINNING = _set("is are was were do can may must will has have had")
"""Begin a question; those that are words of other languages too, so only beside "the"."""
FOREIGN = _set(
    """der die das den dem des und ist nicht ein eine einen wie wer wann wo warum mit von zu im zum sie wir ihr le
    la les est et une dans pour que qui quel quelle avec sur du au ce il elle el los las del con por para es una
    lo gli di che della nel os da em com uma um seu sua de het een van op niet wat hoe og det som att och till je
    jest czy nie jak ile ve bir mi ne ini itu dan apa yang di"""
)
"""Of other languages: a question that has one may be English with a name in it, and is then taken as it is."""
POLITE = _set("Sie Ihr Ihre Ihrem Ihren Ihrer Ihres Ihnen")
"""German, where sie is somebody else."""

FILLING = frozenset({"please"})
FILLING_BEHIND_ASKING = frozenset({"exactly", "actually"})
"""What exactly, but not exactly 50 euros."""
RELATIVE = _set("that which who")
CONTRACTED = {
    "cannot": ("can", "not"), "can't": ("can", "not"), "won't": ("will", "not"), "shan't": ("shall", "not"),
    "i'm": ("i", "is"),
}  # fmt: skip
BEFORE_NOT = _set("is are was were do does did has have had could should would must need might")
ENDINGS = {"re": "is", "ll": "will", "ve": "have"}
"""Behind an apostrophe; not "d", which is had and would."""
BEFORE_IS = _set("what who where when how that there it")
AFTER_IS = _set("the a an my our your their his her this that these those")
"""Behind a "'s" that is no has and owns nothing: what's the fee."""

SAME = {
    "are": "is", "am": "is", "were": "was", "does": "do", "has": "have", "an": "a",
    "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
    "ten": "10", "eleven": "11", "twelve": "12",
}  # fmt: skip
"""Not "one", which stands for a thing. Was, did and had are another time, and another answer."""

BEFORE_ARTICLE = _set(
    """is was what which in on at by to from under over out off with without for into onto after before during
    upon within as than via per about against between through towards until since take make give have do did lose
    keep catch set lay get go play run hold"""
)
"""Behind these "the" tells a thing from its kind, or from a phrase: what is the deposit, who is on the board, who
takes the place. Behind a preposition other than "of", and the verbs of many phrases."""
DO = _set("do did")
"""No such verb where it helps another: when does the harbour open."""
AFTER_ARTICLE = _set(
    """most more few fewer less least little last next past first second third other others only same one ones
    former latter whole very rich poor sick old young dead living public future"""
)
"""Before these it tells which: the last year ends today, last year has ended."""
TURNED = _set("what who where when")
IS = _set("is are am")

HISSING = ("ses", "xes", "zes", "ches", "shes")
"""Ends of words whose ending is "es": planes are no plans."""
NAMES = _set(
    """may march august china turkey polish apple amazon windows target shell gap oracle word excel access outlook
    will bill mark jack rich frank grant pat rob sue drew dean chase ford nice reading bath cork lima java python
    ruby rust go swift meta visa square slack zoom stripe orange sky virgin alphabet titan mercury jordan chad
    mali georgia hill rose lily iris ivy grace hope faith joy dawn april june summer autumn job art ray guy basil
    carol earl english french german dutch danish finnish swedish welsh baker fisher brown white black green gray
    king young long cook carter taylor wood stone miller mason price page day banks fields brooks best sharp small
    strong wise"""
)
"""What is a name with a capital and another word without."""

FORMS = _set(
    """account address adult age agreement airport amendment amount animal annex answer appeal appendix applicant
    application appointment area article asset attachment auditor author bag balcony bank bed benefit bicycle bike
    bill boat body bonus boundary branch brand breach bridge budget building bus business button buyer cable
    camera candidate car card case cat category ceiling cell certificate change channel chapter chart check child
    city claim class clause client code collection column committee company complaint component computer
    conference connection consultant contract contractor copy country course court cover creditor currency
    customer cycle date day deadline debtor decision delivery department deposit description detail device diagram
    director discount distributor district doctor document dog door driver drug edition email employee employer
    engine entry error event exam example exception exemption expert factor factory fee field file filter finding
    flight floor folder form formula garage garden gate goal grade group guarantee guest guide guideline harbour
    hazard holiday home hospital hotel hour house incident index indicator ingredient inspector instruction
    instructor insurer interval interview inventor investor invoice island issue item journey judge key kitchen
    landlord language laptop lawyer layer lease lecture lesson letter level library licence license limit line
    link list loan location lock machine mailbox manager manual map market material meal measurement medicine
    meeting member menu message metal method metric milestone model module month motor museum name nation
    neighbour network nurse object objective obligation offer office officer operator organisation organization
    owner package page panel parameter parent participant partner party passenger password patient payment penalty
    pension permit person pet phase phone photo picture pipe place plan plant platform player policy pool port
    position price principle printer procedure process product professor profession program programme project
    property proposal provider pump pupil purchase purpose question rate reader reason receipt recommendation
    record refund region regulation reminder repair report request requirement researcher resident responsibility
    restaurant result review risk river road role room route rule salary sample schedule school screen seal seat
    section seller sensor server service session setting shareholder shop signal site size skill slide software
    source speaker specialist staff stage stakeholder standard station statement step stock store street student
    study subject subscriber subsidiary supplier switch symbol symptom system table tank target task tax teacher
    team technician template tenant test text theatre theme ticket tool topic tour town toy trade train training
    transaction transfer tree trial trip truck tutor type unit university update user vaccine value valve vehicle
    vendor version video village visit visitor visa voucher warehouse warning warranty website week wheel window
    winter wire witness worker workshop year zone accept affect allow apply approve belong begin close come
    consist contain cost decide define depend end exist expire explain follow get give happen include keep lead
    look make need open own pay provide receive refer require run say send sell serve show start stop take turn
    use want write"""
)
"""Nouns and verbs that say the same with an ending of s. Not terms, damages, goods, customs, savings, minutes, nor
any other that is another word then."""
