#!/usr/bin/env bash
# OpenSSH 9.2p1: of several SetEnv only the first counts, while several SendEnv add up.
#
# `ssh -o SetEnv=A=1 -o SetEnv=B=2` sets A. What ~/.ssh/config says by SetEnv is dropped too, as soon as the command line has one: whoever adds
# a variable for one call takes those of the configuration away. All belong into one: `-o "SetEnv=A=1 B=2"`. SendEnv looks alike, and collects.
# Needs Debian's openssh-client (`apt-get install openssh-client`); connects to nothing.
# Seen on 2026-11-29 with SetEnv A, then B, and Z in the configuration, and the same of SendEnv:
#   setenv: A=1
#   sendenv: A B Z
set -euo pipefail

ssh -V 2>&1 | grep -q '^OpenSSH_9\.2p1' || { echo "needs OpenSSH 9.2p1" >&2; exit 2; }
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
printf 'Host *\n  SetEnv Z=9\n  SendEnv Z\n' >"$directory/config"
told=$(ssh -T -G -F "$directory/config" -o SetEnv=A=1 -o SetEnv=B=2 -o SendEnv=A -o SendEnv=B host.example)
set_=$(awk '$1 == "setenv" {$1 = ""; print substr($0, 2)}' <<<"$told" | paste -sd' ')
sent=$(awk '$1 == "sendenv" {print $2}' <<<"$told" | paste -sd' ')
echo "setenv: $set_"
echo "sendenv: $sent"
[ "$set_; $sent" = "A=1; A B Z" ] || { echo "it has changed" >&2; exit 1; }
