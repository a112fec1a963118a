#!/usr/bin/env bash
# AsyncSSH 2.24.1: run(check=True) of a command whose connection breaks returns, as of one that has succeeded.
#
# The exit status is then None, which is neither of the numbers that are documented for it: no error is raised, though check=True raises for any status but zero, and a
# `if result.exit_status:` of one's own sees nothing either. So does a server that closes the channel without a word. What the command wrote until then is there: half a list looks like a list.
# Connects to a server of its own, on the loopback interface.
# Seen on 2026-11-30 of commands that write "half", and then:
#   exit with 3: ProcessError
#   are killed: ProcessError
#   lose the connection: exit status None, stdout 'half'
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet asyncssh==2.24.1
cd "$directory"
cat >run.py <<'PYTHON'
import asyncio

import asyncssh


class Open(asyncssh.SSHServer):
    def begin_auth(self, username):
        return False  # nobody is asked for anything


async def serve(process):
    process.stdout.write("half")
    await process.stdout.drain()
    if process.command == "exit with 3":
        process.exit(3)
    elif process.command == "are killed":
        process.exit_with_signal("KILL")
    else:
        await asyncio.sleep(1)  # it arrives before the end does
        process.channel.get_connection().abort()


async def main():
    options = {"server_host_keys": [asyncssh.generate_private_key("ssh-ed25519")], "process_factory": serve}
    server = await asyncssh.create_server(Open, "127.0.0.1", 0, **options)
    port, came = server.get_port(), []
    for command in ("exit with 3", "are killed", "lose the connection"):
        async with asyncssh.connect("127.0.0.1", port, known_hosts=None, config=None, username="me") as connection:
            try:
                result = await connection.run(command, check=True)
                came.append(f"exit status {result.exit_status}, stdout {result.stdout!r}")
            except asyncssh.Error as error:
                came.append(type(error).__name__)
        print(f"{command}: {came[-1]}")
    server.close()
    assert came == ["ProcessError", "ProcessError", "exit status None, stdout 'half'"], "it has changed"


asyncio.run(asyncio.wait_for(main(), 60))
PYTHON
HOME=$directory timeout 90 env/bin/python run.py
