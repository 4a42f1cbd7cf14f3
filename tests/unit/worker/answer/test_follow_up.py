"""Which questions lean on what was said before, and which stand by themselves, in a dozen languages."""

# ruff: noqa: RUF001  tables in the letters that they have
import time

import pytest

from worker.answer.follow_up import leans_on_past

LEANING = """
And in 2024?
and for students?
Premium economy?
Bergen Lodge?
What about the premium plan?
How about part-time staff?
2024?
In winter?
For children under six?
Without a receipt?
Why?
How much?
Who decides?
How long does it take?
How much do they cost?
Is it allowed?
Does the warranty cover it?
Where can I buy them?
What is its price?
Who wrote that?
Can you tell me more?
What else?
And who pays for the other one?
Is this also true for contractors?
Why is that?
When was it introduced?
But what if the train is late?
Und im Jahr 2024?
Und was gilt für Studenten?
Was ist mit den Kosten?
Warum?
Wie lange dauert das?
Gilt das auch für Mieter?
Wer ist dafür zuständig?
Wann wurde er gewählt?
Für Studenten?
Et en 2024 ?
Combien coûte-t-elle ?
Et pour les enfants ?
Pourquoi ?
Quand ouvre-t-il ?
Comment ça marche ?
¿Y en 2024?
¿Cuánto cuesta?
¿Y para los niños?
¿Qué pasa con eso?
¿Por qué?
E nel 2024?
E quanto costa?
Perché?
E em 2024?
Quanto custa isso?
En in 2024?
Hoe zit het met studenten?
Och för barn?
А в 2024 году?
Почему?
Сколько это стоит?
Кто его подписал?
A co z 2024?
Peki ya 2024?
Onun fiyatı ne?
那2024年呢？
它多少钱？
为什么？
2024年は？
それはいくらですか？
なぜ？
그럼 2024년은요?
그건 얼마예요?
وماذا عن 2024؟
وكم تكلفة ذلك؟
لماذا؟
और 2024 में?
""".strip().splitlines()

ALONE = """
How many nights was aurora seen in 2025?
When may I book premium economy?
What is VAT?
What is the warranty period of the pump?
Is it possible to return goods without a receipt?
How long does it take to get a refund?
What time is it when the harbour opens?
Do employees get their bonus in May?
When did Acme change its policy?
If the pump leaks, who repairs it?
Which of the rules that apply to visitors mention dogs?
In which year was the harbour founded?
For how long is the meal allowance paid?
How many hours may trainees work this week?
Who is Kari Nordmann?
Where is Bergen?
What are dividends?
opening hours harbour winter
Is it true that aurora was seen on 117 nights?
What does the handbook say about overtime?
Wie viele Nächte wurde 2025 Polarlicht gesehen?
Wie hoch ist der Mindestlohn?
Was ist Umsatzsteuer?
Gibt es eine Kantine im Haus?
Wann muss das Formular eingereicht werden?
In welchem Jahr wurde der Hafen gegründet?
Können Sie die Reisekosten erklären?
Ist es erlaubt, Hunde mitzubringen?
Combien de jours de congé ont les salariés ?
Le contrat prévoit-il une pénalité ?
En quelle année le port a-t-il été fondé ?
Est-il possible de rendre un article ?
¿Cuántos días de vacaciones tienen los empleados?
¿En qué año se fundó el puerto?
¿Cuál es el plazo de entrega del pedido?
Quanti giorni di ferie hanno i dipendenti?
Qual è il termine di consegna dell'ordine?
Quantos dias de férias têm os funcionários?
O prazo de entrega do pedido é de quantos dias?
Hoeveel vakantiedagen hebben werknemers?
Hur många semesterdagar har anställda?
Сколько дней отпуска у сотрудников?
Когда открывается гавань зимой?
Ile dni urlopu mają pracownicy?
Çalışanların kaç gün izni var?
保修期是多长时间？
员工有多少天年假？
2025年にオーロラは何回見られましたか？
保証期間はどのくらいですか？
직원은 휴가가 며칠입니까?
ما هو سعر الاشتراك السنوي؟
كم عدد أيام الإجازة للموظفين؟
कर्मचारियों को कितनी छुट्टियाँ मिलती हैं?
Je, wafanyakazi wana siku ngapi za likizo?
""".strip().splitlines()


def test_the_table_is_as_large_as_it_should_be() -> None:
    assert len(LEANING) >= 60
    assert len(ALONE) >= 50


@pytest.mark.parametrize("question", LEANING)
def test_what_leans_on_the_past_is_told(question: str) -> None:
    assert leans_on_past(question)


@pytest.mark.parametrize("question", ALONE)
def test_what_stands_by_itself_is_left_alone(question: str) -> None:
    assert not leans_on_past(question)


@pytest.mark.parametrize("text", ["?", "   ", "…", "\u202e", "\x00", "’", "¿", "🙂", "و", "-" * 8000])
def test_what_is_no_question_is_told_one_way_or_the_other(text: str) -> None:
    assert leans_on_past(text) in (True, False)


@pytest.mark.parametrize("text", ["it " * 2600, "and, " * 1600, "它" * 8000, "a-" * 4000, "if x, it " * 880])
def test_a_hostile_question_takes_no_time(text: str) -> None:
    began = time.perf_counter()
    leans_on_past(text)
    assert time.perf_counter() - began < 0.5
