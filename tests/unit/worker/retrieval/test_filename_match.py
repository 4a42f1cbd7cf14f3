"""A question that names a document by words of its file's name."""

import pytest

from worker.retrieval.filename_match import KEPT_SECONDS, Names, NamesCache, words_of_name

FILINGS = [
    f"{company}_{year}_10K.pdf"
    for company in ("ACME", "KRAFTHEINZ", "JOHNSON_JOHNSON", "3M", "ULTABEAUTY", "AMERICANEXPRESS")
    for year in (2017, 2018, 2019)
] + ["ULTABEAUTY_2023Q1_EARNINGS.pdf", "Harbour rules (draft).docx"]


def _first(question: str) -> str | None:
    named = Names(FILINGS).named_in(question)
    best = [name for name, share in named.items() if share == 1.0]
    return best[0] if len(best) == 1 else None


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("What was Acme's revenue in 2018?", "ACME_2018_10K.pdf"),
        ("What was the capital expenditure of ACME in FY2017?", "ACME_2017_10K.pdf"),
        ("acme fy19 inventory", "ACME_2019_10K.pdf"),
        ("Which brands did Kraft Heinz sell in 2018?", "KRAFTHEINZ_2018_10K.pdf"),
        ("Johnson & Johnson's litigation in 2019", "JOHNSON_JOHNSON_2019_10K.pdf"),
        ("How is 3M doing as of 2017?", "3M_2017_10K.pdf"),
        ("What did Ulta say in Q1 of 2023?", "ULTABEAUTY_2023Q1_EARNINGS.pdf"),
        ("American Express 10-K for 2019", "AMERICANEXPRESS_2019_10K.pdf"),
        ("What do the harbour rules say about dogs?", "Harbour rules (draft).docx"),
    ],
)
def test_company_and_year_name_one_file(question: str, name: str) -> None:
    assert _first(question) == name


def test_a_company_without_a_year_names_all_its_files_alike() -> None:
    named = Names(FILINGS).named_in("Who audits Kraft Heinz?")
    assert named == {f"KRAFTHEINZ_{year}_10K.pdf": 1.0 for year in (2017, 2018, 2019)}


def test_another_year_is_named_less() -> None:
    named = Names(FILINGS).named_in("Acme's loss of 2018")
    assert named["ACME_2018_10K.pdf"] == 1.0
    assert 0 < named["ACME_2017_10K.pdf"] < 1.0
    assert "3M_2018_10K.pdf" not in named


@pytest.mark.parametrize(
    "question",
    ["What was the revenue in 2018?", "How many employees are there?", "10-K", "", "\u202e\x00 ???", "ame jo ul"],
)
def test_a_year_alone_or_no_word_of_a_name_names_nothing(question: str) -> None:
    assert Names(FILINGS).named_in(question) == {}


def test_a_single_file_is_never_named() -> None:
    assert Names(["handbook.pdf"]).named_in("What does the handbook say?") == {}


def test_names_in_any_script() -> None:
    assert Names(["شروط.pdf", "قواعد.pdf"]).named_in("قواعد المرسى") == {"قواعد.pdf": 1.0}


def test_words_of_a_name() -> None:
    assert words_of_name("Acme_2023Q1-10K.pdf") == ("Acme", "2023", "Q1", "10K")


def test_names_are_read_once_a_minute_for_each_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    now, reads = [100.0], []
    monkeypatch.setattr("worker.retrieval.filename_match.monotonic", lambda: now[0])

    def read(tenant: str, collection: str) -> list[str]:
        reads.append((tenant, collection))
        return [f"{tenant}.pdf", "other.pdf"]

    cache = NamesCache(read)
    assert cache.get("anna", "c").named_in("anna") == {"anna.pdf": 1.0}
    assert cache.get("bert", "c").named_in("anna") == {}
    now[0] += KEPT_SECONDS - 1
    cache.get("anna", "c")
    assert reads == [("anna", "c"), ("bert", "c")]
    now[0] += 2
    cache.get("anna", "c")
    assert reads[2:] == [("anna", "c")]


def test_names_that_could_not_be_read_are_read_again() -> None:
    answers = iter([None, ["a.pdf", "b.pdf"]])

    def read(*_: str) -> list[str]:
        if (answer := next(answers)) is None:
            raise ConnectionError
        return answer

    cache = NamesCache(read)
    with pytest.raises(ConnectionError):
        cache.get("t", "c")
    assert cache.get("t", "c").named_in("a") == {"a.pdf": 1.0}
