"""The sample documents of `data/`: their words, and the small booklet layout that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from fpdf import FPDF
from fpdf.fonts import FontFace

Colour = tuple[int, int, int]
INK: Colour = (38, 42, 48)
GREY: Colour = (120, 126, 134)


@dataclass(frozen=True)
class Heading:
    """The title of a section."""

    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Points:
    """A list of short statements; numbered, when their order counts."""

    items: Sequence[str]
    numbered: bool = False


@dataclass(frozen=True)
class Note:
    """A paragraph in a tinted box."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows under a head; `widths` are shares."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    widths: Sequence[int]


Block = Heading | Text | Points | Note | Table


@dataclass(frozen=True)
class Document:
    """One PDF of the samples."""

    filename: str
    title: str
    subtitle: str
    colour: Colour
    created: datetime
    pages: Sequence[Sequence[Block]] = field(repr=False)


class Booklet(FPDF):
    """An A4 booklet: a coloured title band on page 1, a running foot with the page's number."""

    def __init__(self, document: Document) -> None:
        super().__init__(format="A4")
        self.document = document
        self.set_creation_date(document.created)
        self.set_producer("rag-queue samples")
        self.set_title(document.title)
        self.set_margins(24, 22, 24)
        self.set_auto_page_break(True, margin=24)
        for number, blocks in enumerate(document.pages, start=1):
            self.add_page()
            if number == 1:
                self._title_band()
            for block in blocks:
                self._block(block)
            if self.pages_count != number:
                raise ValueError(f"{document.filename}: page {number} does not fit")

    def footer(self) -> None:
        """Print the running foot."""
        self.set_y(-17)
        self.set_draw_color(*self.document.colour)
        self.set_line_width(0.3)
        self.line(24, self.get_y(), self.w - 24, self.get_y())
        self.set_font("Helvetica", size=8.5)
        self.set_text_color(*GREY)
        self.cell(self.epw / 2, 8, self.document.title)
        self.cell(self.epw / 2, 8, f"Page {self.page_no()} of {len(self.document.pages)}", align="R")

    def _title_band(self) -> None:
        self.set_fill_color(*self.document.colour)
        self.rect(0, 0, self.w, 58, style="F")
        self.set_text_color(255, 255, 255)
        self.set_xy(24, 20)
        self.set_font("Times", "B", 25)
        self.multi_cell(self.epw, 11, self.document.title, align="L", new_x="LMARGIN", new_y="NEXT")
        self.set_font("Helvetica", size=11.5)
        self.multi_cell(self.epw, 8, self.document.subtitle, align="L", new_x="LMARGIN", new_y="NEXT")
        self.set_y(68)

    def _block(self, block: Block) -> None:
        self.set_text_color(*INK)
        self.set_font("Times", size=13)
        match block:
            case Heading(text):
                self.ln(2)
                self.set_font("Helvetica", "B", 15)
                self.set_text_color(*self.document.colour)
                self._paragraph(text, 8, after=2)
            case Text(text):
                self._paragraph(text, 6.5, after=3.8)
            case Points(items, numbered):
                for number, item in enumerate(items, start=1):
                    self._point(f"{number}." if numbered else "-", item)
                self.ln(2)
            case Note(text):
                self._note(text)
            case Table():
                self._table(block)

    def _paragraph(self, text: str, height: float, *, after: float) -> None:
        self.multi_cell(self.epw, height, text, align="L", new_x="LMARGIN", new_y="NEXT")
        self.ln(after)

    def _point(self, mark: str, text: str) -> None:
        self.set_x(self.l_margin + 2)
        self.cell(6, 6.5, mark)
        self.multi_cell(self.epw - 8, 6.5, text, align="L", new_x="LMARGIN", new_y="NEXT")
        self.ln(1.4)

    def _note(self, text: str) -> None:
        self.ln(1)
        self.set_fill_color(*_tint(self.document.colour, 0.9))
        self.set_font("Helvetica", size=11)
        self.multi_cell(self.epw, 5.6, text, align="L", fill=True, padding=4, new_x="LMARGIN", new_y="NEXT")
        self.ln(4)

    def _table(self, block: Table) -> None:
        self.set_font("Helvetica", size=10.5)
        self.set_fill_color(255, 255, 255)
        self.set_draw_color(*_tint(self.document.colour, 0.65))
        head = FontFace(emphasis="BOLD", color=(255, 255, 255), fill_color=self.document.colour)
        with self.table(
            col_widths=tuple(block.widths),
            headings_style=head,
            line_height=5.6,
            padding=1.6,
            text_align="LEFT",
            borders_layout="HORIZONTAL_LINES",
        ) as table:
            for row in (block.head, *block.rows):
                table.row(row)
        self.ln(5)


def _tint(colour: Colour, share: float) -> Colour:
    """Mix with white: share 1 is white."""
    red, green, blue = (round(c + (255 - c) * share) for c in colour)
    return red, green, blue


def write_samples(folder: Path) -> list[Path]:
    """Write every sample document into `folder` and return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for document in DOCUMENTS:
        path = folder / document.filename
        Booklet(document).output(str(path))
        paths.append(path)
    return paths


HANDBOOK = Document(
    filename="harbour-lane-rowing-club-handbook.pdf",
    title="Harbour Lane Rowing Club",
    subtitle="Members' Handbook, season 2025",
    colour=(24, 74, 104),
    created=datetime(2025, 2, 14, 9, 0, tzinfo=UTC),
    pages=[
        [
            Heading("Welcome aboard"),
            Text(
                "Harbour Lane Rowing Club was founded in 1931 by nine dock clerks who shared one leaking gig and "
                "a key to the old ice house. The ice house is our boathouse still, the gig hangs over the bar, "
                "and the club has grown to 214 members between the ages of twelve and eighty-six."
            ),
            Text(
                "This handbook tells you what you need to know to row safely and to be good company. Please read "
                "it before your first outing. If something in it is unclear, ask the duty captain, who wears the "
                "yellow cap."
            ),
            Heading("Membership and fees"),
            Table(
                head=["Membership", "Who it is for", "Per year"],
                rows=[
                    ["Senior", "Members from 19 years", "£240"],
                    ["Student", "In full-time education, 16 to 25", "£110"],
                    ["Junior", "12 to 18 years, parent's consent needed", "£85"],
                    ["Family", "Two adults and all their juniors", "£430"],
                    ["Social", "Dry land only, and very welcome", "£35"],
                ],
                widths=[2, 5, 2],
            ),
            Text(
                "Fees are due on 1 March. Whoever joins after 1 August pays half. A racking space for a private "
                "boat costs £95 a year on top, and there are only 18 of them; the waiting list hangs beside the "
                "kettle."
            ),
            Note(
                "Every new member can swim 100 metres in light clothing. We test this in the Victoria Baths on "
                "the first Sunday of each month. There are no exceptions, however good your stroke."
            ),
        ],
        [
            Heading("When the boathouse is open"),
            Text(
                "From April to September the boathouse opens at 6:00 and the last boat must be back on its rack "
                "by 21:00. From October to March it opens at 7:30, and all boats come in half an hour before "
                "sunset. On Mondays it is closed until noon, when the juniors of St Brannock's School have the "
                "river."
            ),
            Heading("Safety on the water"),
            Points(
                [
                    "Sign the outing book before you launch and again when you are back. An empty second column "
                    "sends someone out to look for you.",
                    "Keep to starboard. The mill stream beyond the white posts is out of bounds at all times.",
                    "When the water is colder than 8 degrees, single sculls go out in pairs only, and everybody "
                    "wears a life-jacket.",
                    "When the river runs faster than 120 cubic metres a second, the red flag flies and nobody "
                    "rows. The gauge is on the second pier of Tanner's Bridge.",
                    "If you capsize, stay with the boat. It floats; you tire.",
                ]
            ),
            Heading("The flags"),
            Table(
                head=["Flag", "What it means"],
                rows=[
                    ["Green", "All crews may go out"],
                    ["Amber", "Only crews with a cox who has the river badge"],
                    ["Red", "The river is closed; the bar is not"],
                ],
                widths=[1, 4],
            ),
            Note("In an emergency call 999, then the safety launch on VHF channel 37. Its crew is on call all year."),
        ],
        [
            Heading("The fleet"),
            Text(
                "Club boats are named after birds of the estuary. Each has a badge level: do not take out a boat "
                "above your own, even if it stands nearest to the door."
            ),
            Table(
                head=["Boat", "Class", "Built", "Badge needed"],
                rows=[
                    ["Heron", "Eight", "2016", "River"],
                    ["Kittiwake", "Coxed four", "2009", "Novice"],
                    ["Avocet", "Quad scull", "2021", "River"],
                    ["Dunlin", "Double scull", "2018", "Novice"],
                    ["Sanderling", "Single scull", "2023", "Racing"],
                    ["Old Bess", "Clinker gig", "1927", "Ask the President"],
                ],
                widths=[3, 3, 2, 4],
            ),
            Heading("Booking a boat"),
            Text(
                "Boats are booked on the slate in the hall, at the earliest eight days ahead and for two hours at "
                "a time. A boat that is not on the water 20 minutes after its hour is free for anyone. Crews that "
                "train for a regatta may book the Avocet for the same hour each week until the regatta is over."
            ),
            Heading("After the outing"),
            Text(
                "Wash the hull with fresh water, wipe the slides, open the hatches, and put the oars back blade "
                "up. Write every knock and scratch in the damage book, which is green. Nobody has ever been "
                "thrown out for an honest entry. Repairs are done on Thursday evenings by Ottilie Marsh, our "
                "boatwright, who likes company and ginger biscuits."
            ),
        ],
        [
            Heading("The Lantern Regatta"),
            Text(
                "Our own regatta is rowed at dusk on the last Saturday of September, over 1,250 metres from "
                "Tanner's Bridge to the harbour light. Every boat carries a paper lantern at the bow; a crew "
                "whose lantern goes out is given a penalty of five seconds. The winners keep the Brass Lantern "
                "for a year. It was last won by the Kittiwake, in 4 minutes and 38 seconds."
            ),
            Heading("Learning to row"),
            Text(
                "The beginners' course has six Saturday mornings and starts in April, June and August. It costs "
                "£60, which is taken off your first year's fee if you join. There are twelve places. The Novice "
                "badge is given at its end; the River badge asks for 20 outings more and a short talk about the "
                "tide tables."
            ),
            Heading("Guests, dogs and kit"),
            Points(
                [
                    "A member may bring two guests, three times a year each. Guests sign the outing book too.",
                    "Dogs are welcome on the lawn, and on a lead in the bar, but not on the pontoon.",
                    "Club colours are dark blue with one white hoop. Kit is ordered in March and in September.",
                ]
            ),
            Heading("Who to ask"),
            Table(
                head=["Office", "Name", "Ask about"],
                rows=[
                    ["President", "Edmund Farrow", "Old Bess, and the history of everything"],
                    ["Captain", "Priya Nandakumar", "Crews, badges, racing"],
                    ["Safety officer", "Tom Ashdown", "Flags, launches, the swim test"],
                    ["Treasurer", "Wilhelmina Cole", "Fees and racking spaces"],
                ],
                widths=[3, 4, 6],
            ),
        ],
    ],
)

ESPRESSO = Document(
    filename="meridian-400-user-manual.pdf",
    title="Meridian 400 Espresso Machine",
    subtitle="User manual, model M400-E, second edition",
    colour=(122, 62, 34),
    created=datetime(2025, 5, 6, 9, 0, tzinfo=UTC),
    pages=[
        [
            Heading("Before you begin"),
            Text(
                "Thank you for choosing the Meridian 400. It is a machine with two boilers: one of 0.6 litres for "
                "coffee and one of 1.2 litres for steam, so that you can brew and froth milk at the same moment. "
                "Give it ten quiet minutes with this manual, and it will give you good coffee for many years."
            ),
            Heading("Technical data"),
            Table(
                head=["Property", "Value"],
                rows=[
                    ["Mains", "220 to 240 V, 50 Hz, 1,650 W"],
                    ["Water tank", "2.4 litres, removable"],
                    ["Pump", "Rotary, set to 9 bar"],
                    ["Brewing temperature", "93 °C, adjustable from 88 to 96 °C"],
                    ["Portafilter", "58 mm"],
                    ["Width, depth, height", "29 x 41 x 38 cm"],
                    ["Weight", "17.5 kg without water"],
                ],
                widths=[2, 4],
            ),
            Note(
                "Warning. The steam wand and the brewing group are hot enough to burn. Never take the portafilter "
                "out while the pump runs. Children under eight must not use the machine."
            ),
            Heading("In the box"),
            Text(
                "One machine, one portafilter with two spouts, baskets for one and two cups, a tamper, a blind "
                "basket for cleaning, a 350 ml milk jug, a strip to test your water, and this manual."
            ),
        ],
        [
            Heading("Setting up"),
            Points(
                [
                    "Place the machine on a level surface, at least 10 cm from the wall, and leave room above it "
                    "to lift out the tank.",
                    "Dip the test strip into your water for one second. Three red fields or more mean hard water: "
                    "use the filter cartridge CF-12.",
                    "Fill the tank with cold water to the line MAX and push it back until it clicks.",
                    "Switch on at the side. The ring lamp blinks white while the boilers fill, which takes about "
                    "90 seconds the first time.",
                    "When the ring lamp shines steadily, the machine is hot. That takes 11 minutes from cold.",
                    "Let two full tanks run through the group and the steam wand before you make the first coffee.",
                ],
                numbered=True,
            ),
            Heading("Setting the temperature"),
            Text(
                "Hold the cup button for three seconds, until the display shows the temperature. Each press of "
                "the plus or minus button changes it by half a degree. Light roasts like it hotter, dark roasts "
                "cooler. The setting is kept when the machine is switched off."
            ),
            Heading("Sleeping and waking"),
            Text(
                "After 45 minutes without use the machine goes to sleep and needs less than 1 W. To let it wake "
                "by itself, hold the clock button and choose a time: it will be hot at that time, and not begin "
                "to heat at it. The waking time can be set for weekdays and for the weekend separately."
            ),
        ],
        [
            Heading("Making espresso"),
            Text(
                "Our starting point for a double espresso: 18 grams of finely ground coffee in, 36 grams of "
                "espresso out, in 28 seconds, counted from the moment you press the button. Change one thing at a "
                "time."
            ),
            Table(
                head=["If the coffee is", "then"],
                rows=[
                    ["Sour, and through in less than 22 seconds", "Grind finer"],
                    ["Bitter, and slower than 35 seconds", "Grind coarser"],
                    ["Thin, although the time is right", "Use one gram more"],
                    ["Spurting at one side", "Spread the grounds evenly before you tamp"],
                ],
                widths=[3, 3],
            ),
            Heading("Pre-infusion"),
            Text(
                "The machine wets the coffee at 3 bar for four seconds before it goes to full pressure. For very "
                "fresh beans, lengthen this to eight seconds in the menu under PRE. To switch it off, choose "
                "zero."
            ),
            Heading("Frothing milk"),
            Points(
                [
                    "Fill the jug to just below the spout with milk from the refrigerator.",
                    "Open the steam for two seconds into the drip tray, to blow out the water.",
                    "Hold the tip just under the surface until the milk has grown by a third, then sink it.",
                    "Stop at 62 °C, when the jug is almost too hot to hold.",
                    "Wipe the wand at once with a damp cloth, and open the steam for one more second.",
                ],
                numbered=True,
            ),
            Text("Oat milk froths best cold and should not go above 55 °C, or it tastes of porridge."),
        ],
        [
            Heading("Cleaning"),
            Table(
                head=["When", "What to do"],
                rows=[
                    ["After each cup", "Rinse the group for two seconds, wipe the wand"],
                    ["Every evening", "Empty the drip tray; rinse with the blind basket, five times ten seconds"],
                    ["Every 200 cups", "Clean with one tablet of Meridian CleanTab in the blind basket"],
                    ["Every three months", "Change the filter cartridge CF-12"],
                    ["Once a year", "Renew the group seal (part M4-071)"],
                ],
                widths=[2, 5],
            ),
            Heading("Descaling"),
            Text(
                "The ring lamp turns orange when it is time to descale: after 150 litres with soft water, after "
                "60 litres with hard water. Descaling takes 35 minutes, and you cannot make coffee meanwhile."
            ),
            Points(
                [
                    "Switch off. Put 100 grams of citric acid in one litre of water into the tank.",
                    "Hold the cup button and the steam button together while you switch on. The display shows CAL.",
                    "Place a bowl of two litres under the group and press the cup button.",
                    "When the display shows RINSE, fill the tank with fresh water and press again.",
                    "When the ring lamp turns white, it is done.",
                ],
                numbered=True,
            ),
            Note("Never descale with vinegar. It eats the seals, and the guarantee does not cover them."),
        ],
        [
            Heading("When something is wrong"),
            Table(
                head=["Display", "Meaning", "What to do"],
                rows=[
                    ["E1", "No water", "Fill the tank and push it in until it clicks"],
                    ["E2", "Coffee boiler too hot", "Switch off for 30 minutes; if it comes back, call us"],
                    ["E3", "Pump runs dry", "Open the steam valve for ten seconds to let the air out"],
                    ["E5", "Drip tray missing", "Push the drip tray to the back"],
                    ["E7", "Temperature sensor broken", "Do not use the machine; call us"],
                ],
                widths=[2, 4, 7],
            ),
            Heading("Guarantee"),
            Text(
                "The guarantee is three years, and ten years on both boilers. It asks that the machine was "
                "descaled when the lamp asked for it; the machine counts this itself. Keep the receipt. Seals and "
                "cartridges are parts that wear and are not covered."
            ),
            Heading("Service"),
            Text(
                "Meridian Service, Gerberstrasse 14, 8001 Zürich. Telephone +41 44 555 01 40, Monday to Friday "
                "from 8 to 17 o'clock. Have the serial number ready: it is on the plate behind the water tank and "
                "begins with M4."
            ),
            Heading("At the end of its life"),
            Text(
                "Do not put the machine into the household waste. We take back every Meridian free of charge, and "
                "use 87 percent of its weight again."
            ),
        ],
    ],
)

NORDLYS = Document(
    filename="nordlys-station-annual-report-2025.pdf",
    title="Nordlys Station",
    subtitle="Annual field report 2025, Norwegian Arctic, 78° 14' N",
    colour=(32, 84, 84),
    created=datetime(2025, 12, 19, 9, 0, tzinfo=UTC),
    pages=[
        [
            Heading("The year in brief"),
            Text(
                "Nordlys Station was staffed on all 365 days of 2025, for the eleventh year in a row. Seven "
                "people wintered here and up to 23 worked here in summer. We recorded the warmest February since "
                "measurements began in 1998, counted fewer foxes and more geese, and lost one weather mast and no "
                "fingers."
            ),
            Points(
                [
                    "Aurora was seen on 117 nights, eleven more than in 2024.",
                    "The front of the Tverrbreen glacier drew back by 46 metres.",
                    "The new wind turbine delivered 38 percent of our electricity.",
                    "The station's data were used in 19 published papers.",
                ]
            ),
            Heading("The people"),
            Table(
                head=["Name", "Task", "Winters here"],
                rows=[
                    ["Ingrid Solheim", "Station leader", "6"],
                    ["Mateusz Kowal", "Glaciology", "2"],
                    ["Aiko Tanabe", "Upper atmosphere", "3"],
                    ["Jonas Lunde", "Mechanic and cook", "9"],
                    ["Sanna Aikio", "Wildlife", "1"],
                ],
                widths=[3, 4, 2],
            ),
            Text(
                "Two dogs, Pepper and Tikka, keep watch for bears. Tikka retires in spring, and will live with "
                "the postmaster of Longyearbyen."
            ),
        ],
        [
            Heading("Weather"),
            Text(
                "The mean temperature of the year was -4.1 °C. The coldest hour was on 9 March with -31.6 °C; the "
                "warmest on 22 July with 14.8 °C. It rained on four days in February, which made a crust of ice "
                "that the reindeer could not break."
            ),
            Table(
                head=["Quarter", "Mean temperature", "Precipitation", "Strongest gust"],
                rows=[
                    ["January to March", "-11.2 °C", "71 mm", "38 m/s"],
                    ["April to June", "-3.9 °C", "34 mm", "27 m/s"],
                    ["July to September", "5.6 °C", "58 mm", "24 m/s"],
                    ["October to December", "-6.9 °C", "66 mm", "41 m/s"],
                ],
                widths=[4, 3, 3, 3],
            ),
            Heading("The storm of 17 November"),
            Text(
                "The gust of 41 metres a second came at 3:20 in the night and broke the western mast at its "
                "second joint. The anemometer was found two days later on the beach, 600 metres away, and works. "
                "Until the new mast is raised in May, wind is measured on the roof of the boat shed."
            ),
            Heading("Sea ice"),
            Text(
                "The fjord froze on 28 January and was free on 14 May: 106 days, the second-shortest ice season "
                "on record. The ice was thickest on 2 April, with 64 centimetres at the measuring hole."
            ),
        ],
        [
            Heading("Wildlife"),
            Table(
                head=["Species", "2024", "2025", "How counted"],
                rows=[
                    ["Polar bear (visits)", "14", "9", "Cameras and watch book"],
                    ["Arctic fox (dens in use)", "8", "5", "On foot, in June"],
                    ["Svalbard reindeer", "311", "274", "From the ridge, in April"],
                    ["Barnacle goose (nests)", "402", "467", "On foot, in June"],
                    ["Walrus (largest group)", "31", "44", "Drone, in August"],
                ],
                widths=[5, 2, 2, 5],
            ),
            Text(
                "The rain of February explains the reindeer: calves were few, and 23 animals were found dead "
                "within sight of the station. The foxes went hungry in their turn. There are no lemmings here, as "
                "every new colleague must be told; the foxes live on birds, and this year the birds came nine "
                "days late."
            ),
            Heading("The aurora"),
            Text(
                "The all-sky camera took 1.9 million pictures. The strongest display was on 1 June, and nobody "
                "saw it: the sun does not set here between 19 April and 24 August. The strongest one in the dark "
                "was on 12 November, when it was bright enough to read the label on a tin of peaches."
            ),
            Heading("The glacier"),
            Text(
                "Twenty-two stakes were drilled into Tverrbreen in April. By September they stood 1.34 metres "
                "further out of the ice on average. Stake 17 fell into a crevasse and will be missed."
            ),
        ],
        [
            Heading("Energy and supplies"),
            Text(
                "The station used 412 megawatt-hours. The turbine that was raised in May 2024 had its first full "
                "year and gave 38 percent; the sun gave 9 percent, and diesel the rest. We burned 61,000 litres, "
                "a quarter less than the year before. The supply ship Polarfront came on 11 June and on 3 "
                "September."
            ),
            Heading("Money"),
            Table(
                head=["Item", "Thousand kroner"],
                rows=[
                    ["Wages", "9,840"],
                    ["Fuel and supplies", "3,120"],
                    ["Instruments", "2,275"],
                    ["Repairs, with the western mast", "1,410"],
                    ["Total", "16,645"],
                ],
                widths=[4, 2],
            ),
            Heading("Incidents"),
            Text(
                "There was one injury that needed a doctor: a wrist, broken on the ice in front of the sauna. The "
                "rescue helicopter was called once, on 6 August, for a sailing crew who had run aground at Kapp "
                "Mitra. Bears were driven off with flares nine times; no shot was fired."
            ),
            Heading("Plans for 2026"),
            Points(
                [
                    "Raise a new western mast of 30 metres, with heated anemometers.",
                    "Replace the snowmobiles by electric ones, beginning with two of six.",
                    "Drill a core of 80 metres in Tverrbreen together with the University of Kraków.",
                    "Find a successor for Tikka.",
                ]
            ),
        ],
    ],
)

TRAVEL = Document(
    filename="acme-widget-travel-policy.pdf",
    title="Acme Widget Co.",
    subtitle="Employee travel policy, in force from 1 January 2026",
    colour=(88, 58, 110),
    created=datetime(2025, 11, 3, 9, 0, tzinfo=UTC),
    pages=[
        [
            Heading("1  The idea"),
            Text(
                "Travel when meeting in person is worth it; stay at home when a call will do. Spend the company's "
                "money as if it were your own and you were neither mean nor rich. Where this policy is silent, "
                "use your judgement and write one sentence about it in the report."
            ),
            Heading("2  Approval"),
            Points(
                [
                    "Trips of up to £600 in total need nobody's approval. Put them into the shared calendar.",
                    "Trips above £600 are approved by your team lead, who answers within two working days.",
                    "Trips outside Europe are also approved by the travel desk, at least 21 days ahead.",
                ]
            ),
            Heading("3  Getting there"),
            Text(
                "Take the train whenever the journey takes less than five hours. First class is fine on trains if "
                "you work on the way. Flights are booked in economy; premium economy may be booked when a flight "
                "is longer than seven hours. Nobody flies business class, the founders included."
            ),
            Text(
                "In your own car you are paid 45 pence a mile for the first 10,000 miles of a year and 25 pence "
                "after that. Hire cars are of the compact class, and electric where there is a choice."
            ),
            Note(
                "Book through the travel desk (travel@acme-widget.example, extension 4410). What is booked "
                "elsewhere is paid back only if it was cheaper or the desk was closed."
            ),
        ],
        [
            Heading("4  Where you stay"),
            Text(
                "Choose a place that is safe, quiet and near your work. The amounts below are limits for a night "
                "with breakfast. If you stay with friends, we give you £30 a night to buy them dinner."
            ),
            Table(
                head=["Place", "Hotel, a night", "Meals, a day"],
                rows=[
                    ["London, Paris, Zürich", "£210", "£58"],
                    ["Other places in Europe", "£150", "£45"],
                    ["New York, San Francisco, Tokyo", "£260", "£70"],
                    ["Elsewhere", "£140", "£40"],
                ],
                widths=[4, 2, 2],
            ),
            Heading("5  Meals and guests"),
            Text(
                "The daily amount for meals needs no receipts. On the first and the last day of a trip it is "
                "three quarters. If you take out a customer, keep the receipt and write the names on it; up to "
                "£75 a head is fine without asking. Alcohol is paid for only when a customer is at the table."
            ),
            Heading("6  Long trips"),
            Text(
                "After 14 nights away you may fly home for a weekend at our cost, or have someone visit you for "
                "the same price. Laundry is paid from the fifth night on. For each weekend day that you spend "
                "travelling you get half a day off, to be taken within eight weeks."
            ),
        ],
        [
            Heading("7  Getting your money back"),
            Text(
                "Hand in the report within 30 days of your return, in the tool called Pennywise. Receipts are "
                "needed for everything above £20; a photograph is enough. Reports that come before the 20th are "
                "paid with that month's salary. After 90 days nothing is paid any more, so please do not wait."
            ),
            Table(
                head=["Paid", "Not paid"],
                rows=[
                    ["Wi-Fi on planes and trains", "Minibar, films, spa"],
                    ["One checked bag, two on trips over a week", "Seat upgrades without approval"],
                    ["Visas and vaccinations", "Parking and speeding fines"],
                    ["A taxi after 21:00 or with heavy bags", "Taxis where a train is as quick"],
                ],
                widths=[1, 1],
            ),
            Heading("8  Safety"),
            Text(
                "Your safety comes before any meeting. You may cancel or leave a trip at any time when you feel "
                "unsafe, and nobody will ask you to pay. The help line of our insurer, Harcourt Assist, answers "
                "day and night: +44 20 5550 0199, policy number AW-77310. It covers you from door to door, and a "
                "partner who travels with you."
            ),
            Heading("9  The climate"),
            Text(
                "Each team has a carbon budget: 1.2 tonnes a person in 2026, a tenth less each year. The travel "
                "desk shows what is left of it with every booking. We do not buy offsets, because we do not "
                "believe in most of them; we put £50 for each flown tonne into the insulation of our own "
                "warehouse."
            ),
            Text("Questions, and ideas to make this shorter: Marguerite Oyelaran, travel desk."),
        ],
    ],
)

DOCUMENTS = (HANDBOOK, ESPRESSO, NORDLYS, TRAVEL)
