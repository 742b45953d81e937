# Sourced by the scripts beside it: how they speak, and what apt may do here.

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# Print the command prefix under which apt may install packages; fail where it may not.
apt_prefix() {
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" -eq 0 ]; then
        return 0
    fi
    sudo -n true 2>/dev/null || return 1
    printf 'sudo -n '
}

# apt_install PACKAGE...: install system packages, saying so; fail where that is not allowed.
apt_install() {
    local prefix
    prefix=$(apt_prefix) || return 1
    say "installing Debian packages: $*"
    # shellcheck disable=SC2086  # the prefix is words on purpose
    ${prefix}env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2
    # shellcheck disable=SC2086
    ${prefix}env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" >&2
}

# stamp_of FILE...: one line that changes when any of the files does.
stamp_of() { cat -- "$@" | sha256sum | cut -d ' ' -f 1; }
