# What the checks of the commands have in common: to start a service, and to see that it answers. Sourced, with $scratch
# set to a folder.
server_pid=

# A failing command here would become the status of the whole run.
clean_up() { [ -z "$server_pid" ] || kill "$server_pid" 2> /dev/null || true; rm -rf "$scratch"; }
trap clean_up EXIT

fail() { printf '%s\n' "$*" >&2; exit 1; }

# serve LOG COMMAND...: start a service in the background and wait until it listens; sets server_pid and port.
serve() {
    local log=$1; shift
    "$@" > "$log" 2>&1 &
    server_pid=$!
    for _ in $(seq 600); do
        port=$(sed -n 's/.*Listening on .*:\([0-9]*\)$/\1/p' "$log")
        [ -z "$port" ] || return 0
        kill -0 "$server_pid" || break
        sleep 0.1
    done
    cat "$log"; fail "the service did not start"
}

# answers PYTHON: the service at $port answers a message to the client of PYTHON; then the service is ended.
answers() {
    (cd / && "$1" -m wordecho.client --port "$port" 127.0.0.1 Hello, world hello world) | tee "$scratch/answer"
    printf '4 words, 3 unique, 24 characters, 24 bytes\nHello world hello\n' | diff - "$scratch/answer"
    kill "$server_pid"
    wait "$server_pid" || true
    server_pid=
}

# lists_wordecho BIN: the twistd there knows the command, from any folder.
lists_wordecho() { (cd / && "$1/twistd" --help) | grep '^ *wordecho ' > /dev/null; }
