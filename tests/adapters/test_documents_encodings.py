"""Text is decoded as what it is, or refused: never into rubbish."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.documents.encodings import decode
from core.documents import UnreadableDocument, UnreadableReason

# What one might find in a company's files, in our own words.
SAMPLES = {
    "fr": "Le serveur démarre dès que la configuration est vérifiée ; les données restent dans un "
    "répertoire verrouillé, où l'on a gardé la clé. Ça suffit pour l'été.",
    "de": "Die Größe des Verzeichnisses hängt von der Zahl der Schlüssel ab. Fällt ein Knoten aus, "
    "übernimmt ein anderer; für die Übergabe genügt eine Bestätigung.",
    "es": "La configuración se verifica al arrancar. ¿Dónde está el archivo? El año pasado la "
    "compañía creció más rápido según los números públicos.",
    "pt": "A configuração não está disponível. São três opções: você pode recomeçar a operação, ou "
    "então avançar até à próxima versão.",
    "sv": "Servern startar när inställningarna är lästa. Därefter går det att söka på alla språk, "
    "även på dem som inte används så ofta.",
    "en": "The server’s “settings” are read once — then it starts.",
    "zh": "服务器启动时读取配置文件，然后打开端口等待连接。如果配置有错误，它会说明原因并且停止。",
    "tw": "設定確認後伺服器才會啟動。所有檔案讀取完畢之後，就可以進行搜尋。",
    "cs": "Příliš žluťoučký kůň. Server se spustí, když je nastavení ověřeno a všechny soubory "
    "jsou přečteny.",
    "pl": "Serwer uruchamia się, gdy ustawienia są sprawdzone, a wszystkie pliki już odczytał ktoś "
    "wcześniej. Zażółć gęślą jaźń.",
    "hu": "A kiszolgáló elindul, amikor a beállítások ellenőrzése megtörtént, és minden fájl "
    "olvasható volt. Árvíztűrő tükörfúrógép.",
    "tr": "Sunucu, ayarlar doğrulandığında başlar. Bütün dosyalar okunduğunda arama yapılabilir.",
    "ru": "Сервер запускается, когда настройки проверены. Все файлы прочитаны, и поиск возможен.",
    "el": "Ο διακομιστής ξεκινά όταν ελεγχθούν οι ρυθμίσεις και διαβαστούν όλα τα αρχεία.",
    "ja": "設定が確認されるとサーバーが起動します。すべてのファイルを読んだ後に検索できます。",
    "ko": "설정이 확인되면 서버가 시작됩니다. 모든 파일을 읽은 후에 검색할 수 있습니다.",
}

TOLD = [
    *(("cp1252", language) for language in ("fr", "de", "es", "pt", "sv", "en")),
    *(("gb18030", language) for language in ("zh", "tw")),
    *(("utf-8", language) for language in SAMPLES),
    *(("utf-8-sig", language) for language in ("zh", "fr")),
    *(("utf-16", language) for language in ("zh", "ru", "en")),
]
NOT_TOLD = [
    *(("mac_roman", language) for language in ("fr", "de", "es", "sv", "en")),
    *(("cp850", language) for language in ("fr", "de", "sv")),
    *((codec, language) for language in ("cs", "pl", "hu") for codec in ("cp1250", "iso8859-2")),
    *((codec, "ru") for codec in ("cp1251", "koi8-r", "iso8859-5", "cp866")),
    *((codec, "ja") for codec in ("shift_jis", "euc_jp", "iso2022_jp")),
    *((codec, "el") for codec in ("cp1253", "iso8859-7")),
    ("cp1254", "tr"),
    ("euc_kr", "ko"),
    ("big5", "tw"),
]


@pytest.mark.parametrize(("codec", "language"), TOLD)
def test_an_encoding_that_can_be_told_is_told(codec: str, language: str) -> None:
    text = SAMPLES[language]
    assert decode(text.encode(codec)) == text


@pytest.mark.parametrize(("codec", "language"), NOT_TOLD)
def test_one_that_cannot_is_refused_and_never_misread(codec: str, language: str) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        decode(SAMPLES[language].encode(codec, "ignore"))
    assert caught.value.reason is UnreadableReason.UNDECODABLE
    assert "UTF-8" in caught.value.message


@pytest.mark.parametrize(
    ("label", "language"),
    [
        ("UTF-8", "ru"),
        ("ISO-8859-1", "de"),
        ("windows-1252", "fr"),
        ("GBK", "zh"),
        ("gb2312", "zh"),
        ("Big5", "tw"),
        ("Shift_JIS", "ja"),
        ("EUC-JP", "ja"),
        ("ISO-2022-JP", "ja"),
        ("euc-kr", "ko"),
        ("ISO-8859-2", "cs"),
        ("windows-1250", "pl"),
        ("windows-1254", "tr"),
        ("KOI8-R", "ru"),
        ("windows-1251", "ru"),
        ("ISO-8859-7", "el"),
    ],
)
def test_a_declared_charset_is_believed(label: str, language: str) -> None:
    data = SAMPLES[language].encode(label, "ignore")
    assert decode(data, label) == data.decode(label)


def test_a_wrong_charset_is_not_believed_against_valid_utf8() -> None:
    assert decode("Größe".encode(), "iso-8859-1") == "Größe"


def test_a_codec_that_is_no_text_encoding_cannot_be_declared() -> None:
    for name in ("unicode_escape", "idna", "rot13", "utf-7", "undefined", "hex"):
        with pytest.raises(UnreadableDocument):
            decode(b"\xff\x81\x8d\xfe", name)


@pytest.mark.parametrize("language", ["fr", "zh", "ru", "ja"])
def test_damaged_utf8_is_refused_with_the_place(language: str) -> None:
    data = SAMPLES[language].encode()
    with pytest.raises(UnreadableDocument, match=f"byte {len(data)} is not UTF-8"):
        decode(data + b"\xff" + data)


@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00\x1b\ufeff"))
)
def test_every_text_survives_utf8_and_marked_utf16(text: str) -> None:
    assert decode(text.encode()) == text
    assert decode(text.encode("utf-16")) == text


@given(st.binary(max_size=400))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    with contextlib.suppress(UnreadableDocument):
        assert isinstance(decode(data), str)
