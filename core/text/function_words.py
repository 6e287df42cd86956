"""Words that build a sentence and say nothing of its subject, as a question is full of them."""

from __future__ import annotations

_ENGLISH = """
a an and any are as at be been being but by can could did do does for from had has have how if in
into is it its may might must no not of on or should so such than that the their them then there
these they this those to was were what when where which who whom whose why will with would
""".split()

_CHINESE = [
    *"的了是在和有与为及之吗呢吧么什哪谁何几",
    *("什么", "哪些", "哪个", "哪里", "是什", "为什", "多少", "怎么", "如何"),
]

FUNCTION_WORDS = frozenset(_ENGLISH + _CHINESE)
"""English and Chinese, as they are written; of the Chinese ones some are pieces of words."""
