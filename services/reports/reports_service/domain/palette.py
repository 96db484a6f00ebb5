"""The colours of the unit's reports. Nothing is drawn here."""

NAVY = "#14284B"
GREEN = "#4B5B2A"
GOLD = "#B8902F"
PALE_GOLD = "#F3EBD3"
STRIPE = "#F5F7FA"
LINE = "#C3CAD5"
GREY = "#5A6475"
BLACK = "#16181D"
WHITE = "#FFFFFF"
RED = "#A32A1E"

PRESENT, LATE, EXCUSED, ABSENT = "#3E7D4A", "#D29A2B", "#5B7DB1", "#A32A1E"

#: Colour of a row's letters by its tone.
TONES = {"": BLACK, "bad": RED, "quiet": GREY}
