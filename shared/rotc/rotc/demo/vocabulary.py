"""The words the demo data is made of: names, places, courses, reasons. No chance and no dates here."""

FEMALE_NAMES = (
    "Althea", "Andrea", "Angelica", "Bea", "Bianca", "Cherry Mae", "Clarisse", "Danica", "Desirée", "Fatima",
    "Hannah", "Inés", "Jasmine", "Jenny Rose", "Joanna Marie", "Kathleen", "Krizia", "Lovely Joy", "Maricel",
    "Mary Grace", "Norhanie", "Princess", "Rachelle", "Rizza Mae", "Sittie Aisah", "Sofía", "Trisha", "Vanessa",
    "Zenaida",
)  # fmt: skip
MALE_NAMES = (
    "Abdul Rahman", "Adrián", "Aldrin", "Alnor", "Angelo", "Bryan", "Carlo", "Christian", "Daryl", "Emmanuel", "Gian",
    "Harold", "Ian Jay", "Jayson", "Jericho", "Jhon Mark", "John Paul", "José Miguel", "Joshua", "Kenneth", "Kurt",
    "Lorenzo", "Mark Anthony", "Mohaimen", "Nathaniel", "Norodin", "Paolo", "Ramón", "Reymark", "Rodel", "Vincent",
)  # fmt: skip
SURNAMES = (
    "Abdulmalik", "Acuña", "Aguilar", "Alonto", "Bacarisas", "Bañaga", "Bautista", "Cabahug", "Castañeda", "Dagohoy",
    "Dela Cruz", "De Guzman", "Dumalagan", "Escaño", "Espinosa", "Fernández", "Gabriel", "Garcia", "Ibañez",
    "Jumamoy", "Labadan", "Lumantas", "Macaraya", "Magsayo", "Mangotara", "Manalo", "Mercado", "Montañez", "Muñoz",
    "Navarro", "Nuñez", "Ocampo", "Omar", "Pacaldo", "Peñaflor", "Piñero", "Quiñones", "Ramos", "Rosales", "Salazar",
    "Sarip", "Tagalog", "Tumanda", "Ungab", "Valdez", "Villaseñor", "Yanong", "Zuñiga",
)  # fmt: skip
SUFFIXES = ("Jr.", "II", "III")

TOWNS = (
    "Maigo", "Kolambugan", "Bacolod", "Kauswagan", "Tubod", "Baroy", "Lala", "Kapatagan", "Linamon", "Salvador",
)  # fmt: skip
PROVINCE = "Lanao del Norte"
COURSES = (
    "BS Agriculture", "BS Fisheries", "BS Forestry", "BS Information Technology", "BS Business Administration",
    "Bachelor of Elementary Education", "Bachelor of Secondary Education", "AB English",
)  # fmt: skip
LANGUAGES = ("Filipino, Bisaya, English", "Filipino, Maranao, English", "Filipino, Bisaya, Maranao, English")
BLOOD_TYPES = ("O+", "O+", "O+", "A+", "A+", "B+", "B+", "AB+", "O-")

COMPANIES = ("Alpha", "Bravo", "Charlie", "Delta", "HQSCOY")
PLATOONS = ("1st Platoon", "2nd Platoon")
UNIT = "MSU-SND ROTC Unit"
MOBILIZATION_CENTER = "1002nd CDC"

#: (first name, last name, rank, role, afpsn) of the training staff; the first one answers for the records.
STAFF = (
    ("Teodoro", "Ibañez", "MSgt", "Tactical NCO", "800101"),
    ("Marilou", "Castañeda", "TSgt", "Training NCO", "800102"),
    ("Saidali", "Macaraya", "SSgt", "Supply NCO", "800103"),
)
#: User names of the admins.
ADMINS = ("commandant", "registrar")

#: Title and description of the training days, in the order of a semester; there are as many days as titles.
TRAINING_DAYS = (
    ("Day 1: Orientation", "Rules of the unit, issue of equipment, assignment to platoons."),
    ("Day 2: Courtesy and discipline", "Salutes, reporting, forms of address."),
    ("Day 3: Drill without arms", "Positions, facings, steps and marchings."),
    ("Day 4: Squad drill", "Formations of the squad."),
    ("Day 5: Platoon drill", "Formations of the platoon."),
    ("Day 6: Military history", "Lecture and quiz."),
    ("Day 7: Map reading I", "Signs, scales, grid coordinates."),
    ("Day 8: Map reading II", "Compass work on the campus."),
    ("Day 9: Midterm examination", "Written and practical."),
    ("Day 10: First aid", "Bandages, carries, heat injuries."),
    ("Day 11: Basic life support", "Practice on manikins."),
    ("Day 12: Disaster preparedness", "Earthquake and flood drill with the local responders."),
    ("Day 13: Civic action", "Clean-up of the shore at Maigo."),
    ("Day 14: Company drill", "Rehearsal for the review."),
    ("Day 15: Final examination", "Written examination and passing in review."),
)
PARADE_GROUND = "University parade ground"

EXCUSES = (
    "Fever since Thursday; the clinic advised two days of rest.",
    "Burial of my grandmother in Kapatagan.",
    "Sprained ankle at the intramurals, medical certificate attached.",
    "The road at Linamon was flooded and no vehicle could pass.",
    "Represented the college at the regional quiz bee.",
    "Dengue, confined at the provincial hospital.",
    "Eid prayer with the family; letter of the imam attached.",
    "No one else could bring my mother to her check-up.",
)
#: (points, reason) of what is praised and of what is not.
MERITS = (
    (5, "Volunteered for the clean-up of the shore"), (3, "Best in drill of the platoon"),
    (2, "Complete uniform at inspection"),
    (10, "First aid to an injured fellow cadet"), (4, "Guidon bearer at the foundation day"), (5, "Blood donation"),
)  # fmt: skip
DEMERITS = (
    (2, "Late at first formation"), (3, "Improper haircut"), (2, "Incomplete uniform"),
    (5, "Left the formation without leave"), (1, "Boots not polished"),
)  # fmt: skip

#: (days after the first training day, title, description, type).
ACTIVITIES = (
    (8, "Tree planting at the watershed", "Three hundred narra and mahogany planted.", "activity"),
    (22, "Blood donation drive", "Forty-one bags collected with the Red Cross.", "activity"),
    (36, "Second place, regional drill competition", "The Alpha platoon placed second of eleven units.", "achievement"),
    (50, "Foundation day parade", "The whole unit passed in review.", "event"),
    (71, "Relief goods for Kolambugan", "Packing and hauling after the flood.", "activity"),
    (99, "Recognition day", "Merit ribbons awarded to cadets of the semester.", "event"),
)
