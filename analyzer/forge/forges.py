"""Which forges there are, and which of them a remote lives on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from analyzer.errors import UsageError
from analyzer.forge import azure, bitbucket, bitbucket_server, gitea, github, gitlab
from analyzer.forge.bare import Bare
from analyzer.forge.github_app import InstallationToken, Signature
from analyzer.forge.protocol import Forge
from analyzer.forge.remote import Access, Remote
from analyzer.forge.rest import Rest, Secret, Token
from analyzer.forge.settings import ForgeSettings

_SCP = re.compile(r"(?:[\w.+-]+@)?(?P<host>[\w.-]+):(?!//)(?P<path>[^\\]+)", re.ASCII)


@dataclass(frozen=True)
class Kind:
    """How to talk to one kind of forge."""

    make: Callable[[Rest, str], Forge]
    header: Callable[[str], Mapping[str, str]]
    tokens: tuple[str, ...]
    api: str
    """The address of its API, where ``{host}`` is the host of the remote."""
    hosts: tuple[str, ...]
    """The public hosts of this kind. A name that only looks like one gets no token unasked."""
    user: str
    """The user name that goes with a token when git asks."""


FORGES: Mapping[str, Kind] = {
    "github": Kind(
        github.GitHub,
        github.header,
        github.TOKENS,
        "https://{host}/api/v3",
        ("github.com", "ssh.github.com"),
        "x-access-token",
    ),
    "gitlab": Kind(
        gitlab.GitLab,
        gitlab.header,
        gitlab.TOKENS,
        "https://{host}/api/v4",
        ("gitlab.com", "altssh.gitlab.com"),
        "oauth2",
    ),
    "gitea": Kind(
        gitea.Gitea,
        gitea.header,
        gitea.TOKENS,
        "https://{host}/api/v1",
        ("codeberg.org", "gitea.com"),
        "oauth2",
    ),
    "azure": Kind(
        azure.Azure,
        azure.header,
        azure.TOKENS,
        "https://{host}",
        ("dev.azure.com", "ssh.dev.azure.com"),
        "pat",
    ),
    "bitbucket": Kind(
        bitbucket.Bitbucket,
        bitbucket.header,
        bitbucket.TOKENS,
        "https://{host}/2.0",
        ("bitbucket.org", "altssh.bitbucket.org"),
        "x-token-auth",
    ),
    "bitbucket-server": Kind(
        bitbucket_server.BitbucketServer,
        bitbucket_server.header,
        bitbucket_server.TOKENS,
        "https://{host}/rest/api/1.0",
        (),
        "x-token-auth",
    ),
}
"""How to talk to each kind of forge; ``none`` is `Bare`."""

_HOSTED_APIS = {
    "github.com": "https://api.github.com",
    "ssh.github.com": "https://api.github.com",
    "ssh.dev.azure.com": "https://dev.azure.com",
    "altssh.gitlab.com": "https://gitlab.com/api/v4",
    "bitbucket.org": "https://api.bitbucket.org/2.0",
    "altssh.bitbucket.org": "https://api.bitbucket.org/2.0",
}


def split_address(url: str) -> tuple[str, str]:
    """Host and ``owner/name`` of a remote's address; both empty for a folder."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https", "ssh", "git"):
        host, path = parts.hostname or "", parts.path
    elif match := _SCP.fullmatch(url):
        host, path = match["host"], match["path"]
    else:
        return "", ""
    return host.lower(), path.strip("/").removesuffix(".git")


def kind_of(settings: ForgeSettings, url: str) -> str:
    """The kind of forge of a remote at `url`. Raises `UsageError` where its host does not tell."""
    if settings.kind != "auto":
        return settings.kind
    host, _ = split_address(url)
    for name, kind in FORGES.items():
        if host in kind.hosts:
            return name
    raise UsageError(
        f"{host or 'the remote'} does not say which forge it is; set forge.kind to "
        f"{', '.join(FORGES)}, or to none to push branches alone"
    )


def git_user(kind: str) -> str:
    """The user name that goes with a forge's token when git asks."""
    return FORGES[kind].user if kind in FORGES else "git"


def token_of(
    settings: ForgeSettings, kind: str, environment: Mapping[str, str], url: str = ""
) -> Secret | None:
    """What lets in at the forge of the remote `url`; None where none was given and none is needed.

    On a forge there is always one: reading it says where one was expected.
    """
    app = _app(settings, kind)
    if app is not None:
        api, header = api_of(settings, kind, url), FORGES[kind].header
        rest = Rest(api, app, header, ca_file=settings.ca_file)
        return InstallationToken(rest, repository_of(settings, url))
    if kind not in FORGES:
        return Token(file=settings.token_file) if settings.token_file else None
    return Token(settings.token_file, FORGES[kind].tokens, environment)


def _app(settings: ForgeSettings, kind: str) -> Signature | None:
    """The app to sign in as, where one is set. Raises `UsageError` for half of one."""
    if settings.app_id is None and settings.app_key_file is None:
        return None
    if settings.app_id is None or settings.app_key_file is None:
        raise UsageError("forge.app_id and forge.app_key_file go together: set both, or neither")
    if settings.token_file is not None:
        raise UsageError("forge.app_id and forge.token_file both sign in; set one of them")
    if kind != "github":
        raise UsageError("forge.app_id is for GitHub; set forge.kind to github, or leave it out")
    return Signature(str(settings.app_id), settings.app_key_file)


def access_of(
    settings: ForgeSettings,
    url: str,
    environment: Mapping[str, str],
    *,
    ssh_key: str | None = None,
    known_hosts: str | None = None,
) -> Access:
    """How git gets to `url`: the forge's token over HTTP where there is one, the key over SSH.

    A public repository needs neither, so a token that is not there is no error yet.
    """
    try:
        kind = kind_of(settings, url)
    except UsageError:
        kind = "none"
    over_http = url.startswith(("https://", "http://"))
    token = token_of(settings, kind, environment, url) if over_http else None
    if isinstance(token, Token) and not token.given:
        token = None
    return Access(
        url=url,
        user=git_user(kind),
        token=token,
        ca_file=settings.ca_file if over_http else None,
        ssh_key=ssh_key,
        known_hosts=known_hosts,
    )


def repository_of(settings: ForgeSettings, url: str) -> str:
    """``owner/name`` of the remote at `url`, as set or as its address says."""
    if settings.repository and "/" not in settings.repository:
        raise UsageError(f"forge.repository is {settings.repository!r}; write it as owner/name")
    found = settings.repository or split_address(url)[1]
    if "/" not in found:
        raise UsageError("no owner/name can be told from the remote; set forge.repository")
    return found


def api_of(settings: ForgeSettings, kind: str, url: str) -> str:
    """The address of the API of the forge where the remote at `url` lives."""
    host, _ = split_address(url)
    if not host and settings.url is None:
        raise UsageError("the remote is a folder; set forge.url to the address of the API")
    if kind == "bitbucket" and settings.url is None and host not in FORGES[kind].hosts:
        raise UsageError(
            f"{host} is no Bitbucket Cloud, and Bitbucket Data Center has another API; set "
            "forge.kind to bitbucket-server"
        )
    api = settings.url or _HOSTED_APIS.get(host, FORGES[kind].api.format(host=host))
    if urlsplit(api).scheme not in ("http", "https") or "@" in urlsplit(api).netloc:
        raise UsageError("forge.url must be an address like https://git.example.org/api/v3")
    if settings.ca_file is not None and not Path(settings.ca_file).is_file():
        raise UsageError(f"{settings.ca_file}: no such file; name one as forge.ca_file")
    return api


def open_forge(
    settings: ForgeSettings,
    remote: Remote,
    token: Secret | None,
    *,
    dry_run: bool = False,
) -> Forge:
    """The forge where `remote` lives; nothing is asked yet."""
    url = remote.url()
    name = kind_of(settings, url)
    if name == "none":
        return Bare(remote, dry_run)
    kind, repository, api = FORGES[name], repository_of(settings, url), api_of(settings, name, url)
    rest = Rest(api, token or Token(), kind.header, ca_file=settings.ca_file, dry_run=dry_run)
    return kind.make(rest, repository)
