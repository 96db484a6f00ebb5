"""How large a file may be. Why it is refused is said where it is read."""

MB = 1024 * 1024
MAX_BYTES = 20 * MB
#: 100,000 cadets are fifty times the unit; a file beyond this is a mistake.
MAX_ROWS = 200_000
MAX_COLUMNS = 100
#: Among so many filled rows the one that names the columns is looked for.
TITLE_ROWS = 20
#: What a cell of a spreadsheet can hold.
MAX_CELL = 32_767
#: Characters; a row with every cell full is no row of people.
MAX_LINE = 1_000_000
#: Characters of a workbook's cells; repeated texts stand in it once, so a small file can become a large one.
MAX_TEXT = 32_000_000
