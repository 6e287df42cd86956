"""Telling a text's language, roughly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.text.language import Script, detect_language, detect_script, understands

ENGLISH_ONLY = frozenset({"en"})


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How do I restart the indexer when the disk is full?", "en"),
        ("Wie starte ich den Dienst neu, wenn die Platte voll ist?", "de"),
        ("Comment redémarrer le service quand le disque est plein ?", "fr"),
        ("¿Cómo se reinicia el servicio cuando el disco está lleno?", "es"),
        ("Come si riavvia il servizio quando il disco è pieno?", "it"),
        ("Como reinicio o serviço quando o disco não tem espaço?", "pt"),
        ("Hoe start ik de dienst opnieuw wanneer het schijfje vol is?", "nl"),
        ("磁盘满了以后怎么重建索引？", "zh"),
        ("ディスクがいっぱいになったらどうしますか？", "ja"),
        ("東京タワーの高さは何メートルですか", "ja"),
        ("디스크가 가득 차면 어떻게 합니까?", "ko"),
        ("Что делать, если диск заполнен?", "ru"),
        ("ماذا أفعل إذا امتلأ القرص؟", "ar"),
        ("מה לעשות אם הדיסק מלא?", "he"),
        ("Τι κάνω αν γεμίσει ο δίσκος;", "el"),
        ("डिस्क भर जाए तो क्या करें?", "hi"),
        ("ทำอย่างไรเมื่อดิสก์เต็ม", "th"),
        ("StreamChat 返回 UNAVAILABLE 是什么意思？", "zh"),
        ("What does the character 猫 in the title mean?", "en"),
        ("", ""),
        ("42 §§ 🐈", ""),
        ("TurnLogExpired", ""),
    ],
)
def test_the_language_of(text: str, language: str) -> None:
    assert detect_language(text) == language


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Rhine", Script.LATIN),
        ("磁盘", Script.HAN),
        ("さくら", Script.KANA),
        ("서울", Script.HANGUL),
        ("🐈 12", None),
    ],
)
def test_the_script_of(text: str, script: Script | None) -> None:
    assert detect_script(text) is script


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Where does the Rhine begin?", True),
        ("Rhine source canton", True),
        ("E1234", True),
        ("", True),
        ("莱茵河发源于哪里？", False),
        ("gRPC 的 deadline 怎么设置？", False),
        ("Где начинается Рейн?", False),
        ("Wo ist der Ursprung des Rheins und wie lang ist er?", False),
    ],
)
def test_an_english_model_understands(text: str, expected: bool) -> None:
    assert understands(ENGLISH_ONLY, text) is expected


def test_a_model_for_chinese_alone_does_not_understand_latin_names() -> None:
    assert understands(frozenset({"zh"}), "Rhine source") is False


@given(st.text())
def test_a_model_for_many_languages_understands_everything(text: str) -> None:
    assert understands(frozenset(), text)


@given(st.text())
def test_any_text_has_an_answer(text: str) -> None:
    assert detect_language(text) == detect_language(text)
