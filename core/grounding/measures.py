"""What a question of quantity counts or measures, and how an answer to it is written."""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.text.terms import terms

NUMBER = (
    r"(?:\d[\d.,]*|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen"
    r"|(?:twen|thir|for|fif|six|seven|eigh|nine)ty(?:-\w+)?|hundreds?|thousands?|[mb]illions?"
    r"|dozens?|half|halves|thirds?|quarters?|tenths?|twice|once|double[ds]?|none|no|single|both"
    r"|several|few)\b|[一二三四五六七八九十百千万亿两半几])"
)
"""A number in digits or words, English or Chinese."""
_YEAR = re.compile(r"(?:1[0-9]|20)\d\d")


@dataclass(frozen=True, slots=True)
class Measure:
    """One kind of quantity: how it is asked for, and the units that an answer has."""

    name: str
    asked: re.Pattern[str]
    unit: re.Pattern[str]


def _measure(name: str, asked: str, unit: str) -> Measure:
    return Measure(name, re.compile(asked, re.IGNORECASE), re.compile(unit, re.IGNORECASE))


_TIME_UNIT = (
    r"\b(?:years?|months?|weeks?|days?|nights?|hours?|minutes?|seconds?|decades?|centur(?:y|ies)"
    r"|ms|h|min|until|since|to)\b|[年月周天日秒]|小时|分钟|个月|星期|世纪"
)
_LENGTH_UNIT = (
    r"\b(?:k?m|cm|mm|(?:kilo|centi|milli)?met(?:re|er)s?|miles?|mi|feet|foot|ft|yards?|inch(?:es)?"
    r"|leagues?)\b|[米里尺寸]"
)

MEASURES = (
    _measure(
        "money",
        r"\bhow much\b.*\b(?:cost|pay|paid|earn|charge|worth|spen[dt]|owe|money)\w*"
        r"|\bwhat\b.*\b(?:costs?|prices?|fares?|fees?|salary|wages?|rent|deposit|toll)\b"
        r"|多少钱|费用|价格|花费|押金|工资|经费",
        r"[$€£¥]|\b(?:dollars?|euros?|pounds?|cents?|kron\w+|øre|francs?|marks?|yen|yuan|coins?"
        r"|money|EUR|USD|GBP|price|free)\b|[元角钱倍]",
    ),
    _measure(
        "share",
        r"\bwhat (?:percent\w*|share|proportion|fraction|part)\b|百分之几|[占几]成|比例|占多少",
        r"%|\b(?:percent|per cent|half|halves|thirds?|quarters?|\w+ths?|majority|most)\b|[成]|分之",
    ),
    _measure(
        "frequency",
        r"\bhow (?:often|frequently)\b|多久.*一次|每.*几次",
        r"\b(?:every|per|times|daily|weekly|monthly|yearly|hourly|annually|once|twice|rarely|never"
        r"|always|again)\b|每|一次",
    ),
    _measure(
        "speed",
        r"\bhow (?:fast|quickly)\b|\bwhat .*\bspeed\b|多快|速度",
        r"\b(?:per|an? (?:second|minute|hour|day)|km/h|mph|m/s|within|under|times|seconds?|minutes?"
        r"|hours?|ms)\b|/|每",
    ),
    _measure(
        "temperature",
        r"\b(?:temperatures?|how (?:hot|cold|warm))\b|温度|多热|多冷|水温",
        r"\b(?:degrees?|celsius|fahrenheit|kelvin)\b|°|度",
    ),
    _measure(
        "weight",
        r"\bweigh\b|\bweight\b|\bhow heavy\b|多重|重量",
        r"\b(?:kg|g|mg|(?:kilo|milli)?gram(?:me)?s?|kilos?|tons?|tonnes?|pounds?|lbs?|ounces?)\b"
        r"|[斤克吨]",
    ),
    _measure(
        "area",
        r"\bhow (?:large|big)\b|\barea\b|面积|多大",
        r"\b(?:square|hectares?|acres?|km2|MB|GB|KB|bytes?|litres?|liters?)\b|²|平方|[亩顷]"
        r"|兆|字节|" + NUMBER,
    ),
    _measure(
        "length",
        r"\bhow (?:far|tall|high|deep|wide|thick)\b|\b(?:length|height|width|depth|altitude)\b"
        r"|多[高远深宽厚]|长度|高度",
        _LENGTH_UNIT,
    ),
    _measure("age", r"\bhow old\b|\bwhat age\b|多大年纪|几岁", NUMBER),
    _measure(
        "duration",
        r"\bhow (?:soon|late|early)\b|\bhow long (?:do|does|did|can|could|may|might|must|should"
        r"|will|would|has|have|had|after|before|until)\b|多[长久]时间|多久|多少(?:时间|天|年|分钟|小时)",
        _TIME_UNIT,
    ),
    _measure("extent", r"\bhow long\b|多长", f"{_TIME_UNIT}|{_LENGTH_UNIT}"),
)
"""In order: the first that is asked for is meant."""
_WORDED = frozenset({"frequency"})
"""Measures that are answered without a number as well."""
_PLURALS = frozenset({"people", "men", "women", "children", "sheep", "fish", "feet"})

_COUNTED = re.compile(
    r"\bhow many (?:of (?:the|these|those|its|their) )?([\w'-]+)(?: ([\w'-]+))?", re.IGNORECASE
)
_NUMBERED = re.compile(NUMBER, re.IGNORECASE)
_REACH = 30
"""Characters after a number within which what it counts is named."""
_NOT_NAMED, _OTHER_UNIT = 0.8, 0.3


def measure_fit(question: str, sentence: str) -> float:
    """How far the sentence holds a number of what the question measures: 1, 0 or between."""
    numbers = [n for n in _NUMBERED.finditer(sentence) if not _YEAR.fullmatch(n.group())]
    measure = next((m for m in MEASURES if m.asked.search(question)), None)
    if measure is not None and measure.name in _WORDED:
        return 1.0 if measure.unit.search(sentence) else 0.0
    if not numbers:
        return 0.0
    if measure is not None:
        return 1.0 if measure.unit.search(sentence) else _OTHER_UNIT
    counted = _COUNTED.search(question)
    if counted is None:
        return _NOT_NAMED
    return 1.0 if _is_counted(_noun(counted), sentence, numbers) else _OTHER_UNIT


def _noun(counted: re.Match[str]) -> str:
    """What is counted: the first word if it is a plural, else the second."""
    first, second = counted.group(1), counted.group(2)
    return first if second is None or first.endswith("s") or first in _PLURALS else second


def _is_counted(what: str, sentence: str, numbers: list[re.Match[str]]) -> bool:
    """Whether the thing asked for stands soon after a number."""
    wanted = set(terms(what))
    return any(wanted & set(terms(sentence[n.end() : n.end() + _REACH])) for n in numbers)
