"""Word lists for `seed`: names, places, and the names of objects.

In a list of names, `Юлія=Yuliia` is a name and its Latin spelling. Without one, the spelling is the name without its
accents. Postal codes belong to their cities.
"""

# ruff: noqa: RUF001  (letters of other scripts that look like Latin ones are intended)

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from service.access.permissions import SERVER

# Latin letters that have no decomposition in Unicode
_PLAIN = str.maketrans({"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "ß": "ss", "ı": "i", "đ": "d", "Đ": "D", "æ": "ae"})


@dataclass(frozen=True, slots=True)
class Culture:
    """The names and places of one language and country. A name is a pair: as written, and in lower-case ASCII."""

    language: str
    country: str
    first_names: tuple[tuple[str, str], ...]
    last_names: tuple[tuple[str, str], ...]
    cities: tuple[tuple[str, str], ...]  # name, postal code
    streets: tuple[str, ...]
    number_first: bool  # "12 High Street" instead of "Hauptstraße 12"


def latin(name: str) -> str:
    """Return a name in Latin script in lower-case ASCII letters."""
    plain = unicodedata.normalize("NFKD", name.translate(_PLAIN))
    return re.sub("[^a-z]", "", plain.encode("ascii", "ignore").decode().lower())


def stems(first: str, last: str) -> tuple[str, ...]:
    """Return possible beginnings of a username: 2 to 7 of `a-z` and `_`, from names in lower-case ASCII letters."""
    return first[:7], first[:7], first[0] + last[:6], f"{first[:5]}_{last[0]}"


def _names(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (item.replace("_", " ").partition("=") for item in text.split())
    return tuple((name, latin(spelling or name)) for name, _, spelling in pairs)


def _culture(tag: str, first: str, last: str, cities: str, streets: str) -> Culture:
    language, _, country = tag.rpartition(" ")
    places = [item.strip().rpartition(" ") for item in cities.split(",")]
    return Culture(
        language,
        country,
        _names(first),
        _names(last),
        tuple((city.replace("_", " "), code.replace("_", " ")) for city, _, code in places),
        tuple(item.strip() for item in streets.split(",")),
        country in {"CA", "EG", "FR", "GB", "IN", "US", "VN"},
    )


CULTURES = (
    _culture(
        "en US",
        "Mary Robert Patricia Michael Jennifer David Linda Emma Olivia Noah Liam Ava Sophia Ethan Mason Logan Jamal",
        "Smith Johnson Williams O'Brien Jones Miller Davis Wilson Anderson Taylor Moore Jackson",
        "Portland 97205, Austin 78701, Chicago 60601, Denver 80202, Atlanta 30303",
        "Maple Avenue, Oak Street, Washington Street, Park Avenue, Cedar Lane",
    ),
    _culture(
        "en-GB GB",
        "Oliver George Harry Amelia Isla Poppy Freya Callum Rhys Siobhan Nigel Fiona Alistair Gemma Rupert Imogen",
        "Davies Evans Hughes Clarke Wright Green Hall Wood Turner MacDonald Campbell Stewart Fletcher Ashworth Khan",
        "London SW1A_1AA, Leeds LS1_4AP, Bristol BS1_5TR, Cardiff CF10_1EP, Glasgow G2_1DU",
        "High Street, Station Road, Church Lane, Victoria Road, Mill Lane",
    ),
    _culture(
        "fr-CA CA",
        "Félix Léa Mathis Gabrielle Étienne Océane Maxime Coralie Benoît Noémie Xavier Mégane",
        "Tremblay Gagnon Roy Côté Bouchard Gauthier Morin Lavoie Fortin Ouellet Pelletier",
        "Montréal H2Y_1C6, Québec G1R_4P5, Gatineau J8X_3X7, Sherbrooke J1H_1Y9",
        "rue Principale, rue Saint-Jean, boulevard Laurier, avenue du Parc",
    ),
    _culture(
        "de DE",
        "Lukas Jürgen Sabine Anna Felix Mia Björn Käthe Stefan Heike Jonas Günther Ulrike Maximilian Emilia",
        "Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Schäfer Koch Bauer Krüger Voß",
        "Berlin 10115, Hamburg 20095, München 80331, Köln 50667, Leipzig 04109, Göttingen 37073",
        "Hauptstraße, Bahnhofstraße, Gartenweg, Schillerstraße, Lindenallee",
    ),
    _culture(
        "de-AT AT",
        "Franz Elfriede Sepp Magdalena Florian Theresa Valentin Johanna Leopold Katharina",
        "Gruber Huber Pichler Steiner Moser Mayr Hofer Eder Leitner Fuchs Reiter Berger",
        "Wien 1010, Graz 8010, Linz 4020, Salzburg 5020, Innsbruck 6020",
        "Wiener Straße, Kirchengasse, Mozartgasse, Am Graben",
    ),
    _culture(
        "fr FR",
        "Camille Chloé Théo Manon Jules Inès Léo Zoé Raphaël Élodie François Hélène Cédric Aurélie Loïc",
        "Martin Dubois Thomas Petit Durand Leroy Moreau Simon Lefèvre d'Aubigné Chevalier",
        "Paris 75011, Lyon 69002, Marseille 13006, Toulouse 31000, Nantes 44000",
        "rue de la République, avenue Victor Hugo, rue des Lilas, place de l'Église",
    ),
    _culture(
        "es ES",
        "Lucía Hugo Martina Pablo Sofía Álvaro Paula Javier Carmen Íñigo Nuria Sergio Begoña Raúl",
        "García Fernández González Rodríguez López Martínez Sánchez Pérez Muñoz Ibáñez Navarro Peña Vázquez Ortega",
        "Madrid 28013, Barcelona 08002, Sevilla 41001, Bilbao 48001, Valencia 46001",
        "Calle Mayor, Calle de Alcalá, Avenida de la Constitución, Plaza Nueva",
    ),
    _culture(
        "es-MX MX",
        "Ximena Santiago Guadalupe Mateo Valentina Emiliano Fernanda Diego Itzel Rodrigo",
        "Hernández Ramírez Cruz Flores Gómez Morales Reyes Jiménez Ruiz Mendoza Castañeda Domínguez",
        "Guadalajara 44100, Monterrey 64000, Puebla 72000, Mérida 97000",
        "Avenida Juárez, Calle Hidalgo, Calle 5 de Mayo, Paseo de la Reforma",
    ),
    _culture(
        "pt-BR BR",
        "João Maria Miguel Helena Davi Laura Thiago Beatriz Luís Antônia Caio Letícia Flávio Conceição",
        "Silva Santos Oliveira Souza Lima Pereira Ferreira Araújo Gonçalves Rocha Mendonça Simões Assunção Barbosa",
        "São_Paulo 01001-000, Curitiba 80010-000, Recife 50010-000, Salvador 40020-000",
        "Rua das Flores, Avenida Paulista, Rua XV de Novembro, Travessa do Comércio",
    ),
    _culture(
        "it IT",
        "Francesco Giulia Alessandro Sofia Lorenzo Aurora Matteo Chiara Niccolò Martina Davide Ginevra",
        "Rossi Russo Ferrari Esposito Bianchi Romano Colombo Ricci Marino Greco D'Angelo Conti",
        "Roma 00184, Milano 20121, Torino 10123, Napoli 80132, Bologna 40126",
        "Via Roma, Via Garibaldi, Corso Italia, Piazza Dante",
    ),
    _culture(
        "nl NL",
        "Daan Emma Sem Tess Lars Sanne Joost Anouk Thijs Femke Ruben Noor",
        "de_Jong Jansen de_Vries van_den_Berg Bakker Visser Smit Meijer Mulder Bos Dekker van_Dijk",
        "Amsterdam 1012_JS, Utrecht 3511_AB, Rotterdam 3011_AA, Groningen 9711_LM",
        "Dorpsstraat, Kerkstraat, Molenweg, Prinsengracht",
    ),
    _culture(
        "pl PL",
        "Łukasz Zofia Jakub Hanna Michał Małgorzata Paweł Agnieszka Wojciech Katarzyna Stanisław Żaneta",
        "Nowak Kowalski Wiśniewski Wójcik Kamiński Lewandowski Zieliński Szymański Dąbrowski Jabłoński Wróbel Mazur",
        "Warszawa 00-001, Kraków 31-042, Gdańsk 80-831, Wrocław 50-106, Łódź 90-001",
        "ulica Polna, ulica Leśna, ulica Słoneczna, aleja Jana Pawła II",
    ),
    _culture(
        "sv SE",
        "Elsa Lars Åsa Oscar Maja Björn Linnéa Sven Ebba Göran Saga Håkan",
        "Andersson Johansson Karlsson Nilsson Eriksson Larsson Öberg Åkesson Sjögren Lindqvist Bergström Holm",
        "Stockholm 111_20, Göteborg 411_03, Malmö 211_22, Uppsala 753_10",
        "Storgatan, Kungsgatan, Skolvägen, Björkvägen",
    ),
    _culture(
        "tr TR",
        "Yusuf Zeynep Mehmet Elif Çağlar Ayşe Oğuz Şule Burak Gülşen Emre Işıl",
        "Yılmaz Kaya Demir Şahin Çelik Yıldız Öztürk Aydın Arslan Doğan Kılıç Güneş",
        "İstanbul 34110, Ankara 06420, İzmir 35210, Bursa 16010",
        "Atatürk Caddesi, İstiklal Caddesi, Gül Sokak, Cumhuriyet Bulvarı",
    ),
    _culture(
        "uk UA",
        "Юлія=Yuliia Андрій=Andrii Оксана=Oksana Тарас=Taras Ірина=Iryna Богдан=Bohdan Соломія=Solomiia Дмитро=Dmytro",
        "Шевченко=Shevchenko Коваленко=Kovalenko Бондаренко=Bondarenko Ткачук=Tkachuk Мельник=Melnyk",
        "Київ 01001, Львів 79000, Одеса 65000, Харків 61000",
        "вулиця Шевченка, вулиця Лесі Українки, проспект Свободи",
    ),
    _culture(
        "ar EG",
        "محمد=Mohamed فاطمة=Fatma أحمد=Ahmed مريم=Mariam يوسف=Youssef نور=Nour عمر=Omar ليلى=Layla",
        "حسن=Hassan إبراهيم=Ibrahim السيد=Elsayed منصور=Mansour فاروق=Farouk سليمان=Soliman خليل=Khalil",
        "القاهرة 11511, الجيزة 12511, الإسكندرية 21500",
        "شارع التحرير, شارع الهرم, شارع النيل",
    ),
    _culture(
        "hi IN",
        "आरव=Aarav प्रिया=Priya अर्जुन=Arjun अनन्या=Ananya रोहन=Rohan दीपिका=Deepika विक्रम=Vikram काव्या=Kavya",
        "शर्मा=Sharma पटेल=Patel सिंह=Singh गुप्ता=Gupta वर्मा=Verma मिश्रा=Mishra चौधरी=Chaudhary यादव=Yadav",
        "Mumbai 400001, Bengaluru 560001, Pune 411001, New_Delhi 110001, Kolkata 700001",
        "MG Road, Station Road, Gandhi Marg, Linking Road",
    ),
    _culture(
        "ja JP",
        "陽翔=Haruto 結衣=Yui 大輔=Daisuke 美咲=Misaki 健太=Kenta さくら=Sakura 翔太=Shota 葵=Aoi",
        "佐藤=Sato 鈴木=Suzuki 高橋=Takahashi 田中=Tanaka 渡辺=Watanabe 伊藤=Ito 山本=Yamamoto 中村=Nakamura",
        "東京 100-0001, 大阪 530-0001, 京都 600-8216, 札幌 060-0001",
        "本町, 中央, 桜木町",
    ),
    _culture(
        "zh-CN CN",
        "伟=Wei 芳=Fang 秀英=Xiuying 磊=Lei 静=Jing 强=Qiang 洋=Yang 雪梅=Xuemei 子涵=Zihan 浩然=Haoran",
        "王=Wang 李=Li 张=Zhang 刘=Liu 陈=Chen 杨=Yang 赵=Zhao 黄=Huang 周=Zhou 吴=Wu",
        "北京 100000, 上海 200000, 广州 510000, 成都 610000",
        "人民路, 中山路, 解放路, 建设路",
    ),
    _culture(
        "ko KR",
        "민준=Minjun 서연=Seoyeon 지훈=Jihun 하은=Haeun 도윤=Doyun 수빈=Subin 예준=Yejun 지우=Jiwoo",
        "김=Kim 이=Lee 박=Park 최=Choi 정=Jung 강=Kang 조=Cho 윤=Yoon 임=Lim",
        "서울 04524, 부산 48058, 대구 41911, 인천 22382",
        "세종대로, 강남대로, 중앙로",
    ),
    _culture(
        "vi VN",
        "Minh Linh Đức Hương Tuấn Ngọc Quân Thảo Hải Phương",
        "Nguyễn Trần Lê Phạm Hoàng Vũ Đặng Bùi Đỗ Ngô",
        "Hà_Nội 100000, Đà_Nẵng 550000, Huế 530000",
        "Lê Lợi, Trần Hưng Đạo, Nguyễn Huệ",
    ),
)

# Addresses and domains that are reserved for documentation (RFC 5737, RFC 3849, RFC 2606)
DOMAINS = ("example.com", "example.com", "example.net", "example.org")
ADDRESSES = (
    *(f"{net}.{host}" for net in ("192.0.2", "198.51.100", "203.0.113") for host in range(1, 255)),
    *(f"2001:db8:{net:x}::{host:x}" for net in range(1, 17) for host in range(1, 17)),
)
NETWORKS = ((IPv4Network("203.0.113.0/24"),), (IPv4Network("198.51.100.7/32"), IPv6Network("2001:db8:7::/48")))

_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0"
_APPLE = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6"
USER_AGENTS = (
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Safari/537.36",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Safari/537.36 Edg/140.0.0.0",
    f"Mozilla/5.0 (Linux; Android 10; K) {_WEBKIT} Mobile Safari/537.36",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_APPLE} Safari/605.1.15",
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) {_APPLE} Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0",
    "curl/8.15.0",
)

SUSPENSION_REASONS = (
    "Invoice overdue",
    "Chargeback",
    "Spam sent from the account",
    "Breach of the terms",
    "Shared login",
)
WALLET_NAMES = ("Savings", "Mining", "Shop", "Donations")
DEPOSITS = ("Deposit by bank transfer", "Lightning deposit", "Refund", "Voucher")
DEBITS = ("Server, monthly fee", "Additional storage", "Domain, yearly fee", "Backup space")
SETTINGS = ("{}", "{}", '{"theme": "dark"}', '{"theme": "light", "notifications": {"email": true}}')
API_KEY_NAMES = ("deploy", "backup job", "terraform", "monitoring", "grafana", "ci", "billing export", "chat bot")
API_KEY_PERMISSIONS = (
    ("account.read",),
    ("servers.read",),
    ("account.read", "servers.read"),
    ("ssh-keys.create", "ssh-keys.delete", "ssh-keys.read"),
    ("account.read", "activity.read", "sessions.read"),
)
MACHINES = ("laptop", "workstation", "desktop", "macbook", "nas", "ci-runner", "raspberrypi")
SERVER_NAMES = (
    "Survival",
    "Skyblock",
    "Creative",
    "Bedwars",
    "Modpack",
    "Chat bot",
    "Web shop",
    "Wiki",
    "Staging",
    "Blog",
)
SERVER_PERMISSIONS = (
    ("websocket.connect",),
    ("control.console", "control.restart", "control.start", "control.stop", "websocket.connect"),
    ("activity.read", "backup.create", "backup.download", "backup.read", "control.restart", "websocket.connect"),
    ("file.create", "file.delete", "file.read", "file.read-content", "file.sftp", "file.update", "websocket.connect"),
    ("database.create", "database.read", "database.update", "database.view_password", "websocket.connect"),
    tuple(sorted(SERVER)),
)
