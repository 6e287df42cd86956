"""Does text that was decoded from a legacy encoding read like language, or like rubbish?"""

from __future__ import annotations

import re

# The hanzi that running Chinese text uses most, with some that technical writing adds. They
# make up two thirds of ordinary text, and by chance a tenth of a wrongly decoded one.
_FREQUENT_HANZI = frozenset(
    "的一是不了在有人我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自"
    "之年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些"
    "主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点正"
    "业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回"
    "特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平"
    "系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命"
    "山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完"
    "设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争"
    "运笔器服端口网络配置文件户密码错误检查默认参数版存储索引键值输码启停连接试运监控警服务节"
    "点容量缓请求响应备份恢复日志库表询限登录访问证更新安装载卸步骤注意例若否支持"
)
_HANZI = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_FOREIGN_TO_CHINESE = re.compile(
    r"[^\x00-\x7f\u2010-\u22ff\u3000-\u3029\u4e00-\u9fff\uff00-\uffef·—…×÷°±]"
)
_FEWEST_HANZI = 4

# The letters beyond a-z of the languages that Windows-1252 was made for. One alphabet must
# explain a text's letters: rubbish from another encoding mixes them. Icelandic is left out,
# since Turkish in its own encoding looks just like it.
_ALPHABETS = tuple(
    frozenset(letters + letters.upper() + "éÉ")
    for letters in (
        "àâæçèêëîïôœùûüÿ",  # French
        "äöüß",  # German
        "áíñóúü",  # Spanish
        "àáâãçêíóôõúü",  # Portuguese
        "àèìíòóùî",  # Italian
        "àçèíïòóúü",  # Catalan
        "äåöæøôòü",  # Swedish, Danish, Norwegian, Finnish
        "áèëïóöüí",  # Dutch
    )
)
_ACCENTED = re.compile(r"[\u00aa\u00b5\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u017f\u0192]")
_LETTERS = re.compile(r"[^\W\d_]")
_NOT_WESTERN = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f]")
_SYMBOL_IN_WORD = re.compile(
    r"[a-zà-ÿ][^\x00-\x7fÀ-ÖØ-öø-ÿŒœŠšŽžŸ\u2018\u2019–—·\xad\xa0…][a-zà-ÿ]|[a-z][–—][b-df-hj-np-z]\b",
    re.IGNORECASE,
)
_CAPITAL_IN_WORD = re.compile(r"[a-zà-öø-ÿ][À-ÖØ-ÞŸŒ](?=[a-zà-öø-ÿ])")


def looks_chinese(text: str) -> bool:
    """Whether text decoded as GB18030 reads like Chinese.

    Enough of its hanzi are among the most frequent ones, and hardly anything in it belongs to
    neither Chinese nor ASCII.
    """
    hanzi = _HANZI.findall(text)
    if len(hanzi) < _FEWEST_HANZI:
        return False
    foreign = len(_FOREIGN_TO_CHINESE.findall(text))
    frequent = sum(character in _FREQUENT_HANZI for character in hanzi)
    return foreign <= 0.03 * len(hanzi) and frequent >= 0.33 * len(hanzi)


def looks_western(text: str) -> bool:
    """Whether text decoded as Windows-1252 reads like a Western European language.

    Accented letters are the exception, belong to one alphabet, and stand where letters stand;
    symbols don't.
    """
    accented = _ACCENTED.findall(text)
    if _NOT_WESTERN.search(text) or _SYMBOL_IN_WORD.search(text) or _CAPITAL_IN_WORD.search(text):
        return False
    if len(accented) > 0.25 * len(_LETTERS.findall(text)):
        return False
    strays = min(sum(letter not in known for letter in accented) for known in _ALPHABETS)
    return strays <= 0.05 * len(accented)
