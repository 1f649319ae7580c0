"""The words that say what a column is: a time, a part of one, a date, an identifier, a code, a unit, a part of a split.

All of them, in whatever languages, are here, and every other module asks by name: `time_name`, `is_clock`, `is_named`,
`is_code`, `unit_in` and so on. Nothing here looks at what a column holds.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache

# Times

_UNITS_OF_TIME = {
    **dict.fromkeys("ns nsec nsecs nanosec nanosecs nanosecond nanoseconds nanos".split(), "ns"),
    **dict.fromkeys("us µs usec usecs microsec microsecs microsecond microseconds micros".split(), "us"),
    **dict.fromkeys("ms msec msecs millisec millisecs millisecond milliseconds millis".split(), "ms"),
    **dict.fromkeys("s sec secs second seconds sek sekunde sekunden segundos secondes secondi".split(), "s"),
    **dict.fromkeys("min mins minute minutes minuten minutos minuti".split(), "min"),
    **dict.fromkeys("h hr hrs hour hours std stunde stunden heures horas ore".split(), "h"),
    **dict.fromkeys("d day days tag tage jours dias giorni".split(), "d"),
    **dict.fromkeys("week weeks wk wks wochen semaines".split(), "week"),
    **dict.fromkeys("month months monate mois".split(), "month"),
    **dict.fromkeys("year years jahre".split(), "year"),
}
_UNITS_OF_TIME = {unit.casefold(): short for unit, short in _UNITS_OF_TIME.items()}
_WORDS_OF_TIME = frozenset(
    "time timestamp date datetime t ts seconds step epoch elapsed uptime zeit zeitpunkt zeitstempel uhrzeit datum "
    "temps horodatage tiempo fecha tempo tijd tijdstip tid tidspunkt czas čas cas idő zaman aika время 时间 時間 "
    "日期 日時 日付 時刻".split()
)
_BESIDE_TIME = frozenset(
    "elapsed relative rel unix posix sample sampling utc gmt local system sys measurement recording log logger stamp "
    "test run experiment session simulation sim process trial block epoch "
    "cycle cycles in since from start begin beginning after the of admission verstrichene vergangene".split()
)
_SINCE = frozenset("elapsed relative rel since from after post verstrichene vergangene".split())
_EVENTS = frozenset(
    "baseline randomization randomisation enrollment enrolment inclusion onset symptom diagnosis dose dosing infusion "
    "injection surgery operation treatment therapy discharge transplant birth icu hospital study trial first last "
    "visit".split()
)
_STUDY_DAY = re.compile(
    r"(?:study|trial|treatment|protocol|visit)[ _.]?(?:day|week)s?|"
    r"(?:day|week)s?[ _](?:on|in|of)[ _](?:study|trial|treatment)|"
    r"(?:A|VISIT|AE|AG|BE|CE|CM|CV|DA|DS|DV|EC|EG|EX|FA|FT|HO|IE|IS|LB|MB|MH|MI|MK|ML|MS|NV|OE|PC|PE|PP|PR|QS|RE|RS|"
    r"SC|SS|SU|SV|TR|TU|UR|VS)(?:ST|EN)?DY",
    re.I,
)
"""Days of a clinical study, and what CDISC calls them, which counts ... -2, -1, 1, 2 ... without a day 0."""


@dataclass(frozen=True)
class TimeName:
    """What a column's name says where it is that of a time, such as ``Zeit [s]`` or ``elapsed_minutes``.

    Attributes:
        unit: of the time, in short, such as ``ms``; None where the name gives none.
    """

    unit: str | None


def time_name(name: str) -> TimeName | None:
    """Read a column's name as that of a time; None for all others, also for those of parts such as hour or day.

    Example:
        >>> time_name("Uptime (h)"), time_name("t1")
        (TimeName(unit='h'), None)
    """
    if any(letter.isdigit() for letter in name):
        return None
    words = split(name)
    if sas := sas_unit(name):
        return TimeName(sas)
    if _STUDY_DAY.fullmatch(" ".join(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).split())):
        return TimeName("week" if "week" in name.casefold() else "d")
    units = [_UNITS_OF_TIME[word] for word in words if word in _UNITS_OF_TIME]
    since = bool(_SINCE.intersection(words))
    known = (_UNITS_OF_TIME, _WORDS_OF_TIME, _BESIDE_TIME, _SINCE, _EVENTS if since else ())
    if not all(any(word in some for some in known) for word in words):
        return None
    named = bool(_WORDS_OF_TIME.intersection(words)) or (bool(units) and since)
    return TimeName(units[-1] if units else None) if named else None


_FEWEST_IN_HEADER = 4
_YEAR_IN_HEADER = r"(?:1[7-9]|2[01])\d\d(?:[-/.]?\d{1,2}(?:[-/.]?\d{1,2}(?:[T ].*)?)?)?"
_NUMBER = r"\d{3,}(?:\.\d+)?"
_CLOCK_IN_HEADER = r"\d{1,2}:\d{2}(?::\d{2})?"
_MONTH_IN_HEADER = (
    r"(?i:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec|mrz|mär|mai|okt|dez)(?:\.|[a-zä]{2,6})?(?:[ _-]?\d{2,4})?"
)


def in_header(names: Collection[str]) -> list[str]:
    """Names that are times one after another, as those of the columns of a wide table; empty where they are few."""
    hours = {
        name: int(found[1]) for name in names if (found := re.fullmatch(r"(?:h|hr|he|hh)[ _]?(\d{1,2})", name, re.I))
    }
    if [*hours.values()] in ([*range(24)], [*range(1, 25)]):
        return [*hours]
    for form in (
        _YEAR_IN_HEADER,
        r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}",
        _CLOCK_IN_HEADER,
        _MONTH_IN_HEADER,
    ):
        times = [name for name in names if re.fullmatch(form, name.strip())]
        # Beside 1100 and 2450, 1900 is a wavelength.
        beyond = form == _YEAR_IN_HEADER and any(re.fullmatch(_NUMBER, name.strip()) for name in {*names} - {*times})
        if len(times) >= _FEWEST_IN_HEADER and not beyond:
            return times
    # Such as t0, t1, ..., week 1, week 2, ... or weight_t1, weight_t2, ...
    of_word: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        if found := re.fullmatch(
            r"((?-i:t)|w|.*[ _.-][twmh]|"
            r"(?:.*[ _.-])?(?:time|day|week|wk|month|year|hour|he|wave|visit|tag|woche|jour|semaine)s?)"
            r"[ _.-]?(\d{1,4})|(.*[ _.-])((?:19|20)\d\d)",
            name.strip(),
            re.I,
        ):
            of_word.setdefault((found[1] or found[3]).casefold(), []).append((int(found[2] or found[4]), name))
    for word, found in of_word.items():
        numbers = [number for number, _ in found]
        # Single letters may number anything; times follow one another.
        single = re.fullmatch(r"(?:.*[ _.-])?[twmh]", word)
        if len(numbers) >= _FEWEST_IN_HEADER and (not single or numbers == sorted(set(numbers))):
            return [name for _, name in found]
    return []


_SOMEBODY = (
    r"subj(?:ect)?|sub|pat(?:ient)?|participant|person|proband|teilnehmer|vp|user|player|athlete|student|driver|animal|"
    r"mouse|rat|cow|horse|dog|house|household|home|store|shop|machine|customer|client"
)


def of_somebody(names: Collection[str]) -> list[str]:
    """Names that number subjects, as those of the columns of a table with one for each; empty where they are few.

    Example:
        >>> of_somebody(["t", "subj01", "subj02", "subj03", "subj04"]), of_somebody(["p1", "p2", "p3", "p4"])
        (['subj01', 'subj02', 'subj03', 'subj04'], [])
    """
    # Letters alone may number sensors or pressures, but hardly with several quantities of each.
    for who, quantities in ((rf"(?:.*[ _.-])?(?:{_SOMEBODY})", 1), (r".*[ _.-][ps]", 2)):
        of_number: dict[tuple[str, int], list[str]] = {}
        for name in names:
            if found := re.fullmatch(rf"(?P<what>{who})[ _.-]?(?P<number>\d{{1,4}})", name.strip(), re.I):
                of_number.setdefault((found["what"].casefold(), int(found["number"])), []).append(name)
        whats = {what for what, _ in of_number}
        if len(whats) >= quantities and len(of_number) >= _FEWEST_IN_HEADER and len(of_number) >= 3 * len(whats):
            return [name for of in of_number.values() for name in of]
    return []


def divide_days_or_years(names: Collection[str]) -> bool:
    """Whether names of columns are those of the hours of a day, or of the months of a year."""
    forms = rf"{_CLOCK_IN_HEADER}|(?:h|he|hours?)[ _]?\d{{1,2}}", _MONTH_IN_HEADER
    return len(names) >= 12 and any(all(re.fullmatch(form, name.strip(), re.I) for name in names) for form in forms)


def is_study_day(name: str) -> bool:
    """Whether a column's name is one of CDISC's for days of a study, which has no day 0."""
    return bool(_STUDY_DAY.fullmatch(name)) and name.upper().endswith("DY")


def unit_of_time(word: str) -> str | None:
    """A unit of time in short, such as ``min`` for ``minutes``; None for other words."""
    return _UNITS_OF_TIME.get(word.casefold())


def counts_samples(name: str) -> bool:
    """Whether a column's name is that of numbers of samples, such as the frames of a video or the waves of a survey."""
    form = (
        r"(?:frame|(?:survey|panel)?[ _]?wave|(?:erhebungs|befragungs)?welle|vague|ola|round|occasion|"
        r"time[ _]?point|scan)[ _.-]?(?:id|no|nr|num|number|index)?"
    )
    return bool(re.fullmatch(form, name.strip(), re.I))


def numbers_rows(name: str) -> bool:
    """Whether a column's name is one for the numbers of rows, in a table or of each subject, or there is no name."""
    form = (
        r"(?:row|line|record|rec|sample|obs|observation|frame|step|cycle|visit|trial|index|idx|seq|sequence|order|wave|"
        r"round|occasion|scan|time[ _]?point|zeile|lfd|messung)?[ _.-]?(?:id|no|nr|num|number|index|idx|nummer)?\.?|"
        r"unnamed(?: column|:) ?\d+|level_\d"
    )
    return bool(re.fullmatch(form, name.strip(), re.I))


def may_number_persons(name: str) -> bool:
    """Whether a column's name is one for numbers of rows or of cases, which may be those of persons as well.

    Example:
        >>> may_number_persons("id"), may_number_persons("Case No"), may_number_persons("frame")
        (True, True, False)
    """
    form = r"(?:case|record|rec|obs|observation|row|lfd|fall)?[ _.-]?(?:id|no|nr|num|number|nummer|index|idx|#)?\.?"
    return bool(name.strip()) and bool(re.fullmatch(form, name.strip(), re.I))


def is_saved_index(name: str) -> bool:
    """Whether a column has no name, as the index of a table that pandas has saved."""
    return bool(re.fullmatch(r"unnamed(?: column|:) ?\d+|level_\d|index", name.strip(), re.I))


def may_go_on(name: str) -> str | None:
    """The part of a time, such as ``hour``, of a name under which its numbers may go on beyond it; None for others."""
    found = re.fullmatch(r"(?:(?:study|trial|relative|rel)[ _]?)?(second|minute|hour|day)s?", name.strip(), re.I)
    return found[1].lower() if found else None


# Dates and clocks in figures

# Words for what a clock shows: those that mean nothing else, and those that may count as well.
_CLOCK = "clock(?:[ _]time)?|uhrzeit|klokke(?:slett|slæt|n)?|klockslag|kellonaika"
_HOUR = (
    "heure|hora|ora|orario|horaire|hor[áa]rio|tid|tidspunkt|tijd|tijdstip|zeit|czas|godzina|čas|saat|время|时间|時間|"
    "시간"
)
# Numbers are looked at where the name speaks of time; where it speaks of days, they may count them.
_OF_TIME = re.compile(
    r"date|time|stamp|epoch|unix|datum|fecha|yyyy|ymd|period|month|"
    rf"(?:^|[ _])(?:ts|t|utc|{_CLOCK}|{_HOUR})(?:$|[ _])",
    re.I,
)
_OF_DATES = re.compile(
    r"(?:.*[ _])?(?:date|dates|date_?num|date[ _/]?time|datum|serial|excel|m?jd|julian(?:[ _]date)?)(?:[ _]?\w+)?", re.I
)
_HHMM = "hh:?mm(?::?ss)?"
_IN_HOURS_AND_MINUTES = re.compile(rf"(?:.*[ _(])?{_HHMM}(?:[ _)].*)?", re.I)
_OF_CLOCKS = re.compile(rf"(?:.*[ _(])?(?:{_HHMM}|{_CLOCK})(?:[ _)].*)?", re.I)
_MAY_BE_CLOCK = re.compile(rf"(?:.*[ _])?(?:time|hour|hr|stunde|{_CLOCK}|{_HOUR})(?:[ _].*)?", re.I)
_DURATIONS = frozenset(
    "response reaction run running wait waiting lead travel trip ride journey transit flight air processing execution "
    "execute cpu cycle dwell residence service delay downtime uptime turnaround total remaining left recovery exposure "
    "half settling rise fall decay lag latency loading load idle drive screen sleep play playing split lap duration "
    "elapsed relative since survival followup pace race dauer laufzeit fahrzeit gehzeit wartezeit spielzeit duree "
    "durée duracion duración durata length länge laenge".split()
)
"""Words that make a time an amount of it."""
_OTHER_DATES = frozenset(
    "birth born dob birthday birthdate geboren geburt geburtsdatum geburtstag naissance nacimiento death dod died "
    "todesdatum hire hired eintrittsdatum erstzulassung registration registered installed manufactured founded built "
    "baujahr graduation expiry expires expiration due deadline lieferdatum".split()
)
"""Words for dates of whom or of what a row is."""
_HANDLING = frozenset(
    "import imported created creation updated update modified changed inserted ingested ingest received receipt stored "
    "storetime saved uploaded upload exported export processed published issued download downloaded server end ende "
    "ended until bis fin".split()
)
"""Words for times of what was done with a row later, or of its end."""
_OF_EVENTS = frozenset(
    "sunrise sunset dawn dusk moonrise moonset bed bedtime asleep wake wakeup peak sonnenaufgang "
    "sonnenuntergang".split()
)
"""Words that make a clock that of an event of the day, and not of the row."""
_OF_RUNS = frozenset(
    "distance distances distanz strecke laufstrecke km kms kilometers kilometres kilometer miles pace race rennen "
    "wettkampf lap laps stroke strokes runner läufer athlete athletes swimmer rider cyclist rower skater skier horse "
    "jockey bib place placing rank finish calories kcal cadence ascent".split()
)
"""Words for what is noted of a run, a race or a training, beside how long it took."""
_OF_MOMENTS = frozenset(
    "start started begin begun beginn end ended stop at clock obs observed observation sample sampling "
    "sampled measured measurement recorded logged local utc gmt stamp day".split()
)
"""Words that make a time the moment of something."""
_UNIT_BEHIND = re.compile(r".*[ _\[(](ns|us|ms|s|sec|seconds|min|minutes|h|hours|d|days)[\])]?$", re.I)
_OF_MINUTES = re.compile(r"(?:.*[ _(\[])?(?:mm?:ss?|min:s(?:ec)?)(?:[ _.)\]].*)?", re.I)
"""Names that say that clocks are minutes and seconds."""
_OF_SAS = re.compile(r"A(?:ST|EN)?DT(M)?", re.I)
"""Dates and moments as CDISC calls them, which SAS counts from 1960 in days and in seconds."""


def speaks_of_time(name: str) -> bool:
    """Whether a name speaks of a time, though it may be another's than a row's."""
    return bool(_OF_TIME.search(name))


def may_be_clock(name: str) -> bool:
    """Whether a name is one that clocks have, in some language, and not that of an amount of time."""
    return bool(_MAY_BE_CLOCK.fullmatch(name)) and not is_amount(name)


def may_divide_days(name: str) -> bool:
    """Whether a name is one that equal parts of a day have, such as the settlement periods of a market."""
    return bool(
        _DAY_PERIODS.fullmatch(re.sub(r"[ _]?(?:no|nr|num|number|id|idx|index)$", "", name.strip(), flags=re.I))
    )


def divides_months(name: str) -> bool:
    """Whether a name is one of the thirds of a month."""
    return bool(_THIRDS_OF_MONTHS.fullmatch(name.strip()))


def counts_from_midnight(name: str) -> str | None:
    """The unit, in short, in which a name says that numbers count from midnight, such as ``minute_of_day``, or None."""
    found = _OF_DAY.fullmatch(name.strip())
    return None if found is None else {"m": "min", "s": "s"}[next(filter(None, found.groups()))[0].lower()]


def tells_when(name: str) -> bool:
    """Whether a name is that of a time, of a clock, or of a part of one, in some language, or of a shift or the like.

    Example:
        >>> tells_when("OPR_HR"), tells_when("lead_min"), tells_when("slot"), tells_when("leader")
        (True, True, True, False)
    """
    parts = split(name)
    return (
        bool(time_name(name) or is_part(name) or is_clock(name) or may_be_clock(name) or unit_of_time(name))
        or may_divide_days(name)
        or divides_months(name)
        or counts_from_midnight(name) is not None
        or not _WHEN.isdisjoint(parts)
        or any(is_part_named("hour", bare) for _, bare in with_owners(name))
        or (parts[:1] == ["lead"] and parts[1:2] != [] and unit_of_time(parts[1]) is not None)
    )


def is_amount(name: str) -> bool:
    """Whether a word of a name makes its time an amount, such as a response time, and not when something was."""
    return not _DURATIONS.isdisjoint(split(name))


def is_of_another_date(name: str) -> bool:
    """Whether a name is that of a date of something else than the row, such as a birth or a registration.

    Example:
        >>> is_of_another_date("date_of_birth"), is_of_another_date("Erstzulassung"), is_of_another_date("date")
        (True, True, False)
    """
    return not _OTHER_DATES.isdisjoint(split(name))


def is_of_handling(name: str) -> bool:
    """Whether a name is that of a time at which a row was written, stored or sent, after it was measured."""
    return not _HANDLING.isdisjoint(split(name))


def is_of_an_event(name: str) -> bool:
    """Whether a name is that of a clock of something else than the row, such as a sunrise."""
    return not _OF_EVENTS.isdisjoint(split(name))


def may_be_length(name: str) -> bool:
    """Whether a name of clocks may be that of lengths of time: ``Time``, but not ``Uhrzeit`` or ``start_time``."""
    return not is_clock(name) and _OF_MOMENTS.isdisjoint(split(name))


def are_of_runs(names: Iterable[str]) -> bool:
    """Whether a name is that of what is noted of a run or a race, such as its distance."""
    return any(not _OF_RUNS.isdisjoint(split(name)) for name in names)


def speaks_of_dates(name: str) -> bool:
    """Whether a name is that of dates, so that its numbers may be days since some date."""
    return bool(_OF_DATES.fullmatch(name))


def is_clock(name: str) -> bool:
    """Whether a name can be that of a clock alone."""
    return bool(_OF_CLOCKS.fullmatch(name))


def in_hours_and_minutes(name: str) -> bool:
    """Whether a name says that a clock is written as HHMM or HHMMSS."""
    return bool(_IN_HOURS_AND_MINUTES.fullmatch(name))


def in_minutes_and_seconds(name: str) -> bool:
    """Whether a name says that clocks are minutes and seconds."""
    return bool(_OF_MINUTES.fullmatch(name))


def is_since_1970(name: str) -> bool:
    """Whether a name says that times are counted from 1970."""
    return bool(re.search("unix|epoch|posix", name, re.I))


def unit_of_count(name: str) -> str | None:
    """The unit of time at the end of a name, as it is written, in lower case; None where there is none."""
    found = _UNIT_BEHIND.fullmatch(name)
    return found[1].lower() if found else None


def sas_unit(name: str) -> str | None:
    """The unit in which SAS counts from 1960 what CDISC calls so: ``d`` for dates, ``s`` for moments; else None."""
    found = _OF_SAS.fullmatch(name)
    return None if found is None else "s" if found[1] else "d"


# Parts of a time, and zones

PARTS = {
    "year": r"(?:(?:fiscal|calendar|iso|water|s|i|svy|survey|int|intv|interview|panel|wave)[ _]?)?year|fy|yr|yyyy|yy|"
    r"(?:erhebungs|befragungs|berichts)?jahr|ann[ée]e|a[ñn]o|anno|jaar|rok|vuosi|[åa]r|aar|年[份度]?|년도?|연도|год",
    "month": r"month|mon|mo|mth|mm|monat|mois|m[eê]s|mese|maand|miesi[ąa]c|m[ěe]s[íi]c|mesiac|"
    r"kuukausi|kk|(?:må|ma|maa)n(?:ad|ed)|m[åa]nd|月份?|월|месяц",
    "day": r"day|dd|dy|da|mday|day[ _]?of[ _]?month|tag|jour|d[ií]a|giorno|dag|dzie[ńn]|den|deň|"
    r"p[äa]iv[äa]|pv|日|일|день",
    "of_year": r"day|doy|jday|yday|ddd|day[ _]?of[ _]?year|julian[ _]?day",
    "week": r"(?:iso|calendar)?[ _-]?(?:week|wk)(?:[ _-]?(?:no|nr|num|number|of[ _]year))?|kw|kalenderwoche|woche|"
    r"semaine|semana|settimana|tydzie[ńn]|t[ýy]den|viikko|veck[ao]|uge|uke|[周週]|주|неделя",
    "quarter": r"quarter|qtr|quartal|trimestre|kwartaal|kwarta[łl]|čtvrtletí|kvartal|kvart[aá]l|"
    r"季度?|四半期|분기|квартал",
    "hour": r"hour|hr|hh|h|hours|hour[ _]?of[ _]?day|hour[ _]?ending|he|stunde|heure|hora|ora|uur|godzina|godz|hodina|"
    r"tunti|timme|[時时]|小[時时]|시|час",
    "minute": r"minute|min|minutes|mn|mi|mm|minuto|minuut|minuta|minuutti|minut|minutt|分|分[钟鐘]|분|минута",
    "second": r"second|sec|seconds|ss|sekunde|seconde|segundo|secondo|sekunda|sekunti|sekund|秒|초|секунда",
}
_SEASONS = r"season|saison|temporada|stagione|seizoen"
"""Names of years, where their numbers are those of years."""
_PERIODS = (
    r"period|term|semest(?:er|re)|trimester|tertial|quadrimestre|bimest(?:er|re)|half|halbjahr|fortnight|round|"
    r"(?:match|game)[ _]?(?:day|week)|spieltag|gw|(?:accounting|posting)[ _]?period|de[ck]ad[ea]?"
)
"""Names of what a year may be divided into, the same number each year."""
_DAY_PERIODS = re.compile(
    r"(?:(?:settlement|trading|dispatch|market|delivery|time|day)[ _]?)?(?:period|interval|slot|ptu|mtu|isp)"
    r"|(?:time|trading|delivery)[ _]?block|sp|(?:half|quarter)[ _-]?hour|halbstunde|halbe[ _-]?stunde|viertelstunde|"
    r"intervall?o?|intervalle|franja|per[ií]odo|periode|periodi|zeitscheibe|zeitfenster|cr[ée]neau|"
    r"(?:demi|quart)[ _-](?:d[ _']?)?heure|kwadrans|kvart(?:er)?",
    re.I,
)
"""Names of what a day may be divided into, the same number each day."""
_THIRDS_OF_MONTHS = re.compile(r"de[ck]ad[ea]?|d[ée]cade|ten[ _-]?days?(?:[ _]?period)?|旬", re.I)
_OF_DAY = re.compile(
    r"(second|sec|minute|min)s?[ _-]?(?:of|in|since|from|after)[ _-]?(?:the[ _-]?)?(?:day|midnight|00:?00)|"
    r"(sekunde|minute)n?[ _-]?(?:des[ _-]?tages|seit[ _-]?mitternacht)|(s)od",
    re.I,
)
_WHEN = frozenset(
    "season saison jahreszeit temporada stagione shift schicht schichtnummer turno weekday wday dow wochentag "
    "tageszeit halbjahr halfyear vorlauf leadtime".split()
)
"""Words for what may tell the rows of a day, a week or a year apart, though no time is made of it."""
_ZONE_BEHIND = re.compile(
    r"\s*[\[(](?:(?:[A-Z]{1,3}S?T|MES?Z|UTC|GMT|Z|[Ll]ocal(?:[ _][Tt]ime)?|[Ll]okal\w*)"
    r"(?:\s*[+-]\s*\d{1,2}(?::?\d{2})?)?|\d{1,2}\s?-\s?\d{1,3}|24 ?h)[\])]\s*$"
)
"""A zone, or the range of a part, in brackets behind its name."""
_DIVISIONS = {
    12: r"month|\w*monat|mois|m[eê]s|mese|maand",
    6: r"bimester|bimestre",
    4: r"quarter|qtr|\w*quartal|trimestre|kwartaal",
    3: r"trimester|tertial",
    2: r"semester|semestre|half|halfyear|\w*halbjahr",
    52: r"week|wk|kw|\w*woche|semaine|semana|settimana",
}
"""What a year is divided into, by how many of it a year has."""
_CALENDARS = frozenset(
    "fiscal financial fin fy calendar cal iso water hydrological epi epidemiological epidemic mmwr cdc school academic "
    "study survey obs observation observed measurement sample sampling record reporting season crop growing tax "
    "accounting budget trading".split()
)
"""Words beside the name of a part that say whose calendar it is, or which time of a row's."""
_OF_OTHERS = frozenset(
    "birth born dob built build construction model founded foundation manufacture install installation start end first "
    "last purchase hire hired graduation entry death expiry vintage release retirement mean min max avg num no count "
    "per of n".split()
)
"""Words beside the name of a part that make it that of another time, or none."""
LETTERED = {
    "year": "fy",
    "week": "kw|w|wk|week",
    "quarter": "q|qtr|quarter|t",
    "period": "p|period|term|t|sem|semester|s|h|r|round",
}
"""What may stand before the numbers of parts."""
_BY_CALENDAR = ("month", "week", "quarter", "period")
_UNITS_OF_CLOCKS = frozenset("h min s ms us ns".split())
_OF_A_CLOCK = {*_WORDS_OF_TIME, "tv", "stamp", "unix", "posix", "utc", "gmt", "gps", "elapsed", "sim", "ros"}
_OF_ZONES = re.compile(
    r"(?:.*[ _.])?(?:(?:tz|time[ _]?zone|zone)|(?:(?:tz|time[ _]?zone|utc|gmt|zone)[ _-]?)?offset)"
    r"(?:[ _](?:from|to)[ _](?:utc|gmt))?(?:[ _]?(?:name|id))?"
    r"(?:[ _(\[]+(?P<unit>h|hours?|hrs?|min|mins|minutes?|s|secs?|seconds?)[)\]]?)?",
    re.I,
)
_OF_DAYLIGHT = re.compile(r"(?:is[ _]?)?(?:dst|daylight[ _]?savings?(?:[ _]time)?|summer[ _]?time)(?:[ _]?flag)?", re.I)
_IN_UTC = re.compile(r"(?:.*[ _.(\[])?(?:utc|gmt|zulu|z)(?:[ _.)\]].*)?", re.I)


def is_part(name: str) -> bool:
    """Whether a column's name is that of a part of a time, such as the hour."""
    if any(re.fullmatch(rf"#?(?:{names})", name.strip(), re.I) for names in PARTS.values()):
        return True
    if _ZONE_BEHIND.search(name):
        return is_part(_ZONE_BEHIND.sub("", name))
    return any(
        owner and _CALENDARS.issuperset(owner) and re.fullmatch(PARTS[part], bare, re.I)
        for owner, bare in with_owners(name)
        for part in ("year", "month", "week", "quarter")
    )


def is_year(name: str) -> bool:
    """Whether a column's name is that of years."""
    return any(is_part_named("year", bare) for owner, bare in with_owners(name) if are_of_calendars(owner))


def with_owners(name: str) -> list[tuple[tuple[str, ...], str]]:
    """The ways to read a name as that of a part of a time, and the words beside it."""
    words = split(name)
    ways: list[tuple[tuple[str, ...], str]] = [((), _ZONE_BEHIND.sub("", name.strip().lstrip("#")))]
    for at in (len(words) - 1, 0) if len(words) > 1 else ():
        if not _OF_OTHERS.intersection(words) and len(words[at]) > 1:
            ways.append((tuple(words[:at] + words[at + 1 :]), words[at]))
    return ways


def is_part_named(part: str, bare: str) -> bool:
    """Whether what is left of a name without its owner is that of one part, such as ``year``, or ``period``."""
    return bool(re.fullmatch(PARTS.get(part, _PERIODS), bare, re.I))


_BESIDE_KW = frozenset("kw jahr jahre year nr nummer iso kalender".split())


def parts_of_year(name: str) -> int | None:
    """How many of what a name says, such as months or quarters, a year has; None for other names.

    Example:
        >>> parts_of_year("Monat/Jahr"), parts_of_year("Berichtsquartal"), parts_of_year("months since birth")
        (12, 4, None)
    """
    parts = split(name)
    if any(not known.isdisjoint(parts) for known in (_OF_OTHERS, _SINCE, _DURATIONS)):
        return None
    if "kw" in parts and not _BESIDE_KW.issuperset(parts):
        # Kilowatts more often than a calendar week.
        parts = [part for part in parts if part != "kw"]
    return next((among for among, of in _DIVISIONS.items() if any(re.fullmatch(of, part) for part in parts)), None)


def is_season(bare: str) -> bool:
    """Whether a name is one of years where its numbers are those of years."""
    return bool(re.fullmatch(_SEASONS, bare, re.I))


def is_part_by_calendar(bare: str) -> bool:
    """Whether a name is that of what a calendar of its own divides a year into."""
    return any(is_part_named(part, bare) for part in _BY_CALENDAR)


def are_of_calendars(words: Collection[str]) -> bool:
    """Whether words beside the name of a part say whose calendar it is, or which time of a row's."""
    return _CALENDARS.issuperset(words)


def is_of_a_clock(word: str) -> bool:
    """Whether a word says that what follows is what a clock counts."""
    return word in _OF_A_CLOCK


def in_unit(name: str) -> tuple[tuple[str, ...], str] | None:
    """The words before the unit of a clock that a name ends in, and the unit in short: tv, us of ``tv_usec``."""
    words = split(name)
    unit = _UNITS_OF_TIME.get(words[-1]) if words else None
    return (tuple(words[:-1]), unit) if unit in _UNITS_OF_CLOCKS else None


def split(name: str) -> list[str]:
    """The words of a name in lower case, as blanks, marks and capitals part them."""
    return re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold())


@dataclass(frozen=True)
class ZoneName:
    """What the name of a column of zones says.

    Attributes:
        unit: of offsets, in short; None where the name gives none.
        sure: whether numbers under this name are offsets.
    """

    unit: str | None
    sure: bool


def zone_name(name: str) -> ZoneName | None:
    """Read a column's name as that of time zones or offsets from UTC; None for all others."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip())
    named = _OF_ZONES.fullmatch(name)
    if named is None:
        return None
    return ZoneName(unit_of_time(named["unit"] or ""), bool(re.search("tz|time[ _]?zone|utc|gmt", name, re.I)))


def is_of_daylight(name: str) -> bool:
    """Whether a column's name is that of a flag of daylight saving."""
    return bool(_OF_DAYLIGHT.fullmatch(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip())))


def is_in_utc(name: str) -> bool:
    """Whether a column's name says that its times are in UTC."""
    return bool(_IN_UTC.fullmatch(name))


# Identifiers, codes, and tables of names and values

_WHO = (
    "id|subject|patient|person|participant|user|animal|group|unit|device|machine|engine|sensor|station|site|vehicle|"
    "customer|store|plant|location|item|product|sku|country|city|household|house|building|meter|turbine|battery|account|"
    "ticker|symbol|client|kunde|maschine|anlage|proband|usubj|subj|pat|pt|mrn|ger[äa]e?t|fahrzeug|filiale|z[äa]e?hler|"
    "(?:patient|unit|stay|person|subject|user|device|station|session|hadm|icu|customer|meter|vehicle|house|hold)+id|"
    "pid|pidp|pno|pnr|idind|idpers|persid|uid|hhid|hid|hidp|hhno|hhnum|hhn|idhh|famid|respondent|player|athlete|team|firm|company|student|pupil|employee|member|driver|mouse|"
    "teilnehmer(?:in)?|participante?|versuchsperson|vp|deelnemer|fahrer|operator|bediener|worker|rater|child|kid|baby|"
    "infant|rat|ratte|maus|cow|kuh|horse|pferd|dog|fish|bee|bird|sheep|pig|larva|colony|neuron|electrode|ped|pedestrian|"
    "stn|fzg|kfz|truck|lkw|lot|batch|wafer|specimen|"
    "surname|last[ _.]?name|first[ _.]?name|full[ _.]?name|vorname|nachname|apellidos?|"
    "visitor|node|knoten|donor|volunteer|messstelle|standort|capteur|magasin|appareil|paciente|m[áa]quina|tienda|cliente"
)
_WHICH_TIME = (
    "session|sequence|series|run|trial|recording|record|episode|trace|flight|trip|file|case|stay|visit|lap|dive|visita|"
    "experiment|versuch|messreihe|essai|encounter|shot|swim|ride|workout|storm|"
    "visite|besuch|sesi[oó]n|s[eé]ance|sitzung"
)
_NAMED = re.compile(
    rf"(?!(?:is|has|was|new|split|model)[ _.-])(?:.*[ _.-])?(?:{_WHO}|{_WHICH_TIME})"
    r"(?:[ _.-]?(?:id|no|nr|num|number|name|#))?",
    re.IGNORECASE,
)
_WITHIN = re.compile(rf"(?:.*[ _.-])?(?:{_WHICH_TIME})(?:[ _.-]?(?:id|no|nr|num|number|name))?", re.IGNORECASE)
_PROPERTY = re.compile(
    r"(?:.*[ _.-])?(?:age|blood|bmi|case|control|dose|dosage|drug|ethnic|exposure|income|risk|sex|test|treat|treatment|"
    r"trt|weight)[ _.-]?groups?(?:[ _.-]?(?:id|no|nr|number|name))?|(?:number|num|no|nr|count)[ _.-]of[ _.-].*",
    re.IGNORECASE,
)
"""Names such as treatment group: what is known of a subject, and not who it is."""
_TRAITS = frozenset(
    "sex gender race ethnicity ethnic religion marital married education occupation arm treatment treat trt drug dose "
    "dosage placebo diagnosis disease condition comorbidity symptom status severity grade stage level risk type kind "
    "category class outcome smoker smoking age bmi blood handedness colour color size shape material weekday day month "
    "model brand make manufacturer version breed species genotype "
    "geschlecht schulabschluss familienstand diagnose behandlung sexe genre sexo genero".split()
)
"""Words for what is known of a subject and many others share, and not for where it belongs."""
_CONSTANTS = frozenset(
    "age alter edad âge weight gewicht height größe groesse bmi lat latitude lon lng longitude altitude elevation "
    "capacity kapazität".split()
)
"""Words for amounts that are constant of a subject or a place."""
_SERIES = frozenset(
    "room zone tank channel chamber bay floor area region district line lane loop circuit well plot pen pot bed rack "
    "ward probe pump motor boiler reactor vessel silo field greenhouse pond lake river pipe string inverter panel "
    "module feeder bus place loc camera cam logger instrument box cage tray hive tree track mast tower borehole "
    "branch warehouse shop department dept exchange raum zimmer kanal becken behälter behaelter kessel linie halle "
    "etage stockwerk feld ort pumpe brunnen abteilung pièce salle cuve bassin sala habitación tanque zona stanza "
    "serbatoio vasca kamer".split()
)
"""Words for what is measured for itself again and again, beside those of identifiers."""
_STATES = frozenset(
    "on off yes no true false open opened close closed in out up down high low start started stop stopped begin end "
    "ok active inactive idle busy run running enabled disabled full empty light dark day night am pm weekday weekend "
    "holiday workday heat heating cool cooling charge charging discharge discharging inhale exhale systole diastole "
    "positive negative pos neg auto manual early late ein aus an ja nein wahr falsch auf zu offen tag nacht früh spät "
    "oui non vrai faux jour nuit sí si día noche spring summer autumn fall winter frühling frühjahr sommer herbst "
    "printemps été automne hiver mon tue wed thu fri sat sun monday tuesday wednesday thursday friday saturday sunday "
    "mo tu we th fr sa su di mi do montag dienstag mittwoch donnerstag freitag samstag sonntag lundi mardi mercredi "
    "jeudi vendredi samedi dimanche jan feb mar apr may jun jul aug sep sept oct nov dec january february march april "
    "june july august september october november december q1 q2 q3 q4 h1 h2".split()
)
"""Values that come back by themselves: states, and parts of a day, a week or a year."""
_FOLDS = re.compile(
    r"(?:.*[ _.-])?(?:k|cv|outer|inner)?[ _.-]?folds?(?:[ _.-]?(?:id|no|nr|num|number|index))?|cv", re.IGNORECASE
)
_VALUE = re.compile(
    r"(?:num(?:eric)?[ _]?)?(?:val|value|values|valuenum|wert|messwert|valeur|valor|valore|waarde|reading|result)"
    r"(?:[ _]?(?:num(?:eric)?|as[ _]number))?",
    re.IGNORECASE,
)
_VARIABLE = re.compile(
    r"(?:.*[ _])?(?:variable|var|param(?:eter)?|signal|channel|kanal|tag|measure|measurement|metric|quantity|gr[öo]sse|"
    r"größe|messgr(?:ö|oe)(?:ß|ss)e|attribute|feature|field|analyte|pollutant|schadstoff|item_?id|concept|observation)"
    r"(?:[ _]?(?:id|name|code|type|concept[ _]id))?",
    re.IGNORECASE,
)
_MAY_BE_VARIABLE = re.compile(
    r"(?:sensor|label|name|type|kind|test|code|series|indicator|element|magnitude?|datatype)"
    r"(?:[ _]?(?:id|name|code|type))?",
    re.I,
)
_CODE = re.compile(
    r"(?:.*[ _.-])?(?:icd(?:[ _-]?\d+)?(?:[ _-]?cm)?|atc|ndc|cpt|hcpcs|drg|loinc|snomed|diag(?:nosis)?\d*|dx\d*|zip|"
    r"postal|plz|fips|naics|nace|sic|isin|cusip|isbn|ean|gtin|upc|asin|sku|article|artikel|product|item|phone|fax|"
    r"part[ _]?(?:no|number)|"
    r"tel|telefon|telephone|mobile|handy|(?:zip|post|postal|bar)?code)(?:[ _.-]?(?:id|no|nr|number|code))?|"
    r"(?-i:.*[a-z]Code)",
    re.IGNORECASE,
)
_IS_NUMBERED = re.compile(
    r"(?:.*[ _.-])?(?:badge|barcode|chip|code|hash|index|key|licen[cs]e|no|nr|num|number|passport|plate|rfid|serial|"
    r"ssn|tag)(?:[ _.-]?(?:no|nr|num|number|code))?",
    re.IGNORECASE,
)
_OF_ROWS = re.compile(
    r"(?:lab|sample|proben?|specimen|accession|event|entry|eintrag|beleg|ticket|vorgang|messpunkt|lfd|pos|point|punkt|"
    r"ref|reference|n|row|zeile|ligne|fila|log|message|msg|packet|tx|transaction|order|auftrag|invoice|rechnung|"
    r"tracking|booking|claim|lims)(?:[ _.-]?(?:id|no|nr|num|number|nummer|code|key))?",
    re.IGNORECASE,
)
"""What rows of a log or of a laboratory's list are called by."""
_IS_ID = re.compile(r"(?:.*[ _.-])?(?:[iI][dD]|[uU][uU][iI][dD]|[gG][uU][iI][dD])|.*[a-z](?:Id|ID)")
_COUNTED = (
    "kw|zyklus|zyklen|schritt|runden?|durchlauf|durchgangs?|versuchs?|wochen?|tages?|schicht|lagen?|perioden?|stufen?|"
    "rang|platz|jahres?|monats?|stunden?|mess|zeilen?|seiten?|spiel|positions?|satz|bild|haus"
)
_GIVEN_OUT = (
    "order|invoice|article|part|batch|lot|serial|policy|contract|ticket|job|badge|employee|personnel|staff|customer|"
    "client|supplier|vendor|shipment|tracking|claim|booking|reservation|transaction|receipt|voucher|document|doc|"
    "reference|ref|member|patient|chart|passport|phone|licen[cs]e|plate|equipment|asset|project|account|machine|device|"
    "product|item|material|store|vehicle|subject|person"
)
_IS_GIVEN_OUT = re.compile(
    rf"(?:.*[ _.-])?(?!(?:{_COUNTED})[ _.-]?(?:nummer|nr)\.?$)[^\W\d]{{2,}}[ _.-]?(?:nummer|nr)\.?|"
    rf"(?:.*[ _.-])?(?:{_GIVEN_OUT})[ _.-]?(?:no|num|number)\.?|"
    r"(?:.*[ _.-])?(?:(?:cost|profit)[ _.-]?cent(?:er|re)|\w*kostenstelle|\w*konto|mitarbeiter(?:in)?)",
    re.IGNORECASE,
)
"""Numbers that somebody gave out, such as those of customers and cost centres; those of cycles or steps count."""
_UNITS = re.compile(r"(?:.*[ _.])?(?:units?|uom|einheit|unit[ _]of[ _]measure(?:ment)?|valueuom)", re.I)
_CURRENCY = re.compile(r"(?:.*[ _.])?(?:currency|currencies|ccy|curr|w[äa]e?hrung|devise|moneda|moeda|valuta)", re.I)
_TOTAL = re.compile(
    r"(?:(?:grand|sub)[ _-]?)?totals?(?:[ _-].*)?|.*[ _-]totals?|all(?:[ _-]\w+s)?|(?:zwischen)?summe|overall|"
    r"averages?|average[ _-].*|.*[ _-]average|durchschnitt|mittelwert|world(?:wide)?|global|welt|monde|mundo|gesamt|"
    r"insgesamt|alle|ensemble|todos|todas|totale|eu|eu[ -]?\d\d|ea[ -]?\d\d|european union.*|euro[ -]?(?:area|zone).*|"
    r"oecd.*|.*[ -]income countries",
    re.I,
)
"""Names of what is made of others: totals, averages, unions of countries."""


def is_named(name: str) -> bool:
    """Whether a column's name is that of an identifier, such as a subject's or a session's."""
    named = (_NAMED.fullmatch(name) or is_id(name)) and not flags_split(name)
    return bool(named) and not _PROPERTY.fullmatch(name) and not _FOLDS.fullmatch(name)


def is_within(name: str) -> bool:
    """Whether a column's name is that of recordings of somebody, such as sessions."""
    return bool(_WITHIN.fullmatch(name))


_HOLDERS = frozenset(
    "hhid hid hidp hhnr hhno hhnum hhn idhh famid famno famnr "
    "family families familie famille familia household dyad couple pair litter herd flock pack troop classroom school "
    "kindergarten clinic hospital ward cage pen nest clutch farm village community cohort squad crew klinik schule "
    "stall herde wurf".split()
)

_NUMBER_THEIR_OWN = frozenset("site center centre zentrum class klasse classe clase".split())
"""Further words for what numbers those in it itself."""


def holds_several(name: str) -> bool:
    """Whether a column's name is that of what holds several subjects, such as a family or a herd.

    Example:
        >>> holds_several("herd_no"), holds_several("dose"), holds_several("FamilyID")
        (True, False, True)
    """
    return not _HOLDERS.isdisjoint(split(name)) and not is_trait(name)


def numbers_its_own(name: str) -> bool:
    """Whether a column's name is that of what may number its members from 1 on, such as a school, its class or a site.

    Example:
        >>> numbers_its_own("school"), numbers_its_own("site_no"), numbers_its_own("device")
        (True, True, False)
    """
    return holds_several(name) or not _NUMBER_THEIR_OWN.isdisjoint(split(name))


def may_be_household(name: str) -> bool:
    """Whether a column's name is that of an hour or of a household; its numbers tell."""
    return name.strip().casefold() == "hh"


_OCCASIONS = frozenset(
    "wave welle vague ola round runde occasion survey panel study studie year jahr annee ano visit visite session "
    "cohort kohorte version edition form site standort center centre zentrum clinic klinik hospital school schule "
    "lab labor laboratory device geraet instrument sensor logger station plant line machine country land region city "
    "ward unit department interviewer observer rater operator batch campaign".split()
)


def is_occasion(name: str) -> bool:
    """Whether a column says where, when or by whom measurements were made, which differ in what was asked or measured.

    Example:
        >>> is_occasion("survey_wave"), is_occasion("Site"), is_occasion("treatment")
        (True, True, False)
    """
    return bool(_OCCASIONS.intersection(split(name)))


def tells_survey(name: str) -> bool:
    """Whether a column's name is that of times at which the same persons are asked again: years, waves or visits."""
    return is_year(name) or counts_samples(name) or is_within(name)


_SURE_OF_QUALITY = frozenset(
    "qc qa qf qaqc qflag qcflag qualifier qualifiers validity validated imputed interpolated estimated gapfilled "
    "gütekennzeichen guetekennzeichen datenqualität qualitätsbit messwertqualität ersatzwert".split()
)
_TOGETHER_OF_QUALITY = ({"quality", "flag"}, {"data", "quality"}, {"sensor", "ok"})
_WHOLE_OF_QUALITY = frozenset({"quality", "qualität", "qualité", "calidad", "flag", "flags", "valid", "is valid"})
_OF_QUALITY = _SURE_OF_QUALITY | frozenset(
    "quality qual flag flags valid invalid suspect status ok cd code remark filled method qualität qualitaet qualité "
    "calidad".split()
)
_SAYS_QUALITY = frozenset(
    "good bad valid invalid ok okay error fault faulty suspect suspicious questionable doubtful uncertain estimated "
    "estimate est measured observed imputed interpolated filled missing provisional approved accepted rejected "
    "substituted substitute calculated actual gemessen ersatzwert geschätzt gültig ungültig wahr vorläufig mesuré "
    "estimé valide invalide".split()
)


def of_quality(name: str, others: Iterable[str]) -> str | None:
    """The column whose quality a name such as temp_qc tells; "" for that of all, and None for other names.

    Example:
        >>> of_quality("temp_qc", ["temp", "load"]), of_quality("quality_flag", ["temp"]), of_quality("alarm_flag", [])
        ('temp', '', None)
    """
    parts = split(name)
    rest = [part for part in parts if part not in _OF_QUALITY]
    if len(rest) == len(parts):
        return None
    of = next((other for other in others if rest and split(other) == rest), None)
    if of is not None:
        return of
    apart = set(parts)
    sure = apart & _SURE_OF_QUALITY or any(together <= apart for together in _TOGETHER_OF_QUALITY)
    return "" if sure or " ".join(parts) in _WHOLE_OF_QUALITY or parts[-1] == "cd" else None


def are_of_quality(values: Iterable[str]) -> bool:
    """Whether values say how good measurements are, such as good and suspect, or measured and estimated.

    Example:
        >>> are_of_quality(["good", "suspect"]), are_of_quality(["open", "shut"]), are_of_quality(["Estimated"])
        (True, False, True)
    """
    return all(set(split(value)) & _SAYS_QUALITY and len(split(value)) <= 2 for value in values)


def names_whom(name: str) -> bool:
    """Whether a column's name is that of who or what was measured, such as a subject, and not of a recording of it.

    Example:
        >>> names_whom("patient_id"), names_whom("session"), names_whom("station")
        (True, False, True)
    """
    return is_named(name) and not is_within(name)


def is_property(name: str) -> bool:
    """Whether a name such as treatment group is of what is known of a subject, and not of who it is."""
    return bool(_PROPERTY.fullmatch(name))


def is_trait(name: str) -> bool:
    """Whether a name is that of what is known of a subject, such as sex or a diagnosis, and many others share."""
    return is_property(name) or not _TRAITS.isdisjoint(split(name))


def is_of_subject(name: str) -> bool:
    """Whether a name is that of an amount that stays the same of a subject or a place, such as an age or a latitude.

    Example:
        >>> is_of_subject("weight_kg"), is_of_subject("lat"), is_of_subject("flow")
        (True, True, False)
    """
    return not _CONSTANTS.isdisjoint(split(name))


_KINDS = frozenset(
    "class category type kind code id level label group state status flag mode stage bin band bucket".split()
)
_THINGS = frozenset(
    "count counts counted cnt sales sold visits visitors arrivals departures admissions discharges deaths cases births "
    "infections rentals demand goals clicks views orders calls tickets incidents accidents crashes claims crimes "
    "faults failures errors defects passengers trips customers patients cars vehicles qty quantity events steps "
    "spikes anzahl nombre cantidad numero número aantal menge".split()
)


def counts_things(name: str) -> bool:
    """Whether a column's name is that of a number of things, such as sales or visits.

    Example:
        >>> counts_things("daily_visits"), counts_things("num_errors"), counts_things("error_type")
        (True, True, False)
    """
    words = split(name)
    return not _THINGS.isdisjoint(words) and _KINDS.isdisjoint(words)


_CLASSES = frozenset(
    "class category cat type kind label labels activity gesture pose posture action species genus breed cultivar "
    "letter digit character char phoneme word symbol sign emotion genre intent topic language diagnosis fault state "
    "status mode klasse kategorie typ art etikett aktivität geste buchstabe ziffer zeichen zustand classe catégorie "
    "étiquette activité espèce lettre clase categoría etiqueta actividad gesto especie letra tipo categoria atividade "
    "attività specie 类别 標籤 标签 クラス ラベル класс категория метка".split()
)
"""Words at the end of the names of classes."""
_BEHIND_CLASSES = frozenset("id no nr num number code idx index true target gt y".split())


def names_classes(name: str) -> bool:
    """Whether a column's name is that of classes, such as gestures or species, which numbers may stand for.

    Example:
        >>> names_classes("gesture"), names_classes("speciesId"), names_classes("activity_label")
        (True, True, True)
        >>> names_classes("class_size"), names_classes("activity_counts"), names_classes("n_type")
        (False, False, False)
    """
    words = split(name)
    while len(words) > 1 and words[-1] in _BEHIND_CLASSES:
        words.pop()
    return bool(words) and words[-1] in _CLASSES and words[0] not in ("n", "nb", "num", "number", "count")


def tells_classes(name: str) -> bool:
    """Whether a column's name is that of classes, codes, identifiers or parts of a date, and not of an amount.

    Example:
        >>> tells_classes("gesture"), tells_classes("risk_level"), tells_classes("hour"), tells_classes("SpO2")
        (True, True, True, False)
    """
    named = names_classes(name) or is_named(name) or is_code(name) or is_part(name) or may_have_series(name)
    return named or not _KINDS.isdisjoint(split(name))


def may_have_series(name: str) -> bool:
    """Whether a column's name is that of what is measured for itself, such as rooms or tanks.

    Example:
        >>> may_have_series("room_no"), may_have_series("valve")
        (True, False)
    """
    return not _SERIES.isdisjoint(split(name)) and not is_trait(name)


def are_states(values: Collection[str]) -> bool:
    """Whether all values are states, such as on and off, or parts of a day, a week or a year."""
    return _STATES.issuperset(value.strip().casefold() for value in values)


def is_id(name: str) -> bool:
    """Whether a column's name ends in ID or the like, or is that of numbers given out, such as ``Kundennummer``."""
    given_out = _IS_GIVEN_OUT.fullmatch(name) and not is_part(name) and not is_code(name)
    return bool(_IS_ID.fullmatch(name) or given_out)


def is_numbered(name: str) -> bool:
    """Whether a column's name is that of numbers that are given out, such as serial numbers."""
    return bool(_NAMED.fullmatch(name) or _IS_NUMBERED.fullmatch(name) or is_id(name))


def names_rows(name: str) -> bool:
    """Whether a column's name is one for what tells rows apart, such as samples, receipts and keys.

    Example:
        >>> names_rows("SampleNo"), names_rows("Beleg"), names_rows("flow")
        (True, True, False)
    """
    bare = "_".join(split(name))
    return numbers_rows(bare) or is_numbered(bare) or bool(_OF_ROWS.fullmatch(bare))


_SAMPLES = re.compile(
    r"(?:.*[ _.-])?(?:lab|samples?|proben?|specimen|muster|aliquot|accession|muestra|[ée]chantillon|campione|amostra)"
    r"(?:[ _.-]?(?:id|no|nr|num|number|nummer|name|code|label))?\.?",
    re.IGNORECASE,
)


def names_samples(name: str) -> bool:
    """Whether a column's name is that of samples, which a laboratory may measure again and again.

    Example:
        >>> names_samples("SampleNo"), names_samples("Muster_Nr"), names_samples("sample_weight")
        (True, True, False)
    """
    return bool(_SAMPLES.fullmatch(name.strip()))


def is_folds(name: str) -> bool:
    """Whether a column's name is that of folds of a cross-validation."""
    return bool(_FOLDS.fullmatch(name.strip()))


def is_value(name: str) -> bool:
    """Whether a column's name is that of values of whatever quantity."""
    return bool(_VALUE.fullmatch(name.lstrip("_")))


def is_variable(name: str) -> bool:
    """Whether a column's name is that of names of quantities."""
    return bool(_VARIABLE.fullmatch(name.lstrip("_")))


def may_be_variable(name: str) -> bool:
    """Whether a column's name may be that of names of quantities, where it holds text."""
    return bool(_MAY_BE_VARIABLE.fullmatch(name.lstrip("_")))


def counts_within(name: str) -> bool:
    """Whether a column's name is that of numbers that begin again with each of something, as positions in it do."""
    words = re.findall("[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold())
    counters = {"period", "position", "pos", "rank", "sequence", "seq", "order", "step", "place", "interval", "idx"}
    counters |= {"beep", "beepno", "ball", "sector", "rep", "point", "stimulus", "prompt"}
    return bool(words) and words[-1] in counters


def is_code(name: str) -> bool:
    """Whether a column's name is that of codes, such as ICD's or postal ones, whose figures count nothing."""
    return bool(_CODE.fullmatch(name))


def is_units(name: str) -> bool:
    """Whether a column's name is that of units."""
    return bool(_UNITS.fullmatch(name))


def is_currency(name: str) -> bool:
    """Whether a column's name is that of currencies."""
    return bool(_CURRENCY.fullmatch(name))


_STATISTIC = re.compile(
    r"(?:.*[ _-])?(?:mean|avg|average|median|mittelwert|durchschnitt|moyenne|promedio|mittel)|ø|avg[ _].*|"
    r"(?:grand|sub)?[ _-]?(?:sum|total|pooled)(?:[ _-].*)?|(?:gesamt)?summe|suma|razem|totaal|totale|"
    r"合计|总计|平均|合計|итого|среднее|std|stdev|stabw|std\.?[ _]?dev\.?|variance|varianz|"
    r"standard[ _-]?(?:deviation|abweichung|error)|(?:upper|lower)[ _-].*limit|minimum|maximum|quartile|percentile",
    re.I,
)
_SHORT_STATISTIC = re.compile(r"min|max|sd|sem|mw|med|[lu][sc]l|count|limits?", re.I)


def is_statistic(value: str) -> bool:
    """Whether a cell among figures is the name of a statistic or a limit, such as mean, Max or USL."""
    value = value.strip(" .:")
    return bool(_STATISTIC.fullmatch(value) or _SHORT_STATISTIC.fullmatch(value))


def is_total(value: str) -> bool:
    """Whether a value is named like a total or an average of others.

    Example:
        >>> is_total("EU27"), is_total("Store total"), is_total("Total Energies"), is_total("Europe")
        (True, True, True, False)
    """
    return bool(_TOTAL.fullmatch(value.strip()) or _STATISTIC.fullmatch(value.strip()))


# Units, and parts of a split

_UNIT = re.compile(
    r"\[.*\]|\(.*\)|[°º]?[CFK]|deg(?:rees?)?(?:[ _]?[CFK])?|celsius|fahrenheit|kelvin|[µunmck]?s(?:ec(?:onds?)?)?|"
    r"min(?:utes?)?|h(?:ours?|rs?)?|d(?:ays?)?|UTC|GMT|TS|RN|[munpkMG]?(?:m|g|V|A|W|Wh|Hz|Pa|bar|N|J|L|l|Ohm|Ω|eV|mol|B|VA|VAr?)"
    r"[-^]?\d?(?:\s?[\s/*·.]\s?[A-Za-zµ°]{1,4}[-^]?\d?){0,3}|volts?|amps?|watts?|meters?|metres?|percent|%|‰|"
    r"ppmv?|ppb|ppt|psu|[cd]m|mm(?:/h|Hg)?|inch(?:es)?|in|ft|knots?|kts?|kn|mph|rpm|bpm|lux|lx|dB[A-Za-z]*|pH|counts?|-|n/?a|none|"
    r"unitless|text|string|float|double|int(?:eger)?|yyyy.*|dd.mm.*|mm.dd.*|hh:mm.*",
    re.IGNORECASE,
)
_TRAINING = frozenset(
    "train training trn tr learn learning build fit calibration cal calib derivation entrenamiento entraînement "
    "apprentissage lernen treino treinamento addestramento trening trenowanie обучение 训练 訓練 训练集".split()
)
_SPLIT = _TRAINING | frozenset(
    "test testing tst te val valid validation dev development eval evaluation check holdout hold-out score "
    "public private oos oot publictest privatetest prueba validación essai prüfung teste validação verifica testowy "
    "walidacja тест проверка 测试 測試 测试集 验证 验证集".split()
)
"""What people call the parts of a split."""
_CERTAIN_PARTS = (_TRAINING - frozenset("tr learn learning build fit cal lernen".split())) | {"tst", "te"}
"""Parts that say so under any name."""
_OF_SPLIT = re.compile(
    r"(?:.*[ _.-])?(?:split|partition|subset|(?:data|sample)[ _.-]?(?:set|type|split)|set(?:[ _.-]?type)?|usage)", re.I
)
_FLAGS_OF_SPLIT = re.compile(
    r"(?:is|in|for|use)[ _.-]?(?:the[ _.-])?(?:train(?:ing)?|test(?:ing)?|val(?:id(?:ation)?)?|hold[ _.-]?out|sample)"
    r"(?:[ _.-]?(?:set|data|split|flag|part))?|(?:in|out|oo)[ _.-]?(?:of[ _.-]?)?s(?:ample)?|oos|hold[ _.-]?out|"
    r"train(?:ing)?(?:[ _.-]?(?:set|flag|mask|test|split))?|split(?:[ _.-]?(?:id|no|nr))?|partition|"
    r"test[ _.-]?(?:set|flag|mask|split)",
    re.I,
)


_SPELLINGS = {
    spelling: unit
    for unit, spellings in {
        "°C": "°c degc celsius c",
        "°F": "°f degf fahrenheit f",
        "K": "k kelvin °k",
        "km/h": "km/h kmh kph",
        "m/s": "m/s mps",
        "kn": "kn kts",
        "lb": "lb lbs",
        "mmHg": "mmhg",
        "kWh": "kwh",
        "kW": "kw",
        "Wh": "wh",
        "hPa": "hpa",
        "kPa": "kpa",
        "Hz": "hz",
        "kHz": "khz",
        "kg": "kg",
        "km": "km",
    }.items()
    for spelling in spellings.split()
}
"""Spellings of units that people use for one another, in small letters. MW and mW are two units."""

_QUANTITIES = {
    quantity: re.compile(words)
    for quantity, words in {
        "temperature": r"\w*temp(?:s|eratur[ae]?)?|température|temperatuur|"
        r"t(?:max|min|avg|mean|air|amb)|dewpoint|taupunkt",
        "pressure": r"\w*pressures?|press|pression|presi[oó]n|pressione|\w*druck|druk|p|p[as]|"
        r"[sdma]bp|n?ibp|bp|map|cvp|icp|"
        r"(?:sys|dia|mean)bp|systolic|diastolic|systolisch|diastolisch|pa?c?o2|baro(?:meter)?",
        "speed": r"\w*speeds?|velocity|vel|wind|gusts?|\w*geschwindigkeit|vitesse|velocidad|velocit[àa]|snelheid",
        "energy": r"energy|\w*energie|énergie|energ[ií]a|calories|gas",
        "force": r"force|\w*kraft|fuerza|forza|thrust|schub",
        "power": r"power|p|\w*leistung|puissance|potencia|potenza|horsepower",
        "length": r"height|length|distance|dist|depth|level|altitude|elevation|width|thickness|diameter|waist|\w*höhe|"
        r"\w*hoehe|\w*länge|\w*laenge|\w*tiefe|\w*abstand|\w*pegel|breite|dicke|größe|groesse|hauteur|longueur|"
        r"profondeur|altura|distancia|rain(?:fall)?|precip(?:itation)?|niederschlag",
        "mass": r"\w*weights?|wgt|mass|\w*gewicht|\w*masse|poids|peso|massa",
        "volume": r"volume|vol|\w*volumen|fuel|kraftstoff|diesel|benzin",
        "flow": r"flow|\w*durchfluss|\w*volumenstrom|débit|debit|caudal",
        "signal": r"level|lvl|\w*füllstand|\w*fuellstand|valve|ventil|humidity|rh|\w*feuchte|signal|loop|transmitter",
        "glucose": r"gluc?(?:ose)?|glukose|glucosa|bg|cgm|sgv|blutzucker|glyc[aé]?emi[ae]|glycémie",
        "creatinine": r"crea(?:t(?:inine?)?)?|scr|kreatinin|creatinina",
        "cholesterol": r"chol(?:esterol)?|cholesterin|colesterol|[lh]dlc?",
        "triglycerides": r"trigs?|tgl?|triglycerides?|triglyzeride",
        "bilirubin": r"[td]?bili?|bilirubine?",
        "urea": r"bun|urea|harnstoff",
        "HbA1c": r"(?:hb)?a1c",
        "haemoglobin": r"hb|hgb|ha?emoglobine?|hämoglobin",
        "calcium": r"ca|calcium|kalzium",
        "uric acid": r"uric|urate|harnsäure",
    }.items()
}
"""What is measured, by the words of a name that say so; some of them say several."""
_OF_BLOOD = frozenset(list(_QUANTITIES)[list(_QUANTITIES).index("glucose") :])
"""Quantities whose unit is that of a concentration, which says nothing of what is dissolved."""
_QUANTITIES_OF_UNITS = {
    unit: frozenset(quantities)
    for units, quantities in (
        ("°c °f c f k degc degf celsius fahrenheit kelvin", ("temperature",)),
        ("pa hpa kpa mpa bar mbar psi psig psia mmhg inhg torr cmh2o", ("pressure",)),
        ("km/h kmh kph mph m/s mps kn kt kts knots", ("speed",)),
        ("j kj mj wh kwh mwh kcal", ("energy",)),
        ("n lbf kgf", ("force",)),
        ("w kw mw hp ps", ("power",)),
        ("m km mi ft feet in inch inches cm mm", ("length",)),
        ("g kg mg lb lbs oz", ("mass",)),
        ("l ml gal m³ m3 liters litres gallons", ("volume",)),
        ("l/min lpm gpm m³/h m3/h l/s", ("flow",)),
        ("% ma pct percent", ("signal",)),
        ("mg/dl mmol/l µmol/l umol/l g/dl g/l", _OF_BLOOD),
    )
    for unit in units.split()
}


def is_version(name: str) -> bool:
    """Whether a column's name is that of version or section numbers, in which 1.10 comes after 1.9.

    Example:
        >>> is_version("app_version"), is_version("Firmware"), is_version("conversion")
        (True, True, False)
    """
    return not {"version", "ver", "firmware", "fw", "release", "revision", "section", "chapter"}.isdisjoint(split(name))


_NEVER_ZERO = frozenset(
    "bmi weight kg gewicht poids peso height größe groesse taille glucose glukose sgv bg cgm pulse puls hr heartrate "
    "herzfrequenz bpm sbp dbp map nibp systolic diastolic cholesterol chol insulin triceps skinfold spo2 kelvin age "
    "alter edad price preis prix precio area fläche flaeche surface salary gehalt".split()
)
_NEVER_ZERO_TOGETHER = re.compile(
    r"(?:.*_)?(?:heart_rate|resp(?:iratory|iration)?_rate|blood_pressure|bp_(?:sys|dia)|skin_thickness|body_\w+|"
    r"resting_hr|living_space|wohn_?fläche)(?:_.*)?"
)


_VITAL_SIGNS = re.compile(
    r"(?:.*_)?(?:hr|(?:heart|pulse|resp(?:iratory|iration)?|breathing)_?rate|(?:ruhe)?pulse?|pulso|pouls|polso|"
    r"herzfrequenz|atemfrequenz|fréquence_(?:cardiaque|respiratoire)|frecuencia_(?:cardíaca|cardiaca|respiratoria)|"
    r"frequenza_(?:cardiaca|respiratoria)|rr|bpm|s[pa]_?o2|sats|sat_?o2|o2_?sat(?:uration)?|oxygen_saturation|"
    r"(?:o2_?|sauerstoff)s(?:ä|ae)ttigung|et_?co2|(?:s|d|(?:sys|dia|mean)_?)bp|(?:rr|bp|n?i?bp|abp)_?(?:sys|dia|mean)|"
    r"n?ibp|nbp|abp|blood_pressure|blutdruck|(?:systol|diastol)\w+|body_?temp(?:erature)?|körpertemperatur)"
    r"(?:_(?:mean|avg|min|max|median|mittel|sys|dia|systolic|diastolic|bpm|mmhg|percent|pct|rest|resting|\d+))*"
)
_NOT_THE_AMOUNT = frozenset("diff difference change delta lag sample class dose pump bolus".split())


def is_vital_sign(name: str) -> bool:
    """Whether a column's name is that of a vital sign, such as a pulse, a blood pressure or a saturation.

    Example:
        >>> is_vital_sign("SpO2"), is_vital_sign("resting HR"), is_vital_sign("hr_diff"), is_vital_sign("chrome")
        (True, True, False, False)
    """
    words = split(name)
    return _NOT_THE_AMOUNT.isdisjoint(words) and bool(_VITAL_SIGNS.fullmatch("_".join(words)))


def is_never_zero(name: str) -> bool:
    """Whether a column's name is that of a quantity that is above 0 wherever it is known.

    Example:
        >>> is_never_zero("HeartRate"), is_never_zero("unit_price"), is_never_zero("age_diff"), is_never_zero("sales")
        (True, True, False, False)
    """
    words = split(name)
    if not _NOT_THE_AMOUNT.isdisjoint(words):
        return False
    known = bool(_NEVER_ZERO_TOGETHER.fullmatch("_".join(words)) or not _NEVER_ZERO.isdisjoint(words))
    return known or is_vital_sign(name)


def unit_in(name: str) -> tuple[str, str]:
    """What a column's name says without a unit at its end, and the unit; empty where there is none.

    Example:
        >>> unit_in("Temp (°F)"), unit_in("speed_kmh"), unit_in("level [m]"), unit_in("Temp (indoor)")
        (('Temp', '°F'), ('speed', 'kmh'), ('level', 'm'), ('Temp (indoor)', ''))
    """
    if found := re.fullmatch(r"(.*\S)?\s*\[([^\[\]]+)\]\s*", name):
        return found[1] or "", found[2].strip()
    found = re.fullmatch(r"(.*\S)\s*\(([^()]+)\)\s*", name)
    if found and is_unit(found[2].strip()):
        return found[1], found[2].strip()
    found = re.fullmatch(
        r"(.+)[ _](kmh|km/h|mph|kts|mps|fps|km|mi|ft|mm|cm|kg|lbs?|degc|degf|celsius|fahrenheit|kelvin|hpa|kpa|psi|"
        "inhg|[kM]?Wh|[kM]W|mW|[km]V|mA|k?Hz|ppm|rpm|bpm|mmhg)",
        name,
        re.I,
    )
    return (found[1], found[2]) if found else (name, "")


@lru_cache(maxsize=1000)
def quantities(name: str) -> frozenset[str]:
    """What a column's name says is measured, by its words and the unit at its end; empty where it says nothing.

    Example:
        >>> quantities("wind_kmh"), quantities("Reifendruck (bar)"), quantities("x2")
        (frozenset({'speed'}), frozenset({'pressure'}), frozenset())
    """
    words = split(name)
    said = frozenset(
        quantity
        for quantity, pattern in _QUANTITIES.items()
        if any(pattern.fullmatch(word) for word in (*words, "".join(words)))
    )
    last = words[-1] if words and len(words[-1]) > 1 and words[-1] not in ("in", "ma") else ""
    unit = _QUANTITIES_OF_UNITS.get((unit_in(name)[1] or last).replace(" ", "").casefold(), frozenset())
    return said & unit or unit or said


def same_unit(one: str, other: str) -> bool:
    """Whether two spellings are of one unit.

    Example:
        >>> same_unit("degC", "°C"), same_unit("km / h", "kmh"), same_unit("mW", "MW")
        (True, True, False)
    """
    plain = (text.replace(" ", "").removesuffix("/1") for text in (one, other))
    return len({_SPELLINGS.get(text.lower(), text) for text in plain}) == 1


def is_unit(text: str) -> bool:
    """Whether a text is a unit, such as ``mg/dL`` or ``°C``."""
    return below_names(text) and not re.fullmatch(
        r"-|n/?a|none|unitless|text|string|float|double|int(?:eger)?", text, re.I
    )


def below_names(text: str) -> bool:
    """Whether a text can stand in a row of units: a unit, a mark that there is none, or a type."""
    return bool(_UNIT.fullmatch(text))


def are_parts(values: Collection[str], name: str = "") -> bool:
    """Whether values in lower case are what people call the parts of a split, under a name that says so or any.

    Example:
        >>> are_parts({"train", "test"}), are_parts({"dev", "eval"}), are_parts({"dev", "eval"}, "set")
        (True, False, True)
    """
    if len(values) < 2 or not _SPLIT.issuperset(values):
        return False
    return not _CERTAIN_PARTS.isdisjoint(values) or bool(_OF_SPLIT.fullmatch(name.strip()))


def flags_split(name: str) -> bool:
    """Whether a column's name is that of flags or numbers of the parts of a split, such as ``is_test``.

    Example:
        >>> flags_split("is_train"), flags_split("in_sample"), flags_split("test")
        (True, True, False)
    """
    return bool(_FLAGS_OF_SPLIT.fullmatch("_".join(split(name))))


_NO_NAME = re.compile(
    r"[-.?*/]+|n[./]?a\.?|nil|none|null|nobody|no ?one|niemand|keine[rs]?|missing|unk|unkn|unknown|unbekannt|inconnue?|"
    r"desconocid[oa]|sconosciut[oa]|onbekend|okänd|ukendt|неизвестно|不明|未知|tbd|anon|anonym|anonymous|"
    r"others?|andere|sonstige|autres?|otr[oa]s?|altr[oi]|misc|miscellaneous|various|mixed|several|multiple|divers|diverse|"
    r"un(?:tagged|marked|ringed|banded|named|labell?ed|identified|assigned|specified|sexed|registered|numbered)|"
    r"unberingt|unmarkiert|"
    r"(?:not|ohne|keine?n?|unknown|unidentified|unbekannte[rs]?)[ _-][^\W\d]+|"
    r"(?:no|non|without|sans|sin|senza)[ _-](?:id|tag|ring|band|collar|chip|mark|name|nom|nombre|number|code|label)",
    re.IGNORECASE,
)


def names_nobody(value: str) -> bool:
    """Whether a value among names or numbers of subjects stands for those who have none, or whom nobody knows.

    Example:
        >>> [names_nobody(value) for value in ("unknown", "not tagged", "keine Angabe", "-", "other", "Ottilie", "U1")]
        [True, True, True, True, True, False, False]
    """
    return bool(_NO_NAME.fullmatch(value.strip()))
