"""Long series that are cut in time: transformer temperature, exchange rates, traffic, electric power and ozone.

What is common to them:

- The parts follow one another: training, then validation, then test. The last rows of training and validation, at least
  as many as a window has, are in no part, so that no window of one part is next to one of another.
- Targets are taken within a part, so that no target of training is of a time in validation or test.
- There is one split: any other would train on data from after its test part.
- A series with dates goes through seasons, its environments. A window has that of the middle of what it scores.

The tasks whose names end in ``-ltc`` have the split of the LTC paper instead: windows of the whole series, drawn at
random for training, validation and test. Windows overlap there, so their tasks declare a leak. They are for comparison
with published scores alone.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquidbench.metrics import Metric
from liquidbench.tasks import files
from liquidbench.tasks.files import Archive
from liquidbench.tasks.task import Feature, Recording, Source, Task

# None of these could be downloaded from its source for checking; the copies' content is what the sources describe.
ETTH1 = Archive(
    title="Electricity Transformer Temperature, hourly, first transformer",
    folder="ett",
    url="https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small/",
    published=("ETTh1.csv",),
    copies=(("ETTh1.csv.gz",),),
    members=r"ETTh1\.csv",
    content=files.lines_content,
    digest="5dfda779cc0d1ccb788267e8385bd65eb32a31dd26ff52aca0067f39d9389630",
)
EXCHANGE = Archive(
    title="Exchange rates",
    folder="exchange_rate",
    url="https://raw.githubusercontent.com/laiguokun/multivariate-time-series-data/master/exchange_rate/",
    published=("exchange_rate.txt.gz",),
    copies=(),
    members=r"exchange_rate\.txt",
    content=files.lines_content,
    digest="2b74e72c64c4a2527e1bca6066e2e1a3cc3039c490be2bb36aae5628d3e45a2a",
)
TRAFFIC = Archive(
    title="Metro Interstate Traffic Volume",
    folder="traffic",
    url="https://archive.ics.uci.edu/static/public/492/",
    published=("metro+interstate+traffic+volume.zip",),
    copies=(("Metro_Interstate_Traffic_Volume.csv.gz",),),
    members=r"Metro_Interstate_Traffic_Volume\.csv",
    content=files.lines_content,
    digest="3e236ea9edf2eea9057494a3745909d1eec7b34329006b2bc6e62c4964ea9b8b",
)
OZONE = Archive(
    title="Ozone Level Detection",
    folder="ozone",
    url="https://archive.ics.uci.edu/static/public/172/",
    published=("ozone+level+detection.zip",),
    copies=(("eighthr.data.gz",),),
    members=r"eighthr\.data",
    content=files.lines_content,
    digest="b8285c3472cb7ebb12effbf47beb6cea6f0ef8c8b89c979eedeb64cd5f8fd5e1",
)
# The source publishes minutes, 127 MB of them. These are their sums by the hour, and the first of them.
POWER_HOURS = Archive(
    title="Individual Household Electric Power Consumption (sums by the hour)",
    folder="power",
    url="https://archive.ics.uci.edu/dataset/235/individual+household+electric+power+consumption",
    published=(),
    copies=(("household_power_consumption_hourly.csv.gz",),),
    members=r"household_power_consumption_hourly\.csv",
    content=files.lines_content,
    digest="17b8ddde8f1d18417ff1402644b3b147f8e53017ab683f39fd4e6308b34e2f53",
)
POWER_MINUTES = replace(
    POWER_HOURS,
    title="Individual Household Electric Power Consumption (first 28 days)",
    copies=(("household_power_consumption_first28days.txt.gz",),),
    members=r"household_power_consumption_first28days\.txt",
    digest="91f9e1c284c0011ba5c4c71111b1d9e9a9ddd18c1ae24dd90a165662827b83d6",
)

ETT_LEADS = 24
"""Hours ahead that are forecast, each with an output."""

MAINS_VOLTS = 220
"""An hour's voltages sum up to less than 60 minutes of this only if minutes are missing."""

ONE_SPLIT = (
    "By time there is one: a single recording is cut in time, and any other test part would have training data from "
    "after it."
)
_UCI = "CC BY 4.0"
_LTC = "Hasani, Lechner, Amini, Rus and Grosu, Liquid Time-constant Networks, AAAI 2021"


def etth1(data: str | os.PathLike[str] | None = None) -> Task:
    """Oil temperature of a transformer in each of the next 24 hours: 20 months of hourly loads."""
    (raw,) = files.read(ETTH1, data).values()
    header, *rows = _cells(raw)
    hours = _since([row[0] for row in rows], "h")
    values = np.array([row[1:] for row in rows], dtype=np.float64)
    # The months of the papers have 30 days; what comes after the 20th is not used, as in the papers.
    months = 30 * 24
    used = slice(20 * months)
    seasons = season(np.array([row[0] for row in rows], dtype="datetime64[s]"))
    whole = Recording("ETTh1", hours[used], values[used], values[used, -1:], first_row=0, environment=seasons[used])
    window = 7 * 24

    def forecast(part: Recording) -> list[Recording]:
        leads = np.lib.stride_tricks.sliding_window_view(part.targets[1:, 0], ETT_LEADS)
        return [replace(part.part(slice(len(leads))), targets=leads)]

    return Task(
        name="etth1",
        title="Transformer temperature",
        description="The oil temperature of an electricity transformer in each of the next 24 hours, from its loads "
        "and temperature up to now.",
        features=(
            *(
                Feature(f"{level} {kind} load", "1")
                for level in ("high", "middle", "low")
                for kind in ("useful", "useless")
            ),
            Feature("oil temperature", "degC"),
        ),
        kind="regression",
        per="step",
        outputs=ETT_LEADS,
        target_unit="degC",
        metric="mse",
        metrics=("mse", "rmse", "mae", "r2"),
        time_unit="h",
        source=Source(
            title="Electricity Transformer Temperature (ETTh1)",
            url="https://github.com/zhouhaoyi/ETDataset",
            licence="CC BY-ND 4.0",
            citation="Zhou et al., Informer: Beyond Efficient Transformer for Long Sequence Time-Series Forecasting, "
            "AAAI 2021",
        ),
        split_rule="In time, as in the Informer paper: 12 months of 30 days are training, the next 4 validation, the "
        f"next 4 test. The last {window} hours of training and validation are left out, and every forecast is made "
        "from at least 96 hours, as in the paper, which does not leave those hours out.",
        recordings=_in_time(whole, (12 * months, 16 * months), window, forecast),
        data_digest=ETTH1.digest,
        baseline="last value",
        carried=("oil temperature",) * ETT_LEADS,
        window=window,
        environment_of="window",
        stride=24,
        context=95,
        gap=window,
        fold_rule=ONE_SPLIT,
    )


def exchange(data: str | os.PathLike[str] | None = None) -> Task:
    """The next day's exchange rates of eight currencies: 27 years."""
    (raw,) = files.read(EXCHANGE, data).values()
    rates = np.array(_cells(raw), dtype=np.float64)
    whole = Recording("exchange rates", np.arange(len(rates), dtype=np.float64), rates, rates, first_row=0)
    features = tuple(
        Feature(name, "USD")
        for name in (
            *("Australian dollar", "British pound", "Canadian dollar", "Swiss franc", "Chinese yuan", "Japanese yen"),
            *("New Zealand dollar", "Singapore dollar"),
        )
    )
    window = 64
    return Task(
        name="exchange",
        title="Exchange rates",
        description="The next day's exchange rates of eight currencies against the US dollar, from those of the days "
        "so far.",
        features=features,
        kind="regression",
        per="step",
        outputs=len(features),
        target_unit="USD",
        metric="mse",
        metrics=("mse", "rmse", "mae", "r2"),
        # The file has no dates: a row is a day for which there are rates.
        time_unit="row",
        source=Source(
            title="Exchange rates, 1990 to 2016",
            url="https://github.com/laiguokun/multivariate-time-series-data",
            licence="none stated",
            citation="Lai, Chang, Yang and Liu, Modeling Long- and Short-Term Temporal Patterns with Deep Neural "
            "Networks, SIGIR 2018",
        ),
        split_rule="In time, as in the LSTNet paper: the first 60 % of days are training, the next 20 % validation, "
        f"the last 20 % test. The last {window} days of training and validation are left out, and every forecast is "
        "made from at least 32 days.",
        recordings=_in_time(
            whole, (int(0.6 * len(rates)), int(0.8 * len(rates))), window, lambda part: [part.ahead(1)]
        ),
        data_digest=EXCHANGE.digest,
        baseline="last value",
        carried=tuple(feature.name for feature in features),
        window=window,
        stride=16,
        context=31,
        gap=window,
        fold_rule=ONE_SPLIT,
    )


def traffic(data: str | os.PathLike[str] | None = None) -> Task:
    """Traffic on a motorway, hour by hour, from weather and calendar: six years.

    An hour has one row in this task and may have several in the file, one for each word about its weather; the first
    is taken. A public holiday, marked in the file at midnight alone, lasts the whole day. The volume itself is no
    feature: it is to be told from weather and calendar.
    """
    (raw,) = files.read(TRAFFIC, data).values()
    columns = _traffic_columns(raw)
    hours, first = np.unique(columns["time"], return_index=True)
    days = hours.astype("datetime64[D]")
    holidays = np.unique(columns["time"][columns["holiday"]].astype("datetime64[D]"))
    of_day = (hours - days) / np.timedelta64(1, "h")
    of_week = (columns["weekday"][first] * 24 + of_day) / (7 * 24)
    values = np.stack(
        [
            np.isin(days, holidays),
            *columns["weather"][first].T,
            np.sin(2 * np.pi * of_day / 24),
            np.cos(2 * np.pi * of_day / 24),
            np.sin(2 * np.pi * of_week),
            np.cos(2 * np.pi * of_week),
        ],
        axis=-1,
    ).astype(np.float64)
    times = (hours - hours[0]) / np.timedelta64(1, "h")
    whole = Recording(
        "I-94",
        times,
        values,
        columns["volume"][first, None],
        first_row=0,
        rows=first.astype(np.int64),
        environment=season(hours),
    )
    borders = np.searchsorted(hours, np.array(["2016-10-01", "2017-10-01"], dtype="datetime64[s]"))

    def pieces(part: Recording) -> list[Recording]:
        ends = [*(np.flatnonzero(np.diff(part.times) > 24) + 1), len(part)]
        return [part.part(slice(start, end)) for start, end in zip([0, *ends[:-1]], ends, strict=True)]

    window = 48
    return Task(
        name="traffic",
        title="Motorway traffic",
        description="How many vehicles an hour drive west on a motorway, from the weather and the calendar; the "
        "volume of earlier hours is not told.",
        features=(
            Feature("public holiday", "1"),
            *_WEATHER,
            *(Feature(f"{wave} of the {what}", "1") for what in ("day", "week") for wave in ("sine", "cosine")),
        ),
        kind="regression",
        per="step",
        outputs=1,
        target_unit="1/h",
        metric="mse",
        metrics=("mse", "rmse", "mae", "r2"),
        time_unit="h",
        source=_TRAFFIC,
        split_rule="In time: training is up to 30 September 2016, validation the year up to 30 September 2017, test "
        f"the year after. The last {window} rows or more of training and validation are left out. No window crosses a "
        "hole of more than a day, of which the longest is ten months.",
        # In raw rows, of which an hour may have several, the distance is larger.
        recordings=_in_time(whole, borders.tolist(), window, pieces),
        data_digest=TRAFFIC.digest,
        baseline="mean",
        window=window,
        environment_of="window",
        stride=24,
        gap=window,
        irregular=True,
        fold_rule=ONE_SPLIT,
    )


def traffic_ltc(data: str | os.PathLike[str] | None = None) -> Task:
    """Motorway traffic as in the LTC paper: its features, and its split, which leaks."""
    (raw,) = files.read(TRAFFIC, data).values()
    columns = _traffic_columns(raw)
    # The sine of half a turn a day is the paper's.
    clock = np.sin((columns["time"] - columns["time"].astype("datetime64[D]")) / np.timedelta64(24, "h") * np.pi)
    values = np.column_stack([columns["holiday"], columns["weather"], columns["weekday"], clock]).astype(np.float64)
    return Task(
        name="traffic-ltc",
        title="Motorway traffic, split of the LTC paper",
        description="How many vehicles an hour drive west on a motorway, from the weather and the calendar, with the "
        "rows, features and split of the LTC paper.",
        features=(
            Feature("midnight of a public holiday", "1"),
            *_WEATHER,
            Feature("day of the week", "1"),
            Feature("sine of half the day", "1"),
        ),
        kind="regression",
        per="step",
        outputs=1,
        target_unit="1/h",
        metric="mse",
        metrics=("mse", "rmse", "mae", "r2"),
        time_unit="row",
        source=_TRAFFIC,
        data_digest=TRAFFIC.digest,
        baseline="mean",
        window=32,
        **windows(values, columns["volume"][:, None], stride=4, seed=23489),
    )


def power(data: str | os.PathLike[str] | None = None) -> Task:
    """Electric power of a household in the next hour: four years of hours.

    The file has sums over the minutes that there are. Here they are means, and an hour that lacks minutes has missing
    values, to be told by its voltage.
    """
    (raw,) = files.read(POWER_HOURS, data).values()
    rows = _cells(raw)[1:]
    # The last column follows from the others.
    sums = np.array([row[1:8] for row in rows], dtype=np.float64)
    complete = sums[:, 2] >= 60 * MAINS_VOLTS
    values = np.where(complete[:, None], sums / np.array([60, 60, 60, 60, 1, 1, 1]), 0.0)
    stamps = np.array([row[0] for row in rows], dtype="datetime64[s]")
    whole = Recording(
        "household",
        _since([row[0] for row in rows], "h"),
        values,
        values[:, :1],
        first_row=0,
        mask=np.broadcast_to(complete[:, None], values.shape),
        target_mask=complete,
        environment=season(stamps),
    )
    borders = np.searchsorted(stamps, np.array(["2009-01-01", "2010-01-01"], dtype="datetime64[s]"))
    window = 7 * 24
    return Task(
        name="power",
        title="Household power",
        description="The electric power that a household uses on average in the next hour, from its meters up to now.",
        features=_METERS,
        kind="regression",
        per="step",
        outputs=1,
        target_unit="kW",
        metric="mse",
        metrics=("mse", "rmse", "mae", "r2"),
        time_unit="h",
        source=_POWER,
        split_rule="In time: training is up to the end of 2008, validation 2009, test 2010 up to November. The last "
        f"{window} hours of training and validation are left out, and every forecast is made from at least 48 hours.",
        recordings=_in_time(whole, borders.tolist(), window, lambda part: [part.ahead(1)]),
        data_digest=POWER_HOURS.digest,
        baseline="last value",
        carried=("active power",),
        window=window,
        environment_of="window",
        stride=60,
        context=47,
        gap=window,
        irregular=True,
        missing=True,
        fold_rule=ONE_SPLIT,
    )


def power_ltc(data: str | os.PathLike[str] | None = None) -> Task:
    """Household power as in the LTC paper, of the first 28 days."""
    (raw,) = files.read(POWER_MINUTES, data).values()
    rows = _cells(raw, ";")[1:]
    numbers = np.array([[np.nan if cell in ("?", "") else float(cell) for cell in row[2:9]] for row in rows])
    # As in the paper, a missing value is the one before.
    steps = np.maximum.accumulate(np.where(np.isnan(numbers), 0, np.arange(len(numbers))[:, None]), axis=0)
    numbers = np.take_along_axis(numbers, steps, axis=0)
    return Task(
        name="power-ltc",
        title="Household power, split of the LTC paper, 28 days",
        description="The electric power that a household uses in a minute, from its other meters in the same minute "
        "and before.",
        features=tuple(Feature(meter.name, {"Wh/h": "Wh/min"}.get(meter.unit, meter.unit)) for meter in _METERS[1:]),
        kind="regression",
        per="step",
        outputs=1,
        target_unit="kW",
        metric="mse",
        metrics=("mse", "rmse", "mae", "r2"),
        time_unit="row",
        source=_POWER,
        data_digest=POWER_MINUTES.digest,
        baseline="mean",
        window=32,
        warnings=(
            "These are the first 28 days of four years, so scores are not comparable with the LTC paper's.",
            "Power is voltage times current, both of which are features: a linear model without memory does it.",
        ),
        **windows(numbers[:, 1:], numbers[:, :1], stride=32, seed=23489),
    )


def ozone(data: str | os.PathLike[str] | None = None) -> Task:
    """Whether a day is an ozone day, from its weather and that of the days before: seven years."""
    (raw,) = files.read(OZONE, data).values()
    days, values, labels = _ozone_columns(raw)
    known = ~np.isnan(values)
    times = (days - days[0]) / np.timedelta64(1, "D")
    filled = np.where(known, values, 0.0)
    whole = Recording("Houston", times, filled, labels, first_row=0, mask=known, environment=season(days))
    borders = np.searchsorted(days, np.array(["2001-01-01", "2003-01-01"], dtype="datetime64[D]"))
    window = 32
    return Task(
        name="ozone",
        title="Ozone days",
        description="Whether the ozone near Houston, averaged over eight hours, exceeds the limit on a day, from the "
        "weather of that day and of those before.",
        features=_OZONE_FEATURES,
        kind="classification",
        per="step",
        outputs=2,
        target_unit="1",
        classes=("normal day", "ozone day"),
        metric="auroc",
        metrics=("auroc", "auprc", "balanced_accuracy", "cross_entropy"),
        time_unit="d",
        source=_OZONE,
        split_rule="In time: training is 1998 to 2000, validation 2001 and 2002, test 2003 and 2004. The last "
        f"{window} days of training and validation are left out.",
        recordings=_in_time(whole, borders.tolist(), window, lambda part: [part]),
        data_digest=OZONE.digest,
        baseline="prior",
        window=window,
        environment_of="window",
        stride=8,
        gap=window,
        irregular=True,
        missing=True,
        fold_rule=ONE_SPLIT,
    )


def ozone_ltc(data: str | os.PathLike[str] | None = None) -> Task:
    """Ozone days as the LTC paper describes them: its windows and its score, and its split, which leaks.

    In the published code the axes of window and time are exchanged by mistake. Here they are not.
    """
    (raw,) = files.read(OZONE, data).values()
    _, values, labels = _ozone_columns(raw)
    return Task(
        name="ozone-ltc",
        title="Ozone days, split of the LTC paper",
        description="Whether the ozone near Houston exceeds the limit on a day, from the weather of that day and of "
        "those before, with the windows and the split that the LTC paper describes.",
        features=_OZONE_FEATURES,
        kind="classification",
        per="step",
        outputs=2,
        target_unit="1",
        classes=("normal day", "ozone day"),
        metric="f1",
        metrics=(_F1, "auroc", "auprc", "balanced_accuracy", "cross_entropy"),
        time_unit="row",
        source=_OZONE,
        data_digest=OZONE.digest,
        baseline="prior",
        window=32,
        **windows(np.nan_to_num(values), labels, stride=4, seed=23489),
    )


def _f1(targets: NDArray[Any], predictions: NDArray[Any]) -> float:
    found = predictions.argmax(-1) == 1
    alarms = found.sum() + (targets == 1).sum()
    return float(2 * (found & (targets == 1)).sum() / alarms) if alarms else 0.0


_F1 = Metric("f1", "F1 of the second class", True, (0.0, 1.0), kind="classification", function=_f1)

_WEATHER = (Feature("temperature", "K"), Feature("rain", "mm"), Feature("snow", "mm"), Feature("cloud cover", "%"))
_METERS = (
    Feature("active power", "kW"),
    Feature("reactive power", "kvar"),
    Feature("voltage", "V"),
    Feature("current", "A"),
    Feature("energy of the kitchen", "Wh/h"),
    Feature("energy of the laundry", "Wh/h"),
    Feature("energy of water heater and air conditioner", "Wh/h"),
)
_OZONE_FEATURES = (
    *(Feature(f"wind speed at {hour}", "m/s") for hour in range(24)),
    Feature("highest wind speed", "m/s"),
    Feature("mean wind speed", "m/s"),
    *(Feature(f"temperature at {hour}", "degC") for hour in range(24)),
    Feature("highest temperature", "degC"),
    Feature("mean temperature", "degC"),
    *(
        Feature(f"{what} at {level} hPa", unit)
        for level in (850, 700, 500)
        for what, unit in (
            ("temperature", "degC"),
            ("relative humidity", "1"),
            ("wind to the east", "m/s"),
            ("wind to the north", "m/s"),
            ("height", "m"),
        )
    ),
    Feature("K index", "degC"),
    Feature("total totals", "degC"),
    Feature("pressure at sea level", "0.1 hPa"),
    Feature("pressure at sea level, change from the day before", "0.1 hPa"),
    Feature("precipitation", "as recorded"),
)
_TRAFFIC = Source(
    title="Metro Interstate Traffic Volume",
    url="https://archive.ics.uci.edu/dataset/492/metro+interstate+traffic+volume",
    licence=_UCI,
    citation="John Hogue, Metro Interstate Traffic Volume, 2019, with data of the Minnesota Department of "
    f"Transportation and OpenWeatherMap; {_LTC}",
)
_POWER = Source(
    title="Individual Household Electric Power Consumption",
    url="https://archive.ics.uci.edu/dataset/235/individual+household+electric+power+consumption",
    licence=_UCI,
    citation="Georges Hebrail and Alice Berard, Individual Household Electric Power Consumption, EDF R&D, 2012; "
    f"{_LTC}",
)
_OZONE = Source(
    title="Ozone Level Detection",
    url="https://archive.ics.uci.edu/dataset/172/ozone+level+detection",
    licence=_UCI,
    citation="Zhang and Fan, Forecasting skewed biased stochastic ozone days, Knowledge and Information Systems "
    f"14(3):299-326, 2008; {_LTC}",
)


def _in_time(
    whole: Recording, borders: tuple[int, int] | list[int], gap: int, finish: Callable[[Recording], list[Recording]]
) -> Callable[[str], list[Recording]]:
    """The parts of a recording, each finished on its own so that nothing of another part can get into it.

    Args:
        whole: the recording.
        borders: first steps of validation and of test.
        gap: steps at the end of training and of validation that are left out.
        finish: the recordings of a part, such as those with targets of later steps.
    """
    validation, test = borders
    parts = {
        "train": slice(validation - gap),
        "validation": slice(validation, test - gap),
        "test": slice(test, None),
    }
    return lambda split: finish(whole.part(parts[split]))


def windows(
    values: NDArray[Any], targets: NDArray[Any], stride: int, seed: int, ends: list[int] | None = None
) -> dict[str, Any]:
    """The split of the LTC paper, as arguments of a `Task`: windows of 32 rows, drawn at random for each part.

    A tenth of them are validation and 15 % test. As in the paper's code, the last row or rows of a recording are in no
    window.

    Args:
        values: (n, features), all rows.
        targets: (n, ...), of each row.
        stride: rows between the starts of windows.
        seed: that of the paper's permutation.
        ends: where recordings end; None for one recording.
    """
    window, ends = 32, ends or [len(values)]
    starts = [
        start for first, end in zip([0, *ends[:-1]], ends, strict=True) for start in range(first, end - window, stride)
    ]
    order = np.random.RandomState(seed).permutation(len(starts))
    validation, test = int(0.1 * len(starts)), int(0.15 * len(starts))
    places = {
        "train": order[validation + test :],
        "validation": order[:validation],
        "test": order[validation : validation + test],
    }

    def recordings(split: str) -> list[Recording]:
        return [
            Recording(
                name=f"rows {start} to {start + window - 1}",
                times=np.arange(window, dtype=np.float64),
                values=values[start : start + window],
                targets=targets[start : start + window],
                first_row=start,
            )
            for start in (starts[place] for place in places[split].tolist())
        ]

    overlap = stride < window
    return {
        "recordings": recordings,
        "split_rule": f"As in the LTC paper: of all windows of {window} rows that begin every {stride} rows, permuted "
        f"by RandomState({seed}), the first tenth are validation, the next 15 % test, the others training. "
        + ("Windows overlap across the parts." if overlap else "No row is in two parts, but neighbours are."),
        "leak": f"Windows of {window} rows begin every {stride} rows and are drawn at random, so that most rows of "
        "test are in training too: scores are too good, and for comparison with the LTC paper's alone."
        if overlap
        else "",
        "fold_rule": "By the paper there is one: it has a single split.",
    }


def season(moments: NDArray[Any]) -> NDArray[np.int64]:
    """The season of the northern half of the earth: 0 for December to February, 1 for spring, 2, 3.

    Args:
        moments: datetime64 (n,).

    Example:
        >>> season(np.array(["2009-12-31", "2010-03-01", "2010-08-31"], dtype="datetime64[D]"))
        array([0, 1, 2])
    """
    month = moments.astype("datetime64[M]").astype(np.int64) % 12 + 1
    return month % 12 // 3


def _cells(raw: bytes, separator: str = ",") -> list[list[str]]:
    return [line.split(separator) for line in files.lines_content(raw).decode().split("\n")]


def _since(stamps: list[str], unit: str) -> NDArray[np.float64]:
    """Time since the first stamp."""
    moments = np.array(stamps, dtype="datetime64[s]")
    return (moments - moments[0]) / np.timedelta64(1, unit)  # pyright: ignore[reportArgumentType]


def _traffic_columns(raw: bytes) -> dict[str, NDArray[Any]]:
    """The columns that are read, a row of the file each."""
    rows = _cells(raw)[1:]
    moments = np.array([row[7] for row in rows], dtype="datetime64[s]")
    return {
        "time": moments,
        "holiday": np.array([row[0] != "None" for row in rows]),
        "weather": np.array([row[1:5] for row in rows], dtype=np.float64),
        # 1 January 1970 was a Thursday.
        "weekday": (moments.astype("datetime64[D]").astype(np.int64) + 3) % 7,
        "volume": np.array([row[8] for row in rows], dtype=np.float64),
    }


def _ozone_columns(raw: bytes) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.int64]]:
    """Days, features with NaN where missing, and labels."""
    rows = _cells(raw)
    dates = ["{2}-{0:0>2}-{1:0>2}".format(*row[0].split("/")) for row in rows]
    values = np.array([[np.nan if cell == "?" else float(cell) for cell in row[1:73]] for row in rows])
    return np.array(dates, dtype="datetime64[D]"), values, np.array([float(row[73]) for row in rows]).astype(np.int64)
