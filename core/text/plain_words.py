"""English words that open a sentence with a capital and name nothing."""

from __future__ import annotations

_PLAIN_TEXT = """
a about above according accordingly additionally after afterwards again against all almost
alone along already also although altogether always among an and another any anyone anything
apart apparently are around as aside at away because before behind being below beneath beside
besides between beyond both briefly but by can check choose clearly commonly compared
consequently consider conversely could currently despite did do does don't due during each
earlier either else enough especially even eventually ever every everyone everything except
finally first firstly following for former formerly fortunately four frequently from further
furthermore generally given has have having he hence her here his historically how however if
in indeed initially inside instead is it its itself just lastly lately later latter less
let likely likewise look many may maybe meanwhile might more moreover most mostly much must
near nearly neither never nevertheless next no nobody none nonetheless nor normally not note
nothing notably now obviously occasionally of often on once one only onto or originally other
others otherwise our out outside over overall particularly per perhaps please possibly
presumably previously primarily probably provided quite rarely rather recently regarding
regardless roughly same second secondly see several she should similarly simply since so some
somebody someone something sometimes soon specifically still subsequently such suddenly than
thanks that the their them then there thereafter therefore these they third this those though
three through throughout thus to today together too toward towards two typically under
unfortunately unless unlike until up upon use usually via was we were what whatever when
whenever where whereas wherever whether which whichever while who whoever whole whom whose why
will with within without would yes yet you your
"""
_PLAIN = frozenset(_PLAIN_TEXT.split())


def is_plain_word(word: str) -> bool:
    """Whether the word is one of grammar or of course, and no name."""
    return word.lower() in _PLAIN
