"""The server's settings: what `malmoi serve` reads from malmoi.toml, `--set a.b=c` and MALMOI_* variables."""

from ipaddress import ip_address
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from malmoi.engine.options import EngineOptions


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class HttpSettings(_Section):
    """Where and how the server listens."""

    host: str = "127.0.0.1"
    """Address to listen on. Any other than loopback needs an account first."""
    port: int = Field(8080, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""
    allowed_hosts: tuple[str, ...] = ()
    """Host names by which the server may be called, besides loopback names and `host`."""
    allowed_origins: tuple[str, ...] = ()
    """Web origins, such as https://intra.example.kr, whose pages may call the APIs."""
    max_body_bytes: int = Field(10 * 1024 * 1024, ge=1024)
    """Largest request body; larger ones get 413."""
    header_timeout: float = Field(10.0, gt=0)
    """Seconds within which a client must have sent its headers."""
    body_timeout: float = Field(10.0, gt=0)
    """Seconds a client may stay silent while it sends a body."""
    send_timeout: float = Field(30.0, gt=0)
    """Seconds a client may stop reading a stream before it is dropped."""
    shutdown_timeout: float = Field(30.0, ge=0)
    """Seconds that requests under way may take to finish after SIGTERM."""
    docs: bool = True
    """Serve the OpenAPI document and its page at /openapi.json and /docs."""


class ModelSettings(_Section):
    """Which models the server runs, and how."""

    default: str = "standard"
    """Model that answers when a request or person names none: a name of the catalog, or a reference."""
    preload: bool = True
    """Load the default model at the start instead of at the first request."""
    download: bool = True
    """Fetch the default model at the start if it is not here yet."""
    max_loaded: int = Field(2, ge=1)
    """Models kept in memory; the one unused for longest makes room."""
    remote: dict[str, str] = Field(default_factory=dict)
    """Further models by reference: name -> "http://host/v1#model", "path:...", "torch:...",
    "scripted:..."."""
    engine: EngineOptions = EngineOptions()
    """Options of the engines that run here."""

    @property
    def default_name(self) -> str:
        """The default model's name: of a reference, the part after #, or the file's or model's name."""
        scheme, colon, rest = self.default.partition(":")
        if not colon:
            return scheme
        path, _, model = rest.partition("#")
        return model or Path(path).name.removesuffix(".gguf").removesuffix(".toml") or scheme

    @property
    def references(self) -> dict[str, str]:
        """All models by reference: those of `remote`, and the default if it is one."""
        named = {self.default_name: self.default} if ":" in self.default else {}
        return {**self.remote, **named}


class AdmissionSettings(_Section):
    """How many requests may wait, and for how long."""

    max_queued: int = Field(64, ge=0)
    """Requests that may wait for a model; more get 429 with Retry-After."""
    max_wait: float = Field(120.0, gt=0)
    """Seconds a request may wait before it gets 503 with Retry-After."""
    max_choices: int = Field(8, ge=1)
    """Largest `n` of a request."""


class LimitSettings(_Section):
    """Limits of an account with all its keys together; a key's own come on top. 0 means no limit."""

    requests_per_minute: int = Field(0, ge=0)
    """Requests per minute of one account."""
    tokens_per_minute: int = Field(0, ge=0)
    """Prompt and completion tokens per minute of one account."""
    tokens_per_day: int = Field(0, ge=0)
    """Prompt and completion tokens per day (UTC) of one account."""


class IdentitySettings(_Section):
    """Accounts and sessions."""

    session_days: int = Field(14, ge=1)
    """Days after which an unused browser session ends."""
    max_failures: int = Field(5, ge=1)
    """Failed log-ins of one name or address within ten minutes before log-in pauses for it."""


class GuardSettings(_Section):
    """What is looked for in questions and answers. A policy is a name of the package, or a file."""

    policy: str = "default"
    """Policy that holds where none of the others does: default, strict, off, or a file."""
    models: dict[str, str] = Field(default_factory=dict)
    """Policies of single models: name of the model -> policy."""
    keys: dict[str, str] = Field(default_factory=dict)
    """Policies of single API keys, before those of models: id of the key -> policy."""


class UserSettings(_Section):
    """Which models of users are served, and how."""

    models: tuple[str, ...] = ()
    """Names or ids of "users" artifacts; the first one answers when a request names none."""
    threads: int = Field(1, ge=1, le=64)
    """Requests to user models that run at the same time."""
    max_queued: int = Field(64, ge=0)
    """Requests that may wait; more get 429 with Retry-After."""
    max_wait: float = Field(60.0, gt=0)
    """Seconds a request may wait before it gets 503 with Retry-After."""


class DocumentSettings(_Section):
    """How documents are kept and found."""

    max_file_bytes: int = Field(50 * 1024 * 1024, ge=1024)
    """Largest file that may be uploaded; larger ones get 413."""
    embedder: str = "search"
    """Model that makes the vectors; `use` where some of `search` are missing. Empty: the one that embeds
    for requests. When it changes, all vectors are made anew in the background."""
    vector_cache_megabytes: int = Field(512, ge=1)
    """Memory for vectors; collections that were not searched for longest make room."""
    reranker: str = ""
    """Model that reads a question with the first twenty passages and puts them into a better order; it must
    tell how likely a text is, as `torch:` models and vLLM do. Empty: none."""
    reranker_seconds: float = Field(20.0, gt=0)
    """Seconds a search waits for that order; then it goes without."""


class SkillSettings(_Section):
    """What skills may reach and use."""

    trusted_hosts: tuple[str, ...] = ()
    """Hosts ("host" or "host:port") that skills may reach although they are not on the public internet, also
    over plain http and at any port."""
    allow_http: bool = False
    """Let skills reach public hosts over plain http; else only https."""
    ports: tuple[int, ...] = (443,)
    """Ports of public hosts that skills may reach."""
    base_urls: dict[str, str] = Field(default_factory=dict)
    """Addresses of real providers instead of those of the manifests: name of the skill -> address."""
    key_file: Path | None = None
    """File with the key that seals people's credentials; none: skills.key under the home, made when it is
    needed. Servers on one database share it."""
    steps: int = Field(4, ge=1, le=20)
    """Calls in one run."""
    run_seconds: float = Field(180.0, gt=0)
    """Seconds a run may take, the model's answer included."""
    call_seconds: float = Field(30.0, gt=0)
    """Seconds one call may take."""
    run_tokens: int = Field(16_000, ge=1)
    """Tokens of prompts and answers in one run."""
    always_tell: bool = False
    """Let the model add to answers that a skill has given in its own words."""


class DatabaseSettings(_Section):
    """Where conversations, accounts and usage are kept."""

    url: str | None = None
    """SQLAlchemy URL such as postgresql+psycopg://user@host/malmoi; none: SQLite under the home directory."""


class ServeSettings(_Section):
    """All settings of the server."""

    home: Path = Path("~/.malmoi")
    """Directory under which everything that the server writes lies."""
    http: HttpSettings = HttpSettings()
    """Where and how the server listens."""
    models: ModelSettings = ModelSettings()
    """Which models the server runs, and how."""
    admission: AdmissionSettings = AdmissionSettings()
    """How many requests may wait, and for how long."""
    limits: LimitSettings = LimitSettings()
    """Default limits of keys and accounts."""
    identity: IdentitySettings = IdentitySettings()
    """Accounts and sessions."""
    guard: GuardSettings = GuardSettings()
    """What is looked for in questions and answers."""
    users: UserSettings = UserSettings()
    """Which models of users are served, and how."""
    documents: DocumentSettings = DocumentSettings()
    """How documents are kept and found."""
    skills: SkillSettings = SkillSettings()
    """What skills may reach and use."""
    database: DatabaseSettings = DatabaseSettings()
    """Where conversations, accounts and usage are kept."""

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can reach the server, by address and by name."""
        return _is_loopback(self.http.host) and all(_is_loopback(host) for host in self.http.allowed_hosts)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
