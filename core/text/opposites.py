"""English words that exclude each other: opposites, and members of small closed groups."""

from __future__ import annotations

from itertools import combinations

from core.text.terms import terms

_PAIRS = """
most least, most fewest, more less, more fewer, many few, much little, increase decrease, increase
reduce, increase decline, rise fall, rose fell, rising falling, grow shrink, grew shrank, gain
lose, gain loss, win lose, won lost, victory defeat, profit loss, before after, precede follow,
previous next, former latter, earlier later, early late, earliest latest, begin end, began ended,
begin stop, start stop, start end, start finish, open close, opening closing, first last, inside
outside, interior exterior, internal external, indoor outdoor, above below, over under, upper
lower, top bottom, high low, higher lower, highest lowest, long short, longer shorter, longest
shortest, large small, larger smaller, largest smallest, big small, bigger smaller, biggest
smallest, great small, tall short, fast slow, faster slower, fastest slowest, hot cold, hottest
coldest, warm cold, warmer colder, heat cool, wet dry, old new, older newer, old young, older
younger, oldest youngest, oldest newest, ancient modern, male female, man woman, men women, boy
girl, boys girls, father mother, son daughter, husband wife, brother sister, king queen, left
right, buy sell, bought sold, import export, enter leave, enter exit, arrive depart, arrive leave,
birth death, born died, alive dead, allow forbid, allow prevent, permit prohibit, legal illegal,
possible impossible, able unable, success failure, succeed fail, successful failed, accept refuse,
accept reject, agree disagree, support oppose, support reject, friend enemy, ally enemy, war
peace, attack defend, day night, always never, often rarely, usually rarely, minimum maximum,
strong weak, stronger weaker, strongest weakest, strengthen weaken, appear disappear, include
exclude, same different, similar different, major minor, public private, positive negative, rich
poor, deep shallow, deeper shallower, deepest shallowest, wide narrow, wider narrower, widest
narrowest, thick thin, thicker thinner, full empty, easy difficult, easy hard, simple complex,
hard soft, best worst, better worse, good bad, majority minority, upstream downstream, source
mouth, lend borrow, create destroy, built destroyed, build demolish, construct demolish, join
leave, join separate, unite divide, connect separate, expand contract, lengthen shorten, widen
narrow, raise lower, ascend descend, climb descend, enable disable, install uninstall, lock
unlock, connect disconnect, attach detach, encrypt decrypt, compress decompress, add remove, add
subtract, insert delete, keep discard, send receive, give receive, give take, push pull, read
write, upload download, upgrade downgrade, load unload, leader follower, client server, producer
consumer, publisher subscriber, dominant subordinate, natural artificial, rural urban, local
foreign, domestic foreign, native foreign, import domestic, light dark, light heavy, bright dark,
clean dirty, safe dangerous, visible hidden, common rare, frequent rare, popular unpopular, known
unknown, important unimportant, necessary unnecessary, clockwise counterclockwise, vertical
horizontal, odd even, single double, single married, present absent, presence absence, presence
lack, temporary permanent, voluntary compulsory, active passive, guilty innocent, love hate, like
dislike, remember forget, hire fire, employ dismiss, teach learn, question answer, cause effect,
cause prevent, supply demand, surplus shortage, primary secondary, senior junior, predator prey,
host parasite, employer employee, landlord tenant, doctor patient, teacher student, winner loser,
offence defence, offensive defensive, entrance exit, advantage disadvantage, benefit harm, improve
worsen, approve reject, confirm deny, admit deny, preserve destroy, protect harm, save waste, save
spend, spend earn, credit debit, asset liability
"""
_GROUPS = """
north south east west | northern southern eastern western |
northeast northwest southeast southwest |
first second third fourth fifth sixth last | spring summer autumn winter |
january february march april may june july august september october november
december |
monday tuesday wednesday thursday friday saturday sunday |
morning afternoon evening night | left right middle | red blue green yellow black white brown |
daily weekly monthly yearly | past present future | solid liquid gas
"""


def _opposites() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    pairs = [tuple(pair.split()) for pair in _PAIRS.split(",")]
    for group in _GROUPS.split("|"):
        pairs.extend(combinations(group.split(), 2))
    for words in pairs:
        (one,), (other,) = (terms(word) for word in words)
        if one != other:
            found.setdefault(one, set()).add(other)
            found.setdefault(other, set()).add(one)
    return {term: frozenset(others) for term, others in found.items()}


OPPOSITES = _opposites()
"""For a term, the terms that can't hold of the same thing in the same respect."""
