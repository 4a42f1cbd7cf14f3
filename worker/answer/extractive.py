"""An answer without a model: the statements of the best chunks that answer the question, in the sources' words."""

from collections.abc import Iterable, Sequence

from app.core.contract import Citation
from worker.answer.asked import Asked, Kind, asked
from worker.answer.citations import PageNumbers, citation, numbered
from worker.answer.columns import read_row
from worker.answer.nearness import EMBEDDED_MAX, EmbedFew, nearness
from worker.answer.sanitize import sanitized
from worker.answer.scoring import Candidate, Scorer, candidates_of
from worker.answer.statements import Form
from worker.vectors import Hit
from worker.writing_systems import is_read_in_pairs

SENTENCES_MAX = 3
STEPS_MAX = 6
CHARACTERS_MAX = 700
"""A short paragraph."""
FIT_MIN = 0.55
"""How well the best statement must fit to answer anything: more than half of what is asked must be there."""
FIT_MIN_UNSPACED = 0.34
"""The same where terms are pairs of characters, of which many only ask."""
CLOSE_TO_BEST = 0.85
"""A further sentence is quoted when it scores this share of the best one."""
CLOSE_TO_ROW = 0.95
"""A further one of its form beside a row, a field or a step, each of which is an answer by itself."""
SURE = 0.9
"""A statement that fits so well by its words needs no embedding model to say so."""
NEARNESS_SHARE = 0.2
"""What the nearest in meaning is worth more. Those that a heading alone makes an answer keep their order."""
STEPS_SHARE = 0.7
"""A list of steps answers "how do I" when its best one fits as much as this share of the best statement."""


def extract(question: str, hits: Sequence[Hit], embed: EmbedFew | None = None) -> tuple[str, tuple[Citation, ...]]:
    """A few statements of `hits` with marks, in reading order, and their citations.

    ("", ()) when none answers the question: what must stand there (a number, a code, a name) does not, or too little
    of the rest. `embed` helps to choose where the words leave a doubt, and finds a statement that says it in others.
    """
    wanted = asked(question)
    candidates = candidates_of(hits)
    scorer = Scorer(wanted, hits, candidates)
    scored = list(scorer.scored(candidates))
    if embed is not None and max((c.fit for c in scored), default=0.0) < SURE:
        scored = _by_meaning(question, scorer, scored, candidates, embed)
    least = FIT_MIN_UNSPACED if is_read_in_pairs(question) else FIT_MIN
    found = [c for c in scored if c.fit >= least]
    if not found:
        return "", ()
    found.sort(key=lambda c: (-c.score, c.rank, c.position))
    return _compose(_chosen(wanted, found, candidates, hits), hits)


def _by_meaning(
    question: str, scorer: Scorer, scored: Sequence[Candidate], candidates: Sequence[Candidate], embed: EmbedFew
) -> list[Candidate]:
    """`scored`, better the nearer they are in meaning; the one that stands out fits, whatever its words."""
    by_words = sorted(scored, key=lambda c: -c.fit)
    known = {(c.rank, c.position) for c in by_words}
    others = (c for c in candidates if (c.rank, c.position) not in known and not scorer.is_terse(c))
    pool = [*by_words, *others][:EMBEDDED_MAX]
    near = nearness(question, scorer.missing(question), pool, embed) if pool else None
    if near is None:
        return list(scored)
    meant = near.outstanding()
    return [
        c._replace(fit=1.0, score=1.0 + NEARNESS_SHARE)
        if place == meant and c.fit < FIT_MIN and scorer.may_mean(c)
        else c._replace(score=c.score * (1 + NEARNESS_SHARE * near.share(place) * scorer.is_about(c)))
        for place, c in enumerate(pool)
    ]


def _chosen(
    wanted: Asked, found: Sequence[Candidate], candidates: Sequence[Candidate], hits: Sequence[Hit]
) -> Sequence[Candidate]:
    """The best statements that make a short paragraph; the first always."""
    best = found[0]
    if wanted.kind is Kind.WAY and (steps := _steps(found, candidates, hits)):
        return steps
    form = best.statement.form
    if form in (Form.SENTENCE, Form.FRAGMENT):
        close_ones = [c for c in found[:SENTENCES_MAX] if c.score >= CLOSE_TO_BEST * best.score]
    else:
        alike = [c for c in found if c.statement.form is form]
        close_ones = [c for c in alike[:SENTENCES_MAX] if c.score >= CLOSE_TO_ROW * best.score]
    return sorted(_short(close_ones), key=lambda c: (c.rank, c.position))


def _steps(found: Sequence[Candidate], candidates: Sequence[Candidate], hits: Sequence[Hit]) -> Sequence[Candidate]:
    """The steps that the best statement is one of, or stands with in one section; in order."""
    best = found[0]
    place = (best.rank, best.statement.section)
    step = next(
        (c for c in found if c.statement.form is Form.STEP and (c.rank, c.statement.section) == place),
        None,
    )
    if step is None or step.fit < STEPS_SHARE * best.fit:
        return ()
    among = [
        c
        for c in candidates
        if c.statement.form is Form.STEP
        and c.statement.scope == step.statement.scope
        and hits[c.rank].document_id == hits[step.rank].document_id
    ]
    return _short(sorted(among, key=lambda c: (hits[c.rank].chunk_index, c.position))[:STEPS_MAX])


def _short(chosen: Sequence[Candidate]) -> list[Candidate]:
    """The first of `chosen` that make a short paragraph."""
    kept: list[Candidate] = []
    length = 0
    for candidate in chosen:
        length += len(candidate.statement.text)
        if kept and length > CHARACTERS_MAX:
            break
        kept.append(candidate)
    return kept


def _compose(chosen: Iterable[Candidate], hits: Sequence[Hit]) -> tuple[str, tuple[Citation, ...]]:
    parts: list[str] = []
    citations: list[Citation] = []
    pages: PageNumbers = {}
    for candidate in chosen:
        statement = candidate.statement
        cited = citation(1, hits[candidate.rank], statement.text)
        if cited is not None:
            cited = numbered(cited, pages)
            citations.append(cited)
            said = read_row(statement, candidate.columns) if statement.columns else cited.quote
            if statement.lead:
                said = f"{statement.lead.removesuffix(':')}: {said}"
            parts.append(f"{sanitized(said, sources=0)} [{cited.n}]")  # its own [7] is none of our marks
    return " ".join(parts), tuple(citations)
